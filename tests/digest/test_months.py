"""Monthly issues: which month is due, who gets it, and that nothing comes twice."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.cli import main
from paperagent.digest.issue import Period
from paperagent.digest.schedule import (
    choose_period,
    days_between,
    frequency_of,
    last_full_period,
    month_of,
    parse_month,
)
from paperagent.errors import InputError
from paperagent.library import LocalStore
from sample_library import papers

Run = Callable[..., str]
DAYS = st.dates(dt.date(1950, 1, 1), dt.date(2190, 1, 1))
WEEKLY, DAILY, MONTHLY = "weekly@test.example", "daily@test.example", "monthly@test.example"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library of the sample feed: half listed on 24 June 2026, half on 30 June."""
    home = tmp_path_factory.mktemp("months") / "library"
    with LocalStore(home, create=True) as store:
        for n, day in enumerate((dt.date(2026, 6, 24), dt.date(2026, 6, 30))):
            store.ingest([replace(p, listed=day, published=day) for p in list(papers())[n::2]], today=day)
    return home


@pytest.fixture
def run(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Return what runs a command, checks its exit code and returns what it printed."""
    shutil.copytree(library, tmp_path / "library")
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")

    def call(*argv: str, code: int = 0) -> str:
        got = main.main(list(argv))
        out, err = capsys.readouterr()
        assert got == code, err
        return out + err

    return call


def subscribe(run: Run, email: str, frequency: str) -> None:
    run("subscribers", "add", email, "--frequency", frequency, "--confirmed", "--max-items", "3")


def set_noon(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    noon = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: noon)


def mails(home: Path) -> list[tuple[str, str, str]]:
    """Return recipient, subject and Message-ID of the mails in the outbox."""
    import email
    from email import policy

    parsed = [
        email.message_from_bytes(f.read_bytes(), policy=policy.default)
        for f in (home / "outbox").glob("*.eml")
    ]
    return sorted((m["To"], m["Subject"], m["Message-ID"]) for m in parsed)


# --- periods ---


@pytest.mark.parametrize(
    ("today", "name", "days"),
    [
        ("2026-03-01", "2026-02", 28),
        ("2028-03-31", "2028-02", 29),
        ("2100-03-01", "2100-02", 28),
        ("2026-05-15", "2026-04", 30),
        ("2026-08-31", "2026-07", 31),
        ("2027-01-01", "2026-12", 31),
        ("2026-12-31", "2026-11", 30),
    ],
)
def test_the_month_that_is_due_is_the_one_before(today: str, name: str, days: int) -> None:
    month = last_full_period("monthly", dt.date.fromisoformat(today))
    assert (month.name, (month.until - month.since).days + 1) == (name, days)


@given(DAYS)
def test_a_month_is_whole_and_its_name_leads_back_to_it(day: dt.date) -> None:
    month = month_of(day)
    assert month.since <= day <= month.until
    assert month == parse_month(month.name) == days_between(month.since, month.until)
    assert last_full_period("monthly", day).until == month.since - dt.timedelta(days=1)
    assert last_full_period("monthly", month.until + dt.timedelta(days=1)) == month


@given(DAYS)
def test_each_period_has_one_frequency(day: dt.date) -> None:
    """February has four weeks in some years; it is a month all the same."""
    for frequency in ("daily", "weekly", "monthly"):
        assert frequency_of(last_full_period(frequency, day)) == frequency
    assert frequency_of(days_between(day, day + dt.timedelta(days=9))) is None


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "2026-6", "0000-01", "2026-W26", "２０２６-06", "x\x1b"]
)
def test_what_is_no_month_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="not a calendar month") as caught:
        parse_month(text)
    assert choose_period("2026-06", None, None, today=dt.date(2026, 9, 1)) == parse_month("2026-06")
    assert str(caught.value).isprintable()


def test_the_calendar_has_a_first_day() -> None:
    for frequency in ("daily", "weekly", "monthly"):
        with pytest.raises(InputError, match="before it"):
            last_full_period(frequency, dt.date(1, 1, 1))
    assert month_of(dt.date(9999, 12, 31)) == Period("9999-12", dt.date(9999, 12, 1), dt.date(9999, 12, 31))


# --- issues ---


def test_run_sends_each_subscriber_the_last_period_of_their_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 1 July 2026, a Wednesday: a month, a week and a day. On later days of July nothing is repeated."""
    set_noon(monkeypatch, "2026-07-01")
    for email, frequency in ((WEEKLY, "weekly"), (DAILY, "daily"), (MONTHLY, "monthly")):
        subscribe(run, email, frequency)
    printed = run("digest", "run")
    for name in ("2026-W26", "2026-06-30", "2026-06"):
        assert f"{name}: 2 issues built" in printed
    assert "3 sent" in printed or "3 written" in printed
    received = mails(tmp_path / "library")
    assert [to for to, _, _ in received] == [DAILY, MONTHLY, WEEKLY]
    assert len({message_id for _, _, message_id in received}) == 3
    assert received[1][2].startswith("<2026-06-")
    for day in ("2026-07-01", "2026-07-02", "2026-07-31"):
        set_noon(monkeypatch, day)
        run("digest", "run")
    assert [mail for mail in mails(tmp_path / "library") if mail[0] == MONTHLY] == [received[1]]


@pytest.mark.parametrize(
    ("zone", "moment", "name"),
    [
        ("Asia/Tokyo", "2026-06-30T22:00", "2026-06"),  # 1 July, 7:00
        ("Pacific/Auckland", "2026-06-30T11:59", "2026-05"),  # 30 June, 23:59
        ("Pacific/Auckland", "2026-06-30T12:00", "2026-06"),
        ("America/Los_Angeles", "2026-07-01T06:59", "2026-05"),  # 30 June, 23:59
        ("America/Los_Angeles", "2026-07-01T07:00", "2026-06"),
        ("Europe/Berlin", "2026-03-31T22:00", "2026-03"),  # summer time began on 29 March
        ("Europe/Berlin", "2026-10-31T22:59", "2026-09"),  # and ended on 25 October
        ("Europe/Berlin", "2026-10-31T23:00", "2026-10"),
        ("Asia/Kolkata", "2026-12-31T18:30", "2026-12"),
    ],
)
def test_a_month_ends_at_midnight_in_the_zone_of_the_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, moment: str, name: str
) -> None:
    from paperagent import config
    from paperagent.factory.digest import digest_service

    monkeypatch.setenv("PAPERAGENT_TIMEZONE", zone)
    now = dt.datetime.fromisoformat(f"{moment}:00+00:00")
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: now)
    with digest_service(config.load(home=tmp_path / "library")) as service:
        service.subscribers.add(MONTHLY, confirmed=True, frequency="monthly")
        assert service.current_period(MONTHLY).name == name
        assert name in [period.name for period in service.current_periods()]


