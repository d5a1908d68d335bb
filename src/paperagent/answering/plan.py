"""What an answer by a model is made with: the model's port, prompts, prices and policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from paperagent.answering.claims import Check, Policy
from paperagent.answering.model_profiles import FULL, Profile
from paperagent.llm.prompts import Prompt

if TYPE_CHECKING:
    from paperagent.answering.judge import Judge, When
    from paperagent.llm.protocol import Pricing

Effort = Literal["fast", "deep"]
"""``fast`` is one round; ``deep`` cuts the question into searches first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that shapes an answer by a model."""

    answer: Prompt
    plan: Prompt
    repair: Prompt
    check: Check
    pricing: Pricing
    salt: str
    """A secret of the library, for the fence."""
    today: str
    policy: Policy = "withhold"
    effort: Effort | None = None
    max_rounds: int = 2
    context_tokens: int = 8_192
    """Tokens that a prompt and its reply may fill together."""
    max_cost: float | None = None
    judge: Judge | None = None
    """A second reader, for claims that wording leaves open."""
    judge_when: When = "auto"
    library: str = ""
    """One line on what is searched, for the rule when to search; none where it is not known."""
    profile: Profile = FULL
    """How much the model is asked to do."""
    fallback: bool = True
    """Whether sentences are quoted where the model gives no answer; else its fault is the caller's."""
