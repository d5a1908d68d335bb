"""Copy text to the clipboard with a clipboard program or through the terminal (OSC 52)."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING

from paperagent.errors import InputError

if TYPE_CHECKING:
    from paperagent.ui.render import Screen

_PROGRAMS = (
    ("pbcopy",),
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("clip.exe",),
)
"""The clipboard programs of macOS, Wayland, X11 and WSL. They fail immediately if there is no display."""
_TIMEOUT_S = 3.0
_MAX_SEQUENCE = 74_000
"""The maximum size in bytes of an OSC 52 sequence that terminals accept."""


def copy_text(text: str, screen: Screen) -> str:
    """Copy ``text`` and return how it was copied.

    Raises:
        InputError: There is no clipboard, or the text is too long for the terminal.
    """
    for command in _PROGRAMS:
        if shutil.which(command[0]) and _run(command, text):
            return f"copied, with {command[0]}"
    if not screen.obeys_escapes():
        raise InputError(
            "/copy: neither a clipboard program nor a terminal with a clipboard was found; "
            "install xclip or wl-clipboard, or use /save FILE"
        )
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(encoded) > _MAX_SEQUENCE:
        raise InputError(f"/copy: {len(text):,} characters are too long for the terminal; use /save FILE")
    screen.out.write(f"\x1b]52;c;{encoded}\x07")
    screen.out.flush()
    return "copied, through the terminal (OSC 52); if the terminal does not support this, use /save FILE"


def _run(command: tuple[str, ...], text: str) -> bool:
    """Return whether a clipboard program accepted the text."""
    try:
        # The output is not read, because some programs stay in the background and keep it open.
        done = subprocess.run(  # noqa: S603 - the command is one of `_PROGRAMS`
            command,
            input=text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