def test_the_month_is_due_only_when_someone_gets_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    set_noon(monkeypatch, "2026-07-01")
    subscribe(run, WEEKLY, "weekly")
    assert "2026-06:" not in run("digest", "run")


def test_a_change_of_frequency_repeats_no_paper(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The month after the week has the papers that the week's issue did not show."""
    from paperagent import config
    from paperagent.factory.digest import digest_service

    set_noon(monkeypatch, "2026-06-29")
    subscribe(run, MONTHLY, "weekly")
    run("digest", "run")
    subscribe(run, MONTHLY, "monthly")
    set_noon(monkeypatch, "2026-07-01")
    run("digest", "run")
    with digest_service(config.load(home=tmp_path / "library")) as service:
        (subscriber,) = service.subscribers.all()
        week, month = (service.ledger.issue(f"{p}/{subscriber.id}").papers for p in ("2026-W26", "2026-06"))
    assert week
    assert month
    assert not set(week) & set(month)


def test_month_option(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--month` names a period; without it, a subscriber's own is previewed."""
    subscribe(run, MONTHLY, "monthly")
    subscribe(run, WEEKLY, "weekly")
    assert "2026-06: 2 issues built" in run("digest", "build", "--month", "2026-06")
    run("digest", "build", "--week", "2026-W26")
    run("digest", "send", "--month", "2026-06")
    assert [to for to, _, _ in mails(tmp_path / "library")] == [MONTHLY]
    run("digest", "preview", "--month", "2026-06", "--out", str(tmp_path / "pages"))
    assert "June 2026" in (tmp_path / "pages/2026-06.html").read_text("utf-8")
    set_noon(monkeypatch, "2026-07-01")
    run("digest", "preview", "--for", MONTHLY, "--out", str(tmp_path / "own"))
    assert (tmp_path / "own/2026-06-reader.html").exists()
    assert "cannot be combined" in run("digest", "build", "--month", "2026-06", "--week", "2026-W26", code=2)
    assert "not a calendar month" in run("digest", "build", "--month", "06", code=2)


def test_the_archive_lists_a_month_after_its_weeks(run: Run, tmp_path: Path) -> None:
    run("digest", "build", "--month", "2026-06")
    run("digest", "build", "--week", "2026-W26")
    run("digest", "archive", str(tmp_path / "site"))
    index = (tmp_path / "site/index.html").read_text("utf-8")
    assert 0 < index.index("2026-06.html") < index.index("2026-W26.html")
    periods = json.loads(run("digest", "list", "--json"))["periods"]
    assert [p["period"] for p in periods] == ["2026-W26", "2026-06"]
