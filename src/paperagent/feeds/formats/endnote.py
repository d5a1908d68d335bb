"""EndNote's two formats: ``.enw`` (Refer: ``%0 Journal Article``, ``%T A title``) and EndNote XML.

Refer is the older format; Google Scholar, PubMed and publishers write it too
(https://en.wikipedia.org/wiki/Refer_(software)). A record begins with ``%0``, and abstracts may hold blank
lines; where no record has a ``%0``, a blank line separates them. ``%E`` and ``%Y`` are editors, ``%8`` is a
date without a year.

The XML (``xml > records > record``) wraps every text in ``style`` elements, whose ``face`` may be
``superscript``: such text must not join the digits before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from paperagent.errors import FeedError
from paperagent.feeds import strict_xml
from paperagent.feeds.formats import ENDNOTE, ENDNOTE_XML, tagged
from paperagent.feeds.record import FeedEntry

_TAG = re.compile(r"\s*+%([0-9A-Z!#$&()*+:;<=>?@\[\]^~|])(?:\s(.*)|\Z)", re.DOTALL)
_MAX_SNIFFED_LINES = 50
_MIN_TAGS = 3


def _read_tag(line: str) -> tuple[str, str] | None:
    match = _TAG.match(line)
    return (match[1], match[2] or "") if match else None


LAYOUT = tagged.Layout(
    source=ENDNOTE,
    read_tag=_read_tag,
    starts=frozenset({"0"}),
    title=("T",),
    abstract=("X",),
    authors=(("A",),),
    dates=("8", "D"),
    doi=("R", "U", "3"),
    url=("U",),
    arxiv=("U", "R", "M", "J", "B"),
    pmid=("U",),
    accession=("M",),
    database=("~", "W"),
    keywords=("K",),
    types=("9",),
    notes=("Z",),
)
UNNUMBERED_LAYOUT = replace(LAYOUT, blank_line_ends=True)
_XML_LAYOUT = replace(LAYOUT, source=ENDNOTE_XML)

_ELEMENTS = {
    "titles/title": "T",
    "abstract": "X",
    "contributors/authors/author": "A",
    "dates/pub-dates/date": "8",
    "dates/year": "D",
    "electronic-resource-num": "R",
    "urls/related-urls/url": "U",
    "urls/web-urls/url": "U",
    "titles/secondary-title": "B",
    "periodical/full-title": "J",
    "accession-num": "M",
    "remote-database-name": "~",
    "remote-database-provider": "W",
    "keywords/keyword": "K",
    "work-type": "9",
    "notes": "Z",
}
"""Path of an element in a record → Refer's tag for it."""
_FACES = {"superscript": "sup", "subscript": "sub"}
"""Face of a style → the element of HTML with this meaning."""


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with a tagged line and has a few of them, a title among them."""
    lines = [line for line in text.splitlines()[:_MAX_SNIFFED_LINES] if line.strip()]
    tags = [tag[0] for line in lines if (tag := _read_tag(line))]
    return bool(lines and _read_tag(lines[0])) and len(tags) >= _MIN_TAGS and "T" in tags


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record of a Refer file."""
    has_starts = any(line.lstrip().startswith("%0") for line in text.splitlines())
    return tagged.parse(text, LAYOUT if has_starts else UNNUMBERED_LAYOUT)


def parse_xml(text: str, label: str) -> list[FeedEntry]:
    """Return the papers and skipped records of EndNote XML; raise FeedError if the XML is broken."""
    entries: list[FeedEntry] = []

    def on_record(element: Element, line: int) -> None:
        entries.append(tagged.paper_or_skipped(_record(element, line), _XML_LAYOUT))

    strict_xml.parse(text, label, lambda *_: None, {"record": on_record})
    if not entries:
        raise FeedError(f"{label}: EndNote XML without a record; export it again")
    return entries


def _record(element: Element, line: int) -> tagged.Record:
    record = tagged.Record(line)
    for style in element.iter("style"):
        for name in (_FACES[face] for face in style.get("face", "").split() if face in _FACES):
            style.text = f"<{name}>{style.text or ''}</{name}>"
    for path, tag in _ELEMENTS.items():
        for child in element.iterfind(path):
            record.add(tag, "".join(child.itertext()).strip())
    return record
