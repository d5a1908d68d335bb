# ruff: noqa: E501 - a rule is easier to read on one line
"""The rules of `intents`: regular expressions that match a whole message.

Each names parts of the message in groups: ``rest`` is parsed by `intents`, ``ref`` names a paper.
"""

from __future__ import annotations

import re
from itertools import count

from paperagent.answering.library_questions.references import Field
from paperagent.text.periods import PERIOD


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _rules(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(_rule, patterns))


# --- parts ---
# fmt: off

SYNONYMS = r"articles?|publications?|documents?|entries|items|records|works?|studies|additions?|arrivals?"
"""Synonyms of "papers", which `canonical` replaces by that word."""
NOUN = rf"(?:papers?|preprints?|docs|abstracts?|titles|{SYNONYMS.partition('|works')[0]})"
WORKS = rf"(?:papers?|preprints?|docs|abstracts?|titles|{SYNONYMS}|research|literature|stuff|things)"
LIBRARY = r"(?:paper )?library(?: of papers)?|lib|(?:paper )?collection|catalog(?:ue)?|holdings|database|db|archive|inventory"
"""Synonyms of "library", which `canonical` replaces by that word."""
OWN = r"(?:(?:(?:this|your|my|our|the) )?(?:library|lib)|(?:this|your|my|our) (?:feeds?|index|store|system|memory|set|data|papers)|the feeds?)"
HERE = rf"(?:(?:in|inside|within|from|of|on) {OWN}|in here|in there|here|on file|in stock|{OWN})"
_FILLER = (
    rf"(?:(?:are|is|were) (?:there|here)|do (?:you|we|i) (?:have|know|hold|store|cover|got|know of)|(?:have|did) (?:you|we|i)"
    rf"(?: (?:got|read|ingest|ingested|load|loaded|add|added|import|imported|indexed|index))?|(?:you|we|i) (?:have|know|ingested|added)"
    rf"|do(?:es)? {OWN} (?:have|contain|hold|include|store|cover|list|comprise)|(?:can|could) (?:you|i) (?:see|search|access|ask about|find)"
    rf"|(?:that |which )?(?:are |is |were )?{HERE}|(?:are|is|were|have been|been)? ?(?:stored|indexed|available|loaded|ingested|included|contained|present|covered|represented)(?: (?:in )?{HERE})?"
    r"|do(?:es)? (?:the|these|your|my|all) (?:papers?|articles) (?:have|cover|come from|belong to|address|discuss|deal with|talk about|span)|(?:in|of) (?:the|these|your|my|all) (?:papers|articles)"
    r"|in total|in all|total|altogether|overall|so far|currently|now|right now|at the moment|already|exist|exactly|as well"
    r"|that|which|are|is|at all|of|the|do|does|by now|please|there|all|together|both)"
)
FILLER_START = re.compile(rf"^{_FILLER}(?=\s|$)\s*", re.IGNORECASE)
FILLER_END = re.compile(rf"(?:^|\s+){_FILLER}$", re.IGNORECASE)
_ON = r"(?:on|about|regarding|concerning|around|related to|relating to|dealing with|that deal with|on the (?:topic|subject) of|(?:that |which )?(?:are )?about|covering|discussing|addressing|re|wrt|focus(?:ed|ing) on|to do with)"
_MENTION = r"(?:(?:explicitly |actually |even |also |ever )?(?:mention(?:s|ed|ing)?|contain(?:s|ing)?|include(?:s)?|name(?:s)?|say(?:s)?|talk(?:s)? about|refer(?:s)? to|cite(?:s)?)|with|using|containing)"
LITERAL = r"(?:the (?:exact )?(?:word|term|phrase|name|keyword|acronym|string|words)\s+)"
_STUDY = r"(?:use|uses|used|using|propose|study|discuss|cover|address|evaluate|explore|investigate|look at|deal with|focus on|describe|introduce|work on|compare with|concern|apply|employ|treat|consider|examine|test|study|feature|involve)"
CATEGORY = r"(?:(?:cs|math|stat|eess|econ|q-bio|q-fin|physics|astro-ph|cond-mat|hep|nlin)\.[a-z-]{2,12}|cs|stat|eess|q-bio|q-fin|econ|astro-ph|cond-mat|gr-qc|hep-(?:ex|lat|ph|th)|math-ph|nucl-(?:ex|th)|quant-ph)"
SHOW = r"(?:(?:list|show|give|get|tell|find|read|name)(?: me| us)?|gimme|print|display|enumerate|see|view|browse|dump|what are|which are|i want(?: to (?:see|read))?|let me see|ls|recommend(?: me)?|suggest(?: me)?|any)"
THE = r"(?:(?:all|every|each|of|the|your|my|our|any|some|a list of|a|list of|current|available|stored) )*"
_NUMBER = r"(?:\d{1,3}|three|five|ten|twenty|few|couple(?: of)?)"
_NEW = r"(?:latest|newest|most recent|recent|new|last|freshest|newly added|(?:most )?recently (?:added|read|ingested)|last added|latest added)"

# --- topics and names ---

