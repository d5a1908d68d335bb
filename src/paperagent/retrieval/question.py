"""A question as the readers of papers take it: its kind, and its word pieces with their weights. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from paperagent.retrieval.scoring import is_scaffold
from paperagent.text.terms import STOP_WORDS, stem, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded

Kind = Literal["single", "compare", "list"]

_STOP_WEIGHT, _SCAFFOLD_WEIGHT = 0.25, 0.5

_COMPARE = re.compile(
    r"""\b(?:compare[ds]?|comparison|versus|vs\.?|both|respectively|contrast)\b
    |\bhow\ (?:do|does|did)\ .{3,80}\ differ\b|\bdiffer(?:ences?)?\ (?:between|from)\b
    |\b(?:one|first|former)\b.{3,90}\b(?:other|second|latter|one)\b
    |\b(?:of|in|does|do|by)\ each\b|\beach\ (?:paper|work|study|method|one|of)\b
    |\bthe\ .{5,60},?\ and\ (?:what|where|how|which)\b.{0,20}\bthe\b|\binstead\?""",
    re.IGNORECASE | re.VERBOSE,
)
_LIST = re.compile(
    r"""\b(?:which|what)\ (?:\w+\ ){0,2}?(?:papers|works|studies|methods|approaches|benchmarks|datasets
        |systems|models|frameworks|techniques)\b
    |^(?:[\w'-]+,?\ ){0,4}(?:papers|works|studies)\b|^(?:list|name|find|show|give)\b|\boverview\ of\b
    |\bwho\ (?:else\ )?works\ on\b
    |\bwhat\ (?:do|does)\ (?:we|the\ library|it)\ have\b|\bwhat\ is\ there\b|\bwhat(?:'s|\ is)\ new\b
    |\bany(?:thing|\ papers|\ work)\b.*\b(?:on|about)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_NUMBER = re.compile(
    r"""\bhow\ (?:many|much|often|well|far|big|large|long|fast|badly|few|reliabl\w+)\b
    |\bwhat\ (?:share|percentage|fraction|proportion|rate|number|score|accuracy|size|weight)\b
    |\b(?:percent|number\ of|mean|median|speedup|exactly|rate)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTED = re.compile(r"\b(?:how (?:many|much)|number of|amount of)\s+((?:\w+[\s-]){0,2}?\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """A question's word pieces with their weights."""

    text: str
    kind: Kind
    weights: NDArray[np.float64]
    """How much each piece matters, shape [pieces]; rare words weigh most."""
    pieces: tuple[str, ...]
    """The whole word that each piece belongs to, lower case."""
    counted: NDArray[np.bool_]
    """Which pieces name what is counted (``parameters`` in "how many parameters")."""
    encoded: Encoded | None
    asks_number: bool


def question_kind(text: str) -> Kind:
    """Tell a comparison of two papers and a request for a list from a question on one paper."""
    if _COMPARE.search(text):
        return "compare"
    return "list" if _LIST.search(text) and not _ASKS_NUMBER.search(text) else "single"


def prepare(text: str, encoded: Encoded | None, informativeness: Callable[[str], float]) -> Question:
    """Prepare a question. ``informativeness(stem)`` is ln(1 + N / (1 + df)), 0 or more."""
    import numpy as np

    spans = encoded.spans if encoded else tuple(m.span() for m in re.finditer(r"\w+", text))
    pieces = tuple(_word_around(text, *span) for span in spans)
    weights = np.array([_weight(p, informativeness) for p in pieces], float)
    if not weights.sum():
        weights = np.ones(len(pieces))
    counted = _COUNTED.search(text)
    low, high = counted.span(1) if counted else (0, 0)
    return Question(
        text=text,
        kind=question_kind(text),
        weights=weights,
        pieces=pieces,
        counted=np.array([low <= a and b <= high for a, b in spans], bool),
        encoded=encoded,
        asks_number=bool(_ASKS_NUMBER.search(text)),
    )


def _weight(word: str, informativeness: Callable[[str], float]) -> float:
    if not word:
        return 0.0
    if word in STOP_WORDS:
        return _STOP_WEIGHT
    root = stem(word)
    return informativeness(root) * (_SCAFFOLD_WEIGHT if is_scaffold(root) else 1.0)


def _word_around(text: str, start: int, end: int) -> str:
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    found = words(text[start:end])
    return found[0] if found else ""
