"""Build the bytes of one mail to one reader, and prove on the bytes that no header was smuggled in.

RFC 5322, 2045 (MIME), 2047 (encoded words), 2369 and 8058 (unsubscribing), 2919 (List-Id), 3834
(Auto-Submitted), 6532 (UTF-8 headers).

Mail addresses of readers: checked, made comparable, split for the envelope.
"""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.parser import BytesHeaderParser
from email.policy import SMTP, SMTPUTF8, EmailPolicy, Policy
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any

from paperagent.digest.render import formatting
from paperagent.digest.render.renderer import Rendered
from paperagent.errors import InputError, MailError, visible
from paperagent.text.sanitize import has_unsafe_characters

MAX_SUBJECT, MAX_LINE, MAX_MESSAGE_ID = 120, 998, 77
_LIST_HEADERS = ("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Message-ID")
_CRLF = "\r\n"
_LINK = re.compile(r"(?:https?://|mailto:)[!#-+\--;=?-~]+\Z")


class VerbatimHeader(UnstructuredHeader, BaseHeader):
    """A structured header that is written as it is.

    The standard library folds a long address into an RFC 2047 encoded word, which section 5
    forbids there: readers then see no List-Unsubscribe at all.
    """

    def fold(self, *, policy: Policy) -> str:
        """Return the header on one line, whatever its length."""
        line = f"{self.name}: {self!s}"
        if not line.isascii() or not line.isprintable() or len(line) > MAX_LINE:
            raise MailError(f"mail: {self.name} cannot be written in ASCII on one line; shorten the address")
        return line + policy.linesep


def _registry() -> HeaderRegistry:
    registry = HeaderRegistry()
    for name in _LIST_HEADERS:
        registry.map_to_type(name, VerbatimHeader)
    return registry


_ASCII = SMTP.clone(header_factory=_registry())
_UTF8 = SMTPUTF8.clone(header_factory=_registry())


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail address that may stand in a header."""

    address: str
    """With an ASCII domain; the local part may be Unicode, which needs SMTPUTF8."""
    name: str = ""

    @property
    def domain(self) -> str:
        """The domain, in ASCII."""
        return self.address.rpartition("@")[2]

    @property
    def international(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it."""
        return not self.address.isascii()


@lru_cache(maxsize=4096)
def mailbox(text: str) -> Mailbox:
    """Return ``name@example.org`` or ``Name <name@example.org>`` as a mailbox.

    Raises:
        InputError: it is no address; controls, a second address and bad domains are refused.
    """
    parsed = parse_address(text)
    return Mailbox(parsed.envelope, header_text(parseaddr(text)[0], 80) if "<" in text else "")


def header_text(text: str, limit: int = MAX_SUBJECT) -> str:
    """Return ``text`` as one line that no mail program can take for more than text.

    ``=?`` would begin an encoded word, through which a title can smuggle in a header (CVE-2024-6923).
    """
    return formatting.cut(re.sub(r"=(?=\?)", "= ", formatting.one_line(text)), limit)


def message_id(issue_id: str, recipient: str, domain: str) -> str:
    """Return the Message-ID of an issue to a reader: the same each time, under 78 characters."""
    digest = hashlib.sha256(f"{issue_id}\0{recipient.lower()}".encode("utf-8", "replace")).hexdigest()[:16]
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
    domain: str | None = None,
    unsubscribe_url: str | None = None,
    mailto: str | None = None,
    smtputf8: bool = False,
    listed: bool = True,
) -> bytes:
    """Return the mail with CRLF line ends; the same arguments give the same bytes.

    ``domain`` (default: the sender's) names list and Message-ID. Without ``listed`` the headers
    of a mailing list are left out, as in a mail that asks for confirmation.

    Raises:
        InputError: an address or link cannot be used.
        MailError: the address needs SMTPUTF8, or the bytes do not read back as they were meant.
    """
    to, author = mailbox(recipient), mailbox(sender)
    if (to.international or author.international) and not smtputf8:
        raise MailError(
            f"address: {visible(to.address, limit=80)}: not ASCII, and the server takes no SMTPUTF8; "
            "use another address"
        )
    domain = domain or author.domain
    identity = message_id(issue_id, to.address, domain)
    headers = {
        "From": _format_mailbox(author),
        "To": _format_mailbox(Mailbox(to.address)),
        "Subject": header_text(rendered.subject),
        "Date": format_datetime(date.astimezone(dt.UTC)),
        "Message-ID": identity,
        "Auto-Submitted": "auto-generated",
    }
    if listed:
        headers |= _list_headers(
            issue_id, domain, unsubscribe_url, mailto or f"mailto:{author.address}?subject=unsubscribe"
        )
    boundary = "=_" + hashlib.sha256(identity.encode()).hexdigest()[:32]  # quoted-printable never holds =_
    headers |= {"MIME-Version": "1.0", "Content-Type": f'multipart/alternative; boundary="{boundary}"'}
    policy = _UTF8 if to.international or author.international else _ASCII
    head = "".join(_header_lines(name, value, policy) for name, value in headers.items())
    raw = head.encode("utf-8") + b"\r\n" + _multipart_body(rendered, boundary)
    _verify_headers(raw, headers, author)
    return raw


