"""Lay out answers, search results, papers and reports as `Block` objects, which hold unescaped text.

`markdown`, `plain_text` and `notebook.html` turn a block into an escaped string; `ui.render.Screen` prints
blocks on a terminal. So every output shows the same content in the same order. Text of papers is converted
in one place, `shown_text`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from paperagent.text.readable import readable, readable_with_offsets
from paperagent.text.sanitize import safe_markdown, safe_terminal, safe_url

if TYPE_CHECKING:
    from paperagent.types import Answer, Citation, Claim, Hit, Paper

Kind = Literal["heading", "text", "item", "quote", "row", "note", "aside"]
"""``item``: a paper or another list entry; ``row``: a name and its value; ``aside``: a minor remark."""

SOURCES, WITHHELD, NEAREST = "Sources", "Withheld", "Nearest papers"
"""The headings of the parts below an answer."""
NO_ANSWER = "No answer"
"""The label of an abstention."""
UNVERIFIED = "unverified – compare with the source:"
"""Introduces the cited sentences below an unverified claim."""
REPLACED = "the model's wording was replaced by the cited sentence"
CONFIRMED = "confirmed by the judge"
DOUBT = {"unsupported": "not supported by its source", "uncited": "no source given"}
"""Support → the remark on a claim that is shown although verification failed."""

_WITHHELD, _INCOMPLETE = "withheld: ", "incomplete: "
"""Prefixes of the notes of an `Answer` about a withheld claim and about an incomplete answer."""
_STATUS_LABELS = {
    "doubtful": "May not answer",
    "abstained": NO_ANSWER,
    "refused": "Refused",
    "incomplete": "INCOMPLETE",
}
_NEAREST = 3
"""The number of papers shown if there is no answer."""
_DOUBTED_BELOW = 0.5
"""Probability below which the judge considers a claim unsupported."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of output. Its strings are untrusted, except ``marker``."""

    kind: Kind
    text: str
    marker: str = ""
    """The label before the text: ``1.``, ``[2]``, ``ok``, the name of a row, or what a quote is."""
    cites: tuple[int, ...] = ()
    """The numbers of citations after the text."""
    detail: str = ""
    """A remark after the text."""
    url: str | None = None
    paper_id: str | None = None
    """The paper that the text names, for an output that has a page for each paper."""
    tight: bool = False
    """Whether to print no blank line before this block."""
    struck: bool = False
    """Whether the text is struck through, because it is refuted."""
    plain: bool = False
    """Whether ``text`` is trusted, such as a checked URL, so that it is not escaped or converted."""


_PAPER_TEXT_KINDS = frozenset({"heading", "text", "item", "quote"})
"""The kinds of blocks that may contain text of papers; others may contain paths, which stay as they are."""


def shown_text(block: Block) -> str:
    """Return the text of ``block`` without LaTeX, entities and tags, not yet escaped."""
    return readable(block.text) if block.kind in _PAPER_TEXT_KINDS and not block.plain else block.text


# --- answers ---


def answer_blocks(answer: Answer, *, quotes: bool = False) -> Iterator[Block]:
    """Lay out an answer: its claims with [n] markers, then the numbered sources."""
    if answer.kind != "papers":
        yield from _library_blocks(answer)
        return
    if answer.status != "answered":
        yield status_block(answer)
    if answer.claims:
        # Quotes are grouped under the titles of their papers; claims by a model form a text.
        yield from claim_blocks(answer.claims, answer.citations, titles=answer.mode == "extractive")
    elif answer.citations:
        yield from _passages_by_paper(answer.citations)
    elif answer.status == "answered":
        yield Block("text", answer.answer)
    yield from ending_blocks(answer, quotes=quotes)


def _library_blocks(answer: Answer) -> Iterator[Block]:
    """Lay out an answer from the database; its list of titles is replaced by the papers themselves."""
    for paragraph in answer.answer.split("\n\n"):
        blocks: Iterable[Block] = [Block("text", paragraph, plain=answer.kind == "chat")]
        if answer.hits and paragraph.startswith("1. "):
            blocks = hit_blocks(answer.hits, snippets=False)
        elif paragraph.startswith("- "):
            rows = (line[2:].partition(": ")[::2] for line in paragraph.split("\n"))
            blocks = row_blocks(rows, plain=answer.kind == "chat")
        yield from (replace(block, tight=n > 0) for n, block in enumerate(blocks))


