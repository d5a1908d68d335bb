"""Read feeds into the library, one after another; a feed that fails does not stop the others.

A live feed is read page by page. After the papers of a page, the state that leads to the next page is
stored. An interrupted run therefore resumes at the page where it stopped.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paperagent.errors import FeedError, InputError, NoLibraryError, PaperAgentError, StoreError, visible
from paperagent.factory import secret_value
from paperagent.layout import counted
from paperagent.library.followed_feeds import STATE_PREFIX, display_source
from paperagent.types import FeedReport, IngestReport, Paper, Progress, Skipped, Withdrawal

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.feeds.services import LiveFeed
    from paperagent.feeds.services.http_client import FeedClient
    from paperagent.library import Shard, Store

LOCK_TIMEOUT_SECONDS = 60.0
"""How long a run waits, between two pages, while another process writes to the library."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How feeds are read."""

    today: dt.date
    """The current day; the ``first_seen`` of new papers."""
    date: dt.date | None = None
    """The day on which a feed without dates listed its papers."""
    shard: Shard | None = None
    """The share of the papers to read; None for all."""
    format: str | None = None
    """The name of the format of files; None to detect it."""
    fetch: bool = False
    """Whether the papers of a file that is a list of links to arXiv are fetched."""
    restart: bool = False
    """Whether a live feed is read from its beginning instead of resumed."""
    progress: Progress | None = None


@dataclass(slots=True)
class FeedProgress:
    """What has been read of one feed so far."""

    source: str
    pages: int = 0
    error: PaperAgentError | None = None
    ignored: bool = False
    """Whether the file was found in a folder and is not a feed."""
    notes: list[str] = field(default_factory=list)
    reports: list[IngestReport] = field(default_factory=list)
    """One for each page, or one for a file."""

    def report(self) -> FeedReport:
        """Return the feed's part of the ingest report."""
        total = merge_reports(self.reports)
        return FeedReport(
            source=self.source,
            read=total.read,
            new=total.new,
            changed=total.changed,
            unchanged=total.unchanged,
            skipped=total.skipped,
            pages=self.pages,
            error=str(self.error) if self.error else None,
            ignored=self.ignored,
            notes=tuple(self.notes),
        )


