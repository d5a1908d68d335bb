"""What a person may hand in as a question and as earlier turns, checked and cleaned."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paperagent.errors import InputError
from paperagent.text.terms import words

MAX_QUESTION = 8_000
"""Characters; a longer question is a mistake (a pasted file) or an attack."""
MAX_TURNS = 50
"""Earlier turns that are kept; the oldest go first."""
CONTEXT_WORDS = 80
"""Words of an earlier answer that may steer the search of a follow-up."""

Turn = tuple[str, str]

_REFERRING = frozenset("it its they them their theirs that this these those he she his her one ones".split())
_MARKER = re.compile(r"\[\d+\]")


def clean_question(question: object) -> str:
    """Return the question on one line, NFC, without control and format characters.

    Raises:
        InputError: not a str, not valid Unicode, with NUL, too long, or nothing left.
    """
    if not isinstance(question, str):
        raise InputError(f"question: must be str, got {type(question).__name__}; pass the question as text")
    if len(question) > MAX_QUESTION:
        raise InputError(
            f"question: too long ({len(question):,} characters); at most {MAX_QUESTION:,} characters"
        )
    _refuse_broken(question, "question")
    text = " ".join(unicodedata.normalize("NFC", _without_controls(question)).split())
    if not text:
        raise InputError("question: is empty; type a question")
    if not words(text):
        raise InputError("question: has no words; type a question in words")
    return text


def clean_history(history: Iterable[Any] | None) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Return the earlier turns, oldest first, and notes on what was left out.

    A turn is a pair ``(question, answer)``, a mapping with those keys, or two messages
    ``{"role": "user"|"assistant", "content": …}`` in a row.

    Raises:
        InputError: a turn of another shape or role.
    """
    if history is None:
        return (), ()
    if isinstance(history, (str, bytes, Mapping)) or not isinstance(history, Iterable):
        raise InputError("history: must be a list of (question, answer) pairs; pass [(question, answer), …]")
    turns: list[Turn] = []
    for item in history:
        _add_turn(turns, item)
    kept = turns[-MAX_TURNS:]
    notes = (
        (f"history: the oldest {len(turns) - len(kept)} turns were dropped",)
        if len(kept) < len(turns)
        else ()
    )
    return tuple(kept), notes


def _add_turn(turns: list[Turn], item: Any) -> None:
    if isinstance(item, Mapping) and "role" in item:
        _add_message(turns, item)
        return
    if isinstance(item, Mapping):
        pair: Sequence[Any] = (item.get("question"), item.get("answer"))
    else:
        pair = item if isinstance(item, Sequence) and not isinstance(item, (str, bytes)) else ()
    if len(pair) != 2 or not all(isinstance(p, str) for p in pair):
        raise InputError("history: each turn must be a (question, answer) pair of texts")
    turns.append((_clean_turn(pair[0]), _clean_turn(pair[1])))


def _add_message(turns: list[Turn], message: Mapping[Any, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        raise InputError("history: role must be user or assistant")
    if not isinstance(content, str):
        raise InputError("history: content must be text")
    if role == "user":
        turns.append((_clean_turn(content), ""))
    elif not turns:
        raise InputError("history: an assistant message must follow a user message")
    else:
        question, answer = turns[-1]
        turns[-1] = (question, f"{answer} {_clean_turn(content)}".strip())


def _clean_turn(text: str) -> str:
    _refuse_broken(text, "history")
    return " ".join(_without_controls(text).split())


def _refuse_broken(text: str, what: str) -> None:
    for i, c in enumerate(text):
        if "\ud800" <= c <= "\udfff":
            raise InputError(f"{what}: is not valid Unicode (lone surrogate at {i}); check the encoding")
        if c == "\0":
            raise InputError(f"{what}: holds the control character U+0000 at {i}; remove it")


def _without_controls(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, _without_escapes(text)))


def _shown(char: str) -> str:
    """Return white space as a space, so that it still parts words, and no other control character."""
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in ("Cc", "Cf") else char


_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?(?:\x1b\\|$)|.)?", re.DOTALL
)


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub("", text)


def refers_back(question: str) -> bool:
    """Tell whether a question leans on an earlier one by a pronoun."""
    return not _REFERRING.isdisjoint(words(question))


def in_context(question: str, history: Sequence[Turn]) -> str:
    """Return the question with the last turn behind it, as text to search for."""
    asked, answered = history[-1]
    head = " ".join(_MARKER.sub("", answered[:MAX_QUESTION]).split()[:CONTEXT_WORDS])
    return f"{question} {asked[:MAX_QUESTION]} {head}".strip()
