"""What is done with finished runs: reports, comparison, calibration; and the test of the harness itself."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import Folder, Positive, Whole, Words, as_json, common, top_k
from paperagent.cli.session import Session, Told, progress_bar, show

if TYPE_CHECKING:
    from paperagent.evals.calibrate import Calibration
    from paperagent.evals.cases import Case
    from paperagent.evals.report.tables import Table
    from paperagent.evals.selftest import FaultResult
    from paperagent.types import Paper

_GATE = click.option(
    "--gate", "gate_file", type=Folder(), help="Thresholds (TOML); exit 9 where one is not kept."
)
SHOWN_MISSES = 3


@click.command()
@click.argument("run", type=Folder())
@click.option(
    "--html", "page", type=Folder(), metavar="FILE", help="Write it as one page, with plots and every case."
)
@click.option("--markdown", type=Folder(), metavar="FILE", help="Write it as Markdown.")
@click.option("--junit", type=Folder(), metavar="FILE", help="Write it as JUnit XML: a test a case.")
@click.option(
    "--cases", type=Folder(), metavar="FILE", help="The cases, so that the page says what was wanted."
)
@_GATE
@as_json
@common
def report(*, run: Path, **given: Any) -> None:
    """Show the figures of RUN, a folder that eval run wrote: by kind, by metric, and what failed."""
    from paperagent.evals import gate, results
    from paperagent.evals.report import html
    from paperagent.evals.report import tables as writer
    from paperagent.evals.report.tables import markdown

    limits = gate.load(given["gate_file"]) if given["gate_file"] else None
    found, answered = results.load(run)
    found = writer.with_metrics(found, answered)
    tables = writer.run_tables(found, answered)
    if given["page"] is not None:
        _write(given["page"], html.run_page(found, answered, cases=_cases(given["cases"])))
    if given["markdown"] is not None:
        _write(given["markdown"], markdown(tables))
    if given["junit"] is not None:
        _write(given["junit"], writer.junit(found, answered))
    if given["as_json"]:
        show(lambda: found.model_dump(mode="json"), [], as_json=True)
    elif given["page"] is given["markdown"] is given["junit"] is None:
        print_tables(tables)
    if limits is not None:
        gate.enforce(limits, answered, seed=found.seed, count=found.count)
        say(f"gate {limits.name}: kept")


def _cases(path: Path | None) -> dict[str, Case]:
    from paperagent.evals import cases

    return {case.id: case for case in cases.load(path)} if path else {}


@click.command()
@click.argument("a", type=Folder())
@click.argument("b", type=Folder())
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=Words(),
    help="What the verdict rests on; may be repeated (default: correct and citation_recall).",
)
@_GATE
@as_json
@common
def compare(*, a: Path, b: Path, metrics: tuple[str, ...], gate_file: Path | None, as_json: bool) -> None:
    """Say whether run B is better or worse than run A, on the cases that both have; exit 9 if worse.

    Only what chance does not explain counts: flips of single cases in both directions are no
    difference. --gate holds thresholds for B.
    """
    from paperagent.errors import GateError
    from paperagent.evals import compare as comparing
    from paperagent.evals import gate, results
    from paperagent.evals.report import tables as writer

    limits = gate.load(gate_file) if gate_file else None
    after = results.load(b)
    found = comparing.compare(results.load(a), after, judged=metrics)
    if as_json:
        show(found.to_dict, [], as_json=True)
    else:
        print_tables(writer.comparison_tables(found))
        for note in found.notes:
            say(f"Note: {note}.")
        say(f"Verdict: {found.sentence}")
    if found.verdict == "worse":
        worse = ", ".join(c.name for c in found.changes if c.verdict == "worse")
        raise GateError(f"compare: B is worse than A on {worse}; `paperagent eval report` shows the cases")
    if limits is not None:
        gate.enforce(limits, after[1], seed=after[0].seed, count=after[0].count)
        say(f"gate {limits.name}: kept")


@click.command()
@click.argument("cases", type=Folder(), required=False)
@click.option(
    "--max-refused", type=Positive(1, zero=True), help="Share of answerable questions that may be refused."
)
@click.option("--sure", type=Positive(1), help="Share of answers without doubt that must be answerable.")
@click.option("--html", "page", type=Folder(), metavar="FILE", help="Write the curves as a page.")
@click.option("--dry-run", is_flag=True, help="Choose, but leave the library as it is.")
@click.option("--reset", is_flag=True, help="Go back to the thresholds that paperagent comes with.")
@top_k
@as_json
@common
@click.pass_obj
def calibrate(session: Session, /, *, cases: Path | None, **given: Any) -> None:
    """Ask CASES and keep with the library the confidence that its extractive answers need.

    At least 10 answerable and 10 unanswerable cases are needed; 50 of each are better.
    """
    from paperagent.evals import calibrate as choosing
    from paperagent.evals import runner
    from paperagent.evals.cases import load
    from paperagent.evals.report import html

    if (cases is None) != given["reset"]:
        raise click.UsageError("CASES or --reset: give one of them")
    with session.agent(top_k=given["top_k"], mode="extractive") as agent:
        if cases is None:
            agent.set_thresholds(None)
            say("the library has the thresholds again that paperagent comes with")
            return
        before, wanted, told = agent.thresholds(), load(cases), Told()
        for problem in runner.library_problems(
            agent, wanted
        ):  # cases of another library would set this one's thresholds
            told(problem)
        told.end()
        with progress_bar(quiet=given["as_json"]) as progress:
            asked = choosing.measure_confidences(agent, wanted, k=agent.settings.top_k, progress=progress)
        chosen = {n: given[n] for n in ("max_refused", "sure") if given[n] is not None}
        found = choosing.calibrate(asked, before=before, **chosen)
        if given["page"] is not None:
            _write(given["page"], html.calibration_page(found, cases.name))
        if not given["dry_run"]:
            agent.set_thresholds(found.thresholds)
    _show_calibration(found, kept=not given["dry_run"], as_json=given["as_json"])


def _show_calibration(found: Calibration, *, kept: bool, as_json: bool) -> None:
    from paperagent.evals.calibrate import calibration_tables

    if as_json:
        show(lambda: {**found.to_dict(), "kept": kept}, [], as_json=True)
        return
    print_tables(calibration_tables(found))
    now = found.thresholds
    say(
        f"{'Kept with the library' if kept else 'Not kept'}: abstain below {now.abstain_below:g}, "
        f"closest passages below {now.doubt_below:g}"
    )


@click.command()
@click.option("--library", is_flag=True, help="On the person's own library instead of the sample feed.")
@click.option("--limit", type=Whole(1, 10_000), default=200, show_default=True, help="Answers of each kind.")
@click.option("--seed", type=Whole(0, 2**31), default=7, show_default=True, help="Of all chance.")
@click.option(
    "--floor", type=Positive(1, zero=True), help="Share of each kind that must be seen (default: .9)."
)
@click.option(
    "--missed", is_flag=True, help="Also show faults that were not seen, and answers flagged wrongly."
)
@as_json
@common
@click.pass_obj
def selftest(session: Session, /, **given: Any) -> None:
    """Put known faults into right answers and show what share of each kind the scorers see.

    Exit 9 where a kind falls below --floor, or an untouched answer is flagged.
    """
    from paperagent.evals import selftest as testing
    from paperagent.evals.report import tables as writer

    papers = _library(session) if given["library"] else _sample()
    found = testing.run_selftest(papers, most=given["limit"], seed=given["seed"])
    if given["as_json"]:
        show(lambda: [c.to_dict() for c in found], [], as_json=True)
    else:
        print_tables([writer.selftest_table(found)])
        if given["missed"]:
            print_tables(_misses(found))
    testing.require(found, floor=testing.FLOOR if given["floor"] is None else given["floor"])


def _library(session: Session) -> list[Paper]:
    with session.agent() as agent:
        return list(agent.papers())


def _sample() -> list[Paper]:
    from paperagent.feeds.reader import open_feed, sample_path
    from paperagent.types import Paper

    with open_feed(sample_path()) as feed:
        return [record for record in feed.records if isinstance(record, Paper)]


def _misses(found: Iterable[FaultResult]) -> list[Table]:
    from paperagent.evals.report.tables import Table

    rows = [
        (c.kind, example.answer.claims[0].text if example.answer.claims else "")
        for c in found
        for example in c.wrong[:SHOWN_MISSES]
    ]
    return [Table("Not seen, or flagged wrongly", ("kind", "first claim"), tuple(rows), words=True)]


def print_tables(tables: Iterable[Table]) -> None:
    """Print aligned text on a terminal, Markdown elsewhere."""
    from paperagent.evals.report.tables import markdown, text

    if sys.stdout.isatty():
        sys.stdout.write(text(tables, width=shutil.get_terminal_size((100, 24)).columns))
    else:
        sys.stdout.write(markdown(tables))


def say(line: str) -> None:
    """Print one line under what stands there."""
    from paperagent.errors import visible

    sys.stdout.write(f"\n{visible(line)}\n")


def _write(path: Path, text: str) -> None:
    from paperagent.errors import EvalError, visible

    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise EvalError(
            f"{visible(str(path))}: cannot be written: {error.strerror}; choose another place"
        ) from None
