"""A grammar of frames that reverse, report, date, question, weaken or strengthen a finding.

Each kind of frame has templates, and each ``{slot}`` of a template is filled from a pool of words. ``<S>`` is
the finding as a sentence, ``<s>`` the finding in mid-sentence, and ``<a>`` and ``<b>`` its two parts around
an insertion. Pools and templates are split by a hash into the half ``seen``, which may be read while the
checks are tuned, and the half ``held``, which may not. The checks list no phrase of the grammar.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Half = Literal["seen", "held"]

_POOLS = {
    "others": """critics|skeptics|some bloggers|the marketing people|a few reviewers|the company's
        lawyers| enthusiasts|industry insiders|my neighbors|anonymous users|lobbyists|the
        vendors|early adopters|pundits| several journalists|its fans|the sponsors|his former
        colleagues|hardly any experts|investors| textbooks from the eighties|detractors|conspiracy
        theorists|disgruntled students|the shareholders| rival labs|few serious
        people|spammers|politicians|the tabloids""",
    "outsider": """the press office|a rival lab|the marketing team|a commenter|one reviewer|my
        neighbor|a lobbyist| the vendor|nobody in the field|hardly anyone|the public|a satirical
        column|a disgruntled student|the sponsor| a talk show host|his landlord|the minister|a
        fortune teller|an influencer|somebody on the bus""",
    "say": """claim|insist|dispute|deny|joke|pretend|worry|assume|brag|allege|boast|swear|imagine|c
        omplain|hope| suspect|fear|guess|predict|grumble|concede|wish|dream|fantasize|quip|deplore|m
        aintain|contend|scoff""",
    "says": """claims|insists|disputes|denies|jokes|pretends|worries|assumes|brags|alleges|boasts|s
        wears|imagines| complains|hopes|suspects|fears|guesses|predicts|grumbles|concedes|wishes|dre
        ams|quips|laments|maintains| contends|scoffs""",
    "misled": """were informed|were led to believe|were paid to say|have been persuaded|were
        assured|got the impression| had been promised|were tricked into thinking|convinced
        themselves|have talked themselves into believing""",
    "false": """false|untrue|absurd|laughable|nonsense|wishful
        thinking|propaganda|doubtful|debatable|pure fiction|
        unproven|speculative|contested|naive|preposterous|far-fetched|implausible|ridiculous|bogus|
        inconceivable|dubious|a stretch|anyone's guess|premature|overblown""",
    "sure": """beyond dispute|undeniable|common knowledge|self-evident|a law of nature|settled once
        and for all| universally accepted|as certain as death and taxes|a foregone
        conclusion|indisputable|carved in stone| plain to everybody""",
    "notion": """notion|idea|myth|claim|rumor|legend|fantasy|belief|assertion|impression|illusion|s
        tory|fairy tale| dogma|fallacy|hoax|hype|superstition|canard|suggestion|pretense|delusion""",
    "rejects": """has been debunked|did not survive scrutiny|belongs in the bin|was laughed out of
        the room|is mistaken|fell apart on inspection|is hard to defend|was quietly dropped|does not
        hold water|rests on a typo|was a prank|is an urban legend|has aged badly|remains
        unsubstantiated|was refuted within weeks| is a misreading|lacks any basis|died with the
        erratum""",
    "undone": """was later retracted|nobody could reproduce|turned out to be a bug|did not
        replicate|was withdrawn|is disputed|vanished on closer inspection|was traced to a leak|has
        since been corrected|was made up| evaporated with more seeds|an audit could not
        confirm|reviewers rejected|never happened|was overturned on appeal|was an artifact of the
        split|lasted one afternoon|failed every rerun""",
    "when": """until 2019|before the erratum|in the nineties|until the bug was fixed|back in
        2015|up to the second revision|before anyone checked|for one afternoon|until last
        spring|prior to the recall|during the beta| as of 2003|in a previous life|until the grant
        ran out""",
    "outlet": """a blog post|a press release|an anonymous tweet|a podcast|the company's website|a
        leaflet|hearsay|an old forum thread|the tabloids|a LinkedIn post|a sales brochure|a
        billboard|Wikipedia vandals|a horoscope| a rejected grant proposal|an unsigned memo|a
        stand-up routine|the grapevine""",
    "hedged": """allegedly|supposedly|purportedly|ostensibly|reportedly|barely|hypothetically|nomin
        ally|rumoredly| conceivably|wrongly|falsely|mistakenly|seldom|officially|accidentally|fraudu
        lently|theoretically| hardly ever|no longer|only accidentally|almost never|at best|at least
        nominally""",
    "view": """in theory|on paper|in a dream|at first glance|in principle|in some parallel
        universe|in a slide deck| in the brochure|for the cameras|in the authors' imagination|in
        fiction|by pure luck|on good days| in the marketing copy|with a lot of imagination|once in a
        blue moon|in an ideal world|in hindsight""",
    "hadwould": """the authors used a proper baseline|the test set been clean|anyone bothered to
        check|the data been real|the experiment been finished|the budget allowed it|they tuned the
        competitor|the labels been correct| the funding come through|the code compiled|the seed been
        fixed|reviewers insisted""",
    "provided": """the moon is full|nobody looks closely|you ignore the failures|the labels are
        leaked|one squints| the competitor is crippled|you only count the wins|the appendix is
        wrong|pigs fly|you trust the vendor| the random seed is lucky|money is no object|the test
        data is in the training set|every outlier is removed""",
    "fool": """only a fool|nobody|no serious researcher|only the naive|no sane person|few
        readers|only a press officer|not a single expert|just the inexperienced|hardly any engineer""",
    "think": """believe|conclude|think|argue|maintain|accept|buy|suppose|swallow|infer|suggest|asse
        rt|tell you| bet""",
    "forgiven": """one would be forgiven for thinking|you might be tempted to think|it is easy to
        get the impression| one could almost believe|a casual reader comes away believing|it would
        be a stretch to say|people love to repeat|one is invited to imagine|you would never guess|it
        takes some nerve to write|it would be rash to conclude|do not for a moment suppose""",
    "contrary": """contrary to the press release|despite what the appendix says|whatever the tables
        show|against all evidence|in defiance of its own figures|notwithstanding the failed
        replication|no matter what the logs say|in the teeth of the data|ignoring the negative
        results|conveniently leaving out the failures""",
    "hope": """or so they hope|if you believe them|or not|the data say otherwise|at least on
        Tuesdays|which is nonsense|take it with a grain of salt|not that anyone checked|believe it
        or not|the opposite is closer to the truth|as the joke goes|but who knows|to hear them tell
        it|nothing could be further from the truth|give or take a miracle|pending any actual
        evidence|as if|just kidding|so the legend goes|wink wink|citation needed""",
    "tag": """right|really|seriously|says who|is that so|does it|who would have thought|or does
        it|are you kidding| you think|come on|what else""",
    "sneer": """yeah right|sure|of course|oh please|as if|good grief|tell me another|dream on|how
        convenient|surprise surprise|what a joke|pull the other one""",
    "meta": """this claim is false|the following is a lie|the abstract does not say this|what
        follows was retracted|a common misconception|fake news|unverified|an example of a wrong
        statement|withdrawn|a counterfactual| overheard at the conference|the losing
        hypothesis|quote of the day|a bedtime story|satire|not in the paper""",
    "never": """nowhere do they show|they never demonstrate|at no point does anyone prove|in vain
        did they try to show|no table backs the remark|only in the appendix do they admit|not once
        is it verified|under duress did they concede|in private they doubt|reluctantly they took
        back""",
    "double": """it is not untrue|it is not impossible|one cannot rule out|nobody denies|it would
        not be wrong to say|it is no secret|there is no denying|it is not out of the question|few
        would contest|it is hardly inconceivable""",
    "rep": """replicate|reproduce|confirm|verify|corroborate|substantiate|back
        up|repeat|validate|recreate""",
    "team": """three independent teams|a larger study|the original authors themselves|every
        follow-up|a bigger sample|an independent audit|other groups|our own rerun|the replication
        crowd|a reanalysis""",
    "limit": """only when nobody is watching|except on real data|unless the input is longer than a
        tweet|only for toy examples|but not outside the lab|save in practice|only on the author's
        laptop|never in production| merely in simulation|except where it matters|only if retrained
        from scratch every day|but solely for left-handed users""",
    "aside": """a claim nobody has checked|contrary to fact|as the lawyers insist|so to speak|if
        one can call it that| we are supposed to believe|according to its inventor|to put it
        charitably|sadly only on paper|by their own generous count|as legend has it|against our
        better judgment""",
    "vague": """one day|some day|with luck|in the distant future|after the next funding round|soon
        enough|when hell freezes over|sooner or later""",
    "want": """wanted to show|set out to prove|tried to demonstrate|failed to establish|were unable
        to show|had hoped to find|could not rule out|stopped short of saying|refrain from
        claiming|forgot to check|wish they had shown|pretended to find""",
    "people": """the authors|the researchers|they|the team|the paper's authors|these researchers""",
    "cleft": """what nobody could confirm is|what the authors regret saying is|what the press made
        of it is|the joke is|the only thing missing is proof|what remains to be seen is|the lie
        is|the dream was|the losing side argued|what the ablation rules out is|the official line
        is|the bet was""",
}  # fmt: skip

