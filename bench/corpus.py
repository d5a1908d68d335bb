"""A million papers from 74,728: the real abstracts, and copies mixed with another abstract of the same field.

A copy takes a share of its words, position by position, and the same share of its vector from its partner,
so that words and vectors keep a realistic distribution: among random vectors an index finds few of the
nearest, and among random words a search meets no frequent ones. Ids and days change with the copy. The same
number gives the same paper in every run.
"""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from library import PAPERS, abstracts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.library import LocalStore

    Numbers = NDArray[np.int64]

SHARES = (0.15, 0.45)
"""Minimum and maximum share of a copy that comes from its partner."""
_MONTHS = 8
"""Months between a copy and the previous one; 14 copies cover eleven years."""
_ID_OFFSET = 33_000
"""Added to the number of an id, so that ids of two copies differ; real numbers end at 32,040."""


@dataclass
class Corpus:
    """Papers by number: first the real ones, then any number of copies."""

    shared: Path

    @cached_property
    def real(self) -> list[dict[str, Any]]:
        """The real papers as in the file."""
        with lzma.open(abstracts(self.shared), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {row["id"]: i for i, row in enumerate(self.real)}

    @cached_property
    def _field(self) -> dict[str, list[int]]:
        by_field: dict[str, list[int]] = {}
        for i, row in enumerate(self.real):
            by_field.setdefault(row["categories"][0], []).append(i)
        return by_field

    def partner(self, number: int) -> tuple[int, float, random.Random]:
        """Return the partner of a copy, its share (0 for a real paper), and the random generator."""
        dice = random.Random(number)  # noqa: S311 - reproducible, not a secret
        field = self._field[self.real[number % PAPERS]["categories"][0]]
        return dice.choice(field), dice.uniform(*SHARES) if number >= PAPERS else 0.0, dice

    def lines(self, start: int, end: int) -> Iterator[str]:
        """Yield papers as lines in the format of the abstracts."""
        return (json.dumps(self.record(number), ensure_ascii=False) for number in range(start, end))

    def record(self, number: int) -> dict[str, Any]:
        """Return a paper."""
        row = self.real[number % PAPERS]
        copy = number // PAPERS
        if not copy:
            return row
        partner, share, dice = self.partner(number)
        other = self.real[partner]
        mixed = {key: _mix(row[key], other[key], share, dice) for key in ("title", "abstract")}
        paper_id = _id(row["id"], copy)
        year, month = _earlier(int(row["date"][:4]), int(row["date"][5:7]), copy)
        date = f"{year}-{month:02}-{min(int(row['date'][8:]), 28):02}"
        return {**row, **mixed, "id": paper_id, "date": date, "url": f"https://arxiv.org/abs/{paper_id}"}

    def number(self, paper_id: str, copies: int) -> int:
        """Return the number of the paper with this id, among the first ``copies``."""
        for copy in range(copies):
            index = self._index.get(_id(paper_id, -copy))
            if index is not None and _id(self.real[index]["id"], copy) == paper_id:
                return copy * PAPERS + index
        raise KeyError(paper_id)

    def add_vectors(self, store: LocalStore, large: LocalStore, copies: int) -> int:
        """Store the vector of every paper that lacks one, and return their number.

        ``large`` is the library of the real papers, whose vectors are mixed like their words.
        """
        import numpy as np

        active = large.table.vectors.active()
        assert active is not None
        _, embedder_id, dim = active
        real = self._vectors(large)
        number = (store.table.vectors.active() or store.table.vectors.activate(embedder_id, dim)).number
        mark, added = store.table.db.meta("vector_mark"), 0
        while changes := store.table.changes(mark, limit=5_000):
            numbers = [self.number(c.paper.paper_id, copies) for c in changes]
            partners = [self.partner(n)[:2] for n in numbers]
            share = np.array([s for _, s in partners], np.float32)[:, None]
            mixed = (1 - share) * real[[n % PAPERS for n in numbers]] + share * real[[p for p, _ in partners]]
            mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
            store.table.vectors.store(
                number, [(c.row, c.text_hash, vector) for c, vector in zip(changes, mixed, strict=True)]
            )
            mark, added = changes[-1].revision, added + len(changes)
        return added

    def _vectors(self, large: LocalStore) -> NDArray[np.float32]:
        import numpy as np

        active = large.table.vectors.active()
        assert active is not None
        number, _, dim = active
        indices = {row: self._index[paper_id] for row, paper_id in large.table.ids().items()}
        matrix = np.zeros((PAPERS, dim), np.float32)
        rows, vectors = large.table.vectors.load(number, dim, list(indices))
        matrix[[indices[int(row)] for row in rows]] = vectors
        return matrix


def write(lines: Iterable[str], path: Path) -> None:
    """Write a feed."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _mix(text: str, other: str, share: float, dice: random.Random) -> str:
    words, other_words = text.split(), other.split()
    return " ".join(
        other_words[i % len(other_words)] if dice.random() < share else word for i, word in enumerate(words)
    )


def _id(paper_id: str, copy: int) -> str:
    """Return the id of a copy of a paper; with a negative number, the id of the paper that was copied."""
    year, month = _earlier(int(paper_id[:2]), int(paper_id[2:4]), copy)
    number = int(paper_id[5:]) + (1 if copy > 0 else -1) * _ID_OFFSET * (abs(copy) % 3)
    return f"{year:02}{month:02}.{number:05}"


def _earlier(year: int, month: int, copy: int) -> tuple[int, int]:
    months = 12 * year + month - 1 - _MONTHS * copy
    return months // 12, months % 12 + 1
