"""Parameter types and the options that several commands share.

Keep this module free of slow imports: every command loads it.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from paperagent.errors import visible
from paperagent.text.spelling import nearest_name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from paperagent.cli.session import Session
    from paperagent.digest.issue import Period
    from paperagent.digest.preferences import Preferences

Command = TypeVar("Command", bound=Callable[..., Any])
Param = click.Parameter | None
Ctx = click.Context | None
Completion: TypeAlias = "CompletionItem[str]"
MAX_DAYS = 36_500
MAX_COST_USD = 1000
MAX_TIMEOUT_S = 3600


class IntegerParam(click.ParamType[int]):
    """An integer in ``low..high``."""

    name = "integer"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: Param, ctx: Ctx) -> int:
        text = str(value)
        if not text:
            self.fail("value missing", param, ctx)
        if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
            self.fail(f"not an integer: '{text}'", param, ctx)
        # int() refuses very long digit strings; they are out of range anyway.
        if len(text) > 20 or not self.low <= int(text) <= self.high:
            below = self.high == MAX_DAYS and text.startswith(("-", "0"))
            bounds = f">= {self.low}" if below else f"{self.low}..{self.high}"
            self.fail(f"must be {bounds}, got {text[:20]}", param, ctx)
        return int(text)


class NumberParam(click.ParamType[float]):
    """A finite number above 0 and at most ``high``; ``zero`` allows 0."""

    name = "number"

    def __init__(self, high: float, *, zero: bool = False) -> None:
        self.high, self.zero = high, zero

    def convert(self, value: Any, param: Param, ctx: Ctx) -> float:
        bound = "must be a number >= 0" if self.zero else "must be a number > 0"
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            self.fail(f"{bound}, got '{value}'", param, ctx)
        if math.isinf(number):
            self.fail("must be finite", param, ctx)
        if number < 0 or (number == 0 and not self.zero):
            self.fail(f"{bound}, got '{value}'", param, ctx)
        if number > self.high:
            self.fail(f"must be at most {self.high:g}, got '{value}'", param, ctx)
        return number


class DateParam(click.ParamType[dt.date]):
    """A date, YYYY-MM-DD."""

    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: Param, ctx: Ctx) -> dt.date:
        match = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", str(value), re.ASCII)
        if match is None or not 1 <= int(match[2]) <= 12:
            self.fail(f"not a date (YYYY-MM-DD): '{value}'", param, ctx)
        try:
            return dt.date(*map(int, match.groups()))
        except ValueError:
            self.fail(f"no such day: '{value}'", param, ctx)


class TextParam(click.ParamType[str]):
    """Non-empty text, stripped."""

    name = "text"

    def convert(self, value: Any, param: Param, ctx: Ctx) -> str:
        text = str(value).strip()
        if not text:
            self.fail(f"{param.name if param else 'value'} is empty", param, ctx)
        return text


MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4_000
"""Limits of Linux and macOS for a name and a path. The path limit leaves room for the files in a folder."""


class PathParam(click.ParamType[Path]):
    """A path that need not exist, made absolute; ``~`` is expanded. One that is too long is rejected."""

    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Completion]:
        return complete_path(ctx, param, incomplete)

    def convert(self, value: Any, param: Param, ctx: Ctx) -> Path:
        text = str(value)
        if not text.strip():
            self.fail("path is empty", param, ctx)
        if "\0" in text:
            self.fail("path contains NUL", param, ctx)
        try:
            path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - resolve() follows links
        except RuntimeError:
            self.fail("cannot expand ~: no home folder", param, ctx)
        longest = max(map(_size, path.parts))
        if longest > MAX_NAME_BYTES:
            self.fail(f"a name in the path has {longest:,} bytes, more than {MAX_NAME_BYTES}", param, ctx)
        if _size(str(path)) > MAX_PATH_BYTES:
            self.fail(f"path is longer than {MAX_PATH_BYTES:,} bytes", param, ctx)
        return path


def _size(path: str) -> int:
    return len(path.encode(errors="replace"))  # os.fsencode fails in an ASCII locale


def complete_path(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Completion]:
    """Let the shell complete the name of a file or folder."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


_QUESTION_WORDS = frozenset(
    {"how", "what", "which", "who", "why", "when", "where", "is", "are", "does", "do"}
)


