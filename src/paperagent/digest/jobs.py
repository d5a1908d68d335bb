"""The job that reads the followed feeds, builds and sends, for cron, systemd, Windows and GitHub Actions.

paperagent has no scheduler of its own.
"""

from __future__ import annotations

import datetime as dt
import shlex
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from paperagent.errors import InputError, visible

Scheduler = Literal["cron", "systemd", "windows", "github"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY = "daily"
LOCK_NAME = "digest-job.lock"
"""The file that ``flock`` locks, in the library's folder; the program has its own lock in another file."""
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DigestJob:
    """When and how ``paperagent digest run`` is started.

    Raises:
        InputError: an unknown time zone, or a path with a line break.
    """

    program: Path
    """The executable."""
    home: Path
    """The library's folder."""
    day: str
    """One of `WEEKDAYS`, or `DAILY`."""
    at: dt.time
    zone: str | None = None
    """The time zone of ``at`` and of the digest; None for that of the machine."""
    env_file: Path | None = None
    """The file with the settings; cron and systemd do not read the shell's environment."""
    flock: str | None = None
    """The program ``flock``, if there is one."""

    def __post_init__(self) -> None:
        if self.zone is not None and self.zone not in zoneinfo.available_timezones():
            zone = visible(self.zone, limit=40)
            raise InputError(f"tz: unknown time zone {zone}; use one such as Europe/Berlin")
        for path in (self.program, self.home, self.env_file or self.home):
            if not str(path).isprintable():
                name = visible(str(path), limit=80)
                raise InputError(f"path {name}: cannot be written in a schedule; move it")

    @property
    def words(self) -> list[str]:
        """The command."""
        file = ("--env-file", str(self.env_file)) if self.env_file else ()
        return [str(self.program), "digest", "run", *file]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the command needs."""
        zone = {"PAPERAGENT_TIMEZONE": self.zone} if self.zone else {}
        return {"PAPERAGENT_HOME": str(self.home), **zone}


def job_text(job: DigestJob, scheduler: Scheduler, *, now: dt.datetime) -> str:
    """Return a job as its scheduler reads it, with comments that say where it belongs."""
    jobs = {"cron": cron_job, "systemd": systemd_job, "windows": windows_job, "github": github_job}
    return jobs[scheduler](job, now)


# --- cron ---


def cron_job(job: DigestJob, now: dt.datetime) -> str:
    """Return the line of a crontab, in the hours of this machine."""
    lines = ["# crontab -e", *_hours_comment(job, now, None, "this machine (Debian's cron ignores CRON_TZ)")]
    variables = [f"{name}={shlex.quote(value)}" for name, value in job.environment.items()]
    lock = [job.flock, "-n", "-E", "75", str(job.home / LOCK_NAME)] if job.flock else []
    command = " ".join([*variables, shlex.join([*lock, *job.words])]).replace("%", r"\%")
    first, _ = next(_cron_times(job, now, None))
    return "\n".join([*lines, f"{first} {command}", ""])


def _hours_comment(
    job: DigestJob, now: dt.datetime, machine: dt.tzinfo | None, scheduler: str
) -> Iterator[str]:
    """Yield comments on a zone other than the scheduler's."""
    if job.zone is None:
        return
    times = list(_cron_times(job, now, machine))
    same = len(times) == 1 and times[0][0] == _cron_time(job, job.at, 0)
    if not same:
        yield f"# {job.at:%H:%M} in {job.zone}, written as the hour of {scheduler}"
    for time, since in times[1:]:
        yield f"# The clocks change: from {since} on, write {time}"


def _cron_times(
    job: DigestJob, now: dt.datetime, machine: dt.tzinfo | None
) -> Iterator[tuple[str, dt.date | None]]:
    """Yield how the line begins from the next run on, and each change within a year with its first day."""
    zone = zoneinfo.ZoneInfo(job.zone) if job.zone else None
    if zone is None:
        yield _cron_time(job, job.at, 0), None
        return
    today, last = now.astimezone(zone).date(), None
    for day in (today + n * _ONE_DAY for n in range(366)):
        run = dt.datetime.combine(day, job.at, zone)
        if run < now or (job.day != DAILY and WEEKDAYS[day.weekday()] != job.day):
            continue
        local = run.astimezone(machine)
        time = _cron_time(job, local.time(), (local.date() - day).days)
        if time != last:
            yield time, local.date() if last else None
            last = time


def _cron_time(job: DigestJob, time: dt.time, days_later: int) -> str:
    day = "*" if job.day == DAILY else (WEEKDAYS.index(job.day) + 1 + days_later) % 7
    return f"{time.minute} {time.hour} * * {day}"


# --- systemd ---


def systemd_job(job: DigestJob, _now: dt.datetime) -> str:
    """Return a systemd service and its timer. A service that runs is not started a second time."""
    day = "" if job.day == DAILY else job.day.title()
    return _SYSTEMD.format(
        environment="\n".join(
            f"Environment={systemd_quote(f'{name}={value}')}" for name, value in job.environment.items()
        ),
        command=" ".join(systemd_quote(word) for word in job.words),
        when=" ".join(part for part in (day, f"{job.at:%H:%M}", job.zone or "") if part),
    )


def systemd_quote(text: str) -> str:
    """Return ``text`` as one word of a systemd unit (systemd.syntax(7); % as in systemd.unit(5))."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


_SYSTEMD = """\
# ~/.config/systemd/user/paperagent-digest.service
[Unit]
Description=Read the feeds, build and send the paper digest
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{environment}
ExecStart={command}

# ~/.config/systemd/user/paperagent-digest.timer
[Unit]
Description=Schedule of the paper digest

[Timer]
OnCalendar={when}
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now paperagent-digest.timer
# and, so that it also runs while you are logged out: loginctl enable-linger
"""


# --- Windows ---


def windows_job(job: DigestJob, _now: dt.datetime) -> str:
    """Return PowerShell commands that register a task, in the hours of this machine."""
    when = "-Daily" if job.day == DAILY else f"-Weekly -DaysOfWeek {_WINDOWS_DAYS[job.day]}"
    program, *arguments = job.words
    lines = ["# Windows PowerShell; a running task is not started a second time"]
    if job.zone:
        lines.append(f"# {job.at:%H:%M} is the time of this machine; the digest's time zone is {job.zone}")
    lines += [
        f"[Environment]::SetEnvironmentVariable('{name}', {_powershell_quote(value)}, 'User')"
        for name, value in job.environment.items()
    ]
    words = _powershell_quote(" ".join(f'"{word}"' if " " in word else word for word in arguments))
    lines += [
        f"$action = New-ScheduledTaskAction -Execute {_powershell_quote(program)} -Argument {words}",
        f"$trigger = New-ScheduledTaskTrigger {when} -At {job.at:%H:%M}",
        "$settings = New-ScheduledTaskSettingsSet -StartWhenAvailable -MultipleInstances IgnoreNew",
        "$task = @{ Action = $action; Trigger = $trigger; Settings = $settings }",
        "Register-ScheduledTask -TaskName paperagent-digest @task",
    ]
    return "\n".join([*lines, ""])


_WINDOWS_DAYS = dict(
    zip(WEEKDAYS, "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(), strict=True)
)


def _powershell_quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# --- GitHub Actions ---


def github_job(job: DigestJob, now: dt.datetime) -> str:
    """Return a workflow for a private repository that contains ``subscribers.csv`` and ``feeds.txt``.

    It runs daily, because GitHub deletes a cache that nobody used for seven days.
    """
    zone = job.zone or "UTC"
    daily = DigestJob(job.program, job.home, DAILY, job.at, zone)
    comments = "".join(f"    {line}\n" for line in _hours_comment(daily, now, dt.UTC, "GitHub (in UTC)"))
    first, _ = next(_cron_times(daily, now, dt.UTC))
    return _GITHUB.replace("@comments@", comments).replace("@time@", first).replace("@zone@", zone)


_GITHUB = """\
# .github/workflows/digest.yml in a PRIVATE repository: the cache holds the subscribers' addresses.
# Commit feeds.txt (one feed per line) and subscribers.csv (columns: email, interests), and set the secrets.
# Weekly issues are sent once, by the first run after the week. It runs daily, because GitHub deletes a cache
# that was not used for seven days. With the cache, the record of who unsubscribed is lost.
name: digest
on:
  workflow_dispatch:
  schedule:
@comments@    - cron: "@time@"
concurrency: digest
jobs:
  digest:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    env:
      PAPERAGENT_HOME: ${{ github.workspace }}/library
      PAPERAGENT_TIMEZONE: @zone@
      PAPERAGENT_SMTP_URL: ${{ secrets.PAPERAGENT_SMTP_URL }}
      PAPERAGENT_MAIL_FROM: ${{ secrets.PAPERAGENT_MAIL_FROM }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: { python-version: "3.12" }
      - run: pip install "paperagent[models]" && paperagent models pull
      - uses: actions/cache/restore@v4
        with: { path: library, key: "library-${{ github.run_id }}", restore-keys: library- }
      - run: |
          xargs -n 1 -d '\\n' paperagent feeds add < feeds.txt
          paperagent subscribers import subscribers.csv --confirmed
          paperagent digest run
      - uses: actions/cache/save@v4
        if: always()
        with: { path: library, key: "library-${{ github.run_id }}-${{ github.run_attempt }}" }
"""
