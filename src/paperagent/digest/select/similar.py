"""Compare papers with papers that a subscriber named or rated.

The plain cosine of two embeddings is high for any two papers of the field that most papers of a period belong
to. In a space in which the papers of the period vary equally in all directions, it is high only for papers
that have more than the field in common (whitening, as in Hariharan et al. 2012, "Discriminative
decorrelation").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from paperagent.digest.select.candidates import PeriodIndex, SeenPaper, stack_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix

    Scores = NDArray[np.float32]

MIN_BACKGROUND = 200
"""The least number of papers whose variation is typical."""
_SHRINKAGE = 3.0
"""Added to each variance, in mean variances. Anything from 1 to 10 finds as many wanted papers."""
_NEAREST = 3
"""The nearest papers of a group, whose mean similarity counts: each topic in it keeps its neighbors."""
_HIGHEST, _MIN_UNIT, _MAX_UNIT, _PAIRED = 0.99, 0.02, 0.25, 500
"""The quantile of the pairs whose cosine counts as 1, its bounds, and the number of papers to pair."""
_PAPERS_PER_GROUP, _MAX_GROUPS = 8, 6
_ROUNDS = 10


class SimilarPapers:
    """Compares the papers of a period with papers of any time."""

    def __init__(self, index: PeriodIndex, sample: Callable[[], Matrix]) -> None:
        """Take the papers, and a function that returns the vectors of a sample of the library.

        The sample is only needed for a period of few papers.
        """
        self._index = index
        self._sample = sample

    @cached_property
    def _space(self) -> SimilaritySpace:
        vectors = self._index.vectors[self._index.comparable]
        return SimilaritySpace(vectors if len(vectors) >= MIN_BACKGROUND else self._sample())

    @cached_property
    def _vectors(self) -> Matrix:
        """The papers of the period in the space, with zero rows for those that cannot be compared."""
        projected: Matrix = self._space.project(self._index.vectors) * self._index.comparable[:, None]
        return projected

    def project(self, papers: Sequence[SeenPaper]) -> Matrix:
        """Return the vectors of papers in the space, with zero rows for those that cannot be compared."""
        import numpy as np

        vectors, has_vector = stack_vectors([p.vector for p in papers])
        if vectors.shape[1] != self._index.vectors.shape[1] or not has_vector.any():
            return np.zeros((len(papers), self._index.vectors.shape[1]), np.float32)
        projected: Matrix = self._space.project(vectors) * has_vector[:, None]
        return projected

    def similarities(self, projected: Matrix) -> NDArray[np.float32]:
        """Return the similarity of each paper of the period to each of some others, shape [n, m].

        0 for papers that cannot be compared; 1 for papers as similar as the most similar percent of pairs.

        Args:
            projected: The result of `project`.
        """
        similarities: NDArray[np.float32] = self._vectors @ projected.T / self._space.unit
        return similarities


class SimilaritySpace:
    """Projects vectors so that a cosine is high only if two papers have something special in common.

    For pairs of papers of a week of arXiv, the median is .00, and the highest percent begins at .21. For a
    paper and its nearest one, the median is .37. Other embeddings have other cosines, so similarities are
    expressed in units of the highest percent.
    """

    def __init__(self, background: Matrix) -> None:
        """Take the vectors of many papers, shape [n, dim]."""
        import numpy as np

        self._mean = background.mean(axis=0)
        centered = background - self._mean
        variances, axes = np.linalg.eigh(centered.T @ centered / max(len(background), 1))
        variances = np.clip(variances, 0, None)
        mean = float(variances.sum()) / max(1, min(len(background) - 1, len(variances)))
        scale = 1 / np.sqrt(variances + _SHRINKAGE * max(mean, 1e-9))
        if len(background) < MIN_BACKGROUND:  # too few to tell what they have in common by chance
            scale = np.ones_like(scale)
        self._map = (axes * scale).astype(np.float32)
        some = self.project(background[:: 1 + len(background) // _PAIRED])
        pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
        typical = float(np.quantile(pairs, _HIGHEST)) if len(pairs) else _MAX_UNIT
        self.unit = min(max(typical, _MIN_UNIT), _MAX_UNIT)
        """The cosine that counts as 1."""

    def project(self, vectors: Matrix) -> Matrix:
        """Return unit vectors in this space, shape [n, dim]."""
        import numpy as np

        projected: Matrix = (vectors - self._mean).astype(np.float32) @ self._map
        projected /= np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), np.float32(1e-6))
        return projected


def nearest_mean(similarities: NDArray[np.float32]) -> Scores:
    """Return the mean of the greatest three (or fewer) of each row, shape [n]; 0 for rows without columns."""
    import numpy as np

    if not similarities.shape[1]:
        return np.zeros(len(similarities), np.float32)
    mean: Scores = np.sort(similarities, axis=1)[:, -_NEAREST:].mean(axis=1)
    return mean


def groups(vectors: Matrix) -> list[NDArray[np.int64]]:
    """Return up to six groups of similar papers, as row numbers, so that each topic gets its turn.

    k-means for cosines, which begins with the papers that are farthest from each other. Deterministic.

    Args:
        vectors: Unit vectors, shape [n, dim], n > 0.
    """
    import numpy as np

    count = min(_MAX_GROUPS, 1 + len(vectors) // _PAPERS_PER_GROUP)
    first = [int((vectors @ vectors.sum(axis=0)).argmax())]
    while len(first) < count:
        first.append(int((vectors @ vectors[first].T).max(axis=1).round(4).argmin()))
    centers = vectors[first]
    for _ in range(_ROUNDS):
        group = (vectors @ centers.T).round(4).argmax(axis=1)
        sums = np.stack([vectors[group == g].sum(axis=0) for g in range(len(centers))])
        centers = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-6))
    return [np.flatnonzero(group == g) for g in range(len(centers)) if (group == g).any()]
