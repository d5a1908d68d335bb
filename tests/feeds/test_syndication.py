"""RSS, and Atom feeds that are not arXiv's: entries that name a paper become papers, with their fields."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest
from mutations import SAMPLES

from paperagent.errors import FeedError
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]

ABSTRACT = "We measure how lanterns hum in still air and report the loudness of forty lanterns."
SPACES = (
    'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:prism="http://prismstandard.org/namespaces/basic/3.0/"'
)
PAGE = "https://example.org/17"
LINK = "https://arxiv.org/abs/2401.01234"


def rss(*items: str) -> str:
    """Return an RSS 2.0 feed."""
    channel = "<channel><title>lanterns</title><link>https://example.org</link>" + "".join(items)
    return f'<?xml version="1.0"?>\n<rss version="2.0" {SPACES}>{channel}</channel></rss>'


def item(
    more: str = "", *, link: str = LINK, text: str = ABSTRACT, title: str = "A study of lanterns"
) -> str:
    """Return an item; ``text`` and ``title`` are plain or HTML."""
    fields = (
        f"<title>{escape(title)}</title><link>{escape(link)}</link><description>{escape(text)}</description>"
    )
    return f"<item>{fields}{more}</item>\n"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def test_every_field_of_arxivs_rss_is_read(parse: Parse) -> None:
    """The announcement gives version and day; a replaced paper was published earlier."""
    papers, skipped = parse(sample("arxiv.rss"))
    assert not skipped
    assert papers[0] == Paper(
        paper_id="2401.01234",
        title="Forty lanterns in still air",
        abstract="We measure how 40 lanterns hum in still air. The hum grows with $r^2$, and lanterns of "
        "less than 3 cm are silent.",
        authors=("Ada Vex", "Bo Tën", "Cy Nim"),
        published=dt.date(2024, 1, 2),
        listed=dt.date(2024, 1, 2),
        categories=("cs.LA", "eess.AS"),
        url=LINK,
        arxiv_id="2401.01234",
        version=1,
        sources=("rss",),
    )
    replaced = papers[1]
    assert (replaced.title, replaced.version, replaced.doi) == (
        "Wicks & oils: a survey",
        3,
        "10.5555/lantern.2023.17",
    )
    assert (replaced.published, replaced.listed) == (None, dt.date(2024, 1, 2))


@pytest.mark.parametrize(
    ("name", "paper_id", "title", "begin", "end", "authors", "day"),
    [
        (
            "arxiv_before_2024.rdf",
            "2301.00321",
            "How lanterns hum.",
            "We listen to 7 lanterns",
            "two are out of tune.",
            ("Ada Vex", "Bo Ten"),
            None,
        ),
        (
            "biorxiv.rdf",
            "doi:10.1101/2024.01.02.123456",
            "Lanterns attract 3 kinds of moths",
            "Moths fly to lanterns.",
            "a tin roof (p < 0.05).",
            ("A. Vex", "B. C. Ten", "D. van der Nim"),
            dt.date(2024, 1, 2),
        ),
        (
            "nature.rdf",
            "doi:10.5555/s05555-024-00017-3",
            "A lantern of one photon",
            "A lantern that gives 1 photon",
            "alight for 8 days.",
            ("Ada Vex", "Bo Ten"),
            dt.date(2024, 1, 2),
        ),
        (
            "pubmed.rss",
            "pmid:38000017",
            "Lanterns and sleep in 30 adults",
            "BACKGROUND: Lanterns may help people to sleep. METHODS: For 14 nights",
            "longer near a lantern.",
            ("Ada Vex", "Bo C Ten"),
            dt.date(2024, 1, 1),
        ),
        (
            "wiley.rss",
            "doi:10.5555/lal.20017",
            "Tin & glass: what lanterns are made of",
            "We took 25 lanterns apart.",
            "what the other parts are.",
            ("Ada Vex", "Bo Ten"),
            dt.date(2024, 1, 2),
        ),
        (
            "journal.atom",
            "doi:10.5555/journal.lone.0030017",
            "Lanterns in 9 villages",
            "We asked the people of 9 villages",
            "houses at a lake.",
            ("Ada Vex", "Bo Ten", "Cy Nim"),
            dt.date(2024, 1, 2),
        ),
    ],
)
def test_publishers_feeds_are_read(
    name: str,
    paper_id: str,
    title: str,
    begin: str,
    end: str,
    authors: tuple[str, ...],
    day: dt.date | None,
    parse: Parse,
) -> None:
    """Ids, names and days are read, and nothing of the publisher's frame is in the abstract."""
    (paper,), _ = parse(sample(name))
    assert (paper.paper_id, paper.title, paper.authors, paper.published) == (paper_id, title, authors, day)
    assert (paper.abstract[: len(begin)], paper.abstract[-len(end) :]) == (begin, end)


