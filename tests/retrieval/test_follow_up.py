"""What a question refers to among the papers that were cited earlier."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from paperagent.retrieval import follow_up
from paperagent.retrieval.conversation import Turn
from paperagent.retrieval.follow_up import BONUS, resolve
from paperagent.retrieval.question_form import reference_strength, without_switch
from paperagent.retrieval.scoring import CorpusStats
from paperagent.types import Hit, Paper

PAPERS = {
    "owl": Paper("owl", "Owlet: A Lamp for Owls", "Owlet shines in QuietWood and needs 3 candles."),
    "bat": Paper("bat", "Batwing: A Horn for Bats", "Batwing sounds at night."),
    "cat": Paper("cat", "Purring of Cats", "Cats purr. Owls do not."),
    "dog": Paper("dog", "Barkline: Dogs in a Queue", "Barkline barks."),
}
LIST = Turn("papers on animals", "…", ("owl", "owl", "bat", "bat", "cat", "cat"), ("owl", "bat", "cat"))
ABOUT_DOG = Turn("What is Barkline?", "…", ("dog", "dog", "dog", "dog", "cat"), ("dog", "cat"))
ABSTAINED = Turn("Who won the cup in 1998?", "…", ("bat",), ("bat",), answered=False)


@pytest.mark.parametrize(
    ("question", "strength"),
    [
        ("how large is it?", "fragment"),
        ("and the results?", "fragment"),
        ("why?", "fragment"),
        ("with how many examples?", "fragment"),
        ("which datasets?", "fragment"),
        ("wie groß ist es?", "fragment"),
        ("which of them did people like best?", "fragment"),
        ("welche Lampen waren das?", "fragment"),
        ("¿de qué tamaños?", "fragment"),
        ("用了多少支蜡烛？", "fragment"),
        ("猫头鹰的灯在浓雾弥漫的冬夜里能亮多久，又需要多少支蜡烛？", "none"),
        ("gibt es Lampen für Katzen?", "none"),
        ("how many candles does that need", "fragment"),
        ("what should we do instead then", "strong"),
        ("did the vets and keepers of the zoo like it?", "strong"),
        ("what abt candles on windy nights", "strong"),
        ("params", "strong"),
        ("how do they compare with copper horns or brass?", "strong"),
        ("what does waxing the wings bring?", "medium"),
        ("how do owls express their hunger?", "medium"),
        ("what is knowledge distillation?", "none"),
        ("which papers are about owls?", "none"),
        ("is there a lamp for cats?", "none"),
        ("do keepers write more diaries now that zoos offer tools for them?", "none"),
        ("Which lamp for owls shines through thick fog in the winter months?", "none"),
    ],
)
def test_the_form_says_whether_a_question_refers_back(question: str, strength: str) -> None:
    assert reference_strength(question) == strength


@pytest.mark.parametrize(
    ("question", "paper"),
    [
        ("in the first one, how many candles?", "owl"),
        ("and the second, is it loud?", "bat"),
        ("second paper: how loud?", "bat"),
        ("what does the last one say?", "cat"),
        ("[3] is it loud?", "bat"),
        ("source 1 please", "owl"),
        ("more on paper 3", "cat"),
    ],
)
def test_numbers_and_order_name_a_paper(question: str, paper: str) -> None:
    """[3] counts sentences as the answer does; "the second one" counts papers."""
    assert resolve(question, (LIST,), PAPERS).bonus == {paper: BONUS["exact"]}


def test_the_other_one_is_not_the_one_of_the_last_turn() -> None:
    two = Turn("lamps or horns?", "…", ("owl", "bat"), ("owl", "bat"))
    last = Turn("is the first bright?", "…", ("owl",), ("owl",))
    assert resolve("and the other one?", (two, last), PAPERS).bonus == {"bat": BONUS["exact"]}


@pytest.mark.parametrize(
    "question", ["[9] is it loud?", "the fifth one?", "paper 0?", "the first epoch of training?"]
)
def test_numbers_that_name_no_paper(question: str) -> None:
    assert resolve(question, (LIST,), PAPERS).strength != "exact"


def test_it_is_the_paper_that_was_cited_most() -> None:
    """The last turn counts more than the one before, and a paper cited once less than the main one."""
    bonus = resolve("how large is it?", (LIST, ABOUT_DOG), PAPERS).bonus
    assert bonus["dog"] == BONUS["fragment"]
    assert bonus["owl"] == bonus["bat"] == bonus["cat"] == BONUS["fragment"] / 2
    assert "owl" not in resolve("how large is it?", (LIST, ABOUT_DOG, ABOUT_DOG), PAPERS).bonus


def test_the_one_with_something_picks_from_an_older_list() -> None:
    bonus = resolve("the one with the horn?", (LIST, ABOUT_DOG, ABOUT_DOG), PAPERS).bonus
    assert bonus["bat"] > 0


def test_the_one_with_something_may_be_a_paper_that_was_found_but_not_cited() -> None:
    found = Turn("lamps", "…", ("owl",), ("owl",), retrieved=("owl", "cat"))
    bonus = resolve("the one that purrs?", (found, replace(found, question="is it loud?")), PAPERS).bonus
    assert bonus["owl"] > bonus["cat"] > 0


def test_the_first_one_of_a_single_paper() -> None:
    single = Turn("lamps", "…", ("owl",), ("owl",))
    assert resolve("first one: is it bright?", (single,), PAPERS).bonus == {"owl": BONUS["exact"]}


def test_a_short_question_stays_with_the_paper_unless_another_clearly_leads() -> None:
    """A phrase that is not a question, such as a topic, does not."""
    question = "which part of the wing is touched?"
    assert resolve(question, (ABOUT_DOG,), PAPERS, "owl", 0.1).is_clear
    assert not resolve(question, (ABOUT_DOG,), PAPERS, "owl", 0.5).is_clear
    assert not resolve("recipe for sourdough bread", (ABOUT_DOG,), PAPERS, "owl", 0.1).is_clear
    assert not resolve(
        "ok and how long do the candles of lamps burn?", (ABOUT_DOG,), PAPERS, "owl", 0.5
    ).bonus


def test_a_paper_that_a_follow_up_brings_in_counts_less_than_the_one_before() -> None:
    follow = replace(ABOUT_DOG, question="how loud is it?")
    bonus = resolve("how large is it?", (Turn("cats", "…", ("cat",), ("cat",)), follow), PAPERS).bonus
    assert bonus["cat"] > bonus["dog"]


def test_a_name_picks_the_paper_that_has_it() -> None:
    bonus = resolve("is it dark in QuietWood?", (LIST,), PAPERS).bonus
    assert bonus["owl"] > 2 * bonus["bat"]


def test_a_name_that_a_cited_paper_has_makes_a_short_question_clear() -> None:
    """Also a size such as 70B."""
    lamp = replace(PAPERS["owl"], abstract="Owlet-70B shines. The 70B version wins.")
    question = "how bright is the 70B version"
    assert resolve(question, (LIST,), {**PAPERS, "owl": lamp}).is_clear
    assert not resolve(question, (LIST,), PAPERS).is_clear


def test_a_question_that_fits_a_cited_paper_best_refers_to_it() -> None:
    question = "numbers for the brightness part with candles?"
    assert not resolve(question, (LIST,), PAPERS, "dog").is_clear
    assert resolve(question, (LIST,), PAPERS, "owl").is_clear


@pytest.mark.parametrize(
    ("question", "stripped"),
    [
        ("different topic: how do cats purr?", "how do cats purr?"),
        ("ok, another question - how large is it?", "how large is it?"),
        ("now something else. is there a lamp?", "is there a lamp?"),
        ("on a different note, is it loud?", "is it loud?"),
        ("another question about lamps", "another question about lamps"),
        ("different topics in owl research", "different topics in owl research"),
    ],
)
def test_a_marked_change_of_topic_frees_the_papers(question: str, stripped: str) -> None:
    assert without_switch(question) == stripped
    if stripped != question:
        assert resolve(question, (LIST,), PAPERS) == follow_up.Reference()


def test_a_successor_is_searched_for_beside_the_paper_cited_last() -> None:
    reference = resolve("and the follow-up paper, what is new there?", (LIST, ABOUT_DOG), PAPERS)
    assert reference.beside == "dog"
    assert reference.bonus["dog"] < 0


def test_a_new_name_frees_the_papers() -> None:
    """Not with a pronoun: "does it beat Hootline?" asks about the old paper."""
    assert resolve("and Hootline-7?", (LIST,), PAPERS).bonus == {}
    reference = resolve("does it beat Hootline-7?", (LIST,), PAPERS)
    assert reference.bonus["owl"] == BONUS["strong"]


def test_german_nouns_are_not_names() -> None:
    assert resolve("wie viele Kerzen braucht es?", (ABOUT_DOG,), PAPERS).bonus["dog"] == BONUS["fragment"]


def test_a_pasted_abstract_frees_the_papers() -> None:
    assert resolve("We present it. " * 30, (LIST,), PAPERS).bonus == {}


def test_after_an_abstention() -> None:
    """On a new topic, the closest passages count; after a follow-up, the papers before it still do."""
    assert resolve("how large is it?", (ABOUT_DOG, ABSTAINED), PAPERS).bonus.keys() == {"bat"}
    follow = replace(ABSTAINED, question="what did it cost?")
    assert resolve("how large is it?", (ABOUT_DOG, follow), PAPERS).bonus["dog"] == BONUS["fragment"]


def test_other_papers_are_not_the_cited_ones() -> None:
    reference = resolve("any other papers on that?", (ABOUT_DOG,), PAPERS)
    assert reference.bonus["dog"] < 0
    assert reference.needs_context
    assert not reference.is_clear


def test_papers_that_are_gone_are_not_referred_to() -> None:
    assert resolve("how large is it?", (ABOUT_DOG,), {"cat": PAPERS["cat"]}).bonus.keys() == {"cat"}
    assert resolve("how large is it?", (), PAPERS).strength == "none"


def test_a_title_is_named_in_any_case_if_it_is_rare() -> None:
    stats = CorpusStats(1_000, 100.0, {"batw": 1, "guid": 80})
    assert follow_up.names_loosely("and what about batwing?", "Batwing: A Horn", stats)
    assert not follow_up.names_loosely("and what about batwings?", "Batwing: A Horn", stats)
    assert not follow_up.names_loosely("is there a guide?", "GUIDE: A Lamp", stats)
    assert not follow_up.names_loosely("purring of cats", "Purring of Cats", stats)


def test_turns_of_text_get_the_papers_that_they_name() -> None:
    """In the order of the text; without names, the paper that stands out."""
    hits = [
        Hit(PAPERS[i], score, 1) for i, score in (("cat", 0.5), ("owl", 0.45), ("bat", 0.44), ("dog", 0.43))
    ]
    named = Turn("animals?", "Batwing is loud, Owlet is not.")
    (turn,) = follow_up.with_papers((named,), lambda _text: hits)
    assert turn.papers == ("bat", "owl")
    vague = Turn("animals?", "There are some.")
    assert follow_up.with_papers((vague,), lambda _text: hits)[0].papers == ()
    lead = [replace(hits[0], score=0.9), *hits[1:]]
    assert follow_up.with_papers((vague, LIST), lambda _text: lead) == (replace(vague, papers=("cat",)), LIST)


@pytest.mark.parametrize(
    "unit", ["the ", "that model ", "which of ", "and ", "it ", "Aa1-", "[1]", "is there "]
)
def test_hostile_questions_take_no_time(unit: str) -> None:
    begin = time.process_time()
    question = unit * (8_000 // len(unit))
    reference_strength(question)
    resolve(question, (LIST,), PAPERS)
    resolve(question[:299], (LIST,), PAPERS)
    assert time.process_time() - begin < 1


def test_a_paper_that_introduces_the_name_is_meant() -> None:
    """By a name in its abstract; but not if a cited paper has the name too, as that of a baseline."""
    stats = CorpusStats(10_000, 100.0, {"night": 40, "owl": 60})
    abstract = "We build a dataset, Night-Owl, of songs. We train it on FogBank with GPT-9."
    assert follow_up.names_introduced(abstract, stats) == ["Night-Owl"]
    assert follow_up.names_introduced("We present a nest, called TWIG (TWIG).", stats) == ["TWIG", "TWIG"]
    assert (
        follow_up.names_introduced(
            "We present an agent of GPT-9.", CorpusStats(99, 9.0, {"gpt": 50, "9": 50})
        )
        == []
    )


def test_the_subject_can_be_something_of_the_cited_paper() -> None:
    sings = Paper("dog", "Barkline: Dogs in a Queue", "Barkline barks after brief training.")
    question = "how many gallons of warm goat milk did the training take?"
    assert resolve(question, (ABOUT_DOG,), {"dog": sings}).bonus == {"dog": BONUS["strong"]}
    assert resolve(question, (ABOUT_DOG,), {"dog": PAPERS["dog"]}).bonus == {}


def test_the_third_one_can_be_an_item_of_the_answer() -> None:
    turn = replace(ABOUT_DOG, answer="Barkline has (1) Howl, (2) Growl, (3) WhineMaker, and (4) Yelp. [1]")
    question = "what is the third one exactly"
    assert follow_up.with_item(question, (turn,)) == f"{question} WhineMaker"
    assert follow_up.with_item("and the last one?", (turn,)) == "and the last one? Yelp"
    assert follow_up.with_item("the sixth one?", (turn,)) == "the sixth one?"
    assert follow_up.with_item("how large is it?", (turn,)) == "how large is it?"
    roman = replace(ABOUT_DOG, answer="It (i) sits: quietly, and (ii) stays. [1]")
    assert follow_up.with_item("the second one?", (roman,)) == "the second one? stays"
    found = replace(ABOUT_DOG, retrieved=("bat", "owl"))
    assert set(resolve(question, (found,), PAPERS).bonus) == {"dog", "cat"}


def test_the_first_paper_of_an_answer_comes_first() -> None:
    """However many sentences the others have."""
    turn = replace(ABOUT_DOG, citations=("cat", "dog", "dog", "dog"), papers=("cat", "dog"))
    assert resolve("how large is it?", (turn,), PAPERS).bonus["cat"] == BONUS["fragment"]
