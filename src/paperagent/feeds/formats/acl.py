"""The ACL Anthology's XML: one collection a file, volumes of papers within it.

Shape: ``collection@id > volume@id > meta{booktitle, year, month} > paper@id{title, author{first, last},
abstract, url, doi}`` (https://github.com/acl-org/acl-anthology/tree/master/data/xml). Titles hold
``<fixed-case>``; many papers have no abstract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, markup, strict_xml
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
)
from paperagent.types import RETRACTED, Paper, Skipped

NAME = "acl-anthology"
ROOT = "collection"

_ANTHOLOGY_ID = re.compile(r"[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*")


def papers(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each paper. Raises FeedError where the XML is broken."""
    reader = _Volumes(label)
    strict_xml.parse(text, label, reader.opened, {"meta": reader.meta, "paper": reader.paper})
    return iter(reader.found)


class _Volumes:
    """Keeps which volume is being read, for the ids and days of its papers."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.found: list[FeedEntry] = []
        self._collection = self._volume = ""
        self._day: tuple[str, str] = ("", "")

    def opened(self, tag: str, depth: int, attributes: Mapping[str, str]) -> None:
        if depth == 1 and tag != ROOT:
            name = visible(strict_xml.local_name(tag), limit=60)
            raise FeedError(f"{self.label}: got XML with the root element {name}, not the ACL Anthology's")
        if tag == ROOT:
            self._collection = attributes.get("id", "")
        elif tag == "volume":
            self._volume, self._day = attributes.get("id", ""), ("", "")

    def meta(self, element: Element, _line: int) -> None:
        self._day = (_text(element, "year"), _text(element, "month"))

    def paper(self, element: Element, line: int) -> None:
        try:
            self.found.append(self._convert(element))
        except InvalidRecordError as bad:
            self.found.append(Skipped(f"paper {len(self.found) + 1}, line {line}", bad.reason))

    def _convert(self, paper: Element) -> Paper:
        noticed: set[str] = set()
        name = self._name(paper)
        title = clean_title(_text(paper, "title"), noticed)
        abstract = clean_abstract(_text(paper, "abstract"), noticed)
        gone = paper.find("retracted") is not None
        if gone:
            noticed.add(RETRACTED)
        found, doi = arxiv_and_doi(None, _text(paper, "doi"))
        year, month = self._day
        authors = [f"{_text(a, 'first')} {_text(a, 'last')}".strip() for a in paper.iterfind("author")]
        return Paper(
            paper_id=choose_paper_id(found, doi, ids.service_id("acl", name), (title, abstract)),
            title=title,
            abstract=abstract,
            authors=clean_names(authors, noticed),
            published=dates.day_from_parts(year, month.split("-")[0], None, noticed),
            url=f"https://aclanthology.org/{name}/",
            doi=doi,
            sources=(NAME,),
            withdrawn=gone,
            flags=flags(noticed),
        )

    def _name(self, paper: Element) -> str:
        """Return the Anthology's id: what the paper's ``url`` says, else where it stands."""
        given = _text(paper, "url")
        if not given:
            if re.fullmatch(r"[A-Z]\d\d", self._collection):  # the digits of old ids differ by venue
                raise InvalidRecordError("no id")
            given = f"{self._collection}-{self._volume}.{paper.get('id', '')}"
        name = given.removeprefix("https://aclanthology.org/").removesuffix("/").removesuffix(".pdf")
        if not _ANTHOLOGY_ID.fullmatch(name):
            raise InvalidRecordError("bad id")
        return name


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else markup.element_text(found).strip()
