"""Write papers as BibTeX, RIS, Markdown or JSON lines, and files without ever leaving half of one."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from paperagent.errors import FeedError, InputError, PaperAgentError, visible
from paperagent.text.sanitize import LINE_BREAKING, safe_markdown, safe_url
from paperagent.types import Paper

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_KEY_PART = 40
_LATEX = {
    "\\": r"\textbackslash{}",
    # BibTeX counts braces even where a backslash stands before them.
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{c: "\\" + c for c in "$&#%_"},
}
_LATEX_SPECIAL = re.compile("[" + re.escape("".join(_LATEX)) + "]")
_LAST_TWO = "".join(chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
_BREAKS = re.compile(f"[{LINE_BREAKING}\ud800-\udfff]")
_NO_CHARACTER = re.compile(rf"[\ufdd0-\ufdef{_LAST_TWO}]")
"""Unicode's 66 noncharacters."""
_DULL = frozenset(
    "a an the on of for in to and with from via towards toward is are how what when why do does".split()
)


def bibtex(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one BibTeX entry a paper, each under its own key."""
    taken: set[str] = set()
    for paper in papers:
        fields = {
            "title": f"{{{latex(paper.title)}}}",
            "author": " and ".join(_bibtex_name(name) for name in paper.authors),
            "year": str(paper.day.year) if paper.day else "",
            "month": str(paper.day.month) if paper.day else "",
            "eprint": latex(paper.arxiv_id or ""),
            "archiveprefix": "arXiv" if paper.arxiv_id else "",
            "primaryclass": latex(paper.categories[0]) if paper.arxiv_id and paper.categories else "",
            "doi": latex(paper.doi or ""),
            "url": safe_url(paper.url) or "",
            "note": paper.taken_back,
            "abstract": latex(paper.abstract),
        }
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        yield f"@misc{{{_key(paper, taken)},\n{body}}}\n\n"


def latex(text: str) -> str:
    """Return ``text`` on one line with every character that LaTeX or BibTeX would obey escaped."""
    return _LATEX_SPECIAL.sub(lambda m: _LATEX[m[0]], one_line(text))


def _bibtex_name(name: str) -> str:
    escaped = latex(name)
    # A name such as "Research and Development" would be read as two.
    return f"{{{escaped}}}" if re.search(r"\band\b", escaped, re.IGNORECASE) else escaped


def _key(paper: Paper, taken: set[str]) -> str:
    first = paper.authors[0] if paper.authors else ""
    family = first.partition(",")[0] if "," in first else (first.split() or [""])[-1]
    words = (_ascii(w) for w in paper.title.split())
    word = next((w for w in words if len(w) > 1 and w not in _DULL), "")
    # Readers of BibTeX limit a key's length, and a title may be one long word.
    base = f"{_ascii(family)[:_KEY_PART]}{paper.day.year if paper.day else ''}{word[:_KEY_PART]}" or "paper"
    key, number = base, 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    taken.add(key)
    return key


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)


def ris(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one RIS record a paper. Every value is one line, so no value can begin a tag."""
    for paper in papers:
        day = paper.day
        tags = [
            ("TY", "GEN"),
            ("ID", paper.paper_id),
            ("TI", paper.title),
            *(("AU", name) for name in paper.authors),
            ("PY", str(day.year) if day else ""),
            ("DA", f"{day:%Y/%m/%d}" if day else ""),
            ("AN", f"arXiv:{paper.arxiv_id}" if paper.arxiv_id else ""),
            ("DO", paper.doi or ""),
            ("UR", safe_url(paper.url) or ""),
            *(("KW", category) for category in paper.categories),
            ("N1", paper.taken_back),
            ("AB", paper.abstract),
        ]
        lines = [f"{tag}  - {one_line(value)}\r\n" for tag, value in tags if value]
        yield "".join(lines) + "ER  - \r\n\r\n"


def markdown(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one Markdown section a paper."""
    for paper in papers:
        url = safe_url(paper.url)
        day = paper.day.isoformat() if paper.day else ""
        about = [", ".join(paper.authors), day, paper.paper_id, paper.taken_back]
        line = " · ".join([safe_markdown(a) for a in about if a] + ([f"<{url}>"] if url else []))
        yield f"## {safe_markdown(paper.title)}\n\n{line}\n\n{safe_markdown(paper.abstract)}\n\n"


def jsonl(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one line of JSON a paper, which `ingest` reads back exactly."""
    from paperagent.feeds.formats.jsonl import dump

    yield from (dump(paper) + "\n" for paper in papers)


FORMATS: dict[str, Callable[[Iterable[Paper]], Iterator[str]]] = {
    "bibtex": bibtex,
    "ris": ris,
    "markdown": markdown,
    "jsonl": jsonl,
}


def one_line(text: str) -> str:
    """Return ``text`` with every line break, tab and control character as a single space.

    Code points that are no characters, such as U+FFFE, which neither YAML nor XML may hold, are dropped.
    """
    return " ".join(_BREAKS.sub(" ", _NO_CHARACTER.sub("", text)).split())


def cited_ids(path: Path) -> list[str]:
    """Return the ids of the papers that an answer saved by ``ask --json`` cites, in order.

    Raise FeedError where the file is no such answer.
    """
    return list(quotes_of(path))


def quotes_of(path: Path) -> dict[str, list[str]]:
    """Return the sentences that a saved answer cites, by paper id. Raise FeedError where it is none."""
    name = visible(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ANSWER_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FeedError(f"{name}: cannot be read: {reason}; give a file written by ask --json") from None
    if len(raw) > MAX_ANSWER_BYTES:
        raise FeedError(f"{name}: too large for an answer; give a file written by ask --json")
    found: dict[str, list[str]] = {}
    try:
        answer: Any = json.loads(raw)
        for citation in answer["citations"]:
            found.setdefault(citation["paper_id"], []).append(str(citation.get("quote", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = {None: []}  # type: ignore[dict-item]  # told below, with the ids that are no text
    if not all(isinstance(paper_id, str) for paper_id in found):
        raise FeedError(f"{name}: not an answer; give a file written by ask --json")
    return found


def write(path: Path, chunks: Iterable[str], *, force: bool = False) -> None:
    """Write ``chunks`` to ``path`` whole or not at all; an existing file is replaced only with ``force``.

    Raise InputError where the place cannot be used, PaperAgentError where writing fails.
    """
    name = visible(str(path))
    if path.is_dir():
        raise InputError(f"--out: cannot write {name}: is a directory; give a file")
    if path.exists() and not path.is_file():
        _write_device(path, chunks)  # such as /dev/full or a named pipe, which cannot be replaced
        return
    if path.exists() and not force:
        raise InputError(f"--out: file exists: {name}; choose another, or add --force")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except OSError as error:
        raise InputError(f"--out: cannot write {name}: {error.strerror}; choose another place") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        _give_usual_mode(temporary)
        Path(temporary).replace(path)
    except OSError as error:
        raise PaperAgentError(f"--out: write failed: {name}: {error.strerror}; nothing was left") from None
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def _give_usual_mode(path: str) -> None:
    """Give a file that mkstemp made private the mode that open() would have given it."""
    mask = os.umask(0)
    os.umask(mask)
    Path(path).chmod(0o666 & ~mask)


def _write_device(path: Path, chunks: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(chunks)
    except OSError as error:
        raise PaperAgentError(f"--out: write failed: {visible(str(path))}: {error.strerror}") from None
