"""The log of the answers of `paperagent ask` and `chat`, as JSON lines in the library's folder.

`paperagent log` reads it, and ``chat --continue`` continues its last conversation. The file is private, and
its size is limited: a full log replaces the previous one. An error while writing never fails a question.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from paperagent.errors import InputError, display_path, visible
from paperagent.storage.private_files import make_private, open_private, read_at
from paperagent.types import Answer, Hit, Paper

LOG_FILE = "answer_log.jsonl"
"""Name of the file in the library's folder."""
FORMER_LOG_FILE = "answer_log.1.jsonl"
LOCK_FILE = "answer_log.lock"
MAX_LOG_BYTES = 8_000_000
"""The size at which a log is rotated; with the former log, twice as much disk space is used at most."""
_MAX_ENTRY_BYTES = 2_000_000
_SECRET = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_\w{20,}|AKIA[A-Z0-9]{16}|hf_\w{20,}|xox[a-z]-[\w-]{10,})"
)
_LIST_FIELDS = ("url", "categories", "flags", "withdrawn", "published", "listed")
"""The fields of `Paper` that lists of papers show and ``ask --json`` does not contain."""


def contains_secret(text: str) -> bool:
    """Return whether ``text`` contains what looks like an API key."""
    return _SECRET.search(text) is not None


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """An answer in the log."""

    id: str
    """Eight hexadecimal digits."""
    time: dt.datetime
    session: str | None
    """The conversation in the chat that the answer belongs to; None for `paperagent ask`."""
    answer: Answer

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON-ready values, the answer as ``ask --json`` prints it."""
        time = self.time.isoformat(timespec="seconds")
        return {"id": self.id, "time": time, "session": self.session, **self.answer.to_dict()}


@dataclass(slots=True)
class AnswerLog:
    """The log in a library's folder; the folder is not created.

    Several processes may use it at once.
    """

    home: Path
    masked: Callable[[str], str] = field(default=str)
    """Removes the secrets of the settings from a text."""
    warning: str | None = None
    """Why the last answer could not be logged."""

    @property
    def path(self) -> Path:
        """The current log file."""
        return self.home / LOG_FILE

    def append(self, answer: Answer, *, session: str | None = None) -> None:
        """Add an answer; if it cannot be written, set ``warning``.

        Nothing is logged if the question seems to contain an API key, or if the folder does not exist.
        """
        if contains_secret(answer.question) or not self.home.is_dir():
            return
        time = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        entry = {"id": secrets.token_hex(4), "time": time, "session": session, "answer": answer_entry(answer)}
        line = self.masked(json.dumps(entry, ensure_ascii=False)).encode("utf-8", "backslashreplace") + b"\n"
        if len(line) > _MAX_ENTRY_BYTES:
            self.warning = f"answer log: the answer has {len(line):,} bytes; it is not logged"
            return
        try:
            self._write(line)
        except OSError as error:
            reason = "is a symbolic link" if self.path.is_symlink() else error.strerror
            self.warning = (
                f"answer log {display_path(self.path)}: {reason}; the answer is not logged "
                "(PAPERAGENT_LOG=false switches the log off)"
            )

    def _write(self, line: bytes) -> None:
        descriptor = open_private(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "is not a regular file")
            if status.st_mode & 0o077:
                make_private(descriptor)
            if status.st_size and read_at(descriptor, 1, status.st_size - 1) != b"\n":
                line = b"\n" + line  # the last entry was cut off by a full disk
            if os.write(descriptor, line) < len(line):
                raise OSError(0, "the disk is full")
        finally:
            os.close(descriptor)
        if status.st_size + len(line) > MAX_LOG_BYTES:
            self._rotate()

    def _rotate(self) -> None:
        """Rename the full log, unless another process has already done so."""
        from paperagent.storage.locks import ProcessLock

        # Without the file, another process has just renamed it.
        with suppress(FileNotFoundError), ProcessLock(self.home / LOCK_FILE) as lock:
            if lock.acquire() and self.path.stat().st_size > MAX_LOG_BYTES:
                self.path.replace(self.home / FORMER_LOG_FILE)

    def entries(self) -> list[LoggedAnswer]:
        """Return the answers, oldest first; lines that cannot be read are skipped.

        Raises:
            InputError: The log cannot be read.
        """
        return [entry for line in self._lines() if (entry := _read(line)) is not None]

    def _lines(self) -> Iterator[bytes]:
        for name in (FORMER_LOG_FILE, LOG_FILE):
            path = self.home / name
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                with path.open("rb") as file:
                    while line := file.readline(_MAX_ENTRY_BYTES):
                        yield line
            except OSError as error:
                raise InputError(
                    f"answer log {display_path(path)}: {error.strerror}; check its permissions"
                ) from None

    def find(self, name: str) -> LoggedAnswer:
        """Return the answer with a number (1 is the last one), an id or the beginning of an id.

        Raises:
            InputError: There is no such answer, or there are several.
        """
        entries = self.entries()
        text = name.strip().lower()
        if text.isascii() and text.isdecimal() and len(text) < 8:
            if 1 <= int(text) <= len(entries):
                return entries[-int(text)]
        else:
            matches = [entry for entry in entries if text and entry.id.startswith(text)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise InputError(f"log: {visible(name, limit=40)} matches several ids; give the whole id")
        valid = f"give a number from 1 (the last) to {len(entries)} or an id" if entries else "it is empty"
        raise InputError(f"log: no answer {visible(name, limit=40)}; {valid}")

    def last_session(self) -> list[LoggedAnswer]:
        """Return the answers of the last conversation in the chat, oldest first."""
        entries = self.entries()
        session = next((entry.session for entry in reversed(entries) if entry.session), None)
        return [entry for entry in entries if entry.session == session] if session else []

    def clear(self) -> None:
        """Delete the log.

        Raises:
            InputError: The log cannot be deleted.
        """
        for name in (LOG_FILE, FORMER_LOG_FILE, LOCK_FILE):
            try:
                (self.home / name).unlink(missing_ok=True)
            except OSError as error:
                raise InputError(
                    f"answer log {display_path(self.home / name)}: {error.strerror}; delete it yourself"
                ) from None


def new_session() -> str:
    """Return the id of a new conversation."""
    return secrets.token_hex(4)


def answer_entry(answer: Answer) -> dict[str, Any]:
    """Return an answer as ``ask --json`` prints it, with the fields that a list of its papers shows."""
    entry = answer.to_dict()
    for paper, hit in zip(entry["papers"], answer.hits, strict=True):
        for name in _LIST_FIELDS:
            if value := getattr(hit.paper, name):
                paper[name] = value.isoformat() if isinstance(value, dt.date) else value
    return entry


def read_answer_entry(entry: dict[str, Any]) -> Answer:
    """Return the answer of a result of `answer_entry`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: ``entry`` does not have the expected shape.
    """
    return replace(Answer.from_dict(entry), hits=tuple(map(_hit, entry["papers"])))


def _read(line: bytes) -> LoggedAnswer | None:
    """Return the answer on a line, or None if it cannot be read."""
    try:
        entry = json.loads(line, parse_constant=_refuse)
        answer = read_answer_entry(entry["answer"])
        time, session = dt.datetime.fromisoformat(entry["time"]), entry["session"]
        time.astimezone()  # how it is shown
        if not (isinstance(entry["id"], str) and isinstance(session, str | None)):
            return None
        return LoggedAnswer(entry["id"], time, session, answer)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _hit(entry: dict[str, Any]) -> Hit:
    values: dict[str, Any] = {name: entry[name] for name in _LIST_FIELDS if name in entry}
    for name in ("published", "listed"):
        if name in values:
            values[name] = dt.date.fromisoformat(values[name])
    for name in ("categories", "flags"):
        names = values.get(name, [])
        if not (isinstance(names, list) and all(isinstance(text, str) for text in names)):
            raise TypeError(name)
        values[name] = tuple(names)
    if not (isinstance(values.get("url"), str | None) and isinstance(values.get("withdrawn", False), bool)):
        raise TypeError("url or withdrawn")
    return Hit(Paper(entry["paper_id"], entry["title"], "", **values), entry["score"], entry["rank"])
