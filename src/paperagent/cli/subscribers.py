"""Commands that manage the subscribers of the digest."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from paperagent.cli.options import (
    CommandGroup,
    IntegerParam,
    PathParam,
    TextParam,
    common_options,
    json_option,
    pop_preferences,
    preference_options,
)
from paperagent.cli.session import Session, show, show_json, show_text, warn
from paperagent.cli.webhooks import add_webhook
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    import datetime as dt

    from paperagent.digest.history import History
    from paperagent.digest.preferences import Frequency, Preferences
    from paperagent.digest.service import DigestService
    from paperagent.digest.subscribers import Subscriber


@contextmanager
def open_digest(session: Session, **overrides: Any) -> Iterator[DigestService]:
    """Open the digest of the library; ``overrides`` take precedence over the settings."""
    from paperagent.factory.digest import digest_service

    with digest_service(session.settings(**overrides)) as service:
        yield service


@click.group(cls=CommandGroup)
@common_options
def subscribers() -> None:
    """Manage digest subscribers and their preferences."""


subscribers.add_command(add_webhook)


@subscribers.command()
@click.argument("email")
@preference_options
@click.option(
    "--frequency",
    type=click.Choice(["weekly", "daily", "monthly"]),
    help="How often to send an issue (default: weekly, or unchanged).",
)
@click.option(
    "--language",
    type=TextParam(),
    metavar="TAG",
    help="Also translate each sentence, such as to de or pt-BR; needs a model. en: English only.",
)
@click.option(
    "--confirmed", is_flag=True, help="Consent has already been given; send no confirmation message."
)
@click.option("--resubscribe", is_flag=True, help="Allow an unsubscribed address that asked to come back.")
@click.option("--replace", is_flag=True, help="Replace the present topics, questions, … instead of adding.")
@click.option("--without", multiple=True, type=TextParam(), help="Remove this entry; may be repeated.")
@common_options
@click.pass_obj
def add(session: Session, /, email: str, *, replace: bool, **options: Any) -> None:
    """Add a subscriber or change their preferences.

    Without --confirmed, a new subscriber gets a confirmation message, and no issue before confirming. For a
    known address, topics and other entries are added to the present ones; on a terminal, you are asked first.
    """
    preferences = pop_preferences(session, options)
    with open_digest(session) as service:
        existing = service.subscribers.find_or_none(email)
        if existing is not None and not replace:
            choice = _ask_whether_to_replace(existing, preferences)
            if choice == "cancel":
                show_text("nothing changed")
                return
            replace = choice == "replace"
        result = service.subscribers.add(email, preferences, replace_lists=replace, **options)
        if result.note:
            warn(result.note)
        subscriber = result.subscriber
        verb = "added" if result.new else "changed"
        show_text(f"{verb} {subscriber.email}: {subscriber.state}, {_describe(subscriber)}", plain=True)
        if subscriber.state == "pending":
            show_text(service.send_confirmation(subscriber), plain=True)


def _ask_whether_to_replace(existing: Subscriber, preferences: Preferences) -> str:
    """Return ``add``, ``replace`` or ``cancel``, as chosen on a terminal; else ``add``."""
    from paperagent.digest.preferences import LISTS

    present = [
        entry
        for name in LISTS
        if set(getattr(preferences, name)) - set(getattr(existing.preferences, name))
        for entry in getattr(existing.preferences, name)
    ]
    if not present or sys.stdin is None or not sys.stdin.isatty():
        return "add"
    question = f"{existing.email} has: {'; '.join(present)}\nAdd to that, or replace it?"
    choices = click.Choice(["add", "replace", "cancel"])
    return str(click.prompt(question, type=choices, default="add", err=True))


@subscribers.command("list")
@json_option
@common_options
@click.pass_obj
def list_subscribers(session: Session, *, as_json: bool) -> None:
    """List subscribers with their states and preferences.

    Visitors of the web page who have not confirmed yet are listed as "requested".
    """
    from paperagent.digest.database import format_timestamp

    with open_digest(session) as service:
        everyone, requests = service.subscribers.all(), _open_requests(service.home)
    if as_json:
        requested = [
            {"email": email, "state": "requested", "frequency": frequency, "created_at": format_timestamp(at)}
            for email, frequency, at in requests
        ]
        show_json({"subscribers": [s.to_dict() for s in everyone], "requests": requested})
    elif everyone or requests:
        show([*_subscriber_rows(everyone), *_request_rows(requests)])
    else:
        show([Block("text", "no subscribers; add one with 'paperagent subscribers add EMAIL'")])


def _open_requests(home: Path) -> list[tuple[str, Frequency, dt.datetime]]:
    from paperagent.digest.database import utc_now
    from paperagent.web.database import FILE_NAME, WebDatabase
    from paperagent.web.signup import open_requests

    if not (home / FILE_NAME).exists():  # opening it would create it
        return []
    with WebDatabase(home / FILE_NAME) as database:
        return open_requests(database, utc_now())


def _request_rows(requests: Iterable[tuple[str, Frequency, dt.datetime]]) -> Iterator[Block]:
    from paperagent.digest.database import utc_now

    for email, frequency, at in requests:
        hours = int((utc_now() - at).total_seconds() / 3600)
        age = f"{counted(hours, 'hour')} ago" if hours else "less than an hour ago"
        detail = f"{frequency}, requested {age}, not confirmed"
        yield Block("row", email, marker="requested".ljust(12), detail=detail, tight=True, plain=True)


def _subscriber_rows(everyone: Iterable[Subscriber]) -> Iterator[Block]:
    for subscriber in everyone:
        state = subscriber.state.ljust(12)
        yield Block(
            "row", subscriber.email, marker=state, detail=_describe(subscriber), tight=True, plain=True
        )


def _describe(subscriber: Subscriber) -> str:
    """Return a subscriber's frequency and preferences, on one line."""
    preferences = subscriber.preferences
    parts = [
        *preferences.interests,
        *preferences.questions,
        *(f"by {author}" for author in preferences.authors),
        *(f"in {category}" for category in preferences.categories),
        *(f"not {phrase}" for phrase in preferences.exclude),
        *([f"like {counted(len(preferences.examples), 'paper')}"] if preferences.examples else []),
        *([f"with {preferences.translation.name}"] if preferences.translation else []),
    ]
    papers = counted(preferences.item_limit, "paper")
    return f"{subscriber.frequency}, at most {papers}: {'; '.join(parts) or 'anything'}"


