"""Commands that fill the library: ingest, embed and feeds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from paperagent.cli.options import (
    CommandGroup,
    DateParam,
    IntegerParam,
    PathParam,
    TextParam,
    common_options,
    complete_path,
    json_option,
    quiet_option,
)
from paperagent.cli.session import Session, progress_bar, show, show_json, show_text
from paperagent.errors import InputError, PaperAgentError, StoreError, visible
from paperagent.feeds.formats import FORMATS
from paperagent.layout import Block, counted, row_blocks
from paperagent.types import FeedReport, IngestReport

_FORMAT_LIST = "\b\nFormats:\n" + "\n".join(f"  {each.name:16}  {each.title}" for each in FORMATS.values())


@click.command(epilog=_FORMAT_LIST)
@click.argument("sources", metavar="SOURCE…", nargs=-1, shell_complete=complete_path)
@click.option("--follow", is_flag=True, help="Read the followed feeds (see 'feeds add'); suited to cron.")
@click.option(
    "--follow-file", type=PathParam(), metavar="FILE", help="Read the feeds listed in FILE, one per line."
)
@click.option("--restart", "restart", flag_value=True, default=None, help="Start over instead of resuming.")
@click.option("--anew", "restart", flag_value=True, hidden=True, help="Old name of --restart.")
@click.option(
    "--date", "day", type=DateParam(), help="Date on which the feed listed its papers, if it has none itself."
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    metavar="NAME",
    help="Format of the files, from the list below (default: detected).",
)
@click.option("--fetch", is_flag=True, help="If a file is a list of links to arXiv, fetch its papers.")
@click.option("--no-vectors", is_flag=True, help="Skip embedding; keyword search works at once.")
@click.option("--batch", is_flag=True, help="Compute embeddings via OpenAI's Batch API, as 'embed --batch'.")
@click.option(
    "--shard", metavar="I/N", help="Read only the I-th of N shares, so that N processes can fill one library."
)
@quiet_option
@json_option
@common_options
@click.pass_obj
def ingest(session: Session, /, sources: tuple[str, ...], day: dt.date | None, **options: Any) -> None:
    """Add the papers of one or more feeds to the library.

    SOURCE is a file in any supported format, a folder of such files, "-" for standard input, a URL, or a
    live service:

    \b
    arxiv:cs.CL,cs.AI       arXiv, by category
    arxiv-rss:cs.CL         arXiv, today's listing
    arxiv-oai:cs?from=DATE  arXiv, over OAI-PMH
    hf-daily:2026-W47       Hugging Face Daily Papers
    s2:QUERY                Semantic Scholar
    openalex:QUERY          OpenAlex
    zotero:users/ID         a Zotero library

    A folder is read with its subfolders; hidden files and files that are not feeds are skipped. Reading the
    same feed again changes nothing. Live services resume where the last run stopped. If a feed fails, the
    remaining feeds are still read.
    """  # noqa: D301 - click reads the escape
    quiet, as_json = options["quiet"], options["as_json"]
    if quiet and as_json:
        raise click.UsageError("--json and --quiet: cannot be combined; use one of them")
    _check_sources(sources, options | {"date": day, "format": options["format_name"]})
    arguments: dict[str, Any] = {
        "vectors": not (options["no_vectors"] or options["batch"]),
        "restart": bool(options["restart"]),
    }
    for_files = {
        "date": day,
        "format": options["format_name"],
        "fetch": options["fetch"],
        "shard": options["shard"],
    }
    with session.agent() as agent, progress_bar(quiet=quiet or as_json) as progress:
        try:
            if sources:
                report = agent.ingest(list(sources), progress=progress, **for_files, **arguments)
            else:
                report = agent.ingest_followed(options["follow_file"], progress=progress, **arguments)
            if options["batch"]:
                batch = agent.embed(by="batch", progress=progress)
                notes = (*report.notes, *batch.notes)
                report = replace(report, embedded=batch.embedded, pending=batch.pending, notes=notes)
        except PaperAgentError as error:
            # If a single feed failed, the error says everything; the report adds something if others
            # were read, or if the library itself failed.
            partial = error.report
            if not quiet and partial and (len(partial.feeds) > 1 or isinstance(error, StoreError)):
                _show_report(partial, as_json=as_json)
            raise
    if not quiet:
        _show_report(report, as_json=as_json)


def _check_sources(sources: tuple[str, ...], options: dict[str, Any]) -> None:
    for option in ("no_vectors", "shard"):
        if options["batch"] and options[option]:
            name = option.replace("_", "-")
            raise click.UsageError(f"--batch and --{name}: cannot be combined; use one of them")
    following = options["follow"] or options["follow_file"]
    if following and sources:
        raise click.UsageError("SOURCE and --follow: cannot be combined; use one of them")
    if following and options["shard"]:
        raise click.UsageError(
            "--follow and --shard: cannot be combined; let one process read the feeds, and shard 'embed'"
        )
    for option in ("date", "format", "fetch"):
        if following and options[option]:
            raise click.UsageError(
                f"--follow and --{option}: cannot be combined; use --{option} with a SOURCE"
            )
    if not following and not sources:
        raise click.UsageError(
            "missing SOURCE: no feed given; give a file, a service such as arxiv:cs.CL, --follow, "
            "or 'sample' for invented papers"
        )
    if not all(source.strip() for source in sources):
        raise click.UsageError("SOURCE: is empty; give a file, or - for standard input")


def _show_report(report: IngestReport, *, as_json: bool) -> None:
    if as_json:
        show_json(report.to_dict())
    else:
        show(_report_blocks(report))


def _report_blocks(report: IngestReport) -> Iterator[Block]:
    skipped = sum(report.skipped.values())
    yield Block(
        "text",
        f"{report.read:,} read: {report.new:,} new, {report.changed:,} changed, "
        f"{report.unchanged:,} unchanged; {skipped:,} skipped",
    )
    if len(report.feeds) > 1 or any(feed.ignored for feed in report.feeds):
        yield from map(_feed_row, report.feeds)
    reasons = sorted(report.skipped.items(), key=lambda pair: -pair[1])
    yield from row_blocks((f"skipped {count:,}", reason) for reason, count in reasons)
    vectors = f"vectors: {report.embedded:,} added, {report.pending:,} pending"
    yield Block("text", f"{counted(report.papers, 'paper')} in the library; {vectors}", tight=True)
    yield from (Block("note", note) for note in report.notes)


def _feed_row(feed: FeedReport) -> Block:
    counts = f"{feed.read:,} read, {feed.new:,} new, {feed.changed:,} changed"
    marker = "skip" if feed.ignored else "FAIL" if feed.error else "ok  "
    error = feed.error and feed.error.removeprefix(f"{feed.source}: ")
    if error and feed.ignored:
        error = error.partition("; ")[0]
    return Block("row", feed.source, marker=marker, detail=error or counts, tight=True, plain=True)


@click.command()
@click.option(
    "--batch", is_flag=True, help="Submit to OpenAI's Batch API; run the command again later to collect."
)
@click.option("--ray", is_flag=True, help="Use a pool of Ray actors, on this machine or a cluster.")
@click.option(
    "--workers", type=IntegerParam(1, 10_000), default=2, show_default=True, help="Number of Ray actors."
)
@click.option("--ray-address", type=TextParam(), help="Ray cluster, such as auto or ray://HOST:10001.")
@click.option("--shard", metavar="I/N", help="Embed only the I-th of N shares; requires a Chroma server.")
@json_option
@common_options
@click.pass_obj
def embed(session: Session, /, **options: Any) -> None:
    """Embed the papers that have no vector yet. Resumes after an interruption.

    Use it after 'ingest --no-vectors', or after installing a model. Keyword search works before this runs.
    """
    if options["batch"] and options["ray"]:
        raise click.UsageError("--batch and --ray: cannot be combined; use one of them")
    if options["batch"] and options["shard"]:
        raise click.UsageError("--batch and --shard: cannot be combined; use one of them")
    with session.agent() as agent, progress_bar(quiet=options["as_json"]) as progress:
        report = agent.embed(
            by="batch" if options["batch"] else "ray" if options["ray"] else "here",
            shard=options["shard"],
            workers=options["workers"],
            address=options["ray_address"],
            progress=progress,
        )
    if options["as_json"]:
        show_json(report.to_dict()["vectors"] | {"notes": list(report.notes)})
        return
    counts = f"{report.embedded:,} added, {report.pending:,} pending of {counted(report.papers, 'paper')}"
    show([Block("text", f"vectors: {counts}"), *(Block("note", note) for note in report.notes)])


@click.group(cls=CommandGroup)
@common_options
def feeds() -> None:
    """Manage the feeds that 'paperagent ingest --follow' reads."""


@feeds.command("add")
@click.argument("source", shell_complete=complete_path)
@common_options
@click.pass_obj
def feeds_add(session: Session, /, source: str) -> None:
    """Follow SOURCE: a file, a URL, or a service such as arxiv:cs.CL. Nothing is fetched yet."""
    with session.agent() as agent:
        is_new = agent.follow(source)
    show_text("added" if is_new else "already followed")


@feeds.command("list")
@json_option
@common_options
@click.pass_obj
def feeds_list(session: Session, /, *, as_json: bool) -> None:
    """List the followed feeds and the result of their last run."""
    from paperagent.library.followed_feeds import hide_query_values

    with session.agent() as agent:
        followed = [feed | {"source": hide_query_values(feed["source"])} for feed in agent.followed()]
    if as_json:
        show_json({"feeds": followed})
    else:
        show(_followed_blocks(followed))


def _followed_blocks(followed: list[dict[str, Any]]) -> Iterator[Block]:
    if not followed:
        yield Block("text", "no feeds; add one with: paperagent feeds add arxiv:cs.CL")
    for feed in followed:
        last_run = f"read {feed['read']}: {feed.get('new', 0):,} new" if feed.get("read") else "not read yet"
        detail = str(feed.get("error") or last_run).removeprefix(f"{feed['source']}: ")
        marker = "FAIL" if feed.get("error") else "ok  "
        yield Block("row", feed["source"], marker=marker, detail=detail, tight=True, plain=True)


@feeds.command("remove")
@click.argument("source")
@common_options
@click.pass_obj
def feeds_remove(session: Session, /, source: str) -> None:
    """Stop following SOURCE and forget its position. Its papers stay in the library."""
    with session.agent() as agent:
        if not agent.unfollow(source):
            raise InputError(
                f"feeds: {visible(source, limit=80)} is not followed; see 'paperagent feeds list'"
            )
    show_text("removed")
