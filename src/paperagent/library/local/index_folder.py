"""The folder of an index: which one is in use, and whether its files are intact.

``library.db`` names the folder in use. A new index is built in another folder beside it, and one transaction
switches to it. Readers use the old index until then. After a kill, one of the two is in use, and the next
writer deletes the other.

``library.db`` also stores the size, time and checksum of every file. The checksums are marked as open while a
process writes to the folder. If the process is killed, they stay open.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from paperagent.errors import OutOfResourcesError, StoreError, display_path
from paperagent.library.local.checksums import FileSums, damaged_file, file_sums
from paperagent.library.local.database import REPAIR, LibraryDatabase, put_meta
from paperagent.storage.sqlite import DISK_FULL, DamagedFileError

_MARGIN_BYTES = 48 * 2**20
"""Free space required for a new index, in addition to the size of the current one."""

T = TypeVar("T")


class FolderState(NamedTuple):
    """The record in ``library.db`` of the folder of an index."""

    path: Path
    sums: FileSums | None
    """The checksums; None if an earlier version, which computed none, wrote the index or the library."""
    open: bool
    """Whether a process is writing to the folder, or was killed while writing."""


class IndexFolder:
    """The folder of one index.

    Args:
        home: The folder of the library.
        db: The open ``library.db``.
        name: The name of the first folder, ``lexical`` or ``vectors``. Later folders have a number as well.
        changes_files: Whether a writer changes existing files. If it only adds and deletes files, they can be
            verified even after an interrupted write.
    """

    def __init__(self, home: Path, db: LibraryDatabase, name: str, *, changes_files: bool) -> None:
        self._home = home
        self._db = db
        self._name = name
        self._changes_files = changes_files
        self._pattern = re.compile(rf"{name}(?:-([1-9][0-9]{{0,8}}))?")
        self._verified: FileSums = {}
        """Verified files, which need not be read again after the next commit."""

    @property
    def path(self) -> Path:
        """The folder in use."""
        name = self._db.note(f"{self._name}_folder") or self._name
        if not self._pattern.fullmatch(name):
            raise StoreError(f"{self._db.description}: it is damaged; {REPAIR}")
        return self._home / name

    def state(self, *, writing: bool = False) -> FolderState:
        """Read the record of the folder in use from ``library.db``.

        Args:
            writing: Whether the checksums are about to be replaced. If so, unreadable ones are ignored.

        Raises:
            StoreError: The checksums cannot be read.
        """
        path = self.path
        try:
            text = self._db.note(f"{self._name}_files") if self._db.has_row_checksums else None
            if not text:
                return FolderState(path, None, False)
            stored: dict[str, Any] = json.loads(text)
            files = stored["files"]
            sums = None if files is None else {name: tuple(values) for name, values in files.items()}
            return FolderState(path, sums, bool(stored["open"]))
        except (DamagedFileError, ValueError, LookupError, TypeError, AttributeError):
            if writing:
                return FolderState(path, None, True)
            what = f"{self._description(path)}: damaged: its checksums in library.db cannot be read; {REPAIR}"
            raise StoreError(what) from None

    # --- reading ---

    def read(self, read: Callable[[FolderState], T], *, full: bool = False) -> T:
        """Check the files and return ``read(state)``. Retry if a writer changed the folder in the meantime.

        Args:
            read: A function that opens the folder.
            full: Whether to compare the content of every file, even in a large index.

        Raises:
            StoreError: A file is damaged, or ``read`` raised it.
        """
        while True:
            state = self.state()
            try:
                self._check(state, full=full)
                return read(state)
            except StoreError:
                if self.state() == state:
                    raise

    def check(self) -> FolderState:
        """Compare the content of every file, and return the record that the files match.

        Raises:
            StoreError: A file is damaged.
        """
        self._verified = {}
        return self.read(lambda state: state, full=True)

    def _check(self, state: FolderState, *, full: bool) -> None:
        if state.sums is None or (state.open and self._changes_files):
            return
        damage = damaged_file(
            state.path, state.sums, unfinished=state.open, full=full, verified=self._verified
        )
        if damage is not None:
            raise StoreError(f"{self._description(state.path)}: damaged: {damage}; {REPAIR}")

    # --- writing; the caller holds the writer lock ---

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Mark the checksums as open during the block, and store new ones at its end.

        They stay open if the block raises `StoreError`, because the files may be incomplete.
        """
        self._mark_open()
        try:
            yield
        except StoreError:
            raise
        except BaseException:
            self.store_sums()
            raise
        self.store_sums()

    def _mark_open(self) -> None:
        state = self.state(writing=True)
        if not state.open:
            with self._db.writing() as connection:
                self._put(connection, state.sums, open_=True)

    def store_sums(self) -> None:
        """Store the checksums of the files as they are now."""
        state = self.state(writing=True)
        sums = file_sums(state.path, state.sums or {})
        with self._db.writing() as connection:
            self._put(connection, sums)

    @contextmanager
    def building(self) -> Iterator[Path]:
        """Yield a new folder in which to build an index. It is deleted unless it is put into use.

        Raises:
            OutOfResourcesError: The disk has no room for a second index of the same size.
        """
        current, sums, _ = self.state(writing=True)
        size = sum(written for written, _, _ in (sums or {}).values())
        if shutil.disk_usage(self._home).free < size + _MARGIN_BYTES:
            need = -(-(size + _MARGIN_BYTES) // 2**20)
            raise OutOfResourcesError(
                f"{self._description(current)}: a new index beside it needs {need} MB, and {DISK_FULL}"
            )
        path = self._home / f"{self._name}-{1 + max(self._folders().values(), default=1)}"
        try:
            yield path
        finally:
            if self.path != path:
                shutil.rmtree(path, ignore_errors=True)

    def use(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use the index in ``path`` as soon as the transaction is committed. The index must be closed."""
        put_meta(connection, f"{self._name}_folder", path.name)
        self._put(connection, file_sums(path, {}))

    def unused(self) -> list[Path]:
        """Return the folders that are not in use."""
        current = self.path
        return [path for path in self._folders() if path != current]

    def delete_unused(self) -> None:
        """Delete the folders that are not in use. A process that has their files open can still read them."""
        for path in self.unused():
            shutil.rmtree(path, ignore_errors=True)

    def _folders(self) -> dict[Path, int]:
        """Return the folders of this index, with their numbers."""
        matches = ((entry, self._pattern.fullmatch(entry.name)) for entry in self._home.iterdir())
        return {entry: int(match[1] or 1) for entry, match in matches if match and entry.is_dir()}

    def _description(self, path: Path) -> str:
        return f"{self._name.replace('vectors', 'vector')} index {display_path(path)}"

    def _put(self, connection: sqlite3.Connection, sums: FileSums | None, *, open_: bool = False) -> None:
        put_meta(connection, f"{self._name}_files", json.dumps({"open": open_, "files": sums}))
