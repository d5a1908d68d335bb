"""Print how many answers per second the scorers process, with cold caches.

    python bench/scorers.py CASES RUN LIBRARY

RUN is a folder that ``paperagent eval run CASES --out RUN`` wrote with LIBRARY.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from paperagent import PaperAgent
from paperagent.evals import cases, results, scorers


def main() -> None:
    """Load the run and the papers, then time only the scoring."""
    case_file, run, library = map(Path, sys.argv[1:4])
    with PaperAgent(library) as agent:
        papers = {p.paper_id: p for p in agent.papers()}
    cases_by_id = {case.id: case for case in cases.load(case_file)}
    _, rows = results.load(run)
    answers = [(cases_by_id[row.id], results.answer_of(row, papers)) for row in rows]
    started = time.perf_counter()
    for case, answer in answers:
        if answer is not None:
            scorers.score_case(case, answer, papers, k=10)
    print(f"{len(answers) / (time.perf_counter() - started):,.0f} answers/s")


if __name__ == "__main__":
    main()
