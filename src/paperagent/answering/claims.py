"""Turn the model's claims into claims that may be shown: resolve pointers, check, apply the policy.

A claim is withheld (or shown marked) if the cited sentences refute it or if it points at nothing. A claim
that wording can neither confirm nor refute is shown as *unverified*. A sentence that gives instructions or
asks a question is never evidence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Protocol

from paperagent.answering.citations import cite, quoted_claim, shown_quote
from paperagent.answering.passages import Passages, contains_instructions, without_instructions
from paperagent.answering.reply import WrittenClaim, plain_text
from paperagent.text.injection import is_question
from paperagent.text.readable import readable
from paperagent.text.statements import is_claim, is_statement
from paperagent.text.terms import index_terms
from paperagent.types import Citation, Claim, Paper, Sentence

if TYPE_CHECKING:
    from paperagent.verification import Verdict

Policy = Literal["withhold", "mark", "repair"]
"""Treatment of a claim that fails its check: withheld, shown marked, or rewritten once by the model."""

CONFIRMED = ("quoted", "supported")
"""Verdicts that mean that the cited sentences confirm the claim."""
MAX_TRIED_SENTENCES = 3
"""Other sentences of the same abstract that are tried for a claim."""
POINTER_SHIFTS = (-1, 1, -2, 2)
"""By how many sentences pointers are shifted together."""

_POINTER = re.compile(r"\d{1,3}\.\d{1,3}")
_POINTER_NUMBERS = re.compile(r"(\d{1,3})\D(\d{1,3})")


class ClaimChecker(Protocol):
    """Checks a claim against the sentences that it cites. Implemented by `verification.check`."""

    def __call__(
        self,
        claim: str,
        evidence: Sequence[str],
        *,
        titles: Sequence[str] = (),
        abstracts: Sequence[str] = (),
        question: str = "",
    ) -> Verdict:
        """Return the verdict; the keyword arguments are context."""
        ...


def cached_checker(check: ClaimChecker) -> ClaimChecker:
    """Return ``check`` with a cache of its verdicts: correcting pointers needs some of them twice."""
    verdicts: dict[Any, Verdict] = {}

    def check_once(claim: str, evidence: Sequence[str], **context: Any) -> Verdict:
        key = (claim, *evidence, *((k, v if isinstance(v, str) else tuple(v)) for k, v in context.items()))
        if key not in verdicts:
            verdicts[key] = check(claim, evidence, **context)
        return verdicts[key]

    return check_once


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A written claim after its check."""

    claim: Claim
    citations: tuple[Citation, ...]
    reasons_for_model: tuple[str, ...] = ()
    """Why the check failed. Quotes the claim and the sentences, so it is for the model and not for the user.
    """

    @property
    def message_for_user(self) -> str:
        """Why the claim may not be shown, without any text of the model or of a paper."""
        checks = self.claim.checks
        if "dangling" in checks:
            return "points at no sentence that was shown"
        if self.claim.support == "uncited":
            return "points at no sentence"
        if "judge" in checks and self.reasons_for_model:
            return self.reasons_for_model[0]
        if "statement" in checks:
            return "is an instruction or a question instead of a statement, or points at one"
        failed = ", ".join(name for name, passed in checks.items() if passed is False)
        return f"fails on {failed}" if failed else "could not be matched with its sentences"

    @property
    def is_rejected(self) -> bool:
        """Whether the claim may not be shown as it is."""
        return self.claim.support in ("unsupported", "uncited")


