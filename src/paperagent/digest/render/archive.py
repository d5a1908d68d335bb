"""Publish issues as static pages with an index and an Atom feed (RFC 4287).

Only general issues are published: links in a subscriber's issue act on the subscriber's behalf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.render import formatting
from paperagent.digest.render.renderer import fill_template
from paperagent.errors import ConfigError, PaperAgentError, visible

if TYPE_CHECKING:
    from paperagent.digest.delivery.stored_issues import StoredIssue

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Allows no scripts and loads nothing; inline styles are allowed, because emails need them."""
FEED_SIZE = 20
"""Number of issues in the feed, newest first; the index lists all."""
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_BODY = re.compile(r"<body(?:\s[^>]*)?>(.*)</body>", re.IGNORECASE | re.DOTALL)
_META = (
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    '<meta name="referrer" content="no-referrer">'
    '<link rel="alternate" type="application/atom+xml" title="Paper digest" href="feed.atom">'
)
_BACK_LINK = (
    '<p class="foot" style="margin:0;padding:0 16px 32px;font-size:13px;text-align:center">'
    '<a class="link" style="color:#0b5a6b" href="index.html">All issues</a></p>'
)


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """An issue in the index and the feed."""

    title: str
    file: str
    identity: str
    """The permanent id of the feed's entry."""
    day: str
    updated: str
    summary: str
    body: str


def archive_files(
    issues: Sequence[StoredIssue], *, base: str = "", theme_dir: Path | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the name and content of each file of the archive, the index last.

    Args:
        issues: The general issues, oldest first.
        base: The address of the archive; without it, the feed's links are relative.
        theme_dir: A folder of templates that replace the packaged ones.

    Raises:
        ConfigError: a template is invalid.
        PaperAgentError: an issue belongs to a subscriber.
    """
    for issue in issues:
        if issue.subscriber_id is not None:
            raise PaperAgentError(
                f"archive: issue {visible(issue.issue_id)} belongs to a subscriber and stays private"
            )
        yield file_name(issue.period), archive_page(issue.html)
    yield "feed.atom", archive_feed(issues, base=base, theme_dir=theme_dir)
    entries = archive_entries(issues, base=base)
    yield "index.html", fill_template("index.html.j2", theme_dir, issues=entries, policy=POLICY)


def archive_feed(issues: Sequence[StoredIssue], *, base: str = "", theme_dir: Path | None = None) -> str:
    """Return the Atom feed of the newest issues; for the arguments see `archive_files`."""
    entries = archive_entries(issues, base=base)
    updated = max((e.updated for e in entries), default="1970-01-01T00:00:00Z")
    return fill_template("feed.atom.j2", theme_dir, issues=entries[:FEED_SIZE], base=base, updated=updated)


def archive_entries(issues: Sequence[StoredIssue], *, base: str = "") -> list[ArchiveEntry]:
    """Return what index and feed say about each issue, the newest first."""
    return [_archive_entry(issue, base) for issue in reversed(issues)]


def archive_page(html: str) -> str:
    """Return an email's HTML as a page with a content security policy and a link to the index."""
    head = _HEAD.search(html)
    end = html.lower().rfind("</body>")
    if head is None or end < head.end():
        raise ConfigError("theme: issue.html.j2 has no <head> or no </body>; add them")
    # The policy applies only to what follows it, so it is the first element of the head.
    return html[: head.end()] + _META + html[head.end() : end] + _BACK_LINK + html[end:]


def file_name(period: str) -> str:
    """Return the file name of a period's page."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", period).strip("_")[:80] + ".html"


def _archive_entry(issue: StoredIssue, base: str) -> ArchiveEntry:
    name = file_name(issue.period)
    body = _BODY.search(issue.html)
    return ArchiveEntry(
        title=formatting.one_line(issue.subject),
        file=name,
        identity=f"{base}{name}" if base else f"urn:paperagent:digest:{name.removesuffix('.html')}",
        day=formatting.format_day(issue.stored_at.date()),
        updated=issue.stored_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        summary=formatting.one_line(issue.preheader),
        body=body[1].strip() if body else "",
    )
