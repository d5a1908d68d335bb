"""What a model's server can do wrong, each fault played over real HTTP.

A test's number is its row in the table of faults (``docs/``): ``test_22_…`` plays row 22. What a
row asks of the answer pipeline rather than of the client is listed in `IN_THE_PIPELINE`.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from paperagent.embedding.openai import OpenAIEmbedder
from paperagent.errors import ConfigError, EndpointError
from paperagent.llm import chat
from paperagent.llm import client as llm
from paperagent.llm.chat import ChatModel, ChatStream
from paperagent.llm.protocol import Completion
from paperagent.testing import (
    CHAT,
    EMBEDDINGS,
    MODELS,
    Reply,
    ScriptedServer,
    chat_chunk,
    error_reply,
    sse_reply,
    stream_reply,
)

ROWS = range(1, 49)
IN_THE_PIPELINE = {
    9: "claims checked before the connection broke are kept, the status is incomplete",
    10: "likewise, where the stream ends without a reason",
    18: "on kind=context the lowest-ranked papers are dropped, once",
    20: "likewise",
    33: "on finish_reason=length without text one larger limit is tried, within the money allowed",
    35: "complete claims of a cut answer are kept; one larger limit is tried",
    36: "finish_reason=refusal becomes the status refused",
    37: "likewise; a refusal is not kept in the cache",
    39: "fenced, prose-wrapped or broken JSON",
    40: "pointers at nothing",
    45: "an answer or digest item is written once though a call was repeated",
}
"""Row → what is left for the pipeline, whose own tests play it."""

KEY = "sk-test-SECRET-0123456789"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
ANSWER = '{"a": "It works, as Müller said."}'


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def waits() -> list[float]:
    """Give the list of seconds that the retry layer would have slept."""
    return []


@pytest.fixture
def model(server: ScriptedServer, waits: list[float]) -> Iterator[ChatModel]:
    made = ChatModel("test-model", api_key=KEY, base_url=server.url, sleep=waits.append)
    yield made
    made.close()


def stream(model: ChatModel, text: str = "Does it work?", limit: int = 100) -> ChatStream:
    messages = [{"role": "system", "content": "Answer."}, {"role": "user", "content": text}]
    return model.stream(messages, schema=SCHEMA, schema_name="answer", max_output_tokens=limit)


def ask(model: ChatModel, text: str = "Does it work?") -> Completion:
    """Return the completion of a call whose pieces are its text."""
    with stream(model, text) as pieces:
        assert "".join(pieces) == pieces.completion.text
    assert KEY not in repr(pieces.completion)
    return pieces.completion


def failure(model: ChatModel) -> EndpointError:
    """Return the error of a call, which must be one line that does not show the key."""
    with pytest.raises(EndpointError) as caught, stream(model) as pieces:
        list(pieces)
    for shown in (str(caught.value), repr(caught.value), repr(pieces.completion)):
        assert "SECRET" not in shown
    assert caught.value.__cause__ is None
    assert "; " in str(caught.value)
    assert str(caught.value).isprintable()
    return caught.value


def posts(server: ScriptedServer) -> int:
    return sum(request.path == CHAT for request in server.history)


def texts(*pieces: str, **options: Any) -> Reply:
    return stream_reply(*({"content": piece} for piece in pieces), **options)


def test_every_row_of_the_table_has_a_test_or_belongs_to_the_pipeline():
    """No fault of the table is forgotten."""
    played = {int(found[1]) for name in globals() if (found := re.match(r"test_(\d\d)_", name))}
    assert played | set(IN_THE_PIPELINE) == set(ROWS)


def test_01_an_unknown_host_is_named(waits, monkeypatch):
    """Two retries at most, then the host's name and what is wrong with it."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    model = ChatModel("m", api_key=KEY, base_url="http://nowhere.invalid/v1", sleep=waits.append)
    error = failure(model)
    assert (error.kind, len(waits)) == ("unreachable", 2)
    assert "http://nowhere.invalid/v1: no such host" in str(error)
    model.close()


