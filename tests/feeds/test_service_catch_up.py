"""What live services say: their own reasons, days without papers, what a run left out, and ids."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from dataclasses import replace

import pytest
from service_server import Clock, Reply, Request, Services, abstract, title

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids
from paperagent.feeds.services import (
    announcements,
    arxiv,
    find_live_feed,
    openalex,
    semantic_scholar,
    zotero,
)
from paperagent.feeds.services.arxiv import id_pages
from paperagent.feeds.services.error_text import error_reason
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState
from paperagent.types import Paper, Skipped


def read(source: str, client: FeedClient, state: ResumeState | None = None) -> list[FeedPage]:
    feed = find_live_feed(source)
    assert feed is not None
    return list(feed.pages(client, state or {}))


def papers(pages: list[FeedPage]) -> list[Paper]:
    return [entry for page in pages for entry in page.entries if isinstance(entry, Paper)]


def notes(pages: list[FeedPage]) -> list[str]:
    return [page.note for page in pages if page.note]


# --- reasons ---


@pytest.mark.parametrize("status", [400, 200])
def test_arxivs_reason_is_shown_whatever_the_status(
    status: int, polite: FeedClient, services: Services
) -> None:
    """The entry titled "Error" is no paper, and asking again would not help."""
    services.arxiv_status = status
    with pytest.raises(FeedError) as caught:
        read("arxiv:all:malformed", polite)
    assert str(caught.value) == "arxiv:all:malformed: arXiv said: malformed query; change the query"
    assert len(services.history) == 1


PAGE_OF_400 = (
    "<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title>\n<h1>Bad Request</h1>\n"
    "<p>Invalid archive &#39;lanterns&#39;.\nUse cs.</p>\n"
)
FEED_OF_ERROR = (
    '<?xml version="1.0"?><rss version="2.0"><channel><title>Feed error for query: /rss/cs.XX</title>'
    "<link>https://example.org</link><description>Invalid subject class XX.</description></channel></rss>"
)
ATOM_OF_ERROR = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><title>Feed error for query: /atom/cs.XX</title>'
    "<subtitle>Invalid subject class XX.</subtitle></feed>"
)
OAI_ERROR = (
    '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>2026-11-20T01:02:03Z</responseDate>'
    '<request>x</request><error code="badArgument">set lanterns &amp; moths is unknown</error></OAI-PMH>'
)


@pytest.mark.parametrize(
    ("source", "reply", "message"),
    [
        (
            "arxiv-rss:cs.XX",
            Reply(PAGE_OF_400, 400),
            "arXiv said: Invalid archive 'lanterns'. Use cs; change",
        ),
        ("arxiv-rss:cs.XX", Reply(FEED_OF_ERROR, 400), "arXiv said: Invalid subject class XX; change"),
        ("arxiv-rss:cs.XX", Reply(FEED_OF_ERROR), "arXiv said: Invalid subject class XX; change"),
        ("arxiv-rss:cs.XX", Reply(ATOM_OF_ERROR), "arXiv said: Invalid subject class XX; change"),
        ("arxiv-oai:x", Reply(OAI_ERROR), "arXiv said: badArgument: set lanterns & moths is unknown; change"),
        (
            "arxiv-oai:x",
            Reply(OAI_ERROR, 400),
            "arXiv said: badArgument: set lanterns & moths is unknown; ch",
        ),
        ("s2:moths", Reply('{"error": "Bad\\n year"}', 400), "HTTP status 400: Bad year; change the request"),
        ("s2:moths", Reply('{"message": "no such field"}', 404), "HTTP status 404: no such field; check the"),
        ("s2:moths", Reply('{"error": "Bad year."}'), "Semantic Scholar said: Bad year; change the request"),
        (
            "openalex:x:1",
            Reply('{"error": "Invalid query", "message": "x is not a valid field."}', 400),
            "HTTP status 400: x is not a valid field; change",
        ),
        (
            "openalex:x:1",
            Reply('{"error": {"message": "quota"}}'),
            "OpenAlex said: quota; change the request",
        ),
        (
            "hf-daily:2026-11-20",
            Reply('{"error": "Invalid date"}', 400),
            "HTTP status 400: Invalid date; cha",
        ),
        ("hf-daily:2026-11-20", Reply('{"message": "no"}'), "Hugging Face said: no; change the request"),
        ("zotero:users/1", Reply("Invalid key", 403), "HTTP status 403: Invalid key; check its key"),
        ("zotero:users/1", Reply('{"error": "gone"}'), "Zotero said: gone; change the request"),
    ],
)
def test_every_service_gives_its_reason(
    source: str, reply: Reply, message: str, polite: FeedClient, services: Services
) -> None:
    """In one line, in the words of the service, and without its markup."""
    services.faults = [reply]
    with pytest.raises(FeedError) as caught:
        read(source, polite)
    assert f"{source}: {message}" in str(caught.value)
    assert not re.search(r"[\n{}<>]", str(caught.value))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>",
        b'{"ok": 1}',
        b"[" * 50_000,
        b'{"error": {"error": {"error": {"error": {"error": "x"}}}}}',
    ],
)
def test_a_body_without_a_reason_gives_none(body: bytes) -> None:
    """Nothing, a page without text, an object without a message, nesting without end."""
    assert len(error_reason(body)) <= 300
    assert error_reason(body) == "" or body.startswith(b"[")


@pytest.mark.parametrize(
    "part", [b"<entry>", b"<entry><title>", b"<title>", b"<p ", b"<error code='a'", b"<"]
)
def test_the_reason_is_searched_in_linear_time(part: bytes) -> None:
    """A body made to confuse costs no time."""
    start = time.perf_counter()
    error_reason(part * (1_000_000 // len(part)))
    assert time.perf_counter() - start < 1.0


# --- days without papers ---


def rss(day: str, items: str = "") -> str:
    """Return arXiv's announcements of a day, as RSS 2.0."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>cs.CL updates</title>'
        f"<pubDate>{day} 00:00:00 -0500</pubDate><lastBuildDate>{day} 05:00:03 +0000</lastBuildDate>"
        f"<skipDays><day>Saturday</day><day>Sunday</day></skipDays>{items}</channel></rss>"
    )


