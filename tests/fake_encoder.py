"""An encoder without a model: a word is a fixed random direction, and a text the mean of its words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from paperagent.types import Encoded

if TYPE_CHECKING:
    from paperagent.types import Vector

DIM = 32


class FakeEncoder:
    """Implements `Embedder` and `TokenEncoder`; ``texts`` records what was encoded."""

    def __init__(self, embedder_id: str = "fake-32", *, dim: int = DIM) -> None:
        self.embedder_id = embedder_id
        self.dim = dim
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield the vector of each text."""
        return (e.vector for e in self.encode(texts))

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode each text alone."""
        self.texts.extend(texts)
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Encoded:
        spans = tuple(m.span() for m in re.finditer(r"\w+", text))
        states = [self._direction(text[a:b].lower()) for a, b in spans] or [self._direction("")]
        matrix = np.stack(states).astype(np.float32)
        mean = matrix.mean(axis=0)
        vector = (mean / np.linalg.norm(mean)).astype(np.float32)
        return Encoded(vector, matrix if spans else matrix[:0], spans)

    def _direction(self, word: str) -> Vector:
        values = np.random.default_rng(zlib.crc32(word.encode())).normal(size=self.dim)
        return (values / np.linalg.norm(values)).astype(np.float32)


class BrokenEncoder(FakeEncoder):
    """Returns vectors of NaN."""

    def _one(self, text: str) -> Encoded:
        encoded = super()._one(text)
        return Encoded(np.full_like(encoded.vector, np.nan), encoded.states, encoded.spans)
