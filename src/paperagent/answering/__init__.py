"""Answering a question from the abstracts of a library, with citations that are verified.

Start with `pipeline.Pipeline`, which answers by quoting. `llm_pipeline.LLMAnswerer` lets a model write
claims instead, and `select_mode.SentenceSelector` lets it choose among the sentences. All three return
an `Answer` that passed `citations.verify`.
"""
