"""A user's question: cleaned on the way in, then analyzed once for search, evidence and answers.

`clean_question` validates input. `Question` is the analyzed question that flows through
retrieval, evidence and answering. Earlier turns are in `conversation`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from paperagent.errors import InputError
from paperagent.retrieval.names import Name, find_names, missing_names
from paperagent.retrieval.scoring import SearchQuery, TermStatistics, build_query, is_query_stopword
from paperagent.text.terms import STOP_WORDS, index_terms, is_english, is_foreign, stem, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded, Vector

MAX_QUESTION = 8_000
"""Characters; a longer question is a mistake (a pasted file) or an attack."""
QuestionKind = Literal["single", "compare", "list"]


# --- validation of input ---


def clean_question(question: object) -> str:
    """Return the question on one line, NFC, without control and format characters.

    Raises:
        InputError: not a str, not valid Unicode, with NUL, too long, or without words.
    """
    if not isinstance(question, str):
        raise InputError(f"question: must be str, got {type(question).__name__}; pass the question as text")
    if len(question) > MAX_QUESTION:
        raise InputError(
            f"question: too long ({len(question):,} characters); at most {MAX_QUESTION:,} characters"
        )
    require_valid(question, "question")
    text = " ".join(unicodedata.normalize("NFC", without_controls(question)).split())
    if not text:
        raise InputError("question: is empty; type a question")
    if not words(text):
        raise InputError("question: has no words; type a question in words")
    return text


def require_valid(text: str, name: str) -> None:
    """Raise InputError, which begins with ``name``, if the text is not valid Unicode or contains NUL."""
    for i, c in enumerate(text):
        if "\ud800" <= c <= "\udfff":
            raise InputError(f"{name}: is not valid Unicode (lone surrogate at {i}); check the encoding")
        if c == "\0":
            raise InputError(f"{name}: contains the control character U+0000 at {i}; remove it")


def without_controls(text: str) -> str:
    """Return the text without escape sequences, control and format characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable, _ESCAPE_SEQUENCE.sub("", text)))


def _printable(char: str) -> str:
    """Return white space as a space, other control and format characters as nothing."""
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in ("Cc", "Cf") else char


_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?(?:\x1b\\|$)|.)?", re.DOTALL
)


# --- the analyzed question ---

