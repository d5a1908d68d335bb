"""arXiv's own formats: Atom feeds, the metadata snapshot and daily listings.

Pitfalls of arXiv's Atom: errors are reported with HTTP 200 as an entry titled "Error"; text is hard-wrapped;
the daily feed puts ``arXiv:… Announce Type: … Abstract:`` before an abstract, and its ``published`` is the
day of the announcement.

The snapshot (https://www.kaggle.com/datasets/Cornell-University/arxiv) has one JSON object per line for
every paper of arXiv, several GB in all: ``id, submitter, authors, title, comments, journal-ref, doi,
categories`` (separated by spaces), ``abstract, versions[{version, created}]`` (RFC 822 dates),
``update_date, authors_parsed``.

Listings are JSON lines with ``id, title, abstract`` or ``summary, authors, categories, date, url``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import ARXIV_ATOM, ARXIV_JSONL, ARXIV_SNAPSHOT
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    JsonObject,
    clean_abstract,
    clean_names,
    clean_title,
    require_arxiv_id,
    says_withdrawn,
    sorted_flags,
    unique,
)
from paperagent.feeds.source import UnknownFormatError
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_MAX_TEXT_LENGTH = 1_000_000
_ANNOUNCEMENT = re.compile(r"arXiv:\S+\s+Announce Type:\s*(\S+)\s+Abstract:\s*")
_NEW_ANNOUNCEMENTS = frozenset({"new", "cross"})
"""Types announced on the day of publication; ``replace`` and ``replace-cross`` come later."""
_OTHER_ROOTS = {"rss": "RSS", "RDF": "RSS", "html": "HTML"}

_AUTHOR_SEPARATOR = re.compile(r", ?(?:and )?| and ")
_VERSION = re.compile(r"v([1-9][0-9]{0,3})")


def parse_atom(text: str, label: str) -> list[FeedEntry]:
    """Return the entries of an Atom feed.

    Raises:
        FeedError: the XML is broken (with line and column), is not Atom, or is an error from arXiv.
    """
    entries: list[FeedEntry] = []

    def on_entry(element: Element, line: int) -> None:
        _raise_arxiv_error(element, label)
        try:
            entries.append(_convert_entry(element))
        except InvalidRecordError as error:
            entries.append(Skipped(f"entry {len(entries) + 1}, line {line}", error.reason))

    def on_start(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1:
            _check_root(tag, label)

    strict_xml.parse(text, label, on_start, {_ATOM + "entry": on_entry})
    return entries


def _check_root(tag: str, label: str) -> None:
    if tag == _ATOM + "feed":
        return
    name = strict_xml.local_name(tag)
    actual = _OTHER_ROOTS.get(name, f"XML with the root element {visible(name, limit=60)}")
    raise UnknownFormatError(f"{label}: got {actual}, not Atom; give an arXiv Atom feed")


def _raise_arxiv_error(entry: Element, label: str) -> None:
    title = _raw_text(entry, _ATOM + "title")
    if title == "Error" and ids.parse_arxiv_id(_raw_text(entry, _ATOM + "id")) is None:
        message = visible(clean_text(_raw_text(entry, _ATOM + "summary")) or "no reason", limit=300)
        raise FeedError(f"{label}: arXiv said: {message}; change the query")


def _convert_entry(entry: Element) -> Paper:
    """Convert one Atom entry; the version comes from its id, and the primary category is the first."""
    flags: set[str] = set()
    arxiv = require_arxiv_id(_raw_text(entry, _ATOM + "id"))
    title = clean_title(_text_construct(entry, _ATOM + "title"), flags)
    summary = _text_construct(entry, _ATOM + "summary")
    announcement = _ANNOUNCEMENT.match(summary)
    abstract = clean_abstract(summary[announcement.end() :] if announcement else summary, flags)
    day = dates.parse_day(_raw_text(entry, _ATOM + "published"), flags)
    is_new = announcement is None or announcement[1].lower() in _NEW_ANNOUNCEMENTS
    return Paper(
        paper_id=arxiv.id,
        title=title,
        abstract=abstract,
        authors=_atom_authors(entry, flags),
        published=day if is_new else None,
        updated=None if announcement else dates.parse_day(_raw_text(entry, _ATOM + "updated"), flags),
        listed=day if announcement else None,
        categories=_atom_categories(entry, flags),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        doi=ids.parse_doi(_raw_text(entry, _ARXIV + "doi") or _raw_text(entry, _ARXIV + "DOI")),
        version=arxiv.version,
        sources=(ARXIV_ATOM,),
        withdrawn=says_withdrawn(abstract, _raw_text(entry, _ARXIV + "comment")),
        flags=sorted_flags(flags),
    )


def _raw_text(entry: Element, tag: str) -> str:
    return (entry.findtext(tag) or "").strip()


def _text_construct(entry: Element, tag: str) -> str:
    """Return the text of a text construct (RFC 4287 section 3.1): plain, escaped HTML, or elements."""
    element = entry.find(tag)
    if element is None:
        return ""
    text = strict_xml.element_text(element).strip()[:_MAX_TEXT_LENGTH]
    if element.get("type") in {"html", "text/html"} or strict_xml.has_markup(text):
        return strict_xml.strip_markup(text)
    return text


def _atom_authors(entry: Element, flags: set[str]) -> tuple[str, ...]:
    authors = [a.findtext(_ATOM + "name") for a in entry.findall(_ATOM + "author")]
    if not any(authors):
        authors = [name for c in entry.findall(_CREATOR) for name in (c.text or "").split(", ")]
    return clean_names(authors, flags)


def _atom_categories(entry: Element, flags: set[str]) -> tuple[str, ...]:
    elements = [entry.find(_ARXIV + "primary_category"), *entry.findall(_ATOM + "category")]
    return unique(clean_names([e.get("term") for e in elements if e is not None], flags))


def convert_snapshot(record: JsonObject) -> Paper:
    """Convert one line of the snapshot; the first version gives ``published``, the last one ``updated``."""
    flags: set[str] = set()
    arxiv = require_arxiv_id(record.get("id"))
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("abstract"), flags)
    first, last = _first_and_last(record.get("versions"))
    return Paper(
        paper_id=arxiv.id,
        title=title,
        abstract=abstract,
        authors=_snapshot_authors(record, flags),
        published=dates.parse_day(first.get("created"), flags),
        updated=dates.parse_day(last.get("created") or record.get("update_date"), flags),
        categories=clean_names(str(record.get("categories") or "").split(), flags),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        doi=ids.parse_doi(record.get("doi")),
        version=_version_number(last.get("version")) or arxiv.version,
        sources=(ARXIV_SNAPSHOT,),
        withdrawn=says_withdrawn(abstract, record.get("comments")),
        flags=sorted_flags(flags),
    )


def _first_and_last(versions: Any) -> tuple[JsonObject, JsonObject]:
    if not isinstance(versions, list):
        return {}, {}
    valid = [v for v in versions if isinstance(v, dict)]
    return (valid[0], valid[-1]) if valid else ({}, {})


def _version_number(version: object) -> int | None:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    return int(match[1]) if match else None


def _snapshot_authors(record: JsonObject, flags: set[str]) -> tuple[str, ...]:
    """Return the names of the parsed list, else those of the authors' line."""
    parsed = record.get("authors_parsed")
    if isinstance(parsed, list) and parsed:
        return clean_names([_full_name(parts) for parts in parsed], flags)
    line = record.get("authors")
    return clean_names(split_authors(line) if isinstance(line, str) else line, flags)