_TEMPLATES = {
    "attribution": """
        {others} {say} that <s>.
        According to what {others} {say}, <s>.
        If we listen to {others}, <s>.
        <S>, {others} {say}.
        <S>, or so {others} {say}.
        What {others} {say} is that <s>.
        It was {others} who said that <s>.
        {others} {misled} that <s>.
        Readers {misled} that <s>.
        Ask {others}, and you will hear that <s>.
        {outsider} {says} that <s>.
        <S>, {outsider} {says}.
        As {outsider} {says}, <s>.
        What {outsider} {says} is that <s>.
        To hear {outsider} tell it, <s>.
        <S>, {others} were quoted as saying.
        The authors report that {others} {say} that <s>.
    """,
    "evaluation": """
        It is {false} that <s>.
        It is {false} to say that <s>.
        That <s> is {false}.
        How {false} that <s>!
        The {notion} that <s> is {false}.
        Calling it {false} to state that <s> would be kind.
        It is {sure} that <s>.
        That <s> is {sure}.
        <S>, which is {false}.
        <S>, and that is {sure}.
        <S>, a {notion} that is {false}.
        {false} as it sounds, <s>.
    """,
    "reversal": """
        The {notion} that <s> {rejects}.
        There is a {notion} that <s>.
        The authors dismiss the {notion} that <s>.
        The paper opens with the {notion} that <s>.
        {forgiven} that <s>.
        {forgiven} <s>.
        {fool} would {think} that <s>.
        Would {fool} {think} that <s>?
        It {rejects}, the {notion} that <s>.
        So much for the {notion} that <s>.
        {people} {want} that <s>.
        {never} that <s>.
    """,
    "replication": """
        {team} could not {rep} that <s>.
        Nobody could {rep} that <s>.
        <S>, which {undone}.
        <S>, a result that {undone}.
        <S>, though {team} did not {rep} it.
        <S>, but {team} failed to {rep} this.
        <S>; {team} found the opposite.
        <S> (later, {team} failed to {rep} this).
        <S> until {team} tried to {rep} it.
        A result that {undone} was that <s>.
        That <s>, {team} could not {rep}.
        Attempts by {team} to {rep} that <s> failed.
    """,
    "condition": """
        Had {hadwould}, <s>.
        If only {hadwould}: <s>.
        If {provided}, <s>.
        <S> if {provided}.
        <S>, provided that {provided}.
        <S> as long as {provided}.
        Assuming {provided}, <s>.
        Suppose {provided}; then <s>.
        <S>, but only because {provided}.
        Were it true that {provided}, <s>.
        In the event that {provided}, <s>.
        Unless {provided}, <s>.
    """,
    "time": """
        {when}, <s>.
        <S> {when}.
        <S>, but only {when}.
        {when}, people thought that <s>.
        It used to be the case that <s>.
        It was once true that <s>.
        There was a time when <s>.
        {vague}, <s>.
        <S>, {vague}.
        It may turn out {vague} that <s>.
        <S>, at least {when}.
        Once upon a time, <s>.
    """,
    "restriction": """
        {view}, <s>.
        <S> {view}.
        <S>, but only {view}.
        <S>, {view}.
        <S> {limit}.
        <S>, {limit}.
        <S> ({limit}).
        It is only {view} that <s>.
        It was {view} that <s>.
        <S>, {hedged}.
        {hedged}, <s>.
        <a> {hedged} <b>.
    """,
    "question": """
        <S>, {tag}?
        <S> - {tag}?
        Who says that <s>?
        Can anyone believe that <s>?
        Is it true that <s>? Hardly.
        <S>? {sneer}.
        And we should accept that <s>?!
        Why would anyone {think} that <s>?
        As though <s>!
        As if <s>.
        <S>? Not according to {team}.
        Since when is it true that <s>?
    """,
    "irony": """
        {sneer}, <s>.
        {sneer}: <s>.
        <S> ({sneer}).
        <S>, {sneer}.
        <S>. {sneer}.
        <S> - {sneer}!
        And pigs fly, because <s>.
        <S>, and I am the queen of England.
        <S>, my foot.
        "<S>", they wrote, to general laughter.
        We all had a good laugh at how <s>.
        Ha, <s>.
    """,
    "source": """
        According to {outlet}, <s>.
        <S>, according to {outlet}.
        <S>, says {outlet}.
        {outlet} has it that <s>.
        In {outlet}, we read that <s>.
        As seen in {outlet}: <s>.
        <S> (source: {outlet}).
        Based on {outlet}, <s>.
        We know from {outlet} that <s>.
        <S>, if {outlet} is to be believed.
        {outlet}: <s>.
        To quote {outlet}, <s>.
    """,
    "meta": """
        {meta}: <s>.
        <S> ({meta}).
        <S> - {meta}.
        <S>; {meta}.
        The abstract does not say that <s>.
        Nothing in the paper implies that <s>.
        What the paper leaves out is that <s>.
        Please do not conclude that <s>.
        Strike the sentence that says <s>.
        The opposite of this is true: <s>.
        Replace "<S>" with its negation.
        For the sake of argument, <s>.
    """,
    "double negation": """
        {double} that <s>.
        {double}, but <s>.
        Not that <s>.
        It is neither here nor there that <s>.
        It would not surprise {others} that <s>.
        Nobody doubts that <s> - except {others}.
        <S>, and {others} do not deny it.
        Far be it from {others} to deny that <s>.
    """,
    "contrast": """
        {contrary}, <s>.
        <S>, {contrary}.
        <S>; {contrary}, the reverse holds.
        <a>, {contrary}, <b>.
        In place of any evidence we are given that <s>.
        Instead of admitting defeat, the paper says that <s>.
    """,
    "parenthesis": """
        <a>, {aside}, <b>.
        <a> ({aside}) <b>.
        <a> - {aside} - <b>.
        <a> (or so {others} {say}) <b>.
        <a>, {others} {say}, <b>.
        <a> (which {undone}) <b>.
        <a>, {view}, <b>.
        <a> ({sneer}) <b>.
    """,
    "trailing clause": """
        <S> - {hope}.
        <S>, {hope}.
        <S>; {hope}.
        <S> ({hope}).
        <S>. {hope}.
        <S>, {hope}, {others} {say}.
        <S> ... {hope}.
        <S>, which {others} {say} is {false}.
    """,
    "cleft": """
        {cleft} that <s>.
        That <s> is {cleft}.
        It is because {provided} that <s>.
        It was {outlet} that spread the {notion} that <s>.
        Where {others} go wrong is that <s>.
        All that {others} wanted was that <s>.
        The thing is, {others} {say}, <s>.
        It is not as if <s>.
    """,
}
"""Kind of frame → its templates."""


