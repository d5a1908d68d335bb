"""Align a claim with its evidence: which words mean the same, and whether their neighbors agree.

The strength of a match is 1 for the same stem, .9 for a synonym or an acronym of its words, and .8 for
words of one family. `Alignment.neighborhood_fit` measures how well the neighbors of a claim's word agree
with the neighbors of a word of the evidence. Most checks of word order use it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise

from paperagent.verification import numbers
from paperagent.verification.tokens import GROUPS, Text, Token

SAME, SYNONYM, FAMILY = 1.0, 0.9, 0.8
_DISTANCE_FACTORS = (0.0, 1.0, 0.85, 0.7, 0.5, 0.35, 0.2)
"""Factor on a neighbor's weight by its distance (0, 1, 2 … ranks) in the evidence."""
_NEIGHBOR_WEIGHTS = ((1, 1.0), (2, 0.7), (3, 0.45))
"""Distance in the claim → weight."""
_OPPOSITE_SIDE_FACTOR = 0.6
"""Factor for a neighbor that is on the opposite side in the evidence."""
_MIN_SENTENCE_SHARE = 0.15
"""Minimum share of a claim's matched words for it to draw on a sentence."""
_MAX_POSITIONS = 24
"""Maximum number of positions compared per word. Limits the time for a text that repeats one word."""
_MAX_NUMBERS = 200
"""Maximum number of numbers of the evidence that are compared."""
_MAX_NEIGHBOR_GAP = 4
"""Maximum distance in ranks at which neighboring words of a claim count as near in the evidence."""


@dataclass(slots=True)
class Alignment:
    """The content words of a claim matched with those of its evidence."""

    claim: Text
    source: Text
    matching_words: list[list[tuple[int, float]]] = field(default_factory=list)
    """For each rank of the claim: (rank in the evidence, strength)."""
    best: list[tuple[int, float] | None] = field(default_factory=list)
    """For each rank of the claim: the candidate whose neighbors agree best."""
    covered: set[int] = field(default_factory=set)
    """Ranks of the evidence that a claim's word is matched with."""
    coverage: float = 0.0
    """Matched share of the claim's weight, 0..1."""
    copied: float = 0.0
    """Share of tokens, in any order, that the claim and its nearest sentence share, 0..1."""
    agreement: float = 0.0
    """Mean `neighborhood_fit` of the matched words, by weight, 0..1."""
    proximity: float = 0.0
    """Share of neighboring matched words that are also neighbors in the evidence, 0..1."""

    def neighborhood_fit(self, at: int, position: int, skip: Collection[int] = ()) -> float:
        """Return how well the neighbors of claim word ``at`` fit around evidence word ``position``, 0..1."""
        matched = possible = 0.0
        content = self.claim.content
        sentence = content[at].sentence
        for distance, weight in _NEIGHBOR_WEIGHTS:
            for near in (at - distance, at + distance):
                if near < 0 or near >= len(content) or near in skip or content[near].sentence != sentence:
                    continue
                possible += weight
                matched += weight * self._nearness(near, position, before=near < at)
        return matched / possible if possible else 0.0

    def _nearness(self, near: int, position: int, *, before: bool) -> float:
        highest = 0.0
        for other, strength in self.matching_words[near]:
            gap = other - position
            if gap and -7 < gap < 7:
                value = strength * _DISTANCE_FACTORS[abs(gap)]
                if (gap < 0) is not before:
                    value *= _OPPOSITE_SIDE_FACTOR
                highest = max(highest, value)
        return highest

    def accept(self, rank: int, position: int) -> None:
        """Match a claim's word with a word of the evidence (a negated opposite)."""
        if self.best[rank] is None:
            weight = sum(t.weight for t in self.claim.content)
            self.coverage += FAMILY * self.claim.content[rank].weight / weight
        self.matching_words[rank].append((position, FAMILY))
        self.best[rank] = (position, FAMILY)
        self.covered.add(position)