CLAUSE_WORDS = frozenset(
    """does do did is are was were has have had can could will would should shall may might must than when if because
    how which what who whose why where while then show shows showed shown find finds found report reports reported
    suggest suggests cover covers covered reviewed included according respectively using used were outperform
    outperforms achieve achieves improve improves reduce reduces increase increases yield yields need needs fail fails
    beat beats get gets say says said claim claims""".split()
)
VERBS = frozenset("use uses make makes help helps work works study".split())
"""Verbs, unless they end a topic, as in \"tool use\"."""
NO_TOPIC_START = re.compile(
    r"(?:(?:this|that|these|those|their|its|his|her|each|every|both|it|them|him|my|our|your|how|what|why|which|whether|if"
    r"|average|mean|more than|less than|at least)\b|the (?:proposed |new |main |same |latter |former |above )?(?:papers?|model|method"
    r"|approach|survey|review|study|dataset|data|benchmark|authors?|results?|experiments?|technique|framework|architecture|work"
    r"|algorithm|system|findings?|contribution|idea|way|use of)s?\b)",
    re.IGNORECASE,
)
NOT_AN_AUTHOR = frozenset(
    """a an the this that these those using training default date topic topics year month week day category categories author
    authors title titles relevance theme themes hand far name size number people who whom which what chance accident source
    feed means way law design itself themselves subject field venue upvotes votes similarity rank score it them him her on
    about in of""".split()
)
SAME_AUTHORS = re.compile(
    r"(?:the |this |these )?(?:same|that|his|her|their)? ?(?:author|authors|group|people|team|guys|them|him|her)",
    re.IGNORECASE,
)

# --- limits and topics ---

LIMITS = {
    "period": _rule(rf"(?:^|[\s,]+)({PERIOD}|(?:from|in) the (?:first|second) half)$"),
    "category": _rule(
        rf"(?:^|\s+)(?:(?:are |that are )?(?:from|in|of|with|under|for|tagged|labeled|classified as)\s+)"
        rf"(?:the\s+)?(?:arxiv\s+)?(?:category\s+|section\s+|class\s+)?({CATEGORY})(?:\s+(?:category|section|class|feed))?$"
    ),
    "author": _rule(r"(?:^|\s+)(?:(?:that |which )?(?:are |were )?(?:written |authored |published |co-?authored )?by|with author|from author)\s+(.{2,60})$"),
    "source": _rule(
        r"(?:^|\s+)(?:from|in|of|via)\s+(?:the\s+)?(daily[- ]papers?|hf[- ]daily|hugging ?face|arxiv|openalex|semantic scholar|pubmed"
        r"|acl|[\w-]+(?=\s+feed))(?:\s+(?:feed|page|source))?$"
    ),
}


ON_TOPIC = _rule(rf"{_ON}\s+(.+)")
MENTIONS = _rule(rf"(?:that |which |who )?{_MENTION}\s+(.+)")
IN_PLACE = _rule(
    rf"(?:that |which |where )?(?:(?:have|has|having|with|(?:contain|mention|includ|us|say)\w*) )?{LITERAL}?(?P<topic>.+?) (?:is |appears |occurs )?in (?:the(?:ir)? |its )?(?P<place>titles?|abstracts?|names?)(?: of them)?"
    rf"|(?:whose|with the|where the) (?P<place2>titles?|abstracts?) (?:contain|mention|includ|ha|say)\w* {LITERAL}?(?P<topic2>.+)"
)
"""Words in titles or in abstracts."""
HAVE_WORD = _rule(rf"(?:that |which )?(?:have|has|having|with|(?:contain|includ|us)\w*) {LITERAL}(?P<topic>.+?)(?: (?:in (?:them|it)|somewhere|anywhere))?")
IN_THEM = _rule(r"with (?P<topic>.+?) in (?:them|it)")
STUDIES = _rule(rf"(?:that |which )?{_STUDY}\s+(.+)")


# --- rules ---

