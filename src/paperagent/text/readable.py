r"""Convert LaTeX, HTML entities and simple tags to plain characters.

``$10^{-3}$ for \textbf{P}reference &amp; CO<sub>2</sub>`` → ``10⁻³ for Preference & CO₂``. The library and
the quotes of citations keep the text of the feed; it is converted when it is shown. Numbers never change, and
unknown markup stays.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from paperagent.errors import UNSAFE_CATEGORIES
from paperagent.text.edits import Edit, TracedText
from paperagent.text.latex import LatexReader
from paperagent.text.scripts import lowered, raised

# Text without a match is returned unchanged.
_MARKUP = re.compile(
    r"[\\$]|``|---|(?<=\S)--(?=\S)| -- |[A-Za-z.]~[\\A-Za-z\d]"
    r"|[_^]\{|&\#?\w{2,30};|</?[a-z]|  |[^\S ]|\A | \Z"
)
_ENTITY = re.compile(r"&(?:amp;)*(#\d{2,7}|#[xX][\dA-Fa-f]{2,6}|[A-Za-z][A-Za-z\d]{1,30});")
_STYLE_TAG = re.compile(
    r"<(/?)(?:jats:)?(i|b|em|strong|u|tt|sc|small|italic|bold|underline|monospace|span|p|a)(?:\s[^<>]{0,200})?>"
)
_RAISED = re.compile(r"<(?:jats:)?(su[bp])>([^<>]{1,60})</(?:jats:)?\1>")
_LINE_BREAK = re.compile(r"<br\s?/?>")
# Pandoc's rule, which keeps "$5 and $10": no space inside the dollars, and no digit after the second
# if one follows the first.
_FORMULA = re.compile(
    r"\$\$(?P<a>[^$]{1,400})\$\$"
    r"|\\\((?P<b>(?:(?!\\[()]).){1,400})\\\)|\\\[(?P<c>(?:(?!\\[\[\]]).){1,400})\\\]"
    r"|(?<!\\)(?<!US)\$(?=[^\s$])"
    r"(?P<d>(?=\d)(?:\\.|[^$\\]){1,400}?(?<=\S)(?=\$(?!\d))|(?!\d)(?:\\.|[^$\\]){1,400}?(?<=\S))\$"
    r"|(?<!\\)\$(?P<e>[^$\\^_]{0,200}[\\^_][^$]{0,300})\$",
    re.DOTALL,
)
_IN_FORMULA = re.compile(r"[\\{}^_]")
_WORD = re.compile(r"\s[a-z]{2,}\s")
_DOLLARS = re.compile(r"((?<!\\)\$[^$]{1,2000}(?<!\\)\$)")
_SOURCE = re.compile(r"[\\{}~$`]|--|''")
_TIE = re.compile(r"(?<=[A-Za-z.,)])~(?=[A-Za-z\d( ])")
_QUOTED = re.compile(r"``([^`]{1,200}?)(?:''|[\"”])")
_DASHES = ((re.compile(r"(?<!-)---(?!-)"), "—"), (re.compile(r"(?<=[^\s-])--(?=[^\s-])| -- "), "–"))
# A formula whose dollars and backslashes a feed has removed: `{p}_{theta}`.
_SCRIPT = re.compile(r"(?:\{([^{}\\$]{1,20})\})?(?<![\s{])([_^])\{([^{}\\$]{1,40})\}")
# A dollar of a formula that was cut off. The dollar sign of an amount is followed by a number.
_STRAY_DOLLAR = re.compile(r"(?<![A-Z])\$(?!\s?[\d.])|(?<=[×∼≈Δ±])\$")
_SPACE = re.compile(r"\s{2,}|[^\S ]|\A | \Z")


@dataclass(frozen=True, slots=True)
class Readable:
    """A converted text with the source position of each character."""

    text: str
    offsets: tuple[int, ...]
    """The position in the source of each character of ``text``, and the length of the source."""

    def shown_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of ``text`` that shows the characters ``start`` to ``end`` of the source."""
        return bisect_left(self.offsets, start), bisect_left(self.offsets, end)


@lru_cache(maxsize=4096)
def readable(text: str) -> str:
    """Return ``text`` without markup, on one line, with single spaces.

    Args:
        text: a title, an abstract or a sentence, with or without markup. Braces and ``~`` count as LaTeX only
            beside other LaTeX. Dollar signs before amounts are not formulas. Unknown tags and entities stay.
    """
    return _convert(text).text if _MARKUP.search(text) else text


def readable_with_offsets(text: str) -> Readable:
    """Return what `readable` returns, with the position of each character in ``text``."""
    converted = _convert(text)
    return Readable(converted.text, tuple(converted.offsets))


