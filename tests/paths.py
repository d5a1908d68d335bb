"""The paths of the checkout and of the shared data."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The root of the checkout."""
SHARED = Path(os.environ.get("PAPERAGENT_SHARED") or ROOT.parent / "shared")
"""Data for tests and evaluations; tests that need it are skipped if it is missing."""
