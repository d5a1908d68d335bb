"""Choose a reader's papers from what a period brought: relevant, varied, never shown before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from paperagent.digest.issue import Chosen, Group, Period, Profile, Reason, Selection
from paperagent.digest.select import themes
from paperagent.digest.select.candidates import Candidate, PeriodIndex, SeenPaper, distinctive_title_key
from paperagent.digest.select.phrases import ThemePhrases
from paperagent.digest.select.relevance import (
    Feedback,
    QueryEmbedder,
    QueryEncoder,
    RelevanceScorer,
    RelevanceScores,
    Vocabulary,
)
from paperagent.types import Paper, in_category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

ALSO = 8
"""Titles under "also noticed"."""
MOST_ITEMS = 30
_POOL = 5
"""Candidates looked at, in issues."""
_ALIKE, _ALIKE_FROM = 0.5, 0.5
"""What a cosine above the second number to a paper already chosen takes off a paper's score."""
_TURN = 0.3
"""What an interest that has its fair share of an issue takes off the score of its further papers."""
_HANDICAP = 0.6
"""Share of an interest's lead, by its best paper over the weakest interest's best, that is taken off.

Long and rare wishes score lower than short and common ones; papers were judged relevant before this.
"""
_REMEMBERED, _READ = 50_000, 2_000
"""Papers of other periods kept in memory, about 1 kB each; read at a time."""


class Library(Vocabulary, Protocol):
    """What choosing needs of a store, besides the period's papers."""

    def get_with_features(self, paper_ids: Iterable[str]) -> Mapping[str, Candidate]:
        """Return the papers found with their vectors, under the ids they were asked by."""
        ...


class PaperSelector:
    """Chooses for reader after reader from one period's papers, which are read once."""

    def __init__(
        self,
        papers: Sequence[Candidate],
        *,
        period: Period,
        library: Library,
        embedder: QueryEmbedder | None = None,
    ) -> None:
        """Take what ``store.papers_between(period.since, period.until)`` gave.

        Without ``embedder``, or where papers lack vectors, words decide.
        """
        self.period = period
        self._library = library
        self._shelf = PeriodIndex(papers)
        self._wishes = QueryEncoder(library, embedder)
        self._judge = RelevanceScorer(self._shelf, self._names)
        self._changed = {name: c.paper for c in papers for name in c.names}
        self._number = {name: i for i, names in enumerate(self._shelf.names) for name in names}
        self._titled = {title: i for i, title in enumerate(self._shelf.titles) if title}
        self._seen: dict[str, SeenPaper] = {}
        self._masks: dict[tuple[str, ...], Mask] = {}
        self._labels: ThemePhrases | None = None

    @property
    def papers(self) -> Sequence[Paper]:
        """The papers of the period that can be chosen, each once."""
        return self._shelf.papers

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed the wishes of many readers at once; saves time, changes nothing."""
        self._wishes.prepare(profiles)

    def select(self, profile: Profile) -> Selection:
        """Return what this reader's issue will be about; the same for the same papers and profile."""
        updates = self._updates(profile)
        if not len(self._shelf):
            return Selection(self.period, profile, updates=updates)
        mine = self._mine(profile.categories)
        shown = self._recall(profile.shown)
        among = mine & ~self._known_to(profile, shown)
        taste = Feedback(self._recall(profile.liked), self._recall(profile.disliked), shown)
        judged = self._judge.judge(self._wishes.of(profile), taste, among, profile)
        chosen, also = _pick(judged, self._shelf, max(1, min(profile.max_items, MOST_ITEMS)))
        return Selection(
            self.period,
            profile,
            self._groups(chosen, judged),
            also=tuple(self._shelf.papers[n] for n in also),
            updates=updates,
            screened=int(mine.sum()),
        )

    def _mine(self, categories: tuple[str, ...]) -> Mask:
        import numpy as np

        if categories not in self._masks:
            self._masks[categories] = np.array(
                [
                    not categories or any(in_category(c, w) for c in p.categories for w in categories)
                    for p in self._shelf.papers
                ],
                bool,
            )
        return self._masks[categories]

    def _known_to(self, profile: Profile, shown: Sequence[SeenPaper]) -> Mask:
        """Return which papers the reader was shown: by any of their ids, or their title."""
        import numpy as np

        names = {*profile.shown, *profile.disliked, *(name for c in shown for name in c.names)}
        numbers = {self._number.get(name) for name in names}
        numbers |= {self._titled.get(distinctive_title_key(c.title)) for c in shown}
        mask = np.zeros(len(self._shelf), bool)
        mask[[n for n in numbers if n is not None]] = True
        return mask

    def _recall(self, paper_ids: Iterable[str]) -> list[SeenPaper]:
        """Return papers of any period by id, in the order of the ids; unknown ones are left out."""
        wanted = sorted(set(paper_ids))
        missing = [i for i in wanted if i not in self._seen]
        if len(self._seen) + len(missing) > _REMEMBERED:
            self._seen.clear()
            missing = wanted
        for start in range(0, len(missing), _READ):
            found = self._library.get_with_features(missing[start : start + _READ])
            self._seen.update((i, SeenPaper.of(candidate)) for i, candidate in found.items())
        return [self._seen[i] for i in wanted if i in self._seen]

    def _updates(self, profile: Profile) -> tuple[Paper, ...]:
        """Return the papers shown before that were revised or withdrawn in the period, by id."""
        found = {p.paper_id: p for i in profile.shown if (p := self._changed.get(i)) and self._revised(p)}
        return tuple(found[i] for i in sorted(found))

    def _revised(self, paper: Paper) -> bool:
        day, first = paper.updated, paper.published
        if day is None or not self.period.since <= day <= self.period.until:
            return False
        return paper.withdrawn or ((paper.version or 2) > 1 and day != first)

    def _groups(self, chosen: Sequence[int], judged: RelevanceScores) -> tuple[Group, ...]:
        if not chosen:
            return ()
        ranked = sorted(chosen, key=lambda n: (-judged.scores[n], n))
        interests = {n: w.text for n in ranked if (w := judged.whys[judged.reason[n]]).kind == "interest"}
        clusters = themes.build_themes(ranked, self._names(), self._shelf.vectors, interests)
        return tuple(
            Group(f"{self.period.name}:{c.key}", c.name, tuple(self._chosen(n, judged) for n in c.members))
            for c in clusters
        )

    def _chosen(self, number: int, judged: RelevanceScores) -> Chosen:
        paper, why = self._shelf.papers[number], judged.whys[int(judged.reason[number])]
        if why.kind == "upvotes":
            why = Reason("upvotes", str(paper.upvotes)) if paper.upvotes else Reason("central", "")
        return Chosen(paper, float(judged.scores[number]), why, self._shelf.merged[number])

    def _names(self) -> ThemePhrases:
        if self._labels is None:
            self._labels = ThemePhrases(self._shelf.papers, self._shelf.vectors, self._shelf.comparable)
        return self._labels


