"""LaTeX in titles and abstracts becomes text that reads well, and text without it stays as it is."""

from __future__ import annotations

import json
import lzma
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.latex import latex_to_text
from paths import ROOT


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("R$^2$AG: $\\alpha$-Bounded", "R²AG: α-Bounded"),
        ("by 12\\% and 4.7$\\times$ faster", "by 12% and 4.7× faster"),
        ("$41.1\\% \\to 39.3\\%$", "41.1% → 39.3%"),
        ("$\\mathcal{O}(n\\log n)$", "O(n log n)"),
        ("\\textbf{Bold}, \\emph{it}, {\\em old} and \\texttt{a\\_b}", "Bold, it, old and a_b"),
        ("$10^{-3}$ and $x_{i}$ in $\\mathbb{R}^n$", "10⁻³ and xᵢ in ℝⁿ"),
        ("$v_{\\text{reason}} = \\theta_{\\text{SFT}}$", "v_reason = θ_SFT"),
        ("$\\frac{a}{b}$, $\\frac{a+b}{2}$, $\\sqrt{n}$, $\\sqrt{n+1}$", "a/b, (a+b)/2, √n, √(n+1)"),
        ("Poincar\\'e, G\\\"odel, \\'{\\i}, \\c{c}, \\o", "Poincaré, Gödel, í, ç, ø"),
        ("$\\hat{\\lambda}$", "λ̂"),
        ("see \\href{https://x.example}{our code} \\cite{a,b}.", "see our code ."),
        ("\\url{https://x.example/a}", "https://x.example/a"),
        ("an ``Accuracy Fallacy\", or ``so''", "an “Accuracy Fallacy”, or “so”"),
        ("pages 1--5 --- that is -- all", "pages 1–5 — that is – all"),
        ("\\(a \\leq b\\) and \\[c\\]", "a ≤ b and c"),
        ("\\ours{} beats \\method by far", "ours beats method by far"),
        ("cost \\$5", "cost $5"),
        ("a\\footnote{b}", "a (b)"),
        ("\\unicode{x2013}", "–"),
        ("256~$\\times$~256", "256 × 256"),
        ("$\\sim$83\\% and $\\sim$$6.5$", "∼83% and ∼6.5"),
        ("$90^\\circ$, $A^\\top$, $x^*$", "90°, Aᵀ, x*"),
    ],
)
def test_what_authors_write_becomes_readable(written: str, shown: str) -> None:
    """Formulas, styles, accents, quotes and dashes as people read them."""
    assert latex_to_text(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10 a month.", "from $1.2M to $3M", "US$ 40", "a {set} of _things_ and ~5%",
        "C++ --flag",
        "x^2 and a_b", "50% of $n", "a -> b", "rock 'n' roll", "日本語のタイトル", "naïve café",
    ],
)  # fmt: skip
def test_text_that_is_no_latex_stays(text: str) -> None:
    """Money, options and braces are no formulas."""
    assert latex_to_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "{" * 5000, "\\frac" * 3000, "$" * 999, "\\" * 4001, "\\sqrt{" * 900, "\\hat" + "{\\hat" * 500,
        "$a$" * 4000, "\\text{" * 400 + "x" + "}" * 400,
    ],
)  # fmt: skip
def test_hostile_nesting_costs_little(text: str) -> None:
    """Neither recursion nor time runs away."""
    started = time.process_time()
    latex_to_text(text)
    assert time.process_time() - started < 1


@given(st.text(alphabet="\\${}^_abtextfrac12 ~'\"`-%&[]()", max_size=80))
def test_any_text_is_read_without_failing(text: str) -> None:
    """Whatever is written comes out on one line, and reading is a function of the text."""
    shown = latex_to_text(text)
    assert shown == " ".join(shown.split())
    assert latex_to_text(text) == shown


def test_arxiv_s_latex_is_nearly_gone() -> None:
    """Of 11,273 abstracts and 458 titles with LaTeX, no backslash and 0.3 % of stray dollars are left."""
    default = ROOT.parent / "shared"
    path = Path(os.environ.get("PAPERAGENT_SHARED", default)) / "data" / "arxiv" / "abstracts.jsonl.xz"
    if not path.exists():
        pytest.skip("the shared arXiv abstracts are not beside the checkout")
    had = backslash = dollar = 0
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            paper = json.loads(line)
            for text in (paper["title"], paper["abstract"]):
                if "\\" in text or "$" in text:
                    had += 1
                    shown = latex_to_text(text)
                    backslash += "\\" in shown
                    dollar += "$" in re.sub(r"\$\s?\d|US\$", "", shown)  # money is no LaTeX
    assert had > 11_000
    assert backslash == 0
    assert dollar / had < 0.005
