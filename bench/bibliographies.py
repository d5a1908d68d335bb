"""Compare our reader of BibTeX with bibtexparser and pybtex.

    pip install bibtexparser==2.1.0 pybtex==0.26.1
    python bench/bibliographies.py [--shared ../shared] [--entries 20000]

The first table counts the papers and fields that each parser reads as `tests/feeds/expected.json` says, in
the invented files of `tests/feeds/samples`: every library alone, with its own decoding of LaTeX, and with our
conversion of its fields. The second table counts the papers in the small files of `real_inputs`, if the
shared data is there. The third shows the time for many entries. Parsers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds.formats import bibtex, bibtex_syntax
from paperagent.feeds.reader import parse_feed
from paperagent.feeds.record import InvalidRecordError
from paperagent.types import Paper

Record = dict[str, Any]
Reading = tuple[list[Record], int]
"""The papers of a file, and how many entries the parser says that it could not read."""
FEEDS = Path(__file__).resolve().parents[1] / "tests" / "feeds"
MONTHS = bibtex_syntax.MONTHS
FIELDS = ("title", "abstract", "doi", "day", "authors")
WITHOUT_END = {"by_hand.bib": 1}
"""The number of entries that no parser can read."""
REAL_INPUTS = {
    "b01_symbols.bib": 1,
    "b02_markedentry.bib": 2,
    "b03_types_underscore.bib": 3,
    "b05_wos_double_braces.bib": 8,
    "b08_mojibake.bib": 1,
    "b12_backslash_before_brace.bib": 2,
}
"""The number of papers in each."""
ENTRY = """@article{{key{n},
  title = {{A {{Lantern}} of {n} {{\\"O}}re and \\emph{{more}}}},
  author = {{V{{\\'e}}x, Ada and Ten, Bo and {{The Lantern Group}}}},
  journal = {{Journal of Lanterns}}, year = {{2018}}, month = sep, doi = {{10.1000/lantern.{n}}},
  abstract = {{{abstract}}},
}}
"""


# --- parsers ---


def ours(text: str, name: str) -> Reading:
    try:
        entries = parse_feed(io.BytesIO(text.encode()), name)
    except FeedError:
        return [], 1
    papers = [entry for entry in entries if isinstance(entry, Paper)]
    return [_record(paper) for paper in papers], len(entries) - len(papers)


def bibtexparser_alone(text: str, _: str) -> Reading:
    import bibtexparser
    from bibtexparser import middlewares

    steps = [
        middlewares.NormalizeFieldKeys(),
        middlewares.MonthIntMiddleware(),
        middlewares.LatexDecodingMiddleware(),
    ]
    library = bibtexparser.parse_string(text, append_middleware=steps)
    records = [{field.key: str(field.value) for field in entry.fields} for entry in library.entries]
    return [_simple(record, record.get("author", "").split(" and ")) for record in records], len(
        library.failed_blocks
    )


def bibtexparser_with_ours(text: str, _: str) -> Reading:
    import bibtexparser

    library = bibtexparser.parse_string(text)
    fields = [{field.key: str(field.value) for field in entry.fields} for entry in library.entries]
    return _converted(fields, len(library.failed_blocks))


def pybtex_alone(text: str, _: str) -> Reading:
    from pybtex.database import parse_string
    from pybtex.richtext import Text

    records = []
    try:
        for entry in parse_string(text, "bibtex").entries.values():
            values = {key.lower(): str(Text.from_latex(value)) for key, value in entry.fields.items()}
            people = [str(person) for person in entry.persons.get("author", ())]
            records.append(_simple(values, people))
    except Exception:  # noqa: BLE001 - the whole file is refused
        return [], 1
    return records, 0


def pybtex_with_ours(text: str, _: str) -> Reading:
    from pybtex.database import parse_string

    try:
        entries = list(parse_string(text, "bibtex").entries.values())
    except Exception:  # noqa: BLE001 - the whole file is refused
        return [], 1
    fields = [
        {**entry.fields, "author": " and ".join(map(str, entry.persons.get("author", ())))}
        for entry in entries
    ]
    return _converted(fields, 0)


def _converted(entries: Iterable[dict[str, str]], failed: int) -> Reading:
    """Convert the raw fields of another parser with our module."""
    records = []
    for fields in entries:
        names = {"".join(c for c in name.lower() if c not in " _-"): value for name, value in fields.items()}
        with suppress(InvalidRecordError):  # entries without an abstract are no papers
            records.append(_record(bibtex.convert(names)))
    return records, failed


def _record(paper: Paper) -> Record:
    values = (paper.title, paper.abstract, paper.doi, str(paper.published or "") or None, list(paper.authors))
    return dict(zip(FIELDS, values, strict=True))


def _simple(fields: dict[str, Any], authors: Iterable[str]) -> Record:
    """Return a record with the little that every user of a library does: braces, names, month and year."""
    plain = {
        key: " ".join(str(value).replace("{", "").replace("}", "").split()) for key, value in fields.items()
    }
    month = plain.get("month", "1").lower()
    number = MONTHS.index(month[:3]) + 1 if month[:3] in MONTHS else int(month) if month.isdecimal() else 1
    date = f"{plain.get('year', '')[:4]}-{number:02}-01"
    names = [" ".join(reversed([part.strip(" {}") for part in name.split(",", 1)])) for name in authors]
    return {
        "title": plain.get("title", ""),
        "abstract": plain.get("abstract", ""),
        "doi": plain.get("doi", "").lower() or None,
        "day": date,
        "authors": [" ".join(name.split()) for name in names],
    }


PARSERS: dict[str, tuple[str, str, Callable[[str, str], Reading]]] = {
    "paperagent": (".bib", "", ours),
    "bibtexparser": (".bib", "bibtexparser", bibtexparser_alone),
    "bibtexparser + our conversion": (".bib", "bibtexparser", bibtexparser_with_ours),
    "pybtex": (".bib", "pybtex", pybtex_alone),
    "pybtex + our conversion": (".bib", "pybtex", pybtex_with_ours),
}
"""Name → suffix of its files, library, function."""


# --- tables ---


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--entries", type=int, default=20_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    parsers = {name: row for name, row in PARSERS.items() if not row[1] or find_spec(row[1])}
    print(
        "| invented samples | papers | "
        + " | ".join(FIELDS)
        + " | lost without a message |\n"
        + "|---" * 8
        + "|"
    )
    for name, row in parsers.items():
        print(f"| {name} | {' | '.join(_score(*row))} |")
    folder = options.shared / "data" / "real_inputs"
    if folder.is_dir():
        print("\n| real inputs | " + " | ".join(parsers) + " |\n" + "|---" * (1 + len(parsers)) + "|")
        for file, papers in REAL_INPUTS.items():
            print(f"| {file} | {' | '.join(_counts(folder / file, papers, parsers))} |")
    print(f"\n| {options.entries:,} entries | seconds |\n|---|---|")
    for name, seconds in _times(options.entries, parsers):
        print(f"| {name} | {seconds:.1f} |")


def _score(suffix: str, _: str, read: Callable[[str, str], Reading]) -> list[str]:
    expected = json.loads((FEEDS / "expected.json").read_text(encoding="utf-8"))
    total = papers = silent = 0
    right = dict.fromkeys(FIELDS, 0)
    for name, wanted in expected.items():
        if not name.endswith(suffix):
            continue
        records, failed = read((FEEDS / "samples" / name).read_text(encoding="utf-8"), name)
        by_title = {_letters(record["title"]): record for record in records}
        pairs = [(paper, by_title.get(_letters(paper["title"]))) for paper in wanted]
        matched = [(paper, record) for paper, record in pairs if record]
        total, papers = total + len(wanted), papers + len(matched)
        silent += max(0, len(wanted) - len(matched) - max(0, failed - WITHOUT_END.get(name, 0)))
        for field in FIELDS:
            right[field] += sum(paper[field] == record[field] for paper, record in matched)
    return [f"{papers}/{total}", *map(str, right.values()), str(silent)]


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _counts(path: Path, papers: int, parsers: dict[str, Any]) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for suffix, _, read in parsers.values():
        if path.suffix != suffix:
            yield ""
            continue
        records, failed = read(text, path.name)
        yield f"{len([r for r in records if r['title'] and r['abstract']])}/{papers}" + (
            f", {failed} reported" if failed else ""
        )


def _times(count: int, parsers: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the time to read many entries; slow parsers read a tenth of them."""
    sentence = "We light {\\textasciitilde}40 lanterns and measure 3{\\%} less at $x_1$ than before. "
    text = "".join(ENTRY.format(n=n, abstract=sentence * 10) for n in range(count))
    yield "paperagent, entries alone", _seconds(lambda: list(bibtex_syntax.split_entries(text, "x")))
    if "bibtexparser" in parsers:
        import bibtexparser

        yield "bibtexparser, entries alone", _seconds(lambda: bibtexparser.parse_string(text))
    if "pybtex" in parsers:
        from pybtex.database import parse_string

        yield "pybtex, entries alone", _seconds(lambda: parse_string(text, "bibtex"))
    yield "paperagent, papers", _seconds(lambda: ours(text, "x.bib"))
    tenth = text[: text.index(f"@article{{key{count // 10},")]
    for name in ("bibtexparser", "pybtex"):
        if name in parsers:
            read = parsers[name][2]
            yield (
                f"{name}, LaTeX decoded (a tenth, times ten)",
                10 * _seconds(lambda r=read: r(tenth, "x.bib")),
            )


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
