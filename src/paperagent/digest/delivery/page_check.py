"""Checks that the web page accepts the links in emails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperagent.errors import visible
from paperagent.http_limits import trace_connections
from paperagent.time_limits import Deadline

if TYPE_CHECKING:
    from paperagent.digest.links import SignedTokens

TIMEOUT_SECONDS = 3.0
_MAX_BYTES = 1_000


def page_problem(public_url: str | None, tokens: SignedTokens | None) -> str | None:
    """Return why the links in emails would not work, with the fix; None if they work or if there are none.

    Two pages are fetched: the health check, and an unsubscribe page with a token that belongs to nobody. A
    server with another secret refuses the token.
    """
    if public_url is None or tokens is None:
        return None
    problem = _fetch_problem(f"{public_url}/healthz", contains=b'"ok"')
    if problem is not None:
        return (
            f"PAPERAGENT_PUBLIC_URL: the links in emails lead to a page that {problem}; "
            "start it with 'paperagent serve', or correct the address"
        )
    if _fetch_problem(f"{public_url}/unsubscribe/{tokens.create('unsubscribe', 0)}") is not None:
        return (
            "PAPERAGENT_SECRET: the web page does not accept the links in emails; "
            "give 'paperagent serve' the same secret"
        )
    return None


def _fetch_problem(url: str, *, contains: bytes = b"") -> str | None:
    """Return why a page is not usable, such as ``answers with status 500``; None if it is usable."""
    import httpx

    client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
    limits = {"trace": trace_connections}
    try:
        with (
            Deadline.after(TIMEOUT_SECONDS).active(),
            client,
            client.stream("GET", url, extensions=limits) as response,
        ):
            if response.status_code != 200:
                return f"answers with status {response.status_code}"
            start = b""
            for chunk in response.iter_bytes():
                start += chunk
                if len(start) >= _MAX_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = visible(str(error) or type(error).__name__, limit=80)
        return f"does not answer ({reason})"
    return None if contains in start[:_MAX_BYTES] else "is another program's"
