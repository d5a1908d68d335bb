"""``openalex:concepts.id:C41008148`` (a filter) or ``openalex:open retrieval`` (words): OpenAlex.

See https://docs.openalex.org/api-entities/works. An abstract comes as an inverted index; a retracted work is
marked. A key is required, and OpenAlex only accepts it in the URL. It is only added when the request is sent:
no message or log shows a URL with its query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids, strict_json
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    paper_url,
    sorted_flags,
)
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceRefusedError,
    ServiceResponse,
    fingerprint,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.types import RETRACTED, Paper

SCHEME = "openalex"
API_URL = "https://api.openalex.org"
RATE_LIMIT = RateLimit("openalex", 0.2)
PAGE_SIZE = 100
DEFAULT_MAX_RECORDS = 10_000

_MAX_WORDS = 10_000
_BAD_REQUEST = 400


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the query is empty."""
    if not query.text:
        raise FeedError(f"{query.label}: the query is empty; write openalex:FILTER or openalex:WORDS")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of works. The state is ``{"cursor", "read"}`` between two pages."""
    check(query)
    key = client.config.keys.get(SCHEME)
    url = f"{client.config.base_urls.get(SCHEME, API_URL)}/works"
    if key is None and SCHEME not in client.config.base_urls:
        raise FeedError(f"{query.label}: OpenAlex needs a key; set PAPERAGENT_OPENALEX_KEY")
    cursor, count = str(state.get("cursor", "*")), int(state.get("read", 0))
    cursors = {fingerprint(cursor)}
    while True:
        params = {**_params(query), "per_page": PAGE_SIZE, "cursor": cursor}
        try:
            page = client.fetch(
                url,
                _parse,
                label=query.label,
                rate_limit=RATE_LIMIT,
                params=params | ({"api_key": key} if key else {}),
            )
        except ServiceRefusedError as error:
            if error.status != _BAD_REQUEST or cursor != state.get("cursor"):
                raise
            cursor, count, state = "*", 0, {}  # the stored cursor has expired
            cursors.clear()
            continue
        entries = list(strict_json.parse_items(page["results"], convert))
        count += len(entries)
        meta = page.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        total = meta.get("count") if isinstance(meta.get("count"), int) else None
        next_cursor = meta.get("next_cursor")
        if not isinstance(next_cursor, str) or not entries or count >= query.max_records(DEFAULT_MAX_RECORDS):
            yield FeedPage(entries, {}, total)
            return
        if fingerprint(next_cursor) in cursors:
            yield FeedPage(entries, {}, total)
            raise FeedError(f"{query.label}: the server repeats a cursor; run it again later")
        cursors.add(fingerprint(next_cursor))
        cursor = next_cursor
        yield FeedPage(entries, {"cursor": cursor, "read": count}, total)


def convert(record: JsonObject) -> Paper:
    """Convert one work."""
    flags: set[str] = set()
    title = clean_title(record.get("display_name") or record.get("title"), flags)
    abstract = clean_abstract(_abstract(record.get("abstract_inverted_index")), flags)
    arxiv, doi = arxiv_and_doi(_arxiv_address(record), record.get("doi"))
    is_retracted = record.get("is_retracted") is True
    if is_retracted:
        flags.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, _service_id(record), title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(_author_names(record.get("authorships")), flags),
        published=dates.parse_day(record.get("publication_date"), flags),
        url=paper_url(arxiv, doi, record.get("id"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        sources=(SCHEME,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _abstract(index: object) -> str:
    """Return the words of an inverted index in their order; "" if there is none."""
    if not isinstance(index, dict):
        return ""
    words: dict[int, str] = {}
    for word, positions in index.items():
        for position in positions if isinstance(positions, list) else ():
            if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position < _MAX_WORDS:
                raise InvalidRecordError("bad abstract index")
            words[position] = word
    return " ".join(words[position] for position in sorted(words))


def _arxiv_address(record: JsonObject) -> str | None:
    """Return the arXiv address among the locations of the work."""
    locations = record.get("locations")
    for location in [record.get("primary_location"), *(locations if isinstance(locations, list) else [])]:
        url = location.get("landing_page_url") if isinstance(location, dict) else None
        if ids.parse_arxiv_id(url):
            return str(url)
    return None


def _service_id(record: JsonObject) -> str | None:
    work_ids = record.get("ids")
    pmid = work_ids.get("pmid") if isinstance(work_ids, dict) else None
    if isinstance(pmid, str):
        return ids.service_id("pmid", pmid.rstrip("/").rpartition("/")[2])
    return ids.service_id("openalex", str(record.get("id") or "").rpartition("/")[2])


def _author_names(authorships: object) -> list[Any]:
    if not isinstance(authorships, list):
        return []
    authors = [a.get("author") for a in authorships if isinstance(a, dict)]
    return [author.get("display_name") for author in authors if isinstance(author, dict)]


def _parse(response: ServiceResponse) -> JsonObject:
    value = response.json()
    if not isinstance(value, dict) or not isinstance(value.get("results"), list):
        raise RetryableError("the response has no results")
    return value


def _params(query: ServiceQuery) -> dict[str, str | int]:
    filters = []
    params: dict[str, str | int] = {}
    if ":" in query.text:
        filters.append(query.text)
    else:
        params["search"] = query.text
    for name, option in (("from_publication_date", "from"), ("to_publication_date", "until")):
        if option in query.options:
            filters.append(f"{name}:{query.options[option]}")
    return params | ({"filter": ",".join(filters)} if filters else {})


SERVICE = Service(SCHEME, frozenset({"from", "until", "max"}), check, pages)
