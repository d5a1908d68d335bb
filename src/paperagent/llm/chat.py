"""Chat completions of any OpenAI-compatible server: JSON by a schema, streamed.

What a server may do wrong, and what is done about it, is listed in ``tests/llm/test_llm_faults.py``.
Before the first text a fault may be tried again; after it nothing is: what was yielded stays,
and the completion says that it is not complete.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from paperagent.errors import EndpointError
from paperagent.http_limits import TransientError
from paperagent.llm.client import Endpoint, open_stream
from paperagent.llm.completion import ReplyAccumulator, chunks
from paperagent.llm.dialect import LIMITS, dialect_of
from paperagent.llm.endpoint import EndpointAddress, UnsupportedError, same_model
from paperagent.llm.pricing import prompt_tokens
from paperagent.llm.protocol import Completion
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Usage

MAX_ANSWER_BYTES = 8 << 20
"""Of a reply as it is sent: about 200 bytes of wrapping a token."""
CHARACTERS_A_TOKEN = 6.5
"""More than any six abstracts have (at most 6.2 in 2,000 samples, o200k)."""
_BROKEN_OFF = frozenset({"unreachable", "timeout", "deadline", "too_long", "invalid_reply", "tls"})
"""Kinds of error that after some text mean a partial answer rather than a failure."""
_LOG = logging.getLogger(__name__)


class ChatModel:
    """A model behind an OpenAI-compatible address. Threads may share it."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        reasoning_effort: str | None = None,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make a model; ``reasoning_effort`` is as `dialect.dialect_of` takes it."""
        address = EndpointAddress.checked(api_key=api_key, base_url=base_url)
        self.model = model
        self.endpoint = Endpoint(
            address, timeout=timeout, http_client=http_client, sleep=sleep, setting="PAPERAGENT_MODEL"
        )
        self.dialect = dialect_of(address, model, reasoning_effort)

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
        seed: int | None = 7,
        top_logprobs: int = 0,
    ) -> ChatStream:
        """Return the answer to ``messages`` as a stream; nothing is sent before the first piece is asked for.

        The temperature is 0 by default. Reasoning may take `thinking_tokens` beyond ``max_output_tokens``.
        ``timeout`` of the model bounds the whole call, its retries and pauses included.
        """
        request = {
            "model": self.model,
            "messages": [{k: replace_surrogates(v) for k, v in m.items()} for m in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": temperature or 0.0,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": schema_name, "schema": dict(schema), "strict": True},
            },
        }
        if seed is not None:
            request["seed"] = seed
        if top_logprobs:
            request |= {"logprobs": True, "top_logprobs": top_logprobs}
        return ChatStream(self, request, max_output_tokens)

    @property
    def refused(self) -> frozenset[str]:
        """Parameters that this server was found not to take as they were sent at first."""
        return self.dialect.refused | (frozenset() if self.dialect.schema else {"response_format"})

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may take for reasoning, beyond its limit."""
        return self.dialect.thinking_tokens

    def close(self) -> None:
        """Close the connections."""
        self.endpoint.close()


class ChatStream:
    """One answer: an iterator of its text and, afterwards, a `Completion`. A context manager.

    ::

        with model.stream(messages, schema=…, schema_name="answer", max_output_tokens=900) as stream:
            for piece in stream:
                …
        stream.completion.complete

    Leaving the block closes the connection, whether or not the answer was read to its end.

    Raises (while it is iterated):
        EndpointError: no answer could be had, or the server reported an error in the middle of
            one. ``kind="context"`` means that the prompt is too long. `completion` holds what came.
        ConfigError: a proxy stands in the way.
    """

    is_cached = False
    """A call is made for the text."""

    def __init__(self, model: ChatModel, request: dict[str, Any], limit: int) -> None:
        self._model = model
        self._endpoint = model.endpoint
        self._request = request
        self._limit = limit
        self._notes: list[str] = []
        self._spent: list[Usage] = []
        self._reading = ReplyAccumulator(model.endpoint.address)
        self._response: Any = None
        self._broken = ""
        self._sent: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._texts: Iterator[str] = iter(())
        self._pieces = self._run()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """Close the connection; what has not arrived is not waited for."""
        self._pieces.close()
        self._hang_up()

    @property
    def completion(self) -> Completion:
        """What the call left behind: all of it at the end, before that the part that came so far."""
        reading = self._reading
        finish = None if self._broken else reading.finish
        used = [*self._spent, self._used()] if self._sent else []
        return Completion(
            text=reading.text,
            finish_reason=finish,
            usage=sum(used, Usage()),
            model=self._endpoint.address.clean(reading.answered or self._model.model),
            notes=(*self._notes, *self._remarks()),
            complete=finish == "stop",
            tokens=tuple(reading.tokens),
        )

    def _run(self) -> Generator[str]:
        try:
            first = self._open()
            if first:
                yield first
            yield from self._rest()
        finally:
            self._hang_up()
            if self._reading.thought:  # the next limit leaves room for it
                self._model.dialect.reasons = True

    def _open(self) -> str:
        """Return the first text, with whatever attempts it takes."""
        deadline = self._endpoint.deadline()
        while True:
            try:
                return self._endpoint.call(self._attempt, model=self._model.model, deadline=deadline)
            except UnsupportedError as error:
                if not self._do_without(error):
                    raise
            except EndpointError as error:
                if error.kind == "too_large":
                    raise EndpointError(str(error), kind="context", status=error.status) from None
                if error.kind == "refused":
                    self._reading.finish = "refusal"
                elif error.kind != "empty":
                    raise
                return ""

    def _attempt(self, client: Any) -> str:
        self._hang_up()
        if self._reading.seen:  # an answer without text is asked for again, and paid for
            self._spent.append(self._used())
        self._reading, self._texts = ReplyAccumulator(self._endpoint.address), iter(())
        self._sent = self._model.dialect.request(self._request, self._limit)
        self._response = open_stream(client.chat.completions, **self._sent)
        self._texts = self._read()
        first = next(self._texts, "")
        if not first:
            self._expect_nothing()
        return first

    def _read(self) -> Iterator[str]:
        response, reading = self._response, self._reading
        blocks = self._endpoint.blocks(response, most=MAX_ANSWER_BYTES)
        content_type = response.headers.get("content-type", "")
        for chunk in chunks(blocks, content_type, self._endpoint.address):
            if text := reading.take(chunk):
                yield text
            if reading.finish == "repetition":
                break
        if text := reading.end():
            yield text

    def _rest(self) -> Iterator[str]:
        """Yield the texts after the first; a fault now ends the answer early."""
        try:
            yield from self._texts
        except TransientError as fault:
            self._broken = str(fault.error)
        except EndpointError as error:
            if error.kind not in _BROKEN_OFF:
                raise
            self._broken = str(error)

    def _expect_nothing(self) -> None:
        """Raise where a reply without text is a fault of the server and no word of the model."""
        reading, address = self._reading, self._endpoint.address
        if not reading.seen:
            fix = "check the model and OPENAI_BASE_URL"
            raise address.error("sent no choices", fix, "invalid_reply")
        if reading.finish is None:
            error = address.error("ended its reply before it began", "try again", "invalid_reply")
            raise TransientError(error, tries=2)
        if reading.finish == "stop":
            raise TransientError(address.error("sent no text", "try again", "empty"), tries=2)

    def _do_without(self, refusal: UnsupportedError) -> bool:
        """Change the next request, and those of later calls, for a parameter that was refused."""
        name = next((name for name in refusal.names if name in self._sent), None)
        if name is None:
            return False
        once = "limit" if name in LIMITS else f"{name}={self._sent[name]}"
        if once in self._changed:
            return False
        self._changed.add(once)
        change = self._model.dialect.adapt(name, self._sent, refusal.complaint)
        self._notes.append(f"the server does not take '{name}': {change}")
        _LOG.info("%s: %s", self._endpoint.address.name, self._notes[-1])
        return True

    def _used(self) -> Usage:
        return self._reading.usage(self._count_prompt, self._model.model)

    def _count_prompt(self) -> int:
        schema = self._request["response_format"]["json_schema"]["schema"]
        return prompt_tokens(self._request["messages"], schema, self._model.model)[0]

    def _remarks(self) -> Iterator[str]:
        """Yield what is odd about the answer."""
        reading, clean = self._reading, self._endpoint.address.clean
        if self._broken:
            yield f"the answer broke off: {self._broken}"
        elif reading.pieces and reading.finish is None:
            yield "the answer ended without saying that it is complete"
        if reading.finish == "repetition":
            yield "the model repeated itself and was stopped"
        if reading.finish == "refusal":
            yield (
                f"the model refused: {clean(reading.refusal)}"
                if reading.refusal
                else "the answer was filtered"
            )
        if reading.calls_tool:
            yield "ignored a tool call that nobody asked for"
        if reading.thought and not reading.pieces:
            yield "the model wrote only reasoning: a larger output limit may help"
        if reading.answered and not same_model(reading.answered, self._model.model):
            yield f"another model answered: {clean(reading.answered)} instead of {clean(self._model.model)}"
        characters = sum(len(message["content"]) for message in self._request["messages"])
        counted = reading.counted_prompt
        if counted and characters > CHARACTERS_A_TOKEN * counted:
            yield (
                f"the server counted only {counted} input tokens for {characters} characters: "
                "it may have cut the prompt; give it a longer context"
            )

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
