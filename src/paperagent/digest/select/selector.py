"""Select the papers of an issue from those of a period: relevant, varied, and not seen before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from paperagent.digest.issue import Item, Period, QuestionAnswer, Reason, Selection, Theme
from paperagent.digest.preferences import MAX_ITEMS, Example, Preferences
from paperagent.digest.select import themes
from paperagent.digest.select.candidates import (
    PeriodIndex,
    SeenPaper,
    distinctive_title_key,
    stack_vectors,
)
from paperagent.digest.select.filters import PaperFilters
from paperagent.digest.select.phrases import ThemePhrases
from paperagent.digest.select.relevance import Feedback, QueryEncoder, RelevanceScorer, RelevanceScores
from paperagent.digest.select.similar import SimilarPapers
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.issue import CitedClaim
    from paperagent.library import Store
    from paperagent.library.protocol import PaperWithFeatures
    from paperagent.types import Matrix, QueryEmbedder

    Mask = NDArray[np.bool_]

MAX_ALSO = 8
"""Titles under "Also noticed"."""
_POOL_FACTOR = 5
"""The size of the pool that papers are picked from, as a multiple of the issue's size."""
_SIMILARITY_PENALTY, _SIMILAR_FROM = 0.5, 0.5
"""Penalty on a score per cosine above the second number to a paper already picked."""
_TURN_PENALTY = 1.0
"""Penalty on further papers of an interest that already has its fair share of the issue."""
_NEXT_SCORE = 0.01
"""How far each paper of an answer scores below the one before it, and the first below all other papers."""
_MAX_CACHED_PAPERS, _READ_BATCH = 50_000, 2_000
"""Papers of other periods in the cache, about 1 kB each; papers per read."""
_BACKGROUND_SAMPLE = 600
"""Papers of the library that stand for all, for a period of few papers."""


class _Pick(NamedTuple):
    """A paper picked for an issue."""

    number: int
    reason: Reason
    score: float


