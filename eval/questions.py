"""Print the quality of extractive answers on hand-written questions over a library.

    python eval/questions.py --questions FILE.jsonl FEED… [--failures] [--json]

Each question has ``gold_titles``, ``evidence`` (exact substrings of abstracts), ``must_include``
(texts that the answer must hold, alternatives separated by ``|``) and, for follow-ups,
``history``; a question without gold titles is unanswerable. Figures are over the answerable
questions, but for AUROC, which is over all: how well ``confidence`` separates the two.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from paperagent import Answer, PaperAgent


def main(argv: Sequence[str] | None = None) -> int:
    """Run the questions and print a table by kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("feeds", nargs="+")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--embedder", help="as PAPERAGENT_EMBEDDER; `none` for lexical only")
    parser.add_argument("--failures", action="store_true", help="also list each question that missed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    cases = [json.loads(line) for line in args.questions.read_text("utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory() as home, PaperAgent(home, embedder=args.embedder) as agent:
        agent.ingest(args.feeds)
        rows = [score(case, ask(agent, case), agent) for case in cases]
    if args.json:
        print(json.dumps(rows))
    else:
        report(rows, failures=args.failures)
    return 0


def ask(agent: PaperAgent, case: dict[str, Any]) -> Answer:
    """Ask one case's question, with its history."""
    return agent.ask(case["question"], history=case.get("history"), mode="extractive")


def score(case: dict[str, Any], answer: Answer, agent: PaperAgent) -> dict[str, Any]:
    """Return the case's figures; None where a figure does not apply."""
    gold = {_key(t) for t in case["gold_titles"]}
    cited = {_key(c.title) for c in answer.citations}
    found = [_evidence_cited(e, answer, agent, gold) for e in case["evidence"]]
    text = answer.answer.casefold()
    must = [any(a.casefold() in text for a in m.split("|")) for m in case["must_include"]]
    top = {_key(h.title) for h in answer.hits[:5]}
    return {
        "id": case["id"],
        "kind": case["kind"],
        "tags": case.get("tags", []),
        "answerable": bool(gold),
        "abstained": answer.status == "abstained",
        "confidence": answer.confidence,
        "gold_in_top5": gold <= top if gold else None,
        "gold_share_top5": len(gold & top) / len(gold) if gold else None,
        "gold_cited": bool(gold & cited) if gold else None,
        "evidence_any": any(found) if found else None,
        "evidence_share": mean(found) if found else None,
        "must_include": all(must) if gold else None,
        "must_share": mean(must) if must else None,
        "sentences": len(answer.citations),
        "ms": answer.timings_ms.get("total", 0.0),
    }


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title.casefold())


def _evidence_cited(evidence: str, answer: Answer, agent: PaperAgent, gold: set[str]) -> bool:
    for c in answer.citations:
        if _key(c.title) not in gold:
            continue
        at = agent.get(c.paper_id).abstract.find(evidence)
        if at >= 0 and c.start < at + len(evidence) and at < c.end:
            return True
    return False


COLUMNS = (
    "gold_in_top5", "gold_share_top5", "gold_cited", "evidence_any", "evidence_share", "must_include",
    "must_share", "abstained", "sentences", "ms",
)  # fmt: skip


def report(rows: Sequence[dict[str, Any]], *, failures: bool) -> None:
    """Print the table."""
    answerable = [r for r in rows if r["answerable"]]
    print(f"{'kind':12s} {'n':>3s} " + " ".join(f"{c[:14]:>14s}" for c in COLUMNS))
    kinds = sorted({r["kind"] for r in rows})
    for name, group in [
        *((k, [r for r in rows if r["kind"] == k]) for k in kinds),
        ("answerable", answerable),
    ]:
        cells = " ".join(f"{_mean(r[c] for r in group):>14s}" for c in COLUMNS)
        print(f"{name:12s} {len(group):3d} {cells}")
    print(f"AUROC of confidence, answerable against not: {auroc(rows, lambda _: True):.3f}")
    fact = "absent_fact"
    rest = auroc(rows, lambda r: fact not in r["tags"])
    print(f"  without questions whose paper is there but not the fact: {rest:.3f}")
    for r in rows if failures else ():
        if r["answerable"] and not (r["evidence_any"] and r["must_include"] and r["gold_in_top5"]):
            print({k: r[k] for k in ("id", "kind", "confidence", *COLUMNS[:7])})
        if not r["answerable"]:
            print({k: r[k] for k in ("id", "tags", "confidence", "abstained")})


def _mean(values: Iterable[float | bool | None]) -> str:
    known = [float(v) for v in values if v is not None]
    return f"{mean(known):.3f}" if known else "–"


def auroc(rows: Sequence[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]) -> float:
    """Return the chance that an answerable question has more confidence than one that is not."""
    pairs = [
        (a["confidence"], b["confidence"]) for a in rows if a["answerable"]
        for b in rows if not b["answerable"] and wanted(b)
    ]  # fmt: skip
    return mean((a > b) + 0.5 * (a == b) for a, b in pairs) if pairs else float("nan")


if __name__ == "__main__":
    sys.exit(main())
