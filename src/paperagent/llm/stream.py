"""Decode a streamed chat completion: server-sent events, then chunks, then the answer's text.

Read it bottom up: `ReplyAccumulator` takes the chunks of `parse_chunks`, which come from the events of
`parse_events` (HTML standard, 9.2).
"""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from paperagent.errors import visible
from paperagent.http_limits import TransientError
from paperagent.llm.client import EndpointAddress
from paperagent.llm.pricing import estimate_tokens
from paperagent.llm.protocol import SampledToken
from paperagent.llm.server_errors import parse_reply, raise_for_error_body
from paperagent.text.lenient_json import TAG_LENGTH, THOUGHT_END, THOUGHT_START
from paperagent.types import Usage

# --- server-sent events ---


class ServerSentEvent(NamedTuple):
    """One event: its name, usually empty, and its data of one or more lines."""

    name: str
    data: str


def parse_events(blocks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream, however it is cut into ``blocks``.

    More tolerant than the standard: a last event without its blank line counts, and a line
    ``error: …``, which some servers send, is an event. Comments are skipped.

    Raises:
        UnicodeDecodeError: A line is not UTF-8.
    """
    name, data = "", list[str]()
    for line in _lines(blocks):
        field_name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerSentEvent(name, "\n".join(data))
            name, data = "", []
        elif field_name == "data":
            data.append(value)
        elif field_name == "event":
            name = value
        elif field_name == "error":
            yield ServerSentEvent("error", value)
    if data:
        yield ServerSentEvent(name, "\n".join(data))


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield complete lines. No multi-byte character is split, since none contains a newline byte."""
    buffer = b""
    for block in blocks:
        buffer += block
        if b"\n" not in block and b"\r" not in block:
            continue
        end = len(buffer) - buffer.endswith(b"\r")  # its line feed may come with the next block
        *complete, partial = _split_lines(buffer[:end])
        buffer = partial + buffer[end:]
        yield from (line.decode("utf-8-sig") for line in complete)
    yield from (line.decode("utf-8-sig") for line in _split_lines(buffer) if line)


def _split_lines(text: bytes) -> list[bytes]:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


# --- chunks ---

_UTF16_MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)
"""Byte order marks. Those of UTF-32 begin with, or end in, those of UTF-16."""


