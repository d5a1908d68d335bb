"""Cases: questions with the expected properties of their answers, one JSON object per line.

Blank lines and lines that begin with ``#`` are ignored, so that a file can explain itself.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from paperagent.errors import EvalError, InputError, visible
from paperagent.retrieval.conversation import clean_history
from paperagent.retrieval.question import clean_question

MAX_BYTES = 64 * 1024 * 1024
UNANSWERABLE = "unanswerable"
_TOP_GRADE = 1_000
_MISSPELT_SIMILARITY = 0.8
"""Similarity to a field's name above which an unknown field is an error; other unknown fields are ignored."""


class Case(BaseModel):
    """One question with the expected properties of its answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=200)
    question: str
    history: tuple[tuple[str, str] | tuple[str, str, tuple[str, ...]], ...] = ()
    """Earlier turns, oldest first: question, answer and, optionally, the papers cited as [1], [2] …"""
    follows: str | None = None
    """Id of an earlier case. Its conversation, with the agent's own answers, is the history of this case."""
    gold_titles: tuple[str, ...] = ()
    """Titles of the papers that hold the answer; only letters and digits are compared, without case."""
    gold_ids: tuple[str, ...] = ()
    """Ids of the papers that hold the answer; if given, ``gold_titles`` is ignored."""
    not_cited: tuple[str, ...] = ()
    """Ids of papers that the answer must not cite, such as those of the previous topic."""
    grades: tuple[float, ...] = ()
    """Relevance of each of ``gold_ids`` if judgements are graded; otherwise all are 1."""
    evidence: tuple[str, ...] = ()
    """Parts of abstracts, word for word, that an answer should cite."""
    must_include: tuple[str, ...] = ()
    """Texts that the answer must contain; either part of ``a|b`` is enough."""
    must_not: tuple[str, ...] = ()
    """Texts that the answer must not contain; alternatives as in ``must_include``."""
    answerable: bool = True
    """Whether the library holds the answer; otherwise the right answer is an abstention."""
    kind: str = Field(default="single", min_length=1, max_length=60)
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    """Cases of one cluster are not independent (same paper, same conversation); None for a cluster of one."""
    k: int | None = Field(default=None, ge=1, le=100)
    """Number of papers to retrieve for this case, instead of the run's."""
    answer: str = ""
    """A right answer, for human readers; not scored."""
    notes: str = ""
    near_titles: tuple[str, ...] = ()
    """Papers that look right but are not, for human readers; not scored."""

    @model_validator(mode="before")
    @classmethod
    def _check_field_names(cls, fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            raise ValueError("must be a JSON object")  # noqa: TRY004 - pydantic collects ValueErrors
        for name in fields.keys() - cls.model_fields.keys():
            similar = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=_MISSPELT_SIMILARITY)
            if similar:
                raise ValueError(f"unknown field {visible(str(name), limit=40)}; did you mean {similar[0]}?")
        if fields.get("kind") == UNANSWERABLE and "answerable" not in fields:
            return {**fields, "answerable": False}
        return fields

    @field_validator("question")
    @classmethod
    def _clean_question(cls, question: str) -> str:
        return clean_question(question)

    @field_validator("history", mode="before")
    @classmethod
    def _clean_history(cls, history: Any) -> Any:
        return tuple(
            (turn.question, turn.answer, turn.citations) if turn.citations else (turn.question, turn.answer)
            for turn in clean_history(history)[0]
        )

    @field_validator("gold_titles", "gold_ids", "not_cited", "evidence", "must_include", "must_not")
    @classmethod
    def _reject_empty_texts(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(part.strip() for text in texts for part in text.split("|")):
            raise ValueError("contains an empty text")
        return texts

    @model_validator(mode="after")
    def _check_answerable(self) -> Self:
        if not self.answerable and (self.gold_titles or self.gold_ids or self.evidence or self.must_include):
            raise ValueError("answerable is false, but gold papers, evidence or must_include are given")
        return self

    @model_validator(mode="after")
    def _check_history(self) -> Self:
        if self.follows is not None and self.history:
            raise ValueError("follows and history: give only one of them")
        return self

    @model_validator(mode="after")
    def _check_grades(self) -> Self:
        if self.grades and len(self.grades) != len(self.gold_ids):
            raise ValueError("grades: needs one for each of gold_ids")
        if not all(0 < grade <= _TOP_GRADE for grade in self.grades):
            raise ValueError("grades: must be above 0")
        return self

    @property
    def paper_ids(self) -> tuple[str, ...]:
        """The ids of all papers in the case."""
        cited = (paper_id for turn in self.history if len(turn) == 3 for paper_id in turn[2])
        return (*self.gold_ids, *self.not_cited, *cited)

    @property
    def group(self) -> str:
        """The cluster, or the case itself if it has none."""
        return self.cluster or self.id


def load(path: Path) -> list[Case]:
    """Return the cases of a file.

    Raises:
        EvalError: The file cannot be read, has no case, or a line is not a case; names file and line.
    """
    return list(parse(_lines(path), visible(str(path))))


def parse(lines: Iterable[str], name: str) -> Iterator[Case]:
    """Yield the case of each line; ``name`` names the file in errors."""
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name} line {number}"
        case = _case(line, where)
        if case.id in line_of:
            raise EvalError(
                f"{where}: id {visible(case.id)} is already used in line {line_of[case.id]}; "
                "give each case its own id"
            )
        if case.follows is not None and case.follows not in line_of:
            raise EvalError(
                f"{where}: follows {visible(case.follows)}, which is not an earlier case; correct it"
            )
        line_of[case.id] = number
        yield case
    if not line_of:
        raise EvalError(f"{name}: contains no case; `paperagent eval init` writes an example")


