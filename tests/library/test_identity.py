"""When two records are one paper, and what it then says."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_helpers import paper
from paperagent.library import identity

LONG = "We show that a long enough abstract can be recognised when a feed has cut it off before its end."
CUT = "We show that a long enough abstract can be recognised when a feed has c…"
PLAIN = replace(paper(1), abstract=LONG)


def other_feed(**changes: object) -> identity.Paper:
    """Return `PLAIN` as another feed without ids has it."""
    fresh = {
        "paper_id": "sha256:abc",
        "arxiv_id": None,
        "sources": ("other",),
        "published": None,
        "url": None,
    }
    return replace(PLAIN, **{**fresh, **changes})  # type: ignore[arg-type]


def test_every_field_counts_for_the_record_hash() -> None:
    """A record that differs in any field is another record."""
    changes = {
        "title": "x",
        "abstract": "x",
        "authors": ("x",),
        "published": dt.date(2020, 1, 1),
        "updated": dt.date(2020, 1, 1),
        "listed": dt.date(2020, 1, 1),
        "categories": (),
        "url": None,
        "doi": "10.1/x",
        "version": 3,
        "sources": ("x",),
        "upvotes": 1,
        "withdrawn": True,
        "flags": ("x",),
        "ids": ("acl:x",),
    }
    hashes = {identity.record_hash(replace(PLAIN, **{k: v})) for k, v in changes.items()}  # type: ignore[arg-type]
    assert len(hashes | {identity.record_hash(PLAIN)}) == len(changes) + 1


@pytest.mark.parametrize(
    ("abstract", "same"),
    [
        (LONG, True),
        (LONG.upper(), True),
        (LONG.replace("a long", "the long"), True),
        (CUT, True),
        (LONG + " And one more sentence follows here.", True),
        ("Something else entirely is studied in this abstract, which shares only its title.", False),
        ("We show that", False),
        ("", False),
    ],
)
def test_abstracts_agree_when_one_is_the_others_rendering(abstract: str, same: bool) -> None:  # noqa: FBT001 - a table
    """Case, small edits and cuts make no other paper; other content and a few words do."""
    assert identity.same_text(PLAIN, replace(PLAIN, abstract=abstract)) is same


def test_two_real_ids_contradict() -> None:
    """Different arXiv ids, or different DOIs, are different papers; a missing one contradicts nothing."""
    assert identity.contradict(PLAIN, paper(2))
    assert identity.contradict(replace(PLAIN, doi="10.1/a"), replace(PLAIN, doi="10.1/b"))
    assert not identity.contradict(PLAIN, other_feed(doi="10.1/a"))


def test_a_cut_abstract_never_replaces_a_whole_one() -> None:
    """The whole text stands, whichever comes first."""
    assert identity.merge(PLAIN, other_feed(abstract=CUT)).abstract == LONG
    assert identity.merge(other_feed(abstract=CUT), PLAIN).abstract == LONG


def test_the_newer_version_stands_whatever_the_order() -> None:
    """Version numbers, else days of update, decide."""
    old, new = replace(PLAIN, version=1), replace(PLAIN, version=2, abstract="The second version says more.")
    assert identity.merge(old, new).abstract == new.abstract
    assert identity.merge(new, old).abstract == new.abstract
    before = replace(PLAIN, updated=dt.date(2026, 1, 1))
    after = replace(PLAIN, updated=dt.date(2026, 2, 1), abstract="Another day, another abstract.")
    assert identity.merge(after, before).abstract == after.abstract


def test_a_text_of_no_known_version_never_replaces_one_that_has_it() -> None:
    """Whichever comes first, and also where the feed without versions speaks again of a paper it knew."""
    first = other_feed(abstract=LONG.upper())
    second = replace(PLAIN, version=2, updated=dt.date(2026, 2, 1), abstract=LONG + " The second says more.")
    for held in (identity.merge(first, second), identity.merge(second, first)):
        assert (held.abstract, held.version) == (second.abstract, 2)
        again = identity.merge(held, replace(first, upvotes=5))
        assert (again.abstract, again.version, again.upvotes) == (second.abstract, 2, 5)


def test_a_notice_of_withdrawal_is_not_covered_by_the_former_abstract() -> None:
    """A feed that knows of none has changed its upvotes only."""
    first = other_feed(abstract=LONG)
    gone = replace(PLAIN, version=2, withdrawn=True, abstract="This paper has been withdrawn by its author.")
    held = identity.merge(identity.merge(first, gone), replace(first, upvotes=5))
    assert (held.abstract, held.withdrawn) == (gone.abstract, True)


def test_of_two_feeds_without_versions_the_first_rendering_stands() -> None:
    """Also when the second speaks again, although the paper is known from it."""
    held = identity.merge(PLAIN, other_feed(abstract=LONG.upper()))
    assert identity.merge(held, other_feed(abstract=LONG.upper(), upvotes=5)).abstract == LONG


def test_the_same_feed_may_change_its_text() -> None:
    """Without dates the last word of a feed on its own paper stands, longer or shorter."""
    shorter = replace(PLAIN, abstract=LONG[:60])
    assert identity.merge(PLAIN, shorter).abstract == LONG[:60]


def test_another_feeds_rendering_changes_nothing() -> None:
    """Texts that agree do not replace each other for ever in turn."""
    assert identity.merge(PLAIN, other_feed(abstract=LONG.upper())).abstract == LONG


def test_real_ids_win_and_gaps_are_filled() -> None:
    """A paper known by content gets the arXiv id, address and days of the record that has them."""
    first = other_feed(listed=dt.date(2026, 3, 1), first_seen=dt.date(2026, 3, 2))
    merged = identity.merge(first, replace(PLAIN, first_seen=dt.date(2026, 4, 1)))
    assert merged.paper_id == merged.arxiv_id == PLAIN.arxiv_id
    assert merged.sources == ("other", "test-feed")
    assert (merged.published, merged.listed) == (PLAIN.published, dt.date(2026, 3, 1))
    assert merged.first_seen == dt.date(2026, 3, 2)
    assert merged.url == PLAIN.url
    assert identity.merge(replace(first, authors=()), PLAIN).authors == PLAIN.authors


def test_tags_hold_each_category_with_its_archive_each_feed_and_the_names_of_authors() -> None:
    """Filters find `cs.CL` by `cs` too, and an author by any word of the name, in any case."""
    tagged = replace(PLAIN, categories=("cs.CL", "Math"), sources=("A feed",))
    assert set(identity.tags(tagged)) == {"c:cs.cl", "c:cs", "c:math", "s:A feed", "a:ada", "a:example"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"title": "  "}, "no title"),
        ({"title": "t" * 6_000}, "title too long"),
        ({"abstract": "word " * 100_000}, "abstract too long"),
        ({"abstract": "lone \ud800 surrogate"}, "text is not valid Unicode"),
        ({"authors": ("N\0l",)}, "text is not valid Unicode"),
        ({"ids": ("acl:\0",)}, "text is not valid Unicode"),
        ({"upvotes": 2**63}, "number out of range"),
        ({}, None),
    ],
)
def test_records_that_no_index_can_hold_have_a_reason(changes: dict[str, object], reason: str | None) -> None:
    """Each fault has one short reason, so that it can be counted."""
    assert identity.unfit(replace(PLAIN, **changes)) == reason  # type: ignore[arg-type]


TEXTS = st.sampled_from(
    [LONG, CUT, LONG.upper(), "Other words in another abstract, long enough to count as one."]
)
RECORDS = st.builds(
    lambda text, version, day, feed, arxiv: replace(
        PLAIN,
        abstract=text,
        version=version,
        updated=day,
        sources=(feed,),
        arxiv_id=PLAIN.arxiv_id if arxiv else None,
        paper_id=PLAIN.paper_id if arxiv else "sha256:x",
    ),
    TEXTS,
    st.none() | st.integers(1, 3),
    st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3)),
    st.sampled_from(["a", "b"]),
    st.booleans(),
)


@given(RECORDS, RECORDS)
def test_merging_is_idempotent_and_loses_no_fact(one: identity.Paper, two: identity.Paper) -> None:
    """Merging twice is merging once; ids, feeds and the newest version number survive."""
    merged = identity.merge(one, two)
    assert identity.merge(merged, merged) == merged
    assert merged.arxiv_id == (one.arxiv_id or two.arxiv_id)
    assert set(merged.sources) == {*one.sources, *two.sources}
    assert merged.abstract in (one.abstract, two.abstract)
    whole = CUT not in (one.abstract, two.abstract)  # a cut newer text leaves the older version standing
    if whole and one.version and two.version and one.version != two.version:
        assert merged.version == max(one.version, two.version)


@given(st.lists(RECORDS.filter(lambda r: r.abstract != CUT), min_size=1, max_size=6))
def test_the_newest_version_stands_in_any_order(records: list[identity.Paper]) -> None:
    """However often, by whichever feed and between whatever records without versions it is read."""
    records = [replace(r, updated=None, paper_id=PLAIN.paper_id, arxiv_id=PLAIN.arxiv_id) for r in records]
    held = reduce(identity.merge, records)
    newest = max(r.version or 0 for r in records)
    assert held.abstract in {r.abstract for r in records if (r.version or 0) == newest}
    assert held.version == (newest or None)


def test_a_withdrawal_by_one_feed_is_not_undone_by_another() -> None:
    """Feeds that know of no withdrawals say nothing against one; a newer version does."""
    gone = replace(PLAIN, withdrawn=True, version=1)
    assert identity.merge(gone, other_feed()).withdrawn
    assert identity.merge(replace(PLAIN, version=1), other_feed(withdrawn=True)).withdrawn
    assert not identity.merge(gone, replace(PLAIN, version=2)).withdrawn
    assert not identity.merge(gone, replace(PLAIN, version=1)).withdrawn


def test_a_retraction_stands_for_good() -> None:
    """Neither a newer version nor another feed reverts the publisher's retraction."""
    retracted = other_feed(withdrawn=True, flags=("retracted",), doi="10.1/x", version=1)
    newer = replace(PLAIN, doi="10.1/x", version=2)
    assert identity.merge(replace(retracted, flags=()), newer).withdrawn is False  # a mere withdrawal ends
    for merged in (identity.merge(retracted, newer), identity.merge(PLAIN, retracted)):
        assert merged.withdrawn
        assert "retracted" in merged.flags


