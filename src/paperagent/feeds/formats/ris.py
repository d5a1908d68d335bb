"""RIS files, as reference managers write them: ``TY  - JOUR`` … ``ER  -``, one tag a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from paperagent.feeds import dates, ids
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    marked_retracted,
    paper_url,
    says_withdrawn,
)
from paperagent.types import RETRACTED, Paper, Skipped

NAME = "ris"

_TAG = re.compile(r"([A-Z][A-Z0-9]) {1,2}-(?: (.*)|$)")
_LOOKS = re.compile(r"\s*+TY {1,2}- ?[A-Z]{2,}")
_BEFORE = re.compile(r"[A-Z][A-Za-z ]{1,30}:")
"""What databases write before the first record: ``Provider: …``, ``Database: …``."""
_MOST_BEFORE = 10
_LONGEST = 100_000
"""Characters of one value: what goes on for longer is no field."""

Fields = dict[str, list[str]]


def looks_like(text: str) -> bool:
    """Tell whether ``text`` begins with a record, after a few lines of the database's own."""
    lines = [line for line in text.splitlines()[: 2 * _MOST_BEFORE] if line.strip()]
    first = next((n for n, line in enumerate(lines[: _MOST_BEFORE + 1]) if not _BEFORE.match(line)), None)
    return first is not None and bool(_LOOKS.match(lines[first]))


def papers(text: str) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each record."""
    for line, fields in _records(text):
        try:
            yield convert(fields)
        except InvalidRecordError as bad:
            yield Skipped(f"record at line {line}", bad.reason)


def _records(text: str) -> Iterator[tuple[int, Fields]]:
    """Yield the line where each record begins, and its values by tag; lines without a tag go on."""
    fields: Fields = {}
    start = 0
    last: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        tag = _TAG.match(line)
        if tag is None:
            if last and line.strip() and len(last[-1]) < _LONGEST:
                last[-1] = f"{last[-1]} {line.strip()}"
            continue
        if tag[1] == "TY" or (tag[1] == "ER" and fields):
            if fields:
                yield start, fields
            fields, last = {}, None
        if tag[1] == "ER":
            continue
        if not fields:
            start = number
        last = fields.setdefault(tag[1], [])
        last.append((tag[2] or "").strip())
    if fields:
        yield start, fields


def convert(fields: Fields) -> Paper:
    """Return the paper of one record."""
    noticed: set[str] = set()

    def first(*tags: str) -> str:
        return next((v for tag in tags for v in fields.get(tag, ()) if v), "")

    title = clean_title(first("TI", "T1", "CT", "BT"), noticed)
    abstract = clean_abstract(first("AB", "N2"), noticed)
    found, doi = arxiv_and_doi(_arxiv(fields), first("DO") or first("UR"))
    notes = " ".join(fields.get("N1", [])).lower()
    gone = marked_retracted(title) or "retracted" in notes
    if gone:
        noticed.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(found, doi, None, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names([_name(n) for tag in ("AU", "A1") for n in fields.get(tag, [])], noticed),
        published=dates.parse_loose_day(_date(first("DA"), first("PY", "Y1")), noticed),
        categories=clean_names(fields.get("KW", []), noticed) if found else (),
        url=paper_url(found, doi, first("UR", "L2", "LK"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        version=found.version if found else None,
        sources=(NAME,),
        withdrawn=gone or says_withdrawn(abstract, notes),
        flags=flags(noticed),
    )


def _arxiv(fields: Fields) -> str | None:
    places = (v for tag in ("AN", "UR", "ID", "M1", "JO", "T2", "L1") for v in fields.get(tag, ()))
    return next((v for v in places if ids.parse_arxiv_id(v)), None)


def _date(day: str, year: str) -> str:
    """Return the fuller of the two, without empty parts and what follows them: ``2023/05//spring``."""
    text = day if re.search(r"\d{4}", day) else year
    return "/".join(part for part in text.split("/")[:3] if part.strip().isdecimal()) or text


def _name(text: str) -> str:
    last, comma, rest = text.partition(",")
    if not comma:
        return text
    given, _, suffix = rest.partition(",")
    return " ".join(part for part in (given.strip(), last.strip(), suffix.strip()) if part)