def _lines(path: Path) -> list[str]:
    name = visible(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # a device has no size
        if len(content) > MAX_BYTES:
            raise EvalError(f"{name}: too large (over {MAX_BYTES:,} bytes); split it")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise EvalError(f"{name}: cannot be read: {error.strerror}; name a file of cases") from None
    except ValueError:
        raise EvalError(f"{name}: not UTF-8 text; name a file of cases, one JSON object per line") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")  # not splitlines: JSON strings may contain U+2028


def _case(line: str, where: str) -> Case:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        at = f"{error.msg} at column {error.colno}"
        raise EvalError(f"{where}: not JSON ({at}); write one object per line") from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        why = "too deep" if isinstance(error, RecursionError) else "a number is too long"
        raise EvalError(f"{where}: not JSON ({why}); write one object per line") from None
    return case_from_fields(fields, where)


def case_from_fields(fields: Any, where: str) -> Case:
    """Validate the fields of a case.

    Raises:
        EvalError: They are not a case; the message begins with ``where``.
    """
    try:
        return Case.model_validate(fields)
    except InputError as error:  # from `clean_question` and `clean_history`
        raise EvalError(f"{where}: {error}") from None
    except ValidationError as error:
        raise EvalError(f"{where}: {_reason(error)}") from None


def _reason(error: ValidationError) -> str:
    """Return the first error, preceded by the field's name."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    message = visible(first["msg"].removeprefix("Value error, "), limit=200).replace("valid tuple", "list")
    prefix = f"{field}: " if field and not message.startswith(field) else ""
    return f"{prefix}{message}; correct the line"


def cases_hash(cases: Iterable[Case]) -> str:
    """Return a hash of the cases, independent of their order and spelling in the file."""
    texts = sorted(case.model_dump_json(exclude={*_NOT_SCORED, *_unset(case)}) for case in cases)
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


_NOT_SCORED = ("answer", "notes", "near_titles")


def _unset(case: Case) -> list[str]:
    """Return the newer fields that are not set. Without them, hashes of earlier versions stay valid."""
    return [name for name in ("follows", "not_cited") if not getattr(case, name)]


def to_line(case: Case) -> str:
    """Return a case as one line of a file, without fields at their default."""
    return json.dumps(case.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)


CASE_TEMPLATE = """\
# Cases for `paperagent eval run`: one JSON object per line; lines like this one are ignored.
# These cases ask the sample feed (`paperagent eval run THIS_FILE --feed sample`). Replace them with your own.
#
# id            required; unique in the file
# question      required
# gold_titles   titles of the papers that hold the answer (or gold_ids: their ids)
# evidence      parts of abstracts, word for word, that an answer should cite
# must_include  texts that the answer must contain; "a|b": either is enough
# must_not      texts that the answer must not contain
# answerable    false: the library does not hold the answer, and the right answer is to say so
# history       for follow-ups: the earlier turns, [["question", "answer"], …]
# follows       instead of history: the id of an earlier case, which this one continues
# not_cited     ids of papers that the answer must not cite
# kind          groups the report (single, compare, list, followup, … as you like); default single
# tags          more labels; cluster: cases that belong together, such as those on one paper
# k             number of papers to retrieve, instead of the run's
# answer, notes for human readers; not scored
#
# A fact from one abstract:
{"id": "tokens-removed", "question": "How much of the prompt does Tindersift remove?", "gold_titles": \
["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], "evidence": ["Tindersift removes \
61% of the tokens in the prompt"], "must_include": ["61"], "must_not": ["16%"]}
# A comparison of two papers:
{"id": "two-languages", "question": "How much do Ferrowin and Cobaltine gain for low-resource languages?", \
"kind": "compare", "gold_titles": ["Ferrowin: Translating Low-Resource Languages with a Dictionary in the \
Prompt", "Cobaltine: A Vocabulary That Charges Every Language the Same"], "evidence": ["improves by 8.7 chrF \
points", "3.4 points better on average"], "must_include": ["8.7", "3.4"]}
# A follow-up, which refers to an earlier turn:
{"id": "its-price", "question": "And what does it cost in accuracy?", "kind": "followup", \
"history": [["How much of the prompt does Tindersift remove?", "Tindersift removes 61% of the tokens."]], \
"gold_titles": ["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], \
"must_include": ["0.4"]}
# A question that the library cannot answer:
{"id": "not-there", "question": "Who won the football world cup of 1998?", "kind": "unanswerable", \
"answerable": false}
"""
"""The file that ``paperagent eval init`` writes: every field of a case, explained."""
