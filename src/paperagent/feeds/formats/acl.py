"""The XML of the ACL Anthology: one collection per file, with volumes of papers.

Shape: ``collection@id > volume@id > meta{booktitle, year, month} > paper@id{title, author{first, last},
abstract, url, doi}`` (https://github.com/acl-org/acl-anthology/tree/master/data/xml). Titles hold
``<fixed-case>``; many papers have no abstract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, ids, strict_xml
from paperagent.feeds.formats import ACL_ANTHOLOGY
from paperagent.feeds.record import (
    FeedEntry,
    InvalidRecordError,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    sorted_flags,
)
from paperagent.feeds.strict_xml import child_text
from paperagent.types import RETRACTED, Paper, Skipped

ROOT = "collection"

_SITE = re.compile(
    r"https?://(?:www\.)?(?:aclanthology\.(?:org|info)(?:/papers)?|aclweb\.org/anthology(?:/papers)?)/"
)
_ANTHOLOGY_ID = re.compile(r"[A-Z]\d\d-\d{4}|\d{4}\.[a-z0-9_]{1,40}-[A-Za-z0-9_]{1,40}\.\d{1,5}")
_NUMBER = re.compile(r"[0-9]{1,4}")
_OLD_COLLECTION = re.compile(r"[A-Z]\d\d")


def parse(text: str, label: str) -> list[FeedEntry]:
    """Return the papers and skipped records; raise FeedError if the XML is broken."""
    parser = _VolumeParser(label)
    strict_xml.parse(text, label, parser.on_start, {"meta": parser.on_meta, "paper": parser.on_paper})
    return parser.entries


class _VolumeParser:
    """Tracks the current volume, which gives the ids and dates of its papers."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.entries: list[FeedEntry] = []
        self._collection = self._volume = ""
        self._year = self._month = ""

    def on_start(self, tag: str, depth: int, attributes: Mapping[str, str]) -> None:
        if depth == 1 and tag != ROOT:
            name = visible(strict_xml.local_name(tag), limit=60)
            raise FeedError(f"{self.label}: got XML with the root element {name}, not the ACL Anthology's")
        if tag == ROOT:
            self._collection = attributes.get("id", "")
        elif tag == "volume":
            self._volume, self._year, self._month = attributes.get("id", ""), "", ""

    def on_meta(self, element: Element, _line: int) -> None:
        self._year, self._month = child_text(element, "year"), child_text(element, "month")

    def on_paper(self, element: Element, line: int) -> None:
        try:
            self.entries.append(self._convert(element))
        except InvalidRecordError as error:
            self.entries.append(Skipped(f"paper {len(self.entries) + 1}, line {line}", error.reason))

    def _convert(self, paper: Element) -> Paper:
        flags: set[str] = set()
        anthology_id = self._anthology_id(paper)
        title = clean_title(child_text(paper, "title"), flags)
        abstract = clean_abstract(child_text(paper, "abstract"), flags)
        is_retracted = paper.find("retracted") is not None
        if is_retracted:
            flags.add(RETRACTED)
        arxiv, doi = arxiv_and_doi(None, child_text(paper, "doi"))
        authors = [
            f"{child_text(author, 'first')} {child_text(author, 'last')}".strip()
            for author in paper.iterfind("author")
        ]
        return Paper(
            paper_id=choose_paper_id(arxiv, doi, ids.service_id("acl", anthology_id), title, abstract),
            title=title,
            abstract=abstract,
            authors=clean_names(authors, flags),
            published=dates.day_from_parts(self._year, re.split(r"[-–/ ]", self._month)[0], None, flags),
            url=f"https://aclanthology.org/{anthology_id}/",
            doi=doi,
            sources=(ACL_ANTHOLOGY,),
            withdrawn=is_retracted,
            flags=sorted_flags(flags),
        )

    def _anthology_id(self, paper: Element) -> str:
        """Return the Anthology's id: the paper's ``url``, else built from collection, volume and number."""
        url = _SITE.sub("", child_text(paper, "url")).removesuffix("/").removesuffix(".pdf")
        if _ANTHOLOGY_ID.fullmatch(url):
            return url
        name = build_id(self._collection, self._volume, paper.get("id", ""))
        if name is None:
            raise InvalidRecordError("bad id" if url else "no id")
        return name


def build_id(collection: str, volume: str, number: str) -> str | None:
    """Return the id of a paper, or None if the parts do not form one (https://aclanthology.org/info/ids/).

    Since 2020 it is ``2023.acl-long.1``. Before, four digits were shared by volume and paper: ``L14-1001`` is
    paper 1 of volume 1, and ``W14-0101`` is paper 1 of volume 1 of the workshops, which have two digits each.
    """
    if re.fullmatch(r"\d{4}\.[a-z0-9_]{1,40}", collection):
        name = f"{collection}-{volume}.{number}"
        return name if _ANTHOLOGY_ID.fullmatch(name) else None
    if not (
        _OLD_COLLECTION.fullmatch(collection) and _NUMBER.fullmatch(volume) and _NUMBER.fullmatch(number)
    ):
        return None
    is_workshop = collection[0] == "W" or collection == "C69" or (collection == "D19" and int(volume) > 4)
    width = 2 if is_workshop else 1
    digits = f"{int(volume):0{width}}{int(number):0{4 - width}}"
    return f"{collection}-{digits}" if len(digits) == 4 else None
