"""The live services, page by page, against a local server that plays them with their traps."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from service_server import Clock, Reply, Request, Services, abstract, title

from paperagent.errors import FeedError
from paperagent.feeds import dates
from paperagent.feeds import services as live
from paperagent.feeds.services import find_live_feed, http_client
from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig
from paperagent.feeds.services.page import FeedPage, ResumeState
from paperagent.feeds.source import SERVICE_SCHEMES
from paperagent.types import Paper, Skipped, Withdrawal


def read(source: str, polite: FeedClient, state: ResumeState | None = None) -> list[FeedPage]:
    found = find_live_feed(source)
    assert found is not None
    return list(found.pages(polite, state or {}))


def papers(pages: list[FeedPage]) -> list[Paper]:
    return [entry for page in pages for entry in page.entries if isinstance(entry, Paper)]


@pytest.mark.parametrize(
    ("source", "name", "count", "pages"),
    [
        ("arxiv:cs.CL,cs.AI", "arxiv-atom", 250, 3),
        ("arxiv:2605.00001,2605.00002v3", "arxiv-atom", 2, 1),
        ("arxiv:cs.CL?max=130", "arxiv-atom", 130, 2),
        ("arxiv:cs.CL?from=2026-05-10&until=2026-05-12", "arxiv-atom", 30, 1),
        ("arxiv-rss:cs.AI+cs.CL", "arxiv-atom", 2, 1),
        ("arxiv-oai:cs?from=2026-05-01", "arxiv-oai", 250, 3),
        ("hf-daily:2026-W47", "hf-daily", 250, 3),
        ("hf-daily:2026-11-18", "hf-daily", 250, 3),
        ("hf-daily:", "hf-daily", 500, 6),  # this week and the last one
        ("s2:moths at night?year=2026", "semantic-scholar", 200, 3),
        ("s2:ARXIV:2605.00001", "semantic-scholar", 1, 1),
        ("openalex:counting moths", "openalex", 250, 3),
        ("zotero:users/12345", "zotero", 225, 3),
    ],
)
def test_a_service_gives_all_its_pages(
    source: str, name: str, count: int, pages: int, polite: FeedClient
) -> None:
    """Each service is read to its end, each record as a paper of the feed."""
    found = read(source, polite)
    assert len(found) == pages
    assert len(papers(found)) == count
    assert {paper.sources for paper in papers(found)} == {(name,)}
    assert all(p.abstract.startswith("We measure lantern") for p in papers(found))


def test_what_is_asked_of_arxiv(polite: FeedClient, services: Services) -> None:
    """The query is arXiv's, and the client says who asks."""
    read("arxiv:cs.CL,cs.AI?max=5", polite)
    (request,) = services.history
    assert request.query == {
        "search_query": "cat:cs.CL OR cat:cs.AI",
        "sortBy": "submittedDate",
        "sortOrder": "descending",
        "start": "0",
        "max_results": "5",
    }
    assert request.headers["user-agent"] == "paperagent/1.2 (me@example.org)"
    assert request.headers["host"] == services.url.removeprefix("http://")


def test_requests_to_arxiv_are_three_seconds_apart(polite: FeedClient, clock: Clock) -> None:
    """The pause is between the end of one request and the next, over all of arXiv's services."""
    read("arxiv:cs.CL", polite)
    read("arxiv-rss:cs.CL", polite)
    assert clock.slept == [3.0, 3.0, 3.0]


def test_two_processes_share_their_turns(services: Services, clock: Clock, tmp_path: Path) -> None:
    """A second client on this machine waits for the pause of the first."""
    access = FeedClientConfig(base_urls=services.urls, allow_private=True, lock_folder=tmp_path)
    for _ in range(2):
        with FeedClient(access, version="1", sleep=clock.sleep, clock=clock) as opened:
            read("arxiv-rss:cs.CL", opened)
    assert clock.slept == [3.0]


