"""RIS, MEDLINE, Web of Science and EndNote files, as databases and reference managers write them."""

from __future__ import annotations

import datetime as dt
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import FeedError
from paperagent.feeds.formats import endnote, medline, ris, web_of_science
from paperagent.feeds.reader import open_feed, parse_feed
from paperagent.types import PARTIAL_DATE, RETRACTED, Paper, Skipped

SAMPLES = Path(__file__).with_name("samples")
ABSTRACT = "We study a question of some length and answer it in part."
Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]


def read(name: str) -> tuple[list[Paper], list[Skipped]]:
    entries = parse_feed(io.BytesIO((SAMPLES / name).read_bytes()), name)
    return [e for e in entries if isinstance(e, Paper)], [e for e in entries if isinstance(e, Skipped)]


# --- RIS ---


def test_ovids_numbered_records_are_read() -> None:
    """The number before a record is no record; PubMed's number is an id, Embase's is not."""
    (first, second), skipped = read("ovid.ris")
    assert (first.paper_id, first.doi) == ("pmid:31000001", "10.1000/lantern.1")
    assert first.title == "Paper lanterns in still air: a randomized trial"
    assert first.authors == ("Ada M Vex", "Bo Moss")
    assert first.abstract.startswith("BACKGROUND: Paper lanterns hum at 37 hertz. METHODS: We hung 40")
    assert first.abstract.endswith("(p < 0.05).")
    assert (first.published, first.flags) == (dt.date(2020, 1, 1), (PARTIAL_DATE,))
    assert (second.paper_id[:7], second.published) == ("sha256:", dt.date(2019, 3, 5))
    assert skipped == [Skipped("record at line 33", "no abstract")]


def test_cochranes_lines_between_records_are_no_papers() -> None:
    """``Record #2 of 3``, ``Provider`` and ``Content`` come before every record."""
    papers, skipped = read("cochrane.ris")
    assert [paper.title for paper in papers] == ["Lanterns against the dark: 24 weeks", "Wicks of 3 widths"]
    assert (papers[0].doi, papers[0].authors) == ("10.1002/lantern.2021", ("Vex A", "Moss B"))
    assert papers[1].abstract.endswith("The 5 mm wick burned longest.")
    assert skipped == [Skipped("record at line 38", "no abstract")]


def test_ebscos_notes_hold_the_doi() -> None:
    """A blank line may stand in an abstract, editors are no authors, several AB are one abstract."""
    (first, second), skipped = read("ebsco.ris")
    assert first.abstract == (
        "Candles make 48 libraries calm. Readers stayed 17 minutes longer, and 6% of them slept."
    )
    assert (first.doi, first.authors) == ("10.1037/lan0000001", ("Ada Vex", "Bo Moss Jr."))
    assert first.published == dt.date(2015, 5, 1)
    assert second.abstract == (
        "Background: Storms of 9 winds put candles out. Methods: 33 candles stood outside. "
        "Results: 30 went out within 4 minutes."
    )
    assert second.flags == (RETRACTED,)
    assert not skipped


def test_scopus_and_ieee_are_read() -> None:
    """Scopus says that a paper is retracted by its type; IEEE's Y1 is more exact than its PY."""
    (glow, signals), _ = read("scopus.ris")
    assert (glow.doi, glow.authors) == ("10.1016/j.wet.2018.01.001", ("A. Vex", "B. Moss"))
    assert (glow.withdrawn, signals.withdrawn) == (False, True)
    assert signals.published == dt.date(2017, 1, 1)  # not the day of access
    (network, preprint), _ = read("ieee.ris")
    assert (network.published, network.flags) == (dt.date(2019, 6, 11), ())
    assert (preprint.arxiv_id, preprint.version, preprint.categories) == ("2508.13426", 2, ("cs.CL",))
    assert (preprint.published, preprint.flags) == (dt.date(2025, 4, 1), (PARTIAL_DATE,))


