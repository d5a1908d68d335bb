"""Papers as records of a Chroma server: the text is the document, all other fields are metadata.

A record also stores its provenance: the feed records that the paper was merged from. So reading a feed again
changes nothing; otherwise, two feeds with different texts of a paper would overwrite each other forever. The
provenance is one metadata value, because a record has no room for more. It is written together with the
paper, so it never lists a record that was not merged.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from hashlib import blake2b
from typing import Any

from paperagent.errors import StoreError, visible
from paperagent.library import identity
from paperagent.library.features import embedded_text
from paperagent.library.protocol import shard_slot
from paperagent.library.server.client import Quotas, Record
from paperagent.text.terms import title_key
from paperagent.types import Paper

_DAYS = frozenset({"published", "updated", "listed", "first_seen"})
_TEXT = frozenset({"title", "abstract"})
_MAX_PARTS = 16
"""Metadata values for the fields that are not text; a record has 32 at most."""
MANY_AUTHORS = "a:*"
"""The tag of a paper whose tags do not contain all authors."""
PROVENANCE = "read"
"""Metadata key of the provenance."""
_FEED, _RUN, _ENTRY = 8, 16, 32
"""End positions of the feed, the run and the record's hash in an entry of the provenance."""


def record_id(paper_id: str, quotas: Quotas) -> str:
    """Return the id of a paper's record: the paper's id, or a hash if it is longer than the quota."""
    if len(paper_id.encode()) <= quotas.id_bytes:
        return paper_id
    return f"long:{digest(paper_id)}"


def digest(text: str) -> str:
    """Return a hash of ``text``, 32 hexadecimal digits."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def unfit(paper: Paper, quotas: Quotas) -> str | None:
    """Return why the library cannot store ``paper``, or None. Ingest reports count the reasons."""
    if reason := identity.unfit(paper):
        return reason
    size = quotas.document_bytes
    if size is not None and len(embedded_text(paper).encode()) > size:
        return "text too long for the server"
    if len(_pack(paper)) > _MAX_PARTS * quotas.value_bytes:
        return "too many authors for the server"
    return None


def record_from_paper(
    paper: Paper, quotas: Quotas, *, terms: int, again: bool = False, provenance: str = ""
) -> Record:
    """Return the record of ``paper``.

    Args:
        paper: The paper.
        quotas: The limits of the server.
        terms: Its number of index terms; those of the title count twice.
        again: The paper already has a vector of a former text, which is searched until the new text is
            embedded.
        provenance: The feed records that it was merged from.
    """
    parts = _split(_pack(paper), quotas.value_bytes)
    metadata: dict[str, Any] = {
        "size": len(paper.title),
        "day": identity.day_number(paper.day) or 0,
        "came": identity.day_number(paper.appeared) or 0,
        "seen": identity.day_number(paper.first_seen) or 0,
        "updated": identity.day_number(paper.updated) or 0,
        "title_mark": digest(title_key(paper.title)),
        "doi": paper.doi or "",
        "shard": shard_slot(paper),
        "terms": terms,
        "again": again,
        "text": identity.content_hash(paper),
        "mark": checksum(paper),
        PROVENANCE: provenance,
        "parts": len(parts),
        **{f"rest{n}": part for n, part in enumerate(parts)},
    }
    if tags := _tags(paper, quotas):  # Chroma takes no empty list
        metadata["tags"] = tags
    return Record(record_id(paper.paper_id, quotas), embedded_text(paper), metadata)


def _tags(paper: Paper, quotas: Quotas) -> list[str]:
    """Return the tags that filters match. `MANY_AUTHORS` replaces names that exceed the quota."""
    tags, size = list[str](), len(MANY_AUTHORS)
    for tag in identity.tags(paper):
        size += len(tag.encode())
        if size > quotas.value_bytes and tag.startswith("a:"):
            return [*tags, MANY_AUTHORS]
        tags.append(tag)
    return tags


def checksum(paper: Paper) -> str:
    """Return the checksum of all fields, which reveals a flipped byte and a concurrent change."""
    return digest(f"{paper.title}\0{paper.abstract}\0{_pack(paper)}")


def is_intact(record: Record) -> bool:
    """Return whether a paper's record matches its checksum."""
    try:
        return checksum(paper_from_record(record)) == record.metadata.get("mark")
    except StoreError:
        return False


def paper_from_record(record: Record) -> Paper:
    """Return the paper of a record.

    Raises:
        StoreError: The record is damaged, or was not written by paperagent.
    """
    try:
        size = record.metadata["size"]
        parts = [record.metadata[f"rest{n}"] for n in range(record.metadata["parts"])]
        return _unpack(record.document[:size], record.document[size + 1 :], json.loads("".join(parts)))
    except (LookupError, TypeError, ValueError) as error:
        name = visible(record.id, limit=60)
        raise StoreError(f"Chroma server: paper {name} is damaged; ingest its feed again") from error


def _pack(paper: Paper) -> str:
    values = {f.name: getattr(paper, f.name) for f in fields(Paper) if f.name not in _TEXT}
    return json.dumps({k: v for k, v in values.items() if v not in (None, (), False)}, default=_iso)


def _iso(value: object) -> str:
    if not isinstance(value, dt.date):
        raise TypeError(type(value).__name__)
    return value.isoformat()


def _unpack(title: str, abstract: str, packed: Mapping[str, Any]) -> Paper:
    names = {f.name for f in fields(Paper)}
    values = {name: _value(name, value) for name, value in packed.items() if name in names}
    return Paper(title=title, abstract=abstract, **values)


def _value(name: str, value: Any) -> Any:
    if name in _DAYS:
        return dt.date.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value


def _split(text: str, size: int) -> list[str]:
    """Split JSON, which is ASCII here, into metadata values that do not exceed the quota."""
    return [text[start : start + size] for start in range(0, len(text), size)]


# --- provenance ---


def provenance_entry(record: Paper, record_hash: bytes, run: str) -> str:
    """Return the entry for a record that a run, of 8 digits, has read."""
    return digest("\n".join(record.sources))[:_FEED] + run + short_hash(record_hash)


def short_hash(record_hash: bytes) -> str:
    """Return the digits of a record's hash that an entry contains."""
    return record_hash.hex()[: _ENTRY - _RUN]


def seen_records(record: Record) -> set[str]:
    """Return the short hashes of the records in a paper; none if it is damaged."""
    entries = str(record.metadata.get(PROVENANCE, ""))
    return {entry[_RUN:] for entry in entries.split()} if entries and is_intact(record) else set()


def join_provenance(former: Iterable[str], entries: Iterable[str], quotas: Quotas) -> str:
    """Return the provenance of a paper after new records were merged into it.

    Entries of the same feeds from earlier runs are removed. So a text that is changed back counts as a
    change, but two different records in one file do not.

    Args:
        former: The provenance of the papers that were merged.
        entries: The new entries.
        quotas: The oldest entries are dropped if the value gets too long.
    """
    added = list(dict.fromkeys(entries))
    feeds, runs = {e[:_FEED] for e in added}, {e[:_RUN] for e in added}
    old = dict.fromkeys(e for text in former for e in text.split())
    remaining = [e for e in old if e[:_FEED] not in feeds or (e[:_RUN] in runs and e not in added)]
    return " ".join([*remaining, *added][-(quotas.value_bytes // (_ENTRY + 1)) :])