def test_keys_go_into_headers(polite: FeedClient, services: Services) -> None:
    """No key of Semantic Scholar or Zotero stands in an address; OpenAlex takes it nowhere else."""
    for source in ("s2:moths", "zotero:users/1", "openalex:moths"):
        read(source, polite)
    told = {r.path.split("/")[1]: r for r in services.history}
    assert told["graph"].headers["x-api-key"] == "s2-key"
    assert told["zotero"].headers["zotero-api-key"] == "zotero-key"
    assert not {"s2-key", "zotero-key"} & {v for r in services.history for v in r.query.values()}


def test_a_refusal_shows_no_key(services: Services, clock: Clock) -> None:
    """A wrong key of OpenAlex is refused in words that do not hold it."""
    access = FeedClientConfig(base_urls=services.urls, keys={"openalex": "wrong-secret"}, allow_private=True)
    with FeedClient(access, version="1", sleep=clock.sleep) as opened, pytest.raises(FeedError) as caught:
        read("openalex:moths", opened)
    assert "HTTP status 401" in str(caught.value)
    assert "wrong-secret" not in str(caught.value) + repr(access)


@pytest.mark.parametrize(
    ("source", "cursor", "first"),
    [
        ("arxiv:cs.CL", {"start": 100, "newest": "2026-05-25"}, "2605.00149"),
        ("arxiv-oai:cs?from=2026-05-01", {"from": "2026-05-01", "token": "2026-05-01:200"}, "2605.00200"),
        ("hf-daily:2026-W47", {"p": 2, "seen": ""}, "2605.00200"),
        ("zotero:users/1", {"start": 100, "version": 77, "since": 0}, "2605.00100"),
        ("openalex:moths", {"cursor": "100", "read": 100}, "10.1000/moth.100"),
    ],
)
def test_a_service_goes_on_where_it_stopped(
    source: str, cursor: ResumeState, first: str, polite: FeedClient
) -> None:
    """The kept state leads to the next page, and to no page before it."""
    paper = papers(read(source, polite, cursor))[0]
    assert first in {paper.arxiv_id, paper.doi}


@pytest.mark.parametrize("source", ["arxiv:cs.CL", "arxiv-oai:cs?from=2026-05-01", "hf-daily:2026-W47"])
def test_every_page_can_be_the_last_of_a_run(source: str, polite: FeedClient) -> None:
    """Whatever page a run was killed after, the state it left leads to the rest."""
    whole = [p.paper_id for p in papers(read(source, polite))]
    for kept in (1, 2):
        pages = read(source, polite)
        state = json.loads(json.dumps(pages[kept - 1].state))
        rest = [p.paper_id for p in papers(read(source, polite, state))]
        assert [p.paper_id for p in papers(pages[:kept])] + rest == whole


def test_a_whole_run_is_followed_up(polite: FeedClient, services: Services) -> None:
    """The next run asks for what came since: arXiv and OAI by day, Zotero by version."""
    state = read("arxiv:cs.CL", polite)[-1].state
    assert state == {"mark": "2026-05-25"}
    read("arxiv:cs.CL", polite, state)
    assert "submittedDate:[202605180000 TO" in services.history[-1].query["search_query"]
    state = read("arxiv-oai:cs?from=2026-05-01", polite)[-1].state
    assert state == {"mark": "2026-11-20"}
    read("arxiv-oai:cs?from=2026-05-01", polite, state)
    assert services.history[-1].query["from"] == "2026-11-20"
    state = read("zotero:users/1", polite)[-1].state
    assert (state, len(papers(read("zotero:users/1", polite, state)))) == ({"since": 77}, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Reply("Rate exceeded."),
        Reply("slow down", 429, {"Retry-After": "7"}),
        Reply("busy", 503),
        Reply('<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>cut'),
        Reply("x" * 5_000, cut=100),
        Reply('<feed xmlns="http://www.w3.org/2005/Atom"><totalResults>250</totalResults></feed>'),
        Reply(b"no \xff text"),
    ],
    ids=["rate", "429", "503", "cut-xml", "cut-body", "empty-page", "bytes"],
)
def test_a_fault_that_passes_is_tried_again(
    fault: Reply, polite: FeedClient, services: Services, clock: Clock
) -> None:
    """Throttling, a busy server, a cut and a spurious empty page cost a wait and nothing else."""
    services.faults = [fault]
    assert len(papers(read("arxiv:cs.CL?max=100", polite))) == 100
    wait = {"Rate exceeded.": 30.0, "slow down": 7.0}.get(str(fault.body))
    assert clock.slept[0] == wait if wait else 2.0 <= clock.slept[0] <= 4.0


