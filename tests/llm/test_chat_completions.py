"""Chat completions when nothing goes wrong (what can go wrong: `test_llm_faults`)."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from paperagent.errors import ConfigError
from paperagent.llm.chat import ChatModel
from paperagent.llm.protocol import Completion
from paperagent.testing import Reply, ScriptedServer, chat_chunk, error_reply, sse_reply, stream_reply
from paperagent.types import Usage

KEY = "sk-test-SECRET-0123456789"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
MESSAGES = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "Does it work?"}]
ANSWER = '{"a": "It works, as Müller said."}'


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(api_key=KEY) as scripted:
        yield scripted


@pytest.fixture
def model(server: ScriptedServer) -> Iterator[ChatModel]:
    made = ChatModel("test-model", api_key=KEY, base_url=server.url)
    yield made
    made.close()


def ask(model: ChatModel, **options: Any) -> tuple[list[str], Completion]:
    with model.stream(
        MESSAGES, schema=SCHEMA, schema_name="answer", max_output_tokens=90, **options
    ) as stream:
        pieces = list(stream)
    return pieces, stream.completion


def test_request_parameters(model, server):
    """Messages, schema, limit, temperature and seed are sent, usage is requested, and the key arrives."""
    server.enqueue_answer(ANSWER)
    ask(model)
    sent = server.history[0].json()
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    assert sent == {
        "model": "test-model",
        "messages": MESSAGES,
        "response_format": wanted,
        "max_tokens": 90,
        "temperature": 0.0,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert server.history[0].headers["accept-encoding"] == "identity"


def test_temperature_and_seed_can_be_chosen(model, server):
    """No seed means that none is sent."""
    server.enqueue_answer(ANSWER)
    ask(model, temperature=0.7, seed=None)
    sent = server.history[0].json()
    assert sent["temperature"] == 0.7
    assert "seed" not in sent


@pytest.mark.parametrize(
    ("model", "effort", "sent", "room"),
    [
        ("gpt-6-luna", None, "none", 0),
        ("gpt-5.4-mini-2026-03-17", None, "none", 0),
        ("gpt-5-mini", None, "minimal", 500),
        ("o4-mini", None, "low", 2_000),
        ("o4-mini", "high", "high", 16_000),
        ("o4-mini", "omit", None, 2_000),
        ("gpt-4.1", None, None, 0),
        ("gpt-4.1", "omit", None, 0),
        ("gpt-5-chat-latest", None, None, 0),
        ("gpt-5.2-chat-latest", None, None, 0),
    ],
)
def test_reasoning_models_get_the_lowest_effort(model, effort, sent, room):
    """On OpenAI's own server: the lowest effort of each family, and room for reasoning in the limit."""
    made = ChatModel(model, api_key=KEY, reasoning_effort=effort)
    request = made.dialect.request({"temperature": 0.0}, 100)
    assert request.get("reasoning_effort") == sent
    assert request["max_completion_tokens"] == 100 + room
    assert made.thinking_tokens == room


def test_other_servers_get_an_effort_only_from_the_setting(server):
    """Model names mean nothing there."""
    for effort in (None, "low"):
        made = ChatModel("o4-mini", api_key=KEY, base_url=server.url, reasoning_effort=effort)
        server.enqueue_answer(ANSWER)
        ask(made)
        made.close()
    plain, low = (request.json() for request in server.history)
    assert ("reasoning_effort" in plain, plain["max_tokens"]) == (False, 90)
    assert (low["reasoning_effort"], low["max_tokens"]) == ("low", 2_090)


@pytest.mark.parametrize(
    ("message", "second"),
    [
        (
            "Unsupported value: 'reasoning_effort' does not support 'minimal'. Supported: 'low', 'high'.",
            "low",
        ),
        ("Unrecognized request argument supplied: reasoning_effort", None),
    ],
)
def test_a_rejected_effort_is_replaced(server, message, second):
    """By the closest one that the server names, otherwise by none; both are remembered."""
    made = ChatModel("m", api_key=KEY, base_url=server.url, reasoning_effort="minimal")
    server.enqueue(error_reply(400, message))
    for _ in range(2):
        server.enqueue_answer(ANSWER)
        ask(made)
    made.close()
    assert [r.json().get("reasoning_effort") for r in server.history] == ["minimal", second, second]


