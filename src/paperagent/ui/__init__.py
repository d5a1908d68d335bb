"""User interfaces over `PaperAgent`: output blocks, the chat loop, file exports and the MCP server.

`render.Screen` prints the blocks that `paperagent.layout` makes; start there. `streaming` prints an
answer as it is generated, `chat` runs the chat loop on lines from `line_input`, `export` writes papers
to files, and `mcp_server` serves the library to another LLM client. The command line in
`paperagent.cli` connects them to the terminal.
"""
