"""Questions and answers in Chromium: citations, the keyboard, streaming without shifts, hostile texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_streaming import CLAIMS, post, read, wait_for
from web_server import client, serving

import attack_strings
import browser
from paperagent import Answer, PaperAgent
from paperagent.testing import ScriptedServer
from paperagent.types import Citation, Claim, Hit, Paper
from scripted_model import LOOSE, WRONG, saying

QUESTION = "How much does Tindersift shorten the prompt?"
POPOVER = "#t1-c1"
_SHIFTS = """() => { window.shifts = 0; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true }); }"""

_OUTLINES = """pages => pages.map(page => {
  const parsed = new DOMParser().parseFromString(page, "text/html");
  return [...parsed.querySelectorAll("article")].map(article =>
    [...article.querySelectorAll("*")].map(e => e.tagName + e.getAttributeNames()).join("\\n"));
})"""
"""Return the elements of the turns of pages with the names of their attributes."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.running() as running:
        yield running


@pytest.fixture
def served(sample_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ScriptedServer]]:
    """Yield the address of a site and the model that it asks."""
    with ScriptedServer() as model:
        model.responder = saying(*CLAIMS, LOOSE, WRONG)
        settings = {"BASE_URL": model.url, "API_KEY": "test"}
        settings = {f"OPENAI_{name}": value for name, value in settings.items()}
        choices = {
            "MODEL": "test-model",
            "EMBEDDER": "none",
            "CACHE": "false",
            "JUDGE": "never",
            "MODE": "llm",
        }
        settings |= {f"PAPERAGENT_{name}": value for name, value in choices.items()}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with PaperAgent(sample_home) as agent, serving(agent) as (address, _):
            assert wait_for(lambda: read(address, "/readyz").text == "ready\n")
            yield address, model


def is_open(tab: Any) -> bool:
    """Return whether the source of the first claim is open."""
    return bool(tab.evaluate(f"document.querySelector('{POPOVER}').matches(':popover-open')"))


def test_pages_are_accessible_and_fit(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    """axe-core finds nothing, with an open source too; nothing scrolls sideways at 320 px."""
    address, model = served
    conversation = post(address, "/ask", question=QUESTION)
    read(address, conversation)
    model.responder = lambda _: {"verdict": "not_in_passages", "claims": [], "missing": "", "queries": []}
    abstention = post(address, "/ask", question="What is the price of butter in Norway?")
    read(address, abstention)
    paths = (conversation, abstention, "/ask", "/ask?paper=tindersift-c2002f86&q=How")
    for width in browser.WIDTHS:
        for scheme in browser.SCHEMES:
            context = chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
            )
            tab, messages = context.new_page(), list[str]()
            tab.on("console", lambda message, seen=messages: seen.append(message.text))
            for path in paths:
                tab.goto(address + path)
                if path == conversation:
                    tab.click("details summary")
                    tab.locator(".cite").first.click()
                assert browser.faults(tab) == [], path
                for size in (320, width):
                    tab.set_viewport_size({"width": size, "height": 900})
                    assert tab.evaluate("document.documentElement.scrollWidth") <= size, path
            assert messages == []
            context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_citation_opens_its_sentence(
    chromium: Any, served: tuple[str, ScriptedServer], *, javascript: bool
) -> None:
    """By click, tap and Enter; it closes by Escape and by the button, and the focus is back at its number."""
    address, _ = served
    path = post(address, "/ask", question=QUESTION)
    context = chromium.new_context(java_script_enabled=javascript, has_touch=True)
    tab = context.new_page()
    tab.goto(address + path)
    number, source = tab.locator(".cite").first, tab.locator(POPOVER)
    assert not source.is_visible()
    number.click()
    assert source.is_visible()
    marked = source.locator("mark").inner_text()
    assert marked.startswith("On the four domains of our test collection")
    assert source.inner_text().index("We present Tindersift") < source.inner_text().index(marked)
    tab.keyboard.press("Escape")
    assert not source.is_visible()
    number.focus()
    tab.keyboard.press("Enter")
    assert source.is_visible()
    tab.keyboard.press("Escape")
    assert not source.is_visible()
    tab.keyboard.press("Enter")  # the focus did not leave the number
    assert source.is_visible()
    source.get_by_role("button", name="Close").click()
    assert not source.is_visible()
    number.tap()
    assert source.is_visible()
    tab.touchscreen.tap(5, 5)
    assert not source.is_visible()
    number.click()
    source.get_by_role("link").click()
    assert tab.url == f"{address}/paper/tindersift-c2002f86#s3"
    assert tab.locator("#s3").inner_text().startswith("On the four domains")
    context.close()


