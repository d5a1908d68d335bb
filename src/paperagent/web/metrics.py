"""Counters of a running server, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "requests": "Responses.",
    "request_seconds": "Seconds from a request to the end of its response.",
    "errors": "Responses with a status of 500 or higher.",
    "rate_limited": "Requests refused with 429.",
    "asks": "Answers given.",
    "abstentions": "Answers that abstain because the abstracts do not say.",
    "model_calls": "Calls to the model.",
    "model_dollars": "Cost of the model in US dollars.",
}
"""Name without prefix and suffix → its meaning. All are counters since the start of the process."""


class Counters:
    """Counts what `METRICS` names. Its methods may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: Counter[str] = Counter()

    def add(self, **amounts: float) -> None:
        """Increase counters by ``amounts``."""
        with self._lock:
            for name, amount in amounts.items():
                self._values[name] += amount  # type: ignore[assignment]  # Counter is typed for integers

    def text(self) -> str:
        """Return all counters in the text exposition format, version 0.0.4."""
        with self._lock:
            values = dict(self._values)
        lines = []
        for name, meaning in METRICS.items():
            full_name = f"paperagent_{name}_total"
            lines += [f"# HELP {full_name} {meaning}", f"# TYPE {full_name} counter"]
            lines.append(f"{full_name} {round(values.get(name, 0), 6):g}")
        return "\n".join(lines) + "\n"
