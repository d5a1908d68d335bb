"""Measure what an answer by a model costs besides the model itself: calls, tokens, time.

    python eval/llm.py --shared DIR [--home LIBRARY] [--failures] [--json]

The development questions are asked of the saved pages and, if given, of LIBRARY (whose secret for fences is
created on the first run). A scripted server plays a sensible model over real HTTP: it requests a search if
none of the papers it needs is shown, abstains if there are none, and otherwise restates sentences of the
papers. It sends its reply in one piece, so nothing can be shown before its last byte. Each question is
first answered extractively, so that its sentences are encoded already; the overhead is the time that the
model mode adds. The limit on tokens is for single facts; lists and comparisons see more passages. Exit code
1 if a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from paperagent import PaperAgent
from paperagent.answering.answer_config import FULL
from paperagent.llm.pricing import estimate_tokens
from paperagent.retrieval.question import classify_question
from paperagent.testing import CHAT, Reply, Request, ScriptedServer, chat_reply

LIMITS = {"calls an answer": 1.2, "input tokens a single": 3000, "first claim ms": 50, "overhead ms": 30}
_SENTENCE = re.compile(r"^(\d+)\.(\d+) (.*)$", re.MULTILINE)
_TITLE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)
_WARM_UP = 5
COUNTED_AS = "gpt-5.6-luna"
"""The newest model whose tokens tiktoken can count."""


class TimedServer(ScriptedServer):
    """Plays the model for one case at a time and measures how long it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.responder = self._play
        self.case: dict[str, Any] = {}
        self.busy = 0.0
        """Seconds between requests and the last byte of their replies, since the last `begin`."""
        self.last_byte = 0.0
        self._arrived = 0.0

    def begin(self, case: dict[str, Any]) -> None:
        """Start a new case."""
        self.case, self.busy = case, 0.0
        self.history.clear()

    def respond(self, request: Request, authorization: str | None = None) -> Reply:
        """Answer as `ScriptedServer` does, and record the time."""
        self._arrived = time.perf_counter()
        return super().respond(request, authorization)

    def wait(self, seconds: float) -> None:
        """Record the time; this is called just before each write."""
        super().wait(seconds)
        self.last_byte = time.perf_counter()
        self.busy += self.last_byte - self._arrived
        self._arrived = self.last_byte

    def _play(self, request: Request) -> Reply:
        user = request.messages[-1]["content"]
        body = request.json() | {"stream": False}
        request = Request("POST", CHAT, {}, json.dumps(body).encode())
        return chat_reply(request, scripted_reply(user, self.case))


def scripted_reply(user: str, case: dict[str, Any]) -> dict[str, Any]:
    """Return a sensible model's reply to a prompt."""
    gold = {_key(title) for title in case["gold_titles"]}
    titles = _TITLE.findall(user)
    usable = {n for n, title in titles if case.get("any") or any(_key(title).startswith(g) for g in gold)}
    claims = [
        {"text": text, "evidence": [f"{n}.{i}"]} for n, i, text in _SENTENCE.findall(user) if n in usable
    ]
    verdict, queries = "answer", []
    if not usable:
        verdict, claims = "abstain", []
        if gold and "You may ask for one more search" in user:
            verdict, queries = "search", [case["question"]]
    return {"verdict": verdict, "claims": claims[1:4], "missing": "", "queries": queries}


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title.casefold())


@dataclass
class Measurements:
    """The measurements of one library, one entry per answer."""

    calls: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    """Number of passages of each answer's first call; 0 without a call."""
    quoting: list[float] = field(default_factory=list)
    """Milliseconds of the extractive answer, including the encoding of sentences."""
    reading: list[float] = field(default_factory=list)
    """Milliseconds of the same retrieval within the model's answer, with encoded sentences."""
    first_claim: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    estimated: bool = False


def measure(agent: PaperAgent, server: TimedServer, cases: Sequence[dict[str, Any]]) -> Measurements:
    """Ask every case, after a few for warm-up."""
    measured = Measurements()
    for case in cases[:_WARM_UP]:
        _ask(agent, server, case, Measurements())
    for case in cases:
        _ask(agent, server, case, measured)
    return measured


