"""When two records are the same paper, and what the one paper then says. Pure functions.

A real id (arXiv, DOI) decides alone. A title alone never does: the abstracts must agree too, and
no real id may contradict. What a feed says is kept by source, so that reading it twice changes nothing.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields, replace
from hashlib import blake2b
from operator import attrgetter

from paperagent.types import PARTIAL_DATE, RETRACTED, Paper

_NOT_WORD = re.compile(r"[\W_]+")
_CUT = re.compile(r"(?:\.\.\.|…)\s*$")
_AGREE = 0.8
"""Two abstracts with this share of common words (Jaccard) are the same text, differently typeset."""
_LONGEST = {"title": 5_000, "abstract": 200_000}
"""Code points; longer text is no title and no abstract, and would choke an index."""
_INT64 = 2**63
_every_field = attrgetter(*(f.name for f in fields(Paper) if f.name != "ids"))


def text_hash(title: str, abstract: str) -> bytes:
    """Return the 16-byte hash that names one version of a paper's text."""
    return blake2b(f"{title}\n{abstract}".encode(), digest_size=16).digest()


def content_hash(paper: Paper) -> str:
    """Return `text_hash` in hexadecimal, as a citation keeps it."""
    return text_hash(paper.title, paper.abstract).hex()


def record_hash(paper: Paper) -> bytes:
    """Return the 16-byte hash over every field, which tells whether a record was read before."""
    said = (*_every_field(paper), *paper.ids)  # without ids as it was before there were any
    return blake2b(repr(said).encode(), digest_size=16).digest()


def day_number(day: dt.date | None) -> int | None:
    """Return ``day`` as yyyymmdd, which sorts as the days do."""
    return None if day is None else day.year * 10_000 + day.month * 100 + day.day


def title_key(title: str) -> str:
    """Return the letters and digits of ``title``, case and accents of width folded."""
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", title).casefold())


def aliases(paper: Paper) -> list[str]:
    """Return the names that this paper goes by, real ids first."""
    names = []
    if paper.arxiv_id:
        names.append(f"arxiv:{paper.arxiv_id}")
    if paper.doi:
        names.append(f"doi:{paper.doi}")
    if paper.paper_id not in (paper.arxiv_id, f"doi:{paper.doi}"):
        names.append(f"id:{paper.paper_id}")
    names += [f"id:{further}" for further in paper.ids]
    if key := title_key(paper.title):
        names.append(f"title:{key}")
    return names


def plain_name(alias: str) -> str:
    """Return the id that an alias of `aliases` stands for: a DOI keeps its prefix, which belongs to it."""
    return alias if alias.startswith("doi:") else alias.partition(":")[2]


