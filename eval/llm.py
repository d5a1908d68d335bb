"""Print what an answer by a model costs beside the model itself: calls, tokens, time.

    python eval/llm.py --shared DIR [--home LIBRARY] [--failures] [--json]

The development questions are asked of the saved pages, and of LIBRARY too where one is given
(its own secret for fences is written into it, once). A scripted server plays a sensible model
over real HTTP: it asks for a search where no paper that it needs is shown, abstains where there
is none at all, and otherwise restates sentences of the papers. It sends its reply in one piece,
so nothing can be shown before its last byte. Each question is quoted first, without the model,
so that what is read is encoded already; the overhead is what asking a model adds to that reading.
The limit on tokens is for single facts; lists and comparisons are shown more. Exit code 1 where a
limit is broken.
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
    """Plays the model for one case at a time and knows how long it had a request in its hands."""

    def __init__(self) -> None:
        super().__init__()
        self.responder = self._play
        self.case: dict[str, Any] = {}
        self.busy = 0.0
        """Seconds from the arrival of requests to their last byte, since the last `begin`."""
        self.last_byte = 0.0
        self._arrived = 0.0

    def begin(self, case: dict[str, Any]) -> None:
        """Forget the case before."""
        self.case, self.busy = case, 0.0
        self.history.clear()

    def respond(self, request: Request, authorization: str | None = None) -> Reply:
        """Answer as `ScriptedServer` does, and note when."""
        self._arrived = time.perf_counter()
        return super().respond(request, authorization)

    def wait(self, seconds: float) -> None:
        """Note the time: this is called just before each write."""
        super().wait(seconds)
        self.last_byte = time.perf_counter()
        self.busy += self.last_byte - self._arrived
        self._arrived = self.last_byte

    def _play(self, request: Request) -> Reply:
        user = request.messages[-1]["content"]
        body = request.json() | {"stream": False}
        whole = Request("POST", CHAT, {}, json.dumps(body).encode())
        return chat_reply(whole, written(user, self.case))


def written(user: str, case: dict[str, Any]) -> dict[str, Any]:
    """Return what a sensible model writes to a prompt."""
    gold = {_key(title) for title in case["gold_titles"]}
    titles = _TITLE.findall(user)
    shown = {n for n, title in titles if case.get("any") or any(_key(title).startswith(g) for g in gold)}
    claims = [
        {"text": text, "evidence": [f"{n}.{i}"]} for n, i, text in _SENTENCE.findall(user) if n in shown
    ]
    verdict, queries = "answer", []
    if not shown:
        verdict, claims = "abstain", []
        if gold and "You may ask for one more search" in user:
            verdict, queries = "search", [case["question"]]
    return {"verdict": verdict, "claims": claims[1:4], "missing": "", "queries": queries}


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title.casefold())


@dataclass
class Run:
    """The figures of one library, one entry an answer."""

    calls: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    """Of the first call of each answer; 0 where none was made."""
    quoting: list[float] = field(default_factory=list)
    """Milliseconds of the extractive answer, which encodes what is read."""
    reading: list[float] = field(default_factory=list)
    """Milliseconds of the same reading within the model's answer, where that is encoded."""
    first_claim: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    estimated: bool = False


def measure(agent: PaperAgent, server: TimedServer, cases: Sequence[dict[str, Any]]) -> Run:
    """Ask every case, after a few to warm up."""
    made = Run()
    for case in cases[:_WARM_UP]:
        _ask(agent, server, case, Run())
    for case in cases:
        _ask(agent, server, case, made)
    return made


def _ask(agent: PaperAgent, server: TimedServer, case: dict[str, Any], made: Run) -> None:
    started = time.perf_counter()
    agent.ask(case["question"], history=case.get("history"), mode="extractive")
    made.quoting.append((time.perf_counter() - started) * 1000)
    server.begin(case)
    started = time.perf_counter()
    claimed = 0.0
    for event in agent.ask_stream(case["question"], history=case.get("history"), cache=False):
        if event.kind == "claim" and not claimed:
            claimed = time.perf_counter()
    whole = time.perf_counter() - started
    assert event.answer is not None
    made.reading.append(event.answer.timings_ms["retrieve"])
    prompts = [[m["content"] for m in r.messages] for r in server.history if r.path == CHAT]
    counted = [estimate_tokens(texts, COUNTED_AS) for texts in prompts]
    made.estimated |= any(estimated for _, estimated in counted)
    made.calls.append(len(prompts))
    made.kinds.append(classify_question(case["question"]))
    made.passages.append(len(_TITLE.findall(prompts[0][-1])) if prompts else 0)
    made.tokens.append(sum(n for n, _ in counted))
    made.overhead.append((whole - server.busy) * 1000 - made.reading[-1])
    if claimed:
        made.first_claim.append((claimed - server.last_byte) * 1000)
    if len(prompts) > 1:
        made.searched.append(case["id"])


