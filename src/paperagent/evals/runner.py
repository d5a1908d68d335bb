"""Run cases against a library and record every answer with its scores.

`run_cases` is the entry point. Runs are resumable and may ask several cases at once. An error is recorded
with its case and does not stop the run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from paperagent.evals.conversations import Conversations, by_conversation
from paperagent.evals.results import (
    NOT_ASKED,
    ROWS_FILE,
    ModelCall,
    Retrieved,
    Row,
    Run,
    answer_of,
    lock_run_folder,
    resume_or_start,
    row_line,
    write_rows,
    write_run,
)
from paperagent.evals.scorers.content import classify_failure, spans_of
from paperagent.evals.scorers.retrieval import title_key
from paperagent.time_limits import WorkerPool
from paperagent.types import Answer, Paper, Progress

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.evals.replay import Recorder, Replayer

RETRIEVAL = "retrieval"
"""The mode of a run that only searches."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How cases are asked, and what the run records about that."""

    name: str
    """Name of the file or folder of cases."""
    mode: str
    """``extractive``, ``select``, ``llm``, or ``retrieval`` for the search alone."""
    model: str | None = None
    k: int = 10
    """Number of papers to retrieve."""
    concurrency: int = 1
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of `PaperAgent.ask`, such as ``effort``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Other settings that shaped the answers, for the record."""
    prompts_hash: str | None = None
    git_sha: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    recorder: Recorder | Replayer | None = None
    """The model of the agent, if its replies are recorded or replayed."""
    recorded: Mapping[str, Row] | None = None
    """Rows of an earlier run, by case: their answers are scored again, and nothing is asked."""


def run_cases(
    agent: PaperAgent,
    cases: Sequence[Case],
    config: RunConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> tuple[Run, list[Row]]:
    """Ask the cases and write ``run.json`` and ``results.jsonl`` into the folder ``out``.

    If ``out`` holds the same run, unfinished or with errors, it is resumed: it asks the cases that have no
    answer yet, or only quoted sentences because the model's server failed. Ctrl-C keeps the answers so far.

    Args:
        agent: The library to ask.
        cases: The cases, in the order of the results.
        config: How to ask them.
        out: The run's folder; created if it does not exist.
        progress: Called after each case.
        warn: Called with each problem of the cases and with the number of server failures.

    Raises:
        EvalError: ``out`` holds another run or cannot be written; the library is empty; no case was answered.
        EndpointError: No case was answered because the endpoint failed every time.
        StoreLockedError: Another process is writing to ``out``.
        StoreError, ConfigError: The first question failed with it.
    """
    gold_papers = gold_papers_by_id(agent, cases)
    library = check_library(agent.papers(), gold_papers, cases)
    if not library.count:
        raise EvalError("library: it is empty; read a feed first with `paperagent ingest SOURCE`")
    if warn:
        for problem in library.problems:
            warn(problem)
    runner = CaseRunner(agent, config, gold_papers)
    with lock_run_folder(out):
        run, answered = resume_or_start(out, _describe(cases, config, library, name=out.name))
        remaining = [case for case in cases if case.id not in answered]
        for case in cases:
            if case.id in answered:
                runner.conversations.add(case, answered[case.id].answer)
        if remaining and config.mode != RETRIEVAL and config.recorded is None:
            agent.warm()
        for row in runner.ask_all(remaining, out, done=len(answered), progress=progress):
            answered[row.id] = row
        rows = [answered[case.id] for case in cases]
        errors = [row for row in rows if row.state == "error"]
        metrics = scorers.summarize(rows, seed=config.seed)
        run = run.model_copy(update={"metrics": metrics, "errors": len(errors)})
        write_rows(out, rows)
        write_run(out, run)
    if warn and (failed := sum(row.server_failed for row in rows)):
        warn(
            f"model: its server failed for {failed} of {len(rows)} answers, which are quotations; "
            "see their notes"
        )
    if len(errors) == len(rows):
        message = f"run: none of {len(rows)} cases was answered; the first error: {errors[0].error}"
        all_by_endpoint = len(runner.endpoint_errors) == len(rows)
        raise EndpointError(message) if all_by_endpoint else EvalError(message)
    return run, rows


def gold_papers_by_id(agent: PaperAgent, cases: Sequence[Case]) -> dict[str, Paper]:
    """Return the papers of the ids in the cases, keyed by the ids that the cases use."""
    papers = {}
    for paper_id in dict.fromkeys(i for case in cases for i in case.paper_ids):
        try:
            papers[paper_id] = agent.get(paper_id)
        except InputError:  # not in the library; `check_library` reports it
            continue
    return papers


def library_problems(agent: PaperAgent, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return the problems of cases that cannot be correct with this library."""
    return check_library(agent.papers(), gold_papers_by_id(agent, cases), cases).problems


