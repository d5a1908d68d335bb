"""The phrases of many texts, counted all at once: one to four words without punctuation between.

A phrase is known by its stems, so that ``KV caches`` and ``kv-cache`` are one. Counted as arrays
over all words, because a week has a third of a million.

Words that name no theme: those of all abstracts, and those that begin or end no heading.

The period's phrases as names of themes: which papers hold each, and how good a name it makes.
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

    from paperagent.types import Paper

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix

Phrase = tuple[str, ...]
"""The stems of one to four words."""

LONGEST = 4
_TITLE_WEIGHT = 3
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]{1,2}\b)?")
_JOINS = frozenset({" ", "-", "/", "\n", "  ", "\t"})
_YEAR = 3
"""Digits from which a number is part of no name."""


@dataclass(frozen=True, slots=True)
class PhraseOccurrences:
    """A phrase in the texts; arrays hold one entry a paper that has it."""

    phrase: Phrase
    papers: Ints
    weights: Ints
    """How often, in the title threefold."""
    titled: int
    """How many titles have it."""
    closed: float
    """Share of its occurrences that no further word of a name follows."""
    places: Ints
    """The words at which it begins, for `PhraseFinder.spelling`."""


class PhraseFinder:
    """The words of papers' titles and abstracts."""

    def __init__(self, papers: Sequence[Paper]) -> None:
        import numpy as np

        self._texts = [text for p in papers for text in (p.title, p.abstract)]
        self._stems: dict[str | None, int] = {None: 0}
        rows = array("q")  # a list of the same numbers takes ten times the memory
        for number, text in enumerate(self._texts):
            for row in self._words(number, text):
                rows.extend(row)
        table = np.frombuffer(rows, np.int64).reshape(-1, 6)
        self._field, self._start, self._end, self._form, edges, joined = table.T.copy()
        self._joined = joined.astype(bool)
        self._begins, self._ends = (edges & 1).astype(bool), (edges & 2).astype(bool)
        self._names: list[str | None] = list(self._stems)

    def _words(self, number: int, text: str) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Yield field, start, end, stem number, whether a name may begin or end here, whether it goes on."""
        last, before = 0, None
        for match in _WORD.finditer(text):
            start, end = match.span()
            form = _form(match[0])
            joined = form is not None and before is not None and text[last:start] in _JOINS
            # A name cuts no word with hyphens in two.
            begins = form not in NEVER and text[start - 1 : start] != "-"
            ends = form not in NEVER and text[end : end + 1] != "-"
            yield (
                number,
                start,
                end,
                self._stems.setdefault(form, len(self._stems)),
                begins + 2 * ends,
                joined,
            )
            last, before = end, form

    def found(self, *, most: float) -> Iterator[PhraseOccurrences]:
        """Yield the phrases that two papers hold, at most ``most`` do, and a title has."""
        import numpy as np

        at = np.flatnonzero(self._form > 0)
        ids = self._form[at]
        for size in range(1, LONGEST + 1):
            if size > 1:
                inside = at + size - 1 < len(self._form)
                at, ids = at[inside], ids[inside]
                goes_on = self._joined[at + size - 1]
                at, ids = at[goes_on], ids[goes_on]
                ids = ids * len(self._names) + self._form[at + size - 1]
            ids = np.unique(ids, return_inverse=True)[1].astype(np.int64)
            kept = self._shared(at, ids)
            at, ids = at[kept], ids[kept]
            named = self._begins[at] & self._ends[at + size - 1]
            yield from self._grouped(at[named], ids[named], size, most)

    def _shared(self, at: Ints, ids: Ints) -> Flags:
        """Return which occurrences are of phrases that two papers hold, shape [n]."""
        import numpy as np

        pairs = (
            np.unique(np.stack([ids, self._field[at] // 2]), axis=1) if len(ids) else np.zeros((2, 0), int)
        )
        holders = np.bincount(pairs[0], minlength=int(ids.max(initial=-1)) + 1)
        shared: Flags = holders[ids] > 1
        return shared

    def _grouped(self, at: Ints, ids: Ints, size: int, most: float) -> Iterator[PhraseOccurrences]:
        import numpy as np

        order = np.lexsort((at, ids))
        at, ids = at[order], ids[order]
        following = np.minimum(at + size, len(self._form) - 1)
        open_ = self._joined[following] & (at + size < len(self._form)) & self._ends[following]
        for group in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids)) + 1):
            if len(group) < 2:
                continue
            places = at[group]
            fields = self._field[places]
            papers, owner = np.unique(fields // 2, return_inverse=True)
            titled = fields % 2 == 0
            if not 2 <= len(papers) <= most or not titled.any():
                continue
            weights = np.bincount(owner, np.where(titled, _TITLE_WEIGHT, 1)).astype(np.int64)
            phrase = tuple(str(self._names[i]) for i in self._form[places[0] : places[0] + size])
            in_titles = len(np.unique(fields[titled]))
            yield PhraseOccurrences(
                phrase, papers, weights, in_titles, 1 - float(open_[group].mean()), places
            )

    def spelling(self, found: PhraseOccurrences) -> str:
        """Return the spelling of a phrase that the texts use most, capitals aside, then with capitals."""
        held = Counter(self._spelled(int(place), len(found.phrase)) for place in found.places)
        plain: Counter[str] = Counter()
        for spelling, count in held.items():
            plain[spelling.casefold()] += count
        best = min(plain, key=lambda s: (-plain[s], s))
        return min((s for s in held if s.casefold() == best), key=lambda s: (-held[s], s))

    def _spelled(self, place: int, size: int) -> str:
        text = self._texts[self._field[place]]
        return " ".join(text[self._start[place] : self._end[place + size - 1]].split())


@lru_cache(maxsize=100_000)
def _form(word: str) -> str | None:
    """Return the stem of a word; None where no name goes across it."""
    known = words(word)
    if len(known) != 1 or known[0] in STOP_WORDS:
        return None
    if known[0].isdigit():
        return known[0] if len(known[0]) < _YEAR else None
    return stem(known[0]) if len(known[0]) > 1 else None


EMPTY = frozenset(
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
"""Stems that alone name no theme; beside another word many of them do."""

NEVER = frozenset(
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
"""Stems that no name begins or ends with."""

COMPOUND = frozenset(
    stem(w)
    for w in """shot free time level like aware following evolving training horizon context turn hop scale bit
    stack step stage view source domain agent purpose quality order rank term world wise grained""".split()
)
"""Stems with which compounds that describe something else end: ``zero-shot``, ``training-free``."""


_LENGTHS = (0.6, 1.25, 1.25, 1.15)
"""How good names of one to four words are."""
_COHERENT = 0.05
"""Holders of a phrase are closer to each other than any two papers by this cosine, or it says nothing."""
_PART = 0.7
"""Share of a phrase's holders that hold a certain longer one, from which it is only a part of that."""
_CLOSED = 0.3
"""Share of a phrase's occurrences after which no word of a name follows; below it, it only describes one."""
_STANDS_FOR = 0.25
"""Share of an acronym's holders that also spell it out, from which it stands for that."""
_BROAD, _FEW = 0.1, 40
"""A phrase in a larger share of the papers tells no themes apart; among so few papers more is allowed."""
_SMALL = frozenset("a an and as at by for from in of on or the to via with".split())
"""Words that a title writes small."""
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2}(?:al|ive|ic|ous|ary|able|ible|less|ful|wise|ly)|[a-z]{3}ed|[a-z]{2}ant)$"
)
"""How adjectives end: no name ends with one."""


