"""BibTeX files as reference managers, databases and people write them. The files are in ``samples``."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mutations import SAMPLES

from paperagent.errors import FeedError
from paperagent.feeds.formats import bibtex
from paperagent.feeds.reader import open_feed, parse_feed
from paperagent.types import Paper, Skipped
from paths import SHARED

ABSTRACT = "We study a question of some length and answer it in part."
Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

EXPECTED = {
    name: papers
    for name, papers in json.loads(Path(__file__).with_name("expected.json").read_text("utf-8")).items()
    if name.endswith(".bib")
}
"""Sample → its papers; `bench/bibliographies.py` measures other parsers by them."""
ARXIV_IDS = {
    "ads.bib": ["1801.01234"],
    "arxiv.bib": ["2401.01234", "hep-th/9901001"],
    "dblp.bib": ["1801.01234"],
    "inspire.bib": ["hep-ex/0601001"],
    "mendeley.bib": ["1801.01234"],
    "zotero.bib": ["2401.01234"],
    "zotero_better_bibtex.bib": ["2401.01234"],
}
SKIPPED = {
    "by_hand.bib": [("entry at line 22", "broken BibTeX entry")],
    "dblp.bib": [("entry at line 28", "no abstract")],
    "google_scholar.bib": [("entry at line 1", "no abstract")],
    "jabref.bib": [("entry at line 33", "no abstract")],
}


def test_every_sample_has_its_values() -> None:
    """Every BibTeX sample has its papers in the table."""
    assert sorted(EXPECTED) == sorted(path.name for path in SAMPLES.glob("*.bib"))


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_the_files_of_programs_are_read(name: str, line_end: str) -> None:
    """Each program's habits give the same papers, with any ends of lines and with a byte order mark."""
    text = (SAMPLES / name).read_text(encoding="utf-8").replace("\n", line_end)
    entries = parse_feed(io.BytesIO(b"\xef\xbb\xbf" + text.encode()), name)
    papers = [entry for entry in entries if isinstance(entry, Paper)]
    assert [
        {
            "title": paper.title,
            "abstract": paper.abstract,
            "doi": paper.doi,
            "day": str(paper.published),
            "authors": list(paper.authors),
        }
        for paper in papers
    ] == EXPECTED[name]
    assert [p.arxiv_id for p in papers if p.arxiv_id] == ARXIV_IDS.get(name, [])
    skipped = [(entry.where, entry.reason) for entry in entries if isinstance(entry, Skipped)]
    assert skipped == SKIPPED.get(name, [])


TWO = f"@article{{b, title={{Two}}, abstract={{{ABSTRACT} Second.}}}}\n"
FIELDS = f"title = {{One}}, abstract = {{{ABSTRACT}}}"


@pytest.mark.parametrize(
    "first",
    [
        "@web_page{a, FIELDS}",
        "@misc-x{a, FIELDS}",
        "@größe{a, FIELDS}",
        "  @ARTICLE\n  {a, FIELDS}",
        "@article(a, FIELDS)",
        "@article{, FIELDS}",
        "@article{FIELDS}",
        "@article{\n  FIELDS}",
        '@article{a key (with) brackets: and "quotes", FIELDS}',
        "@article{{Vex}2018, FIELDS}",
        "@article{https://lantern.example/?a=b, FIELDS}",
        "@article{Größe/2018;x, FIELDS}",
        "@article{a FIELDS}",
        "@article{a\n FIELDS}",
        "@article{a,, FIELDS , , }",
        "@article{a, year = 2018 FIELDS}",
        "@article{a, year = {2018} FIELDS}",
        "@article{a, volume = , FIELDS, number = }",
        "@article{a, FIELDS; year = {2018};}",
        '@article{a, % a comment with a } brace\n FIELDS % and "one\n}',
        "@article{a, FIELDS, library={Papers\\2013\\}}",
        "@article{a, library={Papers\\2013\\}, FIELDS}",
        "@article{a, note={a set \\{1, 2}, FIELDS}",
        '@article{a, note = "G\\"odel and a "quoted" word", FIELDS}',
        "@article{a, note = {An } brace too many}, FIELDS}",
        "@article{a, note = {A { brace too many},\n FIELDS}",
        "@article{a, note = {One} {Two}, FIELDS}",
        "@article{a, note = {One} two = = three, FIELDS}",
        "@article{a, FIELDS, Early Access Date = {{AUG 2018}}, __markedentry={[ada:6]}}",
        "@article{a, title = {}, FIELDS, title = {Three}}",
        "@article{a, FIELDS",
        "@article{a, FIELDS, note = {ada@lantern.example}}",
        "@comment{jabref-meta: grouping: { 0;}\n@article{a, FIELDS}",
        "@string{x = {a lantern\n@article{a, FIELDS}",
        "Lanterns, by ada@lantern.example\n@article{a, FIELDS}",
        "@comment{@article{a, FIELDS}}",
        '@preamble{"\\newcommand{\\lamp}[1]{#1}"}\n@article{a, FIELDS}',
    ],
)
@pytest.mark.parametrize("between", ["\n", " ", "", ",\n\n", "\n% a comment\n", "\n\ufeff"])
def test_no_writing_of_an_entry_costs_a_paper(first: str, between: str) -> None:
    """Whatever the type, the key and the separators, this entry and the next one are read."""
    if first == "@article{a, FIELDS" and between in {"", ",\n\n"}:
        between = "\n"
    entries = list(bibtex.parse(first.replace("FIELDS", FIELDS) + between + TWO, "x"))
    papers = [entry for entry in entries if isinstance(entry, Paper)]
    assert [paper.title for paper in papers] == ["One", "Two"]
    assert papers[0].abstract == ABSTRACT
    assert len(entries) == 2 + first.startswith("@string")