@dataclass(slots=True)
class ClaimCollector:
    """The claims and citations of one answer, numbered in the order of first use."""

    checker: ClaimChecker
    policy: Policy
    question: str = ""
    claims: list[Claim] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    withheld: list[CheckedClaim] = field(default_factory=list)
    abstracts: dict[str, str] = field(default_factory=dict)
    """The abstracts of the cited papers by paper id, which show the language of each sentence."""

    def check(self, written: WrittenClaim, passages: Passages) -> CheckedClaim:
        """Resolve a claim's pointers and check the claim against the sentences that they name."""
        text = plain_text(written.text)
        targets = {p: passages.resolve(p) for p in dict.fromkeys(written.evidence)}
        dangling = [pointer for pointer, target in targets.items() if target is None]
        cited = {(t[0].paper_id, t[1].start): t for t in targets.values() if t is not None}
        citations = self._cite(list(cited.values()))
        numbers = tuple(c.n for c in citations)
        if dangling:
            names = [p if _POINTER.fullmatch(p) else "?" for p in map(plain_text, dangling)]
            claim = Claim(readable(text), numbers, "unsupported", {"dangling": names})
            return CheckedClaim(claim, citations, (f"points at {', '.join(names)}, which was not shown",))
        if not citations:
            return CheckedClaim(Claim(readable(text), (), "uncited", {}), (), ("points at no sentence",))
        self.abstracts |= {p.paper_id: p.abstract for p, _ in cited.values()}
        asserting = [c for c in citations if not is_question(c.quote)]
        if not (asserting and is_claim(text, self.question) and all(map(self._is_statement, asserting))):
            claim = Claim(readable(text), numbers, "unsupported", {"statement": False})
            reason = "claim or sentence is an instruction, a question or a bare token, not a statement"
            return CheckedClaim(claim, citations, (reason,))
        statements = [c.quote for c in asserting]
        papers = {p.paper_id: p for p, _ in cited.values()}.values()
        verdict = self.checker(
            text,
            statements,
            titles=[p.title for p in papers],
            abstracts=[without_instructions(p.abstract) for p in papers],
            question=self.question,
        )
        claim = Claim(readable(text), numbers, verdict.support, dict(verdict.checks))
        if verdict.support == "unverified" and any(
            contains_instructions(p.abstract) for p in passages.papers
        ):
            # The model may have obeyed the instruction, so what wording cannot confirm is not shown.
            reasons = (*verdict.reasons, "a passage gives instructions to the model")
            return CheckedClaim(replace(claim, support="unsupported"), citations, reasons)
        if claim.support == "quoted" and claim.text not in map(shown_quote, citations):
            claim = replace(claim, support="supported")  # only a verbatim sentence counts as quoted
        return CheckedClaim(claim, citations, tuple(verdict.reasons))

    def add(
        self, written: WrittenClaim, passages: Passages, **extra_checks: Any
    ) -> tuple[Claim, tuple[Citation, ...]] | None:
        """Check a claim and add it.

        Args:
            written: The claim as the model wrote it.
            passages: The passages that the model was shown.
            **extra_checks: Added to the checks of a claim that is shown.

        Returns:
            The claim and its citations as they may be shown, or None if the claim is withheld.
        """
        checked = self.check(written, passages)
        if checked.is_rejected and self.policy != "mark":
            self.withheld.append(checked)
            return None
        claim = checked.claim
        if extra_checks:
            claim = replace(claim, checks={**claim.checks, **extra_checks})
        numbers = {c.n for c in self.citations}
        self.citations += [c for c in checked.citations if c.n not in numbers]
        self.claims.append(claim)
        return claim, checked.citations

    def apply_judgements(self, judged: Mapping[int, Claim], reason: Callable[[Claim], str]) -> None:
        """Replace claims with their judged versions, and withhold those that became unsupported.

        Citations keep their numbers, because the user may have seen them already.

        Args:
            judged: The judged claims by their index in `claims`.
            reason: A function that returns why an unsupported claim is withheld.
        """
        remaining = []
        for index, unjudged in enumerate(self.claims):
            claim = judged.get(index, unjudged)
            if claim.support == "unsupported" and claim is not unjudged and self.policy != "mark":
                cited = tuple(c for c in self.citations if c.n in claim.citations)
                self.withheld.append(CheckedClaim(claim, cited, (reason(claim),)))
            else:
                remaining.append(claim)
        self.claims = remaining
        numbers = {n for claim in remaining for n in claim.citations}
        self.citations = [c for c in self.citations if c.n in numbers]

    def quote_instead(
        self, rejected: CheckedClaim, is_relevant: Callable[[Citation], bool]
    ) -> list[tuple[Claim, Citation]]:
        """Replace a withheld claim by quotations of the sentences that it cites.

        A sentence is quoted if it states something, is relevant to the question and not cited yet.

        Returns:
            The new claims with their citations. If there are none, the claim stays withheld.
        """
        cited = {(c.paper_id, c.start) for c in self.citations}
        usable = [
            c
            for c in rejected.citations
            if (c.paper_id, c.start) not in cited and self._is_statement(c) and is_relevant(c)
        ]
        quotations = []
        for sentence in usable:
            numbers = {c.n for c in self.citations}
            citation = replace(sentence, n=next(n for n in count(1) if n not in numbers))
            quoted = quoted_claim(citation)
            claim = replace(quoted, checks={**quoted.checks, "replaced": rejected.message_for_user})
            self.citations = sorted([*self.citations, citation], key=lambda c: c.n)
            self.claims.append(claim)
            quotations.append((claim, citation))
        if quotations:
            self.withheld.remove(rejected)
        return quotations

    def withheld_notes(self) -> Iterator[str]:
        """Yield notes on withheld claims, with the reasons.

        A withheld claim may be what a malicious abstract wants to be said. So its text is only repeated if
        all its words come from the question and the sources.
        """
        notes = Counter(map(self._withheld_note, self.withheld))
        yield from (note if n == 1 else f"{note[:-1]}; {n} claims)" for note, n in notes.items())

    def _withheld_note(self, rejected: CheckedClaim) -> str:
        sources = (readable(c.quote) for c in rejected.citations if self._is_statement(c))
        vocabulary = {stem for text in (self.question, *sources) for stem in index_terms(text)}
        text = rejected.claim.text
        if all(stem in vocabulary or stem.isdigit() for stem in index_terms(text)):
            reasons = "; ".join(rejected.reasons_for_model) or rejected.message_for_user
            return f"withheld: “{text}” ({reasons})"
        return f"withheld: “…” ({rejected.message_for_user})"

    def _is_statement(self, citation: Citation) -> bool:
        return is_statement(citation.quote, self.abstracts.get(citation.paper_id, ""))

    def _cite(self, targets: Sequence[tuple[Paper, Sentence]]) -> tuple[Citation, ...]:
        """Return citations of sentences, with their existing numbers or the next free ones."""
        cited = {(c.paper_id, c.start): c for c in self.citations}
        citations: list[Citation] = []
        next_number = len(self.citations) + 1
        for paper, sentence in targets:
            citation = cited.get((paper.paper_id, sentence.start))
            if citation is None:
                citation = cite(next_number, paper, sentence)
                next_number += 1
            citations.append(citation)
        return tuple(citations)


