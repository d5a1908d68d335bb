"""OAI-PMH responses, saved or fetched (http://www.openarchives.org/OAI/openarchivesprotocol.html).

Reads arXiv's metadata (``arXiv``, ``arXivRaw``) and Dublin Core (``oai_dc``). A deleted record has no text
and means that a paper was withdrawn.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import OAI_PMH
from paperagent.feeds.formats.arxiv import split_authors
from paperagent.feeds.names import full_name
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    paper_url,
    require_arxiv_id,
    says_withdrawn,
    sorted_flags,
)
from paperagent.feeds.strict_xml import child_text
from paperagent.text.markup import element_text
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped, Withdrawal

ROOT = "OAI-PMH"
BAD_TOKEN = "badResumptionToken"  # noqa: S105 - an error code of the protocol

_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_DC_FIELDS = ("title", "creator", "subject", "description", "date", "identifier")
_NO_RECORDS = "noRecordsMatch"


@dataclass(slots=True)
class OaiPage:
    """One response to ListRecords."""

    entries: list[FeedEntry] = field(default_factory=list)
    datestamps: list[str] = field(default_factory=list)
    """The datestamp of each record, in order."""
    token: str | None = None
    """The resumption token; None on the last page."""
    size: int | None = None
    """Records in the whole list, if the server says."""
    response_date: str = ""
    """The server's clock, as it writes it."""
    error: tuple[str, str] | None = None
    """Code and text of an error; "no records match" is not one."""


def parse(text: str, label: str) -> list[FeedEntry]:
    """Return the records of one saved response; raise FeedError if the server answered with an error."""
    page = parse_page(text, label)
    if page.error:
        raise protocol_error(page.error, label)
    return page.entries


def protocol_error(error: tuple[str, str], label: str) -> FeedError:
    """Return the FeedError for the code and text of a protocol error."""
    code, text = (visible(clean_text(part), limit=200) for part in error)
    return FeedError(f"{label}: OAI error {code}: {text or 'no reason given'}; change the request")


def parse_page(text: str, label: str) -> OaiPage:
    """Parse one response; raise FeedError if it is not OAI-PMH, is broken or exceeds a limit."""
    page = OaiPage()

    def on_record(element: Element, line: int) -> None:
        number = len(page.entries) + 1
        page.datestamps.append(child_text(element, f"{_OAI}header/{_OAI}datestamp"))
        try:
            page.entries.append(_convert(element))
        except InvalidRecordError as error:
            page.entries.append(Skipped(f"record {number}, line {line}", error.reason))

    def on_error(element: Element, _line: int) -> None:
        if element.get("code") != _NO_RECORDS:
            page.error = (element.get("code", "unknown"), (element.text or "").strip())

    def on_token(element: Element, _line: int) -> None:
        page.token = (element.text or "").strip() or None
        size = element.get("completeListSize", "")
        page.size = int(size) if size.isdecimal() and len(size) < 12 else None

    def on_response_date(element: Element, _line: int) -> None:
        page.response_date = (element.text or "").strip()[:40]

    def on_start(tag: str, depth: int, _attributes: Mapping[str, str]) -> None:
        if depth == 1 and strict_xml.local_name(tag) != ROOT:
            name = visible(strict_xml.local_name(tag), limit=60)
            raise FeedError(f"{label}: got XML with the root element {name}, not OAI-PMH; check the address")

    handlers = {
        "record": on_record,
        "error": on_error,
        "resumptionToken": on_token,
        "responseDate": on_response_date,
    }
    strict_xml.parse(text, label, on_start, {_OAI + name: handler for name, handler in handlers.items()})
    return page


def _convert(record: Element) -> FeedEntry:
    header = record.find(_OAI + "header")
    if header is not None and header.get("status") == "deleted":
        return Withdrawal(require_arxiv_id(child_text(header, _OAI + "identifier")).id, OAI_PMH)
    metadata = record.find(_OAI + "metadata")
    if metadata is None or not len(metadata):
        raise InvalidRecordError("no metadata")
    inner = metadata[0]
    converters = {"arXiv": _convert_arxiv, "arXivRaw": _convert_arxiv_raw}
    return converters.get(strict_xml.local_name(inner.tag), _convert_dublin_core)(inner)


