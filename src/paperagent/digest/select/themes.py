"""Group the papers of an issue under headings: the subscriber's interests, then themes of the period.

A theme is a phrase of the period (`phrases`) with at least two words, so its name is true of its papers and
says something. Papers that share no phrase join similar ones. Groups without a name become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.issue import ONLY_NAME, OTHER_NAME, Reason
from paperagent.digest.select.phrases import Phrase, ThemePhrases, capitalized

if TYPE_CHECKING:
    from paperagent.types import Matrix

MAX_THEMES, MAX_THEME_SIZE = 5, 4
OTHER = "other"
"""The key of the papers without a heading of their own."""
_MIN_LINKAGE, _MIN_SINGLE_LINKAGE = 0.18, 0.1
"""How much the cosine of groups without a common phrase must exceed that of any two papers to be joined; the
same if one of them is a single paper."""
_FULL_COHESION, _MIN_COHESION = 0.25, 0.2
"""How much the cosine of a clear theme's papers exceeds that of any two; the share of that below which the
papers are no theme."""
_FULL_WEIGHT = 3
"""Weight of a phrase in a paper (once in the title, or three times in all) that counts in full."""
_SHARED_PHRASE = 0.3
"""Bonus on the cosine of two groups for a phrase in common."""
_MIN_PHRASE_SHARE = 0.5
"""Share of a group's papers that contain a phrase, below which it does not name the group."""
_MIN_NAME_WORDS = 2
_HEADINGS = {
    "author": "By authors you follow",
    "example": "Like papers you named",
    "question": "For your questions",
}
"""The headings of papers that were selected for other reasons than interests and topics."""


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


def build_themes(
    ranked: Sequence[int], phrases: ThemePhrases, vectors: Matrix, reasons: Mapping[int, Reason]
) -> list[Cluster]:
    """Return the papers in groups. Every paper is in one.

    Papers selected for an interest are under that interest, however many there are; those for authors and
    questions have groups of their own. The others follow in at most five themes, of two to four papers
    where possible. Groups of either kind are ordered by their best paper.

    Args:
        ranked: The numbers of the papers, best first.
        phrases: The phrases of the period's papers.
        vectors: The unit vectors of the period's papers, shape [n, dim].
        reasons: Why the papers were selected, by their numbers.
    """
    clusters: dict[str, Cluster] = {}
    for number in ranked:
        if heading := _heading(reasons.get(number)):
            key, name = heading
            members = clusters[key].members if key in clusters else ()
            clusters[key] = Cluster(key, name, (*members, number))
    grouped = {n for c in clusters.values() for n in c.members}
    others = [n for n in ranked if n not in grouped]
    return [*clusters.values(), *_computed_themes(others, phrases, vectors, [*clusters.values()])]


def _heading(reason: Reason | None) -> tuple[str, str] | None:
    """Return the key and name of the group that a paper belongs to by its reason alone."""
    if reason is None:
        return None
    if reason.kind == "interest":
        return f"interest:{reason.text.casefold()}", capitalized(reason.text)
    return (reason.kind, _HEADINGS[reason.kind]) if reason.kind in _HEADINGS else None


def _computed_themes(
    ranked: Sequence[int], phrases: ThemePhrases, vectors: Matrix, earlier: Sequence[Cluster]
) -> list[Cluster]:
    builder = _ThemeBuilder(phrases, vectors)
    groups = builder.group_by_phrase(ranked)
    grouped = {n for g in groups for n in g.members}
    groups += [_Group([], [n]) for n in ranked if n not in grouped]
    builder.join(groups)
    names = {c.name.casefold() for c in earlier}
    named: dict[str, Cluster] = {}
    rank = {number: position for position, number in enumerate(ranked)}
    for group in groups:
        phrase = builder.name_of(group)
        name = phrases.name(phrase) if phrase else OTHER_NAME
        if phrase is None or any(_same_name(name, n) for n in names):
            key, name = OTHER, OTHER_NAME
        else:
            key = "-".join(phrase)
            names.add(name.casefold())
        members = (*named[key].members, *group.members) if key in named else tuple(group.members)
        named[key] = Cluster(key, name, tuple(sorted(members, key=rank.__getitem__)))
    if not earlier and named.keys() == {OTHER}:
        named = {OTHER: Cluster(OTHER, ONLY_NAME, named[OTHER].members)}
    return sorted(named.values(), key=lambda c: (c.key == OTHER, rank[c.members[0]]))


class _ThemeBuilder:
    """Groups the papers of one issue that no interest of the subscriber names."""

    def __init__(self, phrases: ThemePhrases, vectors: Matrix) -> None:
        self._phrases, self._vectors = phrases, vectors

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
                if self._is_name(phrase):
                    papers.setdefault(phrase, []).append((-_salience(weight), rank, number))
        return papers

    def _is_name(self, phrase: Phrase) -> bool:
        """Return whether a phrase says enough: no single word, acronym or compound does."""
        return len(self._phrases.name(phrase).split()) >= _MIN_NAME_WORDS

    def _unity(self, members: Sequence[int]) -> float:
        """Return how much closer the members are than any two papers, about 0 to 1; 1 without vectors."""
        if not self._phrases.background:
            return 1.0
        n = len(members)
        mean = self._vectors[members].mean(axis=0)
        cosine = (float(mean @ mean) - 1 / n) * n / (n - 1)
        unity = min(1.0, (cosine - self._phrases.background) / _FULL_COHESION)
        return unity if unity >= _MIN_COHESION else 0.0

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
        """Return the mean cosine between two groups, raised by a phrase in common."""
        cosine = float((self._vectors[one.members] @ self._vectors[other.members].T).mean())
        named, unnamed = (one, other) if one.phrases else (other, one)
        shared = [p in self._phrases.of(n) for p in named.phrases for n in unnamed.members]
        return cosine + _SHARED_PHRASE * (sum(shared) / len(shared) if shared else 0.0)

    def name_of(self, group: _Group) -> Phrase | None:
        """Return the phrase that names a group: its own, or the one that says most about its papers."""
        if group.phrases:
            return group.phrases[0]
        value: dict[Phrase, float] = {}
        count: dict[Phrase, int] = {}
        for number in group.members:
            for phrase, weight in self._phrases.of(number).items():
                if self._is_name(phrase):
                    rating = _salience(weight) * self._phrases.quality(phrase)
                    value[phrase] = value.get(phrase, 0.0) + rating
                    count[phrase] = count.get(phrase, 0) + 1
        common = [p for p in value if count[p] >= _MIN_PHRASE_SHARE * len(group.members)]
        return max(common, key=lambda p: (value[p], p), default=None)


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
