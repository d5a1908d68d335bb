"""What a model says of the themes of a period: one call a theme, shared by all whose issue has it.

The model only points; every sentence is checked against the sentences it points at, as an answer's
claims are. What fails is left out here, and the writer quotes a sentence in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering import answers
from paperagent.answering.call_budget import Budget, CompletionRequest, complete
from paperagent.answering.call_budget import is_cached as at_hand
from paperagent.answering.claims import ClaimChecker, ClaimCollector
from paperagent.answering.passages import Passages
from paperagent.answering.reply import (
    WrittenClaim,
    claim_schema,
    object_schema,
    parse_claim,
    parse_object,
    plain_text,
)
from paperagent.digest.issue import CitedClaim, Group
from paperagent.llm.prompts import Prompt
from paperagent.llm.protocol import Pricing, TextModel
from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.terms import STOP_WORDS, stem, words
from paperagent.types import Paper, Usage

PAPERS_PER_CALL = 10
MAX_CONCURRENT_CALLS = 4
"""Calls made at the same time; a server on this machine gets one, for it has one processor for all."""
MAX_CONSECUTIVE_FAILURES = 4
"""Calls failed one after another, after which no more are made: each may take a minute to fail."""
_TOKENS_A_PAPER, _TOKENS_BESIDES = 120, 250
"""Of a reply, at most: twice what the sentences asked for take."""
_LONGEST_NAME, _NAME_WORDS = 60, 7
_LONGEST_SENTENCE = 400

SCHEMA = object_schema(
    name={"type": "string"},
    overview=claim_schema(),
    papers={"type": "array", "items": claim_schema(paper={"type": "integer"})},
)


@dataclass(frozen=True, slots=True)
class ThemeWriterConfig:
    """What a draft is made with."""

    prompt: Prompt
    check: ClaimChecker
    pricing: Pricing
    salt: str
    """A secret of the library, for the fence."""
    context_tokens: int = 8_192


@dataclass(frozen=True, slots=True)
class ThemeDraft:
    """What the model said of one theme, as far as it passed its checks."""

    name: str | None = None
    overviews: tuple[CitedClaim, ...] = ()
    papers: Mapping[str, CitedClaim] = field(default_factory=dict)
    """By paper id."""
    usage: Usage = field(default_factory=Usage)
    failed: int = 0
    """Papers of which no sentence passed its check."""
    note: str | None = None
    """Why there is no draft, or not a whole one."""


@dataclass(frozen=True, slots=True)
class _ThemeCall:
    key: str
    passages: Passages
    call: CompletionRequest
    bound: Usage
    is_cached: bool
    """Whether the reply is at hand and costs nothing."""


class ThemeWriter:
    """Has a model write about themes, within a budget."""

    def __init__(
        self,
        model: TextModel,
        plan: ThemeWriterConfig,
        budget: Budget,
        *,
        at_once: int = MAX_CONCURRENT_CALLS,
    ) -> None:
        self.model = model.model
        self._model = model
        self._plan = plan
        self._budget = budget
        self._at_once = at_once
        self._fault = ""
        self._faults = 0
        """Calls that failed one after another."""

    def estimate(self, groups: Iterable[Group]) -> Usage:
        """Return the most that drafting these groups may use, those at hand left out."""
        total = Usage()
        for call in self._calls(groups):
            total = total if call.is_cached else total + call.bound
        return total

    def draft(self, groups: Iterable[Group]) -> dict[str, ThemeDraft]:
        """Return drafts by the groups' keys.

        Themes that most readers have come first. A call that could pass the limit waits until
        those before it are paid, and is left out where it still does not fit; its theme's draft
        then holds only a note.
        """
        drafts: dict[str, ThemeDraft] = {}
        waiting = self._calls(groups)
        with ThreadPoolExecutor(self._at_once) as pool:
            while waiting:
                batch, waiting = self._affordable(waiting)
                if not batch:
                    break
                for call, made in zip(batch, pool.map(self._made, batch), strict=True):
                    paid = replace(made, usage=self._budget.account(made.usage))
                    drafts[call.key] = _joined(drafts.get(call.key), paid)
        for call in waiting:
            drafts[call.key] = _joined(
                drafts.get(call.key), ThemeDraft(note=answers.fallback_note(self._budget.refusal()))
            )
        return drafts

    # --- calls ---

    def _calls(self, groups: Iterable[Group]) -> list[_ThemeCall]:
        """Return the calls for all different papers of each theme, most wanted themes first.

        A paper that stands in several themes is written about in the first of them.
        """
        named: dict[str, str] = {}
        papers: dict[str, dict[str, Paper]] = {}
        wanted: dict[str, int] = {}
        for group in groups:
            named.setdefault(group.key, group.name)
            papers.setdefault(group.key, {}).update({c.paper.paper_id: c.paper for c in group.chosen})
            wanted[group.key] = wanted.get(group.key, 0) + 1
        calls: list[_ThemeCall] = []
        done: set[str] = set()
        for key in sorted(papers, key=lambda k: (-wanted[k], k)):
            # In the order of their ids, so that the same papers give the same call again.
            held = [papers[key][i] for i in sorted(papers[key].keys() - done)]
            done |= papers[key].keys()
            calls += [self._plan_call(key, named[key], part) for part in _parts(held, PAPERS_PER_CALL)]
        return calls

    def _plan_call(self, key: str, name: str, papers: Sequence[Paper]) -> _ThemeCall:
        limit = _TOKENS_BESIDES + _TOKENS_A_PAPER * len(papers)
        while True:
            passages = Passages.from_papers(papers, salt=self._plan.salt)
            messages = self._plan.prompt.fill(
                theme=plain_text(name).replace(passages.fence, ""),
                fence=passages.fence,
                passages=passages.text(),
            )
            call = CompletionRequest(messages, SCHEMA, "theme", limit)
            bound = self._budget.max_usage(call)
            if bound.input_tokens + limit <= self._plan.context_tokens or len(papers) == 1:
                return _ThemeCall(key, passages, call, bound, at_hand(self._model, call))
            papers = papers[:-1]  # its sentence is quoted instead

    def _affordable(self, calls: Sequence[_ThemeCall]) -> tuple[list[_ThemeCall], list[_ThemeCall]]:
        """Return the calls that fit together, in order, and the rest."""
        batch: list[_ThemeCall] = []
        rest: list[_ThemeCall] = []
        planned = 0.0
        for call in calls:
            if call.is_cached or self._budget.allows(call.bound, planned=planned):
                batch.append(call)
                planned += 0.0 if call.is_cached else call.bound.cost_usd or 0.0
            else:
                rest.append(call)
        return batch, rest

    def _made(self, planned: _ThemeCall) -> ThemeDraft:
        """Make one call; whatever goes wrong with it costs its theme the model's words, no more."""
        if self._faults >= MAX_CONSECUTIVE_FAILURES and not planned.is_cached:
            return ThemeDraft(note=answers.fallback_note(self._fault))
        made = complete(self._model, planned.call, lambda text: parse_object(text, "papers"))
        self._faults, self._fault = (self._faults + 1, made.error) if made.value is None else (0, "")
        if made.value is None:
            return ThemeDraft(usage=made.usage, note=answers.fallback_note(made.error))
        return self._checked(planned.passages, made.value, made.usage)

    # --- checks ---

    def _checked(self, passages: Passages, reply: Mapping[str, Any], used: Usage) -> ThemeDraft:
        overview = self._said(reply.get("overview"), passages)
        papers: dict[str, CitedClaim] = {}
        listed = reply["papers"] if isinstance(reply["papers"], list) else []
        for item in listed[: len(passages.papers)]:
            said = self._said(item, passages)
            owners = {c.paper_id for c in said.citations} if said else set()
            if said and len(owners) == 1:
                papers.setdefault(owners.pop(), said)
        return ThemeDraft(
            _name(reply.get("name"), passages.papers),
            (overview,) if overview else (),
            papers,
            used,
            len(passages.papers) - len(papers),
        )

    def _said(self, item: object, passages: Passages) -> CitedClaim | None:
        """Return a sentence of the reply if it passes, with its citations."""
        return checked_sentence(parse_claim(item), passages, self._plan.check)


