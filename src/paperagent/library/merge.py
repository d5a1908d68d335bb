"""Where records of one batch become papers: found by any of their names, or new."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from paperagent.library import identity, rows
from paperagent.types import Paper


class Owners(Protocol):
    """What sorting needs of a library: who goes by which name, and what they say."""

    def highest_row(self) -> int:
        """Return the highest row in use."""
        ...

    def owners(self, aliases: Iterable[str]) -> Mapping[str, list[int]]:
        """Return the rows that go by each alias."""
        ...

    def by_row(self, row_numbers: Iterable[int]) -> Mapping[int, Paper]:
        """Return the papers of rows."""
        ...


@dataclass(slots=True)
class Draft:
    """A paper while its batch is read: as the library holds it, and as it will."""

    row: int
    old: Paper | None
    paper: Paper
    names: dict[str, None] = field(default_factory=dict)
    """The aliases to keep; used as an ordered set."""
    absorbed: dict[int, Paper] = field(default_factory=dict)
    """Papers of the library that turned out to be this one, by row."""
    stems: list[str] = field(default_factory=list)
    read: str = ""
    """On a server: the records that went into it."""

    @property
    def retold(self) -> bool:
        """Whether its text is new to the library."""
        old, new = self.old, self.paper
        return old is None or (old.title, old.abstract) != (new.title, new.abstract)

    @property
    def reindexed(self) -> bool:
        """Whether anything that an index holds is new."""
        old, new = self.old, self.paper
        return old is None or (old.paper_id, rows.facts(old)) != (new.paper_id, rows.facts(new))


class Desk:
    """Sorts the records of one batch into drafts, knowing who goes by which name already."""

    def __init__(self, library: Owners, papers: Collection[Paper], *, today: dt.date) -> None:
        self._today = today
        self._owners = dict(library.owners(name for paper in papers for name in identity.aliases(paper)))
        self._next_row = library.highest_row() + 1
        held = library.by_row({row for owners in self._owners.values() for row in owners})
        self._drafts = {row: Draft(row, paper, paper) for row, paper in held.items()}
        self._keeper: dict[int, int] = {}

    def place(self, paper: Paper) -> tuple[Draft, Paper | None]:
        """Return the draft that ``paper`` went into, and what that said before (None: a new paper)."""
        given = replace(paper, first_seen=self._today)
        paper = replace(identity.with_best_id(given), ids=())  # which are kept as names
        found = self._candidates(given)
        if not found:
            draft = Draft(self._next_row, None, paper)
            self._drafts[draft.row] = draft
            self._next_row += 1
            self._name(draft, given)
            self._name(draft, paper)
            return draft, None
        draft, *others = found
        before = draft.paper
        for other in others:
            if _is_same(draft.paper, other.paper):
                if draft.old is None and other.old is not None:  # the row that the indexes know stays
                    draft, other = other, draft  # noqa: PLW2901  # the two change places
                self._absorb(draft, other)
        paper = self._without_foreign_doi(paper, draft)
        draft.paper = identity.merge(draft.paper, paper)
        self._name(draft, given)
        self._name(draft, paper)
        self._name(draft, draft.paper)
        if draft.paper.paper_id != before.paper_id:
            self._give(draft, f"id:{before.paper_id}")
        return draft, before

    def keeper(self, draft: Draft) -> Draft:
        """Return the draft that ``draft`` ended in."""
        row = draft.row
        while row in self._keeper:
            row = self._keeper[row]
        return self._drafts[row]

    def touched(self) -> list[Draft]:
        """Return the drafts that differ from the library, in the order of their rows."""
        drafts = (self._drafts[row] for row in sorted(self._drafts))
        return [d for d in drafts if d.old is None or d.absorbed or d.names or d.old != d.paper]

    def _candidates(self, paper: Paper) -> list[Draft]:
        """Return the drafts that ``paper`` may be: first by real id, then by title with the same abstract."""
        found: dict[int, Draft] = {}
        for name in identity.aliases(paper):
            for row in self._owners.get(name, ()):
                draft = self._drafts[row]
                if not name.startswith("title:") or _is_same(draft.paper, paper):
                    found.setdefault(row, draft)
        return list(found.values())

    def _absorb(self, draft: Draft, other: Draft) -> None:
        draft.paper = identity.merge(draft.paper, other.paper)
        draft.absorbed.update(other.absorbed)
        if other.old is not None:
            draft.absorbed[other.row] = other.old
        del self._drafts[other.row]
        self._keeper[other.row] = draft.row
        for owners in self._owners.values():
            if other.row in owners:
                owners[:] = dict.fromkeys(draft.row if row == other.row else row for row in owners)
        for name in (*other.names, f"id:{other.paper.paper_id}"):
            self._give(draft, name)

    def _without_foreign_doi(self, paper: Paper, draft: Draft) -> Paper:
        """Return ``paper`` without a DOI that another paper goes by: one record cannot join two papers."""
        owners = self._owners.get(f"doi:{paper.doi}", ())
        return replace(paper, doi=None) if any(row != draft.row for row in owners) else paper

    def _name(self, draft: Draft, paper: Paper) -> None:
        for name in identity.aliases(paper):
            self._give(draft, name)

    def _give(self, draft: Draft, name: str) -> None:
        owners = self._owners.setdefault(name, [])
        if draft.row not in owners and (name.startswith("title:") or not owners):
            owners.append(draft.row)
            draft.names[name] = None


def _is_same(one: Paper, other: Paper) -> bool:
    return not identity.contradict(one, other) and identity.same_text(one, other)
