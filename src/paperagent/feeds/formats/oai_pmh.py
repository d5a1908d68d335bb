"""OAI-PMH answers (http://www.openarchives.org/OAI/openarchivesprotocol.html), saved or fetched page by page.

Metadata as arXiv gives them (``arXiv``, ``arXivRaw``) and Dublin Core (``oai_dc``). A deleted record has
no text: it is the word that a paper was withdrawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    paper_url,
    require_arxiv_id,
    says_withdrawn,
)
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped, Withdrawal

NAME = "arxiv-oai"
ROOT = "OAI-PMH"
BAD_TOKEN = "badResumptionToken"  # noqa: S105 - a code of the protocol

_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NOTHING_NEW = "noRecordsMatch"
_NEXT_AUTHOR = re.compile(r", ?(?:and )?| and ")


@dataclass(slots=True)
class OaiPage:
    """One answer to ListRecords."""

    entries: list[FeedEntry] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)
    """The datestamps of the records, in their order."""
    token: str | None = None
    """Where the list goes on; None at its end."""
    size: int | None = None
    """Records of the whole list, where the server says."""
    answered: str = ""
    """The server's clock, as it writes it."""
    error: tuple[str, str] | None = None
    """Code and text of an error; that no record matches is none."""


def papers(text: str, label: str) -> list[FeedEntry]:
    """Return the records of one saved answer. Raises FeedError with code and text of the server's error."""
    page = read(text, label)
    if page.error:
        raise refused(page.error, label)
    return page.entries


def refused(error: tuple[str, str], label: str) -> FeedError:
    """Return the error that a person sees for one of the protocol."""
    code, text = (visible(clean_text(part), limit=200) for part in error)
    return FeedError(f"{label}: OAI error {code}: {text or 'no reason given'}; change the request")