EMPTY_ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title>cs.CL</title><updated>{}T04:59:00+00:00</updated></feed>'


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (rss("Sat, 21 Nov 2026"), "arXiv announces nothing on Saturdays and Sundays"),
        (rss("Sun, 22 Nov 2026"), "arXiv announces nothing on Saturdays and Sundays"),
        (rss("Thu, 26 Nov 2026"), "no papers today; arXiv pauses on some holidays"),
        (EMPTY_ATOM.format("2026-11-23"), "arXiv announces nothing on Saturdays and Sundays"),  # 23:59 there
        (EMPTY_ATOM.format("2026-11-24"), "no papers today; arXiv pauses on some holidays"),
        ('<feed xmlns="http://www.w3.org/2005/Atom"/>', "arXiv announces nothing on Saturdays and Sundays"),
        (rss("soon"), "arXiv announces nothing on Saturdays and Sundays"),
    ],
    ids=["saturday", "sunday", "holiday", "atom-sunday", "atom-monday", "no-date", "bad-date"],
)
def test_a_day_without_announcements_is_explained(
    body: str, note: str, polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the day of the feed; a feed without one is of today, here a Saturday."""
    monkeypatch.setattr(announcements, "today", lambda: dt.date(2026, 11, 28))
    services.faults = [Reply(body)]
    (page,) = read("arxiv-rss:cs.CL", polite)
    assert (page.entries, page.note) == ([], note)


def test_a_broken_announcement_is_tried_again(polite: FeedClient, services: Services) -> None:
    """An empty feed that was cut is not an empty feed."""
    services.faults = [Reply(EMPTY_ATOM.format("2026-11-24")[:-20]), Reply("back soon")]
    assert len(papers(read("arxiv-rss:cs.CL", polite))) == 2


@pytest.mark.parametrize(
    ("period", "note"),
    [
        ("2026-11-21", "2026-11-21 is a Saturday: Hugging Face lists no papers on Saturdays and Sundays"),
        ("2026-11-26", "no papers were listed on 2026-11-26; Hugging Face pauses on some holidays"),
        ("2026-11-30", "no papers are listed for 2026-11-30 yet"),
        ("2026-W47", ""),
    ],
)
def test_a_day_without_daily_papers_is_explained(
    period: str, note: str, polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weekend, a holiday, and a day that is not over."""
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 11, 30))
    services.papers = 0
    (page,) = read(f"hf-daily:{period}", polite)
    assert (page.entries, page.note) == ([], note)


