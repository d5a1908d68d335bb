"""`digest setup` in a terminal, with a real mail server on this machine; and its plain commands."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from mail_helpers import Script, free_port, serving

from paperagent import PaperAgent
from paperagent.cli import main
from paperagent.cli.digest_setup import _CRON_MARK, _install
from paperagent.config import load
from paperagent.errors import ConfigError
from paperagent.factory.digest import digest_service
from terminal import Terminal

PAPER = '{"title": "On moths", "abstract": "Moths circle lamps at night, for hours."}\n'
ADDRESS = "ana@test.example"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environment of a new user, whose crontab has a line of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.jsonl").write_text(PAPER, encoding="utf-8")
    (tmp_path / "tab").write_text("5 5 * * * mine\n", encoding="utf-8")
    crontab = tmp_path / "bin" / "crontab"
    crontab.parent.mkdir()
    crontab.write_text(f'#!/bin/sh\ncd "{tmp_path}"\nif [ "$1" = -l ]; then cat tab; else cat > tab; fi\n')
    crontab.chmod(0o755)
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    return {**os.environ, "TERM": "xterm", "PATH": f"{crontab.parent}:{os.environ['PATH']}"}


def answer(environ: dict[str, str], dialog: list[tuple[str, str]], *, columns: int = 80) -> str:
    """Answer each question of `digest setup`, and return the output as a single line."""
    with Terminal(
        [sys.executable, "-m", "paperagent", "digest", "setup"], environ, columns=columns
    ) as terminal:
        for question, reply in dialog:
            terminal.expect(question)
            terminal.type(f"{reply}\n")
        terminal.expect("Done.")
        assert terminal.wait() == 0
        return terminal.text()


NOTHING = [
    ("Add a feed", ""),
    ("Add an email", ""),
    ("Mail server,", ""),
    ("Time zone,", ""),
    ("Type cron", ""),
]


@pytest.mark.parametrize("columns", [80, 40])
def test_everything_is_set_up_once(environ: dict[str, str], tmp_path: Path, columns: int) -> None:
    """Each step, with a wrong answer where one is likely; a second run shows it all and changes nothing."""
    settings = tmp_path / ".env"
    settings.write_text("# mine\nPAPERAGENT_TOP_K=7\n\nPAPERAGENT_MAIL_FROM=old@test.example # for now\n")
    settings.chmod(0o644)
    script = Script()
    with serving(script) as url:
        shown = answer(environ, [
            ("Add a feed", "nonsense:x"), ("Add a feed", str(tmp_path / "page.jsonl")), ("Add a feed", ""),
            ("Read 1 feed", "y"),
            ("Add an email", "no address"),
            ("Add an email", ADDRESS), ("Topics", "moths; lamps"), ("agreed", "y"), ("Add an email", ""),
            ("Mail server,", f"127.0.0.1:{free_port()}"), ("User", ""), ("Sender,", "p@test.example"),
            ("Mail server,", url), ("User", ""), ("Sender,", ""),
            ("Mail server,", url), ("User", ""), ("Sender,", "Papers <p@test.example>"),
            ("Send a test", ADDRESS),
            ("Time zone,", "Mars/Phobos"), ("Time zone,", "Asia/Tokyo"),
            ("Type cron", "cron"),
        ], columns=columns)  # fmt: skip
        assert [to for to, _ in script.taken] == [ADDRESS]
        again = answer(environ, [
            ("Add a feed", ""), ("Add an email", ""), ("Send a test", ""),
            ("Time zone,", ""), ("Type cron", ""),
        ], columns=columns)  # fmt: skip
    for text in (
        "neither a file nor a service",
        "1 paper read, 1 new",
        "must have an @-sign",
        "cannot be reached",
        "sender: none;",
        "unknown time zone",
    ):
        assert text in shown
    assert f"{ADDRESS} (confirmed)" in again
    assert "all feeds have been read" in again
    assert "mail server: connected and accepted" in again
    assert "the job is in your crontab" in again
    assert len(script.taken) == 1

    *lines, secret, zone = settings.read_text(encoding="utf-8").splitlines()
    assert lines == [
        "# mine",
        "PAPERAGENT_TOP_K=7",
        "",
        "PAPERAGENT_MAIL_FROM='Papers <p@test.example>'",
        f"PAPERAGENT_SMTP_URL={url}",
    ]
    assert (secret.partition("=")[0], zone) == ("PAPERAGENT_SECRET", "PAPERAGENT_TIMEZONE=Asia/Tokyo")
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    mine, *_, line, end = (tmp_path / "tab").read_text(encoding="utf-8").splitlines()
    assert (mine, end) == ("5 5 * * * mine", "# end of paperagent digest")
    assert line.endswith(f"digest run --env-file {settings}")
    with digest_service(load()) as service:
        (subscriber,) = service.subscribers.all(state="confirmed")
        assert subscriber.preferences.interests == ("moths", "lamps")
        assert service.ledger.period_summaries() == []


def test_a_login_that_fails_is_not_written(environ: dict[str, str], tmp_path: Path) -> None:
    """And the password is never shown."""
    with PaperAgent() as agent:
        agent.ingest(tmp_path / "page.jsonl")
    with serving(Script()) as url:
        shown = answer(environ, [
            ("Add a feed", ""), ("Add an email", ""),
            ("Mail server,", url), ("User", "ana"), ("Password (not shown):", "s3cret@/:"),
            ("Sender,", ADDRESS),
            ("Mail server,", ""), ("Time zone,", ""), ("Type cron", ""),
        ])  # fmt: skip
    assert "no supported login method" in shown
    assert "s3cret" not in shown
    assert not (tmp_path / ".env").exists()


def test_enter_changes_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    """Nor does it write a file of settings."""
    with PaperAgent() as agent:
        agent.ingest(tmp_path / "page.jsonl")
    shown = answer(environ, NOTHING)
    assert "no mail server: messages are written to the outbox" in shown
    assert not (tmp_path / ".env").exists()
    assert (tmp_path / "tab").read_text(encoding="utf-8") == "5 5 * * * mine\n"


def test_installing_again_replaces_only_the_own_job(environ: dict[str, str], tmp_path: Path) -> None:
    """Other lines of the crontab stay, before and after it."""
    with PaperAgent() as agent:
        agent.ingest(tmp_path / "page.jsonl")
    install = [*NOTHING[:-1], ("Type cron", "cron")]
    answer(environ, install)
    tab = tmp_path / "tab"
    tab.write_text(tab.read_text(encoding="utf-8") + "6 6 * * * also mine\n", encoding="utf-8")
    answer(environ, install)
    lines = tab.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["5 5 * * * mine", "6 6 * * * also mine"]
    assert sum("digest run" in line for line in lines) == 1


@pytest.mark.parametrize("listing", ["exit 1", "echo 'permission denied' >&2; exit 1", "cat tab"])
def test_a_crontab_that_cannot_be_read_or_was_edited_is_kept(tmp_path: Path, listing: str) -> None:
    """Nothing is written over a crontab that is unknown, or whose job has lost its last line."""
    tab = tmp_path / "tab"
    text = f"5 5 * * * mine\n{_CRON_MARK} {tmp_path}\n0 7 * * * paperagent digest run\n6 6 * * * also mine\n"
    tab.write_text(text, encoding="utf-8")
    program = tmp_path / "crontab"
    program.write_text(f'#!/bin/sh\ncd "{tmp_path}"\nif [ "$1" = -l ]; then {listing}; else cat > tab; fi\n')
    program.chmod(0o755)
    with pytest.raises(ConfigError, match="crontab: "):
        _install(str(program), "# job\n0 7 * * * paperagent digest run", tmp_path)
    assert tab.read_text(encoding="utf-8") == text


def test_without_a_terminal_the_plain_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that runs it learns what to run instead."""
    assert main.main(["digest", "setup"]) == 2
    told = capsys.readouterr().err
    assert "needs a terminal; 'paperagent feeds add', 'ingest --follow', 'subscribers add'" in told


@pytest.mark.usefixtures("environ")
def test_a_test_message_marks_nothing(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It goes to any address, says what it is, and is no issue; without a server it is an error."""
    with PaperAgent() as agent:
        agent.ingest(tmp_path / "page.jsonl")
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "p@test.example")
    assert main.main(["digest", "test-mail", ADDRESS]) == 3
    assert "PAPERAGENT_SMTP_URL: not set" in capsys.readouterr().err
    script = Script()
    with serving(script) as url:
        monkeypatch.setenv("PAPERAGENT_SMTP_URL", url)
        assert main.main(["digest", "test-mail", ADDRESS]) == 0
        assert main.main(["digest", "test-mail", "no address"]) == 2
    assert f"test message to {ADDRESS}: sent" in capsys.readouterr().out
    ((to, raw),) = script.taken
    assert to == ADDRESS
    assert b"Subject: Test of the paper digest\r\n" in raw
    with digest_service(load()) as service:
        assert service.subscribers.all() == []
        assert service.ledger.deliveries() == []
