"""Is a claim supported by the sentences that it cites? Pure text comparison, no model, no I/O."""

from paperagent.verification.quotes import QuoteVerdict, find_quote
from paperagent.verification.verdict import Verdict, check

__all__ = ["QuoteVerdict", "Verdict", "check", "find_quote"]
