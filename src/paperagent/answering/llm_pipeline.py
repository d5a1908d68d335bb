"""Answers written by a model: read, ask once, check each claim as it arrives.

The extractive reading comes first. It says which papers are shown and which sentences matter, it
saves the call where nothing is there, and it is the answer where the model gives none.

One call is the rule. The model may ask for another search, bounded by rounds and by the money
allowed; a failed claim may be rewritten once; a judge may be asked. Each of these is a call
that can be switched off, and each is refused before it is made if it could cost too much.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, TypeVar

from paperagent.answering import citations, fallback
from paperagent.answering.call_budget import priced
from paperagent.answering.claims import Checked, Ledger, plain
from paperagent.answering.model_profiles import FULL, Profile
from paperagent.answering.passages import Passages
from paperagent.answering.pipeline import (
    EMPTY_LIBRARY,
    Clock,
    Extract,
    Pipeline,
    Request,
    claim_events,
    closest_passages,
    suspicion_notes,
    withdrawal_notes,
)
from paperagent.answering.plan import Plan
from paperagent.answering.repair import marked, remembering, replacements, repointed
from paperagent.answering.reply import Reader, Reply, WrittenClaim, answer_schema, parse
from paperagent.answering.review import review
from paperagent.errors import EndpointError
from paperagent.llm.protocol import DECLINED_REASONS, PRICE_HINT, Completion, TextModel, TextStream
from paperagent.retrieval import evidence
from paperagent.retrieval.question import Kind
from paperagent.retrieval.scoring import query_stems
from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.terms import index_terms, is_english
from paperagent.types import Answer, Citation, Event, Hit, Paper, Status, Usage

NEAR_THE_BEST = 0.5
"""More than the fewest are shown only if their score is within this of the best one's."""
MORE_PASSAGES = 6
"""Abstracts added by all queries of one further search."""
MOST_TOKENS = 8_000
"""Of a first prompt and its reply, whatever the model could hold."""
SHORT_OUTPUT_TOKENS = 300
"""Of a plan."""
CONVERSATION_CHARS = 1_500
"""Earlier turns that the model sees: whole ones within this length, of the latest at least its beginning."""
OTHER_TEMPERATURE = 0.6
"""The temperature of the second try, after a reply that could not be read or that repeated itself."""


_Read = TypeVar("_Read")


class _OverBudgetError(Exception):
    """The next call could cost more than is allowed."""


class _TruncatedError(Exception):
    """The reply ended before it was complete."""


class _LoopError(_TruncatedError):
    """The reply repeated itself."""


