"""Send what the ledger has planned: each message once, each step written down before it is taken."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from paperagent.digest.database import utc_now
from paperagent.digest.delivery import message as addresses
from paperagent.digest.delivery.ledger import (
    MAX_ISSUE_AGE,
    DeliveryOutcome,
    DeliveryState,
    Ledger,
    PendingDelivery,
    StoredIssue,
)
from paperagent.digest.delivery.transport import ConnectionLost, Rejected, Transport
from paperagent.errors import MailError, PaperAgentError, visible
from paperagent.types import Progress

Compose = Callable[[StoredIssue, PendingDelivery], bytes]
"""Builds the message of an issue for its reader; the same bytes at every call."""

RETRY_DELAYS = tuple(dt.timedelta(minutes=m) for m in (5, 30, 120, 720))
"""The wait after the first, second … temporary refusal; after one more the message has failed."""
MAX_CONSECUTIVE_ERRORS = 5
"""Errors in a row that stop a run: by then it is the server, not the readers."""
_CLOSING = 421
_TOO_LARGE = 552
_NO_MAILBOX = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
"""Enhanced status codes that say so for good (RFC 3463 section 3.2)."""
FAILED_STATES: tuple[DeliveryState, ...] = ("deferred", "failed", "unknown")


@dataclass(slots=True)
class SendReport:
    """What a run did."""

    counts: Counter[DeliveryState] = field(default_factory=Counter)
    problems: list[tuple[str, DeliveryState, str]] = field(default_factory=list)
    """Address, state and reason of each message that was not sent."""
    too_old: int = 0
    """Messages of issues older than three days, left as they are."""
    recovered: int = 0
    """Messages that a crash left unknown."""
    stopped: str = ""
    """Why the run ended early."""


class _UnfitError(Exception):
    """A message that cannot be built."""


class Sender:
    """Sends through one transport. Held by one process: see `database.run_lock`."""

    def __init__(
        self,
        ledger: Ledger,
        transport: Transport,
        compose: Compose,
        *,
        mail_from: str,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._ledger = ledger
        self._transport = transport
        self._compose = compose
        self._from = mail_from
        self._clock = clock

    def run(
        self,
        *,
        period: str | None = None,
        only: str | None = None,
        resend_unknown: bool = False,
        force: bool = False,
        progress: Progress | None = None,
    ) -> SendReport:
        """Settle what a crash left, then send all that is due.

        ``only`` is one reader's address; ``resend_unknown`` sends again what may have arrived;
        ``force`` sends issues older than three days too.

        Raises:
            MailError: the server cannot be reached, or refuses the sender; what was not sent stays planned.
            InputError: ``only`` is no address.
        """
        report = SendReport(recovered=self._ledger.recover(self._clock()))
        due, report.too_old = self._due(period, only, unknown=resend_unknown, force=force)
        try:
            self._send_all(due, report, progress)
        finally:
            self._transport.close()
        return report

    def dry_run(
        self, outbox: Transport, *, period: str | None = None, only: str | None = None, force: bool = False
    ) -> SendReport:
        """Give all that is due to ``outbox`` and change nothing; counted as ``planned``."""
        report = SendReport()
        due, report.too_old = self._due(period, only, unknown=False, force=force)
        outbox.connect()
        for one in due:
            if self._ledger.is_wanted(one):
                message = self._compose(self._ledger.issue(one.issue_id), one)
                outbox.data(message, message_id=one.message_id)
                report.counts["planned"] += 1
        return report

    def _due(
        self, period: str | None, only: str | None, *, unknown: bool, force: bool
    ) -> tuple[list[PendingDelivery], int]:
        """Return what is to be sent, and how many messages are too old for it."""
        key = addresses.parse_address(only).key if only else None
        due = self._ledger.due(self._clock(), period=period, key=key, unknown=unknown)
        fresh = due if force else [d for d in due if self._clock() - d.stored_at <= MAX_ISSUE_AGE]
        return fresh, len(due) - len(fresh)

    def _send_all(
        self, due: Sequence[PendingDelivery], report: SendReport, progress: Progress | None
    ) -> None:
        errors, number = 0, 0
        state = self._ledger.claim(due[0], self._clock()) if due else None
        while number < len(due) and not report.stopped:
            message, number = due[number], number + 1
            then = due[number] if number < len(due) else None
            if state == "claimed":
                outcome = self._attempted(message)
                errors = errors + 1 if outcome.state in FAILED_STATES else 0
                report.stopped = _why_to_stop(outcome, errors)
                then = None if report.stopped else then
                state = self._ledger.finish(message, outcome, self._clock(), then=then)
                _count(report, message, outcome)
            else:  # None: another run was faster
                report.counts.update(["skipped"] if state else [])
                state = self._ledger.claim(then, self._clock()) if then else None
            if progress:
                progress("send", number, len(due))

    def _attempted(self, due: PendingDelivery) -> DeliveryOutcome:
        try:
            return self._attempt(due)
        except PaperAgentError:  # about the server or the sender, not about this message
            self._ledger.release(due, self._clock())
            raise

    def _attempt(self, due: PendingDelivery) -> DeliveryOutcome:
        try:
            recipient, message = self._prepared(due)
            self._address(recipient, len(message))
            self._ledger.enter_data(due, message, self._clock())
            reply = self._transport.data(message, message_id=due.message_id)
        except _UnfitError as unfit:
            return DeliveryOutcome("failed", None, str(unfit))
        except Rejected as refused:
            return self._refused(due, refused)
        except ConnectionLost as broken:
            if broken.ambiguous:
                return DeliveryOutcome("unknown", None, f"{broken.why}; it may have arrived")
            return self._put_off(due, None, broken.why)
        return DeliveryOutcome("sent", reply.code, reply.text)

    def _prepared(self, due: PendingDelivery) -> tuple[str, bytes]:
        """Return the recipient for the envelope and the message; one bad issue never stops the others."""
        try:
            message = self._compose(self._ledger.issue(due.issue_id), due)
            return addresses.parse_address(due.email).envelope, message
        except (PaperAgentError, ValueError) as error:
            raise _UnfitError(f"the message cannot be built: {error}") from error

    def _address(self, recipient: str, size: int) -> None:
        """Open the envelope; a connection that the server ended between two messages is made anew, once."""
        self._transport.connect()
        try:
            self._transport.address(self._from, recipient, size=size)
        except ConnectionLost:
            self._transport.connect()
            self._transport.address(self._from, recipient, size=size)

    def _refused(self, due: PendingDelivery, refused: Rejected) -> DeliveryOutcome:
        reply = refused.reply
        if refused.step == "sender" and not reply.temporary and reply.code != _TOO_LARGE:
            raise MailError(
                f"mail server: it refuses the sender {visible(self._from, limit=80)} for good "
                f"({reply.code} {visible(reply.text, limit=200)}); change PAPERAGENT_MAIL_FROM"
            )
        if reply.code != _CLOSING:
            self._transport.reset()
        if reply.temporary:
            return self._put_off(due, reply.code, reply.text)
        text = reply.text + ("; lower --max-items" if reply.code == _TOO_LARGE else "")
        gone = refused.step == "recipient" and reply.text.lstrip().startswith(_NO_MAILBOX)
        return DeliveryOutcome("failed", reply.code, text, bounced=gone)

    def _put_off(self, due: PendingDelivery, code: int | None, why: str) -> DeliveryOutcome:
        """Return when to try again, or that it was tried often enough."""
        if due.attempts >= len(RETRY_DELAYS):
            return DeliveryOutcome("failed", code, f"given up after {due.attempts + 1} attempts: {why}")
        return DeliveryOutcome("deferred", code, why, self._clock() + RETRY_DELAYS[due.attempts])


def _why_to_stop(outcome: DeliveryOutcome, errors: int) -> str:
    """Return why the run ends after an outcome; nothing where it goes on."""
    if outcome.code == _CLOSING:
        return "the server is closing (421)"
    return f"{MAX_CONSECUTIVE_ERRORS} errors in a row" if errors >= MAX_CONSECUTIVE_ERRORS else ""


def _count(report: SendReport, due: PendingDelivery, outcome: DeliveryOutcome) -> None:
    report.counts[outcome.state] += 1
    if outcome.state in FAILED_STATES:
        reason = f"{outcome.code or ''} {outcome.reply}".strip()
        report.problems.append((due.email, outcome.state, visible(reason, limit=300)))
