"""Choose a reader's papers from what a period brought: relevant, varied, never shown before.

A paper is relevant by the score of `retrieve` against an interest or a standing question, and only
above a floor: an issue is not filled up. Interests take turns, so that none crowds out the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from paperagent.digest import themes
from paperagent.digest.issue import Chosen, Group, Period, Profile, Selection, Why
from paperagent.digest.labels import Labels
from paperagent.digest.shelf import SAME_COSINE, Candidate, Shelf, matrix, title_key
from paperagent.digest.wishes import QueryEmbedder, Vocabulary, Wishes
from paperagent.types import Paper, in_category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.shelf import Scores
    from paperagent.types import Matrix

FLOOR, FLOOR_SHARE = 0.74, 0.65
"""Score below which a paper is not on an interest: absolute, and of the best paper's score."""
ALSO = 8
"""Titles under "also noticed"."""
_POOL = 5
"""Candidates looked at, in issues."""
_MMR, _MMR_FROM = 0.5, 0.5
_TURN = 0.25
_UPVOTES, _LIKED, _NOVEL = 0.08, 0.4, 0.5
_NEAR, _FAR = 0.35, 0.7
"""Cosine of two papers from which liking one says something of the other; from which they say the same."""
_LIKED_FLOOR = 0.55
_NEIGHBOURS = 8
_SEEN_HELD = 50_000


class Library(Vocabulary, Protocol):
    """What choosing needs of a store, besides the period's papers."""

    def arrivals(self, paper_ids: Iterable[str]) -> Mapping[str, Candidate]:
        """Return the papers found with their vectors, under the ids they were asked by."""
        ...


@dataclass(frozen=True, slots=True)
class _Judged:
    """The period's papers as one reader sees them; all arrays [n]."""

    scores: Scores
    """Minus infinity where a paper is not for this reader."""
    wish: NDArray[np.int64]
    """Which of `whys` a paper is chosen for."""
    whys: tuple[Why, ...]


