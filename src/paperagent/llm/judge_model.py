"""The LLM judge's model: a probability for each statement of a schema, from one of two APIs.

The *Decisions API* returns a probability for each predicate in one pass, without generating text. On
endpoints without it, a chat model labels the statements in one call, and the probability of a label
is that of its token, if the server returns it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from paperagent.llm.chat import ChatModel
from paperagent.llm.client import ApiNotOfferedError, open_stream
from paperagent.llm.pricing import prompt_tokens
from paperagent.llm.protocol import Completion, SampledToken
from paperagent.llm.stream import token_count
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Usage

DECISIONS = "decisions"
MAX_QUESTIONS = 400
"""Limit of one request to the Decisions API."""
_DECISION_MODELS = re.compile(r"gpt-6-luna(-\d{4}-\d\d-\d\d)?")
"""Models that OpenAI's documentation lists for the Decisions API."""
_NOT_OFFERED_STATUSES = frozenset({400, 403, 404, 405, 415, 422, 501})
"""Statuses of a server without this API, or without it for this model or key."""
_TOP_LOGPROBS = 5
_LABEL_VALUES = {"supported": 1.0, "partly": 0.5, "not_supported": 0.0}
"""Label → its weight in the probability of support."""
_LABELLED = re.compile(r'"(\w+)"\s*:\s*"(supported|partly|not_supported)"')


class JudgeModel:
    """Judges the statements of a schema. Implements `TextModel`.

    Each property of the schema has a ``description``, the statement to be judged, and one of the labels
    ``supported``, ``partly`` and ``not_supported`` as its value. The reply is a JSON object:
    ``{"probabilities": {name: 0..1 or null}}`` if probabilities are available, otherwise the labels as
    the chat model wrote them.

    Args:
        chat: The chat model for endpoints without the Decisions API. Its endpoint is shared.
    """

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat

    @property
    def model(self) -> str:
        """The model's name."""
        return self._chat.model

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may spend on reasoning, on top of its output limit; 0 for decisions."""
        return 0 if self.uses_decisions(1) else self._chat.thinking_tokens

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,  # noqa: ARG002 - decisions have none, labels use the lowest
    ) -> JudgeStream:
        """Return the reply as a stream of one piece. Nothing is sent before it is requested."""
        return JudgeStream(
            self, messages, schema, schema_name=schema_name, max_output_tokens=max_output_tokens
        )

    def uses_decisions(self, questions: int) -> bool:
        """Return whether to call the Decisions API: the server offers it, or that is not known yet."""
        endpoint = self._chat.endpoint
        if not endpoint.offers.get(DECISIONS, True) or not 1 <= questions <= MAX_QUESTIONS:
            return False
        return not endpoint.address.is_openai or _DECISION_MODELS.fullmatch(self.model.lower()) is not None

    def decide(self, messages: Sequence[Mapping[str, str]], predicates: Mapping[str, str]) -> Completion:
        """Call the Decisions API for the probability of each predicate.

        Args:
            messages: The context.
            predicates: Name → statement.

        Raises:
            ApiNotOfferedError: The server lacks the API.
            EndpointError: The call failed.
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
            if not hasattr(client, DECISIONS):  # an older SDK
                raise ApiNotOfferedError
            response = open_stream(client.decisions, **request)
            try:
                reply = endpoint.parse(response)
            finally:
                response.close()
            if not isinstance(reply.get("answers"), list):  # a server that answers on any path
                raise ApiNotOfferedError
            return reply

        reply = endpoint.call_optional(DECISIONS, attempt, model=self.model, refusals=_NOT_OFFERED_STATUSES)
        probabilities = parse_decisions(reply["answers"], list(predicates))
        return Completion(
            text=json.dumps({"probabilities": probabilities}),
            finish_reason="stop",
            usage=self._usage(reply.get("usage"), messages, predicates),
            model=endpoint.address.redact(str(reply.get("model") or self.model)),
            complete=True,
        )

    def _usage(
        self, reported: Any, messages: Sequence[Mapping[str, str]], predicates: Mapping[str, str]
    ) -> Usage:
        """Return the usage as the server reports it, or an estimate."""
        reported = reported if isinstance(reported, dict) else {}
        details = reported.get("input_tokens_details")
        cached = token_count(details.get("cached_tokens")) if isinstance(details, dict) else None
        prompt = token_count(reported.get("input_tokens"))
        if prompt is None:
            prompt, _ = prompt_tokens(messages, predicates, self.model)
            return Usage(1, prompt, 0, 0, None, estimated=True)
        return Usage(
            1, prompt, min(cached or 0, prompt), token_count(reported.get("output_tokens")) or 0, None
        )

    def label(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        *,
        schema_name: str,
        max_output_tokens: int,
    ) -> Completion:
        """Let the chat model label the statements.

        Raises:
            EndpointError: The call failed.
        """
        with self._chat.stream(
            messages,
            schema=schema,
            schema_name=schema_name,
            max_output_tokens=max_output_tokens,
            top_logprobs=_TOP_LOGPROBS,
        ) as stream:
            for _ in stream:
                pass
        done = stream.completion
        probabilities = label_probabilities(done.tokens)
        if not set(schema["properties"]) <= probabilities.keys():
            return done
        text = json.dumps({"probabilities": {name: probabilities[name] for name in schema["properties"]}})
        return Completion(text, done.finish_reason, done.usage, done.model, done.notes, done.complete)


