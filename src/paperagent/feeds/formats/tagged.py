"""Records of tagged lines, such as ``TI  - A title``, and the papers that they describe.

RIS, MEDLINE, Web of Science and EndNote write one field per tagged line. A `Layout` describes how a tag of a
format looks, which tags begin and end a record, and what the tags mean. `split_records` yields the records of
a text, and `convert` turns one into a paper.

Pitfalls: a value may continue in lines without a tag, with blank lines between its paragraphs; a record may
lack its end; databases write lines of their own between records (``2.``, ``Record #2 of 9``,
``Provider: …``).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from paperagent.feeds import dates, ids
from paperagent.feeds.names import full_name
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    clean_abstract,
    clean_names,
    clean_title,
    make_paper,
    says_withdrawn,
    unique,
)
from paperagent.types import PARTIAL_DATE, Paper, Skipped

_SEPARATOR = re.compile(
    r"\d{1,6}\.?|<\d{1,6}>\.?|Record #?\d{1,6} of \d{1,6}|(?:Provider|Content|Database|Source): .*"
)
"""A line that databases write between records."""
_PREAMBLE = re.compile(r"[A-Z][A-Za-z ]{1,30}:.*")
"""A line that databases write before the first record, such as ``Database: …``."""
_MAX_PREAMBLE_LINES = 10
_MAX_SNIFFED_LINES = 100
_YEAR = re.compile(r"\d{4}")
_LETTERS = re.compile(r"[A-Za-z]{3}")
_TRANSLATED = re.compile(r"\[([^\[\]]++)\]\.?")
"""The title of a paper in another language: ``[Lanterns that hum].``"""
_RETRACTED_TYPE = re.compile(r"\W*retracted(?: publication| article| paper)?\W*", re.IGNORECASE)
_RETRACTED_TITLE = re.compile(r"[(\[]retracted (?:article|publication|paper)\b", re.IGNORECASE)
_RETRACTED_NOTE = re.compile(
    r"\A\W*retracted\b|\bretracted (?:article|publication)\b|\b(?:has been|was|is) retracted\b"
    r"|\bretraction in\b",
    re.IGNORECASE,
)
_PUBMED = re.compile(r"pubmed|medline|\bnlm\b|\bpmid\b", re.IGNORECASE)
_ARXIV_NUMBER = re.compile(r"\s*\d{4}\.\d{4,5}(?:v\d+)?\s*")
_OTHERS = frozenset({"et al", "et al.", "others", "..."})

Tags = tuple[str, ...]
TagReader = Callable[[str], tuple[str, str] | None]
"""Returns the tag and the value of a line, or None for a line without a tag."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a format writes records, and what its tags mean.

    If a field has several tags, the first one with a value is used, unless the field says otherwise.
    """

    source: str
    read_tag: TagReader
    starts: frozenset[str]
    """Tags that begin a record."""
    title: Tags
    abstract: Tags
    """All values of the first tag that has one are joined."""
    authors: tuple[Tags, ...]
    """Groups of tags, in the file's order within a group; a group counts if its first tag has a value."""
    dates: Tags
    """Tags of dates. The most exact date is used. A date without a year is completed from the others."""
    doi: Tags
    url: Tags = ()
    arxiv: Tags = ()
    pmid: Tags = ()
    accession: Tags = ()
    """Numbers that databases give a paper; PubMed's are its ids."""
    database: Tags = ()
    """Tags that name the database."""
    keywords: Tags = ()
    types: Tags = ()
    """Publication types, such as ``Retracted Publication``."""
    notes: Tags = ()
    retraction: Tags = ()
    """Tags that only a retracted paper has."""
    ends: frozenset[str] = frozenset()
    """Tags that end a record."""
    ignored: frozenset[str] = frozenset()
    """Tags that never belong to a record."""
    list_tags: frozenset[str] = frozenset()
    """Tags of which every line is a value of its own."""
    blank_line_ends: bool = False
    """Whether a tag that follows a blank line begins a record."""


