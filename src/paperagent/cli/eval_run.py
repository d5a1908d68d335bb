"""The eval group and its run command, with the set-up of a run from the options."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import (
    MAX_COST_USD,
    MAX_TIMEOUT_S,
    Command,
    CommandGroup,
    IntegerParam,
    NumberParam,
    PathParam,
    TextParam,
    add_options,
    common_options,
    fallback_options,
    json_option,
    judge_options,
    quiet_option,
    top_k_option,
)
from paperagent.cli.session import Session, WarningLimiter, print_line, print_tables, progress_bar, show_json

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.evals.cases import Case
    from paperagent.evals.replay import Recorder, Replayer
    from paperagent.evals.results import Row
    from paperagent.evals.runner import RunConfig
    from paperagent.types import Progress

RUNS_FOLDER = Path("eval-runs")
"""Default parent folder of runs, in the current folder."""
MAX_CASE_WARNINGS = 5
MODEL_CONCURRENCY = 4
"""Default number of concurrent cases with a model. Without one, concurrency gains nothing on few cores."""
_MODEL_MODES = ("llm", "select")
_MODEL_SETTINGS = ("unsupported", "judge", "judge_model", "max_rounds", "context_tokens", "profile")
_COMMANDS = {
    "init": "eval_cases",
    "cases": "eval_cases",
    "report": "eval_reports",
    "compare": "eval_reports",
    "calibrate": "eval_reports",
    "selftest": "eval_reports",
}
"""Subcommand → module in `paperagent.cli`."""


class EvalGroup(CommandGroup):
    """Imports the modules of the other subcommands only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"paperagent.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


def case_warnings() -> WarningLimiter:
    """Return a limiter that prints the warnings about cases."""
    return WarningLimiter(MAX_CASE_WARNINGS, details="'paperagent eval cases check' lists all of them")


@click.group("eval", cls=EvalGroup)
@common_options
def evaluation() -> None:
    """Run test cases, score the answers against their sources, and compare runs."""


globals()["eval"] = evaluation  # the command's name; an assignment would hide the builtin from this module


def _run_options(command: Command) -> Command:
    """Add the options that select the cases, the library and the way questions are answered."""
    options = [
        click.option(
            "--qrels", type=PathParam(), help="Relevance judgements; CASES is then a file of queries."
        ),
        click.option("--split", type=TextParam(), help="Split of a BEIR folder (default: test)."),
        click.option(
            "--feed",
            "feeds",
            multiple=True,
            metavar="SOURCE",
            help="Run against a library of this feed only; may be repeated.",
        ),
        click.option(
            "--library",
            type=PathParam(),
            help="Library to query; with --feed or a BEIR folder, the library to create.",
        ),
        click.option("--replay", type=PathParam(), metavar="RUN", help="Reuse the model's replies of a run."),
        click.option(
            "--limit", type=IntegerParam(1, 1_000_000), help="Maximum number of cases, sampled with --seed."
        ),
        click.option(
            "--seed", type=IntegerParam(0, 2**31), default=0, show_default=True, help="Random seed."
        ),
        click.option(
            "--concurrency",
            type=IntegerParam(1, 64),
            help="Number of concurrent cases (default: 4 with a model, else 1).",
        ),
        click.option(
            "--mode",
            type=click.Choice(["extractive", "select", "llm", "retrieval"]),
            help="extractive: quote sentences; select: quote sentences chosen by a model; "
            "llm: let a model write; retrieval: search only.",
        ),
        click.option("--model", type=TextParam(), help="Model to use (default: PAPERAGENT_MODEL)."),
        click.option(
            "--embedder",
            type=TextParam(),
            help="Embedder to use (default: PAPERAGENT_EMBEDDER); none: keyword search only.",
        ),
        click.option("--effort", type=click.Choice(["fast", "deep"]), help="Same as for 'paperagent ask'."),
        click.option(
            "--max-cost",
            type=NumberParam(MAX_COST_USD, zero=True),
            help="Maximum cost of each answer in US dollars.",
        ),
        click.option(
            "--timeout",
            type=NumberParam(MAX_TIMEOUT_S),
            help="Maximum time for each answer from the endpoint, in seconds.",
        ),
        click.option(
            "--unsupported",
            type=click.Choice(["withhold", "mark", "repair"]),
            help="Same as for 'paperagent ask'.",
        ),
        *judge_options(),
        click.option(
            "--strict",
            is_flag=True,
            default=None,
            help="Do not fall back to quoted sentences; a case whose model call fails is an error.",
        ),
        top_k_option,
    ]
    return add_options(command, options)


