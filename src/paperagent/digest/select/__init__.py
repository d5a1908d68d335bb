"""Select the papers of one issue and group them by theme.

`selector.PaperSelector` is the entry point. `candidates` holds the papers of the period in memory and
merges duplicates, `relevance` scores them for a subscriber, `themes` groups the selected papers, and
`phrases` finds the phrases that can name a theme.
"""
