"""Lay out answers, hits and reports, for a terminal (rich) or as Markdown (everywhere else).

What is shown is decided once, as a list of `Block`s of raw text; how it looks is decided by
the `Screen`, which makes every string harmless as it prints it (see `safe_text`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from paperagent.citations import DOUBT, quoted_claim
from paperagent.safe_text import safe_markdown, safe_terminal, safe_url
from paperagent.types import RETRACTED, Answer, Citation, Claim, Hit, Paper

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Kind = Literal["heading", "text", "item", "quote", "row", "note", "aside"]

MIN_WIDTH = 8
_STYLE: dict[Kind, str] = {"heading": "bold", "quote": "italic", "note": "yellow", "aside": "dim"}
_WITHHELD, _INCOMPLETE = "withheld: ", "incomplete: "
"""How the notes begin that say which claim was kept back and why, and why an answer is not whole."""
_REASON = {"abstained": "No answer", "refused": "Refused", "incomplete": "INCOMPLETE"}
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of output. Every string may come from a stranger, but ``marker`` and ``cites``."""

    kind: Kind
    text: str
    marker: str = ""
    """What stands before an item: ``1.``, ``[2]``; the name of a row; ``ok`` or ``FAIL``."""
    cites: tuple[int, ...] = ()
    detail: str = ""
    url: str | None = None
    tight: bool = False
    """Whether it follows the block before without a blank line."""
    struck: bool = False
    """Whether the text is shown struck through: it is refuted."""
    plain: bool = False
    """Whether ``text`` is our own, such as an address that was checked: as Markdown it stays as it is."""


def answer_blocks(answer: Answer, *, quotes: bool = False) -> Iterator[Block]:
    """Lay out an answer: its sentences with [n] markers, then the numbered sources."""
    if answer.status != "answered":
        yield status_block(answer)
    # Quotations gain by standing under their paper's title; a model's claims are a text in its order.
    yield from claim_blocks(_passages(answer), answer.citations, titles=answer.mode == "extractive")
    if not answer.claims and answer.status == "answered":
        yield Block("text", answer.answer)
    yield from ending_blocks(answer, quotes=quotes)


def _passages(answer: Answer) -> Sequence[Claim]:
    """Return the claims; for an abstention the closest passages, which it cites."""
    return answer.claims or [quoted_claim(c) for c in answer.citations]


def status_block(answer: Answer) -> Block:
    """Say why there is no full answer."""
    said = answer.answer.partition("\n\n")[0] if answer.status != "incomplete" else _why_incomplete(answer)
    return Block("note", said or (answer.reason or "").replace("_", " "), marker=_REASON[answer.status])


def _why_incomplete(answer: Answer) -> str:
    said = "" if answer.claims else answer.answer.partition("\n\n")[0]
    return next((n.removeprefix(_INCOMPLETE) for n in answer.notes if n.startswith(_INCOMPLETE)), said)


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
        yield from (claim_block(claim, tight=grouped and i == 0) for i, claim in enumerate(members))


def _themed(claims: Sequence[Claim], by_number: dict[int, Citation]) -> Iterator[Block]:
    """Lay out a summary: what stands before its themes as text, then each paper under its theme."""
    for theme, members in groupby(claims, key=lambda c: str(c.checks.get("theme", ""))):
        if theme:
            yield Block("heading", theme)
        for claim in members:
            if theme:
                yield Block("item", by_number[claim.citations[0]].title)
            yield claim_block(claim, tight=bool(theme))


def claim_block(claim: Claim, *, tight: bool = False) -> Block:
    """Lay out one claim; one that failed a check says so, and which, and a refuted one is struck through."""
    struck = claim.support == "unsupported"
    return Block("text", claim.text, cites=claim.citations, detail=_doubt(claim), tight=tight, struck=struck)


def _doubt(claim: Claim) -> str:
    said = DOUBT.get(claim.support, "")
    failed = [name for name, passed in claim.checks.items() if passed is False]
    if claim.checks.get("dangling"):
        failed.append(f"points at {', '.join(claim.checks['dangling'])}, which was not shown")
    if claim.checks.get("judge") == "not_supported":
        failed.append("the judge says so")
    return f"{said}: {', '.join(failed)}" if said and failed else said


def paper_of(claim: Claim, citations: dict[int, Citation]) -> str | None:
    """Return the one paper that ``claim`` cites, or None where it cites none or several."""
    papers = {citations[n].paper_id for n in claim.citations if n in citations}
    return papers.pop() if len(papers) == 1 else None


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
    return " · ".join(p for p in (paper.paper_id, day, kinds, _state(paper)) if p)


def _state(paper: Paper) -> str:
    return "" if not paper.withdrawn else RETRACTED if RETRACTED in paper.flags else "withdrawn"


def row_blocks(rows: Iterable[tuple[str, Any]], *, plain: bool = False) -> Iterator[Block]:
    """Lay out names and values; with ``plain``, values of our own."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield Block("row", str(value), marker=name.ljust(width), tight=True, plain=plain)


def counted(count: int, noun: str) -> str:
    """Return a number with what is counted, such as ``1 paper`` or ``1,200 papers``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


