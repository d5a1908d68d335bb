"""arXiv over OAI-PMH: ``arxiv-oai:cs?from=2026-05-01``, for backfills of any length.

Each page has a resumption token for the next one. The token is stored once its page is in the library, so
that an interrupted run resumes there. If it has expired, a new list begins at the last day seen. A repeated
token, or many pages without records, is treated as a server error.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates
from paperagent.feeds.formats import oai_pmh
from paperagent.feeds.services.arxiv import RATE_LIMIT, arxiv_reasons
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    Service,
    ServiceQuery,
    ServiceResponse,
    fingerprint,
    is_day,
)
from paperagent.feeds.strict_xml import BrokenXmlError
from paperagent.text.sanitize import clean_text

API_URL = "https://oaipmh.arxiv.org/oai"
DEFAULT_DAYS = 7

_SET = re.compile(r"[A-Za-z0-9.:_-]{0,80}")
_PREFIXES = frozenset({"arXiv", "arXivRaw", "oai_dc"})
_MAX_EMPTY_PAGES = 5
_MAX_TOKENS = 1_000
"""Number of token fingerprints remembered to detect a loop."""


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the text is not the name of a set, or the prefix is unknown."""
    if not _SET.fullmatch(query.text) or query.options.get("prefix", "arXiv") not in _PREFIXES:
        raise FeedError(
            f"{query.label}: not an arXiv set; write arxiv-oai:cs?from=2026-05-01 "
            "(prefix: arXiv, arXivRaw or oai_dc)"
        )


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of a list.

    Between two pages, the state contains the token, the first day of the list, the last day seen, and whether
    the days are in order. At the end, it is ``{"mark"}``: the server's date when the list began.
    """
    check(query)
    current: ResumeState = dict(state) if state.get("token") else {"from": _first_day(query, state)}
    if "mark" in state and current["from"] > query.options.get("until", current["from"]):
        yield FeedPage([], state, 0, f"complete up to {query.options['until']}")
        return
    tokens: dict[str, None] = {}
    empty_pages, is_renewed = 0, False
    while True:
        with arxiv_reasons(query.label):
            page = client.fetch(
                client.config.base_urls.get("arxiv-oai", API_URL),
                _parse_page,
                label=query.label,
                rate_limit=RATE_LIMIT,
                params=_params(query, current),
            )
        if page.error and page.error[0] == oai_pmh.BAD_TOKEN and current.get("token") and not is_renewed:
            current, is_renewed = _renewed_list(current), True
            tokens.clear()
            continue
        if page.error:
            reason = visible(clean_text(": ".join(filter(None, page.error))), limit=300)
            raise FeedError(f"{query.label}: arXiv said: {reason}; change the query")
        begun = next(filter(is_day, (current.get("begun"), page.response_date[:10])), current["from"])
        if page.token is None:
            note = "" if page.entries or tokens else f"no record has changed since {current['from']}"
            yield FeedPage(page.entries, {"mark": begun}, page.size, note)
            return
        empty_pages = 0 if page.entries else empty_pages + 1
        if problem := _loop_problem(page.token, tokens, empty_pages):
            yield FeedPage(page.entries, current, page.size)
            raise FeedError(f"{query.label}: {problem}; run it again later, or with --restart")
        current, is_renewed = _state_after(current, page, begun), is_renewed and not page.entries
        yield FeedPage(page.entries, current, page.size)


def _renewed_list(state: ResumeState) -> ResumeState:
    """Return where a new list begins after a token has expired: at the last day seen, if in order."""
    in_order = state.get("ordered") and state.get("last")
    return {"from": state["last"] if in_order else state["from"], "begun": state.get("begun")}


def _parse_page(response: ServiceResponse) -> oai_pmh.OaiPage:
    try:
        return oai_pmh.parse_page(response.text(), response.label)
    except BrokenXmlError as error:
        raise response.retryable(error) from None


def _first_day(query: ServiceQuery, state: ResumeState) -> str:
    """Return the first day: that of the last complete run, else the option ``from``, else a week ago."""
    week_ago = (dates.today() - dt.timedelta(days=DEFAULT_DAYS)).isoformat()
    return next(filter(is_day, (state.get("mark"), query.options.get("from"))), week_ago)


def _params(query: ServiceQuery, state: ResumeState) -> dict[str, str | int]:
    if token := state.get("token"):
        return {"verb": "ListRecords", "resumptionToken": str(token)}
    params: dict[str, str | int] = {
        "verb": "ListRecords",
        "metadataPrefix": query.options.get("prefix", "arXiv"),
        "from": str(state["from"]),
    }
    if query.text:
        params["set"] = query.text
    if "until" in query.options:
        params["until"] = query.options["until"]
    return params


def _loop_problem(token: str, tokens: dict[str, None], empty_pages: int) -> str | None:
    """Return why a list makes no progress, or None; remember the token."""
    mark = fingerprint(token)
    if mark in tokens:
        return "the server repeats a resumption token"
    tokens[mark] = None
    if len(tokens) > _MAX_TOKENS:
        del tokens[next(iter(tokens))]
    return f"{empty_pages} pages in a row without a record" if empty_pages >= _MAX_EMPTY_PAGES else None


def _state_after(state: ResumeState, page: oai_pmh.OaiPage, begun: str) -> ResumeState:
    days = [stamp[:10] for stamp in page.datestamps if stamp]
    seen = [str(state.get("last", "")), *days]
    in_order = bool(state.get("ordered", True)) and seen == sorted(seen)
    last = days[-1] if days else state.get("last", "")
    return {"from": state["from"], "token": page.token, "begun": begun, "last": last, "ordered": in_order}


SERVICE = Service("arxiv-oai", frozenset({"from", "until", "prefix"}), check, pages)
