"""A model that answers as a test says: its claims point at sentences found in the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from paperagent.testing import Request, Style, chat_reply

_LINE = re.compile(r"^(\d+\.\d+) (.+)$", re.MULTILINE)

SHORTER = ("Tindersift removes 61% of the tokens in the prompt.", "removes 61% of the tokens")
SMALL = ("Tindersift is a filter of 22 million parameters.", "a filter of 22 million parameters")
LOOSE = ("Prompts become much shorter at hardly any cost.", "removes 61% of the tokens")
"""A fair paraphrase that wording neither confirms nor refutes."""
WRONG = ("Tindersift removes 16% of the tokens in the prompt.", "removes 61% of the tokens")


def saying(*claims: tuple[str, str], pause: float = 0.0, **rest: Any) -> Callable[[Request], Any]:
    """Return a script that makes each claim (its text, a part of the sentence it points at)."""

    def script(request: Request) -> Any:
        shown = sentences(request)
        written = [{"text": text, "evidence": [pointer(shown, part)]} for text, part in claims]
        # In the order of the schema, as a server that follows it writes.
        answer = {"verdict": "answer", "claims": written, "missing": "", "queries": [], **rest}
        return chat_reply(request, answer, Style(pause=pause))

    return script


def sentences(request: Request) -> dict[str, str]:
    """Return the numbered sentences of the prompt."""
    return dict(_LINE.findall("\n".join(m["content"] for m in request.messages)))


def pointer(shown: Mapping[str, str], part: str) -> str:
    """Return the number of the sentence that holds ``part``; one that is not there where none does."""
    return next((number for number, text in shown.items() if part in text), "99.1")
