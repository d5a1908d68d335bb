"""The line that counts the seconds of a wait."""

from __future__ import annotations

import io
import time

import pytest

from paperagent.ui import streaming
from paperagent.ui.streaming import WaitingLine

WHAT = "qwen2.5 at 127.0.0.1:8080"


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, "waiting for qwen2.5 at 127.0.0.1:8080 … 12 s (Ctrl-C to quote instead)"),
        (60, "waiting for qwen2.5 at 127.0.0.1:8080 … 12 s"),
        (30, "waiting for qwen2.5 … 12 s"),
        (20, "waiting … 12 s"),
        (8, "12 s"),
        (3, "12"),
        (1, ""),
    ],
)
def test_the_text_fits_the_terminal(columns: int, shown: str) -> None:
    """The seconds are shown at any width; the last column stays free, so that nothing wraps."""
    assert WaitingLine(io.StringIO(), WHAT, hint="Ctrl-C to quote instead").text(12, columns) == shown


def test_the_name_of_a_model_is_sanitized() -> None:
    """It comes from a server or a settings file."""
    assert "\x1b" not in WaitingLine(io.StringIO(), "\x1b[2Jmodel\n at h").text(1, 80)


def test_the_line_is_updated_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `stop` the line is blank and the cursor is at its start."""
    monkeypatch.setattr(streaming, "WAITING_INTERVAL_S", 0.02)
    clock = iter(range(100))
    out = io.StringIO()
    with WaitingLine(out, WHAT, clock=lambda: float(next(clock))) as line:
        line.start()  # counts on
        time.sleep(0.2)
    written = out.getvalue().split("\r")
    assert written[1].startswith("waiting for qwen2.5 at 127.0.0.1:8080 … 1 s")
    assert written[2].startswith("waiting for qwen2.5 at 127.0.0.1:8080 … 2 s")
    assert (written[-2].strip(), written[-1]) == ("", "")
    assert len(written[-2]) >= len(written[-3].rstrip())


def test_a_short_wait_shows_nothing() -> None:
    """Neither does one without a terminal, or one that was never started."""
    out = io.StringIO()
    with WaitingLine(out, WHAT):
        pass
    WaitingLine(out, WHAT).stop()
    with WaitingLine(None, WHAT):
        pass
    assert out.getvalue() == ""
