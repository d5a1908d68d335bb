"""JSON of the APIs of Europe PMC, bioRxiv and medRxiv, DataCite and INSPIRE-HEP.

* https://europepmc.org/RestfulWebService (``resultType=core`` for abstracts)
* https://api.biorxiv.org (``collection``)
* https://api.datacite.org/dois (``data[].attributes``)
* https://inspirehep.net/api/literature (``hits.hits[].metadata``)

The APIs of DBLP and PubMed's esummary have no abstracts: their records are skipped with that reason.
"""

from __future__ import annotations

import re
from typing import NoReturn

from paperagent.feeds import ids
from paperagent.feeds.formats import BIORXIV, DATACITE, EUROPE_PMC, INSPIRE
from paperagent.feeds.json_fields import (
    first_day,
    member,
    objects,
    read_day,
    read_labels,
    read_names,
    read_text,
)
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    arxiv_and_doi,
    clean_abstract,
    clean_title,
    make_paper,
)
from paperagent.types import Paper

_EUROPE_PMC_ID = re.compile(r"[A-Za-z0-9/._-]{1,60}")
_WITHDRAWN = re.compile(r"withdrawn\b", re.IGNORECASE)


def convert_europe_pmc(record: JsonObject) -> Paper:
    """Convert one result."""
    flags: set[str] = set()
    arxiv, doi = arxiv_and_doi(None, record.get("doi"))
    pmid = record.get("pmid") or (record.get("id") if record.get("source") == "MED" else None)
    authors = member(record, "authorList", "author") or str(record.get("authorString") or "").rstrip(".")
    types = read_labels(member(record, "pubTypeList", "pubType") or record.get("pubType") or "", flags)
    return make_paper(
        EUROPE_PMC,
        flags,
        title=clean_title(record.get("title"), flags),
        abstract=clean_abstract(record.get("abstractText"), flags),
        arxiv=arxiv,
        doi=doi,
        service_id=ids.parse_pmid(pmid),
        authors=read_names(authors, flags),
        published=first_day((record.get("firstPublicationDate"), record.get("pubYear")), flags),
        url=None if doi else _europe_pmc_page(record),
        is_retracted=any("retracted publication" in each.lower() for each in types),
    )


def _europe_pmc_page(record: JsonObject) -> str | None:
    parts = (record.get("source"), record.get("id"))
    if all(isinstance(part, str) and _EUROPE_PMC_ID.fullmatch(part) for part in parts):
        return "https://europepmc.org/article/" + "/".join(map(str, parts))
    return None


def convert_biorxiv(record: JsonObject) -> Paper:
    """Convert one preprint of ``/details``, or one of ``/pubs``, whose members begin with ``preprint_``."""
    flags: set[str] = set()
    fields = {name.removeprefix("preprint_"): value for name, value in record.items()}
    _, doi = arxiv_and_doi(None, fields.get("doi"))
    kind = read_text(fields.get("type")) or ""
    return make_paper(
        BIORXIV,
        flags,
        title=clean_title(fields.get("title"), flags),
        abstract=clean_abstract(fields.get("abstract"), flags),
        doi=doi,
        authors=read_names(fields.get("authors"), flags),
        published=read_day(fields.get("date"), flags),
        categories=read_labels(fields.get("category"), flags),
        comment="withdrawn." if _WITHDRAWN.match(kind) else None,
    )


def convert_datacite(record: JsonObject) -> Paper:
    """Convert one DOI; the creators' names may be "Last, First"."""
    flags: set[str] = set()
    fields = record.get("attributes")
    if not isinstance(fields, dict):
        fields = record
    arxiv, doi = arxiv_and_doi(None, fields.get("doi") or record.get("id"))
    descriptions = objects(fields.get("descriptions"))
    abstracts = [d for d in descriptions if d.get("descriptionType") == "Abstract"] or descriptions
    days = {each.get("dateType"): each.get("date") for each in objects(fields.get("dates"))}
    first_days = (days.get(name) for name in ("Submitted", "Issued", "Available", "Created"))
    return make_paper(
        DATACITE,
        flags,
        title=clean_title(read_text(fields.get("titles"), first=True), flags),
        abstract=clean_abstract(next((d.get("description") for d in abstracts), None), flags),
        arxiv=arxiv,
        doi=doi,
        authors=read_names(fields.get("creators"), flags),
        published=first_day((*first_days, fields.get("publicationYear")), flags),
        updated=read_day(days.get("Updated"), flags),
        categories=read_labels(fields.get("subjects") or [], flags),
        url=fields.get("url"),
    )


def convert_inspire(record: JsonObject) -> Paper:
    """Convert one hit."""
    flags: set[str] = set()
    fields = record.get("metadata")
    if not isinstance(fields, dict):
        fields = record
    eprint = next(iter(objects(fields.get("arxiv_eprints"))), {})
    doi_value = next((each.get("value") for each in objects(fields.get("dois"))), None)
    arxiv, doi = arxiv_and_doi(eprint.get("value"), doi_value)
    days = (
        *(fields.get("preprint_date"), fields.get("earliest_date")),
        *(each.get("date") for each in objects(fields.get("imprints"))),
        *(each.get("year") for each in objects(fields.get("publication_info"))),
    )
    number = fields.get("control_number")
    return make_paper(
        INSPIRE,
        flags,
        title=clean_title(read_text(fields.get("titles"), first=True), flags),
        abstract=clean_abstract(read_text(fields.get("abstracts"), first=True), flags),
        arxiv=arxiv,
        doi=doi,
        authors=read_names(fields.get("authors"), flags),
        published=first_day(days, flags),
        categories=read_labels(eprint.get("categories") or [], flags),
        url=f"https://inspirehep.net/literature/{number}" if isinstance(number, int) else None,
        is_retracted=bool(fields.get("retracted")),
    )


def refuse_dblp(_record: JsonObject) -> NoReturn:
    raise InvalidRecordError("DBLP has no abstracts")


def refuse_esummary(_record: JsonObject) -> NoReturn:
    raise InvalidRecordError("PubMed's esummary has no abstracts")
