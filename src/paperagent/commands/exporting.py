"""The command that writes papers in other programs' formats."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.commands.options import Folder, common, filters, limits, top_k
from paperagent.commands.session import Session

if TYPE_CHECKING:
    from paperagent.app import PaperAgent
    from paperagent.types import Paper

FORMATS = ("bibtex", "ris", "markdown", "jsonl", "notes")


@click.command()
@click.argument("query", nargs=-1)
@click.option("--ids", multiple=True, metavar="ID,…", help="These papers, by id.")
@click.option(
    "--sources-of", type=Folder(), metavar="ANSWER.json", help="The papers cited by a saved ask --json."
)
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="bibtex", show_default=True)
@click.option(
    "--out", type=Folder(), help="Write to this file instead of standard output; for notes, the folder."
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@top_k
@filters
@common
@click.pass_obj
def export(session: Session, /, query: tuple[str, ...], **given: Any) -> None:
    """Write papers: the whole library, those that match QUERY, or those named.

    The format notes writes one Markdown file a paper into the folder of --out, such as an Obsidian vault;
    notes that are there are left alone.
    """
    from paperagent import export as writer

    if given["form"] == "notes" and given["out"] is None:
        raise click.UsageError("--format notes: needs a folder; give --out FOLDER")

    within = limits(given)
    chosen = [
        n
        for n, on in (("QUERY", query), ("--ids", given["ids"]), ("--sources-of", given["sources_of"]))
        if on
    ]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)}: cannot combine; give one of them")
    named = _ids(given["ids"], given["sources_of"])
    with session.agent(top_k=given["top_k"]) as agent:
        papers = _papers(agent, " ".join(query), named, within)
        if given["form"] == "notes":
            _notes(papers, given)
            return
        chunks = writer.FORMATS[given["form"]](papers)
        if given["out"] is None:
            sys.stdout.writelines(chunks)
        else:
            writer.write(given["out"], chunks, force=given["force"])


def _notes(papers: Iterable[Paper], given: dict[str, Any]) -> None:
    from paperagent.export import quotes_of
    from paperagent.notes import write_notes

    answer = given["sources_of"]
    quotes = quotes_of(answer) if answer is not None else {}
    written, kept = write_notes(given["out"], papers, quotes=quotes, force=given["force"])
    left = f", {kept:,} left alone (--force replaces them)" if kept else ""
    sys.stdout.write(f"{written:,} notes written{left}\n")


def _ids(ids: tuple[str, ...], answer: Path | None) -> list[str] | None:
    from paperagent.export import cited_ids

    if answer is not None:
        return cited_ids(answer)
    if not ids:
        return None
    found = [part.strip() for text in ids for part in text.split(",") if part.strip()]
    if not found:
        raise click.UsageError("--ids: is empty; give ids separated by commas")
    return list(dict.fromkeys(found))


def _papers(
    agent: PaperAgent, query: str, named: list[str] | None, within: dict[str, Any]
) -> Iterable[Paper]:
    from paperagent.types import Filters

    if named is not None:
        return [agent.get(paper_id) for paper_id in named]
    if query.strip():
        return [hit.paper for hit in agent.search(query, k=agent.settings.top_k, **within)]
    limit = Filters(**within)
    return (paper for paper in agent.papers() if limit.admits(paper))