def test_typed_records_are_read() -> None:
    """Indented tags, one space or a tab before the dash, full names of types, records without an end."""
    papers, skipped = read("typed.ris")
    assert [paper.title for paper in papers] == [
        "Lamps written by hand",
        "Lamps without an end",
        "A book of lamps",
    ]
    assert papers[0].abstract == (
        "A person typed this record with 4 spaces too many, and the text goes on in a second line "
        "with 75 lamps."
    )
    assert (papers[0].authors, papers[0].doi) == (("Bo Moss", "Ada Vex"), "10.1000/by.hand")
    assert (papers[1].doi, papers[1].published) == ("10.1000/by.hand.2", dt.date(2012, 10, 5))
    assert not skipped


@pytest.mark.parametrize(
    "text",
    [
        "TY  - JOUR\nTI  - A title\nAB  - {}\nER  - \n",
        "TY  - Journal Article\nTI  - A title\nAB  - {}\nER  - \n",
        "TY  -  JOUR\nTI  -  A title\nAB  -  {}\nER  -  \n",
        " TY  - JOUR\n TI  - A title\n AB  - {}\n ER  - \n",
        "\tTY  - JOUR\n\tTI  - A title\n\tAB  - {}\n\tER  - \n",
        "TY - JOUR\nTI - A title\nAB - {}\nER -\n",
        "TY\t-\tJOUR\nTI\t-\tA title\nAB\t-\t{}\nER\t-\n",
        "TY  -JOUR\nTI  -A title\nAB  -{}\nER  -\n",
        "TY  – JOUR\nTI  – A title\nAB  – {}\nER  – \n",
        "TY\u00a0\u00a0- JOUR\nTI\u00a0\u00a0- A title\nAB\u00a0\u00a0- {}\nER  - \n",
        "ty  - JOUR\nti  - A title\nab  - {}\ner  - \n",
        "\ufeffTY  - JOUR\rTI  - A title\rAB  - {}\rER  - \r",
        "TY  - JOUR\r\n\r\nTI  - A title\r\n\r\nAB  - {}\r\n\r\nER  - \r\n",
        "TY  - JOUR\nT1  - A title\nN2  - {}",
        "TY  - JOUR\nTI  - A title\nAB  - {}\nER\n",
        "TY  - CHAP\nCT  - A title\nBT  - The book\nAB  - {}\nER  - \n",
        "TY  - BOOK\nBT  - A title\nAB  - {}\nER  - \n",
        "TY  - JOUR\nTI  - A\ntitle\nAB  - {}\nAB  - {}\nN2  - Another text of some length.\nER  - \n",
        "<1>\nTY  - JOUR\nTI  - A title\nAB  - {}\nER  - \n\n",
        "12\nTY  - JOUR\nTI  - A title\nAB  - {}\nER  - \nEF  - \n",
        "Database: Lamps\nTY  - JOUR\nTI  - A title\nAB  - {}\nER  - \nThe end of the file.\n",
    ],
)
def test_every_way_of_writing_ris_is_read(text: str, parse: Parse) -> None:
    """Two records in a row, however they are written, are two papers."""
    papers, skipped = parse(text.replace("{}", ABSTRACT))
    assert [(paper.title, paper.abstract) for paper in papers] == [("A title", ABSTRACT)]
    assert not skipped
    (papers, skipped) = parse("\n\n".join([text.replace("{}", ABSTRACT).lstrip("\ufeff")] * 3))
    assert [(paper.title, paper.abstract) for paper in papers] == [("A title", ABSTRACT)] * 3
    assert not skipped


