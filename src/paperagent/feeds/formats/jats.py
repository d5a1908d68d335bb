"""JATS, the XML of journal articles: PubMed Central, bioRxiv, PLOS, and most publishers' full texts.

Shape (https://jats.nlm.nih.gov): ``article > front > article-meta{article-id, title-group, contrib-group,
pub-date, abstract, related-article}``, alone or several in a ``pmc-articleset``. The body, the references and
the responses of an article are never read. Most files name their DTD. That line is ignored, and nothing is
fetched. An article may have several abstracts. Those with highlights, for the table of contents, or in
another language are ignored.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import JATS
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    marked_retracted,
    paper_url,
    sorted_flags,
)
from paperagent.feeds.strict_xml import child_text
from paperagent.text.markup import element_text
from paperagent.types import RETRACTED, Paper, Skipped

ROOTS = frozenset({"article", "pmc-articleset", "nlm-articleset", "articles"})

_IGNORED = frozenset("body back sub-article response floats-group".split())
_NOTES = frozenset("fn label".split())
"""Elements in titles and abstracts that mark or contain notes."""
_OTHER_ABSTRACTS = frozenset(
    """graphical teaser toc web-summary editor key-points highlights author-highlights short video
    plain-language-summary editors-summary executive-summary precis synopsis translated""".split()
)
_HEADING = re.compile(r"(?:abstract|summary)\W*", re.IGNORECASE)
_UNPUBLISHED = frozenset({"nihms-submitted", "received", "accepted", "preprint"})
_RETRACTIONS = frozenset({"retraction-forward", "retraction"})
"""Types of links from a retracted article to the notice. The notice's own link is ``retracted-article``."""


def parse(text: str, label: str) -> list[FeedEntry]:
    """Return the papers and skipped records; raise FeedError if the XML is broken or is not JATS."""
    entries: list[FeedEntry] = []

    def on_article(article: Element, line: int) -> None:
        try:
            entries.append(convert(article))
        except InvalidRecordError as error:
            entries.append(Skipped(f"article {len(entries) + 1}, line {line}", error.reason))

    def on_start(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1 and tag not in ROOTS:
            raise FeedError(f"{label}: got XML with the root element {visible(tag, limit=60)}, not JATS")

    strict_xml.parse(
        text,
        label,
        on_start,
        {"article": on_article},
        doctypes=ROOTS,
        ignored=_IGNORED,
        local_names=True,
    )
    return entries


def convert(article: Element) -> Paper:
    """Convert an article, whose tags have no namespaces."""
    meta = article.find("front/article-meta")
    if meta is None:
        raise InvalidRecordError("no title")
    flags: set[str] = set()
    names = {e.get("pub-id-type", ""): (e.text or "").strip() for e in meta.iterfind("article-id")}
    title = clean_title(_title(meta), flags)
    abstract = clean_abstract(_abstract(meta, _language(article)), flags)
    is_retracted = marked_retracted(title) or any(
        e.get("related-article-type") in _RETRACTIONS for e in meta.iterfind("related-article")
    )
    if is_retracted:
        flags.add(RETRACTED)
    arxiv, doi = arxiv_and_doi(names.get("arxiv"), names.get("doi"))
    pmid = ids.parse_pmid(names.get("pmid"))
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, None if arxiv else pmid, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(list(_authors(meta)), flags),
        published=_published(meta, flags),
        url=paper_url(arxiv, doi, _pmc_page(names), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(JATS,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _pmc_page(names: Mapping[str, str]) -> str | None:
    number = (names.get("pmcid") or names.get("pmc") or "").removeprefix("PMC")
    return f"https://pmc.ncbi.nlm.nih.gov/articles/PMC{number}/" if number.isdecimal() else None


def _language(element: Element) -> str:
    """Return the language of an element, such as ``en``; "" if it has none."""
    name = element.get("{http://www.w3.org/XML/1998/namespace}lang", "")
    return name[:2].lower()


def _title(meta: Element) -> str:
    group = meta.find("title-group")
    if group is None:
        return ""
    parts = [_text(e) for e in (*group.iterfind("article-title"), *group.iterfind("subtitle"))]
    return ": ".join(part.removesuffix(":") for part in parts if part)


def _text(element: Element) -> str:
    """Return the text of an element without its notes."""
    for parent in list(element.iter()):
        for child in [child for child in parent if child.tag in _NOTES]:
            _remove(parent, child)
    return " ".join(element_text(element).split())


def _remove(parent: Element, child: Element) -> None:
    """Remove a child, but not the text after it."""
    position = list(parent).index(child)
    if position:
        parent[position - 1].tail = (parent[position - 1].tail or "") + (child.tail or "")
    else:
        parent.text = (parent.text or "") + (child.tail or "")
    parent.remove(child)


# --- abstract ---


def _abstract(meta: Element, language: str) -> str:
    """Return the abstract. Each section begins with its title, as in "METHODS: …"."""
    abstracts = [a for a in meta.iterfind("abstract") if a.get("abstract-type") not in _OTHER_ABSTRACTS]
    abstracts.sort(key=lambda a: (bool(a.get("abstract-type")), _language(a) not in {"", language or "en"}))
    texts = (" ".join(_sections(abstract)) for abstract in abstracts)
    return next(filter(None, texts), "")


def _sections(element: Element) -> Iterator[str]:
    """Yield the paragraphs of an abstract or section. The first begins with the title, if there is one."""
    heading = ""
    if (element.text or "").strip() and not len(element):
        yield (element.text or "").strip()
    for child in element:
        if child.tag == "title":
            heading = _text(child)
            continue
        if child.tag in _NOTES:
            continue
        for text in _sections(child) if child.tag == "sec" else filter(None, [_text(child)]):
            if not heading or _HEADING.fullmatch(heading):
                yield text
            else:
                yield f"{heading} {text}" if heading[-1] in ":.?!" else f"{heading}: {text}"
            heading = ""


# --- other fields ---


def _authors(meta: Element) -> Iterator[str]:
    """Yield the authors: people, and groups without their members."""
    for contributor in meta.iterfind("contrib-group/contrib"):
        if contributor.get("contrib-type", "author") != "author":
            continue
        name = contributor.find("name")
        if name is None:
            name = contributor.find("name-alternatives/name")
        if name is not None:
            parts = (child_text(name, part) for part in ("given-names", "surname", "suffix"))
            yield " ".join(filter(None, parts))
            continue
        other = contributor.find("string-name")
        if other is None:
            other = contributor.find("collab")
        if other is not None:
            for members in other.findall("contrib-group"):
                other.remove(members)
            yield _text(other)


def _published(meta: Element, flags: set[str]) -> dt.date | None:
    """Return the earliest complete day of publication, else the earliest month or year."""
    days: list[tuple[bool, dt.date, set[str]]] = []
    for date in meta.iterfind("pub-date"):
        kind = date.get("pub-type") or date.get("date-type") or ""
        if kind in _UNPUBLISHED:
            continue
        defects: set[str] = set()
        year, month, number = (child_text(date, part) for part in ("year", "month", "day"))
        day = dates.day_from_parts(year, month, number, defects)
        if day is None and not year:
            day = dates.parse_loose_day(date.get("iso-8601-date") or child_text(date, "string-date"), defects)
        if day is None:
            flags |= defects
        else:
            days.append((bool(defects), day, defects))
    if not days:
        return None
    _, day, defects = min(days, key=lambda each: each[:2])
    flags |= defects
    return day
