"""RIS files, as reference managers and databases write them: ``TY  - JOUR`` … ``ER  -``, one tag per line.

There are two specifications, of Reference Manager (https://en.wikipedia.org/wiki/RIS_(file_format)) and of
later programs, and programs deviate from both: tags may be indented, the dash may have one space or a tab
before it or none after it, the type may be a full name, and a structured abstract may have one ``AB`` per
part. ``A2`` and ``ED`` are editors; ``T2`` is the journal; ``Y2`` is the day of access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paperagent.feeds.formats import RIS, tagged
from paperagent.feeds.record import FeedEntry

_TAG = re.compile(r"\s*+([A-Za-z][A-Za-z0-9])(\s{1,8}+)[-–—](.*)", re.DOTALL)
_TAGS = frozenset(
    """TY A1 A2 A3 A4 AB AD AN AU AV BT C1 C2 C3 C4 C5 C6 C7 C8 CA CN CP CT CY DA DB DI DO DP ED EP ER ET ID
    IS J1 J2 JA JF JO KW L1 L2 L3 L4 LA LB LK M1 M2 M3 N1 N2 NV OP PB PP PT PY RI RN RP SE SN SP ST T1 T2 T3
    TA TI TT U1 U2 U3 U4 U5 UR VL VO Y1 Y2""".split()
)


def _read_tag(line: str) -> tuple[str, str] | None:
    """Return the tag and value of a line.

    ``T2 -weighted`` and ``ER - positive`` may begin a wrapped line, so one space is enough only for a known
    tag before a dash with a space after it, and an end has no value.
    """
    match = _TAG.match(line)
    if match is None:
        return ("ER", "") if line.strip() == "ER" else None
    name, gap, value = match.groups()
    is_known, is_upper = name.upper() in _TAGS, name.isupper()
    has_space = not value or value[0].isspace()
    if len(gap) > 1 or gap == "\t":
        is_tag = is_known or (is_upper and has_space)
    else:
        is_tag = is_known and is_upper and has_space and (name != "ER" or not value.strip())
    return (name.upper(), value) if is_tag else None


LAYOUT = tagged.Layout(
    source=RIS,
    read_tag=_read_tag,
    starts=frozenset({"TY"}),
    ends=frozenset({"ER"}),
    title=("TI", "T1", "CT", "BT"),
    abstract=("AB", "N2"),
    authors=(("AU", "A1"),),
    dates=("DA", "PY", "Y1"),
    doi=("DO", "DI", "M3", "L3", "U2", "ID", "UR", "LK", "L2", "AN"),
    url=("UR", "L2", "LK"),
    arxiv=("AN", "UR", "ID", "M1", "JO", "T2", "L1", "JF", "N1", "PB", "DB"),
    pmid=("UR",),
    accession=("AN",),
    database=("DB", "DP"),
    keywords=("KW",),
    types=("M3", "PT"),
    notes=("N1",),
)


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with a record, perhaps after a few lines from the database."""
    tag = _read_tag(tagged.first_line(text))
    return tag is not None and tag[0] == "TY"


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record."""
    return tagged.parse(text, LAYOUT)
