"""Render a run, or a calibration, as one self-contained HTML page without scripts.

The page needs no other file: no script, font, picture or address. Papers, models and authors of cases are
not trusted: jinja2 escapes every value, and `_printable` makes characters visible that would hide or
reorder text. This module prepares the data of the templates in ``templates/``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from paperagent.answering.citations import without_quotes
from paperagent.evals.calibrate import Calibration, calibration_tables
from paperagent.evals.cases import Case
from paperagent.evals.report import plots
from paperagent.evals.report.tables import (
    FAILURE_ABOUT,
    describe_run,
    headlines,
    number,
    unfinished,
)
from paperagent.evals.results import FAILURES, Figure, Retrieved, Row, Run
from paperagent.evals.scorers import GROUPS, METRICS
from paperagent.evals.scorers.content import claim_pointers, contains, normalized, reply_claims
from paperagent.layout import CONFIRMED, DOUBT, REPLACED, is_doubted, judge_probability
from paperagent.text.sanitize import safe_terminal, safe_url
from paperagent.verification import check

if TYPE_CHECKING:
    from jinja2 import Environment

_TILES = tuple(
    "correct evidence_any citation_recall correct_abstention over_refusal auroc ndcg@10 recall@10 mrr".split()
)
_MAX_TILES = 6
_LABELS = {"auroc": "AUROC", "ndcg@10": "nDCG@10", "mrr": "MRR"}
_MAX_RETRIEVED = 5
"""Number of retrieved papers that are listed; gold papers are listed at any rank."""
_SUPPORT_STYLES = {"quoted": "good", "supported": "good", "unverified": "warn"}
_WORD = re.compile(r"\w+(?:[.,]\d+)*%?")


def run_page(run: Run, rows: Sequence[Row], *, cases: Mapping[str, Case] | None = None) -> str:
    """Return the page of a run; with ``cases`` (by id), each case shows what was expected."""
    return _environment().get_template("run.html.j2").render(
        title=f"{run.cases}: {describe_run(run)}",
        run=run,
        lead=_lead(run, rows),
        tiles=[(name, run.metrics[name]) for name in _TILES if name in run.metrics][:_MAX_TILES],
        headlines=headlines(run),
        kinds=list(_kinds(run, rows)),
        figures=plots.run_figures(run, rows),
        failures=_failures(rows),
        total=len(rows),
        metrics=[
            (name, run.metrics[name])
            for group in GROUPS
            for name, metric in METRICS.items()
            if metric.group == group and name in run.metrics
        ],
        filters=_filters(rows),
        cases=[
            ReportCase.of(row, (cases or {}).get(row.id))
            for row in sorted(rows, key=lambda row: case_state(row) == "right")
        ],
        facts=_facts(run),
    )  # fmt: skip


def calibration_page(calibration: Calibration, name: str) -> str:
    """Return the page of a calibration; ``name`` is the name of the cases."""
    now, before = calibration.thresholds, calibration.before
    return _environment().get_template("calibration.html.j2").render(
        title=f"{name}: abstention thresholds",
        name=name,
        lead=(
            f"nothing is answered below {number(now.abstain_below)} "
            f"(before: {number(before.abstain_below)}), "
            f"closest passages below {number(now.doubt_below)} (before: {number(before.doubt_below)})"
        ),
        figures=plots.calibration_figures(calibration),
        table=next(calibration_tables(calibration)),
    )  # fmt: skip


def case_card(row: Row, case: Case | None = None) -> str:
    """Return the part of the page that shows one case."""
    template: Any = _environment().get_template("case.html.j2").module
    return str(template.case_card(ReportCase.of(row, case)))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    environment = Environment(
        loader=PackageLoader("paperagent.evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = files("paperagent.evals.report").joinpath("templates/report.css").read_text("utf-8")
    environment.globals.update(
        css=Markup(css),  # noqa: S704 - our own
        interval=plots.interval,
        METRICS=METRICS,
        FAILURE_ABOUT=FAILURE_ABOUT,
    )
    environment.filters.update(
        number=number,
        safe_url=safe_url,
        short_id=lambda paper_id: f"{paper_id[:14]}…" if paper_id.startswith("sha256:") else paper_id,
        metric_label=lambda name: _LABELS.get(name, name.replace("_", " ")),
        lines=lambda text: escape(safe_terminal(text, newlines=True)),
    )
    return environment


def _printable(value: Any) -> Any:
    """Return a template value with invisible and control characters made visible, unless it is markup."""
    return value if hasattr(value, "__html__") else safe_terminal(str(value))


def _lead(run: Run, rows: Sequence[Row]) -> list[str]:
    errors = [f"{run.errors} errors"] if run.errors else []
    created = run.created.replace("T", " ").replace("+00:00", " UTC")
    return [describe_run(run), unfinished(run, rows) or f"{len(rows)} cases", *errors, created]


def _kinds(run: Run, rows: Sequence[Row]) -> Iterator[tuple[str, int, list[Figure]]]:
    """Yield each kind of case with its number of cases and headline figures, first all cases together."""
    kinds = sorted({row.kind for row in rows})
    groups = [("all", rows)]
    if len(kinds) > 1:
        groups += [(kind, [row for row in rows if row.kind == kind]) for kind in kinds]
    for kind, members in groups:
        answered = [row for row in members if row.state == "ok"]
        figures = [METRICS[name].over_rows(answered, seed=run.seed) for name in headlines(run)]
        yield kind, len(members), figures


def _failures(rows: Sequence[Row]) -> list[tuple[str, int]]:
    counts = Counter(row.failure for row in rows if row.failure)
    return sorted(((name, counts[name]) for name in FAILURES if counts[name]), key=lambda item: -item[1])


def _filters(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Return the id, label and number of cases of each filter."""
    counts = Counter(map(case_state, rows))
    filters = [(f"only-{state}", state, counts[state]) for state in ("wrong", "right", "error")]
    return [("all", "all", len(rows)), *(f for f in filters if f[2])]


