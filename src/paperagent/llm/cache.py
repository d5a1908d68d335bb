"""A cache of model replies, so that the same call is never paid for twice.

The key covers everything that affects a reply: the endpoint, the model, all messages (and so the prompt's
wording, the passages and the state of the library), the schema, the output limit, and temperature
and reasoning effort if set. Only complete replies that are not refusals are stored. The cache is one
SQLite file that several processes may use. If it cannot be read or written, the model is called as usual.
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

MAX_REPLIES = 20_000
"""Above this number (about 40 MB), the oldest tenth is deleted."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, text TEXT NOT NULL, model TEXT, at TEXT)"
_LOG = logging.getLogger(__name__)


class CachedModel(DelegatingModel):
    """A model with a reply cache. Implements `TextModel`.

    Args:
        model: The model that is called for replies that are not cached.
        path: The cache file; created if missing.
        endpoint: URL of the server, because servers may use one name for different models.
        effort: The reasoning effort, which also affects replies.
    """

    def __init__(
        self, model: TextModel, path: Path, *, endpoint: str | None = None, effort: str | None = None
    ) -> None:
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
        """Return the cached reply to this call, or make the call and store its reply."""
        call = [self._endpoint, self.model, list(messages), schema, max_output_tokens]
        optional = {"temperature": temperature, "effort": self._effort}
        non_default = {name: value for name, value in optional.items() if value}
        key = _key([*call, non_default] if non_default else call)  # keeps replies of earlier versions valid
        cached = self._load(key)
        if cached is not None:
            return nullcontext(cached)
        opened = self._model.stream(
            messages,
            schema=schema,
            schema_name=schema_name,
            max_output_tokens=max_output_tokens,
            temperature=temperature,
        )
        return self._store_when_complete(key, opened)

    @contextmanager
    def _store_when_complete(
        self, key: str, opened: AbstractContextManager[TextStream]
    ) -> Iterator[TextStream]:
        with opened as stream:
            recording = RecordingStream(stream)
            yield recording
            completion = recording.completion
        if completion.complete and completion.finish_reason == "stop" and recording.text.strip():
            self._store(key, recording.text, completion.model)

    def _load(self, key: str) -> CachedReply | None:
        try:
            with closing(self._connect()) as db:
                row = db.execute("SELECT text, model FROM reply WHERE key = ?", (key,)).fetchone()
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("answer cache: cannot be read (%s); calling the model", error)
            return None
        if row is None:
            return None
        text, model = row
        note = "answered from the cache: no call was made"
        return CachedReply(text, Completion(text, "stop", Usage(), model, notes=(note,), complete=True))

    def _store(self, key: str, text: str, model: str | None) -> None:
        try:
            with closing(self._connect()) as db, transaction(db):
                db.execute(
                    "INSERT OR REPLACE INTO reply VALUES (?, ?, ?, datetime('now'))", (key, text, model)
                )
                if db.execute("SELECT COUNT(*) FROM reply").fetchone()[0] > MAX_REPLIES:
                    db.execute(
                        "DELETE FROM reply WHERE rowid IN (SELECT rowid FROM reply ORDER BY rowid LIMIT ?)",
                        (MAX_REPLIES // 10,),
                    )
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("answer cache: cannot be written (%s); the answer is not cached", error)

    def _connect(self) -> sqlite3.Connection:
        db = connect(self._path, timeout=5)
        db.execute(_SCHEMA)
        return db


def is_damaged(path: Path) -> bool:
    """Return whether SQLite finds damage in a cache file; False if it is missing or cannot be opened."""
    if not path.exists():
        return False
    try:
        with closing(connect(path, mode="rw", timeout=5)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:  # locked, or a limit of the system
        return False
    except sqlite3.DatabaseError:
        return True


def _key(call: Sequence[Any]) -> str:
    text = json.dumps(call, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
