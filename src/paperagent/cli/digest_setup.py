"""The guided set-up of the digest: feeds, first reading, subscribers, sender, schedule."""

from __future__ import annotations

import datetime as dt
import getpass
import secrets
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from paperagent.cli.digest_run import digest_job
from paperagent.cli.options import common_options
from paperagent.cli.session import Session, progress_bar, show, show_text, warn
from paperagent.cli.subscribers import open_digest
from paperagent.errors import ConfigError, InputError, NoLibraryError, PaperAgentError, visible
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.digest.service import DigestService

_PLAIN_COMMANDS = (
    "'paperagent feeds add', 'ingest --follow', 'subscribers add', 'digest test-mail' and 'digest schedule' "
    "do the same, with PAPERAGENT_SMTP_URL and PAPERAGENT_MAIL_FROM in .env"
)
_MAX_SHOWN = 10
"""The most feeds or subscribers that are shown."""
_CRON_MARK = "# paperagent digest:"
"""Begins the comment above our line in the crontab, and ends with the library's folder."""


@click.command()
@common_options
@click.pass_obj
def setup(session: Session) -> None:
    """Set up the digest step by step. It can be run again at any time.

    Asks for the feeds, reads them, adds subscribers, checks the mail server with a login and a test message,
    and prints or installs the weekly job. Each step shows what is set; Enter leaves it as it is. Settings are
    written to --env-file, or .env in the current folder, which only you can read afterwards.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(f"digest setup: needs a terminal; {_PLAIN_COMMANDS}")
    env_file = session.env_file or Path(".env")
    show_text(f"Enter leaves a step as it is; Ctrl-C stops. Settings: {env_file.absolute()}", plain=True)
    assistant = Setup(session, env_file)
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("Feeds", assistant.feeds),
        ("First reading", assistant.first_reading),
        ("Subscribers", assistant.subscribers),
        ("Sender", assistant.sender),
        ("Schedule", assistant.schedule),
    )
    for number, (title, step) in enumerate(steps, 1):
        sys.stdout.write("\n")
        show([Block("heading", f"{number}. {title}")])
        step()
    sys.stdout.write("\n")
    show_text("Done. Look at an issue before it is sent: paperagent digest preview --for EMAIL", plain=True)


class Setup:
    """The steps, each of which shows what is set and asks for more."""

    def __init__(self, session: Session, env_file: Path) -> None:
        self._session = session
        self._env_file = env_file

    # --- feeds ---

    def feeds(self) -> None:
        """Add feeds to the followed ones."""
        with self._session.agent() as agent:
            try:
                followed = [feed["source"] for feed in agent.followed()]
            except NoLibraryError:
                followed = []
            _show_state("followed", followed)

            def add(source: str) -> None:
                _say("added" if agent.follow(source) else "already followed")

            while source := _ask("Add a feed, such as arxiv:cs.CL,cs.IR"):
                _attempt(partial(add, source))

    def first_reading(self) -> None:
        """Read the followed feeds."""
        with self._session.agent() as agent:
            followed = agent.followed()
            unread = [feed["source"] for feed in followed if not feed.get("read") or feed.get("error")]
            _say(f"{counted(agent.count(), 'paper')} in the library")
            if not followed:
                return
            if not unread:
                _say("all feeds have been read; the job reads them again")
            elif _confirm(f"Read {counted(len(unread), 'feed')} now? This may take some minutes."):
                _attempt(partial(_read_followed, agent))

    # --- subscribers ---

    def subscribers(self) -> None:
        """Add subscribers with their interests."""
        from paperagent.digest.delivery.message import parse_address
        from paperagent.digest.preferences import Preferences

        with open_digest(self._session) as service:
            everyone = service.subscribers.all()
            _show_state("subscribed", [f"{s.email} ({s.state})" for s in everyone])

            def add(email: str) -> None:
                parse_address(email)
                topics = _ask("Topics, separated by semicolons (Enter: everything)")
                preferences = Preferences.validated([t.strip() for t in topics.split(";") if t.strip()])
                agreed = _confirm(f"Has {visible(email, limit=60)} agreed to get the digest?")
                subscriber = service.subscribers.add(email, preferences, confirmed=agreed).subscriber
                _say(f"{subscriber.email}: {subscriber.state}")

            while email := _ask("Add an email address"):
                _attempt(partial(add, email))
            if any(s.state == "pending" for s in service.subscribers.all()):
                _say("ask the pending ones, once mail works: paperagent subscribers confirm --ask")

    # --- sender ---

    def sender(self) -> None:
        """Set the mail server, after a login, and send a test message."""
        if not self._current_sender_works():
            while host := _ask("Mail server, such as smtp.example.org or smtp.example.org:465"):
                if _attempt(partial(self._set_sender, host)):
                    break
            else:
                return
        while email := _ask("Send a test message to"):
            if _attempt(partial(self._send_test, email)):
                break

    def _current_sender_works(self) -> bool:
        with open_digest(self._session) as service:
            if not service.mailer.has_server:
                _say("no mail server: messages are written to the outbox")
                return False
            return _attempt(lambda: _check(service))

    def _set_sender(self, host: str) -> None:
        user = _ask("User (Enter: none)")
        password = getpass.getpass("Password (not shown): ") if user else ""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        name = host.removeprefix("smtp://").removeprefix("smtps://")
        scheme = "smtps" if name.endswith(":465") or host.startswith("smtps://") else "smtp"
        sender = _ask("Sender, such as Paper digest <papers@example.org>") or user
        if not sender:
            raise InputError("sender: none; subscribers see it as the author of the mail, so give an address")
        changed = {"smtp_url": f"{scheme}://{login}{name}", "mail_from": sender}
        with open_digest(self._session, **changed) as service:
            _check(service)
        if not self._session.settings().secret:
            changed["secret"] = secrets.token_hex(32)
        self._write({f"PAPERAGENT_{key.upper()}": value for key, value in changed.items()})

    def _write(self, changed: dict[str, str]) -> None:
        from paperagent.config import dotenv

        dotenv.update(self._env_file, changed)
        _say(f"written to {self._env_file}: {', '.join(changed)}")
        sources = {source.key: source.where for source in self._session.settings().sources()}
        for key in changed:
            if sources[key] == "environment":
                warn(f"{key} is also set in this shell, which overrides the file; unset it")

    def _send_test(self, email: str) -> None:
        with open_digest(self._session) as service:
            _say(f"test message: {service.mailer.send_test(email, dt.datetime.now(dt.UTC))}")

    # --- schedule ---

    def schedule(self) -> None:
        """Set the time zone, and print the job or add it to the crontab."""
        from paperagent.digest.jobs import Scheduler, job_text

        zone = self._session.settings().timezone
        _say(f"time zone: {zone or 'that of this machine'}")
        while name := _ask("Time zone, such as Europe/Berlin"):
            if _attempt(partial(self._set_zone, name)):
                break
        settings = self._session.settings()
        job = digest_job(self._session, settings)
        now = dt.datetime.now(dt.UTC)
        crontab = shutil.which("crontab")
        if crontab and not _attempt(partial(_crontab, crontab)):
            crontab = None
        if crontab and f"{_CRON_MARK} {settings.home}" in _crontab(crontab):
            _say("the job is in your crontab; installing replaces it")
        _say("the job reads the feeds, builds the issues and sends them")
        choices = "Type cron to install it, or print to see it" if crontab else "Type print to see it"
        answer = _ask(choices)
        if answer == "cron" and crontab:
            _attempt(lambda: _install(crontab, job_text(job, "cron", now=now), settings.home))
        elif answer:
            names: tuple[Scheduler, ...] = ("windows",) if sys.platform == "win32" else ("cron", "systemd")
            sys.stdout.write("\n".join(job_text(job, name, now=now) for name in names))

    def _set_zone(self, name: str) -> None:
        from paperagent.config import values

        try:
            self._write({"PAPERAGENT_TIMEZONE": values.timezone(name)})
        except ValueError as error:
            raise InputError(f"time zone: {error}") from None


def _read_followed(agent: PaperAgent) -> None:
    with progress_bar() as progress:
        report = agent.ingest_followed(progress=progress)
    _say(f"{counted(report.read, 'paper')} read, {report.new:,} new")


def _check(service: DigestService) -> None:
    service.mailer.check_server()
    _say("mail server: connected and accepted")


def _crontab(program: str) -> str:
    """Return the user's crontab; empty if there is none.

    Raises:
        ConfigError: it cannot be read, so it must not be replaced.
    """
    done = subprocess.run([program, "-l"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - fixed arguments
    if done.returncode and "no crontab" not in done.stderr.casefold():
        reason = visible(done.stderr.strip(), limit=200)
        raise ConfigError(f"crontab: cannot be read: {reason}; add the printed line yourself")
    return "" if done.returncode else done.stdout


def _install(program: str, job: str, home: Path) -> None:
    """Add the job to the user's crontab, or replace the one of the same library."""
    mark, end = f"{_CRON_MARK} {home}", "# end of paperagent digest"
    lines = _crontab(program).splitlines()
    if mark in lines:
        start = lines.index(mark)
        if end not in lines[start:]:
            raise ConfigError(f"crontab: the line {end!r} is missing; restore it with: crontab -e")
        del lines[start : lines.index(end, start) + 1]
    block = [mark, *job.splitlines()[1:], end]
    text = "\n".join([*lines, *block]) + "\n"
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [program, "-"], input=text, capture_output=True, text=True, check=False, timeout=10
    )
    if done.returncode:
        reason = visible(done.stderr.strip(), limit=200)
        raise ConfigError(f"crontab: not changed: {reason}; add the printed line yourself")
    _say("installed; see it with: crontab -l")


# --- the terminal ---


def _say(text: str) -> None:
    show_text(text, plain=True)


def _show_state(label: str, values: list[str]) -> None:
    further = f" and {len(values) - _MAX_SHOWN:,} more" if len(values) > _MAX_SHOWN else ""
    _say(f"{label}: {', '.join(values[:_MAX_SHOWN]) or 'none'}{further}")


def _ask(text: str) -> str:
    """Return the typed text; an empty string for Enter alone or at the end of the input."""
    lines = textwrap.fill(f"{text}:", shutil.get_terminal_size().columns - 1)
    try:
        return input(f"{lines} ").strip()
    except EOFError:
        sys.stdout.write("\n")
        return ""


def _confirm(text: str) -> bool:
    return _ask(f"{text} [y/N]").lower() in {"y", "yes"}


def _attempt(step: Callable[[], object]) -> bool:
    """Run a step and return whether it worked; if not, show its error."""
    try:
        step()
    except PaperAgentError as error:
        warn(str(error))
        return False
    return True
