"""Group the papers of an issue by theme. Themes have the same names for all subscribers of a period.

A theme is a phrase of the period (`phrases`), so its name is true of its papers. Papers that share no
phrase form a group if they are similar, named after the phrase that says most about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.issue import ONLY_NAME, OTHER_NAME
from paperagent.digest.select.phrases import Phrase, ThemePhrases, title_case

if TYPE_CHECKING:
    from paperagent.types import Matrix

MAX_THEMES, MAX_THEME_SIZE = 5, 4
OTHER = "other"
"""The key of a group without a phrase or interest of its own."""
_MIN_LINKAGE, _MIN_SINGLE_LINKAGE = 0.18, 0.1
"""How much the cosine of groups without a common phrase must exceed that of any two papers to be joined; the
same if one of them is a single paper."""
_FULL_COHESION, _MIN_COHESION = 0.25, 0.2
"""How much the cosine of a clear theme's papers exceeds that of any two; the share of that below which the
papers are no theme."""
_FULL_WEIGHT = 3
"""Weight of a phrase in a paper (once in the title, or three times in all) that counts in full."""
_SHARED_PHRASE, _SHARED_INTEREST = 0.3, 0.08
"""Bonus on the cosine of two groups for a phrase in common, and for an interest in common."""
_MIN_PHRASE_SHARE = 0.5
"""Share of a group's papers that contain its phrase, below which a second phrase is added to the name."""


_Pair = tuple[float, int, int]
"""How well two groups fit, and their negated indexes."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The numbers of one theme's papers, best first."""

    key: str
    name: str
    members: tuple[int, ...]


@dataclass(slots=True)
class _Group:
    """A theme under construction."""

    phrases: list[Phrase]
    members: list[int]
    key: str = ""
    name: str = ""


def build_themes(
    ranked: Sequence[int], phrases: ThemePhrases, vectors: Matrix, interests: Mapping[int, str]
) -> list[Cluster]:
    """Return the papers in at most five themes, the one with the best paper first.

    Themes have two to four papers where possible. Every paper is in one.

    Args:
        ranked: The numbers of the papers, best first.
        phrases: The phrases of the period's papers.
        vectors: The unit vectors of the period's papers, shape [n, dim].
        interests: For each paper number, the interest that the paper was selected for. Names groups without a
            phrase.
    """
    builder = _ThemeBuilder(phrases, vectors, interests)
    groups = builder.group_by_phrase(ranked)
    grouped = {n for g in groups for n in g.members}
    groups += [_Group([], [n]) for n in ranked if n not in grouped]
    builder.join(groups)
    builder.name(groups)
    rank = {number: position for position, number in enumerate(ranked)}
    for group in groups:
        group.members.sort(key=rank.__getitem__)
    groups.sort(key=lambda g: rank[g.members[0]])
    return [Cluster(g.key, g.name, tuple(g.members)) for g in groups]


