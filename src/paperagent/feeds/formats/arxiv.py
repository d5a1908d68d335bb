"""arXiv's formats of JSON lines: the metadata snapshot and daily listings.

The snapshot (https://www.kaggle.com/datasets/Cornell-University/arxiv) has one JSON object per line for
every paper of arXiv, several GB in all: ``id, submitter, authors, title, comments, journal-ref, doi,
categories`` (separated by spaces), ``abstract, versions[{version, created}]`` (RFC 822 dates),
``update_date, authors_parsed``.

Listings are JSON lines with ``id, title, abstract`` or ``summary, authors, categories, date, url``.

Results of the Python package ``arxiv`` are dumped with ``entry_id, title, summary, authors`` (strings or
``{"name"}``), ``published, updated, primary_category, categories, doi, comment``.
"""

from __future__ import annotations

import re
from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import ARXIV_JSONL, ARXIV_PY, ARXIV_SNAPSHOT
from paperagent.feeds.json_fields import read_day, read_labels, read_names
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    clean_abstract,
    clean_names,
    clean_title,
    require_arxiv_id,
    says_withdrawn,
    sorted_flags,
    unique,
)
from paperagent.types import Paper

_AUTHOR_SEPARATOR = re.compile(r", ?(?:and )?| and ")
_VERSION = re.compile(r"v([1-9][0-9]{0,3})")


def convert_snapshot(record: JsonObject) -> Paper:
    """Convert one line of the snapshot; the first version gives ``published``, the last one ``updated``."""
    flags: set[str] = set()
    arxiv = require_arxiv_id(record.get("id"))
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("abstract"), flags)
    first, last = _first_and_last(record.get("versions"))
    return Paper(
        paper_id=arxiv.id,
        title=title,
        abstract=abstract,
        authors=_snapshot_authors(record, flags),
        published=dates.parse_day(first.get("created"), flags),
        updated=dates.parse_day(last.get("created") or record.get("update_date"), flags),
        categories=clean_names(str(record.get("categories") or "").split(), flags),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        doi=ids.parse_doi(record.get("doi")),
        version=_version_number(last.get("version")) or arxiv.version,
        sources=(ARXIV_SNAPSHOT,),
        withdrawn=says_withdrawn(abstract, record.get("comments")),
        flags=sorted_flags(flags),
    )


def _first_and_last(versions: Any) -> tuple[JsonObject, JsonObject]:
    if not isinstance(versions, list):
        return {}, {}
    valid = [v for v in versions if isinstance(v, dict)]
    return (valid[0], valid[-1]) if valid else ({}, {})


def _version_number(version: object) -> int | None:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    return int(match[1]) if match else None


def _snapshot_authors(record: JsonObject, flags: set[str]) -> tuple[str, ...]:
    """Return the names of the parsed list, else those of the authors' line."""
    parsed = record.get("authors_parsed")
    if isinstance(parsed, list) and parsed:
        return clean_names([_full_name(parts) for parts in parsed], flags)
    line = record.get("authors")
    return clean_names(split_authors(line) if isinstance(line, str) else line, flags)


def split_authors(line: str) -> list[str]:
    """Split a line of authors at commas and "and"."""
    return _AUTHOR_SEPARATOR.split(" ".join(line.split()))


def _full_name(parts: Any) -> str:
    """Join ``[last, first, suffix, …]``."""
    if not isinstance(parts, list):
        return ""
    last, first, suffix = ([p for p in parts if isinstance(p, str)] + ["", "", ""])[:3]
    return " ".join(part for part in (first, last, suffix) if part)


def convert_listing(record: JsonObject) -> Paper:
    """Convert one line of a daily listing.

    Its ``date`` is the day on which arXiv announced the paper and serves as published and as listed. The
    id may be a DOI.
    """
    flags: set[str] = set()
    id_value = record.get("arxiv_id") or record.get("id")
    doi = ids.parse_doi(record.get("doi"))
    arxiv, id_doi = _listing_id(id_value)
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("abstract") or record.get("summary"), flags)
    day = dates.parse_day(record.get("date") or record.get("published"), flags)
    if arxiv is None:
        paper_id, page, doi = f"doi:{id_doi}", f"https://doi.org/{id_doi}", id_doi
    else:
        paper_id, page = arxiv.id, ids.arxiv_url(arxiv.id)
    categories = record.get("categories")
    return Paper(
        paper_id=paper_id,
        title=title,
        abstract=abstract,
        authors=read_names(record.get("authors"), flags),
        published=day,
        updated=dates.parse_day(record.get("updated"), flags),
        listed=day,
        categories=clean_names(categories.split() if isinstance(categories, str) else categories, flags),
        url=ids.clean_url(record.get("url"), flags) or page,
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(ARXIV_JSONL,),
        withdrawn=says_withdrawn(abstract),
        flags=sorted_flags(flags),
    )


def _listing_id(value: object) -> tuple[ids.ArxivId | None, str | None]:
    """Return the arXiv id, else the DOI; raise InvalidRecordError if ``value`` is neither."""
    try:
        return require_arxiv_id(value), None
    except InvalidRecordError:
        doi = ids.parse_doi(value)
        if doi is None:
            raise
        return None, doi


def convert_result(record: JsonObject) -> Paper:
    """Convert a result of the package ``arxiv``, or an entry that feedparser read from arXiv's Atom."""
    flags: set[str] = set()
    arxiv = require_arxiv_id(record.get("entry_id") or record.get("id"))
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("summary"), flags)
    primary = record.get("primary_category") or record.get("arxiv_primary_category")
    categories = record.get("categories") or record.get("tags")
    return Paper(
        paper_id=arxiv.id,
        title=title,
        abstract=abstract,
        authors=read_names(record.get("authors"), flags),
        published=read_day(record.get("published"), flags),
        updated=read_day(record.get("updated"), flags),
        categories=unique((*read_labels(primary, flags), *read_labels(categories, flags))),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        doi=ids.parse_doi(record.get("doi") or record.get("arxiv_doi")),
        version=arxiv.version,
        sources=(ARXIV_PY,),
        withdrawn=says_withdrawn(abstract, record.get("comment") or record.get("arxiv_comment")),
        flags=sorted_flags(flags),
    )
