"""The SQLite file of the web page: conversations, sign-ins, subscription requests and the model's cost.

It is separate from the digest's file. If it is lost, confirmed subscriptions are not.
"""

from __future__ import annotations

from paperagent.storage.sqlite import SqliteDatabase

FILE_NAME = "web.db"
APPLICATION_ID = 0x50414757
"""``PAGW``: identifies the file among other SQLite files."""

_SCHEMA = """
-- owner: the reader who signed in, or NULL. Anyone with the id can read the conversation.
CREATE TABLE conversation (
  id TEXT PRIMARY KEY, owner TEXT, options TEXT NOT NULL, created_at TEXT NOT NULL, used_at TEXT NOT NULL)
WITHOUT ROWID
;
CREATE INDEX conversation_used ON conversation (used_at)
;
-- answer: `answer_log.answer_entry`. While the turn runs it has the claims so far, as if it had been cut off.
CREATE TABLE turn (
  conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  question TEXT NOT NULL, mode TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  answer TEXT, error TEXT, rating TEXT CHECK (rating IN ('good', 'bad')), asked_at TEXT NOT NULL,
  PRIMARY KEY (conversation, number)) WITHOUT ROWID
;
-- What a visitor asked for at /subscribe; applied only when the address is confirmed. The id is random. A
-- confirmed request keeps its row, but nothing about the visitor.
CREATE TABLE request (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, address TEXT NOT NULL, preferences TEXT NOT NULL,
  frequency TEXT NOT NULL, created_at TEXT NOT NULL, confirmed_at TEXT)
;
-- Emails of one kind to one address, so that no address gets many of them.
CREATE TABLE mailing (key TEXT NOT NULL, kind TEXT NOT NULL, sent_at TEXT NOT NULL)
;
CREATE INDEX mailing_key ON mailing (key, kind, sent_at)
;
-- hash: SHA-256 of the random id in the emailed link or in the cookie.
CREATE TABLE sign_in (hash TEXT PRIMARY KEY, address TEXT NOT NULL, expires_at TEXT NOT NULL) WITHOUT ROWID
;
CREATE TABLE session (hash TEXT PRIMARY KEY, address TEXT NOT NULL, expires_at TEXT NOT NULL) WITHOUT ROWID
;
-- Cost of the model in millionths of a US dollar. A reservation is settled when its answer is done.
CREATE TABLE spending (
  id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, asker TEXT NOT NULL, micros INTEGER NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0)
;
CREATE INDEX spending_day ON spending (day, asker)
"""


class WebDatabase(SqliteDatabase):
    """An open ``web.db``, created when it is first used.

    Raises:
        StoreError: The file is damaged, another program's, newer than this program, or cannot be written.
    """

    KIND = "web database"
    APPLICATION_ID = APPLICATION_ID
    SCHEMA = _SCHEMA
    # Every sentence of an answer is a commit. A killed process loses none; a power failure may.
    PRAGMAS = ("synchronous = NORMAL", "foreign_keys = ON")
    FOREIGN = "not a file of paperagent's web page; move it away, or change PAPERAGENT_HOME"
    DAMAGED = "restore your own copy, or move it away, which loses conversations and pending subscriptions"
    OTHERWISE = "it cannot be used; see --debug"

    def _on_empty_file(self) -> None:
        self.path.chmod(0o600)  # it contains questions and email addresses
        super()._on_empty_file()
