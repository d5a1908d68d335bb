"""Is a claim supported by the sentences that it cites? Pure text comparison, no model, no I/O."""

from paperagent.checks.quotes import QuoteVerdict, find_quote
from paperagent.checks.verdict import Verdict, check

__all__ = ["QuoteVerdict", "Verdict", "check", "find_quote"]
