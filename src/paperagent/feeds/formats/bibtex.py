"""BibTeX and BibLaTeX files: entries with macros, nested braces and LaTeX; abstracts are optional.

A broken entry is skipped with its line, and parsing continues at the next ``@``. docs/design.md explains why
no library is used.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import BIBTEX
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
    unique,
)
from paperagent.text.readable import bibliography_text
from paperagent.types import RETRACTED, Paper, Skipped

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
# Possessive quantifiers: a long run of white space is matched once, without backtracking.
_ENTRY = re.compile(r"@\s*+([A-Za-z][\w-]*+)\s*+[{(]")
_ENTRY_LINE = re.compile(r"(?:^|\n)[ \t]*+@[A-Za-z][\w-]{2,30}+\s*+[{(]\s*+[^\s,={}]{0,200}+\s*+[,=]")
_KEY = re.compile(r"\s*+([^\s,{}\"()=]{0,300}+)\s*+,")
_FIELD = re.compile(r"\s*+,?\s*+([A-Za-z_][\w:+.-]{0,60}+)\s*+=\s*+")
_END = re.compile(r"[\s,]*+[})]")
_NUMBER_OR_MACRO = re.compile(r"\s*+(?:(\d++)|([A-Za-z][\w:.+-]{0,60}+))")
_JOIN = re.compile(r"\s*+#\s*+")
_DELIMITER = re.compile(r"\\.|[{}\"]", re.DOTALL)
_ESCAPED_DELIMITER = re.compile(r"\\[{}\"]")
_DELIMITER_WITHOUT_ESCAPES = re.compile(r"[{}\"]")
_NOT_ENTRIES = frozenset({"comment", "preamble"})
_MAX_VALUE_LENGTH = 500_000
_MAX_ENTRY_LENGTH = 2 * _MAX_VALUE_LENGTH
_MAX_EXPANSION = 20_000_000
"""Maximum total characters of all expanded macros in a file."""
_MAX_BROKEN_ENTRIES = 100
_ARXIV_MENTION = re.compile(
    r"arXiv:\s*([0-9]{4}\.[0-9]{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7})", re.IGNORECASE
)
_AND_OR_BRACE = re.compile(r"\\.|[{}]| and ", re.IGNORECASE)

Fields = dict[str, str]


class _BrokenEntryError(ValueError):
    """An entry whose end cannot be found."""


class _Macros:
    """The macros that ``@string`` defines, and the months. Limits their expansion, as macros may nest."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._values = {month: str(number) for number, month in enumerate(_MONTHS, 1)}
        self._budget = _MAX_EXPANSION

    def define(self, values: Fields) -> None:
        self._values |= values

    def expand(self, name: str) -> str:
        value = self._values.get(name.lower(), "")
        self._budget -= len(value)
        if self._budget < 0:
            raise FeedError(
                f"{self._label}: macros (@string) of over {_MAX_EXPANSION:,} characters in all; shorten them"
            )
        return value


def looks_like(text: str) -> bool:
    """Return whether a line of ``text`` begins with a BibTeX entry."""
    return bool(_ENTRY_LINE.search(text))


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each entry; raise FeedError after 100 broken entries."""
    macros = _Macros(label)
    position = line = counted_to = broken = 0
    while entry := _ENTRY.search(text, position):
        kind, position = entry[1].lower(), entry.end()
        line += text.count("\n", counted_to, entry.start())
        counted_to = entry.start()
        if kind in _NOT_ENTRIES:
            continue
        try:
            if kind == "string":
                fields, position = _EntryParser(text, macros).fields(position)
                macros.define(fields)
                continue
            fields, position = _parse_entry(text, position, macros)
            yield _convert(fields)
        except _BrokenEntryError:
            yield Skipped(f"entry at line {line + 1}", "broken BibTeX entry")
            broken += 1
            if broken > _MAX_BROKEN_ENTRIES:  # searching for the end of each takes long
                raise FeedError(
                    f"{label}: more than {_MAX_BROKEN_ENTRIES} broken entries; repair the file"
                ) from None
        except InvalidRecordError as error:
            yield Skipped(f"entry at line {line + 1}", error.reason)


def _parse_entry(text: str, position: int, macros: _Macros) -> tuple[Fields, int]:
    r"""Return the fields of the entry whose key begins at ``position``, and the position of its end.

    A backslash escapes a brace, as most programs write it. If the entry is broken that way, it is parsed
    again with a backslash as an ordinary character, as in BibTeX itself: ``{C:\papers\}``.
    """
    key = _KEY.match(text, position)
    if key is None:
        raise _BrokenEntryError
    try:
        return _EntryParser(text, macros).fields(key.end())
    except _BrokenEntryError:
        if not _ESCAPED_DELIMITER.search(text, key.end(), key.end() + _MAX_VALUE_LENGTH):
            raise
        return _EntryParser(text, macros, delimiter=_DELIMITER_WITHOUT_ESCAPES).fields(key.end())


class _EntryParser:
    """Parses the fields of entries in ``text``."""

    def __init__(self, text: str, macros: _Macros, *, delimiter: re.Pattern[str] = _DELIMITER) -> None:
        self._text = text
        self._macros = macros
        self._delimiter = delimiter

    def fields(self, position: int) -> tuple[Fields, int]:
        """Return the fields up to the entry's end, with names in lower case, and the position of that end.

        The first of several fields with the same name counts.
        """
        fields: Fields = {}
        size = 0
        while field := _FIELD.match(self._text, position):
            value, position = self._value(field.end())
            size += len(value)
            if size > _MAX_ENTRY_LENGTH:
                raise _BrokenEntryError
            fields.setdefault(field[1].lower(), value)
        end = _END.match(self._text, position)
        if end is None:
            raise _BrokenEntryError
        return fields, end.end()

    def _value(self, position: int) -> tuple[str, int]:
        """Return a value: texts in braces or quotes, numbers and macros, joined by ``#``."""
        parts, size = [], 0
        while True:
            if self._text[position : position + 1] in {"{", '"'}:
                part, position = self._delimited(position)
            elif bare := _NUMBER_OR_MACRO.match(self._text, position):
                part, position = bare[1] or self._macros.expand(bare[2]), bare.end()
            else:
                raise _BrokenEntryError
            parts.append(part)
            size += len(part)
            if size > _MAX_VALUE_LENGTH:
                raise _BrokenEntryError
            join = _JOIN.match(self._text, position)
            if join is None:
                return "".join(parts), position
            position = join.end()

    def _delimited(self, position: int) -> tuple[str, int]:
        """Return the text between the brace or quote at ``position`` and the matching one."""
        in_quotes, depth, start = self._text[position] == '"', 0, position + 1
        for mark in self._delimiter.finditer(self._text, start, start + _MAX_VALUE_LENGTH):
            char = mark[0]
            if char == "{":
                depth += 1
            elif char == "}" and depth:
                depth -= 1
            elif depth == 0 and char == ('"' if in_quotes else "}"):
                return self._text[start : mark.start()], mark.end()
        raise _BrokenEntryError


