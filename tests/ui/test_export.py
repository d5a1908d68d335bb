"""Export formats: complete, escaped, and written atomically."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_agent import PAPERS, SINGLE
from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.types import Claim, Paper
from paperagent.ui.export import (
    FORMATS,
    bibtex,
    cited_quotes,
    jsonl,
    latex,
    markdown,
    note,
    note_file_name,
    one_line,
    ris,
    write,
    write_notes,
)

DAY = dt.date(2026, 3, 1)
NASTY = replace(
    PAPERS[0],
    title="50% of R&D_costs {so} ~much^2 $x$ #1 <b> \\o/",
    authors=("Müller, Jörg", "Research and Development", "Eve\r\nER  - "),
    abstract="One.\r\nER  - \r\nTY  - JOUR\u2028Two.\x85Three.\x1b[31m",
)


def test_bibtex_entry() -> None:
    assert next(bibtex(PAPERS)) == (
        "@misc{example2026sparse,\n"
        "  title = {{Sparse Lanterns: Retrieval at Night}},\n"
        "  author = {Ada Example and Bo Sample},\n"
        "  year = {2026},\n  month = {1},\n  eprint = {2601.00001},\n  archiveprefix = {arXiv},\n"
        "  primaryclass = {cs.IR},\n  url = {https://arxiv.org/abs/2601.00001},\n"
        "  abstract = {We study lanterns. Sparse lanterns find papers 12\\% faster. "
        "The code is public.},\n}\n\n"
    )


@pytest.mark.parametrize(
    ("fields", "bib", "ris_tags", "properties"),
    [
        ({}, "year month", "PY  - 2026\r\nDA  - 2026/01/05", "published"),
        ({"published": None, "listed": DAY}, "", "", "listed"),
        ({"published": None, "first_seen": DAY}, "", "", ""),
        ({"flags": ("partial-date",)}, "year", "PY  - 2026\r\n", "published"),
        (
            {"flags": ("partial-date",), "published": DAY},
            "year month",
            "PY  - 2026\r\nDA  - 2026/03//",
            "published",
        ),
    ],
    ids=["published", "only listed", "only read", "a year", "a month"],
)
def test_only_what_is_known_of_the_date_of_publication_is_exported(
    fields: dict[str, Any], bib: str, ris_tags: str, properties: str
) -> None:
    paper = replace(PAPERS[0], **fields)
    entry, record, text = next(bibtex([paper])), next(ris([paper])), note(paper)
    assert re.findall(r"  (year|month) = ", entry) == bib.split()
    assert entry.startswith(f"@misc{{example{'2026' if bib else ''}sparse,")
    assert ris_tags in record
    assert ("DA  - " in record, "PY  - " in record) == ("DA" in ris_tags, "PY" in ris_tags)
    assert re.findall(r"^(published|listed): ", text, re.MULTILINE) == properties.split()


def test_bibtex_escapes() -> None:
    """Special characters are escaped, names that contain "and" stay one name, a field is one line."""
    entry = next(bibtex([NASTY]))
    assert latex(NASTY.title) == (
        r"50\% of R\&D\_costs \textbraceleft{}so\textbraceright{} "
        r"\textasciitilde{}much\textasciicircum{}2 \$x\$ \#1 \textless{}b\textgreater{} \textbackslash{}o/"
    )
    assert (
        r"title = {{50\% of R\&D\_costs so \textasciitilde{}much\textasciicircum{}2 x \#1 "
        r"\textless{}b\textgreater{} ø/}}"
    ) in entry
    assert "author = {Müller, Jörg and {Research and Development} and Eve ER -}" in entry
    assert len(entry.splitlines()) == len(next(bibtex(PAPERS)).splitlines())


def test_exports_for_people_are_readable() -> None:
    """All but JSON Lines, which `ingest` reads back without loss."""
    paper = replace(
        PAPERS[0], title="\\textbf{L}anterns at 38\\%", abstract="It takes $10^{-3}$ s &amp; more."
    )
    for export in (bibtex, ris, markdown, lambda papers: [note(p, quotes=[p.abstract]) for p in papers]):
        text = "".join(export([paper])).replace("\\", "")
        assert "Lanterns at 38%" in text
        assert "10⁻³ s & more" in text
        assert "textbf" not in text
    assert "textbf" in "".join(jsonl([paper]))


def test_bibtex_keys_are_unique() -> None:
    """Papers with the same author, year and word get different ASCII keys."""
    papers = [
        PAPERS[0],
        PAPERS[0],
        NASTY,
        Paper("x", "!!", "A."),
        Paper("y", "日本", "A."),
        Paper("z", "日本", "A."),
    ]
    keys = [entry.partition("{")[2].partition(",")[0] for entry in bibtex(papers)]
    assert keys == [
        "example2026sparse",
        "example2026sparse-2",
        "muller202650",
        "paper",
        "paper-2",
        "paper-3",
    ]


def test_bibtex_keys_are_short(tmp_path: Path) -> None:
    """Our own parser accepts the entry, however long a name or a word is."""
    long = replace(PAPERS[0], title="x" * 400, authors=("y" * 400,))
    entry = next(bibtex([long]))
    assert entry.startswith(f"@misc{{{'y' * 40}2026{'x' * 40},\n")
    path = tmp_path / "long.bib"
    write(path, [entry])
    with open_feed(path) as feed:
        assert [getattr(r, "title", r) for r in feed.records] == [long.title]


@given(st.text())
def test_latex_braces_always_balance(text: str) -> None:
    """A field can never end early, and every special character is escaped."""
    escaped = latex(text)
    depth = 0
    for char in escaped:
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0
    assert "\n" not in escaped


def test_ris_record() -> None:
    """Each tag is on one line, and no value can start a new tag."""
    text = "".join(ris([PAPERS[0], NASTY]))
    records = text.split("ER  - \r\n\r\n")
    assert len(records) == 3
    assert records[0].split("\r\n")[:6] == [
        "TY  - GEN", "ID  - 2601.00001", "TI  - Sparse Lanterns: Retrieval at Night", "AU  - Ada Example",
        "AU  - Bo Sample", "PY  - 2026",
    ]  # fmt: skip
    assert records[1].count("\r\n") == records[0].count("\r\n") + 1  # one author more
    assert "AB  - One. ER - TY - JOUR Two. Three. [31m" in records[1]


@given(st.text())
def test_one_line_has_no_line_breaks(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_markdown_section() -> None:
    assert next(markdown(PAPERS)) == (
        "## Sparse Lanterns: Retrieval at Night\n\n"
        "Ada Example, Bo Sample · 2026-01-05 · 2601.00001 · <https://arxiv.org/abs/2601.00001>\n\n"
        "We study lanterns. Sparse lanterns find papers 12% faster. The code is public.\n\n"
    )


def test_jsonl_round_trip(tmp_path: Path) -> None:
    """Ingest reads the same papers that export writes."""
    papers = [replace(p, listed=dt.date(2026, 3, 1), upvotes=3) for p in PAPERS]
    path = tmp_path / "papers.jsonl"
    write(path, jsonl(papers))
    with open_feed(path) as feed:
        assert list(feed.records) == papers


def test_every_format_accepts_a_minimal_paper() -> None:
    """Title and abstract are enough."""
    for form in FORMATS.values():
        assert "".join(form([Paper("sha256:0", "T", "A.")]))


def test_cited_quotes(tmp_path: Path) -> None:
    """An answer saved by ask --json lists its papers once each, in order."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(SINGLE.to_dict()), encoding="utf-8")
    assert list(cited_quotes(path)) == ["2601.00001"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"citations": [1]}', '{"citations": [{"paper_id": 3}]}', "[" * 100_000, "\udcff"],
)
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FeedError, match="not an answer; give a file written by 'ask --json'"):
        cited_quotes(path)


