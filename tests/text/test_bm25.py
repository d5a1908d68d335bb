"""The shared parts of BM25."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paperagent.text import bm25


def test_idf_is_above_zero_and_falls_with_frequency() -> None:
    values = [bm25.idf(100, n) for n in range(101)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    assert bm25.idf(100, 3) == pytest.approx(math.log(1 + 97.5 / 3.5))


def test_damping_of_several_lengths_is_that_of_each() -> None:
    lengths = np.array([50.0, 150.0, 300.0])
    expected = [bm25.damping(float(n), 150) for n in lengths]
    assert bm25.damping(lengths, 150).tolist() == pytest.approx(expected)
    assert bm25.damping(150, 150) == pytest.approx(bm25.K1)
