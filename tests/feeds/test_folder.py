"""A folder as a source: the files that are read and skipped, and the report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperagent import PaperAgent
from paperagent.cli.main import main
from paperagent.errors import FeedError
from paperagent.feeds.folder import LIBRARY_FILE, feed_files
from paperagent.feeds.reader import sample_path
from paperagent.library import home

SVG = "<svg xmlns='http://www.w3.org/2000/svg'></svg>"
NO_FEEDS = {
    "notes.md": b"# Notes\n\nNothing to see here.\n",
    "page.html": b"<!doctype html><html></html>",
    "paper.pdf": b"%PDF-1.7\n",
    "empty.txt": b"",
    "data.json": b'{"a": 1}',
    "figure.svg": SVG.encode(),
    "archive.zip": b"PK\x03\x04rest",
}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[PaperAgent]:
    with PaperAgent(tmp_path / "library", embedder="none", mode="extractive") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a feed, another in a subfolder, and files that are no feeds."""
    folder = tmp_path / "downloads"
    (folder / "older").mkdir(parents=True)
    shutil.copy(sample_path(), folder / "older" / "page.txt")
    line = {"paper_id": "2601.00009", "title": "Marsh Clocks", "abstract": "We time the tides of a marsh."}
    (folder / "papers.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    for name, content in NO_FEEDS.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_feeds_of_a_folder_are_read(agent: PaperAgent, folder: Path) -> None:
    """Also those in subfolders; every file is in the report."""
    report = agent.ingest(folder)
    names = {Path(feed.source).name: feed for feed in report.feeds}
    assert (names["page.txt"].new, names["papers.jsonl"].new, report.new) == (32, 1, 33)
    assert {name for name, feed in names.items() if feed.ignored} == NO_FEEDS.keys()
    assert all(feed.error for feed in report.feeds if feed.ignored)
    top = sorted([*NO_FEEDS, "papers.jsonl"])
    assert [Path(feed.source).name for feed in report.feeds] == [*top, "page.txt"]
    assert agent.ingest([folder, sample_path()]).unchanged == 65


def test_a_library_in_the_folder_is_left_out(folder: Path) -> None:
    with PaperAgent(folder / "library", embedder="none", mode="extractive") as agent:
        report = agent.ingest(folder)
        assert (report.new, agent.ingest(folder).unchanged) == (33, 33)
        assert len(agent.ingest(folder).feeds) == len(report.feeds)
        with pytest.raises(FeedError, match="contains no file"):
            agent.ingest(folder / "library")
    assert LIBRARY_FILE == home.DATABASE


def test_hidden_files_and_links(folder: Path) -> None:
    """Hidden ones are left out, a link to a folder is not followed, and each file is read once."""
    names = {path.name for path in feed_files(folder)}
    (folder / ".git").mkdir()
    (folder / ".git" / "x.txt").write_text("x", encoding="utf-8")
    (folder / ".hidden.txt").write_text("x", encoding="utf-8")
    (folder / "older" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "again.txt").symlink_to(folder / "older" / "page.txt")
    (folder / "nowhere.txt").symlink_to(folder / "missing")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    assert {path.name for path in feed_files(folder)} == names - {"page.txt"} | {"again.txt"}


@pytest.mark.parametrize("names", [[], ["notes.md", "paper.pdf"]])
def test_a_folder_without_feeds(names: list[str], agent: PaperAgent, tmp_path: Path) -> None:
    """Exit code 4, and no library is created."""
    (tmp_path / "other").mkdir()
    for name in names:
        (tmp_path / "other" / name).write_bytes(NO_FEEDS[name])
    with pytest.raises(FeedError, match=r"contains no feed \(2 files\); " if names else "contains no file"):
        agent.ingest(tmp_path / "other")
    assert not agent.home.exists()


def test_a_damaged_feed_fails_but_the_others_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A feed that cannot be read is an error, not a skipped file."""
    (folder / "broken.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00 cut short")
    for name, value in (("HOME", str(tmp_path / "library")), ("EMBEDDER", "none")):
        monkeypatch.setenv(f"PAPERAGENT_{name}", value)
    assert main(["ingest", str(folder)]) == 4
    out, err = capsys.readouterr()
    assert "33 read: 33 new" in out
    assert f"- skip: {folder}/paper.pdf — not a feed: looks like PDF\n" in out
    assert f"- FAIL: {folder}/broken.jsonl.gz — " in out
    assert err.startswith(f"paperagent: error: {folder}/broken.jsonl.gz: damaged or cut short")


def test_a_folder_that_cannot_be_listed(
    folder: Path, agent: PaperAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subfolder that cannot be listed is in the report; the folder itself is an error."""
    scan = os.scandir
    locked = folder / "older"

    def scandir(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(FeedError, match="older") as caught:
        agent.ingest(folder)
    assert caught.value.report.new == 1
    locked = folder
    with pytest.raises(FeedError, match="permission denied; check its permissions"):
        agent.ingest(folder)


def test_status_says_what_the_library_contains(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Span, feeds, categories, size and the last ingest, as text and as JSON."""
    for name, value in (("HOME", str(tmp_path / "library")), ("EMBEDDER", "none")):
        monkeypatch.setenv(f"PAPERAGENT_{name}", value)
    lines = [
        {"paper_id": f"2602.0000{n}", "title": f"Marsh Clocks {n}", "abstract": f"We time {n} tides."}
        | {"categories": ["cs.CL", f"cs.{n}"], "published": f"2026-02-{n:02}"}
        for n in range(1, 10)
    ]
    (folder / "papers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert main(["ingest", "-q", str(folder)]) == 0
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "- published or listed: 2026-02-01 to 2026-02-09; 32 without a date\n" in out
    assert "- feeds: daily-papers 32, paperagent" in out
    assert "- categories: cs.CL 9, cs.1 1, " in out
    assert ", and 2 more\n" in out
    assert "- size on disk: " in out
    assert ": 41 new of 41 read (" in out
    assert main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["papers"] == sum(status["sources"].values()) == 41
    assert status["span"] == {"first": "2026-02-01", "last": "2026-02-09", "undated": 32}
    assert len(status["categories"]) == 10
    assert status["disk_bytes"] > 10_000
    assert status["last_ingest"]["new"] == 41
    assert [Path(name).name for name in status["last_ingest"]["feeds"]] == ["papers.jsonl", "page.txt"]


def test_the_status_of_a_library_never_filled_by_this_version(agent: PaperAgent, folder: Path) -> None:
    """Without a stored count, the papers are counted; without a stored ingest, there is none."""
    agent.ingest(folder)
    store = agent._open_store()
    counted = agent.facets()
    store.set_setting("facets", None)
    store.set_setting("last-ingest", None)
    agent.close()
    assert agent.status(details=True)["last_ingest"] is None
    assert agent.facets() == counted
