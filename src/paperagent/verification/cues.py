"""Small words that decide what a sentence asserts: negations, hedges, quantifiers, function words.

Written by hand for this program from the grammar of English findings; `text.STOP_WORDS` is the
starting point for function words, less those that a check here reads.
"""

from __future__ import annotations

from paperagent.text.terms import STOP_WORDS, stem

NEGATIONS = frozenset(
    """not no never without neither nor cannot none nothing nobody nowhere insteadof ratherthan
    lack lacks lacked lacking absence absent fail fails failed failing failure unable n't
    hardly scarcely barely seldom rarely except excluding refuse refuses refused overlook
    overlooks overlooked overlooking ignore ignores ignored ignoring neglect neglects
    neglected neglecting""".split()
)
"""Words that deny what follows them."""

VERBAL_NEGATIONS = frozenset(
    """fail fails failed failing failure unable lack lacks lacked lacking absence absent overlook overlooks
    overlooked overlooking ignore ignores ignored ignoring neglect neglects neglected neglecting""".split()
)
"""Negations that are content words too: a restatement may name the same thing by another of them."""

NEGATIVE_STEMS = frozenset(
    stem(word)
    for word in """avoid prevent eliminate remove free reject lack fail unable absent absence missing ignore
    stop skip forgo bypass omit exclude independent independence insufficient inadequate
    inadequacy ineffective unclear unknown impossible incapable inability unlike refuse
    resist cease zero nil hinder block little unchanged maintain preserve struggle
    difficult""".split()
)
"""Stems of words that deny without a negation: an honest restatement may use *not* for them."""

PARTIAL = frozenset("always necessarily all every each fully entirely completely only".split())
"""Words behind a negation that make it partial: *not always* is not *never*."""

HEDGES: dict[str, str] = {
    **dict.fromkeys(
        "may might could can possibly perhaps potentially maybe potential possible potentialto".split(),
        "possible",
    ),
    **dict.fromkeys("likely probably presumably plausibly probable expected".split(), "likely"),
    **dict.fromkeys(
        """suggest suggests suggested suggesting seem seems seemed appear appears appeared apparently
        seemingly indicate indicates indicated indicating hint hints hypothesize
        hypothesized speculate believe believed think assume tends tend tended propensity
        estimated hypothesis conjecture imply implies""".split(),
        "suggest",
    ),
    **dict.fromkeys("some sometimes occasionally certain partially partly somewhat".split(), "some"),
    **dict.fromkeys(
        """often usually generally typically frequently commonly mostly mainly largely normally
        primarily most""".split(),
        "often",
    ),
    **dict.fromkeys(
        "almost nearly approximately about roughly around virtually practically".split(), "almost"
    ),
    **dict.fromkeys("preliminary tentative tentatively promising limited".split(), "tentative"),
    **dict.fromkeys(
        """associated associate associates association associations correlated correlate correlates
        correlation correlations linked link links related""".split(),
        "association",
    ),
}
"""Word → what kind of caution it is. A claim may be more careful than its source, not less."""

SOFT_HEDGES = frozenset(
    """indicate indicates indicated indicating can potential certain limited promising expected
    about around propose think related link links linked associate imply implies estimated
    most primarily mainly believe hypothesis assume""".split()
)
"""Hedges in some uses only: they answer for a hedge of the other text, but may be left out."""

STRENGTHENERS = frozenset(
    """always never only solely exclusively all every entirely completely totally fully guarantee
        guarantees guaranteed guaranteeing prove proves proved proven proving perfect
        perfectly undoubtedly definitely certainly inevitably invariably must any anyone
        everyone everything universal universally unquestionably conclusively definitive
        definitively clearly impossible optimal optimally any whatever exactly precisely
        necessarily establish establishes established ensures ensure everywhere indisputable
        unprecedented sole""".split()
)
"""Words that claim more than a source without them (or a twin of them) says."""

STRENGTH_TWINS: tuple[frozenset[str], ...] = (
    frozenset(
        """all every each any both entire whole across everything everyone always consistently
        throughout full""".split()
    ),
    frozenset(
        "only solely exclusively just merely purely alone sole except restricted limited single".split()
    ),
    frozenset("entirely completely totally fully full complete entire whole all".split()),
    frozenset("guarantee guarantees guaranteed guaranteeing ensure ensures ensured ensuring assure".split()),
    frozenset("prove proves proved proven proving proof theoretical theorem provably".split()),
    frozenset(
        "must need needs require requires required necessary should necessarily essential requirement".split()
    ),
    frozenset("never no not none without".split()),
    frozenset("always invariably consistently all every constantly inevitably".split()),
    frozenset("perfect perfectly flawless error-free".split()),
    frozenset("clearly clear evident obvious obviously notably".split()),
    frozenset("optimal optimally best optimum".split()),
    frozenset("exactly precisely exact precise identical".split()),
    frozenset(
        "establish establishes established show demonstrate introduce existing set build prior".split()
    ),
    frozenset("universal universally general all every".split()),
)

FUNCTION = (
    STOP_WORDS
    | NEGATIONS
    | frozenset(
        """may might could can must shall would should versus like among across along within upon
        toward towards onto via per however therefore thus hence moreover furthermore
        although though despite whereas since unless whether either one ones us regarding concerning else ever
        yet still even rather quite very much many any every each another several various
        potentialto insteadof notonly because one's let it's be using use used uses based ever every
        respectively finally notably specifically remarkably importantly additionally
        consequently overall namely further also""".split()
    )
) - frozenset(
    """overlook overlooks overlooked overlooking ignore ignores ignored ignoring neglect neglects neglected
    neglecting lack lacks lacked lacking absence absent fail fails failed failing failure unable refuse
        refuses refused more less fewer most least before after above below up down first
        last few many""".split()
)
"""Words that are never compared by themselves."""
