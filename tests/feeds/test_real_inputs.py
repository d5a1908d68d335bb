"""Every small input of ``real_inputs`` in the shared data, with the values that are right.

The inputs are written as real programs write them. Inputs of the same kinds that we invented are in
``samples``; these tests are skipped where the shared data is missing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.text.readable import readable
from paperagent.types import Paper, Skipped


@pytest.fixture
def inputs(shared: Path) -> Path:
    return shared / "data" / "real_inputs"


def read(path: Path) -> list[Paper]:
    with open_feed(path) as feed:
        entries = list(feed.records)
    assert not [entry for entry in entries if not isinstance(entry, Paper)]
    return [entry for entry in entries if isinstance(entry, Paper)]


def one(path: Path) -> Paper:
    (paper,) = read(path)
    return paper


def test_symbols_of_bibtex_keep_their_numbers_apart(inputs: Path) -> None:
    paper = one(inputs / "b01_symbols.bib")
    for text in (readable(paper.abstract), paper.abstract.replace("$\\geq$", "≥")):
        for right in "5×5 mm|13 µm|0.10 ± 0.02 mm|−5 T|≥ 3|½|37 °C|x ≥ 4|5 ± 1".split("|"):
            assert right in text.replace("μ", "µ").replace("\u202f", " "), (right, text)
        assert "10^-3 M" in text or "10⁻³ M" in text
        assert "2×3 groups" in text or "2× 3 groups" in text


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("b02_markedentry.bib", ["Marked by hand", "Not marked"]),
        (
            "b03_types_underscore.bib",
            ["A page kept by a reference manager", "A chapter kept by a reference manager", "An article"],
        ),
        ("b12_backslash_before_brace.bib", ["Windows folder in a field", "The next entry"]),
        ("r01_ovid_numbered.ris", ["Lantern study number 1", "Lantern study number 2"]),
        ("r02_cochrane.ris", ["Cochrane lanterns 1", "Cochrane lanterns 2"]),
        ("r05_leading_space.ris", ["Leading space"]),
        ("c01_zotero.csv", ["A study of lanterns", "A second study"]),
        ("c02_scopus.csv", ["A study of lanterns"]),
        ("j01_csl.json", ["A study of lanterns", "A second study"]),
        ("d01_weeks.jsonl", [f"Lantern paper of 2026-11-{day}" for day in (10, 12, 17, 19, 24, 26, 27)]),
    ],
)
def test_no_paper_is_lost_or_invented(inputs: Path, name: str, titles: list[str]) -> None:
    assert [paper.title for paper in read(inputs / name)] == titles


def test_dois_in_every_writing(inputs: Path) -> None:
    papers = read(inputs / "b05_wos_double_braces.bib")
    assert [paper.doi for paper in papers] == [
        "10.1016/j.lantern.2018.07.033",
        "10.1016/j.lantern.2018.07.034",
        "10.1016/j.lantern.2018.07.035",
        "10.1145/1233341.1233448",
        "10.1016/j.lantern.2018.07.036",
        "10.1016/j.lantern.2018.07.037",
        "10.1007/978-3-031-06773-0_38",
        "10.1002/(sici)1097-4571(199806)49:8<693::aid-asi4>3.0.co;2-o",
    ]
    assert str(papers[0].published) == "2018-09-15"
    assert papers[0].title == "Double braces around every field"


def test_wrongly_decoded_text_is_repaired(inputs: Path) -> None:
    paper = one(inputs / "b08_mojibake.bib")
    assert "Kalkül" in paper.title
    assert paper.authors == ("Kurt Schütte",)
    assert "Einführung" in paper.abstract


def test_all_lines_of_an_abstract(inputs: Path) -> None:
    abstract = one(inputs / "r07_abstract_many_lines.ris").abstract
    parts = ["Background: first part.", "Methods: second part.", "Results: third part with 42 lanterns."]
    assert abstract.split() == " ".join(parts).split()


def test_html_in_ris(inputs: Path) -> None:
    paper = one(inputs / "r08_html.ris")
    assert paper.title == "Lanterns & lamps in vitro"
    assert "<" not in paper.abstract.replace(" < ", "")
    assert "106" not in paper.abstract
    assert readable(paper.abstract).endswith("10⁶ < 10⁷.") or paper.abstract.endswith("10^6 < 10^7.")
    assert paper.doi == "10.1000/abc"


def test_columns_of_tables(inputs: Path) -> None:
    first, second = read(inputs / "c01_zotero.csv")
    assert first.authors == ("Ada Vex", "Bo Ten")
    assert (first.doi, str(first.published)) == ("10.1000/csv1", "2013-04-01")
    assert second.abstract.endswith("Again.")
    assert one(inputs / "c02_scopus.csv").doi == "10.1000/csv1"


def test_json_of_services(inputs: Path) -> None:
    assert [paper.doi for paper in read(inputs / "j01_csl.json")] == ["10.1000/csl1", "10.1000/csl2"]
    assert read(inputs / "j01_csl.json")[0].authors == ("Ada Vex",)
    found = one(inputs / "j02_s2_search.json")
    assert (found.authors, str(found.published)) == (("Ada Vex",), "2013-04-01")
    assert (found.arxiv_id, found.doi) == ("2401.01234", "10.1000/s2")
    work = one(inputs / "j04_crossref.json")
    assert (work.doi, work.authors, str(work.published)) == ("10.1000/cr1", ("Ada Vex",), "2013-04-01")
    assert work.abstract.startswith("We measure")


def test_a_duplicate_key_costs_one_record(inputs: Path) -> None:
    with open_feed(inputs / "j10_duplicate_key.json") as feed:
        skipped, paper = feed.records
    assert isinstance(skipped, Skipped)
    assert isinstance(paper, Paper)
    assert paper.paper_id == "2401.01235"


def test_rss_and_atom(inputs: Path) -> None:
    item = one(inputs / "x01_rss2_arxiv.xml")
    assert (item.arxiv_id, item.authors) == ("2401.01234", ("Ada Vex", "Bo Ten"))
    assert item.abstract.startswith("We measure")
    entry = one(inputs / "x02_atom_other.xml")
    assert (entry.arxiv_id, entry.abstract[:10]) == ("2401.01234", "We measure")


def test_superscripts_of_pubmed(inputs: Path) -> None:
    paper = one(inputs / "x03_pubmed_sup.xml")
    text = paper.abstract.replace("⁶", "^6").replace("²", "^2").replace("⁻⁸", "^-8").replace("₂", "2")
    assert "10^6 cells (r^2 = 0.9, 5 × 10^-8)" in text
    assert "CO2" in text
    assert "Patient: one Symptoms: none" in text
    assert paper.title in {"Doses of 10^6 cells", "Doses of 10⁶ cells"}


def test_a_paper_of_the_anthology_elsewhere(inputs: Path) -> None:
    assert one(inputs / "a01_acl_external_url.xml").paper_id == "acl:L14-1001"


def test_medline(inputs: Path) -> None:
    paper = one(inputs / "n01.nbib")
    assert paper.title == "A study of lanterns that hum at night."
    assert "RESULTS: Forty lanterns." in paper.abstract
    assert (paper.doi, paper.authors) == ("10.1000/nb1", ("Ada Vex",))


def test_a_list_of_links_is_explained(inputs: Path) -> None:
    with pytest.raises(FeedError, match=r"2 arXiv ids.*--fetch"):
        read(inputs / "m01_awesome.md")
