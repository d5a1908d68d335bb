"""Telling formats apart, sources and their schemes, and text from strangers as a whole."""

from __future__ import annotations

import base64
import io
import json
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperagent.errors import FeedError, InputError, PaperAgentError
from paperagent.feeds.formats import huggingface, jsonl
from paperagent.feeds.reader import open_feed
from paperagent.types import Paper, Skipped

ABSTRACT = "We study a question of some length and answer it in part."
LINE = json.dumps({"id": "2508.13426", "title": "A title", "abstract": ABSTRACT})
PAPER = Paper(paper_id="2508.13426", title="A title", abstract=ABSTRACT)


def outcome(data: bytes) -> list[Paper | Skipped] | str:
    """Return what a feed gives: its records, or the message of its error."""
    try:
        with open_feed("-", stdin=io.BytesIO(data)) as feed:
            return list(feed.records)
    except PaperAgentError as error:
        return str(error)


def is_proper(found: list[Paper | Skipped] | str) -> bool:
    if isinstance(found, str):
        return "\n" not in found and ": " in found
    return all(isinstance(entry, Paper | Skipped) for entry in found)


def name_of(content: str) -> str:
    with open_feed("-", stdin=io.BytesIO(content.encode())) as feed:
        return feed.name


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (huggingface.render_page([("A title", ABSTRACT)]), "daily-papers"),
        (json.dumps([{"paper": {"id": "2508.13426", "title": "t", "summary": ABSTRACT}}]), "hf-daily"),
        ('<feed xmlns="http://www.w3.org/2005/Atom"/>', "arxiv-atom"),
        (
            json.dumps({"id": "0704.0001", "title": "t", "abstract": ABSTRACT, "versions": []}),
            "arxiv-snapshot",
        ),
        (LINE, "arxiv-jsonl"),
        (jsonl.dump(PAPER), "paperagent"),
        (json.dumps({"title": "t", "abstract": ABSTRACT}), "json"),
        ("not json\n" + LINE, "daily-papers"),
        ("{broken\n" + LINE, "arxiv-jsonl"),
        ("\n\n  " + LINE, "arxiv-jsonl"),
    ],
)
def test_the_format_is_told_from_the_content(content: str, name: str) -> None:
    """Each format is recognised by what it holds, not by its name."""
    if content.startswith("not json"):
        with pytest.raises(FeedError, match="text of no known format"):
            name_of(content)
    else:
        assert name_of(content) == name


@pytest.mark.parametrize(
    ("source", "error", "why"),
    [
        ("", InputError, "is empty"),
        ("file:///etc/passwd", FeedError, "scheme not allowed"),
        ("ftp://example.org/feed", FeedError, "scheme not allowed"),
        ("gopher://example.org/", FeedError, "scheme not allowed"),
        ("https://example.org/feed", FeedError, "is fetched, not opened"),
        ("arxiv:cs.CL", FeedError, "is fetched, not opened"),
        ("hf-daily:2026-W47", FeedError, "is fetched, not opened"),
        ("rss:x\x1b[2J", FeedError, r"rss:x\\x1b\[2J: scheme not allowed"),
        ("a\x00b", FeedError, r"a\\x00b: (?:open: )?embedded null (?:byte|character)"),
        ("x" * 5_000, FeedError, "file name too long"),
    ],
)
def test_what_is_no_file_is_explained(source: str, error: type[PaperAgentError], why: str) -> None:
    """Schemes, empty names and impossible paths each get one line, with control characters escaped."""
    with pytest.raises(error, match=why) as caught:
        open_feed(source)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_file_whose_name_looks_like_a_scheme_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What exists is a file, whatever it is called."""
    monkeypatch.chdir(tmp_path)
    Path("arxiv:cs.CL").write_text(LINE)
    with open_feed("arxiv:cs.CL") as feed:
        assert feed.name == "arxiv-jsonl"


def test_a_limit_that_is_given_holds_for_every_format(tmp_path: Path) -> None:
    """``max_bytes`` bounds lines as well as whole documents, by the file's size before it is read."""
    for name, content in (("a.jsonl", LINE), ("a.txt", huggingface.render_page([("A title", ABSTRACT)]))):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(FeedError, match="larger than the limit of 50 bytes"):
            open_feed(path, max_bytes=50)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_give_records_or_one_error(data: bytes) -> None:
    """No bytes raise anything but our own errors."""
    assert is_proper(outcome(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("2508.13426") | st.just(ABSTRACT),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "paper_id id title abstract summary paper authors versions created doi url flags date".split()
            ),
            inner,
            max_size=8,
        )
    ),
)


@given(st.lists(JSON, max_size=4))
def test_json_of_any_shape_gives_records_or_one_error(values: list[object]) -> None:
    """Values of the wrong type in known fields skip a record or refuse the feed."""
    for content in (json.dumps(values), "\n".join(json.dumps(value) for value in values)):
        assert is_proper(outcome(content.encode()))


@pytest.mark.parametrize("name", ["defusedxml_files.jsonl", "feedparser_feeds.jsonl"])
def test_public_attack_feeds_do_no_harm(name: str, shared: Path) -> None:
    """Each gives records or one error, within two seconds."""
    rows = (shared / "data" / "attacks" / name).read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, rows):
        start = time.process_time()
        assert is_proper(outcome(base64.b64decode(row["xml_b64"])))
        assert time.process_time() - start < 2.0, row["id"]


def test_poisoned_abstracts_are_read_as_papers(
    shared: Path, parse: Callable[[bytes], tuple[list[Paper], list[Skipped]]]
) -> None:
    """Hostile text is data: every record becomes a paper without control or invisible characters."""
    papers, skipped = parse((shared / "data" / "attacks" / "poisoned_abstracts.jsonl").read_bytes())
    assert len(papers) + len(skipped) == 177
    assert not skipped
    texts = [text for p in papers for text in (p.title, p.abstract)]
    assert not [c for text in texts for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}]
