"""Translate the sentences of issues with a model, once per language for all subscribers.

A translation is shown below the English sentence, which stays. Nothing checks its meaning, only what can be
compared across languages (see `problem`); a translation that fails is left out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from paperagent.answering.call_budget import Budget, CompletionRequest, complete_all, is_cached
from paperagent.answering.reply import object_schema, parse_object
from paperagent.digest.issue import Issue, Selection, Translation
from paperagent.layout import counted
from paperagent.llm.prompts import Prompt
from paperagent.llm.protocol import TextModel
from paperagent.text.languages import Language
from paperagent.text.sanitize import join_lines, strip_controls
from paperagent.text.sentences import split_sentences
from paperagent.text.statements import is_statement
from paperagent.text.terms import is_english
from paperagent.types import Claim, Usage

SENTENCES_PER_CALL = 15
_TOKENS_PER_SENTENCE, _BASE_TOKENS = 30, 100
_WRITTEN_LENGTH = 400
"""Most characters of a sentence that a model wrote."""
_OVERVIEW_SENTENCES = 5
"""Most sentences of an overview that are about no single paper."""

SCHEMA = object_schema(
    translations={
        "type": "array",
        "items": object_schema(n={"type": "integer"}, text={"type": "string"}),
    }
)


@dataclass(slots=True)
class Translator:
    """Translates sentences within a budget."""

    model: TextModel
    prompt: Prompt
    budget: Budget
    salt: str
    """The library's secret, for the fence around sentences."""
    context_tokens: int = 8_192
    max_concurrent: int = 1
    dropped: Counter[str] = field(default_factory=Counter)
    """Why translations were left out, with the number of sentences for each reason."""

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        """Return the maximum that `translate` may use for the issues of these selections.

        Answers to standing questions are not included.
        """
        texts: dict[Language, dict[str, None]] = {}
        for number, selection in enumerate(selections):
            if language := selection.preferences.translation:
                texts.setdefault(language, {}).update(dict.fromkeys(_longest_texts(number, selection)))
        calls = [call for language, some in texts.items() for _, call in self._calls(language, some)]
        billed = (self.budget.max_usage(call) for call in calls if not is_cached(self.model, call))
        return sum(billed, Usage())

    def translate(self, issues: Sequence[tuple[Issue, Language]]) -> list[Issue]:
        """Return the issues with translations; a sentence that many issues have is translated once.

        An issue in which a sentence is not translated has a note that says so.
        """
        texts: dict[Language, dict[str, None]] = {}
        for issue, language in issues:
            texts.setdefault(language, {}).update(dict.fromkeys(_translatable(issue.claims)))
        done = {language: self._translated(language, some) for language, some in texts.items()}
        return [self._with_translation(issue, language, done[language]) for issue, language in issues]

    def _with_translation(self, issue: Issue, language: Language, done: Mapping[str, str]) -> Issue:
        texts = _translatable(issue.claims)
        sentences = {text: done[text] for text in texts if text in done}
        if len(sentences) < len(texts):
            some = "Some sentences are" if sentences else "The sentences are"
            issue = replace(issue, notes=(*issue.notes, f"{some} not translated into {language.name}."))
        if not sentences:
            return issue
        return replace(issue, translation=Translation(language, self.model.model, sentences))

    def _translated(self, language: Language, texts: Iterable[str]) -> dict[str, str]:
        """Return the translations by English sentence."""
        calls = list(self._calls(language, texts))
        outcomes = complete_all(
            self.model,
            self.budget,
            [call for _, call in calls],
            lambda reply: parse_object(reply, "translations"),
            max_concurrent=self.max_concurrent,
        )
        done: dict[str, str] = {}
        for (part, _), outcome in zip(calls, outcomes, strict=True):
            if outcome.value is None:
                self.dropped[outcome.error] += len(part)
            else:
                done |= self._accepted(language, part, outcome.value["translations"])
        return done

    def _accepted(self, language: Language, texts: Sequence[str], reply: object) -> dict[str, str]:
        lines = _lines(reply)
        copies = Counter(lines.values())
        accepted = {}
        for number, text in enumerate(texts, start=1):
            line = lines.get(number)
            if line is None:
                reason = "no translation in the reply"
            elif copies[line] > 1:
                reason = "the same translation for several sentences"
            else:
                reason = problem(text, line, language)
            if reason or line is None:
                self.dropped[reason] += 1
            else:
                accepted[text] = line
        return accepted

    def _calls(
        self, language: Language, texts: Iterable[str]
    ) -> Iterator[tuple[Sequence[str], CompletionRequest]]:
        waiting = list(texts)
        while waiting:
            part = waiting[:SENTENCES_PER_CALL]
            call = self._call(language, part)
            while len(part) > 1 and self._tokens(call) > self.context_tokens:
                part = part[: len(part) // 2]
                call = self._call(language, part)
            waiting = waiting[len(part) :]
            yield part, call

    def _tokens(self, call: CompletionRequest) -> int:
        return self.budget.max_usage(call).input_tokens + call.max_output_tokens

    def _call(self, language: Language, texts: Sequence[str]) -> CompletionRequest:
        seed = "\n".join((self.salt, *texts))
        fence = "=" * 4 + hashlib.sha256(seed.encode()).hexdigest()[:16]
        messages = self.prompt.fill(
            language=f"{language.name} ({language.tag})",
            fence=fence,
            sentences="\n".join(f"{n} {join_lines(text)}" for n, text in enumerate(texts, start=1)),
        )
        tokens = _BASE_TOKENS + sum(_TOKENS_PER_SENTENCE + len(text) for text in texts)
        return CompletionRequest(messages, SCHEMA, "translation", tokens)

    def notes(self) -> Iterator[str]:
        """Yield for each reason how many translations were left out, for the operator."""
        for reason, count in self.dropped.items():
            yield f"{counted(count, 'sentence')} not translated: {reason}"


def without_translation(issue: Issue, language: Language) -> Issue:
    """Return an issue with a note that it is not translated, because there is no model."""
    note = f"The sentences are not translated into {language.name}: translations need a model."
    return replace(issue, notes=(*issue.notes, note))


def _translatable(claims: Iterable[Claim]) -> list[str]:
    """Return the supported statements without links or markup, each once."""
    texts = dict.fromkeys(c.text for c in claims if c.support in ("quoted", "supported"))
    return [t for t in texts if is_statement(t) and not _MARKUP.search(t)]


def _longest_texts(number: int, selection: Selection) -> Iterator[str]:
    """Yield texts as long as the longest that an issue may have: two per paper, and an overview."""
    for item in selection.items:
        longest = max((len(s.text) for s in split_sentences(item.paper.abstract)), default=0)
        for part in ("item", "overview"):
            yield f"{part} {item.paper.paper_id}".ljust(max(longest, _WRITTEN_LENGTH), "x")
    for sentence in range(_OVERVIEW_SENTENCES):
        yield f"overview {number} {sentence}".ljust(_WRITTEN_LENGTH, "x")


def _lines(reply: object) -> dict[int, str]:
    """Return the texts of a reply by number, without numbers that occur twice."""
    items = [item for item in reply if isinstance(item, Mapping)] if isinstance(reply, list) else []
    numbers = Counter(item["n"] for item in items if _is_line(item))
    return {
        item["n"]: " ".join(strip_controls(item["text"]).split())
        for item in items
        if _is_line(item) and numbers[item["n"]] == 1
    }


def _is_line(item: Mapping[str, Any]) -> bool:
    number = item.get("n")
    return isinstance(number, int) and not isinstance(number, bool) and isinstance(item.get("text"), str)


# --- what can be compared across languages ---

_MARKUP = re.compile(
    r"<[A-Za-z/!?]|&#?\w+;|\]\s*\(|`|\*\*|__|\{\{|://|\bwww\.|\w@\w|\b(?:javascript|data|mailto):",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"\w{2,}\.[^\W\d_]{2,}")
_MARKER = re.compile(r"[\[［【]\s*\d")
_NAME = re.compile(r"\b\w*[a-z][A-Z]\w*")
"""A word with a capital inside, such as LoRA."""
_DIGITS = r"(?:\d{1,3}(?:[\u00a0\u202f\u2009 ]\d{3}(?!\d))+|\d+)"
_NUMBER = re.compile(rf"(?:(?<![\w)\]])[-−+])?{_DIGITS}(?:[.,٫٬'’]\d+)*")
_SIGNS = ("%٪％", "<", ">", "≤", "≥", "±")
_MIN_RATIO, _MAX_RATIO, _SLACK = 0.4, 2.2, 25
"""Limits of the width of a translation: as shares of the sentence's, and in characters beside."""
_WIDE = 2.5
"""Latin characters that a Chinese, Japanese or Korean one stands for."""


def problem(text: str, translated: str, language: Language) -> str:
    """Return why a translation must not be shown; empty if nothing is wrong with it.

    Numbers, percent and comparison signs, and words with inner capitals must be those of the sentence; there
    must be no citation marker, link or markup that the sentence does not have; the length must be plausible,
    and the text must not be English.
    """
    width = _width(text)
    failed_checks = {
        "the reply is not translated": (
            not translated or translated.casefold() == text.casefold() or _is_english(translated)
        ),
        "a link or markup": (
            _MARKUP.search(translated) is not None
            or not set(_DOMAIN.findall(translated)) <= set(_DOMAIN.findall(text))
        ),
        "a citation marker": len(_MARKER.findall(translated)) != len(_MARKER.findall(text)),
        "other numbers": (
            not _same_numbers(text, translated, language) or _signs(text) != _signs(translated)
        ),
        "another name": any(name not in translated for name in _NAME.findall(text)),
        "implausible length": (
            not _MIN_RATIO * width - _SLACK <= _width(translated) <= _MAX_RATIO * width + _SLACK
        ),
    }
    return next((reason for reason, failed in failed_checks.items() if failed), "")


def _is_english(text: str) -> bool:
    """Return whether a text looks English, accents and typographic marks aside."""
    ascii_text = "".join(filter(str.isascii, text))
    return 10 * len(ascii_text) >= 9 * len(text) and is_english(ascii_text)


def _signs(text: str) -> list[int]:
    return [sum(map(text.count, signs)) for signs in _SIGNS]


def _width(text: str) -> float:
    return sum(_WIDE if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _same_numbers(text: str, translated: str, language: Language) -> bool:
    """Return whether both texts have the same numbers in digits, in any order.

    A number may be copied or written as in the language: ``1,284`` or ``1.284`` in German.
    """
    expected = Counter(_value(number, ".") for number in _NUMBER.findall(text))
    for number in _NUMBER.findall(translated):
        readings = (_value(number, language.decimal), _value(number, "."))
        value = next((reading for reading in readings if expected[reading]), None)
        if value is None:
            return False
        expected[value] -= 1
    return not expected.total()


def _value(number: str, decimal: str) -> Decimal:
    """Return the value of a number whose decimals follow ``decimal``."""
    ascii_digits = "".join(str(unicodedata.decimal(c, c)) for c in number)
    text = re.sub(r"[\s'’٬+]", "", ascii_digits).replace("٫", decimal).replace("−", "-")
    groups = "," if decimal == "." else "."
    if text.count(decimal) == 1 and text.find(groups, text.index(decimal)) < 0:
        return Decimal(text.replace(groups, "").replace(decimal, "."))
    if text.count(groups) == 1 and decimal not in text and len(text.partition(groups)[2]) != 3:
        return Decimal(text.replace(groups, "."))  # 0,4 in a text that writes 1,000
    return Decimal(text.replace(groups, "").replace(decimal, ""))
