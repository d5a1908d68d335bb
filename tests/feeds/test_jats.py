"""JATS: the front matter of an article becomes a paper, and nothing else of it is read."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest
from mutations import SAMPLES

from paperagent.errors import FeedError
from paperagent.types import PARTIAL_DATE, Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

ABSTRACT = "We measure how lanterns hum in still air and report the loudness of forty lanterns."
DATE = "<pub-date><year>2024</year><month>2</month><day>5</day></pub-date>"


def article(
    *,
    abstract: str = f"<abstract><p>{ABSTRACT}</p></abstract>",
    more: str = DATE,
    after: str = "",
    root: str = "",
) -> str:
    """Return an article; ``more`` goes into its metadata, and ``after`` follows the front."""
    ids = '<article-id pub-id-type="doi">10.5555/l.17</article-id>'
    title = "<title-group><article-title>A study</article-title></title-group>"
    meta = f"<article-meta>{ids}{title}{more}{abstract}</article-meta>"
    return f"<article><front>{meta}</front>{after}</article>"


def test_every_field_of_an_article_is_read(parse: Parse) -> None:
    """PubMed Central's set: sections get their titles; marks of notes, editors and members are left out."""
    (paper,), skipped = parse((SAMPLES / "pmc.nxml").read_bytes())
    assert paper == Paper(
        paper_id="pmid:38000018",
        title="Lantern light and the growth of Tinea pharos: A trial in 12 villages",
        abstract="Background: Lanterns stand in many houses. Methods: In 12 villages, 340 lanterns were lit "
        "for 6 hours each night. We counted spores in 48 rooms. Results: Growth fell by 27% (95% CI 19 to "
        "35; p < 0.001).",
        authors=("Ada Vex", "Bo C. Ten Jr.", "The Lantern Group"),
        published=dt.date(2024, 2, 5),
        url="https://pmc.ncbi.nlm.nih.gov/articles/PMC9900018/",
        doi="10.5555/jlm.2024.18",
        sources=("jats",),
    )
    assert skipped == [Skipped("article 2, line 4", "no abstract")]


def test_an_article_with_a_namespace_is_read(parse: Parse) -> None:
    """As bioRxiv writes it: the year alone, and a heading that is no part of the abstract."""
    ((paper,), _) = parse((SAMPLES / "jats.xml").read_bytes())
    assert (paper.paper_id, paper.authors) == ("doi:10.1101/2024.02.05.654321", ("Cy Nim", "Dee Oil"))
    assert paper.abstract.startswith("Moths came back to 4 of the 11 lanterns")
    assert (paper.published, paper.flags) == (dt.date(2024, 1, 1), (PARTIAL_DATE,))


@pytest.mark.parametrize(
    "abstracts",
    [
        f'<abstract abstract-type="graphical"><p>x</p></abstract><abstract><p>{ABSTRACT}</p></abstract>',
        f'<abstract xml:lang="de">x</abstract><abstract xml:lang="en"><p>{ABSTRACT}</p></abstract>',
        f'<abstract abstract-type="toc">x</abstract><abstract abstract-type="summary">{ABSTRACT}</abstract>',
        f"<abstract>{ABSTRACT}</abstract>",
        f"<abstract><title>Abstract</title><p><bold>{ABSTRACT}</bold></p></abstract>",
        f"<trans-abstract><p>x</p></trans-abstract><abstract><p>{ABSTRACT}</p></abstract>",
    ],
)  # fmt: skip
def test_the_right_abstract_is_chosen(abstracts: str, parse: Parse) -> None:
    """Pictures, teasers and translations are not the abstract."""
    ((paper,), _) = parse(article(abstract=abstracts))
    assert paper.abstract == ABSTRACT


@pytest.mark.parametrize("where", ["body", "back", "sub-article", "response"])
def test_the_text_of_an_article_is_not_its_abstract(where: str, parse: Parse) -> None:
    """Without an abstract the article is skipped, however much text it has."""
    after = f"<{where}><abstract><p>{ABSTRACT}</p></abstract><front-stub/></{where}>"
    papers, skipped = parse(article(abstract="", after=after))
    assert (papers, [s.reason for s in skipped]) == ([], ["no abstract"])


@pytest.mark.parametrize(
    ("dates", "day", "flags"),
    [
        (DATE + "<pub-date><year>2023</year></pub-date>", dt.date(2024, 2, 5), ()),
        (DATE.replace("<day>5", "<day>6") + DATE, dt.date(2024, 2, 5), ()),
        ("<pub-date><month>Mar</month><year>2024</year></pub-date>", dt.date(2024, 3, 1), (PARTIAL_DATE,)),
        ('<pub-date iso-8601-date="2024-02-05"/>', dt.date(2024, 2, 5), ()),
        ('<pub-date pub-type="nihms-submitted"><year>2023</year></pub-date>', None, ()),
        ("<pub-date><year>soon</year></pub-date>", None, ("bad-date",)),
    ],
)
def test_the_earliest_complete_day_counts(
    dates: str, day: dt.date | None, flags: tuple[str, ...], parse: Parse
) -> None:
    """An article has dates for print, for the web and for the issue."""
    ((paper,), _) = parse(article(more=dates))
    assert (paper.published, paper.flags) == (day, flags)


@pytest.mark.parametrize(
    ("kind", "is_retracted"), [("retraction-forward", True), ("retracted-article", False), ("letter", False)]
)
def test_a_link_to_a_retraction_marks_the_article(kind: str, is_retracted: bool, parse: Parse) -> None:  # noqa: FBT001
    """The notice itself links to the article, and is not retracted."""
    ((paper,), _) = parse(article(more=f'<related-article related-article-type="{kind}"/>'))
    assert (paper.withdrawn, "retracted" in paper.flags) == (is_retracted, is_retracted)


def test_a_long_body_is_not_read(parse: Parse) -> None:
    """No elements of the body are built or counted."""
    start = time.process_time()
    ((paper,), _) = parse(article(after=f"<body>{'<p><x/>y</p>' * 200_000}</body>"))
    assert paper.abstract == ABSTRACT
    assert time.process_time() - start < 4.0


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.2//EN" "JATS-archivearticle1.dtd">',
        "<!DOCTYPE article SYSTEM 'journalpublishing.dtd'>",
        "<!DOCTYPE article>",
        '<!DOCTYPE article\n PUBLIC "x"\n "y" []>',
    ],
)
def test_the_document_type_is_ignored(doctype: str, parse: Parse) -> None:
    """Nothing is fetched; a line that is broken keeps its number."""
    ((paper,), _) = parse(f"<?xml version='1.0'?>\n{doctype}\n{article()}")
    assert paper.doi == "10.5555/l.17"
    with pytest.raises(FeedError, match=f"XML error at line {doctype.count(chr(10)) + 3} "):
        parse(f"<?xml version='1.0'?>\n{doctype}\n<article><front></article>")


def test_a_document_type_with_declarations_is_refused(parse: Parse) -> None:
    """They could expand without end."""
    with pytest.raises(FeedError, match="DTD not allowed"):
        parse(f'<!DOCTYPE article [<!ENTITY a "b">]>{article()}')


def test_another_article_is_skipped(parse: Parse) -> None:
    """DocBook has articles, too."""
    papers, skipped = parse(
        '<article xmlns="http://docbook.org/ns/docbook"><title>Lanterns</title></article>'
    )
    assert (papers, [s.reason for s in skipped]) == ([], ["no title"])
