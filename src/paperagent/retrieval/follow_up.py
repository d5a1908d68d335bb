"""Decide what a question refers to among the papers that were cited earlier in the conversation.

"[2]", "the second paper" and "the other one" name a paper. A pronoun ("how large is it?"), a missing
subject ("with how many examples?") or a leading "and" refer to the papers that the conversation is
about. The score of these papers gets a bonus. The less the question says by itself, the larger the bonus.
A question on another topic still finds the papers of that topic, because they fit it better.

The rules and bonuses were tuned on one half of `eval/cases/followups.jsonl`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from paperagent.retrieval.attributes import COMMON_ACRONYMS
from paperagent.retrieval.conversation import Turn, add_context
from paperagent.retrieval.question import Question
from paperagent.retrieval.question_form import (
    MAX_SHORT,
    MAX_WITH_PRONOUN,
    PAPERS_NOUN,
    PICK,
    SWITCH,
    VERB,
    Strength,
    has_pronoun,
    reference_strength,
    refers_back,
    topic_stems,
)
from paperagent.retrieval.scoring import CorpusStats, names_paper
from paperagent.text import cues
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms, is_english
from paperagent.types import Hit, Paper

WINDOW = 6
"""Turns whose papers a question may refer to by their order."""
BONUS: Mapping[Strength, float] = {"none": 0.0, "medium": 0.8, "strong": 1.6, "fragment": 2.4, "exact": 4.0}
"""Added to the score of a cited paper, by how clearly the question refers to it. Without a bonus, the score
of the best paper for a question is between 2 and 4."""
_EARLIER_TURN = 0.5
"""Share of the bonus for the papers of the turn before the last."""
_CLOSEST_ONLY = 0.8
"""Share of the bonus for the closest papers of an abstention."""
_NEW_BESIDE_KNOWN = 0.5
"""Share of the bonus for papers that only the answer to a follow-up cited, not the answer before it."""
_RETRIEVED, _RETRIEVED_PAPERS = 0.9, 5
"""Share of the bonus for papers that were found but not cited, and their number, if a question picks one."""
_MIN_LIST_SHARE = 0.5
"""An answer lists papers if it cites at least this share of sentences from a second one, relative to the
first."""
_WITHOUT_NAME = 0.4
"""Share of the bonus for papers that lack a name in the question which another cited paper has."""
_BESIDE_NAMED = 0.2
"""Share of the bonus that is left if the question names a paper that was not cited."""

_MAX_LENGTH = 300
"""Characters; a longer question, such as a pasted abstract, refers to nothing."""
_MAX_SENTENCE = 2_000
"""Maximum characters of a sentence that are searched for names."""
_CLEAR_LEAD = 0.35
"""A short question without a pronoun is about the paper that leads the next five by this much, even if it was
not cited."""
_MIN_LEAD = 0.15
"""An answer was about the paper that leads the next five by this much, even if it does not name the paper."""
_MAX_NAME_WORDS, _RARE, _RARE_SHARE = 4, 3, 0.001
"""Words of a name, and the number and share of papers with its rarest word, at most."""

# --- the wording of a question ---

_ORDINALS = {
    "first": 0, "1st": 0, "former": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3,
    "fifth": 4, "5th": 4, "sixth": 5, "6th": 5, "last": -1, "latter": -1,
}  # fmt: skip
_THING = (
    r"(?:ones?|papers?|stud(?:y|ies)|works?|articles?|abstracts?|sources?|results?|hits?|methods?|models?"
    r"|systems?|approach(?:es)?|datasets?|data\ sets?|benchmarks?|frameworks?|authors?"
    r"|of\ (?:them|these|those))\b"
)
_ORDINAL = re.compile(
    rf"""(?:\bthe\ (?P<a>{"|".join(_ORDINALS)})
        |^(?:(?:and|in|for|of|what\ about|how\ about)\ )?(?P<b>{"|".join(_ORDINALS)}))
    (?:\ {_THING}|(?(a)(?=\s*(?:[,:;?!.]|and\b|$))|(?!)))""",
    re.IGNORECASE | re.VERBOSE,
)
_SOURCE_NUMBER = re.compile(
    r"\[(\d{1,2})\]|\b(?:source|citation|reference|ref\.?)\s?(\d{1,2})\b", re.IGNORECASE
)
_PAPER_NUMBER = re.compile(
    r"\b(?:paper|number|no\.|nr\.?)\s?([1-9]\d?)\b|(?<!\w)#([1-9]\d?)\b", re.IGNORECASE
)
_OTHER_ONE = re.compile(rf"\bthe\ other\ {_THING}", re.IGNORECASE)
_SEEKS_OTHERS = re.compile(
    rf"\b(?:other|another|more|similar|further)\ (?:\w+\ )?{PAPERS_NOUN}|\banything\ else\b", re.IGNORECASE
)
_SUBJECT = re.compile(rf"\b{VERB} the ([\w-]+)(?= \w+(?:\W*$| \w+\W*$)|\W*$)", re.IGNORECASE)
"""A noun with an article, near the end of a question and not described further."""
_ASKS = re.compile(rf"^\W*(?:(?:and|but|so|ok)\b\W*)?(?:wh\w+|how|{VERB})\b", re.IGNORECASE)
_SUCCESSOR = re.compile(
    r"""\b(?:follow-?\ ?up|newer|newest|later|latest|previous|earlier|older|original|next)
        \ (?:one|paper|version|work|study|model|article)\b
    |\b(?:successor|predecessor|sequel)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Refers to another paper of the same series: "and the follow-up paper?"."""
_CAMEL = r"(?<!\w)[A-Za-z0-9]*(?:[a-z][A-Z]|[A-Z]{2}|[A-Za-z]-?\d|\d[A-Za-z])[\w+.-]*\w|(?<!\w)\d+[A-Z]\b"
_CAMEL_NAME = re.compile(_CAMEL)
_COINED = re.compile(rf"{_CAMEL}|\b[A-Z]\w*(?:-[A-Z]\w*)+")
"""A name that somebody coined, such as ``SaySelf`` or ``Night-Owl``."""
_PREPOSITION = re.compile(r"\b(?:on|with|using|against|from|by|in|for|to)\b", re.IGNORECASE)
"""Ends what a sentence presents; later names belong to other things."""
_ITEM = re.compile(r"\((\d|i{1,3}|iv|v)\)\s*([^(),;:.]{2,60})")
_ROMAN = ("i", "ii", "iii", "iv", "v")
_NAME = re.compile(rf"{_CAMEL}|(?<=[a-z,]\ )[A-Z][a-z]{{2,}}\w*(?:-\w+)*")
"""A name: with a capital or digit inside, or capitalized inside an English sentence."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a question refers to among the papers that were cited earlier."""

    strength: Strength = "none"
    bonus: Mapping[str, float] = field(default_factory=dict)
    """Paper id → what is added to its score."""
    beside: str | None = None
    """The id of a paper whose predecessor or successor the question asks for."""

    @property
    def is_clear(self) -> bool:
        """Whether the question certainly refers to papers that were cited."""
        return self.strength in ("strong", "fragment", "exact") and bool(self.bonus)

    @property
    def needs_context(self) -> bool:
        """Whether the question refers to an earlier turn, but not to the papers that it cited."""
        return self.strength != "none" and not any(bonus > 0 for bonus in self.bonus.values())


