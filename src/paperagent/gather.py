"""Reading feeds into a library: files and live services, one after another; none stops the others.

A live feed is read page by page. The state that leads to the next page is kept in the library once the
page's papers are: whatever a run is killed by, the next one goes on at the page where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import FeedError, InputError, StoreError, visible
from paperagent.types import FeedReport, IngestReport, Paper, Skipped, Withdrawal

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.feeds.live import Client, Live
    from paperagent.store import Shard, Store

FOLLOWED = "feeds"
"""The setting of the library that lists the feeds kept in it."""
_STATE = "feed-state:"
_MOST_FOLLOWED = 1_000
_LONGEST_LIST = 1_000_000

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """How feeds are read."""

    today: dt.date
    date: dt.date | None = None
    """The day on which a feed without dates listed its papers."""
    shard: Shard | None = None
    anew: bool = False
    """Whether a live feed is read from its beginning, wherever it stopped."""
    progress: Progress | None = None


@dataclass(slots=True)
class _Tally:
    """What is known of one feed so far."""

    source: str
    pages: int = 0
    error: FeedError | InputError | None = None
    notes: list[str] = field(default_factory=list)
    reports: list[IngestReport] = field(default_factory=list)

    def report(self) -> FeedReport:
        whole = merged(self.reports)
        return FeedReport(
            source=self.source,
            read=whole.read,
            new=whole.new,
            changed=whole.changed,
            unchanged=whole.unchanged,
            skipped=whole.skipped,
            pages=self.pages,
            error=str(self.error) if self.error else None,
            notes=tuple(self.notes),
        )


class Gatherer:
    """Reads feeds into the library that ``store`` opens (``store(True)`` creates it where there is none)."""

    def __init__(
        self, store: Callable[[bool], Store], client: Callable[[], Client], reading: Reading
    ) -> None:
        self._store = store
        self._client = client
        self._reading = reading
        self._opened: Client | None = None

    def read(self, sources: Sequence[str | Path]) -> IngestReport:
        """Read every feed, and return what came of all and of each.

        Raises:
            FeedError, InputError: a feed could not be read; its ``report`` says what came of all of them.
            StoreError: the library cannot be written; what was read before is kept.
        """
        tallies: list[_Tally] = []
        try:
            for source in sources:
                tallies.append(_Tally(_label(source)))
                try:
                    self._one(source, tallies[-1])
                except (FeedError, InputError) as error:
                    tallies[-1].error = error
        finally:
            if self._opened is not None:
                self._opened.close()
        whole = merged([report for tally in tallies for report in tally.reports])
        notes = tuple(f"{tally.source}: {note}" for tally in tallies for note in tally.notes)
        whole = replace(whole, feeds=tuple(t.report() for t in tallies), notes=(*whole.notes, *notes))
        failed = [tally.error for tally in tallies if tally.error is not None]
        if failed:
            raise _failure(failed, whole)
        return whole

    def _one(self, source: str | Path, tally: _Tally) -> None:
        from paperagent.feeds import live

        if (found := live.find(source)) is not None:
            self._live(found, tally)
            return
        from paperagent import feeds

        with feeds.read(source, date=self._reading.date) as feed:  # first: a bad feed creates no library
            tally.reports.append(self._take(feed.records))

    def _live(self, found: Live, tally: _Tally) -> None:
        if self._reading.shard is not None:  # each share would fetch all of it, from one polite connection
            raise InputError(
                f"{_label(found.source)}: one process reads a service; leave out --shard, "
                "and share its embedding: 'paperagent embed --shard I/N'"
            )
        key = f"{_STATE}{found.source}"
        state = {} if self._reading.anew else self._kept(key)
        if self._opened is None:
            self._opened = self._client()
        done = 0
        for page in found.pages(self._opened, state):
            tally.reports.append(self._take(page.entries))
            if page.state != state:
                state = page.state
                self._store(False).set_setting(key, state)
            tally.pages += 1
            tally.notes += [page.note] if page.note else []
            done += len(page.entries)
            if self._reading.progress:
                self._reading.progress("read", done, max(page.total, done) if page.total else None)

    def _kept(self, key: str) -> dict[str, Any]:
        try:
            kept = self._store(False).setting(key)
        except StoreError:  # there is no library yet; one that is damaged says so when it is written to
            return {}
        return kept if isinstance(kept, dict) else {}

    def _take(self, records: Iterable[Paper | Skipped | Withdrawal]) -> IngestReport:
        if self._reading.shard is not None:
            records = self._reading.shard.of_records(records)
        return self._store(True).ingest(records, today=self._reading.today, progress=self._reading.progress)


def _failure(failed: Sequence[FeedError | InputError], whole: IngestReport) -> FeedError | InputError:
    """Return the error of the whole ingest: the first feed's, with how many more there were."""
    first = failed[0]
    if len(failed) > 1:
        first = FeedError(f"{first} (and {len(failed) - 1} more of {len(whole.feeds)} feeds failed)")
    first.report = whole
    return first