def test_a_fault_that_lasts_ends_the_run(polite: FeedClient, services: Services, clock: Clock) -> None:
    """After four attempts the feed is given up for now, with what the service said."""
    services.faults = [Reply("busy\x1b[2J", 503)] * 9
    with pytest.raises(FeedError, match=r"HTTP status 503: busy.*run it again later"):
        read("arxiv:cs.CL", polite)
    assert len(services.history) == 4


def test_a_long_wait_is_left_for_a_later_run(polite: FeedClient, services: Services, clock: Clock) -> None:
    """A service that asks for an hour is not waited for, and not asked again."""
    services.faults = [Reply("", 429, {"Retry-After": "3600"})]
    with pytest.raises(FeedError, match="asks to wait 3600 seconds"):
        read("arxiv:cs.CL", polite)
    assert (len(services.history), clock.slept) == (1, [])


def test_a_backoff_on_a_good_answer_is_kept(polite: FeedClient, clock: Clock) -> None:
    """Zotero's Backoff makes the next request wait."""
    read("zotero:users/1", polite)
    assert clock.slept == [2.0, 2.0]


def test_an_expired_token_begins_a_new_list_where_the_old_one_was(
    polite: FeedClient, services: Services
) -> None:
    """The days came in order: the new list begins at the last one seen, and nothing is missing."""
    services.expired = {"2026-05-01:200"}
    found = papers(read("arxiv-oai:cs?from=2026-05-01", polite))
    assert {p.paper_id for p in found} == {f"2605.{n:05d}" for n in range(250)}
    assert [r.query.get("from") for r in services.history if "from" in r.query] == [
        "2026-05-01",
        "2026-05-20",
    ]


def test_a_token_that_is_never_good_is_an_error(polite: FeedClient, services: Services) -> None:
    """A second refusal at once is the server's fault, not a reason to begin for ever anew."""
    state = {"from": "2026-05-01", "token": "nonsense"}
    answers = [Reply(services.oai(Request("", {"resumptionToken": "no"}, {})).body)] * 3
    services.faults = answers
    with pytest.raises(FeedError, match="arXiv said: badResumptionToken: the token has expired"):
        read("arxiv-oai:cs", polite, state)


def test_a_resumption_loop_is_refused(polite: FeedClient, services: Services) -> None:
    """bad-135: the same token twice ends the run; what was read before it is kept."""
    services.loop_at = 100
    found = find_live_feed("arxiv-oai:cs?from=2026-05-01")
    assert found
    pages = found.pages(polite, {})
    assert len([next(pages), next(pages)]) == 2
    with pytest.raises(FeedError, match="the server repeats a resumption token"):
        next(pages)


def test_deleted_records_are_withdrawals(polite: FeedClient, services: Services) -> None:
    """bad-134: OAI's deleted records name the paper and nothing else."""
    services.deleted = {7}
    entries = [e for page in read("arxiv-oai:cs?from=2026-05-01", polite) for e in page.entries]
    assert [e for e in entries if isinstance(e, Withdrawal)] == [Withdrawal("2605.00007", "arxiv-oai")]


