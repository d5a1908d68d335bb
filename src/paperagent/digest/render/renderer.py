"""Render an issue as HTML and text, small enough that no mail program clips it.

Templates are the packaged ones, or files of the same name in a custom folder (a theme).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent import templating
from paperagent.digest.issue import Issue
from paperagent.digest.links import SubscriberLinks
from paperagent.digest.render import formatting
from paperagent.digest.render.view import IssueView, issue_view
from paperagent.errors import PaperAgentError

if TYPE_CHECKING:
    from css_inline import CSSInliner
    from jinja2 import Environment

PACKAGED_TEMPLATES = Path(__file__).parent / "templates"
TEXT_WIDTH = 72
"""Columns of a text mail."""
WARN_BYTES, MAX_BYTES = 80_000, 95_000
"""Size of the HTML; Gmail clips messages at about 102,000 bytes."""
_MAX_DROPPED_PAPERS = 30
"""Maximum number of papers left out of an email because of its size."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered mail."""

    subject: str
    preheader: str
    html: str
    text: str
    notes: tuple[str, ...] = ()
    """What had to be shortened, as warnings for the operator."""


def render_issue(
    issue: Issue, *, links: SubscriberLinks | None = None, theme_dir: Path | None = None
) -> Rendered:
    """Return an issue as an email.

    Above 80 KB of HTML, the titles under "Also noticed" and the quotes in the list of sources are
    shortened, then the last papers are left out.

    Args:
        issue: The issue.
        links: The subscriber's links; None for the general issue.
        theme_dir: A folder of templates that replace the packaged ones.

    Raises:
        ConfigError: a template in ``theme_dir`` is invalid.
        PaperAgentError: the shortened HTML is still larger than 95 KB.
    """
    notes: list[str] = []
    for note, view in _shortened_views(issue, links or SubscriberLinks()):
        html = inline_css(fill_template("issue.html.j2", theme_dir, issue=view))
        size = len(html.encode())
        if note:
            notes.append(note)
        if size <= WARN_BYTES:
            break
    if size > MAX_BYTES:
        raise PaperAgentError(
            f"digest {view.name}: the HTML has {size:,} bytes, {MAX_BYTES:,} are allowed; lower --max-items"
        )
    if size > WARN_BYTES:
        notes.append(f"the HTML has {size:,} bytes, over {WARN_BYTES:,}")
    text = fill_template("issue.txt.j2", theme_dir, issue=view)
    return Rendered(view.subject, view.preheader, html, _collapse_blank_lines(text), tuple(notes))


def with_unsubscribe(rendered: Rendered, links: SubscriberLinks) -> Rendered:
    """Return an email whose text and HTML each contain a way to unsubscribe, as far as there is one.

    A custom template may leave it out, and the settings may have changed since the issue was built.
    """
    ways = [way for way in (links.unsubscribe, links.mailto) if way]
    if not ways:
        return rendered
    text, html, address = rendered.text, rendered.html, escape(ways[0])
    if not any(way in text for way in ways):
        text = f"{text.rstrip()}\n\nUnsubscribe: {ways[0]}\n"
    if not any(way in html or escape(way) in html for way in ways):
        body, end, after = html.rpartition("</body>")
        line = f'<p><a href="{address}">Unsubscribe</a></p>\n'
        html = f"{body}{line}{end}{after}" if end else html + line
    return replace(rendered, text=text, html=html)


