"""Ask every case and keep everything: resumable, concurrent, an error is a state of its own."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from paperagent.errors import (
    ConfigError,
    EndpointError,
    EvalError,
    InputError,
    PaperAgentError,
    StoreError,
    visible,
)
from paperagent.evals import scorers
from paperagent.evals.cases import Case, cases_hash
from paperagent.evals.library_check import LibraryCheck, check_library
from paperagent.evals.results import (
    NOT_ASKED,
    ROWS_FILE,
    ModelCall,
    Retrieved,
    Row,
    Run,
    answer_of,
    row_line,
    write_rows,
    write_run,
)
from paperagent.evals.run_folder import held, take_up
from paperagent.evals.scorers import content, summarize
from paperagent.types import Answer, Hit, Paper, Progress

if TYPE_CHECKING:
    from paperagent.arguments import AskOptions

RETRIEVAL = "retrieval"


class Agent(Protocol):
    """What a run needs of `PaperAgent`."""

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question."""
        ...

    def search(self, query: str, *, k: int) -> list[Hit]:
        """Return the best papers for a query."""
        ...

    def get(self, paper_id: str) -> Paper:
        """Return a paper."""
        ...

    def papers(self) -> Iterable[Paper]:
        """Yield every paper."""
        ...

    def warm(self) -> None:
        """Load what the first question needs."""
        ...


class Tape(Protocol):
    """What hears the model's replies (`recording.Recorder`) or gives them (`recording.Replayer`)."""

    def hearing(self, case_id: str) -> AbstractContextManager[list[ModelCall]]:
        """Yield the list that this thread's replies go to."""
        ...


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How cases are asked, and what is written about that into the run."""

    name: str
    """Of the file or folder of cases."""
    mode: str
    """``extractive``, ``llm``, or ``retrieval`` for the search alone."""
    model: str | None = None
    k: int = 10
    concurrency: int = 1
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    """Passed on with every question, such as ``effort``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else shaped the answers, for the record."""
    prompts_hash: str | None = None
    git_sha: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    tape: Tape | None = None
    recorded: Mapping[str, Row] | None = None
    """Answers of an earlier run, by case: these are scored anew, and nothing is asked."""


def run_cases(
    agent: Agent,
    cases: Sequence[Case],
    setup: RunConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> tuple[Run, list[Row]]:
    """Ask the cases and write ``run_cases.json`` and ``results.jsonl`` into ``out``.

    A folder that holds the same run, unfinished or with errors, is gone on with: only what has no
    answer yet, or a quoted one since the model's server failed, is asked. Ctrl-C keeps what was
    answered. ``warn`` is told what of the cases the library lacks, and of such a server.

    Raises:
        EvalError: ``out`` holds another run or cannot be written; the library is empty; not one
            case could be answered.
        EndpointError: not one could, since the endpoint failed every time.
        StoreLockedError: another process is writing to ``out``.
        StoreError, ConfigError: as the first question would.
    """
    known = gold_papers_by_id(agent, cases)
    found = check_library(agent.papers(), known, cases)
    if not found.count:
        raise EvalError("library: holds no papers; read a feed first, with `paperagent ingest SOURCE`")
    if warn:
        for problem in found.problems:
            warn(problem)
    asker = CaseRunner(agent, setup, known)
    with held(out):
        begun, done = take_up(out, _described(cases, setup, found, name=out.name))
        todo = [case for case in cases if case.id not in done]
        if todo and setup.mode != RETRIEVAL and setup.recorded is None:
            agent.warm()
        for row in asker.rows(todo, out, done=len(done), progress=progress):
            done[row.id] = row
        rows = [done[case.id] for case in cases]
        errors = [row for row in rows if row.state == "error"]
        finished = begun.model_copy(
            update={"metrics": summarize(rows, seed=setup.seed), "errors": len(errors)}
        )
        write_rows(out, rows)
        write_run(out, finished)
    if warn and (failed := sum(row.server_failed for row in rows)):
        warn(
            f"model: {failed} of {len(rows)} answers are quotations because its server failed; see the notes"
        )
    if len(errors) == len(rows):
        why = f"run: not one of {len(rows)} cases was answered; the first error: {errors[0].error}"
        raise EndpointError(why) if len(asker.endpoint_errors) == len(rows) else EvalError(why)
    return finished, rows


def library_problems(agent: Agent, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return what of the cases the library lacks: they cannot come out right."""
    return check_library(agent.papers(), gold_papers_by_id(agent, cases), cases).problems


def gold_papers_by_id(agent: Agent, cases: Sequence[Case]) -> dict[str, Paper]:
    """Return the papers of the gold ids, under the ids that the cases use."""
    found = {}
    for paper_id in dict.fromkeys(i for case in cases for i in case.gold_ids):
        try:
            found[paper_id] = agent.get(paper_id)
        except InputError:  # not in the library: `check_library` says so
            continue
    return found


def _described(cases: Sequence[Case], setup: RunConfig, found: LibraryCheck, *, name: str) -> Run:
    now = dt.datetime.now(dt.UTC)
    options = {name: value for name, value in setup.options.items() if value is not None}
    return Run(
        id=name,
        created=now.isoformat(timespec="seconds"),
        cases=setup.name,
        cases_hash=cases_hash(cases),
        prompts_hash=setup.prompts_hash,
        library_hash=found.hash,
        git_sha=setup.git_sha,
        mode=setup.mode,
        model=setup.model,
        settings={"k": setup.k, **setup.settings, **options},
        versions=dict(setup.versions),
        seed=setup.seed,
        count=len(cases),
        problems=found.problems,
    )


