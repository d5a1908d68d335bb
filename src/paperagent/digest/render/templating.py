"""Fill the digest's templates: the packaged ones, or those of a person's folder of the same name."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import ConfigError, visible

if TYPE_CHECKING:
    from css_inline import CSSInliner
    from jinja2 import Environment

PACKAGED = Path(__file__).parent / "templates"
WIDTH = 72
"""Columns of a text mail."""


def fill(name: str, theme_dir: Path | None = None, **values: Any) -> str:
    """Return template ``name`` filled with ``values``, which are data and never templates.

    Raises:
        ConfigError: the template is missing or wrong; the message names file and line.
    """
    from jinja2 import TemplateError, TemplateNotFound

    try:
        return environment(theme_dir).get_template(name).render(values)
    except TemplateNotFound as error:
        raise ConfigError(f"theme: no template {visible(str(error.name))}; restore the file") from None
    except TemplateError as error:
        raise ConfigError(f"theme: {_place(error, name)}: {_said(error)}; correct the template") from None


@lru_cache(maxsize=8)
def environment(theme_dir: Path | None) -> Environment:
    """Return the templates' environment: strict, and escaping in HTML and XML."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape

    folders = [folder for folder in (theme_dir, PACKAGED) if folder]
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=select_autoescape(disabled_extensions=("txt.j2", "css"), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["wrap"] = wrap
    return made


def wrap(text: str, indent: int = 0, hang: int | None = None) -> str:
    """Return ``text`` in lines of a text mail; words are never broken, so addresses stay whole.

    A no-break space keeps its line and becomes a plain one. ``hang`` indents all lines but the first.
    """
    rest = " " * (indent if hang is None else hang)
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\u00a0", " ")


def inline_css(html: str) -> str:
    """Return ``html`` with its style rules on the elements, as mail readers want them; at-rules stay."""
    inlined: str = _inliner().inline(html)
    return inlined


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    import css_inline

    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def _place(error: Exception, name: str) -> str:
    where = getattr(error, "name", None) or name
    line = getattr(error, "lineno", None)
    return f"{visible(str(where))} line {line}" if line else visible(str(where))


def _said(error: Exception) -> str:
    return visible(" ".join(str(error).split()), limit=200)
