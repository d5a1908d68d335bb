"""Helpers for tests of sending: subscribers with stored issues, and a scripted mail server."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from paperagent.digest.database import DigestDatabase
from paperagent.digest.delivery.ledger import Ledger, PendingDelivery
from paperagent.digest.delivery.sender import Sender, SendReport
from paperagent.digest.delivery.smtp import SmtpTransport, Timeouts
from paperagent.digest.delivery.stored_issues import NewIssue, StoredIssue
from paperagent.digest.delivery.transport import Transport
from paperagent.digest.feedback import Feedback
from paperagent.digest.issue import Period
from paperagent.digest.subscribers import Subscribers

WEEK = Period("2026-W26", dt.date(2026, 6, 22), dt.date(2026, 6, 28))
NOON = dt.datetime(2026, 6, 29, 12, tzinfo=dt.UTC)
SENDER = "digest@paperagent.example"
QUICK = Timeouts(connect=2, command=2, accept=2)


@dataclass
class Clock:
    """A clock that only the test moves."""

    time: dt.datetime = NOON

    def __call__(self) -> dt.datetime:
        return self.time

    def wait(self, **span: float) -> None:
        self.time += dt.timedelta(**span)


@dataclass
class DeliveryHarness:
    """The ledger and the subscribers of a digest, without a library."""

    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.database = DigestDatabase(self.path)
        self.subscribers = Subscribers(self.database, clock=self.clock)
        self.feedback = Feedback(self.database, clock=self.clock)
        self.ledger = Ledger(self.database)

    def plan(self, *emails: str, period: Period = WEEK) -> None:
        """Add confirmed subscribers and store an issue for each."""
        self.ledger.store_issues([self.draft(e, period) for e in emails], self.clock())

    def draft(self, email: str, period: Period = WEEK) -> NewIssue:
        subscriber = self.subscribers.add(email, confirmed=True).subscriber
        return NewIssue(
            period,
            subscriber.id,
            f"Papers for {subscriber.id}",
            "…",
            "<p>Hello</p>",
            f"Hello {subscriber.id}\n.\nthe dot above is a line\n",
            papers=(f"paper-{period.name}-{subscriber.id}",),
            message_id=f"<{period.name}.{subscriber.id}@paperagent.example>",
        )

    def send(self, transport: Transport, **options: Any) -> SendReport:
        return Sender(self.ledger, transport, compose, mail_from=SENDER, clock=self.clock).run(**options)

    def states(self) -> dict[str, str]:
        return {d.email: d.state for d in self.ledger.deliveries()}


def compose(frozen: StoredIssue, due: PendingDelivery) -> bytes:
    """Return a plain message."""
    head = (
        f"From: {SENDER}\r\nTo: {due.email}\r\nSubject: {frozen.subject}\r\nMessage-ID: {due.message_id}\r\n"
    )
    return (head + "\r\n" + frozen.text.replace("\n", "\r\n")).encode()


Answer = str | Callable[[Any], str]


@dataclass
class Script:
    """What the server says: to a recipient, to a message for one, to a sender. None says yes."""

    rcpt: dict[str, Answer] = field(default_factory=dict)
    data: dict[str, Answer] = field(default_factory=dict)
    mail: str | None = None
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    """Recipient and bytes of each message that was accepted."""

    def ids(self) -> list[str]:
        """Return the Message-IDs of what was accepted."""
        return [str(message_from_bytes(raw)["Message-ID"]) for _, raw in self.taken]

    def recipients(self) -> list[str]:
        return [to for to, _ in self.taken]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.mail:
            return self.mail
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - likewise
        answer = self.rcpt.get(address)
        if answer:
            return answer(server) if callable(answer) else answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - likewise
        (to,) = envelope.rcpt_tos
        answer = self.data.get(to)
        if callable(answer):
            return answer(server)
        if answer:
            return answer
        self.taken.append((to, envelope.original_content))
        return "250 2.0.0 taken"


def hang_up(server: Any) -> str:
    """End the connection without an answer."""
    server.transport.close()
    return "250 never read"


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def serving(script: Script, **options: Any) -> Iterator[str]:
    """Run a mail server; give its address as a URL."""
    controller = Controller(script, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def transport(url: str, **options: Any) -> SmtpTransport:
    """Return a transport that does not wait long."""
    return SmtpTransport(url, **{"timeouts": QUICK, **options})