@evaluation.command("run")
@click.argument("cases", type=PathParam())
@_run_options
@click.option("--out", type=PathParam(), help="Folder of the run (default: a new one in eval-runs).")
@click.option(
    "--gate", "gate_file", type=PathParam(), help="Thresholds (TOML); exit with 9 if any is missed."
)
@quiet_option
@json_option
@common_options
@click.pass_obj
def run(session: Session, /, cases: Path, **options: Any) -> None:
    """Run test cases and score the answers.

    CASES is a file of cases, a BEIR folder, or a file of queries with --qrels. Running with the same --out
    again resumes the run and retries its errors.
    """
    from paperagent.cli.ask import warn_about_unused_options
    from paperagent.evals import gate, runner
    from paperagent.evals.report import tables

    _refuse_unused_options(cases, options)
    thresholds = gate.load(options["gate_file"]) if options["gate_file"] else None
    selection = _load_cases(cases, options)
    settings = _load_settings(session, options)
    setup = _make_setup(selection, settings, options)
    if setup.mode == "extractive" and setup.recorded is None:
        warn_about_unused_options(settings, options)
    started = f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}"
    out = options["out"] or RUNS_FOLDER / f"{started}-{cases.stem}-{setup.mode}"
    warnings = case_warnings()
    with (
        progress_bar(quiet=options["quiet"] or options["as_json"]) as progress,
        _open_library(selection, setup, settings, options, progress) as agent,
    ):
        setup = _with_thresholds(setup, agent)
        finished, rows = runner.run_cases(
            agent, selection.cases, setup, out, progress=progress, warn=warnings
        )
    warnings.finish()
    if options["as_json"]:
        show_json(finished.model_dump(mode="json"))
    elif not options["quiet"]:
        print_tables(tables.run_tables(finished, rows))
        print_line(f"Saved to {out}. To see every case: paperagent eval report {out} --html report.html")
    if thresholds is not None:
        gate.enforce(thresholds, rows, seed=finished.seed)


@dataclass(frozen=True, slots=True)
class CaseSelection:
    """The cases of a run."""

    name: str
    cases: list[Case]
    corpus: Path | None
    """Corpus file of a BEIR folder."""
    retrieval_only: bool
    """Whether the cases have relevance judgements only."""


def _refuse_unused_options(path: Path, options: dict[str, Any]) -> None:
    """Raise a usage error if an option would have no effect on these cases."""
    is_beir = path.is_dir()
    unused = [
        ("--feed", is_beir and options["feeds"], "a BEIR folder contains its own papers"),
        ("--qrels", is_beir and options["qrels"] is not None, "a BEIR folder contains its own judgements"),
        ("--split", not is_beir and options["split"] is not None, "only a BEIR folder has splits"),
        ("--mode", options["replay"] and options["mode"], "--replay uses the mode of its run"),
        ("--model", options["replay"] and options["model"], "--replay uses the model of its run"),
    ]
    for name, is_unused, reason in unused:
        if is_unused:
            raise click.UsageError(f"{name}: {reason}; leave it out")


def _load_cases(path: Path, options: dict[str, Any]) -> CaseSelection:
    """Return the cases of a file, a BEIR folder, or queries with judgements; at most --limit of them."""
    from paperagent.evals import beir
    from paperagent.evals import cases as case_reader

    corpus = None
    if options["qrels"] is not None:
        cases = list(beir.read_queries(path, options["qrels"]))
    elif path.is_dir():
        judged = beir.read(path, options["split"])
        cases, corpus = list(judged.cases), judged.corpus
    else:
        cases = case_reader.load(path)
    if options["limit"] is not None and options["limit"] < len(cases):
        sampler = random.Random(options["seed"])  # noqa: S311 - not for security
        sample = set(sampler.sample(range(len(cases)), options["limit"]))
        cases = [case for i, case in enumerate(cases) if i in sample]
    retrieval_only = path.is_dir() or options["qrels"] is not None
    return CaseSelection(path.name, cases, corpus, retrieval_only=retrieval_only)


def _load_settings(session: Session, options: dict[str, Any]) -> Settings:
    """Load the settings that affect the answers; options take precedence."""
    mode = None if options["mode"] == "retrieval" or options["replay"] is not None else options["mode"]
    return session.settings(
        mode=mode,
        model=options["model"],
        embedder=options["embedder"],
        top_k=options["top_k"],
        timeout=options["timeout"],
        max_cost_per_answer=options["max_cost"],
        unsupported=options["unsupported"],
        judge=options["judge"] or _recorded_judge_mode(options["replay"]),
    )


def _recorded_judge_mode(replay: Path | None) -> str | None:
    """Return the judge mode of the run that is replayed: only its judgements are recorded."""
    from paperagent.evals import results

    if replay is None:
        return None
    judge = results.load(replay)[0].settings.get("judge", "never")
    return "never" if judge is False else "always" if judge is True else str(judge)


@dataclass(frozen=True, slots=True)
class _AnswerSource:
    """Where the answers of a run come from: the pipeline, a model, or an earlier run."""

    mode: str
    model: str | None = None
    recorder: Recorder | Replayer | None = None
    recorded: dict[str, Row] | None = None


