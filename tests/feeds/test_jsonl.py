"""Our own JSON lines."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.feeds import strict_json
from paperagent.feeds.formats import jsonl
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60).map(clean_text)
USABLE = TEXT.map(lambda text: clean_text("A " + text + " ending"))
NAMES = st.lists(TEXT.filter(bool), max_size=4).map(tuple)
DAYS = st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2026, 1, 1))
ARXIV = st.from_regex(r"[0-9]{4}\.[0-9]{4,5}|[a-z]{2,8}/[0-9]{7}", fullmatch=True).filter(str.isascii)
DOIS = st.from_regex(r"10\.[0-9]{4,9}/[a-z0-9.;()_-]{1,30}", fullmatch=True).filter(str.isascii)
IDS = ARXIV | DOIS.map("doi:{}".format) | st.from_regex(r"sha256:[0-9a-f]{32}", fullmatch=True)
COUNTS = st.none() | st.integers(0, 2**53 - 1)

PAPERS = st.builds(
    Paper,
    paper_id=IDS,
    title=USABLE,
    abstract=USABLE.map(lambda text: text + " is an abstract."),
    authors=NAMES,
    published=DAYS,
    updated=DAYS,
    listed=DAYS,
    first_seen=DAYS,
    categories=NAMES,
    url=st.sampled_from([None, "https://arxiv.org/abs/2508.13426", "http://example.org/a?b=(c)"]),
    arxiv_id=st.none() | ARXIV,
    doi=st.none() | DOIS,
    version=COUNTS,
    sources=NAMES,
    upvotes=COUNTS,
    withdrawn=st.booleans(),
    flags=NAMES.map(lambda flags: tuple(dict.fromkeys(flags))),
    ids=st.sets(st.sampled_from(["acl:2024.acl-long.1", "pmid:7", "sha256:" + "0" * 32])).map(tuple),
)


@given(PAPERS)
def test_every_field_round_trips(paper: Paper) -> None:
    """What is written as a line is read back, field by field."""
    line = jsonl.dump(paper)
    assert "\n" not in line
    assert list(strict_json.parse_lines([line.encode() + b"\n"], jsonl.convert)) == [paper]


def test_fields_at_their_default_are_left_out() -> None:
    """A line says no more than the paper does."""
    line = jsonl.dump(Paper(paper_id="2508.13426", title="A title", abstract="An abstract."))
    assert json.loads(line) == {
        "paper_id": "2508.13426",
        "title": "A title",
        "abstract": "An abstract.",
        "sources": [],
    }


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({"arxiv_id": "2508.13426v2"}, "2508.13426"),
        ({"doi": "10.1000/XYZ"}, "doi:10.1000/xyz"),
        ({}, "sha256:"),
    ],
)
def test_a_record_without_paper_id_gets_one(fields: dict[str, str], identity: str, parse: Parse) -> None:
    """It is the arXiv id, or else the DOI, or else a hash of the content."""
    papers, _ = parse(json.dumps({"title": "A title", "abstract": "An abstract of a few words.", **fields}))
    assert papers[0].paper_id.startswith(identity)
    assert papers[0].sources == ("json",)


@pytest.mark.parametrize(
    "fields",
    [{"paper_id": "../../x"}, {"paper_id": 7}, {"paper_id": "2508.13426v1"}, {"arxiv_id": "x"}, {"doi": "y"}],
)
def test_a_foreign_identity_is_refused(fields: dict[str, object], parse: Parse) -> None:
    """Only identities as the library writes them are taken over."""
    record = {
        "paper_id": "2508.13426",
        "title": "A title",
        "abstract": "An abstract of a few words.",
        "sources": ["arxiv-atom"],
    }
    papers, skipped = parse(json.dumps(record) + "\n" + json.dumps({**record, **fields}))
    assert len(papers) == 1
    assert skipped == [Skipped("line 2", "bad id")]


def test_our_own_lines_are_cleaned_like_any_others(parse: Parse) -> None:
    """A line need not have been written by us: text is cleaned, and bad values are dropped and flagged."""
    record = {
        "paper_id": "2508.13426",
        "title": "A\x1b[2J title",
        "abstract": "An abstract\nof a few words.",
        "sources": ["arxiv-atom"],
        "url": "javascript:alert(1)",
        "published": "9999-99-99",
        "version": "two",
        "upvotes": -1,
        "authors": ["Ann", 7, ""],
        "withdrawn": "yes",
        "flags": ["suspicious"],
        "ids": ["acl:1", "acl:1", "2508.13427", "doi:10.1/x", "../x", 7],
    }
    papers, _ = parse(json.dumps(record))
    assert papers == [
        Paper(
            paper_id="2508.13426",
            title="A[2J title",
            abstract="An abstract of a few words.",
            authors=("Ann",),
            sources=("arxiv-atom",),
            flags=("suspicious", "bad-date", "bad-url", "control-characters"),
            ids=("acl:1",),
        )
    ]