@dataclass(slots=True)
class Record:
    """The values of a record by tag, with their positions in it."""

    line: int
    values: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    _size: int = 0

    def add(self, tag: str, value: str) -> None:
        if value:
            self._size += 1
            self.values.setdefault(tag, []).append((self._size, value))

    def texts(self, *tags: str) -> list[str]:
        """Return the values of these tags in the order of the record."""
        return [text for _, text in sorted(value for tag in tags for value in self.values.get(tag, ()))]

    def by_priority(self, *tags: str) -> Iterator[str]:
        """Yield the values of the first tag, then those of the next."""
        for tag in tags:
            for _, text in self.values.get(tag, ()):
                yield text

    def first(self, *tags: str) -> str:
        return next(self.by_priority(*tags), "")


def parse(text: str, layout: Layout) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record of a text."""
    for record in split_records(text, layout):
        yield paper_or_skipped(record, layout)


def paper_or_skipped(record: Record, layout: Layout) -> FeedEntry:
    """Return the paper of a record, or the reason why it has none."""
    try:
        return convert(record, layout)
    except InvalidRecordError as error:
        return Skipped(f"record at line {record.line}", error.reason)


def first_line(text: str) -> str:
    """Return the first line of ``text`` after the lines that databases write; "" if there are too many."""
    lines = [line for line in text.splitlines()[:_MAX_SNIFFED_LINES] if line.strip()]
    head = islice(lines, _MAX_PREAMBLE_LINES + 1)
    return next((s for s in head if not (_SEPARATOR.fullmatch(s.strip()) or _PREAMBLE.match(s))), "")


# --- lines to records ---


def split_records(text: str, layout: Layout) -> Iterator[Record]:
    """Yield the records of ``text``; text between them is ignored."""
    record: Record | None = None
    tag, lines = "", [""]
    after_blank = False
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        pair = layout.read_tag(line) if stripped else None
        if pair is None:
            lines.append(stripped)
            after_blank = not stripped or (after_blank and bool(_SEPARATOR.fullmatch(stripped)))
            continue
        is_start = pair[0] in layout.starts or (after_blank and _begins_record(pair[0], record, layout))
        after_blank = False
        if record is not None:
            if is_start:
                del lines[_length_without_separators(lines) :]
            _add(record, tag, lines, layout)
            if is_start or pair[0] in layout.ends:
                yield record
                record = None
        tag, lines = pair[0], [pair[1].strip()]
        if record is None and tag not in layout.ends | layout.ignored and (lines[0] or tag in layout.starts):
            record = Record(number)
    if record is not None:
        _add(record, tag, lines, layout)
        yield record


def _begins_record(tag: str, record: Record | None, layout: Layout) -> bool:
    """Return whether a tag after a blank line begins a new record, as a second title does."""
    return layout.blank_line_ends or (record is not None and tag in layout.title and tag in record.values)


def _add(record: Record, tag: str, lines: list[str], layout: Layout) -> None:
    if tag in layout.list_tags:
        for line in lines:
            record.add(tag, line)
    elif tag not in layout.ignored:
        record.add(tag, lines[0] if len(lines) == 1 else " ".join(line for line in lines if line))


def _length_without_separators(lines: list[str]) -> int:
    """Return the number of lines before a blank line that only separators of records follow."""
    length = position = len(lines)
    while position and (not lines[position - 1] or _SEPARATOR.fullmatch(lines[position - 1])):
        position -= 1
        if not lines[position]:
            length = position
    return length


# --- records to papers ---


def convert(record: Record, layout: Layout) -> Paper:
    """Return the paper that a record describes; raise InvalidRecordError if it describes none."""
    flags: set[str] = set()
    raw_title = record.first(*layout.title)
    translated = _TRANSLATED.fullmatch(raw_title)
    title = clean_title(translated[1] if translated else raw_title, flags)
    abstract = clean_abstract(_abstract(record, layout), flags)
    arxiv, doi = arxiv_and_doi(_arxiv_value(record, layout), _doi_value(record, layout))
    pmid = _pmid(record, layout)
    notes = record.texts(*layout.notes)
    return make_paper(
        layout.source,
        flags,
        title=title,
        abstract=abstract,
        arxiv=arxiv,
        doi=doi,
        service_id=pmid,
        authors=clean_names(_authors(record, layout), flags),
        published=_published(record, layout, flags),
        categories=clean_names(record.texts(*layout.keywords), flags) if arxiv else (),
        url=_url(record, layout, pmid),
        comment=next((note for note in notes if says_withdrawn("", note)), None),
        is_retracted=_is_retracted(record, layout, title, notes),
    )


def _abstract(record: Record, layout: Layout) -> str:
    parts = next((texts for tag in layout.abstract if (texts := record.texts(tag))), [])
    return " ".join(unique(parts))


def _authors(record: Record, layout: Layout) -> list[str]:
    group = next((group for group in layout.authors if group[0] in record.values), layout.authors[-1])
    names = [name.strip() for text in record.texts(*group) for name in text.split(";")]
    return list(unique(full_name(name) for name in names if name.lower() not in _OTHERS))


def _published(record: Record, layout: Layout, flags: set[str]) -> dt.date | None:
    """Return the first complete date, else the first with a month, else the first."""
    texts = [_without_empty_parts(text) for text in record.by_priority(*layout.dates)]
    year = next((year[0] for text in texts if (year := _YEAR.search(text))), "")
    parsed: list[tuple[int, dt.date | None, set[str]]] = []
    for text in texts:
        if year and not _YEAR.search(text) and not _LETTERS.search(text):
            continue  # "05/17" may be May 17 or a season
        own_flags: set[str] = set()
        day = dates.parse_loose_day(text if _YEAR.search(text) else f"{year} {text}", own_flags)
        parsed.append((_exactness(day, own_flags), day, own_flags))
    _, best, best_flags = max(parsed, key=lambda each: each[0], default=(0, None, set[str]()))
    flags |= best_flags
    return best


def _exactness(day: dt.date | None, flags: set[str]) -> int:
    """Return 3 for a complete date, 2 for a month, 1 for a year (or January), 0 for no date."""
    if day is None:
        return 0
    return (2 if day.month > 1 else 1) if PARTIAL_DATE in flags else 3


def _without_empty_parts(text: str) -> str:
    """Return a date without empty parts and what follows them, as in ``2023/05//spring``."""
    return "/".join(part.strip() for part in text.split("/")[:3] if part.strip().isdecimal()) or text


