"""Decide whether two records are the same paper, and merge them. Pure functions.

An arXiv id or a DOI is sufficient. A title alone never is: the abstracts must agree too, and neither the
arXiv ids nor the DOIs may differ.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields, replace
from hashlib import blake2b
from operator import attrgetter

from paperagent.text.author_names import name_words
from paperagent.text.terms import title_key, words
from paperagent.types import PARTIAL_DATE, RETRACTED, Paper

_NOT_WORD = re.compile(r"[\W_]+")
_ELLIPSIS = re.compile(r"(?:\.\.\.|…)\s*$")
_MIN_JACCARD = 0.8
"""Two abstracts that share this much of their words are the same text, typeset differently."""
_MAX_LENGTHS = {"title": 5_000, "abstract": 200_000}
"""Code points. Longer text is not a title or an abstract and would slow down an index."""
_INT64 = 2**63
_every_field = attrgetter(*(f.name for f in fields(Paper) if f.name != "ids"))


def text_hash(title: str, abstract: str) -> bytes:
    """Return the 16-byte hash that identifies one version of a paper's text."""
    return blake2b(f"{title}\n{abstract}".encode(), digest_size=16).digest()


def content_hash(paper: Paper) -> str:
    """Return `text_hash` in hexadecimal, as a citation stores it."""
    return text_hash(paper.title, paper.abstract).hex()


def record_hash(paper: Paper) -> bytes:
    """Return the 16-byte hash of all fields, which tells whether a record was read before."""
    values = (*_every_field(paper), *paper.ids)  # without further ids, the hash of earlier versions
    return blake2b(repr(values).encode(), digest_size=16).digest()


def day_number(day: dt.date | None) -> int | None:
    """Return ``day`` as yyyymmdd, which sorts like the date."""
    return None if day is None else day.year * 10_000 + day.month * 100 + day.day


def aliases(paper: Paper) -> list[str]:
    """Return the aliases by which the library finds this paper: arXiv id and DOI first, its title last."""
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
    """Return the id in an alias of `aliases`. A DOI keeps its prefix, which is part of the id."""
    return alias if alias.startswith("doi:") else alias.partition(":")[2]


def further_ids(paper: Paper, names: Iterable[str]) -> tuple[str, ...]:
    """Return the ``names`` of a paper that are neither its id nor a DOI."""
    return tuple(sorted(name for name in set(names) - {paper.paper_id} if not name.startswith("doi:")))


def lookup_names(paper_id: str) -> tuple[str, str, str]:
    """Return the aliases under which a former id of a paper may be stored."""
    return f"id:{paper_id}", f"arxiv:{paper_id}", paper_id


def title_order(title: str) -> tuple[str, ...]:
    """Return a key that sorts titles by their words, ignoring case, accents and punctuation."""
    return tuple(words(title))


def tags(paper: Paper) -> tuple[str, ...]:
    """Return the tokens that filters match.

    These are each category with its parent categories (``c:``), each source (``s:``) and each word of the
    authors' names (``a:``).
    """
    tokens: dict[str, None] = {}
    for category in paper.categories:
        parts = category.lower().split(".")
        tokens.update(dict.fromkeys("c:" + ".".join(parts[:n]) for n in range(len(parts), 0, -1)))
    tokens.update(dict.fromkeys(f"s:{source}" for source in paper.sources))
    tokens.update(dict.fromkeys(f"a:{word}" for name in paper.authors for word in name_words(name)))
    return tuple(tokens)


def unfit(paper: Paper) -> str | None:
    """Return why the library cannot store ``paper``, or None. Ingest reports count the reasons."""
    if not paper.paper_id or not paper.title.strip():
        return "no title"
    for name, limit in _MAX_LENGTHS.items():
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
    """Return whether the arXiv ids or the DOIs differ, so that these are two papers."""
    return _differ(one.arxiv_id, other.arxiv_id) or _differ(one.doi, other.doi)


def _differ(one: str | None, other: str | None) -> bool:
    return bool(one and other and one != other)


def same_text(one: Paper, other: Paper) -> bool:
    """Return whether two abstracts are the same text: equal, one truncated, or typeset differently."""
    if one.abstract == other.abstract:
        return True
    first, second = _words(one.abstract), _words(other.abstract)
    if not first or not second:
        return not first and not second
    if _starts(first, second) or _starts(second, first):
        return True
    a, b = set(first), set(second)
    return len(a & b) >= _MIN_JACCARD * len(a | b)


