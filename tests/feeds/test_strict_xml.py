"""Markup to text."""

from __future__ import annotations

import time

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from paperagent.feeds import strict_xml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>One</p><p>two</p>", " One  two "),
        ("H<sub>2</sub>O is <b>wet</b>", "H2O is wet"),
        ("a &lt;b&gt; c &amp;amp; d", "a <b> c &amp; d"),
        ("x<script>alert('<p>')</script>y", "xy"),
        ("x<style>p {}</style>y<!-- <b>hidden</b> -->z", "xyz"),
        ("<math><mi>x</mi><mo>=</mo><mn>2</mn><annotation>x=2</annotation></math>", "x=2"),
        ("<jats:italic>E. coli</jats:italic>", "E. coli"),
        ("the <unk> token, a<b, <|endoftext|>", "the <unk> token, a<b, <|endoftext|>"),
        ("<img src=x onerror=alert(1)>safe", "safe"),
        ("cut <script>never closed", "cut "),
    ],
)
def test_markup_becomes_the_text_that_a_browser_shows(text: str, expected: str) -> None:
    """Known tags go, hidden content goes, entities are decoded once, other words stay."""
    assert strict_xml.strip_markup(text) == expected


@pytest.mark.parametrize("text", ["a < b > c", "<unk>", "x <- y", "no markup"])
def test_plain_text_is_not_taken_for_markup(text: str) -> None:
    """Angle brackets alone are no markup."""
    assert not strict_xml.has_markup(text)


def test_elements_become_text() -> None:
    """Nested elements give their text; paragraphs part words and annotations are left out."""
    element = fromstring(
        "<s>If <m><mi>a</mi><mo>&lt;</mo><mi>b</mi><annotation>a</annotation></m>,<p>then</p>so</s>"
    )
    assert strict_xml.element_text(element).split() == ["If", "a<b,", "then", "so"]


@given(st.text(st.sampled_from("<>/ab\"'=!-p scriyle&;#x2"), max_size=200))
def test_any_text_is_stripped_without_failing(text: str) -> None:
    """Whatever the nesting, stripping gives text that is no longer than what it was given."""
    assert len(strict_xml.strip_markup(text)) <= len(text)


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<script>", '<a "', "&amp;", "</"])
def test_hostile_markup_takes_linear_time(piece: str) -> None:
    """A hundred thousand unclosed tags or comments are read in well under a second."""
    start = time.process_time()
    strict_xml.strip_markup(piece * 30_000)
    assert time.process_time() - start < 1.0
