"""A run as one page that needs nothing else: no script, no font, no picture, no address. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files

from paperagent.evals.calibrate import Calibration, calibration_tables
from paperagent.evals.cases import Case
from paperagent.evals.report import case_html, figures_html, plots
from paperagent.evals.report.case_html import said
from paperagent.evals.report.tables import FAILURE_ABOUT, Table, describe_run, headlines, number, unfinished
from paperagent.evals.results import FAILURES, Figure, Row, Run
from paperagent.evals.scorers import GROUPS, METRICS

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TILES = tuple(
    "correct evidence_any citation_recall correct_abstention over_refusal auroc ndcg@10 recall@10 mrr".split()
)
_MOST_TILES = 6
_NAMES = {"auroc": "AUROC", "ndcg@10": "nDCG@10", "mrr": "MRR"}


def run_page(run: Run, rows: Sequence[Row], *, cases: Mapping[str, Case] | None = None) -> str:
    """Return the page; with ``cases``, each case says what was wanted of it."""
    return _whole(f"{run.cases}: {describe_run(run)}", _sections(run, rows, cases or {}))


def _whole(title: str, sections: Iterable[str]) -> str:
    style = files("paperagent.evals.report").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        f"<title>{said(title)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def calibration_page(found: Calibration, name: str) -> str:
    """Return a page with the curves that speak for two thresholds; ``name`` is the cases'."""
    now, before = found.thresholds, found.before
    lead = (
        f"nothing is answered below {number(now.abstain_below)} (before: {number(before.abstain_below)}), "
        f"closest passages below {number(now.doubt_below)} (before: {number(before.doubt_below)})"
    )
    table = _table(next(calibration_tables(found)))
    return _whole(
        f"{name}: abstention thresholds",
        (
            f'<header><h1>{said(name)}</h1><p class="lead">{said(lead)}</p></header>',
            f'<div class="figures">{figures_html.calibration(found)}</div><h2>Curve</h2>{table}',
        ),
    )


def _table(table: Table) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{said(c)}</td>' for c in row)}</tr>" for row in table.rows)
    head = "".join(f"<th>{said(name)}</th>" for name in table.head)
    note = f'<p class="soft small">{said(table.note)}</p>'
    rows = f"<thead><tr>{head}</tr></thead><tbody>{cells}</tbody>"
    return f'<div class="card scroll"><table>{rows}</table>{note}</div>'


def _sections(run: Run, rows: Sequence[Row], cases: Mapping[str, Case]) -> Iterator[str]:
    cases_asked = unfinished(run, rows) or f"{len(rows)} cases"
    errors = [f"{run.errors} errors"] if run.errors else []
    when = run.created.replace("T", " ").replace("+00:00", " UTC")
    lead = " · ".join(map(said, [describe_run(run), cases_asked, *errors, when]))
    yield f'<header><h1>{said(run.cases)}</h1><p class="lead">{lead}</p></header>'
    yield _tiles(run)
    yield f"<h2>By kind</h2>{_by_kind(run, rows)}"
    drawn = figures_html.figures(run, rows)
    yield f'<h2>Figures</h2><div class="figures">{drawn}</div>' if drawn else ""
    yield _reasons(rows)
    yield _metrics(run)
    yield _cases(rows, cases)
    yield _footer(run)


def _tiles(run: Run) -> str:
    names = [n for n in _TILES if n in run.metrics][:_MOST_TILES]
    return f'<div class="tiles">{"".join(_tile(n, run.metrics[n]) for n in names)}</div>'


def _tile(name: str, found: Figure) -> str:
    return (
        f'<div class="tile" title="{said(METRICS[name].about)}"><div class="label">{_name(name)}</div>'
        f'<div class="value">{number(found.value, 2)}</div><div class="range">{_range(found)}</div></div>'
    )


def _name(metric: str) -> str:
    return said(_NAMES.get(metric, metric.replace("_", " ")))


def _range(found: Figure) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"{number(found.low, 2)} to {number(found.high, 2)}, {found.n} cases"