_RARE_PIECES = 3
"""A word that the encoder splits into this many pieces is rare in English text."""
_STOP_WORD_WEIGHT, _QUERY_STOPWORD_FACTOR = 0.25, 0.5
_COMPARE = re.compile(
    r"""\b(?:compare[ds]?(?!\ (?:to|with|against)\W*$)|comparison|versus|vs\.?|both|respectively|contrast)\b
    |\bhow\ (?:do|does|did)\ .{3,80}\ differ\b|\bdiffer(?:ences?)?\ (?:between|from)\b
    |\b(?:one|first|former)\b.{3,90}\b(?:other|second|latter|one)\b
    |\b(?:of|in|does|do|by)\ each\b|\beach\ (?:paper|work|study|method|one|of)\b
    |\bthe\ .{5,60},?\ and\ (?:what|where|how|which)\b.{0,20}\bthe\b|\binstead\?""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPARES_CITED = re.compile(r"\b(?:compare[ds]?|versus|vs\.?|both|each|contrast|differ\w*)\b", re.IGNORECASE)
_LIST = re.compile(
    r"""\b(?:which|what)\ (?:(?!do\b|does\b|did\b|can\b)\w+\ ){0,2}?(?:papers|works|studies|methods
        |approaches|benchmarks|datasets|systems|models|frameworks|techniques)\b
    |^(?:[\w'-]+,?\ ){0,4}(?:papers|works|studies)\b|^(?:list|name|find|show|give)\b|\boverview\ of\b
    |\bwho\ (?:else\ )?works\ on\b
    |\bwhat\ (?:do|does)\ (?:we|you|the\ library|it)\ have\b|\bwhat\ is\ there\b|\bwhat(?:'s|\ is)\ new\b
    |\bany(?:thing|\ papers|\ work)\b.*\b(?:on|about)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_NUMBER = re.compile(
    r"""\bhow\ (?:many|much|often|well|far|big|large|long|fast|badly|few|reliabl\w+)\b
    |\bwhat\ (?:share|percentage|fraction|proportion|rate|number|score|accuracy|size|weight)\b
    |^\W*(?:the\ )?size\ of\b|\b(?:percent|numbers?\ (?:of|for)|mean|median|speedup|exactly|rate)\b
    |\b(?:wie\ ?(?:viele?|gro(?:ß|ss)|oft|hoch)|cu[aá]nt[oa]s?|tama[ñn]os?|combien|quant[oiae])\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_HOW_FIRST = re.compile(
    r"""^\W*how\ (?:can|could|should|to)\b(?:(?!\band\b)[^,;?])*\bhow\ (?:many|much|often|well)\b
    |^(?!.*\b(?:what|which)\b).*\bhow\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_METHOD = re.compile(
    r"""\bhow\ (?!many\b|much\b|often\b|well\b|far\b|big\b|large\b|long\b|fast\b|badly\b|few\b|reliabl)
    |\bwhat\ (?:steps|method|role|way)\b|\bstep\ by\ step\b|\bin\ what\ way\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_RELEASE = re.compile(
    r"""\b(?:open[- ]?sourced?|github|repositor(?:y|ies)|licen[cs]\w*|urls?|links?|download\w*|publicly
        |availab\w+|releas\w+|project\ page|web\s?(?:page|site))\b
    |\b(?:code|data|it|models?|weights|datasets?)\ (?:\w+\ )?(?:public|open|free)\b
    |\bwhere\ (?:can|do|could)\ (?:i|we|you|one)\ (?:find|get|see)\b
    |^\W*(?:(?:and|any|the|source|is|there|where|what\ about)\ )*(?:code|implementation|weights|repo)\W*$
    |\b(?:code|implementation|weights)\ (?:for|of)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_OUTLOOK = re.compile(
    r"""\b(?:future|next\ steps?|open\ (?:questions?|problems?|challenges?)|limitations?|outlook|hopes?
        |plan(?:s|ned)?|implications?|unsolved|unclear)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_IS_COMPOUND = re.compile(
    r"""\band\s+(?:then\s+)?(?:what|how|which|where|why|who|when|does|do|did|is|are|was|were|has|have|can|by\s+how)\b
    |\band\s+(?:\w+\s+){1,3}(?:how|what|which)\b|[?？]\s*\S.*[?？]""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTED = re.compile(r"\b(?:how (?:many|much)|number of|amount of)\s+((?:\w+[\s-]){0,2}?\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A question, analyzed once.

    *Pieces* are what evidence is matched with: the encoder's word pieces, or the words if there is
    no encoder.
    """

    text: str
    terms: tuple[str, ...]
    """Index terms of the text, in order, repeats included."""
    query: SearchQuery
    encoded: Encoded | None = None
    """Token states of the text; None if there is no encoder."""
    missing: tuple[Name, ...] = ()
    """Names in the question that no paper contains."""
    refers_to: int = 0
    """How many papers that were cited earlier it may mean; 0 if it clearly refers to none."""

    @classmethod
    def analyze(
        cls,
        text: str,
        statistics: TermStatistics,
        *,
        encoded: Encoded | None = None,
        vector: Vector | None = None,
    ) -> Question:
        """Return an analyzed question.

        Args:
            text: The question.
            statistics: The library to search.
            encoded: The text's token states.
            vector: The text's embedding in the space of the library's vectors.
        """
        terms = tuple(index_terms(text))
        question = cls(text, terms, build_query(terms, statistics, vector=vector), encoded)
        unknown = {s for s in question.query.stems if not question.query.stats.frequency.get(s)}
        if not unknown:
            return question

        def present(stems: Sequence[str]) -> Collection[str]:
            return {s for s, n in statistics.corpus_stats(stems)[2].items() if n}

        return replace(question, missing=tuple(missing_names(question.names, unknown, present)))

    @cached_property
    def kind(self) -> QuestionKind:
        """Whether the question asks for one paper, a comparison of two, or a list.

        "Which datasets?" asks for a list, but as a follow-up it asks for those of one paper. "Compared to
        GPT-4?" asks for a comparison, but not if it refers to only one paper.
        """
        kind = classify_question(self.text)
        compares = self.refers_to > 1 and _COMPARES_CITED.search(self.text)
        return kind if not self.is_follow_up or (kind == "compare" and compares) else "single"

    @property
    def is_follow_up(self) -> bool:
        """Whether it refers to papers that were cited earlier."""
        return self.refers_to > 0

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The names in the question, and the words that the encoder splits into several pieces."""
        rare: set[str] = set()
        if self.encoded and self.is_english:
            pieces = Counter(_word_start(self.text, start) for start, _ in self.spans)
            rare = {_word_around(self.text, i, i + 1) for i, n in pieces.items() if n >= _RARE_PIECES}
        return tuple(find_names(self.text, is_english=self.is_english, rare_words=rare))

    @cached_property
    def asks_number(self) -> bool:
        """Whether the answer is a number; not so in "how can one change how often it fails"."""
        return bool(_ASKS_NUMBER.search(self.text)) and not _ASKS_HOW_FIRST.search(self.text)

    @cached_property
    def asks_method(self) -> bool:
        """Whether the question asks how something is done."""
        return bool(_ASKS_METHOD.search(self.text))

    @cached_property
    def is_compound(self) -> bool:
        """Whether the question has several parts, such as how much and how long."""
        return bool(_IS_COMPOUND.search(self.text))

    @cached_property
    def asks_release(self) -> bool:
        """Whether the question asks where code, data or models are, or for their license."""
        return bool(_ASKS_RELEASE.search(self.text))

    @cached_property
    def asks_outlook(self) -> bool:
        """Whether the question is about future work, limitations or implications."""
        return bool(_ASKS_OUTLOOK.search(self.text))

    @cached_property
    def is_english(self) -> bool:
        """Whether the text reads as English."""
        return is_english(self.text)

    @cached_property
    def is_foreign(self) -> bool:
        """Whether the text looks like another language than English."""
        return is_foreign(self.text)

    @cached_property
    def piece_words(self) -> tuple[str, ...]:
        """The whole word, in lower case, that each piece belongs to."""
        return tuple(_word_around(self.text, *span) for span in self.spans)

    @cached_property
    def piece_stems(self) -> tuple[str, ...]:
        """The stem of each piece's word."""
        return tuple(stem(word) if word else "" for word in self.piece_words)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How much each piece matters, shape [pieces]; rare words weigh most."""
        import numpy as np

        pieces = zip(self.piece_words, self.piece_stems, strict=True)
        weights = np.array([self._weight(word, root) for word, root in pieces], float)
        return weights if weights.sum() else np.ones(len(self.piece_words))

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which pieces name the things counted (``parameters`` in "how many parameters"), shape [pieces]."""
        import numpy as np

        match = _COUNTED.search(self.text)
        low, high = match.span(1) if match else (0, 0)
        return np.array([low <= start and end <= high for start, end in self.spans], bool)

    @cached_property
    def content_weights(self) -> Mapping[str, float]:
        """Stem → weight, for words that describe the topic of the question."""
        return {
            root: float(weight)
            for word, root, weight in zip(self.piece_words, self.piece_stems, self.weights, strict=True)
            if word and word not in STOP_WORDS and not is_query_stopword(root)
        }

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each piece in the text."""
        return self.encoded.spans if self.encoded else tuple(m.span() for m in re.finditer(r"\w+", self.text))

    def _weight(self, word: str, root: str) -> float:
        if not word:
            return 0.0
        if word in STOP_WORDS:
            return _STOP_WORD_WEIGHT
        stats = self.query.stats
        rarity = math.log(1 + stats.papers / (1 + stats.frequency.get(root, 0)))
        return rarity * (_QUERY_STOPWORD_FACTOR if is_query_stopword(root) else 1.0)


def classify_question(text: str) -> QuestionKind:
    """Return whether a question asks for one paper, a comparison of two, or a list."""
    if _COMPARE.search(text):
        return "compare"
    return "list" if _LIST.search(text) and not _ASKS_NUMBER.search(text) else "single"


def _word_start(text: str, start: int) -> int:
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    return start


def _word_around(text: str, start: int, end: int) -> str:
    start = _word_start(text, start)
    while end < len(text) and text[end].isalnum():
        end += 1
    around = words(text[start:end])
    return around[0] if around else ""