@dataclass(frozen=True, slots=True)
class LibraryCheck:
    """The library of a run, compared with its cases."""

    count: int
    """Number of papers."""
    hash: str
    """Hash of the ids, titles and abstracts of all papers, independent of their order."""
    problems: tuple[str, ...] = ()
    """A line for each paper or sentence that a case names and the library lacks."""


def check_library(
    papers: Iterable[Paper], gold_papers: Mapping[str, Paper], cases: Sequence[Case]
) -> LibraryCheck:
    """Read the library once and look for the papers and sentences that the cases name.

    ``gold_papers`` are those of `gold_papers_by_id`.
    """
    gold_titles = {title_key(t) for case in cases for t in case.gold_titles}
    hash_sum = count = 0
    by_title: dict[str, list[Paper]] = {}
    for paper in papers:
        count += 1
        text = f"{paper.paper_id}\0{paper.title}\0{paper.abstract}"
        hash_sum += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        if (key := title_key(paper.title)) in gold_titles:
            by_title.setdefault(key, []).append(paper)
    problems = [problem for case in cases for problem in _problems(case, by_title, gold_papers)]
    return LibraryCheck(count, f"{hash_sum % 2**256:064x}"[:16], tuple(problems))


def _problems(
    case: Case, by_title: Mapping[str, list[Paper]], gold_papers: Mapping[str, Paper]
) -> Iterator[str]:
    name = f"case {visible(case.id)}"
    for paper_id in case.paper_ids:
        if paper_id not in gold_papers:
            yield f"{name}: the library has no paper {visible(paper_id, limit=80)}"
    for title in case.gold_titles:
        if not case.gold_ids and title_key(title) not in by_title:
            yield f"{name}: the library has no paper titled {visible(title, limit=80)}"
    gold = [gold_papers[i] for i in case.gold_ids if i in gold_papers]
    gold += [p for t in case.gold_titles for p in by_title.get(title_key(t), ())]
    for evidence in case.evidence:
        if gold and not any(spans_of(evidence, paper.abstract) for paper in gold):
            yield f"{name}: no gold abstract contains “{visible(evidence, limit=60)}”"


def _describe(cases: Sequence[Case], config: RunConfig, library: LibraryCheck, *, name: str) -> Run:
    options = {name: value for name, value in config.options.items() if value is not None}
    return Run(
        id=name,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        cases=config.name,
        cases_hash=cases_hash(cases),
        prompts_hash=config.prompts_hash,
        library_hash=library.hash,
        git_sha=config.git_sha,
        mode=config.mode,
        model=config.model,
        settings={"k": config.k, **config.settings, **options},
        versions=dict(config.versions),
        seed=config.seed,
        count=len(cases),
        problems=library.problems,
    )


