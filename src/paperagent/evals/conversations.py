"""Cases that follow each other: each gets the agent's own earlier answers as its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


class Conversations:
    """The histories of cases: the turns that they give, or the answers to the cases that they follow."""

    def __init__(self, papers: Mapping[str, Paper]) -> None:
        """Take the papers of the ids in the cases."""
        self._papers = papers
        self._turns: dict[str, list[Any]] = {}

    def history(self, case: Case) -> list[Any]:
        """Return the earlier turns of a case, as `PaperAgent.ask` takes them."""
        if case.follows is not None:
            return list(self._turns.get(case.follows, ()))
        return [self._turn(*turn) for turn in case.history]

    def add(self, case: Case, answer: Answer | Mapping[str, Any] | None) -> None:
        """Record the answer to a case, or `Answer.to_dict`; None if it has none."""
        self._turns[case.id] = [*self.history(case), *([] if answer is None else [answer])]

    def _turn(self, question: str, answer: str, cited: Sequence[str] | None = None) -> Any:
        if cited is None:
            return question, answer
        return question, answer, [self._papers[i].paper_id if i in self._papers else i for i in cited]


def by_conversation(cases: Iterable[Case]) -> list[list[Case]]:
    """Return the cases in groups that can be asked at the same time, each in its order."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        group = groups.get(case.follows or "", [])
        group.append(case)
        groups[case.id] = group
    return list({id(group): group for group in groups.values()}.values())