def read(text: str, label: str) -> OaiPage:
    """Read one answer. Raises FeedError where it is no OAI-PMH, broken, or over a cap."""
    page = OaiPage()

    def record(element: Element, line: int) -> None:
        number = len(page.entries) + 1
        page.stamps.append(_text(element, f"{_OAI}header/{_OAI}datestamp"))
        try:
            page.entries.append(convert(element))
        except InvalidRecordError as bad:
            page.entries.append(Skipped(f"record {number}, line {line}", bad.reason))

    def error(element: Element, _line: int) -> None:
        if element.get("code") != _NOTHING_NEW:
            page.error = (element.get("code", "unknown"), (element.text or "").strip())

    def token(element: Element, _line: int) -> None:
        page.token = (element.text or "").strip() or None
        size = element.get("completeListSize", "")
        page.size = int(size) if size.isdecimal() and len(size) < 12 else None

    def answered(element: Element, _line: int) -> None:
        page.answered = (element.text or "").strip()[:40]

    def opened(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1 and strict_xml.local_name(tag) != ROOT:
            name = visible(strict_xml.local_name(tag), limit=60)
            raise FeedError(f"{label}: got XML with the root element {name}, not OAI-PMH; check the address")

    takers = {"record": record, "error": error, "resumptionToken": token, "responseDate": answered}
    strict_xml.parse(text, label, opened, {_OAI + name: take for name, take in takers.items()})
    return page


def convert(record: Element) -> FeedEntry:
    """Return the paper of one record, or the word that it was withdrawn."""
    header = record.find(_OAI + "header")
    if header is not None and header.get("status") == "deleted":
        return Withdrawal(require_arxiv_id(_text(header, _OAI + "identifier")).id, NAME)
    metadata = record.find(_OAI + "metadata")
    if metadata is None or not len(metadata):
        raise InvalidRecordError("no metadata")
    inner = metadata[0]
    return {"arXiv": _arxiv, "arXivRaw": _raw}.get(strict_xml.local_name(inner.tag), _dublin_core)(inner)


def _arxiv(inner: Element) -> Paper:
    """Read arXiv's own format: names in parts, the days of the first and of the last version."""
    space, noticed = _space(inner), set[str]()
    authors = [
        " ".join(filter(None, (_text(a, space + part) for part in ("forenames", "keyname", "suffix"))))
        for a in inner.iterfind(f"{space}authors/{space}author")
    ]
    updated = dates.parse_day(_text(inner, space + "updated"), noticed)
    return _paper(inner, noticed, authors=authors, days=(_text(inner, space + "created"), updated))


def _raw(inner: Element) -> Paper:
    """Read arXiv's raw format: the authors' line, and every version with its date (RFC 822)."""
    space, noticed = _space(inner), set[str]()
    versions = inner.findall(space + "version")
    stamps = [_text(v, space + "date") for v in versions] or [""]
    numbered = [v.get("version", "")[1:] for v in versions if v.get("version", "")[1:].isdecimal()]
    authors = _NEXT_AUTHOR.split(" ".join(_text(inner, space + "authors").split()))
    last = dates.parse_day(stamps[-1], noticed)
    version = int(numbered[-1][:5]) if numbered else None
    return _paper(inner, noticed, authors=authors, days=(stamps[0], last), version=version)


def _paper(
    inner: Element,
    noticed: set[str],
    *,
    authors: list[str],
    days: tuple[str, object],
    version: int | None = None,
) -> Paper:
    import datetime as dt

    space = _space(inner)
    found = require_arxiv_id(_text(inner, space + "id"))
    abstract = clean_abstract(_text(inner, space + "abstract"), noticed)
    first, last = dates.parse_day(days[0], noticed), days[1]
    return Paper(
        paper_id=found.id,
        title=clean_title(_text(inner, space + "title"), noticed),
        abstract=abstract,
        authors=clean_names(authors, noticed),
        published=first,
        updated=last if isinstance(last, dt.date) else first,
        categories=clean_names(_text(inner, space + "categories").split(), noticed),
        url=ids.arxiv_url(found.id),
        arxiv_id=found.id,
        doi=arxiv_and_doi(None, _text(inner, space + "doi"))[1],
        version=version or found.version,
        sources=(NAME,),
        withdrawn=says_withdrawn(abstract, _text(inner, space + "comments")),
        flags=flags(noticed),
    )


def _dublin_core(inner: Element) -> Paper:
    """Read Dublin Core: the longest description is the abstract, ids stand among the identifiers."""
    noticed = set[str]()
    given = {name: [_shown(e) for e in inner.iterfind(_DC + name)] for name in _DC_FIELDS}
    found = next(filter(None, map(ids.parse_arxiv_id, given["identifier"])), None)
    doi = next((d for i in given["identifier"] if (d := arxiv_and_doi(None, i)[1])), None)
    title = clean_title(next(iter(given["title"]), None), noticed)
    abstract = clean_abstract(max(given["description"], key=len, default=None), noticed)
    days = [day for text in given["date"] if (day := dates.parse_loose_day(text, noticed))]
    link = next((i for i in given["identifier"] if i.startswith(("http://", "https://"))), None)
    return Paper(
        paper_id=choose_paper_id(found, doi, None, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names(given["creator"], noticed),
        published=min(days, default=None),
        updated=max(days) if len(days) > 1 else None,
        categories=() if found else clean_names(given["subject"], noticed),
        url=paper_url(found, doi, link, noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        version=found.version if found else None,
        sources=(NAME if found else "oai",),
        withdrawn=any(says_withdrawn(text, text) for text in (abstract, *given["description"])),
        flags=flags(noticed),
    )


_DC_FIELDS = ("title", "creator", "subject", "description", "date", "identifier")


def _space(element: Element) -> str:
    """Return the namespace of an element, as a prefix of tags."""
    return str(element.tag).rpartition("}")[0] + "}" if "}" in str(element.tag) else ""


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else _shown(found)


def _shown(element: Element) -> str:
    text = markup.element_text(element).strip()
    return markup.strip(text) if markup.has_markup(text) else text
