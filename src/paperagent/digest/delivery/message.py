"""Parse mail addresses, and build the bytes of one mail without any header injected by untrusted text.

RFC 5322, 2045 (MIME), 2047 (encoded words), 2369 and 8058 (unsubscribing), 2919 (List-Id), 3834
(Auto-Submitted), 6532 (UTF-8 headers).
"""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.parser import BytesHeaderParser
from email.policy import SMTP, SMTPUTF8, EmailPolicy, Policy
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from paperagent.digest.render import formatting
from paperagent.errors import InputError, MailError, visible
from paperagent.text.sanitize import has_unsafe_characters

if TYPE_CHECKING:
    from paperagent.digest.render.renderer import Rendered

MAX_SUBJECT, MAX_LINE, MAX_MESSAGE_ID = 120, 998, 77
_MAX_ADDRESS = 320
"""64 characters before the @ and 255 after it (RFC 5321 section 4.5.3.1); longer input is not parsed."""
_LIST_HEADERS = ("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Message-ID")
_CRLF = "\r\n"
_LINK = re.compile(r"(?:https?://|mailto:)[!#-+\--;=?-~]+\Z")


# --- addresses ---


@dataclass(frozen=True, slots=True)
class MailAddress:
    """A valid mail address."""

    email: str
    """Normalized, for display; the domain in Unicode."""
    key: str
    """The same for all spellings of one mailbox: lower case, without a ``+`` and what follows it."""
    envelope: str
    """For the mail server: the domain in ASCII, the local part unchanged."""


