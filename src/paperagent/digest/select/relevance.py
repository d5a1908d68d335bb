"""How much each of a period's papers is worth to one reader.

The score of `retrieve` against each interest and standing question counts, above a floor: an issue
is not filled up with what is not asked for. To it come liking, having seen alike, and upvotes.

What a reader wants, ready to be scored: each interest and question as a query.

What a period was about, for readers who did not say what they want: its largest clear topics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.issue import Profile, Reason
from paperagent.digest.select.candidates import DUPLICATE_COSINE, PeriodIndex, SeenPaper, matrix
from paperagent.digest.select.phrases import Phrase, ThemePhrases
from paperagent.retrieval import scoring
from paperagent.text.terms import index_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.select.candidates import Scores
    from paperagent.retrieval.scoring import TermStatistics
    from paperagent.types import Matrix, QueryEmbedder, Vector

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
class RelevanceScores:
    """A period's papers as one reader sees them; arrays hold one entry a paper."""

    scores: Scores
    """Minus infinity where a paper is not for this reader."""
    reason: NDArray[np.int64]
    """Which of `whys` a paper is chosen for."""
    whys: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    """The papers by which a reader showed what they like, found in the library."""

    liked: Sequence[SeenPaper] = ()
    disliked: Sequence[SeenPaper] = ()
    shown: Sequence[SeenPaper] = ()


class RelevanceScorer:
    """Judges one period's papers for reader after reader."""

    def __init__(self, shelf: PeriodIndex, labels: Callable[[], ThemePhrases]) -> None:
        """Take the papers, and what gives their phrases: needed for readers without interests alone."""
        import numpy as np

        self._shelf = shelf
        self._labels = labels
        votes = np.log1p([float(max(p.upvotes or 0, 0)) for p in shelf.papers])
        self._votes: Scores = (votes / max(votes.max(initial=0), 1.0)).astype(np.float32)

    def judge(
        self, wishes: Sequence[InterestQuery], taste: Feedback, among: NDArray[np.bool_], profile: Profile
    ) -> RelevanceScores:
        """Return what the papers ``among`` (a mask) are worth to a reader with these wishes and taste."""
        import numpy as np

        rows = [(w.why, self._relevant(w)) for w in wishes]
        if not rows:
            rows = [(Reason("liked", c.title), self._like(c)) for c in taste.liked]
        weight = _UPVOTES
        if not rows:
            rows, weight = self._typical(among, profile), _UPVOTES_ALONE
        scores = np.stack([row for _, row in rows])
        best = np.where(among, scores.max(axis=0) + np.float32(weight) * self._votes, np.float32(-np.inf))
        relevant = np.flatnonzero(np.isfinite(best))
        best[relevant] += self._leaning(taste, relevant)
        # Rounded, so that the last bits of a matrix product decide nothing.
        return RelevanceScores(best.round(4), scores.argmax(axis=0), tuple(why for why, _ in rows))

    def _relevant(self, wish: InterestQuery) -> Scores:
        import numpy as np

        match = self._shelf.match(wish.stems, wish.vector, wish.stats)
        on_it = (match.score >= FLOOR) & ((match.relevance >= RELEVANT) | (match.score >= CERTAIN))
        kept: Scores = np.where(on_it, match.score, np.float32(-np.inf))
        return kept

    def _like(self, liked: SeenPaper) -> Scores:
        import numpy as np

        cosine = self._nearest([liked], np.arange(len(self._shelf)))
        alike = (cosine >= _LIKED_FLOOR) & (cosine < DUPLICATE_COSINE)
        kept: Scores = np.where(alike, cosine + np.float32(_LIKED_LIFT), np.float32(-np.inf))
        return kept

    def _nearest(self, others: Sequence[SeenPaper], rows: NDArray[np.int64]) -> Scores:
        """Return the cosine of the papers ``rows`` to the nearest of ``others``; 0 where vectors lack."""
        import numpy as np

        vectors, known = matrix([c.vector for c in others])
        vectors = vectors[known]
        if not len(vectors) or vectors.shape[1] != self._shelf.vectors.shape[1]:
            return np.zeros(len(rows), np.float32)
        nearest: Scores = (self._shelf.vectors[rows] @ vectors.T).max(axis=1)
        return nearest

    def _leaning(self, taste: Feedback, rows: NDArray[np.int64]) -> Scores:
        """Return what liking, disliking and having seen similar papers adds to the papers ``rows``."""
        import numpy as np

        total = np.zeros(len(rows), np.float32)
        for weight, papers in ((_TASTE, taste.liked), (-_TASTE, taste.disliked)):
            if papers:
                total += np.float32(weight) * np.clip(self._nearest(papers, rows) - _TASTE_FROM, 0, None)
        if taste.shown:
            nearest = self._nearest(taste.shown, rows)
            total -= np.float32(_SEEN) * np.clip(nearest - _SEEN_FROM, 0, None)
            total[nearest >= DUPLICATE_COSINE] = -np.inf
        return total

    def _typical(self, among: NDArray[np.bool_], profile: Profile) -> list[tuple[Reason, Scores]]:
        """Return the papers of the period's largest topics; all, where it has upvotes or too few topics."""
        import numpy as np

        if not among.any():
            return [(Reason("central", ""), np.zeros(len(self._shelf), np.float32))]
        category = Reason("category", ", ".join(profile.categories)) if profile.categories else None
        voted = float((self._votes[among] > 0).mean()) >= _VOTED
        labels = self._labels()
        rows: list[tuple[Reason, Scores]] = []
        covered = np.zeros(len(self._shelf), bool)
        for topic in () if voted else largest_topics(labels, self._shelf.vectors, among):
            row = np.full(len(self._shelf), -np.inf, np.float32)
            row[topic.members] = _TYPICAL_LIFT + topic.typical
            covered[topic.members] = True
            rows.append((category or Reason("central", labels.name(topic.phrase)), row))
        if covered.sum() < profile.max_items:
            central = self._shelf.cosines(self._shelf.vectors[among].mean(axis=0))
            rows.append((category or Reason("upvotes" if voted else "central", ""), central))
        return rows


