"""Retrieval's pure functions, and the real store held against exact search over the same papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from exact_library import ExactLibrary
from hypothesis import given, settings
from hypothesis import strategies as st

import sample_library
from fake_encoder import FakeEncoder
from paperagent import PaperAgent
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.feeds.reader import sample_path
from paperagent.retrieval.scoring import (
    CorpusStats,
    RankedCandidate,
    SearchQuery,
    blend_rankings,
    bm25_shares,
    correct_spelling,
    matching_hits,
    names_paper,
    possibly_named,
    query_stems,
    rank,
    score_gap,
    size_factor,
)
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Filters, Hit, Paper


@dataclass
class Doc:
    """A candidate."""

    paper_id: str
    terms: Any
    vector: Any = None


def doc(paper_id: str, text: str, vector: Sequence[float] | None = None) -> Doc:
    made = None if vector is None else np.array(vector, np.float32)
    return Doc(paper_id, term_ids(index_terms(text)), made)


def stats_of(*docs: str) -> CorpusStats:
    bags = [index_terms(d) for d in docs]
    stems = {s for b in bags for s in b}
    counts = {s: sum(s in b for b in bags) for s in stems}
    return CorpusStats(len(bags), sum(map(len, bags)) / len(bags), counts)


# --- query ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Which papers propose a method for pruning?", ["prune"]),
        ("pruning of pruned models", ["prune", "model"]),
        ("Anything new on agents?", ["agent"]),
        ("Which papers deal with agents?", ["agent"]),
        ("compare papers", ["compar", "paper"]),
        ("what is it?", []),
        ("", []),
    ],
)
def test_query_stems(text: str, expected: list[str]) -> None:
    """Words that only say what is asked for are dropped, unless nothing else is left."""
    assert query_stems(text) == expected


@given(st.text())
def test_query_stems_are_distinct(text: str) -> None:
    """No word weighs twice because it was typed twice."""
    stems = query_stems(text)
    assert len(set(stems)) == len(stems)
    assert set(stems) <= set(index_terms(text))


def test_spelling_is_mended_from_the_library() -> None:
    """A long unknown word becomes the most frequent near one; known and short words stay."""
    asked: list[tuple[str, int]] = []

    def similar(stem: str, distance: int) -> list[str]:
        asked.append((stem, distance))
        return {("retreiv", 1): ["retriev"], ("quantisatoin", 2): ["quantis"]}.get((stem, distance), [])

    known = {"model": 3}
    stems = ["retreiv", "model", "lora", "gpt4x", "quantisatoin", "zzzzz"]
    assert correct_spelling(stems, known, similar) == [
        "retriev",
        "model",
        "lora",
        "gpt4x",
        "quantis",
        "zzzzz",
    ]
    assert ("retreiv", 2) not in asked
    assert {s for s, _ in asked} == {"retreiv", "quantisatoin", "zzzzz"}


def test_mending_leaves_no_repeats() -> None:
    """Two misspellings of one word weigh once."""
    assert correct_spelling(["retreiv", "retriev"], {"retriev": 1}, lambda *_: ["retriev"]) == ["retriev"]


# --- scores ---


def bm25(terms: list[str], stems: Sequence[str], stats: CorpusStats) -> float:
    """Robertson's formula written out, over its largest possible value."""
    k1, b = 0.9, 0.4
    idf = {s: math.log(1 + (stats.papers - n + 0.5) / (n + 0.5)) for s, n in stats.frequency.items()}
    norm = k1 * (1 - b + b * len(terms) / stats.average_length)
    parts = [idf[s] * terms.count(s) * (k1 + 1) / (terms.count(s) + norm) for s in stems]
    return sum(parts) / ((k1 + 1) * sum(idf[s] for s in stems))


_WORDS = st.lists(st.sampled_from("alpha beta gamma delta epsilon zeta".split()), min_size=1, max_size=30)


