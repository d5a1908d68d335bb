"""From an `Issue` to what its templates show: cleaned, bounded, numbered text. Decides what, never how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from paperagent.answering.answers import FALLBACK_NOTE
from paperagent.digest.issue import Issue, Item, Reason, StandingAnswer
from paperagent.digest.render import formatting
from paperagent.digest.select.themes import ONLY_NAME, OTHER_NAME
from paperagent.layout import REPLACED, UNVERIFIED, is_replaced, sentences_under
from paperagent.types import Citation, Claim, Paper

FEEDBACK = (("more", "More like this"), ("less", "Less like this"), ("save", "Save"))
_WISHES = frozenset({"interest", "question", "liked", "category"})
_SUBSCRIBED = (
    "You get this because you subscribed; papers are chosen by the interests and questions you gave."
)
_WISHED = "Papers are chosen by the interests and questions given."
_FOR_ALL = "Chosen for nobody in particular: what is typical of these days, and what many readers liked."


@dataclass(frozen=True, slots=True)
class SubscriberLinks:
    """Where a reader can go from the mail; None where there is no web page to go to."""

    unsubscribe: str | None = None
    mailto: str | None = None
    """``mailto:…``, the way to unsubscribe that works without a web page."""
    preferences: str | None = None
    archive: str | None = None
    feedback: Callable[[str, str], str] | None = None
    """Returns the address for a paper's id and ``more``, ``less`` or ``save``."""

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Label and address of each link of the footer."""
        named = (
            ("Archive", self.archive),
            ("Preferences", self.preferences),
            ("Unsubscribe", self.unsubscribe),
            ("Unsubscribe by mail", self.mailto),
        )
        return tuple((label, address) for label, address in named if address)


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A sentence with what it cites."""

    text: str
    cites: tuple[int, ...]
    remark: str = ""
    label: str = ""
    """Stands before the first of ``quotes``."""
    quotes: tuple[tuple[int, str], ...] = ()
    """Number and sentence of each citation that stands under an unverified claim, whole."""


@dataclass(frozen=True, slots=True)
class PaperView:
    """A paper."""

    title: str
    url: str | None
    """Where the title leads."""
    address: str | None
    """An address shown as text, because it leads to none of the places where papers are kept."""
    identity: str
    authors: str
    day: str
    lines: tuple[ClaimView, ...] = ()
    why: str = ""
    feedback: tuple[tuple[str, str], ...] = ()
    """Label and address."""
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
    """A cited paper in the list at the end."""

    numbers: tuple[int, ...]
    title: str
    url: str | None
    address: str | None
    identity: str
    quotes: tuple[tuple[int, str], ...] = ()
    """Number and sentence of each citation of a supported claim: the others stand word for word above."""


@dataclass(frozen=True, slots=True)
class IssueView:
    """All that a template may use."""

    subject: str
    preheader: str
    name: str
    days: str
    screened: str
    kind: str
    """``extractive``, or by which model it is written."""
    label: str
    """How the text came to be: quoted, or written by a model and checked."""
    overview: tuple[ClaimView, ...]
    themes: tuple[SectionView, ...]
    standing: tuple[SectionView, ...]
    also: tuple[PaperView, ...]
    more: int
    """How many more were noticed than are listed."""
    updates: tuple[PaperView, ...]
    sources: tuple[SourceView, ...]
    notes: tuple[str, ...]
    links: SubscriberLinks
    footer: str
    """Why the reader got this."""

    @property
    def feedback(self) -> tuple[PaperView, ...]:
        """The papers that can be rated."""
        return tuple(e for theme in self.themes for e in theme.entries if e.feedback)


def issue_view(
    issue: Issue,
    links: SubscriberLinks,
    *,
    also: int | None = None,
    quote_length: int = formatting.MAX_SENTENCE,
) -> IssueView:
    """Return what to show of ``issue``; ``also`` and ``quote_length`` shorten what may be shortened."""
    papers = {p.paper_id: p for p in (*issue.papers, *issue.also, *issue.updates)}
    return IssueView(
        subject=subject(issue),
        preheader=preheader(issue),
        name=formatting.clean_text(issue.period.name, 40),
        days=formatting.format_days(issue.period.since, issue.period.until),
        screened=screened(issue),
        kind=issue.mode if issue.mode == "extractive" else f"written by {_model(issue)}",
        label=label(issue),
        overview=_lines(issue.overview, issue),
        themes=tuple(
            SectionView(_title(t.name), tuple(_item(i, issue, links) for i in t.items))
            for t in issue.themes
            if t.items
        ),
        standing=tuple(_standing(s, issue) for s in issue.standing),
        also=tuple(map(_entry, issue.also[:also])),
        more=len(issue.also) - len(issue.also[:also]),
        updates=tuple(map(_update, issue.updates)),
        sources=tuple(_sources(issue, papers, quote_length)),
        notes=tuple(dict.fromkeys(_notes(issue))),
        links=links,
        footer=_footer(issue, links),
    )


def _notes(issue: Issue) -> Iterator[str]:
    """Yield what a reader is told: not an endpoint's address and words, or what a call may cost."""
    for note in issue.notes:
        if not note.startswith(FALLBACK_NOTE):
            yield formatting.clean_text(note, 400)
        elif issue.mode == "llm":
            yield "Some sentences are quoted instead of written."


def subject(issue: Issue) -> str:
    """Return ``N papers: TOP THEME — 2026-W26``, at most 120 characters, the period always whole."""
    count = len(issue.papers)
    end = f" — {formatting.clean_text(issue.period.name, 40)}"
    if not count:
        return f"No new papers{end}"
    start = f"{count} paper{'s' if count != 1 else ''}"
    named = [t for t in issue.themes if t.items and t.name not in {OTHER_NAME, ONLY_NAME}]
    if sum(len(t.items) for t in named) * 2 < count:  # no theme speaks for most of the issue
        return f"{count} new paper{'s' if count != 1 else ''}{end}"
    theme = formatting.clean_text(named[0].name)
    return start + (f": {formatting.cut(theme, 118 - len(start + end))}" if theme else "") + end


