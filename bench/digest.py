"""Time a week's issues for 1,000 subscribers with distinct interests, and simulate twelve weeks.

    python bench/digest.py [--shared ../shared] [--only build|weeks] [--json FILE]

The week is 2026-W21 of the library of 74,728 abstracts (1,733 papers). Each subscriber has three interests
that no other subscriber has, and half of them also have their own standing question. A build runs in its
own process and renders, stores and schedules the issues, as `digest build` does.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import Figure, run, say

from library import large_library

if TYPE_CHECKING:
    from paperagent.digest.select.selector import PaperSelector
    from paperagent.library import LocalStore

WEEK, SUBSCRIBERS, FEW = "2026-W21", 1000, 250
SOURCES = ("2026-W08", "2026-W10", "2026-W12", "2026-W14", "2026-W16", "2026-W18", "2026-W20")
"""Weeks whose themes are the interests of the subscribers."""
YEAR = tuple(f"2026-W{n}" for n in range(12, 24))
STEPS = ("prepare", "select", "write", "render")
QUIET, MISSED = "2026-W16", "2026-W19"


@dataclass
class Bench:
    """A library that the benchmark may change."""

    home: Path
    """Folder with a copy of the large library's database and keyword index."""

    @cached_property
    def interests(self) -> list[str]:
        """Distinct names of themes of other weeks, in random order."""
        from paperagent.digest.schedule import parse_week

        theme_names: dict[str, None] = {}
        with _store(self.home) as store:
            for name in SOURCES:
                period = parse_week(name)
                phrases = _selector(store, period)._theme_phrases()  # noqa: SLF001 - only needed here
                theme_names |= dict.fromkeys(phrases.name(p) for p in phrases.occurrences if len(p) > 1)
        names = sorted({name.casefold(): name for name in theme_names}.values())
        random.Random(7).shuffle(names)  # noqa: S311 - reproducible, not a secret
        return names


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; with --build, run the process that is measured."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["--build"]:
        print(json.dumps(build(Path(arguments[1]))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        measures = {"build": builds, "weeks": weeks}
        return run(str(__doc__), measures, lambda args: _open(args, Path(folder)), argv)


def _open(args: argparse.Namespace, folder: Path) -> Bench:
    home = folder / "library"
    shutil.copytree(large_library(args.shared), home, ignore=shutil.ignore_patterns("vectors*", "digest*"))
    return Bench(home)


# --- a week for a thousand ---


def builds(bench: Bench) -> list[Figure]:
    """Build for 250 and for 1,000 subscribers, with and without standing questions."""
    if len(bench.interests) < 3 * SUBSCRIBERS:
        say(f"only {len(bench.interests):,} interests for {SUBSCRIBERS:,} subscribers")
    few = _measure_build(bench, FEW, asking=True)
    many = _measure_build(bench, SUBSCRIBERS, asking=True)
    silent = _measure_build(bench, SUBSCRIBERS, asking=False)
    ms = {step: 1000 * many[step] / SUBSCRIBERS for step in STEPS[1:]}
    return [
        Figure(f"issues for {SUBSCRIBERS:,} subscribers", many["total"], "s", 60, note=_steps(many)),
        Figure("the same without standing questions", silent["total"], "s", 60, note=_steps(silent)),
        Figure("peak memory", many["memory"], "MB", 700),
        Figure(
            "time for 1,000 / for 250 subscribers", many["total"] / few["total"], "×", 4, note=_steps(few)
        ),
        Figure(
            "selection per subscriber", ms["select"], "ms", 15, note="including the set-up of the first one"
        ),
        Figure("processor time of that", many["processor"], "s", note="on two cores"),
        Figure("papers per issue, including mentioned titles", many["items"] / many["issues"], ""),
        Figure("memory for 1,000 / for 250 subscribers", many["memory"] / few["memory"], "×"),
    ]


def _steps(times: dict[str, float]) -> str:
    other = times["total"] - sum(times[s] for s in (*STEPS, "open"))
    parts = [("open", times["open"]), *((s, times[s]) for s in STEPS), ("store and other", other)]
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts)


def _measure_build(bench: Bench, count: int, *, asking: bool) -> dict[str, float]:
    _subscribe(bench, count, asking=asking)
    say(f"  {count:,} subscribers{' with questions' if asking else ''} …")
    process = subprocess.run(
        [sys.executable, __file__, "--build", str(bench.home)], capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise SystemExit(process.stderr)
    times: dict[str, float] = json.loads(process.stdout)
    say(f"  {times['total']:.1f} s: {_steps(times)}; {times['memory']:.0f} MB")
    return times


def _subscribe(bench: Bench, count: int, *, asking: bool) -> None:
    """Create a new digest database with subscribers who share no interest."""
    from paperagent.digest.database import FILE_NAME, DigestDatabase
    from paperagent.digest.preferences import Preferences
    from paperagent.digest.subscribers import Subscribers

    for path in bench.home.glob(f"{FILE_NAME}*"):
        path.unlink()
    database = DigestDatabase(bench.home / FILE_NAME)
    subscribers = Subscribers(database)
    names = bench.interests
    for n in range(count):
        interests = tuple(names[(3 * n + i) % len(names)] for i in range(3))
        questions = (f"What is new on {names[-1 - n]}?",) if asking and n % 2 else ()
        preferences = Preferences(interests, questions)
        subscribers.add(f"reader{n}@test.example", preferences, confirmed=True)
    database.close()


def build(home: Path) -> dict[str, float]:
    """Build the week's issues in this process; return seconds by step, and megabytes."""
    from paperagent import config
    from paperagent.digest.build import IssueBuilder
    from paperagent.digest.schedule import parse_week
    from paperagent.digest.select.selector import PaperSelector
    from paperagent.digest.write.writer import IssueWriter
    from paperagent.factory import digest as digest_factory

    spent: Counter[str] = Counter()
    steps = (
        (IssueBuilder, "_prepare", "prepare"),
        (PaperSelector, "select", "select"),
        (IssueWriter, "write", "write"),
        (IssueBuilder, "_render", "render"),
        (digest_factory, "issue_builder", "open"),
    )
    for owner, method, step in steps:
        setattr(owner, method, _timed(getattr(owner, method), step, spent))
    start, processor = time.perf_counter(), time.process_time()
    with digest_factory.digest_service(config.load(home=home, mode="extractive")) as desk:
        report = desk.build(parse_week(WEEK))
        total, processor = time.perf_counter() - start, time.process_time() - processor
        if report.failed:
            raise SystemExit(f"{len(report.failed)} issues failed: {report.failed[0]}")
        items = sum(len(desk.ledger.issue(f"{WEEK}/{n}").papers) for n in desk.ledger.stored_for(WEEK))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "total": total,
        "processor": processor,
        "memory": memory,
        "issues": report.built,
        "items": items,
        **spent,
    }


def _timed(method: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return method(*args, **options)
        finally:
            spent[name] += time.perf_counter() - start  # type: ignore[assignment]  # seconds, not counts

    return timed


# --- twelve weeks ---


def weeks(bench: Bench) -> list[Figure]:
    """Build each week's issues for four subscribers and print the table of the weeks."""
    from paperagent.digest.preferences import Preferences

    profiles = {
        "LLM serving": Preferences(("KV cache compression", "speculative decoding", "mixture of experts")),
        "medicine": Preferences(("medical image segmentation",), ("What is new on radiology reports?",)),
        "coding theory": Preferences(categories=("cs.IT",)),
        "general": Preferences(),
    }
    sent_ids: dict[str, set[str]] = {name: set() for name in profiles}
    again = skipped = 0
    rows = []
    with _store(bench.home) as store:
        for week, selector in _weeks(store):
            cells = []
            for name, profile in profiles.items():
                issue = selector.select(replace(profile, seen=frozenset(sent_ids[name])))
                ids = [c.paper.paper_id for c in issue.items] + [p.paper_id for p in issue.also]
                again += len(sent_ids[name] & set(ids)) + len(ids) - len(set(ids))
                skipped += not ids and week != QUIET
                sent_ids[name] |= set(ids)
                cells.append(f"{len(list(issue.items))} in {len(issue.themes)}")
            rows.append(f"| {week} | {len(selector.papers):,} | {' | '.join(cells)} |")
    head = f"| week | papers | {' | '.join(profiles)} |\n|---|---:|{'---|' * len(profiles)}"
    say("\n".join([head, *rows]))
    total = sum(map(len, sent_ids.values()))
    return [
        Figure("papers sent twice in twelve weeks", again, "", 0, note=f"of {total:,} sent to 4 subscribers"),
        Figure("issues without papers", skipped, "", 0, note=f"of {len(rows) * 4}"),
    ]


def _weeks(store: LocalStore) -> Iterator[tuple[str, PaperSelector]]:
    """Yield the weeks in the order of their builds: one is empty, one is built after the next week."""
    from paperagent.digest.schedule import parse_week

    order = [w for w in YEAR if w != MISSED]
    order.insert(order.index("2026-W20") + 1, MISSED)
    for name in order:
        period = parse_week(name)
        if name == QUIET:
            period = replace(period, until=period.since)
        yield name, _selector(store, period)


@contextmanager
def _store(home: Path) -> Iterator[LocalStore]:
    from paperagent.library import LocalStore

    with LocalStore(home) as store:
        yield store


def _selector(store: LocalStore, period: Any) -> PaperSelector:
    from bare import model_folder

    from paperagent.digest.select.selector import PaperSelector
    from paperagent.embedding.minilm import MiniLM

    papers = store.papers_between(period.since, period.until)
    return PaperSelector(papers, period=period, store=store, embedder=MiniLM.load(model_folder()))


if __name__ == "__main__":
    sys.exit(main())
