"""The answer pipeline: question → candidates → ranked papers → selected sentences → verified Answer.

Every interface goes through `Pipeline`. It answers by quoting; `llm_pipeline` and `select_mode`
put a model on top of the papers and sentences that it found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from paperagent.answering import abstention, citations
from paperagent.answering.answers import (
    EMPTY_LIBRARY,
    NOTHING_FOUND,
    StageTimer,
    caveat,
    claim_events,
    injection_notes,
    with_caveat,
    withdrawal_notes,
)
from paperagent.retrieval import evidence, follow_up, scoring
from paperagent.retrieval.conversation import Turn, add_context
from paperagent.retrieval.evidence import PaperMatch
from paperagent.retrieval.names import Name, missing_versions
from paperagent.retrieval.question import Question, QuestionKind
from paperagent.retrieval.question_form import without_switch
from paperagent.retrieval.scoring import RankablePaper, RankedCandidate, SearchQuery, TermStatistics
from paperagent.retrieval.sentence_selection import SelectedSentence, closest_sentences, select_sentences
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms
from paperagent.types import Answer, Citation, Encoded, Event, Filters, Hit, Paper, Sentence

if TYPE_CHECKING:
    from paperagent.types import QueryEmbedder, TokenEncoder, Vector

MAX_NAMED_PAPERS = 40
"""Number of candidates below the best whose titles are searched for in the question."""
DEFAULT_K = 10
"""Maximum number of papers that an answer lists as retrieved."""
RERANK_DEPTH, LARGE_RERANK_DEPTH = 12, 24
"""Papers that are reranked for one question, in a small and in a large library. 24 instead of 12 cites a
gold paper for .65 of 55 questions instead of .56 among 75,000 papers, and for no more among 153."""
PRESELECTED_SENTENCES = 3
"""Sentences per paper that are matched first, to decide whether the others are worth matching."""
_CACHED_TEXTS = 2_000
"""Texts whose token states are cached, about 45 kB each: enough for a library of two saved pages."""
_NAME_CANDIDATES = 100
"""Papers in which a name is looked for that the hits lack."""
_FULLY_MATCHED_PAPERS: Mapping[QuestionKind, int] = {"single": 5, "compare": 5, "list": 6}
"""Papers whose sentences are all matched after the preselection, by the kind of question."""
_NO_CANDIDATE = RankedCandidate("", 0.0, 0.0, None)

PaperSentences = tuple[Hit, tuple[Sentence, ...]]
"""A paper's hit and the sentences of its abstract."""


class SearchableLibrary(TermStatistics, Protocol):
    """The part of a library that answering uses. Implemented by the stores and by `PeriodLibrary`."""

    def count(self) -> int:
        """Return the number of papers."""
        ...

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> Sequence[RankablePaper]:
        """Return the candidates that the indexes retrieve."""
        ...

    def get_many(self, paper_ids: Iterable[str]) -> Mapping[str, Paper]:
        """Return the papers that exist, by id."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question with everything that shapes its answer."""

    question: str
    history: tuple[Turn, ...] = ()
    k: int = DEFAULT_K
    filters: Filters = field(default_factory=Filters)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrievedPapers:
    """The papers retrieved for a question, before reranking."""

    question: Question
    hits: tuple[Hit, ...]
    """By descending retrieval score."""
    referred_to: frozenset[str]
    """The ids of the papers cited earlier that the question may refer to."""
    indexes_agree: bool
    """Whether words and vectors put the same paper first."""
    gap: float
    """Lead of the best paper's score over the next five."""

    def is_aside(self, paper_id: str) -> bool:
        """Return whether the question clearly refers to other papers."""
        return self.question.is_follow_up and paper_id not in self.referred_to

    def ranked(self, matches: Sequence[PaperMatch]) -> list[PaperMatch]:
        """Return the matches by descending score, those that the question clearly refers to first."""
        return sorted(evidence.rank_matches(matches), key=lambda m: self.is_aside(m.hit.paper_id))


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """An answer of quoted sentences, with the matches that it was made from."""

    answer: Answer
    question: Question | None = None
    matches: tuple[PaperMatch, ...] = ()
    """The reranked papers, best first; further down only with their preselected sentences."""

    @property
    def is_off_topic(self) -> bool:
        """Whether the library certainly has nothing on this, so that no model need be asked.

        That is not certain without an encoder, nor for a question that is not in English, which the
        encoder does not understand: a model can search in other words.
        """
        if self.answer.reason != "no_evidence" or self.question is None or not self.matches:
            return self.answer.reason in ("no_evidence", "empty_library")
        return self.question.encoded is not None and self.question.is_english