@pytest.mark.parametrize("name", ["Abstract", "abstractNote", "Abstract Note", "abstract_note", "summary"])
def test_an_abstract_has_several_names(name: str) -> None:
    """Programs name it in their own ways; an annotation is none."""
    text = f"@article{{a, title={{One}}, annote = {{Read this lantern first.}}, {name} = {{{ABSTRACT}}}}}"
    assert [e.abstract for e in bibtex.parse(text, "x") if isinstance(e, Paper)] == [ABSTRACT]
    assert [type(e) for e in bibtex.parse(text.replace(name, "annotation"), "x")] == [Skipped]


@pytest.mark.parametrize(
    "first",
    [
        "@article{a, title = {Open, abstract = {x}",
        "@article{a, title = {Open,\n abstract = {A lantern without an end},\n year = {2018}\n}",
        '@article{a, title = "Open, abstract = {x}}',
        "@article{a, title = {",
        "@article{a",
        "@article{",
        "@web_page{a, author = {Ada Vex}}",
        "@article{a}",
        "%@article{a,\n%  title = {Commented out},\n%}",
        "@string{a = {open",
    ],
)
def test_what_is_lost_is_counted_with_its_line(first: str) -> None:
    """An entry without an end, a title or an abstract costs itself alone."""
    entries = list(bibtex.parse(f"\n\n{first}\n{TWO}", "x"))
    papers = [entry.title for entry in entries if isinstance(entry, Paper)]
    assert papers == ["Two"]
    assert [entry.where for entry in entries if isinstance(entry, Skipped)] == ["entry at line 3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("% Encoding: UTF-8\n\n@article{a,\n", True),
        ("Lanterns\rEXPORT DATE: 20 September 2018\r\r@ARTICLE{a,\r", True),
        ("%\n" * 500 + "@web_page{a key, title={T}}", True),
        ("# Lanterns\n\n```bibtex\n@article{a,\n", False),
        ("A line of prose.\n" * 30 + "@article{a,\n", False),
        ("@lantern wrote (see below)\n", False),
        ("@comment{nothing else}\n", False),
        ("", False),
    ],
)
def test_a_page_that_shows_an_entry_is_no_bibliography(text: str, expected: bool) -> None:  # noqa: FBT001
    """Programs put a few lines of their own before the first entry."""
    assert bibtex.looks_like(text) is expected


@pytest.mark.parametrize(
    ("fields", "day", "flags"),
    [
        ("year = 2018, month = sep", "2018-09-01", ("partial-date",)),
        ("year = {{2018}}, month = {{SEP 15}}", "2018-09-15", ()),
        ('year = "2018", month = "15~" # sep', "2018-09-15", ()),
        ('year = "2018", month = sep # "~15"', "2018-09-15", ()),
        ("year = 2018, month = 9", "2018-09-01", ("partial-date",)),
        ("year = 2018, month = {09}, day = 15", "2018-09-15", ()),
        ("year = 2018, month = {September}, day = {15th}", "2018-09-15", ()),
        ("year = 2018, month = {#sep#}", "2018-09-01", ("partial-date",)),
        ("year = 2018, month = {SEP-OCT}", "2018-09-01", ("partial-date",)),
        ("year = 2018, month = {15-17 Sept.}", "2018-09-15", ()),
        ("year = 2018, month = {Spring}", "2018-01-01", ("partial-date",)),
        ("year = 2018a", "2018-01-01", ("partial-date",)),
        ("year = {c2018}", "2018-01-01", ("partial-date",)),
        ("year = {2018/2019}", "2018-01-01", ("partial-date",)),
        ("year = {15 September 2018}", "2018-09-15", ()),
        ("year = {2018}, year = {2019}", "2018-01-01", ("partial-date",)),
        ("year = {}, year = {2019}", "2019-01-01", ("partial-date",)),
        ("date = {2018-09-15/2018-09-17}", "2018-09-15", ()),
        ("date = {2018-09-15T10:11:12}", "2018-09-15", ()),
        ("date = {2018~}", "2018-01-01", ("partial-date",)),
        ("date = {2018-09?}", "2018-09-01", ("partial-date",)),
        ("date = {2018-21}", "2018-01-01", ("partial-date",)),
        ("date = {15.09.2018}", "2018-09-15", ()),
        ("publicationdate = {2018-09-15}", "2018-09-15", ()),
        ("publication-date = {2018-09-15}, urldate = {2020-01-02}", "2018-09-15", ()),
        ("year = {in press}", "None", ()),
        ("urldate = {2020-01-02}", "None", ()),
    ],
)
def test_days_are_read_in_every_form(fields: str, day: str, flags: tuple[str, ...], parse: Parse) -> None:
    """A month is a macro, a name, a number or a span; a date may be uncertain."""
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, {fields}}}")
    assert (str(paper.published), paper.flags) == (day, flags)