class IngestRunner:
    """Reads feeds into a library.

    Args:
        open_store: Opens the library; ``open_store(True)`` creates it if it does not exist.
        make_client: Makes the HTTP client; called when the first live feed is read.
        options: How the feeds are read.
    """

    def __init__(
        self,
        open_store: Callable[[bool], Store],
        make_client: Callable[[], FeedClient],
        options: IngestOptions,
    ) -> None:
        self._open_store = open_store
        self._make_client = make_client
        self._options = options
        self._client: FeedClient | None = None
        self._has_written = False
        """From the first write on, the run waits for the lock of another process instead of failing."""

    def run(self, sources: Sequence[str | Path]) -> IngestReport:
        """Read every feed.

        Returns:
            The totals, and one `FeedReport` for each feed in the order of ``sources``.

        Raises:
            FeedError, InputError: at least one feed failed; ``report`` covers all of them.
            StoreError: the library cannot be written. Records read before are stored, and ``report``
                counts them.
        """
        feeds: list[FeedProgress] = []
        try:
            for source in sources:
                self._read_source(source, feeds)
        except StoreError as error:
            feeds[-1].error = error
            error.report = _total_report(feeds) if self._has_written else None
            raise
        finally:
            if self._client is not None:
                self._client.close()
        report = _total_report(feeds)
        errors = [feed.error for feed in feeds if feed.error is not None and not feed.ignored]
        if not errors and report.skipped and not report.read:
            errors = [_nothing_read(report)]
        if errors:
            raise _combined_error(errors, report)
        return report

    def _read_source(self, source: str | Path, feeds: list[FeedProgress]) -> None:
        """Read a feed, or the feeds in a folder, and add what was read to ``feeds``."""
        from paperagent.feeds.folder import feed_files
        from paperagent.feeds.source import UnknownFormatError

        folder = _as_folder(source)
        if folder is None:
            feeds.append(FeedProgress(display_source(source)))
            try:
                self._read_feed(source, feeds[-1])
            except (FeedError, InputError) as error:
                feeds[-1].error = error
            return
        first = len(feeds)
        try:
            files = feed_files(folder)
        except FeedError as error:
            feeds.append(FeedProgress(display_source(source), error=error))
            return
        for path in files:
            feeds.append(FeedProgress(display_source(path)))
            try:
                self._read_feed(path, feeds[-1])
            except UnknownFormatError as error:
                feeds[-1].error, feeds[-1].ignored = error, True
            except (FeedError, InputError) as error:
                feeds[-1].error = error
        if all(feed.ignored for feed in feeds[first:]):
            from paperagent.feeds.source import HELP

            name, count = display_source(source), counted(len(files), "file")
            no_feed = FeedError(f"{name}: contains no feed ({count}); {HELP}")
            feeds.append(FeedProgress(name, error=no_feed))

    def _read_feed(self, source: str | Path, progress: FeedProgress) -> None:
        from paperagent.feeds import services

        if (live_feed := services.find_live_feed(source)) is not None:
            self._read_live_feed(live_feed, progress)
            return
        from paperagent.feeds.link_list import LinkListError
        from paperagent.feeds.reader import open_feed

        try:
            # The feed is opened before the library, so that an unreadable feed creates no library.
            with open_feed(source, date=self._options.date, format=self._options.format) as feed:
                progress.reports.append(self._store_records(feed.records))
                progress.notes += feed.notes
        except LinkListError as links:
            if not self._options.fetch:
                raise
            self._read_live_feed(services.arxiv_papers(links.arxiv_ids, links.label), progress)

    def _read_live_feed(self, live_feed: LiveFeed, progress: FeedProgress) -> None:
        if self._options.format is not None:
            raise InputError(
                f"{display_source(live_feed.source)}: a live feed has its own format; leave out --format"
            )
        if self._options.shard is not None:  # every share would have to fetch the whole feed
            raise InputError(
                f"{display_source(live_feed.source)}: a live feed is read by one process; leave out --shard, "
                "and split the embedding instead: 'paperagent embed --shard I/N'"
            )
        key = f"{STATE_PREFIX}{live_feed.source}"
        state = {} if self._options.restart else self._resume_state(key)
        if self._client is None:
            self._client = self._make_client()
        done = 0
        for page in live_feed.pages(self._client, state):
            progress.reports.append(self._store_records(page.entries))
            if page.state != state:
                state = page.state
                self._write(partial(self._open_store(False).set_setting, key, state))
            progress.pages += 1
            progress.notes += [page.note] if page.note else []
            done += len(page.entries)
            if self._options.progress:
                self._options.progress("read", done, max(page.total, done) if page.total else None)

    def _resume_state(self, key: str) -> dict[str, Any]:
        try:
            state = self._open_store(False).get_setting(key)
        except NoLibraryError:  # any other error must not make the run start from the beginning
            return {}
        return state if isinstance(state, dict) else {}

    def _store_records(self, records: Iterable[Paper | Skipped | Withdrawal]) -> IngestReport:
        options = self._options
        if options.shard is not None:
            records = options.shard.select(records)
        return self._write(
            lambda: self._open_store(True).ingest(records, today=options.today, progress=options.progress)
        )

    def _write(self, write: Callable[[], T]) -> T:
        from paperagent.storage.locks import retry_while_locked

        result = retry_while_locked(write, seconds=LOCK_TIMEOUT_SECONDS if self._has_written else 0.0)
        self._has_written = True
        return result


def _as_folder(source: str | Path) -> Path | None:
    """Return the path if ``source`` is a folder, else None."""
    try:
        path = Path(source).expanduser()
        return path if path.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # not a path; reading it raises an error
        return None


def _total_report(feeds: Sequence[FeedProgress]) -> IngestReport:
    total = merge_reports([report for feed in feeds for report in feed.reports])
    notes = tuple(f"{feed.source}: {note}" for feed in feeds for note in feed.notes)
    return replace(total, feeds=tuple(f.report() for f in feeds), notes=(*total.notes, *notes))


def _nothing_read(report: IngestReport) -> FeedError:
    """Return the error of a run in which every record was skipped."""
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in report.skipped.items())
    names = ", ".join(feed.source for feed in report.feeds if feed.skipped)
    return FeedError(
        f"{visible(names, limit=200)}: no paper was read; all records were skipped: {reasons}; "
        "check that its records are papers with abstracts"
    )


def _combined_error(errors: Sequence[PaperAgentError], report: IngestReport) -> PaperAgentError:
    """Return the first error, with the number of the others, and ``report`` attached."""
    first = errors[0]
    if len(errors) > 1:
        first = FeedError(f"{first} (and {len(errors) - 1} more of {len(report.feeds)} feeds failed)")
    first.report = report
    return first


def make_feed_client(settings: Settings) -> FeedClient:
    """Return an HTTP client for live feeds, with the keys and base URLs of the settings."""
    from paperagent import __version__
    from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig

    secrets = {
        "s2": settings.s2_key,
        "openalex": settings.openalex_key,
        "zotero": settings.zotero_key,
    }
    access = FeedClientConfig(
        contact=settings.contact,
        base_urls=settings.feed_bases,
        keys={name: key for name, secret in secrets.items() if (key := secret_value(secret))},
        allow_private=settings.allow_private_feeds,
        lock_folder=settings.cache_dir / "rate-limits",
    )
    return FeedClient(access, version=__version__)


def merge_reports(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the sums of several reports; the number of papers is that of the last one."""
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
