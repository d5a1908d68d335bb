"""Which machines a feed may be fetched from: public ones, checked by address and not by name.

A name is resolved once, every address that it has must be public, and the connection is made to the
address that was checked (a second look-up could answer otherwise: DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from paperagent.errors import FeedError, visible

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host; raises OSError where there are none."""

_LONGEST = 4_000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # the host of an Azure machine: metadata
            "192.0.0.0/24",  # protocol assignments; .192 is Oracle's metadata
            "192.88.99.0/24",  # relays of 6to4, withdrawn
            "3fff::/20",  # documentation (RFC 9637), newer than what ipaddress knows
        ),
    )
)

Origin = tuple[str, str, int]
"""Scheme, host and port: what a connection, and a key, is for."""


@dataclass(frozen=True, slots=True)
class ResolvedUrl:
    """An address that may be fetched, with the machine that it is on."""

    url: str
    host: str
    """As it stands in the address: what the certificate must name."""
    port: int
    scheme: str
    addresses: tuple[str, ...]
    """Checked; in the order of the resolver."""

    def pinned(self, address: str) -> str:
        """Return the address of the page with the host's name replaced by ``address``."""
        parts = urlsplit(self.url)
        shown = f"[{address}]" if ":" in address else address
        return parts._replace(netloc=f"{shown}:{self.port}", fragment="").geturl()

    @property
    def origin(self) -> Origin:
        """What the connection is for."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """The value of the header ``Host``."""
        standard = {"http": 80, "https": 443}[self.scheme]
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == standard else f"{shown}:{self.port}"


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of ``host``, from the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_url(
    url: str, *, label: str, lookup: Resolver = resolve_host, allow_private: bool = False
) -> ResolvedUrl:
    """Return where ``url`` leads. Raises FeedError where that is no public machine.

    ``allow_private`` lets this machine and its network through; other rules stay.
    """
    parts = split_url(url, label=label)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = tuple(lookup(host, port))
    except (OSError, UnicodeError):
        raise FeedError(
            f"{label}: no machine of the name {visible(host, limit=80)} is known; check the address or the "
            "connection"
        ) from None
    for address in addresses:
        if not allow_private and not is_public(address):
            raise FeedError(
                f"{label}: address not allowed: {visible(host, limit=80)} is on a private network; "
                "give a public address"
            )
    if not addresses:
        raise FeedError(f"{label}: {visible(host, limit=80)} has no address; check the name")
    return ResolvedUrl(url, host, port, parts.scheme, addresses)


def redirect_url(target: ResolvedUrl, location: str, *, label: str) -> str:
    """Return the address that a redirect leads to. Raises FeedError for one from https to http."""
    try:
        url = urljoin(target.url, location)
    except ValueError:
        raise FeedError(f"{label}: redirected to no valid address; check the address") from None
    if target.scheme == "https" and split_url(url, label=label).scheme != "https":
        raise FeedError(f"{label}: redirected from https to http; give the https address")
    return url


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, also where it wraps an IPv4 address."""
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
    if any(ip in network for network in _NOT_PUBLIC):  # False where the versions differ
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def split_url(url: str, *, label: str) -> SplitResult:
    """Return the parts of an http(s) address without credentials. Raises FeedError for any other."""
    odd = len(url) > _LONGEST or not url.isascii() or any(c <= " " or c in "\x7f\\" for c in url)
    try:
        parts = urlsplit("" if odd else url)
        port = parts.port
    except ValueError:
        odd, parts, port = True, urlsplit(""), None
    if odd:
        raise FeedError(f"{label}: not a valid address; write it in ASCII, without spaces")
    if parts.scheme not in {"http", "https"}:
        raise FeedError(f"{label}: scheme not allowed; use http or https")
    if not parts.hostname or port == 0:
        raise FeedError(f"{label}: not a valid address: no host, or a bad port; write https://HOST/…")
    if "@" in parts.netloc:
        raise FeedError(f"{label}: credentials in the address are not allowed (not shown); remove them")
    return parts
