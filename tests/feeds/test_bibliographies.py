"""BibTeX and RIS files, and the LaTeX in them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import FeedError
from paperagent.feeds.formats import bibtex, ris
from paperagent.text.readable import bibliography_text
from paperagent.types import Paper, Skipped
from paperagent.ui.export import bibtex as write_bibtex
from paperagent.ui.export import ris as write_ris

ABSTRACT = "We study a question of some length and answer it in part."
Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]
WHOLE = Paper(
    paper_id="2508.13426",
    title="50% of {R&D} costs_less: “A” — B",
    abstract=ABSTRACT,
    authors=("Ana Núñez", "Research and Development"),
    published=dt.date(2025, 8, 19),
    url="https://arxiv.org/abs/2508.13426",
    arxiv_id="2508.13426",
    doi="10.1000/x_y",
)

BIB = (
    r"""% a comment
@string{acl = "Proceedings of " # {ACL}}
@comment{ignored}
@inproceedings{nunez2023,
  title = "The {\'E}tude of {BERT}: {\"U}ber-\ss{} and na\"{\i}ve caf\'e",
  author = {N{\'u}{\~n}ez, Ana and {The and Group} and Bo van der Berg and others},
  booktitle = acl, year = 2023, month = may,
  abstract = {We study $x_{1} < 2$ \& more --- in ``quotes'' of some length~here.},
  doi = {https://doi.org/10.1000/ABC},
}
@article{pre, title={On arXiv}, author={A B}, journal={arXiv preprint arXiv:2508.13426v2},
  abstract={"""
    + ABSTRACT
    + r"""}, date = {2025-08-19/2025-09-01}}
@misc{none, title={No abstract}}
@misc{broken, title={Open
@misc{after, title={Next}, eprint={cs/0112017}, archivePrefix={arXiv}, abstract={"""
    + ABSTRACT
    + "}}\n"
)


def test_entries_are_read(parse: Parse) -> None:
    """Macros, quotes, braces, accents and names become text; what is broken or empty is counted."""
    papers, skipped = parse(BIB)
    first, second, last = papers
    assert first.title == "The Étude of BERT: Über-ß and naïve café"
    assert first.authors == ("Ana Núñez", "The and Group", "Bo van der Berg")
    assert first.abstract == "We study $x_{1} < 2$ & more — in “quotes” of some length here."
    assert (first.doi, first.published, first.flags) == (
        "10.1000/abc",
        dt.date(2023, 5, 1),
        ("partial-date",),
    )
    assert (second.arxiv_id, second.version, second.published) == ("2508.13426", 2, dt.date(2025, 8, 19))
    assert last.paper_id == "cs/0112017"
    assert [(s.where, s.reason) for s in skipped] == [
        ("entry at line 13", "no abstract"),
        ("entry at line 14", "broken BibTeX entry"),
    ]


@pytest.mark.parametrize(
    "first",
    [
        f"@article{{a, title={{One}}, abstract={{{ABSTRACT}}}, __markedentry = {{[ada:]}},}}",
        f"@web_page{{a, title={{One}}, abstract={{{ABSTRACT}}}}}",
        f"@article{{a, title={{One}}, abstract={{{ABSTRACT}}}, library={{Papers\\2013\\}}}}",
    ],
)
def test_what_reference_managers_write_is_read(first: str, parse: Parse) -> None:
    """Underscores in names of fields and types, and a folder that ends in a backslash."""
    papers, skipped = parse(f"{first}\n@misc{{b, title={{Two}}, abstract={{{ABSTRACT} Second.}}}}")
    assert [paper.title for paper in papers] == ["One", "Two"]
    assert not skipped


def test_arxivs_doi_is_the_arxiv_id(parse: Parse) -> None:
    """One paper is not two because its preprint has a DOI of its own."""
    ((paper,), _) = parse(
        f"@misc{{a, title={{T}}, doi={{10.48550/arXiv.2508.13426}}, abstract={{{ABSTRACT}}}}}"
    )
    assert (paper.arxiv_id, paper.doi) == ("2508.13426", None)


@pytest.mark.parametrize(("write", "scheme"), [(write_bibtex, "bibtex"), (write_ris, "ris")])
def test_what_export_writes_is_read_back(write: Callable[..., object], scheme: str, parse: Parse) -> None:
    """Ids, text, authors and address survive the way through another program's format."""
    text = "".join(write([WHOLE]))  # type: ignore[call-overload]  # an iterator of text
    ((paper,), skipped) = parse(text)
    assert not skipped
    day = dt.date(2025, 8, 1) if scheme == "bibtex" else WHOLE.published
    flags = ("partial-date",) if scheme == "bibtex" else ()
    assert paper == replace(WHOLE, sources=(scheme,), published=day, flags=flags)


RIS = f"""\ufeffTY  - JOUR\r
TI  - A title\r
AU  - Núñez, Ana\r
AU  - Writer, Bo, Jr\r
PY  - 2023/05//spring\r
DO  - 10.1000/ABC\r
N2  - {ABSTRACT[:20]}\r
{ABSTRACT[20:]}\r
UR  - http://example.org/a\r
ER  - \r
\r
TY  - CONF
T1  - RETRACTED: Another
AB  - {ABSTRACT}
ER  -
TY  - BOOK
TI  - None
"""


def test_records_are_read(parse: Parse) -> None:
    """Names are turned round, lines without a tag go on, a record may lack its end."""
    (first, second), skipped = parse(RIS)
    assert (first.title, first.authors) == ("A title", ("Ana Núñez", "Bo Writer Jr"))
    assert (first.abstract, first.doi) == (ABSTRACT, "10.1000/abc")
    assert (first.published, first.flags) == (dt.date(2023, 5, 1), ("partial-date",))
    assert second.withdrawn
    assert second.flags == ("retracted",)
    assert [s.reason for s in skipped] == ["no abstract"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Erd\H{o}s, Dvo\v{r}\'ak, \c{C}elik, \r a, \o re", "Erdős, Dvořák, Çelik, å, øre"),
        (r"\emph{very} \textbf{bold} \unknown{kept}", "very bold unknown kept"),
        (r"100\% \_ \# \{x\}", "100% _ # {x}"),
        (r"$\alpha_{1}$ stays", r"$\alpha_{1}$ stays"),
        (r"5{\texttimes}5 mm, 0.10 {\textpm} 0.02, 10\textsuperscript{-3}", "5×5 mm, 0.10 ± 0.02, 10^-3"),
        (r"at \href{https://x.example/a}{our page}", "at our page (https://x.example/a)"),
        (r"\i\'\i", "ıí"),
        ("plain", "plain"),
    ],
)
def test_latex_becomes_text(text: str, expected: str) -> None:
    """Accents, letters and escapes are decoded; formulas stay."""
    assert bibliography_text(text) == expected


@given(st.text(alphabet="\\{}$'\"`~^abcu%&-= \n", max_size=60))
def test_any_latex_gives_text(text: str) -> None:
    """No combination of commands raises, and no control character is left behind."""
    assert "\0" not in bibliography_text(text)


@given(st.text(alphabet='@{}()"=,#\\ab1 \n', max_size=80))
def test_any_text_gives_entries(text: str) -> None:
    """No text raises: every entry becomes a paper or a reason."""
    assert all(isinstance(e, Paper | Skipped) for e in (*bibtex.parse(text, "x"), *ris.parse(text, "x")))


def test_hostile_bibtex_is_stopped_in_time() -> None:
    """Entries that never end are given up after a hundred, each within a bounded look."""
    start = time.process_time()
    with pytest.raises(FeedError, match="broken entries"):
        list(bibtex.parse("@a{b, c={{" * 200_000, "x"))
    assert time.process_time() - start < 10.0


def test_macros_of_macros_fill_no_memory() -> None:
    """Eleven levels of tenfold would be 10 TB: what grows too long is broken, what is left is read."""
    bomb = "@string{a = {" + "x" * 100 + "}}\n"
    bomb += "".join(f"@string{{{n} = {' # '.join([p] * 10)}}}\n" for p, n in pairwise("abcdefghijkl"))
    entry = f"@article{{k, title={{T one}}, abstract={{{ABSTRACT}}}, journal = l}}"
    found = list(bibtex.parse(bomb + entry, "x"))
    assert isinstance(found[-1], Paper)
    assert {entry.reason for entry in found if isinstance(entry, Skipped)} == {"broken BibTeX entry"}


def test_macros_are_worth_a_bounded_text_in_all() -> None:
    """Neither a long entry nor many short ones make a small file a large one."""
    long = "@string{a = {" + "x" * 50_000 + "}}\n"
    fields = ", ".join(f"f{n} = a # a # a" for n in range(100))
    assert [type(e) for e in bibtex.parse(f"{long}@article{{k, {fields}}}", "x")] == [Skipped]
    entry = f"@article{{k, title={{T}}, abstract={{{ABSTRACT}}}, note = a # a}}\n"
    with pytest.raises(FeedError, match=r"macros \(@string\)"):
        list(bibtex.parse(long + entry * 300, "x"))


BLANK = " " * 40_000


@pytest.mark.parametrize(
    "text",
    [
        f"@article{{k, title={{T}}, abstract={{{ABSTRACT}}}, author={{A{BLANK}B}}}}",
        f"@article{{k, title={{x}}{BLANK}!}}",
        f"@article{{{BLANK}x}}",
        f"@article{BLANK}x",
        f"@article{{k, title{BLANK}x",
    ],
)
def test_white_space_without_end_takes_no_time(text: str) -> None:
    """No pattern shares it out anew in every way: 40 kB took seconds."""
    start = time.process_time()
    bibtex.looks_like(text)
    assert all(isinstance(e, Paper | Skipped) for e in bibtex.parse(text, "x"))
    assert time.process_time() - start < 1.0


def test_people_are_cut_at_any_white_space(parse: Parse) -> None:
    """Lines may end beside the "and"."""
    ((paper,), _) = parse(
        f"@article{{k, title={{T}}, author={{A B\n\t and\n  C D AND {{E and F}}}}, abstract={{{ABSTRACT}}}}}"
    )
    assert paper.authors == ("A B", "C D", "E and F")


@pytest.mark.parametrize("before", ["Provider: A Press\nDatabase: B\n", "Content: text/plain; x\n\n\n", "\n"])
def test_ris_of_a_database_is_ris(before: str, parse: Parse) -> None:
    """Databases put lines of their own before the first record."""
    (papers, _) = parse(before + RIS.lstrip("\ufeff"))
    assert [paper.title for paper in papers] == ["A title", "RETRACTED: Another"]


def test_text_before_a_record_is_no_ris() -> None:
    """A page that happens to quote a record is not read as one."""
    assert not ris.looks_like("A page about RIS\nTY  - JOUR\nER  -\n")
    assert not ris.looks_like("Provider: x\n" * 50 + "TY  - JOUR\n")


@pytest.mark.parametrize(
    ("tags", "day"),
    [
        ("DA  - 20260501", dt.date(2026, 5, 1)),
        ("DA  - 17.05.2026", dt.date(2026, 5, 17)),
        ("DA  - 17.05.2026\nPY  - 2025", dt.date(2026, 5, 17)),
        ("DA  - 05/17\nPY  - 2025", dt.date(2025, 1, 1)),
    ],
)
def test_a_day_that_ends_in_its_year_is_read(tags: str, day: dt.date, parse: Parse) -> None:
    """The day goes before the year alone, wherever its own year stands."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\n{tags}\nAB  - {ABSTRACT}\nER  - \n")
    assert paper.published == day
