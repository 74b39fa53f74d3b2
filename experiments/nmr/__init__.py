"""Parts of the command that asks how exact region masks must be for NMR."""
