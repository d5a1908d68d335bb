"""Load, fill and hash the prompt files.

A prompt is one file: a header of ``key: value`` lines, then a ``--- system`` and a ``--- user`` part
with ``{{variable}}`` placeholders. Missing and unknown variables are both errors. Values are inserted
once and never read as templates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paperagent.errors import ConfigError, visible

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_HEADER_KEYS = ("name", "version", "purpose", "variables", "output")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt template."""

    name: str
    version: str
    variables: frozenset[str]
    system: str
    user: str
    hash: str
    """First 12 hex digits of the file's SHA-256: identifies the exact wording in every answer."""

    def fill(self, **values: str) -> list[dict[str, str]]:
        """Return the system and the user message with every placeholder filled.

        Raises:
            ConfigError: A variable is missing or unknown.
        """
        for problem, names in (
            ("missing", self.variables - set(values)),
            ("unknown", set(values) - self.variables),
        ):
            if names:
                raise ConfigError(
                    f"prompt {self.name}: {problem} variable {', '.join(sorted(names))}; see its header"
                )

        def insert(text: str) -> str:
            return _PLACEHOLDER.sub(lambda m: values[m.group(1)], text)

        return [
            {"role": "system", "content": insert(self.system)},
            {"role": "user", "content": insert(self.user)},
        ]

    def follow(
        self, messages: Sequence[Mapping[str, str]], reply: str, **values: str
    ) -> list[dict[str, str]]:
        """Return a conversation in which this prompt follows a reply to ``messages``, as one message.

        The server has read ``messages`` already and may have them in its prompt cache.

        Args:
            messages: The earlier messages.
            reply: The model's reply to them.
            values: The variables of this prompt.

        Raises:
            ConfigError: A variable is missing or unknown.
        """
        prompt = "\n\n".join(m["content"] for m in self.fill(**values))
        return [
            *map(dict, messages),
            {"role": "assistant", "content": reply},
            {"role": "user", "content": prompt},
        ]


def load(name: str, folder: Path | None = None) -> Prompt:
    """Return the prompt ``name`` from ``folder`` if it has one, otherwise the packaged one.

    Raises:
        ConfigError: The file is missing or is not a prompt; the message names it.
    """
    path = _find(name, folder)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt {visible(str(path))}: cannot be read; restore the file") from error
    return _parse(text, path)


def _find(name: str, folder: Path | None) -> Path:
    """Look in the user's folder, then in the installed package, then in the checkout."""
    package = Path(__file__).parents[1]
    folders = [*([folder] if folder else []), package / "prompts", package.parents[1] / "prompts"]
    for candidate in folders:
        if (candidate / f"{name}.md").is_file():
            return candidate / f"{name}.md"
    searched = ", ".join(visible(str(p)) for p in folders)
    raise ConfigError(
        f"prompt {name}: not found in {searched}; reinstall paperagent or set PAPERAGENT_PROMPTS_DIR"
    )


def _parse(text: str, path: Path) -> Prompt:
    file = visible(str(path))
    parts = re.split(r"^--- (system|user)\n", text, flags=re.MULTILINE)
    if len(parts) != 5 or parts[1::2] != ["system", "user"]:
        raise ConfigError(
            f"prompt {file}: needs a header, '--- system' and '--- user'; compare prompts/answer.md"
        )
    header = _header(parts[0], file)
    variables = frozenset(v.strip() for v in header["variables"].split(",") if v.strip())
    used = frozenset(_PLACEHOLDER.findall(parts[2] + parts[4]))
    if used != variables:
        raise ConfigError(
            f"prompt {file}: header and text name different variables "
            f"({', '.join(sorted(used ^ variables))}); make them agree"
        )
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(header["name"], header["version"], variables, parts[2].strip(), parts[4].strip(), digest)


def _header(text: str, file: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.strip().splitlines())
    header = {key.strip(): value.strip() for key, _, value in pairs}
    if set(header) != set(_HEADER_KEYS):
        raise ConfigError(f"prompt {file}: the header must have {', '.join(_HEADER_KEYS)}")
    return header
