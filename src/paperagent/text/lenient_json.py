r"""Parse JSON as models write it, while it is still arriving.

Strict JSON gives the same values as the standard library. Also accepted are prose and code fences around a
value, several values, ``<think>`` text, comments, single and typographic quotes, unescaped quotes inside a
string, bare words, missing or doubled commas, missing closing brackets, line breaks inside a string, and lone
backslashes. Nothing is guessed: a string without its closing quote is dropped, and what cannot be parsed is
skipped up to the next ``{`` or ``[``.

Intended differences from strict JSON: keys are in lower case, a number with a fraction stays a string
(``1.10`` is a pointer to a sentence, not 1.1), and an escape that begins a LaTeX command is that command:
``\beta`` is not a backspace before "eta". The time is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import Any

from paperagent.text.latex_symbols import BINARY, SYMBOLS

JsonPath = Sequence[str | int]
"""The keys and indices that lead to a value; empty for an outermost value."""
_Step = Generator[None, None, Any]
"""A generator that yields whenever it needs more text, and returns its result."""

MAX_DEPTH, MAX_VALUES, MAX_ERRORS = 12, 2_000, 500
MAX_PARTS = 1_000
"""Limits of the parser. No reply needs more, and a higher limit would cost time."""
_TAGS = "think|thinking|thought|reasoning"
THOUGHT_START = re.compile(rf"<(?:{_TAGS})>", re.IGNORECASE)
THOUGHT_END = re.compile(rf"</(?:{_TAGS})>", re.IGNORECASE)
"""The tags around reasoning that some models write."""
TAG_LENGTH = len("</reasoning>")
_OPENING = re.compile(rf"[{{\[]|{THOUGHT_START.pattern}", re.IGNORECASE)
_CLOSING = {'"': '"', "'": "'", "“": "”"}
_STOP = {quote: re.compile(rf"[{quote}\\]") for quote in _CLOSING.values()}
_BLANK = re.compile(r"[\s\ufeff]*")
_WORD = re.compile(r"[\w.+–-]{1,80}")
_INTEGER = re.compile(r"-?\d{1,15}")
_ITEM = re.compile(r"""["'“{\[\]}\d-]|(?i:true|false|null|none)\b|,""")
_KEY = re.compile(r"""["'“][^"'“”\\{}\[\],:\n]{0,60}["'”]\s{0,20}:|[}\]{]""")
_BARE_KEY = re.compile(r"[\w$-]{1,60}\s{0,20}:")
_BEFORE_KEY = re.compile(r"[{,]\s{0,8}\Z")
_LOOKAHEAD = 90
"""More characters than `_KEY` can match."""
_MAX_COMMENT_LENGTH = 1_000
_LITERALS = {"true": True, "false": False, "null": None, "none": None, "nan": None}
_INCOMPLETE = object()
"""Marks a value that is cut off by the end of the text."""


def strip_reasoning(text: str) -> str:
    """Return ``text`` without the reasoning that some models write around their answer."""
    answer = THOUGHT_END.split(text)[-1]
    return THOUGHT_START.split(answer)[0].strip()


class _InvalidJsonError(Exception):
    """The text is not JSON, not even approximately."""


