"""Read retrieval sets: folders in BEIR's layout, or a file of queries with a file of judgements.

A BEIR folder (Thakur et al. 2021) contains ``corpus.jsonl`` (``_id, title, text``), ``queries.jsonl``
(``_id, text``) and ``qrels/SPLIT.tsv`` (query, paper, grade). Also accepted: names without the underscore,
``abstract`` for ``text``, the split in the file name (``queries_train.jsonl``, ``qrels_train.tsv``), gzip,
and judgements without a header or in TREC's four columns.
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
DEFAULT_SPLIT = "test"
_SPLIT = re.compile(r"qrels[_.-]?([\w.-]*?)\.tsv(?:\.gz)?")


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Queries with their judgements and, if the folder has one, the corpus of papers."""

    name: str
    cases: tuple[Case, ...]
    corpus: Path | None


def is_set(path: Path) -> bool:
    """Return whether a folder has BEIR's layout."""
    return path.is_dir() and bool(_qrels(path))


def read(folder: Path, split: str | None = None) -> RetrievalSet:
    """Read the retrieval set of a folder.

    Args:
        folder: A folder in BEIR's layout.
        split: Which judgements to use; by default ``test`` if there is one, else the only split.

    Raises:
        EvalError: A file is missing, a line is invalid, or the split must be chosen.
    """
    qrels = _qrels(folder)
    name = visible(str(folder))
    if not qrels:
        raise EvalError(f"{name}: not a retrieval set: it has no qrels; see docs/evaluation.md")
    default = DEFAULT_SPLIT if DEFAULT_SPLIT in qrels else next(iter(qrels)) if len(qrels) == 1 else None
    chosen = split or default
    if chosen not in qrels:
        raise EvalError(f"{name}: has the splits {', '.join(qrels)}; choose one with --split")
    queries = _first_file(folder, f"queries[_.-]{chosen}.jsonl*", "queries.jsonl*")
    if queries is None:
        raise EvalError(f"{name}: has no queries.jsonl; see docs/evaluation.md")
    corpus = _first_file(folder, "corpus.jsonl*")
    return RetrievalSet(folder.name, read_queries(queries, qrels[chosen]), corpus)


def read_queries(queries: Path, qrels: Path) -> tuple[Case, ...]:
    """Return a case for each query with a relevant paper, in the order of the queries.

    Raises:
        EvalError: A line is invalid, or no query has a relevant paper.
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
        raise EvalError(
            f"{visible(str(queries))}: no query has a relevant paper in {qrels.name}; check the file names"
        )
    return tuple(cases)


def papers(corpus: Path) -> Iterator[Paper]:
    """Yield the papers of a corpus; a missing title becomes a dash, because a paper needs a title."""
    for _, record in _records(corpus):
        abstract = _text(record, "text", "abstract")
        yield Paper(_text(record, "_id", "id"), _text(record, "title").strip() or "-", abstract)


def _qrels(folder: Path) -> dict[str, Path]:
    """Return the files of judgements, by split."""
    subfolder = folder / "qrels"
    files = sorted(subfolder.glob("*.tsv*")) if subfolder.is_dir() else []
    by_split = {path.name.split(".")[0]: path for path in files}
    for path in sorted(folder.glob("qrels*.tsv*")):
        match = _SPLIT.fullmatch(path.name)
        if match:
            by_split.setdefault(match[1] or "all", path)
    return by_split


def _first_file(folder: Path, *patterns: str) -> Path | None:
    return next((path for p in patterns for path in sorted(folder.glob(p))), None)


def _judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return grades above 0 by query and paper."""
    grades: dict[str, dict[str, float]] = {}
    for number, line in enumerate(_lines(path), start=1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not columns or (number == 1 and columns[-1].strip().lower() in ("score", "relevance", "grade")):
            continue
        try:
            query, paper, grade = columns[0], columns[-2], float(columns[-1])
        except (IndexError, ValueError):
            raise EvalError(
                f"{_at(path, number)}: expected query, paper and grade; correct the line"
            ) from None
        if grade > 0:
            grades.setdefault(query, {})[paper] = grade
    return grades


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise EvalError(f"{_at(path, number)}: not JSON; write one object per line") from None
        if not isinstance(record, dict):
            raise EvalError(f"{_at(path, number)}: not a JSON object; write one per line")
        yield number, record


def _text(record: dict[str, Any], *names: str) -> str:
    return next((str(record[name]) for name in names if record.get(name) is not None), "")


def _lines(path: Path) -> Iterator[str]:
    name = visible(str(path))
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as file
        ):
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise EvalError(f"{name}: not UTF-8 text; convert it") from None
    except (OSError, EOFError) as error:
        raise EvalError(
            f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}; name a readable file"
        ) from None


def _at(path: Path, number: int) -> str:
    return f"{visible(str(path))} line {number}"
