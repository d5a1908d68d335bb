"""The one answer pipeline, over exact libraries in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from exact_library import ExactLibrary
from hypothesis import given, settings
from hypothesis import strategies as st

import sample_library
from fake_encoder import FakeEncoder
from paperagent.answering import pipeline as answer_module
from paperagent.answering.abstention import Thresholds
from paperagent.answering.answers import DOUBTFUL
from paperagent.answering.pipeline import LARGE_RERANK_DEPTH, RERANK_DEPTH, AnswerRequest, Pipeline
from paperagent.retrieval import evidence, scoring
from paperagent.retrieval.conversation import Turn
from paperagent.retrieval.sentence_selection import MAX_DOUBTFUL_PASSAGES
from paperagent.text.terms import words
from paperagent.types import Answer, Event, Filters, Paper

LAMPS = Paper(
    "lamps",
    "Quorvex: A Lamp for Owls",
    "Lamps disturb owls. We present Quorvex, a dim lamp. Quorvex emits 350 lumens. Owls accept it in 71% of"
    " nights.",
    categories=("cs.RO",),
)
CATS = Paper(
    "cats",
    "Sleeping Cats",
    "Cats sleep all day. We observed 40 cats. They woke 3 times.",
    categories=("q-bio.PE",),
)
BREAD = Paper("bread", "Bread at Altitude", "Bread rises faster on mountains. Yeast needs less sugar there.")
THREE = (LAMPS, CATS, BREAD)


def pipeline(
    *papers: Paper, encoder: FakeEncoder | None = None, thresholds: Thresholds | None = None
) -> Pipeline:
    return Pipeline(ExactLibrary(list(papers), encoder), encoder=encoder, thresholds=thresholds)


def events(made: Pipeline, question: str, **options: Any) -> list[Event]:
    return list(made.stream(AnswerRequest(question, **options)))


def ask(made: Pipeline, question: str, **options: Any) -> Answer:
    last = events(made, question, **options)[-1]
    assert last.answer is not None
    return last.answer


def cited(found: Answer) -> list[str]:
    """Return the ids of the papers that an answer cites, in order."""
    return list(dict.fromkeys(c.paper_id for c in found.citations))


both = pytest.mark.parametrize("encoder", [None, FakeEncoder()], ids=["words", "encoder"])


@both
def test_a_fact_is_quoted_from_its_paper(encoder: FakeEncoder | None) -> None:
    """The sentence that answers is quoted, with a marker, from the paper that holds it."""
    found = ask(pipeline(*THREE, encoder=encoder), "How many lumens does Quorvex emit?")
    assert found.status == "answered"
    assert found.hits[0].paper_id == "lamps"
    assert "Quorvex emits 350 lumens." in [c.quote for c in found.citations]
    assert all(c.support == "quoted" for c in found.claims)
    assert found.mode == "extractive"
    assert (found.model, found.prompt_hash, found.usage.calls) == (None, None, 0)


@both
def test_events_come_in_order(encoder: FakeEncoder | None) -> None:
    """First what was retrieved, then each claim with its citations, then the whole answer."""
    steps = events(pipeline(*THREE, encoder=encoder), "How many lumens does Quorvex emit?")
    final = steps[-1].answer
    assert final is not None
    assert [s.kind for s in steps] == ["retrieved", *["claim"] * len(final.claims), "done"]
    assert steps[0].hits == final.hits
    assert tuple(s.claim for s in steps[1:-1]) == final.claims
    assert tuple(c for s in steps[1:-1] for c in s.citations) == final.citations


def test_an_empty_library_ends_at_once() -> None:
    """No paper: one event, an abstention that names the next step."""
    (only,) = events(pipeline(), "Anything?")
    assert only.answer is not None
    assert (only.answer.status, only.answer.reason) == ("abstained", "empty_library")
    assert only.answer.timings_ms["total"] >= 0


def test_filters_that_leave_nothing() -> None:
    """A question whose filters admit no paper is an abstention for want of evidence."""
    found = ask(pipeline(*THREE), "lamps for owls", filters=Filters(category="math.AG"))
    assert (found.status, found.reason, found.hits) == ("abstained", "no_evidence", ())


@both
def test_filters_hold_for_answers(encoder: FakeEncoder | None) -> None:
    """A paper outside the filter is neither retrieved nor cited, however well it matches."""
    found = ask(
        pipeline(*THREE, encoder=encoder),
        "How many lumens does Quorvex emit?",
        filters=Filters(category="q-bio"),
    )
    assert {h.paper_id for h in found.hits} <= {"cats"}
    assert set(cited(found)) <= {"cats"}


def test_something_else_is_no_evidence() -> None:
    """A question about nothing in the library has no citation and says that nothing is there."""
    found = ask(pipeline(*THREE), "Which treaty ended the war of succession?")
    assert (found.status, found.reason) == ("abstained", "no_evidence")
    assert found.citations == ()
    assert found.claims == ()


def test_a_missing_fact_quotes_the_closest_passages() -> None:
    """A question on a paper that does not hold the fact is told so, with what comes near, cited."""
    found = ask(pipeline(*THREE, thresholds=Thresholds(1.01, 1.01)), "Quorvex lamp owls lumens")
    assert (found.status, found.reason) == ("abstained", "not_in_abstracts")
    assert found.claims == ()
    assert found.citations
    assert found.answer.startswith("The abstracts do not say")
    assert all(f"{c.quote} [{c.n}]" in found.answer for c in found.citations)


def test_a_question_of_unknown_words_is_not_answered() -> None:
    """If no word of a question occurs in the library, nothing is quoted, whatever the thresholds."""
    found = ask(pipeline(*THREE, thresholds=Thresholds(0.0, 0.0)), "xyzzy plugh")
    assert (found.status, found.citations) == ("abstained", ())


def test_no_passage_is_quoted_if_a_name_is_missing() -> None:
    """The answer names what the library lacks, and quotes nothing on something else."""
    found = ask(
        pipeline(*THREE, thresholds=Thresholds(1.01, 1.01)), "How many lumens does the LoRAX lamp emit?"
    )
    assert (found.status, found.citations) == ("abstained", ())
    assert "No paper here mentions “LoRAX”" in found.answer
    assert found.hits


def test_a_doubtful_answer_says_so() -> None:
    """Between the two thresholds, the closest passages are quoted after a caveat, at most three."""
    question = "How many lumens does Quorvex emit?"
    sure, found = (ask(pipeline(*THREE, thresholds=Thresholds(0.0, t)), question) for t in (0.0, 1.01))
    assert (sure.status, found.status, found.reason) == ("answered", "doubtful", "low_confidence")
    assert found.answer.startswith(f"{DOUBTFUL}\n\n")
    assert 0 < len(found.claims) <= MAX_DOUBTFUL_PASSAGES
    assert {c.text for c in found.claims} <= {c.text for c in sure.claims}
    assert all(c.support == "quoted" for c in found.claims)


def test_a_doubtful_answer_streams_its_caveat_before_the_claims() -> None:
    events = list(pipeline(*THREE, thresholds=Thresholds(0.0, 1.01)).stream(AnswerRequest("Quorvex lumens?")))
    claims = [e for e in events if e.kind == "claim"]
    assert claims
    assert {e.caveat for e in claims} == {DOUBTFUL}


@both
@pytest.mark.parametrize("k", [1, 2, 3, 100])
def test_k_limits_what_is_retrieved_and_cited(k: int, encoder: FakeEncoder | None) -> None:
    """At most ``k`` papers are named, and only those are cited, for lists as well."""
    for question in ("which papers are about owls or cats or bread?", "How many lumens does Quorvex emit?"):
        found = ask(pipeline(*THREE, encoder=encoder), question, k=k)
        assert len(found.hits) == min(k, 3)
        assert set(cited(found)) <= {h.paper_id for h in found.hits}


@both
def test_scores_fall_with_rank(encoder: FakeEncoder | None) -> None:
    """Hits are numbered from 1 and the read ones go by falling score."""
    papers = sample_library.feed_papers()
    found = ask(pipeline(*papers, encoder=encoder), "What do agents get wrong when they call tools?", k=20)
    assert [h.rank for h in found.hits] == list(range(1, len(found.hits) + 1))
    scores = [h.score for h in found.hits[:RERANK_DEPTH]]
    assert scores == sorted(scores, reverse=True)


# --- conversation ---


@both
def test_a_follow_up_is_searched_in_context(encoder: FakeEncoder | None) -> None:
    """A pronoun means what was spoken of last, not the paper that shares the most words."""
    made = pipeline(*THREE, encoder=encoder)
    history = (Turn("What is Quorvex?", "Quorvex is a dim lamp for owls."),)
    found = ask(made, "How bright is it?", history=history)
    assert found.hits[0].paper_id == "lamps"


def test_it_is_what_the_last_turn_named() -> None:
    """Though two other papers are about what accuracy costs, and hold more of the question's words."""
    agent, question = sample_library.model_agent(), "and what does it cost in accuracy?"
    assert not agent.ask(question).citations[0].title.startswith("Tindersift")
    for turn in (
        ("What is Tindersift?", ""),
        ("Which filter is best?", "Tindersift is. [1]"),
    ):
        assert agent.ask(question, history=[turn]).citations[0].title.startswith("Tindersift")


