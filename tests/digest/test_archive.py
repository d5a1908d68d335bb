"""The archive: pages, index and feed that anybody may read, and nothing of a subscriber's own."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from html import unescape

import issues
import pytest
from defusedxml import ElementTree
from test_renderer import Page

from paperagent.digest.delivery.stored_issues import StoredIssue
from paperagent.digest.issue import Theme
from paperagent.digest.render.archive import POLICY, archive_files, archive_page, file_name
from paperagent.digest.render.renderer import render_issue
from paperagent.errors import ConfigError, PaperAgentError
from paperagent.layout import UNVERIFIED
from paperagent.types import Claim

ATOM = "{http://www.w3.org/2005/Atom}"


def frozen(week: int, *, subscriber: int | None = None, theme: str = "A theme") -> StoredIssue:
    """Return a stored issue of a week."""
    period = replace(issues.WEEK, name=f"2026-W{week}")
    whole = issues.issue()
    shown = render_issue(replace(whole, period=period, themes=(Theme(theme, whole.themes[0].items),)))
    at = dt.datetime(2026, 6, week, 7, tzinfo=dt.UTC)
    number = subscriber or 0
    return StoredIssue(
        f"{period.name}/{number}", period.name, subscriber, shown.subject, shown.preheader,
        shown.html, shown.text, "", (), {}, at,
    )  # fmt: skip


def test_each_issue_is_a_page_the_index_lists_it_and_the_feed_has_it() -> None:
    """Newest first; every link of index and feed leads to a file that is written."""
    written = dict(archive_files([frozen(25), frozen(26)]))
    assert set(written) == {"2026-W25.html", "2026-W26.html", "index.html", "feed.atom"}
    links = [h for h in Page(written["index.html"]).hrefs if not h.startswith("#")]
    assert links == ["feed.atom", "feed.atom", "2026-W26.html", "2026-W25.html"]
    feed = ElementTree.fromstring(written["feed.atom"])
    assert [e.find(f"{ATOM}link").get("href") for e in feed.iter(f"{ATOM}entry")] == links[2:]
    assert len({e.text for e in feed.iter(f"{ATOM}id")}) == 3
    assert feed.find(f"{ATOM}updated").text == "2026-06-26T07:00:00Z"


def test_the_feed_has_whole_addresses_where_they_are_known() -> None:
    """With the folder's address every link and id of the feed is absolute."""
    base = "https://team.example/digest/"
    feed = ElementTree.fromstring(dict(archive_files([frozen(26)], base=base))["feed.atom"])
    assert {link.get("href").startswith(base) for link in feed.iter(f"{ATOM}link")} == {True}


def test_a_page_and_the_feed_show_the_sentence_under_an_unverified_claim() -> None:
    """The page and the entry hold it; the summary, which has no room for it, not the claim either."""
    base = issues.written()
    claim = Claim("Much of it is faster.", (1,), "unverified")
    shown = render_issue(replace(base, overview=(claim,)))
    one = replace(
        frozen(26), subject=shown.subject, preheader=shown.preheader, html=shown.html, text=shown.text
    )
    written = dict(archive_files([one]))
    entry = next(ElementTree.fromstring(written["feed.atom"]).iter(f"{ATOM}entry"))
    for html in (written["2026-W26.html"], entry.find(f"{ATOM}content").text):
        assert f"Much of it is faster. [1] {UNVERIFIED} “On four domains" in Page(html).text
    assert "faster" not in entry.find(f"{ATOM}summary").text + Page(written["index.html"]).text


def test_nothing_can_run_on_a_page() -> None:
    """The policy stands first in the head, allows no script, and the page loads nothing."""
    for name, html in archive_files([frozen(26, theme='<script>alert(1)</script>"')]):
        if name.endswith(".html"):
            assert POLICY in unescape(html)
            head = html[html.index("<head") : html.index("</head>")]
            assert head.index("Content-Security-Policy") < head.index("<title")
            assert not re.search(r"<(script|img|iframe|object|form)\b|\son\w+=", html)
        else:
            content = ElementTree.fromstring(html).find(f"{ATOM}entry/{ATOM}content").text
            assert "<script" not in content


def test_a_subscriber_s_own_issue_is_not_published() -> None:
    """It holds links that act for that subscriber."""
    with pytest.raises(PaperAgentError, match="belongs to a subscriber"):
        list(archive_files([frozen(26, subscriber=3)]))


def test_an_empty_archive_says_how_to_fill_it() -> None:
    """Index and feed are there, and valid."""
    written = dict(archive_files([]))
    assert "digest build" in Page(written["index.html"]).text
    assert ElementTree.fromstring(written["feed.atom"]).findall(f"{ATOM}entry") == []


@pytest.mark.parametrize(
    "period", ["2026-W26", "2026-06-01..2026-06-20", "../../etc/passwd", "a/b\\c\0d", "x" * 500]
)
def test_a_file_s_name_is_harmless(period: str) -> None:
    """No period's name leads out of the folder."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}\.html", file_name(period))


def test_a_theme_without_a_head_cannot_be_published() -> None:
    """There would be no place for the policy."""
    with pytest.raises(ConfigError, match="no <head>"):
        archive_page("<p>x</p>")