class CommandGroup(click.Group):
    """A group that suggests a command for a misspelled one, and supports ``help COMMAND``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; ``help COMMAND`` is ``COMMAND --help``.

        Raises:
            click.UsageError: There is no such command.
        """
        if ctx.resilient_parsing:  # for completion by the shell; nothing may be printed
            return super().resolve_command(ctx, args)
        names = self.list_commands(ctx)
        if args[0] == "help" and "help" not in names:
            if not args[1:]:
                sys.stdout.write(self.get_help(ctx) + "\n")
                ctx.exit()
            args = [*args[1:], "--help"]
        if args[0] not in names and not args[0].startswith("-"):
            near = nearest_name(args[0], names)
            hint = f"did you mean '{near}'?" if near else f"commands: {', '.join(names)}"
            if "ask" in names and (" " in args[0].strip() or args[0].lower() in _QUESTION_WORDS):
                hint = "to ask a question, write 'paperagent ask \"…\"'"
            raise click.UsageError(f"unknown command '{visible(args[0], limit=40)}': {hint}", ctx)
        return super().resolve_command(ctx, args)


def add_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """Add options to a command, to be listed in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def common_options(command: Command) -> Command:
    """Add the options that may stand before or after the name of a command."""

    def store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        from paperagent.cli.session import Session

        session = ctx.find_root().ensure_object(Session)
        if value:
            setattr(session, str(param.name), value)

    options = [
        click.option(
            "--home", "--store", "home", type=PathParam(), expose_value=False, callback=store, is_eager=True,
            help="Library folder (default: PAPERAGENT_HOME).",
        ),
        click.option(
            "--env-file", type=PathParam(), expose_value=False, callback=store, is_eager=True,
            help="Read settings from this file (default: ./.env).",
        ),
        click.option(
            "--debug", is_flag=True, expose_value=False, callback=store, is_eager=True,
            help="Show the traceback when a command fails.",
        ),
    ]  # fmt: skip
    return add_options(command, options)


def top_k_option(command: Command) -> Command:
    """Add -k."""
    return click.option(
        "-k",
        "--top-k",
        type=IntegerParam(1, 100),
        help="Number of papers to retrieve, 1 to 100 (default: PAPERAGENT_TOP_K).",
    )(command)


def filter_options(command: Command) -> Command:
    """Add the options that restrict a search; `pop_filters` reads them."""
    options = [
        click.option("--since", type=DateParam(), help="Only papers published on or after this date."),
        click.option("--until", type=DateParam(), help="Only papers published on or before this date."),
        click.option(
            "--days", type=IntegerParam(1, MAX_DAYS), help="Only papers published in the last N days."
        ),
        click.option(
            "--category",
            type=TextParam(),
            help="Only papers in this category (cs.CL) or archive (cs).",
        ),
        click.option("--source", type=TextParam(), help="Only papers from this feed, such as daily-papers."),
        click.option(
            "--author", type=TextParam(), help="Only papers by this author, such as 'P. Henderson'."
        ),
        click.option(
            "--not",
            "exclude",
            type=TextParam(),
            multiple=True,
            metavar="WORDS",
            help="Only papers without this word or phrase, singular or plural; may be repeated.",
        ),
    ]
    return add_options(command, options)


def pop_filters(options: dict[str, Any], *, today: Callable[[], dt.date]) -> dict[str, Any]:
    """Remove the options of `filter_options` from ``options`` and return them as `PaperAgent` takes them.

    Args:
        options: The options of a command.
        today: Returns the current day, for --days.

    Raises:
        click.UsageError: The dates contradict each other or lie in the future.
    """
    since, until, days = options.pop("since"), options.pop("until"), options.pop("days")
    if days is not None:
        if since is not None:
            raise click.UsageError("--days and --since: cannot be combined; use one of them")
        since = today() - dt.timedelta(days=days)
    # East of UTC the next day may have begun already.
    if since is not None and since > dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1):
        raise click.UsageError(f"--since: date is in the future, nothing can match: {since}; use a past date")
    if since is not None and until is not None and since > until:
        raise click.UsageError(f"--since and --until: empty date range: {since} is after {until}; swap them")
    return {
        "since": since,
        "until": until,
        "category": options.pop("category"),
        "source": options.pop("source"),
        "author": options.pop("author"),
        "exclude": options.pop("exclude"),
    }


def answer_options(command: Command) -> Command:
    """Add the options that control how an answer is written."""
    options = [
        click.option(
            "--mode",
            type=click.Choice(["extractive", "select", "llm"]),
            help="extractive: quote sentences; select: quote sentences chosen by a model; "
            "llm: let a model write the answer.",
        ),
        click.option("--model", type=TextParam(), help="Model to use (default: PAPERAGENT_MODEL)."),
        click.option(
            "--effort",
            type=click.Choice(["fast", "deep"]),
            help="fast: search once; deep: split the question into several searches first.",
        ),
        click.option(
            "--max-cost",
            type=NumberParam(MAX_COST_USD, zero=True),
            help="Maximum cost of an answer in US dollars; a call that could exceed it is not made.",
        ),
        click.option(
            "--timeout",
            type=NumberParam(MAX_TIMEOUT_S),
            help="Maximum time for an answer from the endpoint, in seconds.",
        ),
        click.option(
            "--strict",
            is_flag=True,
            default=None,
            help="Do not fall back to quoted sentences if the model fails or gives no answer.",
        ),
        click.option(
            "--unsupported",
            type=click.Choice(["withhold", "mark", "repair"]),
            help="What to do with claims that fail their check: withhold them (default), show them marked, "
            "or have the model rewrite them once.",
        ),
        *judge_options(),
        click.option("--no-cache", is_flag=True, help="Ignore the reply cache."),
    ]
    return add_options(command, options)


def fallback_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return --strict as `PaperAgent` takes it."""
    return {"fallback": False} if options["strict"] else {}


