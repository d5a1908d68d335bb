"""The pages behind the links in mails: a GET changes nothing, a POST acts, and only the right token works."""

from __future__ import annotations

import datetime as dt
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import READERS, SECRET, client

from paperagent import PaperAgent
from paperagent.digest.links import SignedTokens
from paperagent.digest.preferences import Preferences
from paperagent.digest.schedule import days_between
from paperagent.digest.service import DigestService
from paperagent.web.rate_limit import RateLimiter
from sample_library import write_jsonl

PUBLIC_URL = "https://papers.example.org"
TOKENS = SignedTokens(SECRET)
ANA, BO, CY = READERS
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def pages(digest: DigestService) -> Iterator[TestClient]:
    """Yield a client of the site of that digest."""
    with PaperAgent() as agent, client(agent) as http:
        assert http.app.state.site.database  # type: ignore[attr-defined]  # creates the file
        yield http


def dump(digest_home: Path) -> str:
    """Return the contents of the databases of digest and web page as SQL, without the count of writes."""
    text = ""
    for name in ("digest.db", "web.db"):
        if (digest_home / name).exists():
            with sqlite3.connect(digest_home / name) as connection:
                lines = connection.iterdump()
                text += "\n".join(line for line in lines if not line.startswith('INSERT INTO "journal"'))
    return text


def built_mails(digest: DigestService) -> list[str]:
    """Build an issue for every reader and return the text of the mails."""
    today = dt.datetime.now(dt.UTC).astimezone().date()  # the zone of the system
    period = days_between(today - dt.timedelta(days=2), today)
    digest.build(period)
    report, folder = digest.dry_run(None)
    issues = [digest.ledger.issue(f"{period.name}/{s.id}") for s in digest.subscribers.all()]
    assert report.counts.total() == len(issues) == len(list(folder.glob("*.eml")))
    return [issue.html + issue.text for issue in issues]


def test_papers_without_a_link_of_their_own_lead_to_our_page(
    pages: TestClient, digest: DigestService, tmp_path: Path
) -> None:
    """In the general issue, which the archive shows, as in those of subscribers."""
    period = days_between(dt.date(2020, 1, 6), dt.date(2020, 1, 12))
    text = "We let a model read retrieved passages about {}. It answers 12% more questions correctly."
    records = [
        {"title": f"Retrieved Passages on {topic}", "abstract": text.format(topic), "published": "2020-01-08"}
        for topic in ("Lighthouses", "Beavers & Dams")
    ]
    with PaperAgent() as agent:
        agent.ingest(write_jsonl(tmp_path / "papers.jsonl", records))
    digest.build(period)
    assert len(digest.ledger.stored_for(period.name)) > 1
    for subscriber_id in digest.ledger.stored_for(period.name):
        issue = digest.ledger.issue(f"{period.name}/{subscriber_id}")
        for body in (issue.html, issue.text):
            links = set(re.findall(rf"{PUBLIC_URL}(/paper/[^\s\"<>]+)", body))
            assert sorted(re.findall("<h1>(.*?)</h1>", pages.get(link).text)[0] for link in links) == [
                "Retrieved Passages on Beavers &amp; Dams",
                "Retrieved Passages on Lighthouses",
            ]


# --- unsubscribe ---


