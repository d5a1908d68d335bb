"""The state of a chat session: its answers and its usage."""

from __future__ import annotations

from dataclasses import dataclass, field

from paperagent.answering.citations import without_quotes
from paperagent.types import Answer, Usage
from paperagent.ui.render import describe_usage

HISTORY_TURNS = 20
MAX_ANSWERS = 200


@dataclass(slots=True)
class ChatHistory:
    """The answers of a session since the last /new."""

    turns: list[Answer] = field(default_factory=list)
    """The turns that the next question may refer to, without small talk and partial answers."""
    answers: list[Answer] = field(default_factory=list)
    """All answers, for /save."""
    truncated: bool = False
    """Whether the oldest turn has been dropped."""

    @property
    def last(self) -> Answer | None:
        """The last answer."""
        return self.answers[-1] if self.answers else None

    def before_last(self) -> list[tuple[str, str]]:
        """Return the turns that the last answer could refer to, as pairs of question and answer."""
        includes_last = bool(self.turns) and self.turns[-1] is self.last
        turns = self.turns[:-1] if includes_last else self.turns
        return [(turn.question, without_quotes(turn.answer)) for turn in turns]

    def add(self, answer: Answer) -> bool:
        """Add an answer; return True when the oldest turn is dropped for the first time."""
        self.answers = [*self.answers, answer][-MAX_ANSWERS:]
        if answer.kind == "chat" or answer.status in ("incomplete", "refused"):
            return False
        self.turns.append(answer)
        overflows = len(self.turns) > HISTORY_TURNS
        self.turns = self.turns[-HISTORY_TURNS:]
        first, self.truncated = overflows and not self.truncated, self.truncated or overflows
        return first

    def retract(self, answer: Answer | None) -> Answer | None:
        """Remove and return the last turn if it is ``answer``, which is about to be replaced."""
        return self.turns.pop() if answer is not None and self.turns[-1:] == [answer] else None

    def clear(self) -> None:
        """Forget the conversation."""
        self.turns, self.answers, self.truncated = [], [], False


@dataclass(slots=True)
class SessionUsage:
    """The usage of a session; /new does not reset it."""

    session: Usage = field(default_factory=Usage)
    last: Usage | None = None
    """None before the first answer and after one that did not finish."""
    unknown: int = 0
    """Number of answers that were stopped or failed; the server does not report their usage."""

    def add(self, usage: Usage) -> None:
        """Add the usage of an answer."""
        self.last, self.session = usage, self.session + usage

    def add_unknown(self) -> None:
        """Count an answer whose usage is unknown."""
        self.last, self.unknown = None, self.unknown + 1

    def rows(self) -> list[tuple[str, str]]:
        """Return the usage as rows of name and value."""
        counted = self.session.calls or not self.unknown
        missing = "unknown (stopped or failed)" if self.unknown else "none yet"
        rows = [
            ("last answer", missing if self.last is None else describe_usage(self.last)),
            ("session", describe_usage(self.session) if counted else "unknown"),
        ]
        if self.unknown:
            rows.append(("not counted", f"{self.unknown} stopped or failed"))
        return rows
