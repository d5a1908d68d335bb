"""Debian's Chromium, driven offline; tests that want it skip where it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

WIDTHS, SCHEMES = (375, 1200), ("light", "dark")
# A mail is shown inside a mail reader's page, which has the landmarks.
NOT_OF_A_MAIL = ("landmark-one-main", "region")


def chromium() -> str:
    """Return the browser's path; skip the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    return found


@contextmanager
def running() -> Iterator[Any]:
    """Start the browser."""
    path = chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        # As root there is no sandbox; the pages are ours and nothing of the network is reachable.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, html: str, *, width: int, scheme: str) -> Iterator[tuple[Any, list[str]]]:
    """Show a page; yield it with the requests that it made and the dialogs it opened."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    events: list[str] = []
    page.on("request", lambda request: events.append(request.url))
    page.on("dialog", lambda dialog: (events.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    try:
        page.set_content(html)
        yield page, events
    finally:
        context.close()


def faults(page: Any, *, without: tuple[str, ...] = ()) -> list[str]:
    """Return what axe-core finds wrong, contrast included."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = axe.run(page).response
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found["violations"] if v["id"] not in without
    ]