# --- catching up ---


@pytest.mark.parametrize(
    ("last", "now", "missed"),
    [
        ("2026-11-19", "Fri, 20 Nov 2026", None),
        ("2026-11-20", "Mon, 23 Nov 2026", None),  # nothing is announced at the weekend
        ("2026-11-20", "Sun, 22 Nov 2026", None),
        ("2026-11-20", "Fri, 20 Nov 2026", None),
        ("2026-11-19", "Mon, 23 Nov 2026", ("on 2026-11-20", "2026-11-16")),
        ("2026-11-19", "Sat, 21 Nov 2026", ("on 2026-11-20", "2026-11-16")),
        ("2026-10-09", "Fri, 20 Nov 2026", ("from 2026-10-12 to 2026-11-19", "2026-10-08")),
        ("nonsense", "Fri, 20 Nov 2026", None),
    ],
)
def test_announcements_that_were_missed_are_named(
    last: str, now: str, missed: tuple[str, str] | None, polite: FeedClient, services: Services
) -> None:
    """The feed has one day; the note says which days are missing and which feed has them."""
    services.faults = [Reply(rss(now))]
    (page,) = read("arxiv-rss:cs.CL+cs.AI", polite, {"day": last})
    day = dt.datetime.strptime(now, "%a, %d %b %Y").astimezone().date()
    assert page.state == {"day": day.isoformat()}
    if missed is None:
        assert "missing" not in page.note
    else:
        assert f"not read since {last}" in page.note
        assert f"announced {missed[0]} are missing; read them with" in page.note
        assert f"'arxiv:cs.CL,cs.AI?from={missed[1]}'" in page.note


def test_the_address_of_announcements_is_such_a_feed() -> None:
    """The addresses that arXiv uses, and no other."""
    of = announcements.categories_of_address
    assert of("https://rss.arxiv.org/rss/cs.CL+cs.AI") == "cs.CL+cs.AI"
    assert of("https://export.arxiv.org/rss/math") == "math"
    assert of("https://rss.arxiv.org/atom/cs") == "cs"
    assert of("https://example.org/rss/cs.CL") is None
    assert of("https://arxiv.org/list/cs.CL/new") is None


