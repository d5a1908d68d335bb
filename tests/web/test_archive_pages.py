"""The archive of the digest, and robots.txt."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.robotparser import RobotFileParser

import pytest
from defusedxml import ElementTree
from starlette.testclient import TestClient
from web_server import HOST, client

from paperagent import PaperAgent
from paperagent.digest.schedule import days_between
from paperagent.factory.digest import digest_service

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def archive(sample_home: Path, tmp_path: Path) -> Iterator[TestClient]:
    """Yield a client of a library with two issues."""
    home = tmp_path / "library"
    shutil.copytree(sample_home, home)
    with PaperAgent(home, embedder="none", mode="extractive") as agent:
        days = sorted(paper.appeared for paper in agent.papers() if paper.appeared)
        with digest_service(agent.settings) as service:
            for before in (6, 0):
                service.build(days_between(days[-1] - dt.timedelta(days=before), days[-1]))
        with client(agent) as http:
            yield http


def test_issues_are_listed_and_shown_as_they_were_mailed(archive: TestClient) -> None:
    html = archive.get("/archive/").text
    links = re.findall(r'<h3><a href="([^"]+\.html)"', html)
    assert len(links) == 2
    for link in links:
        response = archive.get(f"/archive/{link}")
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert policy.endswith("; frame-ancestors 'none'; sandbox")
        assert "script-src" not in policy
        assert 'href="index.html">All issues' in response.text
    assert archive.get("/archive/index.html").headers["location"] == "/archive/"


def test_the_archive_has_a_feed_whose_links_work(archive: TestClient) -> None:
    response = archive.get("/archive/feed.atom")
    feed = ElementTree.fromstring(response.content)
    links = [link.get("href") for link in feed.iter(f"{ATOM}link")]
    assert len(links) == 4
    for link in links:
        assert archive.get(link.removeprefix(HOST), follow_redirects=True).status_code == 200
    assert "last-modified" in response.headers


def test_an_empty_archive_is_a_page_and_creates_nothing(web: TestClient, sample_home: Path) -> None:
    response = web.get("/archive/")
    assert response.status_code == 200
    assert "paperagent digest build" in response.text
    assert list(ElementTree.fromstring(web.get("/archive/feed.atom").content).iter(f"{ATOM}entry")) == []
    assert not (sample_home / "digest.db").exists()


@pytest.mark.parametrize("name", ["2026-W99", "..", "x%00", "feed"])
def test_a_missing_issue_is_not_found(archive: TestClient, name: str) -> None:
    assert archive.get(f"/archive/{name}.html").status_code == 404


def test_crawlers_read_papers_and_nothing_that_acts(web: TestClient) -> None:
    robots = RobotFileParser()
    robots.parse(web.get("/robots.txt").text.splitlines())
    for path in (
        "/",
        "/day/2026-06-25",
        "/paper/2606.00001",
        "/archive/",
        "/static/app.css?v=1",
        "/feed.atom",
    ):
        assert robots.can_fetch("*", HOST + path), path
    for path in (
        "/ask",
        "/c/x",
        "/confirm/t",
        "/unsubscribe/t",
        "/feedback/t",
        "/saved/t",
        "/sign-in",
        "/?q=x",
    ):
        assert not robots.can_fetch("*", HOST + path), path
