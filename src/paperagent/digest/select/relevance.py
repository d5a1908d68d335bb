"""Score the papers of a period for one subscriber.

A paper scores by its best interest, if it is relevant enough: an issue is never padded with off-topic papers.
Feedback, similar papers in earlier issues and upvotes adjust the score. Without interests, papers similar to
liked ones score, and those of the period's largest topics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.issue import Reason
from paperagent.digest.select.candidates import DUPLICATE_COSINE, PeriodIndex, SeenPaper, stack_vectors
from paperagent.digest.select.similar import SimilarPapers, groups, nearest_mean
from paperagent.retrieval import scoring
from paperagent.text.terms import index_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.preferences import Preferences
    from paperagent.digest.select.candidates import Scores
    from paperagent.digest.select.phrases import Phrase, ThemePhrases
    from paperagent.retrieval.scoring import TermStatistics
    from paperagent.types import Matrix, QueryEmbedder, Vector

MIN_RELEVANCE, MIN_NOTICED = 0.9, 0.0
"""The least log-odds of relevance, after feedback, at which a paper is selected for an interest, and at which
only its title is listed.

Of the papers that score .9 or more for an interest that the weights were not fitted on, 85 % are wanted.
"""
_MIN_LIKED_COSINE, _LIKED_BONUS = 0.55, 0.8
"""Cosine to a liked paper from which a paper is selected for it; what lifts it above a topic's papers."""
_AUTHOR_SCORE = 100.0
"""The score of a followed author's papers: above all others, whatever is subtracted later."""
_UPVOTES, _UPVOTES_ONLY = 0.08, 1.0
"""Bonus for the most upvotes of the period, with and without interests."""
_RATING, _RATING_FROM = 1.6, 0.75
"""Bonus per similarity above the second number to a paper rated "more"; penalty for one rated "less"."""
_SEEN, _SEEN_FROM = 0.5, 0.7
"""Penalty per cosine above the second number to a seen paper."""
_EXAMPLE, _MIN_EXAMPLE = 3.0, 1.45
"""Log-odds of relevance per similarity to the papers that a subscriber named, and the least similarity.

Of the judged papers of that similarity to three or more wanted papers of another week, 75 % are wanted or
may be; of those at 1.9 or more, 92 % are wanted.
"""
_TOPIC_BONUS = 0.5
_VOTED_SHARE = 0.5
"""If at least this share of the papers has upvotes, upvotes decide which papers are the best of the period.
"""
_MAX_CACHED_VECTORS = 20_000
"""Query vectors in the cache: 30 MB."""
MAX_TOPICS = 5
_MIN_TOPIC_WEIGHT = 2
"""A phrase of at least this weight (in the title, or twice in the text) puts a paper on that topic."""
_SAME_TOPIC_COSINE, _SAME_TOPIC_SHARE = 0.8, 0.3
"""Two topics are the same above this cosine of their centers, or this share of the smaller one's papers."""


# --- interests as queries ---


@dataclass(frozen=True, slots=True)
class InterestQuery:
    """An interest as a search query."""

    reason: Reason
    stems: tuple[str, ...]
    vector: Vector | None
    stats: scoring.CorpusStats


class QueryEncoder:
    """Turns interests into queries; embeds each distinct text once."""

    def __init__(self, statistics: TermStatistics, embedder: QueryEmbedder | None) -> None:
        self._statistics = statistics
        self._embedder = embedder
        self._vectors: dict[str, Vector] = {}

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        """Embed the texts of many subscribers in one batch: five times faster than one by one."""
        texts = dict.fromkeys(text for p in preferences for text in p.interests)
        missing = [text for text in texts if text not in self._vectors]
        if self._embedder is None or not missing:
            return
        if len(self._vectors) + len(missing) > _MAX_CACHED_VECTORS:
            self._vectors.clear()
        self._vectors.update(zip(missing, self._embedder.embed(missing), strict=True))

    def encode(self, preferences: Preferences) -> list[InterestQuery]:
        """Return the queries of one subscriber."""
        self.prepare([preferences])
        reasons = [Reason("interest", text) for text in dict.fromkeys(preferences.interests)]
        return [self._query(reason) for reason in reasons if reason.text.strip()]

    def _query(self, reason: Reason) -> InterestQuery:
        vector = self._vectors.get(reason.text)
        query = scoring.build_query(index_terms(reason.text), self._statistics, vector=vector)
        return InterestQuery(reason, query.stems, vector, query.stats)