def test_02_a_refused_connection_is_tried_three_times(waits):
    """The message asks whether the server is running at that address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    model = ChatModel("m", base_url=f"http://127.0.0.1:{port}/v1", sleep=waits.append)
    error = failure(model)
    assert (error.kind, len(waits)) == ("unreachable", 2)
    assert f"127.0.0.1:{port}" in str(error)
    assert "is the server running" in str(error)
    model.close()


def test_03_a_connection_that_never_opens_is_given_up(waits, monkeypatch):
    """The time to connect is bounded by its own limit, and tried again."""
    monkeypatch.setattr(llm, "CONNECT_SECONDS", 0.1)
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for caller in waiting:
        caller.setblocking(False)
        caller.connect_ex(full.getsockname())
    model = ChatModel("m", base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", sleep=waits.append)
    assert failure(model).kind == "unreachable"
    assert len(waits) == 2
    for caller in (model, full, *waiting):
        caller.close()


def test_04_a_server_without_tls_is_not_tried_again(server, waits):
    """An https address on this machine that answers in plain HTTP is a TLS error, and http is proposed."""
    model = ChatModel("m", base_url=server.url.replace("http:", "https:"), sleep=waits.append)
    error = failure(model)
    assert (error.kind, waits) == ("tls", [])
    assert f"the server speaks plain http; set OPENAI_BASE_URL={server.url}" in str(error)
    model.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_04_an_unknown_certificate_is_refused(server, waits, tmp_path):
    """Verification is never switched off: nothing is sent to a server that signed for itself."""
    files = [tmp_path / "key.pem", tmp_path / "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-keyout", str(files[0]), "-out", str(files[1]), "-subj", "/CN=127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
    server._http.handle_error = lambda *_: None
    model = ChatModel("m", base_url=server.url.replace("http:", "https:"), sleep=waits.append)
    assert failure(model).kind == "tls"
    assert (waits, server.history) == ([], [])
    model.close()


@pytest.mark.parametrize(
    ("scheme", "path"), [("http", "http://model.invalid/v1/chat/completions"), ("https", "model.invalid:443")]
)
def test_05_a_proxy_that_wants_a_login_is_a_configuration_error(server, waits, monkeypatch, scheme, path):
    """The setting to correct is the proxy's."""
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
    monkeypatch.setenv("HTTPS_PROXY", server.url.removesuffix("/v1"))
    server.enqueue(Reply(status=407), path=path)
    model = ChatModel("m", api_key=KEY, base_url=f"{scheme}://model.invalid/v1", sleep=waits.append)
    with pytest.raises(ConfigError, match="proxy") as caught, stream(model) as pieces:
        list(pieces)
    assert "HTTPS_PROXY" in str(caught.value)
    assert (len(server.history), waits) == (1, [])
    model.close()


def test_06_headers_that_never_come_end_with_the_total_time(server, waits):
    """The one limit is `PAPERAGENT_TIMEOUT`, which the message names; nothing is left for a retry."""
    model = ChatModel("m", base_url=server.url, timeout=0.4, sleep=waits.append)
    server.enqueue(Reply(delay=30))
    started = time.monotonic()
    error = failure(model)
    assert (error.kind, posts(server), waits) == ("timeout", 1, [])
    assert "raise PAPERAGENT_TIMEOUT" in str(error)
    assert time.monotonic() - started < 8
    model.close()


def test_06_no_other_limit_ends_the_wait():
    """Raising the timeout helps whatever the server is silent for; only connecting has a limit of its own."""
    model = ChatModel("m", base_url="http://127.0.0.1:9/v1", timeout=900)
    patience = model.endpoint.call(lambda client: client.timeout, model="m")
    assert (round(patience.read), patience.connect) == (900, 5)
    model.close()


@pytest.mark.parametrize("silence", ["before the headers", "before the first byte", "in the middle"])
def test_06_a_silent_server_may_take_all_of_the_time(server, waits, silence):
    """No hidden limit ends the wait for a model that reads a long prompt, or reasons."""
    model = ChatModel("m", base_url=server.url, timeout=9, sleep=waits.append)
    whole = stream_reply({"content": ANSWER[:5]}, {"content": ANSWER[5:]})
    if silence == "before the headers":
        server.enqueue(replace(whole, delay=0.6))
    elif silence == "before the first byte":
        server.enqueue(replace(whole, pieces=[b"".join(whole.pieces)], pause=0.6))
    else:
        server.enqueue(replace(whole, pieces=[whole.pieces[0], b"".join(whole.pieces[1:])], pause=0.6))
    completion = ask(model)
    assert (completion.text, completion.complete, posts(server), waits) == (ANSWER, True, 1, [])
    model.close()


@pytest.mark.parametrize("pieces", [[b" "] * 400, [b"data: "] * 400])
def test_07_a_slow_drip_before_the_answer_meets_the_deadline(server, pieces):
    """A body that trickles, never idle, ends at the total deadline."""
    model = ChatModel("m", base_url=server.url, timeout=0.4)
    server.enqueue(Reply(pieces=pieces, pause=0.03))
    started = time.monotonic()
    assert failure(model).kind in ("deadline", "timeout")  # whichever limit is noticed first
    assert time.monotonic() - started < 8
    model.close()


def test_07_text_that_arrives_before_the_deadline_is_returned(server):
    """The completion is marked as incomplete."""
    model = ChatModel("m", base_url=server.url, timeout=1.5)
    server.enqueue_answer("{" + "slow and long " * 100, chunk=5, pause=0.03)
    completion = ask(model)
    assert completion.text.startswith("{slow")
    assert (completion.complete, completion.finish_reason) == (False, None)
    assert any(reason in completion.notes[0] for reason in ("reply too slow", "no reply in time"))
    model.close()


def test_08_a_reset_before_any_byte_is_tried_again(model, server, waits):
    """Nothing was shown, so nothing is lost: two resets, then the answer."""
    server.enqueue(Reply(reset="start"), Reply(reset="start"))
    server.enqueue_answer(ANSWER)
    assert ask(model).text == ANSWER
    assert (posts(server), len(waits)) == (3, 2)


def test_08_a_reset_before_any_text_is_tried_again(model, server, waits):
    """Events without text do not count as an answer that has begun."""
    server.enqueue(
        Reply(pieces=sse_reply(chat_chunk({"role": "assistant"}), b": wait\n\n").pieces, reset="body")
    )
    server.enqueue_answer(ANSWER)
    assert ask(model).text == ANSWER
    assert len(waits) == 1