@pytest.mark.parametrize(
    "line",
    [
        "T2 -weighted images of 12 lamps",
        "T2-weighted images of 12 lamps",
        "ER - positive lamps",
        "CO  of 5",
        "In - out",
        "3 - 5 lamps",
    ],
)
def test_a_wrapped_line_that_resembles_a_tag_is_text(line: str, parse: Parse) -> None:
    """Nothing of an abstract is lost to another field."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT} We saw\n{line}\nPY  - 2020\nER  - \n")
    assert paper.abstract == f"{ABSTRACT} We saw {' '.join(line.split())}"


@pytest.mark.parametrize(
    "between", ["2.", "<2>", "Record #2 of 9\nProvider: A Press\nContent: text/plain\n", ""]
)
def test_what_stands_between_records_joins_no_abstract(between: str, parse: Parse) -> None:
    """Not even if the record before has no end."""
    record = f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT}\n\nIt has 2 parts and ends with\n12.\n"
    papers, skipped = parse(f"{record}\n{between}\n{record}")
    assert [paper.abstract for paper in papers] == [f"{ABSTRACT} It has 2 parts and ends with 12."] * 2
    assert not skipped


@pytest.mark.parametrize(
    ("tags", "doi"),
    [
        ("DO  - https://doi.org/10.1000/A", "10.1000/a"),
        ("DO  - 978-3-00-000000-0\nM3  - doi: 10.1000/a", "10.1000/a"),
        ("UR  - https://journals.example.org/doi/abs/10.1000/a", "10.1000/a"),
        ("L3  - 10.1000/a", "10.1000/a"),
        ("U2  - 10.1000/a\nU2  - 31000001", "10.1000/a"),
        ("ID  - 10.1000/a", "10.1000/a"),
        ("N1  - Pages: 12; DOI: 10.1000/a", "10.1000/a"),
        ("N1  - doi:10.1000/a\nN1  - doi:10.1000/b", None),
        ("N1  - Comment on: Vex A. Lamps 2020. doi: 10.1000/a", None),
        ("M3  - Article", None),
    ],
)
def test_dois_are_read_from_where_programs_write_them(tags: str, doi: str | None, parse: Parse) -> None:
    """A DOI in the notes counts only if it can be no other paper's."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT}\n{tags}\nER  - \n")
    assert paper.doi == doi


@pytest.mark.parametrize(
    ("tags", "arxiv"),
    [
        ("UR  - http://arxiv.org/abs/2508.13426v1", "2508.13426"),
        ("T2  - arXiv preprint arXiv:2508.13426", "2508.13426"),
        ("N1  - arXiv:2508.13426", "2508.13426"),
        ("DO  - 10.48550/arXiv.2508.13426", "2508.13426"),
        ("M1  - 2508.13426\nPB  - arXiv", "2508.13426"),
        ("AN  - 2010.12345", None),
        ("ID  - 2020-1", None),
    ],
)
def test_a_bare_number_is_an_arxiv_id_only_beside_arxivs_name(
    tags: str, arxiv: str | None, parse: Parse
) -> None:
    """Databases number their records in the same way."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT}\n{tags}\nER  - \n")
    assert paper.arxiv_id == arxiv


@pytest.mark.parametrize(
    ("tags", "day", "flags"),
    [
        ("Y1  - 2020//", dt.date(2020, 1, 1), (PARTIAL_DATE,)),
        ("PY  - 2009/05/17/", dt.date(2009, 5, 17), ()),
        ("PY  - 2009\nDA  - 2009/05/17/", dt.date(2009, 5, 17), ()),
        ("PY  - 2009\nDA  - May 17", dt.date(2009, 5, 17), ()),
        ("PY  - 2009\nY1  - 2009/05//", dt.date(2009, 5, 1), (PARTIAL_DATE,)),
        ("PY  - 2009\nDA  - Spring", dt.date(2009, 1, 1), (PARTIAL_DATE,)),
        ("PY  - 2009\nDA  - n.d.", dt.date(2009, 1, 1), (PARTIAL_DATE,)),
        ("PY  - in press", None, ()),
        ("Y2  - 2020/05/05", None, ()),
    ],
)
def test_the_most_exact_date_counts(
    tags: str, day: dt.date | None, flags: tuple[str, ...], parse: Parse
) -> None:
    """Programs write a day in one tag and the year in another; the day of access is none of them."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT}\n{tags}\nER  - \n")
    assert (paper.published, paper.flags) == (day, flags)


