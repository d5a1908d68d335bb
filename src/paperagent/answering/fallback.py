"""Quoted sentences in place of a model's answer, and the one line that says why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from paperagent.types import Answer, Event, Usage

QUOTED = "quoted instead of written"
"""The start of a note that says why sentences are quoted; the reason follows."""
STOPPED = "stopped"
"""The value of ``Answer.fallback`` where a person stopped waiting for the model."""
OF_THE_ANSWER = frozenset(
    {"abstained", "withheld_unsupported", "truncated", "over_budget", "refused_by_model", STOPPED}
)
"""Values of ``Answer.fallback`` that do not mean that the model's server failed."""


def note(why: str) -> str:
    """Return the line that says why sentences are quoted."""
    return f"{QUOTED}: {why}"


def instead(quoted: Answer, kind: str, why: str, *, usage: Usage) -> Answer:
    """Return an extractive answer, marked as a replacement for a model's answer.

    ``kind`` is the kind of an error or one of `OF_THE_ANSWER`; ``usage`` is what the attempt used.
    """
    return replace(quoted, usage=usage, fallback=kind, notes=(*quoted.notes, note(why)))


def events_instead(events: Iterator[Event], kind: str, why: str) -> Iterator[Event]:
    """Yield the events of an extractive answer, with the final answer marked as a replacement."""
    for event in events:
        answer = event.answer
        yield (
            event if answer is None else replace(event, answer=instead(answer, kind, why, usage=answer.usage))
        )


def server_failed(answer: Answer) -> bool:
    """Tell whether sentences were quoted because the model's server failed."""
    return answer.fallback is not None and answer.fallback not in OF_THE_ANSWER