def test_records_without_an_abstract_are_counted(polite: FeedClient) -> None:
    """Semantic Scholar often has none."""
    entries = [e for page in read("s2:moths", polite) for e in page.entries]
    assert {e.reason for e in entries if isinstance(e, Skipped)} == {"no abstract"}
    assert sum(isinstance(e, Skipped) for e in entries) == 50


def test_a_retracted_work_is_marked(polite: FeedClient) -> None:
    """OpenAlex says so; the abstract is put together in its order."""
    gone = [p for p in papers(read("openalex:moths", polite)) if p.withdrawn]
    assert [(p.title, p.abstract, p.flags) for p in gone] == [(title(3), abstract(3), ("retracted",))]


def test_a_replaced_paper_is_not_new(polite: FeedClient) -> None:
    """In arXiv's daily feed only new papers and cross-lists have that day as their own."""
    new, replaced = papers(read("arxiv-rss:cs.CL", polite))
    assert (new.published, new.listed) == (dt.date(2026, 11, 20),) * 2
    assert (replaced.published, replaced.listed) == (None, dt.date(2026, 11, 20))


def test_a_server_that_turns_no_pages_ends(polite: FeedClient, services: Services) -> None:
    """Hugging Face gives the same page for some periods: it is read once."""
    services.pages["/api/daily_papers"] = lambda request: services.hf(
        replace(request, query={**request.query, "p": "0"})
    )
    assert len(papers(read("hf-daily:2026-W47", polite))) == 100


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("arxiv:", "not an arXiv category"),
        ("arxiv:not a category!", "not an arXiv category"),
        ("arxiv:cs.CL?form=2026", "unknown option form; it has from, max, until"),
        ("arxiv:cs.CL?from=yesterday", "from: not a day"),
        ("arxiv:cs.CL?max=0", "max: not a number"),
        ("arxiv:cs.CL?x", "options that cannot be read"),
        ("arxiv-rss:", "not an arXiv category"),
        ("arxiv-oai:a b", "not an arXiv set"),
        ("arxiv-oai:cs?prefix=x", "not an arXiv set"),
        ("hf-daily:2026-W60", "not a day"),
        ("hf-daily:nonsense", "not a day"),
        ("s2:", "query is empty"),
        ("openalex:", "query is empty"),
        ("zotero:me", "not a Zotero library"),
        ("https://user:secret@example.org/feed", "credentials"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_it_is_sent(source: str, why: str) -> None:
    """One line says what is wrong and how to write it."""
    with pytest.raises(FeedError, match=why) as caught:
        find_live_feed(source)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", SERVICE_SCHEMES)
def test_every_scheme_has_its_service(scheme: str) -> None:
    """The schemes are listed without importing the services; each is one of them."""
    assert live._service(scheme).scheme == scheme


def test_files_and_streams_are_not_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, ``-``, an unknown scheme and a file with a service's name are left to the reader of files."""
    monkeypatch.chdir(tmp_path)
    Path("arxiv:cs.CL").touch()
    assert [
        find_live_feed(s) for s in ("-", "a.xml", "file:///x", "arxiv:cs.CL", Path("s2:x"), "x" * 999)
    ] == [None] * 6


def test_a_feed_is_fetched_by_its_address(polite: FeedClient, services: Services) -> None:
    """Any known format, packed or not; the second time only what changed."""
    line = json.dumps({"id": "2508.13426", "title": "A title", "abstract": abstract(1)}).encode()

    def answer(request: Request) -> Reply:
        if request.headers.get("if-none-match") == '"v1"':
            return Reply(b"", 304)
        return Reply(gzip.compress(line), headers={"ETag": '"v1"', "Content-Encoding": "gzip"})

    services.pages["/feed"] = answer
    (page,) = read(services.url + "/feed?key=secret", polite)
    assert [p.paper_id for p in papers([page])] == ["2508.13426"]
    (again,) = read(services.url + "/feed?key=secret", polite, page.state)
    assert (again.entries, again.note) == ([], "not changed since the last time")


def test_a_page_over_the_limit_is_stopped(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain or packed, more bytes than the limit are not read."""
    monkeypatch.setattr(http_client, "MAX_PAGE_BYTES", 2_000_000)
    packed = Reply(gzip.compress(bytes(40_000_000)), headers={"Content-Encoding": "gzip"})
    for reply in (Reply(b"x" * 3_000_000), packed):
        services.faults = [reply]
        with pytest.raises(FeedError, match="larger than the limit of 2 MB"):
            read(services.url + "/feed", polite)


def test_a_slow_answer_is_cut_off(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A page has a time, however steadily it drips."""
    monkeypatch.setattr(http_client, "PAGE_SECONDS", -1.0)
    with pytest.raises(FeedError, match="took longer than"):
        read("arxiv:cs.CL", polite)


def test_an_unasked_packing_is_refused(polite: FeedClient, services: Services) -> None:
    """Only gzip is asked for: any other unpacker could be made to swell."""
    services.faults = [Reply(b"x", headers={"Content-Encoding": "br"})]
    with pytest.raises(FeedError, match="compressed as br"):
        read("arxiv:cs.CL", polite)


Bodies = Callable[[], Reply]


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": ' + b"[" * 100_000,
        b'{"total": NaN, "data": []}',
        b'{"data": [], "data": []}',
        b"<html>busy</html>",
        b'{"results": 3}',
    ],
)
def test_hostile_json_is_refused(body: bytes, polite: FeedClient, services: Services) -> None:
    """Nesting without end, NaN, a key twice and other shapes give one line."""
    services.faults = [Reply(body)] * 4
    with pytest.raises(FeedError) as caught:
        read("openalex:moths", polite)
    assert "\n" not in str(caught.value)


KEY = "top/secret key+123"


@pytest.mark.parametrize(
    "form", [KEY, quote(KEY, safe=""), quote_plus(KEY), b64encode(KEY.encode()).decode()]
)
@pytest.mark.parametrize("status", [403, 503, 200])
def test_a_key_that_is_echoed_is_taken_out(form: str, status: int, services: Services, clock: Clock) -> None:
    """As it is, as an address has it, packed: neither the error nor what a page is kept with holds it."""
    access = FeedClientConfig(base_urls=services.urls, keys={"openalex": KEY}, allow_private=True)
    said = {"error": f"bad key {form}", "results": 1} | ({"error": form} if status == 200 else {})
    services.faults = [Reply(json.dumps(said), status)] * 4
    with (
        FeedClient(access, version="1", sleep=clock.sleep, clock=clock) as opened,
        pytest.raises(FeedError) as caught,
    ):
        read("openalex:moths", opened)
    assert form not in str(caught.value)
    if status != 200:
        assert "bad key ***" in str(caught.value)


def test_a_key_is_in_nothing_that_is_kept(services: Services) -> None:
    """A version's name, and an error that is told by the message of a redirect, are cleaned too."""
    access = FeedClientConfig(keys={"s2": "s2-secret-key"}, allow_private=True)
    line = json.dumps({"id": "2508.13426", "title": "A title", "abstract": abstract(1) + " s2-secret-key"})
    services.pages["/feed"] = lambda _: Reply(line, headers={"ETag": '"s2-secret-key"'})
    services.pages["/away"] = lambda _: Reply("", 302, {"Location": "ftp://s2-secret-key/"})
    with FeedClient(access, version="1") as opened:
        (page,) = read(services.url + "/feed", opened)
        assert "s2-secret-key" not in repr(page)
        with pytest.raises(FeedError) as caught:
            read(services.url + "/away", opened)
    assert "s2-secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    """cs.CL cs cs.* cond-mat.soft cond-mat.mes-hall physics.optics physics.soc-ph physics.ao-ph quant-ph
    q-bio.NC nlin.CD math-ph astro-ph.CO cmp-lg""".split(),
)
@pytest.mark.parametrize("scheme", ["arxiv", "arxiv-rss"])
def test_every_category_of_arxiv_is_one(scheme: str, name: str) -> None:
    """Archives, subject classes in capitals, and those of physics in words."""
    assert find_live_feed(f"{scheme}:{name}")


@pytest.mark.parametrize("text", ["lanterns", "physic.optics", "cs.", "cs.CLX", "x-ph"])
def test_a_word_is_no_category(text: str) -> None:
    """A typing error would be read as a category without papers, day after day."""
    with pytest.raises(FeedError, match="not an arXiv category"):
        find_live_feed(f"arxiv:{text}")


def test_a_list_with_an_end_is_read_once(polite: FeedClient, services: Services) -> None:
    """After the whole run nothing is asked for: the days since lie behind the end."""
    source = "arxiv-oai:cs?from=2026-05-01&until=2026-05-31"
    state = read(source, polite)[-1].state
    services.history.clear()
    (page,) = read(source, polite, state)
    assert (page.entries, page.state, page.note) == ([], state, "complete up to 2026-05-31")
    assert services.history == []


@pytest.mark.parametrize("answered", ["", "yesterday", "2026-02-31T00:00:00Z"])
def test_a_clock_that_tells_no_day_marks_nothing(
    answered: str, polite: FeedClient, services: Services
) -> None:
    """The next run begins where this one did; a mark of nonsense that is kept is passed over."""
    services.answered = answered
    state = read("arxiv-oai:cs?from=2026-05-01", polite)[-1].state
    assert state == {"mark": "2026-05-01"}
    read("arxiv-oai:cs?from=2026-05-02", polite, {"mark": answered})
    assert services.history[-3].query["from"] == "2026-05-02"


def weeks_asked(services: Services) -> list[tuple[str, str]]:
    """Return the weeks and pages that were asked for since the last call."""
    asked = [(r.query["week"], r.query["p"]) for r in services.history]
    services.history.clear()
    return asked


def test_a_week_is_finished_in_the_next(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that broke off on Sunday goes on with its week on Monday, then reads the new one whole."""
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 11, 15))
    state = read("hf-daily:", polite)[3].state  # the first page of the second week
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 11, 16))
    services.history.clear()
    read("hf-daily:", polite, json.loads(json.dumps(state)))
    assert weeks_asked(services) == [
        ("2026-W46", "1"), ("2026-W46", "2"), ("2026-W47", "0"), ("2026-W47", "1"), ("2026-W47", "2"),
    ]  # fmt: skip


