"""From what the model wrote to claims that may be shown: resolve, check, apply the policy.

A claim that is refuted by its own sources, or points at nothing, is withheld (or shown marked).
One that wording can neither confirm nor refute is shown as *unverified*. A sentence that gives
orders or asks a question is evidence for nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

from paperagent.answering.citations import cite
from paperagent.answering.passages import Passages
from paperagent.answering.reply import WrittenClaim
from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.types import Citation, Claim, Paper, Sentence, Support

Policy = Literal["withhold", "mark", "repair"]
"""What happens to a claim that fails: kept back, shown marked, or rewritten once by the model."""

_MARKUP = re.compile(
    r"!?\[([^\[\]]*)\]\([^()]*\)|</?[a-z!?][^<>]{0,200}>|[\[(]\d+\.\d+[\])]|\[\d+(?:\s*[,–-]\s*\d+)*\]"
    r"|\b(?:[a-z][a-z0-9+.-]*://|www\.|(?:mailto|javascript|vbscript):(?=\S)|data:[a-z]+/)\S+",
    re.IGNORECASE,
)
_POINTER = re.compile(r"\d{1,3}\.\d{1,3}")
_DROPPED, _SPACED = frozenset({"Cf", "Cs", "Co"}), frozenset({"Cc", "Zl", "Zp"})


class Verdict(Protocol):
    """What a check returns."""

    @property
    def support(self) -> Support:
        """How far the evidence carries the claim."""
        ...

    @property
    def checks(self) -> Mapping[str, Any]:
        """Each check's result, ready for JSON."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """Why it failed, in words."""
        ...


class Check(Protocol):
    """Checks a claim against the sentences that it cites, as `paperagent.verification.check` does."""

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


@dataclass(frozen=True, slots=True)
class Checked:
    """One written claim after its check."""

    claim: Claim
    citations: tuple[Citation, ...]
    reasons: tuple[str, ...] = ()
    """In the words of claim and sentences: for the model that wrote it, not for the reader."""

    @property
    def fault(self) -> str:
        """Why it may not be shown, in our own words."""
        checks = self.claim.checks
        if "dangling" in checks:
            return "points at no sentence that was shown"
        if self.claim.support == "uncited":
            return "points at no sentence"
        if "judge" in checks and self.reasons:
            return self.reasons[0]
        if "statement" in checks:
            return "points at a sentence that gives orders or asks, and states nothing"
        failed = ", ".join(name for name, passed in checks.items() if passed is False)
        return f"fails on {failed}" if failed else "could not be matched with its sentences"

    @property
    def fails(self) -> bool:
        """Whether it may not be shown as it stands."""
        return self.claim.support in ("unsupported", "uncited")


