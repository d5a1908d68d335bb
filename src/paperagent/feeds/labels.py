"""How a source is called: in messages, in lists, and where it is kept."""

from __future__ import annotations

from pathlib import Path

from paperagent.errors import visible


def label(source: str | Path) -> str:
    """Return a source as it may be shown: an address without its query, which may hold a key."""
    text = str(source)
    if _is_address(text):
        text = text.partition("?")[0]
        if "@" in text.partition("://")[2].partition("/")[0]:
            text = "feed address"
    return visible(text, limit=200)


def without_values(source: str) -> str:
    """Return a source as a list tells it from others: of an address's query the names alone."""
    if not _is_address(source):
        return source
    before, mark, query = source.partition("?")
    parts = [part.partition("=") for part in query.split("&") if part]
    return before + mark + "&".join(f"{name}=…" if equals else "…" for name, equals, _ in parts)


def absolute(text: str) -> str:
    """Return a file's whole path; the text as it is where it can be none."""
    try:
        return str(Path.cwd() / Path(text).expanduser()) if "\0" not in text else text
    except (OSError, RuntimeError):  # the folder we are in is gone; ``~`` of a user that there is none of
        return text


def is_file(text: str) -> bool:
    """Tell whether a file has this name, however odd the name is."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))
