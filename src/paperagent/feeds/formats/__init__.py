"""The feed formats: their names, and the module that reads each.

A module reads one format, or several related ones:

* a text format has ``looks_like(text)`` and ``parse(text, label)``;
* an XML format has ``parse(text, label)``, and is recognized by the root element;
* a binary format has ``parse(data, label)``;
* a JSON format has ``convert(record)`` for a single record, and is recognized by the record's keys.

`feeds.detection` recognizes the format, and only the module that is needed is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any


class Kind(StrEnum):
    """How a format is read."""

    TEXT = "text"
    XML = "XML"
    JSON = "JSON"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Format:
    """A feed format."""

    name: str
    """The value of ``--format``, and the name in ``Paper.sources``."""
    title: str
    """The name in messages."""
    kind: Kind
    parser: str
    """``module:function`` in this package: a ``parse`` or ``convert``."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of file names that belong to this format alone."""
    roots: tuple[str, ...] = ()
    """Names of an XML format's root element."""

    def load_parser(self) -> Callable[..., Any]:
        """Import and return the function that reads a document or converts a record."""
        module, _, function = self.parser.partition(":")
        parser: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), function)
        return parser

    def looks_like(self, text: str) -> bool:
        """Return whether ``text``, the beginning of a feed, is in this text format."""
        module = import_module(f"{__name__}.{self.parser.partition(':')[0]}")
        return bool(module.looks_like(text))


def _by_name(formats: Iterable[Format]) -> dict[str, Format]:
    return {each.name: each for each in formats}


PAPERAGENT = "paperagent"
"""Our own JSON lines, which ``export`` writes."""
DAILY_PAPERS = "daily-papers"
"""A saved page of Hugging Face's Daily Papers."""
HF_DAILY = "hf-daily"
ARXIV_ATOM = "arxiv-atom"
ARXIV_JSONL = "arxiv-jsonl"
ARXIV_PY = "arxiv-py"
ARXIV_SNAPSHOT = "arxiv-snapshot"
RSS = "rss"
OAI_PMH = "arxiv-oai"
PUBMED = "pubmed"
JATS = "jats"
ACL_ANTHOLOGY = "acl-anthology"
BIBTEX = "bibtex"
RIS = "ris"
MEDLINE = "medline"
WEB_OF_SCIENCE = "web-of-science"
ENDNOTE = "endnote"
ENDNOTE_XML = "endnote-xml"
CSV = "csv"
XLSX = "xlsx"
CSL = "csl"
CSL_YAML = "csl-yaml"
CROSSREF = "crossref"
SEMANTIC_SCHOLAR = "semantic-scholar"
OPENALEX = "openalex"
ZOTERO = "zotero"
EUROPE_PMC = "europe-pmc"
BIORXIV = "biorxiv"
DATACITE = "datacite"
INSPIRE = "inspire"
DBLP = "dblp"
ESUMMARY = "pubmed-esummary"
GENERIC_JSON = "json"
"""JSON records with a title and an abstract that do not come from a known program."""

FORMATS = _by_name(
    (
        # Text formats, in the order in which they are tried.
        Format(RIS, "RIS", Kind.TEXT, "ris:parse", (".ris",)),
        Format(MEDLINE, "MEDLINE (PubMed)", Kind.TEXT, "medline:parse", (".nbib",)),
        Format(WEB_OF_SCIENCE, "Web of Science text", Kind.TEXT, "web_of_science:parse", (".ciw",)),
        Format(ENDNOTE, "EndNote (Refer)", Kind.TEXT, "endnote:parse", (".enw",)),
        Format(CSV, "a table (CSV, TSV)", Kind.TEXT, "table:parse", (".csv", ".tsv", ".tab")),
        Format(BIBTEX, "BibTeX", Kind.TEXT, "bibtex:parse", (".bib", ".bibtex", ".biblatex")),
        Format(CSL_YAML, "CSL YAML", Kind.TEXT, "csl:parse_yaml", (".yaml", ".yml")),
        Format(DAILY_PAPERS, "a saved Daily Papers page", Kind.TEXT, "huggingface:parse_page"),
        Format(ARXIV_ATOM, "Atom", Kind.XML, "syndication:parse", (".atom",), roots=("feed",)),
        Format(RSS, "RSS", Kind.XML, "syndication:parse", (".rss",), roots=("rss", "RDF")),
        Format(OAI_PMH, "OAI-PMH", Kind.XML, "oai_pmh:parse", roots=("OAI-PMH",)),
        Format(
            PUBMED,
            "PubMed XML",
            Kind.XML,
            "pubmed:parse",
            roots=("PubmedArticleSet", "PubmedArticle", "PubmedBookArticleSet", "PubmedBookArticle"),
        ),
        Format(
            JATS,
            "JATS XML",
            Kind.XML,
            "jats:parse",
            (".nxml",),
            roots=("article", "pmc-articleset", "nlm-articleset", "articles"),
        ),
        Format(ACL_ANTHOLOGY, "ACL Anthology XML", Kind.XML, "acl:parse", roots=("collection",)),
        Format(ENDNOTE_XML, "EndNote XML", Kind.XML, "endnote:parse_xml", roots=("xml",)),
        Format(XLSX, "an Excel table", Kind.BINARY, "spreadsheet:parse", (".xlsx", ".xlsm")),
        # JSON formats
        Format(PAPERAGENT, "paperagent's JSON lines", Kind.JSON, "jsonl:convert"),
        Format(HF_DAILY, "Daily Papers JSON", Kind.JSON, "huggingface:convert"),
        Format(ARXIV_SNAPSHOT, "arXiv's metadata snapshot", Kind.JSON, "arxiv:convert_snapshot"),
        Format(ARXIV_JSONL, "JSON lines of arXiv papers", Kind.JSON, "arxiv:convert_listing"),
        Format(ARXIV_PY, "JSON of arxiv.py", Kind.JSON, "arxiv:convert_result"),
        Format(CSL, "CSL JSON", Kind.JSON, "csl:convert"),
        Format(CROSSREF, "Crossref JSON", Kind.JSON, "csl:convert_crossref"),
        Format(SEMANTIC_SCHOLAR, "Semantic Scholar JSON", Kind.JSON, "semantic_scholar:convert"),
        Format(OPENALEX, "OpenAlex JSON", Kind.JSON, "openalex:convert"),
        Format(ZOTERO, "Zotero JSON", Kind.JSON, "zotero:convert"),
        Format(EUROPE_PMC, "Europe PMC JSON", Kind.JSON, "repositories:convert_europe_pmc"),
        Format(BIORXIV, "bioRxiv and medRxiv JSON", Kind.JSON, "repositories:convert_biorxiv"),
        Format(DATACITE, "DataCite JSON", Kind.JSON, "repositories:convert_datacite"),
        Format(INSPIRE, "INSPIRE-HEP JSON", Kind.JSON, "repositories:convert_inspire"),
        Format(DBLP, "DBLP JSON", Kind.JSON, "repositories:refuse_dblp"),
        Format(ESUMMARY, "PubMed's esummary JSON", Kind.JSON, "repositories:refuse_esummary"),
        Format(GENERIC_JSON, "other JSON of papers", Kind.JSON, "generic_json:convert"),
    )
)
"""All formats by name."""
TEXT_FORMATS = tuple(each for each in FORMATS.values() if each.kind is Kind.TEXT)
ROOTS = {root: each for each in FORMATS.values() for root in each.roots}
"""Root element → XML format."""
SUFFIXES = {suffix: each for each in FORMATS.values() for suffix in each.suffixes}
"""Suffix of a file name → the format that it promises."""
