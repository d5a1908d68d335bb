"""The entry point: runs a command and turns every error into one line and an exit code.

Help and version are printed without loading click.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from paperagent.cli import streams
from paperagent.cli.program_help import COMPLETE, PROGRAM
from paperagent.cli.signals import interrupts_after_imports, termination_signals

if TYPE_CHECKING:
    import click

    from paperagent.cli.session import Session

_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_M_ARENA_MAX = -8
"""Of glibc's ``mallopt``: the maximum number of heaps."""
FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: The arguments (default: those of the process).
    """
    streams.prepare(has_chosen_encoding="PYTHONIOENCODING" in os.environ)
    try:
        with termination_signals(), interrupts_after_imports():
            arguments = sys.argv[1:] if argv is None else argv
            if COMPLETE in os.environ:
                from paperagent.cli import completion

                return completion.answer_shell(os.environ[COMPLETE])
            code = 0 if _print_help_or_version(arguments) else _run(arguments)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        _print_message("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _redirect_to_null(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:  # writing or flushing the output failed
        _redirect_to_null(sys.stdout)
        _print_message(f"error: standard output: cannot be written: {error.strerror}; check the disk")
        return FAILED


def script() -> NoReturn:
    """Run `main` and exit without tearing down the interpreter.

    Library, connections and locks are closed by then; unloading all modules that a question has
    loaded would take another 0.1 s.
    """
    # Our matrix products are small: numpy's second thread would busy-wait next to the encoder's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _save_address_space()
    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _save_address_space() -> None:
    """Under a limit on the address space (``ulimit -v``), share one heap between the threads.

    Otherwise, glibc reserves 64 MB of addresses for each thread, and native libraries end the process.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        import ctypes

        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _run(argv: Sequence[str]) -> int:
    import click

    from paperagent.cli.commands import explain, root
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
        _print_message(f"error: {explain(error)}")
        return USAGE
    except PaperAgentError as error:
        return _fail(context, error, str(error), error.exit_code)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # the last line of defense: no traceback without --debug
        if isinstance(error, OSError) and error.filename is None and error.errno in _CANNOT_WRITE:
            raise  # standard output; errors of the library's files have other types
        from paperagent.errors import visible
        from paperagent.storage.sqlite import exhausted_resource

        text = visible(" ".join(str(error).split()), limit=300)
        unexpected = (
            f"unexpected failure: {type(error).__name__}: {text}; run with --debug and report the bug"
        )
        return _fail(context, error, exhausted_resource(error) or unexpected, FAILED)
    return 0


def _print_help_or_version(argv: Sequence[str]) -> bool:
    """Print the help or the version if the command line asks for nothing else."""
    if list(argv) not in (["--help"], ["-h"], ["--version"], ["help"]):
        return False
    from paperagent import __version__
    from paperagent.cli import program_help

    sys.stdout.write(f"{PROGRAM} {__version__}\n" if argv[0] == "--version" else program_help.text())
    return True


def _utf8(argument: str) -> str:
    """Return an argument decoded as UTF-8 whatever the locale.

    Raises:
        InputError: It is not valid UTF-8.
    """
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeDecodeError as error:
        from paperagent.errors import InputError

        raise InputError(f"argument is not valid UTF-8 (at byte {error.start + 1}); convert it") from None
    except UnicodeEncodeError:
        return argument  # passed from Python code, with characters that the locale cannot encode


def _fail(context: click.Context | None, error: Exception, message: str, code: int) -> int:
    session: Session | None = context.obj if context else None
    if session is not None and session.debug:
        import traceback

        sys.stderr.write(session.masked("".join(traceback.format_exception(error))))
    _print_message(f"error: {session.masked(message) if session else message}")
    return code


def _print_message(message: str) -> None:
    """Print one line on stderr; if that fails, the exit code still tells the result."""
    with suppress(OSError):
        sys.stderr.write(f"{PROGRAM}: {message}\n")
        sys.stderr.flush()


def _redirect_to_null(stream: object) -> None:
    """Redirect a broken standard stream to the null device, so that flushing it at exit does not fail."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[attr-defined]  # AttributeError: not a file
        os.close(null)
