"""Render a written issue as HTML and text, small enough that no mail reader clips it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from paperagent.digest.issue import Issue
from paperagent.digest.render import plain, templating
from paperagent.digest.render.view import ReaderLinks, View, view
from paperagent.errors import PaperAgentError

WARN_BYTES, MAX_BYTES = 80_000, 95_000
"""Of HTML; Gmail clips a message at about 102,000."""
_MAX_SHORTER = 30
"""How many papers may be left out of a mail for its size."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An issue as a mail shows it."""

    subject: str
    preheader: str
    html: str
    text: str
    notes: tuple[str, ...] = ()
    """What had to be shortened, for the person who builds the issue."""


def render(issue: Issue, *, reader: ReaderLinks | None = None, theme_dir: Path | None = None) -> Rendered:
    """Return ``issue`` as subject, preheader, HTML and text.

    Over 80 KB of HTML the titles "also noticed" and the quotes in the list of sources are
    shortened, then the last papers left out.

    Raises:
        ConfigError: a template of ``theme_dir`` is wrong.
        PaperAgentError: the HTML is over 95 KB whatever is left out.
    """
    links = reader or ReaderLinks()
    notes: list[str] = []
    for what, shown in _shorter(issue, links):
        html = templating.inline_css(templating.fill("issue.html.j2", theme_dir, issue=shown))
        size = len(html.encode())
        if what:
            notes.append(what)
        if size <= WARN_BYTES:
            break
    if size > MAX_BYTES:
        raise PaperAgentError(
            f"digest {shown.name}: the HTML has {size:,} bytes, {MAX_BYTES:,} are allowed; lower --max-items"
        )
    if size > WARN_BYTES:
        notes.append(f"the HTML has {size:,} bytes, over {WARN_BYTES:,}")
    text = templating.fill("issue.txt.j2", theme_dir, issue=shown)
    return Rendered(shown.subject, shown.preheader, html, _tidy(text), tuple(notes))


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _shorter(issue: Issue, links: ReaderLinks) -> Iterator[tuple[str, View]]:
    """Yield the issue whole, then with less and less, each with what was shortened."""
    yield "", view(issue, links)
    yield "also noticed: 5 titles", view(issue, links, also=5)
    yield "quotes in the list of sources: 200 characters", view(issue, links, also=5, quote_length=200)
    yield "also noticed: none", view(issue, links, also=0, quote_length=120)
    for _ in range(_MAX_SHORTER):
        issue = without_last(issue)
        yield "the last paper left out", view(issue, links, also=0, quote_length=120)


def without_last(issue: Issue) -> Issue:
    """Return ``issue`` without the last paper of its longest theme, and without what only it cited."""
    longest = max(issue.themes, key=lambda t: len(t.items), default=None)
    if longest is None or not longest.items:
        return issue
    shorter = replace(longest, items=longest.items[:-1])
    themes = tuple(shorter if t is longest else t for t in issue.themes)
    rest = replace(issue, themes=themes)
    used = {n for claim in rest.claims for n in claim.citations}
    return replace(rest, citations=tuple(c for c in rest.citations if c.n in used))


def confirmation(
    *,
    token: str,
    link: str | None = None,
    frequency: str = "weekly",
    hours: int = 48,
    theme_dir: Path | None = None,
) -> Rendered:
    """Return the mail that asks a new subscriber to confirm: by ``link``, or by handing on ``token``.

    It holds nothing that was typed with the address: whoever typed it may be nobody's friend.
    """
    subject = "Please confirm: a digest of new papers"
    preheader = "Nothing more is sent to this address until you confirm."
    values = {
        "subject": subject,
        "preheader": preheader,
        "token": plain.one_line(token),
        "link": link,
        "frequency": plain.shown(frequency, 20),
        "hours": hours,
    }
    html = templating.inline_css(templating.fill("confirm.html.j2", theme_dir, **values))
    text = templating.fill("confirm.txt.j2", theme_dir, **values)
    return Rendered(subject, preheader, html, _tidy(text))
