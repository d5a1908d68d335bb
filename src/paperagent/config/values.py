"""Parse and check the value of a single setting.

Every function takes the text of a setting and returns its value, or raises a ValueError whose message is
``reason; fix``. No message repeats a value that may hold a secret.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import socket
import zoneinfo
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from paperagent.errors import visible

_PLACEHOLDER = re.compile(
    r"(sk-)?(x{3,}|\.{3,}|\*{3,})\Z|.*\byour[-_ ]|.*placeholder|change[-_ ]?me|replace[-_ ]|<.*>\Z",
    re.IGNORECASE,
)
_ENDPOINT_PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_CLOUD_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?\Z")
MIN_SECRET_BYTES = 32
MAX_SECRETS = 2
EXAMPLE_SECRET = "replace-with-the-output-of-openssl-rand-hex-32"  # noqa: S105 - refused as a value below
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(value: str) -> str:
    """Accept printable text that is not empty, and trim it."""
    value = value.strip()
    if not value:
        raise ValueError("is empty; give a value or remove the line")
    if not value.isprintable():
        raise ValueError("contains a control character; remove it")
    return value


def choice(*allowed: str) -> Callable[[str], str]:
    """Accept one of ``allowed``, ignoring case."""

    def parse(value: str) -> str:
        lowered = text(value).lower()
        if lowered not in allowed:
            raise ValueError(f"must be {' or '.join(allowed)}, got {_quote(value)}")
        return lowered

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    """Accept an integer in ``low..high``."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text(value)):
            raise ValueError(f"must be an integer {low}..{high}, got {_quote(value)}")
        if not low <= int(value) <= high:
            raise ValueError(f"must be an integer {low}..{high}, got {_quote(value)}")
        return int(value)

    return parse


def number(low: float, high: float, *, exclude_low: bool = False) -> Callable[[str], float]:
    """Accept a finite number in ``low..high``, with ``exclude_low`` only above ``low``."""

    def parse(value: str) -> float:
        try:
            parsed = float(text(value))
        except ValueError:
            parsed = math.nan
        if not math.isfinite(parsed) or not low <= parsed <= high or (exclude_low and parsed == low):
            limits = f"> {low:g} and at most {high:g}" if exclude_low else f"{low:g}..{high:g}"
            raise ValueError(f"must be a number {limits}, got {_quote(value)}")
        return parsed

    return parse


def price(value: str) -> str:
    """Accept ``INPUT,OUTPUT`` or ``INPUT,OUTPUT,CACHED``, in US dollars per million tokens."""
    parts = text(value).split(",")
    try:
        dollars = [float(part) for part in parts]
    except ValueError:
        dollars = []
    if len(dollars) not in (2, 3) or not all(0 <= amount < 1e6 for amount in dollars):
        raise ValueError(
            "must be INPUT,OUTPUT or INPUT,OUTPUT,CACHED in US dollars per million tokens, "
            f"such as 0.1,0.5,0.01; got {_quote(value)}"
        )
    return ",".join(f"{amount:.12g}" for amount in dollars)


def flag(value: str) -> bool:
    """Accept true/false, yes/no, on/off, 1/0."""
    lowered = text(value).lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(f"must be true or false, got {_quote(value)}")
    return lowered in _TRUE


def judge(value: str | bool) -> str:  # noqa: FBT001 - this setting was a flag in earlier versions
    """Accept auto, always or never; true means always, false means never."""
    if isinstance(value, bool):
        return "always" if value else "never"
    lowered = text(value).lower()
    if lowered in _TRUE | _FALSE:
        return "always" if lowered in _TRUE else "never"
    return choice("auto", "always", "never")(value)


def path(value: str) -> Path:
    """Accept a path; expand ``~`` and ``$NAME`` and make it absolute."""
    value = text(value)
    expanded = os.path.expandvars(value)
    undefined = re.search(r"\$(\w+|\{\w+\})", expanded)
    if undefined:
        raise ValueError(f"{undefined[0]} is not defined; write the full path")
    try:
        return Path(os.path.abspath(Path(expanded).expanduser()))  # noqa: PTH100 - resolve() would follow links
    except RuntimeError as error:  # ``~user`` for an unknown user
        raise ValueError("the home folder after ~ is unknown; write the full path") from error


def folder(value: str) -> Path:
    """Accept the path of an existing folder."""
    absolute = path(value)
    if not absolute.is_dir():
        reason = "is a file, not a folder" if absolute.exists() else "no such folder"
        raise ValueError(f"{reason}: {visible(str(absolute))}; give an existing folder")
    return absolute


def embedder(value: str) -> str:
    """Accept ``minilm``, ``minilm-fp32``, ``none`` or ``openai:MODEL``."""
    value = text(value)
    name, colon, model = value.partition(":")
    if name == "openai" and colon and model:
        return value
    if value not in {"minilm", "minilm-fp32", "none"}:
        raise ValueError(f"must be minilm, minilm-fp32, openai:MODEL or none, got {_quote(value)}")
    return value


