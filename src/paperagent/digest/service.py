"""The digest of one library: subscribers, issues and their delivery behind one class."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol, Self

from paperagent.digest.backups import Backups
from paperagent.digest.build import BuildReport
from paperagent.digest.database import FILE_NAME, OUTBOX_FOLDER, DigestDatabase, run_lock, utc_now
from paperagent.digest.delivery.ledger import MAX_ISSUE_AGE, Ledger
from paperagent.digest.delivery.sender import FAILED_STATES, Sender, SendReport, describe_failures
from paperagent.digest.delivery.transport import Outbox, Transport
from paperagent.digest.delivery.webhook_transport import WebhookTransport
from paperagent.digest.feedback import Feedback, FeedbackKind
from paperagent.digest.history import History, read_history
from paperagent.digest.incoming_mail import IncomingReport, MailReader, read_inbox
from paperagent.digest.preferences import FREQUENCIES, Preferences
from paperagent.digest.render.renderer import Rendered
from paperagent.digest.schedule import frequency_of, last_full_period
from paperagent.digest.subscribers import REMOVED, Subscriber, Subscribers
from paperagent.digest.webhooks import Webhooks
from paperagent.errors import ConfigError, InputError, MailError, StoreError, visible
from paperagent.types import AskMode, Mode, Progress, Usage

if TYPE_CHECKING:
    import datetime as dt

    from paperagent.digest.build import IssueBuilder
    from paperagent.digest.delivery.inbox import Inbox
    from paperagent.digest.delivery.stored_issues import StoredIssue
    from paperagent.digest.issue import Period
    from paperagent.digest.mailer import Mailer
    from paperagent.library import Store


_LOG = logging.getLogger(__name__)


class OpenBuilder(Protocol):
    """Opens an issue builder with its library and models: see `paperagent.factory.digest`."""

    def __call__(
        self,
        period: Period,
        *,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
    ) -> AbstractContextManager[IssueBuilder]:
        """Check the options at once, but open the library and the models only on entering the context.

        Args:
            period: The days that the issues cover.
            mode: Whether to quote sentences or to let a model write; None for the settings' mode.
            model: The model that writes; None for the settings' model.
            max_cost: US dollars that the model may cost.
        """
        ...


class DigestService:
    """The subscribers, issues and deliveries of one library.

    Raises:
        StoreError: the digest's file cannot be used.
    """

    def __init__(
        self,
        home: Path,
        mailer: Mailer,
        *,
        open_store: Callable[[], Store],
        open_builder: OpenBuilder,
        inbox: Inbox | None = None,
        default_mode: AskMode = "extractive",
        include_empty: bool = False,
        zone: dt.tzinfo | None = None,
    ) -> None:
        """Open the digest.

        Args:
            home: The library's folder, which holds the digest's file.
            mailer: Composes and sends emails.
            open_store: Opens the library.
            open_builder: Opens what builds the issues of a period.
            inbox: The mailbox of the sender's address, if it can be read.
            default_mode: The mode if a call names none.
            include_empty: Whether subscribers without papers get an issue that says so.
            zone: The time zone that decides which day it is; None for the system's.
        """
        self.home = home
        self.mailer = mailer
        self.inbox = inbox
        self._open_store = open_store
        self._open_builder = open_builder
        self._default_mode = default_mode
        self._include_empty = include_empty
        self._zone = zone
        self._database = DigestDatabase(home / FILE_NAME)
        self.subscribers = Subscribers(self._database)
        self.webhooks = Webhooks(self._database, self.subscribers, mailer.tokens)
        self.feedback = Feedback(self._database)
        self.ledger = Ledger(self._database)
        self.backups = Backups(self._database.journal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.backups.make_if_due(self._database)
        except StoreError as error:  # the command itself has succeeded
            _LOG.warning("%s", error)
        finally:
            self._database.close()

    def back_up(self) -> None:
        """Make a backup if something has changed; a failure is a warning."""
        try:
            self.backups.make(self._database)
        except StoreError as error:
            _LOG.warning("%s", error)

    def remove_subscriber(self, email: str, *, reason: str = REMOVED) -> bool:
        """Delete all data of a subscriber, including in backups; return whether the subscriber existed."""
        removed = self.subscribers.remove(email, reason=reason)
        if removed:
            self.backups.make(self._database, only=True)
        return removed

    @property
    def mail_reader(self) -> MailReader:
        """Acts on emails that arrive at the sender's address."""
        return MailReader(self.subscribers, self.ledger, self.mailer.tokens, clock=utc_now)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from building or sending during the block.

        Raises:
            StoreLockedError: another process is building or sending.
        """
        with run_lock(self.home):
            yield

    # --- subscribers ---

    def history(self, email: str, *, limit: int) -> History:
        """Return the last ``limit`` issues of a subscriber, and why nothing is sent.

        Raises:
            InputError: no such subscriber.
        """
        subscriber = self.subscribers.find(email)
        ratings = self.feedback.ratings(subscriber.id)
        return read_history(self._database, subscriber, ratings, limit=limit)

    @contextmanager
    def rehearsal(self) -> Iterator[Subscribers]:
        """Yield a copy of the subscribers, to see what changes would do; the copy is deleted afterwards."""
        with TemporaryDirectory() as folder:
            copy = Path(folder) / FILE_NAME
            self._database.copy_to(copy)
            with DigestDatabase(copy, journaled=False) as database:
                yield Subscribers(database)

    def confirm(self, email_or_token: str) -> Subscriber:
        """Confirm a subscriber by address, or by the token from the confirmation mail.

        Raises:
            InputError: the text is neither a valid token nor a subscriber's address.
            ConfigError: the text is a token, but there is no secret to check it with.
        """
        if "@" in email_or_token:
            return self.subscribers.confirm(self.subscribers.find(email_or_token).id)
        tokens = self.mailer.tokens
        if tokens is None:
            raise ConfigError(
                "PAPERAGENT_SECRET: not set, so the token cannot be checked; "
                "restore the secret that the links were signed with"
            )
        return self.subscribers.confirm(tokens.read("confirm", email_or_token)[0])

    def send_confirmation(self, subscriber: Subscriber) -> str:
        """Send a new subscriber the confirmation mail, and return a message with the result.

        Raises:
            MailError: the email could not be sent; the subscriber stays pending.
        """
        if self.mailer.tokens is None:
            return (
                "no confirmation sent: set PAPERAGENT_SECRET, or run 'paperagent subscribers confirm EMAIL'"
            )
        if not self.subscribers.may_send_confirmation(subscriber):
            return "a confirmation email was sent within the last day"
        result = self.mailer.send_confirmation(
            subscriber.email,
            utc_now(),
            token=self.mailer.tokens.create("confirm", subscriber.id),
            frequency=subscriber.frequency,
        )
        if self.mailer.has_server:  # what was only written is sent by the next call
            self.subscribers.record_confirmation_sent(subscriber.id)
        return f"confirmation email: {result}"

    def rate(self, email: str, paper_id: str, kind: FeedbackKind) -> str:
        """Record a subscriber's feedback on a paper and return the paper's title.

        Raises:
            InputError: no such subscriber, or no such paper.
        """
        subscriber = self.subscribers.find(email)
        with self._open_store() as store:
            paper = store.get(paper_id)
        if paper is None:
            raise InputError(
                f"paper: no paper with the id {visible(paper_id, limit=80)}; 'paperagent search' shows ids"
            )
        self.feedback.rate(subscriber.id, paper.paper_id, kind)
        return paper.title

    def read_inbox(self, *, dry_run: bool = False) -> IncomingReport:
        """Act on unsubscribe requests and bounces in the mailbox, or only return what would be done.

        Raises:
            ConfigError: no mailbox is set.
            MailError: the mailbox cannot be read.
        """
        if self.inbox is None:
            raise ConfigError(
                "PAPERAGENT_IMAP_URL: not set; set the mailbox of PAPERAGENT_MAIL_FROM: "
                "imaps://USER:PASSWORD@HOST/INBOX"
            )
        return read_inbox(self.inbox, self.mail_reader, utc_now(), dry_run=dry_run)

    # --- issues ---

    def today(self) -> dt.date:
        """Return the current day in the digest's time zone."""
        return utc_now().astimezone(self._zone).date()

    def current_period(self, email: str | None = None) -> Period:
        """Return the last full week, or for a subscriber their last full day, week or month.

        Raises:
            InputError: no such subscriber.
        """
        frequency = self.subscribers.find(email).frequency if email else "weekly"
        return last_full_period(frequency, self.today())

    def current_periods(self) -> list[Period]:
        """Return the periods that are due: the last week, and the last day and month if anyone gets these."""
        today = self.today()
        subscribed = {s.frequency for s in self.subscribers.all(state="confirmed")}
        return [last_full_period(f, today) for f in FREQUENCIES if f == "weekly" or f in subscribed]

    def recipients(self, period: Period) -> list[Subscriber]:
        """Return the subscribers who get an issue of a period.

        Days, weeks and months go to those who get one; any other period goes to everyone.
        """
        frequency = frequency_of(period)
        return [
            subscriber
            for subscriber in self.subscribers.all(state="confirmed")
            if frequency in {None, subscriber.frequency}
            and not self.subscribers.is_suppressed(subscriber.key)
        ]

    def build(
        self,
        period: Period,
        *,
        only: str | None = None,
        general: Preferences | None = None,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build the missing issues of a period, including the general issue.

        Args:
            period: The days that the issues cover.
            only: The address of one subscriber to build for, without the general issue.
            general: The preferences of the general issue.
            mode: Whether to quote sentences or to let a model write; None for the settings' mode.
            model: The model that writes; None for the settings' model.
            max_cost: US dollars for the whole build.
            progress: Called after each batch of issues.

        Raises:
            ConfigError: a mode or model that the settings do not allow.
            InputError: ``only`` is not a confirmed subscriber.
        """
        recipients = self.recipients(period) if only is None else [self._confirmed(only)]
        opening = self._open_builder(period, mode=mode, model=model, max_cost=max_cost)
        stored = self.ledger.stored_for(period.name)
        if only is None and 0 in stored and {s.id for s in recipients} <= stored:
            return BuildReport(period, already=len(recipients) + 1)  # without loading any model
        try:
            with opening as builder:
                return builder.build(
                    recipients,
                    self.subscribers,
                    self.ledger,
                    clock=utc_now,
                    general=(general or Preferences()) if only is None else None,
                    include_empty=self._include_empty,
                    progress=progress,
                )
        finally:
            self.back_up()

    def estimate(self, period: Period, *, mode: Mode | None = None, model: str | None = None) -> Usage:
        """Return the most that a model may use to build the missing issues, without standing questions.

        Nothing is stored, and no model is called.

        Raises:
            ConfigError: a mode or model that the settings do not allow.
        """
        if (mode or self._default_mode) != "llm":
            return Usage()
        with self._open_builder(period, mode=mode, model=model) as builder:
            return builder.estimate(self.recipients(period), self.subscribers, self.ledger)

    def preview(
        self,
        period: Period,
        *,
        only: str | None = None,
        general: Preferences | None = None,
        rebuild: bool = False,
    ) -> Rendered:
        """Return an issue as it would be sent, without storing it; a stored issue as it is.

        Args:
            period: The days that the issue covers.
            only: A subscriber's address; None for the general issue.
            general: The preferences of the general issue.
            rebuild: Whether to build an issue again although it is already stored.
        """
        subscriber = self.subscribers.find(only) if only else None
        subscriber_id = subscriber.id if subscriber else 0
        issue_id = f"{period.name}/{subscriber_id}"
        if general is None and not rebuild and subscriber_id in self.ledger.stored_for(period.name):
            stored = self.ledger.issue(issue_id)
            return Rendered(stored.subject, stored.preheader, stored.html, stored.text)
        preferences = general or Preferences()
        if general is None and subscriber is not None:
            preferences = self.subscribers.preferences_with_feedback(subscriber, excluding=issue_id)
        with self._open_builder(period, mode="extractive") as builder:
            return builder.preview(preferences, subscriber.id if subscriber else None)

    def general_issues(self) -> list[StoredIssue]:
        """Return the stored general issues, oldest first."""
        return self.ledger.general_issues()

    def _confirmed(self, email: str) -> Subscriber:
        subscriber = self.subscribers.find(email)
        if subscriber.state != "confirmed":
            raise InputError(
                f"subscriber {visible(subscriber.email, limit=80)}: {subscriber.state}, so gets no issue; "
                "see 'subscribers confirm'"
            )
        return subscriber

    # --- delivery ---

    def send(
        self,
        *,
        period: str | None = None,
        only: str | None = None,
        resend_unknown: bool = False,
        force: bool = False,
        outbox: Path | None = None,
        progress: Progress | None = None,
    ) -> SendReport:
        """Send the messages that are due, through the mail server, or else write them to the outbox.

        What was only written before is sent as soon as there is a mail server.

        Args:
            period: The name of a period, to send only its issues.
            only: A subscriber's address, to send only to it.
            resend_unknown: Whether to send messages again that may have arrived.
            force: Whether to send issues that are older than three days.
            outbox: A folder to write the messages to instead of sending them; they are not sent later.
            progress: Called after each message.

        Raises:
            MailError: the mail server cannot be reached or rejects the sender.
        """
        mails = self._sender(self.mailer.transport(outbox), only, outbox)
        posts = self._webhook_sender(
            Outbox(outbox, "exported", suffix=".json") if outbox else WebhookTransport(self.webhooks.find)
        )
        self.back_up()
        try:
            report = posts.run(period=period, only=only, resend_unknown=resend_unknown, force=force)
            return report.merged_with(
                mails.run(
                    period=period, only=only, resend_unknown=resend_unknown, force=force, progress=progress
                )
            )
        finally:
            self.back_up()

    def dry_run(
        self, outbox: Path | None, *, period: str | None = None, only: str | None = None, force: bool = False
    ) -> tuple[SendReport, Path]:
        """Write the messages that are due as files, without changing their state; return the folder too."""
        files = Outbox(outbox or self.home / OUTBOX_FOLDER / "dry-run")
        report = self._sender(files, only, outbox).dry_run(files, period=period, only=only, force=force)
        posts = Outbox(files.folder, suffix=".json")
        posted = self._webhook_sender(posts).dry_run(posts, period=period, only=only, force=force)
        return report.merged_with(posted), files.folder

    def _sender(self, transport: Transport, only: str | None, outbox: Path | None) -> Sender:
        if only is not None:
            self.subscribers.find(only)  # raises for a misspelled address
        envelope_from = self.mailer.envelope_from(outbox)
        return Sender(self.ledger, transport, self.mailer.compose, mail_from=envelope_from, clock=utc_now)

    def _webhook_sender(self, transport: Transport) -> Sender:
        return Sender(
            self.ledger, transport, self.webhooks.compose, mail_from="", webhooks=True, clock=utc_now
        )

    def raise_for_failed_deliveries(self, period: str | None = None, *, stopped: str = "") -> None:
        """Raise MailError if messages are deferred, failed or unknown.

        Args:
            period: The name of a period; None for all issues that are not too old to be sent.
            stopped: Why the run stopped early, if it did.
        """
        deliveries = self.ledger.deliveries(period=period, states=FAILED_STATES)
        if not period:
            deliveries = [d for d in deliveries if utc_now() - d.stored_at <= MAX_ISSUE_AGE]
        if deliveries or stopped:
            raise MailError(describe_failures(deliveries, stopped))
