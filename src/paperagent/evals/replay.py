"""Keep what a model said, and say it again: so that checks and scorers can change without asking anew.

Both stand in for the model (`plan.TextModel`) and know from `hearing` which case is being asked.
A reply points at sentences by numbers that mean something in its own prompt only, so the
sentences are kept with it, and a replay points at the same ones wherever they stand now.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering.fallback import QUOTED
from paperagent.answering.judge import JUDGE
from paperagent.errors import EndpointError, visible
from paperagent.evals.results import ModelCall, Row
from paperagent.llm.protocol import (
    DECLINED_REASONS,
    CachedReply,
    Completion,
    DelegatingModel,
    RecordingStream,
    TextModel,
    TextStream,
)
from paperagent.types import Usage

_EVIDENCE = re.compile(
    r'("(?:evidence|citations?|sources?|pointers?|references?|refs?|ids|sentences)"\s*:\s*)'
    r'(\[[^\[\]]*\]|"[^"]*"|\d+\.\d+)',
    re.IGNORECASE,
)
"""Where a reply points: a claim's evidence, or in mode select the sentences chosen."""
_POINTER = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_LINE = re.compile(r"^(\d{1,3}(?:\.\d{1,3})?) (.+)$", re.MULTILINE)
_NOWHERE = "999.999"
"""Points at nothing in any prompt."""


def sentences_shown(messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the numbered sentences of a prompt, by pointer."""
    return dict(_LINE.findall("\n".join(m["content"] for m in messages if m["role"] == "user")))


def pointers(text: str) -> list[str]:
    """Return the pointers of a reply, each once."""
    return list(dict.fromkeys(p for m in _EVIDENCE.finditer(text) for p in _POINTER.findall(m[2])))


def pointing_anew(call: ModelCall, messages: Sequence[Mapping[str, str]]) -> str:
    """Return a kept reply with its pointers at the same sentences of another prompt, or at nothing."""
    now = {text: pointer for pointer, text in reversed(sentences_shown(messages).items())}
    if all(now.get(text) == pointer for pointer, text in call.shown.items()):
        return call.text
    moved = {pointer: now.get(text, _NOWHERE) for pointer, text in call.shown.items()}

    def translated(match: re.Match[str]) -> str:
        return match[1] + _POINTER.sub(lambda p: moved.get(p[0], _NOWHERE), match[2])

    return _EVIDENCE.sub(translated, call.text)


class Recorder(DelegatingModel):
    """Passes every call on to a model and keeps the replies of the case that its thread is asking."""

    def __init__(self, model: TextModel, judge: TextModel | None = None) -> None:
        """Take the model, and the second reader's if that is another."""
        super().__init__(model)
        self._judge = judge or model
        self._now = threading.local()

    @contextmanager
    def hearing(self, case_id: str) -> Iterator[list[ModelCall]]:
        """Yield the list that the replies to this thread's calls go to."""
        del case_id
        self._now.calls = []
        try:
            yield self._now.calls
        finally:
            self._now.calls = None

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[TextStream]:
        """Ask the model, and keep what it says."""
        model = self._judge if schema_name == JUDGE else self._model
        asked = model.stream(
            messages,
            schema=schema,
            schema_name=schema_name,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
        )
        return self._kept(asked, schema_name, sentences_shown(messages))

    @contextmanager
    def _kept(
        self, asked: AbstractContextManager[TextStream], schema_name: str, shown: Mapping[str, str]
    ) -> Iterator[TextStream]:
        with asked as pieces:
            heard = RecordingStream(pieces)
            try:
                yield heard
            finally:  # a reply that broke off was said, too
                if (calls := getattr(self._now, "calls", None)) is not None and heard.text:
                    calls.append(_call(heard, schema_name, shown))


def _call(heard: RecordingStream, schema_name: str, shown: Mapping[str, str]) -> ModelCall:
    done = heard.completion
    return ModelCall(
        schema_name=schema_name,
        text=heard.text,
        finish_reason=done.finish_reason,
        usage=done.usage.to_dict(),
        model=done.model,
        shown={p: shown[p] for p in pointers(heard.text) if p in shown},
    )


@dataclass(slots=True)
class _Waiting:
    """The recorded replies of one case that have not been used yet."""

    case_id: str
    calls: list[ModelCall] = field(default_factory=list)
    failure: EndpointError | None = None
    """What the server failed with after the last of them."""


class Replayer:
    """Gives the replies of a recorded run, case by case, in the order in which they were made."""

    def __init__(self, model: str, rows: Sequence[Row]) -> None:
        self.model = model
        self.thinking_tokens = 0
        self._rows = {row.id: row for row in rows}
        self._now = threading.local()

    @contextmanager
    def hearing(self, case_id: str) -> Iterator[list[ModelCall]]:
        """Answer this thread's calls from the recording of a case; yield what it used of it."""
        row = self._rows.get(case_id)
        if row is not None and row.state == "error":
            raise EndpointError(f"replay: it was an error when recorded: {row.error}", kind="replay")
        if row is None or row.raw is None:
            shown = visible(case_id)
            raise EndpointError(f"replay: case {shown} was not recorded; ask a model", kind="replay")
        used: list[ModelCall] = []
        self._now.waiting, self._now.used = _Waiting(case_id, list(row.raw), _failure(row)), used
        try:
            yield used
        finally:
            self._now.waiting = None

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[TextStream]:
        """Give the next recorded reply.

        Raises:
            EndpointError: none is left, or the next one answered something else; or the server failed then.
        """
        del schema, max_output_tokens, temperature
        waiting: _Waiting = self._now.waiting
        if not waiting.calls and waiting.failure is not None:
            raise waiting.failure
        if not waiting.calls or waiting.calls[0].schema_name != schema_name:
            raise EndpointError(
                f"replay: no recorded reply of case {visible(waiting.case_id)} fits this call "
                f"({schema_name}); ask a model",
                kind="replay",
            )
        call = waiting.calls.pop(0)
        self._now.used.append(call)
        usage = replace(Usage(**call.usage), cost_usd=0.0) if call.usage else Usage(calls=1)
        completion = Completion(
            finish_reason=call.finish_reason,
            usage=usage,
            model=call.model or self.model,
            complete=call.finish_reason in ("stop", *DECLINED_REASONS),
        )
        return nullcontext(CachedReply(pointing_anew(call, messages), completion))


def _failure(row: Row) -> EndpointError | None:
    """Return what the server failed with, where sentences were quoted for it."""
    if not row.server_failed or row.answer is None:
        return None
    why = next((n.removeprefix(f"{QUOTED}: ") for n in row.answer["notes"] if n.startswith(QUOTED)), "")
    return EndpointError(why, kind=row.answer["fallback"])
