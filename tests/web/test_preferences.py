"""A reader's own pages: preferences, ratings, reading list, data, and being forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient
from web_server import READERS, SECRET, client

import attack_strings
from paperagent import Paper, PaperAgent
from paperagent.digest.links import SignedTokens
from paperagent.digest.preferences import MAX_ENTRIES
from paperagent.digest.service import DigestService
from paperagent.digest.subscribers import Subscriber
from paperagent.web.rate_limit import RateLimiter

TOKENS = SignedTokens(SECRET)
ANA, BO, CY = READERS


@pytest.fixture
def pages(digest: DigestService) -> Iterator[TestClient]:
    """Yield a client of the digest's site."""
    with PaperAgent() as agent, client(agent) as http:
        yield http


@pytest.fixture
def ana(digest: DigestService) -> Subscriber:
    return digest.subscribers.find(ANA)


@pytest.fixture
def path(ana: Subscriber) -> str:
    """Return the path of Ana's preferences."""
    return f"/preferences/{TOKENS.create('preferences', ana.id)}"


@pytest.fixture
def papers() -> list[Paper]:
    with PaperAgent() as agent:
        return agent.list(limit=4)


def test_preferences_are_changed_and_cleared(
    categories: tuple[str, ...], pages: TestClient, digest: DigestService, ana: Subscriber, path: str
) -> None:
    assert ">\nretrieved passages</textarea>" in pages.get(path).text
    fields = {
        "interests": "graphs\r\n\r\nspeech\r\nGraphs",
        "questions": "Does it work offline?",
        "categories": ", ".join(categories),
        "authors": "Jane Doe\n",
        "exclude": "medical\ncs.CV",
        "frequency": "daily",
        "max_items": "5",
        "action": "save",
    }
    saved = pages.post(path, data=fields, follow_redirects=True)
    assert "Your changes are saved." in saved.text
    changed = digest.subscribers.get(ana.id)
    assert (changed.frequency, changed.state) == ("daily", "confirmed")
    assert changed.preferences.to_dict() == {
        "interests": ["graphs", "speech"],
        "questions": ["Does it work offline?"],
        "categories": list(categories),
        "exclude": ["medical", "cs.CV"],
        "authors": ["Jane Doe"],
        "examples": [],
        "max_items": 5,
        "language": "",
    }
    assert ">\nmedical\ncs.CV</textarea>" in saved.text
    pages.post(path, data={"action": "save", "frequency": "weekly"})
    cleared = digest.subscribers.get(ana.id)
    assert (cleared.preferences.interests, cleared.preferences.max_items) == ((), None)
    assert digest.subscribers.find(BO).preferences.interests == (READERS[BO],)


def test_categories_without_papers_are_refused(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, request: pytest.FixtureRequest
) -> None:
    """The field is there if papers have categories or the reader has chosen some."""
    assert 'name="categories"' not in pages.get(path).text
    refused = pages.post(path, data={"action": "save", "categories": "cs.CL"})
    assert refused.status_code == 422
    assert "No paper here is in cs.CL. Leave this empty" in refused.text
    assert 'name="categories"' in refused.text
    request.getfixturevalue("categories")
    shown = pages.get(path).text
    assert 'list="category-list"' in shown
    assert '<option value="cs.IR">' in shown
    refused = pages.post(path, data={"action": "save", "categories": "cs, cs.CV, foo"})
    assert refused.status_code == 422
    assert "No paper here is in cs.CV, foo. Choose from cs.CL, cs.IR." in refused.text
    assert digest.subscribers.get(ana.id) == ana
    assert pages.post(path, data={"action": "save", "categories": "CS, cs.ir"}).status_code == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interests", "x" * 301),
        ("interests", "\n".join(f"topic {n}" for n in range(21))),
        ("questions", "???"),
        ("categories", "<script>"),
        ("authors", "Wang"),
        ("exclude", "of the"),
        ("max_items", "31"),
        ("max_items", "0"),
        ("max_items", "9" * 40),
        ("max_items", "-1"),
        ("frequency", "hourly"),
    ],
)
def test_wrong_fields_change_nothing(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, field: str, value: str
) -> None:
    response = pages.post(path, data={"action": "save", "interests": "graphs", field: value})
    assert response.status_code == 422
    assert f'<a href="#{field}">' in response.text
    assert "<script>" not in response.text
    assert digest.subscribers.get(ana.id) == ana