def _by_kind(run: Run, rows: Sequence[Row]) -> str:
    names = headlines(run)
    kinds = Counter(row.kind for row in rows)
    head = "".join(f'<th title="{said(METRICS[n].about)}">{_name(n)}</th>' for n in names)
    body = [_kind_row("all", rows, names, run.seed, "all")]
    if len(kinds) > 1:
        body += [_kind_row(k, [r for r in rows if r.kind == k], names, run.seed, "") for k in sorted(kinds)]
    return (
        '<div class="card scroll"><table><thead><tr><th>kind</th><th class="num">cases</th>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        '<p class="soft small">The band is the 95 % interval.</p></div>'
    )


def _kind_row(kind: str, rows: Sequence[Row], names: Iterable[str], seed: int, style: str) -> str:
    answered = [r for r in rows if r.state == "ok"]
    cells = "".join(f"<td>{_strip(METRICS[n].over_rows(answered, seed=seed))}</td>" for n in names)
    return f'<tr class="{style}"><td>{said(kind)}</td><td class="num">{len(rows)}</td>{cells}</tr>'


def _strip(found: Figure) -> str:
    if found.value is None or found.low is None or found.high is None:
        return '<span class="soft">–</span>'
    drawn = plots.interval(found.value, found.low, found.high) if found.high <= 1 else ""
    ends = f"{number(found.low, 2)}–{number(found.high, 2)}"
    return f'{number(found.value, 2)} <span class="range">{ends}</span>{drawn}'


def _reasons(rows: Sequence[Row]) -> str:
    counts = Counter(r.failure for r in rows if r.failure)
    bars = "".join(
        f"<div>{name.replace('_', ' ')}</div>"
        f'<div class="rail"><i style="width:{100 * counts[name] / len(rows):.1f}%"></i></div>'
        f'<div class="num">{counts[name]} <span class="soft">of {len(rows)}</span></div>'
        f'<div class="why">{FAILURE_ABOUT[name]}</div>'
        for name in sorted((n for n in FAILURES if counts[n]), key=lambda n: -counts[n])
    )
    return f'<h2>Why cases did not come out right</h2><div class="card reasons">{bars}</div>' if bars else ""


def _metrics(run: Run) -> str:
    body = "".join(
        _metric(name, run.metrics[name]) for g in GROUPS for name in _named(g) if name in run.metrics
    )
    numbers = "".join(f'<th class="num">{name}</th>' for name in ("value", "95 %", "cases", "n/a"))
    return (
        f'<details class="card all"><summary>Every metric ({len(run.metrics)})</summary>'
        f'<div class="scroll"><table>'
        f"<thead><tr><th>metric</th>{numbers}<th>says</th></tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _named(group: str) -> Iterator[str]:
    return (name for name, metric in METRICS.items() if metric.group == group)


def _metric(name: str, found: Figure) -> str:
    return (
        f'<tr><td>{said(name)}</td><td class="num">{number(found.value)}</td>'
        f'<td class="num range">{number(found.low, 2)}–{number(found.high, 2)}</td>'
        f'<td class="num">{found.n}</td><td class="num soft">{found.null}</td>'
        f'<td class="soft small">{said(METRICS[name].about)}</td></tr>'
    )


def _cases(rows: Sequence[Row], cases: Mapping[str, Case]) -> str:
    counts = Counter(map(case_html.state, rows))
    choices = [("all", "all", len(rows))] + [(f"only-{s}", s, counts[s]) for s in ("wrong", "right", "error")]
    filters = "".join(_filter(*choice) for choice in choices if choice[2])
    ordered = sorted(rows, key=lambda r: case_html.state(r) == "right")
    shown = "".join(case_html.case(row, cases.get(row.id)) for row in ordered)
    return f'<section id="cases"><h2>Cases</h2><div class="filters">{filters}</div>{shown}</section>'


def _filter(name: str, label: str, count: int) -> str:
    on = " checked" if name == "all" else ""
    return f'<label><input type="radio" name="only" id="{name}"{on}>{label} {count}</label>'


def _footer(run: Run) -> str:
    facts = {
        "run": run.id, "cases": run.cases_hash, "library": run.library_hash, "prompts": run.prompts_hash,
        "commit": run.git_sha, **{f"setting {k}": v for k, v in run.settings.items()}, **run.versions,
        "seed": run.seed,
    }  # fmt: skip
    text = " · ".join(f"{said(k)} {said(v)}" for k, v in facts.items() if v is not None)
    return f"<footer>{text}</footer>"
