"""From an `Issue` to what its templates show: cleaned, bounded, numbered text. Decides what, never how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from paperagent.answering.answers import FALLBACK_NOTE
from paperagent.digest.issue import Issue, Item, Standing, Why
from paperagent.digest.render import plain
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
class ReaderLinks:
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
class Line:
    """A sentence with what it cites."""

    text: str
    cites: tuple[int, ...]
    remark: str = ""
    label: str = ""
    """Stands before the first of ``quotes``."""
    quotes: tuple[tuple[int, str], ...] = ()
    """Number and sentence of each citation that stands under an unverified claim, whole."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper."""

    title: str
    url: str | None
    """Where the title leads."""
    address: str | None
    """An address shown as text, because it leads to none of the places where papers are kept."""
    identity: str
    authors: str
    day: str
    lines: tuple[Line, ...] = ()
    why: str = ""
    feedback: tuple[tuple[str, str], ...] = ()
    """Label and address."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A theme with its papers, or a standing question with its answer."""

    title: str
    entries: tuple[Entry, ...] = ()
    lines: tuple[Line, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A cited paper in the list at the end."""

    numbers: tuple[int, ...]
    title: str
    url: str | None
    address: str | None
    identity: str
    quotes: tuple[tuple[int, str], ...] = ()
    """Number and sentence of each citation of a supported claim: the others stand word for word above."""


@dataclass(frozen=True, slots=True)
class View:
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
    overview: tuple[Line, ...]
    themes: tuple[Section, ...]
    standing: tuple[Section, ...]
    also: tuple[Entry, ...]
    more: int
    """How many more were noticed than are listed."""
    updates: tuple[Entry, ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    links: ReaderLinks
    footer: str
    """Why the reader got this."""

    @property
    def feedback(self) -> tuple[Entry, ...]:
        """The papers that can be rated."""
        return tuple(e for theme in self.themes for e in theme.entries if e.feedback)


def view(
    issue: Issue, links: ReaderLinks, *, also: int | None = None, quote_length: int = plain.MAX_SENTENCE
) -> View:
    """Return what to show of ``issue``; ``also`` and ``quote_length`` shorten what may be shortened."""
    papers = {p.paper_id: p for p in (*issue.papers, *issue.also, *issue.updates)}
    return View(
        subject=subject(issue),
        preheader=preheader(issue),
        name=plain.shown(issue.period.name, 40),
        days=plain.days(issue.period.since, issue.period.until),
        screened=screened(issue),
        kind=issue.mode if issue.mode == "extractive" else f"written by {_model(issue)}",
        label=label(issue),
        overview=_lines(issue.overview, issue),
        themes=tuple(
            Section(_title(t.name), tuple(_item(i, issue, links) for i in t.items))
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
            yield plain.shown(note, 400)
        elif issue.mode == "llm":
            yield "Some sentences are quoted instead of written."


def subject(issue: Issue) -> str:
    """Return ``N papers: TOP THEME — 2026-W26``, at most 120 characters, the period always whole."""
    count = len(issue.papers)
    end = f" — {plain.shown(issue.period.name, 40)}"
    if not count:
        return f"No new papers{end}"
    start = f"{count} paper{'s' if count != 1 else ''}"
    named = [t for t in issue.themes if t.items and t.name not in {OTHER_NAME, ONLY_NAME}]
    if sum(len(t.items) for t in named) * 2 < count:  # no theme speaks for most of the issue
        return f"{count} new paper{'s' if count != 1 else ''}{end}"
    theme = plain.shown(named[0].name)
    return start + (f": {plain.cut(theme, 118 - len(start + end))}" if theme else "") + end


def preheader(issue: Issue) -> str:
    """Return what an inbox shows after the subject, 40 to 90 characters."""
    # An inbox has no room for the sentence that an unverified claim must be shown with.
    parts = [plain.shown(c.text) for c in issue.overview[:1] if c.support != "unverified"]
    parts += [plain.shown(i.paper.title) for i in issue.items]
    parts += [screened(issue), plain.days(issue.period.since, issue.period.until)]
    said = ""
    for part in parts:
        said = f"{said} · {part}" if said else part
        if len(said) >= 40:
            break
    return plain.cut(said, 90)


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
    return plain.shown(issue.model or "a model", 80)


def _footer(issue: Issue, links: ReaderLinks) -> str:
    if links.ways:
        return _SUBSCRIBED
    wished = issue.standing or any(i.why.kind in _WISHES for i in issue.items)
    return _WISHED if wished else _FOR_ALL


def _title(text: str) -> str:
    return plain.shown(text, plain.MAX_TITLE) or "Untitled"


def _lines(claims: Iterable[Claim], issue: Issue) -> tuple[Line, ...]:
    by_number = {c.n: c for c in issue.citations}
    return tuple(_line(claim, sentences_under(claim, by_number)) for claim in claims)


def _line(claim: Claim, under: Sequence[Citation]) -> Line:
    return Line(
        plain.shown(claim.text),
        claim.citations,
        remark=REPLACED if is_replaced(claim) else "",
        label=UNVERIFIED if under else "",
        quotes=tuple((c.n, plain.shown(c.quote, plain.MAX_QUOTE)) for c in under),
    )


def _entry(paper: Paper) -> Entry:
    url = plain.paper_url(paper)
    linked = plain.linkable(url)
    return Entry(
        title=_title(paper.title),
        url=url if linked else None,
        address=None if linked else url,
        identity=plain.identity(paper),
        authors=plain.authors(paper.authors),
        day=plain.day(paper.day),
    )


def _item(item: Item, issue: Issue, links: ReaderLinks) -> Entry:
    feedback = tuple(_feedback(item.paper, links))
    return replace(_entry(item.paper), lines=_lines(item.claims, issue), why=why(item.why), feedback=feedback)


def why(reason: Why) -> str:
    """Say why a paper is in the issue, to its reader."""
    text = plain.shown(reason.text, 160)
    said = {
        "interest": f"Your interest: {text}",
        "question": f"Your question: {text}",
        "liked": f"You liked: {text}",
        "category": f"You follow {text}",
        "upvotes": f"{text} upvotes",
        "central": "Typical of what is new",
    }
    return said[reason.kind]


def _feedback(paper: Paper, links: ReaderLinks) -> Iterator[tuple[str, str]]:
    if links.feedback:
        for kind, label in FEEDBACK:
            yield label, links.feedback(paper.paper_id, kind)


def _standing(standing: Standing, issue: Issue) -> Section:
    lines = _lines(standing.claims, issue)
    note = plain.shown(standing.note, 400) or ("" if lines else "Nothing new in this issue.")
    return Section(_title(standing.question), lines=lines, note=note)


def _update(paper: Paper) -> Entry:
    version = f"new version (v{paper.version})" if paper.version else "new version"
    return replace(_entry(paper), note="withdrawn" if paper.withdrawn else version)


def _sources(issue: Issue, papers: dict[str, Paper], length: int) -> Iterator[Source]:
    """Yield each cited paper once, in the order in which it is first cited."""
    reworded = {n for claim in issue.claims if claim.support == "supported" for n in claim.citations}
    for paper_id in dict.fromkeys(c.paper_id for c in issue.citations):
        cited = [c for c in issue.citations if c.paper_id == paper_id]
        quotes = tuple((c.n, plain.cut(plain.shown(c.quote), length)) for c in cited if c.n in reworded)
        yield _source(cited, papers.get(paper_id), quotes)


def _source(cited: Sequence[Citation], paper: Paper | None, quotes: tuple[tuple[int, str], ...]) -> Source:
    first = cited[0]
    known = paper or Paper(first.paper_id, first.title, "", url=first.url)
    url = plain.paper_url(known)
    linked = plain.linkable(url)
    return Source(
        numbers=tuple(c.n for c in cited),
        title=_title(first.title),
        url=url if linked else None,
        address=None if linked else url,
        identity=plain.identity(known),
        quotes=quotes,
    )
