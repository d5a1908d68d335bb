"""Answers written by a model: retrieve, ask once, check each claim as it arrives.

One call is the rule. The model may ask for another search, bounded by rounds and by the money
allowed; a failed claim may be rewritten once; a judge may be asked. Each of these is a call
that can be switched off, and each is refused before it is made if it could cost too much.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, TypeVar

from paperagent import citations
from paperagent.answer import (
    EMPTY_LIBRARY,
    NOTHING_FOUND,
    Clock,
    Pipeline,
    Request,
    suspicion_notes,
    withdrawal_notes,
)
from paperagent.claims import Checked, Ledger, plain
from paperagent.digest.budget import plus
from paperagent.errors import EndpointError
from paperagent.passages import Passages
from paperagent.plan import NAME_THE_PRICE, Completion, Pieces, Plan, TextModel
from paperagent.reply import SCHEMA, Reader, Reply, WrittenClaim, parse
from paperagent.retrieve import query_stems
from paperagent.review import review
from paperagent.suspicion import asks, gives_orders
from paperagent.text import analyse
from paperagent.types import Answer, Event, Hit, Status, Usage

MOST_PASSAGES, FEWEST_PASSAGES = 4, 2
"""Abstracts shown to the model at first, about 1,200 tokens."""
NEAR_THE_BEST = 0.3
"""A third or fourth abstract is shown only if its score is within this of the best one's."""
MORE_PASSAGES = 6
"""Abstracts added by all queries of one further search."""
MAX_OUTPUT_TOKENS = 1_200
SHORT_OUTPUT_TOKENS = 300
"""Of a plan."""
CONVERSATION_CHARS = 1_500
"""Earlier turns that the model sees: whole ones within this length, of the latest at least its beginning."""


_Read = TypeVar("_Read")


class _OverBudgetError(Exception):
    """The next call could cost more than is allowed."""


class _TruncatedError(Exception):
    """The reply ended before it was whole."""


