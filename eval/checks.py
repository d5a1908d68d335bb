"""Print how well claims are checked against the sentences that they cite.

    python eval/checks.py --shared FOLDER [--sample 3000] [--seed 7] [--list KIND] [--json]

Mutated claims: whole sentences of abstracts, each changed in one way (another number, an added
negation, …) and checked against the sentence as it was; figures are the share *accepted*
(``quoted`` or ``supported``). Then the hand-written sets of the shared folder: quotes,
paraphrases, AttributionBench and HealthVer. The words that mutations put in are listed here,
apart from the word lists of the checks.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from paperagent.checks import check, find_quote
from paperagent.sentences import split

Case = tuple[str, str]
Mutation = Callable[[str, random.Random], str | None]

ANTONYMS = dict(
    pair.split("/")
    for pair in """increase/decrease increases/decreases increased/decreased increasing/decreasing
    improve/degrade improves/degrades improved/degraded improving/degrading higher/lower
    high/low better/worse best/worst larger/smaller large/small faster/slower fast/slow
    more/less outperforms/underperforms outperform/underperform strong/weak stronger/weaker
    effective/ineffective efficient/inefficient easy/difficult simple/complex early/late
    positive/negative gains/losses success/failure accept/reject includes/excludes
    maximum/minimum before/after above/below always/never accurate/inaccurate robust/fragile
    stable/unstable sparse/dense global/local long/short cheap/expensive rich/poor new/old
    upper/lower internal/external static/dynamic linear/nonlinear supervised/unsupervised
    online/offline activates/inhibits promotes/suppresses induces/prevents reduces/increases
    reduced/increased enhances/impairs enhanced/impaired greater/smaller rapidly/slowly
    significant/insignificant significantly/insignificantly similar/different common/rare
    frequently/rarely first/last consistent/inconsistent explicit/implicit
    reliable/unreliable sufficient/insufficient complete/incomplete possible/impossible
    superior/inferior minimal/maximal maximize/minimize minimizing/maximizing
    reduce/increase reducing/increasing enables/prevents allows/prevents
    supports/contradicts preserving/destroying mitigate/exacerbate synthetic/real
    automatic/manual public/private shallow/deep narrow/broad acute/chronic
    activation/inhibition upregulated/downregulated presence/absence mild/severe
    relevant/irrelevant known/unknown balanced/imbalanced continuous/discrete
    forward/backward safe/unsafe correct/incorrect""".split()
)
HEDGES = (
    (r"\bmay (?=[a-z])|\bmight (?=[a-z])|\bcould (?=[a-z])", ""),
    (r"\b(?:potentially|possibly|perhaps|likely|probably|presumably|apparently) ", ""),
    (r"\b(?:often|usually|typically|generally|sometimes|frequently) ", ""),
    (r"\b(?:nearly|almost|approximately|roughly|about) (?=\d)", ""),
    (r"\b(?:results|findings|data|experiments|analyses) suggest that\b", "results prove that"),
    (r"\b(?:suggests?|suggesting) that\b", "shows that"),
    (r"\b(?:appears?|seems?) to be\b", "is"),
    (r"\btends? to\b ", ""),
    (r"\bsome (?=[a-z])", "all "),
    (r"\bin some cases,? ", ""),
)
_BE = "is|are|was|were|can|could|may|will|should|does|do|did|has|have"
_VERBS = "outperform|achieve|improve|reduce|require|provide|enable|show|demonstrate|increase|support"
NEGATED = (
    (rf"\b({_BE}) (?=[a-z]+(?:ed|s|ly|e|en|t)?\b)", r"\1 not "),
    (rf"\b({_VERBS})s\b", r"does not \1"),
    (rf"\b({_VERBS})\b", r"do not \1"),
)
DENIED = (
    (rf"\b({_BE}) not\b", r"\1"),
    (r"\bcannot\b", "can"),
    (r"\bwithout\b", "with"),
    (r"\bno (?=[a-z])", "a "),
    (r"\bnever\b ", ""),
    (r"\b(?:fails?|failed|unable) to\b ", ""),
    (r"\bneither\b", "both"),
)
NUMBER = re.compile(r"(?<![\w.^-])\d+(?:[.,]\d+)*(?![\w^]|[.,]\d|-[A-Za-z])")
WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
FUNCTION = frozenset(
    """that this with from which their these those have been were into than then also such both each
    when where while they them between through during using under over only more most some other
    than does because""".split()
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=1000, help="mutated claims a kind and source")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--list", metavar="KIND", help="also print the claims of a kind that were judged wrongly"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    data = args.shared / "data"
    figures: dict[str, Any] = {
        "quotes right": quotes(data / "citation_checks.jsonl", shown=args.list == "quotes")
    }
    for source, sentences in (("arxiv", arxiv(data, args.seed)), ("scifact", scifact(data, args.seed))):
        for kind, cases in mutated(sentences, args.sample, args.seed):
            figures[f"{kind} ({source})"] = accepted(
                cases, shown=args.list == kind, wrong=kind != "untouched"
            )
    figures["claims/s (mutated, arxiv and scifact)"] = speed(data, args.sample, args.seed)
    figures |= paraphrases(data / "support/paraphrases.jsonl", shown=args.list == "paraphrases")
    for name in ("attrbench_dev", "healthver_dev"):
        figures |= auroc_of(data / f"support/{name}.jsonl.gz", name)
    if args.json:
        print(json.dumps(figures))
    else:
        report(figures)
    return 0


def report(figures: dict[str, Any]) -> None:
    """Print one figure a line, shares with the number of cases."""
    for name, value in figures.items():
        text = f"{value[0]:.4f}  of {value[1]}" if isinstance(value, tuple) else f"{value:.4f}"
        print(f"{name:44} {text}")


def arxiv(data: Path, seed: int) -> list[str]:
    """Return shuffled sentences of a sample of the arXiv abstracts."""
    with lzma.open(data / "arxiv/abstracts.jsonl.xz", "rt", encoding="utf-8") as lines:
        abstracts = [json.loads(line)["abstract"] for line in lines]
    picked = _chance(seed).sample(abstracts, 6000)
    return _usable((s.text for a in picked for s in split(a)), seed)


def _chance(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a repeatable sample, no secret


def scifact(data: Path, seed: int) -> list[str]:
    """Return shuffled sentences of the SciFact abstracts."""
    with gzip.open(data / "retrieval/scifact/corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return _usable((s for r in rows for s in _sentences(r)), seed)


def _sentences(row: dict[str, Any]) -> list[str]:
    text = row.get("sentences") or row.get("abstract") or row.get("text") or ""
    return [s.text for s in split(text)] if isinstance(text, str) else [str(s) for s in text]


def _usable(sentences: Iterable[str], seed: int) -> list[str]:
    kept = sorted({s.strip() for s in sentences if 8 <= len(s.split()) <= 60})
    _chance(seed).shuffle(kept)
    return kept


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


def change_number(sentence: str, chance: random.Random) -> str | None:
    """Put another number of the same form in one number's place."""
    found = list(NUMBER.finditer(sentence))
    if not found:
        return None
    match = chance.choice(found)
    value = match[0].replace(",", "")
    decimals = len(value.partition(".")[2]) if value.count(".") == 1 else 0
    if value.count(".") > 1:
        return None
    new = float(value)
    while f"{new:.{decimals}f}" == f"{float(value):.{decimals}f}":
        new = chance.choice([float(value) * chance.uniform(0.3, 2.5), float(value) + chance.randint(1, 9),
                             float(value) + 10.0**-decimals])  # fmt: skip
    return sentence[: match.start()] + f"{new:.{decimals}f}" + sentence[match.end() :]


