"""What every file on this machine needs: locks between processes, and SQLite with transactions.

`locks` holds a file or a folder for one process at a time. `sqlite` opens a database file of a known format,
runs transactions and turns what SQLite and the file system raise into one line about the file. The library
and the digest build their own databases on it.
"""
