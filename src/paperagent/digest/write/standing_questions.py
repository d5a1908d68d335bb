"""Answer standing questions with the pipeline of ``ask()``, from all papers of the period that may be shown.

The answers come first: a paper enters an issue for a question only if the answer cites it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paperagent.answering.abstention import Thresholds
from paperagent.answering.direct_answers import direct_sentences
from paperagent.answering.pipeline import AnswerRequest, ExtractiveAnswer, Pipeline
from paperagent.digest.issue import CitedClaim, QuestionAnswer, quote_sentence, split_claims
from paperagent.retrieval.scoring import CorpusStats
from paperagent.retrieval.sentence_selection import LIST_MARGIN
from paperagent.text.discourse import standalone
from paperagent.types import Answer, Encoded, Filters, Paper, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.preferences import Preferences
    from paperagent.digest.select.candidates import PeriodIndex
    from paperagent.digest.write.highlights import Highlights
    from paperagent.digest.write.writer import DigestLLM
    from paperagent.retrieval.scoring import RankablePaper, TermStatistics
    from paperagent.types import QueryEmbedder, TokenEncoder, Vector

    Mask = NDArray[np.bool_]

MIN_SCORE, SCORE_MARGIN, MAX_READ = 0.4, 0.5, 4
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
MIN_SPECIFIC_WORDS, OUTSTANDING_LEAD = 5, 0.4
"""Topic words of a question, and lead of the best paper's score over all others, from which its best sentence
is an answer in other words.
"""
MAX_SENTENCES = 3
_MAX_CACHED_TEXTS = 8_000
"""Texts in the encoder's cache: about 23 kB each."""