# --- pointers that are off by a few sentences ---


def correct_pointers(
    written: WrittenClaim, passages: Passages, check: Callable[[WrittenClaim], CheckedClaim]
) -> WrittenClaim | None:
    """Return the claim with pointers to sentences of the same abstract that confirm it.

    Small models miscount. Returns None if the cited sentences confirm the claim already, or if no
    sentence does.
    """
    checked = check(written)
    if checked.claim.support in CONFIRMED or "statement" in checked.claim.checks:
        return None
    for evidence in _other_pointers(written, passages):
        corrected = written.model_copy(update={"evidence": evidence})
        if check(corrected).claim.support in CONFIRMED:
            return corrected
    return None


def _other_pointers(written: WrittenClaim, passages: Passages) -> Iterator[list[str]]:
    """Yield other pointers to try: those that resolve, single sentences, then all pointers shifted.

    Sentences are never added to the cited ones: three sentences contain enough words to support many wrong
    claims.
    """
    resolved = [p for p in written.evidence if passages.resolve(p) is not None]
    if 0 < len(resolved) < len(written.evidence):
        yield resolved
    places = [(int(m[1]), int(m[2])) for p in written.evidence if (m := _POINTER_NUMBERS.search(p))]
    claim_stems = set(index_terms(written.text))
    shared_stems = {
        pointer: len(claim_stems & set(index_terms(sentence.text)))
        for passage in dict.fromkeys(passage for passage, _ in places)
        for pointer, sentence in passages.numbered(passage)
        if pointer not in written.evidence
    }
    similar = [pointer for pointer, n in shared_stems.items() if 2 * n >= len(claim_stems)]
    similar.sort(key=lambda pointer: -shared_stems[pointer])
    yield from ([pointer] for pointer in similar[:MAX_TRIED_SENTENCES])
    if len(places) > 1:
        for shift in POINTER_SHIFTS:
            shifted = [f"{passage}.{sentence + shift}" for passage, sentence in places]
            if all(passages.resolve(p) for p in shifted):
                yield shifted
