# ruff: noqa: E501 - a pattern is easier to read on one line
"""Rewrite a request in the words and the order that the rules expect.

"Would you tell me the total number of records?" becomes "the number of papers", and "Ada Berg: how many?" becomes
"how many papers by Ada Berg". The rewritten text is only another candidate for the rules, which match a whole message.
"""

from __future__ import annotations

import re

from paperagent.answering.library_questions import rules
from paperagent.answering.library_questions.intents import author_name, is_full_name
from paperagent.answering.library_questions.wording import END_MARKS, without_politeness

_WORKS = rf"(?:{rules.SYNONYMS}|record|item|entry|contributions|pieces?|manuscripts?|writings|texts|acquisitions|accessions)"
_HOLD = r"(?:hold|possess|own|have got|got|comprise|contain|include|carry|keep|stock|store|count)"
_NAMED = r"(?:the )?(?:exact )?(?:word|term|phrase|name|keyword|acronym|string)s?\s+"
_THANKS = r"(?:by any chance|if i may ask|if you (?:dont|don't) mind|if possible|if you (?:can|could|would)|would you|for me|kindly|will you|no jargon|in plain (?:words|english|language)|briefly|quickly|in short|in brief|in a nutshell|broadly speaking|roughly|more or less|in general|in (?:a|one|two|three|a few|a couple of|some|\d) (?:lines?|sentences?|words?))"


def _table(*rows: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in rows)


