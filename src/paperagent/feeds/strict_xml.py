"""XML from strangers, one record at a time.

No DTD (so no entity can be declared, which stops every expansion bomb), and caps on depth,
attributes, elements and records. A document is read to its end before its first record is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from paperagent.errors import FeedError, visible

_DEEPEST = 100
_MOST_ENTRIES = 50_000
_MOST_ELEMENTS = 50_000
"""Elements of one entry: 5,000 authors with affiliations are 15,000."""
_MOST_ATTRIBUTES = 200
_LONGEST_ATTRIBUTES = 100_000

# Told before parsing: a million attributes take the parser seconds.
_ENDLESS_TAG = re.compile(r"<[^<>!?][^<>]{200000}")
_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]{0,60}:)?([A-Za-z_][\w.-]{0,60})[\s/>]")
_BEFORE_ROOT = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<![A-Za-z][^<>\[]*>", re.DOTALL)

OnStart = Callable[[str, int, Mapping[str, str]], None]
"""Called with the tag, the depth (1 for the root) and the attributes of an element that begins."""
OnRecord = Callable[[Element, int], None]
"""Called with a record and the line that it begins on."""


class BrokenXmlError(FeedError):
    """Text that is no well-formed XML: cut short, perhaps, on its way here."""


def root_name(text: str) -> str:
    """Return the name of the root element without its prefix; empty where none is found."""
    at = 0
    while before := _BEFORE_ROOT.match(text, at):
        at = before.end()
    found = _ROOT.match(text, at)
    return found[1] if found else ""


def local_name(tag: object) -> str:
    """Return a tag's name without its namespace."""
    return str(tag).rpartition("}")[2]


def parse(text: str, label: str, opened: OnStart, takers: Mapping[str, OnRecord]) -> None:
    """Read a document; each element named in ``takers`` (by its whole tag) is handed over when it ends.

    ``opened`` hears of every element that begins outside of those, and raises where the root is the
    wrong one. Raises FeedError with line and column where the XML is broken (`BrokenXmlError`), and
    where a cap is passed.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if _ENDLESS_TAG.search(text):
        raise FeedError(f"{label}: XML attributes over the limit; it is not a feed")
    builder = _Records(label, opened, takers)
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


class _Records(TreeBuilder):
    """Builds one record at a time, hands it over and forgets it."""

    def __init__(self, label: str, opened: OnStart, takers: Mapping[str, OnRecord]) -> None:
        super().__init__()
        self.label = label
        self.expat: Any = None
        self._opened = opened
        self._takers = takers
        self._depth = self._elements = self._line = self._count = 0
        self._open: tuple[str, int] | None = None
        """Tag and depth of the record being read: one within it is part of it."""

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._open is None:
            self._opened(str(tag), self._depth, attrs)
            if tag in self._takers:
                self._open = (str(tag), self._depth)
                self._elements, self._line = 0, self.expat.CurrentLineNumber
        self._check_limits(attrs)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        element = super().end(tag)
        if self._open == (tag, self._depth):
            self._open = None
            self._count += 1
            self._takers[tag](element, self._line)
            element.clear()
        self._depth -= 1
        return element

    def _check_limits(self, attrs: dict[Any, Any]) -> None:
        if self._depth > _DEEPEST:
            raise FeedError(f"{self.label}: XML nesting deeper than {_DEEPEST}; it is not a feed")
        if len(attrs) > _MOST_ATTRIBUTES or sum(map(len, attrs.values())) > _LONGEST_ATTRIBUTES:
            raise FeedError(f"{self.label}: XML attributes over the limit; it is not a feed")
        if self._elements > _MOST_ELEMENTS:
            raise FeedError(
                f"{self.label}: more than {_MOST_ELEMENTS:,} elements in one entry; it is not a feed"
            )
        if self._count > _MOST_ENTRIES:
            raise FeedError(f"{self.label}: more than {_MOST_ENTRIES:,} entries; split it into smaller feeds")
