"""A synchronous stream for an event loop: it runs in a thread of its own, and can be called off at once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from paperagent.http_limits import Cancellation, Cancelled

T = TypeVar("T")

AHEAD = 16
"""Items that may wait for the event loop; then the thread waits too."""
GRACE_SECONDS = 1.0
"""How long closing waits for the thread to close its stream, which takes milliseconds."""


async def iterate(start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """Yield the items of the iterator that ``start`` returns; both run in a thread of their own.

    Errors arrive with their type. Closing the generator, or cancelling the task that awaits it, ends a
    request that the thread waits for, closes its connection, and closes the iterator.
    """
    thread = _Thread(start, asyncio.get_running_loop())
    thread.start()
    ended = False
    try:
        while True:
            item = await thread.items.get()
            if isinstance(item, _End):
                ended = True
                if item.error is not None:
                    raise item.error
                return
            thread.room.release()
            yield item
    finally:
        if not ended:
            thread.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(thread.end(), GRACE_SECONDS)


@dataclass(frozen=True, slots=True)
class _End:
    """The last item: why there are no more."""

    error: BaseException | None = None


class _Thread(Generic[T]):
    """The thread that runs the iterator, and the queue by which it hands over what it yields."""

    def __init__(self, start: Callable[[], Iterator[T]], loop: asyncio.AbstractEventLoop) -> None:
        self.items = asyncio.Queue[T | _End]()
        self.room = threading.Semaphore(AHEAD)
        self._iterator = start
        self._loop = loop
        self._cancellation = Cancellation()

    def start(self) -> None:
        """Start the thread, with the context variables of the caller."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="paperagent-ask", daemon=True).start()

    def cancel(self) -> None:
        """Ask the thread to stop at its next item."""
        self._cancellation.cancel()
        self.room.release()

    async def end(self) -> None:
        """Wait until the thread is done; what it still hands over is dropped."""
        while not isinstance(await self.items.get(), _End):
            pass

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._cancellation.active():
                self._iterate()
        except Cancelled:
            pass
        except BaseException as raised:  # noqa: BLE001 - raised again where the items are awaited
            error = raised
        self._hand_over(_End(error))

    def _iterate(self) -> None:
        iterator = self._iterator()
        try:
            for item in iterator:
                self.room.acquire()
                if self._cancellation.cancelled or not self._hand_over(item):
                    break
        finally:
            if close := getattr(iterator, "close", None):
                close()

    def _hand_over(self, item: T | _End) -> bool:
        """Queue an item on the event loop; return False if the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)
        except RuntimeError:
            return False
        return True
