"""The one answer pipeline: question → hits → readings → sentences → checked Answer.

Every interface (``ask()``, the chat loop, later the digest and the web page) goes through
`Pipeline`; it knows a library and an encoder only by the small protocols below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from paperagent.answering import abstention, citations, conversation
from paperagent.retrieval import evidence, scoring
from paperagent.retrieval.question import Kind, Question, prepare
from paperagent.text.injection import looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms, is_english
from paperagent.types import RETRACTED, Answer, Citation, Encoded, Event, Filters, Hit, Paper, Sentence

if TYPE_CHECKING:
    from paperagent.types import Vector

NAMED_AMONG = 40
"""Papers below the best ones whose titles are looked for in the question."""
DEFAULT_K = 10
"""Papers that an answer names as retrieved."""
POOL, LARGE_POOL = 12, 24
"""Papers that are read for one question, in a small and in a large library. Reading 24 instead of 12 cites a
gold paper for .65 of 55 questions instead of .56 among 75,000 papers, and for no more among 153."""
GLANCE = 3
"""Sentences of a paper that are read before it is known whether the rest is worth it."""
UNRELATED_BELOW = 0.25
"""Similarity of the closest sentence below which the library has nothing on the topic."""
FOLLOW_UP_GAP = 0.15
"""A question whose best paper stands out less than this is searched with its context."""
_SNIPPET = 300


class Library(Protocol):
    """What answering needs of a store."""

    def count(self) -> int:
        """Return the number of papers."""
        ...

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return papers, average length in terms and the document frequency of each stem."""
        ...

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return known stems within an edit distance, most frequent first."""
        ...

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> Sequence[scoring.Scored]:
        """Return what the two indexes nominate."""
        ...

    def get_many(self, paper_ids: Iterable[str]) -> Mapping[str, Paper]:
        """Return the papers by id."""
        ...


class Encoder(Protocol):
    """Encodes texts, each alone."""

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return vector and token states of each text."""
        ...