class PaperSelector:
    """Selects papers for one subscriber after another from one period, which is read once."""

    def __init__(
        self,
        stored: Sequence[PaperWithFeatures],
        *,
        period: Period,
        store: Store,
        embedder: QueryEmbedder | None = None,
    ) -> None:
        """Index the papers of a period.

        Args:
            stored: The papers that the library returns for the period.
            period: The period.
            store: The library, for statistics of terms and for papers of other periods.
            embedder: Embeds interests into the space of the library's vectors; None to match by words.
        """
        self.period = period
        self._store = store
        self._index = PeriodIndex(stored)
        self._queries = QueryEncoder(store, embedder)
        similar = SimilarPapers(self._index, self._sample_vectors)
        self._scorer = RelevanceScorer(self._index, self._theme_phrases, similar)
        self._embedder = embedder
        self._stored_papers = {name: s.paper for s in stored for name in s.names}
        self._number_of_id = {name: i for i, names in enumerate(self._index.names) for name in names}
        self._number_of_title = {title: i for i, title in enumerate(self._index.titles) if title}
        self._seen_papers: dict[str, SeenPaper] = {}
        self._made_papers: dict[str, SeenPaper] = {}
        self._filters = PaperFilters(self._index.papers)
        self._phrases: ThemePhrases | None = None

    @property
    def papers(self) -> Sequence[Paper]:
        """The papers of the period that can be selected, without duplicates."""
        return self._index.papers

    @property
    def index(self) -> PeriodIndex:
        """The papers of the period, to search them."""
        return self._index

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        """Embed the interests of many subscribers at once. This only saves time."""
        self._queries.prepare(preferences)

    def eligible(self, preferences: Preferences) -> Mask:
        """Return which papers a subscriber may get, shape [n].

        They are in the subscriber's categories or by a followed author, and neither excluded nor seen before.
        """
        eligible = self._filters.in_categories(preferences)
        for author in preferences.authors:
            eligible = eligible | self._filters.by_author(author)
        seen = self._seen_mask(preferences, self._recall(preferences.seen))
        return eligible & ~self._filters.excluded(preferences) & ~seen

    def select(self, preferences: Preferences, answers: Sequence[QuestionAnswer] = ()) -> Selection:
        """Return the papers for one subscriber. The result is deterministic.

        The papers of interests come first, then those that the answers to the standing questions cite.

        Args:
            preferences: The subscriber's preferences.
            answers: The answers to the standing questions from the subscriber's eligible papers.
        """
        updates = self._updates(preferences)
        if not len(self._index):
            return Selection(self.period, preferences, answers=tuple(answers), updates=updates)
        eligible = self.eligible(preferences)
        feedback = Feedback(
            self._recall(preferences.liked),
            self._recall(preferences.disliked),
            self._recall(preferences.seen),
            self._examples(preferences.examples),
        )
        queries = self._queries.encode(preferences)
        size = max(1, min(preferences.item_limit, MAX_ITEMS))
        picked: list[_Pick] = []
        also: list[int] = []
        unmatched: tuple[str, ...] = ()
        if queries or preferences.authors or preferences.examples or not preferences.questions:
            authored = [(author, self._filters.by_author(author)) for author in preferences.authors]
            scores = self._scorer.score(queries, feedback, eligible, preferences, authored)
            numbers, also = _pick(scores, self._index, size)
            picked, unmatched = self._picks(numbers, scores), scores.unmatched
        picked, answers = self._with_answers(picked, answers, size - len(picked))
        selected = {pick.number for pick in picked}
        return Selection(
            self.period,
            preferences,
            self._themes(picked),
            answers=tuple(answers),
            also=tuple(self._index.papers[n] for n in also if n not in selected),
            updates=updates,
            screened=int(self._filters.in_categories(preferences).sum()),
            unmatched=unmatched,
        )

    def _with_answers(
        self, picked: Sequence[_Pick], answers: Sequence[QuestionAnswer], room: int
    ) -> tuple[list[_Pick], list[QuestionAnswer]]:
        """Add the papers that the answers cite; return all picks and the answers with what they may cite.

        A claim whose papers have no room is left out, but never the first one of an answer: there would be
        an answer, and the issue would say that there is none.
        """
        picks = {pick.number: pick for pick in picked}
        lowest = min((pick.score for pick in picked), default=1.0)
        fitting = []
        for answer in answers:
            claims: list[CitedClaim] = []
            for cited in answer.claims:
                new = {self._number_of_id[i] for i in cited.paper_ids} - picks.keys()
                if claims and len(new) > room:
                    continue
                claims.append(cited)
                room -= len(new)
                for n in sorted(new):
                    score = lowest - _NEXT_SCORE * (1 + len(picks) - len(picked))
                    picks[n] = _Pick(n, Reason("question", answer.question), score)
            fitting.append(replace(answer, claims=tuple(claims)))
        return list(picks.values()), fitting

    def _seen_mask(self, preferences: Preferences, seen: Sequence[SeenPaper]) -> Mask:
        """Return which papers the subscriber saw, disliked or named, by any of their ids or by title."""
        import numpy as np

        examples = preferences.examples
        names = {*preferences.seen, *preferences.disliked, *(e.paper_id for e in examples)}
        names |= {name for paper in seen for name in paper.names}
        numbers = {self._number_of_id.get(name) for name in names}
        titles = [*(p.title for p in seen), *(e.title for e in examples)]
        numbers |= {self._number_of_title.get(distinctive_title_key(title)) for title in titles}
        mask = np.zeros(len(self._index), bool)
        mask[[n for n in numbers if n is not None]] = True
        return mask

    def _recall(self, paper_ids: Iterable[str]) -> list[SeenPaper]:
        """Return papers of any period, ordered by id; unknown ids are left out."""
        ids = sorted(set(paper_ids))
        missing = [i for i in ids if i not in self._seen_papers]
        if len(self._seen_papers) + len(missing) > _MAX_CACHED_PAPERS:
            self._seen_papers.clear()
            missing = ids
        for start in range(0, len(missing), _READ_BATCH):
            stored = self._store.get_with_features(missing[start : start + _READ_BATCH])
            self._seen_papers.update((i, SeenPaper.of(paper, self._index)) for i, paper in stored.items())
        return [self._seen_papers[i] for i in ids if i in self._seen_papers]

    def _examples(self, examples: Sequence[Example]) -> list[SeenPaper]:
        """Return the papers that a subscriber named; those that the library lacks, from their text."""
        stored = {name: paper for paper in self._recall(e.paper_id for e in examples) for name in paper.names}
        examples = [e for e in examples if e.paper_id in stored or e.title]
        missing = [e for e in examples if e.paper_id not in stored and e.paper_id not in self._made_papers]
        if missing:
            if len(self._made_papers) + len(missing) > _MAX_CACHED_PAPERS:
                self._made_papers.clear()
                missing = [e for e in examples if e.paper_id not in stored]
            texts = [f"{e.title}\n{e.abstract}" for e in missing]
            embeddings = self._embedder.embed(texts) if self._embedder else [None] * len(missing)
            for example, embedding in zip(missing, embeddings, strict=True):
                terms = term_ids([*2 * index_terms(example.title), *index_terms(example.abstract)])
                vector = self._index.comparable_vector(embedding, terms)
                half = None if vector is None else vector.astype("float16")
                self._made_papers[example.paper_id] = SeenPaper(example.title, (example.paper_id,), half)
        return [stored.get(e.paper_id) or self._made_papers[e.paper_id] for e in examples]

    def _sample_vectors(self) -> Matrix:
        """Return the vectors of a sample of the library, and of the papers of the period."""
        ids = [p.paper_id for p in self._store.sample(_BACKGROUND_SAMPLE)]
        vectors = [self._index.vector_of(paper) for paper in self._store.get_with_features(ids).values()]
        return stack_vectors([*(v for v in vectors if v is not None), *self._index.vectors])[0]

    def _updates(self, preferences: Preferences) -> tuple[Paper, ...]:
        """Return the papers of earlier issues that were revised or withdrawn in the period, by id."""
        updates = {
            paper.paper_id: paper
            for paper_id in preferences.seen
            if (paper := self._stored_papers.get(paper_id)) and self._is_update(paper)
        }
        return tuple(updates[i] for i in sorted(updates))

    def _is_update(self, paper: Paper) -> bool:
        updated = paper.updated
        if updated is None or not self.period.since <= updated <= self.period.until:
            return False
        return paper.withdrawn or ((paper.version or 2) > 1 and updated != paper.published)

    def _picks(self, numbers: Iterable[int], scores: RelevanceScores) -> list[_Pick]:
        picks = []
        for number in numbers:
            reason = scores.reason(number)
            if reason.kind == "upvotes":
                upvotes = self._index.papers[number].upvotes
                reason = Reason("upvotes", str(upvotes)) if upvotes else Reason("central", "")
            picks.append(_Pick(number, reason, float(scores.scores[number])))
        return picks

    def _themes(self, picked: Iterable[_Pick]) -> tuple[Theme, ...]:
        picks = {pick.number: pick for pick in sorted(picked, key=lambda p: (-p.score, p.number))}
        if not picks:
            return ()
        reasons = {n: pick.reason for n, pick in picks.items()}
        clusters = themes.build_themes(list(picks), self._theme_phrases(), self._index.vectors, reasons)
        return tuple(
            Theme(c.name, tuple(self._item(picks[n]) for n in c.members), f"{self.period.name}:{c.key}")
            for c in clusters
        )

    def _item(self, pick: _Pick) -> Item:
        paper, duplicates = self._index.papers[pick.number], self._index.duplicates[pick.number]
        return Item(paper, pick.reason, score=pick.score, duplicates=duplicates)

    def _theme_phrases(self) -> ThemePhrases:
        if self._phrases is None:
            self._phrases = ThemePhrases(self._index.papers, self._index.vectors, self._index.comparable)
        return self._phrases


