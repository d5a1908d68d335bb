"""`doctor --endpoint`, against a scripted server over real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from paperagent import config, factory
from paperagent.cli import doctor, main
from paperagent.errors import ConfigError, EndpointError
from paperagent.llm.probe import ProbeResult
from paperagent.testing import CHAT, MODELS, Reply, Request, ScriptedServer, Style, chat_reply, error_reply
from paperagent.types import Usage

WORDS = {"numbers": ["seventeen", "twenty-four", "thirty-one", "thirty-eight"]}
SLOWLY = Style(pause=0.05, chunk=3)
"""About a second and a half for the reply, so that its speed can be told on a busy machine."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Return a private server, and set its model."""
    factory.llm._only_model_of_server.cache_clear()
    with ScriptedServer(models=("other", "test-model")) as scripted:
        scripted.responder = lambda request: chat_reply(request, WORDS)
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
        monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
        yield scripted


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """Run the command and return exit code, output and messages."""
    code = main.main(["doctor", "--endpoint", *options])
    return code, *capsys.readouterr()


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the report as JSON."""
    code, out, err = run(capsys, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def calls(server: ScriptedServer) -> list[Request]:
    return [r for r in server.history if r.path == CHAT]


def test_the_report_has_models_speed_features_and_timeout(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes one small call and needs no library."""
    server.responder = lambda request: chat_reply(request, WORDS, SLOWLY)
    found = report(capsys)
    assert (found["endpoint"], found["model"], found["error"]) == (server.url, "test-model", None)
    assert found["models"] == [
        {"name": "other", "configured": False, "shutdown": None},
        {"name": "test-model", "configured": True, "shutdown": None},
    ]
    call = found["call"]
    assert 0 < call["seconds_to_first_text"] < call["seconds"]
    assert call["input_tokens"] > 500
    assert call["output_tokens"] == pytest.approx(
        call["output_tokens_per_second"] * (call["seconds"] - call["seconds_to_first_text"]), rel=0.1
    )
    assert (call["estimated"], call["cost_usd"]) == (False, 0)
    assert found["features"] == {"json_schema": True, "streaming": True, "streaming_usage": True}
    assert found["timeout"] == {"seconds": 300, "proposed": 60, "setting": "PAPERAGENT_TIMEOUT=60"}
    assert len(calls(server)) == 1


def test_the_text_has_one_line_per_fact(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The configured model is listed first."""
    server.responder = lambda request: chat_reply(request, WORDS, SLOWLY)
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert "models: test-model (configured), other\n" in out
    assert "price: $0 (a server on this machine)\n" in out
    assert re.search(
        r"call: \d\.\d s, first text after \d\.\d s; 1 call · [\d,]+ tokens in, \d+ out · \$0\.00", out
    )
    assert re.search(r"speed: [\d,]+ tokens/s in, [\d,]+ tokens/s out\n", out)
    assert "PAPERAGENT_TIMEOUT=60 (now 300, sufficient): a typical answer (3,000 tokens in)" in out


def test_each_call_differs(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A cached prompt would look faster than it is."""
    report(capsys)
    report(capsys)
    first, second = (r.messages[0]["content"] for r in calls(server))
    assert first != second


def test_a_server_that_ignores_the_schema_and_counts_nothing(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unsupported features are reported; estimated usage is marked."""
    server.responder = lambda request: chat_reply(request, "Seventeen, twenty-four.", Style(usage={}))
    found = report(capsys)
    assert found["features"] == {"json_schema": False, "streaming": None, "streaming_usage": False}
    assert found["call"]["estimated"]


def test_a_rejected_parameter_is_dropped_and_reported(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It costs nothing: the request is sent again without it."""
    server.enqueue(error_reply(400, "Unsupported parameter: 'response_format'"), path=CHAT)
    found = report(capsys)
    assert found["features"]["json_schema"] is False
    assert any("'response_format'" in note for note in found["notes"])


@pytest.mark.parametrize(
    "fault",
    [error_reply(503, "Loading model"), Reply("{"), Reply(reset="start"), error_reply(429, "slow down")],
)
def test_a_failed_call_is_not_retried(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], fault: Reply
) -> None:
    """At most one call is paid for; the rest of the report is printed, and the exit code is 6."""
    server.enqueue(fault, path=CHAT)
    code, out, err = run(capsys, "--json")
    found = json.loads(out)
    assert (code, found["call"], found["features"], found["timeout"]["proposed"]) == (6, None, None, None)
    assert found["models"][1]["configured"]
    assert err == f"paperagent: error: {found['error']}\n"
    assert len(calls(server)) == 1


def test_an_empty_reply_is_not_retried(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """If a model only reasons, or says nothing, its features are unknown."""
    server.responder = lambda request: chat_reply(request, "")
    found = report(capsys)
    assert (found["features"]["json_schema"], found["features"]["streaming"]) == (None, None)
    assert len(calls(server)) == 1


def test_an_unlisted_model_gives_a_warning(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be an alias, so it is called anyway."""
    monkeypatch.setenv("PAPERAGENT_MODEL", "nick")
    code, _, err = run(capsys)
    assert (code, err) == (0, "paperagent: warning: the server does not list the model nick\n")


def test_a_server_without_a_model_list_is_called(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some gateways have none."""
    server.handlers["GET", MODELS] = lambda _: error_reply(404, "no such page")
    code, out, err = run(capsys, "--json")
    assert (code, json.loads(out)["models"]) == (0, None)
    assert "does not list its models" in err


def test_the_servers_shutdown_date_takes_precedence(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's list of models is newer than ours."""
    monkeypatch.setenv("PAPERAGENT_MODEL", "gpt-4o-mini")
    rows = [{"id": "gpt-4o-mini", "shutdown_date": "2026-10-01"}, {"id": "x", "shutdown_date": None}]
    server.handlers["GET", MODELS] = lambda _: Reply({"object": "list", "data": rows})
    code, out, err = run(capsys, "--json")
    found = json.loads(out)
    assert (code, found["shutdown"], found["replacement"]) == (0, "2026-10-01", "gpt-6-luna")
    assert "gpt-4o-mini was shut down on 2026-10-01; use gpt-6-luna" in err
    assert err.removeprefix("paperagent: warning: ").rstrip() == found["warnings"][0]


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"PAPERAGENT_PRICE": "1,2"}, "PAPERAGENT_PRICE"),
        ({}, "a server on this machine"),
    ],
)
def test_the_price_names_its_source(
    server: ScriptedServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    source: str,
) -> None:
    """A configured price is used, also for the typical answer."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    found = report(capsys)
    assert found["price"]["source"] == source
    assert found["typical_answer"]["cost_usd"] == pytest.approx(0.0036 if environ else 0)


def test_without_an_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    """Exits with 3 and says what to set."""
    code, out, err = run(capsys)
    assert (code, out) == (3, "")
    assert "endpoint: not configured; set OPENAI_API_KEY, or OPENAI_BASE_URL" in err


def test_several_models_and_none_configured(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exits with 3 and lists the models."""
    monkeypatch.delenv("PAPERAGENT_MODEL")
    code, _, err = run(capsys)
    assert code == 3
    assert "set it to one of: other, test-model" in err
    assert calls(server) == []


