"""Test a model with one small call: which features its server supports and how fast it is."""

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
_STATIONS = 24
_MIN_SECONDS = 0.05
"""Shorter durations are too inaccurate to compute a speed."""
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "string"}}},
}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The measurements of one call."""

    seconds_to_first_text: float
    """Equals `seconds` if no text arrived."""
    seconds: float
    usage: Usage
    """Tokens, without cost."""
    features: dict[str, bool | None]
    """Whether an optional feature worked; None if unknown.

    ``json_schema``: the reply has the form that only the schema requires. ``streaming``: it arrived in
    pieces. ``streaming_usage``: the server reported its tokens.
    """
    notes: tuple[str, ...] = ()

    @property
    def input_speed(self) -> float | None:
        """Prompt tokens per second, without cached ones; None if unknown."""
        uncached = self.usage.input_tokens - self.usage.cached_tokens
        return _speed(uncached, self.seconds_to_first_text) if self.features["streaming"] else None

    @property
    def output_speed(self) -> float | None:
        """Output tokens per second; None if unknown."""
        writing = self.seconds - self.seconds_to_first_text
        return _speed(self.usage.output_tokens, writing) if self.features["streaming"] else None

    def seconds_for(self, input_tokens: int, output_tokens: int) -> float:
        """Estimate the seconds that a larger call takes."""
        reading, writing = self.input_speed, self.output_speed
        if reading and writing:
            return input_tokens / reading + output_tokens / writing
        # Reading and writing cannot be separated: scale the whole call by the larger of the two ratios.
        used = self.usage
        return self.seconds * max(
            input_tokens / max(used.input_tokens, 1), output_tokens / max(used.output_tokens, 1)
        )


def probe(model: ChatModel) -> ProbeResult:
    """Call the model once and time it. A failure is not retried, so at most one call is billed.

    The prompt has about 600 tokens and begins with a random number, which keeps it out of every cache.

    Raises:
        EndpointError: The call failed.
        ConfigError: A proxy refused the connection.
    """
    from paperagent.llm import client

    client.preload()
    model.endpoint.attempts = 1
    started = time.monotonic()
    first = None
    pieces: list[str] = []
    with model.stream(
        _messages(), schema=_SCHEMA, schema_name="numbers", max_output_tokens=MAX_OUTPUT_TOKENS
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
        # Other text is held back until it is known not to be reasoning, and so arrives in one piece.
        "streaming": len(pieces) > 1 if as_json else None,
        "streaming_usage": not done.usage.estimated and "stream" not in model.unsupported_parameters,
    }
    return ProbeResult((first or ended) - started, ended - started, done.usage, features, done.notes)


def _messages() -> list[dict[str, str]]:
    lines = [
        f"Station {n} counted {7 * n % 90 + 10} birds on the first day of spring, "
        f"and {5 * n % 9 + 1} of them were seen again before the summer."
        for n in range(1, _STATIONS + 1)
    ]
    task = (
        "How many birds did each of the stations 1 to 12 count in spring? Write the twelve numbers as words."
    )
    return [
        {"role": "system", "content": f"{secrets.token_hex(4)}. Answer briefly."},
        {"role": "user", "content": "\n".join([*lines, task])},
    ]


def _speed(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > _MIN_SECONDS else None
