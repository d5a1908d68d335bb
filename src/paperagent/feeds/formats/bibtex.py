"""BibTeX and BibLaTeX files: papers from entries with LaTeX.

`bibtex_syntax` splits a file into entries. A broken entry is a skipped record with its line. docs/design.md
explains why no library is used.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import BIBTEX
from paperagent.feeds.formats.bibtex_syntax import Fields, looks_like, split_entries
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    clean_abstract,
    clean_names,
    clean_title,
    make_paper,
    unique,
)
from paperagent.text.readable import bibliography_text
from paperagent.types import Paper, Skipped

__all__ = ["convert", "looks_like", "parse"]

_ABSTRACTS = ("abstract", "abstractnote", "summary")
_MAX_NOTE_LENGTH = 2_000
_SERIES = ("journal", "journaltitle", "volume", "howpublished", "publisher", "number", "eid")
"""Fields that may hold an arXiv id with a label, such as ``CoRR abs/1801.01234``."""
_PART = re.compile(r"[.;,]\s+|[()\[\]\n]")
_ARXIV_LABEL = re.compile(r"arxiv|abs/", re.IGNORECASE)
_LINKS = ("url", "link", "ee", "howpublished", "bdskurl1", "bdskurl2", "citeulikelinkout0")
_DATES = ("year", "month", "date", "publicationdate", "day")
_PARENT = re.compile(r"\b(?:crossref|xdata)\s*+=\s*+[\"{]+([^\"{}]{1,300}+)[\"}]", re.IGNORECASE)
_AND_OR_BRACE = re.compile(r"\\.|[{}]| and ", re.IGNORECASE)
_COMMA_OR_BRACE = re.compile(r"\\.|[{},]")
_NUMBER_OF_DBLP = re.compile(r" [0-9]{4}\Z", re.ASCII)
_NAME_PART = re.compile(r"\s*(family|given|prefix|suffix)\s*=\s*\"?([^\"]*)\"?\s*", re.IGNORECASE)
_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\b")
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_FIRST_DATE = re.compile(r"\s*(\d{4}(?:-(?:0?[1-9]|1[0-2])(?!\d)(?:-\d\d?)?)?)(?![\dXxu])")


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each entry; raise FeedError if too much is broken."""
    parents = _parents(text, label)
    for entry in split_entries(text, label):
        where = f"entry at line {entry.line}"
        if entry.fields is None:
            yield Skipped(where, "broken BibTeX entry")
            continue
        try:
            yield convert(_with_inherited_date(entry.fields, parents))
        except InvalidRecordError as error:
            yield Skipped(where, error.reason)


def _parents(text: str, label: str) -> dict[str, Fields]:
    """Return the entries that others refer to by ``crossref`` or ``xdata``, by their keys."""
    keys = {key.strip().lower() for match in _PARENT.finditer(text) for key in match[1].split(",")}
    if not keys:
        return {}
    return {e.key.lower(): e.fields for e in split_entries(text, label) if e.fields and e.key.lower() in keys}


def _with_inherited_date(fields: Fields, parents: dict[str, Fields]) -> Fields:
    """Return ``fields`` with the date of the entry that they refer to, if they have none."""
    if not parents or any(fields.get(name, "").strip() for name in ("year", "date", "publicationdate")):
        return fields
    for key in f"{fields.get('crossref', '')},{fields.get('xdata', '')}".lower().split(","):
        parent = parents.get(key.strip(), {})
        if inherited := {name: parent[name] for name in _DATES if name in parent}:
            return inherited | {name: value for name, value in fields.items() if value.strip()}
    return fields


def convert(fields: Fields) -> Paper:
    """Return the paper of an entry."""
    flags: set[str] = set()
    title = clean_title(bibliography_text(_first(fields, "title", "booktitle")), flags)
    abstract = clean_abstract(bibliography_text(_first(fields, *_ABSTRACTS)), flags)
    doi_values = (fields.get(name) for name in ("doi", *_LINKS))
    arxiv, doi = arxiv_and_doi(_arxiv_value(fields), next(filter(ids.parse_doi, doi_values), None))
    note = bibliography_text(
        " ".join(fields.get(name, "") for name in ("note", "pubstate"))[:_MAX_NOTE_LENGTH]
    )
    categories = _first(fields, "primaryclass", "eprintclass").split() if arxiv else []
    return make_paper(
        BIBTEX,
        flags,
        title=title,
        abstract=abstract,
        arxiv=arxiv,
        doi=doi,
        service_id=ids.parse_pmid(fields.get("pmid")),
        authors=clean_names(_authors(fields), flags),
        published=_published(fields, flags),
        categories=unique(clean_names(categories, flags)),
        url=_url(fields),
        comment=note,
        is_retracted="retracted" in note.lower(),
    )


