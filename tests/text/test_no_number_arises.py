"""No conversion of text makes a number that the source does not have."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import example, given
from hypothesis import strategies as st

from paperagent.text.markup import element_text, plain_text
from paperagent.text.readable import bibliography_text, readable
from paperagent.verification.normalize import normalize

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SMALL = {"6": "⁶", "2": "₂"}
NUMBERS = st.sampled_from(["5", "55", "0.10", "13", "7.25", "106", "2"])
WORDS = st.sampled_from(["lamp", "mm", " ", " of ", ", ", "x", "(", ") ", "-", "+", "=", "x⁶ ", "x₂ "])
SYMBOLS = st.sampled_from(
    r"""\texttimes \textpm \textminus \geq \leq \pm \times \alpha \unknown \foo \bar{x} \, \; \! \\
    ~ {} { } $ $\pm$ $\foo$ \micro \degree \log \cdot \bf \em \item \par \cite{a}
    \footnotemark""".split()
)
MACROS = st.sampled_from(
    r"""\textbf \foo \textsuperscript \textsubscript \SI \num \ang \sqrt \unknown \emph \ce \footnote
    \mathrm \text \hat \texttt \si \qty""".split()
)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(inner, max_size=3).map("".join)
    return st.one_of(
        st.builds("{}{{{}}}".format, MACROS, pieces),
        st.builds("{}{{{}}}{{{}}}".format, MACROS, pieces, pieces),
        st.builds(r"\frac{{{}}}{{{}}}".format, pieces, pieces),
        st.builds("{{{}}}".format, pieces),
        st.builds("${}$".format, pieces),
        st.builds("{}^{{{}}}".format, inner, pieces),
        st.builds("{}_{{{}}}".format, inner, pieces),
    )


LATEX = st.lists(st.recursive(NUMBERS | WORDS | SYMBOLS, nested, max_leaves=8), max_size=8).map("".join)
TAGS = st.sampled_from(
    "b i sup sub p span jats:p m:math math msup msub mfrac msqrt mrow mn mi mo mover foo td".split()
)


def tagged(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(inner, max_size=3).map("".join)
    return st.builds("<{0}>{1}</{0}>".format, TAGS, pieces)


ENTITIES = st.sampled_from(["&amp;", "&times;", "&#49;", "<br/>", "<i>", "&nbsp;", "&amp;lt;"])
HTML = st.lists(st.recursive(NUMBERS | WORDS | ENTITIES, tagged, max_leaves=8), max_size=8).map("".join)
XML = st.lists(st.recursive(NUMBERS | WORDS, tagged, max_leaves=8), max_size=8).map("".join)


def new_numbers(source: str, text: str) -> set[str]:
    r"""Return the numbers in ``text`` that are not in ``source``, alone or as a part of a decimal.

    A single digit may be the argument of a macro without braces: ``\frac12``.
    """
    known = {
        *_NUMBER.findall(source),
        *re.findall("[0-9]+", source),
        *(c for c in "62" if _SMALL[c] in source),
    }
    if "\\frac" in source:
        known |= {number[1:] for number in known}
    return {n for n in _NUMBER.findall(text) if n not in known and not (len(n) == 1 and n in source)}


@pytest.mark.parametrize("convert", [readable, bibliography_text, normalize])
@given(text=LATEX)
def test_in_latex(convert: Callable[[str], str], text: str) -> None:
    """Known and unknown macros, braces, scripts and formulas between numbers."""
    assert not new_numbers(text, convert(text))


@pytest.mark.parametrize("convert", [plain_text, readable, normalize])
@given(text=HTML)
def test_in_html(convert: Callable[[str], str], text: str) -> None:
    """Known and unknown tags, nested anyhow, and entities between numbers."""
    assert not new_numbers(text, convert(text))


@example(text="<sup>5</sup><sup>5</sup>")
@example(text="10<sub>5</sub><sub>5</sub>")
@given(text=XML)
def test_in_elements(text: str) -> None:
    """The same for parsed XML, and for what is shown and checked of it."""
    root = fromstring(f'<r xmlns:jats="j" xmlns:m="m">{text}</r>')
    plain = element_text(root)
    assert not new_numbers(text, plain)
    assert not new_numbers(text, normalize(readable(plain_text(plain))))


@given(text=LATEX)
def test_through_all_of_them(text: str) -> None:
    """What a bibliography holds is shown and checked with the same numbers."""
    stored = bibliography_text(text)
    assert not new_numbers(text, readable(stored))
    assert not new_numbers(text, normalize(stored))
