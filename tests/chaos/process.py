"""Run commands of paperagent as processes that start in milliseconds and can be disturbed.

A command runs in a fork of this process, which has already imported everything. It ends as an installed
``paperagent`` does, so exit codes, locks and files are those of a real run.
"""

from __future__ import annotations

import datetime as dt
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import time_machine

from fake_encoder import FakeEncoder
from paperagent.cli import main
from paperagent.factory import library as factory

TIME_LIMIT = 120.0
"""Seconds after which a command counts as hanging."""
_PRELOADED = (
    "chromadb", "tantivy", "numpy", "pydantic", "rich", "aiosmtplib", "jinja2", "css_inline",
    "paperagent.agent", "paperagent.config", "paperagent.library", "paperagent.library.local.store",
    "paperagent.library.local.vector_index", "paperagent.library.local.bm25_index",
    "paperagent.answering.pipeline", "paperagent.digest.service", "paperagent.factory.digest",
    "paperagent.digest.delivery.sender", "paperagent.ui.render", "paperagent.cli.commands",
)  # fmt: skip


@dataclass(frozen=True)
class Disturbance:
    """What happens to a running command."""

    signal: int = 0
    """Sent to the process; 0 for none."""
    after: float = 0.0
    """Seconds after the start at which the signal is sent."""
    clock: float = 0.0
    """Seconds by which the clock of the process is wrong."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """Resource limits (``resource.RLIMIT_…``)."""

    def __str__(self) -> str:
        words = []
        if self.signal:
            words.append(f"{signal.Signals(self.signal).name} after {self.after:.3f} s")
        if self.clock:
            words.append(f"clock {self.clock / 86_400:+.1f} days")
        words += [f"limit {number}={value}" for number, value in self.limits.items()]
        return ", ".join(words) or "none"


NOTHING = Disturbance()


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    argv: tuple[str, ...]
    code: int
    """Exit code, or minus the number of the signal that ended the process."""
    out: str
    err: str
    seconds: float
    hung: bool = False

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that are not warnings or progress."""
        lines = [line for line in self.err.replace("\r", "\n").split("\n") if line.strip()]
        return [line for line in lines if line.startswith("paperagent: error: ")]


class Runner:
    """Starts commands with one environment."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        for name in _PRELOADED:
            try:
                importlib.import_module(name)
            except ImportError:  # another version has other modules; then the command imports them
                continue
        self._environment = dict(environment)
        self._folder = folder
        self.durations: dict[str, float] = {}
        """Command → seconds that it takes undisturbed."""

    def run(self, argv: Sequence[str], disturbance: Disturbance = NOTHING) -> Result:
        """Run one command to its end."""
        return self.start(argv, disturbance)()

    def start(self, argv: Sequence[str], disturbance: Disturbance = NOTHING) -> Callable[[], Result]:
        """Start a command; the returned function waits for its end."""
        descriptor, out = tempfile.mkstemp(dir=self._folder)
        os.close(descriptor)
        err, started = f"{out}.err", time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._be_the_command(argv, disturbance, out, err)

        def wait() -> Result:
            signaled = hung = False
            while True:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    break
                elapsed = time.monotonic() - started
                if disturbance.signal and not signaled and elapsed >= disturbance.after:
                    os.kill(pid, disturbance.signal)
                    signaled = True
                if elapsed > TIME_LIMIT:
                    os.kill(pid, signal.SIGKILL)
                    hung = True
                time.sleep(0.001)
            seconds = time.monotonic() - started
            code = os.waitstatus_to_exitcode(status)
            texts = [
                Path(path).read_text("utf-8", "replace") if Path(path).exists() else "" for path in (out, err)
            ]
            for path in (out, err):
                Path(path).unlink(missing_ok=True)
            if code == 0 and not disturbance.signal:
                self.durations[argv[0]] = seconds
            return Result(tuple(argv), code, *texts, seconds, hung)

        return wait

    def _be_the_command(self, argv: Sequence[str], disturbance: Disturbance, out: str, err: str) -> None:
        """Become the command. Never returns."""
        try:
            null = os.open(os.devnull, os.O_RDONLY)
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(null, 0)
            os.environ.clear()
            os.environ.update(self._environment)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number, value in disturbance.limits.items():
                resource.setrlimit(number, (value, value))
            if disturbance.clock:
                moved = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=disturbance.clock)
                time_machine.travel(moved, tick=True).start()
            factory._load_minilm = lambda _: FakeEncoder()  # type: ignore[assignment,return-value]
            sys.argv[1:] = argv
            main.script()
        except KeyboardInterrupt:  # before the program handles it
            os._exit(130)
        except SystemExit as stop:  # by SIGTERM
            os._exit(stop.code if isinstance(stop.code, int) else 98)
        finally:
            os._exit(99)