@subscribers.command("show")
@click.argument("email")
@click.option("--issues", type=IntegerParam(1, 100), default=3, show_default=True, help="Number of issues.")
@json_option
@common_options
@click.pass_obj
def show_subscriber(session: Session, *, email: str, issues: int, as_json: bool) -> None:
    """Show what a subscriber asked for, got and rated.

    Lists the last issues with the state of each message and the reason for each paper, and says why nothing
    is sent if that is so.
    """
    with open_digest(session) as service:
        history = service.history(email, limit=issues)
    if as_json:
        show_json(history.to_dict())
    else:
        show(_history_blocks(history))


def _history_blocks(history: History) -> Iterator[Block]:
    yield from _subscriber_rows([history.subscriber])
    if history.why_nothing:
        yield Block("note", history.why_nothing, plain=True)
    for issue in history.issues:
        yield Block("heading", f"{issue.period}: {issue.subject}")
        details = [f"{issue.state} {issue.at:%Y-%m-%d %H:%M} UTC" if issue.at else issue.state, issue.reply]
        if issue.next_at:
            details.append(f"next attempt after {issue.next_at:%Y-%m-%d %H:%M} UTC")
        yield Block("text", "; ".join(filter(None, details)), plain=True)
        for paper in issue.papers:
            yield Block("item", paper.title, detail=f"{paper.paper_id}; {paper.reason}", tight=True)
    if history.missed:
        yield Block("note", f"no new paper matched: {', '.join(history.missed)}", plain=True)
    if history.ratings:
        yield Block("heading", "Ratings")
    for rating in history.ratings:
        day = f"{rating.at:%Y-%m-%d}"
        yield Block("row", rating.paper_id, marker=rating.kind.ljust(5), detail=day, tight=True)


@subscribers.command()
@click.argument("email")
@common_options
@click.pass_obj
def remove(session: Session, *, email: str) -> None:
    """Delete a subscriber. The address receives nothing until it is added again."""
    from paperagent.errors import InputError, visible

    with open_digest(session) as service:
        if not service.remove_subscriber(email):
            raise InputError(
                f"subscriber: {visible(email, limit=80)} does not exist; see 'paperagent subscribers list'"
            )
    show_text("removed")


