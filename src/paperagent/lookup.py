"""Find papers by an id in any notation, by the beginning of an id, or by an author's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent import arguments
from paperagent.errors import InputError, visible
from paperagent.types import Filters, Hit, Paper

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.digest.preferences import Example
    from paperagent.library import Candidate, Store
    from paperagent.types import Vector

MIN_PREFIX = 4
"""The shortest beginning of an id that is accepted."""
_MAX_CANDIDATES = 5
"""Papers listed in the error for an ambiguous id."""
_MAX_PREFIX_LENGTH = 300
_HEX = re.compile(r"[0-9a-f]+")
_NAME = re.compile(r"[^\W\d_][^\W\d_.'’-]*\.?(?:[ ,'’-]+[^\W\d_]+\.?){0,4}")
"""A possible name of an author: up to five words without digits."""


class PaperNotFoundError(InputError, KeyError):
    """The library has no paper with this id."""


def find_paper(store: Store, paper_id: str) -> Paper:
    """Return the paper with an id, or with the only id that begins with ``paper_id``.

    Args:
        store: The library.
        paper_id: A present or former id, in any notation of `arguments.paper_ids`, or its first characters.

    Raises:
        PaperNotFoundError: There is no such paper.
        InputError: Several ids begin with ``paper_id``; the message lists them.
    """
    ids = arguments.paper_ids(paper_id)
    papers = store.get_many(ids) if arguments.is_text(paper_id) else {}
    if paper := next((papers[i] for i in ids if i in papers), None):
        return paper
    beginnings = _prefixes(paper_id)
    matches = store.starting_with(beginnings, limit=_MAX_CANDIDATES + 1) if beginnings else []
    if len(matches) == 1:
        return matches[0]
    name = visible(paper_id.strip(), limit=80)
    if not matches:
        raise PaperNotFoundError(
            f"paper: no paper with the id {name}; `paperagent search` and `paperagent list` show ids"
        )
    candidates = ", ".join(f"{p.paper_id} ({visible(p.title, limit=40)})" for p in matches[:_MAX_CANDIDATES])
    more = ", …" if len(matches) > _MAX_CANDIDATES else ""
    raise InputError(f"paper: {name} matches several ids: {candidates}{more}; give more characters")


def _prefixes(text: str) -> list[str]:
    """Return the possible beginnings of stored ids that ``text`` abbreviates; none if it is too short."""
    text = text.strip()
    if not (len(text) <= _MAX_PREFIX_LENGTH and text.isascii() and text.isprintable()) or " " in text:
        return []
    text = re.sub(r"(?i)^(?:arxiv|id):", "", text)
    lower = text.lower()
    prefixes = [text, lower]
    if lower.startswith("10."):
        prefixes.append(f"doi:{lower}")
    if _HEX.fullmatch(lower):
        prefixes.append(f"sha256:{lower}")
    return [p for p in dict.fromkeys(prefixes) if len(p.rpartition(":")[2]) >= MIN_PREFIX]


# --- queries that name papers ---


def named_papers(store: Store, query: str, filters: Filters, *, limit: int) -> list[Paper]:
    """Return the papers that ``query`` names: the one with this id, or those by this author.

    A name counts only if all matching authors could be the same person. A single word that also occurs in a
    title or abstract does not count as a name.
    """
    from paperagent.feeds import ids

    text = query.strip()
    candidates = arguments.paper_ids(text)
    if len(candidates) > 1 or ids.parse_paper_id(text) or ids.is_service_id(text):
        papers = store.get_many(candidates)
        return [p for i in candidates if (p := papers.get(i)) and filters.admits(p)][:1]
    if filters.author or not _NAME.fullmatch(text) or not _may_be_name(store, text):
        return []
    papers_by = store.list_papers(replace(filters, author=text), limit=limit)
    return papers_by if _is_one_person(papers_by, text) else []


def _may_be_name(store: Store, text: str) -> bool:
    from paperagent.text.terms import STOP_WORDS, index_terms, words

    if any(word in STOP_WORDS and len(word) > 1 for word in words(text)):
        return False
    if len(words(text)) > 1:
        return True
    stems = index_terms(text)
    return not any(store.corpus_stats(stems)[2].values())


def _is_one_person(papers: Sequence[Paper], author: str) -> bool:
    """Return whether all authors that match ``author`` could be the same person, allowing for initials."""
    from paperagent.text.author_names import is_same_name, name_words

    query = name_words(author)
    names = {name_words(name) for paper in papers for name in paper.authors}
    matching = [name for name in names if is_same_name(query, name)]
    longest = max(matching, key=lambda name: sum(map(len, name)), default=())
    return all(is_same_name(name, longest) for name in matching)


def put_first(papers: Sequence[Paper], hits: Sequence[Hit], *, k: int) -> list[Hit]:
    """Return ``papers`` followed by the other hits, at most ``k`` in total."""
    by_id = {hit.paper_id: hit for hit in hits}
    from paperagent.retrieval.scoring import NAMED_SCORE

    best = max([NAMED_SCORE, *(hit.score for hit in hits)])
    first = [replace(by_id.get(p.paper_id, Hit(p, best, 0)), score=best) for p in papers]
    names = {paper.paper_id for paper in papers}
    ordered = [*first, *(hit for hit in hits if hit.paper_id not in names)][:k]
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=1)]


# --- related papers ---


def related_hits(store: Store, paper: Paper, *, k: int, filters: Filters) -> list[Hit] | None:
    """Return the papers whose vectors are nearest to that of ``paper``; None if it has no vector."""
    features = store.get_with_features([paper.paper_id]).get(paper.paper_id)
    if features is None or features.vector is None:
        return None
    candidates = store.candidates(stems=[], vector=features.vector, limit=k + 1, filters=filters)
    scores = {c.paper_id: _cosine(features.vector, c) for c in candidates if c.paper_id != paper.paper_id}
    papers = store.get_many(scores)
    ordered = sorted((i for i in scores if i in papers), key=lambda i: (-scores[i], i))[:k]
    return [Hit(papers[i], scores[i], rank, vector=scores[i]) for rank, i in enumerate(ordered, start=1)]


def _cosine(vector: Vector, candidate: Candidate) -> float:
    return 0.0 if candidate.vector is None else float(vector @ candidate.vector)


# --- papers as interests ---


def read_examples(settings: Settings, sources: Iterable[str]) -> list[Example]:
    """Return the papers that a subscriber names as interests; nothing is added to the library.

    Args:
        settings: Where the library is, and how feeds are fetched.
        sources: Ids of papers, and feeds such as ``refs.bib`` or ``zotero:users/1``. A paper of arXiv
            that the library does not have is fetched.

    Raises:
        InputError: there is no such paper, or a feed has too many or none.
        FeedError: a feed cannot be read.
    """
    from paperagent.digest.preferences import Example
    from paperagent.factory import open_store
    from paperagent.library.followed_feeds import is_file

    examples: list[Example] = []
    with open_store(settings) as store:
        for source in sources:
            try:
                papers = _read_papers(settings, source) if is_file(source) else []
                papers = papers or [find_paper(store, source)]
            except PaperNotFoundError:
                papers = _read_papers(settings, source)
            stored = store.get_many([p.paper_id for p in papers])
            for paper in papers:
                known_paper = stored.get(paper.paper_id)
                abstract = "" if known_paper else paper.abstract
                examples.append(Example((known_paper or paper).paper_id, paper.title, abstract))
    return examples


def _read_papers(settings: Settings, source: str) -> list[Paper]:
    """Read the papers of a feed, or fetch one from arXiv, without storing them."""
    from paperagent.digest.preferences import MAX_EXAMPLES
    from paperagent.feeds import ids, services
    from paperagent.feeds.reader import open_feed
    from paperagent.ingest import make_feed_client

    if (arxiv := ids.parse_arxiv_id(source)) is not None and not Path(source).exists():
        source = f"arxiv:{arxiv.id}"
    if (live_feed := services.find_live_feed(source)) is None:
        with open_feed(source) as feed:
            entries = list(islice(feed.records, MAX_EXAMPLES + 1))
    else:
        client = make_feed_client(settings)
        entries = []
        try:
            for page in live_feed.pages(client, {}):
                entries += page.entries
                if len(entries) > MAX_EXAMPLES:
                    break
        finally:
            client.close()
    papers = [entry for entry in entries if isinstance(entry, Paper)]
    if not papers or len(entries) > MAX_EXAMPLES:
        count = f"more than {MAX_EXAMPLES} papers" if papers else "no paper"
        raise InputError(
            f"like: {visible(source, limit=80)}: {count}; give the id of a paper, or a short list"
        )
    return papers
