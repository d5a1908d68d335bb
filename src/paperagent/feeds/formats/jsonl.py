"""Our own JSON lines: one `Paper` a line, what ``export`` writes. Every field round-trips exactly."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

from paperagent.feeds import dates, ids
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

NAME = "paperagent"

_FIELDS = tuple(f.name for f in dataclasses.fields(Paper))
_ALWAYS = frozenset({"paper_id", "title", "abstract", "sources"})
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(Paper)}


def dump(paper: Paper) -> str:
    """Return the paper as one line of JSON, without the line's end; fields at their default are left out."""
    record: JsonObject = {}
    for name in _FIELDS:
        value = getattr(paper, name)
        if name in _ALWAYS or value != _DEFAULTS[name]:
            record[name] = value.isoformat() if isinstance(value, dt.date) else value
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def convert(record: JsonObject) -> Paper:
    """Return the paper of one line.

    Without ``paper_id`` its identity is the arXiv id, else the DOI, else the content's hash.
    """
    noticed: set[str] = set()
    title = clean_title(record.get("title"), noticed)
    abstract = clean_abstract(record.get("abstract"), noticed)
    arxiv = ids.parse_arxiv_id(record.get("arxiv_id"))
    doi = ids.parse_doi(record.get("doi"))
    fields: dict[str, Any] = {
        name: dates.parse_day(record.get(name), noticed)
        for name in ("published", "updated", "listed", "first_seen")
    }
    for name in ("authors", "categories"):
        fields[name] = clean_names(record.get(name), noticed)
    return Paper(
        paper_id=_identity(record, arxiv, doi) or ids.content_id(title, abstract),
        title=title,
        abstract=abstract,
        url=ids.clean_url(record.get("url"), noticed),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=_version(record, arxiv),
        sources=clean_names(record["sources"], noticed) if "sources" in record else (NAME,),
        upvotes=clean_count(record.get("upvotes")),
        withdrawn=record.get("withdrawn") is True,
        flags=unique((*clean_names(record.get("flags"), set()), *sorted(noticed))),
        ids=tuple(name for name in unique(clean_names(record.get("ids"), set())) if _is_further(name)),
        **fields,
    )


def _is_further(name: str) -> bool:
    """Tell whether ``name`` may be a further id: a service's, or a text's hash that a paper went by."""
    return ids.is_service_id(name) or (name.startswith("sha256:") and ids.parse_paper_id(name) is not None)


def _identity(record: JsonObject, arxiv: ids.ArxivId | None, doi: str | None) -> str | None:
    for name, found in (("arxiv_id", arxiv), ("doi", doi)):
        if record.get(name) is not None and found is None:
            raise InvalidRecordError("bad id")
    given = record.get("paper_id")
    if given is None:
        return arxiv.id if arxiv else f"doi:{doi}" if doi else None
    found = ids.parse_paper_id(given)
    if found is None:
        raise InvalidRecordError("bad id")
    return found


def _version(record: JsonObject, arxiv: ids.ArxivId | None) -> int | None:
    given = clean_count(record.get("version"))
    return given if given is not None else arxiv.version if arxiv else None
