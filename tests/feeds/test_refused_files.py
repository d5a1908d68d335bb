"""Files that are no feeds: each is refused by its name, and none is taken for a page of papers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from not_feeds import HEADERLESS_PAGES, OTHER_TEXTS

from paperagent.errors import FeedError
from paperagent.feeds.formats import FORMATS, SUFFIXES, Kind
from paperagent.feeds.reader import open_feed, sample_path
from paperagent.types import Paper
from paths import SHARED

ABSTRACT = "We measure how lanterns hum in still air, and report 40 of them."


MHTML = "From: <Saved by a browser>\nSubject: A page\nMIME-Version: 1.0\nContent-Type: multipart/related\n\nA"


def refusal(path: Path, content: bytes | str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(FeedError) as caught, open_feed(path) as feed:
        list(feed.records)
    return str(caught.value)


def archive(*members: str, first: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        if first:
            packed.writestr("mimetype", first)
        for name in members:
            packed.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_other_text_is_no_page_of_papers(name: str, tmp_path: Path) -> None:
    """Notes, minutes, chapters, mails, logs and tables give no paper, under any name without a format."""
    for suffix in (".txt", ""):
        assert "not a feed: " in refusal(tmp_path / f"file{suffix}", OTHER_TEXTS[name])


@pytest.mark.parametrize("number", range(len(HEADERLESS_PAGES)))
def test_a_page_without_its_header_is_read(number: int, tmp_path: Path) -> None:
    """Titles and abstracts of any field."""
    path = tmp_path / "page.txt"
    path.write_text("\n\n".join(part for pair in HEADERLESS_PAGES[number] for part in pair))
    with open_feed(path) as feed:
        papers = [(e.title, e.abstract) for e in feed.records if isinstance(e, Paper)]
    assert papers == HEADERLESS_PAGES[number]


def test_the_sample_feed_is_read_without_its_header(tmp_path: Path) -> None:
    """Its 32 papers."""
    text = sample_path().read_text(encoding="utf-8")
    path = tmp_path / "page.txt"
    path.write_text(text[text.index("Tindersift:") :], encoding="utf-8")
    with open_feed(path) as feed:
        assert sum(isinstance(e, Paper) for e in feed.records) == 32


@pytest.mark.parametrize(("name", "count"), [("daily-papers-1.txt", 72), ("daily-papers-2.txt", 89)])
def test_the_seeds_are_read_without_their_headers(
    name: str, count: int, shared: Path, tmp_path: Path
) -> None:
    """All papers of both pages."""
    lines = (SHARED / "seeds" / name).read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if line.startswith("by")) + 1
    path = tmp_path / "page.txt"
    path.write_text("".join(lines[start:]), encoding="utf-8")
    with open_feed(path) as feed:
        assert sum(isinstance(e, Paper) for e in feed.records) == count


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.pdf", b"%PDF-1.7", "PDF; export the papers as RIS, BibTeX or CSV"),
        ("a.docx", archive("[Content_Types].xml", "word/document.xml"), "a Word document; export the papers"),
        ("a.pptx", archive("ppt/presentation.xml"), "a PowerPoint presentation; export"),
        ("a.epub", archive("x", first=b"application/epub+zip"), "an EPUB book; export"),
        ("a.odt", archive("x", first=b"application/vnd.oasis.opendocument.text"), "an ODT document; export"),
        ("a.zip", archive("feed.xml"), "a zip archive; unpack it"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Office document; save it as CSV or XLSX"),
        ("zotero.sqlite", b"SQLite format 3\0", "SQLite; export the library from the program"),
        ("a.parquet", b"PAR1\x15\0", "Parquet; save it as CSV or JSON lines"),
        ("a.mrc", b"00714cam a2200205 a 4500001001300000", "MARC; export the records as RIS or BibTeX"),
        ("a.ipynb", '{"cells": [{"cell_type": "markdown"}], "nbformat": 4}', "a Jupyter notebook; export"),
        ("a.mhtml", MHTML, "a saved web page; save the page as text"),
        ("a.eml", "From: a@example.org\nTo: b@example.org\nSubject: Lanterns\n\nSee you.", "an email; give"),
        ("a", "From a@example.org Mon\nFrom: a@example.org\nTo: b@example.org\n\nSee you.", "an email; give"),
        ("a.tex", "\\documentclass{article}\n\\begin{document}\nLanterns\n", "LaTeX; give its .bib file"),
        ("a.txt", "% notes\n\\documentclass{article}\n", "LaTeX; give its .bib file"),
        ("My.enl", "some text", "an EndNote library; export it from EndNote as RIS or XML"),
    ],
)  # fmt: skip
def test_known_files_are_refused_by_name(name: str, content: bytes | str, why: str, tmp_path: Path) -> None:
    """With what to do instead."""
    assert f"not a feed: looks like {why}" in refusal(tmp_path / name, content)


WRONG = {
    "prose": "Lanterns hum in the evening. Nobody knows why.\n",
    "headerless page": "\n\n".join(part for pair in HEADERLESS_PAGES[0] for part in pair),
    "mail": "From: a@example.org\nTo: b@example.org\nSubject: Lanterns\n\nSee you.",
}


@pytest.mark.parametrize("content", WRONG)
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_suffix_that_promises_a_format_is_never_guessed_to_be_another(
    suffix: str, content: str, tmp_path: Path
) -> None:
    """Text without the signature of the format is refused."""
    assert refusal(tmp_path / f"a{suffix}", WRONG[content]).startswith(f"{tmp_path}/a{suffix}: ")


def test_every_format_names_what_it_is_not(tmp_path: Path) -> None:
    """A text that is read as a format by force is refused or gives skipped records, never a paper."""
    path = tmp_path / "a.txt"
    path.write_text(WRONG["prose"])
    for each in FORMATS.values():
        if each.name == "daily-papers":
            continue
        try:
            with open_feed(path, format=each.name) as feed:
                assert not any(isinstance(e, Paper) for e in feed.records), each.name
        except FeedError as error:
            assert each.kind in Kind
            assert "\n" not in str(error)  # noqa: PT017


# --- encodings ---

BIB = "@misc{a, title={Schütte’s lanterns}, abstract={%s}}\n" % ABSTRACT  # noqa: UP031 - has braces


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ("% Encoding: Cp1252\n", "cp1252"),
        ("% Encoding: windows-1252\n", "cp1252"),
        ("% Encoding: ISO8859_1\n", "cp1252"),
        ('<meta charset="iso-8859-15">\n', "iso8859-15"),
        ("% Encoding: MacRoman\n", "mac-roman"),
    ],
)
def test_a_declared_encoding_is_read(declaration: str, encoding: str, tmp_path: Path) -> None:
    """Programs that do not write UTF-8 say so in the first lines."""
    path = tmp_path / "a.txt"
    path.write_bytes(
        (declaration + BIB).replace("’", "'" if encoding == "iso8859-15" else "’").encode(encoding)
    )
    with open_feed(path, format="bibtex") as feed:
        (paper,) = feed.records
    assert isinstance(paper, Paper)
    assert paper.title.replace("'", "’") == "Schütte’s lanterns"


def test_an_encoding_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    """With the byte and what to do."""
    message = refusal(tmp_path / "a.bib", BIB.encode("cp1252"))
    assert "not UTF-8 text (byte 0xfc at offset 19); save it as UTF-8" in message
    assert "save it as UTF-8" in refusal(
        tmp_path / "b.bib", ("% Encoding: Shift_JIS\n" + BIB).encode("cp1252")
    )


def test_control_characters_of_windows_become_what_they_mean(tmp_path: Path) -> None:
    """UTF-8 that was made from windows-1252 as if it were Latin-1."""
    path = tmp_path / "a.bib"
    path.write_text(BIB.replace("’", "\x92"), encoding="utf-8")
    with open_feed(path) as feed:
        (paper,) = feed.records
    assert isinstance(paper, Paper)
    assert (paper.title, paper.flags) == ("Schütte’s lanterns", ())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (
            "RT Journal Article\nSR Electronic\nT1 Lanterns\nAB We light lanterns.\n",
            "RefWorks text",
        ),
        ("Record #1 of 2\nID: CN-1\nTI: Lanterns\n", "text of the Cochrane Library"),
        ("<1>\nUnique Identifier\n  123\nTitle\n  Lanterns\n", "text of Ovid"),
        ("1. J Lant. 2024;1(2):3-4. doi: 10.5555/x.\n\nLanterns.\n\nVex A.\n", "a text or summary of PubMed"),
    ],
)
def test_texts_of_databases_are_named(tmp_path: Path, content: str, name: str) -> None:
    """The error names the format and the one to export instead."""
    path = tmp_path / "export.txt"
    path.write_text(content)
    with pytest.raises(FeedError, match=f"{name}; (export|save)"):
        open_feed(path)


@pytest.mark.parametrize(
    ("name", "sample", "title"),
    [
        ("ris", "pubmed.nbib", "MEDLINE"),
        ("bibtex", "zotero.csv", "a table"),
        ("ris", "pubmed.xml", "XML"),
        ("endnote-xml", "pubmed.xml", "PubMed XML"),
        ("csv", "csl.json", "JSON"),
    ],
)
def test_a_chosen_format_does_not_overrule_a_signature(name: str, sample: str, title: str) -> None:
    """A file of another format is not read as the chosen one."""
    with pytest.raises(FeedError, match=f"looks like {title}.*leave out --format"):
        open_feed(Path(__file__).with_name("samples") / sample, format=name)
