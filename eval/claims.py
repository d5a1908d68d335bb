"""Measure the checks on claims as models write them: false alarms and false passes, by kind.

    python eval/claims.py [--shared ../shared] [--list KIND] [--fit] [--json]

The claims are our own about the sample papers (``claims/sample.jsonl``, with gates: exit code 9 if one is not
met) and, if present, those of the test data. Each line has a question, a claim, the sentences that it cites,
titles, a label (honest or wrong) and a kind. The frames of `paperagent.evals.mutations` are put around
sentences of the sample papers.

An honest claim that is *withheld* is a false alarm; a wrong claim that is *supported* is a false pass. Odd
lines were inspected while the checks were developed, even lines were not; both halves are printed.
``--fit`` fits the weights of `paperagent.verification.score` on the odd lines and prints them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from checks import auroc

from paperagent.evals.mutations import framed
from paperagent.feeds.reader import open_feed
from paperagent.text.sentences import split_sentences
from paperagent.types import Paper
from paperagent.verification import Verdict, check
from paperagent.verification import verdict as ladder
from paperagent.verification.score import WEIGHTS, WordingSignals

HERE = Path(__file__).parent
OURS = HERE / "claims/sample.jsonl"
GATE_FAILED = 9
Row = dict[str, Any]
GATES: tuple[tuple[str, str, str, float], ...] = (
    ("fluent", "withheld", "<=", 0.02),
    ("fluent", "supported", ">=", 0.40),
    ("wrong", "supported", "<=", 0.06),
    ("wrong", "withheld", ">=", 0.28),
)
"""Gates on our own claims: group, verdict, comparison, and limit of the share."""
GROUPS = ("fluent", "paraphrase", "wrong")
FRAME_LIMIT = 0.05
"""Maximum share of framed sentences of a kind that may be called supported."""


def main(argv: Sequence[str] | None = None) -> int:
    """Check every set and print its table; return 9 if a gate is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parent / "../shared")
    parser.add_argument(
        "--list", metavar="KIND", help="also print the claims of this kind with a wrong verdict"
    )
    parser.add_argument("--fit", action="store_true", help="fit the weights of the score and print them")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    ours, others = ours_with_abstracts(), args.shared / "data/claims/dev.jsonl"
    sets = {"sample papers": ours}
    if others.exists():
        sets["test data"] = load(others)
    if args.fit:
        print(json.dumps(fit([row for rows in sets.values() for row in rows[::2]])))
        return 0
    figures = {name: figures_of(rows) for name, rows in sets.items()}
    frames = frames_of(ours)
    if args.json:
        print(json.dumps({**figures, "frames": frames}))
    else:
        for name, rows in sets.items():
            report(name, figures[name])
            if args.list:
                show_wrong(rows, args.list)
        print("\nframes: called supported")
        for kind, (share, count) in frames.items():
            print(f"  {kind:20} {share:.3f}  of {count}")
    return gate(figures["sample papers"], frames)


def load(path: Path) -> list[Row]:
    """Return the rows of a file of claims."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def ours_with_abstracts() -> list[Row]:
    """Return our own claims, each with the abstracts of the papers that it cites."""
    with open_feed("sample") as feed:
        abstracts = {paper.title: paper.abstract for paper in feed.records if isinstance(paper, Paper)}
    rows = load(OURS)
    for row in rows:
        row["abstract"] = " ".join(abstracts[title] for title in row["titles"])
    return rows


def verdict_on(row: Row) -> Verdict:
    """Return the verdict on one row, with the context that an answer has."""
    return check(
        row["claim"],
        row["evidence"],
        titles=row["titles"],
        abstracts=[row["abstract"]],
        question=row["question"],
    )


def group(row: Row) -> str:
    """Return the group of a row: fluent, paraphrase or wrong."""
    if row["label"] == "wrong":
        return "wrong"
    return "paraphrase" if "paraphrase" in row["kind"] else "fluent"


def figures_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return shares by group, half and kind, the AUROC of the score, and claims per second of CPU."""
    began = time.process_time()
    verdicts = [verdict_on(row) for row in rows]
    seconds = time.process_time() - began
    pairs = list(zip(rows, verdicts, strict=True))
    table: dict[str, Any] = {}
    for name, half in (("all", pairs), ("odd", pairs[::2]), ("even", pairs[1::2])):
        table[name] = {g: shares([v for r, v in half if group(r) == g]) for g in GROUPS}
        scored = [(v.score, group(r) == "fluent") for r, v in half if group(r) != "paraphrase"]
        table[name]["auroc"] = auroc([s for s, _ in scored], [int(y) for _, y in scored])
    kinds = dict.fromkeys(row["kind"] for row in rows)
    table["kinds"] = {kind: shares([v for r, v in pairs if r["kind"] == kind]) for kind in kinds}
    table["claims a second"] = len(rows) / seconds
    return table


def shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return the shares that are supported and withheld, and the number of claims."""
    count = max(1, len(verdicts))
    return {
        "supported": sum(v.support in ("quoted", "supported") for v in verdicts) / count,
        "withheld": sum(v.support == "unsupported" for v in verdicts) / count,
        "n": len(verdicts),
    }


def report(name: str, table: dict[str, Any]) -> None:
    """Print one set: groups by half, then kinds."""
    print(f"\n{name}: supported · withheld (the rest is unverified, shown with its sentence)")
    for half in ("all", "odd", "even"):
        cells = [
            f"{g} {c['supported']:.3f} · {c['withheld']:.3f} of {c['n']}"
            for g, c in table[half].items()
            if g != "auroc"
        ]
        print(f"  {half:5} {'   '.join(cells)}   AUROC {table[half]['auroc']:.3f}")
    for kind, c in table["kinds"].items():
        print(f"    {kind:20} {c['supported']:.3f} · {c['withheld']:.3f} of {c['n']}")
    print(f"  {table['claims a second']:.0f} claims a second of CPU")


def show_wrong(rows: Iterable[Row], kind: str) -> None:
    """Print the claims of a kind that are false passes or false alarms."""
    for row in rows:
        verdict = verdict_on(row)
        bad = {"honest": ("unsupported",), "wrong": ("quoted", "supported")}[row["label"]]
        if row["kind"] == kind and verdict.support in bad:
            print(f"    {row['id']} {verdict.support} {verdict.reasons}\n      {row['claim']}")
            print("".join(f"      > {sentence}\n" for sentence in row["evidence"]), end="")


def frames_of(rows: Iterable[Row]) -> dict[str, tuple[float, int]]:
    """Return the share of framed sentences that are called supported, by kind."""
    abstracts = dict.fromkeys(row["abstract"] for row in rows if len(row["titles"]) == 1)
    sentences = [s.text for a in list(abstracts)[:20] for s in split_sentences(a)[1:4]]
    table = {}
    for kind, cases in framed(sentences):
        passed = sum(check(c, e, abstracts=e).support in ("quoted", "supported") for c, e in cases)
        table[kind] = (passed / len(cases), len(cases))
    return table


def gate(table: dict[str, Any], frames: dict[str, tuple[float, int]]) -> int:
    """Return 9, and print why, if our own claims or the frames exceed a limit."""
    failed = [
        f"{g} {what} {table['all'][g][what]:.3f}, not {sign} {limit}"
        for g, what, sign, limit in GATES
        if (table["all"][g][what] > limit) == (sign == "<=") and table["all"][g][what] != limit
    ]
    failed += [f"{kind} supported {share:.3f}" for kind, (share, _) in frames.items() if share > FRAME_LIMIT]
    for text in failed:
        print(f"  not met: {text}")
    return GATE_FAILED if failed else 0


def fit(
    rows: Sequence[Row], *, steps: int = 20_000, rate: float = 0.05, shrink: float = 0.01
) -> dict[str, float]:
    """Return weights of the signals, fitted on claims in which no check has a finding.

    Logistic regression on standardised signals with balanced labels; a weight keeps the sign that it has in
    `WEIGHTS`. The signals are those of the claim's whole text.
    """
    signals: list[tuple[WordingSignals, bool]] = []
    measure = ladder.measure

    def record(*args: Any, **kwargs: Any) -> WordingSignals:
        signals.append((measure(*args, **kwargs), honest))
        return signals[-1][0]

    ladder.measure = record
    for row in rows:
        if group(row) != "paraphrase":
            honest, before = row["label"] == "honest", len(signals)
            verdict_on(row)
            del signals[before + 1 :]
    ladder.measure = measure
    clean = [(s.values, y) for s, y in signals if not s.findings]
    names = [name for name in WEIGHTS if name != "findings"]
    x, y = np.array([[v[n] for n in names] for v, _ in clean]), np.array([float(y) for _, y in clean])
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z, weight = (x - mean) / spread, np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    signs = np.sign([WEIGHTS[n] for n in names])
    w, bias = np.zeros(len(names)), 0.0
    for _ in range(steps):
        error = (1 / (1 + np.exp(-(z @ w + bias))) - y) * weight
        w = w - rate * (z.T @ error / len(y) + 2 * shrink * w)
        w = np.where(np.sign(w) == signs, w, 0.0)
        bias -= rate * error.mean()
    fitted = dict(zip(names, (w / spread).round(2).tolist(), strict=True))
    return {**fitted, "bias": round(float(bias - (w * mean / spread).sum()), 2)}


if __name__ == "__main__":
    sys.exit(main())