class _ThemeBuilder:
    """Groups the papers of one issue."""

    def __init__(self, phrases: ThemePhrases, vectors: Matrix, interests: Mapping[int, str]) -> None:
        self._phrases, self._vectors, self._interests = phrases, vectors, interests

    def group_by_phrase(self, ranked: Sequence[int]) -> list[_Group]:
        """Return groups of papers that share a phrase, chosen greedily by how much it says about them."""
        remaining = list(ranked)
        groups: list[_Group] = []
        while len(remaining) > 1 and len(groups) < MAX_THEMES:
            best: tuple[float, Phrase, list[int]] = (0.0, (), [])
            for phrase, papers in self._papers_by_phrase(remaining).items():
                if len(papers) > 1 and not any(_overlap(phrase, g.phrases[0]) for g in groups):
                    top = sorted(papers)[:MAX_THEME_SIZE]
                    members = [number for _, _, number in top]
                    salience = -sum(s for s, _, _ in top)
                    value = self._phrases.quality(phrase) * salience * self._unity(members)
                    if value > 0:
                        best = max(best, (value, phrase, members))
            if not best[2]:
                break
            groups.append(_Group([best[1]], best[2]))
            remaining = [n for n in remaining if n not in best[2]]
        return groups

    def _papers_by_phrase(self, numbers: Sequence[int]) -> dict[Phrase, list[tuple[float, int, int]]]:
        """Return the papers of each phrase as sortable tuples (-salience, rank, number)."""
        papers: dict[Phrase, list[tuple[float, int, int]]] = {}
        for rank, number in enumerate(numbers):
            for phrase, weight in self._phrases.of(number).items():
                papers.setdefault(phrase, []).append((-_salience(weight), rank, number))
        return papers

    def _unity(self, members: Sequence[int]) -> float:
        """Return how much closer the members are than any two papers, about 0 to 1; 1 without vectors."""
        if not self._phrases.background:
            return 1.0
        n = len(members)
        mean = self._vectors[members].mean(axis=0)
        cosine = (float(mean @ mean) - 1 / n) * n / (n - 1)
        unity = min(1.0, (cosine - self._phrases.background) / _FULL_COHESION)
        interests = [self._interests.get(m, "") for m in members]
        return unity * (max(map(interests.count, interests)) / n) ** 2 if unity >= _MIN_COHESION else 0.0

    def join(self, groups: list[_Group]) -> None:
        """Join groups, closest first (average linkage), while they are similar or too many."""
        while len(groups) > 1:
            pairs = [
                (self._fit(one, other), -i, -j)
                for i, one in enumerate(groups)
                for j, other in enumerate(groups[:i])
                if not (one.phrases and other.phrases)
            ]
            closest = self._closest(pairs, groups)
            if closest is None:
                return
            one, other = groups[closest[1]], groups.pop(closest[0])
            one.members += other.members
            one.phrases += other.phrases

    def _closest(self, pairs: Sequence[_Pair], groups: Sequence[_Group]) -> tuple[int, int] | None:
        """Return the indexes of the two groups to join next, the later first; None to stop."""
        sizes = [len(g.members) for g in groups]
        small = [p for p in pairs if sizes[-p[1]] + sizes[-p[2]] <= MAX_THEME_SIZE]
        fit, i, j = max(small, default=(-1.0, 0, 0))
        single = 1 in (sizes[-i], sizes[-j])
        if fit < self._phrases.background + (_MIN_SINGLE_LINKAGE if single else _MIN_LINKAGE):
            belonging = [p for p in pairs if self._belongs(groups[-p[1]], groups[-p[2]])]
            remaining = belonging or ((small or pairs) if len(groups) > MAX_THEMES else [])
            if not remaining:
                return None
            _, i, j = max(remaining)
        return -i, -j

    def _belongs(self, one: _Group, other: _Group) -> bool:
        """Return whether a single paper contains the phrase of a group that is already full."""
        if len(one.members) + len(other.members) > MAX_THEME_SIZE + 1:
            return False
        single, group = (one, other) if other.phrases else (other, one)
        return bool(group.phrases) and all(group.phrases[0] in self._phrases.of(n) for n in single.members)

    def _fit(self, one: _Group, other: _Group) -> float:
        """Return the mean cosine between two groups, raised by a phrase or an interest in common."""
        cosine = float((self._vectors[one.members] @ self._vectors[other.members].T).mean())
        named, unnamed = (one, other) if one.phrases else (other, one)
        shared = [p in self._phrases.of(n) for p in named.phrases for n in unnamed.members]
        interests = {self._interests.get(n, str(n)) for n in (*one.members, *other.members)}
        by_phrase = _SHARED_PHRASE * (sum(shared) / len(shared) if shared else 0.0)
        return cosine + by_phrase + _SHARED_INTEREST * (len(interests) == 1)

    def name(self, groups: Sequence[_Group]) -> None:
        """Give each group a key and a name; no two names are the same."""
        used = [p for g in groups for p in g.phrases]
        names: list[str] = []
        for group in groups:
            if not group.phrases:
                group.phrases = self._phrases_for(group.members, used)
                used += group.phrases
            interests = {self._interests.get(n, "") for n in group.members}
            interest = interests.pop() if len(interests) == 1 else ""
            if interest and not self._says_more(group, interest):
                group.key, group.name = f"interest:{interest.casefold()}", title_case(interest)
            else:
                group.key = "+".join(sorted("-".join(p) for p in group.phrases)) or OTHER
                group.name = " & ".join(self._phrases.name(p) for p in group.phrases) or OTHER_NAME
            earlier = next((name for name in names if _same_name(name, group.name)), None)
            if earlier and group.key != OTHER:
                group.key, group.name = f"more:{group.key}", f"More on {earlier}"
            names.append(group.name)
        if set(names) == {OTHER_NAME}:
            for group in groups:
                group.name = ONLY_NAME

    def _says_more(self, group: _Group, interest: str) -> bool:
        """Return whether a group's phrase says more than the one interest that all its papers match."""
        if len(group.phrases) != 1:
            return False
        (phrase,) = group.phrases
        count = sum(phrase in self._phrases.of(n) for n in group.members)
        common = count >= _MIN_PHRASE_SHARE * len(group.members)
        return common and not _same_name(self._phrases.name(phrase), interest)

    def _phrases_for(self, members: Sequence[int], used: Iterable[Phrase]) -> list[Phrase]:
        """Return the phrase that says most about some papers, or two if one covers too few of them."""
        excluded = list(used)
        chosen: list[Phrase] = []
        uncovered = list(members)
        while uncovered and len(chosen) < 2:
            value: dict[Phrase, float] = {}
            for number in uncovered:
                for phrase, weight in self._phrases.of(number).items():
                    quality = self._phrases.quality(phrase)
                    value[phrase] = value.get(phrase, 0.0) + _salience(weight) * quality
            unused = [p for p in value if not any(_overlap(p, u) for u in (*excluded, *chosen))]
            if not unused:
                break
            chosen.append(max(unused, key=lambda p: (value[p], p)))
            uncovered = [n for n in members if all(p not in self._phrases.of(n) for p in chosen)]
            if len(uncovered) < _MIN_PHRASE_SHARE * len(members):
                break
        return chosen


def _same_name(one: str, other: str) -> bool:
    """Return whether two names are equal apart from case, or one is the initials of the other."""
    names = {one.casefold(), other.casefold()}
    return len(names) == 1 or bool(names & {_initials(one), _initials(other)})


def _initials(name: str) -> str:
    words = name.casefold().replace("-", " ").split()
    return "".join(word[0] for word in words) if len(words) > 1 else ""


def _salience(weight: int) -> float:
    return min(weight, _FULL_WEIGHT) / _FULL_WEIGHT


def _overlap(one: Phrase, other: Phrase) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)
