"""Import and export subscribers as CSV, and import unsubscribe mails from a mailbox file."""

from __future__ import annotations

import csv
import io
import mailbox
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.preferences import LISTS, Preferences
from paperagent.errors import FeedError, InputError, display_path, visible

if TYPE_CHECKING:
    from paperagent.digest.links import SignedTokens
    from paperagent.digest.subscribers import Subscriber, Subscribers

COLUMNS = ("email", *LISTS, "frequency", "max_items")
MAX_BYTES = 20_000_000
_SEPARATOR = ";"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_UNSUBSCRIBE_SUBJECT = re.compile(r"\s*(?:re:\s*)?unsubscribe(?:\s+(\S+))?\s*", re.IGNORECASE)


@dataclass(slots=True)
class ImportReport:
    """The result of reading a file."""

    added: int = 0
    changed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """The location in the file and the reason."""


def read_csv(path: Path, subscribers: Subscribers, *, confirmed: bool = False) -> ImportReport:
    """Add the subscribers in a CSV file with a header line; ``;`` separates several values in a cell.

    Invalid lines are skipped and reported.

    Args:
        path: The file.
        subscribers: The subscribers to add to.
        confirmed: Whether the new subscribers have agreed already.

    Raises:
        FeedError: no such file, not UTF-8, too large, or wrong columns.
    """
    report = ImportReport()
    rows = csv.DictReader(io.StringIO(_read_text(path)), strict=True)
    try:
        _check_columns(path, rows.fieldnames or [])
        for row in rows:
            try:
                new = _add_row(row, subscribers, confirmed=confirmed)
            except InputError as error:
                report.skipped.append((f"line {rows.line_num}", str(error)))
                continue
            report.added += new
            report.changed += not new
    except csv.Error as error:
        count = report.added + report.changed
        imported = f"the {count} subscribers above it were imported; " if count else ""
        where = f"{display_path(path)}: line {rows.line_num}"
        raise FeedError(f"{where}: {error}; {imported}correct the file and import it again") from None
    return report


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FeedError(f"{display_path(path)}: larger than {MAX_BYTES:,} bytes; split it")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FeedError(f"{display_path(path)}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise FeedError(
            f"{display_path(path)}: {error.strerror or 'cannot be read'}; name a CSV file"
        ) from error


def _check_columns(path: Path, header: Iterable[str | None]) -> None:
    columns = [(name or "").strip().lower() for name in header]
    unknown = [name for name in columns if name not in COLUMNS]
    if "email" not in columns or unknown or len(set(columns)) < len(columns):
        names = visible(", ".join(columns), limit=120) or "none"
        raise FeedError(
            f"{display_path(path)}: its columns are {names}; use {', '.join(COLUMNS)}, only email is required"
        )


def _add_row(
    row: dict[str | None, str | list[str] | None], subscribers: Subscribers, *, confirmed: bool
) -> bool:
    """Add or change one subscriber; return whether it is new."""
    if None in row:
        raise InputError("more cells than columns; put texts with commas in quotes")
    cells = {
        str(k).strip().lower(): _unquote_formula(v) if isinstance(v, str) else "" for k, v in row.items()
    }
    max_items = cells.get("max_items", "")
    if not re.fullmatch(r"[0-9]{0,3}", max_items, re.ASCII):
        raise InputError(f"max_items: not a number: {visible(max_items, limit=20)}")
    preferences = Preferences.validated(
        **{name: _split_cell(cells.get(name, "")) for name in LISTS},
        max_items=int(max_items) if max_items else None,
    )
    frequency = cells.get("frequency") or None
    result = subscribers.add(cells["email"], preferences, frequency=frequency, confirmed=confirmed)  # type: ignore[arg-type]  # checked there
    return result.new


def _split_cell(cell: str) -> list[str]:
    return [part for part in cell.split(_SEPARATOR) if part.strip()]


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
        lists = (getattr(preferences, name) for name in LISTS)
        cells = [subscriber.email, *(f"{_SEPARATOR} ".join(values) for values in lists)]
        table.writerow([*map(_quote_formula, cells), subscriber.frequency, preferences.max_items or ""])
    return out.getvalue()


def _quote_formula(cell: str) -> str:
    """Return a cell that spreadsheets do not run as a formula (OWASP: CSV injection)."""
    return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell


def read_unsubscribes(path: Path, subscribers: Subscribers, tokens: SignedTokens | None) -> ImportReport:
    """Unsubscribe everyone who asked for it by mail; `ImportReport.changed` counts them.

    The token in the subject identifies the subscriber. Without a secret there are no tokens, and the
    sender's address is accepted instead. With one, a mail without a token is only reported, because
    anybody can forge an address.

    Args:
        path: A mailbox file in mbox format.
        subscribers: The subscribers.
        tokens: Reads the tokens; None without a secret.

    Raises:
        FeedError: no such file.
    """
    if not path.is_file():
        raise FeedError(f"{display_path(path)}: no such mailbox file; name one in mbox format")
    report = ImportReport()
    for number, (subject, sender) in enumerate(_mails(path), start=1):
        match = _UNSUBSCRIBE_SUBJECT.fullmatch(subject)
        if match is None:
            report.skipped.append((f"mail {number}", "its subject does not say unsubscribe"))
            continue
        try:
            report.changed += _unsubscribe(match[1], sender, subscribers, tokens)
        except InputError as error:
            report.skipped.append((f"mail {number}", str(error)))
    return report


def _mails(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the subject and the sender's address of each mail."""
    box = mailbox.mbox(path, create=False)
    try:
        for message in box:
            yield _decode_header(message["Subject"]), parseaddr(_decode_header(message["From"]))[1]
    finally:
        box.close()


def _decode_header(header: object) -> str:
    try:
        text = str(make_header(decode_header(str(header or ""))))
    except (ValueError, LookupError, UnicodeError):
        return ""
    return " ".join(text.split())


def _unsubscribe(
    token: str | None, sender: str, subscribers: Subscribers, tokens: SignedTokens | None
) -> bool:
    if tokens is None:
        return subscribers.unsubscribe(subscribers.find(sender).id)
    if token is None:
        address = visible(sender, limit=80)
        raise InputError(f"from {address} without a token; if it is genuine: 'subscribers remove {address}'")
    return subscribers.unsubscribe(tokens.read("unsubscribe", token)[0])