@pytest.mark.parametrize(
    ("tags", "flags"),
    [
        ("N1  - Retracted", (RETRACTED,)),
        ("N1  - This article has been retracted by the publisher.", (RETRACTED,)),
        ("N1  - Retraction in: Lamps 2020", (RETRACTED,)),
        ("M3  - Retracted Publication", (RETRACTED,)),
        ("N1  - Retraction of: Lamps 2019", ()),
        ("N1  - We read 12 retracted claims", ()),
        ("KW  - Retracted lamps", ()),
    ],
)
def test_retractions_are_noticed(tags: str, flags: tuple[str, ...], parse: Parse) -> None:
    """The notice of a retraction is not retracted itself."""
    ((paper,), _) = parse(f"TY  - JOUR\nTI  - A title\nAB  - {ABSTRACT}\n{tags}\nER  - \n")
    assert (paper.flags, paper.withdrawn) == (flags, bool(flags))


def test_authors_are_read_in_order(parse: Parse) -> None:
    """A1 and AU mean the same; names may share a line; an organization has a comma at its end."""
    ((paper,), _) = parse(
        f"TY  - JOUR\nTI  - A title\nA1  - Vex, Ada\nAU  - Moss, Bo; Quill, Cy\nED  - No, One\n"
        f"A2  - No, Two\nAU  - The Lamp Society,\nAU  - Vex, Ada\nAU  - et al.\nAB  - {ABSTRACT}\nER  - \n"
    )
    assert paper.authors == ("Ada Vex", "Bo Moss", "Cy Quill", "The Lamp Society")


def test_every_record_is_a_paper_or_is_counted(parse: Parse) -> None:
    """A damaged record costs itself; one whose first line is lost is still read."""
    papers, skipped = parse(
        f"TY  - JOUR\nER  - \n\nTY  - JOUR\nAB  - {ABSTRACT}\nER  - \n\n"
        f"TI  - No type\nAB  - {ABSTRACT}\nER  - \n\nTY  - JOUR\nTI  - Short\nAB  - Short.\nER  - \n"
    )
    assert [paper.title for paper in papers] == ["No type"]
    assert skipped == [
        Skipped("record at line 1", "no title"),
        Skipped("record at line 4", "no title"),
        Skipped("record at line 12", "abstract too short"),
    ]


