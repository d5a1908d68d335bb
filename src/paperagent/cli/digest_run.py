"""Commands that run the digest unattended: the whole job, its schedule and a test message."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paperagent.cli.digest_inbox import read_inbox
from paperagent.cli.digest_send import no_check_option, send_due
from paperagent.cli.options import PathParam, TextParam, common_options
from paperagent.cli.session import Session, program_path, show, show_text, warn
from paperagent.cli.subscribers import open_digest
from paperagent.errors import FeedError, PaperAgentError
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from collections import Counter

    from paperagent.config import Settings
    from paperagent.digest.build import BuildReport
    from paperagent.digest.jobs import DigestJob, Scheduler

_MAX_REASONS = 5
"""The most reasons for skipped issues that are shown."""


@click.command()
@click.option(
    "--outbox",
    type=PathParam(),
    metavar="DIR",
    help="Write .eml files to this folder instead of sending.",
)
@click.option(
    "--no-read", "read", flag_value=False, default=True, help="Do not read the followed feeds first."
)
@no_check_option
@common_options
@click.pass_obj
def run(session: Session, *, outbox: Path | None, read: bool, check: bool) -> None:
    """Read the followed feeds, then build and send what is due.

    Intended for cron or a systemd timer: see 'digest schedule'. Weekly subscribers get the last complete
    week, daily subscribers get yesterday, monthly subscribers get the last complete month. Running it again
    is safe: nothing is built or sent twice. If PAPERAGENT_IMAP_URL is set, the mailbox is read first, as by
    'digest inbox'.

    If a feed fails, the digest is sent without it, and the exit code is 4. It is also 4 if no feed is
    followed and the library has no papers of the period. A period without new papers is not an error.
    """
    with open_digest(session) as service, service.lock():
        inbox_error = read_inbox(service)
        count, feed_error = _read_feeds(session) if read else (0, None)
        reports = []
        for period in service.current_periods():
            reports.append(service.build(period))
            was_read = not read or (count > 0 and feed_error is None)
            show_build_report(reports[-1], today=service.today(), was_read=was_read)
        if not service.subscribers.all(state="confirmed"):
            warn("no confirmed subscriber, so no mail; add one with 'paperagent subscribers add EMAIL'")
        send_due(service, check=check, outbox=outbox)  # a failed issue does not hold up the others
    raise_for_failed_issues(reports)
    for error in filter(None, (feed_error, inbox_error)):
        raise error
    if read and not count and not any(report.papers or report.already for report in reports):
        names = ", ".join(report.period.name for report in reports)
        raise FeedError(
            f"digest {names}: nothing was read: no feed is followed, and the library has no papers of these "
            "days; follow one with 'paperagent feeds add hf-daily:'"
        )


def _read_feeds(session: Session) -> tuple[int, PaperAgentError | None]:
    """Read the followed feeds; return their number, and the error if one could not be read."""
    with session.agent() as agent:
        count = len(agent.followed())
        if not count:
            return 0, None
        try:
            report = agent.ingest_followed()
        except PaperAgentError as error:
            warn(session.masked(str(error)))
            return count, error
    show_text(f"{counted(count, 'feed')} read: {counted(report.read, 'paper')}, {report.new:,} new")
    for note in report.notes:
        warn(session.masked(note))
    return count, None


@click.command()
@click.option(
    "--for",
    "scheduler",
    type=click.Choice(["cron", "systemd", "windows", "github"]),
    help="Print the job of one scheduler only (default: cron and systemd; on Windows, a task).",
)
@click.option(
    "--day",
    type=click.Choice(["mon", "tue", "wed", "thu", "fri", "sat", "sun", "daily"]),
    help="Day of the week, or daily (default: mon, or daily if not all subscribers get weekly issues).",
)
@click.option("--at", "time", default="07:00", show_default=True, metavar="HH:MM", help="Time of day.")
@click.option(
    "--tz",
    "zone",
    type=TextParam(),
    help="Time zone, such as Europe/Berlin (default: PAPERAGENT_TIMEZONE, else the system's).",
)
@common_options
@click.pass_obj
def schedule(
    session: Session, *, scheduler: Scheduler | None, day: str | None, time: str, zone: str | None
) -> None:
    """Print the job for cron and systemd, or for Windows.

    The job is 'digest run', which reads the followed feeds, builds and sends, in this order. Nothing is
    installed. A daily job also sends the issues of weeks and months, each once. The output refers to the
    settings file in use: --env-file, or .env in the current folder. --for github prints a workflow for GitHub
    Actions.
    """
    from paperagent.digest.jobs import job_text

    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", time, re.ASCII):
        raise click.UsageError("--at: not a time of day; use HH:MM")
    settings = session.settings()
    job = digest_job(session, settings, day=day, at=dt.time.fromisoformat(time), zone=zone)
    now = dt.datetime.now(dt.UTC)
    defaults: Sequence[Scheduler] = ("windows",) if sys.platform == "win32" else ("cron", "systemd")
    schedulers = (scheduler,) if scheduler else defaults
    sys.stdout.write("\n".join(job_text(job, name, now=now) for name in schedulers))


@click.command("test-mail")
@click.argument("email")
@common_options
@click.pass_obj
def test_mail(session: Session, *, email: str) -> None:
    """Log in to the mail server and send a test message to EMAIL.

    It is not an issue: nothing is recorded, and the address need not be subscribed.
    """
    with open_digest(session) as service:
        service.mailer.check_server()
        show_text(
            f"test message to {email}: {service.mailer.send_test(email, dt.datetime.now(dt.UTC))}", plain=True
        )


def digest_job(
    session: Session,
    settings: Settings,
    *,
    day: str | None = None,
    at: dt.time = dt.time(7),
    zone: str | None = None,
) -> DigestJob:
    """Return the job for this program, library and settings file; warn if it would not work as expected.

    Args:
        session: The session of the command.
        settings: The settings.
        day: A day of the week or ``daily``; None for Monday, or daily if some issues are not weekly.
        at: The time of day.
        zone: The time zone of ``at``; None for that of the settings.

    Raises:
        InputError: The time zone is unknown, or a path cannot be written in a schedule.
    """
    from paperagent.digest.jobs import DAILY, DigestJob
    from paperagent.factory.digest import count_non_weekly_subscribers

    file = session.env_file or Path(".env")
    env_file = file.absolute() if file.is_file() else None
    if settings.smtp_url is not None and env_file is None:
        warn(
            "PAPERAGENT_SMTP_URL is set only in this shell, so cron and systemd will not see it; "
            "put the settings in a file and pass it with --env-file"
        )
    others = count_non_weekly_subscribers(settings)
    if others and day not in {None, DAILY}:
        warn(f"{counted(others, 'subscriber')} asked for daily or monthly issues; use --day daily")
    if day is None:
        day = DAILY if others or settings.signup_open else "mon"
    return DigestJob(
        program_path(),
        settings.home,
        day,
        at,
        zone or settings.timezone,
        env_file,
        shutil.which("flock"),
    )


def show_build_report(report: BuildReport, *, today: dt.date, was_read: bool = False) -> None:
    """Show what was built; ``was_read`` says that all feeds have just been read."""
    for note, count in report.notes.items():
        warn(f"{note}{f' ({count} issues)' if count > 1 else ''}")
    for subscriber, reason in report.failed:
        warn(f"{subscriber}: issue not built: {reason}")
    period = report.period
    days = f"from {period.since} to {period.until}"
    days = f"of {period.since}" if period.since == period.until else days
    if report.skipped and not report.papers and was_read:
        show_text(f"no new papers {days}")
    elif report.skipped and not report.papers:
        warn(
            f"the library has no papers {days}; "
            "run 'paperagent ingest', or build other days: 'paperagent digest build --week'"
        )
    elif report.built and period.until >= today:
        warn(f"{period.name} is not over yet: papers that arrive later are not added to its issues")
    show(_build_blocks(report))


def raise_for_failed_issues(reports: Sequence[BuildReport]) -> None:
    """Raise PaperAgentError if issues could not be built."""
    from paperagent.errors import PaperAgentError

    failed = [r for r in reports if r.failed]
    if failed:
        periods, count = ", ".join(r.period.name for r in failed), sum(len(r.failed) for r in failed)
        raise PaperAgentError(
            f"digest {periods}: {counted(count, 'issue')} could not be built; see the warnings"
        )


def _build_blocks(report: BuildReport) -> Iterator[Block]:
    skipped = f", {report.skipped.total():,} skipped ({_reasons(report.skipped)})" if report.skipped else ""
    counts = f"{counted(report.built, 'issue')} built, {report.already:,} already built{skipped}"
    yield Block("text", f"{report.period.name}: {counts}", tight=True)
    usage = report.usage
    if usage.calls:
        cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
        yield Block("text", f"{counted(usage.calls, 'model call')}, cost {cost}", tight=True)


def _reasons(skipped: Counter[str]) -> str:
    """Return the most frequent reasons, each with its number if there are several."""
    if len(skipped) == 1:
        return next(iter(skipped))
    first = skipped.most_common(_MAX_REASONS)
    others = skipped.total() - sum(count for _, count in first)
    parts = [f"{count:,}: {reason}" for reason, count in first]
    return "; ".join([*parts, f"{others:,}: other reasons"] if others else parts)
