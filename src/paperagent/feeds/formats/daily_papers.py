"""The Daily Papers page, saved as text: a header, then title, blank line, abstract, again and again.

The page has no ids and no dates for each paper. Its header varies, as do the blank lines between papers;
an abstract may be cut, hard-wrapped or in several paragraphs, and a title may stand without one. So lines
are joined into blocks, and a block is told to be a title or prose by its look, and by the gaps where those
differ within the page.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from paperagent.errors import FeedError
from paperagent.feeds import ids
from paperagent.feeds.record import (
    TITLE_LIMIT,
    FeedEntry,
    InvalidRecordError,
    clean_abstract,
    clean_title,
    flags,
)
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

NAME = "daily-papers"
CUT = "cut"

_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_HEADER = re.compile(
    rf"""new | subscribe | get\ trending\ papers\b.* | (?:daily|weekly|monthly|trending)\ papers
       | by\ ?ak\ and\ the\ research\ community | by\ paperagent:.*
       | (?:{_MONTH})[a-z]*\.?\ \d{{1,2}}(?:,?\ \d{{4}})? | today | yesterday""",
    re.VERBOSE | re.IGNORECASE,
)
_BY_LINE = re.compile(r"by(?: |[A-Z]).{0,118}")
_SURE = re.compile(r"get trending papers\b.*|daily papers|by ?ak and .*|by paperagent:.*", re.IGNORECASE)
_WRAPPED = 200
"""No editor wraps at more columns: a longer line is a whole paragraph."""
_PROSE = 300
_LONG_TITLE = 160
_MOST_LINES = 1_000_000
_SENTENCES = re.compile(r"[.!?][)\]\"'’”]?\s+[A-Z0-9\[(]")
_ENDED = re.compile(r"(?:[.!…]|\.\.\.)[)\]\"'’”]?$")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines without a blank one between them, joined; ``gap`` blank lines stand before it."""

    line: int
    text: str
    gap: int
    prose: bool
    """Whether it reads like an abstract rather than a title."""


