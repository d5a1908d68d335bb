"""PubMed XML, as returned by ``efetch`` and in the yearly files (https://dtd.nlm.nih.gov/).

Every such file names its DTD: that one line is ignored, and nothing is fetched. An abstract comes in
labeled parts; a date may be a year alone; a retraction is a publication type.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import PUBMED
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    marked_retracted,
    sorted_flags,
)
from paperagent.feeds.strict_xml import child_text
from paperagent.types import RETRACTED, Paper, Skipped

ROOTS = frozenset({"PubmedArticleSet", "PubmedArticle"})

_PROLOG_LENGTH = 2_000
# A DOCTYPE without an internal subset ("[…]") declares no entity.
_DOCTYPE = re.compile(r"<!DOCTYPE\s+PubmedArticle(?:Set)?(?:\s+[^<>\[]{0,400})?>")
_RETRACTED_TYPE = "retracted publication"


def parse(text: str, label: str) -> list[FeedEntry]:
    """Return the papers and skipped records; raise FeedError if the XML is broken."""
    entries: list[FeedEntry] = []

    def on_article(article: Element, line: int) -> None:
        try:
            entries.append(_convert(article))
        except InvalidRecordError as error:
            entries.append(Skipped(f"article {len(entries) + 1}, line {line}", error.reason))

    def on_start(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1 and tag not in ROOTS:
            raise FeedError(f"{label}: got XML with the root element {visible(tag, limit=60)}, not PubMed's")

    prolog = _DOCTYPE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text[:_PROLOG_LENGTH], count=1)
    strict_xml.parse(prolog + text[_PROLOG_LENGTH:], label, on_start, {"PubmedArticle": on_article})
    return entries


def _convert(article: Element) -> Paper:
    flags: set[str] = set()
    number = child_text(article, "MedlineCitation/PMID")
    pmid = ids.service_id("pmid", number)
    if pmid is None:
        raise InvalidRecordError("bad id" if number else "no id")
    inner = article.find("MedlineCitation/Article")
    if inner is None:
        raise InvalidRecordError("no title")
    title = clean_title(child_text(inner, "ArticleTitle").strip("[]"), flags)
    abstract = clean_abstract(_abstract(inner), flags)
    is_retracted = marked_retracted(title) or any(
        (t.text or "").strip().lower() == _RETRACTED_TYPE
        for t in inner.iterfind("PublicationTypeList/PublicationType")
    )
    if is_retracted:
        flags.add(RETRACTED)
    doi = _doi(article, inner)
    return Paper(
        paper_id=choose_paper_id(None, doi, pmid, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names([_author_name(a) for a in inner.iterfind("AuthorList/Author")], flags),
        published=_published(inner, flags),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid.removeprefix('pmid:')}/",
        doi=doi,
        sources=(PUBMED,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _abstract(inner: Element) -> str:
    """Return the parts in order, each after its label: "METHODS: …"."""
    parts = []
    for part in inner.iterfind("Abstract/AbstractText"):
        text = strict_xml.element_text(part).strip()
        label = (part.get("Label") or "").strip()
        if text:
            parts.append(f"{label}: {text}" if label and label.upper() != "UNLABELLED" else text)
    return " ".join(parts)


def _author_name(author: Element) -> str:
    first = child_text(author, "ForeName") or child_text(author, "Initials")
    name = f"{first} {child_text(author, 'LastName')}".strip()
    return name or child_text(author, "CollectiveName")


def _doi(article: Element, inner: Element) -> str | None:
    values = [e.text for e in inner.iterfind("ELocationID") if e.get("EIdType") == "doi"]
    article_ids = article.iterfind("PubmedData/ArticleIdList/ArticleId")
    values += [e.text for e in article_ids if e.get("IdType") == "doi"]
    return next((doi for value in values if (doi := arxiv_and_doi(None, value)[1])), None)


def _published(inner: Element, flags: set[str]) -> dt.date | None:
    """Return the day of electronic publication, else that of the issue, often only a month or a year."""
    date = inner.find("ArticleDate")
    if date is None:
        date = inner.find("Journal/JournalIssue/PubDate")
    if date is None:
        return None
    if span := child_text(date, "MedlineDate"):
        return dates.parse_loose_day(span[:20].split("-")[0], flags)
    return dates.day_from_parts(
        child_text(date, "Year"), child_text(date, "Month"), child_text(date, "Day"), flags
    )
