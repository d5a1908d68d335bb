"""Cases: questions with what is known of their answers, one JSON object a line.

Blank lines and lines that begin with ``#`` are passed over, so that a file can explain itself.

The file that ``paperagent eval init`` writes: every field of a case, explained.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from paperagent.answering.conversation import clean_history, clean_question
from paperagent.errors import EvalError, InputError, visible

MAX_BYTES = 64 * 1024 * 1024
UNANSWERABLE = "unanswerable"
_TOP_GRADE = 1_000
_CLOSE = 0.8
"""Likeness from which an unknown field is taken for a misspelt one; others are a file's own business."""


class Case(BaseModel):
    """One question and what is known of its answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=200)
    question: str
    history: tuple[tuple[str, str], ...] = ()
    """Earlier turns, as pairs of question and answer, oldest first."""
    gold_titles: tuple[str, ...] = ()
    """Titles of the papers that hold the answer; letters and digits count, case does not."""
    gold_ids: tuple[str, ...] = ()
    """Their ids instead; where both are given, the ids count."""
    grades: tuple[float, ...] = ()
    """How relevant each of ``gold_ids`` is, where the judgements are graded; else all are 1."""
    evidence: tuple[str, ...] = ()
    """Parts of abstracts, word for word, that an answer should cite."""
    must_include: tuple[str, ...] = ()
    """Texts that the answer must hold; ``a|b`` is satisfied by either."""
    must_not: tuple[str, ...] = ()
    """Texts that it must not hold, likewise."""
    answerable: bool = True
    """Whether the library holds the answer; else the right answer is an abstention."""
    kind: str = Field(default="single", min_length=1, max_length=60)
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    """Cases of one cluster are not independent (one paper, one conversation); None: alone."""
    k: int | None = Field(default=None, ge=1, le=100)
    """Papers to retrieve for this case, instead of the run's number."""
    answer: str = ""
    """What a right answer says: for people, not scored."""
    notes: str = ""
    near_titles: tuple[str, ...] = ()
    """Papers that look right and are not: for people, not scored."""

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError("must be a JSON object")  # noqa: TRY004 - pydantic collects ValueErrors
        for name in given.keys() - cls.model_fields.keys():
            meant = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=_CLOSE)
            if meant:
                raise ValueError(f"unknown field {visible(str(name), limit=40)}; did you mean {meant[0]}?")
        if given.get("kind") == UNANSWERABLE and "answerable" not in given:
            return {**given, "answerable": False}
        return given

    @field_validator("question")
    @classmethod
    def _askable(cls, question: str) -> str:
        return clean_question(question)

    @field_validator("history", mode="before")
    @classmethod
    def _turns(cls, history: Any) -> Any:
        return clean_history(history)[0]

    @field_validator("gold_titles", "gold_ids", "evidence", "must_include", "must_not")
    @classmethod
    def _not_empty(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(part.strip() for text in texts for part in text.split("|")):
            raise ValueError("holds an empty text")
        return texts

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.answerable and (self.gold_titles or self.gold_ids or self.evidence or self.must_include):
            raise ValueError("answerable is false, but it names gold papers, evidence or must_include")
        return self

    @model_validator(mode="after")
    def _graded(self) -> Self:
        if self.grades and len(self.grades) != len(self.gold_ids):
            raise ValueError("grades: needs one for each of gold_ids")
        if not all(0 < grade <= _TOP_GRADE for grade in self.grades):
            raise ValueError("grades: must be above 0")
        return self

    @property
    def group(self) -> str:
        """The cluster, or the case itself where it has none."""
        return self.cluster or self.id


def load(path: Path) -> list[Case]:
    """Return the cases of a file.

    Raises:
        EvalError: the file cannot be read, has no case, or a line is not one; names file and line.
    """
    return list(parse(_lines(path), visible(str(path))))


def parse(lines: Iterable[str], name: str) -> Iterator[Case]:
    """Yield the case of each line; ``name`` stands for the file in errors."""
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name} line {number}"
        case = _case(line, where)
        if case.id in seen:
            raise EvalError(
                f"{where}: the id {visible(case.id)} stands in line {seen[case.id]} too; "
                "give each case its own"
            )
        seen[case.id] = number
        yield case
    if not seen:
        raise EvalError(f"{name}: holds no case; `paperagent eval init` writes an example")


