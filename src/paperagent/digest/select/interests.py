"""What a reader wants, ready to be scored: each interest and question as a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from paperagent.digest.issue import Profile, Why
from paperagent.retrieval import scoring

if TYPE_CHECKING:
    from paperagent.types import Vector

_HELD = 20_000
"""Queries kept: 30 MB of vectors."""


class Vocabulary(Protocol):
    """What a query needs to know of the library."""

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return papers, average length in terms and the document frequency of each stem."""
        ...

    def fuzzy(self, stem: str, distance: int) -> Sequence[str]:
        """Return known stems within an edit distance, most frequent first."""
        ...


class QueryEmbedder(Protocol):
    """Embeds queries into the space of the library's vectors."""

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield one unit vector a text."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """An interest or a standing question, as it is searched for."""

    why: Why
    stems: tuple[str, ...]
    vector: Vector | None
    stats: scoring.CorpusStats


class Wishes:
    """Turns texts into queries, each different text once."""

    def __init__(self, vocabulary: Vocabulary, embedder: QueryEmbedder | None) -> None:
        self._vocabulary = vocabulary
        self._embedder = embedder
        self._vectors: dict[str, Vector] = {}

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed what many readers want in one go: five times faster than one by one."""
        texts = dict.fromkeys(t for p in profiles for t in (*p.interests, *p.questions))
        self._embed([t for t in texts if t not in self._vectors])

    def of(self, profile: Profile) -> list[Wish]:
        """Return what a reader wants, interests first."""
        self.prepare([profile])
        asked = [Why("interest", text) for text in dict.fromkeys(profile.interests)]
        asked += [Why("question", text) for text in dict.fromkeys(profile.questions)]
        return [self._wish(why) for why in asked if why.text.strip()]

    def _embed(self, texts: Sequence[str]) -> None:
        if self._embedder is None or not texts:
            return
        if len(self._vectors) + len(texts) > _HELD:
            self._vectors.clear()
        self._vectors.update(zip(texts, self._embedder.embed(texts), strict=True))

    def _wish(self, why: Why) -> Wish:
        wanted = scoring.query_stems(why.text)
        stats = self._stats(wanted)
        stems = scoring.correct_spelling(wanted, stats.frequency, self._vocabulary.fuzzy)
        if stems != wanted:
            stats = self._stats(stems)
        return Wish(why, tuple(stems), self._vectors.get(why.text), stats)

    def _stats(self, stems: Sequence[str]) -> scoring.CorpusStats:
        return scoring.CorpusStats(*self._vocabulary.corpus_stats(sorted(stems)))
