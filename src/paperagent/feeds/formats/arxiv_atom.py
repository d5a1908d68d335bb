"""arXiv's Atom feeds: answers of the query API and the daily Atom feed.

Traps of arXiv: errors arrive with HTTP 200 as an entry titled "Error"; text is hard-wrapped; the
daily feed puts ``arXiv:… Announce Type: … Abstract:`` before an abstract, and its ``published`` is
the day of the announcement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, markup, strict_xml
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    require_arxiv_id,
    says_withdrawn,
    unique,
)
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

NAME = "arxiv-atom"

_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"

_LONGEST_TEXT = 1_000_000

_ANNOUNCED = re.compile(r"arXiv:\S+\s+Announce Type:\s*(\S+)\s+Abstract:\s*")
_FIRST_TIME = frozenset({"new", "cross"})
"""Announcements on the day that the paper came out; ``replace`` and ``replace-cross`` are later."""
_OTHER_ROOTS = {"rss": "RSS", "RDF": "RSS", "html": "HTML"}


def papers(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each entry.

    The whole text is checked before the first paper is given. Raises FeedError with line and column
    where the XML is broken, and with arXiv's words where arXiv answered with an error.
    """
    found: list[FeedEntry] = []

    def take(entry: Element, line: int) -> None:
        _raise_arxiv_error(entry, label)
        try:
            found.append(convert(entry))
        except InvalidRecordError as bad:
            found.append(Skipped(f"entry {len(found) + 1}, line {line}", bad.reason))

    def opened(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1:
            _check_root(tag, label)

    strict_xml.parse(text, label, opened, {_ATOM + "entry": take})
    return iter(found)


def _check_root(tag: str, label: str) -> None:
    if tag == _ATOM + "feed":
        return
    name = strict_xml.local_name(tag)
    what = _OTHER_ROOTS.get(name, f"XML with the root element {visible(name, limit=60)}")
    raise FeedError(f"{label}: got {what}, not Atom; give an arXiv Atom feed")


def convert(entry: Element) -> Paper:
    """Return the paper of one entry; the version comes from its id, the primary category first."""
    noticed: set[str] = set()
    found = require_arxiv_id(_plain(entry, _ATOM + "id"))
    title = clean_title(_shown(entry, _ATOM + "title"), noticed)
    summary = _shown(entry, _ATOM + "summary")
    announced = _ANNOUNCED.match(summary)
    abstract = clean_abstract(summary[announced.end() :] if announced else summary, noticed)
    day = dates.parse_day(_plain(entry, _ATOM + "published"), noticed)
    new = announced is None or announced[1].lower() in _FIRST_TIME
    return Paper(
        paper_id=found.id,
        title=title,
        abstract=abstract,
        authors=_authors(entry, noticed),
        published=day if new else None,
        updated=None if announced else dates.parse_day(_plain(entry, _ATOM + "updated"), noticed),
        listed=day if announced else None,
        categories=_categories(entry, noticed),
        url=ids.arxiv_url(found.id),
        arxiv_id=found.id,
        doi=_doi(entry),
        version=found.version,
        sources=(NAME,),
        withdrawn=says_withdrawn(abstract, _plain(entry, _ARXIV + "comment")),
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
    return clean_names(named, noticed)


def _categories(entry: Element, noticed: set[str]) -> tuple[str, ...]:
    tagged = [entry.find(_ARXIV + "primary_category"), *entry.findall(_ATOM + "category")]
    return unique(clean_names([c.get("term") for c in tagged if c is not None], noticed))


def _doi(entry: Element) -> str | None:
    return ids.parse_doi(_plain(entry, _ARXIV + "doi") or _plain(entry, _ARXIV + "DOI"))


def _raise_arxiv_error(entry: Element, label: str) -> None:
    title = _plain(entry, _ATOM + "title")
    if title == "Error" and ids.parse_arxiv_id(_plain(entry, _ATOM + "id")) is None:
        said = visible(clean_text(_plain(entry, _ATOM + "summary")) or "no reason", limit=300)
        raise FeedError(f"{label}: arXiv said: {said}; change the query")
