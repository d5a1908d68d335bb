"""Where a mail's links lead: the reader's own pages, each with a signed token."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from paperagent.digest.render.view import ReaderLinks
from paperagent.digest.signed_tokens import Tokens


@dataclass(frozen=True, slots=True)
class LinkMaker:
    """Makes the links of every reader's mail.

    Without `public_url` there is no page to lead to, and without `tokens` nobody could tell whose
    link it is: then a mail to the sender is the one way to unsubscribe.
    """

    public_url: str | None = None
    tokens: Tokens | None = None
    reply_to: str | None = None
    """The address that unsubscribing mails go to."""

    def of(self, subscriber_id: int) -> ReaderLinks:
        """Return a reader's links, the same at every call."""
        base, tokens = self.public_url, self.tokens
        if base is None or tokens is None:
            return ReaderLinks(mailto=self._mailto(subscriber_id), archive=base and f"{base}/archive/")
        signed = tokens

        def feedback(paper_id: str, kind: str) -> str:
            return f"{base}/feedback/{signed.make('feedback', subscriber_id, paper_id, kind)}"

        return ReaderLinks(
            unsubscribe=f"{base}/unsubscribe/{tokens.make('unsubscribe', subscriber_id)}",
            mailto=self._mailto(subscriber_id),
            preferences=f"{base}/preferences/{tokens.make('preferences', subscriber_id)}",
            archive=f"{base}/archive/",
            feedback=feedback,
        )

    def confirm(self, subscriber_id: int) -> str | None:
        """Return where a new reader agrees to be written to; the link works for 48 hours."""
        if self.public_url is None or self.tokens is None:
            return None
        return f"{self.public_url}/confirm/{self.tokens.make('confirm', subscriber_id)}"

    def _mailto(self, subscriber_id: int) -> str | None:
        if self.reply_to is None:
            return None
        words = ["unsubscribe"]
        if self.tokens is not None:
            words.append(self.tokens.make("unsubscribe", subscriber_id))
        return f"mailto:{quote(self.reply_to, safe='@')}?subject={quote(' '.join(words))}"
