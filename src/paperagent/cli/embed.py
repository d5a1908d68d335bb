"""The command that gives papers their vectors."""

from __future__ import annotations

from typing import Any

import click

from paperagent.cli.options import Whole, Words, as_json, common
from paperagent.cli.session import Session, progress_bar, show
from paperagent.layout import Block, counted


@click.command()
@click.option("--batch", is_flag=True, help="By OpenAI's Batch API: send, and collect with a later call.")
@click.option("--ray", is_flag=True, help="By a pool of Ray actors, on this machine or a cluster.")
@click.option("--workers", type=Whole(1, 10_000), default=2, show_default=True, help="Actors of --ray.")
@click.option("--ray-address", type=Words(), help="The cluster, such as auto or ray://HOST:10001.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N shares of what waits on a server.")
@as_json
@common
@click.pass_obj
def embed(session: Session, /, *, as_json: bool, **given: Any) -> None:
    """Give vectors to the papers that have none; interrupted, it goes on where it was.

    After ingest --no-vectors, or where a model came later. Papers are searchable by their words before.
    """
    if given["batch"] and given["ray"]:
        raise click.UsageError("--batch and --ray: cannot combine; give one of them")
    if given["batch"] and given["shard"]:
        raise click.UsageError("--batch and --shard: cannot combine; give one of them")
    by = "batch" if given["batch"] else "ray" if given["ray"] else "here"
    with session.agent() as agent, progress_bar(quiet=as_json) as progress:
        report = agent.embed(
            by=by,  # type: ignore[arg-type]  # one of three words
            shard=given["shard"],
            workers=given["workers"],
            address=given["ray_address"],
            progress=progress,
        )
    vectors = (
        f"vectors: {report.embedded:,} added, {report.pending:,} pending of {counted(report.papers, 'paper')}"
    )
    notes = (Block("note", note) for note in report.notes)
    show(
        lambda: report.to_dict()["vectors"] | {"notes": list(report.notes)},
        [Block("text", vectors), *notes],
        as_json=as_json,
    )
