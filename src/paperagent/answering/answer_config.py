"""Configuration of answers written by a model: prompts, prices, limits and policies.

`ModelProfile` describes how much a model is asked to do: everything, or only what a small local model can.
`describe_library` writes the line that describes the library to the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from paperagent.retrieval.conversation import Turn
from paperagent.retrieval.question import Question, QuestionKind
from paperagent.text.model_names import is_small
from paperagent.text.terms import STOP_WORDS
from paperagent.types import Paper

if TYPE_CHECKING:
    from paperagent.answering.claims import ClaimChecker, Policy
    from paperagent.answering.judge import JudgeWhen, LLMJudge
    from paperagent.answering.passages import Passages
    from paperagent.llm.prompts import Prompt
    from paperagent.llm.protocol import Pricing
    from paperagent.retrieval.evidence import PaperMatch

Effort = Literal["fast", "deep"]
"""``fast`` allows one round; ``deep`` first splits the question into searches."""
ProfileName = Literal["full", "compact"]
ProfileSetting = Literal["auto", "full", "compact"]


# --- model profiles ---

SCORE_MARGIN = 0.5
"""Papers beyond the minimum number are shown only if their score is within this margin of the best."""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """The tasks and limits of a model in one answer."""

    name: ProfileName
    prompt: str
    """Name of the prompt's file."""
    passage_limits: Mapping[QuestionKind, tuple[int, int]]
    """Minimum and maximum number of abstracts in the first prompt, by the kind of question."""
    output_tokens: Mapping[QuestionKind, int]
    """Limit of a reply, by the kind of question."""
    max_claims: int | None = None
    """Claims that the schema allows; None for any number."""
    reports_missing: bool = True
    """Whether the reply names what the abstracts do not say."""
    may_search: bool = True
    """Whether the model may request a further search."""

    def papers_to_show(self, matches: Sequence[PaperMatch], kind: QuestionKind) -> list[Paper]:
        """Return the papers of the first prompt: the best matches, as many as are close to the best."""
        fewest, most = self.passage_limits[kind]
        close = sum(m.score >= matches[0].score - SCORE_MARGIN for m in matches)
        return [m.hit.paper for m in matches[: min(max(close, fewest), most)]]


FULL = ModelProfile(
    name="full",
    prompt="answer",
    passage_limits={"single": (2, 4), "compare": (8, 12), "list": (8, 12)},
    output_tokens={"single": 1_200, "compare": 1_500, "list": 1_500},
)
COMPACT = ModelProfile(
    name="compact",
    prompt="answer-compact",
    passage_limits={"single": (2, 2), "compare": (2, 3), "list": (3, 4)},
    output_tokens={"single": 250, "compare": 350, "list": 400},
    max_claims=3,
    reports_missing=False,
    may_search=False,
)
PROFILES: Mapping[ProfileName, ModelProfile] = {p.name: p for p in (FULL, COMPACT)}


def select_profile(setting: ProfileSetting, *, model: str, on_this_machine: bool) -> ModelProfile:
    """Return the profile for a model.

    ``auto`` is ``compact`` for a model on this machine whose name says that it is small, and
    ``full`` otherwise: a name without a size says nothing, and a remote server reads a long
    prompt fast enough.
    """
    if setting != "auto":
        return PROFILES[setting]
    return COMPACT if on_this_machine and is_small(model) else FULL


# --- answer configuration ---


@dataclass(frozen=True, slots=True)
class AnswerConfig:
    """Everything that shapes an answer written by a model."""

    answer_prompt: Prompt
    decompose_prompt: Prompt
    repair_prompt: Prompt
    check: ClaimChecker
    pricing: Pricing
    salt: str
    """The library's secret for the fence around passages."""
    today: str
    policy: Policy = "withhold"
    effort: Effort | None = None
    max_rounds: int = 2
    context_tokens: int = 8_192
    """Tokens that a prompt and its reply may fill together."""
    max_cost: float | None = None
    """US dollars; None for no limit."""
    judge: LLMJudge | None = None
    judge_when: JudgeWhen = "auto"
    library_description: str = ""
    """One line that describes the library, so that the model can decide whether to search again."""
    profile: ModelProfile = FULL
    fallback: bool = True
    """Whether sentences are quoted if the model gives no answer. Otherwise the error is raised."""

    def fill_answer_prompt(
        self, question: Question, history: Sequence[Turn], passages: Passages, *, may_search: bool
    ) -> list[dict[str, str]]:
        """Return the messages that ask for an answer from passages.

        The date is given only if the question may depend on it. Otherwise the prompt, and with it the
        cached reply, is the same on any day.
        """
        needs_date = not question.is_english or _TIME_WORDS.search(question.text)
        values = {
            "library": f"{self.library_description}\n\n" if self.library_description else "",
            "fence": passages.fence,
            "passages": passages.text(),
            "conversation": _conversation_text(history),
            "question": question.text,
            "today": f"Today is {self.today}. " if needs_date else "",
            "may_search": _MAY_SEARCH if may_search else _MAY_NOT_SEARCH,
        }
        prompt = self.answer_prompt
        return prompt.fill(**{name: values[name] for name in values if name in prompt.variables})

    def fill_decompose_prompt(self, question: Question, history: Sequence[Turn]) -> list[dict[str, str]]:
        """Return the messages that ask to split a question into searches."""
        return self.decompose_prompt.fill(conversation=_conversation_text(history), question=question.text)


