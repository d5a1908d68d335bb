"""Keeps pages in memory that depend only on their address and on the library."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from paperagent.errors import NoLibraryError
from paperagent.web import access

if TYPE_CHECKING:
    from collections.abc import Hashable

    from paperagent.web.http import Handler
    from paperagent.web.site import Site

MAX_BYTES = 8 * 1024 * 1024


class PageCache:
    """The most recently used responses, at most `MAX_BYTES` together. May be used by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._responses: OrderedDict[Hashable, tuple[bytes, dict[str, str]]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> Response | None:
        """Return a new response with the stored body and headers, or None."""
        with self._lock:
            stored = self._responses.get(key)
            if stored is None:
                return None
            self._responses.move_to_end(key)
        return Response(stored[0], headers=stored[1])

    def put(self, key: Hashable, response: Response) -> None:
        """Store a response, and drop the least recently used ones."""
        body = bytes(response.body)
        response.headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        with self._lock:
            former = self._responses.pop(key, None)
            self._size += _size(key, body) - (_size(key, former[0]) if former else 0)
            self._responses[key] = body, dict(response.headers)
            while self._size > self._max_bytes:
                dropped, (body, _) = self._responses.popitem(last=False)
                self._size -= _size(dropped, body)


def _size(key: Hashable, body: bytes) -> int:
    return len(str(key)) + len(body)  # an address can be longer than its page


def cached(handler: Handler) -> Handler:
    """Return ``handler`` with its pages kept until the library changes or the day ends.

    Only for pages that are the same for every anonymous reader. Responses other than 200 are not kept.
    """

    def call(site: Site, request: Request) -> Response:
        if access.visitor(site, request).user is not None:
            return handler(site, request)
        try:
            state = site.agent.library_state()
        except NoLibraryError:
            return handler(site, request)
        url = request.url
        key = (state, site.today(), url.scheme, url.netloc, url.path, url.query)
        response = site.pages.get(key)
        if response is None:
            response = handler(site, request)
            if response.status_code == 200:
                site.pages.put(key, response)
        return response

    return call
