"""The feed: newest papers, days, weeks, search, filters and pages."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient
from web_server import client, process

from paperagent import PaperAgent
from sample_library import write_jsonl

DAY = dt.date(2026, 6, 25)


def record(number: int, **fields: object) -> dict[str, object]:
    """Return a record of a feed; paper 1 is of 25 June 2026, each later one of the day before."""
    return {
        "paper_id": f"2606.{number:05}",
        "arxiv_id": f"2606.{number:05}",
        "sources": ["test-feed"],
        "title": f"Quorvex study number {number}",
        "abstract": f"Much is unclear. We present Quorvex {number}, which improves recall by {number} %.",
        "authors": ["Ada Example", "Ben Example", "Cy Example", "Di Example"],
        "categories": ["cs.CL"],
        "published": str(DAY - dt.timedelta(days=number - 1)),
        **fields,
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library: 90 papers of one day, some earlier ones, and one whose feed gave no date."""
    base = tmp_path_factory.mktemp("feed")
    many = [record(n, published=str(DAY)) for n in range(100, 190)]
    few = [
        record(2, categories=["cs.RO"], upvotes=7),
        record(4, title="A <script> bold & [1] claim", upvotes=12),
        record(9, title="Of another week"),
    ]
    with PaperAgent(base / "library", embedder="none", mode="extractive") as agent:
        agent.ingest(write_jsonl(base / "papers.jsonl", [*many, *few]))
        undated = record(500, title="Without a date")
        del undated["published"]
        agent.ingest(write_jsonl(base / "undated.jsonl", [undated]))
    return base / "library"


@pytest.fixture(scope="module")
def feed(home: Path) -> Iterator[TestClient]:
    with PaperAgent(home, embedder="none", mode="extractive") as agent, client(agent) as http:
        yield http


def headings(html: str) -> list[str]:
    """Return the text of the level-two headings."""
    return [re.sub("<[^>]+>", "", h) for h in re.findall("<h2>(.*?)</h2>", html)]


def titles(html: str) -> list[str]:
    """Return the titles on the cards, as they stand in the HTML."""
    return re.findall(r'<h3>.*?<a href="/paper/[^"]+">(.*?)</a></h3>', html)


def test_the_front_page_shows_the_newest_days(feed: TestClient) -> None:
    """Forty cards, and a heading for each day with the number of its papers, which is a link."""
    html = feed.get("/").text
    today = dt.datetime.now(dt.UTC).astimezone().date()  # the zone of the system
    assert headings(html)[1] == "Thursday, 25 June 2026 · 90 papers"
    assert headings(html)[0].startswith("Added on ")
    assert f'<a href="/day/{today}">' in html
    assert len(titles(html)) == 40
    assert "We present Quorvex 100, which improves recall by 100 %." in html
    assert "Ada Example, Ben Example, Cy Example et al. · arXiv:2606.00100 · cs.CL" in html


def test_pages_lead_to_each_other_and_end(feed: TestClient) -> None:
    """Each paper is on one page."""
    path, seen = "/", []
    while path:
        html = feed.get(path).text
        seen += titles(html)
        following = re.search(r'<a class="end" rel="next" href="([^"]+)"', html)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 94
    assert feed.get("/?page=4").status_code == 404


def test_days_and_weeks_link_to_their_neighbors_with_papers(feed: TestClient) -> None:
    html = feed.get("/day/2026-06-22").text
    assert titles(html) == ["A &lt;script&gt; bold &amp; ［1］ claim"]
    assert (
        re.findall(r'href="(/day/[^"?]+)">(.*?)</a>', html)
        == [
            ("/day/2026-06-17", "← 17 June 2026"),
            ("/day/2026-06-24", "24 June 2026 →"),
        ]
        * 2
    )  # above and below the papers
    week = feed.get("/week/2026-W26").text
    assert "Week 26, 22–28 June 2026" in week
    assert 'href="/week/2026-W25">← Week 25</a>' in week
    assert feed.get("/day/2026-06-23").status_code == 200  # within the span
    filtered = feed.get("/day/2026-06-24?category=cs.CL").text
    assert 'href="/day/2026-06-22?category=cs.CL">← 22 June 2026' in filtered
    assert "No paper matches these filters" in filtered


