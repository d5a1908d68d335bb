"""`digest preview` and `digest archive`: they write files, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_renderer import URL, Page

from paperagent import config
from paperagent.cli.main import main
from paperagent.factory.digest import digest_service


@pytest.fixture
def library(sample_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a copy of the sample library, in the environment's place."""
    import shutil

    shutil.copytree(sample_environ["PAPERAGENT_HOME"], tmp_path / "library")
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "library"))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    return tmp_path / "library"


def days(library: Path) -> tuple[str, ...]:
    """Return options for a span that holds the sample's papers."""
    from paperagent import PaperAgent

    with PaperAgent(library, embedder="none") as agent:
        found = sorted(p.day for p in agent.papers() if p.day)
    return ("--since", found[0].isoformat(), "--until", found[-1].isoformat())


def test_a_preview_is_two_files_and_nothing_is_kept(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTML and text of the same issue; the ledger has none of it."""
    out = tmp_path / "out"
    assert main(["digest", "preview", *days(library), "--interest", "retrieval", "--out", str(out)]) == 0
    html, text = sorted(out.iterdir())
    assert (html.suffix, text.suffix) == (".html", ".txt")
    assert Page(html.read_text()).links == set(URL.findall(text.read_text()))
    assert "\nRETRIEVAL\n---" in text.read_text()  # the heading is the interest
    assert str(html) in capsys.readouterr().out
    assert main(["digest", "list"]) == 0
    assert "no issues" in capsys.readouterr().out


def test_a_preview_of_what_was_built_is_what_was_built(library: Path, tmp_path: Path) -> None:
    """The stored general issue is shown as it is stored; a theme shows it anew."""
    span = days(library)
    assert main(["digest", "build", *span]) == 0
    first, second, themed, theme = (tmp_path / n for n in ("a", "b", "c", "theme"))
    for folder in (first, second):
        assert main(["digest", "preview", *span, "--out", str(folder)]) == 0
    assert [p.read_bytes() for p in sorted(first.iterdir())] == [
        p.read_bytes() for p in sorted(second.iterdir())
    ]
    theme.mkdir()
    (theme / "issue.html.j2").write_text("<html><head></head><body>mine: {{ issue.name }}</body></html>")
    assert main(["digest", "preview", *span, "--theme", str(theme), "--out", str(themed)]) == 0
    assert "mine: " in next(themed.glob("*.html")).read_text()


def test_the_archive_can_be_read_from_its_index(library: Path, tmp_path: Path) -> None:
    """Each link of the index is a file of the folder; writing it again replaces it."""
    assert main(["digest", "build", *days(library)]) == 0
    folder = tmp_path / "public"
    for _ in range(2):
        assert main(["digest", "archive", str(folder)]) == 0
    links = Page((folder / "index.html").read_text()).links
    assert len(links) == 2
    assert all((folder / link).is_file() for link in links)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["preview", "--week", "2026-W99"], 2, "2026-W99"),
        (["preview", "--week", "2026-W26", "--since", "2026-06-01"], 2, "cannot be combined"),
        (["preview", "--for", "nobody@test.example"], 2, "nobody@test.example"),
        (["preview", "--for", "a@test.example", "--interest", "x"], 2, "cannot be combined"),
        (["preview", "--max-items", "0"], 2, "1..30"),
        (["preview", "--theme", "/nonexistent"], 2, "no such folder"),
        (["preview", "--out", "/dev/null/x"], 2, "/dev/null"),
        (["archive", "/dev/null/x"], 2, "/dev/null"),
        (["archive", "x", "--url", "javascript:alert(1)"], 2, "not a plain HTTP"),
        (["archive", "x", "--url", "https://x.example/?a"], 2, "not a plain HTTP"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """Bad options and places end with one line and the exit code of usage."""
    assert main(["digest", *arguments]) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert said[-1].startswith("paperagent: error: ")


def test_without_a_library_nothing_is_created(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands end with the store's code and leave no folder behind."""
    assert main(["digest", "preview"]) == 5
    assert main(["digest", "archive", "public"]) == 5
    assert not list(Path().iterdir())


def test_the_papers_of_an_issue_are_exported(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A built issue is named by its period; an issue that was not built is an error."""
    assert main(["digest", "build", *days(library)]) == 0
    with digest_service(config.load()) as service:
        (issue,) = service.general_issues()
    capsys.readouterr()
    assert main(["export", "-f", "jsonl", "--issue", issue.period]) == 0
    exported = {json.loads(line)["paper_id"] for line in capsys.readouterr().out.splitlines()}
    assert exported == set(issue.papers)
    assert len(exported) > 5
    assert main(["export", "--issue", "2001-W01"]) == 2
    assert "see 'digest list'" in capsys.readouterr().err
    assert main(["export", "--issue", "2001-W01", "--for", "who@example.org"]) == 2
    assert main(["export", "--for", "who@example.org"]) == 2
    assert main(["export", "--issue", "2001-W01", "--ids", "2601.00001"]) == 2
