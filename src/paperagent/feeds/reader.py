"""`open_feed`: a source becomes a `Feed`. The one place that knows every format."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from paperagent.errors import FeedError, InputError, visible
from paperagent.feeds import detect, strict_json, strict_xml
from paperagent.feeds.formats import (
    acl,
    arxiv_atom,
    arxiv_jsonl,
    arxiv_snapshot,
    bibtex,
    daily_papers,
    huggingface_json,
    jsonl,
    oai_pmh,
    pubmed,
    ris,
)
from paperagent.feeds.record import FeedEntry, limit_entries
from paperagent.feeds.source import STREAM_LIMIT, WHOLE_LIMIT, FeedSource, open_file, open_stream
from paperagent.text.sanitize import clean_text

STDIN = "-"
SAMPLE = "sample"
"""The source that names the sample feed: ``paperagent ingest sample``."""
LIVE = ("arxiv", "arxiv-rss", "arxiv-oai", "hf-daily", "s2", "openalex", "zotero")
"""The schemes of `paperagent.feeds.services`."""

_CONVERT: dict[str, strict_json.Convert] = {
    jsonl.NAME: jsonl.convert,
    huggingface_json.NAME: huggingface_json.convert,
    arxiv_snapshot.NAME: arxiv_snapshot.convert,
    arxiv_jsonl.NAME: arxiv_jsonl.convert,
}
_OF_TEXT = {bibtex.NAME: bibtex.papers, ris.NAME: ris.papers}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feed:
    """An open feed. Reading ``records`` to the end, `close` or leaving the ``with`` block closes the file."""

    name: str
    """The format, such as ``daily-papers``."""
    records: Iterator[FeedEntry]
    """Papers, and records skipped with their reasons, in the feed's order; lazy where the format allows."""
    source: FeedSource

    def close(self) -> None:
        """Close the file; harmless when closed already."""
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
    """Open a feed and tell its format.

    ``source`` is a path, ``-`` for ``stdin`` (a binary stream; the process's own by default), or
    ``sample`` for the invented papers that ship with paperagent.
    ``date`` is the day a saved Daily Papers page was listed. ``max_bytes`` limits the decompressed
    size: by default 50 MB for a feed read whole, 16 GB for one read line by line.

    Raises:
        InputError: the source is empty, or its scheme names no kind of feed.
        FeedError: it is no feed, or one that cannot be read; while iterating, where it breaks off.
    """
    opened = _open(source, stdin)
    try:
        return _feed(opened, date, max_bytes)
    except BaseException:
        opened.close()
        raise


def parse_feed(file: BinaryIO, label: str) -> list[FeedEntry]:
    """Return the entries of a feed that was fetched whole; ``label`` names it in messages."""
    with _feed(FeedSource(file, label), None, None) as feed:
        return list(feed.records)


def sample_path() -> Path:
    """Return the path of the sample feed: a Daily Papers page on which every paper is invented."""
    return Path(__file__).resolve().parents[1] / "data" / "sample_feed.txt"


def _open(source: str | Path, stdin: BinaryIO | None) -> FeedSource:
    if not str(source).strip():
        raise InputError("source: is empty; give a file, or - for stdin")
    if source == STDIN:
        return open_stream(stdin if stdin is not None else sys.stdin.buffer)
    if source == SAMPLE and not Path(source).exists():
        return open_file(sample_path())
    if isinstance(source, str) and (scheme := _SCHEME.match(source)) and not Path(source).exists():
        raise _unknown_scheme(scheme[1], source)
    return open_file(source)


def _unknown_scheme(scheme: str, source: str) -> FeedError:
    """Say what is read instead. Live services are fetched by `paperagent.feeds.services`."""
    shown = visible(source, limit=80)
    if scheme.lower() in {"http", "https", *LIVE}:
        return FeedError(f"{shown}: is fetched, not opened; give it to ingest")
    why = "scheme not allowed; give a file, - for stdin, https://… or one of " + ", ".join(LIVE)
    return FeedError(f"{shown}: {why} ({detect.FORMATS})")


def _feed(source: FeedSource, date: dt.date | None, max_bytes: int | None) -> Feed:
    source.limit = max_bytes or WHOLE_LIMIT
    name = detect.detect(source)
    if name in _CONVERT:
        source.limit = max_bytes or STREAM_LIMIT
        source.check_size()
        return Feed(name, _closing(source, strict_json.parse_lines(source.lines(), _CONVERT[name])), source)
    source.check_size()
    name, entries = _whole(source, name, date)
    source.close()
    return Feed(name, iter(entries), source)


def _closing(source: FeedSource, records: Iterator[FeedEntry]) -> Iterator[FeedEntry]:
    try:
        yield from records
    finally:
        source.close()


def _whole(source: FeedSource, name: str, date: dt.date | None) -> tuple[str, list[FeedEntry]]:
    """Read a feed to its end before its first paper is used: half a document is an error, no short feed."""
    if name == detect.XML:
        return _xml(detect.xml_text(source), source.label)
    text = source.text()
    if name in _OF_TEXT:
        return name, list(limit_entries(_OF_TEXT[name](text), source.label))
    if name == detect.JSON:
        return _json(text.strip(), source.label)
    if not daily_papers.looks_like(text):
        raise FeedError(
            f"{source.label}: not a feed: text of no known format; paperagent reads {detect.FORMATS}"
        )
    found = list(limit_entries(daily_papers.papers(text, source.label, listed=date), source.label))
    return name, daily_papers.check(found, source.label)


def _xml(text: str, label: str) -> tuple[str, list[FeedEntry]]:
    root = strict_xml.root_name(text)
    if root == oai_pmh.ROOT:
        return oai_pmh.NAME, oai_pmh.papers(text, label)
    if root in pubmed.ROOTS:
        return pubmed.NAME, list(pubmed.papers(text, label))
    if root == acl.ROOT:
        return acl.NAME, list(acl.papers(text, label))
    return arxiv_atom.NAME, list(arxiv_atom.papers(text, label))


def _json(text: str, label: str) -> tuple[str, list[FeedEntry]]:
    values = strict_json.parse_document(text, label)
    if len(values) == 1 and isinstance(values[0], dict):
        values = _enclosed(values[0], label)
    name = next((n for n in map(detect.shape, values) if n), None) if values else huggingface_json.NAME
    if name is None:
        raise FeedError(f"{label}: not a feed: JSON of no known shape; paperagent reads {detect.FORMATS}")
    return name, list(limit_entries(strict_json.parse_items(values, _CONVERT[name]), label))


def _enclosed(value: dict[str, object], label: str) -> list[object]:
    """Return the items of a document that wraps them in one object, such as ``{"dailyPapers": [...]}``."""
    if detect.shape(value) is not None:
        return [value]
    said = value.get("error") or value.get("message")
    if isinstance(said, str):
        raise FeedError(f"{label}: the server said: {visible(clean_text(said), limit=200)}; fetch it again")
    return next((v for v in value.values() if isinstance(v, list) and any(map(detect.shape, v))), [value])
