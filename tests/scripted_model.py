"""A scripted model whose claims cite sentences that it finds in the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from paperagent.testing import Request, Style, chat_reply

_LINE = re.compile(r"^(\d+\.\d+) (.+)$", re.MULTILINE)

SHORTER = ("Tindersift removes 61% of the tokens in the prompt.", "removes 61% of the tokens")
SMALL = ("Tindersift is a filter of 22 million parameters.", "a filter of 22 million parameters")
LOOSE = ("Prompts become much shorter at hardly any cost.", "removes 61% of the tokens")
"""A fair paraphrase, which verification neither confirms nor refutes."""
WRONG = ("Tindersift removes 16% of the tokens in the prompt.", "removes 61% of the tokens")


def saying(*claims: tuple[str, str], pause: float = 0.0, **fields: Any) -> Callable[[Request], Any]:
    """Return a script that makes these claims: pairs of a text and a part of the sentence that it cites."""

    def script(request: Request) -> Any:
        numbered = sentences(request)
        evidence = [{"text": text, "evidence": [pointer(numbered, part)]} for text, part in claims]
        # In the order of the schema, as a server that follows it would write.
        answer = {"verdict": "answer", "claims": evidence, "missing": "", "queries": [], **fields}
        return chat_reply(request, answer, Style(pause=pause))

    return script


def sentences(request: Request) -> dict[str, str]:
    """Return the numbered sentences of the prompt."""
    return dict(_LINE.findall("\n".join(m["content"] for m in request.messages)))


def pointer(numbered: Mapping[str, str], part: str) -> str:
    """Return the number of the sentence that contains ``part``, or a number that does not exist."""
    return next((number for number, text in numbered.items() if part in text), "99.1")
