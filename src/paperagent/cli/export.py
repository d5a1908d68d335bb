"""The command that writes papers in other programs' formats."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import Folder, Words, common, filters, limits, top_k
from paperagent.cli.session import Session
from paperagent.cli.subscribers import opened
from paperagent.errors import InputError, visible

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.types import Paper

FORMATS = ("bibtex", "ris", "markdown", "jsonl", "notes")


@click.command()
@click.argument("query", nargs=-1)
@click.option("--ids", multiple=True, metavar="ID,…", help="These papers, by id.")
@click.option(
    "--sources-of", type=Folder(), metavar="ANSWER.json", help="The papers cited by a saved ask --json."
)
@click.option(
    "--issue", type=Words(), metavar="PERIOD", help="The papers of a built issue, such as 2026-W26's."
)
@click.option("--for", "reader", type=Words(), metavar="EMAIL", help="Of --issue: this reader's.")
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
    from paperagent.ui import export as writer

    if given["form"] == "notes" and given["out"] is None:
        raise click.UsageError("--format notes: needs a folder; give --out FOLDER")

    if given["reader"] and not given["issue"]:
        raise click.UsageError("--for: says whose issue; give --issue PERIOD too")
    within = limits(given)
    if given["top_k"] and not query:
        raise click.UsageError("-k: says how many papers of a QUERY; give one, or leave -k out")
    named = _named(session, query, given, limited=any(within.values()))
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
    from paperagent.layout import counted
    from paperagent.ui.export import quotes_of
    from paperagent.ui.export_notes import write_notes

    answer = given["sources_of"]
    quotes = quotes_of(answer) if answer is not None else {}
    written, kept = write_notes(given["out"], papers, quotes=quotes, force=given["force"])
    left = f", {kept:,} left alone (--force replaces them)" if kept else ""
    sys.stdout.write(f"{counted(written, 'note')} written{left}\n")


def _named(
    session: Session, query: tuple[str, ...], given: dict[str, Any], *, limited: bool
) -> list[str] | None:
    """Return the ids that one of the options names, which no limit goes with; None where none does."""
    from paperagent.ui.export import cited_ids

    options = {"--ids": "ids", "--sources-of": "sources_of", "--issue": "issue"}
    chosen = [*(["QUERY"] if query else []), *(name for name, key in options.items() if given[key])]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)}: cannot combine; give one of them")
    if limited and chosen and not query:
        raise click.UsageError(f"{chosen[0]}: names the papers; leave out --since, --category and the like")
    if given["sources_of"] is not None:
        return cited_ids(given["sources_of"])
    if given["issue"]:
        return _shown_in(session, given["issue"], given["reader"])
    return _ids(given["ids"]) if given["ids"] else None


def _shown_in(session: Session, period: str, reader: str | None) -> list[str]:
    """Return the ids of the papers of a built issue: nobody's in particular, or a reader's."""
    with opened(session) as desk:
        number = desk.subscribers.find(reader).id if reader else 0
        if number not in desk.ledger.stored_for(period):
            whose = f" for {visible(reader, limit=80)}" if reader else ""
            raise InputError(
                f"--issue: none of {visible(period, limit=60)}{whose} was built; 'digest list' shows them"
            )
        return list(desk.ledger.issue(f"{period}/{number}").papers)


def _ids(texts: tuple[str, ...]) -> list[str]:
    found = [part.strip() for text in texts for part in text.split(",") if part.strip()]
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
        hits = agent.search(query, k=agent.settings.top_k, **within)
        return [agent.get(hit.paper_id) for hit in hits]  # with further ids, which a hit does not tell
    limit = Filters(**within)
    return (paper for paper in agent.papers() if limit.admits(paper))
