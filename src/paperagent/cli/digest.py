"""Commands that build the digest and send it."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.digest_pages import archive, preview
from paperagent.cli.options import Folder, Positive, Words, as_json, common
from paperagent.cli.period_options import period_of, period_options
from paperagent.cli.session import Session, progress_bar, show, warn
from paperagent.cli.subscribers import opened
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.digest.build import BuildReport
    from paperagent.digest.delivery.ledger import PeriodSummary
    from paperagent.digest.delivery.sender import SendReport
    from paperagent.digest.service import DigestService
    from paperagent.types import Usage


@click.group()
@common
def digest() -> None:
    """Build the weekly digest and send it."""


digest.add_command(preview)
digest.add_command(archive)


@digest.command()
@period_options
@click.option("--only", type=Words(), metavar="EMAIL", help="For this reader alone.")
@click.option(
    "--mode", type=click.Choice(["extractive", "llm"]), help="Quote sentences, or have a model write."
)
@click.option("--model", type=Words(), help="The model that writes (default: PAPERAGENT_MODEL).")
@click.option("--max-cost", type=Positive(1000, zero=True), help="US dollars that the whole build may cost.")
@click.option("--estimate", is_flag=True, help="Say what a model may cost at most, and build nothing.")
@common
@click.pass_obj
def build(session: Session, /, **given: Any) -> None:
    """Write an issue for each reader, and one for nobody in particular; nothing is sent.

    What was built before stays as it is.
    """
    chosen = period_of(given)
    if given.pop("estimate"):
        with opened(session) as desk:
            usage = desk.estimate(chosen or desk.last_week(), mode=given["mode"], model=given["model"])
        show(dict, [Block("text", _estimated(usage), tight=True)], as_json=False)
        return
    with opened(session) as desk, desk.lock(), progress_bar() as progress:
        report = desk.build(chosen or desk.last_week(), progress=progress, **given)
    _show_built(report)
    _raise_for_unbuilt([report])


def _estimated(usage: Usage) -> str:
    if not usage.calls:
        return "no calls of a model"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    tokens = f"{usage.input_tokens:,} input and {usage.output_tokens:,} output tokens"
    return f"at most {counted(usage.calls, 'call')} of the model, {tokens}, {cost}, standing questions apart"


def _show_built(report: BuildReport) -> None:
    from paperagent.digest.database import utc_now

    for note, count in report.notes.items():
        warn(f"{note}{f' ({count} issues)' if count > 1 else ''}")
    for who, why in report.failed:
        warn(f"{who}: no issue: {why}")
    period = report.period
    if report.quiet and not report.papers:
        days = f"{period.since} to {period.until}"
        warn(f"no paper of {days} is in the library; 'paperagent ingest' reads them, --week names other days")
    elif report.built and period.until >= utc_now().date():
        warn(f"{period.name} is not over: its issues are frozen without the papers that are still to come")
    show(dict, _built(report), as_json=False)


def _raise_for_unbuilt(reports: Sequence[BuildReport]) -> None:
    from paperagent.errors import PaperAgentError

    unbuilt = [r for r in reports if r.failed]
    if unbuilt:
        named, count = ", ".join(r.period.name for r in unbuilt), sum(len(r.failed) for r in unbuilt)
        raise PaperAgentError(
            f"digest {named}: {counted(count, 'issue')} could not be built; see the warnings"
        )


def _built(report: BuildReport) -> Iterator[Block]:
    quiet = f", {report.quiet:,} with nothing new" if report.quiet else ""
    yield Block(
        "text",
        f"{report.period.name}: {counted(report.built, 'issue')} built, {report.already:,} were there{quiet}",
        tight=True,
    )
    usage = report.usage
    if usage.calls:
        cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
        yield Block("text", f"{counted(usage.calls, 'call')} of the model, cost {cost}", tight=True)


@digest.command()
@click.option("--week", type=Words(), help="Only this week's issue (default: all that is due).")
@click.option("--dry-run", is_flag=True, help="Write the messages as .eml files and change nothing.")
@click.option("--only", type=Words(), metavar="EMAIL", help="To this reader alone.")
@click.option("--resend-unknown", is_flag=True, help="Send again what may have arrived already.")
@click.option("--force", is_flag=True, help="Send issues older than three days too.")
@click.option("--outbox", type=Folder(), metavar="DIR", help="Write .eml files there instead of sending.")
@common
@click.pass_obj
def send(session: Session, /, **given: Any) -> None:
    """Send what was built: each message once.

    Without PAPERAGENT_SMTP_URL messages are written as files into the outbox of the library's folder.
    """
    chosen = period_of(given)
    dry_run = given.pop("dry_run")
    if dry_run and given["resend_unknown"]:
        raise click.UsageError("--dry-run and --resend-unknown: cannot combine; give one of them")
    period = chosen.name if chosen else None
    with opened(session) as desk:
        if dry_run:
            given.pop("resend_unknown")
            report, folder = desk.dry_run(given.pop("outbox"), period=period, **given)
            show(
                dict,
                [
                    Block(
                        "text", f"{counted(report.counts.total(), 'message')} written to {folder}", plain=True
                    )
                ],
                as_json=False,
            )
            return
        with desk.lock():
            _send(desk, period=period, **given)


def _send(desk: DigestService, **given: Any) -> None:
    with progress_bar() as progress:
        report = desk.send(progress=progress, **given)
    show(dict, _sent(report), as_json=False)
    for who, state, why in report.problems:
        warn(f"{who}: {state}: {why}")
    if report.counts["sent"] and desk.mailer.lacks_one_click:
        warn(
            "mails without one-click unsubscribe, which Gmail and Yahoo want; "
            "set PAPERAGENT_PUBLIC_URL and PAPERAGENT_SECRET"
        )
    if report.recovered:
        warn(f"{report.recovered:,} messages are unknown: an earlier run ended while they were taken")
    desk.raise_for_failed_deliveries(given.get("period"), stopped=report.stopped)


def _sent(report: SendReport) -> Iterator[Block]:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(report.counts.items()))
    yield Block("text", f"messages: {states or 'none due'}", tight=True)
    if report.too_old:
        old = f"{report.too_old:,} not sent: their issue is older than three days; --force sends it"
        yield Block("text", old, tight=True)


@digest.command()
@click.option("--outbox", type=Folder(), metavar="DIR", help="Write .eml files there instead of sending.")
@common
@click.pass_obj
def run(session: Session, *, outbox: Path | None) -> None:
    """Build what is missing and send what is due; for cron or a systemd timer.

    The last complete week for weekly readers, yesterday for daily ones. A second run does nothing.
    """
    with opened(session) as desk, desk.lock():
        reports = []
        for period in desk.current_periods():
            reports.append(desk.build(period))
            _show_built(reports[-1])
        _send(desk, outbox=outbox)  # an issue that could not be built holds up no other
    _raise_for_unbuilt(reports)


@digest.command("list")
@as_json
@common
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """Show each period's issues, what became of the messages, and which are in trouble."""
    from paperagent.digest.delivery.sender import FAILED_STATES

    with opened(session) as desk:
        found = desk.ledger.period_summaries()
        trouble = desk.ledger.deliveries(states=FAILED_STATES)
    value = {
        "periods": [_summary(s) for s in found],
        "trouble": [
            {
                "period": t.issue_id.rpartition("/")[0],
                "email": t.email,
                "state": t.state,
                "attempts": t.attempts,
                "code": t.code,
                "reply": t.reply,
                "next_at": t.next_at.isoformat() if t.next_at else None,
            }
            for t in trouble
        ],
    }
    blocks = [_summary_row(s) for s in found] or [Block("text", "no issues; 'digest build' makes one")]
    for one in trouble:
        detail = f"{one.issue_id.rpartition('/')[0]}: {one.code or ''} {one.reply or ''}"
        row = Block("row", one.email, marker=one.state.ljust(9), detail=detail, tight=True, plain=True)
        blocks.append(row)
    show(lambda: value, blocks, as_json=as_json)


