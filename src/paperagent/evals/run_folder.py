"""The folder of a run: held by one process at a time, begun or gone on with, never mixed with another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paperagent.errors import EvalError, StoreLockedError, visible
from paperagent.evals.results import ROWS_FILE, RUN_FILE, Row, Run, load_rows, load_run, write_rows, write_run
from paperagent.storage.locks import ProcessLock

_SAME = ("cases_hash", "prompts_hash", "library_hash", "git_sha", "mode", "model", "settings")
"""What must agree for a run to be gone on with."""


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold a run's folder for the block; it is made where there is none.

    The lock is on the folder itself, so that nothing is left in it, and the kernel frees it.

    Raises:
        EvalError: it holds something else, or cannot be made.
        StoreLockedError: another process writes a run there.
    """
    shown = visible(str(out))
    if out.exists() and not (out / RUN_FILE).exists() and (not out.is_dir() or any(out.iterdir())):
        raise EvalError(f"{shown}: exists and holds no run; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = ProcessLock(out)
    except OSError as error:
        raise EvalError(f"{shown}: cannot be written: {error.strerror}; choose another --out") from None
    with lock:
        if not _acquire(lock):
            raise StoreLockedError(
                f"{shown}: another process is writing this run; wait for it, or choose another --out"
            )
        yield


def _acquire(lock: ProcessLock) -> bool:
    try:
        return lock.acquire()
    except OSError:  # some network file systems cannot lock folders; a run there must still be possible
        return True


def take_up(out: Path, fresh: Run) -> tuple[Run, dict[str, Row]]:
    """Return the run of a folder that is `held` and its answered rows, or begin the new one there.

    Raises:
        EvalError: it holds another run or a damaged one, or cannot be written.
    """
    shown = visible(str(out))
    if (out / RUN_FILE).exists():
        kept_run = load_run(out)
        other = [name for name in _SAME if getattr(kept_run, name) != getattr(fresh, name)]
        if other:
            raise EvalError(f"{shown}: holds another run (another {', '.join(other)}); choose another --out")
        kept = load_rows(out / ROWS_FILE) if (out / ROWS_FILE).exists() else []
        answered = {row.id: row for row in kept if row.state == "ok" and not row.server_failed}
        write_rows(out, answered.values())
        return kept_run, answered
    try:
        write_run(out, fresh)
    except OSError as error:
        raise EvalError(f"{shown}: cannot be written: {error.strerror}; choose another --out") from None
    return fresh, {}
