"""Retrieval sets: BEIR's layout, its relatives, and what is wrong with a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from paperagent.errors import EvalError
from paperagent.evals import beir

CORPUS = [
    {"_id": "d1", "title": "Lanterns", "text": "Sparse lanterns find papers."},
    {"_id": "d2", "title": "", "text": "Dense nets catch fish."},
]
QUERIES = [{"_id": "q1", "text": "lanterns?"}, {"_id": "q2", "text": "fish?"}, {"_id": "q3", "text": "none?"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td2\t1\nq3\td1\t0\n"


def jsonl(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(r) + "\n" for r in records)


def folder(place: Path, **files: str) -> Path:
    """Write a set in BEIR's layout, with other files instead or beside."""
    (place / "qrels").mkdir()
    given = {"corpus.jsonl": jsonl(CORPUS), "queries.jsonl": jsonl(QUERIES), "qrels/test.tsv": QRELS, **files}
    for name, text in given.items():
        (place / name).write_text(text, "utf-8")
    return place


def test_a_set_becomes_cases_with_graded_gold(tmp_path: Path) -> None:
    """Queries without a relevant paper are left out, as BEIR does; grades are kept."""
    judged = beir.read(folder(tmp_path))
    assert [(c.id, c.gold_ids, c.grades, c.kind) for c in judged.cases] == [
        ("q1", ("d1", "d2"), (2.0, 1.0), "retrieval"),
        ("q2", ("d2",), (1.0,), "retrieval"),
    ]
    assert judged.corpus is not None
    papers = list(beir.papers(judged.corpus))
    assert [(p.paper_id, p.title) for p in papers] == [("d1", "Lanterns"), ("d2", "-")]


def test_variants_of_the_layout_are_read(tmp_path: Path) -> None:
    """The split in the file's name, no heading, four columns, other field names, gzip."""
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(jsonl([{"id": "d1", "title": "T", "abstract": "A."}]))
    (tmp_path / "queries_train.jsonl").write_text(jsonl([{"id": "q1", "text": "why?"}]), "utf-8")
    (tmp_path / "qrels_train.tsv").write_text("q1 0 d1 1\n", "utf-8")
    judged = beir.read(tmp_path)
    assert [c.gold_ids for c in judged.cases] == [("d1",)]
    assert judged.corpus is not None
    assert next(beir.papers(judged.corpus)).abstract == "A."


def test_the_split_has_a_default_or_must_be_chosen(tmp_path: Path) -> None:
    """`test` is preferred; without it, several splits need a choice."""
    place = folder(tmp_path, **{"qrels/dev.tsv": "q2\td2\t1\n"})
    assert len(beir.read(place).cases) == 2
    assert [c.id for c in beir.read(place, "dev").cases] == ["q2"]
    (place / "qrels/test.tsv").rename(place / "qrels/train.tsv")
    with pytest.raises(EvalError, match=r"splits dev, train; choose one with --split"):
        beir.read(place)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("qrels/test.tsv", "q1\td1\n", "line 1: expected query, paper and grade"),
        ("qrels/test.tsv", "q1\td1\tgood\n", "line 1: expected query, paper and grade"),
        ("qrels/test.tsv", "other\td1\t1\n", "no query has a relevant paper"),
        ("queries.jsonl", "{\n", "queries.jsonl line 1: not JSON"),
        ("queries.jsonl", "[1]\n", "queries.jsonl line 1: not a JSON object"),
        ("queries.jsonl", '{"_id": "q1"}\n', "queries.jsonl line 1: question: is empty"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    """File, line and reason, on one line."""
    with pytest.raises(EvalError, match=message):
        beir.read(folder(tmp_path, **{name: text}))


def test_missing_files_are_errors(tmp_path: Path) -> None:
    """A folder of something else, and one without queries."""
    with pytest.raises(EvalError, match="has no qrels"):
        beir.read(tmp_path)
    place = folder(tmp_path)
    (place / "queries.jsonl").unlink()
    with pytest.raises(EvalError, match="has no queries"):
        beir.read(place)
    (place / "corpus.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(EvalError, match="UTF-8"):
        list(beir.papers(place / "corpus.jsonl"))