# --- scores ---


@dataclass(frozen=True, slots=True)
class Feedback:
    """The papers that a subscriber rated or saw, as far as the library has them."""

    liked: Sequence[SeenPaper] = ()
    disliked: Sequence[SeenPaper] = ()
    seen: Sequence[SeenPaper] = ()
    examples: Sequence[SeenPaper] = ()
    """The papers that the subscriber named."""


@dataclass(frozen=True, slots=True)
class RelevanceScores:
    """The papers of a period as one subscriber ranks them; the arrays have one entry per paper."""

    scores: Scores
    """Minus infinity for papers that this subscriber must not get."""
    reason_index: NDArray[np.int64]
    """The index in `reasons` that each paper scores best for."""
    reasons: tuple[Reason, ...]
    near_misses: NDArray[np.bool_]
    """Papers that are not relevant enough to any interest to be selected, but may be listed by title."""
    unmatched: tuple[str, ...] = ()
    """The interests that no paper is relevant enough to, in the subscriber's order."""
    example_titles: Sequence[str] = ()
    """For each paper the title of the most similar example; empty without examples."""

    def reason(self, number: int) -> Reason:
        """Return the reason why a paper scores."""
        reason = self.reasons[int(self.reason_index[number])]
        return Reason("example", self.example_titles[number]) if reason.kind == "example" else reason