@pytest.mark.parametrize("fields", [{}, {"List-Unsubscribe": "One-Click"}, {"action": "other"}])
def test_a_post_of_no_button_changes_nothing(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, fields: dict[str, str]
) -> None:
    assert pages.post(path, data=fields).status_code == 400
    assert digest.subscribers.get(ana.id) == ana


def test_ratings_are_shown_and_undone(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, papers: list[Paper]
) -> None:
    for paper, kind in zip(papers, ("more", "less", "save"), strict=False):
        digest.feedback.rate(ana.id, paper.paper_id, kind)
    digest.feedback.rate(ana.id, "gone", "save")
    shown = pages.get(path).text
    assert shown.count(">Undo</button>") == 4
    assert all(paper.title in shown for paper in papers[:3])
    pages.post(path, data={"action": "undo", "paper": papers[0].paper_id, "kind": "more"})
    pages.post(path, data={"action": "undo", "paper": "gone", "kind": "save"})
    pages.post(path, data={"action": "undo", "paper": papers[1].paper_id, "kind": "delete"})
    left = {(rating.paper_id, rating.kind) for rating in digest.feedback.ratings(ana.id)}
    assert left == {(papers[1].paper_id, "less"), (papers[2].paper_id, "save")}
    assert digest.subscribers.get(ana.id).preferences == ana.preferences


def test_data_can_be_downloaded(pages: TestClient, digest: DigestService, ana: Subscriber, path: str) -> None:
    digest.feedback.rate(ana.id, "p1", "more")
    response = pages.get(f"{path}/data.json")
    assert response.headers["content-disposition"] == 'attachment; filename="paper-digest.json"'
    data = json.loads(response.text)
    assert data["subscriber"]["interests"] == ["retrieved passages"]
    assert [rating["paper_id"] for rating in data["feedback"]] == ["p1"]
    assert data["subscriber"]["email"] == ANA
    assert ANA not in pages.get(path).text


def test_a_reader_is_forgotten(pages: TestClient, digest: DigestService, ana: Subscriber, path: str) -> None:
    """Nothing is left but the address on the list of those that get no mail; the others keep all."""
    digest.build(digest.current_period())
    digest.feedback.rate(ana.id, "p1", "more")
    digest.feedback.rate(digest.subscribers.find(BO).id, "p1", "less")
    done = pages.post(path, data={"action": "forget"})
    assert "Your data is deleted" in done.text
    assert ANA not in {subscriber.email for subscriber in digest.subscribers.all()}
    assert digest.subscribers.signup_state(ana.key) == ("unsubscribed", None)
    with digest._database.reading() as db:
        for table in ("feedback", "issue", "delivery", "shown"):
            count = f"SELECT count(*) FROM {table} WHERE subscriber_id = ?"
            assert db.execute(count, (ana.id,)).fetchone() == (0,), table
    assert digest.feedback.ratings(digest.subscribers.find(BO).id)
    for method in ("GET", "POST"):
        gone = pages.request(method, path)
        assert (gone.status_code, "<h1>Deleted</h1>" in gone.text) == (404, True)
    assert pages.get(f"{path}/data.json").status_code == 404


def test_an_unsubscribed_reader_is_told_so(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str
) -> None:
    digest.subscribers.unsubscribe(ana.id)
    assert "No digest is sent to a•••@test.example" in pages.get(path).text
    pages.post(path, data={"action": "save", "interests": "graphs"})
    assert digest.subscribers.get(ana.id).state == "unsubscribed"


# --- the reading list ---


