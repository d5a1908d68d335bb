"""What the handlers of the web page share: the agent, the digest, the web database and the settings."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paperagent.digest.database import utc_now
from paperagent.web.conversation_store import ConversationStore
from paperagent.web.database import FILE_NAME, WebDatabase
from paperagent.web.metrics import Counters
from paperagent.web.page_cache import PageCache
from paperagent.web.rate_limit import RateLimiter
from paperagent.web.spending import Spending

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent
    from paperagent.config import Settings
    from paperagent.digest.links import SignedTokens
    from paperagent.digest.service import DigestService
    from paperagent.web.turns import TurnRunner

LOG = logging.getLogger("paperagent.web")


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
        self._worker = ThreadPoolExecutor(1, "mail")
        self._turns: TurnRunner | None = None

    @property
    def public_host(self) -> str | None:
        """The host name of the public address, in lower case."""
        return urlsplit(self.public_url).hostname if self.public_url else None

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
        """Answers the questions of the page. Turns of an earlier, killed server are ended when it is opened.

        Raises:
            StoreError: as for `database`.
        """
        with self._lock:
            if self._turns is None:
                from paperagent.web.turns import TurnRunner

                self.conversations.delete_expired()
                self.conversations.repair()
                self._turns = TurnRunner(self.agent, self.conversations)
            return self._turns

    def stop_turns(self) -> None:
        """Stop all running answers; what was written of them stays."""
        with self._lock:
            if self._turns is not None:
                self._turns.stop_all()

    def categories(self) -> list[str] | None:
        """Return the categories of the library, most frequent first; None if that would read every paper."""
        return None if self.settings.chroma_url else list(self.agent.facets().categories)

    @property
    def tokens(self) -> SignedTokens | None:
        """Creates and reads the tokens in links; None if no secret is set."""
        return self.digest.mailer.tokens

    def run_later(self, function: Callable[..., None], *arguments: object) -> Future[None]:
        """Call a function in the background, after the others, so that nobody waits for the mail server.

        Errors are logged.
        """

        def call() -> None:
            try:
                function(*arguments)
            except Exception:
                LOG.exception("a task in the background failed")

        return self._worker.submit(call)

    def close(self) -> None:
        """Stop the running answers and close what was opened; the agent stays open.

        Tasks in the background that have not begun are dropped.
        """
        with self._lock:
            turns, self._turns = self._turns, None
        if turns is not None:
            turns.close()
        self._worker.shutdown(cancel_futures=True)
        with self._lock:
            for resource in (self._digest, self._database):
                if resource is not None:
                    resource.__exit__(None, None, None)
            self._digest = self._database = None
