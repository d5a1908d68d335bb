"""The form of a question: how clearly its wording refers to an earlier turn of the conversation.

`follow_up` decides which papers it refers to.
"""

from __future__ import annotations

import re
from typing import Literal

from paperagent.retrieval.scoring import is_query_stopword
from paperagent.text.terms import index_terms, is_english

Strength = Literal["none", "medium", "strong", "fragment", "exact"]
"""How clearly a question refers to an earlier turn; ``exact`` if it names a paper by its number."""

_MAX_FRAGMENT, MAX_SHORT, _MAX_MEDIUM = 2, 2, 4
"""Maximum topic words of a question whose brevity is the only sign of a reference, by strength."""
MAX_WITH_PRONOUN, _MAX_WITH_CONNECTIVE, _MAX_WITH_WEAK_PRONOUN = 7, 6, 4
_MAX_BEFORE_PRONOUN = 3
"""Topic words before a pronoun; after more, it refers to one of them."""
_MAX_FOREIGN_WORDS = 9
"""Maximum words of a question in another language that refers to earlier papers. Two Chinese characters
count as one word."""

_MAX_QUESTION = 2_000
"""Maximum characters of a question that are read. The beginning of a longer one shows what it is about."""
PICK = re.compile(
    r"\b(?:the|that|this)\ (?:[\w-]+\ ){0,3}?ones?\b|\b(?:which|one)\ of\ (?:them|these|those)\b",
    re.IGNORECASE,
)
"""Picks from several papers: "the one with the game"."""
PAPERS_NOUN = r"(?:papers?|works?|stud(?:y|ies))\b"
_SEEKS_PAPERS = re.compile(
    rf"""\b(?:is|are|was|were)\ there\ (?:a|an|any|also|other|another|more|some|similar)\b
    |\b(?:any|which|what|recent|new)\ (?:\w+\ )?{PAPERS_NOUN}
    |(?<!\bthe\ )(?<!\bthese\ )(?<!\bthose\ )(?<!\bboth\ )\b(?:papers|studies)\b
    |\bwhat\ do\ (?:we|you)\ have\b|\banything\ (?:new|about|on)\b|\bwho\ (?:else\ )?works\ on\b
    |\bgibt\ es\b|^\W*hay\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NOUN = (
    r"(?:model|data|dataset|data\ set|method|paper|work|study|system|approach|benchmark|framework|result"
    r"|finding|number|one|case|game|task|experiment|technique|algorithm|tool|corpus|gain|author|abstract"
    r"|researcher)s?\b"
)
_THIS = r"(?:this|that|these|those)"
_PRONOUN = re.compile(
    rf"""\b(?:do|does|did|is|are|was|were|has|have|had|can|could|will|would|should|might)(?:n't)?
        \ (?:it|they|he|she)\b
    |\b(?:do|does|did|is|was|were|can|could|has|will|would)\ (?:this|that)\b
    |\b(?:are|have|by|for|of|on|in|with|than|about|after|from)
        \ {_THIS}\s*(?:$|[?!.,;]|(?:\w+\ )?{_NOUN})
    |\b{_THIS}\ (?:\w+\ )?{_NOUN}|^(?:and\ |but\ |so\ )?{_THIS}\b|\bwhy\ that\b""",
    re.IGNORECASE | re.VERBOSE,
)
_WEAK_PRONOUN = re.compile(
    rf"""\b(?:about|after|at|before|behind|by|for|from|in|into|of|on|over|than|through|to|under|use|using|with
        |without)\ (?:it|them|him|her|theirs|{_THIS})(?:\ too|\ then|\ there)?(?=\W*(?:$|[,;?]|and\b))
    |\b(?:it|them)(?=\W*$)|\b(?:there|here)\b(?!\ (?:is|are|was|were|an?|any|other|some|more)\b)
    |\bthe\ same\b|\bthe\ {_NOUN}(?!\ (?:of|behind|by|called|named|about|that|which|on)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Refers back only in a short question: not in "what tools do hubs offer people for them?"."""
_ANY_PRONOUN = re.compile(r"\b(?:it|its|itself|they|them|theirs?|he|him|his|she|her)\b", re.IGNORECASE)
"""Refers back if no topic comes before it: not in "how do LLMs express their confidence?"."""
_EXPLETIVE = re.compile(
    r"\b(?:is|was|would\ be)\ it\ (?!\w+ed\b|similar|close)\w+\ (?:to|that|for)\b", re.IGNORECASE
)
_CONNECTIVE = re.compile(
    r"^\W*(?:and|but|or|so|also|then|ok(?:ay)?|wh?at\ (?:about|abt)|how\ about|why|how\ come)\b",
    re.IGNORECASE,
)
VERB = r"(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should)"
_FRAGMENT = re.compile(
    rf"""^\W*(?:(?:and|but|so|for|with|on|in|from|to|by|over)\ )*
    (?:which|what|whose|how\ (?:many|much|big|large|often|far|long|fast))(?!.*\b{VERB}\b)
    |^\W*(?:why|how|when|where|what)\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
"""A question without a verb: "which datasets?"."""
_OWN_SUBJECT = re.compile(
    rf"""(?<!\bwe\ )(?<!\bone\ )(?<!\bthey\ )(?<!\bto\ )\b(?:do|does|did|can|could|will|would|should)(?:n't)?
    \ (?!(?:the|it|they|{_THIS}|its|their|you|we|i|he|she|one)\b)[a-z]""",
    re.IGNORECASE | re.VERBOSE,
)
"""A question about something that it names: "how do LLMs negotiate?"."""
_DEFINITION = re.compile(
    rf"^\W*(?:what|who)(?:'s|\ is|\ are)\ (?!(?:the|its?|their|{_THIS}|in|with)\b)|^(?:define|explain)\b",
    re.IGNORECASE,
)
_NOT_ENGLISH = re.compile(
    r"""[^\W\d_a-z]|\b(?:und|aber|warum|wieso|welche\w?|wie|wer|wo|was|es|sie|das|davon|dabei|ihre?\w?|deren|autoren
        |cu[aá]l\w*|cu[aá]nt\w+|qu[eé]|c[oó]mo|por|quel\w*|combien|pourquoi|comment|quale|quanti|perch[eé])\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""A letter or a word that English does not have. Such a question matches hardly any English abstract."""
SWITCH = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|thanks|thank\ you|thx|so|and|but|now)\b\W*)*
    (?:(?:(?:on|to|for|a|an|now|one|something|completely|totally|quite)\ )*
        (?:(?:different|another|other|new|next)\ (?:topic|question|subject|thing|note)
        |something\ (?:else|different))
        (?:\ (?:now|then|please))?|(?:change|switch)\ (?:of\ )?(?:topic|subject)|unrelated(?:\ question)?
        |by\ the\ way|btw)\s*[:,.;!–—-]\s*(?=\w)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Says that what follows is on another topic: "different topic: …"."""


def reference_strength(question: str) -> Strength:
    """Return how clearly a question refers to an earlier turn, by its form alone."""
    question = question[:_MAX_QUESTION]
    picks = PICK.search(question) is not None
    if _SEEKS_PAPERS.search(question) and not picks:
        return "none"
    if _is_foreign(question):
        return "fragment"
    topic = len(topic_stems(question))
    refers = refers_back(question)
    if topic <= _MAX_FRAGMENT and (refers or _FRAGMENT.search(question)):
        return "fragment"
    if topic <= (MAX_WITH_PRONOUN if refers else _MAX_WITH_CONNECTIVE if _CONNECTIVE.search(question) else 0):
        return "strong"
    if topic > _MAX_MEDIUM or _DEFINITION.search(question):
        return "none"
    return "strong" if topic <= MAX_SHORT and not _OWN_SUBJECT.search(question) else "medium"


def refers_back(question: str) -> bool:
    """Return whether a pronoun, a noun such as "the authors", or "the one with" refers to an earlier turn."""
    question = question[:_MAX_QUESTION]
    return PICK.search(question) is not None or has_pronoun(question)


def _is_foreign(question: str) -> bool:
    """Return whether a question is short and not in English."""
    is_short = len(question.split()) + sum(c > "\u2e80" for c in question) // 2 <= _MAX_FOREIGN_WORDS
    letters = question.encode("ascii", "ignore").decode()
    return is_short and _NOT_ENGLISH.search(question) is not None and not is_english(letters or "§")


def without_switch(question: str) -> str:
    """Return the question without words such as "different topic:" at its beginning."""
    return SWITCH.sub("", question, count=1)


def has_pronoun(question: str) -> bool:
    """Return whether a pronoun, or a noun such as "the authors", refers to an earlier turn."""
    question = _EXPLETIVE.sub(" ", question[:_MAX_QUESTION])
    pronoun = _PRONOUN.search(question)
    if pronoun is not None and len(topic_stems(question[: pronoun.start()])) <= _MAX_BEFORE_PRONOUN:
        return True
    if _WEAK_PRONOUN.search(question) and len(topic_stems(question)) <= _MAX_WITH_WEAK_PRONOUN:
        return True
    pronoun = _ANY_PRONOUN.search(question)
    return pronoun is not None and not topic_stems(question[: pronoun.start()])


def topic_stems(text: str) -> list[str]:
    """Return the stems of the words that describe a topic."""
    return [s for s in index_terms(text) if not is_query_stopword(s)]