class Writer:
    """Answers questions with a model over one pipeline."""

    def __init__(self, pipeline: Pipeline, model: TextModel, plan: Plan) -> None:
        self._pipeline = pipeline
        self._model = model
        self._plan = plan

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield ``retrieved``, each ``claim`` once it is checked, and ``done``.

        Raises:
            EndpointError: the model's server failed before any claim was shown; ``hits`` holds
                what was retrieved.
        """
        return _Session(self._pipeline, self._model, self._plan, request).run()


@dataclass(slots=True)
class _Session:
    """The state of one answer while it is made."""

    pipeline: Pipeline
    model: TextModel
    plan: Plan
    request: Request
    ledger: Ledger = field(init=False)
    passages: Passages = field(init=False)
    hits: tuple[Hit, ...] = ()
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    ended: str | None = None
    """Why the model stopped, as it says."""
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.plan.check, self.plan.policy, self.request.question)

    def run(self) -> Iterator[Event]:
        if not self.pipeline.holds_papers():
            yield self._done("abstained", "empty_library", EMPTY_LIBRARY)
            return
        self.hits = self.pipeline.find(self.request).hits[: self.request.k]
        self.clock.lap("retrieve")
        yield Event("retrieved", hits=self.hits)
        if not self.hits:
            yield self._done("abstained", "no_evidence", NOTHING_FOUND)
            return
        self.passages = Passages.of([h.paper for h in worth_reading(self.hits)], salt=self.plan.salt)
        self.notes += suspicion_notes(self.passages.papers)
        try:
            yield from self._rounds()
        except _OverBudgetError as refused:
            yield self._done("refused", "over_budget", str(refused))
        except _TruncatedError as cut:
            yield self._done("incomplete", "truncated", "", note=f"incomplete: {cut}")
        except EndpointError as error:
            if not self.ledger.claims:
                error.hits = self.hits
                raise
            yield self._done("incomplete", error.kind, "", note=f"incomplete: {error}")

    def _rounds(self) -> Iterator[Event]:
        """Ask; search again if the model wants to and may; close the answer."""
        if self.plan.effort == "deep":
            self._plan_ahead()
        left = 1 if self.plan.effort == "fast" else self.plan.max_rounds
        reply = yield from self._ask(may_search=left > 1)
        while reply is not None and reply.verdict == "search" and left > 1:
            left = left - 1 if self._search(reply.queries) else 1
            reply = yield from self._ask(may_search=left > 1)
        if self.plan.policy == "repair" and self.ledger.withheld:
            yield from self._repair()
        self._judge()
        yield self._close(reply)

    # --- calls ---

    def _ask(self, *, may_search: bool) -> Generator[Event, None, Reply | None]:
        """Make the main call, once more if the reply is no reply; None where the model declined."""
        limit = MAX_OUTPUT_TOKENS
        for last in (False, True):
            try:
                return (yield from self._read(self._fitting(may_search=may_search, limit=limit), limit))
            except _TruncatedError:
                if last or self.ledger.claims:
                    raise
                limit *= 2
                self.ledger.withheld.clear()
            except EndpointError as error:
                if last or self.ledger.claims or error.kind not in ("malformed", "context"):
                    raise
                self.ledger.withheld.clear()
                if error.kind == "context":
                    self._shrink()
        raise AssertionError("unreachable: the second try returns or raises")

    def _read(self, messages: list[dict[str, str]], limit: int) -> Generator[Event, None, Reply | None]:
        """Make one call and yield its claims as they become complete."""
        reader = Reader()
        with self.model.stream(
            messages, schema=SCHEMA, schema_name="answer", max_output_tokens=limit
        ) as pieces:
            if not pieces.free:
                self._afford(messages, SCHEMA, limit)
            yield from self._pieces(pieces, reader)
            # Inside the block: a reply that is no answer must not get into the cache.
            return (yield from self._whole_reply(pieces.completion, reader))

    def _pieces(self, pieces: Pieces, reader: Reader) -> Iterator[Event]:
        """Read a reply, yielding its claims as they become complete."""
        try:
            for piece in pieces:
                yield from self._show(reader.feed(piece))
                _stop_looping(reader.text)
        except Exception:
            if reader.text:  # it is paid for, whatever became of it
                self._account(pieces.completion)
            raise
        self._account(pieces.completion)

    def _whole_reply(self, completion: Completion, reader: Reader) -> Generator[Event, None, Reply | None]:
        """Judge a reply at its end and yield the claims that are left; None where the model declined."""
        if self.ended in _DECLINED:
            return None
        if not completion.complete:
            raise _TruncatedError("the reply ended before it was whole")
        if not reader.text.strip():
            raise EndpointError("model reply: no text returned; try again or another model", kind="empty")
        reply, rest = reader.finish()
        yield from self._show(rest if reply.verdict == "answer" else [])
        return reply

    def _show(self, written: Sequence[WrittenClaim]) -> Iterator[Event]:
        for claim in written:
            shown = self.ledger.add(claim, self.passages)
            if shown is not None:
                yield Event("claim", claim=shown[0], citations=shown[1])

    def _question(self, *, may_search: bool) -> list[dict[str, str]]:
        return self.plan.answer.fill(
            date=self.plan.today,
            may_search=_MAY_SEARCH if may_search else _MAY_NOT_SEARCH,
            conversation=_conversation(self.request),
            question=self.request.question,
            fence=self.passages.fence,
            passages=self.passages.text(),
        )

    def _fitting(self, *, may_search: bool, limit: int) -> list[dict[str, str]]:
        """Return the question with as many passages as the context holds, the lowest-ranked left out."""
        room, before = self.plan.context_tokens - limit, len(self.passages.papers)
        messages = self._question(may_search=may_search)
        while self._tokens(messages, SCHEMA) > room and len(self.passages.papers) > 1:
            self.passages = Passages.of(self.passages.papers[:-1], salt=self.plan.salt)
            messages = self._question(may_search=may_search)
        if (left := len(self.passages.papers)) < before:
            self._shown_fewer(left)
        return messages

    def _tokens(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> int:
        """Return about how many tokens a call would send."""
        return self.plan.tariff.tokens([*(m["content"] for m in messages), json.dumps(schema)])[0]

    def _plan_ahead(self) -> None:
        """Let the model cut the question into searches, and add what they find."""
        conversation = _conversation(self.request)
        messages = self.plan.plan.fill(conversation=conversation, question=self.request.question)
        try:
            self._search(self._whole(messages, SCHEMA, "plan", parse).queries)
        except EndpointError as error:
            if error.kind != "malformed":
                raise
            self.notes.append("the question was not cut into parts: the plan could not be read")

    def _search(self, queries: Sequence[str]) -> bool:
        """Add the papers that the queries find; False where they find none that is new."""
        asked = [q for q in map(plain, queries) if query_stems(q)]
        lists = [self.pipeline.search(q, k=MORE_PASSAGES, filters=self.request.filters) for q in asked]
        turns = [h for row in zip_longest(*lists) for h in row if h is not None]
        known = {p.paper_id for p in self.passages.papers}
        fresh = list({h.paper_id: h for h in turns if h.paper_id not in known}.values())[:MORE_PASSAGES]
        if not fresh:
            self.notes.append("the further search found no other paper")
            return False
        self.passages = self.passages.extended([h.paper for h in fresh], salt=self.plan.salt)
        held = {h.paper_id for h in self.hits}
        joined = [*self.hits, *(h for h in fresh if h.paper_id not in held)]
        self.hits = tuple(replace(h, rank=i) for i, h in enumerate(joined, start=1))
        return True

    def _shrink(self) -> None:
        if len(self.passages.papers) < 2:
            raise EndpointError(
                "prompt: too long for this model even with one abstract; use another model", kind="context"
            )
        half = self.passages.papers[: len(self.passages.papers) // 2]
        self.passages = Passages.of(half, salt=self.plan.salt)
        self._shown_fewer(len(half))

    def _shown_fewer(self, papers: int) -> None:
        self.notes.append(f"the model's context is small: only the best {papers} papers were shown to it")

    def _repair(self) -> Iterator[Event]:
        """Let the model rewrite the claims that failed, once; what fails again stays withheld."""
        failures = "\n".join(
            f"- {w.claim.text}\n  failed: {'; '.join(w.reasons) or 'not in the cited sentences'}"
            for w in self.ledger.withheld
        )
        messages = self.plan.repair.fill(
            question=self.request.question,
            failures=failures.replace(self.passages.fence, ""),
            fence=self.passages.fence,
            passages=self.passages.text(),
        )
        before, self.ledger.withheld = self.ledger.withheld, []
        try:
            yield from self._read(messages, MAX_OUTPUT_TOKENS)
        except (EndpointError, _TruncatedError, _OverBudgetError) as error:
            self.ledger.withheld = before
            self.notes.append(f"no repair: {error}")

    def _judge(self) -> None:
        """Have a second reader look at what wording leaves open; whatever fails there changes nothing."""
        if self.plan.judge is None:
            return
        limit, spent = self.plan.max_cost, self.usage.cost_usd or 0.0
        used, notes = review(
            self.ledger,
            self.plan.judge,
            self.plan.judge_when,
            self.passages.papers,
            max_cost=None if limit is None else max(0.0, limit - spent),
        )
        self.usage = plus(self.usage, used)
        self.notes += notes

    def _whole(
        self,
        messages: list[dict[str, str]],
        schema: Mapping[str, Any],
        name: str,
        read: Callable[[str], _Read],
    ) -> _Read:
        """Make a call whose reply is needed whole, and return what ``read`` makes of it."""
        with self.model.stream(
            messages, schema=schema, schema_name=name, max_output_tokens=SHORT_OUTPUT_TOKENS
        ) as pieces:
            if not pieces.free:
                self._afford(messages, schema, SHORT_OUTPUT_TOKENS)
            text = "".join(pieces)
            self._account(pieces.completion)
            return read(text)

    # --- money ---

    def _afford(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], limit: int) -> None:
        """Refuse the next call if, with what was spent, it could cost more than is allowed."""
        if self.plan.max_cost is None:
            return
        tokens = self._tokens(messages, schema)
        tariff = self.plan.tariff
        price = tariff.price(Usage(1, input_tokens=tokens, output_tokens=limit + tariff.thinking))
        if price is None or self.usage.cost_usd is None:
            raise _OverBudgetError(
                f"Not asked: the price of {plain(self.model.model)} is not known, so it cannot be kept "
                f"under ${self.plan.max_cost:g}; leave out the limit, or {NAME_THE_PRICE}."
            )
        if self.usage.cost_usd + price > self.plan.max_cost:
            raise _OverBudgetError(
                f"Not asked: the call could cost ${self.usage.cost_usd + price:.4f}, "
                f"more than the ${self.plan.max_cost:g} allowed."
            )

    def _account(self, completion: Completion) -> None:
        used, total = completion.usage, self.usage
        bill = self.plan.tariff.price(used) if used.calls else 0.0
        cost = None if bill is None or total.cost_usd is None else total.cost_usd + bill
        self.usage = Usage(
            total.calls + used.calls,
            total.input_tokens + used.input_tokens,
            total.cached_tokens + used.cached_tokens,
            total.output_tokens + used.output_tokens,
            cost,
            total.estimated or used.estimated,
        )
        self.ended = completion.finish_reason
        if self.ended not in _DECLINED:  # a refusal is put in the model's own words
            self.notes += [n for n in completion.notes if n not in self.notes]

    # --- the end ---

    def _close(self, reply: Reply | None) -> Event:
        """Return the finished answer for how the model ended."""
        if reply is None:
            return self._done("refused", "refused_by_model", "The model refused to answer this question.")
        if self.ledger.claims:
            return self._done(
                "answered", None, "", note=_missing(reply, self.request.question, prefix="not said: ")
            )
        if self.ledger.withheld:
            return self._done("abstained", "withheld_unsupported", _WITHHELD)
        missing = _missing(reply, self.request.question, prefix="")
        text = f"The abstracts do not say: {missing}" if missing else _DO_NOT_SAY
        return self._done("abstained", "not_in_abstracts", text)

    def _done(self, status: Status, reason: str | None, text: str, *, note: str | None = None) -> Event:
        self.clock.lap("generate")
        claims, cited = tuple(self.ledger.claims), tuple(self.ledger.citations)
        gone = withdrawal_notes(cited, (h.paper for h in self.hits))
        answer = Answer(
            question=self.request.question,
            status=status,
            reason=reason,
            answer=text or citations.join(claims, cited),
            claims=claims,
            citations=cited,
            hits=self.hits,
            mode="llm",
            model=self.model.model,
            prompt_hash=self.plan.answer.hash,
            usage=self.usage,
            notes=(*self.request.notes, *self.notes, *([note] if note else []), *self._kept_back(), *gone),
        )
        held = [h.paper for h in self.hits]
        citations.verify(answer, {p.paper_id: p for p in held})
        self.clock.lap("verify")
        return Event("done", answer=replace(answer, timings_ms=self.clock.total()))

    def _kept_back(self) -> Iterator[str]:
        """Say what was withheld and why.

        A text in other words than the question's and the sources' rests on nothing, and may be
        what a poisoned abstract wants to be said: of it only the fault is told.
        """
        notes = Counter(self._withheld(w) for w in self.ledger.withheld)
        yield from (note if n == 1 else f"{note[:-1]}; {n} claims)" for note, n in notes.items())

    def _withheld(self, kept: Checked) -> str:
        sources = (c.quote for c in kept.citations if not gives_orders(c.quote) and not asks(c.quote))
        known = {stem for text in (self.request.question, *sources) for stem in analyse(text)}
        if all(stem in known or stem.isdigit() for stem in analyse(kept.claim.text)):
            return f"withheld: “{kept.claim.text}” ({'; '.join(kept.reasons) or kept.fault})"
        return f"withheld: “…” ({kept.fault})"


_DECLINED = ("refusal", "content_filter")
_MAY_SEARCH = "You may ask for one more search."
_MAY_NOT_SEARCH = "You may not search again: answer from these passages or abstain."
_WITHHELD = (
    "The abstracts do not say: what the model wrote is not supported by the sentences that it points at, "
    "so it was withheld."
)
_DO_NOT_SAY = "The abstracts do not say."
_COMMON = frozenset(
    analyse("passages abstracts say state mention give report provide specify paper answer question")
)


def worth_reading(hits: Sequence[Hit]) -> Sequence[Hit]:
    """Return the first hits: those that score near the best, within the bounds of a cheap call."""
    near = [h for h in hits if h.score >= hits[0].score - NEAR_THE_BEST]
    return hits[: min(max(len(near), FEWEST_PASSAGES), MOST_PASSAGES)]


def _missing(reply: Reply, question: str, *, prefix: str) -> str | None:
    """Return the model's words on what is missing, only where they are the question's own words.

    They rest on no sentence, so anything else in them (a fact, a link, a command that a
    poisoned abstract asked for) must not reach the reader.
    """
    text = plain(reply.missing)
    known = {*analyse(question), *_COMMON}
    return f"{prefix}{text}" if text and set(analyse(text)) <= known else None


def _conversation(request: Request) -> str:
    """Return the latest turns as text, whole ones within the limit, oldest first."""
    kept: list[str] = []
    for asked, answered in reversed(request.history):
        turn = f"Reader: {asked}\nAnswer: {answered}\n"
        if kept and sum(map(len, kept)) + len(turn) > CONVERSATION_CHARS:
            break
        kept.insert(0, turn if len(turn) <= CONVERSATION_CHARS else turn[: CONVERSATION_CHARS - 2] + "…\n")
    return f"Earlier in this conversation:\n{''.join(kept)}\n" if kept else ""


def _stop_looping(text: str) -> None:
    """Raise if the reply has begun to repeat its last words over and over, or does not end."""
    tail = text[-_LOOP_LENGTH:]
    repeats = len(text) > _LOOP_LENGTH * _LOOP_TIMES and text.endswith(tail * _LOOP_TIMES)
    if repeats or len(text) > MAX_REPLY_CHARS:
        raise _TruncatedError("the model repeated itself and was stopped")


_LOOP_LENGTH, _LOOP_TIMES = 48, 6
MAX_REPLY_CHARS = 60_000
"""A longer reply is a fault of the model or the server."""
