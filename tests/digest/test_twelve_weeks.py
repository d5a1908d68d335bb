"""Twelve weeks of arXiv for six readers: nothing twice, nobody forgotten."""

from __future__ import annotations

import datetime as dt
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from paperagent.digest.issue import Period, Selection
from paperagent.digest.preferences import Preferences
from paperagent.digest.schedule import parse_week, week_of
from paperagent.digest.select.selector import PaperSelector
from paperagent.library import LocalStore
from paperagent.text.terms import title_key
from paperagent.types import Paper
from paths import SHARED

ABSTRACTS = SHARED / "data/arxiv/abstracts.jsonl.xz"
WEEKS = [parse_week(f"2026-W{n}") for n in range(12, 24)]
QUIET, MISSED = WEEKS[4], WEEKS[7]
EVERY = 6
"""One paper of so many is used: 250 a week."""
PROFILES = {
    "agents": Preferences(interests=("LLM agents that use tools", "reinforcement learning for reasoning")),
    "vision": Preferences(interests=("medical image segmentation", "video generation with diffusion models")),
    "languages": Preferences(
        interests=("speech", "machine translation"), questions=("What is new on low-resource languages?",)
    ),
    "theory": Preferences(categories=("cs.IT",), max_items=6),
    "nobody": Preferences(),
    "stranger": Preferences(interests=("sourdough bread",)),
}
NEVER_EMPTY = ("agents", "vision", "languages", "theory", "nobody")


def week_before(week: Period) -> Period:
    return week_of(week.since - dt.timedelta(days=1))


@dataclass
class Reader:
    """A reader with what they have seen so far."""

    profile: Preferences
    shown: list[str] = field(default_factory=list)
    issues: dict[str, Selection] = field(default_factory=dict)

    def read(self, chosen: PaperSelector) -> None:
        """Take the issue of a period."""
        issue = chosen.select(replace(self.profile, seen=frozenset(self.shown)))
        self.issues[chosen.period.name] = issue
        self.shown += [i for c in issue.items for i in (c.paper.paper_id, *c.duplicates)]
        self.shown += [p.paper_id for p in issue.also]


@dataclass
class Year:
    """What the twelve weeks left behind."""

    readers: dict[str, Reader]
    revised: str
    """A shown paper of which a new version came in the last week."""


def records() -> Iterator[Paper]:
    """Yield every sixth paper of the weeks, in the order of the file."""
    days = [f'"date": "2026-0{month}' for month in range(3, 7)]
    with lzma.open(ABSTRACTS, "rt", encoding="utf-8") as lines:
        taken = [line for line in lines if any(day in line for day in days)][::EVERY]
    for row in map(json.loads, taken):
        day = dt.date.fromisoformat(row["date"])
        yield Paper(
            row["id"], row["title"], row["abstract"], published=day, listed=day,
            categories=tuple(row["categories"]), arxiv_id=row["id"], url=row["url"],
        )  # fmt: skip


def copies(papers: list[Paper], later: Period) -> list[Paper]:
    """Return what another feed says of papers a week later: no ids, other days, small changes."""
    return [
        Paper(
            f"sha256:{n:032}", p.title.upper(), p.abstract[: len(p.abstract) // 2] + " …", listed=later.since
        )
        for n, p in enumerate(papers)
    ]


def live(home: Path) -> Year:
    """Read the weeks one by one, as they came, and make each reader's issue after each."""
    by_week = {w.name: [p for p in PAPERS if w.since <= (p.published or w.until) <= w.until] for w in WEEKS}
    by_week[QUIET.name] = by_week[QUIET.name][:12]
    readers = {name: Reader(profile) for name, profile in PROFILES.items()}
    with LocalStore(home, create=True) as store:
        for week in WEEKS:
            news = by_week[week.name]
            if week != WEEKS[0]:
                news = [*news, *copies(by_week[week_before(week).name][::3], week)]
            if week == WEEKS[-1]:
                old = store.get(readers["agents"].shown[0])
                assert old is not None
                news.append(replace(old, abstract=f"{old.abstract} Revised.", version=2, updated=week.until))
            store.ingest(news, today=week.until + dt.timedelta(days=1))
            if week == MISSED:
                continue
            due = [MISSED, week] if week_before(week) == MISSED else [week]
            for period in due:
                chosen = PaperSelector(
                    store.papers_between(period.since, period.until), period=period, store=store
                )
                for reader in readers.values():
                    reader.read(chosen)
    return Year(readers, readers["agents"].shown[0])


PAPERS: list[Paper] = []


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """Give the twelve weeks, lived through once."""
    if not ABSTRACTS.exists():
        pytest.skip("the shared test data is not here; name its folder in PAPERAGENT_SHARED")
    PAPERS[:] = records()
    return live(tmp_path_factory.mktemp("year") / "home")


def test_no_paper_is_shown_twice(year: Year) -> None:
    """Not in another week, version or feed: neither its id nor its title comes again."""
    for name, reader in year.readers.items():
        papers = [c.paper for issue in reader.issues.values() for c in issue.items]
        papers += [p for issue in reader.issues.values() for p in issue.also]
        assert len({p.paper_id for p in papers}) == len(papers), name
        assert len({title_key(p.title) for p in papers}) == len(papers), name


def test_no_reader_is_skipped(year: Year) -> None:
    """Each gets an issue of every week, the missed one too; short where the week was quiet."""
    for name in NEVER_EMPTY:
        sizes = {week: len(list(issue.items)) for week, issue in year.readers[name].issues.items()}
        assert set(sizes) == {w.name for w in WEEKS}
        busy = [n for week, n in sizes.items() if week != QUIET.name]
        assert min(busy) >= 1, (name, sizes)
        assert sizes[QUIET.name] <= 12


def test_nobody_is_told_what_they_did_not_ask_for(year: Year) -> None:
    """A reader whose interest no paper meets gets no paper in three months."""
    assert year.readers["stranger"].shown == []


def test_the_quiet_week_is_short(year: Year) -> None:
    """Readers with interests get less than half of what they get in other weeks, or nothing."""
    for name in ("agents", "vision", "languages"):
        sizes = {week: len(list(issue.items)) for week, issue in year.readers[name].issues.items()}
        quiet = sizes.pop(QUIET.name)
        assert quiet < sum(sizes.values()) / len(sizes) / 2


def test_the_new_version_gets_its_line(year: Year) -> None:
    """In the week in which it came, to who was shown the paper."""
    last = WEEKS[-1].name
    assert year.revised in {p.paper_id for p in year.readers["agents"].issues[last].updates}
    assert not any(i.updates for n, r in year.readers.items() for w, i in r.issues.items() if w != last)


def test_most_issues_have_themes(year: Year) -> None:
    """Full issues stand in three to five groups, most of them of two papers or more."""
    full = [i for r in year.readers.values() for i in r.issues.values() if len(list(i.items)) >= 8]
    assert len(full) > 12
    assert all(2 <= len(i.themes) <= 5 for i in full)
    groups = [g for i in full for g in i.themes]
    assert sum(len(g.items) > 1 for g in groups) >= 0.8 * len(groups)
