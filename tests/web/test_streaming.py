"""Answers while a model writes them: what readers see when, and what happens to the turn when they leave."""

from __future__ import annotations

import http.client
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from web_server import serving, started

from paperagent import PaperAgent
from paperagent.library.home import OURS
from paperagent.testing import CHAT, ScriptedServer
from paperagent.web import turns
from paperagent.web.site import Site
from scripted_model import SHORTER, SMALL, saying

LATENCY = ("The mean latency drops from 2.9 to 1.6 seconds.", "latency drops from 2.9 to 1.6")
TEST_SET = ("Answer accuracy falls by only 0.4 points.", "answer accuracy falls by only 0.4 points")
CLAIMS = (SHORTER, SMALL, LATENCY, TEST_SET)
QUESTION = "How much does Tindersift shorten the prompt?"
PAUSE = 0.03
"""Seconds between the pieces of the model's reply, which has about 60."""


@dataclass
class Reading:
    """A page as it arrived."""

    text: str = ""
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the request, and the text that arrived."""

    def seconds_until(self, part: str) -> float:
        """Return when a part of the page had arrived."""
        text = ""
        for seconds, piece in self.arrivals:
            text += piece
            if part in text:
                return seconds
        raise AssertionError(f"{part} never arrived")


def post(address: str, path: str, **fields: str) -> str:
    """Send a form and return the path that the browser is sent to."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)) as connection:
        body = urlencode(fields)
        connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        assert response.status == 303, response.read().decode()
        return str(response.headers["location"]).partition("#")[0]


def read(address: str, path: str, *, until: str | None = None) -> Reading:
    """Read a page to its end, or until a text has arrived, and hang up."""
    result, started_at = Reading(), time.perf_counter()
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        while piece := response.read1():
            result.arrivals.append((time.perf_counter() - started_at, piece.decode()))
            result.text += piece.decode()
            if until is not None and until in result.text:
                break
        if response.fp is not None:
            response.close()
    return result


def chats(model: ScriptedServer) -> int:
    """Return the number of calls of the model."""
    return sum(request.path == CHAT for request in model.history)


def wait_for(condition: object, seconds: float = 5.0) -> bool:
    """Wait until a function returns true."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def model() -> Iterator[ScriptedServer]:
    """Yield a model that makes four claims, one after another."""
    with ScriptedServer() as server:
        server.responder = saying(*CLAIMS, pause=PAUSE)
        yield server


@pytest.fixture
def environ(model: ScriptedServer) -> dict[str, str]:
    """Return the settings with which the model is asked."""
    return {
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "test",
        "PAPERAGENT_MODEL": "test-model",
        "PAPERAGENT_MODE": "llm",
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_CACHE": "false",
        "PAPERAGENT_JUDGE": "never",
    }


@pytest.fixture
def served(
    sample_home: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Site]]:
    """Yield the address of a site that asks the model, and the site."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with PaperAgent(sample_home) as agent, serving(agent) as (address, site):
        assert wait_for(lambda: read(address, "/readyz").text == "ready\n")
        yield address, site


def test_claims_arrive_one_by_one(served: tuple[str, Site]) -> None:
    address, _ = served
    path = post(address, "/ask", question=QUESTION)
    heads = [read(address, path, until="<h1").arrivals[0][0] for _ in range(3)]
    assert min(heads) < 0.1, heads  # the head waits for nothing
    page = read(address, path)
    times = [page.seconds_until(text) for text, _ in CLAIMS]
    assert all(later - earlier > 0.1 for earlier, later in pairwise(times)), times
    assert page.seconds_until("<h3>Sources</h3>") > times[-1]
    assert page.text.rstrip().endswith("</html>")


def test_one_call_for_all_who_read(served: tuple[str, Site], model: ScriptedServer) -> None:
    """Two tabs at once, a third that comes later, and a reload show the same claims."""
    address, _ = served
    path = post(address, "/ask", question=QUESTION)
    with ThreadPoolExecutor() as pool:
        first, second = [pool.submit(read, address, path) for _ in range(2)]
        time.sleep(0.5)
        third = pool.submit(read, address, path)
        pages = [reading.result().text for reading in (first, second, third)]
    pages.append(read(address, path).text)
    claims = [re.findall(r'<p class="claim">.*?</p>', page) for page in pages]
    assert all(len(found) == len(CLAIMS) for found in claims)
    assert claims == [claims[0]] * 4
    assert chats(model) == 1


def test_the_model_is_hung_up_on_when_nobody_reads(served: tuple[str, Site], model: ScriptedServer) -> None:
    address, site = served
    site.turns.idle_seconds = 0.3
    model.responder = saying(*CLAIMS, pause=0.2)
    path = post(address, "/ask", question=QUESTION)
    read(address, path, until=SHORTER[0])
    assert wait_for(lambda: model.hung_up == 1, 2.0)
    page = read(address, path).text
    assert SHORTER[0] in page
    assert "nobody was reading it" in page
    assert LATENCY[0] not in page
    assert chats(model) == 1


def test_a_reader_who_comes_back_in_time_loses_nothing(
    served: tuple[str, Site], model: ScriptedServer
) -> None:
    address, site = served
    site.turns.idle_seconds = 1.0
    path = post(address, "/ask", question=QUESTION)
    read(address, path, until=SHORTER[0])
    page = read(address, path).text
    assert all(text in page for text, _ in CLAIMS)
    assert (chats(model), model.hung_up) == (1, 0)