_WORDING = _table(
    (r"(?<=[\w\"'”)])(?:[.,;!?]|\s[-–—])\s+(?:i(?:'m|'d|'ve| am| need| want| have| would| will| must)|we(?:'re| are| need)|it(?:'s| is) for|this is for|just|my|for (?:a|my|the)|because|since i)\b.*$", ""),
    (rf"[\s,]+{_THANKS}$", ""),
    (rf"^(?:{_THANKS}|(?:can|could|would|will|may|might) (?:you|i|we|one)|do you (?:know|happen to know)|i (?:need|want|wish|would like|'d like|d like)(?: to (?:know|see|have|get))?|so|well|like|say|tell (?:me|us)(?= (?:how|what|which|who|(?:the )?(?:total )?number)))[\s,]+(?=\S+ \S)", ""),
    (r"\bw/\s*", "with "),
    (r"^(?:is there (?:a|any) way to|any (?:idea|clue|chance to)|(?:point|direct) (?:me|us) to|get(?= (?:an?|the) )|(?:give|show) (?:me|us)(?= (?:the )?(?:number|head ?count) of)|tell (?:me|us)(?= the )) ?(?=\S+ \S)", ""),
    (r" at (?:once|a glance)$", ""),
    (r"\bevery (author|paper|title|article|category)\b", r"all \1s"),
    (r"\b(by|from|of) ((?-i:[A-Z])\S+) et al\b\.?", r"by \2"),
    (rf"\b(?:on|for|about) (?={rules.CATEGORY}\b)", "in "),
    (rf"\b({rules.CATEGORY})'s(?= )", r"\1"),
    (r"^(stats|statistics|overview|summary|topics|categories|numbers) for (?=(?:the )?(?:last|this|past|\d{4}|[a-z]+(?: \d{4})?)$)", r"\1 from "),
    (r"\b(between|from) (\d{1,2}) (and|to|until) (\d{1,2}) ([a-z]{3,9}(?: \d{4})?)$", r"\1 \2 \5 \3 \4 \5"),
    (r"\bwhat'?s\b", "what is"),
    (r"\bwhat're\b", "what are"),
    (r"\b(?:u|ya|ye)\b", "you"),
    (r"\bur\b", "your"),
    (rf"\b(?:(?:this|your|our|my)(?: (?:whole|entire|present))? (?:{rules.LIBRARY}|corpus|repository|bookshelf|shelves|shelf|(?:stash|pile|stock|trove|vault)(?: of papers)?)|the (?:{rules.LIBRARY}))\b", "the library"),
    (r"\b(?:(?:kept|held|housed|hosted|stored|filed|covered|represented|included|contained|to be found|found) )+(?:(?:in|by) the library|(?:in )?(?:here|there))\b", "in the library"),
    (r"\b(?:among|within|inside|(?<!me )on) the library\b", "in the library"),
    (r"(?<!in )\b(?:in here|in there|inside(?: here)?|in store|at hand|on record|around here)$", "in the library"),
    (r"\b(?:subject|arxiv|topic) (?:class|categor|area|head|field)(?:e?s|ies|y|ings?)?\b", "categories"),
    (r"^((?:how many|count|list|show|give|name|enumerate|display|print|number|(?:the )?(?:total |overall )?number|which|what|all|any|more|other|latest|newest|recent|oldest|earliest|do|does|is|are)\b.{0,40}?)\b" + _WORKS + r"\b", r"\1papers"),
    (r"\bhow much (?:papers|stuff|things|material|content|literature)\b", "how many papers"),
    (r"^((?:how many|show|list|give me|any|more|other)\b(?: \S+){0,3}?) (?:ones|stuff|things)\b", r"\1 papers"),
    (r"\b(?:(?:the )?(?:exact |overall |grand )?(?:total|amount|quantity|tally|head ?count)(?: number| count)?|(?:overall|exact|what) (?:number|count)) of\b|\b(?:what is )?the count (?:for|of|in)\b", "number of"),
    (r"(?<!the library )\b(?:speaks?|talks?) (?:of|about)\b", "mention"),
    (r"\b(areas|fields|topics) of (?:research|study|interest)\b", r"research \1"),
    (r"^(count|list|show|find)(?: me)? (?:all|those|everything)(?: of (?:them|those))? that\b", r"\1 papers that"),
    (r"^(?:list|show|give)(?: me)? (?:whatever|everything|what|all) (?=(?:arrived|came|appeared|was|were|has|from|since)\b)", "list papers that "),
    (r"^(?:is|are) there an? (?:paper|article|work) (?=(?:titled|called|named|entitled) )", "do you have the paper "),
    (r"^is ((?-i:[A-Z])\S*(?: \S+){0,3}) there$", r"is \1 in the library"),
    (r"\b(?:are|is) the (?:people|person|team|group) behind\b", "is behind"),
    (rf"\b(do|does|did|would) (you|we|i|the library) (?:also |currently |happen to )?{_HOLD}\b", r"\1 \2 have"),
    (rf"(?<!\bdo )(?<!\bdoes )(?<!\bdid )\b(?:you|we|i|the library) (?:currently )?(?:{_HOLD}|has|have|had)s?$", "do you have"),
    (r"\bhave (?:a|any|the|some) (?:copy|copies|version|pdf) of\b", "have"),
    (r"\b(did|have) (you|we|i) (?:swallow|gather|collect|fetch|harvest|process)(?:e?d)?\b", r"\1 \2 read"),
    (r"\b(?:sits|lies|stands|lives)(?= in the library)", "is"),
    (r"(?<=the library )(?:leans?|tends?|gravitates?|specializes?|focus(?:es)?|concentrates?)(?: towards?| in| on)?$", "cover"),
    (r"^have you (?=(?:the|an?|any|some)\b)|^(?:have|got) (?!you\b|we\b|i\b|there\b|a\b)(?=\S)", "do you have "),
    (r"\b(?:classified|filed|listed|tagged|labell?ed|categori[sz]ed|grouped) (?:under|as|in|with)\b|\b(?:belong(?:s|ing)?|assigned) to(?= \S)|\bfall(?:s|ing)? (?:under|in|into)\b", "in"),
    (r"\b(?:scope|focus|subject matter|theme|coverage|big picture|broad picture|nature|make-?up|gist|run-?down)(?= (?:of|in) (?:the library|what is))|\b(?:gist|essence|essentials|main points?|key points?|main message|takeaways?)(?= of)", "summary"),
    (r"\b(?:what is )?(?:the )?summary (?:of|in) (?:what is (?:\w+ )?(?:here|in the library)|the library|all (?:of )?this)", "summary of the library"),
    (r"^(?:(?:list|show|give|tell|name|what (?:is|are))(?: me| us)? )?(?:the )?(?:full )?names? of (?:all )?(?:the )?authors?\b", "authors"),
)  # fmt: skip
"""Synonyms, applied in this order."""

