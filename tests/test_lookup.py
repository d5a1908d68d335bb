"""Look-up of papers by abbreviated ids and by names, and the commands that use it."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from library_helpers import paper
from paperagent import InputError, Paper, PaperAgent, PaperNotFoundError
from paperagent.cli.main import main
from paperagent.config import load
from paperagent.feeds.formats.jsonl import dump

PAGE = """Daily Papers

Mar 12

Lanternfish: Sorting Sentences in the Dark

Sorting sentences is slow without light. Lanternfish sorts them by glow and needs 40% less time.

Lantern Oil for Long Documents

Long documents burn oil. We refill the lantern between chapters, which halves the number of sentences lost.
"""
RECORDS = (
    paper(1, authors=("Peter Henderson", "Mei Lin"), doi="10.1000/abc.1", upvotes=3),
    paper(2, authors=("Grace Okafor",), paper_id="acl:2026.acl-long.7", arxiv_id=None, doi="10.1000/abd.2"),
    paper(13, authors=("P. Henderson", "Grace Lund")),
    paper(114, authors=("Study Robertson",)),
)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[PaperAgent]:
    """Return an agent on a small library without vectors."""
    (tmp_path / "page.txt").write_text(PAGE, encoding="utf-8")
    lines = "".join(dump(p) + "\n" for p in RECORDS if not p.paper_id.startswith("acl:"))
    (tmp_path / "papers.jsonl").write_text(lines, encoding="utf-8")
    settings = load(home=tmp_path / "home", embedder="none", mode="extractive")
    with PaperAgent(settings=settings) as opened:
        opened.ingest([tmp_path / "papers.jsonl", tmp_path / "page.txt"])
        opened._open_store().ingest([RECORDS[1]], today=dt.date(2026, 6, 1))
        yield opened


def run(capsys: pytest.CaptureFixture[str], agent: PaperAgent, *words: str, code: int = 0) -> str:
    """Run a command on the agent's library; return what it prints."""
    agent.close()
    assert main(["--home", str(agent.home), *words]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("lanternfish", "Lanternfish"),
        ("LanternF", "Lanternfish"),
        ("2601.00001", "number 1 "),
        ("arXiv:2601.00001v2", "number 1 "),
        ("https://arxiv.org/abs/2601.00001", "number 1 "),
        ("2601.00114", "number 114 "),
        ("arXiv:2601.0011", "number 114 "),
        ("10.1000/abd", "number 2 "),
        ("https://doi.org/10.1000/ABC.1", "number 1 "),
        ("doi:10.1000/abc", "number 1 "),
        ("acl:2026", "number 2 "),
        ("2026.acl-long.7", "number 2 "),
    ],
)
def test_an_id_in_any_notation_or_its_beginning_is_enough(agent: PaperAgent, text: str, title: str) -> None:
    """Slugs, arXiv ids, DOIs and ids of services may be abbreviated."""
    assert title in agent.get(text).title + " "


def test_the_digits_of_a_slug_are_enough(agent: PaperAgent) -> None:
    """The digits of an id are enough, as in git."""
    stored = agent.get("lanternfish")
    assert agent.get(stored.paper_id.rpartition("-")[2][:6]) == stored


def test_an_ambiguous_id_lists_candidates(agent: PaperAgent) -> None:
    """At most five, in one line."""
    with pytest.raises(InputError, match=r"^paper: lantern matches several ids: lantern-") as caught:
        agent.get("lantern")
    assert "Lantern Oil" in str(caught.value)
    with pytest.raises(InputError, match=r"several ids: 2601\.00001 .*2601\.00013 "):
        agent.get("2601")


