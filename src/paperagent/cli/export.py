"""The export command."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import (
    PathParam,
    TextParam,
    common_options,
    filter_options,
    pop_filters,
    top_k_option,
)
from paperagent.cli.session import Session, warn
from paperagent.errors import InputError, visible
from paperagent.layout import counted

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.types import Paper

FORMATS = ("bibtex", "ris", "markdown", "jsonl", "notes")


@click.command()
@click.argument("query", nargs=-1)
@click.option("--ids", multiple=True, metavar="ID,…", help="Export the papers with these ids.")
@click.option(
    "--sources-of",
    type=PathParam(),
    metavar="ANSWER.json",
    help="Export the papers cited by an answer saved with 'ask --json'.",
)
@click.option(
    "--issue", type=TextParam(), metavar="PERIOD", help="Export the papers of a built issue, e.g. 2026-W26."
)
@click.option(
    "--for", "subscriber", type=TextParam(), metavar="EMAIL", help="With --issue: this subscriber's issue."
)
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="bibtex",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--out",
    type=PathParam(),
    help="Output file (default: standard output), or the folder of the notes.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@top_k_option
@filter_options
@common_options
@click.pass_obj
def export(session: Session, /, query: tuple[str, ...], **options: Any) -> None:
    """Export the whole library, the papers that match QUERY, or selected papers.

    The notes format writes one Markdown file per paper to the folder given with --out, such as an Obsidian
    vault. Existing notes are kept.
    """
    from paperagent.ui import export as writers

    format_name, out = options["format_name"], options["out"]
    if format_name == "notes" and out is None:
        raise click.UsageError("--format notes: needs a folder; give --out FOLDER")
    if options["subscriber"] and not options["issue"]:
        raise click.UsageError("--for: has no effect without --issue; give --issue PERIOD")
    filters = pop_filters(options, today=session.today)
    if options["top_k"] and not query:
        raise click.UsageError("-k: applies only to a QUERY; give one, or leave -k out")
    ids = _selected_ids(session, query, options, filtered=any(filters.values()))
    with session.agent(top_k=options["top_k"]) as agent:
        papers = _selected_papers(agent, " ".join(query), ids, filters)
        if format_name == "notes":
            _write_notes(papers, options)
        elif out is None:
            _write_to_stdout(writers.FORMATS[format_name](papers), format_name)
        else:
            writers.write(out, writers.FORMATS[format_name](papers), force=options["force"])


def _write_to_stdout(chunks: Iterable[str], format_name: str) -> None:
    """Write an export; characters that the encoding lacks are escaped in JSON, and replaced otherwise."""
    from paperagent.cli.streams import writes_unicode

    if writes_unicode(sys.stdout):
        sys.stdout.writelines(chunks)
    elif format_name == "jsonl":
        from paperagent.text.sanitize import json_escape

        sys.stdout.writelines("".join(c if c.isascii() else json_escape(c) for c in line) for line in chunks)
    else:
        warn(
            f"standard output is {visible(sys.stdout.encoding, limit=40)}: characters that it lacks are "
            "replaced; give --out FILE for UTF-8"
        )
        sys.stdout.writelines(chunks)


def _write_notes(papers: Iterable[Paper], options: dict[str, Any]) -> None:
    from paperagent.ui.export import cited_quotes, write_notes

    answer = options["sources_of"]
    quotes = cited_quotes(answer) if answer is not None else {}
    count, skipped = write_notes(options["out"], papers, quotes=quotes, force=options["force"])
    suffix = f", {skipped:,} already exist (use --force to overwrite)" if skipped else ""
    sys.stdout.write(f"{counted(count, 'note')} written{suffix}\n")


def _selected_ids(
    session: Session, query: tuple[str, ...], options: dict[str, Any], *, filtered: bool
) -> list[str] | None:
    """Return the paper ids that --ids, --sources-of or --issue select; None if none of them is given."""
    from paperagent.ui.export import cited_quotes

    names = {"--ids": "ids", "--sources-of": "sources_of", "--issue": "issue"}
    selectors = [*(["QUERY"] if query else []), *(name for name, key in names.items() if options[key])]
    if len(selectors) > 1:
        raise click.UsageError(f"{' and '.join(selectors)}: cannot be combined; use one of them")
    if filtered and selectors and not query:
        raise click.UsageError(
            f"{selectors[0]}: cannot be combined with filters; leave out --since, --category and the like"
        )
    if options["sources_of"] is not None:
        return list(cited_quotes(options["sources_of"]))
    if options["issue"]:
        return _issue_papers(session, options["issue"], options["subscriber"])
    return _parse_ids(options["ids"]) if options["ids"] else None


def _issue_papers(session: Session, period: str, email: str | None) -> list[str]:
    """Return the paper ids of a built issue: the general one, or a subscriber's."""
    from paperagent.cli.subscribers import open_digest

    with open_digest(session) as service:
        number = service.subscribers.find(email).id if email else 0
        if number not in service.ledger.stored_for(period):
            suffix = f" for {visible(email, limit=80)}" if email else ""
            raise InputError(
                f"--issue: no issue {visible(period, limit=60)}{suffix} was built; see 'digest list'"
            )
        return list(service.ledger.issue(f"{period}/{number}").papers)


def _parse_ids(texts: tuple[str, ...]) -> list[str]:
    ids = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if not ids:
        raise click.UsageError("--ids: is empty; give ids separated by commas")
    return list(dict.fromkeys(ids))


def _selected_papers(
    agent: PaperAgent, query: str, ids: list[str] | None, filters: dict[str, Any]
) -> Iterable[Paper]:
    from paperagent.types import Filters

    if ids is not None:
        return [agent.get(paper_id) for paper_id in ids]
    if query.strip():
        hits = agent.search(query, k=agent.settings.top_k, **filters)
        return [agent.get(hit.paper_id) for hit in hits]  # a hit lacks further ids, such as a DOI
    limit = Filters(**filters)
    return (paper for paper in agent.papers() if limit.admits(paper))
