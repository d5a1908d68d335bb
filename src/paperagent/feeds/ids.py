"""Identities and addresses of papers: arXiv ids, DOIs, content hashes, web addresses."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import urlsplit

BAD_URL = "bad-url"

_LONGEST_ID = 300
_LONGEST_URL = 2_000
_PLAIN = re.compile(r"[0-9]{4}\.[0-9]{4,5}")
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
_HASH = re.compile(r"sha256:[0-9a-f]{32}")
_NATIVE = re.compile(r"(?:acl|openalex|pmid|s2|zotero):[A-Za-z0-9][A-Za-z0-9./_-]{0,80}")


class ArxivId(NamedTuple):
    """An arXiv identifier, its version apart."""

    id: str
    version: int | None


def parse_arxiv_id(text: object) -> ArxivId | None:
    """Return the arXiv id in ``text``, or None where it is none.

    Old and new style (https://info.arxiv.org/help/arxiv_identifier.html), bare, with ``arXiv:`` or
    ``oai:arXiv.org:`` before it, as an address or as arXiv's DOI. A subject class of an old id is
    dropped: ``math.GT/0309136`` is ``math/0309136``.
    """
    if not isinstance(text, str) or len(text) > _LONGEST_ID:
        return None
    if _PLAIN.fullmatch(text):
        return ArxivId(text, None)
    match = _ARXIV.fullmatch(text)
    if match is None:
        return None
    found = match["new"] or f"{match['archive'].lower()}/{match['number']}"
    return ArxivId(found, int(match["version"]) if match["version"] else None)


def parse_doi(text: object) -> str | None:
    """Return the DOI in ``text``, lower case and without resolver, or None. Of several, the first."""
    if not isinstance(text, str) or len(text) > _LONGEST_ID or not text.strip():
        return None
    match = _DOI.fullmatch(text) or _DOI.fullmatch(text.split()[0])
    return match[1].lower() if match else None


def service_id(scheme: str, text: object) -> str | None:
    """Return ``scheme:text``, the id that a service gives a paper, where it is well-formed, else None."""
    found = f"{scheme}:{text}".strip() if isinstance(text, str | int) else ""
    return found if _NATIVE.fullmatch(found) else None


def is_service_id(text: str) -> bool:
    """Tell whether ``text`` is the id that a service gave, such as ``acl:2023.acl-long.1``."""
    return bool(_NATIVE.fullmatch(text))


def parse_paper_id(text: object) -> str | None:
    """Return ``text`` where it is an identity as the library writes it, else None."""
    if not isinstance(text, str):
        return None
    if _PLAIN.fullmatch(text) or (len(text) < _LONGEST_ID and _HASH.fullmatch(text)):
        return text
    if text.startswith("doi:"):
        return text if parse_doi(text) == text[4:] else None
    found = parse_arxiv_id(text)
    return text if found == ArxivId(text, None) else None


def content_id(title: str, abstract: str) -> str:
    """Return ``sha256:`` and 32 hex digits of the title and abstract, NFKC, case-folded, evenly spaced."""
    text = "\n".join(_normal(part) for part in (title, abstract))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def clean_url(value: object, noticed: set[str]) -> str | None:
    """Return ``value`` where it is a plain http(s) address, else None with the flag ``bad-url``.

    Refused are other schemes, user names in the address, non-ASCII hosts and anything over 2,000
    characters. None and blank text are no address and raise no flag.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_URL and _is_web(value.strip()):
        return value.strip()
    noticed.add(BAD_URL)
    return None


def arxiv_url(found: str) -> str:
    """Return the address of an arXiv paper's page."""
    return f"https://arxiv.org/abs/{found}"


def _is_web(url: str) -> bool:
    if not _URL.fullmatch(url):
        return False
    if url.startswith("https://arxiv.org/"):
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
