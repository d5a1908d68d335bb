"""kill -9 at each point of a confirmation: the reader is not subscribed, or is with all preferences."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from paperagent.config import load
from paperagent.digest.delivery.message import parse_address
from paperagent.digest.preferences import Preferences
from paperagent.web import signup
from paperagent.web.site import Site

EMAIL = "new@test.example"
PREFERENCES = Preferences.validated(["graphs"], ["Does it work offline?"], ["cs.CL"])

CHILD = """
import os, signal, sys
from types import SimpleNamespace
from paperagent.config import load
from paperagent.digest.subscribers import Subscribers
from paperagent.web import signup
from paperagent.web.database import WebDatabase
from paperagent.web.site import Site

request_id, point = int(sys.argv[1]), sys.argv[2]

def die_before(owner, name):
    setattr(owner, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))

def die_after(owner, name):
    original = getattr(owner, name)
    def call(*args, **options):
        original(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, call)

site = Site(SimpleNamespace(settings=load()))
request = signup.find_request(site, request_id)
if point == "before":
    die_before(Subscribers, "confirm_signup")
if point == "inserted":
    die_before(Subscribers, "_set_confirmed")
if point == "confirmed":
    die_after(Subscribers, "_set_confirmed")
if point == "committed":
    die_after(Subscribers, "confirm_signup")
if point == "erased":
    die_before(WebDatabase, "_before_commit")
signup.confirm_request(site, request)
os.kill(os.getpid(), signal.SIGKILL)
"""
POINTS = {
    "before": False,
    "inserted": False,
    "confirmed": False,
    "committed": True,
    "erased": True,
    "after": True,
}
"""Point of the kill → whether the reader is subscribed then."""


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_half_confirmed(digest_home: Path, point: str) -> None:
    """The link works again, and a second confirmation changes nothing."""
    site = Site(SimpleNamespace(settings=load()))  # type: ignore[arg-type]  # no paper is needed
    request_id = signup.store_request(site, parse_address(EMAIL), PREFERENCES, "daily")
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(request_id), point],
        env=os.environ,
        check=False,
        timeout=60,
        capture_output=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    subscribers = site.digest.subscribers
    assert [s.email for s in subscribers.all()] == [EMAIL] * POINTS[point]
    request = signup.find_request(site, request_id)
    assert request is not None
    assert request.is_confirmed == (point == "after")
    if not request.is_confirmed:
        signup.confirm_request(site, request)
    (subscriber,) = subscribers.all()
    assert (subscriber.state, subscriber.frequency) == ("confirmed", "daily")
    assert subscriber.preferences == PREFERENCES
    site.close()