def status_block(answer: Answer) -> Block:
    """Lay out the reason why there is no complete answer, or the caveat of a doubtful one."""
    if answer.status == "incomplete":
        reason = _incomplete_reason(answer)
    else:
        reason = answer.answer.partition("\n\n")[0]
    if answer.status == "doubtful":
        return caveat_block(reason)
    return Block(
        "note", reason or (answer.reason or "").replace("_", " "), marker=_STATUS_LABELS[answer.status]
    )


def caveat_block(caveat: str) -> Block:
    """Lay out the caveat of a doubtful answer, which is shown before its claims."""
    label = _STATUS_LABELS["doubtful"]
    return Block("note", caveat.removeprefix(f"{label}: "), marker=label)


def _incomplete_reason(answer: Answer) -> str:
    default = "" if answer.claims else answer.answer.partition("\n\n")[0]
    return next((n.removeprefix(_INCOMPLETE) for n in answer.notes if n.startswith(_INCOMPLETE)), default)


def ending_blocks(answer: Answer, *, quotes: bool = False) -> Iterator[Block]:
    """Lay out the part after the claims: sources (or the nearest papers), withheld claims, and notes."""
    if answer.citations:
        yield Block("heading", SOURCES)
        yield from source_blocks(answer.citations, quotes=quotes)
    else:
        yield from nearest_blocks(answer.hits)
    withheld = [n for n in answer.notes if n.startswith(_WITHHELD)]
    if withheld:
        yield Block("heading", WITHHELD)
        yield from map(_withheld_block, withheld)
    yield from (Block("note", n) for n in answer.notes if not n.startswith((_WITHHELD, _INCOMPLETE)))


def nearest_blocks(hits: Sequence[Hit]) -> Iterator[Block]:
    """Lay out the best papers retrieved, for an answer without citations."""
    if hits:
        yield Block("heading", NEAREST)
        yield from (replace(b, tight=True) for b in hit_blocks(hits[:_NEAREST], snippets=False))


def _withheld_block(note: str) -> Block:
    text, _, reason = note.removeprefix(_WITHHELD).removeprefix("“").partition("” (")
    return Block("quote", text.removesuffix("”"), detail=reason.removesuffix(")"), tight=True, struck=True)


# --- claims ---


def claim_blocks(
    claims: Sequence[Claim], citations: Sequence[Citation], *, titles: bool = True
) -> Iterator[Block]:
    """Lay out claims; with ``titles``, grouped by paper if each claim cites one of several papers."""
    by_number = {c.n: c for c in citations}
    if any(c.checks.get("theme") for c in claims):
        yield from _claims_by_theme(claims, by_number)
        return
    papers = [paper_of(claim, by_number) for claim in claims]
    grouped = titles and len(set(papers)) > 1 and None not in papers
    order = list(dict.fromkeys(papers)) if grouped else [None]
    for paper in order:
        if paper is not None:
            title = next(c.title for c in citations if c.paper_id == paper)
            yield Block("heading", title, paper_id=paper)
        members = [c for c, p in zip(claims, papers, strict=True) if not grouped or p == paper]
        for i, claim in enumerate(members):
            yield from single_claim_blocks(claim, by_number, tight=grouped and i == 0)


def _claims_by_theme(claims: Sequence[Claim], by_number: Mapping[int, Citation]) -> Iterator[Block]:
    """Lay out an overview: its introduction as text, then each paper under its theme."""
    for theme, members in groupby(claims, key=lambda c: str(c.checks.get("theme", ""))):
        if theme:
            yield Block("heading", theme)
        for claim in members:
            if theme:
                cited = by_number[claim.citations[0]]
                yield Block("item", cited.title, paper_id=cited.paper_id)
            yield from single_claim_blocks(claim, by_number, tight=bool(theme))


def _passages_by_paper(citations: Sequence[Citation]) -> Iterator[Block]:
    """Lay out the closest passages, which an abstention cites, grouped by paper if there are several."""
    papers = dict.fromkeys(c.paper_id for c in citations)
    for paper in papers:
        passages = [c for c in citations if c.paper_id == paper]
        if len(papers) > 1:
            yield Block("heading", passages[0].title, paper_id=paper)
        for i, c in enumerate(passages):
            yield Block("text", c.quote, cites=(c.n,), tight=len(papers) > 1 and i == 0)


def single_claim_blocks(
    claim: Claim, by_number: Mapping[int, Citation], *, tight: bool = False
) -> Iterator[Block]:
    """Lay out one claim, with its remark; below an unverified claim, the sentences that it cites."""
    struck = claim.support == "unsupported"
    yield Block(
        "text",
        claim.text,
        cites=claim.citations,
        detail=_verification_remark(claim),
        tight=tight,
        struck=struck,
    )
    if is_replaced(claim):
        yield Block("aside", REPLACED, tight=True)
    for i, citation in enumerate(sentences_under(claim, by_number)):
        label = "" if i else UNVERIFIED
        yield Block("quote", f"“{citation.quote}”", label, cites=(citation.n,), tight=True)


