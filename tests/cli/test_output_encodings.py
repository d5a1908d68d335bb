"""What the commands print on a standard output that lacks characters, as on Windows or in the C locale."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paperagent import Paper
from paperagent.cli import main, streams
from paperagent.feeds.formats import jsonl

ENCODINGS = ["cp1252", "ascii", "latin-1", "cp437", "utf-8"]
ABSTRACT = (
    "The “Lantern–Moth” method needs ≥ 10⁶ moths – in Łódź, α = 0.5 – and ‘light’ of 5 µm … it is × 3 "
    "faster → so we recommend it. It was tested by Søren and by 山田 on three hundred nights."
)
PAPER = Paper(
    "2605.00001",
    "Lanterns – “measured” for ≥ 3 nights",
    ABSTRACT,
    ("Zoë Łukasz", "山田太郎"),
    arxiv_id="2605.00001",
    sources=("arxiv-atom",),
)

Run = Callable[..., tuple[int, bytes, bytes]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of a library with one paper."""
    folder = tmp_path_factory.mktemp("encodings")
    (folder / "feed.jsonl").write_text(jsonl.dump(PAPER) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def run(library: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command with streams of an encoding: code, output, errors as bytes."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(library / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_MODE", "extractive")

    def run(encoding: str, *argv: str) -> tuple[int, bytes, bytes]:
        buffers = [io.BytesIO(), io.BytesIO()]
        for name, buffer in zip(("stdout", "stderr"), buffers, strict=True):
            monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding=encoding))
        code = main.main(argv)
        sys.stdout.flush()
        sys.stderr.flush()
        return code, *(buffer.getvalue() for buffer in buffers)

    assert run("utf-8", "ingest", "-q", str(library / "feed.jsonl"))[0] == 0
    return run


COMMANDS = [
    ("ask", "How many moths does the method need?"),
    ("search", "moths"),
    ("show", "2605.00001"),
    ("list",),
    ("summarize", "moths"),
    ("export", "-f", "bibtex"),
    ("export", "-f", "ris"),
    ("export", "-f", "markdown"),
    ("doctor",),
    ("status",),
    ("config", "show"),
    ("--help",),
    ("ask", "--help"),
    ("help",),
    ("digest", "--help"),
    ("eval", "--help"),
    ("ask", "--k", "≥"),
    ("show", "–“≥”"),
    ("ingest", "no-such-file-≥.bib"),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_command_prints_in_every_encoding(encoding: str, run: Run, tmp_path: Path) -> None:
    """No crash, no question mark for a character, and the bytes are of the encoding."""
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "a", "question": "How many moths – ≥ 10⁶ – does it need?"}\n', encoding="utf-8")
    runs = ("eval", "run", str(cases), "--out", str(tmp_path / "run"))
    preview = ("digest", "preview", "--week", "2026-W20", "--out", str(tmp_path))
    for argv in (*COMMANDS, runs, preview):
        code, out, err = run(encoding, *argv)
        assert code in {0, 2, 3, 4, 5}, (argv, err)
        text = out.decode(encoding) + err.decode(encoding)
        assert text, argv
        assert "Traceback" not in text, argv
        assert "\ufffd" not in text, argv
        assert "unexpected failure:" not in text, argv


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (
            "cp1252",
            ("“Lantern–Moth”", ">= 10^6", "\\u0141ód\\u017a, \\u03b1 =", "‘light’", "5 µm …", "× 3", "->"),
        ),
        (
            "latin-1",
            ('"Lantern-Moth"', ">= 10^6", "\\u0141ód\\u017a, \\u03b1 =", "'light'", "5 µm ...", "× 3", "->"),
        ),
        (
            "ascii",
            ('"Lantern-Moth"', ">= 10^6", "\\u0141\\xf3d\\u017a", "'light'", "5 \\xb5m ...", "x 3", "->"),
        ),
    ],
)
def test_a_character_that_is_missing_is_replaced(encoding: str, words: tuple[str, ...], run: Run) -> None:
    """Signs become their ASCII spelling, and no number becomes another one."""
    text = run(encoding, "show", "2605.00001")[1].decode(encoding)
    plain = " ".join(text.replace("\\\\", "\\").split())
    assert [word for word in words if word not in plain] == []


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("10⁻¹² and H₂O, x₁₂", b"10^-12 and H_2O, x_12"),
        ("5½ of 45° ± 3 ‰", b"5 1/2 of 45 deg +/- 3  per mille"),
        ("α \U0001f4c4 \udc80", b"\\u03b1 \\U0001f4c4 \\udc80"),
    ],
)
def test_numbers_stay_what_they_are(text: str, output: bytes) -> None:
    """An exponent is not glued to its base."""
    streams.prepare(has_chosen_encoding=True)
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii", errors=streams._ERRORS)
    stream.write(text)
    stream.flush()
    assert buffer.getvalue() == output


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "argv",
    [
        ("ask", "How many moths does the method need?", "--json"),
        ("search", "moths", "--json"),
        ("show", "2605.00001", "--json"),
        ("list", "--json"),
        ("doctor", "--json"),
    ],
)
def test_json_is_valid_in_every_encoding(argv: tuple[str, ...], encoding: str, run: Run) -> None:
    """The values are the same, whatever the bytes."""
    code, out, _ = run(encoding, *argv)
    assert code == 0
    document = json.loads(out.decode(encoding))
    if argv[0] == "show":
        assert document["abstract"] == ABSTRACT
    if encoding != "utf-8":
        assert out.isascii()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_exported_papers_are_the_same(encoding: str, run: Run, library: Path, tmp_path: Path) -> None:
    """JSON lines are escaped; another format says that characters are replaced, and how to avoid that."""
    _, out, err = run(encoding, "export", "-f", "jsonl")
    record = json.loads(out.decode("ascii"))
    assert (record["title"], record["abstract"], err) == (PAPER.title, ABSTRACT, b"")
    _, _, err = run(encoding, "export", "-f", "ris")
    assert b"characters that it lacks are replaced; give --out FILE for UTF-8" in err
    file = tmp_path / "papers.ris"
    assert run(encoding, "export", "-f", "ris", "--out", str(file))[0] == 0
    assert "≥ 10⁶" in file.read_text(encoding="utf-8")


def test_redirected_output_on_windows_is_utf_8(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the user has chosen an encoding."""
    monkeypatch.setattr(streams.sys, "platform", "win32")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert "≥ 10⁶" in run("cp1252", "show", "2605.00001")[1].decode("utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert ">= 10^6" in run("cp1252", "show", "2605.00001")[1].decode("cp1252")
