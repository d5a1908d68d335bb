"""Days and weeks begin and end in the zone of the settings, whatever the time is in UTC."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from paperagent import PaperAgent, arguments, config
from paperagent.cli import main
from paperagent.digest.schedule import week_of
from paperagent.errors import ConfigError
from paperagent.factory.digest import digest_service

JSONL = '{{"title": "On moths and lamps {0}", "abstract": "Moths circle lamp {0} at night, for an hour."}}\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty library that the settings name."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    read(tmp_path, 0)
    return tmp_path / "library"


def read(folder: Path, number: int) -> None:
    """Read a feed with one paper that has no date."""
    page = folder / f"page-{number}.jsonl"
    page.write_text(JSONL.format(number), encoding="utf-8")
    with PaperAgent() as agent:
        agent.ingest(page)


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: dt.datetime) -> None:
    """Let the digest and the library see ``moment`` as the current time."""

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: moment.astimezone(dt.UTC))
    monkeypatch.setattr(arguments.dt, "datetime", Clock)


@pytest.mark.parametrize(
    ("zone", "local", "week"),
    [
        ("Asia/Tokyo", "2026-06-29 07:00", "2026-W26"),  # in UTC still Sunday of that week
        ("Asia/Tokyo", "2026-06-28 23:59", "2026-W25"),
        ("Pacific/Auckland", "2026-06-29 00:00", "2026-W26"),
        ("America/Los_Angeles", "2026-06-28 18:00", "2026-W25"),  # in UTC already Monday
        ("America/Los_Angeles", "2026-06-29 07:00", "2026-W26"),
        # The two weeks of a year in which the clocks are changed, on Sunday; before and after midnight.
        ("Europe/Berlin", "2026-03-29 23:59", "2026-W12"),
        ("Europe/Berlin", "2026-03-30 00:00", "2026-W13"),
        ("Europe/Berlin", "2026-10-25 23:59", "2026-W42"),
        ("Europe/Berlin", "2026-10-26 00:00", "2026-W43"),
        ("America/Los_Angeles", "2026-03-08 23:59", "2026-W09"),
        ("America/Los_Angeles", "2026-03-09 00:00", "2026-W10"),
        ("America/Los_Angeles", "2026-11-01 23:59", "2026-W43"),
        ("America/Los_Angeles", "2026-11-02 00:00", "2026-W44"),
        ("Pacific/Auckland", "2026-04-05 23:59", "2026-W13"),
        ("Pacific/Auckland", "2026-04-06 00:00", "2026-W14"),
        ("Pacific/Auckland", "2026-09-27 23:59", "2026-W38"),
        ("Pacific/Auckland", "2026-09-28 00:00", "2026-W39"),
        # 2026 has 53 weeks; the last one ends in January.
        ("Asia/Tokyo", "2027-01-03 23:59", "2026-W52"),
        ("Asia/Tokyo", "2027-01-04 07:00", "2026-W53"),
        ("America/Los_Angeles", "2026-12-31 20:00", "2026-W52"),
    ],
)
def test_the_week_and_the_day_that_are_due(
    home: Path, monkeypatch: pytest.MonkeyPatch, zone: str, local: str, week: str
) -> None:
    """`digest run` builds the week and the day that ended in the zone; Python's `digest()` too."""
    monkeypatch.setenv("PAPERAGENT_TIMEZONE", zone)
    moment = dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    set_clock(monkeypatch, moment)
    with digest_service(config.load()) as service:
        service.subscribers.add("bo@test.example", frequency="daily", confirmed=True)
        yesterday, last = sorted(service.current_periods(), key=lambda p: p.until - p.since)
    assert last.name == week
    assert yesterday.since == yesterday.until == moment.date() - dt.timedelta(days=1)
    with PaperAgent(mode="extractive") as agent:
        assert agent.digest().period.name == week


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"])
def test_every_paper_has_its_issue_through_a_year(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """A paper that is read an hour before or after the run on Monday is in the issue of one week."""
    monkeypatch.setenv("PAPERAGENT_TIMEZONE", zone)
    for month in (3, 6, 9, 12):
        monday = dt.date(2026, month, 30) - dt.timedelta(days=dt.date(2026, month, 30).weekday())
        run = dt.datetime.combine(monday, dt.time(0, 30), ZoneInfo(zone))
        for number, hours in ((month * 10, -1), (month * 10 + 1, 1)):
            set_clock(monkeypatch, run.astimezone(dt.UTC) + dt.timedelta(hours=hours))
            read(tmp_path, number)
        with PaperAgent() as agent:
            days = {p.title.split()[-1]: p.first_seen for p in agent.papers()}
        before, after = days[str(month * 10)], days[str(month * 10 + 1)]
        assert before == monday - dt.timedelta(days=1)
        assert after == monday
        with digest_service(config.load()) as service:
            set_clock(monkeypatch, run)
            (last,) = service.current_periods()
        assert last == week_of(before)


def test_without_the_setting_the_zone_of_the_system_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """As that of cron and of the person who reads the times."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)  # runs first
    set_clock(monkeypatch, dt.datetime(2026, 6, 28, 22, tzinfo=dt.UTC))
    assert arguments.today() == dt.date(2026, 6, 29)
    with digest_service(config.load()) as service:
        assert service.current_period().name == "2026-W26"


def test_days_on_the_command_line_are_of_the_zone(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--days`` counts from the day in the zone."""
    monkeypatch.setenv("PAPERAGENT_TIMEZONE", "Pacific/Auckland")
    set_clock(monkeypatch, dt.datetime(2026, 6, 28, 12, 30, tzinfo=dt.UTC))
    since = []
    monkeypatch.setattr(PaperAgent, "list", lambda _, **options: since.append(options["since"]) or [])
    assert main.main(["list", "--days", "1"]) == 0
    capsys.readouterr()
    assert since == [dt.date(2026, 6, 28)]


def test_an_unknown_zone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-190: with the name and an example."""
    for name in ("Mars/Phobos", "Europe", "../etc/passwd", "CET-1CEST"):
        monkeypatch.setenv("PAPERAGENT_TIMEZONE", name)
        with pytest.raises(ConfigError, match=r"PAPERAGENT_TIMEZONE \(environment\): "):
            config.load()
