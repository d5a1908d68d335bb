"""Find the names in a question that no paper of the library contains: work that the library lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise

from paperagent.text.terms import STOP_WORDS, stem, words

_TOKEN = re.compile(r"[^\W_]+")
_SENTENCE_START = re.compile(r"(?:[.?!:;…(\[\"“‘«—–-]\s*|\d\)\s*)$")
_QUESTION_WORD = re.compile(
    r"(?:how|what|which|who|why|when|where|does|do|did|is|are|can|could|has|have|should)\b", re.IGNORECASE
)
_CALENDAR = frozenset(
    """january february march april may june july august september october november december jan feb mar apr
    jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday christmas
    easter i ok pdf faq tldr asap btw imo fyi ps""".split()
)
"""Capitalized words that a paper need not contain to answer."""
_LINKING = frozenset("of and the for in with to on from by a an".split())
"""Words that an acronym may skip."""
_MIN_NAME, _MAX_ACRONYM = 3, 6
_ACRONYM = re.compile(r"\b(?:[A-Z]{2,6}|(?![aeiouy])[b-df-hj-np-tv-xz]{2,6})(?=s?\b)")
"""In capitals, or in lower case without a vowel."""
_MAX_ACRONYMS = 10
"""Acronyms of a text that are looked for."""
_UBIQUITOUS = frozenset({"AI", "LM", "LLM"})
"""Acronyms whose long form says nothing: nearly every paper has it."""
_LONG_WORD = re.compile(r"[^\W\d_]{3,}")
_MAX_BEFORE = 40
"""Characters before a word that are searched for the end of the preceding sentence."""
_MAX_VERSIONS = 10
"""Maximum names with a version that are looked up for a question."""
MAX_NAME, MAX_NAMES = 100, 50
"""Maximum characters of a name, and maximum names that are looked up for a question."""
_MAX_WORDS = 4_000
"""Maximum words of a text that are searched for a name."""
_MAX_SPANS = 200
"""Maximum places in a text that are tried for the words of an acronym."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a question: of a model, a method, a data set, a person or a place."""

    text: str
    is_certain: bool
    """Whether capitals or digits show that it is a name; otherwise it is only a rare word."""
    is_version: bool = False
    """Whether it is a name with its version, such as ``GPT-4``: another version is another name."""

    @property
    def key(self) -> str:
        """The name in lower case, letters and digits only."""
        return squeeze(self.text)


def squeeze(text: str) -> str:
    """Return the letters and digits of ``text`` in lower case: "GPT 4" and "gpt-4" are the same name."""
    return "".join(words(text))


def find_names(text: str, *, is_english: bool, rare_words: Collection[str] = ()) -> list[Name]:
    """Return the first names in a question, in order.

    A name has an inner capital, several capitals, or letters and digits, or it begins with a capital inside a
    sentence. An initial capital does not count in title-cased text and in other languages.

    Args:
        text: The question.
        is_english: Whether the question seems to be English.
        rare_words: Lower-case words that count as names, too.
    """
    tokens = list(_TOKEN.finditer(text))
    is_english = is_english or bool(_QUESTION_WORD.match(text))
    capitals_count = is_english and not _is_title_cased([m.group() for m in tokens])
    names: list[Name] = []
    for i, match in enumerate(tokens):
        token = match.group()
        lower = token.lower()
        is_word = len(token) <= MAX_NAME and re.search(r"[^\W\d_]", token)
        if lower in _CALENDAR or lower in STOP_WORDS or not is_word:
            continue
        follows_name = (
            bool(names) and _is_version(token) and text[tokens[i - 1].end() : match.start()] in " -"
        )
        if (_is_name_like(token) and not follows_name) or (
            capitals_count
            and token[0].isupper()
            and len(token) >= _MIN_NAME
            and not _begins_sentence(text, match.start())
        ):
            names.append(Name(token, is_certain=True))
        elif lower in rare_words:
            names.append(Name(token, is_certain=False))
    return list({n.key: n for n in reversed(names[:MAX_NAMES])}.values())[::-1]


def _begins_sentence(text: str, start: int) -> bool:
    return start == 0 or _SENTENCE_START.search(text[max(0, start - _MAX_BEFORE) : start]) is not None


def _is_name_like(token: str) -> bool:
    if token[0].isdigit():  # a size or an amount, such as 7B and 20k
        return False
    has_digit = any(c.isdigit() for c in token)
    return has_digit or sum(c.isupper() for c in token) > 1 or token[1:].lower() != token[1:]


def _is_version(token: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]?\d+(?:\.\d+)?[A-Za-z]?", token))


def _is_title_cased(tokens: Sequence[str]) -> bool:
    long = [t for t in tokens[1:] if len(t) > 3 and t.lower() not in STOP_WORDS]
    return len(long) > 2 and 2 * sum(t[0].isupper() for t in long) > len(long)


def missing_names(
    names: Sequence[Name],
    unknown_stems: Collection[str],
    frequency: Callable[[Sequence[str]], Collection[str]],
) -> list[Name]:
    """Return the names that no paper contains, in any spelling.

    Args:
        names: The names of a question.
        unknown_stems: Stems that no paper has, nor a similar one.
        frequency: Returns those of some stems that a paper contains.
    """
    missing = [n for n in names if stem(n.key) in unknown_stems or n.key in unknown_stems]
    variants = {n: _variants(n.key) for n in missing}
    present = (
        set(frequency(sorted({stem(v) for forms in variants.values() for v in forms}))) if missing else set()
    )
    return [n for n in missing if not any(stem(v) in present for v in variants[n])]


