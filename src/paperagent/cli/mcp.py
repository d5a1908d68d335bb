"""The command that serves the library to another program's model."""

from __future__ import annotations

import click

from paperagent.cli.options import common
from paperagent.cli.session import Session


@click.command()
@click.option(
    "--mode",
    type=click.Choice(["extractive", "llm"]),
    default="extractive",
    show_default=True,
    help="Quote sentences, or have a model of the settings write: the program that asks has one already.",
)
@common
@click.pass_obj
def mcp(session: Session, *, mode: str) -> None:
    """Serve search, ask and get by the Model Context Protocol, on standard input and output.

    Read-only. Name this command in the settings of the program that asks. Needs the extra "mcp".
    """
    from paperagent.ui.mcp_server import serve

    with session.agent() as agent:
        serve(agent, mode=mode, masked=session.masked)