def sentences_under(claim: Claim, by_number: Mapping[int, Citation]) -> list[Citation]:
    """Return the citations to show below a claim: those of an unverified claim, otherwise none."""
    if claim.support != "unverified":
        return []
    return [by_number[n] for n in claim.citations if n in by_number]


def is_replaced(claim: Claim) -> bool:
    """Return whether the claim is a quote that replaced a model's wording after verification failed."""
    return claim.support == "quoted" and bool(claim.checks.get("replaced"))


def judge_probability(checks: Mapping[str, Any]) -> float | None:
    """Return the LLM judge's probability that a claim is supported, or None if it was not asked.

    Answers recorded by earlier versions contain a label instead.
    """
    result = checks.get("judge")
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return float(result)
    return {"supported": 1.0, "not_supported": 0.0}.get(str(result))


def is_doubted(checks: Mapping[str, Any]) -> bool:
    """Return whether the LLM judge considers a claim more likely unsupported than supported."""
    probability = judge_probability(checks)
    return probability is not None and probability < _DOUBTED_BELOW


def _verification_remark(claim: Claim) -> str:
    remark = DOUBT.get(claim.support, "")
    failed = [name for name, passed in claim.checks.items() if passed is False]
    if claim.checks.get("dangling"):
        failed.append(f"points at {', '.join(claim.checks['dangling'])}, which was not shown")
    if is_doubted(claim.checks):
        failed.append("the judge")
    return f"{remark}: {', '.join(failed)}" if remark and failed else remark


def paper_of(claim: Claim, citations: Mapping[int, Citation]) -> str | None:
    """Return the id of the only paper that ``claim`` cites, or None if it cites none or several."""
    papers = {citations[n].paper_id for n in claim.citations if n in citations}
    return papers.pop() if len(papers) == 1 else None


# --- papers ---


def source_blocks(citations: Sequence[Citation], *, quotes: bool = False) -> Iterator[Block]:
    """Lay out each cited paper with the numbers of its citations, and with ``quotes`` each quote."""
    for paper_id in dict.fromkeys(c.paper_id for c in citations):
        cited = [c for c in citations if c.paper_id == paper_id]
        numbers = " ".join(f"[{c.n}]" for c in cited)
        url = cited[0].url
        detail = "" if url and paper_id in url else paper_id
        title = cited[0].title
        yield Block("item", title, numbers, detail=detail, url=url, paper_id=paper_id, tight=True)
        if quotes:
            yield from (Block("quote", c.quote, cites=(c.n,), tight=True) for c in cited)


def hit_blocks(hits: Sequence[Hit], *, snippets: bool = True) -> Iterator[Block]:
    """Lay out ranked papers."""
    for hit in hits:
        paper = hit.paper
        marker, about = f"{hit.rank}.", _about(paper)
        yield Block("item", hit.title, marker, detail=about, url=paper.url, paper_id=paper.paper_id)
        if snippets and hit.snippet:
            yield Block("quote", hit.snippet, tight=True)


def paper_item_blocks(papers: Iterable[Paper]) -> Iterator[Block]:
    """Lay out a list of papers: title, id, date, categories and address."""
    for paper in papers:
        about, paper_id = _about(paper), paper.paper_id
        yield Block("item", paper.title, detail=about, url=paper.url, paper_id=paper_id, tight=True)


def whole_paper_blocks(paper: Paper) -> Iterator[Block]:
    """Lay out everything that the library knows about a paper."""
    yield Block("heading", paper.title)
    if paper.taken_back:
        yield Block("note", f"this paper was {paper.taken_back}")
    names = (paper.paper_id, paper.arxiv_id, paper.doi and f"doi:{paper.doi}", *paper.ids)
    if paper.published:
        day = f"published {paper.published}"
    elif paper.listed:
        day = f"listed {paper.listed}"
    else:
        day = f"unknown; added {paper.first_seen}"
    rows = {
        "authors": ", ".join(paper.authors) or "not given by the feed",
        "date": day if not paper.updated else f"{day}, updated {paper.updated}",
        "categories": ", ".join(paper.categories),
        "feeds": ", ".join(paper.sources),
        "upvotes": "" if paper.upvotes is None else f"{paper.upvotes:,}",
        "address": safe_url(paper.url) or "",
        "ids": ", ".join(dict.fromkeys(name for name in names if name)),
    }
    yield from row_blocks((name, value) for name, value in rows.items() if value)
    yield Block("text", paper.abstract)


