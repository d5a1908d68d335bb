"""Signing in by a mailed link that works once and in time; then a cookie, until signing out everywhere."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from mail_helpers import Clock, Script, serving
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent
from paperagent.web import app
from paperagent.web.access import COOKIE

ANA, BO = "ana@test.example", "bo@lab.example"
PUBLIC = "https://papers.example.org"


class SignInSite:
    """A site whose sign-in mails go to a scripted server; each browser has an address of its own."""

    def __init__(self, http: TestClient, clock: Clock, mails: Script) -> None:
        self.http, self.clock, self.mails = http, clock, mails
        self._browsers = 0

    def browser(self) -> TestClient:
        self._browsers += 1
        address = (f"203.0.113.{self._browsers}", 1)
        return TestClient(self.http.app, base_url=PUBLIC, follow_redirects=False, client=address)

    def ask_for_link(self, email: str) -> Any:
        response = self.browser().post("/sign-in", data={"email": email})
        self.http.app.state.site.run_later(lambda: None).result(30)  # type: ignore[attr-defined]
        return response

    def link(self) -> str:
        """Return the path of the link in the last mail."""
        mail = message_from_bytes(self.mails.taken[-1][1], policy=policy.default)
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        match = re.search(rf"{PUBLIC}(/sign-in/\S+)", text)
        assert match
        return match[1]

    def signed_in(self, email: str = ANA) -> TestClient:
        self.ask_for_link(email)
        browser = self.browser()
        assert browser.post(self.link()).status_code == 303
        return browser

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with self.http.app.state.site.database.reading() as db:  # type: ignore[attr-defined]
            return list(db.execute(f"SELECT * FROM {table}"))


@pytest.fixture
def site(digest_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignInSite]:
    """Yield a site for two askers that nobody else may read."""
    mails, clock = Script(), Clock(dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC))
    with serving(mails) as url:
        for name, value in {
            "MAIL_FROM": "papers@test.example",
            "SMTP_URL": url,
            "WEB_ASKERS": f"{ANA},@lab.example",
            "WEB_READ": "signed-in",
        }.items():
            monkeypatch.setenv(f"PAPERAGENT_{name}", value)
        with PaperAgent() as agent, client(agent, clock=clock) as http:
            yield SignInSite(http, clock, mails)


def test_a_link_signs_in_once(site: SignInSite) -> None:
    site.ask_for_link("Ana@Test.example")
    link, browser = site.link(), site.browser()
    page = browser.get(link)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "a•••@test.example" in page.text
    assert "set-cookie" not in page.headers
    response = browser.post(link)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == COOKIE == "__Host-paperagent"
    flags = {part.strip().lower() for part in rest.split(";")[1:]}
    assert {"httponly", "secure", "path=/", "samesite=lax", "max-age=2592000"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)
    assert browser.get("/").status_code == 200
    assert site.browser().post(link).status_code == 410
    assert site.browser().get(link).status_code == 410
    token = rest.partition(";")[0]
    assert token not in str(site.rows("session"))
    assert link.rpartition("/")[2] not in str(site.rows("sign_in"))


def test_the_log_has_no_address_that_the_mail_server_repeats(
    site: SignInSite, caplog: pytest.LogCaptureFixture
) -> None:
    site.mails.rcpt[ANA] = f"550 5.1.1 <{ANA}> has no mailbox"
    site.ask_for_link(ANA)
    assert "<…> has no mailbox" in caplog.text
    assert ANA not in caplog.text


def test_scanners_do_not_use_up_a_link(site: SignInSite) -> None:
    site.ask_for_link(ANA)
    before = site.rows("sign_in"), site.rows("session")
    for _ in range(3):
        for method in ("GET", "HEAD"):
            response = site.browser().request(method, site.link())
            assert response.status_code == 200
            assert "set-cookie" not in response.headers
    assert (site.rows("sign_in"), site.rows("session")) == before
    assert site.browser().post(site.link()).status_code == 303


def test_a_link_expires(site: SignInSite) -> None:
    site.ask_for_link(ANA)
    site.clock.wait(minutes=16)
    assert site.browser().get(site.link()).status_code == 410
    assert site.browser().post(site.link()).status_code == 410


def test_the_answer_is_the_same_for_every_address(site: SignInSite) -> None:
    answers = {site.ask_for_link(email).text for email in (ANA, BO, "eve@evil.example")}
    assert len(answers) == 1
    assert [recipient for recipient, _ in site.mails.taken] == [ANA, BO]
    assert site.ask_for_link("not an address").status_code == 422


def test_one_address_gets_few_mails(site: SignInSite) -> None:
    for _ in range(8):
        site.ask_for_link(ANA)
    assert len(site.mails.taken) == 5
    site.clock.wait(minutes=61)
    site.ask_for_link(ANA)
    assert len(site.mails.taken) == 6


def test_signing_out_ends_all_sessions(site: SignInSite) -> None:
    one, two, other = site.signed_in(), site.signed_in(), site.signed_in(BO)
    assert one.get("/sign-out").status_code == one.get("/").status_code == 200
    response = one.post("/sign-out")
    assert f'{COOKIE}=""' in response.headers["set-cookie"]
    assert two.get("/").status_code == 303
    assert other.get("/").status_code == 200


def test_a_session_ends_with_time_and_with_the_list(
    site: SignInSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = site.signed_in()
    site.clock.wait(days=29)
    assert browser.get("/").status_code == 200
    site.clock.wait(days=2)
    assert browser.get("/").status_code == 303
    browser = site.signed_in(BO)
    settings = site.http.app.state.site.settings  # type: ignore[attr-defined]
    monkeypatch.setattr(
        site.http.app.state.site,  # type: ignore[attr-defined]
        "settings",
        settings.model_copy(update={"web_askers": ANA}),
    )
    assert browser.get("/").status_code == 303


def test_forms_of_other_sites_cannot_sign_anybody_in(site: SignInSite) -> None:
    site.ask_for_link(ANA)
    response = site.browser().post(site.link(), headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("route", app.ROUTES, ids=[f"{r.methods[0]} {r.path}" for r in app.ROUTES])
def test_only_public_routes_answer_who_has_not_signed_in(route: app.http.Route, site: SignInSite) -> None:
    """With PAPERAGENT_WEB_READ=signed-in, every other route leads to the form, or refuses."""
    path = re.sub(r"\{(\w+)(:\w+)?\}", lambda m: "2606.00001" if m[1] == "id" else "x", route.path)
    for method in route.methods:
        response = site.browser().request(method, path)
        if route.public:
            assert response.headers.get("location") != "/sign-in"
            assert response.status_code != 403
        elif method == "GET":
            assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
            assert response.headers["cache-control"] == "no-store"
        else:
            assert response.status_code == 403


def test_pages_for_signed_in_readers_are_not_kept_by_shared_caches(site: SignInSite) -> None:
    browser = site.signed_in()
    for path in ("/", "/feed.atom", "/archive/", "/ask"):
        response = browser.get(path)
        assert "public" not in response.headers["cache-control"], path
        assert "Cookie" in response.headers["vary"]
        assert path == "/feed.atom" or "Sign out" in response.text
