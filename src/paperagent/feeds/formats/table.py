"""Tables of papers, as CSV or TSV: exports of databases and reference managers, and users' own spreadsheets.

The header row decides: it must have a column for the title and one for the abstract, each under one of the
names that programs give it. Lines before the header are ignored. A broken row is skipped, and reading
continues with the next line.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import CSV
from paperagent.feeds.names import split_names
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    clean_abstract,
    clean_names,
    clean_title,
    make_paper,
)
from paperagent.types import Paper, Skipped

_COLUMN_NAMES = {
    "title": "title articletitle documenttitle papertitle itemtitle primarytitle displayname titles ti",
    "abstract": "abstract abstractnote abstracttext abstracts ab",
    "summary": "summary summaries",
    "authors": "authorfullnames authornames authors author authorlist creators creator af au "
    "authorshipsauthordisplayname",
    "date": "publicationdate datepublished publisheddate dateofpublication published publishedat pubdate "
    "date coverdate onlinedate issuedate pd",
    "year": "year publicationyear publishedyear pubyear yearpublished py",
    "month": "month publishedmonth publicationmonth",
    "day": "day",
    "doi": "doi doilink doiurl digitalobjectidentifier di",
    "arxiv": "arxivid arxiv arxivnumber arxivurl eprint entryid id paperid",
    "pmid": "pmid pubmedid medlinepmid pubmed pm",
    "url": "url link articleurl paperurl externalurl primarylocationlandingpageurl urls",
    "categories": "categories category primarycategory terms",
    "kind": "documenttype publicationtype dt isretracted retracted",
}
"""Field → the names of its columns in order of preference, in lower case, letters and digits only."""
_IDENTIFIERS = frozenset("doi arxivid arxiv entryid pmid".split())
"""Columns that show that a summary is the abstract of a paper, and not of a ticket or a book."""

_DELIMITERS = ",\t;"
_SEPARATOR_LINE = re.compile(r"\s{0,9}\"?sep=([,;\t|])\"?[ \t]{0,9}\r?\n", re.IGNORECASE)
_MAX_PREAMBLE_ROWS = 10
_MAX_CHECKED_ROWS = 20
_MAX_COLUMNS = 2_000
_MAX_ROW_LENGTH = 300_000
_MAX_REPEATED = 20_000_000
"""Maximum number of characters that are read again after broken rows."""
_MAX_NAMES_IN_MESSAGE = 160

_OPENALEX = re.compile(r"https://openalex\.org/(W\d{4,12})")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_MONTH_AND_DAY = re.compile(r"[A-Za-z]{3,9}(?:-[A-Za-z]{3,9})?(?: \d{1,2})?")
_CATEGORY = re.compile(r"[a-z-]{2,20}(?:\.[A-Za-z-]{2,20})?")

Row = tuple[int, list[str] | None]
"""The number of a row's first line, and its cells; None for a broken row."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header row of a table."""

    columns: tuple[str, ...]
    """The names as the file writes them."""
    fields: dict[str, tuple[int, ...]]
    """Field → the indexes of its columns, the preferred one first."""

    @classmethod
    def of(cls, cells: Sequence[str]) -> Header:
        """Return a header with these cells."""
        names = [_simplify(cell) for cell in cells[:_MAX_COLUMNS]]
        fields = {
            field: indexes
            for field, aliases in _COLUMN_NAMES.items()
            if (indexes := tuple(names.index(alias) for alias in aliases.split() if alias in names))
        }
        if "abstract" not in fields and "summary" in fields and _IDENTIFIERS.intersection(names):
            fields["abstract"] = fields["summary"]
        return cls(tuple(cells), fields)

    @property
    def is_complete(self) -> bool:
        """Whether the table has titles and abstracts."""
        return "title" in self.fields and "abstract" in self.fields

    def values(self, cells: Sequence[str], field: str) -> Iterator[str]:
        """Yield the cells of a field that are not blank, the preferred one first."""
        for index in self.fields.get(field, ()):
            if index < len(cells) and (value := cells[index].strip()):
                yield value

    def value(self, cells: Sequence[str], field: str) -> str:
        """Return the first of `values`, or an empty string."""
        return next(self.values(cells, field), "")


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with the header of a table of papers, and rows of its width."""
    table = _open(text)
    if table is None or any(column.startswith(" ") for column in table[0].columns):
        return False  # a space after a comma is prose
    header, rows = table
    widths = [len(cells or ()) for _, cells in islice(rows, _MAX_CHECKED_ROWS)]
    complete = sum(width >= len(header.columns) for width in widths)
    return complete > 0 and 2 * complete >= len(widths) - 1  # the last one may be cut


def mismatch(text: str) -> str | None:
    """Return why a text is not a table of papers, and what to do; None if it has the header of one."""
    if _open(text) is not None:
        return None
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    _, cells = next(_Rows(_lines(text), delimiter), (1, None))
    header = Header.of(cells or [])
    missing = [f"the {name}" for name in ("title", "abstract") if name not in header.fields]
    advice = "export it with titles and abstracts, or as RIS or BibTeX"
    if "pmid" in header.fields:
        advice = "save it from PubMed in the format PubMed, which has abstracts"
    names = visible(", ".join(header.columns), limit=_MAX_NAMES_IN_MESSAGE)
    return f"a table without a column for {' and '.join(missing)} (columns: {names}); {advice}"


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each row; raise FeedError if the header is not known."""
    table = _open(text)
    if table is None:
        raise FeedError(f"{label}: {mismatch(text)}")
    header, rows = table
    rows.label = label
    yield from convert_rows(header, rows, CSV)


