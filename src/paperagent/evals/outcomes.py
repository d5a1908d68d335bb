"""What an answer did: answered, abstained, or neither. What it says, as a reader sees it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from paperagent.answering.citations import without_quotes
from paperagent.types import Answer
from paperagent.verification.normalize import normalise

_MARKER = re.compile(r"\s?\[\d+\]")
_WITHHELD = re.compile(r"^withheld: .*?(?:; (\d+) claims)?\)$", re.DOTALL)


def answered(answer: Answer) -> bool:
    """Tell whether the answer says something: an answer without a claim says nothing."""
    return answer.status in ("answered", "incomplete") and any(c.text.strip() for c in answer.claims)


def abstained(answer: Answer) -> bool:
    """Tell whether it says, with a reason, that it does not answer."""
    return answer.status in ("abstained", "refused") and bool(answer.reason)


def visible_text(answer: Answer) -> str:
    """Return the text of the answer in one spelling; empty for an abstention.

    Without its markers and the sentences under unverified claims, which are not the answer's own words.
    """
    return normalized(_MARKER.sub("", without_quotes(answer.answer))) if answered(answer) else ""


@lru_cache(maxsize=8_192)
def normalized(text: str) -> str:
    """Return text in the spelling in which texts are compared."""
    return " ".join(normalise(text).casefold().split())


def contains(text: str, wanted: str) -> bool:
    """Tell whether a text in its plain spelling holds one of the alternatives of ``a|b``.

    Letters may go on (``terminat`` is held by *terminated*), a number may not: 15 is not in 2015,
    in 15.5 or in 1,500.
    """
    return any(_pattern(part).search(text) is not None for part in wanted.split("|"))


@lru_cache(maxsize=8_192)
def _pattern(part: str) -> re.Pattern[str]:
    text = normalized(part)
    before = r"(?<!\d)(?<!\d[.,])" if text[:1].isdigit() else ""
    after = r"(?![.,]?\d)" if text[-1:].isdigit() else ""
    return re.compile(before + re.escape(text) + after)


def contains_each(text: str, wanted: Iterable[str]) -> list[bool]:
    """Tell of each wanted text whether it is held."""
    return [contains(text, one) for one in wanted]


def count_withheld(answer: Answer) -> int:
    """Return how many claims were kept back, as the answer's notes say, or replaced by their sentences."""
    found = (_WITHHELD.match(note) for note in answer.notes)
    replaced = sum(bool(claim.checks.get("replaced")) for claim in answer.claims)
    return replaced + sum(int(m[1] or 1) for m in found if m)
