"""Feeds read into a library: live ones page by page, each by itself, and those that are followed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from feeds.service_server import Reply, Services, abstract, title
from paperagent import PaperAgent, ingest
from paperagent.cli.main import main
from paperagent.errors import ConfigError, FeedError, InputError, StoreError, StoreLockedError
from paperagent.feeds.services import (
    arxiv,
    huggingface,
    openalex,
    semantic_scholar,
    zotero,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.library.home import writer_lock

OAI = "arxiv-oai:cs?from=2026-05-01"


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as server:
        yield server


@pytest.fixture
def environ(services: Services, tmp_path: Path) -> dict[str, str]:
    """Return the settings of a library that fetches from the local services."""
    return {
        "PAPERAGENT_HOME": str(tmp_path / "library"),
        "PAPERAGENT_CACHE_DIR": str(tmp_path / "cache"),
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_FEED_URLS": ",".join(f"{name}={url}" for name, url in services.urls.items()),
        "PAPERAGENT_ALLOW_PRIVATE_FEEDS": "1",
        "PAPERAGENT_OPENALEX_KEY": "alex-key",
        "PAPERAGENT_ZOTERO_KEY": "zotero-key",
    }


@pytest.fixture
def agent(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperAgent]:
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    for service in (arxiv, huggingface, semantic_scholar, openalex, zotero):
        monkeypatch.setattr(service, "RATE_LIMIT", RateLimit("test", 0.0))
    with PaperAgent() as opened:
        yield opened


def page_of(numbers: range, path: Path) -> Path:
    """Write papers as a saved Daily Papers page."""
    path.write_text("Daily Papers\n\n" + "\n\n\n".join(f"{title(n)}\n\n{abstract(n)}" for n in numbers))
    return path


def test_a_live_feed_fills_the_library(agent: PaperAgent) -> None:
    """Pages become papers, and the report says how many."""
    report = agent.ingest("arxiv:cs.CL")
    assert (report.read, report.new, report.papers) == (250, 250, 250)
    assert [(f.source, f.pages, f.error) for f in report.feeds] == [("arxiv:cs.CL", 3, None)]


def test_a_run_that_broke_off_goes_on_at_its_page(agent: PaperAgent, services: Services) -> None:
    """What came before the fault is kept, and not asked for again."""
    services.faults = []
    seen = services.answer

    def breaking(request: object) -> Reply:
        if len(services.history) == 2:
            services.faults = [Reply("gone", 404)]
        return seen(request)  # type: ignore[arg-type]

    services.answer = breaking  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="HTTP status 404") as caught:
        agent.ingest(OAI)
    assert caught.value.report.feeds[0].pages == 2
    assert agent.status()["papers"] == 200
    services.history.clear()
    assert agent.ingest(OAI).new == 50
    assert services.history[0].query["resumptionToken"] == "2026-05-01:200"


def test_a_kill_in_a_backfill_costs_no_page(
    services: Services, environ: dict[str, str], tmp_path: Path
) -> None:
    """After SIGKILL the next run asks with the token of the page that it was at, and nothing is missing."""
    command = [sys.executable, "-m", "paperagent", "ingest", OAI, "--no-vectors", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PAPERAGENT_")} | environ
    first = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while len(services.history) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)
    first.send_signal(signal.SIGKILL)
    assert first.wait(30) == -signal.SIGKILL
    asked = len(services.history)
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert services.history[asked].query.get("resumptionToken") in {"2026-05-01:100", "2026-05-01:200"}
    with PaperAgent(environ["PAPERAGENT_HOME"]) as agent:
        assert agent.status()["papers"] == 250
        assert agent.doctor().ok


def test_restart_reads_a_live_feed_from_its_beginning(agent: PaperAgent, services: Services) -> None:
    """What was kept of an earlier run is passed over."""
    agent.ingest(OAI)
    services.history.clear()
    assert agent.ingest(OAI, restart=True).unchanged == 250
    assert services.history[0].query["from"] == "2026-05-01"


def test_a_feed_that_fails_stops_no_other(agent: PaperAgent, tmp_path: Path) -> None:
    """All others are read; the error of the whole says what came of each."""
    page = page_of(range(3), tmp_path / "page.txt")
    with pytest.raises(FeedError, match=r"not/there: no such file.*1 more of 4 feeds failed") as caught:
        agent.ingest(["not/there", page, "s2:UNKNOWN:x", "arxiv:all:malformed"])
    report = caught.value.report
    assert [(feed.new, bool(feed.error)) for feed in report.feeds] == [
        (0, True),
        (3, False),
        (200 - 3 + 1, False),
        (0, True),
    ]
    assert agent.status()["papers"] == report.papers


def test_a_bad_live_feed_creates_no_library(agent: PaperAgent) -> None:
    """Nothing stands where nothing was read."""
    with pytest.raises(FeedError, match="malformed"):
        agent.ingest("arxiv:all:malformed")
    assert not agent.home.exists()


def test_one_paper_of_many_feeds_is_one_paper(agent: PaperAgent, tmp_path: Path) -> None:
    """Page, Daily Papers, arXiv, ACL and a BibTeX file of one paper: one paper, found by every id."""
    acl = (
        f'<collection id="2026.acl"><volume id="long"><meta><year>2026</year></meta><paper id="7">'
        f"<title>{title(7)}</title><author><first>Ada</first><last>Moth</last></author>"
        f"<abstract>{abstract(7)}</abstract><url>2026.acl-long.7</url>"
        f"<doi>10.18653/v1/2026.acl-long.7</doi></paper></volume></collection>"
    )
    bib = (
        f"@inproceedings{{moth, title={{{{{title(7)}}}}}, author={{Moth, Ada}}, year=2026, "
        f"doi={{10.18653/V1/2026.acl-long.7}}, abstract={{{abstract(7)}}}}}"
    )
    (tmp_path / "acl.xml").write_text(acl)
    (tmp_path / "a.bib").write_text(bib)
    agent.ingest([page_of(range(7, 8), tmp_path / "page.txt"), tmp_path / "acl.xml", tmp_path / "a.bib"])
    assert agent.status()["papers"] == 1
    agent.ingest(["hf-daily:2026-W47", "arxiv:cs.CL", "s2:moths"])
    assert agent.status()["papers"] == 250
    paper = agent.get("2605.00007")
    for name in ("10.18653/v1/2026.acl-long.7", "acl:2026.acl-long.7"):
        assert agent.get(f"doi:{name}" if name.startswith("10.") else name) == paper
    assert (paper.doi, paper.authors, str(paper.published)) == (
        "10.18653/v1/2026.acl-long.7",
        ("Ada Moth",),
        "2026-05-01",
    )
    feeds = ("daily-papers", "acl-anthology", "bibtex", "hf-daily", "arxiv-atom", "semantic-scholar")
    assert paper.sources == feeds


LIST = "# Lanterns\n- https://arxiv.org/abs/2605.00001\n- arXiv:2605.00003\n- arXiv:1305.99999\n"


def test_a_list_of_links_is_fetched_if_that_is_asked_for(
    agent: PaperAgent, services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the error has the command. Ids that arXiv does not know are counted and named."""
    path = tmp_path / "list.md"
    path.write_text(LIST, encoding="utf-8")
    assert main(["ingest", str(path)]) == 4
    assert (
        f"a list of 3 arXiv ids without abstracts; 'paperagent ingest --fetch {path}'"
        in capsys.readouterr().err
    )
    assert not services.history
    report = agent.ingest(path, fetch=True)
    assert (report.read, report.new, report.skipped) == (2, 2, {"not found on arXiv": 1})
    assert [feed.source for feed in report.feeds] == [str(path)]
    assert report.notes == (f"{path}: not found on arXiv: 1305.99999",)
    assert agent.get("2605.00003").sources == ("arxiv-atom",)


