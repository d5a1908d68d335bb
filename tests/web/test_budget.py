"""Readers who ask a model over HTTP: never more than the day's budget, even in parallel and after a kill."""

from __future__ import annotations

import html
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import web_server

from paperagent.digest.database import utc_now
from paperagent.testing import Request, ScriptedServer, Style, chat_reply
from paperagent.web.access import BUDGET_USED_UP
from paperagent.web.database import FILE_NAME, WebDatabase
from paperagent.web.spending import Spending
from scripted_model import SHORTER, pointer, sentences

QUESTION = "How many tokens does Tindersift remove?"
TOKENS = 4_000
"""Tokens of each call; they cost 0.04 dollars at the price below."""
SETTINGS = {
    "PAPERAGENT_EMBEDDER": "none",
    "PAPERAGENT_MODEL": "test-model",
    "PAPERAGENT_MODE": "llm",
    "PAPERAGENT_PRICE": "10,0",
    "PAPERAGENT_CACHE": "false",
    "PAPERAGENT_JUDGE": "never",
    "PAPERAGENT_MAX_ROUNDS": "1",
    "PAPERAGENT_MAX_COST_PER_ANSWER": "0.05",
    "PAPERAGENT_WEB_ASK": "model",
    "PAPERAGENT_WEB_MAX_COST_PER_DAY": "0.15",
    "PAPERAGENT_WEB_TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture
def home(sample_home: Path, tmp_path: Path) -> Path:
    """Return a copy of the sample library, whose web database is new."""
    copy = tmp_path / "library"
    shutil.copytree(sample_home, copy)
    (copy / FILE_NAME).unlink(missing_ok=True)
    return copy


@pytest.fixture
def model() -> Iterator[ScriptedServer]:
    """Yield a model that says one thing, slowly."""

    def answer(request: Request) -> Any:
        claim = {"text": SHORTER[0], "evidence": [pointer(sentences(request), SHORTER[1])]}
        answer = {"verdict": "answer", "claims": [claim], "missing": "", "queries": []}
        usage = {"prompt_tokens": TOKENS, "completion_tokens": 0, "total_tokens": TOKENS}
        return chat_reply(request, answer, Style(usage=usage, pause=0.05))

    with ScriptedServer() as server:
        server.responder = answer
        yield server


def ask(url: str, network: str) -> str:
    """Ask from an address behind the proxy, from another one if the server is busy; return the whole page."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for n in range(250):
            headers = {"x-forwarded-for": f"{network}.{n}"}
            response = client.post("/ask", data={"question": QUESTION}, headers=headers)
            if response.status_code != 503:
                break
            time.sleep(0.1)
        assert response.status_code == 303, response.text
        return html.unescape(client.get(response.headers["location"], headers=headers).text)


def spent(home: Path) -> float:
    with WebDatabase(home / FILE_NAME) as database:
        return Spending(database, per_day=1, per_asker=1, clock=utc_now).today()


def test_fifty_readers_at_once_with_a_budget_for_three(home: Path, model: ScriptedServer) -> None:
    with web_server.process(home, env={**SETTINGS, "OPENAI_BASE_URL": model.url}) as url:
        with ThreadPoolExecutor(50) as pool:
            pages = list(pool.map(lambda n: ask(url, f"10.0.{n}"), range(50)))
        with_model = [page for page in pages if SHORTER[0] in page]
        quoted = [page for page in pages if BUDGET_USED_UP in page]
        assert (len(with_model), len(quoted)) == (3, 47)
        assert len(model.history) == 3
        assert all("61%" in page for page in quoted)
        assert spent(home) == 0.12


def test_a_kill_keeps_the_reservation_of_a_running_answer(home: Path, model: ScriptedServer) -> None:
    slow = model.responder
    assert slow is not None

    def hang(request: Request) -> Any:
        time.sleep(30)
        return slow(request)

    model.responder = hang
    environment = {**SETTINGS, "OPENAI_BASE_URL": model.url}
    with web_server.started(home, env=environment) as (url, process):
        headers = {"x-forwarded-for": "203.0.113.1"}
        response = httpx.post(
            f"{url}/ask", data={"question": QUESTION}, headers=headers, trust_env=False, timeout=60
        )
        assert response.status_code == 303
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert spent(home) == 0.05
    model.responder = slow
    with web_server.process(home, env=environment) as url:
        pages = [ask(url, f"10.0.{n}") for n in range(4)]
        assert [SHORTER[0] in page for page in pages] == [True, True, False, False]
    assert spent(home) == 0.13