def test_an_answer_can_be_stopped(served: tuple[str, Site], model: ScriptedServer) -> None:
    """Even while the model says nothing; what it has said stays, and the tab that follows sees the end."""
    address, _ = served
    model.responder = saying(*CLAIMS, pause=0.1)
    path = post(address, "/ask", question=QUESTION)
    with ThreadPoolExecutor() as pool:
        tab = pool.submit(read, address, path)
        read(address, path, until=SHORTER[0])
        assert post(address, f"{path}/stop") == path
        page = tab.result(timeout=5).text
    assert wait_for(lambda: model.hung_up == 1)
    for text in (page, read(address, path).text):
        assert SHORTER[0] in text
        assert TEST_SET[0] not in text
        assert "stopped" in text
        assert "<h3>Sources</h3>" in text


def test_a_deleted_conversation_stops(served: tuple[str, Site], model: ScriptedServer) -> None:
    address, site = served
    model.responder = saying(*CLAIMS, pause=0.1)
    path = post(address, "/ask", question=QUESTION)
    read(address, path, until=SHORTER[0])
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)) as connection:
        connection.request("POST", f"{path}/delete")
        assert "Conversation deleted" in connection.getresponse().read().decode()
    assert wait_for(lambda: model.hung_up == 1)
    assert site.conversations.turns(path.rpartition("/")[2]) == []


def ask_status(address: str) -> tuple[int, str | None, str]:
    """Ask; return the status, ``Retry-After`` and the page."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)) as connection:
        body = urlencode({"question": QUESTION})
        connection.request("POST", "/ask", body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        return response.status, response.headers["retry-after"], response.read().decode()


def test_too_many_questions_are_refused(served: tuple[str, Site], model: ScriptedServer) -> None:
    """Also if they come at the same moment."""
    address, site = served
    model.responder = saying(SHORTER, pause=1.0)
    most = turns.WORKERS + turns.MAX_WAITING
    with ThreadPoolExecutor(2 * most) as pool:
        statuses = [status for status, *_ in pool.map(ask_status, [address] * 2 * most)]
    assert sorted(statuses) == [303] * most + [503] * most
    status, retry_after, page = ask_status(address)
    assert (status, retry_after) == (503, "20")
    assert "Too many questions" in page
    site.stop_turns()


def test_a_waiting_question_ends_at_once_when_it_is_stopped(
    served: tuple[str, Site], model: ScriptedServer
) -> None:
    address, site = served
    model.responder = saying(SHORTER, pause=1.0)
    paths = [post(address, "/ask", question=QUESTION) for _ in range(turns.WORKERS + 1)]
    post(address, f"{paths[-1]}/stop")
    began = time.monotonic()
    assert "There is no answer: stopped." in read(address, paths[-1]).text
    assert time.monotonic() - began < 1
    site.stop_turns()


def test_an_error_at_the_end_of_a_turn_ends_it(served: tuple[str, Site]) -> None:
    """As when the disk is full."""
    address, site = served

    def fail(_: object) -> None:
        raise OSError

    conversation = site.conversations.create({})
    turn = site.conversations.add_turn(conversation, QUESTION, "llm")
    assert turn is not None
    site.turns.start(turn, {}, settle=fail)
    assert wait_for(lambda: site.turns.get(turn) is None)
    assert SHORTER[0] in read(address, f"/c/{conversation}").text


def test_a_second_server_leaves_the_answers_of_the_first(served: tuple[str, Site]) -> None:
    address, site = served
    assert {file.name for file in site.agent.home.iterdir()} <= OURS  # also the lock
    path = post(address, "/ask", question=QUESTION)
    with serving(site.agent) as (other_address, other):
        assert other.turns
        assert "the server was stopped" not in read(other_address, path).text
        assert all(text in read(address, path).text for text, _ in CLAIMS)


def test_a_failed_model_is_quoted_around(served: tuple[str, Site], model: ScriptedServer) -> None:
    address, _ = served
    model.responder = None
    path = post(address, "/ask", question=QUESTION)
    for page in (read(address, path).text, read(address, path).text):  # live, and read again
        assert "removes 61% of the tokens" in page
        assert "quoted instead of written" in page
        assert "Sentences quoted from the abstracts" in page
        assert "Written by a model" not in page


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_server_keeps_the_claims(
    sample_home: Path, environ: dict[str, str], model: ScriptedServer, sent: signal.Signals
) -> None:
    """Killed, or asked to end: the next server shows the claims that a reader has seen, and asks nothing."""
    model.responder = saying(*CLAIMS, pause=0.1)
    with started(sample_home, env=environ) as (address, running):
        path = post(address, "/ask", question=QUESTION)
        with ThreadPoolExecutor() as pool:
            tab = pool.submit(read, address, path)
            seen = read(address, path, until=SHORTER[0]).text
            began = time.monotonic()
            os.kill(running.pid, sent)
            if sent == signal.SIGTERM:
                assert "the server was stopped" in tab.result(timeout=5).text
                running.wait(timeout=5)
                assert time.monotonic() - began < 4
            else:
                running.wait(timeout=5)
                assert isinstance(tab.exception(timeout=5), (http.client.HTTPException, OSError))
    with started(sample_home, env=environ) as (address, _):
        page = read(address, path).text
    claims = re.findall(r'<p class="claim">(.*?) <', page)
    assert SHORTER[0] in claims
    assert all(text in claims for text in re.findall(r'<p class="claim">(.*?) <', seen))
    assert "the server was stopped" in page
    assert chats(model) == 1
