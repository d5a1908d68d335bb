"""The readers' pages in Chromium: accessible, within the window, usable by keyboard without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import web_server
from mail_helpers import free_port
from web_server import READERS, SECRET

import browser
from paperagent import PaperAgent
from paperagent.digest.links import SignedTokens
from paperagent.digest.service import DigestService

TOKENS = SignedTokens(SECRET)


@pytest.fixture
def address(digest: DigestService, digest_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the digest, with a rating of each kind and a form for subscribing."""
    with PaperAgent() as agent:
        papers = agent.list(limit=3)
    ana = digest.subscribers.find(next(iter(READERS)))
    for paper, kind in zip(papers, ("more", "less", "save"), strict=True):
        digest.feedback.rate(ana.id, paper.paper_id, kind)
    digest.subscribers.add("new@test.example")
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PAPERAGENT_WEB_TRUSTED_PROXIES", "127.0.0.1")  # so that our requests have no limit
    with web_server.process(digest_home) as address:
        yield address


def paths(digest: DigestService) -> dict[str, str]:
    """Return the path of each page by its name."""
    ana, new = digest.subscribers.find(next(iter(READERS))), digest.subscribers.find("new@test.example")
    rated = digest.feedback.ratings(ana.id)[0]
    return {
        "subscribe": "/subscribe",
        "confirm": f"/confirm/{TOKENS.create('confirm', new.id)}",
        "preferences": f"/preferences/{TOKENS.create('preferences', ana.id)}",
        "rated": f"/feedback/{TOKENS.create('feedback', ana.id, rated.paper_id, rated.kind)}",
        "asked": f"/feedback/{TOKENS.create('feedback', ana.id, 'gone', 'save')}",
        "saved": f"/saved/{TOKENS.create('saved', ana.id)}",
        "unsubscribe": f"/unsubscribe/{TOKENS.create('unsubscribe', ana.id)}",
    }


def check(tab: Any, name: str, width: int) -> None:
    """Assert that axe-core finds nothing and that nothing scrolls sideways, at 320 px too."""
    assert browser.faults(tab) == [], name
    for size in (320, width):
        tab.set_viewport_size({"width": size, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth") <= size, name


@pytest.mark.parametrize(("width", "scheme"), list(zip(browser.WIDTHS, browser.SCHEMES, strict=True)))
def test_pages_are_accessible_and_fit(address: str, digest: DigestService, width: int, scheme: str) -> None:
    with browser.running() as chromium:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = context.new_page()
        messages: list[str] = []
        tab.on("console", lambda message: messages.append(message.text))
        for name, path in paths(digest).items():
            tab.goto(address + path)
            check(tab, name, width)
        tab.goto(f"{address}/subscribe")
        tab.fill("#interests", "x" * 400)
        tab.click("text=Show a preview")
        # The browser moves the focus when it first paints, which may be after the load.
        tab.wait_for_function("document.activeElement.className === 'problems'")
        check(tab, "errors", width)
        tab.fill("#interests", "retrieved passages")
        tab.click("text=Show a preview")
        assert "you would have received" in tab.inner_text("#preview")
        check(tab, "preview", width)
        assert [message for message in messages if "422" not in message] == []


def test_a_reader_without_javascript_uses_the_keyboard(address: str, digest: DigestService) -> None:
    """Rates, undoes, changes the topics, is told so, and leaves."""
    ana = digest.subscribers.find(next(iter(READERS)))
    with browser.running() as chromium:
        tab = chromium.new_context(java_script_enabled=False).new_page()
        tab.goto(address + paths(digest)["asked"])
        with tab.expect_navigation():
            tab.press("main button", "Enter")
        assert tab.inner_text("h1") == "Saved to your reading list"
        tab.goto(address + paths(digest)["preferences"])
        tab.fill("#interests", "graphs")
        with tab.expect_navigation():
            tab.press("button[value=save]", "Enter")
        assert tab.inner_text("[role=status]") == "Your changes are saved."
        assert digest.subscribers.get(ana.id).preferences.interests == ("graphs",)
        count = len(digest.feedback.ratings(ana.id))
        tab.click("text=Undo >> nth=0")
        assert len(digest.feedback.ratings(ana.id)) == count - 1
        tab.click("a:text('Unsubscribe')")
        tab.click("button:text('Unsubscribe')")
        assert tab.inner_text("h1") == "You are unsubscribed"
        assert digest.subscribers.get(ana.id).state == "unsubscribed"
