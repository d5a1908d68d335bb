# ruff: noqa: E501 - lists of words are easier to read on long lines
"""Normalizes what people type: removes politeness and punctuation, corrects misspelled words of a request."""

from __future__ import annotations

import re
import unicodedata

from paperagent.text.spelling import within_edit_distance

_POLITE_START = re.compile(
    r"(?:(?:please|pls|plz|plese|kindly|paper ?agent|so|just|quick question|hey|hi|hello)[\s,:!]+"
    r"|(?:can|could|would|will) (?:you|u)(?: please| pls| plz| kindly)?(?: (?:tell|show) me(?= (?:how|what|which|who|when|where))|(?= ))\s+"
    r"|(?:(?:check|see|tell me|(?:i (?:was |am |'m )?)?wonder(?:ing)?|i want to know|do you know) (?:if|whether)(?= (?:you (?:have|got)|there is|.* (?:is|are) (?:in|here)))|i want to know|i(?:'d| would) like to (?:know|see|have|get|read)|i wanna (?:know|see)|i(?:'m| am) (?:looking|searching) for"
    r"|(?:tell|show) me(?= (?:how many|what'?s new|what'?s in|how|what|which|who|when|where))|do you know(?= (?:how|what|which|who|when|where))|i need|may i see|can i (?:see|get|have))\s+)",
    re.IGNORECASE,
)
_POLITE_END = re.compile(
    r"[\s,]+(?:please|pls|plz|thanks|thx|thank you|for me|btw|again|then|exactly|actually|anyway)$",
    re.IGNORECASE,
)

END_MARKS = " \t?!.,;:…¿¡。？！"
_TYPO_WORDS = (
    "paper papers article articles library libraries title titles list latest newest recent author authors abstract abstracts"
    " summarize summarise summary overview similar mention mentions published written topics topic category categories"
    " sources feeds contain contains many wrote hello thanks goodbye link publication collection database"
).split()
_TYPOS = {w[0]: [t for t in _TYPO_WORDS if t[0] == w[0]] for w in _TYPO_WORDS}
_REAL_WORDS = frozenset(
    """latent tiles pager lost last lest mist lint lists newer later late tile line wrong write writes abstracted mentioned
    toxic tonic topical lint loss less long many main mean money any summed hallo contact contacts container parer taper
    summarizes summarized summaries summarizer published publish publisher recently decent resent authored particle particles
    hells hell tanks thank banks link links linked like line wrote wrist most must almost article titled tilted feed needs
    feeds seeds lines live love lift lost lest similarly simular dataset libra liberty""".split()
)


def plain(text: str) -> str:
    """Return the text in lower case, without punctuation, accents and repeated letters ("heyyy")."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    text = unicodedata.normalize(
        "NFC", "".join(c for c in decomposed if not unicodedata.combining(c) or c > "\u0900")
    )
    text = re.sub(r"['’`]", "", text)
    text = re.sub(r"(\w)\1{2,}", r"\1", text)
    return " ".join(re.sub(r"[^\w\s👋🙏👍]|_", " ", text).split())


def without_politeness(text: str) -> str:
    text = text.strip(END_MARKS).replace("’", "'")
    for _ in range(4):
        shorter = text
        if match := _POLITE_START.match(text):
            shorter = text[match.end() :]
        shorter = _POLITE_END.sub("", shorter).strip(END_MARKS)
        if shorter == text or not shorter:
            break
        text = shorter
    return text


def without_typos(text: str) -> str:
    """Return the text with misspelled words of `_TYPO_WORDS` corrected."""
    return " ".join(_corrected(word) for word in text.split(" "))


def _corrected(word: str) -> str:
    lower = word.lower()
    if not lower.isalpha() or len(lower) < 4 or lower in _REAL_WORDS or lower in _TYPO_WORDS:
        return word
    limit = 1 if len(lower) < 8 else 2
    return next(
        (
            w
            for w in _TYPOS.get(lower[0], ())
            if within_edit_distance(lower, w, min(limit, (len(w) - 1) // 3))
        ),
        word,
    )
