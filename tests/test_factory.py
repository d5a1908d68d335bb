"""Which model answers, where nobody says, and what is known of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from paperagent import config, factory
from paperagent.errors import ConfigError, EndpointError
from paperagent.testing import MODELS, Reply, ScriptedServer, error_reply
from scripted_agent import GOOD, ScriptedAgent, reply, scripted_agent


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Forget the models of servers that earlier tests asked."""
    factory.llm._only_model_of_server.cache_clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Give a server of one's own, with no model named."""
    with ScriptedServer() as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)
        yield scripted


def opened(**settings: object) -> str:
    """Return the name of the model that the settings lead to."""
    model = factory.open_model(config.load(**settings), None)
    model.close()
    return model.model


def test_the_only_model_of_a_server_is_taken_and_remembered(server: ScriptedServer) -> None:
    """The server is asked once in a process, however many agents there are."""
    assert [opened(), opened()] == ["test-model", "test-model"]
    assert [r.path for r in server.history] == [MODELS]


def test_a_model_that_embeds_does_not_count(server: ScriptedServer) -> None:
    """Some servers list one beside the model that writes."""
    server.models = ("text-embedding-nomic-embed-text-v1.5", "qwen3-4b")
    assert opened() == "qwen3-4b"


def test_a_name_that_is_set_is_not_asked_for(server: ScriptedServer) -> None:
    """Nothing is sent before the question."""
    assert opened(model="my-model") == "my-model"
    assert server.history == []


@pytest.mark.parametrize(
    ("models", "listed"),
    [
        (("a", "b"), "offers several models; set it to one of: a, b"),
        (tuple(f"m{i}" for i in range(13)), "m8, m9 and 3 more"),
        ((), "offers no model; load one there, or set a name"),
        (("one\nsk-secret-123", "two"), r"one\x0a***, two"),
    ],
)
def test_several_models_are_listed(server: ScriptedServer, models: tuple[str, ...], listed: str) -> None:
    """The error names the first ten and the setting; a server's words are cleaned."""
    server.models = models
    with pytest.raises(ConfigError) as caught:
        opened()
    assert str(caught.value).startswith(f"PAPERAGENT_MODEL: not set, and the server at {server.url} ")
    assert str(caught.value).endswith(listed)


@pytest.mark.parametrize(
    "answer",
    [
        error_reply(404, "no such page"),
        Reply("<html>"),
        Reply({"models": []}),
        Reply({"data": [3]}),
        error_reply(501, "not implemented"),
    ],
)
def test_a_server_that_lists_nothing_leaves_the_name_to_be_set(server: ScriptedServer, answer: Reply) -> None:
    """The error says why the server could not be asked, and what to set."""
    server.handlers["GET", MODELS] = lambda _: answer
    with pytest.raises(
        ConfigError, match=r"PAPERAGENT_MODEL: not set, .* does not list its models"
    ) as caught:
        opened()
    assert str(caught.value).endswith(
        "; set it to a model that the server offers, or check that OPENAI_BASE_URL ends in /v1"
    )


def test_a_server_that_is_down_is_an_error_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the missing name that has to be put right."""
    with ScriptedServer() as server:
        url = server.url
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(EndpointError, match="is the server running at that address"):
        opened()


def test_a_key_that_is_refused_is_an_error_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the missing name that has to be put right."""
    with ScriptedServer(api_key="sk-right-0123456789") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
        with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
            opened()


@pytest.mark.parametrize("url", [None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"])
def test_openai_itself_has_a_default(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list is long and is not asked for."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    if url is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert opened() == factory.model_name(config.load()) == factory.DEFAULT_MODEL == "gpt-6-luna"


def test_a_question_is_answered_without_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """From the address alone to an answer, which names the model."""
    with scripted_agent(monkeypatch, tmp_path / "library") as found:
        found.set(model=None)
        assert _asked(found) == "test-model"


def _asked(found: ScriptedAgent) -> str | None:
    return found.ask(reply(GOOD)).model


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OPENAI_API_KEY": "sk-test-0123456789", "PAPERAGENT_MODEL": "gpt-4o-mini"}, "use gpt-6-luna"),
        ({"OPENAI_API_KEY": "sk-test-0123456789"}, None),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"}, None),
        ({"PAPERAGENT_MODEL": "gpt-4o-mini"}, None),
    ],
)
def test_the_model_in_use_is_warned_of(
    environ: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that would be asked: not where answers are quoted, nor where the server chooses it."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    warning = factory.shutdown_warning(config.load(), today=dt.date(2026, 12, 24))
    assert (warning or "").endswith(expected or "")
    assert (warning is None) == (expected is None)
