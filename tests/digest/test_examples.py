"""Papers as interests, and ratings: what is like them comes in, rises and falls."""

from __future__ import annotations

import datetime as dt
import json
import lzma
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from weeks import TOPICS, MemoryLibrary, arrival, embedded, paper, selector, week

from paperagent import config
from paperagent.cli import main
from paperagent.digest.preferences import MAX_EXAMPLES, Example, Preferences
from paperagent.digest.render.view import describe_reason
from paperagent.digest.schedule import parse_week, week_of
from paperagent.digest.select.selector import PaperSelector
from paperagent.digest.select.similar import SimilaritySpace, groups, nearest_mean
from paperagent.errors import InputError
from paperagent.lookup import read_examples
from paperagent.types import Paper
from paths import SHARED

ABSTRACTS = SHARED / "data/arxiv/abstracts.jsonl.xz"
BIB = """@article{{a, title={{Coral bleaching from satellites}}, author={{Doe, Jane}}, year={{2025}},
  abstract={{{abstract}}}}}
@article{{b, title={{{title}}}, eprint={{2606.00001}}, archiveprefix={{arXiv}}, year={{2026}},
  abstract={{{abstract}}}}}
"""


def example(topic: str, number: int = 900) -> Example:
    """Return a paper that the library does not have."""
    named = paper(number, topic)
    return Example(f"sha256:{number}", named.title, named.abstract)


@pytest.mark.parametrize("with_vectors", [True, False])
def test_papers_like_a_named_one_are_chosen(*, with_vectors: bool) -> None:
    """For the title of the named paper; it itself is not, even if it is new."""
    papers = week()
    library = embedded(papers) if with_vectors else [arrival(p) for p in papers]
    named = papers[6]
    issue = selector(library).select(Preferences(examples=(Example(named.paper_id, named.title),)))
    items = list(issue.items)
    assert items
    assert {t for item in items for t in TOPICS if t in item.paper.title} == {"coral bleaching"}
    assert named not in [item.paper for item in items]
    assert {describe_reason(i.reason, issue.period) for i in items} == {f"Like “{named.title}”"}


def test_a_named_paper_need_not_be_in_the_library() -> None:
    """Its stored text stands for it; a bare id that the library lacks does nothing."""
    chosen = selector([arrival(p) for p in week()])
    issue = chosen.select(Preferences(examples=(example("protein folding"), Example("gone", ""))))
    assert {t for i in issue.items for t in TOPICS if t in i.paper.title} == {"protein folding"}
    assert not list(chosen.select(Preferences(examples=(Example("gone", ""),))).items) or issue.items


def test_each_topic_of_many_named_papers_gets_its_turn() -> None:
    """Thirty on one topic do not crowd out the four on another."""
    many = [paper(900 + n, "cache compression") for n in range(30)]
    few = [paper(950 + n, "coral bleaching") for n in range(4)]
    named = tuple(Example(p.paper_id, p.title) for p in (*many, *few))
    chosen = selector(embedded(week(each=15)), others=embedded([*many, *few]))
    items = list(chosen.select(Preferences(examples=named)).items)
    counts = Counter(t for i in items for t in TOPICS if t in i.paper.title)
    assert set(counts) == {"cache compression", "coral bleaching"}
    assert counts["coral bleaching"] >= 3


def test_similarity_is_what_two_papers_share_beside_the_field() -> None:
    """Papers of one field are unlike by default; the unit makes other embeddings comparable."""
    rng = np.random.default_rng(3)
    field = np.array([5.0, *np.zeros(63)])
    background = rng.normal(size=(400, 64)) + field
    topic = 6 * np.eye(64)[7]
    one, two = (rng.normal(size=64) * 0.6 + field + topic for _ in range(2))
    space = SimilaritySpace(background.astype(np.float32))
    a, b, c = space.project(np.stack([one, two, background[0]]).astype(np.float32))
    assert a @ b > 2 * space.unit
    assert abs(float(a @ c)) < space.unit