def test_09_a_reset_in_the_stream_ends_the_answer(model, server, waits):
    """After the first text nothing is asked again: the part stays, and is marked."""
    whole = texts('{"a": "first', " half", " second half")
    server.enqueue(
        Reply(pieces=[*whole.pieces[:2], b"data: " + b"x" * 50], reset="body", headers=whole.headers)
    )
    completion = ask(model)
    assert completion.text.startswith('{"a": "fi')
    assert (completion.complete, completion.finish_reason) == (False, None)
    assert "cut off" in completion.notes[0]
    assert completion.usage.estimated
    assert (posts(server), waits) == (1, [])


def test_10_a_stream_without_a_reason_to_finish_counts_as_cut(model, server):
    """A connection that ends early looks like an end: only the model's word makes an answer whole."""
    server.enqueue(texts(ANSWER[:-9], finish_reason=None))
    completion = ask(model)
    assert (completion.complete, completion.finish_reason) == (False, None)
    assert "without a finish reason" in completion.notes[0]


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": f"out of memory; key {KEY}", "type": "server_error"}},
        f'data: {{}}\n\nerror: {{"code": 500, "message": "out of memory {KEY}"}}\n\n'.encode(),
        b'event: error\ndata: {"message": "out of memory"}\n\n',
    ],
)
def test_11_an_error_in_the_stream_is_raised_and_the_part_kept(model, server, event):
    """The server's own words are shown, redacted; what came before stays in the completion."""
    server.enqueue(sse_reply(chat_chunk({"content": '{"a": "half'}), event))
    pieces = stream(model)
    with pytest.raises(EndpointError, match="out of memory") as caught, pieces:
        list(pieces)
    assert "SECRET" not in str(caught.value)
    assert caught.value.kind == "server"
    assert (pieces.completion.text, pieces.completion.complete) == ('{"a": "half', False)
    assert posts(server) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_12_events_may_be_cut_anywhere(model, server, size, end):
    """Split lines, split characters and any end of line give the same text."""
    chunks = [chat_chunk({"content": piece}) for piece in ('{"a": "Mül', "ler 中文", ' 🙂"}')]
    whole = sse_reply(b": hello\n\n", *chunks, chat_chunk({}, finish_reason="stop"), "[DONE]")
    body = b"".join(whole.pieces).replace(b"\n", end.encode())
    cut = [body[i : i + size] for i in range(0, len(body), size)]
    server.enqueue(Reply(pieces=cut, headers=whole.headers))
    completion = ask(model)
    assert (completion.text, completion.complete) == ('{"a": "Müller 中文 🙂"}', True)


def test_12_an_unreadable_event_ends_the_answer(model, server):
    """It may have held a "not": what follows is not joined to what came before."""
    rest = [chat_chunk({"content": " help"}), chat_chunk({}, finish_reason="stop"), "[DONE]"]
    server.enqueue(
        sse_reply(chat_chunk({"content": '{"a": "It does'}), b'data: {"choices": [{"del\n\n', *rest)
    )
    completion = ask(model)
    assert (completion.text, completion.complete) == ('{"a": "It does', False)
    assert "cannot be read" in completion.notes[0]


def test_13_comments_do_not_put_off_the_deadline(server):
    """A server that only says that it is alive is left when the time is over."""
    model = ChatModel("m", base_url=server.url, timeout=1.5)
    server.enqueue(sse_reply(*[b": keep-alive\n\n"] * 400, pause=0.03))
    assert failure(model).kind == "deadline"
    model.close()


def test_13_the_deadline_does_not_wait_for_the_next_comment(server):
    """A connection that falls silent is cut at the deadline, not one idle limit later."""
    model = ChatModel("m", base_url=server.url, timeout=2)
    started = time.monotonic()
    comments = sse_reply(b": 1\n\n", b": 2\n\n", b": 3\n\n", pause=1.5)
    server.enqueue(comments)
    assert failure(model).kind == "deadline"
    assert time.monotonic() - started < 2.9
    model.close()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error_reply(401, f"Incorrect API key provided: {KEY}. See sk-tes*****6789"), "auth"),
        (Reply(f"Bearer {KEY} is wrong", 401), "auth"),
    ],
)
def test_14_a_wrong_key_is_not_tried_again_nor_shown(model, server, waits, reply, kind):
    """The setting to check is named; the key is not, in whatever form the server repeats it."""
    server.enqueue(reply)
    error = failure(model)
    assert (error.kind, error.status, posts(server), waits) == (kind, 401, 1, [])
    assert "OPENAI_API_KEY" in str(error)


def test_15_a_forbidden_region_is_not_tried_again(model, server):
    """The server's words are passed on."""
    server.enqueue(error_reply(403, "Country, region, or territory not supported"))
    error = failure(model)
    assert (error.kind, posts(server)) == ("forbidden", 1)
    assert "territory not supported" in str(error)


def test_16_an_unknown_model_lists_those_of_the_server(model, server):
    """A 404 names the model and what the server offers."""
    server.enqueue(error_reply(404, "The model does not exist"))
    error = failure(model)
    assert error.kind == "not_found"
    assert "model 'test-model' not found; this server offers: test-model" in str(error)


