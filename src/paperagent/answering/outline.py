"""One line on what a library holds, for a model that decides whether to search it again. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from paperagent.text.terms import STOP_WORDS
from paperagent.types import Paper

SAMPLE = 400
"""The number of papers that the line is based on, spread over the library."""
_MOST = 6
_SHARED = 0.01
"""The share of the sample whose titles must name a topic; at least two titles."""
_WORD = re.compile(r"[A-Za-z][A-Za-z-]+")
_SAYS_LITTLE = frozenset(
    "approach analysis based case evaluation framework learning method model models new novel paper study "
    "survey system systems toward towards using via".split()
)


def outline(count: int, sample: Sequence[Paper], *, spread: bool = True) -> str:
    """Return a line such as ``The library holds 153 papers, 2023-04 to 2026-06; main topics: …``.

    The span of dates is left out where the sample is not ``spread`` over the library.
    """
    days = sorted(day for p in sample if (day := p.published or p.listed))
    months = dict.fromkeys(f"{day:%Y-%m}" for day in days[:: max(1, len(days) - 1)])
    span = f", {' to '.join(months)}" if spread and 2 * len(days) > len(sample) else ""
    categories = Counter(p.categories[0] for p in sample if p.categories)
    parts = [f"The library holds {count:,} paper{'s' * (count != 1)}{span}"]
    if categories:
        parts.append(f"main categories: {', '.join(name for name, _ in categories.most_common(_MOST))}")
    if topics := _topics(sample):
        parts.append(f"main topics: {', '.join(topics)}")
    return f"{'; '.join(parts)}."


def _topics(sample: Sequence[Paper]) -> list[str]:
    """Return the word pairs, then the single words, that most titles share, without repeating a word."""
    pairs, single = Counter[str](), Counter[str]()
    for paper in sample:
        terms = list(_terms(paper.title))
        pairs.update({f"{one} {two}" for one, two in terms if two})
        single.update({one for one, _ in terms if one not in _SAYS_LITTLE})
    least = max(2, _SHARED * len(sample))
    chosen: list[str] = []
    for counts in (pairs, single):
        for phrase, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if n < least or len(chosen) == _MOST:
                break
            if not set(phrase.split()) & {word for other in chosen for word in other.split()}:
                chosen.append(phrase)
    return chosen


def _terms(title: str) -> Iterator[tuple[str, str | None]]:
    """Yield each content word of a title with the content word that follows it directly, if any."""
    for part in re.split(r"[:;,.?!()]", title):
        words = [_singular(word) for word in _WORD.findall(part.lower())]
        for one, two in zip_longest(words, words[1:]):
            if one not in STOP_WORDS:
                says = two is not None and two not in STOP_WORDS and not {one, two} <= _SAYS_LITTLE
                yield one, two if says else None


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
