"""Feeds: papers from files, standard input and live services.

`paperagent.feeds.reader.open_feed` opens a file or standard input, detects the format and yields one
`Paper` for each usable record. Each format is a module of `feeds.formats`. `feeds.services` fetches pages
from live services such as arXiv. `feeds.record` holds the checks and clean-up that all of them share.
"""
