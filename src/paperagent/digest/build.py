"""Build the issues of a period: select, write and render for each subscriber, and store the result once.

Issues are stored in batches, so memory does not grow with the number of subscribers. A stored issue
never changes: a second build skips it and calls no model.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from paperagent.digest.delivery import message
from paperagent.digest.delivery.ledger import Ledger
from paperagent.digest.delivery.stored_issues import NewIssue
from paperagent.digest.issue import Issue, Period, QuestionAnswer, Selection
from paperagent.digest.links import LinkBuilder
from paperagent.digest.preferences import Preferences
from paperagent.digest.render.renderer import Rendered, render_issue
from paperagent.digest.render.view import describe_reason, issue_view
from paperagent.digest.render.webhook_payload import webhook_content
from paperagent.digest.write.translation import without_translation
from paperagent.errors import PaperAgentError, visible
from paperagent.text.languages import Language
from paperagent.types import Progress, Usage

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from paperagent.digest.select.selector import PaperSelector
    from paperagent.digest.subscribers import Subscriber, Subscribers
    from paperagent.digest.write.standing_questions import StandingQuestions
    from paperagent.digest.write.writer import IssueWriter

_LOG = logging.getLogger(__name__)
_BATCH_SIZE = 25
GENERAL_ISSUE = "the general issue"


@dataclass(slots=True)
class BuildReport:
    """The result of a build."""

    period: Period
    built: int = 0
    already: int = 0
    """Issues that were stored before."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Why issues without papers were not built, with the number of issues for each reason."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Address and reason of each issue that could not be built."""
    papers: int = 0
    """Number of new papers in the period."""
    usage: Usage = field(default_factory=Usage)
    notes: dict[str, int] = field(default_factory=dict)
    """Notes on the issues, with the number of issues that have each."""


class IssueBuilder:
    """Builds the issues of one period."""

    def __init__(
        self,
        period: Period,
        selector: PaperSelector,
        writer: IssueWriter,
        questions: StandingQuestions,
        *,
        links: LinkBuilder | None = None,
        domain: str = "localhost",
        theme_dir: Path | None = None,
    ) -> None:
        """Create a builder.

        Args:
            period: The days that the issues cover.
            selector: Selects papers of the period.
            writer: Writes about them.
            questions: Answers standing questions.
            links: Builds the links in subscribers' emails.
            domain: The domain in Message-IDs.
            theme_dir: A folder of templates that replace the packaged ones.
        """
        self._period = period
        self._selector = selector
        self._writer = writer
        self._questions = questions
        self._links = links or LinkBuilder()
        self._domain = domain
        self._theme_dir = theme_dir

    # --- one issue ---

    def issue(self, preferences: Preferences) -> Issue:
        """Return the issue for one set of preferences.

        Raises:
            PaperAgentError: the issue does not pass its check.
        """
        self._prepare([preferences])
        selection = self._select(preferences)
        self._writer.draft([selection])
        issue = self._writer.write(selection)
        language = preferences.translation
        return self._translate([(issue, language)])[0] if language else issue

    def preview(self, preferences: Preferences, subscriber_id: int | None = None) -> Rendered:
        """Return the issue as an email to a subscriber, or without personal links.

        Raises:
            PaperAgentError: the issue does not pass its check.
        """
        rendered = self._render(self.issue(preferences), subscriber_id)
        if self._selector.papers:
            return rendered
        days = f"from {self._period.since} to {self._period.until}"
        note = f"the library has no papers {days}; choose other days, for example with --week"
        return replace(rendered, notes=(*rendered.notes, note))

    def _prepare(self, preferences: Sequence[Preferences]) -> None:
        self._selector.prepare(preferences)
        self._questions.prepare(preferences)

    def _select(self, preferences: Preferences, *, quoted: bool = False) -> Selection:
        """Answer the standing questions, then select; with ``quoted`` without a model."""
        answers: Sequence[QuestionAnswer] = ()
        if preferences.questions:
            eligible = self._selector.eligible(preferences)
            answers = self._questions.answers(preferences.questions, eligible, quoted=quoted)
        return self._selector.select(preferences, answers)

    def _render(self, issue: Issue, subscriber_id: int | None) -> Rendered:
        links = self._links.links_for(subscriber_id or None)
        return render_issue(issue, links=links, theme_dir=self._theme_dir)

    # --- all issues of the period ---

    def build(
        self,
        recipients: Sequence[Subscriber],
        subscribers: Subscribers,
        ledger: Ledger,
        *,
        clock: Callable[[], dt.datetime],
        general: Preferences | None = None,
        include_empty: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build and store the issues that are missing.

        An issue that fails does not stop the others; the report lists it.

        Args:
            recipients: The subscribers to build for.
            subscribers: Their preferences and feedback.
            ledger: Where issues are stored.
            clock: Returns the time at which an issue is stored.
            general: The preferences of the general issue; None to build no general issue.
            include_empty: Whether subscribers without papers get an issue that says so.
            progress: Called after each batch.
        """
        report = BuildReport(self._period)
        missing = self._missing(recipients, ledger, general=general is not None)
        report.already = len(recipients) + (general is not None) - len(missing)
        if not missing:
            return report
        report.papers = len(self._selector.papers)
        selections = self._selections(missing, subscribers, general or Preferences(), report)
        if self._writer.uses_llm:
            drafted = list(selections)
            self._writer.draft(selection for _, selection in drafted)
            selections = iter(drafted)
        done = 0
        written = self._write_all(selections, report, include_empty=include_empty)
        while batch := list(islice(written, _BATCH_SIZE)):
            issues = [self._new_issue(*parts, report) for parts in batch]
            report.built += ledger.store_issues([i for i in issues if i], clock())
            done += len(batch)
            report.usage = self._writer.usage
            if progress:
                progress("build", done, len(missing))
        return report

    def estimate(self, recipients: Sequence[Subscriber], subscribers: Subscribers, ledger: Ledger) -> Usage:
        """Return the maximum that a model may use to build the missing issues, without calling it."""
        missing = self._missing(recipients, ledger, general=True)
        if not missing:
            return Usage()
        report = BuildReport(self._period)
        chosen = self._selections(missing, subscribers, Preferences(), report, quoted=True)
        selections = [selection for _, selection in chosen]
        usage, translator = self._writer.estimate(selections), self._writer.translator
        return usage + translator.estimate(selections) if translator else usage

    def _missing(
        self, recipients: Sequence[Subscriber], ledger: Ledger, *, general: bool
    ) -> list[Subscriber | None]:
        """Return the subscribers without a stored issue; None stands for the general issue."""
        stored = ledger.stored_for(self._period.name)
        general_missing = [None] if general and 0 not in stored else []
        return [*general_missing, *(s for s in recipients if s.id not in stored)]

    def _selections(
        self,
        recipients: Sequence[Subscriber | None],
        subscribers: Subscribers,
        general: Preferences,
        report: BuildReport,
        *,
        quoted: bool = False,
    ) -> Iterator[tuple[Subscriber | None, Selection]]:
        """Yield the selection for each recipient; all interests are embedded at once."""
        self._prepare([general, *(s.preferences for s in recipients if s)])
        for subscriber in recipients:
            selection = None
            with _reporting(subscriber, report):
                preferences = subscribers.preferences_with_feedback(subscriber) if subscriber else general
                selection = self._select(preferences, quoted=quoted)
            if selection is not None:
                yield subscriber, selection

    def _write_all(
        self,
        selections: Iterable[tuple[Subscriber | None, Selection]],
        report: BuildReport,
        *,
        include_empty: bool,
    ) -> Iterator[tuple[Subscriber | None, Selection, Issue | None]]:
        """Yield each issue, or None if it is empty or failed.

        Those that are translated come last, because they share the calls to the model.
        """
        waiting = []
        for subscriber, selection in selections:
            issue = self._write(subscriber, selection, report, include_empty=include_empty)
            if issue is not None and selection.preferences.translation is not None:
                waiting.append((subscriber, selection, issue, selection.preferences.translation))
            else:
                yield subscriber, selection, issue
        translated = self._translate([(issue, language) for _, _, issue, language in waiting])
        for (subscriber, selection, _, _), issue in zip(waiting, translated, strict=True):
            yield subscriber, selection, issue
        if self._writer.translator is not None:
            report.notes |= dict.fromkeys(self._writer.translator.notes(), 1)

    def _translate(self, issues: Sequence[tuple[Issue, Language]]) -> list[Issue]:
        if self._writer.translator is None:
            return [without_translation(issue, language) for issue, language in issues]
        return self._writer.translator.translate(issues)

    def _write(
        self, subscriber: Subscriber | None, selection: Selection, report: BuildReport, *, include_empty: bool
    ) -> Issue | None:
        if not any(selection.items) and not selection.updates and not include_empty:
            categories = selection.preferences.categories
            in_none = report.papers and categories and not selection.screened
            report.skipped[f"no papers in {', '.join(categories)}" if in_none else "no new papers"] += 1
            return None
        with _reporting(subscriber, report):
            return self._writer.write(selection)
        return None

    def _new_issue(
        self,
        subscriber: Subscriber | None,
        selection: Selection,
        issue: Issue | None,
        report: BuildReport,
    ) -> NewIssue | None:
        """Render an issue; return None if there is none or it failed."""
        if issue is None:
            return None
        with _reporting(subscriber, report):
            rendered = self._render(issue, subscriber.id if subscriber else None)
            for note in (*issue.notes, *rendered.notes):
                report.notes[note] = report.notes.get(note, 0) + 1
            return self._stored_form(subscriber, selection, issue, rendered)
        return None

    def _stored_form(
        self, subscriber: Subscriber | None, selection: Selection, issue: Issue, rendered: Rendered
    ) -> NewIssue:
        subscriber_id = subscriber.id if subscriber else None
        message_id = None
        if subscriber is not None:
            issue_id = NewIssue.id_for(self._period.name, subscriber_id)
            address = subscriber.key if subscriber.is_webhook else message.mailbox(subscriber.email).address
            message_id = message.message_id(issue_id, address, self._domain, key=self._links.message_key)
        facts: dict[str, Any] = {
            "screened": issue.screened,
            "items": len(issue.papers),
            "mode": issue.mode,
            "model": issue.model,
            "notes": [*issue.notes, *rendered.notes],
            "chosen": [
                {
                    "paper_id": item.paper.paper_id,
                    "title": item.paper.title,
                    "reason": describe_reason(item.reason, self._period),
                }
                for item in issue.items
            ],
        }
        if subscriber is not None and subscriber.is_webhook:
            facts["webhook"] = webhook_content(issue_view(issue, self._links.links_for(None)))
        return NewIssue(
            self._period,
            subscriber_id,
            rendered.subject,
            rendered.preheader,
            rendered.html,
            rendered.text,
            papers=tuple(_seen_ids(selection, issue)),
            message_id=message_id,
            facts=facts,
        )


@contextmanager
def _reporting(subscriber: Subscriber | None, report: BuildReport) -> Iterator[None]:
    """Add an error in the block to the report instead of raising it."""
    name = subscriber.email if subscriber else GENERAL_ISSUE
    try:
        yield
    except PaperAgentError as error:
        report.failed.append((name, str(error)))
    except Exception as error:  # noqa: BLE001 - a bug in one issue must not cost the others theirs
        _LOG.debug("the issue of subscriber %s failed", subscriber.id if subscriber else 0, exc_info=True)
        reason = visible(" ".join(str(error).split()), limit=200)
        report.failed.append((name, f"unexpected failure: {type(error).__name__}: {reason}"))


def _seen_ids(selection: Selection, issue: Issue) -> Iterator[str]:
    """Yield the ids of the papers that the subscriber has seen after this issue, duplicates included."""
    written = {p.paper_id for p in issue.papers}
    for item in selection.items:
        if item.paper.paper_id in written:
            yield item.paper.paper_id
            yield from item.duplicates
    yield from (p.paper_id for p in issue.also)
