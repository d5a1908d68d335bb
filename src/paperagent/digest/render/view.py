"""Convert an `Issue` into the values of its templates: clean, bounded, numbered text.

This decides what is shown; the templates decide how.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from paperagent.answering.answers import FALLBACK_NOTE
from paperagent.digest.issue import ONLY_NAME, OTHER_NAME, Issue, Item, Period, Reason, StandingAnswer, Theme
from paperagent.digest.links import SubscriberLinks
from paperagent.digest.render import formatting
from paperagent.digest.schedule import frequency_of
from paperagent.layout import REPLACED, UNVERIFIED, counted, is_replaced, sentences_under
from paperagent.types import Citation, Claim, Paper

FEEDBACK_LABELS = (("more", "More like this"), ("less", "Less like this"), ("save", "Save"))
MAX_SUBJECT = 78
"""Characters of a subject."""
_PERSONAL_REASONS = frozenset({"interest", "question", "liked", "example", "author", "category"})
_SUBSCRIBED_FOOTER = (
    "You receive this because you subscribed. Papers are chosen by your topics, questions and ratings."
)
_PERSONAL_FOOTER = "Papers are chosen by topics and questions."
_GENERAL_FOOTER = "The general issue: papers on the main topics of this period, or with the most upvotes."
_CHECK_UNSETTLED = "If the check could not confirm a sentence, the cited sentence is shown below it."


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A sentence with its citations."""

    text: str
    cites: tuple[int, ...]
    title: str = ""
    """The title of the cited paper, if a sentence of the overview or an answer is quoted from it."""
    url: str | None = None
    """The link of the title."""
    remark: str = ""
    label: str = ""
    """Precedes the first of ``quotes``."""
    quotes: tuple[tuple[int, str], ...] = ()
    """The number and full sentence of each citation under an unverified claim."""
    translation: str = ""
    """The sentence in the subscriber's language, with `IssueView.translation` as its label."""


@dataclass(frozen=True, slots=True)
class TranslationView:
    """The label and language that all translations of an issue share."""

    label: str
    """Precedes each translation: the language and the model, and that it is not checked."""
    lang: str
    """The BCP 47 tag of the language."""
    dir: str
    """``ltr`` or ``rtl``."""


