"""The address of an OpenAI-compatible server and its API key, with redaction for messages.

Nothing that a server or the SDK says is shown unredacted. `llm.client` makes the requests.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from paperagent.errors import ConfigError, EndpointError, visible

OPENAI_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
"""Sent to servers that need no key: the SDK insists on one."""
_MODEL_SUFFIX = re.compile(r"(?::[\w.-]+|@[\w-]+|-\d{4}-?\d{2}-?\d{2}|-\d{3,4}|-latest)$")


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """The base URL of a server and the key for it."""

    url: str
    key: str

    @classmethod
    def parse(cls, *, api_key: str | None, base_url: str | None) -> EndpointAddress:
        """Validate key and URL. Without a URL it is OpenAI's, which needs a key.

        Raises:
            ConfigError: The key or the URL cannot be right.
        """
        key, url = (api_key or "").strip(), (base_url or "").strip()
        if not key and not url:
            raise ConfigError(
                "OPENAI_API_KEY: not set; set it, or OPENAI_BASE_URL for a server without a key"
            )
        if any(not "!" <= char <= "~" for char in key):
            raise ConfigError("OPENAI_API_KEY: contains invalid characters; copy the key again")
        if _split_http_url(url or OPENAI_URL) is None:
            raise ConfigError("OPENAI_BASE_URL: not an http(s) URL; use one like http://127.0.0.1:8080/v1")
        return cls(url or OPENAI_URL, key or _NO_KEY)

    @property
    def display_url(self) -> str:
        """The URL for messages: without user, password and query."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return visible(f"{parts.scheme}://{parts.hostname}{port}{parts.path}", limit=200)

    @property
    def is_loopback(self) -> bool:
        """Whether the server runs on this machine."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        return f".{host}".endswith(".api.openai.com")

    def error(self, why: str, fix: str, kind: str = "failed", status: int | None = None) -> EndpointError:
        """Return an error of the form ``WHAT: WHY; FIX`` about this endpoint."""
        return EndpointError(f"endpoint {self.display_url}: {why}; {fix}", kind=kind, status=status)

    def redact(self, text: str) -> str:
        """Return ``text`` from the server on one line, shortened, without the key."""
        return visible(redact_key(text, self.key), limit=160)


def _split_http_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def redact_key(text: str, key: str) -> str:
    """Mask ``key`` (plain, URL-encoded or base64) and anything that looks like an OpenAI key."""
    if key != _NO_KEY:
        for form in (key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("=")):
            text = text.replace(form, "***")
    return re.sub(r"\bsk-[\w*-]{3,}", "***", text)


def is_same_model(name: str, other: str) -> bool:
    """Return whether two names may mean one model, apart from folder, file type, tag and date."""
    bare = [n.lower().rsplit("/", 1)[-1].removesuffix(".gguf") for n in (name, other)]
    return _MODEL_SUFFIX.sub("", bare[0]) == _MODEL_SUFFIX.sub("", bare[1])
