"""An agent over the sample library, and the scripted model server that it asks over real HTTP."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent import Answer, PaperAgent
from paperagent.feeds.reader import sample_path
from paperagent.testing import CHAT, Reply, Request, ScriptedServer
from sample_library import check_invariants, folder

if TYPE_CHECKING:
    import pytest

QUESTION = "How much does Tindersift shorten the prompt?"
GOOD = ("On the four domains, Tindersift removes 61% of the tokens in the prompt.", "1.3")
"""A correct claim, and the pointer to its sentence in the prompt for `QUESTION`."""
SECOND = ("With a 7B generator the mean latency drops from 2.9 to 1.6 seconds.", "1.4")
WRONG = ("Tindersift removes 16% of the tokens in the prompt.", "1.3")
LINE = re.compile(r"^(\d+\.\d+) (.*)$", re.MULTILINE)
TITLE = re.compile(r'^\[(\d+)\] (.*?)(?: \(\d{4}-\d\d-\d\d\))?(?: \(withdrawn\))?(?: = ".*")?$', re.MULTILINE)


@functools.cache
def _home() -> Path:
    home = folder()
    with PaperAgent(home, embedder="none") as agent:
        agent.ingest(sample_path(), date="2026-07-01")
    return home


@dataclass
class ScriptedAgent:
    """An agent and the server of the model that it asks."""

    server: ScriptedServer
    agent: PaperAgent

    def ask(self, *answers: Any, question: str = QUESTION, **options: Any) -> Answer:
        """Queue the model's answers, ask the question, and check the invariants of the answer.

        By default without cache and fallback, so that errors of the model are raised.
        """
        for answer in answers:
            if isinstance(answer, Reply):
                self.server.enqueue(answer, path=CHAT)
            else:
                self.server.enqueue_answer(answer)
        options = {"cache": False, "fallback": False, **options}
        return checked(self.agent.ask(question, **options), self.agent)

    def set(self, **settings: Any) -> None:
        """Change settings of the agent; call it before the first question."""
        self.agent.settings = self.agent.settings.model_copy(update=settings)

    @property
    def prompts(self) -> list[str]:
        """The text of each request to the model, in order."""
        return ["\n".join(m["content"] for m in r.messages) for r in self.requests]

    @property
    def requests(self) -> list[Request]:
        """The requests to the model."""
        return [r for r in self.server.history if r.path == CHAT]


@contextmanager
def scripted_agent(
    monkeypatch: pytest.MonkeyPatch, place: Path, home: Path | None = None
) -> Iterator[ScriptedAgent]:
    """Yield an agent over a copy of a library, without an embedding model, and its scripted model."""
    shutil.copytree(home or _home(), place)
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
    with ScriptedServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with PaperAgent(place) as agent:
            yield ScriptedAgent(server, agent)


def checked(answer: Answer, agent: PaperAgent) -> Answer:
    """Assert every invariant, and that citations are numbered 1 to n in order of use; return the answer."""
    check_invariants(answer, agent)
    assert [c.n for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    used = [n for claim in answer.claims for n in claim.citations]
    assert list(dict.fromkeys(used)) == [c.n for c in answer.citations]
    assert answer.mode == "llm"
    return answer


def reply(*claims: tuple[str, str], verdict: str = "answer", missing: str = "", queries: Any = ()) -> Any:
    """Return a reply of the model; a claim is a text and its pointers, separated by spaces."""
    written = [{"text": text, "evidence": pointers.split()} for text, pointers in claims]
    return {"verdict": verdict, "claims": written, "missing": missing, "queries": list(queries)}


def passages(prompt: str) -> dict[str, str]:
    """Return the numbered sentences in a prompt: pointer → text."""
    return dict(LINE.findall(prompt))


def titles(prompt: str) -> list[str]:
    """Return the titles of the passages in a prompt."""
    return [title for _, title in TITLE.findall(prompt)]


def opinions(*probabilities: float | None) -> Callable[[Request], list[float | None]]:
    """Return a decider that gives claims and questions these probabilities, in order.

    It takes all sentences for statements.
    """

    def decide(request: Request) -> list[float | None]:
        others = iter(probabilities)
        questions = request.json()["questions"]
        return [0.95 if "report something" in q["instructions"] else next(others) for q in questions]

    return decide
