r"""Read JSON as models write it, while it arrives.

Strict JSON is read as the standard library reads it. Forgiven are prose and code fences around a
value, several values, ``<think>`` text, comments, single and typographic quotes, quotes left
unescaped inside a text, bare words, missing or doubled commas, missing closing brackets, line
breaks inside a text, and lone backslashes. Nothing is guessed: a text without its closing quote is
dropped, and what cannot be read is skipped up to the next ``{`` or ``[``.

Differences that callers want: keys come in lower case, a number with a fraction stays text (``1.10``
is a pointer, not 1.1), and an escape that begins a LaTeX command is that command: ``\beta`` is not a
backspace before "eta". The time is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import Any

JsonPath = Sequence[str | int]
"""The keys and indices that lead to a value; empty for a value that stands alone."""
_Step = Generator[None, None, Any]
"""Waits (yields) where more text is needed, then returns its result."""

MAX_DEPTH, MAX_VALUES, MAX_FAULTS = 12, 2_000, 500
MAX_PARTS = 1_000
"""What lies beyond is not read: no reply needs it, and it would cost time."""
_TAGS = "think|thinking|thought|reasoning"
THOUGHT_START = re.compile(rf"<(?:{_TAGS})>", re.IGNORECASE)
THOUGHT_END = re.compile(rf"</(?:{_TAGS})>", re.IGNORECASE)
"""The tags around the reasoning that some models write."""
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
_LONGEST_COMMENT = 1_000
_LITERALS = {"true": True, "false": False, "null": None, "none": None, "nan": None}
_CUT = object()
"""Stands for a value that the text ends in."""


def strip_reasoning(text: str) -> str:
    """Return ``text`` without the reasoning that some models write around their answer."""
    answer = THOUGHT_END.split(text)[-1]
    return THOUGHT_START.split(answer)[0].strip()


class _InvalidJsonError(Exception):
    """The text is no JSON, not even nearly."""


class LenientJsonParser:
    """Reads the objects and lists in a text that is still growing.

    ``on_value(path, value)`` is called for each value as soon as it is complete, members before
    what holds them. ``values`` are the outermost values so far.
    """

    def __init__(self, on_value: Callable[[JsonPath, Any], None] | None = None) -> None:
        self.text = ""
        self.values: list[Any] = []
        self._on_value = on_value
        self._at = 0
        self._whole = False
        self._path: list[str | int] = []
        self._count = 0
        self._faults = 0
        self._steps = self._documents()

    def feed(self, piece: str) -> None:
        """Read on."""
        self.text += piece
        next(self._steps, None)

    def close(self) -> None:
        """Read what is left; objects and lists that are open end here."""
        self._whole = True
        for _ in self._steps:
            pass

    # --- values ---

    def _documents(self) -> _Step:
        while self._faults < MAX_FAULTS and self._count < MAX_VALUES:
            opening = _OPENING.search(self.text, self._at)
            if opening is None:
                self._at = max(self._at, len(self.text) - TAG_LENGTH)  # a tag may be cut in two
                if self._whole:
                    return
                yield
                continue
            self._at = opening.start()
            if len(opening[0]) > 1:
                yield from self._thought()
                continue
            try:
                value = yield from self._value(0, "item")
            except _InvalidJsonError:
                self._faults += 1
                self._at = max(self._at, opening.end())
                self._path.clear()
            else:
                self.values.append(value)
                self._report(value)

    def _thought(self) -> _Step:
        while (end := THOUGHT_END.search(self.text, self._at)) is None and not self._whole:
            self._at = max(self._at, len(self.text) - TAG_LENGTH)
            yield
        self._at = end.end() if end else len(self.text)

    def _report(self, value: Any) -> None:
        if self._on_value:
            self._on_value(self._path, value)

    def _value(self, depth: int, place: str) -> _Step:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise _InvalidJsonError
        char = yield from self._peek()
        if char in ("{", "["):
            return (yield from (self._object(depth) if char == "{" else self._list(depth)))
        return (yield from (self._string(place) if char in _CLOSING else self._word()))

    def _list(self, depth: int) -> _Step:
        self._at += 1
        items: list[Any] = []
        while (char := (yield from self._peek())) not in ("]", "}", ""):  # }: the ] is missing
            if char == ",":
                self._at += 1
                continue
            start = self._at
            self._path.append(len(items))
            value = yield from self._value(depth + 1, "item")
            if isinstance(value, str) and (yield from self._peek()) == ":":
                self._path.pop()
                if not depth:
                    raise _InvalidJsonError
                self._at = start  # a key: the ] is missing
                return items
            if value is not _CUT:
                items.append(value)
                self._report(value)
            self._path.pop()
        self._at += char == "]"
        return items

    def _object(self, depth: int) -> _Step:
        self._at += 1
        members: dict[str, Any] = {}
        while (char := (yield from self._peek())) not in ("}", "]", ""):  # ]: the } is missing
            if char == ",":
                self._at += 1
                continue
            if char == "{" and members:  # the } is missing
                return members
            place = "member" if char in _CLOSING else "bare member"
            key = yield from (self._string("key") if char in _CLOSING else self._word())
            if key is _CUT:
                break
            if (yield from self._peek()) != ":":
                raise _InvalidJsonError
            self._at += 1
            self._path.append(str(key).strip().lower())
            value = None
            if (yield from self._peek()) not in (",", "}", ""):
                value = yield from self._value(depth + 1, place)
            if value is not _CUT:
                members[str(self._path[-1])] = value
                self._report(value)
            self._path.pop()
        self._at += char == "}"
        return members

    def _word(self) -> _Step:
        """Read a number, a literal or a word without quotes."""
        while True:
            word = _WORD.match(self.text, self._at)
            if word is None or word.end() - word.start() == 80:
                raise _InvalidJsonError
            if word.end() < len(self.text) or self._whole:
                break
            yield
        self._at = word.end()
        if self._at == len(self.text):
            return _CUT
        if (yield from self._peek()) not in (",", "]", "}", ":", "", *_CLOSING):
            raise _InvalidJsonError
        if _INTEGER.fullmatch(word[0]):
            return int(word[0])
        return _LITERALS.get(word[0].lower(), word[0])

    # --- texts ---

    def _string(self, place: str) -> _Step:
        close = _CLOSING[self.text[self._at]]
        self._at += 1
        parts: list[str] = []
        while True:
            stop = _STOP[close].search(self.text, self._at)
            end = stop.start() if stop else len(self.text)
            parts.append(self.text[self._at : end])
            self._at = end
            if stop is None:
                if self._whole:
                    return _CUT
                yield
            elif stop[0] == "\\":
                parts.append((yield from self._escape()))
            elif (yield from self._closes(place)):
                self._at += 1
                return _paired("".join(parts))
            elif len(parts) > MAX_PARTS or (yield from self._lacks_its_end()):
                raise _InvalidJsonError
            else:
                parts.append(close)
                self._at += 1

    def _closes(self, place: str) -> _Step:
        """Tell whether the quote here ends its text, by what follows: inside a text it may be unescaped."""
        start = self._at + 1
        at = yield from self._skip(start)
        char = self.text[at : at + 1]
        if char in ("", "]", "}"):
            return True
        if char == ":":
            return place in ("key", "item")
        if place == "key":
            return False
        if char != ",":  # is there a comma missing?
            broken = place != "item" or "\n" in self.text[start:at]
            return char in ('"', "'", "{", "[") and broken and (yield from self._begins(at, place))
        return (yield from self._begins((yield from self._skip(at + 1)), place))

    def _lacks_its_end(self) -> _Step:
        """Tell whether the quote here begins a key, so that the text before it has no closing quote."""
        before = _BEFORE_KEY.search(self.text, max(0, self._at - 10), self._at)
        if before is None or not (yield from self._begins(self._at, "member")):
            return False
        self._at = before.start()
        return True

    def _begins(self, at: int, place: str) -> _Step:
        """Tell whether an item or a member begins at ``at``, or the end of the text is there."""
        while True:
            if _ITEM.match(self.text, at) if place == "item" else _KEY.match(self.text, at):
                return True
            if place == "bare member" and _BARE_KEY.match(self.text, at):
                return True
            if len(self.text) - at >= _LOOKAHEAD or self._whole:
                return at == len(self.text)
            yield

    def _escape(self) -> _Step:
        while len(self.text) - self._at < _LONGEST_COMMAND and not self._whole:
            yield
        rest = self.text[self._at + 1 : self._at + _LONGEST_COMMAND]
        char = rest[:1]
        code = _CODE.match(rest)
        if code:
            self._at += 6
            return chr(int(code[1], 16))
        if char in _ESCAPES and not _is_command(rest):
            self._at += 2
            return _ESCAPES[char]
        self._at += 1
        return "\\"

    # --- space ---

    def _peek(self) -> _Step:
        """Return the next character that is neither space nor comment; empty at the end."""
        self._at = yield from self._skip(self._at)
        return self.text[self._at : self._at + 1]

    def _skip(self, at: int) -> _Step:
        """Return the place of the next character from ``at`` on that is neither space nor comment."""
        while True:
            blank = _BLANK.match(self.text, at)
            at = blank.end() if blank else at
            if at < len(self.text):
                end = (yield from self._comment(at)) if self.text[at] == "/" else at
                if end == at:
                    return at
                at = end
            elif self._whole:
                return at
            else:
                yield

    def _comment(self, at: int) -> _Step:
        """Return the end of the comment at ``at``; ``at`` itself where there is none."""
        while True:
            mark = {"//": "\n", "/*": "*/"}.get(self.text[at : at + 2])
            end = self.text.find(mark, at + 2, at + _LONGEST_COMMENT) if mark else -1
            if mark and end >= 0:
                return end + len(mark)
            longer = len(self.text) - at
            if self._whole or longer > _LONGEST_COMMENT or (longer > 1 and mark is None):
                return at
            yield


_CODE = re.compile(r"u([0-9a-fA-F]{4})")
_ESCAPES = dict(zip("\"'\\/bfnrt", "\"'\\/\b\f\n\r\t", strict=True))
_LETTERS = re.compile(r"[A-Za-z]+")
_COMMANDS = frozenset(
    """nabla ne near nearrow neg neq newline nexists ngeq ngtr nleq nless nmid nolimits nonumber not notin
    nparallel nprec nrightarrow nsim nsubseteq nsucc nu nvdash nwarrow
    tan tanh tau tbinom tfrac therefore tilde times to top triangle triangledown triangleleft triangleq
    triangleright twoheadrightarrow""".split()
)
_LONGEST_COMMAND = 24


def _is_command(rest: str) -> bool:
    r"""Tell whether a backslash before ``rest`` begins a LaTeX command rather than an escape.

    No text has a backspace, form feed or carriage return before a letter. A line feed or tab before a
    letter may be meant, so the word must be a command: ``\nu`` is one, ``\nunder`` and ``\ne.g.`` are not.
    """
    letters = _LETTERS.match(rest)
    if letters is None or len(letters[0]) == 1:
        return False
    word = letters[0]
    if word[0] in "bfr" or word.startswith(("text", "theta", "times")):
        return True
    return word in _COMMANDS and not (len(word) < 3 and rest[len(word) :].startswith("."))


def _paired(text: str) -> str:
    """Return ``text`` with the halves of characters joined that were escaped one by one."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def parse_all(text: str) -> list[Any]:
    """Return the objects and lists in ``text``, in order."""
    reader = LenientJsonParser()
    reader.feed(text)
    reader.close()
    return reader.values
