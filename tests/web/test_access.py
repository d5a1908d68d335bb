"""Who may do what: the person at this machine, proxies, signed-in readers, limits on rate and cost."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import web_server
from starlette.requests import Request
from starlette.testclient import TestClient

from paperagent import PaperAgent
from paperagent.digest.database import utc_now
from paperagent.errors import StoreError
from paperagent.web import access, rate_limit
from paperagent.web.conversation_store import ConversationStore
from paperagent.web.database import FILE_NAME, WebDatabase
from paperagent.web.rate_limit import RateLimiter
from paperagent.web.site import Site
from paperagent.web.spending import Spending
from paperagent.web.turns import TurnRunner

STRANGER = "203.0.113.7"
PUBLIC = {"PAPERAGENT_PUBLIC_URL": "https://papers.example.org"}
BEHIND_PROXY = {**PUBLIC, "PAPERAGENT_WEB_TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}
MODEL = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PAPERAGENT_MODEL": "scripted"}


@pytest.fixture
def open_site(
    sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    """Return a function that creates a site with settings from environment variables."""
    agents: list[PaperAgent] = []
    home = tmp_path / "library"
    shutil.copytree(sample_home, home)

    def create(**environment: str) -> Site:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        agents.append(PaperAgent(home, embedder="none"))
        return Site(agents[-1])

    yield create
    for agent in agents:
        agent.close()


def request(peer: str, host: str = "127.0.0.1", **headers: str) -> Request:
    lines = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "client": (peer, 1),
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        }
    )


# --- the network address ---


@pytest.mark.parametrize(
    ("environment", "sent", "local"),
    [
        ({}, request("127.0.0.1"), True),
        ({}, request("::1", "[::1]:8700"), True),
        ({}, request("::ffff:127.0.0.1", "localhost"), True),
        ({}, request("192.168.1.5"), False),
        ({}, request("127.0.0.1", "papers.example.org"), False),
        ({}, request("127.0.0.1", x_forwarded_for=STRANGER), False),
        ({}, request("127.0.0.1", via="1.1 proxy"), False),
        (PUBLIC, request("127.0.0.1"), False),  # may be a proxy that sends no headers
        (BEHIND_PROXY, request("127.0.0.1"), True),
        (BEHIND_PROXY, request("127.0.0.1", x_forwarded_for="127.0.0.1"), False),
        (BEHIND_PROXY, request("127.0.0.1", x_forwarded_for=""), False),
    ],
)
def test_the_person_at_this_machine(
    environment: dict[str, str], sent: Request, *, local: bool, open_site: Callable[..., Site]
) -> None:
    assert access.visitor(open_site(**environment), sent).is_local is local


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", STRANGER, STRANGER),
        ("127.0.0.1", f"1.1.1.1, {STRANGER}", STRANGER),  # the reader wrote 1.1.1.1
        ("127.0.0.1", f"{STRANGER}, 10.1.2.3", STRANGER),  # 10.1.2.3 is a trusted proxy too
        ("127.0.0.1", f"{STRANGER}:4711", STRANGER),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", f"{STRANGER}, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        (STRANGER, "1.1.1.1", STRANGER),  # not a trusted proxy
        ("10.200.0.1", "1.1.1.1", "1.1.1.1"),
    ],
)
def test_the_address_of_a_reader_behind_proxies(
    peer: str, forwarded: str, address: str, open_site: Callable[..., Site]
) -> None:
    sent = request(peer, "papers.example.org", x_forwarded_for=forwarded)
    assert access.origin(open_site(**BEHIND_PROXY), sent.scope).address == address


def test_hsts_is_sent_only_over_https_through_a_trusted_proxy(
    sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BEHIND_PROXY.items():
        monkeypatch.setenv(name, value)
    with PaperAgent(sample_home, embedder="none") as agent, web_server.client(agent) as http:
        headers = {"host": "papers.example.org", "x-forwarded-for": STRANGER}
        assert "strict-transport-security" not in http.get("/healthz", headers=headers).headers
        headers["x-forwarded-proto"] = "https"
        assert "strict-transport-security" in http.get("/healthz", headers=headers).headers
        with from_address(http, STRANGER) as stranger:
            assert "strict-transport-security" not in stranger.get("/healthz", headers=headers).headers
        assert http.get("/healthz", headers={"host": "rebound.example"}).status_code == 421


@contextmanager
def from_address(http: TestClient, address: str) -> Iterator[TestClient]:
    """Yield a client of the same application at another address."""
    yield TestClient(http.app, base_url=web_server.HOST, follow_redirects=False, client=(address, 1))


@pytest.mark.parametrize(
    ("askers", "peer", "user", "is_asker"),
    [
        (None, "127.0.0.1", "ana", True),
        ("ana@example.org", "127.0.0.1", "ana@example.org", True),
        ("ana@example.org", "127.0.0.1", "bob@example.org", False),
        (None, STRANGER, None, False),  # not through the proxy
    ],
)
def test_a_trusted_proxy_names_the_user(
    askers: str | None, peer: str, user: str | None, *, is_asker: bool, open_site: Callable[..., Site]
) -> None:
    site = open_site(
        **BEHIND_PROXY,
        PAPERAGENT_WEB_USER_HEADER="Remote-User",
        **({"PAPERAGENT_WEB_ASKERS": askers} if askers else {}),
    )
    sent = request(peer, "papers.example.org", x_forwarded_for="1.1.1.1", remote_user=user or "ana")
    visitor = access.visitor(site, sent)
    assert (visitor.user, visitor.is_asker) == (user, is_asker)


# --- rate limits ---


def test_a_bucket_fills_again() -> None:
    now = 0.0
    limiter = RateLimiter(lambda: now)
    assert [limiter.take("ask", STRANGER) for _ in range(7)] == [0] * 6 + [10]
    now = 9.9
    assert limiter.take("ask", STRANGER) == 1
    now = 10.0
    assert limiter.take("ask", STRANGER) == 0


def test_a_name_can_have_two_limits() -> None:
    """60 questions an hour, though 6 a minute would be 360."""
    now = 0.0
    limiter = RateLimiter(lambda: now)
    allowed = 0
    for _ in range(360):
        now += 10
        allowed += limiter.take("ask", STRANGER) == 0
    assert 60 <= allowed <= 121  # one full bucket, and one refilled over the hour


def test_addresses_of_one_network_count_together() -> None:
    limiter = RateLimiter(lambda: 0.0)
    for n in range(1_000):
        limiter.take("subscribe", f"2001:db8:0:1::{n:x}")
    assert limiter.take("subscribe", "2001:db8:0:1:ffff::1") > 0
    assert limiter.take("subscribe", "2001:db8:0:2::1") == 0
    assert limiter.take("subscribe", "::ffff:203.0.113.7") == limiter.take("subscribe", STRANGER) == 0
    assert rate_limit.network_of("::ffff:203.0.113.7") == STRANGER


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_BUCKETS", 100)
    limiter = RateLimiter(lambda: 0.0)
    for n in range(1_000):
        assert limiter.take("page", f"203.0.{n // 250}.{n % 250}") == 0
    assert len(limiter) == 100


def test_too_many_requests_get_429_with_our_page(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {**rate_limit.LIMITS, "search": ((5, 60),), "page": ((9, 60),)}
    monkeypatch.setattr(rate_limit, "LIMITS", limits)
    with from_address(web, STRANGER) as stranger:
        statuses = [stranger.get("/?q=graphs").status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        response = stranger.get("/?q=graphs")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert "try again in a minute" in response.text
        assert response.headers["cache-control"] == "no-store"
        assert stranger.get("/").status_code == 200  # another limit
        assert [stranger.get("/no-such-page").status_code for _ in range(9)][-1] == 429
        assert stranger.get("/healthz").status_code == 200
    assert web.get("/?q=graphs").status_code == 200  # another reader


# --- the cost of the model ---


@pytest.fixture
def database(tmp_path: Path) -> Iterator[WebDatabase]:
    with WebDatabase(tmp_path / FILE_NAME) as opened:
        yield opened


def test_reservations_never_exceed_a_ceiling(database: WebDatabase) -> None:
    spending = Spending(database, per_day=0.15, per_asker=1, clock=utc_now)
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda n: spending.reserve(f"10.0.0.{n}", 0.05), range(50)))
    assert sum(i is not None for i in ids) == 3
    assert spending.today() == 0.15
    spending.settle(next(i for i in ids if i is not None), 0.01)
    assert spending.today() == 0.11
    assert spending.reserve("10.0.0.99", 0.04) is not None
    assert spending.reserve("10.0.0.99", 0.01) is None


def test_one_asker_has_a_ceiling_of_their_own(database: WebDatabase) -> None:
    spending = Spending(database, per_day=1, per_asker=0.1, clock=utc_now)
    assert spending.reserve("ana@example.org", 0.1) is not None
    assert spending.reserve("ana@example.org", 0.01) is None
    assert spending.reserve("bob@example.org", 0.01) is not None
    with database.reading() as db:
        assert "ana" not in str(db.execute("SELECT * FROM spending").fetchall())


def test_a_killed_process_leaves_its_reservation(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    script = (
        "import sys, os, signal, pathlib\nfrom paperagent.digest.database import utc_now\n"
        "from paperagent.web.database import WebDatabase\nfrom paperagent.web.spending import Spending\n"
        "spending = Spending(WebDatabase(pathlib.Path(sys.argv[1])), per_day=1, per_asker=1, clock=utc_now)\n"
        "spending.reserve('ana@example.org', 0.9)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    assert result.returncode == -signal.SIGKILL
    with WebDatabase(path) as database:
        spending = Spending(database, per_day=1, per_asker=1, clock=utc_now)
        assert spending.today() == 0.9
        assert spending.reserve("bob@example.org", 0.2) is None


# --- how a question is answered ---


@pytest.mark.parametrize(
    ("environment", "peer", "mode"),
    [
        ({}, "127.0.0.1", "extractive"),
        (MODEL, "127.0.0.1", "model"),
        (MODEL, STRANGER, "extractive"),
        ({**MODEL, "PAPERAGENT_WEB_ASK": "off"}, STRANGER, "off"),
        ({**MODEL, "PAPERAGENT_WEB_ASK": "model"}, STRANGER, "model"),  # a server on this machine is free
        (
            {"OPENAI_API_KEY": "sk-12345678901234567890", "PAPERAGENT_WEB_ASK": "model"},
            STRANGER,
            "model",
        ),
        (
            {
                "OPENAI_BASE_URL": "https://models.example.org/v1",
                "PAPERAGENT_MODEL": "unpriced",
                "PAPERAGENT_WEB_ASK": "model",
            },
            STRANGER,
            "extractive",
        ),
    ],
)
def test_who_gets_the_model(
    environment: dict[str, str], peer: str, mode: str, open_site: Callable[..., Site]
) -> None:
    assert access.ask_mode(open_site(**environment), request(peer)) == mode


def test_who_may_not_ask_leaves_nothing_behind(
    sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = shutil.ignore_patterns("web.db*")  # of other tests
    home = shutil.copytree(sample_home, tmp_path / "library", ignore=others)
    monkeypatch.setenv("PAPERAGENT_WEB_ASK", "off")
    with PaperAgent(home, embedder="none") as agent, web_server.client(agent) as http:
        with from_address(http, STRANGER) as stranger:
            response = stranger.post("/ask", data={"question": "How many tokens does Tindersift remove?"})
            assert response.status_code == 403
            assert "Only signed-in readers can ask" in stranger.get("/ask").text
        with http.app.state.site.database.reading() as db:  # type: ignore[attr-defined]
            assert db.execute("SELECT count(*) FROM conversation").fetchone() == (0,)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, None),
        (BEHIND_PROXY, None),
        (PUBLIC, "PAPERAGENT_WEB_TRUSTED_PROXIES: not set"),
        (
            {**BEHIND_PROXY, "PAPERAGENT_PUBLIC_URL": "https://example.org/papers"},
            "PAPERAGENT_PUBLIC_URL: has a path",
        ),
        ({**MODEL, "PAPERAGENT_WEB_ASK": "model"}, None),
        (
            {
                "OPENAI_BASE_URL": "https://models.example.org/v1",
                "PAPERAGENT_MODEL": "unpriced",
                "PAPERAGENT_WEB_ASK": "model",
            },
            "PAPERAGENT_PRICE: not set",
        ),
    ],
)
def test_warnings_at_the_start(
    environment: dict[str, str], message: str | None, open_site: Callable[..., Site]
) -> None:
    messages = access.warnings(open_site(**environment).settings)
    assert [text[: len(message or "")] for text in messages] == ([message] if message else [])


def test_the_model_is_reserved_until_the_budget_is_used_up(open_site: Callable[..., Site]) -> None:
    site = open_site(
        **MODEL,
        PAPERAGENT_WEB_ASK="model",
        PAPERAGENT_PRICE="1,2",
        PAPERAGENT_WEB_MAX_COST_PER_DAY="0.1",
    )
    plans = [access.plan_answer(site, request(f"203.0.113.{n}")) for n in range(3)]
    assert [p.mode for p in plans] == ["llm", "llm", "extractive"]
    assert [p.max_cost for p in plans] == [0.05, 0.05, None]
    assert "budget for the model is used up" in plans[2].note
    assert access.plan_answer(site, request("127.0.0.1")).mode == "llm"  # the person at this machine
    site.close()


@pytest.mark.parametrize("failing", ["add_turn", "start"])
def test_a_question_that_cannot_be_started_costs_nothing(
    sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    home = shutil.copytree(sample_home, tmp_path / "library", ignore=shutil.ignore_patterns("web.db*"))
    settings = {**MODEL, "PAPERAGENT_WEB_ASK": "model", "PAPERAGENT_PRICE": "1,2"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with PaperAgent(home, embedder="none") as agent, web_server.client(agent) as http:
        site = http.app.state.site  # type: ignore[attr-defined]
        owner = ConversationStore if failing == "add_turn" else TurnRunner
        monkeypatch.setattr(owner, failing, fail)
        with from_address(http, STRANGER) as stranger:
            assert stranger.post("/ask", data={"question": "What is Tindersift?"}).status_code >= 500
        with site.database.reading() as db:
            assert db.execute("SELECT micros, settled FROM spending").fetchall() == [(0, 1)]


def test_a_turn_that_no_worker_takes_has_failed(open_site: Callable[..., Site]) -> None:
    """Because the server is being stopped; its readers do not wait for it."""
    site = open_site()
    conversation = site.conversations.create({})
    site.turns.close()
    turn = site.conversations.add_turn(conversation, "What is Tindersift?", "extractive")
    assert turn is not None
    with pytest.raises(RuntimeError):
        site.turns.start(turn, {})
    assert site.turns.get(turn) is None
    assert site.conversations.turns(conversation)[0].state == "failed"
    site.close()


# --- operators ---


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("admin@example.org", "mailto:admin@example.org"),
        ("https://example.org/help", "https://example.org/help"),
    ],
)
def test_the_contact_is_on_each_page_and_in_security_txt(
    contact: str, link: str, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERAGENT_CONTACT", contact)
    with PaperAgent(sample_home, embedder="none") as agent, web_server.client(agent) as http:
        assert f'<a href="{link}">Contact</a>' in http.get("/no-such-page").text
        text = http.get("/.well-known/security.txt").text
        assert re.fullmatch(rf"Contact: {link}\nExpires: \d{{4}}-\d\d-01T00:00:00Z\n", text)


def test_without_a_contact_there_is_no_security_txt(web: TestClient) -> None:
    assert web.get("/.well-known/security.txt").status_code == 404


def test_metrics_answer_this_machine_only(sample_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PaperAgent(sample_home, embedder="none") as agent, web_server.client(agent) as http:
        assert http.get("/metrics").status_code == 404
    monkeypatch.setenv("PAPERAGENT_WEB_METRICS", "1")
    with PaperAgent(sample_home, embedder="none") as agent, web_server.client(agent) as http:
        http.get("/no-such-page")
        text = http.get("/metrics").text
        assert "# TYPE paperagent_requests_total counter\npaperagent_requests_total 1\n" in text
        with from_address(http, STRANGER) as stranger:
            assert stranger.get("/metrics").status_code == 404
