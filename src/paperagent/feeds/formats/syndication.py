"""Atom and RSS: arXiv's feeds, and those of journals, services and lists that link to papers.

Reads Atom, RSS 2.0 and RSS 1.0 (RDF). An entry is a paper if its id, its link or a field such as
``prism:doi`` names one: an arXiv id, a DOI, or the id of a service. Others, such as the posts of a blog, are
skipped. The abstract is the summary, or the content if that has more text but is not the paper itself. The
lines that publishers put before an abstract (journal, volume, authors) are removed.

Pitfalls of arXiv's feeds: errors are reported with HTTP 200 as an entry titled "Error"; text is hard-wrapped;
the daily feed puts ``arXiv:… Announce Type: … Abstract:`` before an abstract, and its ``published`` or
``pubDate`` is the day of the announcement.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import ARXIV_ATOM, RSS
from paperagent.feeds.names import full_name, split_names
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    clean_abstract,
    clean_names,
    clean_title,
    make_paper,
    unique,
)
from paperagent.feeds.source import UnknownFormatError
from paperagent.text.markup import element_text, plain_text
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

ATOM = "atom"
"""The source of papers from Atom feeds that are not arXiv's."""

_ROOTS = frozenset({"feed", "rss", "RDF"})
_SPACES = (
    "",
    "http://www.w3.org/2005/Atom",
    "http://purl.org/atom/ns#",
    "http://purl.org/rss/1.0/",
    "http://my.netscape.com/rdf/simple/0.9/",
)
"""Namespaces of entries and of their fields without a prefix."""
_PREFIXES = {
    **dict.fromkeys(_SPACES, ""),
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/terms/": "dc:",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/rss/1.0/modules/prism/": "prism:",
    "http://arxiv.org/schemas/atom": "arxiv:",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner:",
}
_PRISM = "http://prismstandard.org/namespaces/"
"""Beginning of the namespaces of PRISM, of which there are several versions."""
_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
_RELATIONS = ("alternate", "canonical", "via", "related")
"""Relations of links that may name the paper, best first."""

_MAX_NAMES_LENGTH = 50_000
_MAX_TEXT_LENGTH = 1_000_000
_MAX_ABSTRACT_MARKUP = 12_000
"""A longer text is probably the paper itself."""
_MIN_ABSTRACT_MARKUP = 100
_ANNOUNCEMENT = re.compile(r"\s*arXiv:(\S+)\s+Announce Type:\s*(\S+)\s+Abstract:\s*")
_NEW_ANNOUNCEMENTS = frozenset({"new", "cross"})
"""Types announced on the day of publication; ``replace`` and ``replace-cross`` come later."""
_TITLE_SUFFIX = re.compile(r"\s*\(arXiv:[^\s()]{1,40}(?: \[[^\[\]]{1,40}\])?(?: UPDATED)?\)\s*$")
_BYLINE = re.compile(r"\s*<p>\s*by ([^<]{1,20000})</p>\s*")
_TAGS = r"(?:\s++|</?[A-Za-z][A-Za-z0-9]{0,20}+(?:[\s/][^<>]{0,300})?>){0,8}+"
_PREAMBLES = tuple(
    re.compile(_TAGS + pattern.replace(" TAGS ", _TAGS))
    for pattern in (
        r"[^<>]{0,200}?Published online:[^<>]{0,100}+(?:<a [^<>]{0,500}+>[^<>]{0,300}+</a>)? TAGS ",
        r"Publication date:[^<>]{0,200} TAGS Source: TAGS [^<>]{0,300} TAGS (?:Author\(s\):[^<>]*+)? TAGS ",
        r"[^<>]{0,250}?\bVolume [\w-]{1,12}, (?:Issue|Number) [^<>,.]{1,30}+(?:, [^<>.,]{1,40}+)*+\.? TAGS \.? TAGS ",  # noqa: E501
        r"(?:ABSTRACT|Abstract)\s{0,5}(?:</[A-Za-z0-9:-]{1,20}>|:|\n) TAGS ",
    )
)
"""What publishers put before an abstract: the journal and the day, the citation, the word "Abstract"."""
_PUBMED_ABSTRACT, _PUBMED_END = "<b>ABSTRACT</b></p>", ">PMID:"
_PARENTHESES = re.compile(r"\([^()]{0,2000}\)")
_NAME_OF_ADDRESS = re.compile(r"[^\s()@]{1,100}@[^\s()@]{1,100}\s*\(([^()]{1,300})\)")
_WEEKDAY = re.compile(r"\s*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?\s+", re.IGNORECASE)
_DOI_AS_PATH = re.compile(r"https?://[A-Za-z0-9.-]{4,100}/(10\.\d{4,9}/\S{1,200})")
_SERVICE_PAGES = (
    ("acl", re.compile(r"https?://(?:www\.)?(?:aclanthology\.org|aclweb\.org/anthology)/([A-Z]\d\d-\d{4}|\d{4}\.[a-z0-9_]{1,40}-[a-z0-9_]{1,40}\.\d{1,5})(?:\.pdf)?/?")),
    ("s2", re.compile(r"https?://(?:www\.)?semanticscholar\.org/paper/(?:[^/?#]{1,300}/)?([0-9a-f]{40})(?:[/?#].*)?")),
    ("openalex", re.compile(r"https?://openalex\.org/(?:works/)?(W\d{1,12})")),
)  # fmt: skip


