"""Wiring of the digest: from settings to readers, ledger, press and transport."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from paperagent import factory
from paperagent.digest.build import BuildReport, IssueBuilder
from paperagent.digest.database import FILE, DigestDatabase, run_lock, utc_now
from paperagent.digest.delivery import message
from paperagent.digest.delivery.ledger import MAX_ISSUE_AGE, Ledger, StoredIssue
from paperagent.digest.delivery.sender import FAILED_STATES, Sender, SendReport
from paperagent.digest.delivery.transport import Outbox, Transport
from paperagent.digest.issue import Period, Profile
from paperagent.digest.links import SignedTokens
from paperagent.digest.mailer import OUTBOX_FOLDER, Mailer
from paperagent.digest.render.renderer import Rendered, render_confirmation
from paperagent.digest.schedule import days_between, last_full_week
from paperagent.digest.subscribers import FeedbackKind, Subscriber, Subscribers
from paperagent.errors import ConfigError, InputError, MailError, visible
from paperagent.types import Mode, Progress, Usage

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.digest.assembly import LLMContext
    from paperagent.digest.press import LocalPress
    from paperagent.library import Store


class DigestService:
    """Readers, issues and sending of one library.

    Raises:
        StoreError: there is no library, or the digest's file cannot be used.
        ConfigError: a setting that does not fit.
    """

    def __init__(self, settings: Settings) -> None:
        from paperagent.library.home import check_home

        self.settings = settings
        # Readers and issues are kept here also where the papers are on a server.
        self.home = check_home(Path(settings.home), create=settings.chroma_url is not None)
        self.mailer = Mailer(settings, self.home)
        self._database = DigestDatabase(self.home / FILE)
        self.subscribers = Subscribers(self._database)
        self.ledger = Ledger(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the digest for the block; raise StoreLockedError where another process does."""
        with run_lock(self.home):
            yield

    @property
    def tokens(self) -> SignedTokens | None:
        """What signs links; None without a secret."""
        return self.mailer.tokens

    # --- readers ---

    def confirm(self, who: str) -> Subscriber:
        """Note that a reader agreed: by the token of their mail, or by address.

        Raises:
            InputError: neither a token of ours nor a reader's address.
            ConfigError: a token, and no secret to check it with.
        """
        if "@" in who:
            return self.subscribers.confirm(self.subscribers.find(who).id)
        if self.tokens is None:
            raise ConfigError("PAPERAGENT_SECRET: not set, so no token can be checked; set it as it was")
        return self.subscribers.confirm(self.tokens.read("confirm", who)[0])

    def rate(self, email: str, paper_id: str, kind: FeedbackKind) -> str:
        """Keep what a reader thinks of a paper, and return its title.

        Raises:
            InputError: no such reader, or no such paper.
        """
        reader = self.subscribers.find(email)
        with factory.open_store(self.settings) as store:
            paper = store.get(paper_id)
        if paper is None:
            raise InputError(
                f"paper: no paper with the id {visible(paper_id, limit=80)}; 'paperagent search' shows ids"
            )
        self.subscribers.rate(reader.id, paper.paper_id, kind)
        return paper.title

    # --- building ---

    def last_week(self) -> Period:
        """Return the last week that is over."""
        return last_full_week(utc_now().date())

    def current_periods(self) -> list[Period]:
        """Return what `digest run` builds: the last week, and yesterday where somebody reads daily."""
        found = [self.last_week()]
        if self.subscribers.all(state="confirmed", frequency="daily"):
            yesterday = utc_now().date() - dt.timedelta(days=1)
            found.append(days_between(yesterday, yesterday))
        return found

    def recipients(self, period: Period) -> list[Subscriber]:
        """Return who gets an issue of this period: weekly readers a week's, daily ones a day's.

        Any other span is for all.
        """
        days = (period.until - period.since).days + 1
        frequency = {7: "weekly", 1: "daily"}.get(days)
        readers = self.subscribers.all(state="confirmed")
        return [
            r
            for r in readers
            if frequency in {None, r.frequency} and not self.subscribers.is_suppressed(r.key)
        ]

    def build(
        self,
        period: Period,
        *,
        only: str | None = None,
        profile: Profile | None = None,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build what is missing of a period's issues; ``only`` is one reader's address.

        ``profile`` is what the issue for nobody in particular is about. With a model, ``max_cost``
        (US dollars) is for the whole build.

        Raises:
            ConfigError: a mode or model that the settings do not allow.
            InputError: ``only`` is no confirmed reader.
        """
        readers = self.recipients(period) if only is None else [self._reader(only)]
        with factory.open_store(self.settings) as store:
            hand = self._hand(store, mode, model, max_cost)
            frozen = self.ledger.stored_for(period.name)
            if only is None and 0 in frozen and {r.id for r in readers} <= frozen:
                return BuildReport(period, already=len(readers) + 1)  # no model is loaded for nothing
            builder = self._builder(period, store, hand)
            return builder.build(readers, general=only is None, profile=profile, progress=progress)

    def estimate(self, period: Period, *, mode: Mode | None = None, model: str | None = None) -> Usage:
        """Return the most that a model may use for what `build` would build now; nothing is called or kept.

        Standing questions, which are asked for each reader, are not counted.

        Raises:
            ConfigError: a mode or model that the settings do not allow.
        """
        with factory.open_store(self.settings) as store:
            hand = self._hand(store, mode, model, None)
            return self._builder(period, store, hand).estimate(self.recipients(period)) if hand else Usage()

    def _builder(self, period: Period, store: Store, hand: LLMContext | None) -> IssueBuilder:
        press, empty = self._press(period, store, hand), self.settings.digest_empty
        return IssueBuilder(
            period, press, self.ledger, self.subscribers, clock=utc_now, empty=empty, model=hand is not None
        )

    def _hand(
        self, store: Store, mode: Mode | None, model: str | None, max_cost: float | None
    ) -> LLMContext | None:
        """Return what a model writes with; None where sentences are quoted."""
        settings = self.settings
        if (mode or settings.answer_mode) != "llm":
            return None
        factory.require_endpoint(settings, "llm")
        from paperagent.digest import assembly

        endpoint = factory.open_model(settings, model)
        reader = factory.open_model(settings, settings.judge_model) if settings.judge_model else None
        return assembly.llm_context(settings, store, endpoint, reader=reader, max_cost=max_cost)

    def _press(self, period: Period, store: Store, hand: LLMContext | None = None) -> LocalPress:
        from paperagent.digest.press import LocalPress

        return LocalPress(
            period, store, self.settings, hand=hand, links=self.mailer.links, domain=self.mailer.domain
        )

    def preview(
        self, period: Period, *, only: str | None = None, profile: Profile | None = None, anew: bool = False
    ) -> Rendered:
        """Return an issue as it would be sent, keeping nothing; what is frozen, as it is frozen.

        ``only`` is a reader's address, ``profile`` what nobody in particular wants to read;
        with ``anew`` a frozen issue is made again.
        """
        reader = self.subscribers.find(only) if only else None
        number = reader.id if reader else 0
        issue_id = f"{period.name}/{number}"
        if profile is None and not anew and number in self.ledger.stored_for(period.name):
            frozen = self.ledger.issue(issue_id)
            return Rendered(frozen.subject, frozen.preheader, frozen.html, frozen.text)
        wanted = profile or (
            self.subscribers.preferences_with_feedback(reader, excluding=issue_id) if reader else Profile()
        )
        with factory.open_store(self.settings) as store:
            press = self._press(period, store)
            press.prepare([wanted])
            selection = press.select(wanted)
            press.draft([selection])
            return press.render(press.write(selection), reader.id if reader else None)

    def general_issues(self) -> list[StoredIssue]:
        """Return the issues for nobody in particular, oldest first."""
        return self.ledger.general_issues()

    def _reader(self, email: str) -> Subscriber:
        reader = self.subscribers.find(email)
        if reader.state != "confirmed":
            raise InputError(
                f"subscriber {visible(reader.email, limit=80)}: {reader.state}, so no issue is built; "
                "see 'subscribers confirm'"
            )
        return reader

    # --- sending ---

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
        """Send what is due: by the mail server of the settings, else into the outbox."""
        sender = self._sender(self.mailer.transport(outbox), only, outbox)
        return sender.run(
            period=period, only=only, resend_unknown=resend_unknown, force=force, progress=progress
        )

    def dry_run(
        self, outbox: Path | None, *, period: str | None = None, only: str | None = None, force: bool = False
    ) -> tuple[SendReport, Path]:
        """Write what would be sent as files, changing nothing and calling no server; return where."""
        files = Outbox(outbox or self.home / OUTBOX_FOLDER / "dry-run")
        report = self._sender(files, only, outbox).dry_run(files, period=period, only=only, force=force)
        return report, files.folder

    def _sender(self, transport: Transport, only: str | None, outbox: Path | None) -> Sender:
        if only is not None:
            self.subscribers.find(only)  # a misspelt address is told, not passed over
        return Sender(
            self.ledger,
            transport,
            self.mailer.compose,
            mail_from=self.mailer.envelope_from(outbox),
            clock=utc_now,
        )

    def raise_for_failed_deliveries(self, period: str | None = None, *, stopped: str = "") -> None:
        """Raise MailError where messages are deferred, failed or unknown.

        Of one period, else of all that are not yet too old to be sent.
        """
        rows = self.ledger.deliveries(period=period, states=FAILED_STATES)
        rows = rows if period else [r for r in rows if utc_now() - r.stored_at <= MAX_ISSUE_AGE]
        if not rows and not stopped:
            return
        counted = Counter(r.state for r in rows)
        told = ", ".join(f"{counted[state]:,} {state}" for state in FAILED_STATES if counted[state])
        early = f"stopped early, {stopped}; " if stopped else ""
        advice = "run it again later; " if counted["deferred"] or stopped else ""
        unknown = "--resend-unknown sends unknown ones again; " if counted["unknown"] else ""
        raise MailError(
            f"digest: {early}messages not delivered: {told or 'none'}; "
            f"{advice}{unknown}'paperagent digest list' shows why"
        )

    # --- agreeing ---

    def send_confirmation(self, subscriber: Subscriber) -> str:
        """Send the mail by which a new reader agrees, and say what was done.

        Raises:
            MailError: it could not be sent; the reader stays pending.
        """
        tokens = self.tokens
        if tokens is None:
            return "no confirmation mail: set PAPERAGENT_SECRET, or confirm with 'subscribers confirm EMAIL'"
        if not self.subscribers.may_send_confirmation(subscriber):
            return "a confirmation mail was sent within the last day"
        rendered = render_confirmation(
            token=tokens.make("confirm", subscriber.id),
            link=self.mailer.links.confirm(subscriber.id),
            frequency=subscriber.frequency,
            theme_dir=self.settings.digest_theme,
        )
        at = utc_now()
        name = f"confirm-{subscriber.id}-{at:%Y%m%d%H%M%S}"
        raw = message.build_message(
            rendered,
            sender=self.mailer.mail_from(None),
            recipient=subscriber.email,
            issue_id=name,
            date=at,
            smtputf8=True,
            listed=False,
        )
        reply = self.mailer.post(raw, subscriber, name)
        self.subscribers.record_confirmation_sent(subscriber.id)
        return f"confirmation mail: {reply}"
