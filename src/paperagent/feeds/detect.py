"""Which format a feed is in, told from its first bytes; and, for what is no feed, what it looks like."""

from __future__ import annotations

import codecs
import re
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import strict_json
from paperagent.feeds.formats import (
    arxiv_jsonl,
    arxiv_snapshot,
    bibtex,
    daily_papers,
    huggingface_json,
    jsonl,
    ris,
)
from paperagent.feeds.record import InvalidRecordError
from paperagent.feeds.source import HEAD, FeedSource

FORMATS = (
    "a saved Daily Papers page, Daily Papers JSON, arXiv Atom, OAI-PMH, PubMed and ACL Anthology XML, "
    "BibTeX, RIS, arXiv metadata snapshot and daily listings (JSON lines), paperagent JSON lines"
)
JSON = "json"
"""A whole JSON document: its first item tells which feed it is."""
XML = "xml"
"""An XML document: its root element tells which feed it is."""

_MAGIC = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\x7fELF", "ELF"),
    (b"GIF8", "GIF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\xca\xfe\xba\xbe", "Java"),
    (b"{\\rtf", "RTF"),
    (b"%!PS", "PostScript"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_XML_NAMES = frozenset({".xml", ".atom", ".rss", ".rdf"})
_HTML = re.compile(
    # Atomic groups: comments in a row cannot be shared out anew on the way back.
    rb"(?>(?:(?><!--.*?-->|<\?.*?\?>)\s*)*)<(?:!doctype\s+html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)
_DECLARED = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']([^\"'>]{1,40})[\"']")
_ALLOWED = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})
_LINES_TRIED = 50
_BIB_NAMES = frozenset({".bib", ".bibtex"})
_LOOKED_AT = 1 << 16


def detect(source: FeedSource) -> str:
    """Return the name of the feed's format, or `JSON` or `XML`; raise FeedError saying what else it is."""
    head = source.head.lstrip()
    for magic, name in _MAGIC:
        if source.head.startswith(magic):
            raise _no_feed(source, f"looks like {name}")
    if b"\0" in source.head[:4096]:
        raise _binary(source)
    if head[:100].lower().startswith(b"rate exceeded"):
        raise FeedError(f"{source.label}: arXiv said: Rate exceeded.; wait a minute and fetch it again")
    name = _by_first_character(source, head)
    if source.suffix in _XML_NAMES and name != XML:
        what = "JSON" if head[:1] in b"[{" else "text"
        raise FeedError(
            f"{source.label}: looks like {what}, not XML; give it a fitting name, or fetch it again"
        )
    return name


def _by_first_character(source: FeedSource, head: bytes) -> str:
    if head[:1] == b"<":
        if _HTML.match(head[:4096]):
            raise FeedError(
                f"{source.label}: got HTML, not Atom/RSS/OAI; save the page as text, or fetch the feed again"
            )
        return XML
    if head[:1] == b"[":
        return JSON
    if head[:1] == b"{":
        return _json_lines(source) or JSON
    text = head[:_LOOKED_AT].decode("utf-8", "replace")
    if ris.looks_like(text):
        return ris.NAME
    bib = head[:1] in b"@%" or source.suffix in _BIB_NAMES
    return bibtex.NAME if bib and bibtex.looks_like(text) else daily_papers.NAME


def shape(record: Any) -> str | None:
    """Return the name of the feed that a JSON record comes from, by its keys; None where none fits."""
    if not isinstance(record, dict):
        return None
    keys = record.keys()
    if "paper_id" in keys:
        return jsonl.NAME
    if isinstance(record.get("paper"), dict) or (
        "summary" in keys and keys & {"publishedAt", "submittedOnDailyAt"}
    ):
        return huggingface_json.NAME
    if "abstract" in keys and keys & {"versions", "authors_parsed", "update_date", "submitter"}:
        return arxiv_snapshot.NAME
    if "id" in keys and keys & {"title", "abstract", "summary"}:
        return arxiv_jsonl.NAME
    return jsonl.NAME if {"title", "abstract"} <= keys else None


def xml_text(source: FeedSource) -> str:
    """Return a feed's XML as text, decoded as it declares, where that encoding is one of five allowed."""
    data = source.read()
    declared = _DECLARED.match(data[:300])
    if source.recoded or declared is None:
        encoding = "utf-8"
    else:
        encoding = _allowed(declared[1].decode("ascii", "replace"), source.label)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        found = f"byte 0x{data[error.start]:02x} at offset {error.start}"
        raise FeedError(
            f"{source.label}: not {encoding.upper()} ({found}); declare the right encoding"
        ) from None


def _allowed(declared: str, label: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        raise FeedError(f"{label}: unknown encoding {declared!r}; save it as UTF-8") from None
    if name.startswith("utf-16"):
        raise FeedError(
            f"{label}: encoding could not be determined (UTF-16 without a mark); save it as UTF-8"
        )
    if name not in _ALLOWED:
        raise FeedError(f"{label}: encoding {declared!r} is not allowed; save it as UTF-8")
    return name


def _json_lines(source: FeedSource) -> str | None:
    """Return the shape of the first line that is a known record; None where no line is."""
    lines = source.head.splitlines()
    if len(source.head) == HEAD:
        lines = lines[:-1]
    for line in lines[:_LINES_TRIED]:
        try:
            name = shape(strict_json.decode(line.decode().strip()))
        except (InvalidRecordError, UnicodeDecodeError):
            continue
        if name:
            # A page of Daily Papers JSON is small, and its items may as well stand one a line.
            return None if name == huggingface_json.NAME else name
    return None


def _binary(source: FeedSource) -> FeedError:
    # Of a file that is too large, or of what a bomb unpacks to, the size is the better reason.
    source.check_size()
    if source.packed:
        source.read()
    even, odd = source.head[:4096:2].count(0), source.head[1:4096:2].count(0)
    half = len(source.head[:4096]) // 4
    if max(even, odd) > half > min(even, odd) * 4:
        return FeedError(
            f"{source.label}: encoding could not be determined (UTF-16 without a mark?); save it as UTF-8"
        )
    return _no_feed(source, "looks like binary data")


def _no_feed(source: FeedSource, what: str) -> FeedError:
    return FeedError(f"{source.label}: not a feed: {what}; paperagent reads {FORMATS}")
