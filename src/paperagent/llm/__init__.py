"""Chat models on OpenAI-compatible servers.

Start with `protocol`, the interface that the rest of the package uses. `chat` implements it over HTTP
(`client` makes the requests, `stream` decodes the replies, `dialect` and `server_errors` handle
differences between servers), `judge_model` scores claims, `cache` stores replies, `pricing` counts and prices
tokens, and `prompts` loads the prompt files.
"""
