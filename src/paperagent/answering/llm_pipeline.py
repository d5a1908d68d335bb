"""Answers written by a model: quote first, ask once, check each claim as it arrives.

The extractive answer comes first. It determines which papers are shown and which sentences are relevant, it
saves the call if the library has nothing to answer from, and it is the answer if the model gives none.

Usually there is one call. The model may request another search, limited by rounds and by the budget; rejected
claims may be rewritten once; a judge may be asked. Each of these is a call that can be switched off, and each
is refused before it is made if it could cost too much.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from paperagent.answering import citations
from paperagent.answering.answer_config import AnswerConfig
from paperagent.answering.answers import (
    EMPTY_LIBRARY,
    StageTimer,
    as_fallback,
    claim_events,
    closest_passages,
    injection_notes,
    withdrawal_notes,
)
from paperagent.answering.call_budget import Budget, OverBudgetError, count_tokens
from paperagent.answering.claims import CheckedClaim, ClaimCollector, cached_checker, correct_pointers
from paperagent.answering.judge import review_claims
from paperagent.answering.passages import Passages
from paperagent.answering.pipeline import AnswerRequest, ExtractiveAnswer, Pipeline
from paperagent.answering.reply import (
    LoopingReplyError,
    ModelReply,
    ReplyParser,
    TruncatedReplyError,
    WrittenClaim,
    answer_schema,
    parse_reply,
    plain_text,
)
from paperagent.errors import EndpointError
from paperagent.llm.protocol import DECLINED_REASONS, Completion, TextModel, TextStream
from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import query_stems
from paperagent.retrieval.sentence_selection import relevant_sentences
from paperagent.text.terms import index_terms
from paperagent.types import Answer, Citation, Event, Hit, Paper, Status

MAX_ADDED_PASSAGES = 6
"""Maximum number of abstracts that one further search may add."""
MAX_FIRST_CALL_TOKENS = 8_000
"""Limit of a first prompt and its reply, whatever the model's context."""
DECOMPOSE_OUTPUT_TOKENS = 300
"""Limit of the reply that splits a question into searches."""
RETRY_TEMPERATURE = 0.6
"""Temperature of the second try, after a reply that could not be parsed or that repeated itself."""
_STABLE_PASSAGES = 4
"""Papers that keep their numbers when a further search adds others."""
_FILLER_TERMS = frozenset(
    index_terms("passages abstracts say state mention give report provide specify paper answer question")
)
"""Terms that models use to say that something is missing, whatever the question."""
_WITHHELD = "what the model wrote is not supported by the sentences that it points at, so it was withheld"


class LLMAnswerer:
    """Answers questions with a model, over one pipeline."""

    def __init__(self, pipeline: Pipeline, model: TextModel, config: AnswerConfig) -> None:
        self._pipeline = pipeline
        self._model = model
        self._config = config

    def stream(self, request: AnswerRequest) -> Iterator[Event]:
        """Yield ``retrieved``, each ``claim`` once it is checked, and ``done``.

        If the model gives no answer, the claims are quoted sentences, and the answer says why.

        Raises:
            EndpointError: only if the configuration forbids a fallback: the model's server failed before
                any claim was shown; ``hits`` holds the retrieved papers.
        """
        return _AnswerSession(self._pipeline, self._model, self._config, request).run()


