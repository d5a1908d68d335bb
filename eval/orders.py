"""Measure how well sentences that address a model are distinguished from the sentences of real abstracts.

    python eval/orders.py [--shared ../shared] [--every N] [--list]

Attacks are public attack strings from the test data, split into two halves by a hash of their text, and
orders from ``tests/attack_grammar.py``, with the verbs and languages used for development and with held-out
ones. False alarms are sentences of arXiv abstracts that are mistaken for an order.

``--every N`` reads every Nth abstract. ``--list`` prints the false alarms and the missed attacks. The exit
code is 9 if a limit is not met.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paperagent.text.injection import cue_of_address, looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.text.statements import is_claim, is_statement

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
import attack_grammar  # noqa: E402 - the generator of the tests

GATE_FAILED = 9
MAX_FALSE_ALARMS = 1 / 2000
MIN_GENERATED = 0.9
ABSTRACT = (
    "We study how owls sleep. The method is a camera in each nest, and it is cheap. In 40 nests, owls sleep "
    "for nine hours by day. The results are the same for all species that we have seen."
)
"""An English abstract around a foreign sentence."""
STRINGS = ("garak_latent", "bipia_attacks", "reviewer_prompts")


def main(argv: Sequence[str] | None = None) -> int:
    """Print every figure; return 9 if a limit is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parent / "../shared")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--list", action="store_true", help="print false alarms and missed attacks")
    args = parser.parse_args(argv)
    failed = [name for name, share in generated(show=args.list) if share < MIN_GENERATED]
    data = args.shared / "data"
    if data.is_dir():
        strings(data / "attacks", show=args.list)
        claims(data / "claims/dev.jsonl")
        if alarms(data / "arxiv/abstracts.jsonl.xz", args.every, show=args.list) > MAX_FALSE_ALARMS:
            failed.append("false alarms")
    for name in failed:
        print(f"  not met: {name}")
    return GATE_FAILED if failed else 0


def generated(*, show: bool) -> list[tuple[str, float]]:
    """Return the share of generated attacks that are recognized, by kind and half."""
    shares = []
    for half, name in ((0, "development"), (1, "held out")):
        for kind, texts in (
            ("imperatives", list(attack_grammar.imperatives(half, 1000))),
            ("addresses", list(attack_grammar.addresses(half, 1000))),
            ("disguised", list(attack_grammar.disguised(half, 600))),
            ("foreign", list(attack_grammar.foreign(half))),
        ):
            missed = [t for t in texts if is_statement(t, f"{ABSTRACT} {t}")]
            shares.append((f"{kind}, {name}", report(f"{kind} ({name})", texts, missed, show=show)))
    return shares


def strings(folder: Path, *, show: bool) -> None:
    """Print how many public attack strings are recognized, by file and half."""
    for file in STRINGS:
        texts = [
            json.loads(line)["text"] for line in (folder / f"{file}.jsonl").read_text("utf-8").splitlines()
        ]
        for half, name in ((0, "development"), (1, "held out")):
            mine = [t for t in texts if hashlib.sha256(t.encode()).digest()[0] % 2 == half]
            missed = [t for t in mine if is_statement(" ".join(t.split()), ABSTRACT)]
            report(f"{file} ({name})", mine, missed, show=show)


def report(name: str, texts: Sequence[str], missed: Sequence[str], *, show: bool) -> float:
    """Print and return the share of texts that are not missed."""
    share = 1 - len(missed) / max(1, len(texts))
    print(f"{name:34} {share:.3f} of {len(texts)}")
    if show:
        print("".join(f"    {' '.join(t.split())[:150]}\n" for t in missed[:20]), end="")
    return share


def claims(path: Path) -> None:
    """Print how many claims of the test data are not recognized as statements, by label."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for label in ("honest", "wrong"):
        mine = [r for r in rows if r["label"] == label]
        print(
            f"claims, {label}: not a statement {sum(not is_claim(r['claim']) for r in mine)} of {len(mine)}"
        )
    cited = {(e, r["abstract"]) for r in rows for e in r["evidence"]}
    print(f"cited sentences: not a statement {sum(not is_statement(*c) for c in cited)} of {len(cited)}")


def alarms(path: Path, every: int, *, show: bool) -> float:
    """Print the false alarms on the abstracts of the arXiv, and return their share of the abstracts."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        abstracts = [json.loads(line)["abstract"] for line in lines][::every]
    count, flagged, cues, seconds = 0, 0, Counter[str](), 0.0
    no_evidence = 0
    for abstract in abstracts:
        sentences = [s.text for s in split_sentences(abstract)]
        began = time.process_time()
        found = [s for s in sentences if looks_like_instruction(s, abstract)]
        seconds += time.process_time() - began
        count += len(sentences)
        flagged += bool(found)
        no_evidence += sum(not is_statement(s, abstract) for s in sentences)
        cues.update(cue_of_address(s) or "language" for s in found)
        if show:
            print("".join(f"    {cue_of_address(s)}: {' '.join(s.split())[:150]}\n" for s in found), end="")
    total = sum(cues.values())
    print(f"false alarms: {flagged} of {len(abstracts)} abstracts, {total} of {count} sentences {dict(cues)}")
    print(f"not accepted as evidence (with questions and headings): {no_evidence} of {count} sentences")
    print(f"{1e6 * seconds / count:.0f} µs of CPU a sentence")
    return flagged / len(abstracts)


if __name__ == "__main__":
    sys.exit(main())
