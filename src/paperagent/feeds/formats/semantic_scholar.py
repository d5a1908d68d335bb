"""Papers from Semantic Scholar's graph API.

See https://api.semanticscholar.org/api-docs/graph. Many papers have no abstract.
"""

from __future__ import annotations

from paperagent.feeds import dates, ids
from paperagent.feeds.formats import SEMANTIC_SCHOLAR
from paperagent.feeds.json_fields import read_names
from paperagent.feeds.record import (
    JsonObject,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_title,
    marked_retracted,
    paper_url,
    sorted_flags,
)
from paperagent.types import RETRACTED, Paper


def convert(record: JsonObject) -> Paper:
    """Convert one record."""
    flags: set[str] = set()
    title = clean_title(record.get("title"), flags)
    abstract = clean_abstract(record.get("abstract"), flags)
    external = record.get("externalIds")
    external_ids: JsonObject = external if isinstance(external, dict) else {}
    arxiv, doi = arxiv_and_doi(external_ids.get("ArXiv"), external_ids.get("DOI"))
    is_retracted = marked_retracted(title)
    if is_retracted:
        flags.add(RETRACTED)
    published = dates.parse_day(record.get("publicationDate"), flags)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, _service_id(record, external_ids), title, abstract),
        title=title,
        abstract=abstract,
        authors=read_names(record.get("authors"), flags),
        published=published or dates.day_from_parts(record.get("year"), None, None, flags),
        url=paper_url(arxiv, doi, record.get("url"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        sources=(SEMANTIC_SCHOLAR,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _service_id(record: JsonObject, external_ids: JsonObject) -> str | None:
    """Return the external id that a user is most likely to know."""
    candidates = (
        ("acl", external_ids.get("ACL")),
        ("pmid", external_ids.get("PubMed")),
        ("s2", record.get("paperId")),
    )
    return next((name for scheme, text in candidates if (name := ids.service_id(scheme, text))), None)
