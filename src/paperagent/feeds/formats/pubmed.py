"""PubMed's XML, as ``efetch`` and the yearly files give it (https://dtd.nlm.nih.gov/).

Every such file names its DTD: that one line is passed over, and nothing is ever fetched. An abstract
comes in labelled parts; dates may be a year alone; a retraction is a type of publication.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, markup, strict_xml
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    marked_retracted,
)
from paperagent.types import RETRACTED, Paper, Skipped

NAME = "pubmed"
ROOTS = frozenset({"PubmedArticleSet", "PubmedArticle"})

_HEAD = 2_000
# Without an internal subset ("[…]") a DOCTYPE declares no entity.
_DOCTYPE = re.compile(r"<!DOCTYPE\s+PubmedArticle(?:Set)?(?:\s+[^<>\[]{0,400})?>")
_RETRACTION = "retracted publication"


def papers(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each article. Raises FeedError where the XML is broken."""
    found: list[FeedEntry] = []

    def take(article: Element, line: int) -> None:
        try:
            found.append(convert(article))
        except InvalidRecordError as bad:
            found.append(Skipped(f"article {len(found) + 1}, line {line}", bad.reason))

    def opened(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1 and tag not in ROOTS:
            raise FeedError(f"{label}: got XML with the root element {visible(tag, limit=60)}, not PubMed's")

    head = _DOCTYPE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text[:_HEAD], count=1)
    strict_xml.parse(head + text[_HEAD:], label, opened, {"PubmedArticle": take})
    return iter(found)


def convert(article: Element) -> Paper:
    """Return the paper of one article."""
    noticed: set[str] = set()
    pmid = ids.service_id("pmid", _text(article, "MedlineCitation/PMID"))
    if pmid is None:
        raise InvalidRecordError("no id" if not _text(article, "MedlineCitation/PMID") else "bad id")
    inner = article.find("MedlineCitation/Article")
    if inner is None:
        raise InvalidRecordError("no title")
    title = clean_title(_text(inner, "ArticleTitle").strip("[]"), noticed)
    abstract = clean_abstract(_abstract(inner), noticed)
    gone = marked_retracted(title) or any(
        (t.text or "").strip().lower() == _RETRACTION
        for t in inner.iterfind("PublicationTypeList/PublicationType")
    )
    if gone:
        noticed.add(RETRACTED)
    doi = _doi(article, inner)
    return Paper(
        paper_id=choose_paper_id(None, doi, pmid, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names([_author(a) for a in inner.iterfind("AuthorList/Author")], noticed),
        published=_published(inner, noticed),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid.removeprefix('pmid:')}/",
        doi=doi,
        sources=(NAME,),
        withdrawn=gone,
        flags=flags(noticed),
    )


def _abstract(inner: Element) -> str:
    """Return the parts in order, each with its label before it: "METHODS: …"."""
    parts = []
    for part in inner.iterfind("Abstract/AbstractText"):
        text = markup.element_text(part).strip()
        label = (part.get("Label") or "").strip()
        if text:
            parts.append(f"{label}: {text}" if label and label.upper() != "UNLABELLED" else text)
    return " ".join(parts)


def _author(author: Element) -> str:
    name = f"{_text(author, 'ForeName') or _text(author, 'Initials')} {_text(author, 'LastName')}".strip()
    return name or _text(author, "CollectiveName")


def _doi(article: Element, inner: Element) -> str | None:
    given = [e.text for e in inner.iterfind("ELocationID") if e.get("EIdType") == "doi"]
    listed = article.iterfind("PubmedData/ArticleIdList/ArticleId")
    given += [e.text for e in listed if e.get("IdType") == "doi"]
    return next((d for text in given if (d := arxiv_and_doi(None, text)[1])), None)


def _published(inner: Element, noticed: set[str]) -> dt.date | None:
    """Return the day of electronic publication, else that of the issue: often a month or a year alone."""
    day = inner.find("ArticleDate")
    if day is None:
        day = inner.find("Journal/JournalIssue/PubDate")
    if day is None:
        return None
    if season := _text(day, "MedlineDate"):
        return dates.parse_loose_day(season[:20].split("-")[0], noticed)
    return dates.day_from_parts(_text(day, "Year"), _text(day, "Month"), _text(day, "Day"), noticed)


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else markup.element_text(found).strip()
