r"""Read a ``.env`` file with python-dotenv's parser, but report every line that it cannot read.

python-dotenv skips such lines; here each is a problem with its line number. In addition, a setting
takes one line, a key consists of letters, digits and ``_``, and ``${NAME}`` (outside ``'…'``) must be
defined in the environment or on an earlier line. In ``"…"``, ``\$`` is a dollar sign.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from paperagent.errors import ConfigError, visible

MAX_BYTES = 64 * 1024
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_ESCAPED_DOLLAR = "\0"
"""Replaces ``\\$`` while a line is parsed, so that it does not start a reference."""


@dataclass(slots=True)
class EnvFile:
    """The settings in a ``.env`` file, and its problems. No message contains a value."""

    path: Path | None = None
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Key → line number, from 1."""
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    open_to_others: bool = False
    """Whether the file's mode lets other users read it."""


class _LineError(ValueError):
    """A line that is not a setting; the message is ``reason; fix``."""


def read(path: Path, environ: Mapping[str, str], *, required: bool = False) -> EnvFile:
    """Read and parse ``path``. A missing file counts as empty unless it is ``required``."""
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
    env_file = parse(text, environ, name=name)
    env_file.path = path
    env_file.open_to_others = bool(info.st_mode & (stat.S_IRGRP | stat.S_IROTH)) and stat.S_ISREG(
        info.st_mode
    )
    return env_file


def _decode(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("is UTF-16")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise ValueError(f"is not UTF-8 ({position})") from error
    if "\0" in text:
        raise ValueError("contains NUL bytes")
    return text


def parse(text: str, environ: Mapping[str, str], *, name: str = ".env") -> EnvFile:
    """Parse the text of a ``.env`` file; ``environ`` and earlier lines define ``${NAME}``."""
    env_file = EnvFile()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        try:
            setting = _parse_line(line.strip(), {**env_file.values, **environ})
        except _LineError as error:
            env_file.problems.append(f"{name} line {number}: {error}")
            continue
        if setting is None:
            continue
        key, value = setting
        if key in env_file.values:
            first = env_file.lines[key]
            env_file.warnings.append(
                f"{name} line {number}: {key} was set on line {first}; the last one counts"
            )
        env_file.values[key], env_file.lines[key] = value, number
    return env_file


def update(path: Path, settings: Mapping[str, str]) -> None:
    """Set keys in a ``.env`` file that only its owner can read; all other lines stay as they are.

    The file is replaced as a whole, so it is never half-written. A key that is set several times is set in
    its last line, which is the one that counts.

    Raises:
        ConfigError: the file cannot be read or written.
        ValueError: a value has a line break.
    """
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        text = _decode(target.read_bytes()) if target.exists() else ""
        lines = text.splitlines()
        for key, value in settings.items():
            numbers = [n for n, line in enumerate(lines) if re.match(rf"\s*(export\s+)?{key}\s*=", line)]
            if not numbers:
                lines.append("")
            lines[numbers[-1] if numbers else -1] = f"{key}={quote(value)}"
        with suppress(FileNotFoundError):
            part.unlink()
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except (OSError, ValueError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{visible(str(path))}: cannot be written: {reason}; see its permissions") from None


def quote(value: str) -> str:
    """Return a value as it is written in a ``.env`` file.

    Raises:
        ValueError: it contains a line break or another control character.
    """
    if not value.isprintable():
        raise ValueError("a value has a control character")
    if re.fullmatch(r"[A-Za-z0-9_.,:/@%+=~-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _parse_line(line: str, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the key and the value of a line, or None for a blank line or a comment."""
    if not line or line.startswith("#"):
        return None
    before, equals, after = line.partition("=")
    quote = after.strip()[:1]
    if not equals:
        raise _LineError("has no '='; write KEY=value")
    if not _KEY.match(re.sub(r"\Aexport\s+", "", before.strip())):
        # A line pasted by mistake may hold a secret before its '=', so the key is not repeated.
        raise _LineError("the key may hold only letters, digits and _ (no spaces); write KEY=value")
    if quote == '"':
        line = re.sub(r"\\(\\|\$)", lambda m: _ESCAPED_DOLLAR if m[1] == "$" else m[0], line)
    binding = next(parse_stream(StringIO(line)))
    if binding.error:
        if quote not in {"'", '"'}:
            raise _LineError("has no key; write KEY=value")
        if not re.search(rf"(?<!\\){quote}", after.strip()[1:]):
            raise _LineError(f"the quote {quote} is never closed; close it on the same line")
        raise _LineError("there is text after the closing quote; put the whole value inside the quotes")
    value = binding.value or ""
    if quote != "'":
        value = _expand(value, variables).replace(_ESCAPED_DOLLAR, "$")
    return str(binding.key), value


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each ``${NAME}`` by its value."""

    def look_up(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables:
            label = name if _KEY.match(name) else "…"
            raise _LineError(f"${{{label}}} is not defined; define it, or quote the value with '…'")
        return variables[name]

    return _REFERENCE.sub(look_up, text)