def test_a_model_that_reasons_gets_a_larger_limit(model, server):
    """The limit counts reasoning too, so later replies get room for it."""
    server.enqueue(stream_reply({"reasoning_content": "Hm."}, {"content": ANSWER}))
    server.enqueue_answer(ANSWER)
    ask(model)
    ask(model)
    assert [request.json()["max_tokens"] for request in server.history] == [90, 2_090]


def test_the_text_comes_in_pieces_while_it_is_written(model, server):
    """The first piece arrives long before the last is sent."""
    server.enqueue_answer(ANSWER, chunk=4, pause=0.02)
    with model.stream(MESSAGES, schema=SCHEMA, schema_name="answer", max_output_tokens=90) as stream:
        started = time.monotonic()
        pieces = [(piece, time.monotonic() - started) for piece in stream]
    assert "".join(piece for piece, _ in pieces) == ANSWER
    assert pieces[-1][1] - pieces[0][1] > 0.1


def test_the_end_is_seen_at_once(model, server):
    """Nothing waits for a connection that stays open after the end mark."""
    whole = stream_reply({"content": ANSWER})
    server.enqueue(Reply(pieces=[b"".join(whole.pieces), b": bye\n\n"], pause=2, headers=whole.headers))
    started = time.monotonic()
    assert ask(model)[1].complete
    assert time.monotonic() - started < 3.8


def test_a_plain_json_answer_to_a_stream_request_is_accepted(model, server):
    """A server that cannot stream still works."""
    usage = {"prompt_tokens": 12, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    server.enqueue(Reply({"model": "test-model", "choices": [choice], "usage": usage}))
    pieces, completion = ask(model)
    assert pieces == [ANSWER]
    assert completion == Completion(
        ANSWER, "stop", Usage(1, 12, 8, 9, None), "test-model", notes=(), complete=True
    )


def test_usage_may_be_in_any_chunk(model, server):
    """The last numbers count, with or without choices beside them."""
    counted = [{"prompt_tokens": 50, "completion_tokens": n} for n in (1, 2, 3)]
    chunks = [{**chat_chunk({"content": "{}"[i : i + 1]}), "usage": counted[i]} for i in range(3)]
    server.enqueue(sse_reply(*chunks, chat_chunk({}, finish_reason="stop"), {"choices": []}, "[DONE]"))
    used = ask(model)[1].usage
    assert (used.input_tokens, used.output_tokens, used.estimated) == (50, 3, False)


@pytest.mark.parametrize(
    ("counted", "used"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 113}, (9, 104, False)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, (9, 4, False)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}, (9, 4, False)),
        ({"prompt_tokens": 9.0, "completion_tokens": 4.0}, (9, 4, False)),
    ],
)
def test_tokens_of_reasoning_are_counted(model, server, counted, used):
    """If the total exceeds its parts, the difference is reasoning, which is billed."""
    server.enqueue_answer(ANSWER, usage=counted)
    found = ask(model)[1].usage
    assert (found.input_tokens, found.output_tokens, found.estimated) == used


@pytest.mark.parametrize(
    "counted", [{"prompt_tokens": -1}, {"prompt_tokens": True}, {"prompt_tokens": "many"}]
)
def test_impossible_token_counts_are_replaced_by_an_estimate(model, server, counted):
    server.enqueue_answer(ANSWER, usage={**counted, "completion_tokens": 4})
    found = ask(model)[1].usage
    assert found.estimated
    assert found.input_tokens > 10