_HOW_MANY = r"(?:and )?(?:if (?:so|any),? )?(?:how many|what number|count)(?: (?:papers?|ones|of (?:them|those)|are (?:there|they|in the library)|is that|is it|do (?:you|we) have))*"
_EXISTS = re.compile(
    r"^(?:(?:is|are) there|do (?:you|we|i) have|have (?:you|we) got|does|do|is|are)?\s*(?:any(?:thing)?|some(?:thing)?)\s+|^(?:is|are) there\s+",
    re.IGNORECASE,
)
_COUNT_LAST = re.compile(rf"(?P<what>.+?)\s*[,:;?.!–—-]+\s*{_HOW_MANY}", re.IGNORECASE)
_IN = r"in(?! (?:here|there|stock|store|the library|this|your))"
_ORDER = _table(
    (rf"(?=.*\b(?:recently|newly|lately|last|just)\b)(?:(?:is|are|have|has) there (?:been )?)?(?:what|anything|any|something|which)(?: (?:new|recent))?(?: {rules.NOUN})?(?: (?:have|has|was|were|got|been|came|come))* ?(?:(?:recently|newly|lately|last|in|just|most) ?)*(?:added|arrived|acquired|in|out|lately|last|recently)?(?: in the library)?(?: (?:last|lately|recently|most recently))?", "what is new"),
    (r"(?:(?:let me|give me|show me|see|list|display|i want) ?)+(?:all of (?:it|them)|(?:the|a) (?:full|whole|complete|entire) list(?: of papers)?|it all|everything)", "list everything"),
    (rf"(?:do|does) (?:you|we|i|the library) have (?:anything|something|(?:any |some )?papers) ((?:from|{_IN}|by|since|between|before|after) .+)", r"list papers \1"),
    (rf"what(?: else)? (?:do|does) (?:you|we|i|the library) have ((?:by|{_IN}) .+)", r"list papers \1"),
    (r"what(?: else)? (?:has|did|have) (.+?) (?:write|written|publish|published|authored?)(?: here| in the library)?", r"papers by \1"),
    (r"what (?:is|was) the (?:last|latest|newest) (?:thing|paper|one) (?:(?:that )?(?:you|we|i) )?(?:have )?(?:read|ingested|added|got|received)", "what is the newest paper"),
    (r"what (?:did|has) (?:the library|you|we|i) (?:get|got|gain|gained|receive|received|add|added|ingest|ingested) (.+)", r"what is new \1"),
    (r"who (?:shows up|appears|is listed|comes up|occurs) (?:the )?most(?: often| frequently)?(?: as an? author)?(?: in the library)?", "who has written the most papers"),
    (r"(?:which|what) (?:dates?|periods?|months?|years?|weeks?|time ?spans?) (?:is|are) (?:covered|represented|included|available)(?: in the library)?", "date range"),
    (rf"(?:what is )?the (?:share|percentage|proportion|fraction) of ({rules.CATEGORY})(?: papers)?", r"how many papers in \1"),
    (r"(?:only |just )?(?:the )?titles(?: only)?", "list the titles"),
    (rf"(?:what|which) (?:share|percentage|proportion|fraction) of (?:the |your |all )*{rules.NOUN} (?:is|are|comes?) (.+)", r"how many papers \1"),
    (rf"(?:how many|(?:the )?number of|count) (?:the )?{rules.NOUN} (?:per|by|in each|for each) (topic|theme|category|subject|feed|source|area)", r"papers per \1"),
    (r"(?:how (?:old|recent|new) is (?:the|your) (newest|latest|oldest|most recent) paper|which paper is the (newest|latest|oldest|most recent))", r"the \1\2 paper"),
    (r"how far (?:back )?(?:does|do) (?:the library|it|the papers|you) (?:reach|go|stretch|date)(?: back)?", "date range"),
    (rf"(?:are|is) (?:any|some|one) of (?:the |your )*{rules.NOUN} ((?:from|in|by) .+)", r"list papers \1"),
    (rf"(?:is|are) there more than one {rules.NOUN} (.+)", r"how many papers \1"),
    (rf"what (?:has |have )?(?:come|came) in from ({rules.CATEGORY})(?: lately| recently)?", r"newest papers in \1"),
    (r"what the library (?:is about|has|contains|covers)", "what is the library about"),
    (rf"in (?:which|what) {rules.NOUN} (?:do|does|is|are) (.+?) (?:occur|appear|come up|mentioned|named|used)", r"which papers mention \1"),
    (r"how (?:big|large|small) the library is", "how big is the library"),
    (r"what (?:i|one|we|you) can (find|see|read|search|ask about)(?: (.*))?", r"what can i \1 \2"),
    (rf"how many of (?:(?:the|these|those|your|all) )+({rules.NOUN} .+)", r"how many \1"),
    (r"(?:(?:what is|give me|tell me|show me|write) )?(?:the |a )?(?:short |brief )?summary of (?!the library|all\b|(?:the|your|my) papers)(.+)", r"summarize \1"),
    (rf"(?:what|which)(?: other)? {rules.NOUN} (?:resemble|are like|are close to|come close to) (.+)", r"papers similar to \1"),
    (rf"how often (?:does|do|is|are) {_NAMED}(\S+(?: \S+){{0,2}}) (?:appear|occur|come up|mentioned|used) in (?:(?:all|the|your|my|these) )*(?:{rules.NOUN}|library)", r"how many papers mention \1"),
    (r"((?:the )?number of papers) (?!you\b|we\b|i\b|the\b|it\b)((?:\S+ ){1,3})(?:has|wrote|published|authored|has (?:written|published))(?: in the library)?", r"\1 by \2"),
    (r"what can (?:you|i) (?:tell|say|know|learn)(?: me)? about the library", "what is the library about"),
    (rf"(?:what|which) (?:topics|themes|subjects|areas|fields) (?:come up|occur|appear|turn up) in (?:(?:all|the|your|my|these) )*(?:{rules.NOUN}|library)", "what topics are covered"),
    (r"(?:what (?:else )?(?:should|can|could) i read (?:after|besides)|if (?:i|you|one) (?:like[ds]?|enjoy(?:ed)?|read)) (.+?)(?:, ?(?:what|which)\b.*)?", r"papers similar to \1"),
    (rf"in how many (?:of )?(?:the )?{rules.NOUN} (?:(?:do|does|did|is|are|was|appears?|occurs?|comes up|(?:can|do|does) (?:i|one|you|we) (?:find|see|read|meet)) )?(?:{_NAMED})?(.+?)(?: (?:appears?|occurs?|comes? up|mentioned|used|named|found|shows? up|be found))*(?: in the library)?", r"how many papers mention \1"),
    (rf"(?:how many|count|(?:the )?number of)(?: of)?(?: the)? ({rules.CATEGORY})(?: papers?)?(?: (?:do|are|have)\b.*)?", r"how many papers in \1"),
    (rf"how many (?:{rules.NOUN} )?(?:has|did|does|have(?=.*(?:written|published|authored)))\s+(?!you\b|we\b|i\b|the\b|they\b|it\b)(.+?)(?: (?:write|written|wrote|publish|published|author|authored|have|contributed?|got))?(?: (?:in the library|here))?", r"how many papers by \1"),
    (rf"((?:how many|count|number of|list|show|give me) .*?){rules.NOUN} with (.+?) as (?:an? |the )?(?:first |co-?|last )?authors?", r"\1papers by \2"),
    (r"(how many papers|(?:the )?number of papers) of ((?-i:[A-Z])\S+(?: \S+){1,3})", r"\1 by \2"),
    (rf"((?:how many(?: of (?:the |these )?{rules.NOUN})?|(?:how many|count|number of) (?!titles){rules.NOUN})) (?:have|has|contain|with|include|mention|say|use) {_NAMED}(.+)", r"how many papers mention \2"),
    (rf"(?:which|list|show(?: me)?|give me|name|find)(?: (?:all|the))* {rules.NOUN} (?:in which|where) (?:it says |they say |you (?:find|read) |there is )?(?:{_NAMED})?(.+?)(?: (?:is|are) (?:mentioned|named|used|found))?", r"list papers that mention \1"),
    (r"how many (?:have|contain|mention) (?!you\b|we\b|i\b|to\b|been\b|not\b)(\S+(?: \S+){0,2})", r"how many papers mention \1"),
    (r"how many (?=(?:since|after|before|between|until|till|from|under|in|by|on|are|were|was|is|came|appeared|have|use|about)\b)(?:appeared\b)?(.+)", r"how many papers \1"),
    (r"(?:i|we) (?:(?:really|just|have) )*(?:liked?|enjoyed|loved?|read|finished|am reading)(?: reading)? (.+?)[,.;!?]* (?:and )?(?:what|anything|any|more|which|is there|are there|do you|recommend|suggest)\b.*(?:next|else|similar|like (?:it|this|that)|more|other|recommend\w*|suggest\w*|too)", r"papers similar to \1"),
    (r"(?:i|we) (?:have to|need to|must|should|will) (?:present|read|review|discuss|explain) (.+?)(?: (?:tomorrow|today|tonight|soon|next week|this week))?[,.;:]+ (?:please )?(?:give me|what is|write|i need) (?:a|the|its) (?:gist|summary|overview|main points?)", r"summarize \1"),
    (r"(.+?)[,:;–-]+ (?:please )?(?:(?:give me|write|i need) )?(?:(?:the|a|an|its) )?(?:short |brief )?(?:gist|summary|overview|tl;?dr)(?: please)?", r"summarize \1"),
    (r"(.+?),? (?:by whom|written by who|who (?:wrote|made|did) (?:it|this|that)|who (?:are|is) the authors?)", r"who wrote \1"),
    (r"(?:the )?authors of (.+)", r"who wrote \1"),
    (rf"(?:which|what) (?:categor(?:y|ies)|feeds?|sources?|topics?|fields?|areas?) (?:has|have|is|are|contains?) (?:the )?(?:most|largest|biggest|fewest|main|greatest)\b(?: (?:number of|{rules.NOUN}|common|frequent|popular|represented|in|the library))*", r"what categories are there"),
    (r"(?:what|which) (?:kinds?|sorts?|types?) of (?:subjects?|fields?|themes?|areas?) (.*)", r"what topics \1"),
    (r"(?:(?:show|give|list|see|let me see)(?: me)? )?(?:all|everything)(?: (?:that|which))?(?: (?:do )?you have| (?:is )?in the library)", r"list everything"),
    (r"what is (?:all )?(?:this|it|that) (?:all )?about", r"what is this about"),
)  # fmt: skip
"""A whole text → the same request in the order that the rules expect."""


