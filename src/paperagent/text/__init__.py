"""Pure functions on text, without I/O.

Start with `terms`, the analysis of text into index terms, and `sentences`, which splits an abstract into
`Sentence` objects. `readable` converts LaTeX, entities and tags to plain characters, `sanitize`
makes untrusted text safe for each destination, `injection` recognizes instructions to a model, `lenient_json`
parses JSON as models write it, and `model_names` reads the size of a model from its name.
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
    is_cut: bool = False
    """Whether the beginning of the sentence is left out: see `discourse.standalone`."""
