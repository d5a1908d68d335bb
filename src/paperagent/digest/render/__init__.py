"""Render issues as mails and as web pages.

`renderer` fills the templates in ``templates/``, `view` prepares the values that they may use,
`formatting` cleans untrusted text, and `archive` turns mails into static pages with an Atom feed.
"""
