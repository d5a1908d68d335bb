"""Open a feed: detect its format and yield its papers."""

from __future__ import annotations

import codecs
import datetime as dt
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from paperagent.errors import FeedError, InputError, visible
from paperagent.feeds import detection, json_feed, strict_json
from paperagent.feeds.formats import DAILY_PAPERS, FORMATS, ROOTS, Format, Kind
from paperagent.feeds.record import FeedEntry, limit_entries
from paperagent.feeds.source import (
    MAX_DOCUMENT_BYTES,
    MAX_STREAM_BYTES,
    SERVICE_SCHEMES,
    URL_SCHEMES,
    FeedSource,
    not_a_feed,
    open_file,
    open_stream,
)
from paperagent.types import Paper

STDIN = "-"
SAMPLE = "sample"
"""The source that names the sample feed: ``paperagent ingest sample``."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_XML_DECLARATION = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']([^\"'>]{1,40})[\"']")
_XML_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})


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
    format: str | None = None,  # noqa: A002 - the name that callers expect
    max_bytes: int | None = None,
) -> Feed:
    """Open a feed and detect its format.

    Args:
        source: a path, ``-`` for standard input, or ``sample`` for the invented papers in the package.
        stdin: the binary stream that ``-`` reads; by default the standard input of the process.
        date: the day on which the feed listed its papers, for papers that have no date themselves.
        format: the name of the format; by default it is detected.
        max_bytes: limit on the decompressed size; by default 50 MB for a feed that is read whole and 16 GB
            for one that is read line by line.

    Raises:
        InputError: the source is empty, or there is no such format.
        FeedError: the source is not a feed, or cannot be read. Iterating raises it too if a feed breaks off.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"format: {visible(format, limit=40)} is not one of {', '.join(FORMATS)}")
    opened = _open_source(source, stdin)
    try:
        return _detect_and_parse(opened, date=date, format_name=format, max_bytes=max_bytes)
    except BaseException:
        opened.close()
        raise


def parse_feed(file: BinaryIO, label: str) -> list[FeedEntry]:
    """Return the entries of a feed that was fetched whole; ``label`` names it in messages."""
    with _detect_and_parse(FeedSource(file, label)) as feed:
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
    return FeedError(f"{name}: {why}")


def _detect_and_parse(
    source: FeedSource,
    *,
    date: dt.date | None = None,
    format_name: str | None = None,
    max_bytes: int | None = None,
) -> Feed:
    source.limit = max_bytes or MAX_DOCUMENT_BYTES
    chosen = FORMATS[format_name] if format_name else None
    detected = _check_format(source, chosen) if chosen else detection.detect(source)
    if isinstance(detected, Format) and detected.kind is Kind.JSON:  # JSON lines
        source.limit = max_bytes or MAX_STREAM_BYTES
        source.check_size()
        each = chosen or detected
        papers = strict_json.parse_lines(source.lines(), json_feed.converter(each))
        return Feed(each.name, _closing(source, _with_day(papers, date)), source)
    source.check_size()
    name, entries, notes = _parse_document(source, chosen or detected, date)
    source.close()
    return Feed(name, _with_day(entries, date), source, notes)


def _check_format(source: FeedSource, chosen: Format) -> Format | Kind:
    """Return how to read a feed of the chosen format.

    Raises:
        FeedError: the content has the signature of another format.
    """
    try:
        detected = detection.detect(source)
    except FeedError:
        if chosen.kind is Kind.JSON:
            raise
        return chosen
    kind = detected.kind if isinstance(detected, Format) else detected
    is_page = detected == FORMATS[DAILY_PAPERS]
    is_other_text = kind is Kind.TEXT and detected != chosen and not is_page
    if kind is not chosen.kind or is_other_text:
        name = detected.title if isinstance(detected, Format) else detected.value
        raise _other_format(source.label, name, chosen)
    return detected if chosen.kind is Kind.JSON else chosen


def _other_format(label: str, name: str, chosen: Format) -> FeedError:
    return FeedError(f"{label}: looks like {name}, not {chosen.title}; leave out --format")


def _closing(source: FeedSource, records: Iterator[FeedEntry]) -> Iterator[FeedEntry]:
    try:
        yield from records
    finally:
        source.close()


def _with_day(entries: Iterable[FeedEntry], day: dt.date | None) -> Iterator[FeedEntry]:
    """Yield the entries; papers without any date get ``day`` as the day of their listing."""
    for entry in entries:
        if day and isinstance(entry, Paper) and not (entry.published or entry.listed or entry.updated):
            yield replace(entry, listed=day)
        else:
            yield entry


# --- formats ---


def _parse_document(
    source: FeedSource, detected: Format | Kind, date: dt.date | None
) -> tuple[str, list[FeedEntry], tuple[str, ...]]:
    """Read a whole feed before its first paper is used, because a truncated document is an error.

    Returns the name of the format, the entries and notes.
    """
    kind = detected.kind if isinstance(detected, Format) else detected
    chosen = detected if isinstance(detected, Format) else None
    if kind is Kind.XML:
        text = _decode_xml(source)
        each = _xml_format(text, source.label)
        if chosen not in (None, each):
            raise _other_format(source.label, each.title, chosen or each)
        return each.name, each.load_parser()(text, source.label), ()
    label = source.label
    if chosen is not None and kind is Kind.BINARY:
        return chosen.name, list(limit_entries(chosen.load_parser()(source.read(), label), label)), ()
    text = source.text()
    if chosen is None or kind is Kind.JSON:
        return *json_feed.parse(text.strip(), label, chosen), ()
    entries = list(limit_entries(chosen.load_parser()(text, label), label))
    if not entries:
        raise FeedError(f"{label}: {chosen.title} without a record; save or export it again")
    return chosen.name, entries, _page_notes(chosen, text, date)


def _page_notes(chosen: Format, text: str, date: dt.date | None) -> tuple[str, ...]:
    if chosen.name != DAILY_PAPERS or date is not None:
        return ()
    from paperagent.feeds.formats import huggingface

    note = huggingface.header_note(text)
    return (note,) if note else ()


def _xml_format(text: str, label: str) -> Format:
    """Return the format whose root element the document has."""
    from paperagent.feeds import strict_xml

    def reject(tag: str, _depth: int, _attributes: Mapping[str, str]) -> None:
        name = visible(strict_xml.local_name(tag), limit=60)
        raise not_a_feed(label, f"XML with the root element {name}")

    root = strict_xml.root_name(text)
    if root not in ROOTS:
        strict_xml.parse(text, label, reject, {})  # a DTD or broken XML is the better message
    return ROOTS[root]


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