def test_a_reading_list_is_searched_and_exported(
    pages: TestClient, digest: DigestService, ana: Subscriber, papers: list[Paper]
) -> None:
    """Its address shows the list and nothing else of the reader."""
    path = f"/saved/{TOKENS.create('saved', ana.id)}"
    assert "The list is empty" in pages.get(path).text
    for paper in papers[:3]:
        digest.feedback.rate(ana.id, paper.paper_id, "save")
    digest.feedback.rate(ana.id, papers[3].paper_id, "more")
    digest.feedback.rate(ana.id, "gone", "save")
    shown = pages.get(path).text
    assert [paper.title in shown for paper in papers] == [True, True, True, False]
    assert "preferences" not in shown
    word = papers[0].title.split()[0].strip(":")
    matched = pages.get(path, params={"q": word.lower()}).text
    assert papers[0].title in matched
    assert "1 of 3 contain" in matched
    assert pages.get(f"{path}/papers.bib").text.count("@misc{") == 3
    assert pages.get(f"{path}/papers.ris").text.count("TY  - ") == 3
    assert pages.get(f"{path}/papers.exe").status_code == 404
    for other in ("preferences", "unsubscribe"):
        assert pages.get(f"/saved/{TOKENS.create(other, ana.id)}").status_code == 404  # type: ignore[arg-type]
        assert pages.get(path.replace("/saved/", f"/{other}/")).status_code == 404


# --- hostile strings ---


class Skeleton(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[object] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(
            (tag, [(name, value) for name, value in attrs if (tag, name) != ("input", "value")])
        )

    def handle_comment(self, data: str) -> None:
        self.elements.append(data)


def test_what_is_typed_never_becomes_markup(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, papers: list[Paper]
) -> None:
    """As interests and as a search: the elements and attributes are those of harmless text."""
    saved = f"/saved/{TOKENS.create('saved', ana.id)}"
    digest.feedback.rate(ana.id, papers[0].paper_id, "save")

    def form(text: str) -> list[object]:
        pages.app.state.site.limiter = RateLimiter()  # type: ignore[attr-defined]
        return Skeleton(
            pages.post(path, data={"action": "save", "interests": text}, follow_redirects=True).text
        ).elements

    def search(text: str) -> list[object]:
        pages.app.state.site.limiter = RateLimiter()  # type: ignore[attr-defined]
        return Skeleton(pages.get(saved, params={"q": text}).text).elements

    texts = [" ".join(text.split()) for text in attack_strings.texts("blns", "patt_xss")]
    accepted, rejected = form("x"), form("!" * 500)
    for start in range(0, len(texts), MAX_ENTRIES):
        shown = form("\n".join(texts[start : start + MAX_ENTRIES]))
        assert shown in (accepted, rejected), texts[start : start + MAX_ENTRIES]
    searches = [search("xyzzy"), search("a"), search("")]
    for text in texts[::5]:
        assert search(text) in searches, text


# --- translation ---


def test_a_language_can_be_chosen_where_a_model_translates(
    pages: TestClient, digest: DigestService, ana: Subscriber, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'name="language"' not in pages.get(path).text  # no model, nothing to choose
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with PaperAgent() as agent, client(agent) as http:
        assert '<option value="pt-BR">Portuguese (Brazil)</option>' in http.get(path).text
        fields = {"interests": "graphs", "frequency": "monthly", "language": "DE-at", "action": "save"}
        saved = http.post(path, data=fields, follow_redirects=True).text
        assert '<option value="de-AT" selected>German (Austria)</option>' in saved
        wrong = http.post(path, data={**fields, "language": "klingon"})
        assert wrong.status_code == 422
        assert "Klingon is not a language tag" in wrong.text
    subscriber = digest.subscribers.get(ana.id)
    assert (subscriber.preferences.language, subscriber.frequency) == ("de-AT", "monthly")
    assert pages.get(f"{path}/data.json").json()["subscriber"]["language"] == "de-AT"
    # Saving without a model keeps the choice, because the field is shown to who has made one.
    assert 'value="de-AT" selected' in pages.get(path).text
