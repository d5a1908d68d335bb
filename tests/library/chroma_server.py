"""`chroma run` on this machine, for the tests of the store beyond one machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
_PATIENCE = 60.0


def program() -> str | None:
    """Return the path of the `chroma` command that came with the package, or None."""
    beside = Path(sys.executable).with_name("chroma")
    return str(beside) if beside.exists() else shutil.which("chroma")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as made:
        made.bind((HOST, 0))
        return int(made.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a server over ``folder`` for the block; give its address."""
    port = port or free_port()
    command = [str(program()), "run", "--path", str(folder), "--host", HOST, "--port", str(port)]
    log = folder.parent / f"chroma-{port}.log"
    # Its settings are the command's, not those of whatever stands in the environment.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CHROMA")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
    try:
        url = f"http://{HOST}:{port}"
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, "chroma run ended at once"
        try:
            with opener.open(f"{url}/api/v2/heartbeat", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("chroma run does not answer")
