"""A withdrawal that comes without its paper, in a folder and on a server."""

from __future__ import annotations

from library_helpers import TODAY, FakeEmbedder, Place, ingest, paper, papers
from paperagent.types import Withdrawal


def test_a_withdrawal_marks_the_paper_and_leaves_its_text_and_vector(place: Place) -> None:
    """The next reading of a feed that knows of none does not take it back; an unknown paper is skipped."""
    with place.open(create=True) as store:
        ingest(store, papers(4))
        embedder = FakeEmbedder()
        store.embed_pending(embedder)
        words = [Withdrawal(paper(2).paper_id, "arxiv-oai"), Withdrawal("9999.00001", "arxiv-oai")]
        report = store.ingest(words, today=TODAY)
        assert (report.changed, report.new) == (1, 0)
        assert report.skipped == {"withdrawn, and not in the library": 1}
        ingest(store, papers(4))
        assert store.embed_pending(embedder)[1] == 0
        assert len(embedder.texts) == 4
        held = store.get(paper(2).paper_id)
        assert held is not None
        assert held.withdrawn
        assert (held.abstract, held.sources) == (paper(2).abstract, ("test-feed", "arxiv-oai"))
        assert store.doctor().ok