def bibliography_text(text: str) -> str:
    """Return a field of a bibliography on one line: all of it is LaTeX, but its formulas are kept."""
    if not _SOURCE.search(text):
        return " ".join(text.split())
    if any(mark in text for mark in "\\{}~$"):
        text = LatexReader(text, is_source=True).read()
    parts = _DOLLARS.split(text)
    parts[::2] = [_quotes_and_dashes(prose) for prose in parts[::2]]
    return " ".join("".join(parts).split())


def _convert(text: str) -> TracedText:
    converted = TracedText(text)
    if "&" in text:
        converted.sub(_ENTITY, _character)
    if "<" in converted.text:
        _drop_tags(converted)
    edits = list(_latex_edits(converted.text))
    if edits:
        converted.edit(edits)
        converted.sub(_TIE, " ")
        converted.sub(_STRAY_DOLLAR, "")
    elif "_{" in converted.text or "^{" in converted.text:
        converted.sub(_SCRIPT, _script)
    _convert_quotes_and_dashes(converted)
    converted.sub(_SPACE, lambda m: " " if m.start() > 0 and m.end() < len(m.string) else "")
    return converted


# --- HTML ---


def _character(entity: re.Match[str]) -> str:
    """Return the character of an entity; unknown entities, digits and control characters stay."""
    char = html.unescape(f"&{entity[1]};")
    is_shown = len(char) <= 2 and not any(
        c.isdecimal() or unicodedata.category(c) in UNSAFE_CATEGORIES for c in char
    )
    return char if is_shown else entity[0]


def _drop_tags(converted: TracedText) -> None:
    """Convert tags that occur in pairs; a lone ``<i>``, such as a token of a model, stays."""
    tags: dict[str, list[int]] = {}
    for tag in _STYLE_TAG.finditer(converted.text):
        tags.setdefault(tag[2], []).append(-1 if tag[1] else 1)
    paired = {name for name, steps in tags.items() if steps[0] == 1 and sum(steps) == 0}
    if paired:
        converted.sub(_STYLE_TAG, lambda m: m[0] if m[2] not in paired else " " if m[2] == "p" else "")
    converted.sub(_RAISED, lambda m: raised(m[2]) if m[1] == "sup" else lowered(m[2]))
    converted.sub(_LINE_BREAK, " ")


# --- LaTeX ---


def _latex_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that convert the LaTeX in ``text``."""
    formulas = list(_formulas(text)) if "$" in text or "\\" in text else []
    if not formulas and "\\" not in text:
        return
    position = 0
    for start, end, content in formulas:
        before = start > position + 1 and text[start - 1] == "~" and text[start - 2].isalnum()
        yield from _prose_edits(text, position, start - before)
        after = text[end : end + 1] == "~" and text[end + 1 : end + 2].isalnum()
        formula = LatexReader(content.strip(), in_formula=True).read()
        yield Edit(start - before, end + after, f"{' ' * before}{formula}{' ' * after}")
        position = end + after
    yield from _prose_edits(text, position, len(text))


def _formulas(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the content of each formula."""
    position = 0
    while formula := _FORMULA.search(text, position):
        content = formula[formula.lastgroup or 0]
        is_prose = bool(_WORD.search(content)) and (
            formula.lastgroup == "e" or (content[0].isdigit() and not _IN_FORMULA.search(content))
        )
        if is_prose and formula.lastgroup in ("d", "e"):
            position = formula.start() + 1
        else:
            yield formula.start(), formula.end(), content
            position = formula.end()


def _prose_edits(text: str, start: int, end: int) -> Iterator[Edit]:
    prose = text[start:end]
    if "\\" in prose or "{" in prose or "}" in prose:
        yield from (Edit(e.start + start, e.end + start, e.new) for e in LatexReader(prose).edits())


def _script(match: re.Match[str]) -> str:
    return (match[1] or "") + (raised(match[3]) if match[2] == "^" else lowered(match[3]))


def _convert_quotes_and_dashes(converted: TracedText) -> None:
    if "``" in converted.text:
        converted.sub(_QUOTED, r"“{0[1]}”".format)
    if "--" in converted.text:
        for pattern, dash in _DASHES:
            converted.sub(pattern, lambda m, d=dash: f" {d} " if m[0].startswith(" ") else d)  # type: ignore[misc]


def _quotes_and_dashes(text: str) -> str:
    converted = TracedText(text)
    _convert_quotes_and_dashes(converted)
    return converted.text.replace("``", "“").replace("''", "”")
