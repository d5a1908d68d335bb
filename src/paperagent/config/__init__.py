"""Settings, from the command line, the environment, a ``.env`` file and the defaults, in that order.

The only file that reads the environment. `load` collects every problem into one ConfigError.
Importing this costs about 150 ms (pydantic), so only what needs settings imports it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import platformdirs
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from paperagent.config import dotenv
from paperagent.config import values as parse
from paperagent.errors import ConfigError, visible
from paperagent.text.model_names import is_small
from paperagent.types import AskMode

if TYPE_CHECKING:
    from pydantic_settings.sources import InitSettingsSource

PREFIX = "PAPERAGENT_"
NEEDS_ENDPOINT = "needs an endpoint; set OPENAI_API_KEY, or OPENAI_BASE_URL for a server without a key"
"""The end of an error about a mode or an embedder that cannot work without a server."""
_FILE = "env_file_values"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def _text(function: Any) -> BeforeValidator:
    """Apply ``function`` to text; values that are no text come from Python code and stand as they are."""
    return BeforeValidator(lambda value: function(value) if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Source:
    """One setting as `config show` prints it."""

    key: str
    value: str
    """As text; secrets masked but for the last four characters."""
    where: str
    """``command line``, ``environment``, ``.env line 3`` or ``default``."""


class Settings(BaseSettings):
    """Every setting. A field's description is its line in ``.env.example``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, protected_namespaces=()
    )

    home: Annotated[Path, _text(parse.path)] = Field(
        default_factory=lambda: platformdirs.user_data_path("paperagent"),
        description="the library's folder (default: the platform's user data folder)",
    )
    mode: Annotated[AskMode | None, _text(parse.choice("extractive", "select", "llm"))] = Field(
        None,
        description="extractive, select or llm (default: llm when an endpoint is set, "
        "select for a small model on this machine)",
    )
    openai_api_key: Annotated[SecretStr | None, _text(parse.api_key)] = Field(
        None, validation_alias="OPENAI_API_KEY", description="the endpoint's key (secret)"
    )
    openai_base_url: Annotated[str | None, _text(parse.base_url)] = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="any OpenAI-compatible server, http(s)://HOST/v1",
    )
    model: Annotated[str | None, _text(parse.text)] = Field(
        None,
        description="the model that writes answers (default: gpt-6-luna, or your server's only model)",
    )
    price: Annotated[str | None, _text(parse.price)] = Field(
        None,
        description="the model's price in US dollars per million tokens: input,output[,cached input]",
    )
    profile: Annotated[Literal["auto", "full", "compact"], _text(parse.choice("auto", "full", "compact"))] = (
        Field(
            "auto",
            description="the prompt that the model gets: full, compact, or auto (compact for a small one on "
            "this machine)",
        )
    )
    embedder: Annotated[str, _text(parse.embedder)] = Field(
        "minilm", description="minilm, minilm-fp32, openai:MODEL or none (words alone)"
    )
    model_dir: Annotated[Path | None, _text(parse.folder)] = Field(
        None, description="a folder with the files of all-MiniLM-L6-v2 (default: our cache, then Chroma's)"
    )
    cache_dir: Annotated[Path, _text(parse.path)] = Field(
        default_factory=lambda: platformdirs.user_cache_path("paperagent"),
        description="where models are kept (default: the platform's user cache folder)",
    )
    top_k: Annotated[int, _text(parse.whole(1, 100))] = Field(
        10, description="papers retrieved for a question, 1..100"
    )
    timeout: Annotated[float, _text(parse.number(0, 3600, above=True))] = Field(
        default_factory=lambda values: 300.0 if _is_local(values.get("openai_base_url")) else 60.0,
        description="seconds that the endpoint may take for one answer (default: 60, or 300 on this machine)",
    )
    max_cost_per_answer: Annotated[float | None, _text(parse.number(0, 1000))] = Field(
        None, description="US dollars that one answer may cost (default: no limit)"
    )
    max_rounds: Annotated[int, _text(parse.whole(1, 5))] = Field(
        2, description="searches that a model may make for one answer, 1..5"
    )
    context_tokens: Annotated[int, _text(parse.whole(2_048, 1_000_000))] = Field(
        8_192, description="tokens that a prompt and its reply may fill, 2048..1000000"
    )
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "omit"] | None,
        _text(parse.choice("none", "minimal", "low", "medium", "high", "omit")),
    ] = Field(
        None,
        description="reasoning effort: none, minimal, low, medium, high or omit (default: the lowest of an "
        "OpenAI model)",
    )
    unsupported: Annotated[
        Literal["withhold", "mark", "repair"], _text(parse.choice("withhold", "mark", "repair"))
    ] = Field(
        "withhold", description="claims that fail their check: withhold, mark, or repair with one more call"
    )
    judge: Annotated[Literal["auto", "always", "never"], BeforeValidator(parse.judge)] = Field(
        "auto",
        description="when a second reader is asked: auto (if a claim is unverified), always or never",
    )
    judge_model: Annotated[str | None, _text(parse.text)] = Field(
        None, description="the model of the second reader (default: the one that writes answers)"
    )
    cache: Annotated[bool, _text(parse.flag)] = Field(
        True, description="keep replies of the model, so that the same call is not paid twice (true or false)"
    )
    chroma_url: Annotated[str | None, _text(parse.chroma_url)] = Field(
        None,
        description="keep the library on a Chroma server: http(s)://HOST:PORT or cloud://TENANT/DATABASE",
    )
    chroma_key: Annotated[SecretStr | None, _text(parse.api_key)] = Field(
        None, description="the Chroma server's key, or that of the proxy in front of it (secret)"
    )
    contact: Annotated[str | None, _text(parse.contact)] = Field(
        None, description="whom the services of live feeds may write to: a mail or web address"
    )
    s2_key: Annotated[SecretStr | None, _text(parse.api_key)] = Field(
        None, description="the key of Semantic Scholar (secret)"
    )
    openalex_key: Annotated[SecretStr | None, _text(parse.api_key)] = Field(
        None, description="the key of OpenAlex, which it takes in the address only (secret)"
    )
    zotero_key: Annotated[SecretStr | None, _text(parse.api_key)] = Field(
        None, description="the key of a Zotero library (secret)"
    )
    feed_urls: Annotated[str | None, _text(parse.feed_urls)] = Field(
        None, description="other base addresses of services: arxiv=https://HOST/PATH,s2=https://…"
    )
    allow_private_feeds: Annotated[bool, _text(parse.flag)] = Field(
        False, description="fetch feeds from this machine and its network too (true or false)"
    )
    smtp_url: Annotated[SecretStr | None, _text(parse.smtp_url)] = Field(
        None, description="the mail server, smtp://USER:PASSWORD@HOST:587 (secret)"
    )
    mail_from: Annotated[str | None, _text(parse.mail_address)] = Field(
        None, description="the sender of the digest, Name <name@example.org>"
    )
    public_url: Annotated[str | None, _text(parse.public_url)] = Field(
        None, description="where readers reach the web page, https://…"
    )
    secret: Annotated[SecretStr | None, _text(parse.signing_secret)] = Field(
        None, description="signs unsubscribe links; at least 32 bytes: openssl rand -hex 32 (secret)"
    )
    digest_theme: Annotated[Path | None, _text(parse.folder)] = Field(
        None, description="a folder of digest templates that replace the packaged ones"
    )
    digest_empty: Annotated[bool, _text(parse.flag)] = Field(
        False, description="send an issue also to readers for whom there is nothing new (true or false)"
    )
    prompts_dir: Annotated[Path | None, _text(parse.folder)] = Field(
        None, description="a folder of prompts that replace the packaged ones"
    )
    history: Annotated[bool, _text(parse.flag)] = Field(
        True, description="keep the lines typed in chat in a file of the library's folder (true or false)"
    )
    allow_insecure: Annotated[bool, _text(parse.flag)] = Field(
        False, description="send the key over http:// to another machine (true or false)"
    )

    _where: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank arguments over the environment over the file, which `dotenv` has read."""
        del dotenv_settings, file_secret_settings
        values = cast("InitSettingsSource", init_settings).init_kwargs.pop(_FILE, {})
        return init_settings, env_settings, _FileSource(settings_cls, values)

    @property
    def answer_mode(self) -> AskMode:
        """The mode in force: as set, else by what there is to ask.

        A small model on this machine writes worse answers than sentences quoted without it, and
        chooses sentences well (docs/local.md has the figures), so it does that.
        """
        if self.mode is not None:
            return self.mode
        if not self.has_endpoint:
            return "extractive"
        small = self.model is not None and is_small(self.model)
        return "select" if self.local_endpoint and small else "llm"

    @property
    def has_endpoint(self) -> bool:
        """Whether a key or a server is set, so that a model can be asked."""
        return bool(self.openai_api_key or self.openai_base_url)

    @property
    def local_endpoint(self) -> bool:
        """Whether the model's server is on this machine."""
        return _is_local(self.openai_base_url)

    @property
    def prices(self) -> tuple[float, float, float] | None:
        """The model's price as set: input, cached input, output."""
        if self.price is None:
            return None
        fresh, output, *cached = map(float, self.price.split(","))
        return fresh, (cached or [fresh])[0], output

    @property
    def feed_bases(self) -> dict[str, str]:
        """The base address of each service that has another one."""
        pairs = (entry.partition("=") for entry in (self.feed_urls or "").split(",") if entry)
        return {name: url for name, _, url in pairs}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the settings but does not stop them."""
        return self._warnings

    def sources(self) -> tuple[Source, ...]:
        """Return each setting with where it came from, secrets masked."""
        where = self._where
        return tuple(
            Source(key, _shown(getattr(self, name)), where.get(key, "default"))
            for name, key in _keys().items()
        )

    def secrets(self) -> tuple[str, ...]:
        """Return the secret values, for masking them in whatever is printed."""
        found = (getattr(self, name) for name in type(self).model_fields)
        return tuple(v.get_secret_value() for v in found if isinstance(v, SecretStr))


class _FileSource(EnvSettingsSource):
    """The values of a ``.env`` file, looked up as the environment's are."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, str]) -> None:
        self._values = values
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {key.lower(): value for key, value in self._values.items()}


