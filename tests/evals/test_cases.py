"""Reading cases: what is accepted, and how each fault of a file is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import EvalError
from paperagent.evals import cases
from paperagent.evals.cases import CASE_TEMPLATE, Case
from paperagent.feeds.reader import sample_path
from paths import SHARED


def read(text: str) -> list[Case]:
    return list(cases.parse(text.split("\n"), "f.jsonl"))


def one(**fields: object) -> Case:
    return read(json.dumps({"id": "a", "question": "Why?", **fields}))[0]


def test_a_case_needs_only_an_id_and_a_question() -> None:
    """The rest has defaults, and comments and blank lines are passed over."""
    found = read('# a comment\n\n{"id": "a", "question": " Why  so? "}\n')
    assert [(c.id, c.question, c.kind, c.answerable, c.group) for c in found] == [
        ("a", "Why so?", "single", True, "a")
    ]


def test_an_unanswerable_kind_is_not_answerable() -> None:
    """Unless the case says otherwise."""
    assert not one(kind="unanswerable").answerable
    assert one(kind="unanswerable", answerable=True).answerable


@pytest.mark.parametrize(
    "history",
    [
        [["Q", "A"]],
        [{"question": "Q", "answer": "A"}],
        [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
    ],
)
def test_history_comes_in_every_shape_that_ask_takes(history: object) -> None:
    """Pairs, mappings and messages are one thing."""
    assert one(history=history).history == (("Q", "A"),)


def test_unknown_fields_are_ignored() -> None:
    """A field that is like none of ours is passed over."""
    assert one(difficulty=3, author="me").id == "a"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: must be a JSON object"),
        ('{"question": "Why?"}', "line 2: id: Field required"),
        ('{"id": "a"}', "line 2: question: Field required"),
        ('{"id": "", "question": "Why?"}', "line 2: id:"),
        ('{"id": "a", "question": "  "}', "line 2: question: is empty"),
        ('{"id": "a", "question": 7}', "line 2: question:"),
        ('{"id": "a", "question": "?!"}', "has no words"),
        ('{"id": "a", "question": "Why?", "must_includes": []}', "did you mean must_include?"),
        ('{"id": "a", "question": "Why?", "gold_title": []}', "did you mean gold_titles?"),
        ('{"id": "a", "question": "Why?", "must_include": ["a|"]}', "must_include: contains an empty text"),
        ('{"id": "a", "question": "Why?", "evidence": "text"}', "line 2: evidence: Input should be a list;"),
        (
            f'{{"id": "a", "question": "Why?", "k": {"9" * 5000}}}',
            "line 2: not JSON (a number is too long)",
        ),
        ('{"id": "a", "question": "Why?", "k": 0}', "line 2: k:"),
        ('{"id": "a", "question": "Why?", "history": "before"}', "history: must be a list"),
        ('{"id": "a", "question": "Why?", "answerable": false, "evidence": ["x"]}', "answerable is false"),
        ('{"id": "a", "question": "Why?", "gold_ids": ["1"], "grades": [1, 2]}', "one for each"),
        ('{"id": "a", "question": "Why?", "gold_ids": ["1"], "grades": [0]}', "above 0"),
        ('{"id": "a", "question": "Why?\\ud800"}', "line 2: question: Input should be a valid string"),
        ("[" * 100_000, "too deep"),
    ],
)
def test_errors_name_line_and_field(line: str, message: str) -> None:
    """One line says file, line, field and reason."""
    with pytest.raises(EvalError) as caught:
        read(f"# first\n{line}")
    assert "f.jsonl line 2: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_ids_are_unique() -> None:
    """The second line with an id names the first."""
    with pytest.raises(EvalError, match="line 2: id a is already used in line 1"):
        read('{"id": "a", "question": "Why?"}\n{"id": "a", "question": "How?"}')


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_file_without_cases_is_an_error(text: str) -> None:
    """An empty file is not taken for a perfect score."""
    with pytest.raises(EvalError, match="contains no case"):
        read(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, not text: each with its reason."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name, message in (("none", "No such file"), ("", "directory"), ("bytes", "UTF-8")):
        with pytest.raises(EvalError, match=message):
            cases.load(tmp_path / name)


def test_a_byte_order_mark_and_line_separators_are_harmless(tmp_path: Path) -> None:
    """A mark before the first line is passed over, U+2028 inside a text is no line end."""
    path = tmp_path / "c.jsonl"
    path.write_text('\ufeff{"id": "a", "question": "Why\u2028so?"}\r\n', "utf-8")
    assert cases.load(path)[0].question == "Why so?"


def test_the_hash_depends_on_content_only() -> None:
    """Order and notes do not count, a changed expectation does."""
    a, b = one(), one(id="b")
    assert cases.cases_hash([a, b]) == cases.cases_hash([b, one(notes="n", answer="x")])
    assert cases.cases_hash([a]) != cases.cases_hash([one(must_include=["x"])])


@given(
    st.builds(
        Case,
        id=st.text("abc-1", min_size=1, max_size=8),
        question=st.just("Why so?"),
        must_include=st.lists(st.text("ab c", min_size=1).filter(str.strip), max_size=3).map(tuple),
        tags=st.lists(st.text("xyz", min_size=1), max_size=2).map(tuple),
        k=st.none() | st.integers(1, 100),
        cluster=st.none() | st.text("kl", min_size=1),
    )
)
def test_a_case_reads_back_as_it_was_written(case: Case) -> None:
    """What `line` writes, `parse` reads."""
    assert read(cases.to_line(case)) == [case]


def test_the_example_asks_the_sample_feed() -> None:
    """What `eval init` writes can be read, and its evidence stands in the feed."""
    found = read(CASE_TEMPLATE)
    feed = sample_path().read_text("utf-8")
    assert {c.kind for c in found} == {"single", "compare", "followup", "unanswerable"}
    assert all(text in feed for c in found for text in (*c.evidence, *c.gold_titles))


def test_the_development_questions_run_as_they_are() -> None:
    """Seventy cases, fifteen of them unanswerable."""
    path = SHARED / "data/questions/dev.jsonl"
    if not path.exists():
        pytest.skip("the shared data is not here")
    found = cases.load(path)
    assert (len(found), sum(not c.answerable for c in found)) == (70, 15)
