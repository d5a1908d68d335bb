"""The commands: each is found by name in `program_help`; its module is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from paperagent import __version__
from paperagent.cli import program_help
from paperagent.cli.options import common
from paperagent.cli.program_help import COMMANDS


class LazyGroup(click.Group):
    """Knows its commands by name; help for the group imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """Return the names in the order of a person's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002 - likewise
        """Return the same text as the entry point prints without loading this module."""
        return program_help.text().rstrip()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from paperagent.cli.usage_errors import unknown_command

            raise unknown_command(args[0], list(COMMANDS), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@common
def root(**_: Any) -> None:
    """Ask your paper feed: every sentence of an answer cites the sentence it rests on."""