def _lines(path: Path) -> list[str]:
    shown = visible(str(path))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EvalError(f"{shown}: over {MAX_BYTES:,} bytes is no file of cases; split it")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise EvalError(f"{shown}: cannot be read: {error.strerror}; name a file of cases") from None
    except ValueError:
        raise EvalError(f"{shown}: is not UTF-8 text; name a file of cases, one JSON object a line") from None
    return text.split("\n")  # not splitlines: U+2028 may stand inside a JSON text


def _case(line: str, where: str) -> Case:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        at = f"{error.msg} at column {error.colno}"
        raise EvalError(f"{where}: is not JSON ({at}); write one object a line") from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        why = "too deep" if isinstance(error, RecursionError) else "a number is too long"
        raise EvalError(f"{where}: is not JSON ({why}); write one object a line") from None
    return case_from_fields(found, where)


def case_from_fields(found: Any, where: str) -> Case:
    """Return the case that these fields say.

    Raises:
        EvalError: they say none; ``where`` is put before the reason.
    """
    try:
        return Case.model_validate(found)
    except InputError as error:  # from the checks of questions and turns
        raise EvalError(f"{where}: {error}") from None
    except ValidationError as error:
        raise EvalError(f"{where}: {_reason(error)}") from None


def _reason(error: ValidationError) -> str:
    """Say the first thing that is wrong, after the field it is wrong with."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = visible(first["msg"].removeprefix("Value error, "), limit=200).replace("valid tuple", "list")
    own = f"{place}: " if place and not message.startswith(place) else ""
    return f"{own}{message}; correct the line"


def cases_hash(cases: Iterable[Case]) -> str:
    """Return a hash of what cases say, whatever their order and spelling in the file."""
    texts = sorted(case.model_dump_json(exclude={"answer", "notes", "near_titles"}) for case in cases)
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def to_line(case: Case) -> str:
    """Return a case as one line of a file, fields at their default left out."""
    return json.dumps(case.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)


CASE_TEMPLATE = """\
# Cases for `paperagent eval run`: one JSON object a line; lines like this one are passed over.
# These ask the sample feed (`paperagent eval run THIS_FILE --feed sample`). Put your own in their place.
#
# id            needed; any text, once a file
# question      needed
# gold_titles   titles of the papers that hold the answer (or gold_ids: their ids)
# evidence      parts of abstracts, word for word, that an answer should cite
# must_include  texts that the answer must hold; "a|b": either will do
# must_not      texts that it must not hold
# answerable    false: the library does not hold the answer, and the right answer is to say so
# history       for follow-ups: the earlier turns, [["question", "answer"], …]
# kind          groups the report (single, compare, list, followup, … as you like); default single
# tags          more words to sort by; cluster: cases that belong together, such as those on one paper
# k             papers to retrieve, instead of the run's number
# answer, notes for people; not scored
#
# A fact of one abstract:
{"id": "tokens-removed", "question": "How much of the prompt does Tindersift remove?", "gold_titles": \
["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], "evidence": ["Tindersift removes \
61% of the tokens in the prompt"], "must_include": ["61"], "must_not": ["16%"]}
# A comparison of two papers:
{"id": "two-languages", "question": "How much do Ferrowin and Cobaltine gain for low-resource languages?", \
"kind": "compare", "gold_titles": ["Ferrowin: Translating Low-Resource Languages with a Dictionary in the \
Prompt", "Cobaltine: A Vocabulary That Charges Every Language the Same"], "evidence": ["improves by 8.7 chrF \
points", "3.4 points better on average"], "must_include": ["8.7", "3.4"]}
# A follow-up, which leans on what was said before:
{"id": "its-price", "question": "And what does it cost in accuracy?", "kind": "followup", \
"history": [["How much of the prompt does Tindersift remove?", "Tindersift removes 61% of the tokens."]], \
"gold_titles": ["Tindersift: Filtering Retrieved Passages Before They Reach the Model"], \
"must_include": ["0.4"]}
# A question that the library cannot answer:
{"id": "not-there", "question": "Who won the football world cup of 1998?", "kind": "unanswerable", \
"answerable": false}
"""
