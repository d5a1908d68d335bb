"""Where the tests find the checkout and the shared data."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""
SHARED = Path(os.environ.get("PAPERAGENT_SHARED") or ROOT.parent / "shared")
"""Data for testing and measuring; tests that need it skip where it is missing."""
