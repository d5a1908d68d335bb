"""OpenAI-compatible embeddings against a scripted server over real HTTP."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from paperagent import http_limits
from paperagent.embedding import openai as openai_embed
from paperagent.embedding.openai import OpenAIEmbedder
from paperagent.errors import ConfigError, EndpointError
from paperagent.llm import client, server_errors
from paperagent.testing import EMBEDDINGS, MODELS, Reply, ScriptedServer, error_reply, fake_vector

KEY = "sk-test-SECRET-0123456789"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def waits() -> list[float]:
    """Give the list of seconds that the retry layer would have slept."""
    return []


@pytest.fixture
def embedder(server: ScriptedServer, waits: list[float]) -> Iterator[OpenAIEmbedder]:
    made = OpenAIEmbedder("test-model", api_key=KEY, base_url=server.url, sleep=waits.append)
    yield made
    made.close()


def rows(*vectors: list[float]) -> Reply:
    return Reply({"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]})


def posts(server: ScriptedServer) -> int:
    return sum(request.path == EMBEDDINGS for request in server.history)


def failure(embedder: OpenAIEmbedder, texts: tuple[str, ...] = ("a",)) -> EndpointError:
    """Return the error of embedding ``texts``, which must not show the key."""
    with pytest.raises(EndpointError) as caught:
        list(embedder.embed(texts))
    for form in (KEY, base64.b64encode(KEY.encode()).decode().rstrip("="), "SECRET"):
        assert form not in str(caught.value)
        assert form not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert "; " in str(caught.value)
    return caught.value


def test_vectors_are_unit_rows_in_the_order_of_the_texts(embedder):
    """Each text gets its own vector, scaled to length one, as float32."""
    texts = ["alpha", "beta", "gamma"]
    vectors = list(embedder.embed(texts))
    for text, vector in zip(texts, vectors, strict=True):
        expected = np.array(fake_vector(text, 8))
        assert vector.dtype == np.float32
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_rows_are_sorted_by_their_index(embedder, server):
    """A server may answer in any order; the index says which text a row belongs to."""
    reply = {"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 0]}]}
    server.enqueue(Reply(reply))
    assert [v.tolist() for v in embedder.embed(["a", "b"])] == [[1, 0], [0, 1]]


def test_identity_and_dimension(embedder, server):
    """The id names the model; the dimension is asked for once and then known."""
    assert embedder.embedder_id == "openai:test-model"
    assert (embedder.dim, embedder.dim) == (8, 8)
    assert posts(server) == 1


def test_given_dimension_needs_no_request_and_is_enforced(server):
    """A dimension that was given is not asked for, and vectors of another one are refused."""
    embedder = OpenAIEmbedder("test-model", base_url=server.url, dim=4)
    assert embedder.dim == 4
    assert server.history == []
    assert "8 values instead of 4" in str(failure(embedder))
    embedder.close()


def test_no_texts_make_no_request(embedder, server):
    """An empty list of texts costs nothing."""
    assert list(embedder.embed([])) == []
    assert server.history == []


def test_batches_stay_below_the_limits(embedder, server, monkeypatch):
    """Inputs are split by count and by a bound on their tokens, in order and without loss."""
    monkeypatch.setattr(openai_embed, "MAX_REQUEST_TOKENS", 1000)
    embedder._max_inputs = 5
    texts = [f"{i:03d} " + "x" * (i * 40 % 700) for i in range(37)]
    assert len(list(embedder.embed(texts))) == 37
    sent = [request.json()["input"] for request in server.history]
    assert [text for batch in sent for text in batch] == texts
    assert all(len(batch) <= 5 for batch in sent)
    assert all(sum(map(len, batch)) <= 1000 for batch in sent)


def test_texts_are_read_lazily(embedder, server):
    """The first vectors come before the last texts are read."""
    embedder._max_inputs = 2
    read = []
    vectors = embedder.embed(read.append(i) or f"text {i}" for i in range(100))
    next(vectors)
    assert len(read) <= 3
    vectors.close()


@pytest.mark.parametrize(
    ("text", "sent"),
    [("", "-"), (" \n\t", "-"), ("a\ud800b", "a\ufffdb"), ("\x00", "\x00"), ("x" * 10_000, "x" * 8191)],
)
def test_awkward_texts_are_made_sendable(embedder, server, text, sent):
    """Empty text, lone surrogates and overlong text reach the server as something it takes."""
    assert len(list(embedder.embed([text]))) == 1
    assert server.history[0].json()["input"] == [sent]


def test_long_text_is_cut_between_characters(embedder, server):
    """The limit counts bytes, a bound on tokens in any script, and splits no character."""
    list(embedder.embed(["中" * 9000]))
    assert server.history[0].json()["input"] == ["中" * 2730]


def test_floats_are_asked_for(embedder, server):
    """Not every server knows base64, so the request says float; the key goes in the header."""
    list(embedder.embed(["a"]))
    assert server.history[0].json()["encoding_format"] == "float"
    assert server.history[0].headers["authorization"] == "***"


def test_the_key_is_sent():
    """A server that wants this key, and no other, answers."""
    with ScriptedServer(api_key=KEY) as server:
        embedder = OpenAIEmbedder("test-model", api_key=KEY, base_url=server.url)
        assert len(list(embedder.embed(["a"]))) == 1
        embedder.close()
        stranger = OpenAIEmbedder("test-model", api_key="sk-other", base_url=server.url)
        assert failure(stranger).kind == "auth"
        stranger.close()


def test_server_without_a_key(server):
    """A server of one's own needs no key: a dummy is sent."""
    embedder = OpenAIEmbedder("m", base_url=server.url, api_key="")
    assert len(list(embedder.embed(["a"]))) == 1
    embedder.close()


