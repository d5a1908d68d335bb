"""Read a ``.env`` file strictly: every line that cannot be meant is a problem, none is guessed at.

The grammar is the common core of the dotenv dialects: ``KEY=value``, an optional ``export``
before it, blank lines, ``#`` comments (after a value: with a space before the ``#``), spaces
around key and value trimmed. A value in ``'…'`` is literal. Unquoted and in ``"…"`` (where a
backslash protects ``"``, ``$`` and itself), ``${NAME}`` is replaced from the environment or an
earlier line, and an undefined name is a problem. One value a line.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paperagent.errors import visible

MAX_BYTES = 64 * 1024
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_QUOTED = {
    '"': re.compile(r'"(?P<body>(?:\\["$\\]|[^"])*?)"\s*(?P<rest>.*)\Z'),
    "'": re.compile(r"'(?P<body>[^']*)'\s*(?P<rest>.*)\Z"),
}


@dataclass(slots=True)
class EnvFile:
    """What a ``.env`` file says, and what is wrong with it. Messages never contain a value."""

    path: Path | None = None
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Key → line number, from 1."""
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    open_to_others: bool = False
    """Whether the file's mode lets other users read it."""


class _LineError(ValueError):
    """A line that is no setting."""


def read(path: Path, environ: Mapping[str, str], *, required: bool = False) -> EnvFile:
    """Read and parse ``path``; a missing file is empty unless ``required``."""
    name = visible(str(path))
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            return EnvFile(problems=[f"{name}: is a directory, not a file; give --env-file FILE"])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        problem = f"{name}: no such file; check --env-file"
        return EnvFile(problems=[problem] if required else [])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return EnvFile(problems=[f"{name}: cannot be read: {reason}; check its permissions"])
    if len(raw) > MAX_BYTES:
        return EnvFile(problems=[f"{name}: too large for settings (over {MAX_BYTES // 1024} KiB)"])
    try:
        text = _decode(raw)
    except ValueError as error:
        return EnvFile(path=path, problems=[f"{name}: {error}; save it as UTF-8"])
    found = parse(text, environ, name=name)
    found.path = path
    found.open_to_others = bool(info.st_mode & (stat.S_IRGRP | stat.S_IROTH)) and stat.S_ISREG(info.st_mode)
    return found


def _decode(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("is UTF-16")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise ValueError(f"is not UTF-8 ({found})") from error
    if "\0" in text:
        raise ValueError("contains NUL bytes")
    return text


def parse(text: str, environ: Mapping[str, str], *, name: str = ".env") -> EnvFile:
    """Parse the text of a ``.env`` file; ``environ`` gives the values for ``${NAME}``."""
    found = EnvFile()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        try:
            pair = _pair(line.strip(), {**found.values, **environ})
        except _LineError as error:
            found.problems.append(f"{name} line {number}: {error}")
            continue
        if pair is None:
            continue
        key, value = pair
        if key in found.values:
            first = found.lines[key]
            found.warnings.append(f"{name} line {number}: {key} was set on line {first}; the last one counts")
        found.values[key], found.lines[key] = value, number
    return found


def _pair(line: str, known: Mapping[str, str]) -> tuple[str, str] | None:
    if not line or line.startswith("#"):
        return None
    before, equals, after = line.partition("=")
    key = re.sub(r"\Aexport\s+", "", before.strip())
    if not equals:
        raise _LineError("has no '='; write KEY=value")
    if not _KEY.match(key):
        # A line pasted wrongly may hold a secret on its left side, so it is not echoed.
        raise _LineError("the key may hold only letters, digits and _ (no spaces); write KEY=value")
    return key, _value(after.strip(), known)


def _value(raw: str, known: Mapping[str, str]) -> str:
    if raw[:1] in _QUOTED:
        match = _QUOTED[raw[0]].match(raw)
        if match is None:
            raise _LineError(f"the quote {raw[0]} is never closed; close it on the same line")
        if match["rest"] and not match["rest"].startswith("#"):
            raise _LineError("there is text after the closing quote; put the whole value inside the quotes")
        return match["body"] if raw[0] == "'" else _unescape(match["body"], known)
    return _expand(re.split(r"(?:\A|\s)#", raw, maxsplit=1)[0].rstrip(), known)


def _unescape(body: str, known: Mapping[str, str]) -> str:
    # An escaped dollar must not begin a reference, so the parts between escapes are expanded one by one.
    parts = re.split(r'(\\[\\"$])', body)
    return "".join(p[1] if p[:1] == "\\" and len(p) == 2 else _expand(p, known) for p in parts)


def _expand(text: str, known: Mapping[str, str]) -> str:
    def look_up(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            shown = name if _KEY.match(name) else "…"
            raise _LineError(f"${{{shown}}} is not defined; define it, or quote the value with '…'")
        return known[name]

    return _REFERENCE.sub(look_up, text)
