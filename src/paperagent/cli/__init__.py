"""The command line: ``paperagent COMMAND``.

`main` is the entry point. `program_help` lists the commands and the module of each; `commands`
imports that module when the command runs, so that ``--help`` stays fast. Keep this module empty:
it is imported before anything else.
"""
