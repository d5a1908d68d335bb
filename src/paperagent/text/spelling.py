"""Compare words that may be misspelled."""

from __future__ import annotations

from collections.abc import Iterable


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name that ``name`` probably misspells or abbreviates, or None.

    One wrong, missing, extra or swapped character is tolerated, or two in a name of eight or more.
    """
    name, names = name.lower(), sorted(names)
    limit = 0 if len(name) < 3 else 1 if len(name) < 8 else 2
    for distance in range(limit + 1):
        for candidate in names:
            if within_edit_distance(name, candidate.lower(), distance):
                return candidate
    completed = [candidate for candidate in names if len(name) >= 3 and candidate.lower().startswith(name)]
    return completed[0] if len(completed) == 1 else None


def within_edit_distance(one: str, other: str, distance: int) -> bool:
    """Return whether ``one`` becomes ``other`` by at most ``distance`` edits, a swap of neighbors being one.

    Optimal string alignment, which stops as soon as the distance is exceeded.
    """
    if one == other:
        return True
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            cost = min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > distance:
            return False
        before, previous = previous, current
    return previous[-1] <= distance
