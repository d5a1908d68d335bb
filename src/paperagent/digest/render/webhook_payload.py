"""Issues as messages of chat services and as JSON, from untrusted titles and sentences.

Slack: Block Kit, https://api.slack.com/reference/block-kit. Mattermost: Markdown,
https://developers.mattermost.com/integrate/webhooks/incoming. Teams: Adaptive Cards 1.4, https://adaptivecards.io.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

from paperagent.digest.render.formatting import cut

if TYPE_CHECKING:
    from paperagent.digest.render.view import ClaimView, IssueView, PaperView

WebhookKind = Literal["json", "slack", "mattermost", "teams"]
WEBHOOK_KINDS: tuple[WebhookKind, ...] = get_args(WebhookKind)
MAX_SLACK_BLOCKS, MAX_SLACK_TEXT, MAX_SLACK_HEADER = 50, 3_000, 150
MAX_MATTERMOST_TEXT = 16_000
"""Characters; the server's limit is 16,383."""
MAX_TEAMS_BYTES = 27_000
"""The service's limit is 28 KB."""
_INVISIBLE = "\u200b"
"""After an @, so that no channel or person is notified."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|<>~:-])")


# --- what an issue says, independent of the service ---


def webhook_content(view: IssueView) -> dict[str, Any]:
    """Return an issue as JSON-ready values."""
    return {
        "period": view.name,
        "days": view.days,
        "subject": view.subject,
        "screened": view.screened,
        "label": view.label,
        "themes": [{"title": t.title, "papers": [_paper(e) for e in t.entries]} for t in view.themes],
        "questions": [
            {"question": s.title, "answer": [_sentence(line) for line in s.lines]} for s in view.standing
        ],
        "updates": [{**_paper(entry), "note": entry.note} for entry in view.updates],
    }


def _paper(entry: PaperView) -> dict[str, Any]:
    return {
        "title": entry.title,
        "url": entry.url,
        "id": entry.identity,
        "authors": entry.authors,
        "published": entry.day,
        "sentences": [_sentence(line) for line in entry.lines],
        "why": entry.why,
    }


def _sentence(line: ClaimView) -> str:
    """Return a sentence; an unverified one together with the sentence that it rests on."""
    quotes = " ".join(f"“{quote}”" for _, quote in line.quotes)
    remark = f" ({line.remark})" if line.remark else ""
    return f"{line.text}{remark}" + (f" [{line.label} {quotes}]" if quotes else "")


def webhook_payload(kind: WebhookKind, content: Mapping[str, Any], *, sent_at: str) -> bytes:
    """Return the body of a request; the same arguments give the same bytes.

    Papers at the end are left out, with a line that says so, if the service would refuse the message.

    Args:
        kind: The service.
        content: The result of `webhook_content`.
        sent_at: When the issue was stored, in ISO 8601.
    """
    if kind == "json":
        return _encode({"type": "digest.issue", "timestamp": sent_at, "data": content})
    build = {"slack": _slack, "mattermost": _mattermost, "teams": _teams}[kind]
    count = sum(len(theme["papers"]) for theme in content["themes"])
    complete = build(_shortened(content, count), 0)
    if complete is not None:
        return complete
    # The smallest number of papers that is too many; an issue without papers always fits.
    too_many = bisect_left(range(count), True, key=lambda n: build(_shortened(content, n), count - n) is None)
    shortened = build(_shortened(content, too_many - 1), count - too_many + 1)
    assert shortened is not None
    return shortened


def _shortened(content: Mapping[str, Any], papers: int) -> dict[str, Any]:
    """Return an issue with its first papers only."""
    themes = []
    for theme in content["themes"]:
        if papers > 0:
            themes.append({**theme, "papers": theme["papers"][:papers]})
            papers -= len(theme["papers"])
    return {
        **content,
        "themes": themes,
        "updates": content["updates"][:3],
        "questions": content["questions"][:5],
    }


def _encode(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _more(left_out: int) -> str:
    return f"and {left_out} more" if left_out else ""


def _about(paper: Mapping[str, Any]) -> str:
    return " · ".join(part for part in (paper["authors"], paper["id"], paper["published"]) if part)


def _fit(text: str, limit: int, escape: Callable[[str], str]) -> str:
    """Return escaped text of at most ``limit`` characters, cut before it is escaped."""
    size = limit
    while len(escaped := escape(cut(text, size))) > limit:
        size = size * limit // len(escaped) - 1
    return escaped


def _answers(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in content["questions"]:
        yield section["question"], " ".join(section["answer"]) or "Nothing new."


_MAX_URL = 400
_SAFE_IN_LINK = "".join(set(map(chr, range(0x21, 0x7F))) - set('<>|()[]"\\`'))
"""Printable characters that do not end a link in Slack or Markdown."""
_MAX_TITLE, _MAX_LINE, _MAX_BODY = 500, 300, 1_200
"""Characters of a paper's title, of its authors or its reason, and of its sentences, after escaping."""


# --- Slack ---


def _slack(content: Mapping[str, Any], left_out: int) -> bytes | None:
    subject = _fit(content["subject"], MAX_SLACK_HEADER, _without_mentions)
    about = _slack_text(f"{content['days']} · {content['screened']}", _MAX_LINE)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": subject, "emoji": False}},
        _slack_section(about),
    ]
    for theme in content["themes"]:
        blocks.append(_slack_section(f"*{_slack_text(theme['title'], _MAX_LINE)}*"))
        blocks += [_slack_section(_slack_paper(paper)) for paper in theme["papers"]]
    for question, answer in _answers(content):
        heading = f"*{_slack_text(question, _MAX_TITLE)}*"
        blocks.append(_slack_section(f"{heading}\n{_slack_text(answer, _MAX_BODY)}"))
    for update in content["updates"]:
        blocks.append(_slack_section(f"{_slack_text(update['note'], _MAX_LINE)}: {_slack_link(update)}"))
    if left_out:
        blocks.append(_slack_section(_more(left_out)))
    if len(blocks) > MAX_SLACK_BLOCKS:
        return None
    text = _slack_text(content["subject"], _MAX_LINE)
    return _encode({"text": text, "blocks": blocks, "unfurl_links": False, "unfurl_media": False})