def test_a_week_that_skips_others_says_so(tmp_path: Path) -> None:
    with PaperAgent(tmp_path / "library", embedder="none") as agent, client(agent) as http:
        days = ("2026-01-05", "2026-01-04", "2025-12-08")  # weeks 2 and 1 of 2026, week 50 of 2025
        agent.ingest(
            write_jsonl(tmp_path / "a.jsonl", [record(n, published=day) for n, day in enumerate(days, 1)])
        )
        html = {week: http.get(f"/week/{week}").text for week in ("2026-W02", "2026-W01", "2025-W50")}
    assert ">← Week 1</a>" in html["2026-W02"]
    assert ">← Week 50 of 2025, the previous week with papers</a>" in html["2026-W01"]
    assert ">Week 2 →</a>" in html["2026-W01"]
    assert ">Week 1 of 2026, the next week with papers →</a>" in html["2025-W50"]


def test_a_gap_of_months_is_crossed(feed: TestClient) -> None:
    today = dt.datetime.now(dt.UTC).astimezone().date()  # the zone of the system
    assert f'href="/day/{today}">' in feed.get("/day/2026-06-25").text
    assert 'href="/day/2026-06-25">' in feed.get(f"/day/{today}").text


@pytest.mark.parametrize(
    "path",
    """/day/2026-06-16 /day/2999-01-01 /day/2026-02-30 /day/2026-6-25 /day/x /day/0000-00-00
    /day/0001-01-01 /day/9999-12-31 /week/2026-W24 /week/2999-W01 /week/2026-W60 /week/9999-W53
    /week/0001-W01 /week/9999-W52 /week/2026-26 /week/""".split(),
)
def test_there_are_no_pages_outside_the_library_s_days(feed: TestClient, path: str) -> None:
    """A crawler that follows a calendar comes to an end."""
    assert feed.get(path).status_code == 404


def test_the_most_votes_are_first(feed: TestClient) -> None:
    html = feed.get("/week/2026-W26?sort=votes").text
    assert titles(html)[:2] == ["A &lt;script&gt; bold &amp; ［1］ claim", "Quorvex study number 2"]
    assert "12 votes" in html


def test_a_search_shows_the_best_matches_and_can_be_filtered(feed: TestClient) -> None:
    html = feed.get("/", params={"q": "bold claim"}).text
    assert titles(html)[0].endswith("claim")
    assert 'value="bold claim"' in html
    assert feed.get("/", params={"q": "bold"}).headers["x-robots-tag"] == "noindex"
    filtered = feed.get("/?q=quorvex&category=cs.RO&since=2026-06-01").text
    assert titles(filtered) == ["Quorvex study number 2"]
    assert re.findall(r'class="chips".*?</ul>', filtered, re.DOTALL)
    assert (
        'href="/?q=quorvex&amp;category=cs.RO" aria-label="Remove the filter: from 1 June 2026"' in filtered
    )


@pytest.mark.parametrize("query", ["zzzzqqq", "train ticket from Lisbon to Oslo", 'zz "qqq" <zzz>'])
def test_a_search_can_find_nothing(web: TestClient, query: str) -> None:
    html = unescape(web.get("/", params={"q": query}).text)
    assert titles(html) == []
    assert f"No paper matches “{query}”. Try other words, or" in html
    assert f'href="/ask?{urlencode({"q": query})}"' in html
    html = unescape(web.get("/", params={"q": query, "author": "Example", "sort": "new"}).text)
    assert f"No paper matches “{query}” with these filters." in html
    assert f'href="/?{urlencode({"q": query, "sort": "new"})}">search without filters' in html


def test_a_search_says_how_many_papers_match(feed: TestClient, web: TestClient) -> None:
    assert headings(web.get("/?q=sparse+retrieval").text)[0].endswith(" papers")
    assert headings(feed.get("/?q=claim").text) == ["1 paper"]