def _format_mailbox(box: Mailbox) -> str:
    if box.name.isascii():
        return str(Address(box.name, addr_spec=_addr_spec(box))) if box.name else _addr_spec(box)
    return f"{_encode_words('From', box.name)}{_CRLF} <{_addr_spec(box)}>"


def _addr_spec(box: Mailbox) -> str:
    local, _, domain = box.address.rpartition("@")
    return Address("", local, domain).addr_spec


def _encode_words(name: str, text: str) -> str:
    """Return text beyond ASCII as the encoded words of a header.

    By the older `Header`: the policy's folding loses or doubles spaces between encoded words, so
    that a subject reads back changed.
    """
    return Header(text, "utf-8", header_name=name).encode(linesep=_CRLF)


def _list_headers(issue_id: str, domain: str, url: str | None, mailto: str) -> dict[str, str]:
    for link in (url, mailto):
        if link is not None and not _LINK.match(link):
            raise InputError(f"unsubscribe: {visible(link, limit=80)}: cannot stand in a mail header")
    ways = [f"<{link}>" for link in (url, mailto) if link]
    issue = re.sub(r"[^A-Za-z0-9.-]+", "-", issue_id)[:40]
    found = {"List-Id": f"Paper digest <digest.{domain}>", "List-Unsubscribe": ", ".join(ways)}
    if url and url.startswith("https://"):
        found["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return found | {"Feedback-ID": f"{issue}:digest:paperagent:{domain}"[:200]}


def _header_lines(name: str, value: str, policy: EmailPolicy[Any]) -> str:
    """Return a header's lines."""
    if name in {"From", "To"}:
        return f"{name}: {value}{_CRLF}"
    if name == "Subject" and not value.isascii():
        return f"Subject: {_encode_words(name, value)}{_CRLF}"
    try:
        folded: str = policy.header_factory(name, value).fold(policy=policy)
    except ValueError as error:  # the library refuses line ends, which nothing above lets through
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
    """Return ``text`` and a line end, in lines of at most 76 bytes, many times faster than email's encoder.

    The C encoder breaks long lines as the first line of its input ends, so there must be one.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") + "\n"
    return binascii.b2a_qp(lines.replace("\n", "\r\n").encode("utf-8", "replace"), istext=True)


def _verify_headers(raw: bytes, headers: dict[str, str], author: Mailbox) -> None:
    """Read the headers back from the bytes: none may have come, gone, or changed."""
    block = raw[: raw.index(b"\r\n\r\n") + 4]
    read = BytesHeaderParser(policy=SMTPUTF8).parsebytes(block)
    names = list(read.keys())
    if names != list(headers):
        added = sorted(set(names) - set(headers)) or ["a header twice or out of order"]
        raise MailError(f"mail: withheld: its bytes read back with {visible(', '.join(added), limit=100)}")
    # Between the encoded words of a name, Python's own parser puts a space that is not there.
    authors = [(a.addr_spec, a.display_name.replace(" ", "")) for a in read["From"].addresses]
    if author.address.isascii() and authors != [(_addr_spec(author), author.name.replace(" ", ""))]:
        raise MailError(f"mail: withheld: From reads back as {visible(str(read['From']), limit=100)}")
    if " ".join(read["Subject"].split()) != headers["Subject"]:
        raise MailError(f"mail: withheld: Subject reads back as {visible(read['Subject'], limit=100)}")
    for name in ("To", *_LIST_HEADERS):
        if name in headers and f"\r\n{name}: {headers[name]}\r\n".encode() not in block:
            raise MailError(f"mail: withheld: {name} is not on one line of its own")


_MAX_ADDRESS = 320
"""64 before the @, 255 after it (RFC 5321 section 4.5.3.1); more is not even looked at."""


@dataclass(frozen=True, slots=True)
class MailAddress:
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


def parse_address(text: str) -> MailAddress:
    """Return the address in ``text``, which may be ``Name <a@b.c>``; the name is dropped.

    Raises:
        InputError: it is no address, holds control characters, or has no domain on the internet.
    """
    from email_validator import EmailNotValidError, validate_email

    shown = visible(text, limit=60)
    if has_unsafe_characters(text):
        raise InputError(f"email {shown}: holds a control or invisible character; write name@example.org")
    bare = _bare(text.strip())
    if len(bare) > _MAX_ADDRESS:
        raise InputError(f"email {shown}: longer than {_MAX_ADDRESS} characters; write name@example.org")
    try:
        found = validate_email(bare, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        reason = visible(str(error).rstrip("."), limit=200)
        raise InputError(f"email {shown}: {reason}; write name@example.org") from None
    envelope = found.ascii_email or f"{found.local_part}@{found.ascii_domain}"
    local, _, domain = envelope.casefold().rpartition("@")
    return MailAddress(found.normalized, f"{local.split('+', 1)[0] or local}@{domain}", envelope)


def _bare(text: str) -> str:
    """Return what stands in the angle brackets where the text ends in one pair of them."""
    if text.endswith(">") and text.count("<") == text.count(">") == 1:
        return text[text.index("<") + 1 : -1].strip()
    return text
