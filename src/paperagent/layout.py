"""What is shown of answers, hits and reports, and in which order: a list of `Block`s of raw text.

`markdown`, `plain_text` and `html` make harmless strings of them; `render.Screen` draws them on a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from paperagent.text.sanitize import safe_markdown, safe_terminal, safe_url

if TYPE_CHECKING:
    from paperagent.types import Answer, Citation, Claim, Hit, Paper

Kind = Literal["heading", "text", "item", "quote", "row", "note", "aside"]

UNVERIFIED = "unverified – compare with the source:"
"""Stands before the sentences under a claim that wording neither confirms nor refutes."""
REPLACED = "the model's wording was replaced by the cited sentence"
CONFIRMED = "confirmed by the second reader"
DOUBT = {"unsupported": "not supported by its source", "uncited": "no source given"}
"""What is said of a claim that is shown although it failed its check."""

_WITHHELD, _INCOMPLETE = "withheld: ", "incomplete: "
"""How the notes begin that say which claim was kept back and why, and why an answer is not whole."""
_REASON = {"abstained": "No answer", "refused": "Refused", "incomplete": "INCOMPLETE"}
_NEAREST = 3
_DOUBTED_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of output. Every string may come from a stranger, but ``marker`` and ``cites``."""

    kind: Kind
    text: str
    marker: str = ""
    """What stands before an item: ``1.``, ``[2]``; the name of a row; ``ok`` or ``FAIL``; what a quote is."""
    cites: tuple[int, ...] = ()
    detail: str = ""
    url: str | None = None
    tight: bool = False
    """Whether it follows the block before without a blank line."""
    struck: bool = False
    """Whether the text is shown struck through: it is refuted."""
    plain: bool = False
    """Whether ``text`` is our own, such as an address that was checked: as Markdown it stays as it is."""


# --- answers ---


def answer_blocks(answer: Answer, *, quotes: bool = False) -> Iterator[Block]:
    """Lay out an answer: its sentences with [n] markers, then the numbered sources."""
    if answer.status != "answered":
        yield status_block(answer)
    if answer.claims:
        # Quotations gain by standing under their paper's title; a model's claims are a text in its order.
        yield from claim_blocks(answer.claims, answer.citations, titles=answer.mode == "extractive")
    elif answer.citations:
        yield from _closest(answer.citations)
    elif answer.status == "answered":
        yield Block("text", answer.answer)
    yield from ending_blocks(answer, quotes=quotes)


def status_block(answer: Answer) -> Block:
    """Say why there is no full answer."""
    why = answer.answer.partition("\n\n")[0] if answer.status != "incomplete" else _why_incomplete(answer)
    return Block("note", why or (answer.reason or "").replace("_", " "), marker=_REASON[answer.status])


def _why_incomplete(answer: Answer) -> str:
    why = "" if answer.claims else answer.answer.partition("\n\n")[0]
    return next((n.removeprefix(_INCOMPLETE) for n in answer.notes if n.startswith(_INCOMPLETE)), why)


def ending_blocks(answer: Answer, *, quotes: bool = False) -> Iterator[Block]:
    """Lay out what follows the sentences: sources, else the nearest papers; withheld claims; notes."""
    if answer.citations:
        yield Block("heading", "Sources")
        yield from source_blocks(answer.citations, quotes=quotes)
    else:
        yield from nearest_blocks(answer.hits)
    withheld = [n for n in answer.notes if n.startswith(_WITHHELD)]
    if withheld:
        yield Block("heading", "Withheld")
        yield from map(_withheld_block, withheld)
    yield from (Block("note", n) for n in answer.notes if not n.startswith((_WITHHELD, _INCOMPLETE)))


def nearest_blocks(hits: Sequence[Hit]) -> Iterator[Block]:
    """Lay out the best of what was retrieved, where there is no answer to show."""
    if hits:
        yield Block("heading", "Nearest papers")
        yield from (replace(b, tight=True) for b in hit_blocks(hits[:_NEAREST], snippets=False))


def _withheld_block(note: str) -> Block:
    text, _, why = note.removeprefix(_WITHHELD).removeprefix("“").partition("” (")
    return Block("quote", text.removesuffix("”"), detail=why.removesuffix(")"), tight=True, struck=True)


# --- claims ---


def claim_blocks(
    claims: Sequence[Claim], citations: Sequence[Citation], *, titles: bool = True
) -> Iterator[Block]:
    """Lay out claims; with ``titles``, grouped by paper where each cites one of several."""
    by_number = {c.n: c for c in citations}
    if any(c.checks.get("theme") for c in claims):
        yield from _themed(claims, by_number)
        return
    papers = [paper_of(claim, by_number) for claim in claims]
    grouped = titles and len(set(papers)) > 1 and None not in papers
    order = list(dict.fromkeys(papers)) if grouped else [None]
    for paper in order:
        if paper is not None:
            title = next(c.title for c in citations if c.paper_id == paper)
            yield Block("heading", title)
        members = [c for c, p in zip(claims, papers, strict=True) if not grouped or p == paper]
        for i, claim in enumerate(members):
            yield from one_claim(claim, by_number, tight=grouped and i == 0)