def papers(text: str, label: str, *, listed: dt.date | None = None) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each title. ``listed`` is the day of the page."""
    if text.count("\n") > _MOST_LINES:
        raise FeedError(f"{label}: more than {_MOST_LINES:,} lines; it is not a Daily Papers page")
    for title, abstract in _Page(_blocks(text)).pairs():
        try:
            yield _paper(title.text, abstract, listed)
        except InvalidRecordError as bad:
            yield Skipped(f"line {title.line}", bad.reason)


def looks_like(text: str) -> bool:
    """Tell whether ``text`` is a page: by its header or, without one, by strict title and abstract pairs."""
    lines = [line.strip() for line in text[:4_000].splitlines() if line.strip()]
    if any(_SURE.fullmatch(line) for line in lines[:12]):
        return True
    if text.count("\n") > _MOST_LINES:
        return False
    pairs = list(_Page(_blocks(text)).pairs())
    return bool(pairs) and all(
        not title.prose and len(abstract) >= 150 and _prose(abstract) for title, abstract in pairs
    )


def render(entries: list[tuple[str, str]], *, by: str = "by AK and the research community") -> str:
    """Return titles and abstracts as a page that `papers` reads."""
    header = ["new", "Get trending papers in your email inbox!", "Subscribe", "Daily Papers", by]
    return "\n\n".join([*header, *(part for entry in entries for part in entry)]) + "\n"


def check(entries: list[FeedEntry], label: str) -> list[FeedEntry]:
    """Return the entries; raise FeedError where none is a paper."""
    if not any(isinstance(entry, Paper) for entry in entries):
        raise FeedError(f"{label}: a Daily Papers page without a paper; save the whole page as text")
    return entries


def _paper(title: str, abstract: str, listed: dt.date | None) -> Paper:
    noticed: set[str] = set()
    title, abstract = clean_title(title, noticed), clean_abstract(abstract, noticed)
    if abstract.endswith(("…", "...")):
        noticed.add(CUT)
    return Paper(
        paper_id=ids.content_id(title, abstract),
        title=title,
        abstract=abstract,
        listed=listed,
        sources=(NAME,),
        flags=flags(noticed),
    )


def _lines(text: str) -> list[str]:
    text = text.replace("\r\n", "\n")
    return (text if "\n" in text else text.replace("\r", "\n")).split("\n")


def _blocks(text: str) -> list[TextBlock]:
    """Return the blocks below the header; header lines further down (pages joined) go as well."""
    blocks: list[TextBlock] = []
    waiting: list[str] = []
    gap, by_line = 0, False
    for number, line in enumerate([*_lines(text), ""], start=1):
        shown = line.strip()
        header = bool(_HEADER.fullmatch(shown))
        if not header and not blocks and not waiting and not by_line:
            header = by_line = bool(_BY_LINE.fullmatch(shown))
        if shown and not header:
            waiting.append(line)
            continue
        if waiting:
            blocks += _split(waiting, number - len(waiting), gap)
            waiting, gap = [], 0
        gap = 0 if header else gap + 1
    return blocks


def _split(lines: list[str], number: int, gap: int) -> list[TextBlock]:
    """Join hard-wrapped lines; where a line is too long to be wrapped, each line is a block of its own."""
    if any(len(line) > _WRAPPED for line in lines):
        return [TextBlock(number + i, line, 1 if i else gap, _prose(line)) for i, line in enumerate(lines)]
    text = " ".join(lines)
    return [TextBlock(number, text, gap, _prose(text))]


class _Page:
    """The blocks of a page, told apart into titles and paragraphs of abstracts."""

    def __init__(self, blocks: list[TextBlock]) -> None:
        self.blocks = blocks
        gaps = [block.gap for block in blocks[1:]]
        far = sum(gap > 1 for gap in gaps)
        # More blank lines between papers than within one: as many wide gaps as papers, not a stray one.
        self.wide = 0 < far < len(gaps) and 3 * far >= len(gaps) - far
        self.has_prose = any(block.prose for block in blocks)

    def pairs(self) -> Iterator[tuple[TextBlock, str]]:
        """Yield each title with its abstract, which is "" where there is none."""
        at = 0
        while at < len(self.blocks):
            title, at = self.blocks[at], at + 1
            start = at
            if self._is_abstract(at):
                at += 1
                while self._goes_on(at):
                    at += 1
            yield title, "\n".join(block.text for block in self.blocks[start:at])

    def _is_abstract(self, at: int) -> bool:
        """Tell whether the block after a title is its abstract, rather than the next title."""
        if at >= len(self.blocks):
            return False
        block = self.blocks[at]
        if block.prose or self.wide:
            return block.prose or block.gap < 2
        # A short block is the next paper's title when prose follows it; else it is a cut abstract,
        # unless it could as well be one of several titles in a row.
        if self._prose_at(at + 1):
            return False
        return len(block.text) >= _LONG_TITLE or not self.has_prose

    def _goes_on(self, at: int) -> bool:
        """Tell whether the block after an abstract belongs to it, rather than being the next title."""
        if at >= len(self.blocks):
            return False
        block = self.blocks[at]
        if self.wide:
            title = not block.prose and self._prose_at(at + 1) and self.blocks[at + 1].gap < 2
            return block.gap < 2 and not title
        if not block.prose:
            return False
        short = len(block.text) <= _WRAPPED
        one_sentence = len(block.text) <= TITLE_LIMIT and not _SENTENCES.search(block.text)
        longer = self._prose_at(at + 1) and len(self.blocks[at + 1].text) > len(block.text)
        return not (longer and (short or one_sentence))

    def _prose_at(self, at: int) -> bool:
        return at < len(self.blocks) and self.blocks[at].prose


def _prose(text: str) -> bool:
    """Tell whether a block reads like an abstract rather than a title."""
    text = clean_text(text)
    if len(text) >= _PROSE:
        return True
    return (len(text) >= 20 and bool(_ENDED.search(text))) or (
        len(text) >= 150 and bool(_SENTENCES.search(text))
    )
