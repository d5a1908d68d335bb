"""Questions on the web page: the form, the pages of answers, downloads, ratings and deletion."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent
from paperagent.evals.feedback import FEEDBACK_FILE, read_feedback

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
    assert web.post(f"{path}/delete").headers["location"] == "/ask"
    for address in (path, f"{path}.md", f"{path}.json", f"{path}.bib"):
        assert web.get(address).status_code == 404
    assert web.post(path, data={"question": TOKENS}).status_code == 404


def test_conversations_expire(sample_home: Path) -> None:
    now = [dt.datetime(2026, 6, 1, tzinfo=dt.UTC)]
    agent = PaperAgent(sample_home, embedder="none", mode="extractive")
    with agent, client(agent, clock=lambda: now[0]) as web:
        old = ask(web)
        now[0] += dt.timedelta(days=29)
        recent = ask(web)
        assert web.get(old).status_code == 200
        now[0] += dt.timedelta(days=2)
        ask(web)
        assert (web.get(old).status_code, web.get(recent).status_code) == (404, 200)


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
    web.post(path, data={"question": "What is quantization?"})
    turn = web.get(path).text.partition('id="t2"')[2].partition("</article>")[0]
    assert set(re.findall(r"/paper/([\w-]+)", turn)) <= {"tindersift-c2002f86"}
    assert web.get("/ask", params={"paper": "no-such-paper"}).status_code == 404
    assert web.post("/ask", data={"question": TOKENS, "paper": "no-such-paper"}).status_code == 404


def test_dates_limit_a_conversation(web: TestClient) -> None:
    page = web.get(ask(web, since="2020-01-01", until="2020-12-31")).text
    assert "Ask without the limit on dates" in page
    wrong = web.post("/ask", data={"question": TOKENS, "since": "2021-01-01", "until": "2020-01-01"})
    assert wrong.status_code == 422


def test_this_paper_is_the_one_that_was_asked_about(web: TestClient) -> None:
    page = web.get(ask(web, "Summarize this paper", paper="tindersift-c2002f86")).text
    assert "The library has" not in page
    assert "Retrieval-augmented generation usually passes every retrieved passage" in page
