"""What the program does on signals: unwind the stack, but not in the middle of an import of numpy."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import NoReturn

_NOT_INTERRUPTED = frozenset({"numpy", "onnxruntime"})
"""Packages that turn an interrupt during their import into another error."""


@contextmanager
def termination_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into exit code 128 + N, unwinding the stack to release locks and files."""
    if not _in_main_thread():
        yield
        return

    def terminate(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    names = [n for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    previous = {n: signal.signal(getattr(signal, n), terminate) for n in names}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """End the process at once on SIGINT and SIGTERM inside the block.

    This is for commands that only read, and whose threads wait for input or for a server.
    """

    def end(number: int, _frame: object) -> NoReturn:
        os._exit(128 + number)

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_after_imports() -> Iterator[None]:
    """Delay KeyboardInterrupt inside the block while a package of `_NOT_INTERRUPTED` is being imported."""
    sys.meta_path.insert(0, _Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_Finder)


class _Finder:
    """Finds the packages that must not be interrupted, and delays interrupts while they are executed."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in _NOT_INTERRUPTED else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_undisturbed(module: ModuleType) -> None:
                with _interrupts_delayed():
                    execute(module)

            spec.loader.exec_module = execute_undisturbed  # type: ignore[method-assign]
        return spec


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    if not _in_main_thread():
        yield  # Python runs signal handlers in the main thread only
        return
    interrupts: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if interrupts:
        signal.raise_signal(signal.SIGINT)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
