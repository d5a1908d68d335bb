"""Keep an answer with a person's verdict on it; `harvest` makes cases of them.

Make cases of answers that a person called good or bad.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.errors import EvalError, InputError, visible
from paperagent.evals import cases
from paperagent.evals.cases import UNANSWERABLE, Case
from paperagent.types import Answer

FEEDBACK_FILE = "feedback.jsonl"
"""In the library's folder."""


def save_feedback(
    path: Path, answer: Answer, history: Sequence[tuple[str, str]], *, good: bool, note: str = ""
) -> None:
    """Append an answer to the file, which only its owner may read: questions are a person's own.

    Raises:
        InputError: it cannot be written.
    """
    record = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "verdict": "good" if good else "bad",
        "note": note,
        "history": [list(turn) for turn in history],
        "answer": answer.to_dict(),
    }
    line = json.dumps(record, ensure_ascii=False) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "ab") as file:  # noqa: PTH123 - a descriptor, so that the mode holds from the start
            file.write(line.encode("utf-8", "backslashreplace"))
    except OSError as error:
        shown = visible(str(path))
        raise InputError(f"{shown}: cannot be written: {error.strerror}; check the folder") from None


class _Claim(BaseModel):
    text: str
    citations: list[int]


class _Citation(BaseModel):
    n: int
    paper_id: str
    quote: str


class _Answer(BaseModel):
    """What of an answer a case is made of; the rest of ``ask --json`` is passed over."""

    question: str = Field(min_length=1)
    status: str
    claims: list[_Claim] = []
    citations: list[_Citation] = []

    def cited(self) -> list[_Citation]:
        used = {n for claim in self.claims for n in claim.citations}
        return [c for c in self.citations if c.n in used]


class FeedbackRecord(BaseModel):
    """One line of the file that chat writes."""

    model_config = ConfigDict(frozen=True)

    at: str = ""
    verdict: Literal["good", "bad"]
    note: str = ""
    history: list[tuple[str, str]] = []
    answer: _Answer


def read_feedback(path: Path) -> list[FeedbackRecord]:
    """Return what was kept in chat.

    Raises:
        EvalError: nothing was, or a line cannot be used.
    """
    shown = visible(str(path))
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError:
        raise EvalError(f"{shown}: nothing was kept yet; write /good or /bad in chat") from None
    except (OSError, ValueError) as error:
        raise EvalError(f"{shown}: cannot be read ({visible(str(error))})") from None
    return [_feedback(line, f"{shown} line {n}") for n, line in enumerate(lines, 1) if line.strip()]


def feedback_for_answer(path: Path, *, good: bool, note: str = "") -> FeedbackRecord:
    """Return a verdict on an answer that ``ask --json`` or /save wrote."""
    shown = visible(str(path))
    try:
        answer = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise EvalError(f"{shown}: cannot be read: {error.strerror}; name a saved answer") from None
    except (ValueError, RecursionError):
        raise EvalError(f"{shown}: is not JSON; name what `paperagent ask --json` printed") from None
    record = {"verdict": "good" if good else "bad", "note": note, "answer": answer}
    return _feedback(json.dumps(record), shown)


def _feedback(line: str, where: str) -> FeedbackRecord:
    try:
        return FeedbackRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise EvalError(
            f"{where}: is no answer ({visible(place)}: {visible(first['msg'], limit=100)}); "
            "name what `paperagent ask --json` printed, or correct the line"
        ) from None


def case_from_feedback(kept: FeedbackRecord, *, unanswerable: bool = False) -> Case:
    """Return the case of a verdict.

    A good answer's citations are the evidence; a good abstention is an unanswerable question. A
    bad answer must not say again what it said; a bad abstention must be answered. What else is
    known of a bad one, the person adds; ``unanswerable`` says that it should have abstained.
    """
    answer, good = kept.answer, kept.verdict == "good"
    answered = answer.status in ("answered", "incomplete")
    expected: dict[str, Any] = {}
    if unanswerable or (good and not answered):
        expected = {"answerable": False, "kind": UNANSWERABLE}
    elif good:
        cited = answer.cited()
        expected = {
            "gold_ids": _unique(c.paper_id for c in cited),
            "evidence": _unique(c.quote for c in cited),
        }
    elif answered:
        expected = {"must_not": _unique(max(c.text.split("|"), key=len).strip() for c in answer.claims)}
    if kept.history and expected.get("answerable", True):
        expected["kind"] = "followup"
    return Case(
        id=f"chat-{hashlib.sha256(f'{kept.at}{answer.question}'.encode()).hexdigest()[:10]}",
        question=answer.question,
        history=tuple(kept.history),
        tags=(kept.verdict,),
        notes=kept.note,
        **expected,
    )


def _unique(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def add_cases(file: Path, fresh: list[Case]) -> list[Case]:
    """Append the cases that a file does not have yet and return them; the file is made where there is none.

    Raises:
        EvalError: it cannot be read or written.
    """
    held = {case.id for case in cases.load(file)} if file.exists() else set()
    new = [case for case in {c.id: c for c in fresh}.values() if case.id not in held]
    try:
        ends = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        with file.open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(("" if ends else "\n") + "".join(cases.to_line(case) + "\n" for case in new))
    except OSError as error:
        raise EvalError(f"{visible(str(file))}: cannot be written: {error.strerror}") from None
    return new
