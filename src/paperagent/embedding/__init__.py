"""Embedders: all-MiniLM-L6-v2 on this machine, or an embedding model on a server.

Start with `minilm`, which runs the local model; `minilm_download` installs it and `minilm_build` writes its
ONNX graph. `openai` calls OpenAI-compatible servers and the Batch API. `ray_job` spreads a large backlog
over many workers. All implement `types.Embedder`.
"""
