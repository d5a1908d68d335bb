"""Sentences with offsets."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sample_library
from paperagent.text.sentences import MAX_SENTENCES, split_sentences
from paperagent.types import Sentence


def texts(abstract: str) -> list[str]:
    return [s.text for s in split_sentences(abstract)]


def check_tiling(abstract: str, sentences: list[Sentence]) -> None:
    """Assert that the sentences stand in order and only white space lies between them."""
    end = 0
    for i, s in enumerate(sentences):
        assert s.index == i
        assert abstract[s.start : s.end] == s.text
        assert s.text
        assert s.text == s.text.strip()
        assert s.start >= end
        assert not abstract[end : s.start].strip()
        end = s.end
    assert len(sentences) == MAX_SENTENCES or not abstract[end:].strip()


_WORDS = "We show 0.4 e.g. et al. Fig. 2 $x.$ i.e., No. 5 U.S. p53 A. http://a.b/c.d [1]".split()
_SIGNS = '.!?。…()" \n\u00a0\U0001f600'
_PIECES = st.sampled_from([*_WORDS, *_SIGNS, "e\u0301"])


@given(st.text())
@example("")
@example(" \n ")
@example("\u3000。。A")
@example("...")
def test_sentences_tile_any_text(text: str) -> None:
    """Offsets are right and nothing but white space is lost, whatever the text."""
    check_tiling(text, split_sentences(text))


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_sentences_tile_what_looks_like_an_abstract(text: str) -> None:
    """The same for texts made of what misleads splitters."""
    check_tiling(text, split_sentences(text))


def test_sentences_tile_the_sample_abstracts() -> None:
    """Every abstract is split into several sentences, each of a sentence's length."""
    for paper in sample_library.papers():
        sentences = split_sentences(paper.abstract)
        check_tiling(paper.abstract, sentences)
        assert 4 <= len(sentences) <= 12
        assert all(s.text[-1] == "." and len(s.text.split()) > 3 for s in sentences)


@pytest.mark.parametrize(
    "whole",
    [
        "It gains 0.4 points, i.e. a little, e.g. on QA.",
        "As Smith et al. (2020) show, Fig. 2 and Eq. 3 agree.",
        "Proposed by J. R. Smith, see Sec. 4.1 of the paper.",
        "It uses v2.1.0 of https://example.org/a.b?c=d.e for this.",
        "The score rises (cf. Tab. 3) to 71.8 vs. 70.2 for the baseline.",
        "We use $p < .05$ and $\\alpha = 0.1$ here.",
        "Is it No. 5 of the list",
        "Dr. Smith and Prof. Jones agree.",
        "It topped the board on Oct. 8, 2022, and on Jan. 3 (Sept. 2023 for the other).",
        "The American Community Survey by the U.S. Census Bureau is used.",
        "Transformers such as the third (aka. GPT-3) are large (avg. 8,376 tokens).",
        'The paper asks "Why? Because it works!" and answers it.',
        "The paper asks “Is it so? Or not” and answers it.",
        "A follow-up of a task (CheckThat! 2024) is run.",
        "It runs on Node.js and arXiv.org, e.g.in GPT-4.1 or v2.0, and as torch.nn.Linear layers.",
        "Ask character.AI models, or read https://example.org/a.The page or mail a@b.The end.",
        "Every nn.Linear layer, Key.Net detector and cs.CL paper, and the Nation.Cymru, is meant.",
    ],
)
def test_no_split_inside_a_sentence(whole: str) -> None:
    """Abbreviations, numbers, versions, addresses and LaTeX do not end a sentence."""
    assert texts(whole) == [whole]


@pytest.mark.parametrize(
    ("abstract", "expected"),
    [
        ("One ends. Two begins.", ["One ends.", "Two begins."]),
        ("Why? Because! Yes.", ["Why?", "Because!", "Yes."]),
        ('It is "so." Next one.', ['It is "so."', "Next one."]),
        ("It works (really.) We show it.", ["It works (really.)", "We show it."]),
        ("We use GPT-4. mRNA is next.", ["We use GPT-4.", "mRNA is next."]),
        ("It rose in Oct. We saw it.", ["It rose in Oct.", "We saw it."]),
        ("Deaths in the U.S. The cause is.", ["Deaths in the U.S.", "The cause is."]),
        ('It asks "Is it?" We answer.', ['It asks "Is it?"', "We answer."]),
        ("We ask: can it? If so, yes.", ["We ask: can it?", "If so, yes."]),
        ("Why? (Because.) Yes.", ["Why?", "(Because.)", "Yes."]),
        ("A gain of 3. 5 tasks follow.", ["A gain of 3.", "5 tasks follow."]),
        ("First.\nSecond.\n\nThird.", ["First.", "Second.", "Third."]),
        ("It meets all demands.SAG has no limits.", ["It meets all demands.", "SAG has no limits."]),
        ("It is AI.However, it fails.", ["It is AI.", "However, it fails."]),
        ("We use models (LLMs).However,the cost", ["We use models (LLMs).", "However,the cost"]),
        ("It takes 5%.We use $x$.Our code is.", ["It takes 5%.", "We use $x$.", "Our code is."]),
        ("Is it clear?The answer is no.", ["Is it clear?", "The answer is no."]),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
        ("Das ist gut. Über alles.", ["Das ist gut.", "Über alles."]),
        ("no capital. but still one", ["no capital. but still one"]),
        ("no end", ["no end"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_splits(abstract: str, expected: list[str]) -> None:
    """A sentence ends where the next one looks like a beginning."""
    assert texts(abstract) == expected


@pytest.mark.parametrize(
    "unit", ["A. ", "a", ". ", "Fig. ", "3. 4", "((", "a (b? C ", 'a "b? C ', '."', "。あ", "x.\n"]
)
def test_the_longest_abstract_is_split_at_once(unit: str) -> None:
    """A hostile abstract of the greatest length that feeds admit takes no noticeable time."""
    text = unit * (20_000 // len(unit))
    begin = time.process_time()
    check_tiling(text, split_sentences(text))
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("abstract", "sentences"),
    [
        ("It began on Oct. 8, 2022, with one. It grew.", 2),
        ("We use U.S. Census data. They are large.", 2),
        ("We measure prices in the U.S. We find none.", 2),
        ("Large models (aka. GPT-3) are slow. We help.", 2),
        ('We ask "Can it count? If so, how far?" and measure. It can.', 2),
        ("They ask “Why now? And how?” of every user. Few reply.", 2),
        ('Can it count? We ask "how far?" and measure. It can.', 3),
    ],
)
def test_dates_places_and_quoted_questions_stay_whole(abstract: str, sentences: int) -> None:
    """A full stop behind a month or a place's initials, and a question inside a quotation, end nothing."""
    assert len(texts(abstract)) == sentences