def parse_address(text: str) -> MailAddress:
    """Return the address in ``text``, which may be ``Name <a@b.c>``; the name is dropped.

    Raises:
        InputError: not an address, a control character, or a domain that is not on the internet.
    """
    from email_validator import EmailNotValidError, validate_email

    printable = visible(text, limit=60)
    if has_unsafe_characters(text):
        raise InputError(
            f"email {printable}: contains a control or invisible character; write name@example.org"
        )
    address = _without_name(text.strip())
    if len(address) > _MAX_ADDRESS:
        raise InputError(f"email {printable}: longer than {_MAX_ADDRESS} characters; write name@example.org")
    if "=?" in address:  # an encoded word (RFC 2047), which some programs decode and others do not
        raise InputError(f"email {printable}: encoded words (=?…?=) are not allowed; write name@example.org")
    try:
        validated = validate_email(address, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        reason = visible(str(error).rstrip("."), limit=200)
        raise InputError(f"email {printable}: {reason}; write name@example.org") from None
    envelope = validated.ascii_email or f"{validated.local_part}@{validated.ascii_domain}"
    local, _, domain = envelope.casefold().rpartition("@")
    return MailAddress(validated.normalized, f"{local.split('+', 1)[0] or local}@{domain}", envelope)


WEBHOOK_PREFIX = "webhook:"


def webhook_label(url: str) -> str:
    """Return the name by which a webhook is a subscriber; its URL is a secret."""
    host = urlsplit(url).hostname or ""
    return f"{WEBHOOK_PREFIX}{host}:{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def parse_recipient(text: str) -> MailAddress:
    """Return a mail address like `parse_address`, or the label of a webhook, given as label or URL.

    Raises:
        InputError: neither of them.
    """
    label = webhook_label(text) if text.startswith(("http://", "https://")) else text
    if not label.startswith(WEBHOOK_PREFIX):
        return parse_address(text)
    return MailAddress(label, label, label)


def _without_name(text: str) -> str:
    """Return the text in the angle brackets if ``text`` ends with one pair of them."""
    if text.endswith(">") and text.count("<") == text.count(">") == 1:
        return text[text.index("<") + 1 : -1].strip()
    return text


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address for a header, with an optional name."""

    address: str
    """With an ASCII domain; a Unicode local part needs SMTPUTF8."""
    name: str = ""

    @property
    def domain(self) -> str:
        """The domain in ASCII."""
        return self.address.rpartition("@")[2]

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) accepts it."""
        return not self.address.isascii()


@lru_cache(maxsize=4096)
def mailbox(text: str) -> Mailbox:
    """Return ``name@example.org`` or ``Name <name@example.org>`` as a mailbox.

    Raises:
        InputError: not exactly one valid address.
    """
    parsed = parse_address(text)
    return Mailbox(parsed.envelope, header_text(parseaddr(text)[0], 80) if "<" in text else "")


# --- messages ---


def header_text(text: str, limit: int = MAX_SUBJECT) -> str:
    """Return ``text`` as one line that mail programs treat as plain text.

    ``=?`` would begin an encoded word, through which a title could inject a header (CVE-2024-6923).
    """
    return formatting.cut(re.sub(r"=(?=\?)", "= ", formatting.one_line(text)), limit)


def message_id(issue_id: str, recipient: str, domain: str, *, key: bytes = b"") -> str:
    """Return the Message-ID of a subscriber's issue: always the same, and under 78 characters.

    Nobody without ``key`` can guess it, so a bounce that contains it is genuine.
    """
    data = f"{issue_id}\0{recipient.lower()}".encode("utf-8", "replace")
    digest = hmac.new(key, data, hashlib.sha256).hexdigest()[:16]
    issue = re.sub(r"[^A-Za-z0-9-]+", "-", issue_id).strip("-")
    room = MAX_MESSAGE_ID - len(f"<.{digest}@{domain}>")
    return (
        f"<{issue[:room]}.{digest}@{domain}>"
        if room > 0 and issue
        else f"<{digest}@{domain[-50:].lstrip('.-')}>"
    )


def build_message(
    rendered: Rendered,
    *,
    sender: str,
    recipient: str,
    issue_id: str,
    date: dt.datetime,
    identity: str | None = None,
    unsubscribe_url: str | None = None,
    mailto: str | None = None,
    smtputf8: bool = False,
    is_list: bool = True,
) -> bytes:
    """Return the email with CRLF line ends; the same arguments give the same bytes.

    Args:
        rendered: The subject and bodies.
        sender: The ``From`` address.
        recipient: The ``To`` address.
        issue_id: The issue, for Message-ID and Feedback-ID.
        date: The date in the header.
        identity: The Message-ID, whose domain is that of the list; None to make one from the issue.
        unsubscribe_url: The address that unsubscribes.
        mailto: A ``mailto:`` link that unsubscribes.
        smtputf8: Whether the server accepts non-ASCII addresses.
        is_list: Whether to add the headers of a mailing list; a confirmation mail has none.

    Raises:
        InputError: an invalid address or link.
        MailError: an address needs SMTPUTF8, or the bytes do not read back as intended.
    """
    to, author = mailbox(recipient), mailbox(sender)
    needs_smtputf8 = to.needs_smtputf8 or author.needs_smtputf8
    if needs_smtputf8 and not smtputf8:
        raise MailError(
            f"address: {visible(to.address, limit=80)}: not ASCII, and the server does not support SMTPUTF8; "
            "use another address"
        )
    identity = identity or message_id(issue_id, to.address, author.domain)
    domain = identity.strip("<>").rpartition("@")[2]
    headers = {
        "From": _format_mailbox(author),
        "To": _format_mailbox(Mailbox(to.address)),
        "Subject": header_text(rendered.subject),
        "Date": format_datetime(date.astimezone(dt.UTC)),
        "Message-ID": identity,
        "Auto-Submitted": "auto-generated",
    }
    if is_list:
        headers |= _list_headers(
            issue_id, domain, unsubscribe_url, mailto or f"mailto:{author.address}?subject=unsubscribe"
        )
    # Quoted-printable text never contains "=_".
    boundary = "=_" + hashlib.sha256(identity.encode()).hexdigest()[:32]
    headers |= {"MIME-Version": "1.0", "Content-Type": f'multipart/alternative; boundary="{boundary}"'}
    policy = _UTF8_POLICY if needs_smtputf8 else _ASCII_POLICY
    head = "".join(_header_lines(name, value, policy) for name, value in headers.items())
    raw = head.encode("utf-8") + b"\r\n" + _multipart_body(rendered, boundary)
    _verify_headers(raw, headers, author)
    return raw


class VerbatimHeader(UnstructuredHeader, BaseHeader):
    """A structured header that is written unchanged.

    The standard library folds a long address into an RFC 2047 encoded word, which section 5 forbids
    there: mail programs would then see no List-Unsubscribe.
    """

    def fold(self, *, policy: Policy) -> str:
        """Return the header on one line, whatever its length."""
        line = f"{self.name}: {self!s}"
        if not line.isascii() or not line.isprintable() or len(line) > MAX_LINE:
            raise MailError(f"mail: {self.name} cannot be written in ASCII on one line; shorten the address")
        return line + policy.linesep


def _header_registry() -> HeaderRegistry:
    registry = HeaderRegistry()
    for name in _LIST_HEADERS:
        registry.map_to_type(name, VerbatimHeader)
    return registry


_ASCII_POLICY = SMTP.clone(header_factory=_header_registry())
_UTF8_POLICY = SMTPUTF8.clone(header_factory=_header_registry())


def _format_mailbox(box: Mailbox) -> str:
    if box.name.isascii():
        return str(Address(box.name, addr_spec=_addr_spec(box))) if box.name else _addr_spec(box)
    return f"{_encode_words('From', box.name)}{_CRLF} <{_addr_spec(box)}>"


def _addr_spec(box: Mailbox) -> str:
    local, _, domain = box.address.rpartition("@")
    return Address("", local, domain).addr_spec


def _encode_words(name: str, text: str) -> str:
    """Return non-ASCII text as the encoded words of a header.

    This uses the older `Header`: the folding of `EmailPolicy` loses or doubles spaces between encoded
    words, so the subject would read back changed.
    """
    return Header(text, "utf-8", header_name=name).encode(linesep=_CRLF)


def _list_headers(issue_id: str, domain: str, url: str | None, mailto: str) -> dict[str, str]:
    for link in (url, mailto):
        if link is not None and not _LINK.match(link):
            raise InputError(f"unsubscribe: {visible(link, limit=80)}: not a valid link for a mail header")
    links = [f"<{link}>" for link in (url, mailto) if link]
    issue = re.sub(r"[^A-Za-z0-9.-]+", "-", issue_id)[:40]
    headers = {"List-Id": f"Paper digest <digest.{domain}>", "List-Unsubscribe": ", ".join(links)}
    if url and url.startswith("https://"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers | {"Feedback-ID": f"{issue}:digest:paperagent:{domain}"[:200]}


def _header_lines(name: str, value: str, policy: EmailPolicy[Any]) -> str:
    if name in {"From", "To"}:
        return f"{name}: {value}{_CRLF}"
    if name == "Subject" and not value.isascii():
        return f"Subject: {_encode_words(name, value)}{_CRLF}"
    try:
        folded: str = policy.header_factory(name, value).fold(policy=policy)
    except ValueError as error:  # the library rejects line breaks, which the code above removes
        raise MailError(f"mail: {name} cannot be written: {visible(str(error), limit=100)}") from None
    return folded


def _multipart_body(rendered: Rendered, boundary: str) -> bytes:
    parts = (("plain", rendered.text), ("html", rendered.html))
    chunks = []
    for kind, text in parts:
        chunks.append(
            f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode()
        )
        chunks.append(_quoted_printable(text))
    return b"".join(chunks) + f"--{boundary}--\r\n".encode()


def _quoted_printable(text: str) -> bytes:
    """Return ``text`` and a line end in lines of at most 76 bytes, much faster than email's encoder.

    The C encoder breaks long lines with the line end of its input's first line, so there must be one.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") + "\n"
    return binascii.b2a_qp(lines.replace("\n", "\r\n").encode("utf-8", "replace"), istext=True)


def _verify_headers(raw: bytes, headers: dict[str, str], author: Mailbox) -> None:
    """Parse the headers from the bytes; raise MailError if one was added, lost or changed."""
    block = raw[: raw.index(b"\r\n\r\n") + 4]
    parsed = BytesHeaderParser(policy=SMTPUTF8).parsebytes(block)
    names = list(parsed.keys())
    if names != list(headers):
        added = sorted(set(names) - set(headers)) or ["a header twice or out of order"]
        raise MailError(f"mail: withheld: its bytes read back with {visible(', '.join(added), limit=100)}")
    # Python's parser inserts a space between the encoded words of a name.
    authors = [(a.addr_spec, a.display_name.replace(" ", "")) for a in parsed["From"].addresses]
    if author.address.isascii() and authors != [(_addr_spec(author), author.name.replace(" ", ""))]:
        raise MailError(f"mail: withheld: From reads back as {visible(str(parsed['From']), limit=100)}")
    if " ".join(parsed["Subject"].split()) != headers["Subject"]:
        raise MailError(f"mail: withheld: Subject reads back as {visible(parsed['Subject'], limit=100)}")
    for name in ("To", *_LIST_HEADERS):
        if name in headers and f"\r\n{name}: {headers[name]}\r\n".encode() not in block:
            raise MailError(f"mail: withheld: {name} is not on a line of its own")
