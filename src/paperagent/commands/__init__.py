"""The commands, one line each here; the module of a command is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from paperagent import __version__
from paperagent.commands.options import common

COMMANDS = {
    "ingest": ("library", "Read feeds into the library."),
    "search": ("asking", "List the papers that match a query, best first."),
    "ask": ("asking", "Answer a question with cited sentences."),
    "chat": ("asking", "Ask and follow up, question after question."),
    "export": ("exporting", "Write papers as BibTeX, RIS, Markdown or JSON lines."),
    "status": ("library", "Show what the library holds."),
    "doctor": ("library", "Check the library and its indexes, and repair them."),
    "reindex": ("library", "Build the indexes anew from the library."),
    "models": ("upkeep", "Get and show the embedding model."),
    "config": ("upkeep", "Show the settings and where each came from."),
}


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from paperagent.commands.usage import unknown_command

            raise unknown_command(args[0], list(COMMANDS), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Of an option given twice, the last counts. Exit codes: 0 ok (an abstention too), 1 failure, "
    "2 usage, 3 settings, 4 input, 5 library, 6 endpoint, 75 locked by another process, 130 interrupted.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@common
def root(**_: Any) -> None:
    """Ask your paper feed: every sentence of an answer cites the sentence it rests on."""