def resolve(
    question: str,
    history: Sequence[Turn],
    papers: Mapping[str, Paper],
    best: str | None = None,
    lead: float = 0.0,
) -> Reference:
    """Return what a question refers to.

    Args:
        question: The question.
        history: The earlier turns, oldest first.
        papers: The papers of the last `WINDOW` turns, by id.
        best: The id of the paper that fits the question best by itself.
        lead: How far the score of that paper exceeds the next five.
    """
    if not history or len(question) > _MAX_LENGTH or SWITCH.match(question):
        return Reference()
    if exact := [i for i in _numbered(question, history) if i in papers]:
        return Reference("exact", dict.fromkeys(exact, BONUS["exact"]))
    strength = reference_strength(question)
    last = next(
        (i for turn in reversed(history) if turn.answered for i in turn.papers[:1] if i in papers), None
    )
    if last is not None and strength != "none" and _SUCCESSOR.search(question):
        return Reference(strength, {last: -BONUS["strong"]}, beside=last)
    weights = {i: weight for i, weight in _focus(question, history).items() if i in papers}
    if _SEEKS_OTHERS.search(question):
        return Reference("medium", {i: -BONUS["strong"] * weight for i, weight in weights.items()})
    texts = {i: f"{papers[i].title}\n{papers[i].abstract}".casefold() for i in weights}
    if strength == "none" and _names_part(question, texts.values()):
        strength = "strong"
    strength = _adjusted(strength, question, is_cited=best in weights, has_clear_lead=lead >= _CLEAR_LEAD)
    if strength == "medium":
        topic = set(topic_stems(question))
        weights = {i: w for i, w in weights.items() if not topic.isdisjoint(index_terms(texts[i]))}
    names = [n.casefold() for n in (_NAME if is_english(question) else _CAMEL_NAME).findall(question)]
    names = [name for name in names if name not in COMMON_ACRONYMS]
    name_counts = {i: sum(name in text for name in names) for i, text in texts.items()}
    if most := max(name_counts.values(), default=0):
        weights = {i: w * (1.0 if name_counts[i] == most else _WITHOUT_NAME) for i, w in weights.items()}
        strength = "strong" if strength == "medium" else strength
    elif names and not has_pronoun(question):  # a new named thing
        strength = "none"
    if strength == "none" or (strength == "medium" and not weights):
        return Reference()
    return Reference(strength, {i: weight * BONUS[strength] for i, weight in weights.items()})