@dataclass(frozen=True, slots=True)
class PaperView:
    """A paper."""

    title: str
    url: str | None
    """The link of the title."""
    address: str | None
    """An address shown as text: it leads to no known site for papers, and we have no web page."""
    identity: str
    authors: str
    day: str
    lines: tuple[ClaimView, ...] = ()
    why: str = ""
    """Why the paper is in the issue; empty if the heading above it says so."""
    feedback: tuple[tuple[str, str], ...] = ()
    """The label and address of each link."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SectionView:
    """A theme with its papers, or a standing question with its answer."""

    title: str
    entries: tuple[PaperView, ...] = ()
    lines: tuple[ClaimView, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SourceView:
    """A cited paper in the list of sources."""

    numbers: tuple[int, ...]
    title: str
    url: str | None
    address: str | None
    identity: str
    quotes: tuple[tuple[int, str], ...] = ()
    """The number and sentence of each citation of a reworded claim; others are quoted verbatim above."""


@dataclass(frozen=True, slots=True)
class IssueView:
    """All values that a template may use. Custom templates rely on these names."""

    subject: str
    preheader: str
    heading: str
    """``New papers, 15–21 June 2026``."""
    name: str
    days: str
    screened: str
    nothing_on: str
    """The interests without a paper, as a sentence; empty if there are none."""
    kind: str
    """``written by MODEL``; empty if every sentence is quoted."""
    label: str
    """Who wrote the sentences, and how they were checked."""
    overview: tuple[ClaimView, ...]
    themes: tuple[SectionView, ...]
    standing: tuple[SectionView, ...]
    also: tuple[PaperView, ...]
    more: int
    """The number of papers under "Also noticed" that are not listed."""
    updates: tuple[PaperView, ...]
    sources: tuple[SourceView, ...]
    notes: tuple[str, ...]
    links: SubscriberLinks
    footer: str
    """Why the subscriber got this email."""
    translation: TranslationView | None = None
    """How the translations are shown; None if there are none."""

    @property
    def feedback(self) -> tuple[PaperView, ...]:
        """The papers with feedback links."""
        return tuple(e for theme in self.themes for e in theme.entries if e.feedback)


def issue_view(
    issue: Issue,
    links: SubscriberLinks,
    *,
    max_also: int | None = None,
    max_quote: int = formatting.MAX_SENTENCE,
) -> IssueView:
    """Return the values for the templates.

    Args:
        issue: The issue.
        links: The subscriber's links.
        max_also: Maximum number of papers to list under "Also noticed"; None for all.
        max_quote: Maximum characters of a quote in the list of sources.
    """
    papers = {p.paper_id: p for p in (*issue.papers, *issue.also, *issue.updates)}
    since, until = issue.period.since, issue.period.until
    return IssueView(
        subject=subject(issue),
        preheader=preheader(issue),
        heading=f"{'New' if issue.papers else 'No new'} papers, {formatting.format_days(since, until)}",
        name=formatting.clean_text(issue.period.name, 40),
        days=formatting.format_days(since, until),
        screened=screened(issue),
        nothing_on=nothing_on(issue),
        kind="" if issue.mode == "extractive" else f"written by {_model(issue)}",
        label=label(issue),
        overview=tuple(_titled_views(issue.overview, issue, papers, links)),
        themes=tuple(
            SectionView(_title(theme.name), tuple(_item_view(i, theme, issue, links) for i in theme.items))
            for theme in issue.themes
            if theme.items
        ),
        standing=tuple(_standing_view(answer, issue, papers, links) for answer in issue.standing),
        also=tuple(_paper_view(paper, links) for paper in issue.also[:max_also]),
        more=len(issue.also) - len(issue.also[:max_also]),
        updates=tuple(_update_view(paper, links) for paper in issue.updates),
        sources=tuple(_sources(issue, papers, links, max_quote)),
        notes=tuple(dict.fromkeys(_notes(issue))),
        links=links,
        footer=_footer(issue, links),
        translation=_translation_view(issue),
    )


def _translation_view(issue: Issue) -> TranslationView | None:
    if issue.translation is None:
        return None
    language = issue.translation.language
    label = formatting.clean_text(issue.translation.label, 160)
    return TranslationView(label, language.tag, "rtl" if language.is_rtl else "ltr")


def _notes(issue: Issue) -> Iterator[str]:
    """Yield the notes for subscribers, without an endpoint's address, error text or costs."""
    for note in issue.notes:
        if not note.startswith(FALLBACK_NOTE):
            yield formatting.clean_text(note, 400)
        elif issue.mode == "llm":
            yield "Some sentences are quoted instead of written."


def subject(issue: Issue) -> str:
    """Return ``THEME · 6, THEME · 4 — 15–21 June``, about 78 characters with as many themes as fit."""
    count = len(issue.papers)
    end = f" — {formatting.format_days_briefly(issue.period.since, issue.period.until)}"
    named = [t for t in issue.themes if t.items and t.name not in {OTHER_NAME, ONLY_NAME}]
    if not count or sum(len(t.items) for t in named) * 2 < count:  # no theme stands for most of the issue
        return (counted(count, "new paper") if count else "No new papers") + end
    parts: list[str] = []
    for theme in named:
        size = f" · {len(theme.items)}"
        room = MAX_SUBJECT - len(", ".join([*parts, ""]) + size + end)
        name = formatting.clean_text(theme.name)
        if parts and len(name) > room:
            break
        parts.append(formatting.cut(name, room) + size)
    return ", ".join(parts) + end


