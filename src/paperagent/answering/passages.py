"""Abstracts as the model sees them, and its pointers read back. Pure; no I/O.

Passage 2's third sentence is numbered ``2.3``. The model may only point; what a pointer means
is decided here, from this request's own table, so it is right by construction or dangling.
Models write pointers in many ways; `pointers` and `cut_pointers` read them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from paperagent.text.sentences import split_sentences
from paperagent.text.terms import STOP_WORDS
from paperagent.types import Paper, Sentence

MAX_POINTERS = 8
"""Sentences that one claim may point at; of more, the first count."""
_POINTER = re.compile(r"^\s*[\[(]?\s*(\d{1,3})\s*[.:]\s*(\d{1,3})\s*[\])]?\.?\s*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Passages:
    """The passages of one request."""

    papers: tuple[Paper, ...]
    fence: str
    """Begins the lines around the passages; occurs nowhere in them."""
    _sentences: tuple[tuple[Sentence, ...], ...] = field(repr=False, default=())

    @classmethod
    def of(cls, papers: Iterable[Paper], *, salt: str) -> Passages:
        """Return the passages with their sentences numbered.

        The fence depends on the papers and on ``salt``, a secret of the library: whoever wrote
        an abstract cannot know it, and the same request gives the same prompt again.
        """
        held = tuple(papers)
        seed = "\n".join((salt, *(f"{p.paper_id}\n{p.abstract}" for p in held)))
        fence = "=" * 4 + hashlib.sha256(seed.encode()).hexdigest()[:16]
        return cls(held, fence, tuple(tuple(split_sentences(p.abstract)) for p in held))

    def text(self) -> str:
        """Return the passages as they stand in the prompt, one sentence a line."""
        blocks = []
        for i, (paper, sentences) in enumerate(zip(self.papers, self._sentences, strict=True), start=1):
            head = f"{self._plain(paper.title)}{_dated(paper)}{' (withdrawn)' if paper.withdrawn else ''}"
            lines = [f"{i}.{j} {self._plain(s.text)}" for j, s in enumerate(sentences, start=1)]
            blocks.append("\n".join([f'[{i}] {head} = "{self._plain(short_name(paper))}"', *lines]))
        return "\n\n".join(blocks)

    def numbered(self, passage: int) -> list[tuple[str, Sentence]]:
        """Return the sentences of a passage with their pointers; none where there is no such passage."""
        if not 1 <= passage <= len(self.papers):
            return []
        return [(f"{passage}.{j}", s) for j, s in enumerate(self._sentences[passage - 1], start=1)]

    @property
    def pointers(self) -> list[str]:
        """The numbers of all sentences, in their order."""
        return [p for i in range(1, len(self.papers) + 1) for p, _ in self.numbered(i)]

    def names(self, text: str) -> bool:
        """Tell whether ``text`` is nothing but the title or the short name of a passage."""
        alone = _letters(text)
        return any(alone in (_letters(p.title), _letters(short_name(p))) for p in self.papers)

    def _plain(self, text: str) -> str:
        """Put text on one line, so that it cannot begin a line of its own, without the fence."""
        return _CONTROL.sub(" ", text).replace(self.fence, "")

    def resolve(self, pointer: str) -> tuple[Paper, Sentence] | None:
        """Return what ``pointer`` points at, or None where it dangles.

        A whole sentence in place of its number points at that sentence.
        """
        match = _POINTER.match(pointer)
        if match is None:
            return self._with_text(pointer)
        paper, sentence = int(match.group(1)), int(match.group(2))
        if not 1 <= paper <= len(self.papers) or not 1 <= sentence <= len(self._sentences[paper - 1]):
            return None
        return self.papers[paper - 1], self._sentences[paper - 1][sentence - 1]

    def _with_text(self, text: str) -> tuple[Paper, Sentence] | None:
        """Return the one sentence that reads ``text``."""
        plain = " ".join(text.split())
        same = [
            (paper, sentence)
            for paper, sentences in zip(self.papers, self._sentences, strict=True)
            for sentence in sentences
            if " ".join(sentence.text.split()) == plain
        ]
        return same[0] if len(same) == 1 else None

    def extended(self, papers: Sequence[Paper], *, salt: str) -> Passages:
        """Return these passages with new papers behind them; numbers already given stay."""
        known = {p.paper_id for p in self.papers}
        return Passages.of((*self.papers, *(p for p in papers if p.paper_id not in known)), salt=salt)


def short_name(paper: Paper) -> str:
    """Return what a paper may be called in a sentence: its system's name, or the first words of its title."""
    head, colon, _ = paper.title.partition(":")
    first = head.split()
    if colon and len(first) <= _NAME_WORDS:
        return head.strip()
    introduced = _INTRODUCED.search(paper.abstract)
    if introduced and paper.abstract.count(introduced[1]) > 1:
        return introduced[1]
    first = first[:_NAME_WORDS]
    while len(first) > 1 and first[-1].lower() in STOP_WORDS:
        first.pop()
    return " ".join(first)


_NAME_WORDS = 4
_INTRODUCED = re.compile(
    r"\b(?:called|named|dubbed|termed|propose|introduce|present|release)s?\b[\w ,'’-]{0,40}?"
    r"\(?\b(?=[\w^+-]{2,20}\b)([A-Z][a-z]*[A-Z0-9^][\w^+]*)\b"
)
"""A name with two capitals, soon after a word by which authors introduce what they made."""


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _dated(paper: Paper) -> str:
    day = paper.published or paper.listed  # not the day on which this library first saw it
    return f" ({day.isoformat()})" if day else ""


