"""Measure how well the checks compare claims with the sentences they cite.

    python eval/checks.py --shared FOLDER [--sample 3000] [--seed 7] [--list KIND] [--json]

Mutated claims are sentences of abstracts, each changed in one way (another number, an added negation, …) and
checked against the original sentence; the figures are the share *accepted* (``quoted`` or ``supported``). The
test data also has quotes, paraphrases, AttributionBench and HealthVer. The mutations are those of
`paperagent.evals.mutations`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from paperagent.evals.mutations import MUTATIONS
from paperagent.text.sentences import split_sentences
from paperagent.verification import check, find_quote

Case = tuple[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=1000, help="mutated claims of each kind and source")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--list", metavar="KIND", help="also print the claims of this kind with a wrong verdict"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    data = args.shared / "data"
    figures: dict[str, Any] = {
        "quotes right": quotes(data / "citation_checks.jsonl", show=args.list == "quotes")
    }
    for source, sentences in (("arxiv", arxiv(data, args.seed)), ("scifact", scifact(data, args.seed))):
        for kind, cases in mutated(sentences, args.sample, args.seed):
            figures[f"{kind} ({source})"] = accepted(cases, show=args.list == kind, wrong=kind != "untouched")
    figures["claims/s (mutated, arxiv and scifact)"] = speed(data, args.sample, args.seed)
    figures |= paraphrases(data / "support/paraphrases.jsonl", show=args.list == "paraphrases")
    for name in ("attrbench_dev", "healthver_dev"):
        figures |= auroc_of(data / f"support/{name}.jsonl.gz", name)
    if args.json:
        print(json.dumps(figures))
    else:
        report(figures)
    return 0


def report(figures: dict[str, Any]) -> None:
    """Print one figure per line, shares with the number of cases."""
    for name, value in figures.items():
        text = f"{value[0]:.4f}  of {value[1]}" if isinstance(value, tuple) else f"{value:.4f}"
        print(f"{name:44} {text}")


def arxiv(data: Path, seed: int) -> list[str]:
    """Return shuffled sentences of a sample of the arXiv abstracts."""
    with lzma.open(data / "arxiv/abstracts.jsonl.xz", "rt", encoding="utf-8") as lines:
        abstracts = [json.loads(line)["abstract"] for line in lines]
    picked = _chance(seed).sample(abstracts, 6000)
    return _usable((s.text for a in picked for s in split_sentences(a)), seed)


def _chance(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret


def scifact(data: Path, seed: int) -> list[str]:
    """Return shuffled sentences of the SciFact abstracts."""
    with gzip.open(data / "retrieval/scifact/corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return _usable((s for r in rows for s in _sentences(r)), seed)


def _sentences(row: dict[str, Any]) -> list[str]:
    text = row.get("sentences") or row.get("abstract") or row.get("text") or ""
    return [s.text for s in split_sentences(text)] if isinstance(text, str) else [str(s) for s in text]


def _usable(sentences: Iterable[str], seed: int) -> list[str]:
    usable = sorted({s.strip() for s in sentences if 8 <= len(s.split()) <= 60})
    _chance(seed).shuffle(usable)
    return usable


def mutated(sentences: list[str], most: int, seed: int) -> Iterator[tuple[str, list[Case]]]:
    """Yield each kind of mutation with its (claim, evidence) pairs."""
    for kind, mutate in MUTATIONS.items():
        chance = _chance(f"{seed}{kind}")
        cases: list[Case] = []
        for sentence in sentences:
            claim = mutate(sentence, chance)
            if claim is not None and claim != sentence:
                cases.append((claim, sentence))
            if len(cases) == most:
                break
        yield kind, cases
    yield "untouched", [(s, s) for s in sentences[:most]]
    yield "other paper", list(zip(sentences[:most], sentences[most : 2 * most], strict=False))


def accepted(cases: list[Case], *, show: bool, wrong: bool) -> tuple[float, int]:
    """Return the share of claims accepted as supported, and their number."""
    count = 0
    for claim, sentence in cases:
        verdict = check(claim, [sentence])
        good = verdict.support in ("quoted", "supported")
        count += good
        if show and good == wrong:
            print(f"{verdict.support} {verdict.reasons}\n  C: {claim}\n  E: {sentence}", file=sys.stderr)
    return count / max(1, len(cases)), len(cases)


def speed(data: Path, most: int, seed: int) -> float:
    """Return the claims checked per second of CPU, with cold caches."""
    sentences = scifact(data, seed + 1)
    cases = [c for _, kind_cases in mutated(sentences, most // 4, seed) for c in kind_cases]
    began = time.process_time()
    for claim, sentence in cases:
        check(claim, [sentence])
    return len(cases) / (time.process_time() - began)


def quotes(path: Path, *, show: bool) -> tuple[float, int]:
    """Return the share of quotes (and their claims) with the right verdict."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    right = 0
    for row in rows:
        good = quote_is_right(row)
        right += good
        if show and not good:
            print(
                row["kind"],
                row["expect"],
                find_quote(row["quote"], row["source_text"]),
                row["quote"],
                file=sys.stderr,
            )
    return right / len(rows), len(rows)


