"""The archive: the general issues of the digest, with an index and an Atom feed."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from paperagent.digest.database import FILE_NAME
from paperagent.digest.render.archive import POLICY, archive_entries, archive_feed, archive_page, file_name
from paperagent.web.http import Route, base_url, not_found, page

if TYPE_CHECKING:
    from paperagent.digest.delivery.stored_issues import StoredIssue
    from paperagent.web.site import Site

ATOM = "application/atom+xml; charset=utf-8"
CACHE = "public, max-age=300"
ISSUE_POLICY = f"{POLICY}; frame-ancestors 'none'; sandbox"
"""The content security policy of an issue: emails need inline styles, and nothing in them may run."""


def index(site: Site, request: Request) -> Response:
    """List the issues, newest first."""
    return page(site, request, "archive.html.j2", issues=archive_entries(_issues(site)))


def issue(site: Site, request: Request) -> Response:
    """Show the issue of a period as it was emailed, without the links of a subscriber."""
    name = f"{request.path_params['period']}.html"
    if name == "index.html":
        return RedirectResponse("/archive/", 301)
    html = next((issue.html for issue in _issues(site) if file_name(issue.period) == name), None)
    if html is None:
        raise not_found("There is no issue for that period.")
    return HTMLResponse(archive_page(html), headers={"Content-Security-Policy": ISSUE_POLICY})


def feed(site: Site, request: Request) -> Response:
    """Return the newest issues as an Atom feed."""
    issues = _issues(site)
    base = f"{base_url(site, request)}/archive/"
    text = archive_feed(issues, base=base, theme_dir=site.settings.digest_theme)
    headers = {}
    if issues:
        latest = max(issue.stored_at for issue in issues)
        headers["Last-Modified"] = format_datetime(latest, usegmt=True)
    return Response(text, media_type=ATOM, headers=headers)


def _issues(site: Site) -> list[StoredIssue]:
    """Return the general issues, oldest first; reading must not create the digest's file."""
    if not (site.settings.home / FILE_NAME).exists():
        return []
    return site.digest.general_issues()


ROUTES = (
    Route("/archive/", index, cache=CACHE, indexed=True),
    Route("/archive/feed.atom", feed, cache=CACHE, indexed=True),
    Route("/archive/{period}.html", issue, cache=CACHE, indexed=True),
)