def _pick(scores: RelevanceScores, index: PeriodIndex, size: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the picked papers, in order, and of those to list under "Also noticed".

    Maximal marginal relevance (Carbonell & Goldstein 1998). In addition, each pick lowers the scores of
    the same interest's other papers, so that no interest crowds out the others.
    """
    import numpy as np

    pool = _candidate_pool(scores, _POOL_FACTOR * size + MAX_ALSO)
    if not len(pool):
        return [], []
    vectors = index.vectors[pool]
    gain, reason = scores.scores[pool].copy(), scores.reason_index[pool]
    gain[scores.near_misses[pool]] = -np.inf
    nearest = np.zeros(len(pool), np.float32)
    picks_per_reason = np.zeros(len(scores.reasons), np.float32)
    picked: list[int] = []
    for _ in range(min(size, int(np.isfinite(gain).sum()))):
        similarity = np.clip(nearest - _SIMILAR_FROM, 0, None).round(4)
        turns = _TURN_PENALTY * len(scores.reasons) / size * picks_per_reason[reason]
        best = int((gain - _SIMILARITY_PENALTY * similarity - turns).argmax())
        picked.append(best)
        gain[best] = -np.inf
        nearest = np.maximum(nearest, np.einsum("ij,j->i", vectors, vectors[best]))
        picks_per_reason[reason[best]] += 1
    also = [int(pool[i]) for i in range(len(pool)) if i not in set(picked)]
    return [int(pool[i]) for i in picked], also[:MAX_ALSO]


def _candidate_pool(scores: RelevanceScores, size: int) -> NDArray[np.int64]:
    """Return the numbers of the best papers, best first, with some for every reason."""
    import numpy as np

    order = np.lexsort((np.arange(len(scores.scores)), -scores.scores))
    relevant = order[np.isfinite(scores.scores[order])]
    in_pool = np.zeros(len(relevant), bool)
    in_pool[:size] = True
    for reason in range(len(scores.reasons)):
        in_pool[np.flatnonzero(scores.reason_index[relevant] == reason)[: size // 2]] = True
    return relevant[in_pool]
