"""Save answers that a user rated good or bad, and turn them into cases.

The chat's /good and /bad append to `FEEDBACK_FILE` with `save_feedback`; `paperagent eval cases add` reads
it back and makes cases with `case_from_feedback`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.errors import EvalError, InputError, visible
from paperagent.evals import cases
from paperagent.evals.cases import UNANSWERABLE, Case
from paperagent.types import Answer

FEEDBACK_FILE = "feedback.jsonl"
"""Name of the file in the library's folder."""


def save_feedback(
    path: Path, answer: Answer, history: Sequence[tuple[str, str]], *, good: bool, note: str = ""
) -> None:
    """Append a rated answer to the file, which only its owner may read because questions are private.

    Args:
        path: The file; created if it does not exist.
        answer: The rated answer.
        history: Earlier turns as (question, answer).
        good: The rating.
        note: The user's reason.

    Raises:
        InputError: The file cannot be written.
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
        with open(descriptor, "ab") as file:  # noqa: PTH123 - sets the mode when the file is created
            file.write(line.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(
            f"{visible(str(path))}: cannot be written: {error.strerror}; check the folder"
        ) from None


class _Claim(BaseModel):
    text: str
    citations: list[int]


class _Citation(BaseModel):
    n: int
    paper_id: str
    quote: str


class _Answer(BaseModel):
    """The part of ``ask --json`` that a case is made from."""

    question: str = Field(min_length=1)
    status: str
    claims: list[_Claim] = []
    citations: list[_Citation] = []

    def used_citations(self) -> list[_Citation]:
        used = {n for claim in self.claims for n in claim.citations}
        return [c for c in self.citations if c.n in used]


class FeedbackRecord(BaseModel):
    """One line of the feedback file."""

    model_config = ConfigDict(frozen=True)

    at: str = ""
    """Time of the feedback, ISO 8601 in UTC."""
    verdict: Literal["good", "bad"]
    note: str = ""
    history: list[tuple[str, str]] = []
    answer: _Answer


def read_feedback(path: Path) -> list[FeedbackRecord]:
    """Return the records of a feedback file.

    Raises:
        EvalError: There is no such file, or a line is invalid.
    """
    name = visible(str(path))
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError:
        raise EvalError(f"{name}: there is no feedback yet; use /good or /bad in the chat") from None
    except (OSError, ValueError) as error:
        raise EvalError(f"{name}: cannot be read ({visible(str(error))}); check the file") from None
    return [_record(line, f"{name} line {n}") for n, line in enumerate(lines, 1) if line.strip()]


def feedback_for_answer(path: Path, *, good: bool, note: str = "") -> FeedbackRecord:
    """Return the feedback on an answer that ``ask --json`` or /save wrote to a file.

    Raises:
        EvalError: The file cannot be read or is not an answer.
    """
    name = visible(str(path))
    try:
        answer = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise EvalError(f"{name}: cannot be read: {error.strerror}; name a saved answer") from None
    except (ValueError, RecursionError):
        raise EvalError(f"{name}: not JSON; name the output of `paperagent ask --json`") from None
    record = {"verdict": "good" if good else "bad", "note": note, "answer": answer}
    return _record(json.dumps(record), name)


def _record(line: str, where: str) -> FeedbackRecord:
    try:
        return FeedbackRecord.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise EvalError(
            f"{where}: not an answer ({visible(field)}: {visible(first['msg'], limit=100)}); "
            "name the output of `paperagent ask --json`, or correct the line"
        ) from None


def case_from_feedback(feedback: FeedbackRecord, *, unanswerable: bool = False) -> Case:
    """Return a case with the expectations that the feedback implies.

    The citations of a good answer become the evidence, and a good abstention an unanswerable question. The
    claims of a bad answer become ``must_not``, and a question with a bad abstention must be answered; the
    user has to add the expected answer.

    Args:
        feedback: The rated answer.
        unanswerable: Whether the right answer would have been an abstention.
    """
    answer, good = feedback.answer, feedback.verdict == "good"
    answered = answer.status in ("answered", "doubtful", "incomplete")
    expected: dict[str, Any] = {}
    if unanswerable or (good and not answered):
        expected = {"answerable": False, "kind": UNANSWERABLE}
    elif good:
        citations = answer.used_citations()
        expected = {
            "gold_ids": _unique(c.paper_id for c in citations),
            "evidence": _unique(c.quote for c in citations),
        }
    elif answered:
        expected = {"must_not": _unique(max(c.text.split("|"), key=len).strip() for c in answer.claims)}
    if feedback.history and expected.get("answerable", True):
        expected["kind"] = "followup"
    return Case(
        id=f"chat-{hashlib.sha256(f'{feedback.at}{answer.question}'.encode()).hexdigest()[:10]}",
        question=answer.question,
        history=tuple(feedback.history),
        tags=(feedback.verdict,),
        notes=feedback.note,
        **expected,
    )


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def add_cases(file: Path, new_cases: Sequence[Case]) -> list[Case]:
    """Append the cases that a file does not have yet, and return them.

    The file is created if it does not exist.

    Raises:
        EvalError: The file cannot be read or written.
    """
    existing_ids = {case.id for case in cases.load(file)} if file.exists() else set()
    added = [case for case in {c.id: c for c in new_cases}.values() if case.id not in existing_ids]
    try:
        ends_with_newline = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        with file.open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(
                ("" if ends_with_newline else "\n") + "".join(cases.to_line(c) + "\n" for c in added)
            )
    except OSError as error:
        raise EvalError(
            f"{visible(str(file))}: cannot be written: {error.strerror}; choose another file"
        ) from None
    return added