def test_a_citation_opens_while_the_pointer_is_on_it(
    chromium: Any, served: tuple[str, ScriptedServer]
) -> None:
    """And stays open while the pointer is on the source, or after a click."""
    address, _ = served
    tab = chromium.new_page()
    tab.clock.install(time=0)
    tab.goto(address + post(address, "/ask", question=QUESTION))
    number, source = tab.locator(".cite").first, tab.locator(POPOVER)
    tab.clock.pause_at(3_600_000)
    number.hover()
    tab.clock.run_for(50)
    assert not source.is_visible()
    tab.clock.run_for(150)
    assert source.is_visible()
    source.hover()
    tab.clock.run_for(500)
    assert source.is_visible()
    tab.mouse.move(2, 2)
    tab.clock.run_for(500)
    assert not source.is_visible()
    number.hover()
    tab.clock.run_for(200)
    assert source.is_visible()
    number.click()
    tab.mouse.move(2, 2)
    tab.clock.run_for(500)
    assert source.is_visible()
    tab.keyboard.press("Escape")
    assert not source.is_visible()
    tab.close()


def test_a_streamed_answer_moves_nothing(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    """It is busy until its end, which is announced once."""
    address, model = served
    model.responder = saying(*CLAIMS, pause=0.02)
    tab = chromium.new_page(viewport={"width": 375, "height": 700})
    tab.add_init_script(f"({_SHIFTS})()")
    tab.goto(address + post(address, "/ask", question=QUESTION), wait_until="commit")
    tab.wait_for_selector(".claim")
    assert tab.locator(".turn").get_attribute("aria-busy") == "true"
    assert tab.get_by_role("button", name="Stop").is_visible()
    assert tab.get_by_role("status").inner_text() == ""
    tab.wait_for_load_state("load")
    assert tab.locator(".turn").get_attribute("aria-busy") is None
    assert not tab.get_by_role("button", name="Stop").is_visible()
    assert tab.evaluate("window.shifts") == 0
    tab.wait_for_timeout(300)
    assert tab.get_by_role("status").inner_text() == "4 sentences from 1 paper"
    tab.close()


def test_a_conversation_by_keyboard(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    """Ask, and ask on; the focus is in the box again only after Enter in it."""
    address, _ = served
    tab = chromium.new_page()
    tab.goto(f"{address}/ask")
    tab.keyboard.press("Tab")
    for _ in range(12):
        if tab.evaluate("document.activeElement.id") == "question":
            break
        tab.keyboard.press("Tab")
    tab.keyboard.type(QUESTION)
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"/c/[\w-]+#t1$"))
    tab.wait_for_selector("#question:focus", timeout=3_000)
    tab.keyboard.type("How many parameters does it have?")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"#t2$"))
    tab.wait_for_load_state("load")
    assert tab.locator("#t2 h2").inner_text() == "How many parameters does it have?"
    tab.wait_for_selector("#question:focus", timeout=3_000)
    tab.reload()
    tab.wait_for_timeout(300)
    assert tab.evaluate("document.activeElement.id") != "question"
    delete = tab.get_by_role("button", name="Delete this conversation")
    assert not delete.is_visible()
    tab.get_by_text("Delete it now").click()
    delete.click()
    assert tab.locator("h1").inner_text() == "Conversation deleted"
    tab.close()


