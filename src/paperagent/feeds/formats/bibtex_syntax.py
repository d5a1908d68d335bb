"""Split BibTeX and BibLaTeX files into entries and fields, as leniently as the programs that write them need.

Every ``@type{`` at the beginning of a line is an entry, whatever its type and key. No value extends into the
next of these lines, so that an entry without its end costs only itself, and the time stays linear.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from paperagent.errors import FeedError

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()

# Possessive quantifiers: a long run of white space is matched once, without backtracking.
_TYPE = r"@[ \t]*+([^\W\d_][\w.:+/-]{0,60}+)\s*+"
_WORD = r"[^\W\d][\w.:+/'-]{0,60}+"
_NAME = rf"{_WORD}(?:[ \t]++[\w.:+/'-]{{1,60}}+){{0,3}}+"
"""The name of a field; Web of Science writes ``Early Access Date``."""
_OPEN = r"(?:\{|\((?=[^\s(),=]{0,200}+\s*+[,=]))"
_ENTRY_LINE = re.compile(rf"\n[ \t\ufeff]*+{_TYPE}{_OPEN}")
_SIGNATURE = re.compile(rf"{_ENTRY_LINE.pattern}\s*+[^\n,=]{{0,300}}+[,=]")
_INLINE_ENTRY = re.compile(
    r"(?<![\w.@])@([^\W\d_][\w.:+/-]{0,60}+)\s*+[{(]"
    rf"\s*+(?=[^\s,{{}}=]{{0,200}}+\s*+,[\s,]*+{_WORD}\s*+=)"
)
# BibTeX has no comments between entries, so an entry after "%" is read, unless "%" begins all of its lines.
_ENTRY = re.compile(rf"\n[ \t\ufeff%]*+{_TYPE}{_OPEN}|{_INLINE_ENTRY.pattern}")
_ADJACENT_ENTRY = re.compile(rf"[\s,;)}}\ufeff]*+{_TYPE}{_OPEN}")
"""The next entry on the same line."""
_KEY = re.compile(r"((?:[^,={}\n]|=(?!\s*+[\"{])|\{[^{},\n]{0,300}+\}){0,300}+)(?=[,\n}])")
_FIRST_WORD = re.compile(r"([^\s,{}=]{0,300}+)")
_FIELD = re.compile(rf"({_NAME})\s*+=\s*+")
_ONE_WORD_FIELD = re.compile(rf"{_WORD}\s*+=")
_BLANK = re.compile(r"(?:\s++|%[^\n]*+)*+")
_BETWEEN_FIELDS = re.compile(r"(?:[\s,;]++|%[^\n]*+)*+")
_JUNK = re.compile(r".[^,\n{}\"]*+", re.DOTALL)
_BARE_WORD = r"[^\s,{}()\"#=]++(?!\s*+=)"
_BARE = re.compile(rf"{_BARE_WORD}(?:[ \t]++{_BARE_WORD})*+")
_JOIN = re.compile(r"\s*+#\s*+")
_MARK = re.compile(r"[{}\"]")
_MARK_OR_ESCAPE = re.compile(r"\\.|[{}\"]", re.DOTALL)
_COMMENTS = r"(?:%[^\n]{0,300}+\n\s*+){0,5}+"
_AFTER_VALUE = re.compile(
    rf"\s*+(?:\}}|\)\s*+(?:@|\Z)|\#\s*+[\"{{\w]|{_COMMENTS}{_WORD}\s*+="
    rf"|[,;][\s,;]*+{_COMMENTS}(?:{_NAME}\s*+=|[}})]))"
)
_END_BEFORE_LINE = {
    closing: re.compile(rf"{closing}[ \t]*+,?[ \t]*+\n\s*+{_COMMENTS}{_NAME}\s*+=\s*+[\"{{\w]")
    for closing in ("}", '"')
}
"""The end of a value that a field on the next line follows."""
_FIELD_INSIDE = re.compile(rf"(?:[}}\"]\s*+,|\n)\s*+{_WORD}\s*+=\s*+[\"{{]")
_SEPARATORS_IN_NAMES = str.maketrans("", "", " \t_-")
_NOT_ENTRIES = frozenset({"comment", "preamble"})
_MAX_PREAMBLE_LINES = 20
_MAX_VALUE_LENGTH = 500_000
_MAX_ENTRY_LENGTH = 2 * _MAX_VALUE_LENGTH
_MAX_ENDS = 1_000
"""Maximum number of delimiters that are tried as the end of a value."""
_MAX_EXPANSION = 20_000_000
"""Maximum total characters of all expanded macros in a file."""
_MAX_BROKEN = 2_000_000
"""Maximum total characters that are searched without finding the end of a value."""

Fields = dict[str, str]


class Entry(NamedTuple):
    """An entry of a file."""

    line: int
    """The line where it begins, from 1."""
    key: str
    fields: Fields | None
    """Values by name, in lower case and without blanks, ``-`` and ``_``. None if the entry is broken."""


class _BrokenEntryError(ValueError):
    """An entry whose end cannot be found."""


def looks_like(text: str) -> bool:
    """Return whether ``text`` begins with a BibTeX entry, after comments and the lines that programs add.

    A Markdown page that shows a BibTeX citation as code is not BibTeX.
    """
    text = _with_line_feeds(text)
    first = _SIGNATURE.search(text)
    if first is None:
        return False
    before = [
        line for line in text[: first.start()].splitlines() if line.strip(" \t\ufeff") and line[0] != "%"
    ]
    return len(before) <= _MAX_PREAMBLE_LINES and not any(line.lstrip().startswith("```") for line in before)


def split_entries(text: str, label: str) -> Iterator[Entry]:
    """Yield each entry except comments, preambles and macros; raise FeedError if too much of it is broken."""
    return _Reader(_with_line_feeds(text), label).entries()


def _with_line_feeds(text: str) -> str:
    """Return ``text`` with a line feed before each line and no other ends of lines."""
    return "\n" + text.replace("\r\n", "\n").replace("\r", "\n")


class _Macros:
    """The macros that ``@string`` defines, and the months. Limits their expansion, as macros may nest."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._values = {month: month for month in MONTHS}
        self._budget = _MAX_EXPANSION

    def define(self, values: Fields) -> None:
        self._values |= values

    def expand(self, name: str) -> str:
        """Return the value of a macro. A word that is not a macro, such as ``2018a``, is its own value."""
        value = self._values.get(name.lower().translate(_SEPARATORS_IN_NAMES), name)
        self._budget -= len(value)
        if self._budget < 0:
            raise FeedError(
                f"{self._label}: macros (@string) of over {_MAX_EXPANSION:,} characters in all; shorten them"
            )
        return value


