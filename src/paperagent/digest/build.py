"""Build a period's issues: for each reader choose, write, render and freeze, once.

In batches, so that memory does not grow with the number of readers. What was frozen before is
left as it is: a second run writes nothing anew and calls no model.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from paperagent.digest.delivery.ledger import Ledger, NewIssue
from paperagent.digest.issue import Issue, Period, Profile, Selection
from paperagent.digest.render.renderer import Rendered
from paperagent.digest.subscribers import Subscriber, Subscribers
from paperagent.errors import PaperAgentError, visible
from paperagent.types import Progress, Usage

_LOG = logging.getLogger(__name__)
_BATCH = 25


class Press(Protocol):
    """What makes issues of one period: see `select`, `write` and `render`."""

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Take in what many readers wish for, before the first is chosen for."""
        ...

    def select(self, profile: Profile) -> Selection:
        """Choose for a reader."""
        ...

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        """Return the most that `draft` may use."""
        ...

    def draft(self, selections: Iterable[Selection]) -> None:
        """Have a model write what the issues share, before the first is written."""
        ...

    @property
    def usage(self) -> Usage:
        """What the model used so far."""
        ...

    def write(self, selection: Selection) -> Issue:
        """Write and check an issue."""
        ...

    def render(self, issue: Issue, subscriber_id: int | None) -> Rendered:
        """Lay an issue out for a reader, or for nobody in particular."""
        ...

    def message_id(self, issue_id: str, email: str) -> str:
        """Name the message of an issue to a reader."""
        ...


@dataclass(slots=True)
class BuildReport:
    """What a build did."""

    period: Period
    built: int = 0
    already: int = 0
    """Readers whose issue was frozen before."""
    quiet: int = 0
    """Readers for whom the period brought nothing."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Address and reason of each reader whose issue could not be built."""
    papers: int = 0
    """Papers that the period brought, at most over the readers."""
    usage: Usage = field(default_factory=Usage)
    notes: dict[str, int] = field(default_factory=dict)
    """What is to be said of the issues → in how many."""


class IssueBuilder:
    """Builds the issues of one period."""

    def __init__(
        self,
        period: Period,
        press: Press,
        ledger: Ledger,
        subscribers: Subscribers,
        *,
        clock: Callable[[], dt.datetime],
        empty: bool = False,
        model: bool = False,
    ) -> None:
        """With ``empty`` a reader for whom there is nothing gets an issue that says so."""
        self._period = period
        self._press = press
        self._ledger = ledger
        self._subscribers = subscribers
        self._clock = clock
        self._empty = empty
        self._model = model

    def build(
        self,
        readers: Sequence[Subscriber],
        *,
        general: bool = True,
        profile: Profile | None = None,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build what is missing for ``readers``, and with ``general`` the issue for nobody in particular.

        ``profile`` is what the general issue is about. One reader's failure never stops the
        others: it is reported.
        """
        report = BuildReport(self._period)
        missing = self._missing(readers, general=general)
        report.already = len(readers) + general - len(missing)
        if not missing:
            return report
        chosen = self._chosen(missing, profile or Profile(), report)
        if self._model:
            everything = list(chosen)
            self._press.draft(selection for _, selection in everything)
            chosen = iter(everything)
        done = 0
        while batch := list(islice(chosen, _BATCH)):
            drafts = [d for reader, selection in batch if (d := self._draft(reader, selection, report))]
            report.built += self._ledger.store_issues(drafts, self._clock())
            done += len(batch)
            report.usage = self._press.usage
            if progress:
                progress("build", done, len(missing))
        return report

    def estimate(self, readers: Sequence[Subscriber]) -> Usage:
        """Return the most that a model may use for what `build` would build now; nothing is written."""
        missing = self._missing(readers, general=True)
        chosen = self._chosen(missing, Profile(), BuildReport(self._period)) if missing else ()
        return self._press.estimate(selection for _, selection in chosen)

    def _missing(self, readers: Sequence[Subscriber], *, general: bool) -> list[Subscriber | None]:
        """Return whose issue is not there yet; None is nobody in particular."""
        frozen = self._ledger.stored_for(self._period.name)
        nobody = [None] if general and 0 not in frozen else []
        return [*nobody, *(r for r in readers if r.id not in frozen)]

    def _chosen(
        self, readers: Sequence[Subscriber | None], general: Profile, report: BuildReport
    ) -> Iterator[tuple[Subscriber | None, Selection]]:
        """Yield each reader's selection; embed the wishes of all at once."""
        self._press.prepare([general, *(r.preferences.profile() for r in readers if r)])
        for reader in readers:
            selection = None
            with _reporting(reader, report):
                profile = self._subscribers.preferences_with_feedback(reader) if reader else general
                selection = self._press.select(profile)
            if selection is not None:
                yield reader, selection

    def _draft(self, reader: Subscriber | None, selection: Selection, report: BuildReport) -> NewIssue | None:
        report.papers = max(report.papers, selection.screened)
        if not any(selection.chosen) and not selection.updates and not self._empty:
            report.quiet += 1
            return None
        with _reporting(reader, report):
            issue = self._press.write(selection)
            rendered = self._press.render(issue, reader.id if reader else None)
            for note in (*issue.notes, *rendered.notes):
                report.notes[note] = report.notes.get(note, 0) + 1
            return self._frozen(reader, selection, issue, rendered)
        return None

    def _frozen(
        self, reader: Subscriber | None, selection: Selection, issue: Issue, rendered: Rendered
    ) -> NewIssue:
        draft = NewIssue(
            self._period,
            reader.id if reader else None,
            rendered.subject,
            rendered.preheader,
            rendered.html,
            rendered.text,
            papers=tuple(_shown(selection, issue)),
            facts={
                "screened": issue.screened,
                "items": len(issue.papers),
                "mode": issue.mode,
                "model": issue.model,
                "notes": [*issue.notes, *rendered.notes],
            },
        )
        if reader is None:
            return draft
        return replace(draft, message_id=self._press.message_id(draft.issue_id, reader.email))


@contextmanager
def _reporting(reader: Subscriber | None, report: BuildReport) -> Iterator[None]:
    """Report what stops one reader's issue, and go on with the next."""
    who = reader.email if reader else "nobody in particular"
    try:
        yield
    except PaperAgentError as error:
        report.failed.append((who, str(error)))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one issue must not cost the others theirs
        _LOG.debug("the issue for reader %s failed", reader.id if reader else 0, exc_info=True)
        reason = visible(" ".join(str(error).split()), limit=200)
        report.failed.append((who, f"unexpected failure: {type(error).__name__}: {reason}"))


def _shown(selection: Selection, issue: Issue) -> Iterator[str]:
    """Yield the ids that the reader has seen once they have this issue."""
    written = {p.paper_id for p in issue.papers}
    for chosen in selection.chosen:
        if chosen.paper.paper_id in written:
            yield chosen.paper.paper_id
            yield from chosen.merged
    yield from (p.paper_id for p in issue.also)