@dataclass(slots=True)
class _AnswerSession:
    """The state of one answer while it is made."""

    pipeline: Pipeline
    model: TextModel
    config: AnswerConfig
    request: AnswerRequest
    collector: ClaimCollector = field(init=False)
    passages: Passages = field(init=False)
    extractive: ExtractiveAnswer = field(init=False)
    question: Question = field(init=False)
    hits: tuple[Hit, ...] = ()
    budget: Budget = field(init=False)
    notes: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    """Why the model stopped, as its server says."""
    last_exchange: tuple[list[dict[str, str]], str] = ([], "")
    """The last prompt, and the model's reply to it."""
    timer: StageTimer = field(default_factory=StageTimer)

    def __post_init__(self) -> None:
        self.budget = Budget(self.config.pricing, self.config.max_cost)
        check = cached_checker(self.config.check)
        self.collector = ClaimCollector(check, self.config.policy, self.request.question)

    def run(self) -> Iterator[Event]:
        self.extractive = self.pipeline.extract(self.request)
        quoted = self.extractive.answer
        self.hits = quoted.hits
        self.timer.end_stage("retrieve")
        if quoted.reason == "empty_library":
            yield self._done("abstained", "empty_library", EMPTY_LIBRARY)
            return
        yield Event("retrieved", hits=self.hits)
        if self.extractive.is_off_topic or self.extractive.question is None:
            yield self._done("abstained", "no_evidence", quoted.answer)
            return
        self.question = self.extractive.question
        papers = self.config.profile.papers_to_show(self.extractive.matches, self.question.kind)
        self.passages = self._as_passages(papers)
        self.notes += injection_notes(self.passages.papers)
        try:
            yield from self._rounds()
        except (OverBudgetError, TruncatedReplyError, EndpointError) as error:
            yield from self._end_with_error(error)

    def _rounds(self) -> Iterator[Event]:
        """Ask; search again if the model wants to and may; finish the answer."""
        if self.config.effort == "deep":
            self._decompose()
        may_search = self.config.profile.may_search and self.config.effort != "fast"
        rounds = self.config.max_rounds if may_search else 1
        reply = yield from self._ask(may_search=rounds > 1)
        while reply is not None and reply.verdict == "search" and rounds > 1:
            rounds = rounds - 1 if self._search(reply.queries) else 1
            reply = yield from self._ask(may_search=rounds > 1)
        if self.config.policy == "repair" and self.collector.withheld:
            yield from self._repair()
        yield from self._judge()
        yield from self._finish(reply)

    # --- calls ---

    def _ask(self, *, may_search: bool) -> Generator[Event, None, ModelReply | None]:
        """Make the main call, and repeat it if the reply is unusable. Return None if the model declined.

        The second try depends on what went wrong: a larger limit, fewer passages, another temperature.
        """
        limit, temperature = self.config.profile.output_tokens[self.question.kind], 0.0
        for is_last in (False, True):
            messages = self._fitting_prompt(may_search=may_search, limit=limit)
            try:
                return (
                    yield from self._call(messages, limit, may_search=may_search, temperature=temperature)
                )
            except (TruncatedReplyError, EndpointError) as error:
                kind = error.kind
                if is_last or self.collector.claims or kind not in ("truncated", "malformed", "context"):
                    raise
                self.collector.withheld.clear()
                if kind == "context":
                    self._halve_passages()
                elif kind == "malformed" or isinstance(error, LoopingReplyError):
                    temperature = RETRY_TEMPERATURE
                    self.passages = self._as_passages(_first_half(self.passages.papers))
                elif self.finish_reason == "length":
                    limit *= 2
        raise AssertionError("unreachable: the second try returns or raises")

    def _call(
        self,
        messages: list[dict[str, str]],
        limit: int,
        *,
        may_search: bool = False,
        temperature: float = 0.0,
    ) -> Generator[Event, None, ModelReply | None]:
        """Make one call and yield its claims as they become complete."""
        parser, schema = ReplyParser(), self._schema(may_search=may_search)
        with self.model.stream(
            messages,
            schema=schema,
            schema_name="answer",
            max_output_tokens=limit,
            temperature=temperature,
        ) as stream:
            if not stream.is_cached:
                self._require_budget(messages, schema, limit)
            yield from self._parse(stream, parser)
            self.last_exchange = messages, parser.text
            # Inside the block, so that a reply that is no answer is not cached.
            return (yield from self._end_of_reply(stream.completion, parser))

    def _parse(self, stream: TextStream, parser: ReplyParser) -> Iterator[Event]:
        """Parse a reply, yielding its claims as they become complete."""
        try:
            for piece in stream:
                yield from self._add_claims(parser.feed(piece))
                parser.require_no_loop()
        except Exception:
            if parser.text:  # the call was paid for, even if it failed
                self._account(stream.completion)
            raise
        self._account(stream.completion)

    def _end_of_reply(
        self, completion: Completion, parser: ReplyParser
    ) -> Generator[Event, None, ModelReply | None]:
        """Return the whole reply and yield its remaining claims. Return None if the model declined."""
        if self.finish_reason in DECLINED_REASONS:
            return None
        if not completion.complete:
            error = LoopingReplyError if self.finish_reason == "repetition" else TruncatedReplyError
            raise error("the reply ended before it was complete")
        if not parser.text.strip():
            raise EndpointError("model reply: no text returned; try again or another model", kind="empty")
        reply, claims = parser.finish()
        yield from self._add_claims(claims if reply.verdict == "answer" else [])
        return reply

    def _add_claims(self, claims: Sequence[WrittenClaim]) -> Iterator[Event]:
        """Check claims and yield those that may be shown, or the sentences quoted instead."""
        for written in claims:
            if self.passages.is_title(plain_text(written.text)):
                continue  # a title alone says nothing
            corrected = correct_pointers(
                written, self.passages, lambda c: self.collector.check(c, self.passages)
            )
            extra_checks = {"repointed": True} if corrected else {}
            added = self.collector.add(corrected or written, self.passages, **extra_checks)
            if added is not None:
                yield Event("claim", claim=added[0], citations=added[1], mode="llm")
            elif self.config.policy == "withhold":
                yield from self._quote_instead(self.collector.withheld[-1])

    def _quote_instead(self, rejected: CheckedClaim) -> Iterator[Event]:
        """Replace a rejected claim by the sentences that it cites, if they are relevant."""
        for claim, citation in self.collector.quote_instead(rejected, self._is_relevant):
            yield Event("claim", claim=claim, citations=(citation,), mode="llm")

    def _is_relevant(self, citation: Citation) -> bool:
        """Return whether a cited sentence is relevant to the question by the extractive scores."""
        if not self.extractive.answer.claims:
            return False
        hits = [h for h in self.hits if h.paper_id == citation.paper_id]
        for paper in self.pipeline.match_fully(self.extractive, hits):
            relevant = relevant_sentences(self.question, self.extractive.matches, paper)
            return any(relevant[s.index] for s in paper.sentences if s.start == citation.start)
        return False

    def _repair(self) -> Iterator[Event]:
        """Have the model rewrite rejected claims once. Claims that are rejected again stay withheld."""
        failures = "\n".join(
            f"- {w.claim.text}\n  failed: {'; '.join(w.reasons_for_model) or 'not in the cited sentences'}"
            for w in self.collector.withheld
        )
        messages = self.config.repair_prompt.follow(
            *self.last_exchange, failures=failures.replace(self.passages.fence, "")
        )
        before, self.collector.withheld = self.collector.withheld, []
        limit = self.config.profile.output_tokens[self.question.kind]
        try:
            yield from self._call(messages, limit)
        except (EndpointError, TruncatedReplyError, OverBudgetError) as error:
            self.collector.withheld = before
            self.notes.append(f"no repair: {error}")
        for rejected in list(self.collector.withheld):
            yield from self._quote_instead(rejected)

    def _judge(self) -> Iterator[Event]:
        """Have the judge review claims that wording cannot settle. If it fails, nothing changes."""
        if self.config.judge is None:
            return
        withheld_before = len(self.collector.withheld)
        usage, notes = review_claims(
            self.collector,
            self.config.judge,
            self.config.judge_when,
            self.passages.papers,
            max_cost=self.budget.remaining,
        )
        self.budget.add(usage)
        self.notes += notes
        for refuted in self.collector.withheld[withheld_before:]:
            yield from self._quote_instead(refuted)

    # --- prompts and passages ---

    def _schema(self, *, may_search: bool) -> dict[str, Any]:
        profile = self.config.profile
        return answer_schema(
            self.passages.pointers,
            may_search=may_search,
            max_claims=profile.max_claims,
            reports_missing=profile.reports_missing,
        )

    def _prompt(self, *, may_search: bool) -> list[dict[str, str]]:
        return self.config.fill_answer_prompt(
            self.question, self.request.history, self.passages, may_search=may_search
        )

    def _fitting_prompt(self, *, may_search: bool, limit: int) -> list[dict[str, str]]:
        """Return the prompt with as many passages as fit; the last ones are left out."""
        available, before = self.config.context_tokens - limit, len(self.passages.papers)
        fewest = min(before, self.config.profile.passage_limits[self.question.kind][0])
        messages = self._prompt(may_search=may_search)
        while len(self.passages.papers) > 1:
            tokens = count_tokens(self.config.pricing, messages, self._schema(may_search=may_search))
            above_minimum = len(self.passages.papers) > fewest
            if tokens <= min(available, MAX_FIRST_CALL_TOKENS - limit if above_minimum else available):
                break
            self.passages = self._as_passages(self.passages.papers[:-1])
            messages = self._prompt(may_search=may_search)
        if len(self.passages.papers) < fewest:
            self._note_fewer_passages()
        return messages

    def _as_passages(self, papers: Sequence[Paper]) -> Passages:
        return Passages.from_papers(papers, salt=self.config.salt)

    def _halve_passages(self) -> None:
        if len(self.passages.papers) < 2:
            raise EndpointError(
                "prompt: too long for this model even with one abstract; use another model", kind="context"
            )
        self.passages = self._as_passages(_first_half(self.passages.papers))
        self._note_fewer_passages()

    def _note_fewer_passages(self) -> None:
        count = len(self.passages.papers)
        self.notes.append(f"the model's context is small: only the best {count} papers were shown to it")

    def _decompose(self) -> None:
        """Have the model split the question into searches, and add the papers they return."""
        messages = self.config.fill_decompose_prompt(self.question, self.request.history)
        schema, limit = answer_schema(), DECOMPOSE_OUTPUT_TOKENS
        try:
            with self.model.stream(
                messages, schema=schema, schema_name="plan", max_output_tokens=limit
            ) as stream:
                if not stream.is_cached:
                    self._require_budget(messages, schema, limit)
                text = "".join(stream)
                self._account(stream.completion)
                reply = parse_reply(text)
            self._search(reply.queries)
        except EndpointError as error:
            if error.kind != "malformed":
                raise
            self.notes.append("the question was not cut into parts: the plan could not be read")

    def _search(self, queries: Sequence[str]) -> bool:
        """Add the papers that the queries find. Return False if they find no new one."""
        texts = [text for text in map(plain_text, queries) if query_stems(text)]
        results = [
            self.pipeline.search(text, k=MAX_ADDED_PASSAGES, filters=self.request.filters) for text in texts
        ]
        interleaved = [hit for rank in zip_longest(*results) for hit in rank if hit is not None]
        ids = {p.paper_id for p in self.passages.papers}
        new = list({h.paper_id: h for h in interleaved if h.paper_id not in ids}.values())
        new = new[:MAX_ADDED_PASSAGES]
        if not new:
            self.notes.append("the further search found no other paper")
            return False
        stable, last = self.passages.papers[:_STABLE_PASSAGES], self.passages.papers[_STABLE_PASSAGES:]
        self.passages = self._as_passages([*stable, *(h.paper for h in new), *last])  # the last may not fit
        retrieved = {h.paper_id for h in self.hits}
        hits = [*self.hits, *(h for h in new if h.paper_id not in retrieved)]
        self.hits = tuple(replace(h, rank=rank) for rank, h in enumerate(hits, start=1))
        return True

    def _require_budget(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], limit: int
    ) -> None:
        tokens = count_tokens(self.config.pricing, messages, schema)
        self.budget.require(tokens, limit, model=plain_text(self.model.model))

    def _account(self, completion: Completion) -> None:
        self.budget.account(completion.usage)
        self.finish_reason = completion.finish_reason
        if self.finish_reason not in DECLINED_REASONS:  # refusals get a note of their own
            self.notes += [n for n in completion.notes if n not in self.notes]

    # --- the end ---

    def _finish(self, reply: ModelReply | None) -> Iterator[Event]:
        """Finish the answer, depending on how the model ended."""
        if reply is None:
            yield self._done("refused", "refused_by_model", "The model refused to answer this question.")
        elif self.collector.claims:
            missing = self._missing(reply)
            yield self._done("answered", None, "", note=f"not said: {missing}" if missing else None)
        elif self.collector.withheld:
            if self._may_quote():
                yield from self._fall_back("withheld_unsupported", _WITHHELD)
            else:
                yield self._abstain(
                    "withheld_unsupported",
                    f"The abstracts do not say. {_WITHHELD[:1].upper()}{_WITHHELD[1:]}.",
                )
        elif self._may_quote() and not self._is_considered_abstention(reply):
            yield from self._fall_back("abstained", "the model found no answer in the abstracts shown to it")
        else:
            missing = self._missing(reply)
            question_part = f" “{missing.rstrip('.')}”" if missing else ""
            yield self._abstain("not_in_abstracts", f"The abstracts do not say{question_part}.")

    def _end_with_error(
        self, error: OverBudgetError | TruncatedReplyError | EndpointError
    ) -> Iterator[Event]:
        """End an answer that the model could not finish: keep the claims shown, or else quote sentences."""
        if self.collector.claims:
            yield self._done("incomplete", error.kind, "", note=f"incomplete: {error}")
        elif self.config.fallback and error.kind != "replay":
            yield from self._fall_back(error.kind, str(error))
        elif isinstance(error, EndpointError):
            error.hits = self.hits
            raise error
        elif isinstance(error, OverBudgetError):
            yield self._done("refused", error.kind, str(error))
        else:
            yield self._done("incomplete", error.kind, "", note=f"incomplete: {error}")

    def _fall_back(self, kind: str, reason: str) -> Iterator[Event]:
        """Yield the extractive answer instead of the model's."""
        self.timer.end_stage("generate")
        quoted = as_fallback(self.extractive.answer, kind, reason, usage=self.budget.usage)
        notes = (n for n in (*self.notes, *self.collector.withheld_notes()) if n not in quoted.notes)
        answer = replace(quoted, notes=(*quoted.notes, *notes), timings_ms=self.timer.timings_ms())
        yield from claim_events(answer)
        yield Event("done", answer=answer)

    def _abstain(self, reason: str, text: str) -> Event:
        """Abstain, and quote the closest passages so that the user can judge."""
        closest = self.extractive.answer.citations if self.config.fallback else ()
        self.collector.citations = list(closest)
        return self._done("abstained", reason, f"{text}{closest_passages(closest)}")

    def _may_quote(self) -> bool:
        """Return whether sentences may be quoted if none of the model's claims can be shown."""
        return self.config.fallback and bool(self.extractive.answer.claims)

    def _is_considered_abstention(self, reply: ModelReply) -> bool:
        """Return whether a model's abstention outweighs the extractive answer.

        It does if it names the part of the question that is missing and the extractive answer is doubtful. Of
        the development questions, 40 of 42 above that threshold can be answered, and 12 of 16 between the
        thresholds.
        """
        question_terms = set(self.question.terms) - _FILLER_TERMS
        names_part = bool(question_terms & set(index_terms(reply.missing)))
        return reply.verdict == "abstain" and names_part and self.extractive.answer.status == "doubtful"

    def _missing(self, reply: ModelReply) -> str | None:
        """Return the model's text on what is missing, but only if all its words come from the question.

        No sentence supports this text, so anything else in it (a fact, a link, a command from a malicious
        abstract) must not reach the user.
        """
        text = plain_text(reply.missing)
        allowed = {*self.question.terms, *_FILLER_TERMS}
        return text if text and set(index_terms(text)) <= allowed else None

    def _done(self, status: Status, reason: str | None, text: str, *, note: str | None = None) -> Event:
        self.timer.end_stage("generate")
        claims, cited = tuple(self.collector.claims), tuple(self.collector.citations)
        papers = {h.paper_id: h.paper for h in self.hits}
        answer = Answer(
            question=self.request.question,
            status=status,
            reason=reason,
            answer=text or citations.join_claims(claims, cited),
            claims=claims,
            citations=cited,
            hits=self.hits,
            mode="llm",
            model=self.model.model,
            prompt_hash=self.config.answer_prompt.hash,
            usage=self.budget.usage,
            notes=(
                *self.request.notes,
                *self.notes,
                *([note] if note else []),
                *self.collector.withheld_notes(),
                *withdrawal_notes(cited, papers.values()),
            ),
        )
        citations.verify(answer, papers)
        self.timer.end_stage("verify")
        return Event("done", answer=replace(answer, timings_ms=self.timer.timings_ms()))


def _first_half(papers: Sequence[Paper]) -> Sequence[Paper]:
    return papers[: max(1, len(papers) // 2)]
