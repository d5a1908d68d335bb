"""Which papers a subscriber gets."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weeks import MONDAY, TOPICS, WEEK, MemoryLibrary, arrival, embedded, paper, selector, week

from paperagent.digest.issue import Item, QuestionAnswer, Selection, quote_sentence
from paperagent.digest.preferences import Preferences
from paperagent.digest.select.selector import PaperSelector
from paperagent.library.protocol import PaperWithFeatures
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Paper

CACHE = Preferences(interests=("cache compression",))


def ids(selection: Selection) -> list[str]:
    """Return the chosen papers' ids in the order of the issue."""
    return [c.paper.paper_id for c in selection.items]


def on(selection: Selection) -> set[str]:
    """Return the topics of the chosen papers."""
    return {t for c in selection.items for t in TOPICS if t in c.paper.title}


def test_a_subscriber_gets_what_was_asked_for_and_is_told_why() -> None:
    """Only papers on the interest, each with it as the reason."""
    found = selector([arrival(p) for p in week()]).select(CACHE)
    assert on(found) == {"cache compression"}
    assert {(c.reason.kind, c.reason.text) for c in found.items} == {("interest", "cache compression")}
    assert found.screened == 36


CORAL = "What is new on coral bleaching?"


def answer(*papers: Paper, question: str = CORAL) -> QuestionAnswer:
    """Return an answer that quotes the first sentence of each paper."""
    quotes = (quote_sentence(p, split_sentences(p.abstract)[0]) for p in papers)
    return QuestionAnswer(question, tuple(quotes))


def test_a_standing_question_brings_the_papers_that_its_answer_cites() -> None:
    """Only these; without an answer it brings none, and no others take their place."""
    papers = week()
    cited = [p for p in papers if "coral" in p.title][:2]
    chosen = selector([arrival(p) for p in papers])
    profile = Preferences(questions=(CORAL,))
    found = chosen.select(profile, [answer(*cited)])
    assert set(ids(found)) == {p.paper_id for p in cited}
    assert {(c.reason.kind, c.reason.text) for c in found.items} == {("question", CORAL)}
    assert found.answers == (answer(*cited),)
    nothing = chosen.select(profile, [QuestionAnswer(CORAL)])
    assert (ids(nothing), nothing.answers) == ([], (QuestionAnswer(CORAL),))


def test_a_paper_for_an_interest_may_be_cited_by_an_answer() -> None:
    """It is shown once, for the interest; two questions may share a paper, too."""
    papers = week()
    chosen = selector([arrival(p) for p in papers])
    profile = Preferences(interests=("coral bleaching",), questions=(CORAL, "Which reefs bleach?"))
    coral = [p for p in papers if "coral" in p.title]
    both = [answer(coral[0]), answer(coral[0], question="Which reefs bleach?")]
    found = chosen.select(profile, both)
    assert sorted(ids(found)) == sorted(p.paper_id for p in coral)
    assert {c.reason.kind for c in found.items} == {"interest"}
    assert found.answers == tuple(both)


@pytest.mark.parametrize(("most", "claims"), [(6, 1), (7, 1), (8, 2), (9, 3), (30, 3)])
def test_interests_go_before_questions(most: int, claims: int) -> None:
    """Answers take the room that interests leave; one paper of each answer has a place in any case."""
    papers = week()
    chosen = selector([arrival(p) for p in papers])
    profile = Preferences(interests=("coral bleaching",), questions=("Which folds?",), max_items=most)
    folding = [p for p in papers if "folding" in p.title][:3]
    found = chosen.select(profile, [answer(*folding, question="Which folds?")])
    reasons = Counter(c.reason.kind for c in found.items)
    assert reasons == {"interest": 6, "question": claims}
    assert len(found.answers[0].claims) == claims
    by_score = sorted(found.items, key=lambda c: -c.score)
    assert {c.reason.kind for c in by_score[:6]} == {"interest"}
    assert not {p.paper_id for p in found.also} & set(ids(found))


