"""Decide whether a claim is quoted, supported, unverified or unsupported.

*supported* means that the wording agrees with the cited sentences and that no check found a difference.
*unsupported* means that the claim contradicts its source. Everything in between is *unverified*: the
wording can neither confirm nor refute the claim, so the user has to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from paperagent.text.injection import is_question
from paperagent.text.sentences import split_sentences
from paperagent.verification import additions, framing, polarity, roles, wording
from paperagent.verification.alignment import Alignment, align
from paperagent.verification.context import (
    REFERENCE,
    Context,
    build_context,
    is_english,
    non_empty,
    statement,
)
from paperagent.verification.normalize import mixed_script, normalize
from paperagent.verification.score import measure
from paperagent.verification.tokens import analyze

Strength = Literal["quoted", "supported", "unverified", "unsupported"]
CHECKS = ("numbers", "negation", "direction", "hedges", "names", "framing", "wording")
"""The keys of a verdict's checks that are True or False."""

MIN_SUPPORTED_SCORE = 0.56
"""Minimum score for a claim without findings to be supported."""
MIN_COMPLETE_SCORE = 0.38
"""Minimum score if every word of the claim is in its sentence. Short claims cannot score higher."""
_CHANCE_COVERAGE = 0.1
"""Coverage below which a claim and its sentence share words only by chance."""
_MIN_WEIGHT = 0.5
"""Minimum weight of a meaningful word."""
_SAME_SUBJECT = 0.55
"""Minimum coverage for a claim to be about the same thing as its sentence, and to contradict it."""
_REFUTED_FACTOR = 0.02
"""Factor on the score of a claim that contradicts its source."""
_NEAR_COPY = 0.6
"""Minimum share of equal tokens for a copy, in which every edit must be benign."""
_MAX_CLAIM_CHARACTERS = 3_000
"""Maximum length of a claim in characters."""
_MAX_CLAIM_WORDS = 200
"""Maximum number of content words of a claim."""
_MAX_EVIDENCE_CHARACTERS = 40_000
"""Maximum number of characters read from the evidence."""
_MEANINGLESS = frozenset("yes no none true false correct".split())
"""Words that mean nothing alone."""
_STRIPPED_CHARACTERS = " \"'.,;:"


class Finding(NamedTuple):
    """A difference that a check found."""

    check: str
    """One of `CHECKS`."""
    reason: str
    refutes: bool = False
    """Whether the claim contradicts its source and must be withheld."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the cited sentences support a claim."""

    support: Strength
    checks: Mapping[str, Any]
    """JSON-ready: a bool per check (True: nothing found), ``overlap``, ``proximity`` and ``score`` 0..1."""
    reasons: tuple[str, ...] = ()
    """Short phrases for the user or a repair prompt; empty without findings."""

    @property
    def score(self) -> float:
        """How well claim and sources agree, 0 to 1."""
        return float(self.checks["score"])


def check(
    claim: str,
    evidence: Sequence[str],
    *,
    titles: Sequence[str] = (),
    abstracts: Sequence[str] = (),
    question: str = "",
) -> Verdict:
    """Return whether ``claim`` is supported by the sentences of ``evidence`` together.

    ``titles`` and ``abstracts`` of the cited papers and the ``question`` are context: they show who
    "we" is and which names and numbers belong to the paper. Every sentence of a claim is also checked
    alone, so that a quotation cannot carry an unsupported remark. An empty claim or no evidence is
    *unsupported*. No I/O; deterministic.
    """
    cited = [e for e in evidence if e.strip()]
    if claim.strip() and is_quote(claim, cited):
        return _verdict("quoted", (), overlap=1.0, proximity=1.0, score=1.0)
    evidence = [e for e in cited if not is_question(e) and not is_question(claim)]
    if not claim.strip() or not evidence:
        question_only = "the cited sentence is a question and states nothing"
        reason = question_only if cited and claim.strip() else "nothing is cited"
        return _verdict("unsupported", [Finding("framing", reason, refutes=True)])
    text = statement(claim[: _MAX_CLAIM_CHARACTERS + 1], non_empty(titles), answers=bool(question.strip()))
    if text == REFERENCE or all(t.lower in _MEANINGLESS for t in analyze(text).content):
        return _verdict(
            "unsupported", [Finding("wording", "is only a title, or states nothing", refutes=True)]
        )
    if len(claim) > _MAX_CLAIM_CHARACTERS or len(analyze(text).content) > _MAX_CLAIM_WORDS:
        return _verdict("unverified", [Finding("wording", "too long to be checked as one claim")])
    context = build_context(non_empty(titles), non_empty(abstracts) or tuple(evidence), question)
    overall = _check_text(text, evidence, context)
    parts = split_sentences(text)
    if len(parts) > 1 and overall.support != "unsupported":
        rank = ("unsupported", "unverified", "supported", "quoted")
        alone = [_check_text(p.text, evidence, context, part=True) for p in parts]
        return min((overall, *alone), key=lambda v: (rank.index(v.support), v.score))
    return overall