def test_mail_scanners_change_nothing(
    pages: TestClient, digest: DigestService, digest_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bad-352: GET and HEAD of every link of real mails, three times, leave both databases as they are.

    ``LINK_SCAN_READERS=97`` adds readers, which makes it 100 mails.
    """
    monkeypatch.setattr(RateLimiter, "take", lambda *_: 0)
    for number in range(int(os.environ.get("LINK_SCAN_READERS", "0"))):
        interest = list(READERS.values())[number % len(READERS)]
        digest.subscribers.add(f"r{number}@test.example", Preferences.validated([interest]), confirmed=True)
    links = {link for mail in built_mails(digest) for link in re.findall(rf"{PUBLIC_URL}(/[^\s\"<>]+)", mail)}
    links = {link for link in links if not link.startswith(("/archive/", "/paper/"))}
    assert {link.split("/")[1] for link in links} == {"unsubscribe", "preferences", "feedback"}
    before = dump(digest_home)
    for _ in range(3):
        for link in links:
            for method in ("GET", "HEAD"):
                response = pages.request(method, link)
                assert response.status_code == 200, link
                assert response.headers["cache-control"] == "no-store"
                assert response.headers["x-robots-tag"] == "noindex"
                assert "set-cookie" not in response.headers
    assert dump(digest_home) == before


@pytest.mark.parametrize("encoding", ["data", "files"])
def test_one_click(pages: TestClient, digest: DigestService, digest_home: Path, encoding: str) -> None:
    """RFC 8058: urlencoded or multipart, without cookie and origin, answered without a redirect."""
    reader = digest.subscribers.find(ANA)
    path = f"/unsubscribe/{TOKENS.create('unsubscribe', reader.id)}"
    body = ONE_CLICK if encoding == "data" else {name: (None, value) for name, value in ONE_CLICK.items()}
    first = pages.post(path, **{encoding: body})  # type: ignore[arg-type]
    assert (first.status_code, first.headers["content-type"][:10]) == (200, "text/plain")
    assert digest.subscribers.get(reader.id).state == "unsubscribed"
    assert digest.subscribers.is_suppressed(reader.key)
    before = dump(digest_home)
    assert pages.post(path, **{encoding: body}).status_code == 200  # type: ignore[arg-type]
    assert dump(digest_home) == before


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "x"}, {"one-click": "1"}])
def test_another_post_is_refused(pages: TestClient, digest: DigestService, body: dict[str, str]) -> None:
    """bad-353: a program that follows links with POST does not unsubscribe anybody."""
    reader = digest.subscribers.find(ANA)
    response = pages.post(f"/unsubscribe/{TOKENS.create('unsubscribe', reader.id)}", data=body)
    assert (response.status_code, "press the button" in response.text) == (400, True)
    assert digest.subscribers.get(reader.id) == reader


def test_the_button_unsubscribes(pages: TestClient, digest: DigestService) -> None:
    reader = digest.subscribers.find(ANA)
    path = f"/unsubscribe/{TOKENS.create('unsubscribe', reader.id)}"
    asked = pages.get(path)
    assert "Unsubscribe</button>" in asked.text
    assert "a•••@test.example" in asked.text
    assert ANA not in asked.text
    done = pages.post(path, data={"stop": "1"})
    assert "You are unsubscribed" in done.text
    assert digest.recipients(digest.current_period()) == [digest.subscribers.find(r) for r in (BO, CY)]
    assert "<button" not in pages.get(path).text


def test_a_forgotten_reader_is_told_the_same(
    pages: TestClient, digest: DigestService, digest_home: Path
) -> None:
    reader = digest.subscribers.find(ANA)
    path = f"/unsubscribe/{TOKENS.create('unsubscribe', reader.id)}"
    digest.subscribers.remove(reader.email)
    before = dump(digest_home)
    assert pages.get(path).status_code == 200
    assert pages.post(path, data=ONE_CLICK).status_code == 200
    assert "this address" in pages.post(path, data={"stop": "1"}).text
    assert dump(digest_home) == before


def test_other_tokens_are_refused(pages: TestClient, digest: DigestService, digest_home: Path) -> None:
    """Of another secret, of another purpose, changed or of any other text: 404, and nothing changes."""
    good = TOKENS.create("unsubscribe", 1)
    other = SignedTokens("another secret of more than thirty-two bytes").create("unsubscribe", 1)
    wrong = [other, good[:-1], good[:-1] + "A", good + "x", TOKENS.create("preferences", 1), "x", "%00", "é"]
    wrong += ["a" * 5_000, TOKENS.create("feedback", 1, "p", "more"), "../../etc/passwd", "'; DROP TABLE x"]
    before = dump(digest_home)
    for token in wrong:
        for method in ("GET", "POST"):
            response = pages.request(method, f"/unsubscribe/{token}")
            assert response.status_code == 404, token
            assert "<h1>Not found</h1>" in response.text
    assert dump(digest_home) == before


def test_links_that_are_not_ours_create_no_file(digest_home: Path) -> None:
    """Whatever a scanner makes of a link."""
    with PaperAgent() as agent, client(agent) as http:
        for page in ("confirm", "preferences", "unsubscribe", "feedback", "saved"):
            assert http.get(f"/{page}/x").status_code == 404
        assert http.get("/subscribe").status_code == 200
    assert not (digest_home / "digest.db").exists()


# --- feedback ---


def feedback_path(reader_id: int, paper_id: str, kind: str = "more") -> str:
    return f"/feedback/{TOKENS.create('feedback', reader_id, paper_id, kind)}"


def test_feedback_is_kept_changed_and_undone(pages: TestClient, digest: DigestService) -> None:
    """One button; then the other two and undo. The link of one kind may keep another."""
    reader = digest.subscribers.find(ANA)
    with PaperAgent() as agent:
        paper = agent.list(limit=1)[0]
    path = feedback_path(reader.id, paper.paper_id)

    def kinds() -> set[str]:
        return {rating.kind for rating in digest.feedback.ratings(reader.id)}

    asked = pages.get(path)
    assert asked.text.count("<button") == 1
    assert "More like this?" in asked.text
    assert kinds() == set()
    done = pages.post(path, follow_redirects=True)
    assert "You’ll see more papers like this" in done.text
    assert kinds() == {"more"}
    assert "Undo “more like this”" in done.text
    pages.post(path, data={"kind": "save"})
    assert kinds() == {"more", "save"}
    assert "You’ll see fewer" in pages.post(path, data={"kind": "less"}, follow_redirects=True).text
    assert kinds() == {"less", "save"}
    for kind in ("less", "save", "save"):
        pages.post(path, data={"kind": kind, "undo": "1"})
    assert kinds() == set()
    assert pages.get(path).text == asked.text


def test_feedback_on_what_does_not_exist(pages: TestClient, digest: DigestService) -> None:
    """A paper that was removed can still be rated; an unknown kind and a forgotten reader cannot."""
    reader = digest.subscribers.find(ANA)
    assert "no longer in the library" in pages.get(feedback_path(reader.id, "gone")).text
    assert pages.post(feedback_path(reader.id, "gone")).status_code == 303
    assert pages.post(feedback_path(reader.id, "gone", "delete")).status_code == 404
    assert pages.post(feedback_path(reader.id, "gone"), data={"kind": "delete"}).status_code == 404
    assert pages.post(feedback_path(99, "gone")).status_code == 404
