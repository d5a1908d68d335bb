"""arXiv's Atom feeds: answers of the query API and the daily Atom feed.

XML from strangers: no DTD (so no entity can be declared, which stops every expansion bomb), and caps
on depth, attributes and elements. Traps of arXiv: errors arrive with HTTP 200 as an entry titled
"Error"; text is hard-wrapped; the daily feed puts ``arXiv:… Announce Type: … Abstract:`` before an abstract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, markup
from paperagent.feeds.clean import clean
from paperagent.feeds.record import (
    BadRecord,
    Entry,
    abstract_of,
    arxiv_of,
    flags,
    names,
    title_of,
    unique,
    withdrawn,
)
from paperagent.types import Paper, Skipped

NAME = "arxiv-atom"

_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"

_DEEPEST = 100
_MOST_ENTRIES = 50_000
_MOST_ELEMENTS = 50_000
"""Elements of one entry: 5,000 authors with affiliations are 15,000."""
_MOST_ATTRIBUTES = 200
_LONGEST_ATTRIBUTES = 100_000
_LONGEST_TEXT = 1_000_000

# Told before parsing: a million attributes take the parser seconds.
_ENDLESS_TAG = re.compile(r"<[^<>!?][^<>]{200000}")
_ANNOUNCED = re.compile(r"arXiv:\S+\s+Announce Type:\s*\S+\s+Abstract:\s*")
_OTHER_ROOTS = {"rss": "RSS", "RDF": "RSS", "OAI-PMH": "OAI-PMH", "html": "HTML"}


def papers(text: str, label: str) -> Iterator[Entry]:
    """Yield a paper, or why there is none, for each entry.

    The whole text is checked before the first paper is given. Raises FeedError with line and column
    where the XML is broken, and with arXiv's words where arXiv answered with an error.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if _ENDLESS_TAG.search(text):
        raise FeedError(f"{label}: XML attributes over the limit; it is not a feed")
    builder = _Entries(label)
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    builder.expat = parser.parser
    try:
        parser.feed(text)
        parser.close()
    except ParseError as error:
        line, column = error.position
        reason = visible(str(error).partition(":")[0], limit=100)
        where = f"line {line} column {column + 1}"
        raise FeedError(f"{label}: XML error at {where}: {reason}; fetch the feed again") from None
    except DefusedXmlException:
        raise FeedError(f"{label}: DTD not allowed (it can declare entities); remove the DOCTYPE") from None
    return iter(builder.found)


class _Entries(TreeBuilder):
    """Builds one entry at a time, makes a paper of it and forgets it."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label
        self.found: list[Entry] = []
        self.expat: Any = None
        self._depth = self._elements = self._line = self._count = 0

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth == 1:
            self._check_root(str(tag))
        if self._depth == 2 and tag == _ATOM + "entry":
            self._elements, self._line = 0, self.expat.CurrentLineNumber
        self._check_limits(attrs)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        element = super().end(tag)
        self._depth -= 1
        if self._depth == 1:
            if tag == _ATOM + "entry":
                self._count += 1
                self.found.append(self._entry(element))
            element.clear()
        return element

    def _entry(self, entry: Element) -> Entry:
        _raise_arxiv_error(entry, self.label)
        try:
            return convert(entry)
        except BadRecord as bad:
            return Skipped(f"entry {self._count}, line {self._line}", bad.reason)

    def _check_root(self, tag: str) -> None:
        if tag == _ATOM + "feed":
            return
        name = tag.rpartition("}")[2]
        what = _OTHER_ROOTS.get(name, f"XML with the root element {visible(name, limit=60)}")
        raise FeedError(f"{self.label}: got {what}, not Atom; give an arXiv Atom feed")

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


def convert(entry: Element) -> Paper:
    """Return the paper of one entry; the version comes from its id, the primary category first."""
    noticed: set[str] = set()
    found = arxiv_of(_plain(entry, _ATOM + "id"))
    title = title_of(_shown(entry, _ATOM + "title"), noticed)
    summary = _shown(entry, _ATOM + "summary")
    announced = _ANNOUNCED.match(summary)
    abstract = abstract_of(summary[announced.end() :] if announced else summary, noticed)
    return Paper(
        paper_id=found.id,
        title=title,
        abstract=abstract,
        authors=_authors(entry, noticed),
        published=dates.day(_plain(entry, _ATOM + "published"), noticed),
        updated=dates.day(_plain(entry, _ATOM + "updated"), noticed),
        categories=_categories(entry, noticed),
        url=ids.arxiv_url(found.id),
        arxiv_id=found.id,
        doi=_doi(entry),
        version=found.version,
        sources=(NAME,),
        withdrawn=withdrawn(abstract, _plain(entry, _ARXIV + "comment")),
        flags=flags(noticed),
    )


def _plain(entry: Element, tag: str) -> str:
    return (entry.findtext(tag) or "").strip()


def _shown(entry: Element, tag: str) -> str:
    """Return the text of a text construct (RFC 4287 section 3.1): plain, HTML in text, or elements."""
    element = entry.find(tag)
    if element is None:
        return ""
    text = markup.element_text(element).strip()[:_LONGEST_TEXT]
    if element.get("type") in {"html", "text/html"} or markup.has_markup(text):
        return markup.strip(text)
    return text


def _authors(entry: Element, noticed: set[str]) -> tuple[str, ...]:
    named = [a.findtext(_ATOM + "name") for a in entry.findall(_ATOM + "author")]
    if not any(named):
        named = [name for c in entry.findall(_CREATOR) for name in (c.text or "").split(", ")]
    return names(named, noticed)


def _categories(entry: Element, noticed: set[str]) -> tuple[str, ...]:
    tagged = [entry.find(_ARXIV + "primary_category"), *entry.findall(_ATOM + "category")]
    return unique(names([c.get("term") for c in tagged if c is not None], noticed))


def _doi(entry: Element) -> str | None:
    return ids.doi(_plain(entry, _ARXIV + "doi") or _plain(entry, _ARXIV + "DOI"))


def _raise_arxiv_error(entry: Element, label: str) -> None:
    title = _plain(entry, _ATOM + "title")
    if title == "Error" and ids.arxiv_id(_plain(entry, _ATOM + "id")) is None:
        said = visible(clean(_plain(entry, _ATOM + "summary")) or "no reason", limit=300)
        raise FeedError(f"{label}: arXiv said: {said}; change the query")
