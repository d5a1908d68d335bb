"""Look over a library before cases are asked of it: what it holds, and what of the cases it lacks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from paperagent.errors import visible
from paperagent.evals.cases import Case
from paperagent.evals.scorers.content import spans_of
from paperagent.evals.scorers.retrieval import title_key
from paperagent.types import Paper

_MANY = 2**256


@dataclass(frozen=True, slots=True)
class LibraryCheck:
    """What was found."""

    count: int
    hash: str
    """Of every paper's id, title and abstract, whatever their order."""
    problems: tuple[str, ...] = ()
    """Cases that cannot come out right, since the library lacks a paper or a sentence that they name."""


def check_library(papers: Iterable[Paper], known: Mapping[str, Paper], cases: Sequence[Case]) -> LibraryCheck:
    """Read the library once; ``known`` holds the papers of the cases' gold ids, as they were asked for."""
    wanted = {title_key(t) for case in cases for t in case.gold_titles}
    total = count = 0
    titled: dict[str, list[Paper]] = {}
    for paper in papers:
        count += 1
        text = f"{paper.paper_id}\0{paper.title}\0{paper.abstract}"
        total += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        if (key := title_key(paper.title)) in wanted:
            titled.setdefault(key, []).append(paper)
    problems = [problem for case in cases for problem in _problems(case, titled, known)]
    return LibraryCheck(count, f"{total % _MANY:064x}"[:16], tuple(problems))


def _problems(case: Case, titled: Mapping[str, list[Paper]], known: Mapping[str, Paper]) -> Iterable[str]:
    name = f"case {visible(case.id)}"
    for paper_id in case.gold_ids:
        if paper_id not in known:
            yield f"{name}: the library has no paper {visible(paper_id, limit=80)}"
    for title in case.gold_titles:
        if not case.gold_ids and title_key(title) not in titled:
            yield f"{name}: the library has no paper titled {visible(title, limit=80)}"
    gold = [known[i] for i in case.gold_ids if i in known]
    gold += [p for t in case.gold_titles for p in titled.get(title_key(t), ())]
    for evidence in case.evidence:
        if gold and not any(spans_of(evidence, paper.abstract) for paper in gold):
            yield f"{name}: no gold abstract says “{visible(evidence, limit=60)}”"