@pytest.mark.parametrize(
    "text",
    ["lan", "", " ", "lantern%", "lantern_ish", "%%%%", "____", "lant\x1b[31m", "x" * 10_000, "lan\ud800tern",
     "lanternfish\n", "' OR 1=1 --", "title:lantern", "*", "was/lantern", "läntern"],
)  # fmt: skip
def test_wildcards_and_control_characters_find_nothing(agent: PaperAgent, text: str) -> None:
    """The error is one short line without control characters."""
    if text.strip() == "lanternfish":
        assert agent.get(text).title.startswith("Lanternfish")
        return
    with pytest.raises(PaperNotFoundError) as caught:
        agent.get(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_query_that_is_an_id_or_an_author_finds_these_papers_first(agent: PaperAgent) -> None:
    """A name that several people have, or that is a word of an abstract, is an ordinary query."""

    def first(query: str, count: int = 1) -> set[str]:
        return {hit.title for hit in agent.search(query, k=5)[:count]}

    assert first("2601.00114") == {paper(114).title}
    assert first("arXiv:2601.00001") == {paper(1).title}
    assert first("Peter Henderson", 2) == {paper(1).title, paper(13).title}
    assert first("henderson", 2) == {paper(1).title, paper(13).title}
    assert agent.search("Grace", k=5) == []  # Okafor and Lund
    assert paper(114).title not in {hit.title for hit in agent.search("Study", k=1)}
    hits = agent.search("Peter Henderson", k=1)
    assert [hit.rank for hit in hits] == [1]
    assert agent.search("2601.00114", category="cs.XX") == []


def test_a_minus_sign_excludes(agent: PaperAgent) -> None:
    """Before a word or a quoted phrase; not within a word."""
    titles = {hit.title for hit in agent.search("lantern sentences", k=9)}
    assert {title.split()[0] for title in titles} == {"Lanternfish:", "Lantern"}
    for query in ("sentences -oil", 'sentences -"long documents"', 'sentences -"long document" -robots'):
        assert [hit.title.split()[0] for hit in agent.search(query, k=9)] == ["Lanternfish:"], query
    assert len(agent.search("sentences few-oil", k=9)) == 2
    assert len(agent.search("sentences", exclude="oil")) == 1
    for query in ("-oil", '-"oil"'):
        with pytest.raises(InputError, match="only excluded words"):
            agent.search(query)
    with pytest.raises(InputError, match="too common to exclude"):
        agent.search("oil", exclude=["the"])


def test_filters_apply_to_questions_and_overviews(agent: PaperAgent) -> None:
    """Authors and excluded words, as in a search."""
    answer = agent.ask("How much less time does sorting sentences take?", exclude=("lanternfish",))
    assert all("Lanternfish" not in hit.title for hit in answer.hits)
    by = agent.ask("What does the method improve?", author="Grace Okafor")
    assert {hit.title for hit in by.hits} <= {paper(2).title, paper(13).title}
    assert {h.title for h in agent.summarize("study", author="henderson").hits} == {
        paper(1).title,
        paper(13).title,
    }


def test_lists_and_counts(agent: PaperAgent) -> None:
    """By author, without words, in order."""
    assert [p.title for p in agent.list(author="Lin")] == [paper(1).title]
    assert agent.count(author="henderson") == 2
    assert agent.count(exclude="vision") == len(agent.list(exclude=["vision"]))
    assert agent.list(sort="upvotes", limit=1)[0].upvotes == 3
    for wrong in (
        {"sort": "best"},
        {"limit": 0},
        {"limit": True},
        {"author": "%"},
        {"author": "x" * 999},
        {"author": "a\ud800"},
        {"exclude": "a\0b"},
        {"exclude": 5},
    ):
        with pytest.raises(InputError):
            agent.list(**wrong)  # type: ignore[arg-type]
    for ids in (None, 5, [5]):
        with pytest.raises(InputError, match="ids: must be"):
            agent.remove(ids)  # type: ignore[arg-type]


def test_related_papers_without_vectors_share_words(agent: PaperAgent) -> None:
    """The paper itself is not among them."""
    hits = agent.related("lanternfish", k=2)
    assert hits[0].title.startswith("Lantern Oil")
    assert all(hit.paper_id != agent.get("lanternfish").paper_id for hit in hits)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


def test_a_removed_paper_is_gone_until_its_feed_is_read_again(agent: PaperAgent, tmp_path: Path) -> None:
    """Under all its ids; if one id is unknown, nothing is removed."""
    stored = agent.get("lanternfish")
    with pytest.raises(PaperNotFoundError):
        agent.remove([stored.paper_id, "nothing-here"])
    total = agent.count()
    assert agent.remove(["lanternfish", stored.paper_id]) == [Paper(**{**_fields(stored), "ids": ()})]
    for name in (stored.paper_id, *stored.ids, "lanternfish"):
        with pytest.raises(PaperNotFoundError):
            agent.get(name)
    assert agent.count() == total - 1
    assert all("Lanternfish" not in hit.title for hit in agent.search("lanternfish glow"))
    assert agent.doctor().ok
    report = agent.ingest(tmp_path / "page.txt")
    assert (report.new, report.unchanged) == (1, 1)
    assert agent.get("lanternfish").paper_id == stored.paper_id
    assert agent.doctor().ok


def _fields(stored: Paper) -> dict[str, object]:
    return {name: getattr(stored, name) for name in Paper.__dataclass_fields__}


def test_the_commands(
    agent: PaperAgent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Show, list, related and remove, as text and as JSON."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    out = run(capsys, agent, "show", "2601.00001")
    for text in ("Peter Henderson, Mei Lin", "published 2026-01-02", "test-feed", "doi:10.1000/abc.1"):
        assert text in out
    shown = json.loads(run(capsys, agent, "show", "acl:2026", "--json"))
    assert shown["ids"] == ["acl:2026.acl-long.7"]
    assert "Did you mean" not in run(capsys, agent, "show", "lantern", code=2)
    out = run(capsys, agent, "list", "--author", "henderson", "-n", "1")
    assert "*1 of 2 papers*" in out
    assert json.loads(run(capsys, agent, "list", "--not", "study", "--json"))["total"] == 2
    assert json.loads(run(capsys, agent, "related", "lanternfish", "--json"))["hits"]
    removed = json.loads(run(capsys, agent, "remove", "lanternfish", "2601.0011", "--json"))
    assert (len(removed["removed"]), removed["papers"]) == (2, 4)


def test_remove_asks_on_a_terminal(
    agent: PaperAgent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is removed if the user answers no; --yes does not ask."""

    class Terminal(io.TextIOWrapper):
        def __init__(self, text: bytes) -> None:
            super().__init__(io.BytesIO(text))

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setattr("sys.stdin", Terminal(b"n\n"))
    assert "nothing removed" in run(capsys, agent, "remove", "lanternfish")
    assert agent.count() == 6
    monkeypatch.setattr("sys.stdin", Terminal(b"y\n"))
    assert "5 papers in the library" in run(capsys, agent, "remove", "lanternfish")
    monkeypatch.setattr("sys.stdin", Terminal(b""))
    assert "4 papers in the library" in run(capsys, agent, "remove", "--yes", "2601.0011")


def test_a_day_of_reading_or_listing_is_no_date_of_publication(
    agent: PaperAgent, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is in exports; the day of listing, which --date sets, is called so wherever it is shown."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    stored = agent.get("lanternfish")
    assert stored.first_seen is not None
    assert agent.search("lanternfish")[0].to_dict()["published"] is None
    read_on = (stored.first_seen.isoformat(), f"{stored.first_seen:%Y/%m/%d}")
    export = ("export", "--ids", "lanternfish", "-f")
    commands = (("search", "lanternfish"), ("list", "--not", "study"), (*export, "bibtex"), (*export, "ris"))
    for text in (run(capsys, agent, *command) for command in (*commands, (*export, "markdown"))):
        assert "Lanternfish" in text
        assert not any(day in text for day in read_on)
        assert "year" not in text
        assert "PY  -" not in text
    assert f"date: unknown; added {stored.first_seen}" in run(capsys, agent, "show", "lanternfish")
    assert agent.count(since=stored.first_seen) == 2  # the last resort of a filter
    run(capsys, agent, "ingest", "--date", "2026-03-12", str(tmp_path / "page.txt"))
    assert "date: listed 2026-03-12" in run(capsys, agent, "show", "lanternfish")
    assert "· listed 2026-03-12" in run(capsys, agent, "search", "lanternfish")
    assert "- published or listed: " in run(capsys, agent, "status")
    shown = json.loads(run(capsys, agent, "show", "--json", "lanternfish"))
    assert (shown["published"], shown["listed"]) == (None, "2026-03-12")
    for form in ("bibtex", "ris"):
        assert "2026" not in run(capsys, agent, *export, form)
    assert "\n\nlisted 2026-03-12 · " in run(capsys, agent, *export, "markdown")


def test_ingest_offers_the_day_in_the_header_of_a_page(agent: PaperAgent, tmp_path: Path) -> None:
    """The program does not use the day in the header by itself."""
    page = tmp_path / "page.txt"
    (note,) = agent.ingest(page).notes
    assert "the page's header says Mar 12; to date its papers, add --date 20" in note
    assert note.endswith("-03-12")
    assert agent.ingest(page, date="2026-03-12").notes == ()
    for header, end in (("Feb 30", None), ("Mar 12, 2020", "2020-03-12"), ("today", None)):
        page.write_text(PAGE.replace("Mar 12", header), encoding="utf-8")
        notes = agent.ingest(page).notes
        assert [n.rpartition(" ")[2] for n in notes] == ([end] if end else [])
