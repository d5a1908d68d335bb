"""Recognize questions about the library itself, which are answered from the database and not from abstracts.

`classify` is a list of rules. Each one describes a whole message, so that a question which only begins like one
("how many papers does the survey cover?") matches none. A rule decides by the words alone. Where it also
depends on the library, such as whether "the authors of X" are those of a paper, the intent is marked
``if_found``: if there is no such paper, the message is an ordinary question.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from paperagent.answering import intent_rules as rules
from paperagent.answering.paper_refs import LAST, PaperRef, is_name_like, parse_ref
from paperagent.answering.small_talk import small_talk, without_opening
from paperagent.text.periods import PERIOD, parse_period
from paperagent.types import Filters

IntentKind = Literal[
    "greeting", "thanks", "help", "quit",
    "count", "list", "contents", "newest", "paper", "metadata", "overview", "similar",
]  # fmt: skip
Field = Literal[
    "abstract", "authors", "published", "link", "title", "category", "venue", "citations", "upvotes", "bibtex"
]
"""What is asked about a paper."""
Sort = Literal["newest", "oldest"]

MAX_LENGTH = 300
"""A longer message is a question, or pasted text."""
_MAX_TOPIC_WORDS, _MAX_MENTION_WORDS, _MIN_TITLE_WORDS = 8, 4, 3


@dataclass(frozen=True, slots=True)
class Intent:
    """What a message asks of the library."""

    kind: IntentKind
    topic: str = ""
    """Limits the papers to those on a topic."""
    mention: bool = False
    """Whether the papers must mention ``topic`` literally."""
    author: str = ""
    """Limits the papers to those of an author; ``same`` for the authors of the last paper."""
    source: str = ""
    """Limits the papers to those of a feed, as the user named it."""
    paper: PaperRef | None = None
    field: Field = "abstract"
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    sort: Sort = "newest"
    titles: bool = False
    """Whether the user asked for titles."""
    if_found: bool = False
    """Whether this is an intent only if the library has what it names."""
    exact_title: bool = False
    """Whether ``paper`` must be the whole title of a paper."""
    unless_title: bool = False
    """Whether this is a question about a paper if ``topic`` is the name of one."""

    @property
    def is_small_talk(self) -> bool:
        """Whether no library is needed to answer."""
        return self.kind in ("greeting", "thanks", "help", "quit")


_STOP = frozenset(
    """does do did is are was were has have had can could will would should shall may might must than when if because
    how which what who whose why where while then show shows showed shown find finds found report reports reported
    suggest suggests cover covers covered reviewed included according respectively using used were outperform
    outperforms achieve achieves improve improves reduce reduces increase increases yield yields need needs fail fails
    beat beats get gets say says said claim claims""".split()
)
_STOP_INSIDE = frozenset("use uses make makes help helps work works study".split())
"""Verbs, unless they end a topic, as in \"tool use\"."""
_NO_TOPIC_START = re.compile(
    r"(?:(?:this|that|these|those|their|its|his|her|each|every|both|it|them|him|my|our|your|how|what|why|which|whether|if"
    r"|average|mean|more than|less than|at least)\b|the (?:proposed |new |main |same |latter |former |above )?(?:papers?|model|method"
    r"|approach|survey|review|study|dataset|data|benchmark|authors?|results?|experiments?|technique|framework|architecture|work"
    r"|algorithm|system|findings?|contribution|idea|way|use of)s?\b)",
    re.IGNORECASE,
)
_NOT_AN_AUTHOR = frozenset(
    """a an the this that these those using training default date topic topics year month week day category categories author
    authors title titles relevance theme themes hand far name size number people who whom which what chance accident source
    feed means way law design itself themselves subject field venue upvotes votes similarity rank score it them him her on
    about in of""".split()
)
_SAME_AUTHORS = re.compile(
    r"(?:the |this |these )?(?:same|that|his|her|their)? ?(?:author|authors|group|people|team|guys|them|him|her)",
    re.IGNORECASE,
)
_QUOTES = "\"'“”‘’«»„`"

# --- normalizing ---