@dataclass(slots=True)
class Ledger:
    """The claims and citations of one answer, numbered in the order of first use."""

    check: Check
    policy: Policy
    question: str = ""
    claims: list[Claim] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    withheld: list[Checked] = field(default_factory=list)

    def add(self, written: WrittenClaim, passages: Passages) -> tuple[Claim, tuple[Citation, ...]] | None:
        """Check a claim and keep it; return what may be shown of it, or None."""
        checked = self.examine(written, passages)
        if checked.fails and self.policy != "mark":
            self.withheld.append(checked)
            return None
        known = {c.n for c in self.citations}
        self.citations += [c for c in checked.citations if c.n not in known]
        self.claims.append(checked.claim)
        return checked.claim, checked.citations

    def judged(self, claims: Mapping[int, Claim], reason: str) -> None:
        """Put judged claims in their places; one that is refuted now is withheld for ``reason``.

        The numbers of the other citations stay: they may have been shown already.
        """
        shown = []
        for index, before in enumerate(self.claims):
            claim = claims.get(index, before)
            if claim.support == "unsupported" and claim is not before and self.policy != "mark":
                cited = tuple(c for c in self.citations if c.n in claim.citations)
                self.withheld.append(Checked(claim, cited, (reason,)))
            else:
                shown.append(claim)
        self.claims = shown
        used = {n for claim in shown for n in claim.citations}
        self.citations = [c for c in self.citations if c.n in used]

    def examine(self, written: WrittenClaim, passages: Passages) -> Checked:
        """Resolve a claim's pointers and check it against the sentences they name."""
        text = plain(written.text)
        found = {p: passages.resolve(p) for p in dict.fromkeys(written.evidence)}
        dangling = [p for p, target in found.items() if target is None]
        targets = {(t[0].paper_id, t[1].start): t for t in found.values() if t is not None}
        citations = self._cite(list(targets.values()))
        if dangling:
            shown = [p if _POINTER.fullmatch(p) else "?" for p in map(plain, dangling)]
            claim = Claim(text, tuple(c.n for c in citations), "unsupported", {"dangling": shown})
            return Checked(claim, citations, (f"points at {', '.join(shown)}, which was not shown",))
        if not citations:
            return Checked(Claim(text, (), "uncited", {}), (), ("points at no sentence",))
        stated = [c.quote for c in citations if not is_question(c.quote)]
        if not stated or is_question(text) or any(looks_like_instruction(q) for q in (text, *stated)):
            claim = Claim(text, tuple(c.n for c in citations), "unsupported", {"statement": False})
            return Checked(claim, citations, ("claim or sentence gives orders or asks, and states nothing",))
        papers = {p.paper_id: p for p, _ in targets.values()}.values()
        verdict = self.check(
            text,
            stated,
            titles=[p.title for p in papers],
            abstracts=[_stated(p.abstract) for p in papers],
            question=self.question,
        )
        if verdict.support == "unverified" and any(_gives_orders(p.abstract) for p in passages.papers):
            # A model that read an order may obey it: what wording cannot confirm is not shown then.
            claim = Claim(text, tuple(c.n for c in citations), "unsupported", dict(verdict.checks))
            return Checked(claim, citations, (*verdict.reasons, "a passage gives orders to the model"))
        claim = Claim(text, tuple(c.n for c in citations), verdict.support, dict(verdict.checks))
        return Checked(_consistent(claim, citations), citations, tuple(verdict.reasons))

    def _cite(self, targets: Sequence[tuple[Paper, Sentence]]) -> tuple[Citation, ...]:
        """Return citations of sentences, under the numbers they have or the next ones."""
        held = {(c.paper_id, c.start): c for c in self.citations}
        made: list[Citation] = []
        for paper, sentence in targets:
            known = held.get((paper.paper_id, sentence.start))
            made.append(known or cite(len(self.citations) + 1 + _new(made, self.citations), paper, sentence))
        return tuple(made)


@lru_cache(maxsize=256)
def _stated(abstract: str) -> str:
    """Return an abstract without sentences that give orders: they are context for nothing."""
    return " ".join(s.text for s in split_sentences(abstract) if not looks_like_instruction(s.text))


@lru_cache(maxsize=256)
def _gives_orders(abstract: str) -> bool:
    return any(looks_like_instruction(s.text) for s in split_sentences(abstract))


def _new(made: Sequence[Citation], known: Sequence[Citation]) -> int:
    return sum(c not in known for c in made)


def _consistent(claim: Claim, citations: Sequence[Citation]) -> Claim:
    """Call a claim quoted only where it is one cited sentence to the letter; else supported."""
    if claim.support == "quoted" and claim.text not in {c.quote for c in citations}:
        return Claim(claim.text, claim.citations, "supported", claim.checks)
    return claim


def plain(text: str) -> str:
    """Return model text as plain text: no controls, markup, links, images or markers of its own."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_visible, text))
    while True:  # what is taken out may have parted the halves of another
        shorter = _MARKUP.sub(lambda m: m.group(1) or "", text)
        if shorter == text:
            return " ".join(text.split())
        text = shorter


def _visible(char: str) -> str:
    kind = unicodedata.category(char)
    return " " if kind in _SPACED else "" if kind in _DROPPED else char
