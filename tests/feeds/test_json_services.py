"""JSON of programs and services: the samples are read field by field, and damage costs one record."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.json_fields import read_day, read_labels
from paperagent.feeds.names import split_names
from paperagent.feeds.reader import open_feed
from paperagent.types import RETRACTED, Paper, Skipped, Withdrawal

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

SAMPLES = Path(__file__).with_name("samples")
HUM = (
    "We measure how lanterns hum in still air. The loudness of 40 lanterns is reported, and 3 of them were "
    "silent."
)
DRIFT = (
    "We ask why paper lanterns drift at dusk. A model with 12 parameters predicts the drift of 9 lanterns "
    "out of 10."
)
STUDY, WHY = "A study of lanterns", "Why lanterns drift"


def read(name: str) -> tuple[str, list[Any]]:
    with open_feed(SAMPLES / name) as feed:
        return feed.name, list(feed.records)


Row = tuple[str, str, str, tuple[str, ...], tuple[int, int, int], dict[str, Any]]
"""File, title, abstract, authors, day and further fields of a paper."""

ROWS: list[Row] = [
    (
        *("csl.json", STUDY, HUM, ("Ada Vex", "Bo van den Berg", "The Lantern Group"), (2013, 4, 1)),
        {"paper_id": "doi:10.1000/csl.1", "doi": "10.1000/csl.1", "url": "https://lamps.example.org/1"},
    ),
    (
        *("csl.json", WHY, DRIFT, ("Cy Ten",), (2024, 1, 5)),
        {"paper_id": "2401.01234", "url": "https://arxiv.org/abs/2401.01234"},
    ),
    (
        *("csl.yaml", STUDY, HUM, ("Ada Vex", "The Lantern Group"), (2013, 4, 1)),
        {"paper_id": "doi:10.1000/csl.1", "url": "https://doi.org/10.1000/csl.1"},
    ),
    ("csl.yaml", WHY, DRIFT, ("Cy Ten",), (2024, 1, 5), {"arxiv_id": "2401.01234"}),
    (
        *("crossref.json", STUDY, HUM, ("Ada Vex", "The Lantern Group"), (2013, 4, 1)),
        {"doi": "10.1000/cr.1", "flags": ("partial-date",), "categories": ("Lighting",)},
    ),
    (
        *("crossref.json", f"RETRACTED: {WHY}", DRIFT, ("Cy Ten",), (2014, 6, 3)),
        {"withdrawn": True, "flags": (RETRACTED,)},
    ),
    (
        *("semantic_scholar.json", STUDY, HUM, ("Ada Vex", "Bo Ten"), (2013, 4, 1)),
        {"arxiv_id": "2401.01234", "doi": "10.1000/s2.1", "url": "https://arxiv.org/abs/2401.01234"},
    ),
    (
        *("semantic_scholar.json", WHY, DRIFT, (), (2014, 1, 1)),
        {"paper_id": "s2:1123456789abcdef0123456789abcdef01234567", "flags": ("partial-date",)},
    ),
    (
        *("openalex.json", STUDY, HUM, ("Ada Vex",), (2013, 4, 1)),
        {"paper_id": "openalex:W4100000001", "doi": "10.1000/oa.1"},
    ),
    (
        *("europepmc.json", f"{STUDY}.", HUM, ("Vex A", "Ten B"), (2013, 4, 1)),
        {"paper_id": "pmid:12345678", "doi": "10.1000/epmc.1", "url": "https://doi.org/10.1000/epmc.1"},
    ),
    (
        *("europepmc.json", WHY, DRIFT, ("Cy Ten", "The Lantern Group"), (2014, 1, 1)),
        {"url": "https://europepmc.org/article/PPR/PPR7"},
    ),
    (
        *("biorxiv.json", STUDY, HUM, ("A. Vex", "B. C. Ten", "Bo van den Berg"), (2024, 1, 2)),
        {"doi": "10.1101/2024.01.01.573001", "categories": ("neuroscience",)},
    ),
    (
        *("zotero.json", STUDY, HUM, ("Ada Vex", "The Lantern Group"), (2013, 4, 1)),
        {"paper_id": "doi:10.1000/zot.1", "url": "https://lamps.example.org/1"},
    ),
    ("better_bibtex.json", WHY, DRIFT, ("Cy Ten",), (2024, 1, 5), {"arxiv_id": "2401.01234"}),
    (
        *("arxiv_py.json", STUDY, HUM, ("Ada Vex", "Bo Ten"), (2024, 1, 5)),
        {
            "arxiv_id": "2401.01234",
            "version": 2,
            "updated": dt.date(2024, 2, 1),
            "categories": ("cs.SD", "cs.CL"),
            "doi": "10.1000/ax.1",
        },
    ),
    (
        *("arxiv_py.json", WHY, DRIFT, ("Cy Ten",), (2024, 1, 6)),
        {"arxiv_id": "2401.01235", "categories": ("physics.flu-dyn",), "withdrawn": True},
    ),
    (
        *("datacite.json", STUDY, HUM, ("Ada Vex", "The Lantern Group"), (2013, 4, 1)),
        {"doi": "10.5555/dc.1", "updated": dt.date(2014, 1, 1), "categories": ("lamps",)},
    ),
    (
        *("inspire.json", STUDY, HUM, ("Ada Vex", "Bo Ten"), (2013, 4, 1)),
        {"arxiv_id": "1304.00001", "doi": "10.1000/insp.1", "categories": ("hep-ex", "physics.ins-det")},
    ),
    (
        *("scripts.json", STUDY, HUM, ("Ada Vex", "Bo Ten"), (2013, 1, 1)),
        {"doi": None, "flags": ("dropped-fields", "partial-date"), "url": None},
    ),
    (
        *("scripts.json", WHY, DRIFT, ("Ada Vex", "Bo Ten"), (2024, 1, 5)),
        {"paper_id": "2401.01234", "categories": ("cs.SD", "cs.CL"), "flags": ()},
    ),
    (
        *("scripts.json", "Lanterns at sea", HUM, ("Ada B. Vex Jr.",), (2024, 1, 6)),
        {"paper_id": "doi:10.1000/sc.1", "url": "https://lamps.example.org/sea"},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_each_field_of_a_sample_is_read(row: Row) -> None:
    file, title, abstract, authors, day, fields = row
    paper = next(p for p in read(file)[1] if isinstance(p, Paper) and p.title == title)
    assert paper.authors == authors
    assert paper.published == dt.date(*day)
    assert abstract in paper.abstract
    assert {name: getattr(paper, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("csl.json", "csl"),
        ("csl.yaml", "csl-yaml"),
        ("crossref.json", "crossref"),
        ("semantic_scholar.json", "semantic-scholar"),
        ("openalex.json", "openalex"),
        ("europepmc.json", "europe-pmc"),
        ("biorxiv.json", "biorxiv"),
        ("zotero.json", "zotero"),
        ("better_bibtex.json", "zotero"),
        ("arxiv_py.json", "arxiv-py"),
        ("datacite.json", "datacite"),
        ("inspire.json", "inspire"),
        ("scripts.json", "json"),
    ],
)
def test_each_sample_is_recognized(file: str, name: str) -> None:
    feed, entries = read(file)
    assert feed == name
    assert {source for e in entries if isinstance(e, Paper) for source in e.sources} == {name}


def test_records_that_are_no_papers_have_a_reason() -> None:
    """An attachment and a web page without an abstract are skipped; a notice marks the retracted paper."""
    assert read("zotero.json")[1][1] == Skipped("item 2", "attachment or note, not a paper")
    assert read("csl.json")[1][2] == Skipped("item 3", "no abstract")
    assert read("crossref.json")[1][2] == Withdrawal("doi:10.1000/cr.4", "crossref")


RECORD = {"title": STUDY, "abstract": HUM}


@pytest.mark.parametrize(
    "document",
    [
        {"title": STUDY, "abstract": HUM, "doi": "10.1000/x"},
        {"papers": [{**RECORD, "doi": "10.1000/x"}]},
        {"result": {"hits": {"hit": [{"info": {**RECORD, "doi": "10.1000/x"}}]}}},
        {"response": {"docs": [{**RECORD, "abstract": [HUM], "title": [STUDY], "doi": ["10.1000/X"]}]}},
        {"10.1000/x": RECORD},
        {"data": [{"id": "5", "attributes": {**RECORD, "doi": "10.1000/x"}}]},
        [{"page": 1, "items": []}, {"page": 2, "items": [{**RECORD, "doi": "10.1000/x"}]}],
        [{"content": {"title": {"value": STUDY}, "abstract": {"value": HUM}, "doi": {"value": "10.1000/x"}}}],
        {"data": [{"citingPaper": {**RECORD, "paperId": None, "externalIds": {"DOI": "10.1000/x"}}}]},
        {"message": {**RECORD, "title": [STUDY], "DOI": "10.1000/x"}, "status": "ok"},
        {name: {"0": value} for name, value in {**RECORD, "doi": "10.1000/x"}.items()},
        {"rows": [{"row_idx": 0, "row": {**RECORD, "doi": "10.1000/x"}}]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_wrapped_records_are_read(document: Any, indent: int | None, parse: Parse) -> None:
    papers, skipped = parse(json.dumps(document, indent=indent))
    assert not skipped
    assert [(p.title, p.abstract, p.doi) for p in papers] == [(STUDY, HUM, "10.1000/x")]


def test_pages_of_a_search_that_follow_each_other_are_read(parse: Parse) -> None:
    lines = [{"total": 2, "data": [{**RECORD, "paperId": digit * 40}]} for digit in "ab"]
    papers, _ = parse("\n".join(map(json.dumps, lines)))
    assert [p.paper_id for p in papers] == [f"s2:{digit * 40}" for digit in "ab"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"@id": "1", "info": {"title": STUDY, "venue": "Lamps"}}, "DBLP has no abstracts"),
        ({"uid": "1", "title": STUDY, "sortpubdate": "2013/04/01"}, "PubMed's esummary has no abstracts"),
    ],
)
def test_services_without_abstracts_are_named(record: Any, reason: str, parse: Parse) -> None:
    assert parse(json.dumps({"result": {"hits": [record]}}))[1] == [Skipped("item 1", reason)]


def test_the_most_frequent_format_decides_and_others_are_read(parse: Parse) -> None:
    """A record of another format is read as such, and an unknown one is skipped."""
    index = {word: [place] for place, word in enumerate("One lantern hums in the dark".split())}
    records: list[Any] = [
        {"id": "https://openalex.org/W1", "display_name": "Odd one", "abstract_inverted_index": index},
        *({**RECORD, "id": f"2401.0000{n}"} for n in (1, 2)),
        {"lamp": 1},
        None,
    ]
    papers, skipped = parse(json.dumps(records))
    assert [p.sources[0] for p in papers] == ["openalex", "arxiv-jsonl", "arxiv-jsonl"]
    assert [s.where for s in skipped] == ["item 4", "item 5"]


def test_a_record_after_many_unknown_ones_is_read(parse: Parse) -> None:
    papers, skipped = parse(json.dumps([{"lamp": 1}] * 2_000 + [RECORD]))
    assert (len(papers), len(skipped)) == (1, 2_000)


def test_an_unknown_shape_is_refused_with_its_keys(parse: Parse) -> None:
    with pytest.raises(FeedError, match=r"JSON with an unknown structure \(keys: lamp, oil\)"):
        parse('[{"lamp": 1, "oil": 2}]')


# --- damage ---


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"id": "2401.01234", "title": "A", "abstract": "b", "title": "A"}', "duplicate key in JSON"),
        ('{"id": "2401.01234", "title": "A", "authors": [{"n": 1, "n": 2}]}', "duplicate key in JSON"),
        ('{"id": "2401.01234", "title": "A", "score": NaN}', "NaN or Infinity in JSON"),
        ('{"id": "2401.01234", "title": "A", "score": [[-Infinity]]}', "NaN or Infinity in JSON"),
        ('{"id": "2401.01234", "deep": ' + "[" * 50_000 + "]" * 50_000 + "}", "JSON nested too deeply"),
        ('{"id": "2401.01234", "n": ' + "9" * 5_000 + "}", "a number in the JSON is too long"),
    ],
)
@pytest.mark.parametrize("wrapper", ["[%s, %s]", '{"papers": [%s,\n%s]}'])
def test_damage_costs_one_record(bad: str, reason: str, wrapper: str, parse: Parse) -> None:
    good = json.dumps({**RECORD, "id": "2401.01235"})
    papers, skipped = parse(wrapper % (bad, good))
    assert skipped == [Skipped("item 1", reason)]
    assert [p.paper_id for p in papers] == ["2401.01235"]


@pytest.mark.parametrize(
    "document",
    [
        '{"papers": [%s], "papers": []}',
        '{"meta": {"a": 1, "a": 2}, "papers": [%s]}',
        '{"a": {"b": [%s]}, "a": 1}',
    ],
)
def test_a_duplicate_key_outside_of_the_records_is_refused(document: str, parse: Parse) -> None:
    """Which of the two lists is meant is unknown."""
    with pytest.raises(FeedError, match="duplicate key in JSON; ask the publisher"):
        parse(document % json.dumps(RECORD))


# --- other programs' records ---


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"uid": "row 7"}, {"doi": None, "arxiv_id": None, "flags": ("dropped-fields",)}),
        ({"uid": "pmid:12345"}, {"paper_id": "pmid:12345", "flags": ()}),
        ({"id": 7, "doi": "https://doi.org/10.1000/X"}, {"paper_id": "doi:10.1000/x", "flags": ()}),
        ({"id": "https://openalex.org/W12"}, {"paper_id": "openalex:W12"}),
        ({"paper_id": 5, "externalIds": {"ArXiv": "2401.01234", "PubMed": "7"}}, {"arxiv_id": "2401.01234"}),
        ({"acl_id": "P18-1001"}, {"paper_id": "acl:P18-1001"}),
        ({"doi": "unknown"}, {"doi": None, "flags": ("dropped-fields",)}),
        ({"url": "https://arxiv.org/abs/2401.01234v3"}, {"arxiv_id": "2401.01234", "version": 3}),
        ({"link": "javascript:alert(1)"}, {"url": None, "flags": ("bad-url",)}),
        ({"authors": "Ada Vex, Bo Ten and Cy Six"}, {"authors": ("Ada Vex", "Bo Ten", "Cy Six")}),
        ({"authors": "['Ada Vex', \"Bo O'Ten\"]"}, {"authors": ("Ada Vex", "Bo O'Ten")}),
        ({"authors": [{"first_name": "Ada", "last_name": "Vex"}]}, {"authors": ("Ada Vex",)}),
        ({"authors": {"authors": [{"full_name": "Ada Vex"}]}}, {"authors": ("Ada Vex",)}),
        ({"creators": [["Vex", "Ada", ""]]}, {"authors": ("Ada Vex",)}),
        ({"authors": [7]}, {"authors": (), "flags": ("dropped-fields",)}),
        ({"authors": []}, {"authors": (), "flags": ()}),
        ({"year": 2013}, {"published": dt.date(2013, 1, 1), "flags": ("partial-date",)}),
        ({"published": True, "created": 1704499200}, {"published": dt.date(2024, 1, 6)}),
        ({"date": "soon"}, {"published": None, "flags": ("bad-date",)}),
        ({"keywords": "lamps; oil"}, {"categories": ("lamps", "oil")}),
    ],
)
def test_what_is_recognized_is_read_and_what_is_not_is_flagged(
    fields: dict[str, Any], expected: dict[str, Any], parse: Parse
) -> None:
    ((paper,), skipped) = parse(json.dumps({**RECORD, **fields}))
    assert not skipped
    assert {name: getattr(paper, name) for name in expected} == expected
    if not {"paper_id", "doi", "arxiv_id"} & expected.keys() or expected.get("arxiv_id", 0) is None:
        assert paper.paper_id.startswith("sha256:")


@pytest.mark.parametrize("value", ["../../x", "javascript:alert(1)", "x" * 3_000])
def test_a_hostile_id_is_refused(value: str, parse: Parse) -> None:
    assert parse(json.dumps({**RECORD, "uid": value})) == ([], [Skipped("line 1", "bad id")])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Vex, A.; Ten, B.", ["A. Vex", "B. Ten"]),
        ("Ada Vex and Bo Ten", ["Ada Vex", "Bo Ten"]),
        ("Ada Vex, Bo Ten, and Cy Six", ["Ada Vex", "Bo Ten", "Cy Six"]),
        ("Vex, Ada and Ten, Bo", ["Ada Vex", "Bo Ten"]),
        ("Vex, Ada", ["Ada Vex"]),
        ("Vex A, Ten B", ["Vex A", "Ten B"]),
        ("van der Vex, Ada B.", ["Ada B. van der Vex"]),
        ("Vex, A., Ten, B. C.", ["A. Vex", "B. C. Ten"]),
        ("Vex, Ada, Jr.", ["Ada Vex Jr."]),
        ("Ada Vex et al.", ["Ada Vex et al."]),
        ("Ada Vex, et al.", ["Ada Vex"]),
        ("Ada Vex & Bo Ten", ["Ada Vex", "Bo Ten"]),
        ("Anders Anderson", ["Anders Anderson"]),
    ],
)
def test_names_are_split(text: str, names: list[str]) -> None:
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ({"date-parts": [[2013, 4, 1], [2013, 5, 1]]}, "2013-04-01"),
        ({"date-parts": [["2013", "4"]]}, "2013-04-01"),
        ({"date-parts": [[None]]}, None),
        ({"raw": "April 1, 2013"}, "2013-04-01"),
        ({"$date": "2013-04-01T10:00:00Z"}, "2013-04-01"),
        ([{"year": "2013", "month": "4", "day": "1"}], "2013-04-01"),
        ([2013, 4, 1], "2013-04-01"),
        (20130401, "2013-04-01"),
        (1364774400000, "2013-04-01"),
        (1364774400.0, "2013-04-01"),
        ("2013-04-01 00:00:00", "2013-04-01"),
        ("9" * 300, None),
        ([], None),
        (False, None),
        ([[[2013]]], None),
    ],
)
def test_days_are_read_in_every_notation(value: object, day: str | None) -> None:
    read = read_day(value, set())
    assert (read.isoformat() if read else None) == day


def test_labels_are_split_at_separators_or_between_codes() -> None:
    assert read_labels("cs.CL stat.ML", set()) == ("cs.CL", "stat.ML")
    assert read_labels("machine learning, lamps", set()) == ("machine learning", "lamps")
    assert read_labels([{"term": "cs.CL"}, {"name": "oil"}, 7], set()) == ("cs.CL", "oil")


# --- YAML ---


def read_yaml(text: str) -> list[Any]:
    with open_feed("-", stdin=io.BytesIO(text.encode())) as feed:
        return list(feed.records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("references:\n- &a [x]\n- *a\n", "YAML with aliases is not read"),
        ("references:\n- id: " + "[" * 9_000 + "\n", "nested too deeply"),
        ("references:\n- id: a\n  title: [\n", r"YAML error at line \d+ column \d+"),
        ("references:\n  a: b\n", "without a list of references"),
    ],
)
def test_bad_yaml_is_refused(text: str, message: str) -> None:
    start = time.process_time()
    with pytest.raises(FeedError, match=message):
        read_yaml(text)
    assert time.process_time() - start < 2


def test_yaml_of_other_types_is_text() -> None:
    """Nothing is constructed from a tag, and a number or a date stays text."""
    text = f"- id: !!python/name:os.system x\n  title: {STUDY}\n  abstract: {HUM}\n  issued: 2013-04-01\n"
    (paper,) = read_yaml(text)
    assert (paper.title, paper.published) == (STUDY, dt.date(2013, 4, 1))


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("j01_csl.json", lambda papers: [p.doi for p in papers] == ["10.1000/csl1", "10.1000/csl2"]),
        ("j02_s2_search.json", lambda p: (p[0].authors, p[0].arxiv_id) == (("Ada Vex",), "2401.01234")),
        ("j04_crossref.json", lambda papers: papers[0].published == dt.date(2013, 4, 1)),
        ("j10_duplicate_key.json", lambda papers: [p.paper_id for p in papers] == ["2401.01235"]),
    ],
)
def test_the_shared_inputs_are_read(file: str, check: Callable[[list[Paper]], bool], shared: Path) -> None:
    with open_feed(shared / "data" / "real_inputs" / file) as feed:
        assert check([entry for entry in feed.records if isinstance(entry, Paper)])