class QueryEmbedder(Protocol):
    """Embeds queries into the space of the library's vectors."""

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield one unit vector a text."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A question with everything that shapes its answer."""

    question: str
    history: tuple[conversation.Turn, ...] = ()
    k: int = DEFAULT_K
    filters: Filters = field(default_factory=Filters)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval found for a question."""

    hits: tuple[Hit, ...]
    """By falling retrieval score, not yet read."""
    stats: scoring.CorpusStats
    encoded: Encoded | None
    context: Encoded | None
    """The question with its conversation, where that was searched too."""
    agree: bool
    gap: float


@dataclass(frozen=True, slots=True)
class Extract:
    """An extractive answer with what it was read from."""

    answer: Answer
    question: Question | None = None
    readings: tuple[evidence.Reading, ...] = ()
    """Of the papers read, best first; of those further down only the most promising sentences."""
    context: Encoded | None = None
    doubtful: bool = False
    """Whether the answer may miss the question, and says so."""

    @property
    def hopeless(self) -> bool:
        """Whether the library certainly has nothing on this, so that no model need be asked.

        It is not certain by words alone, nor of a question in another language than English, which
        the encoder does not read: a model can search in other words.
        """
        if self.answer.reason != "no_evidence" or self.question is None or not self.readings:
            return self.answer.reason in ("no_evidence", "empty_library")
        return self.question.encoded is not None and is_english(self.question.text)


class Pipeline:
    """Searches and answers over one library."""

    def __init__(
        self,
        library: Library,
        *,
        encoder: Encoder | None,
        embedder: QueryEmbedder | None = None,
        thresholds: abstention.Thresholds | None = None,
    ) -> None:
        """Take an encoder for reading and, where its vectors are another's, an embedder for search."""
        self._library = library
        self._encoder = encoder
        self._embedder = embedder
        self._thresholds = thresholds
        self._read: dict[str, Encoded] = {}

    def holds_papers(self) -> bool:
        """Tell whether there is anything to answer from."""
        return self._library.count() > 0

    # --- search ---

    def search(self, query: str, *, k: int, filters: Filters) -> list[Hit]:
        """Return the ``k`` best papers for a query, each with its most telling sentence."""
        terms, stats = self._query(query, self._vector(query))
        candidates = self._nominate(terms, filters, k)
        ranked = scoring.rank(candidates, terms, stats)
        hits = self._with_named(query, ranked, candidates, k)
        wanted = [(stem, stats.idf(stem)) for stem in terms.stems]
        return [_with_snippet(h, wanted) for h in hits]

    def _vector(self, text: str, encoded: Encoded | None = None) -> Vector | None:
        if self._embedder is not None:
            return next(iter(self._embedder.embed([text])))
        if encoded is None and self._encoder is not None:
            encoded = self._encoder.encode([text])[0]
        return encoded.vector if encoded else None

    def _query(self, text: str, vector: Vector | None) -> tuple[scoring.Query, scoring.CorpusStats]:
        """Turn text into query terms, mending words that the library does not know."""
        wanted = scoring.query_stems(text)
        stats = self._stats({*wanted, *index_terms(text)})
        stems = scoring.mend_spelling(wanted, stats.frequency, self._library.similar_stems)
        if stems != wanted:
            stats = self._stats({*stems, *index_terms(text)})
        return scoring.Query(tuple(stems), vector), stats

    def _stats(self, stems: Collection[str]) -> scoring.CorpusStats:
        return scoring.CorpusStats(*self._library.corpus_stats(sorted(stems)))

    def _nominate(self, query: scoring.Query, filters: Filters, k: int) -> Sequence[scoring.Scored]:
        return self._library.candidates(
            stems=query.stems, vector=query.vector, limit=max(scoring.CANDIDATES, k), filters=filters
        )

    def _with_named(
        self,
        text: str,
        ranked: Sequence[scoring.Ranked],
        candidates: Sequence[scoring.Scored],
        k: int,
    ) -> list[Hit]:
        """Return the ``k`` best hits, those that the question names raised."""
        named = scoring.could_be_named(candidates, text)
        further = [r for r in ranked[k:] if r.paper_id in named][:NAMED_AMONG]
        return scoring.raise_named(self._hits([*ranked[:k], *further]), text)[:k]

    def _hits(self, ranked: Sequence[scoring.Ranked]) -> list[Hit]:
        papers = self._library.get_many([r.paper_id for r in ranked])
        known = [r for r in ranked if r.paper_id in papers]
        return [
            Hit(papers[r.paper_id], r.score, i, r.lexical, r.vector) for i, r in enumerate(known, start=1)
        ]

    # --- answers ---

    def stream(self, request: Request) -> Iterator[Event]:
        """Answer extractively, yielding ``retrieved``, each ``claim`` as it is chosen, and ``done``."""
        answer = self.extract(request).answer
        if answer.reason != "empty_library":
            yield Event("retrieved", hits=answer.hits)
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def extract(self, request: Request) -> Extract:
        """Answer extractively, and return with the answer what it was read from."""
        clock = Clock()
        if not self.holds_papers():
            return Extract(_empty_library(request, clock))
        found = self.find(request)
        clock.lap("retrieve")
        if not found.hits:
            return Extract(_nothing_found(request, clock))
        question, readings = self.read(request, found)
        hits = _reordered(found.hits, readings)[: request.k]
        if not readings:
            return Extract(replace(_nothing_found(request, clock), hits=hits), question)
        answer = self._write(request, question, readings[: request.k], found)
        clock.lap("generate")
        suspicious = suspicion_notes(r.hit.paper for r in readings[: request.k])
        gone = withdrawal_notes(answer.citations, (h.paper for h in hits))
        answer = replace(answer, hits=hits, notes=(*request.notes, *answer.notes, *gone, *suspicious))
        citations.verify(answer, self._library.get_many([c.paper_id for c in answer.citations]))
        clock.lap("verify")
        answer = replace(answer, timings_ms=clock.total())
        return Extract(answer, question, tuple(readings), found.context, doubtful=_DOUBTFUL in answer.notes)

    def whole(self, extract: Extract, hits: Sequence[Hit]) -> list[evidence.Reading]:
        """Read papers whole for the question of an extract; what it encoded is not encoded again."""
        if extract.question is None:
            return []
        known = {r.hit.paper_id: r.hit for r in extract.readings}  # whose scores are those of the search
        papers = [(known.get(h.paper_id, h), tuple(split_sentences(h.paper.abstract))) for h in hits]
        return self._read_whole(extract.question, [p for p in papers if p[1]], extract.context)

    def find(self, request: Request) -> Found:
        """Search for the question; with history and a question that leans on it, in context too."""
        text = request.question
        encoded = self._encoder.encode([text])[0] if self._encoder else None
        query, stats = self._query(text, self._vector(text, encoded))
        candidates = list(self._nominate(query, request.filters, request.k))
        ranked = scoring.rank(candidates, query, stats)
        context, naming = None, text
        leans = bool(request.history) and conversation.refers_back(text)
        if request.history and (leans or scoring.gap(ranked or [_NONE]) < FOLLOW_UP_GAP):
            wider = conversation.in_context(text, request.history)
            context = self._encoder.encode([wider])[0] if self._encoder else None
            query_wide, stats_wide = self._query(wider, self._vector(wider, context))
            candidates = _union(candidates, self._nominate(query_wide, request.filters, request.k))
            ranked = scoring.blend(
                scoring.rank(candidates, query, stats), scoring.rank(candidates, query_wide, stats_wide)
            )
            naming = wider if leans else text  # "it" may be what the last turn named
        hits = self._with_named(naming, ranked, candidates, max(request.k, _pool(stats)))
        return Found(
            tuple(hits), stats, encoded, context, _sides_agree(ranked), scoring.gap(ranked or [_NONE])
        )

    def read(self, request: Request, found: Found) -> tuple[Question, list[evidence.Reading]]:
        """Read the best papers and rank them by what they say.

        Encoding is what an answer costs, so it goes in two steps: of each paper the title and its
        most promising sentences, then the papers that came first, whole. That needs half the
        texts of reading all whole, and finds the same (`make eval`).
        """
        question = prepare(request.question, found.encoded, _informativeness(found.stats))
        pool = [h for h in found.hits[: _pool(found.stats)] if h.paper.abstract.strip()]
        papers = [(h, tuple(split_sentences(h.paper.abstract))) for h in pool]
        context = found.context if conversation.refers_back(request.question) else None
        if question.encoded is None:
            return question, evidence.rerank(self._read_whole(question, papers, context))
        chosen = [evidence.promising(question, sentences, GLANCE) for _, sentences in papers]
        glanced = evidence.rerank(self._read_parts(question, papers, chosen, context))
        whole = {r.hit.paper_id for r in glanced[: _WHOLE[question.kind]]}
        chosen = [
            set(range(len(sentences))) if hit.paper_id in whole else some
            for (hit, sentences), some in zip(papers, chosen, strict=True)
        ]
        return question, evidence.rerank(self._read_parts(question, papers, chosen, context))

    def _read_whole(
        self,
        question: Question,
        papers: Sequence[tuple[Hit, tuple[Sentence, ...]]],
        context: Encoded | None,
    ) -> list[evidence.Reading]:
        if question.encoded is None:
            return evidence.read_all(question, papers, None)
        every = [range(len(sentences)) for _, sentences in papers]
        return self._read_parts(question, papers, every, context)

    def _read_parts(
        self,
        question: Question,
        papers: Sequence[tuple[Hit, tuple[Sentence, ...]]],
        chosen: Sequence[Collection[int]],
        context: Encoded | None,
    ) -> list[evidence.Reading]:
        """Read of each paper the title and the chosen sentences."""
        wanted = [
            [hit.title, *(s.text if s.index in some else None for s in sentences)]
            for (hit, sentences), some in zip(papers, chosen, strict=True)
        ]
        known = self._encode([text for texts in wanted for text in texts if text is not None])
        encoded = [[None if text is None else known[text] for text in texts] for texts in wanted]
        readings = evidence.read_all(question, papers, encoded)
        return [_in_conversation(r, context, held) for r, held in zip(readings, encoded, strict=True)]

    def _encode(self, texts: Sequence[str]) -> dict[str, Encoded]:
        """Encode texts, keeping those read before."""
        assert self._encoder is not None
        held = self._read  # once: another thread may forget texts meanwhile
        todo = list(dict.fromkeys(t for t in texts if t not in held))
        fresh = dict(zip(todo, self._encoder.encode(todo), strict=True)) if todo else {}
        if fresh:
            self._read = dict(list({**held, **fresh}.items())[-_REMEMBERED:])
        return {t: fresh[t] if t in fresh else held[t] for t in texts}

    def _write(
        self,
        request: Request,
        question: Question,
        readings: Sequence[evidence.Reading],
        found: Found,
    ) -> Answer:
        """Choose sentences, or abstain with the reason."""
        signals = abstention.signals(question, readings, agree=found.agree, gap=found.gap)
        encoder = question.encoded is not None
        sure = abstention.confidence(signals, encoder=encoder)
        needed = self._thresholds or abstention.Thresholds.usual(found.stats.papers, encoder=encoder)
        picks = evidence.select(question, readings)
        cited = _cite(picks, readings)
        if sure < needed.abstain_below:
            return _abstain(request, cited, signals=signals, sure=sure)
        claims = tuple(map(citations.quoted_claim, cited))
        doubtful = sure < needed.doubt_below
        notes = (_DOUBTFUL,) if doubtful else ()
        return Answer(
            question=request.question,
            status="answered",
            reason=None,
            answer=citations.join(claims, cited),
            claims=claims,
            citations=cited,
            confidence=sure,
            notes=notes,
        )


