"""Conversion of markup in titles and abstracts; text without markup does not change."""

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

from paperagent.text.readable import readable, readable_with_offsets
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
        ("of {p}_{theta}(Y|X) and 10^{-3} and F_{1}", "of p_theta(Y|X) and 10⁻³ and F₁"),
        ("takes $ 2.6\\times$ longer, $x^2 $", "takes 2.6× longer, x²"),
        ("$2^{O(n^2 \\log n)}$", "2^(O(n² log n))"),
        ("costs $ 5 in \\textbf{A} and $ 6", "costs $ 5 in A and $ 6"),
        ("\\ours{} beats \\method by far", "ours beats method by far"),
        ("lamp\\hue{blue}{3}s, 5{\\foo}5", "lamp hue blue 3 s, 5 foo 5"),
        ("$H_0^1$, \\textless EOS>, a\\textemdash b", "H₀¹, <EOS>, a—b"),
        (
            "\\SI{5}{\\milli\\metre}, \\qty{9}{\\um}, \\SI{37}{\\celsius}, \\num{1e-3}",
            "5 mm, 9 µm, 37 °C, 1e-3",
        ),
        (
            "\\SIrange{1}{5}{\\kilo\\hertz}, \\ang{45}, \\si{\\metre\\per\\second\\squared}",
            "1–5 kHz, 45°, m/s²",
        ),
        ("2\\log n, \\upalpha, \\textbeta, 3 \\micro m, 37\\degree C", "2 log n, α, β, 3 µm, 37°C"),
        ("cost \\$5", "cost $5"),
        ("a\\footnote{b}", "a (b)"),
        ("\\unicode{x2013}", "–"),
        ("256~$\\times$~256", "256 × 256"),
        ("$\\sim$83\\% and $\\sim$$6.5$", "∼83% and ∼6.5"),
        ("$90^\\circ$, $A^\\top$, $x^*$", "90°, Aᵀ, x*"),
        ("\\textbf{L}anterns at 38\\%: {\\'e}t{\\'e}", "Lanterns at 38%: été"),
        ("$\\sim$90 in Fig.~$3$~and Table~\\ref{t} 4", "∼90 in Fig. 3 and Table 4"),
        ("the $5^{th}$ of 16\\textsuperscript{th}", "the 5th of 16th"),
        ("10<sup>6</sup> CO<sub>2</sub>, 5<sup>th</sup>, Ca<sup>2+</sup>", "10⁶ CO₂, 5th, Ca²⁺"),
        ("<i>Lux</i> &amp;amp; <b>more</b> a&nbsp;&lt;&nbsp;b &plusmn; 2", "Lux & more a < b ± 2"),
        ("<jats:p>One.</jats:p><p>Two.</p>", "One. Two."),
        ("a\u00a0b\u2009c\td  e ", "a b c d e"),
    ],
)
def test_what_authors_write_becomes_readable(written: str, shown: str) -> None:
    """Formulas, styles, accents, quotes and dashes are converted."""
    assert readable(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10 a month.", "from $1.2M to $3M", "US$ 40", "a {set} of _things_ and ~5%",
        "C++ --flag",
        "x^2 and a_b", "a <think> step </think>", "the token <i> or <mask>", "R&D; &unknown; &#51; AT&T",
        "$2 per hour, or 30 dollars a day, not 4$ an hour", "US$5 (in US$) a day",
        "50% of $n", "a -> b", "rock 'n' roll", "日本語のタイトル", "naïve café",
    ],
)  # fmt: skip
def test_text_that_is_no_latex_stays(text: str) -> None:
    """Amounts of money, options and braces are not formulas."""
    assert readable(text) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("5{\\texttimes}5", "5×5"),
        ("3\\frac{1}{2} and $3\\frac{1}{2}$ and $\\frac12$", "3 1/2 and 3 1/2 and 1/2"),
        ("$10^{6.5}5$, 10\\textsuperscript{1.5}5, 10\\textsubscript{2}", "10^6.5 5, 10^1.5 5, 10₂"),
        ("$10^-12$ and $2^10$ and $x_12$", "10⁻¹² and 2¹⁰ and x₁₂"),
        ("1\\textbf{0}, 9{}408, 1<b>0</b>, 1$0$", "1 0, 9 408, 1 0, 1 0"),
        ("1{,}000 and 1\\,000", "1,000 and 1 000"),
        ("$0.\\overline{3}$, $\\sqrt[3]{2}$, \\phantom{1}5", "0.3̅, ³√2, 5"),
        ("$4\\sqrt[3]{2}$", "4 ³√2"),
        ("\\unit[5]{mm}, \\unitfrac[3]{m}{s}, \\isotope[13]{C}", "5 mm, 3 m/s, 13C"),
        ("z\\raisebox{-0.5ex}{5} and 3\\raisebox{1ex}{5}", "z5 and 3 5"),
    ],
)
def test_numbers_stay_as_they_are(written: str, shown: str) -> None:
    """An exponent stays an exponent, and adjacent digits are not joined."""
    assert readable(written) == shown