class _Reader:
    """Reads the entries of a text whose lines begin with a line feed."""

    def __init__(self, text: str, label: str) -> None:
        self._text, self._label = text, label
        self._macros = _Macros(label)
        self._starts = [entry.start() for entry in _ENTRY_LINE.finditer(text)]
        self._limit = 0
        """The latest possible end of the current entry: the next line that begins with an entry."""
        self._broken = _MAX_BROKEN

    def entries(self) -> Iterator[Entry]:
        text = self._text
        position = line = counted_to = 0
        while match := _ADJACENT_ENTRY.match(text, position) or _ENTRY.search(text, position):
            group = match.lastindex or 0
            kind, start, position = match[group].lower(), match.start(group), match.end()
            line += text.count("\n", counted_to, start)
            counted_to = start
            if kind in _NOT_ENTRIES:
                continue
            following = bisect_right(self._starts, start)
            self._limit = self._starts[following] if following < len(self._starts) else len(text)
            key, fields = "", None
            try:
                if kind != "string":
                    key, position = self._key(position)
                fields, position = self._fields(position)
            except _BrokenEntryError:
                pass
            if kind == "string" and fields is not None:
                self._macros.define(fields)
            else:
                yield Entry(line, key, fields)

    def _key(self, position: int) -> tuple[str, int]:
        """Return the key, which may be empty or missing or hold anything but a comma, and its end."""
        position = min(_end(_BLANK, self._text, position), self._limit)
        if self._text[position : position + 1] == "," or _ONE_WORD_FIELD.match(self._text, position):
            return "", position
        key = _KEY.match(self._text, position) or _FIRST_WORD.match(self._text, position)
        return (key[1].strip(), key.end()) if key else ("", position)

    def _fields(self, position: int) -> tuple[Fields, int]:
        """Return the fields up to the entry's end and the position of that end.

        If several fields have the same name, the first one that is not empty is used. Text that is not a
        field is skipped. An entry that lacks only its last brace is complete.
        """
        text, fields, size = self._text, Fields(), 0
        while True:
            position = _end(_BETWEEN_FIELDS, text, position)
            if position >= self._limit or _INLINE_ENTRY.match(text, position):
                if not fields:
                    raise _BrokenEntryError
                return fields, min(position, self._limit)
            if field := _FIELD.match(text, position):
                value, position = self._value(field.end())
                size += len(value)
                if size > _MAX_ENTRY_LENGTH:
                    raise _BrokenEntryError
                name = field[1].lower().translate(_SEPARATORS_IN_NAMES)
                if not fields.get(name, "").strip():
                    fields[name] = value
            elif text[position] in "})":
                return fields, position + 1
            else:
                position = self._skip_junk(position)

    def _skip_junk(self, position: int) -> int:
        """Return the position after text that is not a field: text in braces or quotes, or part of a line."""
        if self._text[position] in '{"':
            try:
                return self._delimited(position)[1]
            except _BrokenEntryError:
                return position + 1
        return _end(_JUNK, self._text, position)

    def _value(self, position: int) -> tuple[str, int]:
        """Return a value: texts in braces or quotes, words and macros, joined by ``#``."""
        parts, size = [], 0
        while True:
            if position >= self._limit:
                part = ""
            elif self._text[position] in '{"':
                part, position = self._delimited(position)
            elif bare := _BARE.match(self._text, position):
                part, position = self._macros.expand(bare[0]), bare.end()
            else:
                part = ""
            parts.append(part)
            size += len(part)
            if size > _MAX_VALUE_LENGTH:
                raise _BrokenEntryError
            join = _JOIN.match(self._text, position)
            if join is None:
                return "".join(parts), position
            position = join.end()

    def _delimited(self, position: int) -> tuple[str, int]:
        r"""Return the text between the brace or quote at ``position`` and the matching one.

        A value ends where the next field or the entry's end follows. A backslash before a delimiter means
        nothing at first, as in BibTeX itself (``{C:\papers\}``), and escapes it at the second attempt. At the
        third, the text is not balanced and ends where a field follows on the next line.
        """
        text, start = self._text, position + 1
        limit = min(self._limit, start + _MAX_VALUE_LENGTH)
        closing = '"' if text[position] == '"' else "}"
        first: int | None = None
        for marks in (_MARK, _MARK_OR_ESCAPE):
            for end in _ends(text, (start, limit), closing, marks):
                if _AFTER_VALUE.match(text, end + 1):
                    return text[start:end], end + 1
                first = end if first is None else first
            if text.find("\\", start, limit) < 0:
                break
        self._broken -= limit - start
        if self._broken < 0:
            raise FeedError(f"{self._label}: too many broken entries; repair the file")
        end_of_line = _END_BEFORE_LINE[closing].search(text, start, limit)
        for candidate in (end_of_line.start() if end_of_line else None, first):
            if candidate is not None and not _FIELD_INSIDE.search(text, start, candidate):
                return text[start:candidate], candidate + 1
        raise _BrokenEntryError


def _ends(text: str, span: tuple[int, int], closing: str, marks: re.Pattern[str]) -> Iterator[int]:
    """Yield the positions of the delimiters that may end a value: those outside of inner braces."""
    depth = count = 0
    for mark in marks.finditer(text, *span):
        char = mark[0]
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif char == closing and not depth:
            yield mark.start()
            count += 1
            if count >= _MAX_ENDS:
                return


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Return the position after the match of ``pattern``, or ``position`` if there is none."""
    match = pattern.match(text, position)
    return match.end() if match else position
