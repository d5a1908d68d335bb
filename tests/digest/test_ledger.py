"""Whatever the server does and whenever the program dies: nobody gets two without a person's word."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from mail_helpers import SENDER, Clock, DeliveryHarness, compose

from paperagent.digest.delivery.sender import MAX_CONSECUTIVE_ERRORS, Sender
from paperagent.digest.delivery.transport import ConnectionLost, Outbox, Rejected, SmtpReply
from paperagent.errors import MailError

READERS = [f"r{n}@test.example" for n in range(4)]
Fate = Literal[
    "taken", "4xx", "5xx", "421", "sender", "lost before", "lost after", "taken, lost", "dies", "dies taken"
]
FATES: list[Fate] = [
    "taken", "4xx", "5xx", "421", "sender", "lost before", "lost after", "taken, lost", "dies", "dies taken",
]  # fmt: skip


class Death(BaseException):
    """kill -9, as far as the ledger can tell: nothing more is written."""


class Fateful:
    """Lets each message meet the next fate of a list, and remembers what arrived."""

    accepted_state = "sent"

    def __init__(self, fates: list[Fate]) -> None:
        self.fates = fates
        self.arrived: Counter[str] = Counter()
        self.recipient = ""

    def connect(self) -> None:
        """Be there."""

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        self.recipient = recipient
        self.fate: Fate = self.fates.pop(0) if self.fates else "taken"
        if self.fate == "sender":
            raise Rejected("sender", SmtpReply(550, "not you"))
        if self.fate == "421":
            raise Rejected("recipient", SmtpReply(421, "bye"))

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        if self.fate in {"taken", "taken, lost", "dies taken"}:
            self.arrived[self.recipient] += 1
        match self.fate:
            case "4xx":
                raise Rejected("message", SmtpReply(451, "later"))
            case "5xx":
                raise Rejected("message", SmtpReply(554, "never"))
            case "lost before":
                raise ConnectionLost("lost")
            case "lost after" | "taken, lost":
                raise ConnectionLost("lost", may_have_arrived=True)
            case "dies" | "dies taken":
                raise Death
        return SmtpReply(250, "taken")

    def reset(self) -> None:
        """Forget."""

    def close(self) -> None:
        """Go."""


def run(harness: DeliveryHarness, line: Fateful | Outbox, clock: Clock) -> None:
    """Send once; what ends the run early is what a person would see or a crash."""
    try:
        Sender(harness.ledger, line, compose, mail_from=SENDER, clock=clock).run(force=True)
    except (MailError, Death):
        clock.wait(seconds=1)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(FATES), max_size=14),
    st.lists(st.integers(0, 3), max_size=3),
    st.lists(st.booleans(), max_size=3),
)
def test_never_two(fates: list[Fate], leavers: list[int], without_server: list[bool]) -> None:
    """At most one copy each; sent means it arrived; what is not sent is listed with its reason.

    Some runs have no server and write to the outbox.
    """
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        harness = DeliveryHarness(Path(folder) / "digest.db", clock)
        harness.plan(*READERS)
        line = Fateful(list(fates))
        for leaver, writes in zip_longest([*leavers, None, None, None, None], without_server):
            run(harness, Outbox(Path(folder) / "outbox") if writes else line, clock)
            if leaver is not None:
                harness.subscribers.unsubscribe(harness.subscribers.find(READERS[leaver]).id)
            clock.wait(hours=13)
        line.fates.clear()
        for _ in range(MAX_CONSECUTIVE_ERRORS + 1):
            run(harness, line, clock)
            clock.wait(hours=13)
        states = harness.states()
        harness.database.close()
    assert max(line.arrived.values(), default=0) <= 1
    assert set(states.values()) <= {"sent", "failed", "skipped", "unknown"}
    for email, state in states.items():
        if state == "sent":
            assert line.arrived[email] == 1
        elif state in {"failed", "skipped"}:
            assert line.arrived[email] == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(FATES), min_size=1, max_size=10))
def test_every_change_is_told(fates: list[Fate]) -> None:
    """The last event about a message says the state that it is in."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        harness = DeliveryHarness(Path(folder) / "digest.db", clock)
        harness.plan(*READERS)
        run(harness, Fateful(list(fates)), clock)
        harness.ledger.recover(clock())
        with harness.database.reading() as db:
            told = dict(
                db.execute(
                    "SELECT subscriber_id, kind FROM event WHERE issue_id IS NOT NULL ORDER BY id"
                ).fetchall()
            )
        states = {d.subscriber_id: d.state for d in harness.ledger.deliveries()}
        harness.database.close()
    assert told == states


OLD_STATES = "'planned', 'claimed', 'in_data', 'sent', 'deferred', 'failed', 'skipped', 'unknown'"


def test_a_file_of_the_first_format(tmp_path: Path) -> None:
    """It called files sent: now they are written, or exported if they are not in the outbox."""
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan(*READERS)
    with harness.database.writing() as db:
        db.execute("ALTER TABLE delivery RENAME TO newer")
        db.execute("DROP INDEX delivery_state")
        (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'newer'").fetchone()
        old = re.sub(r"state IN \([^)]*\)", f"state IN ({OLD_STATES})", sql).replace('"newer"', "delivery")
        assert OLD_STATES in old
        db.execute(old)
        db.execute("CREATE INDEX delivery_state ON delivery (state)")
        db.execute("INSERT INTO delivery SELECT * FROM newer")
        db.execute("DROP TABLE newer")
        for table in ("webhook", "journal", "restored"):
            db.execute(f"DROP TABLE {table}")
        replies = ("written to one.eml", "written to two.eml", "2.0.0 queued as 4711")
        for number, reply in enumerate(replies, start=1):
            db.execute(
                "UPDATE delivery SET state = 'sent', code = 250, reply = ? WHERE subscriber_id = ?",
                (reply, number),
            )
        db.execute("PRAGMA user_version = 1")
    harness.database.close()
    shutil.rmtree(tmp_path / "backups")
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "one.eml").touch()
    for _ in range(2):  # the second time, there is nothing left to do
        harness = DeliveryHarness(tmp_path / "digest.db")
        assert list(harness.states().values()) == ["written", "exported", "sent", "planned"]
        with harness.database.reading() as db:
            assert db.execute("PRAGMA user_version").fetchone() == (harness.database.VERSION,)
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}
        assert "delivery_state" in names
        assert not [name for name in names if "version" in name]
        harness.database.close()
