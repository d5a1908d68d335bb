"""Mails that arrive at the sender's address: unsubscribe requests, bounces, and everything else.

Anybody can write such a mail. A request counts only with the signed token of its subscriber, and a bounce
(RFC 3464) only if it returns the Message-ID of an issue that was sent to the address that it names. Links and
attachments are never followed.
"""

from __future__ import annotations

import datetime as dt
import mailbox
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from paperagent.digest.database import utc_now
from paperagent.digest.delivery.message import parse_address
from paperagent.errors import FeedError, InputError, display_path, visible

if TYPE_CHECKING:
    from paperagent.digest.delivery.inbox import Inbox
    from paperagent.digest.delivery.ledger import Ledger
    from paperagent.digest.links import SignedTokens
    from paperagent.digest.subscribers import Subscribers

MailKind = Literal["unsubscribed", "bounced", "suspended", "ignored", "unclear", "other"]
"""The result of reading an email.

``suspended``: a bounce after which the subscriber gets no more emails; ``ignored``: an automatic reply, a
delay, or something seen before; ``unclear``: a request or a bounce without proof; ``other``: any other email.
"""
_PREFIX = (
    r"(?:\[[^\[\]]{1,40}\]|\([^()]{1,40}\)|\*{1,5}[^*]{1,40}\*{1,5}"
    r"|[^\W\d_]{1,12}(?:\s?[\[(]\d{1,3}[\])])?\s?[:：])"
)
"""Prefixes that mail programs add to a subject: ``Re:``, ``AW:``, ``Fwd:``, ``SV[2]:``, ``[EXTERNAL]``."""
_UNSUBSCRIBE_SUBJECT = re.compile(
    rf"(?:{_PREFIX}\s*)*unsubscribe(?:\s+([A-Za-z0-9._-]+))?(?:\s*\[[^\[\]]{{1,40}}\])?", re.IGNORECASE
)
_MAX_SUBJECT = 400
_MAX_PARTS = 50
_AUTOMATIC_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply")
_AUTOMATIC_PRECEDENCE = frozenset({"auto_reply", "bulk", "junk"})


