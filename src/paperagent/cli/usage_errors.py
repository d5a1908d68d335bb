"""Say what was wrong with a command line, and what was probably meant."""

from __future__ import annotations

import difflib

import click

from paperagent.errors import visible

_INSTEAD = {
    "--api-key": "set OPENAI_API_KEY in the environment or .env (other users can read a command line)",
    "--key": "set OPENAI_API_KEY in the environment or .env (other users can read a command line)",
    "--base-url": "set OPENAI_BASE_URL in the environment or .env",
    "--config": "settings are in the environment or .env; give --env-file FILE",
}


def unknown_command(name: str, known: list[str], ctx: click.Context) -> click.UsageError:
    """Return the error for a command that does not exist."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else f"commands: {', '.join(known)}"
    return click.UsageError(f"unknown command '{visible(name, limit=40)}': {hint}", ctx)


def explain(error: click.UsageError) -> str:
    """Return ``error`` on one line: what, why, where to look. No value of an unknown option is repeated."""
    path = error.ctx.command_path if error.ctx else "paperagent"
    see = f"; see '{path} --help'"
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error) + see
    if isinstance(error, click.MissingParameter):
        return f"missing {_name(error.param) or 'argument'}" + see
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name}: {_reason(error.message)}" + see
    if isinstance(error, click.BadParameter):
        return f"{_name(error.param) or 'argument'}: {_reason(error.message)}" + see
    message = visible(error.message.rstrip("."), limit=300)
    return message if "; " in message or "did you mean" in message else message + see


def _unknown_option(error: click.NoSuchOption) -> str:
    name = visible(error.option_name.partition("=")[0], limit=40)
    possible = difflib.get_close_matches(name, error.possibilities or _options(error.ctx), n=1, cutoff=0.6)
    hint = _INSTEAD.get(name) or (
        f"did you mean '{possible[0]}'?" if possible else "put -- before text that begins with -"
    )
    return f"unrecognised option '{name}': {hint}"


def _options(ctx: click.Context | None) -> list[str]:
    return [name for param in ctx.command.params for name in param.opts] if ctx else []


def _name(param: click.Parameter | None) -> str:
    if param is None:
        return ""
    if not isinstance(param, click.Option):
        return (param.name or "").upper()
    return next((name for name in param.opts if name.startswith("--")), param.opts[0])


def _reason(message: str) -> str:
    if "requires an argument" in message:
        return "value missing"
    return visible(message.rstrip("."), limit=300)