def test_every_week_since_the_last_run_is_read(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Friday to Monday, a missed week, the turn of the year, six weeks and two years of silence."""
    services.papers, state = 20, {}
    runs = {
        "2026-11-20": ["2026-W46", "2026-W47"],  # the first run; a Friday
        "2026-11-23": ["2026-W47", "2026-W48"],
        "2026-11-24": ["2026-W48"],
        "2026-12-07": ["2026-W48", "2026-W49", "2026-W50"],
        "2026-12-28": ["2026-W50", "2026-W51", "2026-W52", "2026-W53"],
        "2027-01-04": ["2026-W53", "2027-W01"],
        "2027-02-15": [f"2027-W{week:02d}" for week in range(1, 8)],
        "2029-02-12": [
            *(f"2028-W{week:02d}" for week in range(6, 53)),
            *(f"2029-W{week:02d}" for week in range(1, 8)),
        ],
    }
    for day, weeks in runs.items():
        monkeypatch.setattr(dates, "today", lambda day=day: dt.date.fromisoformat(day))
        pages = read("hf-daily:", polite, state)
        state = json.loads(json.dumps(pages[-1].state))
        assert [week for week, _ in weeks_asked(services)] == weeks
        notes = [page.note for page in pages if page.note]
        assert bool(notes) == (day == "2029-02-12")
    assert notes == [
        "read from 2028-02-12 on, although the last run was before: give older weeks, as in hf-daily:2026-W47"
    ]


def test_a_week_that_fails_is_asked_again(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before it is kept; the next run begins with it."""
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 12, 2))
    services.papers, pages = 20, []
    services.pages["/api/daily_papers"] = lambda request: (
        Reply("gone", 404) if request.query["week"] == "2026-W48" else services.hf(request)
    )
    feed = find_live_feed("hf-daily:")
    assert feed is not None
    with pytest.raises(FeedError, match="HTTP status 404"):
        pages += feed.pages(polite, {"next": "2026-11-20"})
    assert weeks_asked(services) == [("2026-W47", "0"), ("2026-W48", "0")]
    services.pages.clear()
    read("hf-daily:", polite, pages[-1].state)
    assert weeks_asked(services) == [("2026-W48", "0"), ("2026-W49", "0")]