def _variants(key: str) -> list[str]:
    """Return other spellings: without a version, singular, plural."""
    base = re.sub(r"\d+[a-z]?$", "", key)
    forms = [key, key.removesuffix("s"), f"{key}s", base, re.sub(r"^[a-z]?\d+", "", key)]
    return [form for form in dict.fromkeys(forms) if len(form) > 1]


_VERSIONED = re.compile(
    r"(?<![\w.-])(?P<base>[^\W\d_]{2,})(?P<separator>[- ]?)(?P<version>\d{1,3}(?:\.\d+)?)"
    r"(?![kKmMbBxX%])[A-Za-z]?(?![\w%]|[.,-]\d|-[A-Za-z])"
)
"""A size or an amount, such as 7B and 20k, which is not a version."""


def missing_versions(text: str, papers: Sequence[str]) -> list[Name]:
    """Return the names with a version in ``text``, such as "GPT-5", that occur in no paper.

    In lower case or after a space, a number is a version only if a paper contains the name with another one.

    Args:
        text: The question.
        papers: Titles and abstracts.
    """
    missing = []
    for match in islice(_VERSIONED.finditer(text), _MAX_VERSIONS):
        base, version = match["base"], match["version"]
        any_version = re.compile(rf"(?<![^\W_])(?i:{base})[\s-]?(\d+(?:\.\d+)*)")
        versions = [(mention, paper) for paper in papers for mention in any_version.finditer(paper)]
        if any(mention[1] == version or mention[1].startswith(f"{version}.") for mention, _ in versions):
            continue
        is_name = base != base.lower() and match["separator"] != " "
        if is_name or any(_is_name_at(mention, paper) for mention, paper in versions):
            missing.append(Name(match.group(), is_certain=True, is_version=True))
    return missing


def _is_name_at(match: re.Match[str], text: str) -> bool:
    """Return whether the capitals of a word before a number show that it is a name."""
    capitals = sum(c.isupper() for c in match.group())
    return capitals > 1 or (capitals == 1 and not _begins_sentence(text, match.start()))


def is_only_a_word(name: Name, texts: Sequence[str]) -> bool:
    """Return whether a name with an inner capital, such as ReAct, occurs in texts only as a common word."""
    if name.text in (name.text.lower(), name.text.upper(), name.text.capitalize()):
        return False
    word = name.text.lower()
    if not any(word in text for text in texts):
        return False
    tokens = {token for text in texts for token in _TOKEN.findall(text)}
    return word in tokens and not any(
        t.lower() == name.key and t not in (name.key, name.key.capitalize()) for t in tokens
    )


def find_acronyms(text: str) -> list[tuple[str, int, int]]:
    """Return the first acronyms in a text in upper case, each with its start and end."""
    matches = (m for m in _ACRONYM.finditer(text) if m.group() not in STOP_WORDS)
    acronyms = ((m.group().upper(), m.start(), m.end()) for m in matches)
    return list(islice((a for a in acronyms if a[0] not in _UBIQUITOUS), _MAX_ACRONYMS))


@lru_cache(maxsize=512)
def _initials(text: str) -> tuple[list[re.Match[str]], str]:
    """Return the matches of a text's long words, and their initials in upper case."""
    tokens = list(_LONG_WORD.finditer(text))
    return tokens, "".join(t.group()[0] for t in tokens).upper()


def written_out(acronym: str, text: str) -> list[tuple[int, int]]:
    """Return the spans of adjacent words of a text whose initials are the acronym.

    The words have three letters or more and are not stop words: "reinforcement learning" for RL.
    """
    tokens, initials = _initials(text)
    spans = []
    start = initials.find(acronym)
    for _ in range(_MAX_SPANS):
        if start < 0:
            break
        run = tokens[start : start + len(acronym)]
        between = (text[a.end() : b.start()] for a, b in pairwise(run))
        if all(gap in (" ", "-") for gap in between) and not any(
            t.group().lower() in STOP_WORDS for t in run
        ):
            spans.append((run[0].start(), run[-1].end()))
        start = initials.find(acronym, start + 1)
    return spans


def occurs(name: Name, texts: Iterable[str]) -> bool:
    """Return whether a name occurs in one of some texts, in any spelling; an acronym also written out."""
    if name.is_version:
        return not missing_versions(name.text, list(texts))
    forms = _variants(name.key)
    is_acronym = 1 < len(name.text) <= _MAX_ACRONYM and sum(c.isupper() for c in name.text) > 1
    for text in texts:
        joined, initials = _joined_words(text)
        if not joined.isdisjoint(forms) or (is_acronym and len(name.text) > _MIN_NAME and name.text in text):
            return True  # also inside another name: BART in BioBART
        short = name.key.removesuffix("s")
        if is_acronym and len(short) >= _MIN_NAME and any(short in letters for letters in initials):
            return True
    return False


@lru_cache(maxsize=32)
def _joined_words(text: str) -> tuple[frozenset[str], tuple[str, str]]:
    """Return the words of a text, alone and joined in twos and threes, and two strings of their initials.

    The second string leaves out linking words.
    """
    content = words(text)[:_MAX_WORDS]
    joined = frozenset("".join(content[i : i + n]) for n in (1, 2, 3) for i in range(len(content)))
    return joined, ("".join(w[0] for w in content), "".join(w[0] for w in content if w not in _LINKING))
