"""Parse XML from untrusted feeds one record at a time.

DTDs are rejected. Without a DTD, no entity can be declared, which stops every expansion bomb. If all files of
a format name their DTD, that line can be ignored; nothing is fetched. Depth, attributes, elements and records
are limited. A document is parsed to its end before its first record is used.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Mapping
from html.entities import html5
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from paperagent.errors import FeedError, visible
from paperagent.text.markup import element_text

_MAX_DEPTH = 100
_MAX_ENTRIES = 50_000
_MAX_ELEMENTS = 50_000
"""Elements in one entry; 5,000 authors with affiliations are 15,000."""
_MAX_ATTRIBUTES = 200
_MAX_ATTRIBUTE_LENGTH = 100_000

# Checked before parsing: a million attributes keep the parser busy for seconds.
_OVERLONG_TAG = re.compile(r"<[^<>!?][^<>]{200000}")
_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]{0,60}:)?([A-Za-z_][\w.-]{0,60})[\s/>]")
_PROLOG_LENGTH = 4_000
# A DOCTYPE without an internal subset ("[…]") declares no entity.
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w.:-]{1,60})(?:\s[^<>\[]{0,400})?(?:\[\s{0,20}\]\s{0,20})?>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,30};)")
_BEFORE_ROOT = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<![A-Za-z][^<>\[]*+(?:\[\s*+\]\s*+)?>", re.DOTALL)

OnStart = Callable[[str, int, Mapping[str, str]], None]
"""Called with the tag, the depth (1 for the root) and the attributes of an element that begins."""
OnRecord = Callable[[Element, int], None]
"""Called with a complete record and the line on which it begins."""


class BrokenXmlError(FeedError):
    """Text that is not well-formed XML, perhaps because the transfer was cut short."""


def root_name(text: str) -> str:
    """Return the name of the root element without its prefix; "" if there is none."""
    position = 0
    while before := _BEFORE_ROOT.match(text, position):
        position = before.end()
    root = _ROOT.match(text, position)
    return root[1] if root else ""


def local_name(tag: object) -> str:
    """Return a tag's name without its namespace."""
    return str(tag).rpartition("}")[2]


