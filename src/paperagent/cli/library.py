"""Commands that fill the library and look after it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from paperagent.cli.options import Day, Folder, as_json, common
from paperagent.cli.session import Session, progress_bar, show, warn_of_shutdown
from paperagent.errors import PaperAgentError, StoreError
from paperagent.layout import Block, counted, row_blocks
from paperagent.types import FeedReport, IngestReport


@click.command()
@click.argument("sources", metavar="SOURCE…", nargs=-1)
@click.option("--follow", is_flag=True, help="Read the feeds kept in the library (see: feeds add); for cron.")
@click.option(
    "--follow-file", type=Folder(), metavar="FILE", help="Read the feeds that FILE lists, one a line."
)
@click.option("--anew", is_flag=True, help="Read a service from its beginning, wherever it stopped.")
@click.option("--date", "day", type=Day(), help="The day the feed listed its papers, where it does not say.")
@click.option("--no-vectors", is_flag=True, help="Leave the vectors for later; words are searchable at once.")
@click.option("--batch", is_flag=True, help="Vectors by OpenAI's Batch API, as embed --batch.")
@click.option("--shard", metavar="I/N", help="Read the I-th of N shares only: N processes fill one library.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@as_json
@common
@click.pass_obj
def ingest(session: Session, /, sources: tuple[str, ...], day: dt.date | None, **given: Any) -> None:
    """Read feeds into the library: files of any known format, - for standard input, or services.

    Services: arxiv:cs.CL,cs.AI  arxiv-rss:cs.CL  arxiv-oai:cs?from=DAY  hf-daily:2026-W47  s2:WORDS
    openalex:WORDS  zotero:users/ID, or a feed's address. Reading the same feed again changes nothing; a
    service is read on from where it stopped. A feed that fails does not stop the others.
    """
    if given["quiet"] and given["as_json"]:
        raise click.UsageError("--json and --quiet: cannot combine; give one of them")
    _check_sources(sources, given | {"day": day})
    quiet = given["quiet"]
    shared = {"vectors": not (given["no_vectors"] or given["batch"]), "restart": given["anew"]}
    with session.agent() as agent, progress_bar(quiet=quiet or given["as_json"]) as progress:
        try:
            if sources:
                report = agent.ingest(
                    list(sources), date=day, progress=progress, shard=given["shard"], **shared
                )
            else:
                report = agent.ingest_followed(given["follow_file"], progress=progress, **shared)
            if given["batch"]:
                sent = agent.embed(by="batch", progress=progress)
                notes = (*report.notes, *sent.notes)
                report = replace(report, embedded=sent.embedded, pending=sent.pending, notes=notes)
        except PaperAgentError as error:
            # Of one feed that failed the error says all, unless it was the library that broke off a run.
            told = error.report is not None and (len(error.report.feeds) > 1 or isinstance(error, StoreError))
            if not quiet and told:
                show(error.report.to_dict, _report(error.report), as_json=given["as_json"])
            raise
    if not quiet:
        show(report.to_dict, _report(report), as_json=given["as_json"])


def _check_sources(sources: tuple[str, ...], given: dict[str, Any]) -> None:
    for option in ("no_vectors", "shard"):
        if given["batch"] and given[option]:
            name = option.replace("_", "-")
            raise click.UsageError(f"--batch and --{name}: cannot combine; give one of them")
    following = given["follow"] or given["follow_file"]
    if following and sources:
        raise click.UsageError("SOURCE and --follow: cannot combine; give one of them")
    if following and given["shard"]:
        raise click.UsageError("--follow and --shard: one process reads the feeds kept; share 'embed'")
    if following and given["day"]:
        raise click.UsageError("--follow and --date: cannot combine; give --date with a SOURCE")
    if not following and not sources:
        raise click.UsageError("Missing argument 'SOURCE…'.")
    if not all(source.strip() for source in sources):
        raise click.UsageError("SOURCE: is empty; give a file, or - for standard input")


def _report(report: IngestReport) -> Iterator[Block]:
    skipped = sum(report.skipped.values())
    yield Block(
        "text",
        f"{report.read:,} read: {report.new:,} new, {report.changed:,} changed, "
        f"{report.unchanged:,} unchanged; {skipped:,} skipped",
    )
    if len(report.feeds) > 1:
        yield from map(_feed_row, report.feeds)
    reasons = sorted(report.skipped.items(), key=lambda pair: -pair[1])
    yield from row_blocks((f"skipped {count:,}", reason) for reason, count in reasons)
    vectors = f"vectors: {report.embedded:,} added, {report.pending:,} pending"
    yield Block("text", f"{counted(report.papers, 'paper')} in the library; {vectors}", tight=True)
    yield from (Block("note", note) for note in report.notes)


def _feed_row(feed: FeedReport) -> Block:
    counts = f"{feed.read:,} read, {feed.new:,} new, {feed.changed:,} changed"
    marker = "FAIL" if feed.error else "ok  "
    error = feed.error and feed.error.removeprefix(f"{feed.source}: ")
    return Block("row", feed.source, marker=marker, detail=error or counts, tight=True, plain=True)


@click.command()
@as_json
@common
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Show what the library holds, and how far its indexes are."""
    with session.agent() as agent:
        found = agent.status()
    show(lambda: found, row_blocks(_flat(found)), as_json=as_json)


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(inner, dict):
            yield from _flat(inner, f"{name} ")
        else:
            yield name, "–" if inner is None else inner


@click.command()
@click.option("--repair", is_flag=True, help="Rebuild what is not sound.")
@click.option(
    "--endpoint",
    is_flag=True,
    help="Check the model's server instead: its models, its price, its speed and the timeout that it "
    "needs. Makes one small call, which may cost money (less than $0.001 with the default model).",
)
@as_json
@common
@click.pass_context
def doctor(ctx: click.Context, *, repair: bool, endpoint: bool, as_json: bool) -> None:
    """Prove that every paper is reachable in every index; exit 5 where one is not."""
    if endpoint:
        if repair:
            raise click.UsageError("--endpoint and --repair: cannot combine; give one of them")
        from paperagent.cli.endpoint import check_endpoint

        check_endpoint(ctx.obj, as_json=as_json)
        return
    with ctx.obj.agent() as agent:
        health = agent.doctor(repair=repair)
        warn_of_shutdown(agent.settings)
    blocks = [
        Block("row", check.name, marker="ok  " if check.ok else "FAIL", detail=detail, tight=True)
        for check in health.checks
        for detail in ["; ".join(p for p in (check.detail, "" if check.ok else check.fix) if p)]
    ]
    show(lambda: dataclasses.asdict(health), blocks, as_json=as_json)
    if not health.ok:
        ctx.exit(5)


@click.command()
@click.option("--no-vectors", is_flag=True, help="Build the word index only.")
@common
@click.pass_obj
def reindex(session: Session, *, no_vectors: bool) -> None:
    """Build the indexes anew from the library; stored vectors are used again."""
    with session.agent() as agent, progress_bar() as progress:
        agent.reindex(vectors=not no_vectors, progress=progress)
        papers = agent.status()["papers"]
    show(dict, [Block("text", f"{counted(papers, 'paper')} indexed anew")], as_json=False)
