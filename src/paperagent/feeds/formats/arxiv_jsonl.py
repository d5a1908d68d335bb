"""Daily arXiv listings as JSON lines.

Fields: ``id, title, abstract`` or ``summary, authors, categories, date, url``.
"""

from __future__ import annotations

from paperagent.feeds import dates, ids
from paperagent.feeds.record import (
    InvalidRecordError,
    JsonObject,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    require_arxiv_id,
    says_withdrawn,
)
from paperagent.types import Paper

NAME = "arxiv-jsonl"


def convert(record: JsonObject) -> Paper:
    """Return the paper of one line.

    Its one ``date`` is the day arXiv announced the paper: it serves as published and as listed.
    """
    noticed: set[str] = set()
    identity = record.get("arxiv_id") or record.get("id")
    doi = ids.parse_doi(record.get("doi"))
    found = _identity(identity)
    title = clean_title(record.get("title"), noticed)
    abstract = clean_abstract(record.get("abstract") or record.get("summary"), noticed)
    day = dates.parse_day(record.get("date") or record.get("published"), noticed)
    if isinstance(found, str):
        paper_id, arxiv, version, url = f"doi:{found}", None, None, f"https://doi.org/{found}"
        doi = found
    else:
        paper_id = arxiv = found.id
        version, url = found.version, ids.arxiv_url(found.id)
    return Paper(
        paper_id=paper_id,
        title=title,
        abstract=abstract,
        authors=clean_names(record.get("authors"), noticed),
        published=day,
        updated=dates.parse_day(record.get("updated"), noticed),
        listed=day,
        categories=_categories(record.get("categories"), noticed),
        url=ids.clean_url(record.get("url"), noticed) or url,
        arxiv_id=arxiv,
        doi=doi,
        version=version,
        sources=(NAME,),
        withdrawn=says_withdrawn(abstract),
        flags=flags(noticed),
    )


def _identity(value: object) -> ids.ArxivId | str:
    try:
        return require_arxiv_id(value)
    except InvalidRecordError:
        doi = ids.parse_doi(value)
        if doi is None:
            raise
        return doi


def _categories(value: object, noticed: set[str]) -> tuple[str, ...]:
    return clean_names(value.split() if isinstance(value, str) else value, noticed)