_END_MARKS = " \t?!.,;:…¿¡。？！"
_TYPO_WORDS = (
    "paper papers article articles library libraries title titles list latest newest recent author authors abstract abstracts"
    " summarize summarise summary overview similar mention mentions published written topics topic category categories"
    " sources feeds contain contains many wrote hello thanks goodbye link publication collection database"
).split()
_TYPOS = {w[0]: [t for t in _TYPO_WORDS if t[0] == w[0]] for w in _TYPO_WORDS}
_REAL_WORDS = frozenset(
    """latent tiles pager lost last lest mist lint lists newer later late tile line wrong write writes abstracted mentioned
    toxic tonic topical lint loss less long many main mean money any summed hallo contact contacts container parer taper
    summarizes summarized summaries summarizer published publish publisher recently decent resent authored particle particles
    hells hell tanks thank banks link links linked like line wrote wrist most must almost article titled tilted feed needs
    feeds seeds lines live love lift lost lest similarly simular dataset libra liberty""".split()
)


def classify(text: str, *, has_history: bool = False, today: dt.date | None = None) -> Intent | None:
    """Return what a message asks of the library, or None for a question to be answered from abstracts.

    Args:
        text: The message as typed.
        has_history: Whether answers precede, to which "it" may refer.
        today: The day that "this week" refers to; by default the present one.
    """
    if len(text) > MAX_LENGTH:
        return None
    today = today or dt.datetime.now(tz=dt.UTC).date()
    line = " ".join(unicodedata.normalize("NFC", text).split())
    for opened in dict.fromkeys((line, without_opening(line))):
        kind = small_talk(_plain(opened), has_history=has_history)
        if kind is None and opened.strip() and not opened.strip(_END_MARKS):
            kind = "help" if "?" in opened or "？" in opened else None
        if kind is not None:
            return Intent(kind)
        bare = _without_politeness(opened)
        for candidate in dict.fromkeys((bare, _without_typos(bare))):
            kind = small_talk(_plain(candidate), has_history=has_history)
            if kind is not None:
                return Intent(kind)
            if intent := _library_intent(candidate, has_history=has_history, today=today):
                return intent
    return _whole_title(line)


def _plain(text: str) -> str:
    """Return the text in lower case, without punctuation, accents and repeated letters ("heyyy")."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    text = unicodedata.normalize(
        "NFC", "".join(c for c in decomposed if not unicodedata.combining(c) or c > "\u0900")
    )
    text = re.sub(r"['’`]", "", text)
    text = re.sub(r"(\w)\1{2,}", r"\1", text)
    return " ".join(re.sub(r"[^\w\s👋🙏👍]|_", " ", text).split())


def _without_politeness(text: str) -> str:
    text = text.strip(_END_MARKS).replace("’", "'")
    for _ in range(4):
        shorter = text
        if match := rules.POLITE_START.match(text):
            shorter = text[match.end() :]
        shorter = rules.POLITE_END.sub("", shorter).strip(_END_MARKS)
        if shorter == text or not shorter:
            break
        text = shorter
    return text


def _without_typos(text: str) -> str:
    """Return the text with misspelled words of `_TYPO_WORDS` corrected."""
    return " ".join(_corrected(word) for word in text.split(" "))


def _corrected(word: str) -> str:
    lower = word.lower()
    if not lower.isalpha() or len(lower) < 4 or lower in _REAL_WORDS or lower in _TYPO_WORDS:
        return word
    limit = 1 if len(lower) < 8 else 2
    return next(
        (w for w in _TYPOS.get(lower[0], ()) if _distance(lower, w) <= min(limit, (len(w) - 1) // 3)), word
    )


def _distance(one: str, other: str) -> int:
    """Return the edit distance; two neighboring letters swapped count as one edit."""
    if abs(len(one) - len(other)) > 2:
        return 3
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _with_limits(intent: Intent, rest: str, today: dt.date) -> tuple[Intent, str]:
    """Return the intent with the limits that ``rest`` names, and what remains of ``rest``."""
    rest = rest.strip()
    for _ in range(8):
        before = rest
        if (
            (match := rules.LIMITS["period"].search(rest))
            and not intent.filters.since
            and not intent.filters.until
        ):
            period = parse_period(match[1].replace("came out ", ""), today)
            if period:
                filters = replace(intent.filters, since=period[0], until=period[1])
                intent, rest = replace(intent, filters=filters), rest[: match.start()]
        if (match := rules.LIMITS["category"].search(rest)) and not intent.filters.category:
            intent = replace(intent, filters=replace(intent.filters, category=match[1]))
            rest = rest[: match.start()]
        if (match := rules.LIMITS["source"].search(rest)) and not intent.source:
            intent, rest = replace(intent, source=match[1]), rest[: match.start()]
        if (
            (match := rules.LIMITS["author"].search(rest))
            and not intent.author
            and (name := _author(match[1]))
        ):
            intent, rest = replace(intent, author=name), rest[: match.start()]
        rest = rules.FILLER_END.sub("", rules.FILLER_START.sub("", rest.strip(" ,"))).strip(" ,")
        if rest == before:
            break
    return intent, rest


def _author(text: str) -> str:
    """Return ``text`` if it can be a person's name, ``same`` for the authors of the last paper, else ""."""
    text = text.strip(_QUOTES + " ")
    if _SAME_AUTHORS.fullmatch(text):
        return "same"
    words = text.split()
    is_name = 1 <= len(words) <= 5 and all(re.fullmatch(r"[^\W\d_]+(?:[-'.’][^\W\d_]*)*,?", w) for w in words)
    if not is_name or any(w.lower() in _NOT_AN_AUTHOR or w.lower() in _STOP for w in words):
        return ""
    return "" if any(w.islower() and w.endswith("ing") for w in words) else text


