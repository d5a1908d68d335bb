"""The serve command."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from paperagent.cli.options import common_options
from paperagent.cli.session import Session, program_path, warn


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65_535), default=None, help="Port (default: 8700; 0: any).")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@click.option("--print-unit", is_flag=True, help="Print a systemd unit that runs the page, and exit.")
@common_options
@click.pass_obj
def serve(
    session: Session, *, host: str | None, port: int | None, open_browser: bool, print_unit: bool
) -> None:
    """Serve the library as a web page with the feed, search, questions and the digest.

    Press Ctrl-C to stop.
    """
    if print_unit:
        _print_unit(session)
        return
    from paperagent.web import access, server
    from paperagent.web.site import Site

    with session.agent(web_host=host, web_port=port) as agent:
        settings = agent.settings
        with server.listen(settings.web_host, settings.web_port) as listening:
            address = server.address_of(listening)
            public = f" for {settings.public_url}/" if settings.public_url else ""
            sys.stdout.write(f"Serving at {address}{public} (press Ctrl-C to stop)\n")
            sys.stdout.flush()
            for message in access.warnings(settings):
                warn(message)
            if open_browser:
                click.launch(address)
            server.run(Site(agent), listening)


def _print_unit(session: Session) -> None:
    from paperagent.web.deployment import service_unit

    settings = session.settings()
    program = program_path()
    file = session.env_file or Path(".env")
    env_file = file.absolute() if file.is_file() else None
    user = getpass.getuser()
    unit = service_unit(program, settings.home, cache=settings.cache_dir, user=user, env_file=env_file)
    sys.stdout.write(unit)