def preheader(issue: Issue) -> str:
    """Return what an inbox shows after the subject, 40 to 90 characters."""
    # An inbox has no room for the sentence that an unverified claim must be shown with.
    parts = [formatting.clean_text(c.text) for c in issue.overview[:1] if c.support != "unverified"]
    parts += [formatting.clean_text(i.paper.title) for i in issue.items]
    parts += [screened(issue), formatting.format_days(issue.period.since, issue.period.until)]
    said = ""
    for part in parts:
        said = f"{said} · {part}" if said else part
        if len(said) >= 40:
            break
    return formatting.cut(said, 90)


def screened(issue: Issue) -> str:
    """Return ``12 of 1,704 papers screened · 4 min``."""
    shown, of = len(issue.papers), max(issue.screened, len(issue.papers))
    return f"{shown:,} of {of:,} papers screened · {issue.minutes} min"


def label(issue: Issue) -> str:
    """Say who wrote the sentences."""
    if issue.mode == "extractive":
        return "Extractive: every sentence is quoted word for word from the abstract it cites."
    written = f"Written by {_model(issue)}; every sentence was checked against the abstract it cites."
    return f"{written} {_SETTLED}" if any(c.support == "unverified" for c in issue.claims) else written


_SETTLED = "Where the check could not settle one, the cited sentence stands under it."


def _model(issue: Issue) -> str:
    return formatting.clean_text(issue.model or "a model", 80)


def _footer(issue: Issue, links: SubscriberLinks) -> str:
    if links.ways:
        return _SUBSCRIBED
    wished = issue.standing or any(i.why.kind in _WISHES for i in issue.items)
    return _WISHED if wished else _FOR_ALL


def _title(text: str) -> str:
    return formatting.clean_text(text, formatting.MAX_TITLE) or "Untitled"


def _lines(claims: Iterable[Claim], issue: Issue) -> tuple[ClaimView, ...]:
    by_number = {c.n: c for c in issue.citations}
    return tuple(_line(claim, sentences_under(claim, by_number)) for claim in claims)


def _line(claim: Claim, under: Sequence[Citation]) -> ClaimView:
    return ClaimView(
        formatting.clean_text(claim.text),
        claim.citations,
        remark=REPLACED if is_replaced(claim) else "",
        label=UNVERIFIED if under else "",
        quotes=tuple((c.n, formatting.clean_text(c.quote, formatting.MAX_QUOTE)) for c in under),
    )


def _entry(paper: Paper) -> PaperView:
    url = formatting.paper_url(paper)
    linked = formatting.is_linkable(url)
    return PaperView(
        title=_title(paper.title),
        url=url if linked else None,
        address=None if linked else url,
        identity=formatting.paper_identifier(paper),
        authors=formatting.format_authors(paper.authors),
        day=formatting.format_day(paper.day),
    )


def _item(item: Item, issue: Issue, links: SubscriberLinks) -> PaperView:
    feedback = tuple(_feedback(item.paper, links))
    return replace(
        _entry(item.paper), lines=_lines(item.claims, issue), why=describe_reason(item.why), feedback=feedback
    )


def describe_reason(reason: Reason) -> str:
    """Say why a paper is in the issue, to its reader."""
    text = formatting.clean_text(reason.text, 160)
    said = {
        "interest": f"Your interest: {text}",
        "question": f"Your question: {text}",
        "liked": f"You liked: {text}",
        "category": f"You follow {text}",
        "upvotes": f"{text} upvotes",
        "central": "Typical of what is new",
    }
    return said[reason.kind]


def _feedback(paper: Paper, links: SubscriberLinks) -> Iterator[tuple[str, str]]:
    if links.feedback:
        for kind, label in FEEDBACK:
            yield label, links.feedback(paper.paper_id, kind)


def _standing(standing: StandingAnswer, issue: Issue) -> SectionView:
    lines = _lines(standing.claims, issue)
    note = formatting.clean_text(standing.note, 400) or ("" if lines else "Nothing new in this issue.")
    return SectionView(_title(standing.question), lines=lines, note=note)


def _update(paper: Paper) -> PaperView:
    version = f"new version (v{paper.version})" if paper.version else "new version"
    return replace(_entry(paper), note="withdrawn" if paper.withdrawn else version)


def _sources(issue: Issue, papers: dict[str, Paper], length: int) -> Iterator[SourceView]:
    """Yield each cited paper once, in the order in which it is first cited."""
    reworded = {n for claim in issue.claims if claim.support == "supported" for n in claim.citations}
    for paper_id in dict.fromkeys(c.paper_id for c in issue.citations):
        cited = [c for c in issue.citations if c.paper_id == paper_id]
        quotes = tuple(
            (c.n, formatting.cut(formatting.clean_text(c.quote), length)) for c in cited if c.n in reworded
        )
        yield _source(cited, papers.get(paper_id), quotes)


def _source(
    cited: Sequence[Citation], paper: Paper | None, quotes: tuple[tuple[int, str], ...]
) -> SourceView:
    first = cited[0]
    known = paper or Paper(first.paper_id, first.title, "", url=first.url)
    url = formatting.paper_url(known)
    linked = formatting.is_linkable(url)
    return SourceView(
        numbers=tuple(c.n for c in cited),
        title=_title(first.title),
        url=url if linked else None,
        address=None if linked else url,
        identity=formatting.paper_identifier(known),
        quotes=quotes,
    )
