"""Hugging Face's Daily Papers: the API's JSON, and the page saved as text.

In the JSON of ``/api/daily_papers``, fields are in ``item["paper"]`` or, in older and in single-paper
responses, in the item itself.

The saved page has a header and then, for each paper, the title, a blank line and the abstract, without ids or
dates. The header varies, and so do the blank lines between papers; an abstract may be truncated,
hard-wrapped, split into paragraphs, or missing. So lines are joined into blocks, and each block is classified
as title or prose by its look and, if they differ within the page, by the gaps before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids
from paperagent.feeds.formats import DAILY_PAPERS, HF_DAILY
from paperagent.feeds.record import (
    MAX_ABSTRACT_LENGTH,
    MAX_TITLE_LENGTH,
    FeedEntry,
    InvalidRecordError,
    JsonObject,
    clean_abstract,
    clean_count,
    clean_names,
    clean_title,
    require_arxiv_id,
    says_withdrawn,
    sorted_flags,
)
from paperagent.text.sanitize import clean_text
from paperagent.types import Paper, Skipped

TRUNCATED_BY_PAGE = "cut"
"""The flag of an abstract that ends in an ellipsis."""

_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_HEADER = re.compile(
    rf"""new | subscribe | get\ trending\ papers\b.* | (?:daily|weekly|monthly|trending)\ papers
       | by\ ?ak\ and\ the\ research\ community | by\ paperagent:.*
       | (?:{_MONTH})[a-z]*\.?\ \d{{1,2}}(?:,?\ \d{{4}})? | today | yesterday""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER_DAY = re.compile(rf"({_MONTH})[a-z]*\.? (\d{{1,2}})(?:,? (\d{{4}}))?", re.IGNORECASE | re.ASCII)