def test_a_list_is_fetched_from_the_command_line(
    agent: PaperAgent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--fetch is for files that are named, not for followed feeds."""
    path = tmp_path / "list.md"
    path.write_text(LIST, encoding="utf-8")
    assert main(["ingest", "--fetch", "--no-vectors", str(path)]) == 0
    assert "2 read: 2 new" in capsys.readouterr().out
    assert agent.status()["papers"] == 2
    assert main(["ingest", "--fetch", "--follow"]) == 2
    assert "--follow and --fetch: cannot be combined" in capsys.readouterr().err


def test_a_deleted_record_marks_the_paper(agent: PaperAgent, services: Services) -> None:
    """bad-134: the paper stays, as withdrawn; one that was never held is skipped."""
    agent.ingest(OAI)
    services.deleted = {7}
    report = agent.ingest(OAI, restart=True)
    assert (report.changed, agent.get("2605.00007").withdrawn) == (1, True)
    services.deleted, services.papers = {260}, 261
    assert sum(agent.ingest(OAI, restart=True).skipped.values()) == 1


def test_a_citation_of_a_withdrawn_paper_says_so(agent: PaperAgent) -> None:
    """OpenAlex's retracted work is found, and whoever cites it is told."""
    agent.ingest("openalex:moths?max=10")
    answer = agent.ask("What does lantern 3 attract in a long series of nights?", mode="extractive", k=10)
    assert answer.citations
    cited = {c.paper_id for c in answer.citations}
    gone = next(p for p in agent.papers() if p.withdrawn)
    assert (gone.paper_id in cited) == any(n.startswith("retracted: ") for n in answer.notes)
    assert gone.paper_id in cited


def test_feeds_are_kept_and_followed(agent: PaperAgent, tmp_path: Path) -> None:
    """Added, listed, read together, removed; the last run of each is remembered."""
    page = page_of(range(3), tmp_path / "page.txt")
    assert agent.follow("arxiv:cs.CL")
    assert agent.follow(str(page))
    assert not agent.follow(" arxiv:cs.CL ")
    assert agent.ingest_followed().new == 250
    assert [(feed["source"], feed["new"], feed["error"]) for feed in agent.followed()] == [
        ("arxiv:cs.CL", 250, None),
        (str(page), 0, None),
    ]
    assert agent.unfollow("arxiv:cs.CL")
    assert not agent.unfollow("arxiv:cs.CL")
    page.unlink()
    with pytest.raises(FeedError, match="no such file"):
        agent.ingest_followed()
    assert "no such file" in agent.followed()[0]["error"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("-", InputError),
        ("", InputError),
        ("no/such/file", FeedError),
        ("arxiv:", FeedError),
        ("x:y", FeedError),
    ],
)
def test_what_cannot_be_read_is_not_kept(source: str, error: type[Exception], agent: PaperAgent) -> None:
    """A typing error shows when the feed is added, not in the night."""
    with pytest.raises(error):
        agent.follow(source)