_MAX_CACHED_VECTORS = 20_000
"""Queries kept: 30 MB of vectors."""


@dataclass(frozen=True, slots=True)
class InterestQuery:
    """An interest or a standing question, as it is searched for."""

    why: Reason
    stems: tuple[str, ...]
    vector: Vector | None
    stats: scoring.CorpusStats


class QueryEncoder:
    """Turns texts into queries, each different text once."""

    def __init__(self, statistics: TermStatistics, embedder: QueryEmbedder | None) -> None:
        self._statistics = statistics
        self._embedder = embedder
        self._vectors: dict[str, Vector] = {}

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed what many readers want in one go: five times faster than one by one."""
        texts = dict.fromkeys(t for p in profiles for t in (*p.interests, *p.questions))
        self._embed([t for t in texts if t not in self._vectors])

    def of(self, profile: Profile) -> list[InterestQuery]:
        """Return what a reader wants, interests first."""
        self.prepare([profile])
        asked = [Reason("interest", text) for text in dict.fromkeys(profile.interests)]
        asked += [Reason("question", text) for text in dict.fromkeys(profile.questions)]
        return [self._wish(why) for why in asked if why.text.strip()]

    def _embed(self, texts: Sequence[str]) -> None:
        if self._embedder is None or not texts:
            return
        if len(self._vectors) + len(texts) > _MAX_CACHED_VECTORS:
            self._vectors.clear()
        self._vectors.update(zip(texts, self._embedder.embed(texts), strict=True))

    def _wish(self, why: Reason) -> InterestQuery:
        vector = self._vectors.get(why.text)
        query = scoring.build_query(index_terms(why.text), self._statistics, vector=vector)
        return InterestQuery(why, query.stems, vector, query.stats)


MAX_TOPICS = 5
_MIN_WEIGHT = 2
"""Weight of a phrase in a paper from which the paper is on it: in the title, or twice."""
_SAME_TOPIC_COSINE, _SAME_TOPIC_SHARE = 0.8, 0.3
"""Cosine of two topics' middles, and share of the smaller one's papers, from which they are one."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A phrase with the papers that are on it."""

    phrase: Phrase
    members: NDArray[np.int64]
    typical: NDArray[np.float32]
    """Cosine of each member to the topic's middle; 0 without vectors."""


def largest_topics(labels: ThemePhrases, vectors: Matrix, among: NDArray[np.bool_]) -> list[Topic]:
    """Return up to five topics of the papers ``among`` (a mask), the largest first, none like another."""
    chosen: list[Topic] = []
    for _, _, topic in sorted(_rated_topics(labels, vectors, among), key=lambda c: (-c[0], c[1])):
        if not any(_are_same_topic(topic, other, vectors) for other in chosen):
            chosen.append(topic)
        if len(chosen) == MAX_TOPICS:
            break
    return chosen


def _rated_topics(
    labels: ThemePhrases, vectors: Matrix, among: NDArray[np.bool_]
) -> Sequence[tuple[float, Phrase, Topic]]:
    rated = []
    for phrase, found in labels.found.items():
        members = found.papers[among[found.papers] & (found.weights >= _MIN_WEIGHT)]
        n = len(members)
        if n < 2 or (len(phrase) == 1 and not any(c.isupper() for c in labels.name(phrase)[1:])):
            continue
        middle = vectors[members].mean(axis=0)
        length = float(middle @ middle)
        typical = vectors[members] @ middle / math.sqrt(length) if length else 0 * vectors[members][:, 0]
        excess = (length - 1 / n) * n / (n - 1) - labels.background if length else 0.25
        rated.append((excess * n / (n + 2) * math.sqrt(n), phrase, Topic(phrase, members, typical)))
    return rated


def _are_same_topic(one: Topic, other: Topic, vectors: Matrix) -> bool:
    if set(one.phrase) & set(other.phrase):
        return True
    shared = len(set(one.members.tolist()) & set(other.members.tolist()))
    if shared >= _SAME_TOPIC_SHARE * min(len(one.members), len(other.members)):
        return True
    a, b = vectors[one.members].mean(axis=0), vectors[other.members].mean(axis=0)
    lengths = math.sqrt(float(a @ a) * float(b @ b))
    return bool(lengths and float(a @ b) / lengths >= _SAME_TOPIC_COSINE)
