"""Pictures of an issue over the invented sample papers, as phone and desktop show it.

``make screenshots`` writes them to docs/images/digest; otherwise they are only made and measured.
"""

from __future__ import annotations

import os
from pathlib import Path

import issues

import browser
from paperagent.digest.issue import Issue
from paperagent.digest.render.renderer import render_issue
from paperagent.digest.schedule import week_of
from paths import ROOT
from sample_library import plain_agent

FOLDER = ROOT / "docs" / "images" / "digest"


def sample_issue() -> Issue:
    """Return the issue of a subscriber with three interests, an exclusion and two standing questions."""
    with plain_agent() as agent:
        last = max(paper.appeared for paper in agent.papers() if paper.appeared)
        return agent.digest(
            week_of(last).name,
            interests=["retrieved passages", "low-resource languages", "fine-tuning"],
            exclude=["speech"],
            questions=[
                "Does filtering retrieved passages reduce tokens?",
                "Which papers watermark generated text?",
            ],
            max_items=8,
        )


def test_pictures_of_an_issue(tmp_path: Path) -> None:
    """No mail scrolls sideways. One question has an answer, the other none."""
    folder = FOLDER if os.environ.get("WRITE_SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    issue = sample_issue()
    assert [bool(answer.claims) for answer in issue.standing] == [True, False]
    html = render_issue(issue, links=issues.LINKS).html
    with browser.running() as chromium:
        for width in browser.WIDTHS:
            for scheme in browser.SCHEMES:
                with browser.opened(chromium, html, width=width, scheme=scheme) as (page, _):
                    assert page.evaluate("document.documentElement.scrollWidth") <= width
                    page.screenshot(path=folder / f"issue-{width}-{scheme}.png")
