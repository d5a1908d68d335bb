"""The settings: their names, defaults and checks, and where each value came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from paperagent.config import values
from paperagent.config.contradictions import PREFIX, is_local
from paperagent.text.model_names import is_small
from paperagent.types import AskMode

if TYPE_CHECKING:
    from pydantic_settings.sources import InitSettingsSource

FILE_VALUES = "env_file_values"
"""The argument of `Settings` that holds the values of the ``.env`` file."""


def _parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    """Return a validator that applies ``parse`` to strings and passes other values on."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One setting as ``paperagent config show`` prints it."""

    key: str
    """The name of the environment variable."""
    value: str
    """The value as text; of a secret, at most the last four characters."""
    where: str
    """``command line``, ``environment``, ``.env line 3`` or ``default``."""


class Settings(BaseSettings):
    """All settings. A field's description is also its comment in ``.env.example``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, protected_namespaces=()
    )

    home: Annotated[Path, _parsed(values.path)] = Field(
        default_factory=lambda: platformdirs.user_data_path("paperagent"),
        description="folder of the library (default: the platform's user data folder)",
    )
    mode: Annotated[AskMode | None, _parsed(values.choice("extractive", "select", "llm"))] = Field(
        None,
        description="answer mode: extractive, select or llm (default: llm if an endpoint is set, "
        "select for a small model on this machine)",
    )
    openai_api_key: Annotated[SecretStr | None, _parsed(values.api_key)] = Field(
        None, validation_alias="OPENAI_API_KEY", description="API key of the endpoint (secret)"
    )
    openai_base_url: Annotated[str | None, _parsed(values.base_url)] = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="base URL of an OpenAI-compatible server, http(s)://HOST/v1",
    )
    model: Annotated[str | None, _parsed(values.text)] = Field(
        None,
        description="model that writes answers (default: gpt-6-luna, or the only model of your server)",
    )
    price: Annotated[str | None, _parsed(values.price)] = Field(
        None,
        description="price of the model in US dollars per million tokens: input,output[,cached input]",
    )
    profile: Annotated[
        Literal["auto", "full", "compact"], _parsed(values.choice("auto", "full", "compact"))
    ] = Field(
        "auto",
        description="prompt for the model: full, compact or auto (compact for a small model on this machine)",
    )
    embedder: Annotated[str, _parsed(values.embedder)] = Field(
        "minilm", description="embedding model: minilm, minilm-fp32, openai:MODEL or none (keywords only)"
    )
    model_dir: Annotated[Path | None, _parsed(values.folder)] = Field(
        None,
        description="folder with the files of all-MiniLM-L6-v2 (default: paperagent's cache, then Chroma's)",
    )
    cache_dir: Annotated[Path, _parsed(values.path)] = Field(
        default_factory=lambda: platformdirs.user_cache_path("paperagent"),
        description="folder for downloaded models (default: the platform's user cache folder)",
    )
    top_k: Annotated[int, _parsed(values.integer(1, 100))] = Field(
        10, description="number of papers to retrieve for a question, 1..100"
    )
    timeout: Annotated[float, _parsed(values.number(0, 3600, exclude_low=True))] = Field(
        default_factory=lambda fields: 300.0 if is_local(fields.get("openai_base_url")) else 60.0,
        description="seconds to wait for a reply of the endpoint (default: 60, or 300 on this machine)",
    )
    max_cost_per_answer: Annotated[float | None, _parsed(values.number(0, 1000))] = Field(
        None, description="maximum cost of one answer in US dollars (default: no limit)"
    )
    max_rounds: Annotated[int, _parsed(values.integer(1, 5))] = Field(
        2, description="maximum number of searches by the model for one answer, 1..5"
    )
    context_tokens: Annotated[int, _parsed(values.integer(2_048, 1_000_000))] = Field(
        8_192, description="maximum tokens of a prompt and its reply together, 2048..1000000"
    )
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "omit"] | None,
        _parsed(values.choice("none", "minimal", "low", "medium", "high", "omit")),
    ] = Field(
        None,
        description="reasoning effort: none, minimal, low, medium, high or omit (default: the lowest that "
        "an OpenAI model accepts)",
    )
    unsupported: Annotated[
        Literal["withhold", "mark", "repair"], _parsed(values.choice("withhold", "mark", "repair"))
    ] = Field(
        "withhold",
        description="what to do with claims that fail verification: withhold, mark or repair (one more call)",
    )
    judge: Annotated[Literal["auto", "always", "never"], BeforeValidator(values.judge)] = Field(
        "auto",
        description="when an LLM judges the claims: auto (if one is unverified), always or never",
    )
    judge_model: Annotated[str | None, _parsed(values.text)] = Field(
        None, description="model that judges claims (default: the model that writes answers)"
    )
    cache: Annotated[bool, _parsed(values.flag)] = Field(
        True, description="cache the model's replies, so that a repeated call costs nothing (true or false)"
    )
    chroma_url: Annotated[str | None, _parsed(values.chroma_url)] = Field(
        None,
        description="Chroma server that holds the library: http(s)://HOST:PORT or cloud://TENANT/DATABASE",
    )
    chroma_key: Annotated[SecretStr | None, _parsed(values.api_key)] = Field(
        None, description="API key of the Chroma server, or of the proxy in front of it (secret)"
    )
    contact: Annotated[str | None, _parsed(values.contact)] = Field(
        None,
        description="email or web address at which feed services and readers of the web page can contact you",
    )
    s2_key: Annotated[SecretStr | None, _parsed(values.api_key)] = Field(
        None, description="Semantic Scholar API key (secret)"
    )
    openalex_key: Annotated[SecretStr | None, _parsed(values.api_key)] = Field(
        None, description="OpenAlex API key; OpenAlex accepts it in the URL only (secret)"
    )
    zotero_key: Annotated[SecretStr | None, _parsed(values.api_key)] = Field(
        None, description="Zotero API key (secret)"
    )
    feed_urls: Annotated[str | None, _parsed(values.feed_urls)] = Field(
        None, description="alternative base URLs of feed services: arxiv=https://HOST/PATH,s2=https://…"
    )
    allow_private_feeds: Annotated[bool, _parsed(values.flag)] = Field(
        False, description="allow feeds from this machine and its network (true or false)"
    )
    smtp_url: Annotated[SecretStr | None, _parsed(values.smtp_url)] = Field(
        None, description="mail server: smtp://USER:PASSWORD@HOST:587 (secret)"
    )
    mail_from: Annotated[str | None, _parsed(values.mail_address)] = Field(
        None, description="sender of the digest: Name <name@example.org>"
    )
    imap_url: Annotated[SecretStr | None, _parsed(values.imap_url)] = Field(
        None,
        description="mailbox of the sender, for unsubscribe requests and bounces: "
        "imaps://USER:PASSWORD@HOST/INBOX (secret)",
    )
    dkim_key_file: Annotated[Path | None, _parsed(values.path)] = Field(
        None, description="private RSA key that signs emails (DKIM), if the mail server does not sign them"
    )
    dkim_selector: Annotated[str | None, _parsed(values.dns_name)] = Field(
        None, description="name of the DKIM key in DNS: SELECTOR._domainkey.DOMAIN"
    )
    dkim_domain: Annotated[str | None, _parsed(values.dns_name)] = Field(
        None, description="domain that signs emails (default: the domain of PAPERAGENT_MAIL_FROM)"
    )
    public_url: Annotated[str | None, _parsed(values.public_url)] = Field(
        None, description="public URL of the web page for subscribers, https://…"
    )
    secret: Annotated[SecretStr | None, _parsed(values.signing_secret)] = Field(
        None,
        description="key that signs links in emails, at least 32 bytes: openssl rand -hex 32 (secret); to "
        "replace it, write NEW,OLD: old links stay valid",
    )
    timezone: Annotated[str | None, _parsed(values.timezone)] = Field(
        None,
        description="time zone in which days, weeks and months begin and end, such as Europe/Berlin "
        "(default: the system's)",
    )
    digest_theme: Annotated[Path | None, _parsed(values.folder)] = Field(
        None, description="folder of digest templates that override the packaged ones"
    )
    digest_empty: Annotated[bool, _parsed(values.flag)] = Field(
        False, description="send an issue even to subscribers without new papers (true or false)"
    )
    web_host: Annotated[str, _parsed(values.text)] = Field(
        "127.0.0.1", description="address that the web page listens on"
    )
    web_title: Annotated[str, _parsed(values.text)] = Field(
        "Papers", description="name of the web page, such as that of your group"
    )
    web_port: Annotated[int, _parsed(values.integer(0, 65_535))] = Field(
        8700, description="port of the web page, 0..65535 (0: any free port)"
    )
    web_read: Annotated[Literal["public", "signed-in"], _parsed(values.choice("public", "signed-in"))] = (
        Field(
            "public", description="who can read papers and the archive on the web page: public or signed-in"
        )
    )
    web_ask: Annotated[
        Literal["off", "extractive", "model"], _parsed(values.choice("off", "extractive", "model"))
    ] = Field(
        "extractive",
        description="how questions of readers who are not signed in are answered: off, extractive or model",
    )
    web_askers: Annotated[str | None, _parsed(values.askers)] = Field(
        None,
        description="email addresses and @domains that can sign in and ask the model, separated by commas",
    )
    web_max_cost_per_day: Annotated[float, _parsed(values.number(0, 1000))] = Field(
        1.0, description="maximum cost of all answers of the web page on one day in US dollars"
    )
    web_max_cost_per_asker_per_day: Annotated[float, _parsed(values.number(0, 1000))] = Field(
        0.25, description="maximum cost of the answers for one reader on one day in US dollars"
    )
    web_trusted_proxies: Annotated[str | None, _parsed(values.networks)] = Field(
        None,
        description="addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto "
        "count, separated by commas",
    )
    web_user_header: Annotated[str | None, _parsed(values.header_name)] = Field(
        None, description="header in which a trusted proxy names the signed-in user, such as Remote-User"
    )
    web_keep_days: Annotated[int, _parsed(values.integer(1, 3650))] = Field(
        30, description="days from the last question until a conversation on the web page is deleted, 1..3650"
    )
    web_signup: Annotated[bool | None, _parsed(values.flag)] = Field(
        None,
        description="let visitors subscribe to the digest (default: true if a mail server, a sender, a "
        "public URL and a secret are set)",
    )
    web_metrics: Annotated[bool, _parsed(values.flag)] = Field(
        False, description="serve counters at /metrics to programs on this machine (true or false)"
    )
    prompts_dir: Annotated[Path | None, _parsed(values.folder)] = Field(
        None, description="folder of prompts that override the packaged ones"
    )
    history: Annotated[bool, _parsed(values.flag)] = Field(
        True, description="save the chat input history in the library's folder (true or false)"
    )
    log: Annotated[bool, _parsed(values.flag)] = Field(
        True, description="log the answers of ask and chat in the library's folder (true or false)"
    )
    allow_insecure: Annotated[bool, _parsed(values.flag)] = Field(
        False, description="allow sending API keys over http:// to another machine (true or false)"
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
        """Rank arguments first, then the environment, then the file, which `dotenv` has read."""
        del dotenv_settings, file_secret_settings
        file_values = cast("InitSettingsSource", init_settings).init_kwargs.pop(FILE_VALUES, {})
        return init_settings, env_settings, _FileSource(settings_cls, file_values)

    @property
    def answer_mode(self) -> AskMode:
        """The mode as set, or else the mode that suits the endpoint.

        A small model on this machine writes worse answers than quoted sentences, but chooses sentences
        well (docs/local.md has the figures), so its mode is ``select``.
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
        """Whether the endpoint is on this machine."""
        return is_local(self.openai_base_url)

    @property
    def prices(self) -> tuple[float, float, float] | None:
        """The price as set, in US dollars per million tokens: input, cached input, output."""
        if self.price is None:
            return None
        uncached, output, *cached = map(float, self.price.split(","))
        return uncached, (cached or [uncached])[0], output

    @property
    def feed_bases(self) -> dict[str, str]:
        """Service → its base URL, for the services in ``feed_urls``."""
        pairs = (entry.partition("=") for entry in (self.feed_urls or "").split(",") if entry)
        return {name: url for name, _, url in pairs}

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone of days and weeks; None for the system's, as in `datetime.datetime.astimezone`."""
        return ZoneInfo(self.timezone) if self.timezone else None

    @property
    def can_mail_links(self) -> bool:
        """Whether emails with links to the web page can be sent."""
        return all((self.smtp_url, self.mail_from, self.public_url, self.secret))

    @property
    def signup_open(self) -> bool:
        """Whether visitors of the web page may subscribe to the digest."""
        return self.can_mail_links if self.web_signup is None else self.web_signup

    @property
    def warnings(self) -> tuple[str, ...]:
        """Messages about settings that are valid but probably not intended."""
        return self._warnings

    def sources(self) -> tuple[SettingSource, ...]:
        """Return every setting with its origin, secrets masked."""
        return tuple(
            SettingSource(key, _display(getattr(self, name)), self._where.get(key, "default"))
            for name, key in setting_keys().items()
        )

    def secrets(self) -> tuple[str, ...]:
        """Return the values of all secrets, so that output can be redacted."""
        fields = (getattr(self, name) for name in type(self).model_fields)
        secrets = [value.get_secret_value() for value in fields if isinstance(value, SecretStr)]
        # Of two signing secrets, each must be hidden.
        signing = self.secret.get_secret_value().split(",") if self.secret else []
        return tuple(dict.fromkeys([*secrets, *signing]))


class _FileSource(EnvSettingsSource):
    """The values of a ``.env`` file as a source of settings."""

    def __init__(self, settings_cls: type[BaseSettings], file_values: Mapping[str, str]) -> None:
        self._file_values = file_values
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {key.lower(): value for key, value in self._file_values.items()}


def setting_keys() -> dict[str, str]:
    """Return field name → name of its environment variable."""
    fields = Settings.model_fields.items()
    return {name: str(field.validation_alias or PREFIX + name.upper()) for name, field in fields}


def _display(value: Any) -> str:
    """Return a setting's value as text, masked if it is secret."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        # Four characters would reveal too much of a short secret, and nothing useful of a URL.
        return "…" + secret[-4:] if len(secret) >= 20 and "://" not in secret else "…"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
