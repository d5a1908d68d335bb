"""A cron line and systemd units that run the digest; paperagent has no scheduler of its own.

The days that an issue covers: ISO weeks as a rule (ISO 8601: Monday to Sunday), else any span.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
import zoneinfo
from pathlib import Path

from paperagent.digest.issue import Period
from paperagent.errors import InputError, visible

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def schedule_units(
    program: Path,
    home: Path,
    *,
    day: str,
    at: dt.time,
    zone: str | None = None,
    env_file: Path | None = None,
) -> str:
    """Return a cron line, a systemd service and its timer, each under a heading.

    ``day`` is one of `DAYS`, or ``daily``. Without ``zone`` the machine's own time counts.
    ``env_file`` holds the settings, of which neither cron nor systemd knows any.

    Raises:
        InputError: an unknown zone, or a path with a line end.
    """
    if zone is not None and zone not in zoneinfo.available_timezones():
        raise InputError(
            f"tz: no time zone is called {visible(zone, limit=40)}; write one such as Europe/Berlin"
        )
    for path in (program, home, env_file or home):
        if not str(path).isprintable():
            raise InputError(f"path {visible(str(path), limit=80)}: cannot stand in a schedule; move it")
    words = [str(program), "digest", "run", *(("--env-file", str(env_file)) if env_file else ())]
    return _CRON.format(
        zone=f"CRON_TZ={zone}\n" if zone else "",
        minute=at.minute,
        hour=at.hour,
        day="*" if day == "daily" else (DAYS.index(day) + 1) % 7,
        command=f"PAPERAGENT_HOME={shlex.quote(str(home))} {shlex.join(words)}".replace("%", r"\%"),
    ) + _SYSTEMD.format(
        home=_systemd_quote(f"PAPERAGENT_HOME={home}"),
        command=" ".join(_systemd_quote(word) for word in words),
        when=" ".join(
            part for part in ("" if day == "daily" else day.title(), f"{at:%H:%M}", zone or "") if part
        ),
    )


def _systemd_quote(text: str) -> str:
    """Return ``text`` as one word of a systemd unit (systemd.syntax(7), % as in systemd.unit(5))."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


_CRON = """\
# crontab -e
{zone}{minute} {hour} * * {day} {command}
"""
_SYSTEMD = """
# ~/.config/systemd/user/paperagent-digest.service
[Unit]
Description=Build and send the paper digest
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
Environment={home}
ExecStart={command}

# ~/.config/systemd/user/paperagent-digest.timer
[Unit]
Description=When the paper digest is built and sent

[Timer]
OnCalendar={when}
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now paperagent-digest.timer
"""


_WEEK = re.compile(r"([0-9]{4})-?[Ww]([0-9]{2})")
_DAY = dt.timedelta(days=1)


def parse_week(text: str) -> Period:
    """Return the ISO week that ``text`` names, such as ``2026-W26``.

    Raises:
        InputError: it names none.
    """
    found = _WEEK.fullmatch(text.strip())
    if not found:
        raise InputError(f"week {visible(text, limit=40)}: not an ISO week; write it like 2026-W26")
    year, week = int(found[1]), int(found[2])
    name = f"{year:04}-W{week:02}"
    try:
        monday = dt.date.fromisocalendar(year, week, 1)
        return Period(name, monday, monday + 6 * _DAY)
    except (ValueError, OverflowError) as error:
        raise InputError(f"week {name}: no such week; weeks go from W01 to W52 or W53") from error


def week_of(day: dt.date) -> Period:
    """Return the ISO week that holds ``day``."""
    year, week, _ = day.isocalendar()
    return parse_week(f"{year:04}-W{week:02}")


def days_between(since: dt.date, until: dt.date) -> Period:
    """Return the days from ``since`` to ``until``, both included: a week has the name of a week.

    Raises:
        InputError: ``since`` is after ``until``.
    """
    if since > until:
        raise InputError(f"period: it begins on {since} and ends on {until}, before that; swap the two days")
    if since == until:
        return Period(since.isoformat(), since, until)
    if since.isoweekday() == 1 and (until - since).days == 6:
        return week_of(since)
    return Period(f"{since.isoformat()}..{until.isoformat()}", since, until)


def last_full_week(today: dt.date) -> Period:
    """Return the last ISO week that is over on ``today``."""
    try:
        return week_of(today - 7 * _DAY)
    except OverflowError as error:
        raise InputError(f"day {today}: no week before it") from error


def previous(period: Period) -> Period:
    """Return the period of the same length that ends on the day before ``period``.

    Raises:
        InputError: the calendar begins with ``period``.
    """
    try:
        until = period.since - _DAY
        return days_between(until - (period.until - period.since), until)
    except OverflowError as error:
        raise InputError(f"period {visible(period.name, limit=40)}: no day before it") from error
