"""What the commands' options accept, and the options that several commands share.

Kept free of anything slow: ``paperagent --help`` imports it.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Param = click.Parameter | None
Ctx = click.Context | None
MAX_DAYS = 36_500


class Whole(click.ParamType[int]):
    """A whole number in ``low..high``."""

    name = "integer"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: Param, ctx: Ctx) -> int:
        """Return the number."""
        text = str(value)
        if not text:
            self.fail("value missing", param, ctx)
        if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
            self.fail(f"not an integer: '{text}'", param, ctx)
        # Very long digit strings are out of range anyway, and int() refuses them.
        if len(text) > 20 or not self.low <= int(text) <= self.high:
            below = self.high == MAX_DAYS and text.startswith(("-", "0"))
            bounds = f">= {self.low}" if below else f"{self.low}..{self.high}"
            self.fail(f"must be {bounds}, got {text[:20]}", param, ctx)
        return int(text)


class Positive(click.ParamType[float]):
    """A finite number above 0, at most ``high``; with ``zero``, 0 too."""

    name = "number"

    def __init__(self, high: float, *, zero: bool = False) -> None:
        self.high, self.zero = high, zero

    def convert(self, value: Any, param: Param, ctx: Ctx) -> float:
        """Return the number."""
        least = "must be a number >= 0" if self.zero else "must be a number > 0"
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            self.fail(f"{least}, got '{value}'", param, ctx)
        if math.isinf(number):
            self.fail("must be finite", param, ctx)
        if number < 0 or (number == 0 and not self.zero):
            self.fail(f"{least}, got '{value}'", param, ctx)
        if number > self.high:
            self.fail(f"must be at most {self.high:g}, got '{value}'", param, ctx)
        return number


class Day(click.ParamType[dt.date]):
    """A day, YYYY-MM-DD."""

    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: Param, ctx: Ctx) -> dt.date:
        """Return the day."""
        match = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", str(value), re.ASCII)
        if match is None or not 1 <= int(match[2]) <= 12:
            self.fail(f"not a date (YYYY-MM-DD): '{value}'", param, ctx)
        try:
            return dt.date(*map(int, match.groups()))
        except ValueError:
            self.fail(f"no such day: '{value}'", param, ctx)


class Words(click.ParamType[str]):
    """Text that is not empty."""

    name = "text"

    def convert(self, value: Any, param: Param, ctx: Ctx) -> str:
        """Return the text, trimmed."""
        text = str(value).strip()
        if not text:
            self.fail(f"{param.name if param else 'value'} is empty", param, ctx)
        return text


class Folder(click.ParamType[Path]):
    """A path that need not exist."""

    name = "path"

    def convert(self, value: Any, param: Param, ctx: Ctx) -> Path:
        """Return the absolute path."""
        text = str(value)
        if not text.strip():
            self.fail("path is empty", param, ctx)
        if "\0" in text:
            self.fail("path contains NUL", param, ctx)
        try:
            return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - resolve() follows links
        except RuntimeError:
            self.fail("the home folder after ~ is not known", param, ctx)


def common(command: Command) -> Command:
    """Add the options that stand before or after the command's name."""

    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        from paperagent.cli.session import Session

        session = ctx.find_root().ensure_object(Session)
        if value:
            setattr(session, str(param.name), value)

    options = [
        click.option(
            "--home", "--store", "home", type=Folder(), expose_value=False, callback=keep, is_eager=True,
            help="The library's folder (default: PAPERAGENT_HOME).",
        ),
        click.option(
            "--env-file", type=Folder(), expose_value=False, callback=keep, is_eager=True,
            help="Settings file to read (default: .env of the current folder).",
        ),
        click.option(
            "--debug", is_flag=True, expose_value=False, callback=keep, is_eager=True,
            help="Show the traceback of an error.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def top_k(command: Command) -> Command:
    """Add -k."""
    return click.option(
        "-k", "--top-k", type=Whole(1, 100), help="How many papers, 1 to 100 (default: PAPERAGENT_TOP_K)."
    )(command)


def filters(command: Command) -> Command:
    """Add the limits of a search; `limits` reads them."""
    options = [
        click.option("--since", type=Day(), help="Only papers of this day or later."),
        click.option("--until", type=Day(), help="Only papers of this day or earlier."),
        click.option("--days", type=Whole(1, MAX_DAYS), help="Only papers of the last N days."),
        click.option(
            "--category", type=Words(), help="Only this category, such as cs.CL, or archive, such as cs."
        ),
        click.option("--source", type=Words(), help="Only papers that this feed held, such as daily-papers."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def answering(command: Command) -> Command:
    """Add what shapes an answer."""
    options = [
        click.option(
            "--mode",
            type=click.Choice(["extractive", "select", "llm"]),
            help="Quote sentences, quote sentences that a model chooses, or have a model write.",
        ),
        click.option("--model", type=Words(), help="The model to use (default: PAPERAGENT_MODEL)."),
        click.option(
            "--effort",
            type=click.Choice(["fast", "deep"]),
            help="fast: one search; deep: cut the question into searches first.",
        ),
        click.option(
            "--max-cost",
            type=Positive(1000, zero=True),
            help="US dollars that one answer may cost; more is refused before it is spent.",
        ),
        click.option(
            "--timeout", type=Positive(3600), help="Seconds that one answer may take at the endpoint."
        ),
        click.option(
            "--strict",
            is_flag=True,
            default=None,
            help="Quote no sentences where the model gives no answer: fail, or say so.",
        ),
        click.option(
            "--unsupported",
            type=click.Choice(["withhold", "mark", "repair"]),
            help="What happens to claims that fail their check: kept back (the default), shown marked, "
            "or rewritten once.",
        ),
        *judging(),
        click.option("--no-cache", is_flag=True, help="Ask anew even where the reply is kept."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def judging() -> list[Callable[[Command], Command]]:
    """Return the options that say when an LLM judges the claims; the last one given counts."""
    return [
        click.option(
            "--judge-mode",
            "judge",
            type=click.Choice(["auto", "always", "never"]),
            help="When an LLM judges the claims; auto: if wording leaves one unverified.",
        ),
        click.option("--judge", "judge", flag_value="always", help="Same as --judge-mode always."),
        click.option("--no-judge", "judge", flag_value="never", help="Same as --judge-mode never."),
    ]


def as_json(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def limits(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `filters` out of ``given`` and return them as `PaperAgent` takes them."""
    since, until, days = given.pop("since"), given.pop("until"), given.pop("days")
    today = dt.datetime.now(dt.UTC).date()
    if days is not None:
        if since is not None:
            raise click.UsageError("--days and --since: cannot combine; give one of them")
        since = today - dt.timedelta(days=days)
    # Somewhere it is tomorrow already.
    if since is not None and since > today + dt.timedelta(days=1):
        raise click.UsageError(f"--since: date is in the future, nothing can match: {since}; give a past day")
    if since is not None and until is not None and since > until:
        raise click.UsageError(f"--since and --until: empty date range: {since} is after {until}; swap them")
    return {"since": since, "until": until, "category": given.pop("category"), "source": given.pop("source")}