COUNT_PASSIVE = _rule(rf"(?:(?:how many times|how often|where) (?:is|are) (?P<times>.+?) mentioned|in how many (?:of (?:the|your|my|our) )?{NOUN} (?:is|are|was|were|does|do) (?P<topic>.+?) (?:mentioned|discussed|used|named|covered|addressed|studied|appear|occur|come up))(?: {HERE})?")
COUNT_MENTIONING = _rule(rf"how many (?:of (?:(?:all |the |your |my )*{NOUN}|them|these|those) )?(?:do |actually |explicitly |also )?(?:mention|talk about|refer to|cite|name)\s+(?P<topic>.+)")
ANY_MENTION = _rule(
    rf"(?:(?:does|do|did|is|are|has|have) )?(?:there )?(?:any|some|one|a)(?:thing|one)?(?: single)?(?: of (?:the|your|these|my))?(?: {NOUN})?(?: {HERE})?(?: that| which)? (?:mention(?:s|ed|ing)?|refer(?:s|ring)? to|cit(?:es?|ing)) (?P<topic>.+?)(?: {HERE})?"
    rf"|(?:does|do) (?:any|one)(?: of (?:the|your|these|my))? {NOUN}(?: {HERE})? (?:talk about|discuss|cover|use) (?P<topic2>.+?)"
    rf"|(?:is|are) (?P<topic3>.+?) (?:ever )?mentioned(?: (?:anywhere|somewhere|{HERE}|(?:in|by) (?:any|some|the|your|these|one)(?: of (?:the|your))? {NOUN}))?|mentions of (?P<topic4>.+)"
    rf"|{NOUN} (?:in which|where) (?P<topic5>.+?) (?:occurs?|appears?|(?:is|are) mentioned|comes? up)"
)
WHICH_MENTION = _rule(rf"which(?: ones?)?(?: of (?:them|these|those|(?:the |your )?{NOUN}))? (?:mention |(?:have|contain|include|use)s? {LITERAL})(?P<topic>.+)")
COUNT_OF_THEM = _rule(rf"how many of (?:(?:all |the |your |my )*{NOUN}|them|these|those) (?:contain|discuss|cover|use|deal with)\s+(?P<topic>.+)")
IS_CATEGORY = _rule(CATEGORY)
COUNT = _rule(
    rf"(?:how many|(?:what is )?(?:the )?(?:total )?number of|(?:what is )?(?:the )?count of|count(?: up)?(?: all)?|how much|total)"
    rf"\s+(?:of\s+)?(?:the\s+|my\s+|your\s+|our\s+|all\s+)*(?P<new>(?:different|unique|distinct|total|new|recent|newer)\s+)?"
    rf"(?P<topic>(?:[\w.+/-]+\s+){{0,4}}?)(?P<noun>{NOUN})\b(?P<rest>.*)"
)
SIZE = _rules(
    rf"(?:{NOUN}\s+count|count|how (?:big|large|small) (?:is|are) {OWN}|(?:what is )?(?:the )?size of {OWN}|size|library size"
    rf"|how much (?:is|do you have) {HERE}|how many(?: are (?:there|here))?(?: {HERE})?|how many do you have|is (?:{OWN}|it) empty)",
)
SIZE_OF_ANYTHING = _rule(r"(?:count|size|how many(?: are (?:there|here))?)")
"""After an answer, asks for the number or size of what the answer was about."""
LIST = _rule(rf"(?P<show>{SHOW}\s+)?{THE}(?:(?P<n>{_NUMBER}) )?(?P<noun>(?:paper |article )?titles?(?: of {THE}{NOUN})?|names of {THE}{NOUN}|{NOUN})\b(?P<rest>.*)")
LIST_ALL = _rule(rf"(?:list|ls|(?:list|show|print|display)(?: me)? (?:all|everything|them all|{OWN}|all of (?:it|them)|the list)|everything|index)(?: {HERE})?")
WHICH = _rule(rf"(?:which|what) (?P<noun>{NOUN})\b(?P<rest>.*)")
DAYS_PAPERS = _rule(rf"(?:{SHOW} )?(?P<period>today|yesterday|(?:this|last) (?:week|month|year))'?s? (?:new |latest |newest )?{WORKS}")
ANYTHING_IN_PERIOD = _rule(rf"(?:(?:is there |are there |do you have |have you got |got |was there |did )?(?:anything|something|any {NOUN}|what)|(?:do you have|are there|have you got) {NOUN})(?: new| interesting)?\s+(?P<period>{PERIOD})")
CATEGORY_PAPERS = _rule(rf"(?:{SHOW} )?{THE}(?P<category>{CATEGORY}) {NOUN}(?P<rest>.*)")
BY_AUTHOR = _rules(
    rf"(?:{SHOW} |(?:is|are) there |do you have |have you (?:got )?|anything|something|what is )?(?:any |some |a |the |all |other |more )*"
    rf"(?:{WORKS}|anything|something|everything)(?: here)? (?:written |authored |published )?by (?P<name>.+?)(?: here| {HERE})?",
    rf"(?:what|which)(?: {NOUN})? (?:has|did|have) (?P<name>.+?) (?:write|written|publish|published|author|authored|co-?author(?:ed)?)(?: (?:here|{HERE}))?",
    r"(?:search (?:for )?|find |show |look up |list )?(?:the )?author:? (?P<name>.+)",
    rf"(?:{NOUN} )?(?:whose|with the|the) authors? (?:is|are|includes?|named) (?P<name>.+)",
    rf"(?:{SHOW} )?{THE}(?:works?|{NOUN}) of (?P<name>(?-i:[A-Z])[^\W\d_]+(?: [^\W\d_.]+\.?)+)",
    rf"(?:does|do|did|has|have) (?P<name>.+?) (?:have|got|write|written|authored?|publish|published) (?:any |some |a )?(?:{NOUN}|anything|something)(?: (?:here|{HERE}))?",
    rf"(?:is|are) (?P<name>.+?) (?:an author|among the authors|one of the authors|in any paper)(?: {HERE})?",
    rf"(?:{SHOW} |is there |do you have |have you (?:got )?)*(?:any |some )?(?:anything|something|{NOUN}) (?:from|of|with) (?P<name>(?-i:[A-Z])[^\W\d_.'’-]+(?:[ .'’-]+(?-i:[A-Z])[^\W\d_]*)+)(?: {HERE})?",
    rf"(?:{SHOW} )?(?:all |any |the )*{NOUN} from (?P<name>[^\W\d_]+ [^\W\d_.'’-]+)",
    rf"(?:{SHOW} )?(?P<name>[^\W\d_][\w.'-]* [^\W\d_][\w'-]+)'s? {NOUN}",
)
AUTHORS = _rule(
    rf"(?:{SHOW} |who are |what are |which |how many )?{THE}(?:different |most (?:frequent|common|productive|prolific) |top |main )?authors(?: names)?(?: (?:alphabetically|do(?:es)? (?:the|your) library have|do you have|are there|are {HERE}|{HERE}|are in {OWN}))?"
    rf"|(?:which|what) authors? (?:has|have|is|are|appears?|wrote|published) (?:written |published |the author of )?(?:the )?(?:most|largest number of|most often|most frequent(?:ly)?)(?: {NOUN})?(?: {HERE})?"
    rf"|who (?:has |have )?(?:wrote|written|published|authored|publishes|writes) (?:the )?most(?: {NOUN})?(?: {HERE})?|(?:who|which) is the (?:most (?:prolific|productive|frequent|common)|top|main) author(?: {HERE})?|(?:list of|all) authors(?: {HERE})?|(?:who|whose papers) (?:is|are) {HERE}"
)
"""The authors of the library. After an answer, ``AUTHORS_OF_ANSWER`` means those of its paper."""
AUTHORS_OF_ANSWER = _rule(r"(?:(?:list|show|name|give|get|who are|what are)(?: me)? )?(?:the )?authors(?: names)?")
AUTHOR_ON = _rule(rf"(?P<name>.+?) {_ON} (?P<topic>.+)")
NEWEST = _rule(
    rf"(?:{SHOW} |what(?: is| are| were) |which (?:are|is) |is there |are there |(?:do )?you have |do you have )?{THE}(?:(?P<n>{_NUMBER}) )?"
    rf"(?P<adjective>{_NEW}) (?:(?P<m>{_NUMBER}) )?(?P<topic>(?:[\w.+/-]+ ){{0,4}}?)(?P<noun>{WORKS})\b(?P<rest>.*)"
)
WHATS_NEW = _rule(
    r"(?:(?:what(?: is| are)?|wats|what else is|anything|any thing|something|is (?:there )?(?:anything|something)|got anything|is anything) "
    r"(?:that is |that's |is |really )?(?:the )?(?:new|latest|newest|recent|up|news|newest stuff)"
    r"|(?:the )?(?:latest|newest)|(?:any )?(?:news|updates?|new stuff|novelties|new)|what(?: is| are) the (?:latest|news|newest)|what changed"
    r"|what (?:came|has come|comes) (?:out|in)|what (?:did|have) i miss(?:ed)?|what (?:happened|was added|got added|has been added|arrived)|what is (?:hot|fresh|just in|recent))"
    r"(?P<rest>(?:\s.*)?)"
)
OLDEST = _rule(rf"(?:{SHOW} |what(?: is| are) |which (?:are|is) )?{THE}(?:{_NUMBER} )?(?:oldest|earliest) (?:{_NUMBER} )?{NOUN}(?P<rest>.*)")
_SUBJECTS = r"(?:topics?|themes?|subjects?|areas?|fields?|research (?:areas?|topics?|fields?)|categor(?:y|ies)|feeds?|sources?|keywords?|clusters?|years|dates|groups|tags)"
CONTENTS = _rules(
    rf"(?:so )?(?:what(?: is| all is| are)?|wats) (?:all )?(?:the )?(?:stored |contained |contents? )?(?:in|inside|on|of) {OWN}",
    r"(?:so )?(?:what(?: is| all is)?|wats) (?:all )?(?:in|inside) (?:here|there)|what is (?:here|available|there|inside)",
    rf"what (?:all )?(?:do|can|does|have) (?:you|we|i|{OWN}) (?:have|got|know|contain|hold|cover|store|include|know about|offer|search|find|learn|see|read)(?: (?:about|you|here|you about|in|from you|{HERE}))*",
    rf"what (?:is|are) {OWN} (?:about|made of|all about|like)|what (?:are|is) (?:these|the|your|all the) papers (?:about|on)",
    rf"(?:what|which) (?:kind|kinds|type|types|sort|sorts) of (?:{NOUN}|research|stuff|things|topics|information|data|content|material)(?: are (?:these|they|those)| is this)?(?P<rest>.*)",
    rf"(?:(?:what|which|how many) |{SHOW} |what is )?(?:are )?{THE}(?:(?:main|major|top|key|different|most common|common|biggest|popular|important|\d{{1,2}}) )*{_SUBJECTS}(?: and {_SUBJECTS})?(?P<rest>.*)",
    rf"(?:what|which) (?:domains?|fields?|disciplines?|subjects?) (?:do(?:es)?|is|are) (?:{OWN}|the papers|these papers|you) (?:cover|from|about|span|deal with)|what (?:stuff|things?|all)(?: is|'s| do you have)? {HERE}|brief me (?:on|about) {OWN}|(?:what|which) (?:dates?|periods?|time ?(?:span|range|frame|period)|years?|date range|months?|weeks?) (?:do(?:es)?|is|are) (?:{OWN}|the papers|these papers|you|it|they)(?: (?:cover|span|have|from|covered|contain))?",
    rf"(?:how (?:old|recent|current|up[- ]to[- ]date|fresh|new) (?:is|are) (?:{OWN}|the papers|your papers|the data|your data)|(?:what is )?(?:the )?(?:date range|time span|time range|span|period covered|coverage)(?: {HERE})?|from when are the papers|when (?:was|were) (?:{OWN}|the papers) (?:last )?(?:updated|ingested|refreshed|added|read)|when did (?:you|i|we) last (?:ingest|update|refresh|read)(?: anything| papers)?|when was the last (?:update|ingest)|how far back do(?:es)? (?:{OWN}|it|you|the papers) go)",
    rf"(?:describe|(?:give me |show me )?(?:an? |the )?(?:overview|summary|description|breakdown|statistics|stats|contents?|table of contents|toc|list of topics) (?:of|for|about|on)|summari[sz]e|tell me (?:something |more )?about|explain|introduce|about) (?:{OWN}|all (?:the |my |your )?papers|(?:the|all|my|your) (?:whole |entire )?(?:library|collection|papers)|everything|the contents?)",
    r"(?:library|contents?|status|stats|statistics|about|info|overview|table of contents|toc|summary|coverage|inventory|library (?:info|status|stats|statistics|contents?|overview|summary))",
    rf"(?:is there |do you have )(?:anything|something|papers|any papers)(?: {HERE}| in this)?",
    rf"(?:(?:give|show) me |i (?:need|want) )?(?:an? |some )?(?:rough |quick |general )?(?:idea|sense|impression|feel|picture|gist|outline|tour) (?:of|about|for) (?:what is (?:all )?(?:{HERE}|inside)|{OWN}|what (?:you have|the papers are about|(?:all )?the papers cover))",
    rf"what (?:do|does) (?:(?:the|these|your|my|all(?: the| of the)?) (?:papers?|articles|abstracts)|{OWN}) (?:deal with|cover|talk about|discuss|address|treat|look at)(?: in general| mostly| mainly| overall| generally| on the whole)|what (?:do|does) (?:(?:your|my|all(?: the| your)?) (?:papers|articles|abstracts)|{OWN}) (?:deal with|cover|talk about|discuss|address|treat)",
    rf"what (?:are|is) (?:most(?: of)? |all(?: of)? )?{OWN} (?:mostly |mainly |generally |all )*(?:about|on|concerned with)(?: in general| mostly| mainly| overall)?|(?:what|which) (?:{_SUBJECTS}) can i (?:ask about|find|search|read about|look up)(?: {HERE})?|(?:walk me through |tell me (?:about )?|show me )?what (?:you have|is (?:(?:covered|available|stored|included) )?{HERE}|there is)|what (?:material|content|literature|texts|research) (?:do you have|is {HERE})",
    rf"{THE}{NOUN} (?:by|per|grouped by|sorted by|ordered by) (?:topic|theme|category|subject|feed|source|area)s?",
)
NEWEST_ONE = _rule(
    rf"(?:what is|which (?:{NOUN} |one )?is|show(?: me)?) the (?:newest|latest|most recent)(?: (?:one|{NOUN}))?(?: {HERE})?|(?:which|what) {NOUN} (?:was|were|is) (?:added|read|ingested|published) (?:last|most recently)"
)
LAST_ONE = _rule(r"last (?:paper|article|work|abstract)")
"""The last paper of an answer, not of the library."""
IS_NEW = _rule(r"(?:the )?(?:new|recent|newest|latest|most recent)")
WITH = _rule(r"(?:that )?(?:with|using)\b")
TITLES = _rule(r"titles|title|(?:paper|article) titles?|names")
SINGULAR = _rule(r"paper|article|abstract|document|publication")
MENTIONING = _rule(r"(?:^|\s)(?:mention|(?:the )?(?:exact )?(?:word|term|phrase|name|keyword|acronym|string) )")
GOT = _rule(r"(?:have|has) (?:you|we|the library) got|(?:you )?got\b|you have|any chance|can you find")
SMALL_WORDS = frozenset(
    "a an and as at by for from in into is it its of on or the to via vs with your".split()
)
"""Words that a title does not capitalize."""
ALSO_IN_PAPERS = _rule(r"works|studies|documents?|docs|entries|items|records|articles?")
MODIFIED_NOUN = _rule(r"papers?|articles?|publications?|preprints?|abstracts")
ABOUT = ("on ", "about ", "regarding ", "concerning ", "around ", "related to ", "in the area of ")
NOTHING_MORE = _rule(r"(?:stuff|things?|papers?|research|work|today|in (?:my|the|your) (?:feeds?|library)|for me|to (?:read|see|report)|in (?:research|science|the field))")
NEW_ON = _rule(r"(?:papers? |work |research |stuff |things? |developments? |studies )?(?:to (?:read|see) )?(?P<word>on|about|regarding|concerning|around|in the (?:field|area) of|in|with|for)\s+(?:the (?:field|area|topic) of )?(?P<topic>.+)")
CONTENTS_WITHOUT_HISTORY = _rules(
    r"what(?: is)? (?:in|inside) (?:this|it)|what(?: is)? (?:this|it) about|what do(?:es)? (?:this|it) (?:have|contain|cover|know)|what is (?:this|that)|sources|what else(?: is there)?|what are (?:they|these) about",
)
ALSO_A_TOPIC = _rule(r"abstract|title|titles|sources?|citation|reference|name|id|year|date|day|pdf|arxiv|venue|the (?:title|name|abstract)")
ONLY_OF_PAPERS = _rule(r".*\b(?:wrote|authored|written by|authors? (?:of|for)|doi|arxiv|bibtex|venue|conference|journal|pdf|abstract|citations?)\b.*")
"""Things that only papers have."""
SOURCES = _rule(r"(?:(?:show|list|give)(?: me)? |what(?: is| are| were) )?(?:the |your )?sources?|(?:who(?:'s| are| were) )?(?:their|the) (?:links|authors)")
EXISTS = _rules(
    rf"(?:do|does|did) (?:you|we|i|{OWN}) (?:also |actually |even |happen to |by any chance )?(?:have|got|know|contain|include|hold) (?P<ref>.+?)(?: (?:too|as well|by any chance))?(?: {HERE})?",
    rf"(?:(?:have|has) (?:you|we|{OWN}) (?:got|read|ingested|indexed)|(?:you )?got|you have|(?:is|are) there|does (?:it|this) (?:have|contain|include)|any chance you have|can you find|have|search for) (?P<ref>.+?)(?: {HERE})?",
)
IS_HERE = _rule(rf"(?:is|are) (?P<ref>.+?) (?:also |already |even )?(?:(?:included |contained |stored |available |present |indexed |listed |somewhere |to be found )?{HERE}|(?:part of|among|one of) (?:{OWN}|the papers))(?: too| as well| already)?")
IN_HERE = _rule(rf"(?P<ref>.+?) (?:(?:is|are) )?(?:already |also )?{HERE}")
GENERIC = frozenset(
    """access answers any anything anyone abstracts code data dataset datasets details evidence everything examples example feelings
    figures graphs idea ideas images information internet it limitations limits links memory models more names news numbers
    one opinion papers pdfs pictures plots proof questions references results something sources statistics tables that
    them these this those time titles topics articles authors ones source paper abstract both all none docs""".split()
)
"""Things that a message may ask for without naming a paper."""
_LIKE = r"(?:like|similar to|related to|close to|comparable to|resembling|along the lines of|as in|akin to|such as)"
SIMILAR = _rules(
    rf"(?:(?:{SHOW}|search(?: for)?|do you have|have you got|are there|is there|which|what|what are|get|more|any|some) )*(?:(?:the|other|more|further|any|most|closest) )*(?:{WORKS}|anything|something|ones?|results)?(?: (?:that |which )?(?:are|is))? ?(?:(?:most|closely|very|thematically|semantically) )?{_LIKE} (?P<ref>.+)",
    rf"(?:(?:{SHOW}|search(?: for)?|do you have|have you got|are there|is there|what are|get|any|some) )*(?:the )?(?:more |most )?(?:similar|related|neighbou?ring|comparable|closest|nearest) (?:{WORKS}|ones?)(?: (?:to|of|for|with) (?P<ref>.+))?",
    rf"(?:(?:{SHOW}|is there|are there|do you have) )?(?:anything|something|what else is|what(?: is| are)|which are|which papers are|what papers are|others?|more) (?:similar|related|close|like (?:it|this|that|[\[\d\]]+)|most similar)(?: to (?P<ref>.+))?",
    r"similar(?: to (?P<ref>.+))?|related",
    r"what else is (?:there )?(?:like|similar to|related to) (?P<ref>.+)",
    r"(?:neighbou?rs|nearest neighbou?rs) of (?P<ref>.+)",
    r"(?:are there )?(?:others?|more) like (?P<ref>it|this|this one|that|that one|\[\d+\]|these)",
)
_SUM = r"(?:summari[sz]e|sum up|recap|synthesi[sz]e|digest|(?:(?:give|write|show|get|make)(?: me)? )?(?:an? |the )?(?:(?:short|brief|quick|concise|cited|little|good|full) )*(?:overview|summary|survey|recap|synthesis|tl;?dr|digest|review)(?: of| on| about| for)?|tl;?dr(?: of| for)?|zusammenfassung(?: von)?)"
OVERVIEW_OF_PAPERS = _rule(rf"{_SUM} (?:(?:all|the|your|my|our|existing|available|current|latest|recent) )*(?:{WORKS}|everything|what (?:you have|there is|is there|we have|you know))(?P<rest>(?:\s.*)?)")
OVERVIEW = _rule(rf"{_SUM}:? (?P<ref>.+)")
ABOUT_PAPER = _rule(r"(?:so )?(?:what is (?P<ref1>.+?) (?:all )?about|what does (?P<ref2>.+?) (?:deal with|talk about)|what does (?P<ref5>\S*\d\S*) (?:say|show|find|propose)|(?:can you )?tell me (?:more |something )?about (?P<ref3>.+)|explain (?P<ref4>the .*(?:paper|article).*))")
ALONE = _rule(r"(?:(?:all|all the|the|my|your) )?(?:papers|titles|articles|publications|paper titles|documents)")
TITLED = _rule(r"(?:the )?(?:paper|article) (?:(?:called|titled|named|entitled)\b|[\"“«])|(?:the )?\S+ paper$")
SHOW_PAPER = _rule(r"(?:show(?: me)?|open|display|read(?: me)?|get(?: me)?|give(?: me)?|print|view|see|pull up|find(?: me)?|search(?: for)?|look up|lookup|fetch|go to|load|bring up)\s+(?P<ref>.+)")
IS_QUESTION = _rule(r".*\?$|(?:do|does|did|is|are|was|were|can|could|should|would|will|has|have|how|what|why|which|who|when|where|whose|to what)\b")
ALSO_A_REQUEST = _rule(
    r".*\b(?:vs\.?|versus|compared|and how|and why)(?!\w)|(?:please |kindly |briefly )*(?:compar(?:e|ing)|contrast|differentiate|distinguish|explain|describe|discuss|define|elaborate|clarify|outline|list|name|enumerate|identify|find|search|show|give|tell|provide|write|summari[sz]e|analy[sz]e|assess|rank|relate|recommend|suggest|quote|cite|mention)\b|(?:the |main |key |any |some )*(?:differences?|similarit(?:y|ies)|comparisons?|relations?(?:hips?)?|(?:dis)?advantages?|pros|cons|strengths?|weakness(?:es)?|limitations?|drawbacks?|benefits?|results?|performance|accuracy|details?|examples?|definitions?|explanations?|descriptions?|summar(?:y|ies)) (?:of|between|for|in|on|and)\b"
)
"""How a request or a question without a verb begins; a title may begin like this, too."""

