"""Who sent a request, what the visitor may do, and how questions are answered.

A visitor is the person at this machine, who may do everything; a signed-in reader; or an anonymous one.
The network address comes from the connection, or from a trusted proxy's headers.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Scope

from paperagent.digest.database import format_timestamp
from paperagent.web.rate_limit import network_of

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.llm.pricing import Price
    from paperagent.types import AskMode
    from paperagent.web.site import Site

COOKIE = "__Host-paperagent"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_COST_PER_ANSWER = 0.05
"""US dollars that one answer may cost if the settings set no limit."""
BUDGET_USED_UP = "Today's budget for the model is used up, so this answer quotes the abstracts."
_FORWARDING_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# --- where a request comes from ---


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender of a request, as far as the network tells."""

    address: str
    """The IP address of the reader, which a trusted proxy may have named."""
    is_https: bool
    """Whether the reader used HTTPS, as a trusted proxy says."""
    through_proxy: bool
    """Whether a trusted proxy sent it."""
    is_local: bool
    """Whether it was sent by a program on this machine, to a name of this machine."""


def origin(site: Site, scope: Scope) -> Origin:
    """Return where a request comes from."""
    if (result := scope.get("paperagent.origin")) is None:
        result = scope["paperagent.origin"] = _origin(site.settings, site.public_url, scope)
    assert isinstance(result, Origin)
    return result


def _origin(settings: Settings, public_url: str | None, scope: Scope) -> Origin:
    headers = Headers(scope=scope)
    peer = (scope.get("client") or ("",))[0]
    trusted = _networks(settings.web_trusted_proxies or "")
    through_proxy = _is_in(peer, trusted)
    forwarded = [header for header in _FORWARDING_HEADERS if header in headers]
    address, is_https = peer, False
    if through_proxy:
        hops = [hop for value in headers.getlist("x-forwarded-for") for hop in value.split(",")]
        for hop in map(_without_port, reversed(hops)):
            if _parse(hop) is None:
                break
            address = hop
            if not _is_in(hop, trusted):
                break
        is_https = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower() == "https"
    # Behind a public address, a proxy on this machine that sends no headers would look like a person at it,
    # unless the settings say which addresses are proxies.
    public_host = urlsplit(public_url or "").hostname or "localhost"
    can_tell = public_host in LOOPBACK_HOSTS or bool(trusted)
    is_local = can_tell and not forwarded and _is_loopback(peer) and host_name(headers) in LOOPBACK_HOSTS
    return Origin(address, is_https, through_proxy, is_local)


