"""Tables of papers: CSV and TSV as databases, reference managers and people write them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import SAMPLES, fault, mutate

from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]
Row = tuple[str, str, tuple[str, ...], str | None]

ABSTRACT = "We measure how lanterns hum in still air, and report 40 of them."
ADA_AND_BO = ("Ada Vex", "Bo Ten")


def read(path: Path, text: str | bytes) -> list[Paper | Skipped]:
    """Write a file and return what it gives."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with open_feed(path) as feed:
        return list(feed.records)  # type: ignore[arg-type]


def refusal(path: Path, text: str | bytes) -> str:
    with pytest.raises(FeedError) as caught:
        read(path, text)
    return str(caught.value)


def rows(*cells: list[str], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(cells)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "expected", "skipped"),
    [
        (
            "zotero.csv",
            [
                ("doi:10.1000/lant.1", "A study of lanterns", ("Ada Vex", "Bo Ten Berg"), "2013-04-01"),
                ("1401.01234", "Two wicks", ("Bo Carl Ten Berg",), "2014-01-07"),
            ],
            ["no title"],
        ),
        (
            "scopus.csv",
            [
                ("doi:10.1000/lant.1", "A study of lanterns", ADA_AND_BO, "2013-01-01"),
                ("doi:10.1000/lant.3", "Retracted: Do moths hear?", ("Cleo Moth",), "2015-01-01"),
            ],
            ["no abstract"],
        ),
        (
            "wos.tsv",
            [
                ("pmid:23456789", "A study of lanterns", ADA_AND_BO, "2013-04-15"),
                ("doi:10.1000/lant.3", "Do moths hear?", ("Cleo Moth",), "2015-09-01"),
            ],
            [],
        ),
        ("ieee.csv", [("doi:10.1000/lant.1", "A study of lanterns", ("A. Vex", "B. Ten"), "2013-04-01")], []),
        ("dimensions.csv", [("pmid:23456789", "A study of lanterns", ADA_AND_BO, "2013-04-01")], []),
        ("rayyan.csv", [("pmid:23456789", "A study of lanterns", ADA_AND_BO, "2013-04-01")], []),
        ("openalex.csv", [("openalex:W2000000001", "A study of lanterns", ADA_AND_BO, "2013-04-01")], []),
        ("arxiv_dataframe.csv", [("1401.01234", "Two wicks", ("Bo Ten", "Ada O'Vex"), "2014-01-07")], []),
        (
            "excel_semicolons.csv",
            [
                ("1401.01234", "Two wicks", ("Bo Ten", "Ada Vex", "Cleo Moth"), "2014-01-01"),
                ("sha256:29f0ca0d89f4a6d0c8c7164d585e0c47", "Do moths hear?", ("Cleo Moth",), "2015-01-01"),
            ],
            [],
        ),
    ],
)
def test_the_tables_of_programs_are_read(name: str, expected: list[Row], skipped: list[str]) -> None:
    """Ids, titles, authors and days are those of the file, and the paper comes from a table."""
    with open_feed(SAMPLES / name) as feed:
        entries = list(feed.records)
    papers = [e for e in entries if isinstance(e, Paper)]
    assert [(p.paper_id, p.title, p.authors, str(p.published)) for p in papers] == expected
    assert [e.reason for e in entries if isinstance(e, Skipped)] == skipped
    assert {p.sources for p in papers} == {("csv",)}
    assert all("hum" in p.abstract or "moths" in p.abstract for p in papers)


def test_the_shared_tables_are_read(shared: Path) -> None:
    """Zotero's and Scopus's small files."""
    found = []
    for name in ("c01_zotero.csv", "c02_scopus.csv"):
        with open_feed(shared / "data/real_inputs" / name) as feed:
            found += [(e.paper_id, e.title, e.authors) for e in feed.records if isinstance(e, Paper)]
    assert found == [
        ("doi:10.1000/csv1", "A study of lanterns", ADA_AND_BO),
        ("doi:10.1000/csv2", "A second study", ("Bo Ten",)),
        ("doi:10.1000/csv1", "A study of lanterns", ("Vex A.", "Ten B.")),
    ]


