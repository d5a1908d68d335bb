"""The folder of a run: ``run.json`` about the whole, and ``results.jsonl`` with one row per case.

`Run` and `Row` are the formats of both files. A run is written by one process at a time (`lock_run_folder`)
and can be resumed (`resume_or_start`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.answering.answers import NOT_SERVER_FAULTS
from paperagent.errors import EvalError, StoreLockedError, visible
from paperagent.storage.locks import ProcessLock
from paperagent.types import Answer, Hit, Paper

RUN_FILE, ROWS_FILE = "run.json", "results.jsonl"

NOT_ASKED = "not_asked"
"""The reason of an answer in a run that only searched."""

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
    """One paper that was retrieved for a case."""

    model_config = ConfigDict(frozen=True)

    paper_id: str
    title: str
    score: float
    rank: int


class ModelCall(BaseModel):
    """One call of the model, with its reply."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    schema_name: str
    """Kind of the call: ``answer``, ``plan`` or ``judge``."""
    text: str
    """The reply, unchanged."""
    finish_reason: str | None = None
    usage: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    shown: dict[str, str] = Field(default_factory=dict)
    """The sentences that the reply points at, by pointer: the numbers are only valid in its own prompt."""


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
    """`Answer.to_dict`; None after an error and in a run that only searched."""
    confidence: float | None = None
    retrieved: tuple[Retrieved, ...] = ()
    scores: dict[str, Score] = Field(default_factory=dict)
    """Score by metric; None if the metric does not apply (0/0)."""
    failure: Failure | None = None
    raw: tuple[ModelCall, ...] | None = None
    """The model's calls in order; None if no model was asked."""

    @property
    def server_failed(self) -> bool:
        """Whether sentences were quoted because the model's server failed."""
        kind = (self.answer or {}).get("fallback")
        return kind is not None and kind not in NOT_SERVER_FAULTS

    @property
    def group(self) -> str:
        """The cluster, or the case itself if it has none."""
        return self.cluster or self.id


class Figure(BaseModel):
    """A metric over a run."""

    model_config = ConfigDict(frozen=True)

    value: float | None
    """None if no case has a score."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval."""
    n: int = 0
    """Number of cases that have a score."""
    null: int = 0
    """Number of answered cases to which the metric does not apply."""


class Run(BaseModel):
    """Everything that shaped a run, and its metrics."""

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
    """Commit of this program's checkout or of the current folder; ends in -dirty if files were changed."""
    mode: str
    """``extractive``, ``select``, ``llm``, or ``retrieval`` for the search alone."""
    model: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    count: int = 0
    """Number of cases, including errors."""
    errors: int = 0
    problems: tuple[str, ...] = ()
    """Problems of cases whose papers or evidence the library lacks; these cases cannot be correct."""
    metrics: dict[str, Figure] = Field(default_factory=dict)


def load(folder: Path) -> tuple[Run, list[Row]]:
    """Return a run and its rows; of a case that was asked again, only the last row.

    Raises:
        EvalError: The folder holds no run, or one of its files is damaged.
    """
    return load_run(folder), load_rows(folder / ROWS_FILE)


def load_run(folder: Path) -> Run:
    """Read ``run.json`` of a run's folder."""
    path = folder / RUN_FILE
    try:
        return Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvalError(
            f"{visible(str(folder))}: not a run ({error.strerror}); name the folder of a run"
        ) from None
    except ValidationError as error:
        raise EvalError(
            f"{visible(str(path))}: is damaged ({_first_error(error)}); "
            "delete the folder and run the cases again"
        ) from None


def load_rows(path: Path) -> list[Row]:
    """Return the rows of a file in their order; ignore a last line that a crash cut off."""
    name = visible(str(path))
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise EvalError(f"{name}: cannot be read: {error.strerror}; name the folder of a run") from None
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = Row.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):  # without a line end: the process was killed while writing
                continue
            raise EvalError(
                f"{name} line {number}: is damaged ({_first_error(error)}); delete it and run the cases again"
            ) from None
        rows[row.id] = row
    return list(rows.values())


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    location = ".".join(map(str, first["loc"]))
    return visible(f"{location}: {first['msg']}" if location else first["msg"], limit=120)


def row_line(row: Row) -> str:
    """Return a row as one line of the results file, including the line break."""
    return json.dumps(row.model_dump(mode="json"), ensure_ascii=False, allow_nan=False) + "\n"


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Replace the rows of a run atomically."""
    _replace(folder / ROWS_FILE, "".join(map(row_line, rows)))


def write_run(folder: Path, run: Run) -> None:
    """Replace ``run.json`` atomically."""
    text = json.dumps(run.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1)
    _replace(folder / RUN_FILE, text + "\n")


def _replace(path: Path, text: str) -> None:
    new_path = path.with_name(path.name + ".new")
    with new_path.open("w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new_path.replace(path)


def answer_of(row: Row, papers: Mapping[str, Paper]) -> Answer | None:
    """Rebuild the answer of a row; papers that are not in ``papers`` get an empty abstract.

    Returns None after an error. For a run that only searched, the answer is empty and has the retrieved
    papers.
    """
    data = row.answer
    hits = tuple(
        Hit(papers.get(h.paper_id) or Paper(h.paper_id, h.title, ""), h.score, h.rank) for h in row.retrieved
    )
    if data is None:
        return None if row.state == "error" else Answer(row.question, "abstained", NOT_ASKED, "", hits=hits)
    return replace(Answer.from_dict(data), hits=hits)


_SHAPING = ("cases_hash", "prompts_hash", "library_hash", "git_sha", "mode", "model", "settings")
"""Fields of `Run` that must be equal for a run to be resumed."""


@contextmanager
def lock_run_folder(out: Path) -> Iterator[None]:
    """Lock a run's folder for the block; create it if it does not exist.

    The folder itself is locked, so no lock file remains in it.

    Raises:
        EvalError: The folder contains something else or cannot be created.
        StoreLockedError: Another process is writing a run there.
    """
    name = visible(str(out))
    if out.exists() and not (out / RUN_FILE).exists() and (not out.is_dir() or any(out.iterdir())):
        raise EvalError(f"{name}: exists and is not a run; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = ProcessLock(out)
    except OSError as error:
        raise EvalError(f"{name}: cannot be written: {error.strerror}; choose another --out") from None
    with lock:
        if not _acquire(lock):
            raise StoreLockedError(
                f"{name}: another process is writing this run; wait for it, or choose another --out"
            )
        yield


def _acquire(lock: ProcessLock) -> bool:
    try:
        return lock.acquire()
    except OSError:  # some network file systems cannot lock folders; a run there must still be possible
        return True


def resume_or_start(out: Path, new_run: Run) -> tuple[Run, dict[str, Row]]:
    """Return the run of a locked folder and its answered rows, or start ``new_run`` there.

    Raises:
        EvalError: The folder contains another run or a damaged one, or cannot be written.
    """
    name = visible(str(out))
    if (out / RUN_FILE).exists():
        run = load_run(out)
        differences = [field for field in _SHAPING if getattr(run, field) != getattr(new_run, field)]
        if differences:
            raise EvalError(
                f"{name}: contains another run (another {', '.join(differences)}); choose another --out"
            )
        rows = load_rows(out / ROWS_FILE) if (out / ROWS_FILE).exists() else []
        answered = {row.id: row for row in rows if row.state == "ok" and not row.server_failed}
        write_rows(out, answered.values())
        return run, answered
    try:
        write_run(out, new_run)
    except OSError as error:
        raise EvalError(f"{name}: cannot be written: {error.strerror}; choose another --out") from None
    return new_run, {}
