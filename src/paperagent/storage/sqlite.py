"""SQLite files: opening, transactions, and one-line messages for errors of a file."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

from paperagent.errors import OutOfResourcesError, PaperAgentError, StoreError, display_path, visible

TOO_MANY_FILES = "too many files are open; raise the limit (ulimit -n) and run the same command again"
NO_MEMORY = "not enough memory; close other programs, or raise the limit (ulimit -v), and run it again"
DISK_FULL = "the disk is full; free some space and run the same command again (saved data is kept)"
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TOO_MANY_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE})
_FILES_OF_A_DATABASE = 4
"""Files that SQLite opens: the database, its write-ahead log, the index of the log, and a temporary file."""
_READ_ONLY_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_FILES_MESSAGES = ("too many open files", "os error 24")
_NO_MEMORY_MESSAGES = (
    "cannot allocate memory",
    "out of memory",
    "memory allocation",
    "os error 12",
    "failed to map",
    "start new thread",
    "bad_alloc",
)
_FULL_MESSAGES = ("disk is full", "no space left", "file too large", "disk quota")
_MAX_NEWER = 50
"""Maximum difference to the version of a newer file. A larger one means that the file's header is damaged."""
_READ_ONLY_MESSAGES = ("readonly", "read-only", "permission denied")
_DAMAGED_MESSAGES = (
    "malformed",
    "not a database",
    "unsupported file format",
    "no such table",
    "no such column",
    "decode",  # the text in the file, or an error that quotes it, is not UTF-8
)


class DamagedFileError(StoreError):
    """A file is damaged, missing, or not the expected one."""


@contextmanager
def map_errors(
    what: str,
    *,
    damaged: str = "restore a backup, or move the file away",
    otherwise: str = "it cannot be used; run 'paperagent doctor'",
) -> Iterator[None]:
    """Raise `StoreError` for every SQLite or file error of the block.

    Args:
        what: The subject of the message, such as ``library /home/me/papers/library.db``.
        damaged: What the user should do about a damaged file.
        otherwise: Reason and advice for an error of an unknown kind.
    """
    try:
        yield
    except PaperAgentError:
        raise
    except (sqlite3.Error, OSError, UnicodeDecodeError, MemoryError) as error:
        raise store_error(what, error, damaged=damaged, otherwise=otherwise) from error


def store_error(
    what: str,
    error: BaseException,
    *,
    damaged: str,
    otherwise: str = "it cannot be used; run 'paperagent doctor'",
) -> StoreError:
    """Return the `StoreError` for ``error``. The caller raises it from its cause.

    The arguments are those of `map_errors`. If disk space, memory or file descriptors ran out, nothing is
    damaged, and the result is an `OutOfResourcesError`.
    """
    text = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    exhausted = exhausted_resource(error)
    if exhausted is not None:
        return OutOfResourcesError(f"{what}: {exhausted}")
    if "disk i/o error" in text:  # also SQLite's message for a quota and for a limit on the size of files
        why = "the disk is full, over a quota or failing; free some space and run the same command again"
    elif number in _READ_ONLY_ERRNOS or any(message in text for message in _READ_ONLY_MESSAGES):
        why = "it cannot be written; check its permissions, or choose another PAPERAGENT_HOME"
    elif any(message in text for message in _DAMAGED_MESSAGES):
        return DamagedFileError(f"{what}: it is damaged; {damaged}")
    elif "unable to open" in text or isinstance(error, OSError):
        why = "it cannot be opened; check its permissions"
    else:
        why = otherwise
    return StoreError(f"{what}: {why}")


