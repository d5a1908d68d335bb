"""The settings of a library on a server."""

from __future__ import annotations

import pytest

from paperagent import ConfigError, config

KEY = "ck-0123456789abcdefghij"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://papers.example.org/chroma", "https://papers.example.org/chroma"),
        ("cloud://team/papers/", "cloud://team/papers"),
        ("Cloud://a1-b.c/x_y", "cloud://a1-b.c/x_y"),
    ],
)
def test_servers_and_databases_of_cloud_are_addresses(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    """In one form, without a slash at the end."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", given)
    monkeypatch.setenv("PAPERAGENT_CHROMA_KEY", KEY)
    assert config.load().chroma_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "cloud://team",
        "cloud://team/",
        "cloud://te am/papers",
        "cloud://key@team/papers",
        "cloud://team/papers?key=x",
        "cloud://team/papers/more",
        "cloud:team/papers",
        "ftp://host",
        "127.0.0.1:8000",
        "http://host:8000/api/v2",
        "http://host:8000/api/v1/heartbeat",
        "http://user:password@host:8000",
        "http://host:8000?token=secret",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """It may hold a key."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", given)
    monkeypatch.setenv("PAPERAGENT_CHROMA_KEY", KEY)
    with pytest.raises(ConfigError, match="PAPERAGENT_CHROMA_URL") as caught:
        config.load()
    assert not given or given not in str(caught.value)


@pytest.mark.parametrize("given", ["127.0.0.1:8000", "localhost:8000", "papers"])
def test_an_address_without_a_scheme_is_told_every_form(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """The port and Cloud's form too, not only https."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", given)
    with pytest.raises(ConfigError, match="http://HOST:PORT, https://HOST:PORT or cloud://TENANT/DATABASE"):
        config.load()


def test_cloud_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is asked."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", "cloud://team/papers")
    with pytest.raises(ConfigError, match="PAPERAGENT_CHROMA_KEY: not set"):
        config.load()


def test_a_key_is_not_sent_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the person says so; to this machine it may be."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_KEY", KEY)
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", "http://10.0.0.7:8000")
    with pytest.raises(ConfigError, match="would send the key unencrypted; use https"):
        config.load()
    monkeypatch.setenv("PAPERAGENT_ALLOW_INSECURE", "1")
    assert config.load().chroma_url
    monkeypatch.delenv("PAPERAGENT_ALLOW_INSECURE")
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", "http://127.0.0.1:8000")
    assert config.load().chroma_url


def test_the_key_is_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but its end, as with every secret."""
    monkeypatch.setenv("PAPERAGENT_CHROMA_KEY", KEY)
    settings = config.load()
    shown = next(s.value for s in settings.sources() if s.key == "PAPERAGENT_CHROMA_KEY")
    assert shown == "…ghij"
    assert KEY not in repr(settings)
    assert KEY in settings.secrets()
