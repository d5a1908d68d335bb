"""``openalex:concepts.id:C41008148`` (a filter) or ``openalex:open retrieval`` (words): OpenAlex.

(https://docs.openalex.org/api-entities/works). An abstract comes as an inverted index and is put together by
position; a retracted work says so. A key is required, and OpenAlex takes it in the address only: it is put
there for the request, and no message or log of ours shows an address with its query.
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
    flags,
    paper_url,
)
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, fingerprint, json_of
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import RetryableError, ServiceRefusedError, ServiceResponse
from paperagent.types import RETRACTED, Paper

SCHEME = "openalex"
NAME = "openalex"
BASE = "https://api.openalex.org"
OPTIONS = frozenset({"from", "until", "max"})
PACE = RateLimit("openalex", 0.2)
PAGE_SIZE = 100
DEFAULT_MOST = 10_000

_MOST_WORDS = 10_000
_BAD_REQUEST = 400


def check(query: ServiceQuery) -> None:
    """Raise FeedError where nothing is asked for."""
    if not query.text:
        raise FeedError(f"{query.label}: no filter and no words; write openalex:FILTER or openalex:WORDS")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the works page by page; ``state`` is ``{"cursor", "read"}`` in the middle."""
    check(query)
    key = client.access.keys.get(SCHEME)
    url = f"{client.access.urls.get(SCHEME, BASE)}/works"
    if key is None and SCHEME not in client.access.urls:
        raise FeedError(f"{query.label}: OpenAlex needs a key; set PAPERAGENT_OPENALEX_KEY")
    cursor, read = str(state.get("cursor", "*")), int(state.get("read", 0))
    seen = {fingerprint(cursor)}
    while True:
        params = {**_asked(query), "per_page": PAGE_SIZE, "cursor": cursor}
        try:
            answer = client.get(
                url,
                _read,
                label=query.label,
                pace=PACE,
                params=params | ({"api_key": key} if key else {}),
            )
        except ServiceRefusedError as error:
            if error.status != _BAD_REQUEST or cursor != state.get("cursor"):
                raise
            cursor, read, state = "*", 0, {}  # the cursor that was kept has expired
            seen.clear()
            continue
        entries = list(strict_json.parse_items(answer["results"], convert))
        read += len(entries)
        meta = answer.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        total = meta.get("count") if isinstance(meta.get("count"), int) else None
        following = meta.get("next_cursor")
        if not isinstance(following, str) or not entries or read >= query.most(DEFAULT_MOST):
            yield FeedPage(entries, {}, total)
            return
        if fingerprint(following) in seen:
            yield FeedPage(entries, {}, total)
            raise FeedError(f"{query.label}: the server repeats a cursor; run it again later")
        seen.add(fingerprint(following))
        cursor = following
        yield FeedPage(entries, {"cursor": cursor, "read": read}, total)


def convert(record: JsonObject) -> Paper:
    """Return the paper of one work."""
    noticed: set[str] = set()
    title = clean_title(record.get("display_name") or record.get("title"), noticed)
    abstract = clean_abstract(_abstract(record.get("abstract_inverted_index")), noticed)
    found, doi = arxiv_and_doi(_preprint(record), record.get("doi"))
    gone = record.get("is_retracted") is True
    if gone:
        noticed.add(RETRACTED)
    authors = record.get("authorships")
    return Paper(
        paper_id=choose_paper_id(found, doi, _native(record), (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names(_authors(authors), noticed),
        published=dates.parse_day(record.get("publication_date"), noticed),
        url=paper_url(found, doi, record.get("id"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        sources=(NAME,),
        withdrawn=gone,
        flags=flags(noticed),
    )


def _abstract(index: object) -> str:
    """Return the words of an inverted index in their order; empty where there is none."""
    if not isinstance(index, dict):
        return ""
    placed: dict[int, str] = {}
    for word, places in index.items():
        for place in places if isinstance(places, list) else ():
            if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < _MOST_WORDS:
                raise InvalidRecordError("bad abstract index")
            placed[place] = word
    return " ".join(placed[place] for place in sorted(placed))


def _preprint(record: JsonObject) -> str | None:
    """Return an arXiv address among the places where the work can be read."""
    places = record.get("locations")
    for place in [record.get("primary_location"), *(places if isinstance(places, list) else [])]:
        url = place.get("landing_page_url") if isinstance(place, dict) else None
        if ids.parse_arxiv_id(url):
            return str(url)
    return None


def _native(record: JsonObject) -> str | None:
    known = record.get("ids")
    pmid = known.get("pmid") if isinstance(known, dict) else None
    if isinstance(pmid, str):
        return ids.service_id("pmid", pmid.rstrip("/").rpartition("/")[2])
    return ids.service_id("openalex", str(record.get("id") or "").rpartition("/")[2])


def _authors(authorships: object) -> list[Any]:
    if not isinstance(authorships, list):
        return []
    people = [a.get("author") for a in authorships if isinstance(a, dict)]
    return [p.get("display_name") for p in people if isinstance(p, dict)]


def _read(reply: ServiceResponse) -> JsonObject:
    found = json_of(reply)
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise RetryableError("the answer holds no results")
    return found


def _asked(query: ServiceQuery) -> dict[str, str | int]:
    filters = []
    asked: dict[str, str | int] = {}
    if ":" in query.text:
        filters.append(query.text)
    else:
        asked["search"] = query.text
    for name, option in (("from_publication_date", "from"), ("to_publication_date", "until")):
        if option in query.options:
            filters.append(f"{name}:{query.options[option]}")
    return asked | ({"filter": ",".join(filters)} if filters else {})
