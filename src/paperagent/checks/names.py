"""Find names in a claim that its evidence does not name: another model, dataset or version."""

from __future__ import annotations

from collections.abc import Iterator

from paperagent.checks.overlap import Alignment
from paperagent.checks.words import Token


def strangers(a: Alignment) -> Iterator[str]:
    """Yield a reason for each name of the claim that is not in the evidence."""
    spoken = {t.stem for t in a.source.tokens}
    for token in a.claim.content:
        if a.best[token.rank] is not None or token.stem in spoken:
            continue
        if token.kind == "name" or token.capital:
            sibling = _sibling(token, a)
            more = f" (it names “{sibling}”)" if sibling else ""
            yield f"“{token.text}” is not named in the cited sentence{more}"


def _sibling(token: Token, a: Alignment) -> str:
    """Return the evidence's name that begins alike, such as GPT-4 for GPT-5."""
    head = token.stem.rstrip("0123456789")[:4]
    for other in a.source.content:
        if other.kind == "name" and len(head) > 1 and other.stem.startswith(head):
            return other.text
    return ""
