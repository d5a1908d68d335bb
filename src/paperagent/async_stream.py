"""Iterate over a synchronous iterator from an asyncio event loop, in a separate thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from paperagent.time_limits import Cancellation, Cancelled

T = TypeVar("T")

MAX_QUEUED_ITEMS = 16
"""The number of items that may wait for the event loop before the thread pauses."""
GRACE_SECONDS = 1.0
"""How long closing waits for the thread to close its iterator, which normally takes milliseconds."""


async def iterate(start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """Yield the items of the iterator that ``start`` returns.

    ``start`` and the iterator run in a new thread. Their errors are raised here. Closing the generator, or
    canceling the task that awaits it, aborts a request that the thread is waiting for, closes its
    connection, and closes the iterator.
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
            thread.free_slots.release()
            yield item
    finally:
        if not ended:
            thread.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(thread.end(), GRACE_SECONDS)


@dataclass(frozen=True, slots=True)
class _End:
    """The last item of the queue, with the error that ended the iterator, if any."""

    error: BaseException | None = None


class _Thread(Generic[T]):
    """The thread that runs the iterator, and the queue to which it adds the items."""

    def __init__(self, start: Callable[[], Iterator[T]], loop: asyncio.AbstractEventLoop) -> None:
        self.items = asyncio.Queue[T | _End]()
        self.free_slots = threading.Semaphore(MAX_QUEUED_ITEMS)
        self._start_iterator = start
        self._loop = loop
        self._cancellation = Cancellation()

    def start(self) -> None:
        """Start the thread with the context variables of the caller."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="paperagent-ask", daemon=True).start()

    def cancel(self) -> None:
        """Ask the thread to stop at the next item."""
        self._cancellation.cancel()
        self.free_slots.release()

    async def end(self) -> None:
        """Wait until the thread has ended; drop the items that it still adds."""
        while not isinstance(await self.items.get(), _End):
            pass

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._cancellation.active():
                self._iterate()
        except Cancelled:
            pass
        except BaseException as raised_error:  # noqa: BLE001 - raised again by `iterate`
            error = raised_error
        self._put(_End(error))

    def _iterate(self) -> None:
        iterator = self._start_iterator()
        try:
            for item in iterator:
                self.free_slots.acquire()
                if self._cancellation.cancelled or not self._put(item):
                    break
        finally:
            if close := getattr(iterator, "close", None):
                close()

    def _put(self, item: T | _End) -> bool:
        """Add an item to the queue; return False if the event loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)
        except RuntimeError:
            return False
        return True
