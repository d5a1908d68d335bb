"""Find, fill and hash the prompts.

A prompt is one file: a header of ``key: value`` lines, then a ``--- system`` and a ``--- user``
part with ``{{variable}}`` places. Filling is strict both ways: a missing variable and an
unknown one are errors. Values are inserted once and never read as templates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paperagent.errors import ConfigError, visible

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_HEADER = ("name", "version", "purpose", "variables", "output")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, not yet filled."""

    name: str
    version: str
    variables: frozenset[str]
    system: str
    user: str
    hash: str
    """First 12 hex digits of the file's SHA-256: names the exact wording in every answer."""

    def fill(self, **values: str) -> list[dict[str, str]]:
        """Return the two chat messages with every place filled.

        Raises:
            ConfigError: a variable is missing or unknown.
        """
        for what, names in (
            ("missing", self.variables - set(values)),
            ("unknown", set(values) - self.variables),
        ):
            if names:
                raise ConfigError(
                    f"prompt {self.name}: {what} variable {', '.join(sorted(names))}; see its header"
                )

        def insert(text: str) -> str:
            return _PLACE.sub(lambda m: values[m.group(1)], text)

        return [
            {"role": "system", "content": insert(self.system)},
            {"role": "user", "content": insert(self.user)},
        ]

    def follow(
        self, messages: Sequence[Mapping[str, str]], reply: str, **values: str
    ) -> list[dict[str, str]]:
        """Return a conversation in which this prompt, as one message, follows a reply to ``messages``.

        The server has read ``messages`` already: what it keeps of them need not be read again.

        Raises:
            ConfigError: a variable is missing or unknown.
        """
        said = {"role": "assistant", "content": reply}
        asked = "\n\n".join(m["content"] for m in self.fill(**values))
        return [*map(dict, messages), said, {"role": "user", "content": asked}]


def load(name: str, folder: Path | None = None) -> Prompt:
    """Return a prompt from ``folder`` if it holds one of that name, else the packaged one.

    Raises:
        ConfigError: the file is missing or is not a prompt; the message names it.
    """
    path = _find(name, folder)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt {visible(str(path))}: cannot be read; restore the file") from error
    return _parse(text, path)


def _find(name: str, folder: Path | None) -> Path:
    """Look in the person's folder, then in the wheel, then in the checkout."""
    here = Path(__file__).parent
    places = [*([folder] if folder else []), here.parent / "prompts", here.parents[2] / "prompts"]
    for place in places:
        if (place / f"{name}.md").is_file():
            return place / f"{name}.md"
    looked = ", ".join(visible(str(p)) for p in places)
    raise ConfigError(
        f"prompt {name}: not found in {looked}; reinstall paperagent or set PAPERAGENT_PROMPTS_DIR"
    )


def _parse(text: str, path: Path) -> Prompt:
    shown = visible(str(path))
    parts = re.split(r"^--- (system|user)\n", text, flags=re.MULTILINE)
    if len(parts) != 5 or parts[1::2] != ["system", "user"]:
        raise ConfigError(
            f"prompt {shown}: needs a header, '--- system' and '--- user'; compare prompts/answer.md"
        )
    header = _header(parts[0], shown)
    variables = frozenset(v.strip() for v in header["variables"].split(",") if v.strip())
    used = frozenset(_PLACE.findall(parts[2] + parts[4]))
    if used != variables:
        raise ConfigError(
            f"prompt {shown}: header and text name different variables "
            f"({', '.join(sorted(used ^ variables))}); make them agree"
        )
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(header["name"], header["version"], variables, parts[2].strip(), parts[4].strip(), digest)


def _header(text: str, shown: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.strip().splitlines())
    header = {key.strip(): value.strip() for key, _, value in pairs}
    if set(header) != set(_HEADER):
        raise ConfigError(f"prompt {shown}: the header must have {', '.join(_HEADER)}")
    return header
