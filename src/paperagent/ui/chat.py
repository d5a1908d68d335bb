"""The chat loop: reads, answers and prints; `chat_memory` keeps what has been said.

The loop knows no terminal: it takes lines from a `Reader` (see `readers.py` for the two there
are) and prints to a `Screen`, so that tests and other front ends can drive it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from paperagent.answering.conversation import MAX_QUESTION
from paperagent.errors import InputError, PaperAgentError, visible
from paperagent.layout import Block, nearest_blocks, paper_blocks, row_blocks, source_blocks, transcript
from paperagent.text.sanitize import safe_json
from paperagent.types import Answer, Event, Paper, Usage
from paperagent.ui.chat_files import write_new
from paperagent.ui.chat_memory import KEPT_PAIRS, Conversation, Spent
from paperagent.ui.render import Screen
from paperagent.ui.streaming import StreamedAnswer
from paperagent.ui.wait_line import WaitingLine

LEAVE_WITHIN_S = 2.0
INTERRUPTED = 130
EFFORTS = ("fast", "normal", "deep")
MAX_MODEL_NAME = 200
_SECRET = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_\w{20,}|AKIA[A-Z0-9]{16}|hf_\w{20,}|xox[a-z]-[\w-]{10,})"
)
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

COMMANDS = {
    "/help": "this list",
    "/sources": "the sources of the last answer, with the sentences quoted",
    "/open N": "the paper behind source N, the cited sentences set off",
    "/summarize [TOPIC]": "an overview of the papers on a topic, or of those of the last answer",
    "/new": "forget the conversation (also /clear)",
    "/model [NAME]": "show or change the model that answers",
    "/effort [LEVEL]": "how hard to look: fast (one search), normal or deep (several searches at first)",
    "/cost": "calls, tokens and dollars of the last answer and of the session",
    "/good [NOTE]": "keep the last answer as one that was right, for `paperagent eval cases add`",
    "/bad [NOTE]": "keep it as one that was wrong, likewise",
    "/save FILE": "write the conversation as Markdown, or the last answer where FILE ends in .json",
    "/quit": "leave (also Ctrl-D)",
}


class Agent(Protocol):
    """What the loop needs of `PaperAgent`."""

    def ask_stream(
        self, question: str, *, history: list[tuple[str, str]] | None = None, **options: Any
    ) -> Iterator[Event]:
        """Yield the steps of an answer."""
        ...

    def get(self, paper_id: str) -> Paper:
        """Return one paper."""
        ...

    def summarize(self, query: str | None = None, *, ids: list[str] | None = None, **options: Any) -> Answer:
        """Return an overview of the papers found or named."""
        ...


class Reader(Protocol):
    """Where lines come from."""

    interactive: bool
    """Whether a person is typing: only then are hints printed."""

    def read(self) -> str:
        """Return the next line.

        Raise EOFError at the end, KeyboardInterrupt on Ctrl-C, InputError for a line that is no text.
        """
        ...


def holds_secret(line: str) -> bool:
    """Tell whether ``line`` holds what looks like an API key."""
    return _SECRET.search(line) is not None


def clean(line: str) -> str:
    """Return ``line`` without terminal escapes and control characters, which a paste may carry."""
    return _CONTROL.sub("", line.replace("\r\n", "\n").replace("\r", "\n")).strip()


_NO_MODEL = (
    "answers are quoted, no model is asked; for one, set OPENAI_API_KEY or OPENAI_BASE_URL and start anew"
)


_SUMMARY_OPTIONS = ("since", "until", "category", "source", "model")


@dataclass(slots=True)
class Chat:
    """One session: reads lines until the end and prints what they ask for."""

    agent: Agent
    reader: Reader
    screen: Screen
    options: dict[str, Any] = field(default_factory=dict)
    """Passed on with every question, such as filters."""
    model: str | None = None
    """The model that answers; None where answers are quoted without one."""
    ready: Callable[[], object] | None = None
    """Called before each question: waits until what answering needs is loaded."""
    clock: Callable[[], float] = time.monotonic
    feedback: Path | None = None
    """Where /good and /bad keep answers."""
    waiting: Callable[[str], WaitingLine] | None = None
    """Returns the line that is shown while a model of that name is waited for."""
    debug: bool = False
    """Whether an unexpected failure ends the session with its traceback."""
    conversation: Conversation = field(default_factory=Conversation)
    spent: Spent = field(default_factory=Spent)
    told: set[str] = field(default_factory=set)
    """Notes that have been shown once and need not be shown again."""

    def run(self) -> int:
        """Read and answer until /quit, the end of input or a second Ctrl-C; return the exit code."""
        interrupted = -LEAVE_WITHIN_S
        while True:
            try:
                line = self.reader.read()
            except EOFError:
                if self.reader.interactive:
                    self._end_line()
                return 0
            except InputError as error:
                self._fail(error)
                continue
            except KeyboardInterrupt:
                now = self.clock()
                if not self.reader.interactive or now - interrupted < LEAVE_WITHIN_S:
                    return INTERRUPTED
                interrupted = now
                self._say("Ctrl-C again leaves; so do Ctrl-D and /quit")
                continue
            if not self.handle(line):
                return 0

    def handle(self, line: str) -> bool:
        """Act on one line; return False to leave."""
        line = clean(line)
        if not line:
            return True
        if self.reader.interactive:
            self.screen.restart()  # what was typed stands above, so no blank line is needed
        if len(line) > MAX_QUESTION:
            self._say(f"question too long: {len(line):,} characters, at most {MAX_QUESTION:,}; shorten it")
        elif holds_secret(line):
            self._say(
                "that looks like an API key: not asked, not kept; put keys in .env, revoke one that leaked"
            )
        elif line.startswith("/") and not line.startswith("//"):
            return self._command(line)
        else:
            self._answer(line.removeprefix("/") if line.startswith("//") else line)
        return True

    def _command(self, line: str) -> bool:
        name, _, rest = line.partition(" ")
        if name in {"/quit", "/exit", "/q"}:
            return False
        actions: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/sources": self._sources,
            "/open": self._open,
            "/summarize": self._summarize,
            "/new": self._new,
            "/clear": self._new,
            "/model": self._model,
            "/effort": self._effort,
            "/cost": self._cost,
            "/good": lambda note: self._keep(note, good=True),
            "/bad": lambda note: self._keep(note, good=False),
            "/save": self._save,
        }
        action = actions.get(name)
        if action is None:
            self._say(
                f"unknown command {visible(name, limit=40)}; a question that begins with / is written //"
            )
            action = self._help
        try:
            action(rest.strip())
        except PaperAgentError as error:
            self._fail(error)
        return True

    def _help(self, _rest: str) -> None:
        self.screen.show(row_blocks(COMMANDS.items()))

    def _sources(self, _rest: str) -> None:
        self.screen.show(source_blocks(self._last().citations, quotes=True))

    def _open(self, rest: str) -> None:
        last = self._last()
        chosen = [c for c in last.citations if str(c.n) == rest.strip("[]")]
        if not chosen:
            numbers = ", ".join(str(c.n) for c in last.citations) or "none"
            raise InputError(f"/open: no source {visible(rest, limit=20) or 'given'}; sources: {numbers}")
        paper_id = chosen[0].paper_id
        cited = [c for c in last.citations if c.paper_id == paper_id]
        self.screen.show(paper_blocks(self.agent.get(paper_id), cited))

    def _summarize(self, topic: str) -> None:
        options = {o: v for o, v in self.options.items() if o in _SUMMARY_OPTIONS}
        if topic:
            self._answer(topic, lambda: self.agent.summarize(topic, **options))
            return
        ids = list(dict.fromkeys(c.paper_id for c in self._last().citations))
        if not ids:
            raise InputError("/summarize: the last answer has no sources; write /summarize TOPIC")
        options = {o: v for o, v in options.items() if o == "model"}
        self._answer(self._last().question, lambda: self.agent.summarize(ids=ids, **options))

    def _new(self, _rest: str) -> None:
        self.conversation.clear()
        self._say("the conversation begins anew")

    def _model(self, rest: str) -> None:
        if rest:
            now = self._needs_model("/model")
            name = rest.strip("\"'")
            if not name or len(name) > MAX_MODEL_NAME or not name.isprintable() or " " in name:
                shown = visible(rest, limit=40)
                raise InputError(f"/model: {shown} is no name of a model; still {visible(now) or 'none'}")
            self.model = self.options["model"] = name
        named = (
            f"the model is {visible(self.model)}" if self.model else "no model is named: write /model NAME"
        )
        self._say(_NO_MODEL if self.model is None else named)

    def _effort(self, rest: str) -> None:
        now = self.options.get("effort") or "normal"
        if rest:
            self._needs_model("/effort")
            if rest not in EFFORTS:
                shown = visible(rest, limit=40)
                raise InputError(f"/effort: must be {', '.join(EFFORTS)}, got {shown}; still {now}")
            now = rest
            self.options["effort"] = None if rest == "normal" else rest
        self._say(_NO_MODEL if self.model is None else f"the effort is {now}")

    def _needs_model(self, command: str) -> str:
        if self.model is None:
            raise InputError(f"{command}: {_NO_MODEL}")
        return self.model

    def _cost(self, _rest: str) -> None:
        self.screen.show(row_blocks(self.spent.rows()))

    def _save(self, rest: str) -> None:
        if not rest:
            raise InputError("/save: no file given; write /save FILE")
        last = self._last()
        if rest.endswith(".json"):
            text = safe_json(last.to_dict()) + "\n"
        else:
            text = "".join(transcript(self.conversation.answers))
        path = write_new(rest, text)
        self._say(f"saved to {visible(str(path.absolute()))}", plain=True)

    def _keep(self, note: str, *, good: bool) -> None:
        last = self._last()
        if self.feedback is None:
            raise InputError("/good, /bad: there is no place to keep answers in; use /save FILE.json")
        from paperagent.evals import feedback

        feedback.save_feedback(self.feedback, last, self.conversation.before_last(), good=good, note=note)
        self._say("kept; `paperagent eval cases add FILE` makes a case of it")

    def _last(self) -> Answer:
        if self.conversation.last is None:
            raise InputError("no answer yet; ask a question first")
        return self.conversation.last

    def _answer(self, question: str, make: Callable[[], Answer] | None = None) -> None:
        """Stream one answer; whatever stops it, the claims shown stay usable and the loop goes on.

        ``make`` returns it whole, instead of asking.
        """
        line = self.waiting(self.model or "") if self.waiting and make is None else None
        shown = StreamedAnswer(self.screen, self.told, titles=self.model is None, waiting=line)
        try:
            if self.ready is not None:
                self.ready()
            quoted = partial(self._events, question, mode="extractive")
            events = self._events(question) if make is None else iter([Event("done", answer=make())])
            shown.follow(events, quoted if self.reader.interactive else None)
            self._count(shown)
        except KeyboardInterrupt:
            if not self.reader.interactive:
                raise
            self._lost(question, shown, "stopped")
            if shown.answer is None:
                self._say("stopped")
        except BrokenPipeError:
            raise
        except PaperAgentError as error:
            self._lost(question, shown, "failed")
            self._fail(error)
            self.screen.show(nearest_blocks(getattr(error, "hits", ())))
        except Exception as error:  # a fault of one answer must not end the session
            if self.debug:
                raise
            self._lost(question, shown, "failed")
            self._say(f"error: unexpected {type(error).__name__}: {visible(str(error), limit=200)}")
        if shown.answer and self.conversation.add(shown.answer):
            self._say(f"only the last {KEPT_PAIRS} questions are remembered from here on")

    def _events(self, question: str, **instead: Any) -> Iterator[Event]:
        history = list(self.conversation.history)
        return self.agent.ask_stream(question, history=history, **{**self.options, **instead})

    def _count(self, shown: StreamedAnswer) -> None:
        if shown.stopped:
            self.spent.lose()
        else:
            self.spent.add(shown.answer.usage if shown.answer else Usage())

    def _lost(self, question: str, shown: StreamedAnswer, reason: str) -> None:
        """Let /sources and /open see what was shown; the history never holds half an answer."""
        shown.cut_off(question, reason)
        if self.model is not None:
            self.spent.lose()

    def _say(self, text: str, *, plain: bool = False) -> None:
        self.screen.show([Block("note", text, tight=True, plain=plain)])

    def _fail(self, error: PaperAgentError) -> None:
        self._say(f"error: {error}")

    def _end_line(self) -> None:
        self.screen.out.write("\n")
        self.screen.out.flush()
