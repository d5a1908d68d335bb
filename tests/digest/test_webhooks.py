"""Issues that go to webhooks: once, signed, and as text of strangers that nothing executes or notifies."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import issues
import pytest
from mail_helpers import WEEK, DeliveryHarness, free_port

from paperagent.digest.delivery.sender import RETRY_DELAYS, Sender, SendReport
from paperagent.digest.delivery.stored_issues import NewIssue
from paperagent.digest.delivery.transport import Outbox
from paperagent.digest.delivery.webhook_transport import WebhookTransport
from paperagent.digest.links import SignedTokens, SubscriberLinks
from paperagent.digest.render.view import issue_view
from paperagent.digest.render.webhook_payload import (
    MAX_MATTERMOST_TEXT,
    MAX_SLACK_BLOCKS,
    MAX_SLACK_TEXT,
    MAX_TEAMS_BYTES,
    WEBHOOK_KINDS,
    webhook_content,
    webhook_payload,
)
from paperagent.digest.webhooks import Webhooks
from paperagent.errors import ConfigError, InputError

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up
OLD = "fedcba9876543210fedcba9876543210"
AT = "2026-06-29T12:00:00Z"
HOSTILE = [
    "<!channel> <@U123> @channel @all @here <!everyone>",
    "<https://evil.example|Slack update> [click](https://evil.example) ![x](https://evil.example/x.png)",
    "*bold* _it_ ~no~ `code` # head > quote & &amp; &lt;!channel&gt; | a | b |",
    "x](https://evil.example) <script>alert(1)</script> \\](javascript:alert(1))",
    "https://evil.example www.evil.example evil@evil.example",
]


def content(title: str = "", papers: int = 1) -> dict[str, Any]:
    """Return what an issue says, with a title in every place of a stranger's text."""
    if not title:
        return webhook_content(issue_view(issues.issue(), SubscriberLinks()))
    paper = {
        "title": title, "url": "https://arxiv.org/abs/2606.00001", "id": title, "authors": title,
        "published": "24 June", "sentences": [title, title], "why": title,
    }  # fmt: skip
    return {
        "period": "2026-W26", "days": "22–28 June", "subject": title, "screened": "", "label": "",
        "themes": [{"title": title, "papers": [paper] * papers}],
        "questions": [{"question": title, "answer": [title]}],
        "updates": [{**paper, "note": "withdrawn"}],
    }  # fmt: skip


# --- the shapes ---


@pytest.mark.parametrize("kind", WEBHOOK_KINDS)
def test_each_shape_says_what_the_mail_says(kind: Any) -> None:
    """Titles, sentences and reasons of an issue, with links; the same bytes at every call."""
    raw = webhook_payload(kind, content(), sent_at=AT)
    assert raw == webhook_payload(kind, content(), sent_at=AT)
    text = re.sub(r"\\\\|\u200b", "", raw.decode())
    for theme in content()["themes"]:
        for paper in theme["papers"]:
            assert paper["title"].split()[0] in text
            assert paper["sentences"][0].split()[0] in text
    assert "https://" in text