class RelevanceScorer:
    """Scores the papers of one period for one subscriber after another."""

    def __init__(
        self, index: PeriodIndex, phrases: Callable[[], ThemePhrases], similar: SimilarPapers
    ) -> None:
        """Take the papers, a function that returns their phrases, and what compares papers.

        The phrases are only needed for subscribers without interests.
        """
        import numpy as np

        self._index = index
        self._similar = similar
        self._phrases = phrases
        votes = np.log1p([float(max(p.upvotes or 0, 0)) for p in index.papers])
        self._votes: Scores = (votes / max(votes.max(initial=0), 1.0)).astype(np.float32)

    def score(
        self,
        queries: Sequence[InterestQuery],
        feedback: Feedback,
        eligible: NDArray[np.bool_],
        preferences: Preferences,
        authored: Sequence[tuple[str, NDArray[np.bool_]]] = (),
    ) -> RelevanceScores:
        """Return the scores of the papers for one subscriber.

        Args:
            queries: The subscriber's interests.
            feedback: The papers that the subscriber rated or saw.
            eligible: Which papers may score at all, shape [n].
            preferences: The subscriber's preferences.
            authored: The authors whom the subscriber follows, each with the mask of their papers.
        """
        import numpy as np

        rows = [(query.reason, self._query_scores(query)) for query in queries]
        example_rows, example_titles = self._example_rows(feedback.examples)
        rows += [(Reason("example", ""), scores) for scores in example_rows]
        vote_weight = _UPVOTES if rows else _UPVOTES_ONLY
        if not rows and (preferences.categories or not authored):
            rows = [(Reason("liked", paper.title), self._liked_scores(paper)) for paper in feedback.liked]
            general = self._general_scores(eligible, preferences)
            if rows:  # a paper like a liked one is there for that reason
                like_liked = np.isfinite([scores for _, scores in rows]).any(axis=0)
                general = [(r, np.where(like_liked, np.float32(-np.inf), scores)) for r, scores in general]
            rows += general
        for author, papers in authored:
            scores = np.where(papers, _AUTHOR_SCORE, -np.inf).astype(np.float32)
            rows.append((Reason("author", author), scores))
        by_reason = np.stack([scores for _, scores in rows])
        best = by_reason.max(axis=0) + np.float32(vote_weight) * self._votes
        scores = np.where(eligible, best, np.float32(-np.inf))
        relevant = np.flatnonzero(np.isfinite(scores))
        scores[relevant] += self._feedback_scores(feedback, relevant)
        scores = scores.round(4)  # so that the last bits of a matrix product decide nothing
        reason_index = by_reason.argmax(axis=0)
        by_interest = np.array([r.kind in {"interest", "example"} for r, _ in rows])[reason_index]
        near_misses = by_interest & (scores < MIN_RELEVANCE)
        highest = by_reason[:, eligible].max(axis=1, initial=-np.inf)
        reasons = tuple(reason for reason, _ in rows)
        unmatched = tuple(
            reason.text
            for reason, score in zip(reasons, highest, strict=True)
            if reason.kind == "interest" and score < MIN_RELEVANCE
        )
        return RelevanceScores(scores, reason_index, reasons, near_misses, unmatched, example_titles)

    def _example_rows(self, examples: Sequence[SeenPaper]) -> tuple[list[Scores], list[str]]:
        """Return the scores for each group of similar examples, and each paper's most similar example."""
        import numpy as np

        if not examples:
            return [], []
        projected = self._similar.project(examples)
        similarities = self._similar.similarities(projected)
        rows = []
        for group in groups(projected):
            nearest = nearest_mean(similarities[:, group])
            relevance = MIN_RELEVANCE + np.float32(_EXAMPLE) * (nearest - np.float32(_MIN_EXAMPLE))
            rows.append(np.where(nearest >= _MIN_EXAMPLE, relevance, -np.inf).astype(np.float32))
        return rows, [examples[int(i)].title for i in similarities.argmax(axis=1)]

    def _query_scores(self, query: InterestQuery) -> Scores:
        import numpy as np

        match = self._index.match(query.stems, query.vector, query.stats)
        scores: Scores = np.where(match.relevance >= MIN_NOTICED, match.relevance, np.float32(-np.inf))
        return scores

    def _liked_scores(self, liked: SeenPaper) -> Scores:
        import numpy as np

        cosine = self._nearest_cosine([liked], np.arange(len(self._index)))
        similar = (cosine >= _MIN_LIKED_COSINE) & (cosine < DUPLICATE_COSINE)
        scores: Scores = np.where(similar, cosine + np.float32(_LIKED_BONUS), np.float32(-np.inf))
        return scores

    def _nearest_cosine(self, papers: Sequence[SeenPaper], rows: NDArray[np.int64]) -> Scores:
        """Return the cosine of the index's ``rows`` to the nearest of ``papers``; 0 without vectors."""
        import numpy as np

        vectors, has_vector = stack_vectors([p.vector for p in papers])
        vectors = vectors[has_vector]
        if not len(vectors) or vectors.shape[1] != self._index.vectors.shape[1]:
            return np.zeros(len(rows), np.float32)
        nearest: Scores = (self._index.vectors[rows] @ vectors.T).max(axis=1)
        return nearest

    def _feedback_scores(self, feedback: Feedback, rows: NDArray[np.int64]) -> Scores:
        """Return the bonus of each row of ``rows`` for similarity to liked, disliked and seen papers."""
        import numpy as np

        total = np.zeros(len(rows), np.float32)
        for weight, papers in ((_RATING, feedback.liked), (-_RATING, feedback.disliked)):
            if papers:
                similarity = self._similar.similarities(self._similar.project(papers))[rows].max(axis=1)
                total += np.float32(weight) * np.clip(similarity - np.float32(_RATING_FROM), 0, None)
        if feedback.seen:
            cosine = self._nearest_cosine(feedback.seen, rows)
            total -= np.float32(_SEEN) * np.clip(cosine - _SEEN_FROM, 0, None)
            total[cosine >= DUPLICATE_COSINE] = -np.inf
        return total

    def _general_scores(
        self, eligible: NDArray[np.bool_], preferences: Preferences
    ) -> list[tuple[Reason, Scores]]:
        """Score papers without interests, by the largest topics or by upvotes."""
        import numpy as np

        index = self._index
        if not eligible.any():
            return [(Reason("central", ""), np.zeros(len(index), np.float32))]
        category = Reason("category", ", ".join(preferences.categories)) if preferences.categories else None
        voted = float((self._votes[eligible] > 0).mean()) >= _VOTED_SHARE
        phrases = self._phrases()
        rows: list[tuple[Reason, Scores]] = []
        covered = np.zeros(len(index), bool)
        for topic in () if voted else largest_topics(phrases, index.vectors, eligible):
            row = np.full(len(index), -np.inf, np.float32)
            row[topic.members] = _TOPIC_BONUS + topic.centrality
            covered[topic.members] = True
            rows.append((category or Reason("central", phrases.name(topic.phrase)), row))
        if covered.sum() < preferences.item_limit:
            central = index.cosines(index.vectors[eligible].mean(axis=0))
            rows.append((category or Reason("upvotes" if voted else "central", ""), central))
        return rows


