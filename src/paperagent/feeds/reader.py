"""Open a feed: detect its format and yield its papers. The only module that knows every format."""

from __future__ import annotations

import codecs
import datetime as dt
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from paperagent.errors import FeedError, InputError, visible
from paperagent.feeds import formats, strict_json
from paperagent.feeds.record import FeedEntry, InvalidRecordError, limit_entries
from paperagent.feeds.source import (
    HEAD_BYTES,
    MAX_DOCUMENT_BYTES,
    MAX_STREAM_BYTES,
    SERVICE_SCHEMES,
    URL_SCHEMES,
    FeedSource,
    UnknownFormatError,
    open_file,
    open_stream,
)
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper

STDIN = "-"
SAMPLE = "sample"
"""The source that names the sample feed: ``paperagent ingest sample``."""
SUPPORTED = (
    "a saved Daily Papers page, Daily Papers JSON, arXiv Atom, OAI-PMH, PubMed and ACL Anthology XML, "
    "BibTeX, RIS, arXiv metadata snapshot and daily listings (JSON lines), paperagent JSON lines"
)
_JSON_DOCUMENT = "json"
"""A whole JSON document; its first item tells the format."""
_XML_DOCUMENT = "xml"
"""An XML document; its root element tells the format."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_BINARY_SIGNATURES = (
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
_XML_SUFFIXES = frozenset({".xml", ".atom", ".rss", ".rdf"})
_BIBTEX_SUFFIXES = frozenset({".bib", ".bibtex"})
_HTML = re.compile(
    # Atomic groups: a run of comments cannot be split in other ways on backtracking.
    rb"(?>(?:(?><!--.*?-->|<\?.*?\?>)\s*)*)<(?:!doctype\s+html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)
_XML_DECLARATION = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']([^\"'>]{1,40})[\"']")
_XML_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})
_MAX_SNIFFED_LINES = 50
_SNIFFED_TEXT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Feed:
    """An open feed. Reading ``records`` to the end, `close` or leaving the ``with`` block closes the file."""

    name: str
    """The format, such as ``daily-papers``."""
    records: Iterator[FeedEntry]
    """Papers and skipped records in the feed's order; lazy if the format allows it."""
    source: FeedSource
    notes: tuple[str, ...] = ()
    """Messages for the user, such as that a page's header has a day."""

    def close(self) -> None:
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_feed(
    source: str | Path,
    *,
    stdin: BinaryIO | None = None,
    date: dt.date | None = None,
    max_bytes: int | None = None,
) -> Feed:
    """Open a feed and detect its format.

    Args:
        source: a path, ``-`` for standard input, or ``sample`` for the invented papers in the package.
        stdin: the binary stream that ``-`` reads; by default the standard input of the process.
        date: the day on which a saved Daily Papers page listed its papers.
        max_bytes: limit on the decompressed size; by default 50 MB for a feed that is read whole and 16 GB
            for one that is read line by line.

    Raises:
        InputError: the source is empty.
        FeedError: the source is not a feed, or cannot be read. Iterating raises it too if a feed breaks off.
    """
    opened = _open_source(source, stdin)
    try:
        return _detect_and_parse(opened, date, max_bytes)
    except BaseException:
        opened.close()
        raise


def parse_feed(file: BinaryIO, label: str) -> list[FeedEntry]:
    """Return the entries of a feed that was fetched whole; ``label`` names it in messages."""
    with _detect_and_parse(FeedSource(file, label), None, None) as feed:
        return list(feed.records)


def sample_path() -> Path:
    """Return the path of the sample feed: a Daily Papers page on which every paper is invented."""
    return Path(__file__).resolve().parents[1] / "data" / "sample_feed.txt"


def _open_source(source: str | Path, stdin: BinaryIO | None) -> FeedSource:
    if not str(source).strip():
        raise InputError("source: is empty; give a file, or - for stdin")
    if source == STDIN:
        if stdin is None and sys.stdin is None:
            raise FeedError("standard input: is closed; pipe a feed to it, or name a file")
        return open_stream(stdin if stdin is not None else sys.stdin.buffer)
    if source == SAMPLE and not Path(source).exists():
        return open_file(sample_path())
    if isinstance(source, str) and (scheme := _SCHEME.match(source)) and not Path(source).exists():
        raise _not_a_file(scheme[1], source)
    return open_file(source)


def _not_a_file(scheme: str, source: str) -> FeedError:
    name = visible(source, limit=80)
    if scheme.lower() in {*URL_SCHEMES, *SERVICE_SCHEMES}:
        return FeedError(f"{name}: is fetched, not opened; give it to ingest")
    why = "scheme not allowed; give a file, - for stdin, https://… or one of " + ", ".join(SERVICE_SCHEMES)
    return FeedError(f"{name}: {why} ({SUPPORTED})")