def test_missing_answer_file(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"none\.json: cannot be read: No such file"):
        cited_quotes(tmp_path / "none.json")


def test_a_written_file_has_the_default_mode(tmp_path: Path) -> None:
    os.umask(mask := os.umask(0))
    write(tmp_path / "x", ["a"])
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~mask


def test_a_failed_export_keeps_the_old_file(tmp_path: Path) -> None:
    """No other file is left behind."""
    path = tmp_path / "x"
    path.write_text("old", encoding="utf-8")

    def chunks() -> object:
        yield "new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(path, chunks(), force=True)  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_format_marks_withdrawn_papers() -> None:
    withdrawn = replace(PAPERS[0], withdrawn=True)
    retracted = replace(withdrawn, flags=("retracted",))
    for write_all in (bibtex, ris, markdown):
        assert "withdrawn" in next(write_all([withdrawn]))
        assert "retracted" in next(write_all([retracted]))
    assert "This paper was retracted." in note(retracted)


def test_notes_are_one_file_per_paper(tmp_path: Path) -> None:
    """Properties are YAML, abstract and quotes are escaped Markdown, names fit any file system."""
    folder = tmp_path / "vault"
    written, kept = write_notes(folder, [*PAPERS, NASTY], quotes={PAPERS[0].paper_id: ["A quote."]})
    assert (written, kept) == (len(PAPERS) + 1, 0)
    assert len(list(folder.iterdir())) == written
    text = (folder / note_file_name(PAPERS[0])).read_text(encoding="utf-8")
    assert text.startswith('---\ntitle: "Sparse Lanterns: Retrieval at Night"\nauthors: ["Ada Example"')
    assert "## Quotes\n\n> A quote." in text


