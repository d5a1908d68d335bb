"""The lexical index: BM25 by tantivy, over stems that Python has computed.

The text analysis is in `paperagent.text.terms` alone. Papers are indexed as stems joined by spaces, and
queries are term queries, so that no text of a user or a paper is ever parsed as query language.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from paperagent.errors import OutOfResourcesError, PaperAgentError, StoreError, display_path
from paperagent.library.home import writable
from paperagent.library.identity import day_number
from paperagent.library.local.database import REPAIR
from paperagent.storage.sqlite import DISK_FULL, store_error
from paperagent.text.author_names import is_initial, name_words
from paperagent.text.phrases import PhraseInAnyCase
from paperagent.text.spelling import within_edit_distance
from paperagent.types import Filters

if TYPE_CHECKING:
    from paperagent.library.local.listing import PaperListing

_HEAP_BYTES = 50_000_000
"""Memory of the writer, which writes a segment when the memory is full."""
_MIN_FREE_BYTES = 2**22
"""If less disk space is free, an unknown error is reported as a full disk."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A paper as it is indexed."""

    row: int
    paper_id: str
    stems: Sequence[str]
    """Of the title, the title again and the abstract."""
    day: int | None
    tags: Sequence[str]


class IndexWriter:
    """Adds and deletes papers; nothing is visible before `commit`."""

    def __init__(
        self,
        writer: Any,
        guard: Callable[[], AbstractContextManager[None]],
        before_change: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._guard = guard
        self._before_change = before_change

    def put(self, entry: IndexEntry, *, replace: bool) -> None:
        """Add a paper; with ``replace``, first delete the entry of its row."""
        import tantivy

        document = tantivy.Document(
            paper_id=entry.paper_id, row=entry.row, terms=" ".join(entry.stems), tags=list(entry.tags)
        )
        if entry.day is not None:
            document.add_integer("day", entry.day)
        self._before_change()
        with self._guard():
            if replace:
                self._writer.delete_documents_by_term("row", entry.row)
            self._writer.add_document(document)

    def delete(self, row: int) -> None:
        """Delete a paper."""
        self._before_change()
        with self._guard():
            self._writer.delete_documents_by_term("row", row)

    def commit(self) -> None:
        """Make all changes so far durable and visible."""
        self._before_change()  # even a commit without changes replaces a file
        with self._guard():
            self._writer.commit()


class LexicalIndex:
    """An open tantivy index in ``folder``.

    Args:
        folder: The folder of the index.
        create: Whether to create it.
        listing: Reads papers to check phrases and names of several words.
        has_authors: Whether the words of authors' names are indexed. Earlier versions did not index them.
        write_session: Returns a context manager. It is entered before a writer makes its first change, and
            exited after all files are written.

    Raises:
        StoreError: There is no index (unless ``create``), or it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        create: bool = False,
        listing: PaperListing | None = None,
        has_authors: bool = True,
        write_session: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        import tantivy

        self.folder = folder
        self._write_session = write_session
        self._listing = listing
        self._has_authors = has_authors
        self._checked: dict[tuple[str, str], Any] = {}
        """Cached queries for authors and phrases, for which papers had to be read."""
        self._mirror: TemporaryDirectory[str] | None = None
        self._vocabulary: dict[str, dict[int, list[tuple[int, str]]]] = {}
        """By first letter and length, stems with their rank by frequency; letters are read when needed."""
        self._description = f"lexical index {display_path(folder)}"
        self._guard = partial(_map_errors, self._description, folder)
        if create:
            folder.mkdir(mode=0o700, exist_ok=True)
        elif not (folder / "meta.json").exists():
            raise StoreError(f"{self._description}: it is missing; {REPAIR}")
        with self._guard():
            if not create and not writable(folder):
                self._mirror = TemporaryDirectory(prefix="paperagent-")
                self._link()
            path = str(folder if self._mirror is None else self._mirror.name)
            self._index = tantivy.Index(_schema(), path=path) if create else tantivy.Index.open(path)
            self._index.config_reader(reload_policy="manual")
            self._schema = self._index.schema
            self._searcher: Any = self._index.searcher()

    def _link(self) -> None:
        """Mirror a read-only folder in a writable one, because tantivy needs a lock file to open an index."""
        if self._mirror is not None:
            for path in self.folder.absolute().iterdir():
                link = Path(self._mirror.name, path.name)
                if path.suffix != ".lock" and not link.exists():
                    _link_or_copy(link, path)

    def close(self) -> None:
        """Delete the mirror of a read-only folder; a second call does nothing."""
        if self._mirror is not None:
            self._mirror.cleanup()
            self._mirror = None

    @contextmanager
    def writing(self) -> Iterator[IndexWriter]:
        """Yield a writer; uncommitted changes are dropped at the end of the block."""
        changed = False

        def before_change() -> None:
            nonlocal changed
            if not changed:
                session.enter_context(self._write_session())
                changed = True

        with ExitStack() as session:
            with self._guard():
                writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
            try:
                yield IndexWriter(writer, self._guard, before_change)
            finally:
                with self._guard():
                    # This drops uncommitted changes, ends all merges and releases the writer's lock file.
                    # After `rollback`, merges would go on and change files that already have checksums.
                    writer.wait_merging_threads()
                self.reload()

    def reload(self) -> None:
        """Make the latest commit visible."""
        with self._guard():
            self._link()
            self._index.reload()
            self._searcher = self._index.searcher()
            self._vocabulary = {}
            self._checked = {}

    @property
    def count(self) -> int:
        """The number of papers."""
        return int(self._searcher.num_docs)

    def search(self, stems: Sequence[str], *, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Return rows and BM25 scores of the papers that contain any of ``stems``, best first."""
        if not stems or limit < 1:
            return []
        query = self._with_any_of(stems)
        if filters:
            query = _all_of([query, *self._limits(filters)])
        searcher = self._searcher
        with self._guard():
            hits = searcher.search(query, limit=limit, count=False).hits
            rows = searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]

    def count_matching(self, filters: Filters) -> int:
        """Return the number of papers that match ``filters``."""
        if not filters:
            return self.count
        with self._guard():
            return int(self._searcher.search(_all_of(self._limits(filters)), limit=1).count)

    def matching(self, filters: Filters) -> list[int]:
        """Return the rows that match ``filters``, in no particular order."""
        return self._rows(_all_of(self._limits(filters)))

    def newest(self, filters: Filters, *, limit: int, oldest: bool) -> list[int]:
        """Return all matching rows of the latest (or earliest) days that have ``limit`` matches together."""
        from tantivy import FieldType, Order, Query

        searcher, limits = self._searcher, self._limits(filters)
        order = Order.Asc if oldest else Order.Desc
        with self._guard():
            hits = searcher.search(
                _all_of(limits), limit=limit, count=False, order_by_field="day", order=order
            ).hits
        if len(hits) < limit:
            return self._rows(_all_of(limits))
        last = int(hits[-1][0])
        bounds = (None, last) if oldest else (last, None)
        days = Query.range_query(self._schema, "day", FieldType.Integer, *bounds)
        return self._rows(_all_of([*limits, Query.const_score_query(days, 0.0)]))

    def admitted(self, paper_ids: Sequence[str], filters: Filters) -> list[str]:
        """Return the ids of papers that match ``filters``, in the given order."""
        from tantivy import Query

        ids = Query.const_score_query(Query.term_set_query(self._schema, "paper_id", list(paper_ids)), 0.0)
        searcher, query = self._searcher, _all_of([ids, *self._limits(filters)])
        with self._guard():
            hits = searcher.search(query, limit=max(1, len(paper_ids)), count=False).hits
            inside = {str(searcher.doc(address)["paper_id"][0]) for _, address in hits}
        return [paper_id for paper_id in paper_ids if paper_id in inside]

    def _rows(self, query: Any) -> list[int]:
        searcher = self._searcher
        with self._guard():
            hits = searcher.search(query, limit=max(1, searcher.num_docs), count=False).hits
            return [int(row) for row in searcher.fast_field_values("row", [address for _, address in hits])]

    def rows_with_all(
        self,
        words: Sequence[Sequence[str]],
        filters: Filters,
        *,
        limit: int | None,
        oldest_first: bool = False,
    ) -> tuple[int, list[int]]:
        """Return how many papers contain every word and match ``filters``, and their rows by date.

        A word is a list of alternative stems.
        """
        from tantivy import Order

        searcher, query = self._searcher, _all_of([*map(self._with_any_of, words), *self._limits(filters)])
        order = Order.Asc if oldest_first else Order.Desc
        size = max(1, searcher.num_docs if limit is None else limit)
        with self._guard():
            hits = searcher.search(query, limit=size, order_by_field="day", order=order)
            rows = searcher.fast_field_values("row", [address for _, address in hits.hits])
        return int(hits.count), [int(row) for row in rows]

    def ids(self) -> dict[int, str]:
        """Return the id of each row.

        Raises:
            StoreError: The index holds a row twice.
        """
        import tantivy

        searcher = self._searcher
        with self._guard():
            addresses = [
                a for _, a in searcher.search(tantivy.Query.all_query(), limit=max(1, self.count)).hits
            ]
            rows = searcher.fast_field_values("row", addresses)
            ids = {
                int(row): str(searcher.doc(a)["paper_id"][0]) for row, a in zip(rows, addresses, strict=True)
            }
        if len(ids) != len(rows):
            raise StoreError(f"{self._description}: it holds a paper twice; {REPAIR}")
        return ids

    def doc_freq(self, stems: Sequence[str]) -> list[int]:
        """Return the number of papers with each stem. A replaced paper counts until its segment is merged."""
        searcher = self._searcher
        with self._guard():
            return [int(searcher.doc_freq("terms", stem)) for stem in stems]

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        """Return the stems within ``distance`` edits that start with the same letter, most frequent first."""
        if not stem:
            return []
        by_length = self._stems_starting_with(stem[0])
        letters, size = set(stem), len(stem)
        # One edit changes the length by one at most, and the set of letters by two.
        near = (
            entry
            for length in range(size - distance, size + distance + 1)
            for entry in by_length.get(length, ())
            if len(letters.symmetric_difference(entry[1])) <= 2 * distance
        )
        return [term for _, term in sorted(e for e in near if within_edit_distance(stem, e[1], distance))]

    def _stems_starting_with(self, letter: str) -> dict[int, list[tuple[int, str]]]:
        """Return by length the stems that start with ``letter``, each with its rank by frequency."""
        vocabulary = self._vocabulary  # another thread may replace it by an empty one
        if letter not in vocabulary:
            with self._guard():
                terms = self._searcher.terms_with_prefix("terms", letter)
            by_length: dict[int, list[tuple[int, str]]] = {}
            for rank, (term, _) in enumerate(terms):
                by_length.setdefault(len(term), []).append((rank, term))
            vocabulary[letter] = by_length
        return vocabulary[letter]

    def _with_any_of(self, stems: Sequence[str]) -> Any:

        return _any_of([self._term(stem) for stem in stems])

    def _term(self, stem: str) -> Any:
        from tantivy import Query

        return Query.term_query(self._schema, "terms", stem, index_option="freq")

    def _limits(self, filters: Filters) -> list[Any]:
        from tantivy import FieldType, Query

        limits = []
        if filters.since or filters.until:
            days = (day_number(filters.since), day_number(filters.until))
            limits.append(Query.range_query(self._schema, "day", FieldType.Integer, *days))
        if filters.category:
            limits.append(self._tag(f"c:{filters.category.lower()}"))
        if filters.source:
            limits.append(self._tag(f"s:{filters.source}"))
        if filters.author:
            limits.append(self._by_author(filters.author))
        if filters.exclude:
            limits.append(_none_of([self._with_phrase(phrase) for phrase in filters.exclude]))
        if filters.ids:
            limits.append(Query.term_set_query(self._schema, "paper_id", list(filters.ids)))
        return [Query.const_score_query(limit, 0.0) for limit in limits]

    def _tag(self, tag: str) -> Any:
        from tantivy import Query

        return Query.term_query(self._schema, "tags", tag, index_option="basic")

    def _by_author(self, author: str) -> Any:
        """Return the query for an author; all words must be in the name of one author."""
        names = name_words(author)
        if self._has_authors and len(names) == 1 and not is_initial(names[0]):
            return self._tag(f"a:{names[0]}")
        # Each word may be abbreviated in the query or in the paper, but not all of them.
        full = [word for word in names if not is_initial(word)]
        words = [_any_of([self._tag(f"a:{w}"), *([self._tag(f"a:{w[0]}")] * (len(full) > 1))]) for w in full]
        likely = _all_of(words if self._has_authors else [])

        def find() -> list[int]:
            return self._listing.rows_by_author(self._rows(likely), author) if self._listing and names else []

        return self._these_rows(("author", author), find)

    def _with_phrase(self, phrase: str) -> Any:
        """Return the query for papers that contain a phrase; index terms only narrow the search."""
        to_find = PhraseInAnyCase(phrase)
        likely = _all_of([self._with_any_of(terms) for terms in to_find.terms])

        def find() -> list[int]:
            return sorted(self._listing.rows_mentioning(to_find, self._rows(likely))) if self._listing else []

        return self._these_rows(("phrase", phrase), find)

    def _these_rows(self, key: tuple[str, str], find: Callable[[], list[int]]) -> Any:
        from tantivy import Query

        checked = self._checked  # another thread may replace it
        if key not in checked:
            rows = find()
            checked[key] = Query.term_set_query(self._schema, "row", rows) if rows else Query.empty_query()
        return checked[key]


def _link_or_copy(link: Path, path: Path) -> None:
    try:
        link.symlink_to(path)
    except OSError:  # Windows allows links only to some users
        shutil.copy2(path, link)


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


def _any_of(queries: Sequence[Any]) -> Any:
    from tantivy import Occur, Query

    return Query.boolean_query([(Occur.Should, query) for query in queries])


def _none_of(queries: Sequence[Any]) -> Any:
    from tantivy import Occur, Query

    return Query.boolean_query(
        [(Occur.Must, Query.all_query()), *((Occur.MustNot, query) for query in queries)]
    )


@contextmanager
def _map_errors(what: str, folder: Path) -> Iterator[None]:
    """Raise `StoreError` for every error of tantivy, including Rust panics, which are no `Exception`."""
    try:
        yield
    except (PaperAgentError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # On a full disk tantivy's writer dies in its own thread without saying why.
        full = folder.exists() and shutil.disk_usage(folder).free < _MIN_FREE_BYTES
        if full:
            raise OutOfResourcesError(f"{what}: {DISK_FULL}") from error
        raise store_error(what, error, damaged=REPAIR, otherwise=f"it is damaged; {REPAIR}") from error