@subscribers.command("import")
@click.argument("file", type=PathParam())
@click.option("--confirmed", is_flag=True, help="All of them have already given their consent.")
@click.option("--replace", is_flag=True, help="Replace the topics, … of known subscribers instead of adding.")
@click.option("--dry-run", is_flag=True, help="Report what the import would do; change nothing.")
@common_options
@click.pass_obj
def import_csv(session: Session, *, file: Path, confirmed: bool, replace: bool, dry_run: bool) -> None:
    """Add subscribers from a CSV file.

    Reads the files of 'subscribers export', listmonk, Mailchimp and spreadsheets. Columns: email, interests,
    questions, categories, exclude, authors, frequency, max_items, language, status. Only email is required.
    Separate several interests with semicolons. Addresses that are unsubscribed, bounced or blocked in the
    file are never mailed from here. No email is sent; to send confirmation messages, run 'subscribers confirm
    --ask'.
    """
    from paperagent.digest import subscriber_files
    from paperagent.errors import FeedError, visible

    options = subscriber_files.ImportOptions(confirmed=confirmed, replace_lists=replace)
    with open_digest(session) as service:
        if not dry_run:
            service.back_up()
        rehearsal = service.rehearsal() if dry_run else nullcontext(service.subscribers)
        with rehearsal as target:
            report = subscriber_files.read_csv(file, target, options)
    for line, reason in report.skipped:
        warn(f"{line} skipped: {reason}")
    if report.unused:
        warn(f"columns not used: {visible(', '.join(report.unused), limit=200)}")
    counts = {"added": report.added, "changed": report.changed, **report.suppressed}
    counts["skipped"] = len(report.skipped)
    result = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    show_text(f"{result}{'; nothing is stored, because of --dry-run' if dry_run else ''}", plain=True)
    if report.skipped and not sum(counts.values()) - len(report.skipped):
        raise FeedError(f"{visible(str(file), limit=200)}: every line was skipped; see the warnings")


@subscribers.command("export")
@click.option("--out", type=PathParam(), help="Output file (default: standard output).")
@common_options
@click.pass_obj
def export_csv(session: Session, *, out: Path | None) -> None:
    """Write the confirmed subscribers as CSV."""
    from paperagent.digest.subscriber_files import write_csv
    from paperagent.ui.export import write

    with open_digest(session) as service:
        text = write_csv(s for s in service.subscribers.all(state="confirmed") if not s.is_webhook)
    if out is None:
        sys.stdout.write(text)
    else:
        write(out, [text], force=False)


@subscribers.command()
@click.argument("target", required=False, metavar="EMAIL|TOKEN")
@click.option("--ask", is_flag=True, help="Send the confirmation message to every pending subscriber.")
@common_options
@click.pass_obj
def confirm(session: Session, *, target: str | None, ask: bool) -> None:
    """Mark a subscriber as confirmed.

    TOKEN is the one in the confirmation message.
    """
    if bool(target) == ask:
        raise click.UsageError("confirm: give an EMAIL or TOKEN, or --ask")
    with open_digest(session) as service:
        if target is None:
            for subscriber in service.subscribers.all(state="pending"):
                show_text(f"{subscriber.email}: {service.send_confirmation(subscriber)}", plain=True)
            return
        subscriber = service.confirm(target)
    show_text(f"{subscriber.email}: {subscriber.state}", plain=True)


@subscribers.command()
@click.argument("email")
@click.argument("paper_id")
@click.argument("rating", type=click.Choice(["more", "less", "save"]))
@common_options
@click.pass_obj
def rate(session: Session, *, email: str, paper_id: str, rating: Literal["more", "less", "save"]) -> None:
    """Record a subscriber's feedback on a paper.

    Later issues rank papers similar to those rated "more" or "save" higher, and "less" lower.
    """
    with open_digest(session) as service:
        title = service.rate(email, paper_id, rating)
    show_text(f"{rating}: {title}", plain=True)


@subscribers.command("import-unsubscribes")
@click.argument("mbox", type=PathParam())
@common_options
@click.pass_obj
def import_unsubscribes(session: Session, *, mbox: Path) -> None:
    """Unsubscribe everyone who asked by email.

    MBOX is a mailbox file in mbox format. 'paperagent digest inbox' reads a mailbox on a server.
    """
    from paperagent.digest import incoming_mail

    with open_digest(session) as service:
        report = incoming_mail.read_unsubscribes(mbox, service.mail_reader)
    for message, reason in report.problems:
        warn(f"{message}: {reason}")
    show_text(f"{report.counts['unsubscribed']:,} unsubscribed, {report.skipped:,} skipped")
