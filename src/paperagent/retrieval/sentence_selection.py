"""Select the sentences of ranked papers that answer a question, the best one first, and as few as possible.

Each sentence has a score: a linear function of how well it matches the question and of its role in the
abstract. The weights were fitted as a logistic regression on labeled sentences of the development
questions and our own (`eval/answer_sentences.py`). A sentence that answers has the label 1, and one that only
introduces or qualifies the answer .4. A further sentence is shown only if its score is close
to the best one's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from paperagent.retrieval import attributes
from paperagent.retrieval.question import Question, QuestionKind
from paperagent.text import cues
from paperagent.text.statements import is_statement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.retrieval.evidence import PaperMatch

LIST_MARGIN, MAX_LIST_PAPERS = 0.5, 5
"""A list contains the papers whose score is within this margin of the best, up to this number. Of the
papers listed for 22 questions, .80 are right, and .70 of the relevant papers are listed."""
FURTHER_MARGIN = 0.08
"""A second paper adds a sentence to a single answer if its score is within this margin of the best."""
SENTENCE_MARGINS: Mapping[QuestionKind, tuple[float, ...]] = {
    "single": (2.0, 1.5),
    "compare": (2.0, 1.5),
    "list": (),
}
COMPOUND_MARGINS = (4.0, 3.0, 2.0)
"""A paper's second, third and fourth sentence are shown if they score at most this much below its best one.
A question that asks several things of one paper needs more of them."""
FOLLOW_UP_MARGINS = (9.0, 4.0, 2.0)
"""So does a follow-up, whose few words match less clearly."""
WORD_MARGIN_FACTOR, WORD_LIST_MARGIN = 2.0, 0.6
"""Factor on these margins, and the margin of a list, without an encoder: words alone separate less well."""
MAX_DOUBTFUL_PASSAGES = 3
"""The maximum number of sentences that a ``doubtful`` answer or an abstention quotes."""
RELEVANCE_MARGIN = 1.5
RELEVANT_PAPER_MARGINS: Mapping[QuestionKind, float] = {"single": 0.4, "compare": 0.6, "list": 0.6}
"""A sentence is relevant if it scores at most this much below the lowest selected one, in a paper within
this margin of the best. Of the gold sentences of 55 development questions .94 are, and of the sentences of
other papers that are matched with them .26."""
PADDING_PENALTY = 6.0
"""Subtracted from the score of a sentence that adds nothing; it exceeds every margin."""
_METHOD_SENTENCES = 2
"""The sentences after the one that presents the work usually explain how it works."""

_WEIGHTS: Mapping[str, float] = {
    "match": 3.95, "gain": 10.71, "presents": 0.77, "before": -1.5, "first": -0.64, "background": -0.3,
    "position": -0.24, "most_asked": 0.8, "number": 0.77, "no_number": -0.99, "number_asked": 8.63,
    "method_detail": 1.33, "method_result": -1.7, "list_contribution": 1.42,
    "release": 4.0, "aspect": 1.5, "counts_asked": 2.0,
}  # fmt: skip
"""Weight of each feature; see `features`."""


@dataclass(frozen=True, slots=True)
class SelectedSentence:
    """A sentence chosen for the answer."""

    paper: int
    """Index of the match."""
    sentence: int
    """Index of the sentence within the abstract."""
    score: float


def select_sentences(question: Question, matches: Sequence[PaperMatch]) -> list[SelectedSentence]:
    """Select the sentences to show from ranked papers: best paper first, then best sentence first.

    After the best sentence of a paper, its others come in the order of the abstract.
    """
    if question.kind == "single":
        margins = COMPOUND_MARGINS if question.is_compound else SENTENCE_MARGINS["single"]
        margins = FOLLOW_UP_MARGINS if question.is_follow_up else margins
        close = _count_close(matches[:2], FURTHER_MARGIN)
        paper_margins = [margins, ()][:close]
    elif question.kind == "compare":
        paper_margins = [SENTENCE_MARGINS["compare"]] * min(2, len(matches))
    else:
        margin = LIST_MARGIN if question.encoded else WORD_LIST_MARGIN
        close = _count_close(matches[:MAX_LIST_PAPERS], margin)
        paper_margins = [SENTENCE_MARGINS["list"]] * close
    return [
        SelectedSentence(index, sentence, score)
        for index, margins in enumerate(paper_margins)
        for sentence, score in _best_sentences(question, matches[index], margins)
    ]


def closest_sentences(question: Question, selected: Sequence[SelectedSentence]) -> list[SelectedSentence]:
    """Return the best of the selected sentences in their order, covering as many papers as possible."""
    by_score = sorted(selected, key=lambda s: -s.score)
    if question.kind != "single":
        by_score.sort(key=lambda s: sum(o.paper == s.paper and o.score > s.score for o in selected))
    best = by_score[:MAX_DOUBTFUL_PASSAGES]
    return [s for s in selected if s in best]


def _count_close(matches: Sequence[PaperMatch], margin: float) -> int:
    """Return how many of the ranked matches score at most ``margin`` below the first."""
    return sum(m.score >= matches[0].score - margin for m in matches)


def relevant_sentences(
    question: Question, matches: Sequence[PaperMatch], paper: PaperMatch
) -> NDArray[np.bool_]:
    """Return which sentences of a paper are relevant to the question, shape [sentences].

    Args:
        question: The question.
        matches: The ranked matches of all papers.
        paper: The match of one paper with all its sentences.
    """
    margin = RELEVANCE_MARGIN * _margin_factor(question)
    min_score = min(s.score for s in select_sentences(question, matches)) - margin
    is_close = paper.score >= matches[0].score - RELEVANT_PAPER_MARGINS[question.kind]
    return (sentence_scores(question, paper) >= min_score) & is_close


def _best_sentences(
    question: Question, paper: PaperMatch, margins: Sequence[float]
) -> list[tuple[int, float]]:
    """Return the index and score of the best sentence, then of those within the margins.

    Sentences that give instructions are left out, unless there are no others.
    """
    scores = sentence_scores(question, paper)
    abstract = paper.hit.paper.abstract
    statements = [i for i, s in enumerate(paper.sentences) if is_statement(s.text, abstract)]
    ranked = sorted(statements or range(len(scores)), key=lambda i: (-scores[i], i))
    minima = [scores[ranked[0]] - _margin_factor(question) * margin for margin in margins]
    others = [i for i, minimum in zip(ranked[1:], minima, strict=False) if scores[i] >= minimum]
    return [(i, float(scores[i])) for i in [*ranked[:1], *sorted(others)]]


def _margin_factor(question: Question) -> float:
    return 1.0 if question.encoded else WORD_MARGIN_FACTOR


# --- scores ---


def sentence_scores(question: Question, paper: PaperMatch) -> NDArray[np.float64]:
    """Score each sentence of a paper, shape [sentences]."""
    import numpy as np

    values = features(question, paper)
    scores: NDArray[np.float64] = sum(
        (weight * values[name] for name, weight in _WEIGHTS.items()), np.zeros(len(paper.sentences))
    )
    padding = np.array([adds_nothing(question, s.text) for s in paper.sentences], float)
    return scores - PADDING_PENALTY * padding


def adds_nothing(question: Question, sentence: str) -> bool:
    """Return whether a sentence is a question, or a link to code or an outlook that was not asked for."""
    return (
        (cues.announces_release(sentence) and not question.asks_release)
        or (cues.is_outlook(sentence) and not question.asks_outlook)
        or sentence.endswith("?")
    )


def features(question: Question, paper: PaperMatch) -> dict[str, NDArray[np.float64]]:
    """Return the features of each sentence of a paper, each of shape [sentences].

    match:
        weighted mean of the question pieces' best matches
    gain:
        how much that exceeds the paper's other sentences and its title
    presents, before, first, background, position:
        it presents the authors' work; it precedes the first sentence about that work; it is the first of
        several; the number of background cues (at most 2); 0 for the first sentence to 1 for the last
    most_asked:
        1 for the sentence that best matches what neither the title nor the presenting sentence contain
    number, no_number, number_asked:
        if the question asks for a number: it has one; it has none; its match with what is asked, minus that
        of the best sentence
    method_detail, method_result:
        if the question asks how: it is one of the two sentences after the presenting one; it states a result
    list_contribution:
        if the question asks for a list: it is the sentence that presents the work
    aspect:
        the sentence has words for what the question asks about a paper, such as its drawbacks
    counts_asked:
        the sentence counts what the question asks to count
    release:
        if the question asks for code or data: the sentence says where they are
    """
    import numpy as np

    roles = [_roles(s.text) for s in paper.sentences]
    n = len(roles)
    index = np.arange(n)
    contribution = next((i for i, r in enumerate(roles) if r.presents), None)
    if contribution is None:
        contribution = next((i for i, r in enumerate(roles) if r.acts), 0)
    first_own = next((i for i, r in enumerate(roles) if r.is_own_work), 0)
    unexplained = question.weights * np.clip(
        1 - np.maximum(paper.title_match, paper.match[contribution]), 0, 1
    )
    unexplained_match = paper.match @ unexplained / (unexplained.sum() or 1.0)
    asks_number, asks_method = float(question.asks_number), float(question.asks_method)
    has_number = np.array([r.has_number for r in roles], float)
    presents = np.array([r.presents for r in roles], float)
    finds = np.array([r.finds for r in roles], float)
    total = question.weights.sum() or 1.0
    return {
        "match": paper.match @ question.weights / total,
        "gain": _gain(paper) @ question.weights / total,
        "presents": presents,
        "before": (index < first_own).astype(float),
        "first": ((index == 0) & (n > 2)).astype(float),
        "background": np.array([r.background for r in roles], float),
        "position": index / max(n - 1, 1),
        "most_asked": (index == unexplained_match.argmax()).astype(float),
        "number": asks_number * has_number,
        "no_number": asks_number * (1 - has_number),
        "number_asked": asks_number * has_number * (unexplained_match - unexplained_match.max()),
        "method_detail": asks_method * ((index > contribution) & (index <= contribution + _METHOD_SENTENCES)),
        "method_result": asks_method * finds * (1 - presents),
        "list_contribution": float(question.kind == "list") * (index == contribution),
        "aspect": np.array(
            [attributes.says_aspect(question.text, paper.hit.title, s.text) for s in paper.sentences], float
        ),
        "counts_asked": np.array(
            [attributes.counts_asked(question.text, s.text) for s in paper.sentences], float
        ),
        "release": float(question.asks_release)
        * np.array([cues.announces_release(s.text) for s in paper.sentences], float),
    }


@dataclass(frozen=True, slots=True)
class _Roles:
    """The role of a sentence, by its cue phrases."""

    presents: bool
    acts: bool
    finds: bool
    is_own_work: bool
    background: int
    has_number: bool


@lru_cache(maxsize=4_096)
def _roles(sentence: str) -> _Roles:
    presents, acts, finds = (
        pattern.search(sentence) is not None for pattern in (cues.PRESENTS, cues.ACTS, cues.FINDS)
    )
    return _Roles(
        presents,
        acts,
        finds,
        presents or ((acts or finds) and not cues.PROBLEM.search(sentence)),
        min(len(cues.BACKGROUND.findall(sentence)), 2),
        cues.NUMBER.search(sentence) is not None,
    )


def _gain(paper: PaperMatch) -> NDArray[np.float64]:
    """Return how much each sentence exceeds all others and the title, shape [sentences, pieces]."""
    import numpy as np

    match = paper.match
    best = match.max(axis=0)
    second = np.sort(match, axis=0)[-2] if len(match) > 1 else np.zeros_like(best)
    others = np.where(match >= best, second, best)
    gain: NDArray[np.float64] = np.maximum(match - np.maximum(others, paper.title_match), 0.0)
    return gain