def preheader(issue: Issue) -> str:
    """Return the text that an inbox shows after the subject, 40 to 90 characters."""
    # An inbox has no room for the title above a quote, or the sentences below an unverified claim.
    parts = [formatting.clean_text(c.text) for c in issue.overview[:1] if c.support == "supported"]
    parts += [formatting.clean_text(item.paper.title) for item in issue.items]
    parts += [screened(issue), formatting.format_days(issue.period.since, issue.period.until)]
    text = ""
    for part in parts:
        text = f"{text} · {part}" if text else part
        if len(text) >= 40:
            break
    return formatting.cut(text, 90)


def screened(issue: Issue) -> str:
    """Return ``12 picked from 1,704 · 4 min read``, without the minutes if there is only one."""
    count, total = len(issue.papers), max(issue.screened, len(issue.papers))
    text = f"{f'{count:,}' if count else 'No paper'} picked from {total:,}"
    return f"{text} · {issue.minutes} min read" if issue.minutes > 1 else text


def nothing_on(issue: Issue) -> str:
    """Return ``Nothing this week on: code-switching``; empty if every interest has a paper."""
    when = {"daily": " today", "weekly": " this week", "monthly": " this month"}.get(
        frequency_of(issue.period) or "", ""
    )
    interests = "; ".join(formatting.clean_text(text, 80) for text in issue.unmatched)
    return f"Nothing{when or ' new'} on: {interests}" if interests else ""


def label(issue: Issue) -> str:
    """Return a sentence on who wrote the sentences and how they were checked."""
    if issue.mode == "extractive":
        text = "Every sentence is quoted word for word from the abstract it cites."
    else:
        text = f"Written by {_model(issue)}; every sentence was checked against the abstract it cites."
    if any(c.support == "unverified" for c in issue.claims):
        text += f" {_CHECK_UNSETTLED}"
    if issue.translation is not None:
        text += " The translations were not checked."
    return text


def _model(issue: Issue) -> str:
    return formatting.clean_text(issue.model or "a model", 80)


def _footer(issue: Issue, links: SubscriberLinks) -> str:
    if links.ways:
        return _SUBSCRIBED_FOOTER
    personal = issue.standing or any(item.reason.kind in _PERSONAL_REASONS for item in issue.items)
    return _PERSONAL_FOOTER if personal else _GENERAL_FOOTER


def _title(text: str) -> str:
    return formatting.clean_text(text, formatting.MAX_TITLE) or "Untitled"


def _claim_views(claims: Iterable[Claim], issue: Issue) -> tuple[ClaimView, ...]:
    by_number = {c.n: c for c in issue.citations}
    return tuple(_claim_view(claim, sentences_under(claim, by_number), issue) for claim in claims)


def _titled_views(
    claims: Sequence[Claim], issue: Issue, papers: Mapping[str, Paper], links: SubscriberLinks
) -> Iterator[ClaimView]:
    """Yield sentences far from their papers; a quoted one with its paper's title, which its words rely on."""
    by_number = {c.n: c for c in issue.citations}
    for claim, view in zip(claims, _claim_views(claims, issue), strict=True):
        if claim.support != "quoted":
            yield view
            continue
        paper = _cited_paper(by_number[claim.citations[0]], papers)
        yield replace(view, title=_title(paper.title), url=_link(paper, links)[0])


def _cited_paper(citation: Citation, papers: Mapping[str, Paper]) -> Paper:
    unknown = Paper(citation.paper_id, citation.title, "", url=citation.url)
    return papers.get(citation.paper_id, unknown)


def _claim_view(claim: Claim, quoted_under: Sequence[Citation], issue: Issue) -> ClaimView:
    translation = issue.translation.sentences.get(claim.text, "") if issue.translation else ""
    return ClaimView(
        formatting.clean_text(claim.text),
        claim.citations,
        remark=REPLACED if is_replaced(claim) else "",
        label=UNVERIFIED if quoted_under else "",
        quotes=tuple((c.n, formatting.clean_text(c.quote, formatting.MAX_QUOTE)) for c in quoted_under),
        translation=formatting.clean_text(translation),
    )


