"""Retrieval: where the gold papers of a case rank among the retrieved ones.

All scorers return None for a case without gold papers (0/0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from paperagent.evals.cases import Case
from paperagent.text import terms
from paperagent.types import Answer, Paper

title_key = lru_cache(maxsize=65_536)(terms.title_key)


@dataclass(frozen=True, slots=True)
class GoldPapers:
    """The papers that contain a case's answer."""

    gains: Mapping[str, float]
    """Relevance by paper: keys are paper ids or title keys."""
    by_id: bool

    @classmethod
    def of(cls, case: Case, papers: Mapping[str, Paper]) -> GoldPapers:
        """Use the case's gold ids (also former ids of a paper), or its gold titles if it has no ids."""
        if case.gold_ids:
            grades = case.grades or (1.0,) * len(case.gold_ids)
            current_ids = (papers[i].paper_id if i in papers else i for i in case.gold_ids)
            return cls(dict(zip(current_ids, grades, strict=True)), by_id=True)
        return cls(dict.fromkeys(map(title_key, case.gold_titles), 1.0), by_id=False)

    def key(self, paper_id: str, title: str) -> str | None:
        """Return the key of a gold paper, or None if the paper is not a gold paper."""
        key = paper_id if self.by_id else title_key(title)
        return key if key in self.gains else None

    def ranks(self, answer: Answer) -> dict[str, int]:
        """Return the rank (from 1) of each gold paper that was retrieved."""
        ranks: dict[str, int] = {}
        for hit in answer.hits:
            key = self.key(hit.paper_id, hit.title)
            if key is not None:
                ranks.setdefault(key, hit.rank)
        return ranks


def ndcg(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return nDCG@k: how near the top the gold papers rank.

        nDCG@k = Σ_{gold papers at rank r ≤ k} g / log2(r + 1)  ÷  the same for the ideal ranking

    g is the paper's grade, or 1 if judgements are not graded. Järvelin & Kekäläinen 2002, with the
    linear gain of trec_eval and BEIR.
    """
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    gain = sum(gold.gains[key] / math.log2(rank + 1) for key, rank in gold.ranks(answer).items() if rank <= k)
    ideal = sorted(gold.gains.values(), reverse=True)[:k]
    return gain / sum(g / math.log2(rank + 1) for rank, g in enumerate(ideal, start=1))


def recall(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return recall@k = |gold ∩ first k| ÷ |gold|."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    return sum(rank <= k for rank in gold.ranks(answer).values()) / len(gold.gains)


def all_gold(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return 1 if every gold paper is among the first k, else 0; a comparison of two papers needs this.

    "All supporting documents found" of HotpotQA and MultiHop-RAG.
    """
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    ranks = gold.ranks(answer)
    return float(all(ranks.get(key, k + 1) <= k for key in gold.gains))


def reciprocal_rank(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 ÷ rank of the first gold paper, or 0 if none was retrieved.

    The mean is MRR (Voorhees 1999, TREC-8 QA).
    """
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    return 1 / min(gold.ranks(answer).values(), default=float("inf"))
