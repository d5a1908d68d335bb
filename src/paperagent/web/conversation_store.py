"""Conversations and their turns in the web database.

Anyone with the id of a conversation, 128 random bits, can read it.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from paperagent.types import Answer, AskMode
from paperagent.ui.answer_log import answer_entry, read_answer_entry

if TYPE_CHECKING:
    from paperagent.web.database import WebDatabase

State = Literal["running", "done", "failed"]
INTERRUPTED = "the server was stopped"
"""Why a turn is incomplete if its server was stopped or killed."""
_UNREADABLE = "This answer can no longer be read."
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation with its answer."""

    conversation: str
    number: int
    """The position in the conversation, from 1."""
    question: str
    mode: AskMode
    state: State = "running"
    answer: Answer | None = None
    """While the turn is running: the claims so far, marked as incomplete."""
    error: str | None = None
    """Why there is no answer, as text for the reader."""
    rating: str | None = None
    """``good`` or ``bad``."""


class ConversationStore:
    """Reads and writes conversations. May be used by several threads."""

    def __init__(self, database: WebDatabase, *, keep_days: int, clock: Callable[[], dt.datetime]) -> None:
        """Create a store.

        Args:
            database: The web database.
            keep_days: Days from the last question until a conversation expires.
            clock: Returns the current time in UTC.
        """
        self._database = database
        self._keep_days = keep_days
        self._clock = clock

    def create(self, options: Mapping[str, Any], *, owner: str | None = None) -> str:
        """Create a conversation and return its id.

        Args:
            options: The options of all its questions, as JSON-ready values.
            owner: The reader who signed in.
        """
        conversation, now = secrets.token_urlsafe(_ID_BYTES), self._now()
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO conversation VALUES (?, ?, ?, ?, ?)",
                (conversation, owner, json.dumps(options), now, now),
            )
        return conversation

    def options(self, conversation: str) -> dict[str, Any] | None:
        """Return the options of a conversation, or None if it does not exist or has expired."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT options FROM conversation WHERE id = ? AND used_at >= ?",
                (conversation, self._oldest()),
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def add_turn(self, conversation: str, question: str, mode: AskMode) -> Turn | None:
        """Add a running turn to a conversation; return None if the conversation was deleted."""
        now = self._now()
        with self._database.writing() as connection:
            used = connection.execute("UPDATE conversation SET used_at = ? WHERE id = ?", (now, conversation))
            if not used.rowcount:
                return None
            (number,) = connection.execute(
                "INSERT INTO turn (conversation, number, question, mode, state, asked_at) SELECT ?, "
                "coalesce(max(number), 0) + 1, ?, ?, 'running', ? FROM turn WHERE conversation = ? "
                "RETURNING number",
                (conversation, question, mode, now, conversation),
            ).fetchone()
        return Turn(conversation, number, question, mode)

    def turns(self, conversation: str) -> list[Turn]:
        """Return the turns of a conversation, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT conversation, number, question, mode, state, answer, error, rating FROM turn "
                "WHERE conversation = ? ORDER BY number",
                (conversation,),
            ).fetchall()
        return [_read_turn(row) for row in rows]

    def save(self, turn: Turn, state: State, answer: Answer | None, error: str | None = None) -> None:
        """Write the state and the answer of a turn. A deleted turn stays deleted."""
        entry = None if answer is None else json.dumps(answer_entry(answer))
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE turn SET state = ?, answer = ?, error = ? WHERE conversation = ? AND number = ?",
                (state, entry, error, turn.conversation, turn.number),
            )

    def rate(self, turn: Turn, rating: str) -> None:
        """Write the rating of a turn."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE turn SET rating = ? WHERE conversation = ? AND number = ?",
                (rating, turn.conversation, turn.number),
            )

    def delete(self, conversation: str) -> None:
        """Delete a conversation with its turns."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM conversation WHERE id = ?", (conversation,))

    def delete_expired(self) -> None:
        """Delete the conversations that have expired."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM conversation WHERE used_at < ?", (self._oldest(),))

    def repair(self) -> None:
        """End the turns that were running when the server was stopped; the claims so far stay."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE turn SET state = iif(answer IS NULL, 'failed', 'done'), "
                "error = iif(answer IS NULL, ?, NULL) WHERE state = 'running'",
                (f"There is no answer: {INTERRUPTED}.",),
            )

    def _oldest(self) -> str:
        return (self._clock() - dt.timedelta(days=self._keep_days)).isoformat()

    def _now(self) -> str:
        return self._clock().isoformat()


def _read_turn(row: Sequence[Any]) -> Turn:
    conversation, number, question, mode, state, entry, error, rating = row
    try:
        answer = None if entry is None else read_answer_entry(json.loads(entry))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Turn(conversation, number, question, mode, "failed", error=_UNREADABLE)
    return Turn(conversation, number, question, mode, state, answer, error, rating)