def _answer_source(selection: CaseSelection, settings: Settings, options: dict[str, Any]) -> _AnswerSource:
    from paperagent.evals import results
    from paperagent.evals.replay import Recorder, Replayer
    from paperagent.evals.runner import RETRIEVAL
    from paperagent.factory import judge_model, open_model

    if options["replay"] is not None:
        earlier, rows = results.load(options["replay"])
        if earlier.mode in _MODEL_MODES:
            return _AnswerSource(earlier.mode, earlier.model, Replayer(earlier.model or "", rows))
        return _AnswerSource(earlier.mode, earlier.model, recorded={row.id: row for row in rows})
    if selection.retrieval_only or options["mode"] == RETRIEVAL:
        return _AnswerSource(RETRIEVAL)
    if settings.answer_mode == "extractive":
        return _AnswerSource("extractive")
    model = open_model(settings, None)
    judge = open_model(settings, settings.judge_model) if settings.judge_model else model
    recorder = Recorder(model, judge_model(judge))
    return _AnswerSource(settings.answer_mode, recorder.model, recorder)


def _make_setup(selection: CaseSelection, settings: Settings, options: dict[str, Any]) -> RunConfig:
    """Return the setup of the run, with the provenance that is recorded."""
    from paperagent.evals import provenance
    from paperagent.evals.runner import RunConfig

    source = _answer_source(selection, settings, options)
    uses_model = source.mode in _MODEL_MODES
    names = ("embedder", *(_MODEL_SETTINGS if uses_model else ()))
    replay = {"replay": options["replay"].name} if options["replay"] is not None else {}
    return RunConfig(
        name=selection.name,
        mode=source.mode,
        model=source.model,
        k=settings.top_k,
        concurrency=options["concurrency"] or (MODEL_CONCURRENCY if uses_model else 1),
        seed=options["seed"],
        options={"effort": options["effort"], **fallback_options(options)} if uses_model else {},
        settings={**{name: getattr(settings, name) for name in names}, **replay},
        prompts_hash=provenance.prompts_hash(settings.prompts_dir) if uses_model else None,
        git_sha=provenance.git_sha(),
        versions=provenance.versions(),
        recorder=source.recorder,
        recorded=source.recorded,
    )


def _with_thresholds(setup: RunConfig, agent: PaperAgent) -> RunConfig:
    """Record the abstention thresholds of the library if answers are extractive."""
    if setup.mode != "extractive":
        return setup
    return replace(setup, settings={**setup.settings, "thresholds": agent.thresholds().to_dict()})


def _open_library(
    selection: CaseSelection,
    setup: RunConfig,
    settings: Settings,
    options: dict[str, Any],
    progress: Progress | None,
) -> PaperAgent:
    """Open the user's library, or one that is filled from the given feeds or corpus."""
    if selection.corpus is None:
        return feed_library(settings, options["feeds"], options["library"], setup.recorder, progress)
    from paperagent.agent import PaperAgent

    home = options["library"] or settings.cache_dir / "evals" / _folder_name([str(selection.corpus)])
    agent = PaperAgent(settings=settings.model_copy(update={"home": home}))
    _ingest_corpus(agent, selection.corpus, progress)
    return agent


def feed_library(
    settings: Settings,
    feeds: Sequence[str],
    home: Path | None = None,
    endpoint: Any = None,
    progress: Progress | None = None,
) -> PaperAgent:
    """Open a cached library of these feeds only; without feeds, the library at ``home`` or the user's own."""
    from paperagent.agent import PaperAgent

    if not feeds:
        user_settings = settings if home is None else settings.model_copy(update={"home": home})
        return PaperAgent(settings=user_settings, endpoint=endpoint)
    home = home or settings.cache_dir / "evals" / _folder_name(feeds)
    agent = PaperAgent(settings=settings.model_copy(update={"home": home}), endpoint=endpoint)
    agent.ingest(feeds, progress=progress)
    return agent


def _folder_name(sources: Sequence[str]) -> str:
    """Return the name of a library of these sources, which changes whenever one of the files does."""
    from paperagent.feeds.reader import SAMPLE, sample_path

    parts = []
    for source in sources:
        path = sample_path() if source == SAMPLE and not Path(source).exists() else Path(source)
        checksum = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        parts.append(f"{path.absolute()}\n{checksum}")
    name = Path(sources[0]).parent.name or Path(sources[0]).stem
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{name}-{digest[:12]}"


def _ingest_corpus(agent: PaperAgent, corpus: Path, progress: Progress | None) -> None:
    """Add a BEIR corpus to the library and embed the papers that have no vector."""
    from paperagent.evals import beir
    from paperagent.factory import load_embedding_models
    from paperagent.library import LocalStore

    agent.home.mkdir(parents=True, exist_ok=True)
    with LocalStore(agent.home, create=True) as store:
        store.ingest(beir.papers(corpus), today=dt.datetime.now(dt.UTC).date(), progress=progress)
        embedder = load_embedding_models(agent.settings).embedder
        if embedder is not None:
            store.embed_pending(embedder, progress=progress)
