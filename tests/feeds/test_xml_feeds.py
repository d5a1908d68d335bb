"""OAI-PMH, PubMed and ACL Anthology XML."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable

import pytest

from paperagent.errors import FeedError
from paperagent.types import PARTIAL_DATE, Paper, Skipped, Withdrawal

ABSTRACT = "We study a question of some length and answer it in part."
Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]


def oai(*records: str, after: str = "") -> str:
    """Return an answer to ListRecords."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        "<responseDate>2026-11-20T01:00:00Z</responseDate><request verb='ListRecords'>x</request>"
        f"<ListRecords>{''.join(records)}{after}</ListRecords></OAI-PMH>"
    )


def record(metadata: str, *, status: str = "", identity: str = "2508.13426") -> str:
    mark = f' status="{status}"' if status else ""
    return (
        f"<record><header{mark}><identifier>oai:arXiv.org:{identity}</identifier>"
        "<datestamp>2026-11-19</datestamp><setSpec>cs</setSpec></header>"
        f"{f'<metadata>{metadata}</metadata>' if metadata else ''}</record>"
    )


ARXIV = f"""<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2508.13426</id><created>2025-08-19</created>
<updated>2025-09-01</updated><authors><author><keyname>Núñez</keyname><forenames>Ana María</forenames>
</author><author><keyname>Team</keyname></author></authors><title>A title that
 is wrapped</title><categories>cs.CL cs.AI</categories><comments>12 pages</comments>
<doi>10.1000/XYZ</doi><abstract>  {ABSTRACT}
</abstract></arXiv>"""
RAW = f"""<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>2508.13426</id><submitter>A</submitter>
<version version="v1"><date>Tue, 19 Aug 2025 01:00:00 GMT</date></version>
<version version="v3"><date>Mon, 01 Sep 2025 01:00:00 GMT</date></version>
<title>A title</title><authors>Ana Núñez, Bo Writer and C. D. Third</authors><categories>cs.CL</categories>
<comments>This paper has been withdrawn by the authors</comments><abstract>{ABSTRACT}</abstract></arXivRaw>"""
DUBLIN = f"""<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A title</dc:title><dc:creator>Núñez, Ana</dc:creator>
<dc:description>{ABSTRACT}</dc:description><dc:description>Comment: 3 pages</dc:description>
<dc:date>2025-08-19</dc:date><dc:date>2025-09-01</dc:date><dc:type>text</dc:type>
<dc:identifier>http://arxiv.org/abs/2508.13426</dc:identifier></oai_dc:dc>"""


def test_every_field_of_arxivs_format_is_read(parse: Parse) -> None:
    """Names are put together, text is unwrapped, days are the first and the last version's."""
    papers, skipped = parse(oai(record(ARXIV)))
    assert not skipped
    assert papers == [
        Paper(
            paper_id="2508.13426",
            title="A title that is wrapped",
            abstract=ABSTRACT,
            authors=("Ana María Núñez", "Team"),
            published=dt.date(2025, 8, 19),
            updated=dt.date(2025, 9, 1),
            categories=("cs.CL", "cs.AI"),
            url="https://arxiv.org/abs/2508.13426",
            arxiv_id="2508.13426",
            doi="10.1000/xyz",
            sources=("arxiv-oai",),
        )
    ]


def test_the_raw_format_tells_versions(parse: Parse) -> None:
    """The last version counts, and a comment may withdraw the paper."""
    ((paper,), _) = parse(oai(record(RAW)))
    assert (paper.version, paper.published, paper.updated) == (3, dt.date(2025, 8, 19), dt.date(2025, 9, 1))
    assert paper.authors == ("Ana Núñez", "Bo Writer", "C. D. Third")
    assert paper.withdrawn


def test_dublin_core_is_read(parse: Parse) -> None:
    """The longest description is the abstract; identifiers hold the arXiv id."""
    ((paper,), _) = parse(oai(record(DUBLIN)))
    assert (paper.paper_id, paper.abstract, paper.updated) == ("2508.13426", ABSTRACT, dt.date(2025, 9, 1))


def test_a_record_without_metadata_is_skipped(parse: Parse) -> None:
    """It is counted with its number and line, and the next one is read."""
    papers, skipped = parse(oai(record(""), record(ARXIV)))
    assert len(papers) == 1
    assert skipped[0].reason == "no metadata"


PUBMED = f"""<?xml version="1.0" ?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN"
 "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">
<PubmedArticleSet><PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">12345678</PMID>
<Article><Journal><JournalIssue><PubDate><Year>2023</Year><Month>May</Month></PubDate></JournalIssue></Journal>
<ArticleTitle>Effects of H<sub>2</sub>O in <i>vitro</i>.</ArticleTitle>
<ELocationID EIdType="doi">10.1000/Med.1</ELocationID>
<Abstract><AbstractText Label="BACKGROUND">{ABSTRACT}</AbstractText>
<AbstractText Label="RESULTS">P &lt; 0.05 in <b>all</b>.</AbstractText>
<AbstractText Label="UNLABELLED">More.</AbstractText></Abstract>
<AuthorList><Author><LastName>Núñez</LastName><ForeName>Ana</ForeName></Author>
<Author><CollectiveName>The Group</CollectiveName></Author></AuthorList>
<PublicationTypeList><PublicationType>Journal Article</PublicationType>KIND</PublicationTypeList>
</Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"""


