"""Show an answer while it is being made: each claim as it arrives, the sources at the end."""

from __future__ import annotations

from dataclasses import replace

from paperagent.render import Block, Screen, answer_blocks, claim_block, ending_blocks, paper_of, status_block
from paperagent.types import Answer, Citation, Claim, Event


class StreamedAnswer:
    """What of the current answer is on the screen."""

    def __init__(self, screen: Screen, told: set[str]) -> None:
        self.screen = screen
        self.claims: list[Claim] = []
        self.citations: list[Citation] = []
        self.answer: Answer | None = None
        """The whole answer, once it is done."""
        self._told = told
        self._paper: str | None = None
        """The paper whose title stands over the last claim."""

    def take(self, event: Event) -> None:
        """Print what ``event`` adds."""
        if event.kind == "claim" and event.claim is not None:
            self._claim(event.claim, event.citations)
        elif event.kind == "done" and event.answer is not None:
            self._done(event.answer)

    def _claim(self, claim: Claim, citations: tuple[Citation, ...]) -> None:
        known = {c.n for c in self.citations}
        self.citations += [c for c in citations if c.n not in known]
        self.claims.append(claim)
        paper = paper_of(claim, {c.n: c for c in self.citations})
        # A sentence quoted from an abstract stands under its paper's title; other claims may join several.
        fresh = claim.support == "quoted" and paper is not None and paper != self._paper
        if fresh:
            self._paper = paper
            title = next(c.title for c in self.citations if c.paper_id == paper)
            self.screen.show([Block("heading", title)])
        self.screen.show([claim_block(claim, tight=fresh)])

    def _done(self, answer: Answer) -> None:
        self.answer = answer
        fresh = tuple(n for n in answer.notes if n not in self._told)
        self._told.update(fresh)
        answer = replace(answer, notes=fresh)
        if not self.claims:
            self.screen.show(answer_blocks(answer))
            return
        if answer.status != "answered":
            self.screen.show([status_block(answer)])
        self.screen.show(ending_blocks(answer))
