"""Restrict feeds to public hosts, judged by address and not by name (SSRF protection).

A name is resolved once, every address it has must be public, and the connection goes to the address that was
checked, because a second lookup could return another one (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from paperagent.errors import FeedError, visible
from paperagent.time_limits import TooSlowError, resolve

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host and port; raises OSError if there are none."""
Origin = tuple[str, str, int]
"""Scheme, host and port, which a connection or a key belongs to."""

_MAX_URL_LENGTH = 4_000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # the host of an Azure machine: metadata
            "192.0.0.0/24",  # protocol assignments; .192 is Oracle's metadata
            "192.88.99.0/24",  # relays of 6to4, withdrawn
            "3fff::/20",  # documentation (RFC 9637), unknown to ipaddress
        ),
    )
)


@dataclass(frozen=True, slots=True)
class ResolvedUrl:
    """An address that may be fetched, with the checked IP addresses of its host."""

    url: str
    host: str
    """As written in the address: the name that the certificate must have."""
    port: int
    scheme: str
    addresses: tuple[str, ...]
    """In the order of the resolver."""

    def with_address(self, address: str) -> str:
        """Return the URL with the name of the host replaced by ``address``."""
        host = f"[{address}]" if ":" in address else address
        return urlsplit(self.url)._replace(netloc=f"{host}:{self.port}", fragment="").geturl()

    @property
    def origin(self) -> Origin:
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(
    url: str, *, label: str, resolver: Resolver = resolve, allow_private: bool = False
) -> ResolvedUrl:
    """Resolve the host of ``url``.

    Args:
        url: the address to fetch.
        label: the feed's name for messages.
        resolver: looks up the addresses of the host.
        allow_private: whether addresses of this machine and its network are allowed; other rules still apply.

    Raises:
        FeedError: the URL is not valid, or its host is unknown or not public.
        TooSlowError: the deadline passed.
    """
    parts = split_url(url, label=label)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    name = visible(host, limit=80)
    try:
        addresses = tuple(resolver(host, port))
    except TooSlowError:
        raise
    except (OSError, UnicodeError):
        raise FeedError(
            f"{label}: no host with the name {name} is known; check the address or the connection"
        ) from None
    for address in addresses:
        if not allow_private and not is_public(address):
            raise FeedError(
                f"{label}: address not allowed: {name} is on a private network; give a public address"
            )
    if not addresses:
        raise FeedError(f"{label}: {name} has no address; check the name")
    return ResolvedUrl(url, host, port, parts.scheme, addresses)


def redirect_url(target: ResolvedUrl, location: str, *, label: str) -> str:
    """Return the address that a redirect leads to; raise FeedError for one from https to http."""
    try:
        url = urljoin(target.url, location)
    except ValueError:
        raise FeedError(f"{label}: redirected to no valid address; check the address") from None
    if target.scheme == "https" and split_url(url, label=label).scheme != "https":
        raise FeedError(f"{label}: redirected from https to http; give the https address")
    return url


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet, also if it wraps an IPv4 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip in _NAT64_LOCAL or ip.is_site_local:
            return False
    if any(ip in network for network in _NOT_PUBLIC):  # False for networks of the other IP version
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def split_url(url: str, *, label: str) -> SplitResult:
    """Return the parts of an http(s) address without credentials; raise FeedError for any other."""
    is_malformed = (
        len(url) > _MAX_URL_LENGTH or not url.isascii() or any(c <= " " or c in "\x7f\\" for c in url)
    )
    try:
        parts = urlsplit("" if is_malformed else url)
        port = parts.port
    except ValueError:
        is_malformed, parts, port = True, urlsplit(""), None
    if is_malformed:
        raise FeedError(f"{label}: not a valid address; write it in ASCII, without spaces")
    if parts.scheme not in _DEFAULT_PORTS:
        raise FeedError(f"{label}: scheme not allowed; use http or https")
    if not parts.hostname or port == 0:
        raise FeedError(f"{label}: not a valid address: no host, or a bad port; write https://HOST/…")
    if "@" in parts.netloc:
        raise FeedError(f"{label}: credentials in the address are not allowed (not shown); remove them")
    return parts