def checked_sentence(
    written: WrittenClaim | None, passages: Passages, check: ClaimChecker
) -> CitedClaim | None:
    """Return a sentence with its citations if the sentences that it points at support it."""
    if written is None or len(written.text) > _LONGEST_SENTENCE:
        return None
    checked = ClaimCollector(check, "withhold").check(written, passages)
    return None if checked.is_rejected else CitedClaim(checked.claim, checked.citations)


def _parts(papers: Sequence[Paper], most: int) -> list[Sequence[Paper]]:
    """Return the papers in parts of about equal size, none above ``most``."""
    count = -(-len(papers) // most)
    return [papers[len(papers) * i // count : len(papers) * (i + 1) // count] for i in range(count)]


def _joined(one: ThemeDraft | None, other: ThemeDraft) -> ThemeDraft:
    if one is None:
        return other
    return ThemeDraft(
        one.name or other.name,
        (*one.overviews, *other.overviews),
        {**one.papers, **other.papers},
        one.usage + other.usage,
        one.failed + other.failed,
        one.note or other.note,
    )


def _name(given: object, papers: Sequence[Paper]) -> str | None:
    """Return the model's name for a theme if it is made of words of the papers, else None.

    Each content word must stand in a title, or in two abstracts where there are two: a single
    poisoned abstract names no theme.
    """
    text = plain_text(given) if isinstance(given, str) else ""
    found = words(text)
    if not 0 < len(text) <= _LONGEST_NAME or not 0 < len(found) <= _NAME_WORDS or not _NAME.fullmatch(text):
        return None
    if is_question(text) or looks_like_instruction(text):
        return None
    content = {stem(w) for w in found if w not in STOP_WORDS}
    titles = {stem(w) for p in papers for w in words(p.title)}
    held = [{stem(w) for w in words(p.abstract)} for p in papers]
    needed = min(2, len(papers))
    known = all(s in titles or sum(s in h for h in held) >= needed for s in content)
    return text if content and known else None


_NAME = re.compile(r"[^\W_][\w\s,&/()+'’–-]*")
