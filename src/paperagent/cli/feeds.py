"""Commands for the feeds that are kept in the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from paperagent.cli.options import as_json, common
from paperagent.cli.session import Session, show
from paperagent.errors import InputError, visible
from paperagent.layout import Block
from paperagent.library.followed_feeds import hide_query_values


@click.group()
@common
def feeds() -> None:
    """Keep the feeds that `paperagent ingest --follow` reads."""


@feeds.command()
@click.argument("source")
@common
@click.pass_obj
def add(session: Session, /, source: str) -> None:
    """Keep SOURCE: a file, an address, or a service such as arxiv:cs.CL. Nothing is fetched yet."""
    with session.agent() as agent:
        fresh = agent.follow(source)
    show(dict, [Block("text", "kept" if fresh else "kept already")], as_json=False)


@feeds.command("list")
@as_json
@common
@click.pass_obj
def list_(session: Session, /, *, as_json: bool) -> None:
    """Show the feeds kept, and how the last reading of each ended."""
    with session.agent() as agent:
        kept = [feed | {"source": hide_query_values(feed["source"])} for feed in agent.followed()]
    show(lambda: {"feeds": kept}, _rows(kept), as_json=as_json)


def _rows(kept: list[dict[str, Any]]) -> Iterator[Block]:
    if not kept:
        yield Block("text", "no feed is kept; add one: paperagent feeds add arxiv:cs.CL")
    for feed in kept:
        last = f"read {feed['read']}: {feed.get('new', 0):,} new" if feed.get("read") else "not read yet"
        detail = str(feed.get("error") or last)
        marker = "FAIL" if feed.get("error") else "ok  "
        yield Block("row", feed["source"], marker=marker, detail=detail, tight=True, plain=True)


@feeds.command()
@click.argument("source")
@common
@click.pass_obj
def remove(session: Session, /, source: str) -> None:
    """Forget SOURCE, and where it stopped; its papers stay."""
    with session.agent() as agent:
        if not agent.unfollow(source):
            raise InputError(f"feeds: {visible(source, limit=80)} is not kept; see: paperagent feeds list")
    show(dict, [Block("text", "forgotten")], as_json=False)
