"""Damage to the files of a library, and what its readers and doctor make of it.

``python tests/library_damage.py 200`` damages 200 copies and prints a table. Each case runs in a worker
process, because damage may end it.
"""
# ruff: noqa: T201 - a script

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from library_helpers import ENVIRONMENT, FakeEmbedder, candidate_ids, filled_store
from paperagent.errors import StoreError
from paperagent.library import LocalStore
from paperagent.library.home import DATABASE
from paperagent.storage.sqlite import connect
from paperagent.text.phrases import Phrase

COUNT = 1_300
EMBEDDER = FakeEmbedder()
HARMLESS = (".lock", "-shm", "-wal")
"""Ends of the names of files without content that can be lost once the library is closed."""
UNCOMPARED = ".managed.json"
"""Lists the files that tantivy may delete. A wrong list costs disk space, and no answer depends on it."""
Damage = Callable[[Path, random.Random], None]


def flip_bits(path: Path, draw: random.Random) -> None:
    """Flip 200 bits, and keep the time of the last change, as a failing disk does."""
    data, status = bytearray(path.read_bytes()), path.stat()
    for _ in range(200):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def flip_one_bit(path: Path, draw: random.Random) -> None:
    """Flip a single bit, and keep the time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate(path: Path, draw: random.Random) -> None:
    """Cut the file anywhere."""
    os.truncate(path, draw.randrange(path.stat().st_size))


def zero_a_block(path: Path, draw: random.Random) -> None:
    """Overwrite up to 4 KB with zeros, and keep the time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    start = draw.randrange(len(data))
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def delete(path: Path, _: random.Random) -> None:
    """Delete the file."""
    path.unlink()


DAMAGES: tuple[Damage, ...] = (flip_bits, flip_one_bit, truncate, zero_a_block, delete)


def files_of(home: Path) -> list[Path]:
    """Return the files of a library that contain something, sorted by name."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(HARMLESS))
    return sorted(path for path in files if path.stat().st_size)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case showed."""

    file: str
    damage: str
    changed: bool
    """Whether the content of the file is another one; of ``library.db``, the rows of its tables."""
    query: str
    """``right``, ``wrong``, the message of a store error, or how the process ended."""
    doctor: str
    """``ok``, or the names of the checks that failed."""
    repaired: str
    """``ok``, or the names of the checks that failed after a repair."""
    query_after: str

    @property
    def problem(self) -> str | None:
        """What is not as it should be."""
        seen = self.file == DATABASE and self.doctor != "ok"  # its rows are only compared by doctor
        if not self.query.startswith(("right", "error", "wrong") if seen else ("right", "error")):
            return f"query {self.query}"
        if self.changed and self.doctor == "ok" and self.file != UNCOMPARED:
            return "unseen by doctor"
        if self.repaired == "ok" and self.query_after != "right":
            return f"after the repair {self.query_after}"
        return None


def responses(store: LocalStore) -> dict[str, object]:
    """Return the results of every kind of search."""
    return {
        "words": [c.paper_id for c in store.candidates(stems=["vision", "m7"], vector=None, limit=20)],
        "vector": sorted(candidate_ids(store, vector=EMBEDDER.one("we study vision"), limit=COUNT)),
        "matching": store.matching(words=[["vision"]], limit=3).total,
        "phrase": store.matching(phrase=Phrase("Study number 77"), words=[["studi"]], limit=3).total,
        "statistics": store.corpus_stats(["vision", "speech"]),
        "papers": [(p.paper_id, p.title, p.abstract) for p in store.list_papers(sort="oldest", limit=COUNT)],
    }


def sound_library(home: Path) -> None:
    """Fill a library: its graph is saved, and some vectors are only in Chroma's write-ahead log."""
    filled_store(home, COUNT, embedder=EMBEDDER).close()


def content(path: Path) -> object:
    """Return what a file contains: of ``library.db`` the rows, because its pages have unused bytes.

    None if the file is lost or cannot be read.
    """
    if path.name != DATABASE:
        return path.read_bytes() if path.exists() else None
    try:
        with closing(connect(path, mode="ro&immutable=1")) as connection:
            connection.text_factory = bytes
            schema = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
            tables = [name.decode() for kind, name, _ in schema if kind == b"table"]
            return schema, [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables]
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def run_case(sound: Path, home: Path, number: int, expected: dict[str, object]) -> Outcome:
    """Damage a copy of a library and try it."""
    draw = random.Random(number)  # noqa: S311 - a seeded case
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(sound, home)
    files = files_of(home)
    path = files[number % len(files)]
    damage = DAMAGES[number // len(files) % len(DAMAGES)]
    before = content(path)
    damage(path, draw)
    changed = content(path) != before
    is_segment = path.parent.name == "lexical" and path.name != UNCOMPARED
    name = f"lexical/*{path.suffix}" if is_segment else path.name
    query = _query(home, expected)
    doctor = _doctor(home, repair=False)
    repaired = "" if doctor == "ok" else _doctor(home, repair=True)
    after = _query(home, expected)
    return Outcome(name, damage.__name__, changed, query, doctor, repaired, after)


def _query(home: Path, expected: dict[str, object]) -> str:
    try:
        with LocalStore(home) as store:
            wrong = [name for name, value in responses(store).items() if value != expected[name]]
        return f"wrong {' '.join(wrong)}" if wrong else "right"
    except StoreError as error:
        return f"error {error}" if "\n" not in str(error) else "more than one line"
    except Exception as error:  # noqa: BLE001 - reported
        return f"failed with {type(error).__name__}"


def _doctor(home: Path, *, repair: bool) -> str:
    try:
        with LocalStore(home) as store:
            return ", ".join(sorted(store.doctor(repair=repair).failed())) or "ok"
    except StoreError as error:
        return f"error {error}"
    except Exception as error:  # noqa: BLE001 - reported
        return f"failed with {type(error).__name__}"


def outcomes(numbers: list[int], folder: Path) -> Iterator[Outcome]:
    """Run cases in a worker, which is started again after a crash."""
    sound = folder / "sound"
    if not sound.exists():
        sound_library(sound)
    remaining = list(numbers)
    while remaining:
        command = [sys.executable, __file__, "worker", str(folder), *map(str, remaining)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
        ) as worker:
            assert worker.stdout
            for line in worker.stdout:
                yield Outcome(**json.loads(line))
                remaining.pop(0)
        if remaining:
            yield Outcome(f"case {remaining.pop(0)}", "", True, f"ended with {worker.returncode}", "", "", "")


def _worker(folder: Path, numbers: list[int]) -> None:
    with LocalStore(folder / "sound") as store:
        expected = responses(store)
    for number in numbers:
        outcome = run_case(folder / "sound", folder / "case", number, expected)
        print(json.dumps(asdict(outcome)), flush=True)


def _main(first: int, last: int) -> None:
    problems, seen, total = Counter[str](), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="paperagent-damage-") as folder:
        for outcome in outcomes(list(range(first, last)), Path(folder)):
            total += 1
            seen[
                f"{outcome.query.split()[0]}; doctor {outcome.doctor.split()[0] if outcome.doctor else '-'}"
            ] += 1
            if outcome.problem:
                problems[outcome.problem] += 1
                print(outcome, flush=True)
    print(f"{total} cases, {problems.total()} with a problem")
    for name, number in [*seen.most_common(), *problems.most_common()]:
        print(f"{number:4}  {name}")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        _worker(Path(sys.argv[2]), [int(n) for n in sys.argv[3:]])
    else:
        _main(0, int(sys.argv[1])) if len(sys.argv) == 2 else _main(*map(int, sys.argv[1:]))
