"""The Atom feed of the papers and of every search."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from defusedxml import ElementTree
from starlette.testclient import TestClient
from web_server import HOST, client

from paperagent import PaperAgent
from sample_library import write_jsonl

ATOM = "{http://www.w3.org/2005/Atom}"


def entries(text: str) -> list[str]:
    """Return the titles of a feed's entries."""
    return [e.findtext(f"{ATOM}title") for e in ElementTree.fromstring(text).iter(f"{ATOM}entry")]


def test_the_feed_is_valid_and_its_links_work(web: TestClient) -> None:
    """It has what RFC 4287 requires, with addresses of our own pages."""
    response = web.get("/feed.atom")
    assert response.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(response.content)
    assert (
        feed.find(f"{ATOM}link[@rel='self']").get("href") == feed.findtext(f"{ATOM}id") == HOST + "/feed.atom"
    )
    ids = [e.text for e in feed.iter(f"{ATOM}id")]
    assert len(ids) == len(set(ids)) == 1 + 32
    for element in (feed, *feed.iter(f"{ATOM}entry")):
        updated = dt.datetime.fromisoformat(element.findtext(f"{ATOM}updated"))
        assert updated.tzinfo is not None
        assert element.findtext(f"{ATOM}title")
        for link in element.iterfind(f"{ATOM}link"):
            assert link.get("href").startswith(HOST)
            assert web.get(link.get("href").removeprefix(HOST)).status_code == 200
    modified = parsedate_to_datetime(response.headers["last-modified"])
    assert modified == dt.datetime.fromisoformat(feed.findtext(f"{ATOM}updated"))


def test_an_entry_is_a_paper(tmp_path: Path) -> None:
    record = {
        "paper_id": "2606.00001", "arxiv_id": "2606.00001", "title": "A <b>&</b> $\\beta$\u0007 title",
        "abstract": "First \ufffe &lt;i&gt; one. Second.", "authors": ["Ada Example", "Ben Example"],
        "categories": ["cs.CL", "cs.AI"], "published": "2026-06-20", "updated": "2026-06-24",
        "withdrawn": True, "sources": ["a"],
    }  # fmt: skip
    undated = {"title": "Only read", "abstract": "Nothing is known.", "sources": ["a"]}
    with PaperAgent(tmp_path / "library", embedder="none") as agent:
        agent.ingest(write_jsonl(tmp_path / "a.jsonl", [record, undated]))
        with client(agent, public_url="https://papers.example") as http:
            text = http.get("/feed.atom").text
    read, entry = ElementTree.fromstring(text).iter(f"{ATOM}entry")
    assert {e.tag.removeprefix(ATOM): e.text for e in entry} == {
        "title": "Withdrawn: A & β title",
        "id": "urn:paperagent:paper:2606.00001",
        "updated": "2026-06-24T00:00:00Z",
        "published": "2026-06-20T00:00:00Z",
        "link": None,
        "author": None,
        "category": None,
        "summary": "First <i> one. Second.",
    }
    assert [a.text for a in entry.iter(f"{ATOM}name")] == ["Ada Example", "Ben Example"]
    assert [c.get("term") for c in entry.iter(f"{ATOM}category")] == ["cs.CL", "cs.AI"]
    assert entry.find(f"{ATOM}link").get("href") == "https://papers.example/paper/2606.00001"
    assert read.find(f"{ATOM}published") is None


def test_a_search_is_a_feed_of_its_newest_matches(tmp_path: Path) -> None:
    """Of the last thirty days, the newest first, without papers that share only a word with it."""
    day = dt.date(2026, 6, 25)
    records = [
        {
            "paper_id": f"2606.0000{n}", "arxiv_id": f"2606.0000{n}", "title": title, "sources": ["a"],
            "published": str(day - dt.timedelta(days=days)), "categories": [category],
            "abstract": "It is about what the title says.",
        }
        for n, (title, days, category) in enumerate(
            [
                ("Sparse retrieval", 3, "cs.IR"),
                ("Sparse retrieval of speech", 1, "cs.CL"),
                ("Sparse retrieval long ago", 60, "cs.CL"),
                ("Sparse matrices", 2, "cs.CL"),
                ("Of something else", 0, "cs.CL"),
            ]
        )
    ]  # fmt: skip
    with PaperAgent(tmp_path / "library", embedder="none") as agent:
        agent.ingest(write_jsonl(tmp_path / "a.jsonl", records))
        with client(agent) as http:
            expected = ["Sparse retrieval of speech", "Sparse retrieval"]
            assert entries(http.get("/feed.atom?q=sparse+retrieval").text) == expected
            page = http.get("/?q=sparse+retrieval&since=2026-05-26").text
            assert page.count('class="card"') == 2  # the page shows the same papers
            assert "Sparse retrieval long ago" in entries(
                http.get("/feed.atom?q=sparse+retrieval&since=2026-01-01").text
            )
            assert entries(http.get("/feed.atom?category=cs.IR").text) == ["Sparse retrieval"]
            assert entries(http.get("/feed.atom?q=nothing+of+that+kind").text) == []


def test_every_list_names_its_feed(web: TestClient) -> None:
    """The feed has the filters of the list, under one address for one search."""
    for path, expected in {
        "/": "/feed.atom",
        "/?q=retrieval&category=cs.CL&sort=new&page=1": "/feed.atom?q=retrieval&category=cs.CL",
        "/?category=cs.CL": "/feed.atom?category=cs.CL",
    }.items():
        html = web.get(path).text
        link = re.search(r'<link rel="alternate" type="application/atom\+xml"[^>]* href="([^"]+)"', html)
        assert link is not None
        address = link[1].replace("&amp;", "&")
        assert address == expected
        feed = ElementTree.fromstring(web.get(address).content)
        assert feed.findtext(f"{ATOM}id") == HOST + expected


def test_an_empty_library_has_an_empty_feed(tmp_path: Path) -> None:
    with PaperAgent(tmp_path / "none", embedder="none") as agent, client(agent) as http:
        for path in ("/feed.atom", "/feed.atom?q=x"):
            response = http.get(path)
            assert response.status_code == 200
            assert entries(response.text) == []
            updated = ElementTree.fromstring(response.text).findtext(f"{ATOM}updated")
            assert updated == f"{dt.datetime.now(dt.UTC).date()}T00:00:00Z"


def test_a_feed_without_papers_was_updated_by_the_last_ingest(web: TestClient) -> None:
    feed = ElementTree.fromstring(web.get("/feed.atom?q=zzzzqqq").text)
    updated = dt.date.fromisoformat(feed.findtext(f"{ATOM}updated")[:10])
    assert dt.datetime.now(dt.UTC).date() - updated <= dt.timedelta(days=1)


@pytest.mark.parametrize("filters", ["since=0001-01-01", "until=0001-01-01", "until=9999-12-31"])
def test_the_first_and_the_last_day_can_be_named(web: TestClient, filters: str) -> None:
    assert web.get(f"/feed.atom?q=retrieval&{filters}").status_code == 200


@pytest.mark.parametrize("parameters", ["since=x", "q=" + "x" * 501, "page=0"])
def test_a_wrong_parameter_is_refused(web: TestClient, parameters: str) -> None:
    assert web.get(f"/feed.atom?{parameters}").status_code == 400


def test_the_feed_of_a_public_site_has_its_address(web: TestClient) -> None:
    assert urlsplit(ElementTree.fromstring(web.get("/feed.atom").content).findtext(f"{ATOM}id")).hostname
