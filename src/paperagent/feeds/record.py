"""Check and clean the fields of one record, in the same way for every format.

Each helper takes a value of any type from a feed and returns a field of a `Paper`. An unusable record raises
`InvalidRecordError`. A defect that leaves it usable is added to ``flags``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import ids
from paperagent.text.markup import plain_text
from paperagent.text.mojibake import repair_encoding
from paperagent.text.sanitize import TRUNCATED, clean_and_truncate, clean_text
from paperagent.types import RETRACTED, Paper, Skipped, Withdrawal

JsonObject = dict[str, Any]
FeedEntry = Paper | Skipped | Withdrawal

MAX_TITLE_LENGTH = 1_000
MAX_ABSTRACT_LENGTH = 20_000
_MAX_NAME_LENGTH = 500
_MIN_ABSTRACT_LENGTH = 10
REPETITIVE = "repetitive"
"""The flag of a paper whose abstract repeats itself, such as thousands of dots."""
_MAX_UNCHECKED_LENGTH = 3_000
"""An abstract up to this length takes little time whatever it is; compressing it would take .1 ms."""
_MAX_REPETITIVE_LENGTH = 1_000
_MAX_COMPRESSION = 8
"""Maximum compression ratio (zlib). Prose of 20,000 characters has a ratio of 2 to 4."""
_MAX_ENTRIES = 100_000

_PLACEHOLDER = re.compile(
    r"\W*(?:publisher: )?(?:no |the )?abstract (?:is )?(?:not )?(?:available|provided|found)"
    r"(?: from the publisher)?\W*",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"(?:this|the) (?:paper|article|manuscript|submission|work|preprint) (?:has been|was|is|is being) "
    r"(?:temporarily |now )?withdrawn\b|withdrawn(?=\.|$| by\b| due\b| because\b)",
    re.IGNORECASE,
)
_RETRACTED = re.compile(r"\W*(?:retracted(?: article| paper)?\W*:|retracted article\b)", re.IGNORECASE)


class InvalidRecordError(ValueError):
    """A record that cannot become a paper.

    ``reason`` is the same text for every record with the same fault, so that reports can count it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def clean_title(value: object, flags: set[str], *, exact: bool = False) -> str:
    """Return a usable title of at most 1,000 characters.

    Args:
        value: the title as the feed has it.
        flags: receives a flag for each defect.
        exact: whether the text is from the library, so that markup and encoding stay as they are.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecordError("no title")
    title = _clean(value, MAX_TITLE_LENGTH, flags, exact=exact)
    if not any(c.isalnum() for c in title):
        raise InvalidRecordError("title empty after cleaning")
    return title


def clean_abstract(value: object, flags: set[str], *, exact: bool = False) -> str:
    """Return a usable abstract of at most 20,000 characters; the arguments are those of `clean_title`.

    A repetitive abstract of more than 3,000 characters is cut after 1,000, so that it does not take more time
    than others.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecordError("no abstract")
    abstract = _clean(value, MAX_ABSTRACT_LENGTH, flags, exact=exact)
    if not any(c.isalnum() for c in abstract):
        raise InvalidRecordError("abstract empty after cleaning")
    if len(abstract) > _MAX_UNCHECKED_LENGTH and _is_repetitive(abstract):
        flags.add(REPETITIVE)
        abstract = abstract[:_MAX_REPETITIVE_LENGTH].rstrip(" ")
    if len(abstract) < _MIN_ABSTRACT_LENGTH:
        raise InvalidRecordError("abstract too short")
    if len(abstract) < 6 * _MIN_ABSTRACT_LENGTH and _PLACEHOLDER.fullmatch(abstract):
        raise InvalidRecordError("no abstract")
    return abstract


def _is_repetitive(text: str) -> bool:
    data = text.encode("utf-8", "replace")
    return len(zlib.compress(data, 1)) * _MAX_COMPRESSION < len(data)


def _clean(text: str, limit: int, flags: set[str], *, exact: bool) -> str:
    if exact:
        return clean_and_truncate(text, limit, flags)
    if len(text) > 8 * limit:
        text = text[: 8 * limit]
        flags.add(TRUNCATED)
    return clean_and_truncate(plain_text(repair_encoding(text, flags)), limit, flags)


