"""Commands that write issues as files to look at: a preview, and the archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import Folder, Whole, Words, common
from paperagent.cli.period_options import period_of, period_options
from paperagent.cli.session import Session, show, warn
from paperagent.cli.subscribers import opened
from paperagent.layout import Block, counted

if TYPE_CHECKING:
    from paperagent.digest.preferences import Preferences


@click.command()
@period_options
@click.option("--for", "only", type=Words(), metavar="EMAIL", help="As this reader gets it.")
@click.option("--interest", "interests", multiple=True, type=Words(), help="A topic; give it several times.")
@click.option("--ask", "questions", multiple=True, type=Words(), help="A standing question.")
@click.option("--category", "categories", multiple=True, type=Words(), help="Only such papers: cs.CL, or cs.")
@click.option("--max-items", type=Whole(1, 30), help="Papers in the issue (default: 12).")
@click.option("--theme", type=Folder(), help="A folder of templates (default: PAPERAGENT_DIGEST_THEME).")
@click.option(
    "--out", type=Folder(), default=".", metavar="DIR", help="Write the files there (default: here)."
)
@common
@click.pass_obj
def preview(session: Session, /, out: Path, **given: Any) -> None:
    """Write an issue as .html and .txt to look at; nothing is kept, sent or opened.

    What was built is shown as it was built, unless wishes or templates are given.
    """
    from paperagent.digest.render.archive import file_name
    from paperagent.ui import export

    chosen, theme, only = period_of(given), given.pop("theme"), given.pop("only")
    profile = _wishes(given)
    if profile and only:
        raise click.UsageError("--for and --interest: cannot combine; a reader's wishes are known")
    with opened(session, **({"digest_theme": _existing(theme)} if theme else {})) as desk:
        period = chosen or desk.last_week()
        rendered = desk.preview(period, only=only, general=profile, rebuild=theme is not None)
    _make(out)
    name = file_name(period.name).removesuffix(".html") + ("-reader" if only else "")
    for suffix, text in ((".html", rendered.html), (".txt", rendered.text)):
        export.write(out / f"{name}{suffix}", [text], force=True)
    for note in rendered.notes:
        warn(note)
    page = Block("text", str(out / f"{name}.html"), tight=True, plain=True)
    told = [Block("text", rendered.subject, tight=True), page]
    show(dict, told, as_json=False)


def _wishes(given: dict[str, Any]) -> Preferences | None:
    from paperagent.digest.preferences import Preferences

    return Preferences.validated(**given) if any(v for v in given.values()) else None


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise click.UsageError(f"--theme: no such folder: {folder}; give the folder of templates")
    return folder


def _make(folder: Path) -> None:
    from paperagent.errors import InputError, visible

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {visible(str(folder))}: {error.strerror}; choose another place") from None


@click.command()
@click.argument("folder", type=Folder())
@click.option(
    "--url", type=Words(), help="Where the folder will be, https://…/, for the addresses of the feed."
)
@common
@click.pass_obj
def archive(session: Session, /, folder: Path, url: str | None) -> None:
    """Write every issue as a web page, with an index and an Atom feed, into FOLDER.

    Only issues for nobody in particular: a reader's own are private.
    """
    from paperagent.digest.render import archive as pages
    from paperagent.ui import export

    base = _base(url)
    with opened(session) as desk:
        issues = desk.general_issues()
    _make(folder)
    for name, text in pages.archive_files(issues, base=base, theme_dir=session.settings().digest_theme):
        export.write(folder / name, [text], force=True)
    told = [
        Block(
            "text",
            f"{counted(len(issues), 'issue')} written; begin at {folder / 'index.html'}",
            tight=True,
            plain=True,
        )
    ]
    if not issues:
        warn("no issue for nobody in particular was built; run 'paperagent digest build'")
    show(dict, told, as_json=False)


def _base(url: str | None) -> str:
    from paperagent.text.sanitize import safe_url

    if url is None:
        return ""
    if safe_url(url) is None or "?" in url or "#" in url:
        raise click.UsageError("--url: not a plain http(s) address; write https://HOST/PATH/")
    return url.rstrip("/") + "/"