class StandingQuestions:
    """Answers the standing questions of all subscribers from the papers of one period. Not thread-safe."""

    def __init__(
        self,
        index: PeriodIndex,
        statistics: TermStatistics,
        describe: Callable[[Paper], Highlights | None],
        *,
        encoder: TokenEncoder | None = None,
        embedder: QueryEmbedder | None = None,
        llm: DigestLLM | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Create the answerer.

        Args:
            index: The papers of the period.
            statistics: The library's term statistics.
            describe: Returns the sentences by which an issue describes a paper; None if it cannot show it.
            encoder: Encodes sentences.
            embedder: Embeds questions, if the library's vectors are not those of ``encoder``.
            llm: The model that answers; None to quote sentences.
            thresholds: The library's own confidence thresholds, if it has any.
        """
        self._index = index
        self._corpus = CachingCorpus(statistics)
        self._describe = describe
        self._encoder = CachingEncoder(encoder) if encoder else None
        self._embedder = CachingEmbedder(embedder) if embedder else None
        self._llm = llm
        self._thresholds = raise_thresholds(thresholds, encoder=encoder is not None)
        self._answers: dict[tuple[str, bytes, bool], QuestionAnswer] = {}

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        """Encode the questions of many subscribers at once. This only saves time."""
        questions = list(dict.fromkeys(question for p in preferences for question in p.questions))
        if self._encoder is not None:
            self._encoder.encode(questions)
        if self._embedder is not None:
            self._embedder.embed(questions)

    def answers(
        self, questions: Sequence[str], eligible: Mask, *, quoted: bool = False
    ) -> tuple[QuestionAnswer, ...]:
        """Answer each question once for all subscribers with the same eligible papers.

        Args:
            questions: The questions.
            eligible: Which papers of the index may be cited, shape [n].
            quoted: Whether to quote sentences even if there is a model.
        """
        return tuple(self._cached_answer(question, eligible, quoted=quoted) for question in questions)

    def _cached_answer(self, question: str, eligible: Mask, *, quoted: bool) -> QuestionAnswer:
        import numpy as np

        key = (question, np.packbits(eligible).tobytes(), quoted)
        if key not in self._answers:
            self._answers[key] = self._answer(question, eligible, quoted=quoted)
        return self._answers[key]

    def _answer(self, question: str, eligible: Mask, *, quoted: bool) -> QuestionAnswer:
        """Answer with the model if possible, otherwise with quoted sentences."""
        library = PeriodLibrary(self._index, eligible, self._corpus)
        pipeline = Pipeline(
            library, encoder=self._encoder, embedder=self._embedder, thresholds=self._thresholds
        )
        request = AnswerRequest(question)
        answer = self._llm.answer(pipeline, request) if self._llm and not quoted else None
        if answer is not None and answer.status in ("answered", "doubtful", "abstained"):
            return QuestionAnswer(question, self._best_claims(answer), answer.usage)
        claims = self._direct_quotes(pipeline.extract(request))
        return QuestionAnswer(question, claims, answer.usage if answer else Usage())

    def _direct_quotes(self, extractive: ExtractiveAnswer) -> tuple[CitedClaim, ...]:
        """Return one sentence of each paper that answers the question; none if the confidence is too low.

        If no sentence answers in the question's words, the best sentence of a paper that stands out does.
        """
        answer, matches = extractive.answer, extractive.matches
        if answer.status != "answered" or extractive.question is None:
            return ()
        quotes = [
            quote_sentence(matches[s.paper].hit.paper, standalone(matches[s.paper].sentences[s.sentence]))
            for s in direct_sentences(extractive.question, matches)
            if self._describe(matches[s.paper].hit.paper)
        ]
        if not quotes and _stands_out(extractive) and self._describe(matches[0].hit.paper):
            quotes = split_claims(answer.claims[:1], answer.citations)
        return tuple(quotes[:MAX_SENTENCES])

    def _best_claims(self, answer: Answer) -> tuple[CitedClaim, ...]:
        """Return the first claims of a model's answer; none if it is doubtful or says nothing.

        One per paper comes before a second of any, and none of papers far below the best. Of one paper,
        claims about its own work come before those about the background.
        """
        if answer.status != "answered":
            return ()
        score = {h.paper_id: h.score for h in answer.hits}
        minimum = max(score.values()) - LIST_MARGIN
        by_paper: dict[str, list[CitedClaim]] = {}
        for cited in split_claims(answer.claims, answer.citations):
            if cited.claim.support not in ("unsupported", "uncited"):
                by_paper.setdefault(cited.citations[0].paper_id, []).append(cited)
        offer_starts = self._offer_starts(answer)
        turns: list[tuple[int, int, CitedClaim]] = []
        for position, (paper_id, claims) in enumerate(by_paper.items()):
            if score[paper_id] >= minimum:
                own = [c for c in claims if c.paper_ids <= offer_starts.keys()]
                own.sort(key=lambda c: c.citations[0].start < offer_starts[c.citations[0].paper_id])
                turns += [(turn, position, cited) for turn, cited in enumerate(own)]
        first = sorted(turns, key=lambda t: t[:2])[:MAX_SENTENCES]
        return tuple(c for _, _, c in sorted(first, key=lambda t: (t[1], t[2].citations[0].start)))

    def _offer_starts(self, answer: Answer) -> dict[str, int]:
        """Return where the own work of each cited paper begins in its abstract, after the background.

        Papers that an issue cannot show are left out.
        """
        cited = {c.paper_id for c in answer.citations}
        described = ((h.paper_id, self._describe(h.paper)) for h in answer.hits if h.paper_id in cited)
        return {paper_id: sentences.offer.start for paper_id, sentences in described if sentences}


def _stands_out(extractive: ExtractiveAnswer) -> bool:
    """Return whether one paper matches a specific question far better than all others of the period."""
    if extractive.question is None or len(extractive.question.content_weights) < MIN_SPECIFIC_WORDS:
        return False
    best, *others = (m.score for m in extractive.matches)
    return best - max(others, default=0.0) >= OUTSTANDING_LEAD


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


class PeriodLibrary:
    """The papers of a period that may be shown, as the library that the answering pipeline searches.

    Only the papers that are closest to the first search, that of the question, are read.
    """

    def __init__(self, index: PeriodIndex, eligible: Mask, corpus: CachingCorpus) -> None:
        """Take the papers, which of them may be shown (shape [n]), and the whole library's statistics."""
        self._index = index
        self._eligible = eligible
        self._corpus = corpus
        self._readable: dict[str, Paper] | None = None

    def count(self) -> int:
        """Return the number of papers."""
        return int(self._eligible.sum())

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return the statistics of the whole library, for which abstention was calibrated."""
        return self._corpus.corpus_stats(stems)

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return the whole library's stems within an edit distance, most frequent first."""
        return self._corpus.similar_stems(stem, distance)

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> Sequence[RankablePaper]:
        """Return the best papers by words and by vectors."""
        del filters
        stats = CorpusStats(*self._corpus.corpus_stats(stems))
        numbers, scores = self._index.nearest(stems, vector, stats, self._eligible, limit)
        if self._readable is None and numbers:
            minimum = max(MIN_SCORE, scores[0] - SCORE_MARGIN)
            close = [n for n, score in zip(numbers[:MAX_READ], scores, strict=False) if score >= minimum]
            self._readable = {self._index.papers[n].paper_id: self._index.papers[n] for n in close}
        return [self._index.stored[n] for n in numbers]

    def get_many(self, paper_ids: Iterable[str]) -> Mapping[str, Paper]:
        """Return by id the papers that are close enough to the question to be read."""
        readable = self._readable or {}
        return {i: readable[i] for i in paper_ids if i in readable}


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
