"""The lexical index: tantivy over stems that Python has already made.

Analysis exists once, in `paperagent.text.terms`: papers go in as stems joined by spaces and queries as
term queries, so nothing a person or a paper writes is ever parsed as query language.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from paperagent.errors import PaperAgentError, StoreError
from paperagent.library.home import writable
from paperagent.library.identity import day_number
from paperagent.storage.sqlite import DISK_FULL, display_path, store_error
from paperagent.types import Filters

_HEAP = 50_000_000
"""Bytes that the writer may hold before it writes a segment."""
_NEEDED = 2**22
"""Free bytes below which a failure is put down to the disk."""
_REPAIR = "run 'paperagent doctor --repair'"


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper as the lexical index holds it."""

    row: int
    paper_id: str
    stems: Sequence[str]
    """Of title, title again and abstract."""
    day: int | None
    tags: Sequence[str]


class Writer:
    """Puts and deletes papers; nothing is visible before `commit`."""

    def __init__(self, writer: Any, guard: Callable[[], AbstractContextManager[None]]) -> None:
        self._writer = writer
        self._guard = guard

    def put(self, entry: Entry, *, replace: bool) -> None:
        """Add a paper; with ``replace`` drop what the index holds under its row."""
        import tantivy

        document = tantivy.Document(
            paper_id=entry.paper_id, row=entry.row, terms=" ".join(entry.stems), tags=list(entry.tags)
        )
        if entry.day is not None:
            document.add_integer("day", entry.day)
        with self._guard():
            if replace:
                self._writer.delete_documents_by_term("row", entry.row)
            self._writer.add_document(document)

    def delete(self, row: int) -> None:
        """Drop a paper."""
        with self._guard():
            self._writer.delete_documents_by_term("row", row)

    def commit(self) -> None:
        """Make everything so far durable and visible."""
        with self._guard():
            self._writer.commit()


