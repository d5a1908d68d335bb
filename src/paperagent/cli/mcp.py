"""The MCP command."""

from __future__ import annotations

import click

from paperagent.cli.options import common_options
from paperagent.cli.session import Session
from paperagent.cli.signals import exit_on_signals


@click.command()
@click.option(
    "--mode",
    type=click.Choice(["extractive", "llm"]),
    default="extractive",
    show_default=True,
    help="extractive: quote sentences, and leave the writing to the client's model; "
    "llm: let the configured model write.",
)
@common_options
@click.pass_obj
def mcp(session: Session, *, mode: str) -> None:
    """Run an MCP server (search, ask, get) on standard input and output.

    Add this command to the settings of an MCP client. The server is read-only. Requires the "mcp" extra.
    """
    from paperagent.ui.mcp_server import serve

    with session.agent() as agent, exit_on_signals():
        serve(agent, mode=mode, masked=session.masked)