def test_quotes_line_breaks_and_marks_are_as_written(tmp_path: Path) -> None:
    """Doubled quotes, line breaks in a cell, a byte order mark and CRLF."""
    text = f'\ufeff"Title","Abstract"\r\n"The ""hum""","{ABSTRACT}\r\n\r\nIt is ""loud""."\r\n'
    (paper,) = read(tmp_path / "a.csv", text)
    assert isinstance(paper, Paper)
    assert (paper.title, paper.abstract) == ('The "hum"', f'{ABSTRACT} It is "loud".')


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_recognized_by_the_header(delimiter: str, parse: Parse) -> None:
    """Other delimiters inside of cells do no harm, and the columns may be in any order and case."""
    header = ["ABSTRACT", "a; b, c", "authors", "Paper_Title", "doi"]
    text = rows(
        header,
        [ABSTRACT, "1; 2, 3", "Vex, Ada; Ten, Bo", "One, two; three", "10.1000/A"],
        delimiter=delimiter,
    )
    papers, skipped = parse(text)
    assert [(p.title, p.authors, p.doi) for p in papers] == [("One, two; three", ADA_AND_BO, "10.1000/a")]
    assert not skipped


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Vex, Ada; Ten, Bo", ADA_AND_BO),
        ("Vex, Ada and Ten, Bo", ADA_AND_BO),
        ("Ada Vex and Bo Ten", ADA_AND_BO),
        ("Ada Vex, Bo Ten", ADA_AND_BO),
        ("Ada Vex, Bo Ten, and Cleo Moth", (*ADA_AND_BO, "Cleo Moth")),
        ("Vex A., Ten B.", ("Vex A.", "Ten B.")),
        ("Vex, A., Ten, B. C.", ("A. Vex", "B. C. Ten")),
        ("Vex, Ada", ("Ada Vex",)),
        ("van der Vex, Ada Cleo", ("Ada Cleo van der Vex",)),
        ("Ten, Jr., Bo; Vex, Ada", ("Bo Ten Jr.", "Ada Vex")),
        ("Ada Vex; Bo Ten; et al.", ADA_AND_BO),
        ("Ada Vex|Bo Ten", ADA_AND_BO),
        ("Ada Vex\nBo Ten", ADA_AND_BO),
        ("['Ada Vex', 'Bo Ten']", ADA_AND_BO),
        ("[{'authorId': '1', 'name': 'Ada Vex'}, {'authorId': '2', 'name': 'Bo Ten'}]", ADA_AND_BO),
        ("The Lantern Group", ("The Lantern Group",)),
        ("[No author name available]", ()),
        ("", ()),
    ],
)
def test_authors_are_split_as_each_program_joins_them(
    cell: str, names: tuple[str, ...], parse: Parse
) -> None:
    """Semicolons first, then bars, "and" and commas."""
    papers, _ = parse(rows(["Title", "Authors", "Abstract"], ["One", cell, ABSTRACT]))
    assert papers[0].authors == names


def test_commas_are_inside_names_where_the_column_has_semicolons(parse: Parse) -> None:
    """The only author of one row has a name of several words."""
    header = ["Title", "Author", "Abstract"]
    papers, _ = parse(
        rows(header, ["One", "Ten Berg, Bo Carl", ABSTRACT], ["Two", "Vex, Ada; Ten, Bo", ABSTRACT])
    )
    assert [p.authors for p in papers] == [("Bo Carl Ten Berg",), ADA_AND_BO]


def test_a_stray_quote_costs_its_record(tmp_path: Path) -> None:
    """The rows after it are read."""
    good = f'Title,Abstract\nOne,"{ABSTRACT}"\n'
    text = good + f'Two,"{ABSTRACT}\n"Three","{ABSTRACT}"\nA 5" lamp,{ABSTRACT[:30]}\n'
    entries = read(tmp_path / "a.csv", text)
    assert [e.title if isinstance(e, Paper) else e.where for e in entries] == [
        "One",
        "line 3",
        "Three",
        'A 5" lamp',
    ]


def test_the_pieces_of_a_broken_record_are_no_papers(tmp_path: Path) -> None:
    """A quote inside of an abstract with line breaks: what follows it is skipped up to the next full row."""
    broken = f'"One","{ABSTRACT} A 5" lamp.\nA title,"An abstract of some length."\nend",2013\n'
    text = f"Title,Abstract,Year\n{broken}Two,{ABSTRACT[:31]},2014\n"
    entries = read(tmp_path / "a.csv", text)
    assert [e.title for e in entries if isinstance(e, Paper)] == ["Two"]
    assert {e.reason for e in entries if isinstance(e, Skipped)} == {"broken row of a table"}


def test_ragged_rows(tmp_path: Path) -> None:
    """Empty cells at the end may be missing or too many; a row with more texts than columns is skipped."""
    short = ABSTRACT[:30]
    text = f"Title,Abstract,Year\nOne,{short}\nTwo,{short},2014,,\nThree, unquoted,{short},2013\n\n"
    entries = read(tmp_path / "a.csv", text)
    assert [e.title if isinstance(e, Paper) else e.reason for e in entries] == [
        "One",
        "Two",
        "more cells than columns",
    ]


