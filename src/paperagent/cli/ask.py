"""Commands that search and answer: search, ask, check and summarize."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import (
    MAX_COST_USD,
    IntegerParam,
    NumberParam,
    PathParam,
    TextParam,
    answer_options,
    common_options,
    complete_path,
    fallback_options,
    filter_options,
    json_option,
    pop_filters,
    top_k_option,
)
from paperagent.cli.session import Session, screen, show, show_json, warn

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.answering.check_claim import ClaimCheck
    from paperagent.config import Settings
    from paperagent.layout import Block
    from paperagent.types import Answer, Paper
    from paperagent.ui.streaming import WaitingLine

ENDPOINT_FAILED = 6
MAX_INPUT_BYTES = 1024 * 1024
SUMMARY_PAPERS = 20
INTERRUPT_HINT = "Ctrl-C to quote instead"
_VERDICTS = {
    "quoted": "quoted: the source contains this sentence word for word",
    "supported": "supported: the wording of the source agrees with the claim",
    "unverified": "unverified: wording neither confirms nor refutes the claim; compare it with the source",
    "unsupported": "unsupported: the source contradicts the claim or does not mention it",
}


@click.command()
@click.argument("query", nargs=-1)
@top_k_option
@filter_options
@json_option
@common_options
@click.pass_obj
def search(session: Session, /, query: tuple[str, ...], **options: Any) -> None:
    """List the papers that match QUERY, best first."""
    from paperagent.layout import Block, hit_blocks

    filters = pop_filters(options, today=session.today)
    text = argument_text(query, "QUERY")
    with session.agent(top_k=options["top_k"]) as agent:
        hits = agent.search(text, k=agent.settings.top_k, **filters)
    if options["as_json"]:
        show_json({"query": text, "hits": [hit.to_dict() for hit in hits]})
    else:
        show(hit_blocks(hits) if hits else [Block("note", "no matching papers")])


@click.command()
@click.argument("question", nargs=-1)
@top_k_option
@filter_options
@answer_options
@click.option("--quotes", is_flag=True, help="Print the quoted sentences under the sources.")
@json_option
@common_options
@click.pass_context
def ask(ctx: click.Context, /, question: tuple[str, ...], **options: Any) -> None:
    """Answer QUESTION with cited sentences.

    If QUESTION is omitted or "-", it is read from standard input.
    """
    from paperagent.layout import answer_blocks

    filters = pop_filters(options, today=ctx.obj.today)
    text = argument_text(question, "QUESTION")
    arguments = {"k": options["top_k"], "effort": options["effort"], **filters, **fallback_options(options)}
    streams = sys.stdout.isatty() and not options["as_json"]
    with ctx.obj.agent(**settings_from(options)) as agent:
        warn_about_unused_options(agent.settings, options)
        if streams:
            answer = _stream(agent, text, arguments, quotes=options["quotes"])
        else:
            with waiting_line(agent.settings):
                answer = agent.ask(text, **arguments)
        log = ctx.obj.answer_log(agent.settings)
    if options["as_json"]:
        show_json(answer.to_dict())
    elif not streams:
        show(answer_blocks(answer, quotes=options["quotes"]))
    if log is not None:
        log.append(answer)
        if log.warning:
            warn(log.warning)
    if answer.status == "incomplete":
        ctx.exit(ENDPOINT_FAILED)


def settings_from(options: dict[str, Any]) -> dict[str, Any]:
    """Return the answer options that override settings, under the names of the settings."""
    fields = {
        "mode": "mode",
        "model": "model",
        "max_cost": "max_cost_per_answer",
        "timeout": "timeout",
        "top_k": "top_k",
        "unsupported": "unsupported",
        "judge": "judge",
    }
    cache = False if options["no_cache"] else None
    return {"cache": cache, **{field: options[option] for option, field in fields.items()}}


def warn_about_unused_options(settings: Settings, options: dict[str, Any]) -> None:
    """Warn about options that have no effect because no model is configured.

    Nothing is printed if --mode was given: the user chose to quote.
    """
    if settings.answer_mode != "extractive" or options["mode"] is not None:
        return
    names = ("model", "effort", "max_cost", "timeout", "strict", "unsupported", "judge")
    unused = [f"--{name.replace('_', '-')}" for name in names if options.get(name) is not None]
    if unused:
        warn(
            f"{', '.join(unused)}: no effect, because no model is configured and answers are quoted; "
            "set OPENAI_API_KEY or OPENAI_BASE_URL, or drop the option"
        )


def waiting_line(settings: Settings, model: str | None = None, *, hint: str = "") -> WaitingLine:
    """Return the line that counts the seconds until the model answers; it shows only on a terminal."""
    from urllib.parse import urlsplit

    from paperagent.factory import model_name
    from paperagent.ui.streaming import WaitingLine

    name = model or model_name(settings)
    host = urlsplit(settings.openai_base_url or "").netloc.rpartition("@")[2] or "api.openai.com"
    visible = name is not None and sys.stderr is not None and sys.stderr.isatty()
    return WaitingLine(sys.stderr if visible else None, f"{name or 'the model'} at {host}", hint=hint)


def _stream(agent: PaperAgent, question: str, arguments: dict[str, Any], *, quotes: bool) -> Answer:
    """Print the answer claim by claim and return it.

    Before the first claim, Ctrl-C switches to quoted sentences. After it, Ctrl-C keeps the claims
    printed so far, marks the answer as incomplete, and exits.
    """
    from paperagent.errors import EndpointError
    from paperagent.layout import nearest_blocks
    from paperagent.ui.streaming import StreamedAnswer

    mode = agent.settings.answer_mode
    line = waiting_line(agent.settings, hint=INTERRUPT_HINT) if mode != "extractive" else None
    streamed = StreamedAnswer(screen(), titles=mode != "llm", quotes=quotes, waiting=line)
    try:
        quoted = partial(agent.ask_stream, question, **{**arguments, "mode": "extractive"})
        streamed.follow(agent.ask_stream(question, **arguments), quoted)
    except KeyboardInterrupt:
        streamed.cut_off(question, "stopped")
        raise
    except EndpointError as error:
        streamed.screen.show(nearest_blocks(error.hits))
        raise
    assert streamed.answer is not None
    return streamed.answer


@click.command()
@click.argument("claim", nargs=-1)
@click.option(
    "--paper", type=TextParam(), metavar="ID", help="Check the claim against this paper's abstract."
)
@click.option(
    "--against",
    metavar="FILE",
    shell_complete=complete_path,
    help="Check the claim against the text in FILE; - reads standard input.",
)
@click.option("--question", type=TextParam(), help="The question that the claim answers, as context.")
@json_option
@common_options
@click.pass_obj
def check(session: Session, /, claim: tuple[str, ...], **options: Any) -> None:
    """Check whether a paper or a text supports CLAIM; print the verdict, the score and the reasons.

    The check compares wording and uses no model. The exit code is 0 for every verdict.
    """
    from paperagent.answering import check_claim

    paper_id, against = options["paper"], options["against"]
    if (paper_id is None) == (against is None):
        raise click.UsageError("--paper and --against: give exactly one of them")
    if against == "-" and claim in ((), ("-",)):
        raise click.UsageError("--against -: standard input is the text; give CLAIM as an argument")
    text, question = argument_text(claim, "CLAIM"), options["question"] or ""
    paper = None
    if paper_id is not None:
        with session.agent() as agent:
            paper = agent.get(paper_id)
        result = check_claim.check(text, title=paper.title, abstract=paper.abstract, question=question)
    else:
        result = check_claim.check(text, abstract=_read_source(against), question=question)
    if options["as_json"]:
        source = {"paper": {"paper_id": paper.paper_id, "title": paper.title}} if paper else {}
        show_json({**result.to_dict(), **source})
    else:
        show(_check_blocks(result, paper))


def _check_blocks(result: ClaimCheck, paper: Paper | None) -> Iterator[Block]:
    from paperagent.layout import Block, row_blocks

    yield Block("text", result.claim)
    yield Block("note", _VERDICTS[result.support])
    reasons = [("reason", reason) for reason in result.reasons]
    yield from row_blocks([("score", f"{result.score:.2f}"), *reasons])
    if paper:
        yield Block("item", paper.title, detail=paper.paper_id, url=paper.url)
    yield from (Block("quote", sentence, tight=i > 0) for i, sentence in enumerate(result.sources))


def _read_source(name: str) -> str:
    """Return the text of a file, or of standard input for ``-``.

    Raises:
        FeedError: The text cannot be read, is too long or is empty.
    """
    from paperagent.errors import FeedError, InputError, visible
    from paperagent.ui.line_input import decode

    label = "standard input" if name == "-" else visible(name, limit=200)
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1) if sys.stdin else b""
        else:
            with Path(PathParam().convert(name, None, None)).open("rb") as file:
                raw = file.read(MAX_INPUT_BYTES + 1)
        text = decode(raw)
    except OSError as error:
        raise FeedError(f"{label}: cannot be read: {error.strerror}; give a text file") from None
    except InputError as error:
        raise FeedError(f"{label}: {error}") from None
    if len(raw) > MAX_INPUT_BYTES:
        raise FeedError(f"{label}: larger than {MAX_INPUT_BYTES:,} bytes; give only the relevant part")
    if not text.strip():
        raise FeedError(f"{label}: is empty; give the text to check the claim against")
    return text


@click.command()
@click.argument("query", nargs=-1)
@click.option(
    "--ids", type=TextParam(), metavar="A,B", help="Summarize these papers instead of running a search."
)
@click.option(
    "-k",
    "--top-k",
    "k",
    type=IntegerParam(1, 100),
    default=SUMMARY_PAPERS,
    show_default=True,
    help="Maximum number of papers.",
)
@filter_options
@click.option(
    "--mode",
    type=click.Choice(["extractive", "llm"]),
    help="extractive: quote sentences; llm: let a model write.",
)
@click.option("--model", type=TextParam(), help="Model to use (default: PAPERAGENT_MODEL).")
@click.option(
    "--max-cost",
    type=NumberParam(MAX_COST_USD, zero=True),
    help="Maximum cost of the summary in US dollars (default: PAPERAGENT_MAX_COST_PER_ANSWER, else 1).",
)
@click.option("--no-cache", is_flag=True, help="Ignore the reply cache.")
@click.option("--quotes", is_flag=True, help="Print the quoted sentences under the sources.")
@json_option
@common_options
@click.pass_obj
def summarize(session: Session, /, query: tuple[str, ...], **options: Any) -> None:
    """Write a cited overview of the papers on QUERY, or of the papers given with --ids, by theme.

    For a single paper, the summary covers the problem, the contribution and the result.
    """
    from paperagent.layout import answer_blocks

    filters = pop_filters(options, today=session.today)
    ids = options["ids"]
    if ids is not None and (query or any(filters.values())):
        raise click.UsageError("--ids and QUERY or filters: cannot be combined; use one of them")
    overrides = {"mode": options["mode"], "model": options["model"]}
    with session.agent(cache=False if options["no_cache"] else None, **overrides) as agent:
        if ids is not None:
            paper_ids = [i.strip() for i in ids.split(",") if i.strip()]
            answer = agent.summarize(ids=paper_ids, max_cost=options["max_cost"])
        else:
            text = argument_text(query, "QUERY")
            answer = agent.summarize(text, k=options["k"], max_cost=options["max_cost"], **filters)
    if options["as_json"]:
        show_json(answer.to_dict())
    else:
        show(answer_blocks(answer, quotes=options["quotes"]))


def argument_text(words: tuple[str, ...], name: str) -> str:
    """Return the text of an argument, or of standard input if it is missing or ``-``.

    Raises:
        click.UsageError: There is no text.
        InputError: The text is blank, too long or not UTF-8.
    """
    from paperagent.errors import InputError
    from paperagent.retrieval.question import MAX_QUESTION

    text = " ".join(words)
    if words == ("-",) or (not words and sys.stdin is not None and not sys.stdin.isatty()):
        text = _read_stdin()
    if not words and not text:
        raise click.UsageError(
            f"missing {name}: no text given; write it after the command, or pipe it to standard input"
        )
    if not text.strip():
        raise InputError(f"{name.lower()} is empty; enter some text")
    if len(text) > MAX_QUESTION:
        raise InputError(
            f"{name.lower()} too long: {len(text):,} characters (max {MAX_QUESTION:,} characters); shorten it"
        )
    return text.strip()


def _read_stdin() -> str:
    from paperagent.errors import InputError
    from paperagent.ui.line_input import decode

    raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1) if sys.stdin else b""
    if len(raw) > MAX_INPUT_BYTES:
        raise InputError(f"standard input: too long (over {MAX_INPUT_BYTES:,} bytes); shorten it")
    return decode(raw)