class CaseRunner:
    """Asks cases, one by one or several at once, and scores the answers."""

    def __init__(self, agent: PaperAgent, config: RunConfig, gold_papers: Mapping[str, Paper]) -> None:
        """Take the library, how to ask it, and the papers of `gold_papers_by_id`."""
        self.agent = agent
        self.config = config
        self.gold_papers = gold_papers
        self.conversations = Conversations(gold_papers)
        self.endpoint_errors: list[EndpointError] = []
        """Errors of cases that have no answer because the endpoint failed."""

    def ask_all(
        self, cases: Sequence[Case], out: Path, *, done: int = 0, progress: Progress | None = None
    ) -> Iterator[Row]:
        """Yield the row of each case as it is answered, already appended to the results file."""
        total = done + len(cases)
        with (out / ROWS_FILE).open("a", encoding="utf-8", errors="surrogatepass") as file:
            for i, row in enumerate(self._rows(cases), start=done + 1):
                file.write(row_line(row))
                file.flush()
                if progress:
                    progress("cases", i, total)
                yield row

    def _rows(self, cases: Sequence[Case]) -> Iterator[Row]:
        if self.config.concurrency == 1:
            yield from map(self.ask, cases)
            return
        with WorkerPool(self.config.concurrency, thread_name_prefix="case") as pool:
            futures: list[Future[list[Row]]] = [
                pool.submit(lambda group: [self.ask(case) for case in group], group)
                for group in by_conversation(cases)
            ]
            for future in as_completed(futures):
                yield from future.result()

    def ask(self, case: Case) -> Row:
        """Ask one case and score its answer.

        Raises:
            StoreError, ConfigError: It would stop every other case as well.
        """
        started = time.perf_counter()
        try:
            if self.config.recorded is not None:
                return self._score_recorded(case, self.config.recorded)
            answer, raw = self._answer(case)
            self.conversations.add(case, answer)
        except (StoreError, ConfigError):
            raise
        except Exception as error:  # noqa: BLE001 - recorded as the error of this case
            ms = (time.perf_counter() - started) * 1000
            if isinstance(error, EndpointError) and error.kind != "replay":
                self.endpoint_errors.append(error)
            return _row(case, state="error", error=_message(error), failure="error", ms=ms)
        return self.score(case, answer, raw, ms=(time.perf_counter() - started) * 1000)

    def _score_recorded(self, case: Case, recorded: Mapping[str, Row]) -> Row:
        row = recorded.get(case.id)
        if row is None or row.question != case.question:
            raise EvalError("replay: this question was not recorded; run the cases again")
        answer = answer_of(row, {})
        if answer is None:
            raise EvalError(f"replay: the recorded case ended in an error: {row.error}")
        return self.score(case, answer, row.raw, ms=row.ms)

    def _answer(self, case: Case) -> tuple[Answer, tuple[ModelCall, ...] | None]:
        k = case.k or self.config.k
        if self.config.mode == RETRIEVAL:
            hits = tuple(self.agent.search(case.question, k=k))
            return Answer(case.question, "abstained", NOT_ASKED, "", hits=hits), None
        options: dict[str, Any] = {
            "history": self.conversations.history(case),
            "k": k,
            "mode": self.config.mode,
            "cache": False,
        }
        with self.config.recorder.for_case(case.id) if self.config.recorder else nullcontext() as calls:
            answer = self.agent.ask(case.question, **options, **self.config.options)
        return answer, None if calls is None else tuple(calls)

    def score(self, case: Case, answer: Answer, raw: tuple[ModelCall, ...] | None, *, ms: float) -> Row:
        """Return the row of an answer; ``raw`` are the model's replies and ``ms`` is the wall time."""
        search_only = self.config.mode == RETRIEVAL
        papers = {**({} if search_only else self._cited_papers(answer)), **self.gold_papers}
        groups = scorers.RETRIEVAL_GROUPS if search_only else scorers.GROUPS
        return _row(
            case,
            ms=round(ms, 2),
            answer=None if search_only else answer.to_dict(),
            confidence=answer.confidence,
            retrieved=tuple(
                Retrieved(paper_id=h.paper_id, title=h.title, score=round(h.score, 4), rank=h.rank)
                for h in answer.hits
            ),
            scores=scorers.score_case(case, answer, papers, k=case.k or self.config.k, groups=groups),
            failure=None if search_only else classify_failure(case, answer, papers, raw),
            raw=raw,
        )

    def _cited_papers(self, answer: Answer) -> dict[str, Paper]:
        """Return the cited papers by id, with the text of the library rather than of the answer."""
        papers = {}
        for paper_id in dict.fromkeys(c.paper_id for c in answer.citations):
            try:
                papers[paper_id] = self.agent.get(paper_id)
            except InputError:  # a citation of an unknown paper lowers quote_validity
                continue
        return papers


def _row(case: Case, **fields: Any) -> Row:
    return Row(
        id=case.id,
        kind=case.kind,
        tags=case.tags,
        cluster=case.cluster,
        answerable=case.answerable,
        question=case.question,
        **fields,
    )


def _message(error: Exception) -> str:
    text = visible(" ".join(str(error).split()), limit=500)
    return text if isinstance(error, PaperAgentError) else f"unexpected {type(error).__name__}: {text}"
