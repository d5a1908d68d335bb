"""Settings that are valid individually but not together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paperagent.config import values
from paperagent.errors import visible

if TYPE_CHECKING:
    from paperagent.config.settings import Settings

PREFIX = "PAPERAGENT_"
"""The beginning of the names of our environment variables."""
NEEDS_ENDPOINT = "needs an endpoint; set OPENAI_API_KEY, or OPENAI_BASE_URL for a server without a key"
"""The end of an error about a mode or an embedder that cannot work without a server."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def contradictions(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Return a problem for each group of settings that are valid individually but not together."""
    problems = []
    if settings.mode in ("llm", "select") and not settings.has_endpoint:
        problems.append(f"{PREFIX}MODE: {settings.mode} {NEEDS_ENDPOINT}")
    if settings.embedder.startswith("openai:") and not settings.has_endpoint:
        problems.append(f"{PREFIX}EMBEDDER: {visible(settings.embedder)} {NEEDS_ENDPOINT}")
    if sends_key_in_clear(settings) and not settings.allow_insecure:
        problems.append(f"OPENAI_BASE_URL: {_IN_CLEAR}")
    problems += _chroma_contradictions(settings)
    problems += _feed_contradictions(settings)
    problems += _mail_contradictions(settings)
    problems += _web_contradictions(settings)
    return [*problems, *_invalid_proxies(environment)] if settings.has_endpoint else problems


_IN_CLEAR = (
    f"http:// to another machine would send the key unencrypted; use https, or set {PREFIX}ALLOW_INSECURE=1"
)


def _chroma_contradictions(settings: Settings) -> list[str]:
    url, key = settings.chroma_url or "", settings.chroma_key
    if url.startswith("cloud://") and key is None:
        return [f"{PREFIX}CHROMA_KEY: not set; Chroma Cloud needs the key of its database"]
    if key and _is_in_clear(url) and not settings.allow_insecure:
        return [f"{PREFIX}CHROMA_URL: {_IN_CLEAR}"]
    return []


def _feed_contradictions(settings: Settings) -> list[str]:
    """Return a problem for each base URL of a service that is private or not encrypted."""
    if not settings.feed_urls or settings.allow_private_feeds:
        return []
    fix = f"give a public https address, or set {PREFIX}ALLOW_PRIVATE_FEEDS=1"
    return [
        f"{PREFIX}FEED_URLS: {name}: {reason}; {fix}"
        for name, url in settings.feed_bases.items()
        if (reason := values.not_public(url))
    ]


def _mail_contradictions(settings: Settings) -> list[str]:
    if bool(settings.dkim_key_file) != bool(settings.dkim_selector):
        return [f"{PREFIX}DKIM_KEY_FILE: needs {PREFIX}DKIM_SELECTOR, and the other way round; set both"]
    if settings.dkim_key_file and not settings.mail_from:
        return [f"{PREFIX}DKIM_KEY_FILE: there is no sender to sign for; set {PREFIX}MAIL_FROM"]
    return []


_MAIL_SETTINGS = f"set {PREFIX}SMTP_URL, {PREFIX}MAIL_FROM, {PREFIX}PUBLIC_URL and {PREFIX}SECRET"


def _web_contradictions(settings: Settings) -> list[str]:
    problems = []
    if settings.public_url is None and not values.is_loopback(settings.web_host):
        problems.append(
            f"{PREFIX}WEB_HOST: {visible(settings.web_host, limit=80)} can be reached from other machines, "
            f"which needs {PREFIX}PUBLIC_URL; set it to the page's https:// address, or use 127.0.0.1"
        )
    if settings.web_ask == "model" and not settings.has_endpoint:
        problems.append(f"{PREFIX}WEB_ASK: model {NEEDS_ENDPOINT}")
    if settings.web_ask == "model" and not settings.web_max_cost_per_day:
        problems.append(
            f"{PREFIX}WEB_ASK: model needs a limit on cost above 0; set {PREFIX}WEB_MAX_COST_PER_DAY"
        )
    if settings.web_user_header and not settings.web_trusted_proxies:
        problems.append(f"{PREFIX}WEB_USER_HEADER: counts only from a proxy; set {PREFIX}WEB_TRUSTED_PROXIES")
    if settings.web_askers and not (settings.can_mail_links or settings.web_user_header):
        problems.append(f"{PREFIX}WEB_ASKERS: sign in by a mailed link; {_MAIL_SETTINGS}")
    if settings.web_read == "signed-in" and not (settings.web_askers or settings.web_user_header):
        problems.append(f"{PREFIX}WEB_READ: nobody can sign in; set {PREFIX}WEB_ASKERS")
    if settings.web_signup and not settings.can_mail_links:
        problems.append(f"{PREFIX}WEB_SIGNUP: needs emails with links; {_MAIL_SETTINGS}")
    return problems


def is_local(url: str | None) -> bool:
    return values.is_loopback(urlsplit(url or "").hostname or "")


def sends_key_in_clear(settings: Settings) -> bool:
    return bool(settings.openai_api_key) and _is_in_clear(settings.openai_base_url or "")


def _is_in_clear(url: str) -> bool:
    return urlsplit(url).scheme == "http" and not is_local(url)


def _invalid_proxies(environment: Mapping[str, str]) -> list[str]:
    problems = []
    for key, value in environment.items():
        if key.upper() in _PROXIES and value:
            try:
                values.proxy(value)
            except ValueError as error:
                problems.append(f"{key} (environment): {error}")
    return problems