def test_a_list_of_feeds_in_a_file_is_read(agent: PaperAgent, tmp_path: Path) -> None:
    """One a line, with comments; what is kept in the library does not matter."""
    listed = tmp_path / "feeds.txt"
    listed.write_text("# mine\n\narxiv:cs.CL?max=5\nhf-daily:2026-W47\n")
    assert agent.ingest_followed(listed).read == 255
    listed.write_text("# none\n")
    with pytest.raises(FeedError, match="lists no feed"):
        agent.ingest_followed(listed)


def test_following_no_feed_is_an_error(agent: PaperAgent, tmp_path: Path) -> None:
    """Following nothing is a mistake, not a success."""
    agent.ingest(page_of(range(1), tmp_path / "page.txt"))
    with pytest.raises(InputError, match="no feed is followed"):
        agent.ingest_followed()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8/x", "https://10.0.0.1/x", "https://127.1/", "http://example.org"]
)
def test_private_base_addresses_are_refused_in_the_settings(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bad-196: FEED_URLS with a private address ends with exit 3, unless it is allowed."""
    monkeypatch.setenv("PAPERAGENT_FEED_URLS", f"arxiv={url}")
    with pytest.raises(ConfigError, match="FEED_URLS: arxiv: ") as caught:
        PaperAgent()
    assert caught.value.exit_code == 3
    monkeypatch.setenv("PAPERAGENT_ALLOW_PRIVATE_FEEDS", "1")
    assert PaperAgent().settings.feed_bases == {"arxiv": url.rstrip("/")}


def test_the_commands_keep_and_follow_feeds(
    agent: PaperAgent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Added, listed, fetched with one that fails, removed: each feed has its line, and the exit code is 4."""
    page = page_of(range(3), tmp_path / "page.txt")
    for source in ("hf-daily:2026-W47", str(page)):
        assert main(["feeds", "add", source]) == 0
    page.unlink()
    capsys.readouterr()
    assert main(["ingest", "--follow", "--no-vectors"]) == 4
    out, err = capsys.readouterr()
    assert "250 read: 250 new" in out
    assert "ok: hf-daily:2026-W47 — 250 read, 250 new, 0 changed" in out
    assert "FAIL: " in out
    assert err.count("\n") == 1
    assert "page.txt: no such file" in err
    assert main(["feeds", "list", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)["feeds"]
    assert [(feed["source"], feed["new"]) for feed in kept] == [("hf-daily:2026-W47", 250), (str(page), 0)]
    assert main(["feeds", "remove", "hf-daily:2026-W47"]) == 0
    assert main(["feeds", "remove", "hf-daily:2026-W47"]) == 2


def test_a_service_is_read_by_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Shares of a service would fetch all of it once each: refused, with what to share instead."""
    assert main(["ingest", "arxiv-oai:cs", "--shard", "1/2"]) == 2
    error = capsys.readouterr().err
    assert "arxiv-oai:cs: a live feed is read by one process" in error
    assert "embed --shard I/N" in error


@pytest.mark.parametrize("arguments", [[], ["--follow", "x.txt"]])
def test_ingest_wants_sources_or_follow(arguments: list[str]) -> None:
    """Neither and both are mistakes of usage."""
    assert main(["ingest", *arguments]) == 2


def test_an_answers_sources_become_notes(
    agent: PaperAgent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an answer cites is written as notes, with the cited sentences."""
    agent.ingest("hf-daily:2026-W47")
    assert main(["ask", "--json", "--mode", "extractive", "How many moths does method 7 count?"]) == 0
    saved = tmp_path / "answer.json"
    saved.write_text(capsys.readouterr().out)
    folder = tmp_path / "vault"
    assert main(["export", "-f", "notes", "--sources-of", str(saved), "--out", str(folder)]) == 0
    texts = [path.read_text() for path in folder.iterdir()]
    assert texts
    assert all("## Quotes\n\n> " in text for text in texts)
    assert main(["export", "-f", "notes"]) == 2


ECHOED = "alex-secret-of-mine"


def test_a_key_that_a_service_echoes_is_neither_shown_nor_kept(
    agent: PaperAgent,
    services: Services,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Report, list and library hold none of it, as text and as JSON."""
    monkeypatch.setenv("PAPERAGENT_OPENALEX_KEY", ECHOED)
    services.pages["/alex/works"] = lambda r: Reply(
        json.dumps({"error": f"bad key {r.query['api_key']}"}), 403
    )
    agent.ingest(page_of(range(3), tmp_path / "page.txt"))
    agent.close()
    assert main(["feeds", "add", "openalex:moths"]) == 0
    assert main(["feeds", "add", "s2:moths"]) == 0
    for arguments in (["--follow"], ["--follow", "--json"], ["openalex:moths", "s2:moths"]):
        assert main(["ingest", *arguments]) == 4
    for options in ([], ["--json"]):
        assert main(["feeds", "list", *options]) == 0
    out, err = capsys.readouterr()
    assert "bad key ***" in out
    assert ECHOED not in out + err
    files = [path for path in agent.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if ECHOED.encode() in path.read_bytes()]


@pytest.mark.parametrize("source", ["http://[::1/feed", "~nosuchuser/x", "x:" + "y" * 3_000])
def test_an_odd_source_stops_no_other(source: str, agent: PaperAgent, tmp_path: Path) -> None:
    """It fails as any other would, and cannot be kept."""
    page = page_of(range(3), tmp_path / "page.txt")
    with pytest.raises(FeedError) as caught:
        agent.ingest([source, page])
    assert [feed.new for feed in caught.value.report.feeds] == [0, 3]
    with pytest.raises(FeedError):
        agent.follow(source)
    assert not agent.unfollow(source)


def test_a_feed_is_refused_where_the_folder_is_gone(
    agent: PaperAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is relative to nothing is no file."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FeedError, match="neither a file nor a service"):
        agent.follow("page.txt")


def test_without_a_cache_folder_services_are_read(agent: PaperAgent, tmp_path: Path) -> None:
    """The turns of services are kept in this process alone then."""
    agent.settings.cache_dir.parent.mkdir(exist_ok=True)
    agent.settings.cache_dir.write_text("a file")
    assert agent.ingest("arxiv:cs.CL?max=5").new == 5


@contextmanager
def another_writer(agent: PaperAgent, seconds: float) -> Iterator[None]:
    """Hold the library's lock for the block, and no longer than ``seconds``, as another process would."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with writer_lock(agent.home):
            held.set()
            over.wait(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    yield
    over.set()
    thread.join()


def beside(agent: PaperAgent, services: Services, seconds: float) -> ExitStack:
    """Let another writer take the library before the second page is answered; close it at the end."""
    stack, seen = ExitStack(), services.answer

    def answer(request: object) -> Reply:
        if len(services.history) == 1:
            stack.enter_context(another_writer(agent, seconds))
        return seen(request)  # type: ignore[arg-type]

    services.answer = answer  # type: ignore[method-assign]
    return stack


def test_a_run_waits_for_another_writer_between_its_pages(agent: PaperAgent, services: Services) -> None:
    """What was begun is brought to its end."""
    with beside(agent, services, 0.6):
        assert agent.ingest(OAI).new == 250


def test_a_run_that_waited_in_vain_says_how_far_it_came(
    agent: PaperAgent,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error is that of the lock (exit 75), with the report of what was read before."""
    monkeypatch.setattr(ingest, "LOCK_TIMEOUT_SECONDS", 0.1)
    with beside(agent, services, 30.0):
        assert main(["ingest", "--no-vectors", OAI, "arxiv:cs.CL"]) == 75
    out, err = capsys.readouterr()
    assert "100 read: 100 new" in out
    assert err.count("library is locked") == 1
    assert agent.ingest(OAI).new == 150


def test_the_first_page_waits_for_nobody(agent: PaperAgent, tmp_path: Path) -> None:
    """A second ingest is told at once who writes, and reports nothing."""
    page = page_of(range(3), tmp_path / "page.txt")
    agent.ingest(page)
    with another_writer(agent, 30.0), pytest.raises(StoreLockedError) as caught:
        agent.ingest([page, page])
    assert caught.value.report is None


def test_a_feed_is_kept_beside_a_writer(agent: PaperAgent, tmp_path: Path) -> None:
    """An ingest gives way between its pages: keeping and forgetting wait for that."""
    agent.ingest(page_of(range(3), tmp_path / "page.txt"))
    with another_writer(agent, 0.5):
        assert agent.follow("arxiv:cs.CL")
    with another_writer(agent, 0.5):
        assert agent.unfollow("arxiv:cs.CL")


def test_addresses_that_differ_in_their_query_have_each_their_own_end(
    agent: PaperAgent, services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One fails, one is read: the list says it of the right one, and shows no value that may be a key."""
    page = page_of(range(3), tmp_path / "page.txt").read_text()
    for address in ("/f?api_key=first-key", "/f?api_key=other-key", "/f?c=1&plain"):
        agent.follow(services.url + address)
    services.pages["/f"] = lambda r: Reply("no", 404) if "first-key" in r.query.values() else Reply(page)
    with pytest.raises(FeedError, match="HTTP status 404"):
        agent.ingest_followed()
    assert [(bool(feed["error"]), feed["new"]) for feed in agent.followed()] == [
        (True, 0), (False, 3), (False, 0),
    ]  # fmt: skip
    for options in ([], ["--json"]):
        assert main(["feeds", "list", *options]) == 0
    out = capsys.readouterr().out
    assert not {"first-key", "other-key", "plain"} & set(re.findall(r"[a-z-]+", out))
    assert f"- ok: {services.url}/f?api_key=…" in out  # as it can be copied, not escaped
    assert main(["feeds", "remove", f"{services.url}/f?api_key=…"]) == 2
    assert main(["feeds", "remove", f"{services.url}/f?c=…&…"]) == 0
    assert main(["feeds", "remove", f"{services.url}/f?api_key=first-key"]) == 0
    assert [feed["source"] for feed in agent.followed()] == [f"{services.url}/f?api_key=other-key"]


@pytest.mark.parametrize("source", ["https://h/" + "x" * 4_000, "y" * 5_000])
def test_a_source_without_end_is_not_kept(source: str, agent: PaperAgent) -> None:
    """Nobody would see what it is."""
    with pytest.raises(InputError, match="longer than 4,000 characters"):
        agent.follow(source)


def test_a_list_of_feeds_may_begin_with_a_byte_order_mark(agent: PaperAgent, tmp_path: Path) -> None:
    """Editors of Windows write one; it is no part of the first feed."""
    listed = tmp_path / "feeds.txt"
    listed.write_bytes(b"\xef\xbb\xbfarxiv:cs.CL?max=5\r\n")
    assert agent.ingest_followed(listed).read == 5


def test_a_library_that_fails_is_no_reason_to_begin_anew(agent: PaperAgent, services: Services) -> None:
    """Where the place to go on from cannot be read, nothing is fetched: it would be forgotten."""
    agent.ingest(OAI)
    agent.close()
    (agent.home / "library.db").write_bytes(b"garbage" * 1_000)
    services.history.clear()
    with pytest.raises(StoreError):
        agent.ingest(OAI)
    assert services.history == []


def test_a_run_in_which_everything_was_skipped_is_an_error(tmp_path: Path) -> None:
    """Its reasons are in the message; a run that reads one paper is no error."""
    empty, good = tmp_path / "empty.bib", tmp_path / "good.bib"
    empty.write_text("@article{a, title={One}}\n@article{b, title={Two}}\n")
    good.write_text("@article{c, title={Three}, abstract={We measure how lanterns hum in still air.}}\n")
    with PaperAgent(home=tmp_path / "home") as agent:
        with pytest.raises(
            FeedError, match=r"no paper was read; all records were skipped: no abstract \(2\)"
        ) as caught:
            agent.ingest(empty, vectors=False)
        assert caught.value.report is not None
        assert caught.value.report.skipped == {"no abstract": 2}
        assert agent.ingest([empty, good], vectors=False).read == 1