def align(claim: Text, source: Text) -> Alignment:
    """Return the alignment of an analyzed claim with its analyzed evidence."""
    alignment = Alignment(claim, source)
    matches: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for token in claim.content:
        key = (token.kind, str(token.number) if token.number else token.stem)
        if key not in matches:
            matches[key] = find_matching_words(token, source)[:_MAX_POSITIONS]
        alignment.matching_words.append([*matches[key]])
    _match_compounds(alignment)
    _match_acronyms(alignment)
    for rank, places in enumerate(alignment.matching_words):
        alignment.best.append(_choose(alignment, rank, places))
    alignment.covered = {position for one in alignment.best if one for position in (one[0],)}
    total = sum(t.weight for t in claim.content)
    covered_weight = sum(t.weight * b[1] for t, b in zip(claim.content, alignment.best, strict=True) if b)
    alignment.coverage = covered_weight / total if total else 0.0
    alignment.agreement = _agreement(alignment) / total if total else 0.0
    alignment.proximity = _proximity(alignment)
    alignment.copied = _copied(alignment)
    return alignment


def _choose(alignment: Alignment, rank: int, places: list[tuple[int, float]]) -> tuple[int, float] | None:
    if len(places) < 2:
        return places[0] if places else None
    return max(places, key=lambda c: (c[1] + alignment.neighborhood_fit(rank, c[0]), -c[0]))


def find_matching_words(token: Token, source: Text) -> list[tuple[int, float]]:
    """Return the words of ``source`` that mean the same as ``token``, as (rank, strength)."""
    if token.kind == "number":
        return [(t.rank, SAME) for t in source.numbers[:_MAX_NUMBERS] if _same_number(token, t)]
    same = source.by_stem.get(token.stem, ())
    places = [(rank, SAME) for rank in same]
    if token.kind == "name":
        return places or _longer_name(token, source)
    matched_ranks = set(same)
    for group in GROUPS.get(token.stem, ()):
        for rank in source.by_group.get(group, ()):
            if rank not in matched_ranks:
                matched_ranks.add(rank)
                places.append((rank, SYNONYM))
    if not places:
        places = [
            (r, FAMILY)
            for r in source.by_head.get(token.stem[:4], ())
            if same_family(token.stem, source.content[r].stem)
        ]
    return places


def _same_number(claim: Token, source: Token) -> bool:
    return bool(claim.number and source.number and numbers.same_value(claim.number, source.number))


def same_family(one: str, other: str) -> bool:
    """Return whether two stems share a prefix of at least four letters and 60 % of the longer stem."""
    short, long = sorted((one, other), key=len)
    if len(short) < 4:
        return False
    shared = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    return shared >= max(4, 0.6 * len(long)) and not _has_negative_suffix(long, shared)


def _has_negative_suffix(stem: str, shared: int) -> bool:
    return stem[shared:].startswith("less")


def _longer_name(token: Token, source: Text) -> list[tuple[int, float]]:
    """Find ``LLaMA3`` in ``LLaMA3-8B``: the same name with a model size."""
    places = []
    for t in source.content:
        if t.kind == "name" and t.stem != token.stem and t.stem.startswith(token.stem):
            suffix = t.stem[len(token.stem) :]
            if (
                suffix.rstrip("bm").isdigit()
                and suffix[-1] in "bm"
                and not (suffix[0].isdigit() and "-" not in t.text)
            ):
                places.append((t.rank, FAMILY))
    return places


def _match_compounds(alignment: Alignment) -> None:
    """Match ``fine tune`` with ``finetune`` and ``data set`` with ``dataset``, both ways."""
    for one, other, forward in (
        (alignment.claim, alignment.source, True),
        (alignment.source, alignment.claim, False),
    ):
        for left, right in pairwise(one.content):
            if left.kind == "number" or right.kind == "number" or right.index - left.index > 1:
                continue
            joined = other.by_stem.get(_joined(left, right))
            if not joined:
                continue
            for rank in joined:
                for mine in (left.rank, right.rank):
                    if forward and not alignment.matching_words[mine]:
                        alignment.matching_words[mine].append((rank, SYNONYM))
                    elif not forward and not alignment.matching_words[rank]:
                        alignment.matching_words[rank].append((mine, SYNONYM))


def _joined(left: Token, right: Token) -> str:
    return left.lower + right.stem


