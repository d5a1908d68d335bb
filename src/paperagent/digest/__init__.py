"""The weekly digest: select papers for a reader, group, write, render, send once."""