@pytest.mark.parametrize("base_url", [None, "", "  "])
def test_missing_key_for_the_default_address(base_url):
    """OpenAI's own address needs a key; an empty address means that one."""
    with pytest.raises(ConfigError, match="OPENAI_API_KEY: not set"):
        OpenAIEmbedder("m", base_url=base_url, api_key=" ")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://x/v1", "http://", "http://[::1", "http://h:99999/v1"]
)
def test_unusable_address(url):
    """An address without scheme, host or valid port is a configuration error."""
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        OpenAIEmbedder("m", base_url=url, api_key=KEY)


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-ü", "sk a"])
def test_unusable_key(key):
    """A key that no header can carry is refused before it reaches a message of the HTTP library."""
    with pytest.raises(ConfigError) as caught:
        OpenAIEmbedder("m", base_url="http://127.0.0.1:1/v1", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error_reply(401, f"Incorrect API key provided: {KEY}. See sk-tes*****6789"), "auth"),
        (error_reply(403, "Country, region, or territory not supported"), "forbidden"),
        (error_reply(429, "You exceeded your quota", code="insufficient_quota"), "quota"),
        (error_reply(422, f"unprocessable, header was Bearer {KEY}"), "rejected"),
        (error_reply(400, "\x1b[31mbad\x07 input"), "rejected"),
        (Reply("<html>" + KEY, 404), "not_found"),
    ],
)
def test_refusals_are_not_repeated(embedder, server, waits, reply, kind):
    """A refusal that another attempt cannot cure is reported at once, redacted and on one line."""
    server.enqueue(reply)
    error = failure(embedder)
    assert (error.kind, error.status) == (kind, reply.status)
    assert posts(server) == 1
    assert waits == []
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "batch size is invalid, it should not be larger than 10.: input.contents"),
        (400, "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"),
        (400, "invalid request: total number of texts must be at most 96 - received 200"),
        (400, "Too many inputs. The max number of inputs is 16."),
        (400, "Too many inputs in request, split into more batches."),
        (413, "input batch size 64 > maximum allowed batch size 32"),
        (422, "batch size 64 > maximum allowed batch size 32"),
        (422, "List should have at most 8 items after validation"),
    ],
)
def test_a_batch_that_is_too_large_is_halved(embedder, server, status, message):
    """Until the server takes it; the size is remembered, and the vectors stay in order."""
    texts = [f"text {n}" for n in range(20)]

    def limited(request):
        if len(request.json()["input"]) > 6:
            return error_reply(status, message)
        return server._embeddings(request)

    server.handlers["POST", EMBEDDINGS] = limited
    vectors = np.array(list(embedder.embed(texts)))
    assert (vectors == openai_embed.normalize_rows([fake_vector(text, 8) for text in texts])).all()
    sizes = [len(request.json()["input"]) for request in server.history]
    assert sizes == [20, 10, 5, 5, 5, 5]
    list(embedder.embed(texts))
    assert [len(request.json()["input"]) for request in server.history[6:]] == [5, 5, 5, 5]


def test_unknown_model_lists_what_the_server_has(embedder, server):
    """A 404 names the model and those that the server offers."""
    server.enqueue(error_reply(404, "The model does not exist"))
    error = failure(embedder)
    assert "model 'test-model' not found; this server offers: test-model" in str(error)


@pytest.mark.parametrize("listing", [Reply(b"nonsense"), Reply({"data": None}), error_reply(500, "no")])
def test_unknown_model_without_a_list(embedder, server, listing):
    """A server that cannot list its models still gives a plain 404."""
    server.enqueue(error_reply(404, "The model does not exist"))
    server.enqueue(listing, path=MODELS)
    assert "check the model 'test-model'" in str(failure(embedder))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_passing_trouble_is_retried_with_a_pause(embedder, server, waits, status):
    """Overload and server errors are tried again after at least a second, then succeed."""
    server.enqueue(error_reply(status, "busy"), error_reply(status, "busy"))
    assert len(list(embedder.embed(["a"]))) == 1
    assert posts(server) == 3
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4


