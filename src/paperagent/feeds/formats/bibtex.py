"""BibTeX and BibLaTeX files: entries with macros, nested braces and LaTeX; an abstract is optional there.

Written here because the format needs 60 lines and a parser of it that is both fast and forgiving is hard
to find: an entry that is broken is skipped with its line, and reading goes on at the next ``@``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import tex
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
    unique,
)
from paperagent.types import RETRACTED, Paper, Skipped

NAME = "bibtex"

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
# Possessive: white space without end is read once, and not shared out anew on the way back.
_START = re.compile(r"@\s*+([A-Za-z]++)\s*+[{(]")
_LOOKS = re.compile(r"(?:^|\n)[ \t]*+@[A-Za-z]{3,20}+\s*+[{(]\s*+[^\s,={}]{0,200}+\s*+[,=]")
_KEY = re.compile(r"\s*+([^\s,{}\"()=]{0,300}+)\s*+,")
_FIELD = re.compile(r"\s*+,?\s*+([A-Za-z][\w:+.-]{0,60}+)\s*+=\s*+")
_END = re.compile(r"[\s,]*+[})]")
_PIECE = re.compile(r"\s*+(?:(\d++)|([A-Za-z][\w:.+-]{0,60}+))")
_JOIN = re.compile(r"\s*+#\s*+")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACE_OR_QUOTE = re.compile(r"\\.|[{}\"]", re.DOTALL)
_NO_ENTRIES = frozenset({"comment", "preamble"})
_LONGEST = 500_000
"""Characters of one value."""
_LONGEST_ENTRY = 2 * _LONGEST
_MOST_OF_MACROS = 20_000_000
"""Characters that the macros of a file become: a hundred for each of as many entries as are read."""
_MOST_BROKEN = 100
_ARXIV_TEXT = re.compile(
    r"arXiv:\s*([0-9]{4}\.[0-9]{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7})", re.IGNORECASE
)
_BETWEEN_PEOPLE = re.compile(r"\\.|[{}]| and ", re.IGNORECASE)


class _BrokenEntryError(ValueError):
    """An entry whose end cannot be found."""


class _Macros:
    """What ``@string`` defines, and the months; what they become is bounded, as macros hold macros."""

    def __init__(self) -> None:
        self._texts = {month: str(number) for number, month in enumerate(_MONTHS, 1)}
        self._left = _MOST_OF_MACROS

    def define(self, texts: dict[str, str]) -> None:
        self._texts |= texts

    def text(self, name: str) -> str:
        found = self._texts.get(name.lower(), "")
        self._left -= len(found)
        if self._left < 0:
            raise FeedError(
                f"BibTeX: macros (@string) of more than {_MOST_OF_MACROS:,} characters in all; mend the file"
            )
        return found


def looks_like(text: str) -> bool:
    """Tell whether ``text`` holds an entry of BibTeX at the start of a line."""
    return bool(_LOOKS.search(text))


def papers(text: str) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each entry. Raises FeedError where most is broken."""
    macros = _Macros()
    at = line = counted = broken = 0
    while start := _START.search(text, at):
        kind, at = start[1].lower(), start.end()
        line += text.count("\n", counted, start.start())
        counted = start.start()
        if kind in _NO_ENTRIES:
            continue
        try:
            if kind == "string":
                fields, at = _fields(text, at, macros)
                macros.define(fields)
                continue
            fields, at = _entry(text, at, macros)
            yield convert(fields)
        except _BrokenEntryError:
            yield Skipped(f"entry at line {line + 1}", "broken BibTeX entry")
            broken += 1
            if broken > _MOST_BROKEN:  # each may cost a long look for its end
                raise FeedError(f"BibTeX: more than {_MOST_BROKEN} broken entries; mend the file") from None
        except InvalidRecordError as bad:
            yield Skipped(f"entry at line {line + 1}", bad.reason)


def _entry(text: str, at: int, macros: _Macros) -> tuple[dict[str, str], int]:
    key = _KEY.match(text, at)
    if key is None:
        raise _BrokenEntryError
    return _fields(text, key.end(), macros)


def _fields(text: str, at: int, macros: _Macros) -> tuple[dict[str, str], int]:
    """Return the fields up to the entry's end, names in lower case; of a field given twice the first."""
    found: dict[str, str] = {}
    size = 0
    while field := _FIELD.match(text, at):
        value, at = _value(text, field.end(), macros)
        size += len(value)
        if size > _LONGEST_ENTRY:
            raise _BrokenEntryError
        found.setdefault(field[1].lower(), value)
    end = _END.match(text, at)
    if end is None:
        raise _BrokenEntryError
    return found, end.end()