def test_everything_since_the_newest_paper_is_read(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long time without a run, all are read, beyond the limit of the first run."""
    monkeypatch.setattr(arxiv, "DEFAULT_MAX_RECORDS", 100)
    pages = read("arxiv:cs.CL", polite, {"mark": "2026-05-01"})
    assert len(papers(pages)) == 250
    assert notes(pages) == []


def test_a_first_run_says_what_it_leaves_out(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest papers; the others on request."""
    monkeypatch.setattr(arxiv, "DEFAULT_MAX_RECORDS", 200)
    pages = read("arxiv:cs.CL", polite)
    assert len(papers(pages)) == 200
    (note,) = notes(pages)
    assert note.startswith("read the newest 200 of 250 papers; the older ones are left out")
    assert note.endswith("give ?from=YYYY-MM-DD or a higher max")
    assert notes(read("arxiv:cs.CL?max=100", polite)) == []


def test_a_later_run_with_max_says_what_it_leaves_out(polite: FeedClient, services: Services) -> None:
    """The number of papers since the last run is not known when ``max`` is chosen."""
    pages = read("arxiv:cs.CL?max=100", polite, {"mark": "2026-05-01"})
    assert notes(pages) == [
        "read the newest 100 of 250 papers; the older ones are left out: raise max, or leave it out"
    ]


def test_a_query_without_a_paper_is_said(polite: FeedClient, services: Services) -> None:
    """A typing error in a search is not silent; a week without a new paper is no error."""
    services.papers = 0
    assert notes(read("arxiv:cs.ZZ", polite)) == ["no paper matches; check the query"]
    assert notes(read("arxiv:cs.ZZ", polite, {"mark": "2026-05-01"})) == []


def test_an_interrupted_run_that_goes_on_weeks_later_misses_nothing(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer papers come first and would move all pages."""
    services.papers = 400
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 6, 9))
    feed = find_live_feed("arxiv:cs.CL?max=350")
    assert feed is not None
    first = next(iter(feed.pages(polite, {})))
    services.papers = 900  # fifty days later
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 7, 29))
    rest = read("arxiv:cs.CL?max=350", polite, json.loads(json.dumps(first.state)))
    assert {p.paper_id for p in papers([first, *rest])} == {f"2605.{n:05d}" for n in range(50, 400)}
    later = read("arxiv:cs.CL", polite, rest[-1].state)
    assert {f"2605.{n:05d}" for n in range(400, 900)} <= {p.paper_id for p in papers(later)}


def test_oai_says_that_nothing_changed(polite: FeedClient, services: Services) -> None:
    """A quiet day is told from a failure."""
    services.papers = 0
    assert notes(read("arxiv-oai:cs?from=2026-05-01", polite)) == ["no record has changed since 2026-05-01"]


def test_a_search_that_gives_all_papers_is_read_again(polite: FeedClient) -> None:
    """Nothing is kept: the next run reads the whole search and finds what was added late."""
    for source in ("s2:moths", "openalex:counting moths"):
        pages = read(source, polite)
        assert (pages[-1].state, notes(pages)) == ({}, [])


def test_a_search_that_is_cut_goes_on_by_day(
    polite: FeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Best matches first would show the same papers for ever."""
    monkeypatch.setattr(dates, "today", lambda: dt.date(2026, 11, 20))
    monkeypatch.setattr(semantic_scholar, "MAX_RECORDS", 200)
    for source in ("s2:moths?from=2026-01-01", "openalex:moths?max=200"):
        pages = read(source, polite)
        assert len([e for page in pages for e in page.entries]) == 200
        assert pages[-1].state == {"mark": "2026-11-20"}
        assert "read 200 of 250" in notes(pages)[0]
    services.papers = 150
    services.history.clear()
    for source in ("s2:moths?from=2026-01-01", "openalex:moths?max=200"):
        assert read(source, polite, {"mark": "2026-11-20"})[-1].state == {"mark": "2026-11-20"}
    queries = [request.query for request in services.history]
    assert [q["publicationDateOrYear"] for q in queries if "query" in q] == ["2026-10-21:"] * 2
    assert [(q["filter"], q["sort"]) for q in queries if "cursor" in q] == [
        ("from_publication_date:2026-10-21", "publication_date:desc")
    ] * 2


def test_max_of_zotero_is_a_portion(polite: FeedClient) -> None:
    """The next run goes on where the last one stopped, to the end of the library."""
    source, state, entries = "zotero:users/1?max=120", {}, []
    for note in (
        "read up to item 120 of 250; the next run goes on",
        "read up to item 240 of 250; the next run goes on",
        "",
    ):
        pages = read(source, polite, json.loads(json.dumps(state)))
        assert pages[-1].note == note
        state = pages[-1].state
        entries += papers(pages)
    assert state == {"since": 77}
    assert len({p.paper_id for p in entries}) == 225


# --- lists of ids ---


def names(count: int) -> str:
    return ",".join(f"2605.{n:05d}" for n in range(count))


def test_any_number_of_ids_is_fetched_in_batches(
    polite: FeedClient, services: Services, clock: Clock
) -> None:
    """A hundred in a request, three seconds apart; a run that broke off goes on with its batch."""
    services.papers = 1_000
    pages = read(f"arxiv:{names(520)}", polite)
    assert sorted(p.paper_id for p in papers(pages)) == names(520).split(",")
    assert [len(r.query["id_list"].split(",")) for r in services.history] == [100] * 5 + [20]
    assert clock.slept == [3.0] * 5
    assert [page.state for page in pages] == [{"start": n} for n in (100, 200, 300, 400, 500)] + [{}]
    rest = read(f"arxiv:{names(520)}", polite, json.loads(json.dumps(pages[2].state)))
    assert {p.paper_id for p in papers(pages[:3]) + papers(rest)} == set(names(520).split(","))


def test_ids_that_arxiv_does_not_have_are_named(polite: FeedClient, services: Services) -> None:
    """Never silently missing: each is a skipped entry, and the first ten are in the note."""
    pages = read("arxiv:2605.00001,2605.09999v2,2413.00001,2605.00002", polite)
    skipped = [e for page in pages for e in page.entries if isinstance(e, Skipped)]
    assert {p.paper_id for p in papers(pages)} == {"2605.00001", "2605.00002"}
    assert skipped == [
        Skipped("2605.09999v2", "not found on arXiv"),
        Skipped("2413.00001", "not found on arXiv"),
    ]
    assert notes(pages) == ["not found on arXiv: 2605.09999v2, 2413.00001"]
    many = read("arxiv:" + ",".join(f"2605.{n}" for n in range(90_000, 90_015)), polite)
    assert notes(many)[0].endswith("2605.90009 and 5 more")


@pytest.mark.parametrize("reason", ["names the id", "names none"])
def test_an_id_that_arxiv_refuses_costs_no_other(reason: str, polite: FeedClient, services: Services) -> None:
    """A whole batch is answered with an error; the others are asked for again."""
    services.refused_ids = {"2605.00007", "2605.00033"}
    if reason == "names none":
        services.pages["/api/query"] = lambda request: without_name(services, request)
    pages = read(f"arxiv:{names(50)}", polite)
    assert len(papers(pages)) == 48
    assert notes(pages) == ["not found on arXiv: 2605.00007, 2605.00033"]
    assert len(services.history) < (4 if reason == "names the id" else 25)


def without_name(services: Services, request: Request) -> Reply:
    reply = services.arxiv(request)
    body = reply.body if isinstance(reply.body, str) else reply.body.decode()
    return replace(reply, body=re.sub(r"incorrect id format for [\d.]+", "incorrect id format", body))


def test_an_id_whose_paper_has_no_abstract_is_not_missing(polite: FeedClient, services: Services) -> None:
    """It was found, and is skipped for another reason."""
    body = str(
        services.arxiv(Request("", {"id_list": "2605.00001", "start": "0", "max_results": "1"}, {})).body
    )
    services.faults = [Reply(body.replace(abstract(1), ""))]
    (page,) = read("arxiv:2605.00001", polite)
    assert page.entries == [Skipped("2605.00001", "no abstract")]
    assert page.note == ""


def test_ids_are_taken_in_every_writing(polite: FeedClient, services: Services) -> None:
    """Addresses, prefixes, versions, old ids, repeated ids and separators."""
    text = "https://arxiv.org/abs/2605.00001v2; arXiv:2605.00002 2605.00003,,2605.00003 https://arxiv.org/pdf/2605.00004"
    assert len(papers(read(f"arxiv:{text}", polite))) == 4
    read("arxiv:math.GT/0309136", polite)
    assert services.history[-1].query["id_list"] == "math/0309136"
    assert len(papers(read("arxiv:2605.00001,2605.00002?max=1", polite))) == 1


def test_a_word_among_ids_is_named() -> None:
    """One wrong id is told from a wrong query."""
    with pytest.raises(FeedError, match=r"2401\.1 is not an arXiv id; remove it from the list"):
        find_live_feed("arxiv:2605.00001,2401.1")


def test_another_module_fetches_ids(polite: FeedClient) -> None:
    """The function that lists of links use."""
    wanted = [ids.ArxivId("2605.00001", None), ids.ArxivId("2605.00001", None), ids.ArxivId("2605.00002", 1)]
    pages = list(id_pages(wanted, polite, {}, label="links.md"))
    assert [p.title for p in papers(pages)] == [title(2), title(1)]
    assert list(id_pages([], polite, {}, label="links.md")) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("2605.00001v3", "ARXIV:2605.00001"),
        ("https://arxiv.org/abs/2605.00001", "ARXIV:2605.00001"),
        ("10.48550/arXiv.2605.00001", "ARXIV:2605.00001"),
        ("10.1000/Moth.1", "DOI:10.1000%2Fmoth.1"),
        ("https://doi.org/10.1000/moth.1", "DOI:10.1000%2Fmoth.1"),
        ("DOI:10.1000/moth.1", "DOI:10.1000%2Fmoth.1"),
        ("PMID:123", "PMID:123"),
        ("https://aclanthology.org/2023.acl-long.1", "URL:https:%2F%2Faclanthology.org%2F2023.acl-long.1"),
    ],
)
def test_semantic_scholar_takes_ids_in_every_writing(text: str, path: str) -> None:
    """Each becomes the one that the service reads."""
    from urllib.parse import quote

    assert quote(semantic_scholar._paper_id(text) or "", safe=":") == path
    assert semantic_scholar._paper_id("10.1000/moth.1 and lanterns") is None


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("https://doi.org/10.1000/Moth.1", {"filter": "doi:10.1000/moth.1"}),
        ("10.1000/moth.1", {"filter": "doi:10.1000/moth.1"}),
        ("arXiv:2605.00001v2", {"filter": "doi:10.48550/arxiv.2605.00001"}),
        ("https://openalex.org/W123", {"filter": "ids.openalex:W123"}),
        ("w123", {"filter": "ids.openalex:W123"}),
        ("concepts.id:C41008148", {"filter": "concepts.id:C41008148"}),
        ("Lanterns: a survey of moths", {"search": "Lanterns: a survey of moths"}),
    ],
)
def test_openalex_takes_ids_filters_and_words(
    text: str, params: dict[str, str], polite: FeedClient, services: Services
) -> None:
    """A colon alone makes no filter."""
    read(f"openalex:{text}", polite)
    query = services.history[-1].query
    assert {name: query[name] for name in ("filter", "search") if name in query} == params