def _match_acronyms(alignment: Alignment) -> None:
    """Match ``LLM`` with *large language model*, both ways."""
    for token in alignment.claim.content:
        if token.kind == "name" and not alignment.matching_words[token.rank] and token.stem.isalpha():
            for start in acronym_positions(token.stem, alignment.source):
                alignment.matching_words[token.rank] += [(start + i, SYNONYM) for i in range(len(token.stem))]
    for token in alignment.source.content:
        if token.kind == "name" and token.stem.isalpha() and 2 <= len(token.stem) <= 6:
            for start in acronym_positions(token.stem, alignment.claim):
                for mine in range(start, start + len(token.stem)):
                    if not alignment.matching_words[mine]:
                        alignment.matching_words[mine].append((token.rank, SYNONYM))


def acronym_positions(acronym: str, text: Text) -> list[int]:
    """Return the ranks at which the words of ``text`` begin with the letters of ``acronym``."""
    starts = []
    at = text.initials.find(acronym) if 2 <= len(acronym) <= 6 else -1
    while at >= 0:
        span = text.content[at : at + len(acronym)]
        if all(t.kind == "word" for t in span):
            starts.append(at)
        at = text.initials.find(acronym, at + 1)
    return starts


def _agreement(alignment: Alignment) -> float:
    """Sum the fit of the matched words. A verbatim sentence reaches about .9 per word, which counts as 1."""
    return sum(
        t.weight * min(1.0, alignment.neighborhood_fit(t.rank, b[0]) / 0.9)
        for t, b in zip(alignment.claim.content, alignment.best, strict=True)
        if b
    )


def tokens_drawn_on(alignment: Alignment) -> list[Token]:
    """Return the tokens of the sentences that the claim draws on."""
    matches = Counter(alignment.source.content[best[0]].sentence for best in alignment.best if best)
    drawn = {s for s, count in matches.items() if count >= _MIN_SENTENCE_SHARE * matches.total()}
    return [t for t in alignment.source.tokens if t.sentence in drawn]


def _copied(alignment: Alignment) -> float:
    theirs, mine = (
        Counter(t.stem for t in tokens_drawn_on(alignment)),
        Counter(t.stem for t in alignment.claim.tokens),
    )
    return (theirs & mine).total() / max(1, theirs.total(), mine.total())


def _proximity(alignment: Alignment) -> float:
    """Measure neighbors over matched words only; `Alignment.coverage` accounts for the others."""
    places = [(b[0], r) for r, b in enumerate(alignment.best) if b]
    pairs = list(pairwise(places))
    if not pairs:
        return 1.0 if places else 0.0
    near = 0
    for (_, rank), (_, following) in pairs:
        near += (
            any(
                abs(x - y) <= _MAX_NEIGHBOR_GAP
                for x, _ in alignment.matching_words[rank]
                for y, _ in alignment.matching_words[following]
                if x != y
            )
            or alignment.best[rank] == alignment.best[following]
        )
    return near / len(pairs)


@dataclass(frozen=True, slots=True)
class VerbatimRun:
    """Tokens of a claim that follow one another in the same order in a sentence of the evidence."""

    start: int
    length: int
    sentence: int


def runs(alignment: Alignment, shortest: int = 3) -> list[VerbatimRun]:
    """Return the longest verbatim runs of the claim with at least ``shortest`` tokens, from left to right."""
    mine, theirs = alignment.claim.tokens, alignment.source.tokens
    places: dict[str, list[int]] = {}
    for index, token in enumerate(theirs):
        places.setdefault(token.stem, []).append(index)
    verbatim_runs: list[VerbatimRun] = []
    at = 0
    while at < len(mine):
        best = VerbatimRun(at, 0, 0)
        for position in places.get(mine[at].stem, ())[:_MAX_POSITIONS]:
            length = 0
            while (
                at + length < len(mine)
                and position + length < len(theirs)
                and mine[at + length].stem == theirs[position + length].stem
                and theirs[position + length].sentence == theirs[position].sentence
            ):
                length += 1
            if length > best.length:
                best = VerbatimRun(at, length, theirs[position].sentence)
        if best.length >= shortest:
            verbatim_runs.append(best)
        at += max(1, best.length if best.length >= shortest else 1)
    return verbatim_runs