MAX_CONVERSATION_LENGTH = 1_500
"""Characters of earlier turns that the model sees: whole turns, and at least the start of the latest."""
_MAY_SEARCH = "You may ask for one more search."
_MAY_NOT_SEARCH = "You may not search again: answer from these passages or abstain."
_TIME_WORDS = re.compile(
    r"\b(?:today|now|nowadays|recent(?:ly)?|lately|latest|newest|current(?:ly)?|upcoming|ago|so far|since"
    r"|until|yesterday|tomorrow|what(?:'s| is) new|anything new"
    r"|(?:this|last|past|next|previous)\s+(?:\w+\s+)?(?:days?|weeks?|months?|quarter|years?|decade)|20\d\d)\b",
    re.IGNORECASE,
)
"""Expressions of time, which are meaningless without the date."""


def _conversation_text(history: Sequence[Turn]) -> str:
    """Return the latest turns as text, as many as fit, oldest first."""
    turns: list[str] = []
    for earlier in reversed(history):
        turn = f"Reader: {earlier.question}\nAnswer: {earlier.answer}\n"
        if turns and sum(map(len, turns)) + len(turn) > MAX_CONVERSATION_LENGTH:
            break
        if len(turn) > MAX_CONVERSATION_LENGTH:
            turn = turn[: MAX_CONVERSATION_LENGTH - 2] + "…\n"
        turns.insert(0, turn)
    return f"Earlier in this conversation:\n{''.join(turns)}\n" if turns else ""


# --- the line about the library ---

LIBRARY_SAMPLE_SIZE = 400
"""Number of papers that the line is based on, spread over the library."""
_MAX_TOPICS = 6
_MIN_TOPIC_SHARE = 0.01
"""Share of the sampled titles that must name a topic, at least two titles."""
_TITLE_WORD = re.compile(r"[A-Za-z][A-Za-z-]+")
_GENERIC_WORDS = frozenset(
    "approach analysis based case evaluation framework learning method model models new novel paper study "
    "survey system systems toward towards using via".split()
)


def describe_library(count: int, sample: Sequence[Paper], *, spread: bool = True) -> str:
    """Return a line such as ``The library holds 153 papers, 2023-04 to 2026-06; main topics: …``.

    Args:
        count: Number of papers in the library.
        sample: Up to `LIBRARY_SAMPLE_SIZE` of them.
        spread: Whether the sample is spread over the library. Otherwise the dates are left out.
    """
    days = sorted(day for p in sample if (day := p.published or p.listed))
    months = dict.fromkeys(f"{day:%Y-%m}" for day in days[:: max(1, len(days) - 1)])
    span = f", {' to '.join(months)}" if spread and 2 * len(days) > len(sample) else ""
    categories = Counter(p.categories[0] for p in sample if p.categories)
    parts = [f"The library holds {count:,} paper{'s' * (count != 1)}{span}"]
    if categories:
        parts.append(f"main categories: {', '.join(name for name, _ in categories.most_common(_MAX_TOPICS))}")
    if topics := _topics(sample):
        parts.append(f"main topics: {', '.join(topics)}")
    return f"{'; '.join(parts)}."


def _topics(sample: Sequence[Paper]) -> list[str]:
    """Return the word pairs, then the single words, in most titles, without repeating a word."""
    pairs, single_words = Counter[str](), Counter[str]()
    for paper in sample:
        terms = list(_title_terms(paper.title))
        pairs.update({f"{word} {following}" for word, following in terms if following})
        single_words.update({word for word, _ in terms if word not in _GENERIC_WORDS})
    min_titles = max(2, _MIN_TOPIC_SHARE * len(sample))
    topics: list[str] = []
    for counts in (pairs, single_words):
        for phrase, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if n < min_titles or len(topics) == _MAX_TOPICS:
                break
            if not set(phrase.split()) & {word for topic in topics for word in topic.split()}:
                topics.append(phrase)
    return topics


def _title_terms(title: str) -> Iterator[tuple[str, str | None]]:
    """Yield each content word of a title with the content word directly after it, if any."""
    for part in re.split(r"[:;,.?!()]", title):
        words = [_singular(word) for word in _TITLE_WORD.findall(part.lower())]
        for word, following in zip_longest(words, words[1:]):
            if word in STOP_WORDS:
                continue
            is_pair = (
                following is not None
                and following not in STOP_WORDS
                and not {word, following} <= _GENERIC_WORDS
            )
            yield word, following if is_pair else None


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
