"""Format untrusted text for emails: readable, on one line, of bounded length, without hidden characters."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote, urlsplit

from paperagent.answering.citations import escape_markers
from paperagent.text.readable import readable
from paperagent.text.sanitize import limit_combining_marks, safe_url, strip_controls
from paperagent.types import Paper

LINKED_HOSTS = frozenset(
    """arxiv.org www.arxiv.org doi.org dx.doi.org huggingface.co openreview.net aclanthology.org
    proceedings.mlr.press biorxiv.org www.biorxiv.org medrxiv.org www.medrxiv.org""".split()
)
"""Hosts that a paper's own link may lead to; any other address in a feed is shown as text."""
MAX_TITLE, MAX_SENTENCE, MAX_NAME = 300, 1200, 80
MAX_QUOTE = 4_000
"""Maximum characters of a sentence shown for comparison with a claim; real sentences are shorter."""
_MAX_URL, _MAX_SEARCH = 300, 150
"""Maximum characters of a link, and of a title in the address of a search."""
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0e\U000e0100-\U000e01ef]")


@lru_cache(maxsize=8192)
def clean_text(text: str, limit: int = MAX_SENTENCE) -> str:
    """Return ``text`` without LaTeX, on one line, of at most ``limit`` characters.

    Control characters become spaces. Invisible, reordering and stacked characters are removed. Text
    such as ``[3]`` is changed so that it does not look like a citation marker.
    """
    return cut(escape_markers(one_line(readable(one_line(text)))), limit)


def one_line(text: str) -> str:
    """Return ``text`` on one line with single spaces, without control and invisible characters."""
    if not text.isascii():
        text = limit_combining_marks(_VARIATION_SELECTORS.sub("", text), 3)
    return " ".join(strip_controls(text, keep_unassigned=False).split())


def cut(text: str, limit: int) -> str:
    """Return ``text``, or its start with ``…`` in at most ``limit`` characters, cut between words."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    word = head.rfind(" ")
    return (head[:word] if word > limit // 2 else head).rstrip(" ,;:–—-") + "…"


def paper_url(paper: Paper) -> str | None:
    """Return the paper's URL if it is plain HTTP(S) and not too long, or else the URL of its id."""
    return next(_paper_urls(paper), None)


def known_url(paper: Paper) -> str | None:
    """Return the first URL of a paper, its own or that of its id, that leads to a known site for papers."""
    return next(filter(is_linkable, _paper_urls(paper)), None)


def is_linkable(url: str) -> bool:
    """Return whether ``url`` leads to a known site for papers."""
    return urlsplit(url).hostname in LINKED_HOSTS


def _paper_urls(paper: Paper) -> Iterator[str]:
    by_arxiv_id = f"https://arxiv.org/abs/{paper.arxiv_id}" if paper.arxiv_id else None
    by_doi = f"https://doi.org/{paper.doi}" if paper.doi else None
    for url in map(safe_url, (paper.url, by_arxiv_id, by_doi)):
        if url and len(url) <= _MAX_URL:
            yield url


def search_url(title: str) -> str:
    """Return the address of a search for a title on Google Scholar."""
    return f"https://scholar.google.com/scholar?q={quote(clean_text(title, _MAX_SEARCH), safe='')}"


def paper_identifier(paper: Paper) -> str:
    """Return the paper's arXiv id, DOI or host, or an empty string."""
    if paper.arxiv_id:
        return f"arXiv:{clean_text(paper.arxiv_id, 40)}"
    if paper.doi:
        return f"doi:{clean_text(paper.doi, 80)}"
    return urlsplit(paper_url(paper) or "").hostname or ""


def format_authors(names: Sequence[str]) -> str:
    """Return up to three names, then ``et al.``; arXiv's ``:`` after a collaboration is no name."""
    names = [name for name in names if any(map(str.isalnum, name))]
    first = ", ".join(clean_text(name, MAX_NAME) for name in names[:3])
    return f"{first} et al." if len(names) > 3 else first


def format_day(value: dt.date | None) -> str:
    """Return a day as ``24 June 2026``."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}" if value else ""


def format_days(since: dt.date, until: dt.date) -> str:
    """Return a range of days in its shortest form, such as ``22–28 June 2026`` or ``June 2026``."""
    if since == until:
        return format_day(since)
    if since.day == 1 and until == since.replace(day=calendar.monthrange(since.year, since.month)[1]):
        return f"{_MONTHS[since.month - 1]} {since.year}"
    if (since.year, since.month) == (until.year, until.month):
        return f"{since.day}–{format_day(until)}"
    if since.year == until.year:
        return f"{since.day} {_MONTHS[since.month - 1]} – {format_day(until)}"
    return f"{format_day(since)} – {format_day(until)}"


def format_days_briefly(since: dt.date, until: dt.date) -> str:
    """Return a range of days without its year, such as ``22–28 June``; a month or another year with it."""
    text = format_days(since, until)
    if since.year != until.year or not text[0].isdigit():
        return text
    return text.removesuffix(f" {until.year}")


_MONTHS = "January February March April May June July August September October November December".split()
"""Not those of strftime, which depend on the locale."""