def test_seen_papers_and_other_categories_answer_nothing() -> None:
    """What a subscriber may not get is not searched for an answer."""
    papers = week()
    chosen = selector([arrival(p) for p in papers])
    seen = frozenset(p.paper_id for p in papers[:3])
    eligible = chosen.eligible(Preferences(categories=("cs.CL",), seen=seen))
    for number, p in enumerate(chosen.papers):
        assert eligible[number] == (p.paper_id not in seen and "cs.CL" in p.categories)


def test_an_issue_is_not_filled_up() -> None:
    """A subscriber for whom the week brought nothing gets nothing, not the least bad."""
    found = selector([arrival(p) for p in week()]).select(Preferences(interests=("sourdough bread",)))
    assert (ids(found), found.also, found.themes) == ([], (), ())
    assert found.screened == 36


def test_a_quiet_week_gives_a_short_issue() -> None:
    """Two papers on the interest are two papers in the issue."""
    papers = [
        *week(["coral bleaching", "protein folding"]),
        paper(901, "cache compression"),
        paper(902, "cache compression"),
    ]
    assert len(ids(selector([arrival(p) for p in papers]).select(CACHE))) == 2


def test_no_interest_crowds_out_another() -> None:
    """Forty papers on one interest leave room for the three on the other."""
    papers = [*week(["cache compression"], each=40), *(paper(900 + n, "coral bleaching") for n in range(3))]
    profile = Preferences(interests=("cache compression", "coral bleaching"), max_items=8)
    found = [c.paper.title for c in selector([arrival(p) for p in papers]).select(profile).items]
    assert (len(found), sum("coral" in t for t in found)) == (8, 3)


@pytest.mark.parametrize("most", [1, 5, 30])
def test_no_more_than_the_subscriber_wants(most: int) -> None:
    """What comes next is noticed by its title, and is not also shown whole."""
    found = selector([arrival(p) for p in week(["cache compression"], each=40)]).select(
        replace(CACHE, max_items=most)
    )
    assert len(ids(found)) == most
    assert 0 < len(found.also) <= 8
    assert not {p.paper_id for p in found.also} & set(ids(found))


def test_only_the_categories_asked_for() -> None:
    """Counted among the screened, too; an archive holds its categories."""
    chosen = selector([arrival(p) for p in week()])
    found = chosen.select(Preferences(categories=("cs.CL",)))
    assert {c.paper.categories for c in found.items} == {("cs.CL",)}
    assert {(c.reason.kind, c.reason.text) for c in found.items} == {("category", "cs.CL")}
    assert found.screened == 18
    assert chosen.select(Preferences(categories=("CS",))).screened == 36
    assert chosen.select(Preferences(categories=("math",))).screened == 0


def test_nobody_in_particular_gets_the_weeks_topics() -> None:
    """Several of them, with the topic as the reason."""
    found = selector(embedded(week())).select(Preferences())
    assert len(on(found)) >= 4
    assert len(ids(found)) == 12
    assert {c.reason.kind for c in found.items} == {"central"}


def test_upvotes_lead_where_the_feed_has_them() -> None:
    """Without interests the most voted come first, and say so."""
    papers = [replace(p, upvotes=n) for n, p in enumerate(week())]
    found = selector([arrival(p) for p in papers]).select(Preferences(max_items=6))
    assert {c.reason.kind for c in found.items} == {"upvotes"}
    assert min(int(c.reason.text) for c in found.items) > 12


def test_upvotes_bring_nothing_off_topic() -> None:
    """A subscriber with interests gets none but what fits them, however popular the rest."""
    papers = [replace(p, upvotes=0 if "cache" in p.title else 500) for p in week()]
    assert on(selector([arrival(p) for p in papers]).select(CACHE)) == {"cache compression"}


