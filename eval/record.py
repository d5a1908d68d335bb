"""Record the run that `make eval` replays: replies written by a script, some of them faulty.

A scripted server plays the model over real HTTP for the cases of `cases/sample.jsonl`. It knows the gold
evidence and states it as a fluent writer would (``claims/replies.jsonl``, for 40 cases), word for word, by
the relevant clause, or preceded by the paper's name. No judge is asked. Every fifth answer has a fault, so
that the checks have work: a changed number, an added negation, a wrong pointer, a dangling pointer, no
pointer, or a needless abstention. Every fourth unanswerable question is answered. No real model is
involved, so the recording says nothing about the quality of models: it protects the checks against
regressions.
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
_QUESTION = re.compile(r"^Question: (.+)$", re.MULTILINE)
_SENTENCE = re.compile(r"^((\d+)\.(\d+)) (.*)$", re.MULTILINE)
Claim = dict[str, Any]


class Prompt:
    """The passages of a request."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.titles = dict(_TITLE.findall(text))
        self.sentences = {m[1]: m[4] for m in _SENTENCE.finditer(text)}

    def gold(self, case: Case) -> list[str]:
        """Return the numbers of the passages that are gold papers of the case."""
        gold = [title_key(t) for t in case.gold_titles]
        return [n for n, title in self.titles.items() if any(title_key(title).startswith(g) for g in gold)]

    def of(self, passage: str) -> dict[str, str]:
        """Return the sentences of a passage by pointer."""
        return {p: s for p, s in self.sentences.items() if p.startswith(f"{passage}.")}


def reply(case: Case, number: int, prompt: Prompt) -> dict[str, Any]:
    """Return the model's reply; ``number``, the index of the case, decides on wording and fault."""
    gold = prompt.gold(case)
    if not case.answerable:
        return _reply(_first(prompt, "1")) if number % 4 == 0 else _abstention()
    if not gold:
        may_search = "You may ask for one more search" in prompt.text
        return _reply([], verdict="search", queries=[case.question]) if may_search else _abstention()
    claims = _fluent_claims(case, prompt) or _restate(case, number, prompt, gold)
    fault = FAULTS[(number // 5) % len(FAULTS)] if number % 5 == 0 else None
    return _reply(claims) if fault is None else fault(claims, prompt)


@cache
def _written_replies() -> dict[str, list[dict[str, Any]]]:
    """Return the claims of the written replies by the id of their case."""
    rows = [json.loads(line) for line in REPLIES.read_text("utf-8").splitlines()]
    return {row["id"]: row["reply"]["claims"] for row in rows}


def _fluent_claims(case: Case, prompt: Prompt) -> list[Claim]:
    """Return the written claims whose sentences are all shown; none if the case has no written reply."""
    pointers = {sentence: pointer for pointer, sentence in prompt.sentences.items()}
    claims = [c for c in _written_replies().get(case.id, ()) if all(s in pointers for s in c["evidence"])]
    return [{"text": c["text"], "evidence": [pointers[s] for s in c["evidence"]]} for c in claims]


def _restate(case: Case, number: int, prompt: Prompt, gold: list[str]) -> list[Claim]:
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
    """Return a claim about a passage: its second sentence, word for word."""
    sentences = prompt.of(passage)
    pointer = list(sentences)[min(1, len(sentences) - 1)]
    return [{"text": sentences[pointer], "evidence": [pointer]}]


def _reply(
    claims: list[Claim], *, verdict: str = "answer", queries: list[str] | None = None
) -> dict[str, Any]:
    return {"verdict": verdict, "claims": claims, "missing": "", "queries": queries or []}


def _abstention() -> dict[str, Any]:
    return _reply([], verdict="abstain")


def _mutate_first(kind: str) -> Callable[[list[Claim], Prompt], dict[str, Any]]:
    def fault(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
        rng = random.Random(kind)  # noqa: S311 - the same change each time, not a secret
        first = claims[0]
        text = mutations.MUTATIONS[kind](first["text"], rng) or f"{first['text'][:-1]}, in all of 17 cases."
        return _reply([{**first, "text": text}, *claims[1:]])

    return fault


def _point_at_next(claims: list[Claim], prompt: Prompt) -> dict[str, Any]:
    """Point at the next sentence."""
    passage, _, index = claims[0]["evidence"][0].partition(".")
    next_pointer = f"{passage}.{int(index) + 1}"
    pointer = next_pointer if next_pointer in prompt.sentences else f"{passage}.1"
    return _reply([{**claims[0], "evidence": [pointer]}, *claims[1:]])


def _point_at_nothing(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _reply([{**claims[0], "evidence": ["9.99"]}, *claims[1:]])


def _remove_pointers(claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _reply([{**claims[0], "evidence": []}, *claims[1:]])


def _abstain_needlessly(_claims: list[Claim], _prompt: Prompt) -> dict[str, Any]:
    return _abstention()


FAULTS = (
    _mutate_first("number changed"),
    _point_at_next,
    _point_at_nothing,
    _mutate_first("negation added"),
    _remove_pointers,
    _abstain_needlessly,
)


def record(out: Path) -> int:
    """Play the model for all cases and write the run to ``out``."""
    numbered = list(enumerate(case_files.load(CASES)))

    def play(request: Request) -> dict[str, Any]:
        text = request.messages[-1]["content"]
        question = _QUESTION.findall(text)[-1]  # without "by the way" and the like
        number, case = next((n, c) for n, c in numbered if c.question.endswith(question))
        return reply(case, number, Prompt(text))

    with tempfile.TemporaryDirectory() as folder, ScriptedServer(models=(MODEL,)) as server:
        server.responder = play
        os.environ["OPENAI_BASE_URL"] = server.url
        library = ["--feed", "sample", "--library", f"{folder}/library", "--embedder", "none"]
        mode = ["--mode", "llm", "--model", MODEL, "--no-judge"]
        code = paperagent(["eval", "run", str(CASES), *library, *mode, "--out", str(out), "--quiet"])
        del os.environ["OPENAI_BASE_URL"]
    return code