def test_a_second_title_after_a_blank_line_begins_a_record(parse: Parse) -> None:
    """Two papers are never joined into one, even if the lines between them are lost."""
    papers, _ = parse(
        f"TY  - JOUR\nTI  - One\nAB  - {ABSTRACT}\n\nTI  - Two\nAB  - {ABSTRACT} Second.\nER  - \n"
    )
    assert [(paper.title, paper.abstract) for paper in papers] == [
        ("One", ABSTRACT),
        ("Two", f"{ABSTRACT} Second."),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lamps.ris", "This file was meant to hold lamps.\nIt does not.\n"),
        ("lamps.nbib", f"Lamps\n\n{ABSTRACT}\n" * 5),
        ("lamps.ciw", "PT is short for part\nand says nothing.\n"),
        ("lamps.enw", "%0 of lamps\nare here.\n"),
    ],
)
def test_a_suffix_that_the_content_does_not_keep_is_an_error(name: str, text: str, tmp_path: Path) -> None:
    """A file without a record is no empty feed, and no page of titles and abstracts."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FeedError, match="although its name ends in "):
        open_feed(path)


def test_a_chosen_format_without_a_record_is_an_error() -> None:
    """``--format`` cannot make an empty feed succeed."""
    with pytest.raises(FeedError, match="RIS without a record"):
        open_feed("-", stdin=io.BytesIO(b"Lamps\nand nothing else\n"), format="ris")
    with pytest.raises(FeedError, match="EndNote XML without a record"):
        open_feed("-", stdin=io.BytesIO(b"<xml><records/></xml>"), format="endnote-xml")


# --- MEDLINE ---


def test_pubmeds_file_is_read_like_its_xml() -> None:
    """Continuation lines, groups as authors, the day of electronic publication, retractions."""
    (first, second), skipped = read("pubmed.nbib")
    assert first == Paper(
        paper_id="pmid:31000001",
        title="Paper lanterns in still air at 37 hertz: a trial of lanterns that hum in 2 halls for 13 "
        "nights.",
        abstract="BACKGROUND: Paper lanterns hum at 37 hertz. METHODS: We hung 40 lanterns in 2 halls for 13 "
        "nights. RESULTS: The hum was 5.2 dB lower in the second hall (95% CI 3.1-7.3).",
        authors=("Ada M Vex", "Bo Moss", "Lantern Trial Group"),
        published=dt.date(2019, 3, 5),
        url="https://pubmed.ncbi.nlm.nih.gov/31000001/",
        doi="10.1000/lantern.1",
        sources=("medline",),
    )
    assert second.title == "Oil lamps beside harbors"
    assert second.abstract.endswith("Their light reached 250 m. It was 1.5 times as far as expected.")
    assert (second.published, second.withdrawn) == (dt.date(2013, 3, 1), True)
    assert skipped == [Skipped("record at line 54", "no abstract")]


def test_ovids_medline_is_read() -> None:
    """Only a record of MEDLINE has a PubMed id."""
    (shades, mirrors), skipped = read("ovid_medline.txt")
    assert (shades.paper_id, shades.doi) == ("pmid:30000004", "10.1000/shades.5")
    assert shades.authors == ("Dot Fenn",)
    assert shades.abstract.endswith("35 lamps. Blue shades took 12% of the light.")
    assert mirrors.paper_id.startswith("sha256:")
    assert not skipped


def test_records_without_their_first_line_stay_apart(parse: Parse) -> None:
    """A blank line separates records of MEDLINE, even if the id is lost."""
    papers, _ = parse(
        f"PMID- 1\nTI  - One\nAB  - {ABSTRACT}\n\nOWN - NLM\nTI  - Two\nAB  - {ABSTRACT} Second.\n"
        f"PMID- 3\nTI  - Three\nOAB - {ABSTRACT} Third.\n"
    )
    assert [paper.title for paper in papers] == ["One", "Two", "Three"]


def test_a_doi_is_told_from_other_ids(parse: Parse) -> None:
    """LID and AID say what they hold; a preprint's id is arXiv's."""
    (first, second), _ = parse(
        f"PMID- 1\nTI  - One\nAID - S0140-6736(20)30183-5 [pii]\nAID - 10.1000/one [doi]\n"
        f"AB  - {ABSTRACT}\n\nPMID- 2\nTI  - Two\nAID - arXiv:2508.13426v2 [pii]\nAB  - {ABSTRACT}\n"
    )
    assert (first.doi, second.doi) == ("10.1000/one", None)
    assert (second.arxiv_id, second.version) == ("2508.13426", 2)


# --- Web of Science ---


def test_web_of_science_is_read() -> None:
    """A line per author, text over lines, a date in two tags, a mark at the end of a title."""
    (first, second), skipped = read("savedrecs.ciw")
    assert first == Paper(
        paper_id="pmid:31000001",
        title="Paper lanterns in still air at 37 hertz: a trial of lanterns that hum in 2 halls",
        abstract="Paper lanterns hum at 37 hertz. We hung 40 lanterns in 2 halls for 13 nights. The hum was "
        "5.2 dB lower in the second hall.",
        authors=("Ada Vex", "Bo Moss", "Cor Dirk van der Lamp", "Lantern Grp"),
        published=dt.date(2019, 4, 5),
        url="https://pubmed.ncbi.nlm.nih.gov/31000001/",
        doi="10.1000/lantern.1",
        sources=("web-of-science",),
    )
    assert (second.published, second.flags) == (dt.date(2013, 3, 1), (PARTIAL_DATE, RETRACTED))
    assert skipped == [Skipped("record at line 45", "no abstract")]


def test_older_exports_of_web_of_science_are_read(parse: Parse) -> None:
    """Also a file without its first lines, and a record without its end."""
    ((paper,), _) = read("isi_export.txt")
    assert paper.authors == ("Dot Fenn", "Bo Moss")
    record = f"PT J\nAU Vex, A\nTI A title\nAB {ABSTRACT}\n   A second part.\nAB A third part.\n"
    papers, skipped = parse(record * 2)
    assert [paper.abstract for paper in papers] == [f"{ABSTRACT} A second part. A third part."] * 2
    assert not skipped


# --- EndNote ---


def test_google_scholars_file_is_read() -> None:
    ((paper,), skipped) = read("scholar.enw")
    assert (paper.title, paper.doi) == ("Paper lanterns in still air: a trial", "10.1000/lantern.1")
    assert (paper.authors, paper.published) == (("Ada Vex", "Bo Moss"), dt.date(2019, 1, 1))
    assert skipped == [Skipped("record at line 14", "no abstract")]


def test_endnotes_file_is_read() -> None:
    """An abstract with a blank line, a day without a year, PubMed's number, a retraction in the notes."""
    (first, second), skipped = read("endnote.enw")
    assert first.abstract == (
        "Background: We compare 120 oil lamps beside 6 harbors. "
        "Results: Their light reached 250 m, which is 1.5 times as far as expected."
    )
    assert (first.paper_id, first.doi) == ("pmid:23000002", "10.1000/oil.lamps")
    assert (first.authors, first.published) == (("Cy Quill", "Lantern Society"), dt.date(2013, 3, 12))
    assert (first.withdrawn, second.withdrawn) == (False, True)
    assert not skipped