def test_existing_notes_are_kept(tmp_path: Path) -> None:
    """Unless --force is given."""
    write_notes(tmp_path, PAPERS[:1])
    path = tmp_path / note_file_name(PAPERS[0])
    path.write_text("my thoughts", encoding="utf-8")
    assert write_notes(tmp_path, PAPERS[:1]) == (0, 1)
    assert path.read_text(encoding="utf-8") == "my thoughts"
    assert write_notes(tmp_path, PAPERS[:1], force=True) == (1, 0)


@pytest.mark.parametrize("char", ["\ufffe", "\uffff", "\ufdd0", "\U0010ffff"])
def test_notes_contain_no_noncharacters(char: str) -> None:
    """YAML forbids them, and its parsers refuse the whole note."""
    paper = replace(PAPERS[0], title=f"Owls{char} and lamps", authors=(f"A{char}",))
    text = note(paper)
    assert char not in text
    assert text.startswith('---\ntitle: "Owls and lamps"\nauthors: ["A"]\n')


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("%%gone%% here", r"\%\%gone\%\% here"),
        ("for #tag and C# too", r"for \#tag and C# too"),
        ("#tag first", r"\#tag first"),
        ("# not a heading", r"\# not a heading"),
        ("a ==bright== word, x = 1", r"a \=\=bright\=\= word, x = 1"),
        ("costs $5 to $10", r"costs \$5 to \$10"),
        (r"costs \$5 to \$10", r"costs \$5 to \$10"),
        ("<% tp.system %> and 12% more", r"\<\% tp.system \%> and 12% more"),
        ("the end ^name", r"the end \^name"),
        ("[[link]] ![[embed]] [^1]", r"\[\[link\]\] !\[\[embed\]\] \[^1\]"),
    ],
)
def test_obsidian_markup_is_escaped(text: str, escaped: str) -> None:
    """No text of a paper is hidden, tagged, rendered as mathematics or executed."""
    paper = replace(PAPERS[0], title=text, abstract=text)
    body = note(paper, quotes=[text]).split("\n---\n")[1]
    assert body == f"\n# {escaped}\n\n## Abstract\n\n{escaped}\n\n## Quotes\n\n> {escaped}\n"


def test_a_note_quotes_what_an_unverified_claim_cites(tmp_path: Path) -> None:
    """The sentence goes into the note of its paper; the model's wording, which may be wrong, does not."""
    answer = replace(SINGLE, claims=(Claim("Lamps are nice.", (1,), "unverified"),))
    saved = tmp_path / "answer.json"
    saved.write_text(json.dumps(answer.to_dict()), encoding="utf-8")
    body = note(PAPERS[0], quotes=cited_quotes(saved)[PAPERS[0].paper_id])
    assert body.endswith("## Quotes\n\n> Sparse lanterns find papers 12% faster.\n")
    assert "Lamps" not in body


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_title_escapes_its_note(title: str, author: str) -> None:
    """Properties are one line each, and the title is a single file name."""
    paper = Paper("x", title, "An abstract.", authors=(author,))
    head = note(paper).split("\n---\n")[0].splitlines()
    assert all(re.match(r'[a-z_]+: ["\[]', line) for line in head[1:])
    assert Path(note_file_name(paper)).name == note_file_name(paper)
    assert len(note_file_name(paper).encode()) < 256
