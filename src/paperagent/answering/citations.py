"""Turn pointers into quotes, and verify every finished answer. No I/O.

A model only points at sentences. The quote is copied from the library's own text, so a citation is
right by construction or does not exist. `verify` proves it again on the finished answer, against
the abstracts themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from paperagent.errors import PaperAgentError
from paperagent.layout import DOUBT, REPLACED, UNVERIFIED, is_replaced, sentences_under
from paperagent.text.readable import readable
from paperagent.types import Answer, Citation, Claim, Paper, Sentence

CUT = "… "
"""Begins a claim that quotes a sentence without its beginning."""
_MARKER = re.compile(r"\[(\d+(?:\s*[,–-]\s*\d+)*)\]")
_ONE_MARKER = re.compile(r"\[(\d+)\]")
_QUOTATION = re.compile(r"(?<!\s)(\s*+)>")
"""Matches only at the start of a run of white space, so that a long run takes linear time."""


# --- citations and claims ---


def cite(n: int, paper: Paper, sentence: Sentence) -> Citation:
    """Return citation ``n`` of a sentence, with its text and offsets from the library."""
    quote = paper.abstract[sentence.start : sentence.end]
    return Citation(n, paper.paper_id, paper.title, paper.url, quote, sentence.start, sentence.end)


def quoted_claim(citation: Citation, *, is_cut: bool = False) -> Claim:
    """Return the claim that quotes a citation, as readable text; after `CUT` if its beginning is missing."""
    checks = {"numbers": True, "negation": True, "overlap": 1.0}
    text = f"{CUT if is_cut else ''}{shown_quote(citation)}"
    return Claim(text, (citation.n,), "quoted", checks)


def shown_quote(citation: Citation) -> str:
    """Return the quote as `readable` text, or the stored text if that is empty."""
    return readable(citation.quote) or citation.quote


# --- an answer's text ---


def escape_markers(text: str) -> str:
    """Change text that looks like a citation marker (``[1]``) so that it does not (``［1］``)."""
    return _MARKER.sub(r"［\1］", text)


def escape_line(text: str) -> str:
    """Escape markers, and a leading ``>``, which would begin a quotation."""
    return _QUOTATION.sub(_escape_quotation, escape_markers(text))


def _escape_quotation(match: re.Match[str]) -> str:
    begins_line = match.start() == 0 or len(f"{match[1]}>".splitlines()) > 1
    return f"{match[1]}＞" if begins_line else match[0]


def join_claims(claims: Sequence[Claim], citations: Sequence[Citation]) -> str:
    """Return the claims as text with [n] markers; a doubtful claim is marked as such.

    Quotations from several papers get one paragraph per paper, under its title. Reworded claims may cite
    several papers, so they form one text.
    """
    by_n = {c.n: c for c in citations}
    if any(c.support != "quoted" for c in claims):
        return claims_as_text(claims, by_n)
    paragraphs: list[tuple[str, str, list[str]]] = []
    for claim in claims:
        source = by_n[claim.citations[0]]
        if not paragraphs or paragraphs[-1][0] != source.paper_id:
            paragraphs.append((source.paper_id, source.title, []))
        paragraphs[-1][2].append(claim_with_markers(claim))
    several = len({p[0] for p in paragraphs}) > 1
    return "\n\n".join(
        f"{escape_line(readable(title))}\n{' '.join(texts)}" if several else " ".join(texts)
        for _, title, texts in paragraphs
    )


def claims_as_text(claims: Sequence[Claim], by_n: Mapping[int, Citation]) -> str:
    """Return claims as one text. An unverified claim is a paragraph with the cited sentences below it.

    Args:
        claims: The claims.
        by_n: The citations by number.
    """
    text, after_quotes = "", False
    for claim in claims:
        quotes = quote_lines(claim, by_n)
        separator = "\n\n" if after_quotes or quotes else " "
        text += "\n".join([f"{separator if text else ''}{claim_with_markers(claim)}", *quotes])
        after_quotes = bool(quotes)
    return text


def claim_with_markers(claim: Claim) -> str:
    """Return a claim's text with its markers, and a remark if it failed its check or was replaced."""
    remark = REPLACED if is_replaced(claim) else DOUBT.get(claim.support)
    markers = "".join(f"[{n}]" for n in claim.citations)
    return f"{escape_line(claim.text)}{f' ({remark})' if remark else ''} {markers}".rstrip()


def quote_lines(claim: Claim, by_n: Mapping[int, Citation]) -> list[str]:
    """Return the sentences to show under a claim, each as a line of a Markdown quotation."""
    quotes = [f"“{escape_markers(shown_quote(c))}” [{c.n}]" for c in sentences_under(claim, by_n)]
    return [f"> {line if i else f'{UNVERIFIED} {line}'}" for i, line in enumerate(quotes)]


def without_quotes(text: str) -> str:
    """Return an answer's text without the sentences below unverified claims."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.lstrip(" ").startswith("> "):
            lines.append(line)
            continue
        while lines and not lines[-1].strip():
            lines.pop()
        if lines:
            lines[-1] = lines[-1].rstrip()
    return "\n".join(lines)


# --- verification of a finished answer ---


def verify(answer: Answer, papers: Mapping[str, Paper]) -> Answer:
    """Prove the invariants of a finished answer against the library's texts, and return it.

    Args:
        answer: The answer.
        papers: The cited papers by id, from the library.

    Raises:
        PaperAgentError: an invariant does not hold, which is a bug: the answer must not be shown.
    """
    for violation in contract_violations(answer, papers):
        raise PaperAgentError(f"answer withheld: {violation}; please report this as a bug")
    return answer


def contract_violations(answer: Answer, papers: Mapping[str, Paper]) -> Iterator[str]:
    """Yield each way in which an answer breaks the contract; nothing for a correct one."""
    retrieved = {h.paper_id for h in answer.hits}
    by_n = {c.n: c for c in answer.citations}
    if len(by_n) != len(answer.citations):
        yield "a citation number is used twice"
    if not {int(n) for n in _ONE_MARKER.findall(answer.answer)} <= by_n.keys():
        yield "the text has a marker without a citation"
    for citation in answer.citations:
        paper = papers.get(citation.paper_id) if citation.paper_id in retrieved else None
        yield from _citation_violations(citation, paper)
    for claim in answer.claims:
        yield from _claim_violations(claim, by_n)


def _citation_violations(c: Citation, paper: Paper | None) -> Iterator[str]:
    if paper is None:
        yield f"citation [{c.n}] names a paper that was not retrieved"
    elif not 0 <= c.start < c.end <= len(paper.abstract) or paper.abstract[c.start : c.end] != c.quote:
        yield f"citation [{c.n}] is not what the abstract says"
    elif (c.title, c.url) != (paper.title, paper.url):
        yield f"citation [{c.n}] misnames its paper"


def _claim_violations(claim: Claim, by_n: Mapping[int, Citation]) -> Iterator[str]:
    if not set(claim.citations) <= by_n.keys():
        yield "a claim points at a citation that is not there"
    elif claim.support == "quoted" and not any(
        claim.text in (quote, CUT + quote) for quote in (shown_quote(by_n[n]) for n in claim.citations)
    ):
        yield "a quoted claim differs from its quote"
    if claim.support == "unverified" and not claim.citations:
        yield "an unverified claim has no sentence to be compared with"
    if claim.support in ("quoted", "supported"):
        if not claim.citations:
            yield "a claim counts as supported without a citation"
        if any(passed is False for passed in claim.checks.values()):
            yield "a claim counts as supported although a check failed"
