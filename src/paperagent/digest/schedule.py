"""A cron line and systemd units that run the digest; paperagent has no scheduler of its own."""

from __future__ import annotations

import datetime as dt
import shlex
import zoneinfo
from pathlib import Path

from paperagent.errors import InputError, visible

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def units(
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
        home=_quoted(f"PAPERAGENT_HOME={home}"),
        command=" ".join(_quoted(word) for word in words),
        when=" ".join(
            part for part in ("" if day == "daily" else day.title(), f"{at:%H:%M}", zone or "") if part
        ),
    )


def _quoted(text: str) -> str:
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
