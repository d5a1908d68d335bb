"""RIS files, as reference managers write them: ``TY  - JOUR`` … ``ER  -``, one tag per line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import RIS
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    marked_retracted,
    paper_url,
    says_withdrawn,
    sorted_flags,
)
from paperagent.types import RETRACTED, Paper, Skipped

_TAG = re.compile(r"([A-Z][A-Z0-9]) {1,2}-(?: (.*)|$)")
_FIRST_TAG = re.compile(r"\s*+TY {1,2}- ?[A-Z]{2,}")
_PREAMBLE = re.compile(r"[A-Z][A-Za-z ]{1,30}:")
"""A line that databases write before the first record: ``Provider: …``, ``Database: …``."""
_MAX_PREAMBLE_LINES = 10
_MAX_VALUE_LENGTH = 100_000
_ARXIV_ID_TAGS = ("AN", "UR", "ID", "M1", "JO", "T2", "L1")

TagValues = dict[str, list[str]]


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with a record, perhaps after a few lines from the database."""
    lines = [line for line in text.splitlines()[: 2 * _MAX_PREAMBLE_LINES] if line.strip()]
    head = lines[: _MAX_PREAMBLE_LINES + 1]
    first = next((n for n, line in enumerate(head) if not _PREAMBLE.match(line)), None)
    return first is not None and bool(_FIRST_TAG.match(lines[first]))


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record."""
    for line, tags in _split_records(text):
        try:
            yield _convert(tags)
        except InvalidRecordError as error:
            yield Skipped(f"record at line {line}", error.reason)


def _split_records(text: str) -> Iterator[tuple[int, TagValues]]:
    """Yield the first line of each record and its values by tag; a line without a tag continues a value."""
    tags: TagValues = {}
    start = 0
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        tag = _TAG.match(line)
        if tag is None:
            if current and line.strip() and len(current[-1]) < _MAX_VALUE_LENGTH:
                current[-1] = f"{current[-1]} {line.strip()}"
            continue
        if tag[1] == "TY" or (tag[1] == "ER" and tags):
            if tags:
                yield start, tags
            tags, current = {}, None
        if tag[1] == "ER":
            continue
        if not tags:
            start = number
        current = tags.setdefault(tag[1], [])
        current.append((tag[2] or "").strip())
    if tags:
        yield start, tags


def _convert(tags: TagValues) -> Paper:
    flags: set[str] = set()

    def first(*names: str) -> str:
        return next((v for name in names for v in tags.get(name, ()) if v), "")

    title = clean_title(first("TI", "T1", "CT", "BT"), flags)
    abstract = clean_abstract(first("AB", "N2"), flags)
    arxiv_value = next(
        (v for name in _ARXIV_ID_TAGS for v in tags.get(name, ()) if ids.parse_arxiv_id(v)), None
    )
    arxiv, doi = arxiv_and_doi(arxiv_value, first("DO") or first("UR"))
    notes = " ".join(tags.get("N1", [])).lower()
    is_retracted = marked_retracted(title) or "retracted" in notes
    if is_retracted:
        flags.add(RETRACTED)
    authors = [_author_name(name) for tag in ("AU", "A1") for name in tags.get(tag, [])]
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, None, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(authors, flags),
        published=dates.parse_loose_day(_date_text(first("DA"), first("PY", "Y1")), flags),
        categories=clean_names(tags.get("KW", []), flags) if arxiv else (),
        url=paper_url(arxiv, doi, first("UR", "L2", "LK"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(RIS,),
        withdrawn=is_retracted or says_withdrawn(abstract, notes),
        flags=sorted_flags(flags),
    )


def _date_text(day: str, year: str) -> str:
    """Return the fuller date without empty parts and what follows them, as in ``2023/05//spring``."""
    text = day if re.search(r"\d{4}", day) else year
    return "/".join(part for part in text.split("/")[:3] if part.strip().isdecimal()) or text


def _author_name(text: str) -> str:
    """Return "First Last Suffix" for "Last, First, Suffix"."""
    last, comma, remainder = text.partition(",")
    if not comma:
        return text
    first, _, suffix = remainder.partition(",")
    return " ".join(part for part in (first.strip(), last.strip(), suffix.strip()) if part)