def test_groups_are_the_topics() -> None:
    """In any order of the papers."""
    rng = np.random.default_rng(5)
    centers = np.eye(16)[:3]
    vectors = np.concatenate([c + 0.1 * rng.normal(size=(8, 16)) for c in centers]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    joint = {tuple(sorted({int(n) // 8 for n in group})) for group in groups(vectors)}
    assert {topic for names in joint for topic in names} == {0, 1, 2}
    assert all(len(names) == 1 for names in joint)
    assert nearest_mean(np.zeros((2, 0), np.float32)).tolist() == [0, 0]


def test_named_papers_are_stored_and_removed() -> None:
    """With the text of those that the library lacks, cut; removed by id or by title."""
    long = replace(example("protein folding"), abstract="x" * 5_000)
    preferences = Preferences(("graphs",)).with_examples([long, Example("2606.00001", "Known"), long])
    stored = Preferences.from_json(preferences.to_json())
    assert stored == preferences
    assert [len(e.abstract) for e in stored.examples] == [1_200, 0]
    assert stored.to_dict()["examples"][1] == {"paper_id": "2606.00001", "title": "Known"}
    assert stored.without(["known", long.paper_id]) == Preferences(("graphs",))
    with pytest.raises(InputError, match="like: 301 papers, at most 300"):
        preferences.with_examples(Example(str(n), "T") for n in range(MAX_EXAMPLES + 1))


def test_named_papers_are_read_from_ids_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is added to the library, and what it has is stored by id alone."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    known = paper(1, "cache compression")
    record = {"id": known.arxiv_id, "title": known.title, "abstract": known.abstract, "date": "2026-06-22"}
    record |= {"authors": [], "categories": ["cs.CL"], "url": known.url}
    (tmp_path / "papers.jsonl").write_text(json.dumps(record) + "\n")
    assert main.main(["ingest", str(tmp_path / "papers.jsonl")]) == 0
    (tmp_path / "refs.bib").write_text(BIB.format(abstract="Heat stress of reefs.", title=known.title))
    settings = config.load()
    bare = Example(known.paper_id, known.title)
    assert read_examples(settings, [f"arxiv:{known.arxiv_id}"]) == [bare]
    first, second = read_examples(settings, [str(tmp_path / "refs.bib")])
    assert (first.title, first.abstract) == ("Coral bleaching from satellites", "Heat stress of reefs.")
    assert second == bare
    assert main.main(["subscribers", "add", "ana@test.example", "--like", str(tmp_path / "refs.bib")]) == 0
    assert "like 2 papers" in capsys.readouterr().out
    assert main.main(["subscribers", "add", "ana@test.example", "--like", "no such paper"]) == 4
    assert main.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["papers"] == 1


# --- ratings over twelve real weeks ---

WEEKS = [parse_week(f"2026-W{n}") for n in range(12, 24)]
RATED_WEEKS = 4
CASES = (
    (("large language model agents", "multilingual language models", "reasoning"), "multi-?agent"),
    (("retrieval-augmented generation", "machine translation"), "medic|clinic|health|biomed"),
    (("benchmarks for language models", "speech recognition"), "code|software|program"),
    (("reasoning", "hallucination detection"), "math"),
    (("language model agents", "safety of language models"), "memory"),
)
"""Interests, and what the papers that are rated are about."""


@pytest.fixture(scope="module")
def selectors() -> list[PaperSelector]:
    """Return a selector by words for each of the weeks, over the papers whose primary category is cs.CL."""
    if not ABSTRACTS.exists():
        pytest.skip("the shared test data is not here; name its folder in PAPERAGENT_SHARED")
    by_week: dict[str, list[Paper]] = {w.name: [] for w in WEEKS}
    with lzma.open(ABSTRACTS, "rt", encoding="utf-8") as lines:
        for row in (json.loads(line) for line in lines if '"date": "2026-0' in line):
            day = dt.date.fromisoformat(row["date"])
            name = week_of(day).name
            if name in by_week and row["categories"][:1] == ["cs.CL"]:
                by_week[name].append(Paper(row["id"], row["title"], row["abstract"], published=day))
    arrivals = {name: [arrival(p) for p in papers] for name, papers in by_week.items()}
    library = MemoryLibrary([a for papers in arrivals.values() for a in papers])
    return [PaperSelector(arrivals[w.name], period=w, store=library) for w in WEEKS]


def live(
    selectors: list[PaperSelector], interests: tuple[str, ...], topic: str, rating: str
) -> tuple[int, int]:
    """Return how many papers on a topic, and how many others, come in the weeks after the ratings."""
    preferences = Preferences(interests)
    on_topic = others = 0
    for number, chosen in enumerate(selectors):
        issue = chosen.select(preferences)
        papers = [item.paper for item in issue.items]
        about = [p.paper_id for p in papers if is_about(p, topic)]
        seen = preferences.seen | {p.paper_id for p in (*papers, *issue.also)}
        preferences = replace(preferences, seen=seen)
        if number >= RATED_WEEKS:
            on_topic += len(about)
            others += len(papers) - len(about)
        elif rating == "less":
            preferences = replace(preferences, disliked=(*preferences.disliked, *about))
        elif rating == "more":
            preferences = replace(preferences, liked=(*preferences.liked, *about))
    return on_topic, others


def is_about(paper: Paper, topic: str) -> bool:
    """Return whether a paper has the words of a topic in its title, or twice in its abstract."""
    in_title = re.search(topic, paper.title, re.IGNORECASE)
    return bool(in_title) or len(re.findall(topic, paper.abstract, re.IGNORECASE)) >= 2


def test_ratings_change_the_following_weeks(selectors: list[PaperSelector]) -> None:
    """After "less" a quarter fewer papers on the topic come, after "more" at least half as many again.

    The other interests do not suffer: at most one other paper in ten is lost to "less".
    """
    total = {rating: np.zeros(2, int) for rating in ("none", "less", "more")}
    for interests, topic in CASES:
        for rating in total:
            total[rating] += live(selectors, interests, topic, rating)
    (none, others), (less, others_less), (more, _) = total.values()
    assert none >= 30
    assert less <= 0.75 * none
    assert more >= none * 1.5
    assert others_less >= 0.9 * others