def test_web_of_science_does_not_quote_cells(tmp_path: Path) -> None:
    """An abstract that begins with a quotation, or that has an odd number of quotes, is read."""
    text = (
        f'TI\tAB\tPY\tDI\nOne\t"Hum" is a word. {ABSTRACT}\t2013\t\nTwo\t"{ABSTRACT}\t2014\t\n'
        f'"Three"\t"A ""b"" c. {ABSTRACT}"\t2015\t\n'
    )
    papers = [e for e in read(tmp_path / "savedrecs.txt", text) if isinstance(e, Paper)]
    assert [(p.title, p.abstract[:8]) for p in papers] == [
        ("One", '"Hum" is'),
        ("Two", '"We meas'),
        ("Three", 'A "b" c.'),
    ]


@pytest.mark.parametrize(
    ("cells", "day", "flags"),
    [
        ({"Date": "2013-04-01", "Year": "2013"}, "2013-04-01", ()),
        ({"Date": "n.d.", "Year": "2013"}, "2013-01-01", ("partial-date",)),
        ({"Date": "APR 15", "Year": "2013"}, "2013-04-15", ()),
        ({"Publication Date": "Apr-13", "Year": "2013.0"}, "2013-01-01", ("partial-date",)),
        ({"Published Year": "2013", "Published Month": "April"}, "2013-04-01", ("partial-date",)),
        ({"Date": "2013-04-01 00:00:00"}, "2013-04-01", ()),
        ({"Date": "2013-99-99"}, "None", ("bad-date",)),
        ({}, "None", ()),
    ],
)
def test_dates(cells: dict[str, str], day: str, flags: tuple[str, ...], parse: Parse) -> None:
    """The first date that can be read, else the year with its month."""
    papers, _ = parse(rows(["Title", "Abstract", *cells], ["One", ABSTRACT, *cells.values()]))
    assert (str(papers[0].published), papers[0].flags) == (day, flags)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "uuid,email,name\n1,a@example.org,Ada\n",
            "a column for the title and the abstract (columns: uuid, email, name)",
        ),
        ("Title,Year\nOne,2013\n", "a column for the abstract (columns: Title, Year); export it with"),
        ("Abstract;Year\nOne;2013\n", "a column for the title (columns: Abstract, Year)"),
        (
            "PMID,Title,Authors,Journal/Book,Publication Year\n1,One,Vex A,J,2013\n",
            "Title, Authors, Journal/Book, Publication Year); save it from PubMed in the format PubMed",
        ),
        ("Title,Summary,Status\nFix it,The lamp does not burn.,open\n", "a column for the abstract"),
        ("Title,Abstract\n", "a table (CSV, TSV) without a record"),
        (
            "One\n\n" + ABSTRACT * 9 + "\n\nTwo\n\n" + ABSTRACT * 9 + "\n\nThree\n\n" + ABSTRACT * 9,
            "a table without",
        ),
        ('"', "a table without"),
    ],
)
def test_other_tables_are_refused_with_their_columns(text: str, why: str, tmp_path: Path) -> None:
    """A file that is named like a table is never read as another format."""
    message = refusal(tmp_path / "x.csv", text)
    assert why in message
    assert message.startswith(f"{tmp_path}/x.csv: a table ")


@pytest.mark.parametrize(
    "text",
    [
        "Title, Abstract\n\nThe columns above are what the table must have, and nothing else.\n",
        "title,abstract\nTo do\nBuy lamp oil\nAsk Bo\n",
        "email,name\na@example.org,Ada\n",
    ],
)
def test_text_is_a_table_only_if_its_rows_have_the_width_of_the_header(text: str, parse: Parse) -> None:
    """Without a name, a header alone is not enough."""
    with pytest.raises(FeedError, match="text of no known format"):
        parse(text)


def test_a_cell_with_bibtex_makes_no_bibtex_file(tmp_path: Path) -> None:
    """The header comes first."""
    text = rows(["Title", "Abstract", "BibTeX"], ["One", ABSTRACT, "\n@misc{a, title={X},\n abstract={Y}}"])
    (paper,) = read(tmp_path / "a.csv", text)
    assert isinstance(paper, Paper)
    assert (paper.title, paper.sources) == ("One", ("csv",))


def test_the_format_can_be_given(tmp_path: Path) -> None:
    """``--format csv`` reads a table of any name, and refuses other text with the columns."""
    path = tmp_path / "list.dat"
    path.write_text(rows(["Title", "Abstract"], ["One", ABSTRACT]))
    with open_feed(path, format="csv") as feed:
        assert len(list(feed.records)) == 1
    path.write_text("some text\n")
    with pytest.raises(FeedError, match=r"list.dat: a table without .* \(columns: some text\)"):
        open_feed(path, format="csv")


