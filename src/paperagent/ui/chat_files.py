"""Write what a chat session is told to save."""

from __future__ import annotations

from pathlib import Path

from paperagent.errors import InputError, visible


def write_new(name: str, text: str) -> Path:
    """Write a file that must not exist yet and return its path.

    Raises:
        InputError: it exists, or cannot be written.
    """
    path = Path(name)
    try:
        path = path.expanduser()
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"/save: {visible(name)} exists; choose another name") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"/save: cannot write {visible(name)}: {reason}; choose another place") from None
    return path
