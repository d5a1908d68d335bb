"""Commands that search and answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import answering, as_json, common, filters, limits, top_k
from paperagent.cli.session import Session, screen, show, warn

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.types import Answer
    from paperagent.ui.chat import Chat, Reader
    from paperagent.ui.wait_line import WaitingLine

ENDPOINT_FAILED = 6
MAX_STDIN_BYTES = 1024 * 1024
QUOTES_INSTEAD = "Ctrl-C to quote instead"


@click.command()
@click.argument("query", nargs=-1)
@top_k
@filters
@as_json
@common
@click.pass_obj
def search(session: Session, /, query: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """List the papers that match QUERY, best first."""
    from paperagent.layout import Block, hit_blocks

    within = limits(given)
    text = words_of(query, "QUERY")
    with session.agent(top_k=given["top_k"]) as agent:
        hits = agent.search(text, k=agent.settings.top_k, **within)
    blocks = hit_blocks(hits) if hits else [Block("note", "no paper matches")]
    show(lambda: {"query": text, "hits": [hit.to_dict() for hit in hits]}, blocks, as_json=as_json)


@click.command()
@click.argument("question", nargs=-1)
@top_k
@filters
@answering
@click.option("--quotes", is_flag=True, help="Print the quoted sentences under the sources.")
@as_json
@common
@click.pass_context
def ask(ctx: click.Context, /, question: tuple[str, ...], **given: Any) -> None:
    """Answer QUESTION with cited sentences. Without it, or for -, standard input is the question."""
    from paperagent.layout import answer_blocks

    within = limits(given)
    text = words_of(question, "QUESTION")
    options = {"k": given["top_k"], "effort": given["effort"], **within, **_strictness(given)}
    streams = sys.stdout.isatty() and not given["as_json"]
    with ctx.obj.agent(**_overrides(given)) as agent:
        warn_unused(agent.settings, given)
        if streams:
            answer = _streamed(agent, text, options, quotes=given["quotes"])
        else:
            with waiting_line(agent.settings):
                answer = agent.ask(text, **options)
    if not streams:
        show(answer.to_dict, answer_blocks(answer, quotes=given["quotes"]), as_json=given["as_json"])
    if answer.status == "incomplete":
        ctx.exit(ENDPOINT_FAILED)


def _strictness(given: dict[str, Any]) -> dict[str, Any]:
    return {"fallback": False} if given["strict"] else {}


def waiting_line(settings: Settings, model: str | None = None, *, hint: str = "") -> WaitingLine:
    """Return the line that counts the seconds until the model answers; it shows only on a terminal."""
    from urllib.parse import urlsplit

    from paperagent.factory import model_name
    from paperagent.ui.wait_line import WaitingLine

    name = model or model_name(settings)
    place = urlsplit(settings.openai_base_url or "").netloc.rpartition("@")[2] or "api.openai.com"
    seen = name is not None and sys.stderr is not None and sys.stderr.isatty()
    return WaitingLine(sys.stderr if seen else None, f"{name or 'the model'} at {place}", hint=hint)


def _streamed(agent: PaperAgent, question: str, options: dict[str, Any], *, quotes: bool) -> Answer:
    """Print the answer claim by claim.

    Before the first claim, Ctrl-C quotes sentences instead. After it, Ctrl-C keeps the claims shown so
    far, says that the answer is incomplete, and ends.
    """
    from paperagent.errors import EndpointError
    from paperagent.layout import nearest_blocks
    from paperagent.ui.streaming import StreamedAnswer

    quoting = agent.settings.answer_mode != "llm"
    asks = agent.settings.answer_mode != "extractive"
    line = waiting_line(agent.settings, hint=QUOTES_INSTEAD) if asks else None
    shown = StreamedAnswer(screen(), titles=quoting, quotes=quotes, waiting=line)
    try:
        quoted = partial(agent.ask_stream, question, **{**options, "mode": "extractive"})
        shown.follow(agent.ask_stream(question, **options), quoted)
    except KeyboardInterrupt:
        shown.cut_off(question, "stopped")
        raise
    except EndpointError as error:
        shown.screen.show(nearest_blocks(error.hits))
        raise
    assert shown.answer is not None
    return shown.answer


@click.command()
@top_k
@filters
@answering
@common
@click.pass_context
def chat(ctx: click.Context, /, **given: Any) -> None:
    """Ask and follow up. At a terminal: Enter sends, Alt-Enter begins a new line, /help lists commands.

    From a pipe, each line is a question.
    """
    from paperagent.evals.feedback import FEEDBACK_FILE
    from paperagent.factory import model_name
    from paperagent.layout import Block, counted
    from paperagent.ui.chat import Chat
    from paperagent.ui.line_input import terminal_restored

    within = limits(given)
    options = {"k": given["top_k"], "effort": given["effort"], **within, **_strictness(given)}
    with ctx.obj.agent(**_overrides(given)) as agent:
        warn_unused(agent.settings, given)
        papers = agent.status()["papers"]
        out = screen()
        reader = _reader(agent.settings)
        model = model_name(agent.settings)
        session = Chat(agent, reader, out, options=options, model=model, debug=ctx.obj.debug)
        session.feedback = agent.home / FEEDBACK_FILE
        if model is not None:
            session.waiting = lambda name: waiting_line(agent.settings, name, hint=QUOTES_INSTEAD)
        if reader.interactive:
            writes = f"{model} answers; " if model else ""
            out.show(
                [
                    Block(
                        "note", f"{counted(papers, 'paper')}; {writes}/help lists the commands, Ctrl-D leaves"
                    )
                ]
            )
        with terminal_restored(), _warmed(agent, session):
            code = session.run()
    ctx.exit(code)


@contextmanager
def _warmed(agent: PaperAgent, session: Chat) -> Iterator[None]:
    """Load what answering needs while the person types, out of reach of Ctrl-C."""

    def warm() -> None:
        with suppress(Exception):  # whatever is wrong, the first question says it, where it is read
            agent.warm()

    if not session.reader.interactive:
        yield
        return
    thread = threading.Thread(target=warm, name="warm")
    thread.start()
    session.ready = thread.join
    try:
        yield
    finally:
        thread.join()


def _overrides(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that stand for settings, under the settings' names."""
    names = {
        "mode": "mode",
        "model": "model",
        "max_cost": "max_cost_per_answer",
        "timeout": "timeout",
        "top_k": "top_k",
        "unsupported": "unsupported",
        "judge": "judge",
    }
    cache = False if given["no_cache"] else None
    return {"cache": cache, **{field: given[option] for option, field in names.items()}}