def test_pubmed_articles_are_read(parse: Parse) -> None:
    """Labelled parts are joined, markup goes, a month stands for its first day and says so."""
    ((paper,), skipped) = parse(PUBMED.replace("KIND", ""))
    assert not skipped
    assert paper.paper_id == "pmid:12345678"
    assert paper.title == "Effects of H2O in vitro."
    assert paper.abstract == f"BACKGROUND: {ABSTRACT} RESULTS: P < 0.05 in all. More."
    assert paper.authors == ("Ana Núñez", "The Group")
    assert (paper.doi, paper.published, paper.flags) == (
        "10.1000/med.1",
        dt.date(2023, 5, 1),
        (PARTIAL_DATE,),
    )
    assert not paper.withdrawn


def test_a_retracted_article_is_marked(parse: Parse) -> None:
    """PubMed's type of publication marks the paper as retracted and withdrawn."""
    kind = "<PublicationType UI='D016441'>Retracted Publication</PublicationType>"
    ((paper,), _) = parse(PUBMED.replace("KIND", kind))
    assert paper.withdrawn
    assert "retracted" in paper.flags


def test_only_pubmeds_own_doctype_without_declarations_passes(parse: Parse) -> None:
    """A subset that could declare entities is refused, as in every other feed."""
    hostile = PUBMED.replace('_250101.dtd">', '_250101.dtd" [<!ENTITY e "x">]>')
    with pytest.raises(FeedError, match="DTD not allowed"):
        parse(hostile)


ACL = f"""<?xml version='1.0' encoding='UTF-8'?>
<collection id="2023.acl"><volume id="long" type="proceedings"><meta><booktitle>Proceedings</booktitle>
<month>July</month><year>2023</year></meta><frontmatter><url>2023.acl-long.0</url></frontmatter>
<paper id="1"><title><fixed-case>BERT</fixed-case> reads <tex-math>x^2</tex-math></title>
<author><first>Ana</first><last>Núñez</last></author><pages>1-9</pages><abstract>{ABSTRACT}</abstract>
<url hash="abc">2023.acl-long.1</url><doi>10.18653/v1/2023.acl-long.1</doi></paper>
<paper id="2"><title>None</title><url>2023.acl-long.2</url></paper>
<paper id="3"><title>Third</title><abstract>{ABSTRACT}</abstract><retracted date="2024">x</retracted>
</paper>
</volume></collection>"""


def test_anthology_papers_are_read(parse: Parse) -> None:
    """Fixed case goes, ids come from the address or the place, a missing abstract is counted."""
    (first, third), skipped = parse(ACL)
    assert (first.paper_id, first.title) == ("acl:2023.acl-long.1", "BERT reads $x^2$")
    assert (first.doi, first.published) == ("10.18653/v1/2023.acl-long.1", dt.date(2023, 7, 1))
    assert (first.authors, first.url) == (("Ana Núñez",), "https://aclanthology.org/2023.acl-long.1/")
    assert (third.paper_id, third.withdrawn) == ("acl:2023.acl-long.3", True)
    assert [s.reason for s in skipped] == ["no abstract"]


def test_a_deleted_record_is_the_word_of_a_withdrawal() -> None:
    """bad-134: it is no paper with an empty abstract."""
    from paperagent.feeds.formats import oai_pmh

    (entry,) = oai_pmh.parse(oai(record("", status="deleted")), "x")
    assert entry == Withdrawal("2508.13426", "arxiv-oai")


def test_an_error_of_the_protocol_is_an_error(parse: Parse) -> None:
    """bad-133: code and text are passed on; that nothing matches is an empty feed."""
    text = oai().replace("<ListRecords></ListRecords>", '<error code="badResumptionToken">too old</error>')
    with pytest.raises(FeedError, match="OAI error badResumptionToken: too old"):
        parse(text)
    assert parse(text.replace("badResumptionToken", "noRecordsMatch")) == ([], [])


def test_white_space_between_authors_takes_no_time(parse: Parse) -> None:
    """A line of authors with blanks without end is cut at its "and" all the same."""
    blank = " " * 40_000
    raw = re.sub("<authors>[^<]*", f"<authors>A{blank}and\\n B, and C{blank}D", RAW)
    start = time.process_time()
    ((paper,), _) = parse(oai(record(raw)))
    assert paper.authors == ("A", "B", "C D")
    assert time.process_time() - start < 1.0
