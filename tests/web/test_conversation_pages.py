"""Questions on the web page: the form, the pages of answers, downloads, ratings and deletion."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent, StoreError
from paperagent.evals.feedback import FEEDBACK_FILE, read_feedback
from paperagent.types import Answer, Citation, Claim
from paperagent.web.conversation_store import Turn
from paperagent.web.turns import RunningTurn

TOKENS = "How many tokens does Tindersift remove?"
SENTENCE = "Tindersift removes 61% of the tokens"


def ask(web: TestClient, question: str = TOKENS, **fields: str) -> str:
    """Ask a question and return the path of its conversation."""
    response = web.post("/ask", data={"question": question, **fields})
    assert response.status_code == 303, response.text
    path, _, fragment = response.headers["location"].partition("#")
    assert fragment == "t1"
    return path


def test_the_form_never_asks(web: TestClient) -> None:
    page = web.get("/ask", params={"q": 'what about "tokens"?'})
    assert page.status_code == 200
    assert "what about &#34;tokens&#34;?</textarea>" in page.text
    assert page.headers["cache-control"] == "no-store"


def test_an_answer_quotes_and_cites(web: TestClient) -> None:
    page = web.get(ask(web))
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["x-robots-tag"] == "noindex"
    assert page.headers["x-accel-buffering"] == "no"
    assert page.text.count(SENTENCE) == 3  # the claim, the popover and the sources
    assert 'popovertarget="t1-c1"' in page.text
    assert "#s3" in page.text
    assert page.text.rstrip().endswith("</html>")


def test_a_follow_up_knows_the_conversation(web: TestClient) -> None:
    path = ask(web)
    response = web.post(path, data={"question": "How many parameters does it have?"})
    assert response.headers["location"] == f"{path}#t2"
    page = web.get(path).text
    assert "22 million" in page[page.index('id="t2"') :]


def test_the_library_answers_about_itself(web: TestClient) -> None:
    """Without hints to the command line, which a reader of a page does not have."""
    assert "The library has 32 papers." in web.get(ask(web, "How many papers are there?")).text
    for question in ("How many papers are there?", "list the papers", "help", "hello"):
        page = web.get(ask(web, question)).text
        assert "paperagent " not in page.partition("<article")[2].replace("paperagent answers", "")
        assert "/help" not in page


@pytest.mark.parametrize(
    ("question", "made"),
    [
        (TOKENS, "Sentences quoted from the abstracts"),
        ("What's new this week?", "From the library’s database"),
        ("Slow Rivers Carry Heavy Stones Downhill", "From the library’s database"),
        ("What is the price of butter in Peru?", ""),
        ("hello", ""),
    ],
)
def test_how_an_answer_was_made_is_said_below_it(web: TestClient, question: str, made: str) -> None:
    """As it was made, not as it was planned; the same while it arrives and later."""
    path = ask(web, question)
    for page in (web.get(path).text, web.get(path).text):
        answer, _, end = page.partition('<div class="end">')
        assert (
            re.findall(r"(?:Sentences quoted|From the library|Written by)[^<]*", end) == [made][: len(made)]
        )
        assert "Sentences quoted" not in answer


def test_the_first_question_is_the_title(web: TestClient) -> None:
    path = ask(web)
    web.post(path, data={"question": "How many parameters does it have?"})
    web.get(path)
    page = web.get(path).text
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", page) == [TOKENS]
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Answer", "How many parameters does it have?"]
    assert "Questions about <a" in web.get(ask(web, paper="tindersift-c2002f86")).text


def test_a_quote_that_is_the_claim_is_marked_in_the_sources(web: TestClient) -> None:
    quotes = ("A sentence that is quoted.", "A sentence that is reworded.")
    claims = (Claim(quotes[0], (1,), "quoted"), Claim("Other words.", (2,), "supported"))
    citations = tuple(cited(n, quote) for n, quote in enumerate(quotes, 1))
    page = shown(web, Answer("q?", "answered", None, "", claims, citations, mode="llm"))
    assert re.findall(r"<blockquote(.*?)>\[(\d)\]", page) == [(' class="repeated"', "1"), ("", "2")]


def test_an_abstention_leads_further(web: TestClient) -> None:
    page = web.get(ask(web, "What is the price of butter in Peru?")).text
    assert '<p class="lead">The abstracts do not say.</p>' in page
    assert '<a href="/ask?q=What%20is%20the%20price' in page


@pytest.mark.parametrize("question", ["", "???", "x" * 2_001, "key sk-abcdefghijklmnopqrstuv"])
def test_a_question_that_cannot_be_asked_is_shown_again(web: TestClient, question: str) -> None:
    page = web.post("/ask", data={"question": question})
    assert page.status_code == 422
    assert 'aria-describedby="problem"' in page.text


def test_downloads(web: TestClient) -> None:
    path = ask(web)
    web.get(path)
    markdown = web.get(f"{path}.md")
    assert markdown.text.lstrip().startswith(f"# {TOKENS}")
    assert SENTENCE in markdown.text
    assert json.loads(web.get(f"{path}.json").text)[0]["question"] == TOKENS
    assert web.get(f"{path}.bib").text.startswith("@misc{")


def test_a_deleted_conversation_is_gone(web: TestClient) -> None:
    path = ask(web)
    deleted = web.post(f"{path}/delete")
    assert deleted.status_code == 200
    assert "<h1>Conversation deleted</h1>" in deleted.text
    for address in (path, f"{path}.md", f"{path}.json", f"{path}.bib"):
        assert web.get(address).status_code == 404
    assert web.post(path, data={"question": TOKENS}).status_code == 404


def test_a_question_in_a_conversation_that_is_being_deleted(web: TestClient) -> None:
    """Its last check is that of the database."""
    store = web.app.state.site.conversations  # type: ignore[attr-defined]
    assert store.add_turn("deleted", "What is sparse retrieval?", "extractive") is None


def test_an_answer_is_shown_while_its_papers_cannot_be_read(
    web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the library is rebuilt: the quotes are in the answer."""
    path = ask(web)

    def fail(_: str) -> None:
        raise StoreError("library: it cannot be read")

    monkeypatch.setattr(web.app.state.site.agent, "get", fail)  # type: ignore[attr-defined]
    html = web.get(path).text
    assert "<mark>" in html
    assert html.rstrip().endswith("</html>")


