"""From a feed to a mailbox, through a real mail server: the commands that a person types."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import postfix_server
import pytest

USERS = ["ana", "bo", "cy"]
INTERESTS = ["retrieved passages", "language models as judges", "speech recognition"]
SECRET = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # noqa: S105 - made up


@pytest.fixture(scope="module")
def postfix() -> Iterator[tuple[int, Path]]:
    """Run Postfix; its sockets need a path shorter than pytest's."""
    if reason := postfix_server.missing():
        pytest.skip(reason)
    short = tempfile.TemporaryDirectory(prefix="pf", dir="/tmp")
    with short as folder, postfix_server.serving(Path(folder), USERS) as server:
        yield server


def run(environ: dict[str, str], *argv: str, code: int = 0) -> str:
    """Run the program and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "paperagent", *argv],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sent(postfix: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ingest the sample feed, subscribe three subscribers, build and send; return the environment."""
    port, _ = postfix
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PAPERAGENT_", "OPENAI_"))}
    environ |= {
        "PAPERAGENT_HOME": str(tmp_path_factory.mktemp("postfix") / "library"),
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "PAPERAGENT_MAIL_FROM": "Paper digest <digest@test.example>",
        "PAPERAGENT_PUBLIC_URL": "https://papers.example.org",
        "PAPERAGENT_SECRET": SECRET,
    }
    run(environ, "ingest", "--quiet", "sample", "--date", "2026-06-24")
    for user, interest in zip(USERS, INTERESTS, strict=True):
        run(
            environ, "subscribers", "add", f"{user}@test.example", "--interest", interest, "--confirmed",
            "--ask", "How much does Tindersift shorten the prompt?",
        )  # fmt: skip
    built = run(environ, "digest", "build", "--week", "2026-W26")
    assert "issues built" in built
    environ["SENT"] = run(environ, "digest", "send", "--no-check")
    return environ


def test_every_subscriber_gets_one_mail(sent: dict[str, str], postfix: tuple[int, Path]) -> None:
    """What was planned arrives, once; a second run of everything sends nothing."""
    planned = run(sent, "digest", "list")
    for command in (["digest", "send"], ["digest", "build", "--week", "2026-W26"], ["digest", "send"]):
        run(sent, *command)
    assert "sent" in sent["SENT"]
    assert run(sent, "digest", "list") == planned
    got = {user: len(postfix_server.wait_for_mail(postfix[1], user, 1)) for user in USERS}
    assert set(got.values()) == {1}


def test_the_raw_headers(sent: dict[str, str], postfix: tuple[int, Path]) -> None:
    """One-click unsubscribing stands verbatim on one line of the delivered bytes, though it is long."""
    (raw,) = postfix_server.wait_for_mail(postfix[1], "ana", 1)
    head = raw.split(b"\n\n")[0]
    (line,) = [part for part in head.split(b"\n") if part.startswith(b"List-Unsubscribe:")]
    assert line.startswith(b"List-Unsubscribe: <https://papers.example.org/unsubscribe/")
    assert b"=?" not in line
    assert b"<mailto:digest@test.example?subject=unsubscribe%20" in line
    assert b"\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n" in head
    assert b"\nList-Id: " in head
    assert b"\nAuto-Submitted: auto-generated\n" in head
    assert b"Precedence" not in head
    message = message_from_bytes(raw, policy=policy.default)
    assert message["To"] == "ana@test.example"
    assert "22–28 June" in message["Subject"]
    kinds = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html"]


def test_the_token_of_the_mail_unsubscribes(sent: dict[str, str], postfix: tuple[int, Path]) -> None:
    """The mail that the link writes, once in a mailbox file, stops the digest for its subscriber alone."""
    import mailbox
    from email.message import EmailMessage
    from urllib.parse import unquote

    (raw,) = postfix_server.wait_for_mail(postfix[1], "ana", 1)
    header = str(message_from_bytes(raw)["List-Unsubscribe"])
    subject = unquote(header.split("?subject=")[1].rstrip(">"))
    path = Path(sent["PAPERAGENT_HOME"]) / "box"
    box = mailbox.mbox(path)
    reply = EmailMessage()
    reply["From"], reply["Subject"] = "whoever@else.example", subject
    reply.set_content("please")
    box.add(reply)
    box.close()
    assert "1 unsubscribed" in run(sent, "subscribers", "import-unsubscribes", str(path))
    path.unlink()
    run(sent, "subscribers", "add", "ana@test.example", code=2)


def test_an_unknown_mailbox_fails_and_is_told(sent: dict[str, str]) -> None:
    """Postfix refuses it at RCPT; exit 8, the subscriber is marked, the others are not touched."""
    run(sent, "subscribers", "add", "nobody@test.example", "--confirmed", "--interest", INTERESTS[0])
    run(sent, "digest", "build", "--week", "2026-W26", "--only", "nobody@test.example")
    told = run(sent, "digest", "send", "--no-check", code=8)
    assert "paperagent: error: digest: messages not delivered: 1 failed" in told
    assert "550" in told
    assert "bounced" in run(sent, "subscribers", "list")
