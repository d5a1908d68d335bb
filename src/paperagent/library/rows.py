"""Papers to and from rows of ``library.db``."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from paperagent.errors import StoreError, visible
from paperagent.library.identity import day_number, tags, text_hash
from paperagent.types import Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = (
    "title, abstract, authors, published, updated, listed, first_seen, categories, url, arxiv_id, doi, "
    "version, sources, upvotes, withdrawn, flags"
)
PAPER = f"paper_id, {COLUMNS}"
_HELD = 500
"""Values of one ``IN (…)``: below every SQLite's limit on variables."""


def values(paper: Paper) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`, then the text hash and the checksum of all."""
    columns = (
        paper.title,
        paper.abstract,
        json.dumps(paper.authors, ensure_ascii=False),
        _iso(paper.published),
        _iso(paper.updated),
        _iso(paper.listed),
        _iso(paper.first_seen),
        json.dumps(paper.categories, ensure_ascii=False),
        paper.url,
        paper.arxiv_id,
        paper.doi,
        paper.version,
        json.dumps(paper.sources, ensure_ascii=False),
        paper.upvotes,
        int(paper.withdrawn),
        json.dumps(paper.flags, ensure_ascii=False),
    )
    return (*columns, text_hash(paper.title, paper.abstract), checksum((paper.paper_id, *columns)))


def checksum(row: Sequence[Any]) -> bytes:
    """Return the 16-byte checksum of a row of `PAPER`, by which `doctor` finds a flipped byte."""
    return blake2b(repr(tuple(row)).encode(errors="surrogatepass"), digest_size=16).digest()


def paper_of(row: Sequence[Any]) -> Paper:
    """Return the paper of a row of `PAPER`. Raises `StoreError` where its values are damaged."""
    try:
        return _paper(row)
    except (ValueError, TypeError, AttributeError) as error:
        name = visible(str(row[0]), limit=60)
        raise StoreError(f"library: paper {name} is damaged; run 'paperagent doctor'") from error


def _paper(row: Sequence[Any]) -> Paper:
    return Paper(
        paper_id=row[0],
        title=row[1],
        abstract=row[2],
        authors=tuple(json.loads(row[3])),
        published=_day(row[4]),
        updated=_day(row[5]),
        listed=_day(row[6]),
        first_seen=_day(row[7]),
        categories=_names(row[8]),
        url=row[9],
        arxiv_id=row[10],
        doi=row[11],
        version=row[12],
        sources=_names(row[13]),
        upvotes=row[14],
        withdrawn=bool(row[15]),
        flags=_names(row[16]),
    )


def facts(paper: Paper) -> tuple[int | None, str, bytes]:
    """Return the day number, the tags and the text hash, as the table ``facts`` holds them."""
    return day_number(paper.day), pack_tags(tags(paper)), text_hash(paper.title, paper.abstract)


def pack_tags(found: Sequence[str]) -> str:
    """Return the tags as one text in which a whole tag can be found by its line ends."""
    return "".join(f"\n{tag.replace(chr(10), ' ')}" for tag in found) + "\n"


def unpack_tags(text: str) -> list[str]:
    """Return the tags of `pack_tags`."""
    return text[1:-1].split("\n") if len(text) > 1 else []


def stems_of(paper: Paper) -> list[str]:
    """Return the index terms of title, title again and abstract."""
    from paperagent.text.terms import index_terms

    title = index_terms(paper.title)
    return [*title, *title, *index_terms(paper.abstract)]


def pack_terms(stems: Sequence[str]) -> bytes:
    """Return the ids of ``stems`` as little-endian uint32."""
    from paperagent.text.terms import term_ids

    return term_ids(stems).astype("<u4").tobytes()


def unpack_terms(blob: bytes) -> NDArray[np.uint32]:
    """Return the ids of `pack_terms`, shape [n]."""
    import numpy as np

    return np.frombuffer(blob, "<u4")


def chunks(items: Iterable[Any], size: int = _HELD) -> Iterator[tuple[str, list[Any]]]:
    """Yield the items in parts, each with the placeholders ``?, ?, …`` for it."""
    whole = list(items)
    for start in range(0, len(whole), size):
        part = whole[start : start + size]
        yield ", ".join("?" * len(part)), part


@lru_cache(maxsize=4096)
def _names(text: str) -> tuple[str, ...]:
    """Return a list of categories, feeds or flags, of which a library holds few different ones."""
    return tuple(json.loads(text))


def _iso(day: dt.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)
