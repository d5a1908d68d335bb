"""Items of a Zotero library: JSON from its web API, and from the plug-in Better BibTeX."""

from __future__ import annotations

import re
from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import ZOTERO
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    marked_retracted,
    paper_url,
    sorted_flags,
)
from paperagent.types import RETRACTED, Paper

OTHER_ITEMS = frozenset({"attachment", "note", "annotation"})
"""Types of items that are not papers."""
_ARXIV_IN_EXTRA = re.compile(r"\barXiv:\s*(\S+)", re.IGNORECASE)
_DOI_IN_EXTRA = re.compile(r"^DOI:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_PMID_IN_EXTRA = re.compile(r"^PMID:\s*(\d{1,9})\b", re.IGNORECASE | re.MULTILINE)
_RETRACTED_IN_EXTRA = re.compile(r"\bretracted\b", re.IGNORECASE)
_MAX_EXTRA_LENGTH = 5_000


def convert(item: JsonObject) -> Paper:
    """Convert one item."""
    flags: set[str] = set()
    inner = item.get("data")
    data: JsonObject = inner if isinstance(inner, dict) else item
    if data.get("itemType") in OTHER_ITEMS:
        raise InvalidRecordError("attachment or note, not a paper")
    title = clean_title(data.get("title"), flags)
    abstract = clean_abstract(data.get("abstractNote"), flags)
    extra = str(data.get("extra") or "")[:_MAX_EXTRA_LENGTH]
    arxiv, doi = arxiv_and_doi(_arxiv_value(data, extra), _doi_value(data, extra))
    pmid = _PMID_IN_EXTRA.search(extra)
    service_id = ids.service_id("pmid", pmid[1]) if pmid else None
    is_retracted = marked_retracted(title) or bool(_RETRACTED_IN_EXTRA.match(extra))
    if is_retracted:
        flags.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, service_id, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(_author_names(data.get("creators")), flags),
        published=dates.parse_loose_day(data.get("date"), flags),
        url=paper_url(arxiv, doi, data.get("url"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        sources=(ZOTERO,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _arxiv_value(data: JsonObject, extra: str) -> Any:
    match = _ARXIV_IN_EXTRA.search(extra)
    values = (data.get("archiveID"), match[1] if match else None, data.get("url"))
    return next((value for value in values if ids.parse_arxiv_id(value)), None)


def _doi_value(data: JsonObject, extra: str) -> Any:
    """Return the DOI. Item types without a field for it have it in Extra or as the address."""
    match = _DOI_IN_EXTRA.search(extra)
    values = (data.get("DOI"), match[1] if match else None, data.get("url"))
    return next((v for v in values if ids.parse_doi(v) or ids.parse_arxiv_id(v)), None)


def _author_names(creators: object) -> list[Any]:
    if not isinstance(creators, list):
        return []
    authors = [c for c in creators if isinstance(c, dict) and c.get("creatorType", "author") == "author"]
    return [a.get("name") or f"{a.get('firstName') or ''} {a.get('lastName') or ''}".strip() for a in authors]