def _collapse_blank_lines(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _shortened_views(issue: Issue, links: SubscriberLinks) -> Iterator[tuple[str, IssueView]]:
    """Yield the full issue, then increasingly shorter ones, each with notes on the cuts."""
    yield "", issue_view(issue, links)
    yield "also noticed: 5 titles", issue_view(issue, links, max_also=5)
    yield (
        "quotes in the list of sources: 200 characters",
        issue_view(issue, links, max_also=5, max_quote=200),
    )
    yield "also noticed: none", issue_view(issue, links, max_also=0, max_quote=120)
    if issue.translation is not None:
        issue = replace(issue, translation=None)
        yield "the translations left out", issue_view(issue, links, max_also=0, max_quote=120)
    for _ in range(_MAX_DROPPED_PAPERS):
        issue = without_last_paper(issue)
        yield "the last paper left out", issue_view(issue, links, max_also=0, max_quote=120)


def without_last_paper(issue: Issue) -> Issue:
    """Return ``issue`` without the last paper of its longest theme and that paper's own citations.

    Papers that an answer to a standing question cites stay.
    """
    numbers = {n for answer in issue.standing for claim in answer.claims for n in claim.citations}
    answering = {c.paper_id for c in issue.citations if c.n in numbers}
    for theme in sorted(issue.themes, key=lambda t: -len(t.items)):
        others = [item for item in theme.items if item.paper.paper_id not in answering]
        if others:
            shorter = replace(theme, items=tuple(item for item in theme.items if item is not others[-1]))
            break
    else:
        return issue
    issue = replace(issue, themes=tuple(shorter if t is theme else t for t in issue.themes))
    used = {n for claim in issue.claims for n in claim.citations}
    return replace(issue, citations=tuple(c for c in issue.citations if c.n in used))


def render_confirmation(
    *,
    token: str,
    link: str | None = None,
    frequency: str = "weekly",
    returning: bool = False,
    hours: int = 48,
    operator: str = "",
    theme_dir: Path | None = None,
) -> Rendered:
    """Return the email that asks a new subscriber to confirm.

    It contains nothing that was entered with the address, because anybody can enter an address.

    Args:
        token: The token that the subscriber gives the operator, if there is no link.
        link: The link that confirms.
        frequency: ``weekly``, ``daily`` or ``monthly``.
        returning: Whether the subscriber had unsubscribed.
        hours: How long link and token are valid.
        operator: A sentence on who sends the digest.
        theme_dir: A folder of templates that replace the packaged ones.
    """
    return _render_notice(
        "confirm",
        "Confirm your subscription to the paper digest",
        "Until you confirm, no digest is sent.",
        theme_dir,
        operator,
        token=formatting.one_line(token),
        link=link,
        frequency=formatting.clean_text(frequency, 20),
        returning=returning,
        hours=hours,
    )


def render_already_subscribed(link: str, *, operator: str = "", theme_dir: Path | None = None) -> Rendered:
    """Return the email to a subscriber whose address was entered again.

    Args:
        link: The link to the subscriber's preferences.
        operator: A sentence on who sends the digest.
        theme_dir: A folder of templates that replace the packaged ones.
    """
    preheader = "Nothing has changed."
    subject = "You are already subscribed to the paper digest"
    return _render_notice("already", subject, preheader, theme_dir, operator, link=link)


def render_sign_in(link: str, *, operator: str = "", theme_dir: Path | None = None) -> Rendered:
    """Return the email by which somebody signs in to the web page.

    Args:
        link: The link that signs in.
        operator: A sentence on who sends the link.
        theme_dir: A folder of templates that replace the packaged ones.
    """
    preheader = "It works once, for 15 minutes."
    return _render_notice("sign_in", "Your sign-in link", preheader, theme_dir, operator, link=link)


def render_test(*, operator: str = "", theme_dir: Path | None = None) -> Rendered:
    """Return the email by which an operator tests the mail server."""
    return _render_notice("test", "Test of the paper digest", "The mail server works.", theme_dir, operator)


def _render_notice(
    name: str, subject: str, preheader: str, theme_dir: Path | None, operator: str, **values: Any
) -> Rendered:
    values |= {"subject": subject, "preheader": preheader, "operator": formatting.one_line(operator)}
    html = inline_css(fill_template(f"{name}.html.j2", theme_dir, **values))
    text = fill_template(f"{name}.txt.j2", theme_dir, **values)
    return Rendered(subject, preheader, html, _collapse_blank_lines(text))


# --- templates ---


def fill_template(name: str, theme_dir: Path | None = None, **values: Any) -> str:
    """Return a template of the digest, or of the theme, filled with ``values``.

    Raises:
        ConfigError: the template is missing or invalid; the message names file and line.
    """
    return templating.fill_template(_environment(theme_dir), name, **values)


@lru_cache(maxsize=8)
def _environment(theme_dir: Path | None) -> Environment:
    folders = [folder for folder in (theme_dir, PACKAGED_TEMPLATES) if folder]
    environment = templating.template_environment(*folders)
    environment.filters["wrap"] = wrap
    return environment


def wrap(text: str, indent: int = 0, hang: int | None = None) -> str:
    """Return ``text`` in lines of a text mail, without breaking words, so addresses stay usable.

    A no-break space keeps its line together and becomes a plain space.

    Args:
        text: The text.
        indent: Spaces before each line.
        hang: Spaces before each line but the first; ``indent`` if None.
    """
    lines = textwrap.wrap(
        text,
        TEXT_WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hang is None else hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\u00a0", " ")


def inline_css(html: str) -> str:
    """Return ``html`` with its style rules on the elements, as mail programs need them; at-rules stay."""
    inlined: str = _css_inliner().inline(html)
    return inlined


@lru_cache(maxsize=1)
def _css_inliner() -> CSSInliner:
    import css_inline

    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)
