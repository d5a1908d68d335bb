"""Which papers and sentences a case wants, found among those that an answer has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from paperagent.evals.cases import Case
from paperagent.types import Answer, Citation, Paper

_GAP = re.compile(r"\s+")


@lru_cache(maxsize=65_536)
def title_key(title: str) -> str:
    """Return what of a title counts: letters and digits, without case."""
    return re.sub(r"\W+", "", title.casefold())


@dataclass(frozen=True, slots=True)
class GoldPapers:
    """The papers that hold a case's answer."""

    gains: Mapping[str, float]
    """Key of each paper → its relevance."""
    by_id: bool

    @classmethod
    def of(cls, case: Case, papers: Mapping[str, Paper]) -> GoldPapers:
        """Take the ids where there are any, a paper's former ids too; else the titles."""
        if case.gold_ids:
            grades = case.grades or (1.0,) * len(case.gold_ids)
            present = (papers[i].paper_id if i in papers else i for i in case.gold_ids)
            return cls(dict(zip(present, grades, strict=True)), by_id=True)
        return cls(dict.fromkeys(map(title_key, case.gold_titles), 1.0), by_id=False)

    def key(self, paper_id: str, title: str) -> str | None:
        """Return which of the wanted papers this is; None for any other."""
        key = paper_id if self.by_id else title_key(title)
        return key if key in self.gains else None

    def places(self, answer: Answer) -> dict[str, int]:
        """Return the rank at which each wanted paper was found, of those that were found."""
        found: dict[str, int] = {}
        for hit in answer.hits:
            key = self.key(hit.paper_id, hit.title)
            if key is not None:
                found.setdefault(key, hit.rank)
        return found


def cited(answer: Answer) -> list[Citation]:
    """Return the citations that claims of an answer point at, each once, in the order of their numbers."""
    used = {n for claim in answer.claims for n in claim.citations}
    return [c for c in answer.citations if c.n in used]


def evidence_found(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> list[bool]:
    """Tell of each piece of evidence whether a claim's citation overlaps it, in a wanted paper."""
    gold = GoldPapers.of(case, papers)
    sources = [c for c in cited(answer) if not gold.gains or gold.key(c.paper_id, c.title)]
    return [any(_overlaps(c, text, papers) for c in sources) for text in case.evidence]


def _overlaps(citation: Citation, evidence: str, papers: Mapping[str, Paper]) -> bool:
    paper = papers.get(citation.paper_id)
    spans = spans_of(evidence, paper.abstract) if paper else ()
    return any(citation.start < end and start < citation.end for start, end in spans)


@lru_cache(maxsize=8_192)
def spans_of(evidence: str, abstract: str) -> tuple[tuple[int, int], ...]:
    """Return where a piece of evidence stands in an abstract, white space apart."""
    return tuple(_spans(evidence, abstract))


def _spans(evidence: str, abstract: str) -> Iterator[tuple[int, int]]:
    words = evidence.split()
    if words and words[0] in abstract:
        yield from (m.span() for m in re.finditer(r"\s+".join(map(re.escape, words)), abstract))
