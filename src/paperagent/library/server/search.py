"""Retrieve the candidates for a question from a server; exact scores rank them afterwards.

A server with the Search API gets one request for both lists, by vector and by words, fused by rank. Other
servers get two requests, for the nearest vectors and for papers that contain the question's rarest words;
otherwise, a name that the embedding does not know would find nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from paperagent.library.identity import day_number
from paperagent.library.protocol import Candidate
from paperagent.library.server.client import PLACEHOLDER_DIM, Collection, Record
from paperagent.library.server.papers import SPARSE, ServerCollections
from paperagent.library.server.records import MANY_AUTHORS, paper_from_record
from paperagent.text import bm25
from paperagent.text.author_names import name_words
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Filters, Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

Where = dict[str, Any]
RARE = 100
"""A stem in at most this many papers is searched for in their texts; more frequent stems say little."""
_MAX_PREDICATES, _MAX_PATTERN_LENGTH = 8, 250
_TYPICAL_LENGTH = 150
"""Assumed mean length of papers in sparse vectors, which are stored and only select candidates."""
_PERIODS = (7, 30, 120, 365, 1_500)
"""Lengths in days of the periods that are read until there are enough of the newest papers."""
_RRF_K = 60
_MISSING_RANK = 1_000.0
"""Default rank of a paper that is missing from one of the two lists; otherwise the server would drop the
paper.
"""


def retrieve_candidates(
    collections: ServerCollections,
    *,
    stems: Sequence[str],
    vector: Vector | None,
    limit: int,
    filters: Filters,
) -> list[Candidate]:
    """Return at most ``limit`` papers by vector and ``limit`` by words, in no particular order."""
    records: dict[str, Record] = {}
    where, embedded = where_of(filters), collections.embedded()
    are_few = bool(filters.author or filters.ids)  # so all of them are ranked
    if are_few:
        few = islice(admitted_records(collections, filters), collections.quotas.results)
        records.update((r.id, r) for r in few if vector is not None or set(stems) & set(_stems(r)))
    elif embedded is not None and embedded.metadata.get("hybrid"):
        for plan in _hybrid_plans(stems, vector, collections, limit=limit, where=where):
            records.update((r.id, r) for r in embedded.search(plan))
    elif embedded is not None:
        if vector is not None:
            records.update((r.id, r) for r in _nearest(embedded, vector, limit, filters))
        rare_only = vector is not None
        for record in _by_words(embedded, stems, collections, limit=limit, where=where, rare_only=rare_only):
            records.setdefault(record.id, record)
    if not are_few and collections.pending.count():  # a pending text replaces the one that has a vector
        pending = collections.pending.get(records)
        records.update(pending)
        if vector is None:  # the former text contained a word that the present one may not contain
            outdated = {i for i, r in pending.items() if not set(stems) & set(_stems(r))}
            records = {i: r for i, r in records.items() if i not in outdated}
        by_words = _by_words(
            collections.pending, stems, collections, limit=limit, where=where, rare_only=False
        )
        records.update((r.id, r) for r in by_words)
    admitted = [r for r in records.values() if not filters or filters.admits(paper_from_record(r))]
    if vector is None:
        return [_candidate(r) for r in admitted]
    return [_candidate(r, with_vector=True) for r in _with_vectors(embedded, admitted)]


def papers_with_all(
    collections: ServerCollections, *, words: Sequence[Sequence[str]], filters: Filters
) -> Iterator[Paper]:
    """Yield the papers that contain every word and match ``filters``.

    A word is a list of alternative stems.
    """
    where = where_of(filters, by_author=collections.has_author_tags)
    used = len(where.get("$and", [where])) if where else 0
    longest_first = sorted(words, key=lambda stems: -min(map(len, stems)))[: max(1, _MAX_PREDICATES - used)]
    patterns = [{"$regex": "|".join(map(_pattern, stems))[:_MAX_PATTERN_LENGTH]} for stems in longest_first]
    text: Where | None = {"$and": patterns} if len(patterns) > 1 else patterns[0] if patterns else None
    pending = {r.id: r for r in collections.pending.matching(where=where, text=text)}
    embedded = collections.embedded()
    others = {r.id: r for r in embedded.matching(where=where, text=text)} if embedded else {}
    replaced = collections.pending.existing(others.keys() - pending.keys()) if others else set()
    present = [*pending.values(), *(r for i, r in others.items() if i not in pending and i not in replaced)]
    for record in present:
        stems, paper = set(_stems(record)), paper_from_record(record)
        if all(not stems.isdisjoint(word) for word in words) and (not filters or filters.admits(paper)):
            yield paper


def admitted_records(collections: ServerCollections, filters: Filters) -> Iterator[Record]:
    """Yield the present records of the papers that ``filters`` admit."""
    where = where_of(filters, by_author=collections.has_author_tags)
    by_id = collections.records(filters.ids).values() if filters.ids else None
    records = collections.matching_records(where) if by_id is None else by_id
    return (r for r in records if not filters or filters.admits(paper_from_record(r)))


def newest_records(collections: ServerCollections, filters: Filters, limit: int) -> list[Record]:
    """Return at least ``limit`` admitted records, the latest ones, unless there are fewer.

    A server cannot sort, so increasingly long periods are read.
    """
    last = filters.until or dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    for days in _PERIODS:
        first = last - dt.timedelta(days=days)
        if filters.since and first <= filters.since:
            break
        records = list(admitted_records(collections, replace(filters, since=first)))
        if len(records) >= limit:
            return records
    return list(admitted_records(collections, filters))


def appeared_records(
    collections: ServerCollections, filters: Filters, *, limit: int | None = None
) -> list[Record]:
    """Return the admitted records, whose days of appearance are limited instead of `Paper.day`.

    With a limit at least so many, those that appeared last, unless there are fewer.
    """
    others = replace(filters, since=None, until=None)
    where = where_of(others, by_author=collections.has_author_tags)
    last = filters.until or dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    starts = [last - dt.timedelta(days=days) for days in _PERIODS] if limit is not None else []
    records: list[Record] = []
    for first in [start for start in starts if not filters.since or start > filters.since] + [filters.since]:
        came = [{"came": {"$gte": day_number(first)}}] if first else []
        came += [{"came": {"$lte": day_number(filters.until)}}] if filters.until else []
        conditions = [*came, *(where.get("$and", [where]) if where else [])]
        both = {"$and": conditions} if len(conditions) > 1 else conditions[0] if conditions else None
        matching = collections.matching_records(both)
        records = [r for r in matching if not others or others.admits(paper_from_record(r))]
        if limit is not None and len(records) >= limit:
            break
    return records


def count_by_day(collections: ServerCollections, filters: Filters) -> dict[dt.date, int]:
    """Return the number of admitted papers by the day on which they appeared, latest day first."""
    counts = Counter(int(record.metadata["came"]) for record in appeared_records(collections, filters))
    days = sorted((number for number in counts if number), reverse=True)
    return {dt.date(n // 10_000, n // 100 % 100, n % 100): counts[n] for n in days}


def where_of(filters: Filters, *, by_author: bool = False) -> Where | None:
    """Return ``filters`` as a Chroma filter. It may admit further papers, so check `Filters.admits`, too.

    Args:
        filters: The filters.
        by_author: Whether the tags have the words of authors' names.
    """
    tests: list[Where] = []
    if filters.since or filters.until:
        tests.append({"day": {"$gte": day_number(filters.since) or 1}})
    if filters.until:
        tests.append({"day": {"$lte": day_number(filters.until)}})
    if filters.category:
        tests.append({"tags": {"$contains": f"c:{filters.category.lower()}"}})
    if filters.source:
        tests.append({"tags": {"$contains": f"s:{filters.source}"}})
    if filters.author and by_author:
        names = [w for word in name_words(filters.author) for w in dict.fromkeys((word, word[0]))]
        tags = [MANY_AUTHORS, *(f"a:{name}" for name in names)]
        tests.append({"$or": [{"tags": {"$contains": tag}} for tag in tags[:_MAX_PREDICATES]]})
    return tests[0] if len(tests) == 1 else {"$and": tests} if tests else None


def _nearest(
    collection: Collection, vector: NDArray[np.float32], limit: int, filters: Filters
) -> list[Record]:
    """Return the nearest papers that match ``filters``.

    At 100,000 papers a single server takes 700 ms with a ``where``, and 4 ms for three times as many results.
    """
    if not filters:
        return collection.nearest(vector, limit)
    records = collection.nearest(vector, collection.client.address.quotas.results)
    inside = [r for r in records if filters.admits(paper_from_record(r))]
    return (
        inside[:limit]
        if len(inside) >= limit
        else collection.nearest(
            vector,
            collection.client.address.quotas.results if filters.exclude else limit,
            where=where_of(filters),
        )
    )


def _by_words(
    collection: Collection,
    stems: Sequence[str],
    collections: ServerCollections,
    *,
    limit: int,
    where: Where | None,
    rare_only: bool,
) -> Iterator[Record]:
    """Yield papers that contain any of ``stems``, or any rare one of them."""
    counts = collections.term_counts.paper_counts(stems)
    rarest_first = sorted((s for s in stems if counts[s]), key=lambda s: (counts[s], s))
    if rare_only:
        queries = list(_alternatives([s for s in rarest_first if counts[s] <= RARE]))
    else:
        patterns = [{"$regex": _pattern(s)} for s in rarest_first]
        free_predicates = _MAX_PREDICATES - (len(where.get("$and", [where])) if where else 0)
        several = [{"$and": patterns[:free_predicates]}] if len(patterns) > 1 else []
        queries = [*several, *patterns]
    seen = set[str]()
    query_stems = set(stems)
    for text in queries:
        for record in collection.matching(where=where, text=text, limit=limit):
            if record.id not in seen and query_stems & set(_stems(record)):
                seen.add(record.id)
                yield record
        if len(seen) >= limit:
            return


def _alternatives(stems: Sequence[str]) -> Iterator[Where]:
    """Yield regular expressions that match any of ``stems``, each shorter than the quota."""
    patterns = list[str]()
    for stem in stems:
        if patterns and len("|".join([*patterns, _pattern(stem)])) > _MAX_PATTERN_LENGTH:
            yield {"$regex": "|".join(patterns)}
            patterns = []
        patterns.append(_pattern(stem))
    if patterns:
        yield {"$regex": "|".join(patterns)}


def _pattern(stem: str) -> str:
    """Return a regular expression that matches the words of a stem, and few others.

    Stemming turns y into i and adds e: "studi" is in "study", "hope" in "hoping".
    """
    root = stem[:-1] if len(stem) > 3 and stem[-1] in "ie" else stem
    boundary = r"\b" if root.isascii() else ""  # scripts without spaces have no word boundaries
    return f"(?i){boundary}{re.escape(root)}"


def _with_vectors(embedded: Collection | None, records: Sequence[Record]) -> list[Record]:
    """Return the records with the vectors of exactly their texts, if there are any."""
    ids = [r.id for r in records if r.vector is None]
    others = embedded.get(ids, vectors=True) if embedded is not None and ids else {}
    return [
        others[r.id] if r.id in others and others[r.id].metadata.get("text") == r.metadata.get("text") else r
        for r in records
    ]


def _candidate(record: Record, *, with_vector: bool = False) -> Candidate:
    import numpy as np

    is_embedding = record.vector is not None and len(record.vector) > PLACEHOLDER_DIM
    vector = np.array(record.vector, np.float32) if is_embedding and with_vector else None
    day = int(record.metadata["day"]) or None
    return Candidate(paper_from_record(record).paper_id, term_ids(_stems(record)), vector, day)


def _stems(record: Record) -> tuple[str, ...]:
    return _document_stems(record.document, int(record.metadata["size"]))


@lru_cache(maxsize=4_096)
def _document_stems(document: str, title_size: int) -> tuple[str, ...]:
    title = index_terms(document[:title_size])
    return (*title, *title, *index_terms(document[title_size + 1 :]))


# --- servers with the Search API ---


def sparse_vector(stems: Sequence[str]) -> Where:
    """Return a paper's words as a sparse vector: BM25's weight of each without the idf."""
    counts = Counter(term_ids(stems).tolist())
    damping = bm25.damping(len(stems), _TYPICAL_LENGTH)
    weights = {term: n * (bm25.K1 + 1) / (n + damping) for term, n in sorted(counts.items())}
    return _sparse(weights)


def _sparse(weights: Mapping[int, float]) -> Where:
    return {"#type": "sparse_vector", "indices": list(weights), "values": list(weights.values())}


def _hybrid_plans(
    stems: Sequence[str],
    vector: Vector | None,
    collections: ServerCollections,
    *,
    limit: int,
    where: Where | None,
) -> Iterator[Where]:
    """Yield the query to send, if there is anything to search by: its lists, fused by reciprocal rank."""
    lists: list[Where] = []
    if vector is not None:
        lists.append(_list(vector.tolist(), "#embedding", limit))
    papers, _ = collections.term_counts.totals()
    counts = collections.term_counts.paper_counts(stems)
    weights = {
        int(term): bm25.idf(papers, counts[s])
        for s, term in zip(stems, term_ids(stems), strict=True)
        if 0 < counts[s] <= papers
    }
    if weights:
        lists.append(_list(_sparse(dict(sorted(weights.items()))), SPARSE, limit))
    if lists:
        yield {
            "filter": where,
            "rank": _fused(lists) if len(lists) > 1 else _single(lists[0]),
            "group_by": {},
            "limit": {"offset": 0, "limit": min(len(lists) * limit, collections.quotas.results)},
            "select": {"keys": ["#id", "#document", "#metadata", "#embedding", "#score"]},
        }


def _list(query: Any, key: str, limit: int) -> Where:
    return {"query": query, "key": key, "limit": limit, "default": _MISSING_RANK, "return_rank": True}


def _single(only: Where) -> Where:
    """Return one list by itself, without papers that it does not contain."""
    return {"$knn": {key: only[key] for key in ("query", "key", "limit")}}


def _fused(lists: Sequence[Where]) -> Where:
    """Return reciprocal rank fusion, negated, because the server sorts in ascending order."""
    shares = [
        {"$div": {"left": {"$val": 1.0}, "right": {"$sum": [{"$val": _RRF_K}, {"$knn": each}]}}}
        for each in lists
    ]
    return {"$mul": [{"$val": -1}, {"$sum": shares}]}