class LexicalIndex:
    """An open tantivy index in ``folder``.

    Raises `StoreError` where there is none (unless ``create``) or it cannot be read.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        import tantivy

        self._folder = folder.absolute()
        self._mirror: TemporaryDirectory[str] | None = None
        self._known: dict[str, dict[int, list[tuple[int, str]]]] = {}
        """Stems by first letter and length, as far as they were asked for."""
        self._what = f"lexical index {display_path(folder)}"
        self._guard = partial(_lexical, self._what, folder)
        if create:
            folder.mkdir(mode=0o700, exist_ok=True)
        elif not (folder / "meta.json").exists():
            raise StoreError(f"{self._what}: it is missing; {_REPAIR}")
        with self._guard():
            if not create and not writable(folder):
                self._mirror = TemporaryDirectory(prefix="paperagent-")
                self._link()
            place = str(folder if self._mirror is None else self._mirror.name)
            self._index = tantivy.Index(_schema(), path=place) if create else tantivy.Index.open(place)
            self._index.config_reader(reload_policy="manual")
            self._schema = self._index.schema
            self._searcher: Any = self._index.searcher()

    def _link(self) -> None:
        """Show a folder that cannot be written in one that can: tantivy opens nothing without a lock file."""
        if self._mirror is not None:
            for path in self._folder.iterdir():
                link = Path(self._mirror.name, path.name)
                if path.suffix != ".lock" and not link.is_symlink():
                    link.symlink_to(path)

    def close(self) -> None:
        """Release what was opened; a second call does nothing."""
        if self._mirror is not None:
            self._mirror.cleanup()
            self._mirror = None

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Give a writer; what it has not committed when the block fails is dropped."""
        with self._guard():
            writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        try:
            yield Writer(writer, self._guard)
        finally:
            with self._guard():
                writer.rollback()
                writer.wait_merging_threads()  # frees the writer's lock file and its threads
            self.reload()

    def reload(self) -> None:
        """See the latest commit."""
        with self._guard():
            self._link()
            self._index.reload()
            self._searcher = self._index.searcher()
            self._known = {}

    @property
    def count(self) -> int:
        """The number of papers."""
        return int(self._searcher.num_docs)

    def search(self, stems: Sequence[str], *, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Return rows and BM25 scores of the papers that hold any of ``stems``, best first."""
        if not stems or limit < 1:
            return []
        query = self._any_of(stems)
        if filters:
            query = _all_of([query, *self._limits(filters)])
        searcher = self._searcher
        with self._guard():
            hits = searcher.search(query, limit=limit, count=False).hits
            rows = searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]

    def count_matching(self, filters: Filters) -> int:
        """Return how many papers are inside ``filters``."""
        if not filters:
            return self.count
        with self._guard():
            return int(self._searcher.search(_all_of(self._limits(filters)), limit=1).count)

    def matching(self, filters: Filters) -> list[int]:
        """Return the rows inside ``filters``, in no order."""
        searcher, query = self._searcher, _all_of(self._limits(filters))
        with self._guard():
            hits = searcher.search(query, limit=max(1, searcher.num_docs), count=False).hits
            return [int(row) for row in searcher.fast_field_values("row", [address for _, address in hits])]

    def ids(self) -> dict[int, str]:
        """Return the id that the index holds for each row; a row held twice raises `StoreError`."""
        import tantivy

        searcher = self._searcher
        with self._guard():
            addresses = [
                a for _, a in searcher.search(tantivy.Query.all_query(), limit=max(1, self.count)).hits
            ]
            rows = searcher.fast_field_values("row", addresses)
            found = {
                int(row): str(searcher.doc(a)["paper_id"][0]) for row, a in zip(rows, addresses, strict=True)
            }
        if len(found) != len(rows):
            raise StoreError(f"{self._what}: it holds a paper twice; {_REPAIR}")
        return found

    def doc_freq(self, stems: Sequence[str]) -> list[int]:
        """Return how many papers hold each stem (replaced papers count until they are merged away)."""
        searcher = self._searcher
        with self._guard():
            return [int(searcher.doc_freq("terms", stem)) for stem in stems]

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        """Return the library's stems within ``distance`` edits that begin alike, most frequent first."""
        if not stem:
            return []
        known = self._beginning(stem[0])
        letters, size = set(stem), len(stem)
        # One edit changes the length by one at most, and the set of letters by two.
        near = (
            entry
            for length in range(size - distance, size + distance + 1)
            for entry in known.get(length, ())
            if len(letters.symmetric_difference(entry[1])) <= 2 * distance
        )
        return [term for _, term in sorted(e for e in near if within(stem, e[1], distance))]

    def _beginning(self, letter: str) -> dict[int, list[tuple[int, str]]]:
        """Return the stems that begin so, each behind its place by frequency, by their length."""
        known = self._known  # another thread may put an empty one in its place
        if letter not in known:
            with self._guard():
                found = self._searcher.terms_with_prefix("terms", letter)
            by_length: dict[int, list[tuple[int, str]]] = {}
            for place, (term, _) in enumerate(found):
                by_length.setdefault(len(term), []).append((place, term))
            known[letter] = by_length
        return known[letter]

    def _any_of(self, stems: Sequence[str]) -> Any:
        from tantivy import Occur, Query

        terms = [Query.term_query(self._schema, "terms", stem, index_option="freq") for stem in stems]
        return Query.boolean_query([(Occur.Should, term) for term in terms])

    def _limits(self, filters: Filters) -> list[Any]:
        from tantivy import FieldType, Query

        limits = []
        if filters.since or filters.until:
            days = (day_number(filters.since), day_number(filters.until))
            limits.append(Query.range_query(self._schema, "day", FieldType.Integer, *days))
        wanted = []
        if filters.category:
            wanted.append(f"c:{filters.category.lower()}")
        if filters.source:
            wanted.append(f"s:{filters.source}")
        limits += [Query.term_query(self._schema, "tags", tag, index_option="basic") for tag in wanted]
        return [Query.const_score_query(limit, 0.0) for limit in limits]


def drop(folder: Path) -> None:
    """Delete the index in ``folder``, whatever state it is in."""
    shutil.rmtree(folder, ignore_errors=True)


def _schema() -> Any:
    import tantivy

    build = tantivy.SchemaBuilder()
    build.add_text_field("paper_id", stored=True, tokenizer_name="raw", index_option="basic")
    build.add_integer_field("row", indexed=True, fast=True)
    build.add_integer_field("day", indexed=True, fast=True)
    build.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    build.add_text_field("tags", tokenizer_name="raw", index_option="basic")
    return build.build()


def _all_of(queries: Sequence[Any]) -> Any:
    from tantivy import Occur, Query

    if not queries:
        return Query.all_query()
    return Query.boolean_query([(Occur.Must, query) for query in queries])


@contextmanager
def _lexical(what: str, folder: Path) -> Iterator[None]:
    """Turn whatever tantivy raises into `StoreError`; its Rust panics are no `Exception`."""
    try:
        yield
    except (PaperAgentError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # On a full disk tantivy's writer dies in its own thread and only says that it did.
        full = folder.exists() and shutil.disk_usage(folder).free < _NEEDED
        why = DISK_FULL if full else f"it is damaged; {_REPAIR}"
        raise store_error(what, error, damaged=_REPAIR, otherwise=why) from error


def within(one: str, other: str, distance: int) -> bool:
    """Tell whether ``one`` becomes ``other`` by at most ``distance`` edits (swapping neighbours is one edit).

    Optimal string alignment; rows that can no longer succeed end it early.
    """
    if one == other:
        return True
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            cost = min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > distance:
            return False
        before, previous = previous, current
    return previous[-1] <= distance
