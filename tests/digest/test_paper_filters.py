"""Which papers a subscriber never gets, and which always: exclusions and followed authors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from weeks import arrival, paper, selector, week

from paperagent.digest.issue import Selection
from paperagent.digest.preferences import Preferences
from paperagent.digest.render.view import describe_reason
from paperagent.digest.select.filters import PaperFilters
from paperagent.types import Paper

CACHE = Preferences(interests=("cache compression",))


def ids(selection: Selection) -> set[str]:
    """Return the ids of the papers that an issue shows or mentions."""
    return {c.paper.paper_id for c in selection.items} | {p.paper_id for p in selection.also}


def excluded(papers: Iterable[Paper], *phrases: str) -> list[bool]:
    """Return which of some papers are excluded by ``phrases``."""
    return [bool(x) for x in PaperFilters(list(papers)).excluded(Preferences(exclude=phrases))]


@pytest.mark.parametrize(
    ("phrase", "title", "abstract", "is_excluded"),
    [
        ("medical", "Medical image segmentation", "We segment.", True),
        ("Medical", "Segmentation", "Tested on MEDICAL images.", True),
        ("robot", "Robotic arms", "They move.", True),
        ("autonomous driving", "Planning for autonomous-driving cars", "", True),
        ("autonomous driving", "Driving is autonomous", "Autonomous cars are driving.", False),
        ("driving cars", "Autonomous driving", "Cars are slow.", False),  # not across title and abstract
        ("art", "State of the arts", "", True),
        ("art", "Article classification", "A party is smart.", False),
        ("graph", "Paragraphs", "Geography.", False),
        ("C++", "C programs", "", True),
    ],
)
def test_a_phrase_excludes_what_mentions_it(
    phrase: str, title: str, abstract: str, *, is_excluded: bool
) -> None:
    """Whole words in any inflected form, next to each other, in the title or in the abstract."""
    assert excluded([Paper("1", title, abstract)], phrase) == [is_excluded]


def test_a_category_excludes_by_the_primary_one() -> None:
    """What is cross-listed under it stays; an archive stands for its categories."""
    papers = [
        Paper("1", "One", "…", categories=("cs.CV", "cs.CL")),
        Paper("2", "Two", "…", categories=("cs.CL", "cs.CV")),
        Paper("3", "Three", "…", categories=("math.CO",)),
        Paper("4", "Four", "…"),
    ]
    assert excluded(papers, "cs.cv") == [True, False, False, False]
    assert excluded(papers, "cs", "math") == [True, True, True, False]


def test_what_is_excluded_is_nowhere_in_the_issue() -> None:
    """Neither chosen nor noticed, for an interest or without one; another subscriber still gets it."""
    papers = [
        replace(p, abstract=f"{p.abstract} Tested in hospitals." if n % 3 == 0 else p.abstract)
        for n, p in enumerate(week(["cache compression", "coral bleaching"], each=15))
    ]
    hospital = {p.paper_id for p in papers if "hospitals" in p.abstract}
    chosen = selector([arrival(p) for p in papers])
    for preferences in (CACHE, Preferences(), Preferences(authors=("Nobody Else",))):
        assert not ids(chosen.select(replace(preferences, exclude=("hospital",)))) & hospital
    assert ids(chosen.select(CACHE)) & hospital


DOE = ("Ann Ox", "Zoë Müller-Doe")


@pytest.mark.parametrize("name", ["Zoe Muller-Doe", "Z. Müller-Doe", "Müller-Doe, Zoë", "zoë müller doe"])
def test_a_followed_author_is_always_chosen(name: str) -> None:
    """Off topic, in another category, and before all others; the reason is the name as it was given."""
    papers = week(["cache compression"], each=30)
    theirs = replace(paper(900, "coral bleaching", authors=DOE), categories=("q-bio.PE",))
    chosen = selector([arrival(p) for p in [*papers, theirs]])
    preferences = Preferences(CACHE.interests, (), ("cs",), max_items=4, authors=(name, "Max Nobody"))
    issue = chosen.select(preferences)
    items = sorted(issue.items, key=lambda item: -item.score)
    assert (items[0].paper, len(items)) == (theirs, 4)
    assert describe_reason(items[0].reason, issue.period) == f"By {name}"
    assert {i.reason.kind for i in items[1:]} == {"interest"}


@pytest.mark.parametrize("name", ["Anna Ox", "Z. Doe Smith", "Ann Doe"])
def test_another_author_is_not_followed(name: str) -> None:
    """No word of a name is shared between two authors of one paper."""
    theirs = paper(900, "coral bleaching", authors=DOE)
    assert ids(selector([arrival(theirs)]).select(Preferences(authors=(name,)))) == set()


def test_an_author_alone_is_no_general_issue() -> None:
    """Who follows authors only gets their papers; with a category, its topics too."""
    theirs = paper(900, "coral bleaching", authors=DOE)
    chosen = selector([arrival(p) for p in [*week(), theirs]])
    followed = Preferences(authors=("Zoë Müller-Doe",))
    assert ids(chosen.select(followed)) == {theirs.paper_id}
    assert len(ids(chosen.select(replace(followed, categories=("cs.CL",))))) > 8


def test_an_exclusion_wins_over_a_followed_author() -> None:
    """It is a promise; and what was shown before is not shown again either."""
    theirs = paper(900, "coral bleaching", authors=DOE)
    chosen = selector([arrival(theirs)])
    followed = Preferences(authors=("Zoë Müller-Doe",))
    assert ids(chosen.select(replace(followed, exclude=("bleaching",)))) == set()
    assert ids(chosen.select(replace(followed, seen=frozenset({theirs.paper_id})))) == set()


def test_many_papers_of_one_author_keep_to_the_limit() -> None:
    """However many interests and authors there are, theirs come first."""
    theirs = [paper(900 + n, "coral bleaching", authors=DOE) for n in range(9)]
    chosen = selector([arrival(p) for p in [*week(["cache compression"], each=30), *theirs]])
    authors = ("Zoë Müller-Doe", *(f"Ann Ox {n}" for n in range(19)))
    interests = tuple(f"cache compression {n}" for n in range(20))
    issue = chosen.select(Preferences(interests, max_items=9, authors=authors))
    assert {c.paper.paper_id for c in issue.items} == {p.paper_id for p in theirs}