def test_other_papers_do_not_answer_for_the_one_that_is_meant() -> None:
    """Though one says how many were observed: Quorvex is not about them."""
    history = (Turn("What is Quorvex?", "Quorvex is a dim lamp for owls."),)
    for question in ("how many cats did it observe?", "observed sleeping?"):
        found = ask(pipeline(*THREE), question, history=history)
        assert {c.paper_id for c in found.citations} <= {"lamps"}
        assert found.hits[0].paper_id == "lamps"


def test_a_change_of_topic_is_not_held_back() -> None:
    """A question that stands alone is not dragged to the earlier topic."""
    history = (Turn("What is Quorvex?", "Quorvex is a dim lamp for owls."),)
    for question in ("Does bread rise faster on mountains?", "How many cats were observed sleeping?"):
        alone, after = ask(pipeline(*THREE), question), ask(pipeline(*THREE), question, history=history)
        assert after.hits[0] == alone.hits[0]
        assert after.citations[0] == alone.citations[0]


def test_a_question_that_matches_nothing_is_searched_in_context() -> None:
    """No paper stands out and no pronoun refers back, so the earlier turn says what is meant."""
    history = (Turn("What is Quorvex?", "Quorvex is a dim lamp for owls."),)
    alone = ask(pipeline(*THREE), "Which brightness, roughly?")
    after = ask(pipeline(*THREE), "Which brightness, roughly?", history=history)
    assert alone.hits[0].paper_id != "lamps"
    assert after.hits[0].paper_id == "lamps"


