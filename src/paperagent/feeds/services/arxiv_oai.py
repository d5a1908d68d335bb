"""``arxiv-oai:cs?from=2026-05-01``: arXiv by OAI-PMH, for backfills of any length.

A list is given page by page against a resumption token. A token is kept once its page is in the
library, so that a killed run goes on there; one that has expired is replaced by a new list from the last
day seen. A token that comes again, or pages without end and without records, are the server's fault.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, strict_xml
from paperagent.feeds.formats import oai_pmh
from paperagent.feeds.services.arxiv import PACE
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, fingerprint, is_day
from paperagent.feeds.services.response import RetryableError, ServiceResponse

SCHEME = "arxiv-oai"
BASE = "https://oaipmh.arxiv.org/oai"
OPTIONS = frozenset({"from", "until", "prefix"})
DEFAULT_DAYS = 7

_SET = re.compile(r"[A-Za-z0-9.:_-]{0,80}")
_EMPTY_IN_A_ROW = 5
_KEPT = 1_000
"""Fingerprints of tokens looked back on, to notice a loop."""


def check(query: ServiceQuery) -> None:
    """Raise FeedError where the text is no set."""
    if not _SET.fullmatch(query.text) or query.options.get("prefix", "arXiv") not in _PREFIXES:
        raise FeedError(
            f"{query.label}: no set of arXiv; write arxiv-oai:cs?from=2026-05-01 "
            "(prefix: arXiv, arXivRaw or oai_dc)"
        )


_PREFIXES = frozenset({"arXiv", "arXivRaw", "oai_dc"})


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the list page by page.

    ``state`` in the middle: the token, what was asked first and how far the list is (``last``, and
    whether its days are in order). At the end ``{"mark"}``: the server's day when the list was begun.
    """
    check(query)
    now: ResumeState = dict(state) if state.get("token") else {"from": _first(query, state)}
    if "mark" in state and now["from"] > query.options.get("until", now["from"]):
        yield FeedPage([], state, 0, f"was read whole, up to {query.options['until']}")
        return
    tokens: dict[str, None] = {}
    empty, renewed = 0, False
    while True:
        page = client.get(
            client.access.urls.get(SCHEME, BASE),
            _read,
            label=query.label,
            pace=PACE,
            params=_params(query, now),
        )
        if page.error and page.error[0] == oai_pmh.BAD_TOKEN and now.get("token") and not renewed:
            now, renewed = _renewed(now), True
            tokens.clear()
            continue
        if page.error:
            raise oai_pmh.refused(page.error, query.label)
        begun = next(filter(is_day, (now.get("begun"), page.answered[:10])), now["from"])
        if page.token is None:
            yield FeedPage(page.entries, {"mark": begun}, page.size)
            return
        empty = 0 if page.entries else empty + 1
        if fault := _loop(page.token, tokens, empty):
            yield FeedPage(page.entries, now, page.size)
            raise FeedError(f"{query.label}: {fault}; run it again later, or with --anew")
        now, renewed = _further(now, page, begun), renewed and not page.entries
        yield FeedPage(page.entries, now, page.size)


def _renewed(now: ResumeState) -> ResumeState:
    """Return where a new list begins after a token has expired: at the last day seen, if in order."""
    in_order = now.get("ordered") and now.get("last")
    return {"from": now["last"] if in_order else now["from"], "begun": now.get("begun")}


def _read(reply: ServiceResponse) -> oai_pmh.OaiPage:
    try:
        return oai_pmh.read(reply.text(), reply.label)
    except strict_xml.BrokenXmlError as error:
        raise RetryableError(str(error).removeprefix(f"{reply.label}: ").partition(";")[0]) from None


def _first(query: ServiceQuery, state: ResumeState) -> str:
    """Return the day to begin at: after a whole run the day of that run, else as asked, else a week back."""
    week = (dates.today() - dt.timedelta(days=DEFAULT_DAYS)).isoformat()
    return next(filter(is_day, (state.get("mark"), query.options.get("from"))), week)


def _params(query: ServiceQuery, now: ResumeState) -> dict[str, str | int]:
    if token := now.get("token"):
        return {"verb": "ListRecords", "resumptionToken": str(token)}
    params: dict[str, str | int] = {
        "verb": "ListRecords",
        "metadataPrefix": query.options.get("prefix", "arXiv"),
        "from": str(now["from"]),
    }
    if query.text:
        params["set"] = query.text
    if "until" in query.options:
        params["until"] = query.options["until"]
    return params


def _loop(token: str, tokens: dict[str, None], empty: int) -> str | None:
    """Return what is wrong with a list that does not get on, else None; remember the token."""
    mark = fingerprint(token)
    if mark in tokens:
        return "the server repeats a resumption token"
    tokens[mark] = None
    if len(tokens) > _KEPT:
        del tokens[next(iter(tokens))]
    return f"{empty} pages in a row without a record" if empty >= _EMPTY_IN_A_ROW else None


def _further(now: ResumeState, page: oai_pmh.OaiPage, begun: str) -> ResumeState:
    """Return the state after a page: the token to ask with, and how far the list is."""
    stamps = [stamp[:10] for stamp in page.stamps if stamp]
    run = [str(now.get("last", "")), *stamps]
    ordered = bool(now.get("ordered", True)) and run == sorted(run)
    last = stamps[-1] if stamps else now.get("last", "")
    return {"from": now["from"], "token": page.token, "begun": begun, "last": last, "ordered": ordered}
