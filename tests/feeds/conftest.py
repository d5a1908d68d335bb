"""What the tests of the feeds share: how to read one, small feeds to vary, live services, the shared data."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from service_server import KEYS, Clock, Services

from paperagent.feeds.reader import open_feed
from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig
from paperagent.types import Paper, Skipped
from paths import ROOT

ABSTRACT = "We study a question of some length. The method is simple, and it works in two of three cases."

Reading = tuple[list[Paper], list[Skipped]]


@pytest.fixture
def shared() -> Path:
    """Return the folder of shared data, or skip."""
    default = ROOT.parent / "shared"
    folder = Path(os.environ.get("PAPERAGENT_SHARED") or default)
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    return folder


@pytest.fixture
def parse() -> Callable[[str | bytes], Reading]:
    """Return a function that reads a feed from stdin: its papers, and what was skipped."""

    def parse(content: str | bytes) -> Reading:
        data = content.encode() if isinstance(content, str) else content
        with open_feed("-", stdin=io.BytesIO(data)) as feed:
            entries = list(feed.records)
        papers = [e for e in entries if isinstance(e, Paper)]
        return papers, [e for e in entries if isinstance(e, Skipped)]

    return parse


@pytest.fixture
def atom() -> Callable[..., str]:
    """Return a function that writes an Atom feed around entries."""

    def atom(*entries: str, before: str = "<?xml version='1.0' encoding='UTF-8'?>") -> str:
        space = 'xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"'
        return f"{before}\n<feed {space}>\n<title>a query</title>\n{''.join(entries)}</feed>\n"

    return atom


@pytest.fixture
def entry() -> Callable[..., str]:
    """Return a function that writes one Atom entry; ``summary`` is raw XML."""

    def entry(
        identity: str | None = "http://arxiv.org/abs/2508.13426v2",
        *,
        title: str = "A title",
        summary: str = ABSTRACT,
        more: str = "",
    ) -> str:
        named = "" if identity is None else f"<id>{escape(identity)}</id>"
        return f"<entry>{named}<title>{escape(title)}</title><summary>{summary}</summary>{more}</entry>\n"

    return entry


@pytest.fixture
def services() -> Iterator[Services]:
    """Return the live services, played on this machine."""
    with Services() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the client."""
    return Clock()


@pytest.fixture
def polite(services: Services, clock: Clock) -> Iterator[FeedClient]:
    """Return a client of the live services."""
    access = FeedClientConfig("me@example.org", services.urls, KEYS, allow_private=True)
    with FeedClient(access, version="1.2", sleep=clock.sleep, clock=clock) as opened:
        yield opened
