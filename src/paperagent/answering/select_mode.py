"""Answers from sentences that a model chooses by number. No text of the model is shown.

The extractive answer is made first. If there is one, the model sees its sentences and the next
best ones, numbered, and replies with the numbers of those that answer the question. The chosen
sentences come first in the answer, and the other sentences of the extractive answer follow, so a
poor choice loses nothing. A small local model can do this: the reply takes about ten tokens, and
there is nothing to check and nothing to invent (`eval/local.py` measures it).

If the call fails, the extractive answer is returned with a note.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from paperagent.answering import citations
from paperagent.answering.answers import (
    caveat_of,
    claim_events,
    with_caveat,
    withdrawal_notes,
)
from paperagent.answering.call_budget import Budget, CompletionRequest, complete
from paperagent.answering.passages import short_name
from paperagent.answering.pipeline import AnswerRequest, ExtractiveAnswer, Pipeline
from paperagent.answering.reply import object_schema, plain_text
from paperagent.errors import EndpointError
from paperagent.llm.prompts import Prompt
from paperagent.llm.protocol import TextModel
from paperagent.retrieval.sentence_selection import MAX_DOUBTFUL_PASSAGES, sentence_scores
from paperagent.text.lenient_json import strip_reasoning
from paperagent.text.statements import is_statement
from paperagent.types import Answer, Event, Paper, Sentence

MAX_CHOICES = 9
"""Sentences that the model chooses among, about 430 tokens. With two-digit numbers small models stumble:
the first digit is often a number itself."""
MAX_CHOICE_PAPERS = 5
"""Papers that the choices outside the extractive answer come from."""
PAPER_GAP_WEIGHT = 3.0
"""The weight of a paper's distance from the best score in the scores of its sentences. With 3, the choices
have evidence for .945 of 55 development questions; with 1, for .909."""
MAX_CHOSEN = 3
REPLY_TOKENS = 60
_MAX_SENTENCE_LENGTH = 320
NOT_CHOSEN_NOTE = "not chosen by the model"
"""Start of the note that gives the reason why the model chose nothing."""


@dataclass(frozen=True, slots=True)
class SentenceChoice:
    """A sentence that the model may choose."""

    paper: Paper
    sentence: Sentence

    @property
    def key(self) -> tuple[str, int]:
        """Paper id and position, which identify the sentence."""
        return self.paper.paper_id, self.sentence.start


class SentenceSelector:
    """Answers questions over one pipeline with sentences that a model chooses."""

    def __init__(
        self, pipeline: Pipeline, model: TextModel, prompt: Prompt, budget: Budget, *, fallback: bool = True
    ) -> None:
        """Create a selector. Without ``fallback``, a failure of the model's server is raised."""
        self._pipeline = pipeline
        self._model = model
        self._prompt = prompt
        self._budget = budget
        self._fallback = fallback

    def stream(self, request: AnswerRequest) -> Iterator[Event]:
        """Yield ``retrieved``, each ``claim``, and ``done``.

        Raises:
            EndpointError: the model's server failed, or its reply selects nothing; only without fallback.
        """
        extractive = self._pipeline.extract(request)
        answer = extractive.answer
        if answer.reason != "empty_library":
            yield Event("retrieved", hits=answer.hits)
        if answer.claims:
            answer = self._choose(request, extractive)
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def _choose(self, request: AnswerRequest, extractive: ExtractiveAnswer) -> Answer:
        """Return the extractive answer, starting with the sentences that the model chooses."""
        choices = sentence_choices(extractive)
        call = CompletionRequest(
            self._messages(request, choices), choice_schema(len(choices)), "choice", REPLY_TOKENS
        )
        if not self._budget.allows_call(self._model, call):
            return _not_chosen(extractive.answer, "over_budget", "the call could exceed the limit on cost")
        started = time.perf_counter()
        outcome = complete(self._model, call, lambda text: parse_choice(text, len(choices)))
        duration_ms = (time.perf_counter() - started) * 1000
        timings = {**extractive.answer.timings_ms}
        for stage in ("generate", "total"):
            timings[stage] = timings.get(stage, 0.0) + duration_ms
        usage = self._budget.account(outcome.usage)
        answer = replace(extractive.answer, usage=usage, timings_ms=timings)
        if outcome.value is None:
            # A replay that does not fit is no answer, even with fallback.
            if not self._fallback or outcome.error_kind == "replay":
                raise EndpointError(outcome.error, kind=outcome.error_kind)
            return _not_chosen(answer, outcome.error_kind, outcome.error)
        if not outcome.value:
            return _not_chosen(answer, "abstained", "it found no sentence that answers the question")
        answer = _with_chosen_first(answer, [choices[n - 1] for n in outcome.value])
        answer = replace(answer, model=self._model.model, prompt_hash=self._prompt.hash)
        return citations.verify(answer, {h.paper_id: h.paper for h in answer.hits})

    def _messages(self, request: AnswerRequest, choices: Sequence[SentenceChoice]) -> list[dict[str, str]]:
        earlier = f"Earlier question: {plain_text(request.history[-1].question)}\n" if request.history else ""
        return self._prompt.fill(
            sentences="\n".join(
                f"{n} ({plain_text(short_name(c.paper))}) {_truncate(plain_text(c.sentence.text))}"
                for n, c in enumerate(choices, start=1)
            ),
            conversation=earlier,
            question=request.question,
        )