def _names_part(question: str, texts: Iterable[str]) -> bool:
    """Return whether the subject is part of a cited paper: "how long did the fine-tuning take?"."""
    subject = _SUBJECT.search(question)
    if subject is None or len(topic_stems(question)) > MAX_WITH_PRONOUN:
        return False
    stems = set(topic_stems(subject[1]))
    return bool(stems) and any(stems <= set(index_terms(text)) for text in texts)


def _adjusted(strength: Strength, question: str, *, is_cited: bool, has_clear_lead: bool) -> Strength:
    """Return how clearly a question refers to cited papers, by its form and by the paper that fits it best.

    Args:
        strength: How clearly it refers to them by its form alone.
        question: The question.
        is_cited: Whether the best paper was cited.
        has_clear_lead: Whether the best paper fits clearly better than all others.
    """
    topic = len(topic_stems(question))
    if is_cited:
        return "strong" if strength in ("none", "medium") and topic <= MAX_WITH_PRONOUN else strength
    if strength == "medium":
        return "strong" if _ASKS.match(question) and not has_clear_lead else "medium"
    if strength == "strong" and has_clear_lead and topic > MAX_SHORT and not refers_back(question):
        return "medium"
    return strength


def moved_to_named(
    reference: Reference, question: Question, others: Iterable[Hit], cited: Mapping[str, Paper]
) -> Reference:
    """Return the reference, moved to those papers among ``others`` that the question names.

    A name that a cited paper mentions, such as a baseline's, moves the reference only if a title has it.
    """
    stats = question.query.stats
    abstracts = (cited[i].abstract for i, bonus in reference.bonus.items() if bonus > 0)
    cited_text = "\n".join(abstracts).casefold()
    named = [
        h.paper_id
        for h in others
        if names_loosely(question.text, h.title, stats)
        or any(
            name.casefold() not in cited_text
            for name in names_introduced(h.paper.abstract, stats)
            if _mentions(question.text, name)
        )
    ]
    if not named or reference.strength == "exact":
        return reference
    bonus = {i: b * _BESIDE_NAMED for i, b in reference.bonus.items()}
    return replace(reference, bonus={**bonus, **dict.fromkeys(named, BONUS["strong"])})


def names_loosely(question: str, title: str, stats: CorpusStats) -> bool:
    """Return whether a question has the name before the colon of a title, in any case.

    One of its words must be rare: the word "guide" names nothing.
    """
    name, colon, _ = title.partition(":")
    stems = index_terms(name)
    if not colon or len(name.split()) > _MAX_NAME_WORDS or not stems:
        return False
    return _is_rare(stems, stats) and _contains_word(question.casefold(), name.casefold())


def names_introduced(abstract: str, stats: CorpusStats) -> list[str]:
    """Return the names that an abstract introduces, such as that of a dataset.

    A name with a digit, such as GPT-4, must be rare: many papers present something made with it.
    """
    names: list[str] = []
    for sentence in split_sentences(abstract):
        text = sentence.text[:_MAX_SENTENCE]
        if presents := cues.PRESENTS.search(text):
            names += _COINED.findall(_PREPOSITION.split(text[presents.end() :], maxsplit=1)[0])
    return [
        name
        for name in names
        if name.casefold() not in COMMON_ACRONYMS
        and (name.replace("-", "").isalpha() or _is_rare(index_terms(name), stats))
    ]


def _is_rare(stems: Sequence[str], stats: CorpusStats) -> bool:
    """Return whether few papers contain one of the stems of a name."""
    most = max(_RARE, _RARE_SHARE * stats.papers)
    return any(stats.frequency.get(s, 0) <= most for s in stems)


def _mentions(question: str, name: str) -> bool:
    """Return whether a question has a name. An acronym, such as FAST, must be in capitals."""
    if name.isalpha() and name.isupper():
        return _contains_word(question, name)
    return _contains_word(question.casefold(), name.casefold())


def _contains_word(text: str, word: str) -> bool:
    return word in text and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def with_item(question: str, history: Sequence[Turn]) -> str:
    """Return a question about "the third one" followed by that item, if the last answer numbers items."""
    ordinal = _ORDINAL.search(question)
    last = next((turn for turn in reversed(history) if turn.answered), None)
    if ordinal is None or last is None:
        return question
    items = dict(_ITEM.findall(last.answer))
    numbers = [n for n in items if n.isdigit()] or [n for n in _ROMAN if n in items]
    position = _ORDINALS[(ordinal["a"] or ordinal["b"]).lower()]
    if len(numbers) < 2 or position >= len(numbers):
        return question
    return f"{question} {items[numbers[position]].strip()}"