def _convert_arxiv(inner: Element) -> Paper:
    """Convert ``arXiv`` metadata: names in parts, the days of the first and of the last version."""
    space, flags = _namespace(inner), set[str]()
    authors = [
        " ".join(filter(None, (child_text(a, space + part) for part in ("forenames", "keyname", "suffix"))))
        for a in inner.iterfind(f"{space}authors/{space}author")
    ]
    updated = dates.parse_day(child_text(inner, space + "updated"), flags)
    return _arxiv_paper(
        inner, flags, authors=authors, created=child_text(inner, space + "created"), updated=updated
    )


def _convert_arxiv_raw(inner: Element) -> Paper:
    """Convert ``arXivRaw`` metadata: one line of authors, and every version with its RFC 822 date."""
    space, flags = _namespace(inner), set[str]()
    versions = inner.findall(space + "version")
    version_dates = [child_text(v, space + "date") for v in versions] or [""]
    numbers = [v.get("version", "")[1:] for v in versions if v.get("version", "")[1:].isdecimal()]
    return _arxiv_paper(
        inner,
        flags,
        authors=split_authors(child_text(inner, space + "authors")),
        created=version_dates[0],
        updated=dates.parse_day(version_dates[-1], flags),
        version=int(numbers[-1][:5]) if numbers else None,
    )


def _arxiv_paper(
    inner: Element,
    flags: set[str],
    *,
    authors: list[str],
    created: str,
    updated: dt.date | None,
    version: int | None = None,
) -> Paper:
    space = _namespace(inner)
    arxiv = require_arxiv_id(child_text(inner, space + "id"))
    abstract = clean_abstract(child_text(inner, space + "abstract"), flags)
    published = dates.parse_day(created, flags)
    return Paper(
        paper_id=arxiv.id,
        title=clean_title(child_text(inner, space + "title"), flags),
        abstract=abstract,
        authors=clean_names(authors, flags),
        published=published,
        updated=updated or published,
        categories=clean_names(child_text(inner, space + "categories").split(), flags),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        doi=arxiv_and_doi(None, child_text(inner, space + "doi"))[1],
        version=version or arxiv.version,
        sources=(OAI_PMH,),
        withdrawn=says_withdrawn(abstract, child_text(inner, space + "comments")),
        flags=sorted_flags(flags),
    )


def _convert_dublin_core(inner: Element) -> Paper:
    """Convert Dublin Core: the longest description is the abstract, the identifiers hold the ids."""
    flags = set[str]()
    values = {name: [element_text(e).strip() for e in inner.iterfind(_DC + name)] for name in _DC_FIELDS}
    arxiv = next(filter(None, map(ids.parse_arxiv_id, values["identifier"])), None)
    doi = next((doi for i in values["identifier"] if (doi := arxiv_and_doi(None, i)[1])), None)
    title = clean_title(next(iter(values["title"]), None), flags)
    abstract = clean_abstract(max(values["description"], key=len, default=None), flags)
    days = [day for text in values["date"] if (day := dates.parse_loose_day(text, flags))]
    link = next((i for i in values["identifier"] if i.startswith(("http://", "https://"))), None)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, None, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names([full_name(name) for name in values["creator"]], flags),
        published=min(days, default=None),
        updated=max(days) if len(days) > 1 else None,
        categories=() if arxiv else clean_names(values["subject"], flags),
        url=paper_url(arxiv, doi, link, flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(OAI_PMH if arxiv else "oai",),
        withdrawn=any(says_withdrawn(text, text) for text in (abstract, *values["description"])),
        flags=sorted_flags(flags),
    )


def _namespace(element: Element) -> str:
    """Return the namespace of an element in the form of a tag prefix."""
    return str(element.tag).rpartition("}")[0] + "}" if "}" in str(element.tag) else ""
