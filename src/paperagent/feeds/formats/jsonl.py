"""Our own JSON lines: one `Paper` a line, what ``export`` writes. Every field round-trips exactly."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.record import (
    BadRecord,
    Record,
    abstract_of,
    count_of,
    names,
    title_of,
    unique,
)
from paperagent.types import Paper

NAME = "paperagent"

_FIELDS = tuple(f.name for f in dataclasses.fields(Paper))
_ALWAYS = frozenset({"paper_id", "title", "abstract", "sources"})
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(Paper)}


def dump(paper: Paper) -> str:
    """Return the paper as one line of JSON, without the line's end; fields at their default are left out."""
    record: Record = {}
    for name in _FIELDS:
        value = getattr(paper, name)
        if name in _ALWAYS or value != _DEFAULTS[name]:
            record[name] = value.isoformat() if isinstance(value, dt.date) else value
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def convert(record: Record) -> Paper:
    """Return the paper of one line.

    Without ``paper_id`` its identity is the arXiv id, else the DOI, else the content's hash.
    """
    noticed: set[str] = set()
    title = title_of(record.get("title"), noticed)
    abstract = abstract_of(record.get("abstract"), noticed)
    arxiv = ids.arxiv_id(record.get("arxiv_id"))
    doi = ids.doi(record.get("doi"))
    fields: dict[str, Any] = {
        name: dates.day(record.get(name), noticed)
        for name in ("published", "updated", "listed", "first_seen")
    }
    for name in ("authors", "categories"):
        fields[name] = names(record.get(name), noticed)
    return Paper(
        paper_id=_identity(record, arxiv, doi) or ids.content_id(title, abstract),
        title=title,
        abstract=abstract,
        url=ids.web_url(record.get("url"), noticed),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=_version(record, arxiv),
        sources=names(record["sources"], noticed) if "sources" in record else (NAME,),
        upvotes=count_of(record.get("upvotes")),
        withdrawn=record.get("withdrawn") is True,
        flags=unique((*names(record.get("flags"), set()), *sorted(noticed))),
        ids=tuple(name for name in unique(names(record.get("ids"), set())) if _is_further(name)),
        **fields,
    )


def _is_further(name: str) -> bool:
    """Tell whether ``name`` may be a further id: a service's, or a text's hash that a paper went by."""
    return ids.is_native(name) or (name.startswith("sha256:") and ids.paper_id(name) is not None)


def _identity(record: Record, arxiv: ids.ArxivId | None, doi: str | None) -> str | None:
    for name, found in (("arxiv_id", arxiv), ("doi", doi)):
        if record.get(name) is not None and found is None:
            raise BadRecord("bad id")
    given = record.get("paper_id")
    if given is None:
        return arxiv.id if arxiv else f"doi:{doi}" if doi else None
    found = ids.paper_id(given)
    if found is None:
        raise BadRecord("bad id")
    return found


def _version(record: Record, arxiv: ids.ArxivId | None) -> int | None:
    given = count_of(record.get("version"))
    return given if given is not None else arxiv.version if arxiv else None
