"""Issues as static pages with an index and an Atom feed (RFC 4287), for a team that reads without mail.

Only issues for nobody in particular are published: a reader's own holds links that act for that reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.render import formatting, renderer
from paperagent.errors import ConfigError, PaperAgentError, visible

if TYPE_CHECKING:
    from paperagent.digest.delivery.ledger import StoredIssue

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing runs, nothing is loaded; styles stand on the elements, as mail readers want them."""
IN_FEED = 20
"""Issues in the feed, the newest; the index lists all."""
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_BODY = re.compile(r"<body(?:\s[^>]*)?>(.*)</body>", re.IGNORECASE | re.DOTALL)
_META = (
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    '<meta name="referrer" content="no-referrer">'
    '<link rel="alternate" type="application/atom+xml" title="Paper digest" href="feed.atom">'
)
_BACK = (
    '<p class="foot" style="margin:0;padding:0 16px 32px;font-size:13px;text-align:center">'
    '<a class="link" style="color:#0b5a6b" href="index.html">All issues</a></p>'
)


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """An issue as index and feed show it."""

    title: str
    file: str
    identity: str
    """The entry's id in the feed: the same for ever."""
    day: str
    updated: str
    summary: str
    body: str


def archive_files(
    issues: Sequence[StoredIssue], *, base: str = "", theme_dir: Path | None = None
) -> Iterator[tuple[str, str]]:
    """Yield name and content of each file of the archive, the index last.

    ``issues`` are those for nobody in particular, oldest first; ``base`` is the address at which
    the folder will be, without which the feed's links are relative.

    Raises:
        ConfigError: a template is wrong.
    """
    newest = [_archive_entry(frozen, base) for frozen in reversed(issues)]
    for frozen in issues:
        if frozen.subscriber_id is not None:
            raise PaperAgentError(
                f"archive: issue {visible(frozen.issue_id)} is a reader's own; it stays private"
            )
        yield file_name(frozen.period), archive_page(frozen.html)
    updated = max((p.updated for p in newest), default="1970-01-01T00:00:00Z")
    shared = {"base": base, "updated": updated, "policy": POLICY}
    yield "feed.atom", renderer.fill_template("feed.atom.j2", theme_dir, issues=newest[:IN_FEED], **shared)
    yield "index.html", renderer.fill_template("index.html.j2", theme_dir, issues=newest, **shared)


def archive_page(html: str) -> str:
    """Return a mail's HTML as a page: with a policy under which nothing runs, and a way back."""
    head = _HEAD.search(html)
    end = html.lower().rfind("</body>")
    if head is None or end < head.end():
        raise ConfigError("theme: issue.html.j2 has no <head> or no </body>; add them")
    # The policy stands before all else in the head: it holds for what comes after it.
    return html[: head.end()] + _META + html[head.end() : end] + _BACK + html[end:]


def file_name(period: str) -> str:
    """Return a period's file."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", period).strip("_")[:80] + ".html"


def _archive_entry(frozen: StoredIssue, base: str) -> ArchiveEntry:
    name = file_name(frozen.period)
    body = _BODY.search(frozen.html)
    return ArchiveEntry(
        title=formatting.one_line(frozen.subject),
        file=name,
        identity=f"{base}{name}" if base else f"urn:paperagent:digest:{name.removesuffix('.html')}",
        day=formatting.format_day(frozen.stored_at.date()),
        updated=frozen.stored_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        summary=formatting.one_line(frozen.preheader),
        body=body[1].strip() if body else "",
    )