def quote_is_right(row: dict[str, Any]) -> bool:
    """Return whether a row of the quotes gets its expected verdict."""
    match = find_quote(row["quote"], row["source_text"])
    expected = row["expect"]
    if expected == "quote_valid_claim_unsupported":
        return match.is_quote and check(row["claim"], [row["quote"]]).support in ("unverified", "unsupported")
    allowed = {
        "valid": {"exact"},
        "valid_normalised": {"exact", "normalised"},
        "partial": {"partial"},
        "too_short": {"too_short"},
        "invalid": {"not_found"},
        "invalid_or_flag": {"not_found"},
    }
    return match.status in allowed[expected]


def paraphrases(path: Path, *, show: bool) -> dict[str, tuple[float, int]]:
    """Return the accepted shares of honest and of wrong restatements, for both halves."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    figures = {}
    for half, part in (("even, developed on", rows[::2]), ("odd, held out", rows[1::2])):
        for label, name in ((1, "honest paraphrase"), (0, "wrong restatement")):
            good = [r for r in part if r["label"] == label]
            accepted_rows = [
                r for r in good if check(r["claim"], r["evidence"]).support in ("quoted", "supported")
            ]
            figures[f"{name} ({half})"] = (len(accepted_rows) / len(good), len(good))
            for row in good if show and part[0] is rows[0] else ():
                if (row in accepted_rows) != bool(label):
                    print(
                        name,
                        check(row["claim"], row["evidence"]),
                        row["claim"],
                        row["evidence"],
                        file=sys.stderr,
                    )
    return figures


def auroc_of(path: Path, name: str) -> dict[str, Any]:
    """Return the AUROC of the support score, the accepted shares by label, and claims per second."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    began = time.process_time()
    verdicts = [check(r["claim"], [r["source"]]) for r in rows]
    seconds = time.process_time() - began
    labels = [int(r["label"]) for r in rows]
    figures: dict[str, Any] = {f"{name} AUROC of score": auroc([v.checks["score"] for v in verdicts], labels)}
    for label, word in ((1, "supported"), (0, "not supported")):
        mine = [
            v.support in ("quoted", "supported") for v, y in zip(verdicts, labels, strict=True) if y == label
        ]
        figures[f"{name} accepted of {word}"] = (sum(mine) / len(mine), len(mine))
    figures[f"{name} claims/s"] = len(rows) / seconds
    return figures


def auroc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """Return the chance that a positive scores above a negative, ties counted half."""
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        for i in order[at:end]:
            ranks[i] = (at + 1 + end) / 2
        at = end
    positive = sum(labels)
    negative = len(labels) - positive
    total = sum(r for r, y in zip(ranks, labels, strict=True) if y)
    return (total - positive * (positive + 1) / 2) / (positive * negative)


if __name__ == "__main__":
    sys.exit(main())