def host_name(headers: Headers) -> str:
    """Return the name that a request was sent to, in lower case; empty if it is none."""
    try:
        return (urlsplit(f"//{headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


@lru_cache(maxsize=8)
def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(entry) for entry in text.split(",") if entry)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def _is_in(address: str, networks: tuple[_Network, ...]) -> bool:
    ip = _parse(address)
    return ip is not None and any(ip in network for network in networks)


def _is_loopback(address: str) -> bool:
    ip = _parse(address)
    return ip is not None and ip.is_loopback


def _without_port(hop: str) -> str:
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


# --- who it is ---


@dataclass(frozen=True, slots=True)
class Visitor:
    """The sender of a request, with permissions."""

    origin: Origin
    user: str | None = None
    """The email address of a signed-in reader, or the name that the proxy gave."""
    is_asker: bool = False
    """Whether the model answers the visitor's questions."""

    @property
    def is_local(self) -> bool:
        """Whether this is the person at this machine, who may do everything."""
        return self.origin.is_local

    @property
    def key(self) -> str:
        """Identifies the visitor for limits."""
        return self.user or network_of(self.origin.address)


def visitor(site: Site, request: Request) -> Visitor:
    """Return who sent a request. The session of a cookie is looked up in the web database.

    Raises:
        StoreError: the web database cannot be used.
    """
    if (result := request.scope.get("paperagent.visitor")) is None:
        result = request.scope["paperagent.visitor"] = _visitor(site, request)
    assert isinstance(result, Visitor)
    return result


def _visitor(site: Site, request: Request) -> Visitor:
    result, settings = Visitor(origin(site, request.scope)), site.settings
    if settings.web_user_header and result.origin.through_proxy:
        user = request.headers.get(settings.web_user_header, "").strip().lower()
        if user:
            asker = not settings.web_askers or is_asker(settings, user)
            return replace(result, user=user[:200], is_asker=asker)
    if (cookie := request.cookies.get(COOKIE)) and settings.web_askers:
        with site.database.reading() as db:
            row = db.execute(
                "SELECT address FROM session WHERE hash = ? AND expires_at > ?",
                (token_hash(cookie), format_timestamp(site.clock())),
            ).fetchone()
        if row and is_asker(settings, row[0]):  # the operator may have removed the address since
            return replace(result, user=row[0], is_asker=True)
    return result


def is_asker(settings: Settings, address: str) -> bool:
    """Return whether an address may sign in and ask the model."""
    address = address.lower()
    entries = (settings.web_askers or "").split(",")
    return bool(address) and (address in entries or f"@{address.rpartition('@')[2]}" in entries)


def token_hash(token: str) -> str:
    """Return the hash of a random token. Only hashes are stored, so a copy of the file opens no session."""
    return hashlib.sha256(token.encode()).hexdigest()


def can_sign_in(settings: Settings) -> bool:
    """Return whether readers can sign in by an emailed link."""
    return bool(settings.web_askers) and settings.can_mail_links


def may_read(site: Site, request: Request) -> bool:
    """Return whether the visitor may read the pages of the library."""
    if site.settings.web_read == "public":
        return True
    who = visitor(site, request)
    return who.is_local or who.user is not None


def is_personal(site: Site, request: Request) -> bool:
    """Return whether shared caches must not keep a page of the library for other readers."""
    return site.settings.web_read != "public" or visitor(site, request).user is not None


# --- how a question is answered ---


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """How one question is answered. Its reservation must be settled when the answer is done."""

    mode: AskMode
    max_cost: float | None = None
    """US dollars; None for the limit of the settings."""
    note: str = ""
    """Shown with the answer."""
    reservation: int | None = None


def ask_mode(site: Site, request: Request) -> str:
    """Return how the visitor's questions are answered: ``off``, ``extractive`` or ``model``."""
    who, settings = visitor(site, request), site.settings
    if who.is_local or who.is_asker:
        return "extractive" if settings.answer_mode == "extractive" else "model"
    if settings.web_ask == "model" and model_price(settings) is None:
        return "extractive"  # no limit on cost could be kept
    return settings.web_ask


def require_asking(site: Site, request: Request) -> None:
    """Raise 403 if the visitor may not ask."""
    if ask_mode(site, request) == "off":
        raise HTTPException(403, "Only signed-in readers can ask questions here.")


def plan_answer(site: Site, request: Request) -> AnswerPlan:
    """Decide how a question is answered, and reserve the most that the answer can cost.

    Raises:
        HTTPException: 403 if the visitor may not ask.
        StoreError: the web database cannot be used.
    """
    require_asking(site, request)
    who, settings = visitor(site, request), site.settings
    if ask_mode(site, request) == "extractive":
        return AnswerPlan("extractive")
    price = model_price(settings)
    if who.is_local or price is None or not any(price):
        return AnswerPlan(settings.answer_mode)
    limits = (settings.max_cost_per_answer, MAX_COST_PER_ANSWER)
    most = min(
        next(limit for limit in limits if limit is not None),
        settings.web_max_cost_per_day,
        settings.web_max_cost_per_asker_per_day,
    )
    reservation = site.spending.reserve(who.key, most) if most else None
    if reservation is None:
        return AnswerPlan("extractive", note=BUDGET_USED_UP)
    return AnswerPlan(settings.answer_mode, max_cost=most, reservation=reservation)


def warnings(settings: Settings) -> list[str]:
    """Return messages about settings that probably do not do what the operator intends."""
    result = []
    asks_model = settings.web_ask == "model" or settings.web_askers or settings.web_user_header
    if asks_model and settings.answer_mode != "extractive" and model_price(settings) is None:
        result.append(
            "PAPERAGENT_PRICE: not set, and the model's price is not known, so its cost cannot be limited: "
            "signed-in readers are answered by the model, all others with quoted sentences"
        )
    if (urlsplit(settings.public_url or "").hostname or "localhost") not in LOOPBACK_HOSTS and (
        settings.web_trusted_proxies is None
    ):
        result.append(
            "PAPERAGENT_WEB_TRUSTED_PROXIES: not set; behind a proxy, all readers share one rate limit, "
            "and the person at this machine counts as a reader"
        )
    if urlsplit(settings.public_url or "").path.strip("/"):
        result.append("PAPERAGENT_PUBLIC_URL: has a path, but links start at the root of the host")
    return result


def model_price(settings: Settings) -> Price | None:
    """Return the price of the model that writes answers; None if it is not known."""
    from paperagent.factory.llm import configured_price, model_name
    from paperagent.llm import pricing

    return configured_price(settings) or pricing.catalog().get(model_name(settings) or "").price