def figures(made: Run) -> dict[str, tuple[float, str]]:
    """Return each figure that has a limit, with what else is worth knowing of it."""
    how = "estimated from bytes, on the high side" if made.estimated else "counted by tiktoken"
    single = [n for n, kind in zip(made.tokens, made.kinds, strict=True) if n and kind == "single"]
    before = f"the reading before took {median(made.reading):.0f}, {median(made.quoting):.0f} with encoding"
    return {
        "calls an answer": (mean(made.calls), f"{len(made.searched)} of {len(made.calls)} searched again"),
        "input tokens a single": (mean(single), f"most {max(single)}; {how}"),
        "first claim ms": (
            max(made.first_claim),
            f"slowest of {len(made.first_claim)} from the last byte on",
        ),
        "overhead ms": (median(made.overhead), f"median; 95 % below {_p95(made.overhead):.1f}; {before}"),
    }


def by_kind(made: Run) -> Iterator[str]:
    """Yield a line on each kind of question: how much of the library its first call showed."""
    for kind in FULL.passages:
        places = [i for i, k in enumerate(made.kinds) if k == kind and made.calls[i]]
        if places:
            shown, tokens = ([row[i] for i in places] for row in (made.passages, made.tokens))
            yield (
                f"{kind}: {len(places)} asked, {mean(shown):.1f} passages ({min(shown)} to {max(shown)}), "
                f"{mean(tokens):.0f} input tokens (most {max(tokens)})"
            )


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


@contextmanager
def opened(home: Path, server: TimedServer) -> Iterator[PaperAgent]:
    """Give an agent over a library whose model is the scripted one."""
    os.environ["OPENAI_BASE_URL"] = server.url
    with PaperAgent(home, mode="llm", model="test-model") as agent:
        yield agent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of test data")
    parser.add_argument("--home", type=Path, help="a large library, for the overhead")
    parser.add_argument(
        "--failures", action="store_true", help="also list each question that was searched again"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    lines = (args.shared / "data/questions/dev.jsonl").read_text("utf-8").splitlines()
    cases = [json.loads(line) for line in lines if line.strip()]
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as home, TimedServer() as server:
        with opened(Path(home), server) as agent:
            agent.ingest(sorted((args.shared / "seeds").glob("*.txt")))
            runs[f"saved pages, {agent.status()['papers']} papers"] = measure(agent, server, cases)
        if args.home:
            with opened(args.home, server) as agent:
                large = [{**case, "any": True} for case in cases]  # which papers are right is not known
                runs[f"{args.home.name}, {agent.status()['papers']} papers"] = measure(agent, server, large)
    return report(runs, failures=args.failures, as_json=args.json)


def report(runs: dict[str, Run], *, failures: bool, as_json: bool) -> int:
    """Print the figures; return 1 where one breaks its limit."""
    table = {name: figures(made) for name, made in runs.items()}
    if as_json:
        print(json.dumps({name: {k: v for k, (v, _) in row.items()} for name, row in table.items()}))
    for name, row in {} if as_json else table.items():
        print(f"{name}:")
        for what, (value, note) in row.items():
            verdict = "PASS" if value <= LIMITS[what] else "FAIL"
            print(f"  {verdict}  {what:24} {value:8.1f}  (limit {LIMITS[what]}; {note})")
        print(*(f"  {line}" for line in by_kind(runs[name])), sep="\n")
        if failures:
            print(f"  searched again: {', '.join(runs[name].searched) or 'none'}")
    return int(any(value > LIMITS[what] for row in table.values() for what, (value, _) in row.items()))


if __name__ == "__main__":
    sys.exit(main())
