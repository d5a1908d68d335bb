"""Subscribing: one answer for every address, mails only where they are wanted, and nothing half confirmed."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import pytest
from mail_helpers import Clock, Script, free_port, serving
from starlette.testclient import TestClient
from web_server import READERS, SECRET, client, process

from paperagent import PaperAgent
from paperagent.cli import main
from paperagent.digest.links import SignedTokens
from paperagent.digest.service import DigestService
from paperagent.digest.subscribers import Subscribers
from paperagent.errors import MailError
from paperagent.web import signup
from paperagent.web.rate_limit import RateLimiter

TOKENS = SignedTokens(SECRET)
ANA, BO, CY = READERS
WISHES = {"interests": "casino bonus\nhttps://evil.example", "frequency": "daily"}
START = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


class FormSite:
    """A site that sends mails to a scripted server, with a clock of the test."""

    def __init__(self, http: TestClient, clock: Clock, mails: Script) -> None:
        self.http, self.clock, self.mails = http, clock, mails

    def subscribe(self, email: str, *, wait: float = 10, **fields: str) -> Any:
        """Fill in the form and send it; return the response once the mail is sent."""
        opened = re.search(r'name="t" value="([^"]+)"', self.http.get("/subscribe").text)
        assert opened is not None
        self.clock.wait(seconds=wait)
        self.unlimited()
        response = self.http.post("/subscribe", data={"email": email, "t": opened[1], **WISHES, **fields})
        self.drain()
        return response

    def unlimited(self) -> None:
        """Forget the requests that count against the rate limits."""
        self.http.app.state.site.limiter = RateLimiter()  # type: ignore[attr-defined]

    def drain(self) -> None:
        """Wait until the tasks in the background are done."""
        self.http.app.state.site.run_later(lambda: None).result(30)  # type: ignore[attr-defined]

    def texts(self) -> list[str]:
        """Return the plain text of each mail that was sent."""
        mails = (message_from_bytes(raw, policy=policy.default) for _, raw in self.mails.taken)
        return [mail.get_body(("plain",)).get_content() for mail in mails]  # type: ignore[union-attr]

    def link(self) -> str:
        """Return the path of the link in the last mail."""
        found = re.search(r"https://papers\.example\.org(/\S+)", self.texts()[-1])
        assert found is not None
        return found[1]

    def requests(self) -> list[tuple[Any, ...]]:
        """Return the stored requests."""
        with self.http.app.state.site.database.reading() as db:  # type: ignore[attr-defined]
            return list(db.execute("SELECT address, preferences, confirmed_at FROM request"))


@pytest.fixture
def site(digest: DigestService, monkeypatch: pytest.MonkeyPatch) -> Iterator[FormSite]:
    """Yield a site with a mail server."""
    mails, clock = Script(), Clock(START)
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "Paper digest <digest@test.example>")
    with serving(mails) as url:
        monkeypatch.setenv("PAPERAGENT_SMTP_URL", url)
        with PaperAgent() as agent, client(agent, clock=clock) as http:
            yield FormSite(http, clock, mails)


def rows(home: Path) -> list[tuple[Any, ...]]:
    """Return the table of subscribers."""
    with sqlite3.connect(home / "digest.db") as connection:
        return list(connection.execute("SELECT * FROM subscriber ORDER BY id"))


# --- one answer for all ---


def prepare(digest: DigestService, case: str, email: str) -> None:
    """Bring an address into a state."""
    subscribers = digest.subscribers
    if case == "removed":
        subscribers.add(email, confirmed=True)
        subscribers.remove(email)
    elif case == "complained":
        subscribers.suppress(email, "complained")
    elif case != "unknown":
        subscriber = subscribers.add(email, confirmed=case != "pending").subscriber
        if case == "left":
            subscribers.unsubscribe(subscriber.id)
        elif case == "bounced":
            with digest._database.writing() as db:
                db.execute("UPDATE subscriber SET state = 'bounced' WHERE id = ?", (subscriber.id,))


CASES = {
    "unknown": "CONFIRM YOUR SUBSCRIPTION",
    "pending": "CONFIRM YOUR SUBSCRIPTION",
    "confirmed": "YOU ARE ALREADY SUBSCRIBED",
    "left": "You unsubscribed from this digest. Someone, probably you,",
    "bounced": "",
    "complained": "",
    "removed": "",
}
"""State of an address → what its mail says, if it gets one."""


def test_every_address_gets_the_same_answer(site: FormSite, digest: DigestService, digest_home: Path) -> None:
    """Equal bytes for seven kinds of addresses; each gets the mail that fits, and no subscriber changes."""
    for case in CASES:
        prepare(digest, case, f"{case}@test.example")
    before = rows(digest_home)
    answers = [site.subscribe(f"{case}@test.example") for case in CASES]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {case: sum(f"{case}@test.example" == to for to, _ in site.mails.taken) for case in CASES} == {
        case: int(bool(text)) for case, text in CASES.items()
    }
    texts = dict(zip(site.mails.recipients(), site.texts(), strict=True))
    for case, text in CASES.items():
        assert text in " ".join(texts.get(f"{case}@test.example", "").split())
    assert all("casino" not in text and "evil" not in text for text in texts.values())
    assert rows(digest_home) == before
    assert {address for address, *_ in site.requests()} == {
        f"{case}@test.example" for case in ("unknown", "pending", "left")
    }


def test_an_address_gets_one_mail_a_day(site: FormSite) -> None:
    """Whoever enters it, in whatever spelling."""
    for email in ("new@test.example", "NEW@test.example", "new+x@test.example", ANA, ANA.upper()):
        site.subscribe(email)
    assert sorted(site.mails.recipients()) == [ANA, "new@test.example"]
    site.clock.wait(days=1)
    site.subscribe(ANA)
    assert len(site.mails.taken) == 3


def test_who_unsubscribed_by_mistake_may_return_the_same_day(site: FormSite, digest: DigestService) -> None:
    """Once for each time that they left, three times a day in all; the answers stay equal."""
    subscribers = Subscribers(digest._database, clock=site.clock)
    answers, mails = set(), []
    for _ in range(4):
        answers |= {site.subscribe("new@test.example").content for _ in range(2)}
        mails.append(len(site.mails.taken))
        site.http.post(site.link())
        subscribers.unsubscribe(subscribers.find("new@test.example").id)
    assert mails == [1, 2, 3, 3]
    assert len(answers) == 1


def test_the_operator_sees_who_has_not_confirmed(site: FormSite, capsys: pytest.CaptureFixture[str]) -> None:
    """Not those who have, and not those whose request has expired."""
    site.clock.time = dt.datetime.now(dt.UTC) - dt.timedelta(hours=49)
    site.subscribe("late@test.example")
    site.clock.wait(hours=47)
    for name in ("new", "done"):
        site.subscribe(f"{name}@test.example")
    site.http.post(site.link())
    assert main.main(["subscribers", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "requested" in line] == [
        "- requested: new@test.example — daily, requested 1 hour ago, not confirmed"
    ]
    assert main.main(["subscribers", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [request["email"] for request in listed["requests"]] == ["new@test.example"]
    assert "done@test.example" in {subscriber["email"] for subscriber in listed["subscribers"]}


def test_a_pending_subscriber_of_the_operator_is_asked_once_a_day(
    site: FormSite, digest: DigestService
) -> None:
    """The operator's confirmation mail counts too."""
    subscriber = digest.subscribers.add("pending@test.example").subscriber
    site.clock.time = dt.datetime.now(dt.UTC)
    digest.subscribers.record_confirmation_sent(subscriber.id)
    site.subscribe("pending@test.example")
    assert not site.mails.taken