def api_key(value: str) -> str:
    """Accept a key that fits into an HTTP header and is not a placeholder."""
    if not value.strip():
        raise ValueError("is empty; set the key, or remove the variable to work without an endpoint")
    value = value.strip()
    for position, char in enumerate(value, 1):
        if not "!" <= char <= "~":
            raise ValueError(
                f"not a valid header value (character {position} of {len(value)}); copy the key again"
            )
    if _PLACEHOLDER.match(value):
        raise ValueError("looks like a placeholder; set the real key, or remove the variable")
    return value


def base_url(value: str) -> str:
    """Accept the base URL of an OpenAI-compatible server, such as ``http://localhost:8080/v1``."""
    if "://" not in text(value):
        raise ValueError(f"the scheme must be http or https; write {_with_scheme(value.strip())}")
    parts = _web_address(value)
    if parts.path.rstrip("/").endswith(_ENDPOINT_PATHS):
        raise ValueError("is the URL of one API call; give the base URL (…/v1)")
    return parts.geturl().rstrip("/")


def _with_scheme(value: str) -> str:
    """Complete a URL without a scheme: http for this machine and its network, https for others."""
    if re.search(r"[@?#\s]|:/", value):  # may contain a secret
        return "https://HOST/…"
    parts = _split(f"//{value.removeprefix('//')}")
    host = (parts.hostname or "").rstrip(".")
    is_nearby = is_loopback(host) or host.endswith(".local") or "." not in host
    with suppress(ValueError):
        is_nearby = ipaddress.ip_address(host).is_private
    return visible(
        f"{'http' if is_nearby else 'https'}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}", limit=80
    )


def web_url(value: str) -> str:
    """Accept an http(s) URL without credentials or query."""
    return _web_address(value).geturl().rstrip("/")


def chroma_url(value: str) -> str:
    """Accept the address of a Chroma server, or ``cloud://TENANT/DATABASE``."""
    value = text(value)
    if value.lower().startswith(("http://", "https://")):
        url = web_url(value)
        if re.search(r"/api/v\d", url):
            raise ValueError("is the URL of the server's API; write only http://HOST:PORT")
        return url
    if not value.lower().startswith("cloud:"):
        raise ValueError("must be http://HOST:PORT, https://HOST:PORT or cloud://TENANT/DATABASE")
    named = re.fullmatch(r"cloud://([^/?#@]+)/([^/?#@]+)/?", value, re.IGNORECASE)
    if named is None or not all(_CLOUD_NAME.fullmatch(part) for part in named.groups()):
        raise ValueError("must be cloud://TENANT/DATABASE (value hidden); put the key into its own variable")
    return f"cloud://{named[1]}/{named[2]}"


FEED_SERVICES = frozenset("arxiv arxiv-rss arxiv-oai hf-daily s2 openalex zotero".split())


def feed_urls(value: str) -> str:
    """Accept ``SERVICE=URL,SERVICE=URL``."""
    urls = {}
    for entry in text(value).split(","):
        name, equals, url = entry.strip().partition("=")
        if not equals or name not in FEED_SERVICES:
            services = ", ".join(sorted(FEED_SERVICES))
            raise ValueError(
                f"must be SERVICE=URL,…, where SERVICE is one of {services}; got {_quote(entry.strip())}"
            )
        urls[name] = _web_address(url).geturl().rstrip("/")
    return ",".join(f"{name}={url}" for name, url in urls.items())


def not_public(url: str) -> str | None:
    """Return why the text of a URL does not point to the public internet over https, or None if it does."""
    from paperagent.feeds.services.ssrf_guard import is_public

    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    with suppress(OSError):  # accepts short forms such as 127.1 and 0x7f.1
        host = socket.inet_ntoa(socket.inet_aton(host))
    numeric = ":" in host or host.replace(".", "").isdecimal()
    if is_loopback(host) or host.endswith((".localhost", ".local", ".internal")):
        return "a private address"
    if numeric and not is_public(host):
        return "a private address"
    return "http:// would send requests and keys unencrypted" if parts.scheme == "http" else None


def contact(value: str) -> str:
    """Accept a mail or web address that fits into an HTTP header."""
    value = text(value)
    if not value.isascii() or len(value) > 200 or not re.fullmatch(r"[^\s()<>]+", value):
        raise ValueError("must be a mail or web address in ASCII, without spaces; write me@example.org")
    return value


def public_url(value: str) -> str:
    """Accept the public URL of the web page: https, or http on this machine."""
    parts = _web_address(value)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https (RFC 8058: one-click unsubscribe); use https://…")
    return parts.geturl().rstrip("/")


