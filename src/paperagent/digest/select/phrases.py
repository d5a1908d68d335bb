"""Find the phrases of a period's papers, and decide which of them can name a theme.

A phrase is one to four words without punctuation in between. It is identified by its stems, so that
``KV caches`` and ``kv-cache`` are the same. Phrases are counted with arrays over all words, because a
week of papers has a third of a million.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from paperagent.text.terms import STOP_WORDS, stem, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix, Paper

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

Phrase = tuple[str, ...]
"""The stems of one to four words."""

MAX_WORDS = 4
_TITLE_WEIGHT = 3
_MAX_CHARACTERS = 5_000
"""Only this many characters of an abstract are searched for phrases."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]{1,2}\b)?")
_JOINTS = frozenset({" ", "-", "/", "\n", "  ", "\t"})
_MIN_YEAR_DIGITS = 3
"""Numbers with this many digits or more are not part of a name."""
_LENGTH_QUALITY = (0.6, 1.25, 1.25, 1.15)
"""The quality of names of one to four words."""
_MIN_COHESION = 0.05
"""A phrase is a name only if its papers are closer to each other than any two papers by this cosine."""
_PART_SHARE = 0.7
"""If at least this share of a phrase's papers have the same longer phrase, the phrase is only a part of it.
"""
_MIN_CLOSED = 0.3
"""Share of a phrase's occurrences that no further word of a name follows. Below it, the phrase only
describes the next word."""
_EXPANSION_SHARE = 0.25
"""If at least this share of an acronym's papers spell it out the same way, it stands for that phrase."""
_MAX_PAPERS_SHARE, _FEW_PAPERS = 0.1, 40
"""Phrases in a larger share of the papers do not distinguish themes; with few papers, more is allowed."""
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2}(?:al|ive|ic|ous|ary|able|ible|less|ful|wise|ly)|[a-z]{3}ed|[a-z]{2}ant)$"
)
"""Endings of adjectives; no theme name ends with an adjective."""


@dataclass(frozen=True, slots=True)
class PhraseOccurrences:
    """Where a phrase occurs; the arrays have one entry per paper that contains it."""

    phrase: Phrase
    papers: Ints
    weights: Ints
    """The number of occurrences; one in the title counts three."""
    titles: int
    """The number of titles that contain the phrase."""
    closed: float
    """Share of the occurrences that no further word of a name follows."""
    positions: Ints
    """The words at which the occurrences begin, for `PhraseFinder.spelling`."""