def paper_blocks(paper: Paper, cited: Sequence[Citation]) -> Iterator[Block]:
    """Lay out a paper with its abstract, in which each cited sentence has its own line."""
    yield Block("item", paper.title, detail=_about(paper), url=paper.url)
    abstract = readable_with_offsets(paper.abstract)
    at = 0
    for citation in sorted(cited, key=lambda c: c.start):
        if paper.abstract[citation.start : citation.end] != citation.quote:
            yield Block(
                "note", "the abstract has changed since this answer; the quote is from the earlier version"
            )
            yield Block("quote", citation.quote, cites=(citation.n,))
            continue
        start, end = abstract.shown_span(citation.start, citation.end)
        if at <= start < end:
            yield from _passage(abstract.text[at:start])
            yield Block("quote", abstract.text[start:end].strip(), cites=(citation.n,))
            at = end
    yield from _passage(abstract.text[at:])


def _passage(text: str) -> Iterator[Block]:
    if text.strip():
        yield Block("text", text.strip())


def public_date(paper: Paper) -> str:
    """Return ``2026-06-25``, ``listed 2026-06-25`` if only the day of listing is known, or nothing."""
    if paper.published:
        return paper.published.isoformat()
    return f"listed {paper.listed}" if paper.listed else ""


def _about(paper: Paper) -> str:
    kinds = ", ".join(paper.categories[:3])
    return " · ".join(p for p in (paper.paper_id, public_date(paper), kinds, paper.taken_back) if p)


# --- reports ---


def row_blocks(rows: Iterable[tuple[str, Any]], *, plain: bool = False) -> Iterator[Block]:
    """Lay out names and values; with ``plain``, the values are trusted."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield Block("row", str(value), marker=name.ljust(width), tight=True, plain=plain)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 paper`` or ``1,200 papers``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


# --- strings ---


def markdown(block: Block, *, own: Collection[str] = ()) -> str:
    """Return ``block`` as Markdown, with untrusted text escaped.

    ``own`` are trusted paths, such as those of the settings, which stay unescaped.
    """
    text = safe_terminal(block.text) if block.plain else safe_markdown(shown_text(block), own=own)
    detail = safe_markdown(block.detail, own=own)
    text = f"~~{text}~~" if block.struck and text else text
    cites = "".join(f" [{n}]" for n in block.cites)
    url = safe_url(block.url)
    suffix = "".join(f" — {part}" for part in (detail, f"<{url}>" if url else "") if part)
    if block.kind == "heading":
        return f"## {text}"
    if block.kind == "quote":
        return f"   > {f'{block.marker} ' if block.marker else ''}{text}{cites}{suffix}"
    if block.kind == "item":
        marker = block.marker if block.marker.endswith(".") else f"- {block.marker}".rstrip()
        return f"{marker} **{text}**{suffix}"
    if block.kind == "row":
        return f"- {block.marker.strip()}: {text}{suffix}"
    if block.kind in {"note", "aside"}:
        return f"*{block.marker}:* {text}" if block.marker else f"*{text}*"
    return f"{text}{f' ({detail})' if detail else ''}{cites}"


def plain_text(block: Block) -> str:
    """Return ``block`` as one line of plain text without control characters."""
    cites = "".join(f" [{n}]" for n in block.cites)
    colon = ":" if block.kind in {"row", "note", "aside"} and block.marker else ""
    start = f"{block.marker.strip()}{colon} " if block.marker else ""
    detail = safe_terminal(block.detail).strip()
    url = safe_url(block.url)
    line = start + safe_terminal(shown_text(block)).strip()
    if block.kind in {"text", "quote"}:
        line += f" ({detail})" if detail else ""
        return f"{'    ' if block.kind == 'quote' else ''}{line}{cites}"
    return " — ".join(part for part in (line, detail, url) if part)


def document(blocks: Iterable[Block], to_text: Callable[[Block], str] = markdown) -> str:
    """Return blocks as one text, with a blank line before each block that is not ``tight``."""
    lines = (("" if block.tight else "\n") + to_text(block) for block in blocks)
    return "\n".join(lines).strip("\n")


def transcript(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a conversation as Markdown: each question as a heading, then its answer with quotes."""
    for answer in answers:
        yield f"\n# {safe_markdown(readable(answer.question))}\n\n"
        yield document(answer_blocks(answer, quotes=True)) + "\n"