def clean_names(values: object, flags: set[str], *, exact: bool = False) -> tuple[str, ...]:
    """Return the non-empty strings of a list (authors, categories, sources), cleaned and in order."""
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list | tuple):
        return ()
    cleaned = []
    for value in values:
        if not isinstance(value, str):
            continue
        if len(value) >= _MAX_NAME_LENGTH:
            cleaned.append(_clean(value, _MAX_NAME_LENGTH, set(), exact=exact))
        elif exact or (value.isascii() and "&" not in value and "<" not in value):
            cleaned.append(clean_text(value, flags))
        else:
            cleaned.append(_clean(value, _MAX_NAME_LENGTH, flags, exact=False))
    return tuple([name for name in cleaned if name])


def clean_count(value: object) -> int | None:
    """Return ``value`` if it is a whole number from 0 to 2**53, else None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    return None


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values without repeats, in order of first appearance."""
    return tuple(dict.fromkeys(values))


def require_arxiv_id(value: object) -> ids.ArxivId:
    """Return the arXiv id of a record that must have one."""
    if value is None or value == "":
        raise InvalidRecordError("no id")
    arxiv = ids.parse_arxiv_id(value)
    if arxiv is None:
        raise InvalidRecordError("bad id")
    return arxiv


def arxiv_and_doi(arxiv: object, doi: object) -> tuple[ids.ArxivId | None, str | None]:
    """Return the arXiv id and the DOI of a record; arXiv's own DOI counts as the arXiv id."""
    by_id, by_doi = ids.parse_arxiv_id(arxiv), ids.parse_arxiv_id(doi)
    if by_doi is not None and "/" in str(doi):
        return by_id or by_doi, None
    return by_id, ids.parse_doi(doi)


def choose_paper_id(
    arxiv: ids.ArxivId | None, doi: str | None, service_id: str | None, title: str, abstract: str
) -> str:
    """Return the id of a record: the service's own, else arXiv's, the DOI, or the hash of the text.

    The library replaces a service's own id by a better one and keeps it as a further name.
    """
    if service_id:
        return service_id
    if arxiv is not None:
        return arxiv.id
    return f"doi:{doi}" if doi else ids.content_id(title, abstract)


def paper_url(arxiv: ids.ArxivId | None, doi: str | None, url: object, flags: set[str]) -> str | None:
    """Return the page of a paper: arXiv's, else ``url``, else the DOI's."""
    if arxiv is not None:
        return ids.arxiv_url(arxiv.id)
    return ids.clean_url(url, flags) or (ids.doi_url(doi) if doi else None)


def says_withdrawn(abstract: str, comment: object = None) -> bool:
    """Return whether the abstract or comment of an arXiv record says that the paper was withdrawn."""
    if "ithdrawn" in abstract and _WITHDRAWN.match(abstract):
        return True
    return isinstance(comment, str) and bool(_WITHDRAWN.match(clean_text(comment[:500])))


def marked_retracted(title: str) -> bool:
    """Return whether a title begins with a publisher's retraction mark."""
    return bool(_RETRACTED.match(title))


def sorted_flags(flags: set[str]) -> tuple[str, ...]:
    return tuple(sorted(flags)) if flags else ()


def make_paper(
    source: str,
    flags: set[str],
    *,
    title: str,
    abstract: str,
    arxiv: ids.ArxivId | None = None,
    doi: str | None = None,
    service_id: str | None = None,
    url: object = None,
    comment: object = None,
    is_retracted: bool = False,
    **fields: Any,
) -> Paper:
    """Return the paper of a record, with its id, address and withdrawal derived from the other fields."""
    is_retracted = is_retracted or marked_retracted(title)
    if is_retracted:
        flags.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, service_id, title, abstract),
        title=title,
        abstract=abstract,
        url=paper_url(arxiv, doi, url, flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        version=arxiv.version if arxiv else None,
        sources=(source,),
        withdrawn=is_retracted or says_withdrawn(abstract, comment),
        flags=sorted_flags(flags),
        **fields,
    )


def limit_entries(entries: Iterable[FeedEntry], label: str) -> Iterator[FeedEntry]:
    """Yield the entries of a feed that is read whole; raise FeedError after 100,000."""
    for number, entry in enumerate(entries, start=1):
        if number > _MAX_ENTRIES:
            raise FeedError(f"{label}: more than {_MAX_ENTRIES:,} entries; split it into smaller feeds")
        yield entry
