"""Import every module and run commands without what only POSIX has: ``python without_posix.py FOLDER``.

Other packages are imported before, as their own Windows parts cannot be loaded here.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
from pathlib import Path

OTHER_PACKAGES = """
    asyncio chromadb click email.message filelock getpass httpx imaplib numpy onnxruntime openai
    platformdirs.unix prompt_toolkit pydantic_settings rich.console shutil smtplib starlette
    subprocess tantivy tempfile tokenizers uvicorn
""".split()
OS_NAMES = """
    fork forkpty getuid geteuid getgid getegid getpgid setsid killpg fchmod fchown chown lchown
    mkfifo pread pwrite preadv pwritev O_NOFOLLOW O_CLOEXEC O_DIRECTORY O_NONBLOCK sched_getaffinity
    getloadavg openpty posix_fallocate sync uname nice wait3 wait4 WNOHANG statvfs fstatvfs
""".split()
SIGNAL_NAMES = """
    SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGQUIT SIGPIPE SIGKILL SIGCHLD alarm setitimer pthread_sigmask
    pthread_kill sigwait pause
""".split()
MODULES = "curses fcntl grp pty pwd readline resource syslog termios tty".split()


def hide_posix() -> None:
    """Remove the calls and modules that Windows lacks."""
    for name in OTHER_PACKAGES:
        importlib.import_module(name)
    for module, names in ((os, OS_NAMES), (signal, SIGNAL_NAMES)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # as an import that failed leaves it


def main() -> None:
    import paperagent

    hide_posix()
    for module in pkgutil.walk_packages(paperagent.__path__, "paperagent."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from paperagent.cli.main import main as run

    out = Path(sys.argv[1])
    for argv in (
        ["ingest", "sample"],
        ["ask", "How much of the prompt does Tindersift remove?"],
        ["search", "retrieval"],
        ["doctor"],
        ["status"],
        ["digest", "preview", "--week", "2026-W26", "--out", str(out)],
        ["digest", "schedule", "--for", "windows"],
        ["export", "-f", "notes", "--out", str(out / "notes")],
        ["export", "-f", "bibtex", "--out", str(out / "papers.bib")],
        ["feeds", "add", "arxiv:cs.CL"],
    ):
        code = run(argv)
        sys.stdout.write(f"EXIT {code} {argv[0]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
