"""Options that name the days of an issue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import Command, Day, Words

if TYPE_CHECKING:
    from paperagent.digest.issue import Period


def period_options(command: Command) -> Command:
    """Add --week, --since and --until; `period_of` reads them."""
    options = [
        click.option(
            "--week", type=Words(), help="An ISO week such as 2026-W26 (default: the last complete one)."
        ),
        click.option("--since", type=Day(), help="The first day, instead of a week."),
        click.option("--until", type=Day(), help="The last day, included."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def period_of(given: dict[str, Any]) -> Period | None:
    """Take --week, --since and --until out of ``given``; None where none is given."""
    from paperagent.digest import schedule

    week, since, until = given.pop("week", None), given.pop("since", None), given.pop("until", None)
    if week is not None and (since or until):
        raise click.UsageError("--week and --since: cannot combine; give one of them")
    if week is not None:
        return schedule.parse_week(week)
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise click.UsageError("--since and --until: give both, or --week")
    return schedule.days_between(since, until)
