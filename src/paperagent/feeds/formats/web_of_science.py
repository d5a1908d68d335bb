"""Tagged text of the Web of Science (``savedrecs.txt``, ``.ciw``): ``PT J``, ``AU Vex, A``, … ``ER``.

https://images.webofknowledge.com/images/help/WOS/hs_wos_fieldtags.html lists the tags. ``FN`` and ``VR`` come
before the first record and ``EF`` after the last. A value continues in lines with three spaces; in ``AU`` and
``AF`` each line is a name. ``PD`` has no year: ``APR 5``, ``SEP-OCT``. The title of a retracted paper ends
in ``(Retracted article. See vol. 3, …)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paperagent.feeds.formats import WEB_OF_SCIENCE, tagged
from paperagent.feeds.record import FeedEntry

_TAG = re.compile(r"([A-Z][A-Z0-9])(?: (.*)|\Z)", re.DOTALL)
_FILE_TAG = re.compile(r"FN \S.*")
_FIRST_RECORD = re.compile(r"PT [A-Z]\s*")
_SECOND_TAGS = ("AU ", "AF ", "CA ", "GP ", "BA ", "TI ")


def _read_tag(line: str) -> tuple[str, str] | None:
    match = _TAG.match(line)
    return (match[1], match[2] or "") if match else None


LAYOUT = tagged.Layout(
    source=WEB_OF_SCIENCE,
    read_tag=_read_tag,
    starts=frozenset({"PT"}),
    ends=frozenset({"ER", "EF"}),
    ignored=frozenset({"FN", "VR"}),
    list_tags=frozenset({"AU", "AF", "CA"}),
    title=("TI",),
    abstract=("AB",),
    authors=(("AF", "CA"), ("AU", "CA")),
    dates=("PD", "PY", "EA", "EY"),
    doi=("DI",),
    url=("UR",),
    arxiv=("UR", "AR", "SO"),
    pmid=("PM",),
    types=("DT",),
)


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with the name of the file's writer or with a record."""
    lines = [line for line in text.splitlines()[:5] if line.strip()]
    if len(lines) < 2:
        return False
    if _FILE_TAG.match(lines[0]):
        return lines[1].startswith(("VR ", "PT "))
    return bool(_FIRST_RECORD.fullmatch(lines[0])) and lines[1].startswith(_SECOND_TAGS)


def parse(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each record."""
    return tagged.parse(text, LAYOUT)