@pytest.mark.parametrize("url", ["http://[::1/feed", "https://h:x/", "https://h/\u00e9", "http://"])
def test_an_address_that_is_none_is_refused_before_it_is_kept(url: str) -> None:
    """Nothing but a FeedError leaves `find_live_feed`, so that one bad line stops no other feed."""
    with pytest.raises(FeedError, match="not a valid address"):
        find_live_feed(url)


@pytest.mark.parametrize("etag", ['"\u00e9"', '"a\tb"', '"' + "x" * 300 + '"'])
def test_a_version_that_no_header_takes_is_not_kept(
    etag: str, polite: FeedClient, services: Services
) -> None:
    """The next run asks without it; one that was kept before is not sent."""
    line = json.dumps({"id": "2508.13426", "title": "A title", "abstract": abstract(1)})
    services.pages["/feed"] = lambda _: Reply(line, headers={"ETag": etag})
    (page,) = read(services.url + "/feed", polite)
    assert page.state == {}
    read(services.url + "/feed", polite, {"etag": etag})
    assert "if-none-match" not in services.history[-1].headers


def test_a_key_that_no_header_takes_is_told_by_its_name(services: Services) -> None:
    """Not sent, not tried again, and not shown."""
    access = FeedClientConfig(
        base_urls=services.urls, keys={"zotero": "k\u00e9y-of-mine"}, allow_private=True
    )
    with (
        FeedClient(access, version="1") as opened,
        pytest.raises(FeedError, match="Zotero-API-Key: ") as caught,
    ):
        read("zotero:users/1", opened)
    assert "of-mine" not in str(caught.value)
    assert services.history == []


