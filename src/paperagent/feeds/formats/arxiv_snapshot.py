"""arXiv's metadata snapshot as JSON lines: every paper of arXiv, several GB, read line by line.

Fields: ``id, submitter, authors, title, comments, journal-ref, doi, categories`` (space-separated),
``abstract, versions[{version, created}]`` (RFC 822 dates), ``update_date, authors_parsed``.
"""

from __future__ import annotations

import re
from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.record import (
    JsonObject,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    require_arxiv_id,
    says_withdrawn,
)
from paperagent.types import Paper

NAME = "arxiv-snapshot"

_BETWEEN_AUTHORS = re.compile(r", ?(?:and )?| and ")
_VERSION = re.compile(r"v([1-9][0-9]{0,3})")


def convert(record: JsonObject) -> Paper:
    """Return the paper of one line; the first version's day is published, the last one's updated."""
    noticed: set[str] = set()
    found = require_arxiv_id(record.get("id"))
    title = clean_title(record.get("title"), noticed)
    abstract = clean_abstract(record.get("abstract"), noticed)
    first, last = _ends(record.get("versions"))
    return Paper(
        paper_id=found.id,
        title=title,
        abstract=abstract,
        authors=_authors(record, noticed),
        published=dates.parse_day(first.get("created"), noticed),
        updated=dates.parse_day(last.get("created") or record.get("update_date"), noticed),
        categories=clean_names(str(record.get("categories") or "").split(), noticed),
        url=ids.arxiv_url(found.id),
        arxiv_id=found.id,
        doi=ids.parse_doi(record.get("doi")),
        version=_number(last.get("version")) or found.version,
        sources=(NAME,),
        withdrawn=says_withdrawn(abstract, record.get("comments")),
        flags=flags(noticed),
    )


def _ends(versions: Any) -> tuple[JsonObject, JsonObject]:
    if not isinstance(versions, list):
        return {}, {}
    known = [v for v in versions if isinstance(v, dict)]
    return (known[0], known[-1]) if known else ({}, {})


def _number(version: object) -> int | None:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    return int(match[1]) if match else None


def _authors(record: JsonObject, noticed: set[str]) -> tuple[str, ...]:
    """Return first and last names from the parsed list, else the authors' line cut at commas and "and"."""
    parsed = record.get("authors_parsed")
    if isinstance(parsed, list) and parsed:
        return clean_names([_full_name(parts) for parts in parsed], noticed)
    line = record.get("authors")
    return clean_names(
        _BETWEEN_AUTHORS.split(" ".join(line.split())) if isinstance(line, str) else line, noticed
    )


def _full_name(parts: Any) -> str:
    """Join ``[last, first, suffix, …]``."""
    if not isinstance(parts, list):
        return ""
    last, first, suffix = ([p for p in parts if isinstance(p, str)] + ["", "", ""])[:3]
    return " ".join(part for part in (first, last, suffix) if part)
