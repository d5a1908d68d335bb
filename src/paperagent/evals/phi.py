"""φ: whether sentences support a claim. The one place where scorers ask the checks."""

from __future__ import annotations

from functools import lru_cache

from paperagent.checks import check
from paperagent.checks.verdict import is_quote
from paperagent.sentences import split
from paperagent.types import Answer, Claim


@lru_cache(maxsize=16_384)
def supports(claim: str, quotes: tuple[str, ...]) -> bool:
    """Tell whether ``quotes`` together support ``claim``, by `checks.check`; nothing supports nothing.

    A claim of several sentences must be supported as a whole and each for itself, as in an answer:
    a short remark of the model's own could ride on a long quotation (`selftest`, "claim added").
    """
    if not quotes or not _passes(claim, quotes):
        return False
    parts = split(claim)
    return len(parts) == 1 or is_quote(claim, quotes) or all(_passes(part.text, quotes) for part in parts)


def _passes(claim: str, quotes: tuple[str, ...]) -> bool:
    return check(claim, quotes).support in ("quoted", "supported")


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
