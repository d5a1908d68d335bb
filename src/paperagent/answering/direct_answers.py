"""Find the sentences that answer a question by themselves, read under the title of their paper.

`select_sentences` shows the best sentences of the best papers, and whoever asked judges them. Nobody waits
for the answer to a standing question, so a sentence that does not say what is asked is not shown. With
the title of its paper it must have the topic words of the question. It must be about the paper's own work,
have words for the relation that is asked for (such as faster), and be of the kind that is asked for: a
result, or a new dataset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paperagent.retrieval.sentence_selection import SelectedSentence, adds_nothing, sentence_scores
from paperagent.text import cues
from paperagent.text.discourse import refers_back, standalone
from paperagent.text.statements import is_statement
from paperagent.text.terms import stem, words
from paperagent.verification.synonyms import LIGHT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.retrieval.evidence import PaperMatch
    from paperagent.retrieval.question import Question

_SAME_WORD = 0.75
"""Match from which on a sentence has a word of the question, in this form or another. The match of the same
word is .8 to .95, of a related one .5 to .7, of an unrelated one up to .6."""
_MAX_MISSING, _MAX_MISSING_WITH_RELATION = 0.12, 0.2
"""Share of the question's weight whose words may be missing from title and sentence; the second if the
sentence has words for the relation that is asked for."""
_MIN_OWN_SHARE, _MIN_OWN_SHARE_OF_RESULT = 0.5, 0.35
"""Share of the question's weight that the sentence itself must match; the second for a result under a title
that has all words. A sentence that presents the work under such a title needs none."""
_MIN_TITLE_SHARE, _MIN_TITLE_SHARE_OF_RESULT, _FULL_SHARE = 0.6, 0.75, 0.9
"""Share of the question's weight that the title must match, so that the paper is about it; the second if a
result is asked for. Without a result, a sentence that itself matches the third share needs no such title."""
_OWN_SHARE_WEIGHT = 3.0
"""Added to a sentence's score for the share of the question that it matches."""
_FIRST_MARGIN: Mapping[str, float] = {"list": 0.5, "single": 0.2, "compare": 0.2}
"""How far below the best paper the first one with a direct sentence may score, by the kind of question."""
_FURTHER_MARGIN = 0.2
"""The next papers may score this much below the first one with a direct sentence."""
_MIN_WORDS = 7
_MAX_SENTENCE = 1_000
"""Maximum characters of a sentence that is quoted as an answer. Longer text is not a sentence."""