# --- the papers of the conversation ---


def with_papers(history: Sequence[Turn], search: Callable[[str], Sequence[Hit]]) -> tuple[Turn, ...]:
    """Return the turns. If only the text of one of the last two is known, add the papers that it names."""
    turns = list(history)
    for i in range(len(turns))[-2:]:
        if not turns[i].papers:
            text = add_context("", [turns[i]])
            turns[i] = replace(turns[i], papers=_mentioned(text, search(text)))
    return tuple(turns)


def _mentioned(turn: str, hits: Sequence[Hit]) -> tuple[str, ...]:
    """Return the papers that a turn names, in its order, or else the one that stands out."""
    named = [h for h in hits if names_paper(f" {turn}", h.title)]
    named.sort(key=lambda h: turn.casefold().find(h.title.partition(":")[0].casefold()))
    others = [h.score for h in hits[1:6]]
    stands_out = bool(hits) and hits[0].score >= sum(others) / max(len(others), 1) + _MIN_LEAD
    return tuple(h.paper_id for h in named or (hits[:1] if stands_out else ()))


def _numbered(question: str, history: Sequence[Turn]) -> list[str]:
    """Return the papers that a question names by their number or order, or as "the other one"."""
    recent = [turn for turn in reversed(history[-WINDOW:]) if turn.papers]
    numbered: list[str] = []
    for match in _SOURCE_NUMBER.finditer(question):
        n = int(match[1] or match[2])
        numbered += next((t.citations[n - 1 : n] for t in recent if len(t.citations) >= n > 0), ())
    positions = [_ORDINALS[(m["a"] or m["b"]).lower()] for m in _ORDINAL.finditer(question)]
    positions += [int(m[1] or m[2]) - 1 for m in _PAPER_NUMBER.finditer(question)]
    for position in positions:
        lists = [t.papers for t in recent if len(t.papers) > max(position, 1)]
        if lists:
            numbered.append(lists[0][position])
        elif position == 0:  # "the first one" of a list of one
            numbered += [t.papers[0] for t in recent[:1]]
    if not numbered and _OTHER_ONE.search(question):
        papers = next((t.papers for t in recent if len(t.papers) > 1), ())
        numbered += [i for i in papers if i != recent[0].papers[0]][:1]
    return list(dict.fromkeys(numbered))


def _focus(question: str, history: Sequence[Turn]) -> dict[str, float]:
    """Return the papers that the conversation is about, each with a weight of at most 1."""
    weights: dict[str, float] = {}
    share, continues = 1.0, False
    for turn in reversed(history):
        if not turn.answered:
            if turn.papers and reference_strength(turn.question) in ("none", "medium"):  # a new topic
                return _merge(weights, _shares(turn), share * _CLOSEST_ONLY)
        elif turn.papers and share >= _EARLIER_TURN:
            shared = weights.keys() & turn.papers if continues else ()
            if shared:
                weights = {i: 1.0 if i in shared else w * _NEW_BESIDE_KNOWN for i, w in weights.items()}
            weights = _merge(weights, _shares(turn), share)
            share *= _EARLIER_TURN
            continues = reference_strength(turn.question) != "none"
    if PICK.search(question) and not _ORDINAL.search(question):
        recent = history[: -WINDOW - 1 : -1]
        shares = (_shares(turn) for turn in recent if turn.answered and turn.papers)
        lists = (s for s in shares if sum(share >= _MIN_LIST_SHARE for share in s.values()) > 1)
        weights = _merge(weights, next(lists, {}), 1.0)
        alone = (t for t in recent if reference_strength(t.question) in ("none", "medium"))
        retrieved = next(alone, history[0]).retrieved[:_RETRIEVED_PAPERS]
        weights = _merge(weights, dict.fromkeys(retrieved, 1.0), _RETRIEVED)
    return weights


def _shares(turn: Turn) -> dict[str, float]:
    """Return the number of sentences that a turn cited from each paper, relative to the highest number.

    The first paper gets 1, because it fitted the question best.
    """
    counts = Counter(turn.citations or turn.papers)
    most = max(counts.values())
    first = (turn.citations or turn.papers)[0]
    return {i: 1.0 if i == first else count / most for i, count in counts.items()}


def _merge(one: Mapping[str, float], other: Mapping[str, float], factor: float) -> dict[str, float]:
    return {i: max(one.get(i, 0.0), factor * other.get(i, 0.0)) for i in {**one, **other}}
