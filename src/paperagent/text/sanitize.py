r"""Sanitize untrusted text: titles, abstracts, names, and what models and servers write.

Such text may hold terminal escapes, bidirectional overrides, invisible characters, Markdown or HTML. There is
one function for each destination:

* the library: `clean_text` and `clean_and_truncate`, which remove such characters and record that they did;
* one line of plain text, such as a prompt or an email: `strip_controls` and `join_lines`;
* a terminal: `safe_terminal`; Markdown: `safe_markdown` (`safe_note` for Obsidian); JSON: `safe_json`;
* a link: `safe_url`.

For terminals and JSON nothing is dropped: unprintable characters are shown as ``\x1b`` or ``\u202e``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from paperagent.errors import UNSAFE_CATEGORIES, visible

CONTROL = "control-characters"
BIDI = "bidi"
INVISIBLE = "invisible-characters"
SURROGATE = "lone-surrogates"
TRUNCATED = "truncated"
"""Flags of papers whose text `clean_text` changed."""

_LINE_BREAKING_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})
"""Control characters, line and paragraph separators: they become spaces."""
LINE_BREAKING = "\\x00-\\x1f\\x7f-\\x9f\u2028\u2029"
"""The same characters, for a character class of a regular expression."""
_HIDDEN_CATEGORIES = UNSAFE_CATEGORIES - _LINE_BREAKING_CATEGORIES
"""Format characters, surrogates and private use: they are removed."""
_UNASSIGNED = frozenset({"Cn"})

_LINE_BREAKS = re.compile(f"[{LINE_BREAKING}]+")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Variation selectors 17-256 select rare ideographs, but 240 invisible values also carry hidden text.
_VARIATION_SELECTORS = re.compile("[\U000e0100-\U000e01ef]")
_COMBINING_MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED_MARKS = {limit: re.compile(f"({_COMBINING_MARK}{{{limit}}}){_COMBINING_MARK}+") for limit in (3, 4)}
# Web addresses stay as they are, except for characters that Markdown could read as links, code or HTML.
_MARKDOWN = re.compile(
    r"""
      (?P<address>https?://(?:[\w/:.?\#+,;@!-]|~(?!~)|%(?!%)|=(?!=)|&(?!\#?\w+;))+)
    | [`*]                                # code, emphasis
    | <(?=[A-Za-z/!?])                    # HTML, automatic links
    | \[(?=\d) | (?<=!)\[ | \](?=[(\[:])  # a forged citation; images, links, their definitions
    | \\(?=[!-/:-@\[-`{-~]|\Z)            # a backslash that would escape something
    | (?<!\w)_ | _(?!\w)                  # emphasis, which never begins or ends inside a word
    | ~(?=~)                              # strikethrough
    | &(?=\#?\w+;)                        # entities
    | (?<!\w)@(?=\w)                      # mentions
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOTE = re.compile(
    _MARKDOWN.pattern
    + r"""
    | [\[\]<]                             # links between notes
    | [$]                                 # mathematics
    | \#(?=\S)                            # tags
    | %(?=[%>]) | (?<=[%<])%              # comments, and the commands of a common template plug-in
    | =(?==) | (?<==)=                    # highlights
    | \^(?=[\w-]+\Z)                      # the name of a block
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BLOCK_START = re.compile(r"(?P<mark>[#>=~|]|[+-](?=[\s+-]|\Z))|(?P<number>\d{1,9})(?P<dot>[.)](?=\s|\Z))")


# --- one line of plain text ---


def strip_controls(text: str, *, keep_unassigned: bool = True) -> str:
    """Return ``text`` with control characters and line breaks as spaces, and without hidden characters.

    Hidden characters are format characters (such as bidirectional overrides), surrogates and private use.

    Args:
        text: any text.
        keep_unassigned: whether code points that Unicode has not assigned are kept.
    """
    if text.isascii() and text.isprintable():
        return text
    hidden = _HIDDEN_CATEGORIES if keep_unassigned else _HIDDEN_CATEGORIES | _UNASSIGNED

    def replace(char: str) -> str:
        category = unicodedata.category(char)
        return " " if category in _LINE_BREAKING_CATEGORIES else "" if category in hidden else char

    return "".join(map(replace, text))


def join_lines(text: str) -> str:
    """Return ``text`` with each run of control characters and line breaks as one space."""
    return _LINE_BREAKS.sub(" ", text)


def has_unsafe_characters(text: str) -> bool:
    """Return whether ``text`` holds a control, format or private-use character or a line break."""
    return any(unicodedata.category(c) in UNSAFE_CATEGORIES for c in text)


def limit_combining_marks(text: str, limit: int = 4) -> str:
    """Return ``text`` with at most ``limit`` (3 or 4) combining marks in a row.

    No script stacks more of them on one letter; more marks would cover the adjacent lines.
    """
    return _STACKED_MARKS[limit].sub(r"\1", text)


def replace_surrogates(text: str) -> str:
    """Replace each lone surrogate, which UTF-8 cannot encode, by U+FFFD. Offsets stay valid."""
    return _LONE_SURROGATE.sub("\ufffd", text)


# --- display ---


def safe_terminal(text: str, *, newlines: bool = False) -> str:
    r"""Escape everything in ``text`` that a terminal could execute, or that hides or reorders text.

    With ``newlines``, line ends are kept; otherwise the result is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _VARIATION_SELECTORS.sub(lambda m: f"\\U{ord(m[0]):08x}", text)
    text = limit_combining_marks(text).replace("\r\n", "\n")
    if newlines:
        return "\n".join(visible(line) for line in text.split("\n"))
    return visible(" ".join(text.replace("\t", " ").split("\n")))


def safe_markdown(text: str, *, own: Collection[str] = ()) -> str:
    """Return ``text`` on one line as Markdown that renders as exactly these characters.

    It cannot contain images, HTML, code, blocks, or links that hide their address. Web addresses are not
    escaped, so that they can be copied.

    Args:
        text: the untrusted text.
        own: paths from the settings, which are not escaped between white space or quotes.
    """
    text = safe_terminal(text).strip()
    if own:
        # Not if other text is joined to it: that would make another address.
        names = "|".join(re.escape(name) for name in sorted(own, key=len, reverse=True))
        parts = re.split(rf"(?<![^\s(\"'])({names})(?=[.,:;)\"']*(?:\s|\Z))", text)
    else:
        parts = [text]
    return _escape_block_start(
        "".join(part if n % 2 else _escape_marks(part, _MARKDOWN) for n, part in enumerate(parts))
    )


def safe_note(text: str) -> str:
    """Return ``text`` like `safe_markdown`, with Obsidian's own marks escaped as well."""
    return _escape_block_start(_escape_marks(safe_terminal(text).strip(), _NOTE))


def _escape_marks(text: str, marks: re.Pattern[str]) -> str:
    return marks.sub(lambda m: m[0] if m["address"] else "\\" + m[0], text)


def _escape_block_start(text: str) -> str:
    """Return ``text`` so that no heading, list, table, quote or fence begins with it."""
    block = _BLOCK_START.match(text)
    if block is None:
        return text
    if block["mark"]:
        return "\\" + text
    return f"{block['number']}\\{text[len(block['number']) :]}"


def safe_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return ``value`` as indented JSON without any character that a terminal could execute."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2, allow_nan=False)
    if text.isascii():
        return text
    text = _VARIATION_SELECTORS.sub(lambda m: json_escape(m[0]), text)
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in UNSAFE_CATEGORIES else json_escape(c) for c in text
    )


def json_escape(char: str) -> str:
    """Return a character as JSON escapes it in a string."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def safe_url(url: str | None) -> str | None:
    """Return ``url`` if it is a plain http(s) address, else None."""
    if not url or not re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc else None


# --- the library ---

_CONTROL_CLASS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Marks, embeddings, overrides and isolates of UAX #9.
_BIDI_CLASS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Zero-width and blank-looking letters, fillers, interlinear and musical format characters,
# variation selectors beyond the sixteen of emoji, and the whole tag block ("ASCII smuggling").
_INVISIBLE_CLASS = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SURROGATE_CLASS = "\ud800-\udfff"
_OTHER_SPACE_CLASS = r"\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_CONTROL_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_REMOVED = (
    (re.compile(f"[{_SURROGATE_CLASS}]+"), SURROGATE),
    (re.compile(f"[{_CONTROL_CLASS}]+"), CONTROL),
    (re.compile(f"[{_BIDI_CLASS}]+"), BIDI),
    # Two or more variation selectors in a row select no glyph: they carry hidden data.
    (re.compile(f"[{_INVISIBLE_CLASS}]+|[\ufe00-\ufe0f]{{2,}}"), INVISIBLE),
)
_LOST_CHARACTER = re.compile(f"[{_SURROGATE_CLASS}{_CONTROL_CLASS}]")
_REMOVED_BETWEEN_DIGITS = re.compile(
    f"(?<=\\d)[{_SURROGATE_CLASS}{_CONTROL_CLASS}{_BIDI_CLASS}{_INVISIBLE_CLASS}]++(?=\\d)"
)
_SPACE = re.compile(r"\s+")
_NEEDS_CLEANING = re.compile(
    f"[{_OTHER_SPACE_CLASS}{_BIDI_CLASS}{_INVISIBLE_CLASS}{_SURROGATE_CLASS}]|[\ufe00-\ufe0f]{{2}}|  "
)


def clean_text(text: str, flags: set[str] | None = None) -> str:
    """Return ``text`` in NFC on one line, without control, bidirectional or invisible characters.

    Visible characters stay, as do LaTeX and ``a < b``. Runs of white space become one space. Cleaning is
    idempotent.

    Args:
        text: the text of a feed.
        flags: receives a flag for each kind of character that was removed.
    """
    if text.isascii():
        # The fast path, for nearly every abstract: three scans in C.
        if text.isprintable() and "  " not in text:
            return text.strip(" ")
    elif _NEEDS_CLEANING.search(text) is None and unicodedata.is_normalized("NFC", text):
        return text.strip(" ")
    return _remove_unsafe(text, flags if flags is not None else set())


def _remove_unsafe(text: str, flags: set[str]) -> str:
    if _CONTROL_SPACE.search(text):
        flags.add(CONTROL)
    text = _REMOVED_BETWEEN_DIGITS.sub(_keep_numbers_apart, text)
    for pattern, flag in _REMOVED:
        text, count = pattern.subn("", text)
        if count:
            flags.add(flag)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


def _keep_numbers_apart(run: re.Match[str]) -> str:
    r"""Return a space before characters that stand for a lost one: ``5\x0e7`` is not 57."""
    return f" {run[0]}" if _LOST_CHARACTER.search(run[0]) else run[0]


def clean_and_truncate(text: str, limit: int, flags: set[str]) -> str:
    """Return ``text`` cleaned and truncated to ``limit`` characters, which adds the flag ``truncated``.

    A text far over the limit is truncated before it is cleaned, so that its size costs nothing.
    """
    if len(text) > 8 * limit:
        text = text[: 8 * limit]
        flags.add(TRUNCATED)
    text = clean_text(text, flags)
    if len(text) <= limit:
        return text
    flags.add(TRUNCATED)
    return text[:limit].rstrip(" ")
