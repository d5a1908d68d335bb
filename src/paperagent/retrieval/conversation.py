"""Validate the earlier turns of a conversation, and find the papers that they cited.

`follow_up` decides which of those papers a question refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paperagent.errors import InputError
from paperagent.retrieval.question import MAX_QUESTION, require_valid, without_controls
from paperagent.types import Answer

MAX_TURNS = 50
"""The maximum number of earlier turns; the oldest are dropped."""
CONTEXT_WORDS = 80
"""Number of words of the earlier answer that are used to search for a follow-up question."""
_CITATION_MARKER = re.compile(r"\[\d+\]")
_NUMBERED_LIST = re.compile(r"^1\. ", re.MULTILINE)
_SHOWN_QUOTE = re.compile(r"^ *> .*$", re.MULTILINE)
_CLOSEST_PASSAGES = re.compile(r"\s*Closest passages:.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer."""

    question: str
    answer: str
    """The text of the answer, without the sentences below unverified claims."""
    citations: tuple[str, ...] = ()
    """The paper id of citation [1], of [2] and so on. Empty if only the text of the answer is known."""
    papers: tuple[str, ...] = ()
    """The ids of the papers that the answer showed, in order and without duplicates."""
    retrieved: tuple[str, ...] = ()
    """The ids of the papers that were found for the question, best first."""
    answered: bool = True
    """Whether the question was answered. The papers of an abstention are only the closest ones."""
    states_facts: bool = False
    """Whether the answer states facts about papers, such as who wrote them, and so does not number them."""


def cited_papers(history: Sequence[Turn]) -> tuple[str, ...]:
    """Return the ids of the papers that the last answer cited, in the order in which it showed them.

    An abstention and a turn without papers, such as a greeting, are skipped.
    """
    return next((turn.papers for turn in reversed(history) if turn.answered and turn.papers), ())


def numbers_papers(kind: Any, answer: Any) -> bool:
    """Return whether an answer of a kind numbers papers, to which "the first one" then refers.

    A greeting, a count and a fact, such as who wrote a paper, do not.
    """
    return kind not in ("chat", "library") or _NUMBERED_LIST.search(str(answer)) is not None


def clean_history(history: Iterable[Any] | None) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Return the earlier turns, oldest first, and notes on those that were dropped.

    A turn is an `Answer`, a pair ``(question, answer)``, the same with the list of the paper ids that [1],
    [2] … cite, a mapping with those keys (such as `Answer.to_dict`), or two messages ``{"role":
    "user"|"assistant", "content": …}`` in a row.

    Raises:
        InputError: a turn has another shape or role.
    """
    if history is None:
        return (), ()
    if isinstance(history, (str, bytes, Mapping, Answer)) or not isinstance(history, Iterable):
        raise InputError(
            "history: must be a list of Answers or (question, answer) pairs; pass [(question, answer), …]"
        )
    turns: list[Turn] = []
    for item in history:
        _add_turn(turns, item)
    dropped = len(turns) - MAX_TURNS
    notes = (f"history: the oldest {dropped} turns were dropped",) if dropped > 0 else ()
    return tuple(turns[-MAX_TURNS:]), notes


def _add_turn(turns: list[Turn], item: Any) -> None:
    if isinstance(item, Answer):
        item = item.to_dict()
    if isinstance(item, Mapping) and "role" in item:
        _add_message(turns, item)
        return
    if isinstance(item, Mapping):
        pair: Sequence[Any] = (item.get("question"), item.get("answer"))
    else:
        pair = item if isinstance(item, Sequence) and not isinstance(item, (str, bytes)) else ()
    if len(pair) == 3 and isinstance(pair[2], (list, tuple)):
        citations = [{"paper_id": paper_id} for paper_id in pair[2]]
        item = {"question": pair[0], "answer": pair[1], "citations": citations}
        pair = pair[:2]
    if len(pair) != 2 or not all(isinstance(p, str) for p in pair):
        raise InputError("history: each turn must be an Answer or a (question, answer) pair of texts")
    is_answer = isinstance(item, Mapping) and "citations" in item
    turn = Turn(_clean(pair[0]), _clean(_SHOWN_QUOTE.sub("", pair[1]) if is_answer else pair[1]))
    turns.append(_with_citations(turn, item) if is_answer else turn)


def _with_citations(turn: Turn, answer: Mapping[Any, Any]) -> Turn:
    """Return a turn with the papers of a result of `Answer.to_dict`; invalid parts are ignored."""
    citations, retrieved = _paper_ids(answer.get("citations")), _paper_ids(answer.get("papers"))
    answered = answer.get("status") not in ("abstained", "refused")
    papers = citations or (retrieved if answer.get("kind") == "library" else ())
    states_facts = not citations and not numbers_papers(answer.get("kind"), answer.get("answer"))
    text = turn.answer if answered else _CLOSEST_PASSAGES.sub("", turn.answer)
    return replace(
        turn,
        answer=text,
        citations=citations,
        papers=tuple(dict.fromkeys(papers)),
        retrieved=retrieved,
        answered=answered,
        states_facts=states_facts,
    )


def _paper_ids(items: Any) -> tuple[str, ...]:
    """Return the ``paper_id`` of each item."""
    ids = [i.get("paper_id") for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []
    return tuple(i for i in ids if isinstance(i, str))


def _add_message(turns: list[Turn], message: Mapping[Any, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        raise InputError("history: role must be user or assistant")
    if not isinstance(content, str):
        raise InputError("history: content must be text")
    if role == "user":
        turns.append(Turn(_clean(content), ""))
    elif not turns:
        raise InputError("history: an assistant message must follow a user message")
    else:
        turns[-1] = replace(turns[-1], answer=f"{turns[-1].answer} {_clean(content)}".strip())


def _clean(text: str) -> str:
    require_valid(text, "history")
    return " ".join(without_controls(text).split())


def add_context(question: str, history: Sequence[Turn]) -> str:
    """Return the question followed by the last turn, as text to search for."""
    last = history[-1]
    answer_words = _CITATION_MARKER.sub("", last.answer[:MAX_QUESTION]).split()
    head = " ".join(answer_words[:CONTEXT_WORDS])
    return f"{question} {last.question[:MAX_QUESTION]} {head}".strip()