def test_pubmeds_rss_has_two_ids(parse: Parse) -> None:
    """The DOI is kept beside PubMed's id, and the address has no counter of clicks."""
    ((paper,), _) = parse(sample("pubmed.rss"))
    assert (paper.doi, paper.url) == ("10.5555/jlm.2024.17", "https://pubmed.ncbi.nlm.nih.gov/38000017/")


def test_a_post_without_an_id_of_a_paper_is_skipped(parse: Parse) -> None:
    """A blog's post has a title and a text, too, and is no paper."""
    (_,), skipped = parse(sample("journal.atom"))
    assert [s.reason for s in skipped] == ["no arXiv id or DOI"]
    papers, skipped = parse(
        rss(item(link="https://blog.example.org/lanterns"), "<item><title>t</title></item>")
    )
    assert not papers
    assert [s.reason for s in skipped] == ["no arXiv id or DOI", "no id"]


@pytest.mark.parametrize(
    ("link", "more", "expected"),
    [
        ("https://huggingface.co/papers/2401.01234", "", ("2401.01234", "2401.01234", None)),
        ("http://arxiv.org/pdf/2401.01234v3.pdf", "", ("2401.01234", "2401.01234", None)),
        (PAGE, "<guid>oai:arXiv.org:2401.01234v3</guid>", ("2401.01234",) * 2 + (None,)),
        ("https://doi.org/10.5555/L.17", "", ("doi:10.5555/l.17", None, "10.5555/l.17")),
        ("https://link.example.com/10.5555/l.17", "", ("doi:10.5555/l.17", None, "10.5555/l.17")),
        (PAGE, "<prism:doi>10.5555/l.17</prism:doi>", ("doi:10.5555/l.17", None, "10.5555/l.17")),
        (PAGE, "<guid>https://doi.org/10.5555/l.17</guid>", ("doi:10.5555/l.17", None, "10.5555/l.17")),
        ("https://doi.org/10.48550/arXiv.2401.01234", "", ("2401.01234", "2401.01234", None)),
        (PAGE, "<dc:identifier>PMID: 1234567</dc:identifier>", ("pmid:1234567", None, None)),
        ("https://aclanthology.org/2023.acl-long.1/", "", ("acl:2023.acl-long.1", None, None)),
        (f"https://www.semanticscholar.org/paper/A-study/{'0a' * 20}", "", (f"s2:{'0a' * 20}", None, None)),
    ],
)
def test_the_id_is_where_feeds_put_it(
    link: str, more: str, expected: tuple[str, str | None, str | None], parse: Parse
) -> None:
    """In the link, the guid or a field of an identifier."""
    ((paper,), _) = parse(rss(item(more, link=link)))
    assert (paper.paper_id, paper.arxiv_id, paper.doi) == expected