def warn_unused(settings: Settings, given: dict[str, Any]) -> None:
    """Say which options do nothing because no model is asked; who chose to quote knows that."""
    if settings.answer_mode != "extractive" or given["mode"] is not None:
        return
    names = ("model", "effort", "max_cost", "timeout", "strict", "unsupported", "judge")
    unused = [f"--{name.replace('_', '-')}" for name in names if given.get(name) is not None]
    if unused:
        instead = "set OPENAI_API_KEY or OPENAI_BASE_URL, or leave it out"
        warn(f"{', '.join(unused)}: no effect, since answers are quoted without a model; {instead}")


def _reader(settings: Settings) -> Reader:
    from paperagent.ui.line_input import PipeReader, PlainTerminalReader, TerminalReader

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return PipeReader(sys.stdin.buffer)
    from prompt_toolkit.utils import is_dumb_terminal

    if is_dumb_terminal():
        return PlainTerminalReader(sys.stdin.buffer, sys.stdout)
    from paperagent.ui.chat import holds_secret
    from paperagent.ui.line_input import HISTORY_FILE

    reader = TerminalReader(settings.home / HISTORY_FILE if settings.history else None, private=holds_secret)
    if reader.warning:
        warn(reader.warning)
    return reader


def words_of(given: tuple[str, ...], name: str) -> str:
    """Return the text of the arguments, or of standard input where they are missing or ``-``."""
    from paperagent.errors import InputError
    from paperagent.retrieval.question import MAX_QUESTION

    text = " ".join(given)
    if not given and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError(
            f"missing {name}: none given; write it after the command, or pipe text on stdin"
        )
    if not given or given == ("-",):
        text = _standard_input()
        if not text and not given:
            raise click.UsageError(
                f"missing {name}: none given; write it after the command, or pipe text on stdin"
            )
    if not text.strip():
        raise InputError(f"{name.lower()} is empty; write what you want to know")
    if len(text) > MAX_QUESTION:
        raise InputError(
            f"{name.lower()} too long: {len(text):,} characters (max {MAX_QUESTION:,} characters); shorten it"
        )
    return text.strip()


def _standard_input() -> str:
    from paperagent.errors import InputError
    from paperagent.ui.line_input import decode

    raw = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1) if sys.stdin else b""
    if len(raw) > MAX_STDIN_BYTES:
        raise InputError(f"standard input: over {MAX_STDIN_BYTES:,} bytes is no question; shorten it")
    return decode(raw)
