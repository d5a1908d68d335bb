"""What is said in an issue, with the sentences it rests on, and the numbers that those get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from paperagent.answering.citations import cite, quoted_claim
from paperagent.types import Citation, Claim, Paper, Sentence


@dataclass(frozen=True, slots=True)
class Said:
    """One claim with its citations, numbered among themselves."""

    claim: Claim
    citations: tuple[Citation, ...]

    @property
    def quotes(self) -> tuple[str, ...]:
        """The sentences that it rests on."""
        return tuple(c.quote for c in self.citations)


def quoted(paper: Paper, sentence: Sentence) -> Said:
    """Return a sentence of a paper, said verbatim."""
    citation = cite(1, paper, sentence)
    return Said(quoted_claim(citation), (citation,))


def apart(claims: Iterable[Claim], citations: Sequence[Citation]) -> list[Said]:
    """Return the claims of an answer, each with its own citations."""
    by_n = {c.n: c for c in citations}
    return [Said(claim, tuple(by_n[n] for n in claim.citations)) for claim in claims]


@dataclass(slots=True)
class Numbers:
    """Numbers the citations of one issue from 1 in the order of first use."""

    citations: list[Citation] = field(default_factory=list)
    _held: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def take(self, said: Said) -> Claim:
        """Return the claim under the issue's numbers."""
        own = {c.n: self._number(c) for c in said.citations}
        return replace(said.claim, citations=tuple(dict.fromkeys(own[n] for n in said.claim.citations)))

    def _number(self, citation: Citation) -> int:
        key = (citation.paper_id, citation.start, citation.end)
        if key not in self._held:
            self._held[key] = len(self.citations) + 1
            self.citations.append(replace(citation, n=self._held[key]))
        return self._held[key]
