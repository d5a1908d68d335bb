"""A library on a server: quotas, faults, the key, words and vectors fused, shares, several at once."""

from __future__ import annotations

import datetime as dt
import json
import logging
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_chroma import KEY, FakeChroma, Fault
from test_filtered_search import FILTERS

from library_helpers import (
    ENVIRONMENT,
    TODAY,
    FakeEmbedder,
    ServerPlace,
    candidate_ids,
    fill,
    ingest,
    paper,
    papers,
)
from paperagent.errors import ConfigError, InputError, StoreError
from paperagent.library import Shard, content_hash
from paperagent.library.server import ServerAddress, ServerStore
from paperagent.library.server import papers as server_papers
from paperagent.library.server.client import CLOUD_QUOTAS, Collection
from paperagent.library.server.records import record_from_paper
from paperagent.text.terms import index_terms
from paperagent.types import Filters, Paper, Skipped

if TYPE_CHECKING:
    from paperagent.types import Vector

EMBEDDER = FakeEmbedder()


@pytest.fixture
def cloud() -> Iterator[FakeChroma]:
    """Return a server with Cloud's quotas, key and Search API."""
    with FakeChroma() as fake:
        yield fake


def address(fake: FakeChroma, key: str | None = KEY) -> ServerAddress:
    """Return the fake's address as that of a Cloud database."""
    return ServerAddress(fake.url, "team", "papers", key, CLOUD_QUOTAS, cloud=True)


def opened(
    fake: FakeChroma, *, key: str | None = KEY, create: bool = True, timeout: float = 10
) -> ServerStore:
    """Return a library on the fake; retries do not wait."""
    where = address(fake, key) if fake.cloud else ServerAddress(fake.url)
    return ServerStore(where, home=Path(), create=create, timeout=timeout, sleep=lambda _: None)


@pytest.fixture
def own(chroma_url: str, tmp_path: Path) -> ServerPlace:
    """Return a place on the Chroma server of this machine."""
    return ServerPlace(chroma_url, tmp_path, f"s{uuid.uuid4().hex[:12]}")


# --- quotas ---


def test_no_request_breaks_a_quota_of_cloud(cloud: FakeChroma) -> None:
    """Batches of 300, long ids and long author lists: every write and read keeps to the limits."""
    authors = tuple(f"Author Number {n} of the Great Collaboration" for n in range(1_320))
    odd = [
        paper(2_000, authors=authors),
        paper(2_001, paper_id="sha256:" + "x" * 300, arxiv_id=None),
    ]
    with opened(cloud) as store:
        report = ingest(store, [*papers(700), *odd])
        assert (report.new, report.skipped) == (702, {})
        assert store.embed_pending(EMBEDDER) == (702, 0)
        assert store.get(odd[0].paper_id) == replace(odd[0], first_seen=TODAY)
        assert store.get(odd[1].paper_id) == replace(odd[1], first_seen=TODAY)
        assert len(list(store.papers())) == 702
        assert store.doctor().ok
    writes = [len(s.body["ids"]) for s in cloud.seen if s.path.endswith("/upsert")]
    assert max(writes) == 300


def test_what_cloud_cannot_hold_is_skipped_with_a_reason(cloud: FakeChroma) -> None:
    """A document beyond 16,384 bytes stops nothing else; a server of one's own takes it."""
    long = paper(1, abstract="word " * 4_000)
    with opened(cloud) as store:
        report = store.ingest([long, paper(2), Skipped("line 3", "no abstract")], today=TODAY)
    assert report.skipped == {"text too long for the server": 1, "no abstract": 1}
    assert report.new == 1
    with FakeChroma(cloud=False) as single, opened(single) as store:
        assert ingest(store, [long]).new == 1


# --- the key ---


def test_the_key_goes_into_one_header_and_nowhere_else(
    cloud: FakeChroma, caplog: pytest.LogCaptureFixture
) -> None:
    """Not into an address, a body, a log or an error; a server of one's own gets it as a bearer token."""
    caplog.set_level(logging.DEBUG)
    with opened(cloud) as store:
        fill(store, 5, embedder=EMBEDDER)
        assert KEY not in repr(address(cloud)) + str(store.status())
    for request in cloud.seen:
        assert request.headers["x-chroma-token"] == KEY
        assert KEY not in request.path + json.dumps(request.body)
    assert KEY not in caplog.text
    assert ServerAddress.parse("http://127.0.0.1:1", key="k").headers() == {"Authorization": "Bearer k"}


