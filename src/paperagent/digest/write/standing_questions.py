"""Answer standing questions with the pipeline of ``ask()``, from the papers of one issue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.answering.abstention import Thresholds
from paperagent.digest.issue import CitationNumbering, CitedClaim, StandingAnswer, split_claims
from paperagent.retrieval import scoring
from paperagent.retrieval.sentence_selection import LIST_MARGIN
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Answer, Encoded, Filters, Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.retrieval.scoring import RankablePaper, TermStatistics
    from paperagent.types import QueryEmbedder, TokenEncoder, Vector

MIN_SCORE, SCORE_MARGIN, MAX_READ = 0.4, 0.5, 3
"""A paper is read for a question if its retrieval score is this high and this close to the best one's; at
most so many are read.

Of the development questions' papers, 97 % score .4 or more (median .68). Reading is the cost of a standing
question, and an answer has no more sentences than this.
"""
MIN_CONFIDENCE = 0.2
"""Confidence below which there is no answer: asked every week, most questions have no new answer.

Of 65 development questions on a dozen papers, 90 % are answered with the right paper among them and 16 %
without it; with the .13 of ``ask``, 95 % and 24 %.
"""
MAX_SENTENCES = 3
_MAX_CACHED_TEXTS = 8_000
"""Texts in the encoder's cache: about 23 kB each."""


def raise_thresholds(stored: Thresholds | None, *, encoder: bool) -> Thresholds:
    """Return the thresholds for standing questions. Both are equal, so that no answer is doubtful.

    A question is answered from a few papers, whatever the size of the library.

    Args:
        stored: The library's own thresholds, if it has any.
        encoder: Whether sentences are compared by embeddings.
    """
    thresholds = stored or Thresholds.default(0, encoder=encoder)
    minimum = thresholds.abstain_below
    if encoder:
        minimum = max(minimum, MIN_CONFIDENCE)
    return Thresholds(minimum, minimum)


class CachingCorpus:
    """The term statistics of a library, each read once."""

    def __init__(self, statistics: TermStatistics) -> None:
        self._statistics = statistics
        self._size: tuple[int, float] | None = None
        self._frequency: dict[str, int] = {}
        self._similar_stems: dict[tuple[str, int], Sequence[str]] = {}

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return the number of papers, their average length in terms, and each stem's document frequency."""
        missing = [s for s in stems if s not in self._frequency]
        if missing or self._size is None:
            papers, length, frequency = self._statistics.corpus_stats(missing)
            self._size = (papers, length)
            self._frequency.update(frequency)
        return *self._size, {s: self._frequency[s] for s in stems}

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return the library's stems within an edit distance, most frequent first."""
        if (stem, distance) not in self._similar_stems:
            self._similar_stems[stem, distance] = self._statistics.similar_stems(stem, distance)
        return self._similar_stems[stem, distance]


@dataclass(frozen=True, slots=True)
class TermsOnlyPaper:
    """A paper for retrieval by terms, without a vector."""

    paper_id: str
    terms: NDArray[np.uint32]
    vector: Vector | None = None

    @classmethod
    def of(cls, paper: Paper) -> TermsOnlyPaper:
        """Make a `TermsOnlyPaper` from a paper."""
        terms = term_ids([*index_terms(paper.title) * 2, *index_terms(paper.abstract)])
        return cls(paper.paper_id, terms)


