"""Secrets in the messages of servers, in bodies and in logs."""

from __future__ import annotations

import base64
import codecs
import json
import random
import string
import time
import urllib.parse
from collections.abc import Callable

import pytest

from paperagent.text.redaction import Redactor

KEYS = [
    "sk-test-SECRET-0123456789",
    "Zq8vR2mKx7Lw4Tn9",
    "top/secret key+123",
    "kéy-with-ünicode-42",
    "".join(random.Random(5).choices(string.ascii_letters + string.digits, k=164)),  # noqa: S311 - a test
]

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "backward": lambda key: key[::-1],
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal, upper case, colons": lambda key: key.encode().hex(":").upper(),
    "percent": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "URL": lambda key: urllib.parse.quote(key, safe=""),
    "form": urllib.parse.quote_plus,
    "escapes": lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
    "JSON": json.dumps,
    "decimal": lambda key: " ".join(map(str, key.encode())),
    "decimal list": lambda key: str(list(key.encode())),
    "octal": lambda key: "".join(f"\\{byte:03o}" for byte in key.encode()),
    "binary": lambda key: " ".join(f"{byte:08b}" for byte in key.encode()),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 of a pair": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "base32": lambda key: base64.b32encode(key.encode()).decode(),
    "ROT13": lambda key: codecs.encode(key, "rot13"),
    "spaced": " ".join,
    "dotted": ".".join,
    "first half": lambda key: key[: len(key) // 2],
    "second half": lambda key: key[len(key) // 2 :],
    "two halves": lambda key: f"begins with '{key[: len(key) // 2]}' and ends in '{key[len(key) // 2 :]}'",
    "parts of five": lambda key: " | ".join(key[i : i + 5] for i in range(0, len(key), 5)),
    "numbered parts": lambda key: ", ".join(f"#{i}: {key[i : i + 7]}" for i in range(0, len(key), 7)),
}


def longest_common(text: str, key: str) -> int:
    """Return the length of the longest part of ``key``, apart from case and punctuation, in ``text``."""
    plain, part = ("".join(c for c in t.lower() if c.isalnum()) for t in (text, key))
    return max(
        n for n in range(len(part) + 1) if any(part[i : i + n] in plain for i in range(len(part) - n + 1))
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_message_does_not_repeat_a_secret(encoding: str, key: str) -> None:
    """In no encoding that can be undone; what is left of it is shorter than six characters."""
    echo = ENCODINGS[encoding](key)
    redacted = Redactor([key]).redact_message(f"Incorrect API key provided: {echo}. Check the account.")
    assert redacted.startswith("Incorrect API key provided:")
    assert redacted.endswith("heck the account.")
    assert "***" in redacted
    assert longest_common(redacted, key) < 6
    assert longest_common(redacted, echo) < 24


def test_ordinary_messages_are_not_changed() -> None:
    """Model names, ids of requests and advice stay."""
    messages = [
        "The model `gpt-6-luna-2026-10-01` does not exist or you do not have access to it.",
        "Rate limit reached for requests per min (RPM): Limit 3, Used 3. Please try again in 20s.",
        "This model's maximum context length is 131072 tokens. However, you requested 140321 tokens.",
        "error id 5f0c9a4e-8d4b-4f43-9c1f-0242ac120002, request req_7d1f0a9b3c5e4f60",
    ]
    redactor = Redactor(["Zq8vR2mKx7Lw4Tn9", "x", "key"])
    for message in messages:
        assert redactor.redact_message(message) == message


def test_a_short_secret_is_replaced_as_a_word_only() -> None:
    """Local servers often have a dummy key of one letter."""
    redactor = Redactor(["x", "abc"])
    assert redactor.redact_message("text abcdef: abc, x") == "text abcdef: ***, ***"


def test_bodies_and_logs_lose_exact_forms_only() -> None:
    """Abstracts must not be changed because they share six letters with a key."""
    key = "secretkey/topmost 1"
    redactor = Redactor([key, ""])
    text = f"the secretkey of Topmost; {key} {urllib.parse.quote_plus(key)}"
    assert redactor.redact_text(text) == "the secretkey of Topmost; *** ***"
    assert redactor.redact_bytes(text.encode()) == b"the secretkey of Topmost; *** ***"
    assert Redactor([]).redact_bytes(b"text") == b"text"


def test_a_long_message_takes_little_time() -> None:
    """Whatever a server sends."""
    key = KEYS[-1]
    for message in (key * 2_000, key[:5] * 60_000, "a" * 300_000, "İ" * 300_000):
        started = time.process_time()
        Redactor([key]).redact_message(message)
        assert time.process_time() - started < 0.25