def _slack_section(text: str) -> dict[str, Any]:
    # verbatim: no word becomes a link or a mention by itself
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _slack_paper(paper: Mapping[str, Any]) -> str:
    lines = [
        f"*{_slack_link(paper)}*",
        _slack_text(_about(paper), _MAX_LINE),
        _slack_text(" ".join(paper["sentences"]), _MAX_BODY),
        f"_{_slack_text(paper['why'], _MAX_LINE)}_" if paper["why"] else "",
    ]
    return "\n".join(filter(None, lines))


def _slack_link(paper: Mapping[str, Any]) -> str:
    label, url = _slack_text(paper["title"], _MAX_TITLE), _plain_url(paper["url"]).replace("&", "&amp;")
    return f"<{url}|{label}>" if url else label


def _slack_text(text: str, limit: int) -> str:
    return _fit(text, limit, _slack_escape)


def _slack_escape(text: str) -> str:
    """Return text in which nothing is a link, a mention or formatting."""
    escaped = _without_mentions(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_~`])", rf"{_INVISIBLE}\1{_INVISIBLE}", escaped)


def _without_mentions(text: str) -> str:
    return text.replace("@", f"@{_INVISIBLE}")


def _plain_url(url: str | None) -> str:
    """Return a URL without the characters that end a link; nothing for one that is too long."""
    plain = quote(url or "", safe=_SAFE_IN_LINK, errors="replace")
    return plain if len(plain) <= _MAX_URL else ""


# --- Mattermost ---


def _mattermost(content: Mapping[str, Any], left_out: int) -> bytes | None:
    about = _markdown_text(f"{content['days']} · {content['screened']}", _MAX_LINE)
    lines = [f"#### {_markdown_text(content['subject'], _MAX_LINE)}", about]
    for theme in content["themes"]:
        lines.append(f"##### {_markdown_text(theme['title'], _MAX_LINE)}")
        lines += [_markdown_paper(paper) for paper in theme["papers"]]
    for question, answer in _answers(content):
        lines.append(f"##### {_markdown_text(question, _MAX_TITLE)}\n{_markdown_text(answer, _MAX_BODY)}")
    for update in content["updates"]:
        lines.append(f"{_markdown_text(update['note'], _MAX_LINE)}: {_markdown_link(update)}")
    text = "\n\n".join([*lines, *filter(None, [_more(left_out)])])
    return _encode({"text": text}) if len(text) <= MAX_MATTERMOST_TEXT else None


def _markdown_paper(paper: Mapping[str, Any]) -> str:
    lines = [
        f"**{_markdown_link(paper)}**",
        _markdown_text(_about(paper), _MAX_LINE),
        _markdown_text(" ".join(paper["sentences"]), _MAX_BODY),
        _markdown_text(paper["why"], _MAX_LINE),
    ]
    return "  \n".join(filter(None, lines))


def _markdown_link(paper: Mapping[str, Any]) -> str:
    label, url = _markdown_text(paper["title"], _MAX_TITLE), _plain_url(paper["url"])
    return f"[{label}]({url})" if url else label


def _markdown_text(text: str, limit: int) -> str:
    return _fit(text, limit, _markdown_escape)


def _markdown_escape(text: str) -> str:
    """Return text on one line in which nothing is a link, a mention or formatting."""
    return _MARKDOWN.sub(r"\\\1", _without_mentions(" ".join(text.split())))


# --- Teams ---


def _teams(content: Mapping[str, Any], left_out: int) -> bytes | None:
    # Text runs, unlike text blocks, contain no Markdown.
    about = f"{content['days']} · {content['screened']}"
    body = [_run(content["subject"], size="Large", weight="Bolder"), _run(about)]
    for theme in content["themes"]:
        body.append(_run(theme["title"], size="Medium", weight="Bolder"))
        for paper in theme["papers"]:
            body += [_title_run(paper), _run(_about(paper), isSubtle=True)]
            body.append(_run(" ".join(paper["sentences"]), _MAX_BODY))
            body += [_run(paper["why"], italic=True)] if paper["why"] else []
    for question, answer in _answers(content):
        body += [_run(question, weight="Bolder"), _run(answer, _MAX_BODY // 2)]
    for update in content["updates"]:
        body += [_run(update["note"], isSubtle=True), _title_run(update)]
    if left_out:
        body.append(_run(_more(left_out)))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    payload = _encode({"type": "message", "attachments": [attachment]})
    return payload if len(payload) <= MAX_TEAMS_BYTES else None


def _run(text: str, limit: int = _MAX_LINE, **style: Any) -> dict[str, Any]:
    run = {"type": "TextRun", "text": _fit(text, limit, _without_mentions) or " ", **style}
    return {"type": "RichTextBlock", "inlines": [run]}


def _title_run(paper: Mapping[str, Any]) -> dict[str, Any]:
    style: dict[str, Any] = {"weight": "Bolder"}
    if url := _plain_url(paper["url"]):
        style["selectAction"] = {"type": "Action.OpenUrl", "url": url}
    return _run(paper["title"], **style)
