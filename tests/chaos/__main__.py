"""Disturb random commands on one library after another, and check after each that nothing went wrong.

These conditions are checked: nothing that a command acknowledged is lost; no email is sent twice; no command
exits with 0 after a wrong answer; every error is one line; ``doctor`` finds damage that changes what a
command returns; and all answers are right after ``doctor --repair`` has succeeded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos.process import NOTHING, Disturbance, Result, Runner
from chaos.world import WEEKS, Known, World, method, record, write_feed

_PAPERS = 400
_ADDRESSES = 12
_ALLOWED = {0, 5, 8, 75}
"""Exit codes of a valid command, disturbed or not: success, library, mail, locked."""
_BY_SIGNAL: dict[int, set[int]] = {signal.SIGKILL: {-9}, signal.SIGTERM: {143, -15}, signal.SIGINT: {130}}
"""Signal → the exit codes that it may cause. SIGTERM kills a process that has not installed a handler yet."""


class ViolationError(AssertionError):
    """A condition is violated."""


@dataclass
class Episode:
    """One library and everything that happened to it."""

    runner: Runner
    folder: Path
    world: World
    random: random.Random
    has_disk: bool
    """Whether the library has a small file system of its own."""
    counts: Counter[str]
    log: list[str] = field(default_factory=list)
    damaged: bool = False
    lost_texts: bool = False
    """Whether damage to the papers themselves was reported."""
    clock: float = 0.0

    @property
    def home(self) -> Path:
        return self.folder / "home"

    # --- running ---

    def run(self, *argv: str, disturbance: Disturbance = NOTHING) -> Result:
        """Run a command, and check how it ended."""
        result = self.runner.run(argv, replace(disturbance, clock=self.clock))
        self.check_end(result, disturbance)
        return result

    def check_end(self, result: Result, disturbance: Disturbance) -> None:
        """Check exit code and messages."""
        command, message = " ".join(result.argv)[:110], result.err.strip()[-160:]
        self.log.append(f"{command} [{disturbance}] -> {result.code} {message!r}")
        if result.hung:
            raise ViolationError("it hangs")
        allowed = _ALLOWED | _BY_SIGNAL.get(disturbance.signal, set())
        if result.code not in allowed:
            raise ViolationError(f"exit code {result.code}")
        if "Traceback" in result.err or "panicked" in result.err:
            raise ViolationError("a traceback")
        if result.code in (5, 8, 75) and result.argv[0] != "doctor" and len(result.errors) != 1:
            raise ViolationError(f"{len(result.errors)} error lines")

    def json(self, *argv: str) -> tuple[Result, dict[str, Any]]:
        """Run a command with ``--json``; return its result and its document, which is empty if it failed."""
        result = self.run(*argv, "--json")
        return result, json.loads(result.out) if result.code == 0 else {}

    # --- checks ---

    def check_reads(self) -> bool:
        """Check that reading commands return what is in the library; return whether all succeeded."""
        ok = True
        result, listed = self.json("list", "--limit", "10000")
        ok &= result.code == 0
        if result.code == 0:
            self._same("papers", {p["paper_id"] for p in listed["papers"]})
        certain = sorted(self.world.papers.present)
        for paper_id in self.random.sample(certain, min(1, len(certain))):
            ok &= self._check_paper(paper_id)
        result, subscribers = self.json("subscribers", "list")
        ok &= result.code == 0
        if result.code == 0:
            emails = {s["email"] for s in subscribers["subscribers"] if s["state"] == "confirmed"}
            self._same("readers", emails)
        if wrong := self.world.wrong_mail():
            raise ViolationError(wrong)
        return ok

    def _same(self, what: str, actual: set[str]) -> None:
        known = getattr(self.world, what)
        if different := known.differences(actual):
            raise ViolationError(f"exit code 0, but {what}: {different}")

    def _check_paper(self, paper_id: str) -> bool:
        number = int(paper_id.partition(".")[2])
        expected = record(number)
        result, shown = self.json("show", paper_id)
        ok = result.code == 0
        if ok and not self.lost_texts and shown["abstract"] != expected["abstract"]:
            raise ViolationError(f"exit code 0, but another abstract of {paper_id}")
        result, searched = self.json("search", method(number))
        ok &= result.code == 0
        if (
            result.code == 0
            and not self.lost_texts
            and (not searched["hits"] or searched["hits"][0]["paper_id"] != paper_id)
        ):
            raise ViolationError(f"exit code 0, but a search does not return {paper_id}")
        result, answer = self.json("ask", f"By how much does {method(number)} reduce the error?")
        ok &= result.code == 0
        if (
            result.code == 0
            and not self.lost_texts
            and paper_id not in {c["paper_id"] for c in answer["citations"]}
        ):
            raise ViolationError(f"exit code 0, but the answer does not cite {paper_id}: {answer['status']}")
        return ok

    def check_doctor(self) -> bool:
        """Run doctor, and the repair if it asks for one; return whether the library is right afterwards."""
        first = self.run("doctor")
        reads = self.check_reads_quietly()
        if first.code == 0 and not reads:
            raise ViolationError(f"doctor is content, but: {self.log[-1]}")
        if first.code == 0:
            return True
        repaired = self.run("doctor", "--repair")
        self.lost_texts |= self.damaged and "checksum" in first.out + repaired.out
        if self.damaged and "changes are lost" in repaired.out:  # so the user knows
            self._accept_readers()
        if repaired.code == 0:
            again = self.run("doctor")
            if again.code != 0:
                raise ViolationError("the repair succeeded, but doctor is not content")
            if not self.check_reads_quietly():
                raise ViolationError(f"repaired, but: {self.log[-1]}")
            return True
        if not self.damaged:
            raise ViolationError(f"nothing was damaged, but a repair fails: {repaired.out[-300:]}")
        if "; " not in repaired.out + repaired.err:
            raise ViolationError("a failed repair does not say what to do")
        return False

    def _accept_readers(self) -> None:
        """Accept the subscribers that a restore without some changes has left."""
        self.counts["incomplete restore"] += 1
        _, subscribers = self.json("subscribers", "list")
        confirmed = {s["email"] for s in subscribers.get("subscribers", []) if s["state"] == "confirmed"}
        self.world.readers = Known(present=confirmed)
        for email in confirmed:
            self.world.removed_readers.pop(email, None)

    def check_reads_quietly(self) -> bool:
        """Check the reads; a violation after damage counts as a failure that doctor must report."""
        try:
            return self.check_reads()
        except ViolationError as violation:
            self.log.append(f"  {violation}")
            if "mail" in str(violation):
                raise
            return False

    # --- steps ---

    def step(self) -> bool:
        """Run one random command with a random disturbance; return whether the episode goes on."""
        kinds = ["none"] * 4 + ["kill"] * 4 + ["term", "int", "disk", "disk", "two", "two", "clock", "damage"]
        kind = self.random.choice(kinds)
        self.counts[kind] += 1
        if kind == "damage":
            return self._damage()
        if kind == "clock":
            self.clock = self.random.choice([1, -1]) * self.random.choice([3_600, 86_400 * 3, 86_400 * 366])
        if kind == "two":
            self._two()
        elif kind == "disk":
            self._full_disk()
        else:
            argv, record_end = self._command()
            result = self.run(*argv, disturbance=self._disturbance(kind, argv[0]))
            record_end(result.code == 0)
        self.check_reads() if self.random.random() < 0.4 else None
        return True

    def _disturbance(self, kind: str, command: str) -> Disturbance:
        number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}.get(kind, 0)
        longest = 1.2 * self.runner.durations.get(command, 1.0)
        return Disturbance(signal=number, after=self.random.uniform(0.0, longest) if number else 0.0)

    def _command(self) -> tuple[list[str], Callable[[bool], None]]:
        """Return a random command and what its success means."""
        world, rng = self.world, self.random
        kind = rng.choice(
            ["ingest"] * 3
            + ["remove", "reindex", "doctor", "add", "add", "drop", "build", "build", "send", "send"]
            + ["search", "ask", "export", "status", "preview", "feeds"]
        )
        self.counts[f"command {kind}"] += 1
        if kind == "ingest":
            numbers = rng.sample(range(_PAPERS), rng.randrange(1, 60))
            ids = {str(record(n)["id"]) for n in numbers}
            feed = write_feed(self.folder / f"feed{rng.randrange(10**9)}.jsonl", numbers)
            return ["ingest", str(feed)], lambda ok: world.papers.added(ids, certain=ok)
        if kind == "remove" and world.papers.present:
            ids = set(rng.sample(sorted(world.papers.present), min(3, len(world.papers.present))))
            return ["remove", "--yes", *sorted(ids)], lambda ok: world.papers.removed(ids, certain=ok)
        if kind == "add":
            email = f"r{rng.randrange(_ADDRESSES)}@test.example"
            world.removed_readers.pop(email, None)
            return ["subscribers", "add", email, "--confirmed"], lambda ok: world.readers.added(
                {email}, certain=ok
            )
        if kind == "drop" and world.readers.present:
            email = rng.choice(sorted(world.readers.present))

            def dropped(ok: bool) -> None:  # noqa: FBT001 - as the other functions of this kind
                world.readers.removed({email}, certain=ok)
                if ok:
                    world.removed_readers[email] = len(world.mail())

            return ["subscribers", "remove", email], dropped
        simple = {
            "reindex": ["reindex"],
            "doctor": ["doctor", "--repair"],
            "build": ["digest", "build", "--week", rng.choice(WEEKS)],
            "send": ["digest", "send", "--force", "--no-check"],
            "search": ["search", "the error of retrieval"],
            "ask": ["ask", "Which methods reduce the error of speech?"],
            "export": ["export", "retrieval", "--format", "bibtex"],
            "preview": ["digest", "preview", "--week", WEEKS[0], "--out", str(self.folder / "preview")],
            "feeds": ["feeds", "list"],
        }
        return simple.get(kind, ["status"]), lambda ok: None

    def _two(self) -> None:
        """Run two commands at once; the second may find the library locked."""
        (one, one_ends), (two, two_ends) = self._command(), self._command()
        while "remove" in one and "remove" in two:  # what the other command removed is unknown to the second
            two, two_ends = self._command()
        first = self.runner.start(one, replace(NOTHING, clock=self.clock))
        second = self.runner.start(two, replace(NOTHING, clock=self.clock))
        for wait, ends in ((first, one_ends), (second, two_ends)):
            result = wait()
            self.check_end(result, NOTHING)
            ends(result.code == 0)

    def _full_disk(self) -> None:
        """Run a command while there is little or no space."""
        argv, record_end = self._command()
        if not self.has_disk:
            size = max((p.stat().st_size for p in self.home.rglob("*") if p.is_file()), default=0)
            limit = self.random.randrange(4_096, max(8_192, int(1.3 * size)))
            result = self.run(*argv, disturbance=Disturbance(limits={resource.RLIMIT_FSIZE: limit}))
        else:
            filler = self.folder / "filler"
            free = shutil.disk_usage(self.folder).free
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, free - self.random.randrange(1, 400_000)))
            result = self.run(*argv)
            filler.unlink()
        record_end(result.code == 0)

    def _damage(self) -> bool:
        """Damage a file; commands may fail now, but not return anything wrong after doctor's approval."""
        files = sorted(p for p in self.home.rglob("*") if p.is_file() and p.stat().st_size)
        file = self.random.choice(files)
        how = self.random.choice(["flip", "truncate", "zero", "delete"])
        self.log.append(f"damage: {how} {file.relative_to(self.home)} ({file.stat().st_size} bytes)")
        damage(file, how, self.random)
        self.counts[f"damage {how}"] += 1
        self.damaged = True
        goes_on = self.check_doctor()
        if not goes_on:
            self.counts["beyond repair"] += 1
        return goes_on


