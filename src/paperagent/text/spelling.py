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
    """Return whether at most ``distance`` edits turn ``one`` into ``other``. A swap of neighbors is one edit.

    This is the optimal string alignment distance. Only the cells within ``distance`` of the diagonal are
    computed, and the computation stops as soon as the distance is exceeded.
    """
    if one == other:
        return True
    if abs(len(one) - len(other)) > distance:
        return False
    beyond = distance + 1
    before: dict[int, int] = {}
    previous = {j: j for j in range(distance + 1)}
    for i, a in enumerate(one, 1):
        current: dict[int, int] = {0: i} if i <= distance else {}
        for j in range(max(1, i - distance), min(len(other), i + distance) + 1):
            b = other[j - 1]
            cost = min(
                previous.get(j, beyond) + 1,
                current.get(j - 1, beyond) + 1,
                previous.get(j - 1, beyond) + (a != b),
            )
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before.get(j - 2, beyond) + 1)
            current[j] = cost
        if min(current.values(), default=beyond) > distance:
            return False
        before, previous = previous, current
    return previous.get(len(other), beyond) <= distance