def _summary(summary: PeriodSummary) -> dict[str, Any]:
    return {
        "period": summary.period,
        "built": summary.stored_at.isoformat(),
        "issues": summary.issues,
        **{str(state): count for state, count in summary.states.items()},
    }


def _summary_row(summary: PeriodSummary) -> Block:
    states = ", ".join(f"{n:,} {state}" for state, n in summary.states.items() if n)
    told = f"{counted(summary.issues, 'issue')}: {states or 'no messages'}"
    return Block("row", told, marker=summary.period, tight=True)


@digest.command()
@click.option(
    "--day",
    type=click.Choice(["mon", "tue", "wed", "thu", "fri", "sat", "sun", "daily"]),
    default="mon",
    show_default=True,
)
@click.option("--at", "time", default="07:00", show_default=True, metavar="HH:MM", help="The time of day.")
@click.option("--tz", "zone", type=Words(), help="Time zone such as Europe/Berlin (default: the machine's).")
@common
@click.pass_obj
def schedule(session: Session, *, day: str, time: str, zone: str | None) -> None:
    """Print a cron line and systemd units that run the digest; nothing is installed.

    They name the settings file that was read now: that of --env-file, else .env of this folder.
    """
    from paperagent.digest.schedule import schedule_units

    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", time, re.ASCII):
        raise click.UsageError("--at: not a time of day; write HH:MM")
    program = Path(shutil.which("paperagent") or sys.argv[0]).absolute()
    settings = session.settings()
    file = session.env_file or Path(".env")
    env_file = file.absolute() if file.is_file() else None
    if settings.smtp_url is not None and env_file is None:
        warn(
            "PAPERAGENT_SMTP_URL is set in this shell, of which cron and systemd know nothing; "
            "keep the settings in a file and name it with --env-file"
        )
    at = dt.time.fromisoformat(time)
    sys.stdout.write(schedule_units(program, settings.home, day=day, at=at, zone=zone, env_file=env_file))
