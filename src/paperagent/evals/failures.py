"""Why a case came out wrong: whose fault it was, in the order in which an answer is made. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers
from paperagent.evals.outcomes import abstained, contains_each, count_withheld, normalized
from paperagent.evals.results import Failure, ModelCall
from paperagent.evals.scorers import correct
from paperagent.types import Answer, Paper


def classify(
    case: Case, answer: Answer, papers: Mapping[str, Paper], raw: Sequence[ModelCall] | None = None
) -> Failure | None:
    """Return what went wrong with an answer, or None.

    ``retrieval_miss``: a gold paper was not found. ``check_too_strict``: what a check kept back
    would have been right. ``should_have_answered``: all was found, and it abstained (or said
    nothing). ``evidence_ignored``: all was found, and it answered something else.
    """
    if correct.score(case, answer, papers):
        return None
    if not case.answerable:
        return "should_have_abstained"
    gold = GoldPapers.of(case, papers)
    if len(gold.places(answer)) < len(gold.gains):
        return "retrieval_miss"
    if _kept_back_what_was_right(case, answer, raw):
        return "check_too_strict"
    nothing = abstained(answer) or not answer.claims
    return "should_have_answered" if nothing else "evidence_ignored"


def _kept_back_what_was_right(case: Case, answer: Answer, raw: Sequence[ModelCall] | None) -> bool:
    """Tell whether claims were withheld that say what is wanted and point at the gold evidence.

    Whether they are true takes a reader; here a claim is taken for right that adds no number and
    no denial to the sentences that it points at.
    """
    if not count_withheld(answer):
        return False
    if raw is None:
        return answer.reason == "withheld_unsupported"
    sound = [claim for call in raw for claim in reply_claims(call) if _adds_nothing(claim, call.shown)]
    text = normalized(" ".join(str(claim.get("text", "")) for claim in sound))
    shown = [
        normalized(call.shown[p]) for call in raw for c in sound for p in claim_pointers(c) if p in call.shown
    ]
    pointed = not case.evidence or any(
        normalized(e) in s or s in normalized(e) for e in case.evidence for s in shown
    )
    said = all(contains_each(text, case.must_include)) and not any(contains_each(text, case.must_not))
    return bool(sound) and pointed and said


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DENIAL = re.compile(r"\b(?:not?|never|none|without|cannot|neither|nor)\b|n't\b")


def _adds_nothing(claim: Mapping[str, Any], shown: Mapping[str, str]) -> bool:
    sources = normalized(" ".join(shown.get(p, "") for p in claim_pointers(claim)))
    text = normalized(str(claim.get("text", "")))
    numbers = set(_NUMBER.findall(text)) <= set(_NUMBER.findall(sources))
    return bool(sources) and numbers and len(_DENIAL.findall(text)) <= len(_DENIAL.findall(sources))


def claim_pointers(claim: Mapping[str, Any]) -> list[str]:
    """Return what a written claim points at; nothing where it points at no list."""
    found = claim.get("evidence")
    return [str(p) for p in found] if isinstance(found, list) else []


def reply_claims(call: ModelCall) -> list[dict[str, Any]]:
    """Return the claims of a reply that is plain JSON; none of any other."""
    try:
        found = json.loads(call.text)
    except (ValueError, RecursionError):
        return []
    claims = found.get("claims") if isinstance(found, dict) else None
    return [c for c in claims if isinstance(c, dict)] if isinstance(claims, list) else []
