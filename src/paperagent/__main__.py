"""Run the command line as ``python -m paperagent``."""

from paperagent.cli import script

if __name__ == "__main__":
    script()
