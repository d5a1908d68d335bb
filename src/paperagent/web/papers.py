"""The page of one paper, with an address for each sentence of its abstract, and its downloads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from paperagent.digest.links import paper_path
from paperagent.digest.render import formatting
from paperagent.errors import InputError, NoLibraryError
from paperagent.lookup import PaperNotFoundError
from paperagent.text.readable import readable, readable_with_offsets
from paperagent.text.sanitize import safe_url
from paperagent.text.sentences import split_sentences
from paperagent.types import Paper
from paperagent.ui import export
from paperagent.web.cards import card, date_in_words, day_of
from paperagent.web.feed_query import FeedQuery
from paperagent.web.http import REVALIDATE, Route, not_found, page
from paperagent.web.page_cache import cached

if TYPE_CHECKING:
    from paperagent.web.site import Site

RELATED = 5
_MAX_AUTHORS = 200
_MAX_SEARCHED = 200
"""Characters of a title that is searched for elsewhere."""
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9.]+")
_Export = Callable[[Iterable[Paper]], Iterator[str]]
_DOWNLOADS: dict[str, tuple[_Export, str]] = {
    "bib": (export.bibtex, "application/x-bibtex; charset=utf-8"),
    "ris": (export.ris, "application/x-research-info-systems; charset=utf-8"),
    "json": (export.jsonl, "application/json"),
}
"""File name extension → how a paper is written, and the media type."""


class ArxivIdConvertor(StringConvertor):
    """An arXiv id in the path, with or without its version."""

    regex = r"[0-9]{4}\.[0-9]{4,5}(?:v[0-9]{1,4})?|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7}(?:v[0-9]{1,4})?"


register_url_convertor("arxiv", ArxivIdConvertor())


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence of an abstract as it is shown."""

    anchor: str
    """``s1`` for the first sentence."""
    text: str


def show_paper(site: Site, request: Request) -> Response:
    """Show a paper; redirect its other ids to the current one."""
    paper = _find(site, request.path_params["id"])
    if paper.paper_id != request.path_params["id"]:
        return RedirectResponse(paper_path(paper.paper_id), 301)
    return _paper_page(site, request, paper)


def _paper_page(site: Site, request: Request, paper: Paper) -> Response:
    related = [card(hit.paper) for hit in site.agent.related(paper.paper_id, k=RELATED)]
    return page(
        site,
        request,
        "paper.html.j2",
        paper=paper,
        title=formatting.clean_text(paper.title, formatting.MAX_TITLE),
        address=paper_path(paper.paper_id),
        ask=f"/ask?{urlencode({'paper': paper.paper_id})}",
        sentences=shown_sentences(paper.abstract),
        authors=[
            (formatting.clean_text(name, formatting.MAX_NAME), FeedQuery(author=name).address())
            for name in paper.authors[:_MAX_AUTHORS]
        ],
        more_authors=max(0, len(paper.authors) - _MAX_AUTHORS),
        dates=_dates(paper),
        categories=[(name, FeedQuery(category=name).address()) for name in paper.categories],
        sources=[(name, FeedQuery(source=name).address()) for name in paper.sources],
        links=_links(paper) or [_title_search(paper)],
        unlinked=_unlinked(paper),
        related=related,
    )


def shown_sentences(abstract: str) -> list[ShownSentence]:
    """Return the sentences of an abstract without markup; their numbers are those of `split_sentences`."""
    displayed = readable_with_offsets(abstract)
    sentences = []
    for sentence in split_sentences(abstract):
        start, end = displayed.shown_span(sentence.start, sentence.end)
        text = formatting.cut(formatting.one_line(displayed.text[start:end]), formatting.MAX_QUOTE)
        sentences.append(ShownSentence(f"s{sentence.index + 1}", text))
    return sentences


def download(site: Site, request: Request, *, extension: str) -> Response:
    """Send a paper as a file for a reference manager. An id that ends like a file name shows its page."""
    whole_id = f"{request.path_params['id']}.{extension}"
    with suppress(InputError, NoLibraryError):
        if (paper := site.agent.get(whole_id)).paper_id == whole_id:
            return _paper_page(site, request, paper)
    paper = _find(site, request.path_params["id"])
    if paper.paper_id != request.path_params["id"]:
        return RedirectResponse(f"{paper_path(paper.paper_id)}.{extension}", 301)
    write, media_type = _DOWNLOADS[extension]
    name = _NOT_IN_FILE_NAMES.sub("-", paper.paper_id).strip("-.")[:80] or "paper"
    body = "".join(write([paper])).encode(errors="backslashreplace")
    headers = {"Content-Disposition": f'attachment; filename="{name}.{extension}"'}
    return Response(body, media_type=media_type, headers=headers)


def redirect_arxiv_id(site: Site, request: Request) -> Response:
    """Redirect ``/2508.13426`` to the paper, so readers only have to replace arXiv's host name."""
    return RedirectResponse(paper_path(_find(site, request.path_params["id"]).paper_id), 302)


def _find(site: Site, paper_id: str) -> Paper:
    try:
        return site.agent.get(paper_id)
    except (PaperNotFoundError, NoLibraryError):
        raise not_found("The library has no paper with this id.") from None
    except InputError:
        raise not_found("Several papers have ids that begin like this. Use a longer id.") from None


def _dates(paper: Paper) -> str:
    text = date_in_words(paper)
    if paper.updated and paper.updated != paper.published:
        text += f", updated {day_of(paper, paper.updated)}"
    return text[:1].upper() + text[1:]


def _links(paper: Paper) -> list[tuple[str, str]]:
    """Return the labels and addresses of the paper's pages at known sites."""
    links = []
    if paper.arxiv_id:
        links += [
            ("arXiv", f"https://arxiv.org/abs/{paper.arxiv_id}"),
            ("PDF", f"https://arxiv.org/pdf/{paper.arxiv_id}"),
        ]
    if paper.doi:
        links.append(("DOI", f"https://doi.org/{paper.doi}"))
    url = safe_url(paper.url)
    if url and formatting.is_linkable(url):
        host = (urlsplit(url).hostname or "").removeprefix("www.")
        if host not in {urlsplit(address).hostname for _, address in links}:
            links.append((host, url))
    return [(label, url) for label, url in links if safe_url(url)]


def _title_search(paper: Paper) -> tuple[str, str]:
    """Return the label and the address of a search on arXiv, for a paper that has no page elsewhere."""
    title = formatting.one_line(readable(paper.title))[:_MAX_SEARCHED]
    parameters = urlencode({"query": title, "searchtype": "title"})
    return "Search for this title on arXiv", f"https://arxiv.org/search/?{parameters}"


def _unlinked(paper: Paper) -> str:
    """Return the feed's address of the paper if it leads to an unknown site; it is shown as text."""
    url = formatting.paper_url(paper)
    return url if url and not formatting.is_linkable(url) else ""


ROUTES = (
    *(
        Route(
            f"/paper/{{id:path}}.{extension}",
            cached(partial(download, extension=extension)),
            cache=REVALIDATE,
        )
        for extension in _DOWNLOADS
    ),
    Route("/paper/{id:path}", cached(show_paper), cache=REVALIDATE, indexed=True),
    Route("/{id:arxiv}", redirect_arxiv_id),
)
