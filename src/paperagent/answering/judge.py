"""The LLM judge: a second opinion on claims that wording cannot settle.

`LLMJudge` asks a model for the probability that claims are supported; `review_claims` decides what that
changes in an answer. Wording and judge are two witnesses, and neither overrules the other alone.
An error here is reported in the opinion and never raised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from paperagent.answering.passages import without_instructions
from paperagent.errors import EndpointError, PaperAgentError
from paperagent.types import Citation, Claim, Paper, Support, Usage

if TYPE_CHECKING:
    from paperagent.answering.call_budget import CompletionRequest
    from paperagent.answering.claims import ClaimCollector
    from paperagent.llm.prompts import Prompt
    from paperagent.llm.protocol import Pricing, TextModel

JudgeWhen = Literal["auto", "always", "never"]
"""``auto`` asks the judge only if the answer has an unverified claim."""
JUDGE_SCHEMA = "judge"
"""Name of the schema, which distinguishes the judge's calls from others."""

LABELS: Mapping[str, float] = {"supported": 0.9, "partly": 0.5, "not_supported": 0.1}
"""The probability of support for each label, used if the server gives none.

On such claims, a good judge's label is right about nine times in ten. A label alone does not show how
confident the judge is, so no label counts for more than that.
"""
BASE_OUTPUT_TOKENS, OUTPUT_TOKENS_PER_ITEM = 200, 12


# --- items and opinions ---


@dataclass(frozen=True, slots=True)
class QuotedSource:
    """Sentences of one paper, with the title and abstract as context."""

    sentences: tuple[str, ...]
    title: str = ""
    abstract: str = ""


@dataclass(frozen=True, slots=True)
class SupportItem:
    """Asks whether the sentences of ``sources`` together support ``claim``."""

    claim: str
    sources: tuple[QuotedSource, ...]


@dataclass(frozen=True, slots=True)
class AnswerabilityItem:
    """Asks whether the sentences of ``sources`` state the answer to ``question``."""

    question: str
    sources: tuple[QuotedSource, ...]


@dataclass(frozen=True, slots=True)
class StatementItem:
    """Asks the judge whether the sentences of ``sources`` report something or address their reader."""

    sources: tuple[QuotedSource, ...]


JudgeItem = SupportItem | AnswerabilityItem | StatementItem