def split_authors(line: str) -> list[str]:
    """Split a line of authors at commas and "and"."""
    return _AUTHOR_SEPARATOR.split(" ".join(line.split()))


def _full_name(parts: Any) -> str:
    """Join ``[last, first, suffix, …]``."""
    if not isinstance(parts, list):
        return ""
    last, first, suffix = ([p for p in parts if isinstance(p, str)] + ["", "", ""])[:3]
    return " ".join(part for part in (first, last, suffix) if part)


def convert_listing(record: JsonObject) -> Paper:
    """Convert one line of a daily listing.

    Its ``date`` is the day on which arXiv announced the paper and serves as published and as listed. The
    id may be a DOI.
    """
    flags: set[str] = set()
    id_value = record.get("arxiv_id") or record.get("id")
    doi = ids.parse_doi(record.get("doi"))
    arxiv, id_doi = _listing_id(id_value)
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("abstract") or record.get("summary"), flags)
    day = dates.parse_day(record.get("date") or record.get("published"), flags)
    if arxiv is None:
        paper_id, page, doi = f"doi:{id_doi}", f"https://doi.org/{id_doi}", id_doi
    else:
        paper_id, page = arxiv.id, ids.arxiv_url(arxiv.id)
    categories = record.get("categories")
    return Paper(
        paper_id=paper_id,
        title=title,
        abstract=abstract,
        authors=clean_names(record.get("authors"), flags),
        published=day,
        updated=dates.parse_day(record.get("updated"), flags),
        listed=day,
        categories=clean_names(categories.split() if isinstance(categories, str) else categories, flags),
        url=ids.clean_url(record.get("url"), flags) or page,
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(ARXIV_JSONL,),
        withdrawn=says_withdrawn(abstract),
        flags=sorted_flags(flags),
    )


def _listing_id(value: object) -> tuple[ids.ArxivId | None, str | None]:
    """Return the arXiv id, else the DOI; raise InvalidRecordError if ``value`` is neither."""
    try:
        return require_arxiv_id(value), None
    except InvalidRecordError:
        doi = ids.parse_doi(value)
        if doi is None:
            raise
        return None, doi