def test_without_a_folder_for_turns_one_process_keeps_them(
    services: Services, clock: Clock, tmp_path: Path
) -> None:
    """A file where the cache folder should be stops no feed."""
    (tmp_path / "cache").touch()
    access = FeedClientConfig(
        base_urls=services.urls, allow_private=True, lock_folder=tmp_path / "cache" / "rate-limits"
    )
    with FeedClient(access, version="1", sleep=clock.sleep, clock=clock) as opened:
        assert len(papers(read("arxiv:cs.CL?max=200", opened))) == 200
    assert clock.slept == [3.0]


def test_a_long_backoff_is_kept_by_every_process(services: Services, clock: Clock, tmp_path: Path) -> None:
    """Two hundred seconds are two hundred, for the next client of this machine too; a day is five minutes."""
    access = FeedClientConfig(base_urls=services.urls, allow_private=True, lock_folder=tmp_path)
    for backoff in ("200", "86400", "0"):
        services.faults = [Reply('<feed xmlns="http://www.w3.org/2005/Atom"/>', headers={"Backoff": backoff})]
        with FeedClient(access, version="1", sleep=clock.sleep, clock=clock) as opened:
            read("arxiv-rss:cs.CL", opened)
    assert clock.slept == [200.0, 300.0]


def test_a_clock_set_back_makes_nobody_wait_for_hours(
    services: Services, clock: Clock, tmp_path: Path
) -> None:
    """A turn that ended in the future counts as one that ended now."""
    access = FeedClientConfig(base_urls=services.urls, allow_private=True, lock_folder=tmp_path)
    for _ in range(2):
        with FeedClient(access, version="1", sleep=clock.sleep, clock=clock) as opened:
            read("arxiv-rss:cs.CL", opened)
        clock.now -= 100_000
    assert clock.slept == [3.0]


