"""Deliver issues by mail, each at most once.

`ledger` records every issue and the state of every message, `sender` sends what is due, `message` builds
the bytes of an email, and `transport` and `smtp` are the ways out: files in an outbox, or a mail server.
"""
