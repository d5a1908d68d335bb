"""What an answer by a model is made with: the model's port, prompts, prices and policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from paperagent.answering.claims import Check, Policy
from paperagent.answering.model_profiles import FULL, Profile
from paperagent.llm.prompts import Prompt
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.answering.judge import Judge, When

Effort = Literal["fast", "deep"]
"""``fast`` is one round; ``deep`` cuts the question into searches first."""


NAME_THE_PRICE = "set PAPERAGENT_PRICE=INPUT,OUTPUT in US dollars per million tokens"
"""What helps where a limit on cost cannot be kept because the price is not known."""


class Completion(Protocol):
    """What a call of the model left behind."""

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped: ``stop``, ``length``, ``refusal`` or ``content_filter``, say."""
        ...

    @property
    def usage(self) -> Usage:
        """Tokens of the call, unpriced."""
        ...

    @property
    def model(self) -> str | None:
        """The model."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the call."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the reply is whole."""
        ...


class Pieces(Protocol):
    """The text of a reply, piece by piece; ``completion`` stands after the last."""

    def __iter__(self) -> Iterator[str]: ...

    @property
    def completion(self) -> Completion:
        """What the call left behind; stands after the last piece."""
        ...

    @property
    def free(self) -> bool:
        """Whether the text is at hand: no call is made for it. Stands before the first piece."""
        ...


@dataclass(slots=True)
class Heard:
    """Passes a reply's pieces on and keeps their text. Implements `Pieces`."""

    pieces: Pieces
    text: str = ""

    def __iter__(self) -> Iterator[str]:
        for piece in self.pieces:
            self.text += piece
            yield piece

    @property
    def completion(self) -> Completion:
        """What the call left behind."""
        return self.pieces.completion

    @property
    def free(self) -> bool:
        """Whether the text was at hand."""
        return self.pieces.free


@dataclass(frozen=True, slots=True)
class AtHand:
    """A reply that no call is made for, in one piece. Implements `Pieces`."""

    text: str
    completion: Completion
    free: bool = True

    def __iter__(self) -> Iterator[str]:
        yield self.text


class TextModel(Protocol):
    """A chat model behind an endpoint."""

    @property
    def model(self) -> str:
        """The model."""
        ...

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may take for reasoning, beyond its limit."""
        ...

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[Pieces]:
        """Ask for a JSON reply and stream it; without a temperature, by the model's default of 0.

        Raises:
            EndpointError: the server failed, refused, or could not be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tariff:
    """How to count and price a call: estimates before it, the bill after it."""

    tokens: Callable[[Sequence[str]], tuple[int, bool]]
    """Tokens of texts, and whether that is an estimate."""
    price: Callable[[Usage], float | None]
    """US dollars for a usage; None where the price is not known."""
    thinking: int = 0
    """Tokens that a reply may take for reasoning, beyond its limit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that shapes an answer by a model."""

    answer: Prompt
    plan: Prompt
    repair: Prompt
    check: Check
    tariff: Tariff
    salt: str
    """A secret of the library, for the fence."""
    today: str
    policy: Policy = "withhold"
    effort: Effort | None = None
    max_rounds: int = 2
    context_tokens: int = 8_192
    """Tokens that a prompt and its reply may fill together."""
    max_cost: float | None = None
    judge: Judge | None = None
    """A second reader, for claims that wording leaves open."""
    judge_when: When = "auto"
    library: str = ""
    """One line on what is searched, for the rule when to search; none where it is not known."""
    profile: Profile = FULL
    """How much the model is asked to do."""
    fallback: bool = True
    """Whether sentences are quoted where the model gives no answer; else its fault is the caller's."""
