"""Record a model's replies during a run and replay them later, without calling the model.

Checks, search and scorers can then change while the replies stay the same. Both `Recorder` and `Replayer`
implement `llm.protocol.TextModel`; `for_case` tells them which case the current thread is asking.

A reply points at sentences by numbers that are only meaningful in its own prompt. The sentences are therefore
recorded with the reply, and a replayed reply points at the same sentences, wherever they are in today's
prompt.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering.answers import FALLBACK_NOTE
from paperagent.answering.judge import JUDGE_SCHEMA
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
"""The pointers of a reply: the evidence of a claim or, in mode select, the chosen sentences."""
_POINTER = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_NUMBERED_SENTENCE = re.compile(r"^(\d{1,3}(?:\.\d{1,3})?) (.+)$", re.MULTILINE)
_DANGLING = "999.999"
"""A pointer at nothing, in any prompt."""


def numbered_sentences(messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the numbered sentences of a prompt, by pointer."""
    return dict(_NUMBERED_SENTENCE.findall("\n".join(m["content"] for m in messages if m["role"] == "user")))


def reply_pointers(text: str) -> list[str]:
    """Return the pointers of a reply, without duplicates."""
    return list(dict.fromkeys(p for m in _EVIDENCE.finditer(text) for p in _POINTER.findall(m[2])))


def repoint(call: ModelCall, messages: Sequence[Mapping[str, str]]) -> str:
    """Return a recorded reply that points at the same sentences in another prompt.

    A pointer at a sentence that the prompt does not have becomes dangling.
    """
    pointer_of = {text: pointer for pointer, text in reversed(numbered_sentences(messages).items())}
    if all(pointer_of.get(text) == pointer for pointer, text in call.shown.items()):
        return call.text
    new_pointers = {pointer: pointer_of.get(text, _DANGLING) for pointer, text in call.shown.items()}

    def translate(match: re.Match[str]) -> str:
        return match[1] + _POINTER.sub(lambda p: new_pointers.get(p[0], _DANGLING), match[2])

    return _EVIDENCE.sub(translate, call.text)


class Recorder(DelegatingModel):
    """Passes every call on to a model and records the replies, separately for each thread's case."""

    def __init__(self, model: TextModel, judge: TextModel | None = None) -> None:
        """Record ``model``, and ``judge`` if claims are judged by another model."""
        super().__init__(model)
        self._judge = judge or model
        self._local = threading.local()

    @contextmanager
    def for_case(self, case_id: str) -> Iterator[list[ModelCall]]:  # noqa: ARG002 - a replay needs it
        """Yield the list to which the replies to this thread's calls are added."""
        self._local.calls = []
        try:
            yield self._local.calls
        finally:
            self._local.calls = None

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[TextStream]:
        """Call the model and record its reply."""
        model = self._judge if schema_name == JUDGE_SCHEMA else self._model
        reply = model.stream(
            messages,
            schema=schema,
            schema_name=schema_name,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
        )
        return self._record(reply, schema_name, numbered_sentences(messages))

    @contextmanager
    def _record(
        self, reply: AbstractContextManager[TextStream], schema_name: str, sentences: Mapping[str, str]
    ) -> Iterator[TextStream]:
        with reply as stream:
            recording = RecordingStream(stream)
            try:
                yield recording
            finally:  # also records a reply that was cut off
                if (calls := getattr(self._local, "calls", None)) is not None and recording.text:
                    calls.append(_model_call(recording, schema_name, sentences))


def _model_call(recording: RecordingStream, schema_name: str, sentences: Mapping[str, str]) -> ModelCall:
    completion = recording.completion
    return ModelCall(
        schema_name=schema_name,
        text=recording.text,
        finish_reason=completion.finish_reason,
        usage=completion.usage.to_dict(),
        model=completion.model,
        shown={p: sentences[p] for p in reply_pointers(recording.text) if p in sentences},
    )


@dataclass(slots=True)
class _CaseReplay:
    """The state of one case's replay."""

    case_id: str
    remaining: list[ModelCall]
    failure: EndpointError | None = None
    """The error of the server after the last of them."""
    used: list[ModelCall] = field(default_factory=list)


class Replayer:
    """Replays the replies of a recorded run, case by case, in their order."""

    def __init__(self, model: str, rows: Sequence[Row]) -> None:
        self.model = model
        self.thinking_tokens = 0
        self._rows = {row.id: row for row in rows}
        self._local = threading.local()

    @contextmanager
    def for_case(self, case_id: str) -> Iterator[list[ModelCall]]:
        """Answer this thread's calls from the recording of a case; yield the list of the replies it used.

        Raises:
            EndpointError: The case was not recorded, or ended in an error.
        """
        row = self._rows.get(case_id)
        if row is not None and row.state == "error":
            raise EndpointError(f"replay: the recorded case ended in an error: {row.error}", kind="replay")
        if row is None or row.raw is None:
            raise EndpointError(
                f"replay: case {visible(case_id)} was not recorded; run it with a model", kind="replay"
            )
        replay = _CaseReplay(case_id, list(row.raw), _server_failure(row))
        self._local.replay = replay
        try:
            yield replay.used
        finally:
            self._local.replay = None

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],  # noqa: ARG002 - part of the protocol
        schema_name: str,
        max_output_tokens: int,  # noqa: ARG002
        temperature: float | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[TextStream]:
        """Return the next recorded reply.

        Raises:
            EndpointError: No reply is left, the next one belongs to another kind of call, or the server
                failed at this point of the recording.
        """
        replay: _CaseReplay = self._local.replay
        if not replay.remaining and replay.failure is not None:
            raise replay.failure
        if not replay.remaining or replay.remaining[0].schema_name != schema_name:
            raise EndpointError(
                f"replay: case {visible(replay.case_id)} has no recorded reply for this call "
                f"({schema_name}); run it with a model",
                kind="replay",
            )
        call = replay.remaining.pop(0)
        replay.used.append(call)
        usage = replace(Usage(**call.usage), cost_usd=0.0) if call.usage else Usage(calls=1)
        completion = Completion(
            finish_reason=call.finish_reason,
            usage=usage,
            model=call.model or self.model,
            complete=call.finish_reason in ("stop", *DECLINED_REASONS),
        )
        return nullcontext(CachedReply(repoint(call, messages), completion))


def _server_failure(row: Row) -> EndpointError | None:
    """Return the server's error if sentences were quoted because of it."""
    if not row.server_failed or row.answer is None:
        return None
    why = next(
        (n.removeprefix(f"{FALLBACK_NOTE}: ") for n in row.answer["notes"] if n.startswith(FALLBACK_NOTE)), ""
    )
    return EndpointError(why, kind=row.answer["fallback"])
