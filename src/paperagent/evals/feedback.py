"""Keep an answer with a person's verdict on it; `harvest` makes cases of them."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Sequence
from pathlib import Path

from paperagent.errors import InputError, visible
from paperagent.types import Answer

FEEDBACK_FILE = "feedback.jsonl"
"""In the library's folder."""


def save_feedback(
    path: Path, answer: Answer, history: Sequence[tuple[str, str]], *, good: bool, note: str = ""
) -> None:
    """Append an answer to the file, which only its owner may read: questions are a person's own.

    Raises:
        InputError: it cannot be written.
    """
    record = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "verdict": "good" if good else "bad",
        "note": note,
        "history": [list(turn) for turn in history],
        "answer": answer.to_dict(),
    }
    line = json.dumps(record, ensure_ascii=False) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "ab") as file:  # noqa: PTH123 - a descriptor, so that the mode holds from the start
            file.write(line.encode("utf-8", "backslashreplace"))
    except OSError as error:
        shown = visible(str(path))
        raise InputError(f"{shown}: cannot be written: {error.strerror}; check the folder") from None