def parse(text: str, label: str) -> list[FeedEntry]:
    """Return the papers and skipped entries of an Atom or RSS feed.

    Raises:
        FeedError: the XML is broken (with line and column), is neither Atom nor RSS, or is an error from
            arXiv.
    """
    entries: list[FeedEntry] = []
    is_feed = False

    def on_entry(element: Element, line: int) -> None:
        fields = _Fields(element)
        is_rss = strict_xml.local_name(element.tag) == "item"
        if not is_rss:
            _raise_arxiv_error(fields, label)
        try:
            entries.append(_convert(fields, is_rss=is_rss))
        except InvalidRecordError as error:
            entries.append(Skipped(f"entry {len(entries) + 1}, line {line}", error.reason))

    def on_start(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        nonlocal is_feed
        name = strict_xml.local_name(tag)
        if depth == 1 and name not in _ROOTS:
            name = visible(name, limit=60)
            raise UnknownFormatError(f"{label}: got XML with the root element {name}, not Atom or RSS")
        is_feed = is_feed or name in {"feed", "rss", "channel", "item"}

    tags = [f"{{{space}}}{name}" if space else name for space in _SPACES for name in ("entry", "item")]
    strict_xml.parse(text, label, on_start, dict.fromkeys(tags, on_entry), doctypes=_ROOTS)
    if not is_feed:
        raise UnknownFormatError(f"{label}: got RDF without RSS; export the papers as CSV or BibTeX instead")
    return entries


class _Fields:
    """The fields of an entry by prefix and name in lower case, such as ``dc:creator``, in order."""

    def __init__(self, entry: Element) -> None:
        self.about = entry.get(_ABOUT, "")
        self._elements: dict[str, list[Element]] = {}
        for child in entry:
            space, _, name = str(child.tag).rpartition("}")
            space = space.removeprefix("{")
            prefix = "prism:" if space.startswith(_PRISM) else _PREFIXES.get(space)
            if prefix is not None:
                self._elements.setdefault(prefix + name.lower(), []).append(child)

    def elements(self, *names: str) -> list[Element]:
        """Return the elements of all of these fields."""
        return [element for name in names for element in self._elements.get(name, ())]

    def texts(self, *names: str) -> list[str]:
        """Return the texts of these fields that are not empty."""
        texts = (element_text(e).strip() for e in self.elements(*names))
        return [text[:_MAX_TEXT_LENGTH] for text in texts if text]

    def first(self, *names: str) -> str:
        """Return the first text of these fields; "" if there is none."""
        return next(iter(self.texts(*names)), "")

    def links(self) -> list[str]:
        """Return the addresses that may name the paper, best first."""
        by_relation: dict[str, list[str]] = {relation: [] for relation in _RELATIONS}
        for element in self.elements("link", "feedburner:origlink", "prism:url"):
            address = (element.get("href") or element.text or "").strip()
            by_relation.get(element.get("rel", _RELATIONS[0]), []).append(address)
        return [address for addresses in by_relation.values() for address in addresses if address]


def _raise_arxiv_error(fields: _Fields, label: str) -> None:
    if fields.first("title") == "Error" and ids.parse_arxiv_id(fields.first("id")) is None:
        message = visible(clean_text(fields.first("summary")) or "no reason", limit=300)
        raise FeedError(f"{label}: arXiv said: {message}; change the query")


def _convert(fields: _Fields, *, is_rss: bool) -> Paper:
    """Convert one entry; the version comes from its id, and the primary category is the first."""
    flags: set[str] = set()
    links = fields.links()
    arxiv, doi, service_id = _paper_ids(fields, links)
    title = clean_title(_TITLE_SUFFIX.sub("", fields.first("title", "dc:title")), flags)
    texts = fields.texts("summary", "description", "dc:description", "content:encoded", "content")
    announcement = _ANNOUNCEMENT.match(texts[0]) if texts else None
    abstract = clean_abstract(_abstract(texts), flags)
    announced = (fields.first("arxiv:announce_type") or (announcement[2] if announcement else "")).lower()
    day = _day(fields.first("prism:publicationdate", "dc:date", "published", "issued", "pubdate"), flags)
    is_new = not announced or announced in _NEW_ANNOUNCEMENTS
    named = ids.parse_arxiv_id(announcement[1]) if announcement else None
    if arxiv and named and arxiv.version is None:
        arxiv = arxiv._replace(version=named.version)
    return make_paper(
        RSS if is_rss else ARXIV_ATOM if arxiv else ATOM,
        flags,
        title=title,
        abstract=abstract,
        arxiv=arxiv,
        doi=doi,
        service_id=None if arxiv else service_id,
        authors=clean_names(_authors(fields, texts), flags),
        published=day if is_new else None,
        updated=None if announced else _day(fields.first("updated", "modified"), flags),
        listed=day if announced else None,
        categories=_categories(fields, flags),
        url=_page(links, service_id),
        comment=fields.first("arxiv:comment"),
    )


# --- ids ---


def _paper_ids(fields: _Fields, links: list[str]) -> tuple[ids.ArxivId | None, str | None, str | None]:
    """Return the arXiv id, the DOI and the id of a service; raise InvalidRecordError if there is none."""
    own = [value for value in (*fields.texts("id", "guid"), fields.about, *links) if value]
    fields_of_ids = fields.texts("prism:doi", "arxiv:doi", "dc:identifier", "doi")
    arxiv = next(filter(None, map(ids.parse_arxiv_id, (*own, *fields_of_ids))), None)
    doi = next(filter(None, map(_doi, (*fields_of_ids, *own))), None)
    service_id = next(filter(None, map(_service_id, (*fields_of_ids, *own))), None)
    if not (arxiv or doi or service_id):
        has_page = any(value.startswith(("http://", "https://")) for value in own)
        raise InvalidRecordError("no arXiv id or DOI" if has_page else "bad id" if own else "no id")
    return arxiv, doi, service_id


def _doi(value: str) -> str | None:
    """Return the DOI in a field or an address, unless it is arXiv's own."""
    path = _DOI_AS_PATH.fullmatch(value)
    return arxiv_and_doi(None, value)[1] or (arxiv_and_doi(None, path[1])[1] if path else None)


def _service_id(value: str) -> str | None:
    if "pubmed" in value.lower() or value.lower().startswith("pmid"):
        return ids.parse_pmid(value)
    for scheme, page in _SERVICE_PAGES:
        if match := page.fullmatch(value):
            return ids.service_id(scheme, match[1])
    return None


def _page(links: list[str], service_id: str | None) -> str | None:
    """Return the address of a paper's page, without what PubMed adds to count clicks."""
    if service_id and service_id.startswith("pmid:"):
        return f"https://pubmed.ncbi.nlm.nih.gov/{service_id.removeprefix('pmid:')}/"
    return next(iter(links), None)


# --- text ---


def _abstract(texts: Iterable[str]) -> str:
    """Return the longest text that can be an abstract, without what publishers put before it."""
    bare = [_without_preamble(text) for text in texts]
    usable = [text for text in bare if _MIN_ABSTRACT_MARKUP <= len(text) <= _MAX_ABSTRACT_MARKUP]
    return max(usable or bare, key=len, default="")


def _without_preamble(text: str) -> str:
    if announcement := _ANNOUNCEMENT.match(text):
        return text[announcement.end() :]
    start = text.find(_PUBMED_ABSTRACT)
    if start >= 0:
        start += len(_PUBMED_ABSTRACT)
        end = text.find(_PUBMED_END, start)
        return text[start : text.rfind("<", start, end)] if end >= 0 else text[start:]
    for preamble in (_BYLINE, *_PREAMBLES):
        if match := preamble.match(text):
            text = text[match.end() :]
    return text


# --- other fields ---


def _authors(fields: _Fields, texts: Iterable[str]) -> list[str]:
    byline = next(filter(None, map(_BYLINE.match, texts)), None)
    names = [name for author in fields.elements("author") for name in _names_of_author(author)]
    creators = names or fields.texts("dc:creator") or fields.texts("author")
    if byline is not None and len(creators) <= 1:
        creators = [byline[1]]
    creators = [plain_text(creator[:_MAX_NAMES_LENGTH]) for creator in creators]
    if len(creators) == 1:
        return split_names(_without_affiliations(creators[0]))
    return [full_name(name) for name in creators]


def _names_of_author(author: Element) -> Iterator[str]:
    """Yield the name of an Atom author, and those of an RSS author "address (name)"."""
    for child in author:
        if strict_xml.local_name(child.tag) == "name" and child.text:
            yield child.text
    if not len(author) and (match := _NAME_OF_ADDRESS.fullmatch((author.text or "").strip())):
        yield match[1]


def _without_affiliations(line: str) -> str:
    for _ in range(2):  # an affiliation may hold parentheses itself
        line = _PARENTHESES.sub("", line)
    return line


def _categories(fields: _Fields, flags: set[str]) -> tuple[str, ...]:
    elements = fields.elements("arxiv:primary_category", "category", "dc:subject")
    return unique(clean_names([e.get("term") or e.text for e in elements], flags))


def _day(text: str, flags: set[str]) -> dt.date | None:
    """Return the day of a date, which may lack its time or the offset of it."""
    if "T" in text or text.count(":") > 1:
        strict = set[str]()
        day = dates.parse_day(text, strict)
        if day is not None:
            flags |= strict
            return day
    return dates.parse_loose_day(_WEEKDAY.sub("", text, count=1), flags)
