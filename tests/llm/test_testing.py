"""The scripted server is public: what its users rely on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from paperagent.testing import CHAT, EMBEDDINGS, Reply, ScriptedServer, error_reply


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


def post(server: ScriptedServer, path: str = "/chat/completions", key: str = "sk-x", **body: Any) -> str:
    """Return what the server answers to ``body``."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    sent = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hm?"}], **body}).encode()
    request = urllib.request.Request(server.url + path, sent, headers)  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - likewise
        return reply.read().decode()


def status(server: ScriptedServer, **options: Any) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(server, **options)
    with caught.value as error:
        return error.code, json.load(error)["error"]["message"]


def test_an_answer_is_streamed_where_a_stream_is_asked_for(server):
    """The same object as events in small pieces, or as one JSON body."""
    server.enqueue_answer({"a": "ü"}, chunk=3)
    server.enqueue_answer({"a": "ü"}, chunk=3)
    plain = json.loads(post(server))
    assert plain["choices"][0]["message"]["content"] == '{"a": "ü"}'
    events = [line[6:] for line in post(server, stream=True).splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    pieces = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
    assert pieces == ["", '{"a', '": ', '"ü"', "}", ""]
    assert chunks[-1]["usage"]["total_tokens"] == plain["usage"]["total_tokens"] > 0


def test_replies_come_in_the_order_in_which_they_were_queued(server):
    """Whether or not they name a path; others wait for theirs."""
    server.enqueue(Reply("one"))
    server.enqueue(Reply("other path"), path=EMBEDDINGS)
    server.enqueue_answer("two")
    server.enqueue(Reply("three"), path=CHAT)
    assert [post(server), "two" in post(server), post(server)] == ["one", True, "three"]
    assert post(server, "/embeddings") == "other path"


def test_a_responder_plays_the_model(server):
    """It sees the request and answers with a text, an object or a whole reply."""
    server.responder = lambda request: request.messages[0]["content"].upper()
    assert "HM?" in post(server)
    server.responder = lambda _: error_reply(418, "teapot")
    assert status(server) == (418, "teapot")


def test_nothing_queued_is_said(server):
    """A forgotten answer is a clear error, not a hang."""
    code, message = status(server)
    assert code == 400
    assert "nothing is enqueued" in message


def test_the_history_holds_parsed_requests_without_keys(server):
    """Messages, wanted form and headers; the key is masked."""
    server.enqueue_answer("x")
    post(server, key="sk-secret", response_format={"type": "json_schema"})
    (request,) = server.history
    assert request.messages == [{"role": "user", "content": "Hm?"}]
    assert request.response_format == {"type": "json_schema"}
    assert request.headers["authorization"] == "***"
    assert not request.streams
    assert "secret" not in repr(server.history)


def test_a_key_can_be_demanded():
    """Any other is refused as OpenAI does, and uses up no answer."""
    with ScriptedServer(api_key="sk-right") as server:
        server.enqueue_answer("welcome")
        assert status(server, key="sk-wrong")[0] == 401
        assert "welcome" in post(server, key="sk-right")


def test_other_paths_are_not_found(server):
    """A new endpoint is an entry of ``handlers``."""
    assert status(server, path="/responses")[0] == 404
    server.handlers["POST", "/v1/responses"] = lambda _: Reply("here")
    assert post(server, "/responses") == "here"
