"""The facets of a local library and the summary of its last ingest, both stored in the library."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from paperagent.library.facets import LAST_INGEST, STORED_FACETS, Facets, Group, count_groups
from paperagent.library.local.database import LibraryDatabase
from paperagent.storage.sqlite import transaction

_DAY = "coalesce(published, listed)"
_GROUPS = (
    f"SELECT categories, sources, min({_DAY}), max({_DAY}), count(*), count({_DAY}) "
    "FROM papers GROUP BY categories, sources"
)


class LibraryCounts:
    """The facets of an open ``library.db``, cached for one revision of the papers."""

    def __init__(self, db: LibraryDatabase) -> None:
        self._db = db
        self._facets: tuple[int, Facets] | None = None
        """The revision at which the papers were counted, and the facets."""

    def facets(self) -> Facets:
        """Return the facets; papers are counted only if one has changed since the last ingest."""
        revision = self._db.meta("revision")
        if self._facets is None or self._facets[0] != revision:
            self._facets = revision, self._stored(revision) or self._count()
        return self._facets[1]

    def _stored(self, revision: int) -> Facets | None:
        text = self._db.setting(STORED_FACETS)
        stored = json.loads(text) if text else None
        return Facets.from_dict(stored) if stored and stored["revision"] == revision else None

    def _count(self) -> Facets:
        with self._db.reading() as connection:
            return count_groups(map(_group, connection.execute(_GROUPS).fetchall()))

    def record_ingest(self, summary: Mapping[str, Any]) -> None:
        """Store the summary of an ingest, and the facets; this does not count as a change."""
        stored = {"revision": self._db.meta("revision"), **self.facets().to_dict()}
        values = [(STORED_FACETS, json.dumps(stored)), (LAST_INGEST, json.dumps(dict(summary)))]
        with self._db.reading() as connection, transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values)


def _group(row: Sequence[Any]) -> Group:
    categories, sources, first, last, count, dated = row
    days = (dt.date.fromisoformat(day) if day else None for day in (first, last))
    return tuple(json.loads(categories)), tuple(json.loads(sources)), *days, count, dated
