"""Keep the replies of a model, so that the same call is never paid for twice.

The key is everything that shapes a reply: the endpoint, the model, the messages whole (and with them the
prompt's wording, the passages and so the library's state), the schema, the output limit, and the
temperature and reasoning effort where they are set.
Only whole, unrefused replies are kept. SQLite, one file; safe between processes. A cache that
cannot be read or written costs a call, never an answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from paperagent.llm.protocol import (
    CachedReply,
    Completion,
    DelegatingModel,
    RecordingStream,
    TextModel,
    TextStream,
)
from paperagent.storage.sqlite import connect, transaction
from paperagent.types import Usage

_LOG = logging.getLogger(__name__)
MOST_REPLIES = 20_000
"""A cache that holds more is cut to the newest nine tenths: some 40 MB."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, text TEXT NOT NULL, model TEXT, at TEXT)"


class CachedModel(DelegatingModel):
    """A model whose whole replies are kept in a file. Implements `plan.TextModel`."""

    def __init__(
        self, model: TextModel, path: Path, *, endpoint: str | None = None, effort: str | None = None
    ) -> None:
        """Cache the replies of ``model`` in the file ``path``.

        ``endpoint`` is the address of its server: another one's model of that name is another model.
        ``effort`` is the setting of its reasoning effort, which shapes its replies too.
        """
        super().__init__(model)
        self._path = path
        self._endpoint = endpoint
        self._effort = effort

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[TextStream]:
        """Return the kept reply to this call, or make the call and keep its reply."""
        call = [self._endpoint, self.model, list(messages), schema, max_output_tokens]
        others = {"temperature": temperature, "effort": self._effort}
        changed = {name: value for name, value in others.items() if value}
        key = _key([*call, changed] if changed else call)  # replies kept by earlier versions stay valid
        known = self._recall(key)
        if known is not None:
            return nullcontext(known)
        fresh = self._model.stream(
            messages,
            schema=schema,
            schema_name=schema_name,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
        )
        return self._recorded(key, fresh)

    @contextmanager
    def _recorded(self, key: str, fresh: AbstractContextManager[TextStream]) -> Iterator[TextStream]:
        with fresh as pieces:
            recording = RecordingStream(pieces)
            yield recording
            done = recording.completion
        if done.complete and done.finish_reason == "stop" and recording.text.strip():
            self._keep(key, recording.text, done.model)

    def _recall(self, key: str) -> CachedReply | None:
        try:
            with closing(self._connect()) as db:
                row = db.execute("SELECT text, model FROM reply WHERE key = ?", (key,)).fetchone()
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("answer cache: cannot be read (%s); asking again", error)
            return None
        if row is None:
            return None
        text, model = row
        note = "answered from the cache: no call was made"
        return CachedReply(text, Completion(text, "stop", Usage(), model, notes=(note,), complete=True))

    def _keep(self, key: str, text: str, model: str | None) -> None:
        try:
            with closing(self._connect()) as db, transaction(db):
                db.execute(
                    "INSERT OR REPLACE INTO reply VALUES (?, ?, ?, datetime('now'))", (key, text, model)
                )
                if db.execute("SELECT COUNT(*) FROM reply").fetchone()[0] > MOST_REPLIES:
                    db.execute(
                        "DELETE FROM reply WHERE rowid IN (SELECT rowid FROM reply ORDER BY rowid LIMIT ?)",
                        (MOST_REPLIES // 10,),
                    )
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("answer cache: cannot be written (%s); the answer is not kept", error)

    def _connect(self) -> sqlite3.Connection:
        db = connect(self._path, timeout=5)
        db.execute(_SCHEMA)
        return db


def _key(call: Sequence[Any]) -> str:
    whole = json.dumps(call, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