_OF_ANSWER = re.compile(
    rf"(?!.*\b(?:{rules.NOUN}|library|since|after|before|between|until)\b)(?:and )?(?:.*\b)?how many\b.*",
    re.IGNORECASE,
)
"""After an answer, such a question may be about what it says: "how many have failed?"."""


MAX_LENGTH = 300
"""Maximum characters. A longer message is a question for the abstracts, or pasted text."""


def canonical(text: str, *, has_history: bool = False) -> str:
    """Rewrite a request in the words and the order that the rules expect. A long one is not changed."""
    if len(text) > MAX_LENGTH:
        return text
    if has_history and _OF_ANSWER.fullmatch(text):
        return text
    for _ in range(2):  # what is removed may have hidden a synonym
        for pattern, replacement in _WORDING:
            text = pattern.sub(replacement, text).strip(END_MARKS)
        text = without_politeness(text)
    if match := _COUNT_LAST.fullmatch(text):
        text = _counted(match["what"]) or text
    for pattern, replacement in _ORDER:
        if (match := pattern.fullmatch(text)) and match.expand(replacement).lower() != text.lower():
            return " ".join(match.expand(replacement).split())
    return " ".join(text.split())


def _counted(what: str) -> str:
    """Return "how many papers …" for what precedes "how many?", or an empty string."""
    what = _EXISTS.sub("", what)
    if rules.IS_CATEGORY.fullmatch(what):
        return f"how many papers in {what}"
    if re.search(rf"\b{rules.NOUN}\b", what, re.IGNORECASE):
        return f"how many {what}"
    if author_name(what) and is_full_name(what):
        return f"how many papers by {what}"
    if re.match(r"(?:on|about|by|from|since|after|before|in|with|of|that|mentioning)\b", what, re.IGNORECASE):
        return f"how many papers {what}"
    return ""
