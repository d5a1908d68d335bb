"""A reader's papers in a few groups with names, which are the same for every reader of a period.

A theme is a phrase of the period (`labels`), so its name is true of each of its papers. Papers that
share no phrase stand together where they are alike, under the phrase that says most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.labels import Labels
from paperagent.digest.phrases import Phrase

if TYPE_CHECKING:
    from paperagent.types import Matrix

MOST_GROUPS, LARGEST = 5, 4
_ALIKE, _AKIN = 0.18, 0.1
"""How much closer than any two papers those of a group without a common phrase are; a last paper."""
_UNITED, _LOOSE = 0.25, 0.2
"""How much closer than any two papers those of one clear theme are; share of that below which it is none."""
_SALIENT = 3
"""Weight of a phrase in a paper (once in the title, or three times in all) that counts in full."""
_COMMON = 0.5
"""Share of a group's papers that hold its phrase, or a second phrase is named too."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Papers of one theme, by number, best first."""

    key: str
    name: str
    members: tuple[int, ...]


@dataclass(slots=True)
class _Draft:
    """A group being made."""

    phrases: list[Phrase]
    members: list[int]


def cluster(ranked: Sequence[int], labels: Labels, vectors: Matrix) -> list[Cluster]:
    """Return the papers ``ranked`` (by number, best first) in at most five groups, the best paper's first.

    Groups have two to four papers where the papers allow it: none is left out to round them off.
    """
    drafts = _by_phrase(ranked, labels, vectors)
    grouped = {n for d in drafts for n in d.members}
    drafts += [_Draft([], [n]) for n in ranked if n not in grouped]
    _join(drafts, labels, vectors)
    for draft in drafts:
        if not draft.phrases:
            draft.phrases = _phrases_for(draft.members, labels, [p for d in drafts for p in d.phrases])
    order = {number: place for place, number in enumerate(ranked)}
    for draft in drafts:
        draft.members.sort(key=order.__getitem__)
    drafts.sort(key=lambda d: order[d.members[0]])
    return [Cluster(_key(d.phrases), _name(d.phrases, labels), tuple(d.members)) for d in drafts]


def _by_phrase(ranked: Sequence[int], labels: Labels, vectors: Matrix) -> list[_Draft]:
    """Return groups of papers that share a phrase, by greedy choice of the phrase that says most."""
    left = list(ranked)
    drafts: list[_Draft] = []
    while len(left) > 1 and len(drafts) < MOST_GROUPS:
        holders: dict[Phrase, list[tuple[float, int, int]]] = {}
        for place, number in enumerate(left):
            for phrase, weight in labels.of(number).items():
                holders.setdefault(phrase, []).append((-_salience(weight), place, number))
        best: tuple[float, Phrase, list[int]] = (0.0, (), [])
        for phrase, found in holders.items():
            if len(found) > 1 and not any(_overlap(phrase, d.phrases[0]) for d in drafts):
                kept = sorted(found)[:LARGEST]
                members = [number for _, _, number in kept]
                worth = (
                    labels.quality(phrase) * -sum(s for s, _, _ in kept) * _unity(members, labels, vectors)
                )
                if worth > 0:
                    best = max(best, (worth, phrase, members))
        if not best[2]:
            break
        drafts.append(_Draft([best[1]], best[2]))
        left = [n for n in left if n not in best[2]]
    return drafts


def _salience(weight: int) -> float:
    return min(weight, _SALIENT) / _SALIENT


def _unity(members: Sequence[int], labels: Labels, vectors: Matrix) -> float:
    """Return how much closer the members are than any two papers, about 0 to 1; 1 where vectors lack."""
    rows = vectors[members]
    if not labels.background:
        return 1.0
    n = len(members)
    mean = rows.mean(axis=0)
    cosine = (float(mean @ mean) - 1 / n) * n / (n - 1)
    unity = min(1.0, (cosine - labels.background) / _UNITED)
    return unity if unity >= _LOOSE else 0.0


def _overlap(one: Phrase, other: Phrase) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)


def _join(drafts: list[_Draft], labels: Labels, vectors: Matrix) -> None:
    """Join groups, closest first (average linkage), while they are alike or there are too many."""
    while len(drafts) > 1:
        pairs = [
            (_fit(one, other, labels, vectors), -i, -j)
            for i, one in enumerate(drafts)
            for j, other in enumerate(drafts[:i])
            if not (one.phrases and other.phrases)
        ]
        crowded = len(drafts) > MOST_GROUPS
        small = [p for p in pairs if len(drafts[-p[1]].members) + len(drafts[-p[2]].members) <= LARGEST]
        fit, i, j = max(small or (pairs if crowded else []), default=(-1.0, 0, 0))
        alone = 1 in (len(drafts[-i].members), len(drafts[-j].members))
        if not crowded and fit < labels.background + (_AKIN if alone else _ALIKE):
            full = [p for p in pairs if _holds_all(drafts[-p[1]], drafts[-p[2]], labels)]
            if not full:
                return
            fit, i, j = max(full)
        one, other = drafts[-j], drafts[-i]
        one.members += other.members
        one.phrases += other.phrases
        del drafts[-i]


def _holds_all(one: _Draft, other: _Draft, labels: Labels) -> bool:
    """Tell whether a lone paper holds the phrase of a group that is full."""
    if len(one.members) + len(other.members) > LARGEST + 1:
        return False
    lone, group = (one, other) if other.phrases else (other, one)
    return bool(group.phrases) and all(group.phrases[0] in labels.of(n) for n in lone.members)


def _fit(one: _Draft, other: _Draft, labels: Labels, vectors: Matrix) -> float:
    """Return the mean cosine between two groups, more where one holds the other's phrase."""
    cosine = float((vectors[one.members] @ vectors[other.members].T).mean())
    named, bare = (one, other) if one.phrases else (other, one)
    held = [p in labels.of(n) for p in named.phrases for n in bare.members]
    return cosine + (0.3 * sum(held) / len(held) if held else 0.0)


def _phrases_for(members: Sequence[int], labels: Labels, taken: Iterable[Phrase]) -> list[Phrase]:
    """Return the phrase that says most of papers that were put together, or two where one says too little."""
    used = list(taken)
    chosen: list[Phrase] = []
    left = list(members)
    while left and len(chosen) < 2:
        worth: dict[Phrase, float] = {}
        for number in left:
            for phrase, held in labels.of(number).items():
                worth[phrase] = worth.get(phrase, 0.0) + _salience(held) * labels.quality(phrase)
        fresh = [p for p in worth if not any(_overlap(p, u) for u in (*used, *chosen))]
        if not fresh:
            break
        chosen.append(max(fresh, key=lambda p: (worth[p], p)))
        left = [n for n in members if all(p not in labels.of(n) for p in chosen)]
        if len(left) < _COMMON * len(members):
            break
    return chosen


def _key(phrases: Sequence[Phrase]) -> str:
    return "+".join(sorted("-".join(p) for p in phrases)) or "other"


def _name(phrases: Sequence[Phrase], labels: Labels) -> str:
    return " & ".join(labels.name(p) for p in phrases) or "Also for you"