def find_header(rows: Iterable[Row]) -> Header | None:
    """Return the header of a table of papers; None if none of the first rows is one."""
    headers = (Header.of(cells or []) for _, cells in islice(rows, _MAX_PREAMBLE_ROWS))
    return next((header for header in headers if header.is_complete), None)


def convert_rows(header: Header, rows: Iterator[Row], source: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each row after the header.

    A short row may be a piece of a broken one before it. It is read only if all rows since then are full.
    """
    width = len(header.columns)
    sample = list(islice(rows, _MAX_CHECKED_ROWS))
    has_semicolons = any(";" in header.value(cells or [], "authors") for _, cells in sample)
    follows_broken_row = False
    for line, cells in chain(sample, rows):
        if cells is not None and (not any(map(str.strip, cells)) or tuple(cells) == header.columns):
            continue
        follows_broken_row = cells is None or (follows_broken_row and len(cells) < width)
        if cells is None or follows_broken_row:
            yield Skipped(f"line {line}", "broken row of a table")
        elif any(map(str.strip, cells[width:])):
            yield Skipped(f"line {line}", "more cells than columns")
        else:
            try:
                yield _convert(header, cells, source, has_semicolons=has_semicolons)
            except InvalidRecordError as error:
                yield Skipped(f"line {line}", error.reason)


def _simplify(name: str) -> str:
    """Return the letters and digits of a column's name in lower case: ``Author(s)`` → ``authors``."""
    return "".join(c for c in unicodedata.normalize("NFKC", name[:100]).casefold() if c.isalnum())


# --- rows ---


def _open(text: str) -> tuple[Header, _Rows] | None:
    """Return the header and the rows after it; None if the text does not begin with a table of papers."""
    mark = _SEPARATOR_LINE.match(text)  # Excel writes it
    lines = _lines(text)
    tables = []
    for delimiter in mark[1] if mark else _DELIMITERS:
        rows = _Rows(lines, delimiter, start=1 if mark else 0)
        if header := find_header(rows):
            rows.width = len(header.columns)
            tables.append((header, rows))
    return max(tables, key=lambda table: table[1].width, default=None)


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


class _Rows(Iterator[Row]):
    """The rows of a text. After a broken row, reading continues with the line after its first one."""

    def __init__(self, lines: list[str], delimiter: str, *, start: int = 0) -> None:
        self.width = 0
        """The number of columns, once it is known."""
        self.label = ""
        self._lines, self._delimiter, self._position = lines, delimiter, start
        self._repeated = 0

    def __next__(self) -> Row:
        start = self._position
        if start >= len(self._lines):
            raise StopIteration
        cells = self._split(self._lines[start], strict=True) if self._delimiter == "\t" else None
        if cells:
            self._position += 1
            return start + 1, cells
        try:
            cells = next(csv.reader(self._next_lines(), delimiter=self._delimiter, strict=True))
        except csv.Error:
            self._repeated += sum(map(len, self._lines[start + 1 : self._position]))
            if self._repeated > _MAX_REPEATED:
                raise FeedError(f"{self.label}: too many broken rows; export the table again") from None
            self._position = start + 1
            cells = self._split(self._lines[start]) if self._delimiter == "\t" else None
        return start + 1, cells

    def _next_lines(self) -> Iterator[str]:
        """Yield the lines of one row."""
        length = 0
        while self._position < len(self._lines):
            line = self._lines[self._position]
            length += len(line)
            if length > _MAX_ROW_LENGTH:
                raise csv.Error
            self._position += 1
            yield line

    def _split(self, line: str, *, strict: bool = False) -> list[str] | None:
        """Return the cells of a line that is a complete row. Web of Science does not escape quotes.

        With ``strict``, a cell that begins with a quote must end with one.
        """
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) < self.width or not self.width:
            return None
        if strict and any(cell.startswith('"') and not _is_quoted(cell) for cell in cells):
            return None
        return [cell[1:-1].replace('""', '"') if _is_quoted(cell) else cell for cell in cells]


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")


