"""Completion of commands, options and values by the shell.

The script that `completion` prints calls this program whenever the user presses Tab, with the command line
in environment variables.
"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from paperagent.cli.options import common_options
from paperagent.cli.program_help import COMPLETE, PROGRAM

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@common_options
def completion(*, shell: str) -> None:
    """Print the completion script of SHELL: bash (4.4 or newer), zsh or fish.

    \b
    bash:  source <(paperagent completion bash)    in ~/.bashrc
    zsh:   source <(paperagent completion zsh)     in ~/.zshrc, after compinit
    fish:  paperagent completion fish | source     in ~/.config/fish/config.fish
    """  # noqa: D301 - click reads the escape
    # The method of the base class, because that of `BashComplete` starts bash to check its version.
    click.echo(ShellComplete.source(_complete_for(shell)), nl=False)


def answer_shell(instruction: str) -> int:
    """Print the completions that a script of `completion` asks for; return the exit code."""
    shell = instruction.removesuffix("_complete")
    if shell not in _SHELLS or shell == instruction:
        return 1
    click.echo(_complete_for(shell).complete())
    return 0


def _complete_for(shell: str) -> ShellComplete:
    from paperagent.cli.commands import root

    return _SHELLS[shell](root, {}, PROGRAM, COMPLETE)
