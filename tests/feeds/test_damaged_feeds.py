"""Sample files of many programs: each is read, and damage to it does no harm."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import pytest
from mutations import fault, mutate, new_numbers, samples

from paperagent.feeds.reader import parse_feed
from paperagent.types import Paper

MUTATIONS = 1_500
"""Of all files together; ``mutations.py`` makes more."""


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_each_sample_is_read(path: Path) -> None:
    """A sample has papers, and their text contains only numbers of the sample."""
    data = path.read_bytes()
    assert any(isinstance(entry, Paper) for entry in parse_feed(io.BytesIO(data), path.name))
    assert fault(data, path.name) is None


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_a_damaged_file_is_read_or_refused(path: Path) -> None:
    """Neither takes long, and no number appears that is not in the file."""
    data = path.read_bytes()
    for seed in range(MUTATIONS // len(samples()) + 1):
        random = Random(f"{path.name} {seed}")  # noqa: S311 - repeatable, not secret
        assert fault(mutate(data, random), path.name) is None, f"seed {seed}"


def test_the_mutations_are_repeatable_and_differ() -> None:
    """The same seed makes the same damage."""
    data = b"@misc{a, title={One}}\n@misc{b, title={Two}}\n" * 10
    damaged = [mutate(data, Random(seed)) for seed in range(50)]  # noqa: S311 - repeatable, not secret
    assert damaged == [mutate(data, Random(seed)) for seed in range(50)]  # noqa: S311
    assert len(set(damaged)) > 40
    assert mutate(b"", Random(1)) == b""  # noqa: S311


@pytest.mark.parametrize(
    ("text", "source", "numbers"),
    [
        ("55 mm", "5 x 5 mm", {"55"}),
        ("12 of 12", "12 of {12}", set()),
        ("45", "{4}5", set()),
        ("7", "&#55;", set()),
    ],
)
def test_new_numbers_are_noticed(text: str, source: str, numbers: set[str]) -> None:
    """Digits of the source that were apart do not become one number."""
    assert new_numbers([text], source) == numbers