EMPTY_LIBRARY = "The library is empty: read a feed first, with `paperagent ingest SOURCE`."
_DOUBTFUL = "closest passages: the abstracts may not answer this"
NOTHING_FOUND = "The abstracts do not say: no paper in the library matches this question and its filters."

_REMEMBERED = 2_000
"""Texts whose token states are kept in memory, about 45 kB each: a library of two saved pages whole."""
_WHOLE: Mapping[Kind, int] = {"single": 5, "compare": 5, "list": evidence.LIST_PAPERS}
"""Papers that are read whole after the first glance, by the kind of question."""
_NONE = scoring.Ranked("", 0.0, 0.0, None)


class Clock:
    """Milliseconds by stage, on the monotonic clock."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage: it took the time since the last one ended."""
        now = time.perf_counter()
        self._laps[stage] = (now - self._last) * 1000
        self._last = now

    def total(self) -> dict[str, float]:
        """Return the stages and the whole."""
        return {**self._laps, "total": (time.perf_counter() - self._start) * 1000}


def _informativeness(stats: scoring.CorpusStats) -> Callable[[str], float]:
    import math

    return lambda s: math.log(1 + stats.papers / (1 + stats.frequency.get(s, 0)))


def _union(first: Sequence[scoring.Scored], second: Sequence[scoring.Scored]) -> list[scoring.Scored]:
    return list({c.paper_id: c for c in (*first, *second)}.values())