@pytest.mark.parametrize(
    "models",
    [
        Reply("[" * 200_000),
        Reply(b"\xff\xfe\x00"),
        Reply({"data": 3}),
        Reply({"data": [{"id": {"deep": [1]}}, {"id": None}, 7]}),
        Reply({"data": [{"id": "x" * 3_000_000}]}),
        Reply({"error": "models are broken"}, status=500),
        Reply("<html>", headers={"Content-Type": "text/html"}),
        Reply(status=307, headers={"Location": "http://192.0.2.1/"}),
        Reply({"data": []}, reset="body"),
        Reply(reset="start"),
        Reply(pieces=[b"["] * 600, pause=0.05),
        Reply({"data": []}, delay=30.0),
    ],
)
def test_16_a_hostile_list_of_models_never_hides_the_error(model, server, models, monkeypatch):
    """Whatever the list is, the 404 is reported, within the time for a hint."""
    monkeypatch.setattr(llm, "HINT_SECONDS", 1.0)
    server.enqueue(error_reply(404, "The model does not exist"))
    server.enqueue(models, path=MODELS)
    started = time.monotonic()
    error = failure(model)
    assert time.monotonic() - started < 4.0
    assert (error.kind, error.status) == ("not_found", 404)
    assert "The model does not exist" in str(error)


def test_16_names_of_models_are_one_short_line_without_the_key(model, server):
    """Also where the server puts the key, control characters or a page of text into a name."""
    names = [KEY, KEY[::-1], "a\x1b[31m\nb", "x" * 500, "good-model"]
    server.enqueue(error_reply(404, "The model does not exist"))
    server.enqueue(Reply({"data": [{"id": name} for name in names]}), path=MODELS)
    message = str(failure(model))
    assert "good-model" in message
    assert "TERCES" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("message", "code", "name"),
    [
        ("Unsupported value: 'temperature' does not support 0.0 with this model.", None, "temperature"),
        ("Unrecognized request argument supplied: seed", None, "seed"),
        ("Extra inputs are not permitted: stream_options", None, "stream_options"),
        ("Unrecognized request argument supplied: response_format", None, "response_format"),
        ("Your organization must be verified to stream: unsupported_value 'stream'", None, "stream"),
    ],
)
def test_17_an_unsupported_option_is_left_out_once_and_remembered(model, server, waits, message, code, name):
    """The next request and later calls go without it; the completion says so."""
    server.enqueue(error_reply(400, message, code=code))
    server.enqueue_answer(ANSWER)
    completion = ask(model)
    assert (completion.text, completion.complete) == (ANSWER, True)
    assert name in completion.notes[0]
    sent = [request.json() for request in server.history]
    assert set(sent[0]) - set(sent[1]) == {name} | ({"stream_options"} if name == "stream" else set())
    server.enqueue_answer(ANSWER)
    assert ask(model).notes == ()
    assert name not in server.history[2].json()
    assert waits == []