def further_ids(paper: Paper, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of a paper's ``names`` that are neither its id nor a DOI."""
    return tuple(sorted(name for name in set(names) - {paper.paper_id} if not name.startswith("doi:")))


def lookup_names(paper_id: str) -> tuple[str, str, str]:
    """Return the aliases under which a former id of a paper may be kept."""
    return f"id:{paper_id}", f"arxiv:{paper_id}", paper_id


def tags(paper: Paper) -> tuple[str, ...]:
    """Return the tokens that filters match: each category with its archives, and each source."""
    found: dict[str, None] = {}
    for category in paper.categories:
        parts = category.lower().split(".")
        found.update(dict.fromkeys("c:" + ".".join(parts[:n]) for n in range(len(parts), 0, -1)))
    found.update(dict.fromkeys(f"s:{source}" for source in paper.sources))
    return tuple(found)


def unfit(paper: Paper) -> str | None:
    """Return why the library cannot hold ``paper``, or None; the reason can be counted."""
    if not paper.paper_id or not paper.title.strip():
        return "no title"
    for name, limit in _LONGEST.items():
        if len(getattr(paper, name)) > limit:
            return f"{name} too long"
    words = (
        paper.paper_id,
        paper.title,
        paper.abstract,
        paper.url or "",
        paper.arxiv_id or "",
        paper.doi or "",
    )
    lists = (*paper.authors, *paper.categories, *paper.sources, *paper.flags, *paper.ids)
    text = "\n".join((*words, *lists))
    if "\0" in text or not _encodable(text):
        return "text is not valid Unicode"
    numbers = (paper.version or 0, paper.upvotes or 0)
    return "number out of range" if any(abs(n) >= _INT64 for n in numbers) else None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def contradict(one: Paper, other: Paper) -> bool:
    """Tell whether real ids say that these are two papers."""
    return _differ(one.arxiv_id, other.arxiv_id) or _differ(one.doi, other.doi)


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def same_text(one: Paper, other: Paper) -> bool:
    """Tell whether two abstracts are one text: equal, one cut short, or differently typeset."""
    if one.abstract == other.abstract:
        return True
    first, second = _words(one.abstract), _words(other.abstract)
    if not first or not second:
        return not first and not second
    if _starts(first, second) or _starts(second, first):
        return True
    a, b = set(first), set(second)
    return len(a & b) >= _AGREE * len(a | b)


def _starts(short: list[str], long: list[str]) -> bool:
    # The last word of a cut text may be cut too. A few words agree by chance.
    head = short[:-1]
    return len(head) >= 8 and long[: len(head)] == head


def _words(text: str) -> list[str]:
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split()


def merge(old: Paper, new: Paper) -> Paper:
    """Return the one paper that ``old`` (held) and ``new`` (just read) make.

    The text of ``new`` stands unless ``new`` is an older version, or does not say which it is where
    ``old`` does; is cut short; or is another feed's rendering of the same text without word of which
    is newer. Gaps are filled from either; days are the earliest known.
    """
    first, second = (new, old) if _replaces(old, new) else (old, new)
    merged = replace(
        first,
        paper_id=old.paper_id,
        authors=first.authors or second.authors,
        published=_published(old, new),
        updated=first.updated or second.updated,
        listed=_earliest(old.listed, new.listed),
        first_seen=_earliest(old.first_seen, new.first_seen),
        categories=_union(old.categories, new.categories),
        url=new.url if new.url and (not old.url or (new.arxiv_id and not old.arxiv_id)) else old.url,
        arxiv_id=old.arxiv_id or new.arxiv_id,
        doi=first.doi or second.doi,
        version=first.version or second.version,
        sources=_union(old.sources, new.sources),
        upvotes=old.upvotes if new.upvotes is None else new.upvotes,
        withdrawn=_withdrawn(old, new),
    )
    return with_best_id(replace(merged, flags=_flags(first, old, new)))


def _withdrawn(old: Paper, new: Paper) -> bool:
    """Tell whether the one paper is withdrawn.

    The newer version decides, and a feed may take back its own word while it alone knows the paper.
    Otherwise what one feed says stands: which one said it is not kept, and others know of no
    withdrawals. A retraction always stands.
    """
    if RETRACTED in (*old.flags, *new.flags):
        return True
    age = _compare(old, new)
    if age == 0 and old.sources != new.sources:
        return old.withdrawn or new.withdrawn
    return (old if age < 0 else new).withdrawn


def _published(old: Paper, new: Paper) -> dt.date | None:
    """Return the earliest day; one that is a year or a month alone only where there is no other."""
    if not (old.published and new.published):
        return old.published or new.published
    guesses = [PARTIAL_DATE in paper.flags for paper in (old, new)]
    if guesses == [True, False]:
        return new.published
    return old.published if guesses == [False, True] else _earliest(old.published, new.published)


def _flags(first: Paper, old: Paper, new: Paper) -> tuple[str, ...]:
    """Return what is noted of the text that stands, with what concerns the paper itself."""
    found = dict.fromkeys(_union(old.flags, new.flags) if old.abstract == new.abstract else first.flags)
    if RETRACTED in (*old.flags, *new.flags):
        found[RETRACTED] = None
    dated = [paper for paper in (old, new) if paper.published]
    found.pop(PARTIAL_DATE, None)
    if dated and all(PARTIAL_DATE in paper.flags for paper in dated):
        found[PARTIAL_DATE] = None
    return tuple(found)


def with_best_id(paper: Paper) -> Paper:
    """Return ``paper`` under its arXiv id, else its DOI, else the id it has; a service's own id is no name.

    Those (``acl:…``, ``pmid:…``) are kept as aliases, under which the paper is found too.
    """
    best = paper.arxiv_id or (f"doi:{paper.doi}" if paper.doi else paper.paper_id)
    if not (paper.arxiv_id or paper.doi or best.startswith("sha256:")):
        from paperagent.feeds.ids import content_id, is_service_id  # only an ingest comes here

        best = content_id(paper.title, paper.abstract) if is_service_id(best) else best
    return paper if best == paper.paper_id else replace(paper, paper_id=best)


def _replaces(old: Paper, new: Paper) -> bool:
    age = _compare(old, new)
    if age < 0:
        return False
    if not new.abstract.strip() or (old.abstract != new.abstract and _is_cut(new.abstract, old.abstract)):
        return False
    if age > 0 or _is_cut(old.abstract, new.abstract):
        return True
    if _dated(old) != _dated(new):
        return _dated(new)
    # Of several feeds, the one that speaks again need not be the one whose text stands.
    return set(new.sources) == set(old.sources) or not same_text(old, new)


def _dated(paper: Paper) -> bool:
    """Tell whether a record says which version of the text it holds."""
    return paper.version is not None or paper.updated is not None


def _compare(old: Paper, new: Paper) -> int:
    """Return 1 where ``new`` is the newer version, -1 where it is the older one, 0 where nothing tells."""
    for before, after in ((old.version, new.version), (old.updated, new.updated)):
        if before is not None and after is not None and before != after:
            return 1 if after > before else -1  # type: ignore[operator]  # both int or both date
    return 0


def _is_cut(text: str, whole: str) -> bool:
    """Tell whether ``text`` ends in an ellipsis where ``whole`` goes on."""
    return bool(_CUT.search(text)) and _starts(_words(text), _words(whole)) and len(text) < len(whole)


def _earliest(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    return min(one, other) if one and other else one or other


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def notable(old: Paper, new: Paper) -> bool:
    """Tell whether a reader would call the paper changed: not for one more sighting of it."""
    quiet = {"listed": None, "first_seen": None, "upvotes": None, "sources": ()}
    return replace(old, **quiet) != replace(new, **quiet)  # type: ignore[arg-type]  # values fit their fields
