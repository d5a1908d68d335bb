"""Time the pages of `paperagent serve` over a library of 74,728 papers, searched by words.

    python bench/web.py [--shared ../shared] [--only pages|memory|browser] [--json FILE]

The server runs in its own process. All requests use one kept-alive connection, alternating, so that other
load affects them alike; ``/healthz`` shows what any request costs. ``browser`` needs Chromium, slowed down
four times.
"""

from __future__ import annotations

import gzip
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from figures import Figure, interleaved, p50, p95, run, say, seconds

from library import abstracts

ROUNDS, FIRST_ROUNDS, REQUESTS = 300, 20, 10_000
BROWSER_ROUNDS = 5
WORDS = (
    "retrieval reasoning translation agents speech robots vision graphs proteins code safety audio".split()
)
WEEK, DAY = "/week/2026-W26", "/day/2026-06-25"


@dataclass
class Server:
    """A running server and a connection to it."""

    pid: int
    connection: http.client.HTTPConnection

    def get(self, path: str) -> bytes:
        """Return the body of a page."""
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
        return body

    def private_megabytes(self) -> float:
        """Return the memory of the process without cached pages of files."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        return int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0]) / 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    measures: dict[str, Callable[[Server], Sequence[Figure]]] = {
        "pages": pages,
        "memory": memory,
        "browser": browser,
    }
    with ExitStack() as stack:
        return run(str(__doc__), measures, lambda args: stack.enter_context(_serving(args.shared)), argv)


@contextmanager
def _serving(shared: Path) -> Iterator[Server]:
    """Serve the abstracts from a temporary library, without a model."""
    from paperagent import PaperAgent

    feed = abstracts(shared)
    with tempfile.TemporaryDirectory() as home:
        say("reading the abstracts …")
        with PaperAgent(home, embedder="none") as agent:
            agent.ingest(feed, vectors=False)
        command = [sys.executable, "-m", "paperagent", "serve", "--home", home, "--port", "0"]
        environment = {**os.environ, "PAPERAGENT_EMBEDDER": "none", "PAPERAGENT_MODE": "extractive"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            try:
                assert process.stdout is not None
                address = re.search(r"http://([\d.:]+)/", process.stdout.readline())
                assert address is not None
                server = Server(process.pid, http.client.HTTPConnection(address[1]))
                while server.get("/healthz") and not _is_ready(server):
                    time.sleep(0.1)
                yield server
            finally:
                process.terminate()


def _is_ready(server: Server) -> bool:
    server.connection.request("GET", "/readyz")
    response = server.connection.getresponse()
    response.read()
    return response.status == 200


def pages(server: Server) -> list[Figure]:
    """Time pages from memory, and pages that are requested for the first time."""
    paper = re.findall(rb'<h3><a href="(/paper/[^"]+)"', server.get("/"))[0].decode()
    first = seconds(lambda: server.get("/?sort=votes"))
    paths = {"health": "/healthz", "feed": "/", "week": WEEK, "day": DAY, "paper": paper}
    times = interleaved({name: lambda path=path: server.get(path) for name, path in paths.items()}, ROUNDS)
    health = p50(times["health"])
    figures = [
        Figure(
            f"{paths[name]}, kept in memory / /healthz",
            p50(times[name]) / health,
            "×",
            limit=5,
            note=f"p50 {p50(times[name]) * 1000:.2f} ms against {health * 1000:.2f} ms, "
            f"p95 {p95(times[name]) * 1000:.2f} ms",
        )
        for name in ("feed", "week", "day", "paper")
    ]
    searches = [f"/?{urlencode({'q': f'{a} {b}'})}" for a in WORDS for b in WORDS if a != b][:ROUNDS]
    later = [f"/?page={n}" for n in range(2, 2 + FIRST_ROUNDS)]
    filtered = [f"/?category=cs.CL&page={n}" for n in range(1, 1 + FIRST_ROUNDS)]
    for name, new in (("search", searches), ("page of the feed", later), ("page of a category", filtered)):
        durations = [seconds(lambda path=path: server.get(path)) for path in new]
        note = f"p95 {p95(durations) * 1000:.0f} ms"
        figures.append(Figure(f"a new {name}", p50(durations) * 1000, "ms", note=note))
    size = len(gzip.compress(server.get("/")))
    return [
        *figures,
        Figure("the first page by votes", first * 1000, "ms"),
        Figure("the feed's HTML, compressed", size / 1000, "kB", limit=14, note="40 cards"),
    ]


def memory(server: Server) -> list[Figure]:
    """Compare the server's memory before and after many requests."""
    paths = ["/", WEEK, DAY, "/?q=retrieval", "/feed.atom"]
    for path in paths * 20:
        server.get(path)
    before = server.private_megabytes()
    for number in range(REQUESTS):
        server.get(paths[number % len(paths)])
    after = server.private_megabytes()
    note = f"{before:.0f} MB before, {after:.0f} after"
    return [Figure(f"memory added by {REQUESTS:,} requests", after - before, "MB", limit=5, note=note)]


_OBSERVE = """() => {
  window.vitals = {lcp: 0, cls: 0, inp: 0};
  const observe = (type, take) => new PerformanceObserver(list => list.getEntries().forEach(take))
    .observe({type, buffered: true, durationThreshold: 16});
  observe("largest-contentful-paint", e => { vitals.lcp = e.startTime; });
  observe("layout-shift", e => { if (!e.hadRecentInput) vitals.cls += e.value; });
  observe("event", e => { if (e.interactionId) vitals.inp = Math.max(vitals.inp, e.duration); });
}"""
"""Collects the largest contentful paint (ms), shifts of the layout, and the slowest interaction (ms)."""


def browser(server: Server) -> list[Figure]:
    """Measure the feed and an answer in Chromium on a slowed-down processor."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        say("Chromium is not installed; nothing is measured in a browser")
        return []
    address = f"http://{server.connection.host}:{server.connection.port}"
    results: dict[str, list[dict[str, float]]] = {"feed": [], "answer": []}
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        for _ in range(BROWSER_ROUNDS):
            tab = chromium.new_page()
            tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": 4})
            tab.add_init_script(f"({_OBSERVE})()")
            tab.goto(f"{address}/")
            tab.click("summary >> nth=0")
            tab.wait_for_timeout(500)
            results["feed"].append(tab.evaluate("vitals"))
            tab.goto(f"{address}/ask?q=How+do+retrievers+help+language+models%3F")
            tab.click("main form button")
            tab.wait_for_selector("button.cite")
            tab.click("button.cite >> nth=0")
            tab.wait_for_timeout(500)
            results["answer"].append(tab.evaluate("vitals"))
            tab.close()
        chromium.close()
    limits = {"lcp": (1_000, "ms"), "cls": (0, ""), "inp": (100, "ms")}
    return [
        Figure(f"{name}: {vital}", p50([r[vital] for r in rounds]), unit, limit=limit)
        for name, rounds in results.items()
        for vital, (limit, unit) in limits.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
