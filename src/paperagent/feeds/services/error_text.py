"""The reason that a service gives for an error, found in the body of its response.

Services write it as JSON (``{"error": …}``), as an Atom entry titled "Error" (arXiv's query API), as an OAI
error, as a feed titled "Feed error …" or a page of HTML (arXiv's announcements), or as plain text.
"""

from __future__ import annotations

import html
import json
import re

from paperagent.errors import visible
from paperagent.text.sanitize import clean_text

MAX_REASON_LENGTH = 300

_MAX_BODY_BYTES = 20_000
_MAX_DEPTH = 4
_KEYS = ("message", "msg", "error", "detail", "errors", "reason", "error_description", "description", "title")
_INNER = r"(?:[^<]|<(?!/?entry\b)){0,5000}?"
_ATOM_ERROR = re.compile(
    rf"<entry\b[^>]{{0,200}}>{_INNER}<title\b[^>]{{0,200}}>\s*Error\s*</title>{_INNER}"
    r"<summary\b[^>]{0,200}>(?P<reason>[^<]{1,2000})",
    re.IGNORECASE,
)
_OAI_ERROR = re.compile(
    r"""<error\s+code=["'](?P<code>[A-Za-z]{1,40})["'][^>]{0,100}>(?P<reason>[^<]{0,2000})"""
)
_FEED_ERROR = re.compile(r"<title\b[^>]{0,200}>\s*(?:Feed )?error\b", re.IGNORECASE)
_FEED_REASON = re.compile(r"<(?:description|subtitle)\b[^>]{0,200}>(?P<reason>[^<]{1,2000})", re.IGNORECASE)
_FIRST_ENTRY = re.compile(r"<(?:entry|item)\b", re.IGNORECASE)
_HTML = re.compile(r"\s*+<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HTML_REASONS = tuple(
    re.compile(rf"<{tag}\b[^>]{{0,200}}>(?P<reason>[^<]{{1,2000}})", re.IGNORECASE) for tag in ("p", "title")
)


def error_reason(body: bytes) -> str:
    """Return why a service refused a request, as one line that is safe to print; "" if it does not say."""
    text = body[:_MAX_BODY_BYTES].decode("utf-8", "replace")
    if text.lstrip("\ufeff \r\n\t").startswith(("{", "[")):
        reason = _json_reason(text)
    elif text.lstrip("\ufeff \r\n\t").startswith("<"):
        reason = html.unescape(_markup_reason(text))
    else:
        reason = text
    return visible(" ".join(clean_text(reason[:2_000]).split()), limit=MAX_REASON_LENGTH).rstrip(" .;")


def feed_error(body: bytes) -> str:
    """Return the reason if a feed's own title reports an error although its status is 200, else ""."""
    head = _FIRST_ENTRY.split(body[:_MAX_BODY_BYTES].decode("utf-8", "replace"), maxsplit=1)[0]
    return error_reason(head.encode()) if _FEED_ERROR.search(head) else ""


def _json_reason(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text  # truncated or damaged: better than nothing
    return json_reason(value)


def json_reason(value: object, depth: int = 0) -> str:
    """Return the first message in a JSON value; "" if it has none."""
    if isinstance(value, str):
        return value
    if depth >= _MAX_DEPTH:
        return ""
    if isinstance(value, dict):
        inner = [value.get(key) for key in _KEYS]
    else:
        inner = value[:3] if isinstance(value, list) else []
    return next((reason for part in inner if (reason := json_reason(part, depth + 1))), "")


def _markup_reason(text: str) -> str:
    if match := _ATOM_ERROR.search(text):
        return match["reason"]
    if match := _OAI_ERROR.search(text):
        return f"{match['code']}: {match['reason'].strip()}".rstrip(": ")
    if _HTML.match(text):
        return next((match["reason"] for p in _HTML_REASONS if (match := p.search(text))), "")
    match = _FEED_REASON.search(text) if _FEED_ERROR.search(text) else None
    return match["reason"] if match else ""