def _check_text(text: str, evidence: Sequence[str], context: Context, *, part: bool = False) -> Verdict:
    alignment = align(analyze(text), analyze(_join_sentences(evidence)[:_MAX_EVIDENCE_CHARACTERS]))
    findings = list(_findings(alignment, context, text, evidence))
    if part and _is_unrelated(alignment, context):
        findings.append(Finding("wording", f"“{text}” has no basis in the source", refutes=True))
    signals = measure(alignment, context, findings=len(findings))
    measures = {"overlap": alignment.coverage, "proximity": alignment.proximity, "score": signals.score}
    if any(f.refutes for f in findings):
        measures["score"] *= _REFUTED_FACTOR
        return _verdict("unsupported", findings, **measures)
    if findings:
        return _verdict("unverified", findings, **measures)
    if signals.score >= (MIN_COMPLETE_SCORE if signals.complete else MIN_SUPPORTED_SCORE):
        return _verdict("supported", (), **measures)
    return _verdict("unverified", [Finding("wording", signals.missing)], **measures)


def is_quote(claim: str, evidence: Sequence[str]) -> bool:
    """Return whether the claim equals one or all sentences of the evidence, except for spelling marks."""
    plain_claim = _comparison_key(claim)
    return any(plain_claim == _comparison_key(e) for e in evidence) or plain_claim == _comparison_key(
        " ".join(evidence)
    )


def _comparison_key(text: str) -> str:
    return normalize(text).strip(_STRIPPED_CHARACTERS).rstrip(".!?").casefold()


def _join_sentences(evidence: Sequence[str]) -> str:
    return " ".join(e if e.rstrip().endswith((".", "!", "?")) else e + "." for e in evidence if e.strip())


def _findings(
    alignment: Alignment, context: Context, text: str, evidence: Sequence[str]
) -> Iterator[Finding]:
    """Yield the findings of all checks."""
    copy, close = alignment.copied >= _NEAR_COPY, alignment.coverage >= _SAME_SUBJECT
    if not is_english(text):
        yield Finding("wording", "is in a different language from its source")
        return
    strange = mixed_script(text)
    if strange and not set(strange) <= set(mixed_script(normalize(" ".join(evidence)))):
        yield Finding("names", f"“{strange[0]}” mixes letters of two scripts", refutes=True)
    opposites = polarity.opposite_words(alignment)
    negations = polarity.pair_negations(alignment)
    reversed_pairs = frozenset(
        p for p in opposites if negations.claim_denies(p[0]) != negations.source_denies(p[1])
    )
    for rank, position in reversed_pairs:
        alignment.accept(rank, position)
    if _restates_another_sentence(alignment, context):
        yield Finding("wording", "takes its words from a sentence other than the cited one", refutes=True)
    yield from (
        Finding("numbers", r, refutes=bad) for r, bad in roles.wrong_numbers(alignment, context, copy=copy)
    )
    yield from (
        Finding("numbers", r, refutes=alignment.copied >= wording.COPY)
        for r in roles.swapped_numbers(alignment)
    )
    for reason, bad in polarity.changed_negations(alignment, negations, reversed_pairs, copy=copy):
        yield Finding("negation", reason, refutes=bad and close)
    for reason in polarity.reversed_words(alignment, opposites, negations, copy=copy):
        yield Finding("direction", reason, refutes=copy or close)
    yield from (Finding("direction", r) for r in polarity.contrary_judgment(alignment))
    yield from (
        Finding("direction", r, refutes=alignment.copied >= wording.COPY)
        for r in roles.reversed_sides(alignment)
    )
    yield from (
        Finding("hedges", r) for r in (*framing.dropped_hedges(alignment), *framing.overstatements(alignment))
    )
    yield from (Finding("names", r, refutes=bad) for r, bad in wording.unknown_names(alignment, context))
    yield from (Finding("names", r) for r in wording.exchanged_categories(alignment))
    yield from (Finding("framing", r) for r in framing.changed_frames(alignment, context))
    yield from (Finding("framing", r) for r in additions.added_tone(text, evidence))
    yield from (Finding("framing", r) for r in additions.added_material(alignment, context))
    if copy:
        yield from (
            Finding("wording", r, refutes=bad) for r, bad in wording.changed_wording(alignment, context)
        )


def _is_unrelated(alignment: Alignment, context: Context) -> bool:
    """Return whether neither the source nor its context contains any meaningful word of the claim."""
    words = [t for t in alignment.claim.content if t.weight >= _MIN_WEIGHT]
    return not any(alignment.best[t.rank] is not None or context.mentions(t) for t in words)


def _restates_another_sentence(alignment: Alignment, context: Context) -> bool:
    """Return whether no word of a claim is in its sentence, and at least half are elsewhere in the paper.

    A heavy paraphrase may share no word either, but then it shares few with the rest of the paper.
    """
    words = [t for t in alignment.claim.content if t.weight >= _MIN_WEIGHT]
    elsewhere = sum(alignment.best[t.rank] is None and context.mentions(t) for t in words)
    return bool(words) and alignment.coverage < _CHANCE_COVERAGE and elsewhere * 2 >= len(words)


def _verdict(
    support: Strength,
    findings: Sequence[Finding],
    *,
    overlap: float = 0.0,
    proximity: float = 0.0,
    score: float = 0.0,
) -> Verdict:
    checks: dict[str, Any] = {name: all(f.check != name for f in findings) for name in CHECKS}
    checks |= {"overlap": round(overlap, 3), "proximity": round(proximity, 3), "score": round(score, 4)}
    return Verdict(support, checks, tuple(dict.fromkeys(f.reason for f in findings)))