class Selector:
    """Chooses for reader after reader from one period's papers, which are read once."""

    def __init__(
        self,
        papers: Sequence[Candidate],
        *,
        period: Period,
        library: Library,
        embedder: QueryEmbedder | None = None,
    ) -> None:
        """Take what `store.within` gave for the period.

        Without ``embedder``, or where papers lack vectors, words alone decide.
        """
        self.period = period
        self._library = library
        self._shelf = Shelf(papers)
        self._wishes = Wishes(library, embedder)
        self._changed = {name: c.paper for c in papers for name in c.names}
        self._number = {name: i for i, names in enumerate(self._shelf.names) for name in names}
        self._seen: dict[str, Candidate] = {}
        self._labels: Labels | None = None
        self._central: Scores | None = None

    @property
    def papers(self) -> Sequence[Paper]:
        """The papers of the period that can be chosen, each once."""
        return self._shelf.papers

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed the wishes of many readers at once; saves time, changes nothing."""
        self._wishes.prepare(profiles)

    def select(self, profile: Profile) -> Selection:
        """Return what this reader's issue will be about; the same for the same papers and profile."""
        mine = self._mine(profile)
        shown = self._shown(profile)
        updates = self._updates(profile)
        if not len(self._shelf):
            return Selection(self.period, profile, updates=updates)
        judged = self._judge(profile, mine & ~shown)
        chosen, also = self._pick(judged, profile)
        groups = self._groups(chosen, judged)
        papers = self._shelf.papers
        return Selection(
            self.period,
            profile,
            groups,
            also=tuple(papers[n] for n in also),
            updates=updates,
            screened=int(mine.sum()),
        )

    # --- what may be chosen ---

    def _mine(self, profile: Profile) -> NDArray[np.bool_]:
        import numpy as np

        if not profile.categories:
            return np.ones(len(self._shelf), bool)
        wanted = [
            any(in_category(c, w) for c in p.categories for w in profile.categories)
            for p in self._shelf.papers
        ]
        return np.array(wanted, bool)

    def _shown(self, profile: Profile) -> NDArray[np.bool_]:
        """Return which papers the reader was shown: by any of their ids, their title or their text."""
        import numpy as np

        shown = np.zeros(len(self._shelf), bool)
        shown[[self._number[i] for i in profile.shown if i in self._number]] = True
        earlier = self._recall(profile.shown)
        titles = {title_key(c.paper.title) for c in earlier} - {""}
        names = {name for c in earlier for name in c.names}
        for number, title in enumerate(self._shelf.titles):
            if title in titles or not names.isdisjoint(self._shelf.names[number]):
                shown[number] = True
        return shown

    def _recall(self, paper_ids: Iterable[str]) -> list[Candidate]:
        """Return papers of any period by id, in the order of the ids; unknown ones are left out."""
        wanted = sorted(set(paper_ids))
        missing = [i for i in wanted if i not in self._seen]
        if missing:
            if len(self._seen) + len(missing) > _SEEN_HELD:
                self._seen.clear()
                missing = wanted
            self._seen.update(self._library.arrivals(missing))
        return [self._seen[i] for i in wanted if i in self._seen]

    def _updates(self, profile: Profile) -> tuple[Paper, ...]:
        """Return the papers shown before that were revised or withdrawn in the period."""
        found = {p.paper_id: p for i in profile.shown if (p := self._changed.get(i)) and self._revised(p)}
        return tuple(found[i] for i in sorted(found))

    def _revised(self, paper: Paper) -> bool:
        day, first = paper.updated, paper.published
        inside = day is not None and self.period.since <= day <= self.period.until
        return inside and (paper.withdrawn or (paper.version or 2) > 1) and (first is None or day != first)

    # --- how good each is ---

    def _judge(self, profile: Profile, open_: NDArray[np.bool_]) -> _Judged:
        import numpy as np

        rows, whys = [], []
        for wish in self._wishes.of(profile):
            score = self._shelf.scores(wish.stems, wish.vector, wish.stats)
            floor = max(FLOOR, FLOOR_SHARE * float(score.max()))
            rows.append(np.where(score >= floor, score, -np.inf))
            whys.append(wish.why)
        liked = self._recall(profile.liked)
        if not rows:
            for paper in liked:
                rows.append(self._like(paper))
                whys.append(Why("liked", paper.paper.title))
        if not rows:
            return self._typical(profile, open_)
        scores = np.stack(rows)
        wish_of = scores.argmax(axis=0)
        best = scores.max(axis=0)
        best = best + self._taste(profile, liked) + self._popular()
        best[~open_] = -np.inf
        return _Judged(best.round(5), wish_of, tuple(whys))

    def _like(self, liked: Candidate) -> Scores:
        import numpy as np

        if liked.vector is None:
            return np.full(len(self._shelf), -np.inf, np.float32)
        cosine = self._shelf.vectors @ liked.vector
        found: Scores = np.where(cosine >= _LIKED_FLOOR, cosine + 0.3, -np.inf).astype(np.float32)
        return found

    def _taste(self, profile: Profile, liked: Sequence[Candidate]) -> Scores:
        """Return what liking, disliking and having seen similar papers adds to each paper."""
        import numpy as np

        total = np.zeros(len(self._shelf), np.float32)
        signs = (
            (_LIKED, _NEAR, liked),
            (-_LIKED, _NEAR, self._recall(profile.disliked)),
            (-_NOVEL, _FAR, self._recall(profile.shown)),
        )
        for weight, start, papers in signs:
            others, known = matrix([p.vector for p in papers])
            if known.any() and others.shape[1] == self._shelf.vectors.shape[1]:
                nearest = (self._shelf.vectors @ others.T).max(axis=1)
                total += weight * np.clip(nearest - start, 0, None)
                if weight == -_NOVEL:
                    total[nearest >= SAME_COSINE] = -np.inf
        return total

    def _popular(self) -> Scores:
        """Return what upvotes add to each paper: nothing where the feed has none."""
        import numpy as np

        votes = np.log1p(np.array([max(p.upvotes or 0, 0) for p in self._shelf.papers], np.float32))
        bonus: Scores = np.float32(_UPVOTES) * votes / np.float32(max(float(votes.max(initial=0)), 1.0))
        return bonus

    def _typical(self, profile: Profile, open_: NDArray[np.bool_]) -> _Judged:
        """Return how typical of the period each paper is, for nobody in particular."""
        import numpy as np

        if self._central is None:
            self._central = _centrality(self._shelf.vectors) + 3 * self._popular()
        scores: Scores = np.where(open_, self._central, np.float32(-np.inf)).round(5).astype(np.float32)
        voted = any(p.upvotes for p in self._shelf.papers)
        text = ", ".join(profile.categories)
        why = Why("category", text) if text else Why("upvotes" if voted else "central", "")
        return _Judged(scores, np.zeros(len(scores), np.int64), (why,))

    # --- which make an issue ---

    def _pick(self, judged: _Judged, profile: Profile) -> tuple[list[int], list[int]]:
        """Return the numbers of the chosen papers, in order of choice, and of those also noticed.

        Maximal marginal relevance (Carbonell & Goldstein 1998), where an interest also loses worth
        with each paper that it got.
        """
        import numpy as np

        size = max(1, min(profile.max_items, 30))
        order = np.lexsort((np.arange(len(judged.scores)), -judged.scores))
        pool = self._pool(judged, order, _POOL * size + ALSO)
        if not len(pool):
            return [], []
        vectors = self._shelf.vectors[pool]
        cosines = vectors @ vectors.T
        gain, wish = judged.scores[pool].copy(), judged.wish[pool]
        closest = np.zeros(len(pool), np.float32)
        turns = np.zeros(len(judged.whys), np.float32)
        taken: list[int] = []
        share = size / len(judged.whys)
        for _ in range(min(size, len(pool))):
            worth = gain - _MMR * np.clip(closest - _MMR_FROM, 0, None) - _TURN * turns[wish] / share
            best = int(worth.argmax())
            taken.append(best)
            gain[best] = -np.inf
            closest = np.maximum(closest, cosines[best])
            turns[wish[best]] += 1
        left = [int(pool[i]) for i in range(len(pool)) if i not in taken][:ALSO]
        return [int(pool[i]) for i in taken], left

    def _pool(self, judged: _Judged, order: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Return the best papers, those of each interest among them."""
        import numpy as np

        relevant = order[np.isfinite(judged.scores[order])]
        kept = {int(n) for n in relevant[:size]}
        for wish in range(len(judged.whys)):
            kept.update(int(n) for n in relevant[judged.wish[relevant] == wish][: size // 2])
        return np.array([n for n in relevant if int(n) in kept], np.int64)

    def _groups(self, chosen: Sequence[int], judged: _Judged) -> tuple[Group, ...]:
        ranked = sorted(chosen, key=lambda n: (-judged.scores[n], n))
        clusters = themes.cluster(ranked, self._names(), self._shelf.vectors)
        return tuple(
            Group(
                f"{self.period.name}:{c.key}",
                c.name,
                tuple(
                    Chosen(
                        self._shelf.papers[n],
                        float(judged.scores[n]),
                        self._why(judged, n),
                        self._shelf.merged[n],
                    )
                    for n in c.members
                ),
            )
            for c in clusters
        )

    def _why(self, judged: _Judged, number: int) -> Why:
        why = judged.whys[int(judged.wish[number])]
        votes = self._shelf.papers[number].upvotes
        if why.kind == "upvotes":
            return Why("upvotes", str(votes)) if votes else Why("central", "")
        return why

    def _names(self) -> Labels:
        if self._labels is None:
            self._labels = Labels(self._shelf.papers, self._shelf.vectors, self._shelf.known)
        return self._labels


def _centrality(vectors: Matrix) -> Scores:
    """Return the mean cosine of each paper to its nearest others, shape [n]."""
    import numpy as np

    found = np.zeros(len(vectors), np.float32)
    near = min(_NEIGHBOURS, len(vectors) - 1)
    if near < 1:
        return found
    for start in range(0, len(vectors), 2048):
        cosines = vectors[start : start + 2048] @ vectors.T
        nearest = -np.partition(-cosines, near, axis=1)[:, : near + 1]
        found[start : start + 2048] = (nearest.sum(axis=1) - nearest.max(axis=1)) / near
    return found
