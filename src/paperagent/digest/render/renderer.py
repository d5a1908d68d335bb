"""Render a written issue as HTML and text, small enough that no mail reader clips it.

Fill the digest's templates: the packaged ones, or those of a person's folder of the same name.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.digest.issue import Issue
from paperagent.digest.render import formatting
from paperagent.digest.render.view import IssueView, SubscriberLinks, issue_view
from paperagent.errors import ConfigError, PaperAgentError, visible

if TYPE_CHECKING:
    from css_inline import CSSInliner
    from jinja2 import Environment

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


def render_issue(
    issue: Issue, *, reader: SubscriberLinks | None = None, theme_dir: Path | None = None
) -> Rendered:
    """Return ``issue`` as subject, preheader, HTML and text.

    Over 80 KB of HTML the titles "also noticed" and the quotes in the list of sources are
    shortened, then the last papers left out.

    Raises:
        ConfigError: a template of ``theme_dir`` is wrong.
        PaperAgentError: the HTML is over 95 KB whatever is left out.
    """
    links = reader or SubscriberLinks()
    notes: list[str] = []
    for what, shown in _shortened_views(issue, links):
        html = inline_css(fill_template("issue.html.j2", theme_dir, issue=shown))
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
    text = fill_template("issue.txt.j2", theme_dir, issue=shown)
    return Rendered(shown.subject, shown.preheader, html, _collapse_blank_lines(text), tuple(notes))


def _collapse_blank_lines(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _shortened_views(issue: Issue, links: SubscriberLinks) -> Iterator[tuple[str, IssueView]]:
    """Yield the issue whole, then with less and less, each with what was shortened."""
    yield "", issue_view(issue, links)
    yield "also noticed: 5 titles", issue_view(issue, links, also=5)
    yield "quotes in the list of sources: 200 characters", issue_view(issue, links, also=5, quote_length=200)
    yield "also noticed: none", issue_view(issue, links, also=0, quote_length=120)
    for _ in range(_MAX_SHORTER):
        issue = without_last(issue)
        yield "the last paper left out", issue_view(issue, links, also=0, quote_length=120)


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


def render_confirmation(
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
        "token": formatting.one_line(token),
        "link": link,
        "frequency": formatting.clean_text(frequency, 20),
        "hours": hours,
    }
    html = inline_css(fill_template("confirm.html.j2", theme_dir, **values))
    text = fill_template("confirm.txt.j2", theme_dir, **values)
    return Rendered(subject, preheader, html, _collapse_blank_lines(text))


PACKAGED = Path(__file__).parent / "templates"
WIDTH = 72
"""Columns of a text mail."""


def fill_template(name: str, theme_dir: Path | None = None, **values: Any) -> str:
    """Return template ``name`` filled with ``values``, which are data and never templates.

    Raises:
        ConfigError: the template is missing or wrong; the message names file and line.
    """
    from jinja2 import TemplateError, TemplateNotFound

    try:
        return environment(theme_dir).get_template(name).render(values)
    except TemplateNotFound as error:
        raise ConfigError(f"theme: no template {visible(str(error.name))}; restore the file") from None
    except TemplateError as error:
        raise ConfigError(
            f"theme: {_error_location(error, name)}: {_error_text(error)}; correct the template"
        ) from None


@lru_cache(maxsize=8)
def environment(theme_dir: Path | None) -> Environment:
    """Return the templates' environment: strict, and escaping in HTML and XML."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape

    folders = [folder for folder in (theme_dir, PACKAGED) if folder]
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=select_autoescape(disabled_extensions=("txt.j2", "css"), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["wrap"] = wrap
    return made


def wrap(text: str, indent: int = 0, hang: int | None = None) -> str:
    """Return ``text`` in lines of a text mail; words are never broken, so addresses stay whole.

    A no-break space keeps its line and becomes a plain one. ``hang`` indents all lines but the first.
    """
    rest = " " * (indent if hang is None else hang)
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\u00a0", " ")


def inline_css(html: str) -> str:
    """Return ``html`` with its style rules on the elements, as mail readers want them; at-rules stay."""
    inlined: str = _inliner().inline(html)
    return inlined


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    import css_inline

    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def _error_location(error: Exception, name: str) -> str:
    where = getattr(error, "name", None) or name
    line = getattr(error, "lineno", None)
    return f"{visible(str(where))} line {line}" if line else visible(str(where))


def _error_text(error: Exception) -> str:
    return visible(" ".join(str(error).split()), limit=200)