class PhraseFinder:
    """Finds the phrases in the titles and abstracts of papers."""

    def __init__(self, papers: Sequence[Paper]) -> None:
        import numpy as np

        self._texts = [text for p in papers for text in (p.title, p.abstract[:_MAX_CHARACTERS])]
        self._stem_numbers: dict[str | None, int] = {None: 0}
        rows = array("q")  # a list of the same numbers takes ten times the memory
        for number, text in enumerate(self._texts):
            for row in self._words(number, text):
                rows.extend(row)
        table = np.frombuffer(rows, np.int64).reshape(-1, 6)
        self._text, self._start, self._end, self._stem, edges, joined = table.T.copy()
        self._joined = joined.astype(bool)
        self._can_begin, self._can_end = (edges & 1).astype(bool), (edges & 2).astype(bool)
        self._stems: list[str | None] = list(self._stem_numbers)

    def _words(self, number: int, text: str) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Yield per word: text, start, end, stem, whether a name can begin (1) and end (2) here, joined."""
        last_end, previous = 0, None
        for match in _WORD.finditer(text):
            start, end = match.span()
            word_stem = _phrase_stem(match[0])
            joined = word_stem is not None and previous is not None and text[last_end:start] in _JOINTS
            # A name does not cut a hyphenated word in two.
            begins = word_stem not in NON_BOUNDARY_STEMS and text[start - 1 : start] != "-"
            ends = word_stem not in NON_BOUNDARY_STEMS and text[end : end + 1] != "-"
            stem_number = self._stem_numbers.setdefault(word_stem, len(self._stem_numbers))
            yield number, start, end, stem_number, begins + 2 * ends, joined
            last_end, previous = end, word_stem

    def phrases(self, *, max_papers: float) -> Iterator[PhraseOccurrences]:
        """Yield the phrases that occur in a title and in 2 to ``max_papers`` papers."""
        import numpy as np

        at = np.flatnonzero(self._stem > 0)
        ids = self._stem[at]
        for size in range(1, MAX_WORDS + 1):
            if size > 1:
                inside = at + size - 1 < len(self._stem)
                at, ids = at[inside], ids[inside]
                continues = self._joined[at + size - 1]
                at, ids = at[continues], ids[continues]
                ids = ids * len(self._stems) + self._stem[at + size - 1]
            ids = np.unique(ids, return_inverse=True)[1].astype(np.int64)
            shared = self._in_two_papers(at, ids)
            at, ids = at[shared], ids[shared]
            bounded = self._can_begin[at] & self._can_end[at + size - 1]
            yield from self._group(at[bounded], ids[bounded], size, max_papers)

    def _in_two_papers(self, at: Ints, ids: Ints) -> Flags:
        """Return which occurrences are of phrases that occur in at least two papers, shape [n]."""
        import numpy as np

        pairs = np.unique(np.stack([ids, self._text[at] // 2]), axis=1) if len(ids) else np.zeros((2, 0), int)
        papers = np.bincount(pairs[0], minlength=int(ids.max(initial=-1)) + 1)
        shared: Flags = papers[ids] > 1
        return shared

    def _group(self, at: Ints, ids: Ints, size: int, max_papers: float) -> Iterator[PhraseOccurrences]:
        import numpy as np

        order = np.lexsort((at, ids))
        at, ids = at[order], ids[order]
        following = np.minimum(at + size, len(self._stem) - 1)
        is_open = self._joined[following] & (at + size < len(self._stem)) & self._can_end[following]
        for group in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids)) + 1):
            if len(group) < 2:
                continue
            positions = at[group]
            texts = self._text[positions]
            papers, owner = np.unique(texts // 2, return_inverse=True)
            in_title = texts % 2 == 0
            if not 2 <= len(papers) <= max_papers or not in_title.any():
                continue
            weights = np.bincount(owner, np.where(in_title, _TITLE_WEIGHT, 1)).astype(np.int64)
            phrase = tuple(str(self._stems[i]) for i in self._stem[positions[0] : positions[0] + size])
            titles = len(np.unique(texts[in_title]))
            closed = 1 - float(is_open[group].mean())
            yield PhraseOccurrences(phrase, papers, weights, titles, closed, positions)

    def spelling(self, occurrences: PhraseOccurrences) -> str:
        """Return the most frequent spelling of a phrase: first without regard to case, then with."""
        size = len(occurrences.phrase)
        spellings = Counter(self._spelling_at(int(p), size) for p in occurrences.positions)
        caseless: Counter[str] = Counter()
        for spelling, count in spellings.items():
            caseless[spelling.casefold()] += count
        best = min(caseless, key=lambda s: (-caseless[s], s))
        return min((s for s in spellings if s.casefold() == best), key=lambda s: (-spellings[s], s))

    def _spelling_at(self, position: int, size: int) -> str:
        text = self._texts[self._text[position]]
        return " ".join(text[self._start[position] : self._end[position + size - 1]].split())


@lru_cache(maxsize=100_000)
def _phrase_stem(word: str) -> str | None:
    """Return the stem of a word; None if no phrase may contain it."""
    parts = words(word)
    if len(parts) != 1 or parts[0] in STOP_WORDS:
        return None
    if parts[0].isdigit():
        return parts[0] if len(parts[0]) < _MIN_YEAR_DIGITS else None
    return stem(parts[0]) if len(parts[0]) > 1 else None


class ThemePhrases:
    """The phrases of a period's papers that can name a theme."""

    def __init__(self, papers: Sequence[Paper], vectors: Matrix, has_vector: Flags) -> None:
        """Find and rate the phrases.

        Args:
            papers: The papers of the period.
            vectors: Their unit vectors, shape [n, dim].
            has_vector: Which rows of ``vectors`` are real vectors, shape [n].
        """
        self._vectors, self._has_vector = vectors, has_vector
        self._size = len(papers)
        self._any_vector = bool(has_vector.any())
        self.background = self._cohesion(range(len(papers)))
        """The mean cosine of any two papers of the period."""
        self._finder = PhraseFinder(papers)
        max_share = max(_MAX_PAPERS_SHARE, 0.6 - 0.5 * len(papers) / _FEW_PAPERS)
        phrases = {o.phrase: o for o in self._finder.phrases(max_papers=max(3.0, max_share * len(papers)))}
        longer = _papers_of_longer_phrase(phrases)
        self._quality = {p: self._rate(o, longer.get(p, 0)) for p, o in phrases.items()}
        self.occurrences: Mapping[Phrase, PhraseOccurrences] = {
            p: o for p, o in phrases.items() if self._quality[p] > 0
        }
        """The phrases that can name a theme."""
        self._weights: list[dict[Phrase, int]] = [{} for _ in papers]
        for phrase, entry in self.occurrences.items():
            for number, weight in zip(entry.papers.tolist(), entry.weights.tolist(), strict=True):
                self._weights[number][phrase] = weight
        self._merge_acronyms()

    def _merge_acronyms(self) -> None:
        """Count an acronym as the phrase that it stands for, so that ``RAG`` joins its theme."""
        by_initials: dict[str, list[Phrase]] = {}
        for phrase in self.occurrences:
            by_initials.setdefault("".join(s[0] for s in phrase), []).append(phrase)
        for acronym, entry in self.occurrences.items():
            if len(acronym) > 1 or len(acronym[0]) < 2:
                continue
            numbers = set(entry.papers.tolist())
            initials = self._finder.spelling(entry).removesuffix("s").lower()
            for phrase in by_initials.get(initials, ()):
                both = numbers & set(self.occurrences[phrase].papers.tolist())
                if len(both) >= _EXPANSION_SHARE * len(numbers):
                    for number in numbers:
                        weight = self._weights[number].pop(acronym, 0)
                        self._weights[number][phrase] = max(weight, self._weights[number].get(phrase, 0))
                    break

    def of(self, number: int) -> Mapping[Phrase, int]:
        """Return the phrases of a paper with their weights; an occurrence in the title counts three."""
        return self._weights[number]

    def quality(self, phrase: Phrase) -> float:
        """Return how good a phrase is as a name (rare, two words, similar papers); 0 if unusable."""
        return self._quality.get(phrase, 0.0)

    def _rate(self, entry: PhraseOccurrences, longer: int) -> float:
        count, size = len(entry.papers), len(entry.phrase)
        if entry.closed < _MIN_CLOSED or (longer > 1 and longer >= _PART_SHARE * count):
            return 0.0
        generic = all(s in GENERIC_STEMS for s in entry.phrase)
        if generic and (size == 1 or not self._any_vector):
            return 0.0
        cohesion = (self._cohesion(entry.papers) - self.background) * count / (count + 2)
        spelling = self._finder.spelling(entry)
        plain = size == 1 and not any(c.isupper() for c in spelling[1:])
        factor = 3 if plain or generic else 2 if size == 1 else 1
        if self._any_vector and cohesion < _MIN_COHESION * factor:
            return 0.0
        if _ADJECTIVE.search(spelling) or (" " not in spelling and entry.phrase[-1] in DESCRIPTIVE_STEMS):
            return 0.0
        rarity = math.log(self._size / count) / math.log(max(self._size, 2))
        in_titles = min(1.0, 0.5 + entry.titles / count)
        return _LENGTH_QUALITY[size - 1] * in_titles * (0.3 + rarity) * (0.3 + max(cohesion, 0.0))

    def _cohesion(self, numbers: Sequence[int] | Ints) -> float:
        """Return the mean cosine of two different papers; 0 if fewer than two have vectors."""
        import numpy as np

        rows = np.asarray(numbers, np.int64)
        rows = rows[self._has_vector[rows]] if len(rows) else rows
        n = len(rows)
        if n < 2:
            return 0.0
        mean = self._vectors[rows].mean(axis=0)
        return float((mean @ mean - 1 / n) * n / (n - 1))

    def name(self, phrase: Phrase) -> str:
        """Return a phrase as a heading: its most frequent spelling, with a capital."""
        return capitalized(self._finder.spelling(self.occurrences[phrase]))


