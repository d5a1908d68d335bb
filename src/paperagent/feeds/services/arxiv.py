"""arXiv's services: the query API, the daily announcements and OAI-PMH.

``arxiv:cs.CL,cs.AI`` asks the query API, newest first (https://info.arxiv.org/help/api/user-manual.html). Its
pitfalls: errors are reported with HTTP 200 as an entry titled "Error", and throttling as the text ``Rate
exceeded.``; a page in the middle may be empty for no reason; one query returns at most 30,000 records.

``arxiv-rss:cs.AI+cs.CL`` gives what arXiv announced today (https://info.arxiv.org/help/rss.html).

``arxiv-oai:cs?from=2026-05-01`` is for backfills of any length. Each page has a resumption token for the next
one. The token is stored once its page is in the library, so that an interrupted run resumes there. If it has
expired, a new list begins at the last day seen. A repeated token, or many pages without records, is treated
as a server error.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import oai_pmh
from paperagent.feeds.formats.arxiv import parse_atom
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceResponse,
    fingerprint,
    is_day,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.strict_xml import BrokenXmlError
from paperagent.types import Paper

API_URL = "https://export.arxiv.org/api/query"
RSS_URL = "https://rss.arxiv.org/atom"
OAI_URL = "https://oaipmh.arxiv.org/oai"
RATE_LIMIT = RateLimit("arxiv", 3.0)
DEFAULT_MAX_RECORDS = 2_000
PAGE_SIZE = 100
MAX_RECORDS = 30_000
"""Maximum number of records that arXiv returns for one query."""
OAI_DEFAULT_DAYS = 7

_THROTTLED = "rate exceeded"
_THROTTLE_WAIT_SECONDS = 30.0
_ARCHIVES = (
    "astro-ph cond-mat cs econ eess gr-qc hep-ex hep-lat hep-ph hep-th math math-ph nlin nucl-ex nucl-th "
    "physics q-bio q-fin quant-ph stat "
    # closed, but their papers remain
    "acc-phys adap-org alg-geom ao-sci atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas dg-ga funct-an "
    "mtrl-th patt-sol plasm-ph q-alg solv-int supr-con"
)
_CATEGORY = re.compile(rf"(?:{_ARCHIVES.replace(' ', '|')})(?:\.(?:[A-Z]{{2}}|[a-z]+(?:-[a-z]+)*|\*))?")
_TOTAL = re.compile(r"totalResults[^<>]{0,200}>\s*(\d{1,9})\s*<")
_OVERLAP = dt.timedelta(days=7)
"""The next run begins this long before the newest paper seen: arXiv lists papers days after submission."""

_OAI_SET = re.compile(r"[A-Za-z0-9.:_-]{0,80}")
_OAI_PREFIXES = frozenset({"arXiv", "arXivRaw", "oai_dc"})
_MAX_EMPTY_PAGES = 5
_MAX_TOKENS = 1_000
"""Number of token fingerprints remembered to detect a loop."""


# --- query API ---


def check_query(query: ServiceQuery) -> None:
    """Raise FeedError if the text names no category, id or search."""
    _query_params(query)


def query_pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of a query.

    The state is ``{"start", "newest"}`` between two pages and ``{"mark"}`` (the day of the newest paper) at
    the end.
    """
    params = _query_params(query)
    if "search_query" in params:
        params["search_query"] = _limit_to_days(params["search_query"], query, state)
        params |= {"sortBy": "submittedDate", "sortOrder": "descending"}
    has_start = "from" in query.options or "mark" in state
    limit = min(query.max_records(MAX_RECORDS if has_start else DEFAULT_MAX_RECORDS), MAX_RECORDS)
    start, newest = int(state.get("start", 0)), str(state.get("newest", ""))
    while start < limit:
        size = min(PAGE_SIZE, limit - start)
        entries, total = client.fetch(
            client.config.base_urls.get("arxiv", API_URL),
            lambda response, start=start: _parse_query_page(response, start),  # type: ignore[misc]
            label=query.label,
            rate_limit=RATE_LIMIT,
            params={**params, "start": start, "max_results": size},
        )
        days = [e.published.isoformat() for e in entries if isinstance(e, Paper) and e.published]
        newest = max([newest, *days])
        start += len(entries)
        if not entries or start >= min(total, limit):
            note = f"arXiv gives {MAX_RECORDS:,} papers for one query; read the others with arxiv-oai:"
            is_cut = total > MAX_RECORDS <= start
            mark = min(newest, dates.today().isoformat()) or str(state.get("mark", ""))
            yield FeedPage(entries, {"mark": mark} if mark else {}, total, note if is_cut else "")
            return
        yield FeedPage(entries, {**state, "start": start, "newest": newest}, total)


def _query_params(query: ServiceQuery) -> dict[str, str]:
    """Return the query parameter: categories, ids, or a search in arXiv's syntax."""
    if categories := _categories(query):
        return {"search_query": " OR ".join(f"cat:{name}" for name in categories)}
    arxiv_ids = [ids.parse_arxiv_id(part) for part in re.split(r"[\s,]+", query.text)]
    if all(arxiv_ids):
        return {"id_list": ",".join(f"{i.id}v{i.version}" if i.version else i.id for i in arxiv_ids if i)}
    if re.search(r"\b(?:ti|au|abs|co|jr|cat|rn|all):", query.text):
        return {"search_query": f"({query.text})"}
    raise FeedError(
        f"{query.label}: not an arXiv category, id or search; write arxiv:cs.CL,cs.AI or arxiv:all:WORDS"
    )