class Pipeline:
    """Searches one library and answers from it."""

    def __init__(
        self,
        library: SearchableLibrary,
        *,
        encoder: TokenEncoder | None,
        embedder: QueryEmbedder | None = None,
        thresholds: abstention.Thresholds | None = None,
    ) -> None:
        """Create a pipeline.

        Args:
            library: The papers to search.
            encoder: Gives the token states for reranking; None to match stems.
            embedder: Embeds queries, if the library's vectors are not those of ``encoder``.
            thresholds: Confidence that answers need; None for defaults by the library's size.
        """
        self._library = library
        self._encoder = encoder
        self._embedder = embedder
        self._thresholds = thresholds
        self._states: dict[str, Encoded] = {}

    def has_papers(self) -> bool:
        """Return whether there is anything to answer from."""
        return self._library.count() > 0

    # --- search ---

    def search(self, query: str, *, k: int, filters: Filters) -> list[Hit]:
        """Return the ``k`` best papers for a query, each with its best sentence as a snippet."""
        question = self._analyze(query, encode=self._embedder is None)
        candidates = self._candidates(question.query, filters, k)
        ranked = scoring.rank(candidates, question.query)
        hits = self._top_hits(query, ranked, candidates, k)
        weights = [(stem, question.query.stats.idf(stem)) for stem in question.query.stems]
        return [evidence.with_snippet(h, weights) for h in hits]

    def _analyze(self, text: str, *, encode: bool = True) -> Question:
        """Return the analyzed question, with its token states if they are needed."""
        encoded = self._encoder.encode([text])[0] if encode and self._encoder else None
        vector = encoded.vector if encoded else None
        if self._embedder is not None:
            vector = next(iter(self._embedder.embed([text])))
        return Question.analyze(text, self._library, encoded=encoded, vector=vector)

    def _candidates(self, query: SearchQuery, filters: Filters, k: int) -> Sequence[RankablePaper]:
        limit = max(scoring.MIN_CANDIDATES, k)
        return self._library.candidates(stems=query.stems, vector=query.vector, limit=limit, filters=filters)

    def _top_hits(
        self, text: str, ranked: Sequence[RankedCandidate], candidates: Sequence[RankablePaper], k: int
    ) -> list[Hit]:
        """Return the ``k`` best hits, with a bonus for papers that the text names."""
        named = scoring.possibly_named(candidates, text)
        further = [r for r in ranked[k:] if r.paper_id in named][:MAX_NAMED_PAPERS]
        return scoring.boost_named_papers(self._hits([*ranked[:k], *further]), text)[:k]

    def _hits(self, ranked: Sequence[RankedCandidate]) -> list[Hit]:
        papers = self._library.get_many([r.paper_id for r in ranked])
        existing = [r for r in ranked if r.paper_id in papers]
        return [
            Hit(papers[r.paper_id], r.score, rank, r.lexical, r.vector)
            for rank, r in enumerate(existing, start=1)
        ]

    # --- answers ---

    def stream(self, request: AnswerRequest) -> Iterator[Event]:
        """Answer by quoting: yield ``retrieved``, each ``claim``, and ``done``."""
        answer = self.extract(request).answer
        if answer.reason != "empty_library":
            yield Event("retrieved", hits=answer.hits)
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def extract(self, request: AnswerRequest) -> ExtractiveAnswer:
        """Answer by quoting, and return the answer with the matches that it was made from."""
        timer = StageTimer()
        if not self.has_papers():
            return ExtractiveAnswer(_without_papers(request, "empty_library", EMPTY_LIBRARY, timer))
        retrieved = self.retrieve(request)
        timer.end_stage("retrieve")
        if not retrieved.hits:
            return ExtractiveAnswer(_without_papers(request, "no_evidence", NOTHING_FOUND, timer))
        question, matches = retrieved.question, self.rerank(retrieved)
        hits = _reordered(retrieved.hits, matches)[: request.k]
        if not matches:
            answer = _without_papers(request, "no_evidence", NOTHING_FOUND, timer)
            return ExtractiveAnswer(replace(answer, hits=hits), question)
        # What another paper says does not answer a question about this one.
        about = [m for m in matches if not retrieved.is_aside(m.hit.paper_id)]
        best = (about or matches)[: request.k]
        answer = replace(self._quote_or_abstain(retrieved, best), question=request.question)
        timer.end_stage("generate")
        notes = (
            *request.notes,
            *withdrawal_notes(answer.citations, (h.paper for h in hits)),
            *injection_notes(m.hit.paper for m in matches[: request.k]),
        )
        answer = replace(answer, hits=hits, notes=notes)
        citations.verify(answer, self._library.get_many([c.paper_id for c in answer.citations]))
        timer.end_stage("verify")
        answer = replace(answer, timings_ms=timer.timings_ms())
        return ExtractiveAnswer(answer, question, tuple(matches))

    def match_fully(self, extractive: ExtractiveAnswer, hits: Sequence[Hit]) -> list[PaperMatch]:
        """Match all sentences of papers with an answer's question. Encoded texts are not encoded again."""
        if extractive.question is None:
            return []
        scored = {m.hit.paper_id: m.hit for m in extractive.matches}  # with the scores of the search
        papers = [(scored.get(h.paper_id, h), tuple(split_sentences(h.paper.abstract))) for h in hits]
        return self._match(extractive.question, [p for p in papers if p[1]])

    def retrieve(self, request: AnswerRequest) -> RetrievedPapers:
        """Search for the question, and raise the papers cited earlier that it refers to.

        It is searched with the last turn, too, if it refers to one, but not to papers that were cited.
        """
        question = self._analyze(follow_up.with_item(without_switch(request.question), request.history))
        candidates = list(self._candidates(question.query, request.filters, request.k))
        ranked = scoring.rank(candidates, question.query)
        history, cited = self._cited_papers(request)
        reference = follow_up.resolve(
            request.question, history, cited, ranked[0].paper_id if ranked else None, _gap(ranked)
        )
        if reference.beside is not None:
            similar = self.search(cited[reference.beside].title, k=2, filters=request.filters)
            related = [h.paper_id for h in similar if h.paper_id != reference.beside][:1]
            reference = replace(reference, bonus=dict.fromkeys(related, follow_up.BONUS["exact"]))
        elif reference.needs_context:
            with_context = self._analyze(add_context(question.text, request.history))
            further = self._candidates(with_context.query, request.filters, request.k)
            candidates = list({c.paper_id: c for c in (*candidates, *further)}.values())
            ranked = scoring.blend_rankings(
                scoring.rank(candidates, question.query), scoring.rank(candidates, with_context.query)
            )
        hits = self._top_hits(question.text, ranked, candidates, max(request.k, _rerank_depth(question)))
        if reference.bonus:
            others = [h for h in hits if h.paper_id not in reference.bonus]
            reference = follow_up.moved_to_named(reference, question, others, cited)
            further_hits = self._hits(scoring.scores_of(reference.bonus, ranked))
            hits = scoring.boost(hits, further_hits, reference.bonus)
        return RetrievedPapers(
            replace(
                question,
                refers_to=len(reference.bonus) if reference.is_clear else 0,
                missing=(*question.missing, *self._missing_versions(question, hits)),
            ),
            tuple(hits),
            frozenset(i for i, bonus in reference.bonus.items() if bonus > 0),
            scoring.indexes_agree(ranked),
            _gap(ranked),
        )

    def _missing_versions(self, question: Question, hits: Sequence[Hit]) -> list[Name]:
        """Return the names with a version, such as GPT-5, that neither the hits nor other papers contain."""
        missing = []
        for name in missing_versions(question.text, [f"{h.title}. {h.paper.abstract}" for h in hits]):
            candidates = self._library.candidates(
                stems=index_terms(name.text), vector=None, limit=_NAME_CANDIDATES, filters=Filters()
            )
            papers = self._library.get_many([c.paper_id for c in candidates]).values()
            missing += missing_versions(name.text, [f"{p.title}. {p.abstract}" for p in papers])
        return missing

    def _cited_papers(self, request: AnswerRequest) -> tuple[tuple[Turn, ...], Mapping[str, Paper]]:
        """Return the history, and the papers of its latest turns that the filters admit."""
        history = self.with_papers(request.history)
        recent = history[-follow_up.WINDOW :]
        ids = dict.fromkeys(i for turn in recent for i in (*turn.papers, *turn.retrieved))
        papers = self._library.get_many(ids) if ids else {}
        return history, {i: paper for i, paper in papers.items() if request.filters.admits(paper)}

    def with_papers(self, history: Sequence[Turn]) -> tuple[Turn, ...]:
        """Return the turns. If only their text is known, the last two get the papers that it names."""
        return follow_up.with_papers(history, lambda text: self.search(text, k=DEFAULT_K, filters=Filters()))

    def rerank(self, retrieved: RetrievedPapers) -> list[PaperMatch]:
        """Match the best papers with the question and rank them by how well they match.

        Encoding is most of the cost of an answer, so it takes two steps: first the title and preselected
        sentences of each paper, then all sentences of the best papers. That encodes half as many texts as
        matching everything, and finds the same (`make eval`).
        """
        question = retrieved.question
        readable = [h for h in retrieved.hits if h.paper.abstract.strip()]
        hits = sorted(readable, key=lambda h: retrieved.is_aside(h.paper_id))[: _rerank_depth(question)]
        papers = [(h, tuple(split_sentences(h.paper.abstract))) for h in hits]
        if question.encoded is None:
            return retrieved.ranked(self._match(question, papers))
        selected: list[Collection[int]] = [
            evidence.preselect_sentences(question, sentences, PRESELECTED_SENTENCES)
            for _, sentences in papers
        ]
        preliminary = evidence.rank_matches(self._match(question, papers, selected))
        fully = {m.hit.paper_id for m in preliminary[: _FULLY_MATCHED_PAPERS[question.kind]]}
        fully |= retrieved.referred_to
        selected = [
            range(len(sentences)) if hit.paper_id in fully else preselected
            for (hit, sentences), preselected in zip(papers, selected, strict=True)
        ]
        return retrieved.ranked(self._match(question, papers, selected))

    def _match(
        self,
        question: Question,
        papers: Sequence[PaperSentences],
        selected: Sequence[Collection[int]] | None = None,
    ) -> list[PaperMatch]:
        """Match papers with a question.

        Args:
            question: The question.
            papers: The papers.
            selected: Per paper the indexes of the sentences to encode; None for all.
        """
        if question.encoded is None:
            return evidence.match_papers(question, papers, None)
        if selected is None:
            selected = [range(len(sentences)) for _, sentences in papers]
        texts = [
            [hit.title, *(s.text if s.index in indexes else None for s in sentences)]
            for (hit, sentences), indexes in zip(papers, selected, strict=True)
        ]
        states = self._encode([text for paper_texts in texts for text in paper_texts if text is not None])
        encoded = [[None if text is None else states[text] for text in paper_texts] for paper_texts in texts]
        return evidence.match_papers(question, papers, encoded)

    def _encode(self, texts: Sequence[str]) -> dict[str, Encoded]:
        """Return the token states of texts, cached."""
        assert self._encoder is not None
        cached = self._states  # read once: another thread may replace it meanwhile
        missing = list(dict.fromkeys(t for t in texts if t not in cached))
        new = dict(zip(missing, self._encoder.encode(missing), strict=True)) if missing else {}
        if new:
            self._states = dict(list({**cached, **new}.items())[-_CACHED_TEXTS:])
        return {t: new[t] if t in new else cached[t] for t in texts}

    def _quote_or_abstain(self, retrieved: RetrievedPapers, matches: Sequence[PaperMatch]) -> Answer:
        """Quote the best sentences if the confidence is high enough; otherwise with a caveat, or abstain."""
        question = retrieved.question
        signals = abstention.answerability_signals(
            question, matches, indexes_agree=retrieved.indexes_agree, gap=retrieved.gap
        )
        has_encoder = question.encoded is not None
        is_referred_to = question.is_follow_up and matches[0].hit.paper_id in retrieved.referred_to
        confidence = abstention.confidence(signals, encoder=has_encoder, follow_up=is_referred_to)
        thresholds = self._thresholds or abstention.Thresholds.default(
            question.query.stats.papers, encoder=has_encoder
        )
        selected = select_sentences(question, matches)
        missing_names = abstention.names_missing(question, matches)
        # What papers say of GPT-4 does not answer a question about GPT-5.
        is_doubtful = confidence < thresholds.doubt_below or any(n.is_version for n in missing_names)
        cited = _cite(closest_sentences(question, selected) if is_doubtful else selected, matches)
        missing = abstention.describe_missing(missing_names)
        # Of a question in another language, only names and cognates are understood.
        is_half_understood = question.is_foreign and bool(matches[0].hit.lexical)
        abstain_below = thresholds.abstain_below * (abstention.FOLLOW_UP_FACTOR if is_referred_to else 1)
        if abstention.is_unknown(question):
            return abstention.abstain(question, (), signals, 0.0, missing)
        if confidence < abstain_below and not is_half_understood:
            if any(name.is_certain for name in missing_names):
                cited = ()  # sentences on something else would not help
            return abstention.abstain(question, cited, signals, confidence, missing)
        claims = tuple(map(citations.quoted_claim, cited))
        return Answer(
            question=question.text,
            status="doubtful" if is_doubtful else "answered",
            reason="low_confidence" if is_doubtful else None,
            answer=with_caveat(caveat(missing) if is_doubtful else "", citations.join_claims(claims, cited)),
            claims=claims,
            citations=cited,
            confidence=confidence,
        )


