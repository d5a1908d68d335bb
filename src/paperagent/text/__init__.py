"""Text processing without knowledge of papers: sentences, terms, LaTeX, JSON, escaping.

Start with `sentences`, which splits an abstract into `Sentence` objects, and `terms`, which turns a text into
the stems that are indexed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an abstract; ``abstract[start:end] == text``."""

    index: int
    """The position in the abstract, from 0."""
    text: str
    start: int
    end: int
