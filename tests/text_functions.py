"""Find the public functions that read a text, and call them with a text for each argument."""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import io
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

from paperagent.answering.abstention import AnswerabilitySignals
from paperagent.answering.library_questions.canonical import MAX_LENGTH as MAX_LIBRARY_QUESTION
from paperagent.answering.library_questions.intents import Intent, Request
from paperagent.answering.reply import ReplyParser
from paperagent.digest.select.phrases import ThemePhrases
from paperagent.layout import Block, answer_blocks, markdown
from paperagent.llm.client import EndpointAddress
from paperagent.llm.server_errors import ErrorBody
from paperagent.llm.stream import ReasoningFilter
from paperagent.retrieval.conversation import Turn
from paperagent.retrieval.evidence import match_papers
from paperagent.retrieval.follow_up import Reference
from paperagent.retrieval.names import MAX_NAME, MAX_NAMES, Name
from paperagent.retrieval.question import MAX_QUESTION, Question
from paperagent.retrieval.scoring import CorpusStats
from paperagent.text.languages import language
from paperagent.text.lenient_json import LenientJsonParser
from paperagent.text.phrases import Phrase, PhraseInAnyCase
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Answer, Citation, Claim, Hit, Paper, Sentence
from paperagent.ui.render import Screen
from paperagent.verification.alignment import align
from paperagent.verification.context import build_context
from paperagent.verification.polarity import opposite_words, pair_negations
from paperagent.verification.tokens import analyze

PACKAGES = (
    "answering",
    "digest.select",
    "errors",
    "feeds.dates",
    "feeds.ids",
    "feeds.names",
    "feeds.record",
    "feeds.services.error_text",
    "layout",
    "library.features",
    "library.identity",
    "llm.judge_model",
    "llm.server_errors",
    "llm.stream",
    "retrieval",
    "text",
    "ui.export",
    "verification",
)
"""The modules whose functions see text of strangers, without the name of the distribution."""
_DAY = dt.date(2026, 6, 1)
MAX_CLAIM = 2_000
"""Characters of a claim of a model: `WrittenClaim.text`."""
MAX_TEXTS = 200
"""Further texts in a list of texts."""
MAX_CLAIM_WORDS = 200
"""Content words of a claim that `verification.check` compares."""
MAX_ITEMS = 40
"""Names of the program's own, such as those of the statements in a call of the judge."""


class _Statistics:
    """A library in which every third stem occurs."""

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        return 100, 150.0, {stem: n % 3 for n, stem in enumerate(stems)}

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        return ()


def paper(text: str) -> Paper:
    abstract = text if text.strip() else "We train a model."
    return Paper("2601.00001", text[:1_000], abstract, authors=(text[:500],) * 40)


def _question(text: str) -> Question:
    return Question.analyze(text[:MAX_QUESTION], _Statistics())


def _matches(text: str) -> list[Any]:
    hit = Hit(paper(text), 1.0, 1)
    return match_papers(_question(text), [(hit, split_sentences(hit.paper.abstract))], None)


def _sentence(text: str) -> Sentence:
    return Sentence(0, text, 0, len(text))


def _citation(text: str) -> Citation:
    return Citation(1, "2601.00001", text[:1_000], None, text, 0, len(text))