# --- topics of a period ---


@dataclass(frozen=True, slots=True)
class Topic:
    """A phrase with the papers on it."""

    phrase: Phrase
    members: NDArray[np.int64]
    """Numbers of the papers."""
    centrality: NDArray[np.float32]
    """The cosine of each member to the topic's center; 0 without vectors."""


def largest_topics(phrases: ThemePhrases, vectors: Matrix, eligible: NDArray[np.bool_]) -> list[Topic]:
    """Return up to five distinct topics of the ``eligible`` papers (a mask), largest first."""
    chosen: list[Topic] = []
    for _, _, topic in sorted(_rated_topics(phrases, vectors, eligible), key=lambda c: (-c[0], c[1])):
        if not any(_are_same_topic(topic, other, vectors) for other in chosen):
            chosen.append(topic)
        if len(chosen) == MAX_TOPICS:
            break
    return chosen


def _rated_topics(
    phrases: ThemePhrases, vectors: Matrix, eligible: NDArray[np.bool_]
) -> Sequence[tuple[float, Phrase, Topic]]:
    """Return every possible topic, rated by its size and by how close its papers are."""
    rated = []
    for phrase, occurrences in phrases.occurrences.items():
        salient = eligible[occurrences.papers] & (occurrences.weights >= _MIN_TOPIC_WEIGHT)
        members = occurrences.papers[salient]
        n = len(members)
        if n < 2 or (len(phrase) == 1 and not any(c.isupper() for c in phrases.name(phrase)[1:])):
            continue
        center = vectors[members].mean(axis=0)
        square = float(center @ center)
        centrality = vectors[members] @ center / math.sqrt(square) if square else 0 * vectors[members][:, 0]
        excess = (square - 1 / n) * n / (n - 1) - phrases.background if square else 0.25
        rated.append((excess * n / (n + 2) * math.sqrt(n), phrase, Topic(phrase, members, centrality)))
    return rated


def _are_same_topic(one: Topic, other: Topic, vectors: Matrix) -> bool:
    if set(one.phrase) & set(other.phrase):
        return True
    common = len(set(one.members.tolist()) & set(other.members.tolist()))
    if common >= _SAME_TOPIC_SHARE * min(len(one.members), len(other.members)):
        return True
    a, b = vectors[one.members].mean(axis=0), vectors[other.members].mean(axis=0)
    norms = math.sqrt(float(a @ a) * float(b @ b))
    return bool(norms and float(a @ b) / norms >= _SAME_TOPIC_COSINE)
