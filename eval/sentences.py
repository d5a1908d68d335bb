"""Measure how well abstracts are split into sentences.

    python eval/sentences.py [--shared ../shared] [--abstracts 5000] [--misses 10] [--json FILE]

SciFact provides abstracts sentence by sentence; those with section headings are left out. A boundary is the
position, in characters without white space, at which one sentence ends and the next begins. Other splitters
are measured as well if they are installed. arXiv abstracts have no reference; their sentences must tile the
text and agree with their offsets.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import itertools
import json
import lzma
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paperagent.text.sentences import split_sentences

Splitter = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Score:
    """A splitter's boundaries compared with the reference."""

    precision: float
    recall: float
    f1: float
    all_right: float
    """Share of the abstracts with all boundaries right."""
    ms: float
    """Milliseconds per abstract."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the tables; return 1 if a sentence disagrees with its offsets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--abstracts", type=int, default=5000, help="number of arXiv abstracts to tile")
    parser.add_argument("--others", type=int, default=400, help="number of abstracts for slow splitters")
    parser.add_argument("--misses", type=int, default=0, help="number of differing abstracts to show")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    scifact = args.shared / "data/retrieval/scifact/corpus.jsonl.gz"
    if not scifact.exists():
        print(f"sentences: skipped, no test data at {args.shared}")
        return 0
    reference = [row["sentences"] for row in _rows(scifact) if not row["structured"]]
    figures: dict[str, Any] = {name: _measure(name, reference, args.others) for name in SPLITTERS}
    arxiv = _rows(args.shared / "data/arxiv/abstracts.jsonl.xz")
    torn, sentences = tile(itertools.islice(arxiv, args.abstracts))
    figures["arxiv"] = {"abstracts": args.abstracts, "sentences": sentences, "torn": torn}
    report(figures, len(reference), args.others)
    for text in itertools.islice(misses(reference), args.misses):
        print(text)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1, default=_fields) + "\n", "utf-8")
    return int(torn > 0)


def _fields(score: Score) -> dict[str, float]:
    return {name: getattr(score, name) for name in Score.__slots__}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    unpack = gzip.open if path.suffix == ".gz" else lzma.open
    with unpack(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def ours(text: str) -> list[str]:
    """Split with paperagent."""
    return [s.text for s in split_sentences(text)]


def _sentencex() -> Splitter:
    library = importlib.import_module("sentencex")
    return lambda text: list(library.segment("en", text))


def _syntok() -> Splitter:
    library = importlib.import_module("syntok.segmenter")

    def splitter(text: str) -> list[str]:
        spans = [s for paragraph in library.process(text) for s in paragraph]
        starts = [s[0].offset for s in spans] + [len(text)]
        return [text[a:b] for a, b in itertools.pairwise([0, *starts[1:]])]

    return splitter


def _pysbd() -> Splitter:
    segmenter = importlib.import_module("pysbd").Segmenter(language="en", clean=False)
    return lambda text: list(segmenter.segment(text))


SPLITTERS: dict[str, Callable[[], Splitter]] = {
    "paperagent": lambda: ours,
    "sentencex": _sentencex,
    "syntok": _syntok,
    "pysbd": _pysbd,
}
_SLOW = ("syntok", "pysbd")


def _measure(name: str, reference: Sequence[Sequence[str]], others: int) -> Score | None:
    """Return the score of a splitter, or None if it is not installed."""
    try:
        splitter = SPLITTERS[name]()
    except ImportError:
        return None
    return score(splitter, reference[:others] if name in _SLOW else reference)


def score(splitter: Splitter, reference: Sequence[Sequence[str]]) -> Score:
    """Compare the boundaries of a splitter with the reference."""
    hits = predicted = expected = right = 0
    start = time.perf_counter()
    results = [splitter(" ".join(sentences)) for sentences in reference]
    seconds = time.perf_counter() - start
    for result, sentences in zip(results, reference, strict=True):
        mine, theirs = boundaries(result), boundaries(sentences)
        hits += len(mine & theirs)
        predicted += len(mine)
        expected += len(theirs)
        right += mine == theirs
    precision, recall = hits / predicted, hits / expected
    f1 = 2 * precision * recall / (precision + recall)
    return Score(precision, recall, f1, right / len(reference), 1000 * seconds / len(reference))


def boundaries(sentences: Sequence[str]) -> set[int]:
    """Return where sentences end, except the last, in characters without white space."""
    lengths = [len("".join(s.split())) for s in sentences]
    return set(itertools.accumulate(n for n in lengths if n)) - {sum(lengths)}


def tile(rows: Iterator[dict[str, Any]]) -> tuple[int, int]:
    """Return how many abstracts are not tiled by their sentences, and the number of sentences."""
    torn = count = 0
    for row in rows:
        text = row["abstract"]
        sentences, end, tiled = split_sentences(text), 0, True
        for s in sentences:
            tiled &= not text[end : s.start].strip() and s.start >= end and text[s.start : s.end] == s.text
            end = s.end
        torn += not (tiled and not text[end:].strip())
        count += len(sentences)
    return torn, count


def misses(reference: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the abstracts that are split differently: our boundaries as ``|``, the reference's as ``¦``."""
    for sentences in reference:
        text = " ".join(sentences)
        mine, theirs = boundaries(ours(text)), boundaries(sentences)
        if mine == theirs:
            continue
        at, marked = 0, ""
        for character in text:
            at += not character.isspace()
            marked += character
            if not character.isspace() and at in mine ^ theirs:
                marked += "|" if at in mine else "¦"
        yield marked


def report(figures: dict[str, Any], count: int, others: int) -> None:
    """Print the tables."""
    print(f"{'splitter':12s} abstracts precision  recall     F1 all right     ms")
    for name in SPLITTERS:
        result = figures[name]
        size = min(count, others) if name in _SLOW else count
        print(
            f"{name:12s} {size:9,d} {result.precision:9.4f} {result.recall:7.4f} {result.f1:6.4f} "
            f"{result.all_right:9.3f} {result.ms:6.3f}"
            if result
            else f"{name:12s} not installed"
        )
    arxiv = figures["arxiv"]
    print(
        f"arXiv: {arxiv['sentences']:,} sentences of {arxiv['abstracts']:,} abstracts; "
        f"{arxiv['torn']} abstracts not tiled {'FAIL' if arxiv['torn'] else 'PASS'}"
    )


if __name__ == "__main__":
    sys.exit(main())
