"""Where a Chroma server is, what it allows, and the key for it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from paperagent.errors import ConfigError, visible

CLOUD_HOST = "https://api.trychroma.com"


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one request may hold: the limits that Chroma Cloud documents, kept everywhere."""

    batch: int = 300
    """Records of a write, ids of a look-up."""
    results: int = 300
    id_bytes: int = 128
    value_bytes: int = 4_096
    document_bytes: int | None = None
    """None: as many as a request may hold."""


OWN = Quotas()
CLOUD = Quotas(document_bytes=16_384)


@dataclass(frozen=True, slots=True)
class Address:
    """One database of one server."""

    base: str
    """Scheme, host and port."""
    tenant: str = "default_tenant"
    database: str = "default_database"
    key: str | None = field(default=None, repr=False)
    quotas: Quotas = OWN
    cloud: bool = False

    @classmethod
    def parsed(cls, url: str, *, key: str | None = None) -> Address:
        """Return the address that ``PAPERAGENT_CHROMA_URL`` names.

        Raises:
            ConfigError: it cannot be used, or Cloud's key is missing.
        """
        if not url.startswith("cloud://"):
            parts = urlsplit(url)
            return cls(f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), key=key)
        tenant, _, database = url.removeprefix("cloud://").rstrip("/").partition("/")
        if not key:
            raise ConfigError("PAPERAGENT_CHROMA_KEY: not set; Chroma Cloud needs the key of its database")
        return cls(CLOUD_HOST, tenant, database, key, CLOUD, cloud=True)

    @property
    def name(self) -> str:
        """The address as messages show it."""
        if self.cloud:
            return visible(f"cloud://{self.tenant}/{self.database}", limit=200)
        return visible(self.base, limit=200)

    @property
    def path(self) -> str:
        """The path below which the database's collections are."""
        return f"/api/v2/tenants/{quote(self.tenant, safe='')}/databases/{quote(self.database, safe='')}"

    def headers(self) -> dict[str, str]:
        """Return the headers that carry the key: Cloud's own, and what a proxy in front of a server reads."""
        if not self.key:
            return {}
        return {"x-chroma-token": self.key} if self.cloud else {"Authorization": f"Bearer {self.key}"}

    def clean(self, text: str) -> str:
        """Return a server's ``text`` on one line, short, without the key in any form."""
        if self.key:
            for form in (self.key, quote(self.key, safe=""), base64.b64encode(self.key.encode()).decode()):
                text = text.replace(form, "***")
        return visible(" ".join(text.split()), limit=160)