def _paper_view(paper: Paper, links: SubscriberLinks) -> PaperView:
    url, address = _link(paper, links)
    return PaperView(
        title=_title(paper.title),
        url=url,
        address=address,
        identity=formatting.paper_identifier(paper),
        authors=formatting.format_authors(paper.authors),
        day=formatting.format_day(paper.public_day),
    )


def _link(paper: Paper, links: SubscriberLinks) -> tuple[str | None, str | None]:
    """Return the link of a paper's title, and an address to show as text because it leads to no known site.

    The link leads to a known site for papers, or else to our page, or else to a search for the title.
    """
    if url := formatting.known_url(paper):
        return url, None
    if links.paper:
        return links.paper(paper.paper_id), None
    return formatting.search_url(paper.title), formatting.paper_url(paper)


def _item_view(item: Item, theme: Theme, issue: Issue, links: SubscriberLinks) -> PaperView:
    reason = item.reason
    is_heading = reason.kind == "central" or reason.text.casefold() == theme.name.casefold()
    return replace(
        _paper_view(item.paper, links),
        lines=_claim_views(item.claims, issue),
        why="" if is_heading else describe_reason(reason, issue.period),
        feedback=tuple(_feedback_links(item.paper, links)),
    )


def describe_reason(reason: Reason, period: Period) -> str:
    """Return why a paper is in the issue of a period, as text for the subscriber."""
    text = formatting.clean_text(reason.text, 160)
    frequency = frequency_of(period)
    when = {"daily": "of the day", "weekly": "this week", "monthly": "of the month"}.get(
        frequency or "", "of this period"
    )
    descriptions = {
        "interest": f"Your topic: {text}",
        "question": f"Your question: {text}",
        "liked": f"You liked: {text}",
        "example": f"Like “{text}”",
        "author": f"By {text}",
        "category": f"You follow {text}",
        "upvotes": f"{text} upvotes",
        "central": f"A main topic {when}",
    }
    return descriptions[reason.kind]


def _feedback_links(paper: Paper, links: SubscriberLinks) -> Iterator[tuple[str, str]]:
    if links.feedback:
        for kind, text in FEEDBACK_LABELS:
            yield text, links.feedback(paper.paper_id, kind)


def _standing_view(
    answer: StandingAnswer, issue: Issue, papers: Mapping[str, Paper], links: SubscriberLinks
) -> SectionView:
    lines = tuple(_titled_views(answer.claims, issue, papers, links))
    return SectionView(
        _title(answer.question), lines=lines, note="" if lines else "Nothing new in this issue."
    )


def _update_view(paper: Paper, links: SubscriberLinks) -> PaperView:
    version = f"new version (v{paper.version})" if paper.version else "new version"
    return replace(_paper_view(paper, links), note="withdrawn" if paper.withdrawn else version)


def _sources(
    issue: Issue, papers: Mapping[str, Paper], links: SubscriberLinks, max_quote: int
) -> Iterator[SourceView]:
    """Yield each cited paper once, in order of first citation."""
    reworded = {n for claim in issue.claims if claim.support == "supported" for n in claim.citations}
    for paper_id in dict.fromkeys(c.paper_id for c in issue.citations):
        cited = [c for c in issue.citations if c.paper_id == paper_id]
        quotes = tuple(
            (c.n, formatting.cut(formatting.clean_text(c.quote), max_quote)) for c in cited if c.n in reworded
        )
        yield _source_view(cited, _cited_paper(cited[0], papers), links, quotes)


def _source_view(
    cited: Sequence[Citation],
    paper: Paper,
    links: SubscriberLinks,
    quotes: tuple[tuple[int, str], ...],
) -> SourceView:
    url, address = _link(paper, links)
    return SourceView(
        numbers=tuple(c.n for c in cited),
        title=_title(paper.title),
        url=url,
        address=address,
        identity=formatting.paper_identifier(paper),
        quotes=quotes,
    )
