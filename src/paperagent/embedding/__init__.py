"""Vectors of texts: MiniLM in onnxruntime, or an embedding model behind an endpoint."""