_LATEX_PARTS = st.sampled_from(
    [
        *"0123456789 .,-^_~${}<>&;x", "10", "{", "}", "\\frac", "\\textbf{", "^{", "_{", "$", "\\,",
        "\\!", "{,}",
        "\\sqrt[3]",
        "\\foo", "\\foo{", "<sup>", "</sup>", "<b>", "</b>", "&#49;", "&times;", "\\cite{", "\\%", "\\ding{",
        "\\unicode{",
        "\\overline{", "\\phantom{", "\\text{", "\\mathbb{", "\\textsuperscript{", "--", "``", "''", "\\(",
        "\\)",
    ]
)  # fmt: skip


@given(st.lists(_LATEX_PARTS, max_size=30).map("".join))
def test_no_number_arises(text: str) -> None:
    """Each run of digits in the result occurs in the source."""
    numbers = re.findall(r"\d+", text)
    for number in re.findall(r"\d+", readable(text)):
        assert any(number in n for n in numbers)


@given(st.lists(_LATEX_PARTS, max_size=30).map("".join))
def test_offsets_lead_back_to_the_source(text: str) -> None:
    """Offsets increase and stay inside the source."""
    shown = readable_with_offsets(text)
    assert shown.text == readable(text)
    assert len(shown.offsets) == len(shown.text) + 1
    assert list(shown.offsets) == sorted(shown.offsets)
    assert shown.offsets[-1] == len(text)
    for start, char in zip(shown.offsets, shown.text, strict=False):
        assert start < len(text)
        assert char == text[start] or char == " " or text[start] in "\\${}^_&<-`'" or not char.isascii()


def test_a_sentence_is_found_in_both_texts() -> None:
    """A span of the source has its span in what is shown, and back, across formulas and styles."""
    source = "We study $\\alpha$-rays. \\textbf{They cost 5\\% more {\\em than} \\'etude} &amp; $x_1$. End."
    shown = readable_with_offsets(source)
    assert shown.text == "We study α-rays. They cost 5% more than étude & x₁. End."
    for part, written in [("They cost 5%", "They cost 5\\%"), ("α", "$\\alpha$"), ("End.", "End.")]:
        at = shown.offsets[shown.text.index(part)]
        assert source.startswith(written, at)
        assert shown.text[slice(*shown.shown_span(at, at + len(written)))] == part


@pytest.mark.parametrize(
    "text",
    [
        "{" * 20_000, "\\frac" * 4000, "$" * 20_000, "\\" * 20_000, "\\sqrt{" * 3000,
        "\\hat" + "{\\hat" * 3000,
        "$a$" * 7000, "\\text{" * 2500 + "x" + "}" * 2500, "\\cite{" * 3000, "\\(" * 10_000, "``a" * 7000,
        "&amp;" * 4000,
        "<i>" * 7000, "<sup>1" * 3000, "$5 aa " * 3000, "\\x " + "\\footnote{" * 2000, "^{$" * 7000,
        "\\'" * 10_000,
        "\\x" + "\\hat{\\hat{\\hat{\\hat{a}b}c}d}e" * 700, " \t" * 10_000, "a--" * 7000,
    ],
)  # fmt: skip
def test_hostile_text_costs_little(text: str) -> None:
    """Time and recursion are bounded: 20,000 characters take 40 ms, more on a busy machine."""
    started = time.process_time()
    readable(text)
    assert time.process_time() - started < 1


@given(st.text(alphabet="\\${}^_abtextfrac12 ~'\"`-%&[]()<>;#", max_size=80))
def test_any_text_is_read_without_failing(text: str) -> None:
    """Any text is converted to one line, deterministically."""
    shown = readable(text)
    assert shown == " ".join(shown.split())
    assert readable(text) == shown


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
                    shown = readable(text)
                    backslash += "\\" in shown
                    dollar += "$" in re.sub(r"\$\s?\d|US\$", "", shown)  # money is no LaTeX
    assert had > 11_000
    assert backslash == 0
    assert dollar / had < 0.005
