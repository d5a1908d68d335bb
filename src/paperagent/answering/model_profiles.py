"""How much a model is asked to do: everything, or what a small local model can manage. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from paperagent.retrieval.question import Kind
from paperagent.text.model_names import is_small

ProfileName = Literal["full", "compact"]
ProfileSetting = Literal["auto", "full", "compact"]


@dataclass(frozen=True, slots=True)
class Profile:
    """What is asked of a model in one answer."""

    name: ProfileName
    prompt: str
    """The name of the prompt's file."""
    passages: Mapping[Kind, tuple[int, int]]
    """The fewest and the most abstracts shown at first, by the kind of question."""
    output_tokens: Mapping[Kind, int]
    """The limit of a reply, by the kind of question."""
    most_claims: int | None = None
    """Claims that the schema allows; None: any number."""
    says_missing: bool = True
    """Whether the reply names what the abstracts do not say."""
    may_search: bool = True
    """Whether the model may ask for a further search."""


FULL = Profile(
    name="full",
    prompt="answer",
    passages={"single": (2, 4), "compare": (8, 12), "list": (8, 12)},
    output_tokens={"single": 1_200, "compare": 1_500, "list": 1_500},
)
COMPACT = Profile(
    name="compact",
    prompt="answer-compact",
    passages={"single": (2, 2), "compare": (2, 3), "list": (3, 4)},
    output_tokens={"single": 250, "compare": 350, "list": 400},
    most_claims=3,
    says_missing=False,
    may_search=False,
)
PROFILES: Mapping[ProfileName, Profile] = {p.name: p for p in (FULL, COMPACT)}


def profile(setting: ProfileSetting, *, model: str, on_this_machine: bool) -> Profile:
    """Return the profile that a setting selects for a model.

    ``auto`` is ``compact`` for a model on this machine whose name says that it is small, and
    ``full`` for every other: a name without a size says nothing, and a server elsewhere reads
    a long prompt fast enough.
    """
    if setting != "auto":
        return PROFILES[setting]
    return COMPACT if on_this_machine and is_small(model) else FULL
