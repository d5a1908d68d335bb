"""Recognize the format of a feed.

The content is searched for a signature: the first tag of a RIS file, the root element of XML, the keys of a
JSON record. A format without a signature, such as a saved page of titles and abstracts, is only considered if
the file's suffix does not indicate another format.
"""

from __future__ import annotations

import re

from paperagent.errors import FeedError
from paperagent.feeds import json_feed, other_files, strict_json
from paperagent.feeds.formats import (
    CSV,
    DAILY_PAPERS,
    FORMATS,
    HF_DAILY,
    SUFFIXES,
    TEXT_FORMATS,
    XLSX,
    Format,
    Kind,
)
from paperagent.feeds.record import InvalidRecordError
from paperagent.feeds.source import HEAD_BYTES, FeedSource, UnknownFormatError, not_a_feed

_XML_SUFFIXES = frozenset({".xml", ".atom", ".rss", ".rdf", ".nxml"})
_PAGE_SUFFIXES = frozenset({"", ".txt", ".text"})
_HTML = re.compile(
    # Atomic groups: a run of comments cannot be split in other ways on backtracking.
    rb"(?>(?:(?><!--.*?-->|<\?.*?\?>)\s*)*)<(?:!doctype\s+(?:html|netscape-bookmark-file-1)|html|head|body|script"
    rb"|(?:a|b|blockquote|br|center|details|div|d[ldt]|h[1-6]|img|li|main|meta|[ou]l|p|section|span|strong|table)"
    rb"(?=[\s/>]))\b",
    re.IGNORECASE | re.DOTALL,
)
_LABEL = re.compile(rb"\[[^\[\]{}\"\n]{1,80}\][ \t]*+(?:[^\s,]|\r?\n\s*+[^\s\[{])")
"""A number or a name in brackets before other text, as in a list of references or a file of settings."""
_COMMENTS = re.compile(rb"(?>(?:(?><!--.*?-->)\s*)+)(?=[^<\s])", re.DOTALL)
_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".rst", ".org"})
_LIST_SUFFIXES = _MARKDOWN_SUFFIXES | {"", ".txt", ".text", ".html", ".htm", ".xhtml"}
"""Suffixes of files that may be lists of links."""
_MAX_SNIFFED_LINES = 50
_SNIFFED_TEXT_BYTES = 1 << 16


def detect(source: FeedSource) -> Format | Kind:
    """Return the format of a feed, or ``Kind.XML`` or ``Kind.JSON`` if only a parser can tell the format.

    Raises:
        FeedError: the file is not a feed. The message says what it looks like instead.
    """
    head = source.head.lstrip()
    if source.head.startswith(b"PK") and (
        source.suffix in FORMATS[XLSX].suffixes or b"xl/work" in source.head
    ):
        return FORMATS[XLSX]
    if other := other_files.binary_name(source.head):
        raise _other_file(source.label, *other)
    if b"\0" in source.head[:4096]:
        raise _binary_error(source)
    if head[:100].lower().startswith(b"rate exceeded"):
        raise FeedError(f"{source.label}: arXiv said: Rate exceeded.; wait a minute and fetch it again")
    detected = _detect_by_content(source, head)
    if source.suffix in _XML_SUFFIXES and detected is not Kind.XML:
        actual = "JSON" if head[:1] in b"[{" else "text"
        raise FeedError(
            f"{source.label}: looks like {actual}, not XML; rename the file, or fetch the feed again"
        )
    return detected


def _other_file(label: str, name: str, advice: str) -> UnknownFormatError:
    return UnknownFormatError(f"{label}: not a feed: looks like {name}; {advice}")


def _detect_by_content(source: FeedSource, head: bytes) -> Format | Kind:
    first = head[:1]
    if source.suffix in _MARKDOWN_SUFFIXES or _COMMENTS.match(head) or head.startswith(b"[!"):
        return _detect_text(source, head[:_SNIFFED_TEXT_BYTES].decode("utf-8", "replace"))
    if first == b"<" and not head[1:2].isdigit():  # Ovid numbers its records "<1>"
        if _HTML.match(head[:4096]):
            _reject_link_list(source)
            raise UnknownFormatError(
                f"{source.label}: got HTML, not Atom/RSS/OAI; save the page as text, or fetch the feed again"
            )
        return Kind.XML
    if first == b"[" and not _LABEL.match(head):
        return Kind.JSON
    if first == b"{":
        return _detect_json_lines(source) or Kind.JSON
    return _detect_text(source, head[:_SNIFFED_TEXT_BYTES].decode("utf-8", "replace"))


def _detect_text(source: FeedSource, text: str) -> Format:
    if source.suffix in _MARKDOWN_SUFFIXES and not FORMATS[DAILY_PAPERS].looks_like(text):
        _reject_link_list(source)  # a list may end with a BibTeX entry for citing it
    for each in TEXT_FORMATS:
        if each.looks_like(text):
            return each
    if other := other_files.text_name(text, source.suffix):
        raise _other_file(source.label, *other)
    if source.suffix in _PAGE_SUFFIXES:
        from paperagent.feeds.formats import huggingface

        if huggingface.has_pairs(text):
            return FORMATS[DAILY_PAPERS]
    _reject_link_list(source)
    promised = SUFFIXES.get(source.suffix)
    if promised is FORMATS[CSV]:
        from paperagent.feeds.formats import table

        if why := table.mismatch(text):
            raise UnknownFormatError(f"{source.label}: {why}")
        return promised
    if promised is not None:
        raise not_a_feed(
            source.label, f"does not look like {promised.title}, although its name ends in {source.suffix}"
        )
    raise not_a_feed(source.label, "text of no known format")


def _reject_link_list(source: FeedSource) -> None:
    """Raise `LinkListError` if the file is a list of links to arXiv."""
    if source.suffix not in _LIST_SUFFIXES:
        return
    from paperagent.feeds.link_list import find_links

    if find_links(source.head.decode("utf-8", "replace"), source.label) is None:
        return
    source.check_size()
    if links := find_links(source.read().decode("utf-8", "replace"), source.label):
        raise links


# --- JSON ---


def _detect_json_lines(source: FeedSource) -> Format | None:
    """Return the format of the first line that is a known record; None if no line is one."""
    lines = source.head.splitlines()
    if len(source.head) == HEAD_BYTES:
        lines = lines[:-1]
    for line in lines[:_MAX_SNIFFED_LINES]:
        try:
            each = json_feed.json_format(strict_json.decode(line.decode().strip()))
        except (InvalidRecordError, UnicodeDecodeError):
            continue
        if each:
            # Daily Papers JSON is small and may have one item per line: it is read as a document.
            return None if each.name == HF_DAILY else each
    return None


# --- binary data ---


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
    return not_a_feed(source.label, "looks like binary data")