def test_an_error_that_echoes_the_key_is_masked(cloud: FakeChroma) -> None:
    """A server that repeats what it was sent does not get the key into a message."""
    cloud.faults.append(Fault(400, json.dumps({"message": f"bad token {KEY}"}).encode()))
    with pytest.raises(StoreError, match=r"bad token \*\*\*") as caught:
        opened(cloud)
    assert KEY not in str(caught.value)


def test_a_wrong_key_names_its_setting(cloud: FakeChroma) -> None:
    """And is not tried again."""
    with pytest.raises(StoreError, match="401, it refused the key; check PAPERAGENT_CHROMA_KEY"):
        opened(cloud, key="wrong")
    assert len(cloud.seen) == 1


def test_cloud_without_a_key_is_a_fault_of_the_settings() -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="PAPERAGENT_CHROMA_KEY"):
        ServerAddress.parse("cloud://team/papers")
    parsed = ServerAddress.parse("cloud://team/papers", key="k")
    assert (parsed.base, parsed.tenant, parsed.database) == ("https://api.trychroma.com", "team", "papers")
    assert parsed.name == "cloud://team/papers"


# --- faults ---


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, b'{"message": "slow down"}', {"Retry-After": "1"}),
        Fault(503, b"<html>busy</html>"),
        Fault(200, b'{"cut": '),
        Fault(200, b"[]", cut=True),
    ],
    ids=["429", "503", "half a reply", "cut"],
)
def test_a_passing_fault_is_tried_again(cloud: FakeChroma, fault: Fault) -> None:
    """Every request may be repeated, so every one is."""
    with opened(cloud) as store:
        fill(store, 10)
        cloud.faults.append(fault)
        assert ingest(store, papers(10, 5)).new == 5
        assert store.count() == 15


def test_a_lasting_fault_ends_in_one_line(cloud: FakeChroma) -> None:
    """After three attempts the server's own words are shown, escaped."""
    with opened(cloud) as store:
        cloud.faults.extend([Fault(503, b'{"message": "over\\u001b[2J loaded"}')] * 3)
        with pytest.raises(StoreError, match=r"503: over\\x1b\[2J loaded; try again later"):
            store.count()


def test_a_silent_server_ends_in_one_line(cloud: FakeChroma) -> None:
    """There is always a time limit."""
    with opened(cloud) as store:
        pass
    with opened(cloud, timeout=0.3) as store:
        cloud.faults.extend([Fault(pause=1.5)] * 2)
        with pytest.raises(StoreError, match=r"no reply in time|the connection broke"):
            store.count()


def test_no_server_ends_in_one_line() -> None:
    """The address is in the message."""
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9: cannot be reached"):
        ServerStore(ServerAddress("http://127.0.0.1:9"), home=Path(), sleep=lambda _: None)


def test_a_redirect_is_not_followed(cloud: FakeChroma) -> None:
    """It could carry the key elsewhere."""
    cloud.faults.append(Fault(307, b"{}", {"Location": "http://127.0.0.1:9/"}))
    with pytest.raises(StoreError, match="307, it redirects"):
        opened(cloud)


def test_reading_creates_nothing(cloud: FakeChroma) -> None:
    """Only an ingest makes a library."""
    with pytest.raises(StoreError, match="run 'paperagent ingest' first"):
        opened(cloud, create=False)
    assert not cloud.collections


def test_an_error_of_the_server_keeps_what_was_acknowledged(cloud: FakeChroma) -> None:
    """The same ingest again completes it."""
    with opened(cloud) as store:

        def records() -> Iterator[Paper]:
            yield from papers(300)
            cloud.faults.extend([Fault(400, b'{"message": "no"}')] * 2)
            yield from papers(300, 300)

        with pytest.raises(StoreError, match="400: no"):
            ingest(store, records())
        cloud.faults.clear()
        assert store.count() == 300
        report = ingest(store, papers(600))
        assert (report.new, report.unchanged, store.count()) == (300, 300, 600)