def parse_chunks(
    blocks: Iterable[bytes], content_type: str, address: EndpointAddress
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of an event stream, or the one object of a plain JSON reply.

    Raises:
        EndpointError: The reply is an error, a web page or unusable.
        TransientError: The stream is damaged; another request may succeed.
    """
    blocks = iter(blocks)
    head = b""
    for block in blocks:
        head = (head + block).removeprefix(BOM_UTF8)
        if head.strip() and not BOM_UTF8.startswith(head):
            break
    is_event_stream = head.lstrip()[:1] not in (b"", b"{", b"[", b"<", b'"') and head[:2] not in _UTF16_MARKS
    if not is_event_stream or "html" in content_type:
        yield parse_reply(head + b"".join(blocks), content_type, address)
        return
    try:
        for event in parse_events(chain([head], blocks)):
            if event.data.strip() == "[DONE]":
                return
            for chunk in _decode_event(event):
                raise_for_error_body(chunk, address)
                yield chunk
    except (ValueError, RecursionError):
        # A lost event may have contained a "not": text after it must not be joined to text before it.
        error = address.error("sent an event that cannot be read", "try again", "invalid_reply")
        raise TransientError(error, tries=2) from None


def _decode_event(event: ServerSentEvent) -> list[dict[str, Any]]:
    """Return the objects of an event: one, or one per line if the server omits the blank lines."""
    try:
        chunks = [json.loads(event.data)] if event.data.strip() else []
    except ValueError:
        lines = [line for line in event.data.split("\n") if line.strip() not in ("", "[DONE]")]
        if len(lines) < 2:
            raise
        chunks = [json.loads(line) for line in lines]
    if not all(isinstance(chunk, dict) for chunk in chunks):
        raise ValueError("not an object")
    return [{"error": chunk.get("error", chunk)} for chunk in chunks] if event.name == "error" else chunks


# --- text ---


class ReasoningFilter:
    """Removes the reasoning that some models write before their answer.

    JSON passes at once. Other text is held back until the reasoning ends, because its start tag is
    often part of the prompt template and so not sent. Text without reasoning is returned at the end.
    """

    def __init__(self) -> None:
        self.reasoning = ""
        """The removed text."""
        self._pending: list[str] = []
        self._tail = ""
        self._passing = False

    def feed(self, text: str) -> str:
        """Add text and return what can be shown now."""
        if self._passing:
            return text
        self._pending.append(text)
        if not self._tail.strip() and (start := "".join(self._pending).lstrip())[:1] in ("{", "[", "`"):
            self._passing = True
            return start
        window = self._tail + text  # a tag may be cut in two
        self._tail = window[-TAG_LENGTH:]
        return self._drop_reasoning() if THOUGHT_END.search(window) else ""

    def end(self) -> str:
        """Return the pending text, unless it is reasoning."""
        pending = "" if self._passing else "".join(self._pending)
        if THOUGHT_START.match(pending.lstrip()):
            self.reasoning += pending
            return ""
        return pending if pending.strip() else ""

    def _drop_reasoning(self) -> str:
        reasoning, remainder = THOUGHT_END.split("".join(self._pending), maxsplit=1)
        self.reasoning += reasoning
        self._pending, self._tail = [], ""
        return self.feed(remainder) if remainder else ""


REPETITION_WINDOW = 2400
"""Characters of the text's end that `ends_in_repetition` needs."""
_KEY_LENGTH, _MAX_PERIODS = 32, 50


def ends_in_repetition(text: str) -> bool:
    """Return whether ``text`` ends in a passage repeated at least four times and 400 characters long.

    Small models at temperature 0 may repeat text, mostly spaces, until they reach the output limit.
    """
    position = len(text) - _KEY_LENGTH
    for _ in range(_MAX_PERIODS):
        position = text.rfind(text[-_KEY_LENGTH:], 0, position + _KEY_LENGTH - 1)
        period = len(text) - _KEY_LENGTH - position
        length = max(4 * period, 400)
        if position < 0 or length > len(text):
            return False
        if text[-length + period :] == text[-length:-period]:
            return True
    return False


_FINISH_REASONS = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("max_tokens", "max_length"), "length"),
    **dict.fromkeys(("content_filter", "safety"), "refusal"),
    "function_call": "tool_calls",
}
"""Other servers' finish reasons → OpenAI's."""


