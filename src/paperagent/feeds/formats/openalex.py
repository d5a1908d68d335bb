"""Works from OpenAlex's API or snapshot.

See https://docs.openalex.org/api-entities/works. An abstract is stored as an inverted index. A retracted work
is marked.
"""

from __future__ import annotations

from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import OPENALEX
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
from paperagent.types import RETRACTED, Paper

_MAX_WORDS = 10_000


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
        sources=(OPENALEX,),
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
        fields = location if isinstance(location, dict) else {}
        for url in (fields.get("landing_page_url"), fields.get("pdf_url")):
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
