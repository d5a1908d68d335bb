"""Find the main topics of a library: the phrases that could name a theme of the most papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paperagent.digest.select.candidates import stack_vectors
from paperagent.digest.select.phrases import Phrase, ThemePhrases

if TYPE_CHECKING:
    from paperagent.library.protocol import PaperWithFeatures

SAMPLE, MAX_TOPICS = 600, 8
"""The size of the sample of a large library, and the maximum number of topics."""


def main_topics(stored: Sequence[PaperWithFeatures], *, limit: int = MAX_TOPICS) -> list[tuple[str, int]]:
    """Return the names of the main topics of papers, and the number of papers with each phrase."""
    if not stored:
        return []
    vectors, has_vector = stack_vectors([paper.vector for paper in stored])
    phrases = ThemePhrases([paper.paper for paper in stored], vectors, has_vector)
    value = {p: len(o.papers) * phrases.quality(p) for p, o in phrases.occurrences.items()}
    chosen: list[Phrase] = []
    for phrase in sorted(value, key=lambda p: (-value[p], p)):
        if not any(set(phrase) & set(other) for other in chosen):
            chosen.append(phrase)
        if len(chosen) == limit:
            break
    counts = [(phrases.name(p), len(phrases.occurrences[p].papers)) for p in chosen]
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))
