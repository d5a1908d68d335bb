"""Selections of the sample feed's papers, for the tests of what is written about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
from weeks import arrival

from paperagent.digest.issue import Item, Period, QuestionAnswer, Reason, Selection, Theme
from paperagent.digest.preferences import Preferences
from paperagent.digest.select.candidates import PeriodIndex
from paperagent.digest.write.highlights import highlights
from paperagent.digest.write.standing_questions import StandingQuestions
from paperagent.text.terms import index_terms
from paperagent.types import Paper
from sample_library import papers

WEEK = Period("2026-W27", dt.date(2026, 6, 29), dt.date(2026, 7, 5))
THEMES = ("Retrieval", "Agents", "Languages", "Training")


class Words:
    """The figures of a library of the sample papers, and how often they were asked for."""

    def __init__(self) -> None:
        self.held = [set(index_terms(f"{p.title} {p.abstract}")) for p in papers()]
        self.asked = 0

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return papers, mean length and document frequencies."""
        self.asked += 1
        return len(self.held), 150.0, {s: sum(s in h for h in self.held) for s in stems}

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Know no similar word."""
        del stem, distance
        return ()


def sample(count: int) -> list[Paper]:
    """Return the first papers of the sample feed."""
    return list(islice(papers(), count))


def selection(
    chosen: Iterable[Paper], *, questions: tuple[str, ...] = (), also: tuple[Paper, ...] = (), each: int = 3
) -> Selection:
    """Return papers as a selection, so many a theme, the first paper best."""
    reason = Reason("central", "")
    items = [Item(p, reason, score=1.0 - i / 100) for i, p in enumerate(chosen)]
    parts = [items[i : i + each] for i in range(0, len(items), each)]
    themes = tuple(Theme(name, tuple(part), name) for name, part in zip(THEMES, parts, strict=False))
    screened = len(items) + len(also)
    return Selection(WEEK, Preferences(questions=questions), themes, also=also, screened=screened)


def answers(questions: Sequence[str], chosen: Iterable[Paper]) -> tuple[QuestionAnswer, ...]:
    """Return the answers to questions from papers, by words alone."""
    index = PeriodIndex([arrival(p) for p in chosen])
    return StandingQuestions(index, Words(), highlights).answers(questions, np.ones(len(index), bool))
