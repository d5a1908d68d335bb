"""Deadlines and cancellation for everything that waits for a server.

A `Deadline` covers a whole operation, from the DNS lookup to the last byte. A timeout per read is not enough,
because a server that sends one byte a second never exceeds it. One thread shuts down the connections whose
deadline has passed, in any phase. `Cancellation` shuts them down at once.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextvars import ContextVar, copy_context
from typing import Any, Self, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 1.0
"""How long a canceled `WorkerPool` waits for its threads, which normally end in milliseconds."""
_POLL_SECONDS = 0.05


class TooSlowError(TimeoutError):
    """An operation was not finished by its deadline."""


class NoReplyError(TooSlowError):
    """The server sent nothing before the deadline."""


class Cancelled(BaseException):
    """Another thread canceled the work of this one. Not an `Exception`, so that no handler swallows it."""


class Deadline:
    """A point in time at which operations inside an `active` block fail.

    Args:
        at: The deadline on the clock of `time.monotonic`; may be infinite.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self.has_reply = False
        """Whether the server has sent anything."""

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a deadline ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; 0 if it has passed."""
        return max(self.at - time.monotonic(), 0.0)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.at

    @contextlib.contextmanager
    def active(self) -> Iterator[Self]:
        """Make this the deadline of the current thread inside the block."""
        token = _DEADLINE.set(self)
        try:
            yield self
        finally:
            _DEADLINE.reset(token)

    def check(self) -> None:
        """Raise `TooSlowError`, or its subclass `NoReplyError`, if the deadline has passed."""
        if self.expired:
            raise TooSlowError("reply too slow") if self.has_reply else NoReplyError("no reply in time")


class Cancellation:
    """Lets another thread interrupt a wait for a server or a pause between attempts.

    `cancel` interrupts the work inside `active`: its requests raise `Cancelled`, and their connections are
    closed. A `WorkerPool` passes the cancellation on to its threads.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let `cancel` interrupt the current thread inside the block."""
        token = _CANCELLATIONS.set((*_CANCELLATIONS.get(), self))
        try:
            yield
        finally:
            _CANCELLATIONS.reset(token)

    def cancel(self) -> None:
        """Cancel the work. May be called from any thread and more than once."""
        self._cancelled.set()
        _WATCHDOG.cut(self)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()


_DEADLINE: ContextVar[Deadline] = ContextVar("deadline")
_CANCELLATIONS: ContextVar[tuple[Cancellation, ...]] = ContextVar("cancellations", default=())


def current_deadline() -> Deadline:
    """Return the deadline of the current thread, which may be infinite."""
    return _DEADLINE.get(None) or Deadline(math.inf)


def interruptible_sleep(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """Return a sleep function that the thread's `Cancellation` interrupts, or ``sleep`` if there is none."""
    return _pause if _CANCELLATIONS.get() else sleep


def _pause(seconds: float) -> None:
    pause = Deadline.after(seconds)
    while not pause.expired:
        _Wait().check_cancellations()
        time.sleep(min(pause.seconds_left, _POLL_SECONDS))


# --- connections ---


class _Wait:
    """A wait for a connection, with the limits of the thread that waits."""

    def __init__(self, connection: socket.socket | None = None) -> None:
        self.connection = connection
        self.deadline = current_deadline()
        self.cancellations = _CANCELLATIONS.get()

    def check(self) -> None:
        """Raise `Cancelled` or `TooSlowError` if the wait has to end."""
        self.check_cancellations()
        self.deadline.check()

    def check_cancellations(self) -> None:
        """Raise `Cancelled` if the wait was canceled."""
        if any(cancellation.cancelled for cancellation in self.cancellations):
            raise Cancelled

    def cut(self) -> None:
        """Shut down the connection, so that the waiting thread wakes up."""
        if self.connection is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                # Not `SSLSocket.shutdown`: it would send close_notify from this thread.
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


class _Watchdog:
    """Ends waits that are canceled or reach their deadline. Its thread starts with the first deadline."""

    def __init__(self) -> None:
        self._waits: set[_Wait] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    def add(self, wait: _Wait) -> None:
        with self._changed:
            self._waits.add(wait)
            if wait.deadline.at < self._wakes_at:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                    self._thread.start()
                self._wakes_at = wait.deadline.at
                self._changed.notify()

    def remove(self, wait: _Wait) -> None:
        with self._changed:
            self._waits.discard(wait)

    def cut(self, cancellation: Cancellation) -> None:
        with self._changed:
            for wait in self._waits:
                if cancellation in wait.cancellations:
                    wait.cut()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for wait in [wait for wait in self._waits if wait.deadline.at <= now]:
                    wait.cut()
                    self._waits.discard(wait)
                self._wakes_at = min((wait.deadline.at for wait in self._waits), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)


