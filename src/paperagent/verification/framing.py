"""Find statements that are firmer than the evidence, dropped aims, invented causes and splices.

A claim may leave out a hedge, turn *some* into *all*, or state as a finding what the evidence only asks
("we investigate whether"). It may invent a cause, or splice two sentences into a third. None of these changes
a word of the finding itself. `additions` finds the frames that a claim adds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile

from paperagent.verification.alignment import Alignment, VerbatimRun, runs
from paperagent.verification.context import Context
from paperagent.verification.lexicon import HEDGES, SOFT_HEDGES, STRENGTH_TWINS, STRENGTHENERS
from paperagent.verification.tokens import Text, Token, lemma


def _any_of(alternatives: str) -> re.Pattern[str]:
    """Return a pattern that matches any of the alternatives (one per line) at the start of a word."""
    lines = [line.strip() for line in alternatives.strip().splitlines()]
    return re.compile(rf"\b(?:{'|'.join(lines)})", re.IGNORECASE)


_AIMS = _any_of(
    r"""
    whether\b
    (?:aims?|aimed|aiming) (?:to|at)\b
    (?:goals?|objectives?) (?:is|was|are)\b
    (?:hypothes[ei]|conjectur)\w*
    (?:seeks?|sought|attempts?|attempted|tries|tried) to\b
    (?:unclear|unknown|open question|remains to be|future work)\b
    asks? (?:if|how|what|which)\b
    (?:investigate|examine|explore|study|test|assess|determine|consider)\w* (?:if|how)\b
    (?:suppose|assume|believed|expected|thought|said|argued|claimed) (?:that|to)\b
    """
)
_AIM_WORDS = _any_of(
    r"""
    (?:whether|if|how)\b
    (?:aim|goal|objective|hypothes|conjectur|seek|sought|attempt|unclear|unknown|open question|remain|future)
    tr(?:y|ies|ied)\b
    (?:ask|investigat|examin|explor|test|assess|determin|consider|suppos|assum|believ|expect|thought|said|argu)
    stud(?:y|ies|ied)
    (?:claim|evaluat|analy|target|designed|intend|want)
    """
)
"""Words that mark a claim as a question or an intention."""
_FRONTED = re.compile(r"(?:in order )?to\b|\w+ing\b", re.IGNORECASE)
_MAIN_CLAUSE = re.compile(r",\s+(?:we|our|the|this|it|and|by)\b", re.IGNORECASE)
"""Matches the end of a purpose clause at the start of a sentence ("To determine whether …, we …")."""
_CLAIMS_CAUSE = _any_of(
    r"""
    (?:because|therefore|hence|thereby|consequently)\b
    caus(?:e|es|ed|ing)\b
    (?:stems?|arises?) from\b
    (?:is why|the reason|responsible for|is explained by|attributable to|driven by)\b
    (?:due|owing|thanks) to\b
    as a result\b
    """
)
_CAUSES = _any_of(
    r"""
    (?:because|since|therefore|hence|thereby|consequently|so|thus|as|via|through|why|reason|from)\b
    (?:caus|attribut|explain|enabl|allow|contribut|trigger|induc|improv|reduc|increas|result|lead)\w*
    led to\b
    (?:stems?|arises?|driven|due|owing|thanks|responsible)\b
    mak(?:e|es|ing) \w+
    by \w+ing\b
    """
)
"""Words that may imply a cause. A claim may state that cause explicitly."""
_MIN_WEIGHT = 0.5
"""Minimum weight of a meaningful content word."""
_MIN_VERBATIM_SHARE = 0.65
"""Minimum share of a claim's tokens in verbatim runs for the words between the runs to count as added."""
_MIN_SPLICED_SHARE = 0.85
"""Minimum share of a claim's tokens in verbatim runs for it to count as pasted from two sentences. At 0.85,
this is true of 1 % of 485 honest claims, and of 99.7 % of 600 claims that join halves of two sentences."""
_MAX_SENTENCE_SHARE = 0.85
"""Minimum share of a claim's tokens in one sentence when it copies from several."""


