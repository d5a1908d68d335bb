"""Show an answer while it is being made: each claim as it arrives, the sources at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace

from paperagent.answering.fallback import QUOTED, STOPPED, events_instead
from paperagent.layout import (
    CONFIRMED,
    Block,
    answer_blocks,
    claim_blocks,
    ending_blocks,
    paper_of,
    single_claim_blocks,
    status_block,
)
from paperagent.types import Answer, Citation, Claim, Event, Mode
from paperagent.ui import session_usage
from paperagent.ui.render import Screen
from paperagent.ui.wait_line import WaitingLine

_OF_ONE_ANSWER = (
    "withheld: ",
    "incomplete: ",
    "not said: ",
    "closest passages",
    "not chosen by the model: ",
    "answered from the cache",
    QUOTED,
    "withdrawn: ",
    "retracted: ",
)
"""How the notes begin that concern one answer, and so are not said once for the whole session."""


class StreamedAnswer:
    """What of the current answer is on the screen."""

    def __init__(
        self,
        screen: Screen,
        told: set[str] | None = None,
        *,
        titles: bool = True,
        quotes: bool = False,
        waiting: WaitingLine | None = None,
    ) -> None:
        """Take the screen to print to; ``waiting`` is shown from the retrieval until the model answers."""
        self.screen = screen
        self._waiting = waiting
        self._retrieved = False
        self.claims: list[Claim] = []
        self.citations: list[Citation] = []
        self.answer: Answer | None = None
        """The whole answer, once it is done; a partial one after `cut_off`."""
        self._told = set() if told is None else told
        self._titles = titles
        """Whether a quoted sentence stands under its paper's title."""
        self._quotes = quotes
        """Whether the quoted sentences are shown under the sources."""
        self._paper: str | None = None
        """The paper whose title stands over the last claim."""

    def follow(self, events: Iterator[Event], quoted: Callable[[], Iterator[Event]] | None = None) -> None:
        """Print an answer's events as they come, and close their generator however that ends.

        Ctrl-C while the model is waited for prints those of ``quoted``, the extractive answer, instead.
        """
        try:
            self._follow(events)
        except KeyboardInterrupt:
            if quoted is None or not self._waits():
                raise
            self._waiting = None
            self._follow(events_instead(quoted(), STOPPED, "stopped while waiting for the model"))

    def _follow(self, events: Iterator[Event]) -> None:
        try:
            for event in events:
                self.take(event)
        finally:
            if self._waiting is not None:
                self._waiting.stop()
            if isinstance(events, Generator):
                events.close()  # hangs up where a model is still writing

    def take(self, event: Event) -> None:
        """Print what ``event`` adds."""
        if self._waiting is not None:
            self._waiting.stop()
        if event.kind == "retrieved":
            self._retrieved = True
            self.screen.prepare()
            if self._waiting is not None:
                self._waiting.start()
        elif event.kind == "claim" and event.claim is not None:
            self._claim(event.claim, event.citations, titles=self._titles or event.mode == "extractive")
        elif event.kind == "done" and event.answer is not None:
            self._done(event.answer)

    def _waits(self) -> bool:
        """Tell whether the model has been asked and nothing of its answer is shown yet."""
        return self._waiting is not None and self._retrieved and not self.claims and self.answer is None

    @property
    def stopped(self) -> bool:
        """Whether sentences were quoted because a person stopped waiting for the model."""
        return self.answer is not None and self.answer.fallback == STOPPED

    def cut_off(self, question: str, reason: str) -> Answer | None:
        """Say that what was shown is not all, and name its sources; return it where there is anything."""
        if not self.claims or self.answer is not None:
            return None
        claims = tuple(self.claims)
        mode: Mode = "extractive" if self._titles else "llm"
        partial = Answer(question, "incomplete", reason, "", claims, tuple(self.citations), mode=mode)
        self.answer = partial
        cut = replace(status_block(partial), text=f"the answer was cut off ({reason})")
        self.screen.show([cut, *ending_blocks(partial, quotes=self._quotes)])
        return partial

    def _claim(self, claim: Claim, citations: tuple[Citation, ...], *, titles: bool) -> None:
        known = {c.n for c in self.citations}
        self.citations += [c for c in citations if c.n not in known]
        self.claims.append(claim)
        by_number = {c.n: c for c in self.citations}
        paper = paper_of(claim, by_number) if titles else None
        fresh = paper is not None and paper != self._paper
        if fresh:
            self._paper = paper
            title = next(c.title for c in self.citations if c.paper_id == paper)
            self.screen.show([Block("heading", title)])
        self.screen.show(single_claim_blocks(claim, by_number, tight=fresh))

    def _done(self, answer: Answer) -> None:
        self.answer = answer
        fresh = tuple(n for n in answer.notes if n.startswith(_OF_ONE_ANSWER) or n not in self._told)
        self._told.update(fresh)
        self.screen.show(self._ending(replace(answer, notes=fresh)))

    def _ending(self, answer: Answer) -> Iterator[Block]:
        if not self.claims:
            yield from answer_blocks(answer, quotes=self._quotes)
        else:
            yield from self._revised(answer)
            if answer.status != "answered":
                yield status_block(answer)
            yield from ending_blocks(answer, quotes=self._quotes)
        if answer.usage.calls:
            by = f"{answer.model} · " if answer.model else ""
            yield Block("aside", f"{by}{session_usage.in_words(answer.usage)}")

    def _revised(self, answer: Answer) -> Iterator[Block]:
        """Say what has changed since it was printed, as after the opinion of a second reader."""
        by_number = {c.n: c for c in answer.citations}
        if any(by_number.get(c.n, c) != c for c in self.citations):
            yield Block("heading", "The answer, revised")
            yield from claim_blocks(answer.claims, answer.citations, titles=answer.mode == "extractive")
            return
        printed = {c.text: c for c in self.claims}
        final = {c.text: c for c in answer.claims}
        doubted = [_later(c, final) for c in self.claims if _trust(_later(c, final)) < _trust(c)]
        if doubted:
            yield Block("heading", "Doubted after all")
            for i, claim in enumerate(doubted):
                yield from single_claim_blocks(claim, by_number, tight=i == 0)
        raised = [c for c in answer.claims if _trust(c) > _trust(printed.get(c.text, c))]
        yield from (Block("aside", f"{CONFIRMED}: {c.text}") for c in raised)
        for claim in answer.claims:
            if claim.text not in printed:
                yield from single_claim_blocks(claim, by_number)


def _later(claim: Claim, final: Mapping[str, Claim]) -> Claim:
    """Return a printed claim as it is in the final answer; one that is missing there was refuted."""
    return final.get(claim.text) or replace(claim, support="unsupported", citations=(), checks={})


def _trust(claim: Claim) -> int:
    return _TRUST.get(claim.support, 0)


_TRUST = {"quoted": 2, "supported": 2, "unverified": 1}
