"""The chat loop: reads a line, answers it or runs its command, and prints the result.

The loop does not depend on a terminal: it takes lines from a `LineReader` and prints to a `Screen`,
so that tests and other front ends can drive it. `chat_session` holds the state of the conversation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import InputError, PaperAgentError, visible
from paperagent.layout import Block, nearest_blocks, paper_blocks, row_blocks, source_blocks, transcript
from paperagent.retrieval.question import MAX_QUESTION
from paperagent.text.sanitize import safe_json
from paperagent.types import Answer, Event, Usage
from paperagent.ui.chat_session import HISTORY_TURNS, ChatHistory, SessionUsage
from paperagent.ui.streaming import StreamedAnswer

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.ui.line_input import LineReader
    from paperagent.ui.render import Screen
    from paperagent.ui.streaming import WaitingLine

EXIT_WITHIN_S = 2.0
"""Two Ctrl-C within this time end the session."""
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
    "/help": "show this list",
    "/sources": "show the sources of the last answer, with the quoted sentences",
    "/open N": "show the paper of source N, with the cited sentences highlighted",
    "/summarize [TOPIC]": "summarize the papers on a topic, or the papers of the last answer",
    "/new": "start a new conversation (also /clear)",
    "/model [NAME]": "show or change the model",
    "/effort [LEVEL]": "show or change the effort: fast (one search), normal, or deep (several searches)",
    "/cost": "show the calls, tokens and cost of the last answer and of the session",
    "/good [NOTE]": "rate the last answer as right, for 'paperagent eval cases add'",
    "/bad [NOTE]": "rate the last answer as wrong, for the same purpose",
    "/save FILE": "save the conversation as Markdown, or the last answer if FILE ends in .json",
    "/quit": "quit (also Ctrl-D)",
}
_NO_MODEL = (
    "no model is configured, so answers are quoted; set OPENAI_API_KEY or OPENAI_BASE_URL and restart chat"
)
_SUMMARY_OPTIONS = ("since", "until", "category", "source", "model")


def contains_secret(line: str) -> bool:
    """Return whether ``line`` contains what looks like an API key."""
    return _SECRET.search(line) is not None


def strip_control(line: str) -> str:
    """Remove terminal escapes and control characters, which pasted text may contain."""
    return _CONTROL.sub("", line.replace("\r\n", "\n").replace("\r", "\n")).strip()


@dataclass(slots=True)
class Chat:
    """One chat session."""

    agent: PaperAgent
    reader: LineReader
    screen: Screen
    options: dict[str, Any] = field(default_factory=dict)
    """Options passed with every question, such as filters."""
    model: str | None = None
    """Model that answers; None if answers are quoted without one."""
    wait_until_ready: Callable[[], object] | None = None
    """Called before each answer; returns once the models are loaded."""
    clock: Callable[[], float] = time.monotonic
    feedback: Path | None = None
    """File to which /good and /bad append."""
    waiting: Callable[[str], WaitingLine] | None = None
    """Returns the line that is shown while waiting for the given model."""
    debug: bool = False
    """Whether an unexpected error ends the session with its traceback."""
    history: ChatHistory = field(default_factory=ChatHistory)
    usage: SessionUsage = field(default_factory=SessionUsage)
    shown_notes: set[str] = field(default_factory=set)
    """Notes that are not repeated within the session."""

    def run(self) -> int:
        """Read and answer until /quit, the end of input or a second Ctrl-C; return the exit code."""
        interrupted_at = -EXIT_WITHIN_S
        while True:
            try:
                line = self.reader.read()
            except EOFError:
                if self.reader.interactive:
                    self._end_line()
                return 0
            except InputError as error:
                self._print_error(error)
                continue
            except KeyboardInterrupt:
                now = self.clock()
                if not self.reader.interactive or now - interrupted_at < EXIT_WITHIN_S:
                    return INTERRUPTED
                interrupted_at = now
                self._print_note("press Ctrl-C again to quit (or use Ctrl-D or /quit)")
                continue
            if not self.handle(line):
                return 0

    def handle(self, line: str) -> bool:
        """Process one line; return False if the session should end."""
        line = strip_control(line)
        if not line:
            return True
        if self.reader.interactive:
            self.screen.restart()  # the line that was typed separates the output already
        if len(line) > MAX_QUESTION:
            self._print_note(
                f"question too long: {len(line):,} characters (max {MAX_QUESTION:,} characters); shorten it"
            )
        elif contains_secret(line):
            self._print_note(
                "this looks like an API key; it was neither sent nor stored. "
                "Put keys in .env, and revoke any key that leaked"
            )
        elif line.startswith("/") and not line.startswith("//"):
            return self._run_command(line)
        else:
            self._answer(line.removeprefix("/") if line.startswith("//") else line)
        return True

    def _run_command(self, line: str) -> bool:
        name, _, argument = line.partition(" ")
        if name in {"/quit", "/exit", "/q"}:
            return False
        commands: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/sources": self._sources,
            "/open": self._open,
            "/summarize": self._summarize,
            "/new": self._new,
            "/clear": self._new,
            "/model": self._model,
            "/effort": self._effort,
            "/cost": self._cost,
            "/good": lambda note: self._rate(note, good=True),
            "/bad": lambda note: self._rate(note, good=False),
            "/save": self._save,
        }
        command = commands.get(name)
        if command is None:
            self._print_note(
                f"unknown command {visible(name, limit=40)}; to ask a question that starts with /, type //"
            )
            command = self._help
        try:
            command(argument.strip())
        except PaperAgentError as error:
            self._print_error(error)
        return True

    def _help(self, _argument: str) -> None:
        self.screen.show(row_blocks(COMMANDS.items()))

    def _sources(self, _argument: str) -> None:
        self.screen.show(source_blocks(self._last().citations, quotes=True))

    def _open(self, argument: str) -> None:
        last = self._last()
        citation = next((c for c in last.citations if str(c.n) == argument.strip("[]")), None)
        if citation is None:
            numbers = ", ".join(str(c.n) for c in last.citations) or "none"
            problem = f"no source {visible(argument, limit=20)}" if argument else "no source number given"
            raise InputError(f"/open: {problem}; sources: {numbers}")
        cited = [c for c in last.citations if c.paper_id == citation.paper_id]
        self.screen.show(paper_blocks(self.agent.get(citation.paper_id), cited))

    def _summarize(self, topic: str) -> None:
        options = {name: value for name, value in self.options.items() if name in _SUMMARY_OPTIONS}
        if topic:
            self._answer(topic, lambda: self.agent.summarize(topic, **options))
            return
        ids = list(dict.fromkeys(c.paper_id for c in self._last().citations))
        if not ids:
            raise InputError("/summarize: the last answer has no sources; use /summarize TOPIC")
        options = {name: value for name, value in options.items() if name == "model"}
        self._answer(self._last().question, lambda: self.agent.summarize(ids=ids, **options))

    def _new(self, _argument: str) -> None:
        self.history.clear()
        self._print_note("conversation cleared")

    def _model(self, argument: str) -> None:
        if argument:
            current = self._require_model("/model")
            name = argument.strip("\"'")
            if not name or len(name) > MAX_MODEL_NAME or not name.isprintable() or " " in name:
                raise InputError(
                    f'/model: "{visible(argument, limit=40)}" is not a model name; '
                    f"keeping {visible(current) or 'none'}"
                )
            self.model = self.options["model"] = name
        if self.model is None:
            self._print_note(_NO_MODEL)
        elif self.model:
            self._print_note(f"model: {visible(self.model)}")
        else:
            self._print_note("no model selected; use /model NAME")

    def _effort(self, argument: str) -> None:
        level = self.options.get("effort") or "normal"
        if argument:
            self._require_model("/effort")
            if argument not in EFFORTS:
                raise InputError(
                    f'/effort: "{visible(argument, limit=40)}" is not one of {", ".join(EFFORTS)}; '
                    f"keeping {level}"
                )
            level = argument
            self.options["effort"] = None if argument == "normal" else argument
        self._print_note(_NO_MODEL if self.model is None else f"effort: {level}")

    def _require_model(self, command: str) -> str:
        if self.model is None:
            raise InputError(f"{command}: {_NO_MODEL}")
        return self.model

    def _cost(self, _argument: str) -> None:
        self.screen.show(row_blocks(self.usage.rows()))

    def _save(self, file: str) -> None:
        if not file:
            raise InputError("/save: no file name given; use /save FILE")
        last = self._last()
        if file.endswith(".json"):
            text = safe_json(last.to_dict()) + "\n"
        else:
            text = "".join(transcript(self.history.answers))
        path = _write_new_file(file, text)
        self._print_note(f"saved to {visible(str(path.absolute()))}", plain=True)

    def _rate(self, note: str, *, good: bool) -> None:
        last = self._last()
        if self.feedback is None:
            raise InputError("/good, /bad: no feedback file in this session; use /save FILE.json")
        from paperagent.evals import feedback

        feedback.save_feedback(self.feedback, last, self.history.before_last(), good=good, note=note)
        self._print_note("saved; 'paperagent eval cases add FILE' turns it into a test case")

    def _last(self) -> Answer:
        if self.history.last is None:
            raise InputError("no answer yet; ask a question first")
        return self.history.last

    def _answer(self, question: str, make_answer: Callable[[], Answer] | None = None) -> None:
        """Stream one answer; after an interruption or an error the claims shown stay available.

        ``make_answer`` returns a complete answer to show instead of asking the question.
        """
        waiting = self.waiting(self.model or "") if self.waiting and make_answer is None else None
        streamed = StreamedAnswer(self.screen, self.shown_notes, titles=self.model is None, waiting=waiting)
        try:
            self._stream(question, streamed, make_answer)
        except KeyboardInterrupt:
            if not self.reader.interactive:
                raise
            self._cut_off(question, streamed, "stopped")
            if streamed.answer is None:
                self._print_note("stopped")
        except BrokenPipeError:
            raise
        except PaperAgentError as error:
            self._cut_off(question, streamed, "failed")
            self._print_error(error)
            self.screen.show(nearest_blocks(getattr(error, "hits", ())))
        except Exception as error:  # an error in one answer must not end the session
            if self.debug:
                raise
            self._cut_off(question, streamed, "failed")
            self._print_note(f"error: unexpected {type(error).__name__}: {visible(str(error), limit=200)}")
        if streamed.answer and self.history.add(streamed.answer):
            self._print_note(f"from now on, only the last {HISTORY_TURNS} questions are remembered")

    def _stream(
        self, question: str, streamed: StreamedAnswer, make_answer: Callable[[], Answer] | None
    ) -> None:
        if self.wait_until_ready is not None:
            self.wait_until_ready()
        quoted = partial(self._events, question, mode="extractive")
        if make_answer is None:
            events = self._events(question)
        else:
            events = iter([Event("done", answer=make_answer())])
        streamed.follow(events, quoted if self.reader.interactive else None)
        if streamed.stopped:
            self.usage.add_unknown()
        else:
            self.usage.add(streamed.answer.usage if streamed.answer else Usage())

    def _events(self, question: str, **overrides: Any) -> Iterator[Event]:
        history = list(self.history.turns)
        return self.agent.ask_stream(question, history=history, **{**self.options, **overrides})

    def _cut_off(self, question: str, streamed: StreamedAnswer, reason: str) -> None:
        """Keep what was shown for /sources and /open; the history never contains a partial answer."""
        streamed.cut_off(question, reason)
        if self.model is not None:
            self.usage.add_unknown()

    def _print_note(self, text: str, *, plain: bool = False) -> None:
        self.screen.show([Block("note", text, tight=True, plain=plain)])

    def _print_error(self, error: PaperAgentError) -> None:
        self._print_note(f"error: {error}")

    def _end_line(self) -> None:
        self.screen.out.write("\n")
        self.screen.out.flush()


def _write_new_file(name: str, text: str) -> Path:
    """Write a file that must not exist yet, and return its path.

    Raises:
        InputError: The file exists or cannot be written.
    """
    path = Path(name)
    try:
        path = path.expanduser()
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"/save: {visible(name)} exists; choose another name") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"/save: cannot write {visible(name)}: {reason}; choose another place") from None
    return path
