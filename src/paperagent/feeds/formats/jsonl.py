"""Our own JSON lines, which ``export`` writes: one `Paper` per line. Every field round-trips exactly.

Other programs may write records of the same form. Their text is cleaned like that of any feed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import PAPERAGENT
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    clean_abstract,
    clean_count,
    clean_names,
    clean_title,
    unique,
)
from paperagent.types import Paper

_FIELDS = tuple(f.name for f in dataclasses.fields(Paper))
_REQUIRED = frozenset({"paper_id", "title", "abstract", "sources"})
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(Paper)}


def dump(paper: Paper) -> str:
    """Return the paper as one line of JSON without a line ending; fields at their default are left out."""
    record: JsonObject = {}
    for name in _FIELDS:
        value = getattr(paper, name)
        if name in _REQUIRED or value != _DEFAULTS[name]:
            record[name] = value.isoformat() if isinstance(value, dt.date) else value
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def convert(record: JsonObject) -> Paper:
    """Convert one line. Without ``paper_id``, the id is the arXiv id, the DOI or the hash of the text."""
    flags: set[str] = set()
    is_export = record.keys() >= _REQUIRED
    title = clean_title(record.get("title"), flags, exact=is_export)
    abstract = clean_abstract(record.get("abstract"), flags, exact=is_export)
    arxiv = ids.parse_arxiv_id(record.get("arxiv_id"))
    doi = _doi(record.get("doi"))
    fields: dict[str, Any] = {
        name: dates.parse_day(record.get(name), flags)
        for name in ("published", "updated", "listed", "first_seen")
    }
    for name in ("authors", "categories"):
        fields[name] = clean_names(record.get(name), flags, exact=is_export)
    version = clean_count(record.get("version"))
    return Paper(
        paper_id=_paper_id(record, arxiv, doi) or ids.content_id(title, abstract),
        title=title,
        abstract=abstract,
        url=ids.clean_url(record.get("url"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=version if version is not None else arxiv.version if arxiv else None,
        sources=clean_names(record["sources"], flags, exact=is_export)
        if "sources" in record
        else (PAPERAGENT,),
        upvotes=clean_count(record.get("upvotes")),
        withdrawn=record.get("withdrawn") is True,
        flags=unique((*clean_names(record.get("flags"), set(), exact=is_export), *sorted(flags))),
        ids=tuple(name for name in unique(clean_names(record.get("ids"), set())) if _is_further_id(name)),
        **fields,
    )


def _doi(value: object) -> str | None:
    """Return a DOI from the library unchanged, even if it ends in punctuation; else find one in ``value``."""
    return str(value) if ids.parse_paper_id(f"doi:{value}") else ids.parse_doi(value)


def _is_further_id(name: str) -> bool:
    """Return whether ``name`` can be a further id of a paper: of a service, or derived from its text."""
    return ids.is_service_id(name) or ids.is_content_id(name)


def _paper_id(record: JsonObject, arxiv: ids.ArxivId | None, doi: str | None) -> str | None:
    for name, parsed in (("arxiv_id", arxiv), ("doi", doi)):
        if record.get(name) is not None and parsed is None:
            raise InvalidRecordError("bad id")
    value = record.get("paper_id")
    if value is None:
        return arxiv.id if arxiv else f"doi:{doi}" if doi else None
    paper_id = ids.parse_paper_id(value)
    if paper_id is None:
        raise InvalidRecordError("bad id")
    return paper_id
