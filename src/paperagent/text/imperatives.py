"""Recognize imperative clauses by their grammar, without a list of verbs.

An English imperative begins with a bare verb and has no subject. The words that *cannot* be a bare verb are
easy to recognize: function words, and words with the ending of a noun, an adjective, an adverb or an
inflected verb. Any other word at the beginning of a clause is taken for a verb in two cases: an object
follows that begins with a determiner or a pronoun ("Fabricate a …"), or no finite verb follows ("Suggest
vegan recipes."). A noun in that position would be the subject of a finite verb.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_FUNCTION_WORDS = frozenset(
    """
    a an the this that these those all any each every no some only both either neither half several many
    few much more most less least enough one two three four five six seven eight nine ten another other
    such i we you he she it they my our your his her its their who whom whose which what why how when
    where whether whoever whatever whichever there here in to as on despite with at for while given
    through although under across from among amongst amid amidst within since yet beyond because after
    even if without over but unlike then towards toward once and alongside besides beside against
    throughout not by of along together upon however though via thus hence therefore like whereas outside
    whenever wherever almost above below so before nearly between whilst inside into onto per near off
    except instead albeit beneath behind until unless around about versus plus minus than or nor else up
    down out again ago also too very quite rather just perhaps often sometimes never always soon still
    already now later today further recently et moreover furthermore meanwhile otherwise overall indeed
    next last first second third due prior regardless yes thereby notwithstanding am is are was were been
    has have had do does did can could may might will would shall should must cannot ought
    """.split()
)
_INFLECTED = re.compile(r"(?:[^siu]s|[iu]s|ing|[^e]ed|(?<!p|r|f)ly)\Z")
"""Endings of plural nouns, adverbs and inflected verbs."""
_BARE_IN_SPITE_OF_ENDING = frozenset(
    """
    embed shred shed wed bring sing ring string sling fling cling swing bias focus discus
    """.split()
)
_NOMINAL = re.compile(
    r"(?:tion|sion|ity|ness|(?<!ple)(?<!com)(?<!aug)ments?|(?<!e)al|ic|[st]ive|ous|ful|less|(?<!en)(?<!dis)able|ible"
    r"|ism|ologist|(?<!h)(?<!v)ance|(?<!m)ence|[ae]ncy|logy|graphy|hood|(?<!^)ship|ior|ular|ary|ory|[lmnpt]or|um"
    r"|ware|wise|izer|former|coder|[^e]nt|i[ae]n|ex)\Z"
)
"""Endings of nouns and adjectives."""
_NOUNS_AND_ADJECTIVES = frozenset(
    """
    accurate acute adverse agent algorithm appendix area article author black blind body brain care case
    challenge chain child class climate clinician code color common community complex computer concept
    context corpus cost culture data deep demo depth design detail device different discrete disease
    domain drug edge efficient error event evidence expert face fair fast feature field figure finite flow
    fluid free future game gaze gene general github global good graph grid group hand hard hate health
    high home homepage hub human hybrid idea image industry input insight intelligent intent item job
    joint key knowledge lab label large law layer lay light link local long low machine main major map
    marine market mass math matter medicine memory metadata method metric mind mobile mode model modern
    moderate modular motion multi multiple music natural network neural new news node noise novel nuclear
    number object observer offline online open output page paper parallel part past patient pattern people
    person persistent phase plant point policy poor power present prior problem process program progress
    project prompt proof protein pure question random range rapid rare raw reader real reason recent
    regular remote research resource reward rich risk robot robust role rough rule safe sample scale scene
    science score script semantic sentence shallow short sign simple single skeleton skill slow small
    smart social software sound source space sparse speech spoken stable standard state step stereo street
    strong student style subgroup success supplementary symbol system table target task teacher team test
    text theory thorough time token tool topic trade traffic tree trial true type uncertain urban usage
    user vanilla variable vehicle version video view visual voice weak weather web website wide wildlife
    window word world writer stage git premise asset english chinese package python pass none background
    anti linear keyword rationale french german treasury intermediate dataset subnet action parameter
    young frontier higher larger lower greater smaller deeper stronger wider earlier longer shorter better
    similar current combined available dense improper implicit explicit mean guest companion camera carbon
    oracle baseline comparison benchmark tissue railway sixteen built understood welcome landslide awesome
    fastest slowest largest smallest highest lowest greatest latest earliest strongest simplest
    children women mice criteria bacteria phenomena
    codebase safety performance abstract flicker euclidean saccade cover cancer consumer customer order
    summer winter water transfer inner outer upper under further former latter proper
    """.split()
)
"""Words that often begin a noun phrase at the start of a sentence. Some can also be verbs, which an object
with a determiner shows ("Design a …")."""
_NEVER_BEFORE_DETERMINERS = frozenset(
    """
    traditional similar recent recently online conclusion background objective
    """.split()
)
_DETERMINERS = frozenset(
    """
    a an the this that these those all any each every no some my our your their its his her me us him them
    it yourself itself what how why who whom where whether which everything nothing anything something
    everyone anyone one two three four five six seven eight nine ten both only exactly
    """.split()
)
"""Words that begin the object of a verb."""
_STIPULATIONS = frozenset(
    """
    let consider suppose assume recall note observe imagine denote define fix take given see cf ask say
    envision
    """.split()
)
"""Verbs with which papers ask their readers to assume or note something."""
_REFERRALS = frozenset(
    """
    see visit check find refer view browse explore try access contact read watch download follow
    """.split()
)
_RESOURCES = re.compile(
    r"\b(?:project|page|websites?|webpage|homepage|codes?|codebase|repo|repository|github|demos?|videos?|appendix"
    r"|supplementary|papers?|sections?|details|results|datasets?|models?|leaderboard|benchmark|author|authors)\b|@",
    re.IGNORECASE,
)
_OPENERS = frozenset(
    """
    please now also then next first finally kindly just simply only and so therefore okay ok again always
    instead henceforth but or either thus hereafter afterwards lastly secondly
    """.split()
)
_ADVERBS_OF_TIME = frozenset(("recently", "currently", "previously", "formerly"))
_NEGATIONS = frozenset(("never", "don't", "don’t", "dont"))
_TOKEN = re.compile(r"[^\W\d_][\w'’-]*|\d[\w.,]*|[^\w\s]")
_PAST = frozenset(
    """
    became began came led found made gave took saw rose fell grew got kept held left lost won arose ran
    stood understood brought built went
    """.split()
)
_NO_VERBS = _FUNCTION_WORDS | _PAST
_FINITE = _PAST | frozenset(
    """
    am is are was were has have had do does did can could may might will would shall should must cannot we
    i they he she aims seeks relies depends consists refers involves remains suffers tends fails continues
    contributes leads corresponds belongs differs results benefits comes plays remain aim seek rely depend
    appears falls rises operates degrades shows occurs varies drops emerges exists proceeds scales matters
    seems requires includes supports enables allows drive pose play undermine show makes uses helps gives
    outperforms transfers generalizes grows holds runs works starts ends serves acts focuses centers
    builds draws struggles ranks attempts tries wants offer often further substantially contain used
    showed
    """.split()
)
_QUOTES = frozenset("\"“‘'")
_NO_OBJECT = frozenset(
    """
    of in on for with to by from at about into onto as that which who whose when where while and or but via
    without within between among across over under than through during against per using based before
    after so because if unless until , ; : . ! ? ) ] " ' ” ’ “ ‘ - – — / $ & *
    """.split()
)
"""Words and marks that cannot begin an object, so that a word in *-s* before them is a noun."""
_GLUED = re.compile(r"(?:We(?!a[kptv]|igh|lcom|ld)|To(?!lera|ggle|uch|rtur|rped|ss))[a-z]{5,}")
""""We" or "To" joined to the next word, as in "Weformalize"."""
_QUOTED_NAME = re.compile(
    r"[\"“‘'`]{1,2}[^\"“”’\n]{1,120}[\"”’']{1,2}\s(?:is|are|was|were|has|have|can|may|refers|means)\b"
)
"""A quotation that is the subject of a verb."""
_RELATIVE = frozenset("that who whom whose which where".split())
_FIRST_WORD = re.compile(r"[\W_]{0,12}([A-Za-z][A-Za-z’']*)")
_END = re.compile(
    r"(?<=[.!?])\s+(?=[A-Z])|(?<=[A-Z]{3})(?=\s+[A-Z][a-z]+\s)|(?<=[A-Z]-\d{2})\S*\s+(?=[A-Z][a-z]*\s)"
)
"""The end of a clause. A capital after a code such as XK-42 begins a new one."""
_MAX_CHARACTERS = 400
_NUMBERS = frozenset("one two three four five six seven eight nine ten".split())
_MAX_SHORT = 17
"""Maximum tokens of an imperative that is recognized by the lack of a finite verb. In a longer clause, a
finite verb may be overlooked."""
_MAX_TOKENS = 40
"""Maximum tokens of a clause that are searched for a finite verb."""


def is_imperative(clause: str, *, needs_object: bool = False) -> bool:
    """Return whether a clause begins with an imperative, other than those that papers use themselves.

    Papers ask their readers to assume something ("Let x be …"), and refer them to a resource ("See our …").

    Args:
        clause: The clause and the text after it.
        needs_object: Whether to accept the first word as a verb only if an object with a determiner follows.
    """
    first = _FIRST_WORD.match(clause)
    if first is None or _GLUED.fullmatch(first[1]) or _QUOTED_NAME.match(clause):
        return False
    if not (_is_opener(first[1].lower()) or _could_be_verb(first[1], shouted=True)):
        return False
    text = _END.split(clause[:_MAX_CHARACTERS], maxsplit=1)[0]
    tokens = _TOKEN.findall(text)[:_MAX_TOKENS]
    needs_object = needs_object or tokens[1:2] == [","]
    tokens, negated = _without_openers(tokens)
    if len(tokens) < 2 or not _could_be_verb(tokens[0], shouted=text.isupper()):
        return False
    verb = tokens[0].lower()
    if (verb in _STIPULATIONS and not negated) or (verb in _REFERRALS and _RESOURCES.search(clause)):
        return False
    if verb == "be":
        return tokens[1].isalpha() and tokens[1].lower() not in ("it", "that", "they", "this")
    shouted = text.isupper()
    return _has_object(tokens, needs_object=needs_object, shouted=shouted) or (
        (shouted or not needs_object) and _has_no_subject(tokens, shouted=negated or shouted)
    )


def _has_object(tokens: Sequence[str], *, needs_object: bool, shouted: bool) -> bool:
    """Return whether the first word is a verb because an object with a determiner follows."""
    verb, following = tokens[0].lower(), tokens[1].lower()
    if following not in _DETERMINERS or verb in _NEVER_BEFORE_DETERMINERS or tokens[2:3] == [")"]:
        return False  # "Action a) decides …"
    if (following in _NUMBERS and verb in _NOUNS_AND_ADJECTIVES) or (
        following == "only" and tokens[2:3] not in ([], [":"])
    ):  # "Stage two applies …", "Event only methods …"
        return False
    if not (shouted or tokens[1].islower() or following == "only"):  # "Background The …"
        return False
    if following in _RELATIVE and (
        verb in _NOUNS_AND_ADJECTIVES or _NOMINAL.search(verb) or _is_finite(tokens[2:3])
    ):  # "Text that is …"
        return False
    if needs_object and (following in ("that", "which", "both", "only") or _NOMINAL.search(verb)):
        return False
    is_name = len(tokens) > 2 and tokens[2][0].isupper() and not shouted  # "Challenge the Champ is a …"
    return not (is_name and _has_finite_verb(tokens[3:]))


def _has_no_subject(tokens: Sequence[str], *, shouted: bool) -> bool:
    """Return whether the first word is a verb because no finite verb follows. A noun would be its subject."""
    verb, following = tokens[0].lower(), tokens[1].lower()
    if len(tokens) > _MAX_SHORT or verb in _NOUNS_AND_ADJECTIVES or _has_finite_verb(tokens[1:]):
        return False
    if following in _QUOTES:  # not: Sorcen "generates" an echo
        return not (len(tokens) > 3 and tokens[2].islower() and not tokens[3].isalnum())
    if following in ("in", "when", "at", "et"):
        return False
    if following in ("and", "or") and tokens[2:3] and tokens[2][0].isupper():  # "Smith and Jones propose"
        return False
    return tokens[1][0].isalpha() and (shouted or tokens[1].islower()) and not _NOMINAL.search(verb)


def _without_openers(tokens: list[str]) -> tuple[list[str], bool]:
    """Return the tokens from the verb on, and whether the verb is negated."""
    start = 0
    while start < len(tokens) and not tokens[start][0].isalnum():
        start += 1
    for _ in range(4):
        word = tokens[start].lower() if start < len(tokens) else ""
        following = [t.lower() for t in tokens[start + 1 : start + 3]]
        if word in _NEGATIONS:
            return tokens[start + 1 :], True
        if word == "do" and following[:1] == ["not"]:
            return tokens[start + 2 :], True
        if _is_opener(word):
            start += 1
            if following[:1] == [","]:
                start += 1
        else:
            break
    return tokens[start:], False


def _is_opener(word: str) -> bool:
    """Return whether a word may precede an imperative."""
    return (
        word in _OPENERS
        or word in _NEGATIONS
        or word == "do"
        or (word.endswith("ly") and len(word) > 4 and word not in _ADVERBS_OF_TIME)
    )


def _could_be_verb(word: str, *, shouted: bool) -> bool:
    """Return whether a word has the form of a bare verb, as many nouns do."""
    lower = word.lower()
    if not lower.isascii() or not lower.isalpha() or len(lower) < 2 or lower in _NO_VERBS:
        return False
    if not shouted and word not in (lower, lower.capitalize()):
        return False
    return lower in _BARE_IN_SPITE_OF_ENDING or not _INFLECTED.search(lower)


def _is_nominal(word: str) -> bool:
    return word in _NOUNS_AND_ADJECTIVES or _NOMINAL.search(word) is not None


def _is_finite(tokens: Sequence[str]) -> bool:
    """Return whether the first word is a finite verb, or the text ends."""
    word = tokens[0].lower() if tokens else "is"
    return word in _FINITE or (word.endswith(("s", "ed")) and word not in _DETERMINERS)


def has_finite_verb(text: str) -> bool:
    """Return whether the end of a text seems to contain a finite verb."""
    return _has_finite_verb(_TOKEN.findall(text[-_MAX_CHARACTERS:])[-_MAX_TOKENS:])


def _has_finite_verb(tokens: Sequence[str]) -> bool:
    """Return whether a token is an auxiliary, a past form, or a word with the ending of a finite verb."""
    depth = 0
    words = []
    for piece in tokens:  # parentheses and their commas do not separate a subject from its verb
        depth += (piece in "([") - (piece in ")]" and depth > 0)
        if not depth and piece not in ")]":
            words.append(piece.lower())
    for i, word in enumerate(words):
        if word in _FINITE:
            return True
        if len(word) > 4 and word.endswith("ed"):
            return True
        if (word.endswith("s") and not word.endswith(("ss", "us", "is"))) or word in (
            "data",
            "people",
            "children",
        ):
            following = words[i + 1] if i + 1 < len(words) else "."
            if following == "," and "," in words[i + 2 :]:  # "systems, particularly in X, require"
                following = (words[i + 2 + words[i + 2 :].index(",") + 1 :] or ["."])[0]
            if following == "by":
                return True
            if following not in _NO_OBJECT and (not following.endswith("ing") or following == "existing"):
                return True
    return False
