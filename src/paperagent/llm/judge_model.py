"""The second reader's model: a probability for each question that a schema asks, by either of two APIs.

The *Decisions API* gives a probability for each predicate in one pass, without any text. Where the
endpoint does not offer it, a chat model labels the questions in one call, and the probability of
a label is that of its token, where the server tells it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from paperagent.llm.chat import ChatModel
from paperagent.llm.client import NotOfferedError, open_stream
from paperagent.llm.pricing import prompt_tokens
from paperagent.llm.protocol import Completion, SampledToken
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Usage

DECISIONS = "decisions"
_DECIDING = re.compile(r"gpt-6-luna(-\d{4}-\d\d-\d\d)?")
"""Models that OpenAI's own endpoint takes for decisions, by its documentation."""
_NOT_OFFERED = frozenset({400, 403, 404, 405, 415, 422, 501})
"""Statuses of a server that has no such API, or not for this model or key."""
MAX_QUESTIONS = 400
"""Of one request to the Decisions API."""
_ALTERNATIVES = 5
_WORTH = {"supported": 1.0, "partly": 0.5, "not_supported": 0.0}
"""What a label adds to the probability, by its own probability."""


class JudgeModel:
    """Answers a schema whose properties are questions. Implements `plan.TextModel`.

    Each property of the schema has a ``description``, the statement to be judged, and is one of the labels
    ``supported``, ``partly`` and ``not_supported``. The reply is a JSON object: ``{"probabilities":
    {name: 0..1 or null}}`` where probabilities are known, else the labels as the chat model wrote them.
    """

    def __init__(self, chat: ChatModel) -> None:
        """Take the chat model that is asked where there are no decisions; its endpoint is shared."""
        self._chat = chat

    @property
    def model(self) -> str:
        """The model's name."""
        return self._chat.model

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may take for reasoning, beyond its limit; decisions take none."""
        return 0 if self.decides(1) else self._chat.thinking_tokens

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,  # noqa: ARG002 - decisions know none, and labels want the least
    ) -> Judgement:
        """Return the reply as a stream of one piece; nothing is sent before it is asked for."""
        return Judgement(self, messages, schema, {"name": schema_name, "limit": max_output_tokens})

    def decides(self, questions: int) -> bool:
        """Tell whether the Decisions API is to be asked: where it is offered, or nobody knows yet."""
        endpoint = self._chat.endpoint
        if not endpoint.offers.get(DECISIONS, True) or not 1 <= questions <= MAX_QUESTIONS:
            return False
        return not endpoint.address.is_openai or _DECIDING.fullmatch(self.model.lower()) is not None

    def decide(self, messages: Sequence[Mapping[str, str]], predicates: Mapping[str, str]) -> Completion:
        """Ask the Decisions API for the probability of each predicate (name → statement).

        Raises:
            NotOfferedError: the server has no such API.
            EndpointError: it failed.
        """
        request = {
            "model": self.model,
            "input": [
                {"role": m["role"], "content": replace_surrogates(m["content"]), "type": "message"}
                for m in messages
            ],
            "questions": [
                {"type": "predicate", "name": name, "instructions": replace_surrogates(statement)}
                for name, statement in predicates.items()
            ],
        }
        endpoint = self._chat.endpoint

        def attempt(client: Any) -> dict[str, Any]:
            if not hasattr(client, DECISIONS):  # an SDK from before they came
                raise NotOfferedError
            response = open_stream(client.decisions, **request)
            try:
                reply = endpoint.parse(response)
            finally:
                response.close()
            if not isinstance(reply.get("answers"), list):  # a server that answers to any address
                raise NotOfferedError
            return reply

        reply = endpoint.call_optional(DECISIONS, attempt, model=self.model, refusals=_NOT_OFFERED)
        found = read_answers(reply["answers"], list(predicates))
        return Completion(
            text=json.dumps({"probabilities": found}),
            finish_reason="stop",
            usage=self._usage(reply.get("usage"), messages, predicates),
            model=endpoint.address.clean(str(reply.get("model") or self.model)),
            complete=True,
        )

    def _usage(
        self, counted: Any, messages: Sequence[Mapping[str, str]], predicates: Mapping[str, str]
    ) -> Usage:
        """Return what a decision used: as the server counts, else as we estimate."""
        counted = counted if isinstance(counted, dict) else {}
        details = counted.get("input_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        sent = _count(counted.get("input_tokens"))
        if sent is None:
            sent, _ = prompt_tokens(messages, predicates, self.model)
            return Usage(1, sent, 0, 0, None, estimated=True)
        return Usage(1, sent, min(cached or 0, sent), _count(counted.get("output_tokens")) or 0, None)

    def label(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> Completion:
        """Have the chat model label the questions.

        Raises:
            EndpointError: it failed.
        """
        with self._chat.stream(
            messages,
            schema=schema,
            schema_name=asked["name"],
            max_output_tokens=asked["limit"],
            top_logprobs=_ALTERNATIVES,
        ) as stream:
            for _ in stream:
                pass
        done = stream.completion
        found = read_tokens(done.tokens)
        if not set(schema["properties"]) <= found.keys():
            return done
        text = json.dumps({"probabilities": {name: found[name] for name in schema["properties"]}})
        return Completion(text, done.finish_reason, done.usage, done.model, done.notes, done.complete)


class Judgement:
    """One reply of a `JudgeModel`: an iterator of one text. A context manager.

    Raises (while it is iterated):
        EndpointError: no reply could be had.
    """

    is_cached = False
    """A call is made for the text."""

    def __init__(
        self,
        model: JudgeModel,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        asked: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._messages = messages
        self._schema = schema
        self._asked = asked
        self.completion = Completion("", None, Usage(), model.model)
        """What the call left behind; stands after the text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave; no connection is kept open."""

    def __iter__(self) -> Iterator[str]:
        predicates = {name: str(p["description"]) for name, p in self._schema["properties"].items()}
        self.completion = self._made(predicates)
        yield self.completion.text

    def _made(self, predicates: Mapping[str, str]) -> Completion:
        if self._model.decides(len(predicates)):
            try:
                return self._model.decide(self._messages, predicates)
            except NotOfferedError:
                pass
        return self._model.label(self._messages, self._schema, self._asked)


def read_answers(answers: Sequence[Any], names: Sequence[str]) -> dict[str, float | None]:
    """Return the probability that was answered to each question; None for a refusal or another form.

    Answers come in the order of the questions and carry their names; where a server leaves the
    names out, the order counts, if there is one answer for each.
    """
    rows = [a if isinstance(a, dict) else {} for a in answers]
    named = {str(row["name"]): row for row in rows if row.get("name")}
    if not named and len(rows) == len(names):
        named = dict(zip(names, rows, strict=True))
    return {name: _probability(named.get(name, {})) for name in names}


def _probability(answer: Mapping[str, Any]) -> float | None:
    value = answer.get("probability")
    if answer.get("type", "predicate") != "predicate" or isinstance(value, bool):
        return None
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= 1 else None


_LABELLED = re.compile(r'"(\w+)"\s*:\s*"(supported|partly|not_supported)"')


def read_tokens(tokens: Sequence[SampledToken]) -> dict[str, float]:
    """Return the probability of each label that stands in a reply, from the token that begins it.

    The three labels begin with different letters, so the first token decides. What the alternatives
    leave over counts half; where they leave over more than half, nothing is known of that label.
    """
    text = "".join(token.text for token in tokens)
    ends, at = [], 0
    for token in tokens:
        at += len(token.text)
        ends.append(at)
    found = {}
    for match in _LABELLED.finditer(text):
        index = next(i for i, end in enumerate(ends) if end > match.start(2))
        if (chance := _chance_of_support(tokens[index].probabilities)) is not None:
            found[match[1]] = chance
    return found


def _chance_of_support(chances: Mapping[str, float]) -> float | None:
    total, rest = 0.0, 1.0
    for token, chance in chances.items():
        start = token.lstrip(' ":')
        labels = [label for label in _WORTH if start and (label.startswith(start) or start.startswith(label))]
        if len(labels) == 1:
            total += chance * _WORTH[labels[0]]
            rest -= chance
    return None if rest > 0.5 else round(min(1.0, total + max(rest, 0.0) / 2), 4)


def _count(value: Any) -> int | None:
    """Return a token count, or None for what cannot be one."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if usable and 0 <= value < 1e9 else None