def smtp_url(value: str) -> str:
    """Accept ``smtp[s]://[USER:PASSWORD@]HOST[:PORT]``."""
    parts = _split(text(value))
    if parts.scheme not in {"smtp", "smtps"}:
        raise ValueError("the scheme must be smtp or smtps; write smtp://USER:PASSWORD@HOST:587")
    if not parts.hostname:
        raise ValueError("has no host; write smtp://USER:PASSWORD@HOST:587")
    if parts.username and not parts.password:
        raise ValueError("has a user but no password; write smtp://USER:PASSWORD@HOST:587")
    return value.strip()


def imap_url(value: str) -> str:
    """Accept ``imap[s]://USER:PASSWORD@HOST[:PORT][/FOLDER]``."""
    parts = _split(text(value))
    if parts.scheme not in {"imap", "imaps"}:
        raise ValueError("the scheme must be imap or imaps; write imaps://USER:PASSWORD@HOST/INBOX")
    if not (parts.hostname and parts.username and parts.password):
        raise ValueError("needs a user, a password and a host; write imaps://USER:PASSWORD@HOST/INBOX")
    if not unquote(parts.path).isascii():
        raise ValueError("the folder must be in ASCII (value hidden); use another folder, or its UTF-7 name")
    return value.strip()


def mail_address(value: str) -> str:
    """Accept ``a@b.c`` or ``Name <a@b.c>`` on one line."""
    if any(not c.isprintable() for c in value):
        raise ValueError("contains a control character; write name@example.org")
    value = text(value)
    named = re.fullmatch(r"([^<>@\"]*)<([^<>]*)>", value)
    if not _EMAIL.match(named[2] if named else value):
        raise ValueError("not an email address; write name@example.org or Name <name@example.org>")
    return value


def timezone(value: str) -> str:
    """Accept the name of a time zone in the IANA database."""
    try:
        return zoneinfo.ZoneInfo(text(value)).key
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"unknown time zone {_quote(value)}; use one such as Europe/Berlin") from None


def dns_name(value: str) -> str:
    """Accept a name in DNS, in ASCII, and write it in lower case."""
    name = text(value).lower().rstrip(".")
    if len(name) > 253 or not re.fullmatch(
        r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", name
    ):
        raise ValueError(f"must be a name in DNS, such as s1 or example.org; got {_quote(value)}")
    return name


def askers(value: str) -> str:
    """Accept mail addresses and ``@domain`` entries, separated by commas, and write them in lower case."""
    entries = [entry.strip().lower() for entry in text(value).split(",") if entry.strip()]
    for entry in entries:
        if not _EMAIL.match(f"someone{entry}" if entry.startswith("@") else entry):
            raise ValueError(f"{_quote(entry)} is not an email address; write ana@example.org,@example.com")
    return ",".join(dict.fromkeys(entries))


def networks(value: str) -> str:
    """Accept IP addresses and networks, separated by commas."""
    entries = [entry.strip() for entry in text(value).split(",") if entry.strip()]
    try:
        return ",".join(str(ipaddress.ip_network(entry)) for entry in entries)
    except ValueError:
        raise ValueError("must be IP addresses or networks; write 127.0.0.1,10.0.0.0/8") from None


def header_name(value: str) -> str:
    """Accept the name of an HTTP header."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,60}", text(value)):
        raise ValueError(f"must be the name of an HTTP header, such as Remote-User; got {_quote(value)}")
    return value.strip()


def signing_secret(value: str) -> str:
    """Accept a secret of at least 32 bytes that is not the example, or a new and an old one with a comma."""
    secrets = [part.strip() for part in text(value).split(",")]
    if len(secrets) > MAX_SECRETS:
        raise ValueError(f"holds {len(secrets)} secrets; give the new one and the old one")
    for secret in secrets:
        if secret == EXAMPLE_SECRET or len(set(secret)) < 8:
            raise ValueError("is the example or too regular; create one: openssl rand -hex 32")
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"is shorter than {MIN_SECRET_BYTES} bytes; create one: openssl rand -hex 32")
    return ",".join(secrets)


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def proxy(value: str) -> None:
    """Check a proxy variable of the environment; the HTTP clients read it themselves."""
    parts = _split(value if "://" in value else f"http://{value}")
    if not parts.hostname or parts.scheme not in {"http", "https", "socks5", "socks5h"}:
        raise ValueError("not a proxy URL; write http://HOST:PORT or unset it")


def _web_address(value: str) -> SplitResult:
    parts = _split(text(value))
    if parts.scheme not in {"http", "https"}:
        raise ValueError("the scheme must be http or https; write https://HOST/…")
    if not parts.hostname:
        raise ValueError("has no host; write https://HOST/…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials in the URL are not allowed (value hidden); use the key's own variable")
    if parts.query or parts.fragment:
        raise ValueError("a query may hold a secret (value hidden); remove everything from '?' or '#' on")
    return parts


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError("not a valid URL: the host or port is wrong (ports: 1..65535)") from error
    if port == 0:
        raise ValueError("the port must be 1..65535")
    return parts


def _quote(value: str) -> str:
    return f"'{visible(value, limit=40)}'"
