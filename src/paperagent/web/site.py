"""What the handlers of the web page share: the agent, the digest, the web database and the settings."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paperagent.digest.database import SERVER_LOCK, utc_now
from paperagent.errors import NoLibraryError
from paperagent.web.conversation_store import ConversationStore
from paperagent.web.database import FILE_NAME, WebDatabase
from paperagent.web.metrics import Counters
from paperagent.web.page_cache import PageCache
from paperagent.web.rate_limit import RateLimiter
from paperagent.web.spending import Spending

if TYPE_CHECKING:
    from pathlib import Path

    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.digest.links import SignedTokens
    from paperagent.digest.service import DigestService
    from paperagent.storage.locks import ProcessLock
    from paperagent.web.turns import TurnRunner

LOG = logging.getLogger("paperagent.web")
CLOSE_SECONDS = 3.0
"""How long shutdown waits for tasks that may hang, such as a connection to a mail server."""


class Site:
    """One served library. Its methods may be called from several threads.

    The digest and the web database are opened when they are first used, because both need a library.
    """

    def __init__(
        self,
        agent: PaperAgent,
        *,
        public_url: str | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Create a site.

        Args:
            agent: Answers questions and searches; shared by all requests.
            public_url: The address that readers use; None for the address of the request.
            clock: Returns the current time in UTC.
        """
        self.agent = agent
        self.settings: Settings = agent.settings
        self.public_url = public_url or self.settings.public_url
        self.clock = clock
        self.pages = PageCache()
        self.limiter = RateLimiter()
        self.counters = Counters()
        self._lock = threading.RLock()
        self._digest: DigestService | None = None
        self._database: WebDatabase | None = None
        self._background = BackgroundQueue()
        self._turns: TurnRunner | None = None
        self._server_lock: ProcessLock | None = None

    def today(self) -> dt.date:
        """Return the current day in the time zone of the settings."""
        return self.clock().astimezone(self.settings.zone).date()

    @cached_property
    def public_host(self) -> str | None:
        """The host name of the public address as browsers send it: in lower case and in ASCII (IDNA)."""
        host = urlsplit(self.public_url).hostname if self.public_url else None
        if host is None or host.isascii():
            return host
        with suppress(UnicodeError):
            return host.encode("idna").decode()
        return host

    @property
    def is_https(self) -> bool:
        """Whether readers reach the page by HTTPS."""
        return bool(self.public_url and self.public_url.startswith("https:"))

    @property
    def digest(self) -> DigestService:
        """The digest of the library.

        Raises:
            StoreError: there is no library, or the digest's file cannot be used.
        """
        with self._lock:
            if self._digest is None:
                from paperagent.factory.digest import digest_service

                self._digest = digest_service(self.settings)
            return self._digest

    @property
    def database(self) -> WebDatabase:
        """The web page's own database.

        Raises:
            StoreError: there is no library, or the file cannot be used.
        """
        with self._lock:
            if self._database is None:
                from paperagent.library.home import check_home

                home = check_home(self.settings.home, create=self.settings.chroma_url is not None)
                self._database = WebDatabase(home / FILE_NAME)
            return self._database

    @property
    def spending(self) -> Spending:
        """What the answers of a day may cost.

        Raises:
            StoreError: as for `database`.
        """
        return Spending(
            self.database,
            per_day=self.settings.web_max_cost_per_day,
            per_asker=self.settings.web_max_cost_per_asker_per_day,
            clock=self.clock,
        )

    @property
    def conversations(self) -> ConversationStore:
        """The conversations of the page.

        Raises:
            StoreError: as for `database`.
        """
        return ConversationStore(self.database, keep_days=self.settings.web_keep_days, clock=self.clock)

    @property
    def turns(self) -> TurnRunner:
        """Answers the questions of the page.

        When it is opened, it ends the turns of an earlier, killed server, unless another process
        also serves the library and may own them.

        Raises:
            StoreError: as for `database`.
        """
        with self._lock:
            if self._turns is None:
                from paperagent.web.turns import TurnRunner

                self.conversations.delete_expired()
                if self._is_only_server(self.database.path.with_name(SERVER_LOCK)):
                    self.conversations.repair()
                else:
                    LOG.warning("another process also serves this library")
                self._turns = TurnRunner(self.agent, self.conversations)
            return self._turns

    def _is_only_server(self, file: Path) -> bool:
        """Return whether no other process holds the lock of the library's page; if so, take it."""
        from paperagent.storage.locks import ProcessLock

        try:
            self._server_lock = self._server_lock or ProcessLock(file)
            return self._server_lock.acquire()
        except OSError:  # the file system has no locks
            return True

    def stop_turns(self) -> None:
        """Stop all running answers; what was written so far stays."""
        with self._lock:
            if self._turns is not None:
                self._turns.stop_all()

    def categories(self) -> list[str] | None:
        """Return the categories of the library, most frequent first; None if that would read every paper."""
        if self.settings.chroma_url:
            return None
        try:
            return list(self.agent.facets().categories)
        except NoLibraryError:
            return []

    @cached_property
    def tokens(self) -> SignedTokens | None:
        """Creates and reads the tokens in links, without opening the digest; None if no secret is set."""
        from paperagent.digest.links import SignedTokens

        secret = self.settings.secret
        return SignedTokens(secret.get_secret_value()) if secret else None

    def run_later(self, function: Callable[..., None], *arguments: object) -> Future[None]:
        """Queue a function to run in the background, so that no request waits for the mail server.

        Errors are logged.
        """
        return self._background.add(partial(function, *arguments))

    def close(self) -> None:
        """Stop the running answers and close what was opened; the agent stays open.

        Background tasks that have not started are dropped. A running one gets `CLOSE_SECONDS`.
        """
        with self._lock:
            turns, self._turns = self._turns, None
        if turns is not None:
            turns.close()
        self._background.close()
        with self._lock:
            for resource in (self._digest, self._database, self._server_lock):
                if resource is not None:
                    resource.__exit__(None, None, None)
            self._digest = self._database = self._server_lock = None


class BackgroundQueue:
    """Calls functions one after another in a thread that does not keep the process alive."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="background", daemon=True)
        self._thread.start()

    def add(self, function: Callable[[], None]) -> Future[None]:
        """Call a function after those that were added before; errors are logged."""
        future: Future[None] = Future()
        self._tasks.put((function, future))
        return future

    def close(self) -> None:
        """Drop the tasks that have not started, and wait at most `CLOSE_SECONDS` for the running one."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        self._tasks.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            function, future = task
            try:
                function()
            except Exception:
                LOG.exception("a task in the background failed")
            future.set_result(None)
