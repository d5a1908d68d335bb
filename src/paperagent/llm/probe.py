"""One small call of a model, to see what its server can do and how fast it is."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paperagent.llm.chat import ChatModel
    from paperagent.types import Usage

MAX_OUTPUT_TOKENS = 400
"""Enough for a model that reasons before it writes twelve words."""
STATIONS = 24
_SHORTEST = 0.05
"""Seconds: what takes less is no measure of speed."""
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "string"}}},
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What the call showed."""

    seconds_to_first_text: float
    """All of it where no text came."""
    seconds: float
    usage: Usage
    """Tokens, unpriced."""
    features: dict[str, bool | None]
    """Whether an optional feature worked; None where that cannot be told.

    ``json_schema``: the reply has the form that only the schema asks for. ``streaming``: it came in
    pieces. ``streaming_usage``: the server counted its tokens.
    """
    notes: tuple[str, ...] = ()

    @property
    def input_speed(self) -> float | None:
        """Tokens a second that the server reads; cached ones are not read."""
        fresh = self.usage.input_tokens - self.usage.cached_tokens
        return _speed(fresh, self.seconds_to_first_text) if self.features["streaming"] else None

    @property
    def output_speed(self) -> float | None:
        """Tokens a second that the server writes."""
        writing = self.seconds - self.seconds_to_first_text
        return _speed(self.usage.output_tokens, writing) if self.features["streaming"] else None

    def seconds_for(self, input_tokens: int, output_tokens: int) -> float:
        """Return about how long a larger call takes."""
        reads, writes = self.input_speed, self.output_speed
        if reads and writes:
            return input_tokens / reads + output_tokens / writes
        # The two parts cannot be told apart: the call as a whole, in the larger of the two proportions.
        used = self.usage
        return self.seconds * max(
            input_tokens / max(used.input_tokens, 1), output_tokens / max(used.output_tokens, 1)
        )


def probe(model: ChatModel) -> Probe:
    """Call the model once and time it; a failure is not tried again, so that at most one call is paid.

    The prompt has some 600 tokens and begins with a random number, which keeps it out of every cache.

    Raises:
        EndpointError: the server failed.
        ConfigError: a proxy stands in the way.
    """
    from paperagent.llm import client

    client.preload()
    model.endpoint.attempts = 1
    started = time.monotonic()
    first = None
    pieces: list[str] = []
    with model.stream(
        _messages(), schema=SCHEMA, schema_name="numbers", max_output_tokens=MAX_OUTPUT_TOKENS
    ) as stream:
        for piece in stream:
            first = first or time.monotonic()
            pieces.append(piece)
        ended = time.monotonic()
        done = stream.completion
    text = "".join(pieces).strip()
    as_json = text.startswith("{")
    features = {
        "json_schema": as_json and "response_format" not in model.unsupported_parameters if text else None,
        # Other text is held back until it is known to be no reasoning, and so comes in one piece.
        "streaming": len(pieces) > 1 if as_json else None,
        "streaming_usage": not done.usage.estimated and "stream" not in model.unsupported_parameters,
    }
    return Probe((first or ended) - started, ended - started, done.usage, features, done.notes)


def _messages() -> list[dict[str, str]]:
    lines = [
        f"Station {n} counted {7 * n % 90 + 10} birds on the first day of spring, "
        f"and {5 * n % 9 + 1} of them were seen again before the summer."
        for n in range(1, STATIONS + 1)
    ]
    task = (
        "How many birds did each of the stations 1 to 12 count in spring? Write the twelve numbers as words."
    )
    return [
        {"role": "system", "content": f"{secrets.token_hex(4)}. Answer briefly."},
        {"role": "user", "content": "\n".join([*lines, task])},
    ]


def _speed(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > _SHORTEST else None
