"""``paperagent doctor`` for a local library: compare everything with ``library.db`` and repair it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from paperagent.errors import OutOfResourcesError, StoreError, StoreLockedError, display_path, visible
from paperagent.library.home import DATABASE, is_ours, network_filesystem
from paperagent.library.identity import text_hash
from paperagent.library.local.database import PAPER_COLUMNS, REPAIR, has_checksum
from paperagent.library.local.index_sync import Indexes
from paperagent.library.local.papers import PaperTable
from paperagent.library.local.row_checksums import readable_text
from paperagent.library.local.vector_index import check_files, check_integrity
from paperagent.library.protocol import Check, Health

RESTORE = "restore a backup, or run 'paperagent doctor --repair' and ingest the feeds again"
_MAX_NAMES = 5
_LOCK_WAIT = 5.0
"""Seconds to wait for another process to release the vector index."""
_MAX_BYTES_PER_PAPER = 60_000
"""Size of the graph files: vectors of 384 numbers take 1,700 bytes, those of 4,096 take 17,000."""
_ALWAYS_ALLOWED_BYTES = 2**26


def run_checks(home: Path, table: PaperTable, indexes: Indexes) -> Health:
    """Run all checks; one that raises `StoreError` has failed."""
    all_checks: dict[str, Callable[[], Check]] = {
        "database": lambda: _database(table),
        "rows": lambda: _rows(table),
        "papers": lambda: _papers(table),
        "lexical index": lambda: _lexical(table, indexes),
        "embeddings": lambda: _embeddings(table),
        "vector files": lambda: _vector_files(table, indexes),
        "vector index": lambda: _vectors(table, indexes),
        "folder": lambda: _folder(home),
        "clock": lambda: _clock(home),
    }
    checks = tuple(_run(name, check) for name, check in all_checks.items())
    return Health(all(check.ok for check in checks), checks)


def _run(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except OutOfResourcesError:
        raise  # nothing is damaged
    except StoreError as error:
        return Check.failed(name, error)
    except (TypeError, ValueError):  # one flipped bit can turn a text into bytes or a number
        return Check(name, False, "a value in library.db has the wrong type", RESTORE)


def repair(health: Health, table: PaperTable, indexes: Indexes) -> int:
    """Rebuild what failed; return how many papers cannot be restored. The caller holds the writer lock."""
    failed, remaining = health.failed(), 0
    if failed & {"database", "rows"}:
        failed |= _repair_rows(table)
    if "papers" in failed:
        remaining = _accept_damaged(table)
    if failed & {"papers", "lexical index"}:
        indexes.rebuild_lexical()
    active = table.vectors.active()
    if active is None:
        return remaining
    if failed & {"papers", "embeddings"}:
        table.vectors.delete(active.number, table.vectors.invalid(active.number, active.dim))
        table.touch(table.vectors.missing_from(active.number, table.db.meta("vector_mark")))
    if failed & {"embeddings", "vector index", "vector files"}:
        _repair_vectors(failed, table, indexes)
    return remaining


def _repair_rows(table: PaperTable) -> set[str]:
    """Repair damaged rows; return the names of the checks that depend on them."""
    repaired = table.db.repair_rows()
    failed = {"papers"} if repaired & {"meta", "facts"} else set()
    if repaired & {"meta", "facts", "embedders", "embeddings"}:
        failed.add("embeddings")
    return failed


def _repair_vectors(failed: set[str], table: PaperTable, indexes: Indexes) -> None:
    """Insert missing papers again; build a new index if that is not enough."""
    if failed.isdisjoint({"embeddings", "vector files"}):
        try:
            indexes.reinsert_unreachable()
            if _vectors(table, indexes).ok:
                return
        except (OutOfResourcesError, StoreLockedError):
            raise
        except StoreError:
            pass  # the index cannot be opened, so a new one is built
    indexes.rebuild_vectors(None)


def _database(table: PaperTable) -> Check:
    if damage := table.db.find_damage():
        return Check("database", False, f"SQLite finds damage: {damage}", RESTORE)
    return Check("database", True, f"intact, {table.count()} papers at revision {table.revision}")


def _rows(table: PaperTable) -> Check:
    if not table.db.has_row_checksums:
        detail = "no checksums yet: an earlier version wrote the library, and it cannot be written now"
        return Check("rows", True, detail)
    damaged = table.db.damaged_rows()
    if damaged:
        tables = ", ".join(f"{count} in {name}" for name, count in damaged.items())
        return Check("rows", False, f"some differ from their checksum: {tables}", REPAIR)
    return Check("rows", True, "all match their checksums")


def _damaged(table: PaperTable) -> Iterator[tuple[int, str]]:
    """Yield row and id of the papers that differ from their checksum."""
    last = 0
    query = f"SELECT {PAPER_COLUMNS}, text_hash, row FROM papers WHERE row > ? ORDER BY row LIMIT 2000"
    while True:
        with table.db.reading() as connection, readable_text(connection):
            page = connection.execute(query, (last,)).fetchall()
        if not page:
            return
        for *paper, stored, digest, row in page:
            if not has_checksum(paper, stored) or text_hash(*paper[1:3]) != digest:
                yield row, paper[0]
        last = page[-1][-1]


def _papers(table: PaperTable) -> Check:
    damaged = [visible(str(paper_id), limit=60) for _, paper_id in _damaged(table)]
    if damaged:
        return Check("papers", False, f"{len(damaged)} differ from their checksum: {_some(damaged)}", RESTORE)
    with table.db.reading() as connection:
        mismatched = connection.execute(
            "SELECT (SELECT count(*) FROM papers p LEFT JOIN facts f USING (row) "
            "WHERE f.row IS NULL OR f.paper_id != p.paper_id OR f.text_hash != p.text_hash) + "
            "(SELECT count(*) FROM facts WHERE row NOT IN (SELECT row FROM papers))"
        ).fetchone()[0]
        length = connection.execute("SELECT coalesce(sum(length(terms)), 0) / 4 FROM facts").fetchone()[0]
    if mismatched or length != table.term_count():
        return Check(
            "papers", False, f"{mismatched} rows of the search table do not match their papers", REPAIR
        )
    return Check("papers", True, f"{table.count()} match their checksums")


def _accept_damaged(table: PaperTable) -> int:
    """Accept damaged papers as they are until a feed yields them again; return their number."""
    return table.accept([row for row, _ in _damaged(table)])


def _lexical(table: PaperTable, indexes: Indexes) -> Check:
    indexes.lexical_folder.check()
    index = indexes.lexical()
    indexed, papers = index.ids(), table.ids()
    if indexed != papers:
        missing = [visible(i, limit=60) for row, i in papers.items() if indexed.get(row) != i]
        extra = len([row for row in indexed if row not in papers])
        pending = table.pending("lexical_mark")
        detail = (
            f"{len(missing)} of {len(papers)} papers are missing, {extra} do not belong, "
            f"{pending} are pending"
        )
        if missing:
            detail += f": {_some(missing)}"
        return Check("lexical index", False, detail, REPAIR)
    return Check("lexical index", True, f"{len(indexed)} of {len(papers)} papers, complete")


def _embeddings(table: PaperTable) -> Check:
    active = table.vectors.active()
    if active is None:
        return Check("embeddings", True, "none yet; search is lexical")
    number, embedder_id, dim = active
    missing = set(table.vectors.missing_from(number, table.db.meta("vector_mark")))
    invalid = missing.union(table.vectors.invalid(number, dim))
    name = visible(embedder_id, limit=60)
    if invalid:
        return Check("embeddings", False, f"{len(invalid)} of {name} are invalid or missing", REPAIR)
    return Check("embeddings", True, f"{name}, {dim} dimensions, valid")


def _vectors(table: PaperTable, indexes: Indexes) -> Check:
    active = table.vectors.active()
    if active is None or not table.db.meta("vector_mark"):
        return Check("vector index", True, "none yet; search is lexical")
    if table.db.read_only:
        detail = "only its checksums were compared: Chroma opens nothing in a folder that cannot be written"
        return Check("vector index", True, detail)
    folder = indexes.vector_folder.path
    what = f"vector index {display_path(folder)}"
    check_files(folder, what)
    check_integrity(folder, what)
    try:
        with indexes.exclusive_vectors(writing=False, wait=_LOCK_WAIT) as index:
            indexed, reachable = (index.ids(), index.reachable()) if index else (set(), set())
    except StoreLockedError as error:
        return Check("vector index", True, f"not checked: {error}")
    expected = table.indexed_ids(table.db.meta("vector_mark"))
    missing = expected - reachable
    extra = (indexed | reachable) - expected - table.pending_ids("vector_mark")
    pending = table.pending("vector_mark")
    if missing or extra or indexed - reachable:
        detail = (
            f"index incomplete: {len(expected) - len(missing)} of {len(expected)} papers can be found, "
            f"{len(extra)} do not belong: {_some(sorted(visible(i, limit=60) for i in missing | extra))}"
        )
        return Check("vector index", False, detail, REPAIR)
    note = f", {pending} without a vector" if pending else ""
    return Check("vector index", True, f"{len(expected)} of {len(expected)} papers can be found{note}")


def _vector_files(table: PaperTable, indexes: Indexes) -> Check:
    """Compare the files with their checksums and their sizes with the number of papers."""
    state = indexes.vector_folder.state()
    limit = max(_ALWAYS_ALLOWED_BYTES, _MAX_BYTES_PER_PAPER * table.count())
    files = sorted(state.path.glob("*/*.bin"))
    huge = [
        f"{file.name} {math.ceil(file.stat().st_size / 2**20)} MB"
        for file in files
        if file.stat().st_size > limit
    ]
    if huge:
        return Check(
            "vector files", False, f"far too large for {table.count()} papers: {_some(huge)}", REPAIR
        )
    indexes.vector_folder.check()
    total = math.ceil(sum(file.stat().st_size for file in files) / 2**20)
    compared = "not compared: a writer was interrupted" if state.open else "match"
    if state.sums is None:
        compared = "are computed when the index is next written"
    return Check("vector files", True, f"{total} MB for {table.count()} papers, checksums {compared}")


def _folder(home: Path) -> Check:
    foreign = sorted(visible(entry.name, limit=60) for entry in home.iterdir() if not is_ours(entry.name))
    notes = [f"other files, left alone: {_some(foreign)}"] if foreign else []
    if kind := network_filesystem(home):
        notes.append(f"warning: on a network file system ({kind}), on which SQLite and Chroma are not safe")
    return Check("folder", True, "; ".join(notes) or "no unexpected files")


def _clock(home: Path) -> Check:
    written = dt.datetime.fromtimestamp((home / DATABASE).stat().st_mtime, dt.UTC)
    if written > dt.datetime.now(dt.UTC) + dt.timedelta(days=1):
        return Check("clock", True, f"warning: the library was written in the future, on {written:%Y-%m-%d}")
    return Check("clock", True, f"last written {written:%Y-%m-%d %H:%M} UTC")


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
