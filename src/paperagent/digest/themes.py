"""A reader's papers in a few groups with names, which are the same for every reader of a period.

A theme is a phrase of the period (`labels`), so its name is true of each of its papers. Papers that
share no phrase stand together where they are alike, under the best phrase of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.labels import Labels, Phrase

if TYPE_CHECKING:
    from paperagent.types import Matrix

MOST_GROUPS, LARGEST = 5, 4
OTHER = "other"
_ALIKE = 0.45
"""Mean cosine to a group's papers from which a paper that lacks the group's phrase may join them."""
_SALIENT = 3
"""Weight of a phrase in a paper (once in the title, or three times in all) that counts in full."""


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
    drafts = _by_phrase(ranked, labels)
    held = {n for d in drafts for n in d.members}
    for number in (n for n in ranked if n not in held):
        _place(number, drafts, labels, vectors)
    order = {number: place for place, number in enumerate(ranked)}
    for draft in drafts:
        draft.members.sort(key=order.__getitem__)
    drafts.sort(key=lambda d: order[d.members[0]])
    return [Cluster(_key(d.phrases, d.members), _name(d.phrases, labels), tuple(d.members)) for d in drafts]


def _by_phrase(ranked: Sequence[int], labels: Labels) -> list[_Draft]:
    """Return groups of papers that share a phrase, by greedy choice of the phrase that says most."""
    left = list(ranked)
    phrases = {n: labels.of(n) for n in ranked}
    drafts: list[_Draft] = []
    while len(left) > 1 and len(drafts) < MOST_GROUPS:
        value: dict[Phrase, list[tuple[float, int, int]]] = {}
        for place, number in enumerate(left):
            for phrase, held in phrases[number].items():
                salience = min(held.weight, _SALIENT) / _SALIENT
                value.setdefault(phrase, []).append((-salience, place, number))
        best, worth = None, 0.0
        for phrase, holders in value.items():
            if len(holders) < 2 or any(_overlap(phrase, d.phrases[0]) for d in drafts):
                continue
            found = labels.quality(phrase) * -sum(s for s, _, _ in sorted(holders)[:LARGEST])
            if (found, phrase) > (worth, best or ()):
                best, worth = phrase, found
        if best is None:
            break
        members = [number for _, _, number in sorted(value[best])[:LARGEST]]
        drafts.append(_Draft([best], members))
        left = [n for n in left if n not in members]
    return drafts


def _overlap(one: Phrase, other: Phrase) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)


def _place(number: int, drafts: list[_Draft], labels: Labels, vectors: Matrix) -> None:
    """Put a paper that shares no chosen phrase where it fits best, or into a group of its own."""
    rated = sorted(
        ((_fit(number, d, labels, vectors), -i) for i, d in enumerate(drafts) if len(d.members) < LARGEST),
        reverse=True,
    )
    enough = len(drafts) >= MOST_GROUPS
    if rated and (rated[0][0] >= _ALIKE or enough):
        draft = drafts[-rated[0][1]]
    elif enough:
        draft = min(drafts, key=lambda d: len(d.members))
    else:
        draft = _Draft([], [])
        drafts.append(draft)
    draft.members.append(number)
    if not draft.phrases or not any(p in labels.of(number) for p in draft.phrases):
        own = _own(number, labels)
        if own and len(draft.phrases) < 2 and not any(_overlap(own, p) for p in draft.phrases):
            draft.phrases.append(own)


def _fit(number: int, draft: _Draft, labels: Labels, vectors: Matrix) -> float:
    """Return how well a paper goes with a group: mean cosine, more where it holds the group's phrase."""
    cosine = float((vectors[draft.members] @ vectors[number]).mean())
    return cosine + 0.3 * any(p in labels.of(number) for p in draft.phrases)


def _own(number: int, labels: Labels) -> Phrase | None:
    """Return the phrase that says best what a paper is about."""
    found = {p: labels.quality(p) * min(h.weight, _SALIENT) for p, h in labels.of(number).items()}
    return max(found, key=lambda p: (found[p], p)) if found else None


def _key(phrases: Sequence[Phrase], members: Sequence[int]) -> str:
    return "+".join(sorted("-".join(p) for p in phrases)) or f"{OTHER}-{min(members)}"


def _name(phrases: Sequence[Phrase], labels: Labels) -> str:
    return " & ".join(labels.name(p) for p in phrases) or "Also for you"
