"""Read the size of a model from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_SMALL_BILLIONS = 4.5
"""Billions of parameters up to which a model counts as small; models sold as "4B" have a little more."""


def is_small(model: str) -> bool:
    """Return whether the name says that a model is small. A name without a size does not."""
    size = parameter_count(model)
    return size is not None and size <= MAX_SMALL_BILLIONS


def parameter_count(model: str) -> float | None:
    """Return the billions of parameters in a model's name, or None if there are none.

    ``qwen2.5-coder-1.5b-instruct-q4_k_m`` gives 1.5, ``llama3.2:3b`` 3, ``SmolLM2-135M-Instruct`` 0.135,
    ``mixtral-8x7b`` 56, and ``gemma-3n-e4b`` its effective 4.
    """
    sizes = [
        float(m["count"] or 1) * float(m["size"]) / (1 if m["unit"].lower() == "b" else 1_000)
        for m in _SIZE.finditer(model)
    ]
    if sizes:
        return max(sizes)
    return next((size for name, size in _SIZE_BY_FAMILY.items() if name in model.lower()), None)


_SIZE = re.compile(
    r"(?<![\d.a-z])(?:(?P<count>\d{1,2})x)?e?(?P<size>\d{1,4}(?:\.\d+)?)(?P<unit>[bm])(?![a-z\d])",
    re.IGNORECASE,
)
_SIZE_BY_FAMILY: Mapping[str, float] = {
    "tinyllama": 1.1,
    "phi-3-mini": 3.8,
    "phi3:mini": 3.8,
    "phi-4-mini": 3.8,
}
"""Model families whose names contain no size."""
