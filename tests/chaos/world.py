"""What must be true: the papers and subscribers that commands acknowledged, and the mail that arrived."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

WEEKS = ("2026-W24", "2026-W25", "2026-W26")
_DAYS = ("2026-06-09", "2026-06-16", "2026-06-23")
_TOPICS = ("retrieval", "translation", "robotics", "vision", "speech", "planning", "proteins", "graphs")
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


def method(number: int) -> str:
    """Return the invented name of the method of paper ``number``, which no other paper contains."""
    name, rest = "", number + 14 * 14 * 14
    while rest:
        rest, digit = divmod(rest, 14)
        name += _SYLLABLES[digit]
    return name.capitalize() + "x"


def record(number: int) -> dict[str, object]:
    """Return paper ``number`` as a line of a feed."""
    topic, name = _TOPICS[number % len(_TOPICS)], method(number)
    return {
        "id": f"2606.{number:05d}",
        "title": f"{name}: a method for {topic}",
        "abstract": f"We study {topic} on {number + 20} tasks. {name} reduces the error of {topic} by "
        f"{1 + number % 88} percent. The code of {name} is public.",
        "published": _DAYS[number % len(_DAYS)],
    }


def write_feed(path: Path, numbers: Iterable[int]) -> Path:
    """Write the papers as JSON lines."""
    path.write_text("".join(json.dumps(record(n)) + "\n" for n in numbers), encoding="utf-8")
    return path


@dataclass
class Known:
    """A set of things, as far as commands have acknowledged them."""

    present: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    """Added or removed by a command that did not end well."""

    def added(self, items: set[str], *, certain: bool) -> None:
        """Record that items were added, or may have been."""
        if certain:
            self.present |= items
            self.maybe -= items
        else:
            self.maybe |= items - self.present

    def removed(self, items: set[str], *, certain: bool) -> None:
        """Record that items were removed, or may have been."""
        if certain:
            self.present -= items
            self.maybe -= items
        else:
            self.maybe |= items & (self.present | self.maybe)
            self.present -= items

    def differences(self, actual: set[str]) -> str:
        """Return what is lost or unexpected, or an empty string. What is certain now becomes so."""
        lost, extra = sorted(self.present - actual), sorted(actual - self.present - self.maybe)
        self.present |= actual & self.maybe
        self.maybe.clear()
        words = [f"{len(lost)} lost ({lost[0]})"] if lost else []
        words += [f"{len(extra)} unexpected ({extra[0]})"] if extra else []
        return ", ".join(words)


@dataclass
class World:
    """The expected state of one library."""

    mail_log: Path
    papers: Known = field(default_factory=Known)
    readers: Known = field(default_factory=Known)
    """Addresses of confirmed subscribers."""
    removed_readers: dict[str, int] = field(default_factory=dict)
    """Address → messages in the log when its removal was acknowledged."""

    def mail(self) -> list[dict[str, str]]:
        """Return the messages that the server accepted."""
        if not self.mail_log.exists():
            return []
        return [json.loads(line) for line in self.mail_log.read_text("utf-8").splitlines()]

    def wrong_mail(self) -> str:
        """Return what is wrong with the mail: an issue twice, or mail after an unsubscription."""
        mail = self.mail()
        copies = Counter((m["to"], m["subject"]) for m in mail)
        twice = [key for key, count in copies.items() if count > 1]
        if twice:
            return f"mail sent twice: {twice[0]}"
        late = [m for n, m in enumerate(mail) if n >= self.removed_readers.get(m["to"], len(mail))]
        return f"mail after the removal of {late[0]['to']}" if late else ""
