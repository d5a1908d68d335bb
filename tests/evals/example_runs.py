"""Hand-made runs: rows as `eval run` writes them, without asking anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paperagent.evals.results import Failure, ModelCall, Retrieved, Row, Run
from paperagent.evals.scorers import summarize

HOSTILE = (
    '<img src=x onerror="alert(1)"> </style></title><script>alert(2)</script> \x1b[31m\u202e|]] & "q" \'a\''
)
SENTENCE = "On three benchmarks, TerraNet improves accuracy by 4.2% while using 30% less memory."


def answer(
    claims: Sequence[dict[str, Any]] = (), *, status: str = "answered", title: str = "TerraNet", **rest: Any
) -> dict[str, Any]:
    """Return an answer as JSON, whose one citation is `SENTENCE`."""
    citation = {"n": 1, "paper_id": "2601.00001", "title": title, "url": "https://arxiv.org/abs/2601.00001",
                "quote": SENTENCE, "start": 0, "end": len(SENTENCE)}  # fmt: skip
    usage = {"calls": 0, "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "cost_usd": 0.0,
             "estimated": False}  # fmt: skip
    return {
        "question": "?", "status": status, "reason": None, "answer": " ".join(c["text"] for c in claims),
        "claims": list(claims), "citations": [citation] if claims else [], "papers": [], "mode": "extractive",
        "model": None, "prompt_hash": None, "usage": usage, "timings_ms": {"total": 12.0}, "confidence": 0.5,
        "notes": [],
    } | rest  # fmt: skip


def claim(
    text: str = SENTENCE, *, support: str = "quoted", cites: Sequence[int] = (1,), **checks: Any
) -> dict[str, Any]:
    """Return a claim as JSON."""
    return {"text": text, "citations": list(cites), "support": support, "checks": checks}


def row(
    name: str,
    *,
    right: bool = True,
    kind: str = "fact",
    failure: Failure | None = None,
    scores: dict[str, float | None] | None = None,
    **rest: Any,
) -> Row:
    """Return the row of a correct or a failed case."""
    given: dict[str, Any] = {
        "id": name, "kind": kind, "question": f"What about {name}?", "ms": 20.0, "confidence": 0.6,
        "failure": None if right else failure or "evidence_ignored", "answer": answer([claim()]),
        "scores": {"correct": float(right), "citation_recall": 1.0, "latency_ms": 20.0} | (scores or {}),
        "retrieved": (Retrieved(paper_id="2601.00001", title="TerraNet", score=0.9, rank=1),),
    } | rest  # fmt: skip
    return Row(**given)


def error(name: str, *, kind: str = "fact") -> Row:
    return Row(
        id=name,
        kind=kind,
        question=f"What about {name}?",
        state="error",
        error="endpoint: gone",
        failure="error",
    )


def run(rows: Sequence[Row], *, name: str = "run", **rest: Any) -> Run:
    given: dict[str, Any] = {
        "id": name, "created": "2026-11-20T10:00:00+00:00", "cases": "cases.jsonl", "cases_hash": "c",
        "library_hash": "l", "mode": "extractive", "settings": {"k": 10}, "count": len(rows),
        "errors": sum(r.state == "error" for r in rows), "metrics": summarize(rows),
    } | rest  # fmt: skip
    return Run(**given)


def many(right: Sequence[bool], **rest: Any) -> list[Row]:
    return [row(f"c{i:03}", right=r, **rest) for i, r in enumerate(right)]


def hostile() -> list[Row]:
    """Return rows in which every text is an attack, and a claim fails in every way."""
    bad = claim(
        f"TerraNet improves accuracy by 5.9% {HOSTILE}", support="unsupported", cites=(1, 7), numbers=False,
        negation=True, dangling=["9.9"], judge="not_supported",
    )  # fmt: skip
    shown = answer([bad, claim()], title=HOSTILE, notes=[HOSTILE], reason=None, mode="llm", model=HOSTILE)
    shown["citations"][0]["url"] = "javascript:alert(1)"
    shown["usage"] |= {"calls": 1, "input_tokens": 900, "output_tokens": 80, "cost_usd": 0.0012}
    return [
        row("h1", right=False, kind=HOSTILE, question=HOSTILE, answer=shown, confidence=None,
            retrieved=(Retrieved(paper_id=HOSTILE, title=HOSTILE, score=0.5, rank=1),),
            raw=(ModelCall(schema_name="answer", text=HOSTILE),)),
        row("h2", right=False, failure="should_have_answered", kind=HOSTILE,
            answer=answer(status="abstained", reason="not_in_abstracts", answer=HOSTILE)),
        row(HOSTILE, kind=HOSTILE, answerable=False),
        error("h4", kind=HOSTILE).model_copy(update={"error": HOSTILE}),
    ]  # fmt: skip
