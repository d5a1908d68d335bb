"""Check a claim against its source, the way `ask`, the digest and ``eval`` do.

Text is compared with text, without a library, a model or the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paperagent import verification
from paperagent.errors import InputError
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms
from paperagent.types import Support
from paperagent.verification import Verdict

MAX_SOURCE_LENGTH = 200_000
"""Characters of the sources, or of the abstract; a whole paper has about 60,000."""
_MAX_SENTENCES = 40
"""Of a long text, a claim is compared with this many sentences: those that share most words with it."""
_MAX_NEAREST = 3
"""Sentences of an abstract that a result names."""
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """How far sources support a claim, judged by wording."""

    claim: str
    support: Support
    """``quoted``, ``supported``, ``unverified`` (neither confirmed nor refuted) or ``unsupported``."""
    score: float
    """How well the wording of claim and sources agrees, 0 to 1."""
    reasons: tuple[str, ...]
    """Short phrases that describe what is wrong or unclear; may be empty."""
    checks: Mapping[str, Any]
    """Result of each check, JSON-ready."""
    sources: tuple[str, ...]
    """The sentences that the claim was compared with; of an abstract, the nearest ones."""

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-ready values, as `paperagent check --json` prints them."""
        return {
            "claim": self.claim,
            "support": self.support,
            "score": self.score,
            "reasons": list(self.reasons),
            "checks": dict(self.checks),
            "sources": list(self.sources),
        }


def check(
    claim: str,
    sources: Sequence[str] = (),
    *,
    title: str = "",
    abstract: str = "",
    question: str = "",
) -> ClaimCheck:
    """Return how far the sentences of ``sources`` together support ``claim``.

    No file is read, and nothing is sent or stored.

    Args:
        claim: The sentence to check.
        sources: Sentences to compare it with. Without any it is compared with the abstract, sentence by
            sentence and as a whole.
        title: Title of the paper, as context: it explains names.
        abstract: Abstract of the paper, as context: it shows who "we" is.
        question: The question that the claim answers, as context.

    Raises:
        InputError: an argument is not text, the claim is empty, or there is nothing to compare it with.
    """
    source_texts = _as_list(sources)
    for name, value in (("claim", claim), ("title", title), ("abstract", abstract), ("question", question)):
        _require_text(name, value)
    for value in source_texts:
        _require_text("sources", value)
    if not claim.strip():
        raise InputError("claim: is empty; give the sentence to check")
    statements = [s for s in source_texts if s.strip()]
    if sum(map(len, statements)) > MAX_SOURCE_LENGTH or len(abstract) > MAX_SOURCE_LENGTH:
        raise InputError(f"sources: over {MAX_SOURCE_LENGTH:,} characters; give the sentences that matter")

    sentences = _nearest(
        claim, [s.text for part in _PARAGRAPH.split(abstract) for s in split_sentences(part, limit=None)]
    )
    context = " ".join(sentences) if len(sentences) == _MAX_SENTENCES else abstract

    def verdict_on(evidence: Sequence[str]) -> Verdict:
        return verification.check(
            claim,
            evidence,
            titles=[title] if title.strip() else [],
            abstracts=[context] if context.strip() else [],
            question=question,
        )

    if statements:
        return _result(claim, verdict_on(statements), statements)
    if not sentences:
        raise InputError("sources: none given; give sentences that should support the claim, or an abstract")
    ranked = sorted(((verdict_on([s]), s) for s in sentences), key=lambda pair: -pair[0].score)
    for verdict, sentence in ranked:
        if verdict.support in ("quoted", "supported"):
            return _result(claim, verdict, [sentence])
    nearest = {sentence for _, sentence in ranked[:_MAX_NEAREST]}
    return _result(claim, verdict_on(sentences), [s for s in sentences if s in nearest])


def _as_list(sources: object) -> list[Any]:
    if not isinstance(sources, (str, list, tuple)):
        raise InputError("sources: give the sentences as a list of text")
    return [sources] if isinstance(sources, str) else list(sources)


def _nearest(claim: str, sentences: Sequence[str]) -> list[str]:
    """Return the sentences that share most words with the claim, in order; all of a short text."""
    if len(sentences) <= _MAX_SENTENCES:
        return list(sentences)
    claim_stems = set(index_terms(claim))
    overlaps = [len(claim_stems & set(index_terms(s))) for s in sentences]
    best = sorted(range(len(sentences)), key=lambda i: (-overlaps[i], i))[:_MAX_SENTENCES]
    return [sentences[i] for i in sorted(best)]


def _result(claim: str, verdict: Verdict, sources: Sequence[str]) -> ClaimCheck:
    return ClaimCheck(
        claim, verdict.support, verdict.score, tuple(verdict.reasons), dict(verdict.checks), tuple(sources)
    )


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InputError(f"{name}: must be str, got {type(value).__name__}; pass text")
