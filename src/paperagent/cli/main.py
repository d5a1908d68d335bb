"""The entry point: runs a command, and turns whatever stops it into one line and an exit code.

The commands are in `paperagent.cli`; each is imported when it is called.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import click

    from paperagent.cli.session import Session

PROGRAM = "paperagent"
FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on ``argv`` (default: the process's) and return the exit code."""
    _prepare_streams()
    try:
        with _signals():
            arguments = sys.argv[1:] if argv is None else argv
            code = 0 if _introduced(arguments) else _run(arguments)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _discard(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:  # what is left in the buffer could not be written
        _discard(sys.stdout)
        _say(f"error: standard output: cannot be written: {error.strerror}; check the disk")
        return FAILED


def script() -> NoReturn:
    """Run as a program of its own, which ends as soon as `main` is through.

    Library, connections and locks are closed by then; taking down all the modules that a
    question has loaded would take a tenth of a second more.
    """
    # Our products are small: numpy's second thread would spin for each of them, beside the encoder's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _run(argv: Sequence[str]) -> int:
    import click

    from paperagent.cli import root
    from paperagent.errors import PaperAgentError

    context: click.Context | None = None
    try:
        arguments = [_utf8(argument) for argument in argv]
        context = root.make_context(PROGRAM, arguments)
        with context:
            root.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return USAGE
    except click.UsageError as error:
        from paperagent.cli.commands import explain

        _say(f"error: {explain(error)}")
        return USAGE
    except PaperAgentError as error:
        return _fail(context, error, str(error), error.exit_code)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback unless asked for
        from paperagent.errors import visible

        text = visible(" ".join(str(error).split()), limit=300)
        message = f"unexpected failure: {type(error).__name__}: {text}; run it with --debug and report it"
        return _fail(context, error, message, FAILED)
    return 0


def _introduced(argv: Sequence[str]) -> bool:
    """Print help or version where that is all that is asked; it needs nothing of the rest of the program."""
    if list(argv) not in (["--help"], ["-h"], ["--version"]):
        return False
    from paperagent import __version__
    from paperagent.cli import program_help

    sys.stdout.write(f"{PROGRAM} {__version__}\n" if argv[0] == "--version" else program_help.text())
    return True


def _utf8(argument: str) -> str:
    """Return ``argument`` decoded as UTF-8 whatever the locale; raise InputError where it is not."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeDecodeError as error:
        from paperagent.errors import InputError

        raise InputError(f"argument is not valid UTF-8 (at byte {error.start + 1}); convert it") from None
    except UnicodeEncodeError:
        return argument  # given from Python code, with characters that the locale cannot encode


def _fail(context: click.Context | None, error: Exception, message: str, code: int) -> int:
    session: Session | None = context.obj if context else None
    if session is not None and session.debug:
        import traceback

        sys.stderr.write(session.masked("".join(traceback.format_exception(error))))
    _say(f"error: {session.masked(message) if session else message}")
    return code


def _say(message: str) -> None:
    """Print one line on stderr; that nobody can read it must not hide the exit code."""
    with suppress(OSError):
        sys.stderr.write(f"{PROGRAM}: {message}\n")
        sys.stderr.flush()


def _prepare_streams() -> None:
    """Make printing possible in every locale, and on streams that the caller closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open, as a standard stream does
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard(stream: object) -> None:
    """Point a broken standard stream at nothing, so that flushing it at exit stays quiet."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[attr-defined]  # AttributeError: not a file
        os.close(null)


@contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, so that locks and temporary files go, then exit 128 + N."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    names = [n for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {n: signal.signal(getattr(signal, n), leave) for n in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
