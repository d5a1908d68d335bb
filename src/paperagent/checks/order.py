"""Find words of a claim that stand in each other's place: exchanged."""

from __future__ import annotations

from collections.abc import Iterator

from paperagent.checks.overlap import Alignment

_LOOSE = 0.8
"""Words whose surroundings agree better than this are where they belong."""
_MOST = 10
"""Words looked at, least fitting first: the pairs of them are compared."""


def exchanged(a: Alignment) -> Iterator[str]:
    """Yield a reason for two words of the claim that each fit better in the other's place."""
    loose = _loose(a)
    for i, one in enumerate(loose):
        for other in loose[i + 1 :]:
            if _swap(a, one, other):
                yield f"“{a.claim.content[one].text}” and “{a.claim.content[other].text}” are exchanged"
                return


def _loose(a: Alignment) -> list[int]:
    fits = []
    for token in a.claim.content:
        best = a.best[token.rank]
        if best and token.kind != "number" and token.weight >= 0.5 and not token.lower.endswith("ly"):
            fit = a.context(token.rank, best[0])
            if fit < _LOOSE:
                fits.append((fit, token.rank))
    return [rank for _, rank in sorted(fits)[:_MOST]]


def _swap(a: Alignment, one: int, other: int) -> bool:
    first, second = a.best[one], a.best[other]
    if first is None or second is None or first[0] == second[0]:
        return False
    if (one < other) == (first[0] < second[0]) and abs(first[0] - second[0]) < 2:
        return False
    skip = (one, other)
    kept = a.context(one, first[0], skip) + a.context(other, second[0], skip)
    turned = a.context(one, second[0], skip) + a.context(other, first[0], skip)
    return turned > 1.3 * kept + 0.15