def changed_frames(alignment: Alignment, context: Context) -> Iterator[str]:
    """Yield a reason for a dropped aim, an invented cause, a splice, and a word added to a copy."""
    aim = _dropped_aim(alignment)
    if aim:
        yield f"the cited sentence states a question or an aim (“{aim}”), not a finding"
    cause = _CLAIMS_CAUSE.search(alignment.claim.plain)
    if cause and not _CAUSES.search(_text_drawn_on(alignment)):
        yield f"“{cause[0]}” states a cause that the cited sentence does not state"
    copies = runs(alignment)
    copied = sum(run.length for run in copies) / max(1, len(alignment.claim.tokens))
    if copied >= _MIN_SPLICED_SHARE and (seam := _seam(alignment, copies)):
        yield f"joins parts of two sentences (“{seam}”)"
    if copied >= _MIN_VERBATIM_SHARE and (word := _inserted_word(alignment, context)):
        yield f"“{word}” is added to the words of the cited sentence"


def _text_drawn_on(alignment: Alignment) -> str:
    """Return the text of the evidence sentences that share words with the claim."""
    drawn = {alignment.source.content[best[0]].sentence for best in alignment.best if best}
    return " ".join(t.text for t in alignment.source.tokens if t.sentence in drawn)


def _dropped_aim(alignment: Alignment) -> str:
    """Return the aim or question of the evidence that the claim drops, or an empty string."""
    source_text = alignment.source.plain.lower()
    if any(word.lower() not in source_text for word in _AIM_WORDS.findall(alignment.claim.plain)):
        return ""
    aims = len(_AIMS.findall(alignment.claim.plain))
    for sentence, ranks in _ranks_by_sentence(alignment).items():
        text, starts = _sentence_text(alignment.source, sentence)
        aim = _AIMS.search(text)
        if (
            aim
            and len(_AIMS.findall(text)) > aims
            and len(ranks) * 2 >= sum(b is not None for b in alignment.best)
        ):
            main = _MAIN_CLAUSE.search(text, aim.end()) if _FRONTED.match(text) else None
            end = main.start() if main else len(text)
            after = [r for r in ranks if aim.start() <= starts[alignment.source.content[r].index] < end]
            if len(after) * 2 > len(ranks):
                return aim[0]
    return ""


def _sentence_text(text: Text, sentence: int) -> tuple[str, dict[int, int]]:
    """Return a sentence as text with its punctuation, and where each of its tokens begins in it."""
    spelled, starts = "", {}
    first = bisect_left(text.tokens, sentence, key=lambda token: token.sentence)
    for token in takewhile(lambda token: token.sentence == sentence, text.tokens[first:]):
        spelled += f"{token.gap} " if spelled else ""
        starts[token.index] = len(spelled)
        spelled += token.text
    return spelled, starts


def _ranks_by_sentence(alignment: Alignment) -> dict[int, list[int]]:
    ranks: dict[int, list[int]] = {}
    for best in alignment.best:
        if best:
            ranks.setdefault(alignment.source.content[best[0]].sentence, []).append(best[0])
    return ranks


def _seam(alignment: Alignment, copies: Sequence[VerbatimRun]) -> str:
    """Return where a claim joins parts of several sentences, none of which contains all of it."""
    total = len(alignment.claim.tokens)
    by_sentence: dict[int, int] = {}
    for run in copies:
        by_sentence[run.sentence] = by_sentence.get(run.sentence, 0) + run.length
    if len(by_sentence) < 2 or max(by_sentence.values()) >= _MAX_SENTENCE_SHARE * total:
        return ""
    for one, other in pairwise(copies):
        if one.sentence != other.sentence:
            last = alignment.claim.tokens[one.start + one.length - 1]
            return f"{last.text} … {alignment.claim.tokens[other.start].text}"
    return ""


def _inserted_word(alignment: Alignment, context: Context) -> str:
    """Return a word of the claim that is nowhere in the paper. Names are checked separately."""
    for token in alignment.claim.content:
        if token.kind != "word" or token.capital:
            continue
        if alignment.best[token.rank] is None and token.weight >= _MIN_WEIGHT and not context.mentions(token):
            return token.text
    return ""


_HEDGE_SCOPE = 4
"""Number of content words after a hedge that it qualifies; it also qualifies two before it."""
_NEAR_COPY = 0.8
"""Minimum share of equal tokens for a near copy."""
_REPLACEMENT_KINDS = {
    "possible": ("likely", "suggest", "some"),
    "likely": ("possible", "suggest", "often"),
    "suggest": ("possible", "likely", "tentative"),
    "often": ("some", "possible", "likely", "suggest"),
    "some": ("possible", "often"),
    "tentative": ("possible", "suggest", "likely"),
    "almost": ("often",),
}
"""Kind of hedge → the kinds that may replace it."""
_TWINS_OF: dict[str, frozenset[str]] = {}
for _twins in STRENGTH_TWINS:
    for _word in _twins:
        _TWINS_OF[_word] = _TWINS_OF.get(_word, frozenset()) | _twins


