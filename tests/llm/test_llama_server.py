"""A real server, llama.cpp's, on a tiny random model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import llama_server
from paperagent.answering.reply import ModelReply, answer_schema
from paperagent.errors import EndpointError
from paperagent.llm.chat import ChatModel

SCHEMA = answer_schema()


@pytest.fixture
def model(llama_address: str) -> Iterator[ChatModel]:
    made = ChatModel(llama_server.MODEL, base_url=llama_address, timeout=60)
    yield made
    made.close()


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": text}]


def ask(model: ChatModel, text: str, schema: dict[str, Any], limit: int = 1_000, **options: Any) -> Any:
    with model.stream(
        messages(text), schema=schema, schema_name="answer", max_output_tokens=limit, **options
    ) as stream:
        pieces = list(stream)
    assert "".join(pieces) == stream.completion.text
    assert len(pieces) > 5
    return stream.completion


@pytest.mark.parametrize("question", ["Does it work?", "Größe? 中文 🙂 " + "many words " * 100])
def test_the_answer_has_the_form_of_the_schema(model, question):
    """Random weights, and yet the JSON that was asked for, streamed and counted."""
    completion = ask(model, question, SCHEMA)
    assert (completion.finish_reason, completion.complete, completion.notes) == ("stop", True, ())
    ModelReply.model_validate(json.loads(completion.text))
    assert not completion.usage.estimated
    assert completion.usage.input_tokens > len(question)
    assert completion.usage.output_tokens >= len(completion.text)


def test_the_same_question_gives_the_same_answer(model):
    """Temperature 0 and a seed: a repeated call repeats its answer, and reuses the prompt."""
    first, again = (ask(model, "Is it repeatable?", SCHEMA) for _ in range(2))
    assert first.text == again.text
    assert again.usage.cached_tokens > 0


def test_an_answer_beyond_its_limit_is_cut(model):
    """The server's word for it is passed on."""
    completion = ask(model, "Does it end?", SCHEMA, limit=20)
    assert (completion.finish_reason, completion.complete) == ("length", False)
    assert completion.usage.output_tokens == 20


def test_another_model_name_is_noticed(llama_address):
    """The server answers whatever the name, with the one model that it has."""
    model = ChatModel("gpt-4o", base_url=llama_address)
    assert "another model answered: tiny-random" in ask(model, "Who are you?", SCHEMA).notes[0]
    model.close()


def test_a_prompt_beyond_the_context_has_its_own_kind(model):
    """llama.cpp's words for it are understood."""
    with pytest.raises(EndpointError) as caught:
        ask(model, "word " * (llama_server.CONTEXT // 4), SCHEMA)
    assert caught.value.kind == "context"
