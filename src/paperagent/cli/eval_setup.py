"""From the options of ``eval run`` to cases, settings, a library and how it is asked."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.cli.session import Session
    from paperagent.config import Settings
    from paperagent.evals.cases import Case
    from paperagent.evals.replay import Recorder, Replayer
    from paperagent.evals.results import Row
    from paperagent.evals.runner import RunConfig
    from paperagent.types import Progress

CONCURRENT_CALLS = 4
"""Cases asked at once of a model; without one, more than one at a time gains nothing on few cores."""
_BY_MODEL = ("llm", "select")
_OF_A_MODEL = ("unsupported", "judge", "judge_model", "max_rounds", "context_tokens", "profile")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and where."""

    name: str
    cases: list[Case]
    corpus: Path | None
    """The papers of a BEIR folder."""
    searched: bool
    """Whether only the search can be run."""


def refuse_unused(path: Path, given: dict[str, Any]) -> None:
    """Raise a usage error where an option would have no effect on these cases."""
    folder = path.is_dir()
    unused = [
        ("--feed", folder and given["feeds"], "a BEIR folder brings its own papers"),
        ("--qrels", folder and given["qrels"] is not None, "a BEIR folder brings its own judgements"),
        ("--split", not folder and given["split"] is not None, "only a BEIR folder has splits"),
        ("--mode", given["replay"] and given["mode"], "--replay answers as its run did"),
        ("--model", given["replay"] and given["model"], "--replay answers as its run did"),
    ]
    for name, is_unused, why in unused:
        if is_unused:
            raise click.UsageError(f"{name}: {why}; leave it out")


def read_cases(path: Path, given: dict[str, Any]) -> Asked:
    """Return the cases of a file, of a BEIR folder or of queries with judgements; ``limit`` of them."""
    from paperagent.evals import beir, cases

    corpus = None
    if given["qrels"] is not None:
        found = list(beir.read_queries(path, given["qrels"]))
    elif path.is_dir():
        judged = beir.read(path, given["split"])
        found, corpus = list(judged.cases), judged.corpus
    else:
        found = cases.load(path)
    if given["limit"] is not None and given["limit"] < len(found):
        drawn = set(random.Random(given["seed"]).sample(range(len(found)), given["limit"]))  # noqa: S311 - no secret
        found = [case for i, case in enumerate(found) if i in drawn]
    return Asked(path.name, found, corpus, searched=path.is_dir() or given["qrels"] is not None)


def read_settings(session: Session, given: dict[str, Any]) -> Settings:
    """Read the settings that shape the answers, the options first."""
    mode = None if given["mode"] == "retrieval" or given["replay"] is not None else given["mode"]
    return session.settings(
        mode=mode,
        model=given["model"],
        embedder=given["embedder"],
        top_k=given["top_k"],
        timeout=given["timeout"],
        max_cost_per_answer=given["max_cost"],
        unsupported=given["unsupported"],
        judge=given["judge"] or _judged_then(given["replay"]),
    )