@given(
    st.lists(_WORDS, min_size=1, max_size=6), st.sets(st.sampled_from(["alpha", "beta", "gamma"]), min_size=1)
)
def test_lexical_share_is_bm25_over_its_maximum(texts: list[list[str]], wanted: set[str]) -> None:
    """Each candidate's share equals the formula and lies between 0 and 1."""
    joined = [" ".join(t) for t in texts]
    stems = index_terms(" ".join(sorted(wanted)))
    known = stats_of(*joined)
    stats = CorpusStats(known.papers, known.average_length, {s: known.frequency.get(s, 0) for s in stems})
    shares = bm25_shares([doc(str(i), t) for i, t in enumerate(joined)], stems, stats)
    assert shares == pytest.approx([bm25(index_terms(t), stems, stats) for t in joined])
    assert all(0 <= s < 1 for s in shares)


def test_idf_is_never_negative() -> None:
    """A word in every paper still counts for a little."""
    stats = CorpusStats(10, 5, {"common": 10, "rare": 1})
    assert 0 < stats.idf("common") < stats.idf("rare") < stats.idf("unknown")


def test_no_candidates_no_ranking() -> None:
    """Nothing nominated is nothing ranked."""
    assert rank([], SearchQuery(("a",), None, CorpusStats(0, 0.0, {}))) == []


def test_score_is_words_plus_vector() -> None:
    """Fused score = .9 of the lexical share + the cosine."""
    stats = stats_of("alpha beta", "gamma delta")
    found = rank(
        [doc("x", "alpha beta", [1, 0]), doc("y", "gamma delta", [0, 1])],
        SearchQuery(("alpha",), np.array([0.6, 0.8], np.float32), stats),
    )
    scores = {r.paper_id: r for r in found}
    assert scores["x"].score == pytest.approx(0.9 * scores["x"].lexical + 0.6)
    assert scores["y"].lexical == 0
    assert scores["y"].vector == pytest.approx(0.8)
    assert [r.paper_id for r in found] == ["x", "y"]


def test_a_paper_without_a_vector_is_ranked_by_words() -> None:
    """Vectors that are not there yet cost a paper its cosine, not its place in the list."""
    stats = stats_of("alpha", "beta")
    found = rank(
        [doc("x", "alpha"), doc("y", "beta", [1, 0])], SearchQuery(("alpha",), np.ones(2, np.float32), stats)
    )
    assert {r.paper_id: r.vector is None for r in found} == {"x": True, "y": False}
    assert all(math.isfinite(r.score) for r in found)


def test_without_query_terms_vectors_decide() -> None:
    """A query of function words alone still ranks by meaning, and never divides by zero."""
    stats = stats_of("alpha", "beta")
    found = rank(
        [doc("x", "alpha", [0, 1]), doc("y", "beta", [1, 0])], SearchQuery((), np.array([1.0, 0.0]), stats)
    )
    assert [r.paper_id for r in found] == ["y", "x"]
    assert [r.lexical for r in found] == [0, 0]


def test_ties_go_by_id() -> None:
    """Equal papers keep one order, whatever order the indexes nominated them in."""
    docs = [doc(i, "alpha beta") for i in "cab"]
    stats = stats_of("alpha beta", "alpha beta", "alpha beta")
    for order in (docs, docs[::-1]):
        assert [r.paper_id for r in rank(order, SearchQuery(("alpha",), None, stats))] == ["a", "b", "c"]


def test_blend_is_the_mean_of_two_rankings() -> None:
    """A follow-up counts half alone, half in context."""
    now = [
        RankedCandidate("a", 1.0, 0.5, None),
        RankedCandidate("b", 0.4, 0.1, None),
        RankedCandidate("only-now", 9.0, 0.0, None),
    ]
    context = [RankedCandidate("b", 1.8, 0.0, None), RankedCandidate("a", 0.2, 0.0, None)]
    mixed = blend_rankings(now, context)
    assert [r.paper_id for r in mixed] == ["b", "a"]
    assert [r.score for r in mixed] == pytest.approx([1.1, 0.6])
    assert mixed[1].lexical == 0.5


def test_gap_is_how_far_the_first_stands_out() -> None:
    """Measured against the mean of the next five; a paper alone stands out fully."""
    ranked = [RankedCandidate(str(i), s, 0, None) for i, s in enumerate([1.0, 0.6, 0.5, 0.4, 0.3, 0.2, -9.0])]
    assert score_gap(ranked) == pytest.approx(0.6)
    assert score_gap(ranked[:1]) == 1.0