FIELDS: dict[Field, tuple[str, ...]] = {
    "authors": (
        r"how many (?:co-?)?authors (?:do(?:es)?|did|has) {ref} (?:have|got|list)|how many (?:co-?)?authors (?:are|were) (?:there )?(?:on|of|for|behind) {ref}|how many (?:people|authors|researchers) (?:wrote|(?:co-?)?authored|are behind|were behind) {ref}",
        r"who(?:'s| is| are| were| was)? (?:the )?(?:(?:first |last |senior |lead |corresponding )?(?:co-?)?authors?|writers?)(?: (?:of|for|on|behind) {ref})?",
        r"who (?:wrote|authored|published|co-?authored|penned|came up with|made|did|wrot|is behind|was behind) {ref}",
        r"(?:(?:list|show|name|give|get)(?: me)? |what(?: is| are) )?(?:the )?(?:first |last |lead |corresponding )?(?:co-?)?author(?:s|'s name|s' names)?(?: list)?(?: (?:of|for) {ref})?",
        r"(?:by whom|whose (?:paper|work) is (?:it|this|that)|who(?:'s| is) it by|who(?:'s| is) (?:{ref}) by|(?:{ref}) (?:authors?|is by whom|was written by whom|written by))",
    ),
    "published": (
        r"when (?:was|is|were) {ref} (?:published|written|released|posted|submitted|uploaded|out|from|listed|added|dated|made|accepted)",
        r"when did {ref} (?:come out|appear|get published)|(?:in )?(?:which|what) (?:year|month) did {ref} (?:come out|appear)|when did (?:they|the authors) publish (?:it|this|that)",
        r"(?:what(?: is| was) )?(?:the )?(?:publication|release|submission|publishing|pub|upload|listing)? ?(?:date|year|day)(?: of (?:publication (?:of|for) )?{ref})?(?: of publication)?",
        r"(?:in )?(?:what|which) (?:year|month|date|day) (?:was|is) {ref} (?:published|written|released|posted|from|submitted)|how (?:old|recent|new) is (?:the |this |that )?(?:paper|article) ?{ref}?",
        r"when(?: was (?:that|it|this))?(?: published| written)",
    ),
    "title": (
        r"(?:what(?: is| was) )?(?:the |its )(?:full |exact )?(?:title|name)(?: of {ref})?|title|what is it(?:'s)? (?:called|title|named)|(?:which|what) paper (?:is|was) (?:it|that|this)(?: (?:from|in))?",
    ),
    "category": (
        r"(?:what|which) (?:arxiv )?(?:category|categories|field|feed|feeds) (?:is|are|does) {ref}(?: (?:in|from|have|belong to))?|(?:what(?: is| are) )?(?:the |its )(?:arxiv )?categor(?:y|ies)(?: of {ref})?",
    ),
    "venue": (
        r"(?:in |at |to )?(?:which|what) (?:conference|venue|journal|workshop|proceedings|publisher) (?:did|was|is|has|does|published|accepted) {ref}(?: (?:appear|come out|get|been|be|go|belong))?(?: (?:published|accepted|presented))?(?: (?:in|at|to|by|from))?|(?:what is )?(?:the )?(?:conference|venue|journal|publisher) (?:of|for) {ref}|(?:was|is) {ref} (?:published |accepted |presented )?(?:at|in|by|to) (?:an? )?(?:neurips|nips|icml|iclr|acl|emnlp|naacl|eacl|coling|cvpr|iccv|eccv|aaai|ijcai|kdd|nature|science|conference|journal)(?: \d{4})?",
        r"where (?:was|is|were) {ref} (?:published|presented|accepted|from|submitted)|(?:what|which) (?:venue|conference|journal)(?: (?:is|was) {ref} (?:published in|in|from|at|published at))?|(?:the )?venue|(?:is|was|has) {ref} (?:been )?(?:peer[- ]reviewed|published|accepted)(?: (?:anywhere|somewhere|at a conference|yet))?",
    ),
    "code": (
        r"(?:(?:give|send|show|get|post)(?: me)? |is there |do you have |what is |where(?:'s| is) )?(?:a |the )?(?:(?:(?:github|code|repo(?:sitory)?) )?(?:links?|urls?) (?:to|for|of) (?:the )?(?:code|repo(?:sitory)?|github|source code)|github(?: (?:repo(?:sitory)?|link|page))?|repo(?:sitory)?|code (?:link|url|repo(?:sitory)?))(?: (?:of|for|to) {ref})?",
    ),
    "link": (
        r"(?:(?:give|send|show|get|post)(?: me)? |is there |do you have |have you got |where(?:'s| is) )?(?:a |the )?(?:(?:links?|urls?) (?:to|for|of) )?(?:the )?(?:(?:pdf|full text|download|paper) (?:link|url|file)|pdf|full text|full paper|doi|url|link)(?: (?:of|for|to) {ref})?|(?:can i |how (?:can|do) i )?download {ref}|does {ref} have an? (?:doi|link|pdf|url|arxiv id)",
        r"(?:(?:give|send|show|get|post)(?: me)? |what is |(?:do|have) you (?:have )?|got |is there )?(?:a |the |its )?(?:paper )?(?:links?|urls?|web ?address|pdf|doi|arxiv (?:id|link|number|url|page)|arxiv|paper id|id)(?: (?:to|of|for) {ref})?",
        r"where (?:can|could|do|would) i (?:read|find|get|download|access|see) {ref}|(?:{ref}) (?:link|url|pdf|doi)",
        r"(?:(?:show|list|give)(?: me)? |what(?: is| are| were) )?(?:the |your )?sources?",
    ),
    "license": (
        r"(?:what is |under (?:which|what) )?(?:the )?licen[sc]e (?:of|for|is) {ref}(?: under| published under)?",
    ),
    "affiliation": (
        r"(?:what(?: is| are) )?(?:the )?(?:authors'? )?affiliations? (?:of|for) {ref}|(?:which|what) (?:universit(?:y|ies)|institut(?:ion|ions|e|es)|labs?|compan(?:y|ies)|countr(?:y|ies)|organi[sz]ations?|group) (?:is|are|was|were|did) {ref} (?:from|at|by|come from)|where (?:do|are|did) the authors of {ref} (?:work|from|come from|based)",
    ),
    "citations": (
        r"how (?:many citations|often|many times) (?:does|has|is|was|did) {ref} (?:have|got|been cited|cited|get|gotten|received?)|citation count(?: of {ref})?",
    ),
    "upvotes": (
        r"how (?:many )?(?:upvotes|votes|likes|popular) (?:does|has|did|is) {ref}(?: (?:have|got|get|received?))?",
    ),
    "bibtex": (
        r"(?:(?:give|show|get|export)(?: me)? |what is )?(?:the |a )?(?:bib ?tex|bib entry|citation|reference|ris)(?: (?:of|for|entry for|to) {ref})?|(?:how (?:do|can|should) i )?cite {ref}",
    ),
    "abstract": (
        r"(?:(?:show|give|read|print|get|display|see|send|view)(?: me)? |what is |what does )?(?:the |its |full |whole |entire |an )*abstract(?: (?:of|for|from|to) {ref})?",
        r"(?!.* (?:in|with|from|of) (?:the )?abstract$){ref}(?:'s)? abstract",
    ),
}


def _field_rule(pattern: str) -> re.Pattern[str]:
    numbers = count(1)
    return _rule(re.sub(r"\{ref\}", lambda _: f"(?P<ref{next(numbers)}>.+?)", pattern))


def named_paper(match: re.Match[str]) -> str | None:
    """Return the part of a message that names a paper, or None if it names none."""
    return next((text for name, text in match.groupdict().items() if name.startswith("ref") and text), None)


FIELD_RULES = tuple((field, _field_rule(pattern)) for field, patterns in FIELDS.items() for pattern in patterns)
