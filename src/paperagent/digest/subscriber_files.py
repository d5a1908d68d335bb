"""Import and export subscribers as CSV."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.preferences import LISTS, Example, Preferences
from paperagent.errors import FeedError, InputError, display_path, visible

if TYPE_CHECKING:
    from paperagent.digest.subscribers import Subscriber, Subscribers

COLUMNS = ("email", *LISTS, "like", "frequency", "max_items", "language")
MAX_BYTES = 20_000_000
_SEPARATOR = ";"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_DELIMITERS = ",;\t"
_COLUMN_NAMES = {
    "email": "email_address e_mail e_mail_address mail mail_address subscriber_email e_mail_adresse",
    "interests": "interest topics topic",
    "questions": "question standing_questions",
    "categories": "category",
    "exclude": "excluded exclusions not not_wanted",
    "authors": "author",
    "like": "",
    "frequency": "",
    "max_items": "",
    "language": "",
    "status": "state subscription_status subscriber_status",
    "attributes": "attribs",
    "unsub_time": "unsubscribed_at unsubscribe_date",
    "clean_time": "",
}
"""Column → other names for it, among them those of listmonk and Mailchimp."""
_COLUMN_OF = {alias: name for name, names in _COLUMN_NAMES.items() for alias in (name, *names.split())}
_ACTIVE = frozenset({"", "active", "confirmed", "enabled", "subscribed"})
_PENDING = frozenset({"pending", "unconfirmed"})
_SUPPRESSED = {
    **dict.fromkeys(("unsubscribed", "opted out", "opted-out", "removed"), "unsubscribed"),
    **dict.fromkeys(("bounced", "cleaned", "hard bounced"), "bounced"),
    **dict.fromkeys(("blocklisted", "blacklisted", "blocked"), "blocklisted"),
    **dict.fromkeys(("complained", "spam", "abuse"), "complained"),
}
"""Status in the file → the reason why the address must not be mailed."""


@dataclass(slots=True)
class ImportReport:
    """The result of reading a file."""

    added: int = 0
    changed: int = 0
    suppressed: Counter[str] = field(default_factory=Counter)
    """The number of addresses that must not be mailed from now on, by reason."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """The location in the file and the reason."""
    unused: tuple[str, ...] = ()
    """The columns that were not read."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How the subscribers of a file are added."""

    confirmed: bool = False
    """Whether they have agreed already."""
    replace_lists: bool = False
    """Whether lists in the file replace those of known subscribers, instead of being added to them."""


def read_csv(path: Path, subscribers: Subscribers, options: ImportOptions | None = None) -> ImportReport:
    """Add the subscribers in a CSV file with a header line; ``;`` separates several values in a cell.

    Reads the files of `write_csv`, listmonk, Mailchimp and spreadsheet programs. Who is unsubscribed,
    bounced or blocked in the file is not added, and is never mailed from here. Invalid lines are skipped
    and reported.

    Args:
        path: The file.
        subscribers: The subscribers to add to.
        options: How they are added.

    Raises:
        FeedError: no such file, an unknown encoding, too large, or wrong columns.
    """
    options, report = options or ImportOptions(), ImportReport()
    rows = _csv_rows(path)
    try:
        report.unused = _check_columns(path, rows.fieldnames or [])
        for row in rows:
            try:
                _import_row(_cells(path, row), subscribers, options, report)
            except InputError as error:
                report.skipped.append((f"line {rows.line_num}", str(error)))
    except csv.Error as error:
        count = report.added + report.changed
        imported = f"the {count} subscribers above it were imported; " if count else ""
        where = f"{display_path(path)}: line {rows.line_num}"
        raise FeedError(f"{where}: {error}; {imported}correct the file and import it again") from None
    return report


