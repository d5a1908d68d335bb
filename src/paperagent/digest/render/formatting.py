"""Make what strangers wrote fit to be shown in a mail: readable, on one line, bounded, without tricks."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from paperagent.answering.citations import escape_markers
from paperagent.text.latex import latex_to_text
from paperagent.text.sanitize import limit_combining_marks, safe_url, strip_controls
from paperagent.types import Paper

LINKED_HOSTS = frozenset(
    """arxiv.org www.arxiv.org doi.org dx.doi.org huggingface.co openreview.net aclanthology.org
    proceedings.mlr.press biorxiv.org www.biorxiv.org medrxiv.org www.medrxiv.org""".split()
)
"""Where a paper's link may lead; any other address of a feed is shown as text, and nothing is clickable."""
MAX_TITLE, MAX_SENTENCE, MAX_NAME = 300, 1200, 80
MAX_QUOTE = 4_000
"""Of a sentence that a claim is to be compared with: longer than any that a person wrote."""
_MAX_URL = 300
_SELECTORS = re.compile("[\ufe00-\ufe0e\U000e0100-\U000e01ef]")


@lru_cache(maxsize=8192)
def clean_text(text: str, limit: int = MAX_SENTENCE) -> str:
    """Return ``text`` without LaTeX, on one line, of at most ``limit`` characters.

    Control characters become spaces; what only hides, reorders or stacks goes; ``[3]`` cannot be
    mistaken for one of our markers.
    """
    return cut(escape_markers(one_line(latex_to_text(one_line(text)))), limit)


def one_line(text: str) -> str:
    """Return ``text`` with every space, break and control as one space and no invisible character."""
    if not text.isascii():
        text = limit_combining_marks(_SELECTORS.sub("", text), 3)
    return " ".join(strip_controls(text, keep_unassigned=False).split())


def cut(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of ``text``, ending at a word and with ``…`` where it is longer."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    word = head.rfind(" ")
    return (head[:word] if word > limit // 2 else head).rstrip(" ,;:–—-") + "…"


def paper_url(paper: Paper) -> str | None:
    """Return the paper's address where it is a plain http(s) one of bounded length."""
    made = f"https://arxiv.org/abs/{paper.arxiv_id}" if paper.arxiv_id else None
    made = made or (f"https://doi.org/{paper.doi}" if paper.doi else None)
    found = safe_url(paper.url) or safe_url(made)
    return found if found and len(found) <= _MAX_URL else None


def is_linkable(url: str | None) -> bool:
    """Tell whether ``url`` leads to a place where papers are kept."""
    return bool(url) and (urlsplit(url or "").hostname or "") in LINKED_HOSTS


def paper_identifier(paper: Paper) -> str:
    """Return how a reader names the paper: its arXiv id, DOI or host, or nothing."""
    if paper.arxiv_id:
        return f"arXiv:{clean_text(paper.arxiv_id, 40)}"
    if paper.doi:
        return f"doi:{clean_text(paper.doi, 80)}"
    return urlsplit(paper_url(paper) or "").hostname or ""


def format_authors(names: Sequence[str]) -> str:
    """Return up to three names, then ``et al.``."""
    first = ", ".join(clean_text(name, MAX_NAME) for name in names[:3])
    return f"{first} et al." if len(names) > 3 else first


def format_day(value: dt.date | None) -> str:
    """Return a day as ``24 June 2026``."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}" if value else ""


def format_days(since: dt.date, until: dt.date) -> str:
    """Return a span as short as it can be said: ``22–28 June 2026``."""
    if since == until:
        return format_day(since)
    if (since.year, since.month) == (until.year, until.month):
        return f"{since.day}–{format_day(until)}"
    if since.year == until.year:
        return f"{since.day} {_MONTHS[since.month - 1]} – {format_day(until)}"
    return f"{format_day(since)} – {format_day(until)}"


_MONTHS = "January February March April May June July August September October November December".split()
"""Not strftime's, which follow the machine's locale."""
