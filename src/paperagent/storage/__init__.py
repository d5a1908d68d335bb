"""Locks between processes, and SQLite files with transactions.

`locks` holds a file or a folder for one process at a time. `sqlite` opens a database file of a known format,
runs transactions, and turns errors of SQLite and the file system into one-line messages about the file.
The library and the digest build their own databases on it.
"""
