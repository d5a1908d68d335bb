"""A reader's papers in a few groups with names, which are the same for every reader of a period.

A theme is a phrase of the period (`labels`), so its name is true of each of its papers. Papers that
share no phrase stand together where they are alike, under the phrase that says most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.select.phrases import Phrase, ThemePhrases, headline

if TYPE_CHECKING:
    from paperagent.types import Matrix

MOST_GROUPS, LARGEST = 5, 4
OTHER, OTHER_NAME, ONLY_NAME = "other", "Also for you", "New papers"
"""A group without a phrase or interest of its own; its name, beside others and alone."""
_ALIKE, _AKIN = 0.18, 0.1
"""How much closer than any two papers those of a group without a common phrase are; a last paper."""
_UNITED, _LOOSE = 0.25, 0.2
"""How much closer than any two papers those of one clear theme are; share of that below which it is none."""
_SALIENT = 3
"""Weight of a phrase in a paper (once in the title, or three times in all) that counts in full."""
_HELD, _ASKED = 0.3, 0.08
"""What it adds to the cosine of groups that one holds the other's phrase; that one interest asks for all."""
_COMMON = 0.5
"""Share of a group's papers that hold its phrase, or a second phrase is named too."""


_Pair = tuple[float, int, int]
"""How well two groups go together, and minus their places."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Papers of one theme, by number, best first."""

    key: str
    name: str
    members: tuple[int, ...]


@dataclass(slots=True)
class _Group:
    """A group being made."""

    phrases: list[Phrase]
    members: list[int]
    key: str = ""
    heading: str = ""


def build_themes(
    ranked: Sequence[int], labels: ThemePhrases, vectors: Matrix, interests: Mapping[int, str]
) -> list[Cluster]:
    """Return the papers ``ranked`` (by number, best first) in at most five groups, the best paper's first.

    Groups have two to four papers where the papers allow it: none is left out to round them off.
    ``interests`` says what a paper was chosen for; it names a group for which no one phrase speaks.
    """
    desk = ThemeBuilder(labels, vectors, interests)
    drafts = desk.by_phrase(ranked)
    grouped = {n for d in drafts for n in d.members}
    drafts += [_Group([], [n]) for n in ranked if n not in grouped]
    desk.join(drafts)
    desk.name(drafts)
    order = {number: place for place, number in enumerate(ranked)}
    for draft in drafts:
        draft.members.sort(key=order.__getitem__)
    drafts.sort(key=lambda d: order[d.members[0]])
    return [Cluster(d.key, d.heading, tuple(d.members)) for d in drafts]


