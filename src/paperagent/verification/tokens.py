"""Read a text into tokens: words by stem, numbers with their units, names and function words.

The checks compare *ranks*, which are positions among the content words, so a changed article moves nothing.
`Text.tokens` also holds the function words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from paperagent.text.terms import stem as snowball
from paperagent.verification import numbers, synonyms
from paperagent.verification.lexicon import FUNCTION, NEGATIONS
from paperagent.verification.normalize import normalize

Kind = Literal["word", "name", "number", "function"]
_SUPERLATIVES = frozenset("best worst most least top".split())
_GRADABLE = frozenset(
    """large small high low fast slow strong weak big great long short wide narrow deep cheap hard
        easy simple young old new late early few near far light heavy rich poor dense broad
        thick thin safe rare bright dark sharp smooth quick close tight loose clean warm
        cold hot quiet loud mild severe tough fine coarse full""".split()
)


def _comparison_forms() -> dict[str, tuple[str, int]]:
    forms: dict[str, tuple[str, int]] = {}
    for word in _GRADABLE:
        root = word[:-1] if word.endswith(("e", "y")) else word
        bases = {root + ("i" if word.endswith("y") else ""), *([word + word[-1]] if len(word) <= 4 else [])}
        for base in bases:
            forms[base + "er"] = (word, 1)
            forms[base + "est"] = (word, 2)
    return forms


_DEGREES = _comparison_forms()


@dataclass(slots=True)
class Token:
    """A token. The checks compare its ``stem``. ``rank`` is its position among the content words, or -1."""

    text: str
    lower: str
    stem: str
    kind: Kind
    index: int
    rank: int = -1
    clause: int = 0
    sentence: int = 0
    capital: bool = False
    degree: int = 0
    """0 plain, 1 comparative, 2 superlative."""
    number: numbers.Number | None = None
    weight: float = 1.0
    gap: str = ""
    """The last punctuation between the token before and this one."""


@dataclass(slots=True)
class Text:
    """An analyzed text."""

    plain: str
    """The normalized text."""
    tokens: list[Token]
    content: list[Token]
    """The tokens except function words, by rank."""
    by_stem: dict[str, list[int]] = field(default_factory=dict)
    """Stem → ranks."""
    by_group: dict[int, list[int]] = field(default_factory=dict)
    """Synonym group → ranks."""
    by_head: dict[str, list[int]] = field(default_factory=dict)
    """First four letters of a stem → ranks, for words of one family."""
    numbers: list[Token] = field(default_factory=list)
    """The numbers, up to `_MAX_NUMBERS`; further numbers count as missing."""
    initials: str = ""
    """First letter of each content word."""
    lowers: frozenset[str] = frozenset()

    def rank_after(self, index: int) -> int:
        """Return the rank of the first content word after token ``index``."""
        return bisect_right(self.content, index, key=lambda token: token.index)


@lru_cache(maxsize=50_000)
def lemma(lower: str) -> tuple[str, int]:
    """Return the stem under which a word is compared, and its degree (1 comparative, 2 superlative)."""
    if lower in _DEGREES:
        base, degree = _DEGREES[lower]
        return snowball(base), degree
    lower = lower.removesuffix("'s").removesuffix("'")
    degree = 2 if lower in _SUPERLATIVES else 0
    return snowball(synonyms.IRREGULAR.get(lower, lower)), degree


def _groups() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(synonyms.GROUPS):
        for word in line.split():
            groups[lemma(word.replace("-", ""))[0]].add(number)
    return {s: frozenset(g) for s, g in groups.items()}


GROUPS = _groups()
"""Stem → its synonym groups."""


_TOKEN = re.compile(
    rf"(?P<number>(?:(?<![\w.^])(?<!\w-)|(?=[<>≤≥~±=])){numbers.PATTERN})"
    r"|(?P<range>(?<=\d)-(?=\d))"
    r"|(?P<word>[^\W_](?:[\w]|[-'./@+&^](?=\w))*\+*)"
    r"|(?P<stop>[.!?]+(?=\s|$))|(?P<break>[,;:()\[\]…]|\s-\s)|(?P<other>\S)"
)
_RANGE = re.compile(r"(?<![\w.-])(\d+(?:\.\d+)?)-(?=\d+(?:\.\d+)?(?:%|[x×]|\s|$|[,.;)]|-?[a-z]))")
_PHRASE = re.compile(
    r"(?<![\w-])(?:"
    + "|".join(f"(?P<p{i}>{p})" for i, (p, _) in enumerate(synonyms.PHRASES))
    + r")(?![\w-])",
    re.IGNORECASE,
)
_SPELLINGS = {f"p{i}": spelling for i, (_, spelling) in enumerate(synonyms.PHRASES)}
_NEGATION_FORMS = (
    (re.compile(r"\b(?:instead of|in place of)\b", re.IGNORECASE), "insteadof"),
    (re.compile(r"\brather than\b", re.IGNORECASE), "ratherthan"),
    (re.compile(r"\bcannot\b|\bcan't\b", re.IGNORECASE), "can not"),
    (re.compile(r"\b(\w+)n't\b", re.IGNORECASE), r"\1 not"),
)
_LONG_RUN = re.compile(r"(\S{200})\S+")
"""A longer run without white space is not a word. It is cut to limit the time of the patterns."""
_MAX_NUMBERS = 400
_PREFIXES = frozenset(
    """multi non pre re fine self co sub semi cross inter intra anti over under un meta hyper micro
        macro auto bi tri post super ultra mini e de out up mid""".split()
)
"""Prefixes that are written with or without a hyphen: ``multi-modal``, ``fine-tune``."""
_INNER_CAPITAL = re.compile(r"[a-z][A-Z]|[A-Z].*[A-Z]|\d.*[A-Za-z]|[A-Za-z].*\d")
_VERSION = re.compile(r"\d")
_LIGHT = frozenset(lemma(w)[0] for w in synonyms.LIGHT)
_DIRECTIONAL = frozenset("more less fewer most least before after above below up down last few many".split())
"""Words that indicate a direction but carry no meaning by themselves."""


@lru_cache(maxsize=1024)
def analyze(text: str) -> Text:
    """Return ``text`` as indexed tokens. The result is cached, so do not change it."""
    plain = _LONG_RUN.sub(r"\1", normalize(text))
    tokens = _tokens(_replace_phrases(plain))
    attach(tokens)
    content = [t for t in tokens if t.kind != "function"]
    by_stem: dict[str, list[int]] = {}
    by_group: dict[int, list[int]] = {}
    by_head: dict[str, list[int]] = {}
    for rank, token in enumerate(content):
        token.rank = rank
        if token.kind == "number":
            continue
        by_stem.setdefault(token.stem, []).append(rank)
        if token.kind == "word":
            by_head.setdefault(token.stem[:4], []).append(rank)
        for group in GROUPS.get(token.stem, ()):
            by_group.setdefault(group, []).append(rank)
    initials = "".join(t.lower[0] for t in content)
    counted = [t for t in content if t.number][:_MAX_NUMBERS]
    lowers = frozenset(t.lower for t in tokens)
    return Text(plain, tokens, content, by_stem, by_group, by_head, counted, initials, lowers)


def _replace_phrases(plain: str) -> str:
    for pattern, spelling in _NEGATION_FORMS:
        plain = pattern.sub(spelling, plain)
    plain = _PHRASE.sub(lambda m: _SPELLINGS[m.lastgroup or ""], plain)
    return _RANGE.sub(r"\1 - ", plain)


def _tokens(plain: str) -> list[Token]:
    tokens: list[Token] = []
    clause = sentence = 0
    beginning, gap = True, ""
    for match in _TOKEN.finditer(plain):
        kind = match.lastgroup
        if match["number"]:
            number = numbers.read(match)
            token = Token(match[0], match[0].lower(), f"#{number.value:g}", "number", len(tokens))
            token.number, token.clause, token.sentence, token.gap = number, clause, sentence, gap
            tokens.append(token)
            beginning, gap = False, ""
        elif match["word"]:
            for part in _split_word(match["word"]):
                token = _word_token(part, len(tokens), beginning=beginning)
                token.clause, token.sentence, token.gap = clause, sentence, gap
                tokens.append(token)
                beginning, gap = False, ""
        elif kind == "stop":
            sentence, clause, beginning, gap = sentence + 1, clause + 1, True, "."
        elif kind == "break":
            clause, gap = clause + 1, match[0].strip()
    return tokens


def _split_word(word: str) -> list[str]:
    """Split a hyphenated word, but keep names (``GPT-4-Turbo``) and join prefixes (``multi-modal``)."""
    if "-" not in word and "/" not in word:
        return [word]
    parts = [p for p in re.split(r"[-/]", word) if p]
    if "/" in word:
        return [q for p in word.split("/") if p for q in _split_word(p)]
    grouped: list[str] = []
    name = False
    for part in parts:
        solid = not part.islower() or part[0].isdigit()
        odd = bool(_INNER_CAPITAL.search(part)) or _VERSION.search(part) is not None
        if grouped and solid and (name or (odd and not grouped[-1].islower())):
            grouped[-1] += "-" + part
            name = True
        elif grouped and grouped[-1].lower() in _PREFIXES and part[0].isalpha():
            grouped[-1] += part.lower() if part[1:].islower() else part
            name = False
        else:
            grouped.append(part)
            name = solid and odd
    return grouped


def _word_token(text: str, index: int, *, beginning: bool) -> Token:
    """Return a word as a token, from a cached template for its spelling."""
    template = _token_template(text)
    return Token(
        template.text,
        template.lower,
        template.stem,
        template.kind,
        index,
        capital=template.kind == "name" or (template.capital and not beginning),
        degree=template.degree,
        number=replace(template.number) if template.number else None,
        weight=template.weight,
    )


@lru_cache(maxsize=20_000)
def _token_template(text: str) -> Token:
    index = 0
    lower = text.lower()
    bare = lower.removesuffix("'s")
    if bare in FUNCTION and not (text.isupper() and len(text) > 1 and bare not in NEGATIONS):
        return Token(text, bare, bare, "function", index)
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        token = Token(text, lower, "", "number", index)
        token.number = numbers.Number(float(text), text=text, decimals=len(text.partition(".")[2]))
        return token
    if lower in numbers.SPELLED:
        token = Token(text, lower, f"#{numbers.SPELLED[lower]:g}", "number", index)
        token.number = numbers.Number(float(numbers.SPELLED[lower]), text=text)
        return token
    if lower in numbers.MULTIPLES:
        token = Token(text, lower, f"#{numbers.MULTIPLES[lower]:g}", "number", index)
        token.number = numbers.Number(numbers.MULTIPLES[lower], "times", text=text)
        return token
    core = text.removesuffix("'s")
    if _INNER_CAPITAL.search(core.removesuffix("s")) and not (
        core.istitle() and "-" not in core and core.isalpha()
    ):
        return Token(text, lower, name_key(core), "name", index, capital=True, weight=1.5)
    stem, degree = lemma(lower)
    weight = 0.2 if lower in _DIRECTIONAL else 0.35 if stem in _LIGHT else 1.0
    return Token(text, lower, stem, "word", index, degree=degree, weight=weight, capital=text[0].isupper())


def name_key(name: str) -> str:
    """Return the spelling under which a name is compared: ``LLMs`` as ``LLM``, ``GPT-4`` as ``GPT4``."""
    name = name.removesuffix("'s")
    if len(name) > 2 and name.endswith("s") and name[-2].isupper():
        name = name[:-1]
    return re.sub(r"[^\w]", "", name).lower()


_DURATIONS = frozenset("second minute hour day week month year percent".split())
"""Nouns before which *one* is a number."""


def attach(tokens: list[Token]) -> None:
    """Attach to each number its scale, unit and comparison mark; share units in lists."""
    for position, token in enumerate(tokens):
        if token.lower == "one" and position + 1 < len(tokens) and tokens[position + 1].lower in _DURATIONS:
            token.kind, token.number = "number", numbers.Number(1.0, text=token.text)
        number = token.number
        if number is None:
            continue
        if number.text[:1].isalpha() and position + 1 < len(tokens):
            _join_spelled(tokens, position)
        _attach_following(tokens, position, number)
        if not number.mark:
            _attach_preceding(tokens, position, number)
        token.stem = f"#{number.value:g}"
    _share_units(tokens)
    tokens[:] = [t for t in tokens if t.index >= 0]
    for index, token in enumerate(tokens):
        token.index = index


def _join_spelled(tokens: list[Token], position: int) -> None:
    """Read ``twenty five`` as one number."""
    following = tokens[position + 1]
    number, other = tokens[position].number, following.number
    if (
        number
        and other
        and number.value >= 20
        and number.value % 10 == 0
        and other.value < 10
        and following.text.isalpha()
    ):
        number.value += other.value
        _drop(following)


def _attach_following(tokens: list[Token], position: int, number: numbers.Number) -> None:
    for offset in (1, 2):
        if position + offset >= len(tokens):
            return
        token = tokens[position + offset]
        if token.index < 0:
            continue
        if token.gap == "(" and offset == 1:
            _attach_after_parenthesis(tokens, position, number)
        if token.clause != tokens[position].clause:
            return
        if token.lower in numbers.SCALES and len(token.lower) > 1 and not number.unit:
            number.value *= numbers.SCALES[token.lower]
            _drop(token)
            continue
        long_unit = len(token.lower) > 1 or token.lower in "%x×"
        unit = numbers.UNITS.get(token.lower) if long_unit else None
        if unit and (not number.unit or {number.unit, unit} == {"%", "points"}):
            number.unit = unit
            _drop(token)
        return


def _attach_after_parenthesis(tokens: list[Token], position: int, number: numbers.Number) -> None:
    """Read the unit of ``3.0 (0.3 to 5.7) mm``."""
    for token in tokens[position + 1 : position + 9]:
        if token.gap == ")":
            if not number.unit and len(token.lower) > 1:
                number.unit = numbers.UNITS.get(token.lower, "")
            return


def _drop(token: Token) -> None:
    """Exclude a token from the comparison because the number before it includes its meaning."""
    token.kind, token.index, token.number = "function", -1, None
    token.lower = token.stem = ""


def _attach_preceding(tokens: list[Token], position: int, number: numbers.Number) -> None:
    before = [t for t in tokens[max(0, position - 4) : position] if t.index >= 0]
    words = tuple(t.lower for t in before)
    for cue, mark in numbers.MARK_WORDS:
        if words[-len(cue) :] == cue:
            number.mark = mark
            for token in before[-len(cue) :]:
                if token.kind != "function":
                    token.kind, token.number = "function", None
                if token.lower in NEGATIONS:  # "no more than" denies nothing
                    token.lower = token.stem = ""
            return


def _share_units(tokens: list[Token]) -> None:
    """Let ``5 and 7%`` and ``2-3x`` give the unit to both numbers."""
    following = -1
    for position in range(len(tokens) - 1, -1, -1):
        number = tokens[position].number
        if number is None:
            continue
        if following >= 0 and not number.unit and _is_list_link(tokens[position + 1 : following + 1]):
            unit = tokens[following].number.unit  # type: ignore[union-attr]  # there is a number at `following`
            number.unit = "" if unit == "$" else unit
        following = position


def _is_list_link(tokens_after: list[Token]) -> bool:
    """Return whether the tokens after a number, up to the next number, only link the two."""
    *between, following = tokens_after
    live = [t for t in between if t.index >= 0]
    linked = len(live) == 1 and live[0].lower in ("and", "or", "to", "versus")
    return linked or (not live and following.gap in ("", ",", "-"))