def swap_numbers(sentence: str, chance: random.Random) -> str | None:
    """Exchange two different numbers."""
    found = list(NUMBER.finditer(sentence))
    if len({m[0] for m in found}) < 2:
        return None
    one, other = sorted(chance.sample(found, 2), key=lambda m: m.start())
    return None if one[0] == other[0] else _exchange(sentence, one, other)


def add_negation(sentence: str, chance: random.Random) -> str | None:
    """Deny one verb, or the whole sentence."""
    if chance.random() < 0.2:
        return f"It is not true that {sentence[0].lower()}{sentence[1:]}"
    return _one_of(sentence, NEGATED, chance)


def remove_negation(sentence: str, chance: random.Random) -> str | None:
    """Take one negation out."""
    return _one_of(sentence, DENIED, chance)


def put_antonym(sentence: str, chance: random.Random) -> str | None:
    """Put one word's opposite in its place."""
    both = ANTONYMS | {b: a for a, b in ANTONYMS.items()}
    found = [m for m in re.finditer(r"[A-Za-z]+", sentence) if m[0] in both]
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + both[match[0]] + sentence[match.end() :]


def drop_hedge(sentence: str, chance: random.Random) -> str | None:
    """Take one hedge out, or put certainty in its place."""
    return _one_of(sentence, HEDGES, chance)


def swap_words(sentence: str, chance: random.Random) -> str | None:
    """Exchange two content words anywhere in the sentence."""
    found = [m for m in WORD.finditer(sentence) if m[0].lower() not in FUNCTION]
    if len(found) < 4:
        return None
    one, other = sorted(chance.sample(found, 2), key=lambda m: m.start())
    return None if one[0].lower() == other[0].lower() else _exchange(sentence, one, other)


def swap_sides(sentence: str, chance: random.Random) -> str | None:
    """Exchange the nearest content words on both sides of a comparison."""
    del chance
    cue = re.search(
        r"\b(?:outperforms?|surpass(?:es)?|exceeds?|than|over|versus|compared (?:to|with))\b", sentence
    )
    if not cue:
        return None
    left = [m for m in WORD.finditer(sentence, 0, cue.start()) if m[0].lower() not in FUNCTION]
    right = [m for m in WORD.finditer(sentence, cue.end()) if m[0].lower() not in FUNCTION]
    return _exchange(sentence, left[-1], right[0]) if left and right and left[-1][0] != right[0][0] else None