def feed_client(settings: Settings) -> Client:
    """Return what fetches live feeds, with the keys and addresses of the settings."""
    from paperagent import __version__
    from paperagent.feeds.live import Access, Client

    keys = {
        "s2": settings.s2_key,
        "openalex": settings.openalex_key,
        "zotero": settings.zotero_key,
    }
    access = Access(
        contact=settings.contact,
        urls=settings.feed_bases,
        keys={name: key.get_secret_value() for name, key in keys.items() if key},
        allow_private=settings.allow_private_feeds,
        folder=settings.cache_dir / "turns",
    )
    return Client(access, version=__version__)


def merged(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the sums of several ingests, and the library as the last one left it."""
    skipped = Counter[str]()
    for report in reports:
        skipped.update(report.skipped)
    return IngestReport(
        read=sum(r.read for r in reports),
        new=sum(r.new for r in reports),
        changed=sum(r.changed for r in reports),
        unchanged=sum(r.unchanged for r in reports),
        skipped=dict(skipped),
        papers=reports[-1].papers if reports else 0,
        notes=tuple(note for r in reports for note in r.notes),
    )


def _label(source: str | Path) -> str:
    """Return a source as it may be shown: an address without its query, which may hold a key."""
    text = str(source)
    if text.lower().startswith(("http://", "https://")):
        text = text.partition("?")[0]
        if "@" in text.partition("://")[2].partition("/")[0]:
            text = "feed address"
    return visible(text, limit=200)


# --- the feeds kept in the library ---


def followed(store: Store) -> list[dict[str, Any]]:
    """Return the feeds kept, in the order in which they were added."""
    kept = store.setting(FOLLOWED, [])
    return [dict(feed) for feed in kept if isinstance(feed, dict) and isinstance(feed.get("source"), str)]


def follow(store: Store, source: str, *, today: dt.date) -> bool:
    """Keep a feed with the library; False where it is kept already.

    Raises:
        FeedError, InputError: it names neither a file that is there nor a service, or not in its way.
    """
    checked = check(source)
    kept = followed(store)
    if any(feed["source"] == checked for feed in kept):
        return False
    if len(kept) >= _MOST_FOLLOWED:
        raise InputError(f"feeds: more than {_MOST_FOLLOWED:,} are kept; remove some")
    store.set_setting(FOLLOWED, [*kept, {"source": checked, "added": today.isoformat()}])
    return True


def unfollow(store: Store, source: str) -> bool:
    """Forget a feed, and where it stopped; False where it is not kept. Its papers stay."""
    kept = followed(store)
    name = source.strip()
    rest = [feed for feed in kept if feed["source"] not in {name, _absolute(name)}]
    if len(rest) == len(kept):
        return False
    store.set_setting(FOLLOWED, rest)
    store.set_setting(f"{_STATE}{name}", None)
    return True


def note_run(store: Store, report: IngestReport, *, today: dt.date) -> None:
    """Keep with each feed when it was read last, and what came of it."""
    last = {feed.source: feed for feed in report.feeds}
    kept = followed(store)
    for feed in kept:
        if (done := last.get(_label(feed["source"]))) is not None:
            feed |= {"read": today.isoformat(), "papers": done.read, "new": done.new, "error": done.error}
    store.set_setting(FOLLOWED, kept)


def check(source: str) -> str:
    """Return a source as it is kept: a file by its whole path. Raises FeedError or InputError."""
    from paperagent.feeds import live

    text = source.strip()
    if not text or text == "-":
        raise InputError("feed: is empty or standard input; give a file, an address or a service")
    if live.find(text) is not None:
        return text
    path = Path(_absolute(text))
    if not _is_file(path):
        raise FeedError(
            f"{visible(text, limit=80)}: neither a file nor a service; give a path, https://… or one of "
            + ", ".join(f"{scheme}:" for scheme in live.SCHEMES)
        )
    return str(path)


def listed(path: Path) -> list[str]:
    """Return the feeds that a file lists, one a line; blank lines and those from ``#`` on are passed over.

    Raises:
        FeedError: it cannot be read, or lists none.
    """
    name = visible(str(path), limit=200)
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_LIST).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise FeedError(f"{name}: {why.lower()}; give a file with one feed a line") from None
    found = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise FeedError(f"{name}: lists no feed; write one a line, such as arxiv:cs.CL")
    return found


def _absolute(text: str) -> str:
    return str(Path.cwd() / Path(text).expanduser()) if "\0" not in text else text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False
