"""PubMed XML, as returned by ``efetch`` and in the yearly files (https://dtd.nlm.nih.gov/).

Every such file names its DTD. That line is ignored, and nothing is fetched. An abstract has labeled parts. A
date may be only a year. A retraction is a publication type or a link to the notice. An article may be a
chapter of a book, whose fields are in other elements.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
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
from paperagent.text.markup import element_text
from paperagent.types import RETRACTED, Paper, Skipped

_ARTICLES = ("PubmedArticle", "PubmedBookArticle")
ROOTS = frozenset(_ARTICLES + tuple(f"{name}Set" for name in _ARTICLES))

_RETRACTED_TYPE = "retracted publication"
_TRANSLATED = re.compile(r"\[([^\[\]]*+(?:\[[^\[\]]*+\][^\[\]]*+)*+)\]\.?")
"""A title that PubMed translated."""
_NO_TITLE = re.compile(r"\W*not available\W*", re.IGNORECASE)


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

    strict_xml.parse(text, label, on_start, dict.fromkeys(_ARTICLES, on_article), doctypes=ROOTS)
    return entries


def _convert(article: Element) -> Paper:
    flags: set[str] = set()
    citation = article.find("MedlineCitation")
    if citation is None:
        citation = article.find("BookDocument")
    number = "" if citation is None else child_text(citation, "PMID")
    pmid = ids.service_id("pmid", number)
    if citation is None or pmid is None:
        raise InvalidRecordError("bad id" if number else "no id")
    inner = citation.find("Article") if citation.tag == "MedlineCitation" else citation
    if inner is None:
        raise InvalidRecordError("no title")
    title = clean_title(_title(inner), flags)
    abstract = clean_abstract(_abstract(inner, citation), flags)
    is_retracted = marked_retracted(title) or _is_retracted(inner, citation)
    if is_retracted:
        flags.add(RETRACTED)
    doi = _doi(article, inner)
    return Paper(
        paper_id=choose_paper_id(None, doi, pmid, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(list(_authors(inner)), flags),
        published=_published(inner, flags),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid.removeprefix('pmid:')}/",
        doi=doi,
        sources=(PUBMED,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _title(inner: Element) -> str:
    """Return the title, without the brackets around a translated one; else the title of the book."""
    title = child_text(inner, "ArticleTitle")
    if translated := _TRANSLATED.fullmatch(title):
        title = translated[1]
    if not title or _NO_TITLE.fullmatch(title):
        title = child_text(inner, "VernacularTitle") or child_text(inner, "Book/BookTitle") or title
    return title


def _abstract(inner: Element, citation: Element) -> str:
    """Return the abstract. If it is missing, return another one of the article, in English if possible."""
    others = citation.findall("OtherAbstract")
    others.sort(key=lambda other: other.get("Language", "eng") != "eng")
    for abstract in (*inner.iterfind("Abstract"), *others):
        if text := _labeled_parts(abstract):
            return text
    return ""


def _labeled_parts(abstract: Element) -> str:
    """Return the parts in order, each after its label: "METHODS: …"."""
    parts = []
    for part in abstract.iterfind("AbstractText"):
        text = element_text(part).strip()
        label = (part.get("Label") or "").strip().removesuffix(":")
        if text:
            parts.append(f"{label}: {text}" if label and label.upper() != "UNLABELLED" else text)
    return " ".join(parts)


def _is_retracted(inner: Element, citation: Element) -> bool:
    kinds = (*inner.iterfind("PublicationTypeList/PublicationType"), *inner.iterfind("PublicationType"))
    notices = citation.iterfind("CommentsCorrectionsList/CommentsCorrections")
    return any((kind.text or "").strip().lower() == _RETRACTED_TYPE for kind in kinds) or any(
        notice.get("RefType") == "RetractionIn" for notice in notices
    )


def _authors(inner: Element) -> Iterator[str]:
    """Yield the names of people and groups, but not of a book's editors."""
    for author in inner.iterfind("AuthorList/Author"):
        first = child_text(author, "ForeName") or child_text(author, "Initials")
        parts = (first, child_text(author, "LastName"), child_text(author, "Suffix"))
        yield " ".join(filter(None, parts)) or child_text(author, "CollectiveName")


def _doi(article: Element, inner: Element) -> str | None:
    values = [e.text for e in inner.iterfind("ELocationID") if e.get("EIdType") == "doi"]
    for parent in ("PubmedData", "PubmedBookData", "BookDocument"):
        article_ids = article.iterfind(f"{parent}/ArticleIdList/ArticleId")
        values += [e.text for e in article_ids if e.get("IdType") == "doi"]
    return next((doi for value in values if (doi := arxiv_and_doi(None, value)[1])), None)


def _published(inner: Element, flags: set[str]) -> dt.date | None:
    """Return the day of electronic publication, else that of the issue, often only a month or a year."""
    paths = ("ArticleDate", "Journal/JournalIssue/PubDate", "ContributionDate", "Book/PubDate")
    date = next((date for path in paths if (date := inner.find(path)) is not None), None)
    if date is None:
        return None
    if span := child_text(date, "MedlineDate"):
        return dates.parse_loose_day(span[:20].split("-")[0], flags)
    return dates.day_from_parts(
        child_text(date, "Year"), child_text(date, "Month"), child_text(date, "Day"), flags
    )
