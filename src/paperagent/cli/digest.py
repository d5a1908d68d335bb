"""Commands that build, preview, send and archive the digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.digest_inbox import inbox
from paperagent.cli.digest_run import raise_for_failed_issues, run, schedule, show_build_report, test_mail
from paperagent.cli.digest_send import dkim, list_issues, send, warn_without_unsubscribe
from paperagent.cli.digest_setup import setup
from paperagent.cli.options import (
    MAX_COST_USD,
    CommandGroup,
    NumberParam,
    PathParam,
    TextParam,
    common_options,
    period_options,
    pop_period,
    pop_preferences,
    preference_options,
)
from paperagent.cli.session import Session, progress_bar, show, show_text, warn
from paperagent.cli.subscribers import open_digest
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.types import Usage


@click.group(cls=CommandGroup)
@common_options
def digest() -> None:
    """Build and send the weekly digest."""


digest.add_command(send)
digest.add_command(list_issues)
digest.add_command(inbox)
digest.add_command(dkim)
digest.add_command(run)
digest.add_command(schedule)
digest.add_command(test_mail)
digest.add_command(setup)


@digest.command()
@period_options
@click.option("--only", type=TextParam(), metavar="EMAIL", help="Build the issue of this subscriber only.")
@click.option(
    "--mode",
    type=click.Choice(["extractive", "llm"]),
    help="extractive: quote sentences; llm: let a model write.",
)
@click.option("--model", type=TextParam(), help="Model to use (default: PAPERAGENT_MODEL).")
@click.option(
    "--max-cost",
    type=NumberParam(MAX_COST_USD, zero=True),
    help="Maximum cost of the whole build in US dollars (default: PAPERAGENT_MAX_COST_PER_ANSWER, else 1).",
)
@click.option("--estimate", is_flag=True, help="Print the maximum cost of the build and exit.")
@common_options
@click.pass_obj
def build(session: Session, /, **options: Any) -> None:
    """Build the general issue and one for each subscriber. Nothing is sent.

    Issues that were built before are not changed.
    """
    chosen = pop_period(options)
    if options.pop("estimate"):
        with open_digest(session) as service:
            period = chosen or service.current_period(options["only"])
            usage = service.estimate(period, mode=options["mode"], model=options["model"])
        show_text(_estimate_text(usage))
        return
    with open_digest(session) as service, service.lock(), progress_bar() as progress:
        period = chosen or service.current_period(options["only"])
        report = service.build(period, progress=progress, **options)
        warn_without_unsubscribe(service, report.built)
    show_build_report(report, today=service.today())
    raise_for_failed_issues([report])


def _estimate_text(usage: Usage) -> str:
    if not usage.calls:
        return "no model calls"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    tokens = f"{usage.input_tokens:,} input and {usage.output_tokens:,} output tokens"
    return f"at most {counted(usage.calls, 'model call')}, {tokens}, {cost}, excluding standing questions"


@digest.command()
@period_options
@click.option("--for", "email", type=TextParam(), metavar="EMAIL", help="Preview this subscriber's issue.")
@preference_options
@click.option("--theme", type=PathParam(), help="Template folder (default: PAPERAGENT_DIGEST_THEME).")
@click.option(
    "--out",
    type=PathParam(),
    default=".",
    metavar="DIR",
    help="Output folder (default: current folder).",
)
@common_options
@click.pass_obj
def preview(session: Session, /, out: Path, **options: Any) -> None:
    """Write an issue as .html and .txt files.

    Nothing is stored or sent. An issue that was built before is shown unchanged, unless preferences or
    templates are given.
    """
    from paperagent.digest.render.archive import file_name
    from paperagent.ui import export

    chosen, theme, email = pop_period(options), options.pop("theme"), options.pop("email")
    has_preferences = any(options.values())
    preferences = pop_preferences(session, options) if has_preferences else None
    if preferences and email:
        raise click.UsageError("--for and --interest: cannot be combined; the subscriber's own are used")
    overrides = {"digest_theme": _existing_folder(theme)} if theme else {}
    with open_digest(session, **overrides) as service:
        period = chosen or service.current_period(email)
        rendered = service.preview(period, only=email, general=preferences, rebuild=theme is not None)
    _create_folder(out)
    name = file_name(period.name).removesuffix(".html") + ("-reader" if email else "")
    for suffix, text in ((".html", rendered.html), (".txt", rendered.text)):
        export.write(out / f"{name}{suffix}", [text], force=True)
    for note in rendered.notes:
        warn(note)
    page = Block("text", str(out / f"{name}.html"), tight=True, plain=True)
    show([Block("text", rendered.subject, tight=True), page])


def _existing_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise click.UsageError(f"--theme: no such folder: {folder}; give the folder of templates")
    return folder


def _create_folder(folder: Path) -> None:
    from paperagent.errors import InputError, visible

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"folder {visible(str(folder))}: cannot be created: {error.strerror}; choose another folder"
        ) from None


@digest.command()
@click.argument("folder", type=PathParam())
@click.option(
    "--url", type=TextParam(), help="URL where the folder will be published (https://…/), for the Atom feed."
)
@common_options
@click.pass_obj
def archive(session: Session, /, folder: Path, url: str | None) -> None:
    """Publish the general issues as web pages.

    Writes the pages to FOLDER, with an index and an Atom feed. Issues of subscribers are private and are
    left out.
    """
    from paperagent.digest.render import archive as pages
    from paperagent.factory.digest import digest_service
    from paperagent.ui import export

    base, settings = _base_url(url), session.settings()
    with digest_service(settings) as service:
        issues = service.general_issues()
    _create_folder(folder)
    for name, text in pages.archive_files(issues, base=base, theme_dir=settings.digest_theme):
        export.write(folder / name, [text], force=True)
    if not issues:
        warn("no general issue has been built; run 'paperagent digest build'")
    index = folder / "index.html"
    show_text(f"{counted(len(issues), 'issue')} written; open {index}", plain=True)


def _base_url(url: str | None) -> str:
    from paperagent.text.sanitize import safe_url

    if url is None:
        return ""
    if safe_url(url) is None or "?" in url or "#" in url:
        raise click.UsageError("--url: not a plain HTTP(S) URL; use https://HOST/PATH/")
    return url.rstrip("/") + "/"
