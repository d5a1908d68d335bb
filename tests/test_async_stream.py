"""Questions asked from an event loop: the core runs in a thread, and ends when nobody waits any more."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from paperagent import AskOptions, EndpointError, InputError, PaperAgent, PaperAgentError
from paperagent.async_stream import GRACE_SECONDS, MAX_QUEUED_ITEMS, iterate
from paperagent.llm.client import Endpoint, EndpointAddress
from paperagent.testing import CHAT, Reply, chat_reply, error_reply
from scripted_agent import GOOD, QUESTION, SECOND, ScriptedAgent, checked, reply, scripted_agent

SOON = 3.0
"""Seconds within which what is cancelled has to end, on a busy machine."""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        yield made


def run(main: Coroutine[Any, Any, Any], limit: float = 20) -> Any:
    """Run ``main`` in a fresh event loop; leave no thread of ours behind."""
    result = asyncio.run(asyncio.wait_for(main, limit))
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "paperagent-ask"])
    return result


def wait_until(so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def asked(model: ScriptedAgent, times: int = 1) -> None:
    """Wait until the model's server has so many requests."""
    while len(model.requests) < times:  # noqa: ASYNC110 - they arrive in the server's thread
        await asyncio.sleep(0.005)


# --- answers ---


def test_an_answer_is_the_same_as_without_a_loop(model: ScriptedAgent) -> None:
    """One pipeline: status, claims and citations agree."""
    model.server.enqueue_answer(reply(GOOD, SECOND))
    answer = run(model.agent.aask(QUESTION, cache=False))
    again = model.ask(reply(GOOD, SECOND))
    checked(answer, model.agent)
    assert (answer.claims, answer.citations, answer.status) == (again.claims, again.citations, "answered")


def test_an_extractive_answer_needs_no_model(model: ScriptedAgent) -> None:
    """Mode and the other options pass through."""
    answer = run(model.agent.aask(QUESTION, mode="extractive", k=3))
    assert (answer.mode, len(answer.hits)) == ("extractive", 3)


def test_events_arrive_as_they_come(model: ScriptedAgent) -> None:
    """The first claim is there long before the answer is done."""
    pause = 0.02

    async def main() -> list[tuple[str, float]]:
        model.server.enqueue_answer(reply(GOOD, SECOND), pause=pause)
        events = model.agent.aask_stream(QUESTION, cache=False)
        return [(event.kind, time.monotonic()) async for event in events]

    seen = run(main())
    assert [kind for kind, _ in seen] == ["retrieved", "claim", "claim", "done"]
    assert seen[-1][1] - seen[1][1] > 5 * pause


def test_several_questions_at_once_work(model: ScriptedAgent) -> None:
    """They wait for the model side by side, and the loop stays free."""
    model.server.responder = lambda request: chat_reply(request, reply(GOOD))
    model.server.enqueue(*[Reply(status=503, delay=1, headers={"retry-after": "0"})] * 6, path=CHAT)

    async def main() -> tuple[list[Any], int, float]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        begun = time.monotonic()
        answers = await asyncio.gather(*[model.agent.aask(QUESTION, cache=False) for _ in range(6)])
        ticking.cancel()
        return answers, ticks, time.monotonic() - begun

    answers, ticks, seconds = run(main())
    assert {a.status for a in answers} == {"answered"}
    assert seconds < 6 * 1
    assert ticks > 10


def test_context_variables_are_the_callers(model: ScriptedAgent) -> None:
    """Tracing and logging see the task that asked."""
    name = contextvars.ContextVar("name", default="nobody")
    found = []

    def items() -> Iterator[int]:
        found.append(name.get())
        yield 1

    async def main() -> None:
        name.set("somebody")
        assert [i async for i in iterate(items)] == [1]

    run(main())
    assert found == ["somebody"]


# --- errors ---


@pytest.mark.parametrize(
    ("question", "options", "error"),
    [("", {}, InputError), (QUESTION, {"k": 0}, InputError), (QUESTION, {"since": "soon"}, InputError)],
)
def test_errors_travel_with_their_type(
    model: ScriptedAgent, question: str, options: dict[str, Any], error: type[PaperAgentError]
) -> None:
    """What the synchronous call would raise is raised where the answer is awaited."""
    with pytest.raises(error):
        run(model.agent.aask(question, **options))


def test_an_error_of_the_endpoint_keeps_what_it_carries(model: ScriptedAgent) -> None:
    """Kind, status and what had been found."""
    model.server.enqueue(error_reply(401, "wrong key"))
    with pytest.raises(EndpointError) as caught:
        run(model.agent.aask(QUESTION, cache=False, fallback=False))
    assert (caught.value.kind, caught.value.status) == ("auth", 401)
    assert caught.value.hits


def test_an_option_that_does_not_exist_is_refused_at_the_call(model: ScriptedAgent) -> None:
    """The nearest one is named, in all four ways to ask, before anything is awaited."""
    for ask in (model.agent.ask, model.agent.ask_stream, model.agent.aask_stream):
        with pytest.raises(TypeError, match=r"unknown option 'modle'; did you mean .*'model'"):
            ask(QUESTION, modle="x")
    with pytest.raises(InputError, match="unknown option 'top_k'; options: history, k, since"):
        run(model.agent.aask(QUESTION, top_k=3))


# --- cancelling ---