def test_bad_173_an_unreachable_endpoint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exits with 6 and names the address."""
    with ScriptedServer() as gone:
        url = gone.url
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("PAPERAGENT_MODEL", "m")
    code, out, err = run(capsys)
    assert (code, out) == (6, "")
    assert f"endpoint {url}: cannot be reached; is the server running at that address?" in err


def test_endpoint_and_repair_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--repair")[0] == 2


def test_the_help_mentions_the_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["doctor", "--help"]) == 0
    assert "Makes one small call, which may cost money" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("first", "seconds", "proposed"),
    [(0.2, 1.0, 60), (10.0, 18.0, 240), (20.0, 200.0, 2910), (1000.0, 5000.0, 3600)],
)
def test_the_proposed_timeout_leaves_room(first: float, seconds: float, proposed: int) -> None:
    """Twice the time of a typical answer at the measured speed, in steps of 30 seconds."""
    features = {"json_schema": True, "streaming": True, "streaming_usage": True}
    call = ProbeResult(first, seconds, Usage(1, input_tokens=600, output_tokens=40), features)
    typical = 5 * first + 7.5 * (seconds - first)
    assert call.seconds_for(3_000, 300) == pytest.approx(typical)
    made = doctor.EndpointReport("http://h/v1", "m", None, 60.0, None, "", None, None, call, None, ())
    assert made.proposed_timeout == proposed


def test_a_reply_in_one_piece_is_timed_as_a_whole() -> None:
    """Reading and writing cannot be separated: the larger proportion is used."""
    features = {"json_schema": True, "streaming": False, "streaming_usage": False}
    call = ProbeResult(2.0, 2.0, Usage(1, input_tokens=600, output_tokens=40), features)
    assert (call.input_speed, call.output_speed) == (None, None)
    assert call.seconds_for(3_000, 300) == pytest.approx(15)


def test_the_errors_are_typed(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
    server.enqueue(error_reply(500, "broken"), path=CHAT)
    assert isinstance(doctor.check_endpoint(config.load()).failure, EndpointError)
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(ConfigError):
        doctor.check_endpoint(config.load())


def test_a_real_server_is_measured(
    llama_address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp, whose only model need not be configured."""
    factory.llm._only_model_of_server.cache_clear()
    monkeypatch.setenv("OPENAI_BASE_URL", llama_address)
    found = report(capsys)
    assert [m["configured"] for m in found["models"]] == [True]
    assert found["features"] == {"json_schema": True, "streaming": True, "streaming_usage": True}
    assert found["call"]["input_tokens_per_second"] > 10