def test_filters_and_orders_are_offered_only_if_papers_have_them(feed: TestClient, tmp_path: Path) -> None:
    """A library without categories, feeds or votes has no field for them; what the address names stays."""
    html = feed.get("/").text
    assert re.findall(r'<input type="text" id="(\w+)"', html) == ["category", "source", "author"]
    assert re.findall(r'<datalist id="(\w+)-list">', html) == ["category", "source"]
    assert '<option value="cs.CL">' in html
    plain = record(1, categories=[], sources=["saved-page"])
    with PaperAgent(tmp_path / "library", embedder="none") as agent, client(agent) as http:
        agent.ingest(write_jsonl(tmp_path / "a.jsonl", [plain]))
        html = http.get("/").text
        assert re.findall(r'<input type="text" id="(\w+)"', html) == ["source", "author"]
        assert 'value="votes"' not in html
        assert 'id="category"' in http.get("/?category=cs.CL").text
        agent.ingest(write_jsonl(tmp_path / "b.jsonl", [record(2, upvotes=1)]))
        assert '<option value="votes">Most votes</option>' in http.get("/").text


def test_empty_fields_of_a_form_are_left_out_of_the_address(feed: TestClient) -> None:
    response = feed.get("/?q=bold&since=&category=&sort=")
    assert (response.status_code, response.headers["location"]) == (302, "/?q=bold")
    assert feed.get("/?q=&since=").headers["location"] == "/"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=99999999", "page"),
        ("sort=best", "sort"),
        ("sort=relevance", "sort"),
        ("since=yesterday", "since"),
        ("since=2026-02-01&until=2026-01-01", "since"),
        ("q=" + "x" * 501, "q"),
        ("q=%00", "q"),
        ("category=%00", "category"),
        ("author=%21%21", "author"),
        ("author=" + "x" * 300, "author"),
    ],
)
def test_a_wrong_parameter_is_named(feed: TestClient, parameters: str, name: str) -> None:
    for path in ("/", "/day/2026-06-25"):
        if path == "/" or not parameters.startswith(("q=", "since=")):
            response = feed.get(f"{path}?{parameters}")
            assert response.status_code == 400
            assert "<h1>Check the address</h1>" in response.text
            assert f"The parameter “{name}” cannot be used: " in response.text


def test_unknown_parameters_are_ignored(feed: TestClient) -> None:
    assert feed.get("/?utm_source=x").status_code == 200


def test_an_empty_library_says_how_to_fill_it(tmp_path: Path) -> None:
    """Also where there is no folder yet; nothing is created."""
    home = tmp_path / "none"
    with PaperAgent(home, embedder="none") as agent, client(agent) as http:
        for path in ("/", "/?q=agents"):
            response = http.get(path)
            assert response.status_code == 200
            assert "paperagent ingest" in response.text
        assert http.get("/day/2026-06-25").status_code == 404
        assert not home.exists()


def test_papers_of_another_process_appear_at_once(tmp_path: Path) -> None:
    """The page is kept in memory only until the library changes."""
    home = tmp_path / "library"
    with PaperAgent(home, embedder="none") as agent:
        agent.ingest(write_jsonl(tmp_path / "a.jsonl", [record(1)]))
        import httpx

        with process(home, env={"PAPERAGENT_EMBEDDER": "none"}) as address, httpx.Client() as http:
            first = http.get(address + "/")
            assert titles(first.text) == ["Quorvex study number 1"]
            etag = first.headers["etag"]
            assert http.get(address + "/", headers={"if-none-match": etag}).status_code == 304
            agent.ingest(write_jsonl(tmp_path / "b.jsonl", [record(2)]))
            changed = http.get(address + "/", headers={"if-none-match": etag})
            assert titles(changed.text) == ["Quorvex study number 1", "Quorvex study number 2"]


def test_a_feed_page_is_small(feed: TestClient) -> None:
    """One round trip: at most 14 kB compressed for forty cards."""
    import gzip

    assert len(gzip.compress(feed.get("/").content)) < 14_000
