"""Reading feeds into a library: files and live services, one after another; none stops the others.

A live feed is read page by page. The state that leads to the next page is kept in the library once the
page's papers are: whatever a run is killed by, the next one goes on at the page where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paperagent.errors import FeedError, InputError, NoLibraryError, PaperAgentError, StoreError
from paperagent.library.followed_feeds import STATE_PREFIX, display_source
from paperagent.types import FeedReport, IngestReport, Paper, Progress, Skipped, Withdrawal

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.feeds.services import LiveFeed
    from paperagent.feeds.services.http_client import FeedClient
    from paperagent.library import Shard, Store

_PATIENCE = 60.0
"""Seconds that a run waits, between two pages, while another process writes."""

T = TypeVar("T")


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
    error: PaperAgentError | None = None
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
        self, store: Callable[[bool], Store], client: Callable[[], FeedClient], reading: Reading
    ) -> None:
        self._store = store
        self._client = client
        self._reading = reading
        self._opened: FeedClient | None = None
        self._begun = False
        """Whether something was written: then the rest is waited for."""

    def read(self, sources: Sequence[str | Path]) -> IngestReport:
        """Read every feed, and return what came of all and of each.

        Raises:
            FeedError, InputError: a feed could not be read; its ``report`` says what came of all of them.
            StoreError: the library cannot be written; what was read before is kept, and ``report`` says it.
        """
        tallies: list[_Tally] = []
        try:
            for source in sources:
                tallies.append(_Tally(display_source(source)))
                try:
                    self._one(source, tallies[-1])
                except (FeedError, InputError) as error:
                    tallies[-1].error = error
        except StoreError as error:
            tallies[-1].error = error
            error.report = _whole(tallies) if self._begun else None
            raise
        finally:
            if self._opened is not None:
                self._opened.close()
        whole = _whole(tallies)
        failed = [tally.error for tally in tallies if tally.error is not None]
        if failed:
            raise _failure(failed, whole)
        return whole

    def _one(self, source: str | Path, tally: _Tally) -> None:
        from paperagent.feeds import services

        if (found := services.find_live_feed(source)) is not None:
            self._live(found, tally)
            return
        from paperagent.feeds.reader import open_feed

        with open_feed(source, date=self._reading.date) as feed:  # first: a bad feed creates no library
            tally.reports.append(self._take(feed.records))

    def _live(self, found: LiveFeed, tally: _Tally) -> None:
        if self._reading.shard is not None:  # each share would fetch all of it, from one polite connection
            raise InputError(
                f"{display_source(found.source)}: one process reads a service; leave out --shard, "
                "and share its embedding: 'paperagent embed --shard I/N'"
            )
        key = f"{STATE_PREFIX}{found.source}"
        state = {} if self._reading.anew else self._kept(key)
        if self._opened is None:
            self._opened = self._client()
        done = 0
        for page in found.pages(self._opened, state):
            tally.reports.append(self._take(page.entries))
            if page.state != state:
                state = page.state
                self._write(partial(self._store(False).set_setting, key, state))
            tally.pages += 1
            tally.notes += [page.note] if page.note else []
            done += len(page.entries)
            if self._reading.progress:
                self._reading.progress("read", done, max(page.total, done) if page.total else None)

    def _kept(self, key: str) -> dict[str, Any]:
        try:
            kept = self._store(False).get_setting(key)
        except NoLibraryError:  # and no other fault: a place that was not found would begin anew
            return {}
        return kept if isinstance(kept, dict) else {}

    def _take(self, records: Iterable[Paper | Skipped | Withdrawal]) -> IngestReport:
        if self._reading.shard is not None:
            records = self._reading.shard.select(records)
        reading = self._reading
        return self._write(
            lambda: self._store(True).ingest(records, today=reading.today, progress=reading.progress)
        )

    def _write(self, write: Callable[[], T]) -> T:
        from paperagent.storage.locks import retry_while_locked

        done = retry_while_locked(write, seconds=_PATIENCE if self._begun else 0.0)
        self._begun = True
        return done


def _whole(tallies: Sequence[_Tally]) -> IngestReport:
    whole = merged([report for tally in tallies for report in tally.reports])
    notes = tuple(f"{tally.source}: {note}" for tally in tallies for note in tally.notes)
    return replace(whole, feeds=tuple(t.report() for t in tallies), notes=(*whole.notes, *notes))


def _failure(failed: Sequence[PaperAgentError], whole: IngestReport) -> PaperAgentError:
    """Return the error of the whole ingest: the first feed's, with how many more there were."""
    first = failed[0]
    if len(failed) > 1:
        first = FeedError(f"{first} (and {len(failed) - 1} more of {len(whole.feeds)} feeds failed)")
    first.report = whole
    return first


def feed_client(settings: Settings) -> FeedClient:
    """Return what fetches live feeds, with the keys and addresses of the settings."""
    from paperagent import __version__
    from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig

    keys = {
        "s2": settings.s2_key,
        "openalex": settings.openalex_key,
        "zotero": settings.zotero_key,
    }
    access = FeedClientConfig(
        contact=settings.contact,
        urls=settings.feed_bases,
        keys={name: key.get_secret_value() for name, key in keys.items() if key},
        allow_private=settings.allow_private_feeds,
        folder=settings.cache_dir / "turns",
    )
    return FeedClient(access, version=__version__)


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
