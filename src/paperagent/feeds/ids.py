"""Identifiers and addresses of papers: arXiv ids, DOIs, ids of services, content hashes, URLs."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import urlsplit

BAD_URL = "bad-url"

_MAX_ID_LENGTH = 300
_MAX_URL_LENGTH = 2_000
_BARE_ARXIV = re.compile(r"[0-9]{4}\.[0-9]{4,5}")
_ARXIV = re.compile(
    r"""\s*(?:https?://(?:[a-z]+\.)?arxiv\.org/(?:abs|pdf|html|format)/
          | https?://huggingface\.co/papers/ | oai:arxiv\.org: | arxiv:\s*
          | (?:https?://(?:dx\.)?doi\.org/|doi:\s*)?10\.48550/arxiv\. )?
        (?:(?P<new>[0-9]{4}\.[0-9]{4,5})
          | (?P<archive>[a-z]+(?:-[a-z]+)*)(?:\.[a-z-]{2,8})?/(?P<number>[0-9]{7}))
        (?:v(?P<version>[1-9][0-9]{0,3}))?
        (?:\.pdf|/)?(?:\s*\[[a-z.-]+\])?\s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_DOI = re.compile(
    r"\s*(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.[0-9]{4,9}/[!#-\[\]-~]+)\s*", re.IGNORECASE | re.ASCII
)
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.IGNORECASE | re.ASCII)
_HASH = re.compile(r"sha256:([0-9a-f]{32})")
_SLUG = re.compile(r"[a-z0-9]{1,24}-(?:[0-9a-f]{8}|[0-9a-f]{32})")
_SLUG_DIGITS = (8, 32)
_MAX_SLUG_WORD = 24
_SLUG_STOP_WORDS = frozenset(
    "with from toward towards what does using when which that this".split()  # shorter words are never used
)
_LATEX_COMMAND = re.compile(r"\\[A-Za-z]+")
_NOT_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]+")
_SERVICE_ID = re.compile(r"(?:acl|openalex|pmid|s2|zotero):[A-Za-z0-9][A-Za-z0-9./_-]{0,80}")


class ArxivId(NamedTuple):
    """An arXiv identifier and its version."""

    id: str
    version: int | None


def parse_arxiv_id(text: object) -> ArxivId | None:
    """Parse an arXiv id; return None if ``text`` is not one.

    Accepts old and new ids (https://info.arxiv.org/help/arxiv_identifier.html), bare, with the prefix
    ``arXiv:`` or ``oai:arXiv.org:``, as an address or as arXiv's DOI. The subject class of an old id is
    dropped: ``math.GT/0309136`` becomes ``math/0309136``.
    """
    if not isinstance(text, str) or len(text) > _MAX_ID_LENGTH:
        return None
    if _BARE_ARXIV.fullmatch(text):
        return ArxivId(text, None)
    match = _ARXIV.fullmatch(text)
    if match is None:
        return None
    bare = match["new"] or f"{match['archive'].lower()}/{match['number']}"
    return ArxivId(bare, int(match["version"]) if match["version"] else None)


def parse_doi(text: object) -> str | None:
    """Return the first DOI in ``text`` in lower case and without a resolver, or None."""
    if not isinstance(text, str) or len(text) > _MAX_ID_LENGTH or not text.strip():
        return None
    match = _DOI.fullmatch(text) or _DOI.fullmatch(text.split()[0])
    return match[1].lower() if match else None


def service_id(scheme: str, text: object) -> str | None:
    """Return ``scheme:text``, the id that a service gives a paper, or None if it is malformed."""
    joined = f"{scheme}:{text}".strip() if isinstance(text, str | int) else ""
    return joined if _SERVICE_ID.fullmatch(joined) else None


def is_service_id(text: str) -> bool:
    """Return whether ``text`` is an id that a service gave a paper, such as ``acl:2023.acl-long.1``."""
    return bool(_SERVICE_ID.fullmatch(text))


def parse_paper_id(text: object) -> str | None:
    """Return ``text`` if it is a paper id exactly as the library writes it, else None."""
    if not isinstance(text, str):
        return None
    if _BARE_ARXIV.fullmatch(text) or is_content_id(text):
        return text
    if text.startswith("doi:"):
        return text if parse_doi(text) == text[4:] else None
    return text if parse_arxiv_id(text) == ArxivId(text, None) else None


def content_id(title: str, abstract: str) -> str:
    """Return ``sha256:`` and 32 hex digits of title and abstract.

    Both are put in NFKC and case-folded, and runs of white space become one space. The library uses
    one of the paper's `slugs` as its id, and keeps this one as a further id.
    """
    text = "\n".join(_normalize(part) for part in (title, abstract))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def slugs(title: str, content_id: str) -> tuple[str, ...]:
    """Return the readable ids of a paper without arXiv id and DOI, such as ``tindersift-c2002f86``.

    The word is the first of the title with at least four letters that is not a stop word, else ``paper``. It
    is followed by the first 8 digits of ``content_id``. The second id has all its digits, for the rare case
    that another paper has the first one. Returns nothing if ``content_id`` is not the hash of a text.
    """
    match = _HASH.fullmatch(content_id)
    if match is None:
        return ()
    plain = unicodedata.normalize("NFKD", _LATEX_COMMAND.sub(" ", title)).encode("ascii", "ignore").decode()
    words = _NOT_LETTER_OR_DIGIT.sub(" ", plain.lower()).split()
    word = next((w for w in words if sum(map(str.isalpha, w)) >= 4 and w not in _SLUG_STOP_WORDS), "paper")
    return tuple(f"{word[:_MAX_SLUG_WORD]}-{match[1][:digits]}" for digits in _SLUG_DIGITS)


def is_content_id(text: str) -> bool:
    """Return whether ``text`` is the id of a paper without arXiv id and DOI: a hash of its text or a slug."""
    return len(text) < _MAX_ID_LENGTH and bool(_HASH.fullmatch(text) or _SLUG.fullmatch(text))


def arxiv_url(arxiv_id: str) -> str:
    """Return the address of the abstract page on arXiv."""
    return f"https://arxiv.org/abs/{arxiv_id}"


def clean_url(value: object, flags: set[str]) -> str | None:
    """Return ``value`` if it is a plain http(s) address, else None with the flag ``bad-url``.

    Other schemes, user names, non-ASCII hosts and more than 2,000 characters are rejected. None and blank
    text mean that there is no address; they add no flag.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and len(value) <= _MAX_URL_LENGTH and _is_plain_url(value.strip()):
        return value.strip()
    flags.add(BAD_URL)
    return None


def _is_plain_url(url: str) -> bool:
    if not _URL.fullmatch(url):
        return False
    if url.startswith("https://arxiv.org/"):
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc


def _normalize(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
