"""The chat loop: reads a line, answers it or runs its command, and prints the result.

The loop does not depend on a terminal: it takes lines from a `LineReader` and prints to a `Screen`,
so that tests and other front ends can drive it. `chat_commands` contains the slash commands, and
`chat_session` the state of the conversation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.answering.library_questions.classify import is_goodbye
from paperagent.errors import InputError, PaperAgentError, visible
from paperagent.layout import Block, counted, nearest_blocks
from paperagent.retrieval.question import MAX_QUESTION
from paperagent.types import Answer, Event, Usage
from paperagent.ui.answer_log import AnswerLog, LoggedAnswer, contains_secret, new_session
from paperagent.ui.chat_commands import ChatCommands
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
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


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
    log: AnswerLog | None = None
    """The log to which answers are added."""
    session: str = field(default_factory=new_session)
    """The id of the conversation in the log."""
    last_answer: Answer | None = None
    """The answer to the last question; None if it failed."""
    commands: ChatCommands = field(init=False)
    history: ChatHistory = field(default_factory=ChatHistory)
    usage: SessionUsage = field(default_factory=SessionUsage)
    shown_notes: set[str] = field(default_factory=set)
    """Notes that are not repeated within the session."""

    def __post_init__(self) -> None:
        self.commands = ChatCommands(self)

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
                self.print_error(error)
                continue
            except KeyboardInterrupt:
                now = self.clock()
                if not self.reader.interactive or now - interrupted_at < EXIT_WITHIN_S:
                    return INTERRUPTED
                interrupted_at = now
                self.print_note("press Ctrl-C again to quit (or use Ctrl-D or /quit)")
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
            self.print_note(
                f"question too long: {len(line):,} characters (max {MAX_QUESTION:,} characters); shorten it"
            )
        elif contains_secret(line):
            self.print_note(
                "this looks like an API key; it was neither sent nor stored. "
                "Put keys in .env, and revoke any key that leaked"
            )
        elif line.startswith("/") and not line.startswith("//"):
            return self.commands.run(line)
        elif is_goodbye(line):
            return False
        else:
            self.answer(line.removeprefix("/") if line.startswith("//") else line)
        return True

    def start_conversation(self) -> None:
        """Start a new conversation."""
        self.history.clear()
        self.session, self.last_answer = new_session(), None

    def continue_conversation(self, logged: Sequence[LoggedAnswer]) -> None:
        """Continue a conversation of the log, and print which one."""
        if not logged:
            self.print_note("no conversation in the log; starting a new one")
            return
        for entry in logged:
            self.history.add(entry.answer)
        last = logged[-1]
        self.session = last.session or self.session
        question = visible(" ".join(last.answer.question.split()), limit=60)
        self.print_note(
            f"continuing the conversation of {last.time:%Y-%m-%d %H:%M} UTC: "
            f"{counted(len(logged), 'question')}, the last one “{question}”"
        )

    def answer(self, question: str, make_answer: Callable[[], Answer] | None = None) -> None:
        """Show one answer, and store how to repeat it for /retry."""
        self.commands.before_answer(partial(self._answer, question, make_answer, again=True))
        self._answer(question, make_answer)

    def _answer(
        self, question: str, make_answer: Callable[[], Answer] | None, *, again: bool = False
    ) -> None:
        """Stream one answer; after an interruption or an error the claims shown stay available.

        ``make_answer`` returns a complete answer to show instead of asking the question. ``again`` bypasses
        the cache of the model's replies.
        """
        self.last_answer = None
        waiting = self.waiting(self.model or "") if self.waiting and make_answer is None else None
        streamed = StreamedAnswer(self.screen, self.shown_notes, titles=self.model is None, waiting=waiting)
        try:
            self._stream(question, streamed, make_answer, again=again)
        except KeyboardInterrupt:
            if not self.reader.interactive:
                raise
            self._cut_off(question, streamed, "stopped")
            if streamed.answer is None:
                self.print_note("stopped")
        except BrokenPipeError:
            raise
        except PaperAgentError as error:
            self._cut_off(question, streamed, "failed")
            self.print_error(error)
            self.screen.show(nearest_blocks(getattr(error, "hits", ())))
        except Exception as error:  # an error in one answer must not end the session
            if self.debug:
                raise
            self._cut_off(question, streamed, "failed")
            self.print_note(f"error: unexpected {type(error).__name__}: {visible(str(error), limit=200)}")
        if streamed.answer is None:
            return
        self.last_answer = streamed.answer
        self._write_log(streamed.answer)
        if self.history.add(streamed.answer):
            self.print_note(f"from now on, only the last {HISTORY_TURNS} questions are remembered")

    def _write_log(self, answer: Answer) -> None:
        if self.log is None:
            return
        self.log.append(answer, session=self.session)
        if self.log.warning:
            self.print_note(self.log.warning)
            self.log = None

    def _stream(
        self,
        question: str,
        streamed: StreamedAnswer,
        make_answer: Callable[[], Answer] | None,
        *,
        again: bool,
    ) -> None:
        if self.wait_until_ready is not None:
            self.wait_until_ready()
        quoted = partial(self._events, question, mode="extractive")
        if make_answer is None:
            events = self._events(question, **({"cache": False} if again and self.model else {}))
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

    def print_note(self, text: str, *, plain: bool = False) -> None:
        """Print a note; ``plain`` means that the text is trusted."""
        self.screen.show([Block("note", text, tight=True, plain=plain)])

    def print_error(self, error: PaperAgentError) -> None:
        """Print an error that does not end the session."""
        self.print_note(f"error: {error}")

    def _end_line(self) -> None:
        self.screen.out.write("\n")
        self.screen.out.flush()
