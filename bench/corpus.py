"""A million papers out of 74,728: each real abstract, and copies of it mixed with one of the same field.

A copy takes a share of its words, place by place, and the same share of its vector from its partner,
so that words and vectors stay as unevenly spread as real ones are: of random vectors an index finds
few of the nearest, of random words a search meets no frequent ones. Ids and days move with the copy.
The same number gives the same paper in every run.
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
"""The least and the largest part of a copy that its partner gives."""
_MONTHS = 8
"""How much older a copy is than the one before: with 14 of them a library of eleven years."""
_APART = 33_000
"""Added to the number of an id, so that no two copies meet in a month; real ones end at 32,040."""


@dataclass
class Corpus:
    """Papers by number: the real ones first, then their copies, any number of them."""

    shared: Path

    @cached_property
    def real(self) -> list[dict[str, Any]]:
        """The real papers, as the file has them."""
        with lzma.open(abstracts(self.shared), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {row["id"]: place for place, row in enumerate(self.real)}

    @cached_property
    def _field(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, row in enumerate(self.real):
            found.setdefault(row["categories"][0], []).append(place)
        return found

    def partner(self, number: int) -> tuple[int, float, random.Random]:
        """Return who is mixed in, with what share, and the dice for the rest; a real paper has no partner."""
        dice = random.Random(number)  # noqa: S311 - the same papers in every run
        field = self._field[self.real[number % PAPERS]["categories"][0]]
        return dice.choice(field), dice.uniform(*SHARES) if number >= PAPERS else 0.0, dice

    def lines(self, start: int, end: int) -> Iterator[str]:
        """Yield papers as lines of the file of abstracts."""
        return (json.dumps(self.record(number), ensure_ascii=False) for number in range(start, end))

    def record(self, number: int) -> dict[str, Any]:
        """Return a paper."""
        row = self.real[number % PAPERS]
        copy = number // PAPERS
        if not copy:
            return row
        partner, share, dice = self.partner(number)
        other = self.real[partner]
        mixed = {key: _mixed(row[key], other[key], share, dice) for key in ("title", "abstract")}
        paper_id = _id(row["id"], copy)
        year, month = _earlier(int(row["date"][:4]), int(row["date"][5:7]), copy)
        date = f"{year}-{month:02}-{min(int(row['date'][8:]), 28):02}"
        return {**row, **mixed, "id": paper_id, "date": date, "url": f"https://arxiv.org/abs/{paper_id}"}

    def number(self, paper_id: str, copies: int) -> int:
        """Return the number of the paper with this id, among the first ``copies``."""
        for copy in range(copies):
            place = self._place.get(_id(paper_id, -copy))
            if place is not None and _id(self.real[place]["id"], copy) == paper_id:
                return copy * PAPERS + place
        raise KeyError(paper_id)

    def give_vectors(self, store: LocalStore, large: LocalStore, copies: int) -> int:
        """Put into ``store`` the vector of every paper that lacks one; return how many.

        ``large`` is the library of the real ones, whose vectors are mixed as the words are.
        """
        import numpy as np

        active = large.table.vectors.active()
        assert active is not None
        _, embedder_id, dim = active
        real = self._vectors(large)
        held = store.table.vectors.active()
        number = held[0] if held else store.table.vectors.activate(embedder_id, dim)
        mark, given = store.table.db.meta("vector_mark"), 0
        while changes := store.table.changes(mark, limit=5_000):
            numbers = [self.number(c.paper.paper_id, copies) for c in changes]
            partners = [self.partner(n)[:2] for n in numbers]
            share = np.array([s for _, s in partners], np.float32)[:, None]
            mixed = (1 - share) * real[[n % PAPERS for n in numbers]] + share * real[[p for p, _ in partners]]
            mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
            store.table.vectors.store(
                number, [(c.row, c.text_hash, vector) for c, vector in zip(changes, mixed, strict=True)]
            )
            mark, given = changes[-1].revision, given + len(changes)
        return given

    def _vectors(self, large: LocalStore) -> NDArray[np.float32]:
        import numpy as np

        active = large.table.vectors.active()
        assert active is not None
        number, _, dim = active
        places = {row: self._place[paper_id] for row, paper_id in large.table.ids().items()}
        found = np.zeros((PAPERS, dim), np.float32)
        rows, vectors = large.table.vectors.load(number, dim, list(places))
        found[[places[int(row)] for row in rows]] = vectors
        return found


def write(lines: Iterable[str], path: Path) -> None:
    """Write a feed."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _mixed(text: str, other: str, share: float, dice: random.Random) -> str:
    words, given = text.split(), other.split()
    return " ".join(
        given[place % len(given)] if dice.random() < share else word for place, word in enumerate(words)
    )


def _id(paper_id: str, copy: int) -> str:
    """Return the id of a copy of a paper; of a negative copy that of the paper it was made from."""
    year, month = _earlier(int(paper_id[:2]), int(paper_id[2:4]), copy)
    number = int(paper_id[5:]) + (1 if copy > 0 else -1) * _APART * (abs(copy) % 3)
    return f"{year:02}{month:02}.{number:05}"


def _earlier(year: int, month: int, copy: int) -> tuple[int, int]:
    months = 12 * year + month - 1 - _MONTHS * copy
    return months // 12, months % 12 + 1
