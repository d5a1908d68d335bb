"""What a second reader changes in an answer: which claims it judges, and how much its opinion counts.

Wording and reader are two witnesses; neither decides alone against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from paperagent.answering.judge import IsAnswerable, IsSupported, Item, Judge, Source, When
from paperagent.text.injection import looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.types import Citation, Claim, Paper, Support, Usage

if TYPE_CHECKING:
    from paperagent.answering.claims import Ledger

REFUTED = "the second reader finds that the cited sentences do not support it"
YES, NO = 0.8, 0.2
"""From which and up to which probability an opinion is clear; a bare label is clear, too."""
FAR = 0.1
"""Score of the wording below which a claim is far from its sentences."""


def settle(claim: Claim, p: float) -> Claim:
    """Return the claim with its support after a second reader gave it the probability ``p``.

    Wording and reader must agree. A reader that is right nine times in ten, and as sure of its errors as
    of the rest, would by itself withhold a tenth of the honest claims that wording leaves open, which are
    nearly half of all, and call a tenth of the wrong ones supported. So an open claim is

    - *supported* by a clear yes, unless wording found something (a number, a hedge, a frame …) or the
      claim is far from its sentences;
    - *unsupported* by a clear no, where wording found something and the claim is far from its sentences;
    - else *unverified*, with its probability.

    A claim that wording supports stays *supported* unless the reader gives less than one half; then it is
    *unverified*.

    On 544 claims (``eval/judge.py``) wording leaves 140 of 307 honest and 145 of 237 wrong ones open.
    Of these a yes supports 50 and 47, and a no refutes 12 and 23. A reader that is right on 90 %, however
    sure of itself, then calls .030 of the wrong ones supported where it sees all claims, and adds .004 to
    the honest ones withheld; deciding alone it would be .071 and .046.
    """
    support: Support = claim.support
    score = float(claim.checks.get("score", 0.0))
    finding = any(passed is False for name, passed in claim.checks.items() if name != "wording")
    if support == "unverified":
        if p >= YES and not finding and score >= FAR:
            support = "supported"
        elif p <= NO and finding and score < FAR:
            support = "unsupported"
    elif support == "supported" and p < 0.5:
        support = "unverified"
    checks = {**claim.checks, "judge": round(p, 3)}
    if support == "supported":
        # What wording could not settle is settled now: no check is failed, though not each is passed.
        checks = {name: None if passed is False else passed for name, passed in checks.items()}
    return Claim(claim.text, claim.citations, support, checks)


def due(claims: Sequence[Claim], when: When) -> list[int]:
    """Return which claims a second reader is to be asked about.

    It is asked because of open claims; claims that wording supports are then judged in the same call.
    Quotations, refuted claims and claims without a citation are not judged.
    """
    if when == "never" or (when == "auto" and all(c.support != "unverified" for c in claims)):
        return []
    return [i for i, c in enumerate(claims) if c.support in ("unverified", "supported") and c.citations]


def review(
    ledger: Ledger, judge: Judge, when: When, papers: Iterable[Paper], *, max_cost: float | None = None
) -> tuple[Usage, list[str]]:
    """Have a second reader judge the claims of an answer; return what the call used, and notes.

    With ``always`` it is also asked whether the sentences answer the question at all.
    """
    asked = due(ledger.claims, when)
    if not asked:
        return Usage(), []
    known = {p.paper_id: p for p in papers}
    cited = [[c for c in ledger.citations if c.n in ledger.claims[i].citations] for i in asked]
    items: list[Item] = [
        IsSupported(ledger.claims[i].text, _sources(cs, known)) for i, cs in zip(asked, cited, strict=True)
    ]
    if when == "always" and ledger.question:
        every = {c.n: c for cs in cited for c in cs}
        items.append(IsAnswerable(ledger.question, _sources(list(every.values()), known)))
    opinion = judge.ask(items, max_cost=max_cost)
    if opinion.fault:
        return opinion.usage, [f"no second opinion: {opinion.fault}"]
    before = [ledger.claims[i] for i in asked]
    judged = {
        i: settle(ledger.claims[i], p)
        for i, p in zip(asked, opinion.probabilities, strict=False)
        if p is not None
    }
    after = [judged.get(i, ledger.claims[i]) for i in asked]
    ledger.judged(judged, REFUTED)
    notes = [f"second reader: {opinion.model} {_summary(before, after)}"]
    answerable = opinion.probabilities[len(asked) :]
    if any(p is not None and p <= NO for p in answerable):
        notes.append(f"second reader: {opinion.model} doubts that these sentences answer the question")
    return opinion.usage, notes


def _sources(citations: Sequence[Citation], papers: Mapping[str, Paper]) -> tuple[Source, ...]:
    """Return the cited sentences, paper by paper."""
    found: dict[str, list[Citation]] = {}
    for citation in citations:
        found.setdefault(citation.paper_id, []).append(citation)
    return tuple(
        Source(
            tuple(c.quote for c in cited),
            cited[0].title,
            _context(papers[paper_id].abstract) if paper_id in papers else "",
        )
        for paper_id, cited in found.items()
    )


@lru_cache(maxsize=256)
def _context(abstract: str) -> str:
    """Return an abstract without the sentences that give orders: they are no context of anything."""
    return " ".join(s.text for s in split_sentences(abstract) if not looks_like_instruction(s.text))


def _summary(before: Sequence[Claim], after: Sequence[Claim]) -> str:
    """Return a phrase that sums up the second reader's opinion."""
    pairs = [(b.support, a.support) for b, a in zip(before, after, strict=True)]
    opened = [now for was, now in pairs if was == "unverified"]
    doubted = sum(was == "supported" and now != "supported" for was, now in pairs)
    parts = []
    if opened:
        noun = "claim" if len(opened) == 1 else "claims"
        parts.append(f"judged {opened.count('supported')} of {len(opened)} unverified {noun} supported")
    if doubted:
        parts.append(f"doubts {doubted} that wording supports")
    return " and ".join(parts) or f"doubts none of {len(after)} that wording supports"
