r"""Claims about papers with LaTeX, in every notation: ``\leq``, ``≤``, ``$\beta$``, ``β``, escaped or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperagent import PaperAgent
from sample_library import folder
from scripted_agent import ScriptedAgent, scripted_agent

PAPER = {
    "id": "2611.08007",
    "title": r"Hum scaling of lanterns with $\beta$",
    "abstract": (
        r"We show that the hum of lanterns scales as $\beta = 0.73$ with $\theta \leq 5$ and noise $\nu$. "
        r"The ratio $\frac{a}{b}$ of hum and light stays below $10^{-3}$ for all $\rho > 2$. "
        r"The rate $f_{\min}$ of the hum is $3 \times 10^{6}$ Hz with $\tau \geq 4$."
    ),
    "authors": ["Ada Vex"],
    "date": "2026-11-20",
    "categories": ["cs.CL"],
}
QUESTION = "How does the hum of lanterns scale?"


@pytest.fixture(scope="module")
def lanterns() -> Path:
    home = folder()
    path = home.parent / "lanterns.jsonl"
    path.write_text(json.dumps(PAPER) + "\n", encoding="utf-8")
    with PaperAgent(home, embedder="none") as agent:
        agent.ingest(path)
    return home


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lanterns: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library", lanterns) as agent:
        yield agent


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (r"The hum of lanterns scales as $\beta = 0.73$ with $\theta \leq 5$ and noise $\nu$.", "1.1"),
        (r"The hum of lanterns scales as \beta = 0.73 with \theta \leq 5 and noise \nu.", "1.1"),
        (r"The hum of lanterns scales as \(\beta = 0.73\) with \(\theta \leq 5\) and noise \(\nu\).", "1.1"),
        ("The hum of lanterns scales as β = 0.73 with θ ≤ 5 and noise ν.", "1.1"),
        ("The hum of lanterns scales as β = 0.73 with θ <= 5 and noise ν.", "1.1"),
        (r"The ratio $\frac{a}{b}$ of hum and light stays below $10^{-3}$ for all $\rho > 2$.", "1.2"),
        (r"The ratio \frac{a}{b} of hum and light stays below 10^{-3} for all \rho > 2.", "1.2"),
        ("The ratio a/b of hum and light stays below 10⁻³ for all ρ > 2.", "1.2"),
        ("The ratio a/b of hum and light stays below 10^-3 for all ρ > 2.", "1.2"),
        (r"The rate $f_{\min}$ of the hum is $3 \times 10^{6}$ Hz with $\tau \geq 4$.", "1.3"),
        ("The rate f_min of the hum is 3×10⁶ Hz with τ ≥ 4.", "1.3"),
    ],
)
@pytest.mark.parametrize("quoting", ["escaped", "raw"])
def test_a_claim_is_kept_in_every_writing(
    model: ScriptedAgent, text: str, pointer: str, quoting: str
) -> None:
    """A model may forget to escape backslashes, so that some of them form other escape sequences."""
    written = json.dumps(text, ensure_ascii=False) if quoting == "escaped" else f'"{text}"'
    reply = f'{{"verdict": "answer", "claims": [{{"text": {written}, "evidence": ["{pointer}"]}}]}}'
    answer = model.ask(reply, question=QUESTION)
    assert [c.support for c in answer.claims] in (["quoted"], ["supported"])
    assert not {"\\", "\b", "\t", "\f", "\r", "\n"} & set(answer.claims[0].text)


@pytest.mark.parametrize(
    "text",
    [
        r"The hum of lanterns scales as $\beta = 0.37$ with $\theta \leq 5$ and noise $\nu$.",
        "The hum of lanterns scales as β = 0.73 with θ ≥ 5 and noise ν.",
        "The hum of lanterns scales as β = 0.73 with θ ≤ 50 and noise ν.",
    ],
)
def test_a_claim_with_another_number_or_relation_is_not_supported(model: ScriptedAgent, text: str) -> None:
    """Different values stay different, in every notation."""
    claims = [{"text": text, "evidence": ["1.1"]}]
    answer = model.ask({"verdict": "answer", "claims": claims}, question=QUESTION, unsupported="mark")
    assert all(c.support not in {"quoted", "supported"} for c in answer.claims)