def _convert(fields: Fields) -> Paper:
    flags: set[str] = set()
    title = clean_title(_decode(fields.get("title", "")), flags)
    abstract = clean_abstract(_decode(fields.get("abstract", "")), flags)
    arxiv, doi = arxiv_and_doi(
        _arxiv_value(fields), fields.get("doi", "").replace("\\_", "_") or fields.get("url")
    )
    pmid = ids.service_id("pmid", fields.get("pmid", "").strip())
    note = _decode(" ".join(fields.get(name, "") for name in ("note", "pubstate")))
    is_retracted = marked_retracted(title) or "retracted" in note.lower()
    if is_retracted:
        flags.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, pmid, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names([_author_name(name) for name in _split_authors(fields.get("author", ""))], flags),
        published=_published(fields, flags),
        categories=unique(clean_names(fields.get("primaryclass", "").split() if arxiv else [], flags)),
        url=paper_url(arxiv, doi, fields.get("url", "").replace("\\_", "_").replace("\\%", "%"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(BIBTEX,),
        withdrawn=is_retracted or says_withdrawn(abstract, note),
        flags=sorted_flags(flags),
    )


def _decode(value: str) -> str:
    return bibliography_text(value)


def _arxiv_value(fields: Fields) -> str | None:
    """Return a value that may be an arXiv id: the eprint, a URL, or a journal such as "arXiv:…"."""
    archive = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").strip().lower()
    eprint = fields.get("eprint") if archive == "arxiv" else None
    for value in (eprint, fields.get("arxivid"), fields.get("url")):
        if ids.parse_arxiv_id(value):
            return value
    mention = _ARXIV_MENTION.search(
        " ".join(fields.get(n, "") for n in ("journal", "note", "howpublished", "volume"))
    )
    return mention[1] if mention else None


def _published(fields: Fields, flags: set[str]) -> dt.date | None:
    """Return BibLaTeX's date (the first day of a span), else year, month and day."""
    if date := fields.get("date", "").split("/")[0].strip():
        return dates.parse_loose_day(date, flags)
    day = re.search(r"\d{1,2}(?!\d)", fields["day"]) if "day" in fields else None
    year = re.search(r"\d{4}", fields.get("year", ""))
    return dates.day_from_parts(year and year[0], fields.get("month"), day and day[0], flags)


def _split_authors(text: str) -> list[str]:
    """Split at "and" outside of braces."""
    text = " ".join(text.split())
    authors, depth, start = [], 0, 0
    for mark in _AND_OR_BRACE.finditer(text):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth = max(0, depth - 1)
        elif not depth and mark[0][0] != "\\":
            authors.append(text[start : mark.start()])
            start = mark.end()
    return [*authors, text[start:]]


def _author_name(text: str) -> str:
    """Return "First von Last Jr" for the ways in which BibTeX writes a name."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        return _decode(text)
    parts = [_decode(part) for part in text.split(",")]
    if len(parts) == 1:
        return "" if parts[0].lower() == "others" else parts[0]
    return " ".join(part for part in (parts[-1], parts[0], *parts[1:-1]) if part)