def test_liked_papers_add_to_the_weeks_topics() -> None:
    """Papers like one that was liked are chosen, with its title as the reason; the rest of the week stays."""
    before = embedded([paper(950, "coral bleaching", day=MONDAY - dt.timedelta(days=9))])
    chosen = selector(embedded(week()), others=before)
    found = chosen.select(Preferences(liked=(before[0].paper_id,)))
    liked = [c for c in found.items if c.reason.kind == "liked"]
    assert {c.reason.text for c in liked} == {before[0].paper.title}
    assert all("coral bleaching" in c.paper.title for c in liked)
    assert len(liked) > sum("coral bleaching" in c.paper.title for c in chosen.select(Preferences()).items)
    assert len(ids(found)) == 12
    assert len(on(found)) >= 4


def test_a_liked_paper_without_its_like_leaves_the_week_as_it_is() -> None:
    """A reader without interests who likes one paper still gets the next issue."""
    before = embedded([paper(950, "coral bleaching", day=MONDAY - dt.timedelta(days=9))])
    chosen = selector([arrival(p) for p in week(["cache compression"], each=20)], others=before)
    assert len(ids(chosen.select(Preferences(liked=(before[0].paper_id,))))) == 12


def test_disliked_papers_push_their_like_down() -> None:
    """Papers close to one that was disliked lose their place to others; it itself is gone."""
    papers = embedded(week(["cache compression"], each=10))
    chosen = selector(papers)
    profile = Preferences(interests=("cache compression",), max_items=5)
    first = ids(chosen.select(profile))[0]
    without = chosen.select(replace(profile, disliked=(first,)))
    assert first not in ids(without)
    assert first not in {p.paper_id for p in without.also}


def test_withdrawn_papers_are_never_chosen() -> None:
    """Neither shown nor noticed."""
    papers = [replace(p, withdrawn="cache" in p.title) for p in week()]
    found = selector([arrival(p) for p in papers]).select(CACHE)
    assert (ids(found), found.also) == ([], ())


def test_a_paper_is_shown_once() -> None:
    """Not again under the id it had before, nor as another feed's record of the same title."""
    held = paper(1, "cache compression")
    twin = paper(2, "cache compression", title=held.title.upper(), paper_id="sha256:1", arxiv_id=None)
    earlier = arrival(
        paper(3, "cache compression", day=MONDAY - dt.timedelta(days=20), title="Elsewhere in print")
    )
    papers = [arrival(held, names=("doi:10.1/x",))]
    assert ids(selector(papers).select(replace(CACHE, seen=frozenset({"doi:10.1/x"})))) == []
    assert ids(
        selector(papers, others=[earlier]).select(replace(CACHE, seen=frozenset({earlier.paper_id})))
    ) == [held.paper_id]
    assert (
        ids(selector(papers, others=[arrival(twin)]).select(replace(CACHE, seen=frozenset({"sha256:1"}))))
        == []
    )


def test_near_duplicates_are_one_paper() -> None:
    """Two feeds' records of one title are shown as one that names the other."""
    held = paper(1, "cache compression")
    twin = replace(
        held, paper_id="sha256:2", arxiv_id=None, title=held.title.replace(" ", "  "), abstract="Short."
    )
    others = [paper(n, "cache compression") for n in range(10, 14)]
    found = selector([arrival(p) for p in (twin, held, *others)]).select(CACHE)
    assert [c.duplicates for c in found.items if c.paper.paper_id == held.paper_id] == [("sha256:2",)]
    assert "sha256:2" not in ids(found)
    shown = selector([arrival(p) for p in (twin, held)]).select(replace(CACHE, seen=frozenset({"sha256:2"})))
    assert ids(shown) == []


def revised(**changed: object) -> Paper:
    """Return an old paper changed in the week."""
    old = paper(7, "cache compression", day=MONDAY - dt.timedelta(days=30))
    return replace(old, **{"updated": MONDAY, "version": 2, **changed})  # type: ignore[arg-type]  # fields of Paper


