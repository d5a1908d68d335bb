"""The digest from the command line: built once, sent once, safe to run again and beside itself."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mail_helpers import Script, free_port, serving

from paperagent.cli import main

Run = Callable[..., str]
A, B = "ana@test.example", "bo@test.example"
SECRET = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # noqa: S105 - made up
WEEK = ["--week", "2026-W26"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library of the sample feed, as listed on a day of 2026-W26, by words alone."""
    from paperagent import PaperAgent
    from paperagent.feeds.reader import sample_path

    home = tmp_path_factory.mktemp("digest") / "library"
    with PaperAgent(home, embedder="none", mode="extractive") as agent:
        agent.ingest(sample_path(), date="2026-06-24")
    return home


@pytest.fixture
def home(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the library that the settings name."""
    copy = tmp_path / "library"
    shutil.copytree(library, copy)
    monkeypatch.setenv("PAPERAGENT_HOME", str(copy))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    return copy


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command, checks its exit code and returns what it printed."""

    def call(*argv: str, code: int = 0) -> str:
        got = main.main(list(argv))
        out, err = capsys.readouterr()
        assert got == code, err
        if code:
            assert err.splitlines()[-1].startswith("paperagent: error: ")
        return out + err

    return call


def subscribe(run: Run, email: str = A, interest: str = "retrieved passages", **_: Any) -> None:
    run("subscribers", "add", email, "--interest", interest, "--confirmed")


def states(run: Run) -> dict[str, int]:
    (found,) = json.loads(run("digest", "list", "--json"))["periods"]
    return {k: v for k, v in found.items() if isinstance(v, int) and v}


def test_build_send_and_again(run: Run, home: Path) -> None:
    """bad-348: the second build and the second send change nothing; a new subscriber gets theirs."""
    subscribe(run)
    assert "2 issues built" in run("digest", "build", *WEEK)
    assert f"1 written to {home / 'outbox'} (PAPERAGENT_SMTP_URL is not set)" in run("digest", "send")
    (first,) = (home / "outbox").glob("*.eml")
    before = first.read_bytes()
    assert "0 issues built, 2 already built" in run("digest", "build", *WEEK)
    told = run("digest", "send")
    assert "none due" in told
    assert "1 message written earlier" in told
    subscribe(run, B, "speech recognition")
    assert "1 issue built, 2 already built" in run("digest", "build", *WEEK)
    assert f"1 written to {home / 'outbox'} (PAPERAGENT_SMTP_URL is not set)" in run("digest", "send")
    assert first.read_bytes() == before
    assert states(run) == {"issues": 3, "written": 2}


def test_written_messages_are_sent_when_a_server_is_set(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`digest list` tells them from those that were sent, and from those that the user sends."""
    for email in (A, B):
        subscribe(run, email)
    run("digest", "build", *WEEK)
    run("digest", "send", "--only", A)
    assert f"1 written to {tmp_path / 'mine'}\n" in run(
        "digest", "send", "--outbox", str(tmp_path / "mine"), "--only", B
    )
    told = run("digest", "list")
    assert "1 written to the outbox, not sent, 1 written to a folder, not sent" in told
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    script = Script()
    with serving(script) as url:
        monkeypatch.setenv("PAPERAGENT_SMTP_URL", url)
        assert "1 sent" in run("digest", "send")
        assert "none due" in run("digest", "send")
    assert script.recipients() == [A]
    assert states(run) == {"issues": 3, "sent": 1, "exported": 1}


def test_a_missing_way_out_is_told(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By build and send, until there is an address; then it is in the mail."""
    subscribe(run)
    warning = "messages contain no way to unsubscribe; set PAPERAGENT_MAIL_FROM"
    for argv in (["digest", "build", *WEEK], ["digest", "send", "--dry-run"]):
        assert warning in run(*argv)
    assert warning not in run("digest", "build", *WEEK)  # nothing was built
    monkeypatch.setenv("PAPERAGENT_CONTACT", "desk@test.example")
    assert warning not in run("digest", "send")
    (mail,) = (home / "outbox").glob("*.eml")
    assert b"mailto:desk@test.example?subject=3Dunsubscribe" in mail.read_bytes()


def test_run_reads_the_mailbox_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who unsubscribed gets nothing; a mailbox that cannot be read holds up no mail, and exits with 8."""
    import datetime as dt

    from test_inbox import scripted, server

    noon = dt.datetime(2026, 6, 29, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: noon)
    subscribe(run, "a@test.example")
    subscribe(run, B)
    assert "PAPERAGENT_IMAP_URL: not set" in run("digest", "inbox", code=3)
    with scripted(server(keywords=False)) as (port, _):
        monkeypatch.setenv("PAPERAGENT_IMAP_URL", f"imap://me:hunter2@127.0.0.1:{port}")
        told = run("digest", "inbox", "--dry-run")
    assert "inbox: 1 unsubscribed, 0 bounces, 0 left for you (dry run: nothing was changed)" in told
    with scripted(server(keywords=True)) as (port, _):
        monkeypatch.setenv("PAPERAGENT_IMAP_URL", f"imap://me:hunter2@127.0.0.1:{port}")
        told = run("digest", "run")
    assert told.index("a@test.example") < told.index("2026-W26: 2 issues built")
    assert "1 written to" in told
    told = run("digest", "run", code=8)
    assert "paperagent: warning: mailbox INBOX at 127.0.0.1" in told
    assert "0 issues built" in told
    assert "hunter2" not in told


def test_papers_are_shown_once(run: Run, home: Path) -> None:
    """An issue of other days that hold the same papers does not repeat what the subscriber saw."""
    subscribe(run)
    run("digest", "build", *WEEK)
    told = run("digest", "build", "--since", "2026-06-20", "--until", "2026-06-26", "--only", A)
    assert "0 issues built, 0 already built, 1 skipped (no new papers)" in told


def test_categories_without_papers_are_a_reason(run: Run) -> None:
    """The operator learns why a subscriber gets nothing, and is not told that the week is empty."""
    for email, category in ((A, ["cs.CL", "foo"]), (B, ["math"])):
        named = [word for name in category for word in ("--category", name)]
        run("subscribers", "add", email, *named, "--confirmed")
    told = run("digest", "build", *WEEK, "--only", A)
    assert "0 issues built, 0 already built, 1 skipped (no papers in cs.CL, foo)" in told
    assert "the library has no papers" not in told
    told = run("digest", "build", *WEEK)
    assert "2 skipped (1: no papers in cs.CL, foo; 1: no papers in math)" in told


def test_a_dry_run_opens_no_socket_and_changes_nothing(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bad-354: the messages lie as files; the ledger still says planned; the server is not called."""
    subscribe(run)
    run("digest", "build", *WEEK)
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", "smtp://127.0.0.1:9")
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run opens no socket")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", refuse)
        assert "1 message written to" in run("digest", "send", "--dry-run", "--outbox", str(tmp_path / "o"))
    (mail,) = (tmp_path / "o").glob("*.eml")
    assert b"To: ana@test.example\r\n" in mail.read_bytes()
    assert states(run) == {"issues": 2, "planned": 1}


def test_the_page_is_checked_before_sending(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not answer is a warning with the fix; the messages leave all the same."""
    subscribe(run)
    run("digest", "build", *WEEK)
    monkeypatch.setenv("PAPERAGENT_SECRET", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("PAPERAGENT_PUBLIC_URL", f"http://127.0.0.1:{free_port()}")
    assert "paperagent serve" in run("doctor")
    for argv in (["--dry-run"], ["--no-check", "--only", A]):
        assert "paperagent serve" not in run("digest", "send", *argv)
    subscribe(run, B, "speech recognition")
    run("digest", "build", *WEEK)
    told = run("digest", "send")
    assert (
        "paperagent: warning: PAPERAGENT_PUBLIC_URL: the links in emails lead to a page that does not" in told
    )
    assert "--no-check skips this check" in told
    assert "1 written to" in told
    assert "paperagent serve" not in run("digest", "send")  # nothing is due


def test_a_quiet_week(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-344: nothing new is no issue, or by setting one that says so; exit 0 either way."""
    subscribe(run)
    assert "0 issues built, 0 already built, 2 skipped (no new papers)" in run(
        "digest", "build", "--week", "2026-W20"
    )
    monkeypatch.setenv("PAPERAGENT_DIGEST_EMPTY", "true")
    assert "2 issues built" in run("digest", "build", "--week", "2026-W20")
    assert "1 written to" in run("digest", "send")
    (mail,) = (home / "outbox").glob("*.eml")
    assert b"No new papers" in mail.read_bytes()


def test_days_that_may_be_the_wrong_ones_are_told(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week of which nothing was read, and one that is not over; else nothing is said."""
    import datetime as dt

    assert "the library has no papers from 2026-05-11 to 2026-05-17" in run(
        "digest", "build", "--week", "2026-W20"
    )
    assert "the library has no papers from 2026-05-11 to 2026-05-17; choose other days" in run(
        "digest", "preview", "--week", "2026-W20", "--out", str(home / "preview")
    )
    friday = dt.datetime(2026, 6, 26, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: friday)
    assert "2026-W26 is not over" in run("digest", "build", *WEEK)
    assert "warning" not in run("digest", "build", *WEEK)


def test_run_does_everything_and_then_nothing(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`digest run` builds the last complete week and, for daily subscribers, yesterday; then sends."""
    import datetime as dt

    noon = dt.datetime(2026, 6, 29, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: noon)
    subscribe(run)
    told = run("digest", "run")
    assert "2026-W26: 2 issues built" in told
    assert "1 written to" in told
    again = run("digest", "run")
    assert "0 issues built, 2 already built" in again
    assert "none due" in again


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock be on Monday after 2026-W27."""
    import datetime as dt

    now = dt.datetime(2026, 7, 6, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: now)


def feed_of(folder: Path, name: str, listed: str) -> Path:
    """Write a feed with one paper, and return its path."""
    page = folder / f"{name}.jsonl"
    abstract = f"We study retrieved passages of {name}. Our method {name} improves recall by 12 points."
    paper = {"title": f"Retrieved passages of {name}", "abstract": abstract, "listed": listed}
    page.write_text(json.dumps(paper) + "\n", encoding="utf-8")
    return page


@pytest.mark.usefixtures("noon")
def test_run_reads_the_followed_feeds_first(run: Run, home: Path, tmp_path: Path) -> None:
    """What a feed has listed by then is in the mail of the same run; --no-read leaves it out."""
    subscribe(run)
    run("feeds", "add", str(feed_of(tmp_path, "Quorvex", "2026-07-02")))
    told = run("digest", "run", "--no-read")
    assert "none due" in told
    assert "no new papers from 2026-06-29 to 2026-07-05" in told
    told = run("digest", "run")
    assert "1 feed read: 1 paper, 1 new" in told
    assert told.index("1 feed read") < told.index("2026-W27: 2 issues built")
    (mail,) = (home / "outbox").glob("*.eml")
    assert b"Quorvex" in mail.read_bytes()


@pytest.mark.usefixtures("noon")
def test_a_feed_that_fails_holds_up_no_mail(run: Run, home: Path, tmp_path: Path) -> None:
    """The others are read and sent; the run ends with the exit code of the feed."""
    subscribe(run)
    for name in ("Quorvex", "Tindersift"):
        run("feeds", "add", str(feed_of(tmp_path, name, "2026-07-02")))
    (tmp_path / "Quorvex.jsonl").unlink()
    told = run("digest", "run", code=4)
    assert "Quorvex.jsonl: " in told
    (mail,) = (home / "outbox").glob("*.eml")
    assert b"Tindersift" in mail.read_bytes()


@pytest.mark.usefixtures("noon")
def test_a_run_without_mail_says_why(run: Run, tmp_path: Path) -> None:
    """Nothing was read: an error. Nothing is new, or nobody is subscribed: none."""
    told = run("digest", "run", code=4)
    assert "no confirmed subscriber" in told
    assert "digest 2026-W27: nothing was read: no feed is followed" in told
    page = feed_of(tmp_path, "Quorvex", "2026-05-01")
    run("feeds", "add", str(page))
    subscribe(run)
    told = run("digest", "run")
    assert "no new papers from 2026-06-29 to 2026-07-05" in told
    assert "warning" not in told
    page.unlink()
    told = run("digest", "run", code=4)
    assert "the library has no papers from 2026-06-29 to 2026-07-05" in told


def test_an_issue_that_cannot_be_built_holds_up_no_mail(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`digest run` sends what the other subscribers get, and then says that one issue is missing."""
    import datetime as dt

    from paperagent.digest.build import IssueBuilder

    noon = dt.datetime(2026, 6, 29, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("paperagent.digest.service.utc_now", lambda: noon)
    subscribe(run, A)
    subscribe(run, B)
    render = IssueBuilder._render

    def breaks(builder: IssueBuilder, issue: Any, subscriber_id: int | None) -> Any:
        if subscriber_id == 1:
            raise ValueError("no such glyph")
        return render(builder, issue, subscriber_id)

    monkeypatch.setattr(IssueBuilder, "_render", breaks)
    told = run("digest", "run", code=1)
    assert f"{A}: issue not built: unexpected failure: ValueError: no such glyph" in told
    assert "1 written to" in told
    assert told.endswith("digest 2026-W26: 1 issue could not be built; see the warnings\n")
    (mail,) = (home / "outbox").glob("*.eml")
    assert f"To: {B}".encode() in mail.read_bytes()


def test_daily_subscribers(run: Run, home: Path) -> None:
    """A day's issue goes to who reads daily, a week's to who reads weekly."""
    subscribe(run)
    run("subscribers", "add", B, "--confirmed", "--frequency", "daily", "--interest", "retrieved passages")
    run("digest", "build", "--since", "2026-06-24", "--until", "2026-06-24")
    run("digest", "send")
    (mail,) = (home / "outbox").glob("*.eml")
    assert b"To: bo@test.example" in mail.read_bytes()


def test_without_readers_there_is_an_issue_for_nobody_in_particular(run: Run) -> None:
    """It is built, never sent."""
    assert "1 issue built" in run("digest", "build", *WEEK)
    assert "none due" in run("digest", "send")
    assert states(run) == {"issues": 1}


def test_four_at_once(run: Run, home: Path) -> None:
    """bad-350: one delivers, three say that it does and exit 75; each subscriber gets one."""
    for n in range(6):
        subscribe(run, f"r{n}@test.example")
    run("digest", "build", *WEEK)
    script = Script(data={})
    taking = script.handle_DATA

    async def slowly(server: Any, session: Any, envelope: Any) -> str:
        import asyncio

        await asyncio.sleep(0.7)
        return await taking(server, session, envelope)

    script.handle_DATA = slowly  # type: ignore[method-assign]
    environ = {**os.environ, "PAPERAGENT_MAIL_FROM": "digest@test.example"}
    with serving(script) as url:
        environ["PAPERAGENT_SMTP_URL"] = url
        command = [sys.executable, "-m", "paperagent", "digest", "send"]
        running = [
            subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        told = [process.communicate(timeout=60) for process in running]
    assert sorted(process.returncode for process in running) == [0, 75, 75, 75]
    assert sum("digest is locked: " in err for _, err in told) == 3
    assert sorted(script.recipients()) == [f"r{n}@test.example" for n in range(6)]


def test_a_crash_after_some_mails_resumes(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-349: what was sent stays sent; the rest goes out with the next run."""
    for n in range(5):
        subscribe(run, f"r{n}@test.example")
    run("digest", "build", *WEEK)
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    script = Script(rcpt={"r3@test.example": "421 4.3.2 going down"})
    with serving(script) as url:
        monkeypatch.setenv("PAPERAGENT_SMTP_URL", url)
        told = run("digest", "send", code=8)
        assert "stopped early, the server is closing (421)" in told
        assert "1 deferred" in told
        assert "which Gmail and Yahoo require; set PAPERAGENT_PUBLIC_URL and PAPERAGENT_SECRET" in told
        script.rcpt.clear()
        assert "1 sent" in run("digest", "send", code=8)  # r3 waits its five minutes
    assert script.recipients() == ["r0@test.example", "r1@test.example", "r2@test.example", "r4@test.example"]


def test_a_server_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-306: exit 8, one line, and the messages stay planned."""
    subscribe(run)
    run("digest", "build", *WEEK)
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", f"smtp://me:hunter2@127.0.0.1:{free_port()}")
    told = run("digest", "send", code=8)
    assert "cannot be reached" in told
    assert "hunter2" not in told
    assert states(run) == {"issues": 2, "planned": 1}


def test_a_server_without_a_sender(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-184: settings that belong together are named together, exit 3."""
    subscribe(run)
    run("digest", "build", *WEEK)
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", "smtp://127.0.0.1:25")
    told = run("digest", "send", code=3)
    for key in ("MAIL_FROM", "SMTP_URL", "SECRET", "PUBLIC_URL"):
        assert f"PAPERAGENT_{key}" in told


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["digest", "build", "--week", "2026-W54"], 2, "no such week"),
        (["digest", "build", "--week", "26"], 2, "not an ISO week"),
        (["digest", "build", "--since", "2026-06-01"], 2, "give both"),
        (["digest", "build", "--since", "2026-06-02", "--until", "2026-06-01"], 2, "swap"),
        (["digest", "build", "--week", "2026-W26", "--since", "2026-06-01"], 2, "cannot be combined"),
        (["digest", "build", "--only", "who@test.example"], 2, "does not exist"),
        (["digest", "build", "--mode", "llm"], 3, "needs an endpoint"),
        (["digest", "send", "--only", "no-at-sign"], 2, "email no-at-sign"),
        (["digest", "send", "--dry-run", "--resend-unknown"], 2, "cannot be combined"),
        (["digest", "schedule", "--tz", "Mars/Phobos"], 2, "unknown time zone Mars/Phobos"),
        (["digest", "schedule", "--at", "25:00"], 2, "not a time of day"),
        (["subscribers", "add", "a@b,c@d\nBcc:x"], 2, "control or invisible character"),
        (["subscribers", "add", A, "--max-items", "0"], 2, "must be 1..30"),
        (["subscribers", "remove", "who@test.example"], 2, "does not exist"),
        (["subscribers", "confirm"], 2, "give an EMAIL or TOKEN"),
        (["subscribers", "confirm", "sometoken"], 3, "PAPERAGENT_SECRET: not set"),
        (["subscribers", "import", "/no/such/file.csv"], 4, "No such file"),
        (["subscribers", "rate", A, "x", "more"], 2, "does not exist"),
    ],
)
def test_bad_arguments(run: Run, argv: list[str], code: int, message: str) -> None:
    """bad-034, bad-190, bad-191 and more: one line with the exit code of its kind."""
    assert message in run(*argv, code=code)


def test_without_a_library_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 5; only ingest makes a library."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "none"))
    assert main.main(["subscribers", "add", A]) == 5
    assert not (tmp_path / "none").exists()
    assert "no library" in capsys.readouterr().err


def test_double_opt_in(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new subscriber is sent a code, gets no digest, confirms with the code, then gets one."""
    assert "set PAPERAGENT_SECRET" in run("subscribers", "add", A, "--interest", "retrieved passages")
    monkeypatch.setenv("PAPERAGENT_SECRET", SECRET)
    assert "confirmation email: written to" in run("subscribers", "confirm", "--ask")
    (mail,) = (home / "outbox").glob("confirm*.eml")
    assert b"List-Unsubscribe" not in mail.read_bytes()
    assert "1 issue built" in run("digest", "build", *WEEK)
    from email import message_from_bytes, policy

    message = message_from_bytes(mail.read_bytes(), policy=policy.default)
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    token = next(word for word in text.split() if word.count(".") >= 2 and len(word) > 30)
    with serving(Script()) as url, monkeypatch.context() as patch:  # what was only written is sent
        patch.setenv("PAPERAGENT_SMTP_URL", url)
        patch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
        assert "confirmation email: sent" in run("subscribers", "confirm", "--ask")
        assert "within the last day" in run("subscribers", "add", A)
    assert "confirmed" in run("subscribers", "confirm", token)
    assert "1 issue built" in run("digest", "build", *WEEK)


def test_subscribers_there_and_back(run: Run, home: Path, tmp_path: Path) -> None:
    """Add, list, rate, export, import, remove."""
    run("subscribers", "add", A, "--ask", "What is new?", "--category", "cs.CL", "--confirmed")
    listed = json.loads(run("subscribers", "list", "--json"))["subscribers"]
    assert [s["email"] for s in listed] == [A]
    assert listed[0]["questions"] == ["What is new?"]
    paper = json.loads(run("search", "retrieved passages", "--json"))["hits"][0]["paper_id"]
    assert "more: " in run("subscribers", "rate", A, paper, "more")
    assert "no paper with the id" in run("subscribers", "rate", A, "nonsense", "more", code=2)
    run("subscribers", "export", "--out", str(tmp_path / "readers.csv"))
    with (tmp_path / "readers.csv").open(encoding="utf-8", newline="") as file:
        assert [row["email"] for row in csv.DictReader(file)] == [A]
    assert "removed" in run("subscribers", "remove", A)
    file = str(tmp_path / "readers.csv")
    assert "1 added, 0 changed, 0 skipped; nothing is stored, because of --dry-run" in run(
        "subscribers", "import", file, "--dry-run"
    )
    assert "1 added, 0 changed, 0 skipped" in run("subscribers", "import", file)
    assert "0 added, 1 changed, 0 skipped" in run("subscribers", "import", file, "--replace")


@pytest.mark.parametrize(
    ("answer", "interests"),
    [
        ("add", ["graphs", "speech"]),
        ("replace", ["speech"]),
        ("cancel", ["graphs"]),
        ("", ["graphs", "speech"]),
    ],
)
def test_a_terminal_is_asked_before_entries_change(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, answer: str, interests: list[str]
) -> None:
    """It shows what is there; without a terminal, entries are added."""
    run("subscribers", "add", A, "--interest", "graphs", "--confirmed")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    run("subscribers", "add", A, "--interest", "speech")
    run("subscribers", "add", A, "--interest", interests[-1])  # nothing new: no question
    assert json.loads(run("subscribers", "list", "--json"))["subscribers"][0]["interests"] == interests


def test_entries_are_replaced_and_removed_on_request(run: Run, home: Path) -> None:
    """Without a question."""
    run(
        "subscribers",
        "add",
        A,
        "--interest",
        "graphs",
        "--not",
        "medical",
        "--author",
        "Jane Doe",
        "--confirmed",
    )
    run("subscribers", "add", A, "--interest", "speech", "--replace", "--without", "MEDICAL")
    (found,) = json.loads(run("subscribers", "list", "--json"))["subscribers"]
    assert (found["interests"], found["exclude"], found["authors"]) == (["speech"], [], ["Jane Doe"])
    assert "no entry medical" in run("subscribers", "add", A, "--without", "medical", code=2)
    assert "speech; by Jane Doe" in run("subscribers", "list")


def test_a_subscriber_is_shown(run: Run, home: Path) -> None:
    """What was sent and why each paper was chosen; then why nothing is sent."""
    subscribe(run)
    assert "no issue has been built" in run("subscribers", "show", A)
    run("digest", "build", *WEEK)
    run("digest", "send", "--outbox", str(home / "mine"))
    paper = json.loads(run("subscribers", "show", A, "--json"))["issues"][0]["papers"][0]
    assert paper["reason"] == "Your topic: retrieved passages"
    run("subscribers", "rate", A, paper["paper_id"], "less")
    told = run("subscribers", "show", A)
    assert f"{paper['paper_id']}; Your topic: retrieved passages" in told
    assert "exported 20" in told
    assert "less" in told
    run("subscribers", "remove", A)
    assert "does not exist" in run("subscribers", "show", A, code=2)


def test_the_schedule(run: Run, home: Path) -> None:
    """A cron line and both units, which name the library and the command."""
    told = run("digest", "schedule", "--day", "fri", "--at", "18:30", "--tz", "Europe/Berlin")
    assert f" PAPERAGENT_HOME={home} PAPERAGENT_TIMEZONE=Europe/Berlin " in told
    assert "OnCalendar=Fri 18:30 Europe/Berlin\nPersistent=true\n" in told
    assert f'Environment="PAPERAGENT_HOME={home}"' in told
    assert "0 7 * * * " in run("digest", "schedule", "--day", "daily")
    assert "0 7 * * 0 " in run("digest", "schedule", "--day", "sun")


@pytest.mark.parametrize("frequency", ["daily", "monthly"])
def test_the_schedule_is_daily_unless_all_get_weeks(
    run: Run, monkeypatch: pytest.MonkeyPatch, frequency: str
) -> None:
    """Or if the web page lets visitors ask for other issues."""
    run("subscribers", "add", B, "--frequency", frequency)
    assert "0 7 * * 1 " in run("digest", "schedule")
    with monkeypatch.context() as patch:
        patch.setenv("PAPERAGENT_WEB_SIGNUP", "true")
        for name, value in (
            ("PUBLIC_URL", "https://papers.example.org"),
            ("SECRET", SECRET),
            ("SMTP_URL", "smtp://127.0.0.1:25"),
            ("MAIL_FROM", "digest@test.example"),
        ):
            patch.setenv(f"PAPERAGENT_{name}", value)
        assert "0 7 * * * " in run("digest", "schedule")
    run("subscribers", "confirm", B)
    told = run("digest", "schedule")
    assert "0 7 * * * " in told
    assert "warning" not in told
    assert "1 subscriber asked for daily or monthly issues; use --day daily" in run(
        "digest", "schedule", "--day", "fri"
    )


def test_the_schedule_names_the_settings_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cron and systemd run it elsewhere: without the file, mails would end in the outbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", "smtp://127.0.0.1:25")
    assert "warning: PAPERAGENT_SMTP_URL is set only in this shell" in run("digest", "schedule")
    Path(".env").write_text("PAPERAGENT_MAIL_FROM=digest@test.example\n", encoding="utf-8")
    told = run("digest", "schedule")
    assert "warning" not in told
    assert f" digest run --env-file {tmp_path / '.env'}\n" in told
    assert f'"run" "--env-file" "{tmp_path / ".env"}"\n' in told
    other = tmp_path / "my settings"
    Path(".env").rename(other)
    assert f" digest run --env-file '{other}'\n" in run("digest", "schedule", "--env-file", str(other))


def test_doctor_knows_the_digest(run: Run, home: Path) -> None:
    """The digest's files beside the library are ours."""
    subscribe(run)
    run("digest", "build", *WEEK)
    run("digest", "send")
    assert "no unexpected files" in run("doctor")


def test_an_endpoint_that_is_down_costs_no_issue(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-346: the sentences are quoted instead, which the build says; exit 0."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{free_port()}/v1")
    monkeypatch.setenv("PAPERAGENT_MODEL", "some-model")
    monkeypatch.setenv("PAPERAGENT_TIMEOUT", "2")
    subscribe(run)
    told = run("digest", "build", *WEEK, "--mode", "llm")
    assert "2 issues built" in told
    assert "paperagent: warning: " in told


def test_the_cost_of_a_build_is_told_beforehand(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the model's price, with no call made and nothing built; quoting costs nothing."""
    from paperagent.testing import ScriptedServer

    assert run("digest", "build", *WEEK, "--estimate") == "no model calls\n"
    with ScriptedServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PAPERAGENT_PRICE", "0.1,0.5")
        said = run("digest", "build", *WEEK, "--mode", "llm", "--model", "some-model", "--estimate")
        assert server.history == []
    assert said.startswith("at most ")
    assert "model calls" in said
    assert re.search(r"\$0\.00[1-9]", said)
    assert json.loads(run("digest", "list", "--json"))["periods"] == []