def _themed(claims: Sequence[Claim], by_number: Mapping[int, Citation]) -> Iterator[Block]:
    """Lay out a summary: what stands before its themes as text, then each paper under its theme."""
    for theme, members in groupby(claims, key=lambda c: str(c.checks.get("theme", ""))):
        if theme:
            yield Block("heading", theme)
        for claim in members:
            if theme:
                yield Block("item", by_number[claim.citations[0]].title)
            yield from one_claim(claim, by_number, tight=bool(theme))


def _closest(citations: Sequence[Citation]) -> Iterator[Block]:
    """Lay out the closest passages, which an abstention cites, by paper where they are of several."""
    papers = dict.fromkeys(c.paper_id for c in citations)
    for paper in papers:
        passages = [c for c in citations if c.paper_id == paper]
        if len(papers) > 1:
            yield Block("heading", passages[0].title)
        for i, c in enumerate(passages):
            yield Block("text", c.quote, cites=(c.n,), tight=len(papers) > 1 and i == 0)


def one_claim(claim: Claim, by_number: Mapping[int, Citation], *, tight: bool = False) -> Iterator[Block]:
    """Lay out one claim, with the sentences under it that a reader should compare it with.

    One that failed a check says so, and which; a refuted one is struck through.
    """
    struck = claim.support == "unsupported"
    yield Block("text", claim.text, cites=claim.citations, detail=_doubt(claim), tight=tight, struck=struck)
    if is_replaced(claim):
        yield Block("aside", REPLACED, tight=True)
    for i, citation in enumerate(sentences_under(claim, by_number)):
        label = "" if i else UNVERIFIED
        yield Block("quote", f"“{citation.quote}”", label, cites=(citation.n,), tight=True)


def sentences_under(claim: Claim, by_number: Mapping[int, Citation]) -> list[Citation]:
    """Return the citations whose sentences stand under a claim wherever it is shown: an unverified one's."""
    if claim.support != "unverified":
        return []
    return [by_number[n] for n in claim.citations if n in by_number]


def is_replaced(claim: Claim) -> bool:
    """Tell whether the claim quotes its sentence in place of a model's wording that failed its check."""
    return claim.support == "quoted" and bool(claim.checks.get("replaced"))


def second_opinion(checks: Mapping[str, Any]) -> float | None:
    """Return the second reader's probability that a claim is supported; None where it was not asked.

    Answers recorded by earlier versions hold a label instead.
    """
    opinion = checks.get("judge")
    if isinstance(opinion, (int, float)) and not isinstance(opinion, bool):
        return float(opinion)
    return {"supported": 1.0, "not_supported": 0.0}.get(str(opinion))


def is_doubted(checks: Mapping[str, Any]) -> bool:
    """Tell whether the second reader thinks it likelier that a claim is not supported."""
    opinion = second_opinion(checks)
    return opinion is not None and opinion < _DOUBTED_BELOW


def _doubt(claim: Claim) -> str:
    doubt = DOUBT.get(claim.support, "")
    failed = [name for name, passed in claim.checks.items() if passed is False]
    if claim.checks.get("dangling"):
        failed.append(f"points at {', '.join(claim.checks['dangling'])}, which was not shown")
    if is_doubted(claim.checks):
        failed.append("the second reader says so")
    return f"{doubt}: {', '.join(failed)}" if doubt and failed else doubt


def paper_of(claim: Claim, citations: Mapping[int, Citation]) -> str | None:
    """Return the one paper that ``claim`` cites, or None where it cites none or several."""
    papers = {citations[n].paper_id for n in claim.citations if n in citations}
    return papers.pop() if len(papers) == 1 else None


# --- papers ---


def source_blocks(citations: Sequence[Citation], *, quotes: bool = False) -> Iterator[Block]:
    """Lay out each cited paper with its numbers, and on demand each quote."""
    for paper_id in dict.fromkeys(c.paper_id for c in citations):
        cited = [c for c in citations if c.paper_id == paper_id]
        numbers = " ".join(f"[{c.n}]" for c in cited)
        yield Block("item", cited[0].title, marker=numbers, detail=paper_id, url=cited[0].url, tight=True)
        if quotes:
            yield from (Block("quote", c.quote, cites=(c.n,), tight=True) for c in cited)


def hit_blocks(hits: Sequence[Hit], *, snippets: bool = True) -> Iterator[Block]:
    """Lay out ranked papers."""
    for hit in hits:
        paper = hit.paper
        yield Block("item", hit.title, marker=f"{hit.rank}.", detail=_about(paper), url=paper.url)
        if snippets and hit.snippet:
            yield Block("quote", hit.snippet, tight=True)


def paper_blocks(paper: Paper, cited: Sequence[Citation]) -> Iterator[Block]:
    """Lay out a paper whole, the cited sentences of its abstract on lines of their own."""
    yield Block("item", paper.title, detail=_about(paper), url=paper.url)
    at = 0
    for citation in sorted(cited, key=lambda c: c.start):
        if paper.abstract[citation.start : citation.end] != citation.quote:
            yield Block("note", "the abstract has changed since this answer; the quote is from before")
            yield Block("quote", citation.quote, cites=(citation.n,))
        elif citation.start >= at:
            yield from _passage(paper.abstract[at : citation.start])
            yield Block("quote", citation.quote, cites=(citation.n,))
            at = citation.end
    yield from _passage(paper.abstract[at:])


