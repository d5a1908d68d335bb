"""Abstracts as the model sees them, and its pointers read back. Pure; no I/O.

Passage 2's third sentence is numbered ``2.3``. The model may only point; what a pointer means
is decided here, from this request's own table, so it is right by construction or dangling.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from paperagent.sentences import split
from paperagent.text import STOP_WORDS
from paperagent.types import Paper, Sentence

_POINTER = re.compile(r"^\s*[\[(]?\s*(\d{1,3})\s*[.:]\s*(\d{1,3})\s*[\])]?\.?\s*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Passages:
    """The passages of one request."""

    papers: tuple[Paper, ...]
    fence: str
    """Begins the lines around the passages; occurs nowhere in them."""
    _sentences: tuple[tuple[Sentence, ...], ...] = field(repr=False, default=())

    @classmethod
    def of(cls, papers: Iterable[Paper], *, salt: str) -> Passages:
        """Return the passages with their sentences numbered.

        The fence depends on the papers and on ``salt``, a secret of the library: whoever wrote
        an abstract cannot know it, and the same request gives the same prompt again.
        """
        held = tuple(papers)
        seed = "\n".join((salt, *(f"{p.paper_id}\n{p.abstract}" for p in held)))
        fence = "=" * 4 + hashlib.sha256(seed.encode()).hexdigest()[:16]
        return cls(held, fence, tuple(tuple(split(p.abstract)) for p in held))

    def text(self) -> str:
        """Return the passages as they stand in the prompt, one sentence a line."""
        blocks = []
        for i, (paper, sentences) in enumerate(zip(self.papers, self._sentences, strict=True), start=1):
            head = f"{self._plain(paper.title)}{_dated(paper)}{' (withdrawn)' if paper.withdrawn else ''}"
            lines = [f"{i}.{j} {self._plain(s.text)}" for j, s in enumerate(sentences, start=1)]
            blocks.append("\n".join([f'[{i}] {head} = "{self._plain(short_name(paper))}"', *lines]))
        return "\n\n".join(blocks)

    def numbered(self, passage: int) -> list[tuple[str, Sentence]]:
        """Return the sentences of a passage with their pointers; none where there is no such passage."""
        if not 1 <= passage <= len(self.papers):
            return []
        return [(f"{passage}.{j}", s) for j, s in enumerate(self._sentences[passage - 1], start=1)]

    @property
    def pointers(self) -> list[str]:
        """The numbers of all sentences, in their order."""
        return [p for i in range(1, len(self.papers) + 1) for p, _ in self.numbered(i)]

    def names(self, text: str) -> bool:
        """Tell whether ``text`` is nothing but the title or the short name of a passage."""
        alone = _letters(text)
        return any(alone in (_letters(p.title), _letters(short_name(p))) for p in self.papers)

    def _plain(self, text: str) -> str:
        """Put text on one line, so that it cannot begin a line of its own, without the fence."""
        return _CONTROL.sub(" ", text).replace(self.fence, "")

    def resolve(self, pointer: str) -> tuple[Paper, Sentence] | None:
        """Return what ``pointer`` points at, or None where it dangles."""
        match = _POINTER.match(pointer)
        if match is None:
            return None
        paper, sentence = int(match.group(1)), int(match.group(2))
        if not 1 <= paper <= len(self.papers) or not 1 <= sentence <= len(self._sentences[paper - 1]):
            return None
        return self.papers[paper - 1], self._sentences[paper - 1][sentence - 1]

    def extended(self, papers: Sequence[Paper], *, salt: str) -> Passages:
        """Return these passages with new papers behind them; numbers already given stay."""
        known = {p.paper_id for p in self.papers}
        return Passages.of((*self.papers, *(p for p in papers if p.paper_id not in known)), salt=salt)


def short_name(paper: Paper) -> str:
    """Return what a paper may be called in a sentence: its system's name, or the first words of its title."""
    head, colon, _ = paper.title.partition(":")
    first = head.split()
    if colon and len(first) <= _NAME_WORDS:
        return head.strip()
    introduced = _INTRODUCED.search(paper.abstract)
    if introduced and paper.abstract.count(introduced[1]) > 1:
        return introduced[1]
    first = first[:_NAME_WORDS]
    while len(first) > 1 and first[-1].lower() in STOP_WORDS:
        first.pop()
    return " ".join(first)


_NAME_WORDS = 4
_INTRODUCED = re.compile(
    r"\b(?:called|named|dubbed|termed|propose|introduce|present|release)s?\b[\w ,'’-]{0,40}?"
    r"\(?\b(?=[\w^+-]{2,20}\b)([A-Z][a-z]*[A-Z0-9^][\w^+]*)\b"
)
"""A name with two capitals, soon after a word by which authors introduce what they made."""


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _dated(paper: Paper) -> str:
    day = paper.published or paper.listed  # not the day on which this library first saw it
    return f" ({day.isoformat()})" if day else ""
