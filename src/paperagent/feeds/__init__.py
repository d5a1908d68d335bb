"""Feeds: bytes from a file or stdin become papers. One module a format; `read` finds the right one."""

from paperagent.feeds.reader import Feed, read

__all__ = ["Feed", "read"]
