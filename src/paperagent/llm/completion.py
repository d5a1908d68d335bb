"""A chat completion while it is read: chunks in, the answer's text and what it used out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from paperagent.errors import visible
from paperagent.http_limits import TransientError
from paperagent.llm import sse
from paperagent.llm.endpoint import EndpointAddress, parse_reply, refuse_failure
from paperagent.llm.pricing import estimate_tokens
from paperagent.llm.protocol import SampledToken
from paperagent.text.lenient_json import TAG_LENGTH, THOUGHT_END, THOUGHT_START
from paperagent.types import Usage


class ReasoningFilter:
    """Lets the answer through, without the reasoning that some models write before it.

    JSON passes at once. Other text waits for the reasoning's end, for its start tag is often
    part of the prompt and so not sent; text that never has one is given at the end.
    """

    def __init__(self) -> None:
        self.dropped = ""
        """The reasoning."""
        self._held: list[str] = []
        self._edge = ""
        self._through = False

    def feed(self, text: str) -> str:
        """Return what of the text so far may be shown now."""
        if self._through:
            return text
        self._held.append(text)
        if not self._edge.strip() and (start := "".join(self._held).lstrip())[:1] in ("{", "[", "`"):
            self._through = True
            return start
        window = self._edge + text  # a tag may be cut in two
        self._edge = window[-TAG_LENGTH:]
        return self._after_thought() if THOUGHT_END.search(window) else ""

    def end(self) -> str:
        """Return what was held back and is no reasoning."""
        held = "" if self._through else "".join(self._held)
        if THOUGHT_START.match(held.lstrip()):
            self.dropped, held = self.dropped + held, ""
        return held if held.strip() else ""

    def _after_thought(self) -> str:
        thought, rest = THOUGHT_END.split("".join(self._held), maxsplit=1)
        self.dropped += thought
        self._held, self._edge = [], ""
        return self.feed(rest) if rest else ""


def chunks(blocks: Iterable[bytes], content_type: str, address: EndpointAddress) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a reply: of an event stream, or one whole answer for a plain JSON body.

    Raises:
        EndpointError: an error, a web page or nothing of use was sent.
        TransientError: worth another request, if nothing was shown yet.
    """
    blocks = iter(blocks)
    head = b""
    for block in blocks:
        head += block
        if head.strip():
            break
    if head.lstrip()[:1] in (b"", b"{", b"[", b"<", b'"') or "html" in content_type:
        yield parse_reply(head + b"".join(blocks), content_type, address)
        return
    try:
        for event in sse.events(chain([head], blocks)):
            if event.data.strip() == "[DONE]":
                return
            for chunk in _decoded(event):
                refuse_failure(chunk, address)
                yield chunk
    except (ValueError, RecursionError):
        # A lost event may have held a "not": what follows it must not be joined to what came before.
        error = address.error("sent an event that cannot be read", "try again", "invalid_reply")
        raise TransientError(error, tries=2) from None


def _decoded(event: sse.ServerSentEvent) -> list[dict[str, Any]]:
    """Return the objects of an event: one, or one a line where the server forgets the blank lines."""
    try:
        found = [json.loads(event.data)] if event.data.strip() else []
    except ValueError:
        lines = [line for line in event.data.split("\n") if line.strip() not in ("", "[DONE]")]
        if len(lines) < 2:
            raise
        found = [json.loads(line) for line in lines]
    if not all(isinstance(chunk, dict) for chunk in found):
        raise ValueError("no object")
    return [{"error": chunk.get("error", chunk)} for chunk in found] if event.name == "error" else found


