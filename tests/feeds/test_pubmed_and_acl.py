"""Structure of PubMed's and the ACL Anthology's XML: books, other abstracts, translated titles, old ids."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from mutations import SAMPLES

from paperagent.feeds.formats.acl import build_id
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

ABSTRACT = "We measure how lanterns hum in still air and report the loudness of forty lanterns."


def pubmed(title: str, *, doctype: str = "") -> str:
    abstract = f"<Abstract><AbstractText>{ABSTRACT}</AbstractText></Abstract>"
    article = f"<PMID>17</PMID><Article>{title}{abstract}</Article>"
    return f"{doctype}<PubmedArticleSet><PubmedArticle><MedlineCitation>{article}</MedlineCitation></PubmedArticle></PubmedArticleSet>"  # noqa: E501


def test_articles_and_chapters_are_read_and_a_broken_one_is_skipped(parse: Parse) -> None:
    """A translated title has no brackets, and an article without an abstract may have another one."""
    (article, retracted, chapter), skipped = parse((SAMPLES / "pubmed.xml").read_bytes())
    assert (article.title, article.authors) == ("Lanterns in 5 clinics", ("Ada Vex", "Lantern Study Group"))
    assert article.abstract == (
        "BACKGROUND: Clinics have lanterns. We visited 5 of them. RESULTS: There were 31 lanterns (p = 0.04)."
    )
    assert (article.doi, article.published) == ("10.5555/jlm.2024.21", dt.date(2024, 1, 9))
    assert (retracted.abstract, retracted.withdrawn, retracted.authors) == (
        "Bright lanterns give 2 times as much light.",
        True,
        ("Bo Ten Jr",),
    )
    assert (chapter.paper_id, chapter.title, chapter.authors, chapter.published) == (
        "pmid:38000023",
        "Lighting a lantern",
        ("Cy Nim",),
        dt.date(2024, 2, 6),
    )
    assert [s.reason for s in skipped] == ["no id"]


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ("<ArticleTitle>[Lanterns of old].</ArticleTitle>", "Lanterns of old"),
        ("<ArticleTitle>[Lanterns (author's transl)]</ArticleTitle>", "Lanterns (author's transl)"),
        ("<ArticleTitle>[Lanterns] and [candles]</ArticleTitle>", "[Lanterns] and [candles]"),
        (
            "<ArticleTitle>[Not Available].</ArticleTitle><VernacularTitle>Laternen.</VernacularTitle>",
            "Laternen.",
        ),
        ("<ArticleTitle/><VernacularTitle>Licht</VernacularTitle>", "Licht"),
    ],
)
def test_titles_are_read(fields: str, title: str, parse: Parse) -> None:
    """Brackets say that a title is a translation."""
    ((paper,), _) = parse(pubmed(fields))
    assert paper.title == title


@pytest.mark.parametrize(
    "doctype",
    ["<!DOCTYPE PubmedArticleSet>", "<!DOCTYPE PubmedArticleSet SYSTEM 'pubmed.dtd' []>"],
)
def test_document_types_of_pubmed_are_ignored(doctype: str, parse: Parse) -> None:
    """Whatever they name is not fetched."""
    ((paper,), _) = parse(pubmed("<ArticleTitle>Lanterns</ArticleTitle>", doctype=doctype))
    assert paper.paper_id == "pmid:17"


def test_a_paper_on_another_site_has_the_id_of_the_anthology(parse: Parse) -> None:
    """The id is built from collection, volume and number, not from the address of the other site."""
    (first, second), skipped = parse((SAMPLES / "acl_anthology.xml").read_bytes())
    assert (first.paper_id, first.url) == ("acl:W14-0101", "https://aclanthology.org/W14-0101/")
    assert (second.paper_id, second.doi) == ("acl:W14-0102", "10.5555/w14-0102")
    assert [s.reason for s in skipped] == ["no abstract"]


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("L14", "1", "1"), "L14-1001"),
        (("P18", "3", "42"), "P18-3042"),
        (("W14", "1", "1"), "W14-0101"),
        (("W18", "63", "10"), "W18-6310"),
        (("C69", "2", "1"), "C69-0201"),
        (("D19", "1", "7"), "D19-1007"),
        (("D19", "57", "7"), "D19-5707"),
        (("2023.acl", "long", "1"), "2023.acl-long.1"),
        (("2021.findings", "emnlp", "301"), "2021.findings-emnlp.301"),
        (("P18", "10", "1"), None),
        (("W14", "1", "100"), None),
        (("P18", "1", "a"), None),
        (("", "1", "1"), None),
        (("2023.acl", "", "1"), None),
        (("P18", "9" * 5_000, "1"), None),
    ],
)
def test_ids_of_the_anthology_are_built(parts: tuple[str, str, str], name: str | None) -> None:
    """Old ids share four digits between volume and paper."""
    assert build_id(*parts) == name


def test_the_real_input_is_read(shared: Path, parse: Parse) -> None:
    """The row of the table: one paper."""
    ((paper,), skipped) = parse((shared / "data" / "real_inputs" / "a01_acl_external_url.xml").read_bytes())
    assert (paper.paper_id, paper.abstract, skipped) == ("acl:L14-1001", ABSTRACT, [])