def parse(
    text: str,
    label: str,
    on_start: OnStart,
    handlers: Mapping[str, OnRecord],
    *,
    doctypes: Collection[str] = (),
    ignored: Collection[str] = (),
    local_names: bool = False,
) -> None:
    """Parse a document and call a handler for each record.

    The named entities of HTML, such as ``&nbsp;``, stand for their characters, although XML has only five.

    Args:
        text: the document.
        label: the feed's name for messages.
        on_start: called for every element that begins outside of a record. It raises FeedError if the root
            is the wrong one.
        handlers: full tag of a record → function that is called when the record is complete.
        doctypes: root elements whose DOCTYPE is ignored if it declares nothing itself.
        ignored: tags of elements that are left out with all that they contain.
        local_names: whether all tags lose their namespaces.

    Raises:
        BrokenXmlError: the XML is not well-formed; the message gives line and column.
        FeedError: there is a DTD, or a limit is exceeded.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if _OVERLONG_TAG.search(text):
        raise FeedError(f"{label}: XML attributes over the limit; it is not a feed")
    text = _ENTITY.sub(_entity_character, _without_doctype(text, doctypes))
    builder = _RecordBuilder(label, on_start, handlers)
    if ignored or local_names:
        builder = _FilteringBuilder(label, on_start, handlers, frozenset(ignored), local_names=local_names)
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    builder.expat = parser.parser
    try:
        parser.feed(text)
        parser.close()
    except ParseError as error:
        line, column = error.position
        reason = visible(str(error).partition(":")[0], limit=100)
        where = f"line {line} column {column + 1}"
        raise BrokenXmlError(f"{label}: XML error at {where}: {reason}; fetch the feed again") from None
    except DefusedXmlException:
        raise FeedError(f"{label}: DTD not allowed (it can declare entities); remove the DOCTYPE") from None


def _without_doctype(text: str, roots: Collection[str]) -> str:
    """Return ``text`` with blanks for a DOCTYPE of one of ``roots``, so that line numbers stay right."""
    match = _DOCTYPE.search(text, 0, _PROLOG_LENGTH) if roots else None
    if match is None or match[1] not in roots:
        return text
    return text[: match.start()] + re.sub(r"[^\n]", " ", match[0]) + text[match.end() :]


def _entity_character(entity: re.Match[str]) -> str:
    return html.escape(html5[entity[1]]) if entity[1] in html5 else entity[0]


class _RecordBuilder(TreeBuilder):
    """Builds one record at a time, passes it to its handler and frees it."""

    def __init__(self, label: str, on_start: OnStart, handlers: Mapping[str, OnRecord]) -> None:
        super().__init__()
        self.label = label
        self.expat: Any = None
        self._on_start = on_start
        self._handlers = handlers
        self._depth = self._elements = self._line = self._count = 0
        self._record: tuple[str, int] | None = None
        """Tag and depth of the current record. A record inside it is part of it."""

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Any:
        self._depth += 1
        self._elements += 1
        if self._record is None:
            self._on_start(str(tag), self._depth, attrs)
            if tag in self._handlers:
                self._record = (str(tag), self._depth)
                self._elements, self._line = 0, self.expat.CurrentLineNumber
        self._check_limits(attrs)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Any:
        element = super().end(tag)
        if self._record == (tag, self._depth):
            self._record = None
            self._count += 1
            self._handlers[tag](element, self._line)
            element.clear()
        self._depth -= 1
        return element

    def _check_limits(self, attrs: dict[Any, Any]) -> None:
        if self._depth > _MAX_DEPTH:
            raise FeedError(f"{self.label}: XML nesting deeper than {_MAX_DEPTH}; it is not a feed")
        if len(attrs) > _MAX_ATTRIBUTES or sum(map(len, attrs.values())) > _MAX_ATTRIBUTE_LENGTH:
            raise FeedError(f"{self.label}: XML attributes over the limit; it is not a feed")
        if self._elements > _MAX_ELEMENTS:
            raise FeedError(
                f"{self.label}: more than {_MAX_ELEMENTS:,} elements in one entry; it is not a feed"
            )
        if self._count > _MAX_ENTRIES:
            raise FeedError(f"{self.label}: more than {_MAX_ENTRIES:,} entries; split it into smaller feeds")


class _FilteringBuilder(_RecordBuilder):
    """A builder that leaves out some elements, and perhaps all namespaces."""

    def __init__(
        self,
        label: str,
        on_start: OnStart,
        handlers: Mapping[str, OnRecord],
        ignored: frozenset[str],
        *,
        local_names: bool,
    ) -> None:
        super().__init__(label, on_start, handlers)
        self._ignored = ignored
        self._local_names = local_names
        self._ignored_depth = 0
        """Depth of the current element that is left out; 0 outside of one."""

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Any:
        tag = local_name(tag) if self._local_names else tag
        if not self._ignored_depth and tag not in self._ignored:
            return super().start(tag, attrs)
        self._depth += 1
        self._ignored_depth = self._ignored_depth or self._depth
        self._check_limits(attrs)
        return None

    def data(self, data: str, /) -> None:
        if not self._ignored_depth:
            super().data(data)

    def end(self, tag: str, /) -> Any:
        if not self._ignored_depth:
            return super().end(local_name(tag) if self._local_names else tag)
        if self._ignored_depth == self._depth:
            self._ignored_depth = 0
        self._depth -= 1
        return None


def child_text(element: Element, path: str) -> str:
    """Return the text of the first element at ``path``, stripped; "" if there is none."""
    child = element.find(path)
    return "" if child is None else element_text(child).strip()