def judge_options() -> list[Callable[[Command], Command]]:
    """Return the options that set when an LLM judge reviews the claims; the last one given is used."""
    return [
        click.option(
            "--judge-mode",
            "judge",
            type=click.Choice(["auto", "always", "never"]),
            help="When an LLM judge reviews the claims; auto: if any claim is unverified.",
        ),
        click.option("--judge", "judge", flag_value="always", help="Same as --judge-mode always."),
        click.option("--no-judge", "judge", flag_value="never", help="Same as --judge-mode never."),
    ]


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def quiet_option(command: Command) -> Command:
    """Add --quiet."""
    return click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(command)


def period_options(command: Command) -> Command:
    """Add the options that select the period of an issue; `pop_period` reads them."""
    options = [
        click.option(
            "--week", type=TextParam(), help="ISO week, such as 2026-W26 (default: the last complete week)."
        ),
        click.option(
            "--month", type=TextParam(), help="Calendar month, such as 2026-06 (instead of --week)."
        ),
        click.option("--since", type=DateParam(), help="First day of the period (instead of --week)."),
        click.option("--until", type=DateParam(), help="Last day of the period, inclusive."),
    ]
    return add_options(command, options)


def preference_options(command: Command) -> Command:
    """Add the options that are the arguments of `Preferences.validated`."""
    lists = {
        ("--interest", "interests"): "Topic; may be repeated.",
        ("--ask", "questions"): "Standing question, answered in every issue; may be repeated.",
        (
            "--category",
            "categories",
        ): "Only papers in this category (cs.CL) or archive (cs). May be repeated.",
        ("--not", "exclude"): "No papers that mention this, or with this primary category; may be repeated.",
        ("--author", "authors"): "Every paper by this author; may be repeated.",
        ("--like", "like"): "Papers like this one (an id) or those in a file (refs.bib); may be repeated.",
    }
    options = [
        click.option(flag, name, multiple=True, type=TextParam(), help=text)
        for (flag, name), text in lists.items()
    ]
    items = click.option(
        "--max-items", type=IntegerParam(1, 30), help="Maximum number of papers per issue (default: 12)."
    )
    return add_options(command, [*options, items])


def pop_preferences(session: Session, options: dict[str, Any]) -> Preferences:
    """Remove the options of `preference_options` from ``options`` and return them.

    Reads the feeds of ``--like``.
    """
    from paperagent.digest.preferences import LISTS, Preferences

    names = (*LISTS, "max_items", "language")
    like = options.pop("like")
    preferences = Preferences.validated(**{name: options.pop(name) for name in names if name in options})
    if not like:
        return preferences
    from paperagent.lookup import read_examples

    return preferences.with_examples(read_examples(session.settings(), like))


def pop_period(options: dict[str, Any]) -> Period | None:
    """Remove the options of `period_options` from ``options``; return None if none of them is set."""
    from paperagent.digest import schedule

    week, month, since, until = (options.pop(name, None) for name in ("week", "month", "since", "until"))
    if sum(value is not None for value in (week, month, since or until)) > 1:
        raise click.UsageError("--week, --month and --since: cannot be combined; use one of them")
    if week is not None:
        return schedule.parse_week(week)
    if month is not None:
        return schedule.parse_month(month)
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise click.UsageError("--since and --until: both are required; give both, or use --week")
    return schedule.days_between(since, until)
