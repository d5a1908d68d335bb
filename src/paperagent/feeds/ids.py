"""Identifiers and addresses of papers: arXiv ids, DOIs, ids of services, content hashes, URLs."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

BAD_URL = "bad-url"

_MAX_ID_LENGTH = 300
_MAX_URL_LENGTH = 2_000
_BARE_ARXIV = re.compile(r"[0-9]{4}\.[0-9]{4,5}")
_ARXIV = re.compile(
    r"""\s*(?:(?P<page>(?:https?://)?(?:[a-z0-9-]+\.){0,3}
            (?:arxiv\.org/(?:abs|pdf|html|format|ps|e-print|src)/
              | (?:alphaxiv|ar5iv)\.org/(?:abs|pdf|html|overview)/ | huggingface\.co/papers/)(?:arxiv:)?)
          | (?:(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?10\.48550/arxiv\.)
          | (?:(?:oai|info|arxiv(?:\.org)?|corr|e-?prints?|preprints?|available|at|as|abs)[\s:,/]++){0,6}+)
        (?:(?P<new>[0-9]{4}\.[0-9]{4,5})
          | (?P<archive>[a-z]+(?:-[a-z]+)*)(?:\.[a-z-]{2,8})?/(?P<number>[0-9]{7}))
        (?:v(?P<version>[1-9][0-9]{0,3}))?(?![0-9a-z])
        (?:\.(?:pdf|html?|ps(?:\.gz)?)|/)?
        (?(page)(?:[?\#]\S*+)?[.,;]?(?:\s+(?:https?://|[\[(]|(?:accessed|retrieved|visited)\b).*)?
          | (?:\s*(?:\[[a-z., -]{2,80}\]|\([0-9a-z., -]{2,40}\)|,\s*(?:19|20)[0-9]{2})){0,3}[.,;]?)\s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL,
)
_ARXIV_DOI = "10.48550/arxiv."
_DOI_LABEL = re.compile(r"(?:doi\s*:?/{0,2}|info:doi/|urn:doi:)\s*", re.IGNORECASE)
_DOI_PAGE = re.compile(
    r"""(?:(?:https?://)?(?:www\.|dx[.-])?doi[.-][a-z0-9.-]{2,100}/\s*  # a resolver, perhaps behind a proxy
        | (?P<site>https?://(?!academic\.oup\.com)[a-z0-9.-]{4,100}/(?:[a-z0-9.-]{1,40}/){0,3}?
            (?:doi(?:/(?:abs|abstract|book|epdf|epub|full|pdf|pdfdirect|pdfplus|ref|reader|suppl))?
              | articles? | chapter | book | abstract | works | content(?:/(?:pdf|early))?)/)
        | (?P<query>https?://[^\s?\#]{4,200}\?(?:[^\s\#]{0,200}?&)?(?:doi|id)=)
        )(?=10\.|doi|https?:|info:)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_MAX_DOI_PREFIXES = 4
_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]{1,9})*/[!#-\[\]-~]+(?=\s|\Z)", re.ASCII)
_SAFE_IN_DOI = "!$&'()*+,/:;=@[]~"
_STORED_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]{1,9})*/[!#-@\[\]-~]+", re.ASCII)
_NEXT_DOI = re.compile(r"[;,|](?=https?:|doi:|10\.[0-9]{4,9}/)", re.IGNORECASE)
_VIEW_OF_PAGE = re.compile(
    r"(?:/(?:abstract|full|fulltext|pdf|epdf|html|meta|summary|references)(?:\.html?)?|\.pdf|\.html?)\Z"
)
_VERSION_OF_PREPRINT = re.compile(r"(?<=[0-9])v[0-9]{1,3}(?:\.[a-z][a-z.-]{0,40})?\Z")
_PREPRINT_SERVER = "10.1101/"
"""bioRxiv and medRxiv, whose pages have the version after the DOI."""
_BRACKETS = {")": "(", "]": "[", ">": "<"}
_PMID = re.compile(
    r"""\s*(?:(?:PMID|PubMed(?:\s?ID)?|MEDLINE|info:pmid/)\s*:?\s*
        | (?:https?://)?(?:www\.|m\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/(?:m/)?pubmed|pubmed\.gov)/)?
        ([1-9][0-9]{0,8})/?(?:[?\#]\S*+)?[.,;]?(?:\s*[\[(](?:pmid|pubmed)[\])])?\s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_LATEX_LINK = re.compile(r"[{\s]*+\\(?:url|href|doi|nolinkurl|path)\s*\{([^{}]*)\}")
_LATEX_CHARACTERS = re.compile(
    r"\\(textunderscore|textasciitilde|textless|textgreater|sim|lt|gt)(?![A-Za-z])\s?|\\(.)"
)
_LATEX_SIGNS = {"textunderscore": "_", "textasciitilde": "~", "sim": "~"} | {
    "textless": "<", "lt": "<", "textgreater": ">", "gt": ">",
}  # fmt: skip
_LATEX_FORMULA = re.compile(r"\$([<>_~])\$")
_LATEX_GROUPING = str.maketrans("", "", "{}")
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff"),
    }
)
"""Dashes for the hyphen of an id, and invisible characters."""
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
    dropped: ``math.GT/0309136`` becomes ``math/0309136``. An id within a sentence is not accepted.
    """
    if not isinstance(text, str) or len(text) > _MAX_ID_LENGTH:
        return None
    if _BARE_ARXIV.fullmatch(text):
        return ArxivId(text, None)
    text = without_latex(text)
    match = _ARXIV.fullmatch(text)
    if match is None and "48550" in text and (doi := parse_doi(text) or "").startswith(_ARXIV_DOI):
        match = _ARXIV.fullmatch(doi)
    if match is None:
        return None
    bare = match["new"] or f"{match['archive'].lower()}/{match['number']}"
    return ArxivId(bare, int(match["version"]) if match["version"] else None)


def parse_doi(text: object) -> str | None:
    """Return the DOI that ``text`` begins with, in lower case, or None.

    Accepts it bare, behind a label (``doi:``, ``info:doi/``), as an address of a resolver, and in the address
    of a publisher's page. Percent signs, entities and LaTeX are decoded once. Punctuation and unmatched
    brackets at the end are not a part of it.
    """
    if not isinstance(text, str) or len(text) > _MAX_ID_LENGTH or "10." not in text:
        return None
    text = without_latex(text).translate(_LOOKALIKES).strip("\"' ").lstrip("<([")
    if "&" in text:
        text = html.unescape(html.unescape(text) if "&amp;" in text else text)
    page: re.Match[str] | None = None
    for _ in range(_MAX_DOI_PREFIXES):
        prefix = _DOI_PAGE.match(text) or _DOI_LABEL.match(text)
        if prefix is None:
            break
        page = prefix if prefix.re is _DOI_PAGE else page
        text = text[prefix.end() :]
    if page is not None:
        text = re.split(r"[&#]" if page["query"] else r"[?#]", text, maxsplit=1)[0]
    if "%" in text:
        text = unquote(text)
    match = _DOI.match(text)
    if match is None:
        return None
    doi = _trim_doi(_NEXT_DOI.split(match[0], maxsplit=1)[0].lower())
    if page is None or not page["site"]:
        return doi
    return (_VERSION_OF_PREPRINT if doi.startswith(_PREPRINT_SERVER) else _VIEW_OF_PAGE).sub("", doi)


def _trim_doi(doi: str) -> str:
    """Return ``doi`` without the punctuation and the unmatched brackets that follow it."""
    while True:
        trimmed = doi.rstrip(".,;:'/")
        opening = _BRACKETS.get(trimmed[-1:])
        if opening and trimmed.count(trimmed[-1]) > trimmed.count(opening):
            trimmed = trimmed[:-1]
        if trimmed == doi:
            return doi
        doi = trimmed


def parse_pmid(text: object) -> str | None:
    """Return ``pmid:`` and the number of a PubMed id or address; None for others, such as a PMCID."""
    text = without_latex(str(text)) if isinstance(text, str | int) else ""
    match = _PMID.fullmatch(text) if len(text) <= _MAX_ID_LENGTH else None
    return f"pmid:{match[1]}" if match else None


def without_latex(text: str) -> str:
    r"""Return an id or address without LaTeX: ``{{\url{https://example.org/a\_b}}}`` → the address."""
    if not any(c in text for c in "\\{$"):
        return text.strip()
    if link := _LATEX_LINK.match(text):
        text = link[1]
    text = _LATEX_CHARACTERS.sub(lambda m: m[2] or _LATEX_SIGNS[m[1]], text)
    return _LATEX_FORMULA.sub(r"\1", text.translate(_LATEX_GROUPING)).strip()


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
        return text if _STORED_DOI.fullmatch(text, 4) and len(text) <= _MAX_ID_LENGTH else None
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


def doi_url(doi: str) -> str:
    """Return the address that resolves a DOI, with ``<``, ``>``, ``#`` and ``?`` as codes."""
    return f"https://doi.org/{quote(doi, safe=_SAFE_IN_DOI)}"


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