def _doi_value(record: Record, layout: Layout) -> str | None:
    """Return a value that is a DOI, else the only one of the notes: ``Pages: 5; DOI: 10.1000/1``."""
    if value := next((v for v in record.by_priority(*layout.doi) if ids.parse_doi(v)), None):
        return value
    parts = (part.strip() for text in record.texts(*layout.notes) for part in text.split(";"))
    noted = unique(doi for part in parts if (doi := ids.parse_doi(part)))
    return noted[0] if len(noted) == 1 else None


def _arxiv_value(record: Record, layout: Layout) -> str | None:
    """Return a value that is an arXiv id; a bare number counts only if another value names arXiv."""
    values = list(record.by_priority(*layout.arxiv))
    is_arxiv = any("arxiv" in value.lower() for value in values)
    return next(
        (v for v in values if ids.parse_arxiv_id(v) and (is_arxiv or not _ARXIV_NUMBER.fullmatch(v))), None
    )


def _pmid(record: Record, layout: Layout) -> str | None:
    pmid = next((pmid for v in record.by_priority(*layout.pmid) if (pmid := ids.parse_pmid(v))), None)
    number = record.first(*layout.accession)
    if pmid or not _PUBMED.search(" ".join((number, *record.texts(*layout.database)))):
        return pmid
    return ids.parse_pmid(number)


def _url(record: Record, layout: Layout, pmid: str | None) -> str:
    addresses = [word for text in record.by_priority(*layout.url) for word in text.split()]
    if usable := next((address for address in addresses if ids.clean_url(address, set())), ""):
        return usable
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid.removeprefix('pmid:')}/" if pmid else "".join(addresses)


def _is_retracted(record: Record, layout: Layout, title: str, notes: list[str]) -> bool:
    types = (part for text in record.texts(*layout.types) for part in text.split(";"))
    return (
        bool(_RETRACTED_TITLE.search(title))
        or any(map(_RETRACTED_TYPE.fullmatch, types))
        or any(map(_RETRACTED_NOTE.search, notes))
        or bool(record.texts(*layout.retraction))
    )