# --- papers that a question names ---


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("How do Orbit2 and GUIDE differ?", {"orbit", "guide"}),
        ("what does guide say?", set()),
        ("Compare Kestrel with the others", {"kestrel"}),
        ("Kestrel with capitals at the beginning only", set()),
        ("Training Kestrel for Learners", set()),
        ("", set()),
    ],
)
def test_what_could_be_named_has_the_name_in_its_title(question: str, named: set[str]) -> None:
    """A word with capitals or digits inside, or capitalised after the first, may be the name in a title."""
    candidates = [
        doc("orbit", "Orbit2 Orbit2 maps of the sky"),
        doc("guide", "GUIDE GUIDE hints for learners"),
        doc("kestrel", "Kestrel Kestrel drafts tokens"),
        doc("cites", "We compare with Orbit2, GUIDE and Kestrel"),
    ]
    assert possibly_named(candidates, question) == named
    assert possibly_named([], question) == set()


@pytest.mark.parametrize(
    ("question", "title", "expected"),
    [
        ("Is HelpSteer2 larger?", "HelpSteer2: open preference data", True),
        ("Is HelpSteer2x larger?", "HelpSteer2: open preference data", False),
        ("is helpsteer2 larger?", "HelpSteer2: open preference data", False),
        ("Does Kestrel draft?", "Kestrel: drafting", True),
        ("Kestrel drafts?", "Kestrel: drafting", False),
        ("what does drafting tokens from prompts save?", "Drafting Tokens from Prompts", True),
        ("what does drafting save?", "Drafting: an art", False),
    ],
)
def test_names_count_with_their_case_and_titles_without(question: str, title: str, *, expected: bool) -> None:
    """A name before the colon must stand there as written; a whole title in any case."""
    assert names_paper(question, title) is expected


# --- the real store against exact search ---


def top(pipeline: Pipeline, query: str) -> list[tuple[str, Any]]:
    """Return the ten best papers that match at all, with their scores."""
    hits = pipeline.search(query, k=10, filters=Filters())
    return [(h.paper_id, pytest.approx(h.score, abs=1e-5)) for h in hits if h.lexical or h.vector is not None]


def halved(library: ExactLibrary) -> ExactLibrary:
    """Round the vectors as the library stores them."""
    library.candidate_by_id = {
        i: replace(h, vector=None if h.vector is None else h.vector.astype("<f2").astype(np.float32))
        for i, h in library.candidate_by_id.items()
    }
    return library


@pytest.fixture(scope="module")
def by_words() -> Any:
    """Give pipelines over the real store and over the exact reference, without vectors."""
    with sample_library.plain_agent() as agent:
        yield (
            Pipeline(agent._open_store(), encoder=None),
            Pipeline(ExactLibrary(sample_library.papers()), encoder=None),
        )