def test_old_refer_files_are_read() -> None:
    """Without ``%0`` a blank line separates records."""
    papers, skipped = read("refer.enw")
    assert [paper.title for paper in papers] == ["Wicks of 3 widths", "Mirrors behind 7 lamps"]
    assert papers[0].abstract.endswith("in 18 lamps. The 5 mm wick burned longest.")
    assert papers[0].published == dt.date(1991, 5, 1)
    assert not skipped


def test_endnotes_xml_is_read() -> None:
    """Styles are joined, but a superscript does not join the number before it."""
    (first, second), skipped = read("endnote.xml")
    assert first.authors == ("Ada Vex", "Bo Moss")
    assert (first.paper_id, first.doi) == ("pmid:31000001", "10.1000/lantern.1")
    assert (first.url, first.published) == ("https://example.org/lanterns", dt.date(2019, 4, 5))
    assert first.abstract.startswith("BACKGROUND: Paper lanterns hum. METHODS: We hung 40 lanterns with 10")
    assert "106" not in first.title
    assert "107" not in first.abstract
    assert (second.published, second.flags) == (dt.date(2013, 3, 12), (RETRACTED,))
    assert skipped == [Skipped("record at line 3", "no abstract")]


def test_ampersands_and_percent_signs_are_no_refer() -> None:
    """A text with a few percent signs is not taken for EndNote's format."""
    assert not endnote.looks_like("%A comment\n%B comment\n" * 5)
    assert not endnote.looks_like("A page\n%0 Book\n%T A\n%A B\n")


# --- compared with other parsers ---


