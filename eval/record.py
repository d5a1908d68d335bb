"""Record the run that `make eval` replays: answers written by a script, some of them faulty.

A scripted server plays the model over real HTTP for the cases of `cases/sample.jsonl`. It knows
the gold evidence and says it as a fluent writer would (``claims/replies.jsonl``, for 40 cases), or
word for word, by the clause that matters, or with the paper's name before it. No second reader is
asked. Every fifth answer has a fault of another kind, so that the checks have work: a
changed number, an added negation, a wrong pointer, a pointer at nothing, no pointer at all, an
abstention without need. Every fourth unanswerable question is answered. No model of anybody's
was asked, so the file says nothing about how good models are: it holds the checks in place.
"""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from paperagent.cli.main import main as paperagent
from paperagent.evals import cases as case_files
from paperagent.evals import mutations
from paperagent.evals.cases import Case
from paperagent.evals.scorers.retrieval import title_key
from paperagent.testing import Request, ScriptedServer

CASES = Path(__file__).parent / "cases" / "sample.jsonl"
REPLIES = Path(__file__).parent / "claims" / "replies.jsonl"
MODEL = "scripted"
_TITLE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
_SENTENCE = re.compile(r"^((\d+)\.(\d+)) (.*)$", re.MULTILINE)
Claim = dict[str, Any]


class Prompt:
    """What a request shows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.titles = dict(_TITLE.findall(text))
        self.sentences = {m[1]: m[4] for m in _SENTENCE.finditer(text)}

    def gold(self, case: Case) -> list[str]:
        """Return the numbers of the case's papers among the passages."""
        wanted = [title_key(t) for t in case.gold_titles]
        return [n for n, title in self.titles.items() if any(title_key(title).startswith(w) for w in wanted)]

    def of(self, passage: str) -> dict[str, str]:
        """Return the sentences of a passage by pointer."""
        return {p: s for p, s in self.sentences.items() if p.startswith(f"{passage}.")}


def reply(case: Case, number: int, prompt: Prompt) -> dict[str, Any]:
    """Return what the model says; ``number`` is the case's place and decides on wording and fault."""
    gold = prompt.gold(case)
    if not case.answerable:
        return _said(_first(prompt, "1")) if number % 4 == 0 else _abstained()
    if not gold:
        again = "You may ask for one more search" in prompt.text
        return _said([], verdict="search", queries=[case.question]) if again else _abstained()
    claims = _fluent(case, prompt) or _restated(case, number, prompt, gold)
    fault = FAULTS[(number // 5) % len(FAULTS)] if number % 5 == 0 else None
    return _said(claims) if fault is None else fault(claims, prompt)


@cache
def _replies() -> dict[str, list[dict[str, Any]]]:
    """Return the claims of the written replies by the id of their case."""
    rows = [json.loads(line) for line in REPLIES.read_text("utf-8").splitlines()]
    return {row["id"]: row["reply"]["claims"] for row in rows}


def _fluent(case: Case, prompt: Prompt) -> list[Claim]:
    """Return the written claims whose sentences are all shown; none where there is no such reply."""
    pointers = {sentence: pointer for pointer, sentence in prompt.sentences.items()}
    written = [c for c in _replies().get(case.id, ()) if all(s in pointers for s in c["evidence"])]
    return [{"text": c["text"], "evidence": [pointers[s] for s in c["evidence"]]} for c in written]


def _restated(case: Case, number: int, prompt: Prompt, gold: list[str]) -> list[Claim]:
    claims = []
    for evidence in case.evidence:
        pointer = next((p for n in gold for p, s in prompt.of(n).items() if evidence in s), None)
        if pointer is not None:
            claims.append(_claim(evidence, pointer, number, prompt))
    return claims or [claim for n in gold for claim in _first(prompt, n)]


def _claim(evidence: str, pointer: str, number: int, prompt: Prompt) -> Claim:
    sentence = prompt.sentences[pointer]
    name = prompt.titles[pointer.split(".", maxsplit=1)[0]].partition(":")[0]
    text = (
        sentence,
        evidence[0].upper() + evidence[1:] + "." * (not evidence.endswith(".")),
        sentence if name in sentence or len(name.split()) > 1 else f"{name}: {sentence}",
    )[number % 3]
    return {"text": text, "evidence": [pointer]}


def _first(prompt: Prompt, passage: str) -> list[Claim]:
    """Return a claim on what a passage is about: its second sentence, as it stands."""
    sentences = prompt.of(passage)
    pointer = list(sentences)[min(1, len(sentences) - 1)]
    return [{"text": sentences[pointer], "evidence": [pointer]}]


def _said(
    claims: list[Claim], *, verdict: str = "answer", queries: list[str] | None = None
) -> dict[str, Any]:
    return {"verdict": verdict, "claims": claims, "missing": "", "queries": queries or []}


def _abstained() -> dict[str, Any]:
    return _said([], verdict="abstain")


def _changed(kind: str) -> Callable[[list[Claim], Prompt], dict[str, Any]]:
    def fault(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
        rng = random.Random(kind)  # noqa: S311 - the same change each time, no secret
        first = claims[0]
        text = mutations.MUTATIONS[kind](first["text"], rng) or f"{first['text'][:-1]}, in all of 17 cases."
        return _said([{**first, "text": text}, *claims[1:]])

    return fault


def _elsewhere(claims: list[Claim], prompt: Prompt) -> dict[str, Any]:
    """Point at the sentence beside."""
    passage, _, place = claims[0]["evidence"][0].partition(".")
    beside = f"{passage}.{int(place) + 1}"
    pointer = beside if beside in prompt.sentences else f"{passage}.1"
    return _said([{**claims[0], "evidence": [pointer]}, *claims[1:]])


def _nowhere(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _said([{**claims[0], "evidence": ["9.99"]}, *claims[1:]])


def _uncited(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _said([{**claims[0], "evidence": []}, *claims[1:]])


def _needless(_claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _abstained()


FAULTS = (_changed("number changed"), _elsewhere, _nowhere, _changed("negation added"), _uncited, _needless)


def recorded(out: Path) -> int:
    """Play the model for all cases and record what it says into ``out``."""
    known = list(enumerate(case_files.load(CASES)))

    def play(request: Request) -> dict[str, Any]:
        text = request.messages[-1]["content"]
        number, case = next((n, c) for n, c in known if f"Question: {c.question}\n" in text)
        return reply(case, number, Prompt(text))

    with tempfile.TemporaryDirectory() as folder, ScriptedServer(models=(MODEL,)) as server:
        server.responder = play
        os.environ["OPENAI_BASE_URL"] = server.url
        library = ["--feed", "sample", "--library", f"{folder}/library", "--embedder", "none"]
        asked = ["--mode", "llm", "--model", MODEL, "--no-judge"]
        code = paperagent(["eval", "run", str(CASES), *library, *asked, "--out", str(out), "--quiet"])
        del os.environ["OPENAI_BASE_URL"]
    return code
