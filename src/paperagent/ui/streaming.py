"""Print an answer while it is generated: each claim as it arrives, then the sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, Self, TextIO

from paperagent.answering.answers import FALLBACK_NOTE, STOPPED, fallback_events
from paperagent.layout import (
    CONFIRMED,
    Block,
    answer_blocks,
    caveat_block,
    claim_blocks,
    ending_blocks,
    paper_of,
    single_claim_blocks,
    status_block,
)
from paperagent.text.sanitize import safe_terminal
from paperagent.types import Answer, Citation, Claim, Event, Mode
from paperagent.ui.render import describe_usage, terminal_width

WAITING_INTERVAL_S = 1.0
"""Seconds before the waiting line appears, and between updates."""
_REPEATED_NOTES = (
    "withheld: ",
    "incomplete: ",
    "not said: ",
    "not chosen by the model: ",
    "answered from the cache",
    FALLBACK_NOTE,
    "withdrawn: ",
    "retracted: ",
)
"""Beginnings of notes that concern a single answer; all others are shown once per session."""
_TRUST = {"quoted": 2, "supported": 2, "unverified": 1}


class BlockScreen(Protocol):
    """Where the parts of an answer are shown: a terminal, a file or a web page."""

    def prepare(self) -> None:
        """Get ready, so that the first claim is shown without delay."""
        ...

    def show(self, blocks: Iterable[Block]) -> None:
        """Show blocks below those that are there."""
        ...


class StreamedAnswer:
    """Prints the events of one answer and remembers what is on the screen."""

    def __init__(
        self,
        screen: BlockScreen,
        shown_notes: set[str] | None = None,
        *,
        titles: bool = True,
        quotes: bool = False,
        waiting: WaitingLine | None = None,
    ) -> None:
        """Create a printer.

        Args:
            screen: Where the answer is printed.
            shown_notes: Notes that were shown in the session and are not repeated; updated.
            titles: Print the title of the paper above its quoted sentences.
            quotes: Print the quoted sentences under the sources.
            waiting: Line to show from the retrieval until the model answers.
        """
        self.screen = screen
        self.claims: list[Claim] = []
        self.citations: list[Citation] = []
        self.answer: Answer | None = None
        """The complete answer once it is done; a partial one after `cut_off`."""
        self._shown_notes = set() if shown_notes is None else shown_notes
        self._titles = titles
        self._quotes = quotes
        self._waiting = waiting
        self._retrieved = False
        self._titled_paper: str | None = None
        """Paper whose title was printed last."""

    def follow(self, events: Iterator[Event], quoted: Callable[[], Iterator[Event]] | None = None) -> None:
        """Print events as they arrive, and close their generator in any case.

        Ctrl-C while waiting for the model switches to the events of ``quoted``, the extractive answer.
        """
        try:
            self._follow(events)
        except KeyboardInterrupt:
            if quoted is None or not self._is_waiting():
                raise
            self._waiting = None
            self._follow(fallback_events(quoted(), STOPPED, "stopped while waiting for the model"))

    def _follow(self, events: Iterator[Event]) -> None:
        try:
            for event in events:
                self.take(event)
        finally:
            if self._waiting is not None:
                self._waiting.stop()
            if isinstance(events, Generator):
                events.close()  # closes the connection if the model is still writing

    def take(self, event: Event) -> None:
        """Print one event."""
        if self._waiting is not None:
            self._waiting.stop()
        if event.kind == "retrieved":
            self._retrieved = True
            self.screen.prepare()
            if self._waiting is not None:
                self._waiting.start()
        elif event.kind == "claim" and event.claim is not None:
            titles = self._titles or event.mode == "extractive"
            if event.caveat and not self.claims:
                self.screen.show([caveat_block(event.caveat)])
            self._print_claim(event.claim, event.citations, titles=titles)
        elif event.kind == "done" and event.answer is not None:
            self._finish(event.answer)

    def _is_waiting(self) -> bool:
        """Return whether the model has been called and nothing of its answer is shown yet."""
        return self._waiting is not None and self._retrieved and not self.claims and self.answer is None

    @property
    def stopped(self) -> bool:
        """Whether the user stopped waiting for the model, so that sentences were quoted."""
        return self.answer is not None and self.answer.fallback == STOPPED

    def cut_off(self, question: str, reason: str) -> Answer | None:
        """Mark the answer as incomplete and print the sources; return the partial answer, if any."""
        if not self.claims or self.answer is not None:
            return None
        claims = tuple(self.claims)
        mode: Mode = "extractive" if self._titles else "llm"
        partial = Answer(question, "incomplete", reason, "", claims, tuple(self.citations), mode=mode)
        self.answer = partial
        status = replace(status_block(partial), text=f"the answer was cut off ({reason})")
        self.screen.show([status, *ending_blocks(partial, quotes=self._quotes)])
        return partial

    def _print_claim(self, claim: Claim, citations: tuple[Citation, ...], *, titles: bool) -> None:
        numbers = {c.n for c in self.citations}
        self.citations += [c for c in citations if c.n not in numbers]
        self.claims.append(claim)
        by_number = {c.n: c for c in self.citations}
        paper = paper_of(claim, by_number) if titles else None
        needs_title = paper is not None and paper != self._titled_paper
        if needs_title:
            self._titled_paper = paper
            title = next(c.title for c in self.citations if c.paper_id == paper)
            self.screen.show([Block("heading", title, paper_id=paper)])
        self.screen.show(single_claim_blocks(claim, by_number, tight=needs_title))

    def _finish(self, answer: Answer) -> None:
        self.answer = answer
        notes = tuple(n for n in answer.notes if n.startswith(_REPEATED_NOTES) or n not in self._shown_notes)
        self._shown_notes.update(notes)
        self.screen.show(self._ending(replace(answer, notes=notes)))

    def _ending(self, answer: Answer) -> Iterator[Block]:
        if not self.claims:
            yield from answer_blocks(answer, quotes=self._quotes)
        else:
            yield from self._revisions(answer)
            if answer.status not in ("answered", "doubtful"):  # a caveat was shown before the claims
                yield status_block(answer)
            yield from ending_blocks(answer, quotes=self._quotes)
        if answer.usage.calls:
            model = f"{answer.model} · " if answer.model else ""
            yield Block("aside", f"{model}{describe_usage(answer.usage)}")

    def _revisions(self, answer: Answer) -> Iterator[Block]:
        """Yield what changed after it was printed, for example because of the judge."""
        by_number = {c.n: c for c in answer.citations}
        if any(by_number.get(c.n, c) != c for c in self.citations):
            yield Block("heading", "Revised answer")
            yield from claim_blocks(answer.claims, answer.citations, titles=answer.mode == "extractive")
            return
        printed = {c.text: c for c in self.claims}
        final = {c.text: c for c in answer.claims}
        revised = [_final_claim(c, final) for c in self.claims]
        doubted = [claim for claim, before in zip(revised, self.claims, strict=True) if _less(claim, before)]
        if doubted:
            yield Block("heading", "No longer confirmed")
            for i, claim in enumerate(doubted):
                yield from single_claim_blocks(claim, by_number, tight=i == 0)
        for claim in answer.claims:
            if _less(printed.get(claim.text, claim), claim):
                yield Block("aside", f"{CONFIRMED}: {claim.text}")
        for claim in answer.claims:
            if claim.text not in printed:
                yield from single_claim_blocks(claim, by_number)


def _final_claim(claim: Claim, final: Mapping[str, Claim]) -> Claim:
    """Return a printed claim as it is in the final answer; if it is missing there, it was refuted."""
    return final.get(claim.text) or replace(claim, support="unsupported", citations=(), checks={})


def _less(claim: Claim, other: Claim) -> bool:
    """Return whether ``claim`` is less trusted than ``other``."""
    return _TRUST.get(claim.support, 0) < _TRUST.get(other.support, 0)


class WaitingLine:
    """Shows on the last line of a terminal what the program waits for, and for how long.

    A thread updates the line. `start` and `stop` may be called repeatedly and from any thread; call
    `stop`, which clears the line, before printing to the same terminal.
    """

    def __init__(
        self,
        out: TextIO | None,
        target: str,
        *,
        hint: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a stopped line.

        Args:
            out: The terminal; None shows nothing.
            target: What the program waits for, such as ``qwen2.5 at 127.0.0.1:8080``.
            hint: What the user can do in the meantime.
            clock: Monotonic clock, in seconds.
        """
        self._out = out
        self._target = safe_terminal(target)
        self._hint = hint
        self._clock = clock
        self._started_at = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._width = 0
        """Width of the text on the line."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start counting."""
        if self._out is not None and self._thread is None:
            self._started_at, self._stopping = self._clock(), threading.Event()
            arguments = (self._out, self._stopping)
            self._thread = threading.Thread(target=self._update, args=arguments, name="waiting", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop counting and clear the line."""
        thread, self._thread = self._thread, None
        if thread is not None and self._out is not None:
            self._stopping.set()
            thread.join()
            self._write(self._out, "")

    def _update(self, out: TextIO, stopping: threading.Event) -> None:
        while not stopping.wait(WAITING_INTERVAL_S):
            self._write(out, self.text(int(self._clock() - self._started_at), terminal_width(out)))

    def text(self, seconds: int, width: int) -> str:
        """Return the longest message that fits a terminal of ``width`` columns."""
        model = self._target.partition(" at ")[0]
        forms = [f"waiting for {self._target} … {seconds} s", f"waiting for {model} … {seconds} s"]
        forms = [*([f"{forms[0]} ({self._hint})"] if self._hint else []), *forms, f"waiting … {seconds} s"]
        return next((form for form in forms if len(form) < width), f"{seconds} s"[: max(0, width - 1)])

    def _write(self, out: TextIO, text: str) -> None:
        """Replace the text on the line."""
        if text or self._width:
            padding = " " * (self._width - len(text))
            out.write(f"\r{text}{padding}{'' if text else chr(13)}")
            out.flush()
        self._width = len(text)