def test_all_addresses_together_get_a_limited_number(site: FormSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signup, "MAX_MAILS_PER_DAY", 3)
    for number in range(6):
        assert site.subscribe(f"r{number}@test.example").status_code == 200
    assert len(site.mails.taken) == 3
    site.clock.wait(days=1)
    site.subscribe("later@test.example")
    assert len(site.mails.taken) == 4


def test_a_failed_mail_may_be_asked_for_again(site: FormSite) -> None:
    site.mails.rcpt["new@test.example"] = "451 4.3.0 try later"
    first = site.subscribe("new@test.example")
    assert not site.mails.taken
    site.mails.rcpt.clear()
    assert site.subscribe("new@test.example").content == first.content
    assert site.mails.recipients() == ["new@test.example"]


def test_the_confirmation_says_who_sends_the_digest(site: FormSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.subscribe("new@test.example")
    assert site.texts()[-1].splitlines()[-1] == "Sent by Paper digest <digest@test.example>."
    monkeypatch.setenv("PAPERAGENT_CONTACT", "mailto:admin@test.example")
    with PaperAgent() as agent, client(agent, clock=site.clock) as http:
        FormSite(http, site.clock, site.mails).subscribe("other@test.example")
    text = " ".join(site.texts()[-1].split())
    assert text.endswith("Sent by Paper digest <digest@test.example>. Contact: admin@test.example")


def test_errors_name_the_kind_of_mail(site: FormSite, digest: DigestService) -> None:
    """A rejected link to sign in is no rejected confirmation."""
    site.mails.rcpt[ANA] = "550 5.7.1 no"
    mailer = site.http.app.state.site.digest.mailer  # type: ignore[attr-defined]
    ana = digest.subscribers.find(ANA)
    with pytest.raises(MailError, match=r"^sign-in email: not sent: rejected \(550 5\.7\.1 no\)$"):
        mailer.send_sign_in(ANA, START, link="https://papers.example.org/sign-in/x")
    with pytest.raises(MailError, match=r"^email to a subscriber: not sent: "):
        mailer.send_already_subscribed(ana, START)
    with pytest.raises(MailError, match=r"^confirmation email: not sent: "):
        mailer.send_confirmation(ANA, START, token="x", frequency="weekly")  # noqa: S106 - made up


def test_programs_get_the_same_answer_and_no_mail(site: FormSite) -> None:
    """A filled hidden field, too fast, too slow, no time or a forged one."""
    answers = [
        site.subscribe("new@test.example", comment="x"),
        site.subscribe("new@test.example", wait=1),
        site.subscribe("new@test.example", wait=13 * 3600),
        site.subscribe("new@test.example", t=""),
        site.subscribe("new@test.example", t=SignedTokens("x" * 20 + "another secret").create("form", 0)),
    ]
    assert not site.mails.taken
    assert not site.requests()
    answers.append(site.subscribe("new@test.example"))
    assert len({answer.content for answer in answers}) == 1
    assert len(site.mails.taken) == 1


def test_categories_without_papers_are_refused(
    digest_home: Path, categories: tuple[str, ...], site: FormSite
) -> None:
    """By the form and by its preview; the message names those that have papers."""
    assert "such as cs.CL, cs.IR" in site.http.get("/subscribe").text
    for path in ("/subscribe", "/subscribe/preview"):
        refused = site.http.post(path, data={"email": "new@test.example", "categories": "cs.CL, foo"})
        assert refused.status_code == 422
        assert "No paper here is in foo. Choose from cs.CL, cs.IR." in refused.text
    assert site.subscribe("new@test.example", categories="cs").status_code == 200
    assert len(site.mails.taken) == 1


def test_wrong_fields_are_named(site: FormSite) -> None:
    """422 with a message at the field, what was typed, and no mail."""
    response = site.subscribe(
        "not an address", interests="x" * 400, categories="!!", questions="?", frequency="hourly"
    )
    assert response.status_code == 422
    for name in ("email", "interests", "categories", "questions", "frequency"):
        assert f'href="#{name}"' in response.text
    assert 'aria-describedby="email-help email-error" aria-invalid="true"' in response.text
    assert 'value="not an address"' in response.text
    assert not site.mails.taken


@pytest.mark.parametrize(
    "email", ["a@b.example\r\nBcc: c@d.example", "a@b", "", "x" * 5_000, "a\0@b.example"]
)
def test_only_an_address_is_accepted(site: FormSite, email: str) -> None:
    assert site.subscribe(email).status_code == 422
    assert not site.mails.taken


@contextmanager
def sink() -> Iterator[str]:
    """Run a mail server in a process of its own, so that it does not slow down the one that measures."""
    port = free_port()
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink"]
    with subprocess.Popen([*command, "-l", f"127.0.0.1:{port}"]) as server:
        try:
            for _ in range(200):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"smtp://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_timing_tells_nothing(
    digest: DigestService, digest_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The medians for a confirmed, a blocked and an unknown address differ by at most 20 %.

    Other work on the machine disturbs some of three rounds; a difference in the code would show in all.
    """
    digest.subscribers.suppress("blocked@test.example", "complained")
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    monkeypatch.setenv("PAPERAGENT_WEB_TRUSTED_PROXIES", "127.0.0.1")  # so that our requests have no limit
    with sink() as url:
        monkeypatch.setenv("PAPERAGENT_SMTP_URL", url)
        with process(digest_home) as address, httpx.Client(base_url=address) as http:
            rounds = (medians(http, range(start, start + 65)) for start in (0, 65, 130))
            assert any(max(times) <= 1.2 * min(times) for times in rounds)


def medians(http: httpx.Client, numbers: range) -> list[float]:
    """Return the median seconds of an answer for three kinds of addresses, in random order."""
    form = {"t": TOKENS.create("form", int(time.time()) - 10), "interests": "graphs"}
    seconds: dict[str, list[float]] = {"known": [], "blocked": [], "unknown": []}
    shuffle = random.Random(1)  # noqa: S311 - an order, not a secret
    for number in numbers:
        addresses = {"known": ANA, "blocked": "blocked@test.example", "unknown": f"r{number}@test.example"}
        for kind in shuffle.sample(list(addresses), 3):
            started = time.perf_counter()
            response = http.post("/subscribe", data={**form, "email": addresses[kind]})
            seconds[kind].append(time.perf_counter() - started)
            assert response.status_code == 200
            time.sleep(0.005)
    return [statistics.median(times) for times in seconds.values()]


# --- confirmation ---


def test_confirming_applies_what_was_asked_for(site: FormSite, digest: DigestService) -> None:
    """The page shows it; only the button acts; a second time changes nothing."""
    site.subscribe("new@test.example")
    path = site.link()
    for _ in range(3):
        asked = site.http.get(path)
    assert "n•••@test.example" in asked.text
    assert "new@test.example" not in asked.text
    assert "casino bonus" in asked.text
    assert [s.email for s in digest.subscribers.all()] == list(READERS)
    assert "You are subscribed" in site.http.post(path).text
    subscriber = digest.subscribers.find("new@test.example")
    assert (subscriber.state, subscriber.frequency) == ("confirmed", "daily")
    assert subscriber.preferences.interests == ("casino bonus", "https://evil.example")
    assert [(address, preferences) for address, preferences, _ in site.requests()] == [("", "")]
    again = site.http.post(path)
    assert (again.status_code, "already used" in again.text) == (200, True)
    assert digest.subscribers.find("new@test.example") == subscriber


def test_who_left_may_come_back(site: FormSite, digest: DigestService) -> None:
    """Only after confirming, and with what was asked for now."""
    reader = digest.subscribers.find(ANA)
    digest.subscribers.unsubscribe(reader.id)
    site.subscribe(ANA, interests="graphs")
    assert digest.subscribers.is_suppressed(reader.key)
    site.http.post(site.link())
    assert not digest.subscribers.is_suppressed(reader.key)
    assert digest.subscribers.find(ANA).preferences.interests == ("graphs",)
    assert digest.subscribers.find(ANA).id == reader.id


def test_a_removal_by_the_operator_stands(site: FormSite, digest: DigestService) -> None:
    """Even for a link that was mailed before."""
    site.subscribe("new@test.example")
    digest.subscribers.add("new@test.example")
    digest.subscribers.remove("new@test.example")
    response = site.http.post(site.link())
    assert (response.status_code, "receives no email" in response.text) == (410, True)
    assert digest.subscribers.signup_state("new@test.example")[0] == "blocked"


def test_a_request_expires(site: FormSite, digest: DigestService) -> None:
    site.subscribe("new@test.example")
    site.clock.wait(hours=48, seconds=1)
    for method in ("GET", "POST"):
        response = site.http.request(method, site.link())
        assert (response.status_code, "expired" in response.text) == (410, True)
    site.subscribe("other@test.example")
    assert [address for address, *_ in site.requests()] == ["other@test.example"]
    assert "new@test.example" not in {s.email for s in digest.subscribers.all()}


def test_the_operators_invitation_is_confirmed_here_too(site: FormSite, digest: DigestService) -> None:
    subscriber = digest.subscribers.add("new@test.example").subscriber
    path = f"/confirm/{TOKENS.create('confirm', subscriber.id)}"
    assert "n•••@test.example" in site.http.get(path).text
    assert digest.subscribers.get(subscriber.id).state == "pending"
    assert "You are subscribed" in site.http.post(path).text
    assert digest.subscribers.get(subscriber.id).state == "confirmed"
    digest.subscribers.unsubscribe(subscriber.id)
    assert site.http.post(path).status_code == 410


def test_tokens_of_other_purposes_confirm_nothing(site: FormSite, digest: DigestService) -> None:
    subscriber = digest.subscribers.add("new@test.example").subscriber
    for purpose in ("unsubscribe", "preferences", "saved", "form", "feedback"):
        path = f"/confirm/{TOKENS.create(purpose, subscriber.id)}"  # type: ignore[arg-type]
        assert site.http.post(path).status_code == 404
    assert site.http.post(f"/confirm/{TOKENS.create('signup', 1)}").status_code == 410
    assert digest.subscribers.get(subscriber.id).state == "pending"


# --- the form ---


def test_a_preview_shows_titles_and_sends_nothing(site: FormSite) -> None:
    """Without an address; what was typed stays in the form."""
    site.clock.time = dt.datetime.now(dt.UTC)
    response = site.http.post("/subscribe/preview", data={"interests": "retrieved passages"})
    assert "you would have received" in response.text
    item = r'<li><a href="/paper/[^"]+">Tindersift.*?</a><br><span class="small">(.*?)</span></li>'
    assert re.findall(item, response.text) == ["Your topic: retrieved passages"]
    assert ">\nretrieved passages</textarea>" in response.text
    assert not site.mails.taken
    assert not site.requests()


@pytest.mark.parametrize("missing", ["SMTP_URL", "SECRET", "PUBLIC_URL"])
def test_a_form_that_cannot_send_mail_is_not_shown(
    site: FormSite, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(f"PAPERAGENT_{missing}")
    with PaperAgent() as agent, client(agent) as http:
        shown = http.get("/subscribe")
        assert shown.status_code == 200
        assert "<form" not in shown.text
        assert 'href="mailto:digest%40test.example?subject=subscribe"' in shown.text
        assert http.post("/subscribe", data={"email": ANA}).status_code == 404
        assert http.post("/subscribe/preview", data={"interests": "x"}).status_code == 404