@pytest.mark.parametrize("parent", ["year = 2018, month = sep", "date = {2018-09}"])
@pytest.mark.parametrize("reference", ["crossref = {P 1}", 'xdata = "x,p 1"'])
@pytest.mark.parametrize("parent_first", [True, False])
def test_an_entry_inherits_its_date(parent: str, reference: str, parent_first: bool) -> None:  # noqa: FBT001
    """The date of the proceedings counts for its papers, wherever they stand."""
    parts = [
        f"@proceedings{{P 1, title = {{All}}, {parent}}}\n",
        f"@inproceedings{{a, {reference}, {FIELDS}}}\n",
    ]
    papers = [
        e for e in bibtex.parse("".join(sorted(parts, reverse=parent_first)), "x") if isinstance(e, Paper)
    ]
    assert [paper.published for paper in papers] == [dt.date(2018, 9, 1)]


@pytest.mark.parametrize(
    ("fields", "arxiv_id", "doi"),
    [
        ("eprint = {2401.01234}, archivePrefix = {arXiv}", "2401.01234", None),
        ("eprint = {{arXiv:2401.01234v2}}", "2401.01234", None),
        ("eprint = {9901001}, archivePrefix = {arXiv}, primaryClass = {hep-th}", "hep-th/9901001", None),
        ("eprint = {hep-th/9901001}, archivePrefix = {hep-th}", "hep-th/9901001", None),
        ("eprint = {2401.01234}, eprinttype = {jstor}", None, None),
        ("eprint = {hal-01234567}, eprinttype = {HAL}", None, None),
        ("arxivId = {2401.01234}", "2401.01234", None),
        ("journal = {arXiv preprint arXiv:2401.01234 (2024)}", "2401.01234", None),
        ("journal = {Phys. Rev. D, arXiv:2401.01234}", "2401.01234", None),
        ("journal = {CoRR}, volume = {abs/2401.01234}", "2401.01234", None),
        (r"howpublished = {\url{https://arxiv.org/abs/2401.01234}}", "2401.01234", None),
        ("note = {arXiv:2401.01234 [cs]\n version: 2}", "2401.01234", None),
        ("note = {[arXiv:2401.01234], 12 pages}", "2401.01234", None),
        ("note = {An extended version of arXiv:2401.01234}", None, None),
        (r"note = {Code for \url{https://arxiv.org/abs/2401.01234}}", None, None),
        ("volume = {1234.56789}", None, None),
        ("doi = {10.48550/arXiv.2401.01234}", "2401.01234", None),
        ("doi = {{10.1000/X.1}}", None, "10.1000/x.1"),
        (r"doi = {10.1000/x\_1}", None, "10.1000/x_1"),
        ("doi = {}, url = {https://doi.org/10.1000/x.1}", None, "10.1000/x.1"),
        ("doi = {none}, bdsk-url-1 = {https://doi.org/10.1000/x.1}", None, "10.1000/x.1"),
        (r"howpublished = {\url{https://dl.acm.org/doi/abs/10.1000/x.1}}", None, "10.1000/x.1"),
        ("eprint = {2401.01234}, ee = {https://doi.org/10.1000/x.1}", "2401.01234", "10.1000/x.1"),
        ("note = {A reply to 10.1000/x.1}", None, None),
    ],
)
def test_ids_are_read_where_programs_put_them(
    fields: str, arxiv_id: str | None, doi: str | None, parse: Parse
) -> None:
    """Ids come from fields that hold an id, and never from a sentence."""
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, {fields}}}")
    assert (paper.arxiv_id, paper.doi) == (arxiv_id, doi)


