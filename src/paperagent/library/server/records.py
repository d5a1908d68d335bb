"""Papers to and from the records of a Chroma server: the text in the document, the rest in the metadata."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import fields
from hashlib import blake2b
from typing import Any

from paperagent.errors import StoreError, visible
from paperagent.library import identity
from paperagent.library.index_sync import embedded_text
from paperagent.library.protocol import shard_slot
from paperagent.library.server.address import Quotas
from paperagent.library.server.collection import Record
from paperagent.types import Paper

_DAYS = frozenset({"published", "updated", "listed", "first_seen"})
_TEXT = frozenset({"title", "abstract"})
_TOO_LONG = "text too long for the server"
_MOST_PARTS = 16
"""Metadata values that what is not text may fill: a record has 32 at most."""


def record_id(paper_id: str, quotas: Quotas) -> str:
    """Return the id of a paper's record: the paper's own, or a hash where that is longer than the quota."""
    if len(paper_id.encode()) <= quotas.id_bytes:
        return paper_id
    return f"long:{digest(paper_id)}"


def digest(text: str) -> str:
    """Return 32 hexadecimal digits that stand for ``text``."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def title_mark(title: str) -> str:
    """Return what records of the same title have in common."""
    return digest(identity.title_key(title))


def unfit(paper: Paper, quotas: Quotas) -> str | None:
    """Return why the library cannot hold ``paper``, or None; the reason can be counted."""
    if reason := identity.unfit(paper):
        return reason
    size = quotas.document_bytes
    if size is not None and len(embedded_text(paper).encode()) > size:
        return _TOO_LONG
    if len(_packed(paper)) > _MOST_PARTS * quotas.value_bytes:
        return "too many authors for the server"
    return None


def record_of(paper: Paper, quotas: Quotas, *, terms: int, again: bool = False, read: str = "") -> Record:
    """Return the record of ``paper``; ``terms`` is its number of index terms, its title counted twice.

    ``again`` marks a text that waits for its vector while the former one is still searched;
    ``read`` names the records that went into the paper.
    """
    rest = _pieces(_packed(paper), quotas.value_bytes)
    day, came = paper.day, paper.listed or paper.published or paper.first_seen
    metadata: dict[str, Any] = {
        "size": len(paper.title),
        "day": identity.day_number(day) or 0,
        "came": identity.day_number(came) or 0,
        "seen": identity.day_number(paper.first_seen) or 0,
        "updated": identity.day_number(paper.updated) or 0,
        "title_mark": title_mark(paper.title),
        "doi": paper.doi or "",
        "shard": shard_slot(paper),
        "terms": terms,
        "again": again,
        "text": identity.content_hash(paper),
        "mark": mark(paper),
        "read": read,
        "parts": len(rest),
        **{f"rest{n}": piece for n, piece in enumerate(rest)},
    }
    if tags := identity.tags(paper):  # Chroma takes no empty list
        metadata["tags"] = list(tags)
    return Record(record_id(paper.paper_id, quotas), embedded_text(paper), metadata)


def mark(paper: Paper) -> str:
    """Return the checksum of all that a paper says, by which a flipped byte and a late change are seen."""
    return digest(f"{paper.title}\0{paper.abstract}\0{_packed(paper)}")


def whole(record: Record) -> bool:
    """Tell whether a paper's record fits its checksum."""
    try:
        return mark(paper_of(record)) == record.metadata.get("mark")
    except StoreError:
        return False


def paper_of(record: Record) -> Paper:
    """Return the paper of a record. Raises `StoreError` where it is not one of ours, or damaged."""
    try:
        size = record.metadata["size"]
        pieces = [record.metadata[f"rest{n}"] for n in range(record.metadata["parts"])]
        return _unpacked(record.document[:size], record.document[size + 1 :], json.loads("".join(pieces)))
    except (LookupError, TypeError, ValueError) as error:
        name = visible(record.id, limit=60)
        raise StoreError(f"Chroma server: paper {name} is damaged; ingest its feed again") from error


def _packed(paper: Paper) -> str:
    held = {f.name: getattr(paper, f.name) for f in fields(Paper) if f.name not in _TEXT}
    return json.dumps({k: v for k, v in held.items() if v not in (None, (), False)}, default=_iso)


def _iso(value: object) -> str:
    if not isinstance(value, dt.date):
        raise TypeError(type(value).__name__)
    return value.isoformat()


def _unpacked(title: str, abstract: str, held: Mapping[str, Any]) -> Paper:
    known = {f.name for f in fields(Paper)}
    values = {name: _value(name, value) for name, value in held.items() if name in known}
    return Paper(title=title, abstract=abstract, **values)


def _value(name: str, value: Any) -> Any:
    if name in _DAYS:
        return dt.date.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value


def _pieces(text: str, size: int) -> list[str]:
    """Cut JSON, which is ASCII here, into metadata values that keep to the quota."""
    return [text[start : start + size] for start in range(0, len(text), size)]
