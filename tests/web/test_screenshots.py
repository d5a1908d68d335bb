"""Pictures of the six main pages over the invented sample papers, as phone and desktop show them.

``make screenshots`` writes them to docs/images/web; otherwise they are only made and measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import web_server
from mail_helpers import free_port

import browser
from paperagent import PaperAgent
from paperagent.digest.schedule import week_of
from paperagent.digest.service import DigestService
from paths import ROOT

FOLDER = ROOT / "docs" / "images" / "web"
QUESTION = "How much does Tindersift shorten the prompt?"
PAGES = ("feed", "search", "paper", "answer", "digest", "subscribe")


@pytest.fixture
def address(digest: DigestService, digest_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the digest with an issue and a form for subscribing."""
    with PaperAgent() as agent:
        last = max(paper.appeared for paper in agent.papers() if paper.appeared)
    digest.build(week_of(last))
    monkeypatch.setenv("PAPERAGENT_MAIL_FROM", "digest@test.example")
    monkeypatch.setenv("PAPERAGENT_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PAPERAGENT_WEB_TRUSTED_PROXIES", "127.0.0.1")  # so that our requests have no limit
    with web_server.process(digest_home) as address:
        yield address


def paths(address: str, chromium: Any) -> dict[str, str]:
    """Ask the question, and return the path of each page by its name."""
    with PaperAgent() as agent:
        paper = agent.search("Tindersift", k=1)[0].paper
    tab = chromium.new_page()
    tab.goto(f"{address}/archive/")
    issue = tab.get_attribute("main h2 a, main h3 a", "href")
    tab.goto(f"{address}/ask")
    tab.fill("#question", QUESTION)
    tab.click("main button")
    tab.wait_for_selector(".sources, #sources, h3:has-text('Sources')")
    conversation = tab.url.removeprefix(address).partition("#")[0]
    tab.close()
    return {
        "feed": "/",
        "search": "/?q=abstention+thresholds",
        "paper": f"/paper/{paper.paper_id}#s2",
        "answer": conversation,
        "digest": issue if issue.startswith("/") else f"/archive/{issue}",
        "subscribe": "/subscribe",
    }


def test_pictures_of_the_main_pages(address: str, tmp_path: Path) -> None:
    """No page scrolls sideways. The picture of an answer has an open citation."""
    folder = FOLDER if os.environ.get("WRITE_SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    with browser.running() as chromium:
        pages = paths(address, chromium)
        for width, scheme in product(browser.WIDTHS, browser.SCHEMES):
            size = {"width": width, "height": 900 if width == 1200 else 720}
            context = chromium.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            tab = context.new_page()
            for name in PAGES:
                tab.goto(address + pages[name])
                if name == "answer":
                    tab.click("button.cite >> nth=0")
                    assert tab.locator("mark:visible").count() == 1
                if name == "paper":
                    tab.evaluate("scrollTo(0, 0)")
                picture = f"{name}-{width}-{scheme}"
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, picture
                tab.screenshot(path=folder / f"{picture}.png")
            context.close()
    pictures = product(PAGES, browser.WIDTHS, browser.SCHEMES)
    expected = {f"{name}-{width}-{scheme}" for name, width, scheme in pictures}
    assert {path.stem for path in folder.glob("*.png")} == expected