class IssueLibrary:
    """The papers of one issue as the library that the answering pipeline searches.

    It returns only the few papers that may answer. For one question at a time, not for several threads.
    """

    def __init__(
        self, papers: Collection[Paper], scored: Mapping[str, RankablePaper], corpus: CachingCorpus
    ) -> None:
        """Take the papers of the issue, their terms and vectors by id, and the library's statistics."""
        self._papers = {p.paper_id: p for p in papers}
        self._scored = [scored[i] for i in self._papers]
        self._corpus = corpus
        self._readable: set[str] = set()

    def count(self) -> int:
        """Return the number of papers."""
        return len(self._papers)

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return the statistics of the whole library, for which abstention was calibrated."""
        return self._corpus.corpus_stats(stems)

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return the whole library's stems within an edit distance, most frequent first."""
        return self._corpus.similar_stems(stem, distance)

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> Sequence[RankablePaper]:
        """Return all papers, and note which are close enough to be read.

        All are returned because the agreement of words and vectors on the best paper is a signal of
        confidence.
        """
        del limit, filters
        if not self._scored:
            return []
        stats = scoring.CorpusStats(*self._corpus.corpus_stats(stems))
        ranked = scoring.rank(self._scored, scoring.SearchQuery(tuple(stems), vector, stats))
        minimum = max(MIN_SCORE, ranked[0].score - SCORE_MARGIN)
        self._readable = {r.paper_id for r in ranked[:MAX_READ] if r.score >= minimum}
        return self._scored

    def get_many(self, paper_ids: Iterable[str]) -> Mapping[str, Paper]:
        """Return by id the papers that are close enough to the last question to be read."""
        return {i: self._papers[i] for i in paper_ids if i in self._readable}


class CachingEncoder:
    """Encodes each text once for all subscribers; keeps token states at half precision.

    States are rounded on the first use too, so an issue does not depend on the issues before it.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder
        self._cache: dict[str, Encoded] = {}

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the vector and token states of each text."""
        import numpy as np

        missing = list(dict.fromkeys(t for t in texts if t not in self._cache))
        new = zip(missing, self._encoder.encode(missing) if missing else (), strict=True)
        encoded = {t: self._cache.pop(t) for t in dict.fromkeys(texts) if t in self._cache}
        encoded |= {t: replace(e, states=e.states.astype(np.float16)) for t, e in new}
        self._cache |= encoded  # at the end: the least recently used come first
        while len(self._cache) > _MAX_CACHED_TEXTS:
            del self._cache[next(iter(self._cache))]
        return [replace(encoded[t], states=encoded[t].states.astype(np.float32)) for t in texts]


class CachingEmbedder:
    """Embeds each question once for all subscribers."""

    def __init__(self, embedder: QueryEmbedder) -> None:
        self._embedder = embedder
        self._cache: dict[str, Vector] = {}

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield one unit vector per text."""
        missing = list(dict.fromkeys(t for t in texts if t not in self._cache))
        self._cache.update(zip(missing, self._embedder.embed(missing) if missing else (), strict=True))
        return [self._cache[t] for t in texts]


def shorten_answer(
    answer: Answer, numbering: CitationNumbering, offer_starts: Mapping[str, int]
) -> StandingAnswer:
    """Return an answer as an issue shows it: a few sentences, or none if it is doubtful or says nothing new.

    Args:
        answer: The pipeline's answer.
        numbering: Numbers the citations of the issue.
        offer_starts: Where in each paper's abstract, by paper id, its own work begins after the background.
    """
    if answer.status != "answered":
        return StandingAnswer(answer.question)
    cited_claims = [
        c for c in _best_claims(answer, offer_starts) if c.claim.support not in ("unsupported", "uncited")
    ]
    return StandingAnswer(answer.question, tuple(map(numbering.add, cited_claims)))


def _best_claims(answer: Answer, offer_starts: Mapping[str, int]) -> list[CitedClaim]:
    """Return the first claims: one per paper before a second of any, none of papers far below the best.

    Of one paper, claims about its own work come before those about the background.
    """
    score = {h.paper_id: h.score for h in answer.hits}
    minimum = max(score.values()) - LIST_MARGIN
    by_paper: dict[str, list[CitedClaim]] = {}
    for cited in split_claims(answer.claims, answer.citations):
        by_paper.setdefault(cited.citations[0].paper_id, []).append(cited)
    turns: list[tuple[int, int, CitedClaim]] = []
    for position, (paper_id, claims) in enumerate(by_paper.items()):
        if score[paper_id] >= minimum:
            offer_start = offer_starts.get(paper_id, 0)
            claims.sort(key=lambda c: c.citations[0].start < offer_start)
            turns += [(turn, position, cited) for turn, cited in enumerate(claims)]
    first = sorted(turns, key=lambda t: t[:2])[:MAX_SENTENCES]
    return [cited for _, _, cited in sorted(first, key=lambda t: (t[1], t[2].citations[0].start))]