@pytest.mark.parametrize("changed", [{}, {"withdrawn": True}, {"version": None}])
def test_a_new_version_of_a_shown_paper_gets_a_line(changed: dict[str, object]) -> None:
    """It is not chosen again, whether revised or withdrawn; who was not shown it hears nothing."""
    papers = [arrival(revised(**changed), new=False), *(arrival(p) for p in week(["cache compression"]))]
    chosen = selector(papers)
    old = papers[0].paper_id
    found = chosen.select(replace(CACHE, seen=frozenset({old})))
    assert [p.paper_id for p in found.updates] == [old]
    assert old not in ids(found)
    assert not chosen.select(CACHE).updates
    assert old not in ids(chosen.select(CACHE))


@pytest.mark.parametrize(
    "changed", [{"updated": MONDAY - dt.timedelta(days=1)}, {"version": 1}, {"updated": None}]
)
def test_what_did_not_change_in_the_week_is_no_update(changed: dict[str, object]) -> None:
    """Neither an older change nor a first version."""
    papers = [arrival(revised(**changed), new=False)]
    assert not selector(papers).select(replace(CACHE, seen=frozenset({papers[0].paper_id}))).updates


def test_a_period_without_papers_gives_an_empty_issue() -> None:
    """Also one that brought nothing but changes."""
    assert selector([]).select(CACHE) == Selection(WEEK, CACHE)
    assert not list(selector([arrival(revised(), new=False)]).select(Preferences()).items)


def test_preparing_changes_nothing() -> None:
    """Subscribers get the same, embedded together or one by one, in any order."""
    papers = [arrival(p) for p in week()]
    profiles = [Preferences(interests=(t,)) for t in TOPICS]
    together, alone = selector(papers), selector(papers)
    together.prepare(profiles)
    assert [together.select(p) for p in profiles] == [alone.select(p) for p in reversed(profiles)][::-1]


PROFILES = st.builds(
    Preferences,
    interests=st.lists(st.sampled_from([*TOPICS, "nothing of the kind", "%s {0} <b>", " "]), max_size=3).map(
        tuple
    ),
    questions=st.lists(st.sampled_from(["What is new on coral bleaching?", "?"]), max_size=1).map(tuple),
    categories=st.lists(st.sampled_from(["cs", "cs.CL", "math"]), max_size=1).map(tuple),
    max_items=st.integers(1, 30),
    liked=st.lists(st.sampled_from(["2606.00001", "gone"]), max_size=1).map(tuple),
    disliked=st.lists(st.sampled_from(["2606.00102", "gone"]), max_size=1).map(tuple),
    seen=st.sets(st.integers(0, 5).map(lambda n: f"2606.{n:05}"), max_size=4).map(frozenset),
)
ONE, OTHER = selector(embedded(week())), selector(list(reversed(embedded(week()))))


@settings(max_examples=150, deadline=None)
@given(PROFILES)
def test_selection_is_determined_and_never_repeats(profile: Preferences) -> None:
    """The same papers in any order give the same issue: nothing shown before, nothing twice, not too much."""
    found = ONE.select(profile)
    assert found == OTHER.select(profile) == ONE.select(profile)
    seen = [*ids(found), *(p.paper_id for p in found.also)]
    assert len(seen) == len(set(seen))
    assert not set(seen) & {*profile.seen, *profile.disliked}
    assert len(ids(found)) <= profile.max_items
    assert len(found.themes) <= 5
    assert all(g.items and g.name and g.key.startswith("2026-W26:") for g in found.themes)
    assert found.screened <= 36


# --- the weights that docs/digest.md argues for ---


class AxisEmbedder:
    """Embeds each interest as a coordinate axis."""

    def __init__(self, axes: dict[str, int]) -> None:
        self.axes = axes

    def embed(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.eye(DIMENSIONS, dtype=np.float32)[self.axes[text]] for text in texts]


DIMENSIONS = 64


