"""A language model behind an OpenAI-compatible endpoint: the client, its transport, what calls cost."""