def test_a_list_of_arxiv_papers_in_atom_is_read(parse: Parse) -> None:
    """The entry's id is the list's own; its link names the paper. Other links do not."""
    links = f'<link rel="self" href="https://arxiv.org/abs/2312.99999"/><link href="{LINK}"/>'
    fields = f"<id>tag:example.org,2024:p1</id><title>A study</title>{links}<summary>{ABSTRACT}</summary>"
    ((paper,), _) = parse(f'<feed xmlns="http://www.w3.org/2005/Atom"><entry>{fields}</entry></feed>')
    assert (paper.paper_id, paper.abstract, paper.sources) == ("2401.01234", ABSTRACT, ("arxiv-atom",))


@pytest.mark.parametrize(
    "text",
    [
        f"<p>{ABSTRACT}</p>",
        f"Abstract: {ABSTRACT}",
        f'<h3 class="a-plus-plus">Abstract</h3>\n<p class="a-plus-plus">{ABSTRACT}</p>',
        f'<span class="x"><div class="boxTitle">Abstract</div>{ABSTRACT}</span>',
        f"Lantern Review, Volume 383, Issue 6678, Page 12-13, January 2024. <br/>{ABSTRACT}",
        f"Volume 12, Issue 3, March 2024, Page 1-10<br/>. <br/>{ABSTRACT}",
    ],
)
def test_what_a_publisher_puts_before_an_abstract_is_not_a_part_of_it(text: str, parse: Parse) -> None:
    """Headings and citations go; HTML becomes text."""
    ((paper,), _) = parse(rss(item(text=text)))
    assert paper.abstract == ABSTRACT


@pytest.mark.parametrize(
    "text",
    [
        "<p>Publication date: March 2024</p><p><b>Source:</b> Wicks, Volume 1</p><p>Author(s): Ada Vex</p>",
        "Lantern Review, Volume 12, Issue 3, Page 123-130, March 2024.",
        "<p>Wicks, Published online: 02 January 2024; <a href='https://doi.org/10.5555/1'>doi:10.5555/1</a></p>",
    ],
)
def test_a_citation_alone_is_no_abstract(text: str, parse: Parse) -> None:
    """Feeds of tables of contents name journal and authors where an abstract would be."""
    papers, skipped = parse(rss(item(text=text)))
    assert not papers
    assert [s.reason for s in skipped] == ["no abstract"]


def test_the_content_is_read_if_it_has_more_of_the_abstract_but_not_if_it_is_the_paper(parse: Parse) -> None:
    """``content:encoded`` may hold the abstract or the full text."""
    more = f"<content:encoded>{escape(f'<p>{ABSTRACT}</p><p>More.</p>')}</content:encoded>"
    paper = f"<content:encoded>{'<![CDATA[<p>Chapter one.</p>]]>' * 2_000}</content:encoded>"
    long_enough = f"{ABSTRACT} {ABSTRACT}"
    (first, second), _ = parse(
        rss(
            item(more, text=ABSTRACT[:40] + "…"),
            item(paper, link="https://arxiv.org/abs/2401.01235", text=long_enough),
        )
    )
    assert first.abstract == f"{ABSTRACT} More."
    assert second.abstract == long_enough


@pytest.mark.parametrize(
    ("creators", "authors"),
    [
        (["Ada Vex, Bo Ten and Cy Nim"], ("Ada Vex", "Bo Ten", "Cy Nim")),
        (["Ada Vex (1), Bo Ten (2) ((1) Lantern Lab, (2) Wick Inc.)"], ("Ada Vex", "Bo Ten")),
        (["Vex, Ada; Ten, Bo"], ("Ada Vex", "Bo Ten")),
        (["Vex, Ada"], ("Ada Vex",)),
        (["Vex, A. B., Ten, C."], ("A. B. Vex", "C. Ten")),
        (["Vex, Ada", "Ten, Bo"], ("Ada Vex", "Bo Ten")),
        (["Ada Vex", "The Lantern Group"], ("Ada Vex", "The Lantern Group")),
    ],
)
def test_names_are_split_and_turned(creators: list[str], authors: tuple[str, ...], parse: Parse) -> None:
    """Feeds write authors in one element or several, with the first or the last name first."""
    fields = "".join(f"<dc:creator>{name}</dc:creator>" for name in creators)
    ((paper,), _) = parse(rss(item(fields)))
    assert paper.authors == authors


