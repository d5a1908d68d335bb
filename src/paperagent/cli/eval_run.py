"""The evaluation harness on the command line: cases and runs; `evaluating_reports` has the rest."""

from __future__ import annotations

import datetime as dt
import importlib
from pathlib import Path
from typing import Any

import click

from paperagent.cli.options import Folder, Positive, Whole, Words, as_json, common, judging, top_k
from paperagent.cli.session import Session, Told, progress_bar, show

RUNS = Path("eval-runs")
"""Where runs go that are given no place, in the current folder."""
_REPORTS = ("report", "compare", "calibrate", "selftest")


class _Evaluation(click.Group):
    """Finds the commands on finished runs when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_REPORTS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _REPORTS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module("paperagent.cli.eval_reports")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group("eval", cls=_Evaluation)
@common
def evaluation() -> None:
    """Ask cases, score the answers against the source text, compare runs."""


globals()["eval"] = evaluation  # the command's name; an assignment would hide the builtin from this module


def asking(command: Any) -> Any:
    """Add what says which cases are asked, of which library and how."""
    options = [
        click.option("--qrels", type=Folder(), help="Judgements of CASES, a file of queries: search alone."),
        click.option("--split", type=Words(), help="Which judgements of a BEIR folder (default: test)."),
        click.option("--feed", "feeds", multiple=True, metavar="SOURCE", help="Ask a library of this alone."),
        click.option("--library", type=Folder(), help="Ask this library; where --feed or a BEIR folder go."),
        click.option("--replay", type=Folder(), metavar="RUN", help="Take the model's replies from a run."),
        click.option("--limit", type=Whole(1, 1_000_000), help="Only so many cases, drawn by --seed."),
        click.option("--seed", type=Whole(0, 2**31), default=0, show_default=True, help="Of all chance."),
        click.option("--concurrency", type=Whole(1, 64), help="Cases at once (with a model 4, else 1)."),
        click.option(
            "--mode",
            type=click.Choice(["extractive", "select", "llm", "retrieval"]),
            help="Quote sentences, quote those that a model chooses, have a model write, or only search.",
        ),
        click.option("--model", type=Words(), help="The model that writes (default: PAPERAGENT_MODEL)."),
        click.option("--embedder", type=Words(), help="As PAPERAGENT_EMBEDDER; none: by words alone."),
        click.option("--effort", type=click.Choice(["fast", "deep"]), help="As of ask."),
        click.option("--max-cost", type=Positive(1000, zero=True), help="US dollars an answer may cost."),
        click.option("--timeout", type=Positive(3600), help="Seconds an answer may take at the endpoint."),
        click.option("--unsupported", type=click.Choice(["withhold", "mark", "repair"]), help="As of ask."),
        *judging(),
        click.option(
            "--strict",
            is_flag=True,
            default=None,
            help="As in ask: where the model fails, its case is an error.",
        ),
        top_k,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@evaluation.command("run")
@click.argument("cases", type=Folder())
@asking
@click.option("--out", type=Folder(), help="The run's folder (default: a new one in eval-runs).")
@click.option("--gate", "gate_file", type=Folder(), help="Thresholds (TOML); exit 9 where one is not kept.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@as_json
@common
@click.pass_obj
def run(session: Session, /, cases: Path, **given: Any) -> None:
    """Ask CASES and score the answers: a file of cases, a BEIR folder, or queries with --qrels.

    Running into the same --out again goes on where it stopped, and asks errors again.
    """
    from paperagent.cli import eval_setup
    from paperagent.cli.ask import warn_unused
    from paperagent.cli.eval_reports import print_tables, say
    from paperagent.evals import gate, runner
    from paperagent.evals.report import tables

    eval_setup.refuse_unused(cases, given)
    limits = gate.load(given["gate_file"]) if given["gate_file"] else None
    asked = eval_setup.read_cases(cases, given)
    settings = eval_setup.read_settings(session, given)
    how = eval_setup.setup(asked, settings, given)
    if how.mode == "extractive" and how.recorded is None:
        warn_unused(settings, given)
    out = given["out"] or RUNS / f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{cases.stem}-{how.mode}"
    told = Told()
    with (
        progress_bar(quiet=given["quiet"] or given["as_json"]) as progress,
        eval_setup.library(asked, how, settings, given, progress) as agent,
    ):
        how = eval_setup.with_thresholds(how, agent)
        finished, rows = runner.run_cases(agent, asked.cases, how, out, progress=progress, warn=told)
    told.end()
    if given["as_json"]:
        show(lambda: finished.model_dump(mode="json"), [], as_json=True)
    elif not given["quiet"]:
        print_tables(tables.run_tables(finished, rows))
        say(f"kept in {out}; `paperagent eval report {out} --html report.html` shows every case")
    if limits is not None:
        gate.enforce(limits, rows, seed=finished.seed)


@evaluation.command("init")
@click.argument("file", type=Folder(), default="cases.jsonl")
@common
def init(file: Path) -> None:
    """Write an example FILE of cases (default: cases.jsonl), with every field explained."""
    from paperagent.errors import InputError, visible
    from paperagent.evals.cases import CASE_TEMPLATE
    from paperagent.layout import Block

    shown = visible(str(file))
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(CASE_TEMPLATE)
    except FileExistsError:
        raise InputError(f"{shown}: exists; choose another name") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot be written: {error.strerror}; choose another place") from None
    show(dict, [Block("text", f"written: {shown}", plain=True)], as_json=False)


@evaluation.group("cases")
@common
def case_files() -> None:
    """Check files of cases, and make cases of answers."""


@case_files.command("check")
@click.argument("cases", type=Folder())
@click.option("--feed", "feeds", multiple=True, metavar="SOURCE", help="Hold them against this alone.")
@common
@click.pass_context
def check(ctx: click.Context, /, cases: Path, feeds: tuple[str, ...]) -> None:
    """Tell whether CASES can be read, and what of them the library lacks; exit 4 where it does."""
    from paperagent.cli import eval_setup
    from paperagent.evals import cases as reader
    from paperagent.evals import runner
    from paperagent.layout import Block, counted

    found = reader.load(cases)
    with eval_setup.feed_library(ctx.obj.settings(), feeds) as agent:
        lacking = runner.library_problems(agent, found)
    count = f"{counted(len(found), 'case')}, {counted(len(lacking), 'problem')}"
    show(dict, [*(Block("note", text, tight=True) for text in lacking), Block("text", count)], as_json=False)
    if lacking:
        ctx.exit(4)


@case_files.command("add")
@click.argument("cases", type=Folder())
@click.option("--answer", type=Folder(), metavar="ANSWER.json", help="Of this saved answer, not of chat's.")
@click.option("--good/--bad", "good", default=None, help="Whether that answer was right.")
@click.option("--note", default="", help="Why, for people.")
@click.option("--unanswerable", is_flag=True, help="It should have been: the abstracts do not say.")
@common
@click.pass_obj
def add(session: Session, /, cases: Path, **given: Any) -> None:
    """Add what was called /good or /bad in chat to CASES, each once; the file is made where there is none.

    Of a bad answer it is only known what must not be said again: add by hand what should be.
    """
    from paperagent.evals import feedback
    from paperagent.evals.feedback import FEEDBACK_FILE
    from paperagent.layout import Block, counted

    if (given["answer"] is None) != (given["good"] is None):
        raise click.UsageError("--answer: needs --good or --bad, and they need it; give both")
    if given["answer"] is not None:
        kept = [feedback.feedback_for_answer(given["answer"], good=given["good"], note=given["note"])]
    else:
        kept = feedback.read_feedback(session.settings().home / FEEDBACK_FILE)
    new = feedback.add_cases(
        cases, [feedback.case_from_feedback(one, unanswerable=given["unanswerable"]) for one in kept]
    )
    lines = [Block("row", case.question, marker=case.id, tight=True) for case in new]
    done = [case.id for case in new if "bad" in case.tags and case.answerable]
    todo = [Block("note", f"complete by hand what is right: {', '.join(done)}")] if done else []
    show(
        dict,
        [*lines, *todo, Block("text", f"{counted(len(new), 'case')} added to {cases}", plain=True)],
        as_json=False,
    )
