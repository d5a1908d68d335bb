"""Citation recall (ALCE: Gao, Yen, Yu & Chen 2023, "Enabling LLMs to Generate Text with Citations").

    claims that their own cited sentences, together, support ÷ claims

φ is `checks.check` instead of an entailment model: it sees wording, numbers, negation, direction,
hedges and names, no world knowledge. A claim without a citation is not supported, whatever its
neighbours cite. None for an answer without claims.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.support import claim_citations, supports
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    if not answer.claims:
        return None
    return sum(supports(c.text, claim_citations(c, answer), answer) for c in answer.claims) / len(
        answer.claims
    )
