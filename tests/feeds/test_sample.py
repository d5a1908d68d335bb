"""The sample feed that ships with the package."""

from __future__ import annotations

from paperagent.feeds.reader import open_feed, sample_path
from paperagent.types import Paper


def test_the_sample_feed_reads_whole() -> None:
    """About thirty papers of 90 to 160 words, none skipped, flagged or doubled."""
    with open_feed(sample_path()) as feed:
        papers = [e for e in feed.records if isinstance(e, Paper)]
        assert feed.name == "daily-papers"
    assert 28 <= len(papers) == len({p.title for p in papers}) <= 34
    assert all(90 <= len(p.abstract.split()) <= 160 for p in papers)
    assert not any(p.flags for p in papers)


def test_the_sample_feed_says_that_it_is_invented() -> None:
    """The page's own header marks the fiction."""
    head = sample_path().read_text(encoding="utf-8").splitlines()[:10]
    assert "by paperagent: every paper on this page is invented" in head


def test_the_sample_feed_names_no_paper_as_published() -> None:
    """An invented paper has no arXiv id, address or DOI that could be mistaken for a real one."""
    text = sample_path().read_text(encoding="utf-8").lower()
    assert not any(word in text for word in ("arxiv", "http", "doi", "github"))


def test_the_word_sample_reads_the_shipped_feed() -> None:
    """`paperagent ingest sample` reads the invented papers without their path being known."""
    with open_feed("sample") as feed:
        assert sum(isinstance(r, Paper) for r in feed.records) >= 30