def test_lasting_trouble_ends_after_three_attempts(embedder, server, waits):
    """Three attempts, then the server's own words."""
    server.enqueue(*[error_reply(500, "still broken")] * 5)
    error = failure(embedder)
    assert (error.kind, error.status, posts(server), len(waits)) == ("server", 500, 3, 2)
    assert "still broken" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": "DATE"}, pytest.approx(28, abs=3)),
    ],
)
def test_retry_after_is_honored(embedder, server, waits, headers, seconds):
    """The server's own wait is used: seconds, milliseconds or a date."""
    date = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
    server.enqueue(error_reply(429, "slow down", **{k: v.replace("DATE", date) for k, v in headers.items()}))
    assert len(list(embedder.embed(["a"]))) == 1
    assert waits == [seconds]


@pytest.mark.parametrize("value", ["86400", "-1", "nan", "inf", "soon", "Mon, 99 Foo"])
def test_absurd_retry_after_fails_at_once(embedder, server, waits, value):
    """A wait that is not to be had ends the call and is named."""
    server.enqueue(error_reply(429, "slow down", retry_after=value))
    error = failure(embedder)
    assert error.kind == "rate_limit"
    assert "asks to wait" in str(error)
    assert (posts(server), waits) == (1, [])


def test_web_page_is_no_endpoint(embedder, server):
    """200 with HTML says that the address is wrong; it is not tried again."""
    server.enqueue(Reply("<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html"}))
    assert "not an OpenAI-compatible endpoint" in str(failure(embedder))
    assert posts(server) == 1


@pytest.mark.parametrize("body", ['{"data": [{"ind', "", "[" * 100_000])
def test_broken_json_is_asked_for_once_more(embedder, server, body):
    """Cut, empty or absurdly nested JSON gets one retry, then is an error."""
    server.enqueue(Reply(body))
    assert len(list(embedder.embed(["a"]))) == 1
    server.enqueue(Reply(body), Reply(body))
    assert failure(embedder).kind == "invalid_reply"
    assert posts(server) == 4


def test_error_in_a_good_status(embedder, server):
    """200 with an error body is an error."""
    server.enqueue(Reply({"error": {"message": f"model crashed with {KEY}"}}))
    assert "model crashed" in str(failure(embedder))


@pytest.mark.parametrize(
    "reply",
    [
        rows([1, 0]),
        rows([1, 0], [0, 1], [1, 1]),
        rows([1, 0], [0, 1, 0]),
        rows([1, 0], [float("nan"), 1]),
        rows([1, 0], [float("inf"), 1]),
        rows([1, 0], [1e308, 1e308]),
        rows([1, 0], [0, 0]),
        rows([1, 0], []),
        rows([], []),
        Reply({"data": [{"index": 0, "embedding": [1]}] * 2}),
        Reply({"data": [{"index": 1, "embedding": [1]}, {"index": 2, "embedding": [1]}]}),
        Reply({"data": [{"embedding": [1]}] * 2}),
        Reply({"data": [{"index": 0, "embedding": "AACAPw=="}, {"index": 1, "embedding": "AACAPw=="}]}),
        Reply({"data": None}),
        Reply({"data": 3}),
        Reply({}),
        Reply([]),
        Reply("null"),
    ],
)
def test_unusable_vectors_refuse_the_whole_batch(embedder, server, reply):
    """Wrong count, order, shape or values: nothing of the batch is used, nothing is repeated."""
    server.enqueue(reply)
    assert failure(embedder, ("a", "b")).kind == "invalid_reply"
    assert posts(server) == 1


def test_dimension_may_not_change_between_batches(embedder, server):
    """A second batch of another dimension is refused: the model behind the address changed."""
    assert len(list(embedder.embed(["a"]))) == 1
    server.enqueue(rows([1, 0]))
    assert "2 values instead of 8" in str(failure(embedder))


def test_vectors_before_a_failure_are_kept(embedder, server):
    """What was yielded before a batch failed stays with the caller."""
    embedder._max_inputs = 2
    server.enqueue(rows([1, 0], [0, 1]), error_reply(401, "key revoked"))
    vectors = embedder.embed(["a", "b", "c"])
    assert [next(vectors).tolist(), next(vectors).tolist()] == [[1, 0], [0, 1]]
    with pytest.raises(EndpointError, match="key revoked"):
        next(vectors)