class Framed(NamedTuple):
    """A finding in a frame."""

    kind: str
    claim: str


def half_of(text: str) -> Half:
    """Return the half of a word, a template or a claim."""
    digest = hashlib.blake2b(re.sub(r"\s+", " ", text.strip()).encode(), digest_size=4).digest()
    return "seen" if digest[0] & 1 else "held"


def _words(pool: str, half: Half) -> list[str]:
    words = [re.sub(r"\s+", " ", word.strip()) for word in _POOLS[pool].split("|")]
    return [word for word in words if half_of(word) == half]


def templates(half: Half) -> dict[str, list[str]]:
    """Return the templates of a half by kind."""
    lines = {kind: [line.strip() for line in text.strip().splitlines()] for kind, text in _TEMPLATES.items()}
    return {kind: [line for line in forms if half_of(line) == half] for kind, forms in lines.items()}


def framed(
    findings: Sequence[str], half: Half, *, rounds: int = 1, seed: int = 7
) -> Iterator[tuple[int, Framed]]:
    """Yield (index of the finding, framed finding): every template of the half in every round.

    Templates and words are both of the half, so no part of a form of one half occurs in the other.
    """
    chance = random.Random(f"{seed}{half}")  # noqa: S311 - a reproducible sample, not a secret
    pools = {name: _words(name, half) for name in _POOLS}
    for _ in range(rounds):
        for kind, forms in templates(half).items():
            for form in forms:
                index = chance.randrange(len(findings))
                text = re.sub(r"\{(\w+)\}", lambda m: chance.choice(pools[m[1]]), form)
                yield index, Framed(kind, _insert(text, findings[index], chance))


def _insert(form: str, finding: str, chance: random.Random) -> str:
    whole = finding.rstrip(".!? ")
    head, tail = _cut(_lower(whole) if not form.startswith("<a>") else whole, chance)
    for mark, text in (("<S>", whole), ("<s>", _lower(whole)), ("<a>", head), ("<b>", tail)):
        form = form.replace(mark, text)
    return form[0].upper() + form[1:]


def _lower(sentence: str) -> str:
    head = sentence.split(maxsplit=1)[0]
    is_name = not head.isalpha() or not head[1:].islower()
    return sentence if is_name else sentence[0].lower() + sentence[1:]


_VERB = re.compile(
    r" (?=(?:is|are|was|were|can|has|have|does|do|did|will|achieves?|improves?|shows?|outperforms?|"
    r"reduces?|requires?|uses?|reaches|needs?|provides?|by|with|to|for|on|in)\b)"
)


def _cut(sentence: str, chance: random.Random) -> tuple[str, str]:
    """Return the two parts of a sentence around a place for an insertion."""
    places = [m.start() for m in _VERB.finditer(sentence)] or [sentence.find(" ")]
    place = chance.choice(places[:2])
    return sentence[:place].rstrip(","), sentence[place:].strip()