class Screen:
    """Prints blocks to ``out``: laid out by rich on a terminal, as Markdown otherwise.

    ``own`` are addresses and paths of the settings, which no Markdown escape need break.
    """

    def __init__(
        self, out: TextIO, *, terminal: bool = False, width: int | None = None, own: Collection[str] = ()
    ) -> None:
        self.out = out
        self.own = own
        self.terminal = terminal
        self._width = width
        self._started = False

    def show(self, blocks: Iterable[Block]) -> None:
        """Print ``blocks``, with a blank line between them where they want one."""
        console = make_console(self.out, self._width) if self.terminal else None
        for block in blocks:
            if self._started and not block.tight:
                self.out.write("\n")
            self._started = True
            if console:
                _draw(console, block)
            else:
                self.out.write(markdown(block, own=self.own) + "\n")
        self.out.flush()

    def prepare(self) -> None:
        """Load what drawing needs, so that the first claim does not wait for it."""
        if self.terminal:
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                Screen(nowhere, terminal=True, width=80).show(_EVERY_KIND)

    def restart(self) -> None:
        """Begin anew: the next block needs no blank line before it."""
        self._started = False


_EVERY_KIND = (
    Block("heading", "x"),
    Block("item", "x", "1."),
    Block("text", "é", cites=(1,)),
    Block("quote", "x"),
)


def make_console(out: TextIO, width: int | None = None) -> Console:
    """Return a console that prints nothing but its text where colour is unwanted or cannot be shown."""
    from rich.console import Console

    options: dict[str, Any] = {"file": out, "highlight": False, "markup": False, "emoji": False}
    options["width"] = max(MIN_WIDTH, width or columns(out))
    console = Console(**options, force_terminal=True)
    # NO_COLOR asks for no colour, but bold and italic are escapes too; a dumb terminal knows none.
    plain = console.no_color or console.is_dumb_terminal
    return Console(**options, color_system=None) if plain else console


def columns(out: TextIO) -> int:
    """Return the terminal's width; 80 where it says nothing or nonsense."""
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _draw(console: Console, block: Block) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    body = _styled(block, console)
    if block.kind == "quote":
        console.print(Padding(body, (0, 0, 0, 2 if console.width < 40 else 4)))
    elif block.kind == "row" and len(block.marker) > console.width // 2:
        # Beside its value the name would be broken within its words.
        console.print(Text(safe_terminal(block.marker.rstrip()), "cyan", overflow="fold"))
        console.print(Padding(body, (0, 0, 0, 2)))
    elif block.kind in {"item", "row"} and block.marker:
        grid = Table.grid(padding=(0, 1))
        part = 2 if block.kind == "row" else 3
        grid.add_column(max_width=max(4, console.width // part), overflow="fold")
        grid.add_column(overflow="fold")
        grid.add_row(Text(safe_terminal(block.marker), "cyan"), body)
        console.print(grid)
    else:
        console.print(body)


def _styled(block: Block, console: Console) -> Text:
    from rich.text import Text

    marked = block.marker if block.kind == "note" else ""
    body = Text(overflow="fold")
    if marked:
        body.append(f"{marked}: ", "bold red" if marked == "INCOMPLETE" else "bold yellow")
    style = _STYLE.get(block.kind, "bold" if block.kind == "item" else "")
    body.append(safe_terminal(block.text), f"{style} strike" if block.struck else style)
    if block.kind == "text" and block.detail:
        body.append(f" ({safe_terminal(block.detail)})", "red")
    elif block.detail:
        body.append("\n" + safe_terminal(block.detail), "dim")
    for number in block.cites:
        body.append(f" [{number}]", "cyan")
    url = safe_url(block.url)
    if url:
        joint = " · " if block.detail and console.width >= 60 else "\n"
        body.append(joint + url, "dim")
    return body


def markdown(block: Block, *, own: Collection[str] = ()) -> str:
    """Return ``block`` as Markdown in which nothing from a stranger is active; ``own`` as `Screen` has it."""
    text = safe_terminal(block.text) if block.plain else safe_markdown(block.text, own=own)
    detail = safe_markdown(block.detail, own=own)
    text = f"~~{text}~~" if block.struck and text else text
    cites = "".join(f" [{n}]" for n in block.cites)
    url = safe_url(block.url)
    rest = "".join(f" — {part}" for part in (detail, f"<{url}>" if url else "") if part)
    if block.kind == "heading":
        return f"## {text}"
    if block.kind == "quote":
        return f"   > {text}{cites}{rest}"
    if block.kind == "item":
        marker = block.marker if block.marker.endswith(".") else f"- {block.marker}".rstrip()
        return f"{marker} **{text}**{rest}"
    if block.kind == "row":
        return f"- {block.marker.strip()}: {text}{rest}"
    if block.kind in {"note", "aside"}:
        return f"*{block.marker}:* {text}" if block.marker else f"*{text}*"
    return f"{text}{f' ({detail})' if detail else ''}{cites}"


def transcript(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a conversation as Markdown: each question as a heading, its answer, its sources with quotes."""
    for answer in answers:
        yield f"\n# {safe_markdown(answer.question)}\n"
        for block in answer_blocks(answer, quotes=True):
            yield ("" if block.tight else "\n") + markdown(block) + "\n"