@dataclass(slots=True)
class IncomingReport:
    """The result of reading several mails."""

    counts: Counter[MailKind] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Which mail, and why a person has to look at it."""
    changes: list[tuple[MailKind, str]] = field(default_factory=list)
    """Each change, with the address that it concerns."""

    @property
    def skipped(self) -> int:
        """The number of mails that changed nothing."""
        return self.counts["ignored"] + self.counts["unclear"] + self.counts["other"]

    def add(self, where: str, kind: MailKind, detail: str) -> None:
        """Add the result of a mail; ``where`` identifies it."""
        self.counts[kind] += 1
        if kind == "unclear":
            self.problems.append((where, detail))
        elif kind in {"unsubscribed", "bounced", "suspended"}:
            self.changes.append((kind, detail))


@dataclass(frozen=True, slots=True)
class Bounce:
    """A permanent failure as a mail server reports it."""

    message_ids: tuple[str, ...]
    """The Message-IDs in the returned headers."""
    recipients: tuple[str, ...]
    """The addresses that failed."""
    status: str
    """The enhanced status code, such as 5.1.1 (RFC 3463)."""


class MailReader:
    """Acts on mails that arrived at the sender's address."""

    def __init__(
        self,
        subscribers: Subscribers,
        ledger: Ledger,
        tokens: SignedTokens | None,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Create a reader.

        Args:
            subscribers: The subscribers.
            ledger: The issues that were sent.
            tokens: Reads the tokens in subjects; without a secret there are none, and a sender's address is
                accepted instead.
            clock: Returns the time.
        """
        self._subscribers = subscribers
        self._ledger = ledger
        self._tokens = tokens
        self._clock = clock

    def read(self, mail: Message, *, dry_run: bool = False) -> tuple[MailKind, str]:
        """Act on a mail unless ``dry_run``; return what it is, and the subscriber's address or a reason."""
        if _is_delivery_report(mail):
            return self._read_report(mail, dry_run=dry_run)
        subject = _decode_header(mail["Subject"])[:_MAX_SUBJECT]
        match = _UNSUBSCRIBE_SUBJECT.fullmatch(subject)
        automatic = _is_automatic(mail)
        if match is None:
            return ("ignored", "an automatic reply") if automatic else ("other", _OTHER_SUBJECT)
        if automatic and match[1] is None:
            return "ignored", "an automatic reply"
        try:
            return self._unsubscribe(match[1], _sender(mail), dry_run=dry_run)
        except InputError as error:
            return "unclear", str(error)

    def _unsubscribe(self, token: str | None, sender: str, *, dry_run: bool) -> tuple[MailKind, str]:
        if self._tokens is None:
            subscriber = self._subscribers.find(sender)
        elif token is None:
            address = visible(sender, limit=80)
            raise InputError(
                f"from {address} without a token; if it is genuine: 'subscribers remove {address}'"
            )
        else:
            subscriber = self._subscribers.get(self._tokens.read("unsubscribe", token)[0])
        if self._subscribers.is_suppressed(subscriber.key):
            return "ignored", "unsubscribed before"
        if not dry_run:
            self._subscribers.unsubscribe(subscriber.id)
        return "unsubscribed", subscriber.email

    def _read_report(self, mail: Message, *, dry_run: bool) -> tuple[MailKind, str]:
        bounce = parse_bounce(mail)
        if bounce is None:
            return "ignored", "a report without a permanent failure"
        keys = set()
        for address in bounce.recipients:
            try:
                keys.add(parse_address(address).key)
            except InputError:  # a bounce of something else, or nonsense
                continue
        recorded = self._ledger.record_bounce(
            bounce.message_ids, frozenset(keys), bounce.status, self._clock(), dry_run=dry_run
        )
        if recorded is None:
            return "unclear", "a bounce without the Message-ID of an issue sent to that address; ignored"
        kind, email = recorded
        return kind, f"{email} ({bounce.status})"


_OTHER_SUBJECT = "its subject does not say unsubscribe"


def read_unsubscribes(path: Path, reader: MailReader) -> IncomingReport:
    """Act on the mails in a file in mbox format.

    Raises:
        FeedError: no such file.
    """
    if not path.is_file():
        raise FeedError(f"{display_path(path)}: no such mailbox file; name one in mbox format")
    report = IncomingReport()
    box = mailbox.mbox(path, create=False)
    try:
        for number, mail in enumerate(box, start=1):
            kind, detail = reader.read(mail)
            report.add(f"mail {number}", "unclear" if kind == "other" else kind, detail)
    finally:
        box.close()
    return report


def read_inbox(inbox: Inbox, reader: MailReader, at: dt.datetime, *, dry_run: bool = False) -> IncomingReport:
    """Act on the new mails of a mailbox on a server, or with ``dry_run`` only return what would be done.

    Raises:
        MailError: the mailbox cannot be read; what was done before stays done.
    """
    report = IncomingReport()
    for mail in inbox.messages(today=at.date(), read_only=dry_run):
        where = visible(f"mail from {_sender(mail) or 'nobody'}, {_decode_header(mail['Date'])}", limit=120)
        report.add(where, *reader.read(mail, dry_run=dry_run))
    return report


# --- delivery reports (RFC 3464) ---


def _is_delivery_report(mail: Message) -> bool:
    return mail.get_content_type() == "multipart/report" or any(
        part.get_content_type() == "message/delivery-status" for part in _parts(mail)
    )


def parse_bounce(mail: Message) -> Bounce | None:
    """Return the permanent failure in a delivery report; None for a delay, a success or another report.

    Only ``Action: failed`` with a status of class 5 counts: a full mailbox or a server that cannot be reached
    (class 4) says nothing about the address.
    """
    recipients, message_ids, status = [], [], ""
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            for fields in _blocks(part):
                action = str(fields.get("Action", "")).strip().lower()
                code = re.match(r"\s*(5\.\d{1,3}\.\d{1,3})\b", str(fields.get("Status", "")))
                if action == "failed" and code:
                    recipients += [_typed_address(fields[name]) for name in _RECIPIENT_FIELDS if fields[name]]
                    status = code[1]
        elif kind in {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"}:
            message_ids += _returned_ids(part)
    return Bounce(tuple(message_ids), tuple(recipients), status) if recipients else None


_RECIPIENT_FIELDS = ("Final-Recipient", "Original-Recipient")


def _parts(mail: Message) -> Iterator[Message]:
    """Yield the parts of a report itself, not those of the mail that it returns."""
    payload = mail.get_payload()
    if isinstance(payload, list) and mail.get_content_maintype() == "multipart":
        yield from (part for part in payload[:_MAX_PARTS] if isinstance(part, Message))


def _blocks(part: Message) -> Iterable[Message]:
    """Return the groups of fields of a delivery status."""
    payload = part.get_payload()
    return [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []


def _typed_address(value: object) -> str:
    """Return the address in ``rfc822; name@example.org``."""
    return str(value).partition(";")[2].strip().strip("<>")


def _returned_ids(part: Message) -> list[str]:
    payload = part.get_payload()
    if isinstance(payload, list):
        headers = [str(inner["Message-ID"]) for inner in payload[:1] if isinstance(inner, Message)]
        return [value.strip() for value in headers]
    return [f"<{value}>" for value in re.findall(r"(?im)^Message-ID:\s*<([^<>\s]+)>", _text(part))[:1]]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


# --- headers ---


def _is_automatic(mail: Message) -> bool:
    """Return whether a program answered by itself (RFC 3834), such as a vacation notice."""
    submitted = _decode_header(mail["Auto-Submitted"]).partition(";")[0].strip().lower()
    precedence = _decode_header(mail["Precedence"]).lower()
    return (
        submitted not in {"", "no"}
        or precedence in _AUTOMATIC_PRECEDENCE
        or any(name in mail for name in _AUTOMATIC_HEADERS)
    )


def _sender(mail: Message) -> str:
    return parseaddr(_decode_header(mail["From"]))[1]


def _decode_header(header: object) -> str:
    try:
        text = str(make_header(decode_header(str(header or ""))))
    except (MessageError, ValueError, LookupError):  # anybody can write a header
        return ""
    return " ".join(text.split())
