"""Check whether a claim is supported by the sentences it cites. Pure text comparison: no model, no I/O.

Start with `verdict.check`. It aligns two analyzed texts (`tokens`, `numbers`, `normalize`, `alignment`),
runs the checks in `roles` (numbers and comparisons), `polarity` (negations and opposites), `framing`
(hedges and frames) and `wording` (names and edits), and weighs the agreement in `score`.
`quotes.find_quote` locates a quotation in an abstract. `lexicon` and `synonyms` hold the word lists.
"""

from paperagent.verification.quotes import QuoteVerdict, find_quote
from paperagent.verification.verdict import Verdict, check

__all__ = ["QuoteVerdict", "Verdict", "check", "find_quote"]
