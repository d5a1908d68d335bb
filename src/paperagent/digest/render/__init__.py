"""Render issues as emails and as web pages.

`renderer` fills the templates in ``templates/``, `view` prepares the values that they may use,
`formatting` cleans untrusted text, and `archive` turns emails into static pages with an Atom feed.
"""
