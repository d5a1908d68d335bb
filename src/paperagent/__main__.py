"""Run the command line as ``python -m paperagent``."""

from paperagent.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
