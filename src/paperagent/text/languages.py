"""Languages that sentences can be translated into, named by BCP 47 tags such as ``de`` or ``pt-BR``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from paperagent.errors import InputError, visible

SUGGESTED = (
    "ar bn cs da de el es fa fi fr he hi hu id it ja ko nb nl pl pt pt-BR ro ru sv th tr uk ur vi "
    "zh-Hans zh-Hant"
).split()
"""Tags that a form offers; any other language with locale data (Unicode CLDR) is accepted too."""
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")


@dataclass(frozen=True, slots=True)
class Language:
    """A language."""

    tag: str
    """The BCP 47 tag, in its usual case."""
    name: str
    """The name in English."""
    is_rtl: bool
    """Whether it is written from right to left."""
    decimal: str
    """The mark before decimals, ``.`` or ``,``."""

    @property
    def is_english(self) -> bool:
        """Whether English text needs no translation."""
        return self.tag.partition("-")[0] == "en"


@lru_cache(maxsize=256)
def language(tag: str) -> Language:
    """Return the language with a BCP 47 tag: language, optional script, optional region.

    Raises:
        InputError: not such a tag, or a language without locale data.
    """
    from babel import Locale, UnknownLocaleError

    text = tag.strip()
    if not _TAG.fullmatch(text):
        raise InputError(
            f"language: {visible(tag, limit=20)} is not a language tag; write it like de or pt-BR"
        )
    try:
        locale = Locale.parse(text, sep="-", resolve_likely_subtags=False)
    except (UnknownLocaleError, ValueError):
        try:
            locale = Locale.parse(text, sep="-")  # zh-CN is stored with its script
        except (UnknownLocaleError, ValueError):
            raise InputError(
                f"language: {visible(tag, limit=20)} is not known; use one such as de, ja or ar"
            ) from None
    symbols = locale.number_symbols.get("latn", {})
    return Language(
        str(locale).replace("_", "-"),
        locale.get_display_name("en") or text,
        locale.text_direction == "rtl",
        str(symbols.get("decimal", ".")),
    )
