"""The earlier turns of a conversation, and what a question refers to among the papers that they cited.

`clean_history` validates input. `resolve` finds the papers that "it", "the second one" or "how many
examples?" may mean. These get a bonus to their score, so that a question on another topic still
finds the papers of that topic, because they fit it better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from paperagent.errors import InputError
from paperagent.retrieval.question import MAX_QUESTION, require_valid, without_controls
from paperagent.retrieval.scoring import is_query_stopword
from paperagent.text.terms import index_terms
from paperagent.types import Answer

MAX_TURNS = 50
"""Earlier turns that are kept, the latest ones."""
CONTEXT_WORDS = 80
"""Number of words of the earlier answer that are used to search for a follow-up question."""
_CITATION_MARKER = re.compile(r"\[\d+\]")
_SHOWN_QUOTE = re.compile(r"^ *> .*$", re.MULTILINE)
_CLOSEST_PASSAGES = re.compile(r"\s*Closest passages:.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer."""

    question: str
    answer: str
    """The text of the answer, without the sentences below unverified claims."""
    citations: tuple[str, ...] = ()
    """The paper id of citation [1], of [2] and so on. Empty if only the text of the answer is known."""
    papers: tuple[str, ...] = ()
    """The ids of the papers that the answer showed, in order, each once."""
    answered: bool = True
    """Whether the question was answered. The papers of an abstention are only the closest ones."""


def cited_papers(history: Sequence[Turn]) -> tuple[str, ...]:
    """Return the ids of the papers that the last answer cited, in the order in which it showed them.

    An abstention and a turn without papers, such as a greeting, are skipped.
    """
    return next((turn.papers for turn in reversed(history) if turn.answered and turn.papers), ())