def _ask(agent: PaperAgent, server: TimedServer, case: dict[str, Any], measured: Measurements) -> None:
    started = time.perf_counter()
    agent.ask(case["question"], history=case.get("history"), mode="extractive")
    measured.quoting.append((time.perf_counter() - started) * 1000)
    server.begin(case)
    started = time.perf_counter()
    claimed = 0.0
    for event in agent.ask_stream(case["question"], history=case.get("history"), cache=False):
        if event.kind == "claim" and not claimed:
            claimed = time.perf_counter()
    total = time.perf_counter() - started
    assert event.answer is not None
    measured.reading.append(event.answer.timings_ms["retrieve"])
    prompts = [[m["content"] for m in r.messages] for r in server.history if r.path == CHAT]
    counted = [estimate_tokens(texts, COUNTED_AS) for texts in prompts]
    measured.estimated |= any(estimated for _, estimated in counted)
    measured.calls.append(len(prompts))
    measured.kinds.append(classify_question(case["question"]))
    measured.passages.append(len(_TITLE.findall(prompts[0][-1])) if prompts else 0)
    measured.tokens.append(sum(n for n, _ in counted))
    measured.overhead.append((total - server.busy) * 1000 - measured.reading[-1])
    if claimed:
        measured.first_claim.append((claimed - server.last_byte) * 1000)
    if len(prompts) > 1:
        measured.searched.append(case["id"])


def figures(measured: Measurements) -> dict[str, tuple[float, str]]:
    """Return each figure that has a limit, with a remark."""
    how = "estimated from bytes, rather too high" if measured.estimated else "counted by tiktoken"
    single = [n for n, kind in zip(measured.tokens, measured.kinds, strict=True) if n and kind == "single"]
    before = f"retrieval took {median(measured.reading):.0f}, {median(measured.quoting):.0f} with encoding"
    return {
        "calls an answer": (
            mean(measured.calls),
            f"{len(measured.searched)} of {len(measured.calls)} with a second search",
        ),
        "input tokens a single": (mean(single), f"most {max(single)}; {how}"),
        "first claim ms": (
            max(measured.first_claim),
            f"slowest of {len(measured.first_claim)} from the last byte on",
        ),
        "overhead ms": (
            median(measured.overhead),
            f"median; 95 % below {_p95(measured.overhead):.1f}; {before}",
        ),
    }


def by_kind(measured: Measurements) -> Iterator[str]:
    """Yield a line for each kind of question: how many passages its first call showed."""
    for kind in FULL.passage_limits:
        indices = [i for i, k in enumerate(measured.kinds) if k == kind and measured.calls[i]]
        if indices:
            passages, tokens = ([row[i] for i in indices] for row in (measured.passages, measured.tokens))
            yield (
                f"{kind}: {len(indices)} asked, "
                f"{mean(passages):.1f} passages ({min(passages)} to {max(passages)}), "
                f"{mean(tokens):.0f} input tokens (most {max(tokens)})"
            )


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


@contextmanager
def open_agent(home: Path, server: TimedServer) -> Iterator[PaperAgent]:
    """Yield an agent that asks the scripted model."""
    os.environ["OPENAI_BASE_URL"] = server.url
    with PaperAgent(home, mode="llm", model="test-model") as agent:
        yield agent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of test data")
    parser.add_argument("--home", type=Path, help="a large library, to measure the overhead")
    parser.add_argument(
        "--failures", action="store_true", help="also list the questions with a second search"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    lines = (args.shared / "data/questions/dev.jsonl").read_text("utf-8").splitlines()
    cases = [json.loads(line) for line in lines if line.strip()]
    runs: dict[str, Measurements] = {}
    with tempfile.TemporaryDirectory() as home, TimedServer() as server:
        with open_agent(Path(home), server) as agent:
            agent.ingest(sorted((args.shared / "seeds").glob("*.txt")))
            runs[f"saved pages, {agent.status()['papers']} papers"] = measure(agent, server, cases)
        if args.home:
            with open_agent(args.home, server) as agent:
                large = [{**case, "any": True} for case in cases]  # the right papers are not known
                runs[f"{args.home.name}, {agent.status()['papers']} papers"] = measure(agent, server, large)
    return report(runs, failures=args.failures, as_json=args.json)


def report(runs: dict[str, Measurements], *, failures: bool, as_json: bool) -> int:
    """Print the figures; return 1 if one exceeds its limit."""
    table = {name: figures(measured) for name, measured in runs.items()}
    if as_json:
        print(json.dumps({name: {k: v for k, (v, _) in row.items()} for name, row in table.items()}))
    for name, row in {} if as_json else table.items():
        print(f"{name}:")
        for what, (value, note) in row.items():
            verdict = "PASS" if value <= LIMITS[what] else "FAIL"
            print(f"  {verdict}  {what:24} {value:8.1f}  (limit {LIMITS[what]}; {note})")
        print(*(f"  {line}" for line in by_kind(runs[name])), sep="\n")
        if failures:
            print(f"  second search: {', '.join(runs[name].searched) or 'none'}")
    return int(any(value > LIMITS[what] for row in table.values() for what, (value, _) in row.items()))


if __name__ == "__main__":
    sys.exit(main())
