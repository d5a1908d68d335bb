"""φ: whether sentences support a claim. The one place where scorers ask the checks."""

from __future__ import annotations

from functools import lru_cache

from paperagent.checks import check
from paperagent.types import Answer, Claim


@lru_cache(maxsize=16_384)
def supports(claim: str, quotes: tuple[str, ...]) -> bool:
    """Tell whether ``quotes`` together support ``claim``, by `checks.check`; nothing supports nothing."""
    return bool(quotes) and check(claim, quotes).support in ("quoted", "supported")


def quotes_of(claim: Claim, answer: Answer) -> tuple[str, ...]:
    """Return the quotes that a claim points at, in its order; pointers at nothing have none."""
    by_n = {c.n: c.quote for c in answer.citations}
    return tuple(by_n[n] for n in dict.fromkeys(claim.citations) if n in by_n)


def dangling(claim: Claim, answer: Answer) -> int:
    """Return how many of a claim's pointers point at nothing, in its citations or as its check noted."""
    numbers = {c.n for c in answer.citations}
    noted = claim.checks.get("dangling", ())
    lost = sum(n not in numbers for n in dict.fromkeys(claim.citations))
    return lost + (len(noted) if isinstance(noted, (list, tuple)) else 0)
