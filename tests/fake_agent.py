"""A fake `PaperAgent` with three papers and scripted answers, which records every call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from paperagent import arguments
from paperagent.answering.answers import caveat_of
from paperagent.errors import InputError
from paperagent.library.facets import Facets, count_papers
from paperagent.library.protocol import Check, Health
from paperagent.types import Answer, Citation, Claim, Event, Hit, IngestReport, Paper

PAPERS = (
    Paper(
        "2601.00001",
        "Sparse Lanterns: Retrieval at Night",
        "We study lanterns. Sparse lanterns find papers 12% faster. The code is public.",
        authors=("Ada Example", "Bo Sample"),
        published=dt.date(2026, 1, 5),
        categories=("cs.IR",),
        url="https://arxiv.org/abs/2601.00001",
        arxiv_id="2601.00001",
        sources=("daily-papers",),
    ),
    Paper(
        "2601.00002",
        "Dense Lanterns",
        "Dense lanterns cost more. They are brighter.",
        published=dt.date(2026, 2, 6),
        categories=("cs.CL",),
        sources=("arxiv",),
    ),
    Paper("doi:10.1000/x", "A third paper", "It says little.", doi="10.1000/x"),
)
HITS = tuple(Hit(p, 1.0 / rank, rank, snippet=p.abstract[:20]) for rank, p in enumerate(PAPERS, 1))


def citation(n: int, paper: Paper, quote: str) -> Citation:
    """Return a citation with the correct offsets."""
    start = paper.abstract.index(quote)
    return Citation(n, paper.paper_id, paper.title, paper.url, quote, start, start + len(quote))


def quoted(*pairs: tuple[Paper, str], question: str = "q?", **changes: Any) -> Answer:
    """Return an extractive answer that quotes these sentences."""
    cited = tuple(citation(n, paper, text) for n, (paper, text) in enumerate(pairs, 1))
    claims = tuple(Claim(c.quote, (c.n,), "quoted") for c in cited)
    text = " ".join(f"{c.quote} [{c.n}]" for c in cited)
    return Answer(question, "answered", None, text, claims, cited, HITS, **changes)


SINGLE = quoted((PAPERS[0], "Sparse lanterns find papers 12% faster."))
COMPARED = quoted(
    (PAPERS[0], "Sparse lanterns find papers 12% faster."),
    (PAPERS[1], "Dense lanterns cost more."),
    (PAPERS[0], "The code is public."),
)
ABSTAINED = Answer("q?", "abstained", "not_in_abstracts", "The abstracts do not say it.", hits=HITS)


def events(answer: Answer) -> Iterator[Event]:
    """Yield the events of an answer."""
    yield Event("retrieved", hits=answer.hits)
    for claim in answer.claims:
        cited = tuple(c for c in answer.citations if c.n in claim.citations)
        yield Event("claim", claim=claim, citations=cited, caveat=caveat_of(answer))
    yield Event("done", answer=answer)


class FakeAgent:
    """Answers from ``script`` (an Answer, an exception, or a function yielding events), then `SINGLE`."""

    def __init__(self, *script: Answer | BaseException | Callable[[], Iterator[Event]]) -> None:
        self.script = list(script)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.settings: Any = None
        self.library: Sequence[Paper] = PAPERS
        self.fails: BaseException | None = None
        self.health = Health(ok=True, checks=(Check("library", ok=True, detail="3 papers"),))
        self.report = IngestReport(read=3, new=3, papers=3, skipped={"no abstract": 2}, notes=("a note",))

    def __call__(self, *, settings: Any) -> Self:
        """Return itself, as the class would return an agent."""
        self.settings = settings
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.calls.append(("close", (), {}))

    def _note(self, name: str, *args: Any, **options: Any) -> None:
        self.calls.append((name, args, options))
        if self.fails is not None:
            raise self.fails

    def ingest(self, sources: list[str], **options: Any) -> IngestReport:
        self._note("ingest", sources, **options)
        return self.report

    def search(self, query: str, **options: Any) -> list[Hit]:
        self._note("search", query, **options)
        return list(HITS[: options["k"]])

    def get(self, paper_id: str) -> Paper:
        self._note("get", paper_id)
        for paper in PAPERS:
            if paper.paper_id == paper_id:
                return paper
        raise InputError(f"paper: no paper with the id {paper_id}; `paperagent search` shows ids")

    def papers(self) -> Iterator[Paper]:
        self._note("papers")
        return iter(PAPERS)

    def ask_stream(self, question: str, **options: Any) -> Iterator[Event]:
        self._note("ask", question, **options)
        step = self.script.pop(0) if self.script else SINGLE
        if isinstance(step, BaseException):
            raise step
        return events(step) if isinstance(step, Answer) else step()

    def ask(self, question: str, **options: Any) -> Answer:
        *_, last = self.ask_stream(question, **options)
        assert last.answer is not None
        return last.answer

    def summarize(self, query: str | None = None, *, ids: list[str] | None = None, **options: Any) -> Answer:
        self._note("summarize", query if ids is None else ids, **options)
        step = self.script.pop(0) if self.script else SINGLE
        assert isinstance(step, Answer)
        return step

    def status(self, *, details: bool = False) -> dict[str, Any]:
        self._note("status", details=details)
        return {"home": "/somewhere", "papers": 3, "vectors": {"indexed": 3, "embedder": None}}

    def list(self, *, limit: int | None = None, **limits: Any) -> list[Paper]:
        self._note("list", limit=limit, **limits)
        return self._admitted(limits)[:limit]

    def count(self, **limits: Any) -> int:
        return len(self._admitted(limits))

    def _admitted(self, limits: dict[str, Any]) -> Sequence[Paper]:
        admits = arguments.filters(**limits).admits
        newest_first = sorted(self.library, key=lambda paper: str(paper.published or ""), reverse=True)
        return [paper for paper in newest_first if admits(paper)]

    def facets(self) -> Facets:
        self._note("facets")
        return count_papers(PAPERS)

    def doctor(self, *, repair: bool) -> Health:
        self._note("doctor", repair=repair)
        return self.health

    def reindex(self, **options: Any) -> None:
        self._note("reindex", **options)

    def asked(self) -> list[str]:
        """Return the questions asked so far."""
        return [args[0] for name, args, _ in self.calls if name == "ask"]

    def options(self, name: str) -> dict[str, Any]:
        """Return the options of the last call of ``name``."""
        return next(o for n, _, o in reversed(self.calls) if n == name)
