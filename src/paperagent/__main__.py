"""Run the command line as ``python -m paperagent``."""

from paperagent.cli.main import script

if __name__ == "__main__":
    script()