def _csv_rows(path: Path) -> csv.DictReader[str]:
    """Return a reader of a file, whose delimiter is the most frequent one in the header."""
    text = _read_text(path)
    marked = re.match(r"sep=(.)\r?\n", text)  # Excel's own mark
    text = text[marked.end() :] if marked else text
    header = text.partition("\n")[0]
    delimiter = marked[1] if marked else max(_DELIMITERS, key=header.count)
    return csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _read_text(path: Path) -> str:
    """Return a file's text: UTF-8 or UTF-16 with a byte order mark, UTF-8, or else Windows-1252."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # a device has no size
    except OSError as error:
        raise FeedError(
            f"{display_path(path)}: {error.strerror or 'cannot be read'}; name a CSV file"
        ) from error
    if len(content) > MAX_BYTES:
        raise FeedError(f"{display_path(path)}: larger than {MAX_BYTES:,} bytes; split it")
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FeedError(f"{display_path(path)}: not UTF-8, UTF-16 or Windows-1252; save it as UTF-8")


def _column(name: str | None) -> str:
    """Return the name of a column as `_COLUMN_NAMES` has it, or else in lower case."""
    text = (name or "").strip().lower()
    return _COLUMN_OF.get(re.sub(r"[\s-]+", "_", text), text)


def _check_columns(path: Path, header: Iterable[str | None]) -> tuple[str, ...]:
    """Return the columns that are not read."""
    columns = [_column(name) for name in header]
    read = [name for name in columns if name in _COLUMN_NAMES]
    if "email" not in read or len(set(read)) < len(read):
        names = visible(", ".join(columns), limit=120) or "none"
        raise FeedError(
            f"{display_path(path)}: its columns are {names}; use {', '.join(COLUMNS)}, each once; "
            "only email is required"
        )
    return tuple(name for name in columns if name and name not in _COLUMN_NAMES)


def _cells(path: Path, row: dict[str | None, str | list[str] | None]) -> dict[str, str]:
    """Return a line by column, with the status that it or the name of its file implies."""
    if None in row:
        raise InputError("more cells than columns; put texts with commas in quotes")
    cells = {_column(k): _unquote_formula(v) if isinstance(v, str) else "" for k, v in row.items()}
    cells["status"] = cells.get("status", "").casefold()
    # Mailchimp has one file for each status, with columns of its own.
    for column, status in (("unsub_time", "unsubscribed"), ("clean_time", "cleaned")):
        if cells.get(column) or path.name.startswith(f"{status}_"):
            cells["status"] = status
    return cells


def _import_row(
    cells: dict[str, str], subscribers: Subscribers, options: ImportOptions, report: ImportReport
) -> None:
    """Add, change or suppress one subscriber, and count it."""
    status = cells["status"]
    if reason := _SUPPRESSED.get(status):
        report.suppressed[reason] += subscribers.suppress(cells["email"], reason)
        return
    if status not in _ACTIVE | _PENDING:
        raise InputError(f"status: {visible(status, limit=40)}; only active subscribers are added")
    max_items = cells.get("max_items", "")
    if not re.fullmatch(r"[0-9]{0,3}", max_items, re.ASCII):
        raise InputError(f"max_items: not a number: {visible(max_items, limit=20)}")
    attributes = _attributes(cells.get("attributes", ""))
    lists = {name: _split_cell(cells.get(name, "")) or attributes.get(name, []) for name in LISTS}
    examples = (Example(paper_id.strip(), "") for paper_id in _split_cell(cells.get("like", "")))
    result = subscribers.add(
        cells["email"],
        Preferences.validated(
            **lists, max_items=int(max_items) if max_items else None, language=cells.get("language")
        ).with_examples(examples),
        frequency=cells.get("frequency") or None,  # type: ignore[arg-type]  # checked there
        confirmed=options.confirmed and status not in _PENDING,
        replace_lists=options.replace_lists,
    )
    report.added += result.new
    report.changed += not result.new


def _attributes(cell: str) -> dict[str, list[str]]:
    """Return the lists in listmonk's attributes, such as ``{"interests": ["graphs"]}``."""
    try:
        values = json.loads(cell or "{}")
    except (ValueError, RecursionError):
        raise InputError(f"attributes: not JSON: {visible(cell, limit=40)}") from None
    lists = {}
    for key, value in values.items() if isinstance(values, dict) else ():
        texts = value if isinstance(value, list) else [value]
        lists[_column(key)] = [text for text in texts if isinstance(text, str) and text.strip()]
    return lists


def _split_cell(cell: str) -> list[str]:
    return [_unquote_formula(part) for part in cell.split(_SEPARATOR) if part.strip()]


def _join_cell(entries: Iterable[str]) -> str:
    """Undo `_split_cell`.

    Spreadsheets with ``;`` between cells split here too, so each entry is quoted. A semicolon in an entry
    becomes a comma, so that it is still one entry when the file is read.
    """
    return f"{_SEPARATOR} ".join(_quote_formula(entry.replace(_SEPARATOR, ",")) for entry in entries)


def _unquote_formula(cell: str) -> str:
    """Undo `_quote_formula`."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in _FORMULA_STARTS else cell


def write_csv(subscribers: Iterable[Subscriber]) -> str:
    """Return subscribers as CSV that `read_csv` reads."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for subscriber in subscribers:
        preferences = subscriber.preferences
        ids = [example.paper_id for example in preferences.examples]
        lists = [*(getattr(preferences, name) for name in LISTS), ids]
        settings = (subscriber.frequency, preferences.max_items or "", preferences.language)
        table.writerow([_quote_formula(subscriber.email), *map(_join_cell, lists), *settings])
    return out.getvalue()


def _quote_formula(cell: str) -> str:
    """Return a cell that spreadsheets do not run as a formula (OWASP: CSV injection)."""
    return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell
