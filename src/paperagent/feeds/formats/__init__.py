"""The feed formats: one module for each family, and their names.

A module of a text or XML format has ``parse(text, label)``, one of a JSON format ``convert(record)`` for a
single record. `feeds.reader` detects the format and imports only the module that it needs.
"""

from __future__ import annotations

PAPERAGENT = "paperagent"
"""Our own JSON lines, which ``export`` writes."""
DAILY_PAPERS = "daily-papers"
"""A saved page of Hugging Face's Daily Papers."""
HF_DAILY = "hf-daily"
ARXIV_ATOM = "arxiv-atom"
ARXIV_JSONL = "arxiv-jsonl"
ARXIV_SNAPSHOT = "arxiv-snapshot"
OAI_PMH = "arxiv-oai"
PUBMED = "pubmed"
ACL_ANTHOLOGY = "acl-anthology"
BIBTEX = "bibtex"
RIS = "ris"
