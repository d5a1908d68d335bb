"""Jinja environments for emails and web pages, and the colors that both use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import ConfigError, visible

if TYPE_CHECKING:
    from jinja2 import Environment

LIGHT: Mapping[str, str] = {
    "page": "#f3f1ec",
    "sheet": "#ffffff",
    "ink": "#1d2125",
    "muted": "#5a6069",
    "rule": "#e3dfd6",
    "accent": "#b4622d",
    "accent-ink": "#8a4b1f",
    "link": "#0b5a6b",
    "doubt": "#9b2c1c",
    "mark": "#f8e3b0",
}
"""Colors of the light scheme, which stylesheets use as ``{{ light.ink }}``."""
DARK: Mapping[str, str] = {
    "page": "#131517",
    "sheet": "#1b1e21",
    "ink": "#e6e3dc",
    "muted": "#a3a9b1",
    "rule": "#303439",
    "accent": "#c9773f",
    "accent-ink": "#e0a578",
    "link": "#86c9d6",
    "doubt": "#f2978a",
    "mark": "#4d4020",
}
"""Colors of the dark scheme, by the same names."""


@lru_cache(maxsize=16)
def template_environment(*folders: Path) -> Environment:
    """Return an environment for the templates of these folders; the first folder that has a name wins.

    Undefined names are errors, and everything but text and CSS is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(disabled_extensions=("txt.j2", "css"), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(light=LIGHT, dark=DARK)
    return environment


def fill_template(environment: Environment, name: str, **values: Any) -> str:
    """Return a template filled with ``values``, which are never evaluated as templates.

    Raises:
        ConfigError: the template is missing or invalid; the message names file and line.
    """
    from jinja2 import TemplateError, TemplateNotFound

    try:
        return environment.get_template(name).render(values)
    except TemplateNotFound as error:
        raise ConfigError(f"theme: no template {visible(str(error.name))}; restore the file") from None
    except TemplateError as error:
        reason = visible(" ".join(str(error).split()), limit=200)
        raise ConfigError(f"theme: {_error_location(error, name)}: {reason}; correct the template") from None


def _error_location(error: Exception, name: str) -> str:
    template = visible(str(getattr(error, "name", None) or name))
    line = getattr(error, "lineno", None)
    return f"{template} line {line}" if line else template
