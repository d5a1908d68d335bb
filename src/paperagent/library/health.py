"""`doctor`: does everything agree with the library, and can what does not be rebuilt from it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from paperagent.errors import StoreError, StoreLockedError, visible
from paperagent.library import rows
from paperagent.library.home import DATABASE, OURS, VECTORS, network_filesystem
from paperagent.library.identity import text_hash
from paperagent.library.local.chroma_files import check_files, check_integrity
from paperagent.library.local.indexes import Indexes
from paperagent.library.local.papers import Library
from paperagent.library.protocol import Check, Health
from paperagent.storage.sqlite import display_path

REPAIR = "run 'paperagent doctor --repair'"
RESTORE = "restore a backup, or run 'paperagent doctor --repair' and ingest the feeds again"
_SHOWN = 5
_PATIENCE = 5.0
"""Seconds to wait for another process to let go of the vector index."""
_LARGEST_ROW = 60_000
"""Bytes a paper that the graph files may take: 384 numbers take 1,700, 4,096 take 17,000."""
_SMALLEST_FILE = 2**26


def examine(home: Path, library: Library, indexes: Indexes) -> Health:
    """Examine everything; a check that cannot be made has failed."""
    examinations: dict[str, Callable[[], Check]] = {
        "database": lambda: _database(library),
        "papers": lambda: _papers(library),
        "lexical index": lambda: _lexical(library, indexes),
        "embeddings": lambda: _embeddings(library),
        "vector index": lambda: _vectors(library, indexes),
        "vector files": lambda: _sizes(home, library),
        "folder": lambda: _folder(home),
        "clock": lambda: _clock(home),
    }
    checks = tuple(_attempt(name, examination) for name, examination in examinations.items())
    return Health(all(check.ok for check in checks), checks)


def _attempt(name: str, examination: Callable[[], Check]) -> Check:
    try:
        return examination()
    except StoreError as error:
        what, _, fix = str(error).rpartition("; ")
        return Check(name, False, what or str(error), fix)


def mend(found: Health, library: Library, indexes: Indexes) -> None:
    """Rebuild what failed. Needs the writer lock."""
    failed = found.failed()
    if "papers" in failed:
        _forget_damaged(library)
    if failed & {"papers", "lexical index"}:
        indexes.rebuild_lexical()
    active = library.embeddings.active()
    if active is None:
        return
    number, _, dim = active
    if "embeddings" in failed:
        bad = library.embeddings.unsound(number, dim)
        library.embeddings.forget(number, bad)
        library.touch(bad)
    if failed & {"embeddings", "vector index", "vector files"}:
        _mend_vectors(failed, library, indexes)


def _mend_vectors(failed: set[str], library: Library, indexes: Indexes) -> None:
    """Add a few lost papers again; build the index anew where that is not enough."""
    if failed.isdisjoint({"embeddings", "vector files"}):
        with suppress(StoreError):  # the index cannot be opened: it is built anew
            indexes.reconnect()
            if _vectors(library, indexes).ok:
                return
    indexes.rebuild_vectors(None)


def _database(library: Library) -> Check:
    with library.db.reading() as connection:
        found = connection.execute("PRAGMA integrity_check(5)").fetchall()
    text = "; ".join(visible(str(row[0]), limit=100) for row in found)
    if text != "ok":
        return Check("database", False, f"SQLite finds damage: {text}", RESTORE)
    return Check("database", True, f"sound, {library.count()} papers at revision {library.revision}")


def _damaged(library: Library) -> Iterator[tuple[int, str]]:
    """Yield row and id of the papers whose checksum does not fit what is stored."""
    last = 0
    query = f"SELECT {rows.PAPER}, text_hash, checksum, row FROM papers WHERE row > ? ORDER BY row LIMIT 2000"
    while True:
        with library.db.reading() as connection:
            page = connection.execute(query, (last,)).fetchall()
        if not page:
            return
        for *paper, digest, checksum, row in page:
            if rows.checksum(paper) != checksum or text_hash(paper[1], paper[2]) != digest:
                yield row, paper[0]
        last = page[-1][-1]


def _papers(library: Library) -> Check:
    damaged = [visible(paper_id, limit=60) for _, paper_id in _damaged(library)]
    if damaged:
        return Check("papers", False, f"{len(damaged)} differ from their checksum: {_some(damaged)}", RESTORE)
    with library.db.reading() as connection:
        loose = connection.execute(
            "SELECT (SELECT count(*) FROM papers p LEFT JOIN facts f USING (row) "
            "WHERE f.row IS NULL OR f.paper_id != p.paper_id OR f.text_hash != p.text_hash) + "
            "(SELECT count(*) FROM facts WHERE row NOT IN (SELECT row FROM papers))"
        ).fetchone()[0]
        length = connection.execute("SELECT coalesce(sum(length(terms)), 0) / 4 FROM facts").fetchone()[0]
    if loose or length != library.length():
        return Check("papers", False, f"{loose} rows of the search table do not fit their papers", REPAIR)
    return Check("papers", True, f"{library.count()} fit their checksums")


def _forget_damaged(library: Library) -> None:
    """Accept what is stored of damaged papers, and read them again when a feed brings them."""
    damaged = [row for row, _ in _damaged(library)]
    if damaged:
        library.accept(damaged)


def _lexical(library: Library, indexes: Indexes) -> Check:
    index = indexes.lexical()
    held, wanted = index.ids(), library.ids()
    if held != wanted:
        lost = [visible(i, limit=60) for row, i in wanted.items() if held.get(row) != i]
        extra = len([row for row in held if row not in wanted])
        waiting = library.pending("lexical_mark")
        detail = (
            f"{len(lost)} of {len(wanted)} papers are not in it, {extra} do not belong, {waiting} wait: "
            f"{_some(lost)}"
        )
        return Check("lexical index", False, detail, REPAIR)
    return Check("lexical index", True, f"{len(held)} of {len(wanted)} papers, complete")


def _embeddings(library: Library) -> Check:
    active = library.embeddings.active()
    if active is None:
        return Check("embeddings", True, "none yet; search is lexical")
    number, embedder_id, dim = active
    bad = library.embeddings.unsound(number, dim)
    name = visible(embedder_id, limit=60)
    if bad:
        return Check("embeddings", False, f"{len(bad)} of {name} are unsound", REPAIR)
    return Check("embeddings", True, f"of {name}, {dim} numbers each, sound")


def _vectors(library: Library, indexes: Indexes) -> Check:
    active = library.embeddings.active()
    if active is None or not library.db.meta("vector_mark"):
        return Check("vector index", True, "none yet; search is lexical")
    if library.db.read_only:
        return Check(
            "vector index", True, "not examined: Chroma opens nothing in a folder that cannot be written"
        )
    folder = indexes.folders[1]
    what = f"vector index {display_path(folder)}"
    check_files(folder, what)
    check_integrity(folder, what)
    try:
        with indexes.held_vectors(wait=_PATIENCE) as index:
            held, reachable = (index.ids(), index.reachable()) if index else (set(), set())
    except StoreLockedError as error:
        return Check("vector index", True, f"not examined: {error}")
    wanted = library.indexed_ids("vector_mark")
    lost, extra = wanted - reachable, (held | reachable) - wanted - library.waiting_ids("vector_mark")
    pending = library.pending("vector_mark")
    if lost or extra or held - reachable:
        detail = (
            f"index incomplete: {len(wanted) - len(lost)} of {len(wanted)} papers can be found, "
            f"{len(extra)} do not belong: {_some(sorted(visible(i, limit=60) for i in lost | extra))}"
        )
        return Check("vector index", False, detail, REPAIR)
    waiting = f", {pending} wait for their vectors" if pending else ""
    return Check("vector index", True, f"{len(wanted)} of {len(wanted)} papers can be found{waiting}")


def _sizes(home: Path, library: Library) -> Check:
    """Compare the graph's files with the number of papers: a damaged one has grown to terabytes."""
    limit = max(_SMALLEST_FILE, _LARGEST_ROW * library.count())
    files = sorted((home / VECTORS).glob("*/*.bin"))
    huge = [
        f"{file.name} {math.ceil(file.stat().st_size / 2**20)} MB"
        for file in files
        if file.stat().st_size > limit
    ]
    if huge:
        return Check(
            "vector files", False, f"far too large for {library.count()} papers: {_some(huge)}", REPAIR
        )
    total = sum(file.stat().st_size for file in files)
    return Check("vector files", True, f"{math.ceil(total / 2**20)} MB for {library.count()} papers")


def _folder(home: Path) -> Check:
    foreign = sorted(visible(entry.name, limit=60) for entry in home.iterdir() if entry.name not in OURS)
    notes = [f"not ours, left alone: {_some(foreign)}"] if foreign else []
    if kind := network_filesystem(home):
        notes.append(f"warning: on a network file system ({kind}), where SQLite and Chroma are not safe")
    return Check("folder", True, "; ".join(notes) or "holds nothing else")


def _clock(home: Path) -> Check:
    written = dt.datetime.fromtimestamp((home / DATABASE).stat().st_mtime, dt.UTC)
    if written > dt.datetime.now(dt.UTC) + dt.timedelta(days=1):
        return Check("clock", True, f"warning: the library was written in the future, on {written:%Y-%m-%d}")
    return Check("clock", True, f"last written {written:%Y-%m-%d %H:%M} UTC")


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