def damage(file: Path, how: str, rng: random.Random) -> None:
    """Change a file: flip up to 200 bits, cut it, overwrite a part with zeros, or delete it."""
    size = file.stat().st_size
    if how == "delete":
        file.unlink()
    elif how == "truncate":
        os.truncate(file, rng.randrange(size))
    else:
        data = bytearray(file.read_bytes())
        if how == "zero":
            start = rng.randrange(size)
            data[start : start + 4_096] = bytes(len(data[start : start + 4_096]))
        for _ in range(rng.choice([1, 8, 200]) if how == "flip" else 0):
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
        with file.open("r+b") as opened:
            opened.write(data)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a file system of 64 MB at ``folder``; yield whether that was allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    allowed = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield allowed
    finally:
        if allowed:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def mail_server(log: Path) -> Iterator[int]:
    """Run the mail server; yield its port."""
    sink = Path(__file__).with_name("mail_sink.py")
    with subprocess.Popen(
        [sys.executable, str(sink), str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def run_episode(seed: int, base: Path, counts: Counter[str], *, steps: int) -> None:
    """Run one episode in a new library.

    Raises:
        ViolationError: A condition is violated. The notes of the error list what happened.
    """
    rng = random.Random(seed)  # noqa: S311 - chooses faults
    folder = Path(tempfile.mkdtemp(dir=base))
    log = base / f"mail{seed}.jsonl"
    with mail_server(log) as port, small_disk(folder) as has_disk:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PAPERAGENT_HOME": str(folder / "home"),
            "PAPERAGENT_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "PAPERAGENT_MAIL_FROM": "digest@paperagent.example",
            "PAPERAGENT_MODE": "extractive",
            "OPENBLAS_NUM_THREADS": "1",
        }
        runner = Runner(environment, base)
        episode = Episode(runner, folder, World(log), rng, has_disk, counts)
        try:
            _prepare(episode)
            for _ in range(steps):
                if not episode.step():
                    return
            _finish(episode)
        except ViolationError as violation:
            violation.add_note("\n".join(episode.log))
            raise
        finally:
            for leftover in base.glob("tmp*"):
                if leftover.is_file():
                    leftover.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _prepare(episode: Episode) -> None:
    feed = write_feed(episode.folder / "first.jsonl", range(40))
    if episode.run("ingest", str(feed)).code:
        raise ViolationError("the first ingest fails")
    episode.world.papers.added({str(record(n)["id"]) for n in range(40)}, certain=True)
    for number in range(3):
        episode.run("subscribers", "add", f"r{number}@test.example", "--confirmed")
        episode.world.readers.added({f"r{number}@test.example"}, certain=True)


def _finish(episode: Episode) -> None:
    """Check that, without disturbances, every command works and nothing is missing."""
    episode.clock = 0.0
    episode.check_doctor()
    episode.check_reads()
    for _ in range(2):
        for argv in (["digest", "build", "--week", WEEKS[1]], ["digest", "send", "--force", "--no-check"]):
            result = episode.run(*argv)
            if result.code not in (0, 8):
                raise ViolationError(f"exit code {result.code} at the end")
    episode.check_reads()


def main(argv: Sequence[str] | None = None) -> int:
    """Run episodes until the time is over, or the number is reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--episodes", type=int, default=10**9)
    parser.add_argument("--steps", type=int, default=12, help="disturbances of one library")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-going", action="store_true", help="report violations at the end")
    options = parser.parse_args(argv)
    counts, violations, end = Counter[str](), [], time.monotonic() + 60 * options.minutes
    done = 0
    with tempfile.TemporaryDirectory(prefix="paperagent-chaos-") as base:
        while done < options.episodes and time.monotonic() < end:
            try:
                run_episode(options.seed + done, Path(base), counts, steps=options.steps)
            except ViolationError as violation:
                print(
                    f"seed {options.seed + done}: {violation}\n" + "\n".join(violation.__notes__), flush=True
                )
                violations.append(f"seed {options.seed + done}: {violation}")
                if not options.keep_going:
                    break
            done += 1
    print(f"{done} episodes, {len(violations)} violations")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    for line in violations:
        print(line)
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