def _value(text: str, at: int, macros: _Macros) -> tuple[str, int]:
    """Return a value: pieces in braces or quotes, numbers and macros, joined by ``#``."""
    parts, size = [], 0
    while True:
        if text[at : at + 1] in {"{", '"'}:
            part, at = _quoted(text, at)
        elif piece := _PIECE.match(text, at):
            part, at = piece[1] or macros.text(piece[2]), piece.end()
        else:
            raise _BrokenEntryError
        parts.append(part)
        size += len(part)
        if size > _LONGEST:
            raise _BrokenEntryError
        join = _JOIN.match(text, at)
        if join is None:
            return "".join(parts), at
        at = join.end()


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return what stands between the brace or quote at ``at`` and its partner."""
    in_quotes, depth, start = text[at] == '"', 0, at + 1
    marks = _BRACE_OR_QUOTE if in_quotes else _BRACE
    for mark in marks.finditer(text, start, start + _LONGEST):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}" and depth:
            depth -= 1
        elif mark[0] in {"}", '"'} and depth == 0 and (mark[0] == '"') == in_quotes:
            return text[start : mark.start()], mark.end()
    raise _BrokenEntryError


def convert(fields: dict[str, str]) -> Paper:
    """Return the paper of one entry."""
    noticed: set[str] = set()
    title = clean_title(tex.plain(fields.get("title", "")), noticed)
    abstract = clean_abstract(tex.plain(fields.get("abstract", "")), noticed)
    found, doi = arxiv_and_doi(_arxiv(fields), fields.get("doi", "").replace("\\_", "_") or fields.get("url"))
    note = tex.plain(" ".join(fields.get(name, "") for name in ("note", "pubstate")))
    gone = marked_retracted(title) or "retracted" in note.lower()
    if gone:
        noticed.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(
            found, doi, ids.service_id("pmid", fields.get("pmid", "").strip()), (title, abstract)
        ),
        title=title,
        abstract=abstract,
        authors=clean_names([_name(n) for n in _people(fields.get("author", ""))], noticed),
        published=_published(fields, noticed),
        categories=unique(clean_names(fields.get("primaryclass", "").split() if found else [], noticed)),
        url=paper_url(found, doi, fields.get("url", "").replace("\\_", "_").replace("\\%", "%"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        version=found.version if found else None,
        sources=(NAME,),
        withdrawn=gone or says_withdrawn(abstract, note),
        flags=flags(noticed),
    )


def _arxiv(fields: dict[str, str]) -> str | None:
    """Return what may be an arXiv id: the eprint of arXiv, an address, or a journal such as "arXiv:…"."""
    kind = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").strip().lower()
    places = [fields.get("eprint") if kind == "arxiv" else None, fields.get("arxivid"), fields.get("url")]
    for place in places:
        if ids.parse_arxiv_id(place):
            return place
    said = _ARXIV_TEXT.search(
        " ".join(fields.get(n, "") for n in ("journal", "note", "howpublished", "volume"))
    )
    return said[1] if said else None


def _published(fields: dict[str, str], noticed: set[str]) -> dt.date | None:
    """Return BibLaTeX's date (its first day, where it is a span), else year, month and day."""
    if date := fields.get("date", "").split("/")[0].strip():
        return dates.parse_loose_day(date, noticed)
    day = re.search(r"\d{1,2}(?!\d)", fields["day"]) if "day" in fields else None
    year = re.search(r"\d{4}", fields.get("year", ""))
    return dates.day_from_parts(year and year[0], fields.get("month"), day and day[0], noticed)


def _people(text: str) -> list[str]:
    """Cut the authors at "and", but not within braces."""
    text = " ".join(text.split())
    found, depth, start = [], 0, 0
    for mark in _BETWEEN_PEOPLE.finditer(text):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth = max(0, depth - 1)
        elif not depth and mark[0][0] != "\\":
            found.append(text[start : mark.start()])
            start = mark.end()
    return [*found, text[start:]]


def _name(text: str) -> str:
    """Return "First von Last, Jr" for the ways in which BibTeX writes a name."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        return tex.plain(text)
    parts = [tex.plain(part).strip() for part in text.split(",")]
    if len(parts) == 1:
        return "" if parts[0].lower() == "others" else parts[0]
    return " ".join(part for part in (parts[-1], parts[0], *parts[1:-1]) if part)
