"""Recognize files that are not feeds, and advise what to use instead."""

from __future__ import annotations

import re

EXPORT = "export the papers as RIS, BibTeX or CSV, and give that file"
_SAVE_AS_TEXT = "save the page as text"
_SIGNATURES = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\x7fELF", "ELF"),
    (b"GIF8", "GIF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\xca\xfe\xba\xbe", "Java"),
    (b"{\\rtf", "RTF"),
    (b"%!PS", "PostScript"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"PAR1", "Parquet"),
    (b"\x89HDF", "HDF5"),
    (b"bplist", "a saved page of Safari"),
)
_ADVICE = {
    "SQLite": "export the library from the program, such as Zotero or Mendeley, as RIS or BibTeX",
    "an old Office document": "save it as CSV or XLSX",
    "Parquet": "save it as CSV or JSON lines",
    "HDF5": "save it as CSV or JSON lines",
    "a saved page of Safari": _SAVE_AS_TEXT,
}
_ZIP_MEMBERS = (
    (b"word/document.xml", "a Word document"),
    (b"ppt/presentation.xml", "a PowerPoint presentation"),
    (b"application/epub+zip", "an EPUB book"),
    (b"opendocument.text", "an ODT document"),
    (b"opendocument.spreadsheet", "an ODS spreadsheet"),
    (b"opendocument.presentation", "an ODP presentation"),
)
_MARC = re.compile(rb"\d{5}[acdnp][a-z]{2}[ a-z0-9].{8}[ 0-9a-z]{3}4500", re.DOTALL)
_MAIL_HEADER = re.compile(
    r"(?:From |(?:From|To|Cc|Date|Subject|Message-ID|Return-Path|Received|Delivered-To|MIME-Version"
    r"|Content-Type|Reply-To|DKIM-Signature|In-Reply-To|Snapshot-Content-Location|X-[\w-]{1,40}):)",
    re.IGNORECASE,
)
_MIN_MAIL_HEADERS = 3
_LATEX = re.compile(r"\\(?:documentclass|begin\s{0,9}\{(?:document|thebibliography)\}|usepackage|bibitem)")
_AS_RIS = "export the records as RIS"
_TEXTS = (
    (
        re.compile(r"RT (?:Journal|Generic|Book|Conference|Report|Web)\b"),
        "RefWorks text",
        _AS_RIS,
    ),
    (re.compile(r"Record #\d{1,6} of \d{1,6}\b"), "text of the Cochrane Library", _AS_RIS),
    (re.compile(r"<\d{1,6}>\s{1,9}(?:Unique Identifier|Accession Number|Database)"), "text of Ovid", _AS_RIS),
    (
        re.compile(r"1\. [^\n]{5,300}\bdoi: ?10\.|1: [^\n]{5,300}\b(?:PMID|doi): ?\d"),
        "a text or summary of PubMed",
        "save it from PubMed in the format PubMed",
    ),
)
"""The beginning of a database's text format, the name of the format, and advice."""
_NOTEBOOK = re.compile(rb"\"cell_type\"\s{0,9}:\s{0,9}\"(?:markdown|code|raw)\"")
_SUFFIXES = {
    ".enl": ("an EndNote library", "export it from EndNote as RIS or XML"),
    ".enlx": ("an EndNote library", "export it from EndNote as RIS or XML"),
    ".mhtml": ("a saved web page", _SAVE_AS_TEXT),
    ".mht": ("a saved web page", _SAVE_AS_TEXT),
    ".eml": ("an email", "give the file or the links that it contains"),
    ".mbox": ("a mailbox", "give the file or the links that it contains"),
    ".msg": ("an email", "give the file or the links that it contains"),
    ".tex": ("LaTeX", "give its .bib file"),
    ".bbl": ("LaTeX", "give its .bib file"),
    ".ipynb": ("a Jupyter notebook", EXPORT),
    ".pages": ("a Pages document", EXPORT),
    ".numbers": ("a Numbers table", "export it as CSV"),
}
"""Suffix → what the file is, and advice. Only used for files that no format fits."""


def binary_name(head: bytes) -> tuple[str, str] | None:
    """Return the likely format of a binary file and advice, or None if its signature is unknown."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name, _ADVICE.get(name, EXPORT)
    if head.startswith(b"PK"):
        name = next((name for member, name in _ZIP_MEMBERS if member in head), "")
        return (
            (name, EXPORT)
            if name
            else ("a zip archive", "unpack it and give the feed (gzip and xz are read)")
        )
    if _MARC.match(head):
        return "MARC", "export the records as RIS or BibTeX"
    if _NOTEBOOK.search(head) and head.lstrip()[:1] == b"{":
        return _SUFFIXES[".ipynb"]
    return None


def text_name(text: str, suffix: str) -> tuple[str, str] | None:
    """Return the likely kind of an unsupported text file and advice, or None if it is unknown."""
    headers = [line for line in text[:10_000].splitlines()[:60] if _MAIL_HEADER.match(line)]
    if len(headers) >= _MIN_MAIL_HEADERS and _MAIL_HEADER.match(text):
        return _SUFFIXES[".mht" if "multipart/related" in text[:10_000] else ".eml"]
    for beginning, name, advice in _TEXTS:
        if beginning.match(text.lstrip()[:1_000]):
            return name, advice
    if _LATEX.search(text[:10_000]):
        return _SUFFIXES[".tex"]
    return _SUFFIXES.get(suffix)
