"""Write papers as BibTeX, RIS, Markdown, JSON Lines or notes, and write files atomically."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from paperagent.errors import FeedError, InputError, PaperAgentError, visible
from paperagent.layout import public_date
from paperagent.text.readable import readable
from paperagent.text.sanitize import LINE_BREAKING, safe_markdown, safe_note, safe_url
from paperagent.types import PARTIAL_DATE, Paper

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_MAX_KEY_PART = 40
"""Characters of an author or title word in a BibTeX key."""
_LATEX = {
    "\\": r"\textbackslash{}",
    # BibTeX counts braces even if they are escaped with a backslash.
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
_BREAKS = re.compile(f"[{LINE_BREAKING}\ud800-\udfff]")
_NONCHARACTERS_AT_PLANE_ENDS = "".join(
    chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)
)
_NONCHARACTER = re.compile(rf"[\ufdd0-\ufdef{_NONCHARACTERS_AT_PLANE_ENDS}]")
"""Unicode's 66 noncharacters."""
_KEY_STOPWORDS = frozenset(
    "a an the on of for in to and with from via towards toward is are how what when why do does".split()
)


def bibtex(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield a BibTeX entry for each paper; the keys are unique."""
    keys: set[str] = set()
    for paper in papers:
        fields = {
            "title": f"{{{latex(readable(paper.title))}}}",
            "author": " and ".join(_bibtex_name(name) for name in paper.authors),
            "year": _year(paper),
            "month": str(paper.published.month) if paper.published and _has_month(paper) else "",
            "eprint": latex(paper.arxiv_id or ""),
            "archiveprefix": "arXiv" if paper.arxiv_id else "",
            "primaryclass": latex(paper.categories[0]) if paper.arxiv_id and paper.categories else "",
            "doi": latex(paper.doi or ""),
            "url": safe_url(paper.url) or "",
            "note": paper.taken_back,
            "abstract": latex(readable(paper.abstract)),
        }
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        yield f"@misc{{{_unique_key(paper, keys)},\n{body}}}\n\n"


def _year(paper: Paper) -> str:
    """Return the year of publication, or nothing; the day of listing in a feed is not that of publication."""
    return str(paper.published.year) if paper.published else ""


def _has_month(paper: Paper) -> bool:
    """Return whether the month of publication is known, or is only the first one of a year."""
    return paper.published is not None and (paper.published.month > 1 or PARTIAL_DATE not in paper.flags)


def latex(text: str) -> str:
    """Return ``text`` on one line, with the special characters of LaTeX and BibTeX escaped."""
    return _LATEX_SPECIAL.sub(lambda m: _LATEX[m[0]], one_line(text))


def _bibtex_name(name: str) -> str:
    escaped = latex(name)
    # BibTeX would split a name such as "Research and Development" at "and".
    return f"{{{escaped}}}" if re.search(r"\band\b", escaped, re.IGNORECASE) else escaped


def _unique_key(paper: Paper, keys: set[str]) -> str:
    first = paper.authors[0] if paper.authors else ""
    family = first.partition(",")[0] if "," in first else (first.split() or [""])[-1]
    words = (_ascii(w) for w in readable(paper.title).split())
    word = next((w for w in words if len(w) > 1 and w not in _KEY_STOPWORDS), "")
    # Some BibTeX parsers limit the length of a key, and a title may be one long word.
    base = f"{_ascii(family)[:_MAX_KEY_PART]}{_year(paper)}{word[:_MAX_KEY_PART]}" or "paper"
    key, number = base, 1
    while key in keys:
        number += 1
        key = f"{base}-{number}"
    keys.add(key)
    return key


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)


def ris(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield a RIS record for each paper. Every value is on one line, so none can start a new tag."""
    for paper in papers:
        tags = [
            ("TY", "GEN"),
            ("ID", paper.paper_id),
            ("TI", readable(paper.title)),
            *(("AU", name) for name in paper.authors),
            ("PY", _year(paper)),
            ("DA", _ris_date(paper)),
            ("AN", f"arXiv:{paper.arxiv_id}" if paper.arxiv_id else ""),
            ("DO", paper.doi or ""),
            ("UR", safe_url(paper.url) or ""),
            *(("KW", category) for category in paper.categories),
            ("N1", paper.taken_back),
            ("AB", readable(paper.abstract)),
        ]
        lines = [f"{tag}  - {one_line(value)}\r\n" for tag, value in tags if value]
        yield "".join(lines) + "ER  - \r\n\r\n"


def _ris_date(paper: Paper) -> str:
    """Return the day of publication as ``2026/06/25``, or ``2026/06//`` if only the month is known."""
    if paper.published is None or not _has_month(paper):
        return ""
    return f"{paper.published:%Y/%m/}" + ("/" if PARTIAL_DATE in paper.flags else f"{paper.published:%d}")


def markdown(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield a Markdown section for each paper."""
    for paper in papers:
        url = safe_url(paper.url)
        about = [", ".join(paper.authors), public_date(paper), paper.paper_id, paper.taken_back]
        line = " · ".join([safe_markdown(a) for a in about if a] + ([f"<{url}>"] if url else []))
        title, abstract = (safe_markdown(readable(text)) for text in (paper.title, paper.abstract))
        yield f"## {title}\n\n{line}\n\n{abstract}\n\n"


def jsonl(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield a line of JSON for each paper, which `ingest` can read back without loss."""
    from paperagent.feeds.formats.jsonl import dump

    yield from (dump(paper) + "\n" for paper in papers)


FORMATS: dict[str, Callable[[Iterable[Paper]], Iterator[str]]] = {
    "bibtex": bibtex,
    "ris": ris,
    "markdown": markdown,
    "jsonl": jsonl,
}


def one_line(text: str) -> str:
    """Return ``text`` with each run of line breaks, tabs and control characters replaced by a space.

    Noncharacters such as U+FFFE, which neither YAML nor XML allows, are dropped.
    """
    return " ".join(_BREAKS.sub(" ", _NONCHARACTER.sub("", text)).split())


def cited_quotes(path: Path) -> dict[str, list[str]]:
    """Return the sentences cited by an answer saved with ``ask --json``, by paper id in citation order.

    Raises:
        FeedError: The file cannot be read or is not such an answer.
    """
    name = visible(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ANSWER_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FeedError(f"{name}: cannot be read: {reason}; give a file written by 'ask --json'") from None
    if len(raw) > MAX_ANSWER_BYTES:
        raise FeedError(f"{name}: too large for an answer; give a file written by 'ask --json'")
    quotes: dict[str, list[str]] = {}
    try:
        answer: Any = json.loads(raw)
        for citation in answer["citations"]:
            quotes.setdefault(citation["paper_id"], []).append(str(citation.get("quote", "")))
        valid = all(isinstance(paper_id, str) for paper_id in quotes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        valid = False
    if not valid:
        raise FeedError(f"{name}: not an answer; give a file written by 'ask --json'")
    return quotes


def write(path: Path, chunks: Iterable[str], *, force: bool = False) -> None:
    """Write a file atomically: either all ``chunks`` or nothing.

    Args:
        path: The file. A device or named pipe is written directly.
        chunks: The text.
        force: Replace an existing file.

    Raises:
        InputError: The file exists, or its folder is not writable.
        PaperAgentError: Writing fails.
    """
    name = visible(str(path))
    if path.is_dir():
        raise InputError(f"--out: cannot write {name}: is a folder; give a file")
    if path.exists() and not path.is_file():
        _write_device(path, chunks)  # such as /dev/stdout or a named pipe
        return
    if path.exists() and not force:
        raise InputError(f"--out: file exists: {name}; choose another name, or use --force")
    try:
        handle, temporary = tempfile.mkstemp(prefix=".paperagent-", dir=path.parent)
    except OSError as error:
        raise InputError(f"--out: cannot write {name}: {error.strerror}; choose another place") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        _set_default_mode(temporary)
        Path(temporary).replace(path)
    except OSError as error:
        raise PaperAgentError(f"--out: write failed: {name}: {error.strerror}; no file was written") from None
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def _set_default_mode(path: str) -> None:
    """Set the mode that open() would have set; mkstemp creates private files."""
    mask = os.umask(0)
    os.umask(mask)
    Path(path).chmod(0o666 & ~mask)


def _write_device(path: Path, chunks: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(chunks)
    except OSError as error:
        raise PaperAgentError(f"--out: write failed: {visible(str(path))}: {error.strerror}") from None


_NOT_IN_FILE_NAMES = re.compile(r"[^\w\s.-]+")
_MAX_NOTE_NAME = 80
_MAX_NOTE_NAME_BYTES = 200
_RESERVED_NAMES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)\s*\.", re.IGNORECASE)
_NOT_IN_TAGS = re.compile(r"[^\w/-]+")


def write_notes(
    folder: Path,
    papers: Iterable[Paper],
    *,
    quotes: Mapping[str, Sequence[str]] | None = None,
    force: bool = False,
) -> tuple[int, int]:
    """Write a Markdown note for each paper, one file each, for example for an Obsidian vault.

    Existing notes are kept, because the user may have edited them.

    Args:
        folder: Created if it is missing.
        papers: The papers.
        quotes: Sentences by paper id, such as those that an answer cites.
        force: Replace existing notes.

    Returns:
        The number of notes written and the number skipped because they exist.

    Raises:
        InputError: The folder cannot be created.
        PaperAgentError: A note cannot be written.
    """
    name = visible(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: cannot create {name}: {error.strerror}; give a folder") from None
    count = skipped = 0
    for paper in papers:
        path = folder / note_file_name(paper)
        if path.exists() and not force:
            skipped += 1
            continue
        if path.is_symlink():
            raise PaperAgentError(f"--out: {visible(str(path))} is a symbolic link; remove it")
        write(path, [note(paper, quotes=(quotes or {}).get(paper.paper_id, ()))], force=force)
        count += 1
    return count, skipped


def note_file_name(paper: Paper) -> str:
    """Return a portable file name: the words of the title and the arXiv id, or a hash of the paper id."""
    plain = unicodedata.normalize("NFKC", readable(one_line(paper.title)))
    words = " ".join(_NOT_IN_FILE_NAMES.sub(" ", plain).split())[:_MAX_NOTE_NAME]
    words = words.encode()[:_MAX_NOTE_NAME_BYTES].decode(errors="ignore").strip(" .-_")
    if _RESERVED_NAMES.match(words):  # Windows reads it as the name of a device
        words = f"paper {words}"
    identifier = paper.arxiv_id or blake2b(paper.paper_id.encode(), digest_size=4).hexdigest()
    return f"{words or 'paper'} ({identifier.replace('/', '-')}).md"


def note(paper: Paper, *, quotes: Sequence[str] = ()) -> str:
    """Return a note: YAML properties, the abstract and the quoted sentences."""
    status = paper.taken_back
    lines = [
        "---",
        *_properties(paper, status),
        "---",
        "",
        f"# {safe_note(readable(one_line(paper.title)))}",
        "",
    ]
    if status:
        lines += [f"> [!warning] This paper was {status}.", ""]
    lines += ["## Abstract", "", safe_note(readable(one_line(paper.abstract))), ""]
    if quotes:
        lines += ["## Quotes", "", *(f"> {safe_note(readable(one_line(quote)))}\n" for quote in quotes)]
    return "\n".join(lines)


def _properties(paper: Paper, status: str) -> list[str]:
    """Return the YAML properties. Every value is JSON, a subset of YAML, so none can end its line."""
    values: dict[str, object] = {
        "title": readable(one_line(paper.title)),
        "authors": [one_line(name) for name in paper.authors],
        "published": paper.published.isoformat() if paper.published else None,
        "listed": paper.listed.isoformat() if paper.listed and not paper.published else None,
        "paper_id": one_line(paper.paper_id),
        "arxiv": paper.arxiv_id,
        "doi": paper.doi,
        "url": safe_url(paper.url),
        "version": paper.version,
        "status": status or None,
        "sources": [one_line(source) for source in paper.sources],
        "tags": ["paper", *(_NOT_IN_TAGS.sub("-", one_line(category)) for category in paper.categories)],
    }
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value]
