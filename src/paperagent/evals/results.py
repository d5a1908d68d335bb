"""What a run leaves behind: ``run.json`` about the whole, ``results.jsonl`` with one row a case."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.answering.fallback import OF_THE_ANSWER
from paperagent.errors import EvalError, visible
from paperagent.types import Answer, Citation, Claim, Hit, Paper, Usage

RUN_FILE, ROWS_FILE = "run.json", "results.jsonl"

NOT_ASKED = "not_asked"
"""The reason of an answer for which only the search was run."""

Score = float | None
Failure = Literal[
    "retrieval_miss",
    "evidence_ignored",
    "should_have_abstained",
    "should_have_answered",
    "check_too_strict",
    "error",
]
FAILURES: tuple[Failure, ...] = (
    "retrieval_miss",
    "evidence_ignored",
    "should_have_abstained",
    "should_have_answered",
    "check_too_strict",
    "error",
)


class Retrieved(BaseModel):
    """One paper that was found for a case."""

    model_config = ConfigDict(frozen=True)

    paper_id: str
    title: str
    score: float
    rank: int


class ModelCall(BaseModel):
    """One call of the model, as it was answered."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    schema_name: str
    """What was asked for: ``answer``, ``plan`` or ``judge``."""
    text: str
    """The reply, to the letter."""
    finish_reason: str | None = None
    usage: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    shown: dict[str, str] = Field(default_factory=dict)
    """The sentences that the reply points at, by pointer: numbers mean nothing in another prompt."""


class Row(BaseModel):
    """One case with its answer and scores."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str = "single"
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    answerable: bool = True
    question: str = ""
    state: Literal["ok", "error"] = "ok"
    error: str | None = None
    ms: float = 0.0
    """Wall time of the answer."""
    answer: dict[str, Any] | None = None
    """As `Answer.to_dict` gives it; None after an error, and where only the search was run."""
    confidence: float | None = None
    retrieved: tuple[Retrieved, ...] = ()
    scores: dict[str, Score] = Field(default_factory=dict)
    """Metric → score; None where it does not apply (0/0)."""
    failure: Failure | None = None
    raw: tuple[ModelCall, ...] | None = None
    """What the model said, call by call; None where none was asked."""

    @property
    def server_failed(self) -> bool:
        """Whether sentences were quoted since the model's server failed."""
        kind = (self.answer or {}).get("fallback")
        return kind is not None and kind not in OF_THE_ANSWER

    @property
    def group(self) -> str:
        """The cluster, or the case itself where it has none."""
        return self.cluster or self.id


class Figure(BaseModel):
    """A metric over a run."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    """None where no case has a score."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval."""
    n: int = 0
    """Cases that have a score."""
    null: int = 0
    """Answered cases to which it does not apply."""


class Run(BaseModel):
    """Everything that shaped a run, and its figures."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str
    created: str
    """ISO 8601, UTC."""
    cases: str
    """Name of the file or folder of cases."""
    cases_hash: str
    prompts_hash: str | None = None
    library_hash: str
    git_sha: str | None = None
    """Commit of this program's checkout, or of the current folder's; ends in -dirty where it was changed."""
    mode: str
    """``extractive``, ``llm``, or ``retrieval`` where only the search was run."""
    model: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    count: int = 0
    """Cases of the run, errors among them."""
    errors: int = 0
    problems: tuple[str, ...] = ()
    """What of the cases the library lacks: these cannot come out right."""
    metrics: dict[str, Figure] = Field(default_factory=dict)


def load(folder: Path) -> tuple[Run, list[Row]]:
    """Return a run and its rows; of a case that was asked again, the last row.

    Raises:
        EvalError: the folder holds no run, or a file of it is damaged.
    """
    return load_run(folder), load_rows(folder / ROWS_FILE)


def load_run(folder: Path) -> Run:
    """Return what ``run.json`` of the folder says."""
    path = folder / RUN_FILE
    try:
        return Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvalError(
            f"{visible(str(folder))}: holds no run ({error.strerror}); name a run's folder"
        ) from None
    except ValidationError as error:
        raise EvalError(
            f"{visible(str(path))}: is damaged ({_first(error)}); delete the folder and run the cases again"
        ) from None


def load_rows(path: Path) -> list[Row]:
    """Return the rows of a file, in their order; a line that was cut off by a crash is passed over."""
    shown = visible(str(path))
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise EvalError(f"{shown}: cannot be read: {error.strerror}; name a run's folder") from None
    found: dict[str, Row] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = Row.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):  # no line end: the process was killed while it wrote
                continue
            raise EvalError(
                f"{shown} line {number}: is damaged ({_first(error)}); delete it and run the cases again"
            ) from None
        found[row.id] = row
    return list(found.values())


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return visible(f"{place}: {first['msg']}" if place else first["msg"], limit=120)


def row_line(row: Row) -> str:
    """Return a row as one line, with its end."""
    return json.dumps(row.model_dump(mode="json"), ensure_ascii=False, allow_nan=False) + "\n"


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Replace the rows of a run, whole or not at all."""
    _replace(folder / ROWS_FILE, "".join(map(row_line, rows)))


def write_run(folder: Path, run: Run) -> None:
    """Replace ``run.json``, whole or not at all."""
    text = json.dumps(run.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1)
    _replace(folder / RUN_FILE, text + "\n")


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def answer_of(row: Row, papers: Mapping[str, Paper]) -> Answer | None:
    """Return the row's answer as a value; papers that are not among ``papers`` have an empty abstract.

    None after an error. Where only the search was run, an answer that says nothing, with what was found.
    """
    found = row.answer
    hits = tuple(
        Hit(papers.get(h.paper_id) or Paper(h.paper_id, h.title, ""), h.score, h.rank) for h in row.retrieved
    )
    if found is None:
        return None if row.state == "error" else Answer(row.question, "abstained", NOT_ASKED, "", hits=hits)
    claims = tuple(
        Claim(c["text"], tuple(c["citations"]), c["support"], dict(c["checks"])) for c in found["claims"]
    )
    return Answer(
        question=found["question"],
        status=found["status"],
        reason=found["reason"],
        answer=found["answer"],
        claims=claims,
        citations=tuple(Citation(**c) for c in found["citations"]),
        hits=hits,
        mode=found["mode"],
        model=found["model"],
        prompt_hash=found["prompt_hash"],
        usage=Usage(**found["usage"]),
        timings_ms=dict(found["timings_ms"]),
        confidence=found.get("confidence"),
        notes=tuple(found.get("notes", ())),
        fallback=found.get("fallback"),
    )
