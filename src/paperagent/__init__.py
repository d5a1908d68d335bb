"""Answers to questions about your feed of papers, with a citation for every sentence.

Start with `ask` for a single question, or `PaperAgent` for everything else. ``import paperagent`` is fast:
names are imported from their modules when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paperagent.errors import (
    ConfigError,
    EndpointError,
    EvalError,
    FeedError,
    GateError,
    InputError,
    MailError,
    PaperAgentError,
    StoreError,
    StoreLockedError,
)

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent, PaperNotFoundError, ask
    from paperagent.answering.abstention import Thresholds
    from paperagent.answering.check_claim import ClaimCheck, check
    from paperagent.arguments import AskOptions
    from paperagent.config import Settings
    from paperagent.digest.issue import Issue, Item, Period, StandingAnswer, Theme
    from paperagent.library import Health
    from paperagent.library.facets import Facets
    from paperagent.types import (
        Answer,
        Citation,
        Claim,
        Event,
        FeedReport,
        Filters,
        Hit,
        Hits,
        IngestReport,
        Paper,
        Sentence,
        Skipped,
        Usage,
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AskOptions",
    "Citation",
    "Claim",
    "ClaimCheck",
    "ConfigError",
    "EndpointError",
    "EvalError",
    "Event",
    "Facets",
    "FeedError",
    "FeedReport",
    "Filters",
    "GateError",
    "Health",
    "Hit",
    "Hits",
    "IngestReport",
    "InputError",
    "Issue",
    "Item",
    "MailError",
    "Paper",
    "PaperAgent",
    "PaperAgentError",
    "PaperNotFoundError",
    "Period",
    "Sentence",
    "Settings",
    "Skipped",
    "StandingAnswer",
    "StoreError",
    "StoreLockedError",
    "Theme",
    "Thresholds",
    "Usage",
    "__version__",
    "ask",
    "check",
]

_MODULES = {
    "AskOptions": "paperagent.arguments",
    "ClaimCheck": "paperagent.answering.check_claim",
    "Facets": "paperagent.library.facets",
    "Health": "paperagent.library",
    "Issue": "paperagent.digest.issue",
    "Item": "paperagent.digest.issue",
    "PaperAgent": "paperagent.agent",
    "PaperNotFoundError": "paperagent.agent",
    "Period": "paperagent.digest.issue",
    "Settings": "paperagent.config",
    "StandingAnswer": "paperagent.digest.issue",
    "Theme": "paperagent.digest.issue",
    "Thresholds": "paperagent.answering.abstention",
    "ask": "paperagent.agent",
    "check": "paperagent.answering.check_claim",
}
"""Public name → its module. Names that are not listed are in `types`."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_MODULES.get(name, "paperagent.types"))
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
