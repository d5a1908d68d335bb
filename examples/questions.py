"""Print four questions that fit the library, one a line, for `make demo`.

Usage: PAPERAGENT_HOME=… python examples/questions.py
"""

from __future__ import annotations

from itertools import islice

from paperagent import PaperAgent


def main() -> None:
    """Ask about the library, about one paper, for a comparison of two, and for what no paper says."""
    with PaperAgent() as agent:
        first, *_, other = (p.title.partition(":")[0] for p in islice(agent.papers(), 12))
        print("What's in this library?")
        print(f"By how much does {first} improve the results?")
        print(f"How does {first} differ from {other}?")
        print("What does a train ticket from Lisbon to Oslo cost?")


if __name__ == "__main__":
    main()