# --- pointers as models write them ---

_NUMBER = (
    r"(?:(?:sentences?|sent|passages?|s|p)\.?\s?)?"
    r"(?<![\d.])([1-9]\d{0,2})\s?[.:]\s?([1-9]\d{0,2})(?![\d:]|\.\d)"
)
_UP_TO = rf"\s?(?:[-‐‑–—−]|to|through)\s?(?:{_NUMBER}|([1-9]\d{{0,2}})(?![\d.:]))"  # 1.1-1.3 or 1.1-3
_ONE = re.compile(rf"{_NUMBER}(?:{_UP_TO})?", re.IGNORECASE)
_LONG_FORM = re.compile(r"(?:passage|paper)\s?(\d{1,3})\s?,?\s?sentence\s?(\d{1,3})", re.IGNORECASE)
_BETWEEN = re.compile(r"(?:[\s,;&/|()\[\]{}<>\"'“”]|and\b)*", re.IGNORECASE)
_LEADING = re.compile(rf"[\[(]?{_NUMBER}[\])]?[.:]?\s+(?=\D)", re.IGNORECASE)
_BRACKETED = re.compile(r"\s*\[([^\[\]]{3,80})\]|\s*\(([^()]{3,80})\)(?=[.\s]*$)")
_PAPER_KEYS, _SENTENCE_KEYS = ("passage", "paper", "abstract"), ("sentence", "line")
_LONGEST_TEXT = 1_000


def pointers(written: object) -> list[str]:
    """Return the pointers in a claim's evidence, whatever form it has: each once, the first `MAX_POINTERS`.

    What looks like no pointer is left out beside others that do, and given as it stands where there
    is no other, so that it dangles.
    """
    pairs = list(_pairs(written, nested=False))
    known = [text for text, read in pairs if read or (len(text) < 20 and any(map(str.isdigit, text)))]
    return list(dict.fromkeys(known or [text for text, _ in pairs]))[:MAX_POINTERS]


def cut_pointers(text: str, known: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return ``text`` without the pointers in brackets in it, and these.

    Where a claim's pointers are ``known`` from elsewhere, only those are cut: ``[1.2, 3.4]`` may be
    an interval.
    """
    taken: list[str] = []

    def cut(match: re.Match[str]) -> str:
        numbers = _in_text(_folded(match[1] or match[2]))
        if not numbers or (known and not set(numbers) <= set(known)):
            return match[0]
        taken.extend(numbers)
        return ""

    rest = _BRACKETED.sub(cut, text.translate(_BRACKETS)) if any(map(str.isdigit, text)) else text
    return (rest.strip(), taken) if taken else (text, [])


def _pairs(written: object, *, nested: bool) -> Iterator[tuple[str, bool]]:
    """Yield what evidence is made of, and whether it is a pointer."""
    if isinstance(written, dict):
        yield from _of_object(written)
    elif isinstance(written, list):
        if nested and len(written) == 2 and all(type(number) is int for number in written):
            yield f"{written[0]}.{written[1]}", True
        else:
            for item in written:
                yield from _pairs(item, nested=True)
    elif isinstance(written, (str, int, float)) and not isinstance(written, bool):
        text = _folded(str(written)[:_LONGEST_TEXT])
        numbers = _in_text(text) or cut_pointers(text)[1]
        if not numbers and (leading := _LEADING.match(text)):
            numbers = [f"{leading[1]}.{leading[2]}"]
        if numbers or text:
            yield from [(number, True) for number in numbers] or [(text, False)]


def _of_object(written: dict[str, object]) -> Iterator[tuple[str, bool]]:
    paper, sentence = (
        next((written[k] for k in keys if isinstance(written.get(k), int)), None)
        for keys in (_PAPER_KEYS, _SENTENCE_KEYS)
    )
    if paper is not None and sentence is not None:
        yield f"{paper}.{sentence}", True
        return
    texts = [str(v) for v in (*written.values(), *written) if isinstance(v, (str, float))]
    numbers = next(filter(None, (_in_text(_folded(text)) for text in texts)), [])
    yield from [(number, True) for number in numbers] or [(text, False) for text in texts[:1]]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_BRACKETS)).strip()


_BRACKETS = str.maketrans("【】［］〔〕", "[][][]")


def _in_text(text: str) -> list[str]:
    """Return the pointers of a text that is made of nothing else; none for any other text."""
    text = _LONG_FORM.sub(r"\1.\2", text)
    numbers: list[str] = []
    at = _end(_BETWEEN, text, 0)
    while (one := _ONE.match(text, at)) and len(numbers) <= MAX_POINTERS:
        paper, first, last_paper, last, last_short = one.groups()
        numbers += _range(paper, first, last_paper or (last_short and paper), last or last_short)
        at = _end(_BETWEEN, text, one.end())
    return numbers if text[at:].strip(" .:") == "" or len(numbers) > MAX_POINTERS else []


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _range(paper: str, first: str, last_paper: str | None, last: str | None) -> list[str]:
    if last is None:
        return [f"{paper}.{first}"]
    if last_paper != paper or int(last) <= int(first):
        return [f"{paper}.{first}", f"{last_paper}.{last}"]
    return [f"{paper}.{n}" for n in range(int(first), min(int(last), int(first) + MAX_POINTERS) + 1)]
