"""The job that runs the digest: one command, at the right hour of whoever starts it."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from paperagent.cli.session import program_path
from paperagent.digest.jobs import DigestJob, job_text
from paperagent.errors import InputError

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _machine_in_utc(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    set_machine_zone("UTC", monkeypatch, request)


def set_machine_zone(zone: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let the clock of this process be in ``zone`` until the end of the test."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)  # runs first


def job(day: str = "mon", at: str = "07:00", zone: str | None = None) -> DigestJob:
    """Return a job of an invented machine."""
    program, home = Path("/opt/bin/paperagent"), Path("/srv/my papers")
    return DigestJob(program, home, day, dt.time.fromisoformat(at), zone, Path("/srv/.env"), "/usr/bin/flock")


def cron(given: DigestJob) -> tuple[str, list[str]]:
    """Return when the line starts the job, and its comments."""
    *comments, line = job_text(given, "cron", now=NOW).splitlines()
    return " ".join(line.split()[:5]), comments[1:]


@pytest.mark.parametrize(
    ("zone", "line", "changes"),
    [
        ("Europe/Berlin", "0 6 * * 1", {"2027-03-29": "0 5 * * 1", "2027-11-01": "0 6 * * 1"}),
        ("America/Los_Angeles", "0 15 * * 1", {"2027-03-15": "0 14 * * 1", "2027-11-08": "0 15 * * 1"}),
        ("Asia/Tokyo", "0 22 * * 0", {}),
        ("Pacific/Auckland", "0 18 * * 0", {"2027-04-04": "0 19 * * 0", "2027-09-26": "0 18 * * 0"}),
        ("Asia/Kolkata", "30 1 * * 1", {}),
    ],
)
def test_cron_gets_the_hour_of_the_machine(zone: str, line: str, changes: dict[str, str]) -> None:
    """And comments that say when the hour changes; each is the day of the first run that differs."""
    when, comments = cron(job(zone=zone))
    assert when == line
    assert comments[0].startswith(
        f"# 07:00 in {zone}, written as the hour of this machine (Debian's cron ignores CRON_TZ)"
    )
    assert dict(re.findall(r"from (\S+) on, write (.*)", "\n".join(comments))) == changes


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "Asia/Tokyo"])
def test_the_hours_are_right_all_year(zone: str) -> None:
    """A machine in UTC that obeys the line and its comments starts every run at 07:00 on Monday."""
    when, comments = cron(job(zone=zone))
    changes = dict(re.findall(r"from (\S+) on, write (.*)", "\n".join(comments)))
    moment, runs = NOW, 0
    while moment < NOW + dt.timedelta(days=360):
        moment += dt.timedelta(minutes=30)
        when = changes.get(moment.date().isoformat(), when)
        minute, hour, _, _, weekday = when.split()
        if (moment.minute, moment.hour, moment.isoweekday() % 7) == (int(minute), int(hour), int(weekday)):
            assert f"{moment.astimezone(ZoneInfo(zone)):%a %H:%M}" == "Mon 07:00"
            runs += 1
    assert runs in {51, 52}


def test_a_machine_in_the_same_zone_needs_no_comment(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Nor one whose zone is used."""
    set_machine_zone("Europe/Berlin", monkeypatch, request)
    assert cron(job(zone="Europe/Berlin")) == ("0 7 * * 1", [])
    assert cron(job("daily", "18:30")) == ("30 18 * * *", [])


def test_the_command_is_guarded_and_quoted() -> None:
    """One command, with the library, the zone and the settings; ``flock`` lets no second one start."""
    line = job_text(job(zone="Asia/Tokyo"), "cron", now=NOW).splitlines()[-1]
    assert line.endswith(
        "PAPERAGENT_HOME='/srv/my papers' PAPERAGENT_TIMEZONE=Asia/Tokyo "
        "/usr/bin/flock -n -E 75 '/srv/my papers/digest-job.lock' "
        "/opt/bin/paperagent digest run --env-file /srv/.env"
    )
    units = job_text(job(zone="Asia/Tokyo"), "systemd", now=NOW)
    assert (
        'Environment="PAPERAGENT_HOME=/srv/my papers"\nEnvironment="PAPERAGENT_TIMEZONE=Asia/Tokyo"\n'
        in units
    )
    assert 'ExecStart="/opt/bin/paperagent" "digest" "run" "--env-file" "/srv/.env"\n' in units
    assert "OnCalendar=Mon 07:00 Asia/Tokyo\nPersistent=true\n" in units


def test_github_starts_it_daily_and_keeps_the_library() -> None:
    """In UTC, one run at a time, with the library of the last run."""
    workflow = job_text(job(zone="America/Los_Angeles"), "github", now=NOW)
    assert '- cron: "0 15 * * *"\n' in workflow
    assert "# The clocks change: from 2027-03-14 on, write 0 14 * * *\n" in workflow
    assert "concurrency: digest\n" in workflow
    assert "PAPERAGENT_TIMEZONE: America/Los_Angeles\n" in workflow
    assert "@" not in re.sub(r"actions/[a-z-]+(/[a-z]+)?@v\d", "", workflow)
    assert workflow.index("feeds add") < workflow.index("subscribers import") < workflow.index("digest run")


def test_what_cannot_be_written_is_refused() -> None:
    """An unknown zone, and a path that would begin a new line."""
    with pytest.raises(InputError, match="unknown time zone Mars/Phobos"):
        job(zone="Mars/Phobos")
    with pytest.raises(InputError, match="cannot be written in a schedule"):
        DigestJob(Path("/bin/paperagent"), Path("/srv/a\nb"), "mon", dt.time(7))


@pytest.mark.skipif(sys.platform != "linux", reason="flock and sh are Debian's")
def test_the_line_runs_in_a_shell(tmp_path: Path) -> None:
    """As cron runs it; while it runs, a second one ends with 75."""
    program, home = tmp_path / "it's me", tmp_path / "50% papers"
    home.mkdir()
    program.write_text('#!/bin/sh\necho "$PAPERAGENT_HOME|$*"\nsleep 2\n', encoding="utf-8")
    program.chmod(0o755)
    given = DigestJob(program, home, "mon", dt.time(7), flock="/usr/bin/flock")
    line = job_text(given, "cron", now=NOW).splitlines()[-1]
    command = line.split(" ", 5)[5].replace(r"\%", "%")
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == f"{home}|digest run\n"
        assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 75


def test_the_job_names_a_program_however_this_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``python -m paperagent``, without the program on PATH, it is the one beside the interpreter."""
    program = tmp_path / "paperagent"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["/x/paperagent/__main__.py"])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert program_path() == program