def _topic(text: str) -> str:
    """Return ``text`` if it can name a topic, without quotes and "the topic"; else ""."""
    text = re.sub(
        rf"^(?:the )?(?:topic|subject|area|field)s?(?: of)? |^{rules.LITERAL}", "", text.strip(), flags=re.I
    )
    text = (
        re.sub(r"^(?:using|with|for|by) (?:the )?", "", text, flags=re.I) if len(text.split()) < 2 else text
    )
    quoted = len(text) > 2 and text[0] in _QUOTES and text[-1] in _QUOTES
    text = text.strip(_QUOTES + " ,.?!")
    words = text.split()
    if not words or (not quoted and (len(words) > _MAX_TOPIC_WORDS or _NO_TOPIC_START.match(text))):
        return ""
    lower = [w.lower().strip(",") for w in words]
    is_clause = not _STOP.isdisjoint(lower) or not _STOP_INSIDE.isdisjoint(lower[1:-1])
    return text if quoted or not is_clause else ""


def _limited_topic(intent: Intent, rest: str, today: dt.date, *, verbs: bool = True) -> Intent | None:
    """Return the intent with the topic in ``rest``, before which there may be more limits."""
    if found := _with_topic(intent, rest, verbs=verbs):
        return found
    for match in re.finditer(r"\s+", rest):
        limited, before = _with_limits(intent, rest[: match.start()], today)
        if not before and (found := _with_topic(limited, rest[match.end() :], verbs=verbs)):
            return found
    return None


def _with_topic(intent: Intent, rest: str, *, verbs: bool = True) -> Intent | None:
    """Return the intent with the topic that ``rest`` names ("on X", "that mention X"), or None."""
    if match := rules.ON_TOPIC.fullmatch(rest):
        topic = _topic(match[1])
        return replace(intent, topic=topic) if topic else None
    if match := rules.MENTIONS.fullmatch(rest):
        topic = _topic(match[1])
        return replace(intent, topic=topic, mention=True) if topic else None
    if verbs and (match := rules.STUDIES.fullmatch(rest)):
        topic = _topic(match[1])
        return replace(intent, topic=topic) if topic else None
    return None


# --- rules ---


def _library_intent(text: str, *, has_history: bool, today: dt.date) -> Intent | None:
    """Return the first intent whose rule matches the whole text."""
    if any(rule.fullmatch(text) for rule in rules.SIZE):
        return Intent("count")
    if rules.LIST_ALL.fullmatch(text):
        return Intent("list")
    about_papers = (_metadata, _contents) if has_history else (_contents, _metadata)
    for make in (_newest, _count, _days_papers, *about_papers, _by_author, _similar, _overview, _papers):
        if intent := make(text, has_history, today):
            return intent
    return _paper(text, has_history)


