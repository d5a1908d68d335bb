"""Retrieval sets: BEIR's folders, and pairs of queries and judgements; read for the search alone.

A folder holds ``corpus.jsonl`` (``_id, title, text``), ``queries.jsonl`` (``_id, text``) and
``qrels/SPLIT.tsv`` (query, paper, grade; Thakur et al. 2021). Accepted too: names without the
underscore, ``abstract`` for ``text``, a file name with the split in it (``queries_train.jsonl``,
``qrels_train.tsv``), files packed with gzip, judgements without a heading or in TREC's four columns.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paperagent.errors import EvalError, visible
from paperagent.evals.cases import Case, case_from_fields
from paperagent.types import Paper

KIND = "retrieval"
PREFERRED = "test"
_SPLIT = re.compile(r"qrels[_.-]?([\w.-]*?)\.tsv(?:\.gz)?")


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Queries with their judgements, and the papers they were judged on where the folder has them."""

    name: str
    cases: tuple[Case, ...]
    corpus: Path | None


def is_set(path: Path) -> bool:
    """Tell whether a folder has the layout."""
    return path.is_dir() and bool(_qrels(path))


def read(folder: Path, split: str | None = None) -> RetrievalSet:
    """Return the set of a folder: its split ``test`` where it has one, else its only one.

    Raises:
        EvalError: a file is missing or a line is not what it should be.
    """
    found = _qrels(folder)
    shown = visible(str(folder))
    if not found:
        raise EvalError(f"{shown}: is no retrieval set: it has no qrels; see docs/evaluation.md")
    chosen = split or (PREFERRED if PREFERRED in found else next(iter(found)) if len(found) == 1 else None)
    if chosen not in found:
        raise EvalError(f"{shown}: has the splits {', '.join(found)}; choose one with --split")
    queries = _first(folder, f"queries[_.-]{chosen}.jsonl*", "queries.jsonl*")
    if queries is None:
        raise EvalError(f"{shown}: has no queries.jsonl; see docs/evaluation.md")
    return RetrievalSet(folder.name, read_queries(queries, found[chosen]), _first(folder, "corpus.jsonl*"))


def read_queries(queries: Path, qrels: Path) -> tuple[Case, ...]:
    """Return a case for each query that has a relevant paper, in the order of the queries.

    Raises:
        EvalError: as `read`.
    """
    relevant = _judgements(qrels)
    cases = []
    for number, record in _records(queries):
        query_id = _text(record, "_id", "id")
        if query_id not in relevant:
            continue
        graded = relevant[query_id]
        fields = {
            "id": query_id,
            "question": _text(record, "text"),
            "gold_ids": list(graded),
            "grades": list(graded.values()),
            "kind": KIND,
        }
        cases.append(case_from_fields(fields, _at(queries, number)))
    if not cases:
        raise EvalError(f"{visible(str(queries))}: no query of it has a relevant paper in {qrels.name}")
    return tuple(cases)


def papers(corpus: Path) -> Iterator[Paper]:
    """Yield the papers of a corpus; one without a title has a dash, since a paper needs a title."""
    for _, record in _records(corpus):
        abstract = _text(record, "text", "abstract")
        yield Paper(_text(record, "_id", "id"), _text(record, "title").strip() or "-", abstract)


def _qrels(folder: Path) -> dict[str, Path]:
    """Return the files of judgements by split."""
    inside = sorted((folder / "qrels").glob("*.tsv*")) if (folder / "qrels").is_dir() else []
    found = {path.name.split(".")[0]: path for path in inside}
    for path in sorted(folder.glob("qrels*.tsv*")):
        match = _SPLIT.fullmatch(path.name)
        if match:
            found.setdefault(match[1] or "all", path)
    return found


def _first(folder: Path, *patterns: str) -> Path | None:
    return next((path for p in patterns for path in sorted(folder.glob(p))), None)


def _judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return query → paper → grade, of the pairs whose grade is above 0."""
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(_lines(path), start=1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not columns or (number == 1 and columns[-1].strip().lower() in ("score", "relevance", "grade")):
            continue
        try:
            query, paper, grade = columns[0], columns[-2], float(columns[-1])
        except (IndexError, ValueError):
            raise EvalError(f"{_at(path, number)}: is not query, paper, grade; correct the line") from None
        if grade > 0:
            found.setdefault(query, {})[paper] = grade
    return found


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise EvalError(f"{_at(path, number)}: is not JSON; write one object a line") from None
        if not isinstance(record, dict):
            raise EvalError(f"{_at(path, number)}: is no JSON object; write one a line")
        yield number, record


def _text(record: dict[str, Any], *names: str) -> str:
    return next((str(record[name]) for name in names if record.get(name) is not None), "")


def _lines(path: Path) -> Iterator[str]:
    shown = visible(str(path))
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as file
        ):
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise EvalError(f"{shown}: is not UTF-8 text; convert it") from None
    except (OSError, EOFError) as error:
        raise EvalError(
            f"{shown}: cannot be read: {getattr(error, 'strerror', None) or error}; name a readable file"
        ) from None


def _at(path: Path, number: int) -> str:
    return f"{visible(str(path))} line {number}"
