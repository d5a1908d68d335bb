"""Print how well abstracts are split into sentences.

    python eval/sentences.py [--shared ../shared] [--abstracts 5000] [--misses 10] [--json FILE]

SciFact's abstracts are given sentence by sentence; those with section headings are left out.
A boundary is a character, white space not counted, at which one sentence ends and another
begins. Other splitters are measured too where they are installed. On arXiv abstracts there is
no reference: there, sentences must tile the text and agree with their offsets.
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
    """How a splitter's boundaries compare with the given ones."""

    precision: float
    recall: float
    f1: float
    wholly_right: float
    """Share of the abstracts."""
    ms: float
    """Per abstract."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the tables; return 1 where a sentence disagrees with its offsets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--abstracts", type=int, default=5000, help="arXiv abstracts to tile")
    parser.add_argument("--others", type=int, default=400, help="abstracts for slow splitters")
    parser.add_argument("--misses", type=int, default=0, help="show so many abstracts that differ")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    scifact = args.shared / "data/retrieval/scifact/corpus.jsonl.gz"
    if not scifact.exists():
        print(f"sentences: skipped, no test data at {args.shared}")
        return 0
    given = [row["sentences"] for row in _rows(scifact) if not row["structured"]]
    figures: dict[str, Any] = {name: _measured(name, given, args.others) for name in SPLITTERS}
    arxiv = _rows(args.shared / "data/arxiv/abstracts.jsonl.xz")
    torn, sentences = tile(itertools.islice(arxiv, args.abstracts))
    figures["arxiv"] = {"abstracts": args.abstracts, "sentences": sentences, "torn": torn}
    report(figures, len(given), args.others)
    for text in itertools.islice(misses(given), args.misses):
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


def _measured(name: str, given: Sequence[Sequence[str]], others: int) -> Score | None:
    """Return the score of a splitter; None where it is not installed."""
    try:
        splitter = SPLITTERS[name]()
    except ImportError:
        return None
    return score(splitter, given[:others] if name in _SLOW else given)


def score(splitter: Splitter, given: Sequence[Sequence[str]]) -> Score:
    """Compare the boundaries of a splitter with the given ones."""
    hits = found = wanted = right = 0
    start = time.perf_counter()
    results = [splitter(" ".join(sentences)) for sentences in given]
    took = time.perf_counter() - start
    for result, sentences in zip(results, given, strict=True):
        mine, theirs = boundaries(result), boundaries(sentences)
        hits, found, wanted = hits + len(mine & theirs), found + len(mine), wanted + len(theirs)
        right += mine == theirs
    precision, recall = hits / found, hits / wanted
    f1 = 2 * precision * recall / (precision + recall)
    return Score(precision, recall, f1, right / len(given), 1000 * took / len(given))


def boundaries(sentences: Sequence[str]) -> set[int]:
    """Return where sentences end, but the last, in characters that are not white space."""
    lengths = [len("".join(s.split())) for s in sentences]
    return set(itertools.accumulate(n for n in lengths if n)) - {sum(lengths)}


def tile(rows: Iterator[dict[str, Any]]) -> tuple[int, int]:
    """Return how many abstracts are not tiled by their sentences, and the number of sentences."""
    torn = count = 0
    for row in rows:
        text = row["abstract"]
        sentences, end, whole = split_sentences(text), 0, True
        for s in sentences:
            whole &= not text[end : s.start].strip() and s.start >= end and text[s.start : s.end] == s.text
            end = s.end
        torn += not (whole and not text[end:].strip())
        count += len(sentences)
    return torn, count


def misses(given: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the abstracts that are split differently: ours with ``|``, the given ones with ``¦``."""
    for sentences in given:
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
        found = figures[name]
        size = min(count, others) if name in _SLOW else count
        print(
            f"{name:12s} {size:9,d} {found.precision:9.4f} {found.recall:7.4f} {found.f1:6.4f} "
            f"{found.wholly_right:9.3f} {found.ms:6.3f}"
            if found
            else f"{name:12s} not installed"
        )
    arxiv = figures["arxiv"]
    print(
        f"arXiv: {arxiv['sentences']:,} sentences of {arxiv['abstracts']:,} abstracts; "
        f"{arxiv['torn']} abstracts not tiled {'FAIL' if arxiv['torn'] else 'PASS'}"
    )


if __name__ == "__main__":
    sys.exit(main())