def _claim(text: str) -> str:
    claim = text[:MAX_CLAIM]
    while len(analyze(claim).content) > MAX_CLAIM_WORDS:
        claim = claim[: len(claim) // 2]
    return claim


def _alignment(text: str) -> Any:
    return align(analyze(_claim(text)), analyze(text))


def _answer(text: str) -> Answer:
    claims = (Claim(text, (1,), "quoted"), Claim(text[:MAX_CLAIM], (1,), "unverified"))
    return Answer(text[:MAX_QUESTION], "answered", None, text, claims, (_citation(text),))


def _abstention(text: str) -> Answer:
    return replace(_answer(text), status="abstained", reason="not_in_abstracts", claims=())


class _Candidate:
    def __init__(self, text: str) -> None:
        self.paper_id, self.terms, self.vector = "2601.00001", term_ids(index_terms(text)), None


def _papers(text: str) -> dict[str, Paper]:
    return {"2601.00001": paper(text)}


Builder = Callable[[str], Any]
BUILDERS: dict[str, Builder] = {
    "str": str,
    "object": str,
    "Any": str,
    "str | None": str,
    "Sequence[str]": lambda text: (text, *text.split()[:MAX_TEXTS]),
    "Iterable[str]": lambda text: (text, *text.split()[:MAX_TEXTS]),
    "list[Any]": lambda text: [text, [text], {text: text}],
    "list[str]": lambda text: [text, *text.split()[:MAX_TEXTS]],
    "tuple[str, ...]": lambda text: (text,),
    "set[str]": lambda text: set(),
    "Callable[[str], Sequence[Hit]]": lambda text: lambda query: [],
    "Callable[[str, int], Sequence[str]]": lambda text: lambda stem, distance: [],
    "Callable[[Sequence[str]], Collection[str]]": lambda text: lambda stems: [],
    "Callable[[Block], str]": lambda text: markdown,
    "Collection[str]": lambda text: set(text.split()),
    "Sequence[Any]": lambda text: [text] * MAX_ITEMS,
    "Iterable[Any] | None": lambda text: [(text, text)],
    "dict[str, Any]": lambda text: {"error": {"message": text}},
    "bytes": lambda text: text.encode("utf-8", "replace"),
    "Iterable[bytes]": lambda text: [b"data: ", text.encode("utf-8", "replace"), b"\n\n"],
    "EndpointAddress": lambda text: EndpointAddress("http://127.0.0.1:1/v1", "key"),
    "ErrorBody": ErrorBody,
    "Sequence[Sequence[Encoded | None]] | None": lambda text: None,
    "Sequence[tuple[str, float]]": lambda text: [(word, 1.0) for word in text.split()[:200]],
    "ids.ArxivId | None": lambda text: None,
    "Language": lambda text: language("de"),
    "Field": lambda text: "authors",
    "Text": analyze,
    "Alignment": _alignment,
    "Context": lambda text: build_context((text[:1_000],), (text,), text[:MAX_QUESTION]),
    "Token": lambda text: (analyze(text).tokens or analyze("word").tokens)[0],
    "list[Token]": lambda text: list(analyze(text).tokens),
    "Sentence": _sentence,
    "Sequence[Sentence]": split_sentences,
    "Paper": paper,
    "Iterable[Paper]": lambda text: [paper(text)],
    "Sequence[Paper]": lambda text: [paper(text)],
    "Mapping[str, Paper]": _papers,
    "Hit": lambda text: Hit(paper(text), 1.0, 1),
    "Sequence[Hit]": lambda text: [Hit(paper(text), 1.0, 1)],
    "Iterable[Hit]": lambda text: [Hit(paper(text), 1.0, 1)],
    "Sequence[tuple[Hit, Sequence[Sentence]]]": lambda text: [
        (Hit(paper(text), 1.0, 1), split_sentences(text))
    ],
    "Question": _question,
    "Sequence[PaperMatch]": _matches,
    "PaperMatch": lambda text: _matches(text)[0],
    "Sequence[Turn]": lambda text: [Turn(text, text, ("2601.00001",), ("2601.00001",))],
    "Name": lambda text: Name(text[:MAX_NAME], is_certain=True),
    "Sequence[Name]": lambda text: [
        Name(word[:MAX_NAME], is_certain=True) for word in text.split()[:MAX_NAMES]
    ],
    "Citation": _citation,
    "Sequence[Citation]": lambda text: [_citation(text)],
    "tuple[Citation, ...]": lambda text: (_citation(text),),
    "Iterable[Citation]": lambda text: [_citation(text)],
    "Mapping[int, Citation]": lambda text: {1: _citation(text)},
    "Claim": lambda text: Claim(text, (1,), "quoted"),
    "Sequence[Claim]": lambda text: [Claim(text, (1,), "quoted")],
    "Intent": lambda text: Intent("greeting"),
    "Request": lambda text: Request(text, has_history=False, today=_DAY),
    "CorpusStats": lambda text: CorpusStats(100, 150.0, {}),
    "TermStatistics": lambda text: _Statistics(),
    "Mapping[str, Any]": lambda text: {"judge": 0.5, "score": 0.5},
    "Mapping[str, int]": lambda text: dict.fromkeys(text.split(), 1),
    "Phrase": lambda text: Phrase(text[:MAX_LIBRARY_QUESTION]),
    "Negations": lambda text: pair_negations(_alignment(text)),
    "frozenset[tuple[int, int]]": lambda text: frozenset(opposite_words(_alignment(text))),
    "list[tuple[int, int]]": lambda text: list(opposite_words(_alignment(text))),
    "Reference": lambda text: Reference("strong", {"2601.00001": 1.0}),
    "AnswerabilitySignals": lambda text: AnswerabilitySignals(*[0.5] * len(fields(AnswerabilitySignals))),
    "Answer": _answer,
    "JudgeWhen": lambda text: "auto",
    "Block": lambda text: Block("text", text),
    "Iterable[Block]": lambda text: [Block("text", text)],
    "Iterable[Answer]": lambda text: [_answer(text)],
    "Iterable[tuple[str, Any]]": lambda text: [(text, text)],
    "Sequence[RankablePaper]": lambda text: [_Candidate(text)],
    "str | int": str,
    "dt.date": lambda text: _DAY,
    "dt.date | None": lambda text: _DAY,
    "bool": lambda text: True,
    "int": lambda text: 3,
    "float": lambda text: 0.5,
}  # fmt: skip

BY_NAME: dict[str, Builder] = {
    "claim: Text": lambda text: analyze(_claim(text)),
    "char: str": lambda text: text[:1],
    "character: str": lambda text: text[:1],
    "own: Collection[str]": lambda _: ("/srv/papers", "https://papers.example/feed"),
    "names: Sequence[str]": lambda text: tuple(text.split()[:MAX_ITEMS]),
    "pointers: Sequence[str]": lambda text: tuple(text.split()[:MAX_ITEMS]),
}
"""Parameters that are not a whole text, by name and annotation."""
BOUNDS = {
    "answering.library_questions.": (MAX_LIBRARY_QUESTION, "`classify` refuses a longer question"),
    "retrieval.question.classify_question": (MAX_QUESTION, "`clean_question` refuses a longer question"),
}
"""Functions that never get a longer text, by the beginning of their names, with the reason."""
UNBOUNDED = {
    "answering.library_questions.answers.small_talk_answer",
    "answering.library_questions.classify.classify",
    "answering.library_questions.classify.is_goodbye",
}
"""Exceptions to `BOUNDS`: these get the message of a user as it is."""

_NO_TEXT = "its text is from other functions, or of the program"
_CALLS = "calls a model; the functions that write its prompt and read its reply are called by themselves"
NOT_CALLED = {
    "answering.answer_config.select_profile": _NO_TEXT,
    "answering.answers.as_fallback": _NO_TEXT,
    "answering.answers.fallback_events": _NO_TEXT,
    "answering.call_budget.complete": _CALLS,
    "answering.call_budget.complete_all": _CALLS,
    "answering.call_budget.count_tokens": "the time is that of tiktoken, or of an estimate",
    "answering.judge.review_claims": _CALLS,
    "answering.library_questions.rules.named_paper": "reads a match; `classify` calls it",
    "digest.select.candidates.duplicates": "compares vectors; `distinctive_title_key` reads the titles",
    "feeds.record.limit_entries": _NO_TEXT,
    "layout.status_block": "`answer_blocks` calls it",
    "library.features.check_vector": "reads numbers",
    "llm.server_errors.refuse_redirect": "reads the headers of a response",
    "retrieval.scoring.bm25_shares": "reads numbers",
    "retrieval.scoring.boost": "reads numbers",
    "retrieval.scoring.scores_of": "reads numbers",
    "retrieval.sentence_selection.closest_sentences": "reads numbers",
    "text.bm25.damping": "reads numbers",
    "text.cues.pattern": "compiles a pattern of the program",
    "text.edits.apply": _NO_TEXT,
    "text.markup.element_text": "reads parsed XML; `plain_text` calls it",
    "text.mathml.formula_text": "reads parsed XML; `plain_text` calls it",
    "text.siunitx.quantity": "its first argument is the name of a macro; `readable` calls it",
    "ui.export.write": "writes a file",
    "ui.export.write_notes": "writes files; `note` makes their text",
    "verification.numbers.read": "reads a match; `analyze` calls it",
}
"""Public functions that read a text but are not called, with the reason."""


def _in_pieces(feed: Callable[[str], Any], text: str) -> None:
    for start in range(0, len(text), 7):
        feed(text[start : start + 7])


def _theme_phrases(text: str) -> None:
    import numpy as np

    ThemePhrases(
        [paper(text), paper("We train a model.")], np.eye(2, dtype=np.float32), np.array([True, True])
    )


METHODS: dict[str, Callable[[str], Any]] = {
    "layout.answer_blocks of an abstention": lambda text: list(answer_blocks(_abstention(text))),
    "answering.reply.ReplyParser": lambda text: _in_pieces(ReplyParser().feed, text),
    "digest.select.phrases.ThemePhrases": _theme_phrases,
    "llm.stream.ReasoningFilter": lambda text: _in_pieces(ReasoningFilter().feed, text),
    "retrieval.question.Question.analyze": _question,
    "text.lenient_json.LenientJsonParser": lambda text: _in_pieces(LenientJsonParser().feed, text),
    "text.phrases.Phrase.is_in": lambda text: Phrase(text[:MAX_LIBRARY_QUESTION]).is_in(text),
    "text.phrases.PhraseInAnyCase.is_in": lambda text: PhraseInAnyCase(text[:MAX_LIBRARY_QUESTION]).is_in(
        text
    ),
    "ui.render.Screen.show": lambda text: Screen(io.StringIO(), terminal=True, width=80).show(
        [Block("quote", text)]
    ),
}
"""Methods that read a text, which `text_functions` does not find."""


def text_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions of `PACKAGES` that have an argument with text."""
    for package in PACKAGES:
        module = importlib.import_module(f"paperagent.{package}")
        names = [module.__name__]
        if hasattr(module, "__path__"):
            names += [info.name for info in pkgutil.walk_packages(module.__path__, f"{module.__name__}.")]
        for name in names:
            for function, value in vars(importlib.import_module(name)).items():
                is_own = getattr(value, "__module__", None) == name and not function.startswith("_")
                if is_own and callable(value) and not inspect.isclass(value) and _has_text(value):
                    yield f"{name}.{function}".removeprefix("paperagent."), value


def key(parameter: inspect.Parameter) -> str:
    """Return name and annotation, as in `BY_NAME`."""
    return f"{parameter.name}: {parameter.annotation}"


def required(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that a call must give, and those with a text."""
    parameters = inspect.signature(function).parameters.values()
    return [
        p
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and (p.default is p.empty or p.annotation in BUILDERS)
    ]


def clear_caches() -> None:
    """Empty every cache of the package, except those of constants."""
    for cached in _caches():
        cached.cache_clear()


@cache
def _caches() -> tuple[Any, ...]:
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("paperagent")]
    caches = (v for module in modules for v in list(vars(module).values()) if hasattr(v, "cache_info"))
    return tuple({id(c): c for c in caches if c.cache_info().maxsize is not None}.values())


def can_call(function: Callable[..., Any]) -> bool:
    """Return whether there is a builder for each argument."""
    return all(key(p) in BY_NAME or p.annotation in BUILDERS for p in required(function))


def bound(name: str) -> int | None:
    """Return the number of characters that a function gets at most; None if there is no limit."""
    if name in UNBOUNDED:
        return None
    return next((limit for start, (limit, _) in BOUNDS.items() if name.startswith(start)), None)


def _has_text(function: Callable[..., Any]) -> bool:
    annotations = (str(p.annotation) for p in inspect.signature(function).parameters.values())
    return any(_TEXTS.search(annotation) for annotation in annotations)


_TEXTS = re.compile(
    r"\b(?:str|bytes|object|Any|Text|Alignment|Sentence|Paper|Question|Turn|Claim|Answer|Citation|Block)\b"
)
