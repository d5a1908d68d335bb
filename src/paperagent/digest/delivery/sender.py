"""Send the messages that the ledger has planned, each at most once.

Every step is recorded in the ledger before it is taken.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from paperagent.digest.database import utc_now
from paperagent.digest.delivery.ledger import (
    MAX_ISSUE_AGE,
    DeliveryOutcome,
    DeliveryState,
    Ledger,
    PendingDelivery,
)
from paperagent.digest.delivery.message import parse_recipient
from paperagent.digest.delivery.stored_issues import StoredIssue
from paperagent.digest.delivery.transport import ConnectionLost, Rejected, Transport
from paperagent.errors import MailError, PaperAgentError, visible
from paperagent.types import Progress

Compose = Callable[[StoredIssue, PendingDelivery], bytes]
"""Builds the message of an issue; returns the same bytes at every call."""

RETRY_DELAYS = tuple(dt.timedelta(minutes=m) for m in (5, 30, 120, 720))
"""The delay after the first, second … temporary failure; the message fails after one more."""
MAX_CONSECUTIVE_ERRORS = 5
"""Errors in a row that stop a run: then the server is at fault, not the recipients."""
FAILED_STATES: tuple[DeliveryState, ...] = ("deferred", "failed", "unknown")
_SERVICE_CLOSING = 421
_TOO_LARGE = 552
_SERVER_SUBJECTS = frozenset("34")
"""Second digit of a status code about the mail system or the network."""
_RECIPIENT_SUBJECTS = frozenset("12")
"""Second digit of a status code about an address or a mailbox."""
_NO_MAILBOX = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
"""Enhanced status codes for a mailbox that does not exist (RFC 3463 section 3.2)."""


@dataclass(slots=True)
class SendReport:
    """The result of a run."""

    counts: Counter[DeliveryState] = field(default_factory=Counter)
    problems: list[tuple[str, DeliveryState, str]] = field(default_factory=list)
    """Address, state and reason of each message that was not sent."""
    waiting: int = 0
    """Messages that an earlier run wrote to the outbox and that still wait for a mail server."""
    too_old: int = 0
    """Messages of issues older than three days, which were not sent."""
    recovered: int = 0
    """Messages whose state is unknown after a crash."""
    stopped: str = ""
    """Why the run stopped early."""

    def merged_with(self, other: SendReport) -> SendReport:
        """Return the result of both runs."""
        return SendReport(
            self.counts + other.counts,
            [*self.problems, *other.problems],
            self.waiting + other.waiting,
            self.too_old + other.too_old,
            self.recovered + other.recovered,
            self.stopped or other.stopped,
        )


class _UnbuildableMessageError(Exception):
    """A message cannot be built."""


class Sender:
    """Sends through one transport. Only one process may use it at a time; see `database.run_lock`."""

    def __init__(
        self,
        ledger: Ledger,
        transport: Transport,
        compose: Compose,
        *,
        mail_from: str,
        webhooks: bool = False,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Create a sender.

        Args:
            ledger: The deliveries.
            transport: Sends messages.
            compose: Builds messages.
            mail_from: The sender's bare address.
            webhooks: Whether to send to webhooks instead of mail addresses.
            clock: Returns the time.
        """
        self._ledger = ledger
        self._transport = transport
        self._compose = compose
        self._mail_from = mail_from
        self._webhooks = webhooks
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
        """Recover from a crash if there was one, then send all messages that are due.

        Args:
            period: The name of a period, to send only its issues.
            only: A subscriber's address, to send only to it.
            resend_unknown: Whether to send messages again that may have arrived.
            force: Whether to send issues older than three days.
            progress: Called after each message.

        Raises:
            MailError: the server cannot be reached or rejects the sender; unsent messages stay planned.
            InputError: ``only`` is not an address.
        """
        report = SendReport(recovered=self._ledger.recover(self._clock()))
        if self._transport.accepted_state == "written":
            waiting = self._ledger.deliveries(period=period, states=("written",))
            report.waiting = sum(self._clock() - d.stored_at <= MAX_ISSUE_AGE for d in waiting)
        due, report.too_old = self._due(period, only, unknown=resend_unknown, force=force)
        try:
            self._send_all(due, report, progress)
        finally:
            self._transport.close()
        return report

    def dry_run(
        self, outbox: Transport, *, period: str | None = None, only: str | None = None, force: bool = False
    ) -> SendReport:
        """Write all messages that are due to ``outbox`` without changing their state."""
        report = SendReport()
        due, report.too_old = self._due(period, only, unknown=False, force=force)
        outbox.connect()
        for delivery in due:
            if self._ledger.is_wanted(delivery):
                message = self._compose(self._ledger.issue(delivery.issue_id), delivery)
                outbox.data(message, message_id=delivery.message_id)
                report.counts["planned"] += 1
        return report

    def _due(
        self, period: str | None, only: str | None, *, unknown: bool, force: bool
    ) -> tuple[list[PendingDelivery], int]:
        """Return the deliveries to send, and the number of those that are too old."""
        key = parse_recipient(only).key if only else None
        now = self._clock()
        written = self._transport.accepted_state != "written"  # else they are there already
        due = self._ledger.due(
            now, period=period, key=key, written=written, unknown=unknown, webhooks=self._webhooks
        )
        recent = due if force else [d for d in due if now - d.stored_at <= MAX_ISSUE_AGE]
        return recent, len(due) - len(recent)

    def _send_all(
        self, due: Sequence[PendingDelivery], report: SendReport, progress: Progress | None
    ) -> None:
        errors, done = 0, 0
        state = self._ledger.claim(due[0], self._clock()) if due else None
        while done < len(due) and not report.stopped:
            delivery, done = due[done], done + 1
            following = due[done] if done < len(due) else None
            if state == "claimed":
                outcome = self._send_or_release(delivery)
                if not outcome.concerns_recipient:
                    errors = errors + 1 if outcome.state in FAILED_STATES else 0
                report.stopped = _reason_to_stop(outcome, errors)
                following = None if report.stopped else following
                state = self._ledger.finish(delivery, outcome, self._clock(), claim_next=following)
                _add_to_report(report, delivery, outcome)
            else:  # None: another process claimed it first
                report.counts.update(["skipped"] if state else [])
                state = self._ledger.claim(following, self._clock()) if following else None
            if progress:
                progress("send", done, len(due))

    def _send_or_release(self, delivery: PendingDelivery) -> DeliveryOutcome:
        try:
            return self._send(delivery)
        except PaperAgentError:  # a problem with the server or the sender, not with this message
            self._ledger.release(delivery, self._clock())
            raise

    def _send(self, delivery: PendingDelivery) -> DeliveryOutcome:
        try:
            recipient, message = self._build(delivery)
            self._open_envelope(recipient, len(message))
            self._ledger.enter_data(delivery, message, self._clock())
            reply = self._transport.data(message, message_id=delivery.message_id)
        except _UnbuildableMessageError as error:
            return DeliveryOutcome("failed", None, str(error))
        except Rejected as rejected:
            return self._rejected(delivery, rejected)
        except ConnectionLost as lost:
            if lost.may_have_arrived:
                return DeliveryOutcome("unknown", None, f"{lost.why}; it may have arrived")
            return self._retry_later(delivery, None, lost.why)
        return DeliveryOutcome(self._transport.accepted_state, reply.code, reply.text)

    def _build(self, delivery: PendingDelivery) -> tuple[str, bytes]:
        """Return the recipient's address for the envelope, and the message."""
        try:
            message = self._compose(self._ledger.issue(delivery.issue_id), delivery)
            return parse_recipient(delivery.email).envelope, message
        except (PaperAgentError, ValueError) as error:
            raise _UnbuildableMessageError(f"the message cannot be built: {error}") from error

    def _open_envelope(self, recipient: str, size: int) -> None:
        """Send MAIL and RCPT; reconnect once if the server has closed the connection meanwhile."""
        self._transport.connect()
        try:
            self._transport.address(self._mail_from, recipient, size=size)
        except ConnectionLost:
            self._transport.connect()
            self._transport.address(self._mail_from, recipient, size=size)

    def _rejected(self, delivery: PendingDelivery, rejected: Rejected) -> DeliveryOutcome:
        reply = rejected.reply
        if rejected.step == "sender" and not reply.is_temporary and reply.code != _TOO_LARGE:
            raise MailError(
                f"mail server: permanently rejects the sender {visible(self._mail_from, limit=80)} "
                f"({reply.code} {visible(reply.text, limit=200)}); change PAPERAGENT_MAIL_FROM"
            )
        if reply.code != _SERVICE_CLOSING:
            self._transport.reset()
        if reply.is_temporary:
            outcome = self._retry_later(delivery, reply.code, reply.text, reply.retry_after)
            return replace(outcome, concerns_recipient=_concerns_recipient(rejected))
        text = reply.text + ("; lower --max-items" if reply.code == _TOO_LARGE else "")
        no_mailbox = rejected.step == "recipient" and reply.text.lstrip().startswith(_NO_MAILBOX)
        bounced = reply.is_gone or no_mailbox
        return DeliveryOutcome(
            "failed",
            reply.code,
            text,
            bounced=bounced,
            concerns_recipient=no_mailbox or _concerns_recipient(rejected),
        )

    def _retry_later(
        self, delivery: PendingDelivery, code: int | None, why: str, at_least: dt.timedelta = dt.timedelta()
    ) -> DeliveryOutcome:
        """Return an outcome with the time of the next attempt, or a failure after the last one."""
        if delivery.attempts >= len(RETRY_DELAYS):
            return DeliveryOutcome("failed", code, f"given up after {delivery.attempts + 1} attempts: {why}")
        delay = max(RETRY_DELAYS[delivery.attempts], at_least)
        return DeliveryOutcome("deferred", code, why, self._clock() + delay)


