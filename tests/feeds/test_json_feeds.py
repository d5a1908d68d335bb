"""The JSON feeds: Daily Papers, arXiv's snapshot, daily arXiv lines; and what strict JSON refuses."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

ABSTRACT = "We study a question of some length and answer it in part."
INNER = {
    "id": "2503.11731",
    "title": "A title\nin two lines",
    "summary": ABSTRACT,
    "authors": [{"name": "Ann Author", "hidden": False}, {"_id": "x"}, {"name": "Bo Writer"}],
    "publishedAt": "2025-03-14T10:00:00.000Z",
    "submittedOnDailyAt": "2025-03-18T01:00:00.000Z",
    "upvotes": 12,
}
LINE = {
    "id": "2503.11731",
    "title": "A title",
    "abstract": ABSTRACT,
    "authors": ["Ann Author"],
    "date": "2025-03-18",
}
SNAPSHOT = {
    "id": "0704.0001",
    "submitter": "Someone",
    "authors": "A. Author, B. de Writer and C. Third",
    "title": "A title\n  in two lines",
    "comments": "37 pages",
    "journal-ref": None,
    "doi": "10.1103/PhysRevD.76.013009",
    "categories": "hep-ph cs.CL",
    "abstract": "  We study a question of\nsome length.\n",
    "versions": [
        {"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"},
        {"version": "v2", "created": "Tue, 24 Jul 2007 20:10:27 GMT"},
    ],
    "update_date": "2008-11-26",
    "authors_parsed": [["Author", "A.", ""], ["de Writer", "B.", "Jr."], ["Third", "C.", ""]],
}


@pytest.mark.parametrize(
    "document",
    [
        [{"paper": INNER, "title": "outer", "publishedAt": "2025-03-17T00:00:00Z"}],
        [INNER],
        INNER,
        {"paper": INNER},
        {"dailyPapers": [{"paper": INNER}]},
        [{"paper": {k: v for k, v in INNER.items() if k != "title"}, "title": INNER["title"]}],
    ],
    ids=["nested", "flat", "one", "one-nested", "enclosed", "mixed"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_daily_papers_json_is_read_in_every_nesting(document: Any, indent: int | None, parse: Parse) -> None:
    """The day it was submitted to the page, not the day of publication, is when it was listed."""
    papers, skipped = parse(json.dumps(document, indent=indent))
    assert not skipped
    assert papers == [
        Paper(
            paper_id="2503.11731",
            title="A title in two lines",
            abstract=ABSTRACT,
            authors=("Ann Author", "Bo Writer"),
            published=dt.date(2025, 3, 14),
            listed=dt.date(2025, 3, 18),
            url="https://arxiv.org/abs/2503.11731",
            arxiv_id="2503.11731",
            sources=("hf-daily",),
            upvotes=12,
        )
    ]


def test_an_empty_day_has_no_papers(parse: Parse) -> None:
    """An empty list is a day without papers, not an error."""
    assert parse("[]") == ([], [])


def test_bad_items_are_skipped(parse: Parse) -> None:
    """An item without id or summary, or of another type, is counted with its number."""
    items = [
        {"paper": INNER},
        {"paper": {**INNER, "id": "../../x"}},
        7,
        {"paper": {**INNER, "summary": None}},
    ]
    papers, skipped = parse(json.dumps(items))
    assert len(papers) == 1
    assert skipped == [
        Skipped("item 2", "bad id"),
        Skipped("item 3", "not a JSON object"),
        Skipped("item 4", "no abstract"),
    ]


def test_a_servers_error_is_passed_on(parse: Parse) -> None:
    """What the server said instead of papers is the message."""
    with pytest.raises(FeedError, match="the server said: Not found"):
        parse('{"error": "Not found"}')


def test_the_snapshot_is_read(parse: Parse) -> None:
    """First and last version give the days, the parsed names the authors, the categories are split."""
    papers, skipped = parse(json.dumps(SNAPSHOT) + "\n")
    assert not skipped
    assert papers == [
        Paper(
            paper_id="0704.0001",
            title="A title in two lines",
            abstract="We study a question of some length.",
            authors=("A. Author", "B. de Writer Jr.", "C. Third"),
            published=dt.date(2007, 4, 2),
            updated=dt.date(2007, 7, 24),
            categories=("hep-ph", "cs.CL"),
            url="https://arxiv.org/abs/0704.0001",
            arxiv_id="0704.0001",
            doi="10.1103/physrevd.76.013009",
            version=2,
            sources=("arxiv-snapshot",),
        )
    ]


def test_a_snapshot_line_without_its_lists_is_read(parse: Parse) -> None:
    """Without parsed authors and versions the line of authors and the update date serve."""
    bare = {k: v for k, v in SNAPSHOT.items() if k not in {"authors_parsed", "versions"}}
    papers, _ = parse(json.dumps(bare))
    assert papers[0].authors == ("A. Author", "B. de Writer", "C. Third")
    assert (papers[0].published, papers[0].updated) == (None, dt.date(2008, 11, 26))


def test_daily_arxiv_lines_are_read(parse: Parse) -> None:
    """``abstract`` or ``summary``, a list or a line of categories, an id in any style."""
    lines = [
        {**LINE, "categories": ["cs.CV", "cs.RO"], "url": "https://arxiv.org/abs/2503.11731"},
        {"id": "arXiv:2503.11742v2", "title": "Other", "summary": ABSTRACT, "categories": "cs.CV cs.RO"},
        {"id": "10.1000/XYZ", "title": "Third", "abstract": ABSTRACT},
    ]
    papers, skipped = parse("\n".join(map(json.dumps, lines)))
    assert not skipped
    assert [p.paper_id for p in papers] == ["2503.11731", "2503.11742", "doi:10.1000/xyz"]
    assert [p.categories for p in papers] == [("cs.CV", "cs.RO"), ("cs.CV", "cs.RO"), ()]
    assert papers[0].published == papers[0].listed == dt.date(2025, 3, 18)
    assert papers[1].version == 2
    assert [p.url for p in papers][1:] == ["https://arxiv.org/abs/2503.11742", "https://doi.org/10.1000/xyz"]


def test_an_array_of_the_same_records_is_read(parse: Parse) -> None:
    """The records of a line format may stand in one JSON array."""
    papers, _ = parse(json.dumps([LINE, {**LINE, "id": "2503.11742"}], indent=1))
    assert [p.sources for p in papers] == [("arxiv-jsonl",)] * 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "2503.11731", "id": "2503.11742", "title": "t", "abstract": "a"}', "duplicate key in JSON"),
        ('{"id": "2503.11731", "title": "t", "abstract": "a", "score": NaN}', "NaN or Infinity in JSON"),
        ('{"id": "2503.11731", "title": "t", "abstract": ' + "[" * 100_000, "JSON nested too deeply"),
        ('{"id": "2503.11731", "title": ' + "9" * 5_000 + "}", "not valid JSON"),
        ('{"id": "2503.11731", "title": "t", "abst', "not valid JSON"),
        ('{"id": "2503.11731"} {"id": "2503.11742"}', "not valid JSON"),
        ('{"id": "2503.11731", "title": [' + "[]," * 400_000 + "[]]}", "too many values in JSON"),
        ('["2503.11731"]', "not a JSON object"),
        ('{"title": "t", "abstract": "an abstract"}', "no id"),
        ('{"id": 2503.11731, "title": "t", "abstract": "an abstract"}', "bad id"),
        ('{"id": "2503.11731", "title": 7, "abstract": "an abstract"}', "no title"),
        ('{"id": "2503.11731", "title": "t", "abstract": ["a"]}', "no abstract"),
        ('{"id": "2503.11731", "title": "t", "abstract": "No abstract available."}', "no abstract"),
        (
            '{"id": "2503.11731", "title": "t", "abstract": "Abstract available from the publisher."}',
            "no abstract",
        ),
    ],
)
def test_a_bad_line_is_skipped_and_the_next_is_read(line: str, reason: str, parse: Parse) -> None:
    """One bad record costs one record."""
    good = json.dumps(LINE)
    papers, skipped = parse(f"{good}\n\n{line}\n{good}\n")
    assert len(papers) == 2
    assert skipped == [Skipped("line 3", reason)]


def test_a_line_that_is_not_utf_8_is_skipped(parse: Parse) -> None:
    """A broken byte costs one record."""
    papers, skipped = parse(json.dumps(LINE).encode() + b"\n" + b'{"id": "caf\xe9"}\n')
    assert len(papers) == 1
    assert skipped == [Skipped("line 2", "not UTF-8")]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ('[{"paper": {', "JSON error at line 1 column"),
        ('[{"a": 1,\n "a": 2}]', "duplicate key"),
        ("[NaN]", "NaN or Infinity"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "9" * 5_000 + "]", "too long"),
        ('{"some": "object"}', "JSON with an unknown structure"),
        ("[1, 2, 3]", "JSON with an unknown structure"),
        ('{"some": 1}\n{"other": 2}\n', "JSON with an unknown structure"),
        ("[" + "[]," * 2_100_000, "objects in one JSON document"),
    ],
)
def test_a_bad_document_is_an_error(document: str, why: str, parse: Parse) -> None:
    """JSON that is read whole is refused whole, with the place where there is one."""
    with pytest.raises(FeedError, match=why):
        parse(document)


def test_the_shared_arxiv_file_is_read_whole(shared: Path) -> None:
    """The xz file is streamed; its first records are papers of arXiv with a day each."""
    with open_feed(shared / "data" / "arxiv" / "abstracts.jsonl.xz") as feed:
        papers = [next(feed.records) for _ in range(2_000)]
        assert feed.name == "arxiv-jsonl"
    assert all(isinstance(p, Paper) and p.published and p.arxiv_id == p.paper_id for p in papers)


def test_white_space_between_authors_takes_no_time(parse: Parse) -> None:
    """A line of authors with blanks without end is cut at its "and" all the same."""
    line = f"A{' ' * 40_000}and  B,\n and C{' ' * 40_000}D"
    start = time.process_time()
    ((paper,), _) = parse(json.dumps(SNAPSHOT | {"authors": line, "authors_parsed": None}))
    assert paper.authors == ("A", "B", "C D")
    assert time.process_time() - start < 1.0