class CaseRunner:
    """Asks cases one by one or several at once, and scores what comes."""

    def __init__(self, agent: Agent, setup: RunConfig, known: Mapping[str, Paper]) -> None:
        self.agent = agent
        self.setup = setup
        self.known = known
        """Papers of the cases' gold ids, under the ids that the cases use."""
        self.endpoint_errors: list[EndpointError] = []
        """Of cases that have no answer since the endpoint failed."""

    def rows(
        self, cases: Sequence[Case], out: Path, *, done: int = 0, progress: Progress | None = None
    ) -> Iterator[Row]:
        """Yield a row a case as they are answered, each already written to the folder."""
        total = done + len(cases)
        with (out / ROWS_FILE).open("a", encoding="utf-8", errors="surrogatepass") as file:
            for i, row in enumerate(self._in_turn(cases), start=done + 1):
                file.write(row_line(row))
                file.flush()
                if progress:
                    progress("cases", i, total)
                yield row

    def _in_turn(self, cases: Sequence[Case]) -> Iterator[Row]:
        if self.setup.concurrency == 1:
            yield from map(self.row, cases)
            return
        with ThreadPoolExecutor(self.setup.concurrency, thread_name_prefix="case") as pool:
            asked: list[Future[Row]] = [pool.submit(self.row, case) for case in cases]
            try:
                for future in as_completed(asked):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def row(self, case: Case) -> Row:
        """Ask one case and score its answer.

        Raises:
            StoreError, ConfigError: no case could be answered like this.
        """
        started = time.perf_counter()
        try:
            if self.setup.recorded is not None:
                return self._recorded(case, self.setup.recorded)
            answer, raw = self._answer(case)
        except (StoreError, ConfigError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this case's error, and is kept
            ms = (time.perf_counter() - started) * 1000
            if isinstance(error, EndpointError) and error.kind != "replay":
                self.endpoint_errors.append(error)
            return _row(case, state="error", error=_named(error), failure="error", ms=ms)
        return self.scored(case, answer, raw, ms=(time.perf_counter() - started) * 1000)

    def _recorded(self, case: Case, recorded: Mapping[str, Row]) -> Row:
        row = recorded.get(case.id)
        if row is None or row.question != case.question:
            raise EvalError("replay: this question was not recorded; run the cases again")
        answer = answer_of(row, {})
        if answer is None:
            raise EvalError(f"replay: it was an error when recorded: {row.error}")
        return self.scored(case, answer, row.raw, ms=row.ms)

    def _answer(self, case: Case) -> tuple[Answer, tuple[ModelCall, ...] | None]:
        k = case.k or self.setup.k
        if self.setup.mode == RETRIEVAL:
            hits = tuple(self.agent.search(case.question, k=k))
            return Answer(case.question, "abstained", NOT_ASKED, "", hits=hits), None
        options: dict[str, Any] = {
            "history": list(case.history),
            "k": k,
            "mode": self.setup.mode,
            "cache": False,
        }
        with self.setup.tape.hearing(case.id) if self.setup.tape else nullcontext() as heard:
            answer = self.agent.ask(case.question, **options, **self.setup.options)
        return answer, None if heard is None else tuple(heard)

    def scored(self, case: Case, answer: Answer, raw: tuple[ModelCall, ...] | None, *, ms: float) -> Row:
        """Return the row of an answer, however it came about."""
        searched = self.setup.mode == RETRIEVAL
        papers = {**self._papers_of(answer, searched=searched), **self.known}
        groups = scorers.RETRIEVAL_GROUPS if searched else scorers.GROUPS
        return _row(
            case,
            ms=round(ms, 2),
            answer=None if searched else answer.to_dict(),
            confidence=answer.confidence,
            retrieved=tuple(
                Retrieved(paper_id=h.paper_id, title=h.title, score=round(h.score, 4), rank=h.rank)
                for h in answer.hits
            ),
            scores=scorers.score_case(case, answer, papers, k=case.k or self.setup.k, groups=groups),
            failure=None if searched else content.classify_failure(case, answer, papers, raw),
            raw=raw,
        )

    def _papers_of(self, answer: Answer, *, searched: bool) -> dict[str, Paper]:
        """Return the papers that an answer cites as the library has them, not as the answer says."""
        if searched:
            return {}
        found = {}
        for paper_id in dict.fromkeys(c.paper_id for c in answer.citations):
            try:
                found[paper_id] = self.agent.get(paper_id)
            except InputError:  # a citation of no paper: `quote_validity` counts it
                continue
        return found


def _row(case: Case, **rest: Any) -> Row:
    return Row(
        id=case.id,
        kind=case.kind,
        tags=case.tags,
        cluster=case.cluster,
        answerable=case.answerable,
        question=case.question,
        **rest,
    )


def _named(error: Exception) -> str:
    text = visible(" ".join(str(error).split()), limit=500)
    return text if isinstance(error, PaperAgentError) else f"unexpected {type(error).__name__}: {text}"
