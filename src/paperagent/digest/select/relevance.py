"""How much each of a period's papers is worth to one reader.

The score of `retrieve` against each interest and standing question counts, above a floor: an issue
is not filled up with what is not asked for. To it come liking, having seen alike, and upvotes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.issue import Profile, Why
from paperagent.digest.select.candidates import SAME_COSINE, Earlier, Shelf, matrix
from paperagent.digest.select.interests import Wish
from paperagent.digest.select.labels import Labels
from paperagent.digest.select.topics import topics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.select.candidates import Scores

FLOOR, RELEVANT, CERTAIN = 0.68, -0.6, 1.15
"""Least score and least log-odds of relevance of a paper on an interest; score that needs no other proof.

Of the judged papers of middling score this keeps 67, of which 64 of 100 are not off topic, with 52 of
100 of the relevant ones; a plain floor of .76 keeps 101, with 47 and 53 of 100.
"""
_LIKED_FLOOR, _LIKED_LIFT = 0.55, 0.3
"""Cosine from which a paper is like one that was liked; what makes it comparable with the score of a wish."""
_UPVOTES, _UPVOTES_ALONE = 0.08, 1.0
"""What most upvotes of the period add, to a reader with interests and to one without."""
_TASTE, _TASTE_FROM = 0.4, 0.35
_SEEN, _SEEN_FROM = 0.5, 0.7
"""What a cosine above the second number to a liked (disliked) paper adds (takes), to a shown one takes."""
_TYPICAL_LIFT = 0.5
_VOTED = 0.5
"""Share of papers with upvotes from which they say what the period's best are."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A period's papers as one reader sees them; arrays hold one entry a paper."""

    scores: Scores
    """Minus infinity where a paper is not for this reader."""
    reason: NDArray[np.int64]
    """Which of `whys` a paper is chosen for."""
    whys: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class Taste:
    """The papers by which a reader showed what they like, found in the library."""

    liked: Sequence[Earlier] = ()
    disliked: Sequence[Earlier] = ()
    shown: Sequence[Earlier] = ()


class Judge:
    """Judges one period's papers for reader after reader."""

    def __init__(self, shelf: Shelf, labels: Callable[[], Labels]) -> None:
        """Take the papers, and what gives their phrases: needed for readers without interests alone."""
        import numpy as np

        self._shelf = shelf
        self._labels = labels
        votes = np.log1p([float(max(p.upvotes or 0, 0)) for p in shelf.papers])
        self._votes: Scores = (votes / max(votes.max(initial=0), 1.0)).astype(np.float32)

    def judge(
        self, wishes: Sequence[Wish], taste: Taste, among: NDArray[np.bool_], profile: Profile
    ) -> Judged:
        """Return what the papers ``among`` (a mask) are worth to a reader with these wishes and taste."""
        import numpy as np

        rows = [(w.why, self._relevant(w)) for w in wishes]
        if not rows:
            rows = [(Why("liked", c.title), self._like(c)) for c in taste.liked]
        weight = _UPVOTES
        if not rows:
            rows, weight = self._typical(among, profile), _UPVOTES_ALONE
        scores = np.stack([row for _, row in rows])
        best = np.where(among, scores.max(axis=0) + np.float32(weight) * self._votes, np.float32(-np.inf))
        relevant = np.flatnonzero(np.isfinite(best))
        best[relevant] += self._leaning(taste, relevant)
        # Rounded, so that the last bits of a matrix product decide nothing.
        return Judged(best.round(4), scores.argmax(axis=0), tuple(why for why, _ in rows))

    def _relevant(self, wish: Wish) -> Scores:
        import numpy as np

        match = self._shelf.match(wish.stems, wish.vector, wish.stats)
        on_it = (match.score >= FLOOR) & ((match.relevance >= RELEVANT) | (match.score >= CERTAIN))
        kept: Scores = np.where(on_it, match.score, np.float32(-np.inf))
        return kept

    def _like(self, liked: Earlier) -> Scores:
        import numpy as np

        cosine = self._nearest([liked], np.arange(len(self._shelf)))
        alike = (cosine >= _LIKED_FLOOR) & (cosine < SAME_COSINE)
        kept: Scores = np.where(alike, cosine + np.float32(_LIKED_LIFT), np.float32(-np.inf))
        return kept

    def _nearest(self, others: Sequence[Earlier], rows: NDArray[np.int64]) -> Scores:
        """Return the cosine of the papers ``rows`` to the nearest of ``others``; 0 where vectors lack."""
        import numpy as np

        vectors, known = matrix([c.vector for c in others])
        vectors = vectors[known]
        if not len(vectors) or vectors.shape[1] != self._shelf.vectors.shape[1]:
            return np.zeros(len(rows), np.float32)
        nearest: Scores = (self._shelf.vectors[rows] @ vectors.T).max(axis=1)
        return nearest

    def _leaning(self, taste: Taste, rows: NDArray[np.int64]) -> Scores:
        """Return what liking, disliking and having seen similar papers adds to the papers ``rows``."""
        import numpy as np

        total = np.zeros(len(rows), np.float32)
        for weight, papers in ((_TASTE, taste.liked), (-_TASTE, taste.disliked)):
            if papers:
                total += np.float32(weight) * np.clip(self._nearest(papers, rows) - _TASTE_FROM, 0, None)
        if taste.shown:
            nearest = self._nearest(taste.shown, rows)
            total -= np.float32(_SEEN) * np.clip(nearest - _SEEN_FROM, 0, None)
            total[nearest >= SAME_COSINE] = -np.inf
        return total

    def _typical(self, among: NDArray[np.bool_], profile: Profile) -> list[tuple[Why, Scores]]:
        """Return the papers of the period's largest topics; all, where it has upvotes or too few topics."""
        import numpy as np

        if not among.any():
            return [(Why("central", ""), np.zeros(len(self._shelf), np.float32))]
        category = Why("category", ", ".join(profile.categories)) if profile.categories else None
        voted = float((self._votes[among] > 0).mean()) >= _VOTED
        labels = self._labels()
        rows: list[tuple[Why, Scores]] = []
        covered = np.zeros(len(self._shelf), bool)
        for topic in () if voted else topics(labels, self._shelf.vectors, among):
            row = np.full(len(self._shelf), -np.inf, np.float32)
            row[topic.members] = _TYPICAL_LIFT + topic.typical
            covered[topic.members] = True
            rows.append((category or Why("central", labels.name(topic.phrase)), row))
        if covered.sum() < profile.max_items:
            central = self._shelf.cosines(self._shelf.vectors[among].mean(axis=0))
            rows.append((category or Why("upvotes" if voted else "central", ""), central))
        return rows
