"""Lists of links to papers on arXiv: awesome lists, bookmarks, saved web pages, ids one per line.

Such a list names papers but has no abstracts, so it is not a feed. `LinkListError` has the ids, and ``ingest
--fetch`` fetches their papers from arXiv.
"""

from __future__ import annotations

import re
import shlex

from paperagent.feeds import ids
from paperagent.feeds.ids import ArxivId
from paperagent.feeds.source import UnknownFormatError
from paperagent.layout import counted

_ID = (
    r"(?P<id>(?:[0-9]{2}(?:0[1-9]|1[0-2])\.[0-9]{4,5}(?![0-9])"
    r"|[a-z]{2,8}(?:-[a-z]{2,8})?(?:\.[a-z]{2})?/[0-9]{7}(?![0-9]))(?:v[1-9][0-9]{0,3})?)"
)
_LINK = re.compile(
    rf"""(?:arxiv\.org/(?:abs|pdf|html|format|ps|e-print|src)/(?:arxiv:)?
        | (?:alphaxiv|ar5iv)\.org/(?:abs|pdf|html|overview)/
        | (?:huggingface\.co|href=["']?)/papers/
        | 10\.48550/arxiv\. | \barxiv:[ ]?)
        {_ID}""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_LINE = re.compile(
    rf"^[ \t]{{0,40}}(?:(?:[*+>-]|[0-9]{{1,5}}[.)])[ \t]{{1,8}})?{_ID}[ \t]{{0,40}}[,;]?[ \t\r]{{0,40}}$",
    re.MULTILINE | re.ASCII,
)
"""A line that consists of an id. A number inside a sentence is not an id."""
_DOI = re.compile(r"\b10\.[0-9]{4,9}/[^\s\"'<>(){}\[\]|]{1,200}", re.ASCII)
_ARXIV_DOI = "10.48550/arxiv."


class LinkListError(UnknownFormatError):
    """A list of papers on arXiv without abstracts."""

    def __init__(self, label: str, arxiv_ids: tuple[ArxivId, ...], doi_count: int) -> None:
        count = counted(len(arxiv_ids), "arXiv id")
        dois = f" (and {counted(doi_count, 'DOI')}, not fetched)" if doi_count else ""
        if "://" in label:
            advice = "save it as a file, and 'paperagent ingest --fetch FILE' fetches them from arXiv"
        else:
            name = "-" if label == "stdin" else shlex.quote(label)
            advice = f"'paperagent ingest --fetch {name}' fetches them from arXiv"
        super().__init__(f"{label}: a list of {count}{dois} without abstracts; {advice}")
        self.label = label
        self.arxiv_ids = arxiv_ids


def find_links(text: str, label: str) -> LinkListError | None:
    """Return the error for a list of links to arXiv, or None if there is no such link in ``text``.

    Each paper counts once, in the order of the list.
    """
    matches = sorted((*_LINK.finditer(text), *_LINE.finditer(text)), key=lambda match: match.start("id"))
    papers: dict[str, ArxivId] = {}
    for match in matches:
        if arxiv := ids.parse_arxiv_id(match["id"]):
            papers.setdefault(arxiv.id, arxiv)
    if not papers:
        return None
    dois = {match[0].lower().rstrip(".,;:/") for match in _DOI.finditer(text)}
    doi_count = sum(not doi.startswith(_ARXIV_DOI) for doi in dois)
    return LinkListError(label, tuple(papers.values()), doi_count)
