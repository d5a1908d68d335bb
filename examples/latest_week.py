"""Print the week of the library's newest papers, as the digest names it, for `make demo`.

Usage: python examples/latest_week.py LIBRARY
"""

from __future__ import annotations

import datetime as dt
import sys

from paperagent import PaperAgent


def main() -> None:
    """Look through all papers: the day on which the feed listed one counts, else that of its publication."""
    with PaperAgent(sys.argv[1]) as agent:
        days = (p.listed or p.published or p.first_seen for p in agent.papers())
        newest = max((day for day in days if day), default=dt.datetime.now(dt.UTC).date())
    print(f"{newest:%G-W%V}")


if __name__ == "__main__":
    main()