def _categories(query: ServiceQuery) -> list[str]:
    """Return the categories that the text lists; an empty list if it is something else."""
    names = re.split(r"[\s,+]+", query.text)
    return names if all(map(_CATEGORY.fullmatch, names)) else []


def _limit_to_days(search: str, query: ServiceQuery, state: ResumeState) -> str:
    """Return the search limited to the requested days, or to those since the last complete run."""
    first = query.options.get("from")
    if not first and state.get("mark"):
        mark = min(dt.date.fromisoformat(state["mark"]), dates.today())  # a paper may have a future date
        first = (mark - _OVERLAP).isoformat()
    last = query.options.get("until")
    if not first and not last:
        return search
    begin = (first or "1991-01-01").replace("-", "")
    end = (last or (dates.today() + dt.timedelta(days=1)).isoformat()).replace("-", "")
    return f"({search}) AND submittedDate:[{begin}0000 TO {end}2359]"


def _parse_query_page(response: ServiceResponse, start: int) -> tuple[list[FeedEntry], int]:
    """Return the entries of a page and the total number of results."""
    entries = _parse_atom(response)
    match = _TOTAL.search(response.body[:4_000].decode("utf-8", "replace"))
    total = int(match[1]) if match else start + len(entries)
    if not entries and start < total:
        raise RetryableError("arXiv returned an empty page in the middle of the results")
    return entries, total


def _parse_atom(response: ServiceResponse) -> list[FeedEntry]:
    """Return the entries of an Atom feed; raise RetryableError if arXiv throttles or the XML is broken."""
    text = response.text()
    if text.lstrip()[:40].lower().startswith(_THROTTLED):
        raise RetryableError("arXiv said: Rate exceeded.", wait=_THROTTLE_WAIT_SECONDS)
    try:
        return parse_atom(text, response.label)
    except BrokenXmlError as error:
        raise response.retryable(error) from None


# --- daily announcements ---


def check_announcements(query: ServiceQuery) -> None:
    """Raise FeedError if the text names no category."""
    if not _categories(query):
        raise FeedError(f"{query.label}: not an arXiv category; write arxiv-rss:cs.AI+cs.CL")


def announcement_pages(query: ServiceQuery, client: FeedClient, _state: ResumeState) -> Iterator[FeedPage]:
    """Yield the day's one page. There is no state: the service only has the current day."""
    check_announcements(query)
    base_url = client.config.base_urls.get("arxiv-rss", RSS_URL)
    entries = client.fetch(
        f"{base_url}/{'+'.join(_categories(query))}", _parse_atom, label=query.label, rate_limit=RATE_LIMIT
    )
    note = "" if entries else "arXiv announced nothing today (it does not at weekends and on holidays)"
    yield FeedPage(entries, {}, len(entries), note)


# --- OAI-PMH ---


def check_oai_query(query: ServiceQuery) -> None:
    """Raise FeedError if the text is not the name of a set, or the prefix is unknown."""
    if not _OAI_SET.fullmatch(query.text) or query.options.get("prefix", "arXiv") not in _OAI_PREFIXES:
        raise FeedError(
            f"{query.label}: not an arXiv set; write arxiv-oai:cs?from=2026-05-01 "
            "(prefix: arXiv, arXivRaw or oai_dc)"
        )


def oai_pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of a list.

    Between two pages, the state holds the token, the first day of the list, the last day seen and whether the
    days are in order. At the end it is ``{"mark"}``: the server's day when the list was begun.
    """
    check_oai_query(query)
    current: ResumeState = dict(state) if state.get("token") else {"from": _oai_first_day(query, state)}
    if "mark" in state and current["from"] > query.options.get("until", current["from"]):
        yield FeedPage([], state, 0, f"complete up to {query.options['until']}")
        return
    tokens: dict[str, None] = {}
    empty_pages, is_renewed = 0, False
    while True:
        page = client.fetch(
            client.config.base_urls.get("arxiv-oai", OAI_URL),
            _parse_oai_page,
            label=query.label,
            rate_limit=RATE_LIMIT,
            params=_oai_params(query, current),
        )
        if page.error and page.error[0] == oai_pmh.BAD_TOKEN and current.get("token") and not is_renewed:
            current, is_renewed = _renewed_list(current), True
            tokens.clear()
            continue
        if page.error:
            raise oai_pmh.protocol_error(page.error, query.label)
        begun = next(filter(is_day, (current.get("begun"), page.response_date[:10])), current["from"])
        if page.token is None:
            yield FeedPage(page.entries, {"mark": begun}, page.size)
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


def _parse_oai_page(response: ServiceResponse) -> oai_pmh.OaiPage:
    try:
        return oai_pmh.parse_page(response.text(), response.label)
    except BrokenXmlError as error:
        raise response.retryable(error) from None


def _oai_first_day(query: ServiceQuery, state: ResumeState) -> str:
    """Return the first day: that of the last complete run, else the option ``from``, else a week ago."""
    week_ago = (dates.today() - dt.timedelta(days=OAI_DEFAULT_DAYS)).isoformat()
    return next(filter(is_day, (state.get("mark"), query.options.get("from"))), week_ago)


def _oai_params(query: ServiceQuery, state: ResumeState) -> dict[str, str | int]:
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


SERVICES = (
    Service("arxiv", frozenset({"from", "until", "max"}), check_query, query_pages),
    Service("arxiv-rss", frozenset(), check_announcements, announcement_pages),
    Service("arxiv-oai", frozenset({"from", "until", "prefix"}), check_oai_query, oai_pages),
)