@pytest.mark.parametrize(
    "refusal", [error_reply(413, "Payload too large"), error_reply(422, "batch size 8 > maximum 4")]
)
def test_too_large_batches_are_halved(embedder, server, refusal):
    """A server that takes fewer inputs at once gets halves, and halves from then on."""
    server.enqueue(refusal, refusal)
    texts = [f"t{i}" for i in range(8)]
    assert len(list(embedder.embed(texts))) == 8
    sent = [len(request.json()["input"]) for request in server.history]
    assert sent == [8, 4, 2, 2, 2, 2]
    assert [t for r in server.history[2:] for t in r.json()["input"]] == texts


def test_one_text_that_is_too_large_is_an_error(embedder, server):
    """A single text cannot be halved."""
    server.enqueue(error_reply(413, "Payload too large"))
    assert failure(embedder).kind == "too_large"


def test_reset_connection_is_retried(embedder, server):
    """A reset before the reply, or in the middle of it, is tried again."""
    server.enqueue(Reply(reset="start"), Reply({"data": "x" * 1000}, reset="body"))
    assert len(list(embedder.embed(["a"]))) == 1
    assert posts(server) == 3


def test_server_that_is_down(waits):
    """A refused connection is tried three times and names the address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    embedder = OpenAIEmbedder(
        "m", base_url=f"http://user:{KEY}@127.0.0.1:{port}/v1", api_key=KEY, sleep=waits.append
    )
    error = failure(embedder)
    assert error.kind == "unreachable"
    assert f"http://127.0.0.1:{port}/v1" in str(error)
    assert "is the server running" in str(error)
    assert len(waits) == 2
    embedder.close()


def test_silent_server(server, waits):
    """Headers that never come end in a timeout when the total time is over."""
    embedder = OpenAIEmbedder("m", api_key=KEY, base_url=server.url, timeout=0.4, sleep=waits.append)
    server.enqueue(Reply(delay=5))
    assert failure(embedder).kind == "timeout"
    assert (posts(server), waits) == (1, [])
    embedder.close()


def test_slow_drip_meets_the_deadline(server):
    """A reply that trickles, never idle, ends at the total deadline."""
    embedder = OpenAIEmbedder("m", api_key=KEY, base_url=server.url, timeout=0.4)
    server.enqueue(Reply(pieces=[b" "] * 200, pause=0.05))
    assert failure(embedder).kind == "deadline"
    embedder.close()


def test_retries_stay_inside_the_deadline(server, waits):
    """No further attempt starts when its pause would pass the total time."""
    embedder = OpenAIEmbedder("m", api_key=KEY, base_url=server.url, timeout=0.9, sleep=waits.append)
    server.enqueue(error_reply(503, "busy"))
    assert failure(embedder).status == 503
    assert waits == []
    embedder.close()


def test_huge_reply_is_cut_off(embedder, server, monkeypatch):
    """A reply beyond the byte limit is not read to its end."""
    monkeypatch.setattr(http_limits, "MAX_RESPONSE_BYTES", 10_000)
    server.enqueue(Reply(pieces=[b" " * 5000] * 1000))
    assert failure(embedder).kind == "too_long"


def test_proxy_settings_are_not_used_for_this_machine(embedder, monkeypatch):
    """HTTP_PROXY leaves a server on the loopback alone."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(list(embedder.embed(["a"]))) == 1


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1/v1", True),
        ("http://a.localhost/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:80/v1", True),
        ("http://127.0.0.1.example.com/v1", False),
        ("https://api.example.com/v1", False),
        ("http://10.0.0.1/v1", False),
    ],
)
def test_loopback_addresses(url, local):
    """Only this machine's own addresses count as loopback."""
    assert client.EndpointAddress(url, "k").is_loopback is local


def test_a_redirect_to_another_server_is_refused(embedder, server):
    """The texts are not sent to a server that nobody configured."""
    with ScriptedServer() as other:
        server.enqueue(Reply(status=307, headers={"Location": f"{other.url}/embeddings"}))
        with pytest.raises(
            EndpointError, match=rf"redirects to {other.url.removesuffix('/v1')}, which is refused"
        ):
            list(embedder.embed(["a"]))
        assert not other.history


def test_threads_share_one_embedder(embedder):
    """Several threads get the right vectors from one embedder."""
    found: dict[str, list[float]] = {}

    def work(text: str) -> None:
        found[text] = next(iter(embedder.embed([text]))).tolist()

    threads = [threading.Thread(target=work, args=(f"text {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text, vector in found.items():
        expected = np.array(fake_vector(text, 8))
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert len(found) == 8


def test_names_and_certificates_are_told_apart():
    """An unknown host and a bad certificate are named; a certificate is not tried again."""
    kind, why, _, tries = server_errors.classify_connection_error(
        {"ConnectError"}, "[Errno -2] Name or service not known"
    )
    assert (kind, why, tries) == ("unreachable", "no such host", 3)
    kind, why, _, tries = server_errors.classify_connection_error(
        {"ConnectError"}, "certificate verify failed"
    )
    assert (kind, why, tries) == ("tls", "TLS failed", 1)