def _detect_and_parse(source: FeedSource, date: dt.date | None, max_bytes: int | None) -> Feed:
    source.limit = max_bytes or MAX_DOCUMENT_BYTES
    name = _detect(source)
    convert = _json_converter(name)
    if convert is not None:
        source.limit = max_bytes or MAX_STREAM_BYTES
        source.check_size()
        return Feed(name, _closing(source, strict_json.parse_lines(source.lines(), convert)), source)
    source.check_size()
    name, entries, notes = _parse_document(source, name, date)
    source.close()
    return Feed(name, iter(entries), source, notes)


def _closing(source: FeedSource, records: Iterator[FeedEntry]) -> Iterator[FeedEntry]:
    try:
        yield from records
    finally:
        source.close()


# --- formats ---


def _json_converter(name: str) -> strict_json.Converter | None:
    """Return the function that converts a record of a JSON format; None for other formats."""
    if name == formats.PAPERAGENT:
        from paperagent.feeds.formats import jsonl

        return jsonl.convert
    if name == formats.HF_DAILY:
        from paperagent.feeds.formats import huggingface

        return huggingface.convert
    if name in {formats.ARXIV_SNAPSHOT, formats.ARXIV_JSONL}:
        from paperagent.feeds.formats import arxiv

        return arxiv.convert_snapshot if name == formats.ARXIV_SNAPSHOT else arxiv.convert_listing
    return None


def _parse_document(
    source: FeedSource, name: str, date: dt.date | None
) -> tuple[str, list[FeedEntry], tuple[str, ...]]:
    """Read a whole feed before its first paper is used, because a truncated document is an error.

    Returns the name of the format, the entries and notes.
    """
    if name == _XML_DOCUMENT:
        return *_parse_xml(_decode_xml(source), source.label), ()
    text, label = source.text(), source.label
    if name == _JSON_DOCUMENT:
        return *_parse_json(text.strip(), label), ()
    if name == formats.BIBTEX:
        from paperagent.feeds.formats import bibtex

        return name, list(limit_entries(bibtex.parse(text), label)), ()
    if name == formats.RIS:
        from paperagent.feeds.formats import ris

        return name, list(limit_entries(ris.parse(text), label)), ()
    from paperagent.feeds.formats import huggingface

    if not huggingface.looks_like_page(text):
        raise UnknownFormatError(
            f"{label}: not a feed: text of no known format; paperagent reads {SUPPORTED}"
        )
    entries = list(limit_entries(huggingface.parse_page(text, label, listing_day=date), label))
    if not any(isinstance(entry, Paper) for entry in entries):
        raise FeedError(f"{label}: a Daily Papers page without a paper; save the whole page as text")
    note = None if date else huggingface.header_note(text)
    return name, entries, (note,) if note else ()


def _parse_xml(text: str, label: str) -> tuple[str, list[FeedEntry]]:
    from paperagent.feeds.formats import acl, arxiv, oai_pmh, pubmed
    from paperagent.feeds.strict_xml import root_name

    root = root_name(text)
    if root == oai_pmh.ROOT:
        return formats.OAI_PMH, oai_pmh.parse(text, label)
    if root in pubmed.ROOTS:
        return formats.PUBMED, pubmed.parse(text, label)
    if root == acl.ROOT:
        return formats.ACL_ANTHOLOGY, acl.parse(text, label)
    return formats.ARXIV_ATOM, arxiv.parse_atom(text, label)


def _parse_json(text: str, label: str) -> tuple[str, list[FeedEntry]]:
    values = strict_json.parse_document(text, label)
    if len(values) == 1 and isinstance(values[0], dict):
        values = _unwrap(values[0], label)
    name = next((n for n in map(_json_format, values) if n), None) if values else formats.HF_DAILY
    convert = _json_converter(name or "")
    if name is None or convert is None:
        raise UnknownFormatError(f"{label}: not a feed: JSON of no known shape; paperagent reads {SUPPORTED}")
    return name, list(limit_entries(strict_json.parse_items(values, convert), label))


def _unwrap(document: dict[str, object], label: str) -> list[object]:
    """Return the items of a document that wraps them in an object, such as ``{"dailyPapers": [...]}``."""
    if _json_format(document) is not None:
        return [document]
    message = document.get("error") or document.get("message")
    if isinstance(message, str):
        raise FeedError(
            f"{label}: the server said: {visible(clean_text(message), limit=200)}; fetch it again"
        )
    lists = (value for value in document.values() if isinstance(value, list))
    return next((items for items in lists if any(map(_json_format, items))), [document])


# --- detection ---