EXTRA = {"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [EXTRA]},
        {"detail": [{**EXTRA, "msg": "Input should be null", "input": {"messages": [KEY]}}]},
        {"object": "error", "message": {"detail": [EXTRA]}, "type": "invalid_request_error"},
        {"object": "error", "message": "seed: Extra inputs are not permitted", "code": 422},
        {"error": {"message": "Unsupported parameter", "param": "seed"}},
        {"error": "Failed to deserialize the JSON body: unknown field `seed`"},
        [{"error": {"code": 400, "message": 'Unknown name "seed": Cannot find field.', "status": "INVALID"}}],
        {"message": "property 'seed' is unsupported"},
        {"detail": "seed isn't supported by this model"},
        {"errors": [{"code": 5, "message": "unexpected key: seed"}]},
        "unknown field: seed",
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_17_an_option_may_be_refused_in_any_form(model, server, body, status, caplog):
    """It costs one call in this process, for all models of that name at that address, and is logged once."""
    caplog.set_level("INFO", logger="paperagent")
    server.enqueue(Reply(body, status))
    server.enqueue_answer(ANSWER)
    assert "sent without it" in ask(model).notes[0]
    other = ChatModel("test-model", api_key=KEY, base_url=server.url)
    server.enqueue_answer(ANSWER)
    assert ask(other).notes == ()
    other.close()
    assert ["seed" in request.json() for request in server.history] == [True, False, False]
    assert sum("'seed'" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    "message",
    [
        "This response_format type is unavailable now",
        "failed to parse grammar",
        "'json_schema' is not supported by this backend",
        "response_format: unknown variant `json_schema`, expected `text` or `json_object`",
    ],
)
def test_17_a_schema_gives_way_to_any_object_and_then_to_none(model, server, message):
    """The prompt asks for the object too, so a server that knows no format still answers."""
    server.enqueue(
        error_reply(400, message), error_reply(400, "response_format json_object is not supported")
    )
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    kinds = [(request.response_format or {}).get("type") for request in server.history]
    assert kinds == ["json_schema", "json_object", None]
    server.enqueue_answer(ANSWER)
    assert ask(model).notes == ()
    assert server.history[3].response_format is None


def test_17_the_output_limit_changes_its_name(model, server):
    """Reasoning models know only the newer name; the answer stays bounded."""
    message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    server.enqueue(error_reply(400, message))
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    assert "max_tokens" not in server.history[1].json()
    assert server.history[1].json()["max_completion_tokens"] == 100


def test_17_a_server_that_goes_on_complaining_is_left(model, server):
    """Each option is left out at most once in a call."""
    server.enqueue(*[error_reply(400, "unknown field: seed")] * 5)
    error = failure(model)
    assert (error.kind, posts(server)) == ("rejected", 2)


def test_17_a_plain_400_is_not_tried_again(model, server):
    """A refusal that names no option is reported as it is."""
    server.enqueue(error_reply(400, "\x1b[31mbad\x07 request"))
    assert (failure(model).kind, posts(server)) == ("rejected", 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            [{"error": {"code": 400, "message": "Bad\x1b[31m thing", "status": "FAILED"}}],
            "Bad\\x1b[31m thing",
        ),
        ({"error": "Bad thing"}, "Bad thing"),
        ({"error": ["Bad thing"]}, "Bad thing"),
        ({"detail": "Bad thing"}, "Bad thing"),
        ({"detail": [{"loc": ["body", "model"], "msg": "Bad thing"}]}, "model: Bad thing"),
        ({"message": "Bad thing"}, "Bad thing"),
        ({"object": "error", "message": "Bad thing"}, "Bad thing"),
        ({"errors": [{"message": "Bad thing"}, {"message": "Worse"}]}, "Bad thing; Worse"),
        (
            {"error": {"message": "Provider error", "metadata": {"raw": "Bad thing"}}},
            "Provider error: Bad thing",
        ),
        (f"Bad thing with {KEY}", "Bad thing with ***"),
        ("Bad thing " * 100, "Bad thing Bad thing"),
        ([], "the server gave no reason"),
        ({"error": {}}, "the server gave no reason"),
    ],
)
def test_17_an_error_is_shown_in_the_words_of_the_server(model, server, body, words):
    """Whatever form it has: one line, short, without the key and without control characters."""
    server.enqueue(Reply(body, 400))
    error = str(failure(model))
    assert f"400: {words}" in error
    assert len(error) < 300


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error_reply(402, "Insufficient Balance"), "quota", "balance or credit is used up"),
        (error_reply(400, "Your credit balance is too low"), "quota", "balance or credit is used up"),
        (error_reply(403, "You have used all available credits"), "quota", "balance or credit is used up"),
        (error_reply(400, "No models loaded. Please load one."), "not_loaded", "load a model in the server"),
        (error_reply(404, "Model is not loaded"), "not_loaded", "load a model in the server"),
        (Reply({"error": "no model loaded"}, 503), "not_loaded", "load a model in the server"),
    ],
)
def test_23_what_only_the_user_can_cure_is_said_plainly(model, server, waits, reply, kind, words):
    """An empty balance and a server without a model are not tried again; the fix is named."""
    server.enqueue(reply)
    error = failure(model)
    assert (error.kind, posts(server), waits) == (kind, 1, [])
    assert words in str(error)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000.", None),
        ("too long", "context_length_exceeded"),
        ("the request exceeds the available context size. try increasing it", None),
        ("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
        ("'max_tokens' is too large: 500. This model's maximum context length is 4096 tokens", None),
    ],
)
def test_18_a_prompt_beyond_the_context_has_its_own_kind(model, server, message, code):
    """The pipeline can tell it from other refusals and send less."""
    server.enqueue(error_reply(400, message, code=code))
    error = failure(model)
    assert (error.kind, error.status, posts(server)) == ("context", 400, 1)


def test_19_a_prompt_that_the_server_cut_is_noticed(model, server):
    """Fewer tokens than any text of that length has: the answer stands, with a warning."""
    prompt = "A sentence of some length about transformers and their training. " * 100
    server.enqueue_answer(ANSWER, usage={"prompt_tokens": 256, "completion_tokens": 9})
    completion = ask(model, prompt)
    assert completion.complete
    assert "only 256 input tokens" in completion.notes[0]
    server.enqueue_answer(ANSWER, usage={"prompt_tokens": 1200, "completion_tokens": 9})
    assert ask(model, prompt).notes == ()


def test_20_a_request_that_is_too_large_has_the_same_kind(model, server):
    """413 is handled like a prompt beyond the context."""
    server.enqueue(error_reply(413, "Payload too large"))
    error = failure(model)
    assert (error.kind, error.status, posts(server)) == ("context", 413, 1)


def test_21_an_unprocessable_request_is_not_tried_again(model, server):
    """422 that names no option is reported at once, in the server's words without the request."""
    wrong = {"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user'", "input": KEY}
    server.enqueue(Reply({"detail": [wrong]}, 422))
    error = failure(model)
    assert (error.kind, error.status, posts(server)) == ("rejected", 422, 1)
    assert "422: messages.0.role: Input should be 'user'; check" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "DATE"}, pytest.approx(28, abs=3)),
    ],
)
def test_22_the_wait_that_the_server_asks_for_is_kept(model, server, waits, headers, seconds):
    """Seconds, milliseconds or a date."""
    date = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
    server.enqueue(error_reply(429, "slow down", **{k: v.replace("DATE", date) for k, v in headers.items()}))
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    assert waits == [seconds]


def test_23_an_empty_account_is_not_tried_again(model, server, waits):
    """insufficient_quota does not pass by waiting."""
    server.enqueue(error_reply(429, "You exceeded your current quota", code="insufficient_quota"))
    error = failure(model)
    assert (error.kind, posts(server), waits) == ("quota", 1, [])
    assert "billing" in str(error)


