"""Signed mails: what receivers verify, byte for byte the same at every call."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mail_helpers import NOON, DeliveryHarness, Script, serving, transport

from paperagent.digest.delivery.dkim_signature import DkimSigner
from paperagent.digest.delivery.sender import Sender
from paperagent.digest.mailer import DkimKey, Mailer
from paperagent.errors import ConfigError

A = "a@test.example"
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up
SETTINGS = {
    "sender": "Päpers <digest@test.example>",
    "public_url": "https://papers.example.org",
    "secret": SECRET,
}
OPENSSL = shutil.which("openssl") or ""


def create_key(path: Path, bits: int = 2048) -> Path:
    """Create a private key as the error messages say."""
    if not OPENSSL:
        pytest.skip("openssl is not installed")
    subprocess.run([OPENSSL, "genrsa", "-out", path, str(bits)], check=True, capture_output=True, timeout=60)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_key(tmp_path_factory.mktemp("dkim") / "dkim.pem")


def dns(signer: DkimSigner | None) -> Callable[..., bytes | None]:
    """Return a function that answers from the record that we print."""
    assert signer is not None
    name, text = signer.dns_record

    def lookup(question: bytes, timeout: int = 5) -> bytes | None:
        return text.encode() if question.decode().rstrip(".") == name else None

    return lookup


def sent(tmp_path: Path, key: Path) -> tuple[bytes, Mailer]:
    """Send an issue through a mail server; return what arrived."""
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan(A)
    mailer = Mailer(tmp_path, **SETTINGS, dkim=DkimKey(key, "s1"))  # type: ignore[arg-type]
    script = Script()
    with serving(script) as url:
        line = transport(url)
        sender = Sender(harness.ledger, line, mailer.compose, mail_from="d@test.example", clock=harness.clock)
        assert sender.run().counts == {"sent": 1}
    ((_, raw),) = script.taken
    (delivery,) = harness.ledger.deliveries()
    assert mailer.compose(harness.ledger.issue(delivery.issue_id), delivery) == raw
    return raw, mailer


def test_what_arrives_is_signed(tmp_path: Path, key: Path) -> None:
    """With the sender's domain, the date of the mail and every header that matters."""
    import dkim

    raw, mailer = sent(tmp_path, key)
    assert dkim.verify(raw, dnsfunc=dns(mailer.signer))
    head = raw[: raw.index(b"\r\n\r\n")]
    signature = re.sub(rb"\s+", b"", head[: head.index(b"\r\nFrom:")])
    assert b";d=test.example;" in signature
    assert b";s=s1;" in signature
    assert f";t={int(NOON.timestamp())};".encode() in signature
    (names,) = re.findall(rb";h=([a-z:-]+);", signature)
    signed = names.split(b":")
    for name in re.findall(rb"(?m)^([A-Za-z-]+): ", head.partition(b"\r\nFrom:")[2]):
        assert name.lower() in signed
    for name in (b"from", b"to", b"subject", b"date", b"list-unsubscribe", b"list-unsubscribe-post"):
        assert signed.count(name) == 2
    assert max(map(len, head.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\nSubject: Papers", b"\r\nSubject: Other papers"),
        (b"\r\nSubject:", b"\r\nSubject: A second one\r\nSubject:"),
        (b"\r\nFrom:", b"\r\nFrom: b@test.example\r\nFrom:"),
        (b"List-Unsubscribe: <https://papers", b"List-Unsubscribe: <https://forged"),
        (b"\r\nList-Unsubscribe-Post:", b"\r\nX-Post:"),
        (b"<p>Hello", b"<p>Hell"),
        (b" t=", b" t=1"),
    ],
)
def test_a_change_breaks_it(tmp_path: Path, key: Path, old: bytes, new: bytes) -> None:
    """A changed, added or removed header, or a changed body."""
    import dkim

    raw, mailer = sent(tmp_path, key)
    assert raw.count(old) == 1
    assert not dkim.verify(raw.replace(old, new), dnsfunc=dns(mailer.signer))