def _first(fields: Fields, *names: str) -> str:
    """Return the first value that is not blank, or an empty text."""
    return next((value for name in names if (value := fields.get(name, "")).strip()), "")


# --- ids and addresses ---


def _arxiv_value(fields: Fields) -> str | None:
    """Return a value that is an arXiv id: the eprint, an address, a journal, or the beginning of a note."""
    archive = ids.without_latex(_first(fields, "archiveprefix", "eprinttype")).lower()
    eprint = ids.without_latex(fields.get("eprint", ""))
    values: list[str] = []
    if archive.startswith("arxiv") or not archive:
        values = [eprint, f"{ids.without_latex(fields.get('primaryclass', ''))}/{eprint}"]
    elif eprint.startswith(f"{archive}/"):  # the old form: archivePrefix = {hep-th}
        values = [eprint]
    values += [fields.get(name, "") for name in ("arxivid", "arxiv", "url")]
    parts = [part for name in _SERIES if name in fields for part in _PART.split(fields[name])]
    parts += [_PART.split(line.lstrip("[( "), maxsplit=1)[0] for line in fields.get("note", "").splitlines()]
    values += filter(_ARXIV_LABEL.search, parts)
    return next(filter(ids.parse_arxiv_id, values), None)


def _url(fields: Fields) -> str:
    """Return the first address: a program may write several, one after the other."""
    text = ids.without_latex(_first(fields, "url", "link", "ee", "bdskurl1"))
    return text.split()[0].rstrip(",;") if text else ""


# --- dates ---


def _published(fields: Fields, flags: set[str]) -> dt.date | None:
    """Return the day of BibLaTeX's date (the first day of a span), else of year, month and day."""
    date = ids.without_latex(_first(fields, "date", "publicationdate"))
    if first_day := _FIRST_DATE.match(date):
        return dates.parse_loose_day(first_day[1], flags)
    month, month_day = _month_and_day(ids.without_latex(fields.get("month", "")))
    day = _DAY.search(fields.get("day", ""))
    text = ids.without_latex(fields.get("year", "")) or date
    if not month and len(text) > len("2018a"):
        return dates.parse_loose_day(text, flags)
    year = _YEAR.search(text)
    return dates.day_from_parts(year and year[0], month, day[0] if day else month_day, flags)


def _month_and_day(text: str) -> tuple[str | None, str | None]:
    """Return the first month of ``SEP 15``, ``15-17 Sept``, ``oct-nov`` or ``9``, and a day beside a name."""
    number = _DAY.search(text)
    if month := _MONTH.search(text):
        return month[1], number[0] if number else None
    return (number[0] if number else None), None


# --- authors ---


def _authors(fields: Fields) -> list[str]:
    text = " ".join(fields.get("author", "").split())
    inner = text[1:-1]
    if _is_group(text) and _is_group(inner):  # three pairs of braces are a name
        text = inner
    elif _is_group(text) and all("," in name for name in _split(inner, _AND_OR_BRACE, " and ")[:2]):
        text = inner  # braces around the field, not around the name of a group
    names = _split(text, _AND_OR_BRACE, " and ")
    if len(names) == 1 and text.count(";") and not _is_group(text):
        names = text.split(";")
    if fields.get("biburl", "").startswith("https://dblp."):
        names = [_NUMBER_OF_DBLP.sub("", name.strip()) for name in names]
    return [_author_name(name) for name in names]


def _author_name(text: str) -> str:
    """Return "First von Last Jr" for the ways in which BibTeX writes a name."""
    text = text.strip()
    if _is_group(text):
        return bibliography_text(text)
    parts = _split(text, _COMMA_OR_BRACE, ",")
    if named := {m[1].lower(): m[2] for part in parts if (m := _NAME_PART.fullmatch(part))}:
        parts = [named.get(name, "") for name in ("given", "prefix", "family", "suffix")]
        return " ".join(bibliography_text(part) for part in parts if part)
    parts = [bibliography_text(part) for part in parts]
    if len(parts) == 1:
        return "" if parts[0].lower().rstrip(".") in {"others", "et al"} else parts[0]
    return " ".join(part for part in (parts[-1], parts[0], *parts[1:-1]) if part)


def _split(text: str, marks: re.Pattern[str], separator: str) -> list[str]:
    """Split at ``separator`` outside of braces."""
    parts, depth, start = [], 0, 0
    for mark in marks.finditer(text):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth = max(0, depth - 1)
        elif not depth and mark[0].lower() == separator:
            parts.append(text[start : mark.start()])
            start = mark.end()
    return [*parts, text[start:]]


def _is_group(text: str) -> bool:
    """Return whether one pair of braces encloses ``text``."""
    if not (text.startswith("{") and text.endswith("}")):
        return False
    depth = 0
    for mark in _AND_OR_BRACE.finditer(text):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0 and mark[0] == "}":
            return mark.end() == len(text)
    return False
