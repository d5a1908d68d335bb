"""Replay conversations: a case that follows another one gets the agent's own answers as its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


class Conversations:
    """The histories of cases: their own earlier turns, or the answers to the cases that they follow."""

    def __init__(self, papers: Mapping[str, Paper]) -> None:
        """``papers`` are the papers by the ids that the cases use."""
        self._papers = papers
        self._turns: dict[str, list[Any]] = {}

    def history(self, case: Case) -> list[Any]:
        """Return the earlier turns of a case, as `PaperAgent.ask` accepts them."""
        if case.follows is not None:
            return list(self._turns.get(case.follows, ()))
        return [self._turn(*turn) for turn in case.history]

    def add(self, case: Case, answer: Answer | Mapping[str, Any] | None) -> None:
        """Record the answer to a case, as an Answer or as `Answer.to_dict` returns it; None if it failed."""
        self._turns[case.id] = [*self.history(case), *([] if answer is None else [answer])]

    def _turn(self, question: str, answer: str, cited: Sequence[str] | None = None) -> Any:
        if cited is None:
            return question, answer
        return question, answer, [self._papers[i].paper_id if i in self._papers else i for i in cited]


def by_conversation(cases: Iterable[Case]) -> list[list[Case]]:
    """Group the cases by conversation; groups can run concurrently, and each keeps its order."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        group = groups.get(case.follows or "", [])
        group.append(case)
        groups[case.id] = group
    return list({id(group): group for group in groups.values()}.values())
