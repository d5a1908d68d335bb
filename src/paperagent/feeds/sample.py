"""The sample feed that ships with paperagent: invented papers, for the demo and the tests."""

from __future__ import annotations

from pathlib import Path

NAME = "sample"
"""What a person types to read it: ``paperagent ingest sample``."""


def path() -> Path:
    """Return the path of the sample feed: a Daily Papers page on which every paper is invented."""
    return Path(__file__).resolve().parents[1] / "data" / "sample_feed.txt"
