"""The pages of papers in Chromium: accessible, within the window, and harmless with hostile papers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import web_server

import attack_strings
import browser
from paperagent import PaperAgent
from sample_library import write_jsonl

PAGES = ("/", "/?q=retrieval&since=2020-01-01", "/?q=qqqq", "/archive/", "/nothing", "paper")

_OUTLINE = """() => {
  if (document.querySelector(".card p *, .abstract span *")) return ["markup in a text"];
  for (const e of document.querySelectorAll(".card p:not(.by), article ~ section")) e.remove();
  for (const e of document.querySelectorAll(".abstract span")) e.replaceWith(e.textContent);
  return [...document.querySelectorAll("body *")].map(e => e.tagName + [...e.getAttributeNames()]);
}"""
"""Without what depends on the words: a card's sentence, the number of sentences, and related papers."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.running() as running:
        yield running


@pytest.fixture(scope="module")
def address(sample_home: Path) -> Iterator[str]:
    with web_server.process(sample_home, env={"PAPERAGENT_EMBEDDER": "none"}) as address:
        yield address


@pytest.mark.parametrize("scheme", browser.SCHEMES)
@pytest.mark.parametrize("width", browser.WIDTHS)
def test_a_page_is_accessible_and_fits(chromium: Any, address: str, width: int, scheme: str) -> None:
    """axe-core finds nothing, nothing scrolls sideways at 320 px too, and no policy is violated."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    for path in PAGES:
        if path == "paper":
            tab.goto(f"{address}/")
            tab.click("h3 a")
            tab.goto(f"{tab.url}#s2")
            marked = tab.evaluate("document.querySelector(':target').textContent")
            assert len(marked) > 10
        else:
            tab.goto(address + path)
        assert browser.faults(tab) == [], path
        for size in (320, width):
            tab.set_viewport_size({"width": size, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= size, path
    assert [m for m in messages if "404" not in m] == []
    context.close()


def test_filters_work_without_javascript(chromium: Any, address: str) -> None:
    """A person opens the filters, chooses a feed, searches, and removes the filter again."""
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    tab.fill("#q", "retrieval")
    tab.click("summary")
    tab.fill("#source", "daily-papers")
    tab.click("text=Apply")
    assert tab.url == f"{address}/?q=retrieval&source=daily-papers"
    assert tab.locator(".card").count() > 0
    tab.click(".chips a")
    assert tab.url == f"{address}/?q=retrieval"
    context.close()


def test_hostile_papers_are_text(chromium: Any, tmp_path: Path) -> None:
    """The elements of each page are those of harmless papers; nothing runs, is loaded or is opened."""
    texts = [text.strip() for text in attack_strings.texts()]
    hostile = [text for text in dict.fromkeys(texts) if len(text) > 3][::37][:60]

    def structure(folder: str, words: list[str]) -> list[str]:
        records = [
            {
                "paper_id": f"2606.{n:05}", "arxiv_id": f"2606.{n:05}", "title": f"{n} {text}"[:900],
                "abstract": f"We study it {text}", "authors": [f"A {text}"[:200]], "categories": ["cs.CL"],
                "published": "2026-06-25", "sources": ["a"],
            }
            for n, text in enumerate(words, 1)
        ]  # fmt: skip
        with PaperAgent(tmp_path / folder, embedder="none", mode="extractive") as agent:
            report = agent.ingest(write_jsonl(tmp_path / f"{folder}.jsonl", records))
            assert report.new == len(words)
            paths = ["/", "/?page=2", "/feed.atom", *(f"/paper/2606.{n:05}" for n in range(1, 11))]
            with web_server.client(agent) as http:
                pages = {path: http.get(path).text for path in paths}
        outlines = []
        with browser.opened(chromium, "", width=375, scheme="light") as (tab, events):
            for path, html in pages.items():
                if path == "/feed.atom":
                    continue
                tab.set_content(html)
                outlines += tab.evaluate(_OUTLINE)
            assert [event for event in events if not event.startswith("about:")] == []
        return outlines

    assert structure("hostile", hostile) == structure("harmless", [f"x{n} y" for n in range(len(hostile))])
