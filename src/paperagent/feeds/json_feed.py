"""Recognize and read JSON feeds: the format of a record, and the records in a document.

Each format has a signature: members that only its records have. A document may wrap its records in objects
(``{"message": {"items": […]}}``), also by id (``{"2508.13426": {…}}``), up to four levels deep.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from paperagent.errors import FeedError, visible
from paperagent.feeds import ids, strict_json
from paperagent.feeds.formats import (
    ARXIV_JSONL,
    ARXIV_PY,
    ARXIV_SNAPSHOT,
    BIORXIV,
    CROSSREF,
    CSL,
    DATACITE,
    DBLP,
    ESUMMARY,
    EUROPE_PMC,
    FORMATS,
    GENERIC_JSON,
    HF_DAILY,
    INSPIRE,
    OPENALEX,
    PAPERAGENT,
    SEMANTIC_SCHOLAR,
    ZOTERO,
    Format,
)
from paperagent.feeds.json_fields import member, objects
from paperagent.feeds.record import FeedEntry, InvalidRecordError, JsonObject, limit_entries
from paperagent.feeds.source import not_a_feed
from paperagent.feeds.strict_json import Converter, Damage
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper

_MAX_LEVELS = 4
_MAX_SAMPLED = 1_000
"""Number of records that determine the format of a document."""
_NAMED_KEYS = 6
_UNCERTAIN = frozenset({ARXIV_JSONL, GENERIC_JSON})
"""Formats whose signature also matches records of other formats."""
_CSL_TYPES = frozenset(
    """article article-journal article-magazine article-newspaper book chapter dataset document entry
    entry-dictionary entry-encyclopedia manuscript paper-conference patent post post-weblog report review
    software speech thesis webpage""".split()
)


def json_format(record: Any) -> Format | None:
    """Return the format of a JSON record, judged by its members; None if it is unknown."""
    if not isinstance(record, dict):
        return None
    keys = record.keys()
    name = next((name for name, fits in _SIGNATURES if fits(record, keys)), None)
    return FORMATS[name] if name else None


def converter(each: Format) -> Converter:
    """Return the converter of a format, for feeds that may also contain records of other formats.

    A record that this format refuses is converted by the format that its members indicate, if there is one.
    """
    convert: Converter = each.load_parser()

    def convert_any(record: JsonObject) -> FeedEntry:
        try:
            return convert(record)
        except InvalidRecordError:
            other = json_format(record)
            if other is None or other.name == each.name or other.name in _UNCERTAIN:
                raise
            entry: FeedEntry = other.load_parser()(record)
            return entry

    return convert_any


def parse(text: str, label: str, chosen: Format | None) -> tuple[str, list[FeedEntry]]:
    """Return the format and the entries of a JSON document.

    Raises:
        FeedError: the text is not JSON, is an error message from a server, or has an unknown structure.
    """
    values = strict_json.parse_document(text, label)
    records = _find_records(values, label)
    each = chosen or _most_frequent_format(records)
    if each is None and not values:
        each = FORMATS[HF_DAILY]  # a day without papers
    if each is None:
        if damage := strict_json.find_damage(values):
            raise strict_json.damage_error(label, damage)
        raise not_a_feed(label, _shape(values))
    entries = strict_json.parse_items(records, converter(each))
    return each.name, list(limit_entries(entries, label))


def _most_frequent_format(records: list[Any]) -> Format | None:
    formats = islice((each for each in map(json_format, records) if each), _MAX_SAMPLED)
    counts = Counter(each.name for each in formats)
    return FORMATS[counts.most_common(1)[0][0]] if counts else None


def _shape(values: list[Any]) -> str:
    first = next(iter(objects(values)), {})
    keys = ", ".join(visible(name, limit=30) for name in list(first)[:_NAMED_KEYS])
    more = ", …" if len(first) > _NAMED_KEYS else ""
    structure = "JSON with an unknown structure"
    return f"{structure} (keys: {keys}{more})" if keys else structure


# --- the records in a document ---


def _find_records(values: list[Any], label: str) -> list[Any]:
    """Return the records at the outermost level that contains any, or ``values`` if no level does."""
    if len(values) == 1:
        _raise_server_error(values[0], label)
    if len(values) == 1 and (rows := _rows_of_columns(values[0])):
        return rows
    level: list[tuple[str, Any]] = [("", values)]
    for _ in range(_MAX_LEVELS + 1):
        groups = [(key, value) for key, value in level if _has_records(value)]
        if groups:
            _refuse_other_damage(values, groups, label)
            return [record for key, value in groups for record in _records(key, value)]
        level = [pair for _, value in level for pair in _members(value)]
    return values


def _rows_of_columns(document: Any) -> list[JsonObject]:
    """Return the records of a table that is stored by column, as pandas does: ``{"title": {"0": …}, …}``."""
    if not isinstance(document, dict) or not all(isinstance(c, dict) for c in document.values()):
        return []
    if not any(isinstance(document.get(name), dict) for name in ("abstract", "summary")):
        return []
    return [
        {name: column.get(key) for name, column in document.items()} for key in document.get("title") or ()
    ]


def _has_records(value: Any) -> bool:
    return any(map(json_format, value)) if isinstance(value, list) else json_format(value) is not None


def _records(key: str, value: Any) -> list[Any]:
    """Return the records of a list, or a single record, which may be stored under its id."""
    if isinstance(value, list):
        return value
    return [value if "id" in value or not _is_id(key) else {"id": key, **value}]


def _is_id(key: str) -> bool:
    return ids.parse_arxiv_id(key) is not None or ids.parse_doi(key) is not None


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    for each in objects(value):
        yield from ((key, inner) for key, inner in each.items() if isinstance(inner, dict | list))


def _refuse_other_damage(values: list[Any], groups: list[tuple[str, Any]], label: str) -> None:
    """Raise FeedError for damage outside of the records, because the intended value is unknown."""
    records = {id(value) for _, value in groups}
    pending: list[Any] = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, Damage):
            raise strict_json.damage_error(label, value)
        if isinstance(value, dict | list) and id(value) not in records:
            pending.extend(value.values() if isinstance(value, dict) else value)


def _raise_server_error(document: Any, label: str) -> None:
    if not isinstance(document, dict) or json_format(document) is not None:
        return
    message = document.get("error") or document.get("message")
    if isinstance(message, str):
        raise FeedError(
            f"{label}: the server said: {visible(clean_text(message), limit=200)}; fetch it again"
        )


# --- signatures ---

_Fits = Callable[[JsonObject, Any], bool]


_OWN_MEMBERS = frozenset(field.name for field in dataclasses.fields(Paper))
_ONLY_OWN_MEMBERS = frozenset("ids listed first_seen withdrawn upvotes flags".split())
"""Members that identify a line without ``paper_id``, perhaps written by hand, as our own format."""


def _is_own_line(record: JsonObject, keys: Any) -> bool:
    """Return whether a record has the form of our export. A ``paper_id`` alone does not show that."""
    if "sources" in keys:
        return "paper_id" in keys
    if keys <= _OWN_MEMBERS and keys & _ONLY_OWN_MEMBERS and {"title", "abstract"} <= keys:
        return True
    authors = record.get("authors") or []
    has_names = isinstance(authors, list) and all(isinstance(name, str) for name in authors)
    return has_names and ids.parse_paper_id(record.get("paper_id")) is not None


def _is_daily_paper(record: JsonObject, keys: Any) -> bool:
    inner = record.get("paper")
    if isinstance(inner, dict):
        keys = inner.keys() | keys
        return bool(keys & {"publishedAt", "submittedOnDailyAt", "upvotes"} or "summary" in inner)
    return "summary" in keys and bool(keys & {"publishedAt", "submittedOnDailyAt"})


def _is_arxiv_snapshot(_record: JsonObject, keys: Any) -> bool:
    return "abstract" in keys and bool(keys & {"versions", "authors_parsed", "update_date", "submitter"})


def _is_arxiv_result(record: JsonObject, keys: Any) -> bool:
    if "summary" not in keys:
        return False
    if keys & {"entry_id", "primary_category", "arxiv_primary_category", "pdf_url", "journal_ref"}:
        return True
    return bool(objects(record.get("authors"))) and ids.parse_arxiv_id(record.get("id")) is not None


def _is_semantic_scholar(_record: JsonObject, keys: Any) -> bool:
    return "title" in keys and bool(keys & {"paperId", "externalIds", "corpusId"})


def _is_openalex(_record: JsonObject, keys: Any) -> bool:
    return bool(keys & {"abstract_inverted_index", "authorships"}) and bool(keys & {"title", "display_name"})


def _is_datacite(record: JsonObject, _keys: Any) -> bool:
    fields = record.get("attributes", record)
    return isinstance(fields, dict) and "titles" in fields and "descriptions" in fields


def _is_inspire(record: JsonObject, _keys: Any) -> bool:
    fields = record.get("metadata", record)
    if not isinstance(fields, dict) or "titles" not in fields:
        return False
    return "abstracts" in fields or "arxiv_eprints" in fields


def _is_zotero(record: JsonObject, keys: Any) -> bool:
    if "itemType" in keys:
        return bool(keys & {"title", "creators"})
    return bool(member(record, "data", "itemType"))


def _is_crossref(record: JsonObject, keys: Any) -> bool:
    if "DOI" not in keys:
        return False
    return isinstance(record.get("title"), list) or bool(keys & {"is-referenced-by-count", "deposited"})


def _is_europe_pmc(_record: JsonObject, keys: Any) -> bool:
    return "title" in keys and bool(keys & {"authorString", "abstractText", "firstPublicationDate"})


def _is_biorxiv(_record: JsonObject, keys: Any) -> bool:
    if keys >= {"preprint_title", "preprint_abstract"}:
        return True
    return keys >= {"doi", "title", "abstract"} and bool(keys & {"server", "jatsxml", "author_corresponding"})


def _is_dblp(record: JsonObject, keys: Any) -> bool:
    info = record.get("info")
    return isinstance(info, dict) and "title" in info and "@id" in keys


def _is_esummary(_record: JsonObject, keys: Any) -> bool:
    return keys >= {"uid", "title"} and bool(keys & {"sortpubdate", "fulljournalname", "pubtype"})


def _is_csl(record: JsonObject, keys: Any) -> bool:
    if "title" not in keys or isinstance(record["title"], list):
        return False
    if any(person.keys() & {"family", "literal"} for person in objects(record.get("author"))):
        return True
    if isinstance(record.get("issued"), dict | list):
        return True
    return record.get("type") in _CSL_TYPES and bool(keys & {"DOI", "URL", "abstract", "container-title"})


def _is_arxiv_listing(record: JsonObject, keys: Any) -> bool:
    if "id" not in keys or not keys & {"title", "abstract", "summary"}:
        return False
    return bool(ids.parse_arxiv_id(record["id"]) or ids.parse_doi(record["id"]))


def _is_generic(record: JsonObject, _keys: Any) -> bool:
    from paperagent.feeds.formats import generic_json

    return generic_json.looks_like(record)


_SIGNATURES: tuple[tuple[str, _Fits], ...] = (
    (PAPERAGENT, _is_own_line),
    (HF_DAILY, _is_daily_paper),
    (ARXIV_SNAPSHOT, _is_arxiv_snapshot),
    (ARXIV_PY, _is_arxiv_result),
    (OPENALEX, _is_openalex),
    (SEMANTIC_SCHOLAR, _is_semantic_scholar),
    (ZOTERO, _is_zotero),
    (DATACITE, _is_datacite),
    (INSPIRE, _is_inspire),
    (CROSSREF, _is_crossref),
    (EUROPE_PMC, _is_europe_pmc),
    (BIORXIV, _is_biorxiv),
    (DBLP, _is_dblp),
    (ESUMMARY, _is_esummary),
    (CSL, _is_csl),
    (ARXIV_JSONL, _is_arxiv_listing),
    (GENERIC_JSON, _is_generic),
)
"""JSON formats and their signatures, in the order in which they are tried."""
