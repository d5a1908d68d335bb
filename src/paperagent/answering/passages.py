"""Number the sentences of abstracts for the model, and resolve the pointers in its reply. No I/O.

The third sentence of passage 2 is numbered ``2.3``. The model may only point at sentences. This module looks
pointers up in the table of the request, so a pointer is either right or dangling. Models write pointers in
many forms; `pointers` and `cut_pointers` parse them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from paperagent.text.injection import looks_like_instruction
from paperagent.text.sanitize import join_lines
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import STOP_WORDS
from paperagent.types import Paper, Sentence

MAX_POINTERS = 8
"""Maximum number of pointers per claim; further ones are dropped."""
_POINTER = re.compile(r"^\s*[\[(]?\s*(\d{1,3})\s*[.:]\s*(\d{1,3})\s*[\])]?\.?\s*$")


@dataclass(frozen=True, slots=True)
class Passages:
    """The passages of one request, with their sentences numbered."""

    papers: tuple[Paper, ...]
    fence: str
    """Delimiter of the passages in the prompt; it occurs nowhere in them."""
    _sentences: tuple[tuple[Sentence, ...], ...] = field(repr=False, default=())

    @classmethod
    def from_papers(cls, papers: Iterable[Paper], *, salt: str) -> Passages:
        """Return the abstracts of papers as passages.

        The fence depends on the papers and on ``salt``, a secret of the library: the author of an
        abstract cannot know it, and the same request gives the same prompt again.
        """
        papers = tuple(papers)
        seed = "\n".join((salt, *(f"{p.paper_id}\n{p.abstract}" for p in papers)))
        fence = "=" * 4 + hashlib.sha256(seed.encode()).hexdigest()[:16]
        return cls(papers, fence, tuple(tuple(split_sentences(p.abstract)) for p in papers))

    def text(self) -> str:
        """Return the passages as the prompt shows them, one sentence per line."""
        blocks = []
        for i, (paper, sentences) in enumerate(zip(self.papers, self._sentences, strict=True), start=1):
            title = f"{self._one_line(paper.title)}{_date(paper)}{' (withdrawn)' if paper.withdrawn else ''}"
            lines = [f"{i}.{j} {self._one_line(s.text)}" for j, s in enumerate(sentences, start=1)]
            blocks.append("\n".join([f'[{i}] {title} = "{self._one_line(short_name(paper))}"', *lines]))
        return "\n\n".join(blocks)

    def numbered(self, passage: int) -> list[tuple[str, Sentence]]:
        """Return the sentences of a passage with their pointers; none if there is no such passage."""
        if not 1 <= passage <= len(self.papers):
            return []
        return [(f"{passage}.{j}", s) for j, s in enumerate(self._sentences[passage - 1], start=1)]

    @property
    def pointers(self) -> list[str]:
        """The pointers to all sentences, in order."""
        return [p for i in range(1, len(self.papers) + 1) for p, _ in self.numbered(i)]

    def is_title(self, text: str) -> bool:
        """Return whether ``text`` is only the title or the short name of a passage."""
        letters = _letters(text)
        return any(letters in (_letters(p.title), _letters(short_name(p))) for p in self.papers)

    def _one_line(self, text: str) -> str:
        """Return text without line breaks and without the fence."""
        return join_lines(text).replace(self.fence, "")

    def resolve(self, pointer: str) -> tuple[Paper, Sentence] | None:
        """Return the paper and sentence that ``pointer`` names, or None if it dangles.

        A sentence given verbatim in place of its number points at that sentence.
        """
        match = _POINTER.match(pointer)
        if match is None:
            return self._find_sentence(pointer)
        paper, sentence = int(match.group(1)), int(match.group(2))
        if not 1 <= paper <= len(self.papers) or not 1 <= sentence <= len(self._sentences[paper - 1]):
            return None
        return self.papers[paper - 1], self._sentences[paper - 1][sentence - 1]

    def _find_sentence(self, text: str) -> tuple[Paper, Sentence] | None:
        """Return the sentence that equals ``text``, if there is exactly one."""
        text = " ".join(text.split())
        matches = [
            (paper, sentence)
            for paper, sentences in zip(self.papers, self._sentences, strict=True)
            for sentence in sentences
            if " ".join(sentence.text.split()) == text
        ]
        return matches[0] if len(matches) == 1 else None


@lru_cache(maxsize=256)
def contains_instructions(abstract: str) -> bool:
    """Return whether a sentence of the abstract instructs the model."""
    return any(looks_like_instruction(s.text, abstract) for s in split_sentences(abstract))


@lru_cache(maxsize=256)
def without_instructions(abstract: str) -> str:
    """Return an abstract without sentences that give instructions, which are not valid context."""
    return " ".join(s.text for s in split_sentences(abstract) if not looks_like_instruction(s.text, abstract))


def short_name(paper: Paper) -> str:
    """Return a name for a paper in running text: its system's name, or the first words of its title."""
    head, colon, _ = paper.title.partition(":")
    words = head.split()
    if colon and len(words) <= _MAX_NAME_WORDS:
        return head.strip()
    introduced = _INTRODUCED_NAME.search(paper.abstract)
    if introduced and paper.abstract.count(introduced[1]) > 1:
        return introduced[1]
    words = words[:_MAX_NAME_WORDS]
    while len(words) > 1 and words[-1].lower() in STOP_WORDS:
        words.pop()
    return " ".join(words)


