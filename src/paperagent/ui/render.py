"""Print blocks: formatted by rich on a terminal, as Markdown everywhere else.

`layout` decides what is shown; the `Screen` sanitizes every string as it prints it
(see `text.sanitize`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from paperagent.layout import Block, Kind, markdown, shown_text
from paperagent.text.sanitize import safe_terminal, safe_url

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from paperagent.types import Usage

MIN_WIDTH = 8
_STYLE: dict[Kind, str] = {"heading": "bold", "quote": "italic", "note": "yellow", "aside": "dim"}


class Screen:
    """Prints blocks to a stream."""

    def __init__(
        self,
        out: TextIO,
        *,
        terminal: bool = False,
        width: int | None = None,
        unescaped: Collection[str] = (),
    ) -> None:
        """Create a screen.

        Args:
            out: Where to print.
            terminal: Format with rich; otherwise print Markdown.
            width: Columns of the terminal (default: ask it).
            unescaped: URLs and paths from the settings, which are printed without Markdown escapes.
        """
        self.out = out
        self.unescaped = unescaped
        self.terminal = terminal
        self._width = width
        self._started = False
        self._headings: set[str] = set()

    def show(self, blocks: Iterable[Block]) -> None:
        """Print blocks, separated by blank lines except before tight ones.

        On a terminal, a source whose title was a heading is printed without it.
        """
        console = make_console(self.out, self._width) if self.terminal else None
        for block in blocks:
            if self._started and not block.tight:
                self.out.write("\n")
            self._started = True
            if block.kind == "heading":
                self._headings.add(block.text)
            if console:
                is_source = block.kind == "item" and block.marker.startswith("[")
                repeats = is_source and block.text in self._headings and (block.detail or safe_url(block.url))
                _print_block(console, replace(block, text="") if repeats else block)
            else:
                self.out.write(markdown(block, own=self.unescaped) + "\n")
        self.out.flush()

    def obeys_escapes(self) -> bool:
        """Return whether the output is a terminal that understands escape sequences."""
        from rich.console import Console

        return self.terminal and not Console(file=self.out, force_terminal=True).is_dumb_terminal

    def prepare(self) -> None:
        """Load rich in advance, so that the first claim is printed without delay."""
        if self.terminal:
            with Path(os.devnull).open("w", encoding="utf-8") as null:
                Screen(null, terminal=True, width=80).show(_WARM_UP_BLOCKS)

    def restart(self) -> None:
        """Print no blank line before the next block; what was printed before belongs to another answer."""
        self._started = False
        self._headings.clear()


_WARM_UP_BLOCKS = (
    Block("heading", "x"),
    Block("item", "x", "1."),
    Block("text", "é", cites=(1,)),
    Block("quote", "x"),
)


def make_console(out: TextIO, width: int | None = None) -> Console:
    """Return a console; it prints plain text if NO_COLOR is set or the terminal is dumb."""
    from rich.console import Console

    options: dict[str, Any] = {"file": out, "highlight": False, "markup": False, "emoji": False}
    options["width"] = max(MIN_WIDTH, width or terminal_width(out))
    console = Console(**options, force_terminal=True)
    # NO_COLOR is about color only, but bold and italic are escape sequences too.
    plain = console.no_color or console.is_dumb_terminal
    return Console(**options, color_system=None) if plain else console


def terminal_width(out: TextIO) -> int:
    """Return the width of a terminal in columns; 80 if it is unknown."""
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _print_block(console: Console, block: Block) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    body = _styled(block, console)
    if block.kind == "quote":
        console.print(Padding(body, (0, 0, 0, 2 if console.width < 40 else 4)))
    elif block.kind == "row" and len(block.marker) > console.width // 2:
        # Next to its value, the name would be wrapped within words.
        console.print(Text(safe_terminal(block.marker.rstrip()), "cyan", overflow="fold"))
        console.print(Padding(body, (0, 0, 0, 2)))
    elif block.kind in {"item", "row"} and block.marker:
        grid = Table.grid(padding=(0, 1))
        fraction = 2 if block.kind == "row" else 3
        grid.add_column(max_width=max(4, console.width // fraction), overflow="fold")
        grid.add_column(overflow="fold")
        grid.add_row(Text(safe_terminal(block.marker), "cyan"), body)
        console.print(grid)
    else:
        console.print(body)


def _styled(block: Block, console: Console) -> Text:
    from rich.text import Text

    body = Text(overflow="fold")
    if block.marker and block.kind == "note":
        body.append(f"{block.marker}: ", "bold red" if block.marker == "INCOMPLETE" else "bold yellow")
    elif block.marker and block.kind == "quote":
        body.append(f"{block.marker} ", "dim")
    style = _STYLE.get(block.kind, "bold" if block.kind == "item" else "")
    body.append(safe_terminal(shown_text(block)), f"{style} strike" if block.struck else style)
    if block.kind == "text" and block.detail:
        body.append(f" ({safe_terminal(block.detail)})", "red")
    elif block.detail:
        body.append(("\n" if body else "") + safe_terminal(block.detail), "dim")
    for number in block.cites:
        body.append(f" [{number}]", "cyan")
    url = safe_url(block.url)
    if url:
        separator = " · " if block.detail and console.width >= 60 else "\n"
        body.append((separator if body else "") + url, "dim")
    return body


def describe_usage(usage: Usage) -> str:
    """Return usage as one line, such as ``1 call · 1,934 tokens in, 210 out · $0.0004``."""
    if usage.calls == 0:
        return "no calls, no cost"
    calls = f"{usage.calls:,} {'call' if usage.calls == 1 else 'calls'}"
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    about = "about " if usage.estimated else ""
    tokens = f"{about}{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out"
    cost = "cost unknown" if usage.cost_usd is None else about + _dollars(usage.cost_usd)
    return f"{calls} · {tokens} · {cost}{' (estimated)' if usage.estimated else ''}"


def _dollars(amount: float) -> str:
    """Return an amount with two decimals from $1, and four below."""
    if 0 < amount < 0.0001:
        return "less than $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
