"""Sign emails with DKIM (RFC 6376), for mail servers that do not sign themselves.

A signature is the same at every call: RSA is deterministic, and its time is the date of the email. So a
message that is sent again has the same bytes.
"""

from __future__ import annotations

import base64
import datetime as dt
import stat
from functools import cached_property
from pathlib import Path
from typing import Any

from paperagent.errors import ConfigError, visible

MIN_BITS, GOOD_BITS = 1024, 2048
"""Sizes of RSA keys: shorter ones are refused, by receivers too (RFC 8301), and longer ones recommended."""
_SIGNED = (
    "from to subject date message-id auto-submitted list-id list-unsubscribe list-unsubscribe-post "
    "feedback-id mime-version content-type"
).split()
_OVERSIGNED = "from to subject date list-unsubscribe list-unsubscribe-post content-type".split()
"""Signed once more than they occur, so that nobody can add a second one."""
_RSA = bytes.fromhex("06092a864886f70d0101010500")
"""The algorithm in a public key: rsaEncryption, without parameters (RFC 3279 section 2.3.1)."""
_INTEGER, _BIT_STRING, _SEQUENCE = 0x02, 0x03, 0x30


class DkimSigner:
    """Signs with the RSA key in a file.

    Raises:
        ConfigError: dkimpy is not installed, or the file cannot be read or is not such a key.
    """

    def __init__(self, key_file: Path, selector: str, domain: str) -> None:
        """Read the key.

        Args:
            key_file: A private RSA key in PEM format.
            selector: The name under which DNS has the public key.
            domain: The domain that signs, in ASCII.
        """
        self._file = key_file
        self._selector, self.domain = selector, domain
        try:
            self._pem = key_file.read_bytes()
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise ConfigError(
                f"{self._name}: {reason}; name a private key that this user can read"
            ) from error
        if self.bits < MIN_BITS:
            raise ConfigError(f"{self._name}: the key has {self.bits} bits; {_CREATE}")

    @property
    def _name(self) -> str:
        return f"PAPERAGENT_DKIM_KEY_FILE: {visible(str(self._file), limit=200)}"

    @cached_property
    def _key(self) -> dict[str, Any]:
        try:
            from dkim.crypto import UnparsableKeyError, parse_pem_private_key
        except ImportError as error:
            raise ConfigError(
                "PAPERAGENT_DKIM_KEY_FILE: signing needs dkimpy; run pip install 'paperagent[mail]'"
            ) from error
        try:
            return dict(parse_pem_private_key(self._pem))
        except (UnparsableKeyError, ValueError, IndexError, TypeError) as error:
            raise ConfigError(f"{self._name}: not a private RSA key in PEM format; {_CREATE}") from error

    @property
    def bits(self) -> int:
        """The size of the key."""
        return int(self._key["modulus"]).bit_length()

    @property
    def problems(self) -> tuple[str, ...]:
        """Weaknesses of the key and its file, each with a fix."""
        problems = []
        if self._file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            problems.append(f"{self._name}: other users can read it; run chmod 600 on it")
        if self.bits < GOOD_BITS:
            problems.append(f"{self._name}: the key has {self.bits} bits only; {_CREATE}")
        return tuple(problems)

    @property
    def dns_record(self) -> tuple[str, str]:
        """The name and the text of the TXT record that publishes the public key."""
        numbers = b"".join(
            _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))
            for value in (self._key["modulus"], self._key["publicExponent"])
        )
        key = _der(_BIT_STRING, b"\0" + _der(_SEQUENCE, numbers))
        public = base64.b64encode(_der(_SEQUENCE, _der(_SEQUENCE, _RSA) + key)).decode()
        return f"{self._selector}._domainkey.{self.domain}", f"v=DKIM1; k=rsa; p={public}"

    def sign(self, message: bytes, date: dt.datetime) -> bytes:
        """Return the message with a signature in front, always the same.

        Args:
            message: A complete mail with CRLF line ends.
            date: The time of the signature.
        """
        from dkim import DKIM

        class DatedSignature(DKIM):  # type: ignore[misc]  # the library has no types
            def gen_header(self, fields: list[tuple[bytes, bytes]], *args: Any) -> bytes:
                moment = str(int(date.timestamp())).encode()
                header = super().gen_header([(k, moment if k == b"t" else v) for k, v in fields], *args)
                return bytes(header)

        signature = DatedSignature(message).sign(
            self._selector.encode(),
            self.domain.encode(),
            self._pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[*_SIGNED, *_OVERSIGNED],
        )
        return bytes(signature) + message


def _der(tag: int, content: bytes) -> bytes:
    """Return an element in DER (X.690 section 8.1); the library's own encoder fails from 128 bytes on."""
    length = len(content)
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, length] if length < 128 else [tag, 0x80 | len(size), *size]) + content


_CREATE = f"create one: openssl genrsa -out dkim.pem {GOOD_BITS}"
