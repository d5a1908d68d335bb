"""JSON records of papers that do not come from a known program: data sets, scripts, APIs.

Members are recognized by their names, in any case and with or without separators. An id of an unknown kind
is not used. The paper is then identified by the hash of its text, and gets the flag ``dropped-fields``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from paperagent.feeds import ids
from paperagent.feeds.formats import GENERIC_JSON
from paperagent.feeds.json_fields import (
    DROPPED_FIELDS,
    JsonFields,
    first_day,
    is_empty,
    read_labels,
    read_names,
    read_text,
)
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    arxiv_and_doi,
    clean_abstract,
    clean_count,
    clean_title,
    make_paper,
)
from paperagent.types import Paper

_TITLES = ("title", "titles", "papertitle", "titledisplay", "displayname", "articletitle")
_ABSTRACTS = (
    *("abstract", "summary", "abstracttext", "abstractnote", "abstracts", "paperabstract"),
    *("description", "descriptions"),
)
_AUTHORS = (
    *("authors", "author", "creators", "creator", "authorlist", "authorstring", "authornames"),
    *("authordisplay", "contributors"),
)
_DATES = (
    *("published", "publicationdate", "publisheddate", "publishedat", "datepublished", "pubdate", "date"),
    *("issued", "submitteddate", "submitted", "created", "createdat", "cdate", "versiondate", "year"),
    *("publicationyear", "pubyear", "updatedate"),
)
_UPDATES = ("updated", "updatedat", "lastupdated")
_CATEGORIES = (
    *("categories", "category", "arxivcategories", "subjects", "keywords", "tags", "fieldsofstudy"),
    "topics",
)
_ARXIV_IDS = ("arxivid", "arxiv", "arxiveprint", "eprint", "eprintid", "entryid")
_LOCAL_IDS = ("id", "uid", "paperid")
_IDENTIFIERS = ("identifier", "identifiers")
_PAGES = ("url", "link", "paperurl", "absurl", "pdfurl", "arxivurl", "pdf", "links")
_PMIDS = ("pmid", "pubmedid", "pubmed")
_WRAPPED_ID = ("value", "href", "url", "identifier", "$oid")
_MAX_ID_LENGTH = 300
_MAX_IDS = 50
_HOSTILE = re.compile(r"\s*(?:javascript|data|file|vbscript):|(?:.*/)?\.\./", re.IGNORECASE)
_S2_ID = re.compile(r"[0-9a-f]{40}")
_OPENALEX = re.compile(r"https?://openalex\.org/(W[0-9]{1,12})", re.IGNORECASE)


def looks_like(record: JsonObject) -> bool:
    """Return whether a record has a title and a member for the abstract, which may be empty."""
    fields = JsonFields(record)
    if not any(name in fields for name in _TITLES) or not any(name in fields for name in _ABSTRACTS):
        return False
    title = fields.get(*_TITLES)
    return not isinstance(title, dict) or read_text(title) is not None


def convert(record: JsonObject) -> Paper:
    """Convert one record."""
    flags: set[str] = set()
    fields = JsonFields(record)
    title = clean_title(read_text(fields.get(*_TITLES), first=True), flags)
    abstract = clean_abstract(read_text(fields.get(*_ABSTRACTS)), flags)
    names = _Ids(fields, flags)
    return make_paper(
        GENERIC_JSON,
        flags,
        title=title,
        abstract=abstract,
        arxiv=names.arxiv,
        doi=names.doi,
        service_id=names.service_id,
        authors=read_names(fields.get(*_AUTHORS), flags),
        published=first_day(fields.all(*_DATES), flags),
        updated=first_day(fields.all(*_UPDATES), flags),
        categories=read_labels(fields.get(*_CATEGORIES), flags),
        url=read_text(fields.get(*_PAGES), first=True),
        comment=read_text(fields.get("comment", "comments")),
        upvotes=clean_count(fields.get("upvotes")),
    )


class _Ids:
    """The ids of a record."""

    def __init__(self, fields: JsonFields, flags: set[str]) -> None:
        external = fields.get("externalids", "ids")
        local = _texts(fields.all(*_LOCAL_IDS))
        if any(len(text) > _MAX_ID_LENGTH or _HOSTILE.match(text) for text in local):
            raise InvalidRecordError("bad id")
        arxiv_ids = _texts([*_external(external, "arxiv"), *fields.all(*_ARXIV_IDS)])
        dois = _texts([*_external(external, "doi"), *fields.all("doi", "dois")])
        pmids = _texts([*_external(external, "pubmed", "pmid"), *fields.all(*_PMIDS)])
        acl_ids = _texts([*_external(external, "acl"), *fields.all("aclid")])
        others = [*local, *_texts(fields.all(*_IDENTIFIERS, *_PAGES))]
        self.arxiv, self.doi = _arxiv_and_doi([*arxiv_ids, *others], [*dois, *others])
        acl = (ids.service_id("acl", text) for text in acl_ids)
        pmid = next(filter(None, map(ids.parse_pmid, pmids)), None)
        self.service_id = next(filter(None, (*acl, pmid, *map(_service_id, others))), None)
        is_known = bool(self.arxiv or self.doi or self.service_id)
        if (
            (arxiv_ids and not self.arxiv)
            or (dois and not (self.doi or self.arxiv))
            or (pmids and not pmid)
            or (local and not is_known)
        ):
            flags.add(DROPPED_FIELDS)


def _texts(values: Iterable[object]) -> list[str]:
    """Return the texts and numbers among the values, in lists, and in ``{"value": …}`` or ``{"href": …}``."""
    texts: list[str] = []
    for value in values:
        for item in value[:_MAX_IDS] if isinstance(value, list) else [value]:
            text = item
            if isinstance(item, dict):
                text = next((item[name] for name in _WRAPPED_ID if item.get(name)), None)
            if isinstance(text, str | int | float) and not isinstance(text, bool):
                texts.append(str(text))
    return texts


def _external(external: object, *names: str) -> list[object]:
    """Return the values of ``{"ArXiv": …, "DOI": …}`` by name in lower case."""
    members = external.items() if isinstance(external, dict) else ()
    return [value for name, value in members if name.lower() in names and not is_empty(value)]


def _arxiv_and_doi(arxiv_ids: list[str], dois: list[str]) -> tuple[ids.ArxivId | None, str | None]:
    arxiv = next(filter(None, map(ids.parse_arxiv_id, arxiv_ids)), None)
    for text in dois:
        by_doi, doi = arxiv_and_doi(None, text)
        arxiv = arxiv or by_doi
        if doi:
            return arxiv, doi
    return arxiv, None


def _service_id(text: str) -> str | None:
    """Return the id of a paper at a service, if ``text`` shows which service it is."""
    if ids.is_service_id(text):
        return text
    if _S2_ID.fullmatch(text):
        return f"s2:{text}"
    if match := _OPENALEX.fullmatch(text):
        return f"openalex:{match[1].upper()}"
    return None if text.isdecimal() else ids.parse_pmid(text)
