"""Read the settings from the command line, the environment and a ``.env`` file, and check them together.

This is the only module that reads the environment for settings.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from paperagent.config import dotenv
from paperagent.config.contradictions import PREFIX, contradictions, sends_key_in_clear
from paperagent.config.settings import FILE_VALUES, Settings, setting_keys
from paperagent.errors import ConfigError, visible


def load(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        env_file: The ``.env`` file. By default the one in the current folder, if it exists.
        overrides: Values by field name, which override all other sources; None is ignored.

    Raises:
        ConfigError: settings are wrong; the message names all of them, each with its reason and fix.
    """
    file = dotenv.read(env_file or Path(".env"), os.environ, required=env_file is not None)
    arguments = {name: value for name, value in overrides.items() if value is not None}
    problems = [*file.problems, *_unknown_keys(file)]
    where = _origins(file, arguments)
    try:
        kwargs: dict[str, Any] = {FILE_VALUES: file.values, **arguments}
        settings = Settings(**kwargs)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        # pydantic skips a default that depends on other settings if one of them is wrong.
        problems += [_problem(d, where) for d in details if d["type"] != "default_factory_not_called"]
        raise _config_error(problems) from None
    problems += contradictions(settings, os.environ)
    if problems:
        raise _config_error(problems)
    settings._where = where  # noqa: SLF001 - a private attribute of the class above
    settings._warnings = (*file.warnings, *_warnings(settings, file))  # noqa: SLF001 - same
    return settings


def _config_error(problems: list[str]) -> ConfigError:
    count = f"{len(problems)} problems: " if len(problems) > 1 else ""
    return ConfigError(f"settings: {count}{' · '.join(problems)}")


def _origins(file: dotenv.EnvFile, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return variable → the source that sets it, for each variable that is set."""
    environment = {key.upper() for key in os.environ}
    origins: dict[str, str] = {}
    for name, key in setting_keys().items():
        if name in arguments:
            origins[key] = "command line"
        elif key in environment:
            origins[key] = "environment"
        elif key in file.lines:
            origins[key] = f"{file.path} line {file.lines[key]}"
    return origins


def _problem(error: Any, where: Mapping[str, str]) -> str:
    name = str(error["loc"][0])
    key = setting_keys().get(name, name)
    return f"{key} ({where.get(key, 'default')}): {visible(error['msg'].removeprefix('Value error, '))}"


def _unknown_keys(file: dotenv.EnvFile) -> list[str]:
    """Return a problem for each key of the file that looks like a setting but is not one."""
    keys = list(setting_keys().values())
    return [
        f"{key} ({file.path} line {line}): unknown key{_suggestion(key, keys)}"
        for key, line in file.lines.items()
        if key not in keys and (key.upper().startswith(PREFIX) or key.upper() in keys)
    ]


def _suggestion(key: str, keys: list[str]) -> str:
    close = difflib.get_close_matches(key.upper(), keys, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else "; see .env.example"


def _warnings(settings: Settings, file: dotenv.EnvFile) -> list[str]:
    keys, warnings = list(setting_keys().values()), []
    secrets = {key for name, key in setting_keys().items() if isinstance(getattr(settings, name), SecretStr)}
    if file.open_to_others and secrets & file.values.keys():
        warnings.append(f"{file.path}: holds a secret and other users can read it; run chmod 600 {file.path}")
    if sends_key_in_clear(settings):
        warnings.append(
            f"OPENAI_BASE_URL: the key is sent unencrypted, because {PREFIX}ALLOW_INSECURE is set"
        )
    # The environment may hold variables of other programs, so only near misses are reported.
    suggest = partial(difflib.get_close_matches, possibilities=keys, n=1, cutoff=0.85)
    misspelled = [k for k in sorted(os.environ) if k.startswith(PREFIX) and k not in keys and suggest(k)]
    return [
        *warnings,
        *(f"{visible(k)} (environment): unknown key; did you mean {suggest(k)[0]}?" for k in misspelled),
    ]
