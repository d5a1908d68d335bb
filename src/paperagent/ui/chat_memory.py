"""What a chat session remembers: what was said, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from paperagent.answering.citations import without_quotes
from paperagent.types import Answer, Usage
from paperagent.ui import session_usage

KEPT_PAIRS = 20
KEPT_ANSWERS = 200


@dataclass(slots=True)
class Conversation:
    """What has been said so far."""

    history: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of question and answer that the next question may refer to; complete answers only."""
    answers: list[Answer] = field(default_factory=list)
    """All answers since /new, for /save."""
    forgot: bool = False
    """Whether the oldest pair has been dropped."""

    @property
    def last(self) -> Answer | None:
        """The last answer."""
        return self.answers[-1] if self.answers else None

    def before_last(self) -> list[tuple[str, str]]:
        """Return the history that the last answer was made with."""
        last = self.last
        remembered = last is not None and self.history[-1:] == [_turn(last)]
        return self.history[:-1] if remembered else list(self.history)

    def add(self, answer: Answer) -> bool:
        """Keep ``answer``; return True when the history begins to lose its oldest pairs."""
        self.answers = [*self.answers, answer][-KEPT_ANSWERS:]
        if answer.status != "answered":
            return False
        self.history.append(_turn(answer))
        over = len(self.history) > KEPT_PAIRS
        self.history = self.history[-KEPT_PAIRS:]
        first, self.forgot = over and not self.forgot, self.forgot or over
        return first

    def clear(self) -> None:
        """Forget everything."""
        self.history, self.answers, self.forgot = [], [], False


def _turn(answer: Answer) -> tuple[str, str]:
    return answer.question, without_quotes(answer.answer)


@dataclass(slots=True)
class Spent:
    """What the session's answers used; /new does not undo it."""

    session: Usage = field(default_factory=Usage)
    last: Usage | None = None
    """None before the first answer, and after one that did not end."""
    uncounted: int = 0
    """Answers that were stopped or failed: the server does not say what they cost."""

    def add(self, usage: Usage) -> None:
        """Count an answer."""
        self.last, self.session = usage, self.session + usage

    def lose(self) -> None:
        """Note an answer whose usage never came."""
        self.last, self.uncounted = None, self.uncounted + 1

    def rows(self) -> list[tuple[str, str]]:
        """Return the account as names and values."""
        counted = self.session.calls or not self.uncounted
        unknown = "not known: it was stopped or failed" if self.uncounted else "none yet"
        found = [
            ("last answer", unknown if self.last is None else session_usage.in_words(self.last)),
            ("session", session_usage.in_words(self.session) if counted else "nothing counted"),
        ]
        if self.uncounted:
            found.append(("not counted", f"{self.uncounted} stopped or failed"))
        return found
