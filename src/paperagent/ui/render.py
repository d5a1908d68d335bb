"""Print blocks to a screen: laid out by rich on a terminal, as Markdown everywhere else.

What is shown is decided in `layout`; the `Screen` makes every string harmless as it prints it
(see `safe_text`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from paperagent.layout import Block, Kind, markdown
from paperagent.text.sanitize import safe_terminal, safe_url

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MIN_WIDTH = 8
_STYLE: dict[Kind, str] = {"heading": "bold", "quote": "italic", "note": "yellow", "aside": "dim"}


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

    body = Text(overflow="fold")
    if block.marker and block.kind == "note":
        body.append(f"{block.marker}: ", "bold red" if block.marker == "INCOMPLETE" else "bold yellow")
    elif block.marker and block.kind == "quote":
        body.append(f"{block.marker} ", "dim")
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
