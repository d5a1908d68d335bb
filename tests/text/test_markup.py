"""HTML, JATS and MathML become plain text."""

from __future__ import annotations

import time

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.markup import element_text, plain_text


def shown(text: str) -> str:
    return " ".join(plain_text(text).split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>One</p><p>two</p>", "One two"),
        ("H<sub>2</sub>O is <b>wet</b>", "H2O is wet"),
        ("<jats:italic>L. nova</jats:italic> one<br>two<br/>three", "L. nova one two three"),
        ("<jats:sec><jats:title>Aim</jats:title><jats:p>We ask.</jats:p></jats:sec>", "Aim We ask."),
        ("x<script>alert('<p>')</script>y", "xy"),
        ("x<style>p {}</style>y<!-- <b>hidden</b> -->z", "xyz"),
        ("<img src=x onerror=alert(1)>safe", "safe"),
        ("cut <p>never closed <b>here", "cut never closed <b>here"),
        ("<b>a<i>b</b>c</i> <I>d</I>", "abc d"),
        ('<a href="https://x.example?a=1&amp;b">page</a>', "page"),
        ("<![CDATA[lamps]]>", "lamps"),
    ],
)
def test_markup_becomes_the_text_that_a_browser_shows(text: str, expected: str) -> None:
    """Known tags and hidden content are removed; blocks separate words."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a < b > c", "<unk> and <|endoftext|>", "x <- y", "no markup", "x<sub", "a<b and c>d", "a lone <i>",
        "<query, passage> pairs", "A --> B", "<input> <none> </think>", "AT&T, R&D; &unknown; ?a=1&copy=2",
        "the digit &#49;", "<https://x.example/a>", "an unclosed <script> tag", "C<n/2 and 2<p<q",
    ],
)  # fmt: skip
def test_text_that_is_not_markup_stays(text: str) -> None:
    """Words in angle brackets, comparisons and unknown entities are text."""
    assert plain_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10<sup>6</sup> lamps (r<sup>2</sup> = 0.9)", "10^6 lamps (r^2 = 0.9)"),
        ("5 × 10<sup>-8</sup>, m<sup>−2</sup>, x<sup>n+1</sup>", "5 × 10^-8, m^−2, x^(n+1)"),
        ("CO<sub>2</sub>, IC<sub>50</sub>, PM<sub>2.5</sub>, V<sub>max</sub>", "CO2, IC50, PM2.5, Vmax"),
        ("Ca<sup>2+</sup>, SO<sub>4</sub><sup>2-</sup>, Na<SUP>+</SUP>", "Ca2+, SO4^2-, Na+"),
        ("with <sup>18</sup>F, the 5<sup>th</sup>, Lux<sup>TM</sup>", "with 18F, the 5th, Lux™"),
        ("log<sub>10</sub>2, 10<sub>2</sub>, 10 <sup>6</sup>", "log10 2, 10_2, 10 ^6"),
        ("1<b>0</b>, 5.<i>3</i>, 4<span>.5</span>", "1 0, 5. 3, 4 .5"),
    ],
)
def test_numbers_stay_apart(text: str, expected: str) -> None:
    """An exponent is never a digit of the number before it."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>Lamp: one</b><b>Hum: none</b>", "Lamp: one Hum: none"),
        ("<b>Hum: none</b><b>2 lamps</b>", "Hum: none 2 lamps"),
        ("<strong>Results</strong>We saw", "Results We saw"),
        ("<b>Aim:</b>To see", "Aim: To see"),
        ("<b>P</b>reference, <i>m</i>RNA, p<i>K</i><sub>a</sub>", "Preference, mRNA, pKa"),
        ("<b>L</b>amp<b>N</b>et, <b>Lamp</b>Score", "LampNet, LampScore"),
        ("<i>Lux</i>, <b>L</b><i>ux</i>", "Lux, Lux"),
    ],
)
def test_headings_stay_apart_and_words_together(text: str, expected: str) -> None:
    """Two emphasized texts are two words if letters of a heading would meet a new word."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lux &amp; lamps, a&nbsp;b, G&ouml;tt &#233;", "Lux & lamps, a b, Gött é"),
        ("a &lt; b", "a < b"),
        ("a &lt;b&gt; c", "a <b> c"),
        ("<p>a &lt;b&gt;c&lt;/b&gt; &amp;lt;</p>", "a <b>c</b> &lt;"),
        ("Lux &amp;amp; lamps, G&amp;ouml;tt", "Lux & lamps, Gött"),
        ("&lt;p&gt;a &amp;lt; b&lt;/p&gt; &lt;i&gt;c&lt;/i&gt;", "a < b c"),
        ("10&lt;sup&gt;6&lt;/sup&gt;", "10^6"),
    ],
)
def test_entities_are_decoded_once(text: str, expected: str) -> None:
    """Text that is escaped twice as a whole is decoded twice."""
    assert shown(text) == expected


def math(content: str) -> str:
    return shown(f'of <mml:math xmlns:mml="http://x.example">{content}</mml:math> lamps')


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<m:msup><m:mn>10</m:mn><m:mrow><m:mo>-</m:mo><m:mn>3</m:mn></m:mrow></m:msup>", "10^-3"),
        ("<msub><mi>CO</mi><mn>2</mn></msub><mo>,</mo><msub><mi>x</mi><mi>i</mi></msub>", "CO2,x_i"),
        ("<mn>3</mn><mfrac><mn>1</mn><mn>2</mn></mfrac>", "3 1/2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac>", "(a+b)/c"),
        ("<mn>2</mn><mroot><mn>5</mn><mn>3</mn></mroot>", "2 ³√5"),
        ("<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt><mroot><mi>x</mi><mn>3</mn></mroot>", "√(x+1)³√x"),
        ('<mfenced open="[" close="]"><mi>a</mi><mi>b</mi></mfenced>', "[a, b]"),
        ("<semantics><mi>x</mi><annotation>y</annotation></semantics>", "x"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup><mover><mi>x</mi><mo>¯</mo></mover>", "x_i^2x̄"),
        ("<mi>sin</mi><mi>x</mi><mo>&lt;</mo>\n <mn>2</mn><mo>\u2062</mo><mn>3</mn>", "sin x<2 3"),
        ("<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>", "∑_i^n"),
        ("<mmultiscripts><mi>C</mi><mprescripts/><none/><mn>13</mn></mmultiscripts>", "13C"),
        ("<mtable><mtr><mn>1</mn><mn>2</mn></mtr><mtr><mn>3</mn></mtr></mtable>", "1 2; 3"),
        ("<msup><mi>x</mi><mo>′</mo></msup><mphantom><mn>1</mn></mphantom><mtext> if </mtext>", "x′ if"),
    ],
)  # fmt: skip
def test_formulas_become_one_line(content: str, expected: str) -> None:
    """MathML is written with ^, _ and /, whatever its prefix and white space."""
    assert math(content) == f"of {expected} lamps"


def test_one_of_several_formulas_is_written() -> None:
    """A formula in MathML and TeX is written once; TeX alone stays TeX."""
    tex = r"<tex-math>\documentclass{minimal}\begin{document}$$10^{6}$$\end{document}</tex-math>"
    mathml = "<mml:math><mml:msup><mml:mn>10</mml:mn><mml:mn>6</mml:mn></mml:msup></mml:math>"
    assert shown(f"<inline-formula><alternatives>{tex}{mathml}</alternatives></inline-formula>") == "10^6"
    assert shown(f"<jats:inline-formula>{tex}</jats:inline-formula>") == "$$10^{6}$$"
    assert shown("<tex-math>x^2</tex-math>") == "$x^2$"


def test_elements_become_text() -> None:
    """A parsed element gives the same text as its source."""
    source = "<s>If <m><mi>a</mi><mo>&lt;</mo><mi>b</mi></m>,<p>then</p>10<sup>6</sup></s>"
    assert element_text(fromstring(source)).split() == ["If", "a<b,", "then", "10^6"]


@given(st.text(st.sampled_from("<>/ab\"'=!-p scriyle&;#x2"), max_size=200))
def test_any_text_is_read_without_failing(text: str) -> None:
    """Whatever the nesting, the result is hardly longer than the text."""
    assert len(plain_text(text)) <= 2 * len(text)


HOSTILE = [
    "<a ", "<!--", "<script>", '<a "', "&amp;", "</", '<a b="', "<a b='x' ", "<b>", "<sup>", "</b>",
    "<b></b>", "&lt;", "<math><msup>", "<b><i></b></i>", "<p a=b c=d ", "-->", "<mfrac>", "<sub>1",
    "&#1", "<sup>1</sup>",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_markup_takes_linear_time(piece: str) -> None:
    """20,000 characters take at most 50 ms; the limit here is for a busy machine."""
    closing = piece.replace("<", "</")
    for text in (piece * (20_000 // len(piece)), (piece * 20_000)[:10_000] + (closing * 20_000)[:10_000]):
        start = time.process_time()
        plain_text(text)
        assert time.process_time() - start < 0.5
