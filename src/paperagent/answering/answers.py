"""Parts that every kind of answer shares: abstentions, fallbacks, notes, events and stage timings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from paperagent.answering import citations
from paperagent.answering.passages import contains_instructions
from paperagent.types import RETRACTED, Answer, Citation, Event, Paper, Usage

EMPTY_LIBRARY = "The library is empty: ingest a feed first with `paperagent ingest SOURCE`."
DOUBTFUL = "May not answer: closest passages."
"""The caveat of a ``doubtful`` answer if no name is missing."""
NOTHING_FOUND = "The abstracts do not say. No paper in the library matches this question and its filters."

FALLBACK_NOTE = "quoted instead of written"
"""Start of the note that says why an answer quotes sentences; the reason follows."""
STOPPED = "stopped"
"""Value of ``Answer.fallback`` if the user stopped waiting for the model."""
NOT_SERVER_FAULTS = frozenset(
    {"abstained", "withheld_unsupported", "truncated", "over_budget", "refused_by_model", STOPPED}
)
"""Values of ``Answer.fallback`` that do not mean that the model's server failed."""


class StageTimer:
    """Measures the stages of an answer in milliseconds."""

    def __init__(self) -> None:
        self._start = self._stage_start = time.perf_counter()
        self._stages: dict[str, float] = {}

    def end_stage(self, name: str) -> None:
        """Record the time since the last stage ended."""
        now = time.perf_counter()
        self._stages[name] = (now - self._stage_start) * 1000
        self._stage_start = now

    def timings_ms(self) -> dict[str, float]:
        """Return the milliseconds of each stage and of all together (``total``)."""
        return {**self._stages, "total": (time.perf_counter() - self._start) * 1000}


# --- events ---


def claim_events(answer: Answer) -> Iterator[Event]:
    """Yield the claims of a finished answer as events."""
    by_n = {c.n: c for c in answer.citations}
    for claim in answer.claims:
        cited = tuple(by_n[n] for n in claim.citations)
        yield Event("claim", claim=claim, citations=cited, mode=answer.mode, caveat=caveat_of(answer))


# --- fallbacks: quoted sentences in place of the model's answer ---


def fallback_note(reason: str) -> str:
    """Return the note with the reason why sentences are quoted."""
    return f"{FALLBACK_NOTE}: {reason}"


def as_fallback(extractive: Answer, kind: str, reason: str, *, usage: Usage) -> Answer:
    """Return an extractive answer marked as the replacement of a model's answer.

    Args:
        extractive: The answer that quotes sentences.
        kind: Kind of an `EndpointError`, or one of `NOT_SERVER_FAULTS`.
        reason: Why there is no answer by the model, as text for the user.
        usage: What the attempt used.
    """
    notes = (*extractive.notes, fallback_note(reason))
    return replace(extractive, usage=usage, fallback=kind, notes=notes)


def fallback_events(events: Iterator[Event], kind: str, reason: str) -> Iterator[Event]:
    """Yield the events of an extractive answer, the final one marked as a fallback."""
    for event in events:
        answer = event.answer
        if answer is not None:
            answer = as_fallback(answer, kind, reason, usage=answer.usage)
        yield replace(event, answer=answer)


def server_failed(answer: Answer) -> bool:
    """Return whether sentences were quoted because the model's server failed."""
    return answer.fallback is not None and answer.fallback not in NOT_SERVER_FAULTS


# --- texts and notes ---


def caveat_of(answer: Answer) -> str:
    """Return the caveat of a ``doubtful`` answer, or an empty string."""
    return answer.answer.partition("\n\n")[0] if answer.status == "doubtful" else ""


def caveat(missing: str) -> str:
    """Return the caveat of a ``doubtful`` answer.

    Args:
        missing: What the library lacks, such as ``no paper here mentions “LoRA”``; may be empty.
    """
    return f"May not answer: {missing}; closest passages." if missing else DOUBTFUL


def with_caveat(caveat: str, text: str) -> str:
    """Return the text of an answer with a caveat, if any, as its first paragraph."""
    return f"{caveat}\n\n{text}" if caveat else text


def closest_passages(cited: Sequence[Citation]) -> str:
    """Return the closest passages as text to append to an abstention, empty if there are none."""
    if not cited:
        return ""
    claims = [citations.quoted_claim(citation) for citation in cited]
    return f" Closest passages:\n\n{citations.join_claims(claims, cited)}"


def injection_notes(papers: Iterable[Paper]) -> tuple[str, ...]:
    """Return a note for each paper whose abstract contains instructions to its reader."""
    titles = [p.title for p in papers if contains_instructions(p.abstract)]
    return tuple(f"suspicious: “{title}” contains instructions to its reader" for title in titles)


def withdrawal_notes(cited: Iterable[Citation], papers: Iterable[Paper]) -> tuple[str, ...]:
    """Return a note for each cited paper that was withdrawn or retracted, with its citation numbers."""
    withdrawn = {p.paper_id: p for p in papers if p.withdrawn}
    numbers: dict[str, list[int]] = {}
    for citation in cited:
        if citation.paper_id in withdrawn:
            numbers.setdefault(citation.paper_id, []).append(citation.n)
    notes = []
    for paper_id, cited_as in numbers.items():
        paper = withdrawn[paper_id]
        retracted = RETRACTED in paper.flags
        status, by = (RETRACTED, "publisher") if retracted else ("withdrawn", "authors")
        markers = "".join(f"[{n}]" for n in cited_as)
        notes.append(f"{status}: {markers} “{paper.title}” was {status} by its {by}")
    return tuple(notes)