def clean_history(history: Iterable[Any] | None) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Return the earlier turns, oldest first, and notes on those that were dropped.

    A turn is an `Answer`, a pair ``(question, answer)``, the same with the list of the paper ids that [1],
    [2] … cite, a mapping with those keys (such as `Answer.to_dict`), or two messages ``{"role":
    "user"|"assistant", "content": …}`` in a row.

    Raises:
        InputError: a turn of another shape or role.
    """
    if history is None:
        return (), ()
    if isinstance(history, (str, bytes, Mapping, Answer)) or not isinstance(history, Iterable):
        raise InputError(
            "history: must be a list of Answers or (question, answer) pairs; pass [(question, answer), …]"
        )
    turns: list[Turn] = []
    for item in history:
        _add_turn(turns, item)
    dropped = len(turns) - MAX_TURNS
    notes = (f"history: the oldest {dropped} turns were dropped",) if dropped > 0 else ()
    return tuple(turns[-MAX_TURNS:]), notes


def _add_turn(turns: list[Turn], item: Any) -> None:
    if isinstance(item, Answer):
        item = item.to_dict()
    if isinstance(item, Mapping) and "role" in item:
        _add_message(turns, item)
        return
    if isinstance(item, Mapping):
        pair: Sequence[Any] = (item.get("question"), item.get("answer"))
    else:
        pair = item if isinstance(item, Sequence) and not isinstance(item, (str, bytes)) else ()
    if len(pair) == 3 and isinstance(pair[2], (list, tuple)):
        citations = [{"paper_id": paper_id} for paper_id in pair[2]]
        item = {"question": pair[0], "answer": pair[1], "citations": citations}
        pair = pair[:2]
    if len(pair) != 2 or not all(isinstance(p, str) for p in pair):
        raise InputError("history: each turn must be an Answer or a (question, answer) pair of texts")
    is_answer = isinstance(item, Mapping) and "citations" in item
    turn = Turn(_clean(pair[0]), _clean(_SHOWN_QUOTE.sub("", pair[1]) if is_answer else pair[1]))
    turns.append(_with_citations(turn, item) if is_answer else turn)


def _with_citations(turn: Turn, answer: Mapping[Any, Any]) -> Turn:
    """Return a turn with what `Answer.to_dict` says about its papers; parts of another shape are ignored."""
    citations, retrieved = _paper_ids(answer.get("citations")), _paper_ids(answer.get("papers"))
    answered = answer.get("status") not in ("abstained", "refused")
    papers = citations or (retrieved if answer.get("kind") == "library" else ())
    text = turn.answer if answered else _CLOSEST_PASSAGES.sub("", turn.answer)
    return replace(
        turn, answer=text, citations=citations, papers=tuple(dict.fromkeys(papers)), answered=answered
    )


def _paper_ids(items: Any) -> tuple[str, ...]:
    """Return the ``paper_id`` of each item."""
    ids = [i.get("paper_id") for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []
    return tuple(i for i in ids if isinstance(i, str))


def _add_message(turns: list[Turn], message: Mapping[Any, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant"):
        raise InputError("history: role must be user or assistant")
    if not isinstance(content, str):
        raise InputError("history: content must be text")
    if role == "user":
        turns.append(Turn(_clean(content), ""))
    elif not turns:
        raise InputError("history: an assistant message must follow a user message")
    else:
        turns[-1] = replace(turns[-1], answer=f"{turns[-1].answer} {_clean(content)}".strip())


def _clean(text: str) -> str:
    require_valid(text, "history")
    return " ".join(without_controls(text).split())


# --- references ---

EXACT_BONUS, STRONG_BONUS, MEDIUM_BONUS, WEAK_BONUS = 4.0, 1.6, 0.5, 0.1
"""Added to the score of a cited paper, by how clearly the question refers to it. Scores of the best paper
lie between 2 and 4."""
_EARLIER_TURN = 0.5
"""Share of the bonus for the papers of the turn before the last."""
_WITHOUT_NAME = 0.4
"""Share of the bonus for papers without a name in the question that another cited paper has."""
_BESIDE_NAMED = 0.2
"""Share of the bonus that is left if the question names a paper that was not cited."""
_CLOSEST_ONLY = 0.8
"""Share of the bonus for the closest papers of an abstention."""
_PASTED = 300
"""Characters; a longer question stands for itself."""
_MAX_STRONG, _MAX_CONNECTED, _MAX_SHORT, _MAX_MEDIUM = 7, 6, 2, 4
"""Content words up to which a question with a pronoun, with a leading "and", or without either refers back."""
_MAX_NAME_WORDS, _RARE, _RARE_SHARE = 4, 3, 0.001
"""Words of a name, and the number and share of papers with one of its words, at most."""
WINDOW = 6
"""Turns among which a list of papers is looked for."""

Strength = Literal["none", "weak", "medium", "strong"]
_BONUS: Mapping[Strength, float] = {
    "none": 0.0,
    "weak": WEAK_BONUS,
    "medium": MEDIUM_BONUS,
    "strong": STRONG_BONUS,
}

_ORDINALS = {
    "first": 0, "1st": 0, "former": 0, "second": 1, "2nd": 1, "latter": -1, "third": 2, "3rd": 2,
    "fourth": 3, "4th": 3, "fifth": 4, "5th": 4, "sixth": 5, "6th": 5, "last": -1,
}  # fmt: skip
_THING = (
    r"(?:ones?|papers?|stud(?:y|ies)|works?|articles?|abstracts?|sources?|results?|hits?|methods?|models?|systems?"
    r"|approach(?:es)?|datasets?|data\ sets?|benchmarks?|frameworks?|authors?|of\ (?:them|these|those))\b"
)
_ORDINAL = re.compile(
    rf"(?:\bthe\ (?P<a>{'|'.join(_ORDINALS)})|(?:^|^(?:and|in|for|of|what about|how about)\ )(?P<b>{'|'.join(_ORDINALS)}))"
    rf"(?:\ {_THING}|(?(a)(?=\s*(?:[,:;?!.]|and\b|$))|(?!)))",
    re.IGNORECASE,
)
_SOURCE_NUMBER = re.compile(
    r"\[(\d{1,2})\]|\b(?:source|citation|reference|ref\.?)\s?(\d{1,2})\b", re.IGNORECASE
)
_PAPER_NUMBER = re.compile(r"\b(?:paper|number|no\.|nr\.?)\s?(\d{1,2})\b|(?<!\w)#(\d{1,2})\b", re.IGNORECASE)
_OTHER_ONE = re.compile(
    r"\bthe\ other\ (?:one|paper|study|work|model|method|system|dataset|approach)\b", re.IGNORECASE
)
_PICK = re.compile(
    rf"\b(?:the|that|this)\ (?:[\w-]+\ ){{0,3}}?ones?\b|\b(?:which|one)\ of\ (?:them|these|those)\b",
    re.IGNORECASE,
)
_SEEKS_PAPERS = re.compile(
    r"""\b(?:is|are|was|were)\ there\ (?:a|an|any|also|other|another|more|some|similar)\b
    |\b(?:any|other|another|more|similar|further|which|what|recent|new)\ (?:\w+\ )?(?:papers?|works?|stud(?:y|ies))\b
    |(?<!\bthe\ )(?<!\bthese\ )(?<!\bthose\ )(?<!\bboth\ )\b(?:papers|studies)\b|\bwhat\ do\ (?:we|you)\ have\b
    |\banything\ (?:else|new|about|on)\b|\bwho\ (?:else\ )?works\ on\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SEEKS_OTHERS = re.compile(
    r"\b(?:other|another|more|similar|further)\ (?:\w+\ )?(?:papers?|works?|stud(?:y|ies))\b|\banything\ else\b",
    re.IGNORECASE,
)
_THINGS = (
    r"(?:model|dataset|data|method|paper|work|study|system|approach|benchmark|framework|result|finding|number|one"
    r"|case|game|task|experiment|technique|algorithm|tool|corpus|gain|author|abstract|researcher)s?"
)
_PRONOUN = re.compile(
    rf"""\b(?:do|does|did|is|are|was|were|has|have|had|can|could|will|would|should|might)(?:n't)?\ (?:it|they|he|she)\b
    |\b(?:do|does|did|is|are|was|were|can|could|has|have|by|for|of|on|in|with|than|about|after|from)
        \ (?:this|that|these|those)\s*(?:$|[?!.,;]|(?:\w+\ )?{_THINGS}\b)
    |\b(?:this|that|these|those)\ (?:\w+\ )?{_THINGS}\b
    |^(?:and\ |but\ |so\ )?(?:this|that|these|those)\b|\bwhy\ that\b
    |\b(?:es|davon|dabei|damit|dafür|darin|ihre?[nmrs]?|deren|dessen)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Refers back wherever it stands, such as "does it"; not in "is it safe to"."""
_WITH_PREPOSITION = re.compile(
    r"""\b(?:about|after|at|before|behind|by|for|from|in|into|of|on|over|than|through|to|under|use|using|with|without)
        \ (?:it|them|him|her|theirs|this|that|these|those)(?:\ too|\ then|\ there)?(?=\W*(?:$|[,;?]|and\b))
    |\b(?:there|here)\b(?!\ (?:is|are|was|were|an?|any|other|some|more)\b)
    |\bthe\ (?:same|data\ set|authors?|papers?|study|models?|method|system|dataset|approach|benchmark|framework
        |abstract|experiments?|researchers)\b(?!\ (?:of|behind|by|called|named|about|that|which|on)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Refers back in a short question: not in "what tools do hubs offer people for them?"."""
_EXPLETIVE = re.compile(r"\b(?:is|was|would\ be)\ it\ \w+\ (?:to|that|for)\b", re.IGNORECASE)
_MAX_BEFORE_PRONOUN, _MAX_WITH_PREPOSITION = 3, 4
_POSSESSIVE = re.compile(r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her)\b", re.IGNORECASE)
"""Refers back if no noun comes before it: not in "how do LLMs express their confidence?"."""
_CONNECTIVE = re.compile(
    r"^\W*(?:and|but|or|so|also|then|ok(?:ay)?|what\ about|what\ abt|wat\ about|how\ about|why|how\ come|und|aber|warum|wieso)\b",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"^\W*(?:what|who)(?:'s|\ is|\ are)\ (?!(?:the|its?|their|this|that|these|those|in|with)\b)|^(?:define|explain)\b",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?<![\w])[A-Za-z0-9]*(?:[a-z][A-Z]|[A-Z]{2}|[A-Za-z]-?\d|\d[A-Za-z])[\w+.-]*\w|(?<=[a-z,]\ )[A-Z][a-z]{2,}\w*(?:-\w+)*"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a question refers to among the papers that were cited earlier."""

    bonus: Mapping[str, float] = field(default_factory=dict)
    """What is added to the score of each paper that it may mean."""
    strength: Strength = "none"

    def moved_to(self, paper_ids: Sequence[str]) -> Reference:
        """Return the reference of a question that names other papers."""
        if not paper_ids or max(self.bonus.values()) == EXACT_BONUS:
            return self
        bonus = {i: b * _BESIDE_NAMED for i, b in self.bonus.items()}
        return replace(self, bonus={**bonus, **dict.fromkeys(paper_ids, STRONG_BONUS)})

    @property
    def needs_context(self) -> bool:
        """Whether the question may refer to an earlier turn, but not certainly to the papers of one."""
        return self.strength in ("medium", "strong") and not self.is_clear

    @property
    def is_clear(self) -> bool:
        """Whether the question certainly refers to an earlier turn."""
        return self.strength == "strong" and bool(self.bonus)


def resolve(question: str, history: Sequence[Turn], texts: Mapping[str, str]) -> Reference:
    """Return what a question refers to.

    Args:
        question: The question.
        history: The earlier turns, oldest first.
        texts: The titles and abstracts of the papers of the latest turns, by id.
    """
    if not history or len(question) > _PASTED:
        return Reference()
    if exact := [i for i in _numbered(question, history) if i in texts]:
        return Reference(dict.fromkeys(exact, EXACT_BONUS), "strong")
    strength = reference_strength(question)
    weights = {i: weight for i, weight in _focus(question, history).items() if i in texts}
    if _SEEKS_OTHERS.search(question):
        return Reference({i: -STRONG_BONUS * weight for i, weight in weights.items()}, "weak")
    names = [name.casefold() for name in _NAME.findall(question)]
    known = {i: sum(name in texts[i].casefold() for name in names) for i in weights}
    if most := max(known.values(), default=0):
        weights = {i: w * (1.0 if known[i] == most else _WITHOUT_NAME) for i, w in weights.items()}
    elif names and not _has_pronoun(question):
        strength = "weak" if strength == "strong" else "none"
    bonus = {i: weight * _BONUS[strength] for i, weight in weights.items()}
    return Reference({i: b for i, b in bonus.items() if b}, strength)


def reference_strength(question: str) -> Strength:
    """Return how clearly a question refers to an earlier turn, by its form alone."""
    content = _content(question)
    if _SEEKS_PAPERS.search(question) and not _PICK.search(question):
        return "none"
    if len(content) <= _MAX_STRONG and (_has_pronoun(question) or _PICK.search(question)):
        return "strong"
    if len(content) <= _MAX_CONNECTED and _CONNECTIVE.search(question):
        return "strong"
    if _DEFINITION.search(question):
        return "weak"
    if len(content) <= _MAX_SHORT:
        return "strong"
    return "medium" if len(content) <= _MAX_MEDIUM else "weak"


def _has_pronoun(question: str) -> bool:
    """Return whether a pronoun, or a noun such as "the authors", refers back."""
    question = _EXPLETIVE.sub(" ", question)
    pronoun = _PRONOUN.search(question)
    if pronoun is not None and len(_content(question[: pronoun.start()])) <= _MAX_BEFORE_PRONOUN:
        return True
    if _WITH_PREPOSITION.search(question) and len(_content(question)) <= _MAX_WITH_PREPOSITION:
        return True
    possessive = _POSSESSIVE.search(question)
    return possessive is not None and not _content(question[: possessive.start()])


def _content(text: str) -> list[str]:
    """Return the stems of the words that describe a topic."""
    return [s for s in index_terms(text) if not is_query_stopword(s)]


def names_loosely(question: str, title: str, frequency: Mapping[str, int], papers: int) -> bool:
    """Return whether a question has the name before the colon of a title, in any case.

    Args:
        question: The question.
        title: The title.
        frequency: The number of papers that contain each stem of the question.
        papers: The number of papers of the library.
    """
    name, colon, _ = title.partition(":")
    stems = index_terms(name)
    if not colon or not 1 <= len(name.split()) <= _MAX_NAME_WORDS or not stems:
        return False
    if min(frequency.get(s, 0) for s in stems) > max(_RARE, _RARE_SHARE * papers):
        return False
    return re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", question.casefold()) is not None


def _numbered(question: str, history: Sequence[Turn]) -> list[str]:
    """Return the papers that a question names by their number or order, or as "the other one"."""
    recent = [turn for turn in reversed(history[-WINDOW:]) if turn.papers]
    if not recent:
        return []
    found: list[str] = []
    for match in _SOURCE_NUMBER.finditer(question):
        number = int(match[1] or match[2])
        found += next(
            (t.citations[number - 1 : number] for t in recent if len(t.citations) >= number > 0), ()
        )
    orders = [_ORDINALS[(m["a"] or m["b"]).lower()] for m in _ORDINAL.finditer(question)]
    orders += [int(m[1] or m[2]) - 1 for m in _PAPER_NUMBER.finditer(question)]
    for order in orders:
        listed = [t.papers for t in recent if len(t.papers) > max(order, 1)]
        found += [listed[0][order]] if listed else []
    if not found and _OTHER_ONE.search(question):
        papers = next((t.papers for t in recent if len(t.papers) > 1), ())
        last = recent[0].papers[0]
        found += [i for i in papers if i != last][:1]
    return list(dict.fromkeys(found))


def _focus(question: str, history: Sequence[Turn]) -> dict[str, float]:
    """Return the papers that the conversation is about, each with a weight of at most 1."""
    weights: dict[str, float] = {}
    share = 1.0
    for turn in reversed(history):
        if not turn.answered:
            if turn.papers and reference_strength(turn.question) != "strong":  # a new topic
                return _merge(weights, _shares(turn), share * _CLOSEST_ONLY)
            continue
        if turn.papers:
            weights = _merge(weights, _shares(turn), share)
            share *= _EARLIER_TURN
            if share < _EARLIER_TURN:
                break
    if _PICK.search(question):
        listed = next((t for t in reversed(history[-WINDOW:]) if t.answered and len(t.papers) > 1), None)
        weights = _merge(weights, _shares(listed), 1.0) if listed else weights
    return weights


def _shares(turn: Turn) -> dict[str, float]:
    """Return the number of sentences that a turn cited from each paper, relative to the most."""
    counts = Counter(turn.citations or turn.papers)
    most = max(counts.values())
    return {paper_id: count / most for paper_id, count in counts.items()}


def _merge(one: Mapping[str, float], other: Mapping[str, float], factor: float) -> dict[str, float]:
    return {i: max(one.get(i, 0.0), factor * other.get(i, 0.0)) for i in {**one, **other}}


def add_context(question: str, history: Sequence[Turn]) -> str:
    """Return the question followed by the last turn, as text to search for."""
    last = history[-1]
    answer_words = _CITATION_MARKER.sub("", last.answer[:MAX_QUESTION]).split()
    head = " ".join(answer_words[:CONTEXT_WORDS])
    return f"{question} {last.question[:MAX_QUESTION]} {head}".strip()