_MAX_NAME_WORDS = 4
_INTRODUCED_NAME = re.compile(
    r"\b(?:called|named|dubbed|termed|propose|introduce|present|release)s?\b[\w ,'’-]{0,40}?"
    r"\(?\b(?=[\w^+-]{2,20}\b)([A-Z][a-z]*[A-Z0-9^][\w^+]*)\b"
)
"""A name with two capitals, soon after a word with which authors introduce their work."""


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _date(paper: Paper) -> str:
    day = paper.published or paper.listed  # not the day on which this library first saw the paper
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
_MAX_EVIDENCE_LENGTH = 1_000


def pointers(evidence: object) -> list[str]:
    """Return the pointers in a claim's evidence, whatever its form: each once, at most `MAX_POINTERS`.

    Text that is no pointer is dropped if there are real pointers. Otherwise it is returned unchanged, so that
    it dangles.
    """
    parsed = list(_parse_evidence(evidence, nested=False))
    likely = [
        text for text, is_pointer in parsed if is_pointer or (len(text) < 20 and any(map(str.isdigit, text)))
    ]
    return list(dict.fromkeys(likely or [text for text, _ in parsed]))[:MAX_POINTERS]


def cut_pointers(text: str, evidence: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Cut the pointers in brackets out of ``text``.

    Args:
        text: The text of a claim.
        evidence: The claim's pointers, if they are listed elsewhere. Then only those are cut, because ``[1.2,
            3.4]`` may be an interval.

    Returns:
        The text and the pointers that were in it.
    """
    cut: list[str] = []

    def cut_match(match: re.Match[str]) -> str:
        numbers = _parse_pointers(_normalize(match[1] or match[2]))
        if not numbers or (evidence and not set(numbers) <= set(evidence)):
            return match[0]
        cut.extend(numbers)
        return ""

    if not any(map(str.isdigit, text)):
        return text, []
    remaining = _BRACKETED.sub(cut_match, text.translate(_BRACKETS))
    return (remaining.strip(), cut) if cut else (text, [])


def _parse_evidence(evidence: object, *, nested: bool) -> Iterator[tuple[str, bool]]:
    """Yield the parts of evidence, and whether each is a pointer."""
    if isinstance(evidence, dict):
        yield from _parse_object(evidence)
    elif isinstance(evidence, list):
        if nested and len(evidence) == 2 and all(type(number) is int for number in evidence):
            yield f"{evidence[0]}.{evidence[1]}", True
        else:
            for item in evidence:
                yield from _parse_evidence(item, nested=True)
    elif isinstance(evidence, (str, int, float)) and not isinstance(evidence, bool):
        text = _normalize(str(evidence)[:_MAX_EVIDENCE_LENGTH])
        numbers = _parse_pointers(text) or cut_pointers(text)[1]
        if not numbers and (leading := _LEADING.match(text)):
            numbers = [f"{leading[1]}.{leading[2]}"]
        if numbers or text:
            yield from [(number, True) for number in numbers] or [(text, False)]


def _parse_object(evidence: dict[str, object]) -> Iterator[tuple[str, bool]]:
    paper, sentence = (
        next((evidence[k] for k in keys if isinstance(evidence.get(k), int)), None)
        for keys in (_PAPER_KEYS, _SENTENCE_KEYS)
    )
    if paper is not None and sentence is not None:
        yield f"{paper}.{sentence}", True
        return
    texts = [str(v) for v in (*evidence.values(), *evidence) if isinstance(v, (str, float))]
    numbers = next(filter(None, (_parse_pointers(_normalize(text)) for text in texts)), [])
    yield from [(number, True) for number in numbers] or [(text, False) for text in texts[:1]]


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_BRACKETS)).strip()


_BRACKETS = str.maketrans("【】［］〔〕", "[][][]")


def _parse_pointers(text: str) -> list[str]:
    """Return the pointers of a text that consists only of pointers; otherwise none."""
    text = _LONG_FORM.sub(r"\1.\2", text)
    numbers: list[str] = []
    position = _match_end(_BETWEEN, text, 0)
    while (match := _ONE.match(text, position)) and len(numbers) <= MAX_POINTERS:
        paper, first, last_paper, last, last_short = match.groups()
        numbers += _range(paper, first, last_paper or (last_short and paper), last or last_short)
        position = _match_end(_BETWEEN, text, match.end())
    return numbers if text[position:].strip(" .:") == "" or len(numbers) > MAX_POINTERS else []


def _match_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _range(paper: str, first: str, last_paper: str | None, last: str | None) -> list[str]:
    if last is None:
        return [f"{paper}.{first}"]
    if last_paper != paper or int(last) <= int(first):
        return [f"{paper}.{first}", f"{last_paper}.{last}"]
    return [f"{paper}.{n}" for n in range(int(first), min(int(last), int(first) + MAX_POINTERS) + 1)]