def _papers_of_longer_phrase(phrases: Mapping[Phrase, PhraseOccurrences]) -> dict[Phrase, int]:
    """Return for each phrase how many papers have the most common phrase that is one word longer."""
    papers: dict[Phrase, int] = {}
    for phrase, entry in phrases.items():
        for part in (phrase[1:], phrase[:-1]):
            papers[part] = max(papers.get(part, 0), len(entry.papers))
    return papers


def capitalized(name: str) -> str:
    """Return a name with a capital, unless its first word has capitals of its own (``mRNA vaccines``)."""
    first = name.split(maxsplit=1)[0] if name.strip() else ""
    return name if any(c.isupper() for c in first) else name[:1].upper() + name[1:]


# --- words that do not name themes ---

GENERIC_STEMS = frozenset(
    stem(w)
    for w in """natural downstream approach method methodology framework model system paper work study
    result performance
    experiment analysis evaluation state art novel new existing recent propose introduce present
    demonstrate show achieve improve outperform significantly effective efficient robust general
    various different multiple several many two three four five six first second via using based
    toward towards beyond rethinking understanding exploring improving enhancing learning training
    task dataset data benchmark baseline large small high low better best good strong real world
    across problem challenge setting domain application practical extensive comprehensive systematic
    unified simple however despite while yet remain often typically code available open source
    publicly researcher human computer science research information process design technique
    algorithm solution strategy capability ability potential limitation impact need use case example
    key main important critical crucial current previous prior traditional conventional standard
    common single time number set level type form way step stage part role quality accuracy error
    rate score metric loss cost enable provide require lead allow make address leverage generate
    produce predict learn train evaluate test measure compare investigate analyse analyze explore
    examine identify reveal find increase decrease reduce further additional fully highly directly
    jointly simultaneously respectively particularly especially specifically moreover furthermore
    additionally finally consistently per cent percent average overall total point gain improvement
    comparable competitive superior promising theoretical empirical experimental quantitative
    qualitative help well known widely used due lack rely scale scaling end enabled driven aware
    guided free oriented specific like non pre post self multi cross through without between into
    over under more less most least can may must should also thus hence generation detection
    prediction classification recognition estimation optimization representation feature input
    output parameter network neural deep machine artificial intelligence ai ml language large-scale
    fine grained tuning fine-tuning inference reasoning modeling modelling text image video user
    agent knowledge context token attention semantic structure structural temporal dynamic local
    global visual spatial space layer sample distribution function architecture pipeline module
    component mechanism paradigm perspective view insight evidence question answer llm llms
    foundation pretrained pre-trained transformer challenging complex diverse rich long short full
    failure success change effect behavior behaviour response gap trade off tradeoff think thinking
    matter does matters survey review overview introduction look right wrong early late
    """.split()
)
"""Stems that do not name a theme alone; many do beside another word."""

