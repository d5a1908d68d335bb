"""The page of a paper: its ids, its sentences, its links and its downloads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent
from paperagent.digest.links import paper_path
from paperagent.text.sentences import split_sentences
from sample_library import write_jsonl

ABSTRACT = (
    "Much is unclear, e.g. in Fig. 2. We present $\\alpha$-Quorvex [3], which needs $10^{-3}$ of the time! "
    "It is <i>fast</i> & small. Code is at https://code.example/x."
)
DOI = "10.1000/a/b.c(1)<x>;2-#"
RECORDS = [
    {
        "paper_id": "2606.00001", "arxiv_id": "2606.00001", "version": 2, "doi": "10.1000/arxiv.x",
        "title": "Quorvex $\\alpha$", "abstract": ABSTRACT, "authors": ["Ada Example", "Ben & Co"],
        "published": "2026-06-20", "updated": "2026-06-24", "categories": ["cs.CL"], "upvotes": 1,
        "url": "https://huggingface.co/papers/2606.00001", "sources": ["daily-papers"],
    },
    {
        "paper_id": f"doi:{DOI}", "doi": DOI, "title": "A paper with a difficult DOI",
        "abstract": "We show one.", "published": "2026-01-01", "flags": ["partial-date"],
        "url": "https://phish.example/login", "sources": ["a"],
    },
    {"paper_id": "cs/0112017", "arxiv_id": "cs/0112017", "title": "An old id", "abstract": "We keep old ids.",
     "published": "2001-12-01", "withdrawn": True, "flags": ["retracted"], "sources": ["a"]},
    {"paper_id": "doi:10.18653/v1/2024.acl-long.1", "doi": "10.18653/v1/2024.acl-long.1", "title": "At ACL",
     "abstract": "We meet in a city.", "withdrawn": True, "listed": "2026-06-28", "sources": ["a"]},
    {"title": "Ferrowin without an id", "abstract": "We have none.", "sources": ["saved-page"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperAgent]:
    base = tmp_path_factory.mktemp("papers")
    with PaperAgent(base / "library", embedder="none", mode="extractive") as agent:
        agent.ingest(write_jsonl(base / "papers.jsonl", RECORDS))
        yield agent


@pytest.fixture(scope="module")
def pages(agent: PaperAgent) -> Iterator[TestClient]:
    with client(agent) as http:
        yield http


def test_each_sentence_has_an_address(agent: PaperAgent, pages: TestClient) -> None:
    """The numbers are those of the stored abstract; the text is readable."""
    html = pages.get("/paper/2606.00001").text
    spans = re.findall(r'<span id="(s\d+)">(.*?)</span>', html)
    stored = split_sentences(agent.get("2606.00001").abstract)
    assert [name for name, _ in spans] == [f"s{s.index + 1}" for s in stored] == ["s1", "s2", "s3", "s4"]
    assert [unescape(text) for _, text in spans][1:3] == [
        "We present α-Quorvex [3], which needs 10⁻³ of the time!",
        "It is fast & small.",
    ]


def test_the_page_says_what_the_feed_said(pages: TestClient) -> None:
    html = pages.get("/paper/2606.00001").text
    assert "<h1>Quorvex α</h1>" in html
    assert "Published 20 June 2026, updated 24 June 2026" in html
    assert '<a href="/?author=Ben+%26+Co">Ben &amp; Co</a>' in html
    assert '<a href="/?category=cs.CL">' in html
    assert "1 vote<" in html
    assert 'href="/ask?paper=2606.00001"' in html
    outside = [url for url in re.findall(r'href="(https?://[^"]+)"', html) if "127.0.0.1" not in url]
    assert outside == [
        "https://arxiv.org/abs/2606.00001",
        "https://arxiv.org/pdf/2606.00001",
        "https://doi.org/10.1000/arxiv.x",
        "https://huggingface.co/papers/2606.00001",
    ]


def test_no_date_is_claimed_that_no_feed_gave(agent: PaperAgent, pages: TestClient) -> None:
    """A day of reading is called so, a year is no day, and a day of listing no year of publication."""
    undated = next(p for p in agent.papers() if p.title.startswith("Ferrowin"))
    assert ">Added on " in pages.get(paper_path(undated.paper_id)).text
    assert "Published 2026<" in pages.get(paper_path(f"doi:{DOI}")).text
    listed = "/paper/doi:10.18653/v1/2024.acl-long.1"
    assert "Listed 28 June 2026" in pages.get(listed).text
    assert "year" not in pages.get(f"{listed}.bib").text
    assert "PY  -" not in pages.get(f"{listed}.ris").text
    assert "published" not in pages.get(f"{listed}.json").json()


def test_an_unknown_site_is_shown_and_not_linked(pages: TestClient) -> None:
    html = pages.get(paper_path(f"doi:{DOI}")).text
    assert "https://phish.example/login" in html
    assert 'href="https://phish.example' not in html


def test_a_paper_without_a_page_elsewhere_can_be_searched_for(agent: PaperAgent, pages: TestClient) -> None:
    """Its title is searched for on arXiv, as it reads."""
    for paper in agent.papers():
        html = pages.get(paper_path(paper.paper_id)).text
        found = re.findall(r'<a href="https://arxiv.org/search/\?([^"]+)" rel="noreferrer">', html)
        has_page = not paper.title.startswith(("Ferrowin", "A paper with a difficult DOI"))
        title = paper.title.replace(" ", "+")
        assert [unescape(text) for text in found] == [f"query={title}&searchtype=title"] * (not has_page)


def test_a_paper_that_was_taken_back_says_so(pages: TestClient) -> None:
    """In words, on its page and on its card."""
    assert "was retracted by its publisher" in pages.get("/paper/cs/0112017").text
    assert "was withdrawn by its authors" in pages.get("/paper/doi:10.18653/v1/2024.acl-long.1").text
    front = pages.get("/").text
    assert ">Retracted:</span>" in front
    assert ">Withdrawn:</span>" in front


@pytest.mark.parametrize(
    ("requested", "canonical"),
    [
        ("2606.00001v2", "2606.00001"),
        ("arXiv:2606.00001", "2606.00001"),
        ("https://arxiv.org/abs/2606.00001", "2606.00001"),
        ("10.1000/arxiv.x", "2606.00001"),
        ("doi:10.48550/arXiv.2606.00001", "2606.00001"),
        ("2606.0000", "2606.00001"),
        ("cs.AI/0112017", "cs/0112017"),
        ("P24-0000", None),
        ("2024.acl-long.1", "doi:10.18653/v1/2024.acl-long.1"),
        ("acl:2024.acl-long.1", "doi:10.18653/v1/2024.acl-long.1"),
        (DOI, f"doi:{DOI}"),
    ],
)
def test_other_ids_lead_to_the_present_one(pages: TestClient, requested: str, canonical: str | None) -> None:
    response = pages.get(paper_path(requested))
    if canonical is None:
        assert response.status_code == 404
        return
    assert (response.status_code, response.headers["location"]) == (301, paper_path(canonical))
    assert pages.get(response.headers["location"]).status_code == 200
    name = pages.get(f"{paper_path(requested)}.bib").headers["location"]
    assert name == f"{paper_path(canonical)}.bib"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/2606.00001", 302),
        ("/2606.00001v1", 302),
        ("/cs/0112017", 302),
        ("/2606.99999", 404),
        ("/1234.5", 404),
        ("/paper/", 404),
        ("/paper/nothing", 404),
        ("/paper/doi:", 404),  # the beginning of two ids
        ("/paper/%00", 404),
        ("/paper/..%2f..%2fetc%2fpasswd", 404),
        ("/paper/" + "9" * 5000, 404),
    ],
)
def test_addresses_of_arxiv_and_wrong_ids(pages: TestClient, path: str, status: int) -> None:
    """It is enough to replace arxiv.org/abs in the address bar."""
    response = pages.get(path)
    assert response.status_code == status
    if status == 302:
        assert pages.get(response.headers["location"]).status_code == 200
    else:
        assert "<h1>Not found</h1>" in response.text


@pytest.mark.parametrize("paper_id", ["2606.00001", f"doi:{DOI}", "cs/0112017"])
def test_a_paper_can_be_downloaded(pages: TestClient, paper_id: str) -> None:
    files = {ext: pages.get(f"{paper_path(paper_id)}.{ext}") for ext in ("bib", "ris", "json")}
    assert {response.status_code for response in files.values()} == {200}
    assert files["bib"].text.startswith("@misc{")
    assert files["ris"].text.startswith("TY  - GEN")
    assert json.loads(files["json"].text)["paper_id"] == paper_id
    for extension, response in files.items():
        disposition = response.headers["content-disposition"]
        assert re.fullmatch(rf'attachment; filename="[\w.-]+\.{extension}"', disposition)
    html = pages.get(paper_path(paper_id)).text
    assert all(f'href="{paper_path(paper_id)}.{ext}"'.replace("'", "&#39;") in html for ext in files)


def test_an_id_may_end_like_a_file_name(tmp_path: Path) -> None:
    """Its page is not taken for the download of another paper."""
    records = [
        {"doi": f"10.1000/{name}", "title": f"Paper {name}", "abstract": "We show one.", "sources": ["a"]}
        for name in ("table", "table.json", "other.bib")
    ]
    with PaperAgent(tmp_path / "library", embedder="none") as agent:
        agent.ingest(write_jsonl(tmp_path / "papers.jsonl", records))
        with client(agent) as http:
            for name in ("table", "table.json", "other.bib"):
                path = paper_path(f"doi:10.1000/{name}")
                assert f"<h1>Paper {name}</h1>" in http.get(path).text
                assert http.get(f"{path}.ris").headers["content-type"].startswith("application/x-research")


@pytest.mark.parametrize("paper_id", ["doi:10.1/../../x", "doi:10.1/./x", "a b", "é", "x?y#z%"])
def test_a_path_keeps_any_id(paper_id: str) -> None:
    """No browser resolves a part of it."""
    from urllib.parse import unquote, urljoin, urlsplit

    path = paper_path(paper_id)
    assert unquote(path.removeprefix("/paper/")) == paper_id
    assert urlsplit(urljoin("https://a.example/", path)).path == path


def test_related_papers_are_shown(web: TestClient) -> None:
    path = re.findall(r'<h3><a href="(/paper/[^"]+)"', web.get("/").text)[0]
    html = web.get(path).text
    related = re.findall(r'href="(/paper/[^".]+)">', html[html.index("Related papers") :])
    assert len(set(related) - {path}) == 5


def test_an_unchanged_paper_is_not_sent_again(pages: TestClient) -> None:
    first = pages.get("/paper/2606.00001")
    again = pages.get("/paper/2606.00001", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
