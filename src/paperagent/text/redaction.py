"""Remove API keys and passwords from text: messages of servers, bodies of services, logs.

A server that rejects a key may repeat it, and its message ends up in a terminal, a log or a bug report.
"""

from __future__ import annotations

import codecs
import json
import re
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_PASSWORD_LENGTH = 6
"""A shorter secret is replaced only as a separate word, because it may occur inside words by chance."""
_KEY_LENGTH = 12
"""Minimum length of a key whose parts are masked, too. A shorter secret may be an ordinary word."""
_PART, _SHORT_PART = 6, 4
"""Minimum characters of a part that is always masked, and of one that is masked only if such parts together
cover three quarters of the secret."""
_MAX_MESSAGE = 4_000
"""Maximum characters of a message. The rest is cut off."""
_OPENAI_KEY = re.compile(r"\bsk-[\w*-]{3,}")


class Redactor:
    """Replaces secrets with ``***``.

    Args:
        secrets: Keys and passwords; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(dict.fromkeys(filter(None, secrets)))
        forms = {form for secret in self._secrets for form in _exact_forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)  # a form that contains another one comes first
        short = "|".join(
            rf"(?<!\w){re.escape(form)}(?!\w)" for form in ordered if len(form) < _PASSWORD_LENGTH
        )
        long = "|".join(re.escape(form) for form in ordered if len(form) >= _PASSWORD_LENGTH)
        pattern = "|".join(filter(None, (long, short)))
        self._pattern = re.compile(pattern) if pattern else None
        self._bytes = re.compile(pattern.encode()) if pattern else None
        self._keys = tuple(key for key in map(_Key, self._secrets) if len(key.text) >= _KEY_LENGTH)

    def redact_text(self, text: str) -> str:
        """Replace the secrets, including their encodings for URLs, headers and JSON."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def redact_bytes(self, data: bytes) -> bytes:
        """Replace the secrets in UTF-8 text, as `redact_text` does."""
        return self._bytes.sub(MASK.encode(), data) if self._bytes else data

    def redact_message(self, text: str) -> str:
        """Replace the secrets in a short message, however it repeats them.

        If a secret has at least twelve letters and digits, its parts are replaced as well: in any case,
        reversed, interrupted by spaces or punctuation, or encoded (hexadecimal, decimal, octal, binary,
        base32, base64, percent encoding, ROT13). Everything that looks like an OpenAI key is replaced, too.
        At most 4,000 characters are returned.
        """
        text = self.redact_text(text[:_MAX_MESSAGE])
        for key in self._keys:
            text = key.mask(text)
        return _OPENAI_KEY.sub(MASK, text)


class _Key:
    """A secret without case and punctuation, and its encodings."""

    def __init__(self, secret: str) -> None:
        self.text = _plain(secret)
        self._backward = self.text[::-1]
        scale = max(1, len(self.text))
        lengths = ((form, max(_PART, _PART * len(form) // scale)) for form in _encoded_forms(secret))
        self._parts: dict[int, set[str]] = {}
        for form, length in [(self.text, _PART), (self._backward, _PART), *lengths]:
            self._parts.setdefault(length, set()).update(_substrings(form, length))

    def mask(self, text: str) -> str:
        """Return ``text`` without the parts of the secret."""
        letters = [(char, index) for index, char in enumerate(text) if char.isalnum()]
        plain = "".join(char.lower()[0] for char, _ in letters)
        marked = bytearray(len(plain))
        for length, parts in self._parts.items():
            _mark(plain, length, parts, marked)
        self._mark_short_parts(plain, marked)
        return _replace(text, [index for _, index in letters], marked)

    def _mark_short_parts(self, plain: str, marked: bytearray) -> None:
        for form in (self.text, self._backward):
            parts = _substrings(form, _SHORT_PART)
            present = {part for part in parts if part in plain}
            covered = set[int]()
            for start in range(len(form) - _SHORT_PART + 1):
                if form[start : start + _SHORT_PART] in present:
                    covered.update(range(start, start + _SHORT_PART))
            if 4 * len(covered) >= 3 * len(form):
                _mark(plain, _SHORT_PART, present, marked)


def _mark(plain: str, length: int, parts: set[str], marked: bytearray) -> None:
    """Mark the characters of ``plain`` that belong to one of ``parts``, all of which have this length."""
    for start in range(len(plain) - length + 1):
        if plain[start : start + length] in parts:
            marked[start : start + length] = b"\1" * length


def _replace(text: str, positions: list[int], marked: bytearray) -> str:
    """Replace each run of marked characters, with the punctuation inside it."""
    pieces, end = list[str](), 0
    for run in re.finditer(b"\1+", marked):
        start = positions[run.start()]
        pieces += [text[end:start], MASK]
        end = positions[run.end() - 1] + 1
    return "".join([*pieces, text[end:]])


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _substrings(text: str, length: int) -> set[str]:
    return {text[start : start + length] for start in range(len(text) - length + 1)}


def _pattern(form: str) -> str:
    """Return a pattern for an exact form; a short one must be a separate word."""
    escaped = re.escape(form)
    return escaped if len(form) >= _PASSWORD_LENGTH else rf"(?<!\w){escaped}(?!\w)"


def _exact_forms(secret: str) -> set[str]:
    """Return a secret verbatim and as encoded in URLs, headers and JSON."""
    encoded = {encode(secret.encode()).decode() for encode in (b64encode, urlsafe_b64encode)}
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        *encoded,
        *(form.rstrip("=") for form in encoded),
    }


def _encoded_forms(secret: str) -> Iterator[str]:
    """Yield the encodings of a secret, without case and punctuation, for `_Key.mask`."""
    data = secret.encode()
    for template in ("{:02x}", "x{:02x}", "u{:04x}", "{:d}", "{:o}", "{:03o}", "{:08b}"):
        yield "".join(template.format(byte) for byte in data)
    yield _plain(b32encode(data).decode().rstrip("="))
    for shift in range(3):  # base64 groups three bytes, and the secret may begin inside a group
        yield _plain(b64encode(b" " * shift + data).decode().rstrip("="))[4 if shift else 0 : -1]
    yield _plain(codecs.encode(secret, "rot13"))
