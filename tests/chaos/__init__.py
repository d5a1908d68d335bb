"""Random faults over all commands. Run it with ``make chaos``."""
