"""The table of routes: status, caching and indexing of every page that shows papers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent
from paperagent.web import app
from paths import ROOT
from sample_library import write_jsonl

EXAMPLES = {
    "/": ["/", "/?page=1", "/?category=cs.CL", "/?q=quorvex", "/?sort=votes"],
    "/day/{day}": ["/day/2026-06-25", "/day/2026-06-25?sort=votes"],
    "/week/{week}": ["/week/2026-W26"],
    "/paper/{id:path}": ["/paper/2606.00001"],
    "/paper/{id:path}.bib": ["/paper/2606.00001.bib"],
    "/paper/{id:path}.ris": ["/paper/2606.00001.ris"],
    "/paper/{id:path}.json": ["/paper/2606.00001.json"],
    "/feed.atom": ["/feed.atom", "/feed.atom?q=quorvex"],
    "/archive/": ["/archive/"],
    "/archive/feed.atom": ["/archive/feed.atom"],
    "/static/{name}": ["/static/app.css", "/static/favicon.svg"],
    "/robots.txt": ["/robots.txt"],
    "/healthz": ["/healthz"],
}
"""Route → addresses that answer 200 without signing in."""
CASES = [(route, path) for route in app.ROUTES for path in EXAMPLES.get(route.path, ())]
CACHE = {
    "/": "public, max-age=60",
    "/?q=quorvex": "private, no-cache",
    "/day/2026-06-25": "public, max-age=3600",
    "/day/2026-06-25?sort=votes": "public, max-age=3600",
    "/week/2026-W26": "public, max-age=3600",
}
"""Address → the `Cache-Control` that its handler chooses instead of its route's."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    base = tmp_path_factory.mktemp("routes")
    record = {
        "paper_id": "2606.00001", "arxiv_id": "2606.00001", "title": "Quorvex", "abstract": "We present it.",
        "published": "2026-06-25", "upvotes": 3, "categories": ["cs.CL"], "sources": ["a"],
    }  # fmt: skip
    with PaperAgent(base / "library", embedder="none", mode="extractive") as agent:
        agent.ingest(write_jsonl(base / "a.jsonl", [record]))
        with client(agent) as http:
            yield http


def test_the_examples_are_routes() -> None:
    assert set(EXAMPLES) == {route.path for route, _ in CASES}


@pytest.mark.parametrize(("route", "path"), CASES, ids=[path for _, path in CASES])
def test_a_page_is_cached_and_indexed_as_its_route_says(
    site: TestClient, route: app.http.Route, path: str
) -> None:
    """Also from memory, at the second request; HEAD answers like GET."""
    first, second, head = site.get(path), site.get(path), site.head(path)
    default = "public, max-age=60" if route.path == "/" else route.cache
    for response in (first, second, head):
        assert response.status_code == 200
        assert response.headers["cache-control"] == CACHE.get(path, default)
        is_hidden = not route.indexed or ("?" in path and route.path != "/feed.atom" and "page=" not in path)
        assert response.headers.get("x-robots-tag") == ("noindex" if is_hidden else None)
    assert first.content == second.content
    assert head.content == b""
    volatile = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in first.headers.items() if k not in volatile
    }
    if first.headers["cache-control"] != "no-store":
        again = site.get(path, headers={"if-none-match": f'W/"x", {first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/nothing", "/paper/nothing", "/day/2020-01-01", "/archive/x.html", "/?page=9"]
)
def test_what_is_not_there_is_not_cached(site: TestClient, path: str) -> None:
    response = site.get(path)
    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-robots-tag"] == "noindex"
    assert '<html lang="en"' in response.text


def test_a_get_changes_no_file(site: TestClient, tmp_path: Path) -> None:
    """The library's folder is the same after every page was read."""
    from hashlib import sha256

    home = site.app.state.site.settings.home  # type: ignore[attr-defined]

    def snapshot() -> dict[str, str]:
        files = (
            path for path in home.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".lock"}
        )
        return {str(path): sha256(path.read_bytes()).hexdigest() for path in files}

    assert site.app.state.warm.wait(20)  # type: ignore[attr-defined]  # the start may write
    for _, path in CASES:  # what is opened for reading first
        site.get(path)
    before = snapshot()
    for _, path in CASES:
        for method in ("GET", "HEAD"):
            site.request(method, path)
    assert snapshot() == before


def test_the_documentation_lists_every_address() -> None:
    """The table in docs/web.md has the same addresses and methods as the code."""
    text = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    table = text[text.index("## All addresses") : text.index("## What is not built")]
    documented = {}
    for row in re.findall(r"^\| (`.+?`) \| ([A-Z, ]+) \|", table, re.MULTILINE):
        for path in re.findall(r"`([^`]+)`", row[0]):
            documented[path] = set(row[1].split(", "))
    actual: dict[str, set[str]] = {}
    for route in app.ROUTES:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        actual.setdefault(path, set()).update(route.methods)
    assert documented.keys() == actual.keys()
    assert {path: actual[path] - documented[path] for path in actual} == {path: set() for path in actual}
