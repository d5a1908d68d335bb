"""Commands on finished evaluation runs: report, compare and calibrate; and the self-test of the scorers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.eval_run import case_warnings
from paperagent.cli.options import (
    IntegerParam,
    NumberParam,
    PathParam,
    TextParam,
    common_options,
    json_option,
    top_k_option,
)
from paperagent.cli.session import Session, print_line, print_tables, progress_bar, show_json

if TYPE_CHECKING:
    from paperagent.evals.calibrate import Calibration
    from paperagent.evals.cases import Case
    from paperagent.evals.report.tables import Table
    from paperagent.evals.selftest import FaultResult
    from paperagent.types import Paper

MAX_EXAMPLES = 3
"""Undetected faults printed for each kind."""
_gate_option = click.option(
    "--gate", "gate_file", type=PathParam(), help="Thresholds (TOML); exit with 9 if any is missed."
)


@click.command()
@click.argument("run", type=PathParam())
@click.option(
    "--html",
    "html_file",
    type=PathParam(),
    metavar="FILE",
    help="Write an HTML page with plots and every case.",
)
@click.option("--markdown", type=PathParam(), metavar="FILE", help="Write Markdown.")
@click.option("--junit", type=PathParam(), metavar="FILE", help="Write JUnit XML, one test per case.")
@click.option(
    "--cases", type=PathParam(), metavar="FILE", help="Case file, to show the expected answers in the page."
)
@_gate_option
@json_option
@common_options
def report(*, run: Path, **options: Any) -> None:
    """Show the results of a run.

    RUN is a folder written by 'eval run'. The results are shown by kind and by metric, with the failures.
    """
    from paperagent.evals import gate, results
    from paperagent.evals.report import html, tables

    thresholds = gate.load(options["gate_file"]) if options["gate_file"] else None
    loaded, rows = results.load(run)
    loaded = tables.with_metrics(loaded, rows)
    summary = tables.run_tables(loaded, rows)
    html_file, markdown_file, junit_file = options["html_file"], options["markdown"], options["junit"]
    if html_file is not None:
        _write(html_file, html.run_page(loaded, rows, cases=_load_cases(options["cases"])))
    if markdown_file is not None:
        _write(markdown_file, tables.markdown(summary))
    if junit_file is not None:
        _write(junit_file, tables.junit(loaded, rows))
    if options["as_json"]:
        show_json(loaded.model_dump(mode="json"))
    elif html_file is markdown_file is junit_file is None:
        print_tables(summary)
    if thresholds is not None:
        gate.enforce(thresholds, rows, seed=loaded.seed, count=loaded.count)
        print_line(f"Gate {thresholds.name}: passed.")


def _load_cases(path: Path | None) -> dict[str, Case]:
    from paperagent.evals import cases

    return {case.id: case for case in cases.load(path)} if path else {}


@click.command()
@click.argument("a", type=PathParam())
@click.argument("b", type=PathParam())
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=TextParam(),
    help="Metric that decides the verdict; may be repeated (default: correct and citation_recall).",
)
@_gate_option
@json_option
@common_options
def compare(*, a: Path, b: Path, metrics: tuple[str, ...], gate_file: Path | None, as_json: bool) -> None:
    """Compare two runs on their common cases.

    Exits with 9 if B is worse than A. Only statistically significant differences count. --gate applies its
    thresholds to B.
    """
    from paperagent.errors import GateError
    from paperagent.evals import compare as comparing
    from paperagent.evals import gate, results
    from paperagent.evals.report import tables

    thresholds = gate.load(gate_file) if gate_file else None
    after = results.load(b)
    comparison = comparing.compare(results.load(a), after, judged=metrics)
    if as_json:
        show_json(comparison.to_dict())
    else:
        print_tables(tables.comparison_tables(comparison))
        for note in comparison.notes:
            print_line(f"Note: {note}.")
        print_line(f"Verdict: {comparison.sentence}")
    if comparison.verdict == "worse":
        worse = ", ".join(c.name for c in comparison.changes if c.verdict == "worse")
        raise GateError(f"compare: B is worse than A on {worse}; see the cases with 'paperagent eval report'")
    if thresholds is not None:
        gate.enforce(thresholds, after[1], seed=after[0].seed, count=after[0].count)
        print_line(f"Gate {thresholds.name}: passed.")


@click.command()
@click.argument("cases", type=PathParam(), required=False)
@click.option(
    "--max-refused",
    type=NumberParam(1, zero=True),
    help="Maximum share of answerable questions that may be refused.",
)
@click.option(
    "--sure", type=NumberParam(1), help="Minimum share of confident answers that must be answerable."
)
@click.option(
    "--html",
    "html_file",
    type=PathParam(),
    metavar="FILE",
    help="Write the curves as an HTML page.",
)
@click.option("--dry-run", is_flag=True, help="Compute the thresholds without storing them.")
@click.option("--reset", is_flag=True, help="Restore the default thresholds.")
@top_k_option
@json_option
@common_options
@click.pass_obj
def calibrate(session: Session, /, *, cases: Path | None, **options: Any) -> None:
    """Calibrate when extractive answers abstain.

    Runs CASES and stores the confidence thresholds in the library. Requires at least 10 answerable and 10
    unanswerable cases; 50 of each are recommended.
    """
    from paperagent.evals import calibrate as calibration
    from paperagent.evals import runner
    from paperagent.evals.cases import load
    from paperagent.evals.report import html

    if (cases is None) != options["reset"]:
        raise click.UsageError("CASES or --reset: give one of them")
    with session.agent(top_k=options["top_k"], mode="extractive") as agent:
        if cases is None:
            agent.set_thresholds(None)
            print_line("Default thresholds restored.")
            return
        before, loaded, warnings = agent.thresholds(), load(cases), case_warnings()
        for problem in runner.library_problems(
            agent, loaded
        ):  # cases of another library give wrong thresholds
            warnings(problem)
        warnings.finish()
        with progress_bar(quiet=options["as_json"]) as progress:
            outcomes = calibration.measure_confidences(
                agent, loaded, k=agent.settings.top_k, progress=progress
            )
        targets = {name: options[name] for name in ("max_refused", "sure") if options[name] is not None}
        result = calibration.calibrate(outcomes, before=before, **targets)
        if options["html_file"] is not None:
            _write(options["html_file"], html.calibration_page(result, cases.name))
        if not options["dry_run"]:
            agent.set_thresholds(result.thresholds)
    _show_calibration(result, stored=not options["dry_run"], as_json=options["as_json"])


def _show_calibration(result: Calibration, *, stored: bool, as_json: bool) -> None:
    from paperagent.evals.calibrate import calibration_tables

    if as_json:
        show_json({**result.to_dict(), "kept": stored})
        return
    print_tables(calibration_tables(result))
    print_line(result.summary)
    thresholds = result.thresholds
    print_line(
        f"{'Stored in the library' if stored else 'Not stored'}: abstain below "
        f"{thresholds.abstain_below:g}, show only the closest passages below {thresholds.doubt_below:g}"
    )


@click.command()
@click.option("--library", is_flag=True, help="Use your own library instead of the sample feed.")
@click.option(
    "--limit",
    type=IntegerParam(1, 10_000),
    default=200,
    show_default=True,
    help="Maximum number of answers of each kind.",
)
@click.option("--seed", type=IntegerParam(0, 2**31), default=7, show_default=True, help="Random seed.")
@click.option(
    "--floor",
    type=NumberParam(1, zero=True),
    help="Minimum share of each kind of fault that must be detected (default: .9).",
)
@click.option("--missed", is_flag=True, help="Also show undetected faults and false alarms.")
@json_option
@common_options
@click.pass_obj
def selftest(session: Session, /, **options: Any) -> None:
    """Test the scorers with injected faults.

    Injects known faults into correct answers and shows what share of each kind the scorers detect. Exits
    with 9 if a kind falls below --floor or an unmodified answer is flagged.
    """
    from paperagent.evals import selftest as testing
    from paperagent.evals.report import tables

    papers = _library_papers(session) if options["library"] else _sample_papers()
    results = testing.run_selftest(papers, max_answers=options["limit"], seed=options["seed"])
    if options["as_json"]:
        show_json([result.to_dict() for result in results])
    else:
        print_tables([tables.selftest_table(results)])
        if options["missed"]:
            print_tables([_missed_table(results)])
    testing.require(results, floor=testing.FLOOR if options["floor"] is None else options["floor"])


def _library_papers(session: Session) -> list[Paper]:
    with session.agent() as agent:
        return list(agent.papers())


def _sample_papers() -> list[Paper]:
    from paperagent.feeds.reader import open_feed, sample_path
    from paperagent.types import Paper

    with open_feed(sample_path()) as feed:
        return [record for record in feed.records if isinstance(record, Paper)]


def _missed_table(results: Iterable[FaultResult]) -> Table:
    from paperagent.evals.report.tables import Table

    rows = [
        (result.kind, example.answer.claims[0].text if example.answer.claims else "")
        for result in results
        for example in result.wrong[:MAX_EXAMPLES]
    ]
    return Table("Undetected faults and false alarms", ("kind", "first claim"), tuple(rows), words=True)


def _write(path: Path, text: str) -> None:
    from paperagent.errors import EvalError, visible

    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise EvalError(
            f"{visible(str(path))}: cannot be written: {error.strerror}; choose another place"
        ) from None
