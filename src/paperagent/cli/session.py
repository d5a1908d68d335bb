"""What one run of a command shares: its settings, its agent and where it prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.types import Progress

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.layout import Block
    from paperagent.ui.render import Screen

SHOWN_PROBLEMS = 5


class Session:
    """Made for each run; the common options fill it in."""

    def __init__(self) -> None:
        self.home: Path | None = None
        self.env_file: Path | None = None
        self.debug = False
        self.own: tuple[str, ...] = ()
        """The addresses and paths of the settings."""
        self._secrets: tuple[str, ...] = ()

    def settings(self, **overrides: Any) -> Settings:
        """Read the settings, ``overrides`` first, and print what is odd about them."""
        from paperagent import config

        settings = config.load(self.env_file, home=self.home, **overrides)
        self._secrets = settings.secrets()
        values = [source.value for source in settings.sources()]
        self.own = tuple(v for v in values if "://" in v or Path(v).is_absolute())
        for warning in settings.warnings:
            warn(self.masked(warning))
        return settings

    @contextmanager
    def agent(self, **overrides: Any) -> Iterator[PaperAgent]:
        """Open the library with these settings, and close it."""
        from paperagent.agent import PaperAgent

        with PaperAgent(settings=self.settings(**overrides)) as agent:
            yield agent

    def masked(self, text: str) -> str:
        """Return ``text`` without the secrets of the settings."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def warn(message: str) -> None:
    """Print a warning on stderr."""
    sys.stderr.write(f"paperagent: warning: {message}\n")


def warn_of_shutdown(settings: Settings) -> None:
    """Warn if the configured model is shut down, or will be soon."""
    from paperagent import arguments, factory

    if warning := factory.shutdown_warning(settings, today=arguments.today()):
        warn(warning)


class Told:
    """Prints the first few warnings about cases and counts the others."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, message: str) -> None:
        """Warn, or count."""
        self.count += 1
        if self.count <= SHOWN_PROBLEMS:
            warn(message)

    def end(self) -> None:
        """Say how many were only counted."""
        if self.count > SHOWN_PROBLEMS:
            warn(f"{self.count - SHOWN_PROBLEMS} more like this; `paperagent eval cases check` lists them")


def screen() -> Screen:
    """Return the screen on standard output."""
    from paperagent.ui.render import Screen

    session = click.get_current_context().find_object(Session)
    return Screen(sys.stdout, terminal=sys.stdout.isatty(), own=session.own if session else ())


def show(value: Callable[[], Any], blocks: Iterable[Block], *, as_json: bool) -> None:
    """Print ``value()`` as JSON where that is wanted, else the blocks."""
    if as_json:
        from paperagent.text.sanitize import safe_json

        sys.stdout.write(safe_json(value()) + "\n")
    else:
        screen().show(blocks)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress | None]:
    """Show a bar on stderr where that is a terminal; yield what reports to it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from paperagent.ui.render import make_console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=make_console(sys.stderr), transient=True) as bar:

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield report
