"""The commands show, list, related and remove."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from paperagent.arguments import LIST_SORTS
from paperagent.cli.options import (
    IntegerParam,
    TextParam,
    common_options,
    filter_options,
    json_option,
    pop_filters,
)
from paperagent.cli.session import Session, show, show_json, show_text

if TYPE_CHECKING:
    from paperagent.types import Paper

LIST_LENGTH = 20
_MAX_NAMED = 20
"""Papers that `remove` lists before it asks for confirmation."""


@click.command("show")
@click.argument("paper_id", metavar="ID", type=TextParam())
@json_option
@common_options
@click.pass_obj
def show_command(session: Session, /, paper_id: str, *, as_json: bool) -> None:
    """Show a paper: title, authors, dates, feeds, ids and abstract.

    ID is an arXiv id, a DOI or another id of the paper, in any notation. The first characters of an id are
    enough, at least four, if no other id begins with them.
    """
    from paperagent.layout import whole_paper_blocks

    with session.agent() as agent:
        paper = agent.get(paper_id)
    if as_json:
        show_json(paper.to_dict())
    else:
        show(whole_paper_blocks(paper))


@click.command("list")
@filter_options
@click.option(
    "--sort",
    type=click.Choice(LIST_SORTS),
    default="newest",
    show_default=True,
    help="Order of the list; upvotes: most first.",
)
@click.option(
    "-n",
    "--limit",
    type=IntegerParam(1, 1_000_000),
    default=LIST_LENGTH,
    show_default=True,
    help="Maximum number of papers.",
)
@json_option
@common_options
@click.pass_obj
def list_command(session: Session, /, **options: Any) -> None:
    """List the papers that match the filters, newest first, and their number."""
    from paperagent.layout import Block, counted, paper_item_blocks

    filters, limit = pop_filters(options, today=session.today), options["limit"]
    with session.agent() as agent:
        papers = agent.list(sort=options["sort"], limit=limit, **filters)
        total = agent.count(**filters)
    if options["as_json"]:
        show_json({"total": total, "papers": [_summary(paper) for paper in papers]})
        return
    note = f"{counted(total, 'paper')}" if total == len(papers) else f"{len(papers):,} of {total:,} papers"
    show([*paper_item_blocks(papers), Block("note", note if total else "no matching papers")])


def _summary(paper: Paper) -> dict[str, Any]:
    """Return a paper as JSON-ready values without its abstract."""
    return {name: value for name, value in paper.to_dict().items() if name != "abstract"}


@click.command()
@click.argument("paper_id", metavar="ID", type=TextParam())
@click.option(
    "-k", "--top-k", "k", type=IntegerParam(1, 100), default=10, show_default=True, help="Number of papers."
)
@filter_options
@json_option
@common_options
@click.pass_obj
def related(session: Session, /, paper_id: str, **options: Any) -> None:
    """List the papers most similar to the paper with this ID, which may be abbreviated as for 'show'."""
    from paperagent.layout import Block, hit_blocks

    filters = pop_filters(options, today=session.today)
    with session.agent() as agent:
        hits = agent.related(paper_id, k=options["k"], **filters)
    if options["as_json"]:
        show_json({"paper_id": paper_id, "hits": [hit.to_dict() for hit in hits]})
    else:
        show(hit_blocks(hits, snippets=False) if hits else [Block("note", "no related papers")])


@click.command()
@click.argument("paper_ids", metavar="ID...", nargs=-1, required=True, type=TextParam())
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@common_options
@click.pass_obj
def remove(session: Session, /, paper_ids: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Remove papers from the library and its indexes.

    On a terminal, lists the papers and asks for confirmation. Reading a feed that contains a removed paper
    adds it again. Digest issues that were already built keep their papers.
    """
    from paperagent.layout import Block, counted, paper_item_blocks

    with session.agent() as agent:
        papers = {paper.paper_id: paper for paper in map(agent.get, paper_ids)}
        if not yes and sys.stdin is not None and sys.stdin.isatty():
            show(paper_item_blocks([*papers.values()][:_MAX_NAMED]))
            if not _confirmed(f"Remove {counted(len(papers), 'paper')}?"):
                show_text("nothing removed")
                return
        removed = agent.remove(papers)
        total = agent.count()
    if as_json:
        show_json({"removed": [paper.paper_id for paper in removed], "papers": total})
        return
    note = f"{counted(len(removed), 'paper')} removed; {counted(total, 'paper')} in the library"
    show([*paper_item_blocks(removed[:_MAX_NAMED]), Block("note", note)])


def _confirmed(question: str) -> bool:
    """Ask a yes-no question on the terminal; anything but y or yes means no."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    reply = sys.stdin.buffer.readline()
    if not reply.endswith(b"\n"):
        sys.stderr.write("\n")
    return reply.strip().lower() in {b"y", b"yes"}
