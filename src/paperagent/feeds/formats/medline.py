"""MEDLINE files of PubMed (``.nbib``) and of Ovid: ``PMID- 123``, ``TI  - A title``, one tag per line.

https://www.nlm.nih.gov/bsd/mms/medlineelements.html lists the tags. A tag is padded to four characters, and a
value continues in lines with six spaces. A blank line separates records; there is no end tag. ``AID`` and
``LID`` hold a DOI or something else, and say which: ``10.1000/1 [doi]``. ``OAB`` is an abstract in another
language, ``TT`` the title in the language of the paper. ``ROF`` occurs in retraction notices, not in
retracted papers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paperagent.feeds.formats import MEDLINE, tagged
from paperagent.feeds.record import FeedEntry

_TAG = re.compile(r"(?=[A-Z0-9 ]{4}-)([A-Z][A-Z0-9]{1,3}) {0,2}-(?: (.*)|\Z)", re.DOTALL)
_FIRST_TAGS = frozenset({"PMID", "UI", "VN"})


def _read_tag(line: str) -> tuple[str, str] | None:
    match = _TAG.match(line)
    return (match[1], match[2] or "") if match else None


LAYOUT = tagged.Layout(
    source=MEDLINE,
    read_tag=_read_tag,
    starts=frozenset({"PMID"}),
    blank_line_ends=True,
    title=("TI", "BTI", "TT"),
    abstract=("AB", "OAB"),
    authors=(("FAU", "CN"), ("FA",), ("AU", "CN")),
    dates=("DEP", "DP"),
    doi=("LID", "AID", "DO"),
    arxiv=("LID", "AID"),
    pmid=("PMID",),
    accession=("UI", "AN"),
    database=("DB",),
    types=("PT",),
    retraction=("RIN",),  # codespell:ignore rin
)


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with a record."""
    tag = _read_tag(tagged.first_line(text).rstrip())
    return tag is not None and tag[0] in _FIRST_TAGS


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record."""
    return tagged.parse(text, LAYOUT)
