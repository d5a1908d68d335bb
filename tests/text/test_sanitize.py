"""Cleaning of titles, abstracts and names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.sanitize import clean_and_truncate, clean_text

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}


@given(ANY_TEXT)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """What was cleaned passes through unchanged and raises no flag."""
    noticed: set[str] = set()
    once = clean_text(text)
    assert clean_text(once, noticed) == once
    assert not noticed


@given(ANY_TEXT)
def test_cleaned_text_is_one_safe_line(text: str) -> None:
    """Clean text is NFC, encodable, evenly spaced and free of control characters."""
    found = clean_text(text)
    assert unicodedata.is_normalized("NFC", found)
    assert not any(unicodedata.category(c) in FORBIDDEN for c in found)
    assert found == " ".join(found.split())
    assert found.encode().decode() == found


@pytest.mark.parametrize(
    ("text", "expected", "flags"),
    [
        ("one\r\n  two\tthree\u00a0four\u2028five", "one two three four five", set()),
        ("\x1b]0;title\x07\x9b2Jred\x00", "]0;title2Jred", {"control-characters"}),
        ("0\x0e75 and 1\u200b\x002", "0 75 and 1 2", {"control-characters", "invisible-characters"}),
        ("page\x0cbreak\x85here", "page break here", {"control-characters"}),
        ("a\u202eb\u2066c\u200fd\u061c", "abcd", {"bidi"}),
        ("ze\u200bro\ufeff wi\u2060dth\u00ad", "zero width", {"invisible-characters"}),
        ("t" + "".join(chr(0xE0000 + ord(c)) for c in "ignore"), "t", {"invisible-characters"}),
        ("smuggled" + "\ufe00\ufe05\ufe0a", "smuggled", {"invisible-characters"}),
        ("x\ud800y", "xy", {"lone-surrogates"}),
        ("e\u0301", "é", set()),
        ("a heart ❤\ufe0f stays", "a heart ❤\ufe0f stays", set()),
    ],
)
def test_what_is_unseen_goes_and_is_flagged(text: str, expected: str, flags: set[str]) -> None:
    """Each kind of unseen character is removed under the flag of its kind."""
    noticed: set[str] = set()
    assert clean_text(text, noticed) == expected
    assert noticed == flags


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and b > c then $a<c$",
        r"an accuracy of 96.1\% at $\mathcal{O}(n^2)$",
        "AT&T &amp; <unk> <|endoftext|>",
        "naïve Bayes, 日本語, Ωmega, 🤗",
    ],
)
def test_visible_text_stays_as_it_is(text: str) -> None:
    """LaTeX, comparisons, entities and letters of any script are left alone."""
    assert clean_text(text) == text


def test_a_long_text_is_cut_and_flagged() -> None:
    """Over the limit the text is cut without a trailing space, under ``truncated``."""
    noticed: set[str] = set()
    assert clean_and_truncate("word " * 10, 15, noticed) == "word word word"
    assert noticed == {"truncated"}


def test_a_huge_text_is_cut_before_it_is_cleaned() -> None:
    """A text of megabytes gives the limit's number of characters."""
    noticed: set[str] = set()
    assert len(clean_and_truncate("é\x00" * 2_000_000, 1_000, noticed)) == 1_000
    assert noticed == {"truncated", "control-characters"}
