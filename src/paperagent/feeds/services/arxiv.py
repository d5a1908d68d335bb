"""``arxiv:cs.CL,cs.AI``: arXiv's query API, newest first (https://info.arxiv.org/help/api/user-manual.html).

Traps: errors come with HTTP 200 as an entry titled "Error"; throttling as the text ``Rate exceeded.``; a
page in the middle may be empty for no reason; no more than 30,000 records of one query are given.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import arxiv_atom
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import RetryableError, ServiceResponse
from paperagent.types import Paper

SCHEME = "arxiv"
BASE = "https://export.arxiv.org/api/query"
OPTIONS = frozenset({"from", "until", "max"})
PACE = RateLimit("arxiv", 3.0)
DEFAULT_MOST = 2_000
PAGE_SIZE = 100
GIVEN_AT_MOST = 30_000

_THROTTLED = "rate exceeded"
_THROTTLE_PAUSE = 30.0
_ARCHIVES = (
    "astro-ph cond-mat cs econ eess gr-qc hep-ex hep-lat hep-ph hep-th math math-ph nlin nucl-ex nucl-th "
    "physics q-bio q-fin quant-ph stat "
    # closed, their papers stay
    "acc-phys adap-org alg-geom ao-sci atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas dg-ga funct-an "
    "mtrl-th patt-sol plasm-ph q-alg solv-int supr-con"
)
_CATEGORY = re.compile(rf"(?:{_ARCHIVES.replace(' ', '|')})(?:\.(?:[A-Z]{{2}}|[a-z]+(?:-[a-z]+)*|\*))?")
_TOTAL = re.compile(r"totalResults[^<>]{0,200}>\s*(\d{1,9})\s*<")
_OVERLAP = dt.timedelta(days=7)
"""A follow-up begins this long before the newest paper seen: arXiv lists papers days after they came."""


def check(query: ServiceQuery) -> None:
    """Raise FeedError where the text names no category, id or search."""
    _what(query)


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the answer page by page.

    ``state`` is ``{"start", "newest"}`` in the middle, ``{"mark"}`` (the newest paper's day) at the end.
    """
    params = _what(query)
    if "search_query" in params:
        params["search_query"] = _dated(params["search_query"], query, state)
        params |= {"sortBy": "submittedDate", "sortOrder": "descending"}
    known_span = "from" in query.options or "mark" in state
    most = min(query.most(GIVEN_AT_MOST if known_span else DEFAULT_MOST), GIVEN_AT_MOST)
    start, newest = int(state.get("start", 0)), str(state.get("newest", ""))
    while start < most:
        size = min(PAGE_SIZE, most - start)
        entries, total = client.get(
            client.access.urls.get(SCHEME, BASE),
            lambda reply, at=start: _read(reply, at),  # type: ignore[misc]  # bound now, not later
            label=query.label,
            pace=PACE,
            params={**params, "start": start, "max_results": size},
        )
        days = [e.published.isoformat() for e in entries if isinstance(e, Paper) and e.published]
        newest = max([newest, *days])
        start += len(entries)
        if not entries or start >= min(total, most):
            note = f"arXiv gives {GIVEN_AT_MOST:,} papers of a query; read the rest by arxiv-oai:"
            cut = total > GIVEN_AT_MOST <= start
            mark = min(newest, dates.today().isoformat()) or str(state.get("mark", ""))
            yield FeedPage(entries, {"mark": mark} if mark else {}, total, note if cut else "")
            return
        yield FeedPage(entries, {**state, "start": start, "newest": newest}, total)


def read_atom(reply: ServiceResponse) -> list[FeedEntry]:
    """Return the entries of an Atom answer; raise AgainError where arXiv throttles or gave none of it."""
    text = reply.text()
    if text.lstrip()[:40].lower().startswith(_THROTTLED):
        raise RetryableError("arXiv said: Rate exceeded.", wait=_THROTTLE_PAUSE)
    try:
        return list(arxiv_atom.papers(text, reply.label))
    except strict_xml.BrokenXmlError as error:
        raise RetryableError(str(error).removeprefix(f"{reply.label}: ").partition(";")[0]) from None


def categories(query: ServiceQuery) -> list[str]:
    """Return the categories that the text lists, or none where it is something else."""
    named = re.split(r"[\s,+]+", query.text)
    return named if all(map(_CATEGORY.fullmatch, named)) else []


def _read(reply: ServiceResponse, start: int) -> tuple[list[FeedEntry], int]:
    entries = read_atom(reply)
    told = _TOTAL.search(reply.body[:4_000].decode("utf-8", "replace"))
    total = int(told[1]) if told else start + len(entries)
    if not entries and start < total:
        raise RetryableError("arXiv gave an empty page in the middle of the answer")
    return entries, total


def _what(query: ServiceQuery) -> dict[str, str]:
    """Return the parameter that says what is asked for: categories, ids, or a search as arXiv writes it."""
    if named := categories(query):
        return {"search_query": " OR ".join(f"cat:{name}" for name in named)}
    listed = [ids.parse_arxiv_id(part) for part in re.split(r"[\s,]+", query.text)]
    if all(listed):
        return {"id_list": ",".join(f"{i.id}v{i.version}" if i.version else i.id for i in listed if i)}
    if re.search(r"\b(?:ti|au|abs|co|jr|cat|rn|all):", query.text):
        return {"search_query": f"({query.text})"}
    raise FeedError(
        f"{query.label}: no category, id or search of arXiv; write arxiv:cs.CL,cs.AI or arxiv:all:WORDS"
    )


def _dated(search: str, query: ServiceQuery, state: ResumeState) -> str:
    """Return the search limited to the days asked for, or to those since the last whole run."""
    first = query.options.get("from")
    if not first and state.get("mark"):
        mark = min(dt.date.fromisoformat(state["mark"]), dates.today())  # a paper may bear a day to come
        first = (mark - _OVERLAP).isoformat()
    last = query.options.get("until")
    if not first and not last:
        return search
    begin = (first or "1991-01-01").replace("-", "")
    end = (last or (dates.today() + dt.timedelta(days=1)).isoformat()).replace("-", "")
    return f"({search}) AND submittedDate:[{begin}0000 TO {end}2359]"