def _count(text: str, _has_history: bool, today: dt.date) -> Intent | None:
    match = rules.COUNT.fullmatch(text)
    if match is None:
        return None
    intent, rest = _with_limits(Intent("count"), match["rest"], today)
    if (match["new"] or "").strip().lower() in ("new", "recent", "newer", "latest") and not intent.filters:
        intent = replace(intent, kind="newest")
    if before := match["topic"].strip():
        if rest or not rules.MODIFIED_NOUN.fullmatch(match["noun"]):
            return None
        topic = _topic(before)
        return replace(intent, topic=topic) if topic else None
    return _limited_topic(intent, rest, today) if rest else intent


def _newest(text: str, has_history: bool, today: dt.date) -> Intent | None:
    if match := rules.OLDEST.fullmatch(text):
        intent, rest = _with_limits(Intent("list", sort="oldest"), match["rest"], today)
        return _limited_topic(intent, rest, today, verbs=False) if rest else intent
    if match := rules.NEWEST.fullmatch(text):
        if match["adjective"].lower() == "last" and match["noun"].lower() in (
            "paper",
            "article",
            "work",
            "abstract",
        ):
            return None  # the last one of an answer
        intent, rest = _with_limits(Intent("newest"), match["rest"], today)
        before = match["topic"].strip()
        if before and not rest:
            topic = _topic(before)
            return replace(intent, topic=topic) if topic else None
        if before or (rest and not rest.lower().startswith(rules.ABOUT)):
            return None
        return _limited_topic(intent, rest, today, verbs=False) if rest else intent
    if match := rules.WHATS_NEW.fullmatch(text):
        intent, rest = _with_limits(Intent("newest"), match["rest"], today)
        if not rest or rules.NOTHING_MORE.fullmatch(rest):
            return intent
        if about := rules.NEW_ON.fullmatch(rest):
            topic = _topic(about["topic"])
            loose = about["word"].lower() not in ("on", "regarding", "concerning")
            if not topic or (loose and (is_name_like(topic) or re.search(r"\d|[a-z][A-Z]", topic))):
                return None
            # "what is new in X" is about the paper X if there is one
            return replace(intent, topic=topic, unless_title=loose)
    return None


def _days_papers(text: str, _has_history: bool, today: dt.date) -> Intent | None:
    if match := rules.DAYS_PAPERS.fullmatch(text):
        return _with_limits(Intent("list"), match["period"], today)[0]
    if match := rules.CATEGORY_PAPERS.fullmatch(text):
        intent = Intent("list", filters=Filters(category=match["category"]))
        intent, rest = _with_limits(intent, match["rest"], today)
        return _limited_topic(intent, rest, today, verbs=False) if rest else intent
    return None


def _contents(text: str, has_history: bool, today: dt.date) -> Intent | None:
    for rule in rules.CONTENTS:
        if match := rule.fullmatch(text):
            rest = match.groupdict().get("rest") or ""
            if not rest or not _with_limits(Intent("contents"), rest, today)[1]:
                return Intent("contents")
    if not has_history and any(rule.fullmatch(text) for rule in rules.CONTENTS_WITHOUT_HISTORY):
        return Intent("contents")
    return None


def _by_author(text: str, _has_history: bool, today: dt.date) -> Intent | None:
    for rule in rules.BY_AUTHOR:
        if match := rule.fullmatch(text):
            intent, name = _with_limits(Intent("list"), match["name"], today)
            topic = ""
            if on := rules.AUTHOR_ON.fullmatch(name):
                name, topic = on["name"], _topic(on["topic"])
            if author := _author(name):
                certain = author == "same" or rule is rules.BY_AUTHOR[0]
                return replace(intent, author=author, topic=topic, if_found=not certain)
    return None