def exhausted_resource(error: BaseException) -> str | None:
    """Return a message that names the exhausted resource (disk, memory, files); None for other errors."""
    text = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL_ERRNOS or any(message in text for message in _FULL_MESSAGES):
        return DISK_FULL
    if (
        isinstance(error, MemoryError)
        or number == errno.ENOMEM
        or any(message in text for message in _NO_MEMORY_MESSAGES)
    ):
        return NO_MEMORY
    if number in _TOO_MANY_ERRNOS or any(message in text for message in _NO_FILES_MESSAGES):
        return TOO_MANY_FILES
    # SQLite does not say why it cannot open a file.
    return TOO_MANY_FILES if "unable to open" in text and not _can_open_files(_FILES_OF_A_DATABASE) else None


def require_files(count: int, what: str) -> None:
    """Raise `OutOfResourcesError` if this process cannot open ``count`` more files."""
    if not _can_open_files(count):
        raise OutOfResourcesError(f"{what}: {TOO_MANY_FILES}")


def _can_open_files(count: int) -> bool:
    descriptors: list[int] = []
    try:
        for _ in range(count):
            descriptors.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - closed if one fails
    except OSError as error:
        return error.errno not in _TOO_MANY_ERRNOS
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def connect(path: Path, *, mode: str = "rwc", timeout: float = 20.0) -> sqlite3.Connection:
    """Open an SQLite file without implicit transactions; several threads may share the connection.

    Args:
        path: The database file.
        mode: Mode of the file URI, such as ``rwc`` or ``ro`` (https://sqlite.org/uri.html), and further
            parameters.
        timeout: Seconds to wait for another connection's transaction.
    """
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=timeout,
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction, which is rolled back if the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class SqliteDatabase:
    """A database file of paperagent: WAL with ``synchronous=FULL``, so that a commit survives a power cut.

    One connection, which the threads of a process share under a lock. A subclass names its file format and
    its schema. The file is created when it is opened for the first time.

    Raises:
        StoreError: The file is damaged, belongs to another program, was written by a newer version of
            paperagent, or cannot be used.
    """

    KIND: ClassVar[str]
    """The name of the file in messages."""
    APPLICATION_ID: ClassVar[int]
    """Distinguishes the file from other SQLite files (https://sqlite.org/fileformat.html#application_id)."""
    VERSION: ClassVar[int] = 1
    SCHEMA: ClassVar[str]
    """SQL statements, each followed by a line with a semicolon alone."""
    MIGRATIONS: ClassVar[dict[int, str]] = {}
    """Version of the file → the statements that bring it to the next one, written like `SCHEMA`."""
    PRAGMAS: ClassVar[tuple[str, ...]] = ("synchronous = FULL",)
    """Set on every connection."""
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    """Deterministic functions that the schema calls, by name."""
    FOREIGN: ClassVar[str]
    """Reason and advice for a file of another program."""
    DAMAGED: ClassVar[str]
    """Advice for a damaged file."""
    OTHERWISE: ClassVar[str] = "it cannot be used; run 'paperagent doctor'"
    """Reason and advice for an error of an unknown kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = f"{self.KIND} {display_path(path)}"
        self._pid = os.getpid()
        self._lock = threading.RLock()
        with self._map_errors():
            self._connection = self._connect()
            try:
                self._add_functions(self._connection)
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if os.getpid() == self._pid:  # closing it in a forked child would drop the parent's locks
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection for this thread and yield it for reading.

        Raises:
            StoreError: SQLite cannot read the file, or this process is a fork of the one that opened it.
        """
        if os.getpid() != self._pid:
            raise StoreError(
                f"{self.description}: it was opened before a fork; open it again in each process"
            )
        with self._lock, self._map_errors():
            yield self._connection

    def find_damage(self) -> str:
        """Check the whole file: SQLite's structure, references between tables, and the schema.

        Returns:
            The problems, or an empty string if there are none.

        Raises:
            StoreError: The file cannot be read.
        """
        with self.reading() as connection:
            report = connection.execute("PRAGMA integrity_check(3)").fetchall()
            if report != [("ok",)]:
                return "; ".join(visible(str(row[0]), limit=100) for row in report)
            references = connection.execute("PRAGMA foreign_key_check").fetchall()
            if references:
                return f"{len(references):,} rows refer to missing rows"
            if connection.execute("PRAGMA user_version").fetchone()[0] < self.VERSION:
                return ""  # an earlier version wrote it, and it cannot be written
            with closing(sqlite3.connect(":memory:")) as model:
                self._add_functions(model)
                for statement in self.SCHEMA.split("\n;\n"):
                    model.execute(statement)
                differing = _schema(connection) ^ _schema(model)
        names = sorted({visible(name, limit=40) for name, _ in differing})
        return f"the schema differs: {', '.join(names)}" if names else ""

    def copy_to(self, path: Path) -> None:
        """Write a copy of the file, which must not exist yet."""
        with self.reading() as connection:
            connection.execute("VACUUM INTO ?", (str(path),))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection for this thread, and commit a transaction if the block succeeds."""
        with self.reading() as connection, transaction(connection):
            yield connection
            self._before_commit(connection)

    def _map_errors(self) -> AbstractContextManager[None]:
        return map_errors(self.description, damaged=self.DAMAGED, otherwise=self.OTHERWISE)

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path)

    def _add_functions(self, connection: sqlite3.Connection) -> None:
        if self.FUNCTIONS:
            connection.execute("PRAGMA trusted_schema = 1")  # lets a column call them
        for name, function in self.FUNCTIONS.items():
            connection.create_function(name, -1, function, deterministic=True)

    def _on_empty_file(self) -> None:
        """Create the tables; a subclass may refuse instead."""
        self._create()

    def _after_migration(self, connection: sqlite3.Connection, version: int) -> None:
        """Adapt the rows of a file that was brought from ``version`` to the next, in that transaction."""

    def _on_create(self, connection: sqlite3.Connection) -> None:
        """Fill new tables, in the transaction that creates them."""

    def _before_commit(self, connection: sqlite3.Connection) -> None:
        """Write what every transaction has to write; called before each commit."""

    def _prepare(self) -> None:
        execute = self._connection.execute
        application_id = execute("PRAGMA application_id").fetchone()[0]
        # A kill between creating the file and creating its tables leaves an empty file.
        if application_id == 0 and not execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._on_empty_file()
        elif application_id != self.APPLICATION_ID:
            raise DamagedFileError(f"{self.description}: {self.FOREIGN}")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > self.VERSION + _MAX_NEWER:
            raise DamagedFileError(f"{self.description}: it is damaged; {self.DAMAGED}")
        if version > self.VERSION:
            raise StoreError(
                f"{self.description}: it was written by a newer paperagent (format {version}, this one knows "
                f"{self.VERSION}); upgrade paperagent"
            )
        if version < self.VERSION:
            self._migrate()
        for pragma in self.PRAGMAS:
            execute(f"PRAGMA {pragma}")

    def _migrate(self) -> None:
        execute = self._connection.execute
        with transaction(self._connection):
            # Another process may have been faster.
            for version in range(execute("PRAGMA user_version").fetchone()[0], self.VERSION):
                for statement in self.MIGRATIONS[version].split("\n;\n"):
                    execute(statement)
                self._after_migration(self._connection, version)
            execute(f"PRAGMA user_version = {self.VERSION}")

    def _create(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        with transaction(self._connection):
            if execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return  # another process was faster
            for statement in self.SCHEMA.split("\n;\n"):
                execute(statement)
            self._on_create(self._connection)
            execute(f"PRAGMA application_id = {self.APPLICATION_ID}")
            execute(f"PRAGMA user_version = {self.VERSION}")


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return the tables, indexes and triggers: their names and definitions."""
    rows = connection.execute("SELECT name, coalesce(sql, '') FROM main.sqlite_schema").fetchall()
    return {
        (str(name), " ".join(str(sql).split())) for name, sql in rows if not name.startswith("sqlite_stat")
    }