class Writer:
    """Answers questions with a model over one pipeline."""

    def __init__(self, pipeline: Pipeline, model: TextModel, plan: Plan) -> None:
        self._pipeline = pipeline
        self._model = model
        self._plan = plan

    def stream(self, request: Request) -> Iterator[Event]:
        """Yield ``retrieved``, each ``claim`` once it is checked, and ``done``.

        Where the model gives no answer, the claims are quoted sentences, and the answer says why.

        Raises:
            EndpointError: only where the plan allows no fallback: the model's server failed before
                any claim was shown; ``hits`` holds what was retrieved.
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
    extract: Extract = field(init=False)
    kind: Kind = "single"
    hits: tuple[Hit, ...] = ()
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    ended: str | None = None
    """Why the model stopped, as it says."""
    exchange: tuple[list[dict[str, str]], str] = ([], "")
    """The last prompt, and what the model replied."""
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.ledger = Ledger(remembering(self.plan.check), self.plan.policy, self.request.question)

    def run(self) -> Iterator[Event]:
        self.extract = self.pipeline.extract(self.request)
        quoted = self.extract.answer
        self.hits = quoted.hits
        self.clock.lap("retrieve")
        if quoted.reason == "empty_library":
            yield self._done("abstained", "empty_library", EMPTY_LIBRARY)
            return
        yield Event("retrieved", hits=self.hits)
        if self.extract.hopeless or self.extract.question is None:
            yield self._done("abstained", "no_evidence", quoted.answer)
            return
        self.kind = self.extract.question.kind
        self.passages = self._of(worth_reading(self.extract.readings, self.kind, self.plan.profile))
        self.notes += suspicion_notes(self.passages.papers)
        try:
            yield from self._rounds()
        except (_OverBudgetError, _TruncatedError, EndpointError) as fault:
            yield from self._after(fault)

    def _after(self, fault: _OverBudgetError | _TruncatedError | EndpointError) -> Iterator[Event]:
        """End an answer that the model could not finish: keep the claims shown, or else quote sentences."""
        kind = fault.kind if isinstance(fault, EndpointError) else _KINDS[type(fault)]
        if self.ledger.claims:
            yield self._done("incomplete", kind, "", note=f"incomplete: {fault}")
        elif self.plan.fallback and kind != "replay":
            yield from self._quoted(kind, str(fault))
        elif isinstance(fault, EndpointError):
            fault.hits = self.hits
            raise fault
        elif isinstance(fault, _OverBudgetError):
            yield self._done("refused", kind, str(fault))
        else:
            yield self._done("incomplete", kind, "", note=f"incomplete: {fault}")

    def _quoted(self, kind: str, why: str) -> Iterator[Event]:
        """Give the extractive answer in place of the model's."""
        self.clock.lap("generate")
        quoted = fallback.instead(self.extract.answer, kind, why, usage=self.usage)
        further = (n for n in (*self.notes, *self._kept_back()) if n not in quoted.notes)
        answer = replace(quoted, notes=(*quoted.notes, *further), timings_ms=self.clock.total())
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def _rounds(self) -> Iterator[Event]:
        """Ask; search again if the model wants to and may; close the answer."""
        if self.plan.effort == "deep":
            self._plan_ahead()
        may_search = self.plan.profile.may_search and self.plan.effort != "fast"
        left = self.plan.max_rounds if may_search else 1
        reply = yield from self._ask(may_search=left > 1)
        while reply is not None and reply.verdict == "search" and left > 1:
            left = left - 1 if self._search(reply.queries) else 1
            reply = yield from self._ask(may_search=left > 1)
        if self.plan.policy == "repair" and self.ledger.withheld:
            yield from self._repair()
        yield from self._judge()
        yield from self._close(reply)

    # --- calls ---

    def _ask(self, *, may_search: bool) -> Generator[Event, None, Reply | None]:
        """Make the main call, again if the reply is unusable; return None where the model declined.

        The second try differs by what was wrong: a larger limit, fewer passages, another temperature.
        """
        limit, temperature = self.plan.profile.output_tokens[self.kind], 0.0
        for last in (False, True):
            messages = self._fitting(may_search=may_search, limit=limit)
            try:
                return (
                    yield from self._read(messages, limit, may_search=may_search, temperature=temperature)
                )
            except (_TruncatedError, EndpointError) as fault:
                kind = fault.kind if isinstance(fault, EndpointError) else "truncated"
                if last or self.ledger.claims or kind not in ("truncated", "malformed", "context"):
                    raise
                self.ledger.withheld.clear()
                if kind == "context":
                    self._shrink()
                elif kind == "malformed" or isinstance(fault, _LoopError):
                    temperature = OTHER_TEMPERATURE
                    self.passages = self._of(_half(self.passages.papers))
                elif self.ended == "length":
                    limit *= 2
        raise AssertionError("unreachable: the second try returns or raises")

    def _read(
        self,
        messages: list[dict[str, str]],
        limit: int,
        *,
        may_search: bool = False,
        temperature: float = 0.0,
    ) -> Generator[Event, None, Reply | None]:
        """Make one call and yield its claims as they become complete."""
        reader, schema = Reader(), self._schema(may_search=may_search)
        with self.model.stream(
            messages,
            schema=schema,
            schema_name="answer",
            max_output_tokens=limit,
            temperature=temperature,
        ) as pieces:
            if not pieces.is_cached:
                self._afford(messages, schema, limit)
            yield from self._pieces(pieces, reader)
            self.exchange = messages, reader.text
            # Inside the block: a reply that is no answer must not get into the cache.
            return (yield from self._whole_reply(pieces.completion, reader))

    def _schema(self, *, may_search: bool) -> dict[str, Any]:
        profile = self.plan.profile
        return answer_schema(
            self.passages.pointers,
            may_search=may_search,
            most_claims=profile.most_claims,
            says_missing=profile.says_missing,
        )

    def _pieces(self, pieces: TextStream, reader: Reader) -> Iterator[Event]:
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
        if self.ended in DECLINED_REASONS:
            return None
        if not completion.complete:
            cut = _LoopError if self.ended == "repetition" else _TruncatedError
            raise cut("the reply ended before it was complete")
        if not reader.text.strip():
            raise EndpointError("model reply: no text returned; try again or another model", kind="empty")
        reply, rest = reader.finish()
        yield from self._show(rest if reply.verdict == "answer" else [])
        return reply

    def _show(self, written: Sequence[WrittenClaim]) -> Iterator[Event]:
        for claim in written:
            if self.passages.names(plain(claim.text)):
                continue  # a title alone says nothing
            better = repointed(claim, self.passages, lambda c: self.ledger.examine(c, self.passages))
            shown = self.ledger.add(better or claim, self.passages)
            if shown is not None:
                known = marked(self.ledger, repointed=True) if better else shown[0]
                yield Event("claim", claim=known, citations=shown[1], mode="llm")
            elif self.plan.policy == "withhold":
                yield from self._stand_in(self.ledger.withheld[-1])

    def _stand_in(self, failed: Checked) -> Iterator[Event]:
        """Replace a failed claim by the sentences that it cites, where they are relevant."""
        made = replacements(failed, self.ledger, self._relevant)
        if made:
            self.ledger.withheld.remove(failed)
        for claim, cited in made:
            yield Event("claim", claim=claim, citations=(cited,), mode="llm")

    def _relevant(self, citation: Citation) -> bool:
        """Tell whether a sentence has to do with the question, as the extractive reading sees it."""
        question, readings = self.extract.question, self.extract.readings
        if question is None or self.extract.answer.status != "answered":
            return False
        hits = [h for h in self.hits if h.paper_id == citation.paper_id]
        for reading in self.pipeline.whole(self.extract, hits):
            relevant = evidence.relevant(question, readings, reading)
            return any(relevant[s.index] for s in reading.sentences if s.start == citation.start)
        return False

    def _question(self, *, may_search: bool) -> list[dict[str, str]]:
        question = self.request.question
        dated = not is_english(question) or _TIME.search(question)
        prompt = self.plan.answer
        values = {
            "library": f"{self.plan.library}\n\n" if self.plan.library else "",
            "fence": self.passages.fence,
            "passages": self.passages.text(),
            "conversation": _conversation(self.request),
            "question": question,
            "today": f"Today is {self.plan.today}. " if dated else "",
            "may_search": _MAY_SEARCH if may_search else _MAY_NOT_SEARCH,
        }
        return prompt.fill(**{name: values[name] for name in values if name in prompt.variables})

    def _of(self, papers: Sequence[Paper]) -> Passages:
        return Passages.of(papers, salt=self.plan.salt)

    def _fitting(self, *, may_search: bool, limit: int) -> list[dict[str, str]]:
        """Return the question with as many passages as there is room for, the last ones left out."""
        room, before = self.plan.context_tokens - limit, len(self.passages.papers)
        fewest = min(before, self.plan.profile.passages[self.kind][0])
        messages = self._question(may_search=may_search)
        while len(self.passages.papers) > 1:
            tokens = self._tokens(messages, self._schema(may_search=may_search))
            more = len(self.passages.papers) > fewest
            if tokens <= min(room, MOST_TOKENS - limit if more else room):
                break
            self.passages = self._of(self.passages.papers[:-1])
            messages = self._question(may_search=may_search)
        if (left := len(self.passages.papers)) < fewest:
            self._shown_fewer(left)
        return messages

    def _tokens(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> int:
        """Return about how many tokens a call would send.

        The pointers of the schema are counted apart: as text they would be estimated at seven each.
        """
        rest, pointers = _LISTED.subn("", json.dumps(schema))
        return self.plan.pricing.tokens([*(m["content"] for m in messages), rest])[0] + 5 * pointers

    def _plan_ahead(self) -> None:
        """Let the model cut the question into searches, and add what they find."""
        conversation = _conversation(self.request)
        messages = self.plan.plan.fill(conversation=conversation, question=self.request.question)
        try:
            self._search(self._whole(messages, answer_schema(), "plan", parse).queries)
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
        best, rest = self.passages.papers[:_STAY], self.passages.papers[_STAY:]
        self.passages = self._of(
            [*best, *(h.paper for h in fresh), *rest]
        )  # those at the end may be left out
        held = {h.paper_id for h in self.hits}
        joined = [*self.hits, *(h for h in fresh if h.paper_id not in held)]
        self.hits = tuple(replace(h, rank=i) for i, h in enumerate(joined, start=1))
        return True

    def _shrink(self) -> None:
        if len(self.passages.papers) < 2:
            raise EndpointError(
                "prompt: too long for this model even with one abstract; use another model", kind="context"
            )
        self.passages = self._of(_half(self.passages.papers))
        self._shown_fewer(len(self.passages.papers))

    def _shown_fewer(self, papers: int) -> None:
        self.notes.append(f"the model's context is small: only the best {papers} papers were shown to it")

    def _repair(self) -> Iterator[Event]:
        """Let the model rewrite the claims that failed, once; what fails again stays withheld."""
        failures = "\n".join(
            f"- {w.claim.text}\n  failed: {'; '.join(w.reasons) or 'not in the cited sentences'}"
            for w in self.ledger.withheld
        )
        messages = self.plan.repair.follow(*self.exchange, failures=failures.replace(self.passages.fence, ""))
        before, self.ledger.withheld = self.ledger.withheld, []
        limit = self.plan.profile.output_tokens[self.kind]
        try:
            yield from self._read(messages, limit)
        except (EndpointError, _TruncatedError, _OverBudgetError) as error:
            self.ledger.withheld = before
            self.notes.append(f"no repair: {error}")
        for failed in list(self.ledger.withheld):
            yield from self._stand_in(failed)

    def _judge(self) -> Iterator[Event]:
        """Have a second reader judge what wording leaves open; a failure there changes nothing."""
        if self.plan.judge is None:
            return
        limit, spent = self.plan.max_cost, self.usage.cost_usd or 0.0
        before = len(self.ledger.withheld)
        used, notes = review(
            self.ledger,
            self.plan.judge,
            self.plan.judge_when,
            self.passages.papers,
            max_cost=None if limit is None else max(0.0, limit - spent),
        )
        self.usage += used
        self.notes += notes
        for refuted in self.ledger.withheld[before:]:
            yield from self._stand_in(refuted)

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
            if not pieces.is_cached:
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
        pricing = self.plan.pricing
        price = pricing.price(Usage(1, input_tokens=tokens, output_tokens=limit + pricing.thinking))
        if price is None or self.usage.cost_usd is None:
            raise _OverBudgetError(
                f"Not asked: the price of {plain(self.model.model)} is not known, so it cannot be kept "
                f"under ${self.plan.max_cost:g}; leave out the limit, or {PRICE_HINT}."
            )
        if self.usage.cost_usd + price > self.plan.max_cost:
            raise _OverBudgetError(
                f"Not asked: the call could cost ${self.usage.cost_usd + price:.4f}, "
                f"more than the ${self.plan.max_cost:g} allowed."
            )

    def _account(self, completion: Completion) -> None:
        self.usage += priced(completion.usage, self.plan.pricing)
        self.ended = completion.finish_reason
        if self.ended not in DECLINED_REASONS:  # a refusal is put in the model's own words
            self.notes += [n for n in completion.notes if n not in self.notes]

    # --- the end ---

    def _close(self, reply: Reply | None) -> Iterator[Event]:
        """Finish the answer for how the model ended."""
        if reply is None:
            yield self._done("refused", "refused_by_model", "The model refused to answer this question.")
        elif self.ledger.claims:
            note = _missing(reply, self.request.question, prefix="not said: ")
            yield self._done("answered", None, "", note=note)
        elif self.ledger.withheld:
            if self._may_quote():
                yield from self._quoted("withheld_unsupported", _WITHHELD)
            else:
                yield self._abstained("withheld_unsupported", f"The abstracts do not say: {_WITHHELD}.")
        elif self._may_quote(against=reply):
            yield from self._quoted("abstained", "the model found no answer in the abstracts shown to it")
        else:
            missing = _missing(reply, self.request.question, prefix="")
            text = f"The abstracts do not say: {missing}" if missing else _DO_NOT_SAY
            yield self._abstained("not_in_abstracts", text)

    def _abstained(self, reason: str, text: str) -> Event:
        """Abstain, and quote the closest passages for the reader to judge."""
        closest = self.extract.answer.citations if self.plan.fallback else ()
        self.ledger.citations = list(closest)
        return self._done("abstained", reason, f"{text}{closest_passages(closest)}")

    def _may_quote(self, against: Reply | None = None) -> bool:
        """Tell whether sentences may be quoted where the model says nothing that holds.

        ``against`` an abstention that names what of the question is missing, only where the extractive
        reading is in no doubt: of the development questions above that threshold 40 of 42 can be
        answered, of those between the thresholds 12 of 16.
        """
        if not self.plan.fallback or self.extract.answer.status != "answered":
            return False
        considered = against is not None and against.verdict == "abstain" and self._names_part(against)
        return not (considered and self.extract.doubtful)

    def _names_part(self, reply: Reply) -> bool:
        return bool({*index_terms(reply.missing)} & {*index_terms(self.request.question)} - _COMMON)

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
        sources = (
            c.quote
            for c in kept.citations
            if not looks_like_instruction(c.quote) and not is_question(c.quote)
        )
        known = {stem for text in (self.request.question, *sources) for stem in index_terms(text)}
        if all(stem in known or stem.isdigit() for stem in index_terms(kept.claim.text)):
            return f"withheld: “{kept.claim.text}” ({'; '.join(kept.reasons) or kept.fault})"
        return f"withheld: “…” ({kept.fault})"


_KINDS = {_OverBudgetError: "over_budget", _TruncatedError: "truncated", _LoopError: "truncated"}
_LISTED = re.compile(r'"\d+\.\d+"(?:, )?')
_STAY = 4
"""Papers that keep their numbers when a further search adds others."""
_TIME = re.compile(
    r"\b(?:today|now|nowadays|recent(?:ly)?|lately|latest|newest|current(?:ly)?|upcoming|ago|so far|since"
    r"|until|yesterday|tomorrow|what(?:'s| is) new|anything new"
    r"|(?:this|last|past|next|previous)\s+(?:\w+\s+)?(?:days?|weeks?|months?|quarter|years?|decade)|20\d\d)\b",
    re.IGNORECASE,
)
"""Words of time, which mean nothing without the date."""
_MAY_SEARCH = "You may ask for one more search."
_MAY_NOT_SEARCH = "You may not search again: answer from these passages or abstain."
_WITHHELD = "what the model wrote is not supported by the sentences that it points at, so it was withheld"
_DO_NOT_SAY = "The abstracts do not say."
_COMMON = frozenset(
    index_terms("passages abstracts say state mention give report provide specify paper answer question")
)


def worth_reading(readings: Sequence[evidence.Reading], kind: Kind, profile: Profile = FULL) -> list[Paper]:
    """Return the papers to show: the best ones by the reading, within the bounds of the kind of question."""
    fewest, most = profile.passages[kind]
    near = sum(r.score >= readings[0].score - NEAR_THE_BEST for r in readings)
    return [r.hit.paper for r in readings[: min(max(near, fewest), most)]]


def _half(papers: Sequence[Paper]) -> Sequence[Paper]:
    return papers[: max(1, len(papers) // 2)]


def _missing(reply: Reply, question: str, *, prefix: str) -> str | None:
    """Return the model's words on what is missing, only where they are the question's own words.

    They rest on no sentence, so anything else in them (a fact, a link, a command that a
    poisoned abstract asked for) must not reach the reader.
    """
    text = plain(reply.missing)
    known = {*index_terms(question), *_COMMON}
    return f"{prefix}{text}" if text and set(index_terms(text)) <= known else None


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
        raise _LoopError("the model repeated itself and was stopped")


_LOOP_LENGTH, _LOOP_TIMES = 48, 6
MAX_REPLY_CHARS = 60_000
"""A longer reply is a fault of the model or the server."""
