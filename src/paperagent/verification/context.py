"""The context of a claim: names and words that it may use although its cited sentence does not.

"We outperform it" is about the paper's own method, so a claim may name that method. Words from elsewhere in
the abstract do not support a claim, but they are not inventions either. A model also opens with "Yes:",
writes "the authors report that", and names a paper by its title. `statement` removes such parts before the
claim is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from paperagent.verification.alignment import acronym_positions, find_matching_words
from paperagent.verification.normalize import normalize
from paperagent.verification.tokens import Text, Token, analyze

_MAX_CHARACTERS = 12_000
"""Maximum number of characters read from titles and abstracts."""
_INTRODUCTION = re.compile(
    r"\b(?:propos|introduc|present|develop|releas|creat|call|name|term|dub|buil[dt]|design|construct|describ|"
    r"offer|contribut|train|curat|collect|named|our|this|namely|framework|method|model|benchmark|dataset|"
    r"approach|system|algorithm|we)\w*\b[^.]{0,90}$",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
COMMON_NAMES = frozenset(
    """ai ml llm llms nlp gpu gpus cpu api apis qa ir rag cnn rnn gan vlm mllm ui 2d 3d us uk eu usa who
    dna rna mri ct english""".split()
)
"""Well-known abbreviations, in lower case."""


@dataclass(frozen=True, slots=True)
class Context:
    """The analyzed titles, abstracts and question of a claim."""

    text: Text
    plain: str
    """Titles and abstracts, normalized, in lower case."""
    digits: frozenset[str]
    """Every run of digits in them, also inside names such as ``2016Q1``."""
    title: str
    """The titles alone, normalized, in lower case."""
    question: Text

    def mentions(self, token: Token) -> bool:
        """Return whether the titles, the abstracts or the question contain a word, number or name."""
        if find_matching_words(token, self.text) or find_matching_words(token, self.question):
            return True
        if token.number is not None:
            digits = _digits(token.text)
            return bool(digits) and digits <= self.digits | _digits(self.question.plain)
        lower = token.lower.removesuffix("'s")
        if token.kind == "name" or token.capital:
            return lower in self.plain or bool(acronym_positions(token.stem, self.text))
        return False

    def is_own_name(self, token: Token) -> bool:
        """Return whether a title contains a name, or the abstract introduces it as its own."""
        lower = token.lower.removesuffix("'s")
        if lower in self.title or lower in COMMON_NAMES or token.stem in COMMON_NAMES:
            return True
        at = self.plain.find(lower)
        return at >= 0 and _INTRODUCTION.search(self.plain[max(0, at - 120) : at]) is not None


@lru_cache(maxsize=256)
def _digits(text: str) -> frozenset[str]:
    return frozenset(_DIGITS.findall(text))


def build_context(titles: tuple[str, ...], abstracts: tuple[str, ...], question: str) -> Context:
    """Return the context of claims about these papers."""
    return replace(_paper_context(titles, abstracts), question=analyze(question[:2_000]))


@lru_cache(maxsize=128)
def _paper_context(titles: tuple[str, ...], abstracts: tuple[str, ...]) -> Context:
    plain = normalize(". ".join((*titles, *abstracts))[:_MAX_CHARACTERS])
    return Context(
        text=analyze(plain),
        plain=plain.lower(),
        digits=_digits(plain),
        title=normalize(". ".join(titles)).lower(),
        question=analyze(""),
    )


def non_empty(values: Sequence[str]) -> tuple[str, ...]:
    """Return the texts that are not empty, as a tuple."""
    return tuple(v for v in values if v.strip())


_ANSWER = re.compile(
    r"^\W*(?:yes|no|none|neither|both|right|correct|exactly|indeed|true)\s*[:,;.-]+\s+(?=\S)", re.IGNORECASE
)
_PARTIAL_ANSWER = re.compile(
    r"^\W*(?:(?:only |in )?part(?:ly|ially)?|not(?: [a-z]+){1,3}"
    r"|(?:yes|no),? (?:but )?only (?:partly|in part)"
    r"|hardly|barely|mostly|largely|mainly|sometimes|rarely|it depends)\s*[:,;.-]+\s+(?=\S)",
    re.IGNORECASE,
)
_REPORT = (
    r"(?:report|show|find|found|state|say|said|note|demonstrate|describe|propose|introduce|observe|conclude|"
    r"explain|present|reveal|indicate|highlight|write|wrote|add|emphasize|emphasise|stress|verif(?:y|ied|ies)|"
    r"confirm|mention|establish|prove|argue|point out)(?:s|d|ed|es)?"
)
_SPEAKER = (
    r"(?:(?:the|its|their|this|these|both)\s+)?(?:authors?|paper|study|work|abstract|researchers|article)"
)
_ATTRIBUTIONS = (
    re.compile(
        rf"^(?:as\s+)?{_SPEAKER}(?:\s+(?:also|further|here|themselves))*\s+{_REPORT}\s+that\s+", re.IGNORECASE
    ),
    re.compile(rf"^according to {_SPEAKER},?\s+", re.IGNORECASE),
    re.compile(rf",?\s+(?:as\s+)?{_SPEAKER}(?:\s+(?:also|further))?\s+{_REPORT}(?=[.,;]|$)", re.IGNORECASE),
    re.compile(rf",?\s+according to {_SPEAKER}(?=[.,;]|$)", re.IGNORECASE),
    re.compile(rf"^it (?:is|was) (?:also )?(?:{_REPORT}|shown|written) that\s+", re.IGNORECASE),
)
_QUOTED = re.compile(r"(?<!\w)[\"']([^\"']{3,200})[\"'](?!\w)")
_PUNCTUATION = re.compile(r"\W+")
REFERENCE = "this paper"
"""The words that replace a title in a statement."""
_MIN_TITLE_WORDS = 3
"""Minimum number of words for part of a title to be recognized without quotation marks."""


@lru_cache(maxsize=1024)
def statement(claim: str, titles: tuple[str, ...] = (), *, answers: bool = False) -> str:
    """Return the normalized claim without an opening yes or no, attributions to the paper, and titles.

    If the claim ``answers`` a question, an opening "partly" or "not always" is left out, too.
    """
    text = normalize(claim)
    text = _PARTIAL_ANSWER.sub("", text) if answers else text
    text = _ANSWER.sub("", text)
    for title in titles:
        text = _without_title(text, normalize(title))
    for pattern in _ATTRIBUTIONS:
        text = pattern.sub("", text)
    return text.strip(" .") if text.strip(" .") == REFERENCE else text.strip() or normalize(claim)


def _without_title(text: str, title: str) -> str:
    key = _title_key(title)
    if not key:
        return text
    for part in _title_forms(title):
        text = re.sub(rf"[\"']?{re.escape(part)}[\"']?", REFERENCE, text, flags=re.IGNORECASE)

    def refer(match: re.Match[str]) -> str:
        quoted = _title_key(match[1])
        return REFERENCE if " " in quoted and quoted in key else match[0]

    return _QUOTED.sub(refer, text)


def _title_forms(title: str) -> Iterator[str]:
    """Yield the forms of a title without quotation marks: the whole, and either side of a colon."""
    head, _, tail = title.partition(":")
    for part in sorted({title, head.strip(), tail.strip()}, key=len, reverse=True):
        if len(part.split()) >= _MIN_TITLE_WORDS:
            yield part


def _title_key(text: str) -> str:
    return _PUNCTUATION.sub(" ", text).strip().lower()


_ENGLISH = frozenset(
    """the a an of in on to and is are was were be by with for that it its from as at than not no this
    their which who can has have while when does do more into these those them they but or""".split()
)
_FOREIGN = frozenset(
    """der das und ist nicht mit für von dem den ein eine einen einem einer werden wird auf zu des sich
    auch durch bei sind als wie aus zur zum le la les est une un dans pour que qui sur avec pas par
    du au aux ce cette sont et los las una del por con para se es su como más entre il lo gli di che
    è non sono della delle nel os um uma da dos em não com het een van niet op te dat voor zijn och
    att som en av inte""".split()
)
"""Function words of German, French, Spanish, Italian, Portuguese, Dutch and Swedish that are not English."""
_LETTERS = re.compile(r"[^\W\d_]+")


def is_english(text: str) -> bool:
    """Guess whether a text is English: Latin letters, and more English than foreign function words."""
    words: Sequence[str] = _LETTERS.findall(text.lower())
    letters = "".join(words)
    if letters and sum(c.isascii() for c in letters) < 0.85 * len(letters):
        return False
    foreign = sum(w in _FOREIGN for w in words)
    return foreign < 2 or foreign <= sum(w in _ENGLISH for w in words)
