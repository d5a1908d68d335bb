"""The list of commands and the text of ``paperagent --help``.

Separate from the commands so that the text can be printed without loading click, which alone
takes four times as long as starting Python.
"""

from __future__ import annotations

PROGRAM = "paperagent"
COMPLETE = "_PAPERAGENT_COMPLETE"
"""Environment variable with which a shell asks for completions; see `completion`."""

COMMANDS = {
    "ingest": ("feeds", "Add the papers of a feed to the library."),
    "embed": ("feeds", "Compute missing embeddings (locally, via OpenAI Batch, or on Ray)."),
    "feeds": ("feeds", "Manage the feeds that 'ingest --follow' reads."),
    "search": ("ask", "List the papers that match a query, best first."),
    "ask": ("ask", "Answer a question with cited sentences."),
    "chat": ("chat", "Start an interactive session with follow-up questions."),
    "log": ("log", "List earlier answers, or show one of them."),
    "show": ("papers", "Show a paper: abstract, authors, dates, feeds and ids."),
    "list": ("papers", "List papers by date, author, category or feed."),
    "related": ("papers", "List the papers most similar to a paper."),
    "remove": ("papers", "Remove papers from the library."),
    "check": ("ask", "Check whether a paper or a text supports a claim."),
    "summarize": ("ask", "Write a cited overview of the papers on a topic."),
    "eval": ("eval_run", "Evaluate answers on test cases and compare runs."),
    "export": ("export", "Export papers as BibTeX, RIS, Markdown, notes or JSON Lines."),
    "digest": ("digest", "Build and send the weekly digest."),
    "subscribers": ("subscribers", "Manage digest subscribers."),
    "serve": ("serve", "Serve the web page: feed, questions, digest, subscriptions."),
    "mcp": ("mcp", "Run an MCP server (search, ask, get) for another LLM client."),
    "status": ("admin", "Show what the library contains and the state of its indexes."),
    "doctor": ("doctor", "Check the library and its indexes, and repair them."),
    "reindex": ("admin", "Rebuild the indexes from the library."),
    "models": ("admin", "Download and verify the embedding model."),
    "completion": ("completion", "Print the script that completes commands in bash, zsh or fish."),
    "config": ("admin", "Show the settings and where each one comes from."),
}
"""Name → (module in `paperagent.cli`, one-line help), in the order of a typical workflow."""

OPTIONS = {
    "--home, --store PATH": "Library folder (default: PAPERAGENT_HOME).",
    "--env-file PATH": "Read settings from this file (default: ./.env).",
    "--debug": "Show the traceback when a command fails.",
    "--version": "Show the version and exit.",
    "-h, --help": "Show this message and exit.",
}

SUMMARY = "Ask your paper feed: every sentence of an answer cites its source sentence."
_EPILOG = """\
  Run 'paperagent COMMAND --help' for more information on a command. If an
  option is given more than once, the last value is used.

  Exit codes: 0 success (including an abstention), 1 unexpected failure,
  2 usage, 3 configuration, 4 input, 5 library, 6 endpoint, 8 mail,
  9 evaluation gate, 75 locked by another process, 130 interrupted.
"""


def text() -> str:
    """Return the help of the whole program."""
    parts = ["Usage: paperagent [OPTIONS] COMMAND [ARGS]...\n", f"  {SUMMARY}\n"]
    parts += ["Commands:", *(f"  {name:<11} {about}" for name, (_, about) in COMMANDS.items()), ""]
    parts += ["Options:", *(f"  {name:<21} {about}" for name, about in OPTIONS.items()), "", _EPILOG]
    return "\n".join(parts)
