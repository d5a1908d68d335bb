"""Papers as Markdown notes, one file each, for a folder of notes such as an Obsidian vault.

A note that is there already is left alone: a person may have written in it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from paperagent.errors import InputError, PaperAgentError, visible
from paperagent.text.sanitize import safe_note, safe_url
from paperagent.types import Paper
from paperagent.ui.export import one_line, write

_NOT_IN_NAMES = re.compile(r"[^\w\s.-]+")
_LONGEST_NAME = 80
_TAG = re.compile(r"[^\w/-]+")


def write_notes(
    folder: Path,
    papers: Iterable[Paper],
    *,
    quotes: Mapping[str, Sequence[str]] | None = None,
    force: bool = False,
) -> tuple[int, int]:
    """Write a note for each paper into ``folder``, made where it is missing; return (written, left alone).

    ``quotes`` holds sentences by paper id, such as those that an answer cites. ``force`` replaces notes.

    Raises:
        InputError: the folder cannot be made. PaperAgentError: a note cannot be written.
    """
    name = visible(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: cannot make {name}: {error.strerror}; give a folder") from None
    written = kept = 0
    for paper in papers:
        path = folder / file_name(paper)
        if path.exists() and not force:
            kept += 1
            continue
        if path.is_symlink():
            raise PaperAgentError(f"--out: {visible(str(path))} is a link; remove it")
        write(path, [note(paper, quotes=(quotes or {}).get(paper.paper_id, ()))], force=force)
        written += 1
    return written, kept


def file_name(paper: Paper) -> str:
    """Return a name that every file system takes: words of the title, then a mark of the paper's id."""
    plain = unicodedata.normalize("NFKC", one_line(paper.title))
    words = " ".join(_NOT_IN_NAMES.sub(" ", plain).split())[:_LONGEST_NAME].strip(" .-_")
    mark = paper.arxiv_id or blake2b(paper.paper_id.encode(), digest_size=4).hexdigest()
    return f"{words or 'paper'} ({mark.replace('/', '-')}).md"


def note(paper: Paper, *, quotes: Sequence[str] = ()) -> str:
    """Return one note: properties, the abstract, and the quoted sentences."""
    gone = paper.taken_back
    lines = ["---", *_properties(paper, gone), "---", "", f"# {safe_note(one_line(paper.title))}", ""]
    if gone:
        lines += [f"> [!warning] This paper was {gone}.", ""]
    lines += ["## Abstract", "", safe_note(one_line(paper.abstract)), ""]
    if quotes:
        lines += ["## Quotes", "", *(f"> {safe_note(one_line(quote))}\n" for quote in quotes)]
    return "\n".join(lines)


def _properties(paper: Paper, gone: str) -> list[str]:
    """Return YAML: every value is written as JSON, of which YAML 1.2 holds all, so none can end its line."""
    values: dict[str, object] = {
        "title": one_line(paper.title),
        "authors": [one_line(name) for name in paper.authors],
        "published": paper.day.isoformat() if paper.day else None,
        "paper_id": one_line(paper.paper_id),
        "arxiv": paper.arxiv_id,
        "doi": paper.doi,
        "url": safe_url(paper.url),
        "version": paper.version,
        "status": gone or None,
        "sources": [one_line(source) for source in paper.sources],
        "tags": ["paper", *(_TAG.sub("-", one_line(category)) for category in paper.categories)],
    }
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value]