@pytest.mark.parametrize("name", ["ovid.ris", "cochrane.ris", "scopus.ris", "ieee.ris"])
def test_rispy_reads_the_same_from_ris(name: str) -> None:
    """Nothing is lost or added where rispy can read a file."""
    rispy = pytest.importorskip("rispy")
    records = rispy.loads((SAMPLES / name).read_text(encoding="utf-8"))
    titles = {each.get("title") or each["primary_title"]: each for each in records}
    papers, skipped = read(name)
    assert len(records) == len(papers) + len(skipped)
    for paper in papers:
        each = titles[paper.title]
        assert paper.abstract == (each.get("abstract") or each["notes_abstract"])
        assert (paper.doi or "") == each.get("doi", "").lower().removeprefix("https://dx.doi.org/")
        assert len(paper.authors) == len(each.get("authors") or each["first_authors"])
        assert str(paper.published)[:4] == (each.get("year") or each["publication_year"])[:4]


def test_nbib_reads_the_same_from_medline() -> None:
    """Nothing is lost or added but a second abstract, of which nbib keeps one."""
    nbib = pytest.importorskip("nbib")
    records = nbib.read((SAMPLES / "pubmed.nbib").read_text(encoding="utf-8").strip() + "\n\n")
    papers, skipped = read("pubmed.nbib")
    assert len(records) == len(papers) + len(skipped)
    for paper, each in zip(papers, records, strict=False):
        assert paper.paper_id == f"pmid:{each['pubmed_id']}"
        assert paper.title.rstrip(".") == each["title"].strip("[].")
        assert each["abstract"] in paper.abstract
        assert paper.doi == each.get("doi")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("r01_ovid_numbered.ris", 2),
        ("r02_cochrane.ris", 2),
        ("r05_leading_space.ris", 1),
        ("r07_abstract_many_lines.ris", 1),
        ("r08_html.ris", 1),
        ("n01.nbib", 1),
    ],
)
def test_real_inputs_are_read(name: str, count: int, shared: Path) -> None:
    """Files as programs write them, from the shared data."""
    with open_feed(shared / "data" / "real_inputs" / name) as feed:
        papers = list(feed.records)
    assert len(papers) == count
    assert all(isinstance(paper, Paper) and len(paper.abstract) > 80 for paper in papers)


# --- all of them ---

PARSERS = (ris, medline, web_of_science, endnote)
TAGS = [
    *("TY  - ", "ER  - ", "TI  - ", "AB  - ", "PMID- ", "PT J", "TI ", "ER", "%0 ", "%T ", "   "),
    *("\n", "2.", "a", "5"),
]


@given(st.lists(st.sampled_from(TAGS), max_size=30).map("".join) | st.text(max_size=80))
def test_any_text_gives_entries(text: str) -> None:
    """No text raises: every record becomes a paper or a reason."""
    for module in PARSERS:
        module.looks_like(text)
        assert all(isinstance(e, Paper | Skipped) for e in module.parse(text, "x"))


@pytest.mark.parametrize(
    "text",
    [
        "TY  - JOUR\nAB  - " + "2.\n\n" * 200_000,
        "TY  - JOUR\n" * 50_000,
        "TY  - JOUR\nAU  - " + ";" * 500_000,
        "TY  - JOUR\nTI  - [" + "[" * 500_000,
        "TY  - JOUR\nTI  - A\nAB  - b\nN1  - " + "retraction " * 100_000,
        "TY" + " " * 500_000,
        "%0 Book\n" + "%A\n" * 200_000,
        "PT J\nAU " + "a\n   " * 200_000,
        "PMID- 1\n\n" * 50_000,
    ],
    ids=lambda text: repr(text[:30]),
)
def test_hostile_files_take_no_time(text: str) -> None:
    """The time grows with the length of the file."""
    for module in PARSERS:
        start = time.process_time()
        module.looks_like(text)
        assert all(isinstance(e, Paper | Skipped) for e in module.parse(text, "x"))
        assert time.process_time() - start < 5.0