@dataclass(slots=True)
class ReplyAccumulator:
    """Collects the chunks of one reply."""

    address: EndpointAddress
    finish_reason: str | None = None
    model: str = ""
    """The model's name in the reply."""
    raw_usage: dict[str, Any] = field(default_factory=dict)
    """The last usage that the server sent."""
    refusal: str = ""
    reasoning: list[str] = field(default_factory=list)
    calls_tool: bool = False
    has_choice: bool = False
    """Whether the reply contained any choice."""
    pieces: list[str] = field(default_factory=list)
    """The answer's text so far."""
    tokens: list[SampledToken] = field(default_factory=list)
    _tail: str = ""
    _half: str = ""
    _filter: ReasoningFilter = field(default_factory=ReasoningFilter)

    def add(self, chunk: dict[str, Any]) -> str:
        """Record a chunk and return the text that it adds to the answer.

        Raises:
            EndpointError: The chunk has an unknown form.
        """
        if isinstance(chunk.get("usage"), dict):
            self.raw_usage = chunk["usage"]
        if isinstance(chunk.get("model"), str):
            self.model = chunk["model"]
        try:
            choices = [c for c in chunk.get("choices") or () if c.get("index") in (0, None)]
            text = "".join(map(self._add_choice, choices))
        except (TypeError, AttributeError, KeyError):
            fix = "check the model and OPENAI_BASE_URL"
            raise self.address.error("sent a reply of unknown form", fix, "invalid_reply") from None
        if not text:
            return ""
        self._tail = (self._tail + text)[-REPETITION_WINDOW:]
        if ends_in_repetition(self._tail):
            self.finish_reason = "repetition"
        return self._append(self._filter.feed(self._join_surrogates(text)))

    def end(self) -> str:
        """Finish the reply and return the text that was held back."""
        text = self._append(self._filter.end())
        if self.refusal:
            self.finish_reason = "refusal"
        elif not self.pieces and self.has_reasoning:
            self.finish_reason = "length"  # whatever the server reports: a larger limit may help
        elif self.calls_tool and not self.pieces:
            self.finish_reason = "tool_calls"
        return text

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self.pieces)

    @property
    def has_reasoning(self) -> bool:
        """Whether the model wrote reasoning, which is never shown."""
        hidden = token_count(_details(self.raw_usage, "completion_tokens_details").get("reasoning_tokens"))
        return bool(self.reasoning or self._filter.reasoning or hidden)

    @property
    def reported_prompt_tokens(self) -> int:
        """The prompt's tokens as the server counts them; 0 if it does not report them."""
        return token_count(self.raw_usage.get("prompt_tokens")) or 0

    def usage(self, count_prompt: Callable[[], int], model: str) -> Usage:
        """Return the usage as the server reports it, or an estimate.

        Args:
            count_prompt: Estimates the tokens of the prompt.
            model: The model's name, for the estimate.
        """
        prompt = self.reported_prompt_tokens
        output = token_count(self.raw_usage.get("completion_tokens"))
        cached = token_count(_details(self.raw_usage, "prompt_tokens_details").get("cached_tokens"))
        total = token_count(self.raw_usage.get("total_tokens"))
        if prompt and output is not None and total:
            output = max(output, total - prompt)  # some servers leave reasoning out of completion_tokens
        estimated = not prompt or output is None
        if output is None:
            output, _ = estimate_tokens([self.text, "".join(self.reasoning), self._filter.reasoning], model)
        return Usage(1, prompt or count_prompt(), min(cached or 0, prompt), output, None, estimated)

    def _add_choice(self, choice: dict[str, Any]) -> str:
        self.has_choice = True
        message = choice.get("delta") or choice.get("message") or {}
        if choice.get("finish_reason"):
            reason = str(choice["finish_reason"]).lower()
            self.finish_reason = self.finish_reason or _FINISH_REASONS.get(reason, visible(reason, limit=40))
        if reasoning := _content_text(message.get("reasoning_content") or message.get("reasoning")):
            self.reasoning.append(reasoning)
        self.tokens += _sampled_tokens(choice.get("logprobs"))
        self.refusal += _content_text(message.get("refusal"))
        self.calls_tool = self.calls_tool or bool(message.get("tool_calls") or message.get("function_call"))
        return _content_text(message.get("content"))

    def _join_surrogates(self, text: str) -> str:
        """Join characters that were sent as two surrogates in two chunks."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _append(self, text: str) -> str:
        if text:
            self.pieces.append(text)
        return text


def _content_text(content: Any) -> str:
    """Return the text of a message's content: a string, null, or a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("not text")
    return content or ""


def _sampled_tokens(logprobs: Any) -> Iterator[SampledToken]:
    """Yield the tokens of a chunk with their probabilities; entries of another form are skipped."""
    rows = logprobs.get("content") if isinstance(logprobs, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("token"), str):
            continue
        alternatives = row.get("top_logprobs")
        entries = [row, *(alternatives if isinstance(alternatives, list) else ())]
        yield SampledToken(row["token"], dict(filter(None, map(_token_probability, entries))))


def _token_probability(row: Any) -> tuple[str, float] | None:
    if not isinstance(row, dict) or not isinstance(row.get("token"), str):
        return None
    logprob = row.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, (int, float)) or not logprob <= 0:
        return None
    return row["token"], math.exp(logprob)


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def token_count(value: Any) -> int | None:
    """Return a token count, or None if ``value`` cannot be one."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
    return int(value) if usable else None