class JudgeStream:
    """The reply of a `JudgeModel`. Implements `TextStream` with one piece; a context manager.

    Raises (while it is iterated):
        EndpointError: The call failed.
    """

    is_cached = False

    def __init__(
        self,
        model: JudgeModel,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        *,
        schema_name: str,
        max_output_tokens: int,
    ) -> None:
        self._model = model
        self._messages = messages
        self._schema = schema
        self._schema_name = schema_name
        self._max_output_tokens = max_output_tokens
        self.completion = Completion(model=model.model)
        """The outcome of the call; final after the text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: no connection stays open."""

    def __iter__(self) -> Iterator[str]:
        self.completion = self._call()
        yield self.completion.text

    def _call(self) -> Completion:
        predicates = {name: str(p["description"]) for name, p in self._schema["properties"].items()}
        if self._model.uses_decisions(len(predicates)):
            try:
                return self._model.decide(self._messages, predicates)
            except ApiNotOfferedError:
                pass
        return self._model.label(
            self._messages,
            self._schema,
            schema_name=self._schema_name,
            max_output_tokens=self._max_output_tokens,
        )


def parse_decisions(answers: Sequence[Any], names: Sequence[str]) -> dict[str, float | None]:
    """Return the probability for each question; None for a refusal or an unknown form.

    Answers come in the order of the questions and carry their names. If a server omits the names, the
    order counts, provided there is one answer for each question.
    """
    rows = [a if isinstance(a, dict) else {} for a in answers]
    by_name = {str(row["name"]): row for row in rows if row.get("name")}
    if not by_name and len(rows) == len(names):
        by_name = dict(zip(names, rows, strict=True))
    return {name: _decision_probability(by_name.get(name, {})) for name in names}


def _decision_probability(answer: Mapping[str, Any]) -> float | None:
    value = answer.get("probability")
    if answer.get("type", "predicate") != "predicate" or isinstance(value, bool):
        return None
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= 1 else None


def label_probabilities(tokens: Sequence[SampledToken]) -> dict[str, float]:
    """Return the probability of support for each label in a reply, from the label's first token.

    The three labels begin with different letters, so the first token decides. Probability that the
    alternatives leave unassigned counts half. If that is more than half, the label is omitted.
    """
    text = "".join(token.text for token in tokens)
    ends, end = [], 0
    for token in tokens:
        end += len(token.text)
        ends.append(end)
    probabilities = {}
    for match in _LABELLED.finditer(text):
        index = next(i for i, end in enumerate(ends) if end > match.start(2))
        if (probability := _support_probability(tokens[index].probabilities)) is not None:
            probabilities[match[1]] = probability
    return probabilities


def _support_probability(alternatives: Mapping[str, float]) -> float | None:
    total, unassigned = 0.0, 1.0
    for token, probability in alternatives.items():
        start = token.lstrip(' ":')
        labels = [
            label for label in _LABEL_VALUES if start and (label.startswith(start) or start.startswith(label))
        ]
        if len(labels) == 1:
            total += probability * _LABEL_VALUES[labels[0]]
            unassigned -= probability
    return None if unassigned > 0.5 else round(min(1.0, total + max(unassigned, 0.0) / 2), 4)
