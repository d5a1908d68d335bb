"""Correct: whether the case as a whole came out right; what "better or worse" means in one figure.

    answerable:   answered, with all of must_include, nothing of must_not, and citing gold evidence
                  (a gold paper where no evidence is given)
    unanswerable: abstained, with a reason

An empty answer is wrong. A case for which nothing is known but that it is answerable needs an answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers, cited, evidence_found
from paperagent.evals.outcomes import abstained, answered, contains_each, visible_text
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    if not case.answerable:
        return float(abstained(answer))
    text = visible_text(answer)
    right = (
        answered(answer)
        and all(contains_each(text, case.must_include))
        and not any(contains_each(text, case.must_not))
        and _rests_on_gold(case, answer, papers)
    )
    return float(right)


def _rests_on_gold(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> bool:
    if case.evidence:
        return any(evidence_found(case, answer, papers))
    gold = GoldPapers.of(case, papers)
    return not gold.gains or any(gold.key(c.paper_id, c.title) for c in cited(answer))
