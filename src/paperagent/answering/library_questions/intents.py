"""The intents of questions about the library, with their filters: period, category, feed, author, topic."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import Literal

from paperagent.answering.library_questions import rules
from paperagent.answering.library_questions.references import Field, PaperRef
from paperagent.text.periods import parse_period
from paperagent.types import Filters

IntentKind = Literal[
    "greeting", "thanks", "help", "quit",
    "count", "list", "contents", "authors", "existence", "newest", "paper", "metadata", "overview", "similar",
]  # fmt: skip
Sort = Literal["newest", "oldest"]
TextField = Literal["", "title", "abstract"]
_MAX_TOPIC_WORDS, _MAX_LIMITS = 8, 8
_QUOTES = "\"'“”‘’«»„`"


@dataclass(frozen=True, slots=True)
class Intent:
    """The kind of a question about the library, with its filters."""

    kind: IntentKind
    topic: str = ""
    """Limits the papers to those on a topic."""
    mention: bool = False
    """Whether the papers must mention ``topic`` literally."""
    text_field: TextField = ""
    """Where the papers must mention ``topic``: ``title`` or ``abstract``; empty for either."""
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
    """Whether this is a question about the library only if the library contains what it refers to."""
    exact_title: bool = False
    """Whether ``paper`` must be the whole title of a paper."""
    unless_title: bool = False
    """Whether this is a question about a paper if ``topic`` is the name of one."""

    @property
    def is_small_talk(self) -> bool:
        """Whether the answer needs no library."""
        return self.kind in ("greeting", "thanks", "help", "quit")


@dataclass(frozen=True, slots=True)
class Request:
    """A message without politeness, and what its rules depend on."""

    text: str
    has_history: bool
    today: dt.date


def with_conditions(
    intent: Intent, remaining: str, request: Request, *, verbs: bool = False
) -> Intent | None:
    """Return the intent with the limits and the topic that ``remaining`` names, or None if it says more.

    With ``verbs``, the topic may follow a verb, as in "papers that use X".
    """
    intent, remaining = with_limits(intent, remaining, request.today)
    if not remaining:
        return intent
    if specific := with_topic(intent, remaining, verbs=verbs):
        return specific
    for match in re.finditer(r"\s+", remaining):  # limits may precede the topic
        limited, before = with_limits(intent, remaining[: match.start()], request.today)
        if not before and (specific := with_topic(limited, remaining[match.end() :], verbs=verbs)):
            return specific
    return None


def with_limits(intent: Intent, remaining: str, today: dt.date) -> tuple[Intent, str]:
    """Return the intent with the limits that ``remaining`` names, and what remains of ``remaining``."""
    remaining = remaining.strip()
    for _ in range(_MAX_LIMITS):
        before = remaining
        intent, remaining = without_limits(intent, remaining, today)
        remaining = rules.FILLER_END.sub("", rules.FILLER_START.sub("", remaining.strip(" ,"))).strip(" ,")
        if remaining == before:
            break
    return intent, remaining


def without_limits(intent: Intent, text: str, today: dt.date) -> tuple[Intent, str]:
    """Return the intent with the limits at the end of ``text``, and the text before them."""
    for name, add in (("period", _period), ("category", _category), ("source", _source), ("author", _by)):
        match = rules.LIMITS[name].search(text)
        if match and (limited := add(intent, match[1], today)):
            intent, text = limited, text[: match.start()]
    return intent, text


def _period(intent: Intent, text: str, today: dt.date) -> Intent | None:
    period = parse_period(text.lower(), today)
    if period is None or intent.filters.since or intent.filters.until:
        return None
    return replace(intent, filters=replace(intent.filters, since=period[0], until=period[1]))


def _category(intent: Intent, text: str, _today: dt.date) -> Intent | None:
    filters = replace(intent.filters, category=text)
    return None if intent.filters.category else replace(intent, filters=filters)


def _source(intent: Intent, text: str, _today: dt.date) -> Intent | None:
    return None if intent.source else replace(intent, source=text)


def _by(intent: Intent, text: str, _today: dt.date) -> Intent | None:
    name = author_name(text)
    return replace(intent, author=name) if name and not intent.author else None


def author_name(text: str) -> str:
    """Return ``text`` if it can be a person's name, ``same`` for the authors of the last paper, else ""."""
    text = text.strip(_QUOTES + " ")
    if rules.SAME_AUTHORS.fullmatch(text):
        return "same"
    words = text.split()
    is_name = 1 <= len(words) <= 5 and all(re.fullmatch(r"[^\W\d_]+(?:[-'.’][^\W\d_]*)*,?", w) for w in words)
    if not is_name or any(w.lower() in rules.NOT_AN_AUTHOR or w.lower() in rules.CLAUSE_WORDS for w in words):
        return ""
    return "" if any(w.islower() and w.endswith("ing") for w in words) else text


def is_full_name(text: str) -> bool:
    words = text.split()
    return len(words) > 1 and all(re.fullmatch(r"[A-ZÀ-Þ][^\W\d_]*\.?(?:[-'’][A-Za-z].*)?", w) for w in words)


def topic_name(text: str) -> str:
    """Return ``text`` if it can name a topic, without quotes and "the topic"; else ""."""
    text = re.sub(
        rf"^(?:the )?(?:topic|subject|area|field)s?(?: of)? |^{rules.LITERAL}",
        "",
        text.strip(),
        flags=re.IGNORECASE,
    )
    text = (
        re.sub(r"^(?:using|with|for|by) (?:the )?", "", text, flags=re.IGNORECASE)
        if len(text.split()) < 2
        else text
    )
    quoted = len(text) > 2 and text[0] in _QUOTES and text[-1] in _QUOTES
    text = text.strip(_QUOTES + " ,.?!")
    words = text.split()
    if not words or (not quoted and (len(words) > _MAX_TOPIC_WORDS or rules.NO_TOPIC_START.match(text))):
        return ""
    lower = [w.lower().strip(",") for w in words]
    is_clause = not rules.CLAUSE_WORDS.isdisjoint(lower) or not rules.VERBS.isdisjoint(lower[1:-1])
    return text if quoted or not is_clause else ""


def with_topic(intent: Intent, remaining: str, *, verbs: bool = True) -> Intent | None:
    """Return the intent with the topic that ``remaining`` names ("on X", "that mention X"), or None."""
    if match := rules.IN_PLACE.fullmatch(remaining):
        topic = topic_name(match["topic"] or match["topic2"])
        text_field: TextField = (
            "abstract" if (match["place"] or match["place2"]).lower().startswith("abs") else "title"
        )
        return replace(intent, topic=topic, mention=True, text_field=text_field) if topic else None
    if match := rules.HAVE_WORD.fullmatch(remaining) or rules.IN_THEM.fullmatch(remaining):
        topic = topic_name(match["topic"])
        return replace(intent, topic=topic, mention=True) if topic else None
    if match := rules.ON_TOPIC.fullmatch(remaining):
        topic = topic_name(match[1])
        return replace(intent, topic=topic) if topic else None
    if match := rules.MENTIONS.fullmatch(remaining):
        topic = topic_name(match[1])
        return replace(intent, topic=topic, mention=True) if topic else None
    if verbs and (match := rules.STUDIES.fullmatch(remaining)):
        topic = topic_name(match[1])
        return replace(intent, topic=topic) if topic else None
    return None
