"""Requests to subscribe from ``/subscribe``, and the emails that answer them.

A form that anybody can fill in must not change a subscriber, reveal who is one, or send many emails. So it
only stores a request. The lookup and the email come later, in the background, and the request is
applied when the owner of the address confirms it.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.digest.database import format_timestamp, parse_timestamp
from paperagent.digest.links import CONFIRM_SECONDS
from paperagent.digest.preferences import Frequency, Preferences
from paperagent.errors import MailError
from paperagent.web.tokens import without_addresses

if TYPE_CHECKING:
    from paperagent.digest.delivery.message import MailAddress
    from paperagent.digest.subscribers import Subscriber
    from paperagent.web.database import WebDatabase
    from paperagent.web.site import Site

LOG = logging.getLogger("paperagent.web")
MAX_MAILS_PER_DAY = 200
"""Emails that the form sends to all addresses together, so that nobody can flood mailboxes with it."""
MAX_CONFIRMATIONS_PER_DAY = 3
"""Confirmation emails to one address. Each one after the first requires that it has unsubscribed since."""
MAX_REQUESTS = 10_000
"""Stored requests; further ones are dropped until older ones expire."""
_LIFETIME = dt.timedelta(seconds=CONFIRM_SECONDS)
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SignupRequest:
    """A request that can still be confirmed or was confirmed in the last two days."""

    id: int
    key: str
    email: str
    """Empty, like key and preferences, when it is confirmed."""
    preferences: Preferences
    frequency: Frequency
    is_confirmed: bool


def store_request(site: Site, address: MailAddress, preferences: Preferences, frequency: Frequency) -> int:
    """Store a request and return its id, which is random; delete what has expired."""
    request_id = secrets.randbits(62)
    now = site.clock()
    with site.database.writing() as db:
        # Requests of the future are from a time when the clock was wrong.
        lifetime = (format_timestamp(now - _LIFETIME), format_timestamp(now + _LIFETIME))
        db.execute("DELETE FROM request WHERE NOT created_at BETWEEN ? AND ?", lifetime)
        db.execute(
            "INSERT INTO request SELECT ?, ?, ?, ?, ?, ?, NULL WHERE (SELECT count(*) FROM request) < ?",
            (
                request_id,
                address.key,
                address.email,
                preferences.to_json(),
                frequency,
                format_timestamp(now),
                MAX_REQUESTS,
            ),
        )
    return request_id


def find_request(site: Site, request_id: int) -> SignupRequest | None:
    """Return a request; None if there is none with this id or it has expired."""
    with site.database.reading() as db:
        row = db.execute(
            "SELECT key, address, preferences, frequency, created_at, confirmed_at FROM request WHERE id = ?",
            (request_id,),
        ).fetchone()
    if row is None or abs(site.clock() - parse_timestamp(row[4])) > _LIFETIME:
        return None
    key, email, preferences, frequency, _, confirmed_at = row
    stored = Preferences.from_json(preferences) if preferences else Preferences()
    return SignupRequest(request_id, key, email, stored, frequency, confirmed_at is not None)


def open_requests(database: WebDatabase, now: dt.datetime) -> list[tuple[str, Frequency, dt.datetime]]:
    """Return address, frequency and time of each request that can still be confirmed, oldest first."""
    with database.reading() as db:
        rows = db.execute(
            "SELECT address, frequency, max(created_at) FROM request "
            "WHERE confirmed_at IS NULL AND created_at >= ? GROUP BY key ORDER BY 3, 1",
            (format_timestamp(now - _LIFETIME),),
        )
        return [(address, frequency, parse_timestamp(at)) for address, frequency, at in rows]


def confirm_request(site: Site, request: SignupRequest) -> Subscriber:
    """Subscribe the address with the preferences of the request, and erase them from the request.

    If the process ends in between, the request can be confirmed again, with the same result.

    Raises:
        InputError: no email may be sent to the address.
    """
    subscriber = site.digest.subscribers.confirm_signup(
        request.email, request.preferences, frequency=request.frequency
    )
    with site.database.writing() as db:
        db.execute(
            "UPDATE request SET key = '', address = '', preferences = '', confirmed_at = ? WHERE id = ?",
            (format_timestamp(site.clock()), request.id),
        )
    return subscriber


def forget_address(site: Site, key: str) -> None:
    """Delete everything about an address from the web page's database."""
    with site.database.writing() as db:
        db.execute("DELETE FROM request WHERE key = ?", (key,))
        db.execute("DELETE FROM mailing WHERE key = ?", (key,))


def answer_request(site: Site, request_id: int) -> None:
    """Send the email that a request calls for, if any. Delete a request that needs no confirmation."""
    request = find_request(site, request_id)
    if request is None:
        return
    state, subscriber = site.digest.subscribers.signup_state(request.key)
    kind = "already" if state == "confirmed" else "confirm"
    may_send = state != "blocked"
    if state == "pending" and subscriber is not None:
        may_send = site.digest.subscribers.may_send_confirmation(subscriber)
    sent = may_send and _reserve_mail(site, request.key, kind) and _send(site, request, subscriber, kind)
    if kind == "already" or not sent:
        with site.database.writing() as db:
            db.execute("DELETE FROM request WHERE id = ?", (request.id,))


def _send(site: Site, request: SignupRequest, subscriber: Subscriber | None, kind: str) -> bool:
    """Send an email to the subscriber, or else to the address of the request; return whether it was sent."""
    mailer, now = site.digest.mailer, site.clock()
    try:
        if kind == "already" and subscriber is not None:
            mailer.send_already_subscribed(subscriber, now)
        else:
            assert site.tokens is not None
            mailer.send_confirmation(
                subscriber.email if subscriber else request.email,
                now,
                token=site.tokens.create("signup", request.id),
                frequency=request.frequency,
                returning=subscriber is not None and subscriber.state == "unsubscribed",
            )
    except MailError as error:
        LOG.warning("%s", without_addresses(error))
        with site.database.writing() as db:
            db.execute("DELETE FROM mailing WHERE key = ? AND kind = ?", (request.key, kind))
        return False
    return True


def _reserve_mail(site: Site, key: str, kind: str) -> bool:
    """Count an email against the daily limits; return False if it must not be sent.

    An address gets one email of each kind a day. Somebody who unsubscribed by mistake may confirm again.
    """
    now = site.clock()
    left_at = site.digest.subscribers.unsubscribed_at(key)
    with site.database.writing() as db:
        day = (format_timestamp(now - _ONE_DAY), format_timestamp(now + _ONE_DAY))
        db.execute("DELETE FROM mailing WHERE sent_at <= ? OR sent_at > ?", day)
        to_address, last, to_all = db.execute(
            "SELECT coalesce(sum(key = ?1 AND kind = ?2), 0), "
            "max(CASE WHEN key = ?1 AND kind = ?2 THEN sent_at END), count(*) FROM mailing "
            "WHERE kind IN ('confirm', 'already')",
            (key, kind),
        ).fetchone()
        has_left = left_at is not None and last is not None and left_at >= parse_timestamp(last)
        if to_address >= (MAX_CONFIRMATIONS_PER_DAY if has_left else 1) or to_all >= MAX_MAILS_PER_DAY:
            return False
        db.execute("INSERT INTO mailing VALUES (?, ?, ?)", (key, kind, format_timestamp(now)))
    return True
