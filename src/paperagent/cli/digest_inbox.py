"""The command that reads unsubscribe requests and bounces from a mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from paperagent.cli.options import common_options
from paperagent.cli.session import Session, show, warn
from paperagent.cli.subscribers import open_digest
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.digest.incoming_mail import IncomingReport
    from paperagent.digest.service import DigestService
    from paperagent.errors import MailError


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be done; change and mark nothing.")
@common_options
@click.pass_obj
def inbox(session: Session, *, dry_run: bool) -> None:
    """Read unsubscribe requests and bounces from a mailbox.

    Reads the messages of the last 30 days in the IMAP mailbox PAPERAGENT_IMAP_URL, which should receive the
    mail for PAPERAGENT_MAIL_FROM. Unsubscribes everyone who asked for it by email, and suspends subscribers
    after two bounces in a row. Messages that were read get the keyword $PaperagentHandled; nothing else
    changes.
    """
    with open_digest(session) as service, service.lock():
        _show_report(service.read_inbox(dry_run=dry_run), dry_run=dry_run)


def read_inbox(service: DigestService) -> MailError | None:
    """Read the mailbox if there is one; return an error, because it must not hold up the digest."""
    from paperagent.errors import MailError

    if service.inbox is None:
        return None
    try:
        _show_report(service.read_inbox())
    except MailError as error:
        warn(str(error))
        return error
    return None


def _show_report(report: IncomingReport, *, dry_run: bool = False) -> None:
    for where, reason in report.problems:
        warn(f"{where}: {reason}")
    show(_report_blocks(report, dry_run=dry_run))


def _report_blocks(report: IncomingReport, *, dry_run: bool) -> Iterator[Block]:
    counts = report.counts
    bounces = counts["bounced"] + counts["suspended"]
    suspended = f", {counts['suspended']:,} suspended" if bounces else ""
    left = counts["other"] + counts["unclear"]
    text = (
        f"inbox: {counts['unsubscribed']:,} unsubscribed, {counted(bounces, 'bounce')}{suspended}, "
        f"{left:,} left for you"
    )
    yield Block("text", text + (" (dry run: nothing was changed)" if dry_run else ""), tight=True)
    for kind, address in report.changes:
        yield Block("row", address, marker=kind.ljust(12), tight=True, plain=True)
