"""Read RIS and MEDLINE as several programs write them, with paperagent, rispy and nbib.

    pip install rispy nbib
    python bench/tagged_formats.py [--shared ../shared] [--records 20000]

Invented records are written in the ways of several programs. For each reader the script prints the papers
that it returns and the fields (title, abstract, authors, DOI) that are right; a field counts as right
whatever its white space, and a DOI whatever its prefix. If the shared data is there, the papers with a title
and an abstract in its small files are counted. The time is for one file with all records.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from paperagent.feeds.formats import medline
from paperagent.feeds.formats import ris as ris_format
from paperagent.feeds.formats.tagged import split_records
from paperagent.feeds.reader import parse_feed
from paperagent.types import Paper

COUNT = 20
"""Records of a file that is compared."""


@dataclass(frozen=True)
class Record:
    """An invented record; readers return the same shape."""

    title: str
    parts: tuple[str, ...]
    authors: tuple[str, ...]
    doi: str


def records(count: int) -> list[Record]:
    """Return invented records with different numbers."""
    return [
        Record(
            f"Study {n} of lanterns that hum",
            (
                f"BACKGROUND: We hung {n + 3} lanterns in still air for 13 nights.",
                f"RESULTS: The hum was {n}.5 dB lower in the second hall, and 37% of them were silent.",
            ),
            ("Vex, Ada", "Moss, Bo"),
            f"10.1000/lantern.{n}",
        )
        for n in range(1, count + 1)
    ]


# --- writers ---


def ris(
    each: Record,
    *,
    before: str = "",
    mark: str = "  - ",
    indent: str = "",
    kind: str = "JOUR",
    end: bool = True,
    split: bool = False,
) -> str:
    abstract = each.parts if split else (" ".join(each.parts),)
    tags = [("TY", kind), ("TI", each.title), *(("AU", name) for name in each.authors), ("PY", "2020")]
    tags += [*(("AB", part) for part in abstract), ("DO", each.doi), *([("ER", "")] if end else [])]
    return before + "".join(f"{indent}{tag}{mark}{value}\n" for tag, value in tags) + "\n"


def wrapped_ris(each: Record) -> str:
    return ris(each).replace(" RESULTS", "\nRESULTS").replace(" that hum", "\n that hum")


def nbib(each: Record, *, split: bool = False) -> str:
    authors = "".join(f"FAU - {name}\nAU  - {name.replace(', ', ' ')[:-1]}\n" for name in each.authors)
    joint = "\nAB  - " if split else "\n      "
    return (
        f"PMID- {30_000_000 + int(each.doi.rpartition('.')[2])}\nOWN - NLM\nDP  - 2020 Apr\n"
        f"TI  - {each.title.replace(' that', f'{chr(10)}      that')}\nLID - {each.doi} [doi]\n"
        f"AB  - {joint.join(each.parts)}\n{authors}PT  - Journal Article\nAID - {each.doi} [doi]\n\n"
    )


def numbered(each: Record) -> str:
    return ris(each, before=f"{each.doi.rpartition('.')[2]}.\n")


def cochrane(each: Record) -> str:
    before = f"Record #{each.doi.rpartition('.')[2]} of {COUNT}\nProvider: A Press\nContent: text/plain\n\n"
    return ris(each, before=before, mark="  -  ")


WRITERS: dict[str, Callable[[Record], str]] = {
    "RIS": ris,
    "RIS numbered by Ovid": numbered,
    "RIS of Cochrane": cochrane,
    "RIS, indented": lambda each: ris(each, indent=" "),
    "RIS, one space": lambda each: ris(each, mark=" - "),
    "RIS, tabs": lambda each: ris(each, mark="\t-\t"),
    "RIS, full name of the type": lambda each: ris(each, kind="Journal Article"),
    "RIS, several AB": lambda each: ris(each, split=True),
    "RIS, wrapped lines": wrapped_ris,
    "RIS, no ER": lambda each: ris(each, end=False),
    "MEDLINE": nbib,
    "MEDLINE, several AB": lambda each: nbib(each, split=True),
}


# --- readers ---


def read_paperagent(text: str) -> Iterator[Record]:
    for paper in parse_feed(io.BytesIO(text.encode()), "file"):
        if isinstance(paper, Paper):
            authors = tuple(f"{last}, {first}" for first, last in (name.split(" ") for name in paper.authors))
            yield Record(paper.title, (paper.abstract,), authors, paper.doi or "")


def read_rispy(text: str) -> Iterator[Record]:
    for each in import_module("rispy").loads(text):
        yield record(each, each.get("title") or each.get("primary_title"), each.get("authors"))


def read_nbib(text: str) -> Iterator[Record]:
    for each in import_module("nbib").read(text):
        authors = [author.get("author") for author in each.get("authors", ())]
        yield record(each, each.get("title"), authors)


def record(values: dict[str, Any], title: Any, authors: Any) -> Record:
    """Return what a library read; an absent value is empty."""
    return Record(
        str(title or ""),
        (str(values.get("abstract") or values.get("notes_abstract") or ""),),
        tuple(str(a) for a in authors or ()),
        str(values.get("doi") or ""),
    )


READERS = {"paperagent": read_paperagent, "rispy": read_rispy, "nbib": read_nbib}


def usable(text: str, read: Callable[[str], Iterator[Record]]) -> str:
    """Return the number of papers with a title and an abstract, or the error."""
    try:
        return f"{sum(1 for each in read(text) if each.title and each.parts[0])} papers"
    except ImportError:
        return "not installed"
    except Exception as error:  # noqa: BLE001 - an error is a result here
        return type(error).__name__


def compare(text: str, read: Callable[[str], Iterator[Record]], expected: list[Record]) -> str:
    """Return the number of papers, and the share of fields that are right, or the error."""
    try:
        papers = list(read(text))
    except ImportError:
        return "not installed"
    except Exception as error:  # noqa: BLE001 - an error is a result here
        return type(error).__name__
    right = sum(fields_right(each, truth) for each, truth in zip(papers, expected, strict=False))
    return f"{len(papers)} papers, {right / (4 * len(expected)):.0%} of fields"


def fields_right(actual: Record, truth: Record) -> int:
    return sum(
        (
            words(actual.title) == words(truth.title),
            words(" ".join(actual.parts)) == words(" ".join(truth.parts)),
            actual.authors == truth.authors,
            actual.doi.lower().endswith(truth.doi),
        )
    )


def words(text: str) -> list[str]:
    return text.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--records", type=int, default=20_000)
    options = parser.parse_args()
    expected = records(COUNT)
    for name, write in WRITERS.items():
        text = "".join(map(write, expected))
        library = "nbib" if name.startswith("MEDLINE") else "rispy"
        for reader in ("paperagent", library):
            print(f"{name:28} {reader:11} {compare(text, READERS[reader], expected)}")
    folder = options.shared / "data" / "real_inputs"
    for path in sorted([*folder.glob("*.ris"), *folder.glob("*.nbib")]):
        text = path.read_text(encoding="utf-8")
        for reader in ("paperagent", "nbib" if path.suffix == ".nbib" else "rispy"):
            print(f"{path.name:28} {reader:11} {usable(text, READERS[reader])}")
    many = records(options.records)
    for name, module, library in (("RIS", ris_format, "rispy"), ("MEDLINE", medline, "nbib")):
        text = "".join(map(WRITERS[name], many))
        start = time.process_time()
        count = sum(1 for _ in split_records(text, module.LAYOUT))
        print(
            f"{name:28} paperagent  {time.process_time() - start:.1f} s for {count:,} records, parsing alone"
        )
        for reader in ("paperagent", library):
            start = time.process_time()
            result = compare(text, READERS[reader], many)
            print(f"{name:28} {reader:11} {time.process_time() - start:.1f} s, {result}")


if __name__ == "__main__":
    main()
