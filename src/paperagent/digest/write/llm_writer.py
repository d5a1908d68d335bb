"""Let a model write about the themes of a period: one call per theme, shared by all issues that have it.

Every sentence is checked against the passages that it cites, like the claims of an answer. Sentences
that fail are left out, and the issue writer quotes a sentence instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering.answers import fallback_note
from paperagent.answering.call_budget import (
    MAX_CONSECUTIVE_FAILURES,
    Budget,
    CompletionRequest,
    complete,
    is_cached,
)
from paperagent.answering.citations import shown_quote
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
from paperagent.digest.issue import CitedClaim, Theme
from paperagent.llm.prompts import Prompt
from paperagent.llm.protocol import Pricing, TextModel
from paperagent.text.discourse import refers_back
from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.terms import STOP_WORDS, stem, words
from paperagent.time_limits import WorkerPool
from paperagent.types import Paper, Usage

PAPERS_PER_CALL = 10
MAX_CONCURRENT_CALLS = 4
"""Concurrent calls; only one for a server on this machine, where all calls share one processor."""
_OVERVIEW_SENTENCES = 3
"""Sentences of the overview that a call may give."""
_TOKENS_PER_SENTENCE, _BASE_TOKENS = 120, 130
"""Token limit of a reply: twice what the requested sentences take."""
_MAX_NAME_LENGTH, _MAX_NAME_WORDS = 60, 7
_MAX_SENTENCE_LENGTH = 400

SCHEMA = object_schema(
    name={"type": "string"},
    overview={"type": "array", "items": claim_schema()},
    papers={"type": "array", "items": claim_schema(paper={"type": "integer"})},
)


@dataclass(frozen=True, slots=True)
class ThemeWriterConfig:
    """The prompt, checks and limits of a theme writer."""

    prompt: Prompt
    check: ClaimChecker
    pricing: Pricing
    salt: str
    """The library's secret, for the fence around passages."""
    context_tokens: int = 8_192


@dataclass(frozen=True, slots=True)
class ThemeDraft:
    """The model's text about one theme, without the sentences that failed their check."""

    name: str | None = None
    overview: tuple[CitedClaim, ...] = ()
    """Sentences on what the theme's papers bring, most notable first. Each may cite several papers."""
    papers: Mapping[str, CitedClaim] = field(default_factory=dict)
    """One sentence per paper id."""
    usage: Usage = field(default_factory=Usage)
    failed: int = 0
    """The number of papers without a sentence that passed its check."""
    note: str | None = None
    """Why the draft is missing or incomplete."""


@dataclass(frozen=True, slots=True)
class _ThemeCall:
    """A model call about one theme, or a part of it."""

    key: str
    passages: Passages
    call: CompletionRequest
    max_usage: Usage
    is_cached: bool
    """Whether the reply is in the cache and costs nothing."""