@pytest.mark.parametrize(
    "line", ['x","""\n', '"""\n', 'a"",""",\n', "," * 3000 + "\n", '"x\n', "x\n", '\t"a\n', '""""\n', ';"\n']
)
def test_time_grows_with_the_length(line: str, tmp_path: Path) -> None:
    """No pattern of quotes makes reading slow."""
    path = tmp_path / "a.csv"
    start = time.process_time()
    try:
        read(path, "Title,Abstract\nOne," + ABSTRACT[:30] + "\n" + line * (200_000 // len(line)))
    except FeedError as error:
        assert "too many broken rows" in str(error) or "more than 100,000 entries" in str(error)  # noqa: PT017
    assert time.process_time() - start < 6


CELLS = st.text('a",;\t\n\r |=é\u2028', max_size=20)


@given(st.lists(CELLS, min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_what_a_program_writes_is_read_back(cells: list[str], delimiter: str) -> None:
    """Any text in another column changes no title."""
    from paperagent.feeds.formats import table

    text = rows(
        ["Title", "Note", "Abstract"], *(["One", cell, ABSTRACT] for cell in cells), delimiter=delimiter
    )
    entries = list(table.parse(text, "x"))
    assert [(e.title, e.abstract) for e in entries if isinstance(e, Paper)] == [("One", ABSTRACT)] * len(
        cells
    )


def test_a_retraction_is_marked(parse: Parse) -> None:
    """By the title, or by the type of document."""
    text = rows(["Title", "Abstract", "Document Type"], ["One", ABSTRACT, "Retracted Publication"])
    papers, _ = parse(text)
    assert (papers[0].withdrawn, papers[0].flags, papers[0].published) == (True, ("retracted",), None)


def test_the_day_of_the_feed_dates_a_table(tmp_path: Path) -> None:
    """As for every format without dates."""
    path = tmp_path / "a.tsv"
    path.write_text(rows(["Title", "Abstract"], ["One", ABSTRACT], delimiter="\t"))
    with open_feed(path, date=dt.date(2026, 6, 30)) as feed:
        (paper,) = feed.records
    assert isinstance(paper, Paper)
    assert paper.listed == dt.date(2026, 6, 30)


# --- Excel ---


def workbook(*sheets: list[list[object]]) -> bytes:
    """Return an Excel file with these sheets."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for rows_of_sheet in sheets:
        sheet = book.create_sheet()
        for cells in rows_of_sheet:
            sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


PAPERS = [
    ["Papers to read"],
    ["Title", "Authors", "Abstract", "Publication Date", "Year", "PMID"],
    [
        "One",
        "Vex, Ada; Ten, Bo",
        ABSTRACT,
        dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC).replace(tzinfo=None),
        2013,
        23456789,
    ],
    ["Two", None, f"{ABSTRACT}\nIt is loud.", None, 2014.0, None],
    [None, None, None, None, None, None],
    ["Three", None, None, None, None, None],
]


def test_the_first_sheet_with_the_header_is_read(tmp_path: Path) -> None:
    """Numbers, days and line breaks are as in a CSV file."""
    entries = read(tmp_path / "a.xlsx", workbook([["Name", "Oil"], ["one", 3]], PAPERS))
    papers = [
        (e.paper_id[:13], e.title, e.authors, str(e.published)) for e in entries if isinstance(e, Paper)
    ]
    assert papers[0] == ("pmid:23456789", "One", ADA_AND_BO, "2013-04-01")
    assert papers[1][1:] == ("Two", (), "2014-01-01")
    assert [(e.where, e.reason) for e in entries if isinstance(e, Skipped)] == [("line 6", "no abstract")]
    assert {e.sources for e in entries if isinstance(e, Paper)} == {("xlsx",)}


def test_an_excel_file_is_recognized_by_its_content(parse: Parse) -> None:
    """From standard input, too."""
    papers, _ = parse(workbook(PAPERS))
    assert [p.title for p in papers] == ["One", "Two"]


def test_other_excel_files_are_refused(tmp_path: Path) -> None:
    """Without the columns, damaged, too large, or no Excel file at all."""
    assert "no sheet has columns for title and abstract" in refusal(tmp_path / "a.xlsx", workbook([["Name"]]))
    data = workbook(PAPERS)
    assert "damaged Excel file" in refusal(tmp_path / "a.xlsx", data[: len(data) // 2])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        for n in range(3):
            bomb.writestr(f"xl/worksheets/sheet{n}.xml", bytes(80_000_000))
    assert "larger than the limit of 200 MB" in refusal(tmp_path / "a.xlsx", out.getvalue())
    assert "text of no known format" not in refusal(tmp_path / "a.xlsx", b"PK\x03\x04rest")


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    data = workbook(PAPERS)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert "pip install 'paperagent[excel]', or save it as CSV" in refusal(tmp_path / "a.xlsx", data)


def test_damage_to_an_excel_file_does_no_harm() -> None:
    """It is read or refused, and nothing else is raised."""
    data = workbook(PAPERS)
    for seed in range(60):
        assert fault(mutate(data, Random(seed)), "a.xlsx") is None  # noqa: S311 - repeatable