def _concerns_recipient(rejected: Rejected) -> bool:
    """Return whether a reply to RCPT concerns only this recipient, such as greylisting or a full mailbox.

    If the reply has no enhanced status code (RFC 3463), a temporary one is taken to concern the recipient. At
    worst, every message then waits for the next run. A permanent one may mean that the server refuses us.
    """
    reply = rejected.reply
    if rejected.step != "recipient" or reply.code == _SERVICE_CLOSING:
        return False
    subject = re.match(r"[45]\.([0-9])\.", reply.text.lstrip())
    if subject is None:
        return reply.is_temporary
    if reply.is_temporary:
        return subject[1] not in _SERVER_SUBJECTS
    return subject[1] in _RECIPIENT_SUBJECTS


def _reason_to_stop(outcome: DeliveryOutcome, errors: int) -> str:
    """Return why the run must stop after an outcome, or an empty string."""
    if outcome.code == _SERVICE_CLOSING:
        return "the server is closing (421)"
    return f"{MAX_CONSECUTIVE_ERRORS} errors in a row" if errors >= MAX_CONSECUTIVE_ERRORS else ""


def _add_to_report(report: SendReport, delivery: PendingDelivery, outcome: DeliveryOutcome) -> None:
    report.counts[outcome.state] += 1
    if outcome.state in FAILED_STATES:
        reason = f"{outcome.code or ''} {outcome.reply}".strip()
        report.problems.append((delivery.email, outcome.state, visible(reason, limit=300)))


def describe_failures(deliveries: Sequence[PendingDelivery], stopped: str) -> str:
    """Return an error message about messages that were not delivered.

    Args:
        deliveries: Messages in one of `FAILED_STATES`.
        stopped: Why the run stopped early, if it did.
    """
    counts = Counter(d.state for d in deliveries)
    summary = ", ".join(f"{counts[state]:,} {state}" for state in FAILED_STATES if counts[state])
    early = f"stopped early, {stopped}; " if stopped else ""
    advice = "run it again later; " if counts["deferred"] or stopped else ""
    unknown = "--resend-unknown sends unknown ones again; " if counts["unknown"] else ""
    return (
        f"digest: {early}messages not delivered: {summary or 'none'}; "
        f"{advice}{unknown}'paperagent digest list' shows why"
    )
