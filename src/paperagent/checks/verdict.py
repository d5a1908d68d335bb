"""The verdict on a claim: quoted, supported, unverified or unsupported, with every check's result.

*supported* says: the wording matches the cited sentences, and numbers, negation, direction,
hedges, names and order were checked. It is no proof. *unverified* says: neither confirmed nor
refuted by wording. *unsupported* says: the claim contradicts its source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from paperagent.checks import direction, hedges, names, negation, order, relations, roles, wording
from paperagent.checks.normalise import mixed_script, normalise
from paperagent.checks.overlap import Alignment, align
from paperagent.checks.tokens import analyse
from paperagent.checks.words import Text

Strength = Literal["quoted", "supported", "unverified", "unsupported"]

_COVERED = 0.70
"""Coverage from which an unflagged claim is supported."""
_REFUTABLE = 0.55
"""Coverage from which a flag refutes: below it the evidence is about something else."""
_NEAR = 0.60
"""Share of neighbours that must be neighbours in the evidence."""
_ADDED = 3
"""Content words in a row, unknown to the evidence, from which something was put in: none of 68 honest
paraphrases has more than two, while a short remark on a long quotation hardly lowers its coverage."""
_LONGEST_CLAIM = 3_000
"""Characters; a claim is one sentence, and what is longer is no claim."""
_MOST_WORDS = 200
"""Content words of a claim, likewise."""
_LONGEST_EVIDENCE = 40_000
"""Characters that are read of the evidence."""
_EDGES = " \"'.,;:"
_STOP = re.compile(r"[.!?]+$")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the cited sentences support a claim."""

    support: Strength
    checks: Mapping[str, Any]
    """JSON-ready: a bool per check (True: nothing found), ``overlap`` and ``score`` 0..1."""
    reasons: tuple[str, ...] = ()
    """Short phrases for a person or a repair prompt; empty when nothing was found."""

    @property
    def score(self) -> float:
        """How well the wording of claim and sources agrees, 0 to 1."""
        return float(self.checks["score"])


def check(
    claim: str,
    evidence: Sequence[str],
    *,
    titles: Sequence[str] = (),  # noqa: ARG001
    abstracts: Sequence[str] = (),  # noqa: ARG001
    question: str = "",  # noqa: ARG001
) -> Verdict:
    """Return whether ``claim`` is supported by the sentences of ``evidence`` together.

    ``titles`` and ``abstracts`` of the cited papers and the ``question`` are context: they say who
    "we" is and what is being talked about. An empty claim or no evidence is *unsupported*. No I/O;
    deterministic.
    """
    if not claim.strip() or not any(e.strip() for e in evidence):
        return Verdict("unsupported", _all(passed=False, overlap=0.0, score=0.0), ("nothing is cited",))
    if is_quote(claim, evidence):
        return Verdict("quoted", _all(passed=True, overlap=1.0, score=1.0))
    text = analyse(claim[: _LONGEST_CLAIM + 1])
    if len(claim) > _LONGEST_CLAIM or len(text.content) > _MOST_WORDS:
        reason = "too long to be checked as one claim"
        return Verdict("unverified", _all(passed=False, overlap=0.0, score=0.0), (reason,))
    a = align(text, analyse(_joined(evidence)[:_LONGEST_EVIDENCE]))
    found = _flags(a)
    strange = mixed_script(normalise(claim))
    if strange and not set(strange) <= set(mixed_script(normalise(" ".join(evidence)))):
        found["script"] = (f"“{strange[0]}” mixes letters of two scripts",)
    return _verdict(a, found)


def is_quote(claim: str, evidence: Sequence[str]) -> bool:
    """Tell whether the claim is one or more whole sentences of the evidence, but for spelling marks."""
    wanted = _plain(claim)
    return any(wanted == _plain(e) for e in evidence) or wanted == _plain(" ".join(evidence))


def _plain(text: str) -> str:
    return _STOP.sub("", normalise(text).strip(_EDGES)).casefold()


def _joined(evidence: Sequence[str]) -> str:
    return " ".join(e if e.rstrip().endswith((".", "!", "?")) else e + "." for e in evidence if e.strip())


def _flags(a: Alignment) -> dict[str, tuple[str, ...]]:
    """Run the checks; a check's name → its reasons."""
    turned = direction.turned(a)
    denied = negation.pair(a)
    crossed = frozenset(p for p in turned if denied.claim_denies(p[0]) != denied.source_denies(p[1]))
    for rank, place in crossed:
        a.accept(rank, place)
    return {
        "numbers": (*roles.misread(a), *roles.swapped(a)),
        "negation": tuple(negation.changes(a, denied, crossed)),
        "direction": tuple(direction.reversals(a, turned, denied)),
        "hedges": (*hedges.dropped(a), *hedges.overstated(a), *hedges.requantified(a)),
        "names": tuple(names.strangers(a)),
        "relations": tuple(relations.reversed_sides(a)),
        "order": tuple(order.exchanged(a)),
        "wording": (*wording.changes(a), *wording.substituted(a)),
    }


def _verdict(a: Alignment, found: Mapping[str, tuple[str, ...]]) -> Verdict:
    reasons = tuple(dict.fromkeys(r for rs in found.values() for r in rs))
    checks: dict[str, Any] = {name: not rs for name, rs in found.items()}
    checks["overlap"] = round(a.coverage, 3)
    checks["proximity"] = round(a.proximity, 3)
    checks["score"] = round(_score(a, len(reasons)), 4)
    if reasons:
        return Verdict("unsupported" if a.coverage >= _REFUTABLE else "unverified", checks, reasons)
    added = _added(a)
    if a.coverage >= _COVERED and a.proximity >= _NEAR and len(added) < _ADDED:
        return Verdict("supported", checks)
    return Verdict("unverified", checks, (_missing(a.claim, a, added),))


def _added(a: Alignment) -> list[str]:
    """Return the longest run of content words that the evidence does not have."""
    runs = groupby(a.claim.content, key=lambda token: a.best[token.rank] is None)
    return max(([t.text for t in run] for unknown, run in runs if unknown), key=len, default=[])


def _missing(claim: Text, a: Alignment, added: Sequence[str]) -> str:
    words = [t.text for t in claim.content if a.best[t.rank] is None and t.weight >= 1][:4]
    if words and a.coverage < _COVERED:
        return "not in the cited sentence: " + ", ".join(words)
    if len(added) >= _ADDED:
        return "not in the cited sentence: " + " ".join(added[:6])
    return "the words of the claim are scattered in the cited sentence"


def _score(a: Alignment, flags: int) -> float:
    """Return coverage and agreement of the surroundings, less for each reason found (0..1)."""
    return min(1.0, (a.coverage + a.agreement) / 2) * float(0.8 ** min(flags, 3))


def _all(*, passed: bool, overlap: float, score: float) -> dict[str, Any]:
    names_of = ("numbers", "negation", "direction", "hedges", "names", "relations", "order", "wording")
    return {**dict.fromkeys(names_of, passed), "overlap": overlap, "proximity": overlap, "score": score}