def test_an_embedder_that_fails_keeps_what_it_embedded(own: ServerPlace) -> None:
    """The next call goes on behind it."""

    class Failing(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
            yield from list(super().embed(texts))[:7]
            raise KeyboardInterrupt

    with own.open(create=True) as store:
        fill(store, 20)
        with pytest.raises(KeyboardInterrupt):
            store.embed_pending(Failing())
        assert store.status()["vectors"]["pending"] == 13
        assert len(list(store.pending_texts())) == 13
        assert store.embed_pending(EMBEDDER) == (13, 0)
        assert store.doctor().ok


# --- search ---


def test_a_server_with_the_search_api_gives_both_lists_at_once(cloud: FakeChroma) -> None:
    """A paper found by a word only and one found by its vector only are both nominated, in one request."""
    with opened(cloud) as store:
        fill(store, 60, embedder=EMBEDDER)
        store.corpus_stats(["m50"])
        before = len(cloud.seen)
        vector = EMBEDDER.one(f"{paper(3).title}\n{paper(3).abstract}")
        got = {c.paper_id: c for c in store.candidates(stems=["m50"], vector=vector, limit=1)}
        assert set(got) == {paper(3).paper_id, paper(50).paper_id}
        assert all(c.vector is not None for c in got.values())
        searches = [s for s in cloud.seen[before:] if s.path.endswith("/search")]
        assert len(searches) == 1
        assert candidate_ids(store, stems=["m50"]) == {paper(50).paper_id}
        assert candidate_ids(store, vector=vector, limit=1) == {paper(3).paper_id}
        filters = Filters(category="cs.RO")
        assert all(int(i[-2:]) % 2 == 0 for i in candidate_ids(store, stems=["studi"], filters=filters))


def test_our_search_is_what_chromas_own_client_sends() -> None:
    """The plan equals that of the SDK's `Search`, `Rrf` and `Knn`."""
    from chromadb import Knn, Rrf, Search
    from chromadb.base_types import SparseVector

    from paperagent.library.server.search import _MISSING_RANK, _fused, _list

    sparse = SparseVector(indices=[1, 5], values=[0.5, 0.25])
    theirs = Search().rank(
        Rrf(
            [
                Knn(query=[0.5, 0.5], limit=9, default=_MISSING_RANK, return_rank=True),
                Knn(query=sparse, key="words", limit=9, default=_MISSING_RANK, return_rank=True),
            ]
        )
    )
    lists = [_list([0.5, 0.5], "#embedding", 9), _list(sparse.to_dict(), "words", 9)]
    assert theirs.to_dict()["rank"] == _fused(lists)


def test_a_rare_word_is_found_without_the_search_api(own: ServerPlace) -> None:
    """A name that the vectors do not know is looked for in the texts, whatever its form."""
    records = [*papers(150), paper(900, abstract="The Zyglotrons' hoping is studied.")]
    with own.open(create=True) as store:
        ingest(store, records)
        store.embed_pending(EMBEDDER)
        far = EMBEDDER.one("robotics planning")
        assert paper(900).paper_id not in candidate_ids(store, vector=far, limit=20)
        for stems in (["zyglotron"], ["hope"]):
            assert paper(900).paper_id in candidate_ids(store, stems=stems, vector=far, limit=20)


def test_a_changed_text_wins_over_the_one_that_has_a_vector(own: ServerPlace) -> None:
    """Between the change and its vector nobody is shown, or quotes, the former text."""
    with own.open(create=True) as store:
        fill(store, 8, embedder=EMBEDDER)
        old = store.get(paper(3).paper_id)
        assert old is not None
        ingest(store, [paper(3, abstract="It is about zebras now.")])
        vector = EMBEDDER.one(f"{old.title}\n{old.abstract}")
        by_id = {c.paper_id: c for c in store.candidates(stems=["zebra"], vector=vector)}
        assert by_id[old.paper_id].vector is None
        assert store.count() == 8
        assert store.get_version(old.paper_id, content_hash(old)) == replace(old, version=None)
        store.embed_pending(EMBEDDER)
        by_id = {c.paper_id: c for c in store.candidates(stems=["zebra"], vector=vector)}
        assert by_id[old.paper_id].vector is not None
        assert (store.count(), store.doctor().ok) == (8, True)


def test_another_embedder_takes_over_by_reindex(own: ServerPlace) -> None:
    """Until then its vectors are refused; afterwards the former's are gone."""
    other = FakeEmbedder("other", dim=8)
    with own.open(create=True) as store:
        fill(store, 30, embedder=EMBEDDER)
        with pytest.raises(StoreError, match="run 'paperagent reindex'"):
            store.embed_pending(other)
        with pytest.raises(StoreError, match="run 'paperagent reindex'"):
            candidate_ids(store, vector=other.one("x"))
        ingest(store, papers(5, 30))
        store.reindex(embedder=other)
        assert store.status()["vectors"] == {"indexed": 35, "pending": 0, "embedder": "other"}
        assert len(candidate_ids(store, vector=other.one("x"))) == 35
        assert store.doctor().ok


def test_doctor_finds_a_damaged_paper_and_a_wrong_count(own: ServerPlace) -> None:
    """A metadata value that was changed by hand, and counts that a killed writer left out."""
    with own.open(create=True) as store:
        fill(store, 12, embedder=EMBEDDER)
        embedded = store.collections.embedded()
        assert embedded is not None
        embedded.update_metadata({paper(4).paper_id: {"rest0": '{"paper_id": "2601.00004", "url": "x"}'}})
        store.collections.notes.delete(store.collections.notes.ids(where={"kind": "total"}))
        health = store.doctor(repair=True)
        assert health.failed() == {"papers"}
        assert paper(4).paper_id in next(c.detail for c in health.checks if c.name == "papers")


def test_a_damaged_paper_is_mended_by_its_feed(own: ServerPlace) -> None:
    """That the record was read before is no reason to pass it over."""
    with own.open(create=True) as store:
        fill(store, 3, embedder=EMBEDDER)
        embedded = store.collections.embedded()
        assert embedded is not None
        embedded.update_metadata({paper(1).paper_id: {"rest0": '{"paper_id": "2601.00001"}'}})
        assert not store.doctor().ok
        ingest(store, papers(3))
        assert store.get(paper(1).paper_id) == replace(paper(1), first_seen=TODAY)
        assert store.doctor().ok


@pytest.mark.parametrize("verb", ["delete", "put"])
def test_a_kill_while_two_papers_are_joined_is_made_good_by_reading_again(
    own: ServerPlace, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Whatever was written of it: afterwards it is one paper, under all its names."""
    bare = paper(1, paper_id="acl:2026.x-1", arxiv_id=None, sources=("page",))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with own.open(create=True) as store:
        ingest(store, [bare, *papers(3, 5)])
        with monkeypatch.context() as patched:
            patched.setattr(Collection, verb, killed)
            with pytest.raises(KeyboardInterrupt):
                ingest(store, [paper(1)])
        for feed in ([bare], [paper(1)]):
            ingest(store, feed)
        assert sorted(p.paper_id for p in store.papers()) == [p.paper_id for p in (paper(1), *papers(3, 5))]
        assert store.get("acl:2026.x-1") == store.get(paper(1).paper_id)
        assert store.doctor(repair=True).ok


def test_a_paper_in_many_feeds_remembers_what_fits(cloud: FakeChroma) -> None:
    """The former of two hundred feeds are forgotten; no value is longer than the quota."""
    feed = [paper(1, sources=(f"feed {n}",)) for n in range(200)]
    with opened(cloud) as store:
        ingest(store, feed)
        assert ingest(store, feed[100:]).changed == 0
        record = store.collections.records([paper(1).paper_id])[paper(1).paper_id]
        assert 3_500 < len(record.metadata["read"]) <= CLOUD_QUOTAS.value_bytes


def test_searches_look_more_widely_the_more_there_is(
    own: ServerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The width follows the number of papers, and the server keeps it; few papers are out of reach."""
    monkeypatch.setattr(server_papers, "HNSW_SETTINGS", {**server_papers.HNSW_SETTINGS, "ef_search": 5})
    for count, width in ((12, 5), (100, 14)):
        with own.open(create=True) as store:
            fill(store, count, embedder=EMBEDDER)
        with own.open() as store:
            embedded = store.collections.embedded()
            assert embedded is not None
            assert embedded.configuration["hnsw"]["ef_search"] == width
            assert (
                len(candidate_ids(store, vector=EMBEDDER.one("study of graphs"), limit=count)) > 0.95 * count
            )


def test_a_digest_finds_what_a_period_brought(own: ServerPlace) -> None:
    """New and changed papers of the days, with vectors where their present text has one."""
    day = dt.date(2026, 3, 1)
    with own.open(create=True) as store:
        ingest(store, [paper(n, published=day + dt.timedelta(days=n)) for n in range(10)])
        store.embed_pending(EMBEDDER)
        old = paper(40, published=dt.date(2020, 1, 1), updated=day, doi="10.1/x")
        ingest(store, [old])
        brought = store.papers_between(day, day + dt.timedelta(days=2))
        assert [(a.paper_id, a.new) for a in brought] == [
            *((paper(n).paper_id, True) for n in range(3)),
            (old.paper_id, False),
        ]
        assert [a.vector is None for a in brought] == [False, False, False, True]
        assert store.get_with_features([old.paper_id, "doi:10.1/x"])[old.paper_id].names == (
            old.paper_id,
            "doi:10.1/x",
        )


@pytest.mark.parametrize("name", FILTERS)
def test_filtered_vectors_are_what_an_exact_search_finds(filtered: ServerStore, name: str) -> None:
    """From a wider search where that suffices, else by the server's own filter."""
    vector = EMBEDDER.one("we study planning with robotics")
    inside = {p.paper_id: p for p in filtered.papers() if FILTERS[name].admits(p)}
    cosines = {i: float(EMBEDDER.one(f"{p.title}\n{p.abstract}") @ vector) for i, p in inside.items()}
    wanted = set(sorted(cosines, key=lambda i: -cosines[i])[:12])
    got = candidate_ids(filtered, vector=vector, limit=12, filters=FILTERS[name])
    assert len(got) == len(wanted)
    assert len(got & wanted) >= len(wanted) - 1


@pytest.fixture(scope="module")
def filtered(chroma_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerStore]:
    """Return a library of 400 papers with vectors: more than one search gives."""
    place = ServerPlace(chroma_url, tmp_path_factory.mktemp("person"), f"f{uuid.uuid4().hex[:12]}")
    with place.open(create=True) as store:
        fill(store, 400, embedder=EMBEDDER)
        yield store


def test_words_with_filters_keep_to_the_quota_of_predicates(cloud: FakeChroma) -> None:
    """Eight in all, however long the question."""
    every = Filters(since=dt.date(2026, 1, 1), until=dt.date(2026, 12, 1), category="cs", source="test-feed")
    text = "retrieval robotics vision speech planning proteins graphs translation"
    with opened(cloud) as store:
        ingest(store, [paper(1, abstract=text, categories=("cs.CL",)), *papers(5, 10)])
        assert candidate_ids(store, stems=index_terms(text), filters=every) >= {paper(1).paper_id}
    asked = [s.body for s in cloud.seen if s.body and s.body.get("where_document")]
    counts = [
        len(b["where_document"].get("$and", [0])) + len((b["where"] or {}).get("$and", [0])) for b in asked
    ]
    assert max(counts) == 8


# --- several at once ---


def test_every_paper_is_in_one_share_whatever_its_feed() -> None:
    """Shares are disjoint and whole; records of one title stay together."""
    shares = [Shard(n, 7) for n in range(1, 8)]
    for p in papers(200):
        holders = [s for s in shares if s.contains(p)]
        assert len(holders) == 1
        bare = replace(p, paper_id="sha256:x", arxiv_id=None, title=p.title.upper() + "!")
        assert holders[0].contains(bare)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "a/b", "1", "", "1/70000", "-1/4", "1/4/2"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    """With the right way to write it."""
    with pytest.raises(InputError, match="shard"):
        Shard.parse(text)


def test_shares_fill_one_library_and_may_be_repeated(own: ServerPlace) -> None:
    """Three workers at once read the same feed; one of them twice; nothing is lost or doubled.

    Chroma's graph may hold a node that no search reaches after three threads have written it:
    `doctor` reports it and its repair must always succeed.
    """
    feed = [*papers(400), *(replace(p, sources=("other",)) for p in papers(100)), Skipped("line 1", "bad")]
    own.open(create=True).close()

    def work(number: int) -> int:
        share = Shard(number, 3)
        with own.open() as store:
            report = store.ingest(share.select(feed), today=TODAY)
            store.embed_pending(FakeEmbedder(), shard=share)
            return sum(report.skipped.values())

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, [1, 2, 3])) == [0, 0, 1]
    work(2)
    with own.open() as store:
        assert {p.paper_id for p in store.papers()} == {p.paper_id for p in papers(400)}
        assert store.status()["vectors"] == {"indexed": 400, "pending": 0, "embedder": "fake"}
        seven = store.get(paper(7).paper_id)
        assert seven is not None
        assert seven.sources == ("test-feed", "other")
        health = store.doctor()
        assert health.failed() <= {"vector index"}, health
        repaired = store.doctor(repair=True)
        assert repaired.ok, repaired


