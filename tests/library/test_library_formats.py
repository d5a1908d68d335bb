"""Libraries that an earlier version wrote."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import library_damage
from library_helpers import FakeEmbedder, candidate_ids, filled_store, ingest, paper, without_privileges
from paperagent.errors import StoreError
from paperagent.library import LocalStore
from paperagent.library.local.database import LibraryDatabase
from paperagent.library.local.row_checksums import checked_tables

COUNT = 30
EMBEDDER = FakeEmbedder()
FORMER_SCHEMA = re.sub(r",\n  checksum INTEGER AS \(row_checksum\(.*?\)\) STORED", "", LibraryDatabase.SCHEMA)
TABLES = (*checked_tables(LibraryDatabase.SCHEMA), "papers")


@pytest.fixture(params=[1, 2])
def former(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a library of an earlier format, in a folder that another person can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        filled_store(home, COUNT, embedder=EMBEDDER).close()
        path = (home / "library.db").rename(home / "now.db")
        with closing(sqlite3.connect(home / "library.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"ATTACH '{path}' AS now")
            for statement in FORMER_SCHEMA.split("\n;\n"):
                connection.execute(statement)
            for table in TABLES:
                columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
                connection.execute(f"INSERT INTO main.{table} SELECT {columns} FROM now.{table}")
            if request.param == 1:
                notes = "('lexical_files', 'vectors_files', 'lexical_folder')"
                connection.execute(f"DELETE FROM main.meta WHERE key IN {notes}")
            connection.execute(f"PRAGMA main.application_id = {LibraryDatabase.APPLICATION_ID}")
            connection.execute(f"PRAGMA main.user_version = {request.param}")
        path.unlink()
        yield home


def test_a_former_library_gets_checksums(former: Path) -> None:
    """Its rows when it is opened, its indexes when they are written."""
    expected = library_damage.responses(filled_store(former.parent / "other", COUNT, embedder=EMBEDDER))
    with LocalStore(former) as store:
        assert library_damage.responses(store) == expected
        health = store.doctor()
        assert health.ok, health
        assert not store.table.db.damaged_rows()
        assert not store.table.db.find_damage()
        ingest(store, [paper(COUNT + 1, title="Other", abstract="Nothing about the topics.")])
        store.embed_pending(EMBEDDER)
        assert "checksums match" in str(store.doctor())
        with store.table.db.reading() as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (LibraryDatabase.VERSION,)


def test_a_former_library_that_cannot_be_written_is_read_as_it_is(former: Path) -> None:
    for path in [former, *former.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_privileges(), LocalStore(former) as store:
        assert len(candidate_ids(store, stems=["studi"])) == COUNT
        assert len(candidate_ids(store, vector=EMBEDDER.one("vision"), limit=10)) == 10
        health = store.doctor()
        assert health.ok, health
        assert "an earlier version wrote the library" in str(health)
        with pytest.raises(StoreError, match="cannot be written"):
            ingest(store, [paper(99)])


def test_an_interrupted_migration_leaves_the_former_library(
    former: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tables change in one transaction."""
    with monkeypatch.context() as patch:
        broken = LibraryDatabase.SCHEMA.replace("CREATE TABLE embeddings (", "CREATE TABLE embeddings (,")
        patch.setattr(LibraryDatabase, "SCHEMA", broken)
        with pytest.raises(StoreError):
            LocalStore(former)
    with LocalStore(former) as store:
        assert store.doctor().ok
    copy = Path(shutil.copytree(former, former.parent / "copy"))
    with LocalStore(copy) as store:
        assert store.doctor().ok