NON_BOUNDARY_STEMS = frozenset(
    stem(w)
    for w in """we propose introduce mitigate diagnose interpret benchmarking building generalize hidden
    present demonstrate show achieve outperform significantly via using toward
    towards beyond rethinking exploring enhancing improving however despite yet remain often
    typically extensive experiment result paper publicly available code respectively moreover
    furthermore additionally finally consistently state art enable provide require lead allow make
    address leverage increasingly existing recent recently several various many two three four five
    six first second third novel new based compared compare reveal find found further investigate
    evaluate examine identify rely outperforms baseline baselines across improve improves reduce
    reduces increase while approach method framework work study current prior previous conventional
    comprehensive systematic effective effectively efficiently better best superior competitive
    comparable particularly especially specifically can may must should also thus hence does do per
    cent how why what without through between into over under more less most least non significant
    substantial critical crucial key important promising widely due lack suffer suffers struggle
    making matters matter case 2023 2024 2025 2026 introducing understanding unlocking bridging
    think you need all together apart et al eg ie e.g i.e different single strong simple unified
    general challenging challenge problem issue aim goal strategy technique ability capability
    capabilities
    """.split()
)
"""Stems that no theme name begins or ends with."""

DESCRIPTIVE_STEMS = frozenset(
    stem(w)
    for w in """shot free time level like aware following evolving training horizon context turn hop scale bit
    stack step stage view source domain agent purpose quality order rank term world wise grained""".split()
)
"""Stems at the end of compounds that describe something else: ``zero-shot``, ``training-free``."""
