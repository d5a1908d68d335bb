"""The fields of one record checked and cleaned, the same for every format.

Each helper takes what a feed holds, of any type, and gives what a `Paper` holds. What makes a
record unusable raises `InvalidRecordError`; what is merely odd is added to ``noticed``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import ids
from paperagent.text.sanitize import clean_and_truncate, clean_text
from paperagent.types import Paper, Skipped, Withdrawal

JsonObject = dict[str, Any]
FeedEntry = Paper | Skipped | Withdrawal

TITLE_LIMIT = 1_000
ABSTRACT_LIMIT = 20_000
_NAME_LIMIT = 500
_SHORTEST_ABSTRACT = 10
_MOST_ENTRIES = 100_000

_PLACEHOLDER = re.compile(
    r"\W*(?:no |the )?abstract (?:is )?(?:not )?(?:available|provided|found)\W*", re.IGNORECASE
)
_WITHDRAWN = re.compile(
    r"(?:this|the) (?:paper|article|manuscript|submission|work|preprint) (?:has been|was|is|is being) "
    r"(?:temporarily |now )?withdrawn\b|withdrawn(?=\.|$| by\b| due\b| because\b)",
    re.IGNORECASE,
)


_RETRACTED = re.compile(r"\W*(?:retracted(?: article| paper)?\W*:|retracted article\b)", re.IGNORECASE)


class InvalidRecordError(ValueError):
    """A record that cannot become a paper; ``reason`` is the same for the same fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def clean_title(value: object, noticed: set[str]) -> str:
    """Return a usable title, at most 1,000 characters."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecordError("no title")
    title = clean_and_truncate(value, TITLE_LIMIT, noticed)
    if not any(c.isalnum() for c in title):
        raise InvalidRecordError("title empty after cleaning")
    return title


def clean_abstract(value: object, noticed: set[str]) -> str:
    """Return a usable abstract, at most 20,000 characters."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecordError("no abstract")
    abstract = clean_and_truncate(value, ABSTRACT_LIMIT, noticed)
    if not any(c.isalnum() for c in abstract):
        raise InvalidRecordError("abstract empty after cleaning")
    if len(abstract) < _SHORTEST_ABSTRACT:
        raise InvalidRecordError("abstract too short")
    if len(abstract) < 4 * _SHORTEST_ABSTRACT and _PLACEHOLDER.fullmatch(abstract):
        raise InvalidRecordError("no abstract")
    return abstract


def clean_names(values: object, noticed: set[str]) -> tuple[str, ...]:
    """Return the non-empty strings of a list, cleaned, in order: authors, categories, sources."""
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list | tuple):
        return ()
    cleaned = [
        clean_text(v, noticed) if len(v) < _NAME_LIMIT else _cut(v) for v in values if isinstance(v, str)
    ]
    return tuple([name for name in cleaned if name])


def _cut(name: str) -> str:
    return clean_and_truncate(name, _NAME_LIMIT, set())


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values without repeats, in order of first sight."""
    return tuple(dict.fromkeys(values))


def require_arxiv_id(value: object) -> ids.ArxivId:
    """Return the arXiv id of a record that must have one."""
    if value is None or value == "":
        raise InvalidRecordError("no id")
    found = ids.parse_arxiv_id(value)
    if found is None:
        raise InvalidRecordError("bad id")
    return found


def arxiv_and_doi(arxiv: object, doi: object) -> tuple[ids.ArxivId | None, str | None]:
    """Return arXiv id and DOI of a record that may have either; arXiv's own DOI is its arXiv id."""
    found = ids.parse_arxiv_id(arxiv)
    by_doi = ids.parse_arxiv_id(doi)
    if by_doi is not None and "/" in str(doi):
        return found or by_doi, None
    return found, ids.parse_doi(doi)


def choose_paper_id(
    found: ids.ArxivId | None, doi: str | None, native: str | None, text: tuple[str, str]
) -> str:
    """Return the id that names a record best: arXiv's, the DOI, the feed's own, else the text's hash.

    A feed's own id (`ids.native`) stands only until the library has taken it as a further name.
    """
    if found is not None:
        return native or found.id
    return native or (f"doi:{doi}" if doi else ids.content_id(*text))


def paper_url(found: ids.ArxivId | None, doi: str | None, url: object, noticed: set[str]) -> str | None:
    """Return where the paper is: arXiv's page, else the address given, else the DOI's."""
    if found is not None:
        return ids.arxiv_url(found.id)
    return ids.clean_url(url, noticed) or (f"https://doi.org/{doi}" if doi else None)


def clean_count(value: object) -> int | None:
    """Return a whole number from 0 to 2**53, else None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    return None


def says_withdrawn(abstract: str, comment: object = None) -> bool:
    """Tell whether arXiv's abstract or comment says that the paper was withdrawn."""
    if "ithdrawn" in abstract and _WITHDRAWN.match(abstract):
        return True
    return isinstance(comment, str) and bool(_WITHDRAWN.match(clean_text(comment[:500])))


def marked_retracted(title: str) -> bool:
    """Tell whether a title begins with a publisher's mark of retraction."""
    return bool(_RETRACTED.match(title))


def flags(noticed: set[str]) -> tuple[str, ...]:
    """Return what was noticed, sorted."""
    return tuple(sorted(noticed)) if noticed else ()


def limit_entries(entries: Iterable[FeedEntry], label: str) -> Iterator[FeedEntry]:
    """Yield the entries of a feed read whole; raise FeedError past 100,000."""
    for number, entry in enumerate(entries, start=1):
        if number > _MOST_ENTRIES:
            raise FeedError(f"{label}: more than {_MOST_ENTRIES:,} entries; split it into smaller feeds")
        yield entry