MUTATIONS: dict[str, Mutation] = {
    "number changed": change_number,
    "numbers swapped": swap_numbers,
    "negation added": add_negation,
    "negation removed": remove_negation,
    "antonym": put_antonym,
    "hedge removed": drop_hedge,
    "words swapped": swap_words,
    "sides swapped": swap_sides,
}


def _exchange(sentence: str, one: re.Match[str], other: re.Match[str]) -> str:
    return (
        sentence[: one.start()]
        + other[0]
        + sentence[one.end() : other.start()]
        + one[0]
        + sentence[other.end() :]
    )


def _one_of(sentence: str, rules: Sequence[tuple[str, str]], chance: random.Random) -> str | None:
    found = [(m, rule) for pattern, rule in rules for m in re.finditer(pattern, sentence)]
    if not found:
        return None
    match, rule = chance.choice(found)
    return sentence[: match.start()] + match.expand(rule) + sentence[match.end() :]


def accepted(cases: list[Case], *, shown: bool, wrong: bool) -> tuple[float, int]:
    """Return the share of claims accepted as supported, and their number."""
    count = 0
    for claim, sentence in cases:
        verdict = check(claim, [sentence])
        good = verdict.support in ("quoted", "supported")
        count += good
        if shown and good == wrong:
            print(f"{verdict.support} {verdict.reasons}\n  C: {claim}\n  E: {sentence}", file=sys.stderr)
    return count / max(1, len(cases)), len(cases)


def speed(data: Path, most: int, seed: int) -> float:
    """Return the claims checked a second of CPU, each claim and sentence new to the caches."""
    sentences = scifact(data, seed + 1)
    cases = [c for _, some in mutated(sentences, most // 4, seed) for c in some]
    began = time.process_time()
    for claim, sentence in cases:
        check(claim, [sentence])
    return len(cases) / (time.process_time() - began)


def quotes(path: Path, *, shown: bool) -> tuple[float, int]:
    """Return the share of quotes (and their claims) with the right verdict."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    right = 0
    for row in rows:
        good = quote_is_right(row)
        right += good
        if shown and not good:
            print(
                row["kind"],
                row["expect"],
                find_quote(row["quote"], row["source_text"]),
                row["quote"],
                file=sys.stderr,
            )
    return right / len(rows), len(rows)


def quote_is_right(row: dict[str, Any]) -> bool:
    """Tell whether one row of the quotes gets the verdict that it expects."""
    found = find_quote(row["quote"], row["source_text"])
    expected = row["expect"]
    if expected == "quote_valid_claim_unsupported":
        return found.found and check(row["claim"], [row["quote"]]).support in ("weak", "unsupported")
    allowed = {
        "valid": {"exact"},
        "valid_normalised": {"exact", "normalised"},
        "partial": {"partial"},
        "too_short": {"too_short"},
        "invalid": {"not_found"},
        "invalid_or_flag": {"not_found"},
    }
    return found.status in allowed[expected]


def paraphrases(path: Path, *, shown: bool) -> dict[str, tuple[float, int]]:
    """Return the shares accepted of honest and of wrong restatements, of both halves."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    figures = {}
    for half, part in (("even, developed on", rows[::2]), ("odd, held out", rows[1::2])):
        for label, name in ((1, "honest paraphrase"), (0, "wrong restatement")):
            good = [r for r in part if r["label"] == label]
            taken = [r for r in good if check(r["claim"], r["evidence"]).support in ("quoted", "supported")]
            figures[f"{name} ({half})"] = (len(taken) / len(good), len(good))
            for row in good if shown and part[0] is rows[0] else ():
                if (row in taken) != bool(label):
                    print(
                        name,
                        check(row["claim"], row["evidence"]),
                        row["claim"],
                        row["evidence"],
                        file=sys.stderr,
                    )
    return figures


def auroc_of(path: Path, name: str) -> dict[str, Any]:
    """Return the AUROC of the support score, what is accepted by label, and claims a second."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    began = time.process_time()
    verdicts = [check(r["claim"], [r["source"]]) for r in rows]
    taken = time.process_time() - began
    labels = [int(r["label"]) for r in rows]
    figures: dict[str, Any] = {f"{name} AUROC of score": auroc([v.checks["score"] for v in verdicts], labels)}
    for label, word in ((1, "supported"), (0, "not supported")):
        mine = [
            v.support in ("quoted", "supported") for v, y in zip(verdicts, labels, strict=True) if y == label
        ]
        figures[f"{name} accepted of {word}"] = (sum(mine) / len(mine), len(mine))
    figures[f"{name} claims/s"] = len(rows) / taken
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
