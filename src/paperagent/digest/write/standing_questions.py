"""Standing questions: the pipeline of `ask()` over the papers of one issue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.answering.abstention import Thresholds
from paperagent.digest.issue import CitationNumbering, CitedClaim, StandingAnswer, split_claims
from paperagent.retrieval import scoring
from paperagent.retrieval.evidence import LIST_MARGIN
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Answer, Encoded, Filters, Paper, QueryEmbedder, TokenEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.retrieval.scoring import RankablePaper, TermStatistics
    from paperagent.types import Vector

WORTH_READING, NEAR_THE_BEST, READ = 0.4, 0.5, 3
"""A paper is read for a question if its retrieval score is that high and that near the best one's.

Of the development questions' papers 97 % score .4 or more (median .68). Reading is what a standing
question costs, so at most three are read:
an answer has no more sentences.
"""
SURE = 0.2
"""Confidence below which there is nothing new: asked every week, a question is mostly not answered.

Of 65 development questions on a dozen papers, the right one among them, 90 % are answered, and
without it 16 %; below .13, as for a person who waits for an answer, 95 % and 24 %.
"""
SENTENCES = 3
"""Of an answer, at most."""
_REMEMBERED = 8_000
"""Texts whose states are kept: about 23 kB each."""


def raise_thresholds(kept: Thresholds | None, *, encoder: bool) -> Thresholds:
    """Return what confidence the answer to a standing question needs; ``kept`` are the library's own.

    It is looked for among a few papers, however many the library holds.
    """
    library = kept or Thresholds.default(0, encoder=encoder)
    least = max(library.abstain_below, SURE) if encoder else library.abstain_below
    return Thresholds(least, max(library.doubt_below, least))


class CachingCorpus:
    """The same answers as ``corpus``, each asked for once."""

    def __init__(self, corpus: TermStatistics) -> None:
        self._corpus = corpus
        self._size: tuple[int, float] | None = None
        self._frequency: dict[str, int] = {}
        self._fuzzy: dict[tuple[str, int], Sequence[str]] = {}

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return papers, average length in terms and the document frequency of each stem."""
        todo = [s for s in stems if s not in self._frequency]
        if todo or self._size is None:
            papers, length, fresh = self._corpus.corpus_stats(todo)
            self._size = (papers, length)
            self._frequency.update(fresh)
        return *self._size, {s: self._frequency[s] for s in stems}

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return known stems within an edit distance, most frequent first."""
        if (stem, distance) not in self._fuzzy:
            self._fuzzy[stem, distance] = self._corpus.similar_stems(stem, distance)
        return self._fuzzy[stem, distance]


@dataclass(frozen=True, slots=True)
class TermsOnlyPaper:
    """A paper by its words alone, where the library's vector is not at hand."""

    paper_id: str
    terms: NDArray[np.uint32]
    vector: Vector | None = None

    @classmethod
    def of(cls, paper: Paper) -> TermsOnlyPaper:
        """Return what retrieval needs of a paper."""
        return cls(paper.paper_id, term_ids([*index_terms(paper.title) * 2, *index_terms(paper.abstract)]))


class IssueLibrary:
    """The papers of one issue as `answer.Library`, of which it hands out the few that may answer.

    For one question after another, not for two threads.
    """

    def __init__(
        self, papers: Collection[Paper], held: Mapping[str, RankablePaper], corpus: TermStatistics
    ) -> None:
        self._papers = {p.paper_id: p for p in papers}
        self._held = [held[i] for i in self._papers]
        self._corpus = corpus
        self._readable: set[str] = set()

    def count(self) -> int:
        """Return the number of papers."""
        return len(self._papers)

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return the figures of the whole library, against which abstention was calibrated."""
        return self._corpus.corpus_stats(stems)

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return stems that the whole library knows."""
        return self._corpus.similar_stems(stem, distance)

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> Sequence[RankablePaper]:
        """Return every paper, and remember which are near enough to be read.

        All are nominated, for whether words and vectors agree on the best says how sure an answer is.
        """
        del limit, filters
        if not self._held:
            return []
        stats = scoring.CorpusStats(*self._corpus.corpus_stats(stems))
        ranked = scoring.rank(self._held, scoring.SearchQuery(tuple(stems), vector, stats))
        least = max(WORTH_READING, ranked[0].score - NEAR_THE_BEST)
        self._readable = {r.paper_id for r in ranked[:READ] if r.score >= least}
        return self._held

    def get_many(self, paper_ids: Iterable[str]) -> Mapping[str, Paper]:
        """Return by id those papers that are worth reading for what was last searched."""
        return {i: self._papers[i] for i in paper_ids if i in self._readable}


class CachingEncoder:
    """Encodes each text once for all readers; states are kept at half precision."""

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Encoded] = {}

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return vector and token states of each text, the same whether or not it was known."""
        import numpy as np

        todo = list(dict.fromkeys(t for t in texts if t not in self._known))
        fresh = zip(todo, self._encoder.encode(todo) if todo else (), strict=True)
        held = {t: self._known.pop(t) for t in dict.fromkeys(texts) if t in self._known}
        held |= {t: replace(e, states=e.states.astype(np.float16)) for t, e in fresh}
        self._known |= held  # at the end: what was not asked for longest stands first
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return [replace(held[t], states=held[t].states.astype(np.float32)) for t in texts]


class CachingEmbedder:
    """Embeds each question once for all readers."""

    def __init__(self, embedder: QueryEmbedder) -> None:
        self._embedder = embedder
        self._known: dict[str, Vector] = {}

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield one unit vector a text."""
        todo = list(dict.fromkeys(t for t in texts if t not in self._known))
        self._known.update(zip(todo, self._embedder.embed(todo) if todo else (), strict=True))
        return [self._known[t] for t in texts]


def shorten_answer(
    answer: Answer, numbers: CitationNumbering, background: Mapping[str, int]
) -> StandingAnswer:
    """Return an answer as an issue shows it: a few sentences, none where there is nothing new.

    ``background`` says where in each paper's abstract its own work begins.
    """
    if answer.status != "answered":
        return StandingAnswer(answer.question)
    claims = [one for one in _few(answer, background) if one.claim.support not in ("unsupported", "uncited")]
    doubt = " ".join(n for n in answer.notes if n.startswith("closest passages"))
    return StandingAnswer(answer.question, tuple(map(numbers.take, claims)), doubt)


def _few(answer: Answer, background: Mapping[str, int]) -> list[CitedClaim]:
    """Return the first sentences, one a paper before a second of any, and a paper's own work first.

    None of papers far below the best.
    """
    score = {h.paper_id: h.score for h in answer.hits}
    least = max(score.values()) - LIST_MARGIN
    of_paper: dict[str, list[CitedClaim]] = {}
    for one in split_claims(answer.claims, answer.citations):
        of_paper.setdefault(one.citations[0].paper_id, []).append(one)
    turns: list[tuple[int, int, CitedClaim]] = []
    for place, (paper, said) in enumerate(of_paper.items()):
        if score[paper] >= least:
            said.sort(key=lambda one: one.citations[0].start < background.get(one.citations[0].paper_id, 0))
            turns += [(turn, place, one) for turn, one in enumerate(said)]
    kept = sorted(turns, key=lambda t: t[:2])[:SENTENCES]
    return [one for _, _, one in sorted(kept, key=lambda t: (t[1], t[2].citations[0].start))]