def test_halves_of_a_character_are_joined(model, server):
    """Some servers send the two halves of an emoji in two chunks."""
    server.enqueue(stream_reply({"content": '{"a": "\ud83d'}, {"content": '\ude42"}'}))
    pieces, completion = ask(model)
    assert completion.text == '{"a": "🙂"}'
    assert all(piece.isprintable() for piece in pieces)


def test_events_without_blank_lines_are_understood(model, server):
    """One object per line, all in one event by the standard."""
    whole = stream_reply({"content": '{"a": '}, {"content": '"b"}'})
    server.enqueue(Reply(pieces=[p[:-1] for p in whole.pieces], headers=whole.headers))
    assert ask(model)[1].text == '{"a": "b"}'


def test_other_choices_are_ignored(model, server):
    """Only the first choice is the answer."""
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}
    server.enqueue(sse_reply({"choices": [other]}, *stream_reply({"content": ANSWER}).pieces))
    assert ask(model)[1].text == ANSWER


def test_content_in_parts_is_joined(model, server):
    """Some servers send lists of parts; only their text counts."""
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": ANSWER}]
    server.enqueue(stream_reply({"content": parts}))
    assert ask(model)[1].text == ANSWER


def test_nothing_is_sent_before_the_first_piece_is_requested(model, server):
    """A stream that is never read costs nothing."""
    with model.stream(MESSAGES, schema=SCHEMA, schema_name="answer", max_output_tokens=90) as stream:
        pass
    assert server.history == []
    assert stream.completion.usage == Usage()


def test_lone_surrogates_are_replaced(model, server):
    """A broken character in a question does not break the request."""
    server.enqueue_answer(ANSWER)
    messages = [{"role": "user", "content": "a\ud800b"}]
    with model.stream(messages, schema=SCHEMA, schema_name="answer", max_output_tokens=9) as stream:
        assert "".join(stream) == ANSWER
    assert server.history[0].messages[0]["content"] == "a\ufffdb"


def test_threads_share_one_model(model, server):
    """Each thread gets the answer to its own question."""
    server.responder = lambda request: {"a": request.messages[0]["content"] * 20}
    found: dict[str, str] = {}

    def work(text: str) -> None:
        messages = [{"role": "user", "content": text}]
        with model.stream(messages, schema=SCHEMA, schema_name="answer", max_output_tokens=9) as stream:
            found[text] = "".join(stream)

    threads = [threading.Thread(target=work, args=(f"q{i} ",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"q{i} ": f'{{"a": "{f"q{i} " * 20}"}}' for i in range(8)}


def test_the_key_is_in_no_log(model, server, caplog):
    """Not even at the debug level of the libraries below."""
    caplog.set_level(logging.DEBUG)
    server.enqueue(Reply({"error": {"message": "unknown field: seed", "key": KEY}}, 400))
    server.enqueue_answer(ANSWER)
    ask(model)
    assert "SECRET" not in caplog.text
    assert "does not support 'seed'" in caplog.text
    assert "SECRET" not in repr([request.headers for request in server.history])


@pytest.mark.parametrize(("key", "url"), [(None, None), ("", " "), (KEY, "127.0.0.1"), ("sk a", None)])
def test_invalid_settings_are_rejected_at_once(key, url):
    """A missing key, a broken key or a broken address is a configuration error."""
    with pytest.raises(ConfigError) as caught:
        ChatModel("m", api_key=key, base_url=url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://api.openai.com.example.com/v1", "max_tokens"),
        ("https://notapi.openai.com/v1", "max_tokens"),
        ("http://127.0.0.1:11434/v1", "max_tokens"),
    ],
)
def test_the_name_of_the_limit_depends_on_the_server(url, name):
    """OpenAI's newer models know one name, other servers the other."""
    assert ChatModel("m", api_key=KEY, base_url=url).dialect.limit_parameter == name


def test_the_module_loads_nothing_heavy():
    """The SDK and the tokenizer are imported at the first call."""
    heavy = {"openai", "tiktoken", "httpx2", "numpy", "tenacity"}
    code = f"import sys, paperagent.llm.chat; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