def test_conversations_expire(sample_home: Path) -> None:
    now = [dt.datetime(2026, 6, 1, tzinfo=dt.UTC)]
    agent = PaperAgent(sample_home, embedder="none", mode="extractive")
    with agent, client(agent, clock=lambda: now[0]) as web:
        old = ask(web)
        now[0] += dt.timedelta(days=29)
        recent = ask(web)
        assert web.get(old).status_code == 200
        now[0] += dt.timedelta(days=2)
        assert (web.get(old).status_code, web.get(recent).status_code) == (404, 200)
        ask(web)
        assert web.app.state.site.conversations.turns(old.rpartition("/")[2]) == []  # type: ignore[attr-defined]


def test_a_rating_becomes_feedback(web: TestClient, sample_home: Path) -> None:
    path = ask(web)
    web.get(path)
    web.post(path, data={"question": "How many parameters does it have?"})
    web.get(path)
    file = sample_home / FEEDBACK_FILE
    response = web.post(f"{path}/t/2/rate", data={"rating": "bad", "note": "wrong paper"})
    record = read_feedback(file)[-1]
    file.unlink()
    assert response.headers["location"] == f"{path}#t2"
    assert (record.verdict, record.note) == ("bad", "wrong paper")
    assert [question for question, _ in record.history] == [TOKENS]
    assert "You rated this answer: bad." in web.get(path).text
    assert web.post(f"{path}/t/1/rate", data={"rating": "perfect"}).status_code == 400
    assert web.post(f"{path}/t/9/rate", data={"rating": "good"}).status_code == 404


def test_readers_elsewhere_cannot_rate(sample_home: Path) -> None:
    agent = PaperAgent(sample_home, embedder="none", mode="extractive")
    with agent, client(agent, public_url="https://papers.example.org") as web:
        path = ask(web)
        assert "Good answer" not in web.get(path).text
        assert web.post(f"{path}/t/1/rate", data={"rating": "good"}).status_code == 403
    assert not (sample_home / FEEDBACK_FILE).exists()


def test_a_question_about_a_paper_is_answered_from_it(web: TestClient) -> None:
    form = web.get("/ask", params={"paper": "tindersift-c2002f86"}).text
    assert "About <a" in form
    assert 'name="paper" value="tindersift-c2002f86"' in form
    path = ask(web, "How many parameters does it have?", paper="tindersift-c2002f86")
    assert "22 million" in web.get(path).text
    none = web.get(ask(web, "What is the price of butter in Peru?", paper="tindersift-c2002f86")).text
    assert ">Ask about all papers</a>" in none
    web.post(path, data={"question": "What is quantization?"})
    turn = web.get(path).text.partition('id="t2"')[2].partition("</article>")[0]
    assert set(re.findall(r"/paper/([\w-]+)", turn)) <= {"tindersift-c2002f86"}
    assert web.get("/ask", params={"paper": "no-such-paper"}).status_code == 404
    assert web.post("/ask", data={"question": TOKENS, "paper": "no-such-paper"}).status_code == 404


