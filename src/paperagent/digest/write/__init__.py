"""Write an issue about the selected papers: each sentence cites the abstract that supports it.

`writer.IssueWriter` is the entry point. `highlights` chooses the sentences to quote, `llm_writer` lets a
model write instead, and `standing_questions` answers questions before the papers are selected.
"""
