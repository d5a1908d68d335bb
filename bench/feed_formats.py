"""Compare the fields that we read in each format with those of an independent parser.

    pip install bibtexparser==2.1.0 rispy nbib feedparser pyalex
    python bench/feed_formats.py

Reads the invented files of `tests/feeds/samples`. A cell is the number of papers in which the field is the
same, and the number of papers that both parsers have. Only letters and digits are compared, because parsers
differ in markup, and of a date only the year. Below the table is every difference. Where no library reads a
format, the parser is a few lines over the standard library's `csv`, `json` or `ElementTree`.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds.reader import parse_feed
from paperagent.types import Paper

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "feeds" / "samples"
FIELDS = ("title", "abstract", "authors", "year", "doi")
Record = dict[str, str]


def record(title: Any, abstract: Any, authors: Iterable[Any], date: Any, doi: Any) -> Record:
    """Return comparable fields: letters and digits, the year, and the words of all names in order."""
    year = re.search(r"\d{4}", str(date or ""))
    doi_match = re.search(r"10\.\d{4,9}/\S+", str(doi or "").replace("}", " ").replace("\\_", "_"))
    return {
        "title": letters(title),
        "abstract": letters(abstract),
        "authors": " ".join(sorted(word for name in authors for word in re.findall(r"\w+", fold(name)))),
        "year": year[0] if year else "",
        "doi": doi_match[0].lower().rstrip(".,;") if doi_match else "",
    }


def fold(text: Any) -> str:
    decomposed = unicodedata.normalize("NFKD", html.unescape(str(text or "")).casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def letters(text: Any) -> str:
    plain = re.sub(r"<[^<>]{1,200}>", " ", html.unescape(str(text or "")))
    return "".join(re.findall(r"[^\W_]", fold(re.sub(r"\\[A-Za-z]+", "", plain))))


# --- independent parsers ---


def bibtexparser(data: str) -> Iterator[Record]:
    import bibtexparser as library
    from bibtexparser import middlewares

    steps = [middlewares.NormalizeFieldKeys(), middlewares.LatexDecodingMiddleware()]
    for entry in library.parse_string(data, append_middleware=steps).entries:
        get = {field.key: str(field.value) for field in entry.fields}.get
        date = get("year") or get("date")
        yield record(get("title"), get("abstract"), (get("author") or "").split(" and "), date, get("doi"))


def rispy(data: str) -> Iterator[Record]:
    import rispy as library

    for r in library.loads(data):
        title = r.get("title") or r.get("primary_title")
        abstract = r.get("abstract") or r.get("notes_abstract")
        authors = r.get("authors") or r.get("first_authors") or []
        yield record(title, abstract, authors, r.get("year") or r.get("publication_year"), r.get("doi"))


def nbib(data: str) -> Iterator[Record]:
    import nbib as library

    for r in library.read(data):
        authors = [author.get("author") for author in r.get("authors", [])]
        yield record(r.get("title"), r.get("abstract"), authors, r.get("publication_date"), r.get("doi"))


def feedparser(data: str) -> Iterator[Record]:
    import feedparser as library

    for entry in library.parse(data.encode()).entries:
        authors = re.split(r", | and ", ", ".join(a.get("name", "") for a in entry.get("authors", [])))
        doi = entry.get("prism_doi") or entry.get("dc_identifier") or entry.get("id")
        summary = re.sub(r"^arXiv:\S+ Announce Type: \S+\s+Abstract: ", "", entry.get("summary", ""))
        yield record(
            entry.get("title"), summary, authors, entry.get("published") or entry.get("updated"), doi
        )


def pubmed(data: str) -> Iterator[Record]:
    root = ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", data))  # noqa: S314
    for article in root.iter("PubmedArticle"):
        text = partial(_element_text, article)
        authors = ["".join(author.itertext()) for author in article.iter("Author")]
        labeled = " ".join(
            f"{part.get('Label', '')} {''.join(part.itertext())}" for part in article.iter("AbstractText")
        )
        date = text(".//ArticleDate/Year") or text(".//PubDate")
        yield record(text(".//ArticleTitle"), labeled, authors, date, text(".//ELocationID"))


def _element_text(root: ET.Element, path: str) -> str:
    return "".join(text for element in root.findall(path)[:1] for text in element.itertext())


def jats(data: str) -> Iterator[Record]:
    root = ET.fromstring(re.sub(r'\sxmlns="[^"]*"', "", re.sub(r"<!DOCTYPE[^>]*>", "", data)))  # noqa: S314
    for meta in root.iter("article-meta"):
        text = partial(_element_text, meta)
        authors = [" ".join(contrib.itertext()) for contrib in meta.iter("name")]
        doi = text("article-id[@pub-id-type='doi']")
        yield record(
            text("title-group/article-title"), text("abstract"), authors, text(".//pub-date/year"), doi
        )


def csv_rows(data: str) -> Iterator[Record]:
    delimiter = max("\t;,", key=data.split("\n", 1)[0].count)
    for row in csv.DictReader(io.StringIO(data.lstrip("\ufeff")), delimiter=delimiter):
        low = {str(key).strip().lower(): value for key, value in row.items()}
        column = lambda *names, low=low: next((low[n] for n in names if low.get(n)), "")  # noqa: E731
        yield record(
            column("title", "document title", "article title", "display_name", "ti"),
            column("abstract", "abstract note", "summary", "ab"),
            re.split(r"; ?|(?<=\.), ", column("author", "authors", "author full names", "af", "au")),
            column("publication year", "year", "publication_date", "published", "date", "py", "pubyear"),
            column("doi", "di"),
        )


def json_items(data: str) -> Iterator[Record]:
    """Yield the objects with a title and an abstract, at any depth."""
    pending = (
        [json.loads(data)]
        if not data.startswith("{") or "\n{" not in data
        else [json.loads(line) for line in data.splitlines() if line.strip()]
    )
    while pending:
        value = pending.pop(0)
        if isinstance(value, list):
            pending = [*value, *pending]
        elif isinstance(value, dict):
            keys = {str(key).lower(): item for key, item in value.items()}
            abstract = next((keys[n] for n in _ABSTRACTS if keys.get(n)), None)
            if abstract is None or not (title := keys.get("title") or keys.get("display_name")):
                pending = [*value.values(), *pending]
                continue
            yield record(
                title[0] if isinstance(title, list) else title,
                _inverted(abstract) if isinstance(abstract, dict) else abstract,
                _json_authors(keys),
                next((keys[n] for n in _DATES if keys.get(n)), None),
                keys.get("doi") or keys.get("externalids"),
            )


_ABSTRACTS = ("abstract", "abstract_inverted_index", "abstracttext", "abstractnote", "summary")
_DATES = (
    "publicationdate publication_date issued published firstpublicationdate date published_date year pubyear"
).split()


def _inverted(index: dict[str, list[int]]) -> str:
    if find_spec("pyalex"):
        from pyalex import invert_abstract

        return str(invert_abstract(index))
    return " ".join(word for _, word in sorted((n, word) for word, places in index.items() for n in places))


def _json_authors(keys: dict[str, Any]) -> list[str]:
    value = next(
        (keys[n] for n in ("authors", "author", "creators", "authorships", "authorstring") if n in keys), []
    )
    names = []
    for each in re.split(r"[;,] ", value) if isinstance(value, str) else value:
        person = each.get("author", each) if isinstance(each, dict) else each
        if isinstance(person, dict):
            parts = "name display_name literal given firstName family lastName".split()
            person = " ".join(str(person[part]) for part in parts if person.get(part))
        names.append(str(person))
    return names


PARSERS: dict[str, Callable[[str], Iterator[Record]]] = {
    ".bib": bibtexparser,
    ".ris": rispy,
    ".nbib": nbib,
    ".rss": feedparser,
    ".rdf": feedparser,
    ".atom": feedparser,
    "pubmed.xml": pubmed,
    "jats.xml": jats,
    ".nxml": jats,
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".json": json_items,
    ".jsonl": json_items,
}
"""File name or suffix → parser."""


def main() -> None:
    agreed: dict[tuple[str, str], Counter[str]] = {}
    differences: list[str] = []
    for path in sorted(SAMPLES.iterdir()):
        parser = PARSERS.get(path.name) or PARSERS.get(path.suffix)
        if parser is None:
            continue
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
            theirs = {r["title"]: r for r in parser(text) if r["abstract"]}
        except Exception as error:  # noqa: BLE001 - a parser that fails is part of the result
            differences.append(f"{path.name}: {parser.__name__} fails: {type(error).__name__}")
            continue
        try:
            entries = parse_feed(io.BytesIO(data), path.name)
        except FeedError as error:
            differences.append(f"{path.name}: we fail: {error}")
            continue
        papers = [p for p in entries if isinstance(p, Paper)]
        counts = agreed.setdefault((path.suffix, parser.__name__), Counter())
        counts["files"] += 1
        counts["ours"] += len(papers)
        counts["theirs"] += len(theirs)
        for paper in papers:
            ours = record(
                paper.title, paper.abstract, paper.authors, paper.published or paper.listed, paper.doi
            )
            other = theirs.get(ours["title"])
            if other is None:
                differences.append(f"{path.name}: only ours: {paper.title[:60]}")
                continue
            counts["both"] += 1
            for name in FIELDS:
                counts[name] += ours[name] == other[name]
                if ours[name] != other[name]:
                    differences.append(
                        f"{path.name}: {name}: {ours[name][-60:]!r}, {parser.__name__}: {other[name][-60:]!r}"
                    )
        titles = {letters(paper.title) for paper in papers}
        differences += [
            f"{path.name}: only {parser.__name__}: {title[:60]}" for title in theirs if title not in titles
        ]
    print(f"| format | parser | files | papers: ours, theirs, both | {' | '.join(FIELDS)} |")
    print("|---" * (4 + len(FIELDS)) + "|")
    for (suffix, name), counts in sorted(agreed.items()):
        numbers = f"{counts['ours']}, {counts['theirs']}, {counts['both']}"
        fields = " | ".join(str(counts[field]) for field in FIELDS)
        print(f"| {suffix} | {name} | {counts['files']} | {numbers} | {fields} |")
    print("\n" + "\n".join(differences))


if __name__ == "__main__":
    main()
