# ruff: noqa: E501 - a rule is easier to read on one line
"""Parses how a message names a paper: "it", "[2]", an id, a title, or "the paper on X"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

RefKind = Literal["last", "all", "number", "position", "id", "title", "topic"]
Field = Literal[
    "abstract",
    "authors",
    "published",
    "link",
    "title",
    "category",
    "venue",
    "citations",
    "upvotes",
    "bibtex",
    "code",
    "license",
    "affiliation",
]
"""The part of a paper's record that a question asks for."""
MAX_TITLE_WORDS, _MAX_NAME_WORDS = 30, 6


@dataclass(frozen=True, slots=True)
class PaperRef:
    """How a message names a paper."""

    kind: RefKind
    """``last``: the paper of the last answer; ``all``: its papers; ``number``: of citation [n]; ``position``:
    the n-th paper, -1 for the last one; ``id``, ``title``, or ``topic``: the best paper on it.
    """
    text: str = ""
    number: int = 0
    certain: bool = True
    """Whether this is a paper even if the library has none with that title."""


LAST = PaperRef("last")
_NOUN = r"(?:paper|article|work|study|preprint|publication|abstract|one|source)"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_THIS = re.compile(rf"(?:it|this|that|its|(?:this|that|the|the same|the above|said) {_NOUN})", re.IGNORECASE)
_ALL = re.compile(
    r"(?:these|those|them|they|all|(?:all )?(?:of )?(?:these|those|the|them|your|the last) (?:papers|ones|sources|articles|results|works"
    r"|abstracts|answers?)?|(?:the|your) (?:last |previous )?answer|the above)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?:the )?(?:(?:paper|source|number|no\.?|nr\.?|result|reference|ref|hit|citation|item|article) ?)?[#\[(]? ?(\d{1,3})[\])]?",
    re.IGNORECASE,
)
_POSITION = re.compile(
    rf"(?:the )?({'|'.join(_ORDINALS)}|last)(?: {_NOUN}| result| hit| reference)?", re.IGNORECASE
)
_ID = re.compile(
    r"(?:(?:paper|arxiv)[: ]\s?)?((?:arxiv:)?\d{4}\.\d{4,5}(?:v\d{1,2})?|(?:arxiv:)?[a-z-]{2,8}(?:\.[A-Z]{2})?/\d{7}(?:v\d)?"
    r"|(?:doi:\s?)?10\.\d{4,9}/\S+|(?:https?://)?(?:\w+\.)?(?:arxiv\.org|doi\.org|huggingface\.co|aclanthology\.org)/\S+"
    r"|sha256:[0-9a-f]{4,32}|[a-z0-9]{2,24}-[0-9a-f]{8}(?:[0-9a-f]{24})?)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"(?:the |that |a )?(?:paper|article|work|study|preprint|publication|abstract)\s+"
    r"(?P<called>called|titled|named|entitled|with (?:the )?title|by the (?:title|name)(?: of)?)?\s*(?P<name>.+)",
    re.IGNORECASE,
)
_ON = re.compile(
    r"(?:on|about|regarding|that (?:introduces?|proposes?|presents?|describes?|is about)|which (?:introduces?|proposes?|presents?)"
    r"|introducing|proposing|describing|presenting)\s+(.+)",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:(?:the |that |a |an )?(?P<name>.+?)[- ](?:paper|article|preprint|publication)|(?:the|that) (?P<name2>.+?) one)"
    r"(?: (?:of|by|from) [^\d]+ et al\.?)?",
    re.IGNORECASE,
)
"""As in "the ShowUI paper"."""
_ADJECTIVE = frozenset(
    "best good new newest latest recent other original main important relevant whole full any some last same".split()
)
_QUOTED = re.compile(r"[\"'“‘«„](.+)[\"'”’»“]")
_NO_PAPER = frozenset(
    "there here you we i me us he she everything anything something nothing everyone more".split()
)
_NAME_LIKE = re.compile(r"[^\W\d_]+[A-Z0-9]|\d+[A-Za-z]|[A-Z]{2}")


def parse_ref(text: str) -> PaperRef | None:  # noqa: C901, PLR0911 - one test for each form
    """Return the paper that ``text`` as a whole names, or None if it cannot name a paper."""
    text = text.strip(" ,.?!")
    if not text or text.lower() in _NO_PAPER or len(text.split()) > MAX_TITLE_WORDS:
        return None
    if _THIS.fullmatch(text):
        return LAST
    if match := _ID.fullmatch(text):
        return PaperRef("id", re.sub(r"^(?=[\w.]+\.(?:org|co)/)", "https://", match[1]))
    if match := _NUMBER.fullmatch(text):
        return PaperRef("number", text, int(match[1]))
    if match := _POSITION.fullmatch(text):
        word = match[1].lower()
        return PaperRef("position", text, -1 if word == "last" else _ORDINALS.index(word) + 1)
    if _ALL.fullmatch(text):
        return PaperRef("all", text)
    if match := _QUOTED.fullmatch(text):
        return PaperRef("title", match[1].strip())
    if match := _LEAD.fullmatch(text):
        name = match["name"].strip()
        if topic := _ON.fullmatch(name):
            return PaperRef("topic", topic[1])
        if quoted := _QUOTED.fullmatch(name):
            return PaperRef("title", quoted[1].strip())
        return PaperRef("title", name, certain=bool(match["called"]) or is_name_like(name))
    match = _TAIL.fullmatch(text)
    name = (match["name"] or match["name2"]).strip() if match else ""
    if name and name.lower() not in _ADJECTIVE:
        if quoted := _QUOTED.fullmatch(name):
            return PaperRef("title", quoted[1].strip())
        return PaperRef("title", name, certain=len(name.split()) <= _MAX_NAME_WORDS and name != name.lower())
    return PaperRef("title", text, certain=False)


def is_name_like(text: str) -> bool:
    """Return whether a text of one or two words looks like the name of a system (``ShowUI``, ``GPT-4``)."""
    return len(text.split()) <= 2 and bool(_NAME_LIKE.search(text))