def _judged_then(replay: Path | None) -> str | None:
    """Return when a second reader was asked in the run that is replayed: no other opinion is recorded."""
    from paperagent.evals import results

    if replay is None:
        return None
    then = results.load(replay)[0].settings.get("judge", "never")
    return "never" if then is False else "always" if then is True else str(then)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where answers come from."""

    mode: str
    model: str | None = None
    tape: Recorder | Replayer | None = None
    recorded: dict[str, Row] | None = None


def _source(asked: Asked, settings: Settings, given: dict[str, Any]) -> _Source:
    from paperagent.evals import results
    from paperagent.evals.replay import Recorder, Replayer
    from paperagent.evals.runner import RETRIEVAL
    from paperagent.factory import judge_model, open_model

    if given["replay"] is not None:
        earlier, kept = results.load(given["replay"])
        if earlier.mode in _BY_MODEL:
            return _Source(earlier.mode, earlier.model, Replayer(earlier.model or "", kept))
        return _Source(earlier.mode, earlier.model, recorded={row.id: row for row in kept})
    if asked.searched or given["mode"] == RETRIEVAL:
        return _Source(RETRIEVAL)
    if settings.answer_mode == "extractive":
        return _Source("extractive")
    model = open_model(settings, None)
    reader = open_model(settings, settings.judge_model) if settings.judge_model else model
    recorder = Recorder(model, judge_model(reader))
    return _Source(settings.answer_mode, recorder.model, recorder)


def setup(asked: Asked, settings: Settings, given: dict[str, Any]) -> RunConfig:
    """Return how the cases are asked; its tape stands in for the endpoint."""
    from paperagent.evals import provenance
    from paperagent.evals.runner import RunConfig

    source = _source(asked, settings, given)
    by_model = source.mode in _BY_MODEL
    shaped = {name: getattr(settings, name) for name in ("embedder", *(_OF_A_MODEL if by_model else ()))}
    replayed = {"replay": given["replay"].name} if given["replay"] is not None else {}
    return RunConfig(
        name=asked.name,
        mode=source.mode,
        model=source.model,
        k=settings.top_k,
        concurrency=given["concurrency"] or (CONCURRENT_CALLS if by_model else 1),
        seed=given["seed"],
        options={"effort": given["effort"], **_strictness(given)} if by_model else {},
        settings={**shaped, **replayed},
        prompts_hash=provenance.prompts_hash(settings.prompts_dir) if by_model else None,
        git_sha=provenance.git_sha(),
        versions=provenance.versions(),
        tape=source.tape,
        recorded=source.recorded,
    )


def _strictness(given: dict[str, Any]) -> dict[str, Any]:
    return {"fallback": False} if given["strict"] else {}


def with_thresholds(how: RunConfig, agent: PaperAgent) -> RunConfig:
    """Note the thresholds by which this library abstains, where it is quoted from."""
    if how.mode != "extractive":
        return how
    return replace(how, settings={**how.settings, "thresholds": agent.thresholds().to_dict()})


def library(
    asked: Asked, how: RunConfig, settings: Settings, given: dict[str, Any], progress: Progress | None
) -> PaperAgent:
    """Open the library to ask: the person's own, or one of the feeds or the corpus named, filled first."""
    if asked.corpus is None:
        return feed_library(settings, given["feeds"], given["library"], how.tape, progress)
    from paperagent.agent import PaperAgent

    home = given["library"] or settings.cache_dir / "evals" / _folder_name([str(asked.corpus)])
    agent = PaperAgent(settings=settings.model_copy(update={"home": home}))
    _fill(agent, asked.corpus, progress)
    return agent


def feed_library(
    settings: Settings,
    feeds: Sequence[str],
    home: Path | None = None,
    endpoint: Any = None,
    progress: Progress | None = None,
) -> PaperAgent:
    """Open a library of these feeds alone, kept in the cache; without feeds ``home``, or the person's own."""
    from paperagent.agent import PaperAgent

    if not feeds:
        own = settings if home is None else settings.model_copy(update={"home": home})
        return PaperAgent(settings=own, endpoint=endpoint)
    home = home or settings.cache_dir / "evals" / _folder_name(feeds)
    agent = PaperAgent(settings=settings.model_copy(update={"home": home}), endpoint=endpoint)
    agent.ingest(feeds, progress=progress)
    return agent


def _folder_name(sources: Sequence[str]) -> str:
    """Return a name for a library of these sources, another where a file of them changes."""
    from paperagent.feeds.reader import SAMPLE, sample_path

    parts = []
    for source in sources:
        path = sample_path() if source == SAMPLE and not Path(source).exists() else Path(source)
        held = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        parts.append(f"{path.absolute()}\n{held}")
    name = Path(sources[0]).parent.name or Path(sources[0]).stem
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{name}-{digest[:12]}"


def _fill(agent: PaperAgent, corpus: Path, progress: Progress | None) -> None:
    """Read a corpus into the library, and embed what has no vector."""
    from paperagent.evals import beir
    from paperagent.factory import load_embedding_models
    from paperagent.library import LocalStore

    agent.home.mkdir(parents=True, exist_ok=True)
    with LocalStore(agent.home, create=True) as store:
        store.ingest(beir.papers(corpus), today=dt.datetime.now(dt.UTC).date(), progress=progress)
        embedder = load_embedding_models(agent.settings).embedder
        if embedder is not None:
            store.catch_up_vectors(embedder, progress=progress)
