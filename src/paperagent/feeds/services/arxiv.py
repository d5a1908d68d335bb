"""arXiv's query API.

``arxiv:cs.CL,cs.AI`` asks for categories, newest first (https://info.arxiv.org/help/api/user-manual.html).
Its pitfalls: an error is an entry titled "Error", with HTTP status 400 or 200, and throttling is the text
``Rate exceeded.``; a page in the middle may be empty for no reason; one query returns at most 30,000 records.

``arxiv:2401.01234,2402.01234`` asks for papers by id, a hundred at a time. arXiv leaves out ids that it does
not know, and refuses the whole request for one that cannot exist.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import syndication
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceRefusedError,
    ServiceResponse,
    is_day,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.strict_xml import BrokenXmlError
from paperagent.types import Paper, Skipped

T = TypeVar("T")

API_URL = "https://export.arxiv.org/api/query"
RATE_LIMIT = RateLimit("arxiv", 3.0)
DEFAULT_MAX_RECORDS = 2_000
PAGE_SIZE = 100
MAX_RECORDS = 30_000
"""Maximum number of records that arXiv returns for one query."""

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
_ENTRY_ID = re.compile(r"<entry\b[^>]{0,200}>\s*<id>([^<]{1,300})</id>")
_REFUSED_ID = re.compile(r"arXiv said: incorrect id format(?: for ([^\s;]+))?", re.IGNORECASE)
_MAX_IDS_NAMED = 10
_BAD_REQUEST = 400
_OVERLAP = dt.timedelta(days=7)
"""The next run begins this long before the newest paper seen: arXiv lists papers days after submission."""


# --- categories and searches ---


def check_query(query: ServiceQuery) -> None:
    """Raise FeedError if the text names no category, id or search."""
    if not _ids_in(query):
        _search(query)


def query_pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of a query, or the papers of a list of ids.

    The state is ``{"start", "newest", "until"}`` between two pages and ``{"mark"}`` (the day of the newest
    paper) at the end. ``until`` is the day on which the run began: without it, newer papers would move the
    pages of a run that is resumed later.
    """
    if arxiv_ids := _ids_in(query):
        yield from id_pages(arxiv_ids[: query.max_records(len(arxiv_ids))], client, state, label=query.label)
        return
    search = _limit_to_days(_search(query), query, state)
    params = {"search_query": search, "sortBy": "submittedDate", "sortOrder": "descending"}
    has_start = "from" in query.options or "mark" in state
    limit = min(query.max_records(MAX_RECORDS if has_start else DEFAULT_MAX_RECORDS), MAX_RECORDS)
    start, newest = int(state.get("start", 0)), str(state.get("newest", ""))
    begun = next(filter(is_day, (state.get("until"),)), dates.today().isoformat())
    while start < limit:
        size = min(PAGE_SIZE, limit - start)
        entries, total = _fetch(
            client,
            query.label,
            partial(_parse_query_page, start=start),
            params,
            start=start,
            max_results=size,
        )
        days = [e.published.isoformat() for e in entries if isinstance(e, Paper) and e.published]
        newest = max([newest, *days])
        start += len(entries)
        if not entries or start >= min(total, limit):
            mark = min(newest, dates.today().isoformat()) or str(state.get("mark", ""))
            note = _end_note(query, start, total, limit, is_first=not has_start)
            yield FeedPage(entries, {"mark": mark} if mark else {}, total, note)
            return
        yield FeedPage(entries, {**state, "start": start, "newest": newest, "until": begun}, total)


def _end_note(query: ServiceQuery, count: int, total: int, limit: int, *, is_first: bool) -> str:
    """Return what a complete run left out, and how to get it; "" if nothing."""
    if total == 0:
        return "" if "from" in query.options or not is_first else "no paper matches; check the query"
    if total <= count or count < limit:
        return ""
    left_out = f"read the newest {count:,} of {total:,} papers; the older ones are left out"
    if limit >= MAX_RECORDS:
        return f"{left_out}, because arXiv gives {MAX_RECORDS:,} for one query: read them with arxiv-oai:"
    if not is_first:
        return f"{left_out}: raise max, or leave it out"
    return (
        f"{left_out}: for them, give ?from=YYYY-MM-DD or a higher max" if "max" not in query.options else ""
    )


def _fetch(
    client: FeedClient,
    label: str,
    parse: Callable[[ServiceResponse], T],
    params: Mapping[str, str | int],
    **more: int,
) -> T:
    """Ask the query API."""
    url = client.config.base_urls.get("arxiv", API_URL)
    with arxiv_reasons(label):
        return client.fetch(url, parse, label=label, rate_limit=RATE_LIMIT, params={**params, **more})


@contextmanager
def arxiv_reasons(label: str) -> Iterator[None]:
    """Replace an error by one that shows arXiv's own reason, if arXiv gives one."""
    try:
        yield
    except ServiceRefusedError as error:
        if error.status != _BAD_REQUEST or not error.reason:
            raise
        raise ServiceRefusedError(
            f"{label}: arXiv said: {error.reason}; change the query",
            status=error.status,
            reason=error.reason,
        ) from None


