"""Keys taken out of what a service says: some echo them, and what they say is shown and kept."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_INSTEAD = "…"
_SHORTEST = 6
"""Characters: a shorter key would be found in words that are none."""


class Redactor:
    """Replaces keys, as they are and in the forms that addresses, headers and JSON give them."""

    def __init__(self, keys: Iterable[str]) -> None:
        found = {form for key in keys if len(key) >= _SHORTEST for form in _forms(key)}
        self._forms = sorted(found, key=len, reverse=True)  # a form within another goes last

    def text(self, text: str) -> str:
        """Return ``text`` without the keys."""
        for form in self._forms:
            text = text.replace(form, _INSTEAD)
        return text

    def data(self, data: bytes) -> bytes:
        """Return ``data`` without the keys."""
        for form in self._forms:
            data = data.replace(form.encode(), _INSTEAD.encode())
        return data


def _forms(key: str) -> set[str]:
    packed = {pack(key.encode()).decode() for pack in (b64encode, urlsafe_b64encode)}
    return {
        key,
        quote(key, safe=""),
        quote_plus(key),
        json.dumps(key)[1:-1],
        *packed,
        *(form.rstrip("=") for form in packed),
    }
