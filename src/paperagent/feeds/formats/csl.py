"""CSL JSON, CSL YAML and Crossref's JSON, which is built on CSL JSON.

CSL JSON (https://github.com/citation-style-language/schema) is what Zotero, Mendeley, Pandoc and citeproc
exchange: ``title, abstract, author[{family, given}], issued{date-parts}, DOI, URL``. The ``id`` is a citation
key of the program that wrote the file. CSL YAML has the same items under ``references``.

In Crossref's records (https://api.crossref.org), ``title`` is a list and ``abstract`` is JATS. A retraction
notice names the retracted paper in ``update-to``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import ids, strict_json
from paperagent.feeds.formats import CROSSREF, CSL, CSL_YAML
from paperagent.feeds.json_fields import (
    first_day,
    objects,
    read_labels,
    read_names,
    read_text,
)
from paperagent.feeds.record import (
    FeedEntry,
    JsonObject,
    arxiv_and_doi,
    clean_abstract,
    clean_title,
    make_paper,
)
from paperagent.types import Paper, Withdrawal

_ARXIV_IN_NOTE = re.compile(r"\barXiv:\s*(\S+)", re.IGNORECASE)
_PMID_IN_NOTE = re.compile(r"^PMID:\s*(\d{1,9})\b", re.IGNORECASE | re.MULTILINE)
_RETRACTED_IN_NOTE = re.compile(r"\s*retracted\b", re.IGNORECASE)
_MAX_NOTE_LENGTH = 5_000
_ABSTRACT_HEADING = re.compile(
    r"\s*(?:<jats:sec>\s*)?<jats:title>\s*(?:abstract|summary)[\s.:]*</jats:title>", re.IGNORECASE
)
_RETRACTIONS = frozenset({"retraction", "withdrawal", "removal"})
_CROSSREF_DAYS = ("issued", "published", "posted", "published-online", "published-print", "created")
_YAML_START = re.compile(
    r"(?:(?:%YAML|---|#)[^\n]*\n|\s)*+(?:references:[^\S\n]*\n|-[^\S\n]+(?:id|title|type|author|DOI|citation-key):)"
)
_MAX_YAML_LENGTH = 10_000_000
_MAX_YAML_DEPTH = 50
_MAX_YAML_EVENTS = 2_000_000


def convert(record: JsonObject) -> Paper:
    """Convert one item."""
    return _convert(record, CSL)


def _convert(record: JsonObject, source: str) -> Paper:
    flags: set[str] = set()
    note = (read_text(record.get("note")) or "")[:_MAX_NOTE_LENGTH]
    arxiv, doi = arxiv_and_doi(_arxiv_value(record, note), record.get("DOI") or record.get("URL"))
    pmid = ids.parse_pmid(record.get("PMID")) or _pmid_in_note(note)
    return make_paper(
        source,
        flags,
        title=clean_title(read_text(record.get("title"), first=True), flags),
        abstract=clean_abstract(read_text(record.get("abstract")), flags),
        arxiv=arxiv,
        doi=doi,
        service_id=pmid,
        authors=read_names(record.get("author") or record.get("authors"), flags),
        published=first_day((record.get(name) for name in ("issued", "submitted", "year")), flags),
        categories=read_labels(record.get("keyword"), flags),
        url=record.get("URL"),
        comment=note,
        is_retracted=bool(_RETRACTED_IN_NOTE.match(note)),
    )


def _arxiv_value(record: JsonObject, note: str) -> Any:
    match = _ARXIV_IN_NOTE.search(note)
    names = ("number", "archive_location", "URL", "eprint")
    values = (*(record.get(name) for name in names), match[1] if match else None)
    return next((value for value in values if ids.parse_arxiv_id(value)), None)


def _pmid_in_note(note: str) -> str | None:
    match = _PMID_IN_NOTE.search(note)
    return ids.parse_pmid(match[1]) if match else None


def convert_crossref(record: JsonObject) -> FeedEntry:
    """Convert one work. A retraction notice becomes a `Withdrawal` of the paper that it names."""
    for update in objects(record.get("update-to")):
        doi = ids.parse_doi(update.get("DOI"))
        if update.get("type") in _RETRACTIONS and doi and doi != ids.parse_doi(record.get("DOI")):
            return Withdrawal(f"doi:{doi}", CROSSREF)
    flags: set[str] = set()
    abstract = _ABSTRACT_HEADING.sub("", read_text(record.get("abstract")) or "", count=1)
    arxiv, doi = arxiv_and_doi(None, record.get("DOI"))
    updates = objects(record.get("updated-by"))
    return make_paper(
        CROSSREF,
        flags,
        title=clean_title(read_text(record.get("title"), first=True), flags),
        abstract=clean_abstract(abstract, flags),
        arxiv=arxiv,
        doi=doi,
        authors=read_names(record.get("author"), flags),
        published=first_day((record.get(name) for name in _CROSSREF_DAYS), flags),
        categories=read_labels(record.get("subject"), flags),
        url=None if doi else record.get("URL"),
        is_retracted=any(update.get("type") in _RETRACTIONS for update in updates),
    )


# --- YAML ---


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins like YAML with a list of references."""
    return bool(_YAML_START.match(text))


def parse_yaml(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each reference.

    Raises:
        FeedError: the text is not YAML, is too large or nested too deeply, or has aliases, which can expand
            without limit.
    """
    values = _load_yaml(text, label)
    if isinstance(values, dict):
        lists = (v for v in (values.get("references"), *values.values()) if isinstance(v, list))
        values = next(lists, None)
    if not isinstance(values, list):
        raise FeedError(f"{label}: YAML without a list of references; export CSL YAML or CSL JSON")
    return strict_json.parse_items(values, lambda record: _convert(record, CSL_YAML))


def _load_yaml(text: str, label: str) -> Any:
    """Return the value of a YAML document in which all scalars are strings."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if len(text) > _MAX_YAML_LENGTH:
        raise FeedError(f"{label}: YAML of more than {_MAX_YAML_LENGTH // 10**6} MB; export CSL JSON instead")
    try:
        depth = 0
        for count, event in enumerate(yaml.parse(text, Loader=loader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_YAML_DEPTH or count > _MAX_YAML_EVENTS:
                raise FeedError(f"{label}: YAML nested too deeply, or with too many values; export CSL JSON")
            if isinstance(event, yaml.AliasEvent):
                raise FeedError(f"{label}: YAML with aliases is not read; export CSL JSON instead")
        return next(iter(yaml.load_all(text, Loader=loader)), None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise FeedError(f"{label}: YAML error{where}; export it again, or export CSL JSON") from None
