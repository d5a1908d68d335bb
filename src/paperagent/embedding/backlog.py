"""Embedding a backlog in bulk: collect what finished batches hold, send what waits."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from paperagent.embedding.openai_batch import Batches, Collected
from paperagent.errors import visible
from paperagent.types import Progress

if TYPE_CHECKING:
    from paperagent.library import Store
    from paperagent.types import Embedder


SETTING = "embedding_batches"


def advance(
    store: Store, embedder: Embedder, batches: Batches, *, progress: Progress | None = None
) -> tuple[int, tuple[str, ...]]:
    """Take the batches of this library a step further; return vectors added, and what there is to say.

    Call it again until nothing is pending. The ids are kept with the library; a batch that was made by a call
    that was killed before it could keep the id is found again by its mark.
    """
    kept = store.get_setting(SETTING) or {}
    mark = str(kept.get("mark") or secrets.token_hex(8))
    done = [str(i) for i in kept.get("done") or []]
    known = [str(i) for i in kept.get("open") or []]
    if kept:
        known += [i for i in batches.marked(mark) if i not in {*known, *done}]
    added, notes, open_ids = 0, list[str](), list[str]()

    def keep() -> None:
        store.set_setting(SETTING, {"mark": mark, "open": open_ids, "done": done[-100:]})

    jobs = [batches.job(batch_id) for batch_id in known]
    open_ids = [job.batch_id for job in jobs if not job.finished]
    for job in (job for job in jobs if job.finished):
        collected = Collected(batches.results(job), embedder)
        added += store.embed_pending(collected, progress=progress)[0]
        done.append(job.batch_id)
        keep()
        notes += [f"batch {visible(job.batch_id)} {job.status}{job.why and ': ' + job.why}"]
    # One round at a time: what is on its way must not be sent, and paid, twice.
    if not open_ids and not any(job.status == "failed" for job in jobs):
        keep()
        for batch_id in batches.submit(store.pending_texts(), mark=mark):
            open_ids.append(batch_id)
            keep()
    if open_ids:
        notes.append(
            f"batches on their way: {len(open_ids)}, the first {open_ids[0]}; run the same command later"
        )
    return added, tuple(notes)
