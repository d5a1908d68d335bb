"""Quoted sentences where a model should have written, and the one line that says why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from paperagent.types import Answer, Event, Usage

QUOTED = "quoted instead of written"
"""Begins a note on what a model did not write; why, which follows, is for who asks or runs the digest."""
STOPPED = "stopped"
"""The fallback of a person who did not wait for the model."""
OF_THE_ANSWER = frozenset(
    {"abstained", "withheld_unsupported", "truncated", "over_budget", "refused_by_model", STOPPED}
)
"""Values of ``Answer.fallback`` that do not mean that the model's server failed."""


def note(why: str) -> str:
    """Return the line that says why sentences are quoted."""
    return f"{QUOTED}: {why}"


def instead(quoted: Answer, kind: str, why: str, *, usage: Usage) -> Answer:
    """Return an extractive answer, marked as standing where a model's was wanted.

    ``kind`` is an error's or one of `OF_THE_ANSWER`; ``usage`` is what the attempt used.
    """
    return replace(quoted, usage=usage, fallback=kind, notes=(*quoted.notes, note(why)))


def events_instead(events: Iterator[Event], kind: str, why: str) -> Iterator[Event]:
    """Pass on the events of an extractive answer, the answer at their end marked."""
    for event in events:
        answer = event.answer
        yield (
            event if answer is None else replace(event, answer=instead(answer, kind, why, usage=answer.usage))
        )


def server_failed(answer: Answer) -> bool:
    """Tell whether sentences were quoted since the model's server failed."""
    return answer.fallback is not None and answer.fallback not in OF_THE_ANSWER
