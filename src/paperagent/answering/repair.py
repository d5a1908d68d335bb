"""Mend a model's claims: pointers off by a few sentences, and claims that fail their check. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from paperagent.answering.citations import quoted_claim
from paperagent.answering.claims import Check, Checked, Ledger, Verdict
from paperagent.answering.passages import Passages
from paperagent.answering.reply import WrittenClaim
from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.terms import index_terms
from paperagent.types import Citation, Claim

CONFIRMED = ("quoted", "supported")
TRIED = 3
"""The most other sentences of the same abstract that are tried for a claim."""
SHIFTS = (-1, 1, -2, 2)
_PLACE = re.compile(r"(\d{1,3})\D(\d{1,3})")


def repointed(
    written: WrittenClaim, passages: Passages, examine: Callable[[WrittenClaim], Checked]
) -> WrittenClaim | None:
    """Return the claim pointing at sentences of the same abstract that support it.

    Return None if the cited sentences support it already, or if no sentence does. Small models miscount.
    """
    checked = examine(written)
    if checked.claim.support in CONFIRMED or "statement" in checked.claim.checks:
        return None
    for pointers in _attempts(written, passages):
        again = written.model_copy(update={"evidence": pointers})
        if examine(again).claim.support in CONFIRMED:
            return again
    return None


def _attempts(written: WrittenClaim, passages: Passages) -> Iterator[list[str]]:
    """Yield other pointers to try: those that resolve, single sentences, then all of them shifted.

    Never one sentence more beside those pointed at: three sentences hold enough words for many a
    wrong claim, too.
    """
    resolved = [p for p in written.evidence if passages.resolve(p) is not None]
    if 0 < len(resolved) < len(written.evidence):
        yield resolved
    places = [(int(m[1]), int(m[2])) for p in written.evidence if (m := _PLACE.search(p))]
    meant = dict.fromkeys(passage for passage, _ in places)
    claim_stems = set(index_terms(written.text))
    shared = {
        pointer: len(claim_stems & set(index_terms(sentence.text)))
        for passage in meant
        for pointer, sentence in passages.numbered(passage)
        if pointer not in written.evidence
    }
    close = sorted((p for p, n in shared.items() if 2 * n >= len(claim_stems)), key=lambda p: -shared[p])
    yield from ([pointer] for pointer in close[:TRIED])
    if len(places) > 1:
        for by in SHIFTS:
            moved = [f"{passage}.{sentence + by}" for passage, sentence in places]
            if all(passages.resolve(p) for p in moved):
                yield moved


def marked(ledger: Ledger, **checks: Any) -> Claim:
    """Add checks to the last claim of the ledger, and return it."""
    claim = ledger.claims[-1]
    ledger.claims[-1] = replace(claim, checks={**claim.checks, **checks})
    return ledger.claims[-1]


def replacements(
    failed: Checked, ledger: Ledger, relevant: Callable[[Citation], bool]
) -> list[tuple[Claim, Citation]]:
    """Replace a failed claim in the ledger by the sentences that it cites; return them.

    A sentence is used only if it is relevant to the question, states something and is not cited yet.
    """
    known = {(c.paper_id, c.start) for c in ledger.citations}
    fresh = [
        c
        for c in failed.citations
        if (c.paper_id, c.start) not in known
        and not (is_question(c.quote) or looks_like_instruction(c.quote))
        and relevant(c)
    ]
    made = []
    for citation in fresh:
        taken = {c.n for c in ledger.citations}
        cited = replace(citation, n=next(n for n in count(1) if n not in taken))
        ledger.citations = sorted([*ledger.citations, cited], key=lambda c: c.n)
        ledger.claims.append(quoted_claim(cited))
        made.append((marked(ledger, replaced=failed.fault), cited))
    return made


def remembering(check: Check) -> Check:
    """Return the check with its verdicts cached: mending needs some of them twice."""
    known: dict[Any, Verdict] = {}

    def remembered(claim: str, evidence: Sequence[str], **context: Any) -> Verdict:
        key = (claim, *evidence, *((k, v if isinstance(v, str) else tuple(v)) for k, v in context.items()))
        if key not in known:
            known[key] = check(claim, evidence, **context)
        return known[key]

    return remembered
