"""kill -9 at each of the eight points of sending, then the same command again: never two of a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mail_helpers import DeliveryHarness, Script, serving, transport

READERS = [f"r{n}@test.example" for n in range(5)]
VICTIM = 3
"""Which message the process dies at: two went before it, two come after."""

CHILD = """
import os, signal, sys
from pathlib import Path
from mail_helpers import *

path, url, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
calls = {"n": 0}

def die(when):
    if when == point:
        os.kill(os.getpid(), signal.SIGKILL)

class KilledLedger(Ledger):
    def store_issues(self, drafts, at):
        drafts = list(drafts)
        die("before plan")
        done = super().store_issues(drafts, at)
        die("after plan")
        return done
    def claim(self, due, at):
        state = super().claim(due, at)
        begin()
        return state
    def enter_data(self, due, message, at):
        super().enter_data(due, message, at)
        if calls["n"] == VICTIM:
            die("in_data")
    def finish(self, due, outcome, at, *, claim_next=None):
        if calls["n"] == VICTIM:
            die("250 before commit")
        state = super().finish(due, outcome, at, claim_next=claim_next)
        if calls["n"] == VICTIM:
            die("final commit")
        begin()
        return state

def begin():
    calls["n"] += 1
    if calls["n"] == VICTIM:
        die("claim")

class KilledTransport(SmtpTransport):
    def connect(self):
        super().connect()
        if calls["n"] == VICTIM:
            die("connect")
    def address(self, sender, recipient, *, size):
        super().address(sender, recipient, size=size)
        if calls["n"] == VICTIM:
            die("RCPT")

harness = DeliveryHarness(path)
harness.ledger = KilledLedger(harness.database)
harness.plan(*READERS)
print(dict(harness.send(KilledTransport(url, timeouts=QUICK)).counts))
"""
POINTS = [
    "before plan",
    "after plan",
    "claim",
    "connect",
    "RCPT",
    "in_data",
    "250 before commit",
    "final commit",
]
AMBIGUOUS = {"in_data", "250 before commit"}


def run(path: Path, url: str, point: str) -> int:
    """Plan and send in a process of its own, which dies at ``point``."""
    code = CHILD.replace("VICTIM", str(VICTIM)).replace("READERS", repr(READERS))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), url, point],
        env=environ,
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode


def row(point: str, path: Path) -> tuple[str, int, int, int]:
    """Kill at a point, run twice more; return point, most copies, subscribers without a mail, unknown."""
    script = Script()
    with serving(script) as url:
        assert run(path, url, point) == -signal.SIGKILL
        assert run(path, url, "nowhere") == 0
        assert run(path, url, "nowhere") == 0
    got = Counter(script.recipients())
    unknown = sum(s == "unknown" for s in DeliveryHarness(path).states().values())
    return point, max(got.values()), len(READERS) - len(got), unknown


@pytest.mark.parametrize("point", POINTS)
def test_no_subscriber_gets_two(point: str, tmp_path: Path) -> None:
    """After a kill and a rerun each has one; only a kill in DATA leaves one unknown, which may have none."""
    _, most, none, unknown = row(point, tmp_path / "digest.db")
    assert most == 1
    assert unknown == (point in AMBIGUOUS)
    assert none <= unknown
    assert none == (point == "in_data")


@pytest.mark.parametrize("point", sorted(AMBIGUOUS))
def test_unknown_is_sent_again_only_when_asked(point: str, tmp_path: Path) -> None:
    """With the same Message-ID and the same bytes, so that a mail program can tell."""
    path, script = tmp_path / "digest.db", Script()
    with serving(script) as url:
        run(path, url, point)
        harness = DeliveryHarness(path)
        assert harness.send(transport(url), resend_unknown=True).counts["sent"] == len(READERS) - VICTIM + 1
    assert set(harness.states().values()) == {"sent"}
    assert set(script.recipients()) == set(READERS)
    by_id = dict(zip(script.ids(), script.taken, strict=True))
    assert all(by_id[i] == taken for i, taken in zip(script.ids(), script.taken, strict=True))


def test_a_claim_of_an_unknown_message_stays_unknown(tmp_path: Path) -> None:
    """A crash while sending an unknown message again does not make it safe to send by itself."""
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan(READERS[0])
    (due,) = harness.ledger.due(harness.clock())
    harness.ledger.claim(due, harness.clock())
    harness.ledger.enter_data(due, b"", harness.clock())
    assert harness.ledger.recover(harness.clock()) == 1
    (unknown,) = harness.ledger.due(harness.clock(), unknown=True)
    assert harness.ledger.claim(unknown, harness.clock()) == "claimed"
    assert harness.ledger.recover(harness.clock()) == 1
    assert harness.states() == {READERS[0]: "unknown"}


if __name__ == "__main__":  # prints the table
    import tempfile

    lines = [f"{'killed at':<20} {'most copies':>11} {'subscribers without':>20} {'unknown':>8}"]
    for each in POINTS:
        with tempfile.TemporaryDirectory() as folder:
            name, most_copies, without, left = row(each, Path(folder) / "digest.db")
        lines.append(f"{name:<20} {most_copies:>11} {without:>20} {left:>8}")
    sys.stdout.write("\n".join(lines) + "\n")
