"""Distinguish statements from bare tokens, links and ciphers."""

from __future__ import annotations

import re

from paperagent.text.foreign import FUNCTION_WORDS
from paperagent.text.injection import is_question, looks_like_instruction

_MAX_CHARACTERS = 2_000
_NO_PROSE = re.compile(r"[\d_@]|://|^www\.")
"""Characters that occur in tokens, links and addresses, but not in words."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_MIN_WORDS = 2
_WITHOUT_SPACES = "\u0e00"
"""First letter of the scripts that are written without spaces: Thai, Chinese, Japanese and others."""
_MIN_LETTERS_WITHOUT_SPACES = 6
"""Minimum letters of a statement in a script without spaces."""
_NAMES_A_RESOURCE = re.compile(
    r"\b(?:code|codes|codebase|data|dataset|datasets|demo|github|homepage|model|models|page|paper|project|repo|repository|video"
    r"|videos|webpage|website|weights)\b[^.]{0,80}https?://",
    re.IGNORECASE,
)
"""A sentence that says where to find something. It is not a finding, but it can be an answer."""
_FUNCTION_WORD = re.compile(
    r"\b(?:the|a|an|of|to|in|on|by|for|with|from|at|as|is|are|was|were|be|and|or|not|no|we|it|its|this|that|than|can|has|have|our"
    r"|their|these|both|all|via|using|per|but|into|over|between|across|only|also|more|most|how|what|which|when|while|do|does|may|might|will|would|should|must|could|against|under|without|among|toward|towards|still|often|such|each|any|most|many|some|one|two|then|thus|after|before|during)\b",
    re.IGNORECASE,
)
_MAX_KEYWORDS = 12
"""Maximum words of a statement without a function word."""


def states_something(text: str) -> bool:
    """Return whether a text is more than a token, a link, a code or a cipher.

    A single word, words in capitals only, and a long list of words without a function word state nothing.
    """
    tokens = text[:_MAX_CHARACTERS].split()
    prose = " ".join(t for t in tokens if max(t) >= _WITHOUT_SPACES or not _NO_PROSE.search(t))
    words = _WORD.findall(prose)
    if any(not w.isascii() for w in words):
        return len(words) >= _MIN_WORDS or sum(map(len, words)) >= _MIN_LETTERS_WITHOUT_SPACES
    if len(words) > _MAX_KEYWORDS:
        return _FUNCTION_WORD.search(prose) is not None or not FUNCTION_WORDS.isdisjoint(
            map(str.lower, words)
        )
    return len(words) >= _MIN_WORDS and not all(map(str.isupper, words))


def is_statement(text: str, abstract: str = "") -> bool:
    """Return whether a sentence can be evidence: it states something, and is not a question or an address.

    Args:
        text: The sentence.
        abstract: The abstract that contains it. Both should be in the same language.
    """
    if is_question(text) or looks_like_instruction(text, abstract):
        return False
    return states_something(text) or _NAMES_A_RESOURCE.search(text) is not None


_ABOUT_THE_ANSWER = re.compile(
    r"\A\W*(?:as|per)\s(?:asked|requested|instructed|ordered|directed|commanded|demanded|told|the\s(?:order|instruction|request)s?)\b"
    r"|\A\W*(?:sure|certainly|obeyed|understood|of\scourse|will\sdo|acknowledged)\b[,.!:]"
    r"|\b(?:this|my|the\sfollowing|the\sabove)\s(?:answer|response|reply|summary|output|completion)\b"
    r"|\b(?:abstract|passage|sentence|text|paper|author|note)\s(?:asks|instructs|tells|orders|requests|demands|commands|urges)\s(?:me|us|you|for|that"
    r"|to|the\s(?:reader|model|assistant|reviewer))\b",
    re.IGNORECASE,
)


def is_claim(text: str, question: str = "") -> bool:
    """Return whether a claim is a statement about a paper, and not about the answer itself.

    Args:
        text: The claim.
        question: The question that it answers; if it is not English, the claim need not be, either.
    """
    return (
        not is_question(text)
        and states_something(text)
        and not (looks_like_instruction(text, question=question) or _ABOUT_THE_ANSWER.search(text))
    )