def test_a_whole_day_is_better_than_a_year() -> None:
    """The first of January that stands for a year gives way to a later day that is known."""
    year = other_feed(published=dt.date(2025, 1, 1), flags=("partial-date",))
    day = replace(PLAIN, published=dt.date(2025, 6, 1))
    for merged in (identity.merge(year, day), identity.merge(day, year)):
        assert (merged.published, merged.flags) == (day.published, ())
    assert identity.merge(year, year).flags == ("partial-date",)


def test_an_id_that_a_service_gave_is_no_name_of_the_paper() -> None:
    """The paper goes by arXiv id, DOI or text; the service's own id remains an alias."""
    given = other_feed(paper_id="acl:2026.acl-long.1")
    assert identity.with_best_id(given).paper_id.startswith("sha256:")
    assert "id:acl:2026.acl-long.1" in identity.aliases(given)
    assert identity.with_best_id(replace(given, doi="10.1/x")).paper_id == "doi:10.1/x"


def test_a_readable_id_stays_when_the_paper_is_merged() -> None:
    """Neither another text nor an id of a service replaces it; an arXiv id does."""
    slug = replace(PLAIN, paper_id="tindersift-c2002f86", arxiv_id=None, doi=None)
    page = replace(slug, paper_id="sha256:" + "0" * 32)
    assert identity.merge(slug, page).paper_id == slug.paper_id
    assert identity.merge(page, slug).paper_id == page.paper_id  # of an existing library
    assert identity.merge(slug, replace(page, arxiv_id="2601.00001")).paper_id == "2601.00001"
