"""The chat command."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.ask import INTERRUPT_HINT, settings_from, waiting_line, warn_about_unused_options
from paperagent.cli.options import (
    answer_options,
    common_options,
    fallback_options,
    filter_options,
    pop_filters,
    top_k_option,
)
from paperagent.cli.session import screen, warn
from paperagent.errors import InputError

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.ui.chat import Chat
    from paperagent.ui.line_input import LineReader


@click.command()
@top_k_option
@filter_options
@answer_options
@click.option("--continue", "resume", is_flag=True, help="Continue the last conversation in the log.")
@common_options
@click.pass_context
def chat(ctx: click.Context, /, **options: Any) -> None:
    """Start an interactive session with follow-up questions.

    On a terminal, press Enter to send and Alt-Enter for a new line; /help lists the commands.
    If the input is piped, each line is a question.
    """
    from paperagent.evals.feedback import FEEDBACK_FILE
    from paperagent.factory import model_name
    from paperagent.layout import Block, counted
    from paperagent.ui.answer_log import AnswerLog
    from paperagent.ui.chat import Chat
    from paperagent.ui.line_input import TerminalReader, terminal_restored

    if sys.stdin is None:
        raise InputError("standard input: is closed; run chat on a terminal, or pipe questions to it")
    filters = pop_filters(options, today=ctx.obj.today)
    arguments = {"k": options["top_k"], "effort": options["effort"], **filters, **fallback_options(options)}
    with ctx.obj.agent(**settings_from(options)) as agent:
        warn_about_unused_options(agent.settings, options)
        papers = agent.status()["papers"]
        output = screen()
        reader = _line_reader(agent.settings)
        model = model_name(agent.settings)
        session = Chat(agent, reader, output, options=arguments, model=model, debug=ctx.obj.debug)
        session.log = ctx.obj.answer_log(agent.settings)
        if isinstance(reader, TerminalReader):
            reader.complete = session.commands.complete
        session.feedback = agent.home / FEEDBACK_FILE
        if model is not None:
            session.waiting = lambda name: waiting_line(agent.settings, name, hint=INTERRUPT_HINT)
        if reader.interactive:
            parts = [counted(papers, "paper"), *([f"model {model}"] if model else [])]
            output.show([Block("note", f"{', '.join(parts)}. Type /help for commands, Ctrl-D to quit.")])
        if options["resume"]:
            session.continue_conversation(AnswerLog(agent.settings.home).last_session())
        with terminal_restored(), _warm_up(agent, session):
            code = session.run()
    ctx.exit(code)


@contextmanager
def _warm_up(agent: PaperAgent, session: Chat) -> Iterator[None]:
    """Load the models in a thread while the user types, so that Ctrl-C cannot interrupt it."""

    def warm() -> None:
        with suppress(Exception):  # the first question reports the error where the user sees it
            agent.warm()

    if not session.reader.interactive:
        yield
        return
    thread = threading.Thread(target=warm, name="warm")
    thread.start()
    session.wait_until_ready = thread.join
    try:
        yield
    finally:
        thread.join()


def _line_reader(settings: Settings) -> LineReader:
    from paperagent.ui.line_input import HISTORY_FILE, PipeReader, PlainTerminalReader, TerminalReader

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return PipeReader(sys.stdin.buffer)
    from prompt_toolkit.utils import is_dumb_terminal

    if is_dumb_terminal():
        return PlainTerminalReader(sys.stdin.buffer, sys.stdout)
    from paperagent.ui.answer_log import contains_secret

    history = settings.home / HISTORY_FILE if settings.history else None
    reader = TerminalReader(history, is_private=contains_secret)
    if reader.warning:
        warn(reader.warning)
    return reader