def _relation(in_question: str, in_sentence: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return cues.pattern(rf"\b(?:{in_question})\b"), cues.pattern(in_sentence)


_RELATIONS = (
    _relation(
        r"speed\w*|fast(?:er)?|accelerat\w*|latency|quick\w*",
        r"""\b(?:fast(?:er)?|speed\w*|accelerat\w*|throughput|real-time|quick\w*|fps)\b
        |\b(?:low(?:er)?|less|reduc\w*|cut\w*|sav\w*)\b[^.;]{0,40}\b(?:latenc\w*|time)\b
        |\b(?:few(?:er)?|less|one|single|two|three|four|reduced)[-\ ]+(?:\w+[-\ ]){0,2}steps?\b""",
    ),
    _relation(
        r"small(?:er)?|compress\w*|shrink\w*|compact",
        r"""\b(?:compress\w*|compact\w*|prun\w*|small(?:er)?|memory|footprint|quanti[sz]\w*|fewer|lightweight
        |evict\w*)\b""",
    ),
    _relation(
        r"cheap(?:er)?|costs?|expensive",
        r"\b(?:cheap\w*|costs?|costly|budgets?|sav(?:es?|ings?)|efficien\w*|fewer)\b|[$€£]",
    ),
)
"""Pairs of patterns: a relation in a question, and the words that state it in a sentence.

A sentence must match the second if the question matches the first. The encoder does not see that "72% fewer
steps" means "faster".
"""
_RESOURCE = r"(?:datasets?|corpus|corpora|benchmarks?|test\ (?:sets?|suites?)|treebanks?)"
_ASKS_RESOURCE = cues.pattern(rf"\b(?:what|which|any|new)\b[^?]{{0,30}}\b(?:{_RESOURCE}|resources)\b")
_PRESENTS_RESOURCE = cues.pattern(
    rf"""\b(?:introduc|present|construct|creat|curat|releas|buil[dt]|collect|compil|develop|propos|annotat
        |contribut|assembl|publish|provid|offer)\w*\b[^.;:]{{0,110}}\b{_RESOURCE}\b
    |\b{_RESOURCE}\b[^.;:]{{0,60}}\b(?:contain(?:s|ing)|compris(?:es|ing)|consist(?:s|ing)|cover(?:s|ing)
        |spann?(?:s|ing)|includ(?:es|ing))\b"""
)
_RESOURCE_STEMS = frozenset(map(stem, "dataset corpus corpora benchmark resource test set suite".split()))
_ASKS_RESULT = cues.pattern(
    r"""^\W*(?:do|does|did|is|are|can|how\ (?:well|much|many|often|reliable|accurate|effective|robust|good
        |strong|safe|fair|faithful|\S*biased))\b"""
)
_STATES_RESULT = cues.pattern(
    r"""\b(?:achiev|outperform|improv|reduc|increas|degrad|reach|surpass|exceed|drop|exhibit|induc|fail|enhanc
    |(?:only|higher|lower|better|worse|best|worst|poorly|strongly)\b)|\d\s?\\?%"""
)
_LIGHT_STEMS = frozenset(map(stem, LIGHT))


def direct_sentences(question: Question, matches: Sequence[PaperMatch]) -> list[SelectedSentence]:
    """Return the best sentence of each paper that has one that answers the question by itself.

    Args:
        question: The question.
        matches: The ranked matches, best first. Only sentences that were matched count.
    """
    selected: list[SelectedSentence] = []
    if not matches:
        return selected
    minimum = matches[0].score - _FIRST_MARGIN[question.kind]
    for index, paper in enumerate(matches):
        if paper.score < minimum:
            break
        if best := _best_direct_sentence(question, paper):
            if not selected:
                minimum = paper.score - _FURTHER_MARGIN
            selected.append(SelectedSentence(index, *best))
    return selected


def _best_direct_sentence(question: Question, paper: PaperMatch) -> tuple[int, float] | None:
    """Return the index and score of a paper's best direct sentence, if it has one."""
    texts = [s.text if len(s.text) <= _MAX_SENTENCE else "" for s in paper.sentences]
    own_work = min((index for index, text in enumerate(texts) if _is_own_work(text)), default=0)
    title = _word_matches(question, paper.title_match, paper.hit.title)
    scores = sentence_scores(question, paper)
    rated = []
    for index, (sentence, row) in enumerate(zip(paper.sentences, paper.match, strict=True)):
        if not texts[index]:
            continue
        is_background = index < own_work or not (_is_own_work(sentence.text) or _is_neutral(sentence.text))
        if is_background or not row.any() or not _says_kind(question, standalone(sentence).text):
            continue
        if not is_statement(sentence.text, paper.hit.paper.abstract):
            continue
        share = _direct_share(question, sentence.text, _word_matches(question, row, sentence.text), title)
        if share is not None:
            rated.append((scores[index] + _OWN_SHARE_WEIGHT * share, -index))
    if not rated:
        return None
    score, negative_index = max(rated)
    return -negative_index, float(score)


def _direct_share(
    question: Question, sentence: str, in_sentence: Mapping[str, float], in_title: Mapping[str, float]
) -> float | None:
    """Return the share of the question that a sentence itself matches; None if it does not answer it.

    Args:
        question: The question.
        sentence: The sentence.
        in_sentence: How well it matches each topic word.
        in_title: How well its paper's title does.
    """
    weights = question.content_weights
    total = sum(weights.values())
    related = _related_stems(question, sentence)
    if not total or related is None:
        return None

    def missing(*matches: Mapping[str, float]) -> float:
        required = (w for w in weights if w not in related and w not in _LIGHT_STEMS)
        return sum(weights[w] for w in required if max(m[w] for m in matches) < _SAME_WORD) / total

    def share(match: Mapping[str, float]) -> float:
        return sum(weight * (1.0 if w in related else match[w]) for w, weight in weights.items()) / total

    allowed = _MAX_MISSING_WITH_RELATION if related else _MAX_MISSING
    own, of_title = share(in_sentence), share(in_title)
    asks_result = _ASKS_RESULT.search(question.text) is not None
    is_about = of_title >= (_MIN_TITLE_SHARE_OF_RESULT if asks_result else _MIN_TITLE_SHARE)
    if not (is_about or (own >= _FULL_SHARE and not asks_result)) or missing(in_sentence, in_title) > allowed:
        return None
    minimum = _MIN_OWN_SHARE
    if missing(in_title) <= allowed:
        if cues.PRESENTS.search(sentence):
            minimum = 0.0
        elif asks_result:
            minimum = _MIN_OWN_SHARE_OF_RESULT
    return own if own >= minimum else None


def _related_stems(question: Question, sentence: str) -> set[str] | None:
    """Return the stems of the question whose relation a sentence states in other words.

    None if the question asks for a relation that the sentence does not state.
    """
    related: set[str] = set()
    for in_question, relation in _RELATIONS:
        if requested := in_question.findall(question.text):
            if not relation.search(sentence):
                return None
            related.update(stem(word) for match in requested for word in words(match))
    if _ASKS_RESOURCE.search(question.text):
        related |= _RESOURCE_STEMS
    return related


def _word_matches(question: Question, row: NDArray[np.float64], text: str) -> dict[str, float]:
    """Return how well a text matches each topic word of the question, by its stem; 1 if it has the word."""
    in_text = {stem(word) for word in words(text)}
    pieces: dict[str, list[float]] = {}
    for root, value in zip(question.piece_stems, row.tolist(), strict=True):
        pieces.setdefault(root, []).append(1.0 if root in in_text else value)
    return {root: sum(pieces[root]) / len(pieces[root]) for root in question.content_weights}


def _says_kind(question: Question, sentence: str) -> bool:
    """Return whether a sentence can be read alone and is what is asked for: a result, or a new dataset."""
    if len(sentence.split()) < _MIN_WORDS or adds_nothing(question, sentence):
        return False
    if refers_back(sentence):
        return False
    if _ASKS_RESOURCE.search(question.text) and not _PRESENTS_RESOURCE.search(sentence):
        return False
    if not _ASKS_RESULT.search(question.text) or cues.FINDS.search(sentence):
        return True
    return cues.PRESENTS.search(sentence) is None and _STATES_RESULT.search(sentence) is not None


def _is_own_work(sentence: str) -> bool:
    """Return whether the authors act in a sentence, which does not merely name a problem."""
    if any(cue.search(sentence) for cue in (cues.PRESENTS, cues.FINDS)):
        return True
    return bool(cues.ACTS.search(sentence)) and not cues.PROBLEM.search(sentence)


def _is_neutral(sentence: str) -> bool:
    """Return whether a sentence has no words of background and of problems."""
    return not (cues.BACKGROUND.search(sentence) or cues.PROBLEM.search(sentence))
