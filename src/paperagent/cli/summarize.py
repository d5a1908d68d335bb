"""The command that summarises papers."""

from __future__ import annotations

from typing import Any

import click

from paperagent.cli.options import Positive, Whole, Words, as_json, common, filters, limits
from paperagent.cli.session import Session, show

PAPERS = 20


@click.command()
@click.argument("query", nargs=-1)
@click.option("--ids", type=Words(), metavar="A,B", help="Summarise these papers instead of a search's.")
@click.option(
    "-k",
    "--top-k",
    "k",
    type=Whole(1, 100),
    default=PAPERS,
    show_default=True,
    help="How many papers at most.",
)
@filters
@click.option(
    "--mode", type=click.Choice(["extractive", "llm"]), help="Quote sentences, or have a model write."
)
@click.option("--model", type=Words(), help="The model that writes (default: PAPERAGENT_MODEL).")
@click.option(
    "--max-cost", type=Positive(1000, zero=True), help="US dollars that the whole summary may cost."
)
@click.option("--no-cache", is_flag=True, help="Ask anew even where the reply is kept.")
@click.option("--quotes", is_flag=True, help="Print the quoted sentences under the sources.")
@as_json
@common
@click.pass_obj
def summarize(session: Session, /, query: tuple[str, ...], **given: Any) -> None:
    """Write a cited overview of the papers on QUERY, or of those named, by theme.

    Of one paper: the problem, what is new, the result.
    """
    from paperagent.cli.ask import words_of
    from paperagent.layout import answer_blocks

    within = limits(given)
    ids = given["ids"]
    if ids is not None and (query or any(within.values())):
        raise click.UsageError("--ids and QUERY: cannot combine; name papers or search for them")
    overrides = {"mode": given["mode"], "model": given["model"]}
    with session.agent(cache=False if given["no_cache"] else None, **overrides) as agent:
        if ids is not None:
            listed = [i.strip() for i in ids.split(",") if i.strip()]
            answer = agent.summarize(ids=listed, max_cost=given["max_cost"])
        else:
            text = words_of(query, "QUERY")
            answer = agent.summarize(text, k=given["k"], max_cost=given["max_cost"], **within)
    show(answer.to_dict, answer_blocks(answer, quotes=given["quotes"]), as_json=given["as_json"])