class LenientJsonParser:
    """Parses the objects and lists in a text that is still growing.

    Args:
        on_value: called with the path and the value of each value that is complete, members before the
            object or list that holds them.

    Attributes:
        text: The text so far.
        values: The outermost values so far.
    """

    def __init__(self, on_value: Callable[[JsonPath, Any], None] | None = None) -> None:
        self.text = ""
        self.values: list[Any] = []
        self._on_value = on_value
        self._position = 0
        self._is_closed = False
        self._path: list[str | int] = []
        self._count = 0
        self._errors = 0
        self._steps = self._outermost_values()

    def feed(self, piece: str) -> None:
        """Parse another piece of the text."""
        self.text += piece
        next(self._steps, None)

    def close(self) -> None:
        """Parse the remaining text; open objects and lists end here."""
        self._is_closed = True
        for _ in self._steps:
            pass

    # --- values ---

    def _outermost_values(self) -> _Step:
        while self._errors < MAX_ERRORS and self._count < MAX_VALUES:
            opening = _OPENING.search(self.text, self._position)
            if opening is None:
                self._position = max(
                    self._position, len(self.text) - TAG_LENGTH
                )  # a tag may be split between pieces
                if self._is_closed:
                    return
                yield
                continue
            self._position = opening.start()
            if len(opening[0]) > 1:
                yield from self._skip_reasoning()
                continue
            try:
                value = yield from self._value(0, "item")
            except _InvalidJsonError:
                self._errors += 1
                self._position = max(self._position, opening.end())
                self._path.clear()
            else:
                self.values.append(value)
                self._report(value)

    def _skip_reasoning(self) -> _Step:
        while (end := THOUGHT_END.search(self.text, self._position)) is None and not self._is_closed:
            self._position = max(self._position, len(self.text) - TAG_LENGTH)
            yield
        self._position = end.end() if end else len(self.text)

    def _report(self, value: Any) -> None:
        if self._on_value:
            self._on_value(self._path, value)

    def _value(self, depth: int, context: str) -> _Step:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise _InvalidJsonError
        char = yield from self._peek()
        if char in ("{", "["):
            return (yield from (self._object(depth) if char == "{" else self._list(depth)))
        return (yield from (self._string(context) if char in _CLOSING else self._word()))

    def _list(self, depth: int) -> _Step:
        self._position += 1
        items: list[Any] = []
        while (char := (yield from self._peek())) not in ("]", "}", ""):  # }: the ] is missing
            if char == ",":
                self._position += 1
                continue
            start = self._position
            self._path.append(len(items))
            value = yield from self._value(depth + 1, "item")
            if isinstance(value, str) and (yield from self._peek()) == ":":
                self._path.pop()
                if not depth:
                    raise _InvalidJsonError
                self._position = start  # it is a key: the ] is missing
                return items
            if value is not _INCOMPLETE:
                items.append(value)
                self._report(value)
            self._path.pop()
        self._position += char == "]"
        return items

    def _object(self, depth: int) -> _Step:
        self._position += 1
        members: dict[str, Any] = {}
        while (char := (yield from self._peek())) not in ("}", "]", ""):  # ]: the } is missing
            if char == ",":
                self._position += 1
                continue
            if char == "{" and members:  # the } is missing
                return members
            context = "member" if char in _CLOSING else "bare member"
            key = yield from (self._string("key") if char in _CLOSING else self._word())
            if key is _INCOMPLETE:
                break
            if (yield from self._peek()) != ":":
                raise _InvalidJsonError
            self._position += 1
            self._path.append(str(key).strip().lower())
            value = None
            if (yield from self._peek()) not in (",", "}", ""):
                value = yield from self._value(depth + 1, context)
            if value is not _INCOMPLETE:
                members[str(self._path[-1])] = value
                self._report(value)
            self._path.pop()
        self._position += char == "}"
        return members

    def _word(self) -> _Step:
        """Parse a number, a literal or a word without quotes."""
        while True:
            word = _WORD.match(self.text, self._position)
            if word is None or word.end() - word.start() == 80:
                raise _InvalidJsonError
            if word.end() < len(self.text) or self._is_closed:
                break
            yield
        self._position = word.end()
        if self._position == len(self.text):
            return _INCOMPLETE
        if (yield from self._peek()) not in (",", "]", "}", ":", "", *_CLOSING):
            raise _InvalidJsonError
        if _INTEGER.fullmatch(word[0]):
            return int(word[0])
        return _LITERALS.get(word[0].lower(), word[0])

    # --- strings ---

    def _string(self, context: str) -> _Step:
        close = _CLOSING[self.text[self._position]]
        self._position += 1
        parts: list[str] = []
        while True:
            stop = _STOP[close].search(self.text, self._position)
            end = stop.start() if stop else len(self.text)
            parts.append(self.text[self._position : end])
            self._position = end
            if stop is None:
                if self._is_closed:
                    return _INCOMPLETE
                yield
            elif stop[0] == "\\":
                parts.append((yield from self._escape()))
            elif (yield from self._closes(context)):
                self._position += 1
                return _join_surrogates("".join(parts))
            elif len(parts) > MAX_PARTS or (yield from self._lacks_closing_quote()):
                raise _InvalidJsonError
            else:
                parts.append(close)
                self._position += 1

    def _closes(self, context: str) -> _Step:
        """Return whether this quote ends its string, judged by what follows; it may be an unescaped quote."""
        start = self._position + 1
        position = yield from self._skip(start)
        char = self.text[position : position + 1]
        if char in ("", "]", "}"):
            return True
        if char == ":":
            return context in ("key", "item")
        if context == "key":
            return False
        if char != ",":  # a missing comma?
            broken = context != "item" or "\n" in self.text[start:position]
            return (
                char in ('"', "'", "{", "[")
                and broken
                and (yield from self._starts_element(position, context))
            )
        return (yield from self._starts_element((yield from self._skip(position + 1)), context))

    def _lacks_closing_quote(self) -> _Step:
        """Return whether this quote begins a key, so that the string before it has no closing quote."""
        before = _BEFORE_KEY.search(self.text, max(0, self._position - 10), self._position)
        if before is None or not (yield from self._starts_element(self._position, "member")):
            return False
        self._position = before.start()
        return True

    def _starts_element(self, position: int, context: str) -> _Step:
        """Return whether an item or a member begins at ``position``, or the text ends there."""
        while True:
            if _ITEM.match(self.text, position) if context == "item" else _KEY.match(self.text, position):
                return True
            if context == "bare member" and _BARE_KEY.match(self.text, position):
                return True
            if len(self.text) - position >= _LOOKAHEAD or self._is_closed:
                return position == len(self.text)
            yield

    def _escape(self) -> _Step:
        while len(self.text) - self._position < _MAX_COMMAND_LENGTH and not self._is_closed:
            yield
        following = self.text[self._position + 1 : self._position + _MAX_COMMAND_LENGTH]
        char = following[:1]
        code = _CODE.match(following)
        if code:
            self._position += 6
            return chr(int(code[1], 16))
        if char in _ESCAPES and not _is_command(following):
            self._position += 2
            return _ESCAPES[char]
        self._position += 1
        return "\\"

    # --- white space and comments ---

    def _peek(self) -> _Step:
        """Return the next character outside of white space and comments; "" at the end."""
        self._position = yield from self._skip(self._position)
        return self.text[self._position : self._position + 1]

    def _skip(self, position: int) -> _Step:
        """Return the next position, from ``position`` on, outside of white space and comments."""
        while True:
            blank = _BLANK.match(self.text, position)
            position = blank.end() if blank else position
            if position < len(self.text):
                end = (yield from self._comment(position)) if self.text[position] == "/" else position
                if end == position:
                    return position
                position = end
            elif self._is_closed:
                return position
            else:
                yield

    def _comment(self, position: int) -> _Step:
        """Return the end of the comment at ``position``, or ``position`` itself if there is none."""
        while True:
            mark = {"//": "\n", "/*": "*/"}.get(self.text[position : position + 2])
            end = self.text.find(mark, position + 2, position + _MAX_COMMENT_LENGTH) if mark else -1
            if mark and end >= 0:
                return end + len(mark)
            longer = len(self.text) - position
            if self._is_closed or longer > _MAX_COMMENT_LENGTH or (longer > 1 and mark is None):
                return position
            yield