class ThemeWriter:
    """Lets a model write about themes, within a budget."""

    def __init__(
        self,
        model: TextModel,
        config: ThemeWriterConfig,
        budget: Budget,
        *,
        max_concurrent: int = MAX_CONCURRENT_CALLS,
    ) -> None:
        self.model = model.model
        """The model's name."""
        self._text_model = model
        self._config = config
        self._budget = budget
        self._max_concurrent = max_concurrent
        self._last_failure = ""
        self._consecutive_failures = 0

    def estimate(self, themes: Iterable[Theme]) -> Usage:
        """Return the maximum that `write` may use for these themes; cached replies cost nothing."""
        return sum((call.max_usage for call in self._calls(themes) if not call.is_cached), Usage())

    def write(self, themes: Iterable[Theme]) -> dict[str, ThemeDraft]:
        """Return drafts by theme key.

        Themes that occur in the most issues come first. A call that could exceed the budget waits until the
        earlier calls are paid, and is dropped if it still does not fit; its draft then has only a note.
        """
        drafts: dict[str, ThemeDraft] = {}
        waiting = self._calls(themes)
        with WorkerPool(self._max_concurrent) as pool:
            while waiting:
                batch, waiting = self._affordable(waiting)
                if not batch:
                    break
                for call, draft in zip(batch, pool.map(self._draft, batch), strict=True):
                    paid = replace(draft, usage=self._budget.account(draft.usage))
                    drafts[call.key] = _merge_drafts(drafts.get(call.key), paid)
        for call in waiting:
            refused = ThemeDraft(note=fallback_note(self._budget.refusal()))
            drafts[call.key] = _merge_drafts(drafts.get(call.key), refused)
        return drafts

    # --- calls ---

    def _calls(self, themes: Iterable[Theme]) -> list[_ThemeCall]:
        """Return the calls about all distinct papers of each theme, most frequent themes first.

        A paper in several themes is written about in the most frequent one.
        """
        names: dict[str, str] = {}
        papers: dict[str, dict[str, Paper]] = {}
        issues: dict[str, int] = {}
        for theme in themes:
            names.setdefault(theme.key, theme.name)
            papers.setdefault(theme.key, {}).update({i.paper.paper_id: i.paper for i in theme.items})
            issues[theme.key] = issues.get(theme.key, 0) + 1
        calls: list[_ThemeCall] = []
        done: set[str] = set()
        for key in sorted(papers, key=lambda k: (-issues[k], k)):
            # Ordered by id, so that the same papers give the same call, which the cache may know.
            new_papers = [papers[key][i] for i in sorted(papers[key].keys() - done)]
            done |= papers[key].keys()
            calls += [self._call(key, names[key], part) for part in _split(new_papers, PAPERS_PER_CALL)]
        return calls

    def _call(self, key: str, name: str, papers: Sequence[Paper]) -> _ThemeCall:
        reply_tokens = _BASE_TOKENS + _TOKENS_PER_SENTENCE * (_OVERVIEW_SENTENCES + len(papers))
        while True:
            passages = Passages.from_papers(papers, salt=self._config.salt)
            messages = self._config.prompt.fill(
                theme=plain_text(name).replace(passages.fence, ""),
                fence=passages.fence,
                passages=passages.text(),
            )
            call = CompletionRequest(messages, SCHEMA, "theme", reply_tokens)
            max_usage = self._budget.max_usage(call)
            if max_usage.input_tokens + reply_tokens <= self._config.context_tokens or len(papers) == 1:
                return _ThemeCall(key, passages, call, max_usage, is_cached(self._text_model, call))
            papers = papers[:-1]  # the issue quotes a sentence of this paper instead

    def _affordable(self, calls: Sequence[_ThemeCall]) -> tuple[list[_ThemeCall], list[_ThemeCall]]:
        """Split the calls, in order, into those that fit the budget together and the others."""
        batch: list[_ThemeCall] = []
        waiting: list[_ThemeCall] = []
        planned_usd = 0.0
        for call in calls:
            if call.is_cached or self._budget.allows(call.max_usage, planned=planned_usd):
                batch.append(call)
                planned_usd += 0.0 if call.is_cached else call.max_usage.cost_usd or 0.0
            else:
                waiting.append(call)
        return batch, waiting

    def _draft(self, theme_call: _ThemeCall) -> ThemeDraft:
        """Make one call. A failure leaves a draft with a note."""
        if self._consecutive_failures >= MAX_CONSECUTIVE_FAILURES and not theme_call.is_cached:
            return ThemeDraft(note=fallback_note(self._last_failure))
        outcome = complete(self._text_model, theme_call.call, lambda text: parse_object(text, "papers"))
        if outcome.value is None:
            self._consecutive_failures, self._last_failure = self._consecutive_failures + 1, outcome.error
            return ThemeDraft(usage=outcome.usage, note=fallback_note(outcome.error))
        self._consecutive_failures, self._last_failure = 0, ""
        return self._checked_draft(theme_call.passages, outcome.value, outcome.usage)

    # --- checks ---

    def _checked_draft(self, passages: Passages, reply: Mapping[str, Any], usage: Usage) -> ThemeDraft:
        overview = self._checked_sentences(reply.get("overview"), passages, _OVERVIEW_SENTENCES)
        papers: dict[str, CitedClaim] = {}
        for cited in self._checked_sentences(reply["papers"], passages, len(passages.papers)):
            if len(cited.paper_ids) == 1:
                papers.setdefault(next(iter(cited.paper_ids)), cited)
        return ThemeDraft(
            _checked_name(reply.get("name"), passages.papers),
            overview,
            papers,
            usage,
            len(passages.papers) - len(papers),
        )

    def _checked_sentences(self, value: object, passages: Passages, limit: int) -> tuple[CitedClaim, ...]:
        """Return those of the first sentences that pass their check and can be read alone."""
        written = value if isinstance(value, list) else [value]
        checked = (checked_sentence(parse_claim(v), passages, self._config.check) for v in written[:limit])
        return tuple(c for c in checked if c is not None and not refers_back(c.claim.text))


def checked_sentence(
    written: WrittenClaim | None, passages: Passages, check: ClaimChecker
) -> CitedClaim | None:
    """Return a model's sentence with its citations, or None if its passages do not support it.

    A verbatim sentence cites only what it quotes.
    """
    if written is None or len(written.text) > _MAX_SENTENCE_LENGTH:
        return None
    checked = ClaimCollector(check, "withhold").check(written, passages)
    if checked.is_rejected:
        return None
    if checked.claim.support != "quoted":
        return CitedClaim(checked.claim, checked.citations)
    source = next(c for c in checked.citations if shown_quote(c) == checked.claim.text)
    return CitedClaim(replace(checked.claim, citations=(source.n,)), (source,))


def _split(papers: Sequence[Paper], max_size: int) -> list[Sequence[Paper]]:
    """Return the papers in parts of about equal size, none larger than ``max_size``."""
    count = -(-len(papers) // max_size)
    return [papers[len(papers) * i // count : len(papers) * (i + 1) // count] for i in range(count)]


def _merge_drafts(one: ThemeDraft | None, other: ThemeDraft) -> ThemeDraft:
    if one is None:
        return other
    return ThemeDraft(
        one.name or other.name,
        (*one.overview, *other.overview),
        {**one.papers, **other.papers},
        one.usage + other.usage,
        one.failed + other.failed,
        one.note or other.note,
    )


def _checked_name(value: object, papers: Sequence[Paper]) -> str | None:
    """Return the model's name for a theme, or None if it is not made of words of the papers.

    Each content word must occur in a title, or in two abstracts if there are two, so that a single
    poisoned abstract cannot name a theme.
    """
    text = plain_text(value) if isinstance(value, str) else ""
    name_words = words(text)
    if not 0 < len(text) <= _MAX_NAME_LENGTH or not 0 < len(name_words) <= _MAX_NAME_WORDS:
        return None
    if not _NAME.fullmatch(text) or is_question(text) or looks_like_instruction(text):
        return None
    content = {stem(w) for w in name_words if w not in STOP_WORDS}
    in_titles = {stem(w) for p in papers for w in words(p.title)}
    abstracts = [{stem(w) for w in words(p.abstract)} for p in papers]
    required = min(2, len(papers))
    supported = all(s in in_titles or sum(s in a for a in abstracts) >= required for s in content)
    return text if content and supported else None


_NAME = re.compile(r"[^\W_][\w\s,&/()+'’–-]*")
