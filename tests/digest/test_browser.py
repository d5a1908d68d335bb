"""How a mail looks in a browser: on a phone and a desk, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import issues
import pytest
from test_archive import frozen
from test_renderer import hostile

import attack_strings
import browser
from paperagent.digest.issue import Issue
from paperagent.digest.render.archive import archive_files
from paperagent.digest.render.renderer import render_confirmation, render_issue
from paperagent.types import Claim


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.running() as running:
        yield running


def unbroken() -> Issue:
    """Return an issue of words that no line of a phone can hold."""
    base = issues.issue()
    word = "x" * 400
    item = base.themes[0].items[0]
    long = replace(
        item,
        paper=replace(item.paper, title=word, authors=(word, word)),
        claims=(Claim(word, (1,), "unverified"),),
    )
    return replace(base, themes=(replace(base.themes[0], name=word, items=(long,)),), notes=(word,))


PAGES = {
    "quoted": lambda: render_issue(issues.issue(), links=issues.LINKS).html,
    "written": lambda: render_issue(issues.written(), links=issues.LINKS).html,
    "unbroken": lambda: render_issue(unbroken(), links=issues.LINKS).html,
    "confirm": lambda: render_confirmation(token=issues.TOKEN * 3, link=f"{issues.BASE}/{issues.TOKEN}").html,
    "index": lambda: dict(archive_files([frozen(25), frozen(26)]))["index.html"],
    "page": lambda: dict(archive_files([frozen(25), frozen(26)]))["2026-W26.html"],
}


@pytest.mark.parametrize("scheme", browser.SCHEMES)
@pytest.mark.parametrize("width", browser.WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits(chromium: Any, name: str, width: int, scheme: str) -> None:
    """axe-core finds nothing (contrast >= 4.5 in both schemes); nothing scrolls sideways or is loaded."""
    without = () if name == "index" else browser.NOT_OF_A_MAIL
    with browser.opened(chromium, PAGES[name](), width=width, scheme=scheme) as (page, events):
        assert browser.faults(page, without=without) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert events == []


@pytest.mark.parametrize("scheme", browser.SCHEMES)
def test_the_scheme_is_the_subscriber_s(chromium: Any, scheme: str) -> None:
    """Dark is dark and light is light; text has 16 px."""
    html = render_issue(issues.issue()).html
    with browser.opened(chromium, html, width=375, scheme=scheme) as (page, _):
        colour = page.evaluate("getComputedStyle(document.querySelector('.sheet')).backgroundColor")
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 30, 33)"}[scheme]
        assert page.evaluate("getComputedStyle(document.querySelector('.new')).fontSize") == "16px"
        assert page.evaluate("document.querySelectorAll('h1').length") == 1


def test_the_preheader_is_in_the_mail_and_not_to_be_seen(chromium: Any) -> None:
    """An inbox shows it; the opened mail does not."""
    with browser.opened(chromium, render_issue(issues.issue()).html, width=375, scheme="light") as (page, _):
        assert page.evaluate("document.querySelector('.hidden').getClientRects().length") == 0


def test_every_marker_scrolls_to_its_source(chromium: Any) -> None:
    """A click on [n] goes to the entry that starts with [n]."""
    with browser.opened(chromium, render_issue(issues.issue()).html, width=375, scheme="light") as (page, _):
        missing = page.evaluate(
            "[...document.querySelectorAll('a.cite')].filter(a =>"
            " document.querySelector(a.getAttribute('href'))?.textContent !== a.textContent).length"
        )
        assert missing == 0


def test_no_attack_runs(chromium: Any) -> None:
    """With every attack string in its places no script runs, nothing is loaded, nothing opens."""
    with browser.opened(chromium, "", width=375, scheme="light") as (page, events):
        for attacked in hostile(attack_strings.texts()):
            page.set_content(render_issue(attacked).html)
            assert page.evaluate("document.scripts.length + document.images.length + frames.length") == 0
            assert events == []