_CODE = re.compile(r"u([0-9a-fA-F]{4})")
_ESCAPES = dict(zip("\"'\\/bfnrt", "\"'\\/\b\f\n\r\t", strict=True))
_LETTERS = re.compile(r"[A-Za-z]+")
_ABBREVIATION = re.compile(r"[A-Za-z]{1,2}\.[A-Za-z]")
_COMMANDS = frozenset(
    """ne near neg neq newline nolimits nonumber not nu num nicefrac tan tanh tau tbinom tfrac tilde times
    to top""".split()
) | {name for name in (*BINARY, *SYMBOLS) if name[0] in "nt" and len(name) > 3}
_MAX_COMMAND_LENGTH = 24


def _is_command(following: str) -> bool:
    r"""Return whether a backslash before ``following`` begins a LaTeX command rather than an escape.

    No text has a backspace, form feed or carriage return before a letter. A line feed or tab before a
    letter may be intended, so the word must be a command: ``\nu`` is one, ``\nunder`` and ``\ne.g.`` are not.
    """
    letters = _LETTERS.match(following)
    if letters is None or len(letters[0]) == 1:
        return False
    word = letters[0]
    if word[0] in "bfr" or word.startswith(("text", "theta", "times")):
        return True
    return word in _COMMANDS and not _ABBREVIATION.match(following)


def _join_surrogates(text: str) -> str:
    """Return ``text`` with surrogate pairs joined that were escaped one by one."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def parse_all(text: str) -> list[Any]:
    """Return the outermost objects and lists in ``text``, in order."""
    reader = LenientJsonParser()
    reader.feed(text)
    reader.close()
    return reader.values