def _gap(ranked: Sequence[RankedCandidate]) -> float:
    return scoring.score_gap(ranked or [_NO_CANDIDATE])


def _rerank_depth(question: Question) -> int:
    size = scoring.size_factor(question.query.stats.papers)
    return round(RERANK_DEPTH + size * (LARGE_RERANK_DEPTH - RERANK_DEPTH))


def _reordered(hits: Sequence[Hit], matches: Sequence[PaperMatch]) -> tuple[Hit, ...]:
    """Return the hits with the reranked ones first, in their new order and with their new scores."""
    reranked = [replace(m.hit, score=m.score) for m in matches]
    ids = {h.paper_id for h in reranked}
    others = [h for h in hits if h.paper_id not in ids]
    return tuple(replace(h, rank=rank) for rank, h in enumerate([*reranked, *others], start=1))


def _cite(sentences: Sequence[SelectedSentence], matches: Sequence[PaperMatch]) -> tuple[Citation, ...]:
    return tuple(
        citations.cite(n, matches[s.paper].hit.paper, matches[s.paper].sentences[s.sentence])
        for n, s in enumerate(sentences, start=1)
    )


def _without_papers(request: AnswerRequest, reason: str, text: str, timer: StageTimer) -> Answer:
    """Return the abstention where there is no paper to answer from."""
    return Answer(
        request.question,
        "abstained",
        reason,
        text,
        confidence=0.0,
        notes=request.notes,
        timings_ms=timer.timings_ms(),
    )
