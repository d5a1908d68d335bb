"""The live services on 127.0.0.1, played from their documented shapes, traps included.

Each service is a method; ``faults`` are replies given first, whatever is asked. Papers are invented.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

FIRST_DAY = dt.date(2026, 5, 1)
ATOM = 'xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"'


KEYS = {"s2": "s2-key", "openalex": "alex-key", "zotero": "zotero-key"}


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def abstract(number: int) -> str:
    """Return the invented abstract of a paper."""
    return (
        f"We measure lantern {number} in a long series of nights and report what it attracts. "
        f"Method {number} counts {number * 7} moths without harm. The counts are shared with everybody."
    )


def title(number: int) -> str:
    """Return the invented title of a paper."""
    return f"Lantern study number {number}: counting moths"


def day(number: int) -> dt.date:
    """Return the day of a paper: ten of them a day."""
    return FIRST_DAY + dt.timedelta(days=number // 10)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; with ``cut`` only so many bytes of the body come."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


Answer = Callable[[Request], Reply]


class Services:
    """A server with ``papers`` papers. ``history`` holds the requests; ``tls`` names certificate and key."""

    def __init__(self, papers: int = 250, *, tls: tuple[Path, Path] | None = None) -> None:
        self.papers = papers
        self.history: list[Request] = []
        self.faults: list[Reply] = []
        self.expired: set[str] = set()
        """OAI resumption tokens that are no longer good."""
        self.loop_at: int | None = None
        """From this offset on, OAI gives the same token again."""
        self.deleted: set[int] = set()
        """Papers that OAI gives as deleted records."""
        self.page = 100
        self.answered = "2026-11-20T01:02:03Z"
        """OAI's clock."""
        self.arxiv_status = 400
        """The status of arXiv's errors; it has also been 200."""
        self.refused_ids: set[str] = set()
        """arXiv ids for which the whole request is refused."""
        self.totals = True
        """Whether Zotero says how many items there are."""
        self.pages: dict[str, Answer] = {}
        """Path → answer of one's own."""
        server = self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.services = self  # type: ignore[attr-defined]
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes is no error
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The server's base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def urls(self) -> dict[str, str]:
        """The base address of each service."""
        paths = {
            "arxiv": "/api/query", "arxiv-rss": "/atom", "arxiv-oai": "/oai", "hf-daily": "/api/daily_papers",
            "s2": "/graph/v1", "openalex": "/alex", "zotero": "/zotero",
        }  # fmt: skip
        return {name: self.url + path for name, path in paths.items()}

    def answer(self, request: Request) -> Reply:
        """Return the next fault, else what the service says."""
        self.history.append(request)
        if self.faults:
            return self.faults.pop(0)
        if request.path in self.pages:
            return self.pages[request.path](request)
        for prefix, play in self._plays().items():
            if request.path.startswith(prefix):
                return play(request)
        return Reply("not found", 404)

    def _plays(self) -> dict[str, Answer]:
        return {
            "/api/query": self.arxiv,
            "/atom/": self.rss,
            "/oai": self.oai,
            "/api/daily_papers": self.hf,
            "/graph/v1/paper/search": self.s2_search,
            "/graph/v1/paper/": self.s2_paper,
            "/alex/works": self.openalex,
            "/zotero/": self.zotero,
        }

    def arxiv(self, request: Request) -> Reply:
        """Answer a query, newest first; a malformed one with ``arxiv_status`` and an entry titled Error."""
        query = request.query
        if "malformed" in query.get("search_query", ""):
            return self.arxiv_error("malformed query")
        start, size = int(query["start"]), int(query["max_results"])
        newest_first = range(self.papers - 1, -1, -1)
        if "id_list" in query:
            wanted = [name.partition("v")[0] for name in query["id_list"].split(",")]
            if refused := next((name for name in wanted if name in self.refused_ids), None):
                return self.arxiv_error(f"incorrect id format for {refused}")
            matches = [n for n in newest_first if _arxiv(n) in wanted]
            count = len(wanted)  # arXiv counts the ids that it does not know
        else:
            matches = [n for n in newest_first if _within(n, query.get("search_query", ""))]
            count = len(matches)
        entries = "".join(_entry(n) for n in matches[start : start + size])
        total = f"<opensearch:totalResults>{count}</opensearch:totalResults>"
        return _xml(f"<feed {ATOM}>{total}{entries}</feed>")

    def arxiv_error(self, reason: str) -> Reply:
        """Answer as arXiv's query API does when it refuses a request."""
        entry = (
            "<title>arXiv Query</title><id>http://arxiv.org/api/x</id>"
            "<entry>\n  <id>http://arxiv.org/api/errors#x</id>\n  <title>Error</title>\n"
            f"  <summary>{reason}</summary><author><name>arXiv api core</name></author></entry>"
        )
        return replace(_xml(f"<feed {ATOM}>{entry}</feed>"), status=self.arxiv_status)

    def rss(self, _request: Request) -> Reply:
        """Answer with the day's announcements."""
        kinds = {1: "new", 2: "replace"}
        entries = "".join(
            f"<entry><id>oai:arXiv.org:{_arxiv(n)}v1</id><title>{title(n)}</title>"
            f"<summary>arXiv:{_arxiv(n)}v1 Announce Type: {kind}\nAbstract: {abstract(n)}</summary>"
            "<published>2026-11-20T00:00:00-05:00</published></entry>"
            for n, kind in kinds.items()
        )
        return _xml(f"<feed {ATOM}>{entries}</feed>")

    def oai(self, request: Request) -> Reply:
        """Answer ListRecords: from a day on, or by a token ``FROM:OFFSET``."""
        query = request.query
        token = query.get("resumptionToken", "")
        if token in self.expired or (token and not token.rpartition(":")[2].isdecimal()):
            return self._oai('<error code="badResumptionToken">the token has expired</error>')
        if query.get("from", "") > query.get("until", "9999"):
            return self._oai('<error code="badArgument">until is before from</error>')
        first, offset = token.rsplit(":", 1) if token else (query["from"], "0")
        at = int(offset)
        listed = [n for n in range(self.papers) if day(n).isoformat() >= first]
        if not listed:
            return self._oai('<error code="noRecordsMatch"/>')
        records = "".join(self._record(n) for n in listed[at : at + self.page])
        following = at + self.page
        if self.loop_at is not None and at >= self.loop_at:
            following = at
        goes_on = following < len(listed)
        size = f' completeListSize="{len(listed)}" cursor="{at}"'
        mark = f"<resumptionToken{size}>{f'{first}:{following}' if goes_on else ''}</resumptionToken>"
        return self._oai(f"<ListRecords>{records}{mark}</ListRecords>")

    def _oai(self, inner: str) -> Reply:
        return _xml(
            f'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>{self.answered}'
            f"</responseDate><request verb='ListRecords'>x</request>{inner}</OAI-PMH>"
        )

    def _record(self, number: int) -> str:
        gone = number in self.deleted
        status = ' status="deleted"' if gone else ""
        header = (
            f"<header{status}><identifier>oai:arXiv.org:{_arxiv(number)}"
            f"</identifier><datestamp>{day(number)}</datestamp></header>"
        )
        metadata = (
            f'<metadata><arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>{_arxiv(number)}</id>'
            f"<created>{day(number)}</created><authors><author><keyname>Moth</keyname></author></authors>"
            f"<title>{title(number)}</title><categories>cs.CL</categories>"
            f"<abstract>{abstract(number)}</abstract></arXiv></metadata>"
        )
        return f"<record>{header}{'' if gone else metadata}</record>"

    def hf(self, request: Request) -> Reply:
        """Answer a page of a day, a week or a month."""
        if request.query.get("date", "") > "2027":
            return _json({"error": "date is in the future"}, status=400)
        page, limit = int(request.query["p"]), int(request.query["limit"])
        numbers = range(self.papers)[page * limit : (page + 1) * limit]
        return _json([_hf(n) for n in numbers])

    def s2_search(self, request: Request) -> Reply:
        """Answer a page of a search."""
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        numbers = range(self.papers)[offset : offset + limit]
        found: dict[str, Any] = {"total": self.papers, "offset": offset, "data": [_s2(n) for n in numbers]}
        if offset + limit < self.papers:
            found["next"] = offset + limit
        return _json(found)

    def s2_paper(self, request: Request) -> Reply:
        """Answer with one paper."""
        return _json(_s2(1)) if "ARXIV:" in request.path else Reply('{"error": "Paper not found"}', 404)

    def openalex(self, request: Request) -> Reply:
        """Answer a page of works by cursor; without the key, 401."""
        if request.query.get("api_key") != "alex-key":
            return Reply('{"error": "API key required"}', 401)
        at = 0 if request.query["cursor"] == "*" else int(request.query["cursor"])
        numbers = range(self.papers)[at : at + 100]
        following = str(at + 100) if at + 100 < self.papers else None
        meta = {"count": self.papers, "next_cursor": following}
        return _json({"meta": meta, "results": [_work(n) for n in numbers]})

    def zotero(self, request: Request) -> Reply:
        """Answer a page of items; with ``since`` only one that changed after that version."""
        if request.headers.get("zotero-api-key") != "zotero-key":
            return Reply("Forbidden", 403)
        start, limit = int(request.query["start"]), int(request.query["limit"])
        numbers = range(self.papers) if "since" not in request.query else range(self.papers - 1, self.papers)
        items = [_item(n) for n in numbers][start : start + limit]
        headers = {"Last-Modified-Version": "77", "Backoff": "2"}
        headers |= {"Total-Results": str(len(numbers))} if self.totals else {}
        return _json(items, headers=headers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version: ClassVar[str] = "HTTP/1.1"

    def do_GET(self) -> None:
        services: Services = self.server.services  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = services.answer(Request(parts.path, query, headers))
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if reply.cut is None else body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


_DRIPS = {
    "headers": (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=", b"a"),
}


@contextmanager
def dripping(where: str, *, seconds: float) -> Iterator[str]:
    """Give the address of a server that answers one request without end, a few bytes at a time."""
    start, drop = _DRIPS[where]
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # the client has enough
            connection.recv(10_000)
            connection.sendall(start)
            end = time.monotonic() + seconds
            while time.monotonic() < end and not over.wait(0.05):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/feed"
        over.set()
        thread.join()


def _arxiv(number: int) -> str:
    return f"2605.{number:05d}"


def _within(number: int, search: str) -> bool:
    """Return whether a paper lies in the days that a query's submittedDate gives."""
    _, found, rest = search.partition("submittedDate:[")
    if not found:
        return True
    first, _, last = rest.partition("]")[0].partition(" TO ")
    return first[:8] <= day(number).strftime("%Y%m%d") <= last[:8]


def _entry(number: int) -> str:
    return (
        f"<entry><id>http://arxiv.org/abs/{_arxiv(number)}v1</id><title>{escape(title(number))}</title>"
        f"<published>{day(number)}T10:00:00Z</published><summary>{abstract(number)}</summary>"
        '<category term="cs.CL"/></entry>'
    )


def _hf(number: int) -> dict[str, Any]:
    paper = {"id": _arxiv(number), "title": title(number), "summary": abstract(number), "upvotes": number}
    return {"paper": paper | {"submittedOnDailyAt": "2026-11-18T10:00:00.000Z", "authors": []}}


def _s2(number: int) -> dict[str, Any]:
    return {
        "paperId": f"{number:040x}",
        "externalIds": {"ArXiv": _arxiv(number), "ACL": f"2026.acl-long.{number}", "CorpusId": number},
        "title": title(number),
        "abstract": abstract(number) if number % 5 else None,
        "publicationDate": day(number).isoformat(),
        "authors": [{"name": "Ada Moth"}],
    }


def _work(number: int) -> dict[str, Any]:
    index: dict[str, list[int]] = {}
    for place, word in enumerate(abstract(number).split()):
        index.setdefault(word, []).append(place)
    return {
        "id": f"https://openalex.org/W{number + 1}",
        "doi": f"https://doi.org/10.1000/moth.{number}",
        "display_name": title(number),
        "publication_date": day(number).isoformat(),
        "authorships": [{"author": {"display_name": "Ada Moth"}}],
        "abstract_inverted_index": index,
        "is_retracted": number == 3,
        "ids": {"openalex": f"https://openalex.org/W{number + 1}"},
    }


def _item(number: int) -> dict[str, Any]:
    data = {
        "itemType": "preprint",
        "title": title(number),
        "abstractNote": abstract(number),
        "date": "2026-05",
    }
    if number % 10 == 9:
        data = {"itemType": "attachment", "title": "Full Text PDF"}
    return {"key": f"K{number:07d}", "data": data | {"extra": f"arXiv: {_arxiv(number)} [cs]"}}


def _xml(text: str) -> Reply:
    return Reply(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', headers={"Content-Type": "text/xml"})


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(json.dumps(value), status, {"Content-Type": "application/json", **(headers or {})})