def _starts(short: list[str], long: list[str]) -> bool:
    # The last word of a truncated text may be truncated too. A few words agree by chance.
    head = short[:-1]
    return len(head) >= 8 and long[: len(head)] == head


def _words(text: str) -> list[str]:
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split()


def merge(old: Paper, new: Paper) -> Paper:
    """Return the paper that results from ``old`` (in the library) and ``new`` (just read).

    The text of ``new`` is used, except if

    - it is an older version, or does not name its version although ``old`` does;
    - it is truncated;
    - it is the same text from another feed, and nothing tells which one is newer.

    Missing fields are filled from either record; dates are the earliest known.
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
    """Return whether the merged paper is withdrawn.

    The newer version decides. A feed can revoke a withdrawal only while it is the paper's only source,
    because it is not stored which feed reported it, and other feeds do not report withdrawals. A retraction
    is never revoked.
    """
    if RETRACTED in (*old.flags, *new.flags):
        return True
    age = _compare(old, new)
    if age == 0 and old.sources != new.sources:
        return old.withdrawn or new.withdrawn
    return (old if age < 0 else new).withdrawn


def _published(old: Paper, new: Paper) -> dt.date | None:
    """Return the earliest date; one that is only a year or a month counts if there is no full date."""
    if not (old.published and new.published):
        return old.published or new.published
    partial = [PARTIAL_DATE in paper.flags for paper in (old, new)]
    if partial == [True, False]:
        return new.published
    return old.published if partial == [False, True] else _earliest(old.published, new.published)


def _flags(first: Paper, old: Paper, new: Paper) -> tuple[str, ...]:
    """Return the flags of the text in use, with those that concern the paper itself."""
    flags = dict.fromkeys(_union(old.flags, new.flags) if old.abstract == new.abstract else first.flags)
    if RETRACTED in (*old.flags, *new.flags):
        flags[RETRACTED] = None
    dated = [paper for paper in (old, new) if paper.published]
    flags.pop(PARTIAL_DATE, None)
    if dated and all(PARTIAL_DATE in paper.flags for paper in dated):
        flags[PARTIAL_DATE] = None
    return tuple(flags)


def with_best_id(paper: Paper) -> Paper:
    """Return ``paper`` with its best id: the arXiv id, else the DOI, else one derived from its text.

    The id of a service (``acl:…``, ``pmid:…``) is never the main id; it is stored as an alias, by which the
    paper is found too.
    """
    best = paper.arxiv_id or (f"doi:{paper.doi}" if paper.doi else paper.paper_id)
    if ":" in best and not (paper.arxiv_id or paper.doi or best.startswith("sha256:")):
        from paperagent.feeds.ids import content_id, is_service_id  # only an ingest needs it

        best = content_id(paper.title, paper.abstract) if is_service_id(best) else best
    return paper if best == paper.paper_id else replace(paper, paper_id=best)


def _replaces(old: Paper, new: Paper) -> bool:
    age = _compare(old, new)
    if age < 0:
        return False
    if not new.abstract.strip() or (
        old.abstract != new.abstract and _is_truncated(new.abstract, old.abstract)
    ):
        return False
    if age > 0 or _is_truncated(old.abstract, new.abstract):
        return True
    if _dated(old) != _dated(new):
        return _dated(new)
    # With several feeds, the one that is read again need not be the one whose text is in use.
    return set(new.sources) == set(old.sources) or not same_text(old, new)


def _dated(paper: Paper) -> bool:
    """Return whether a record names the version of its text."""
    return paper.version is not None or paper.updated is not None


def _compare(old: Paper, new: Paper) -> int:
    """Return 1 if ``new`` is the newer version, -1 if it is the older one, 0 if that is unknown."""
    for before, after in ((old.version, new.version), (old.updated, new.updated)):
        if before is not None and after is not None and before != after:
            return 1 if after > before else -1  # type: ignore[operator]  # both int or both date
    return 0


def _is_truncated(text: str, full: str) -> bool:
    """Return whether ``text`` is the beginning of ``full`` and ends in an ellipsis."""
    return bool(_ELLIPSIS.search(text)) and _starts(_words(text), _words(full)) and len(text) < len(full)


def _earliest(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    return min(one, other) if one and other else one or other


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def is_notable_change(old: Paper, new: Paper) -> bool:
    """Return whether a user would call the paper changed; that another feed lists it does not count."""
    ignored = {"listed": None, "first_seen": None, "upvotes": None, "sources": ()}
    return replace(old, **ignored) != replace(new, **ignored)  # type: ignore[arg-type]  # values fit their fields
