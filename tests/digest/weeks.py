"""Papers of invented weeks, and a library in memory that gives them to `PaperSelector`."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fake_encoder import FakeEncoder
from paperagent.digest.schedule import parse_week
from paperagent.digest.select.selector import PaperSelector
from paperagent.library.features import paper_stems
from paperagent.library.protocol import PaperWithFeatures
from paperagent.text.terms import term_ids
from paperagent.types import Paper

WEEK = parse_week("2026-W26")
MONDAY = WEEK.since

TOPICS = {
    "cache compression": "eviction of keys and values shrinks the memory of decoding long prompts",
    "coral bleaching": "heat stress of reefs seen from satellites over the southern ocean in warm summers",
    "sign translation": "gestures of deaf signers become spoken sentences through pose and glosses",
    "protein folding": "residues find their native structure through contacts that sequence families reveal",
    "traffic forecasting": "sensors along roads tell the jams of the next hour in a city of many junctions",
    "unlearning audits": "deleted records leave traces in weights that an adversary can measure afterwards",
}
"""Topic → what its abstracts say."""
_WORDS = """adaptive sparse hierarchical calibrated latent modular recurrent robust spectral federated
probabilistic incremental bounded contrastive symbolic quantised""".split()


def paper(number: int, topic: str, *, day: dt.date = MONDAY, **changed: Any) -> Paper:
    """Return the ``number``-th paper on a topic: the same each time, its text its own."""
    rng = random.Random(f"{number} {topic}")  # noqa: S311 - the same papers in every run
    first, second, third, fourth = rng.sample(_WORDS, 4)
    body = TOPICS[topic].split()
    rng.shuffle(body)
    made = Paper(
        f"26{day.month:02}.{number:05}",
        f"{first.capitalize()} {topic} with {second} steps {number}",
        f"We study {topic}. Here {' '.join(body)}. A {third} and {fourth} variant {number} gains 3 points.",
        published=day,
        arxiv_id=f"26{day.month:02}.{number:05}",
        categories=("cs.CL" if number % 2 else "cs.CV",),
        url=f"https://arxiv.org/abs/26{day.month:02}.{number:05}",
    )
    return replace(made, **changed)


def week(
    topics: Iterable[str] = TOPICS, *, each: int = 6, day: dt.date = MONDAY, start: int = 0
) -> list[Paper]:
    """Return ``each`` papers on each topic."""
    return [paper(start + 100 * t + n, topic, day=day) for t, topic in enumerate(topics) for n in range(each)]


def arrival(
    held: Paper, *, new: bool = True, names: Sequence[str] = (), vector: Any = None
) -> PaperWithFeatures:
    """Return a paper as the store gives it."""
    return PaperWithFeatures(held, term_ids(paper_stems(held)), vector, (held.paper_id, *names), new)


class MemoryLibrary:
    """Implements `select.Library` over arrivals."""

    def __init__(self, arrivals: Sequence[PaperWithFeatures]) -> None:
        self.held = {name: a for a in arrivals for name in a.names}
        stems = [paper_stems(a.paper) for a in arrivals]
        self.frequency = Counter(s for found in stems for s in set(found))
        self.size = len(stems)
        self.length = sum(map(len, stems)) / max(len(stems), 1)

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        """Return papers, mean length and document frequencies."""
        return self.size, self.length, {s: self.frequency[s] for s in stems}

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        """Know no similar words."""
        del stem, distance
        return []

    def sample(self, limit: int) -> list[Paper]:
        """Return some of those held."""
        return [a.paper for a in self.held.values()][:limit]

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        """Return those held."""
        return {i: self.held[i] for i in paper_ids if i in self.held}


def embedded(papers: Iterable[Paper]) -> list[PaperWithFeatures]:
    """Return papers with vectors in which those of a topic lie together."""
    encoder = FakeEncoder()
    made = []
    for held in papers:
        topic = next(t for t in TOPICS if t in held.title)
        whole = next(encoder.embed([f"{topic} {topic} {topic} {held.title}"]))
        made.append(arrival(held, vector=np.asarray(whole, np.float32)))
    return made


def selector(
    arrivals: Sequence[PaperWithFeatures], *, others: Sequence[PaperWithFeatures] = (), period: Any = WEEK
) -> PaperSelector:
    """Return a selector by words alone over ``arrivals``; ``others`` are in the library besides."""
    return PaperSelector(arrivals, period=period, store=MemoryLibrary([*arrivals, *others]))
