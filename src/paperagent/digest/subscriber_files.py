"""Readers from and to CSV, and unsubscribing mails from a mailbox file."""

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

from paperagent.digest import preferences
from paperagent.digest.links import SignedTokens
from paperagent.digest.subscribers import Subscriber, Subscribers
from paperagent.errors import FeedError, InputError, visible

COLUMNS = ("email", "interests", "questions", "categories", "frequency", "max_items")
MAX_BYTES = 20_000_000
_SEPARATOR = ";"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SUBJECT = re.compile(r"\s*(?:re:\s*)?unsubscribe(?:\s+(\S+))?\s*", re.IGNORECASE)


@dataclass(slots=True)
class ImportReport:
    """What reading a file did."""

    added: int = 0
    changed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Where in the file, and why."""


def read_csv(path: Path, subscribers: Subscribers, *, confirmed: bool = False) -> ImportReport:
    """Add the readers of a CSV file with a header line; several values of a cell stand between ``;``.

    A line that cannot be used is skipped and told.

    Raises:
        FeedError: no such file, not UTF-8, too large, or without an ``email`` column.
    """
    found = ImportReport()
    rows = csv.DictReader(io.StringIO(_text(path)), strict=True)
    try:
        _check_columns(path, rows.fieldnames or [])
        for row in rows:
            try:
                new = _add(row, subscribers, confirmed=confirmed)
            except InputError as error:
                found.skipped.append((f"line {rows.line_num}", str(error)))
                continue
            found.added += new
            found.changed += not new
    except csv.Error as error:
        read = found.added + found.changed
        kept = f"the {read} readers above it were read; " if read else ""
        raise FeedError(
            f"{_name(path)}: line {rows.line_num}: {error}; {kept}correct the file and import it again"
        ) from None
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FeedError(f"{_name(path)}: larger than {MAX_BYTES:,} bytes; split it")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FeedError(f"{_name(path)}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise FeedError(f"{_name(path)}: {error.strerror or 'cannot be read'}; name a CSV file") from error


def _check_columns(path: Path, names: Iterable[str | None]) -> None:
    given = [(n or "").strip().lower() for n in names]
    unknown = [n for n in given if n not in COLUMNS]
    if "email" not in given or unknown or len(set(given)) < len(given):
        shown = visible(", ".join(given), limit=120) or "none"
        raise FeedError(
            f"{_name(path)}: its columns are {shown}; write {', '.join(COLUMNS)}, only email is needed"
        )


def _add(row: dict[str | None, str | list[str] | None], subscribers: Subscribers, *, confirmed: bool) -> bool:
    if None in row:
        raise InputError("more cells than columns; put texts with commas in quotes")
    cells = {str(k).strip().lower(): _plain(v) if isinstance(v, str) else "" for k, v in row.items()}
    items = cells.get("max_items", "")
    if not re.fullmatch(r"[0-9]{0,3}", items, re.ASCII):
        raise InputError(f"max_items: not a number: {visible(items, limit=20)}")
    wishes = preferences.wishes(
        _several(cells.get("interests", "")),
        _several(cells.get("questions", "")),
        _several(cells.get("categories", "")),
        max_items=int(items) if items else None,
    )
    frequency = cells.get("frequency") or None
    return subscribers.add(cells["email"], wishes, frequency=frequency, confirmed=confirmed).new  # type: ignore[arg-type]  # checked there


def _several(cell: str) -> list[str]:
    return [part for part in cell.split(_SEPARATOR) if part.strip()]


def _plain(cell: str) -> str:
    """Undo what `_safe` did."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:2] in _FORMULA else cell


def write_csv(readers: Iterable[Subscriber]) -> str:
    """Return readers as the CSV that `read_csv` reads."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for reader in readers:
        wishes = reader.preferences
        listed = (wishes.interests, wishes.questions, wishes.categories)
        cells = [reader.email, *(f"{_SEPARATOR} ".join(values) for values in listed)]
        table.writerow([*map(_safe, cells), reader.frequency, wishes.max_items or ""])
    return out.getvalue()


def _safe(cell: str) -> str:
    """Keep a spreadsheet from taking a text for a formula (OWASP: CSV injection)."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def read_unsubscribes(path: Path, subscribers: Subscribers, tokens: SignedTokens | None) -> ImportReport:
    """Stop writing to all who asked so by mail; `changed` counts them.

    The subject's token says who asks. Without a secret there are no tokens, and the sender's
    address must do; with one, an address alone, which anybody can write, is only told.

    Raises:
        FeedError: no such file.
    """
    if not path.is_file():
        raise FeedError(f"{_name(path)}: no such mailbox file; name one in mbox format")
    found = ImportReport()
    for number, (subject, sender) in enumerate(_mails(path), start=1):
        match = _SUBJECT.fullmatch(subject)
        if match is None:
            found.skipped.append((f"mail {number}", "its subject does not say unsubscribe"))
            continue
        try:
            found.changed += _stop(match[1], sender, subscribers, tokens)
        except InputError as error:
            found.skipped.append((f"mail {number}", str(error)))
    return found


def _mails(path: Path) -> Iterator[tuple[str, str]]:
    box = mailbox.mbox(path, create=False)
    try:
        for message in box:
            yield _decoded(message["Subject"]), parseaddr(_decoded(message["From"]))[1]
    finally:
        box.close()


def _decoded(header: object) -> str:
    try:
        text = str(make_header(decode_header(str(header or ""))))
    except (ValueError, LookupError, UnicodeError):
        return ""
    return " ".join(text.split())


def _stop(token: str | None, sender: str, subscribers: Subscribers, tokens: SignedTokens | None) -> bool:
    if tokens is None:
        return subscribers.unsubscribe(subscribers.find(sender).id)
    if token is None:
        shown = visible(sender, limit=80)
        raise InputError(f"from {shown} without a token; if it is genuine: 'subscribers remove {shown}'")
    return subscribers.unsubscribe(tokens.read("unsubscribe", token)[0])


def _name(path: Path) -> str:
    return visible(str(path), limit=200)
