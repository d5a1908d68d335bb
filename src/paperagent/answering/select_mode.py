"""Answers made of sentences that a model chooses by number. None of its own text is shown.

The extractive answer is made first. If there is one, the model sees its sentences and the next
best ones, numbered, and replies with the numbers of those that answer the question. The chosen
sentences lead the answer, and the other sentences of the extractive answer follow, so a poor choice
loses nothing. A small local model can do this: the reply takes about ten tokens, and there is
nothing to check and nothing to invent (`eval/local.py` measures it).

If the call fails, the extractive answer is kept, with a note.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from paperagent.answering import citations
from paperagent.answering.call_budget import Budget, Call, make
from paperagent.answering.claims import plain
from paperagent.answering.passages import short_name
from paperagent.answering.pipeline import Extract, Pipeline, Request, claim_events, withdrawal_notes
from paperagent.errors import EndpointError
from paperagent.llm.prompts import Prompt
from paperagent.llm.protocol import TextModel
from paperagent.retrieval import evidence
from paperagent.text.injection import looks_like_instruction
from paperagent.text.lenient_json import strip_reasoning
from paperagent.types import Answer, Event, Paper, Sentence

CANDIDATES = 9
"""Sentences that the model chooses among, about 430 tokens. With two-digit numbers small models stumble:
the first digit is often a number itself."""
MOST_OWN = 7
"""The most of these that are taken from the extractive answer."""
PAPERS = 5
"""Papers that they come from."""
MOST_CHOSEN = 3
REPLY_TOKENS = 60
_LONGEST_SENTENCE = 320
NOT_CHOSEN = "not chosen by the model"
"""The start of a note that says why the model chose nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that the model may choose."""

    paper: Paper
    sentence: Sentence

    @property
    def key(self) -> tuple[str, int]:
        """Its identity: paper and position."""
        return self.paper.paper_id, self.sentence.start


class Selector:
    """Answers questions over one pipeline with sentences that a model chooses."""

    def __init__(
        self, pipeline: Pipeline, model: TextModel, prompt: Prompt, budget: Budget, *, fallback: bool = True
    ) -> None:
        """Take the parts that make answers; without ``fallback``, a server's failure is raised."""
        self._pipeline = pipeline
        self._model = model
        self._prompt = prompt
        self._budget = budget
        self._fallback = fallback

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield ``retrieved``, each ``claim``, and ``done``.

        Raises:
            EndpointError: the model's server failed, or its reply is no choice; only without fallback.
        """
        extract = self._pipeline.extract(request)
        answer = extract.answer
        if answer.reason != "empty_library":
            yield Event("retrieved", hits=answer.hits)
        if answer.status == "answered":
            answer = self._chosen(request, extract)
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def _chosen(self, request: Request, extract: Extract) -> Answer:
        """Return the extractive answer with the sentences that the model chooses in front."""
        listed = candidates(extract)
        call = Call(self._messages(request, listed), schema(len(listed)), "choice", REPLY_TOKENS)
        if not self._budget.allows_call(self._model, call):
            return _unchosen(extract.answer, "over_budget", "the call could exceed the limit on cost")
        started = time.perf_counter()
        outcome = make(self._model, call, lambda text: read_numbers(text, len(listed)))
        spent = (time.perf_counter() - started) * 1000
        timings = {**extract.answer.timings_ms}
        for stage in ("generate", "total"):
            timings[stage] = timings.get(stage, 0.0) + spent
        usage = self._budget.account(outcome.usage)
        answer = replace(extract.answer, usage=usage, timings_ms=timings)
        if outcome.value is None:
            if not self._fallback or outcome.kind == "replay":  # a recording that does not fit is no answer
                raise EndpointError(outcome.fault, kind=outcome.kind)
            return _unchosen(answer, outcome.kind, outcome.fault)
        if not outcome.value:
            return _unchosen(answer, "abstained", "it found no sentence that answers the question")
        answer = _led_by(answer, [listed[n - 1] for n in outcome.value])
        answer = replace(answer, model=self._model.model, prompt_hash=self._prompt.hash)
        return citations.verify(answer, {h.paper_id: h.paper for h in answer.hits})

    def _messages(self, request: Request, listed: Sequence[Candidate]) -> list[dict[str, str]]:
        earlier = f"Earlier question: {plain(request.history[-1][0])}\n" if request.history else ""
        return self._prompt.fill(
            sentences="\n".join(
                f"{n} ({plain(short_name(c.paper))}) {_cut(plain(c.sentence.text))}"
                for n, c in enumerate(listed, start=1)
            ),
            conversation=earlier,
            question=request.question,
        )


def candidates(extract: Extract) -> list[Candidate]:
    """Return the extractive answer's sentences and the next best of the best papers.

    Of the latter, sentences that give orders to whoever processes them are left out.
    """
    assert extract.question is not None
    answer, best = extract.answer, extract.readings[0].score
    shown = {h.paper_id for h in answer.hits}
    picked = {(c.paper_id, c.start): n for n, c in enumerate(answer.citations)}
    own: list[tuple[int, Candidate]] = []
    further: list[tuple[float, Candidate]] = []
    for place, reading in enumerate(r for r in extract.readings if r.hit.paper_id in shown):
        scores = evidence.sentence_scores(extract.question, reading)
        for sentence, score in zip(reading.sentences, scores, strict=True):
            candidate = Candidate(reading.hit.paper, sentence)
            rank = picked.get(candidate.key)
            if rank is not None:
                own.append((rank, candidate))
            elif place < PAPERS and not looks_like_instruction(sentence.text):
                further.append((float(score) + reading.score - best, candidate))
    own.sort(key=itemgetter(0))
    further.sort(key=itemgetter(0), reverse=True)
    listed = own[:MOST_OWN]
    return [c for _, c in [*listed, *further[: CANDIDATES - len(listed)]]]


def schema(count: int) -> dict[str, Any]:
    """Return the JSON schema of a choice among ``count`` sentences."""
    number = {"type": "integer", "enum": list(range(1, count + 1))}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["sentences"],
        "properties": {"sentences": {"type": "array", "items": number, "maxItems": MOST_CHOSEN}},
    }


def read_numbers(text: str, count: int) -> list[int]:
    """Return the numbers from 1 to ``count`` that a reply names, each once; none where it names none.

    Servers that ignore the schema send other keys, a bare list, texts such as ``"[3]"`` or prose.

    Raises:
        EndpointError: (kind ``malformed``) it is no choice.
    """
    body = strip_reasoning(text)
    lists = _LIST.findall(body)
    if not lists and len(body) > _LONGEST_BARE_REPLY:
        raise _malformed()
    named = [int(n) for n in _NUMBER.findall(" ".join(lists) if lists else body)]
    right = list(dict.fromkeys(n for n in named if 1 <= n <= count))
    if not right and (named or not (lists or _NONE.fullmatch(body))):
        raise _malformed()
    return right[:MOST_CHOSEN]


_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"(?<![\d.-])\d{1,3}(?![\d%]|\.\d)")
_NONE = re.compile(r"\W*none\W*", re.IGNORECASE)
_LONGEST_BARE_REPLY = 80
"""Longer prose has numbers of its own."""


def _malformed() -> EndpointError:
    return EndpointError(
        "model reply: chooses none of the sentences shown; try again or another model", kind="malformed"
    )


def _led_by(answer: Answer, chosen: Sequence[Candidate]) -> Answer:
    """Put the chosen sentences first; those of one paper stay together."""
    papers = {h.paper_id: h.paper for h in answer.hits}
    old_notes = withdrawal_notes(answer.citations, papers.values())
    keys = {c.key for c in chosen}
    leading = [citations.cite(0, c.paper, c.sentence) for c in chosen]
    quotes = [*leading, *(c for c in answer.citations if (c.paper_id, c.start) not in keys)]
    order = list(dict.fromkeys(c.paper_id for c in quotes))
    quotes.sort(key=lambda c: order.index(c.paper_id))
    cited = tuple(replace(c, n=n) for n, c in enumerate(quotes, start=1))
    claims = tuple(map(citations.quoted_claim, cited))
    kept_notes = (n for n in answer.notes if n not in old_notes)
    return replace(
        answer,
        answer=citations.join(claims, cited),
        claims=claims,
        citations=cited,
        notes=(*kept_notes, *withdrawal_notes(cited, papers.values())),
    )


def _unchosen(answer: Answer, kind: str, why: str) -> Answer:
    """Return the extractive answer, marked as not chosen by the model."""
    return replace(answer, fallback=kind, notes=(*answer.notes, f"{NOT_CHOSEN}: {why}"))


def _cut(text: str) -> str:
    longest = _LONGEST_SENTENCE
    return text if len(text) <= longest else f"{text[:longest].rsplit(' ', 1)[0]} …"