def test_a_large_library_is_read_more_deeply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many papers are read where many are close to any question."""
    papers = [Paper(f"p{n}", f"On owls, part {n}", f"Owls rest at {n} o'clock.") for n in range(40)]
    read: list[str] = []
    original = evidence.match_papers

    def counted(question: Any, papers: Any, encoded: Any) -> Any:
        read.extend(hit.paper_id for hit, _ in papers)
        return original(question, papers, encoded)

    monkeypatch.setattr(evidence, "match_papers", counted)
    for large, expected in ((False, RERANK_DEPTH), (True, LARGE_RERANK_DEPTH)):
        monkeypatch.setattr(scoring, "_SMALL", 10 if large else 5_000)
        monkeypatch.setattr(scoring, "_LARGE", 20 if large else 75_000)
        read.clear()
        ask(pipeline(*papers), "When do owls rest?")
        assert len(set(read)) == expected


def test_notes_of_the_request_reach_the_answer() -> None:
    """What was left out on the way in is told with the answer, also with an abstention."""
    for made in (pipeline(*THREE), pipeline()):
        assert "a note" in ask(made, "owls", notes=("a note",)).notes
    assert "a note" in ask(pipeline(*THREE), "owls", notes=("a note",), filters=Filters(source="x")).notes


# --- search ---


@both
def test_search_gives_snippets(encoder: FakeEncoder | None) -> None:
    """Each hit comes with a sentence of its abstract; at most ``k`` hits."""
    hits = pipeline(*THREE, encoder=encoder).search("owls accept lamp", k=2, filters=Filters())
    assert hits[0].paper_id == "lamps"
    assert len(hits) <= 2
    assert all(h.snippet and h.snippet in h.paper.abstract for h in hits)


def test_a_long_sentence_is_cut_in_a_snippet() -> None:
    """A snippet stays short and shows that it was cut."""
    long = replace(LAMPS, abstract="owl " * 500)
    (hit,) = pipeline(long).search("owl", k=1, filters=Filters())
    assert len(hit.snippet) == 300
    assert hit.snippet.endswith("…")


# --- robustness ---


@both
def test_the_same_question_gives_the_same_answer(encoder: FakeEncoder | None) -> None:
    """Twice in one pipeline and in a new one, whatever was asked in between: only timings differ."""
    made = pipeline(*sample_library.feed_papers(), encoder=encoder)
    first = {q: replace(ask(made, q), timings_ms={}) for q in sample_library.QUESTIONS}
    for question in reversed(sample_library.QUESTIONS):
        assert replace(ask(made, question), timings_ms={}) == first[question]
    fresh = pipeline(*reversed(sample_library.feed_papers()), encoder=encoder)
    for question in sample_library.QUESTIONS[:6]:
        assert replace(ask(fresh, question), timings_ms={}) == first[question]


def test_papers_read_before_are_not_encoded_again() -> None:
    """Token states are kept: the second question encodes itself and what is new."""
    encoder = FakeEncoder()
    made = pipeline(*THREE, encoder=encoder)
    ask(made, "How many lumens does Quorvex emit?")
    encoder.texts.clear()
    ask(made, "How many cats sleep?")
    assert encoder.texts == ["How many cats sleep?"]


def test_a_changed_paper_is_read_anew() -> None:
    """States kept of an earlier text are not used for the new one."""
    encoder = FakeEncoder()
    made = pipeline(LAMPS, encoder=encoder)
    ask(made, "How many lumens does Quorvex emit?")
    for changed in (
        replace(LAMPS, abstract="Quorvex emits 9 lumens. It was mended."),
        replace(LAMPS, title="Quorvex mended"),
    ):
        made._library = ExactLibrary([changed], encoder)
        fresh = pipeline(changed, encoder=FakeEncoder())
        again = [replace(ask(p, "How many lumens does Quorvex emit?"), timings_ms={}) for p in (made, fresh)]
        assert again[0] == again[1]


def test_threads_share_a_pipeline_while_states_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory for read papers is short, threads do not lose the states they are about to use."""
    monkeypatch.setattr(answer_module, "_CACHED_TEXTS", 3)

    class Slow(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> list[Any]:
            time.sleep(0.001)
            return super().encode(texts)

    made = pipeline(*sample_library.feed_papers(), encoder=Slow())
    failures: list[BaseException] = []

    def work(questions: Sequence[str]) -> None:
        try:
            for question in questions:
                ask(made, question)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(sample_library.QUESTIONS[i::4] * 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("abstract", ["", " ", "\n"])
@both
def test_a_paper_without_sentences_breaks_nothing(encoder: FakeEncoder | None, abstract: str) -> None:
    """No feed admits such a paper, but a library may hold one: it is retrieved and cited by nobody."""
    empty = Paper("empty", "Quorvex lumens", abstract)
    for papers in ((empty,), (empty, *THREE)):
        found = ask(pipeline(*papers, encoder=encoder), "How many lumens does Quorvex emit?")
        assert "empty" not in cited(found)
        assert (found.status == "abstained") == (len(papers) == 1)


_TEXT = st.text(min_size=1, max_size=60).filter(str.strip)
_QUESTION = _TEXT.filter(words)
_PAPERS = st.lists(
    st.tuples(_TEXT, st.lists(_TEXT, min_size=1, max_size=4).map(". ".join)), min_size=1, max_size=4
)


@settings(deadline=None)
@given(_PAPERS, _QUESTION, st.booleans())
def test_any_question_over_any_papers(texts: list[tuple[str, str]], question: str, encoded: bool) -> None:  # noqa: FBT001
    """Whatever the papers and the question hold, there is an answer and every citation is true.

    `citations.verify` runs inside and raises otherwise.
    """
    papers = [Paper(str(i), title, abstract) for i, (title, abstract) in enumerate(texts)]
    found = ask(pipeline(*papers, encoder=FakeEncoder() if encoded else None), question)
    assert found.status in {"answered", "doubtful", "abstained"}
    for c in found.citations:
        assert papers[int(c.paper_id)].abstract[c.start : c.end] == c.quote
    assert found.to_dict()["question"] == question
