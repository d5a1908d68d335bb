"""Streamed chat completions of any OpenAI-compatible server, in JSON that follows a schema.

``tests/llm/test_llm_faults.py`` lists the faults of servers and how each is handled. A fault before the
first text may be retried. A later fault is not: the text so far stays valid, and the completion is
marked as incomplete.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from paperagent.errors import EndpointError
from paperagent.http_limits import TransientError
from paperagent.llm.client import Endpoint, EndpointAddress, is_same_model, open_stream
from paperagent.llm.dialect import LIMIT_PARAMETERS, get_dialect
from paperagent.llm.pricing import prompt_tokens
from paperagent.llm.protocol import Completion
from paperagent.llm.server_errors import UnsupportedParameterError
from paperagent.llm.stream import ReplyAccumulator, parse_chunks
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Usage

MAX_ANSWER_BYTES = 8 << 20
"""Limit of the raw reply, in which each token takes about 200 bytes of JSON."""
MAX_CHARACTERS_PER_TOKEN = 6.5
"""A higher ratio means a truncated prompt: six abstracts have at most 6.2 (2,000 samples, o200k)."""
_PARTIAL_ANSWER_KINDS = frozenset({"unreachable", "timeout", "deadline", "too_long", "invalid_reply", "tls"})
"""Kinds of error that, after some text, end the answer early instead of failing it."""
_LOG = logging.getLogger(__name__)


class ChatModel:
    """A chat model at an OpenAI-compatible endpoint. Implements `TextModel`. Thread-safe.

    Args:
        model: The model's name.
        api_key: Key for the server; not needed if ``base_url`` is a server without one.
        base_url: Base URL of the server; OpenAI's by default.
        timeout: Seconds for a whole call, including retries and pauses.
        reasoning_effort: See `dialect.get_dialect`.
        http_client: Used instead of the SDK's own client; for tests.
        sleep: Called for pauses between attempts.
    """

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
        address = EndpointAddress.parse(api_key=api_key, base_url=base_url)
        self.model = model
        self.endpoint = Endpoint(
            address, timeout=timeout, http_client=http_client, sleep=sleep, setting="PAPERAGENT_MODEL"
        )
        self.dialect = get_dialect(address, model, reasoning_effort)

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
        """Return the reply as a stream. Nothing is sent before the first piece is requested.

        Args:
            messages: Chat messages with ``role`` and ``content``.
            schema: JSON schema of the reply.
            schema_name: Name of the schema.
            max_output_tokens: Limit of the reply; reasoning may take `thinking_tokens` on top.
            temperature: 0 by default.
            seed: Sampling seed; None sends none.
            top_logprobs: Number of alternatives to return for each token; 0 for no probabilities.
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
    def unsupported_parameters(self) -> frozenset[str]:
        """Parameters that this server has rejected so far."""
        return self.dialect.unsupported | (frozenset() if self.dialect.schema else {"response_format"})

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may spend on reasoning, on top of its output limit."""
        return self.dialect.thinking_tokens

    def close(self) -> None:
        """Close the connections."""
        self.endpoint.close()


class ChatStream:
    """The reply to one call. Implements `TextStream`: an iterator of text, and a context manager.

    ::

        with model.stream(messages, schema=…, schema_name="answer", max_output_tokens=900) as stream:
            for piece in stream:
                …
        stream.completion.complete

    Leaving the block closes the connection, whether or not the reply was read to its end.

    Raises (while it is iterated):
        EndpointError: The call failed, or the server reported an error in the middle of its reply.
            ``kind="context"`` means that the prompt is too long. `completion` holds the text so far.
        ConfigError: A proxy refused the connection.
    """

    is_cached = False

    def __init__(self, model: ChatModel, request: dict[str, Any], max_output_tokens: int) -> None:
        self._model = model
        self._endpoint = model.endpoint
        self._request = request
        self._max_output_tokens = max_output_tokens
        self._notes: list[str] = []
        self._earlier_usage = Usage()
        """Usage of earlier attempts that returned no text."""
        self._reply = ReplyAccumulator(model.endpoint.address)
        self._response: Any = None
        self._interruption = ""
        """Why the reply was cut off after some text."""
        self._sent_request: dict[str, Any] = {}
        self._adaptations: set[str] = set()
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
        """Close the connection without waiting for the end of the reply."""
        self._pieces.close()
        self._close_response()

    @property
    def completion(self) -> Completion:
        """The outcome of the call: final at the end, partial while the reply is being read."""
        reply = self._reply
        finish_reason = None if self._interruption else reply.finish_reason
        return Completion(
            text=reply.text,
            finish_reason=finish_reason,
            usage=self._earlier_usage + self._usage() if self._sent_request else Usage(),
            model=self._endpoint.address.redact(reply.model or self._model.model),
            notes=(*self._notes, *self._reply_notes()),
            complete=finish_reason == "stop",
            tokens=tuple(reply.tokens),
        )

    def _run(self) -> Generator[str]:
        try:
            first = self._open()
            if first:
                yield first
            yield from self._remaining_texts()
        finally:
            self._close_response()
            if self._reply.has_reasoning:  # the limit of the next call leaves room for it
                self._model.dialect.reasons = True

    def _open(self) -> str:
        """Return the first text, with retries if necessary."""
        deadline = self._endpoint.deadline()
        while True:
            try:
                return self._endpoint.call(self._attempt, model=self._model.model, deadline=deadline)
            except UnsupportedParameterError as error:
                if not self._adapt(error):
                    raise
            except EndpointError as error:
                if error.kind == "too_large":
                    raise EndpointError(str(error), kind="context", status=error.status) from None
                if error.kind == "refused":
                    self._reply.finish_reason = "refusal"
                elif error.kind != "empty":
                    raise
                return ""

    def _attempt(self, client: Any) -> str:
        self._close_response()
        if self._reply.has_choice:  # a reply without text is requested again, but billed
            self._earlier_usage += self._usage()
        self._reply, self._texts = ReplyAccumulator(self._endpoint.address), iter(())
        self._sent_request = self._model.dialect.request(self._request, self._max_output_tokens)
        self._response = open_stream(client.chat.completions, **self._sent_request)
        self._texts = self._read()
        first = next(self._texts, "")
        if not first:
            self._check_empty_reply()
        return first

    def _read(self) -> Iterator[str]:
        response, reply = self._response, self._reply
        blocks = self._endpoint.blocks(response, max_bytes=MAX_ANSWER_BYTES)
        content_type = response.headers.get("content-type", "")
        for chunk in parse_chunks(blocks, content_type, self._endpoint.address):
            if text := reply.add(chunk):
                yield text
            if reply.finish_reason == "repetition":
                break
        if text := reply.end():
            yield text

    def _remaining_texts(self) -> Iterator[str]:
        """Yield the texts after the first. A fault at this stage ends the answer early."""
        try:
            yield from self._texts
        except TransientError as fault:
            self._interruption = str(fault.error)
        except EndpointError as error:
            if error.kind not in _PARTIAL_ANSWER_KINDS:
                raise
            self._interruption = str(error)

    def _check_empty_reply(self) -> None:
        """Raise if a reply without text is a fault of the server rather than the model's choice."""
        reply, address = self._reply, self._endpoint.address
        if not reply.has_choice:
            fix = "check the model and OPENAI_BASE_URL"
            raise address.error("sent no choices", fix, "invalid_reply")
        if reply.finish_reason is None:
            error = address.error("ended its reply without any text", "try again", "invalid_reply")
            raise TransientError(error, tries=2)
        if reply.finish_reason == "stop":
            raise TransientError(address.error("sent no text", "try again", "empty"), tries=2)

    def _adapt(self, error: UnsupportedParameterError) -> bool:
        """Change this and later requests for a parameter that was rejected; return whether that is new."""
        name = next((name for name in error.names if name in self._sent_request), None)
        if name is None:
            return False
        adaptation = "limit" if name in LIMIT_PARAMETERS else f"{name}={self._sent_request[name]}"
        if adaptation in self._adaptations:
            return False
        self._adaptations.add(adaptation)
        change = self._model.dialect.adapt(name, self._sent_request, error.complaint)
        self._notes.append(f"the server does not support '{name}': {change}")
        _LOG.info("%s: %s", self._endpoint.address.display_url, self._notes[-1])
        return True

    def _usage(self) -> Usage:
        return self._reply.usage(self._count_prompt, self._model.model)

    def _count_prompt(self) -> int:
        schema = self._request["response_format"]["json_schema"]["schema"]
        return prompt_tokens(self._request["messages"], schema, self._model.model)[0]

    def _reply_notes(self) -> Iterator[str]:
        """Yield a note for everything unusual about the reply."""
        reply, redact = self._reply, self._endpoint.address.redact
        if self._interruption:
            yield f"the answer was cut off: {self._interruption}"
        elif reply.pieces and reply.finish_reason is None:
            yield "the answer ended without a finish reason; it may be incomplete"
        if reply.finish_reason == "repetition":
            yield "the model repeated itself and was stopped"
        if reply.finish_reason == "refusal":
            yield (
                f"the model refused: {redact(reply.refusal)}" if reply.refusal else "the answer was filtered"
            )
        if reply.calls_tool:
            yield "ignored an unrequested tool call"
        if reply.has_reasoning and not reply.pieces:
            yield "the model wrote only reasoning: a larger output limit may help"
        if reply.model and not is_same_model(reply.model, self._model.model):
            yield f"another model answered: {redact(reply.model)} instead of {redact(self._model.model)}"
        characters = sum(len(message["content"]) for message in self._request["messages"])
        tokens = reply.reported_prompt_tokens
        if tokens and characters > MAX_CHARACTERS_PER_TOKEN * tokens:
            yield (
                f"the server counted only {tokens} input tokens for {characters} characters: "
                "it may have truncated the prompt; give the model a longer context"
            )

    def _close_response(self) -> None:
        if self._response is not None:
            self._response.close()