def test_dates_limit_a_conversation(web: TestClient) -> None:
    page = web.get(ask(web, since="2020-01-01", until="2020-12-31")).text
    assert "Ask without the date limit" in page
    wrong = web.post("/ask", data={"question": TOKENS, "since": "2021-01-01", "until": "2020-01-01"})
    assert wrong.status_code == 422


def test_this_paper_is_the_one_that_was_asked_about(web: TestClient) -> None:
    page = web.get(ask(web, "Summarize this paper", paper="tindersift-c2002f86")).text
    assert "The library has" not in page
    assert "Retrieval-augmented generation usually passes every retrieved passage" in page


def shown(web: TestClient, answer: Answer) -> str:
    """Return the page of a conversation that has this answer, from its first turn on."""
    store = web.app.state.site.conversations  # type: ignore[attr-defined]
    conversation = store.create({})
    store.save(store.add_turn(conversation, answer.question, answer.mode), "done", answer)
    return str(web.get(f"/c/{conversation}").text.partition("<article")[2])


def cited(n: int, quote: str, paper_id: str = "tindersift-c2002f86") -> Citation:
    """Return a citation of a sentence that the sample library's paper may have."""
    return Citation(n, paper_id, "Tindersift", None, quote, 0, len(quote))


def test_a_doubtful_answer_begins_with_its_caveat(web: TestClient) -> None:
    quote = "Retrieval-augmented generation usually passes every retrieved passage"
    text = f"May not answer: closest passages.\n\n{quote} [1]"
    claim = Claim(quote, (1,), "quoted")
    page = shown(web, Answer("q?", "doubtful", "low_confidence", text, (claim,), (cited(1, quote),)))
    assert page.index("May not answer:</strong> closest passages.") < page.index('class="claim"')


def test_what_is_not_supported_is_marked_in_words(web: TestClient) -> None:
    claims = (
        Claim("It is small.", (1,), "unverified"),
        Claim("It is big.", (1,), "unsupported", {"numbers": False, "negation": True}),
        Claim("It is old.", (), "uncited", {"numbers": True, "negation": True}),
    )
    notes = (
        "withheld: “It is green.” (negation)",
        "withdrawn: [1] “Tindersift” was withdrawn by its authors",
    )
    page = shown(
        web, Answer("q?", "answered", None, "", claims, (cited(1, "A quote."),), mode="llm", notes=notes)
    )
    assert "unverified – compare with the source:" in page
    assert '<s>It is big.</s> <strong class="doubt">not supported by its source: numbers</strong>' in page
    assert 'It is old. <strong class="doubt">no source given</strong>' in page
    withheld = page.partition("<details")[2].partition("</details>")[0]
    assert '<s>It is green.</s> <strong class="doubt">negation</strong>' in withheld
    assert "was withdrawn by its authors" in page.partition("</details>")[2]


def test_the_source_of_a_changed_or_removed_paper_is_its_quote(web: TestClient) -> None:
    """Without the sentences around it, and without the number of a sentence that may be another one now."""
    citations = (cited(1, "A former sentence."), cited(2, "A removed sentence.", "gone"))
    claims = tuple(Claim(c.quote, (c.n,), "quoted") for c in citations)
    page = shown(web, Answer("q?", "answered", None, "", claims, citations))
    assert re.findall(r"<p>\s*<mark>(.*?)</mark>\s*</p>", page) == [c.quote for c in citations]
    assert 'href="/paper/gone"' in page
    assert "#s" not in page


def test_an_answer_that_cannot_be_read_is_said_to_be(web: TestClient) -> None:
    path = ask(web)
    web.get(path)
    with web.app.state.site.database.writing() as db:  # type: ignore[attr-defined]
        db.execute("UPDATE turn SET answer = '[]' WHERE conversation = ?", (path.rpartition("/")[2],))
    assert "This answer can no longer be read." in web.get(path).text
    assert web.get(f"{path}.md").text == ""


def test_a_silent_turn_sends_spaces() -> None:
    async def first_pieces() -> list[str]:
        running = RunningTurn(Turn("c", 1, "q?", "extractive"), idle_seconds=60)
        pieces = running.follow(pulse_seconds=0.01)
        silent = [await anext(pieces), await anext(pieces)]
        running.add("a claim")
        running.end(running.turn)
        return [*silent, *[piece async for piece in pieces]]

    assert asyncio.run(first_pieces()) == [" ", " ", "a claim"]