@pytest.mark.parametrize(
    ("pmid", "paper_id"), [("{PMID: 29123456}", "pmid:29123456"), ("{PMC5812345}", "doi:10.1000/x")]
)
def test_a_pmid_is_no_pmcid(pmid: str, paper_id: str, parse: Parse) -> None:
    """The ids of PubMed and PubMed Central are different."""
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, doi = {{10.1000/x}}, pmid = {pmid}}}")
    assert paper.paper_id == paper_id


@pytest.mark.parametrize(
    ("author", "names"),
    [
        ("{Vex, Ada and Ten, Bo}", ("Ada Vex", "Bo Ten")),
        ("{{Vex, Ada and Ten, Bo}}", ("Ada Vex", "Bo Ten")),
        ("{{Lantern and Lamp Group}}", ("Lantern and Lamp Group",)),
        ("{{{Vex, Ada and Ten, Bo}}}", ("Vex, Ada and Ten, Bo",)),
        ("{{Vex}, {Ada} and {Lanterns, Inc.}}", ("Ada Vex", "Lanterns, Inc.")),
        ("{Vex, A.; Ten, B.}", ("A. Vex", "B. Ten")),
        ("{Vex, Jr., Ada and others}", ("Ada Vex Jr.",)),
        ("{family=Oar, given=Cy, prefix=de, useprefix=true}", ("Cy de Oar",)),
        ("{}", ()),
    ],
)
def test_people_are_read_as_programs_write_them(author: str, names: tuple[str, ...], parse: Parse) -> None:
    """Braces around a field are not those around the name of a group."""
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, author = {author}}}")
    assert paper.authors == names


@pytest.mark.parametrize(
    ("written", "shown"),
    [("at ~5 lux", "at ~5 lux"), ("(~90 lux)", "(~90 lux)"), ("at~5 lux", "at 5 lux"), ("5~lux", "5 lux")],
)
def test_a_tilde_before_a_number_means_about(written: str, shown: str, parse: Parse) -> None:
    """A tie follows a word: databases write " ~5" unescaped."""
    (paper,), _ = parse(f"@article{{k, title={{Lanterns}}, abstract={{They shine {written}.}}}}")
    assert paper.abstract == f"They shine {shown}."


def test_the_address_of_a_doi_can_be_opened(parse: Parse) -> None:
    """Angles of old DOIs are written as codes; of several addresses, the first counts."""
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, doi = {{10.1002/(SICI)1:2<3::4>5.0.CO;2-O}}}}")
    assert paper.url == "https://doi.org/10.1002/(sici)1:2%3C3::4%3E5.0.co;2-o"
    ((paper,), _) = parse(f"@article{{a, {FIELDS}, url = {{https://a.example/a\\_b https://b.example}}}}")
    assert paper.url == "https://a.example/a_b"


@pytest.mark.parametrize(
    "text",
    [
        "@a{b, c={{" * 50_000,
        "@a{b, c={a} {a} " + "{a} " * 100_000,
        "@a{b, c={" + "}" * 100_000,
        "@a{b, c={" + "},%" * 100_000,
        '@a{b, c="' + '" ' * 100_000,
        "@a{b, " + "c=d " * 100_000,
        "@a{b, " + "a b = = " * 50_000,
        "@a{" + "k " * 100_000,
        "@a" * 200_000,
        "@string{a = b # " * 50_000,
        "%" * 300_000 + "@a{b, %" + "%" * 300_000,
        ("@a{b, c={\n" + "{" * 50) * 5_000,
    ],
)
def test_broken_files_take_no_time(text: str) -> None:
    """No shape of damage makes the search for ends quadratic."""
    start = time.process_time()
    try:
        entries = list(bibtex.parse("@article{k, title={T}}\n" + text, "x"))
    except FeedError as error:
        assert "broken entries" in str(error)  # noqa: PT017 - either is right, as long as it ends
    else:
        assert all(isinstance(entry, Skipped) for entry in entries)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize(
    ("name", "papers"),
    [
        ("b02_markedentry.bib", 2),
        ("b03_types_underscore.bib", 3),
        ("b05_wos_double_braces.bib", 8),
        ("b12_backslash_before_brace.bib", 2),
    ],
)
def test_the_real_inputs_are_read_whole(name: str, papers: int) -> None:
    """The small files that programs were seen to write lose nothing."""
    path = SHARED / "data" / "real_inputs" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    with open_feed(path) as feed:
        entries = list(feed.records)
    assert [type(entry) for entry in entries] == [Paper] * papers
    if name == "b05_wos_double_braces.bib":
        assert all(entry.doi for entry in entries if isinstance(entry, Paper))
