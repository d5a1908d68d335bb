"""Answers the questions of the page in the background, while any number of readers follow.

A worker thread owns the events of a turn and closes them, because the generator of a response is not closed
when its reader leaves. Each claim is written to the database before it is shown.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from paperagent.errors import PaperAgentError
from paperagent.layout import nearest_blocks
from paperagent.time_limits import Cancellation, Cancelled
from paperagent.types import Answer, Citation, Claim, Event, Paper
from paperagent.ui.streaming import StreamedAnswer
from paperagent.web import http
from paperagent.web.conversation_store import INTERRUPTED, ConversationStore, Turn
from paperagent.web.html_screen import HtmlScreen

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent

LOG = logging.getLogger("paperagent.web")
WORKERS = 2
"""Questions answered at once; an embedding model uses all cores."""
MAX_WAITING = 8
"""Questions that may wait for a worker."""
IDLE_SECONDS = 30.0
"""How long a turn continues while nobody follows it."""
PULSE_SECONDS = 10.0
"""How often a space is sent, so that no proxy ends a response that waits for the model."""
RETRY_AFTER_SECONDS = 20
_COMMAND = re.compile(r"(?:; )?(?:'paperagent [^']+'|/help\b)[^.\n]*")
STOPPED, LEFT, FAILED = "stopped", "nobody was reading it", "an error occurred"
"""Why an answer is incomplete."""


class RunningTurn:
    """A turn that a worker answers or will answer."""

    def __init__(self, turn: Turn, idle_seconds: float) -> None:
        self.turn = turn
        """Has its answer as soon as the turn has ended."""
        self.stop_reason = INTERRUPTED
        self.cancellation = Cancellation()
        self.future: Future[None] | None = None
        """The work of a worker, from the time the turn is queued."""
        self._idle_seconds = idle_seconds
        self._pieces: list[str] = []
        self._ended = False
        self._lock = threading.Lock()
        self._followers: set[Callable[[], object]] = set()
        self._idle_timer: threading.Timer | None = None
        self._start_idle_timer()

    def stop(self, reason: str) -> None:
        """End the turn soon, and close its connection to the model. May be called from any thread."""
        self.stop_reason = reason
        self.cancellation.cancel()
        if self.future is not None:
            self.future.cancel()  # a turn that still waits for a worker ends at once

    def add(self, piece: str) -> None:
        """Show a piece of HTML to everyone who follows."""
        with self._lock:
            self._pieces.append(piece)
        self._wake()

    def end(self, turn: Turn) -> None:
        """End the turn."""
        with self._lock:
            self.turn, self._ended = turn, True
            self._stop_idle_timer()
        self._wake()

    async def follow(self, pulse_seconds: float = PULSE_SECONDS) -> AsyncIterator[str]:
        """Yield the pieces of the answer, from the first one, until the turn has ended."""
        news = asyncio.Event()
        sent = 0
        with self._following(news, asyncio.get_running_loop()):
            while True:
                news.clear()
                with self._lock:
                    pieces, ended = self._pieces[sent:], self._ended
                sent += len(pieces)
                if pieces:
                    yield "".join(pieces)
                if ended:
                    return
                try:
                    await asyncio.wait_for(news.wait(), pulse_seconds)
                except TimeoutError:
                    yield " "

    @contextmanager
    def _following(self, news: asyncio.Event, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        def wake() -> None:
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(news.set)

        with self._lock:
            self._followers.add(wake)
            self._stop_idle_timer()
        try:
            yield
        finally:
            with self._lock:
                self._followers.discard(wake)
                if not self._followers and not self._ended:
                    self._start_idle_timer()

    def _wake(self) -> None:
        with self._lock:
            followers = list(self._followers)
        for wake in followers:
            wake()

    def _start_idle_timer(self) -> None:
        self._idle_timer = threading.Timer(self._idle_seconds, self.stop, [LEFT])
        self._idle_timer.daemon = True
        self._idle_timer.start()

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None


class TurnRunner:
    """Answers turns, at most `WORKERS` at once."""

    def __init__(
        self, agent: PaperAgent, store: ConversationStore, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        """Create a runner.

        Args:
            agent: Answers the questions.
            store: Where the turns are kept.
            idle_seconds: How long a turn continues while nobody follows it.
        """
        self.idle_seconds = idle_seconds
        self._agent = agent
        self._store = store
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._running: dict[tuple[str, int], RunningTurn] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="turn")

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let one request at a time start a turn in the block.

        Raises:
            HTTPException: 503 if too many questions are waiting.
        """
        with self._starting:
            if len(self._running) >= WORKERS + MAX_WAITING:
                raise HTTPException(
                    503,
                    "Too many questions are waiting for an answer. Please ask again in a minute.",
                    {"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            yield

    def start(
        self,
        turn: Turn,
        options: Mapping[str, Any],
        earlier: Sequence[Answer] = (),
        *,
        note: str = "",
        settle: Callable[[Answer | None], object] = id,
    ) -> None:
        """Answer a turn in the background.

        Args:
            turn: The turn, which is in the store.
            options: The options of `PaperAgent.ask_stream`.
            earlier: The answers whose notes were shown earlier in the conversation.
            note: Shown with the answer.
            settle: Called once at the end with the answer, which may be incomplete; None if there is none.
        """
        running = RunningTurn(turn, self.idle_seconds)
        with self._lock:
            self._running[turn.conversation, turn.number] = running
        run = partial(self._run, running, options, earlier, note=note, settle=settle)
        try:
            running.future = self._pool.submit(run)
        except RuntimeError:  # the server is being stopped
            with self._lock:
                del self._running[turn.conversation, turn.number]
            running.end(turn)
            self._store.save(turn, "failed", None, f"There is no answer: {INTERRUPTED}.")
            raise
        running.future.add_done_callback(lambda future: run() if future.cancelled() else None)

    def get(self, turn: Turn) -> RunningTurn | None:
        """Return a turn that has not ended yet."""
        return self._running.get((turn.conversation, turn.number))

    def stop(self, conversation: str, reason: str = STOPPED) -> None:
        """Stop the running turns of a conversation; their claims stay."""
        with self._lock:
            turns = [r for key, r in self._running.items() if key[0] == conversation]
        for running in turns:
            running.stop(reason)

    def stop_all(self) -> None:
        """Stop all running turns."""
        for conversation, _ in list(self._running):
            self.stop(conversation, INTERRUPTED)

    def close(self) -> None:
        """Stop all running turns and wait until they are written."""
        self.stop_all()
        self._pool.shutdown()

    # --- in a worker thread ---

    def _run(
        self,
        running: RunningTurn,
        options: Mapping[str, Any],
        earlier: Sequence[Answer],
        *,
        note: str,
        settle: Callable[[Answer | None], object],
    ) -> None:
        turn = running.turn
        try:
            screen = HtmlScreen(turn.number, paper_finder(self._agent), running.add)
            streamed = streamed_answer(screen, turn, earlier)
            error = self._stream(running, streamed, screen, self._events(running, options, note))
            answer = streamed.answer
            if answer is None:  # it was cut off before the first claim
                turn = replace(turn, state="failed", answer=None, error=error)
            else:
                turn = replace(turn, state="done", answer=answer)
            self._store.save(turn, turn.state, turn.answer, turn.error)
        except Exception:
            LOG.exception("turn %d failed", turn.number)
            turn = replace(turn, state="failed", error=http.message_of(Exception()))
        try:
            settle(turn.answer)
        except Exception:
            LOG.exception("turn %d was not settled", turn.number)
        with self._lock:
            del self._running[turn.conversation, turn.number]
        running.end(turn)

    def _stream(
        self, running: RunningTurn, streamed: StreamedAnswer, screen: HtmlScreen, events: Generator[Event]
    ) -> str | None:
        """Show the answer; return why there is none, if it ended before the first claim."""
        question = running.turn.question
        try:
            with running.cancellation.active():
                streamed.follow(_for_page(screen, events))
        except Cancelled:
            reason = running.stop_reason
            if streamed.cut_off(question, reason) is None and streamed.answer is None:
                return f"There is no answer: {reason}."
        except Exception as error:
            if not isinstance(error, PaperAgentError):
                LOG.exception("turn %d failed", running.turn.number)
            message = http.message_of(error)
            if streamed.cut_off(question, FAILED) is None:
                screen.show(nearest_blocks(getattr(error, "hits", ())))
                return message
        return None

    def _events(self, running: RunningTurn, options: Mapping[str, Any], note: str) -> Generator[Event]:
        """Yield the events of the answer; write its claims before they are shown.

        Raises:
            Cancelled: The turn was stopped.
        """
        turn, claims, citations = running.turn, list[Claim](), dict[int, Citation]()
        if running.cancellation.cancelled:
            raise Cancelled
        events = self._agent.ask_stream(turn.question, mode=turn.mode, **options)
        try:
            for event in events:
                if running.cancellation.cancelled:
                    raise Cancelled
                if event.claim is not None:
                    claims.append(event.claim)
                    citations.update((c.n, c) for c in event.citations)
                    mode = event.mode or "extractive"
                    so_far = (tuple(claims), tuple(citations.values()))
                    answer = Answer(turn.question, "incomplete", INTERRUPTED, "", *so_far, mode=mode)
                    self._store.save(turn, "running", answer)
                yield _with_note(event, note)
        finally:
            if isinstance(events, Generator):  # an answer from the library comes as a list
                events.close()


def streamed_answer(screen: HtmlScreen, turn: Turn, earlier: Iterable[Answer]) -> StreamedAnswer:
    """Return the object that shows the events of a turn on a screen.

    Args:
        screen: The screen.
        turn: The turn.
        earlier: The answers whose notes were shown earlier in the conversation and are not repeated.
    """
    shown_notes = {note for answer in earlier for note in answer.notes}
    return StreamedAnswer(screen, shown_notes, titles=turn.mode == "extractive", quotes=True)


def show_finished(screen: HtmlScreen, turn: Turn, earlier: Iterable[Answer]) -> None:
    """Show the answer of a finished turn as it was shown while it was written."""
    if turn.answer is None:
        return
    events = _for_page(screen, replayed_events(turn.answer))
    streamed_answer(screen, turn, earlier).follow(events)


def replayed_events(answer: Answer) -> Generator[Event]:
    """Yield the events of a finished answer. The claims of an overview come with its end, by theme."""
    from paperagent.answering.answers import claim_events

    if not any(claim.checks.get("theme") for claim in answer.claims):
        yield from claim_events(answer)
    yield Event("done", answer=answer)


def paper_finder(agent: PaperAgent) -> Callable[[str], Paper | None]:
    """Return a function that finds a paper by its id; None for one that was removed or cannot be read."""
    papers: dict[str, Paper | None] = {}

    def find(paper_id: str) -> Paper | None:
        if paper_id not in papers:
            try:
                papers[paper_id] = agent.get(paper_id)
            except PaperAgentError:  # the answer has its quotes
                papers[paper_id] = None
        return papers[paper_id]

    return find


def _for_page(screen: HtmlScreen, events: Generator[Event]) -> Iterator[Event]:
    """Yield events as the page shows them, and tell the screen about the citations that come next."""
    with closing(events):
        for event in events:
            screen.add_citations(event.citations)
            if (answer := event.answer) is None:
                yield event
                continue
            screen.add_citations(answer.citations)
            if answer.kind != "papers":
                answer = replace(answer, answer=without_commands(answer.answer))
            yield replace(event, answer=answer)


def without_commands(text: str) -> str:
    """Return an answer about the library without its hints at commands, which readers cannot run."""
    lines = [line for line in text.split("\n") if not (line.startswith("- ") and _COMMAND.search(line))]
    paragraphs = "\n".join(_COMMAND.sub("", line) for line in lines).split("\n\n")
    return "\n\n".join(p for p in paragraphs if any(map(str.isalnum, p)))


def _with_note(event: Event, note: str) -> Event:
    if not note or event.answer is None:
        return event
    return replace(event, answer=replace(event.answer, notes=(note, *event.answer.notes)))