WRITER = """
import sys; from pathlib import Path
from library_helpers import *
url, home, prefix, start = sys.argv[1:]
with ServerPlace(url, Path(home), prefix).open() as store:
    for first in range(int(start), int(start) + 600, 60):
        ingest(store, papers(60, first))
        store.embed_pending(FakeEmbedder())
"""


@pytest.mark.parametrize("changed", [False, True])
def test_a_kill_between_the_two_writes_of_embedding_is_mended(
    own: ServerPlace, monkeypatch: pytest.MonkeyPatch, *, changed: bool
) -> None:
    """What is held already and waits still is one paper again, also where it was changed meanwhile."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with own.open(create=True) as store:
        ingest(store, papers(8))
        with monkeypatch.context() as patched:
            patched.setattr(Collection, "delete", killed)
            with pytest.raises(KeyboardInterrupt):
                store.embed_pending(EMBEDDER)
        if changed:
            waiting = store.collections.pending
            terms = waiting.get([paper(3).paper_id])[paper(3).paper_id].metadata["terms"]
            waiting.put([record_from_paper(paper(3, upvotes=4), store.collections.quotas, terms=terms)])
        assert store.doctor().failed() == {"word counts"}
        assert store.doctor(repair=True).ok
        assert (store.count(), store.status()["vectors"]["pending"]) == (8, int(changed))
        assert store.embed_pending(EMBEDDER) == (int(changed), 0)
        assert (store.count(), store.doctor().ok) == (8, True)


def test_two_writers_and_ten_readers_at_once_lose_nothing(own: ServerPlace, tmp_path: Path) -> None:
    """Two processes write, half of it the same papers, while ten threads search; then all is there."""
    with own.open(create=True) as store:
        fill(store, 50, embedder=EMBEDDER)
    command = [sys.executable, "-c", textwrap.dedent(WRITER), own.url, str(tmp_path), own.prefix]
    writers = [
        subprocess.Popen([*command, start], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        for start in ("0", "300")
    ]

    def read(_: int) -> int:
        searches = 0
        with own.open() as store:
            while any(w.poll() is None for w in writers):
                for candidate in store.candidates(stems=["studi"], vector=EMBEDDER.one("vision"), limit=20):
                    whole = store.get(candidate.paper_id)
                    assert whole is not None
                    assert "We study" in whole.abstract
                searches += 1
        return searches

    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(read, range(10)))
    assert [w.communicate()[1] for w in writers] == ["", ""]
    assert all(counts)
    with own.open() as store:
        store.embed_pending(EMBEDDER)
        assert {p.paper_id for p in store.papers()} == {p.paper_id for p in papers(900)}
        assert store.count() == 900
        health = store.doctor(repair=True)
        assert health.ok, health


def test_a_killed_writer_loses_nothing_that_it_acknowledged(own: ServerPlace, tmp_path: Path) -> None:
    """The server outlives it, and the same ingest again completes the library."""
    own.open(create=True).close()
    code = """
    import os, sys; from pathlib import Path
    from library_helpers import *
    from paperagent.library.server.client import Collection
    calls = 0
    put = Collection.put
    def counted(self, records):
        global calls
        put(self, records)
        calls += 1
        if calls == int(sys.argv[4]):
            os.kill(os.getpid(), 9)
    Collection.put = counted
    with ServerPlace(sys.argv[1], Path(sys.argv[2]), sys.argv[3]).open() as store:
        ingest(store, papers(900))
        store.embed_pending(FakeEmbedder())
    """
    for calls in (2, 5, 9):
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(code),
            own.url,
            str(tmp_path),
            own.prefix,
            str(calls),
        ]
        assert subprocess.run(command, env=ENVIRONMENT, check=False, timeout=120).returncode == -9
    with own.open() as store:
        report = ingest(store, papers(900))
        assert report.changed == 0
        store.embed_pending(EMBEDDER)
        assert store.count() == 900
        assert store.doctor(repair=True).ok