def _pick(judged: RelevanceScores, shelf: PeriodIndex, size: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the chosen papers, in order of choice, and of those also noticed.

    Maximal marginal relevance (Carbonell & Goldstein 1998), where an interest also loses worth
    with each paper that it got, so that none crowds out the others.
    """
    import numpy as np

    pool = _pool(judged, _POOL * size + ALSO)
    if not len(pool):
        return [], []
    vectors = shelf.vectors[pool]
    gain, reason = judged.scores[pool].copy(), judged.reason[pool]
    closest = np.zeros(len(pool), np.float32)
    turns = np.zeros(len(judged.whys), np.float32)
    best_of = [gain[reason == r].max(initial=-np.inf) for r in range(len(judged.whys))]
    lead = np.array(best_of, np.float32) - min(b for b in best_of if np.isfinite(b))
    gain -= np.float32(_HANDICAP) * lead[reason]
    taken: list[int] = []
    for _ in range(min(size, len(pool))):
        alike = np.clip(closest - _ALIKE_FROM, 0, None).round(4)
        worth = gain - _ALIKE * alike - _TURN * len(judged.whys) / size * turns[reason]
        best = int(worth.argmax())
        taken.append(best)
        gain[best] = -np.inf
        closest = np.maximum(closest, np.einsum("ij,j->i", vectors, vectors[best]))
        turns[reason[best]] += 1
    left = [int(pool[i]) for i in range(len(pool)) if i not in set(taken)]
    return [int(pool[i]) for i in taken], left[:ALSO]


def _pool(judged: RelevanceScores, size: int) -> NDArray[np.int64]:
    """Return the best papers, best first, some of each interest among them."""
    import numpy as np

    order = np.lexsort((np.arange(len(judged.scores)), -judged.scores))
    relevant = order[np.isfinite(judged.scores[order])]
    kept = np.zeros(len(relevant), bool)
    kept[:size] = True
    for reason in range(len(judged.whys)):
        kept[np.flatnonzero(judged.reason[relevant] == reason)[: size // 2]] = True
    return relevant[kept]
