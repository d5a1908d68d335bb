"""A second reader: a model's opinion on claims that wording cannot settle.

A `Judge` gives a probability for each pair of a claim and its cited sentences; `review` decides what
that changes in an answer. Failures here are reported in the opinion and never raised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from paperagent.errors import EndpointError, PaperAgentError
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.answering.call_budget import Call
    from paperagent.llm.prompts import Prompt
    from paperagent.llm.protocol import Pricing, TextModel

When = Literal["auto", "always", "never"]
"""``auto`` asks only if the answer has an unverified claim."""
JUDGE = "judge"
"""The name of the schema, which distinguishes the judge's calls from others."""

LABELS: Mapping[str, float] = {"supported": 0.9, "partly": 0.5, "not_supported": 0.1}
"""The probability of support that a bare label stands for, where the server gives none.

A good reader's label is right about nine times in ten on claims like ours, and a bare label does
not say how sure the reader is. So no label counts for more than that.
"""
OUTPUT_TOKENS, TOKENS_A_LABEL = 200, 12


# --- the port ---


@dataclass(frozen=True, slots=True)
class Source:
    """Sentences of one paper, with the title and abstract that show what they are about."""

    sentences: tuple[str, ...]
    title: str = ""
    abstract: str = ""


@dataclass(frozen=True, slots=True)
class IsSupported:
    """Asks whether the sentences of ``sources`` together support ``claim``."""

    claim: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class IsAnswerable:
    """Asks whether the sentences of ``sources`` state the answer to ``question``."""

    question: str
    sources: tuple[Source, ...]


Item = IsSupported | IsAnswerable


@dataclass(frozen=True, slots=True)
class Opinion:
    """The probabilities that a second reader gives, and what the call used."""

    probabilities: tuple[float | None, ...]
    """One for each item, 0 to 1; None where there is none: refused, malformed or failed."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    fault: str = ""
    """Why there is no probability for any item, in a phrase."""


class Judge(Protocol):
    """A second reader."""

    def ask(self, items: Sequence[Item], *, max_cost: float | None = None) -> Opinion:
        """Return the probability of each item, from one call for all of them; raise nothing.

        ``max_cost`` (US dollars) refuses a call that could cost more.
        """
        ...


# --- a model as judge ---


class ModelJudge:
    """Asks a model in one call, which it may answer with probabilities or with labels."""

    def __init__(self, model: TextModel, prompt: Prompt, pricing: Pricing, *, salt: str) -> None:
        """Take the model, its prompt and prices, and a secret of the library for the fence."""
        self._model = model
        self._prompt = prompt
        self._pricing = pricing
        self._salt = salt

    def ask(self, items: Sequence[Item], *, max_cost: float | None = None) -> Opinion:
        """Return the probability of each item; raise nothing."""
        from paperagent.answering.call_budget import Budget, priced

        if not items:
            return Opinion(())
        call, budget, used, fault = self._call(items), Budget(self._pricing, max_cost), Usage(), ""
        said: tuple[float | None, ...] = (None,) * len(items)
        try:
            with self._model.stream(
                call.messages, schema=call.schema, schema_name=call.name, max_output_tokens=call.limit
            ) as pieces:
                if not pieces.is_cached and not budget.allows(budget.bound(call)):
                    return Opinion(said, fault="asking it could cost more than the limit")
                try:
                    text = "".join(pieces)
                finally:
                    used = pieces.completion.usage
                # Inside the block: a reply that cannot be read must not get into the cache.
                said = read(text, list(call.schema["properties"]))
        except PaperAgentError as error:
            fault = str(error)
        return Opinion(said, priced(used, self._pricing), self._model.model, fault)

    def _call(self, items: Sequence[Item]) -> Call:
        from paperagent.answering.call_budget import Call

        text = _laid_out(items)
        fence = "=" * 4 + hashlib.sha256(f"{self._salt}\n{text}".encode()).hexdigest()[:16]
        return Call(
            self._prompt.fill(fence=fence, claims=text.replace(fence, "")),
            schema_of(items),
            JUDGE,
            OUTPUT_TOKENS + TOKENS_A_LABEL * len(items),
        )


def schema_of(items: Sequence[Item]) -> dict[str, Any]:
    """Return the schema of a reply: one property an item, described by the statement to be judged."""
    properties = {
        str(i): {"type": "string", "enum": list(LABELS), "description": _statement(i, item)}
        for i, item in enumerate(items, start=1)
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _statement(number: int, item: Item) -> str:
    """Return what is true or false of an item; claim and sentences stand in the input, inside the fence."""
    if isinstance(item, IsAnswerable):
        return f"The sentences quoted for question {number} state the answer to it."
    return f"The sentences quoted for claim {number} state all that it says, and no less strongly."


def _laid_out(items: Sequence[Item]) -> str:
    """Return papers, then claims with their sentences, each text on one line of its own."""
    papers = list(dict.fromkeys((s.title, s.abstract) for item in items for s in item.sources))
    lines = []
    for number, (title, abstract) in enumerate(papers, start=1):
        lines += [f"Paper {number}: {_line(title)}", *([_line(abstract)] if abstract else []), ""]
    for number, item in enumerate(items, start=1):
        asked = isinstance(item, IsAnswerable)
        text = item.question if isinstance(item, IsAnswerable) else item.claim
        lines.append(f"{'Question' if asked else 'Claim'} {number}: {_line(text)}")
        for source in item.sources:
            paper = papers.index((source.title, source.abstract)) + 1
            lines += [f"  quoted from paper {paper}: {_line(s)}" for s in source.sentences]
    return "\n".join(lines)


def _line(text: str) -> str:
    """Put a stranger's text on one line, so that it cannot begin a line of its own."""
    return " ".join(text.split())


def read(text: str, names: Sequence[str]) -> tuple[float | None, ...]:
    """Return the probability of each item that a reply gives, as a number or as a label.

    Raises:
        EndpointError: (kind ``malformed``) it gives none at all.
    """
    from paperagent.answering.reply import read_object
    from paperagent.text.lenient_json import parse_all

    given: Any = next((value for value in parse_all(text) if isinstance(value, list)), None)
    for key in ("probabilities", "labels", *names):
        try:
            whole = read_object(text, key)
        except EndpointError:
            continue
        given = whole[key] if key in ("probabilities", "labels") else whole
        break
    if isinstance(given, list):
        given = dict(zip(names, given, strict=True)) if len(given) == len(names) else {}
    found = tuple(probability(given.get(name)) if isinstance(given, dict) else None for name in names)
    if all(p is None for p in found):
        raise EndpointError("second reader: gave no readable opinion", kind="malformed")
    return found


_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,17})?")


def probability(value: Any) -> float | None:
    """Return what a label or a number says of support, 0 to 1; None for anything else."""
    if isinstance(value, dict):
        value = value.get("label")
    if isinstance(value, str):
        label = "_".join(value.lower().replace("-", " ").split())
        if label in LABELS or not _NUMBER.fullmatch(value):
            return LABELS.get(label)
        value = float(value)  # a number with a fraction is text to a tolerant reader
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 1 else None
