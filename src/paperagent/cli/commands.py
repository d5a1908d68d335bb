"""The root command: imports a command's module when it is called, and explains usage errors."""

from __future__ import annotations

import importlib
from typing import Any

import click

from paperagent import __version__
from paperagent.cli import program_help
from paperagent.cli.options import CommandGroup, Completion, common_options
from paperagent.cli.program_help import COMMANDS
from paperagent.errors import visible
from paperagent.text.spelling import nearest_name

_ALTERNATIVES = {
    "--api-key": "set OPENAI_API_KEY in the environment or .env (other users can read a command line)",
    "--key": "set OPENAI_API_KEY in the environment or .env (other users can read a command line)",
    "--base-url": "set OPENAI_BASE_URL in the environment or .env",
    "--config": "settings are read from the environment or .env; use --env-file FILE",
}
"""Options that users may try → advice on what to do instead."""


class LazyGroup(CommandGroup):
    """A group that imports a command only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"paperagent.cli.{COMMANDS[cmd_name][0]}")
        # A function whose name would shadow another one, such as list, has the suffix _command.
        command: click.Command = getattr(module, f"{cmd_name}_command", None) or getattr(module, cmd_name)
        return command

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002 - likewise
        return program_help.text().rstrip()

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Completion]:
        """Complete a command without importing the commands."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@common_options
def root(**_: Any) -> None:
    """Ask your paper feed: every sentence of an answer cites its source sentence."""


def explain(error: click.UsageError) -> str:
    """Return a usage error as one line: what is wrong, why, and where to look.

    The value of an unknown option is never repeated: it may be a secret.
    """
    path = error.ctx.command_path if error.ctx else "paperagent"
    see = f"; see '{path} --help'"
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error) + see
    if isinstance(error, click.MissingParameter):
        return f"missing {_parameter_name(error.param) or 'argument'}" + see
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name}: {_reason(error.message)}" + see
    if isinstance(error, click.BadParameter):
        return f"{_parameter_name(error.param) or 'argument'}: {_reason(error.message)}" + see
    message = visible(error.message.rstrip("."), limit=300)
    return message if "; " in message or "did you mean" in message else message + see


def _unknown_option(error: click.NoSuchOption) -> str:
    name = visible(error.option_name.partition("=")[0], limit=40)
    options = error.possibilities or _option_names(error.ctx)
    near = nearest_name(name, options)
    hint = _ALTERNATIVES.get(name) or (
        f"did you mean '{near}'?" if near else "put -- before text that begins with -"
    )
    return f"unrecognized option '{name}': {hint}"


def _option_names(ctx: click.Context | None) -> list[str]:
    return [name for param in ctx.command.params for name in param.opts] if ctx else []


def _parameter_name(param: click.Parameter | None) -> str:
    if param is None:
        return ""
    if not isinstance(param, click.Option):
        return (param.name or "").upper()
    return next((name for name in param.opts if name.startswith("--")), param.opts[0])


def _reason(message: str) -> str:
    if "requires an argument" in message:
        return "value missing"
    return visible(message.rstrip("."), limit=300)