def test_the_record_is_the_public_key(key: Path) -> None:
    """As openssl prints it."""
    signer = DkimSigner(key, "s1", "test.example")
    pem = subprocess.run(
        [OPENSSL, "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    public = "".join(pem.splitlines()[1:-1])
    assert signer.dns_record == ("s1._domainkey.test.example", f"v=DKIM1; k=rsa; p={public}")
    assert base64.b64decode(public)
    assert (signer.bits, signer.problems) == (2048, ())


def test_confirmation_mails_are_signed_too(tmp_path: Path, key: Path) -> None:
    import dkim

    mailer = Mailer(tmp_path, **SETTINGS, dkim=DkimKey(key, "s1", "example"))  # type: ignore[arg-type]
    mailer.send_confirmation(A, NOON, token="x" * 40, frequency="weekly")
    (mail,) = tmp_path.glob("*.eml")
    assert mailer.signer is not None
    assert mailer.signer.domain == "example"
    assert dkim.verify(mail.read_bytes(), dnsfunc=dns(mailer.signer))


def test_keys_that_cannot_be_used(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing, public, broken or short key, or a missing library: an error with its fix."""
    private = key.read_text(encoding="ascii")
    for content, message in (
        (None, "No such file"),
        ("", "not a private RSA key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "not a private RSA key"),
        (private[:400], "not a private RSA key"),
        (create_key(tmp_path / "short.pem", 512).read_text(encoding="ascii"), "has 512 bits; create one"),
    ):
        path = tmp_path / "key.pem"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content, encoding="ascii")
        with pytest.raises(ConfigError, match=rf"PAPERAGENT_DKIM_KEY_FILE.*{message}"):
            DkimSigner(path, "s1", "test.example")
    monkeypatch.setitem(sys.modules, "dkim.crypto", None)
    with pytest.raises(ConfigError, match=r"pip install 'paperagent\[mail\]'"):
        DkimSigner(key, "s1", "test.example")


def test_keys_that_others_can_read(tmp_path: Path) -> None:
    path = create_key(tmp_path / "dkim.pem", 1024)
    path.chmod(0o640)
    assert [
        re.split(": |; ", problem)[2:] for problem in DkimSigner(path, "s1", "test.example").problems
    ] == [
        ["other users can read it", "run chmod 600 on it"],
        ["the key has 1024 bits only", "create one", "openssl genrsa -out dkim.pem 2048"],
    ]


def test_a_key_that_cannot_be_used_stops_the_run(tmp_path: Path) -> None:
    """Before anything is claimed: it is not the fault of a message."""
    mailer = Mailer(tmp_path, **SETTINGS, dkim=DkimKey(tmp_path / "none.pem", "s1"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="No such file"):
        mailer.envelope_from(None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DKIM_KEY_FILE": "dkim.pem", "MAIL_FROM": "d@test.example"}, "needs PAPERAGENT_DKIM_SELECTOR"),
        ({"DKIM_SELECTOR": "s1", "MAIL_FROM": "d@test.example"}, "needs PAPERAGENT_DKIM_SELECTOR"),
        ({"DKIM_KEY_FILE": "dkim.pem", "DKIM_SELECTOR": "s1"}, "set PAPERAGENT_MAIL_FROM"),
        ({"DKIM_SELECTOR": "s1; v=x"}, "must be a name in DNS"),
    ],
)
def test_settings_that_do_not_go_together(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paperagent.config import load

    for name, value in settings.items():
        monkeypatch.setenv(f"PAPERAGENT_{name}", value)
    with pytest.raises(ConfigError, match=message):
        load()


def test_the_commands(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`digest dkim` prints the record in strings that fit into DNS; doctor warns about the domain."""
    from paperagent import PaperAgent
    from paperagent.cli import main
    from paperagent.feeds.reader import sample_path

    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    with PaperAgent() as agent:
        agent.ingest(sample_path())
    assert main.main(["digest", "dkim"]) == 3
    assert "PAPERAGENT_DKIM_KEY_FILE: not set; create a key" in capsys.readouterr().err
    values: dict[str, Any] = {
        "DKIM_KEY_FILE": key,
        "DKIM_SELECTOR": "s1",
        "DKIM_DOMAIN": "other.example",
        "MAIL_FROM": "d@test.example",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PAPERAGENT_{name}", str(value))
    assert main.main(["digest", "dkim"]) == 0
    out = capsys.readouterr().out
    assert out.startswith('s1._domainkey.other.example. IN TXT "v=DKIM1; k=rsa; p=')
    strings = re.findall('"([^"]*)"', out)
    assert len(strings) == 2
    assert "".join(strings) == DkimSigner(key, "s1", "other.example").dns_record[1]
    assert main.main(["doctor"]) == 0
    assert "other.example cannot sign for test.example" in capsys.readouterr().err