def _sides_agree(ranked: Sequence[scoring.Ranked]) -> bool:
    """Tell whether the lexical and the vector side put the same paper first."""
    seen = [r for r in ranked if r.vector is not None]
    if not seen:
        return False
    by_words = max(seen, key=lambda r: r.lexical)
    by_vector = max(seen, key=lambda r: r.vector or 0.0)
    return by_words.paper_id == by_vector.paper_id


def _reordered(hits: Sequence[Hit], readings: Sequence[evidence.Reading]) -> tuple[Hit, ...]:
    """Return the hits with the read ones first, in their new order and with their new scores."""
    read = [replace(r.hit, score=r.score) for r in readings]
    names = {h.paper_id for h in read}
    rest = [h for h in hits if h.paper_id not in names]
    return tuple(replace(h, rank=i) for i, h in enumerate([*read, *rest], start=1))


def _cite(picks: Sequence[evidence.Pick], readings: Sequence[evidence.Reading]) -> tuple[Citation, ...]:
    return tuple(
        citations.cite(n, readings[p.paper].hit.paper, readings[p.paper].sentences[p.sentence])
        for n, p in enumerate(picks, start=1)
    )


def _abstain(
    request: Request,
    cited: tuple[Citation, ...],
    *,
    signals: abstention.Signals,
    sure: float,
) -> Answer:
    """Say that the abstracts do not say; quote the closest passages where there is a topic at all."""
    unrelated = signals.similarity < UNRELATED_BELOW and signals.coverage < _COVERED
    if unrelated:
        text = "The abstracts do not say: nothing in the library is about this."
        return _abstention(request, "no_evidence", text, confidence=sure)
    text = f"The abstracts do not say: no sentence found answers this.{closest_passages(cited)}"
    return _abstention(request, "not_in_abstracts", text, cited=cited, confidence=sure)


