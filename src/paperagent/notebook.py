"""Display of results: plain text for `print`, and Markdown or HTML without scripts for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING

from paperagent.layout import SOURCES, Block, answer_blocks, document, markdown, plain_text, shown_text
from paperagent.text.readable import readable
from paperagent.text.sanitize import safe_terminal, safe_url

if TYPE_CHECKING:
    from paperagent.types import Answer, Citation


def answer_html(answer: Answer) -> str:
    """Return an answer as HTML: each [n] links to its sentence, which is shown below its source."""
    key = blake2b(f"{answer.question}\n{answer.answer}".encode("utf-8", "replace"), digest_size=4).hexdigest()
    cited = {c.n: c for c in answer.citations}
    return _page(_answer_parts(list(answer_blocks(answer)), cited, f"paperagent-{key}"))


def _answer_parts(blocks: list[Block], cited: Mapping[int, Citation], anchor: str) -> Iterator[str]:
    sources = max((n for n, b in enumerate(blocks) if b == Block("heading", SOURCES)), default=len(blocks))
    for n, block in enumerate(blocks):
        if n > sources and block.kind == "item" and block.marker.startswith("["):
            numbers = [int(number.strip("[]")) for number in block.marker.split()]
            yield _source(block, [cited[number] for number in numbers], anchor)
        else:
            yield html(block, cite=lambda number: _marker(cited.get(number), number, anchor))


def _marker(citation: Citation | None, number: int, anchor: str) -> str:
    if citation is None:
        return f"[{number}]"
    return f'<a href="#{anchor}-{number}" title="{_escaped(citation.quote)}">[{number}]</a>'


def _source(block: Block, citations: Iterable[Citation], anchor: str) -> str:
    """Return a source that opens to show its cited sentences."""
    style = "margin:.3em 0 .3em 1em"
    quotes = "".join(
        f'<blockquote id="{anchor}-{c.n}" style="{style}">[{c.n}] {_escaped(c.quote)}</blockquote>'
        for c in citations
    )
    title = html(block).removeprefix("<p>").removesuffix("</p>")
    return f"<details><summary>{title}</summary>{quotes}</details>"


def _escaped(text: str) -> str:
    return escape(safe_terminal(readable(text)).strip())


def html(block: Block, cite: Callable[[int], str] = "[{}]".format) -> str:
    """Return ``block`` as HTML with untrusted text escaped; it needs no style sheet.

    ``cite`` returns the HTML of a citation's number.
    """
    text = escape(safe_terminal(shown_text(block)).strip())
    text = f"<s>{text}</s>" if block.struck else text
    marker = escape(block.marker.strip())
    detail = escape(safe_terminal(block.detail).strip())
    cites = "".join(f" {cite(n)}" for n in block.cites)
    url = safe_url(block.url)
    if block.kind == "heading":
        return f"<h4>{text}</h4>"
    if block.kind == "quote":
        label = f"<small>{marker}</small> " if marker else ""
        remark = f" <small>{detail}</small>" if detail else ""
        return f'<blockquote style="{_QUOTE_STYLE}">{label}{text}{cites}{remark}</blockquote>'
    if block.kind == "item":
        title = f'<a href="{escape(url)}" rel="noreferrer noopener">{text}</a>' if url else text
        remark = f" <small>{detail}</small>" if detail else ""
        return f"<p>{f'{marker} ' if marker else ''}{title}{remark}</p>"
    if block.kind == "aside":
        return f"<p><small>{text}</small></p>"
    if block.kind in {"row", "note"}:
        return f"<p><em>{f'{marker}: ' if marker else ''}{text}</em></p>"
    return f"<p>{text}{f' ({detail})' if detail else ''}{cites}</p>"


_QUOTE_STYLE = "margin:-.4em 0 1em 1em;padding-left:.8em;border-left:3px solid #8886"


def _page(parts: Iterable[str]) -> str:
    """Wrap HTML so that notebooks do not render formulas in it."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


class Displayed:
    """Base class of results: provides `str` and the display in notebooks from blocks of text."""

    __slots__ = ()

    def _blocks(self) -> Iterable[Block]:
        """Return the blocks to show."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Return the result as plain text."""
        return document(self._blocks(), plain_text)

    def _repr_markdown_(self) -> str:
        """Return the result as Markdown, for notebooks."""
        return document(self._blocks(), markdown)

    def _repr_html_(self) -> str:
        """Return the result as HTML, for notebooks; formulas are not rendered."""
        return _page(map(html, self._blocks()))