def _facts(run: Run) -> list[str]:
    facts = {
        "run": run.id, "cases": run.cases_hash, "library": run.library_hash, "prompts": run.prompts_hash,
        "commit": run.git_sha, **{f"setting {k}": v for k, v in run.settings.items()}, **run.versions,
        "seed": run.seed,
    }  # fmt: skip
    return [f"{name} {value}" for name, value in facts.items() if value is not None]


def case_state(row: Row) -> str:
    """Return ``right``, ``wrong`` or ``error``, which is also the case's CSS class."""
    return "error" if row.state == "error" else "wrong" if row.failure else "right"


@dataclass(frozen=True, slots=True)
class ReportClaim:
    """A claim with its sentences."""

    words: list[tuple[str, bool]]
    """The text in parts, each with whether its sentences contain it; others are marked."""
    chips: list[tuple[str, str]]
    """CSS class and text of each label below the claim."""
    failed: bool
    citations: Sequence[Mapping[str, Any]] = ()
    sentences: Sequence[str] = ()
    """The sentences of a claim that has no citations because it was withheld."""
    reasons: str = ""

    @classmethod
    def of(cls, claim: Mapping[str, Any], by_number: Mapping[int, Mapping[str, Any]]) -> ReportClaim:
        """Show a claim of the answer."""
        citations = [by_number[n] for n in claim["citations"] if n in by_number]
        failed_checks = [name for name, passed in claim["checks"].items() if passed is False]
        failed_checks += [f"points at {p}" for p in claim["checks"].get("dangling", ())]
        failed_checks += [f"[{n}] is nothing" for n in claim["citations"] if n not in by_number]
        failed_checks += ["the judge disagrees"] if is_doubted(claim["checks"]) else []
        style = _SUPPORT_STYLES.get(str(claim["support"]), "bad")
        return cls(
            words=_mark_words(str(claim["text"]), " ".join(str(c["quote"]) for c in citations)),
            chips=[(style, _support_label(claim)), *(("bad", f"✗ {name}") for name in failed_checks)],
            failed=bool(failed_checks) or style == "bad",
            citations=citations,
        )

    @classmethod
    def of_withheld(cls, claim: Mapping[str, Any], sources: Mapping[str, str]) -> ReportClaim:
        """Show a claim of the model's reply that the answer lacks, with the checks that it fails."""
        text, pointers = str(claim.get("text", "")), claim_pointers(claim)
        sentences = [sources[p] for p in pointers if p in sources]
        verdict = check(text, sentences)
        failed_checks = [name for name, passed in verdict.checks.items() if passed is False]
        failed_checks = failed_checks if sentences else []
        failed_checks += [f"points at {p}, which was not shown" for p in pointers if p not in sources]
        return cls(
            words=_mark_words(text, " ".join(sentences)),
            chips=[("bad", f"✗ {name}") for name in failed_checks],
            failed=True,
            sentences=sentences,
            reasons="; ".join(verdict.reasons) if sentences else "",
        )