def test_24_a_limit_without_a_wait_is_met_with_a_second_and_jitter(model, server, waits):
    """One to two seconds, then two to four."""
    server.enqueue(error_reply(429, "slow down"), error_reply(429, "slow down"))
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4


@pytest.mark.parametrize("value", ["86400", "-1", "nan", "inf", "soon"])
def test_25_an_absurd_wait_fails_at_once(model, server, waits, value):
    """The error says what the server asked for."""
    server.enqueue(error_reply(429, "slow down", retry_after=value))
    error = failure(model)
    assert (error.kind, posts(server), waits) == ("rate_limit", 1, [])
    assert "asks to wait" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_26_trouble_of_the_server_is_tried_three_times(model, server, status):
    """Twice is forgiven, three times is reported in the server's words."""
    server.enqueue(*[error_reply(status, "busy")] * 2)
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    server.enqueue(*[error_reply(status, "still busy")] * 4)
    error = failure(model)
    assert (error.kind, error.status, posts(server)) == ("server", status, 6)
    assert "still busy" in str(error)


def test_27_a_redirect_to_another_server_is_refused(model, server):
    """Neither the key nor the question reaches another origin, and the message names it."""
    with ScriptedServer() as other:
        server.enqueue(Reply(status=307, headers={"Location": f"{other.url}/chat/completions"}))
        error = failure(model)
        assert f"redirects to {other.url.removesuffix('/v1')}, which is refused" in str(error)
        assert "set OPENAI_BASE_URL" in str(error)
        assert (error.kind, posts(server), other.history) == ("rejected", 1, [])


@pytest.mark.parametrize(
    "location",
    ["//other.example/v1", "ftp://127.0.0.1/", "http://[::1", "https://127.0.0.1/v1", "http://127.0.0.1/v1",
     "http://localhost/v1", "http://127.0.0.1:99999/", "http://user:pw@host.example/"],
)  # fmt: skip
def test_27_other_origins_and_invalid_addresses_are_refused(model, server, location):
    """Another scheme, name or port is another origin, and so is an address that cannot be read."""
    server.enqueue(*[Reply(status=302, headers={"Location": location})] * 30)
    assert failure(model).kind in ("rejected", "unreachable", "invalid_reply")


def test_27_a_redirect_on_the_same_server_is_followed(model, server):
    """Such as one that adds a slash; the key goes along."""
    server.enqueue(Reply(status=307, headers={"Location": f"{server.url}/chat/completions"}))
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    assert "authorization" in server.history[1].headers


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/event-stream"])
def test_28_a_web_page_is_no_endpoint(model, server, kind):
    """The message points at the address; nothing is tried again."""
    server.enqueue(Reply("<!doctype html><title>Welcome</title>", headers={"Content-Type": kind}))
    assert "not an OpenAI-compatible endpoint" in str(failure(model))
    assert posts(server) == 1


@pytest.mark.parametrize("body", ['{"choices": [{"mess', "", "[" * 100_000, "data: {\n\n"])
def test_29_broken_json_is_asked_for_once_more(model, server, body):
    """Cut, empty or absurdly nested: one retry, then an error."""
    server.enqueue(Reply(body))
    server.enqueue_answer(ANSWER)
    assert ask(model).complete
    server.enqueue(*[Reply(body)] * 3)
    assert failure(model).kind == "invalid_reply"
    assert posts(server) == 4


