"""A library in a folder of this machine: SQLite holds the papers, tantivy and Chroma index them.

`store.LocalStore` is the entry point. `database`, `papers` and `ingest` read and write ``library.db``, the
source of truth; `bm25_index` and `vector_index` wrap the two indexes, and `index_sync` brings them up to date
with it.
"""