def unit(**components: float) -> np.ndarray:
    """Return a unit vector with the given components, such as ``d0=0.8``."""
    vector = np.zeros(DIMENSIONS, np.float32)
    for name, value in components.items():
        vector[int(name[1:])] = value
    return vector / np.linalg.norm(vector)


def placed(number: int, title: str, vector: np.ndarray) -> PaperWithFeatures:
    """Return an invented paper with a given embedding."""
    invented = Paper(f"2606.{number:05}", title, f"{title}. Paper {number}.", published=MONDAY)
    return arrival(invented, vector=vector)


def select_by_vectors(
    papers: Sequence[PaperWithFeatures], axes: dict[str, int], *, max_items: int = 12
) -> list[Item]:
    library = MemoryLibrary(papers)
    chooser = PaperSelector(papers, period=WEEK, store=library, embedder=AxisEmbedder(axes))  # type: ignore[arg-type]
    return list(chooser.select(Preferences(interests=tuple(axes), max_items=max_items)).items)


def test_an_interest_with_low_scores_still_gets_papers() -> None:
    """Interests take turns, so one with many good papers leaves room for another."""
    strong = [placed(n, f"Quasar lensing {n}", unit(d0=0.85, **{f"d{10 + n}": 0.5})) for n in range(12)]
    weak = [
        placed(100 + n, f"Soil moisture {n}", unit(d1=0.5, d2=0.6, **{f"d{30 + n}": 0.3})) for n in range(6)
    ]
    axes = {"quasar lensing": 0, "soil moisture": 1}
    items = select_by_vectors([*strong, *weak], axes, max_items=6)
    by_interest = Counter(item.reason.text for item in items)
    assert by_interest["soil moisture"] >= 2
    assert by_interest["quasar lensing"] >= 2


def test_a_paper_must_be_close_to_the_best_papers_of_its_interest() -> None:
    """Of two papers with the same cosine to an interest, only the one near its best papers is relevant."""
    best = [placed(n, f"Lensing {n}", unit(d0=0.8, d1=0.45, **{f"d{10 + n}": 0.4})) for n in range(3)]
    near = placed(50, "Lensing near", unit(d0=0.7, d1=0.6, d20=0.39))
    far = placed(51, "Lensing far", unit(d0=0.7, d1=-0.5, d21=0.5))
    items = select_by_vectors([*best, near, far], {"lensing": 0})
    assert {item.paper.title for item in items} == {"Lensing 0", "Lensing 1", "Lensing 2", "Lensing near"}


def test_the_words_of_an_interest_must_stand_together() -> None:
    """A paper on another kind of injection that mentions a prompt elsewhere is not about prompt injection."""
    papers = [
        *(placed(n, f"Prompt injection {n}", unit(d0=0.6, d1=0.6, **{f"d{10 + n}": 0.5})) for n in range(3)),
        placed(50, "Dependency injection in large code bases after a prompt review", unit(d0=0.6, d2=0.8)),
    ]
    items = select_by_vectors(papers, {"prompt injection": 0})
    assert [item.paper.title for item in items] == [f"Prompt injection {n}" for n in range(3)]


def test_an_acronym_stands_for_the_words_of_an_interest() -> None:
    """The papers of the period say what an acronym means."""
    close = unit(d0=0.55, d1=0.6, d2=0.5)
    introducing = placed(1, "Retrieval-augmented generation for maps", close)
    text = "We improve retrieval-augmented generation (RAG) for maps."
    introducing = introducing._replace(
        paper=replace(introducing.paper, abstract=text), terms=term_ids(index_terms(f"{text} maps"))
    )
    short = placed(2, "Agentic RAG for forests", unit(d0=0.5, d1=0.6, d3=0.5))
    other = placed(3, "Agentic RUG for forests", unit(d0=0.5, d1=0.6, d3=0.5))
    items = select_by_vectors([introducing, short, other], {"retrieval-augmented generation": 0})
    assert {item.paper.title for item in items} == {introducing.paper.title, short.paper.title}
