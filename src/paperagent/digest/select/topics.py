"""What a period was about, for readers who did not say what they want: its largest clear topics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.select.labels import Labels
from paperagent.digest.select.phrases import Phrase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix

MOST = 5
_SALIENT = 2
"""Weight of a phrase in a paper from which the paper is on it: in the title, or twice."""
_SAME, _SHARED = 0.8, 0.3
"""Cosine of two topics' middles, and share of the smaller one's papers, from which they are one."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A phrase with the papers that are on it."""

    phrase: Phrase
    members: NDArray[np.int64]
    typical: NDArray[np.float32]
    """Cosine of each member to the topic's middle; 0 without vectors."""


def topics(labels: Labels, vectors: Matrix, among: NDArray[np.bool_]) -> list[Topic]:
    """Return up to five topics of the papers ``among`` (a mask), the largest first, none like another."""
    chosen: list[Topic] = []
    for _, _, topic in sorted(_candidates(labels, vectors, among), key=lambda c: (-c[0], c[1])):
        if not any(_alike(topic, other, vectors) for other in chosen):
            chosen.append(topic)
        if len(chosen) == MOST:
            break
    return chosen


def _candidates(
    labels: Labels, vectors: Matrix, among: NDArray[np.bool_]
) -> Sequence[tuple[float, Phrase, Topic]]:
    rated = []
    for phrase, found in labels.found.items():
        members = found.papers[among[found.papers] & (found.weights >= _SALIENT)]
        n = len(members)
        if n < 2 or (len(phrase) == 1 and not any(c.isupper() for c in labels.name(phrase)[1:])):
            continue
        middle = vectors[members].mean(axis=0)
        length = float(middle @ middle)
        typical = vectors[members] @ middle / math.sqrt(length) if length else 0 * vectors[members][:, 0]
        excess = (length - 1 / n) * n / (n - 1) - labels.background if length else 0.25
        rated.append((excess * n / (n + 2) * math.sqrt(n), phrase, Topic(phrase, members, typical)))
    return rated


def _alike(one: Topic, other: Topic, vectors: Matrix) -> bool:
    if set(one.phrase) & set(other.phrase):
        return True
    shared = len(set(one.members.tolist()) & set(other.members.tolist()))
    if shared >= _SHARED * min(len(one.members), len(other.members)):
        return True
    a, b = vectors[one.members].mean(axis=0), vectors[other.members].mean(axis=0)
    lengths = math.sqrt(float(a @ a) * float(b @ b))
    return bool(lengths and float(a @ b) / lengths >= _SAME)