def _detect(source: FeedSource) -> str:
    """Return the name of the format, or that of a JSON or XML document whose content tells it.

    Raises:
        FeedError: it is not a feed; the message says what it looks like instead.
    """
    head = source.head.lstrip()
    for signature, name in _BINARY_SIGNATURES:
        if source.head.startswith(signature):
            raise _not_a_feed(source, f"looks like {name}")
    if b"\0" in source.head[:4096]:
        raise _binary_error(source)
    if head[:100].lower().startswith(b"rate exceeded"):
        raise FeedError(f"{source.label}: arXiv said: Rate exceeded.; wait a minute and fetch it again")
    name = _detect_by_content(source, head)
    if source.suffix in _XML_SUFFIXES and name != _XML_DOCUMENT:
        actual = "JSON" if head[:1] in b"[{" else "text"
        raise FeedError(
            f"{source.label}: looks like {actual}, not XML; rename the file, or fetch the feed again"
        )
    return name


def _detect_by_content(source: FeedSource, head: bytes) -> str:
    first = head[:1]
    if first == b"<":
        if _HTML.match(head[:4096]):
            raise UnknownFormatError(
                f"{source.label}: got HTML, not Atom/RSS/OAI; save the page as text, or fetch the feed again"
            )
        return _XML_DOCUMENT
    if first == b"[":
        return _JSON_DOCUMENT
    if first == b"{":
        return _detect_json_lines(source) or _JSON_DOCUMENT
    from paperagent.feeds.formats import ris

    text = head[:_SNIFFED_TEXT_BYTES].decode("utf-8", "replace")
    if ris.looks_like(text):
        return formats.RIS
    if first in b"@%" or source.suffix in _BIBTEX_SUFFIXES:
        from paperagent.feeds.formats import bibtex

        if bibtex.looks_like(text):
            return formats.BIBTEX
    return formats.DAILY_PAPERS


def _detect_json_lines(source: FeedSource) -> str | None:
    """Return the format of the first line that is a known record; None if no line is one."""
    lines = source.head.splitlines()
    if len(source.head) == HEAD_BYTES:
        lines = lines[:-1]
    for line in lines[:_MAX_SNIFFED_LINES]:
        try:
            name = _json_format(strict_json.decode(line.decode().strip()))
        except (InvalidRecordError, UnicodeDecodeError):
            continue
        if name:
            # Daily Papers JSON is small and may have one item per line: it is read as a document.
            return None if name == formats.HF_DAILY else name
    return None


def _json_format(record: Any) -> str | None:
    """Return the format of a JSON record, judged by its keys; None if it is unknown."""
    if not isinstance(record, dict):
        return None
    keys = record.keys()
    if "paper_id" in keys:
        return formats.PAPERAGENT
    if isinstance(record.get("paper"), dict) or (
        "summary" in keys and keys & {"publishedAt", "submittedOnDailyAt"}
    ):
        return formats.HF_DAILY
    if "abstract" in keys and keys & {"versions", "authors_parsed", "update_date", "submitter"}:
        return formats.ARXIV_SNAPSHOT
    if "id" in keys and keys & {"title", "abstract", "summary"}:
        return formats.ARXIV_JSONL
    return formats.PAPERAGENT if {"title", "abstract"} <= keys else None


def _decode_xml(source: FeedSource) -> str:
    """Return an XML document as text, decoded as it declares if that encoding is one of five allowed."""
    data = source.read()
    declaration = _XML_DECLARATION.match(data[:300])
    if source.is_recoded or declaration is None:
        encoding = "utf-8"
    else:
        encoding = _allowed_encoding(declaration[1].decode("ascii", "replace"), source.label)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte 0x{data[error.start]:02x} at offset {error.start}"
        raise FeedError(
            f"{source.label}: not {encoding.upper()} ({where}); declare the right encoding"
        ) from None


def _allowed_encoding(declared: str, label: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        raise FeedError(f"{label}: unknown encoding {declared!r}; save it as UTF-8") from None
    if name.startswith("utf-16"):
        raise FeedError(
            f"{label}: encoding could not be determined (UTF-16 without a byte order mark); save it as UTF-8"
        )
    if name not in _XML_ENCODINGS:
        raise FeedError(f"{label}: encoding {declared!r} is not allowed; save it as UTF-8")
    return name


def _binary_error(source: FeedSource) -> FeedError:
    # If the file is too large, or a decompression bomb, that is the better message.
    source.check_size()
    if source.is_compressed:
        source.read()
    even_zeros, odd_zeros = source.head[:4096:2].count(0), source.head[1:4096:2].count(0)
    half = len(source.head[:4096]) // 4
    if max(even_zeros, odd_zeros) > half > min(even_zeros, odd_zeros) * 4:
        return FeedError(
            f"{source.label}: encoding could not be determined (UTF-16 without a byte order mark?); "
            "save it as UTF-8"
        )
    return _not_a_feed(source, "looks like binary data")


def _not_a_feed(source: FeedSource, what: str) -> FeedError:
    return UnknownFormatError(f"{source.label}: not a feed: {what}; paperagent reads {SUPPORTED}")
