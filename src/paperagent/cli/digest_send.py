"""Commands that send the digest and list what was sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import PathParam, TextParam, common_options, json_option, pop_period
from paperagent.cli.session import Session, progress_bar, show, show_json, show_text, warn
from paperagent.cli.subscribers import open_digest
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.digest.delivery.ledger import PeriodSummary
    from paperagent.digest.delivery.sender import SendReport
    from paperagent.digest.service import DigestService

_NO_SERVER = "PAPERAGENT_SMTP_URL is not set"
no_check_option = click.option(
    "--no-check",
    "check",
    flag_value=False,
    default=True,
    help="Do not check the web page, for example if this machine cannot reach it.",
)


@click.command()
@click.option("--week", type=TextParam(), help="Send only this week's issue (default: everything due).")
@click.option("--month", type=TextParam(), help="Send only this month's issue.")
@click.option("--dry-run", is_flag=True, help="Write the messages as .eml files; change nothing else.")
@click.option("--only", type=TextParam(), metavar="EMAIL", help="Send to this subscriber only.")
@click.option("--resend-unknown", is_flag=True, help="Resend messages that may already have arrived.")
@click.option("--force", is_flag=True, help="Also send issues older than three days.")
@click.option(
    "--outbox",
    type=PathParam(),
    metavar="DIR",
    help="Write .eml files to this folder instead of sending.",
)
@no_check_option
@common_options
@click.pass_obj
def send(session: Session, /, **options: Any) -> None:
    """Send the issues that were built.

    Each message is sent at most once. Without PAPERAGENT_SMTP_URL, messages are written to the outbox in the
    library folder, and sent by a later run once it is set. Messages written with --outbox are left for you to
    send. Before sending, a check warns if the web page at PAPERAGENT_PUBLIC_URL does not accept the links in
    the emails.
    """
    chosen = pop_period(options)
    dry_run, check = options.pop("dry_run"), options.pop("check")
    if dry_run and options["resend_unknown"]:
        raise click.UsageError("--dry-run and --resend-unknown: cannot be combined; use one of them")
    period = chosen.name if chosen else None
    with open_digest(session) as service:
        if dry_run:
            options.pop("resend_unknown")
            report, folder = service.dry_run(options.pop("outbox"), period=period, **options)
            warn_without_unsubscribe(service, report.counts.total())
            show_text(f"{counted(report.counts.total(), 'message')} written to {folder}", plain=True)
            return
        with service.lock():
            send_due(service, check=check, period=period, **options)


@click.command()
@common_options
@click.pass_obj
def dkim(session: Session) -> None:
    """Print the DNS record of the DKIM key.

    Publish it as a TXT record, so that receivers can verify the signatures.
    """
    from paperagent.errors import ConfigError

    with open_digest(session) as service:
        signer = service.mailer.signer
    if signer is None:
        raise ConfigError(
            "PAPERAGENT_DKIM_KEY_FILE: not set; create a key (openssl genrsa -out dkim.pem 2048), and set it "
            "with PAPERAGENT_DKIM_SELECTOR"
        )
    for problem in signer.problems:
        warn(problem)
    name, text = signer.dns_record
    # A string in DNS has at most 255 bytes.
    strings = " ".join(f'"{text[i : i + 255]}"' for i in range(0, len(text), 255))
    sys.stdout.write(f"{name}. IN TXT {strings}\n")


def send_due(service: DigestService, *, check: bool, **options: Any) -> None:
    """Send what is due, show the result, and raise MailError if a message was not delivered."""
    if check:
        _check_page(service)
    with progress_bar() as progress:
        report = service.send(progress=progress, **options)
    show(_send_blocks(report, options.get("outbox") or service.mailer.outbox))
    for email, state, reason in report.problems:
        warn(f"{email}: {state}: {reason}")
    warn_without_unsubscribe(service, report.counts["written"] + report.counts["exported"])
    if report.counts["sent"] and service.mailer.lacks_one_click:
        missing = " and ".join(service.mailer.lacks_one_click)
        warn(f"messages have no one-click unsubscribe link, which Gmail and Yahoo require; set {missing}")
    if report.recovered:
        messages = counted(report.recovered, "message")
        warn(f"{messages} marked unknown: an earlier run ended during the transfer")
    service.raise_for_failed_deliveries(options.get("period"), stopped=report.stopped)


def warn_without_unsubscribe(service: DigestService, messages: int) -> None:
    """Warn if there are messages that contain no way to unsubscribe."""
    from paperagent.digest.mailer import LACKS_UNSUBSCRIBE

    if messages and service.mailer.lacks_unsubscribe:
        warn(LACKS_UNSUBSCRIBE)


def _check_page(service: DigestService) -> None:
    """Warn if the links in the messages that are due do not work."""
    from paperagent.digest.database import utc_now
    from paperagent.digest.delivery.page_check import page_problem

    if service.ledger.due(utc_now(), written=service.mailer.has_server):
        problem = page_problem(service.mailer.links.public_url, service.mailer.tokens)
        if problem:
            warn(f"{problem}; --no-check skips this check")


def _send_blocks(report: SendReport, outbox: Path) -> Iterator[Block]:
    labels = {"written": f"written to {outbox} ({_NO_SERVER})", "exported": f"written to {outbox}"}
    states = [f"{count:,} {labels.get(state, state)}" for state, count in sorted(report.counts.items())]
    yield Block("text", f"messages: {', '.join(states) or 'none due'}", tight=True, plain=True)
    if report.waiting:
        waiting = f"{counted(report.waiting, 'message')} written earlier to {outbox}: not sent, {_NO_SERVER}"
        yield Block("text", waiting, tight=True, plain=True)
    if report.too_old:
        skipped = f"{report.too_old:,} not sent: the issue is older than three days; use --force to send it"
        yield Block("text", skipped, tight=True)


@click.command("list")
@json_option
@common_options
@click.pass_obj
def list_issues(session: Session, *, as_json: bool) -> None:
    """List the issues and their deliveries.

    Shows the issues of each period with the states of their messages, and every message that failed.
    """
    from paperagent.digest.delivery.sender import FAILED_STATES

    with open_digest(session) as service:
        summaries = service.ledger.period_summaries()
        failed = service.ledger.deliveries(states=(*FAILED_STATES, "bounced"))
    if as_json:
        trouble = [
            {
                "period": delivery.issue_id.rpartition("/")[0],
                "email": delivery.email,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "code": delivery.code,
                "reply": delivery.reply,
                "next_at": delivery.next_at.isoformat() if delivery.next_at else None,
            }
            for delivery in failed
        ]
        show_json({"periods": [_summary_dict(s) for s in summaries], "trouble": trouble})
        return
    blocks = [_summary_row(s) for s in summaries]
    for delivery in failed:
        detail = f"{delivery.issue_id.rpartition('/')[0]}: {delivery.code or ''} {delivery.reply or ''}"
        state = delivery.state.ljust(9)
        blocks.append(Block("row", delivery.email, marker=state, detail=detail, tight=True, plain=True))
    show(blocks or [Block("text", "no issues yet; build one with 'paperagent digest build'")])


def _summary_dict(summary: PeriodSummary) -> dict[str, Any]:
    return {
        "period": summary.period,
        "built": summary.stored_at.isoformat(),
        "issues": summary.issues,
        **{str(state): count for state, count in summary.states.items()},
    }


def _summary_row(summary: PeriodSummary) -> Block:
    labels = {"written": "written to the outbox, not sent", "exported": "written to a folder, not sent"}
    states = ", ".join(f"{n:,} {labels.get(state, state)}" for state, n in summary.states.items() if n)
    text = f"{counted(summary.issues, 'issue')}: {states or 'no messages'}"
    return Block("row", text, marker=summary.period, tight=True)
