"""One writer a library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from library_helpers import ENVIRONMENT, filled_store, ingest, papers, run_python, without_privileges
from paperagent.errors import StoreError, StoreLockedError
from paperagent.library.home import writer_lock


def test_a_second_writer_is_told_who_writes_and_since_when(tmp_path: Path) -> None:
    """At once, with the holder's pid as an attribute and exit code 75."""
    with writer_lock(tmp_path), pytest.raises(StoreLockedError) as raised, writer_lock(tmp_path):
        pass
    assert raised.value.pid == os.getpid()
    assert raised.value.exit_code == 75
    assert f"process {os.getpid()} has been writing to it since 20" in str(raised.value)


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    """Also after an error inside."""
    with pytest.raises(RuntimeError), writer_lock(tmp_path):
        raise RuntimeError
    with writer_lock(tmp_path):
        assert (tmp_path / "writer.lock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [b"pid 1\nsince 2020\nhost here\n", b"", b"\xff\x00 nonsense" * 900])
def test_text_left_by_a_dead_process_means_nothing(tmp_path: Path, text: bytes) -> None:
    """The kernel's lock counts, not the text."""
    (tmp_path / "writer.lock").write_bytes(text)
    with writer_lock(tmp_path):
        assert f"pid {os.getpid()}\n" in (tmp_path / "writer.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pid 42\nsince 2026-01-01 10:00:00 UTC\nhost elsewhere\n", "process 42 on host elsewhere"),
        ("pid 42\nsince \x1b[31m\nhost here\n", r"since \\x1b\[31m"),
        ("half a te", "another process is writing to it"),
    ],
)
def test_the_holders_text_is_shown_safely(tmp_path: Path, text: str, said: str) -> None:
    """Another host is named, control characters are escaped, an unfinished text is no error."""
    with writer_lock(tmp_path):
        (tmp_path / "writer.lock").write_text(text, encoding="utf-8")
        with pytest.raises(StoreLockedError, match=said), writer_lock(tmp_path):
            pass


def test_a_killed_writer_leaves_the_lock_free(tmp_path: Path) -> None:
    """The kernel frees it with the process."""
    code = """
    import os, sys; from pathlib import Path
    from paperagent.library.home import writer_lock
    with writer_lock(Path(sys.argv[1])):
        os.kill(os.getpid(), 9)
    """
    assert run_python(code, tmp_path).returncode == -9
    with writer_lock(tmp_path):
        pass


def test_two_ingests_at_once(tmp_path: Path) -> None:
    """The second fails with the first one's pid, and the first loses nothing."""
    home = tmp_path / "home"
    filled_store(home, 10).close()
    code = """
    import sys; from pathlib import Path
    from library_helpers import *
    def slow():
        yield from papers(20, 100)
        print("reading", flush=True)
        sys.stdin.readline()
    with LocalStore(Path(sys.argv[1])) as store:
        ingest(store, slow())
    """
    from library_helpers import LocalStore

    lines = "\n".join(line[4:] for line in code.splitlines())
    with subprocess.Popen(
        [sys.executable, "-c", lines, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as first:
        assert first.stdin
        assert first.stdout
        assert first.stdout.readline() == "reading\n"
        with LocalStore(home) as store:
            with pytest.raises(StoreLockedError) as raised:
                ingest(store, papers(5, 50))
            assert raised.value.pid == first.pid
            assert store.count() == 10
            first.stdin.write("\n")
            first.stdin.close()
            assert first.wait(60) == 0
            assert store.count() == 30
            assert store.doctor().ok


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    """The lock file cannot be made."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with (
            without_privileges(),
            pytest.raises(StoreError, match="cannot be written"),
            writer_lock(Path(folder)),
        ):
            pass
        Path(folder).chmod(0o755)