def load(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings; ``overrides`` (by field name) win over all else.

    Without ``env_file``, the ``.env`` of the current folder is read where there is one.
    Raise ConfigError, naming every key at fault with reason and fix.
    """
    file = dotenv.read(env_file or Path(".env"), os.environ, required=env_file is not None)
    given = {name: value for name, value in overrides.items() if value is not None}
    problems = [*file.problems, *_unknown(file)]
    where = _origins(file, given)
    try:
        values: dict[str, Any] = {_FILE: file.values, **given}
        settings = Settings(**values)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        # A default that depends on other settings is not made where one of them is wrong.
        problems += [_problem(e, where) for e in faults if e["type"] != "default_factory_not_called"]
        raise _all(problems) from None
    problems += _contradictions(settings)
    if problems:
        raise _all(problems)
    settings._where = where  # noqa: SLF001 - a private attribute of the class above
    settings._warnings = (*file.warnings, *_oddities(settings, file))  # noqa: SLF001 - likewise
    return settings


def _all(problems: list[str]) -> ConfigError:
    count = f"{len(problems)} problems: " if len(problems) > 1 else ""
    return ConfigError(f"settings: {count}{' · '.join(problems)}")


def _keys() -> dict[str, str]:
    """Map each field to the name of its variable."""
    fields = Settings.model_fields.items()
    return {name: str(field.validation_alias or PREFIX + name.upper()) for name, field in fields}


def _origins(file: dotenv.EnvFile, given: Mapping[str, Any]) -> dict[str, str]:
    """Map each variable that is set to the place that counts."""
    upper = {key.upper() for key in os.environ}
    found: dict[str, str] = {}
    for name, key in _keys().items():
        if name in given:
            found[key] = "command line"
        elif key in upper:
            found[key] = "environment"
        elif key in file.lines:
            found[key] = f"{file.path} line {file.lines[key]}"
    return found


def _problem(error: Any, where: Mapping[str, str]) -> str:
    name = str(error["loc"][0])
    key = _keys().get(name, name)
    return f"{key} ({where.get(key, 'default')}): {visible(error['msg'].removeprefix('Value error, '))}"


def _unknown(file: dotenv.EnvFile) -> list[str]:
    """Report keys of the file that begin like ours and are not: they would be ignored in silence."""
    known = list(_keys().values())
    return [
        f"{key} ({file.path} line {line}): unknown key{_guess(key, known)}"
        for key, line in file.lines.items()
        if key not in known and (key.upper().startswith(PREFIX) or key.upper() in known)
    ]


def _guess(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else "; see .env.example"


def _contradictions(settings: Settings) -> list[str]:
    """Report settings that are right alone but not together."""
    found = []
    endpoint = settings.has_endpoint
    if settings.mode in ("llm", "select") and not endpoint:
        found.append(f"{PREFIX}MODE: {settings.mode} {NEEDS_ENDPOINT}")
    if settings.embedder.startswith("openai:") and not endpoint:
        found.append(f"{PREFIX}EMBEDDER: {visible(settings.embedder)} {NEEDS_ENDPOINT}")
    if _key_in_clear(settings) and not settings.allow_insecure:
        found.append(
            "OPENAI_BASE_URL: http:// to another machine would send the key in clear; "
            f"use https, or set {PREFIX}ALLOW_INSECURE=1"
        )
    found += _chroma_contradictions(settings)
    found += _feed_contradictions(settings)
    return [*found, *_bad_proxies()] if endpoint else found


def _chroma_contradictions(settings: Settings) -> list[str]:
    url, key = settings.chroma_url or "", settings.chroma_key
    if url.startswith("cloud://") and key is None:
        return [f"{PREFIX}CHROMA_KEY: not set; Chroma Cloud needs the key of its database"]
    if key and _in_clear(url) and not settings.allow_insecure:
        clear = "http:// to another machine would send the key in clear"
        return [f"{PREFIX}CHROMA_URL: {clear}; use https, or set {PREFIX}ALLOW_INSECURE=1"]
    return []


def _feed_contradictions(settings: Settings) -> list[str]:
    """Report base addresses of services that are not of the public internet, or not encrypted."""
    if not settings.feed_urls or settings.allow_private_feeds:
        return []
    fix = f"give a public https address, or set {PREFIX}ALLOW_PRIVATE_FEEDS=1"
    return [
        f"{PREFIX}FEED_URLS: {name}: {fault}; {fix}"
        for name, url in settings.feed_bases.items()
        if (fault := parse.not_public(url))
    ]


def _is_local(url: str | None) -> bool:
    return parse.is_loopback(urlsplit(url or "").hostname or "")


def _key_in_clear(settings: Settings) -> bool:
    if not settings.openai_api_key:
        return False
    return _in_clear(settings.openai_base_url or "")


def _in_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not parse.is_loopback(parts.hostname or "")


def _bad_proxies() -> list[str]:
    found = []
    for key, value in os.environ.items():
        if key.upper() in _PROXIES and value:
            try:
                parse.proxy(value)
            except ValueError as error:
                found.append(f"{key} (environment): {error}")
    return found


def _oddities(settings: Settings, file: dotenv.EnvFile) -> list[str]:
    known, found = list(_keys().values()), []
    secret = {key for name, key in _keys().items() if isinstance(getattr(settings, name), SecretStr)}
    if file.open_to_others and secret & file.values.keys():
        found.append(f"{file.path}: holds a secret and other users can read it; run chmod 600 {file.path}")
    if _key_in_clear(settings):
        found.append("OPENAI_BASE_URL: the key is sent in clear, as ALLOW_INSECURE says")
    guess = partial(difflib.get_close_matches, possibilities=known, n=1, cutoff=0.85)
    misspelt = [k for k in sorted(os.environ) if k.startswith(PREFIX) and k not in known and guess(k)]
    return [
        *found,
        *(f"{visible(k)} (environment): unknown key; did you mean {guess(k)[0]}?" for k in misspelt),
    ]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        hidden = value.get_secret_value()
        # The end of a short secret would be too much of it; the end of an address says nothing useful.
        return "…" + hidden[-4:] if len(hidden) >= 20 and "://" not in hidden else "…"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
