"""The list of commands and the text of ``paperagent --help``.

Apart from the command line itself, so that the text can be printed without loading click,
which alone takes four times as long as starting Python.
"""

from __future__ import annotations

COMMANDS = {
    "ingest": ("library", "Read feeds into the library."),
    "embed": ("embed", "Give papers their vectors: here, in bulk, or by many workers."),
    "feeds": ("feeds", "Keep the feeds that ingest --follow reads."),
    "search": ("ask", "List the papers that match a query, best first."),
    "ask": ("ask", "Answer a question with cited sentences."),
    "chat": ("ask", "Ask and follow up, question after question."),
    "check": ("check", "Check whether a paper or a text supports a claim."),
    "summarize": ("summarize", "Write a cited overview of the papers on a topic."),
    "eval": ("eval_run", "Ask cases and score the answers; compare runs."),
    "export": ("export", "Write papers as BibTeX, RIS, Markdown or JSON lines."),
    "digest": ("digest", "Build the weekly digest and send it."),
    "subscribers": ("subscribers", "Keep the readers of the digest."),
    "mcp": ("mcp", "Serve search, ask and get to another program's model."),
    "status": ("library", "Show what the library holds."),
    "doctor": ("library", "Check the library and its indexes, and repair them."),
    "reindex": ("library", "Build the indexes anew from the library."),
    "models": ("admin", "Get and show the embedding model."),
    "config": ("admin", "Show the settings and where each came from."),
}
"""Name → (module in `paperagent.cli`, what it does), in the order of a person's work."""

OPTIONS = {
    "--home, --store PATH": "The library's folder (default: PAPERAGENT_HOME).",
    "--env-file PATH": "Settings file to read (default: .env of this folder).",
    "--debug": "Show the traceback of an error.",
    "--version": "Show the version and exit.",
    "-h, --help": "Show this message and exit.",
}

SUMMARY = "Ask your paper feed: every sentence of an answer cites the sentence it rests on."
_ENDING = """\
  'paperagent COMMAND --help' explains a command. Of an option given twice, the
  last counts. Exit codes: 0 ok (an abstention too), 1 failure, 2 usage,
  3 settings, 4 input, 5 library, 6 endpoint, 8 mail, 75 locked by another
  process, 130 interrupted.
"""


def text() -> str:
    """Return the help of the whole program."""
    parts = ["Usage: paperagent [OPTIONS] COMMAND [ARGS]...\n", f"  {SUMMARY}\n"]
    parts += ["Commands:", *(f"  {name:<11} {about}" for name, (_, about) in COMMANDS.items()), ""]
    parts += ["Options:", *(f"  {name:<21} {about}" for name, about in OPTIONS.items()), "", _ENDING]
    return "\n".join(parts)