_WATCHDOG = _Watchdog()


@contextlib.contextmanager
def waiting(connection: socket.socket) -> Iterator[None]:
    """Shut down ``connection`` if this thread's deadline passes or it is canceled during the block.

    Raises:
        TooSlowError: The deadline passed. It replaces the error of the connection.
        Cancelled: `Cancellation.cancel` was called.
    """
    wait, failure = _Wait(connection), None
    try:
        _WATCHDOG.add(wait)
        wait.check()
        yield
    except Exception as error:  # noqa: BLE001 - raised below, unless the connection was shut down
        failure = error
    finally:
        _WATCHDOG.remove(wait)
    wait.check()  # even without an error: a connection that was shut down looks like one that ended
    if failure is not None:
        raise failure


def wrap_tls(connection: socket.socket, wrap: Callable[[], T]) -> T:
    """Return the result of ``wrap()``, a TLS handshake over ``connection``, within the current limits.

    A handshake takes the descriptor from the plain socket, so a duplicate of the socket is watched.
    """
    if isinstance(connection, ssl.SSLSocket):
        with waiting(connection):
            return wrap()
    with connection.dup() as duplicate, waiting(duplicate):
        return wrap()


def run_within_limits(function: Callable[[], T], *, seconds: float = math.inf) -> T:
    """Run an uninterruptible function on a daemon thread, and stop waiting when a limit is reached.

    Raises:
        TooSlowError: It took more than ``seconds``, or the current deadline passed.
        Cancelled: The current `Cancellation` was canceled.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((function(), None))
        except Exception as error:  # noqa: BLE001 - raised on the caller's thread
            outcomes.put((None, error))

    limit, wait = Deadline.after(seconds), _Wait()
    threading.Thread(target=run, name="limited", daemon=True).start()
    while True:
        try:
            result, error = outcomes.get(timeout=min(seconds, _POLL_SECONDS))
        except queue.Empty:
            limit.check()
            wait.check()
            continue
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # set unless there is an error


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host within the current limits. The addresses are in the order of the system's resolver.

    Raises:
        OSError, UnicodeError: The host has no address.
        TooSlowError: The deadline passed.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        entries = run_within_limits(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def open_connection(host: str, port: int, *, timeout: float) -> socket.socket:
    """Connect to the first address of a host that accepts a connection, within the current limits.

    Args:
        host: A name or an IP address.
        port: The TCP port.
        timeout: Seconds for each address.

    Raises:
        OSError, UnicodeError: The host has no address, or none accepts.
        TooSlowError: The deadline passed.
    """
    failure: OSError = OSError("no address")
    for address in resolve(host, port):
        wait = _Wait()
        wait.check()
        seconds = max(min(timeout, wait.deadline.seconds_left), 0.001)
        try:
            return socket.create_connection((address, port), seconds)
        except OSError as error:
            failure = error
        wait.check()
    raise failure


# --- threads ---


class WorkerPool(futures.ThreadPoolExecutor):
    """A thread pool that cancels its work if an exception leaves its ``with`` block.

    After Ctrl-C, `ThreadPoolExecutor` would wait for its threads, which may be waiting for a server.
    Functions run with a copy of the caller's context, so the caller's `Cancellation` also ends them.
    """

    def __init__(self, max_workers: int, *, thread_name_prefix: str = "") -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._cancellation = Cancellation()
        self._submitted: list[futures.Future[Any]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> futures.Future[T]:
        """Run ``fn(*args, **kwargs)`` on a thread."""

        def run() -> T:
            with self._cancellation.active():
                return fn(*args, **kwargs)

        future: futures.Future[T] = super().submit(copy_context().run, run)
        self._submitted.append(future)
        return future

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._cancellation.cancel()
            self.shutdown(wait=False, cancel_futures=True)
            futures.wait([f for f in self._submitted if not f.cancelled()], GRACE_SECONDS)
        else:
            self.shutdown()
