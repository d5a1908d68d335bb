"""Every public function that reads a text is fast, whatever the text is.

Times are process times, so that a busy machine does not matter. Each module gets a quarter of the shapes;
`python tests/text/test_linear_time.py` tries all of them and prints the slowest call of each function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from paperagent.errors import PaperAgentError
from paperagent.http_limits import TransientError
from text_functions import (
    BUILDERS,
    BY_NAME,
    METHODS,
    NOT_CALLED,
    bound,
    can_call,
    clear_caches,
    key,
    required,
    text_functions,
)
from text_shapes import LENGTH, shapes

SLOW_MACHINE = 2.0
"""Factor on every limit, for a machine that is slower than the one on which the limits were set."""
LIMIT = 0.05
"""Seconds of process time for a text of `LENGTH` characters."""
EXCEPTION_LIMIT, GROWTH = 0.15, 2.6
"""Of an exception, and how often the time of half the text fits into its time at most."""
_READABLE = "linear, .06 to .1 s: LaTeX of 20,000 characters becomes plain text"
_MARKDOWN = "linear, .06 to .14 s: LaTeX of 20,000 characters becomes plain text, and Markdown is escaped"
_SHOWN = "linear, .06 to .1 s: shows a quote of 20,000 characters, with its LaTeX as plain text"
_ALL_SENTENCES = "linear, .06 to .15 s: some 25 patterns read up to 100 sentences of 200 characters"
_WORDS = "constant, .1 to .2 s: a claim has at most 200 words, of which each is compared with 24 places"
_LIMITS = "constant, .1 s: at most 300 characters are read"
EXCEPTIONS: dict[str, str] = {
    "answering.abstention.abstain": _SHOWN,
    "answering.abstention.answerability_signals": _ALL_SENTENCES,
    "answering.answers.closest_passages": _SHOWN,
    "answering.check_claim.check": _READABLE,
    "answering.citations.contract_violations": _SHOWN,
    "answering.citations.quoted_claim": _SHOWN,
    "answering.citations.shown_quote": _SHOWN,
    "answering.direct_answers.direct_sentences": _ALL_SENTENCES,
    "answering.library_questions.intents.with_conditions": _LIMITS,
    "answering.library_questions.intents.with_limits": _LIMITS,
    "answering.library_questions.intents.without_limits": _LIMITS,
    "digest.select.phrases.ThemePhrases": "constant over 5,000 characters, .1 s",
    "layout.document": _MARKDOWN,
    "layout.markdown": _MARKDOWN,
    "layout.paper_blocks": _SHOWN,
    "layout.plain_text": _SHOWN,
    "layout.shown_text": _SHOWN,
    "layout.transcript": _MARKDOWN,
    "retrieval.sentence_selection.relevant_sentences": _ALL_SENTENCES,
    "retrieval.sentence_selection.select_sentences": _ALL_SENTENCES,
    "text.markup.plain_text": "linear, .06 s: 5,000 tags",
    "text.readable.bibliography_text": _READABLE,
    "text.readable.readable": _READABLE,
    "text.readable.readable_with_offsets": _READABLE,
    "ui.export.note": "linear, .08 s: Markdown is escaped",
    "verification.alignment.align": _WORDS,
    "verification.context.build_context": "linear, .08 s: three texts are read into tokens",
    "verification.roles.swapped_numbers": _WORDS,
    "verification.roles.wrong_numbers": _WORDS,
    "verification.tokens.analyze": "linear, .09 s: 20,000 characters are read into tokens",
}
"""Functions over `LIMIT` that take linear or constant time, with the reason."""
FUNCTIONS = dict(text_functions())
CALLS: dict[str, Callable[..., Any]] = {
    **{name: function for name, function in FUNCTIONS.items() if name not in NOT_CALLED},
    **METHODS,
}
MODULES = sorted({name.rpartition(".")[0] for name in CALLS})


def test_every_text_function_is_called() -> None:
    cannot = {name for name, function in FUNCTIONS.items() if not can_call(function)}
    assert cannot <= NOT_CALLED.keys(), "add builders for their arguments, or the reason"
    assert NOT_CALLED.keys() <= FUNCTIONS.keys()
    assert EXCEPTIONS.keys() <= CALLS.keys()
    assert len(CALLS) > 250
    assert len(shapes()) >= 60


@pytest.mark.parametrize("module", MODULES)
def test_time_is_bounded(module: str) -> None:
    quarter = list(shapes())[MODULES.index(module) % 4 :: 4]
    names = [name for name in CALLS if name.rpartition(".")[0] == module]
    slow = [
        f"{name}: {seconds:.3f} s for {shape}"
        for shape in quarter
        for name in names
        if (seconds := _seconds(name, shape)) > LIMIT * SLOW_MACHINE and not _is_fast(name, shape, seconds)
    ]
    assert slow == []


def _is_fast(name: str, shape: str, seconds: float) -> bool:
    """Measure again, because a single time may include a collection of garbage."""
    seconds = min(seconds, *(_seconds(name, shape) for _ in range(2)))
    if seconds <= LIMIT * SLOW_MACHINE:
        return True
    half = max(_seconds(name, shape, LENGTH // 2) for _ in range(2))
    return name in EXCEPTIONS and seconds <= EXCEPTION_LIMIT * SLOW_MACHINE and seconds <= GROWTH * half


def _seconds(name: str, shape: str, length: int = LENGTH) -> float:
    """Return the process time of one call with nothing cached."""
    positional, by_name = _arguments(name, shape, length)
    clear_caches()
    start = time.process_time()
    try:
        result = CALLS[name](*positional, **by_name)
        if isinstance(result, Iterator):
            list(result)
    except (PaperAgentError, TransientError, ValueError, ZeroDivisionError):
        pass  # a refused text costs no more either
    return time.process_time() - start


def _arguments(name: str, shape: str, length: int) -> tuple[list[Any], dict[str, Any]]:
    if name in METHODS:
        return [_texts(length)[shape]], {}
    positional, by_name = [], {}
    for parameter in required(CALLS[name]):
        builder = key(parameter) if key(parameter) in BY_NAME else parameter.annotation
        value = _argument(builder, shape, length, bound(name))
        if parameter.kind is parameter.KEYWORD_ONLY:
            by_name[parameter.name] = value
        else:
            positional.append(value)
    return positional, by_name


@cache
def _texts(length: int) -> dict[str, str]:
    return shapes(length)


_built: dict[tuple[str, int | None], Any] = {}
_built_for: list[object] = []


def _argument(builder: str, shape: str, length: int, limit: int | None) -> Any:
    """Return an argument. Those of one text are kept, because some take longer than the functions."""
    if _built_for != [shape, length]:
        _built.clear()
        _built_for[:] = [shape, length]
    text = _texts(length)[shape][:limit]
    make = BY_NAME.get(builder) or BUILDERS[builder]
    if builder in _CHANGED:
        return make(text)
    if (builder, limit) not in _built:
        _built[builder, limit] = make(text)
    return _built[builder, limit]


_CHANGED = {"set[str]", "list[str]", "list[tuple[int, int]]"}
"""Arguments that a function may change."""


def _print_slowest() -> None:
    for module in MODULES:
        slowest: dict[str, tuple[float, str]] = {}
        for shape in shapes():
            for name in (n for n in CALLS if n.rpartition(".")[0] == module):
                slowest[name] = max(slowest.get(name, (0.0, "")), (_seconds(name, shape), shape))
        for name, (seconds, shape) in slowest.items():
            half = _seconds(name, shape, LENGTH // 2)
            print(f"{seconds:.3f} s, {seconds / max(half, 1e-6):.1f} x half: {name} {shape}", flush=True)  # noqa: T201


if __name__ == "__main__":
    _print_slowest()