@pytest.fixture(scope="module")
def with_vectors(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the same with vectors of an encoder that needs no model."""
    encoder = FakeEncoder()
    with PaperAgent(tmp_path_factory.mktemp("vectors"), mode="extractive", embedder="minilm") as agent:
        agent._embedding_models = sample_library.models(encoder)
        agent.ingest(sample_path(), date="2026-07-01")
        exact = halved(ExactLibrary(list(agent.papers()), encoder))
        yield Pipeline(agent._open_store(), encoder=encoder), Pipeline(exact, encoder=encoder)


_VOCABULARY = sorted({w for p in sample_library.feed_papers() for w in (p.title + p.abstract).split()})
_QUERIES = st.lists(st.sampled_from(_VOCABULARY), min_size=1, max_size=8).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(query=_QUERIES)
def test_the_store_ranks_like_exact_search_by_words(by_words: Any, query: str) -> None:
    """Top ten and scores are those of a scan over every paper."""
    real, exact = by_words
    assert top(real, query) == top(exact, query)


@settings(max_examples=40, deadline=None)
@given(query=_QUERIES)
def test_the_store_ranks_like_exact_search_with_vectors(with_vectors: Any, query: str) -> None:
    """Chroma's and tantivy's nominations lose none of the ten best."""
    real, exact = with_vectors
    assert top(real, query) == top(exact, query)


@pytest.mark.parametrize("typo", ["tindersfit", "retreival", "langauge", "fine-tunning", "accelerater"])
def test_typos_are_mended_alike(by_words: Any, typo: str) -> None:
    """The store's fuzzy search finds the word that a scan of the vocabulary finds."""
    real, exact = by_words
    assert top(real, typo) == top(exact, typo) != []


def test_an_answer_is_the_same_over_either_library(with_vectors: Any) -> None:
    """The pipeline's answer depends on the papers, not on the store that holds them."""
    real, exact = with_vectors
    for question in sample_library.QUESTIONS[:8]:
        answers = [[e.answer for e in p.stream(AnswerRequest(question))][-1] for p in (real, exact)]
        assert answers[0].citations == answers[1].citations
        assert answers[0].status == answers[1].status


def test_largeness_rises_between_two_sizes() -> None:
    """Nothing below, all above, and more papers never make less of it."""
    sizes = [0, 1, 5_000, 20_000, 50_000, 75_000, 10**8]
    found = [size_factor(size) for size in sizes]
    assert found == sorted(found)
    assert found[2] == 0.0
    assert 0.4 < found[3] < 0.6
    assert found[-2:] == [1.0, 1.0]


# --- which hits match ---


@pytest.mark.parametrize(
    ("scores", "matching"),
    [
        ([(0.0, 0.22), (0.14, 0.07)], 0),  # the best that a query about something else finds
        ([(0.0, 0.40), (0.0, 0.36), (0.0, 0.30)], 2),  # near in meaning, without a word of the query
        ([(0.9, 0.56), (0.0, 0.47), (0.0, 0.38)], 2),  # the third is far behind the best
        ([(0.7, None), (0.26, None), (0.25, None)], 1),  # without vectors
        ([(0.5, None), (0.26, None), (0.24, None)], 2),
        ([(0.04, None)], 0),
        ([(0.9, 0.5), (0.6, None), (0.3, None)], 2),  # some vectors are still to be computed
        ([], 0),
    ],
)
def test_a_hit_matches_by_its_score_and_beside_the_best(
    scores: Sequence[tuple[float, float | None]], matching: int
) -> None:
    hits = [
        Hit(Paper(str(n), "T", "A"), 0.9 * lexical + (vector or 0.0), n, lexical, vector)
        for n, (lexical, vector) in enumerate(scores, start=1)
    ]
    assert matching_hits(hits) == hits[:matching]


def test_a_paper_that_a_query_names_matches(tmp_path: Any) -> None:
    """By its id or its author, however far its text is from the query."""
    record = {"arxiv_id": "2606.00001", "title": "Of lanterns", "abstract": "We light the way at night.",
              "authors": ["Ada Example"], "sources": ["a"]}  # fmt: skip
    with PaperAgent(tmp_path / "library", embedder="none") as agent:
        agent.ingest(sample_library.write_jsonl(tmp_path / "a.jsonl", [record]))
        for query in ("2606.00001", "Ada Example", "lanterns"):
            assert len(matching_hits(agent.search(query))) == 1
        hit = agent.search("Ada Example")[0]
        assert matching_hits([replace(hit, vector=0.1)])


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("zzzzqqq", []),
        ("chocolate cake recipe", []),
        ("train ticket from Lisbon to Oslo", []),
        ("tutoring", ["Tutorine"]),
        ("agents that use tools", ["Quorvex", "Hollowmere"]),
        ("KV cache compression", ["Duskerna"]),
    ],
)
def test_with_vectors_a_search_finds_what_is_meant_or_nothing(query: str, titles: list[str]) -> None:
    found = [hit.title for hit in matching_hits(sample_library.model_agent().search(query, k=100))]
    assert [title.partition(":")[0] for title in found][: len(titles)] == titles
    assert len(found) <= 2 * len(titles) + 1 if titles else not found
