"""How papers appear on pages: addresses, dates in words, and cards for lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from paperagent.answering.citations import CUT
from paperagent.digest.links import paper_path
from paperagent.digest.render import formatting
from paperagent.digest.write.highlights import highlights
from paperagent.types import PARTIAL_DATE, Hit, Paper

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MAX_CATEGORIES = 3
_MAX_SENTENCE = 420
"""Characters of the sentence on a card."""


@dataclass(frozen=True, slots=True)
class Card:
    """A paper in a list."""

    path: str
    title: str
    taken_back: str
    """``withdrawn``, ``retracted`` or empty."""
    about: str
    """Authors, id, categories, votes and date."""
    sentence: str
    """The sentence of the abstract that says what is new, or the passage that matches a search."""


@dataclass(frozen=True, slots=True)
class Section:
    """The cards of one day, or of a whole list."""

    heading: str
    cards: tuple[Card, ...]
    path: str | None = None
    """The page of the day."""


def weekday(day: dt.date) -> str:
    """Return a day as ``Thursday, 25 June 2026``."""
    return f"{_DAYS[day.weekday()]}, {formatting.format_day(day)}"


def day_of(paper: Paper, day: dt.date | None) -> str:
    """Return ``day`` as precisely as the feed gave it: ``25 June 2026``, ``June 2026`` or ``2026``."""
    text = formatting.format_day(day)
    if day is None or PARTIAL_DATE not in paper.flags:
        return text
    return text.removeprefix("1 January ") if day.month == 1 else text.removeprefix("1 ")


def date_in_words(paper: Paper) -> str:
    """Return ``published 25 June 2026``, or what else is known about the paper's date."""
    if paper.published:
        return f"published {day_of(paper, paper.published)}"
    if paper.listed:
        return f"listed {formatting.format_day(paper.listed)}"
    return f"added on {formatting.format_day(paper.first_seen)}" if paper.first_seen else ""


def about(paper: Paper, *, date: str) -> str:
    """Return authors, id, categories, votes and date on one line."""
    votes = f"{paper.upvotes:,} vote{'s' if paper.upvotes != 1 else ''}" if paper.upvotes else ""
    categories = ", ".join(formatting.clean_text(name, 40) for name in paper.categories[:_MAX_CATEGORIES])
    parts = (
        formatting.format_authors(paper.authors),
        formatting.paper_identifier(paper),
        categories,
        votes,
        date,
    )
    return " · ".join(part for part in parts if part)


@lru_cache(maxsize=1024)
def new_in(paper: Paper) -> str:
    """Return the sentence of the abstract that says what is new."""
    chosen = highlights(paper)
    if chosen is None:
        return ""
    sentence = chosen.alone[0]
    return formatting.clean_text(f"{CUT if sentence.is_cut else ''}{sentence.text}", _MAX_SENTENCE)


def card(paper: Paper, *, date: str | None = None, sentence: str | None = None) -> Card:
    """Return the card of a paper.

    Args:
        paper: The paper.
        date: The date in words; None for `date_in_words`.
        sentence: The sentence to show; None for `new_in`.
    """
    return Card(
        paper_path(paper.paper_id),
        formatting.clean_text(paper.title, formatting.MAX_TITLE),
        paper.taken_back,
        about(paper, date=date_in_words(paper) if date is None else date),
        new_in(paper) if sentence is None else sentence,
    )


def hit_card(hit: Hit) -> Card:
    """Return the card of a paper that a search returned."""
    return card(hit.paper, sentence=formatting.clean_text(hit.snippet, _MAX_SENTENCE) or None)


def day_sections(papers: Iterable[Paper], counts: Mapping[dt.date, int]) -> list[Section]:
    """Return a section for each day of papers that are sorted by day.

    A card repeats no day of its heading. The heading claims a date of publication or listing only if the
    feed gave one.

    Args:
        papers: The papers.
        counts: The number of papers of each day.
    """
    sections = []
    for day, group in groupby(papers, key=lambda paper: paper.appeared):
        members = list(group)
        if day is None:
            sections.append(Section("Without a date", tuple(map(card, members))))
            continue
        only_added = all(paper.public_day is None for paper in members)
        count = max(counts.get(day, 0), len(members))
        heading = f"{'Added on ' if only_added else ''}{weekday(day)} · {papers_in_words(count)}"
        cards = tuple(card(paper, date=_date_beside(paper, day, only_added=only_added)) for paper in members)
        sections.append(Section(heading, cards, f"/day/{day}"))
    return sections


def _date_beside(paper: Paper, day: dt.date, *, only_added: bool) -> str:
    is_said = only_added if paper.public_day is None else paper.public_day == day
    return "" if is_said and PARTIAL_DATE not in paper.flags else date_in_words(paper)


def papers_in_words(count: int) -> str:
    """Return ``34 papers``."""
    return f"{count:,} paper{'s' if count != 1 else ''}"