def _passage(text: str) -> Iterator[Block]:
    if text.strip():
        yield Block("text", text.strip())


def _about(paper: Paper) -> str:
    day = paper.day.isoformat() if paper.day else ""
    kinds = ", ".join(paper.categories[:3])
    return " · ".join(p for p in (paper.paper_id, day, kinds, paper.taken_back) if p)


# --- reports ---


def row_blocks(rows: Iterable[tuple[str, Any]], *, plain: bool = False) -> Iterator[Block]:
    """Lay out names and values; with ``plain``, values of our own."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield Block("row", str(value), marker=name.ljust(width), tight=True, plain=plain)


def counted(count: int, noun: str) -> str:
    """Return a number with what is counted, such as ``1 paper`` or ``1,200 papers``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


# --- strings ---


def markdown(block: Block, *, own: Collection[str] = ()) -> str:
    """Return ``block`` as Markdown in which nothing from a stranger is active.

    ``own`` are addresses and paths of the settings, which no escape need break.
    """
    text = safe_terminal(block.text) if block.plain else safe_markdown(block.text, own=own)
    detail = safe_markdown(block.detail, own=own)
    text = f"~~{text}~~" if block.struck and text else text
    cites = "".join(f" [{n}]" for n in block.cites)
    url = safe_url(block.url)
    rest = "".join(f" — {part}" for part in (detail, f"<{url}>" if url else "") if part)
    if block.kind == "heading":
        return f"## {text}"
    if block.kind == "quote":
        return f"   > {f'{block.marker} ' if block.marker else ''}{text}{cites}{rest}"
    if block.kind == "item":
        marker = block.marker if block.marker.endswith(".") else f"- {block.marker}".rstrip()
        return f"{marker} **{text}**{rest}"
    if block.kind == "row":
        return f"- {block.marker.strip()}: {text}{rest}"
    if block.kind in {"note", "aside"}:
        return f"*{block.marker}:* {text}" if block.marker else f"*{text}*"
    return f"{text}{f' ({detail})' if detail else ''}{cites}"


def plain_text(block: Block) -> str:
    """Return ``block`` as plain text on one line, with nothing that a terminal could obey."""
    cites = "".join(f" [{n}]" for n in block.cites)
    colon = ":" if block.kind in {"row", "note", "aside"} and block.marker else ""
    start = f"{block.marker.strip()}{colon} " if block.marker else ""
    detail = safe_terminal(block.detail).strip()
    url = safe_url(block.url)
    line = start + safe_terminal(block.text).strip()
    if block.kind in {"text", "quote"}:
        line += f" ({detail})" if detail else ""
        return f"{'    ' if block.kind == 'quote' else ''}{line}{cites}"
    return " — ".join(part for part in (line, detail, url) if part)


def html(block: Block) -> str:
    """Return ``block`` as HTML that needs no style sheet, in which nothing from a stranger is active."""
    shown = escape(safe_terminal(block.text).strip())
    shown = f"<s>{shown}</s>" if block.struck else shown
    marker = escape(block.marker.strip())
    detail = escape(safe_terminal(block.detail).strip())
    cites = "".join(f" [{n}]" for n in block.cites)
    url = safe_url(block.url)
    if block.kind == "heading":
        return f"<h4>{shown}</h4>"
    if block.kind == "quote":
        label = f"<small>{marker}</small> " if marker else ""
        rest = f" <small>{detail}</small>" if detail else ""
        return f'<blockquote style="{_QUOTE_STYLE}">{label}{shown}{cites}{rest}</blockquote>'
    if block.kind == "item":
        title = f'<a href="{escape(url)}" rel="noreferrer noopener">{shown}</a>' if url else shown
        rest = f" <small>{detail}</small>" if detail else ""
        return f"<p>{f'{marker} ' if marker else ''}{title}{rest}</p>"
    if block.kind == "aside":
        return f"<p><small>{shown}</small></p>"
    if block.kind in {"row", "note"}:
        return f"<p><em>{f'{marker}: ' if marker else ''}{shown}</em></p>"
    return f"<p>{shown}{f' ({detail})' if detail else ''}{cites}</p>"


_QUOTE_STYLE = "margin:-.4em 0 1em 1em;padding-left:.8em;border-left:3px solid #8886"


def document(blocks: Iterable[Block], written: Callable[[Block], str] = markdown) -> str:
    """Return blocks as one text, with a blank line between them where they want one."""
    lines = (("" if block.tight else "\n") + written(block) for block in blocks)
    return "\n".join(lines).strip("\n")


def transcript(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a conversation as Markdown: each question as a heading, its answer, its sources with quotes."""
    for answer in answers:
        yield f"\n# {safe_markdown(answer.question)}\n\n"
        yield document(answer_blocks(answer, quotes=True)) + "\n"