@dataclass(frozen=True, slots=True)
class ReportCase:
    """A case as the page shows it."""

    row: Row
    state: str
    label: str
    facts: list[str]
    """Status, reason and confidence of the answer."""
    text: str
    """First paragraph of an answer without claims."""
    claims: list[ReportClaim]
    withheld: list[ReportClaim]
    """Claims that the model wrote and the answer lacks."""
    expected: list[tuple[bool | None, str]] | None
    """The case's expectations, each with whether it is met (if known); None without the case."""
    retrieved: list[tuple[Retrieved, bool]]
    """Papers to list, each with whether it is a gold paper."""
    more_retrieved: int
    """Number of retrieved papers that are not listed."""
    scores: list[tuple[str, float, bool]]
    """Metric, score, and whether the score is too low."""
    replies: str

    @classmethod
    def of(cls, row: Row, case: Case | None = None) -> ReportCase:
        """Prepare a row for the page; with ``case``, also what was expected."""
        state = case_state(row)
        answer = row.answer or {}
        by_number = {c["n"]: c for c in answer.get("citations", ())}
        retrieved = _retrieved(row, case)
        return cls(
            row=row,
            state=state,
            label="✓ right" if state == "right" else f"✗ {(row.failure or state).replace('_', ' ')}",
            facts=_answer_facts(answer, row.confidence),
            text=str(answer.get("answer", "")).partition("\n\n")[0],
            claims=[ReportClaim.of(claim, by_number) for claim in answer.get("claims", ())],
            withheld=list(_withheld(row)),
            expected=_expected(case, row) if case else None,
            retrieved=retrieved,
            more_retrieved=len(row.retrieved) - len(retrieved),
            scores=list(_scores(row)),
            replies="\n\n".join(f"[{call.schema_name}]\n{call.text}" for call in row.raw or ()),
        )


def _answer_facts(answer: Mapping[str, Any], confidence: float | None) -> list[str]:
    facts = [str(answer.get("status", ""))]
    facts += [str(answer["reason"]).replace("_", " ")] if answer.get("reason") else []
    facts += [f"confidence {number(confidence, 2)}"] if confidence is not None else []
    return facts


def _withheld(row: Row) -> Iterator[ReportClaim]:
    answer_texts = {normalized(str(c["text"])) for c in (row.answer or {}).get("claims", ())}
    for call in row.raw or ():
        for claim in reply_claims(call):
            if normalized(str(claim.get("text", ""))) not in answer_texts:
                yield ReportClaim.of_withheld(claim, call.shown)


def _support_label(claim: Mapping[str, Any]) -> str:
    """Return a label for the claim's support, with the judge's probability."""
    support, probability = str(claim["support"]), judge_probability(claim["checks"])
    if support == "quoted" and claim["checks"].get("replaced"):
        return f"{support}: {REPLACED}"
    label = CONFIRMED if support == "supported" and probability is not None else support
    label += f": {DOUBT[support]}" if support in DOUBT else ""
    return label if probability is None else f"{label} (probability {probability:.2f})"


def _mark_words(claim: str, quotes: str) -> list[tuple[str, bool]]:
    """Split a claim into parts, each with whether the quotes contain it; all do if there are no quotes."""
    quoted_words = {w.casefold() for w in _WORD.findall(quotes)}
    if not quoted_words:
        return [(claim, True)]
    parts, end = [], 0
    for word in _WORD.finditer(claim):
        if word[0].casefold() not in quoted_words:
            parts += [(claim[end : word.start()], True), (word[0], False)]
            end = word.end()
    return [*parts, (claim[end:], True)]


def _expected(case: Case, row: Row) -> list[tuple[bool | None, str]]:
    answer = normalized(without_quotes(str((row.answer or {}).get("answer") or "")))
    items: list[tuple[bool | None, str]] = []
    if not case.answerable:
        items.append((None, "an abstention: the library does not say"))
    items += [(None, f"paper: {paper}") for paper in (*case.gold_ids, *case.gold_titles)]
    items += [(None, f"evidence: “{text}”") for text in case.evidence]
    items += [(contains(answer, text), f"says: {_alternatives(text)}") for text in case.must_include]
    items += [(not contains(answer, text), f"does not say: {_alternatives(text)}") for text in case.must_not]
    return items


def _alternatives(text: str) -> str:
    return " or ".join(text.split("|"))


def _retrieved(row: Row, case: Case | None) -> list[tuple[Retrieved, bool]]:
    gold = set(map(normalized, (*case.gold_titles, *case.gold_ids))) if case else set()
    papers = [(r, bool(gold & {normalized(r.title), normalized(r.paper_id)})) for r in row.retrieved]
    return [(r, is_gold) for r, is_gold in papers if is_gold or r.rank <= _MAX_RETRIEVED]


def _scores(row: Row) -> Iterator[tuple[str, float, bool]]:
    for name, score in row.scores.items():
        metric = METRICS.get(name)
        if score is None or metric is None:
            continue
        is_low = metric.group != "effort" and (
            score < 1 if metric.better == "higher" else bool(metric.share and score)
        )
        yield name, score, is_low