# --- records ---


def _convert(header: Header, cells: list[str], source: str, *, has_semicolons: bool) -> Paper:
    flags: set[str] = set()
    title = clean_title(header.value(cells, "title"), flags)
    abstract = clean_abstract(header.value(cells, "abstract"), flags)
    identities = [*header.values(cells, "arxiv"), *header.values(cells, "url")]
    arxiv, doi = arxiv_and_doi(
        next(filter(ids.parse_arxiv_id, identities), None),
        next(filter(ids.parse_doi, [*header.values(cells, "doi"), *identities]), None),
    )
    names = split_names(header.value(cells, "authors"), commas_are_within=has_semicolons)
    categories = _CATEGORY.findall(header.value(cells, "categories")[:500]) if arxiv else []
    return make_paper(
        source,
        flags,
        title=title,
        abstract=abstract,
        arxiv=arxiv,
        doi=doi,
        service_id=_service_id(header, cells),
        authors=clean_names(names, flags),
        published=_published(header, cells, flags),
        categories=clean_names(categories, flags),
        url=header.value(cells, "url"),
        is_retracted=header.value(cells, "kind").lower().startswith("retracted"),
    )


def _service_id(header: Header, cells: list[str]) -> str | None:
    """Return the id of PubMed or OpenAlex; spreadsheets may write the number as ``123.0``."""
    if pmid := ids.parse_pmid(header.value(cells, "pmid").removesuffix(".0")):
        return pmid
    matches = map(_OPENALEX.fullmatch, header.values(cells, "arxiv"))
    return next((ids.service_id("openalex", match[1]) for match in matches if match), None)


def _published(header: Header, cells: list[str], flags: set[str]) -> dt.date | None:
    """Return the first date that can be read, else the year with the month and the day."""
    year = _YEAR.search(header.value(cells, "year"))
    defects: set[str] = set()
    for text in header.values(cells, "date"):
        if year and not _YEAR.search(text) and _MONTH_AND_DAY.fullmatch(text):
            text = f"{text} {year[0]}"  # noqa: PLW2901 - Web of Science: "APR 15" and "2013"
        defects = set()
        if day := dates.parse_loose_day(text, defects):
            flags |= defects
            return day
    if year is None:
        flags |= defects
        return None
    month, day_number = header.value(cells, "month"), header.value(cells, "day")
    return dates.day_from_parts(year[0], month, day_number, flags)