def texts(value: Any) -> Iterator[str]:
    """Yield every string in a payload."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


@pytest.mark.parametrize("title", HOSTILE)
def test_slack_text_is_inert(title: str) -> None:
    """The only angle brackets are those of our own links; no formatting, mention or preview."""
    payload = json.loads(webhook_payload("slack", content(title), sent_at=AT))
    assert (payload["unfurl_links"], payload["unfurl_media"]) == (False, False)
    for block in payload["blocks"][1:]:
        text = block["text"]
        assert (text["type"], text["verbatim"]) == ("mrkdwn", True)
        assert re.findall(r"<[^|>]*", text["text"]) in ([], ["<https://arxiv.org/abs/2606.00001"])
        ours = re.sub(r"<https://arxiv\.org/abs/2606\.00001\|([^<>]*)>", r"\1", text["text"])
        assert "<" not in ours
        assert not re.search(r"&(?!amp;|lt;|gt;)", ours)
        stripped = re.sub(r"\u200b[*_~`]\u200b", "", ours)
        assert not re.search(r"[*_~`]", re.sub(r"(?m)^[*_]|[*_]$", "", stripped))  # ours enclose a line
    assert not [t for t in texts(payload) if re.search("@(?!\u200b)", t)]


@pytest.mark.parametrize("title", HOSTILE)
def test_mattermost_text_is_inert(title: str) -> None:
    """Every character of Markdown is escaped, except in our own links and headings."""
    (text,) = texts(json.loads(webhook_payload("mattermost", content(title), sent_at=AT)))
    assert not re.search("@(?!\u200b)", text)
    ours = text.replace("](https://arxiv.org/abs/2606.00001)", "").replace("**", "")
    ours = re.sub(r"(?m)^#{4,5} |^(withdrawn: )?\[|\[(?=\\)", "", ours)
    plain = re.sub(r"\\.", "", ours)
    assert not re.search(r"[][()<>`*_#!|~]", plain), plain
    assert "://" not in plain


@pytest.mark.parametrize("title", HOSTILE)
def test_teams_text_is_inert(title: str) -> None:
    """Text stands in text runs only, which have no markup; the only action opens our link."""
    payload = json.loads(webhook_payload("teams", content(title), sent_at=AT))
    (attachment,) = payload["attachments"]
    for block in attachment["content"]["body"]:
        assert block["type"] == "RichTextBlock"
        (run,) = block["inlines"]
        assert run["type"] == "TextRun"
        assert run.get("selectAction") in (
            None, {"type": "Action.OpenUrl", "url": "https://arxiv.org/abs/2606.00001"}
        )  # fmt: skip
        assert not re.search("@(?!\u200b)", run["text"])
    assert "entities" not in json.dumps(payload)


@pytest.mark.parametrize("papers", [0, 1, 30, 80])
@pytest.mark.parametrize("title", ["x" * 5_000, "ä€😀" * 400, "*" * 3_000, "A usual title of a paper"])
def test_the_limits_of_the_services(title: str, papers: int) -> None:
    """Papers at the end give way, and the message says how many."""
    issue = content(title, papers)
    slack = json.loads(webhook_payload("slack", issue, sent_at=AT))
    assert len(slack["blocks"]) <= MAX_SLACK_BLOCKS
    assert all(0 < len(b["text"]["text"]) <= MAX_SLACK_TEXT for b in slack["blocks"])
    assert len(slack["blocks"][0]["text"]["text"]) <= 150
    (text,) = texts(json.loads(webhook_payload("mattermost", issue, sent_at=AT)))
    assert len(text) <= MAX_MATTERMOST_TEXT
    raw = webhook_payload("teams", issue, sent_at=AT)
    assert len(raw) <= MAX_TEAMS_BYTES
    if papers == 80:
        assert re.search(r"and \d+ more", json.dumps(slack))
        assert re.search(r"and \d+ more", text)
        assert re.search(r"and \d+ more", raw.decode())
    assert (
        len(json.loads(webhook_payload("json", issue, sent_at=AT))["data"]["themes"][0]["papers"]) == papers
    )


# --- posting ---


@dataclass
class Hook:
    """What a server answers, and what it has received."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    fate: str = ""
    """``slow``: a byte now and then; ``close``: hang up after the body."""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def serving_hook(hook: Hook) -> Iterator[str]:
    """Run an HTTP server; give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            if hook.fate == "close":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if hook.fate == "slow":
                for byte in b"HTTP/1.1 200 OK\r\n":
                    time.sleep(0.2)
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(hook.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Say nothing: some clients leave early."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook/T0KEN"
        finally:
            server.shutdown()
            thread.join(timeout=10)


@dataclass
class Desk:
    """A digest with webhooks."""

    harness: DeliveryHarness
    tokens: SignedTokens | None = field(default_factory=lambda: SignedTokens(SECRET))

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.harness.database, self.harness.subscribers, self.tokens)

    def plan(self, url: str, kind: Any = "json") -> str:
        """Add a webhook and store its issue; return its label."""
        subscriber = self.webhooks.add(url, kind).subscriber
        issue = NewIssue(
            WEEK, subscriber.id, "s", "p", "<p>x</p>", "x", ("paper-1",),
            f"<2026-W26.{subscriber.id}@x.example>", {"webhook": content()},
        )  # fmt: skip
        self.harness.ledger.store_issues([issue], self.harness.clock())
        return subscriber.email

    def send(self, transport: Any = None, **options: Any) -> SendReport:
        line = transport or WebhookTransport(self.webhooks.find, timeout=1.0, now=lambda: 1782734400.0)
        ledger, clock = self.harness.ledger, self.harness.clock
        sender = Sender(ledger, line, self.webhooks.compose, mail_from="", webhooks=True, clock=clock)
        return sender.run(**options)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(DeliveryHarness(tmp_path / "digest.db"))


def test_a_signed_request(desk: Desk) -> None:
    """As Standard Webhooks verifies it, with the key that `add-webhook` prints; once."""
    desk = Desk(desk.harness, SignedTokens(f"{SECRET},{OLD}"))
    hook = Hook()
    with serving_hook(hook) as url:
        label = desk.plan(url)
        assert desk.send().counts == {"sent": 1}
        assert desk.send().counts == {}
    ((headers, body),) = hook.received
    assert headers["content-type"] == "application/json"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("2026-W26.1@x.example", "1782734400")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    verified = 0
    for secret in (SECRET, OLD):  # the old one still verifies, so that a receiver can change later
        webhooks = Webhooks(desk.harness.database, desk.harness.subscribers, SignedTokens(secret))
        key = webhooks.signing_secret(label)
        expected = hmac.digest(base64.b64decode(key.removeprefix("whsec_")), signed, "sha256")
        verified += f"v1,{base64.b64encode(expected).decode()}" in headers["webhook-signature"].split()
    assert verified == 2
    payload = json.loads(body)
    assert payload["type"] == "digest.issue"
    assert payload["data"]["period"] == issues.issue().period.name


def test_services_get_no_signature(desk: Desk) -> None:
    hook = Hook()
    with serving_hook(hook) as url:
        desk.plan(url, "slack")
        assert desk.send().counts == {"sent": 1}
    assert "webhook-signature" not in hook.received[0][0]
    assert b'"blocks"' in hook.received[0][1]


@pytest.mark.parametrize(
    ("hook", "state"),
    [
        (Hook(204, body=b""), "sent"),
        (Hook(202), "sent"),
        (Hook(429, {"Retry-After": "7200"}), "deferred"),
        (Hook(500), "deferred"),
        (Hook(503), "deferred"),
        (Hook(400, body=b"invalid_payload"), "failed"),
        (Hook(403), "failed"),
        (Hook(302, {"Location": "http://127.0.0.1:9/elsewhere"}), "failed"),
        (Hook(404, body=b"no_service"), "failed"),
        (Hook(410), "failed"),
        (Hook(502), "unknown"),
        (Hook(504), "unknown"),
        (Hook(fate="close"), "unknown"),
        (Hook(fate="slow"), "unknown"),
        (Hook(200, body=b"x" * 5_000_000), "sent"),
        (Hook(200, {"Content-Length": "100"}), "sent"),  # what it decided is known without all of the body
        (Hook(200, {"Content-Encoding": "gzip"}), "sent"),
        (Hook(403, {"Content-Length": "100"}), "failed"),
    ],
)
def test_what_a_server_may_do(desk: Desk, hook: Hook, state: str) -> None:
    """Received once, whatever it answers; what is not known is not posted again by itself."""
    with serving_hook(hook) as url:
        label = desk.plan(url)
        began = time.monotonic()
        report = desk.send()
        assert time.monotonic() - began < 20
        assert report.counts == {state: 1}
        assert "T0KEN" not in str(report.problems)
        assert desk.harness.states() == {label: state}
        assert desk.send().counts == {}
    assert len(hook.received) == 1
    gone = hook.status in {404, 410}
    assert desk.harness.subscribers.find(label).state == ("bounced" if gone else "confirmed")


def test_retry_after_is_respected(desk: Desk) -> None:
    """Longer than our own delay; then the same message with the same id."""
    hook = Hook(429, {"Retry-After": "7200"})
    with serving_hook(hook) as url:
        desk.plan(url)
        desk.send()
        hook.status = 200
        desk.harness.clock.time += RETRY_DELAYS[0]
        assert desk.send().counts == {}
        desk.harness.clock.wait(hours=2)
        assert desk.send().counts == {"sent": 1}
    assert hook.received[0][1] == hook.received[1][1]
    assert hook.received[0][0]["webhook-id"] == hook.received[1][0]["webhook-id"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("60", 60),
        ("999999999", 86_400),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
    ],
)
def test_values_of_retry_after(value: str, seconds: int) -> None:
    from paperagent.digest.delivery.webhook_transport import _retry_after

    assert _retry_after(value) == dt.timedelta(seconds=seconds)


def test_a_server_that_is_not_there(desk: Desk) -> None:
    """Nothing was sent, so it is tried again; the URL is not shown."""
    desk.plan(f"http://127.0.0.1:{free_port()}/T0KEN")
    report = desk.send()
    assert report.counts == {"deferred": 1}
    assert "T0KEN" not in str(report.problems)


def test_unknown_is_posted_again_only_when_asked(desk: Desk) -> None:
    hook = Hook(fate="close")
    with serving_hook(hook) as url:
        desk.plan(url)
        desk.send()
        hook.fate = ""
        assert desk.send(resend_unknown=True).counts == {"sent": 1}
    assert hook.received[0][1] == hook.received[1][1]


def test_mails_and_posts_are_separate(desk: Desk, tmp_path: Path) -> None:
    """A run for webhooks touches no mail; without a mail server webhooks are posted all the same."""
    hook = Hook()
    desk.harness.plan("a@test.example")
    with serving_hook(hook) as url:
        label = desk.plan(url)
        assert desk.harness.send(Outbox(tmp_path / "outbox"), period=None).counts == {"written": 1}
        assert desk.send().counts == {"sent": 1}
    assert desk.harness.states() == {"a@test.example": "written", label: "sent"}


def test_removed_and_changed(desk: Desk) -> None:
    """By label or by URL; the row with the URL goes too."""
    url = "https://hooks.example.org/T0KEN"
    label = desk.plan(url)
    assert re.fullmatch(r"webhook:hooks\.example\.org:[0-9a-f]{12}", label)
    assert not desk.webhooks.add(url, "teams").new
    assert desk.harness.subscribers.find(url).email == label
    assert desk.harness.subscribers.remove(label)
    assert desk.webhooks.find(label) is None
    assert desk.webhooks.add(url, "slack").new  # the operator may add it again
    with desk.harness.database.reading() as db:
        assert db.execute("SELECT count(*) FROM webhook").fetchone() == (1,)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.org/x", "ftp://h/x", "https://", "https://u:p@h/x", "https://h/x y",
     "https://h:0/x", "https://h/\n", "https://ä/", "javascript:alert(1)", "a@test.example", "https://h/#x",
     "https://h/" + "x" * 2_000],
)  # fmt: skip
def test_urls_that_are_refused(desk: Desk, url: str) -> None:
    with pytest.raises(InputError, match="webhook: "):
        desk.webhooks.add(url, "slack")
    assert desk.harness.subscribers.all() == []


@pytest.mark.parametrize(
    "address", ["https://hooks.example.org/T0KEN", "webhook:hooks.example.org:0123456789ab"]
)
def test_a_webhook_without_its_kind(desk: Desk, address: str) -> None:
    """`subscribers add` does not know the kind; it says which command does, and adds nothing."""
    with pytest.raises(InputError, match="add-webhook slack") as caught:
        desk.harness.subscribers.add(address, confirmed=True)
    assert "T0KEN" not in str(caught.value)
    assert desk.harness.subscribers.all() == []
    label = desk.plan("https://hooks.example.org/T0KEN", "slack")
    assert not desk.harness.subscribers.add(label, frequency="daily").new  # a known one can be changed
    assert desk.harness.subscribers.find(label).frequency == "daily"


def test_a_signed_webhook_needs_a_secret(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="PAPERAGENT_SECRET"):
        Webhooks(desk.harness.database, desk.harness.subscribers, None).add("https://h.example/x", "json")
    assert desk.harness.subscribers.all() == []


def test_nothing_is_posted_unsigned(desk: Desk) -> None:
    """If the secret is missing later, a signed webhook waits for it, and the others are posted."""
    hook = Hook()
    with serving_hook(hook) as url:
        label, other = desk.plan(url), desk.plan(f"{url}/chat", "slack")
        without = Desk(desk.harness, None)
        report = without.send()
        assert "PAPERAGENT_SECRET" in report.problems[0][2]
        assert desk.harness.states() == {label: "deferred", other: "sent"}
        desk.harness.clock.time += RETRY_DELAYS[0]
        assert desk.send().counts == {"sent": 1}
    assert ["webhook-signature" in headers for headers, _ in hook.received] == [False, True]


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Added, built, posted, listed by its label; the URL is printed nowhere."""
    from paperagent import PaperAgent
    from paperagent.cli import main
    from paperagent.feeds.reader import sample_path

    for name, value in (("HOME", str(tmp_path / "library")), ("EMBEDDER", "none"), ("SECRET", SECRET)):
        monkeypatch.setenv(f"PAPERAGENT_{name}", value)
    with PaperAgent() as agent:
        agent.ingest(sample_path(), date="2026-06-24")
    hook = Hook()
    with serving_hook(hook) as url:
        add = ["subscribers", "add-webhook", "json", url, "--interest", "retrieved passages"]
        commands = [
            add, ["digest", "build", "--week", "2026-W26"], ["digest", "send", "--dry-run"],
            ["digest", "send"], ["digest", "send"], ["digest", "list"], ["subscribers", "list"],
            ["subscribers", "export"],
        ]  # fmt: skip
        told = ""
        for command in commands:
            assert main.main(command) == 0, capsys.readouterr().err
            told += capsys.readouterr().out
    assert "signing key: whsec_" in told
    assert "1 message written to" in told
    assert "messages: 1 sent" in told
    assert "webhook:127.0.0.1:" in told
    assert "T0KEN" not in told
    ((_, body),) = hook.received
    (title,) = {t["papers"][0]["title"] for t in json.loads(body)["data"]["themes"][:1]}
    assert title
    (dry,) = (tmp_path / "library" / "outbox" / "dry-run").glob("*.json")
    assert dry.read_bytes() == body
