"""What a claim may mention although its cited sentence does not: the paper's names and the question.

"We outperform it" is about the paper's own method, so a claim may name that method. Words from the
rest of the abstract do not support a claim, but they are not inventions either. Pure; no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from paperagent.verification.normalize import normalise
from paperagent.verification.overlap import candidates, spelled_out
from paperagent.verification.tokens import analyse
from paperagent.verification.values import Text, Token

_LONGEST = 12_000
"""The most characters of titles and abstracts that are read."""
_INTRODUCES = re.compile(
    r"\b(?:propos|introduc|present|develop|releas|creat|call|name|term|dub|buil[dt]|design|construct|describ|"
    r"offer|contribut|train|curat|collect|named|our|this|namely|framework|method|model|benchmark|dataset|"
    r"approach|system|algorithm|we)\w*\b[^.]{0,90}$",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
COMMON_NAMES = frozenset(
    """ai ml llm llms nlp gpu gpus cpu api apis qa ir rag cnn rnn gan vlm mllm ui 2d 3d us uk eu usa who
    dna rna mri ct english""".split()
)
"""Abbreviations that need no introduction, in lower case."""


@dataclass(frozen=True, slots=True)
class Context:
    """Titles, abstracts and question around a claim, analysed once."""

    text: Text
    plain: str
    """Titles and abstracts, normalised and lower case."""
    digits: frozenset[str]
    """Every run of digits in them, also inside names such as ``2016Q1``."""
    title: str
    """The titles alone, likewise."""
    question: Text

    def mentions(self, token: Token) -> bool:
        """Tell whether titles, abstracts or the question have a word, number or name."""
        if candidates(token, self.text) or candidates(token, self.question):
            return True
        if token.number is not None:
            digits = _digits(token.text)
            return bool(digits) and digits <= self.digits | _digits(self.question.plain)
        lower = token.lower.removesuffix("'s")
        if token.kind == "name" or token.capital:
            return lower in self.plain or bool(spelled_out(token.stem, self.text))
        return False

    def is_own_name(self, token: Token) -> bool:
        """Tell whether a name is in a title, or the abstract introduces it as its own."""
        lower = token.lower.removesuffix("'s")
        if lower in self.title or lower in COMMON_NAMES or token.stem in COMMON_NAMES:
            return True
        at = self.plain.find(lower)
        return at >= 0 and _INTRODUCES.search(self.plain[max(0, at - 120) : at]) is not None


@lru_cache(maxsize=256)
def _digits(text: str) -> frozenset[str]:
    return frozenset(_DIGITS.findall(text))


def context(titles: tuple[str, ...], abstracts: tuple[str, ...], question: str) -> Context:
    """Return the context of claims about these papers."""
    return replace(_papers(titles, abstracts), question=analyse(question[:2_000]))


@lru_cache(maxsize=128)
def _papers(titles: tuple[str, ...], abstracts: tuple[str, ...]) -> Context:
    plain = normalise(". ".join((*titles, *abstracts))[:_LONGEST])
    return Context(
        text=analyse(plain),
        plain=plain.lower(),
        digits=_digits(plain),
        title=normalise(". ".join(titles)).lower(),
        question=analyse(""),
    )


def words_of(values: Sequence[str]) -> tuple[str, ...]:
    """Return texts as a hashable value without empty ones."""
    return tuple(v for v in values if v.strip())