def _metadata(text: str, has_history: bool, _today: dt.date) -> Intent | None:
    for field, rule in rules.FIELD_RULES:
        if match := rule.fullmatch(text):
            named = rules.named_paper(match)
            if named is None and not has_history and rules.ALSO_A_TOPIC.fullmatch(text):
                return None
            ref = parse_ref(named) if named else (PaperRef("all") if rules.SOURCES.fullmatch(text) else LAST)
            if ref is None or (ref.kind == "topic" and not _topic(ref.text)):
                continue
            if field == "link" and ref.kind == "all" and not has_history:
                return Intent("contents")
            kind: IntentKind = "paper" if field == "abstract" else "metadata"
            return Intent(kind, paper=ref, field=field, if_found=not ref.certain)  # type: ignore[arg-type]
    return None


def _similar(text: str, _has_history: bool, _today: dt.date) -> Intent | None:
    for rule in rules.SIMILAR:
        if match := rule.fullmatch(text):
            named = rules.named_paper(match)
            ref = parse_ref(named) if named else LAST
            if ref is not None:
                return Intent("similar", paper=ref, if_found=not ref.certain)
    return None


def _overview(text: str, _has_history: bool, today: dt.date) -> Intent | None:
    if match := rules.OVERVIEW_OF_PAPERS.fullmatch(text):
        intent, rest = _with_limits(Intent("overview"), match["rest"], today)
        if not rest:
            return replace(intent, kind="newest") if intent.filters else Intent("contents")
        return _with_topic(intent, rest)
    if match := rules.OVERVIEW.fullmatch(text):
        ref = parse_ref(match["ref"])
        if ref is None:
            return None
        if ref.kind == "title" and not ref.certain:
            # a paper of this title, else the papers on the topic
            return Intent("overview", topic=_topic(ref.text), paper=ref, if_found=not _topic(ref.text))
        return Intent("overview", paper=ref)
    return None


def _papers(text: str, has_history: bool, today: dt.date) -> Intent | None:
    """Return a request to list papers; one that names a topic is left to the search."""
    if match := rules.WHICH.fullmatch(text):
        intent, rest = _with_limits(Intent("list"), match["rest"], today)
        if rest.lower() in (
            "new",
            "recent",
            "newest",
            "latest",
            "the newest",
            "the latest",
            "the most recent",
        ):
            return replace(intent, kind="newest")
        if not rest and match["rest"].strip():
            return intent
        found = _limited_topic(intent, rest, today, verbs=False)
        if found and found.mention and not re.match(r"(?:that )?(?:with|using)\b", rest):
            short = len(found.topic.split()) <= _MAX_MENTION_WORDS
            return replace(found, if_found=True) if short else None
        return None
    match = rules.LIST.fullmatch(text)
    if match is None:
        return None
    wants_titles = match["noun"].lower().startswith(("title", "paper title", "article title", "names"))
    if not match["show"] and not match["rest"].strip() and not rules.ALONE.fullmatch(text):
        return None
    intent, rest = _with_limits(Intent("list", titles=wants_titles), match["rest"], today)
    if not rest:
        is_single = match["noun"].lower() in ("paper", "article", "abstract", "document", "publication")
        return None if is_single and intent == Intent("list") else intent
    found = _limited_topic(intent, rest, today, verbs=False)
    if found and found.mention and len(found.topic.split()) <= _MAX_MENTION_WORDS:
        certain = wants_titles or re.match(r"(?:that |which |who )?(?:\w+ly )?mention", rest, re.IGNORECASE)
        return replace(found, if_found=not certain)
    return found if found and wants_titles and not found.mention else None


def _paper(text: str, has_history: bool) -> Intent | None:
    ref = parse_ref(text)
    if ref is not None and (ref.kind == "id" or (ref.kind == "number" and has_history)):
        return Intent("paper", paper=ref)
    match = rules.SHOW_PAPER.fullmatch(text)
    if match and (ref := parse_ref(match["ref"])) and ref.kind != "topic":
        return Intent("paper", paper=ref, if_found=not ref.certain)
    return None


def _whole_title(text: str) -> Intent | None:
    """Return the request for a paper by its whole title, unless that is a question."""
    if rules.IS_QUESTION.match(text) or len(text.split()) < _MIN_TITLE_WORDS:
        return None
    return Intent("paper", paper=PaperRef("title", text, certain=False), exact_title=True, if_found=True)
