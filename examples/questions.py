"""Print four questions that fit the library, one a line, for `make demo`.

Usage: PAPERAGENT_HOME=… python examples/questions.py
"""

from __future__ import annotations

import re
from itertools import islice

from paperagent import Paper, PaperAgent

_NAME = re.compile(r"(\w[\w-]*[A-Z0-9][\w-]*|[A-Z][\w-]{4,}): ", re.ASCII)
_FIGURE = re.compile(r"\d\s?\\?%")
_GAIN = re.compile(r"improv|outperform|increas|reduc|gain|better|higher|faster|fewer", re.IGNORECASE)
_SEARCHED = 5_000
"""Papers that are looked through."""


def main() -> None:
    """Ask about the library, about one paper, for a comparison of two, and for what no paper says."""
    with PaperAgent() as agent:
        papers = list(islice(agent.papers(), _SEARCHED))
    named = [paper for paper in papers if _NAME.match(paper.title)]
    measured = next(filter(_reports_gain, named), None)
    compared = [paper for paper in named if paper is not measured][:1]
    print("What's in this library?")
    if measured:
        print(f"By how much does {_name(measured)} improve the results?")
        named = [measured, *compared]
    if len(named) > 1:
        print(f"How does {_name(named[0])} differ from {_name(named[1])}?")
    print("What does a train ticket from Lisbon to Oslo cost?")


def _reports_gain(paper: Paper) -> bool:
    """Return whether a sentence of the abstract names the paper's subject and a gain in percent."""
    sentences = re.split(r"(?<=[.!?])\s", paper.abstract)
    named = [sentence for sentence in sentences if _name(paper) in sentence]
    return any(_FIGURE.search(sentence) and _GAIN.search(sentence) for sentence in named)


def _name(paper: Paper) -> str:
    return paper.title.partition(":")[0]


if __name__ == "__main__":
    main()