class ThemePhrases:
    """The phrases of a period's papers that can name a theme."""

    def __init__(self, papers: Sequence[Paper], vectors: Matrix, known: NDArray[np.bool_]) -> None:
        self._vectors, self._known = vectors, known
        self._size = len(papers)
        self._any_known = bool(known.any())
        self.background = self._cohesion(range(len(papers)))
        """Mean cosine of any two papers of the period."""
        self._texts = PhraseFinder(papers)
        most = max(3.0, max(_BROAD, 0.6 - 0.5 * len(papers) / _FEW) * len(papers))
        found = {f.phrase: f for f in self._texts.found(most=most)}
        wider = _widest(found)
        rated = {p: self._judge(f, wider.get(p, 0)) for p, f in found.items()}
        self.found: Mapping[Phrase, PhraseOccurrences] = {p: f for p, f in found.items() if rated[p] > 0}
        """The phrases that make names."""
        self._quality = rated
        self._held: list[dict[Phrase, int]] = [{} for _ in papers]
        for phrase, entry in self.found.items():
            for number, weight in zip(entry.papers.tolist(), entry.weights.tolist(), strict=True):
                self._held[number][phrase] = weight
        self._merge_acronyms()

    def _merge_acronyms(self) -> None:
        """Let what stands for a longer phrase count as that: who writes ``RAG`` is on its theme."""
        whole: dict[str, list[Phrase]] = {}
        for phrase in self.found:
            whole.setdefault("".join(s[0] for s in phrase), []).append(phrase)
        for acronym, found in [(p, f) for p, f in self.found.items() if len(p) == 1 and len(p[0]) > 1]:
            numbers = set(found.papers.tolist())
            written = self._texts.spelling(found).removesuffix("s").lower()
            for phrase in whole.get(written, ()):
                both = numbers & set(self.found[phrase].papers.tolist())
                if len(both) >= _STANDS_FOR * len(numbers):
                    for number in numbers:
                        weight = self._held[number].pop(acronym, 0)
                        self._held[number][phrase] = max(weight, self._held[number].get(phrase, 0))
                    break

    def of(self, number: int) -> Mapping[Phrase, int]:
        """Return the names a paper could go under, with how often it has them, in the title threefold."""
        return self._held[number]

    def quality(self, phrase: Phrase) -> float:
        """Return how good a name a phrase makes, 0 for none: rare, of two words, its papers alike."""
        return self._quality.get(phrase, 0.0)

    def _judge(self, found: PhraseOccurrences, wider: int) -> float:
        count, size = len(found.papers), len(found.phrase)
        if found.closed < _CLOSED or (wider > 1 and wider >= _PART * count):
            return 0.0
        empty = all(s in EMPTY for s in found.phrase)
        if empty and (size == 1 or not self._any_known):
            return 0.0
        cohesion = (self._cohesion(found.papers) - self.background) * count / (count + 2)
        spelling = self._texts.spelling(found)
        plain = size == 1 and not any(c.isupper() for c in spelling[1:])
        if self._any_known and cohesion < _COHERENT * (3 if plain or empty else 2 if size == 1 else 1):
            return 0.0
        if _ADJECTIVE.search(spelling) or (" " not in spelling and found.phrase[-1] in COMPOUND):
            return 0.0
        rarity = math.log(self._size / count) / math.log(max(self._size, 2))
        titled = min(1.0, 0.5 + found.titled / count)
        return _LENGTHS[size - 1] * titled * (0.3 + rarity) * (0.3 + max(cohesion, 0.0))

    def _cohesion(self, numbers: Sequence[int] | NDArray[np.int64]) -> float:
        """Return the mean cosine of two different papers; 0 where there are no two with vectors."""
        import numpy as np

        rows = np.asarray(numbers, np.int64)
        rows = rows[self._known[rows]] if len(rows) else rows
        n = len(rows)
        if n < 2:
            return 0.0
        mean = self._vectors[rows].mean(axis=0)
        return float((mean @ mean - 1 / n) * n / (n - 1))

    def name(self, phrase: Phrase) -> str:
        """Return a phrase as a heading: the most common spelling, in capitals of a title."""
        return headline(self._texts.spelling(self.found[phrase]))


def _widest(found: Mapping[Phrase, PhraseOccurrences]) -> dict[Phrase, int]:
    """Return for each phrase how many papers hold the most common phrase that is one word longer."""
    widest: dict[Phrase, int] = {}
    for phrase, entry in found.items():
        for part in (phrase[1:], phrase[:-1]):
            widest[part] = max(widest.get(part, 0), len(entry.papers))
    return widest


def headline(phrase: str) -> str:
    """Return a phrase with the capitals of a title; spellings with capitals inside stay."""
    parts = re.split(r"(\s+|-|/)", phrase)
    return "".join(
        p if any(c.isupper() for c in p[1:]) or (i and p in _SMALL) else p[:1].upper() + p[1:]
        for i, p in enumerate(parts)
    )