def test_openalex_finds_arxivs_id_in_a_pdf_address() -> None:
    """The landing page may be a DOI's."""
    record = {
        "display_name": title(1),
        "abstract_inverted_index": {word: [n] for n, word in enumerate(abstract(1).split()[:12])},
        "primary_location": {"landing_page_url": None, "pdf_url": "https://arxiv.org/pdf/2605.00001v1"},
    }
    assert openalex.convert(record).arxiv_id == "2605.00001"


@pytest.mark.parametrize(
    ("fields", "paper_id", "doi"),
    [
        ({"DOI": "https://doi.org/10.1000/Moth.1"}, "doi:10.1000/moth.1", "10.1000/moth.1"),
        ({"extra": "tex.x: 1\nDOI: 10.1000/moth.1\n"}, "doi:10.1000/moth.1", "10.1000/moth.1"),
        ({"url": "https://doi.org/10.1000/moth.1"}, "doi:10.1000/moth.1", "10.1000/moth.1"),
        ({"extra": "PMID: 1234\nPMCID: PMC9", "DOI": "10.1000/moth.1"}, "pmid:1234", "10.1000/moth.1"),
        ({"archiveID": "arXiv:2605.00001"}, "2605.00001", None),
        ({"url": "http://arxiv.org/abs/2605.00001v2"}, "2605.00001", None),
        ({"DOI": "10.48550/arXiv.2605.00001"}, "2605.00001", None),
    ],
)
def test_zotero_has_ids_in_many_places(fields: dict[str, str], paper_id: str, doi: str | None) -> None:
    """The field, Extra, or the address."""
    paper = zotero.convert({"data": {"title": title(1), "abstractNote": abstract(1), **fields}})
    assert (paper.paper_id, paper.doi) == (paper_id, doi)