def closest_passages(cited: Sequence[Citation]) -> str:
    """Return the closest passages as text to append to an abstention; empty if there are none."""
    return (
        f" Closest passages:\n\n{citations.join(list(map(citations.quoted_claim, cited)), cited)}"
        if cited
        else ""
    )


_COVERED = 0.6
"""Coverage of the question above which a paper is on its topic even if no sentence is close."""


def _abstention(
    request: Request,
    reason: str,
    text: str,
    *,
    cited: tuple[Citation, ...] = (),
    confidence: float = 0.0,
) -> Answer:
    return Answer(
        question=request.question,
        status="abstained",
        reason=reason,
        answer=text,
        citations=cited,
        confidence=confidence,
    )


def _empty_library(request: Request, clock: Clock) -> Answer:
    answer = _abstention(request, "empty_library", EMPTY_LIBRARY)
    return replace(answer, notes=request.notes, timings_ms=clock.total())


def _pool(stats: scoring.CorpusStats) -> int:
    return round(POOL + scoring.largeness(stats.papers) * (LARGE_POOL - POOL))


def _nothing_found(request: Request, clock: Clock) -> Answer:
    answer = _abstention(request, "no_evidence", NOTHING_FOUND)
    return replace(answer, notes=request.notes, timings_ms=clock.total())


def _in_conversation(
    reading: evidence.Reading, context: Encoded | None, encoded: Sequence[Encoded | None]
) -> evidence.Reading:
    """Let the conversation, where there is one, count for how close a paper is to the topic."""
    if context is None:
        return reading
    closest = max(float(e.vector @ context.vector) for e in encoded if e is not None)
    return replace(reading, similarity=max(reading.similarity, closest))


def claim_events(answer: Answer) -> Iterator[Event]:
    """Yield the claims of a finished answer as events."""
    by_n = {c.n: c for c in answer.citations}
    for claim in answer.claims:
        cited = tuple(by_n[n] for n in claim.citations)
        yield Event("claim", claim=claim, citations=cited, mode=answer.mode)


def suspicion_notes(papers: Iterable[Paper]) -> tuple[str, ...]:
    """Name the papers whose abstracts give orders to whoever processes them."""
    odd = [
        p.title for p in papers if any(looks_like_instruction(s.text) for s in split_sentences(p.abstract))
    ]
    return tuple(f"suspicious: “{title}” holds text that gives orders to its reader" for title in odd)


def withdrawal_notes(cited: Iterable[Citation], papers: Iterable[Paper]) -> tuple[str, ...]:
    """Name the cited papers that were withdrawn or retracted, with the numbers of their citations."""
    gone = {p.paper_id: p for p in papers if p.withdrawn}
    numbers: dict[str, list[int]] = {}
    for citation in cited:
        if citation.paper_id in gone:
            numbers.setdefault(citation.paper_id, []).append(citation.n)
    return tuple(
        f"{word}: {''.join(f'[{n}]' for n in found)} “{paper.title}” was {word} by its {who}"
        for paper_id, found in numbers.items()
        for paper in [gone[paper_id]]
        for word, who in [(RETRACTED, "publisher") if RETRACTED in paper.flags else ("withdrawn", "authors")]
    )


def _with_snippet(hit: Hit, wanted: Sequence[tuple[str, float]]) -> Hit:
    """Return the hit with the sentence that holds most of ``wanted``, the query's stems with their weights.

    Stems are looked for as they are in the lower-cased sentence: nearly all begin their words,
    and it takes a tenth of the time of analysing every sentence of ten papers.
    """

    def held(sentence: Sentence) -> float:
        text = sentence.text.lower()
        return sum([weight for stem, weight in wanted if stem in text])

    sentences = split_sentences(hit.paper.abstract)
    best = max(sentences, key=held).text if sentences else ""  # the first of equals
    return replace(hit, snippet=best if len(best) <= _SNIPPET else best[: _SNIPPET - 1] + "…")