@pytest.mark.parametrize(
    "failed",
    [
        {"error": {"message": f"model crashed with {KEY}"}},
        {"error": "model crashed"},
        {"error": {"code": 500, "message": "model crashed"}},
        [{"error": {"code": 500, "message": "model crashed", "status": "INTERNAL"}}],
        {"object": "error", "message": "model crashed", "code": 500},
        {"detail": "model crashed"},
    ],
)
def test_30_an_error_with_a_good_status_is_an_error(model, server, failed):
    """200 with an error body is not an answer."""
    server.enqueue(Reply(failed))
    error = failure(model)
    assert (error.kind, posts(server)) == ("server", 1)
    assert "model crashed" in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"choices": None}),
        Reply({"choices": []}),
        Reply({}),
        Reply({"choices": 3}),
        Reply({"choices": ["text"]}),
        Reply({"choices": [{"message": {"content": 3}}]}),
        Reply([]),
        sse_reply({"choices": []}, "[DONE]"),
        sse_reply("[DONE]"),
        sse_reply(b": nothing\n\n"),
    ],
)
def test_31_a_reply_without_choices_is_a_typed_error(model, server, reply):
    """Nothing is made of it, and nothing is tried again."""
    server.enqueue(reply)
    assert failure(model).kind == "invalid_reply"
    assert posts(server) == 1


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_29_a_byte_order_mark_is_read(model, server, encoding):
    """In replies, errors and web pages; servers written for Windows begin with one."""
    plain = json.dumps({"choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}]})
    server.enqueue(Reply(plain.encode(encoding), headers={"Content-Type": "application/json"}))
    assert ask(model).text == ANSWER
    refusal = json.dumps({"error": {"message": "model is asleep", "code": "busy"}})
    server.enqueue(Reply(refusal.encode(encoding), status=403))
    assert "403: model is asleep" in str(failure(model))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_29_a_byte_order_mark_before_a_stream_is_read(model, server, size):
    """However the stream is cut."""
    events = BOM + b"".join(
        f"data: {json.dumps(chunk)}\n\n".encode()
        for chunk in (chat_chunk({"content": ANSWER}), chat_chunk({}, finish_reason="stop"))
    )
    pieces = [events[i : i + size] for i in range(0, len(events), size)]
    server.enqueue(Reply(pieces=pieces, headers={"Content-Type": "text/event-stream"}))
    assert ask(model).text == ANSWER
    page = BOM + b"<!doctype html><title>Welcome</title>"
    server.enqueue(Reply(pieces=[page[i : i + size] for i in range(0, len(page), size)]))
    assert "not an OpenAI-compatible endpoint" in str(failure(model))


@pytest.mark.parametrize("content", [None, "", [], " \n"])
def test_32_an_empty_answer_is_asked_for_once_more(model, server, content):
    """Then it is an empty completion, and both calls are counted."""
    usage = {"prompt_tokens": 40, "completion_tokens": 1}
    empty = stream_reply({"role": "assistant", "content": content}, usage=usage)
    server.enqueue(empty)
    server.enqueue_answer(ANSWER, usage=usage)
    completion = ask(model)
    assert (completion.text, completion.usage.calls, completion.usage.input_tokens) == (ANSWER, 2, 80)
    server.enqueue(empty, empty, empty)
    completion = ask(model)
    assert (completion.text.strip(), completion.complete, completion.usage.calls) == ("", True, 2)
    assert posts(server) == 4


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_33_reasoning_is_never_the_answer(model, server, field, finish):
    """An answer of reasoning alone is an empty one that was cut: a larger limit may help."""
    server.enqueue(stream_reply({field: "The user wants"}, {field: " the key."}, finish_reason=finish))
    completion = ask(model)
    assert (completion.text, completion.finish_reason, completion.complete) == ("", "length", False)
    assert "only reasoning" in completion.notes[0]
    assert posts(server) == 1


def test_33_hidden_reasoning_counts_too(model, server):
    """A server that keeps the reasoning to itself tells of it in the usage."""
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 100,
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    server.enqueue(stream_reply({"content": ""}, usage=usage))
    completion = ask(model)
    assert (completion.finish_reason, completion.usage.output_tokens) == ("length", 100)


@pytest.mark.parametrize(
    "before",
    [
        '<think>It says {"a": 1}.</think>\n',
        "\n<THINK>\nHm.\n</THINK>\n",
        "Hm, so </think>",
        "<think></think>",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 500])
def test_34_thoughts_before_the_answer_are_left_out(model, server, before, size):
    """With or without their start tag, and however they are cut."""
    server.enqueue_answer(before + ANSWER, chunk=size)
    completion = ask(model)
    assert (completion.text, completion.complete) == (ANSWER, True)


def test_34_tags_inside_the_answer_are_text(model, server):
    """Only what stands before the answer is taken for thoughts."""
    text = '{"a": "They use <think> and </think> tags."}'
    server.enqueue_answer(text)
    assert ask(model).text == text


def test_34_thoughts_without_an_end_are_no_answer(model, server):
    """An answer cut while the model still thought is empty."""
    server.enqueue_answer("<think>Well, " + "and then, so, " * 9, finish_reason="length")
    completion = ask(model)
    assert (completion.text, completion.finish_reason) == ("", "length")


def test_35_an_answer_cut_by_its_limit_is_not_complete(model, server):
    """finish_reason=length is passed on; nothing is asked again after text was shown."""
    server.enqueue_answer(ANSWER[:20], finish_reason="length")
    completion = ask(model)
    assert (completion.text, completion.finish_reason, completion.complete) == (ANSWER[:20], "length", False)
    assert posts(server) == 1


@pytest.mark.parametrize("text", ["", '{"a": "half'])
def test_36_a_filtered_answer_is_a_refusal(model, server, text):
    """The filter's word ends the call; it is not asked again."""
    server.enqueue(texts(text, finish_reason="content_filter"))
    completion = ask(model)
    assert (completion.finish_reason, completion.complete, posts(server)) == ("refusal", False, 1)
    assert "filtered" in completion.notes[0]


def test_36_a_filtered_prompt_is_a_refusal(model, server):
    """Some servers say so with a 400."""
    server.enqueue(error_reply(400, "The response was filtered", code="content_filter"))
    completion = ask(model)
    assert (completion.text, completion.finish_reason, posts(server)) == ("", "refusal", 1)


def test_37_a_refusal_is_passed_on(model, server):
    """The model's reason is a note, never the answer."""
    server.enqueue(stream_reply({"refusal": "I cannot"}, {"refusal": " help with that."}))
    completion = ask(model)
    assert (completion.text, completion.finish_reason, completion.complete) == ("", "refusal", False)
    assert completion.notes == ("the model refused: I cannot help with that.",)
    assert posts(server) == 1


def test_38_tool_calls_are_ignored(model, server):
    """No tool was offered: the text stands, the call is noted and never carried out."""
    call = {"tool_calls": [{"index": 0, "function": {"name": "shell", "arguments": '{"cmd": "rm"}'}}]}
    server.enqueue(stream_reply(call, {"content": ANSWER}), stream_reply(call, finish_reason="tool_calls"))
    completion = ask(model)
    assert (completion.text, completion.complete) == (ANSWER, True)
    assert "ignored an unrequested tool call" in completion.notes[0]
    completion = ask(model)
    assert (completion.text, completion.finish_reason, completion.complete) == ("", "tool_calls", False)


@pytest.mark.parametrize("unit", [" ", "\n", '{"text": "The same claim again.", "evidence": ["1.1"]}, '])
def test_41_a_model_that_repeats_itself_is_stopped(model, server, unit):
    """The connection is closed long before the output limit."""
    server.enqueue_answer('{"claims": [' + unit * (40_000 // len(unit)), chunk=50)
    completion = ask(model)
    assert (completion.finish_reason, completion.complete) == ("repetition", False)
    assert len(completion.text) < 3000
    assert "repeated itself" in completion.notes[0]


def test_42_a_huge_body_is_not_read_to_its_end(model, server, monkeypatch):
    """A limit of bytes holds before the first text and after it."""
    monkeypatch.setattr(chat, "MAX_ANSWER_BYTES", 20_000)
    server.enqueue(Reply(pieces=[b"{" + b" " * 5000] * 1000))
    assert failure(model).kind == "too_long"
    server.enqueue(sse_reply(chat_chunk({"content": '{"a": "'}), *[b": x\n" * 2000] * 1000, pause=0.01))
    completion = ask(model)
    assert (completion.text, completion.complete) == ('{"a": "', False)
    assert "too large" in completion.notes[0]


@pytest.mark.parametrize(
    ("asked", "answered", "other"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", False),
        ("gpt-4", "gpt-4-0613", False),
        ("llama3.2", "llama3.2:latest", False),
        ("tiny", "/models/tiny.gguf", False),
        ("gpt-4o", "gpt-4o-mini", True),
        ("gpt-4o", f"other-{KEY}\x1b[31m", True),
    ],
)
def test_43_another_model_is_recorded_and_warned_of(server, asked, answered, other):
    """A dated or tagged name is the same model; anything else is said."""
    model = ChatModel(asked, api_key=KEY, base_url=server.url)
    server.enqueue(texts(ANSWER, model=answered))
    completion = ask(model)
    assert bool(completion.notes) is other
    assert completion.model.isprintable()
    if other:
        assert "another model answered" in completion.notes[0]
    else:
        assert completion.model == answered
    model.close()


def test_44_missing_usage_is_estimated(model, server):
    """Our own count is used, and labelled as an estimate."""
    server.enqueue_answer(ANSWER, usage={})
    used = ask(model).usage
    assert (used.calls, used.estimated) == (1, True)
    assert used.input_tokens > 20
    assert len(ANSWER) / 4 < used.output_tokens < len(ANSWER)
    server.enqueue_answer(ANSWER, usage={"prompt_tokens": 11, "completion_tokens": 7})
    used = ask(model).usage
    assert (used.input_tokens, used.output_tokens, used.estimated) == (11, 7, False)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0]],
        [[1, 0], [0, 1], [1, 1]],
        [[1, 0], [0, 1, 0]],
        [[1, 0], [float("nan"), 1]],
    ],
)
def test_46_unusable_embeddings_refuse_the_whole_batch(server, rows):
    """Wrong count, dimension or values: nothing of the batch is used; order is by index."""
    server.enqueue(
        Reply({"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]}), path=EMBEDDINGS
    )
    embedder = OpenAIEmbedder("m", base_url=server.url)
    with pytest.raises(EndpointError) as caught:
        list(embedder.embed(["a", "b"]))
    assert caught.value.kind == "invalid_reply"
    embedder.close()


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_47_a_jump_of_the_clock_changes_nothing(server, waits, monkeypatch, jump):
    """Deadlines are kept on the monotonic clock."""
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + jump * next(clock))
    model = ChatModel("m", base_url=server.url, timeout=5, sleep=waits.append)
    server.enqueue(error_reply(503, "busy"))
    server.enqueue_answer(ANSWER, pause=0.001)
    assert ask(model).complete
    assert len(waits) == 1
    model.close()


def interrupted_after(_piece: str) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["break", "interrupt", "close"])
def test_48_leaving_early_closes_the_connection(model, server, how):
    """The server notices at once; what came is in the completion, not complete."""
    server.enqueue_answer('{"a": "' + "word " * 2000, chunk=5, pause=0.005)
    pieces = stream(model)
    if how == "interrupt":
        with pytest.raises(KeyboardInterrupt), pieces:
            interrupted_after(next(pieces))
    else:
        with pieces:
            next(pieces)
            if how == "close":
                pieces.close()
    deadline = time.monotonic() + 30
    while not server.hung_up and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.hung_up == 1
    assert (pieces.completion.complete, pieces.completion.usage.estimated) == (False, True)
    assert pieces.completion.text
    assert list(pieces) == []


def test_48_an_interrupt_while_waiting_closes_the_connection(model, server):
    """Ctrl-C before the first text leaves nothing open."""
    server.enqueue(sse_reply(*[b": wait\n\n"] * 500, pause=0.005))

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    pieces = stream(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat, "parse_chunks", interrupted)
        with pytest.raises(KeyboardInterrupt), pieces:
            next(pieces)
    deadline = time.monotonic() + 30
    while not server.hung_up and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.hung_up == 1
