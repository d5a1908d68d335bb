"""Render the blocks of an answer as HTML, in which each [n] opens the sentence that it cites.

`layout` and `ui.streaming` decide what is shown, as they do for the terminal; this module only lays it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from paperagent.digest.links import paper_path
from paperagent.digest.render.formatting import MAX_QUOTE, clean_text, one_line
from paperagent.layout import NO_ANSWER, SOURCES, WITHHELD, Block
from paperagent.text.sanitize import safe_url
from paperagent.text.sentences import split_sentences
from paperagent.types import Citation, Paper
from paperagent.web.http import environment


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A citation with the sentences around it, for its popover."""

    id: str
    """The id of the popover in the page."""
    citation: Citation
    before: str
    """The sentence before the cited one; empty if there is none, or if the abstract has changed."""
    after: str
    path: str
    """The path of the sentence on the paper's page."""


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks that belong in one element."""

    kind: str
    """``withheld``, ``items``, ``rows``, or the kind of the only block."""
    blocks: tuple[Block, ...] = ()
    items: tuple[tuple[Block, ...], ...] = ()
    """Each item of a list with the blocks below it."""
    are_sources: bool = False
    """Whether the items are the sources of the answer, which list every citation again."""


@dataclass(slots=True)
class HtmlScreen:
    """The blocks of one turn. Each call of `show` adds a piece of HTML with balanced tags."""

    turn: int
    """The number of the turn in its page."""
    get_paper: Callable[[str], Paper | None]
    emit: Callable[[str], None]
    """Receives the pieces."""
    _by_number: dict[int, Citation] = field(default_factory=dict)
    _cited: dict[Citation, CitedSentence] = field(default_factory=dict)
    """The citations whose popover is in the page."""
    _claim_texts: set[str] = field(default_factory=set)
    """The texts of the claims."""

    def prepare(self) -> None:
        """Do nothing: the templates are loaded already."""

    def add_citations(self, citations: Iterable[Citation]) -> None:
        """Remember citations whose numbers the next blocks contain."""
        self._by_number.update((c.n, c) for c in citations)

    def show(self, blocks: Iterable[Block]) -> None:
        """Add blocks below those that are there."""
        blocks = list(blocks)
        self._claim_texts.update(block.text for block in blocks if block.kind == "text" and block.cites)
        template = environment().get_template("blocks.html.j2")
        html = template.render(
            parts=list(parts(blocks)),
            text=text_of,
            cited=self._cite,
            is_claim=self._is_claim,
            path=paper_path,
            url=external_url,
            no_answer=NO_ANSWER,
        )
        if html.strip():
            self.emit(html)

    def _is_claim(self, source: Block) -> bool:
        """Return whether a quote in the sources is also a claim. The screen shows it once, a print twice."""
        return source.text in self._claim_texts

    def _cite(self, block: Block) -> list[tuple[CitedSentence, bool]]:
        """Return the citations of a block, and whether their popover is still to be put into the page."""
        cited = []
        for citation in (self._by_number[n] for n in block.cites if n in self._by_number):
            is_new = citation not in self._cited
            if is_new:
                self._cited[citation] = self._with_context(citation, f"t{self.turn}-c{len(self._cited) + 1}")
            cited.append((self._cited[citation], is_new))
        return cited

    def _with_context(self, citation: Citation, name: str) -> CitedSentence:
        path, paper = paper_path(citation.paper_id), self.get_paper(citation.paper_id)
        if paper is None or paper.abstract[citation.start : citation.end] != citation.quote:
            return CitedSentence(name, citation, "", "", path)
        sentences = split_sentences(paper.abstract)
        number = next((i for i, s in enumerate(sentences) if s.start <= citation.start < s.end), None)
        if number is None:
            return CitedSentence(name, citation, "", "", path)
        before = sentences[number - 1].text if number else ""
        after = next((s.text for s in sentences if s.start >= citation.end), "")
        return CitedSentence(name, citation, before, after, f"{path}#s{number + 1}")


def text_of(block: Block) -> str:
    """Return the text of a block on one line, without LaTeX and hidden characters, not yet escaped."""
    if block.plain or block.kind in {"row", "note", "aside"}:
        return one_line(block.text)
    return clean_text(block.text, MAX_QUOTE)


def external_url(block: Block) -> str | None:
    """Return the address of a block's paper at its publisher."""
    return safe_url(block.url)


def parts(blocks: Iterable[Block]) -> Iterator[Part]:
    """Group blocks: list items with what is below them, rows, and what was withheld."""
    remaining = list(blocks)
    heading = ""
    while remaining:
        block = remaining[0]
        if block.kind == "heading":
            heading = "" if block.paper_id else block.text
        if block.kind == "heading" and heading == WITHHELD:
            withheld = _while(remaining[1:], lambda b: b.struck)
            yield Part("withheld", tuple(withheld))
            remaining = remaining[1 + len(withheld) :]
        elif block.kind == "item":
            items = _items(remaining)
            yield Part("items", items=tuple(items), are_sources=heading == SOURCES)
            remaining = remaining[sum(map(len, items)) :]
        elif block.kind == "row":
            rows = _while(remaining, lambda b: b.kind == "row")
            yield Part("rows", tuple(rows))
            remaining = remaining[len(rows) :]
        else:
            yield Part(block.kind, (block,))
            remaining = remaining[1:]


def _items(blocks: Sequence[Block]) -> list[tuple[Block, ...]]:
    """Return the items at the start of ``blocks``, each with the text and the quotes below it."""
    items: list[list[Block]] = []
    for block in blocks:
        if block.kind == "item":
            items.append([block])
        elif block.tight and block.kind in {"text", "quote", "aside"}:
            items[-1].append(block)
        else:
            break
    return [tuple(item) for item in items]


def _while(blocks: Sequence[Block], condition: Callable[[Block], bool]) -> list[Block]:
    holds, members = next(groupby(blocks, condition), (False, ()))
    return list(members) if holds else []