def test_an_author_of_rss_is_the_name_beside_the_address(parse: Parse) -> None:
    """RSS 2.0 has a mail address with a name in parentheses."""
    ((paper,), _) = parse(rss(item("<author>ada@example.org (Ada Vex)</author>")))
    assert paper.authors == ("Ada Vex",)


@pytest.mark.parametrize(
    "date",
    [
        "<pubDate>Tue, 02 Jan 2024 00:00:00 -0500</pubDate>",
        "<pubDate>Tue, 02 Jan 2024 12:00:00 GMT</pubDate>",
        "<pubDate>Tue, 02 Jan 2024</pubDate>",
        "<pubDate>2024-01-02T00:00:00</pubDate>",
        "<dc:date>2024-01-02</dc:date><pubDate>Wed, 03 Jan 2024 00:00:00 GMT</pubDate>",
        "<prism:publicationDate>2024-01-02T00:00:00Z</prism:publicationDate>",
    ],
)
def test_dates_of_feeds_are_read(date: str, parse: Parse) -> None:
    """RFC 822 and ISO 8601, with and without a time; the day of publication comes first."""
    ((paper,), _) = parse(rss(item(date)))
    assert (paper.published, paper.flags) == (dt.date(2024, 1, 2), ())


def test_an_empty_channel_is_a_feed_without_papers(parse: Parse) -> None:
    """ArXiv's feed has no item at weekends."""
    assert parse(rss()) == ([], [])
    assert parse("<rdf:RDF xmlns:rdf='x'><channel/></rdf:RDF>") == ([], [])


def test_rdf_of_another_kind_is_refused(parse: Parse) -> None:
    """A library of references may be RDF, too."""
    with pytest.raises(FeedError, match="got RDF without RSS; export the papers as CSV or BibTeX"):
        parse('<rdf:RDF xmlns:rdf="x" xmlns:b="y"><b:Article/></rdf:RDF>')


def test_a_document_type_without_declarations_and_named_entities_are_read(parse: Parse) -> None:
    """RSS 0.91 names its DTD, and many feeds use entities of HTML."""
    doctype = '<!DOCTYPE rss PUBLIC "-//Example//DTD RSS 0.91//EN" "https://example.org/rss.dtd">'
    feed = rss(item(title="A study")).replace("A study", "A&nbsp;study of &eacute;toiles &AMP; lanterns")
    ((paper,), _) = parse(feed.replace("?>", "?>" + doctype, 1))
    assert paper.title == "A study of étoiles & lanterns"
    with pytest.raises(FeedError, match="undefined entity"):
        parse(feed.replace("&eacute;", "&lantern;"))
    with pytest.raises(FeedError, match="DTD not allowed"):
        parse(feed.replace("?>", "?>" + doctype.replace('dtd">', 'dtd" [<!ENTITY e "x">]>'), 1))


@pytest.mark.parametrize(
    "piece", ["<p>", "Volume 1, Issue 1", ", x", "(", "a, ", "; ", "<b>ABSTRACT</b></p>", "Publication date:"]
)
def test_hostile_items_take_linear_time(piece: str, parse: Parse) -> None:
    """Two megabytes that look like the start of something are read in a second or so."""
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    parse(rss(item(f"<dc:creator>{escape(text)}</dc:creator>", text=text)))
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize("name", ["x01_rss2_arxiv.xml", "x02_atom_other.xml"])
def test_real_inputs_are_read(name: str, shared: Path, parse: Parse) -> None:
    """Each is one arXiv paper."""
    ((paper,), skipped) = parse((shared / "data" / "real_inputs" / name).read_bytes())
    assert not skipped
    assert (paper.paper_id, paper.title, paper.abstract) == ("2401.01234", "A study of lanterns", ABSTRACT)
    assert (paper.published, paper.authors[0]) == (dt.date(2024, 1, 2), "Ada Vex")