_MAX_HEADER_LINES = 40
_BY_LINE = re.compile(r"by(?: |[A-Z]).{0,118}")
_UNMISTAKABLE = re.compile(
    r"get trending papers\b.*|daily papers|by ?ak and .*|by paperagent:.*", re.IGNORECASE
)
"""Header lines that never occur elsewhere."""
_MAX_WRAP_COLUMN = 200
"""No editor wraps at more columns; a longer line is a whole paragraph."""
_MIN_PROSE_LENGTH = 300
_LONG_TITLE = 160
_MAX_LINES = 1_000_000
_MIN_PAIRS = 3
"""Fewer titles with abstracts could be any text, such as notes with headings."""
_MAX_CHECKED_PAIRS = 20
_MIN_TITLE_WORDS = 5
_MIN_PAGE_ABSTRACT_LENGTH = 250
_MIN_RESEARCH_WORDS = 4
_RESEARCH_WORD = re.compile(
    r"""\b(?:accura|algorithm|analy[sz]|approach|associate|association|baseline|benchmark|cells?|clinical|compar
      |control|correlat|data|dataset|demonstrate|distribut|domain|effect|error|estimat|evaluat|evidence|experiment
      |express|finding|framework|function|gene|generate|generation|hypothes|identif|introduc|investigat|learn
      |measur|mechanism|method|model|network|novel|observe|observation|optimi[sz]|parameter|patient|percent|perform
      |predict|present|problem|propos|protein|prove|question|random|regulat|respon|result|sample|score|show
      |signal|significant|structure|structural|stud(?:y|ies)|system|task|test|theor|train|treatment|trial)""",
    re.VERBOSE | re.IGNORECASE,
)
"""Beginnings of words in research. 99% of 7,400 arXiv abstracts and 96% of 5,183 medical ones have four."""
_PERSONAL = re.compile(
    r"""\b(?:you|your|my|me
      | I\ (?:am|was|have|had|did|do|use[ds]?|want|get|got|need|think|would|will|can|ran|like)
      | yesterday | (?:last|next|this)\ (?:week|month) | (?:mon|tues|wednes|thurs|fri|satur|sun)day)\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""Words in notes, questions and reports. 0.4% of these abstracts have one."""
_HEADING = re.compile(
    r"""[\W_]*+(?: \d++(?:\.\d++)*+[.):]?\s | v?\d++\.\d | (?:re|fwd?|q|a|todo|note)\s*+:
          | (?:chapter|section|part|day|week|session|step|item|agenda|question|release)\s*+
            (?:[\d:.\#]|[ivxlc]++\b) )
      | .*:\Z | .*\b\d{4}-\d\d-\d\d\b | .*\b\d\d?:\d\d\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""A heading of notes, chapters, mails or logs, which is not the title of a paper."""
_SENTENCE_BREAK = re.compile(r"[.!?][)\]\"'’”]?\s+[A-Z0-9\[(]")
_SENTENCE_END = re.compile(r"(?:[.!…]|\.\.\.)[)\]\"'’”]?$")


def convert(item: JsonObject) -> Paper:
    """Convert one item of the API. ``submittedOnDailyAt``, not ``publishedAt``, is the day it was listed."""
    flags: set[str] = set()
    inner = item.get("paper")
    layers = [inner, item] if isinstance(inner, dict) else [item]

    def value_of(key: str) -> Any:
        return next((layer[key] for layer in layers if layer.get(key) not in (None, "")), None)

    arxiv = require_arxiv_id(value_of("id"))
    title = clean_title(value_of("title"), flags)
    abstract = clean_abstract(value_of("summary"), flags)
    return Paper(
        paper_id=arxiv.id,
        title=title,
        abstract=abstract,
        authors=clean_names(_author_names(value_of("authors")), flags),
        published=dates.parse_day(value_of("publishedAt"), flags),
        listed=dates.parse_day(value_of("submittedOnDailyAt"), flags),
        url=ids.arxiv_url(arxiv.id),
        arxiv_id=arxiv.id,
        version=arxiv.version,
        sources=(HF_DAILY,),
        upvotes=clean_count(value_of("upvotes")),
        withdrawn=says_withdrawn(abstract),
        flags=sorted_flags(flags),
    )


def _author_names(authors: Any) -> list[Any]:
    if not isinstance(authors, list):
        return []
    return [author.get("name") if isinstance(author, dict) else author for author in authors]


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Consecutive non-blank lines of a page, joined."""

    line: int
    text: str
    gap: int
    """Blank lines before the block."""
    is_prose: bool
    """Whether it looks like an abstract rather than a title."""


def parse_page(text: str, label: str) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each title of a saved page.

    Raises:
        FeedError: the text is too long for a page.
    """
    if text.count("\n") > _MAX_LINES:
        raise FeedError(f"{label}: more than {_MAX_LINES:,} lines; it is not a Daily Papers page")
    for title, abstract in _PageLayout(_split_blocks(text)).pairs():
        try:
            yield _page_paper(title.text, abstract)
        except InvalidRecordError as error:
            yield Skipped(f"line {title.line}", error.reason)


def header_note(text: str) -> str | None:
    """Return advice to date the page with ``--date`` if its header contains a day, else None."""
    for line in (line.strip() for line in text[:4_000].splitlines()[:_MAX_HEADER_LINES]):
        if match := _HEADER_DAY.fullmatch(line):
            day = dates.latest_day(match[1], match[2], match[3])
            return f"the page's header says {line}; to date its papers, add --date {day}" if day else None
        if line and not _HEADER.fullmatch(line) and not _BY_LINE.fullmatch(line):
            return None
    return None


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with the header of a saved page."""
    lines = [line.strip() for line in text[:4_000].splitlines() if line.strip()]
    return any(_UNMISTAKABLE.fullmatch(line) for line in lines[:12])


def has_pairs(text: str) -> bool:
    """Return whether ``text`` consists of several titles of papers, each with an abstract, and nothing else.

    Without its header, a page looks like notes, minutes or chapters. So three of four titles must be longer
    than a heading, and three of four abstracts must contain typical words of research.
    """
    pairs = list(islice(_PageLayout(_split_blocks(text)).pairs(), _MAX_CHECKED_PAIRS))
    if len(pairs) < _MIN_PAIRS or not all(
        not title.is_prose and len(abstract) >= 150 and _is_prose(abstract) for title, abstract in pairs
    ):
        return False
    return 4 * sum(_is_paper(title.text, abstract) for title, abstract in pairs) >= 3 * len(pairs)


def _is_paper(title: str, abstract: str) -> bool:
    if len(title.split()) < _MIN_TITLE_WORDS or _HEADING.match(title[:MAX_TITLE_LENGTH]):
        return False
    abstract = abstract[:MAX_ABSTRACT_LENGTH]
    words = {match.lower() for match in _RESEARCH_WORD.findall(abstract)}
    is_long = len(abstract) >= _MIN_PAGE_ABSTRACT_LENGTH
    return is_long and len(words) >= _MIN_RESEARCH_WORDS and not _PERSONAL.search(abstract)


def render_page(entries: list[tuple[str, str]], *, by: str = "by AK and the research community") -> str:
    """Return titles and abstracts as a page that `parse_page` reads."""
    header = ["new", "Get trending papers in your email inbox!", "Subscribe", "Daily Papers", by]
    return "\n\n".join([*header, *(part for entry in entries for part in entry)]) + "\n"


def _page_paper(title: str, abstract: str) -> Paper:
    flags: set[str] = set()
    title, abstract = clean_title(title, flags), clean_abstract(abstract, flags)
    if abstract.endswith(("…", "...")):
        flags.add(TRUNCATED_BY_PAGE)
    return Paper(
        paper_id=ids.content_id(title, abstract),
        title=title,
        abstract=abstract,
        sources=(DAILY_PAPERS,),
        flags=sorted_flags(flags),
    )


def _split_lines(text: str) -> list[str]:
    text = text.replace("\r\n", "\n")
    return (text if "\n" in text else text.replace("\r", "\n")).split("\n")


def _split_blocks(text: str) -> list[TextBlock]:
    """Return the blocks of a page without header lines, which joined pages have in the middle too."""
    blocks: list[TextBlock] = []
    pending: list[str] = []
    gap, has_by_line = 0, False
    for number, line in enumerate([*_split_lines(text), ""], start=1):
        stripped = line.strip()
        is_header = bool(_HEADER.fullmatch(stripped))
        if not is_header and not blocks and not pending and not has_by_line:
            is_header = has_by_line = bool(_BY_LINE.fullmatch(stripped))
        if stripped and not is_header:
            pending.append(line)
            continue
        if pending:
            blocks += _join_lines(pending, number - len(pending), gap)
            pending, gap = [], 0
        gap = 0 if is_header else gap + 1
    return blocks


def _join_lines(lines: list[str], number: int, gap: int) -> list[TextBlock]:
    """Join hard-wrapped lines; if one is too long to be wrapped, each line becomes a block of its own."""
    if any(len(line) > _MAX_WRAP_COLUMN for line in lines):
        return [TextBlock(number + i, line, 1 if i else gap, _is_prose(line)) for i, line in enumerate(lines)]
    text = " ".join(lines)
    return [TextBlock(number, text, gap, _is_prose(text))]


class _PageLayout:
    """Classifies the blocks of a page as titles and paragraphs of abstracts."""

    def __init__(self, blocks: list[TextBlock]) -> None:
        self.blocks = blocks
        gaps = [block.gap for block in blocks[1:]]
        wide_gaps = sum(gap > 1 for gap in gaps)
        # Whether papers are further apart than their parts: as many wide gaps as papers, not a stray one.
        self.has_wide_gaps = 0 < wide_gaps < len(gaps) and 3 * wide_gaps >= len(gaps) - wide_gaps
        self.has_prose = any(block.is_prose for block in blocks)

    def pairs(self) -> Iterator[tuple[TextBlock, str]]:
        """Yield each title with its abstract, or with "" if there is none."""
        index = 0
        while index < len(self.blocks):
            title, index = self.blocks[index], index + 1
            start = index
            if self._starts_abstract(index):
                index += 1
                while self._continues_abstract(index):
                    index += 1
            yield title, "\n".join(block.text for block in self.blocks[start:index])

    def _starts_abstract(self, index: int) -> bool:
        """Return whether the block after a title is its abstract rather than the next title."""
        if index >= len(self.blocks):
            return False
        block = self.blocks[index]
        if block.is_prose or self.has_wide_gaps:
            return block.is_prose or block.gap < 2
        # Before prose, a short block is the title of the next paper. Otherwise it is a cut abstract, unless
        # it could as well be one of several titles in a row.
        if self._is_prose_at(index + 1):
            return False
        return len(block.text) >= _LONG_TITLE or not self.has_prose

    def _continues_abstract(self, index: int) -> bool:
        """Return whether the block after an abstract belongs to it rather than being the next title."""
        if index >= len(self.blocks):
            return False
        block = self.blocks[index]
        if self.has_wide_gaps:
            is_title = not block.is_prose and self._is_prose_at(index + 1) and self.blocks[index + 1].gap < 2
            return block.gap < 2 and not is_title
        if not block.is_prose:
            return False
        is_short = len(block.text) <= _MAX_WRAP_COLUMN
        is_one_sentence = len(block.text) <= MAX_TITLE_LENGTH and not _SENTENCE_BREAK.search(block.text)
        longer_follows = self._is_prose_at(index + 1) and len(self.blocks[index + 1].text) > len(block.text)
        return not (longer_follows and (is_short or is_one_sentence))

    def _is_prose_at(self, index: int) -> bool:
        return index < len(self.blocks) and self.blocks[index].is_prose


def _is_prose(text: str) -> bool:
    text = clean_text(text)
    if len(text) >= _MIN_PROSE_LENGTH:
        return True
    return (len(text) >= 20 and bool(_SENTENCE_END.search(text))) or (
        len(text) >= 150 and bool(_SENTENCE_BREAK.search(text))
    )
