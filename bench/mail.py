"""Time mail: building messages, and sending them to a local server with durable commits.

    python bench/mail.py [--shared ../shared] [--only build|send] [--json FILE]

The issue is the general issue of the sample feed. The server is aiosmtpd in its own process, with one
connection. Each message takes two commits with synchronous=FULL: one before DATA, and one for the result
and the next message.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, run

from paperagent import PaperAgent, config
from paperagent.digest.database import utc_now
from paperagent.digest.delivery import message
from paperagent.digest.delivery.stored_issues import NewIssue
from paperagent.digest.schedule import parse_week
from paperagent.digest.service import DigestService
from paperagent.factory.digest import digest_service
from paperagent.feeds.reader import sample_path

SUBSCRIBERS = 500
SECRET = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # noqa: S105 - made up
SERVER = """
import sys, time
from aiosmtpd.controller import Controller
class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 taken"
controller = Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1]))
controller.start()
print("ready", flush=True)
sys.stdin.read()
controller.stop()
"""


@dataclass
class MailBench:
    """A digest with an issue for each of many subscribers."""

    desk: DigestService
    kilobytes: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder, server() as url:
        return run(str(__doc__), {"build": builds, "send": sends}, lambda _: prepare(Path(folder), url), argv)


@contextmanager
def server() -> Iterator[str]:
    """Run a mail server and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        process.communicate(timeout=20)


def prepare(folder: Path, url: str) -> MailBench:
    """Ingest the sample feed, build its issue, and store a copy for each subscriber."""
    settings = config.load(
        home=folder / "library",
        embedder="none",
        mode="extractive",
        smtp_url=url,
        mail_from="Paper digest <digest@papers.example.org>",
        public_url="https://papers.example.org",
        secret=SECRET,
    )
    with PaperAgent(settings=settings) as agent:
        agent.ingest(sample_path(), date="2026-06-24")
    desk, week = digest_service(settings), parse_week("2026-W26")
    desk.build(week)
    (general,) = desk.ledger.general_issues()
    drafts = []
    for n in range(SUBSCRIBERS):
        subscriber = desk.subscribers.add(f"reader{n}@test.example", confirmed=True).subscriber
        draft = NewIssue(
            week,
            subscriber.id,
            general.subject,
            general.preheader,
            general.html,
            general.text,
            general.papers,
        )
        name = message.message_id(draft.issue_id, subscriber.email, desk.mailer.domain)
        drafts.append(
            NewIssue(
                week,
                subscriber.id,
                general.subject,
                general.preheader,
                general.html,
                general.text,
                general.papers,
                name,
            )
        )
    desk.ledger.store_issues(drafts, utc_now())
    return MailBench(desk, len(general.html.encode()) / 1000)


def builds(post: MailBench) -> list[Figure]:
    """Build every message from the ledger without sending it."""
    due = post.desk.ledger.due(utc_now())
    begin = time.perf_counter()
    for one in due:
        post.desk.mailer.compose(post.desk.ledger.issue(one.issue_id), one)
    rate = len(due) / (time.perf_counter() - begin)
    return [Figure("messages built", rate, "/s", 150, at_least=True, note=f"{post.kilobytes:.0f} KB of HTML")]


def sends(post: MailBench) -> list[Figure]:
    """Send every message over one connection: build, two commits, SMTP."""
    begin = time.perf_counter()
    report = post.desk.send()
    rate = report.counts["sent"] / (time.perf_counter() - begin)
    note = f"{report.counts['sent']} over one connection, 2 commits each"
    return [Figure("messages sent", rate, "/s", 100, at_least=True, note=note)]


if __name__ == "__main__":
    raise SystemExit(main())
