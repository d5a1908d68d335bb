"""The feeds that a library keeps, to be read again and again.

How a source is called: in messages, in lists, and where it is kept.
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
"""The setting of the library that lists them."""
STATE_PREFIX = "feed-state:"
"""Before a feed's name: the setting that says where its last run ended."""
_MOST_FOLLOWED = 1_000
_LONGEST_LIST = 1_000_000
_LONGEST_SOURCE = 4_000
_PATIENCE = 60.0
"""Seconds that the end of a run waits while another process writes."""
_IMPATIENCE = 10.0
"""The same for a person who keeps or forgets a feed."""


def load_followed(store: Store) -> list[dict[str, Any]]:
    """Return the feeds kept, in the order in which they were added."""
    kept = store.setting(FOLLOWED_SETTING, [])
    return [dict(feed) for feed in kept if isinstance(feed, dict) and isinstance(feed.get("source"), str)]


def follow(store: Store, source: str, *, today: dt.date) -> bool:
    """Keep a feed with the library; False where it is kept already.

    Raises:
        FeedError, InputError: it names neither a file that is there nor a service, or not in its way.
    """
    from paperagent.storage.locks import retry_while_locked

    checked = resolve_source(source)

    def keep() -> bool:
        kept = load_followed(store)
        if any(feed["source"] == checked for feed in kept):
            return False
        if len(kept) >= _MOST_FOLLOWED:
            raise InputError(f"feeds: more than {_MOST_FOLLOWED:,} are kept; remove some")
        store.set_setting(FOLLOWED_SETTING, [*kept, {"source": checked, "added": today.isoformat()}])
        return True

    return retry_while_locked(keep, seconds=_IMPATIENCE)


def unfollow(store: Store, source: str) -> bool:
    """Forget a feed, and where it stopped; False where it is not kept. Its papers stay.

    Raises:
        InputError: it is written as lists show it, and several are shown so.
    """
    from paperagent.storage.locks import retry_while_locked

    name = source.strip()

    def forget() -> bool:
        kept = load_followed(store)
        written = [f for f in kept if f["source"] in {name, absolute_path(name)}]
        gone = written or [f for f in kept if hide_query_values(f["source"]) == name]
        if len(gone) > 1:
            raise InputError("feeds: several are shown in this way; give the whole address")
        if gone:
            store.set_setting(FOLLOWED_SETTING, [feed for feed in kept if feed not in gone])
            store.set_setting(f"{STATE_PREFIX}{gone[0]['source']}", None)
        return bool(gone)

    return retry_while_locked(forget, seconds=_IMPATIENCE)


def record_run(store: Store, report: IngestReport, *, today: dt.date) -> None:
    """Keep with each feed when it was read last, and what came of it; reports come in the feeds' order."""
    from paperagent.storage.locks import retry_while_locked

    def note() -> None:
        done: dict[str, deque[FeedReport]] = defaultdict(deque)
        for read in report.feeds:
            done[read.source].append(read)
        kept = load_followed(store)
        for feed in kept:
            if last := done[display_source(feed["source"])]:  # two addresses may differ in their query only
                of = last.popleft()
                feed |= {"read": today.isoformat(), "papers": of.read, "new": of.new, "error": of.error}
        store.set_setting(FOLLOWED_SETTING, kept)

    retry_while_locked(note, seconds=_PATIENCE)


def resolve_source(source: str) -> str:
    """Return a source as it is kept: a file by its whole path. Raises FeedError or InputError."""
    from paperagent.feeds import services

    text = source.strip()
    if not text or text == "-":
        raise InputError("feed: is empty or standard input; give a file, an address or a service")
    if len(text) > _LONGEST_SOURCE:
        raise InputError(f"feed: longer than {_LONGEST_SOURCE:,} characters; give a shorter one")
    if services.find_live_feed(text) is not None:
        return text
    path = absolute_path(text)
    if not is_file(path):
        raise FeedError(
            f"{visible(text, limit=80)}: neither a file nor a service; give a path, https://… or one of "
            + ", ".join(f"{scheme}:" for scheme in services.SCHEMES)
        )
    return path


def read_feed_list(path: Path) -> list[str]:
    """Return the feeds that a file lists, one a line; blank lines and those from ``#`` on are passed over.

    Raises:
        FeedError: it cannot be read, or lists none.
    """
    name = visible(str(path), limit=200)
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_LIST).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise FeedError(f"{name}: {why.lower()}; give a file with one feed a line") from None
    found = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise FeedError(f"{name}: lists no feed; write one a line, such as arxiv:cs.CL")
    return found


def display_source(source: str | Path) -> str:
    """Return a source as it may be shown: an address without its query, which may hold a key."""
    text = str(source)
    if _is_address(text):
        text = text.partition("?")[0]
        if "@" in text.partition("://")[2].partition("/")[0]:
            text = "feed address"
    return visible(text, limit=200)


def hide_query_values(source: str) -> str:
    """Return a source as a list tells it from others: of an address's query the names alone."""
    if not _is_address(source):
        return source
    before, mark, query = source.partition("?")
    parts = [part.partition("=") for part in query.split("&") if part]
    return before + mark + "&".join(f"{name}=…" if equals else "…" for name, equals, _ in parts)


def absolute_path(text: str) -> str:
    """Return a file's whole path; the text as it is where it can be none."""
    try:
        return str(Path.cwd() / Path(text).expanduser()) if "\0" not in text else text
    except (OSError, RuntimeError):  # the folder we are in is gone; ``~`` of a user that there is none of
        return text


def is_file(text: str) -> bool:
    """Tell whether a file has this name, however odd the name is."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))
