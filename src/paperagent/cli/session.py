"""The state of one command run: settings, agent and output helpers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.text.redaction import Redactor

if TYPE_CHECKING:
    import datetime as dt

    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.evals.report.tables import Table
    from paperagent.layout import Block
    from paperagent.types import Progress
    from paperagent.ui.answer_log import AnswerLog
    from paperagent.ui.render import Screen


def program_path() -> Path:
    """Return the executable for cron and systemd, also if this is a run of ``python -m paperagent``."""
    beside = shutil.which("paperagent", path=str(Path(sys.executable).parent))
    return Path(shutil.which("paperagent") or beside or sys.argv[0]).absolute()


class Session:
    """Created for each run; the common options set its attributes."""

    def __init__(self) -> None:
        self.home: Path | None = None
        self.env_file: Path | None = None
        self.debug = False
        self.addresses: tuple[str, ...] = ()
        """URLs and absolute paths from the settings, which are printed without escapes."""
        self._redactor = Redactor(())

    def settings(self, **overrides: Any) -> Settings:
        """Load the settings and print their warnings; ``overrides`` take precedence.

        Raises:
            ConfigError: A setting is invalid.
        """
        from paperagent import config

        settings = config.load(self.env_file, home=self.home, **overrides)
        self._redactor = Redactor(settings.secrets())
        values = [source.value for source in settings.sources()]
        self.addresses = tuple(v for v in values if "://" in v or Path(v).is_absolute())
        for warning in settings.warnings:
            warn(self.masked(warning))
        return settings

    def today(self) -> dt.date:
        """Return the current day in the time zone of the settings.

        Raises:
            ConfigError: A setting is invalid.
        """
        from paperagent import arguments, config

        return arguments.today(config.load(self.env_file, home=self.home).zone)

    @contextmanager
    def agent(self, **overrides: Any) -> Iterator[PaperAgent]:
        """Open the library with these settings, and close it afterwards."""
        from paperagent.agent import PaperAgent

        with PaperAgent(settings=self.settings(**overrides)) as agent:
            yield agent

    def answer_log(self, settings: Settings) -> AnswerLog | None:
        """Return the log of answers; None if the settings switch it off, or the folder is no library."""
        from paperagent.library.home import DATABASE
        from paperagent.ui.answer_log import AnswerLog

        is_library = settings.chroma_url is not None or (settings.home / DATABASE).is_file()
        return AnswerLog(settings.home, self.masked) if settings.log and is_library else None

    def masked(self, text: str) -> str:
        """Return ``text`` without the secrets of the settings."""
        return self._redactor.redact_text(text)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    sys.stderr.write(f"paperagent: warning: {message}\n")


def warn_about_shutdown(settings: Settings) -> None:
    """Warn if the configured model is shut down, or will be soon."""
    from paperagent import arguments, factory

    if warning := factory.shutdown_warning(settings, today=arguments.today()):
        warn(warning)


def screen() -> Screen:
    """Return the screen on standard output."""
    from paperagent.ui.render import Screen

    session = click.get_current_context().find_object(Session)
    addresses = session.addresses if session else ()
    return Screen(sys.stdout, terminal=sys.stdout.isatty(), unescaped=addresses)


def show(blocks: Iterable[Block]) -> None:
    """Print blocks on standard output."""
    screen().show(blocks)


def show_text(text: str, *, plain: bool = False) -> None:
    """Print one line of text; ``plain`` prints it without Markdown escapes."""
    from paperagent.layout import Block

    show([Block("text", text, tight=True, plain=plain)])


def show_json(value: Any) -> None:
    """Print one JSON document, in ASCII if standard output cannot encode all of its characters."""
    from paperagent.cli.streams import writes_unicode
    from paperagent.text.sanitize import safe_json

    sys.stdout.write(safe_json(value, ascii_only=not writes_unicode(sys.stdout)) + "\n")


class WarningLimiter:
    """Prints the first few warnings and counts the others."""

    def __init__(self, limit: int, *, details: str) -> None:
        """Create a limiter; ``details`` says where all warnings can be seen."""
        self.count = 0
        self._limit = limit
        self._details = details

    def __call__(self, message: str) -> None:
        self.count += 1
        if self.count <= self._limit:
            warn(message)

    def finish(self) -> None:
        """Print how many warnings were not shown."""
        hidden = self.count - self._limit
        if hidden > 0:
            warn(f"{hidden} more {'warning' if hidden == 1 else 'warnings'}; {self._details}")


def print_tables(tables: Iterable[Table]) -> None:
    """Print aligned text on a terminal, Markdown elsewhere."""
    from paperagent.evals.report.tables import markdown, text

    if sys.stdout.isatty():
        sys.stdout.write(text(tables, width=shutil.get_terminal_size((100, 24)).columns))
    else:
        sys.stdout.write(markdown(tables))


def print_line(line: str) -> None:
    """Print a line after a blank line."""
    from paperagent.errors import visible

    sys.stdout.write(f"\n{visible(line)}\n")


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress | None]:
    """Show a progress bar on stderr if it is a terminal, and yield the callback that updates it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from paperagent.ui.render import make_console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=make_console(sys.stderr), transient=True) as bar:

        def update(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield update
