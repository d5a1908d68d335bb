"""The feeds that a library follows, stored as a setting of the library and read by ``ingest --follow``.

Also formats sources for messages (`display_source`), lists (`hide_query_values`) and as keys
(`resolve_source`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import FeedError, InputError, visible
from paperagent.types import FeedReport, IngestReport

if TYPE_CHECKING:
    from paperagent.library import Store

FOLLOWED_SETTING = "feeds"
"""The setting of the library that lists the followed feeds."""
STATE_PREFIX = "feed-state:"
"""Prefix of the setting that stores where the last run of a feed ended."""
_MAX_FOLLOWED = 1_000
_MAX_LIST_BYTES = 1_000_000
_MAX_SOURCE_LENGTH = 4_000
_RUN_LOCK_TIMEOUT_SECONDS = 60.0
"""How long the end of an ingest waits while another process writes."""
_COMMAND_LOCK_TIMEOUT_SECONDS = 10.0
"""How long ``feeds add`` and ``feeds remove`` wait while another process writes."""


def load_followed(store: Store) -> list[dict[str, Any]]:
    """Return the followed feeds in the order in which they were added.

    Each has ``source`` and ``added``, and after its first run ``read``, ``papers``, ``new`` and ``error``.
    """
    feeds = store.get_setting(FOLLOWED_SETTING, [])
    return [dict(feed) for feed in feeds if isinstance(feed, dict) and isinstance(feed.get("source"), str)]


def follow(store: Store, source: str, *, today: dt.date) -> bool:
    """Follow a feed; return False if it is followed already.

    Raises:
        FeedError, InputError: the source is neither an existing file nor a valid query of a service.
    """
    from paperagent.storage.locks import retry_while_locked

    resolved = resolve_source(source)

    def add() -> bool:
        feeds = load_followed(store)
        if any(feed["source"] == resolved for feed in feeds):
            return False
        if len(feeds) >= _MAX_FOLLOWED:
            raise InputError(f"feeds: more than {_MAX_FOLLOWED:,} are followed; remove some")
        store.set_setting(FOLLOWED_SETTING, [*feeds, {"source": resolved, "added": today.isoformat()}])
        return True

    return retry_while_locked(add, seconds=_COMMAND_LOCK_TIMEOUT_SECONDS)


def unfollow(store: Store, source: str) -> bool:
    """Stop following a feed and forget where it stopped; its papers stay.

    Returns:
        False if the feed is not followed.

    Raises:
        InputError: ``source`` is written as lists show it, and several feeds are shown that way.
    """
    from paperagent.storage.locks import retry_while_locked

    name = source.strip()

    def remove() -> bool:
        feeds = load_followed(store)
        exact_matches = [f for f in feeds if f["source"] in {name, absolute_path(name)}]
        matches = exact_matches or [f for f in feeds if hide_query_values(f["source"]) == name]
        if len(matches) > 1:
            raise InputError("feeds: several are shown this way; give the whole address")
        if matches:
            store.set_setting(FOLLOWED_SETTING, [feed for feed in feeds if feed not in matches])
            store.set_setting(f"{STATE_PREFIX}{matches[0]['source']}", None)
        return bool(matches)

    return retry_while_locked(remove, seconds=_COMMAND_LOCK_TIMEOUT_SECONDS)


def record_run(store: Store, report: IngestReport, *, today: dt.date) -> None:
    """Store with each followed feed when it was last read, and the result."""
    from paperagent.storage.locks import retry_while_locked

    def update() -> None:
        # Feeds whose addresses differ only in their query have the same name; reports keep their order.
        reports: dict[str, deque[FeedReport]] = defaultdict(deque)
        for feed_report in report.feeds:
            reports[feed_report.source].append(feed_report)
        feeds = load_followed(store)
        for feed in feeds:
            if same_name := reports[display_source(feed["source"])]:
                result = same_name.popleft()
                feed |= {
                    "read": today.isoformat(),
                    "papers": result.read,
                    "new": result.new,
                    "error": result.error,
                }
        store.set_setting(FOLLOWED_SETTING, feeds)

    retry_while_locked(update, seconds=_RUN_LOCK_TIMEOUT_SECONDS)


def resolve_source(source: str) -> str:
    """Return the source in the form in which it is stored: a file by its absolute path.

    Raises:
        FeedError, InputError: it is neither an existing file nor a valid query of a service.
    """
    from paperagent.feeds.services import find_live_feed
    from paperagent.feeds.source import SERVICE_SCHEMES

    text = source.strip()
    if not text or text == "-":
        raise InputError("feed: is empty or standard input; give a file, an address or a service")
    if len(text) > _MAX_SOURCE_LENGTH:
        raise InputError(f"feed: longer than {_MAX_SOURCE_LENGTH:,} characters; give a shorter one")
    if find_live_feed(text) is not None:
        return text
    path = absolute_path(text)
    if not is_file(path):
        raise FeedError(
            f"{visible(text, limit=80)}: neither a file nor a service; give a path, https://… or one of "
            + ", ".join(f"{scheme}:" for scheme in SERVICE_SCHEMES)
        )
    return path


def read_feed_list(path: Path) -> list[str]:
    """Return the feeds that a file lists, one per line, without blank lines and ``#`` comments.

    Raises:
        FeedError: the file cannot be read, or lists no feed.
    """
    name = visible(str(path), limit=200)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_LIST_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise FeedError(f"{name}: {why.lower()}; give a file with one feed per line") from None
    lines = (line.strip() for line in text.splitlines())
    sources = [line for line in lines if line and not line.startswith("#")]
    if not sources:
        raise FeedError(f"{name}: lists no feed; write one per line, such as arxiv:cs.CL")
    return sources


def display_source(source: str | Path) -> str:
    """Return a source for messages: a URL without its query, which may hold a key."""
    text = str(source)
    if _is_url(text):
        text = text.partition("?")[0]
        if "@" in text.partition("://")[2].partition("/")[0]:
            text = "feed address"
    return visible(text, limit=200)


def hide_query_values(source: str) -> str:
    """Return a source for lists: a URL with the names in its query but without the values."""
    if not _is_url(source):
        return source
    address, mark, query = source.partition("?")
    parts = [part.partition("=") for part in query.split("&") if part]
    return address + mark + "&".join(f"{name}=…" if equals else "…" for name, equals, _ in parts)


def absolute_path(text: str) -> str:
    """Return the absolute path of a file, or ``text`` itself if it cannot be a path."""
    try:
        return str(Path.cwd() / Path(text).expanduser()) if "\0" not in text else text
    except (OSError, RuntimeError):  # the current folder is gone, or ``~`` names an unknown user
        return text


def is_file(text: str) -> bool:
    """Return whether a file with this name exists; False for names that no file system accepts."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))