def test_an_expired_cursor_begins_anew(polite: FeedClient, services: Services) -> None:
    """OpenAlex refuses the cursor that was kept: the search is read from its beginning, once."""
    services.faults = [Reply('{"error": "cursor expired"}', 400)]
    assert len(papers(read("openalex:moths", polite, {"cursor": "100", "read": 100}))) == 250
    services.faults = [Reply('{"error": "bad filter"}', 400)] * 2
    with pytest.raises(FeedError, match="bad filter"):
        read("openalex:moths", polite, {"cursor": "100", "read": 100})
    services.faults = [Reply('{"error": "bad filter"}', 400)]
    with pytest.raises(FeedError, match="bad filter"):
        read("openalex:moths", polite)


def test_a_cursor_that_comes_again_costs_no_page(polite: FeedClient, services: Services) -> None:
    """What was fetched with it is given before the error."""
    answer = json.loads(services.openalex(Request("", {"api_key": "alex-key", "cursor": "*"}, {})).body)
    answer["meta"]["next_cursor"] = "*"
    services.faults = [Reply(json.dumps(answer))]
    found = find_live_feed("openalex:moths")
    assert found
    pages = found.pages(polite, {})
    assert len(next(pages).entries) == 100
    with pytest.raises(FeedError, match="repeats a cursor"):
        next(pages)


def test_a_paper_dated_in_the_future_marks_no_day_to_come(polite: FeedClient, services: Services) -> None:
    """The next run asks for the last week, and not for the next century."""
    future = str(services.arxiv(Request("", {"start": "0", "max_results": "5"}, {})).body)
    services.faults = [Reply(future.replace("2026-05-25T", "2199-05-25T", 1))]
    state = read("arxiv:cs.CL?max=5", polite)[-1].state
    assert state == {"mark": dates.today().isoformat()}
    read("arxiv:cs.CL?max=5", polite, {"mark": "2199-05-25"})
    begin = (dates.today() - dt.timedelta(days=7)).strftime("%Y%m%d")
    assert f"submittedDate:[{begin}0000" in services.history[-1].query["search_query"]


def test_a_zotero_that_does_not_count_is_read_to_an_empty_page(
    polite: FeedClient, services: Services
) -> None:
    """No Total-Results is not a total of nothing; a page that comes again ends it too."""
    services.totals = False
    assert len(papers(read("zotero:users/1", polite))) == 225
    assert len(papers(read("zotero:users/1?max=100", polite))) == 90
    first = services.zotero(Request("", {"start": "0", "limit": "100"}, {"zotero-api-key": "zotero-key"}))
    services.pages["/zotero/users/1/items/top"] = lambda _: first
    assert len(read("zotero:users/1", polite)) == 2


@pytest.mark.parametrize("wait", ["1e308", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_beyond_all_measure_is_a_day(wait: str, polite: FeedClient, services: Services) -> None:
    """Three hundred digits help nobody."""
    services.faults = [Reply("", 429, {"Retry-After": wait})]
    with pytest.raises(FeedError, match="asks to wait more than a day; run"):
        read("arxiv:cs.CL", polite)


@pytest.mark.parametrize("source", ["arxiv:cs.CL?max=100", "arxiv-oai:cs?from=2026-05-21", "arxiv-rss:cs.CL"])
@pytest.mark.parametrize("page", ["<html><body>back soon</body></html>", "\n<!DOCTYPE html><p>back soon"])
def test_a_page_of_maintenance_is_tried_again(
    page: str, source: str, polite: FeedClient, services: Services
) -> None:
    """HTML with status 200 in place of an answer passes."""
    services.faults = [Reply(page, headers={"Content-Type": "text/html"})]
    assert papers(read(source, polite))
