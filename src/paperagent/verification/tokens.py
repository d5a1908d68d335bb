"""Read a text once into tokens: words by stem, numbers with their units, names, function words.

Positions that the checks compare are *ranks*: places among the content words, so that a
changed article does not move anything. Function words stay reachable through `Text.tokens`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from paperagent.verification import numbers, synonyms
from paperagent.verification.attach import attach
from paperagent.verification.cues import FUNCTION, NEGATIONS
from paperagent.verification.normalize import normalise
from paperagent.verification.values import GROUPS, Text, Token, lemma

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
_DENIALS = (
    (re.compile(r"\b(?:instead of|in place of)\b", re.IGNORECASE), "insteadof"),
    (re.compile(r"\brather than\b", re.IGNORECASE), "ratherthan"),
    (re.compile(r"\bcannot\b|\bcan't\b", re.IGNORECASE), "can not"),
    (re.compile(r"\b(\w+)n't\b", re.IGNORECASE), r"\1 not"),
)
_LONG = re.compile(r"(\S{200})\S+")
"""What is written without a blank for longer is no word: it is cut, since patterns look at a word whole."""
_MOST_NUMBERS = 400
_JOINING = frozenset(
    """multi non pre re fine self co sub semi cross inter intra anti over under un meta hyper micro
        macro auto bi tri post super ultra mini e de out up mid""".split()
)
"""Beginnings that are written with and without a hyphen: ``multi-modal``, ``fine-tune``."""
_INNER_CAPITAL = re.compile(r"[a-z][A-Z]|[A-Z].*[A-Z]|\d.*[A-Za-z]|[A-Za-z].*\d")
_VERSION = re.compile(r"\d")
_LIGHT = frozenset(lemma(w)[0] for w in synonyms.LIGHT)
_DIRECTIONAL = frozenset("more less fewer most least before after above below up down last few many".split())
"""Words that decide a direction but say nothing by themselves."""


@lru_cache(maxsize=1024)
def analyse(text: str) -> Text:
    """Return ``text`` read into tokens and indexed; do not change the result, it is shared."""
    plain = _LONG.sub(r"\1", normalise(text))
    tokens = _tokens(_rephrased(plain))
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
    counted = [t for t in content if t.number][:_MOST_NUMBERS]
    lowers = frozenset(t.lower for t in tokens)
    return Text(plain, tokens, content, by_stem, by_group, by_head, counted, initials, lowers)


def _rephrased(plain: str) -> str:
    for pattern, spelling in _DENIALS:
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
            for part in _parts(match["word"]):
                token = _word(part, len(tokens), beginning=beginning)
                token.clause, token.sentence, token.gap = clause, sentence, gap
                tokens.append(token)
                beginning, gap = False, ""
        elif kind == "stop":
            sentence, clause, beginning, gap = sentence + 1, clause + 1, True, "."
        elif kind == "break":
            clause, gap = clause + 1, match[0].strip()
    return tokens


def _parts(word: str) -> list[str]:
    """Split a hyphenated word, but keep names (``GPT-4-Turbo``) and join prefixes (``multi-modal``)."""
    if "-" not in word and "/" not in word:
        return [word]
    parts = [p for p in re.split(r"[-/]", word) if p]
    if "/" in word:
        return [q for p in word.split("/") if p for q in _parts(p)]
    grouped: list[str] = []
    name = False
    for part in parts:
        solid = not part.islower() or part[0].isdigit()
        odd = bool(_INNER_CAPITAL.search(part)) or _VERSION.search(part) is not None
        if grouped and solid and (name or (odd and not grouped[-1].islower())):
            grouped[-1] += "-" + part
            name = True
        elif grouped and grouped[-1].lower() in _JOINING and part[0].isalpha():
            grouped[-1] += part.lower() if part[1:].islower() else part
            name = False
        else:
            grouped.append(part)
            name = solid and odd
    return grouped


def _word(text: str, index: int, *, beginning: bool) -> Token:
    """Return a word as a token; what its spelling decides is looked up once for each word."""
    known = _spelled_word(text)
    return Token(
        known.text,
        known.lower,
        known.stem,
        known.kind,
        index,
        capital=known.kind == "name" or (known.capital and not beginning),
        degree=known.degree,
        number=replace(known.number) if known.number else None,
        weight=known.weight,
    )


@lru_cache(maxsize=20_000)
def _spelled_word(text: str) -> Token:
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