class ThemeBuilder:
    """Groups the papers of one reader."""

    def __init__(self, labels: ThemePhrases, vectors: Matrix, interests: Mapping[int, str]) -> None:
        self._labels, self._vectors, self._interests = labels, vectors, interests

    def by_phrase(self, ranked: Sequence[int]) -> list[_Group]:
        """Return groups of papers that share a phrase, by greedy choice of the phrase that says most."""
        left = list(ranked)
        drafts: list[_Group] = []
        while len(left) > 1 and len(drafts) < MOST_GROUPS:
            best: tuple[float, Phrase, list[int]] = (0.0, (), [])
            for phrase, found in self._holders(left).items():
                if len(found) > 1 and not any(_overlap(phrase, d.phrases[0]) for d in drafts):
                    kept = sorted(found)[:LARGEST]
                    members = [number for _, _, number in kept]
                    salience = -sum(s for s, _, _ in kept)
                    worth = self._labels.quality(phrase) * salience * self._unity(members)
                    if worth > 0:
                        best = max(best, (worth, phrase, members))
            if not best[2]:
                break
            drafts.append(_Group([best[1]], best[2]))
            left = [n for n in left if n not in best[2]]
        return drafts

    def _holders(self, numbers: Sequence[int]) -> dict[Phrase, list[tuple[float, int, int]]]:
        """Return who holds each phrase: minus its salience there, the paper's place, the paper."""
        holders: dict[Phrase, list[tuple[float, int, int]]] = {}
        for place, number in enumerate(numbers):
            for phrase, weight in self._labels.of(number).items():
                holders.setdefault(phrase, []).append((-_salience(weight), place, number))
        return holders

    def _unity(self, members: Sequence[int]) -> float:
        """Return how much closer the members are than any two papers, about 0 to 1; 1 where vectors lack."""
        if not self._labels.background:
            return 1.0
        n = len(members)
        mean = self._vectors[members].mean(axis=0)
        cosine = (float(mean @ mean) - 1 / n) * n / (n - 1)
        unity = min(1.0, (cosine - self._labels.background) / _UNITED)
        asked = [self._interests.get(m, "") for m in members]
        return unity * (max(map(asked.count, asked)) / n) ** 2 if unity >= _LOOSE else 0.0

    def join(self, drafts: list[_Group]) -> None:
        """Join groups, closest first (average linkage), while they are alike or there are too many."""
        while len(drafts) > 1:
            pairs = [
                (self._fit(one, other), -i, -j)
                for i, one in enumerate(drafts)
                for j, other in enumerate(drafts[:i])
                if not (one.phrases and other.phrases)
            ]
            chosen = self._closest(pairs, drafts)
            if chosen is None:
                return
            one, other = drafts[chosen[1]], drafts.pop(chosen[0])
            one.members += other.members
            one.phrases += other.phrases

    def _closest(self, pairs: Sequence[_Pair], drafts: Sequence[_Group]) -> tuple[int, int] | None:
        """Return the two groups to join next, the later first; None where all is well."""
        sizes = [len(d.members) for d in drafts]
        small = [p for p in pairs if sizes[-p[1]] + sizes[-p[2]] <= LARGEST]
        fit, i, j = max(small, default=(-1.0, 0, 0))
        if fit < self._labels.background + (_AKIN if 1 in (sizes[-i], sizes[-j]) else _ALIKE):
            full = [p for p in pairs if self._belongs(drafts[-p[1]], drafts[-p[2]])]
            rest = full or ((small or pairs) if len(drafts) > MOST_GROUPS else [])
            if not rest:
                return None
            _, i, j = max(rest)
        return -i, -j

    def _belongs(self, one: _Group, other: _Group) -> bool:
        """Tell whether a lone paper holds the phrase of a group that is full."""
        if len(one.members) + len(other.members) > LARGEST + 1:
            return False
        lone, group = (one, other) if other.phrases else (other, one)
        return bool(group.phrases) and all(group.phrases[0] in self._labels.of(n) for n in lone.members)

    def _fit(self, one: _Group, other: _Group) -> float:
        """Return the mean cosine between groups, more for a phrase or an interest in common."""
        cosine = float((self._vectors[one.members] @ self._vectors[other.members].T).mean())
        named, bare = (one, other) if one.phrases else (other, one)
        held = [p in self._labels.of(n) for p in named.phrases for n in bare.members]
        asked = {self._interests.get(n, str(n)) for n in (*one.members, *other.members)}
        return cosine + _HELD * (sum(held) / len(held) if held else 0.0) + _ASKED * (len(asked) == 1)

    def name(self, drafts: Sequence[_Group]) -> None:
        """Give each group a key and a heading, no two the same."""
        used = [p for d in drafts for p in d.phrases]
        headings: list[str] = []
        for draft in drafts:
            if not draft.phrases:
                draft.phrases = self._phrases_for(draft.members, used)
                used += draft.phrases
            asked = {self._interests.get(n, "") for n in draft.members}
            interest = asked.pop() if len(asked) == 1 else ""
            if interest and not self._speaks(draft, interest):
                draft.key, draft.heading = f"interest:{interest.casefold()}", headline(interest)
            else:
                draft.key = "+".join(sorted("-".join(p) for p in draft.phrases)) or OTHER
                draft.heading = " & ".join(self._labels.name(p) for p in draft.phrases) or OTHER_NAME
            before = next((h for h in headings if _same_name(h, draft.heading)), None)
            if before and draft.key != OTHER:
                draft.key, draft.heading = f"more:{draft.key}", f"More on {before}"
            headings.append(draft.heading)
        if set(headings) == {OTHER_NAME}:
            for draft in drafts:
                draft.heading = ONLY_NAME

    def _speaks(self, draft: _Group, interest: str) -> bool:
        """Tell whether a group's phrase says more of it than the one interest behind all of it."""
        if len(draft.phrases) != 1:
            return False
        (phrase,) = draft.phrases
        held = sum(phrase in self._labels.of(n) for n in draft.members)
        return held >= _COMMON * len(draft.members) and not _same_name(self._labels.name(phrase), interest)

    def _phrases_for(self, members: Sequence[int], used: Iterable[Phrase]) -> list[Phrase]:
        """Return the phrase that says most of papers put together, or two where one says too little."""
        taken = list(used)
        chosen: list[Phrase] = []
        left = list(members)
        while left and len(chosen) < 2:
            worth: dict[Phrase, float] = {}
            for number in left:
                for phrase, weight in self._labels.of(number).items():
                    worth[phrase] = worth.get(phrase, 0.0) + _salience(weight) * self._labels.quality(phrase)
            fresh = [p for p in worth if not any(_overlap(p, u) for u in (*taken, *chosen))]
            if not fresh:
                break
            chosen.append(max(fresh, key=lambda p: (worth[p], p)))
            left = [n for n in members if all(p not in self._labels.of(n) for p in chosen)]
            if len(left) < _COMMON * len(members):
                break
        return chosen


def _same_name(one: str, other: str) -> bool:
    """Tell whether two names say the same, or one is made of the other's initials."""
    names = {one.casefold(), other.casefold()}
    return len(names) == 1 or bool(names & {_initials(one), _initials(other)})


def _initials(name: str) -> str:
    words = name.casefold().replace("-", " ").split()
    return "".join(word[0] for word in words) if len(words) > 1 else ""


def _salience(weight: int) -> float:
    return min(weight, _SALIENT) / _SALIENT


def _overlap(one: Phrase, other: Phrase) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)
