"""Mail addresses of readers: checked, made comparable, split for the envelope."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from paperagent.errors import InputError, visible

_LONGEST = 320
"""64 before the @, 255 after it (RFC 5321 section 4.5.3.1); more is not even looked at."""
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Address:
    """One address that can be written to."""

    email: str
    """Normalised, as it is shown; the domain in Unicode."""
    key: str
    """The same for all spellings of one mailbox: lower case, without what follows a +."""
    envelope: str
    """As the mail server is told it: the domain in ASCII; the local part as it is."""

    @property
    def needs_utf8(self) -> bool:
        """Whether the mail server must offer SMTPUTF8 (RFC 6531) to take it."""
        return not self.envelope.isascii()


def parse(text: str) -> Address:
    """Return the address in ``text``, which may be ``Name <a@b.c>``; the name is dropped.

    Raises:
        InputError: it is no address, holds control characters, or has no domain on the internet.
    """
    from email_validator import EmailNotValidError, validate_email

    shown = visible(text, limit=60)
    if any(unicodedata.category(c) in _UNSAFE for c in text):
        raise InputError(f"email {shown}: holds a control or invisible character; write name@example.org")
    bare = _bare(text.strip())
    if len(bare) > _LONGEST:
        raise InputError(f"email {shown}: longer than {_LONGEST} characters; write name@example.org")
    try:
        found = validate_email(bare, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        reason = visible(str(error).rstrip("."), limit=200)
        raise InputError(f"email {shown}: {reason}; write name@example.org") from None
    envelope = found.ascii_email or f"{found.local_part}@{found.ascii_domain}"
    local, _, domain = envelope.casefold().rpartition("@")
    return Address(found.normalized, f"{local.split('+', 1)[0] or local}@{domain}", envelope)


def _bare(text: str) -> str:
    """Return what stands in the angle brackets where the text ends in one pair of them."""
    if text.endswith(">") and text.count("<") == text.count(">") == 1:
        return text[text.index("<") + 1 : -1].strip()
    return text