def test_a_printed_answer_has_its_quotes(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    """On the screen, a quote that is the claim is not repeated below it."""
    address, model = served
    model.responder = None
    tab = chromium.new_page()
    tab.goto(address + post(address, "/ask", question=QUESTION))
    repeated = tab.locator(".repeated")
    assert repeated.count() > 0
    assert not repeated.first.is_visible()
    tab.emulate_media(media="print")
    assert all(quote.is_visible() for quote in repeated.all())
    text = tab.locator("main").inner_text()
    assert "removes 61% of the tokens in the prompt while answer accuracy" in text
    assert not tab.get_by_role("button").first.is_visible()
    tab.close()


def test_only_a_live_answer_fades_in(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    address, model = served
    model.responder = saying(*CLAIMS, pause=0.05)
    tab = chromium.new_page()
    tab.goto(address + post(address, "/ask", question=QUESTION), wait_until="commit")
    tab.wait_for_selector(".claim")
    animation = "getComputedStyle(document.querySelector('.claim')).animationName"
    assert tab.evaluate(animation) == "appear"
    tab.wait_for_load_state("load")
    tab.reload()
    assert tab.evaluate(animation) == "none"
    tab.close()


def test_the_link_can_be_copied(chromium: Any, served: tuple[str, ScriptedServer]) -> None:
    address, _ = served
    path = post(address, "/ask", question=QUESTION)
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(f"{address}{path}#t1")
    tab.get_by_role("button", name="Copy link").click()
    tab.get_by_role("button", name="Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == address + path
    context.close()
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address + path)
    assert not tab.get_by_role("button", name="Copy link").is_visible()
    context.close()


@pytest.mark.parametrize("preference", [{"forced_colors": "active"}, {"contrast": "more"}])
@pytest.mark.parametrize("scheme", browser.SCHEMES)
def test_the_colors_of_the_reader_are_kept(
    chromium: Any, served: tuple[str, ScriptedServer], preference: dict[str, str], scheme: str
) -> None:
    """With forced colors or more contrast, numbers and buttons have edges, and text stands out."""
    address, _ = served
    tab = chromium.new_page(color_scheme=scheme, **preference)
    tab.goto(address + post(address, "/ask", question=QUESTION))
    edges = """elements => elements.map(e => {
      const own = getComputedStyle(e), around = getComputedStyle(e.closest(".card") || document.body);
      const hasEdge = own.borderTopColor != around.backgroundColor;
      return [own.borderTopWidth, hasEdge, own.color != own.backgroundColor];
    })"""
    for path in ("", "/ask"):
        if path:
            tab.goto(address + path)
        buttons = tab.locator(".cite:visible, main button:visible")
        assert buttons.count() > 0
        for width, edge, text in buttons.evaluate_all(edges):
            assert (width, text) == ("1px", True)
            assert edge or "contrast" in preference
        # axe-core compares the page's own colors, which are not shown when colors are forced
        assert browser.faults(tab, without=() if "contrast" in preference else ("color-contrast",)) == []
    if "contrast" in preference:
        muted, ink = (
            tab.evaluate(f"getComputedStyle(document.querySelector('{name}')).color")
            for name in (".small", "body")
        )
        assert muted == ink
    tab.goto(address + post(address, "/ask", question=QUESTION))
    tab.locator(".cite").first.click()
    assert tab.locator(POPOVER).is_visible()
    tab.close()


def answer_with(text: str) -> Answer:
    """Return an answer all of whose texts are ``text``, with a claim of each kind."""
    citation = Citation(1, f"id/{text}"[:40], text, "https://example.org/", text, 0, len(text))
    supports = ("quoted", "supported", "unverified", "unsupported", "uncited")
    claims = tuple(Claim(text, () if s == "uncited" else (1,), s, {"numbers": False}) for s in supports)  # type: ignore[arg-type]
    notes = (f"withheld: “{text}” (numbers)", text)
    paper = Paper(f"id/{text}"[:40], text, "")
    return Answer(
        text, "answered", None, text, claims, (citation,), (Hit(paper, 0.0, 1),), model=text, notes=notes
    )


def test_hostile_texts_are_text(chromium: Any, sample_home: Path) -> None:
    """In question, claim, quote, title, id, model and note: the elements are those of a harmless text."""
    texts = [text.strip()[:1_500] for text in attack_strings.texts()]
    hostile = [text for text in dict.fromkeys(texts) if re.search(r"\w", text)]
    batches = [hostile[n : n + 40] for n in range(0, len(hostile), 40)]
    with PaperAgent(sample_home, embedder="none", mode="extractive") as agent, client(agent) as web:
        store = web.app.state.site.conversations  # type: ignore[attr-defined]
        pages = []
        for batch in [["a harmless text", "another harmless text"], *batches]:
            conversation = store.create({})
            for text in batch:
                store.save(store.add_turn(conversation, text, "extractive"), "done", answer_with(text))
            pages.append(web.get(f"/c/{conversation}").text)
            store.delete(conversation)
    with browser.opened(chromium, "", width=375, scheme="light") as (tab, events):
        [[first, later], *found] = tab.evaluate(_OUTLINES, pages)
        for page in pages:
            tab.set_content(page)
        assert [event for event in events if not event.startswith("about:")] == []
    for batch, outlines in zip(batches, found, strict=True):
        harmless = [first, *[later] * (len(batch) - 1)]
        compared = zip(batch, outlines, harmless, strict=True)
        assert [text for text, outline, expected in compared if outline != expected] == []