def _search(query: ServiceQuery) -> str:
    """Return the search for categories, or one in arXiv's syntax; raise FeedError for anything else."""
    if categories := categories_in(query):
        return " OR ".join(f"cat:{name}" for name in categories)
    if re.search(r"\b(?:ti|au|abs|co|jr|cat|rn|all):", query.text):
        return f"({query.text})"
    raise FeedError(
        f"{query.label}: not an arXiv category, id or search; write arxiv:cs.CL,cs.AI or arxiv:all:WORDS"
    )


def categories_in(query: ServiceQuery) -> list[str]:
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
    if not last and "start" in state and is_day(state.get("until")):
        last = state["until"]
    if not first and not last:
        return search
    begin = (first or "1991-01-01").replace("-", "")
    end = (last or (dates.today() + dt.timedelta(days=1)).isoformat()).replace("-", "")
    return f"({search}) AND submittedDate:[{begin}0000 TO {end}2359]"


def _parse_query_page(response: ServiceResponse, *, start: int) -> tuple[list[FeedEntry], int]:
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
        return syndication.parse(text, response.label)
    except BrokenXmlError as error:
        raise response.retryable(error) from None


# --- papers by id ---


def id_pages(
    arxiv_ids: Sequence[ids.ArxivId], client: FeedClient, state: ResumeState, *, label: str
) -> Iterator[FeedPage]:
    """Yield the papers with these ids, each once. The number of ids is not limited.

    An id that arXiv does not return becomes a skipped entry, and the page's note names it. The state is
    ``{"start"}`` between two pages, and empty at the end.

    Args:
        arxiv_ids: The ids to fetch. An id with a version selects that version.
        client: Sends the requests, one every three seconds.
        state: The state after the last page of an interrupted run with the same ids, or an empty state.
        label: The name of the feed in messages.
    """
    requested = list(dict.fromkeys(arxiv_ids))
    for start in range(int(state.get("start", 0)), len(requested), PAGE_SIZE):
        batch = requested[start : start + PAGE_SIZE]
        entries = _fetch_ids([i for i in batch if _may_exist(i)], client, label)
        present = {entry.arxiv_id for entry in entries if isinstance(entry, Paper)} | {
            entry.where for entry in entries if isinstance(entry, Skipped)
        }
        missing = [_versioned(i) for i in batch if i.id not in present]
        entries += [Skipped(name, "not found on arXiv") for name in missing]
        is_last = start + PAGE_SIZE >= len(requested)
        resume = {} if is_last else {"start": start + PAGE_SIZE}
        yield FeedPage(entries, resume, len(requested), _missing_note(missing))


def _fetch_ids(batch: list[ids.ArxivId], client: FeedClient, label: str) -> list[FeedEntry]:
    """Return the entries of a batch. An id that arXiv refuses does not affect the others."""
    while batch:
        names = list(map(_versioned, batch))
        params = {"id_list": ",".join(names)}
        try:
            return _fetch(client, label, _parse_id_page, params, start=0, max_results=len(batch))
        except FeedError as error:
            refused = _REFUSED_ID.search(str(error))
            if refused is None:
                raise
            if refused[1] not in names:
                break
            batch = [i for i, name in zip(batch, names, strict=True) if name != refused[1]]
    if len(batch) < 2:
        return []
    middle = len(batch) // 2
    return _fetch_ids(batch[:middle], client, label) + _fetch_ids(batch[middle:], client, label)


def _parse_id_page(response: ServiceResponse) -> list[FeedEntry]:
    """Return the entries of a page; a skipped one is named by its arXiv id."""
    entries = _parse_atom(response)
    names = [ids.parse_arxiv_id(m.strip()) for m in _ENTRY_ID.findall(response.text())]
    if len(names) != len(entries):
        return entries
    return [
        Skipped(name.id, entry.reason) if name and isinstance(entry, Skipped) else entry
        for name, entry in zip(names, entries, strict=True)
    ]


def _versioned(arxiv_id: ids.ArxivId) -> str:
    return f"{arxiv_id.id}v{arxiv_id.version}" if arxiv_id.version else arxiv_id.id


def _may_exist(arxiv_id: ids.ArxivId) -> bool:
    """Return whether the month in the id is possible. ArXiv refuses a whole request if one id is not."""
    month = arxiv_id.id.rpartition("/")[2][2:4]
    return "01" <= month <= "12"


def _missing_note(missing: list[str]) -> str:
    if not missing:
        return ""
    more = f" and {len(missing) - _MAX_IDS_NAMED} more" if len(missing) > _MAX_IDS_NAMED else ""
    return f"not found on arXiv: {', '.join(missing[:_MAX_IDS_NAMED])}{more}"


def _ids_in(query: ServiceQuery) -> list[ids.ArxivId]:
    """Return the ids that the text lists; an empty list if it lists none.

    Raises:
        FeedError: Some words are ids and others are not.
    """
    words = [word for word in re.split(r"[\s,;]+", query.text) if word]
    parsed = [ids.parse_arxiv_id(word) for word in words]
    if not any(parsed) or re.search(r"\b(?:ti|au|abs|co|jr|cat|rn|all):", query.text):
        return []
    if None in parsed:
        word = visible(words[parsed.index(None)], limit=80)
        raise FeedError(f"{query.label}: {word} is not an arXiv id; remove it from the list")
    return [i for i in parsed if i]


SERVICE = Service("arxiv", frozenset({"from", "until", "max"}), check_query, query_pages)
