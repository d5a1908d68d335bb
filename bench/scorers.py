"""Print how many answers a second the scorers score, first time over the answers of a run.

    python bench/scorers.py CASES RUN LIBRARY

RUN is a folder that ``paperagent eval run CASES --out RUN`` wrote over LIBRARY.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from paperagent import PaperAgent
from paperagent.evals import cases, results, scorers


def main() -> None:
    """Read run and papers, then time the scoring alone."""
    case_file, run, library = map(Path, sys.argv[1:4])
    with PaperAgent(library) as agent:
        papers = {p.paper_id: p for p in agent.papers()}
    known = {case.id: case for case in cases.load(case_file)}
    _, found = results.load(run)
    answers = [(known[row.id], results.answer_of(row, papers)) for row in found]
    begun = time.perf_counter()
    for case, answer in answers:
        if answer is not None:
            scorers.score_case(case, answer, papers, k=10)
    print(f"{len(answers) / (time.perf_counter() - begun):,.0f} answers/s")


if __name__ == "__main__":
    main()
