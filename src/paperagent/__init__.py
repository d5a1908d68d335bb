"""Ask your paper feed: answers in which every sentence cites the sentence it rests on.

Heavy parts load when they are first used: ``import paperagent`` itself is cheap.
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
    from paperagent.answering.check_claim import ClaimCheck, check
    from paperagent.arguments import AskOptions
    from paperagent.types import (
        Answer,
        Citation,
        Claim,
        Event,
        Filters,
        Hit,
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
    "FeedError",
    "Filters",
    "GateError",
    "Hit",
    "IngestReport",
    "InputError",
    "MailError",
    "Paper",
    "PaperAgent",
    "PaperAgentError",
    "PaperNotFoundError",
    "Sentence",
    "Skipped",
    "StoreError",
    "StoreLockedError",
    "Usage",
    "__version__",
    "ask",
    "check",
]

_MODULES = {
    **dict.fromkeys(("AskOptions", "PaperAgent", "PaperNotFoundError", "ask"), "paperagent.agent"),
    **dict.fromkeys(("ClaimCheck", "check"), "paperagent.answering.check_claim"),
}
"""Name → where it is, if not in `types`."""


def __getattr__(name: str) -> Any:
    """Load `PaperAgent`, `ask`, `check` and the result types when they are first named."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_MODULES.get(name, "paperagent.types"))
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
