"""The proof that an issue may be sent: every claim rests on sentences that stand in the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from paperagent.answering.citations import contract_violations
from paperagent.digest.issue import Issue, Item
from paperagent.errors import PaperAgentError
from paperagent.types import Answer, Hit, Paper

_MAY_BE_SENT = ("quoted", "supported", "unverified")
"""Under an unverified claim the view shows the sentences that it cites."""


def check_issue(issue: Issue, papers: Mapping[str, Paper]) -> Issue:
    """Prove an issue's claims and citations against the library's texts, by id, and return it.

    Raises:
        PaperAgentError: one does not hold, which is a fault of this program or a paper that was
            changed meanwhile: the issue must not be sent.
    """
    for problem in faults(issue, papers):
        raise PaperAgentError(f"issue {issue.period.name} withheld: {problem}; build it anew")
    return issue


def faults(issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    """Yield each way in which an issue breaks the contract; nothing for a right one."""
    shown = issue.papers
    ids = [p.paper_id for p in shown]
    if len(set(ids)) != len(ids):
        yield "a paper is shown twice"
    yield from contract_violations(_as_answer(issue, shown), papers)
    if [c.n for c in issue.citations] != list(range(1, len(issue.citations) + 1)):
        yield "the citations are not numbered from 1"
    if {n for c in issue.claims for n in c.citations} != {c.n for c in issue.citations}:
        yield "a citation stands behind no claim"
    for claim in issue.claims:
        if claim.support not in _MAY_BE_SENT or not claim.citations:
            yield "a claim that failed its check is shown"
    for item in issue.items:
        yield from _of_item(item, issue, papers)


def _as_answer(issue: Issue, shown: tuple[Paper, ...]) -> Answer:
    """Return the issue as the answer that `citations.problems` takes: same invariants, same code."""
    hits = tuple(Hit(p, 0.0, i) for i, p in enumerate(shown, start=1))
    text = "".join(f"[{n}]" for c in issue.claims for n in c.citations)
    return Answer("", "answered", None, text, issue.claims, issue.citations, hits)


def _of_item(item: Item, issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    own = {c.n for c in issue.citations if c.paper_id == item.paper.paper_id}
    if not item.claims:
        yield "a paper is shown without a sentence"
    if not {n for c in item.claims for n in c.citations} <= own:
        yield "a paper is described by the words of another"
    held = papers.get(item.paper.paper_id)
    if held is None:
        yield "a paper is shown that is not in the library"
    elif (held.title, held.url, held.authors) != (item.paper.title, item.paper.url, item.paper.authors):
        yield "a paper is shown under another title, address or authors"
