"""What answers used, added up and in words: calls, tokens, dollars."""

from __future__ import annotations

from paperagent.types import Usage


def in_words(usage: Usage) -> str:
    """Return ``usage`` on one line, such as ``1 call · 1,934 tokens in, 210 out · $0.0004``."""
    if usage.calls == 0:
        return "no call, no cost"
    calls = f"{usage.calls:,} {'call' if usage.calls == 1 else 'calls'}"
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    about = "about " if usage.estimated else ""
    tokens = f"{about}{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out"
    price = "cost unknown" if usage.cost_usd is None else about + _dollars(usage.cost_usd)
    return f"{calls} · {tokens} · {price}{' (estimated)' if usage.estimated else ''}"


def _dollars(amount: float) -> str:
    """Return an amount with the digits that tell: cents from a dollar on, else four decimals."""
    if 0 < amount < 0.0001:
        return "less than $0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