def sentence_choices(extractive: ExtractiveAnswer) -> list[SentenceChoice]:
    """Return the extractive answer's sentences and the next best ones of the best papers.

    Of the latter, sentences that give instructions are left out.
    """
    assert extractive.question is not None
    answer, best_score = extractive.answer, extractive.matches[0].score
    retrieved = {h.paper_id for h in answer.hits}
    cited = {(c.paper_id, c.start): n for n, c in enumerate(answer.citations)}
    quoted: list[tuple[int, SentenceChoice]] = []
    further: list[tuple[float, SentenceChoice]] = []
    matches = [m for m in extractive.matches if m.hit.paper_id in retrieved]
    for rank, match in enumerate(matches):
        scores = sentence_scores(extractive.question, match)
        for sentence, score in zip(match.sentences, scores, strict=True):
            choice = SentenceChoice(match.hit.paper, sentence)
            position = cited.get(choice.key)
            if position is not None:
                quoted.append((position, choice))
            elif rank < MAX_CHOICE_PAPERS and is_statement(sentence.text, match.hit.paper.abstract):
                further.append((float(score) + PAPER_GAP_WEIGHT * (match.score - best_score), choice))
    quoted.sort(key=itemgetter(0))
    further.sort(key=itemgetter(0), reverse=True)
    return [choice for _, choice in [*quoted, *further]][:MAX_CHOICES]


def choice_schema(count: int) -> dict[str, Any]:
    """Return the JSON schema of a choice among ``count`` sentences."""
    number = {"type": "integer", "enum": list(range(1, count + 1))}
    return object_schema(sentences={"type": "array", "items": number, "maxItems": MAX_CHOSEN})


def parse_choice(text: str, count: int) -> list[int]:
    """Return the numbers from 1 to ``count`` in a reply, each once; none if the reply names none.

    Servers that ignore the schema send other keys, a bare list, texts such as ``"[3]"`` or prose.

    Raises:
        EndpointError: (kind ``malformed``) the reply selects no sentences.
    """
    body = strip_reasoning(text)
    lists = _LIST.findall(body)
    if not lists and len(body) > _MAX_BARE_REPLY_LENGTH:
        raise _malformed()
    numbers = [int(n) for n in _NUMBER.findall(" ".join(lists) if lists else body)]
    valid = list(dict.fromkeys(n for n in numbers if 1 <= n <= count))
    if not valid and (numbers or not (lists or _NONE.fullmatch(body))):
        raise _malformed()
    return valid[:MAX_CHOSEN]


_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"(?<![\d.-])\d{1,3}(?![\d%]|\.\d)")
_NONE = re.compile(r"\W*none\W*", re.IGNORECASE)
_MAX_BARE_REPLY_LENGTH = 80
"""Longer prose may contain other numbers."""


def _malformed() -> EndpointError:
    return EndpointError(
        "model reply: chooses none of the sentences shown; try again or another model", kind="malformed"
    )


def _with_chosen_first(answer: Answer, chosen: Sequence[SentenceChoice]) -> Answer:
    """Return the answer with the chosen sentences first; those of one paper stay together."""
    papers = {h.paper_id: h.paper for h in answer.hits}
    outdated = withdrawal_notes(answer.citations, papers.values())
    keys = {c.key for c in chosen}
    first = [citations.cite(0, c.paper, c.sentence) for c in chosen]
    quotes = [*first, *(c for c in answer.citations if (c.paper_id, c.start) not in keys)]
    paper_order = list(dict.fromkeys(c.paper_id for c in quotes))
    quotes.sort(key=lambda c: paper_order.index(c.paper_id))
    if answer.status == "doubtful":
        quotes = quotes[:MAX_DOUBTFUL_PASSAGES]
    cited = tuple(replace(c, n=n) for n, c in enumerate(quotes, start=1))
    claims = tuple(map(citations.quoted_claim, cited))
    notes = (n for n in answer.notes if n not in outdated)
    return replace(
        answer,
        answer=with_caveat(caveat_of(answer), citations.join_claims(claims, cited)),
        claims=claims,
        citations=cited,
        notes=(*notes, *withdrawal_notes(cited, papers.values())),
    )


def _not_chosen(answer: Answer, kind: str, reason: str) -> Answer:
    """Return the extractive answer, marked as not chosen by the model."""
    return replace(answer, fallback=kind, notes=(*answer.notes, f"{NOT_CHOSEN_NOTE}: {reason}"))


def _truncate(text: str) -> str:
    if len(text) <= _MAX_SENTENCE_LENGTH:
        return text
    return f"{text[:_MAX_SENTENCE_LENGTH].rsplit(' ', 1)[0]} …"
