"""Word lists of the checks: negations, hedges, quantifiers, function words and opposites.

The lists were written by hand. The opposites cover what abstracts compare: amounts,
quality, speed, time, order, kinds of data and of training, biology. Each line of `FAMILIES` is one family
with its poles separated by ``|``; a pole lists interchangeable words. Rules in `polarity` find opposites
made by a prefix or suffix (``un-``, ``-less``).
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
"""Negations that are also content words. A restatement may use another one of them."""

NEGATIVE_STEMS = frozenset(
    stem(word)
    for word in """avoid prevent eliminate remove free reject lack fail unable absent absence missing ignore
    stop skip forgo bypass omit exclude independent independence insufficient inadequate
    inadequacy ineffective unclear unknown impossible incapable inability unlike refuse
    resist cease zero nil hinder block little unchanged maintain preserve struggle
    difficult""".split()
)
"""Stems of words that deny without a negation. A genuine restatement may use *not* instead."""

PARTIAL = frozenset("always necessarily all every each fully entirely completely only".split())
"""Words after a negation that make it partial: *not always* is not *never*."""

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
"""Word → the kind of caution that it expresses. A claim may be more careful than its source, not less."""

SOFT_HEDGES = frozenset(
    """indicate indicates indicated indicating can potential certain limited promising expected
    about around propose think related link links linked associate imply implies estimated
    most primarily mainly believe hypothesis assume""".split()
)
"""Words that are hedges in some uses only. They match a hedge of the other text, but may be left out."""

STRENGTHENERS = frozenset(
    """always never only solely exclusively all every entirely completely totally fully guarantee
        guarantees guaranteed guaranteeing prove proves proved proven proving perfect
        perfectly undoubtedly definitely certainly inevitably invariably must any anyone
        everyone everything universal universally unquestionably conclusively definitive
        definitively clearly impossible optimal optimally any whatever exactly precisely
        necessarily establish establishes established ensures ensure everywhere indisputable
        unprecedented sole""".split()
)
"""Words that strengthen a claim. The source must contain the word or one of its `STRENGTH_TWINS`."""

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
"""Function words, which are never compared by themselves."""


FAMILIES: tuple[str, ...] = (
    (
        "increase rise grow raise gain elevate climb expand upregulate amplify boost escalate surge "
        "intensify | decrease fall drop decline reduce lower lessen diminish shrink downregulate "
        "attenuate cut lose plummet minimize loss reduction curb"
    ),
    (
        "maintain preserve retain keep sustain conserve | lower reduce lose erode drop fall decline degrade "
        "destroy deteriorate diminish change alter"
    ),
    "solve resolve solved easy settled | challenging difficult unsolved unresolved open hard",
    "flexible adaptable | rigid inflexible fixed",
    "help facilitate enable support | hinder impede hamper prevent block",
    "growth increment gain | decline decrement loss shrinkage reduction",
    (
        "improve enhance boost strengthen advance ameliorate improvement enhancement upgrade refine "
        "benefit | degrade worsen deteriorate impair harm hurt weaken undermine degradation "
        "deterioration damage compromise hinder diminish reduce decrease"
    ),
    "higher larger greater more bigger | lower smaller less fewer reduced decreased",
    "high | low",
    "large big huge massive vast enormous considerable | small tiny little minor negligible",
    "more | less",
    "most | least",
    "first | last",
    "before | after",
    "above | below",
    "up | down",
    "many | few",
    "better superior best | worse inferior worst poorer",
    "good excellent great | bad poor terrible",
    "outperform surpass exceed beat outdo | underperform lag trail",
    "outperform surpass exceed beat | compete competitive rival",
    "higher larger greater better more increased | equal same equivalent unchanged",
    "lower smaller fewer less worse decreased | equal same equivalent unchanged",
    "strong powerful robust stronger strongest | weak fragile brittle weaker weakest feeble",
    "strengthen reinforce | weaken erode",
    "fast quick rapid faster quicker fastest swift | slow slower slowest sluggish gradual",
    "accelerate speed hasten | slow decelerate delay retard",
    "speedup acceleration | slowdown deceleration",
    "quickly rapidly | slowly gradually",
    (
        "easy simple straightforward easier simpler trivial | hard difficult challenging tough harder "
        "complex complicated"
    ),
    "simple simpler basic | complex complicated sophisticated intricate elaborate",
    "simplify | complicate",
    "cheap inexpensive affordable cheaper | expensive costly laborious labourious prohibitive",
    "long longer lengthy prolonged longest | short shorter brief shortest",
    "lengthen prolong extend | shorten curtail",
    "early earlier earliest | late later latest delayed",
    "first initial beginning | last final end",
    "before prior pre | after following post",
    "old older ancient aged | new newer young younger novel",
    "previous past | future subsequent next upcoming",
    "always invariably | never",
    "often frequently commonly usually typically | rarely seldom hardly infrequently occasionally",
    "frequent common prevalent widespread ubiquitous abundant | rare scarce infrequent uncommon",
    "many numerous most | few onlyfew",
    "all every each | none",
    "majority | minority",
    "multiple several many | single one",
    "with including having | without excluding lacking",
    "include contain incorporate | exclude omit",
    "add insert introduce append | remove delete eliminate subtract drop discard strip",
    "accept | reject refuse decline",
    "allow permit enable facilitate | prevent prohibit forbid block hinder preclude impede disable",
    "help aid assist support facilitate promote | hinder impede obstruct hamper harm inhibit",
    "support confirm corroborate verify | contradict refute oppose disprove undermine",
    "agree | disagree",
    "success successful succeed successfully | failure unsuccessful fail unsuccessfully",
    "correct right accurate true precise exact | incorrect wrong inaccurate false erroneous imprecise",
    "positive positively favorable | negative negatively unfavorable adverse",
    "beneficial helpful useful advantageous | harmful detrimental damaging useless deleterious",
    "benefit advantage merit | drawback disadvantage harm limitation",
    "strength | weakness",
    "safe secure | unsafe dangerous risky hazardous vulnerable",
    ("activate stimulate induce promote enhance | inhibit suppress block repress deactivate silence prevent"),
    "activation stimulation induction | inhibition suppression repression",
    "agonist | antagonist",
    "upregulation overexpression | downregulation knockdown knockout underexpression",
    "gain | loss",
    (
        "maximum maximal maximize most highest top largest greatest | minimum minimal minimize least "
        "lowest bottom smallest"
    ),
    "above over exceeding | below under beneath underneath",
    "exceed | below under",
    "upper | lower",
    "up upward upwards | down downward downwards",
    "broad wide broader wider | narrow narrower",
    "widen broaden expand | narrow restrict shrink",
    "deep deeper | shallow shallower superficial",
    "thick | thin",
    "heavy heavier | light lightweight lighter",
    "dense denser | sparse sparser",
    "rich abundant plentiful | poor scarce limited sparse impoverished",
    "full complete entire whole fully completely | partial incomplete partially partly",
    "global | local",
    "general generic universal | specific particular specialized",
    "internal interior inner | external exterior outer",
    "inside within | outside beyond",
    "input | output",
    "encoder encode encoding | decoder decode decoding",
    "source | target",
    "static stationary fixed | dynamic moving nonstationary varying adaptive",
    (
        "constant consistent stable uniform steady | variable inconsistent unstable fluctuating varying "
        "erratic"
    ),
    "consistently | inconsistently sporadically",
    "linear linearly | nonlinear nonlinearly",
    "linear constant sublinear logarithmic | quadratic cubic exponential polynomial superlinear",
    "convex | concave nonconvex",
    "discrete | continuous",
    "continuous | intermittent discontinuous",
    "deterministic | stochastic probabilistic random",
    "random arbitrary randomly | systematic deliberate fixed targeted",
    "supervised | unsupervised",
    "labeled annotated | unlabeled unannotated raw",
    "online | offline",
    "synchronous | asynchronous",
    "parallel concurrent simultaneous simultaneously | sequential serial sequentially",
    "joint jointly together shared | separate separately independent independently",
    "real realworld authentic genuine actual | synthetic artificial simulated fake virtual",
    "natural | artificial synthetic unnatural",
    "human manual manually | machine automatic automated automatically",
    "public open publicly openly | private proprietary closed privately",
    "seen known familiar | unseen unknown novel unfamiliar",
    "explicit explicitly overt | implicit implicitly covert",
    "direct directly | indirect indirectly",
    "visible clear apparent | hidden invisible obscure latent",
    "theoretical theoretically | empirical practical empirically experimental",
    "qualitative qualitatively | quantitative quantitatively",
    "coarse | fine",
    "frozen | trainable finetune",
    "zero | few many",
    "single | multi multiple dual",
    "homogeneous homogenous | heterogeneous",
    "symmetric | asymmetric",
    "balanced | imbalanced unbalanced skewed",
    "similar same alike identical comparable | different dissimilar distinct divergent",
    "similarity | difference dissimilarity",
    "similarly | differently",
    "converge | diverge",
    "combine merge integrate join unify | separate split divide decouple disentangle",
    "centralized | decentralized distributed federated",
    "close closer near nearer | far distant farther remote",
    "left | right",
    "front | back rear",
    "forward | backward backwards reverse",
    "top | bottom",
    "start begin | stop end finish cease halt",
    "open | close",
    "maintain preserve retain keep | lose discard abandon destroy",
    "create build construct generate | destroy demolish eliminate",
    "cause | prevent",
    "protect protective defend | attack threaten endanger",
    "cooperate cooperative collaborative | compete competitive adversarial",
    "active actively | passive inactive passively",
    "acute | chronic",
    "benign | malignant",
    "healthy well | diseased sick unhealthy ill",
    "alive survive survival | dead die death mortality",
    "male man boy | female woman girl",
    "adult | child infant pediatric",
    "maternal | paternal",
    "vivo | vitro",
    "proximal | distal",
    "anterior | posterior",
    "dorsal | ventral",
    "mild | severe",
    "hot warm heat | cold cool",
    "wet | dry",
    "bright | dark",
    "loud louder | quiet quieter silent",
    "hypertension | hypotension",
    "weight obese obesity overweight | underweight",
    "optimistic | pessimistic",
    "confident certain certainty | uncertain uncertainty doubtful",
    (
        "necessary required essential needed crucial vital critical important | unnecessary optional "
        "redundant unimportant irrelevant dispensable negligible"
    ),
    (
        "significant substantial notable considerable marked significantly substantially considerably "
        "markedly greatly dramatically | insignificant negligible nonsignificant slight minor marginal "
        "slightly marginally insignificantly"
    ),
    "sufficient adequate enough | insufficient inadequate",
    "efficient efficiently | inefficient wasteful inefficiently",
    "effective effectively | ineffective ineffectively",
    "relevant | irrelevant",
    "reliable reliably trustworthy | unreliable untrustworthy",
    "flexible | rigid inflexible",
    "scalable | unscalable",
    (
        "sensitive sensitivity vulnerable susceptible susceptibility | insensitive robust resistant "
        "immune robustness resistance"
    ),
    "robustness stability resilience | fragility instability brittleness vulnerability",
    "overestimate | underestimate",
    "overfit | underfit",
    "attract | repel",
    "buy | sell",
    "import | export",
    "advanced modern contemporary | traditional conventional classical outdated primitive",
    "innovative novel | conventional traditional",
    "superiority | inferiority",
    "compress | decompress expand",
    "ascend ascending | descend descending",
    "majority most | minority few",
    "primary main major | secondary minor",
    "teacher | student",
    "question | answer",
    "cheaply | expensively",
    "light | heavy",
    "clean | noisy dirty corrupted",
    "dominant | recessive",
    "diverse varied diversity | homogeneous uniform homogeneity uniformity",
    "overcome solve resolve address tackle | exacerbate suffer ignore worsen",
    "mitigate alleviate relieve ease | exacerbate aggravate worsen amplify",
    "excel thrive | struggle falter",
    "comprehensive extensive thorough | limited superficial narrow cursory",
    "unlimited | limited",
    "ample | scarce limited",
    "possible feasible | impossible infeasible",
    "likely probable | unlikely improbable",
    "likelihood probability | unlikelihood",
    "presence present | absence absent lack",
    "existence exist | absence lack",
    "best optimal | worst suboptimal",
    "high-resource | low-resource",
    "near | far",
    "gained | lost",
    "interpretable transparent | opaque uninterpretable",
    "bias biased | unbiased fair impartial",
    "fairness | unfairness",
    "coherent consistent | incoherent inconsistent contradictory",
    "contiguous | scattered",
    "sharp | blurry blunt smooth",
    "smooth | rough",
    "toxic | nontoxic harmless",
    "absorb | emit release",
    "bind | dissociate unbind",
    "phosphorylation | dephosphorylation",
    "methylation | demethylation",
    "polymerization | depolymerization",
    "proliferation | apoptosis quiescence",
    "induce trigger | prevent suppress inhibit",
    "sensitize | desensitize",
    "monotonically monotonic | nonmonotonic",
    "pretrain pretraining | posttraining",
    "unify unified | fragment fragmented",
    "resolve | cause create",
    "smaller | larger",
    "short-term | long-term",
    "independent independently | dependent jointly",
    "free | requiring",
    "ignore overlook neglect | consider emphasize",
    "reveal expose uncover | conceal hide obscure mask",
    "attention | neglect",
    "encourage | discourage",
    "enrich | deplete",
    "enrichment | depletion",
    "inflation | deflation",
    "legal | illegal",
    "profit | loss",
    "victory win | defeat lose",
    "superlinear | sublinear",
    "monolingual | multilingual bilingual",
    "unimodal | multimodal",
    "temporary transient | permanent lasting persistent",
    "reversible | irreversible",
    "novice beginner | expert",
    "domestic | foreign",
    "urban | rural",
    "east | west",
    "north | south",
    "day | night",
    "inward | outward",
    "horizontal horizontally | vertical vertically",
    "row | column",
    "numerator | denominator",
    "head | tail",
    "train training | test testing",
    "success | failure",
    "empty | full",
    "concise succinct | verbose lengthy",
    "trivial | nontrivial",
    "precision | recall",
    "underexplored understudied | wellstudied",
    "advantageous | disadvantageous",
    "closely | loosely",
    "tightly tight | loosely loose",
)

NEGATIVE_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "anti", "de")
"""``significant`` / ``insignificant``: the longer word is the shorter one with one of these prefixes."""

PREFIX_PAIRS = (
    ("over", "under"),
    ("pre", "post"),
    ("up", "down"),
    ("hyper", "hypo"),
    ("intra", "inter"),
    ("homo", "hetero"),
    ("micro", "macro"),
    ("uni", "multi"),
    ("mono", "multi"),
    ("single", "multi"),
    ("in", "out"),
    ("in", "ex"),
    ("pro", "anti"),
    ("endo", "exo"),
    ("low", "high"),
    ("sub", "super"),
    ("max", "min"),
    ("ascend", "descend"),
    ("en", "de"),
    ("short", "long"),
    ("out", "under"),
    ("more", "less"),
)
"""``overestimate`` / ``underestimate``: the same remainder after opposite prefixes."""


SIBLINGS: tuple[str, ...] = (
    "human mouse rat monkey pig dog rabbit zebrafish fly yeast cat cow sheep",
    "child adult elderly infant adolescent teenager newborn toddler",
    "man woman",
    "boy girl",
    "male female",
    (
        "english chinese french german spanish italian portuguese russian japanese korean arabic hindi "
        "turkish dutch swedish polish greek latin vietnamese thai indonesian swahili hebrew persian czech "
        "finnish "
        "multilingual"
    ),
    "physics chemistry biology economics medicine law psychology finance history linguistics geology",
    "image video audio speech text radar lidar",
    "pretraining finetuning inference",
    "pearson spearman kendall",
    "precision recall",
    "mean median",
    "liver kidney lung heart brain skin breast prostate colon pancreas stomach",
    "python java javascript rust",
    "monday tuesday wednesday thursday friday saturday sunday",
    "january february march april june july august september october november december",
    "spring summer autumn winter",
    "student teacher",
    "encoder decoder",
    "doctor nurse patient",
    "author reviewer reader",
    "buyer seller",
    "classification regression clustering ranking segmentation detection",
    "cpu gpu tpu",
    "ascii unicode",
    "europe asia africa america",
    "china india japan germany france brazil",
)
"""Words of one category per line. A claim that replaces one by another is about something else."""
