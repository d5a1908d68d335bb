r"""Make text from strangers harmless at the place where it is printed.

Titles, abstracts, names and answers may hold terminal escapes, bidirectional overrides,
invisible characters, Markdown or HTML. Each sink has one function: `safe_terminal`,
`safe_markdown` (`safe_note` in a folder of notes), `safe_json` and, for the only links ever made,
`safe_url`. Nothing is dropped silently: what is not printable is shown as ``\x1b`` or ``\u202e``.

Text from strangers made safe to keep: NFC, one line, nothing that is unseen or acts on a terminal.

What the text says stays: LaTeX, ``a < b`` and every visible character. What was taken out is
named in ``noticed``, so that a reader of the library can see that a paper came with it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from paperagent.errors import visible

# Variation selectors 17-256 select rare ideographs, but 240 invisible values also carry hidden text.
_HIDDEN = re.compile("[\U000e0100-\U000e01ef]")
# More than a script ever stacks on one letter: beyond it, marks climb over the neighbouring lines.
_MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED = re.compile(f"({_MARK}{{4}}){_MARK}+")
_UNSAFE_IN_JSON = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_MARKDOWN = re.compile(
    r"""
      [`*\[\]<]                           # code, emphasis, links and images, HTML
    | \\(?=[!-/:-@\[-`{-~]|\Z)            # a backslash that would escape something
    | (?<!\w)_ | _(?!\w)                  # emphasis, which never begins or ends inside a word
    | ~(?=~)                              # strikethrough
    | &(?=\#?\w+;)                        # entities
    | (?<=[A-Za-z]):(?=//)                # bare addresses become links in GitHub's Markdown
    | (?<=www)\.                          # likewise
    | @(?=\w)                             # and so do mail addresses and mentions
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOTE = re.compile(
    _MARKDOWN.pattern
    + r"""
    | [$]                                 # mathematics
    | \#(?=\S)                            # tags
    | %(?=[%>]) | (?<=[%<])%              # comments, and the commands of a common template plug-in
    | =(?==) | (?<==)=                    # highlights
    | \^(?=[\w-]+\Z)                      # the name of a block
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLOCK = re.compile(r"(?P<mark>[#>=~|]|[+-](?=[\s+-]|\Z))|(?P<number>\d{1,9})(?P<dot>[.)](?=\s|\Z))")


def safe_terminal(text: str, *, newlines: bool = False) -> str:
    r"""Return ``text`` with everything a terminal could obey, or that hides or reorders, made visible.

    With ``newlines``, line ends stay; otherwise the result is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _STACKED.sub(r"\1", _HIDDEN.sub(lambda m: f"\\U{ord(m[0]):08x}", text))
    if newlines:
        return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))
    return visible(" ".join(text.replace("\r\n", "\n").replace("\t", " ").split("\n")))


def safe_markdown(text: str, *, own: Collection[str] = ()) -> str:
    """Return ``text`` on one line as Markdown that renders as exactly these characters.

    No link, image, HTML, code or block can begin in it. ``own`` are addresses and paths of the settings,
    which stay as they are where they stand alone.
    """
    text = safe_terminal(text).strip()
    if own:
        # With nothing of a stranger joined to it: more would be another address.
        known = "|".join(re.escape(name) for name in sorted(own, key=len, reverse=True))
        parts = re.split(rf"(?<![^\s(\"'])({known})(?=[.,:;)\"']*(?:\s|\Z))", text)
    else:
        parts = [text]
    return _begun("".join(part if n % 2 else _escaped(part, _MARKDOWN) for n, part in enumerate(parts)))


def safe_note(text: str) -> str:
    """Return ``text`` as `safe_markdown` does, without the marks that are Obsidian's alone either."""
    return _begun(_escaped(safe_terminal(text).strip(), _NOTE))


def _escaped(text: str, marks: re.Pattern[str]) -> str:
    return marks.sub(lambda m: "\\" + m[0], text)


def _begun(text: str) -> str:
    """Return ``text`` so that no heading, list, table, quote or fence begins with it."""
    block = _BLOCK.match(text)
    if block is None:
        return text
    if block["mark"]:
        return "\\" + text
    return f"{block['number']}\\{text[len(block['number']) :]}"


def safe_json(value: Any) -> str:
    """Return ``value`` as indented JSON, readable and with no character that a terminal could obey."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    if text.isascii():
        return text
    text = _HIDDEN.sub(lambda m: _unicode(m[0]), text)
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in _UNSAFE_IN_JSON else _unicode(c) for c in text
    )


def safe_url(url: str | None) -> str | None:
    """Return ``url`` where it is a plain http(s) address, else None."""
    if not url or not re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc else None


def replace_surrogates(text: str) -> str:
    """Replace each lone surrogate, which UTF-8 cannot encode, by U+FFFD. Offsets stay valid."""
    return _SURROGATE.sub("\ufffd", text)


def _unicode(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


CONTROL = "control-characters"
BIDI = "bidi"
INVISIBLE = "invisible-characters"
SURROGATE = "lone-surrogates"
TRUNCATED = "truncated"

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
_NOT_SPACE = r"\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_CONTROL = re.compile(f"[{_CONTROL_CLASS}]+")
_CONTROL_BREAK = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_BIDI = re.compile(f"[{_BIDI_CLASS}]+")
# Two or more variation selectors in a row choose no glyph: they carry hidden data.
_INVISIBLE = re.compile(f"[{_INVISIBLE_CLASS}]+|[\ufe00-\ufe0f]{{2,}}")
_SURROGATE = re.compile(f"[{_SURROGATE_CLASS}]+")
_SPACE = re.compile(r"\s+")
_ODD = re.compile(f"[{_NOT_SPACE}{_BIDI_CLASS}{_INVISIBLE_CLASS}{_SURROGATE_CLASS}]|[\ufe00-\ufe0f]{{2}}|  ")


def clean_text(text: str, noticed: set[str] | None = None) -> str:
    """Return ``text`` in NFC on one line, without control, bidi or invisible characters.

    Runs of white space become one space. What was removed is added to ``noticed``.
    Cleaning what was cleaned changes nothing.
    """
    if text.isascii():
        # Nearly every abstract takes this way: three scans in C.
        if text.isprintable() and "  " not in text:
            return text.strip(" ")
    elif _ODD.search(text) is None and unicodedata.is_normalized("NFC", text):
        return text.strip(" ")
    return _cleaned(text, noticed if noticed is not None else set())


def _cleaned(text: str, noticed: set[str]) -> str:
    if _CONTROL_BREAK.search(text):
        noticed.add(CONTROL)
    for pattern, flag in (
        (_SURROGATE, SURROGATE),
        (_CONTROL, CONTROL),
        (_BIDI, BIDI),
        (_INVISIBLE, INVISIBLE),
    ):
        text, count = pattern.subn("", text)
        if count:
            noticed.add(flag)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


def clean_and_truncate(text: str, limit: int, noticed: set[str]) -> str:
    """Return ``text`` cleaned and cut to ``limit`` characters, with the flag ``truncated`` where cut.

    A text far over the limit is cut before it is cleaned, so that its size costs nothing.
    """
    if len(text) > 8 * limit:
        text = text[: 8 * limit]
        noticed.add(TRUNCATED)
    text = clean_text(text, noticed)
    if len(text) <= limit:
        return text
    noticed.add(TRUNCATED)
    return text[:limit].rstrip(" ")
