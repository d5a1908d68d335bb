"""The saved Daily Papers page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import FeedError, InputError
from paperagent.feeds.formats import huggingface
from paperagent.feeds.reader import open_feed
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

FIRST = (
    "We study the first question, which is old. Our method, named after nothing, is right in 91.5% of cases."
)
SECOND = (
    "The second question is harder. We show that no method answers it, and we explain at some length why not."
)
TOP = "new\n\nGet trending papers in your email inbox!\n\nSubscribe\n\n"
HEADERS = [
    f"{TOP}Daily Papers\n\nby AK and the research community",
    f"{TOP}byAK and the research community\n\nMar 12",
    "Daily Papers\nby AK and the research community\nMar 12, 2026",
    "Daily Papers\r\n\r\nbyAK and the research community\r\n",
    "Daily Papers\n\nby paperagent: every paper on this page is invented",
    "Daily Papers",
]


def pairs(entries: list[Paper]) -> list[tuple[str, str]]:
    return [(p.title, p.abstract) for p in entries]


@pytest.mark.parametrize("header", HEADERS)
def test_the_header_varies(header: str, parse: Parse) -> None:
    """No line of any header is taken for a title."""
    papers, skipped = parse(f"{header}\n\nOne\n\n{FIRST}\n\nTwo\n\n{SECOND}")
    assert pairs(papers) == [("One", FIRST), ("Two", SECOND)]
    assert not skipped


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n", "\n\n\n\n", "\r\n\r\n\r\n", "\n \n\t\n"])
def test_the_gap_between_papers_varies(gap: str, parse: Parse) -> None:
    """One, two or three blank lines part papers."""
    papers, _ = parse(f"Daily Papers{gap}One\n\n{FIRST}{gap}Two\n\n{SECOND}\n")
    assert pairs(papers) == [("One", FIRST), ("Two", SECOND)]


def test_one_wide_gap_does_not_change_how_the_page_is_read(parse: Parse) -> None:
    """A stray blank line joins no papers."""
    body = "\n\n".join(f"Title {i}\n\n{FIRST}" for i in range(8))
    papers, _ = parse("Daily Papers\n\n" + body + "\n\n\n" + body)
    assert [p.title for p in papers] == [f"Title {i}" for i in range(8)] * 2


def test_hard_wrapped_text_is_unwrapped(parse: Parse) -> None:
    """Lines of one paragraph are joined by spaces."""
    wrapped = FIRST.replace(" ", "\n", 9)
    papers, _ = parse(f"Daily Papers\n\nA title that\ngoes on\n\n{wrapped}\n\nTwo\n\n{SECOND}")
    assert pairs(papers) == [("A title that goes on", FIRST), ("Two", SECOND)]


def test_title_and_abstract_without_a_blank_line_are_told_apart(parse: Parse) -> None:
    """A page whose blank lines were lost still gives its papers."""
    long = FIRST + " " + SECOND
    papers, _ = parse(f"Daily Papers\nOne\n{long}\nTwo\n{long}\n")
    assert pairs(papers) == [("One", long), ("Two", long)]


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n"])
def test_a_title_without_an_abstract_is_skipped_and_counted(gap: str, parse: Parse) -> None:
    """The title is reported with its line; its neighbours are unharmed."""
    papers, skipped = parse(
        f"Daily Papers{gap}One\n\n{FIRST}{gap}Lonely{gap}Also lonely{gap}Two\n\n{SECOND}{gap}Last"
    )
    assert pairs(papers) == [("One", FIRST), ("Two", SECOND)]
    assert [s.reason for s in skipped] == ["no abstract"] * 3


def test_the_line_of_a_skipped_title_is_given() -> None:
    """``where`` counts lines of the file from 1."""
    entries = list(huggingface.parse_page(f"Daily Papers\n\nOne\n\n{FIRST}\n\nLonely\n", "x"))
    assert entries[-1] == Skipped("line 7", "no abstract")


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n"])
def test_an_abstract_of_two_paragraphs_stays_whole(gap: str, parse: Parse) -> None:
    """A second paragraph belongs to the abstract before it."""
    papers, _ = parse(f"Daily Papers{gap}One\n\n{FIRST}\n\n{SECOND}{gap}Two\n\n{SECOND}{gap}Three\n\n{FIRST}")
    assert pairs(papers) == [("One", f"{FIRST} {SECOND}"), ("Two", SECOND), ("Three", FIRST)]


def test_a_cut_abstract_is_kept_and_flagged(parse: Parse) -> None:
    """An abstract that ends in dots is marked ``cut``."""
    papers, _ = parse(f"Daily Papers\n\nOne\n\n{FIRST[:60]}…\n\nTwo\n\n{SECOND}")
    assert [p.flags for p in papers] == [("cut",), ()]


def test_a_title_that_ends_like_a_sentence_is_still_a_title(parse: Parse) -> None:
    """A full stop or a question at the end of a title joins no papers."""
    titles = ["Attention is not all that you need.", "Why? A long answer to a question that nobody asked."]
    papers, _ = parse(f"Daily Papers\n\n{titles[0]}\n\n{FIRST}\n\n{titles[1]}\n\n{SECOND}")
    assert [p.title for p in papers] == titles


def test_a_page_without_its_header_is_read_when_it_is_strict(parse: Parse) -> None:
    """Several pairs of title and abstract alone are enough; fewer could be any text."""
    long = (
        f"{FIRST} {SECOND} We evaluate the model on a dataset; the results of an experiment show its errors."
    )
    titles = [f"A title of paper {n}" for n in ("one", "two", "three")]
    papers, _ = parse("\n\n".join(f"{title}\n\n{long}" for title in titles))
    assert pairs(papers) == [(title, long) for title in titles]
    for text in (f"{titles[0]}\n\n{long}\n\n{titles[1]}\n\n{long}", f"One\n\n{long}\n\n" * 3):
        with pytest.raises(FeedError, match="text of no known format"):
            parse(text)


def test_a_single_pair_is_read_when_the_format_is_given(tmp_path: Path) -> None:
    """``--format daily-papers`` stands for the header."""
    path = tmp_path / "page.txt"
    path.write_text(f"One\n\n{FIRST}\n")
    with open_feed(path, format="daily-papers") as feed:
        assert [e.title for e in feed.records if isinstance(e, Paper)] == ["One"]
    with pytest.raises(InputError, match="format: page is not one of ris"):
        open_feed(path, format="page")


@pytest.mark.parametrize(
    "text", ["just a note", "root:x:0:0:root\nbin:x:1:1:bin\n", "# Readme\n\nRun it.\n\n- a\n- b\n"]
)
def test_other_text_is_no_page(text: str, parse: Parse) -> None:
    """Notes, lists and tables are refused, with the place that lists the formats."""
    with pytest.raises(FeedError, match="text of no known format; 'paperagent ingest --help' lists"):
        parse(text)


def test_two_pages_joined_are_read_as_one(parse: Parse) -> None:
    """The second header is no paper."""
    page = huggingface.render_page([("One", FIRST), ("Two", SECOND)])
    papers, skipped = parse(page + page)
    assert [p.title for p in papers] == ["One", "Two"] * 2
    assert not skipped


def test_the_date_says_when_the_page_was_listed(tmp_path: Path) -> None:
    """``date`` becomes ``listed``; publication stays unknown."""
    path = tmp_path / "page.txt"
    path.write_text(huggingface.render_page([("One", FIRST)]))
    with open_feed(path, date=dt.date(2026, 6, 30)) as feed:
        paper = next(feed.records)
    assert isinstance(paper, Paper)
    assert (paper.listed, paper.published, paper.sources) == (dt.date(2026, 6, 30), None, ("daily-papers",))


def test_an_identity_is_the_content(parse: Parse) -> None:
    """The same title and abstract have one id, which the title alone does not decide."""
    papers, _ = parse(huggingface.render_page([("One", FIRST), ("ONE", FIRST), ("One", SECOND)]))
    assert papers[0].paper_id == papers[1].paper_id != papers[2].paper_id
    assert papers[0].paper_id.startswith("sha256:")


def test_too_many_lines_are_refused() -> None:
    """A file of a million blank lines is no page."""
    with pytest.raises(FeedError, match="more than 1,000,000 lines"):
        list(huggingface.parse_page("Daily Papers" + "\n" * 1_000_001, "x"))


LETTERS = "abcdxyzABC0123456789äßéøłαβγжщ漢字かなع"
"""Letters of several scripts. Random pairs of all letters may look like wrongly decoded text."""
WORDS = st.lists(
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=12),
    min_size=3,
    max_size=12,
)
TITLES = WORDS.map(lambda words: clean_text("On " + " ".join(words)))
ABSTRACTS = st.lists(WORDS, min_size=2, max_size=6).map(
    lambda sentences: clean_text(" ".join("We find " + " ".join(s) + "." for s in sentences))
)


@given(st.lists(st.tuples(TITLES, ABSTRACTS), min_size=1, max_size=6))
def test_a_page_round_trips(entries: list[tuple[str, str]]) -> None:
    """What is rendered as a page is read back, title by title and abstract by abstract."""
    found = list(huggingface.parse_page(huggingface.render_page(entries), "x"))
    assert [(p.title, p.abstract) for p in found if isinstance(p, Paper)] == entries
    assert len(found) == len(entries)


@given(st.text(st.sampled_from("a.\n \r…A") | st.characters(codec="utf-8"), max_size=400))
def test_any_text_is_read_without_failing(text: str) -> None:
    """Whatever a page holds gives papers or reasons, each with a usable text."""
    for entry in huggingface.parse_page("Daily Papers\n\n" + text, "x"):
        assert isinstance(entry, Skipped) or len(entry.abstract) >= 10


def test_the_seeds_give_161_papers_and_153_different_ones(shared: Path) -> None:
    """The two saved pages are read whole; equal content has equal ids."""
    found: list[Paper] = []
    for name, count in (("daily-papers-1.txt", 72), ("daily-papers-2.txt", 89)):
        with open_feed(shared / "seeds" / name) as feed:
            entries = list(feed.records)
        assert len(entries) == count
        found += [e for e in entries if isinstance(e, Paper)]
    assert len(found) == 161
    assert len({p.paper_id for p in found}) == 153
    assert not any(p.flags for p in found)