def dropped_hedges(alignment: Alignment) -> Iterator[str]:
    """Yield a reason for each hedge of the evidence that the claim drops.

    Hedges are paired one to one: the same word first, then words of one kind, then kinds that may
    replace each other (*may* for *results suggest*).
    """
    mine = [
        t.lower
        for t in alignment.claim.tokens
        if t.lower in HEDGES and not _precedes_number(alignment.claim, t)
    ]
    unmatched = []
    for token in alignment.source.tokens:
        if token.lower in HEDGES and not _precedes_number(alignment.source, token):
            if token.lower in mine:
                mine.remove(token.lower)
            elif token.lower in SOFT_HEDGES or (token.lower == "some" and alignment.copied < _NEAR_COPY):
                continue  # "some methods that …" may become "methods that …"
            elif _states_hedged_words(alignment, token):
                unmatched.append(token)
    kinds = Counter(HEDGES[w] for w in mine)
    unmatched = [t for t in unmatched if not _take(kinds, HEDGES[t.lower])]
    for token in unmatched:
        if not any(_take(kinds, kind) for kind in _REPLACEMENT_KINDS.get(HEDGES[token.lower], ())):
            yield f"the cited sentence is more careful (“{token.text}”)"


def _take(kinds: Counter[str], kind: str) -> bool:
    if kinds[kind] < 1:
        return False
    kinds[kind] -= 1
    return True


def _precedes_number(text: Text, token: Token) -> bool:
    """Return whether a word such as *about* precedes a number, in which case `numbers` checks it."""
    following = text.tokens[token.index + 1 : token.index + 2]
    return bool(following and following[0].number and following[0].number.mark)


def _states_hedged_words(alignment: Alignment, hedge: Token) -> bool:
    """Return whether the claim repeats the words that the hedge qualifies."""
    first = hedge.rank + 1 if hedge.rank >= 0 else alignment.source.rank_after(hedge.index)
    scope = [
        t.rank
        for t in alignment.source.content[max(0, first - 2) : first + _HEDGE_SCOPE]
        if t.rank != hedge.rank
        and (t.clause == hedge.clause or (t.rank == first and t.sentence == hedge.sentence))
    ]
    after = [r for r in scope if r >= first]
    repeated = [r for r in after if r in alignment.covered]
    if hedge.rank in alignment.covered:
        return False
    return (
        len(repeated) * 2 >= len(after) and bool(repeated)
        if after
        else any(r in alignment.covered for r in scope)
    )


def overstatements(alignment: Alignment) -> Iterator[str]:
    """Yield a reason for each word of the claim that claims more than the evidence."""
    source_words = alignment.source.lowers
    for token in alignment.claim.tokens:
        word = token.lower
        if (
            word in STRENGTHENERS
            and word not in source_words
            and not (_TWINS_OF.get(word, frozenset()) & source_words)
        ):
            if alignment.source.by_stem.get(lemma(word)[0]):
                continue
            if word in ("any", "all", "every") and _denied_near(alignment.claim, token):
                continue
            if word == "only" and _before_number(alignment.claim, token):
                continue  # the claim may call an amount small
            yield f"“{token.text}” claims more than the cited sentence"
        elif token.degree == 2 and token.rank >= 0 and _is_raised_to_superlative(alignment, token):
            yield f"“{token.text}” claims more than the cited sentence"


def _is_raised_to_superlative(alignment: Alignment, token: Token) -> bool:
    best = alignment.best[token.rank]
    if best is None:
        return False
    return (
        alignment.source.content[best[0]].degree < 2
        and not any(t.degree == 2 for t in alignment.source.content)
        and best[1] == 1.0
    )


def _before_number(text: Text, token: Token) -> bool:
    return any(t.number for t in text.tokens[token.index + 1 : token.index + 4])


def _denied_near(text: Text, token: Token) -> bool:
    before = text.tokens[max(0, token.index - 6) : token.index]
    return any(t.lower in ("not", "no", "without", "never", "nor") for t in before)
