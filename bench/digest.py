"""Time a week's issues for 1,000 readers of distinct interests, and live through twelve weeks.

    python bench/digest.py [--shared ../shared] [--only build|weeks] [--json FILE]

The week is 2026-W21 of the library of 74,728 abstracts (1,733 papers). Each reader has three
interests that no other reader has, half of the readers also a standing question of their own.
A build is a process of its own, with issues laid out, frozen and planned, as `digest build` does.
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

WEEK, READERS, FEW = "2026-W21", 1000, 250
SOURCES = ("2026-W08", "2026-W10", "2026-W12", "2026-W14", "2026-W16", "2026-W18", "2026-W20")
"""Weeks whose themes are what the readers are interested in."""
YEAR = tuple(f"2026-W{n}" for n in range(12, 24))
STEPS = ("prepare", "select", "write", "render")
QUIET, MISSED = "2026-W16", "2026-W19"


@dataclass
class Bench:
    """A library that may be written to, and a place for more."""

    home: Path
    """A copy of the large library's own file and its index of words."""

    @cached_property
    def interests(self) -> list[str]:
        """Names of themes of other weeks, each different, in random order."""
        from paperagent.digest.schedule import parse_week

        found: dict[str, None] = {}
        with _store(self.home) as store:
            for name in SOURCES:
                period = parse_week(name)
                phrases = _selector(store, period)._theme_phrases()  # noqa: SLF001 - only needed here
                found |= dict.fromkeys(phrases.name(p) for p in phrases.occurrences if len(p) > 1)
        names = sorted({name.casefold(): name for name in found}.values())
        random.Random(7).shuffle(names)  # noqa: S311 - the same readers in every run
        return names


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; with --build, be the process that is measured."""
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
    """Build for 250 and for 1,000 readers, with and without standing questions."""
    if len(bench.interests) < 3 * READERS:
        say(f"only {len(bench.interests):,} interests for {READERS:,} readers")
    few = _measured(bench, FEW, asking=True)
    many = _measured(bench, READERS, asking=True)
    silent = _measured(bench, READERS, asking=False)
    ms = {step: 1000 * many[step] / READERS for step in STEPS[1:]}
    return [
        Figure(f"issues for {READERS:,} readers", many["total"], "s", 60, note=_steps(many)),
        Figure("the same without standing questions", silent["total"], "s", 60, note=_steps(silent)),
        Figure("peak memory", many["memory"], "MB", 700),
        Figure("time for 1,000 / for 250 readers", many["total"] / few["total"], "×", 4, note=_steps(few)),
        Figure("selection a reader", ms["select"], "ms", 15, note="the first one's set-up included"),
        Figure("processor time of that", many["processor"], "s", note="of two cores, whatever else they do"),
        Figure("papers an issue, titles also noticed included", many["items"] / many["issues"], ""),
        Figure("memory for 1,000 / for 250 readers", many["memory"] / few["memory"], "×"),
    ]


def _steps(found: dict[str, float]) -> str:
    rest = found["total"] - sum(found[s] for s in (*STEPS, "open"))
    parts = [("open", found["open"]), *((s, found[s]) for s in STEPS), ("freeze and the rest", rest)]
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts)


def _measured(bench: Bench, readers: int, *, asking: bool) -> dict[str, float]:
    _subscribe(bench, readers, asking=asking)
    say(f"  {readers:,} readers{' with questions' if asking else ''} …")
    done = subprocess.run(
        [sys.executable, __file__, "--build", str(bench.home)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    say(f"  {found['total']:.1f} s: {_steps(found)}; {found['memory']:.0f} MB")
    return found


def _subscribe(bench: Bench, readers: int, *, asking: bool) -> None:
    """Start a digest anew, with readers of whom no two share an interest."""
    from paperagent.digest.database import FILE_NAME, DigestDatabase
    from paperagent.digest.preferences import Preferences
    from paperagent.digest.subscribers import Subscribers

    for path in bench.home.glob(f"{FILE_NAME}*"):
        path.unlink()
    database = DigestDatabase(bench.home / FILE_NAME)
    subscribers = Subscribers(database)
    names = bench.interests
    for n in range(readers):
        interests = tuple(names[(3 * n + i) % len(names)] for i in range(3))
        questions = (f"What is new on {names[-1 - n]}?",) if asking and n % 2 else ()
        wishes = Preferences(interests, questions)
        subscribers.add(f"reader{n}@test.example", wishes, confirmed=True)
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
    """Make each week's issues for four readers, all papers with vectors; print the table of the weeks."""
    from paperagent.digest.preferences import Preferences

    profiles = {
        "LLM serving": Preferences(("KV cache compression", "speculative decoding", "mixture of experts")),
        "medicine": Preferences(("medical image segmentation",), ("What is new on radiology reports?",)),
        "coding theory": Preferences(categories=("cs.IT",)),
        "nobody": Preferences(),
    }
    shown: dict[str, set[str]] = {name: set() for name in profiles}
    again = skipped = 0
    rows = []
    with _store(bench.home) as store:
        for week, chosen in _weeks(store):
            cells = []
            for name, profile in profiles.items():
                issue = chosen.select(replace(profile, seen=frozenset(shown[name])))
                ids = [c.paper.paper_id for c in issue.items] + [p.paper_id for p in issue.also]
                again += len(shown[name] & set(ids)) + len(ids) - len(set(ids))
                skipped += not ids and week != QUIET
                shown[name] |= set(ids)
                cells.append(f"{len(list(issue.items))} in {len(issue.themes)}")
            rows.append(f"| {week} | {len(chosen.papers):,} | {' | '.join(cells)} |")
    head = f"| week | papers | {' | '.join(profiles)} |\n|---|---:|{'---|' * len(profiles)}"
    say("\n".join([head, *rows]))
    seen = sum(map(len, shown.values()))
    return [
        Figure("papers shown twice in twelve weeks", again, "", 0, note=f"of {seen:,} shown to 4 readers"),
        Figure("issues that a reader went without", skipped, "", 0, note=f"of {len(rows) * 4}"),
    ]


def _weeks(store: LocalStore) -> Iterator[tuple[str, PaperSelector]]:
    """Yield the weeks as they are built: one quiet, one a week late, after the next."""
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