@dataclass(frozen=True, slots=True)
class JudgeOpinion:
    """The probabilities that a judge gives, and the usage of the call."""

    probabilities: tuple[float | None, ...]
    """One per item, 0 to 1; None if there is none: refused, malformed or failed."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    error: str = ""
    """Short reason why no item has a probability."""


class LLMJudge:
    """Asks a model for all items in one call. The model may reply with probabilities or with labels."""

    def __init__(self, model: TextModel, prompt: Prompt, pricing: Pricing, *, salt: str) -> None:
        """Create a judge.

        Args:
            model: The model to ask.
            prompt: The judge's prompt.
            pricing: Counts and prices the model's tokens.
            salt: The library's secret for the fence around the items.
        """
        self._model = model
        self._prompt = prompt
        self._pricing = pricing
        self._salt = salt

    def ask(self, items: Sequence[JudgeItem], *, max_cost: float | None = None) -> JudgeOpinion:
        """Return the probability of each item. Never raises.

        Args:
            items: What to judge.
            max_cost: US dollars; a call that could cost more is not made.
        """
        from paperagent.answering.call_budget import Budget, priced

        if not items:
            return JudgeOpinion(())
        call, budget = self._call(items), Budget(self._pricing, max_cost)
        usage, error_message = Usage(), ""
        probabilities: tuple[float | None, ...] = (None,) * len(items)
        try:
            with self._model.stream(
                call.messages,
                schema=call.schema,
                schema_name=call.schema_name,
                max_output_tokens=call.max_output_tokens,
            ) as stream:
                if not stream.is_cached and not budget.allows(budget.max_usage(call)):
                    return JudgeOpinion(probabilities, error="asking it could cost more than the limit")
                try:
                    text = "".join(stream)
                finally:
                    usage = stream.completion.usage
                # Inside the block, so that a reply that cannot be parsed is not cached.
                probabilities = parse_probabilities(text, list(call.schema["properties"]))
        except PaperAgentError as error:
            error_message = str(error)
        return JudgeOpinion(probabilities, priced(usage, self._pricing), self._model.model, error_message)

    def _call(self, items: Sequence[JudgeItem]) -> CompletionRequest:
        from paperagent.answering.call_budget import CompletionRequest

        text = _items_as_text(items)
        fence = "=" * 4 + hashlib.sha256(f"{self._salt}\n{text}".encode()).hexdigest()[:16]
        return CompletionRequest(
            self._prompt.fill(fence=fence, claims=text.replace(fence, "")),
            judge_schema(items),
            JUDGE_SCHEMA,
            BASE_OUTPUT_TOKENS + OUTPUT_TOKENS_PER_ITEM * len(items),
        )


def judge_schema(items: Sequence[JudgeItem]) -> dict[str, Any]:
    """Return the schema of a reply: one property per item, described by the statement to judge."""
    properties = {
        str(i): {"type": "string", "enum": list(LABELS), "description": _statement(i, item)}
        for i, item in enumerate(items, start=1)
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _statement(number: int, item: JudgeItem) -> str:
    """Return the statement to judge. The claim and the sentences are in the input, inside the fence."""
    if isinstance(item, AnswerabilityItem):
        return f"The sentences quoted for question {number} state the answer to it."
    if isinstance(item, StatementItem):
        return f"The sentences quoted as number {number} report something, and none addresses its reader."
    return f"The sentences quoted for claim {number} state all that it says, and no less strongly."


def _items_as_text(items: Sequence[JudgeItem]) -> str:
    """Return the papers, then the claims with their sentences, each text on its own line."""
    papers = list(dict.fromkeys((s.title, s.abstract) for item in items for s in item.sources))
    lines = []
    for number, (title, abstract) in enumerate(papers, start=1):
        lines += [f"Paper {number}: {_one_line(title)}", *([_one_line(abstract)] if abstract else []), ""]
    for number, item in enumerate(items, start=1):
        if isinstance(item, AnswerabilityItem):
            lines.append(f"Question {number}: {_one_line(item.question)}")
        elif isinstance(item, StatementItem):
            lines.append(f"Sentences {number}:")
        else:
            lines.append(f"Claim {number}: {_one_line(item.claim)}")
        for source in item.sources:
            paper = papers.index((source.title, source.abstract)) + 1
            lines += [f"  quoted from paper {paper}: {_one_line(s)}" for s in source.sentences]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def parse_probabilities(text: str, names: Sequence[str]) -> tuple[float | None, ...]:
    """Return the probability of each item in a reply, given as a number or as a label.

    Args:
        text: The reply.
        names: Names of the items in the schema.

    Raises:
        EndpointError: (kind ``malformed``) there is none at all.
    """
    from paperagent.answering.reply import find_object
    from paperagent.text.lenient_json import parse_all

    parsed = parse_all(text)
    values: Any = next((value for value in parsed if isinstance(value, list)), None)
    for key in ("probabilities", "labels", *names):
        if reply := find_object(parsed, key):
            values = reply[key] if key in ("probabilities", "labels") else reply
            break
    if isinstance(values, list):
        values = dict(zip(names, values, strict=True)) if len(values) == len(names) else {}
    probabilities = tuple(
        parse_probability(values.get(name)) if isinstance(values, dict) else None for name in names
    )
    if all(p is None for p in probabilities):
        raise EndpointError("judge reply: contains no readable opinion; try another model", kind="malformed")
    return probabilities


_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,17})?")


def parse_probability(value: Any) -> float | None:
    """Return the probability that a label or a number stands for, 0 to 1; None for anything else."""
    if isinstance(value, dict):
        value = value.get("label")
    if isinstance(value, str):
        label = "_".join(value.lower().replace("-", " ").split())
        if label in LABELS or not _NUMBER.fullmatch(value):
            return LABELS.get(label)
        value = float(value)  # the tolerant JSON parser returns fractions as text
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 1 else None


# --- effect of an opinion ---

REFUTED_REASON = "the judge finds that the cited sentences do not support it"
NO_STATEMENT_REASON = "the judge finds that a cited sentence addresses its reader"
CLEAR_YES, CLEAR_NO = 0.8, 0.2
"""An opinion is clear at or above the first probability, and at or below the second. Labels alone are clear,
too.
"""
_DOUBT = 0.5
"""Below this probability the judge doubts a claim."""
LOW_WORDING_SCORE = 0.1
"""Wording score below which a claim is far from its sentences."""


def review_claims(
    collector: ClaimCollector,
    judge: LLMJudge,
    when: JudgeWhen,
    papers: Iterable[Paper],
    *,
    max_cost: float | None = None,
) -> tuple[Usage, list[str]]:
    """Have the judge review the claims of an answer.

    The judge is also asked whether the cited sentences are statements. With ``always``, it is asked whether
    they answer the question, too.

    Args:
        collector: The claims, which are updated.
        judge: The judge.
        when: When to ask the judge.
        papers: The papers of the passages, as context.
        max_cost: The maximum cost of the call in US dollars.

    Returns:
        The usage of the call, and notes for the user.
    """
    indexes = claims_to_judge(collector.claims, when)
    if not indexes:
        return Usage(), []
    papers_by_id = {p.paper_id: p for p in papers}
    claims = [collector.claims[i] for i in indexes]
    cited = [[c for c in collector.citations if c.n in claim.citations] for claim in claims]
    support = [
        SupportItem(claim.text, _quoted_sources(citations, papers_by_id))
        for claim, citations in zip(claims, cited, strict=True)
    ]
    items: list[JudgeItem] = [*support, *dict.fromkeys(StatementItem(item.sources) for item in support)]
    question = None
    if when == "always" and collector.question:
        all_cited = {c.n: c for citations in cited for c in citations}
        sources = _quoted_sources(list(all_cited.values()), papers_by_id)
        question = AnswerabilityItem(collector.question, sources)
        items.append(question)
    opinion = judge.ask(items, max_cost=max_cost)
    if opinion.error:
        return opinion.usage, [f"not judged: {opinion.error}"]
    probabilities = dict(zip(items, opinion.probabilities, strict=True))
    judged = {
        i: apply_probability(claim, p, p_statement=probabilities[StatementItem(item.sources)])
        for i, claim, item in zip(indexes, claims, support, strict=True)
        if (p := probabilities[item]) is not None
    }
    summary = _summary(claims, [judged.get(i, claim) for i, claim in zip(indexes, claims, strict=True)])
    collector.apply_judgements(judged, _reason)
    notes = [f"judge: {opinion.model} {summary}"]
    p_answered = probabilities[question] if question else None
    if p_answered is not None and p_answered <= CLEAR_NO:
        notes.append(f"judge: {opinion.model} doubts that these sentences answer the question")
    return opinion.usage, notes


def claims_to_judge(claims: Sequence[Claim], when: JudgeWhen) -> list[int]:
    """Return the indexes of the claims that the judge is asked about.

    Unverified claims cause the call; supported claims are then judged in the same call. Quotations,
    refuted claims and claims without a citation are not judged.
    """
    if when == "never" or (when == "auto" and all(c.support != "unverified" for c in claims)):
        return []
    return [i for i, c in enumerate(claims) if c.support in ("unverified", "supported") and c.citations]


def _reason(claim: Claim) -> str:
    return NO_STATEMENT_REASON if claim.checks.get("statement") is False else REFUTED_REASON


def apply_probability(claim: Claim, p: float, *, p_statement: float | None = None) -> Claim:
    """Combine the verdict of the wording checks with the probability ``p`` from the judge.

    The two must agree. Suppose that a judge is right nine times in ten, and just as confident when it is
    wrong. On its own, it would withhold a tenth of the honest claims that wording leaves unverified (nearly
    half of all), and support a tenth of the wrong ones. So an unverified claim becomes

    - *supported* by a clear yes, unless a check failed (a number, a hedge, a frame …) or the claim is far
      from its sentences;
    - *unsupported* by a clear no, if a check failed and the claim is far from its sentences;
    - *unsupported* if the judge doubts it and clearly finds that a cited sentence is not a statement;
    - otherwise, it stays *unverified*, with its probability.

    A claim that wording supports stays *supported* unless the probability is below one half. Then it becomes
    *unverified*.

    A failed frame check does not count against a claim that is far from its sentences, because such a claim
    shares no wording with them to which a frame could have been added.

    On 544 claims (``eval/judge.py``), wording leaves 141 of 307 honest and 147 of 237 wrong ones unverified.
    If a judge that is right on 90 % sees all claims, .027 of the wrong ones are supported, and .008 more of
    the honest ones are withheld, whatever its confidence.
    """
    support: Support = claim.support
    score = float(claim.checks.get("score", 0.0))
    failed = {name for name, passed in claim.checks.items() if passed is False} - {"wording"}
    states_nothing = p_statement is not None and p_statement <= CLEAR_NO
    if support == "unverified":
        if states_nothing:
            support = "unsupported" if p < _DOUBT else support
        elif p >= CLEAR_YES and not failed and score >= LOW_WORDING_SCORE:
            support = "supported"
        elif p <= CLEAR_NO and failed - {"framing"} and score < LOW_WORDING_SCORE:
            support = "unsupported"
    elif support == "supported" and p < _DOUBT:
        support = "unverified"
    checks = {**claim.checks, "judge": round(p, 3)}
    if states_nothing and support == "unsupported":
        checks["statement"] = False
    if support == "supported":
        # The judge decided instead of wording, so no check counts as failed or as passed.
        checks = {name: None if passed is False else passed for name, passed in checks.items()}
    return Claim(claim.text, claim.citations, support, checks)


def _quoted_sources(citations: Sequence[Citation], papers: Mapping[str, Paper]) -> tuple[QuotedSource, ...]:
    """Return the cited sentences, grouped by paper."""
    by_paper: dict[str, list[Citation]] = {}
    for citation in citations:
        by_paper.setdefault(citation.paper_id, []).append(citation)
    return tuple(
        QuotedSource(
            tuple(c.quote for c in cited),
            cited[0].title,
            without_instructions(papers[paper_id].abstract) if paper_id in papers else "",
        )
        for paper_id, cited in by_paper.items()
    )


def _summary(before: Sequence[Claim], after: Sequence[Claim]) -> str:
    """Return a phrase that sums up the judge's opinion."""
    changes = [(b.support, a.support) for b, a in zip(before, after, strict=True)]
    unverified = [now for earlier, now in changes if earlier == "unverified"]
    doubted = sum(earlier == "supported" and now != "supported" for earlier, now in changes)
    parts = []
    if unverified:
        noun = "claim" if len(unverified) == 1 else "claims"
        supported = unverified.count("supported")
        parts.append(f"confirms {supported} of {len(unverified)} unverified {noun}")
    if doubted:
        parts.append(f"doubts {doubted} that wording supports")
    return " and ".join(parts) or f"doubts none of {len(after)} that wording supports"