@dataclass(slots=True)
class ReplyAccumulator:
    """The state of one reply while it is read."""

    address: EndpointAddress
    finish: str | None = None
    answered: str = ""
    """The model's name, as the server gives it."""
    counted: dict[str, Any] = field(default_factory=dict)
    """The last usage that the server sent."""
    refusal: str = ""
    reasoning: list[str] = field(default_factory=list)
    calls_tool: bool = False
    seen: bool = False
    """Whether there was any choice."""
    pieces: list[str] = field(default_factory=list)
    """The answer's text so far."""
    tokens: list[SampledToken] = field(default_factory=list)
    _tail: str = ""
    _half: str = ""
    _opening: ReasoningFilter = field(default_factory=ReasoningFilter)

    def take(self, chunk: dict[str, Any]) -> str:
        """Return the text that ``chunk`` adds to the answer; note everything else.

        Raises:
            EndpointError: the chunk has another form.
        """
        if isinstance(chunk.get("usage"), dict):
            self.counted = chunk["usage"]
        if isinstance(chunk.get("model"), str):
            self.answered = chunk["model"]
        try:
            choices = [c for c in chunk.get("choices") or () if c.get("index") in (0, None)]
            text = "".join(map(self._choice, choices))
        except (TypeError, AttributeError, KeyError):
            fix = "check the model and OPENAI_BASE_URL"
            raise self.address.error("sent an answer of another form", fix, "invalid_reply") from None
        if not text:
            return ""
        self._tail = (self._tail + text)[-LOOP_WINDOW:]
        if loops(self._tail):
            self.finish = "repetition"
        return self._shown(self._opening.feed(self._joined(text)))

    def end(self) -> str:
        """Return the text that was held back, at the reply's end."""
        held = self._shown(self._opening.end())
        if self.refusal:
            self.finish = "refusal"
        elif not self.pieces and self.thought:
            self.finish = "length"  # whatever the server says: a larger limit is what may help
        elif self.calls_tool and not self.pieces:
            self.finish = "tool_calls"
        return held

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self.pieces)

    @property
    def thought(self) -> bool:
        """Whether there was reasoning, which is never shown."""
        hidden = _count(_details(self.counted, "completion_tokens_details").get("reasoning_tokens"))
        return bool(self.reasoning or self._opening.dropped or hidden)

    @property
    def counted_prompt(self) -> int:
        """The prompt's tokens by the server's own count; 0 where it does not say."""
        return _count(self.counted.get("prompt_tokens")) or 0

    def usage(self, prompt: Callable[[], int], model: str) -> Usage:
        """Return what the call used: as the server counts, else as we estimate with ``prompt``."""
        sent = self.counted_prompt
        written = _count(self.counted.get("completion_tokens"))
        cached = _count(_details(self.counted, "prompt_tokens_details").get("cached_tokens"))
        total = _count(self.counted.get("total_tokens"))
        if sent and written is not None and total:
            written = max(written, total - sent)  # some servers leave the reasoning out of the first
        estimated = not sent or written is None
        if written is None:
            written, _ = estimate_tokens([self.text, "".join(self.reasoning), self._opening.dropped], model)
        return Usage(1, sent or prompt(), min(cached or 0, sent), written, None, estimated)

    def _choice(self, choice: dict[str, Any]) -> str:
        self.seen = True
        held = choice.get("delta") or choice.get("message") or {}
        if choice.get("finish_reason"):
            said = str(choice["finish_reason"]).lower()
            self.finish = self.finish or _FINISH.get(said, visible(said, limit=40))
        if thought := _text(held.get("reasoning_content") or held.get("reasoning")):
            self.reasoning.append(thought)
        self.tokens += _tokens(choice.get("logprobs"))
        self.refusal += _text(held.get("refusal"))
        self.calls_tool = self.calls_tool or bool(held.get("tool_calls") or held.get("function_call"))
        return _text(held.get("content"))

    def _joined(self, text: str) -> str:
        """Return ``text`` with characters whole that were sent as two halves, one a chunk."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _shown(self, text: str) -> str:
        if text:
            self.pieces.append(text)
        return text


_FINISH = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("max_tokens", "max_length"), "length"),
    **dict.fromkeys(("content_filter", "safety"), "refusal"),
    "function_call": "tool_calls",
}
"""Other words for OpenAI's reasons to finish."""


def _text(content: Any) -> str:
    """Return the text of a message's content: a string, nothing, or a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("no text")
    return content or ""


def _tokens(logprobs: Any) -> Iterator[SampledToken]:
    """Yield the tokens of a chunk with their probabilities; what has another form is passed over."""
    rows = logprobs.get("content") if isinstance(logprobs, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("token"), str):
            continue
        others = row.get("top_logprobs")
        listed = [row, *(others if isinstance(others, list) else ())]
        yield SampledToken(row["token"], dict(filter(None, map(_chance, listed))))


def _chance(row: Any) -> tuple[str, float] | None:
    if not isinstance(row, dict) or not isinstance(row.get("token"), str):
        return None
    logprob = row.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, (int, float)) or not logprob <= 0:
        return None
    return row["token"], math.exp(logprob)


def _details(counted: dict[str, Any], name: str) -> dict[str, Any]:
    details = counted.get(name)
    return details if isinstance(details, dict) else {}


def _count(value: Any) -> int | None:
    """Return a token count, or None for what cannot be one."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
    return int(value) if usable else None


def loops(text: str) -> bool:
    """Tell whether ``text`` ends in one passage said four times or more, 400 characters at least.

    Small models at temperature 0 fall into this, mostly with blanks, and go on up to the limit.
    """
    at = len(text) - _KEY
    for _ in range(_PERIODS):
        at = text.rfind(text[-_KEY:], 0, at + _KEY - 1)
        period = len(text) - _KEY - at
        length = max(4 * period, 400)
        if at < 0 or length > len(text):
            return False
        if text[-length + period :] == text[-length:-period]:
            return True
    return False


LOOP_WINDOW, _KEY, _PERIODS = 2400, 32, 50
