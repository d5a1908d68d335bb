"""Commands on test cases: init and cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paperagent.cli.eval_run import feed_library
from paperagent.cli.options import CommandGroup, PathParam, common_options
from paperagent.cli.session import Session, show, show_text


@click.command()
@click.argument("file", type=PathParam(), default="cases.jsonl")
@common_options
def init(file: Path) -> None:
    """Write an example case file.

    FILE (default: cases.jsonl) explains every field.
    """
    from paperagent.errors import InputError, visible
    from paperagent.evals.cases import CASE_TEMPLATE

    path = visible(str(file), limit=200)
    try:
        with file.open("x", encoding="utf-8") as output:
            try:
                output.write(CASE_TEMPLATE)
                output.flush()
            except OSError:  # a full disk
                file.unlink()
                raise
    except FileExistsError:
        raise InputError(f"{path}: exists; choose another name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; choose another place") from None
    show_text(f"written: {path}", plain=True)


@click.group(cls=CommandGroup)
@common_options
def cases() -> None:
    """Check case files, and add cases to them."""


@cases.command("check")
@click.argument("file", metavar="CASES", type=PathParam())
@click.option(
    "--feed", "feeds", multiple=True, metavar="SOURCE", help="Check against a library of this feed only."
)
@common_options
@click.pass_context
def check_cases(ctx: click.Context, /, file: Path, feeds: tuple[str, ...]) -> None:
    """Check a case file against the library.

    Lists the papers and sentences that CASES refers to and the library lacks; exits with 4 if there are any.
    """
    from paperagent.evals import cases as case_reader
    from paperagent.evals import runner
    from paperagent.layout import Block, counted

    loaded = case_reader.load(file)
    with feed_library(ctx.obj.settings(), feeds) as agent:
        problems = runner.library_problems(agent, loaded)
    count = f"{counted(len(loaded), 'case')}, {counted(len(problems), 'problem')}"
    show([*(Block("note", text, tight=True) for text in problems), Block("text", count)])
    if problems:
        ctx.exit(4)


@cases.command("add")
@click.argument("file", metavar="CASES", type=PathParam())
@click.option(
    "--answer",
    type=PathParam(),
    metavar="ANSWER.json",
    help="Use this saved answer instead of the feedback from chat.",
)
@click.option("--good/--bad", "good", default=None, help="With --answer: whether the answer was right.")
@click.option("--note", default="", help="Comment for human readers.")
@click.option("--unanswerable", is_flag=True, help="The abstracts do not contain the answer.")
@common_options
@click.pass_obj
def add_cases(session: Session, /, file: Path, **options: Any) -> None:
    """Add the answers rated in chat.

    Adds each answer rated /good or /bad to CASES, once. The file is created if it is missing. A bad answer
    says only what is wrong; add the expected answer by hand.
    """
    from paperagent.evals import feedback
    from paperagent.layout import Block, counted

    if (options["answer"] is None) != (options["good"] is None):
        raise click.UsageError("--answer and --good/--bad: must be used together; give both")
    if options["answer"] is not None:
        ratings = [
            feedback.feedback_for_answer(options["answer"], good=options["good"], note=options["note"])
        ]
    else:
        ratings = feedback.read_feedback(session.settings().home / feedback.FEEDBACK_FILE)
    new = feedback.add_cases(
        file,
        [feedback.case_from_feedback(rating, unanswerable=options["unanswerable"]) for rating in ratings],
    )
    blocks = [Block("row", case.question, marker=case.id, tight=True) for case in new]
    if incomplete := [case.id for case in new if "bad" in case.tags and case.answerable]:
        blocks.append(Block("note", f"add the expected answer by hand: {', '.join(incomplete)}"))
    blocks.append(Block("text", f"{counted(len(new), 'case')} added to {file}", plain=True))
    show(blocks)