async def seconds_to_cancel(model: ScriptedAgent, *, after: float = 0) -> float:
    """Cancel a question ``after`` seconds from its request; return how long its task took to end."""
    task = asyncio.create_task(model.agent.aask(QUESTION, cache=False))
    await asked(model)
    await asyncio.sleep(after)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - begun


def test_cancelling_closes_the_connection_while_the_model_is_silent(model: ScriptedAgent) -> None:
    """Nothing waits for a first byte that may be minutes away."""
    model.server.enqueue(Reply("late", delay=30), path=CHAT)

    assert run(seconds_to_cancel(model)) < SOON


def test_cancelling_a_stream_is_noticed_by_the_server(model: ScriptedAgent) -> None:
    """The model stops writing what nobody will read."""
    model.server.enqueue_answer(reply(GOOD, SECOND), chunk=3, pause=0.05)

    async def main() -> None:
        async with aclosing(model.agent.aask_stream(QUESTION, cache=False)) as events:
            async for event in events:
                if event.kind == "claim":
                    break

    run(main())
    wait_until(lambda: model.server.hung_up == 1)


def test_a_timeout_of_the_caller_ends_the_request(model: ScriptedAgent) -> None:
    """`asyncio.timeout` works as for any other coroutine."""
    model.server.enqueue(Reply("late", delay=30), path=CHAT)

    async def main() -> None:
        async with asyncio.timeout(1.5):
            await model.agent.aask(QUESTION, cache=False)

    with pytest.raises(TimeoutError):
        run(main())


def test_cancelling_ends_the_pause_before_another_attempt(model: ScriptedAgent) -> None:
    """A server that asks to wait is not waited for."""
    model.server.enqueue(error_reply(429, "later", retry_after="40"), path=CHAT)

    assert run(seconds_to_cancel(model, after=0.2)) < SOON
    assert len(model.requests) == 1


def test_the_connection_of_another_question_stays(model: ScriptedAgent) -> None:
    """Of two questions over one client only the cancelled one ends, on a connection used before too."""
    model.ask(reply(GOOD))
    model.server.enqueue(Reply("late", delay=30), path=CHAT)

    async def main() -> Any:
        lost = asyncio.create_task(model.agent.aask(QUESTION, cache=False))
        await asked(model, 2)
        model.server.enqueue_answer(reply(GOOD), pause=0.03)
        other = asyncio.create_task(model.agent.aask(QUESTION, cache=False))
        await asked(model, 3)
        lost.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lost
        return await other

    assert run(main()).status == "answered"
    assert model.ask(reply(GOOD)).status == "answered"


def test_the_iterator_is_closed_in_its_own_thread() -> None:
    """Its `finally` has run when closing returns."""
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.append(threading.current_thread().name)

    async def main() -> None:
        stream = iterate(items)
        assert await anext(stream) == 0
        await stream.aclose()
        assert closed == ["paperagent-ask"]

    run(main())


def test_the_thread_is_only_a_little_ahead() -> None:
    """What nobody has asked for yet is not made."""
    made = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    async def main() -> None:
        async with aclosing(iterate(items)) as stream:
            assert await anext(stream) == 0
            await asyncio.sleep(0.2)
            assert len(made) <= MAX_QUEUED_ITEMS + 2

    run(main())


def test_a_stream_that_nobody_closes_ends_with_its_loop() -> None:
    """The event loop closes what a `break` left open."""
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    left: list[AsyncGenerator[int, None]] = []

    async def main() -> None:
        left.append(iterate(items))
        async for _ in left[0]:
            break

    run(main())
    assert closed.wait(1)


def test_work_that_cannot_be_ended_does_not_hold_the_caller() -> None:
    """Closing waits a moment for the thread, and leaves it to end by itself."""
    free = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        free.wait(10)
        yield 2

    async def main() -> float:
        stream = iterate(items)
        await anext(stream)
        begun = time.monotonic()
        await stream.aclose()
        return time.monotonic() - begun

    seconds = asyncio.run(main())
    free.set()
    assert seconds < GRACE_SECONDS + SOON


class OneConnection:
    """A server that keeps its only connection open: it answers the first request on it, and no other."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self.asked_again, self.hung_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(65536)
            body = b'{"data": [{"id": "m"}]}'
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.recv(65536)
            self.asked_again.set()
            if connection.recv(65536) == b"":
                self.hung_up.set()

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)


def test_a_connection_that_was_kept_open_is_closed_too() -> None:
    """Whoever made it: it is known which connection the thread waits for."""
    server = OneConnection()
    endpoint = Endpoint(EndpointAddress.parse(api_key=None, base_url=server.url), timeout=30)
    assert [served.name for served in endpoint.models()] == ["m"]

    async def main() -> float:
        waiting = asyncio.create_task(anext(iterate(lambda: iter(endpoint.models()))))
        await asyncio.to_thread(server.asked_again.wait, 5)
        begun = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return time.monotonic() - begun

    assert run(main()) < SOON
    assert server.hung_up.wait(1)
    endpoint.close()
    server.close()


# --- the signature ---


@pytest.mark.parametrize("name", ["ask", "aask", "ask_stream", "aask_stream"])
def test_help_shows_every_option(name: str) -> None:
    """`help` and `inspect.signature` list them; the stream's text explains them."""
    import paperagent

    functions = [getattr(PaperAgent, name), *([paperagent.ask] if name == "ask" else [])]
    for function in functions:
        shown = set(inspect.signature(function).parameters) - {"self", "question"}
        assert shown == set(AskOptions.__annotations__)
